/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a path to a place (path_resolution(7), openat2(2)).
 *
 * The walk holds dcache_lock and no references as long as every name is in the
 * cache: one lock, one reference at the end. For anything that may sleep (a
 * name not cached, a symbolic link, a file system that revalidates) it pins
 * where it stands, lets the lock go, does that one step, and goes on as before.
 * A symbolic link's text is put in front of what is left of the name, so the
 * loop knows no recursion; MAX_SYMLINKS bounds it.
 */
#include "fs_impl.h"

void path_get(const struct path *p)
{
    if (p->mount != NULL)
        mount_get(p->mount);
    if (p->dentry != NULL)
        dentry_get(p->dentry);
}

void path_put(struct path *p)
{
    struct path old = *p;
    *p = (struct path){NULL, NULL};
    dentry_put_notify(old.dentry);
    mount_put(old.mount);
}

/* Look a name up in dir: cache first, then the file system. dir->inode->lock held. */
int child_lookup(struct dentry *dir, const char *name, u32 len, u32 hash, struct dentry **ret)
{
    struct inode *i = dir->inode;
    spin_lock(&dcache_lock);
    struct dentry *d = dcache_find(dir, name, len, hash);
    if (d != NULL)
        dentry_get(d);
    spin_unlock(&dcache_lock);
    if (d != NULL) {
        if (d->sb->ops->revalidate == NULL || d->mounted || d->sb->ops->revalidate(d)) {
            *ret = d;
            return 0;
        }
        dentry_unhash(d);
        dentry_put(d);
    }
    if (i->nlink == 0)
        return -ENOENT;
    if (len > NAME_MAX)
        return -ENAMETOOLONG;
    if (i->ops->lookup == NULL)
        return -ENOTDIR;
    d = dentry_create(dir, name, len, hash);
    if (d == NULL)
        return -ENOMEM;
    int err = i->ops->lookup(i, d);
    if (err != 0) {
        dentry_put(d);
        return err;
    }
    dentry_add(d);
    *ret = d;
    return 0;
}

/* Pin where the walk stands and let the lock go. */
static void walk_unlock(struct walk *w)
{
    struct path pin = w->pin;
    struct dentry *child = w->child;
    path_get(&w->cur);
    w->pin = w->cur;
    w->child = NULL;
    if (w->root_pin.dentry == NULL) {
        path_get(&w->root);
        w->root_pin = w->root;
    }
    spin_unlock(&dcache_lock);
    path_put(&pin);
    dentry_put(child);
}

static int lookup_slow(struct walk *w, const char *name, u32 len, u32 hash, struct dentry **ret)
{
    walk_unlock(w);
    struct inode *dir = w->cur.dentry->inode;
    struct dentry *d = NULL;
    mutex_lock(&dir->lock);
    int err = child_lookup(w->cur.dentry, name, len, hash, &d);
    mutex_unlock(&dir->lock);
    spin_lock(&dcache_lock);
    w->child = d;
    *ret = d;
    return err;
}

static NOINLINE int cross_mounts_slow(struct walk *w, struct path *p)
{
    while (p->dentry->mounted) {
        struct mount *m = mount_at(p);
        if (m == NULL)
            break;
        if ((w->flags & LOOKUP_NO_XDEV) != 0)
            return -EXDEV;
        p->mount = m;
        p->dentry = m->root;
    }
    return 0;
}

static inline int cross_mounts(struct walk *w, struct path *p)
{
    return likely(!p->dentry->mounted) ? 0 : cross_mounts_slow(w, p);
}

void path_cross_mounts(struct path *p)
{
    spin_lock(&dcache_lock);
    struct path q = *p;
    struct mount *m;
    while (q.dentry->mounted && (m = mount_at(&q)) != NULL)
        q = (struct path){m, m->root};
    path_get(&q);
    spin_unlock(&dcache_lock);
    path_put(p);
    *p = q;
}

static int step_up(struct walk *w)
{
    struct path p = w->cur;
    w->rooted = true;
    if ((w->flags & LOOKUP_BENEATH) != 0 && path_equal(&p, &w->start))
        return -EXDEV;
    for (;;) {
        if (path_equal(&p, &w->root))
            return 0;
        if (p.dentry != p.mount->root)
            break;
        if (p.mount->parent == NULL)
            return 0;
        if ((w->flags & LOOKUP_NO_XDEV) != 0)
            return -EXDEV;
        p = (struct path){p.mount->parent, p.mount->mountpoint};
    }
    p.dentry = p.dentry->parent;
    int err = cross_mounts(w, &p);
    if (err == 0)
        w->cur = p;
    return err;
}

