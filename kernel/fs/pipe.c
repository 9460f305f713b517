/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pipes and FIFOs (pipe(7), fifo(7)): a ring of pages.
 *
 * Slots tail..head-1 hold data; each has one page with [off, off + len) filled. A write
 * of up to PIPE_BUF goes into one slot, so it is atomic. Pages are shared with files that
 * were spliced in and with other pipes; only a write's own page is written to again. pipe->lock guards everything;
 * poll reads head, tail and the counts without it. The pipe belongs to its inode
 * (inode->shared_object, under inode->lock) and lives while a file is open.
 */
#include "fs_impl.h"
#include "kern/thread.h"
#include "kern/uaccess.h"
#include "kern/wait.h"

#define PIPE_SLOTS 16u
#define PIPE_MAX_SLOTS 256u /* 1 MiB, Linux's default limit */
#define FIONREAD 0x541bu

struct pipe_slot {
    struct page *page;
    u16 off, len;
    bool packet; /* O_DIRECT: a read takes no more than this */
    bool merge;  /* the page is of a write: the next one may go on behind it */
};

struct pipe {
    struct mutex lock;
    struct waitqueue readable, writable;
    u32 head, tail, slots;      /* lock; read without. slots is a power of two */
    u32 readers, writers;       /* lock; read without */
    bool moving;                /* lock; read without: a splice has the first bytes, and they stay until it knows what became of them */
    u32 reads_opened, writes_opened; /* lock; how often: FIFO opens wait for a change */
    u32 files;                  /* inode->lock */
    struct page *spare;         /* lock: one page kept from the last read */
    struct pipe_slot *ring;     /* lock */
};

static struct pipe *pipe_alloc(void)
{
    struct pipe *p = kzalloc(sizeof(*p));
    struct pipe_slot *ring = kzalloc(PIPE_SLOTS * sizeof(*ring));
    if (p == NULL || ring == NULL) {
        kfree(p);
        kfree(ring);
        return NULL;
    }
    mutex_init(&p->lock, "pipe");
    wq_init(&p->readable, "pipe_read");
    wq_init(&p->writable, "pipe_write");
    p->slots = PIPE_SLOTS;
    p->ring = ring;
    return p;
}

static void pipe_free(struct pipe *p)
{
    for (; p->tail != p->head; p->tail++)
        page_put(p->ring[p->tail & (p->slots - 1)].page);
    if (p->spare != NULL)
        page_put(p->spare);
    kfree(p->ring);
    kfree(p);
}

static inline bool pipe_empty(const struct pipe *p)
{
    return atomic_load(&p->head) == atomic_load(&p->tail);
}

static inline bool pipe_full(const struct pipe *p)
{
    return atomic_load(&p->head) - atomic_load(&p->tail) >= atomic_load_relaxed(&p->slots);
}

static void slot_done(struct pipe *p, struct pipe_slot *s)
{
    if (p->spare == NULL && s->merge && ref_count(&s->page->refs) == 1)
        p->spare = s->page;
    else
        page_put(s->page);
    s->page = NULL;
    atomic_store(&p->tail, p->tail + 1);
}

/* The lock, for who takes bytes. */
static int lock_reading(struct pipe *p)
{
    for (;;) {
        mutex_lock(&p->lock);
        if (likely(!p->moving))
            return 0;
        mutex_unlock(&p->lock);
        int err = wait_event_interruptible(&p->readable, !atomic_load(&p->moving));
        if (err != 0)
            return err;
    }
}

static s64 pipe_read(struct file *f, struct uio *u, u64 *pos)
{
    struct pipe *p = f->private;
    s64 done = 0;
    bool freed = false;
    if (u->remaining == 0)
        return 0;
    int err = lock_reading(p);
    if (err != 0)
        return err;
    for (;;) {
        if (!pipe_empty(p)) {
            struct pipe_slot *s = &p->ring[p->tail & (p->slots - 1)];
            u64 some = MIN((u64)s->len, u->remaining);
            s64 n = uio_copy_out(u, (char *)page_virt(s->page) + s->off, some);
            if (n != (s64)some) { /* it stays */
                done = done > 0 ? done : -EFAULT;
                break;
            }
            done += n;
            s->off = (u16)(s->off + n);
            s->len = (u16)(s->len - n);
            bool packet = s->packet;
            if (s->len == 0 || packet) {
                slot_done(p, s);
                freed = true;
            }
            if (u->remaining == 0 || packet)
                break;
            continue;
        }
        if (done > 0 || p->writers == 0)
            break;
        if ((f->flags & O_NONBLOCK) != 0) {
            done = -EAGAIN;
            break;
        }
        mutex_unlock(&p->lock);
        err = wait_event_interruptible(&p->readable, !pipe_empty(p) || atomic_load(&p->writers) == 0);
        if (err == 0)
            err = lock_reading(p);
        if (err != 0)
            return err;
    }
    mutex_unlock(&p->lock);
    if (freed)
        wake_waiters(&p->writable, POLLOUT | POLLWRNORM);
    if (done > 0 && f->path.dentry != NULL) /* nobody asks when a pipe without a name was read */
        file_touch_atime(f);
    return done;
}

