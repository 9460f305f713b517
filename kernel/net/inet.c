/* SPDX-License-Identifier: Apache-2.0 */
/* What TCP, UDP and raw sockets share: addresses, SOL_IP and SOL_IPV6 options (ip(7), ipv6(7)), port ranges. */
#include "sock_impl.h"

#define CAP_NET_BIND_SERVICE 10

u16 inet_port_low(void) { return 32768; } /* ip_local_port_range of Linux */
u16 inet_port_high(void) { return 60999; }

u64 ip_pair(struct ip_addr l, struct ip_addr f)
{
    if (likely(ip_is_v4(l)))
        return (u64)ip_to_v4(l) << 32 | ip_to_v4(f);
    return net_siphash(net_secret, net_siphash(net_secret, f.hi, f.lo) ^ l.hi, l.lo);
}

int ip_covers(struct ip_addr own, bool v6only, struct ip_addr a)
{
    if (ip_is_unspec(own))
        return v6only && ip_is_v4(a) ? -1 : 0;
    if (ip_equal(own, ip_v4(0)))
        return ip_is_v4(a) ? 1 : -1;
    return ip_equal(own, a) ? 2 : -1;
}

bool inet_clash(const struct sock *s, const struct sock *by, struct ip_addr addr)
{
    return ip_covers(s->laddr, s->v6only, addr) >= 0 || ip_covers(addr, by->v6only, s->laddr) >= 0;
}

int inet_addr_in(const struct sock *s, const struct sock_addr *a, struct ip_addr *ret_addr, u16 *ret_port)
{
    bool v6 = s->domain == AF_INET6;
    struct sockaddr_in_ in;
    if (a->len < (v6 ? 24 : sizeof in) || a->len > sizeof a->data) /* 24: RFC 2133's, without the scope */
        return -EINVAL;
    memcpy(&in, a->data, sizeof in);
    if (in.family != s->domain)
        return -EAFNOSUPPORT;
    *ret_addr = ip_v4(in.addr);
    if (v6)
        memcpy(ret_addr, a->data + offsetof(struct sockaddr_in6_, addr), sizeof *ret_addr);
    *ret_port = be16(in.port);
    return 0;
}

int inet_dest_in(const struct sock *s, const struct sock_addr *a, struct ip_addr *ret_addr, u16 *ret_port)
{
    struct sockaddr_in_ in;
    int err = 0;
    if (s->domain == AF_INET6 && s->type == SOCK_DGRAM && a->family == AF_INET && a->len >= sizeof in && a->len <= sizeof a->data) { /* UDP takes both */
        memcpy(&in, a->data, sizeof in);
        *ret_addr = ip_v4(in.addr);
        *ret_port = be16(in.port);
    } else {
        err = inet_addr_in(s, a, ret_addr, ret_port);
    }
    if (err == 0 && s->v6only && ip_is_v4(*ret_addr))
        return -ENETUNREACH;
    if (err == 0 && ip_is_any(*ret_addr)) /* "this host", as Linux reads it */
        *ret_addr = !ip_is_v4(s->laddr) && !ip_is_v4(*ret_addr) ? IP6_LOOPBACK : ip_is_v4(*ret_addr) && ip_is_v4(s->laddr) && !ip_is_any(s->laddr) ? s->laddr : ip_v4(IP_LOOPBACK);
    return err;
}

void inet_addr_out(struct sock_addr *a, u32 addr, u16 port)
{
    struct sockaddr_in_ in = { .family = AF_INET, .port = be16(port), .addr = addr };
    memcpy(a->data, &in, sizeof in);
    a->len = sizeof in;
}

void inet_name_out(const struct sock *s, struct sock_addr *a, struct ip_addr addr, u16 port)
{
    struct sockaddr_in6_ in = { .family = AF_INET6, .port = be16(port), .addr = addr };
    if (ip6_is_link_local(addr)) /* of the one card there is */
        in.scope = s->bound_if != 0 || netifs[1] == NULL ? s->bound_if : netifs[1]->dev->index;
    if (s->domain == AF_INET) {
        inet_addr_out(a, ip_to_v4(addr), port);
        return;
    }
    memcpy(a->data, &in, sizeof in);
    a->len = sizeof in;
}

