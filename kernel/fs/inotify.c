/* SPDX-License-Identifier: Apache-2.0 */
/*
 * inotify(7): instances with watches and a queue of events. A watch belongs to an inode and keeps the name by which it
 * was made, so that the name cache does not forget the inode and make another one.
 *
 *  N1  A watch is in its inode's list and in its instance's tree, or in neither (then whoever took it out frees it).
 *  N2  A removed file is gone for its watches when nlink is 0 and their own references are all that is left of its
 *      dentry: then they tell IN_DELETE_SELF and go.
 *  N3  The overflow event is part of the instance, so it can always be queued.
 *
 * Lock: dcache_lock > inotify_lock (watches, queues, instances) > waitqueue.lock. Dentries are put behind it.
 */
#include "fs_impl.h"
#include "base/fmt.h"
#include "base/rbtree.h"
#include "kern/uaccess.h"

struct abi_event {
    s32 wd;
    u32 mask, cookie, len;
};

struct event {
    struct list node;
    struct abi_event abi; /* len: of the name as read() gives it */
    char name[];          /* directly behind abi */
};

struct inotify {
    struct waitqueue wq;
    struct list node;      /* instances */
    struct rb_root watches; /* by number */
    struct list events;
    u32 nwatches, nevents, queue_limit, uid;
    u64 bytes;             /* what read() could take */
    s32 last_wd;
    struct event overflow; /* N3; at the end, for its name */
};

struct inotify_watch {
    struct rb_node node;   /* owner->watches */
    struct inotify_watch *next;    /* of the same inode; of those to be freed */
    struct inotify *owner;
    struct dentry *dentry; /* a reference */
    s32 wd;
    u32 mask;
};

u32 watch_count;
struct inotify_limits inotify_limits = {16384, 128, 65536};
static struct spinlock inotify_lock = SPINLOCK_INIT("inotify");
static struct list instances = LIST_INIT(instances);
static u32 last_cookie;
_Static_assert(offsetof(struct event, name) == offsetof(struct event, abi) + sizeof(struct abi_event), "one copy");

/* --- events ------------------------------------------------------------------------------- */

static bool same_event(const struct event *e, s32 wd, u32 mask, const char *name, u32 len)
{
    if (e->abi.wd != wd || e->abi.mask != mask || (e->abi.len != 0) != (len != 0))
        return false;
    return len == 0 || (strlen(e->name) == len && memcmp(e->name, name, len) == 0);
}

static void queue_event(struct inotify *in, s32 wd, u32 mask, u32 cookie, const char *name, u32 len)
{
    if (!list_empty(&in->events) && same_event(list_last(&in->events, struct event, node), wd, mask, name, len))
        return;
    u32 room = len != 0 ? ALIGN_UP(len + 1, (u32)sizeof(struct abi_event)) : 0;
    struct event *e = in->nevents < in->queue_limit ? kmalloc(sizeof(*e) + room, ALLOC_ATOMIC | ALLOC_ZERO) : NULL;
    if (e != NULL) {
        e->abi = (struct abi_event){wd, mask, cookie, room};
        memcpy(e->name, name, len);
    } else if (list_empty(&in->overflow.node)) {
        e = &in->overflow;
    } else {
        return;
    }
    list_push_back(&in->events, &e->node);
    in->nevents++;
    in->bytes += sizeof(e->abi) + e->abi.len;
    wq_wake(&in->wq, POLLIN | POLLRDNORM);
}

/* Out of both lists (N1) and onto *dead. inotify_lock held. */
static void take_out(struct inotify_watch *w, struct inotify_watch **dead)
{
    struct inotify_watch **p = &w->dentry->inode->watches;
    while (*p != w)
        p = &(*p)->next;
    atomic_store(p, w->next);
    rb_remove(&w->owner->watches, &w->node);
    w->owner->nwatches--;
    atomic_sub(&watch_count, 1u);
    w->next = *dead;
    *dead = w;
}

static void ignore(struct inotify_watch *w, struct inotify_watch **dead)
{
    queue_event(w->owner, w->wd, IN_IGNORED, 0, "", 0);
    take_out(w, dead);
}

static void free_watches(struct inotify_watch *dead)
{
    while (dead != NULL) {
        struct inotify_watch *w = dead;
        dead = w->next;
        dentry_put(w->dentry);
        kfree(w);
    }
}

