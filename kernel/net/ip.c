/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IPv4 (RFC 791, 1122). Input checks every field before the packet is believed; output
 * fills in the header, picks the link and fragments what does not fit.
 * There is no forwarding: what is not for this machine is dropped.
 */
#include "net_impl.h"

static u32 ip_id; /* atomic; starts at a random value */

u16 ip_next_id(void)
{
    if (unlikely(atomic_load_relaxed(&ip_id) == 0))
        atomic_add(&ip_id, (u32)random_u64() | 1);
    return (u16)__atomic_add_fetch(&ip_id, 1, __ATOMIC_RELAXED);
}

/* Walk the options; loose and strict source routes are refused (RFC 6274), the rest is ignored. */
static bool options_ok(const u8 *o, u32 len)
{
    while (len > 0) {
        if (o[0] == 0)
            return true;
        u32 n = 1;
        if (o[0] != 1) {
            if (len < 2 || o[1] < 2 || o[1] > len)
                return false;
            if (o[0] == 131 || o[0] == 137)
                return false;
            n = o[1];
        }
        o += n;
        len -= n;
    }
    return true;
}

static bool addresses_ok(const struct netif *nif, u32 src, u32 dst)
{
    if (src == IP_BROADCAST || ip_is_multicast(src) || dst == 0)
        return false;
    if (!nif->loopback && (ip_is_loopback(src) || ip_is_loopback(dst)))
        return false;
    if (src == 0)
        return dst == IP_BROADCAST || (dst & IP4(255, 255, 255, 0)) == IP4(224, 0, 0, 0); /* a DHCP client's; a switch's that asks for groups */
    return nif->loopback || !ip_is_broadcast(nif, src);
}

void ip_input(struct netif *nif, struct pkt *p)
{
    NET_COUNT(ip_in);
    if (unlikely(pkt_pull_up(p, IP_HLEN) != 0))
        goto bad;
    const struct ip_hdr *h = (const void *)p->data;
    u32 hlen = (h->vihl & 15) * 4u, total = be16(h->len);
    if (unlikely(h->vihl >> 4 != 4 || hlen < IP_HLEN || total < hlen || total > p->total_len))
        goto bad;
    if (unlikely(hlen > IP_HLEN)) {
        if (pkt_pull_up(p, hlen) != 0)
            goto bad;
        h = (const void *)p->data;
        if (!options_ok(p->data + IP_HLEN, hlen - IP_HLEN)) {
            NET_DROP(ip_bad_options);
            goto drop;
        }
    }
    if (likely(!nif->loopback || p->csum == PKT_CSUM_NONE) && (hlen == IP_HLEN ? csum_ip_header(h) : csum_fold(csum_add(h, hlen, 0))) != 0) {
        NET_DROP(ip_bad_checksum);
        goto drop;
    }
    u32 src = h->src, dst = h->dst;
    if (unlikely(!addresses_ok(nif, src, dst))) {
        NET_DROP(ip_bad_address);
        goto drop;
    }
    bool broadcast = false;
    if (likely(dst == nif->addr)) {
        ;
    } else if (ip_is_broadcast(nif, dst) || (ip_is_multicast(dst) && (h->proto == IPPROTO_IGMP || mc_accepts(nif, ip_v4(dst), ip_v4(src))))) {
        broadcast = true;
    } else if (ip_is_multicast(dst) || (!ip_is_local(dst) && !(h->proto == IPPROTO_UDP && dhcp_active(nif)))) {
        NET_DROP(ip_not_ours);
        goto drop;
    }
    if (p->total_len > total)
        pkt_trim(p, total); /* link padding */
    *ip_rx(p) = (struct ip_rx){ .src = ip_v4(src),
                                .dst = ip_v4(dst),
                                .ttl = h->ttl,
                                .tos = h->tos,
                                .hlen = (u8)hlen,
                                .broadcast = broadcast,
                                .ifindex = (u16)nif->dev->index };
    if (unlikely((be16(h->frag) & (IP_MF | IP_OFFMASK)) != 0)) {
        const struct frag_key key = { ip_v4(src), ip_v4(dst), h->id, h->proto };
        u16 f = be16(h->frag);
        p = frag_input(&key, p, (f & IP_OFFMASK) * 8u, (f & IP_MF) != 0);
        if (p == NULL)
            return;
        h = (const void *)p->data; /* the first piece's, whose options may be others */
        hlen = ip_rx(p)->hlen;
    }
    u8 proto = h->proto;
    p->l3_off = (u16)pkt_headroom(p);
    pkt_pull(p, hlen);
    p->l4_off = (u16)pkt_headroom(p);
    NET_COUNT(ip_delivers);
    if (likely(proto == IPPROTO_TCP)) {
        raw_tcp_input(nif, p);
        if (broadcast)
            goto drop;
        tcp_rx(nif, p);
        return;
    }
    if (unlikely(filter_on != 0) && !nif->loopback && !filter_dgram_in(nif, p, proto))
        goto drop;
    bool wanted = raw_input(nif, p, proto);
    if (proto == IPPROTO_UDP) {
        udp_input(nif, p);
        return;
    }
    if (proto == IPPROTO_IGMP) {
        igmp_input(nif, p);
        return;
    }
    if (proto == IPPROTO_ICMP) {
        icmp_input(nif, p);
        return;
    }
    if (!wanted) {
        NET_DROP(ip_unknown_protocol);
        icmp_error(nif, p, 3, 2);
    }
drop:
    pkt_free(p);
    return;
bad:
    NET_DROP(ip_bad_header);
    pkt_free(p);
}