int inet_getname(struct sock *s, bool peer, struct sock_addr *ret)
{
    int err = 0;
    sock_lock(s);
    if (peer && (s->fport == 0 || ip_is_unspec(s->faddr)))
        err = -ENOTCONN;
    else if (peer)
        inet_name_out(s, ret, s->faddr, s->fport);
    else
        inet_name_out(s, ret, s->laddr, s->lport);
    sock_unlock(s);
    return err;
}

static bool bindable(const struct sock *s, struct ip_addr a)
{
    u32 addr = ip_to_v4(a);
    if (ip_is_any(a) || ip_addr_is_local(a) || s->ip_freebind)
        return true;
    if (s->type == SOCK_STREAM || !ip_is_v4(a))
        return s->type != SOCK_STREAM && ip_is_group(a);
    if (ip_is_multicast(addr) || addr == IP_BROADCAST)
        return true;
    for (unsigned i = 0; i < NETIF_MAX && netifs[i] != NULL; i++)
        if (ip_is_broadcast(netifs[i], addr))
            return true;
    return false;
}

int inet_bind_check(const struct sock *s, const struct sock_addr *a, struct ip_addr *ret_addr, u16 *ret_port)
{
    int err = inet_addr_in(s, a, ret_addr, ret_port);
    if (err != 0)
        return err;
    if (s->v6only && ip_is_v4(*ret_addr))
        return -EINVAL;
    net_need(*ret_addr);
    if (!bindable(s, *ret_addr))
        return -EADDRNOTAVAIL;
    bool low = s->type != SOCK_RAW && *ret_port != 0 && *ret_port < 1024;
    return low && !sock_may(CAP_NET_BIND_SERVICE) ? -EACCES : 0;
}

void inet_bound(struct sock *s, struct ip_addr addr)
{
    s->laddr_bound = !ip_is_any(addr);
    if (s->laddr_bound && s->domain == AF_INET6 && !ip_is_v4(addr))
        s->v6only = 1;
}

enum {
    IP_TOS = 1, IP_TTL, IP_HDRINCL, IP_OPTIONS, IP_ROUTER_ALERT, IP_RECVOPTS, IP_RETOPTS, IP_PKTINFO, IP_PKTOPTIONS,
    IP_MTU_DISCOVER, IP_RECVERR, IP_RECVTTL, IP_RECVTOS, IP_MTU, IP_FREEBIND,
    IP_BIND_ADDRESS_NO_PORT = 24, IP_MULTICAST_IF = 32, IP_MULTICAST_TTL, IP_MULTICAST_LOOP,
};
enum {
    IPV6_UNICAST_HOPS = 16, IPV6_MULTICAST_IF, IPV6_MULTICAST_HOPS, IPV6_MULTICAST_LOOP, IPV6_MTU_DISCOVER = 23, IPV6_MTU,
    IPV6_RECVERR, IPV6_V6ONLY, IPV6_RECVPKTINFO = 49, IPV6_PKTINFO, IPV6_RECVHOPLIMIT, IPV6_HOPLIMIT, IPV6_RECVTCLASS = 66,
    IPV6_TCLASS, IPV6_ADDR_PREFERENCES = 72, IPV6_FREEBIND = 78,
};

int inet_route(const struct sock *s, struct ip_addr dst, struct ip_addr src, unsigned ifindex, struct ip_route *ret)
{
    if (unlikely(ip_is_v4(src) && !ip_is_v4(dst)))
        return -EAFNOSUPPORT;
    int err = ip_route_find(dst, src, ifindex, ret);
    if (err == 0 && unlikely(s->src_prefs != 0) && ip_is_any(src) && !ip_is_v4(dst) && !ret->nif->loopback)
        ip6_source(dst, s->src_prefs, &ret->src);
    return err;
}