/* Tell the watches of an inode. inotify_lock held. */
static void tell(struct inode *i, u32 mask, u32 cookie, const char *name, u32 len, bool removed, struct inotify_watch **dead)
{
    for (struct inotify_watch *w = i->watches, *next; w != NULL; w = next) {
        next = w->next;
        if (!(w->mask & mask & IN_ALL_EVENTS) || (removed && (w->mask & IN_EXCL_UNLINK)))
            continue;
        queue_event(w->owner, w->wd, mask, cookie, name, len);
        if (w->mask & IN_ONESHOT)
            ignore(w, dead);
    }
}

/* by_file: by an open file, not by name. A directory is not told who reads and writes a device, pipe or socket in it. */
void notify_dentry_slow(struct dentry *d, u32 mask, bool by_file)
{
    struct inode *i = d->inode;
    struct inotify_watch *dead = NULL;
    if (S_ISDIR(i->mode))
        mask |= IN_ISDIR;
    spin_lock(&dcache_lock); /* its name and parent */
    struct inode *dir = d->parent->inode;
    if (atomic_load_relaxed(&i->watches) != NULL || atomic_load_relaxed(&dir->watches) != NULL) {
        bool removed = by_file && !d->hashed && d->parent != d, special = !S_ISREG(i->mode) && !S_ISDIR(i->mode) && !S_ISLNK(i->mode);
        spin_lock(&inotify_lock);
        if (dir != i && !(by_file && special && (mask & (IN_ACCESS | IN_MODIFY)) != 0))
            tell(dir, mask, 0, d->name, d->name_len, removed, &dead);
        tell(i, mask, 0, "", 0, removed, &dead);
        spin_unlock(&inotify_lock);
    }
    spin_unlock(&dcache_lock);
    free_watches(dead);
}

void notify_inode_slow(struct inode *i, u32 mask, u32 cookie, const char *name, u32 len)
{
    struct inotify_watch *dead = NULL;
    if (atomic_load_relaxed(&i->watches) == NULL)
        return;
    spin_lock(&inotify_lock);
    tell(i, mask, cookie, name, len, false, &dead);
    spin_unlock(&inotify_lock);
    free_watches(dead);
}

u32 notify_cookie(void) { return atomic_add(&last_cookie, 1u); }

/* N2. inotify_lock held; `others` references are the callers'. */
static void check_gone(struct dentry *d, u32 others, struct inotify_watch **dead)
{
    struct inode *i = d->inode;
    u32 own = 0;
    for (struct inotify_watch *w = i->watches; w != NULL; w = w->next)
        own += w->dentry == d;
    if (d->hashed || i->nlink != 0 || ref_count(&d->refs) != own + others)
        return;
    tell(i, IN_DELETE_SELF, 0, "", 0, false, dead);
    while (i->watches != NULL)
        ignore(i->watches, dead);
}

void notify_removed_slow(struct dentry *d)
{
    struct inotify_watch *dead = NULL;
    spin_lock(&inotify_lock);
    check_gone(d, 1, &dead);
    spin_unlock(&inotify_lock);
    free_watches(dead);
}

bool notify_put_slow(struct dentry *d)
{
    struct inotify_watch *dead = NULL, *w;
    struct dentry *old = NULL;
    spin_lock(&inotify_lock);
    for (w = d->inode->watches; w != NULL && w->dentry != d; w = w->next)
        ;
    if (w != NULL) {
        atomic_sub(&d->refs.n, 1u); /* the watch has another */
    } else if (d->inode->nlink == 0 && (w = d->inode->watches) != NULL) {
        old = w->dentry; /* another name of the file: the watch goes over to this reference */
        w->dentry = d;
    }
    if (w != NULL)
        check_gone(d, 0, &dead);
    spin_unlock(&inotify_lock);
    bool mine = false; /* is the last reference the caller's again, so that a chain of parents goes without recursion? */
    for (struct inotify_watch *g = dead; g != NULL; g = g->next)
        if (g->dentry == d) {
            g->dentry = NULL;
            if (mine)
                atomic_sub(&d->refs.n, 1u);
            mine = true;
        }
    free_watches(dead);
    if (old != NULL)
        dentry_put(old);
    return w != NULL && !mine;
}

