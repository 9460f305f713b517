/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-console with named ports (virtio 1.2, section 5.3): each port is a
 * `struct chardev` under the name that the host gave it.
 *
 * Queues: 2 is control in, 3 control out; port p has its pair at 0/1 (p = 0) or
 * 2p+2/2p+3. The host announces ports (PORT_ADD); we answer PORT_READY, it tells
 * the name and whether its end is connected. All queues are made before DRIVER_OK (section 3.1.1); a
 * port's buffers when it is first read or written:
 *
 *   state      buffers host told PORT_OPEN
 *   ADDED      no      no      known by number
 *   NAMED      no      no      registered as a chardev
 *   OPEN       out     yes     somebody used it
 *   OPEN+rx    in+out  yes     somebody asked for input
 *
 * Output: bytes are copied into a ring of TX_BYTES (TX_BULK_BYTES once somebody writes more at a time), one descriptor for each
 * write, and the doorbell rings at once; finished ones are taken back by the next
 * writer. Interrupts are asked for only by a writer that found no room (half the
 * ring gone before one comes) and by drain.
 *
 * Input: RX_BUFS buffers (RX_QUEUE big ones where the first to read wants many bytes); filled ones queue up and are given back to the device
 * once read, which is the flow control.
 *
 * Locks: port->lock (bottom halves) guards the port's queues and buffers; control
 * messages are handled in the console's bottom half only, ctl_lock guards sending.
 * Order: port->lock, then ctl_lock.
 */
#include "base/bytes.h"
#include "base/str.h"
#include "kern/bh.h"
#include "kern/chardev.h"
#include "kern/drivers.h"
#include "kern/log.h"
#include "kern/poll.h"
#include "kern/slab.h"
#include "virtio.h"

#define F_MULTIPORT (1ULL << 1)
#define CONFIG_MAX_PORTS 4
#define MAX_PORTS 32

#define CTL_QUEUE 32
#define CTL_IN_BYTES 48 /* header and a name of up to 39 bytes */

enum {
    MSG_DEVICE_READY,
    MSG_DEVICE_ADD,
    MSG_DEVICE_REMOVE,
    MSG_PORT_READY,
    MSG_CONSOLE_PORT,
    MSG_RESIZE,
    MSG_PORT_OPEN,
    MSG_PORT_NAME,
};
struct control_msg {
    u32 id;
    u16 event, value;
};

#define TX_QUEUE 16
#define TX_BYTES 4096u
#define TX_BULK_BYTES 65536u
#define RX_QUEUE 16
#define RX_BUFS 4
#define RX_BYTES 1024u
#define RX_BULK_BYTES 4096u /* QEMU moves so much at a time */
#define DRAIN_STALL_NS (10 * NSEC_PER_SEC)
#define SYNC_WAIT_NS NSEC_PER_SEC

struct console;

struct rx_buf {
    struct list node; /* port->filled, or with the device */
    u32 len, off;     /* bytes filled, bytes read */
    u8 *data;
};

struct port {
    struct chardev dev;
    struct console *con;
    u32 id;
    bool added, named;
    struct spinlock lock;
    struct bh bh;
    struct virtq *rx, *tx; /* lock; NULL until used */
    bool dead;             /* lock: there is no queue, or no memory for its buffers */
    bool told_open;        /* lock */
    /* tx_head - tx_tail bytes of tx_ring are with the device; both only grow. */
    u8 *tx_ring;
    u32 tx_ring_bytes;     /* a power of two */
    u32 tx_head, tx_tail;
    u32 tx_len[TX_QUEUE];  /* by running number of the write: bytes; bit 31 = finished */
    u32 tx_posted, tx_finished;
    bool tx_want;          /* a writer waits: wake when half is free */
    bool draining;         /* somebody waits until all is gone */
    struct list filled;    /* struct rx_buf with unread bytes */
    struct rx_buf *rx_bufs;
    u32 rx_bytes;          /* of each */
};

struct console {
    struct virtio_dev *vd;
    struct virtq *ctl_in, *ctl_out;
    struct spinlock ctl_lock;  /* bottom halves */
    struct bh bh;
    bool settled;              /* bottom half: the host has told what it had to tell at first */
    u32 max_ports;
    u8 *ctl_in_bufs;           /* CTL_QUEUE * CTL_IN_BYTES */
    struct control_msg *ctl_out_bufs;
    u32 ctl_out_used;          /* bit = buffer with the device; ctl_lock */
    struct port *ports[MAX_PORTS]; /* written by the bottom half only */
    struct virtq *rx[MAX_PORTS], *tx[MAX_PORTS]; /* constant; NULL where it could not be made */
};