/* The option of SOL_IP that is the same thing, or 0. */
static int v6_same_as(int name)
{
    static const u8 same[][2] = {
        { IPV6_UNICAST_HOPS, IP_TTL }, { IPV6_MULTICAST_HOPS, IP_MULTICAST_TTL }, { IPV6_MULTICAST_LOOP, IP_MULTICAST_LOOP },
        { IPV6_MTU_DISCOVER, IP_MTU_DISCOVER }, { IPV6_MTU, IP_MTU }, { IPV6_RECVERR, IP_RECVERR },
        { IPV6_RECVPKTINFO, IP_PKTINFO }, { IPV6_RECVHOPLIMIT, IP_RECVTTL }, { IPV6_RECVTCLASS, IP_RECVTOS },
        { IPV6_TCLASS, IP_TOS }, { IPV6_FREEBIND, IP_FREEBIND },
    };
    for (unsigned i = 0; i < ARRAY_SIZE(same); i++)
        if (same[i][0] == name)
            return same[i][1];
    return 0;
}

/* Integers of SOL_IP also come as one byte; most of them as none, which is 0. */
static int ip_int_in(int name, const void *val, u32 len, s32 *ret)
{
    if (len >= 4)
        return opt_int_in(val, len, ret);
    if (len == 0 && (name == IP_TTL || name == IP_FREEBIND || name == IP_MULTICAST_TTL || name == IP_MULTICAST_LOOP))
        return -EINVAL;
    *ret = len == 0 ? 0 : *(const u8 *)val;
    return 0;
}

static int set_multicast_if(struct sock *s, const void *val, u32 len)
{
    u32 addr = 0, index = 0;
    if (len < 4)
        return -EINVAL;
    addr = len >= 8 ? get_u32((const u8 *)val + 4) : get_u32(val);
    if (len >= 12)
        index = get_u32((const u8 *)val + 8);
    for (unsigned i = 0; i < NETIF_MAX && netifs[i] != NULL && index == 0 && addr != 0; i++)
        if (netifs[i]->addr == addr)
            index = netifs[i]->dev->index;
    if (index != 0 ? netif_by_index(index) == NULL : addr != 0)
        return -EADDRNOTAVAIL;
    s->mc_if = (u16)index;
    return 0;
}

int inet_setopt(struct sock *s, int level, int name, const void *val, u32 len)
{
    static const s32 zero;
    s32 v;
    bool v6 = level == IPPROTO_IPV6 && s->domain == AF_INET6;
    if (level == IPPROTO_UDP && s->type == SOCK_DGRAM && len < sizeof v)
        return -EINVAL;
    if (!v6 && level != IPPROTO_IP)
        return -ENOPROTOOPT;
    int err = mc_setopt(s, level, name, val, len);
    if (err != -ENOPROTOOPT)
        return err;
    if (v6) {
        if (v6_same_as(name) == 0 && name != IPV6_V6ONLY && name != IPV6_ADDR_PREFERENCES && name != IPV6_MULTICAST_IF)
            return -ENOPROTOOPT;
        if (s->type == SOCK_STREAM && (name == IPV6_MULTICAST_HOPS || name == IPV6_MULTICAST_IF))
            return -ENOPROTOOPT;
        if ((err = opt_int_in(val, len, &v)) != 0)
            return err;
        if (name == IPV6_MULTICAST_LOOP && v != (v != 0))
            return -EINVAL;
        if (name == IPV6_V6ONLY) {
            if (s->lport != 0)
                return -EINVAL;
            s->v6only = v != 0;
            return 0;
        }
        if (name == IPV6_ADDR_PREFERENCES)
            return ip6_prefer(s, (u32)v);
        if (name == IPV6_MULTICAST_IF) {
            if (v != 0 && netif_by_index((unsigned)v) == NULL)
                return -ENODEV;
            s->mc_if = (u16)v;
            return 0;
        }
        name = v6_same_as(name);
        if (name == IP_TOS && (v < -1 || v > 255))
            return -EINVAL;
        if (v == -1 && name == IP_TOS)
            val = &zero;
    }
    if (name == IP_MULTICAST_IF)
        return set_multicast_if(s, val, len);
    err = ip_int_in(name, val, len, &v);
    if (err != 0)
        return err;
    u8 bit = 0;
    switch (name) {
    case IP_TOS:
        s->tos = (u8)(s->type == SOCK_STREAM ? v & ~3 : v);
        return 0;
    case IP_TTL:
        if (v != -1 && (v < 1 || v > 255))
            return -EINVAL;
        s->ttl = v == -1 ? 0 : (u8)v;
        return 0;
    case IP_MULTICAST_TTL:
        if (v < -1 || v > 255 || (s->type == SOCK_STREAM && level == IPPROTO_IP))
            return -EINVAL;
        s->mc_ttl = v == -1 ? 1 : (u8)v;
        return 0;
    case IP_MULTICAST_LOOP:
        s->mc_loop = v != 0;
        return 0;
    case IP_PKTINFO:
        bit = INET_PKTINFO;
        break;
    case IP_RECVTTL:
        bit = INET_RECVTTL;
        break;
    case IP_RECVTOS:
        bit = INET_RECVTOS;
        break;
    case IP_MTU_DISCOVER:
        if (v < 0 || v > 5)
            return -EINVAL;
        s->pmtu_disc = (u8)v;
        return 0;
    case IP_RECVERR:
        return errors_enable(s, v != 0);
    case IP_FREEBIND:
        s->ip_freebind = v != 0;
        return 0;
    case IP_BIND_ADDRESS_NO_PORT:
        return 0;
    default:
        return -ENOPROTOOPT;
    }
    s->recv_flags = (u8)(v != 0 ? s->recv_flags | bit : s->recv_flags & ~bit);
    return 0;
}

