/* SPDX-License-Identifier: Apache-2.0 */
/* The packet filter: its words, prefixes, flows and their time. */
#include "net_test.h"

static struct ip_addr v6(const char *text)
{
    struct ip_addr a;
    CHECK_EQ(net_parse_ipv6(text, (u8 *)&a), 0);
    return a;
}

static bool tcp_from(struct ip_addr src, u16 port)
{
    struct ip_rx rx = { .src = src, .dst = ip_v4(OUR_IP) };
    return filter_tcp_in(netif_of(&test_dev), &rx, port);
}

static struct netif *card(void) { return netif_of(&test_dev); }

/* A UDP datagram's ports, as they come in from src. */
static bool udp_from(struct ip_addr src, u16 sport, u16 dport)
{
    struct pkt *p = pkt_alloc(0, 8);
    u8 *h = pkt_put(p, 8);
    put_be16(h, sport);
    put_be16(h + 2, dport);
    *ip_rx(p) = (struct ip_rx){ .src = src, .dst = ip_v4(OUR_IP), .ifindex = (u16)test_dev.index };
    bool in = filter_dgram_in(card(), p, IPPROTO_UDP);
    pkt_free(p);
    return in;
}

TEST(words)
{
    static const char *const bad[] = { "tpc:80", "tcp:", "tcp:80-", "tcp:65536", "tcp@1.2.3.4", "tcp@1.2.3.4/33", "tcp@::/129", "tcp@::/", "any:1-2x",
                                       "tcp:80  udp:53", " tcp:80", "tcp:80@1.2.3/8", "anything" };
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        CHECK_EQ(net_filter_set(bad[i], NULL), -EINVAL);
    CHECK_EQ(filter_on, 0);
}

TEST(prefixes)
{
    net_test_boot(0);
    CHECK_EQ(net_filter_set("tcp:80@0.0.0.0/0 tcp:81@10.128.0.0/9 tcp:82@10.0.0.1/32 tcp:1000-1002@::/0 tcp:90@2001:db8::/33 "
                            "tcp:91@2001:db8::1/128 tcp:92@2001:db8:0:1::/65 udp:99", NULL), 0);
    struct ip_addr four = ip_v4(IP4(10, 128, 3, 4)), six = v6("2001:db8:7fff::5");
    CHECK(tcp_from(four, 80) && tcp_from(four, 81) && !tcp_from(four, 82) && !tcp_from(four, 79) && !tcp_from(four, 99));
    CHECK(!tcp_from(ip_v4(IP4(10, 127, 255, 255)), 81) && tcp_from(ip_v4(IP4(10, 0, 0, 1)), 82) && !tcp_from(ip_v4(IP4(10, 0, 0, 0)), 82));
    CHECK(!tcp_from(four, 1000) && tcp_from(six, 1000) && tcp_from(six, 1002) && !tcp_from(six, 1003) && !tcp_from(six, 999) && !tcp_from(six, 80));
    CHECK(tcp_from(six, 90) && !tcp_from(v6("2001:db8:8000::"), 90) && tcp_from(v6("2001:db8::1"), 91) && !tcp_from(v6("2001:db8::2"), 91));
    CHECK(tcp_from(v6("2001:db8:0:1:7fff::"), 92) && !tcp_from(v6("2001:db8:0:1:8000::"), 92) && !tcp_from(v6("2001:db8:0:2::"), 92));
    CHECK_EQ(net_counters.filter_in_tcp, 13);
}

