/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routes of the one card: prefixes of the link and routers (RFC 4861), with their preferences and routes for prefixes (RFC 4191); source
 * selection by RFC 6724, rules 1 to 3 and 6 to 8.
 *
 * Bounds: IP6_PREFIXES prefixes, IP6_ROUTERS default routers, IP6_MORE_ROUTES others; what comes when there is no room is not looked at.
 */
#include "ip6_impl.h"
#include "sock_impl.h"

static struct learnt {
    struct ip6_route r;
    bool used;
} routes[IP6_ROUTES - 1]; /* six.lock */

/* --- the table ----------------------------------------------------------------------------------- */

struct ip_addr ip6_mask(struct ip_addr a, u32 plen)
{
    u8 b[16];
    memcpy(b, &a, sizeof b);
    for (u32 i = 0; i < 16; i++)
        b[i] &= (u8)(plen >= 8 * i + 8 ? 0xff : plen <= 8 * i ? 0 : 0xff << (8 * i + 8 - plen));
    memcpy(&a, b, sizeof a);
    return a;
}

static u32 common_bits(struct ip_addr a, struct ip_addr b)
{
    u64 hi = bswap64(a.hi ^ b.hi), lo = bswap64(a.lo ^ b.lo);
    return hi != 0 ? (u32)__builtin_clzll(hi) : lo != 0 ? 64 + (u32)__builtin_clzll(lo) : 128;
}

enum kind { PREFIX, ROUTER, MORE };
static enum kind kind_of(const struct ip6_route *r) { return ip_is_unspec(r->gateway) ? PREFIX : r->plen == 0 ? ROUTER : MORE; }

static struct learnt *find(const struct ip6_route *r)
{
    for (unsigned i = 0; i < ARRAY_SIZE(routes); i++) {
        struct ip6_route *o = &routes[i].r;
        if (routes[i].used && o->plen == r->plen && ip_equal(o->dst, r->dst) && ip_equal(o->gateway, r->gateway))
            return &routes[i];
    }
    return NULL;
}

/* Each kind has room of its own. */
static struct learnt *room_for(const struct ip6_route *r)
{
    static const u8 limits[] = { [PREFIX] = IP6_PREFIXES, [ROUTER] = IP6_ROUTERS, [MORE] = IP6_MORE_ROUTES };
    enum kind kind = kind_of(r);
    struct learnt *free = NULL;
    unsigned n = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(routes); i++) {
        if (!routes[i].used)
            free = free != NULL ? free : &routes[i];
        else
            n += kind_of(&routes[i].r) == kind;
    }
    return n < limits[kind] ? free : NULL;
}

void ip6_route_set(struct ip_addr dst, u8 plen, struct ip_addr gateway, u32 pref, u64 until_ns)
{
    struct ip6_route r = { .dst = ip6_mask(dst, plen), .gateway = gateway, .plen = plen, .pref = (u8)pref, .until_ns = until_ns };
    struct learnt *l = find(&r);
    if (l != NULL && l->r.until_ns == NEVER_NS && until_ns != NEVER_NS)
        return; /* what was configured is not a router's to change */
    if (l == NULL && (until_ns == 0 || (l = room_for(&r)) == NULL))
        return;
    *l = (struct learnt){ r, until_ns != 0 };
    ip6_changed();
}

u64 ip6_routes_expire(u64 now)
{
    u64 next = NEVER_NS;
    for (unsigned i = 0; i < ARRAY_SIZE(routes); i++) {
        if (!routes[i].used)
            continue;
        if (now >= routes[i].r.until_ns) {
            routes[i].used = false;
            ip6_changed();
        } else {
            next = MIN(next, routes[i].r.until_ns);
        }
    }
    return next;
}

void ip6_routes_drop(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(routes); i++)
        routes[i].used = false;
    ip6_changed();
}

/* --- the way to an address ----------------------------------------------------------------------- */

/* The labels of RFC 6724 2.1, with Linux's numbers. Longer prefixes first. */
static u32 label(struct ip_addr a)
{
    static const struct {
        u32 first; /* bits of the address */
        u8 plen, label;
    } table[] = { { 0x20010010, 28, 7 }, { 0x20010000, 32, 6 }, { 0x20020000, 16, 2 }, { 0x3ffe0000, 16, 12 }, { 0xfec00000, 10, 11 }, { 0xfc000000, 7, 5 } };
    u32 first = be32((u32)a.hi);
    for (unsigned i = 0; i < ARRAY_SIZE(table); i++)
        if ((first ^ table[i].first) >> (32 - table[i].plen) == 0)
            return table[i].label;
    return 1;
}

