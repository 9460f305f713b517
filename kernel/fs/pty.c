/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pseudo terminals (pty(7), ioctl_tty(2)). Opening /dev/ptmx makes a pair: the file is the master, the terminal is a
 * struct tty with a name in devpts. What the master writes goes through the line discipline at once, as far as there
 * is room; what the terminal's programs write (and echo) waits in `ring` for the master.
 *
 * The terminal ends with its master. Without files of the terminal the master reads EIO, once one was open.
 */
#include "pty_impl.h"
#include "tty_impl.h"
#include "base/fmt.h"
#include "kern/uaccess.h"

#define TCSBRK 0x5409u
#define TCFLSH 0x540bu
#define TCSBRKP 0x5425u
#define TIOCOUTQ 0x5411u
#define FIONREAD 0x541bu
#define TIOCPKT 0x5420u
#define TIOCGPTN 0x80045430u
#define TIOCSPTLCK 0x40045431u
#define TIOCSIG 0x40045436u
#define TIOCGPKT 0x80045438u
#define TIOCGPTLCK 0x80045439u

#define PTY_MAX 4096u
#define PTY_RING 8192u
#define RING_SAFE 4095u /* a flush leaves what Linux would have handed to the master's reader by then */

struct pty {
    struct tty tty;
    struct chardev port;      /* the terminal's end of `ring` */
    struct list node;         /* ptys_lock: by index */
    u32 index;                /* ptys_lock */
    struct dentry *dentry;    /* ptys_lock: the name; NULL when the master is closed */
    u32 files;                /* atomic: of the terminal */
    bool was_open, locked;    /* atomic */
    bool packet;              /* atomic: TIOCPKT */
    struct waitqueue wq;      /* the master's */
    struct spinlock lock;     /* what follows; poll reads it without */
    u8 status;                /* TIOCPKT_* */
    u32 head, tail;
    u8 ring[PTY_RING];
};

static struct spinlock ptys_lock = SPINLOCK_INIT("ptys");
static struct list ptys = LIST_INIT(ptys); /* ptys_lock */
static u32 pty_count;                      /* ptys_lock */
static const struct file_ops master_ops;

static struct pty *pty_of(const struct tty *t) { return container_of(t, struct pty, tty); }

/* --- the terminal's end -------------------------------------------------------------- */

static size_t port_write(struct chardev *c, const void *buf, size_t len)
{
    struct pty *p = container_of(c, struct pty, port);
    const u8 *from = buf;
    spin_lock(&p->lock);
    size_t n = MIN(len, (size_t)(PTY_RING - (p->head - p->tail)));
    for (size_t k = 0; k < n; k++)
        p->ring[(p->head + k) % PTY_RING] = from[k];
    atomic_store(&p->head, p->head + (u32)n);
    spin_unlock(&p->lock);
    wake_waiters(&p->wq, POLLIN | POLLRDNORM);
    return n;
}

static bool port_can_write(struct chardev *c)
{
    struct pty *p = container_of(c, struct pty, port);
    return atomic_load(&p->head) - atomic_load(&p->tail) < PTY_RING;
}

static void port_drain(struct chardev *c) {} /* written is sent */

static const struct chardev_ops port_ops = {.write = port_write, .can_write = port_can_write, .drain = port_drain};

static u64 pty_dev(const struct tty *t) { return MKDEV(136, pty_of(t)->index); }

static void pty_room(struct tty *t) { wake_waiters(&pty_of(t)->wq, POLLOUT | POLLWRNORM); }

