/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network card: a descriptor of Linux that carries Ethernet frames.
 *
 *   HOST_TAP     one frame a call:   | struct vnet_hdr 12 | frame |
 *   HOST_FRAMES  a byte stream:      | length 4, big-endian | frame | length | frame ...
 *
 * Receive. A frame of a TAP is read straight into packets: the buffers of the next one lie ready, a small packet
 * and, where large frames were agreed on, ever larger ones behind it, which grow to 64 KiB; untouched pages cost
 * nothing. What a frame used is replaced before the frame goes up; without memory for that the frame is
 * dropped and its buffers stay, so there always are some. A stream is read in large pieces, and small frames
 * are copied out of them (frames.h). The source's event raises the bottom half, which reads until EAGAIN, RX_BUDGET
 * frames a round. Sources are asked by level, so nothing is lost between the last read and going idle.
 *
 * Transmit. Packets wait in `tx_queue` until the stack knocks; then each is written from where it lies, its prefix
 * from pkt.cb: a call for each frame of a TAP, for as many as it takes on a stream. EAGAIN stops the queue until
 * POLLOUT comes. A stream may take part of a frame: `tx_off` bytes of the queue's first are gone.
 *
 * Without a filter the descriptor passes every frame, so groups need none.
 *
 * A stream that ends, or is none, and a TAP that is taken away, are a link that is down for good.
 *
 * Locks (bottom halves): rx_lock, only ever tried by pollers, held while the stack takes the packets; tx_lock for
 * the transmit side. rx_lock may be held when tx_lock is taken, not the other way round.
 */
#include "device.h"

#include "base/bytes.h"
#include "base/str.h"
#include "frames.h"
#include "kern/bh.h"
#include "kern/lock.h"
#include "kern/log.h"
#include "kern/netdev.h"
#include "kern/slab.h"
#include "kern/vnet_hdr.h"

/* In front of a received frame, so that the IP header is 4-aligned and a reply's headers fit. */
#define RX_HEADROOM 18u
#define RX_SMALL (PKT_SMALL_ROOM - RX_HEADROOM)
#define RX_PARTS 6u
#define RX_BUDGET 64u
#define STREAM_BYTES (64u << 10)
#define FRAME_MAX (1500u + 14 + 4) /* on a stream: our MTU behind a header with a VLAN tag */
#define TX_IOVS 64u
#define TX_MAX_QUEUED 512u

/* Bytes of part i of a frame; together a little more than the largest frame. */
static const u32 rx_part_bytes[RX_PARTS] = { RX_SMALL, 4096, 4096, 8192, 16384, 32768 };
_Static_assert(1500 + 4096 + 4096 + 8192 + 16384 + 32768 > 65535 + 14 + 4, "the largest frame fits");

struct card {
    struct netdev dev;
    struct host_source source;
    struct bh bh;
    bool stream;                    /* HOST_FRAMES; constant */
    u32 prefix;                     /* bytes in front of each frame; constant */
    u32 gso_allowed;                /* 1 << enum pkt_gso, received; constant */
    bool running;                   /* rx_lock and tx_lock */
    u32 gone;                       /* atomic: the host's side is no more */

    struct spinlock rx_lock;
    unsigned rx_parts;              /* constant: TAP, how many of the following are used */
    struct pkt *rx[RX_PARTS];
    struct host_iovec rx_iov[1 + RX_PARTS];
    struct vnet_hdr rx_hdr;
    struct frame_stream rx_stream;

    struct spinlock tx_lock;
    struct list tx_queue;
    u32 tx_queued, tx_off;
    bool tx_stopped;                /* EAGAIN; POLLOUT is asked for */
};

/* --- receive: TAP ----------------------------------------------------------------- */

static struct pkt *rx_part_alloc(unsigned i) { return pkt_alloc(i == 0 ? RX_HEADROOM : 0, rx_part_bytes[i]); }

static void rx_part_set(struct card *c, unsigned i, struct pkt *p)
{
    c->rx[i] = p;
    c->rx_iov[1 + i] = (struct host_iovec){ p->data, rx_part_bytes[i] };
}

/* The frame of len bytes that the buffers hold, new ones in their place. NULL = no memory: they stay. */
static struct pkt *tap_take(struct card *c, u32 len)
{
    struct pkt *fresh[RX_PARTS];
    unsigned n = 0;
    for (u32 room = 0; room < len || n == 0; room += rx_part_bytes[n++]) {
        fresh[n] = rx_part_alloc(n);
        if (fresh[n] == NULL) {
            while (n > 0)
                pkt_free(fresh[--n]);
            return NULL;
        }
    }
    struct pkt *first = c->rx[0], *last = NULL;
    first->total_len = len;
    for (unsigned i = 0; i < n; i++) {
        struct pkt *p = c->rx[i];
        p->len = MIN(len, rx_part_bytes[i]);
        len -= p->len;
        if (last != NULL)
            last->more = p;
        last = p;
        rx_part_set(c, i, fresh[i]);
    }
    return first;
}

