/* SPDX-License-Identifier: Apache-2.0 */
/* The terminal of a run with -t: a port of the host behind a line discipline, as /dev/console. Also /dev/tty. */
#include "tty_impl.h"
#include "kern/thread.h"

struct console {
    struct tty tty;
    struct waiter port_waiter;
    struct work work;
    u8 in[128];       /* the work item's: what the terminal had no room for */
    size_t at, end;
    bool waits;       /* atomic: for room */
};

static struct console *console; /* set once */

static struct console *console_of(struct tty *t) { return container_of(t, struct console, tty); }

static bool port_gone(const struct chardev *c) { return c->host_was_open && !atomic_load(&c->host_open); }

/* More from the port, if the last of it is used up. Asking is what makes a port wake us when more comes. */
static bool fetch(struct console *c)
{
    struct chardev *port = c->tty.port;
    if (c->at < c->end)
        return true;
    c->at = 0;
    c->end = port->ops->can_read(port) ? port->ops->read(port, c->in, sizeof(c->in)) : 0;
    return c->end > 0;
}

static void console_work(struct work *w)
{
    struct console *c = container_of(w, struct console, work);
    struct tty *t = &c->tty;
    atomic_store(&c->waits, true);
    while (fetch(c)) {
        size_t n = tty_receive(t, c->in + c->at, c->end - c->at);
        c->at += n;
        if (n == 0)
            break; /* a read makes room and comes here again */
    }
    if (port_gone(t->port) && !t->hung_up && c->at == c->end)
        tty_hangup(t);
    wake_waiters(&t->writable, POLLOUT | POLLWRNORM);
}

static bool console_woken(struct waiter *w, u32 events)
{
    work_queue(&container_of(w, struct console, port_waiter)->work);
    return false;
}

static void console_room(struct tty *t)
{
    if (atomic_xchg(&console_of(t)->waits, false))
        work_queue(&console_of(t)->work);
}

static u64 console_dev(const struct tty *t) { return MKDEV(5, 1); }
static void console_nothing(struct tty *t) {}
static void console_status(struct tty *t, u32 packet) {}

static const struct tty_driver console_driver = {
    .dev = console_dev,
    .room = console_room,
    .flush_output = console_nothing, /* what was written is on its way */
    .status = console_status,
    .opened = console_nothing,
    .closed = console_nothing,
    .destroy = console_nothing,      /* it stays */
};

static int console_open(struct inode *i, struct file *f)
{
    if (console == NULL)
        return -ENXIO;
    ref_get(&console->tty.refs);
    return tty_open(&console->tty, f);
}

static const struct file_ops console_ops = {.open = console_open};

static int current_open(struct inode *i, struct file *f)
{
    struct tty *t = tty_current();
    if (t == NULL)
        return -ENXIO;
    f->flags |= O_NOCTTY;
    return tty_open(t, f);
}

static const struct file_ops current_ops = {.open = current_open};

void tty_devices_init(void)
{
    chrdev_register(MKDEV(5, 0), &current_ops, NULL);
    chrdev_register(MKDEV(5, 1), &console_ops, NULL);
}

int tty_create(struct chardev *port, struct tty **ret)
{
    struct console *c = kzalloc(sizeof(*c));
    if (c == NULL)
        return -ENOMEM;
    struct tty *t = &c->tty;
    tty_init(t, &console_driver, port);
    t->tio.iflag |= IMAXBEL | IUTF8;
    t->winsize[0] = 24;
    t->winsize[1] = 80;
    work_init(&c->work, console_work);
    tty_may_take(t);
    console = c;
    c->port_waiter.fn = console_woken;
    wq_add(&port->wq, &c->port_waiter);
    work_queue(&c->work); /* what came before */
    *ret = t;
    return 0;
}

/* Through its name where there is one, so that ttyname(3) finds it. */
int tty_open_file(struct tty *t, struct file **ret)
{
    struct path at = {root_mount, root_mount != NULL ? root_mount->root : NULL};
    if (root_mount != NULL) {
        struct fs_ctx fs = {.root = at, .cwd = at};
        struct lookup l = {.fs = &fs, .cred = &kernel_cred};
        if (vfs_open(&l, "/dev/console", O_RDWR | O_NOCTTY, 0, 0, ret) == 0) {
            if ((*ret)->ops == &tty_ops)
                return 0;
            file_put(*ret);
        }
    }
    ref_get(&t->refs);
    int err = file_create_inode("tty", &tty_ops, t, S_IFCHR | 0620, O_RDWR, ret);
    if (err == 0) {
        (*ret)->inode->rdev = MKDEV(5, 1);
        (*ret)->inode->fops = &console_ops;
    } else {
        tty_put(t);
    }
    return err;
}