/* --- control messages ---------------------------------------------------------- */

static void take_sent_locked(struct console *con)
{
    struct control_msg *m;
    while ((m = virtq_pop(con->ctl_out, NULL)) != NULL)
        con->ctl_out_used &= ~(1u << (m - con->ctl_out_bufs));
    virtio_check(con->ctl_out);
}

/* Queue a message; the caller kicks. */
static void send_control(struct console *con, u32 id, u16 event, u16 value)
{
    if (con->ctl_out == NULL)
        return;
    spin_lock_bh(&con->ctl_lock);
    take_sent_locked(con);
    unsigned slot = (unsigned)__builtin_ffs((int)~con->ctl_out_used);
    if (slot == 0 || slot > con->ctl_out->size) {
        klog(LOG_WARN, "%s: control message %u for port %u lost", con->vd->dev->name, event, id);
    } else {
        struct control_msg *m = &con->ctl_out_bufs[slot - 1];
        *m = (struct control_msg){ .id = id, .event = event, .value = value };
        struct vq_seg seg = { virt_to_phys(m), sizeof(*m) };
        if (virtq_add(con->ctl_out, &seg, 1, 0, m) == 0)
            con->ctl_out_used |= 1u << (slot - 1);
    }
    spin_unlock_bh(&con->ctl_lock);
}

static void kick_control(struct console *con)
{
    if (con->ctl_out == NULL)
        return;
    spin_lock_bh(&con->ctl_lock);
    virtio_kick(con->ctl_out);
    spin_unlock_bh(&con->ctl_lock);
}

/* --- a port's queues -------------------------------------------------------------- */

static u16 rx_index(u32 id) { return (u16)(id == 0 ? 0 : 2 * id + 2); }

static void port_callback(struct virtq *vq)
{
    struct port *p = atomic_load(&vq->driver);
    if (p != NULL)
        bh_raise(&p->bh);
}

static void make_queues(struct console *con)
{
    for (u32 id = 0; id < con->max_ports; id++) {
        (void)virtio_queue(con->vd, rx_index(id), RX_BUFS, RX_QUEUE, port_callback, NULL, &con->rx[id]);
        (void)virtio_queue(con->vd, rx_index(id) + 1, 2, TX_QUEUE, port_callback, NULL, &con->tx[id]);
    }
}

static void tell_open_locked(struct port *p)
{
    if (p->told_open)
        return;
    p->told_open = true;
    send_control(p->con, p->id, MSG_PORT_OPEN, 1);
    kick_control(p->con);
}

static bool make_tx_locked(struct port *p)
{
    if (p->tx != NULL)
        return true;
    if (p->dead)
        return false;
    struct virtq *vq = p->con->tx[p->id];
    p->tx_ring = vq != NULL ? kmalloc(TX_BYTES, ALLOC_ATOMIC) : NULL;
    if (p->tx_ring == NULL) {
        p->dead = true;
        klog(LOG_ERROR, "%s: port %s: no output queue", p->con->vd->dev->name, p->dev.name);
        return false;
    }
    p->tx = vq;
    p->tx_ring_bytes = TX_BYTES;
    atomic_store(&vq->driver, p);
    virtq_quiet(vq);
    tell_open_locked(p);
    return true;
}

static void give_rx_locked(struct port *p, struct rx_buf *b)
{
    struct vq_seg seg = { virt_to_phys(b->data), p->rx_bytes };
    b->off = b->len = 0;
    virtq_add(p->rx, &seg, 0, 1, b);
}

