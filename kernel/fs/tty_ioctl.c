/* SPDX-License-Identifier: Apache-2.0 */
/* ioctl_tty(2): modes, queues, window size. */
#include "tty_impl.h"
#include "kern/uaccess.h"

#define TCGETS 0x5401u
#define TCSETS 0x5402u
#define TCSETSW 0x5403u
#define TCSETSF 0x5404u
#define TCGETA 0x5405u
#define TCSETA 0x5406u
#define TCSETAW 0x5407u
#define TCSETAF 0x5408u
#define TCSBRK 0x5409u
#define TCXONC 0x540au
#define TCFLSH 0x540bu
#define TIOCEXCL 0x540cu
#define TIOCNXCL 0x540du
#define TIOCOUTQ 0x5411u
#define TIOCSTI 0x5412u
#define TIOCGWINSZ 0x5413u
#define TIOCSWINSZ 0x5414u
#define FIONREAD 0x541bu
#define TIOCSETD 0x5423u
#define TIOCGETD 0x5424u
#define TCSBRKP 0x5425u
#define TIOCSBRK 0x5427u
#define TIOCCBRK 0x5428u
#define TIOCGLCKTRMIOS 0x5456u
#define TIOCSLCKTRMIOS 0x5457u
#define TCGETS2 0x802c542au
#define TCSETS2 0x402c542bu
#define TCSETSW2 0x402c542cu
#define TCSETSF2 0x402c542du
#define TIOCGDEV 0x80045432u
#define TIOCGEXCL 0x80045440u

#define CBAUD 0010017u
#define BOTHER 0010000u
#define CSIZE 0000060u
#define CS8 0000060u
#define CREAD 0000200u
#define PARENB 0000400u

struct termios2 {
    struct termios t;
    u32 ispeed, ospeed;
};

struct termio { /* System V's: the low halves */
    u16 flags[4];
    u8 line, cc[8];
};

/* Bits per second that the CBAUD bits mean; 0: they do not say. */
static u32 speed_of(u32 cflag)
{
    static const u32 low[16] = {0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400};
    static const u32 high[16] = {0, 57600, 115200, 230400, 460800, 500000, 576000, 921600, 1000000, 1152000, 1500000, 2000000,
                                 2500000, 3000000, 3500000, 4000000};
    return (cflag & BOTHER) != 0 ? high[cflag & 15] : low[cflag & 15];
}

static bool is_cmd(u32 cmd, u32 old, u32 plain, u32 two) { return cmd == old || cmd == plain || cmd == two; }

/* What the program wants, into *n, which has what there is. */
static int read_termios(struct termios2 *n, uaddr_t arg, u32 cmd)
{
    struct termio o;
    u32 *flags = (u32 *)&n->t; /* four of them in a row */
    if (cmd < TCSETA || cmd > TCSETAF)
        return copy_from_user(n, arg, cmd >= TCSETS2 ? sizeof(*n) : sizeof(n->t));
    if (copy_from_user(&o, arg, sizeof(o)) != 0)
        return -EFAULT;
    for (unsigned k = 0; k < 4; k++)
        flags[k] = (flags[k] & 0xffff0000) | o.flags[k];
    n->t.line = o.line;
    memcpy(n->t.cc, o.cc, sizeof(o.cc));
    return 0;
}

/* Bits and characters that are locked stay. */
static void keep_locked(struct termios *n, const struct termios *old, const struct termios *locked)
{
    u8 *to = (u8 *)n;
    const u8 *from = (const u8 *)old, *mask = (const u8 *)locked;
    for (unsigned k = 0; k < offsetof(struct termios, cc) + TTY_NCC; k++) {
        u8 m = k < offsetof(struct termios, line) ? mask[k] : mask[k] != 0 ? 0xff : 0;
        to[k] = (u8)((to[k] & ~m) | (from[k] & m));
    }
}

