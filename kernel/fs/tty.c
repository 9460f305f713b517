/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal as a file: reading, writing, ioctl_tty(2), and its host port. */
#include "tty_impl.h"
#include "kern/thread.h"
#include "kern/timer.h"
#include "kern/uaccess.h"

#define TCGETS 0x5401u
#define TCSETS 0x5402u
#define TCSETSW 0x5403u
#define TCSETSF 0x5404u
#define TCSBRK 0x5409u
#define TCXONC 0x540au
#define TCFLSH 0x540bu
#define TIOCEXCL 0x540cu
#define TIOCNXCL 0x540du
#define TIOCSCTTY 0x540eu
#define TIOCGPGRP 0x540fu
#define TIOCSPGRP 0x5410u
#define TIOCOUTQ 0x5411u
#define TIOCSTI 0x5412u
#define TIOCGWINSZ 0x5413u
#define TIOCSWINSZ 0x5414u
#define FIONREAD 0x541bu
#define TIOCNOTTY 0x5422u
#define TIOCGETD 0x5424u
#define TCSBRKP 0x5425u
#define TIOCGSID 0x5429u
#define TCGETS2 0x802c542au
#define TCSETS2 0x402c542bu
#define TCSETSW2 0x402c542cu
#define TCSETSF2 0x402c542du

const struct tty_hooks *tty_hooks;

static struct tty *console; /* what /dev/tty and /dev/console open; set once */

static void signal_group(u32 pgrp, int sig)
{
    if (tty_hooks != NULL && sig != 0)
        tty_hooks->signal(pgrp, sig);
}

/* 0, or why the current process must not use the terminal now: it is in the background. */
static int check_background(const struct tty *t, int sig)
{
    return tty_hooks != NULL && t->session != 0 ? tty_hooks->background(t->session, t->pgrp, sig) : 0;
}

/* --- the port ------------------------------------------------------------------ */

static bool port_gone(const struct tty *t) { return t->port->host_was_open && !atomic_load(&t->port->host_open); }

static void port_work(struct work *w)
{
    struct tty *t = container_of(w, struct tty, work);
    u8 buf[128];
    size_t n;
    /* Asking is what makes a port wake us when more comes. */
    while (t->port->ops->can_read(t->port) && (n = t->port->ops->read(t->port, buf, sizeof(buf))) > 0) {
        for (size_t k = 0; k < n; k++) {
            mutex_lock(&t->lock);
            int sig = tty_input(t, buf[k]);
            u32 pgrp = t->pgrp;
            mutex_unlock(&t->lock);
            signal_group(pgrp, sig);
        }
        wake_waiters(&t->readable, POLLIN | POLLRDNORM);
    }
    if (port_gone(t) && !t->hung_up) {
        t->hung_up = true;
        wq_wake_all(&t->readable, 0);
        wq_wake_all(&t->writable, 0);
        signal_group(t->pgrp, SIGHUP);
    }
    wake_waiters(&t->writable, POLLOUT | POLLWRNORM);
}

static bool port_woken(struct waiter *w, u32 events)
{
    work_queue(&container_of(w, struct tty, port_waiter)->work);
    return false;
}

/* --- read and write ------------------------------------------------------------- */

/* Wait until `min` bytes (or a line) can be read. 1 = the port is gone. */
static int wait_input(struct tty *t, u32 min, u64 deadline, bool nonblock)
{
    if (tty_readable(t, min))
        return 0;
    if (t->hung_up)
        return 1;
    if (nonblock)
        return -EAGAIN;
    int err = wait_event_interruptible_until(&t->readable, tty_readable(t, min) || t->hung_up, deadline);
    return err != 0 ? err : tty_readable(t, min) ? 0 : 1;
}

