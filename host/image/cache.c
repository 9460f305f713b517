/* SPDX-License-Identifier: Apache-2.0 */
/* The image cache: see cache.h. */
#include "host/image/cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>

#include "base/checked.h"
#include "host/lib/fs.h"

#define META_MAGIC "DRUPEIM2"
#define MAX_META_BYTES (64u << 20)
#define DEFAULT_LIMIT_BYTES ((u64)2 << 30)
#define LOCKS 64

struct meta_header {
    char magic[8];
    u64 request_len, records_len;
    u64 image_size, image_ino, image_mtime_ns;
};

static u64 mtime_ns(const struct stat *st) { return (u64)st->st_mtim.tv_sec * 1000000000ull + (u64)st->st_mtim.tv_nsec; }

char *cache_directory(void)
{
    const char *own = getenv("DRUPE_CACHE"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (own && *own == '/')
        return xstrdup(own);
    if (xdg && *xdg == '/')
        return path_join(xdg, "drupe");
    if (geteuid() == 0)
        return xstrdup("/var/cache/drupe");
    return home && *home == '/' ? path_join(home, ".cache/drupe") : NULL;
}

/* Can somebody else change what has this name? Users have groups of their own. */
static bool is_open_to_others(const char *path)
{
    struct stat st;
    return stat(path, &st) < 0 || (st.st_uid != geteuid() && st.st_uid != 0) || st.st_mode & 002 ||
           (st.st_mode & 020 && st.st_gid != getegid() && st.st_gid != 0);
}

/* Nobody else can put an image into it, or another directory in its place; errno says EPERM. */
static bool is_ours(const char *dir)
{
    AUTO_FREE char *path = realpath(dir, NULL);
    AUTO_FREE char *parent = path ? path_dirname(path) : NULL;
    struct stat st;
    bool sticky = parent && stat(parent, &st) == 0 && st.st_mode & S_ISVTX;
    if (path && !is_open_to_others(path) && (sticky || !is_open_to_others(parent)))
        return true;
    errno = EPERM;
    return false;
}

static bool can_write(const char *dir) { return access(dir, W_OK) == 0 || (make_dirs(dir, 0700) == 0 && access(dir, W_OK) == 0); }

/* For who has no home, or one that cannot be written: ours alone, whoever else may write in /tmp. NULL with errno. */
static char *place_in_tmp(void)
{
    AUTO_FREE char *path = str_format("/tmp/drupe-cache-%u", geteuid());
    struct stat st;
    if ((mkdir(path, 0700) < 0 && errno != EEXIST) || lstat(path, &st) < 0)
        return NULL;
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || st.st_mode & 077) {
        errno = EPERM;
        return NULL;
    }
    return TAKE_PTR(path);
}

int cache_open(struct cache *c, struct error *err)
{
    const char *own = getenv("DRUPE_CACHE");
    c->dir = cache_directory();
    if (c->dir && can_write(c->dir) && is_ours(c->dir))
        return 0;
    if (c->dir && own && strcmp(own, c->dir) == 0)
        return err_errno(err, EXIT_DRUPE, "image cache %s%s", c->dir, errno == EPERM ? ", which others may change, or what it lies in" : "");
    char *other = place_in_tmp();
    if (!other)
        return err_errno(err, EXIT_DRUPE, "no place for the image cache: neither %s nor /tmp/drupe-cache-%u; name a directory by DRUPE_CACHE",
                         c->dir ? c->dir : "HOME", geteuid());
    say("image: the cache is in %s, because %s cannot be written, or by others, too", other, c->dir ? c->dir : "HOME");
    free(c->dir);
    c->dir = other;
    return 0;
}

void cache_done(struct cache *c)
{
    free(c->dir);
    buf_done(&c->request);
}

void cache_set_key(struct cache *c)
{
    snprintf(c->key, sizeof(c->key), "%016llx%016llx", (unsigned long long)hash_bytes(c->request.data, c->request.len, 1),
             (unsigned long long)hash_bytes(c->request.data, c->request.len, 0x9e3779b97f4a7c15ull));
}

static bool meta_matches(struct cache *c, const struct buf *meta, const struct stat *image)
{
    struct meta_header h;
    if (meta->len < sizeof(h))
        return false;
    memcpy(&h, meta->data, sizeof(h));
    if (memcmp(h.magic, META_MAGIC, 8) != 0 || h.request_len != c->request.len ||
        !range_inside(sizeof(h), h.request_len, meta->len) || h.records_len != meta->len - sizeof(h) - h.request_len)
        return false;
    const char *body = meta->data + sizeof(h);
    return memcmp(body, c->request.data, c->request.len) == 0 && h.image_size == (u64)image->st_size &&
           h.image_ino == image->st_ino && h.image_mtime_ns == mtime_ns(image) &&
           inputs_unchanged(body + h.request_len, h.records_len);
}

int cache_lookup(struct cache *c)
{
    AUTO_FREE char *image_path = str_format("%s/%s.img", c->dir, c->key);
    AUTO_FREE char *meta_path = str_format("%s/%s.meta", c->dir, c->key);
    AUTO_CLOSE int meta_fd = open(meta_path, O_RDONLY | O_CLOEXEC);
    AUTO_CLOSE int fd = meta_fd < 0 ? -1 : open(image_path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    struct buf meta = {0};
    if (fd < 0 || fstat(fd, &st) < 0 || file_read_fd(meta_fd, MAX_META_BYTES, &meta) < 0)
        return -1;
    bool good = meta_matches(c, &meta, &st);
    buf_done(&meta);
    if (!good)
        return -1;
    futimens(meta_fd, NULL);
    return TAKE_FD(fd);
}

static int lock_file(const char *path, struct error *err)
{
    AUTO_CLOSE int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, EXIT_DRUPE, "%s", path);
    while (flock(fd, LOCK_EX) < 0)
        if (errno != EINTR)
            return err_errno(err, EXIT_DRUPE, "%s", path);
    return TAKE_FD(fd);
}

