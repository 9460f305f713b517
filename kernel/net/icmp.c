/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ICMP (RFC 792, 1122 section 3.2.2): answers echo requests, turns errors into socket
 * errors after checking that the quoted packet could be ours, sends port and protocol
 * unreachable. Everything we send on our own account is limited by one struct net_limit.
 * What both versions share is here, ICMPv6 in icmp6.c.
 */
#include "limit.h"
#include "net_impl.h"

#define FATAL_UNREACHABLE 0xe7ccu /* codes: protocol, port, unknown, isolated, prohibited; not those that may pass */

static struct net_limit limit = { .interval_ns = NSEC_PER_SEC / 1000, .burst_ns = NSEC_PER_SEC / 20 };

bool icmp_may_send(void)
{
    bool ok = net_limit_pass(&limit);
    if (!ok)
        NET_COUNT(icmp_limited);
    return ok;
}

static int icmp_errno(u8 type, u8 code)
{
    static const u8 unreach[] = { ENETUNREACH, EHOSTUNREACH, ENOPROTOOPT, ECONNREFUSED, EMSGSIZE,    EOPNOTSUPP,
                                  ENETUNREACH, EHOSTDOWN,    ENONET,      ENETUNREACH,  EHOSTUNREACH, ENETUNREACH,
                                  EHOSTUNREACH, EHOSTUNREACH, EHOSTUNREACH, EHOSTUNREACH };
    if (type == 3)
        return code < ARRAY_SIZE(unreach) ? unreach[code] : EHOSTUNREACH;
    return type == 12 ? EPROTO : EHOSTUNREACH;
}

void icmp_send(struct pkt *p, struct ip_addr src, struct ip_addr dst, u8 tos)
{
    u8 proto = ip_is_v4(dst) ? IPPROTO_ICMP : IPPROTO_ICMPV6;
    struct ip_tx tx = { .dst = dst, .proto = proto, .tos = tos };
    if (ip_route_find(dst, ip_is_group(src) ? IP6_ANY : src, 0, &tx.rt) != 0) {
        pkt_free(p);
        return;
    }
    tx.src = tx.rt.src;
    tx.ttl = ip_hops(tx.rt.nif, dst);
    struct icmp_hdr *h = (void *)p->data;
    h->csum = 0;
    h->csum = csum_fold(csum_pkt(p, 0, proto == IPPROTO_ICMP ? 0 : csum_pseudo(csum_ip(tx.src), csum_ip(dst), proto, p->total_len)));
    p->csum = PKT_CSUM_NONE;
    if (proto == IPPROTO_ICMP)
        NET_COUNT(icmp_out);
    else
        NET_COUNT(icmp6_out);
    ip_output(p, &tx);
}

/* A new header packet in front of views of the received payload. */
void icmp_echo(const struct pkt *p, u8 type)
{
    const struct ip_rx *rx = ip_rx(p);
    if (ip_is_any(rx->src) || !icmp_may_send())
        return;
    struct icmp_hdr *h;
    struct pkt *r = pkt_clone_behind(NET_HEADROOM + sizeof *h, p, sizeof *h, p->total_len - (u32)sizeof *h);
    if (r == NULL) {
        NET_COUNT(no_memory);
        return;
    }
    h = (void *)pkt_push(r, sizeof *h);
    pkt_copy_out(p, 0, h, sizeof *h);
    h->type = type;
    icmp_send(r, rx->dst, rx->src, rx->tos);
}

