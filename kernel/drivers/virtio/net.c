/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-net (virtio 1.2, section 5.1): one receive and one transmit queue,
 * mergeable receive buffers, checksum and segmentation offload both ways.
 *
 *   frame in memory:  | virtio_net_hdr 12 | Ethernet header | ...
 *
 * The card is untouched until open(); features are chosen at probe from what is
 * offered, so the stack knows them before.
 *
 * Receive. Buffers are small packets (kern/pkt.h) with the header in front of
 * the data; a large frame is a chain of them. `rx_target` of them are posted: few
 * at first, twice as many whenever the device had used most of them up, at most
 * the ring. An interrupt raises the bottom half, which polls with interrupts off
 * until a round finds less than its budget. A buffer that cannot be allocated is
 * retried by a timer, so that a moment without memory does not stop the card.
 *
 * Transmit. A packet is posted in place, its header in the first view's headroom if
 * nobody shares that storage, else in one of a few spare ones. Finished packets are
 * freed by the next transmit or kick, and by a timer when none follows.
 * When the ring is full packets wait in `tx_wait`, and the device is asked for an
 * interrupt when part of the ring is free again.
 *
 * Locks (bottom halves): rx_lock for the receive queue, only ever tried by
 * pollers, held while the stack takes the packets; tx_lock for the transmit queue. rx_lock
 * may be held when tx_lock is taken, not the other way round.
 */
#include "base/str.h"
#include "kern/bh.h"
#include "kern/drivers.h"
#include "kern/log.h"
#include "kern/netdev.h"
#include "kern/page.h"
#include "kern/random.h"
#include "kern/slab.h"
#include "kern/timer.h"
#include "kern/vnet_hdr.h"
#include "virtio.h"

#define F_CSUM (1ULL << 0)
#define F_GUEST_CSUM (1ULL << 1)
#define F_MTU (1ULL << 3)
#define F_MAC (1ULL << 5)
#define F_GUEST_TSO4 (1ULL << 7)
#define F_HOST_TSO4 (1ULL << 11)
#define F_HOST_TSO6 (1ULL << 12)
#define F_MRG_RXBUF (1ULL << 15)
#define F_STATUS (1ULL << 16)

#define CONFIG_MAC 0
#define CONFIG_STATUS 6
#define CONFIG_MTU 10
#define STATUS_LINK_UP 1u

/* In front of a received frame, so that the IP header is 4-aligned and a reply's headers fit. */
#define RX_HEADROOM 18u
#define RX_BYTES (PKT_SMALL_ROOM - RX_HEADROOM)
#define RX_TARGET_TSO 48u /* holds any 64 KiB frame: a card that needs more than is posted waits for good */
#define RX_TARGET_PLAIN 16u
_Static_assert(RX_TARGET_TSO * (2048u - 320u) > 65535 + 14 + VNET_HDR_LEN, "the largest frame fits");
#define RX_BUDGET 64u
#define TX_MAX_SEGS 40u
#define TX_SPARE_HDRS 16u
#define TX_MAX_WAITING 512u
#define RETRY_NS (10 * NSEC_PER_MSEC)

struct vnet {
    struct netdev dev;
    struct virtio_dev *vd;
    u64 wanted;               /* features; constant */
    struct bh bh;
    struct ktimer timer;      /* retries refills, frees what was sent last */
    u32 config_pending;       /* atomic */
    bool running;             /* rx_lock and tx_lock */

    struct spinlock rx_lock;
    struct virtq *rx;
    u32 rx_target;

    struct spinlock tx_lock;
    struct virtq *tx;
    struct list tx_wait;
    u32 tx_waiting;
    u32 spare_used;           /* bit = spare header with the device */
    struct vnet_hdr *spare;
};

/* tx_lock held: it is what orders the starts of the timer. */
static void arm_timer_locked(struct vnet *v)
{
    if (!ktimer_armed(&v->timer))
        ktimer_start(&v->timer, now_ns() + RETRY_NS);
}

static void arm_timer(struct vnet *v)
{
    spin_lock_bh(&v->tx_lock);
    if (v->running)
        arm_timer_locked(v);
    spin_unlock_bh(&v->tx_lock);
}

/* --- receive ----------------------------------------------------------------------- */