/* Put the link's target in front of `rest`. The lock is held before and after; w->cur is
 * the link's directory. 1 = go on walking. */
static int walk_link(struct walk *w, struct dentry *link, const char *rest)
{
    if ((w->flags & LOOKUP_NO_SYMLINKS) != 0 || ++w->links > MAX_SYMLINKS)
        return -ELOOP;
    struct inode *i = link->inode;
    dentry_get(link);
    walk_unlock(w);
    size_t rest_len = strlen(rest);
    struct path target = {NULL, NULL};
    char *buf = NULL;
    int err = 0;
    if (i->ops->follow != NULL) {
        if ((w->flags & LOOKUP_NO_MAGICLINKS) != 0)
            err = -ELOOP;
        else if ((w->flags & (LOOKUP_BENEATH | LOOKUP_IN_ROOT)) != 0)
            err = -EXDEV;
        else
            err = i->ops->follow(i, &target);
        if (err == 0 && (w->flags & LOOKUP_NO_XDEV) != 0 && target.mount != w->cur.mount)
            err = -EXDEV;
    }
    if (err == 0 && target.dentry == NULL) {
        u64 size = inode_size(i);
        size_t cap = size > 0 && size < PATH_MAX ? size : PATH_MAX - 1;
        buf = kmalloc(cap + rest_len + 1, 0);
        s64 n = buf == NULL ? -ENOMEM : i->ops->readlink != NULL ? i->ops->readlink(i, buf, cap) : -EINVAL;
        if (n <= 0)
            err = n < 0 ? (int)n : -ENOENT;
        else
            memcpy(buf + n, rest, rest_len + 1);
        if (err == 0 && strlen(buf) < (size_t)n)
            err = -EUCLEAN; /* an end byte inside the target */
    } else if (err == 0) {
        buf = kmalloc(rest_len + 1, 0);
        if (buf == NULL)
            err = -ENOMEM;
        else
            memcpy(buf, rest, rest_len + 1);
    }
    dentry_put(link);
    if (err != 0) {
        kfree(buf);
        path_put(&target);
        spin_lock(&dcache_lock);
        return err;
    }
    kfree(w->buf);
    w->buf = buf;
    w->name = buf;
    if (target.dentry != NULL) {
        path_put(&w->pin);
        w->pin = target;
        spin_lock(&dcache_lock);
        w->cur = target;
        return 1;
    }
    spin_lock(&dcache_lock);
    if (buf[0] == '/') {
        if ((w->flags & LOOKUP_BENEATH) != 0)
            return -EXDEV;
        if ((w->flags & LOOKUP_NO_XDEV) != 0 && (!w->rooted || w->root.mount != w->cur.mount))
            return -EXDEV;
        w->rooted = true;
        w->cur = w->root;
    }
    return 1;
}

/* One component down. 0 = w->cur is it, 1 = a link was put in front, or -errno. */
static int step(struct walk *w, const char *name, u32 len, u32 hash, bool follow, const char *rest)
{
    struct dentry *d = dcache_find(w->cur.dentry, name, len, hash);
    int err;
    if (unlikely(d == NULL || d->sb->ops->revalidate != NULL)) {
        err = lookup_slow(w, name, len, hash, &d);
        if (err != 0)
            return err;
    }
    struct inode *i = d->inode;
    if (i == NULL)
        return -ENOENT;
    if (unlikely(S_ISLNK(i->mode)) && follow)
        return walk_link(w, d, rest);
    struct path p = {w->cur.mount, d};
    err = cross_mounts(w, &p);
    if (err == 0)
        w->cur = p;
    return err;
}

static void walk_start(struct walk *w, const struct lookup *l, const char *name, u32 flags)
{
    w->l = l;
    w->flags = flags;
    w->name = name;
    w->pin = w->root_pin = (struct path){NULL, NULL};
    w->child = NULL;
    w->buf = NULL;
    w->links = 0;
    spin_lock(&dcache_lock);
    struct path start = l->at != NULL ? *l->at : l->fs->cwd;
    w->root = l->fs->root;
    if ((flags & (LOOKUP_BENEATH | LOOKUP_IN_ROOT)) != 0) {
        w->start = w->root = start;
        w->cur = start;
        w->rooted = true;
    } else {
        w->rooted = name[0] == '/';
        w->cur = name[0] == '/' ? w->root : start;
    }
}

