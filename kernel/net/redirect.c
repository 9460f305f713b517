/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Redirects (RFC 792, RFC 1122 3.2.2.2; RFC 4861 8.3): a gateway names a better one on its link for one destination, or with IPv6 that it
 * is a neighbour itself. Believed, as by Linux's defaults, when the gateway in use says so, and the new one is on the link; for five
 * minutes, of a few destinations.
 */
#include "net_impl.h"

#define SLOTS 16u
#define REDIRECT_NS (300 * NSEC_PER_SEC)

static struct spinlock redirect_lock = SPINLOCK_INIT("net_redirect");
static struct {
    struct ip_addr dst, from, to; /* from: the gateway that the routes name */
    u64 expires_ns;
} slots[SLOTS];      /* redirect_lock */
static u32 known;    /* atomic: there has been one */
static struct route_ends ends = { .lock = &redirect_lock, .first = &slots[0].expires_ns, .n = SLOTS, .stride = sizeof slots[0] };

static unsigned slot_of(struct ip_addr dst) { return net_hash(ip_pair(dst, IP6_ANY), 0) % SLOTS; }

struct ip_addr redirect_gateway(struct ip_addr dst, struct ip_addr gateway)
{
    if (likely(atomic_load_relaxed(&known) == 0))
        return gateway;
    unsigned i = slot_of(dst);
    spin_lock_bh(&redirect_lock);
    if (ip_equal(slots[i].dst, dst) && ip_equal(slots[i].from, gateway) && now_ns() < slots[i].expires_ns)
        gateway = slots[i].to;
    spin_unlock_bh(&redirect_lock);
    return gateway;
}

static bool is_neighbour(const struct netif *nif, u32 a)
{
    return ((a ^ nif->addr) & nif->mask) == 0 && a != 0 && !ip_is_multicast(a) && !ip_is_broadcast(nif, a) && !ip_is_local(a);
}

/* Is `to` a gateway on the link, or with IPv6 the destination? */
static bool fits(const struct netif *nif, struct ip_addr dst, struct ip_addr to)
{
    if (ip_is_v4(dst))
        return ip_is_v4(to) && is_neighbour(nif, ip_to_v4(to));
    return ip_equal(to, dst) || (ip6_is_link_local(to) && !ip6_is_local(to));
}

bool redirect_input(const struct netif *nif, struct ip_addr sender, struct ip_addr dst, struct ip_addr to)
{
    struct ip_route rt;
    struct ip_addr any = ip_is_v4(dst) ? ip_v4(0) : IP6_ANY;
    if (nif->loopback || !fits(nif, dst, to) || ip_equal(to, sender) || ip_route_find(dst, any, nif->dev->index, &rt) != 0 || rt.nif != nif ||
        ip_equal(dst, sender) || !ip_equal(rt.nexthop, sender))
        return false;
    unsigned i = slot_of(dst);
    u64 now = now_ns();
    spin_lock_bh(&redirect_lock);
    bool again = ip_equal(slots[i].dst, dst) && ip_equal(slots[i].to, sender) && now < slots[i].expires_ns; /* by the one that the last redirect named */
    slots[i].dst = dst;
    slots[i].from = again ? slots[i].from : sender;
    slots[i].to = to;
    slots[i].expires_ns = now + REDIRECT_NS;
    atomic_store_relaxed(&known, 1u);
    route_ends_arm(&ends, now);
    spin_unlock_bh(&redirect_lock);
    atomic_add(&route_gen, 1u);
    return true;
}
