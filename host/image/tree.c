/* SPDX-License-Identifier: Apache-2.0 */
/* The file tree of an image: see tree.h. */
#include "host/image/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "host/lib/fs.h"

#define MAX_LINKS 40   /* symlinks followed for one path, as Linux's own limit */
#define MAX_DEPTH 64   /* directories below a directory that is taken whole */

void tree_init(struct tree *t, struct inputs *inputs)
{
    *t = (struct tree){.inputs = inputs};
    list_init(&t->nodes);
}

void tree_done(struct tree *t)
{
    list_for_each_safe(n, &t->nodes, struct tree_node, link) {
        free(n->path);
        free(n->source);
        buf_done(&n->data);
        free(n);
    }
    map_done(&t->by_path, NULL);
    map_done(&t->reasons, free);
    list_init(&t->nodes);
}

struct tree_node *tree_find(struct tree *t, const char *path) { return map_get(&t->by_path, path); }

static const char *intern(struct tree *t, const char *why)
{
    char *text = map_get(&t->reasons, why);
    if (!text)
        map_put(&t->reasons, why, text = xstrdup(why));
    return text;
}

static struct tree_node *add_node(struct tree *t, const char *path, u32 mode, const char *why)
{
    struct tree_node *n = xalloc(sizeof(*n));
    n->path = xstrdup(path);
    n->mode = mode;
    n->why = intern(t, why);
    clock_gettime(CLOCK_REALTIME, &n->mtime);
    list_push_back(&t->nodes, &n->link);
    map_put(&t->by_path, path, n);
    return n;
}

static struct tree_node *add_stat_node(struct tree *t, const char *path, const struct stat *st, const char *why)
{
    struct tree_node *n = add_node(t, path, st->st_mode, why);
    n->uid = st->st_uid;
    n->gid = st->st_gid;
    n->mtime = st->st_mtim;
    if (S_ISREG(st->st_mode)) {
        n->size = (u64)st->st_size;
        t->total_bytes += n->size;
        if (st->st_nlink > 1) {
            n->dev = st->st_dev;
            n->ino = st->st_ino;
        }
    }
    return n;
}

static int read_link(const char *path, struct buf *ret)
{
    char target[4096];
    ssize_t n = readlink(path, target, sizeof(target));
    if (n <= 0 || n >= (ssize_t)sizeof(target))
        return -1;
    buf_add(ret, target, (size_t)n);
    return 0;
}

/* One host path component of which all parents are in the tree already.
 * 0 done, 1 a symlink (*ret_target owned by the node), -1 with errno. */
static int add_component(struct tree *t, const char *path, const char *why, bool last, const char **ret_target)
{
    struct tree_node *have = tree_find(t, path);
    if (have) {
        if (!S_ISLNK(have->mode))
            return 0;
        *ret_target = have->data.data;
        return 1;
    }
    struct stat st;
    if (inputs_note(t->inputs, path, INPUT_WHOLE, &st) < 0)
        return -1;
    if (S_ISDIR(st.st_mode)) {
        add_stat_node(t, path, &st, last ? why : "parent directories");
        return 0;
    }
    if (!last && !S_ISLNK(st.st_mode)) {
        errno = ENOTDIR;
        return -1;
    }
    if (S_ISLNK(st.st_mode)) {
        struct buf target = {0};
        if (read_link(path, &target) < 0)
            return -1;
        struct tree_node *n = add_stat_node(t, path, &st, why);
        n->data = target;
        *ret_target = n->data.data;
        return 1;
    }
    if (!S_ISREG(st.st_mode)) {
        errno = EINVAL; /* a socket, a device: /dev is the kernel's */
        return -1;
    }
    if (access(path, R_OK) < 0)
        return -1;
    add_stat_node(t, path, &st, why)->source = xstrdup(path);
    return 0;
}