static void count_received(struct card *c, struct pkt *p)
{
    p->dev = &c->dev;
    c->dev.stats.rx_packets++;
    c->dev.stats.rx_bytes += p->total_len;
}

/* 1 = a frame was taken in, *ret is it, or stays NULL (dropped, counted); 0 = none now; -errno = there will be none. */
static int tap_receive(struct card *c, struct pkt **ret)
{
    u32 room = 0;
    for (unsigned i = 0; i < c->rx_parts; i++)
        room += rx_part_bytes[i];
    long r = host_readv(c->source.fd, c->rx_iov, 1 + c->rx_parts);
    if (r == -EAGAIN)
        return 0;
    bool odd = r == -EINVAL || r == -ENOMEM; /* Linux has dropped it */
    if (r <= 0 && !odd)
        return r < 0 ? (int)r : -EPIPE;
    if (odd || r <= VNET_HDR_LEN || r - VNET_HDR_LEN >= room) { /* nothing in it, or more than fits */
        c->dev.stats.rx_errors++;
        return 1;
    }
    struct pkt *p = tap_take(c, (u32)r - VNET_HDR_LEN);
    if (p == NULL) {
        c->dev.stats.rx_dropped++;
        return 1;
    }
    if (!vnet_hdr_take(&c->rx_hdr, p, c->gso_allowed)) {
        c->dev.stats.rx_errors++;
        pkt_free(p);
        return 1;
    }
    count_received(c, p);
    *ret = p;
    return 1;
}

/* --- receive: stream --------------------------------------------------------------- */

/* As tap_receive(). */
static int stream_receive(struct card *c, struct pkt **ret)
{
    const u8 *frame;
    int len;
    while ((len = frames_next(&c->rx_stream, &frame)) == 0) {
        u32 room;
        u8 *to = frames_room(&c->rx_stream, &room);
        long r = host_read(c->source.fd, to, room);
        if (r == -EAGAIN)
            return 0;
        if (r <= 0)
            return r < 0 ? (int)r : -EPIPE;
        frames_added(&c->rx_stream, (u32)r);
    }
    if (len < 0)
        return len;
    struct pkt *p = pkt_alloc(RX_HEADROOM, (u32)len);
    *ret = p;
    if (p == NULL) {
        c->dev.stats.rx_dropped++;
        return 1;
    }
    memcpy(pkt_put(p, (u32)len), frame, (u32)len);
    count_received(c, p);
    return 1;
}

/* --- receive: both ------------------------------------------------------------------ */

/* Once there is nothing more to be had of the descriptor. The bottom half tells the stack. */
static void set_gone(struct card *c, int err)
{
    if (atomic_xchg(&c->gone, 1u) != 0)
        return;
    host_source_want(&c->source, 0, HOST_POLLIN | HOST_POLLOUT);
    klog(LOG_WARN, "%s: the host's side of the network %s: the link is down", c->dev.name,
         err == -EPROTO ? "sends no frames" : "is gone");
    bh_raise(&c->bh);
}

static unsigned card_poll(struct card *c, unsigned budget)
{
    struct netdev *d = &c->dev;
    unsigned n = 0;
    if (!spin_trylock(&c->rx_lock))
        return 0;
    while (c->running && n < budget && atomic_load_relaxed(&c->gone) == 0) {
        struct pkt *p = NULL;
        int r = c->stream ? stream_receive(c, &p) : tap_receive(c, &p);
        if (r < 0)
            set_gone(c, r);
        if (r <= 0)
            break;
        n++;
        if (p != NULL)
            d->input(d, p);
    }
    spin_unlock(&c->rx_lock);
    if (n > 0 && d->input_done != NULL)
        d->input_done(d, n >= budget);
    return n;
}

/* --- transmit ------------------------------------------------------------------------- */

/* The pieces of p with its prefix, without the first `skip` bytes. Returns how many, or 0 when they are more than max. */
static unsigned tx_pieces(const struct card *c, struct pkt *p, u32 skip, struct host_iovec *iov, unsigned max)
{
    unsigned n = 0;
    if (skip < c->prefix) {
        if (max == 0)
            return 0;
        iov[n++] = (struct host_iovec){ (u8 *)p->cb + skip, c->prefix - skip };
        skip = 0;
    } else {
        skip -= c->prefix;
    }
    for (const struct pkt *q = p; q != NULL; q = q->more) {
        if (skip >= q->len) {
            skip -= q->len;
            continue;
        }
        if (n == max)
            return 0;
        iov[n++] = (struct host_iovec){ q->data + skip, q->len - skip };
        skip = 0;
    }
    return n;
}

