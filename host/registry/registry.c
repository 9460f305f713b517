/* SPDX-License-Identifier: Apache-2.0 */
/* Instances on this host: see registry.h. */
#include "host/registry/registry.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>

#include "host/lib/fs.h"
#include "host/lib/time.h"

#define STATE "state.json"
#define STATE_MAX (1u << 20)
#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
#define NEW_PREFIX ".new-"
#define NEW_ROOM 16

/* --- the directory ------------------------------------------------------------------ */

static char *base_path(void)
{
    const char *given = getenv("DRUPE_RUN"), *xdg = getenv("XDG_RUNTIME_DIR");
    if (given && *given)
        return xstrdup(given);
    if (geteuid() == 0)
        return xstrdup("/run/drupe");
    if (xdg && *xdg == '/')
        return path_join(xdg, "drupe");
    return str_format("/tmp/drupe-%u", geteuid());
}

/* Ours alone, whoever else may write where it lies. */
static int check_private(int fd, const char *path, struct error *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_errno(err, EXIT_DRUPE, "%s", path);
    if (st.st_uid != geteuid())
        return err_set(err, EXIT_DRUPE, "%s belongs to another user (%u); name a directory by DRUPE_RUN", path, st.st_uid);
    if (st.st_mode & 077)
        return err_set(err, EXIT_DRUPE, "%s is open to others (mode %o); chmod 700 it", path, st.st_mode & 07777);
    return 0;
}

static int open_base(struct error *err)
{
    AUTO_FREE char *path = base_path();
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        return err_errno(err, EXIT_DRUPE, "%s, where running instances are listed", path);
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, EXIT_DRUPE, "%s, where running instances are listed", path);
    if (check_private(fd, path, err) < 0)
        return -1;
    return TAKE_FD(fd);
}

