/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IPv6 (RFC 8200): headers in and out. Whose addresses there are, and what happens on the link, ip6_addr.c and ip6_nd.c say.
 *
 * Extension headers are walked with bounds: EXT_MAX of them, options understood are padding and the router alert; a routing
 * header with segments left, hop-by-hop options anywhere but in front, and a first fragment without the whole chain
 * (RFC 7112) are refused. Mapped addresses on a wire would be IPv4 to us, so they are dropped.
 */
#include "net_impl.h"

#define EXT_MAX 8u
#define NEXT_HOP 0
#define NEXT_ROUTING 43
#define NEXT_FRAGMENT 44
#define NEXT_NONE 59
#define NEXT_DEST 60

struct frag_hdr {
    u8 next, reserved;
    u16 off; /* in eights of bytes << 3 | more */
    u32 id;
} PACKED;

static u32 frag_id; /* atomic; starts at a random value */

u32 csum_ip6(struct ip_addr a)
{
    u64 s = (a.hi >> 32) + (u32)a.hi + (a.lo >> 32) + (u32)a.lo;
    s = (u32)s + (s >> 32);
    return (u32)s + (u32)(s >> 32);
}

/* --- in ------------------------------------------------------------------------------------ */

/* Where the walk over the headers stands. */
struct walk {
    u32 off;          /* of what `next` names, from the IP header */
    u32 next_at;      /* of the byte that named it */
    u8 next;
    bool fragment;    /* p is a piece, or was put together */
};

/* The options of one header: true = go on. */
static bool options_ok(const struct pkt *p, u32 at, u32 end)
{
    while (at < end) {
        u8 o[2] = { 0, 0 };
        if (pkt_copy_out(p, at, o, 1) != 1)
            return false;
        if (o[0] == 0) { /* Pad1 */
            at++;
            continue;
        }
        if (at + 2 > end || pkt_copy_out(p, at, o, 2) != 2 || at + 2 + o[1] > end)
            return false;
        if (o[0] != 1 && o[0] != 5 && (o[0] >> 6) != 0) { /* PadN, router alert, what may be skipped */
            if (o[0] >> 6 == 2 || (o[0] >> 6 == 3 && !ip_rx(p)->broadcast))
                icmp6_error(p, 4, 2, at);
            NET_DROP(ip_bad_options);
            return false;
        }
        at += 2u + o[1];
    }
    return true;
}

static bool routing_ok(const struct pkt *p, const struct walk *w)
{
    u8 segments = 0;
    if (pkt_copy_out(p, w->off + 3, &segments, 1) == 1 && segments == 0)
        return true;
    NET_DROP(ip_bad_options);
    icmp6_error(p, 4, 0, w->off + 2);
    return false;
}

static bool is_ext(u8 next) { return next == NEXT_HOP || next == NEXT_ROUTING || next == NEXT_FRAGMENT || next == NEXT_DEST; }

/* Is the whole chain of headers in this first piece? */
static bool chain_complete(const struct pkt *p, struct walk w)
{
    for (unsigned i = 0; i < EXT_MAX && is_ext(w.next); i++) {
        u8 h[2];
        if (w.next == NEXT_FRAGMENT || pkt_copy_out(p, w.off, h, 2) != 2)
            return false;
        w.off += (h[1] + 1u) * 8;
        w.next = h[0];
    }
    u32 need = w.next == IPPROTO_TCP ? 20 : w.next == IPPROTO_UDP || w.next == IPPROTO_ICMPV6 ? 8 : 0;
    return p->total_len >= w.off + need;
}