/* An error about a packet we sent: the quoted IP header and at least eight bytes follow. */
static void error_input(const struct netif *nif, const struct pkt *p, u8 type, u8 code, u32 mtu, u32 gateway)
{
    u8 q[60 + 20];
    u32 n = pkt_copy_out(p, sizeof(struct icmp_hdr), q, sizeof q);
    const struct ip_hdr *h = (const void *)q;
    if (n < IP_HLEN)
        goto bad;
    u32 hlen = (h->vihl & 15) * 4u;
    if (h->vihl >> 4 != 4 || hlen < IP_HLEN || n < hlen + 8 || (be16(h->frag) & IP_OFFMASK) != 0 || !ip_is_local(h->src))
        goto bad;
    if (type == 3 && code == 4) {
        /* RFC 1191; routers of old leave the MTU out: step below what was sent */
        u32 sent = be16(h->len);
        if (mtu == 0 || mtu >= sent)
            mtu = sent > 1492 ? 1492 : sent > 576 ? 576 : 0;
        if (mtu == 0 || mtu < 68)
            goto bad;
        if (h->proto == IPPROTO_UDP)
            pmtu_learn(ip_v4(h->dst), mtu);
    }
    if (type == 5) {
        if (code > 3 || !redirect_input(nif, ip_rx(p)->src, ip_v4(h->dst), ip_v4(gateway)))
            goto bad;
        return;
    }
    const u8 *l4 = q + hlen;
    u32 left = n - hlen;
    if (h->proto == IPPROTO_TCP)
        tcp_icmp_error(ip_v4(h->src), ip_v4(h->dst), l4, left, icmp_errno(type, code), type == 3,
                       type == 3 && code == 4 ? mtu : 0);
    const struct icmp_quote e = { .src = ip_v4(h->src), .dst = ip_v4(h->dst), .l4 = l4, .p = p, .l4_at = (u32)sizeof(struct icmp_hdr) + hlen,
        .info = type == 12 ? gateway & 255 : type == 3 && code == 4 ? mtu : 0, .err = icmp_errno(type, code), .type = type, .code = code,
        .proto = h->proto, .fatal = type == 12 || (type == 3 && FATAL_UNREACHABLE >> (code & 15) & 1) };
    if (h->proto == IPPROTO_UDP)
        udp_icmp_error(&e);
    raw_icmp_error(&e);
    return;
bad:
    NET_DROP(icmp_bad);
}

void icmp_input(struct netif *nif, struct pkt *p)
{
    struct icmp_hdr h;
    NET_COUNT(icmp_in);
    if (pkt_copy_out(p, 0, &h, sizeof h) != sizeof h || (p->csum == PKT_CSUM_NONE && csum_fold(csum_pkt(p, 0, 0)) != 0)) {
        NET_DROP(icmp_bad);
    } else if (h.type == 8 && h.code == 0) {
        if (!ip_rx(p)->broadcast)
            icmp_echo(p, 0);
    } else if (h.type == 3 || h.type == 5 || h.type == 11 || h.type == 12) {
        if (!ip_rx(p)->broadcast)
            error_input(nif, p, h.type, h.code, be16(h.seq), (u32)h.id | (u32)h.seq << 16);
    }
    pkt_free(p);
}

void icmp_error(struct netif *nif, const struct pkt *p, u8 type, u8 code)
{
    const struct ip_rx *rx = ip_rx(p);
    if (!ip_is_v4(rx->src)) {
        icmp6_error(p, 1, 4, 0); /* a port or protocol that nobody listens to */
        return;
    }
    if (rx->broadcast || ip_is_any(rx->src) || ip_is_group(rx->src) || p->l3_off == 0 || !icmp_may_send())
        return; /* RFC 1122 3.2.2: never about these */
    u32 quoted = rx->hlen + MIN(p->total_len, 512u);
    struct pkt *r = pkt_alloc(NET_HEADROOM, (u32)sizeof(struct icmp_hdr) + quoted);
    if (r == NULL) {
        NET_COUNT(no_memory);
        return;
    }
    struct icmp_hdr *h = (void *)pkt_put(r, sizeof *h);
    *h = (struct icmp_hdr){ .type = type, .code = code };
    u8 *q = pkt_put(r, quoted);
    memcpy(q, p->store->start + p->l3_off, rx->hlen);
    pkt_copy_out(p, 0, q + rx->hlen, quoted - rx->hlen);
    icmp_send(r, rx->dst, rx->src, 0);
}
