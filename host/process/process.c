/* SPDX-License-Identifier: Apache-2.0 */
/* An instance as a sandboxed process: see process.h. */
#include "host/process/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "abi/boot.h"
#include "abi/control.h"
#include "host/process/layout.h"

#define BOOT_PATIENCE_NS 10000000000ull
#define USER_NET_MTU 1500
#define FIRST_DEVICE (HOST_FD_FIRST_DEVICE - HOST_FD_CONSOLE) /* in the list of descriptors, which starts at HOST_FD_CONSOLE */

/* What the instance gets: the table for it and the descriptors in the same order. */
struct setup {
    struct host_boot boot;
    int fds[FIRST_DEVICE + HOST_MAX_DEVICES];
};

static struct host_device *add(struct setup *s, enum host_device_kind kind, const char *name, int fd)
{
    s->fds[FIRST_DEVICE + s->boot.ndevices] = fd;
    return layout_add_device(&s->boot, kind, name);
}

static int add_root(struct setup *s, int fd, struct error *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_errno(err, EXIT_DRUPE, "the image");
    struct host_device *d = add(s, HOST_BLOCK, SERIAL_ROOT, fd);
    d->flags = HOST_READ_ONLY;
    d->size_bytes = (u64)st.st_size;
    return 0;
}

static void add_ports(struct setup *s, const struct instance *i, const struct instance_ends *e)
{
    static const char *const streams[] = {PORT_STDIN, PORT_STDOUT, PORT_STDERR};
    add(s, HOST_PORT, PORT_CONTROL, e->control);
    for (unsigned k = 0; k < ARRAY_SIZE(streams); k++)
        if (e->ports[k] >= 0)
            add(s, HOST_PORT, i->terminal ? PORT_TTY : streams[k], e->ports[k]);
    for (size_t k = 0; k < i->nvolumes; k++) {
        AUTO_FREE char *name = str_format(P9_PORT "%zu", k);
        add(s, HOST_PORT, name, e->volumes[k]);
    }
}

/* A locally administered address of its own for each instance. */
static int make_mac(struct host_device *d, struct error *err)
{
    if (getrandom(d->mac, sizeof(d->mac), 0) != sizeof(d->mac))
        return err_errno(err, EXIT_DRUPE, "getrandom");
    d->mac[0] = (u8)((d->mac[0] & ~1) | 2);
    return 0;
}

static int add_network(struct setup *s, const struct instance *i, const struct instance_ends *e, struct error *err)
{
    struct host_device *d;
    switch (i->net) {
    case NET_MODE_NONE:
        return 0;
    case NET_MODE_USER:
        d = add(s, HOST_FRAMES, "net", e->frames);
        d->mtu = USER_NET_MTU;
        break;
    default:
        if (e->tap.sieve >= 0)
            add(s, HOST_SIEVE, "sieve", e->tap.sieve);
        d = add(s, HOST_TAP, "net", e->tap.fds[0]);
        d->flags = e->tap.tso ? HOST_TSO : 0;
        d->mtu = e->tap.mtu;
        break;
    }
    return make_mac(d, err);
}

static int set_up(struct setup *s, const struct instance *i, const struct instance_ends *e, struct error *err)
{
    s->boot.cpus = i->cpus;
    s->boot.memory_bytes = i->memory_bytes;
    if (add_root(s, i->image_fd, err) < 0)
        return -1;
    add_ports(s, i, e);
    return add_network(s, i, e, err);
}

static pid_t process_start(const struct instance *i, const struct instance_ends *e, struct error *err)
{
    struct process_options *own = i->options;
    struct setup s = {0};
    pid_t pid = -1;
    AUTO_CLOSE int image = open(i->kernel, O_RDONLY | O_CLOEXEC);
    if (image < 0)
        return err_errno(err, EXIT_DRUPE, "%s", i->kernel);
    AUTO_FREE char *argv0 = str_format("drupe-instance:%s", i->label);
    AUTO_CLOSE int memory = set_up(&s, i, e, err) < 0 ? -1 : layout_memory(&s.boot, i->kernel_args, i->config, err);
    if (memory >= 0) {
        s.fds[0] = e->console;
        s.fds[HOST_FD_MEMORY - HOST_FD_CONSOLE] = memory;
        pid = sandbox_execute(&own->sandbox, image, argv0, s.fds, FIRST_DEVICE + s.boot.ndevices, err);
    }
    if (pid > 0)
        say("instance: process %d, %llu MiB, %s", (int)pid, (unsigned long long)s.boot.memory_bytes >> 20, i->kernel);
    return pid;
}

static void process_explain(int status, struct buf *ret)
{
    int number = instance_signal(status);
    if (number == 0)
        buf_addf(ret, "exit status %d", WEXITSTATUS(status));
    else if (number == SIGSYS)
        buf_addf(ret, "the sandbox ended it: a system call that is not on its list");
    else
        buf_addf(ret, "signal %d, %s", number, strsignal(number));
}

const struct backend process_backend = {.name = "instance", .maps_sieve = true, .kick_signal = SIGURG, .boot_patience_ns = BOOT_PATIENCE_NS,
                                        .start = process_start, .explain = process_explain};
