/* SPDX-License-Identifier: Apache-2.0 */
/* ICMPv6 (RFC 4443): echo, errors both ways; neighbour discovery and group queries go on to ip6_nd.c. */
#include "net_impl.h"

#define MIN_MTU 1280u
#define FATAL_UNREACHABLE 0x72u /* codes: prohibited, port, policy, rejected */

static int error_errno(u8 type, u8 code)
{
    static const u8 unreach[] = { ENETUNREACH, EACCES, EHOSTUNREACH, EHOSTUNREACH, ECONNREFUSED, EACCES, EACCES };
    if (type == 1)
        return code < ARRAY_SIZE(unreach) ? unreach[code] : EHOSTUNREACH;
    return type == 2 ? EMSGSIZE : type == 4 ? EPROTO : EHOSTUNREACH;
}

/* The transport header in a quoted packet: its offset behind the IP header, or 0. Fragments behind the first have none. */
static u32 quoted_l4(const u8 *q, u32 n, u8 *ret_proto)
{
    u32 off = IP6_HLEN;
    u8 next = q[6];
    for (unsigned i = 0; i < 4 && (next == 0 || next == 43 || next == 44 || next == 60); i++) {
        if (off + 8 > n || (next == 44 && (get_be16(q + off + 2) & ~7u) != 0))
            return 0;
        u8 h = next;
        next = q[off];
        off += h == 44 ? 8 : (q[off + 1] + 1u) * 8;
    }
    *ret_proto = next;
    return off + 8 <= n ? off : 0;
}

static void error_input(const struct pkt *p, u8 type, u8 code, u32 info)
{
    u32 mtu = info;
    u8 q[IP6_HLEN + 64], proto;
    u32 n = pkt_copy_out(p, sizeof(struct icmp_hdr), q, sizeof q), off;
    struct ip_addr src, dst;
    if (n < IP6_HLEN + 8 || q[0] >> 4 != 6 || (off = quoted_l4(q, n, &proto)) == 0)
        goto bad;
    memcpy(&src, q + 8, sizeof src);
    memcpy(&dst, q + 24, sizeof dst);
    if (!ip6_is_local(src) || ip_is_v4(dst) || ip6_is_local(dst) != ip_equal(src, dst))
        goto bad;
    if (type != 2)
        mtu = 0;
    else if (mtu < MIN_MTU) /* RFC 8201: never below */
        mtu = MIN_MTU;
    if (mtu != 0 && proto == IPPROTO_UDP)
        pmtu_learn(dst, mtu);
    if (proto == IPPROTO_TCP)
        tcp_icmp_error(src, dst, q + off, n - off, error_errno(type, code), type == 1, mtu);
    const struct icmp_quote e = { .src = src, .dst = dst, .l4 = q + off, .p = p, .l4_at = (u32)sizeof(struct icmp_hdr) + off, .info = info,
        .err = error_errno(type, code), .type = type, .code = code, .proto = proto,
        .fatal = type == 4 || (type == 1 && code < 7 && FATAL_UNREACHABLE >> code & 1) };
    if (proto == IPPROTO_UDP)
        udp_icmp_error(&e);
    raw_icmp_error(&e);
    return;
bad:
    NET_DROP(icmp_bad);
}

void icmp6_input(struct netif *nif, struct pkt *p, bool plain)
{
    struct icmp_hdr h;
    const struct ip_rx *rx = ip_rx(p);
    NET_COUNT(icmp6_in);
    if (pkt_copy_out(p, 0, &h, sizeof h) != sizeof h || !csum_ok_l4(p, csum_ip(rx->src), csum_ip(rx->dst), IPPROTO_ICMPV6))
        NET_DROP(icmp_bad);
    else if (h.type == 128 && h.code == 0)
        icmp_echo(p, 129);
    else if (h.type >= 1 && h.type <= 4)
        error_input(p, h.type, h.code, (u32)be16(h.id) << 16 | be16(h.seq));
    else if (!nif->loopback && plain && h.type >= 130 && h.type <= 132) /* RFC 6980: none of these in fragments */
        mld_input(nif, p, h.type);
    else if (!nif->loopback && plain && h.type >= 134 && h.type <= 137 && h.code == 0 && rx->ttl == 255)
        nd_input(nif, p, h.type);
    pkt_free(p);
}

void icmp6_error(const struct pkt *p, u8 type, u8 code, u32 value)
{
    const struct ip_rx *rx = ip_rx(p);
    if (ip_is_unspec(rx->src) || (rx->broadcast && !(type == 4 && code == 2)) || p->l3_off == 0 || !icmp_may_send())
        return; /* RFC 4443 2.4 (e) */
    /* p stands at the IP header, or behind it and all that hlen counts. */
    u32 front = pkt_headroom(p) - p->l3_off;
    u32 quoted = MIN(front + p->total_len, MIN_MTU - IP6_HLEN - (u32)sizeof(struct icmp_hdr));
    struct pkt *r = pkt_alloc(NET_HEADROOM, (u32)sizeof(struct icmp_hdr) + quoted);
    if (r == NULL) {
        NET_COUNT(no_memory);
        return;
    }
    struct icmp_hdr *h = (void *)pkt_put(r, sizeof *h);
    *h = (struct icmp_hdr){ .type = type, .code = code, .id = be16((u16)(value >> 16)), .seq = be16((u16)value) };
    u8 *q = pkt_put(r, quoted);
    memcpy(q, p->store->start + p->l3_off, MIN(front, quoted));
    if (quoted > front)
        pkt_copy_out(p, 0, q + front, quoted - front);
    icmp_send(r, rx->dst, rx->src, 0);
}

void icmp6_send_link(struct netif *nif, struct ip_addr src, struct ip_addr dst, const u8 *mac, struct pkt *p)
{
    struct icmp_hdr *i = (void *)p->data;
    u32 len = p->total_len;
    i->csum = 0;
    i->csum = csum_fold(csum_pkt(p, 0, csum_pseudo(csum_ip(src), csum_ip(dst), IPPROTO_ICMPV6, len)));
    p->l4_off = (u16)pkt_headroom(p);
    struct ip6_hdr *h = (void *)pkt_push(p, IP6_HLEN);
    *h = (struct ip6_hdr){ .vtf = be32(6u << 28), .len = be16((u16)len), .next = IPPROTO_ICMPV6, .hops = 255 };
    memcpy(h->src, &src, sizeof src);
    memcpy(h->dst, &dst, sizeof dst);
    p->l3_off = (u16)pkt_headroom(p);
    NET_COUNT(icmp6_out);
    NET_COUNT(ip6_out);
    if (mac != NULL)
        ether_output(nif, mac, ETH_IPV6, p);
    else
        ether_output_ip(nif, dst, p);
}
