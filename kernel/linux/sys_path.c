/* SPDX-License-Identifier: Apache-2.0 */
/* Names: stat and its family, making and removing, owners and modes, times, attributes, mounts. */
#include "task.h"
#include "base/str.h"

/* A call on the object that (dirfd, name) leads to. */
#define WITH_PATH(dirfd, name, flags, p, expr)                \
    struct path p;                                            \
    s64 r_ = path_at(dirfd, name, flags, &p);                 \
    if (r_ < 0)                                               \
        return r_;                                            \
    r_ = (expr);                                              \
    path_put(&p);                                             \
    return r_

int path_of_fd(int fd, bool o_path, struct path *ret)
{
    struct file *f = o_path ? any_file_of(fd) : file_of(fd);
    if (f == NULL)
        return -EBADF;
    int r = file_path(f, ret);
    file_put(f);
    return r;
}

/* A call on what an open descriptor stands for. `o_path`: also on one opened with O_PATH. */
#define WITH_FD(fd, o_path, p, expr)     \
    struct path p;                       \
    s64 r_ = path_of_fd(fd, o_path, &p); \
    if (r_ < 0)                      \
        return r_;                   \
    r_ = (expr);                     \
    path_put(&p);                    \
    return r_

static u32 nofollow(int flags)
{
    return ((flags & AT_SYMLINK_NOFOLLOW) ? LOOKUP_NOFOLLOW : 0) | ((flags & AT_EMPTY_PATH) ? LOOKUP_EMPTY : 0);
}

/* --- stat ----------------------------------------------------------------------------- */

/* Linux' user-space form of a device number (new_encode_dev). */
static u64 encode_dev(u64 d)
{
    u64 major = DEV_MAJOR(d), minor = DEV_MINOR(d);
    return (minor & 0xff) | (major << 8) | ((minor & ~0xffULL) << 12);
}

static u64 decode_dev(u64 d)
{
    return MKDEV((d >> 8) & 0xfff, (d & 0xff) | ((d >> 12) & 0xfff00));
}

static int put_stat(uaddr_t to, const struct kstat *k)
{
    struct abi_stat s = {
        .dev = encode_dev(k->dev), .ino = k->ino, .nlink = k->nlink, .mode = k->mode, .uid = k->uid, .gid = k->gid,
        .rdev = encode_dev(k->rdev), .size = (s64)k->size, .blksize = k->block_size, .blocks = (s64)k->blocks_512,
        .atime = ns_to_timespec(k->atime_ns), .mtime = ns_to_timespec(k->mtime_ns), .ctime = ns_to_timespec(k->ctime_ns),
    };
    return copy_to_user(to, &s, sizeof s);
}

s64 sys_fstat(int fd, uaddr_t ust)
{
    struct kstat k;
    struct file *f = any_file_of(fd);
    if (f == NULL)
        return -EBADF;
    int r = vfs_stat_file(f, &k);
    file_put(f);
    return r < 0 ? r : put_stat(ust, &k);
}

/* "" with AT_EMPTY_PATH: the descriptor itself. */
static bool is_empty_name(uaddr_t name, int flags)
{
    u8 c;
    return (flags & AT_EMPTY_PATH) && (given_name_empty(name) || (copy_from_user(&c, name, 1) == 0 && c == 0));
}

static int stat_at(int dirfd, uaddr_t name, int flags, int known, struct kstat *ret, u64 *ret_mnt)
{
    struct path p;
    if (dirfd >= 0 && is_empty_name(name, flags)) {
        struct file *f = any_file_of(dirfd);
        if (f == NULL)
            return -EBADF;
        int r = vfs_stat_file(f, ret);
        if (ret_mnt != NULL)
            *ret_mnt = f->path.mount != NULL ? f->path.mount->id : 0;
        file_put(f);
        return r;
    }
    int r = flags & ~known ? -EINVAL : path_at(dirfd, name, nofollow(flags), &p);
    if (r < 0)
        return r;
    r = vfs_stat_path(&p, ret);
    if (ret_mnt != NULL)
        *ret_mnt = p.mount->id;
    path_put(&p);
    return r;
}

