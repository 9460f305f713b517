/* SPDX-License-Identifier: Apache-2.0 */
/* What is known about a file and how it changes: stat, chmod, chown, utimensat, truncate, access. */
#include "fs_impl.h"

static int stat_inode(struct inode *i, struct kstat *s)
{
    u64 size = S_ISREG(i->mode) || S_ISLNK(i->mode) || S_ISDIR(i->mode) ? inode_size(i) : 0;
    *s = (struct kstat){
        .dev = i->sb->dev,
        .ino = i->ino,
        .rdev = i->rdev,
        .size = size,
        .blocks_512 = (size + 511) / 512,
        .mode = i->mode,
        .nlink = i->nlink,
        .uid = i->uid,
        .gid = i->gid,
        .block_size = PAGE_SIZE,
        .atime_ns = i->atime_ns,
        .mtime_ns = i->mtime_ns,
        .ctime_ns = i->ctime_ns,
        .btime_ns = i->btime_ns,
    };
    return i->ops->getattr != NULL ? i->ops->getattr(i, s) : 0;
}

int vfs_stat_path(const struct path *p, struct kstat *ret) { return stat_inode(p->dentry->inode, ret); }
int vfs_stat_file(struct file *f, struct kstat *ret) { return stat_inode(f->inode, ret); }

void inode_apply_attrs(struct inode *i, const struct setattr *a)
{
    if ((a->valid & SETATTR_UID) != 0)
        i->uid = a->uid;
    if ((a->valid & SETATTR_GID) != 0)
        i->gid = a->gid;
    if ((a->valid & SETATTR_MODE) != 0)
        i->mode = (i->mode & S_IFMT) | (a->mode & 07777);
    if ((a->valid & SETATTR_ATIME) != 0)
        i->atime_ns = a->atime_ns;
    if ((a->valid & SETATTR_MTIME) != 0)
        i->mtime_ns = a->mtime_ns;
    i->ctime_ns = vfs_time_ns();
}

/* chmod(2), chown(2), utimensat(2): who may, and which mode bits go. i->lock held. */
static int setattr_check(struct inode *i, const struct cred *c, struct setattr *a)
{
    bool owner = c->fsuid == i->uid;
    if ((a->valid & SETATTR_MODE) != 0) {
        if (!inode_owner_or_capable(i, c))
            return -EPERM;
        u32 gid = (a->valid & SETATTR_GID) != 0 ? a->gid : i->gid;
        if (!cred_has_group(c, gid) && !cred_capable(c, CAP_FSETID))
            a->mode &= ~S_ISGID;
    }
    if ((a->valid & SETATTR_UID) != 0 && !cred_capable(c, CAP_CHOWN) && (!owner || a->uid != i->uid))
        return -EPERM;
    if ((a->valid & SETATTR_GID) != 0 && !cred_capable(c, CAP_CHOWN) &&
        (!owner || (a->gid != i->gid && !cred_has_group(c, a->gid))))
        return -EPERM;
    u32 kill = (a->valid & SETATTR_OWNER) != 0 && !S_ISDIR(i->mode) ? inode_set_ids(i, c) : (a->valid & SETATTR_SIZE) != 0 ? inode_privs_to_remove(i) : 0;
    if (kill != 0 && (a->valid & SETATTR_OWNER) != 0 && !inode_owner_or_capable(i, c))
        return -EPERM; /* that is a change of the mode, too */
    if (kill != 0) {
        a->valid |= SETATTR_MODE;
        a->mode = i->mode & 07777 & ~kill;
    }
    if ((a->valid & (SETATTR_ATIME | SETATTR_MTIME)) != 0 && !inode_owner_or_capable(i, c)) {
        if ((a->valid & SETATTR_NOW) == 0)
            return -EPERM;
        return permission(i, c, 2);
    }
    return 0;
}

/* Without i->lock. *a becomes what was set. */
static int vfs_setattr_inode(struct inode *i, const struct cred *c, struct setattr *a)
{
    mutex_lock(&i->lock);
    int err = setattr_check(i, c, a);
    if (err == 0 && (a->valid & SETATTR_SIZE) != 0) {
        a->valid |= SETATTR_MTIME;
        a->mtime_ns = vfs_time_ns();
    }
    if (err == 0)
        err = i->ops->setattr != NULL ? i->ops->setattr(i, a) : -EPERM;
    if (err == 0 && (a->valid & (SETATTR_OWNER | SETATTR_SIZE)) != 0)
        inode_drop_file_caps(i);
    mutex_unlock(&i->lock);
    return err;
}

/* As notify_change() of Linux tells it: the access time alone was read, the other alone was written. */
static u32 change_mask(u32 valid)
{
    u32 times = valid & (SETATTR_ATIME | SETATTR_MTIME), mask = 0;
    if ((valid & (SETATTR_UID | SETATTR_GID | SETATTR_MODE)) != 0 || times == (SETATTR_ATIME | SETATTR_MTIME))
        mask |= IN_ATTRIB;
    else if (times != 0)
        mask |= times == SETATTR_ATIME ? IN_ACCESS : IN_MODIFY;
    return mask | ((valid & SETATTR_SIZE) != 0 ? IN_MODIFY : 0);
}