/* Everything but the last component. dcache_lock held before and after. */
static int walk_parent(struct walk *w)
{
    for (;;) {
        const char *s = w->name;
        while (*s == '/')
            s++;
        w->last_len = 0;
        w->trailing = s != w->name;
        w->last_type = LAST_ROOT;
        if (*s == 0)
            return 0;
        struct inode *dir = w->cur.dentry->inode;
        if (!S_ISDIR(dir->mode))
            return -ENOTDIR;
        int err = permission(dir, w->l->cred, 1);
        if (err != 0)
            return err;
        u32 hash = 0x811c9dc5u; /* name_hash() in the same pass */
        const char *e = s;
        for (; *e != 0 && *e != '/'; e++)
            hash = (hash ^ (u8)*e) * 0x01000193u;
        u32 len = (u32)(e - s);
        const char *rest = e;
        while (*rest == '/')
            rest++;
        enum last_type type = LAST_NORMAL;
        if (unlikely(s[0] == '.') && len <= 2)
            type = len == 1 ? LAST_DOT : s[1] == '.' ? LAST_DOTDOT : LAST_NORMAL;
        if (*rest == 0) {
            w->last = s;
            w->last_len = len;
            w->last_hash = hash;
            w->last_type = type;
            w->trailing = rest != e;
            return 0;
        }
        err = type == LAST_NORMAL ? step(w, s, len, hash, true, e) : type == LAST_DOTDOT ? step_up(w) : 0;
        if (err < 0)
            return err;
        if (err == 0)
            w->name = rest;
    }
}

static int check_start(const struct lookup *l, const char *name, u32 flags)
{
    if (name[0] == 0 && (flags & LOOKUP_EMPTY) == 0)
        return -ENOENT;
    if (name[0] == '/' && (flags & LOOKUP_BENEATH) != 0)
        return -EXDEV;
    return l->err;
}

static void walk_drop(struct walk *w)
{
    if (likely(w->root_pin.dentry == NULL))
        return; /* never unlocked: nothing pinned, no link */
    dentry_put(w->child);
    path_put(&w->pin);
    path_put(&w->root_pin);
    kfree(w->buf);
}

void walk_done(struct walk *w)
{
    if (w->l != NULL)
        walk_drop(w);
    w->l = NULL;
}

int vfs_lookup(const struct lookup *l, const char *name, u32 flags, struct path *ret)
{
    struct walk w;
    int err = check_start(l, name, flags);
    if (err != 0)
        return err;
    walk_start(&w, l, name, flags);
    do {
        err = walk_parent(&w);
        if (err != 0 || w.last_type == LAST_ROOT || w.last_type == LAST_DOT)
            break;
        if (w.last_type == LAST_DOTDOT)
            err = step_up(&w);
        else
            err = step(&w, w.last, w.last_len, w.last_hash, (flags & LOOKUP_NOFOLLOW) == 0 || w.trailing,
                       w.trailing ? "/" : "");
    } while (err == 1);
    if (err == 0 && (w.trailing || (flags & LOOKUP_DIRECTORY) != 0) && !S_ISDIR(w.cur.dentry->inode->mode))
        err = -ENOTDIR;
    if (err == 0) {
        path_get(&w.cur);
        *ret = w.cur;
    }
    spin_unlock(&dcache_lock);
    walk_drop(&w);
    return err;
}

int walk_parent_of(struct walk *w, const struct lookup *l, const char *name, u32 flags)
{
    w->l = NULL;
    int err = check_start(l, name, flags & ~LOOKUP_EMPTY);
    if (err != 0)
        return err;
    walk_start(w, l, name, flags);
    err = walk_parent(w);
    walk_unlock(w);
    return err;
}

int walk_through(struct walk *w, struct dentry *link)
{
    spin_lock(&dcache_lock);
    int err = walk_link(w, link, w->trailing ? "/" : "");
    if (err == 1)
        err = walk_parent(w);
    walk_unlock(w);
    return err;
}