static int set_termios(struct tty *t, uaddr_t arg, u32 cmd)
{
    bool two = cmd >= TCSETS2, flush = is_cmd(cmd, TCSETAF, TCSETSF, TCSETSF2);
    struct termios2 n;
    int err = tty_check_background(t, SIGTTOU);
    if (err != 0)
        return err;
    mutex_lock(&t->lock);
    n.t = t->tio;
    mutex_unlock(&t->lock);
    if (read_termios(&n, arg, cmd) != 0)
        return -EFAULT;
    if (flush || is_cmd(cmd, TCSETAW, TCSETSW, TCSETSW2))
        t->port->ops->drain(t->port);
    mutex_lock(&t->lock);
    struct termios old = t->tio;
    if (flush)
        tty_flush_input(t);
    keep_locked(&n.t, &old, &t->locked);
    n.t.cflag = (n.t.cflag & ~(CSIZE | PARENB)) | CS8 | CREAD; /* there is no line that could have others */
    t->tio = n.t;
    t->speed = two && (n.t.cflag & CBAUD) == BOTHER ? n.ospeed : speed_of(n.t.cflag);
    tty_mode_changed(t, &old);
    mutex_unlock(&t->lock);
    t->driver->room(t);
    return 0;
}

static int get_termio(struct tty *t, uaddr_t arg)
{
    struct termio o = {.line = 0};
    mutex_lock(&t->lock);
    const u32 *flags = (const u32 *)&t->tio;
    for (unsigned k = 0; k < 4; k++)
        o.flags[k] = (u16)flags[k];
    o.line = t->tio.line;
    memcpy(o.cc, t->tio.cc, sizeof(o.cc));
    mutex_unlock(&t->lock);
    return copy_to_user(arg, &o, sizeof(o));
}

static int lock_termios(struct tty *t, const struct file *f, uaddr_t arg, bool set)
{
    struct termios k;
    if (set && !cred_capable(f->cred, CAP_SYS_ADMIN))
        return -EPERM;
    if (set && copy_from_user(&k, arg, sizeof(k)) != 0)
        return -EFAULT;
    mutex_lock(&t->lock);
    if (set)
        t->locked = k;
    k = t->locked;
    mutex_unlock(&t->lock);
    return set ? 0 : copy_to_user(arg, &k, sizeof(k));
}

static int get_termios(struct tty *t, uaddr_t arg, bool two)
{
    struct termios2 k;
    mutex_lock(&t->lock);
    k.t = t->tio;
    k.ispeed = k.ospeed = t->speed;
    mutex_unlock(&t->lock);
    return copy_to_user(arg, &k, two ? sizeof(k) : sizeof(k.t));
}

static int flush_queues(struct tty *t, u64 which)
{
    if (which > 2)
        return -EINVAL;
    mutex_lock(&t->lock);
    if (which != 1) /* TCIFLUSH, TCIOFLUSH */
        tty_flush_input(t);
    if (which != 0) /* TCOFLUSH, TCIOFLUSH */
        t->driver->flush_output(t);
    mutex_unlock(&t->lock);
    if (which != 1)
        t->driver->room(t);
    return 0;
}

static int flow(struct tty *t, u64 what)
{
    s64 r = 0;
    mutex_lock(&t->lock);
    u8 c = t->tio.cc[what == 2 ? VSTOP : VSTART];
    if (what <= 1) /* TCOOFF, TCOON */
        tty_set_stopped(t, what == 0);
    mutex_unlock(&t->lock);
    if (what > 3)
        return -EINVAL;
    if (what >= 2 && c != 0) /* TCIOFF, TCION: the other side is to stop, or go on */
        r = chardev_write(t->port, &c, 1, false);
    return r < 0 ? (int)r : 0;
}

static int change_discipline(uaddr_t arg)
{
    u32 n;
    if (get_user_u32(arg, &n) != 0)
        return -EFAULT;
    return n == 0 ? 0 : -EINVAL;
}

static void set_winsize(struct tty *t, const u16 w[4])
{
    mutex_lock(&t->lock);
    bool changed = memcmp(t->winsize, w, sizeof(t->winsize)) != 0;
    memcpy(t->winsize, w, sizeof(t->winsize));
    mutex_unlock(&t->lock);
    if (changed)
        tty_signal_foreground(t, SIGWINCH);
}

void tty_set_winsize(struct tty *t, u16 rows, u16 cols) { set_winsize(t, (u16[4]){rows, cols, 0, 0}); }