static bool refill_locked(struct vnet *v)
{
    while (v->rx->in_flight < v->rx_target) {
        struct pkt *p = pkt_alloc(RX_HEADROOM, RX_BYTES);
        if (p == NULL)
            return false;
        struct vq_seg seg = { virt_to_phys(p->data), RX_BYTES };
        if (virtq_add(v->rx, &seg, 0, 1, p) != 0) {
            pkt_free(p);
            return v->rx->broken == NULL; /* full: small ring */
        }
    }
    return true;
}

/* The frame that starts in p. NULL = none (counted). */
static struct pkt *receive_one_locked(struct vnet *v, struct pkt *p, u32 len)
{
    struct vnet_hdr h;
    if (len < VNET_HDR_LEN)
        goto bad;
    memcpy(&h, p->data, VNET_HDR_LEN);
    p->data += VNET_HDR_LEN;
    p->len = p->total_len = len - VNET_HDR_LEN;
    if (virtio_has(v->vd, F_MRG_RXBUF) && h.num_buffers != 1) {
        struct pkt *last = p;
        if (h.num_buffers == 0)
            goto bad;
        for (unsigned i = 1; i < h.num_buffers; i++) {
            struct pkt *more = virtq_pop(v->rx, &len);
            if (more == NULL)
                goto bad;
            more->len = len;
            last->more = more;
            last = more;
            p->total_len += len; /* at most the ring's worth: no overflow */
        }
    }
    if (!vnet_hdr_take(&h, p, virtio_has(v->vd, F_GUEST_TSO4) ? 1u << PKT_GSO_TCP4 : 0))
        goto bad;
    p->dev = &v->dev;
    v->dev.stats.rx_packets++;
    v->dev.stats.rx_bytes += p->total_len;
    return p;
bad:
    v->dev.stats.rx_errors++;
    pkt_free(p);
    return NULL;
}

static unsigned vnet_poll(struct netdev *d, unsigned budget)
{
    struct vnet *v = d->driver;
    unsigned n = 0;
    if (!spin_trylock(&v->rx_lock))
        return 0;
    if (v->running) {
        struct pkt *p;
        u32 len;
        while (n < budget && (p = virtq_pop(v->rx, &len)) != NULL) {
            n++;
            p = receive_one_locked(v, p, len);
            if (p != NULL)
                d->input(d, p);
        }
        if (n > 0) {
            if (v->rx->in_flight < v->rx_target / 4 && v->rx_target < v->rx->size)
                v->rx_target = MIN(2 * v->rx_target, (u32)v->rx->size);
            if (!refill_locked(v))
                arm_timer(v);
            virtio_kick(v->rx);
        }
        virtio_check(v->rx);
    }
    spin_unlock(&v->rx_lock);
    if (n > 0 && d->input_done != NULL)
        d->input_done(d);
    return n;
}

/* --- transmit ----------------------------------------------------------------------- */

/* Finished packets move to `done`; the caller frees them without the lock. */
static void reclaim_tx_locked(struct vnet *v, struct list *done)
{
    struct pkt *p;
    while ((p = virtq_pop(v->tx, NULL)) != NULL) {
        if (p->cb[0] != 0)
            v->spare_used &= ~(1u << (p->cb[0] - 1));
        list_push_back(done, &p->node);
    }
    virtio_check(v->tx);
}

