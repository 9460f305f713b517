/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routes: connected nets, gateways and the loopback, in one small table (a machine with
 * one program has a handful), longest prefix first. Whoever caches an answer keeps
 * route_gen with it and asks again when that has moved on.
 *
 * The path MTU cache (RFC 1191, 8201) is a fixed, direct-mapped table: a hostile sender of
 * ICMP can at worst displace entries, and nothing goes below PMTU_MIN. IPv6 beyond the loopback interface has its routes in ip6_addr.c.
 */
#include "net_impl.h"

static struct spinlock route_lock = SPINLOCK_INIT("net_route");
static struct route routes[ROUTE_MAX]; /* route_lock; longest mask first */
static unsigned nroutes;               /* route_lock */
u32 route_gen = 1;

int route_add(const struct route *r)
{
    int err = 0;
    spin_lock_bh(&route_lock);
    unsigned i = 0;
    for (; i < nroutes; i++)
        if (routes[i].dst == r->dst && routes[i].mask == r->mask && routes[i].nif == r->nif)
            break;
    if (i == nroutes && nroutes == ROUTE_MAX) {
        err = -ENOSPC;
    } else {
        if (i < nroutes) {
            memmove(&routes[i], &routes[i + 1], (nroutes - i - 1) * sizeof routes[0]);
            nroutes--;
        }
        for (i = 0; i < nroutes && be32(routes[i].mask) >= be32(r->mask); i++)
            ;
        memmove(&routes[i + 1], &routes[i], (nroutes - i) * sizeof routes[0]);
        routes[i] = *r;
        nroutes++;
    }
    atomic_add(&route_gen, 1u);
    spin_unlock_bh(&route_lock);
    net_changed();
    return err;
}

void route_remove_netif(struct netif *nif)
{
    spin_lock_bh(&route_lock);
    unsigned n = 0;
    for (unsigned i = 0; i < nroutes; i++)
        if (routes[i].nif != nif)
            routes[n++] = routes[i];
    nroutes = n;
    atomic_add(&route_gen, 1u);
    spin_unlock_bh(&route_lock);
    net_changed();
}

unsigned route_list(struct route *ret, unsigned max)
{
    spin_lock_bh(&route_lock);
    unsigned n = MIN(nroutes, max);
    memcpy(ret, routes, n * sizeof routes[0]);
    spin_unlock_bh(&route_lock);
    return n;
}

static int find_v4(u32 dst, u32 src, unsigned ifindex, struct ip_route *ret)
{
    if (ip_is_local(dst)) {
        ret->nif = &lo_if;
        ret->nexthop = ip_v4(dst);
        ret->src = ip_v4(src != 0 ? src : ip_is_loopback(dst) ? IP_LOOPBACK : dst);
        ret->mtu = lo_if.dev->mtu;
        return 0;
    }
    spin_lock_bh(&route_lock);
    const struct route *best = NULL;
    for (unsigned i = 0; i < nroutes && best == NULL; i++) {
        const struct route *r = &routes[i];
        if (ifindex != 0 && r->nif->dev->index != ifindex)
            continue;
        bool everywhere = dst == IP_BROADCAST || ip_is_multicast(dst); /* any configured card will do */
        if ((dst & r->mask) == r->dst || (everywhere && (ifindex != 0 || !r->nif->loopback)))
            best = r;
    }
    if (best == NULL) {
        spin_unlock_bh(&route_lock);
        NET_COUNT(ip_no_route);
        return -ENETUNREACH;
    }
    ret->nif = best->nif;
    bool direct = best->gateway == 0 || dst == IP_BROADCAST || ip_is_multicast(dst);
    ret->nexthop = direct ? ip_v4(dst) : redirect_gateway(ip_v4(dst), ip_v4(best->gateway));
    ret->src = ip_v4(src != 0 ? src : best->src != 0 ? best->src : best->nif->addr);
    spin_unlock_bh(&route_lock);
    ret->mtu = pmtu_lookup(ip_v4(dst), ret->nif->dev->mtu);
    return 0;
}

