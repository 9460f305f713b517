/* SPDX-License-Identifier: Apache-2.0 */
/* open(2), openat2(2): flags, creation, and what an inode's kind does when opened. */
#include "fs_impl.h"
#include "kern/trace.h"

#define O_TMPFILE_BIT 020000000u
#define O_PATH_FLAGS (O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC)
#define MS_NOATIME_ 1024u

/* Bits of "rwx" that opening with these flags asks for. */
static u32 open_want(u32 flags)
{
    static const u8 want[4] = {4, 2, 6, 6};
    return want[flags & O_ACCMODE] | ((flags & O_TRUNC) != 0 ? 2u : 0);
}

/* Somebody else's device or socket where all may write and each owns what is his, and whoever opens it thought of making a file. */
static bool is_trap(const struct dentry *d, const struct cred *c)
{
    const struct inode *i = d->inode;
    if (S_ISREG(i->mode) || S_ISFIFO(i->mode) || i->uid == c->fsuid)
        return false;
    spin_lock(&dcache_lock);
    const struct inode *dir = d->parent->inode;
    bool trap = (dir->mode & (S_ISVTX | 2)) == (S_ISVTX | 2) && i->uid != dir->uid;
    spin_unlock(&dcache_lock);
    return trap;
}

/* A directory entry was made (or is to be ignored): permission was settled before. */
static int may_open(const struct path *p, u32 flags, const struct cred *c, bool created)
{
    struct inode *i = p->dentry->inode;
    u32 want = open_want(flags);
    switch (i->mode & S_IFMT) {
    case S_IFLNK:
        return -ELOOP;
    case S_IFDIR:
        if ((want & 2) != 0 || (flags & O_CREAT) != 0)
            return -EISDIR;
        break;
    case S_IFSOCK:
        if ((flags & O_CREAT) != 0 && is_trap(p->dentry, c))
            return -EACCES;
        break;
    case S_IFCHR:
    case S_IFBLK:
        if ((flags & O_CREAT) != 0 && is_trap(p->dentry, c))
            return -EACCES;
        if ((p->mount->flags & MS_NODEV) != 0)
            return -EACCES;
        break;
    case S_IFREG:
        if ((want & 2) != 0 && path_want_write(p) != 0)
            return -EROFS;
        break;
    }
    if (!created) {
        int err = permission(i, c, want);
        if (err != 0)
            return err;
    }
    if ((flags & O_NOATIME) != 0 && !inode_owner_or_capable(i, c))
        return -EPERM;
    return 0;
}

static int open_truncate(struct file *f)
{
    struct inode *i = f->inode;
    if (!S_ISREG(i->mode))
        return 0;
    struct setattr a = {.valid = SETATTR_SIZE, .size = 0};
    return vfs_setattr_dentry(f->path.dentry, f->cred, &a);
}

/* Fill in the operations and call the object's open(). */
static int open_object(struct file *f, u32 flags)
{
    struct inode *i = f->inode;
    u32 acc = flags & O_ACCMODE;
    f->can_read = acc == O_RDONLY || acc == O_RDWR;
    f->can_write = acc == O_WRONLY || acc == O_RDWR;
    if ((f->path.mount->flags & MS_NOATIME_) != 0)
        f->flags |= O_NOATIME;
    if (i->fops != NULL)
        f->ops = i->fops;
    else if (S_ISFIFO(i->mode))
        f->ops = &fifo_file_ops;
    else if (S_ISCHR(i->mode))
        return chrdev_open(i, f);
    else
        return -ENXIO; /* sockets, block devices, anonymous objects */
    return f->ops->open != NULL ? f->ops->open(i, f) : 0;
}

const struct file_ops path_file_ops = {};