void notify_unmount(struct superblock *sb)
{
    struct inotify_watch *dead = NULL;
    spin_lock(&inotify_lock);
    list_for_each(in, &instances, struct inotify, node) {
        for (struct rb_node *n = rb_first(&in->watches), *next; n != NULL; n = next) {
            struct inotify_watch *w = rb_entry(n, struct inotify_watch, node);
            next = rb_next(n);
            if (w->dentry->sb != sb)
                continue;
            queue_event(in, w->wd, IN_UNMOUNT | (S_ISDIR(w->dentry->inode->mode) ? IN_ISDIR : 0), 0, "", 0);
            ignore(w, &dead);
        }
    }
    spin_unlock(&inotify_lock);
    free_watches(dead);
}

/* --- the file -------------------------------------------------------------------------------- */

/* The first event, off the queue. NULL: none, or (*ret_small) none that fits. */
static struct event *take_event(struct inotify *in, u64 room, bool *ret_small)
{
    struct event *e = NULL;
    *ret_small = false;
    spin_lock(&inotify_lock);
    if (!list_empty(&in->events)) {
        e = list_first(&in->events, struct event, node);
        u64 size = sizeof(e->abi) + e->abi.len;
        if (size > room) {
            *ret_small = true;
            e = NULL;
        } else {
            list_remove_init(&e->node);
            in->nevents--;
            in->bytes -= size;
        }
    }
    spin_unlock(&inotify_lock);
    return e;
}

static void event_free(struct inotify *in, struct event *e)
{
    if (e != &in->overflow)
        kfree(e);
}

static s64 inotify_read(struct file *f, struct uio *u, u64 *pos)
{
    struct inotify *in = f->private;
    s64 done = 0;
    for (;;) {
        bool small;
        struct event *e = take_event(in, u->remaining, &small);
        if (e == NULL) {
            if (done > 0 || small)
                return done > 0 ? done : -EINVAL;
            if (f->flags & O_NONBLOCK)
                return -EAGAIN;
            int err = wait_event_interruptible(&in->wq, !list_empty(&in->events));
            if (err != 0)
                return err;
            continue;
        }
        u64 size = sizeof(e->abi) + e->abi.len;
        s64 n = uio_copy_out(u, &e->abi, size); /* the name is behind it */
        event_free(in, e);
        if (n != (s64)size)
            return done > 0 ? done : -EFAULT;
        done += n;
    }
}

static u32 inotify_poll(struct file *f, struct poll_table *pt)
{
    struct inotify *in = f->private;
    poll_wait(&in->wq, pt);
    return atomic_load(&in->nevents) != 0 ? POLLIN | POLLRDNORM : 0;
}

static s64 inotify_ioctl(struct file *f, u32 cmd, uaddr_t arg)
{
    struct inotify *in = f->private;
    return cmd == 0x541b /* FIONREAD */ ? put_user_u32(arg, (u32)atomic_load(&in->bytes)) : -ENOTTY;
}

static size_t inotify_fdinfo(struct file *f, char *buf, size_t size)
{
    struct inotify *in = f->private;
    size_t n = 0;
    spin_lock(&inotify_lock);
    for (struct rb_node *r = rb_first(&in->watches); r != NULL; r = rb_next(r)) {
        const struct inotify_watch *w = rb_entry(r, struct inotify_watch, node);
        n += (size_t)fmt_snprintf(n < size ? buf + n : NULL, n < size ? size - n : 0,
                                  "inotify wd:%x ino:%llx sdev:%llx mask:%x ignored_mask:0\n", (u32)w->wd,
                                  (unsigned long long)w->dentry->inode->ino, (unsigned long long)w->dentry->sb->dev,
                                  w->mask & (IN_ALL_EVENTS | IN_EXCL_UNLINK | IN_ONESHOT));
    }
    spin_unlock(&inotify_lock);
    return n;
}

static void inotify_release(struct file *f)
{
    struct inotify *in = f->private;
    struct inotify_watch *dead = NULL;
    spin_lock(&inotify_lock);
    list_remove(&in->node);
    while (in->watches.node != NULL)
        take_out(rb_entry(in->watches.node, struct inotify_watch, node), &dead);
    spin_unlock(&inotify_lock);
    free_watches(dead);
    list_for_each_safe(e, &in->events, struct event, node)
        event_free(in, e);
    kfree(in);
}