/* 0, -ENOSPC (no room in the ring now), -EINVAL (cannot be sent), -EIO. */
static int post_tx_locked(struct vnet *v, struct pkt *p)
{
    struct vq_seg segs[TX_MAX_SEGS];
    unsigned n = 0;
    p->cb[0] = 0;
    struct vnet_hdr *h;
    bool in_front = pkt_headroom(p) >= VNET_HDR_LEN && pkt_is_exclusive(p);
    if (in_front) {
        h = (struct vnet_hdr *)(void *)(p->data - VNET_HDR_LEN);
        segs[n++] = (struct vq_seg){ virt_to_phys(h), VNET_HDR_LEN + p->len };
    } else {
        unsigned slot = (unsigned)__builtin_ffs((int)~v->spare_used);
        if (slot == 0 || slot > TX_SPARE_HDRS)
            return -ENOSPC;
        h = &v->spare[slot - 1];
        p->cb[0] = slot;
        segs[n++] = (struct vq_seg){ virt_to_phys(h), VNET_HDR_LEN };
    }
    vnet_hdr_fill(h, p);
    for (struct pkt *q = in_front ? p->more : p; q != NULL; q = q->more) {
        if (q->len == 0)
            continue;
        if (n == TX_MAX_SEGS)
            return -EINVAL;
        segs[n++] = (struct vq_seg){ virt_to_phys(q->data), q->len };
    }
    if (n > v->tx->size)
        return -EINVAL;
    int err = virtq_add(v->tx, segs, n, 0, p);
    if (err != 0)
        return err;
    if (p->cb[0] != 0)
        v->spare_used |= 1u << (p->cb[0] - 1);
    v->dev.stats.tx_packets++;
    v->dev.stats.tx_bytes += p->total_len;
    return 0;
}

/* Ask to be told when a good part of the ring is free again; false = it is already. */
static bool wait_for_room_locked(struct vnet *v)
{
    return virtq_listen(v->tx, (u16)MAX(1, v->tx->in_flight * 3 / 4));
}

static int vnet_transmit(struct netdev *d, struct pkt *p)
{
    struct vnet *v = d->driver;
    struct list done = LIST_INIT(done);
    struct pkt *drop = NULL;
    spin_lock(&v->tx_lock);
    if (unlikely(!v->running)) {
        drop = p;
        goto out;
    }
    reclaim_tx_locked(v, &done);
    int err = v->tx_waiting > 0 ? -ENOSPC : post_tx_locked(v, p);
    if (unlikely(err == -EINVAL)) {
        struct pkt *one = pkt_flatten(p, VNET_HDR_LEN);
        if (one != NULL) {
            list_push_back(&done, &p->node);
            p = one;
            err = post_tx_locked(v, p);
        }
    }
    if (unlikely(err == -ENOSPC) && v->tx_waiting < TX_MAX_WAITING) {
        list_push_back(&v->tx_wait, &p->node);
        if (v->tx_waiting++ == 0 && !wait_for_room_locked(v))
            bh_raise(&v->bh);
    } else if (unlikely(err != 0)) {
        drop = p;
    }
out:
    if (unlikely(drop != NULL))
        v->dev.stats.tx_dropped++;
    spin_unlock(&v->tx_lock);
    pkt_list_free(&done);
    pkt_free(drop);
    return drop != NULL ? -ENOBUFS : 0;
}

static void vnet_kick(struct netdev *d)
{
    struct vnet *v = d->driver;
    spin_lock_bh(&v->tx_lock);
    if (v->running) {
        virtio_kick(v->tx);
        if (v->tx->in_flight > 0)
            arm_timer_locked(v);
    }
    spin_unlock_bh(&v->tx_lock);
}

/* Free what was sent, send what waits. */
static void advance_tx(struct vnet *v)
{
    struct list done = LIST_INIT(done);
    spin_lock(&v->tx_lock);
    if (v->running) {
        bool again;
        do {
            reclaim_tx_locked(v, &done);
            while (v->tx_waiting > 0) {
                struct pkt *p = list_first(&v->tx_wait, struct pkt, node);
                list_remove_init(&p->node);
                int err = post_tx_locked(v, p);
                if (err == -ENOSPC) {
                    list_push_front(&v->tx_wait, &p->node);
                    break;
                }
                v->tx_waiting--;
                if (err != 0) {
                    v->dev.stats.tx_dropped++;
                    list_push_back(&done, &p->node);
                }
            }
            virtio_kick(v->tx);
            again = v->tx_waiting > 0 && !wait_for_room_locked(v) && v->tx->broken == NULL;
        } while (again);
        if (v->tx_waiting == 0)
            virtq_quiet(v->tx);
    }
    spin_unlock(&v->tx_lock);
    pkt_list_free(&done);
}

/* --- events --------------------------------------------------------------------------- */

static void vq_callback(struct virtq *vq)
{
    struct vnet *v = vq->driver;
    bh_raise(&v->bh);
}

static void config_callback(struct virtio_dev *vd)
{
    struct vnet *v = vd->driver;
    atomic_store(&v->config_pending, 1u);
    bh_raise(&v->bh);
}

