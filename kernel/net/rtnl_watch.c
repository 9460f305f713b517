/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes for rtnetlink's groups. Whoever changes a table calls net_changed(), with any lock held; the work thread then compares all
 * tables with what it told last, and tells what is new, other, or gone. So changes that come quickly are told as one.
 */
#include "kern/work.h"
#include "netlink_impl.h"

struct tables {
    unsigned naddrs, nroutes, nneighs, nlinks;
    struct told_addr addrs[TOLD_ADDRS];
    struct told_route routes[TOLD_ROUTES];
    struct neigh_info neighs[NEIGH_ENTRIES];
    struct told_link {
        const struct netif *nif;
        bool up;
    } links[NETIF_MAX];
};

static struct tables *told, *fresh; /* the work thread's, once watching */
static struct spinlock watch_lock = SPINLOCK_INIT("netlink_watch");
static bool watching; /* watch_lock, read without: the first join begins it, and it does not end */

static void tell_link(struct nl_answer *a, const void *what) { rtnl_tell_link(a, ((const struct told_link *)what)->nif, 0); }
static void tell_addr(struct nl_answer *a, const void *what) { rtnl_tell_addr(a, what, 0); }
static void tell_route(struct nl_answer *a, const void *what) { rtnl_tell_route(a, what, 0); }
static void tell_neigh(struct nl_answer *a, const void *what) { rtnl_tell_neigh(a, what, 0); }

static u32 link_group(const void *x) { return RTMGRP_LINK; }
static u32 addr_group(const void *x) { return ip_is_v4(((const struct told_addr *)x)->ip.addr) ? RTMGRP_IPV4_IFADDR : RTMGRP_IPV6_IFADDR; }
static u32 route_group(const void *x) { return ip_is_v4(((const struct told_route *)x)->dst) ? RTMGRP_IPV4_ROUTE : RTMGRP_IPV6_ROUTE; }
static u32 neigh_group(const void *x) { return RTMGRP_NEIGH; }

/* Is it the same thing? And is it as it was (lifetimes aside, which run all the time)? */
static bool link_is(const void *x, const void *y) { return ((const struct told_link *)x)->nif == ((const struct told_link *)y)->nif; }
static bool link_same(const void *x, const void *y) { return ((const struct told_link *)x)->up == ((const struct told_link *)y)->up; }
static bool addr_is(const void *x, const void *y)
{
    const struct told_addr *a = x, *b = y;
    return a->nif == b->nif && ip_equal(a->ip.addr, b->ip.addr) && a->ip.plen == b->ip.plen;
}
static bool addr_same(const void *x, const void *y)
{
    const struct told_addr *a = x, *b = y;
    return a->ip.dad_ns == b->ip.dad_ns && a->ip.permanent == b->ip.permanent;
}
static bool route_is(const void *x, const void *y)
{
    const struct told_route *a = x, *b = y;
    return a->nif == b->nif && ip_equal(a->dst, b->dst) && a->plen == b->plen && ip_equal(a->gateway, b->gateway);
}
static bool route_same(const void *x, const void *y)
{
    const struct told_route *a = x, *b = y;
    return ip_equal(a->src, b->src) && a->metric == b->metric && a->pref == b->pref;
}
static bool neigh_is(const void *x, const void *y)
{
    const struct neigh_info *a = x, *b = y;
    return a->nif == b->nif && ip_equal(a->ip, b->ip);
}
static bool neigh_same(const void *x, const void *y)
{
    const struct neigh_info *a = x, *b = y;
    return a->state == b->state && a->known == b->known && (!a->known || memcmp(a->mac, b->mac, 6) == 0);
}

static const struct kind {
    u32 size, count_at, at;
    u32 (*group)(const void *x);
    bool (*is)(const void *x, const void *y);
    bool (*same)(const void *x, const void *y);
    void (*tell)(struct nl_answer *a, const void *what);
} kinds[] = {
    { sizeof(struct told_link), offsetof(struct tables, nlinks), offsetof(struct tables, links), link_group, link_is, link_same, tell_link },
    { sizeof(struct told_addr), offsetof(struct tables, naddrs), offsetof(struct tables, addrs), addr_group, addr_is, addr_same, tell_addr },
    { sizeof(struct told_route), offsetof(struct tables, nroutes), offsetof(struct tables, routes), route_group, route_is, route_same, tell_route },
    { sizeof(struct neigh_info), offsetof(struct tables, nneighs), offsetof(struct tables, neighs), neigh_group, neigh_is, neigh_same, tell_neigh },
};

static void take(struct tables *t)
{
    t->naddrs = rtnl_addrs(t->addrs, AF_UNSPEC);
    t->nroutes = rtnl_routes(t->routes, AF_UNSPEC);
    t->nneighs = neigh_list(t->neighs);
    for (t->nlinks = 0; t->nlinks < NETIF_MAX && netifs[t->nlinks] != NULL; t->nlinks++)
        t->links[t->nlinks] = (struct told_link){ netifs[t->nlinks], netifs[t->nlinks]->dev->link_up };
}

static unsigned count(const struct tables *t, const struct kind *k) { return *(const unsigned *)((const u8 *)t + k->count_at); }
static const void *item(const struct tables *t, const struct kind *k, unsigned i) { return (const u8 *)t + k->at + (u64)i * k->size; }

static const void *find(const struct tables *t, const struct kind *k, const void *what)
{
    for (unsigned i = 0; i < count(t, k); i++)
        if (k->is(item(t, k, i), what))
            return item(t, k, i);
    return NULL;
}

static void tell_differences(const struct kind *k)
{
    for (unsigned i = 0; i < count(told, k); i++) {
        const void *x = item(told, k, i);
        if (find(fresh, k, x) == NULL)
            nl_multicast(k->group(x), k->tell, x, true);
    }
    for (unsigned i = 0; i < count(fresh, k); i++) {
        const void *x = item(fresh, k, i), *before = find(told, k, x);
        if (before == NULL || !k->same(before, x))
            nl_multicast(k->group(x), k->tell, x, false);
    }
}

static void changed(struct work *w)
{
    take(fresh);
    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++)
        tell_differences(&kinds[i]);
    struct tables *t = told;
    told = fresh;
    fresh = t;
}

static struct work work = { .node = LIST_INIT(work.node), .fn = changed };

void net_changed(void)
{
    if (unlikely(atomic_load(&watching)))
        work_queue(&work);
}

/* Of two that join at the same time each gets ready, so that what changes once it is back is told. */
int rtnl_watch(void)
{
    if (atomic_load(&watching))
        return 0;
    struct tables *a = kmalloc(sizeof *a, 0), *b = kmalloc(sizeof *b, 0);
    int err = a == NULL || b == NULL ? -ENOMEM : 0;
    if (err == 0)
        take(a);
    spin_lock_bh(&watch_lock);
    if (err == 0 && !watching) {
        told = a;
        fresh = b;
        atomic_store(&watching, true);
        a = b = NULL;
    }
    spin_unlock_bh(&watch_lock);
    net_changed(); /* here the work thread can be made; who changes a table may not make threads */
    kfree(a);
    kfree(b);
    return err;
}