static void pty_status(struct tty *t, u32 packet)
{
    static const struct {
        u8 bit, ends;
    } pairs[] = {{TIOCPKT_STOP, TIOCPKT_START}, {TIOCPKT_START, TIOCPKT_STOP}, {TIOCPKT_DOSTOP, TIOCPKT_NOSTOP},
                 {TIOCPKT_NOSTOP, TIOCPKT_DOSTOP}};
    struct pty *p = pty_of(t);
    if (!atomic_load_relaxed(&p->packet))
        return;
    spin_lock(&p->lock);
    for (unsigned k = 0; k < ARRAY_SIZE(pairs); k++)
        if (packet == pairs[k].bit)
            p->status &= (u8)~pairs[k].ends;
    atomic_store(&p->status, p->status | (u8)packet);
    spin_unlock(&p->lock);
    wake_waiters(&p->wq, POLLIN | POLLRDNORM | POLLPRI);
}

static void pty_flush_output(struct tty *t)
{
    struct pty *p = pty_of(t);
    spin_lock(&p->lock);
    if (p->head - p->tail > RING_SAFE)
        atomic_store(&p->head, p->tail + RING_SAFE);
    spin_unlock(&p->lock);
    pty_status(t, TIOCPKT_FLUSHWRITE);
    wake_waiters(&p->port.wq, POLLOUT | POLLWRNORM);
}

static void pty_opened(struct tty *t)
{
    struct pty *p = pty_of(t);
    atomic_add(&p->files, 1u);
    atomic_store(&p->was_open, true);
}

static void pty_closed(struct tty *t)
{
    struct pty *p = pty_of(t);
    if (atomic_sub(&p->files, 1u) == 0)
        wq_wake_all(&p->wq, POLLHUP);
}

static void pty_destroy(struct tty *t)
{
    struct pty *p = pty_of(t);
    spin_lock(&ptys_lock);
    list_remove(&p->node);
    pty_count--;
    spin_unlock(&ptys_lock);
    kfree(p);
}

static const struct tty_driver pty_driver = {
    .dev = pty_dev,
    .room = pty_room,
    .flush_output = pty_flush_output,
    .status = pty_status,
    .opened = pty_opened,
    .closed = pty_closed,
    .destroy = pty_destroy,
};

static int slave_open(struct inode *i, struct file *f)
{
    struct pty *found = NULL;
    spin_lock(&ptys_lock);
    list_for_each(p, &ptys, struct pty, node)
        if (p->dentry != NULL && p->dentry->inode == i && !atomic_load(&p->locked)) {
            found = p;
            ref_get(&p->tty.refs);
        }
    spin_unlock(&ptys_lock);
    return found != NULL ? tty_open(&found->tty, f) : -EIO;
}

static const struct file_ops slave_ops = {.open = slave_open};

/* --- the master's end ------------------------------------------------------------------ */

static bool other_closed(const struct pty *p) { return atomic_load(&p->files) == 0 && atomic_load(&p->was_open); }
static u32 readable(const struct pty *p) { return atomic_load(&p->head) - atomic_load(&p->tail); }
static bool has_status(const struct pty *p) { return atomic_load(&p->packet) && atomic_load(&p->status) != 0; }

static size_t take(struct pty *p, u8 *buf, size_t room)
{
    spin_lock(&p->lock);
    size_t n = MIN(room, (size_t)(p->head - p->tail));
    for (size_t k = 0; k < n; k++)
        buf[k] = p->ring[(p->tail + k) % PTY_RING];
    atomic_store(&p->tail, p->tail + (u32)n);
    spin_unlock(&p->lock);
    return n;
}

static int wait_readable(struct pty *p, bool nonblock)
{
    while (readable(p) == 0 && !has_status(p)) {
        if (other_closed(p))
            return readable(p) != 0 ? 0 : -EIO; /* the last words came before the end */
        if (nonblock)
            return -EAGAIN;
        int err = wait_event_interruptible(&p->wq, readable(p) != 0 || has_status(p) || other_closed(p));
        if (err != 0)
            return err;
    }
    return 0;
}

static s64 read_status(struct pty *p, struct uio *u)
{
    spin_lock(&p->lock);
    u8 s = p->status;
    p->status = 0;
    spin_unlock(&p->lock);
    return uio_copy_out(u, &s, 1);
}