static void check_link(struct vnet *v)
{
    bool up = !virtio_has(v->vd, F_STATUS) || (virtio_config16(v->vd, CONFIG_STATUS) & STATUS_LINK_UP) != 0;
    if (up == v->dev.link_up)
        return;
    v->dev.link_up = up;
    if (v->dev.link_changed != NULL)
        v->dev.link_changed(&v->dev);
}

static void vnet_bh(struct bh *bh)
{
    struct vnet *v = container_of(bh, struct vnet, bh);
    if (atomic_load_relaxed(&v->config_pending) != 0 && atomic_xchg(&v->config_pending, 0u) != 0)
        check_link(v);
    advance_tx(v);
    if (!spin_trylock(&v->rx_lock)) {
        bh_raise(bh); /* somebody polls: look again behind him */
        return;
    }
    bool running = v->running;
    if (running)
        virtq_quiet(v->rx);
    spin_unlock(&v->rx_lock);
    if (!running)
        return;
    unsigned n = vnet_poll(&v->dev, RX_BUDGET);
    bool again = n >= RX_BUDGET;
    if (!again) {
        again = !spin_trylock(&v->rx_lock);
        if (!again) {
            again = v->running && v->rx->broken == NULL && !virtq_listen(v->rx, 1);
            spin_unlock(&v->rx_lock);
        }
    }
    if (again)
        bh_raise(bh);
}

static void vnet_timer(struct ktimer *t)
{
    struct vnet *v = container_of(t, struct vnet, timer);
    advance_tx(v);
    bool retry = false;
    spin_lock(&v->tx_lock);
    retry = v->running && v->tx->in_flight > 0;
    spin_unlock(&v->tx_lock);
    if (spin_trylock(&v->rx_lock)) {
        if (v->running && v->rx->in_flight < v->rx_target) {
            retry |= !refill_locked(v) && v->rx->broken == NULL;
            virtio_kick(v->rx);
        }
        spin_unlock(&v->rx_lock);
    } else {
        retry = true;
    }
    if (retry)
        arm_timer(v);
}

/* --- open and stop ---------------------------------------------------------------------- */

static void release(struct vnet *v)
{
    struct pkt *p;
    virtio_stop(v->vd);
    while (v->rx != NULL && (p = virtq_reclaim(v->rx)) != NULL)
        pkt_free(p);
    while (v->tx != NULL && (p = virtq_reclaim(v->tx)) != NULL)
        pkt_free(p);
    pkt_list_free(&v->tx_wait);
    v->tx_waiting = v->spare_used = 0;
    v->rx = v->tx = NULL;
    virtio_free_queues(v->vd);
    kfree(v->spare);
    v->spare = NULL;
}

static u16 ring_size(void)
{
    struct mem_stats m;
    page_stats(&m);
    return m.total_pages < (16 << 20) / PAGE_SIZE ? 64 : m.total_pages < (64 << 20) / PAGE_SIZE ? 128 : 256;
}

static int vnet_open(struct netdev *d)
{
    struct vnet *v = d->driver;
    u16 size = ring_size();
    v->vd->config_changed = config_callback;
    int err = virtio_start(v->vd, v->wanted);
    if (err != 0)
        return err;
    v->spare = kmalloc(TX_SPARE_HDRS * sizeof(struct vnet_hdr), 0);
    if (v->spare == NULL)
        err = -ENOMEM;
    if (err == 0)
        err = virtio_queue(v->vd, 0, 16, size, vq_callback, v, &v->rx);
    if (err == 0)
        err = virtio_queue(v->vd, 1, 16, size, vq_callback, v, &v->tx);
    if (err != 0) {
        klog(LOG_ERROR, "%s: cannot start: error %d", d->name, -err);
        release(v);
        return err;
    }
    virtq_quiet(v->tx);
    v->rx_target = MIN((v->wanted & F_GUEST_TSO4) != 0 ? RX_TARGET_TSO : RX_TARGET_PLAIN, (u32)v->rx->size);
    bool full = refill_locked(v); /* nobody else knows the queue yet */
    if (v->rx->in_flight == 0) {
        release(v);
        return -ENOMEM;
    }
    spin_lock_bh(&v->rx_lock);
    spin_lock(&v->tx_lock);
    v->running = true;
    spin_unlock(&v->tx_lock);
    virtio_ready(v->vd);
    virtio_kick(v->rx);
    spin_unlock_bh(&v->rx_lock);
    if (!full)
        arm_timer(v);
    check_link(v);
    return 0;
}