TEST(answers)
{
    net_test_boot(0);
    CHECK_EQ(net_filter_set("udp:53", NULL), 0);
    struct ip_addr peer = ip_v4(PEER_IP);
    CHECK(udp_from(peer, 999, 53) && !udp_from(peer, 53, 4000));
    CHECK_EQ(filter_egress(card(), IPPROTO_UDP, peer, 4000, 53), 0);
    CHECK(udp_from(peer, 53, 4000) && !udp_from(peer, 54, 4000) && !udp_from(peer, 53, 4001) && !udp_from(ip_v4(MIRROR_IP), 53, 4000));
    sleep_ns(119 * NSEC_PER_SEC);
    CHECK(udp_from(peer, 53, 4000));
    sleep_ns(2 * NSEC_PER_SEC); /* hearing of it does not keep it */
    CHECK(!udp_from(peer, 53, 4000));
    /* a table full of others takes the oldest of a bucket, never more than there is */
    for (u32 i = 0; i < 20000; i++)
        CHECK_EQ(filter_egress(card(), IPPROTO_UDP, ip_v4(i), 1, 2), 0);
    CHECK_EQ(filter_egress(card(), IPPROTO_UDP, peer, 4000, 53), 0);
    CHECK(udp_from(peer, 53, 4000));
}

TEST(connected)
{
    struct sock *s;
    struct sock_addr a = in_addr(PEER_IP, 53), own = in_addr(0, 4000);
    net_test_boot(0);
    CHECK_EQ(net_filter_set("", NULL), 0);
    CHECK_EQ(sock_create(AF_INET, SOCK_DGRAM, 0, &s), 0);
    CHECK_EQ(sock_bind(s, &own), 0);
    CHECK(!udp_from(ip_v4(PEER_IP), 53, 4000));
    CHECK_EQ(sock_connect(s, &a, false), 0);
    CHECK(udp_from(ip_v4(PEER_IP), 53, 4000) && !udp_from(ip_v4(PEER_IP), 54, 4000));
    sock_release(s);
    CHECK(!udp_from(ip_v4(PEER_IP), 53, 4000));
}

TEST(outward)
{
    net_test_boot(0);
    struct ip_addr peer = ip_v4(PEER_IP), other = ip_v4(MIRROR_IP);
    CHECK_EQ(net_filter_set(NULL, "tcp:443@10.0.0.1/32 any@10.0.0.99/32"), 0);
    CHECK_EQ(filter_on, FILTER_OUT);
    CHECK_EQ(filter_egress(card(), IPPROTO_TCP, peer, 0, 443), 0);
    CHECK_EQ(filter_egress(card(), IPPROTO_TCP, peer, 0, 80), -EPERM);
    CHECK_EQ(filter_egress(card(), IPPROTO_UDP, peer, 7, 443), -EPERM);
    CHECK_EQ(filter_egress(card(), IPPROTO_ICMP, peer, 0, 0), -EPERM);
    CHECK_EQ(filter_egress(card(), IPPROTO_ICMP, other, 0, 0), 0);
    CHECK_EQ(filter_egress(card(), IPPROTO_UDP, other, 7, 9), 0);
    CHECK_EQ(filter_egress(&lo_if, IPPROTO_TCP, peer, 0, 80), 0);
    CHECK(udp_from(peer, 443, 7)); /* in comes all, and gets its answers */
    CHECK_EQ(filter_egress(card(), IPPROTO_UDP, peer, 7, 443), 0);
    CHECK_EQ(filter_egress(card(), IPPROTO_UDP, peer, 8, 443), -EPERM);
}

/* The whole way: a listener that is not open is not there, not even by a reset. */
TEST(listeners)
{
    struct peer p = { .ip = PEER_IP, .port = 1234, .our_port = 81, .seq = 1, .wnd = 1000 };
    struct tseg g;
    net_test_boot(0);
    CHECK_EQ(net_filter_set("tcp:80", NULL), 0);
    struct sock *open = tcp_listener(80, 5), *closed = tcp_listener(81, 5);
    peer_send(&p, TH_SYN, NULL, 0);
    CHECK(!peer_recv(&g, NSEC_PER_SEC));
    p.our_port = 82;
    peer_send(&p, TH_SYN, NULL, 0);
    CHECK(!peer_recv(&g, NSEC_PER_SEC));
    CHECK_EQ(net_counters.filter_in_tcp, 2);
    p = (struct peer){ .ip = PEER_IP, .port = 1234, .wnd = 1000 };
    peer_connect(&p, 80);
    struct sock *c = must_accept(open);
    sock_release(c);
    sock_release(open);
    sock_release(closed);
}