/* The bytes of a write that fill no page go behind those of the last one, if they all fit there. */
static s64 pipe_merge(struct pipe *p, struct uio *u)
{
    struct pipe_slot *s = &p->ring[(p->head - 1) & (p->slots - 1)];
    u32 used = (u32)s->off + s->len, some = u->remaining & (PAGE_SIZE - 1);
    if (!s->merge || some == 0 || used + some > PAGE_SIZE)
        return 0;
    if (uio_copy_in(u, (char *)page_virt(s->page) + used, some) != (s64)some)
        return -EFAULT;
    s->len = (u16)(s->len + some);
    return some;
}

/* lock held, and not full. The reference to the page moves in. */
static void slot_add(struct pipe *p, struct pipe_slot s)
{
    p->ring[p->head & (p->slots - 1)] = s;
    atomic_store(&p->head, p->head + 1);
}

static s64 pipe_append(struct pipe *p, struct uio *u, bool packet)
{
    struct page *page = p->spare;
    if (page != NULL)
        p->spare = NULL;
    else if ((page = page_alloc(0, 0)) == NULL)
        return -ENOMEM;
    u64 some = MIN((u64)PAGE_SIZE, u->remaining);
    if (uio_copy_in(u, page_virt(page), some) != (s64)some) {
        p->spare = page;
        return -EFAULT;
    }
    slot_add(p, (struct pipe_slot){.page = page, .len = (u16)some, .packet = packet, .merge = !packet});
    return (s64)some;
}

static s64 pipe_write(struct file *f, struct uio *u, u64 *pos)
{
    struct pipe *p = f->private;
    bool packet = (f->flags & O_DIRECT) != 0;
    s64 done = 0, n;
    if (u->remaining == 0)
        return 0;
    mutex_lock(&p->lock);
    for (;;) {
        if (p->readers == 0) {
            done = done > 0 ? done : -EPIPE;
            break;
        }
        if (done == 0 && !pipe_empty(p))
            n = pipe_merge(p, u);
        else
            n = 0;
        if (n == 0 && !pipe_full(p))
            n = pipe_append(p, u, packet);
        if (n < 0) {
            done = done > 0 ? done : n;
            break;
        }
        if (n > 0) {
            done += n;
            if (u->remaining == 0)
                break;
            continue;
        }
        if ((f->flags & O_NONBLOCK) != 0) {
            done = done > 0 ? done : -EAGAIN;
            break;
        }
        mutex_unlock(&p->lock);
        wq_wake(&p->readable, POLLIN | POLLRDNORM);
        int err = wait_event_interruptible(&p->writable, !pipe_full(p) || atomic_load(&p->readers) == 0);
        if (err != 0)
            return done > 0 ? done : err;
        mutex_lock(&p->lock);
    }
    mutex_unlock(&p->lock);
    if (done > 0)
        wake_waiters(&p->readable, POLLIN | POLLRDNORM);
    if (done > 0 && f->path.dentry != NULL)
        inode_touch(f->inode, true);
    return done;
}

static u32 pipe_poll(struct file *f, struct poll_table *pt)
{
    struct pipe *p = f->private;
    u32 r = 0;
    if (f->can_read) {
        poll_wait(&p->readable, pt);
        if (atomic_load(&p->writers) == 0 && (u32)f->pos != p->writes_opened) /* first: what came before the end is in it then */
            r |= POLLHUP;
        if (!pipe_empty(p))
            r |= POLLIN | POLLRDNORM;
    }
    if (f->can_write) {
        poll_wait(&p->writable, pt);
        if (!pipe_full(p))
            r |= POLLOUT | POLLWRNORM;
        if (atomic_load(&p->readers) == 0)
            r |= POLLERR;
    }
    return r;
}

