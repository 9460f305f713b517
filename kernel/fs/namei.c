/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changing names: mkdir, mknod, symlink, link, unlink, rmdir, rename. Each walks to
 * the parent, locks it, looks the last name up, checks, and asks the file system.
 * The errors and their order are those of the man pages of section 2.
 */
#include "fs_impl.h"

/* May `c` add a name to dir? dir->lock held. */
static int may_create(const struct path *dir, const struct cred *c)
{
    struct inode *i = dir->dentry->inode;
    int err = path_want_write(dir);
    if (err == 0 && i->nlink == 0)
        err = -ENOENT;
    return err != 0 ? err : permission(i, c, 3);
}

/* May `c` take the name d out of dir? dir->lock held. */
static int may_delete(const struct path *dir, struct dentry *d, bool want_dir, const struct cred *c)
{
    struct inode *i = dir->dentry->inode, *victim = d->inode;
    int err = path_want_write(dir);
    if (err == 0)
        err = permission(i, c, 3);
    if (err != 0)
        return err;
    if ((i->mode & S_ISVTX) != 0 && c->fsuid != victim->uid && c->fsuid != i->uid && !cred_capable(c, CAP_FOWNER))
        return -EPERM;
    if (want_dir && !S_ISDIR(victim->mode))
        return -ENOTDIR;
    if (!want_dir && S_ISDIR(victim->mode))
        return -EISDIR;
    return d->mounted || d->parent == d ? -EBUSY : 0;
}

/* A new name, before it is asked who may make it: the parent locked, *ret the negative dentry. 0 = the caller must call create_end(). */
static int name_begin(struct walk *w, const struct lookup *l, const char *name, u32 flags, bool is_dir,
                        struct dentry **ret)
{
    int err = walk_parent_of(w, l, name, flags);
    if (err == 0 && w->last_type != LAST_NORMAL)
        err = -EEXIST;
    if (err != 0) {
        walk_done(w);
        return err;
    }
    struct inode *dir = w->pin.dentry->inode;
    struct dentry *d = NULL;
    mutex_lock(&dir->lock);
    err = child_lookup(w->pin.dentry, w->last, w->last_len, w->last_hash, &d);
    if (err == 0 && d->inode != NULL)
        err = -EEXIST;
    else if (err == 0 && w->trailing && !is_dir)
        err = -ENOENT;
    if (err == 0) {
        *ret = d;
        return 0;
    }
    dentry_put(d);
    mutex_unlock(&dir->lock);
    walk_done(w);
    return err;
}

static void create_end(struct walk *w, struct dentry *d, int err)
{
    if (err == 0)
        notify_name(w->pin.dentry->inode, d, S_ISDIR(d->inode->mode), IN_CREATE);
    mutex_unlock(&w->pin.dentry->inode->lock);
    dentry_put(d);
    walk_done(w);
}

static int create_begin(struct walk *w, const struct lookup *l, const char *name, u32 flags, bool is_dir, struct dentry **ret)
{
    int err = name_begin(w, l, name, flags, is_dir, ret);
    if (err == 0 && (err = may_create(&w->pin, l->cred)) != 0)
        create_end(w, *ret, err);
    return err;
}

static u32 umask_of(const struct lookup *l) { return l->fs->umask; }

int vfs_mkdir(const struct lookup *l, const char *name, u32 mode)
{
    struct walk w;
    struct dentry *d;
    int err = create_begin(&w, l, name, 0, true, &d);
    if (err != 0)
        return err;
    struct inode *dir = w.pin.dentry->inode;
    mode = S_IFDIR | (mode & 01777 & ~umask_of(l));
    err = dir->ops->mkdir != NULL ? dir->ops->mkdir(dir, d, mode, l->cred) : -EPERM;
    create_end(&w, d, err);
    return err;
}

