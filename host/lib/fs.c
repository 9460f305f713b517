/* SPDX-License-Identifier: Apache-2.0 */
/* Files and paths: see fs.h. */
#include "host/lib/fs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>

char *path_absolute(const char *path)
{
    AUTO_FREE char *cwd = NULL;
    struct buf in = {0};
    if (path[0] != '/') {
        cwd = getcwd(NULL, 0);
        buf_addf(&in, "%s/", cwd ? cwd : "");
    }
    buf_addf(&in, "%s", path);
    char *out = xalloc(in.len + 2);
    size_t n = 0;
    for (const char *p = in.data; *p;) {
        const char *end = strchrnul(p, '/');
        size_t len = (size_t)(end - p);
        if (len == 2 && p[0] == '.' && p[1] == '.') {
            while (n && out[--n] != '/')
                ;
        } else if (len && !(len == 1 && p[0] == '.')) {
            out[n++] = '/';
            memcpy(out + n, p, len);
            n += len;
        }
        p = *end ? end + 1 : end;
    }
    if (!n)
        out[n++] = '/';
    out[n] = 0;
    buf_done(&in);
    return out;
}

char *path_join(const char *dir, const char *name)
{
    while (*name == '/')
        name++;
    return str_format("%s%s%s", dir, str_has_suffix(dir, "/") ? "" : "/", name);
}

char *path_dirname(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return xstrdup(".");
    return slash == path ? xstrdup("/") : xstrndup(path, (size_t)(slash - path));
}

const char *path_basename(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

bool path_is_inside(const char *path, const char *dir)
{
    size_t n = strlen(dir);
    if (n == 1 && dir[0] == '/')
        return true;
    return strncmp(path, dir, n) == 0 && (path[n] == 0 || path[n] == '/');
}

int file_read_fd(int fd, size_t max_len, struct buf *ret)
{
    struct stat st;
    struct buf b = {0};
    size_t chunk = fstat(fd, &st) == 0 && st.st_size > 0 && (u64)st.st_size <= max_len ? (size_t)st.st_size + 1 : 4096;
    b.capacity = chunk + 1;
    b.data = xalloc(b.capacity);
    for (;;) {
        if (b.len + 1 >= b.capacity) {
            b.capacity *= 2;
            b.data = xrealloc(b.data, b.capacity);
        }
        ssize_t n = read(fd, b.data + b.len, b.capacity - b.len - 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 || (n > 0 && (b.len += (size_t)n) > max_len)) {
            int saved = n < 0 ? errno : EFBIG;
            buf_done(&b);
            errno = saved;
            return -1;
        }
        if (n == 0)
            break;
    }
    b.data[b.len] = 0;
    *ret = b;
    return 0;
}

int file_read(const char *path, size_t max_len, struct buf *ret)
{
    AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -1 : file_read_fd(fd, max_len, ret);
}

int open_regular(const char *path)
{
    struct stat st;
    char by_fd[40];
    AUTO_CLOSE int place = open(path, O_PATH | O_CLOEXEC);
    if (place < 0 || fstat(place, &st) < 0)
        return -1;
    if (!S_ISREG(st.st_mode)) {
        errno = EINVAL;
        return -1;
    }
    snprintf(by_fd, sizeof(by_fd), "/proc/self/fd/%d", place);
    return open(by_fd, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
}

int fd_write_all(int fd, const void *data, size_t len)
{
    const char *p = data;
    while (len) {
        ssize_t n = write(fd, p, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        p += n;
        len -= (size_t)n;
    }
    return 0;
}

int fd_copy(int from, int to)
{
    if (ioctl(to, FICLONE, from) == 0)
        return 0;
    bool in_kernel = true;
    for (;;) {
        ssize_t n;
        char bytes[65536];
        if (in_kernel) {
            n = copy_file_range(from, NULL, to, NULL, (size_t)1 << 30, 0);
            if (n < 0 && errno != ENOSPC && errno != EIO && errno != EINTR) {
                in_kernel = false;
                continue;
            }
        } else {
            n = read(from, bytes, sizeof(bytes));
            if (n > 0 && fd_write_all(to, bytes, (size_t)n) < 0)
                return -1;
        }
        if (n == 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return -1;
    }
}

int make_dirs(const char *path, mode_t mode)
{
    AUTO_FREE char *copy = xstrdup(path);
    for (char *p = copy + 1;; p++) {
        if (*p && *p != '/')
            continue;
        char saved = *p;
        *p = 0;
        if (mkdir(copy, mode) < 0 && errno != EEXIST)
            return -1;
        if (!saved)
            return 0;
        *p = '/';
    }
}

int remove_tree(int dir_fd, const char *name)
{
    if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -1;
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == EACCES && fchmodat(dir_fd, name, 0700, 0) == 0)
        fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -1;
    fchmod(fd, 0700);
    DIR *dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return -1;
    }
    int result = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && remove_tree(fd, e->d_name) < 0)
            result = -1;
    }
    closedir(dir);
    return unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 ? -1 : result;
}

char *find_in_path(const char *name)
{
    const char *path = getenv("PATH");
    if (!path || !*path)
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    for (const char *p = path;; p++) {
        const char *end = strchrnul(p, ':');
        AUTO_FREE char *dir = end == p ? xstrdup(".") : xstrndup(p, (size_t)(end - p));
        AUTO_FREE char *joined = path_join(dir, name);
        struct stat st;
        if (stat(joined, &st) == 0 && S_ISREG(st.st_mode) && access(joined, X_OK) == 0)
            return path_absolute(joined);
        if (!*end)
            break;
        p = end;
    }
    /* Servers live where an ordinary user's PATH does not look. */
    static const char *const more[] = {"/usr/local/sbin", "/usr/sbin", "/sbin"};
    for (size_t i = 0; i < ARRAY_SIZE(more); i++) {
        AUTO_FREE char *joined = path_join(more[i], name);
        struct stat st;
        if (stat(joined, &st) == 0 && S_ISREG(st.st_mode) && access(joined, X_OK) == 0)
            return TAKE_PTR(joined);
    }
    return NULL;
}

int memory_file(const char *name, const void *data, size_t len)
{
    AUTO_CLOSE int fd = memfd_create(name, MFD_CLOEXEC);
    if (fd < 0 || fd_write_all(fd, data, len) < 0 || lseek(fd, 0, SEEK_SET) < 0)
        return -1;
    return TAKE_FD(fd);
}

int set_cloexec(int fd, bool on) { return fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0); }
