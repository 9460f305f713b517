/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Neighbour discovery (RFC 4861): how neigh.c asks for IPv6 neighbours, our answers, routers.
 * icmp6_input() has checked the checksum, the hop limit of 255 and that it was no fragment.
 */
#include "ip6_impl.h"
#include "sieve.h"

#define ND_MAX 1280u /* bytes of a message that are looked at */
#define ROUTER_SOLICIT 133
#define ROUTER_ADVERT 134
#define NEIGH_SOLICIT 135
#define NEIGH_ADVERT 136
#define REDIRECT 137
#define OPT_SOURCE 1
#define OPT_TARGET 2
#define FLAG_SOLICITED 0x40000000u
#define FLAG_OVERRIDE 0x20000000u
#define ALL_ROUTERS ((struct ip_addr){ 0x02ffULL, 2ULL << 56 })

struct nd_msg { /* of neighbours */
    struct icmp_hdr icmp; /* id and seq: flags */
    struct ip_addr target;
    u8 option, eights, mac[6];
} PACKED;

/* A message of len bytes whose first four of eight are set; NULL = no memory. */
static struct pkt *message(u8 type, u32 len)
{
    struct pkt *p = pkt_alloc(NET_HEADROOM, len);
    if (p == NULL) {
        NET_COUNT(no_memory);
        return NULL;
    }
    struct icmp_hdr *h = (void *)pkt_put(p, len);
    memset(h, 0, len);
    h->type = type;
    return p;
}

static void send_neigh(struct netif *nif, u8 type, u32 flags, struct ip_addr target, bool with_mac, struct ip_addr src, struct ip_addr dst,
                       const u8 *mac)
{
    struct pkt *p = message(type, with_mac ? (u32)sizeof(struct nd_msg) : 24);
    if (p == NULL)
        return;
    u8 *m = p->data;
    put_be32(m + 4, flags);
    memcpy(m + 8, &target, sizeof target);
    if (with_mac) {
        m[24] = type == NEIGH_SOLICIT ? OPT_SOURCE : OPT_TARGET;
        m[25] = 1;
        memcpy(m + 26, nif->dev->mac, 6);
    }
    icmp6_send_link(nif, src, dst, mac, p);
}

/* An address of ours to ask from: of target's kind if there is one. */
static struct ip_addr source_for(struct ip_addr target)
{
    struct ip_addr src = IP6_ANY;
    for (unsigned i = 0; i < IP6_ADDRS; i++)
        if (atomic_load(&ip6_addrs[i].used) &&
            (ip_is_unspec(src) || ip6_is_link_local(ip6_addrs[i].addr) == ip6_is_link_local(target)))
            src = ip6_addrs[i].addr;
    return src;
}

void nd_solicit(struct netif *nif, struct ip_addr target, const u8 *mac)
{
    struct ip_addr src = source_for(target);
    NET_COUNT(nd_requests);
    sieve_peer(target);
    send_neigh(nif, NEIGH_SOLICIT, 0, target, !ip_is_unspec(src), src, mac != NULL ? target : ip6_solicited_node(target), mac);
}

void nd_probe(struct netif *nif, struct ip_addr target)
{
    NET_COUNT(nd_requests);
    send_neigh(nif, NEIGH_SOLICIT, 0, target, false, IP6_ANY, ip6_solicited_node(target), NULL);
}

void nd_router_solicit(struct netif *nif, struct ip_addr src)
{
    bool with_mac = !ip_is_unspec(src);
    struct pkt *p = message(ROUTER_SOLICIT, with_mac ? 16 : 8);
    if (p == NULL)
        return;
    if (with_mac) {
        p->data[8] = OPT_SOURCE;
        p->data[9] = 1;
        memcpy(p->data + 10, nif->dev->mac, 6);
    }
    icmp6_send_link(nif, src, ALL_ROUTERS, NULL, p);
}

/* The link-layer address option of a kind behind the fixed part, checked; false = the options are broken. */
static bool find_mac(const u8 *m, u32 len, u32 at, u8 kind, const u8 **ret)
{
    *ret = NULL;
    while (at < len) {
        u32 size = at + 2 <= len ? m[at + 1] * 8u : 0;
        if (size == 0 || at + size > len)
            return false;
        if (m[at] == kind && size == 8 && (m[at + 2] & 1) == 0)
            *ret = m + at + 2;
        at += size;
    }
    return true;
}

