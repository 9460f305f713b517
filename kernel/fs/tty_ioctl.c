/* SPDX-License-Identifier: Apache-2.0 */
/* ioctl_tty(2): modes, queues, window size. */
#include "tty_impl.h"
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
#define TIOCOUTQ 0x5411u
#define TIOCSTI 0x5412u
#define TIOCGWINSZ 0x5413u
#define TIOCSWINSZ 0x5414u
#define FIONREAD 0x541bu
#define TIOCSETD 0x5423u
#define TIOCGETD 0x5424u
#define TCSBRKP 0x5425u
#define TCGETS2 0x802c542au
#define TCSETS2 0x402c542bu
#define TCSETSW2 0x402c542cu
#define TCSETSF2 0x402c542du
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

/* Bits per second that the CBAUD bits mean; 0: they do not say. */
static u32 speed_of(u32 cflag)
{
    static const u32 low[16] = {0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400};
    static const u32 high[16] = {0, 57600, 115200, 230400, 460800, 500000, 576000, 921600, 1000000, 1152000, 1500000, 2000000,
                                 2500000, 3000000, 3500000, 4000000};
    return (cflag & BOTHER) != 0 ? high[cflag & 15] : low[cflag & 15];
}

static int set_termios(struct tty *t, uaddr_t arg, u32 cmd)
{
    bool two = cmd >= TCSETS2, flush = cmd == TCSETSF || cmd == TCSETSF2;
    struct termios2 n;
    int err = tty_check_background(t, SIGTTOU);
    if (err != 0)
        return err;
    if (copy_from_user(&n, arg, two ? sizeof(n) : sizeof(n.t)) != 0)
        return -EFAULT;
    if (flush || cmd == TCSETSW || cmd == TCSETSW2)
        t->port->ops->drain(t->port);
    n.t.cflag = (n.t.cflag & ~(CSIZE | PARENB)) | CS8 | CREAD; /* there is no line that could have others */
    mutex_lock(&t->lock);
    struct termios old = t->tio;
    if (flush)
        tty_flush_input(t);
    t->tio = n.t;
    t->speed = two && (n.t.cflag & CBAUD) == BOTHER ? n.ospeed : speed_of(n.t.cflag);
    tty_mode_changed(t, &old);
    mutex_unlock(&t->lock);
    t->driver->room(t);
    return 0;
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

s64 tty_common_ioctl(struct tty *t, struct file *f, bool master, u32 cmd, uaddr_t arg)
{
    switch (cmd) {
    case TCGETS:
    case TCGETS2:
        return get_termios(t, arg, cmd == TCGETS2);
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
    case TIOCGETD:
        return put_user_u32(arg, 0);
    case TIOCSETD:
        return change_discipline(arg);
    case TIOCGWINSZ:
    case TIOCSWINSZ:
        return window(t, cmd, arg);
    case TIOCSTI:
        return -EIO; /* as Linux with dev.tty.legacy_tiocsti = 0 */
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
    case TIOCEXCL:
    case TIOCNXCL:
        atomic_store(&t->exclusive, cmd == TIOCEXCL);
        return 0;
    case TIOCGEXCL:
        return put_user_u32(arg, t->exclusive);
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