/* A fragment header: the whole datagram, or NULL. p stands at the IP header. */
static struct pkt *take_fragment(struct pkt *p, struct walk *w)
{
    struct frag_hdr f;
    if (pkt_copy_out(p, w->off, &f, sizeof f) != sizeof f)
        goto bad;
    u32 off = be16(f.off) & ~7u;
    bool more = (be16(f.off) & 1) != 0;
    w->next = f.next;
    w->next_at = w->off;
    w->off += (u32)sizeof f;
    w->fragment = true;
    if (off == 0 && !more) /* RFC 6946: alone, whatever else has its number */
        return p;
    if (w->off > 255 || (off == 0 && !chain_complete(p, *w)))
        goto bad;
    if (pkt_pull_up(p, w->off) != 0)
        goto bad;
    struct ip_rx *rx = ip_rx(p);
    const struct frag_key key = { rx->src, rx->dst, f.id, IPPROTO_IPV6 };
    rx->hlen = (u8)w->off;
    p = frag_input(&key, p, off, more);
    if (p != NULL) { /* the first piece says what comes next */
        w->off = ip_rx(p)->hlen;
        w->next_at = w->off - (u32)sizeof f;
        w->next = p->data[w->next_at];
    }
    return p;
bad:
    NET_DROP(ip_frag_bad);
    pkt_free(p);
    return NULL;
}

/* Walk to the upper protocol; takes p when NULL is the answer. */
static struct pkt *walk_headers(struct pkt *p, struct walk *w)
{
    for (unsigned n = 0; is_ext(w->next); n++) {
        u8 h[2];
        if (n == EXT_MAX || (w->next == NEXT_HOP && n != 0))
            goto bad;
        if (w->next == NEXT_FRAGMENT) {
            p = w->fragment ? p : take_fragment(p, w);
            if (p == NULL)
                return NULL;
            if (w->next == NEXT_FRAGMENT) /* one inside another */
                goto bad;
            continue;
        }
        if (pkt_copy_out(p, w->off, h, 2) != 2)
            goto bad;
        u32 end = w->off + (h[1] + 1u) * 8;
        if (end > p->total_len || end > 255)
            goto bad;
        if (w->next == NEXT_ROUTING ? !routing_ok(p, w) : !options_ok(p, w->off + 2, end))
            goto drop;
        w->next_at = w->off;
        w->off = end;
        w->next = h[0];
    }
    return p;
bad:
    NET_DROP(ip_bad_header);
drop:
    pkt_free(p);
    return NULL;
}

static bool addresses_ok(const struct netif *nif, const struct ip_rx *rx)
{
    if (ip_is_group(rx->src) || ip_is_unspec(rx->dst) || ip_is_v4(rx->src) || ip_is_v4(rx->dst))
        return false;
    if (nif->loopback)
        return ip6_is_local(rx->src) && (rx->broadcast ? mc_accepts(nif, rx->dst, rx->src) : ip6_is_local(rx->dst));
    return !ip_equal(rx->src, IP6_LOOPBACK) && !ip_equal(rx->dst, IP6_LOOPBACK);
}

static void deliver(struct netif *nif, struct pkt *p, const struct walk *w)
{
    NET_COUNT(ip6_delivers);
    if (likely(w->next == IPPROTO_TCP)) {
        raw_tcp_input(nif, p);
        if (ip_rx(p)->broadcast || ip_is_unspec(ip_rx(p)->src))
            pkt_free(p);
        else
            tcp_rx(nif, p);
        return;
    }
    if (unlikely(filter_on != 0) && !nif->loopback && !filter_dgram_in(nif, p, w->next)) {
        pkt_free(p);
        return;
    }
    bool wanted = raw_input(nif, p, w->next);
    if (w->next == IPPROTO_UDP) {
        udp_input(nif, p);
        return;
    }
    if (w->next == IPPROTO_ICMPV6) {
        icmp6_input(nif, p, !w->fragment);
        return;
    }
    if (!wanted && w->next != NEXT_NONE) {
        NET_DROP(ip_unknown_protocol);
        icmp6_error(p, 4, 1, w->next_at);
    }
    pkt_free(p);
}

