/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtnetlink(7): interfaces, addresses, routes and neighbours, read only; dumps, single interfaces, and the route to an address.
 * Each table is copied first (its lock is never held while messages are made).
 */
#include "netlink_impl.h"

enum {
    RTM_NEWLINK = 16, RTM_GETLINK = 18, RTM_NEWADDR = 20, RTM_GETADDR = 22, RTM_NEWROUTE = 24, RTM_GETROUTE = 26,
    RTM_NEWNEIGH = 28, RTM_GETNEIGH = 30,
};
enum { SCOPE_GLOBAL = 0, SCOPE_LINK = 253, SCOPE_HOST = 254 };
enum { TABLE_MAIN = 254, TABLE_LOCAL = 255 };
enum { PROTO_KERNEL = 2, PROTO_BOOT = 3, PROTO_RA = 9 };
#define AF_BRIDGE 7
#define CAP_NET_ADMIN 12
#define IFF_LOWER_UP 0x10000u
#define RTM_F_CLONED 0x200u
#define RTM_F_LOOKUP_TABLE 0x1000u

struct ifinfomsg {
    u8 family, pad;
    u16 type;
    s32 index;
    u32 flags, change;
};
struct ifaddrmsg {
    u8 family, plen, flags, scope;
    u32 index;
};
struct rtmsg {
    u8 family, dst_len, src_len, tos, table, protocol, scope, type;
    u32 flags;
};
struct ndmsg {
    u8 family, pad;
    u16 pad2;
    s32 index;
    u16 state;
    u8 flags, type;
};

static void attr_ip(struct nl_answer *a, u16 type, struct ip_addr ip)
{
    u32 v4 = ip_to_v4(ip);
    if (ip_is_v4(ip))
        nl_attr(a, type, &v4, 4);
    else
        nl_attr(a, type, &ip, 16);
}

static u8 prefix_length(u32 mask) { return mask == UINT32_MAX ? 32 : (u8)__builtin_clz(~be32(mask)); }

/* --- interfaces ------------------------------------------------------------------------------ */

static void link_stats(struct nl_answer *a, const struct netdev_stats *s)
{
    u64 all[24] = { s->rx_packets, s->tx_packets, s->rx_bytes, s->tx_bytes, s->rx_errors, s->tx_errors, s->rx_dropped, s->tx_dropped };
    u32 half[24];
    for (unsigned i = 0; i < ARRAY_SIZE(all); i++)
        half[i] = (u32)all[i];
    nl_attr(a, 23, all, sizeof all);  /* IFLA_STATS64 */
    nl_attr(a, 7, half, sizeof half); /* IFLA_STATS */
}

void rtnl_tell_link(struct nl_answer *a, const struct netif *nif, u16 flags)
{
    const struct netdev *d = nif->dev;
    static const u8 none[6];
    const u8 operstate = nif->loopback ? 0 : d->link_up ? 6 : 2, mode = 0;
    struct ifinfomsg m = { .type = netif_hw_type(nif), .index = (s32)d->index,
                           .flags = netif_flags(nif) | (d->link_up ? IFF_LOWER_UP : 0) };
    nl_begin(a, RTM_NEWLINK, flags, &m, sizeof m);
    nl_attr(a, 3, d->name, (u32)strlen(d->name) + 1); /* IFLA_IFNAME */
    nl_attr_u32(a, 13, NETIF_TXQLEN);
    nl_attr(a, 16, &operstate, 1);
    nl_attr(a, 17, &mode, 1);
    nl_attr_u32(a, 4, d->mtu);
    nl_attr_u32(a, 27, 0);         /* IFLA_GROUP */
    nl_attr(a, 6, "noqueue", 8);  /* IFLA_QDISC */
    nl_attr(a, 1, nif->loopback ? none : d->mac, 6);
    nl_attr(a, 2, nif->loopback ? none : ether_broadcast, 6);
    struct netdev_stats sum = netdev_stats(d);
    link_stats(a, &sum);
    nl_end(a);
}