int cache_lock(struct cache *c, struct error *err)
{
    AUTO_FREE char *path =
        str_format("%s/lock.%02u", c->dir, (unsigned)(hash_bytes(c->key, strlen(c->key), 0) % LOCKS));
    return lock_file(path, err);
}

/* Under the directory lock: makers create and lock their tmp directory under it, too. */
static void remove_leftovers(struct cache *c)
{
    DIR *dir = opendir(c->dir);
    if (!dir)
        return;
    for (struct dirent *e; (e = readdir(dir));) {
        if (!str_has_prefix(e->d_name, "tmp."))
            continue;
        AUTO_CLOSE int fd = openat(dirfd(dir), e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
            remove_tree(dirfd(dir), e->d_name);
    }
    closedir(dir);
}

int cache_make_tmp(struct cache *c, char **ret_path, int *ret_lock, struct error *err)
{
    AUTO_FREE char *dir_lock = path_join(c->dir, "lock.dir");
    AUTO_CLOSE int guard = lock_file(dir_lock, err);
    if (guard < 0)
        return -1;
    remove_leftovers(c);
    AUTO_FREE char *path = path_join(c->dir, "tmp.XXXXXX");
    if (!mkdtemp(path))
        return err_errno(err, EXIT_DRUPE, "image cache %s", c->dir);
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
        return err_errno(err, EXIT_DRUPE, "%s", path);
    *ret_path = TAKE_PTR(path);
    *ret_lock = TAKE_FD(fd);
    return 0;
}

struct entry {
    char *key;
    u64 size, used_ns;
};

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return x->used_ns < y->used_ns ? -1 : x->used_ns > y->used_ns;
}

/* Drop the longest unused until the rest fits. */
static void enforce_limit(struct cache *c)
{
    u64 limit = DEFAULT_LIMIT_BYTES, total = 0;
    const char *text = getenv("DRUPE_CACHE_SIZE");
    if (text && parse_size(text, 1, &limit) < 0)
        warn("DRUPE_CACHE_SIZE=%s is no size; using 2G", text);
    DIR *dir = opendir(c->dir);
    if (!dir)
        return;
    struct entry *entries = NULL;
    size_t count = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        struct stat image, meta;
        if (!str_has_suffix(e->d_name, ".img") || fstatat(dirfd(dir), e->d_name, &image, 0) < 0)
            continue;
        AUTO_FREE char *key = xstrndup(e->d_name, strlen(e->d_name) - 4);
        AUTO_FREE char *meta_name = str_format("%s.meta", key);
        u64 used = fstatat(dirfd(dir), meta_name, &meta, 0) == 0 ? mtime_ns(&meta) : mtime_ns(&image);
        entries = xrealloc(entries, (count + 1) * sizeof(*entries));
        entries[count++] = (struct entry){TAKE_PTR(key), (u64)image.st_size, used};
        total += (u64)image.st_size;
    }
    if (count)
        qsort(entries, count, sizeof(*entries), compare_entries);
    for (size_t i = 0; i < count; i++) {
        if (total > limit && strcmp(entries[i].key, c->key) != 0) {
            AUTO_FREE char *meta = str_format("%s.meta", entries[i].key);
            AUTO_FREE char *image = str_format("%s.img", entries[i].key);
            unlinkat(dirfd(dir), meta, 0);
            unlinkat(dirfd(dir), image, 0);
            total -= entries[i].size;
        }
        free(entries[i].key);
    }
    free(entries);
    closedir(dir);
}

int cache_publish(struct cache *c, const char *image_path, const struct inputs *in, struct error *err)
{
    AUTO_FREE char *image = str_format("%s/%s.img", c->dir, c->key);
    AUTO_FREE char *meta = str_format("%s/%s.meta", c->dir, c->key);
    AUTO_FREE char *new_meta = str_format("%s.meta", image_path);
    AUTO_CLOSE int fd = open(image_path, O_RDONLY | O_CLOEXEC);
    AUTO_CLOSE int meta_fd = open(new_meta, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    struct stat st;
    if (fd < 0 || meta_fd < 0 || fstat(fd, &st) < 0)
        return err_errno(err, EXIT_DRUPE, "%s", image_path);
    struct meta_header h = {.request_len = c->request.len, .records_len = in->records.len,
                            .image_size = (u64)st.st_size, .image_ino = st.st_ino, .image_mtime_ns = mtime_ns(&st)};
    memcpy(h.magic, META_MAGIC, 8);
    if (fd_write_all(meta_fd, &h, sizeof(h)) < 0 || fd_write_all(meta_fd, c->request.data, c->request.len) < 0 ||
        fd_write_all(meta_fd, in->records.data, in->records.len) < 0 || rename(image_path, image) < 0 ||
        rename(new_meta, meta) < 0)
        return err_errno(err, EXIT_DRUPE, "image cache %s", c->dir);
    enforce_limit(c);
    return TAKE_FD(fd);
}