int vfs_mknod(const struct lookup *l, const char *name, u32 mode, u64 rdev)
{
    struct walk w;
    struct dentry *d;
    if ((mode & S_IFMT) == 0)
        mode |= S_IFREG;
    switch (mode & S_IFMT) {
    case S_IFREG:
    case S_IFIFO:
    case S_IFSOCK:
        rdev = 0;
        break;
    case S_IFCHR:
    case S_IFBLK:
        break;
    case S_IFDIR:
        return -EPERM;
    default:
        return -EINVAL;
    }
    int err = create_begin(&w, l, name, 0, false, &d);
    if (err != 0)
        return err;
    struct inode *dir = w.pin.dentry->inode;
    mode &= S_IFMT | (07777 & ~umask_of(l));
    if ((S_ISBLK(mode) || (S_ISCHR(mode) && rdev != 0)) && !cred_capable(l->cred, CAP_MKNOD)) /* whiteouts open nothing */
        err = -EPERM;
    else if (S_ISREG(mode))
        err = dir->ops->create != NULL ? dir->ops->create(dir, d, mode, l->cred) : -EPERM;
    else
        err = dir->ops->mknod != NULL ? dir->ops->mknod(dir, d, mode, rdev, l->cred) : -EPERM;
    create_end(&w, d, err);
    return err;
}

int vfs_symlink(const struct lookup *l, const char *target, const char *name)
{
    struct walk w;
    struct dentry *d;
    if (target[0] == 0)
        return -ENOENT;
    if (strnlen(target, PATH_MAX) >= PATH_MAX)
        return -ENAMETOOLONG;
    int err = create_begin(&w, l, name, 0, false, &d);
    if (err != 0)
        return err;
    struct inode *dir = w.pin.dentry->inode;
    err = dir->ops->symlink != NULL ? dir->ops->symlink(dir, d, target, l->cred) : -EPERM;
    create_end(&w, d, err);
    return err;
}

/* The sysctl fs.protected_hardlinks: what is not one's own must be a plain file that one may read and write. */
static bool may_link(const struct inode *i, const struct cred *c)
{
    if (inode_owner_or_capable(i, c))
        return true;
    return S_ISREG(i->mode) && (i->mode & S_ISUID) == 0 && (i->mode & (S_ISGID | 010)) != (S_ISGID | 010) && permission(i, c, 6) == 0;
}

/* lookup_flags: LOOKUP_NOFOLLOW unless AT_SYMLINK_FOLLOW, LOOKUP_EMPTY; they are for `from`. */
int vfs_link(const struct lookup *from, const char *from_name, const struct lookup *to, const char *to_name,
             u32 lookup_flags)
{
    struct walk w;
    struct dentry *d;
    struct path old;
    int err = vfs_lookup(from, from_name, lookup_flags, &old);
    if (err != 0)
        return err;
    err = name_begin(&w, to, to_name, 0, false, &d);
    if (err == 0) {
        struct inode *dir = w.pin.dentry->inode, *i = old.dentry->inode;
        if (old.mount != w.pin.mount)
            err = -EXDEV;
        else if (!may_link(i, to->cred))
            err = -EPERM;
        else if ((err = may_create(&w.pin, to->cred)) != 0)
            ;
        else if (S_ISDIR(i->mode) || dir->ops->link == NULL)
            err = -EPERM;
        if (err == 0) {
            mutex_lock(&i->lock);
            /* linkat(2): a file with no name left cannot come back, unless it is an O_TMPFILE one */
            err = i->nlink == 0 && old.dentry->private == NULL ? -ENOENT : dir->ops->link(dir, d, i);
            if (err == 0 && i->nlink == 1)
                old.dentry->private = NULL; /* once */
            mutex_unlock(&i->lock);
        }
        if (err == 0)
            notify_inode(i, IN_ATTRIB, 0, "", 0);
        create_end(&w, d, err);
    }
    path_put(&old);
    return err;
}