/* How well a is a source for dst, by the rules in their order. Addresses of one scope only differ in link-local or not. */
static u32 fitness(const struct ip6_addr *a, struct ip_addr dst, bool local, bool want_temporary, u64 now)
{
    return (ip6_is_link_local(a->addr) == local ? 2048u : 0) +         /* 2: the same scope */
           (now < a->preferred_ns ? 1024u : 0) +                       /* 3: not deprecated */
           (label(a->addr) == label(dst) ? 512u : 0) +                 /* 6 */
           (a->temporary == want_temporary ? 256u : 0) +               /* 7 */
           common_bits(ip6_mask(a->addr, a->plen), ip6_mask(dst, a->plen)); /* 8: the longest common prefix */
}

static bool select_source(struct ip_addr dst, u32 prefs, u64 now, struct ip_addr *ret)
{
    const struct ip6_addr *best = NULL;
    u32 best_fit = 0;
    bool local = ip6_is_link_local(dst) || (ip_is_group(dst) && ip6_scope(dst) == 2);
    bool want_temporary = prefs != 0 ? (prefs & PREFER_TEMPORARY) != 0 : atomic_load(&ip6_card.use_tempaddr) >= 2;
    for (unsigned i = 0; i < IP6_ADDRS; i++) {
        const struct ip6_addr *a = &ip6_addrs[i];
        u32 fit = a->used ? fitness(a, dst, local, want_temporary, now) : 0;
        /* Of two that fit alike, what lasts longer: the younger temporary address. */
        if (a->used && (best == NULL || fit > best_fit || (fit == best_fit && a->preferred_ns > best->preferred_ns))) {
            best = a;
            best_fit = fit;
        }
    }
    if (best != NULL)
        *ret = best->addr;
    return best != NULL;
}

void ip6_source(struct ip_addr dst, u32 prefs, struct ip_addr *ret)
{
    spin_lock_bh(&six.lock);
    select_source(dst, prefs & (PREFER_TEMPORARY | PREFER_PUBLIC), now_ns(), ret);
    spin_unlock_bh(&six.lock);
}

/* RFC 5014. Of a kind of word at most one; nobody has a home address or one made of a key, so those change nothing. */
int ip6_prefer(struct sock *s, u32 v)
{
    enum { TMP_OR_PUBLIC = PREFER_TEMPORARY | PREFER_PUBLIC, BY_DEFAULT = 0x100, HOME = 0x400, MADE_OF_KEY = 8, NOT_MADE_OF_KEY = 0x800 };
    static const u32 kinds[] = { TMP_OR_PUBLIC | BY_DEFAULT, PREFER_CARE_OF | HOME, MADE_OF_KEY | NOT_MADE_OF_KEY };
    u32 gone = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(kinds); i++) {
        u32 of = v & kinds[i];
        if ((of & (of - 1)) != 0)
            return -EINVAL;
        gone |= of != 0 ? kinds[i] : 0;
    }
    s->src_prefs = (u8)((s->src_prefs & ~gone) | (v & (TMP_OR_PUBLIC | PREFER_CARE_OF)));
    return 0;
}

s32 ip6_preferences(const struct sock *s)
{
    u32 of = s->src_prefs & (PREFER_TEMPORARY | PREFER_PUBLIC);
    return (s32)((of != 0 ? of : 0x100u) | (s->src_prefs & PREFER_CARE_OF ? PREFER_CARE_OF : 0x400u));
}

/* A router that answers goes before others (RFC 4861 6.3.6), then the longest prefix; of routers for the same the preferred one, of these the first. */
static u32 merit(const struct ip6_route *r)
{
    bool answers = ip_is_unspec(r->gateway) || neigh_answers(six.nif, r->gateway);
    return (u32)answers << 16 | (u32)r->plen << 8 | ip6_pref_rank(r->pref);
}

static bool next_hop(struct ip_addr dst, struct ip_addr *ret)
{
    const struct ip6_route *best = NULL;
    u32 best_merit = 0;
    *ret = dst;
    if (ip_is_group(dst) || ip6_is_link_local(dst))
        return true;
    for (unsigned i = 0; i < ARRAY_SIZE(routes); i++) {
        const struct ip6_route *r = &routes[i].r;
        if (!routes[i].used || !ip6_in_prefix(dst, r->dst, r->plen))
            continue;
        u32 m = merit(r);
        if (best == NULL || m > best_merit) {
            best = r;
            best_merit = m;
        }
    }
    if (best == NULL || ip_is_unspec(best->gateway))
        return best != NULL;
    *ret = redirect_gateway(dst, best->gateway);
    if (!neigh_answers(six.nif, *ret))
        *ret = best->gateway;
    return true;
}