static void vnet_stop(struct netdev *d)
{
    struct vnet *v = d->driver;
    spin_lock_bh(&v->rx_lock);
    spin_lock(&v->tx_lock);
    bool was = v->running;
    v->running = false;
    spin_unlock(&v->tx_lock);
    spin_unlock_bh(&v->rx_lock);
    if (!was)
        return;
    ktimer_cancel_sync(&v->timer);
    release(v);
}

static bool vnet_idle(struct netdev *d)
{
    struct vnet *v = d->driver;
    bh_disable();
    advance_tx(v);
    spin_lock(&v->tx_lock);
    bool idle = !v->running || v->tx->broken != NULL || (v->tx->in_flight == 0 && v->tx_waiting == 0);
    spin_unlock(&v->tx_lock);
    bh_enable();
    return idle;
}

/* Without a control queue the device passes every frame (5.1.6.5.1), so groups need no filter. */
static void vnet_set_multicast(struct netdev *d, const u8 (*macs)[6], unsigned n, bool all) {}

static const struct netdev_ops vnet_ops = {
    .open = vnet_open,
    .stop = vnet_stop,
    .transmit = vnet_transmit,
    .kick = vnet_kick,
    .poll = vnet_poll,
    .set_multicast = vnet_set_multicast,
    .idle = vnet_idle,
};

static int vnet_probe(struct virtio_dev *vd)
{
    struct vnet *v = kzalloc(sizeof(*v));
    if (v == NULL)
        return -ENOMEM;
    vd->driver = v;
    v->vd = vd;
    u64 f = vd->offered & (F_CSUM | F_GUEST_CSUM | F_MTU | F_MAC | F_GUEST_TSO4 | F_HOST_TSO4 | F_HOST_TSO6 |
                           F_MRG_RXBUF | F_STATUS);
    if ((f & F_CSUM) == 0)
        f &= ~(F_HOST_TSO4 | F_HOST_TSO6);
    if ((f & F_GUEST_CSUM) == 0 || (f & F_MRG_RXBUF) == 0 || ring_size() < 2 * RX_TARGET_TSO)
        f &= ~F_GUEST_TSO4;
    v->wanted = f;
    spin_init(&v->rx_lock, "vnet_rx");
    spin_init(&v->tx_lock, "vnet_tx");
    list_init(&v->tx_wait);
    bh_init(&v->bh, vnet_bh);
    ktimer_init(&v->timer, vnet_timer);
    struct netdev *d = &v->dev;
    d->ops = &vnet_ops;
    d->driver = v;
    d->link_up = true;
    d->mtu = 1500;
    if ((f & F_MTU) != 0) {
        u16 mtu = virtio_config16(vd, CONFIG_MTU);
        if (mtu >= 576 && mtu < 1500) /* larger ones are not worth larger buffers */
            d->mtu = mtu;
    }
    if ((f & F_MAC) != 0) {
        virtio_config_bytes(vd, CONFIG_MAC, d->mac, sizeof(d->mac));
    } else {
        random_bytes(d->mac, sizeof(d->mac));
        d->mac[0] = (u8)((d->mac[0] & 0xfe) | 2); /* locally administered, unicast */
    }
    d->features = ((f & F_CSUM) != 0 ? NETDEV_TX_CSUM : 0) | ((f & F_HOST_TSO4) != 0 ? NETDEV_TX_TSO4 : 0) |
                  ((f & F_HOST_TSO6) != 0 ? NETDEV_TX_TSO6 : 0) | ((f & F_GUEST_CSUM) != 0 ? NETDEV_RX_CSUM : 0) |
                  ((f & F_GUEST_TSO4) != 0 ? NETDEV_RX_GRO : 0);
    netdev_register(d);
    return 0;
}

const struct virtio_driver virtio_net_driver = { .name = "virtio-net", .type = VIRTIO_ID_NET, .probe = vnet_probe };