void ip6_input(struct netif *nif, struct pkt *p)
{
    NET_COUNT(ip6_in);
    if (pkt_pull_up(p, IP6_HLEN) != 0)
        goto bad;
    const struct ip6_hdr *h = (const void *)p->data;
    u32 vtf = be32(h->vtf), total = IP6_HLEN + be16(h->len);
    struct walk w = { .off = IP6_HLEN, .next_at = 6, .next = h->next };
    if (vtf >> 28 != 6 || total > p->total_len)
        goto bad;
    struct ip_rx *rx = ip_rx(p);
    *rx = (struct ip_rx){ .ttl = h->hops, .tos = (u8)(vtf >> 20), .hlen = IP6_HLEN, .ifindex = (u16)nif->dev->index };
    memcpy(&rx->src, h->src, sizeof rx->src);
    memcpy(&rx->dst, h->dst, sizeof rx->dst);
    rx->broadcast = ip_is_group(rx->dst);
    if (!addresses_ok(nif, rx)) {
        NET_DROP(ip_bad_address);
        goto drop;
    }
    if (!nif->loopback && !ip6_accepts(rx->dst) && !(rx->broadcast && mc_accepts(nif, rx->dst, rx->src))) {
        NET_DROP(ip_not_ours);
        goto drop;
    }
    if (p->total_len > total)
        pkt_trim(p, total);
    p->l3_off = (u16)pkt_headroom(p);
    if (unlikely(is_ext(w.next)) && (p = walk_headers(p, &w)) == NULL)
        return;
    if (w.off > p->total_len)
        goto bad;
    if (unlikely(w.off > IP6_HLEN) && pkt_pull_up(p, w.off) != 0)
        goto bad;
    p->l3_off = (u16)pkt_headroom(p);
    pkt_pull(p, w.off);
    ip_rx(p)->hlen = (u8)w.off;
    p->l4_off = (u16)pkt_headroom(p);
    deliver(nif, p, &w);
    return;
bad:
    NET_DROP(ip_bad_header);
drop:
    pkt_free(p);
}

/* --- out ----------------------------------------------------------------------------------- */

static int output_one(struct pkt *p, const struct ip_tx *tx, u8 next)
{
    u32 len = p->total_len;
    struct ip6_hdr *h = (void *)pkt_push(p, IP6_HLEN);
    h->vtf = be32(6u << 28 | (u32)tx->tos << 20);
    h->len = be16((u16)len);
    h->next = next;
    h->hops = tx->ttl;
    memcpy(h->src, &tx->src, sizeof h->src);
    memcpy(h->dst, &tx->dst, sizeof h->dst);
    p->l3_off = (u16)pkt_headroom(p);
    NET_COUNT(ip6_out);
    return ether_output_ip(tx->rt.nif, tx->rt.nexthop, p);
}

/* Cut p (at the transport header, checksum complete) into fragments of at most mtu bytes. */
static int output_fragments(struct pkt *p, const struct ip_tx *tx)
{
    u32 step = ALIGN_DOWN(tx->rt.mtu - IP6_HLEN - (u32)sizeof(struct frag_hdr), 8u), total = p->total_len;
    if (atomic_load_relaxed(&frag_id) == 0)
        atomic_add(&frag_id, (u32)random_u64() | 1);
    u32 id = __atomic_add_fetch(&frag_id, 1, __ATOMIC_RELAXED);
    int err = 0;
    for (u32 off = 0; off < total && err == 0; off += step) {
        u32 n = MIN(step, total - off);
        struct pkt *f = pkt_clone_behind(NET_HEADROOM, p, off, n);
        if (f == NULL) {
            NET_COUNT(no_memory);
            err = -ENOBUFS;
            break;
        }
        struct frag_hdr *h = (void *)pkt_push(f, sizeof *h);
        *h = (struct frag_hdr){ .next = tx->proto, .off = be16((u16)(off | (off + n < total))), .id = be32(id) };
        NET_COUNT(ip_frag_created);
        err = output_one(f, tx, NEXT_FRAGMENT);
    }
    pkt_free(p);
    return err;
}

int ip6_output(struct pkt *p, const struct ip_tx *tx)
{
    if (unlikely(p->total_len + IP6_HLEN > tx->rt.mtu && p->gso == PKT_GSO_NONE)) {
        if (tx->df || p->total_len > 65535) {
            NET_COUNT(ip_too_big);
            pkt_free(p);
            return -EMSGSIZE;
        }
        csum_complete(p, tx);
        return output_fragments(p, tx);
    }
    p->l4_off = (u16)pkt_headroom(p);
    return output_one(p, tx, tx->proto);
}