/* The limit where the program sets none. */
static s32 hops_of(const struct sock *s)
{
    struct ip_route rt;
    return ip_is_any(s->faddr) || ip_route_find(s->faddr, s->laddr, s->bound_if, &rt) != 0 ? 64 : ip_hops(rt.nif, s->faddr);
}

int inet_getopt(struct sock *s, int level, int name, void *ret_val, u32 *len)
{
    s32 v;
    bool v6 = level == IPPROTO_IPV6 && s->domain == AF_INET6;
    if (!v6 && level != IPPROTO_IP)
        return s->domain == AF_INET6 || level == SOL_SOCKET || (level == IPPROTO_UDP && s->type == SOCK_DGRAM) ? -ENOPROTOOPT : -EOPNOTSUPP;
    int err = mc_getopt(s, level, name, ret_val, len);
    if (err != -ENOPROTOOPT)
        return err;
    if (v6 && name == IPV6_V6ONLY)
        return opt_int_out(ret_val, len, s->v6only);
    if (v6 && name == IPV6_ADDR_PREFERENCES)
        return (v = ip6_preferences(s)) < 0 ? v : opt_int_out(ret_val, len, v);
    if (v6)
        name = v6_same_as(name);
    switch (name) {
    case IP_TOS:
        v = s->tos;
        break;
    case IP_TTL:
        v = s->ttl != 0 ? s->ttl : hops_of(s);
        break;
    case IP_MULTICAST_TTL:
        v = s->mc_ttl;
        break;
    case IP_MULTICAST_LOOP:
        v = s->mc_loop;
        break;
    case IP_MULTICAST_IF: {
        struct netif *nif = s->mc_if != 0 ? netif_by_index(s->mc_if) : NULL;
        u32 a = nif != NULL ? nif->addr : 0;
        return opt_out(ret_val, len, &a, sizeof a);
    }
    case IP_PKTINFO:
        v = (s->recv_flags & INET_PKTINFO) != 0;
        break;
    case IP_RECVTTL:
        v = (s->recv_flags & INET_RECVTTL) != 0;
        break;
    case IP_RECVTOS:
        v = (s->recv_flags & INET_RECVTOS) != 0;
        break;
    case IP_MTU_DISCOVER:
        v = s->pmtu_disc;
        break;
    case IP_RECVERR:
        v = s->ip_recverr;
        break;
    case IP_FREEBIND:
        v = s->ip_freebind;
        break;
    case IP_OPTIONS:
        *len = 0;
        return 0;
    case IP_MTU: {
        struct ip_route rt;
        if (ip_is_unspec(s->faddr))
            return -ENOTCONN;
        err = ip_route_find(s->faddr, s->laddr, s->bound_if, &rt);
        if (err != 0)
            return err;
        v = (s32)rt.mtu;
        break;
    }
    default:
        return -ENOPROTOOPT;
    }
    if (!v6 && *len != 0 && *len < sizeof v && v >= 0 && v <= 255) /* as one byte, like setsockopt() */
        return opt_out(ret_val, len, &(u8){ (u8)v }, 1);
    return opt_int_out(ret_val, len, v);
}