s64 sys_newfstatat(int dirfd, uaddr_t name, uaddr_t ust, int flags)
{
    struct kstat k;
    int r = stat_at(dirfd, name, flags, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH, &k, NULL);
    return r < 0 ? r : put_stat(ust, &k);
}

s64 sys_stat(uaddr_t name, uaddr_t ust) { return sys_newfstatat(AT_FDCWD, name, ust, 0); }
s64 sys_lstat(uaddr_t name, uaddr_t ust) { return sys_newfstatat(AT_FDCWD, name, ust, AT_SYMLINK_NOFOLLOW); }

static struct abi_statx_time statx_time(u64 ns)
{
    return (struct abi_statx_time){(s64)(ns / NSEC_PER_SEC), (u32)(ns % NSEC_PER_SEC), 0};
}

s64 sys_statx(int dirfd, uaddr_t name, int flags, u32 mask, uaddr_t ust)
{
    struct kstat k;
    u64 mnt;
    if ((flags & AT_STATX_SYNC_TYPE) == AT_STATX_SYNC_TYPE || (mask & STATX_RESERVED))
        return -EINVAL;
    int r = stat_at(dirfd, name, flags, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH | AT_STATX_SYNC_TYPE, &k, &mnt);
    if (r < 0)
        return r;
    struct abi_statx s = {
        .mask = STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID, .blksize = k.block_size, .nlink = k.nlink, .uid = k.uid,
        .gid = k.gid, .mode = (u16)k.mode, .ino = k.ino, .size = k.size, .blocks = k.blocks_512,
        .atime = statx_time(k.atime_ns), .btime = statx_time(k.btime_ns), .ctime = statx_time(k.ctime_ns),
        .mtime = statx_time(k.mtime_ns), .rdev_major = DEV_MAJOR(k.rdev), .rdev_minor = DEV_MINOR(k.rdev),
        .dev_major = DEV_MAJOR(k.dev), .dev_minor = DEV_MINOR(k.dev), .mnt_id = mnt,
    };
    return copy_to_user(ust, &s, sizeof s);
}

static s64 put_statfs(uaddr_t to, int err, const struct kstatfs *k)
{
    if (err < 0)
        return err;
    struct abi_statfs s = {
        .type = (s64)k->type, .bsize = (s64)k->block_size, .blocks = k->blocks, .bfree = k->blocks_free, .bavail = k->blocks_free,
        .files = k->files, .ffree = k->files_free, .fsid = {(s32)k->fsid, (s32)(k->fsid >> 32)}, .namelen = (s64)k->name_max,
        .frsize = (s64)k->block_size, .flags = (s64)k->flags,
    };
    return copy_to_user(to, &s, sizeof s);
}

s64 sys_statfs(uaddr_t name, uaddr_t ubuf)
{
    struct kstatfs k;
    WITH_PATH(AT_FDCWD, name, 0, p, put_statfs(ubuf, vfs_statfs(&p, &k), &k));
}

s64 sys_fstatfs(int fd, uaddr_t ubuf)
{
    struct kstatfs k;
    struct file *f = any_file_of(fd);
    if (f == NULL)
        return -EBADF;
    s64 r = put_statfs(ubuf, vfs_fstatfs(f, &k), &k);
    file_put(f);
    return r;
}

/* --- access ----------------------------------------------------------------------------- */

/* Who access(2) asks for: the real user, on the way there too. NULL: no memory. */
static struct cred *real_cred(const struct cred *c)
{
    struct cred *real = cred_copy(c);
    if (real == NULL)
        return NULL;
    real->fsuid = c->uid;
    real->fsgid = c->gid;
    if (!(c->securebits & SECURE_NO_SETUID_FIXUP))
        real->cap_effective = c->uid == 0 ? c->cap_permitted : 0;
    return real;
}