static int dump_links(struct nl_answer *a, u8 family)
{
    for (unsigned i = 0; i < NETIF_MAX && netifs[i] != NULL && family != AF_BRIDGE; i++)
        rtnl_tell_link(a, netifs[i], NLM_F_MULTI);
    return 0;
}

static int one_link(struct nl_answer *a, const struct nl_request *r)
{
    struct ifinfomsg m;
    char text[16] = { 0 };
    u32 len;
    if (r->len < sizeof m)
        return -EINVAL;
    memcpy(&m, r->body, sizeof m);
    const u8 *name = nl_attr_find(r, sizeof m, 3, &len);
    if (m.index < 0 || (m.index == 0 && name == NULL))
        return -EINVAL;
    if (m.index == 0)
        memcpy(text, name, MIN(len, (u32)sizeof text - 1));
    const struct netif *nif = m.index > 0 ? netif_by_index((unsigned)m.index) : netif_by_name(text);
    if (nif == NULL)
        return -ENODEV;
    rtnl_tell_link(a, nif, 0);
    return 0;
}

/* --- addresses ------------------------------------------------------------------------------- */

static u32 seconds_left(u64 until_ns, u64 now)
{
    return until_ns == NEVER_NS ? UINT32_MAX : until_ns <= now ? 0 : (u32)((until_ns - now) / NSEC_PER_SEC);
}

void rtnl_tell_addr(struct nl_answer *a, const struct told_addr *t, u16 flags)
{
    const struct netif *nif = t->nif;
    const struct ip6_addr *ip = &t->ip;
    u64 now = now_ns();
    u32 life[4] = { seconds_left(ip->preferred_ns, now), seconds_left(ip->valid_ns, now), 0, 0 };
    u32 state = ip6_addr_flags(ip, now);
    bool v4 = ip_is_v4(ip->addr);
    struct ifaddrmsg m = { v4 ? AF_INET : AF_INET6, ip->plen, (u8)state, t->scope, nif->dev->index };
    nl_begin(a, RTM_NEWADDR, flags, &m, sizeof m);
    attr_ip(a, 1, ip->addr); /* IFA_ADDRESS */
    if (v4) {
        attr_ip(a, 2, ip->addr); /* IFA_LOCAL */
        if (!nif->loopback && ip->plen < 31)
            nl_attr_u32(a, 4, nif->bcast);
        nl_attr(a, 3, nif->dev->name, (u32)strlen(nif->dev->name) + 1); /* IFA_LABEL */
    }
    nl_attr_u32(a, 8, state);
    nl_attr(a, 6, life, sizeof life); /* IFA_CACHEINFO */
    nl_end(a);
}

unsigned rtnl_addrs(struct told_addr ret[TOLD_ADDRS], u8 family)
{
    struct ip6_addr fixed = { .permanent = true, .dad_ns = NEVER_NS, .preferred_ns = NEVER_NS, .valid_ns = NEVER_NS }, six[IP6_ADDRS];
    unsigned n = 0;
    for (unsigned i = 0; i < NETIF_MAX && netifs[i] != NULL && (family == AF_UNSPEC || family == AF_INET); i++) {
        u32 v4 = atomic_load(&netifs[i]->addr);
        fixed.addr = ip_v4(v4);
        fixed.plen = prefix_length(netifs[i]->mask);
        if (v4 != 0)
            ret[n++] = (struct told_addr){ netifs[i], fixed, netifs[i]->loopback ? SCOPE_HOST : SCOPE_GLOBAL };
    }
    if (family != AF_UNSPEC && family != AF_INET6)
        return n;
    fixed.addr = IP6_LOOPBACK;
    fixed.plen = 128;
    if (ip6_is_local(IP6_LOOPBACK))
        ret[n++] = (struct told_addr){ &lo_if, fixed, SCOPE_HOST };
    struct netif *nif;
    unsigned n6 = ip6_addr_list(six, &nif);
    for (unsigned i = 0; i < n6; i++)
        ret[n++] = (struct told_addr){ nif, six[i], ip6_is_link_local(six[i].addr) ? SCOPE_LINK : SCOPE_GLOBAL };
    return n;
}

