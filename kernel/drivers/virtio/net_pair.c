/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-net: a pair of queues. See net.c.
 *
 *   frame in memory:  | virtio_net_hdr 12 | Ethernet header | ...
 *
 * Receive. Buffers are small packets (kern/pkt.h) with the header in front of
 * the data; a large frame is a chain of them. `rx_target` of them are posted: few
 * at first, twice as many whenever the device had used most of them up, at most
 * the ring. An interrupt raises the bottom half, which polls with interrupts off
 * until a round finds less than its budget. A buffer that cannot be allocated is
 * retried by a timer, so that a moment without memory does not stop the card.
 *
 * Transmit. A packet is posted in place, its header in the first view's headroom if that is its own,
 * else in one of a few spare ones. Finished packets are
 * freed by the next transmit or kick, and by a timer when none follows.
 * When the ring is full packets wait in `tx_wait`, and the device is asked for an
 * interrupt when part of the ring is free again.
 *
 * Locks (bottom halves): rx_lock for the receive queue, only ever tried by
 * pollers, held while the stack takes the packets; tx_lock for the transmit queue. A rx_lock
 * may be held when a tx_lock, of any pair, is taken, not the other way round.
 */
#include "base/str.h"
#include "kern/slab.h"
#include "kern/vnet_hdr.h"
#include "vnet.h"

/* In front of a received frame, so that the IP header is 4-aligned and a reply's headers fit. */
#define RX_HEADROOM 18u
#define RX_BYTES (PKT_SMALL_ROOM - RX_HEADROOM)
#define RX_TARGET_PLAIN 16u
_Static_assert(VNET_RX_TARGET_TSO * (2048u - 320u) > 65535 + 14 + VNET_HDR_LEN, "the largest frame fits");
#define RX_BUDGET 64u
#define TX_MAX_SEGS 40u
#define TX_SPARE_HDRS 16u
#define TX_MAX_WAITING 512u
#define RETRY_NS (10 * NSEC_PER_MSEC)

/* tx_lock held: it is what orders the starts of the timer. */
static void arm_timer_locked(struct vnet_pair *q)
{
    if (!ktimer_armed(&q->timer))
        ktimer_start(&q->timer, now_ns() + RETRY_NS);
}

static void arm_timer(struct vnet_pair *q)
{
    spin_lock_bh(&q->tx_lock);
    if (q->running)
        arm_timer_locked(q);
    spin_unlock_bh(&q->tx_lock);
}

/* --- receive ----------------------------------------------------------------------- */

static bool refill_locked(struct vnet_pair *q)
{
    while (q->rx->in_flight < q->rx_target) {
        struct pkt *p = pkt_alloc(RX_HEADROOM, RX_BYTES);
        if (p == NULL)
            return false;
        struct vq_seg seg = { virt_to_phys(p->data), RX_BYTES };
        if (virtq_add(q->rx, &seg, 0, 1, p) != 0) {
            pkt_free(p);
            return q->rx->broken == NULL; /* full: small ring */
        }
    }
    return true;
}

/* The frame that starts in p. NULL = none (counted). */
static struct pkt *receive_one_locked(struct vnet_pair *q, struct pkt *p, u32 len)
{
    struct vnet_hdr h;
    if (len < VNET_HDR_LEN)
        goto bad;
    memcpy(&h, p->data, VNET_HDR_LEN);
    p->data += VNET_HDR_LEN;
    p->len = p->total_len = len - VNET_HDR_LEN;
    if (virtio_has(q->v->vd, VNET_F_MRG_RXBUF) && h.num_buffers != 1) {
        struct pkt *last = p;
        if (h.num_buffers == 0)
            goto bad;
        for (unsigned i = 1; i < h.num_buffers; i++) {
            struct pkt *more = virtq_pop(q->rx, &len);
            if (more == NULL)
                goto bad;
            more->len = len;
            last->more = more;
            last = more;
            p->total_len += len; /* at most the ring's worth: no overflow */
        }
    }
    if (!vnet_hdr_take(&h, p, virtio_has(q->v->vd, VNET_F_GUEST_TSO4) ? 1u << PKT_GSO_TCP4 : 0))
        goto bad;
    p->dev = &q->v->dev;
    q->stats.rx_packets++;
    q->stats.rx_bytes += p->total_len;
    return p;
bad:
    q->stats.rx_errors++;
    pkt_free(p);
    return NULL;
}

/* Up to budget packets go to the stack; how many. */
static unsigned pair_poll(struct vnet_pair *q, unsigned budget)
{
    struct netdev *d = &q->v->dev;
    unsigned n = 0;
    if (!spin_trylock(&q->rx_lock))
        return 0;
    if (q->running) {
        struct pkt *p;
        u32 len;
        while (n < budget && (p = virtq_pop(q->rx, &len)) != NULL) {
            n++;
            p = receive_one_locked(q, p, len);
            if (p != NULL)
                d->input(d, p);
        }
        if (n > 0) {
            if (q->rx->in_flight < q->rx_target / 4 && q->rx_target < q->rx->size)
                q->rx_target = MIN(2 * q->rx_target, (u32)q->rx->size);
            if (!refill_locked(q))
                arm_timer(q);
            virtio_kick(q->rx);
        }
        virtio_check(q->rx);
    }
    spin_unlock(&q->rx_lock);
    if (n > 0 && d->input_done != NULL)
        d->input_done(d, n >= budget);
    return n;
}

