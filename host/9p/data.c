/* SPDX-License-Identifier: Apache-2.0 */
/* Reading, writing, attributes: see server.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "host/9p/server.h"

#define SETTLED_SEC 2 /* the coarsest clock of a file system's */
#define MIN(a, b) ((a) < (b) ? (a) : (b))

int do_lopen(struct server *s, struct p9_in *in, struct p9_out *out)
{
    struct stat st;
    struct fid *f;
    int problem = get_fid(s, in, &f);
    u32 flags = p9_get32(in) & (O_ACCMODE | O_SYNC);
    if (problem || in->bad || f->opened)
        return problem ? problem : EBADF;
    if (!S_ISREG(f->mode) && !S_ISDIR(f->mode))
        return EACCES; /* opening a device or a pipe of the host may do anything */
    if (s->read_only && (flags & O_ACCMODE) != O_RDONLY)
        return EROFS;
    int fd = open(fid_path(f).text, (int)flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return errno;
    close(f->fd);
    f->fd = fd;
    f->opened = true;
    if (fstat(fd, &st) < 0)
        return errno;
    problem = put_qid(s, &st, out);
    p9_put32(out, 0);
    return problem;
}

/* Room for data behind what was written and a count; asked for by the client. */
static u32 data_room(const struct p9_out *out, u32 wanted)
{
    size_t used = out->len + 4;
    return used < out->room ? (u32)MIN(wanted, out->room - used) : 0;
}

int do_read(struct server *s, struct p9_in *in, struct p9_out *out)
{
    struct fid *f = fid_get(s, p9_get32(in));
    u64 offset = p9_get64(in);
    u32 count = data_room(out, p9_get32(in));
    u8 *data = out->start + out->len + 4;
    ssize_t n;
    if (!f || in->bad || (!f->value && !f->opened))
        return EBADF;
    if (f->value) {
        n = offset < f->value->size ? (ssize_t)MIN(count, f->value->size - offset) : 0;
        memcpy(data, f->value->data + (n > 0 ? offset : 0), (size_t)n);
    } else {
        n = pread(f->fd, data, count, (off_t)offset);
    }
    if (n < 0)
        return errno;
    p9_put32(out, (u32)n);
    out->len += (size_t)n;
    return 0;
}

static int write_value(struct value *v, u64 offset, const u8 *data, u32 count)
{
    if (!v->setting || offset != v->filled || count > v->size - v->filled)
        return EINVAL;
    memcpy(v->data + v->filled, data, count);
    v->filled += count;
    return 0;
}

int do_write(struct server *s, struct p9_in *in, struct p9_out *out)
{
    struct fid *f = fid_get(s, p9_get32(in));
    u64 offset = p9_get64(in);
    u32 count = p9_get32(in);
    const u8 *data = p9_take(in, count);
    ssize_t n = count;
    if (!f || !data || (!f->value && !f->opened))
        return !f || data ? EBADF : EINVAL;
    if (f->value) {
        int problem = write_value(f->value, offset, data, count);
        if (problem)
            return problem;
    } else if (offset == P9_APPEND) {
        struct iovec iov = {(void *)data, count};
        n = pwritev2(f->fd, &iov, 1, -1, RWF_APPEND);
    } else {
        n = pwrite(f->fd, data, count, (off_t)offset);
    }
    if (n < 0)
        return errno;
    p9_put32(out, (u32)n);
    return 0;
}

struct entry { /* struct linux_dirent64 */
    u64 ino;
    s64 next;
    u16 size;
    u8 type;
    char name[];
} __attribute__((packed));

/* Only the number matters to who lists names: what a name means a walk tells. */
static void put_entry(struct p9_out *out, const struct entry *e, size_t n)
{
    p9_put8(out, e->type == DT_DIR ? P9_QID_DIR : e->type == DT_LNK ? P9_QID_SYMLINK : 0);
    p9_put32(out, 0);
    p9_put64(out, e->ino);
    p9_put64(out, (u64)e->next);
    p9_put8(out, e->type);
    p9_put_string(out, e->name, n);
}

/* Names that are there without being listed: where one directory's case does not matter, none of the file system has a version any more. */
static void look_for_folded_names(struct server *s, const struct fid *f)
{
    struct stat st;
    struct device *device;
    int flags = 0;
    if (ioctl(f->fd, FS_IOC_GETFLAGS, &flags) == 0 && (flags & FS_CASEFOLD_FL) != 0 && fstat(f->fd, &st) == 0 &&
        (device = device_of(s, &st)) != NULL)
        device->times = TIMES_SILENT;
}

int do_readdir(struct server *s, struct p9_in *in, struct p9_out *out)
{
    static _Alignas(16) u8 buf[65536];
    struct fid *f;
    int problem = get_fid(s, in, &f);
    u64 offset = p9_get64(in);
    u32 count = data_room(out, p9_get32(in));
    if (problem || in->bad || !f->opened || !S_ISDIR(f->mode))
        return problem ? problem : EBADF;
    if (lseek(f->fd, (off_t)offset, SEEK_SET) < 0)
        return errno;
    if (offset == 0)
        look_for_folded_names(s, f);
    /* An entry in a reply is never twice as long as in here. */
    long n = syscall(SYS_getdents64, f->fd, buf, MIN(count / 2 < 280 ? count : count / 2, sizeof(buf)));
    if (n < 0)
        return errno;
    size_t at = out->len;
    p9_put32(out, 0);
    for (long k = 0; k < n;) {
        const struct entry *e = (const void *)(buf + k);
        size_t length = strlen(e->name);
        if (24 + length > count - (out->len - at - 4))
            break;
        put_entry(out, e, length);
        k += e->size;
    }
    put_u32(out->start + at, (u32)(out->len - at - 4));
    return n > 0 && out->len == at + 4 ? EINVAL : 0;
}

int do_fsync(struct server *s, struct p9_in *in, struct p9_out *out)
{
    struct fid *f;
    int problem = get_fid(s, in, &f);
    bool data_only = p9_get32(in) != 0;
    if (problem || in->bad || !f->opened)
        return problem ? problem : EBADF;
    return (data_only ? fdatasync(f->fd) : fsync(f->fd)) < 0 ? errno : 0;
}

int do_allocate(struct server *s, struct p9_in *in, struct p9_out *out)
{
    struct fid *f;
    int problem = get_fid(s, in, &f);
    u32 mode = p9_get32(in);
    u64 offset = p9_get64(in), length = p9_get64(in);
    if (problem || in->bad || !f->opened)
        return problem ? problem : EBADF;
    return fallocate(f->fd, (int)mode, (off_t)offset, (off_t)length) < 0 ? errno : 0;
}

/* Data and writes name their places; of directories the position is Treaddir's. */
int do_seek(struct server *s, struct p9_in *in, struct p9_out *out)
{
    struct fid *f;
    int problem = get_fid(s, in, &f);
    u32 whence = p9_get32(in);
    u64 offset = p9_get64(in);
    if (problem || in->bad || !f->opened)
        return problem ? problem : EBADF;
    if (!S_ISREG(f->mode) || (whence != SEEK_DATA && whence != SEEK_HOLE))
        return EINVAL;
    off_t at = lseek(f->fd, (off_t)offset, (int)whence);
    if (at < 0)
        return errno;
    p9_put64(out, (u64)at);
    return 0;
}

int do_statfs(struct server *s, struct p9_in *in, struct p9_out *out)
{
    struct statfs st;
    struct fid *f;
    int problem = get_fid(s, in, &f);
    if (problem)
        return problem;
    if (fstatfs(f->fd, &st) < 0)
        return errno;
    p9_put32(out, (u32)st.f_type);
    p9_put32(out, (u32)st.f_bsize);
    p9_put64(out, st.f_blocks);
    p9_put64(out, st.f_bfree);
    p9_put64(out, st.f_bavail);
    p9_put64(out, st.f_files);
    p9_put64(out, st.f_ffree);
    u64 id;
    memcpy(&id, &st.f_fsid, sizeof(id));
    p9_put64(out, id);
    p9_put32(out, (u32)st.f_namelen);
    return 0;
}

/*
 * File systems of this computer that give a directory another time of change whenever names in it come, go or change. Others make names as they are
 * asked for (procfs, autofs), hear of changes later (NFS), or do it for some directories only (kernfs).
 */
static bool times_tell(const struct fid *f)
{
    static const u32 types[] = {EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC, F2FS_SUPER_MAGIC, TMPFS_MAGIC, OVERLAYFS_SUPER_MAGIC};
    struct statfs st;
    if (fstatfs(f->fd, &st) < 0)
        return false;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if ((u32)st.f_type == types[i])
            return true;
    return false;
}

/*
 * A directory's version (abi/p9.h): its time of change, once that is so long ago that a change now would make another one even
 * where clocks are coarse.
 */
static u64 names_version(struct server *s, const struct fid *f, const struct stat *st)
{
    struct timespec now;
    struct device *device = device_of(s, st);
    if (!S_ISDIR(st->st_mode) || !device || device->times == TIMES_SILENT)
        return 0;
    if (device->times == TIMES_UNKNOWN)
        device->times = times_tell(f) ? TIMES_TELL : TIMES_SILENT;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (device->times == TIMES_SILENT || now.tv_sec - st->st_ctim.tv_sec <= SETTLED_SEC)
        return 0;
    return (u64)st->st_ctim.tv_sec * 1000000000 + (u64)st->st_ctim.tv_nsec;
}

static void put_time(struct p9_out *out, s64 sec, u32 nsec)
{
    p9_put64(out, (u64)sec);
    p9_put64(out, nsec);
}

int do_getattr(struct server *s, struct p9_in *in, struct p9_out *out)
{
    struct stat st;
    struct statx sx;
    struct fid *f;
    int problem = get_fid(s, in, &f);
    p9_get64(in);
    if (problem || in->bad)
        return problem ? problem : EINVAL;
    if (fstat(f->fd, &st) < 0)
        return errno;
    bool born = statx(f->fd, "", AT_EMPTY_PATH, STATX_BTIME, &sx) == 0 && (sx.stx_mask & STATX_BTIME) != 0;
    p9_put64(out, P9_GETATTR_BASIC | (born ? P9_GETATTR_BTIME : 0));
    problem = put_qid(s, &st, out);
    if (problem)
        return problem;
    p9_put32(out, st.st_mode);
    p9_put32(out, st.st_uid);
    p9_put32(out, st.st_gid);
    p9_put64(out, st.st_nlink);
    p9_put64(out, st.st_rdev);
    p9_put64(out, (u64)st.st_size);
    p9_put64(out, (u64)st.st_blksize);
    p9_put64(out, (u64)st.st_blocks);
    put_time(out, st.st_atim.tv_sec, (u32)st.st_atim.tv_nsec);
    put_time(out, st.st_mtim.tv_sec, (u32)st.st_mtim.tv_nsec);
    put_time(out, st.st_ctim.tv_sec, (u32)st.st_ctim.tv_nsec);
    put_time(out, born ? sx.stx_btime.tv_sec : 0, born ? sx.stx_btime.tv_nsec : 0);
    p9_put64(out, 0);
    p9_put64(out, names_version(s, f, &st));
    return 0;
}

struct attrs {
    u32 valid, mode, uid, gid;
    u64 size;
    struct timespec times[2];
};

static struct timespec get_time(struct p9_in *in, u32 valid, u32 bit, u32 set_bit)
{
    u64 sec = p9_get64(in), nsec = p9_get64(in);
    if ((valid & bit) == 0)
        return (struct timespec){0, UTIME_OMIT};
    if ((valid & set_bit) == 0)
        return (struct timespec){0, UTIME_NOW};
    return (struct timespec){(time_t)sec, (long)(nsec % 1000000000)};
}

static int set_attrs(const struct fid *f, const struct attrs *a)
{
    struct fid_path path = fid_path(f);
    bool uid = (a->valid & P9_SETATTR_UID) != 0, gid = (a->valid & P9_SETATTR_GID) != 0;
    if ((a->valid & P9_SETATTR_SIZE) != 0) {
        if (!S_ISREG(f->mode) || a->size > INT64_MAX)
            return EINVAL;
        /* an open fid may be for reading only; a file may deny writing to whom it did not when it was opened */
        if ((!f->opened || ftruncate(f->fd, (off_t)a->size) < 0) && truncate(path.text, (off_t)a->size) < 0)
            return errno;
    }
    if ((uid || gid) && fchownat(f->fd, "", uid ? a->uid : (uid_t)-1, gid ? a->gid : (gid_t)-1, AT_EMPTY_PATH) < 0)
        return errno;
    /* after the owner, because that takes the set-ID bits */
    if ((a->valid & P9_SETATTR_MODE) != 0 && chmod(path.text, a->mode & 07777) < 0)
        return errno;
    if ((a->valid & (P9_SETATTR_ATIME | P9_SETATTR_MTIME)) != 0 && utimensat(AT_FDCWD, path.text, a->times, 0) < 0)
        return errno;
    return 0;
}

int do_setattr(struct server *s, struct p9_in *in, struct p9_out *out)
{
    struct attrs a;
    struct fid *f;
    int problem = get_fid(s, in, &f);
    a.valid = p9_get32(in);
    a.mode = p9_get32(in);
    a.uid = p9_get32(in);
    a.gid = p9_get32(in);
    a.size = p9_get64(in);
    a.times[0] = get_time(in, a.valid, P9_SETATTR_ATIME, P9_SETATTR_ATIME_SET);
    a.times[1] = get_time(in, a.valid, P9_SETATTR_MTIME, P9_SETATTR_MTIME_SET);
    if (problem || in->bad)
        return problem ? problem : EINVAL;
    return set_attrs(f, &a);
}

int do_readlink(struct server *s, struct p9_in *in, struct p9_out *out)
{
    char target[PATH_MAX];
    struct fid *f;
    int problem = get_fid(s, in, &f);
    if (problem)
        return problem;
    ssize_t n = readlinkat(f->fd, "", target, sizeof(target));
    if (n < 0)
        return errno == ENOENT ? EINVAL : errno;
    if ((size_t)n + 2 > out->room - out->len)
        return ENAMETOOLONG;
    p9_put_string(out, target, (size_t)n);
    return 0;
}

/* --- extended attributes ---------------------------------------------------------------- */

static bool is_visible(const char *name) { return strncmp(name, "user.", 5) == 0 && name[5] != 0; }

/* The names a client may see, of a list in place. */
static u32 only_visible(char *list, size_t n)
{
    size_t kept = 0;
    for (size_t k = 0; k < n;) {
        size_t one = strnlen(list + k, n - k) + 1;
        if (k + one <= n && is_visible(list + k)) {
            memmove(list + kept, list + k, one);
            kept += one;
        }
        k += one;
    }
    return (u32)kept;
}

int do_xattrwalk(struct server *s, struct p9_in *in, struct p9_out *out)
{
    static char value[SERVER_XATTR_MAX];
    char name[256];
    struct fid *f, *x;
    int problem = get_fid(s, in, &f);
    u32 number = p9_get32(in);
    p9_get_string(in, name, sizeof(name));
    if (problem || in->bad)
        return problem ? problem : EINVAL;
    if (name[0] && !is_visible(name))
        return EOPNOTSUPP;
    struct fid_path path = fid_path(f);
    ssize_t n = name[0] ? getxattr(path.text, name, value, sizeof(value)) : listxattr(path.text, value, sizeof(value));
    if (n < 0)
        return errno;
    u32 size = name[0] ? (u32)n : only_visible(value, (size_t)n);
    problem = fid_make(s, number, -1, 0, &x);
    if (problem)
        return problem;
    problem = fid_make_value(s, x, size);
    if (problem) {
        fid_drop(s, number);
        return problem;
    }
    memcpy(x->value->data, value, size);
    p9_put64(out, size);
    return 0;
}

int do_xattrcreate(struct server *s, struct p9_in *in, struct p9_out *out)
{
    struct fid *f;
    char name[256];
    int problem = get_fid(s, in, &f);
    p9_get_string(in, name, sizeof(name));
    u64 size = p9_get64(in);
    u32 flags = p9_get32(in);
    if (problem || in->bad)
        return problem ? problem : EINVAL;
    if (!is_visible(name))
        return EOPNOTSUPP;
    if (size > SERVER_XATTR_MAX)
        return E2BIG;
    problem = fid_make_value(s, f, (u32)size);
    if (problem)
        return problem;
    memcpy(f->value->name, name, sizeof(name));
    f->value->set_flags = (int)flags;
    f->value->setting = true;
    return 0;
}

/* Size 0 with XATTR_REPLACE means that it goes: setxattr() of an empty value has no such flag here. */
int xattr_set(const struct fid *f)
{
    struct fid_path path = fid_path(f);
    const struct value *v = f->value;
    if (v->filled != v->size)
        return EINVAL;
    int r = v->size == 0 && v->set_flags == XATTR_REPLACE ? removexattr(path.text, v->name)
                                                          : setxattr(path.text, v->name, v->data, v->size, v->set_flags);
    return r < 0 ? errno : 0;
}