static s64 tty_read(struct file *f, struct uio *u, u64 *pos)
{
    struct tty *t = f->private;
    bool nonblock = (f->flags & O_NONBLOCK) != 0, canon = (t->tio.lflag & ICANON) != 0;
    u64 tenths = canon ? 0 : t->tio.cc[VTIME];
    u32 min = canon ? 1 : t->tio.cc[VMIN];
    u8 buf[256];
    s64 done = 0;
    if (u->remaining == 0)
        return 0;
    int r0 = check_background(t, SIGTTIN);
    if (r0 != 0)
        return r0;
    for (;;) {
        u32 want = (u32)MIN((u64)(min > (u32)done ? min - (u32)done : 0), MIN(u->remaining, (u64)TTY_RING - 1));
        u64 deadline = NEVER_NS;
        if (!canon && tenths != 0) {
            want = 1; /* the timer runs from byte to byte */
            if (min == 0 || done > 0)
                deadline = now_ns() + tenths * 100 * NSEC_PER_MSEC;
        } else if (!canon && min == 0) {
            want = 0;
        }
        int err = want == 0 ? 0 : wait_input(t, nonblock ? 1 : want, deadline, nonblock || (done > 0 && (u32)done >= min));
        if (err != 0) {
            if (done > 0 || err == 1 || err == -ETIMEDOUT)
                return done;
            return err;
        }
        bool end;
        mutex_lock(&t->lock);
        size_t n = tty_take(t, buf, MIN(u->remaining, sizeof(buf)), &end);
        mutex_unlock(&t->lock);
        s64 r = n > 0 ? uio_copy_out(u, buf, n) : 0;
        if (r < 0)
            return done > 0 ? done : r;
        done += r;
        if (u->remaining == 0 || (size_t)r < n)
            return done;
        if (canon) {
            if (end || done > 0)
                if (end || !tty_readable(t, 1))
                    return done;
        } else if ((u32)done >= min && (tenths == 0 || min != 0 || done > 0) && !tty_readable(t, 1)) {
            return done;
        }
    }
}

static s64 tty_write(struct file *f, struct uio *u, u64 *pos)
{
    struct tty *t = f->private;
    bool nonblock = (f->flags & O_NONBLOCK) != 0;
    u8 in[64];
    char out[sizeof(in) * 8];
    s64 done = (t->tio.lflag & TOSTOP) != 0 ? check_background(t, SIGTTOU) : 0;
    if (done != 0)
        return done;
    while (u->remaining > 0) {
        if (atomic_load(&t->stopped)) {
            int err = nonblock ? -EAGAIN : wait_event_interruptible(&t->writable, !atomic_load(&t->stopped));
            if (err != 0)
                return done > 0 ? done : err;
        }
        s64 n = uio_copy_in(u, in, MIN(u->remaining, sizeof(in)));
        if (n <= 0)
            return done > 0 ? done : n;
        size_t len = 0;
        mutex_lock(&t->lock);
        for (s64 k = 0; k < n; k++)
            len += tty_output(t, in[k], out + len);
        mutex_unlock(&t->lock);
        /* What was taken in is written in full, so that processing happens once. */
        for (size_t sent = 0; sent < len;) {
            s64 w = chardev_write(t->port, out + sent, len - sent, false);
            if (w <= 0)
                return done > 0 ? done : w == 0 ? -EIO : w;
            sent += (size_t)w;
        }
        done += n;
    }
    return done;
}

static u32 tty_poll(struct file *f, struct poll_table *pt)
{
    struct tty *t = f->private;
    u32 r = 0;
    poll_wait(&t->readable, pt);
    poll_wait(&t->writable, pt);
    if (tty_readable(t, t->tio.cc[VTIME] == 0 ? t->tio.cc[VMIN] : 1))
        r |= POLLIN | POLLRDNORM;
    if (t->hung_up)
        r |= POLLHUP | POLLIN | POLLRDNORM;
    if (!atomic_load(&t->stopped) && t->port->ops->can_write(t->port))
        r |= POLLOUT | POLLWRNORM;
    return r;
}

/* --- ioctls ---------------------------------------------------------------------- */

static int set_termios(struct tty *t, uaddr_t arg, bool drain, bool flush, bool two)
{
    struct termios n;
    int err = check_background(t, SIGTTOU);
    if (err != 0)
        return err;
    if (copy_from_user(&n, arg, sizeof(n)) != 0)
        return -EFAULT;
    (void)two; /* the speeds behind it mean nothing here */
    if (drain)
        t->port->ops->drain(t->port);
    mutex_lock(&t->lock);
    u32 old = t->tio.lflag;
    t->tio = n;
    if (flush)
        tty_flush_input(t);
    tty_mode_changed(t, old);
    if ((n.iflag & IXON) == 0 && t->stopped) {
        atomic_store(&t->stopped, false);
        wq_wake_all(&t->writable, POLLOUT | POLLWRNORM);
    }
    mutex_unlock(&t->lock);
    return 0;
}

static int get_termios(struct tty *t, uaddr_t arg, bool two)
{
    struct {
        struct termios t;
        u32 ispeed, ospeed;
    } k;
    mutex_lock(&t->lock);
    k.t = t->tio;
    mutex_unlock(&t->lock);
    k.ispeed = k.ospeed = t->speed;
    return copy_to_user(arg, &k, two ? sizeof(k) : sizeof(k.t));
}

