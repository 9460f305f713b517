/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The program's standard streams: the three ports of the host, or one terminal
 * with process.terminal. A machine without such ports (started by hand) writes
 * to the UART and reads nothing.
 */
#include "control.h"
#include "init_impl.h"
#include "base/str.h"
#include "kern/chardev.h"
#include "kern/log.h"
#include "kern/slab.h"
#include "kern/vfs.h"

/* --- the UART as a stream ------------------------------------------------------------ */

static size_t uart_write(struct chardev *c, const void *buf, size_t len)
{
    plat_console_write(buf, len);
    return len;
}

static size_t uart_read(struct chardev *c, void *buf, size_t len) { return 0; }
static bool uart_can_read(struct chardev *c) { return false; }
static bool uart_can_write(struct chardev *c) { return true; }
static void uart_nothing(struct chardev *c) {}

static const struct chardev_ops uart_ops = {
    .write = uart_write,
    .read = uart_read,
    .can_read = uart_can_read,
    .can_write = uart_can_write,
    .drain = uart_nothing,
    .close = uart_nothing,
};

static struct chardev *uart(void)
{
    static struct chardev dev = { .name = "uart", .ops = &uart_ops, .host_open = true };
    if (dev.wq.waiters.next == NULL)
        wq_init(&dev.wq, "uart");
    return &dev;
}

/* --- choosing -------------------------------------------------------------------------- */

static struct file *must(int err, struct file *f, const char *what)
{
    if (err != 0)
        boot_fail("cannot open %s: error %d", what, -err);
    return f;
}

static struct file *output(const char *name)
{
    struct chardev *c = chardev_find(name);
    struct file *f = NULL;
    int err = stream_open(c != NULL ? c : uart(), false, true, &f);
    return must(err, f, name);
}

static struct file *input(const char *name)
{
    struct chardev *c = chardev_find(name);
    struct file *f = NULL;
    int err = c != NULL ? stream_open(c, true, false, &f) : vfs_open(root_lookup(), "/dev/null", O_RDONLY, 0, 0, &f);
    return must(err, f, name);
}

static void open_terminal(struct boot_config *c, struct chardev *port)
{
    struct file *f = NULL;
    int err = tty_create(port, &control_tty);
    if (err == 0)
        err = tty_open_file(control_tty, &f);
    if (err == -EOPNOTSUPP)
        boot_fail("this kernel has no terminals (-Dwithout=terminals); run without -t");
    must(err, f, "the terminal");
    if (c->rows != 0 && c->cols != 0)
        tty_set_winsize(control_tty, c->rows, c->cols);
    for (unsigned i = 0; i < 3; i++)
        c->program.stdio[i] = i == 0 ? f : file_get(f);
    c->program.controlling_tty = true;
}

void stdio_open(struct boot_config *c)
{
    struct chardev *tty = chardev_find(PORT_TTY);
    if (tty == NULL && c->terminal)
        klog(LOG_WARN, "process.terminal is set, but there is no port %s: no terminal", PORT_TTY);
    if (tty != NULL && c->terminal) {
        open_terminal(c, tty);
        return;
    }
    c->program.stdio[0] = input(PORT_STDIN);
    c->program.stdio[1] = output(PORT_STDOUT);
    c->program.stdio[2] = c->one_output ? file_get(c->program.stdio[1]) : output(PORT_STDERR);
}