int vfs_setattr_dentry(struct dentry *d, const struct cred *c, const struct setattr *attrs)
{
    struct setattr a = *attrs;
    int err = vfs_setattr_inode(d->inode, c, &a);
    u32 mask = change_mask(a.valid);
    if (err == 0 && mask != 0)
        notify_dentry(d, mask);
    return err;
}

int vfs_setattr_path(const struct path *p, const struct cred *c, const struct setattr *a)
{
    int err = path_want_write(p);
    return err != 0 ? err : vfs_setattr_dentry(p->dentry, c, a);
}

/* May it become as long? What it is already is nobody's business (setrlimit(2), RLIMIT_FSIZE). */
static int size_ok(const struct inode *i, u64 size)
{
    if (size > INT64_MAX)
        return -EINVAL;
    return size > inode_size(i) && size > vfs_write_limit(size - 1) ? -EFBIG : 0;
}

int vfs_truncate(const struct path *p, const struct cred *c, u64 size)
{
    struct inode *i = p->dentry->inode;
    struct setattr a = {.valid = SETATTR_SIZE, .size = size};
    if (S_ISDIR(i->mode))
        return -EISDIR;
    if (!S_ISREG(i->mode))
        return -EINVAL;
    int err = path_want_write(p);
    if (err == 0)
        err = permission(i, c, 2);
    if (err == 0)
        err = size_ok(i, size);
    if (err == 0)
        err = inode_get_write(i);
    if (err != 0)
        return err;
    err = vfs_setattr_dentry(p->dentry, c, &a);
    inode_put_write(i);
    return err;
}

int vfs_ftruncate(struct file *f, u64 size)
{
    struct setattr a = {.valid = SETATTR_SIZE, .size = size};
    if ((f->flags & O_PATH) != 0)
        return -EBADF;
    if (!f->can_write || !S_ISREG(f->inode->mode))
        return -EINVAL;
    int err = size_ok(f->inode, size);
    if (err != 0)
        return err;
    return f->path.dentry != NULL ? vfs_setattr_dentry(f->path.dentry, f->cred, &a) : vfs_setattr_inode(f->inode, f->cred, &a);
}

#define FALLOC_FL_KEEP_SIZE 1
#define FALLOC_FL_PUNCH_HOLE 2
#define FALLOC_FL_NO_HIDE_STALE 4
#define FALLOC_FL_COLLAPSE_RANGE 8
#define FALLOC_FL_INSERT_RANGE 32

int vfs_fallocate(struct file *f, int mode, u64 off, u64 len)
{
    u64 end;
    if (off > INT64_MAX || len == 0 || len > INT64_MAX)
        return -EINVAL;
    u32 kind = (u32)mode & ~(u32)FALLOC_FL_KEEP_SIZE;
    bool keep = (mode & FALLOC_FL_KEEP_SIZE) != 0;
    if ((mode & ~0x7f) != 0 || (kind & (kind - 1)) != 0)
        return -EOPNOTSUPP;
    if ((kind == FALLOC_FL_PUNCH_HOLE && !keep) || (kind == FALLOC_FL_NO_HIDE_STALE) || ((kind == FALLOC_FL_COLLAPSE_RANGE || kind == FALLOC_FL_INSERT_RANGE) && keep))
        return -EOPNOTSUPP;
    if (!f->can_write)
        return -EBADF;
    if (S_ISFIFO(f->inode->mode))
        return -ESPIPE;
    if (S_ISDIR(f->inode->mode))
        return -EISDIR;
    if (!S_ISREG(f->inode->mode))
        return -ENODEV;
    if (__builtin_add_overflow(off, len, &end) || end > INT64_MAX)
        return -EFBIG;
    int err = kind == FALLOC_FL_PUNCH_HOLE ? 0 : size_ok(f->inode, end);
    if (err != 0)
        return err;
    if (f->ops->fallocate == NULL)
        return -EOPNOTSUPP;
    err = f->ops->fallocate(f, mode, off, len);
    if (err == 0)
        notify_file(f, IN_MODIFY);
    return err;
}

int vfs_access(const struct path *p, const struct cred *c, u32 rwx)
{
    struct inode *i = p->dentry->inode;
    if ((rwx & 2) != 0 && path_want_write(p) != 0 && (S_ISREG(i->mode) || S_ISDIR(i->mode) || S_ISLNK(i->mode)))
        return -EROFS;
    if ((rwx & 1) != 0 && S_ISREG(i->mode) && (p->mount->flags & MS_NOEXEC) != 0)
        return -EACCES;
    return rwx != 0 ? permission(i, c, rwx) : 0;
}

s64 vfs_readlink(const struct path *p, char *buf, size_t size)
{
    struct inode *i = p->dentry->inode;
    if (!S_ISLNK(i->mode) || i->ops->readlink == NULL)
        return -EINVAL;
    s64 n = i->ops->readlink(i, buf, size);
    if (n >= 0 && !i->sb->read_only && i->atime_ns <= i->mtime_ns)
        i->atime_ns = vfs_time_ns();
    return n;
}