s64 sys_faccessat2(int dirfd, uaddr_t name, int mode, int flags)
{
    if ((mode & ~7) || (flags & ~(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH)))
        return -EINVAL;
    struct cred *c = flags & AT_EACCESS ? cred_get(current_cred()) : real_cred(current_cred());
    if (c == NULL)
        return -ENOMEM;
    struct path p;
    s64 r = path_at_as(dirfd, name, nofollow(flags), c, &p);
    if (r == 0) {
        r = vfs_access(&p, c, (u32)mode);
        path_put(&p);
    }
    cred_put(c);
    return r;
}

s64 sys_faccessat(int dirfd, uaddr_t name, int mode) { return sys_faccessat2(dirfd, name, mode, 0); }
s64 sys_access(uaddr_t name, int mode) { return sys_faccessat2(AT_FDCWD, name, mode, 0); }

/* --- making and removing ------------------------------------------------------------------- */

/* A call with a directory and a name to work on. */
#define WITH_NAME(dirfd, uname, at, name, expr)     \
    char *name;                                     \
    struct at at;                                   \
    s64 r_ = name_get(uname, 0, &name);                \
    if (r_ < 0)                                     \
        return r_;                                  \
    r_ = at_begin(dirfd, name, &at);                \
    if (r_ == 0) {                                  \
        r_ = (expr);                                \
        at_done(&at);                               \
    }                                               \
    name_put(name);                                 \
    return r_

s64 sys_mkdirat(int dirfd, uaddr_t uname, u32 mode)
{
    WITH_NAME(dirfd, uname, at, name, vfs_mkdir(&at.l, name, mode & 01777));
}
s64 sys_mkdir(uaddr_t name, u32 mode) { return sys_mkdirat(AT_FDCWD, name, mode); }

s64 sys_mknodat(int dirfd, uaddr_t uname, u32 mode, u32 dev)
{
    if (S_ISDIR(mode))
        return -EPERM;
    if ((mode & S_IFMT) == 0)
        mode |= S_IFREG;
    if (!S_ISREG(mode) && !S_ISCHR(mode) && !S_ISBLK(mode) && !S_ISFIFO(mode) && !S_ISSOCK(mode))
        return -EINVAL;
    WITH_NAME(dirfd, uname, at, name, vfs_mknod(&at.l, name, mode & (S_IFMT | 07777), decode_dev(dev)));
}
s64 sys_mknod(uaddr_t name, u32 mode, u32 dev) { return sys_mknodat(AT_FDCWD, name, mode, dev); }

s64 sys_unlinkat(int dirfd, uaddr_t uname, int flags)
{
    if (flags & ~AT_REMOVEDIR)
        return -EINVAL;
    WITH_NAME(dirfd, uname, at, name, flags & AT_REMOVEDIR ? vfs_rmdir(&at.l, name) : vfs_unlink(&at.l, name));
}
s64 sys_unlink(uaddr_t name) { return sys_unlinkat(AT_FDCWD, name, 0); }
s64 sys_rmdir(uaddr_t name) { return sys_unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }

s64 sys_symlinkat(uaddr_t utarget, int dirfd, uaddr_t uname)
{
    char *target;
    s64 r = name_get(utarget, 0, &target);
    if (r < 0)
        return r;
    char *name;
    struct at at;
    r = name_get(uname, 0, &name);
    if (r == 0) {
        r = at_begin(dirfd, name, &at);
        if (r == 0) {
            r = vfs_symlink(&at.l, target, name);
            at_done(&at);
        }
        name_put(name);
    }
    name_put(target);
    return r;
}
s64 sys_symlink(uaddr_t target, uaddr_t name) { return sys_symlinkat(target, AT_FDCWD, name); }

/* Two names: link and rename. */
struct two_names {
    char *from, *to;
    struct at from_at, to_at;
};

static void two_names_put(struct two_names *n)
{
    at_done(&n->from_at);
    at_done(&n->to_at);
    name_put(n->from);
    name_put(n->to);
}

