/* SPDX-License-Identifier: Apache-2.0 */
/* Ethernet II framing: hand received frames to ARP, IP and IPv6, resolve and frame what goes out. */
#include "net_impl.h"

const u8 ether_broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

static bool mac_equal(const u8 a[6], const u8 b[6])
{
    return ((get_u32(a) ^ get_u32(b)) | (u32)(get_u16(a + 4) ^ get_u16(b + 4))) == 0;
}

void ether_input(struct netdev *d, struct pkt *p)
{
    struct netif *nif = netif_of(d);
    p->dev = d;
    if (unlikely(atomic_load_relaxed(&packet_taps) != 0))
        packet_tap(nif, p, false);
    if (pkt_pull_up(p, ETH_HLEN) != 0) {
        NET_DROP(eth_short);
        goto drop;
    }
    const struct eth_hdr *e = (const void *)p->data;
    /* Frames for other stations reach us where the link floods; a group bit means broadcast or multicast. */
    if ((e->dst[0] & 1) == 0 && !mac_equal(e->dst, d->mac)) {
        NET_DROP(eth_not_ours);
        goto drop;
    }
    p->ethertype = be16(e->type);
    p->l2_off = (u16)pkt_headroom(p);
    pkt_pull(p, ETH_HLEN);
    if (likely(p->ethertype == ETH_IP)) {
        ip_input(nif, p);
        return;
    }
    if (p->ethertype == ETH_IPV6) {
        ip6_input(nif, p);
        return;
    }
    if (p->ethertype == ETH_ARP) {
        arp_input(nif, p);
        return;
    }
    NET_DROP(eth_unknown_type);
drop:
    d->stats.rx_dropped++;
    pkt_free(p);
}

/* The link address of a group: RFC 1112 (the low 23 bits), RFC 2464 7. */
static void group_mac(struct ip_addr a, u8 ret[6])
{
    u32 low = (u32)(a.lo >> 32);
    ret[0] = ret[1] = 0x33;
    memcpy(ret + 2, &low, 4);
    if (ip_is_v4(a))
        ret[0] = 0x01, ret[1] = 0x00, ret[2] = 0x5e, ret[3] &= 0x7f;
}

int ether_output_ip(struct netif *nif, struct ip_addr nexthop, struct pkt *p)
{
    if (nif->loopback)
        return lo_output(p);
    if (unlikely(pkt_headroom(p) < ETH_HLEN)) {
        nif->dev->stats.tx_dropped++;
        pkt_free(p);
        return -ENETDOWN;
    }
    u8 *mac = p->data - ETH_HLEN; /* where it belongs in the frame */
    bool v4 = ip_is_v4(nexthop);
    if (unlikely(v4 && ip_is_broadcast(nif, ip_to_v4(nexthop)))) {
        memcpy(mac, ether_broadcast, 6);
    } else if (unlikely(v4 ? ip_is_multicast(ip_to_v4(nexthop)) : ip_is_group(nexthop))) {
        group_mac(nexthop, mac);
    } else {
        int err = neigh_resolve(nif, nexthop, p, mac);
        if (unlikely(err == -EINPROGRESS))
            return 0;
        if (unlikely(err != 0)) {
            pkt_free(p);
            return err;
        }
    }
    return ether_output_resolved(nif, v4 ? ETH_IP : ETH_IPV6, p);
}