static s64 master_read(struct file *f, struct uio *u, u64 *pos)
{
    struct pty *p = f->private;
    u8 buf[256];
    s64 done = 0;
    if (u->remaining == 0)
        return 0;
    int err = wait_readable(p, (f->flags & O_NONBLOCK) != 0);
    if (err != 0)
        return err;
    if (has_status(p))
        return read_status(p, u);
    if (atomic_load(&p->packet)) {
        done = uio_copy_out(u, "", 1); /* TIOCPKT_DATA */
        if (done < 0)
            return done;
    }
    while (u->remaining > 0) {
        size_t n = take(p, buf, MIN(u->remaining, sizeof(buf)));
        s64 r = n > 0 ? uio_copy_out(u, buf, n) : 0;
        if (r <= 0) {
            done = done > 0 ? done : r;
            break;
        }
        done += r;
    }
    wake_waiters(&p->port.wq, POLLOUT | POLLWRNORM);
    wake_waiters(&p->tty.writable, POLLOUT | POLLWRNORM);
    return done;
}

/* All of it, or as much as there is room for. How much went, or why not all did. */
static s64 type(struct pty *p, const u8 *buf, size_t n, bool nonblock, int *ret_err)
{
    size_t sent = 0;
    for (;;) {
        sent += tty_receive(&p->tty, buf + sent, n - sent);
        if (sent == n)
            break;
        *ret_err = nonblock ? -EAGAIN : wait_event_interruptible(&p->wq, tty_room(&p->tty) > 0);
        if (*ret_err != 0)
            break;
    }
    return (s64)sent;
}

static s64 master_write(struct file *f, struct uio *u, u64 *pos)
{
    struct pty *p = f->private;
    u8 buf[256];
    s64 done = 0;
    int err = 0;
    while (u->remaining > 0 && err == 0) {
        s64 n = uio_copy_in(u, buf, MIN(u->remaining, sizeof(buf)));
        if (n <= 0)
            return done > 0 ? done : n;
        done += type(p, buf, (size_t)n, (f->flags & O_NONBLOCK) != 0, &err);
    }
    return done > 0 ? done : err;
}

static u32 master_poll(struct file *f, struct poll_table *pt)
{
    struct pty *p = f->private;
    u32 r = 0;
    poll_wait(&p->wq, pt);
    if (readable(p) != 0 || has_status(p))
        r |= POLLIN | POLLRDNORM;
    if (has_status(p))
        r |= POLLPRI;
    if (other_closed(p))
        r |= POLLHUP;
    if (tty_room(&p->tty) > 0)
        r |= POLLOUT | POLLWRNORM;
    return r;
}

static int set_flag(bool *flag, uaddr_t arg)
{
    u32 v;
    if (get_user_u32(arg, &v) != 0)
        return -EFAULT;
    atomic_store(flag, v != 0);
    return 0;
}

static int set_packet(struct pty *p, uaddr_t arg)
{
    bool was = p->packet;
    int err = set_flag(&p->packet, arg);
    if (err == 0 && !was)
        atomic_store(&p->status, 0);
    return err;
}

static int send_signal(struct pty *p, u64 sig)
{
    if (sig != SIGINT && sig != SIGQUIT && sig != SIGTSTP)
        return -EINVAL;
    tty_signal_foreground(&p->tty, (int)sig);
    return 0;
}

static int discard(struct pty *p, u64 which)
{
    u8 buf[256];
    if (which > 2)
        return -EINVAL;
    while (which != 1 && take(p, buf, sizeof(buf)) > 0)
        ;
    wake_waiters(&p->port.wq, POLLOUT | POLLWRNORM);
    wake_waiters(&p->tty.writable, POLLOUT | POLLWRNORM);
    return 0; /* what was written went through the line discipline: it is not ours any more */
}