void inet_recv_cmsgs(struct sock *s, const struct pkt *p, struct sock_msg *m, u32 *used)
{
    const struct ip_rx *rx = ip_rx(p);
    if (s->timestamp) {
        u64 t = p->time_ns;
        sock_put_cmsg(m, used, 1, 29, (const s64[2]){ (s64)(t / NSEC_PER_SEC), (s64)(t % NSEC_PER_SEC / 1000) }, 16);
    }
    if (s->domain == AF_INET6) {
        struct {
            struct ip_addr addr;
            u32 ifindex;
        } PACKED info = { rx->dst, rx->ifindex };
        if (s->recv_flags & INET_PKTINFO)
            sock_put_cmsg(m, used, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
        if (s->recv_flags & INET_RECVTTL)
            sock_put_cmsg(m, used, IPPROTO_IPV6, IPV6_HOPLIMIT, (const s32[1]){ rx->ttl }, 4);
        if (s->recv_flags & INET_RECVTOS)
            sock_put_cmsg(m, used, IPPROTO_IPV6, IPV6_TCLASS, (const s32[1]){ rx->tos }, 4);
        return;
    }
    u32 dst = ip_to_v4(rx->dst);
    if (s->recv_flags & INET_PKTINFO)
        sock_put_cmsg(m, used, IPPROTO_IP, IP_PKTINFO, (const u32[3]){ rx->ifindex, dst, dst }, 12);
    if (s->recv_flags & INET_RECVTTL)
        sock_put_cmsg(m, used, IPPROTO_IP, IP_TTL, (const s32[1]){ rx->ttl }, 4);
    if (s->recv_flags & INET_RECVTOS)
        sock_put_cmsg(m, used, IPPROTO_IP, IP_TOS, &rx->tos, 1);
}

/* A whole number from `min` to 255; *ret stays as it is when it does not come as one. */
static int cmsg_byte(const struct sock_cmsg *c, s32 min, s16 *ret)
{
    s32 v = c->len == 4 ? (s32)get_u32(c->data) : -2;
    if (v < min || v > 255)
        return -EINVAL;
    *ret = (s16)v;
    return 0;
}

static int send_cmsg(const struct sock_cmsg *c, struct dgram_dest *d)
{
    if (c->level == IPPROTO_IP) {
        if (c->type == IP_TTL)
            return cmsg_byte(c, 1, &d->ttl);
        if (c->type == IP_TOS && c->len == 1) {
            d->tos = *c->data;
            return 0;
        }
        if (c->type == IP_TOS)
            return cmsg_byte(c, 0, &d->tos);
        if (c->type != IP_PKTINFO || c->len != 12)
            return -EINVAL;
        d->ifindex = get_u32(c->data);
        d->src = ip_v4(get_u32(c->data + 4));
    } else if (c->level == IPPROTO_IPV6) {
        if (c->type == IPV6_HOPLIMIT)
            return cmsg_byte(c, -1, &d->ttl);
        if (c->type == IPV6_TCLASS)
            return cmsg_byte(c, -1, &d->tos);
        if (c->type != IPV6_PKTINFO || c->len < 20)
            return -EINVAL;
        memcpy(&d->src, c->data, 16);
        d->ifindex = get_u32(c->data + 16);
    }
    return 0;
}

int inet_send_cmsgs(const struct sock_msg *m, struct dgram_dest *d)
{
    struct sock_cmsg c;
    u32 at = 0;
    int err;
    while ((err = sock_next_cmsg(m, &at, &c)) > 0)
        if ((err = send_cmsg(&c, d)) != 0)
            return err;
    return err;
}