/* The references of *p move into the file on success. */
static int open_at(struct path *p, u32 flags, const struct cred *c, bool created, struct file **ret)
{
    struct inode *i = p->dentry->inode;
    struct file *f;
    int err;
    if ((flags & O_DIRECTORY) != 0 && !S_ISDIR(i->mode))
        return -ENOTDIR;
    if ((flags & O_PATH) != 0) {
        err = file_alloc(flags & O_PATH_FLAGS, c, &f);
        if (err != 0)
            return err;
        f->ops = &path_file_ops;
        f->inode = i;
        f->path = *p;
        *ret = f;
        return 0;
    }
    err = may_open(p, flags, c, created);
    if (err != 0)
        return err;
    bool writes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC) != 0;
    bool counted = writes && S_ISREG(i->mode);
    if (counted && (err = inode_get_write(i)) != 0)
        return err;
    err = file_alloc(flags & ~(O_CREAT | O_EXCL | O_TRUNC | O_CLOEXEC), c, &f); /* open() wants to see O_NOCTTY */
    if (err != 0) {
        if (counted)
            inode_put_write(i);
        return err;
    }
    f->inode = i;
    f->path = *p;
    f->counted_write = counted;
    err = open_object(f, flags);
    if (err != 0) {
        f->ops = &path_file_ops; /* not opened: nothing to release, nothing to tell */
        f->can_read = f->can_write = false;
    } else {
        notify_file(f, IN_OPEN);
        if ((flags & O_TRUNC) != 0 && !created)
            err = open_truncate(f);
    }
    f->flags &= ~O_NOCTTY;
    if (err != 0) {
        path_get(p); /* the file's end drops one */
        file_put(f);
        return err;
    }
    *ret = f;
    return 0;
}

int vfs_open_path(const struct path *p, u32 flags, const struct cred *c, struct file **ret)
{
    struct path own = *p;
    path_get(&own);
    int err = open_at(&own, flags, c, false, ret);
    if (err != 0)
        path_put(&own);
    return err;
}

/* O_CREAT: find or make the last component. *ret referenced, *ret_created. dir is w->pin.
 * 1 = a symbolic link was followed: again. */
static int open_last(struct walk *w, u32 flags, u32 mode, struct path *ret, bool *ret_created)
{
    if (w->last_type != LAST_NORMAL) {
        if ((flags & O_EXCL) != 0)
            return -EEXIST;
        if (w->last_type == LAST_ROOT && !w->trailing) { /* a magic link led here */
            *ret = w->pin;
            path_get(ret);
            return 0;
        }
        return -EISDIR;
    }
    if (w->trailing)
        return -EISDIR;
    struct inode *dir = w->pin.dentry->inode;
    const struct cred *c = w->l->cred;
    struct dentry *d = NULL;
    mutex_lock(&dir->lock);
    int err = child_lookup(w->pin.dentry, w->last, w->last_len, w->last_hash, &d);
    if (err == 0 && d->inode == NULL) {
        err = path_want_write(&w->pin);
        if (err == 0)
            err = permission(dir, c, 3);
        if (err == 0)
            err = dir->nlink == 0 ? -ENOENT : dir->ops->create == NULL ? -EACCES : dir->ops->create(dir, d, mode, c);
        *ret_created = err == 0;
        if (err == 0)
            notify_name(dir, d, false, IN_CREATE);
    } else if (err == 0 && (flags & O_EXCL) != 0) {
        err = -EEXIST;
    }
    if (err == -EEXIST && (flags & O_EXCL) == 0) { /* made behind the name cache: look again */
        dentry_unhash(d);
        dentry_put(d);
        d = NULL;
        err = child_lookup(w->pin.dentry, w->last, w->last_len, w->last_hash, &d);
        if (err == 0 && d->inode == NULL)
            err = -ENOENT;
    }
    mutex_unlock(&dir->lock);
    if (err == 0 && S_ISLNK(d->inode->mode) && !*ret_created) {
        err = (flags & O_NOFOLLOW) != 0 ? -ELOOP : walk_through(w, d);
        dentry_put(d);
        return err != 0 ? err : 1;
    }
    if (err != 0) {
        dentry_put(d);
        return err;
    }
    *ret = (struct path){w->pin.mount, d};
    mount_get(ret->mount);
    if (d->mounted)
        path_cross_mounts(ret);
    return 0;
}