static int remove_name(const struct lookup *l, const char *name, bool want_dir)
{
    struct walk w;
    int err = walk_parent_of(&w, l, name, 0);
    if (err == 0 && w.last_type != LAST_NORMAL) {
        if (!want_dir)
            err = -EISDIR;
        else
            err = w.last_type == LAST_DOT ? -EINVAL : w.last_type == LAST_DOTDOT ? -ENOTEMPTY : -EBUSY;
    }
    if (err != 0) {
        walk_done(&w);
        return err;
    }
    struct inode *dir = w.pin.dentry->inode, *victim = NULL;
    struct dentry *d = NULL;
    mutex_lock(&dir->lock);
    err = child_lookup(w.pin.dentry, w.last, w.last_len, w.last_hash, &d);
    if (err == 0 && d->inode == NULL)
        err = -ENOENT;
    if (err == 0 && w.trailing && !want_dir)
        err = S_ISDIR(d->inode->mode) ? -EISDIR : -ENOTDIR;
    if (err == 0)
        err = may_delete(&w.pin, d, want_dir, l->cred);
    if (err == 0) {
        victim = inode_get(d->inode);
        int (*op)(struct inode *, struct dentry *) = want_dir ? dir->ops->rmdir : dir->ops->unlink;
        mutex_lock(&victim->lock);
        err = op != NULL ? op(dir, d) : -EPERM;
        mutex_unlock(&victim->lock);
        if (err == 0) {
            dentry_unhash(d);
            if (want_dir)
                dentry_invalidate(d); /* names known not to be there would keep it alive */
            else
                notify_inode(victim, IN_ATTRIB, 0, "", 0);
            notify_removed(d);
            notify_name(dir, d, want_dir, IN_DELETE);
        }
    }
    mutex_unlock(&dir->lock);
    dentry_put_notify(d);
    inode_put(victim); /* the pages of a big file go here, without locks */
    walk_done(&w);
    return err;
}

int vfs_unlink(const struct lookup *l, const char *name) { return remove_name(l, name, false); }
int vfs_rmdir(const struct lookup *l, const char *name) { return remove_name(l, name, true); }

/* Both parents, ancestor first. rename_mutex keeps the tree's shape while we look. */
static void lock_dirs(struct inode *a, struct dentry *ad, struct inode *b, struct dentry *bd)
{
    if (a == b) {
        mutex_lock(&a->lock);
        return;
    }
    mutex_lock(&rename_mutex);
    spin_lock(&dcache_lock);
    bool b_first = dentry_is_below(ad, bd);
    spin_unlock(&dcache_lock);
    mutex_lock(b_first ? &b->lock : &a->lock);
    mutex_lock(b_first ? &a->lock : &b->lock);
}

static void unlock_dirs(struct inode *a, struct inode *b)
{
    mutex_unlock(&a->lock);
    if (a != b) {
        mutex_unlock(&b->lock);
        mutex_unlock(&rename_mutex);
    }
}

static void lock_pair(struct inode *a, struct inode *b, bool lock)
{
    void (*fn)(struct mutex *) = lock ? mutex_lock : mutex_unlock;
    if (b == NULL || a == b) {
        fn(&a->lock);
        return;
    }
    fn(a < b ? &a->lock : &b->lock);
    fn(a < b ? &b->lock : &a->lock);
}

static int rename_check(struct walk *f, struct walk *t, struct dentry *from, struct dentry *to, u32 flags)
{
    const struct cred *c = f->l->cred;
    bool exchange = (flags & RENAME_EXCHANGE) != 0;
    if (from->inode == NULL || (exchange && to->inode == NULL))
        return -ENOENT;
    if ((flags & RENAME_NOREPLACE) != 0 && to->inode != NULL)
        return -EEXIST;
    bool from_dir = S_ISDIR(from->inode->mode);
    if ((!from_dir && (f->trailing || (!exchange && t->trailing))))
        return -ENOTDIR;
    if (exchange && t->trailing && !S_ISDIR(to->inode->mode))
        return -ENOTDIR;
    spin_lock(&dcache_lock);
    bool into_self = dentry_is_below(t->pin.dentry, from), over_parent = dentry_is_below(f->pin.dentry, to);
    spin_unlock(&dcache_lock);
    if (into_self)
        return -EINVAL;
    if (over_parent)
        return exchange ? -EINVAL : -ENOTEMPTY;
    if (from->inode == to->inode)
        return 0; /* nothing is to be done, and no right needed for it */
    int err = may_delete(&f->pin, from, from_dir, c);
    if (err != 0)
        return err;
    if (to->inode == NULL)
        err = may_create(&t->pin, c);
    else
        err = may_delete(&t->pin, to, exchange ? S_ISDIR(to->inode->mode) : from_dir, c);
    if (err != 0 || f->pin.dentry == t->pin.dentry)
        return err;
    /* a directory that gets another parent has its ".." rewritten */
    if (from_dir)
        err = permission(from->inode, c, 2);
    if (err == 0 && exchange && S_ISDIR(to->inode->mode))
        err = permission(to->inode, c, 2);
    return err;
}

