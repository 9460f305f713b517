/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The loopback interface. Packets have no link header; what is sent is queued and
 * handed to ip_input() or ip6_input() by a bottom half, which runs as soon as the sender drops its
 * lock. Views travel as they are, so data is copied only by the two programs' ends.
 */
#include "net_impl.h"

#define LO_MTU 65535u
#define LO_QUEUE_MAX 1024u
#define LO_BUDGET 64u

static int lo_transmit(struct netdev *d, struct pkt *p)
{
    pkt_free(p);
    return -ENOBUFS;
}

static const struct netdev_ops lo_ops = { .transmit = lo_transmit };
static struct netdev lo_dev = { .name = "lo", .ops = &lo_ops, .mtu = LO_MTU, .link_up = true, .opened = true };
struct netif lo_if = { .dev = &lo_dev, .loopback = true };

static struct spinlock lo_lock = SPINLOCK_INIT("net_lo");
static struct list lo_queue = LIST_INIT(lo_queue); /* lo_lock */
static u32 lo_queued;                              /* lo_lock */
static struct bh lo_bh;

int lo_output(struct pkt *p)
{
    if (unlikely(atomic_load_relaxed(&packet_taps) != 0))
        packet_tap(&lo_if, p, true);
    spin_lock_bh(&lo_lock);
    bool room = lo_queued < LO_QUEUE_MAX;
    if (room) {
        list_push_back(&lo_queue, &p->node);
        lo_queued++;
        lo_dev.stats.tx_packets++;
        lo_dev.stats.tx_bytes += p->total_len;
    }
    spin_unlock_bh(&lo_lock);
    if (!room) {
        NET_DROP(lo_limit);
        pkt_free(p);
        return -ENOBUFS;
    }
    bh_raise(&lo_bh);
    return 0;
}

static void lo_run(struct bh *bh)
{
    net_taking_in(&lo_if);
    for (unsigned i = 0; i < LO_BUDGET; i++) {
        spin_lock_bh(&lo_lock);
        struct list *n = list_pop_front(&lo_queue);
        if (n != NULL)
            lo_queued--;
        spin_unlock_bh(&lo_lock);
        if (n == NULL)
            break;
        struct pkt *p = list_entry(n, struct pkt, node);
        p->dev = &lo_dev;
        lo_dev.stats.rx_packets++;
        lo_dev.stats.rx_bytes += p->total_len;
        if (unlikely(atomic_load_relaxed(&packet_taps) != 0))
            packet_tap(&lo_if, p, false);
        p->ethertype = *p->data >> 4 == 6 ? ETH_IPV6 : ETH_IP; /* our own headers */
        if (p->ethertype == ETH_IP)
            ip_input(&lo_if, p);
        else
            ip6_input(&lo_if, p);
    }
    net_batch_end();
    net_taking_in(NULL);
    spin_lock_bh(&lo_lock);
    bool more = lo_queued != 0;
    spin_unlock_bh(&lo_lock);
    if (more)
        bh_raise(bh);
}

void lo_init(void)
{
    bh_init(&lo_bh, lo_run);
    lo_dev.stack = &lo_if;
    netifs[0] = &lo_if;
    lo_dev.index = 1;
    netdev_register(&lo_dev);
    netif_set_address(&lo_if, IP_LOOPBACK, IP4(255, 0, 0, 0));
}