/* `wanted` bytes at a time decide about the buffers; without memory for big ones they are small. */
static bool make_rx_locked(struct port *p, size_t wanted)
{
    if (p->rx != NULL)
        return true;
    if (p->dead)
        return false;
    struct virtq *vq = p->con->rx[p->id];
    bool bulk = wanted >= RX_BULK_BYTES && vq != NULL && !page_scarce();
    unsigned n = bulk ? vq->size : RX_BUFS;
    p->rx_bytes = bulk ? RX_BULK_BYTES : RX_BYTES;
    struct rx_buf *bufs = kmalloc(n * sizeof(*bufs), ALLOC_ATOMIC);
    u8 *data = kmalloc(n * p->rx_bytes, ALLOC_ATOMIC);
    if (bufs == NULL || data == NULL || vq == NULL) {
        kfree(bufs);
        kfree(data);
        p->dead = true;
        klog(LOG_ERROR, "%s: port %s: no input queue", p->con->vd->dev->name, p->dev.name);
        return false;
    }
    p->rx = vq;
    atomic_store(&vq->driver, p);
    p->rx_bufs = bufs;
    for (unsigned i = 0; i < n; i++) {
        bufs[i].data = data + i * p->rx_bytes;
        give_rx_locked(p, &bufs[i]);
    }
    /* In this order: QEMU does not look for input when a port opens, but when its driver gives buffers, and only of an open port. */
    tell_open_locked(p);
    virtio_kick(p->rx);
    return true;
}

/* --- output ------------------------------------------------------------------------- */

static void take_written_locked(struct port *p)
{
    /* Cookies are posting numbers + 1; a device may finish out of order, the ring is freed in order. */
    void *cookie;
    while ((cookie = virtq_pop(p->tx, NULL)) != NULL) {
        u32 slot = (u32)((uintptr_t)cookie - 1) % TX_QUEUE;
        p->tx_len[slot] |= 1u << 31;
        while (p->tx_finished != p->tx_posted && (p->tx_len[p->tx_finished % TX_QUEUE] >> 31) != 0) {
            p->tx_tail += p->tx_len[p->tx_finished % TX_QUEUE] & ~(1u << 31);
            p->tx_finished++;
        }
    }
    virtio_check(p->tx);
}

/* Somebody writes much at a time: a bigger ring, if the present one is empty and there is memory. */
static void grow_tx_locked(struct port *p)
{
    u8 *ring = page_scarce() ? NULL : kmalloc(TX_BULK_BYTES, ALLOC_ATOMIC);
    if (ring == NULL)
        return;
    kfree(p->tx_ring);
    p->tx_ring = ring;
    p->tx_ring_bytes = TX_BULK_BYTES;
}

static u32 tx_room(const struct port *p)
{
    return p->tx_posted - p->tx_finished >= p->tx->size ? 0 : p->tx_ring_bytes - (p->tx_head - p->tx_tail);
}

/* Copy and post one piece. Bytes taken. */
static u32 post_locked(struct port *p, const u8 *buf, size_t len)
{
    u32 at = p->tx_head % p->tx_ring_bytes;
    u32 n = (u32)MIN(MIN((size_t)tx_room(p), len), (size_t)(p->tx_ring_bytes - at));
    if (n == 0)
        return 0;
    memcpy(p->tx_ring + at, buf, n);
    struct vq_seg seg = { virt_to_phys(p->tx_ring + at), n };
    u32 number = p->tx_posted;
    if (virtq_add(p->tx, &seg, 1, 0, (void *)(uintptr_t)(number % TX_QUEUE + 1)) != 0)
        return 0;
    p->tx_len[number % TX_QUEUE] = n;
    p->tx_posted++;
    p->tx_head += n;
    p->dev.tx_bytes += n;
    return n;
}

static size_t port_write_locked(struct port *p, const void *buf, size_t len)
{
    if (!make_tx_locked(p))
        return len; /* nobody will ever take it */
    take_written_locked(p);
    if (unlikely(p->tx->broken != NULL))
        return len;
    if (len > p->tx_ring_bytes && p->tx_ring_bytes == TX_BYTES && p->tx_head == p->tx_tail)
        grow_tx_locked(p);
    const u8 *b = buf;
    size_t done = 0;
    u32 n;
    while (done < len && (n = post_locked(p, b + done, len - done)) > 0)
        done += n;
    virtio_kick(p->tx);
    return done;
}

static size_t port_write(struct chardev *c, const void *buf, size_t len)
{
    struct port *p = c->driver;
    spin_lock_bh(&p->lock);
    size_t done = port_write_locked(p, buf, len);
    if (done < len) { /* the device often finished inside the doorbell */
        const u8 *rest = (const u8 *)buf + done;
        done += port_write_locked(p, rest, len - done);
    }
    spin_unlock_bh(&p->lock);
    return done;
}