static int dump_addrs(struct nl_answer *a, u8 family)
{
    struct told_addr all[TOLD_ADDRS];
    unsigned n = rtnl_addrs(all, family);
    for (unsigned i = 0; i < n; i++)
        rtnl_tell_addr(a, &all[i], NLM_F_MULTI);
    return 0;
}

/* --- routes ---------------------------------------------------------------------------------- */

void rtnl_tell_route(struct nl_answer *a, const struct told_route *t, u16 flags)
{
    bool v4 = ip_is_v4(t->dst);
    u8 scope = t->local ? SCOPE_HOST : v4 && ip_is_unspec(t->gateway) && t->flags == 0 ? SCOPE_LINK : SCOPE_GLOBAL;
    struct rtmsg m = { .family = v4 ? AF_INET : AF_INET6, .dst_len = t->plen, .table = t->table,
                       .protocol = t->protocol, .scope = v4 ? scope : SCOPE_GLOBAL, .type = t->local ? 2 : 1, .flags = t->flags };
    nl_begin(a, RTM_NEWROUTE, flags, &m, sizeof m);
    nl_attr_u32(a, 15, m.table);
    if (t->plen != 0)
        attr_ip(a, 1, t->dst);
    if (t->metric != 0)
        nl_attr_u32(a, 6, t->metric);
    nl_attr_u32(a, 4, t->nif->dev->index);
    if (!ip_is_unspec(t->src))
        attr_ip(a, 7, t->src);
    if (!ip_is_unspec(t->gateway))
        attr_ip(a, 5, t->gateway);
    if (!v4 && !t->local)
        nl_attr(a, 20, &t->pref, 1); /* RTA_PREF */
    if (t->flags & RTM_F_CLONED) /* as Linux; nmap does not look at the last attribute */
        nl_attr(a, 12, (u8[32]){ 0 }, 32); /* RTA_CACHEINFO */
    nl_end(a);
}

unsigned rtnl_routes(struct told_route ret[TOLD_ROUTES], u8 family)
{
    unsigned told = 0;
    struct route four[ROUTE_MAX];
    struct ip6_route six[IP6_ROUTES];
    unsigned n = family == AF_UNSPEC || family == AF_INET ? route_list(four, ROUTE_MAX) : 0;
    for (unsigned i = n; i-- > 0;) { /* the default route first, as Linux */
        const struct route *r = &four[i];
        bool via = r->gateway != 0;
        struct told_route t = { .nif = r->nif, .dst = ip_v4(r->dst), .gateway = via ? ip_v4(r->gateway) : IP6_ANY, .metric = r->metric,
                                .plen = prefix_length(r->mask), .protocol = via ? PROTO_BOOT : PROTO_KERNEL, .table = TABLE_MAIN };
        t.src = via && r->src == 0 ? IP6_ANY : ip_v4(r->src != 0 ? r->src : r->nif->addr);
        if (!r->nif->loopback)
            ret[told++] = t;
    }
    struct netif *nif;
    n = family == AF_UNSPEC || family == AF_INET6 ? ip6_route_list(six, &nif) : 0;
    for (unsigned i = 0; i < n; i++) {
        bool via = !ip_is_unspec(six[i].gateway);
        struct told_route t = { .nif = nif, .dst = six[i].dst, .gateway = six[i].gateway, .plen = six[i].plen, .pref = six[i].pref,
                                .metric = via ? 1024 : 256, .protocol = via ? PROTO_RA : PROTO_KERNEL, .table = TABLE_MAIN };
        ret[told++] = t;
    }
    return told;
}

static int dump_routes(struct nl_answer *a, u8 family)
{
    struct told_route *all = kmalloc(TOLD_ROUTES * sizeof *all, 0);
    if (all == NULL)
        return -ENOMEM;
    unsigned n = rtnl_routes(all, family);
    for (unsigned i = 0; i < n; i++)
        rtnl_tell_route(a, &all[i], NLM_F_MULTI);
    kfree(all);
    return 0;
}