static int window(struct tty *t, u32 cmd, uaddr_t arg)
{
    u16 w[4];
    if (cmd == TIOCSWINSZ) {
        if (copy_from_user(w, arg, sizeof(w)) != 0)
            return -EFAULT;
        set_winsize(t, w);
        return 0;
    }
    mutex_lock(&t->lock);
    memcpy(w, t->winsize, sizeof(w));
    mutex_unlock(&t->lock);
    return copy_to_user(arg, w, sizeof(w));
}

/* Its number as programs know it (new_encode_dev of Linux). */
static int put_device(const struct tty *t, uaddr_t arg)
{
    u32 d = (u32)t->driver->dev(t), minor = d & 0xfffff;
    return put_user_u32(arg, (minor & 0xff) | d >> 20 << 8 | (minor & ~0xffu) << 12);
}

/* A byte as if it had come from the other side. As Linux with dev.tty.legacy_tiocsti = 0: root only. */
static int simulate(struct tty *t, const struct file *f, bool master, uaddr_t arg)
{
    u8 c;
    if (!cred_capable(f->cred, CAP_SYS_ADMIN))
        return -EIO;
    if (copy_from_user(&c, arg, 1) != 0)
        return -EFAULT;
    (void)(master ? t->port->ops->write(t->port, &c, 1) : tty_receive(t, &c, 1));
    return 0;
}

s64 tty_common_ioctl(struct tty *t, struct file *f, bool master, u32 cmd, uaddr_t arg)
{
    switch (cmd) {
    case TCGETS:
    case TCGETS2:
        return get_termios(t, arg, cmd == TCGETS2);
    case TCGETA:
        return get_termio(t, arg);
    case TIOCGLCKTRMIOS:
    case TIOCSLCKTRMIOS:
        return lock_termios(t, f, arg, cmd == TIOCSLCKTRMIOS);
    case TCSETA:
    case TCSETAW:
    case TCSETAF:
    case TCSETS:
    case TCSETSW:
    case TCSETSF:
    case TCSETS2:
    case TCSETSW2:
    case TCSETSF2:
        return set_termios(t, arg, cmd);
    case TIOCSCTTY:
    case TIOCNOTTY:
    case TIOCGPGRP:
    case TIOCSPGRP:
    case TIOCGSID:
        return tty_session_ioctl(t, f, master, cmd, arg);
    case TIOCEXCL:
    case TIOCNXCL:
        atomic_store(&t->exclusive[master], cmd == TIOCEXCL);
        return 0;
    case TIOCGEXCL:
        return put_user_u32(arg, t->exclusive[master]);
    case TIOCGDEV:
        return put_device(t, arg);
    case TIOCGETD:
        return put_user_u32(arg, 0);
    case TIOCSETD:
        return change_discipline(arg);
    case TIOCGWINSZ:
    case TIOCSWINSZ:
        return window(t, cmd, arg);
    case TIOCSBRK:
    case TIOCCBRK:
        return 0; /* there is no break on these lines */
    case TIOCSTI:
        return simulate(t, f, master, arg);
    default:
        return -ENOTTY;
    }
}

s64 tty_ioctl(struct file *f, u32 cmd, uaddr_t arg)
{
    struct tty *t = f->private;
    int err;
    if (atomic_load_relaxed(&t->hung_up))
        return cmd == TIOCSPGRP ? -ENOTTY : -EIO;
    switch (cmd) {
    case TCSBRK:
    case TCSBRKP:
    case TIOCSBRK:
    case TIOCCBRK:
    case TCFLSH:
    case TCXONC:
    case TIOCSETD:
        err = tty_check_background(t, SIGTTOU);
        if (err != 0)
            return err;
        break;
    }
    switch (cmd) {
    case TCSBRK:
    case TCSBRKP:
        t->port->ops->drain(t->port); /* and there is no break on these lines */
        return 0;
    case TCXONC:
        return flow(t, arg);
    case TCFLSH:
        return flush_queues(t, arg);
    case TIOCOUTQ:
        return put_user_u32(arg, 0);
    case FIONREAD: {
        mutex_lock(&t->lock);
        u32 n = tty_available(t);
        mutex_unlock(&t->lock);
        return put_user_u32(arg, n);
    }
    default:
        return tty_common_ioctl(t, f, false, cmd, arg);
    }
}
