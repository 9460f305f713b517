/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ports: stream sockets to the tender, each a `struct chardev`.
 *
 * Output goes straight into the socket, so what was written has left for the host. A socket that takes no
 * more is asked for POLLOUT until it does. Input is read where the reader wants it; only who asks whether there
 * is some fills `ahead`. A port that nobody waits for is not asked for anything, so input that nobody reads
 * wakes nobody.
 *
 * The tender's end is closed when a read ends or a write fails: then the host is gone for both directions.
 */
#include "device.h"

#include "base/str.h"
#include "kern/bh.h"
#include "kern/chardev.h"
#include "kern/poll.h"
#include "kern/slab.h"

#define AHEAD_BYTES 1024u
#define SYNC_WAIT_NS NSEC_PER_SEC

struct host_port {
    struct chardev dev;
    struct host_source source;
    struct bh bh;
    struct spinlock lock;   /* bottom halves; everything below, dev.rx_bytes, dev.tx_bytes */
    bool full;              /* the socket took no more, and POLLOUT did not come since */
    u32 ahead_off, ahead_len;
    u8 ahead[AHEAD_BYTES];
};

/* Result of a call: bytes, or 0 = none now. *ret_gone is set when there will never be more. */
static size_t moved(long r, bool *ret_gone)
{
    if (r > 0)
        return (size_t)r;
    *ret_gone = r != -EAGAIN;
    return 0;
}

static void host_closed(struct host_port *p)
{
    host_source_want(&p->source, 0, HOST_POLLIN | HOST_POLLOUT);
    if (atomic_xchg(&p->dev.host_open, false))
        wq_wake_all(&p->dev.wq, 0);
}

static bool is_open(struct host_port *p) { return atomic_load(&p->dev.host_open); }

static size_t port_write(struct chardev *c, const void *buf, size_t len)
{
    struct host_port *p = c->driver;
    bool gone = false;
    if (len == 0 || !is_open(p))
        return 0;
    spin_lock_bh(&p->lock);
    size_t n = moved(host_write(p->source.fd, buf, len), &gone);
    p->full = n == 0;
    c->tx_bytes += n;
    spin_unlock_bh(&p->lock);
    if (gone)
        host_closed(p);
    return n;
}

static bool port_can_write(struct chardev *c)
{
    struct host_port *p = c->driver;
    spin_lock_bh(&p->lock);
    bool ok = !p->full || !is_open(p);
    if (!ok)
        host_source_want(&p->source, HOST_POLLOUT, 0);
    spin_unlock_bh(&p->lock);
    return ok;
}

static size_t port_read(struct chardev *c, void *buf, size_t len)
{
    struct host_port *p = c->driver;
    bool gone = false;
    spin_lock_bh(&p->lock);
    size_t n = MIN(len, (size_t)(p->ahead_len - p->ahead_off));
    if (n > 0) {
        memcpy(buf, p->ahead + p->ahead_off, n);
        p->ahead_off += (u32)n;
    } else if (len > 0 && is_open(p)) {
        n = moved(host_read(p->source.fd, buf, len), &gone);
    }
    spin_unlock_bh(&p->lock);
    if (n > 0)
        chardev_received(c, n);
    if (gone)
        host_closed(p);
    return n;
}

static bool port_can_read(struct chardev *c)
{
    struct host_port *p = c->driver;
    bool gone = false;
    spin_lock_bh(&p->lock);
    bool ok = p->ahead_off < p->ahead_len;
    if (!ok && is_open(p)) {
        p->ahead_off = 0;
        host_source_want(&p->source, HOST_POLLIN, 0); /* first: the signal of what comes behind the read finds it asked for */
        p->ahead_len = (u32)moved(host_read(p->source.fd, p->ahead, AHEAD_BYTES), &gone);
        ok = p->ahead_len > 0;
        if (ok || gone)
            host_source_want(&p->source, 0, HOST_POLLIN);
    }
    spin_unlock_bh(&p->lock);
    if (gone)
        host_closed(p);
    return ok;
}

static void port_drain(struct chardev *c) {} /* it is with the host already */

static void port_close(struct chardev *c)
{
    if (chardev_closed != NULL)
        chardev_closed(c);
}

/* Panics: no lock that the dying code may hold. */
static void port_write_sync(struct chardev *c, const void *buf, size_t len)
{
    struct host_port *p = c->driver;
    const u8 *b = buf;
    u64 deadline = plat_now_ns() + SYNC_WAIT_NS;
    bool gone = false;
    while (len > 0 && !gone && plat_now_ns() < deadline) {
        size_t n = moved(host_write(p->source.fd, b, len), &gone);
        b += n;
        len -= n;
        if (n == 0)
            plat_relax();
    }
}

static const struct chardev_ops port_ops = {
    .write = port_write,
    .read = port_read,
    .can_read = port_can_read,
    .can_write = port_can_write,
    .drain = port_drain,
    .close = port_close,
    .write_sync = port_write_sync,
};

/* Whoever waits looks again, and asks for the next event if need be. */
static void port_bh(struct bh *bh)
{
    struct host_port *p = container_of(bh, struct host_port, bh);
    spin_lock(&p->lock);
    short asked = p->source.events;
    host_source_want(&p->source, 0, asked);
    p->full &= (asked & HOST_POLLOUT) == 0;
    spin_unlock(&p->lock);
    wq_wake(&p->dev.wq, ((asked & HOST_POLLIN) != 0 ? POLLIN : 0) | ((asked & HOST_POLLOUT) != 0 ? POLLOUT : 0));
}

static void port_event(void *arg)
{
    struct host_port *p = arg;
    bh_raise(&p->bh);
}

int host_port_add(const struct host_device *h)
{
    struct host_port *p = kzalloc(sizeof(*p));
    if (p == NULL)
        return -ENOMEM;
    spin_init(&p->lock, "host_port");
    bh_init(&p->bh, port_bh);
    p->source = (struct host_source){ .fd = (int)h->fd, .fn = port_event, .arg = p };
    int err = host_source_add(&p->source);
    if (err != 0) {
        kfree(p);
        return err;
    }
    str_copy(p->dev.name, h->name, sizeof(p->dev.name));
    p->dev.ops = &port_ops;
    p->dev.driver = p;
    p->dev.host_open = p->dev.host_was_open = true;
    wq_init(&p->dev.wq, "port");
    chardev_register(&p->dev);
    return 0;
}