static int two_names_get(struct two_names *n, int from_fd, uaddr_t from, u32 from_lookup, int to_fd, uaddr_t to)
{
    memset(n, 0, sizeof *n);
    int r = name_get(from, from_lookup, &n->from);
    if (r == 0)
        r = name_get(to, LOOKUP_EMPTY, &n->to);
    if (r == 0)
        r = at_begin(from_fd, n->from, &n->from_at);
    if (r == 0)
        r = at_begin(to_fd, n->to, &n->to_at);
    if (r < 0 && n->to_at.l.fs != NULL) { /* what is wrong with `from` comes first */
        n->to_at.l.err = r;
        r = 0;
    }
    if (r < 0)
        two_names_put(n);
    return r;
}

s64 sys_linkat(int from_fd, uaddr_t from, int to_fd, uaddr_t to, int flags)
{
    struct two_names n;
    if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    u32 lookup = (flags & AT_SYMLINK_FOLLOW ? 0 : LOOKUP_NOFOLLOW) | (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
    s64 r = two_names_get(&n, from_fd, from, lookup, to_fd, to);
    if (r < 0)
        return r;
    if ((flags & AT_EMPTY_PATH) && n.from_at.file != NULL && n.from_at.file->cred != current_cred() && !capable(CAP_DAC_READ_SEARCH))
        r = -ENOENT; /* a descriptor that somebody else opened */
    else
        r = vfs_link(&n.from_at.l, n.from, &n.to_at.l, n.to, lookup);
    two_names_put(&n);
    return r;
}
s64 sys_link(uaddr_t from, uaddr_t to) { return sys_linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

s64 sys_renameat2(int from_fd, uaddr_t from, int to_fd, uaddr_t to, u32 flags)
{
    struct two_names n;
    if (flags > (RENAME_WHITEOUT | RENAME_NOREPLACE) || flags == (RENAME_EXCHANGE | RENAME_NOREPLACE)) /* an exchange goes with none */
        return -EINVAL;
    s64 r = two_names_get(&n, from_fd, from, 0, to_fd, to);
    if (r < 0)
        return r;
    r = vfs_rename(&n.from_at.l, n.from, &n.to_at.l, n.to, flags);
    two_names_put(&n);
    return r;
}
s64 sys_renameat(int from_fd, uaddr_t from, int to_fd, uaddr_t to) { return sys_renameat2(from_fd, from, to_fd, to, 0); }
s64 sys_rename(uaddr_t from, uaddr_t to) { return sys_renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }

static s64 put_link(const struct path *p, uaddr_t ubuf, int size)
{
    char *buf = kmalloc(PATH_MAX, 0);
    if (buf == NULL)
        return -ENOMEM;
    s64 n = vfs_readlink(p, buf, MIN((size_t)size, (size_t)PATH_MAX));
    if (n > size)
        n = size;
    if (n > 0 && copy_to_user(ubuf, buf, (size_t)n) < 0)
        n = -EFAULT;
    kfree(buf);
    return n;
}

s64 sys_readlinkat(int dirfd, uaddr_t name, uaddr_t ubuf, int size)
{
    struct path p;
    if (size <= 0)
        return -EINVAL;
    s64 r = path_at(dirfd, name, LOOKUP_NOFOLLOW | LOOKUP_EMPTY, &p);
    if (r < 0)
        return r;
    u8 first = 0;
    if (S_ISLNK(p.dentry->inode->mode))
        r = put_link(&p, ubuf, size);
    else /* no link by that name, or no name */
        r = copy_from_user(&first, name, 1) == 0 && first == '\0' ? -ENOENT : -EINVAL;
    path_put(&p);
    return r;
}
s64 sys_readlink(uaddr_t name, uaddr_t ubuf, int size) { return sys_readlinkat(AT_FDCWD, name, ubuf, size); }

/* --- owner, mode, times, size ----------------------------------------------------------------- */

static int set_attr(const struct path *p, struct setattr a)
{
    return vfs_setattr_path(p, current_cred(), &a);
}
static struct setattr mode_attr(u32 mode) { return (struct setattr){.valid = SETATTR_MODE, .mode = mode & 07777}; }
static struct setattr owner_attr(u32 uid, u32 gid)
{
    return (struct setattr){
        .valid = SETATTR_OWNER | (uid != UINT32_MAX ? SETATTR_UID : 0) | (gid != UINT32_MAX ? SETATTR_GID : 0), .uid = uid, .gid = gid};
}

s64 sys_fchmodat(int dirfd, uaddr_t name, u32 mode) { WITH_PATH(dirfd, name, 0, p, set_attr(&p, mode_attr(mode))); }
s64 sys_chmod(uaddr_t name, u32 mode) { return sys_fchmodat(AT_FDCWD, name, mode); }
s64 sys_fchmod(int fd, u32 mode) { WITH_FD(fd, false, p, set_attr(&p, mode_attr(mode))); }
s64 sys_fchownat(int dirfd, uaddr_t name, u32 uid, u32 gid, int flags)
{
    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    WITH_PATH(dirfd, name, nofollow(flags), p, set_attr(&p, owner_attr(uid, gid)));
}
s64 sys_chown(uaddr_t name, u32 uid, u32 gid) { return sys_fchownat(AT_FDCWD, name, uid, gid, 0); }
s64 sys_lchown(uaddr_t name, u32 uid, u32 gid) { return sys_fchownat(AT_FDCWD, name, uid, gid, AT_SYMLINK_NOFOLLOW); }
s64 sys_fchown(int fd, u32 uid, u32 gid) { WITH_FD(fd, false, p, set_attr(&p, owner_attr(uid, gid))); }

#define UTIME_NOW 0x3fffffff
#define UTIME_OMIT 0x3ffffffe

/* Times of utimensat's two timespecs; NULL = now. */
static int time_attr(const struct abi_timespec *ts, struct setattr *ret)
{
    u64 now = vfs_time_ns();
    *ret = (struct setattr){.valid = SETATTR_ATIME | SETATTR_MTIME, .atime_ns = now, .mtime_ns = now};
    if (ts == NULL)
        return 0;
    u64 *out[2] = {&ret->atime_ns, &ret->mtime_ns};
    static const u32 bit[2] = {SETATTR_ATIME, SETATTR_MTIME};
    for (int i = 0; i < 2; i++) {
        if (ts[i].nsec == UTIME_OMIT)
            ret->valid &= ~bit[i];
        else if (ts[i].nsec != UTIME_NOW && (u64)ts[i].nsec >= NSEC_PER_SEC)
            return -EINVAL;
        else if (ts[i].nsec != UTIME_NOW)
            *out[i] = ts[i].sec < 0 ? 0 : timespec_to_ns(&ts[i]);
    }
    return 0;
}

/* Setting other times than now takes the owner; now, write access as well. */
static int set_times(const struct path *p, const struct abi_timespec *ts)
{
    struct setattr a;
    const struct cred *c = current_cred();
    int r = time_attr(ts, &a);
    if (r < 0)
        return r;
    bool now = ts == NULL || (ts[0].nsec == UTIME_NOW && ts[1].nsec == UTIME_NOW);
    if (now && c->fsuid != p->dentry->inode->uid && !cred_capable(c, CAP_FOWNER)) {
        r = vfs_access(p, c, 2);
        return r < 0 ? r : vfs_setattr_path(p, &kernel_cred, &a);
    }
    return a.valid == 0 ? 0 : vfs_setattr_path(p, c, &a);
}

static s64 do_utimes(int dirfd, uaddr_t name, const struct abi_timespec *ts, int flags)
{
    if (name == 0) {
        if (dirfd == AT_FDCWD)
            return -EFAULT;
        if (flags != 0)
            return -EINVAL;
        WITH_FD(dirfd, false, p, set_times(&p, ts));
    }
    WITH_PATH(dirfd, name, nofollow(flags), p, set_times(&p, ts));
}

s64 sys_utimensat(int dirfd, uaddr_t name, uaddr_t uts, int flags)
{
    struct abi_timespec ts[2];
    if (uts != 0) {
        if (copy_from_user(ts, uts, sizeof ts) < 0)
            return -EFAULT;
        if (ts[0].nsec == UTIME_OMIT && ts[1].nsec == UTIME_OMIT)
            return 0; /* whatever else there is */
    }
    if (flags & ~(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    return do_utimes(dirfd, name, uts != 0 ? ts : NULL, flags);
}

s64 sys_futimesat(int dirfd, uaddr_t name, uaddr_t utv)
{
    struct abi_timeval tv[2];
    struct abi_timespec ts[2];
    if (utv != 0) {
        if (copy_from_user(tv, utv, sizeof tv) < 0)
            return -EFAULT;
        for (int i = 0; i < 2; i++) {
            if (tv[i].usec < 0 || tv[i].usec >= 1000000)
                return -EINVAL;
            ts[i] = (struct abi_timespec){tv[i].sec, tv[i].usec * 1000};
        }
    }
    return do_utimes(dirfd, name, utv != 0 ? ts : NULL, 0);
}
s64 sys_utimes(uaddr_t name, uaddr_t utv) { return sys_futimesat(AT_FDCWD, name, utv); }

s64 sys_utime(uaddr_t name, uaddr_t ut)
{
    s64 t[2];
    struct abi_timespec ts[2];
    if (ut != 0 && copy_from_user(t, ut, sizeof t) < 0)
        return -EFAULT;
    if (ut != 0) {
        ts[0] = (struct abi_timespec){t[0], 0};
        ts[1] = (struct abi_timespec){t[1], 0};
    }
    return do_utimes(AT_FDCWD, name, ut != 0 ? ts : NULL, 0);
}

s64 sys_truncate(uaddr_t name, s64 len)
{
    if (len < 0)
        return -EINVAL;
    WITH_PATH(AT_FDCWD, name, 0, p, vfs_truncate(&p, current_cred(), (u64)len));
}

s64 sys_ftruncate(int fd, s64 len)
{
    if (len < 0)
        return -EINVAL;
    struct file *f = file_of(fd);
    if (f == NULL)
        return -EBADF;
    s64 r = !f->can_write ? -EINVAL : vfs_ftruncate(f, (u64)len);
    file_put(f);
    return r;
}

s64 sys_fallocate(int fd, int mode, s64 off, s64 len)
{
    struct file *f = file_of(fd);
    if (f == NULL)
        return -EBADF;
    s64 r = vfs_fallocate(f, mode, (u64)off, (u64)len);
    file_put(f);
    return r;
}

/* --- directories ---------------------------------------------------------------------------- */

struct getdents {
    struct dir_emit e;
    u8 *buf;
    u32 size, used, last; /* last: offset of the newest record */
    bool old, full;
};

static bool emit_dirent(struct dir_emit *e, const char *name, size_t len, u64 ino, u8 dtype, u64 next_off)
{
    struct getdents *g = container_of(e, struct getdents, e);
    /* linux_dirent64: ino off reclen type name; linux_dirent: ino off reclen name, type in the last byte. */
    u32 fixed = g->old ? 18 : 19, need = (u32)ALIGN_UP(fixed + len + 1 + (g->old ? 1 : 0), 8UL);
    if (need > g->size - g->used) {
        g->full = true;
        return false;
    }
    u8 *p = g->buf + g->used;
    memset(p, 0, need);
    u16 reclen = (u16)need;
    memcpy(p, &ino, 8);
    memcpy(p + 8, &next_off, 8);
    memcpy(p + 16, &reclen, 2);
    if (g->old)
        p[need - 1] = dtype;
    else
        p[18] = dtype;
    memcpy(p + fixed, name, len);
    g->last = g->used;
    g->used += need;
    return true;
}

static s64 do_getdents(int fd, uaddr_t ubuf, u32 size, bool old)
{
    struct file *f = file_of(fd);
    if (f == NULL)
        return -EBADF;
    struct getdents g = {.e.emit = emit_dirent, .size = MIN(size, 32768u), .old = old};
    g.buf = kmalloc(MAX(g.size, 1u), 0);
    s64 r = g.buf == NULL ? -ENOMEM : vfs_iterate(f, &g.e);
    if (r >= 0)
        r = g.used == 0 && g.full ? -EINVAL : copy_to_user(ubuf, g.buf, g.used) < 0 ? -EFAULT : (s64)g.used;
    kfree(g.buf);
    file_put(f);
    return r;
}

s64 sys_getdents64(int fd, uaddr_t ubuf, u32 size) { return do_getdents(fd, ubuf, size, false); }
s64 sys_getdents(int fd, uaddr_t ubuf, u32 size) { return do_getdents(fd, ubuf, size, true); }

static s64 do_chdir(const struct path *p)
{
    struct task *t = current_task();
    return vfs_chdir(t->fs, p, t->cred);
}
s64 sys_chdir(uaddr_t name) { WITH_PATH(AT_FDCWD, name, LOOKUP_DIRECTORY, p, do_chdir(&p)); }
s64 sys_fchdir(int fd)
{
    struct path p;
    s64 r = path_of_fd(fd, true, &p);
    if (r < 0)
        return r == -EINVAL ? -ENOTDIR : r;
    r = do_chdir(&p);
    path_put(&p);
    return r;
}
s64 sys_chroot(uaddr_t name)
{
    struct task *t = current_task();
    WITH_PATH(AT_FDCWD, name, LOOKUP_DIRECTORY, p, vfs_chroot(t->fs, &p, t->cred));
}

s64 sys_getcwd(uaddr_t ubuf, u64 size)
{
    struct fs_ctx *fs = current_task()->fs;
    struct path p;
    char *buf = kmalloc(PATH_MAX, 0);
    if (buf == NULL)
        return -ENOMEM;
    mutex_lock(&fs->lock);
    p = fs->cwd;
    path_get(&p);
    mutex_unlock(&fs->lock);
    s64 r = path_is_removed(&p) ? -ENOENT : path_name(fs, &p, buf, PATH_MAX);
    path_put(&p);
    if (r >= 0) {
        r = (s64)strlen(buf) + 1;
        if ((u64)r > size)
            r = -ERANGE;
        else if (copy_to_user(ubuf, buf, (size_t)r) < 0)
            r = -EFAULT;
    }
    kfree(buf);
    return r;
}

s64 sys_umask(u32 mask)
{
    struct fs_ctx *fs = current_task()->fs;
    mutex_lock(&fs->lock);
    u32 old = fs->umask;
    fs->umask = mask & 0777;
    mutex_unlock(&fs->lock);
    return old;
}

/* --- mounts ---------------------------------------------------------------------------------- */

static int opt_name(uaddr_t uname, char **ret)
{
    *ret = NULL;
    return uname == 0 ? 0 : name_get(uname, LOOKUP_EMPTY, ret);
}

/* Who names nothing is told so first. */
static s64 may_mount(uaddr_t utarget, u32 lookup_flags)
{
    struct path p;
    s64 r = path_at(AT_FDCWD, utarget, lookup_flags, &p);
    if (r < 0)
        return r;
    path_put(&p);
    return capable(CAP_SYS_ADMIN) ? 0 : -EPERM;
}

s64 sys_mount(uaddr_t usource, uaddr_t utarget, uaddr_t utype, u64 flags, uaddr_t udata)
{
    struct task *t = current_task();
    struct lookup l = {.fs = t->fs, .cred = t->cred};
    char *source = NULL, *target = NULL, *type = NULL, *data = NULL;
    s64 r = may_mount(utarget, 0);
    if (r == 0)
        r = opt_name(usource, &source);
    if (r == 0)
        r = name_get(utarget, 0, &target);
    if (r == 0)
        r = opt_name(utype, &type);
    if (r == 0)
        r = opt_name(udata, &data);
    if ((flags & 0xffff0000u) == 0xc0ed0000u) /* the old magic number */
        flags &= 0xffff;
    if (r == 0)
        r = vfs_mount(&l, type, source, target, flags, data);
    kfree(source);
    kfree(target);
    kfree(type);
    kfree(data);
    return r;
}

s64 sys_umount2(uaddr_t utarget, int flags)
{
    if (flags & ~15)
        return -EINVAL;
    s64 r = may_mount(utarget, flags & 8 /* UMOUNT_NOFOLLOW */ ? LOOKUP_NOFOLLOW : 0);
    if (r < 0)
        return r;
    WITH_NAME(AT_FDCWD, utarget, at, name, vfs_umount(&at.l, name, flags));
}
