/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IPv6 (RFC 8200) as far as a machine without IPv6 on its wires has it: the one address ::1
 * on the loopback interface. No extension headers are made, so none are read; a datagram
 * that does not fit the link is refused.
 */
#include "net_impl.h"

u32 csum_ip6(struct ip_addr a)
{
    u64 s = (a.hi >> 32) + (u32)a.hi + (a.lo >> 32) + (u32)a.lo;
    s = (u32)s + (s >> 32);
    return (u32)s + (u32)(s >> 32);
}

void ip6_input(struct netif *nif, struct pkt *p)
{
    NET_COUNT(ip_in);
    if (pkt_pull_up(p, IP6_HLEN) != 0)
        goto bad;
    const struct ip6_hdr *h = (const void *)p->data;
    u32 vtf = be32(h->vtf), total = IP6_HLEN + be16(h->len);
    u8 next = h->next;
    if (vtf >> 28 != 6 || total > p->total_len)
        goto bad;
    struct ip_rx *rx = ip_rx(p);
    *rx = (struct ip_rx){ .ttl = h->hops, .tos = (u8)(vtf >> 20), .hlen = IP6_HLEN, .ifindex = (u16)nif->dev->index };
    memcpy(&rx->src, h->src, sizeof rx->src);
    memcpy(&rx->dst, h->dst, sizeof rx->dst);
    if (!nif->loopback || !ip_equal(rx->src, IP6_LOOPBACK) || !ip_equal(rx->dst, IP6_LOOPBACK)) {
        NET_COUNT(ip_bad_address);
        pkt_free(p);
        return;
    }
    pkt_trim(p, total);
    p->l3_off = (u16)pkt_headroom(p);
    pkt_pull(p, IP6_HLEN);
    p->l4_off = (u16)pkt_headroom(p);
    NET_COUNT(ip_delivers);
    if (next == IPPROTO_TCP) {
        tcp_rx(nif, p);
    } else if (next == IPPROTO_UDP) {
        udp_input(nif, p);
    } else if (next == IPPROTO_ICMPV6) {
        icmp6_input(p);
    } else {
        NET_COUNT(ip_unknown_protocol);
        pkt_free(p);
    }
    return;
bad:
    NET_COUNT(ip_bad_header);
    pkt_free(p);
}

int ip6_output(struct pkt *p, const struct ip_tx *tx)
{
    u32 len = p->total_len;
    if (len + IP6_HLEN > tx->rt.mtu) {
        NET_COUNT(ip_too_big);
        pkt_free(p);
        return -EMSGSIZE;
    }
    p->l4_off = (u16)pkt_headroom(p);
    struct ip6_hdr *h = (void *)pkt_push(p, IP6_HLEN);
    h->vtf = be32(6u << 28 | (u32)tx->tos << 20);
    h->len = be16((u16)len);
    h->next = tx->proto;
    h->hops = tx->ttl;
    memcpy(h->src, &tx->src, sizeof h->src);
    memcpy(h->dst, &tx->dst, sizeof h->dst);
    p->l3_off = (u16)pkt_headroom(p);
    NET_COUNT(ip_out);
    return ether_output_ip(tx->rt.nif, 0, p);
}