static int open_locked(int dir, const char *name, int how)
{
    AUTO_CLOSE int fd = openat(dir, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -1;
    while (flock(fd, how) < 0)
        if (errno != EINTR)
            return -1;
    return TAKE_FD(fd);
}

static int lock_names(int base, struct error *err)
{
    int fd = open_locked(base, ".lock", LOCK_EX);
    return fd < 0 ? err_errno(err, EXIT_DRUPE, "the lock of the list of instances") : fd;
}

/* Does its tender live? */
static bool is_locked(int dir)
{
    AUTO_CLOSE int fd = openat(dir, "lock", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    return fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

static int write_file(int dir, const char *name, const char *text)
{
    AUTO_CLOSE int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    return fd < 0 ? -1 : fd_write_all(fd, text, strlen(text));
}

/* --- what is known of one ------------------------------------------------------------- */

static struct json_object *member(const struct entry *e, const char *key, enum json_type type)
{
    struct json_object *o = NULL;
    if (!e->state || !json_object_object_get_ex(e->state, key, &o) || !json_object_is_type(o, type))
        return NULL;
    return o;
}

const char *entry_text(const struct entry *e, const char *key)
{
    struct json_object *o = member(e, key, json_type_string);
    return o ? json_object_get_string(o) : "";
}

s64 entry_number(const struct entry *e, const char *key)
{
    struct json_object *o = member(e, key, json_type_int);
    return o ? json_object_get_int64(o) : 0;
}

bool entry_flag(const struct entry *e, const char *key)
{
    struct json_object *o = member(e, key, json_type_boolean);
    return o && json_object_get_boolean(o);
}

void entry_set_text(struct entry *e, const char *key, const char *value)
{
    json_object_object_add(e->state, key, json_object_new_string(value));
}

void entry_set_number(struct entry *e, const char *key, s64 value)
{
    json_object_object_add(e->state, key, json_object_new_int64(value));
}

void entry_set_flag(struct entry *e, const char *key, bool value)
{
    json_object_object_add(e->state, key, json_object_new_boolean(value));
}

void entry_set_now(struct entry *e, const char *key)
{
    char text[TIME_TEXT_MAX];
    time_text_now(9, text);
    entry_set_text(e, key, text);
}

/* What stands in its file, if that can be read. */
static void read_state(struct entry *e)
{
    struct buf text = {0};
    AUTO_CLOSE int fd = openat(e->dir_fd, STATE, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    struct json_object *state = fd >= 0 && file_read_fd(fd, STATE_MAX, &text) == 0 ? json_tokener_parse(text.data) : NULL;
    buf_done(&text);
    if (json_object_is_type(state, json_type_object)) {
        json_object_put(e->state);
        e->state = state;
    } else {
        json_object_put(state);
    }
}

static bool is_exited(const struct entry *e) { return strcmp(entry_text(e, "State"), "exited") == 0; }

enum entry_state entry_state(struct entry *e)
{
    if (!is_exited(e) && e->lock_fd < 0 && !is_locked(e->dir_fd)) {
        read_state(e); /* its last word: what we have may be from before that */
        if (!is_exited(e))
            return ENTRY_STALE;
    }
    if (is_exited(e))
        return ENTRY_EXITED;
    return strcmp(entry_text(e, "State"), "running") == 0 ? ENTRY_RUNNING : ENTRY_CREATED;
}

char *entry_path(const struct entry *e, const char *file)
{
    AUTO_FREE char *base = base_path(), *dir = path_join(base, e->id);
    return path_join(dir, file);
}

int entry_tender(const struct entry *e)
{
    pid_t pid = (pid_t)entry_number(e, "Pid");
    AUTO_CLOSE int fd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
    /* It lived after we took hold of the number: the number was its. */
    return fd >= 0 && is_locked(e->dir_fd) ? TAKE_FD(fd) : -1;
}

void entry_done(struct entry *e)
{
    free(e->name);
    if (e->dir_fd >= 0)
        close(e->dir_fd);
    if (e->lock_fd >= 0)
        close(e->lock_fd);
    json_object_put(e->state);
    *e = (struct entry){.dir_fd = -1, .lock_fd = -1};
}

static int write_state(const struct entry *e, const char *name)
{
    return write_file(e->dir_fd, name, json_object_to_json_string_ext(e->state, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_NOSLASHESCAPE));
}

int entry_save(const struct entry *e, struct error *err)
{
    if (write_state(e, STATE ".new") < 0 || renameat(e->dir_fd, STATE ".new", e->dir_fd, STATE) < 0)
        return err_errno(err, EXIT_DRUPE, "the instance's " STATE);
    return 0;
}

/* --- finding ------------------------------------------------------------------------------- */

static bool is_id(const char *s) { return strlen(s) == ID_LEN && strspn(s, "0123456789abcdef") == ID_LEN; }

/* False: it is gone, or is none of ours. */
static bool load(int base, const char *id, struct entry *e)
{
    *e = (struct entry){.dir_fd = openat(base, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), .lock_fd = -1};
    if (e->dir_fd < 0)
        return false;
    memcpy(e->id, id, ID_LEN + 1);
    read_state(e);
    if (!e->state) {
        entry_done(e);
        return false;
    }
    e->name = xstrdup(entry_text(e, "Name"));
    return true;
}

static int by_creation(const void *a, const void *b)
{
    int order = strcmp(entry_text(a, "Created"), entry_text(b, "Created"));
    return order ? order : strcmp(((const struct entry *)a)->id, ((const struct entry *)b)->id);
}

static int list(int base, struct entry **ret, size_t *ret_count, struct error *err)
{
    *ret = NULL;
    *ret_count = 0;
    int fd = openat(base, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir)
        return err_errno(err, EXIT_DRUPE, "the list of instances");
    for (struct dirent *d; (d = readdir(dir));) {
        struct entry e;
        if (!is_id(d->d_name) || !load(base, d->d_name, &e))
            continue;
        *ret = xrealloc(*ret, (*ret_count + 1) * sizeof(e));
        (*ret)[(*ret_count)++] = e;
    }
    closedir(dir);
    if (*ret_count)
        qsort(*ret, *ret_count, sizeof(**ret), by_creation);
    return 0;
}

void entries_done(struct entry *all, size_t count)
{
    for (size_t i = 0; i < count; i++)
        entry_done(&all[i]);
    free(all);
}

static int remove_locked(int base, const struct entry *e, struct error *err)
{
    return remove_tree(base, e->id) < 0 ? err_errno(err, EXIT_DRUPE, "removing %s", e->id) : 0;
}

int entry_remove(const struct entry *e, struct error *err)
{
    AUTO_CLOSE int base = open_base(err);
    AUTO_CLOSE int names = base < 0 ? -1 : lock_names(base, err);
    return names < 0 ? -1 : remove_locked(base, e, err);
}

/* What was being made when its maker died. */
static void sweep_unfinished(int base)
{
    int fd = openat(base, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir)
        return;
    for (struct dirent *d; (d = readdir(dir));) {
        if (!str_has_prefix(d->d_name, NEW_PREFIX))
            continue;
        AUTO_CLOSE int one = openat(base, d->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (one >= 0 && !is_locked(one))
            remove_tree(base, d->d_name);
    }
    closedir(dir);
}

/* An entry that was to go with its tender, and did not. Names lock held. */
static void sweep(int base, const struct entry *e)
{
    struct error ignored; /* the next one tries again */
    if (entry_flag(e, "AutoRemove") && !is_locked(e->dir_fd))
        remove_locked(base, e, &ignored);
}

int entries_list(struct entry **ret, size_t *ret_count, struct error *err)
{
    AUTO_CLOSE int base = open_base(err);
    AUTO_CLOSE int names = base < 0 ? -1 : lock_names(base, err);
    if (names < 0 || list(base, ret, ret_count, err) < 0)
        return -1;
    for (size_t i = 0; i < *ret_count; i++)
        sweep(base, &(*ret)[i]);
    sweep_unfinished(base);
    return 0;
}

/* An exact name wins over ids that begin so. Returns how many were meant, *ret one of them. */
static size_t match(struct entry *all, size_t n, const char *what, struct entry **ret)
{
    size_t matches = 0;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(all[i].name, what) == 0) {
            *ret = &all[i];
            return 1;
        }
        if (*what && str_has_prefix(all[i].id, what)) {
            *ret = &all[i];
            matches++;
        }
    }
    return matches;
}

int entry_find(const char *what, struct entry *ret, struct error *err)
{
    struct entry *all, *found;
    size_t n;
    AUTO_CLOSE int base = open_base(err);
    if (base < 0 || list(base, &all, &n, err) < 0)
        return -1;
    size_t matches = match(all, n, what, &found);
    if (matches == 1) {
        *ret = *found;
        *found = (struct entry){.dir_fd = -1, .lock_fd = -1};
    }
    entries_done(all, n);
    if (matches > 1)
        return err_set(err, 1, "%s: several instances' ids begin so; give more of it", what);
    return matches ? 0 : err_set(err, 1, "no such instance: %s; see drupe ps -a", what);
}

/* --- making ----------------------------------------------------------------------------------- */

static int make_id(char *ret, struct error *err)
{
    u8 bytes[ID_LEN / 2];
    if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
        return err_errno(err, EXIT_DRUPE, "getrandom");
    for (size_t i = 0; i < sizeof(bytes); i++)
        for (unsigned k = 0; k < 2; k++)
            ret[2 * i + k] = "0123456789abcdef"[bytes[i] >> (4 - 4 * k) & 15];
    ret[ID_LEN] = 0;
    return 0;
}

/* Is the name free, or held by the dead? The latter goes. Names lock held. */
static int claim_name(int base, const char *name, struct error *err)
{
    struct entry *all;
    size_t n;
    int result = 0;
    if (list(base, &all, &n, err) < 0)
        return -1;
    for (size_t i = 0; i < n && result == 0; i++) {
        if (strcmp(all[i].name, name) != 0) {
            sweep(base, &all[i]);
            continue;
        }
        if (entry_state(&all[i]) == ENTRY_STALE)
            result = remove_locked(base, &all[i], err);
        else
            result = err_set(err, EXIT_DRUPE, "--name %s: instance %.12s has that name; remove it (drupe rm %s) or choose another",
                             name, all[i].id, name);
    }
    entries_done(all, n);
    return result;
}

/* Of the host's boot and of a process's start, so that people and tools can tell a number that was used again. */
static void note_process(struct entry *e)
{
    struct buf text = {0};
    if (file_read("/proc/sys/kernel/random/boot_id", 100, &text) == 0 && text.len) {
        text.data[strcspn(text.data, "\n")] = 0;
        entry_set_text(e, "BootId", text.data);
    }
    buf_done(&text);
    if (file_read("/proc/self/stat", 4096, &text) == 0) {
        const char *p = strrchr(text.data, ')'); /* field 2; the start is field 22 */
        for (unsigned field = 2; p && field < 22; field++)
            p = strchr(p + 1, ' ');
        entry_set_number(e, "PidStartTicks", p ? atoll(p + 1) : 0);
    }
    buf_done(&text);
    entry_set_number(e, "Pid", getpid());
}

int entry_init(struct entry *e, const char *name, const char *stem, struct error *err)
{
    *e = (struct entry){.dir_fd = -1, .lock_fd = -1};
    if (make_id(e->id, err) < 0)
        return -1;
    e->name = name ? xstrdup(name) : str_format("%.48s-%.6s", *stem ? stem : "instance", e->id);
    for (char *p = e->name; *p; p++) /* a name is a word for every shell and every label */
        if (!strchr(NAME_CHARACTERS, *p))
            *p = '-';
    e->state = json_object_new_object();
    entry_set_text(e, "Id", e->id);
    entry_set_text(e, "Name", e->name);
    entry_set_text(e, "State", "created");
    entry_set_now(e, "Created");
    note_process(e);
    return 0;
}

/* Nobody reads these files before the directory has its name (R1). */
static int fill(struct entry *e, int base, const char *temporary, const char *config)
{
    if (mkdirat(base, temporary, 0700) < 0)
        return -1;
    e->dir_fd = openat(base, temporary, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    e->lock_fd = e->dir_fd < 0 ? -1 : open_locked(e->dir_fd, "lock", LOCK_EX | LOCK_NB);
    if (e->lock_fd < 0 || write_file(e->dir_fd, "config.json", config) < 0 || write_state(e, STATE) < 0)
        return -1;
    return renameat(base, temporary, base, e->id);
}

int entry_publish(struct entry *e, const char *config, struct error *err)
{
    char temporary[ID_LEN + NEW_ROOM];
    AUTO_CLOSE int base = open_base(err);
    AUTO_CLOSE int names = base < 0 ? -1 : lock_names(base, err);
    snprintf(temporary, sizeof(temporary), NEW_PREFIX "%s", e->id);
    int result = names < 0 ? -1 : claim_name(base, e->name, err);
    if (result == 0 && fill(e, base, temporary, config) < 0) {
        result = err_errno(err, EXIT_DRUPE, "the entry in the list of instances");
        remove_tree(base, temporary);
    }
    if (result < 0)
        entry_done(e);
    return result;
}

/* --- the socket ---------------------------------------------------------------------------------- */

/* By the directory's descriptor: a path of any length fits, and is nobody else's. */
static int open_socket(const struct entry *e, struct sockaddr_un *ret)
{
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/" SOCKET_NAME, e->dir_fd);
    return socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
}

int entry_listen(const struct entry *e, struct error *err)
{
    struct sockaddr_un a;
    AUTO_CLOSE int fd = open_socket(e, &a);
    mode_t mask = umask(0177);
    bool bound = fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0;
    umask(mask);
    if (!bound || listen(fd, 16) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        return err_errno(err, EXIT_DRUPE, "the instance's socket");
    return TAKE_FD(fd);
}

int entry_connect(const struct entry *e, struct error *err)
{
    struct sockaddr_un a;
    AUTO_CLOSE int fd = open_socket(e, &a);
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
        if (errno == ENOENT || errno == ECONNREFUSED)
            return err_set(err, 1, "%s is not running", e->name);
        return err_errno(err, EXIT_DRUPE, "%s: the instance's socket", e->name);
    }
    return TAKE_FD(fd);
}