static void tx_take_first_locked(struct card *c, struct list *done)
{
    list_push_back(done, list_pop_front(&c->tx_queue));
    c->tx_queued--;
    c->tx_off = 0;
}

/* So many bytes went out. */
static void tx_written_locked(struct card *c, u64 n, struct list *done)
{
    while (n > 0) {
        struct pkt *p = list_first(&c->tx_queue, struct pkt, node);
        u32 left = c->prefix + p->total_len - c->tx_off;
        if (n < left) {
            c->tx_off += (u32)n;
            return;
        }
        n -= left;
        c->dev.stats.tx_packets++;
        c->dev.stats.tx_bytes += p->total_len;
        tx_take_first_locked(c, done);
    }
}

/* One call. 0, or why no more can be sent now. */
static int tx_write_locked(struct card *c, struct list *done)
{
    struct host_iovec iov[TX_IOVS];
    unsigned n = 0;
    u32 off = c->tx_off;
    list_for_each(p, &c->tx_queue, struct pkt, node) {
        unsigned pieces = tx_pieces(c, p, off, iov + n, TX_IOVS - n);
        n += pieces;
        off = 0;
        if (pieces == 0 || !c->stream)
            break;
    }
    long r = host_writev(c->source.fd, iov, n);
    if (r > 0)
        tx_written_locked(c, (u64)r, done);
    else if (r == -EAGAIN || c->stream)
        return r == 0 ? -EPIPE : (int)r;
    else { /* the interface is down, or does not like this one */
        c->dev.stats.tx_errors++;
        tx_take_first_locked(c, done);
    }
    return 0;
}

static void tx_flush_locked(struct card *c, struct list *done)
{
    int err = 0;
    while (err == 0 && !c->tx_stopped && !list_empty(&c->tx_queue))
        err = tx_write_locked(c, done);
    if (err == -EAGAIN) {
        c->tx_stopped = true;
        host_source_want(&c->source, HOST_POLLOUT, 0);
    } else if (err != 0) {
        set_gone(c, err);
    }
}

/* p, or a copy of fewer pieces, with its prefix; NULL = cannot be sent. Takes p over. */
static struct pkt *tx_prepare(const struct card *c, struct pkt *p)
{
    unsigned pieces = 1;
    for (const struct pkt *q = p; q != NULL; q = q->more)
        pieces++;
    if (unlikely(pieces > TX_IOVS)) {
        struct pkt *one = pkt_flatten(p, 0);
        pkt_free(p);
        if (one == NULL)
            return NULL;
        p = one;
    }
    if (c->stream)
        put_be32(p->cb, p->total_len);
    else
        vnet_hdr_fill((struct vnet_hdr *)p->cb, p);
    return p;
}

static int card_transmit(struct netdev *d, struct pkt *p)
{
    struct card *c = d->driver;
    p = tx_prepare(c, p);
    spin_lock(&c->tx_lock);
    bool ok = p != NULL && c->running && c->tx_queued < TX_MAX_QUEUED && atomic_load_relaxed(&c->gone) == 0;
    if (likely(ok)) {
        list_push_back(&c->tx_queue, &p->node);
        c->tx_queued++;
    } else {
        d->stats.tx_dropped++;
    }
    spin_unlock(&c->tx_lock);
    if (ok)
        return 0;
    pkt_free(p);
    return -ENOBUFS;
}

static void card_kick(struct netdev *d, unsigned queue)
{
    struct card *c = d->driver;
    struct list done = LIST_INIT(done);
    spin_lock_bh(&c->tx_lock);
    tx_flush_locked(c, &done);
    spin_unlock_bh(&c->tx_lock);
    pkt_list_free(&done);
}

static bool card_idle(struct netdev *d)
{
    struct card *c = d->driver;
    spin_lock_bh(&c->tx_lock);
    bool idle = list_empty(&c->tx_queue);
    spin_unlock_bh(&c->tx_lock);
    return idle;
}

/* --- events ------------------------------------------------------------------------------ */

/* What a stream has begun to send must go on, or its reader loses his place. */
static void tx_drop_waiting(struct card *c)
{
    struct list done = LIST_INIT(done);
    spin_lock_bh(&c->tx_lock);
    struct list *begun = c->tx_off > 0 && atomic_load_relaxed(&c->gone) == 0 ? list_pop_front(&c->tx_queue) : NULL;
    list_splice_back(&done, &c->tx_queue);
    if (begun != NULL)
        list_push_back(&c->tx_queue, begun);
    else
        c->tx_off = 0;
    c->dev.stats.tx_dropped += c->tx_queued - (begun != NULL);
    c->tx_queued = begun != NULL;
    spin_unlock_bh(&c->tx_lock);
    pkt_list_free(&done);
}