static bool port_can_write(struct chardev *c)
{
    struct port *p = c->driver;
    bool ok = true;
    spin_lock_bh(&p->lock);
    if (p->tx != NULL && p->tx->broken == NULL && tx_room(p) == 0) {
        p->tx_want = true;
        do {
            take_written_locked(p);
            ok = tx_room(p) > 0 || p->tx->broken != NULL;
        } while (!ok && !virtq_listen(p->tx, (u16)MAX(1, p->tx->in_flight / 2)));
    }
    spin_unlock_bh(&p->lock);
    return ok;
}

/* Everything gone? If not, an interrupt will come. */
static bool port_drained(struct port *p, u32 *ret_finished)
{
    bool done = true;
    spin_lock_bh(&p->lock);
    if (p->tx != NULL) {
        do {
            take_written_locked(p);
            done = p->tx->in_flight == 0 || p->tx->broken != NULL;
        } while (!done && !virtq_listen(p->tx, 1));
        p->draining = !done;
        *ret_finished = p->tx_finished;
    }
    spin_unlock_bh(&p->lock);
    return done;
}

static void port_drain(struct chardev *c)
{
    struct port *p = c->driver;
    u32 before = 0, now = 0;
    while (!port_drained(p, &now)) {
        u64 deadline = plat_now_ns() + DRAIN_STALL_NS;
        before = now;
        int err = wait_event_until(&c->wq, port_drained(p, &now) || now != before, deadline);
        if (err != 0 && now == before) {
            klog(LOG_WARN, "port %s: the host takes no more output", c->name);
            return;
        }
    }
}

static void port_close(struct chardev *c)
{
    struct port *p = c->driver;
    spin_lock_bh(&p->lock);
    if (p->told_open && p->rx == NULL) { /* with input open, the word would close that, too */
        p->told_open = false;
        send_control(p->con, p->id, MSG_PORT_OPEN, 0);
        kick_control(p->con);
    }
    spin_unlock_bh(&p->lock);
    if (chardev_closed != NULL)
        chardev_closed(c);
}

/* Panics: poll, and give up rather than wait for a lock that the dying code may hold. */
static void port_write_sync(struct chardev *c, const void *buf, size_t len)
{
    struct port *p = c->driver;
    const u8 *b = buf;
    if (p->tx == NULL || !spin_trylock(&p->lock))
        return;
    u64 deadline = plat_now_ns() + SYNC_WAIT_NS;
    while (p->tx->broken == NULL && plat_now_ns() < deadline) {
        take_written_locked(p);
        u32 n = len > 0 ? post_locked(p, b, len) : 0;
        b += n;
        len -= n;
        virtio_kick(p->tx);
        if (len == 0 && p->tx->in_flight == 0)
            break;
        plat_relax();
    }
    spin_unlock(&p->lock);
}

/* --- input ---------------------------------------------------------------------------- */

static void take_received_locked(struct port *p)
{
    struct rx_buf *b;
    u32 len;
    while ((b = virtq_pop(p->rx, &len)) != NULL) {
        if (len == 0) {
            give_rx_locked(p, b);
            continue;
        }
        b->len = len;
        list_push_back(&p->filled, &b->node);
    }
    virtio_check(p->rx);
}

static size_t port_read(struct chardev *c, void *buf, size_t len)
{
    struct port *p = c->driver;
    u8 *dst = buf;
    size_t done = 0;
    bool returned = false;
    spin_lock_bh(&p->lock);
    if (make_rx_locked(p, len)) {
        take_received_locked(p);
        while (done < len && !list_empty(&p->filled)) {
            struct rx_buf *b = list_first(&p->filled, struct rx_buf, node);
            u32 n = (u32)MIN((size_t)(b->len - b->off), len - done);
            memcpy(dst + done, b->data + b->off, n);
            done += n;
            b->off += n;
            if (b->off == b->len) {
                list_remove(&b->node);
                give_rx_locked(p, b);
                returned = true;
            }
        }
        if (returned)
            virtio_kick(p->rx);
    }
    spin_unlock_bh(&p->lock);
    if (done > 0)
        chardev_received(c, done);
    return done;
}