/* --- transmit ----------------------------------------------------------------------- */

/* Finished packets move to `done`; the caller frees them without the lock. */
static void reclaim_tx_locked(struct vnet_pair *q, struct list *done)
{
    struct pkt *p;
    while ((p = virtq_pop(q->tx, NULL)) != NULL) {
        if (p->cb[0] != 0)
            q->spare_used &= ~(1u << (p->cb[0] - 1));
        list_push_back(done, &p->node);
    }
    virtio_check(q->tx);
}

/* 0, -ENOSPC (no room in the ring now), -EINVAL (cannot be sent), -EIO. */
static int post_tx_locked(struct vnet_pair *q, struct pkt *p)
{
    struct vq_seg segs[TX_MAX_SEGS];
    unsigned n = 0;
    p->cb[0] = 0;
    struct vnet_hdr *h;
    bool in_front = pkt_headroom(p) >= VNET_HDR_LEN && pkt_owns_front(p);
    if (in_front) {
        h = (struct vnet_hdr *)(void *)(p->data - VNET_HDR_LEN);
        segs[n++] = (struct vq_seg){ virt_to_phys(h), VNET_HDR_LEN + p->len };
    } else {
        unsigned slot = (unsigned)__builtin_ffs((int)~q->spare_used);
        if (slot == 0 || slot > TX_SPARE_HDRS)
            return -ENOSPC;
        h = &q->spare[slot - 1];
        p->cb[0] = slot;
        segs[n++] = (struct vq_seg){ virt_to_phys(h), VNET_HDR_LEN };
    }
    vnet_hdr_fill(h, p);
    for (struct pkt *view = in_front ? p->more : p; view != NULL; view = view->more) {
        if (view->len == 0)
            continue;
        if (n == TX_MAX_SEGS)
            return -EINVAL;
        segs[n++] = (struct vq_seg){ virt_to_phys(view->data), view->len };
    }
    if (n > q->tx->size)
        return -EINVAL;
    int err = virtq_add(q->tx, segs, n, 0, p);
    if (err != 0)
        return err;
    if (p->cb[0] != 0)
        q->spare_used |= 1u << (p->cb[0] - 1);
    q->stats.tx_packets++;
    q->stats.tx_bytes += p->total_len;
    return 0;
}

/* Ask to be told when a good part of the ring is free again; false = it is already. */
static bool wait_for_room_locked(struct vnet_pair *q)
{
    return virtq_listen(q->tx, (u16)MAX(1, q->tx->in_flight * 3 / 4));
}

int vnet_pair_transmit(struct vnet_pair *q, struct pkt *p)
{
    struct list done = LIST_INIT(done);
    struct pkt *drop = NULL;
    spin_lock(&q->tx_lock);
    if (unlikely(!q->running)) {
        drop = p;
        goto out;
    }
    reclaim_tx_locked(q, &done);
    int err = q->tx_waiting > 0 ? -ENOSPC : post_tx_locked(q, p);
    if (unlikely(err == -EINVAL)) {
        struct pkt *one = pkt_flatten(p, VNET_HDR_LEN);
        if (one != NULL) {
            list_push_back(&done, &p->node);
            p = one;
            err = post_tx_locked(q, p);
        }
    }
    if (unlikely(err == -ENOSPC) && q->tx_waiting < TX_MAX_WAITING) {
        list_push_back(&q->tx_wait, &p->node);
        if (q->tx_waiting++ == 0 && !wait_for_room_locked(q))
            bh_raise(&q->bh);
    } else if (unlikely(err != 0)) {
        drop = p;
    }
out:
    if (unlikely(drop != NULL))
        q->stats.tx_dropped++;
    spin_unlock(&q->tx_lock);
    pkt_list_free(&done);
    pkt_free(drop);
    return drop != NULL ? -ENOBUFS : 0;
}

void vnet_pair_kick(struct vnet_pair *q)
{
    spin_lock_bh(&q->tx_lock);
    if (q->running) {
        virtio_kick(q->tx);
        if (q->tx->in_flight > 0)
            arm_timer_locked(q);
    }
    spin_unlock_bh(&q->tx_lock);
}

/* Free what was sent, send what waits. */
static void advance_tx(struct vnet_pair *q)
{
    struct list done = LIST_INIT(done);
    spin_lock(&q->tx_lock);
    if (q->running) {
        bool again;
        do {
            reclaim_tx_locked(q, &done);
            while (q->tx_waiting > 0) {
                struct pkt *p = list_first(&q->tx_wait, struct pkt, node);
                list_remove_init(&p->node);
                int err = post_tx_locked(q, p);
                if (err == -ENOSPC) {
                    list_push_front(&q->tx_wait, &p->node);
                    break;
                }
                q->tx_waiting--;
                if (err != 0) {
                    q->stats.tx_dropped++;
                    list_push_back(&done, &p->node);
                }
            }
            virtio_kick(q->tx);
            again = q->tx_waiting > 0 && !wait_for_room_locked(q) && q->tx->broken == NULL;
        } while (again);
        if (q->tx_waiting == 0)
            virtq_quiet(q->tx);
    }
    spin_unlock(&q->tx_lock);
    pkt_list_free(&done);
}