static void link_down(struct card *c)
{
    tx_drop_waiting(c);
    if (!c->dev.link_up)
        return;
    c->dev.link_up = false;
    if (c->dev.link_changed != NULL)
        c->dev.link_changed(&c->dev);
}

static void card_bh(struct bh *bh)
{
    struct card *c = container_of(bh, struct card, bh);
    if (atomic_load(&c->gone) != 0) {
        link_down(c);
        return;
    }
    struct list done = LIST_INIT(done);
    spin_lock(&c->tx_lock);
    if (c->tx_stopped) {
        c->tx_stopped = false;
        host_source_want(&c->source, 0, HOST_POLLOUT);
        tx_flush_locked(c, &done);
    }
    spin_unlock(&c->tx_lock);
    pkt_list_free(&done);
    if (card_poll(c, RX_BUDGET) >= RX_BUDGET)
        bh_raise(bh);
}

static void card_event(void *arg)
{
    struct card *c = arg;
    bh_raise(&c->bh);
}

/* --- open and stop ------------------------------------------------------------------------ */

static void release(struct card *c)
{
    for (unsigned i = 0; i < RX_PARTS; i++) {
        pkt_free(c->rx[i]);
        c->rx[i] = NULL;
    }
    tx_drop_waiting(c);
}

static int make_buffers(struct card *c)
{
    if (c->rx_stream.buf != NULL) /* opened before: it holds what came last */
        return 0;
    if (c->stream) {
        c->rx_stream = (struct frame_stream){ .buf = kmalloc(STREAM_BYTES, 0), .size = STREAM_BYTES, .max = FRAME_MAX };
        return c->rx_stream.buf != NULL ? 0 : -ENOMEM;
    }
    c->rx_iov[0] = (struct host_iovec){ &c->rx_hdr, VNET_HDR_LEN };
    for (unsigned i = 0; i < c->rx_parts; i++) {
        struct pkt *p = rx_part_alloc(i);
        if (p == NULL)
            return -ENOMEM;
        rx_part_set(c, i, p);
    }
    return 0;
}

static void set_running(struct card *c, bool running)
{
    spin_lock_bh(&c->rx_lock);
    spin_lock(&c->tx_lock);
    c->running = running;
    spin_unlock(&c->tx_lock);
    spin_unlock_bh(&c->rx_lock);
}

static int card_open(struct netdev *d)
{
    struct card *c = d->driver;
    int err = make_buffers(c);
    if (err != 0) {
        release(c);
        return err;
    }
    set_running(c, true);
    if (atomic_load(&c->gone) == 0)
        host_source_want(&c->source, HOST_POLLIN, 0);
    return 0;
}

static void card_stop(struct netdev *d)
{
    struct card *c = d->driver;
    set_running(c, false);
    host_source_want(&c->source, 0, HOST_POLLIN | HOST_POLLOUT);
    release(c);
}

static const struct netdev_ops card_ops = {
    .open = card_open,
    .stop = card_stop,
    .transmit = card_transmit,
    .kick = card_kick,
    .idle = card_idle,
};

int host_net_add(const struct host_device *h)
{
    struct card *c = kzalloc(sizeof(*c));
    if (c == NULL)
        return -ENOMEM;
    bool tso = (h->flags & HOST_TSO) != 0;
    c->stream = h->kind == HOST_FRAMES;
    c->prefix = c->stream ? FRAME_PREFIX : VNET_HDR_LEN;
    c->gso_allowed = tso ? 1u << PKT_GSO_TCP4 | 1u << PKT_GSO_TCP6 : 0;
    c->rx_parts = tso ? RX_PARTS : 1;
    spin_init(&c->rx_lock, "host_net_rx");
    spin_init(&c->tx_lock, "host_net_tx");
    list_init(&c->tx_queue);
    bh_init(&c->bh, card_bh);
    c->source = (struct host_source){ .fd = (int)h->fd, .needs_tick = true, .fn = card_event, .arg = c };
    int err = host_source_add(&c->source);
    if (err != 0) {
        kfree(c);
        return err;
    }
    struct netdev *d = &c->dev;
    d->ops = &card_ops;
    d->driver = c;
    d->link_up = true;
    d->sieve = c->stream ? NULL : host_sieve();
    d->mtu = MIN(h->mtu, 1500u); /* larger ones are not worth larger buffers */
    memcpy(d->mac, h->mac, sizeof(d->mac));
    if (tso)
        d->features = NETDEV_TX_CSUM | NETDEV_TX_TSO4 | NETDEV_TX_TSO6 | NETDEV_RX_CSUM | NETDEV_RX_GRO;
    netdev_register(d);
    return 0;
}