int ip6_route_find(struct ip_addr dst, struct ip_addr src, unsigned ifindex, struct ip_route *ret)
{
    bool any = ip_is_any(src);
    bool group = ip_is_group(dst) && ifindex == lo_if.dev->index;
    if (ip6_is_local(dst) || group) {
        ret->nif = &lo_if;
        ret->src = !any ? src : group ? IP6_LOOPBACK : dst;
        ret->nexthop = dst;
        ret->mtu = lo_if.dev->mtu;
        return 0;
    }
    int err = ip6_is_local(IP6_LOOPBACK) ? -ENETUNREACH : -EADDRNOTAVAIL; /* as Linux where IPv6 is disabled on all */
    spin_lock_bh(&six.lock);
    struct netif *nif = six.nif;
    ret->src = src;
    if (nif != NULL && (ifindex == 0 || ifindex == nif->dev->index) && !ip_equal(src, IP6_LOOPBACK) && !ip_equal(dst, IP6_LOOPBACK) &&
        next_hop(dst, &ret->nexthop) && (!any || select_source(dst, 0, now_ns(), &ret->src))) {
        u32 mtu = (u32)atomic_load(&ip6_card.mtu);
        ret->nif = nif;
        ret->mtu = mtu != 0 ? MIN(mtu, nif->dev->mtu) : nif->dev->mtu;
        err = 0;
    }
    spin_unlock_bh(&six.lock);
    if (err == 0)
        ret->mtu = pmtu_lookup(dst, ret->mtu);
    else
        NET_COUNT(ip_no_route);
    return err;
}

/* --- what others see ------------------------------------------------------------------------------ */

unsigned ip6_route_list(struct ip6_route ret[IP6_ROUTES], struct netif **ret_nif)
{
    unsigned n = 0;
    spin_lock_bh(&six.lock);
    *ret_nif = six.nif;
    if (!ip_is_unspec(ip6_link_local()))
        ret[n++] = (struct ip6_route){ .dst = { 0x80feULL, 0 }, .plen = 64, .until_ns = NEVER_NS };
    for (unsigned i = 0; i < ARRAY_SIZE(routes); i++)
        if (routes[i].used)
            ret[n++] = routes[i].r;
    spin_unlock_bh(&six.lock);
    return n;
}

/* A line of /proc/net/ipv6_route. There is no cache, so nothing counts references and uses. */
static void show_route(struct text *t, const struct ip6_route *r, u32 metric, u32 flags, const struct netif *nif)
{
    text_add_hex(t, &r->dst, 16);
    text_add(t, " %02x %032x 00 ", r->plen, 0u);
    text_add_hex(t, &r->gateway, 16);
    text_add(t, " %08x %08x %08x %08x %8s\n", metric, 1u, 0u, flags, nif->dev->name);
}

enum { RTF_UP = 1, RTF_GATEWAY = 2, RTF_DEFAULT = 0x10000, RTF_ADDRCONF = 0x40000, RTF_PREFIX_RT = 0x80000, RTF_NONEXTHOP = 0x200000, RTF_EXPIRES = 0x400000,
       RTF_ROUTEINFO = 0x800000 };
#define RTF_LOCAL 0x80000000u

static u32 flags_of(const struct ip6_route *r)
{
    static const u32 of_kind[] = { [PREFIX] = RTF_PREFIX_RT, [ROUTER] = RTF_GATEWAY | RTF_DEFAULT, [MORE] = RTF_GATEWAY | RTF_ROUTEINFO };
    enum kind kind = kind_of(r);
    if (r->until_ns == NEVER_NS) /* none that a router told of */
        return RTF_UP | (kind == PREFIX ? 0 : RTF_GATEWAY);
    return RTF_UP | RTF_ADDRCONF | RTF_EXPIRES | of_kind[kind] | (u32)r->pref << 27;
}

size_t ip6_show_routes(char *buf, size_t size)
{
    struct text t = { buf, size, 0 };
    struct ip6_route r[IP6_ROUTES], own = { .plen = 128 }, groups = { .dst = { 0xff, 0 }, .plen = 8 };
    struct ip6_addr addrs[IP6_ADDRS];
    struct netif *nif;
    unsigned n = ip6_route_list(r, &nif);
    for (unsigned i = 0; i < n; i++)
        show_route(&t, &r[i], ip_is_unspec(r[i].gateway) ? 256 : 1024, flags_of(&r[i]), nif);
    own.dst = IP6_LOOPBACK;
    if (ip6_is_local(own.dst))
        show_route(&t, &own, 0, RTF_UP | RTF_NONEXTHOP | RTF_LOCAL, &lo_if);
    n = ip6_addr_list(addrs, &nif);
    for (unsigned i = 0; i < n; i++) {
        own.dst = addrs[i].addr;
        show_route(&t, &own, 0, RTF_UP | RTF_NONEXTHOP | RTF_LOCAL, nif);
    }
    if (n > 0)
        show_route(&t, &groups, 256, RTF_UP, nif);
    return t.len;
}
