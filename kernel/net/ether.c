/* SPDX-License-Identifier: Apache-2.0 */
/* Ethernet II framing: hand received frames to ARP and IP, resolve and frame what goes out. */
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
    if (pkt_pull_up(p, ETH_HLEN) != 0) {
        NET_COUNT(eth_short);
        goto drop;
    }
    const struct eth_hdr *e = (const void *)p->data;
    /* Frames for other stations reach us where the link floods; a group bit means broadcast or multicast. */
    if ((e->dst[0] & 1) == 0 && !mac_equal(e->dst, d->mac)) {
        NET_COUNT(eth_not_ours);
        goto drop;
    }
    p->ethertype = be16(e->type);
    p->l2_off = (u16)pkt_headroom(p);
    pkt_pull(p, ETH_HLEN);
    if (likely(p->ethertype == ETH_IP)) {
        ip_input(nif, p);
        return;
    }
    if (p->ethertype == ETH_ARP) {
        arp_input(nif, p);
        return;
    }
    NET_COUNT(eth_unknown_type);
drop:
    d->stats.rx_dropped++;
    pkt_free(p);
}

int ether_output_ip(struct netif *nif, u32 nexthop, struct pkt *p)
{
    if (nif->loopback)
        return lo_output(p);
    u8 mac[6];
    if (nexthop == IP_BROADCAST || ip_is_broadcast(nif, nexthop)) {
        memcpy(mac, ether_broadcast, 6);
    } else if (ip_is_multicast(nexthop)) { /* RFC 1112: the low 23 bits */
        u32 a = be32(nexthop);
        mac[0] = 0x01, mac[1] = 0x00, mac[2] = 0x5e;
        mac[3] = (u8)(a >> 16 & 0x7f), mac[4] = (u8)(a >> 8), mac[5] = (u8)a;
    } else {
        int err = arp_resolve(nif, nexthop, p, mac);
        if (err == -EINPROGRESS)
            return 0;
        if (err != 0) {
            pkt_free(p);
            return err;
        }
    }
    return ether_output(nif, mac, ETH_IP, p);
}