/* `d` moved from the directory and name of w to where it is now. */
static void tell_move(const struct walk *w, struct dentry *d, struct inode *to_dir, struct inode *victim)
{
    u32 is_dir = S_ISDIR(d->inode->mode) ? IN_ISDIR : 0, cookie = notify_cookie();
    notify_inode(w->pin.dentry->inode, IN_MOVED_FROM | is_dir, cookie, w->last, w->last_len);
    notify_inode(to_dir, IN_MOVED_TO | is_dir, cookie, d->name, d->name_len);
    if (victim != NULL)
        notify_inode(victim, IN_ATTRIB | (S_ISDIR(victim->mode) ? IN_ISDIR : 0), 0, "", 0);
    notify_inode(d->inode, IN_MOVE_SELF, 0, "", 0);
}

static int rename_locked(struct walk *f, struct walk *t, u32 flags)
{
    struct dentry *from = NULL, *to = NULL;
    struct inode *fdir = f->pin.dentry->inode, *tdir = t->pin.dentry->inode, *victim = NULL;
    int err = child_lookup(f->pin.dentry, f->last, f->last_len, f->last_hash, &from);
    if (err == 0 && from->inode == NULL)
        err = -ENOENT;
    if (err == 0)
        err = child_lookup(t->pin.dentry, t->last, t->last_len, t->last_hash, &to);
    if (err == 0)
        err = rename_check(f, t, from, to, flags);
    if (err == 0 && from->inode != to->inode) {
        struct inode *moved = from->inode;
        victim = to->inode != NULL ? inode_get(to->inode) : NULL;
        lock_pair(moved, victim, true);
        err = fdir->ops->rename != NULL ? fdir->ops->rename(fdir, from, tdir, to, flags, f->l->cred) : -EPERM;
        lock_pair(moved, victim, false);
        if (err == 0 && victim != NULL && victim->nlink == 0 && S_ISDIR(victim->mode))
            dentry_invalidate(to);
        if (err == 0 && watched()) {
            bool exchange = (flags & RENAME_EXCHANGE) != 0;
            tell_move(f, from, tdir, exchange ? NULL : victim);
            if (exchange)
                tell_move(t, to, fdir, NULL);
        }
    }
    dentry_put(from);
    dentry_put_notify(to);
    inode_put(victim);
    return err;
}

int vfs_rename(const struct lookup *from, const char *from_name, const struct lookup *to, const char *to_name,
               u32 flags)
{
    struct walk f, t;
    int err = walk_parent_of(&f, from, from_name, 0);
    if (err != 0) {
        walk_done(&f);
        return err;
    }
    err = walk_parent_of(&t, to, to_name, 0);
    if (err == 0 && f.pin.mount != t.pin.mount)
        err = -EXDEV;
    if (err == 0 && f.last_type != LAST_NORMAL)
        err = -EBUSY;
    if (err == 0 && t.last_type != LAST_NORMAL)
        err = (flags & RENAME_NOREPLACE) != 0 ? -EEXIST : -EBUSY;
    if (err == 0) {
        struct inode *a = f.pin.dentry->inode, *b = t.pin.dentry->inode;
        lock_dirs(a, f.pin.dentry, b, t.pin.dentry);
        err = rename_locked(&f, &t, flags);
        unlock_dirs(a, b);
    }
    walk_done(&f);
    walk_done(&t);
    return err;
}