/* Directories are noted by their attributes only: a new file beside ours changes nothing. */
static int add_path(struct tree *t, const char *path, const char *why, unsigned links, char **ret_real)
{
    AUTO_FREE char *todo = path_absolute(path);
    AUTO_FREE char *done = xstrdup("");
    for (char *p = todo; *p;) {
        char *end = strchrnul(p + 1, '/');
        AUTO_FREE char *next = str_format("%s%.*s", done, (int)(end - p), p);
        bool last = *end == 0;
        const char *target = NULL;
        struct stat st;
        if (strcmp(next, "/") == 0)
            break;
        if (!tree_find(t, next) && lstat(next, &st) == 0 && S_ISDIR(st.st_mode)) {
            inputs_note(t->inputs, next, INPUT_ATTRS, NULL);
            add_stat_node(t, next, &st, last ? why : "parent directories");
        } else {
            int kind = add_component(t, next, why, last, &target);
            if (kind < 0)
                return -1;
            if (kind == 1) {
                if (++links > MAX_LINKS) {
                    errno = ELOOP;
                    return -1;
                }
                AUTO_FREE char *full = target[0] == '/' ? str_format("%s%s", target, end)
                                                        : str_format("%s/%s%s", done, target, end);
                return add_path(t, full, why, links, ret_real);
            }
        }
        free(done);
        done = TAKE_PTR(next);
        p = end;
    }
    if (ret_real)
        *ret_real = TAKE_PTR(done);
    return 0;
}

int tree_add_host(struct tree *t, const char *path, const char *why, char **ret_real, struct error *err)
{
    if (add_path(t, path, why, 0, ret_real) < 0) {
        int saved = errno;
        err_errno(err, EXIT_DRUPE, "%s", path);
        errno = saved;
        return -1;
    }
    return 0;
}