static int one_route(struct nl_answer *a, const struct nl_request *r)
{
    struct ip_addr dst;
    struct ip_route found;
    u32 len;
    if (r->len < sizeof(struct rtmsg))
        return -EINVAL;
    u8 family = r->body[0];
    const u8 *d = nl_attr_find(r, sizeof(struct rtmsg), 1, &len);
    if (family != AF_INET && family != AF_INET6)
        return -EOPNOTSUPP;
    if (d == NULL || len != (family == AF_INET ? 4 : 16))
        return -EINVAL;
    if (family == AF_INET)
        dst = ip_v4(get_u32(d));
    else
        memcpy(&dst, d, sizeof dst);
    net_need(dst);
    int err = ip_route_find(dst, family == AF_INET ? ip_v4(0) : IP6_ANY, 0, &found);
    if (err != 0)
        return err;
    struct told_route t = { .nif = found.nif, .dst = dst, .src = found.src, .plen = family == AF_INET ? 32 : 128, .flags = RTM_F_CLONED };
    t.gateway = ip_equal(found.nexthop, dst) ? IP6_ANY : found.nexthop;
    t.local = found.nif->loopback;
    t.table = t.local && (get_u32(r->body + 8) & RTM_F_LOOKUP_TABLE) ? TABLE_LOCAL : TABLE_MAIN; /* else as Linux says */
    rtnl_tell_route(a, &t, 0);
    return 0;
}

/* --- neighbours ------------------------------------------------------------------------------ */

void rtnl_tell_neigh(struct nl_answer *a, const struct neigh_info *e, u16 flags)
{
    struct ndmsg m = { .family = ip_is_v4(e->ip) ? AF_INET : AF_INET6, .index = (s32)e->nif->dev->index, .state = e->state, .type = 1 };
    nl_begin(a, RTM_NEWNEIGH, flags, &m, sizeof m);
    attr_ip(a, 1, e->ip); /* NDA_DST */
    if (e->known)
        nl_attr(a, 2, e->mac, 6); /* NDA_LLADDR */
    nl_end(a);
}

static int dump_neighbours(struct nl_answer *a, u8 family)
{
    struct neigh_info *all = kmalloc(NEIGH_ENTRIES * sizeof *all, 0);
    if (all == NULL)
        return -ENOMEM;
    unsigned n = neigh_list(all);
    for (unsigned i = 0; i < n; i++)
        if (family == AF_UNSPEC || family == (ip_is_v4(all[i].ip) ? AF_INET : AF_INET6))
            rtnl_tell_neigh(a, &all[i], NLM_F_MULTI);
    kfree(all);
    return 0;
}

/* --- requests -------------------------------------------------------------------------------- */

int rtnl_handle(struct nl_answer *a, const struct nl_request *r)
{
    bool dump = (r->flags & NLM_F_DUMP) == NLM_F_DUMP;
    if (r->type < NLMSG_MIN_TYPE)
        return 0; /* NLMSG_NOOP: at most an acknowledgement is wanted */
    if (r->len == 0)
        return -EINVAL;
    u8 family = r->body[0];
    if (r->type % 4 != RTM_GETLINK % 4) /* new, del, set */
        return sock_may(CAP_NET_ADMIN) ? -EOPNOTSUPP : -EPERM;
    if (dump && r->type != RTM_GETLINK)
        net_need(ip_v4(0)); /* who looks for addresses wants to hear of the card's */
    switch (r->type) {
    case RTM_GETLINK:
        return dump ? dump_links(a, family) : one_link(a, r);
    case RTM_GETADDR:
        return dump ? dump_addrs(a, family) : -EOPNOTSUPP;
    case RTM_GETROUTE:
        return dump ? dump_routes(a, family) : one_route(a, r);
    case RTM_GETNEIGH:
        return dump ? dump_neighbours(a, family) : -EOPNOTSUPP;
    default:
        return -EOPNOTSUPP;
    }
}