static s64 pipe_ioctl(struct file *f, u32 cmd, uaddr_t arg)
{
    struct pipe *p = f->private;
    u32 n = 0;
    if (cmd != FIONREAD)
        return -ENOTTY;
    mutex_lock(&p->lock);
    for (u32 k = p->tail; k != p->head; k++)
        n += p->ring[k & (p->slots - 1)].len;
    mutex_unlock(&p->lock);
    return put_user_u32(arg, n);
}

static void pipe_drop(struct inode *i, struct pipe *p, bool reader, bool writer)
{
    mutex_lock(&p->lock);
    if (reader)
        atomic_store(&p->readers, p->readers - 1);
    if (writer)
        atomic_store(&p->writers, p->writers - 1);
    mutex_unlock(&p->lock);
    wq_wake_all(&p->readable, POLLIN | POLLRDNORM | POLLHUP);
    wq_wake_all(&p->writable, POLLOUT | POLLWRNORM | POLLERR);
    mutex_lock(&i->lock);
    bool last = --p->files == 0;
    if (last)
        i->shared_object = NULL;
    mutex_unlock(&i->lock);
    if (last)
        pipe_free(p);
}

static void pipe_release(struct file *f) { pipe_drop(f->inode, f->private, f->can_read, f->can_write); }

static int fifo_open(struct inode *i, struct file *f)
{
    if (!f->can_read && !f->can_write)
        return -EINVAL;
    mutex_lock(&i->lock);
    struct pipe *p = i->shared_object;
    if (p == NULL) {
        p = pipe_alloc();
        i->shared_object = p;
    }
    if (p != NULL)
        p->files++;
    mutex_unlock(&i->lock);
    if (p == NULL)
        return -ENOMEM;
    f->private = p;
    if (i->sb == anon_sb)
        f->anon_name = "pipe";
    bool nonblock = (f->flags & O_NONBLOCK) != 0;
    int err = 0;
    mutex_lock(&p->lock);
    if (f->can_read) {
        atomic_store(&p->readers, p->readers + 1);
        p->reads_opened++;
    }
    if (f->can_write) {
        atomic_store(&p->writers, p->writers + 1);
        p->writes_opened++;
    }
    u32 reads = p->reads_opened, writes = p->writes_opened;
    bool named = i->sb != anon_sb; /* a pipe opened through /proc does not wait for the other side */
    bool alone = named && ((f->can_read && !f->can_write && p->writers == 0) || (f->can_write && !f->can_read && p->readers == 0));
    mutex_unlock(&p->lock);
    wq_wake_all(&p->readable, 0);
    wq_wake_all(&p->writable, 0);
    if (alone && f->can_read) {
        if (nonblock)
            f->pos = writes; /* no hang-up before there was a writer */
        else
            err = wait_event_interruptible(&p->readable, atomic_load(&p->writes_opened) != writes);
    } else if (alone) {
        err = nonblock ? -ENXIO
                       : wait_event_interruptible(&p->writable, atomic_load(&p->reads_opened) != reads);
    }
    if (err != 0)
        pipe_drop(i, p, f->can_read, f->can_write);
    return err;
}

const struct file_ops fifo_file_ops = {
    .open = fifo_open,
    .release = pipe_release,
    .read = pipe_read,
    .write = pipe_write,
    .no_splice = true, /* pipe_to_file(), pipe_to_pipe() */
    .poll = pipe_poll,
    .ioctl = pipe_ioctl,
};

int pipe_create(u32 flags, struct file *ret[2])
{
    struct inode *i = anon_inode_create(S_IFIFO | 0600);
    if (i == NULL)
        return -ENOMEM;
    struct pipe *p = pipe_alloc();
    if (p == NULL) {
        inode_put(i);
        return -ENOMEM;
    }
    struct file *reader, *writer;
    flags &= O_NONBLOCK | O_DIRECT;
    int err = file_create_on(inode_get(i), "pipe", &fifo_file_ops, p, (flags & O_NONBLOCK) | O_RDONLY, &reader);
    if (err != 0) {
        pipe_free(p);
        inode_put(i);
        return err;
    }
    p->files = p->readers = 1;
    p->reads_opened = p->writes_opened = 1;
    i->shared_object = p;
    err = file_create_on(i, "pipe", &fifo_file_ops, p, flags | O_WRONLY, &writer);
    if (err != 0) {
        file_put(reader);
        return err;
    }
    p->writers = 1;
    p->files = 2;
    ret[0] = reader;
    ret[1] = writer;
    return 0;
}

bool file_is_pipe(const struct file *f) { return f->ops == &fifo_file_ops; }