static int compare_names(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* Names in a directory, sorted so that the same tree gives the same image. */
static int list_dir(const char *path, struct strv *ret)
{
    DIR *dir = opendir(path);
    if (!dir)
        return -1;
    for (struct dirent *e; (e = readdir(dir));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            strv_add(ret, e->d_name);
    closedir(dir);
    if (ret->count)
        qsort(ret->items, ret->count, sizeof(char *), compare_names);
    return 0;
}

static int add_host_dir(struct tree *t, const char *path, const char *why, bool world_readable_only, unsigned depth,
                        struct error *err)
{
    if (depth > MAX_DEPTH)
        return err_set(err, EXIT_DRUPE, "%s: directories nested too deeply", path);
    if (tree_add_host(t, path, why, NULL, err) < 0)
        return -1;
    inputs_note(t->inputs, path, INPUT_LISTING, NULL);
    struct strv names = {0};
    int result = 0;
    if (list_dir(path, &names) < 0 && !world_readable_only)
        result = err_errno(err, EXIT_DRUPE, "%s", path);
    for (size_t i = 0; i < names.count && result == 0; i++) {
        AUTO_FREE char *child = path_join(path, names.items[i]);
        struct stat st;
        if (lstat(child, &st) < 0)
            continue;
        if (S_ISDIR(st.st_mode)) {
            result = add_host_dir(t, child, why, world_readable_only, depth + 1, err);
            continue;
        }
        if (S_ISREG(st.st_mode) && world_readable_only && !(st.st_mode & S_IROTH))
            continue;
        if (tree_add_host(t, child, why, NULL, err) < 0) {
            bool harmless = errno == EINVAL || S_ISLNK(st.st_mode) || world_readable_only;
            say("left out: %s", err->text);
            result = harmless ? 0 : -1;
        }
    }
    strv_done(&names);
    return result;
}

int tree_add_host_dir(struct tree *t, const char *path, const char *why, bool world_readable_only, struct error *err)
{
    return add_host_dir(t, path, why, world_readable_only, 0, err);
}

static void add_parents(struct tree *t, const char *path)
{
    AUTO_FREE char *parent = path_dirname(path);
    if (strcmp(parent, "/") != 0 && !tree_find(t, parent))
        tree_add_dir(t, parent, 0755, "parent directories");
}

/* `dst` with the symlinks that the image already has in its directories replaced: with
 * /lib -> usr/lib in the image, a file for /lib/x goes to /usr/lib/x. */
static char *through_links(struct tree *t, const char *dst)
{
    AUTO_FREE char *path = path_absolute(dst);
    for (unsigned links = 0; links < MAX_LINKS; links++) {
        bool changed = false;
        for (char *p = strchr(path + 1, '/'); p && !changed; p = strchr(p + 1, '/')) {
            AUTO_FREE char *prefix = xstrndup(path, (size_t)(p - path));
            struct tree_node *n = tree_find(t, prefix);
            if (!n || !S_ISLNK(n->mode))
                continue;
            AUTO_FREE char *parent = path_dirname(prefix);
            AUTO_FREE char *joined = n->data.data[0] == '/' ? str_format("%s%s", n->data.data, p)
                                                            : str_format("%s/%s%s", parent, n->data.data, p);
            free(path);
            path = path_absolute(joined);
            changed = true;
        }
        if (!changed)
            break;
    }
    return TAKE_PTR(path);
}

static int add_as(struct tree *t, const char *source, const char *dst, const char *why, unsigned depth,
                  struct error *err)
{
    struct stat st;
    if (depth > MAX_DEPTH)
        return err_set(err, EXIT_DRUPE, "%s: directories nested too deeply", source);
    if (inputs_note(t->inputs, source, INPUT_WHOLE, &st) < 0)
        return err_errno(err, EXIT_DRUPE, "%s", source);
    AUTO_FREE char *path = through_links(t, dst);
    bool is_root = strcmp(path, "/") == 0;
    struct tree_node *have = is_root ? NULL : tree_find(t, path);
    if (have && S_ISDIR(have->mode) != S_ISDIR(st.st_mode))
        return err_set(err, EXIT_DRUPE, "%s: the image already has something else at %s", source, path);
    add_parents(t, path);
    if (S_ISDIR(st.st_mode)) {
        inputs_note(t->inputs, source, INPUT_LISTING, NULL);
        if (!is_root && !have)
            add_stat_node(t, path, &st, why);
        struct strv names = {0};
        int result = list_dir(source, &names) < 0 ? err_errno(err, EXIT_DRUPE, "%s", source) : 0;
        for (size_t i = 0; i < names.count && result == 0; i++) {
            AUTO_FREE char *from = path_join(source, names.items[i]);
            AUTO_FREE char *to = path_join(path, names.items[i]);
            result = add_as(t, from, to, why, depth + 1, err);
        }
        strv_done(&names);
        return result;
    }
    if (!S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode)) {
        say("left out: %s is neither file, directory nor symlink", source);
        return 0;
    }
    struct buf target = {0};
    if (S_ISREG(st.st_mode) ? access(source, R_OK) < 0 : read_link(source, &target) < 0)
        return err_errno(err, EXIT_DRUPE, "%s", source);
    if (have) { /* what the user asks for wins over what we found */
        have->why = intern(t, why);
        have->mode = st.st_mode;
        have->dev = have->ino = 0;
        buf_done(&have->data);
        free(have->source);
        have->source = NULL;
        have->mtime = st.st_mtim;
        t->total_bytes += (u64)st.st_size - have->size;
        have->size = (u64)st.st_size;
    } else {
        have = add_stat_node(t, path, &st, why);
    }
    if (S_ISREG(st.st_mode))
        have->source = xstrdup(source);
    else
        have->data = target;
    return 0;
}

int tree_add_as(struct tree *t, const char *source, const char *dst, const char *why, struct error *err)
{
    AUTO_FREE char *real = realpath(source, NULL);
    if (!real)
        return err_errno(err, EXIT_DRUPE, "%s", source);
    inputs_note(t->inputs, source, INPUT_WHOLE, NULL);
    return add_as(t, real, dst, why, 0, err);
}

bool tree_add_dir(struct tree *t, const char *dst, u32 mode, const char *why)
{
    AUTO_FREE char *path = through_links(t, dst);
    if (tree_find(t, path))
        return false;
    add_parents(t, path);
    add_node(t, path, S_IFDIR | mode, why);
    return true;
}

bool tree_add_data(struct tree *t, const char *dst, u32 mode, const void *data, size_t len, const char *why)
{
    AUTO_FREE char *path = through_links(t, dst);
    if (tree_find(t, path))
        return false;
    add_parents(t, path);
    struct tree_node *n = add_node(t, path, S_IFREG | mode, why);
    buf_add(&n->data, data, len);
    n->size = len;
    t->total_bytes += len;
    return true;
}

bool tree_add_link(struct tree *t, const char *dst, const char *target, const char *why)
{
    AUTO_FREE char *path = through_links(t, dst);
    if (tree_find(t, path))
        return false;
    add_parents(t, path);
    struct tree_node *n = add_node(t, path, S_IFLNK | 0777, why);
    buf_add(&n->data, target, strlen(target));
    return true;
}

/* --- staging ---------------------------------------------------------------- */

static int stage_file(struct tree_node *n, int root_fd, const char *rel, struct map *links)
{
    AUTO_FREE char *inode = NULL;
    if (n->ino) {
        inode = str_format("%llu:%llu", (unsigned long long)n->dev, (unsigned long long)n->ino);
        const char *first = map_get(links, inode);
        if (first)
            return linkat(root_fd, first, root_fd, rel, 0);
    }
    AUTO_CLOSE int to = openat(root_fd, rel, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (to < 0)
        return -1;
    if (n->source) {
        AUTO_CLOSE int from = open(n->source, O_RDONLY | O_CLOEXEC);
        if (from < 0 || fd_copy(from, to) < 0)
            return -1;
    } else if (fd_write_all(to, n->data.data, n->data.len) < 0) {
        return -1;
    }
    if (geteuid() == 0 && (n->uid || n->gid) && fchown(to, n->uid, n->gid) < 0)
        return -1;
    struct timespec times[2] = {n->mtime, n->mtime};
    if (fchmod(to, n->mode & 07777) < 0 || futimens(to, times) < 0)
        return -1;
    if (inode)
        map_put(links, inode, n->path + 1);
    return 0;
}

static int stage_node(struct tree_node *n, int root_fd, struct map *links)
{
    const char *rel = n->path + 1;
    if (S_ISDIR(n->mode))
        return mkdirat(root_fd, rel, 0700);
    if (S_ISREG(n->mode))
        return stage_file(n, root_fd, rel, links);
    struct timespec times[2] = {n->mtime, n->mtime};
    if (symlinkat(n->data.data, root_fd, rel) < 0)
        return -1;
    if (geteuid() == 0 && (n->uid || n->gid) && fchownat(root_fd, rel, n->uid, n->gid, AT_SYMLINK_NOFOLLOW) < 0)
        return -1;
    return utimensat(root_fd, rel, times, AT_SYMLINK_NOFOLLOW);
}

int tree_stage(struct tree *t, const char *root, struct error *err)
{
    AUTO_CLOSE int root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0)
        return err_errno(err, EXIT_DRUPE, "%s", root);
    struct map links = {0};
    int result = 0;
    list_for_each(n, &t->nodes, struct tree_node, link) {
        if (stage_node(n, root_fd, &links) < 0) {
            result = err_errno(err, EXIT_DRUPE, "cannot put %s into the image, which is made in %s", n->source ? n->source : n->path, root);
            break;
        }
    }
    /* Directories last and backwards: a closed or read-only one would refuse its children. */
    for (struct list *l = t->nodes.prev; l != &t->nodes && result == 0; l = l->prev) {
        struct tree_node *n = list_entry(l, struct tree_node, link);
        if (!S_ISDIR(n->mode))
            continue;
        struct timespec times[2] = {n->mtime, n->mtime};
        if ((geteuid() == 0 && (n->uid || n->gid) && fchownat(root_fd, n->path + 1, n->uid, n->gid, 0) < 0) ||
            utimensat(root_fd, n->path + 1, times, 0) < 0 || fchmodat(root_fd, n->path + 1, n->mode & 07777, 0) < 0)
            result = err_errno(err, EXIT_DRUPE, "cannot put %s into the image", n->path);
    }
    map_done(&links, NULL);
    return result;
}

struct reason_sum {
    const char *why;
    u64 files, bytes;
};

static int compare_sums(const void *a, const void *b)
{
    const struct reason_sum *x = a, *y = b;
    return x->bytes < y->bytes ? 1 : x->bytes > y->bytes ? -1 : 0;
}

void tree_report(struct tree *t)
{
    AUTO_FREE struct reason_sum *sums = xalloc((t->reasons.count + 1) * sizeof(*sums));
    size_t count = 0;
    list_for_each(n, &t->nodes, struct tree_node, link) {
        size_t i = 0;
        while (i < count && sums[i].why != n->why)
            i++;
        if (i == count)
            sums[count++].why = n->why;
        sums[i].files++;
        sums[i].bytes += n->size;
    }
    qsort(sums, count, sizeof(*sums), compare_sums);
    say("image: %llu bytes in %zu entries", (unsigned long long)t->total_bytes, t->by_path.count);
    for (size_t i = 0; i < count; i++)
        say("  %10llu bytes %5llu entries  %s", (unsigned long long)sums[i].bytes, (unsigned long long)sums[i].files,
            sums[i].why);
}