static bool solicit_in(struct netif *nif, const struct ip_rx *rx, const u8 *m, u32 len)
{
    struct ip_addr target;
    const u8 *mac;
    bool probe = ip_is_unspec(rx->src);
    if (len < 24 || !find_mac(m, len, 24, OPT_SOURCE, &mac))
        return false;
    memcpy(&target, m + 8, sizeof target);
    if (ip_is_group(target) || (probe && (mac != NULL || !ip_equal(rx->dst, ip6_solicited_node(target)))))
        return false;
    if (!ip6_is_local(target) || ip_equal(target, IP6_LOOPBACK))
        return true;
    if (probe) { /* somebody is about to take it: it is ours, unless we are trying, too */
        ip6_duplicate(target);
        if (!ip6_is_local(target))
            return true;
    } else if (mac != NULL) {
        neigh_learn(nif, rx->src, mac, NEIGH_CREATE | NEIGH_OVERRIDE);
    }
    struct ip_addr dst = probe ? IP6_ALL_NODES : rx->src;
    send_neigh(nif, NEIGH_ADVERT, (probe ? 0 : FLAG_SOLICITED) | FLAG_OVERRIDE, target, true, target, dst, probe ? NULL : mac);
    return true;
}

static bool advert_in(struct netif *nif, const struct ip_rx *rx, const u8 *m, u32 len)
{
    struct ip_addr target;
    const u8 *mac;
    if (len < 24 || !find_mac(m, len, 24, OPT_TARGET, &mac))
        return false;
    u32 flags = get_be32(m + 4);
    memcpy(&target, m + 8, sizeof target);
    if (ip_is_group(target) || ip_is_v4(target) || ((flags & FLAG_SOLICITED) != 0 && ip_is_group(rx->dst)))
        return false;
    if (ip6_is_local(target))
        ip6_duplicate(target);
    else if (mac != NULL)
        neigh_learn(nif, target, mac, (flags & FLAG_OVERRIDE) != 0 ? NEIGH_OVERRIDE : 0);
    return true;
}

static bool router_in(struct netif *nif, const struct ip_rx *rx, const u8 *m, u32 len)
{
    const u8 *mac;
    if (len < 16 || !ip6_is_link_local(rx->src) || !find_mac(m, len, 16, OPT_SOURCE, &mac))
        return false;
    if (mac != NULL)
        neigh_learn(nif, rx->src, mac, NEIGH_CREATE | NEIGH_OVERRIDE);
    ip6_router_advert(nif, rx->src, m, len);
    return true;
}

/* RFC 4861 8.1, 8.3. The packet that caused it is not looked at: the gateway in use may redirect what it likes. */
static bool redirect_in(struct netif *nif, const struct ip_rx *rx, const u8 *m, u32 len)
{
    struct ip_addr target, dst;
    const u8 *mac;
    if (len < 40 || !atomic_load(&ip6_card.accept_redirects) || !ip6_is_link_local(rx->src) || !find_mac(m, len, 40, OPT_TARGET, &mac))
        return false;
    memcpy(&target, m + 8, sizeof target);
    memcpy(&dst, m + 24, sizeof dst);
    if (ip_is_group(dst) || ip_is_v4(dst) || ip_is_group(target) || !redirect_input(nif, rx->src, dst, target))
        return false;
    if (mac != NULL)
        neigh_learn(nif, target, mac, NEIGH_CREATE | NEIGH_OVERRIDE);
    return true;
}

void nd_input(struct netif *nif, struct pkt *p, u8 type)
{
    u8 m[ND_MAX];
    u32 len = pkt_copy_out(p, 0, m, sizeof m);
    const struct ip_rx *rx = ip_rx(p);
    NET_COUNT(nd_in);
    bool good = p->total_len <= sizeof m && (type == ROUTER_ADVERT   ? router_in(nif, rx, m, len)
                                             : type == NEIGH_SOLICIT ? solicit_in(nif, rx, m, len)
                                             : type == REDIRECT      ? redirect_in(nif, rx, m, len)
                                                                     : advert_in(nif, rx, m, len));
    if (!good)
        NET_COUNT(nd_bad);
}