s64 pipe_put_page(struct file *out, struct page *page, u32 off, u32 len)
{
    struct pipe *p = out->private;
    mutex_lock(&p->lock);
    s64 r = p->readers == 0 ? -EPIPE : pipe_full(p) ? -EAGAIN : (s64)len;
    if (r > 0)
        slot_add(p, (struct pipe_slot){.page = page_get(page), .off = (u16)off, .len = (u16)len});
    mutex_unlock(&p->lock);
    if (r > 0)
        wake_waiters(&p->readable, POLLIN | POLLRDNORM);
    return r;
}

s64 pipe_put_copy(struct file *out, struct uio *u, u32 len)
{
    struct page *page = page_alloc(0, 0);
    if (page == NULL)
        return -ENOMEM;
    s64 r = uio_copy_in(u, page_virt(page), len) == (s64)len ? pipe_put_page(out, page, 0, len) : -EFAULT;
    page_put(page);
    return r;
}

static s64 wait_room(struct pipe *p, bool wait)
{
    for (int err = 0;;) {
        mutex_lock(&p->lock);
        u32 used = p->head - p->tail, slots = p->slots;
        bool broken = p->readers == 0;
        mutex_unlock(&p->lock);
        if (broken)
            return -EPIPE;
        if (used < slots)
            return (s64)((slots - used) * PAGE_SIZE);
        if (err != 0 || !wait)
            return err != 0 ? err : -EAGAIN;
        err = wait_event_interruptible(&p->writable, !pipe_full(p) || atomic_load(&p->readers) == 0);
    }
}

s64 pipe_wait_room(struct file *out) { return wait_room(out->private, (out->flags & O_NONBLOCK) == 0); }

s64 pipe_put_user(struct file *out, const struct uio_seg *segs, u32 nsegs)
{
    s64 done = 0, r = pipe_wait_room(out);
    for (u32 i = 0; r >= 0 && i < nsegs; i++)
        for (u64 at = 0; r >= 0 && at < segs[i].len;) {
            uaddr_t from = (uaddr_t)segs[i].base + at;
            u32 n = (u32)MIN(segs[i].len - at, PAGE_SIZE - (from & (PAGE_SIZE - 1)));
            struct uio u;
            r = uio_user(&u, from, n);
            if (r == 0)
                r = pipe_put_copy(out, &u, n);
            at += n;
            done += r > 0 ? r : 0;
        }
    if (done > 0)
        notify_file(out, IN_MODIFY);
    return done > 0 ? done : r;
}

/* lock held: the first n bytes go. */
static void drop_locked(struct pipe *p, u64 n)
{
    while (n > 0) {
        struct pipe_slot *s = &p->ring[p->tail & (p->slots - 1)];
        u16 some = (u16)MIN((u64)s->len, n);
        s->off = (u16)(s->off + some);
        s->len = (u16)(s->len - some);
        n -= some;
        if (s->len == 0)
            slot_done(p, s);
    }
}

/* The lock, and there is something to take: 1. 0: it is the end; or an error, and no lock. */
static s64 lock_first(struct pipe *p, bool wait)
{
    s64 r;
    while ((r = lock_reading(p)) == 0) {
        if (!pipe_empty(p))
            return 1;
        bool end = p->writers == 0;
        mutex_unlock(&p->lock);
        if (end || !wait)
            return end ? 0 : -EAGAIN;
        r = wait_event_interruptible(&p->readable, !pipe_empty(p) || atomic_load(&p->writers) == 0);
        if (r != 0)
            break;
    }
    return r;
}

#define MOVE_MAX 65536UL

/* lock held: a copy of the first bytes. */
static u64 peek_locked(const struct pipe *p, u8 *buf, u64 len)
{
    u64 n = 0;
    for (u32 k = p->tail; k != p->head && n < len; k++) {
        const struct pipe_slot *s = &p->ring[k & (p->slots - 1)];
        u64 some = MIN((u64)s->len, len - n);
        memcpy(buf + n, (char *)page_virt(s->page) + s->off, some);
        n += some;
    }
    return n;
}

