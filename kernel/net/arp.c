/* SPDX-License-Identifier: Apache-2.0 */
/* ARP (RFC 826): how neigh.c asks for IPv4 neighbours, and answers for us. */
#include "net_impl.h"

struct arp_pkt {
    u16 htype, ptype;
    u8 hlen, plen;
    u16 op;
    u8 sha[6];
    u32 spa;
    u8 tha[6];
    u32 tpa;
} PACKED;
_Static_assert(sizeof(struct arp_pkt) == 28, "RFC 826");

static void send(struct netif *nif, u16 op, const u8 dst[6], const u8 tha[6], u32 spa, u32 tpa)
{
    struct pkt *p = pkt_alloc(NET_HEADROOM, sizeof(struct arp_pkt));
    if (p == NULL) {
        NET_COUNT(no_memory);
        return;
    }
    struct arp_pkt *a = (void *)pkt_put(p, sizeof *a);
    *a = (struct arp_pkt){ be16(1), be16(ETH_IP), 6, 4, be16(op), { 0 }, spa, { 0 }, tpa };
    memcpy(a->sha, nif->dev->mac, 6);
    if (tha != NULL)
        memcpy(a->tha, tha, 6);
    ether_output(nif, dst, ETH_ARP, p);
}

void arp_solicit(struct netif *nif, u32 target, const u8 *mac)
{
    NET_COUNT(arp_requests);
    send(nif, 1, mac != NULL ? mac : ether_broadcast, NULL, nif->addr, target);
}

void arp_input(struct netif *nif, struct pkt *p)
{
    struct arp_pkt a;
    NET_COUNT(arp_in);
    if (pkt_copy_out(p, 0, &a, sizeof a) != sizeof a || a.htype != be16(1) || a.ptype != be16(ETH_IP) || a.hlen != 6 ||
        a.plen != 4 || (a.sha[0] & 1) != 0 || ip_is_multicast(a.spa) || ip_is_loopback(a.spa) || a.spa == IP_BROADCAST) {
        NET_DROP(arp_bad);
        pkt_free(p);
        return;
    }
    pkt_free(p);
    u32 own = nif->addr;
    bool for_us = own != 0 && a.tpa == own;
    if (a.spa == own && own != 0)
        return; /* somebody claims our address: keep it, do not learn from it */
    /* whoever asks for us will be answered next */
    if (a.spa != 0)
        neigh_learn(nif, ip_v4(a.spa), a.sha, NEIGH_OVERRIDE | (for_us && a.op == be16(1) ? NEIGH_CREATE : 0));
    if (for_us && a.op == be16(1))
        send(nif, 2, a.sha, a.sha, own, a.spa);
}

void arp_announce(struct netif *nif) { send(nif, 1, ether_broadcast, NULL, nif->addr, nif->addr); }