int ip_route_find(struct ip_addr dst, struct ip_addr src, unsigned ifindex, struct ip_route *ret)
{
    bool v4 = ip_is_v4(dst);
    ret->gen = atomic_load(&route_gen);
    if (likely(v4 && (ip_is_v4(src) || ip_is_unspec(src))))
        return find_v4(ip_to_v4(dst), ip_to_v4(src), ifindex, ret);
    if (v4 || (ip_is_v4(src) && !ip_is_any(src))) {
        NET_COUNT(ip_no_route);
        return -ENETUNREACH;
    }
    return ip6_route_find(dst, src, ifindex, ret);
}

/* --- what has been learnt, and ends ---------------------------------------------- */

static void ends_tick(struct ktimer *t)
{
    struct route_ends *e = container_of(t, struct route_ends, timer);
    spin_lock(e->lock);
    route_ends_arm(e, now_ns());
    spin_unlock(e->lock);
    atomic_add(&route_gen, 1u);
}

void route_ends_arm(struct route_ends *e, u64 now)
{
    u64 next = NEVER_NS;
    for (u32 i = 0; i < e->n; i++) {
        u64 end = *(const u64 *)((const u8 *)e->first + i * e->stride);
        if (end > now)
            next = MIN(next, end);
    }
    if (!e->ready)
        ktimer_init(&e->timer, ends_tick);
    e->ready = true;
    if (next != NEVER_NS)
        ktimer_start(&e->timer, next);
}

/* --- path MTU -------------------------------------------------------------------- */

#define PMTU_SLOTS 32
#define PMTU_MIN 552u
#define PMTU_MIN6 1280u
#define PMTU_AGE_NS (600 * NSEC_PER_SEC)

static struct spinlock pmtu_lock = SPINLOCK_INIT("net_pmtu");
static struct {
    struct ip_addr dst;
    u32 mtu;
    u64 expires_ns;
} pmtu[PMTU_SLOTS]; /* pmtu_lock */
static u32 pmtu_known; /* atomic: entries ever made; 0 = the usual case, no lock */
static struct route_ends pmtu_ends = { .lock = &pmtu_lock, .first = &pmtu[0].expires_ns, .n = PMTU_SLOTS, .stride = sizeof pmtu[0] };

static unsigned pmtu_slot(struct ip_addr dst) { return (unsigned)(net_siphash(net_secret, dst.lo, dst.hi) % PMTU_SLOTS); }

u32 pmtu_lookup(struct ip_addr dst, u32 link_mtu)
{
    if (likely(atomic_load_relaxed(&pmtu_known) == 0))
        return link_mtu;
    unsigned i = pmtu_slot(dst);
    u32 mtu = link_mtu;
    spin_lock_bh(&pmtu_lock);
    if (ip_equal(pmtu[i].dst, dst) && pmtu[i].mtu < mtu && now_ns() < pmtu[i].expires_ns)
        mtu = pmtu[i].mtu;
    spin_unlock_bh(&pmtu_lock);
    return mtu;
}

void pmtu_learn(struct ip_addr dst, u32 mtu)
{
    unsigned i = pmtu_slot(dst);
    u64 now = now_ns();
    spin_lock_bh(&pmtu_lock);
    if (!ip_equal(pmtu[i].dst, dst) || mtu < pmtu[i].mtu || now >= pmtu[i].expires_ns)
        pmtu[i].mtu = MAX(mtu, ip_is_v4(dst) ? PMTU_MIN : PMTU_MIN6);
    pmtu[i].dst = dst;
    pmtu[i].expires_ns = now + PMTU_AGE_NS;
    atomic_store_relaxed(&pmtu_known, 1u);
    route_ends_arm(&pmtu_ends, now);
    spin_unlock_bh(&pmtu_lock);
    atomic_add(&route_gen, 1u);
}