s64 pipe_to_file(struct file *in, struct file *out, u64 *out_pos, u64 len)
{
    struct pipe *p = in->private;
    len = MIN(len, MOVE_MAX);
    u8 *buf = kmalloc(len, 0);
    if (buf == NULL)
        return -ENOMEM;
    s64 r = lock_first(p, (in->flags & O_NONBLOCK) == 0);
    if (r > 0) {
        struct uio u;
        uio_kernel(&u, buf, peek_locked(p, buf, len));
        atomic_store(&p->moving, true);
        mutex_unlock(&p->lock);
        r = vfs_write(out, &u, out_pos);
        mutex_lock(&p->lock);
        drop_locked(p, r > 0 ? (u64)r : 0);
        atomic_store(&p->moving, false);
        mutex_unlock(&p->lock);
        wq_wake_all(&p->readable, POLLIN | POLLRDNORM);
        if (r > 0) {
            wake_waiters(&p->writable, POLLOUT | POLLWRNORM);
            notify_file(in, IN_ACCESS);
        }
    }
    kfree(buf);
    return r;
}

/* Both locks; nobody has the first bytes of `from`. */
static int lock_both(struct pipe *from, struct pipe *to)
{
    for (;;) {
        mutex_lock(from < to ? &from->lock : &to->lock);
        mutex_lock(from < to ? &to->lock : &from->lock);
        if (!from->moving)
            return 0;
        mutex_unlock(&from->lock);
        mutex_unlock(&to->lock);
        int err = wait_event_interruptible(&from->readable, !atomic_load(&from->moving));
        if (err != 0)
            return err;
    }
}

/* Both locks held: slots of `from` are in `to`, too, as many as there is room for; `take`: and no longer in `from`. Bytes. */
static u64 share_slots(struct pipe *from, struct pipe *to, u64 len, bool take)
{
    u64 done = 0;
    for (u32 k = from->tail; k != from->head && done < len && !pipe_full(to); k++) {
        struct pipe_slot *s = &from->ring[k & (from->slots - 1)], part = *s;
        bool whole = take && s->len <= len - done;
        part.len = (u16)MIN((u64)s->len, len - done);
        part.merge &= whole; /* else two have its page */
        page_get(part.page);
        slot_add(to, part);
        done += part.len;
    }
    if (take)
        drop_locked(from, done);
    return done;
}

s64 pipe_to_pipe(struct file *in, struct file *out, u64 len, bool take)
{
    struct pipe *from = in->private, *to = out->private;
    if (from == to)
        return -EINVAL;
    bool wait = ((in->flags | out->flags) & O_NONBLOCK) == 0;
    for (;;) {
        s64 r = lock_first(from, wait);
        if (r < 0)
            return r;
        bool end = r == 0;
        if (!end)
            mutex_unlock(&from->lock);
        r = wait_room(to, wait);
        if (r < 0 || end)
            return r < 0 ? r : 0;
        r = lock_both(from, to);
        if (r < 0)
            return r;
        u64 n = to->readers == 0 ? 0 : share_slots(from, to, len, take);
        mutex_unlock(&from->lock);
        mutex_unlock(&to->lock);
        if (n == 0)
            continue; /* somebody was faster */
        wake_waiters(&to->readable, POLLIN | POLLRDNORM);
        if (take) {
            wake_waiters(&from->writable, POLLOUT | POLLWRNORM);
            notify_file(out, IN_MODIFY);
            notify_file(in, IN_ACCESS);
        }
        return (s64)n;
    }
}

int pipe_get_size(struct file *f)
{
    if (f->ops != &fifo_file_ops)
        return -EBADF;
    return (int)(((struct pipe *)f->private)->slots * PAGE_SIZE);
}

int pipe_set_size(struct file *f, u64 bytes)
{
    if (f->ops != &fifo_file_ops)
        return -EBADF;
    struct pipe *p = f->private;
    u32 slots = 1;
    if (bytes > INT32_MAX)
        return -EINVAL;
    while ((u64)slots * PAGE_SIZE < bytes)
        slots *= 2;
    if (slots > PIPE_MAX_SLOTS && !cred_capable(f->cred, CAP_SYS_RESOURCE))
        return -EPERM;
    struct pipe_slot *ring = kzalloc(slots * sizeof(*ring));
    if (ring == NULL)
        return -ENOMEM;
    mutex_lock(&p->lock);
    u32 n = p->head - p->tail;
    struct pipe_slot *old = ring;
    if (n <= slots) {
        for (u32 k = 0; k < n; k++)
            ring[k] = p->ring[(p->tail + k) & (p->slots - 1)];
        old = p->ring;
        p->ring = ring;
        p->tail = 0;
        p->head = n;
        p->slots = slots;
    }
    mutex_unlock(&p->lock);
    kfree(old);
    if (n > slots)
        return -EBUSY;
    wq_wake_all(&p->writable, 0);
    return (int)(slots * PAGE_SIZE);
}
