/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal as a file: opening, reading, writing, polling; what comes in, and its end. */
#include "tty_impl.h"
#include "kern/thread.h"
#include "kern/timer.h"

#define WRITE_CHUNK 128u

/* --- what comes in ------------------------------------------------------------------ */

size_t tty_receive(struct tty *t, const u8 *buf, size_t n)
{
    size_t done = 0;
    int sig;
    do {
        sig = 0;
        mutex_lock(&t->lock);
        while (done < n && sig == 0 && tty_room(t) > 0)
            sig = tty_input(t, buf[done++]);
        mutex_unlock(&t->lock);
        if (sig != 0)
            tty_signal_foreground(t, sig);
    } while (sig != 0);
    wake_waiters(&t->readable, POLLIN | POLLRDNORM);
    return done;
}

void tty_hangup(struct tty *t)
{
    atomic_store(&t->hung_up, true);
    wq_wake_all(&t->readable, 0);
    wq_wake_all(&t->writable, 0);
    tty_session_hangup(t);
}

/* --- reading ------------------------------------------------------------------------- */

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
    int r0 = tty_check_background(t, SIGTTIN);
    if (r0 != 0 || u->remaining == 0)
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
        t->driver->room(t);
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

/* --- writing ------------------------------------------------------------------------- */

static s64 send(struct tty *t, const void *buf, size_t n, bool nonblock)
{
    s64 w = chardev_write(t->port, buf, n, nonblock);
    return w == -EPIPE ? -EIO : w;
}

/* Process and send n bytes: how many were taken, or why none. write_lock held. */
static s64 write_some(struct tty *t, const u8 *in, size_t n, bool nonblock)
{
    char out[WRITE_CHUNK * TTY_EXPANSION];
    u16 end[WRITE_CHUNK];
    size_t len = 0, k = 0;
    mutex_lock(&t->lock);
    u32 column = t->column;
    for (; k < n; k++)
        end[k] = (u16)(len += tty_output(t, in[k], out + len));
    mutex_unlock(&t->lock);
    s64 sent = send(t, out, len, nonblock), err = sent < 0 ? sent : 0;
    if (sent == (s64)len)
        return (s64)n;
    sent = MAX(sent, 0);
    for (k = 0; k < n && end[k] <= sent; k++)
        ;
    if (k < n && sent > (k > 0 ? end[k - 1] : 0)) {
        t->nrest = (u8)(end[k] - sent);
        memcpy(t->rest, out + sent, t->nrest);
        k++;
    }
    mutex_lock(&t->lock); /* the cursor is behind what was taken */
    t->column = column;
    for (size_t j = 0; j < k; j++)
        (void)tty_output(t, in[j], out);
    mutex_unlock(&t->lock);
    return k > 0 ? (s64)k : err;
}

static int write_rest(struct tty *t, bool nonblock)
{
    while (t->nrest > 0) {
        s64 w = send(t, t->rest, t->nrest, nonblock);
        if (w < 0)
            return (int)w;
        t->nrest -= (u8)w;
        memmove(t->rest, t->rest + w, t->nrest);
    }
    return 0;
}

static s64 write_all(struct tty *t, struct uio *u, bool nonblock)
{
    u8 in[WRITE_CHUNK];
    s64 done = 0, err = 0;
    while (u->remaining > 0 && err == 0) {
        if (atomic_load(&t->stopped))
            err = nonblock ? -EAGAIN : wait_event_interruptible(&t->writable, !atomic_load(&t->stopped) || t->hung_up);
        if (err == 0)
            err = t->hung_up ? -EIO : write_rest(t, nonblock);
        s64 n = err == 0 ? uio_copy_in(u, in, MIN(u->remaining, sizeof(in))) : 0;
        s64 w = n > 0 ? write_some(t, in, (size_t)n, nonblock) : n;
        if (w > 0)
            done += w;
        if (err == 0 && w < n)
            err = w < 0 ? w : nonblock ? -EAGAIN : -ERESTARTSYS;
        else if (err == 0 && n <= 0)
            err = n < 0 ? n : -EFAULT;
    }
    return done > 0 ? done : err;
}

static s64 tty_write(struct file *f, struct uio *u, u64 *pos)
{
    struct tty *t = f->private;
    bool nonblock = (f->flags & O_NONBLOCK) != 0;
    if (atomic_load_relaxed(&t->hung_up))
        return -EIO;
    s64 r = (t->tio.lflag & TOSTOP) != 0 ? tty_check_background(t, SIGTTOU) : 0;
    if (r == 0)
        r = !nonblock ? mutex_lock_interruptible(&t->write_lock) : mutex_trylock(&t->write_lock) ? 0 : -EAGAIN;
    if (r != 0)
        return r;
    r = write_all(t, u, nonblock);
    mutex_unlock(&t->write_lock);
    return r;
}

static u32 tty_poll(struct file *f, struct poll_table *pt)
{
    struct tty *t = f->private;
    u32 r = 0;
    poll_wait(&t->readable, pt);
    poll_wait(&t->writable, pt);
    if (t->hung_up)
        return POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM | POLLERR | POLLHUP;
    if (tty_readable(t, t->tio.cc[VTIME] == 0 ? t->tio.cc[VMIN] : 1))
        r |= POLLIN | POLLRDNORM;
    if (!atomic_load(&t->stopped) && t->port->ops->can_write(t->port))
        r |= POLLOUT | POLLWRNORM;
    return r;
}

/* --- life ---------------------------------------------------------------------------- */

int tty_open(struct tty *t, struct file *f)
{
    if (t->exclusive[0] && !cred_capable(f->cred, CAP_SYS_ADMIN)) {
        tty_put(t);
        return -EBUSY;
    }
    f->ops = &tty_ops;
    f->private = t;
    t->driver->opened(t);
    if ((f->flags & O_NOCTTY) == 0 && f->can_read)
        tty_may_take(t);
    return 0;
}

static void tty_release(struct file *f)
{
    struct tty *t = f->private;
    t->driver->closed(t);
    tty_put(t);
}

void tty_put(struct tty *t)
{
    if (t != NULL && ref_put(&t->refs))
        t->driver->destroy(t);
}

const struct file_ops tty_ops = {
    .release = tty_release,
    .read = tty_read,
    .write = tty_write,
    .poll = tty_poll,
    .ioctl = tty_ioctl,
};

void tty_init(struct tty *t, const struct tty_driver *d, struct chardev *port)
{
    static const struct termios fresh = {
        .iflag = ICRNL | IXON,
        .oflag = OPOST | ONLCR,
        .cflag = 0277, /* B38400 CS8 CREAD */
        .lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
        .cc = {3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22, 0},
    };
    t->driver = d;
    t->port = port;
    t->tio = fresh;
    t->speed = 38400;
    ref_init(&t->refs);
    list_init(&t->session_node);
    mutex_init(&t->write_lock, "tty_write");
    mutex_init(&t->lock, "tty");
    wq_init(&t->readable, "tty_read");
    wq_init(&t->writable, "tty_write");
}