static int open_create(const struct lookup *l, const char *name, u32 flags, u32 mode, u32 lookup_flags,
                       struct file **ret)
{
    struct walk w;
    struct path p;
    bool created = false;
    int err = walk_parent_of(&w, l, name, lookup_flags & ~LOOKUP_EMPTY);
    if (err == 0)
        do
            err = open_last(&w, flags, mode, &p, &created);
        while (err == 1);
    if (err == 0) {
        err = open_at(&p, flags, l->cred, created, ret);
        if (err != 0)
            path_put(&p);
    }
    walk_done(&w);
    return err;
}

static int open_tmpfile(const struct lookup *l, const char *name, u32 flags, u32 mode, u32 lookup_flags,
                        struct file **ret)
{
    struct path p;
    struct inode *i = NULL;
    int err = vfs_lookup(l, name, lookup_flags | LOOKUP_DIRECTORY, &p);
    if (err != 0)
        return err;
    struct inode *dir = p.dentry->inode;
    err = path_want_write(&p);
    if (err == 0)
        err = permission(dir, l->cred, 3);
    if (err == 0) {
        mutex_lock(&dir->lock);
        err = dir->ops->tmpfile != NULL ? dir->ops->tmpfile(dir, S_IFREG | mode, l->cred, &i) : -EOPNOTSUPP;
        mutex_unlock(&dir->lock);
    }
    if (err == 0) {
        /* a name that is never in the cache: "#123 (deleted)" */
        struct dentry *d = dentry_create(p.dentry, "#tmp", 4, 0);
        if (d == NULL) {
            inode_put(i);
            err = -ENOMEM;
        } else {
            dentry_attach(d, i);
            d->private = (flags & O_EXCL) == 0 ? d : NULL; /* linkat() may give it a name */
            struct path q = {mount_get(p.mount), d};
            err = open_at(&q, flags & ~(O_DIRECTORY | O_TRUNC), l->cred, true, ret);
            if (err != 0)
                path_put(&q);
        }
    }
    path_put(&p);
    return err;
}

static int open_by_name(const struct lookup *l, const char *name, u32 flags, u32 mode, u32 lookup_flags, struct file **ret)
{
    struct path p;
    if ((flags & O_PATH) != 0)
        flags &= O_PATH_FLAGS;
    if ((flags & O_NOFOLLOW) != 0)
        lookup_flags |= LOOKUP_NOFOLLOW;
    if ((flags & (O_CREAT | O_TMPFILE_BIT)) != 0) {
        mode = (mode & 07777 & ~l->fs->umask) | S_IFREG;
        if ((flags & O_TMPFILE_BIT) != 0) {
            if ((flags & O_DIRECTORY) == 0 || (flags & O_CREAT) != 0 || (flags & O_ACCMODE) == O_RDONLY ||
                (flags & O_ACCMODE) == O_ACCMODE)
                return -EINVAL;
            int err = open_tmpfile(l, name, flags & ~O_TMPFILE_BIT, mode & 07777, lookup_flags, ret);
            if (err == 0)
                (*ret)->flags |= O_TMPFILE_BIT | O_DIRECTORY; /* F_GETFL tells so */
            return err;
        }
        if ((flags & O_DIRECTORY) != 0)
            return -EINVAL;
        /* Most files that are opened with O_CREAT exist. */
        if ((flags & O_EXCL) != 0 || vfs_lookup(l, name, lookup_flags, &p) != 0)
            return open_create(l, name, flags, mode, lookup_flags, ret);
    } else {
        int err = vfs_lookup(l, name, lookup_flags, &p);
        if (err != 0)
            return err;
    }
    int err = open_at(&p, flags, l->cred, false, ret);
    if (err != 0)
        path_put(&p);
    return err;
}

int vfs_open(const struct lookup *l, const char *name, u32 flags, u32 mode, u32 lookup_flags, struct file **ret)
{
    int err = open_by_name(l, name, flags, mode, lookup_flags, ret);
    TRACE(FS_OPEN, (u64)name, flags, (u64)(s64)err);
    return err;
}