void ip_put_header(struct pkt *p, const struct ip_tx *tx, u16 id, u16 frag)
{
    struct ip_hdr *h = (void *)pkt_push(p, IP_HLEN);
    h->vihl = 0x45;
    h->tos = tx->tos;
    h->len = be16((u16)p->total_len);
    h->id = be16(id);
    h->frag = be16(frag);
    h->ttl = tx->ttl;
    h->proto = tx->proto;
    h->csum = 0;
    h->src = ip_to_v4(tx->src);
    h->dst = ip_to_v4(tx->dst);
    h->csum = csum_ip_header(h);
    p->l3_off = (u16)pkt_headroom(p);
}

/* Cut p (at the transport header, checksum complete) into fragments of at most mtu bytes. */
static int output_fragments(struct pkt *p, const struct ip_tx *tx)
{
    u32 step = ALIGN_DOWN(tx->rt.mtu - IP_HLEN, 8u), total = p->total_len;
    u16 id = ip_next_id();
    int err = 0;
    for (u32 off = 0; off < total && err == 0; off += step) {
        u32 n = MIN(step, total - off);
        struct pkt *f = pkt_clone_behind(NET_HEADROOM, p, off, n);
        if (f == NULL) {
            NET_COUNT(no_memory);
            err = -ENOBUFS;
            break;
        }
        ip_put_header(f, tx, id, (u16)(off / 8 | (off + n < total ? IP_MF : 0)));
        NET_COUNT(ip_frag_created);
        NET_COUNT(ip_out);
        err = ether_output_ip(tx->rt.nif, tx->rt.nexthop, f);
    }
    pkt_free(p);
    return err;
}

void csum_complete(struct pkt *p, const struct ip_tx *tx)
{
    if (p->csum == PKT_CSUM_NONE)
        return;
    u32 field = p->csum_offset;
    put_u16(p->data + field, 0);
    u16 sum = csum_fold(csum_pkt(p, 0, csum_pseudo(csum_ip(tx->src), csum_ip(tx->dst), tx->proto, p->total_len)));
    put_u16(p->data + field, sum == 0 && tx->proto == IPPROTO_UDP ? 0xffff : sum);
    p->csum = PKT_CSUM_NONE;
}

int ip_output(struct pkt *p, const struct ip_tx *tx)
{
    if (unlikely(!ip_is_v4(tx->dst)))
        return ip6_output(p, tx);
    if (unlikely(p->total_len > 65535 - IP_HLEN)) {
        pkt_free(p);
        return -EMSGSIZE;
    }
    if (unlikely(p->total_len + IP_HLEN > tx->rt.mtu && p->gso == PKT_GSO_NONE)) {
        if (tx->df) {
            NET_COUNT(ip_too_big);
            pkt_free(p);
            return -EMSGSIZE;
        }
        csum_complete(p, tx);
        return output_fragments(p, tx);
    }
    p->l4_off = (u16)pkt_headroom(p);
    ip_put_header(p, tx, ip_next_id(), tx->df ? IP_DF : 0);
    NET_COUNT(ip_out);
    return ether_output_ip(tx->rt.nif, tx->rt.nexthop, p);
}
