/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ICMP redirects of IPv4 (RFC 792, RFC 1122 3.2.2.2): a gateway names a better one on its link for one destination. Believed, as by Linux's
 * defaults, when the gateway in use says so of a packet of ours, and the new one is a neighbour; for five minutes, of a few destinations.
 */
#include "net_impl.h"

#define SLOTS 16u
#define REDIRECT_NS (300 * NSEC_PER_SEC)

static struct spinlock redirect_lock = SPINLOCK_INIT("net_redirect");
static struct {
    u32 dst, from, to; /* from: the gateway that the routes name */
    u64 expires_ns;
} slots[SLOTS];      /* redirect_lock */
static u32 known;    /* atomic: there has been one */

static unsigned slot_of(u32 dst) { return net_hash(dst, 0) % SLOTS; }

u32 redirect_gateway(u32 dst, u32 gateway)
{
    if (likely(atomic_load_relaxed(&known) == 0))
        return gateway;
    unsigned i = slot_of(dst);
    spin_lock_bh(&redirect_lock);
    if (slots[i].dst == dst && slots[i].from == gateway && now_ns() < slots[i].expires_ns)
        gateway = slots[i].to;
    spin_unlock_bh(&redirect_lock);
    return gateway;
}

static bool is_neighbour(const struct netif *nif, u32 a)
{
    return ((a ^ nif->addr) & nif->mask) == 0 && a != 0 && !ip_is_multicast(a) && !ip_is_broadcast(nif, a) && !ip_is_local(a);
}

bool redirect_input(const struct netif *nif, u32 sender, u32 dst, u32 to)
{
    struct ip_route rt;
    if (nif->loopback || !is_neighbour(nif, to) || to == sender || ip_route_find(ip_v4(dst), ip_v4(0), nif->dev->index, &rt) != 0 || rt.nif != nif ||
        dst == sender || !ip_equal(rt.nexthop, ip_v4(sender)))
        return false;
    unsigned i = slot_of(dst);
    u64 now = now_ns();
    spin_lock_bh(&redirect_lock);
    bool again = slots[i].dst == dst && slots[i].to == sender && now < slots[i].expires_ns; /* by the one that the last redirect named */
    slots[i].dst = dst;
    slots[i].from = again ? slots[i].from : sender;
    slots[i].to = to;
    slots[i].expires_ns = now + REDIRECT_NS;
    spin_unlock_bh(&redirect_lock);
    atomic_store_relaxed(&known, 1u);
    atomic_add(&route_gen, 1u);
    return true;
}