static int flush_queue(struct tty *t, u64 which)
{
    if (which > 2)
        return -EINVAL;
    if (which != 1) { /* TCIFLUSH, TCIOFLUSH */
        mutex_lock(&t->lock);
        tty_flush_input(t);
        mutex_unlock(&t->lock);
    }
    return 0;
}

static int flow(struct tty *t, u64 what)
{
    if (what > 3)
        return -EINVAL;
    if (what <= 1) { /* TCOOFF, TCOON */
        atomic_store(&t->stopped, what == 0);
        if (what == 1)
            wq_wake_all(&t->writable, POLLOUT | POLLWRNORM);
    }
    return 0;
}

/* Make t the terminal of the caller's session (tty_ioctl(4), TIOCSCTTY). */
static int take_terminal(struct tty *t, bool steal)
{
    u32 pgrp = 1, sid = 1;
    bool leader = true;
    if (tty_hooks != NULL)
        tty_hooks->current(&pgrp, &sid, &leader);
    if (leader && t->session == sid)
        return 0;
    if (!leader || (t->session != 0 && !steal))
        return -EPERM;
    t->session = sid;
    t->pgrp = pgrp;
    return 0;
}

static s64 set_foreground(struct tty *t, u32 sid, u32 pgrp)
{
    int r = t->session != sid || sid == 0 ? -ENOTTY : check_background(t, SIGTTOU);
    if (r == 0 && (s32)pgrp < 0)
        r = -EINVAL;
    if (r == 0 && tty_hooks != NULL && !tty_hooks->group_in_session(pgrp, sid))
        r = -EPERM;
    if (r == 0)
        t->pgrp = pgrp;
    return r;
}

static s64 tty_session_ioctl(struct tty *t, u32 cmd, uaddr_t arg)
{
    u32 pgrp = t->pgrp, sid = t->session, v;
    bool leader = true;
    if (tty_hooks != NULL)
        tty_hooks->current(&pgrp, &sid, &leader);
    switch (cmd) {
    case TIOCSCTTY:
        return take_terminal(t, arg == 1);
    case TIOCNOTTY:
        if (t->session != sid)
            return -ENOTTY;
        if (leader)
            tty_session_ended(sid);
        return 0;
    case TIOCGPGRP:
        return t->session == sid ? put_user_u32(arg, t->pgrp) : -ENOTTY;
    case TIOCGSID:
        return t->session == sid ? put_user_u32(arg, t->session) : -ENOTTY;
    default: /* TIOCSPGRP */
        if (get_user_u32(arg, &v) != 0)
            return -EFAULT;
        return set_foreground(t, sid, v);
    }
}

void tty_session_ended(u32 sid)
{
    struct tty *t = console;
    if (t == NULL || sid == 0 || t->session != sid)
        return;
    u32 pgrp = t->pgrp;
    t->session = t->pgrp = 0;
    signal_group(pgrp, SIGHUP);
    signal_group(pgrp, SIGCONT);
}

bool tty_of_session(u32 sid, u64 *ret_dev, u32 *ret_pgrp)
{
    if (console == NULL || console->session != sid)
        return false;
    *ret_dev = MKDEV(5, 1);
    *ret_pgrp = console->pgrp;
    return true;
}

static s64 tty_ioctl(struct file *f, u32 cmd, uaddr_t arg)
{
    struct tty *t = f->private;
    int err;
    switch (cmd) {
    case TCGETS:
    case TCGETS2:
        return get_termios(t, arg, cmd == TCGETS2);
    case TCSETS:
    case TCSETS2:
        return set_termios(t, arg, false, false, cmd == TCSETS2);
    case TCSETSW:
    case TCSETSW2:
        return set_termios(t, arg, true, false, cmd == TCSETSW2);
    case TCSETSF:
    case TCSETSF2:
        return set_termios(t, arg, true, true, cmd == TCSETSF2);
    case TCSBRK:
    case TCSBRKP:
        err = check_background(t, SIGTTOU);
        if (err != 0)
            return err;
        t->port->ops->drain(t->port);
        return 0;
    case TCXONC:
        return flow(t, arg);
    case TCFLSH:
        return flush_queue(t, arg);
    case TIOCEXCL:
    case TIOCNXCL:
        return 0; /* one terminal of one user: nobody to keep out */
    case TIOCSCTTY:
    case TIOCNOTTY:
    case TIOCGPGRP:
    case TIOCSPGRP:
    case TIOCGSID:
        return tty_session_ioctl(t, cmd, arg);
    case TIOCOUTQ:
        return put_user_u32(arg, 0);
    case TIOCGETD:
        return put_user_u32(arg, 0);
    case TIOCGWINSZ: {
        u16 w[4] = {t->rows, t->cols, 0, 0};
        return copy_to_user(arg, w, sizeof(w));
    }
    case TIOCSWINSZ: {
        u16 w[4];
        if (copy_from_user(w, arg, sizeof(w)) != 0)
            return -EFAULT;
        tty_set_winsize(t, w[0], w[1]);
        return 0;
    }
    case FIONREAD:
        return put_user_u32(arg, ((t->tio.lflag & ICANON) != 0 ? t->canon : t->head) - t->tail);
    case TIOCSTI:
        return -EIO; /* as Linux with dev.tty.legacy_tiocsti = 0 */
    default:
        return -ENOTTY;
    }
}