/* --- events --------------------------------------------------------------------------- */

static void vq_callback(struct virtq *vq) { vnet_mq_raise(vq->driver, vq); }

static void pair_bh(struct bh *bh)
{
    struct vnet_pair *q = container_of(bh, struct vnet_pair, bh);
    vnet_check_config(q->v);
    vnet_mq_route(q);
    advance_tx(q);
    if (!spin_trylock(&q->rx_lock)) {
        bh_raise(bh); /* somebody polls: look again behind him */
        return;
    }
    bool running = q->running;
    if (running)
        virtq_quiet(q->rx);
    spin_unlock(&q->rx_lock);
    if (!running)
        return;
    unsigned n = pair_poll(q, RX_BUDGET);
    bool again = n >= RX_BUDGET;
    if (!again) {
        again = !spin_trylock(&q->rx_lock);
        if (!again) {
            again = q->running && q->rx->broken == NULL && !virtq_listen(q->rx, 1);
            spin_unlock(&q->rx_lock);
        }
    }
    if (again)
        bh_raise(bh);
}

static void pair_timer(struct ktimer *t)
{
    struct vnet_pair *q = container_of(t, struct vnet_pair, timer);
    advance_tx(q);
    bool retry = false;
    spin_lock(&q->tx_lock);
    retry = q->running && q->tx->in_flight > 0;
    spin_unlock(&q->tx_lock);
    if (spin_trylock(&q->rx_lock)) {
        if (q->running && q->rx->in_flight < q->rx_target) {
            retry |= !refill_locked(q) && q->rx->broken == NULL;
            virtio_kick(q->rx);
        }
        spin_unlock(&q->rx_lock);
    } else {
        retry = true;
    }
    if (retry)
        arm_timer(q);
}

/* --- open and stop ---------------------------------------------------------------------- */

void vnet_pair_init(struct vnet_pair *q, struct vnet *v, unsigned index)
{
    q->v = v;
    q->index = index;
    spin_init(&q->rx_lock, "vnet_rx");
    spin_init(&q->tx_lock, "vnet_tx");
    list_init(&q->tx_wait);
    bh_init(&q->bh, pair_bh);
    ktimer_init(&q->timer, pair_timer);
}

int vnet_pair_open(struct vnet_pair *q, u16 ring_size)
{
    struct virtio_dev *vd = q->v->vd;
    q->routed = false;
    q->spare = kmalloc(TX_SPARE_HDRS * sizeof(struct vnet_hdr), 0);
    int err = q->spare == NULL ? -ENOMEM : 0;
    if (err == 0)
        err = virtio_queue(vd, (u16)(2 * q->index), 16, ring_size, vq_callback, q, &q->rx);
    if (err == 0)
        err = virtio_queue(vd, (u16)(2 * q->index + 1), 16, ring_size, vq_callback, q, &q->tx);
    if (err != 0)
        return err;
    virtq_quiet(q->tx);
    q->rx_target = MIN(virtio_has(vd, VNET_F_GUEST_TSO4) ? VNET_RX_TARGET_TSO : RX_TARGET_PLAIN, (u32)q->rx->size);
    refill_locked(q); /* nobody else knows the queue yet */
    return q->rx->in_flight == 0 ? -ENOMEM : 0;
}

bool vnet_pair_run(struct vnet_pair *q, bool on)
{
    spin_lock_bh(&q->rx_lock);
    spin_lock(&q->tx_lock);
    bool was = q->running;
    q->running = on;
    if (on && q->rx->in_flight < q->rx_target)
        arm_timer_locked(q);
    if (on)
        virtio_kick(q->rx);
    spin_unlock(&q->tx_lock);
    spin_unlock_bh(&q->rx_lock);
    if (on)
        bh_raise(&q->bh); /* what came since the device may work has found a pair that did not run */
    else if (was)
        ktimer_cancel_sync(&q->timer);
    return was;
}

void vnet_pair_release(struct vnet_pair *q)
{
    struct pkt *p;
    while (q->rx != NULL && (p = virtq_reclaim(q->rx)) != NULL)
        pkt_free(p);
    while (q->tx != NULL && (p = virtq_reclaim(q->tx)) != NULL)
        pkt_free(p);
    pkt_list_free(&q->tx_wait);
    q->tx_waiting = q->spare_used = 0;
    q->rx = q->tx = NULL;
    kfree(q->spare);
    q->spare = NULL;
}

bool vnet_pair_idle(struct vnet_pair *q)
{
    bh_disable();
    advance_tx(q);
    spin_lock(&q->tx_lock);
    bool idle = !q->running || q->tx->broken != NULL || (q->tx->in_flight == 0 && q->tx_waiting == 0);
    spin_unlock(&q->tx_lock);
    bh_enable();
    return idle;
}