static const struct file_ops inotify_ops = {
    .read = inotify_read,
    .poll = inotify_poll,
    .ioctl = inotify_ioctl,
    .release = inotify_release,
    .fdinfo = inotify_fdinfo,
};

bool file_is_inotify(const struct file *f) { return f->ops == &inotify_ops; }

/* What a user has. inotify_lock held. */
static void count_of(u32 uid, u32 *ret_instances, u32 *ret_watches)
{
    *ret_instances = *ret_watches = 0;
    list_for_each(in, &instances, struct inotify, node)
        if (in->uid == uid) {
            ++*ret_instances;
            *ret_watches += in->nwatches;
        }
}

int inotify_open(u32 flags, u32 uid, struct file **ret)
{
    u32 n, watches;
    struct inotify *in = kzalloc(sizeof(*in));
    if (in == NULL)
        return -ENOMEM;
    wq_init(&in->wq, "inotify");
    list_init(&in->events);
    list_init(&in->overflow.node);
    in->overflow.abi = (struct abi_event){-1, IN_Q_OVERFLOW, 0, 0};
    in->queue_limit = inotify_limits.max_queued_events;
    in->uid = uid;
    spin_lock(&inotify_lock);
    count_of(uid, &n, &watches);
    int err = n >= inotify_limits.max_user_instances ? -EMFILE : 0;
    if (err == 0)
        list_push_back(&instances, &in->node);
    spin_unlock(&inotify_lock);
    if (err == 0 && (err = file_create_anon("inotify", &inotify_ops, in, O_RDONLY | (flags & O_NONBLOCK), ret)) != 0) {
        spin_lock(&inotify_lock);
        list_remove(&in->node);
        spin_unlock(&inotify_lock);
    }
    if (err != 0)
        kfree(in);
    return err;
}

static bool by_wd(const struct rb_node *a, const struct rb_node *b)
{
    return rb_entry(a, struct inotify_watch, node)->wd < rb_entry(b, struct inotify_watch, node)->wd;
}

/* inotify_lock held. */
static s64 add_locked(struct inotify *in, struct inotify_watch *new)
{
    struct inode *i = new->dentry->inode;
    u32 n, watches;
    count_of(in->uid, &n, &watches);
    if (in->last_wd == INT32_MAX)
        return -ENOSPC;
    new->wd = ++in->last_wd; /* a refused number is not given again either */
    if (watches >= inotify_limits.max_user_watches)
        return -ENOSPC;
    rb_insert(&in->watches, &new->node, by_wd);
    in->nwatches++;
    new->next = i->watches;
    atomic_store(&i->watches, new);
    atomic_add(&watch_count, 1u);
    return new->wd;
}

s64 inotify_add(struct file *f, const struct path *p, u32 mask)
{
    struct inotify *in = f->private;
    struct inode *i = p->dentry->inode;
    u32 kept = mask & (IN_ALL_EVENTS | IN_EXCL_UNLINK | IN_ONESHOT);
    struct inotify_watch *w, *new = kzalloc(sizeof(*new));
    if (new == NULL)
        return -ENOMEM;
    *new = (struct inotify_watch){.owner = in, .dentry = dentry_get(p->dentry), .mask = kept};
    spin_lock(&inotify_lock);
    s64 r;
    for (w = i->watches; w != NULL && w->owner != in; w = w->next)
        ;
    if (w != NULL && (mask & IN_MASK_CREATE)) {
        r = -EEXIST;
    } else if (w != NULL) {
        w->mask = (mask & IN_MASK_ADD ? w->mask : 0) | kept;
        r = w->wd;
    } else {
        r = add_locked(in, new);
        if (r >= 0)
            new = NULL;
    }
    spin_unlock(&inotify_lock);
    free_watches(new);
    return r;
}

int inotify_remove(struct file *f, s32 wd)
{
    struct inotify *in = f->private;
    struct inotify_watch *dead = NULL;
    spin_lock(&inotify_lock);
    struct rb_node *n = in->watches.node;
    while (n != NULL && rb_entry(n, struct inotify_watch, node)->wd != wd)
        n = wd < rb_entry(n, struct inotify_watch, node)->wd ? n->left : n->right;
    if (n != NULL)
        ignore(rb_entry(n, struct inotify_watch, node), &dead);
    spin_unlock(&inotify_lock);
    free_watches(dead);
    return n != NULL ? 0 : -EINVAL;
}