void tty_set_winsize(struct tty *t, u16 rows, u16 cols)
{
    bool changed = t->rows != rows || t->cols != cols;
    t->rows = rows;
    t->cols = cols;
    if (changed)
        signal_group(t->pgrp, SIGWINCH);
}

/* --- opening ----------------------------------------------------------------------- */

static int tty_open(struct inode *i, struct file *f)
{
    u32 pgrp, sid;
    bool leader;
    f->private = console;
    if (console == NULL)
        return -ENXIO;
    if (tty_hooks == NULL || current_thread()->task == NULL)
        return 0;
    tty_hooks->current(&pgrp, &sid, &leader);
    if (i->rdev == MKDEV(5, 0)) /* /dev/tty: the session's, if it has one */
        return console->session == sid ? 0 : -ENXIO;
    if (leader && console->session == 0 && (f->flags & O_NOCTTY) == 0)
        return take_terminal(console, false);
    return 0;
}

static const struct file_ops tty_ops = {
    .open = tty_open,
    .read = tty_read,
    .write = tty_write,
    .poll = tty_poll,
    .ioctl = tty_ioctl,
};

int tty_create(struct chardev *c, struct tty **ret)
{
    struct tty *t = kzalloc(sizeof(*t));
    if (t == NULL)
        return -ENOMEM;
    t->port = c;
    t->speed = 38400;
    t->rows = 24;
    t->cols = 80;
    t->pgrp = t->session = 1;
    t->tio.iflag = ICRNL | IXON | IMAXBEL | IUTF8;
    t->tio.oflag = OPOST | ONLCR;
    t->tio.cflag = 0277; /* B38400 CS8 CREAD */
    t->tio.lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN;
    static const u8 cc[TTY_NCC] = {3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0};
    memcpy(t->tio.cc, cc, sizeof(cc));
    mutex_init(&t->lock, "tty");
    wq_init(&t->readable, "tty_read");
    wq_init(&t->writable, "tty_write");
    work_init(&t->work, port_work);
    if (console == NULL) {
        int err = chrdev_register(MKDEV(5, 0), &tty_ops, NULL);
        if (err == 0)
            err = chrdev_register(MKDEV(5, 1), &tty_ops, NULL);
        if (err != 0) {
            kfree(t);
            return err;
        }
        console = t;
    }
    t->port_waiter.fn = port_woken;
    wq_add(&c->wq, &t->port_waiter);
    work_queue(&t->work); /* what came before */
    *ret = t;
    return 0;
}

/* Through its name where there is one, so that ttyname(3) finds it. */
int tty_open_file(struct tty *t, struct file **ret)
{
    struct path at = {root_mount, root_mount != NULL ? root_mount->root : NULL};
    if (t == console && root_mount != NULL) {
        struct fs_ctx fs = {.root = at, .cwd = at};
        struct lookup l = {.fs = &fs, .cred = &kernel_cred};
        struct inode *i;
        if (vfs_open(&l, "/dev/console", O_RDWR, 0, 0, ret) == 0) {
            i = (*ret)->inode;
            if (S_ISCHR(i->mode) && (*ret)->ops == &tty_ops)
                return 0;
            file_put(*ret);
        }
    }
    int err = file_create_inode("tty", &tty_ops, t, S_IFCHR | 0620, O_RDWR, ret);
    if (err == 0) {
        (*ret)->inode->rdev = MKDEV(5, 1);
        (*ret)->inode->fops = &tty_ops;
    }
    return err;
}
