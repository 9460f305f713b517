/* SPDX-License-Identifier: Apache-2.0 */
#include "ip6_peer.h"

static const u8 our_mac[6] = { 2, 0, 0, 0, 0, 2 };

bool next6(struct seen *ret, u64 wait_ns)
{
    struct frame *f = wire_next(wait_ns);
    if (f == NULL)
        return false;
    const struct eth_hdr *e = (const void *)f->data;
    const struct ip6_hdr *h = (const void *)(f->data + ETH_HLEN);
    CHECK_EQ(be16(e->type), ETH_IPV6);
    memset(ret, 0, sizeof *ret);
    memcpy(ret->mac, e->dst, 6);
    memcpy(&ret->src, h->src, 16);
    memcpy(&ret->dst, h->dst, 16);
    ret->next = h->next;
    ret->hops = h->hops;
    ret->len = be16(h->len);
    CHECK_EQ(ret->len + ETH_HLEN + IP6_HLEN, f->len);
    memcpy(ret->l4, h + 1, ret->len);
    ret->type = ret->l4[0];
    if (ret->next != 0 && ret->next != 44)
        CHECK_EQ(csum_fold(csum_add(ret->l4, ret->len, csum_pseudo(csum_ip(ret->src), csum_ip(ret->dst), ret->next, ret->len))), 0);
    frame_free(f);
    return true;
}

void in6(struct ip_addr src, struct ip_addr dst, u8 next, u8 hops, const void *data, u32 len)
{
    static u8 b[4096];
    struct eth_hdr *e = (void *)b;
    struct ip6_hdr *h = (void *)(e + 1);
    memcpy(e->dst, our_mac, 6);
    memcpy(e->src, peer_mac, 6);
    e->type = be16(ETH_IPV6);
    *h = (struct ip6_hdr){ .vtf = be32(6u << 28), .len = be16((u16)len), .next = next, .hops = hops };
    memcpy(h->src, &src, 16);
    memcpy(h->dst, &dst, 16);
    memcpy(h + 1, data, len);
    wire_in(b, ETH_HLEN + IP6_HLEN + len);
}

void icmp_in(struct ip_addr src, struct ip_addr dst, u8 hops, const void *data, u32 len)
{
    u8 b[2048];
    memcpy(b, data, len);
    put_u16(b + 2, 0);
    put_u16(b + 2, csum_fold(csum_add(b, len, csum_pseudo(csum_ip(src), csum_ip(dst), IPPROTO_ICMPV6, len))));
    in6(src, dst, IPPROTO_ICMPV6, hops, b, len);
}

void boot6(u32 features)
{
    struct net_config c = { .mode = NET_STATIC, .address = OUR_IP, .netmask = IP4(255, 255, 255, 0), .gateway = PEER_IP, .eager = true,
                            .prefix6 = 64 };
    CHECK_EQ(net_parse_ipv6("fd00::2", c.address6), 0);
    wire.ipv6 = true;
    net_test_boot_config(features, &c);
}

void advertise(struct ip_addr who, u8 last)
{
    u8 m[32] = { 136, 0, 0, 0, 0x60 };
    memcpy(m + 8, &who, 16);
    m[24] = 2, m[25] = 1;
    memcpy(m + 26, peer_mac, 6);
    m[31] = last;
    icmp_in(who, OUR, 255, m, sizeof m);
}

static void solicit_us(void)
{
    u8 m[32] = { 135 };
    struct ip_addr our = OUR;
    memcpy(m + 8, &our, 16);
    m[24] = 1, m[25] = 1;
    memcpy(m + 26, peer_mac, 6);
    icmp_in(PEER, ip6_solicited_node(OUR), 255, m, sizeof m);
}

void meet(void)
{
    struct seen s;
    while (next6(&s, 10 * NSEC_PER_SEC))
        ;
    solicit_us();
    CHECK(next6(&s, NSEC_PER_MSEC));
    CHECK_EQ(s.type, 136);
}