static s64 master_ioctl(struct file *f, u32 cmd, uaddr_t arg)
{
    struct pty *p = f->private;
    switch (cmd) {
    case TIOCGPTN:
        return put_user_u32(arg, p->index);
    case TIOCSPTLCK:
        return set_flag(&p->locked, arg);
    case TIOCGPTLCK:
        return put_user_u32(arg, p->locked);
    case TIOCPKT:
        return set_packet(p, arg);
    case TIOCGPKT:
        return put_user_u32(arg, p->packet);
    case TIOCSIG:
        return send_signal(p, arg);
    case TCFLSH:
        return discard(p, arg);
    case TCSBRK:
    case TCSBRKP:
        return 0;
    case FIONREAD:
        return put_user_u32(arg, readable(p));
    case TIOCOUTQ:
        return put_user_u32(arg, 0);
    default:
        return tty_common_ioctl(&p->tty, f, true, cmd, arg);
    }
}

static void master_release(struct file *f)
{
    struct pty *p = f->private;
    spin_lock(&ptys_lock);
    struct dentry *d = p->dentry;
    p->dentry = NULL;
    spin_unlock(&ptys_lock);
    devpts_remove(d);
    mutex_lock(&p->tty.lock);
    tty_flush_input(&p->tty);
    mutex_unlock(&p->tty.lock);
    atomic_store(&p->port.host_open, false);
    tty_hangup(&p->tty);
    wq_wake_all(&p->port.wq, 0);
    tty_put(&p->tty);
}

/* The lowest free number, and a place in the list. */
static int number(struct pty *p)
{
    struct list *before = &ptys;
    spin_lock(&ptys_lock);
    bool full = pty_count == PTY_MAX;
    if (!full) {
        list_for_each(q, &ptys, struct pty, node) {
            if (q->index != p->index)
                break;
            p->index++;
            before = &q->node;
        }
        list_push_front(before, &p->node);
        pty_count++;
    }
    spin_unlock(&ptys_lock);
    return full ? -ENOSPC : 0;
}

static int ptmx_open(struct inode *i, struct file *f)
{
    struct pty *p = kzalloc(sizeof(*p));
    struct dentry *d;
    if (p == NULL)
        return -ENOMEM;
    tty_init(&p->tty, &pty_driver, &p->port);
    p->port.ops = &port_ops;
    p->port.host_open = p->port.host_was_open = true;
    p->locked = true;
    wq_init(&p->port.wq, "pty");
    wq_init(&p->wq, "ptmx");
    spin_init(&p->lock, "pty");
    int err = number(p);
    if (err != 0) {
        kfree(p);
        return err;
    }
    err = devpts_add(p->index, &slave_ops, f->cred, &d);
    if (err != 0) {
        tty_put(&p->tty);
        return err;
    }
    f->private = p;
    spin_lock(&ptys_lock);
    p->dentry = d;
    spin_unlock(&ptys_lock);
    return 0;
}

static const struct file_ops master_ops = {
    .open = ptmx_open,
    .release = master_release,
    .read = master_read,
    .write = master_write,
    .poll = master_poll,
    .ioctl = master_ioctl,
};

int pty_open_peer(struct file *master, u32 flags, struct file **ret)
{
    if (master->ops != &master_ops)
        return master->ops == &tty_ops ? -EIO : -ENOTTY;
    struct pty *p = master->private;
    struct path at = {mount_of(p->dentry->sb), p->dentry};
    if (at.mount == NULL)
        return -ENODEV; /* devpts is mounted nowhere */
    int err = vfs_open_path(&at, flags, master->cred, ret);
    mount_put(at.mount);
    return err;
}

static size_t show_count(void *arg, char *buf, size_t size) { return (size_t)fmt_snprintf(buf, size, "%u\n", pty_count); }
static size_t show_max(void *arg, char *buf, size_t size) { return (size_t)fmt_snprintf(buf, size, "%u\n", PTY_MAX); }

void pty_init(void)
{
    devpts_init();
    chrdev_register(MKDEV(5, 2), &master_ops, NULL);
    proc_add("sys/kernel/pty/nr", 0444, show_count, NULL);
    proc_add("sys/kernel/pty/max", 0444, show_max, NULL);
}
