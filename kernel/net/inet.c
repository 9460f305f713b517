/* SPDX-License-Identifier: Apache-2.0 */
/* What TCP, UDP and raw sockets share: addresses, SOL_IP options (ip(7)), port ranges. */
#include "net_impl.h"

u16 inet_port_low(void) { return 32768; } /* ip_local_port_range of Linux */
u16 inet_port_high(void) { return 60999; }

int inet_addr_in(const struct sock_addr *a, u32 *ret_addr, u16 *ret_port)
{
    struct sockaddr_in_ in;
    if (a->len < sizeof in || a->len > sizeof a->data)
        return -EINVAL;
    memcpy(&in, a->data, sizeof in);
    if (in.family != AF_INET)
        return -EAFNOSUPPORT;
    *ret_addr = in.addr;
    *ret_port = be16(in.port);
    return 0;
}

void inet_addr_out(struct sock_addr *a, u32 addr, u16 port)
{
    struct sockaddr_in_ in = { .family = AF_INET, .port = be16(port), .addr = addr };
    memcpy(a->data, &in, sizeof in);
    a->len = sizeof in;
}

int inet_getname(struct sock *s, bool peer, struct sock_addr *ret)
{
    int err = 0;
    sock_lock(s);
    if (peer && (s->fport == 0 || s->faddr == 0))
        err = -ENOTCONN;
    else if (peer)
        inet_addr_out(ret, s->faddr, s->fport);
    else
        inet_addr_out(ret, s->laddr, s->lport);
    sock_unlock(s);
    return err;
}

bool inet_addr_bindable(const struct sock *s, u32 addr)
{
    if (addr == 0 || ip_is_local(addr) || s->ip_freebind)
        return true;
    if (s->type == SOCK_STREAM)
        return false;
    if (ip_is_multicast(addr) || addr == IP_BROADCAST)
        return true;
    for (unsigned i = 0; i < NETIF_MAX && netifs[i] != NULL; i++)
        if (ip_is_broadcast(netifs[i], addr))
            return true;
    return false;
}

enum {
    IP_TOS = 1, IP_TTL, IP_HDRINCL, IP_OPTIONS, IP_ROUTER_ALERT, IP_RECVOPTS, IP_RETOPTS, IP_PKTINFO, IP_PKTOPTIONS,
    IP_MTU_DISCOVER, IP_RECVERR, IP_RECVTTL, IP_RECVTOS, IP_MTU, IP_FREEBIND,
    IP_BIND_ADDRESS_NO_PORT = 24, IP_MULTICAST_IF = 32, IP_MULTICAST_TTL, IP_MULTICAST_LOOP, IP_ADD_MEMBERSHIP,
    IP_DROP_MEMBERSHIP,
};

/* Integers of SOL_IP also come as one byte. */
static int ip_int_in(const void *val, u32 len, s32 *ret)
{
    if (len >= 4)
        return opt_int_in(val, len, ret);
    if (len == 0)
        return -EINVAL;
    *ret = *(const u8 *)val;
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
    if (index == 0 && addr != 0)
        return -EADDRNOTAVAIL;
    s->mc_if = index;
    return 0;
}

int inet_setopt(struct sock *s, int name, const void *val, u32 len)
{
    s32 v;
    if (name == IP_MULTICAST_IF)
        return set_multicast_if(s, val, len);
    if (name == IP_ADD_MEMBERSHIP || name == IP_DROP_MEMBERSHIP) {
        /* Every multicast packet that the card passes up is delivered to sockets bound to its group. */
        if (len < 8 || !ip_is_multicast(get_u32(val)))
            return -EINVAL;
        return s->type == SOCK_STREAM ? -EPROTO : 0;
    }
    int err = ip_int_in(val, len, &v);
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
        s->ttl = v == -1 ? 64 : (u8)v;
        return 0;
    case IP_MULTICAST_TTL:
        if (v < -1 || v > 255)
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
        s->ip_recverr = v != 0;
        return 0;
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

int inet_getopt(struct sock *s, int name, void *ret_val, u32 *len)
{
    s32 v;
    switch (name) {
    case IP_TOS:
        v = s->tos;
        break;
    case IP_TTL:
        v = s->ttl;
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
        if (s->faddr == 0)
            return -ENOTCONN;
        int err = ip_route_find(s->faddr, s->laddr, s->bound_if, &rt);
        if (err != 0)
            return err;
        v = (s32)rt.mtu;
        break;
    }
    default:
        return -ENOPROTOOPT;
    }
    return opt_int_out(ret_val, len, v);
}

void inet_recv_cmsgs(struct sock *s, const struct pkt *p, struct sock_msg *m, u32 *used)
{
    const struct ip_rx *rx = ip_rx(p);
    if (s->timestamp) {
        u64 t = p->time_ns;
        sock_put_cmsg(m, used, 1, 29, (const s64[2]){ (s64)(t / NSEC_PER_SEC), (s64)(t % NSEC_PER_SEC / 1000) }, 16);
    }
    if (s->recv_flags & INET_PKTINFO)
        sock_put_cmsg(m, used, IPPROTO_IP, IP_PKTINFO, (const u32[3]){ rx->ifindex, rx->dst, rx->dst }, 12);
    if (s->recv_flags & INET_RECVTTL)
        sock_put_cmsg(m, used, IPPROTO_IP, IP_TTL, (const s32[1]){ rx->ttl }, 4);
    if (s->recv_flags & INET_RECVTOS)
        sock_put_cmsg(m, used, IPPROTO_IP, IP_TOS, &rx->tos, 1);
}