static bool port_can_read(struct chardev *c)
{
    struct port *p = c->driver;
    bool ok = false;
    spin_lock_bh(&p->lock);
    if (make_rx_locked(p, 0)) {
        do
            take_received_locked(p);
        while (list_empty(&p->filled) && !virtq_listen(p->rx, 1) && p->rx->broken == NULL);
        ok = !list_empty(&p->filled);
    }
    spin_unlock_bh(&p->lock);
    return ok;
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

static void port_bh(struct bh *bh)
{
    struct port *p = container_of(bh, struct port, bh);
    u32 events = 0;
    spin_lock(&p->lock);
    if (p->rx != NULL) {
        do
            take_received_locked(p);
        while (!virtq_listen(p->rx, 1) && p->rx->broken == NULL);
        if (!list_empty(&p->filled))
            events |= POLLIN;
    }
    if (p->tx != NULL) { /* whoever waits looks again, and asks for the next interrupt if need be */
        take_written_locked(p);
        if (p->draining || p->tx_want)
            events |= POLLOUT;
        p->draining = p->tx_want = false;
        virtq_quiet(p->tx);
    }
    spin_unlock(&p->lock);
    if (events != 0)
        wq_wake(&p->dev.wq, events);
}

/* --- the device -------------------------------------------------------------------------- */

static struct port *port_at(struct console *con, u32 id) { return id < con->max_ports ? con->ports[id] : NULL; }

static struct port *add_port(struct console *con, u32 id)
{
    struct port *p = kmalloc(sizeof(*p), ALLOC_ZERO | ALLOC_ATOMIC);
    if (p == NULL) {
        klog(LOG_ERROR, "%s: no memory for port %u", con->vd->dev->name, id);
        return NULL;
    }
    p->con = con;
    p->id = id;
    spin_init(&p->lock, "port");
    list_init(&p->filled);
    bh_init(&p->bh, port_bh);
    p->dev.ops = &port_ops;
    p->dev.driver = p;
    wq_init(&p->dev.wq, "port");
    con->ports[id] = p;
    return p;
}

static void name_port(struct console *con, struct port *p, const u8 *name, u32 len)
{
    if (p->named)
        return;
    len = (u32)strnlen((const char *)name, MIN(len, (u32)sizeof(p->dev.name) - 1));
    memcpy(p->dev.name, name, len);
    p->dev.name[len] = '\0';
    p->named = true;
    chardev_register(&p->dev);
}

static void set_host_open(struct port *p, bool open)
{
    atomic_store(&p->dev.host_open, open);
    if (open)
        p->dev.host_was_open = true;
    wq_wake_all(&p->dev.wq, 0);
}

static void handle_control(struct console *con, const u8 *msg, u32 len)
{
    if (len < sizeof(struct control_msg))
        return;
    u32 id = get_u32(msg);
    u16 event = get_u16(msg + 4), value = get_u16(msg + 6);
    if (id >= con->max_ports)
        return;
    struct port *p = port_at(con, id);
    switch (event) {
    case MSG_DEVICE_ADD:
        if (p == NULL && add_port(con, id) != NULL)
            send_control(con, id, MSG_PORT_READY, 1);
        else if (p == NULL)
            send_control(con, id, MSG_PORT_READY, 0);
        break;
    case MSG_PORT_NAME:
        if (p != NULL)
            name_port(con, p, msg + sizeof(struct control_msg), len - (u32)sizeof(struct control_msg));
        break;
    case MSG_PORT_OPEN:
        if (p != NULL)
            set_host_open(p, value != 0);
        break;
    case MSG_DEVICE_REMOVE: /* the chardev stays, closed from the host's side */
        if (p != NULL)
            set_host_open(p, false);
        break;
    default: /* CONSOLE_PORT, RESIZE: the control port of init/ carries window sizes */
        break;
    }
}

static void give_ctl(struct console *con, u8 *buf)
{
    struct vq_seg seg = { virt_to_phys(buf), CTL_IN_BYTES };
    virtq_add(con->ctl_in, &seg, 0, 1, buf);
}

/* Everything we said was consumed, and hosts answer before they consume: all ports
 * that exist now are known. True = nothing more to wait for. */
static bool settle(struct console *con)
{
    if (con->settled)
        return true;
    spin_lock(&con->ctl_lock);
    take_sent_locked(con);
    bool idle = con->ctl_out_used == 0;
    bool wait = !idle && virtq_listen(con->ctl_out, 1);
    if (idle)
        virtq_quiet(con->ctl_out);
    spin_unlock(&con->ctl_lock);
    if (!idle)
        return wait;
    if (virtq_pending(con->ctl_in))
        return false;
    con->settled = true;
    atomic_sub(&chardev_pending, 1u);
    wq_wake_all(&chardev_added, 0);
    return true;
}

static void console_bh(struct bh *bh)
{
    struct console *con = container_of(bh, struct console, bh);
    /* A device that talks without end is served in rounds. */
    for (unsigned round = 0; round < 8; round++) {
        u8 *buf;
        u32 len;
        virtq_quiet(con->ctl_in);
        for (unsigned n = 0; n < CTL_QUEUE && (buf = virtq_pop(con->ctl_in, &len)) != NULL; n++) {
            u8 copy[CTL_IN_BYTES];
            memcpy(copy, buf, len);
            give_ctl(con, buf);
            handle_control(con, copy, len);
        }
        if (virtio_check(con->ctl_in))
            return;
        virtio_kick(con->ctl_in);
        kick_control(con);
        if (!virtq_pending(con->ctl_in) && settle(con) && virtq_listen(con->ctl_in, 1))
            return;
    }
    bh_raise(&con->bh);
}

static void ctl_callback(struct virtq *vq)
{
    struct console *con = vq->driver;
    bh_raise(&con->bh);
}

static int start_multiport(struct console *con)
{
    struct virtio_dev *vd = con->vd;
    con->max_ports = MIN(virtio_config32(vd, CONFIG_MAX_PORTS), (u32)MAX_PORTS);
    con->ctl_in_bufs = kmalloc(CTL_QUEUE * CTL_IN_BYTES, 0);
    con->ctl_out_bufs = kmalloc(CTL_QUEUE * sizeof(struct control_msg), 0);
    if (con->ctl_in_bufs == NULL || con->ctl_out_bufs == NULL)
        return -ENOMEM;
    int err = virtio_queue(vd, 2, 2, CTL_QUEUE, ctl_callback, con, &con->ctl_in);
    if (err == 0)
        err = virtio_queue(vd, 3, 2, CTL_QUEUE, ctl_callback, con, &con->ctl_out);
    if (err != 0)
        return err;
    make_queues(con);
    virtq_quiet(con->ctl_out);
    virtq_quiet(con->ctl_in); /* until the first look */
    for (unsigned i = 0; i < con->ctl_in->size; i++)
        give_ctl(con, con->ctl_in_bufs + i * CTL_IN_BYTES);
    /* Our first word is queued before the device may interrupt: QEMU does so at once when it looks at its queues
     * in a thread of its own, and a bottom half that finds nothing said and nothing to hear takes that for the end
     * of the conversation. */
    atomic_add(&chardev_pending, 1u);
    send_control(con, 0, MSG_DEVICE_READY, 1);
    virtio_ready(vd);
    virtio_kick(con->ctl_in);
    kick_control(con);
    /* Often all of the conversation is already there: have it now. */
    bh_disable();
    bh_raise(&con->bh);
    bh_enable();
    return 0;
}

static int console_probe(struct virtio_dev *vd)
{
    int err = virtio_start(vd, F_MULTIPORT);
    if (err != 0)
        return err;
    struct console *con = kzalloc(sizeof(*con));
    if (con == NULL)
        return -ENOMEM;
    con->vd = vd;
    spin_init(&con->ctl_lock, "console_ctl");
    bh_init(&con->bh, console_bh);
    if (virtio_has(vd, F_MULTIPORT)) {
        err = start_multiport(con);
    } else {
        con->max_ports = 1;
        make_queues(con);
        virtio_ready(vd);
        struct port *p = add_port(con, 0);
        if (p == NULL)
            return -ENOMEM;
        p->told_open = true;
        p->dev.host_open = p->dev.host_was_open = true;
        name_port(con, p, (const u8 *)"hvc0", 4);
    }
    if (err != 0) {
        klog(LOG_ERROR, "%s: virtio-console: error %d", vd->dev->name, -err);
        virtio_stop(vd);
        virtio_free_queues(vd);
        kfree(con->ctl_in_bufs);
        kfree(con->ctl_out_bufs);
        kfree(con);
    }
    return err;
}

const struct virtio_driver virtio_console_driver = {
    .name = "virtio-console", .type = VIRTIO_ID_CONSOLE, .probe = console_probe
};
