/* SPDX-License-Identifier: Apache-2.0 */
/* IPv6 on a wire: addresses, routers and neighbours, ICMPv6, extension headers and fragments, TCP and UDP over it. */
#include "ip6_peer.h"

TEST(texts_of_addresses)
{
    u8 a[16], want[16] = { 0 };
    static const char *const bad[] = { "", ":", ":::", "1", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "12345::", "g::", "1:",
                                       "1::1.2.3", "::1.2.3.4.5", "1:2:3:4:5:6:7:1.2.3.4", "1:2:3:4:5:6:7:8::", "1: :2", ":1::2" };
    for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
        CHECK_EQ(net_parse_ipv6(bad[i], a), -EINVAL);
    CHECK_EQ(net_parse_ipv6("::", a), 0);
    CHECK(memcmp(a, want, 16) == 0);
    want[15] = 1;
    CHECK_EQ(net_parse_ipv6("::1", a), 0);
    CHECK(memcmp(a, want, 16) == 0);
    want[0] = 0xfe, want[1] = 0x80;
    CHECK_EQ(net_parse_ipv6("FE80::1", a), 0);
    CHECK(memcmp(a, want, 16) == 0);
    CHECK_EQ(net_parse_ipv6("fe80:0:0:0:0:0:0:1", a), 0);
    CHECK(memcmp(a, want, 16) == 0);
    const u8 mixed[16] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 2 };
    CHECK_EQ(net_parse_ipv6("::ffff:10.0.0.2", a), 0);
    CHECK(memcmp(a, mixed, 16) == 0);
    const u8 tail[16] = { 0, 1, 0, 2 };
    CHECK_EQ(net_parse_ipv6("1:2::", a), 0);
    CHECK(memcmp(a, tail, 16) == 0);
}

TEST(an_address_is_looked_for_and_defended)
{
    struct seen s;
    struct ip_addr our = OUR;
    boot6(0);
    unsigned probes = 0, routers = 0, groups = 0;
    u64 end = now_ns() + 20 * NSEC_PER_SEC;
    while (now_ns() < end)
        if (next6(&s, 5 * NSEC_PER_SEC)) {
            if (s.next == 0) { /* behind a router alert */
                groups++;
                CHECK_EQ(s.l4[8], 143);
                CHECK_EQ(s.hops, 1);
                continue;
            }
            CHECK_EQ(s.hops, 255);
            probes += s.type == 135 && ip_is_unspec(s.src);
            routers += s.type == 133;
        }
    CHECK_EQ(probes, 2);  /* the fixed one and the link-local one */
    CHECK_EQ(routers, 3); /* and no more */
    CHECK(groups >= 1);
    /* somebody wants it: it is ours */
    u8 m[24] = { 135 };
    memcpy(m + 8, &our, 16);
    icmp_in(IP6_ANY, ip6_solicited_node(OUR), 255, m, 24);
    CHECK(next6(&s, NSEC_PER_MSEC));
    CHECK_EQ(s.type, 136);
    CHECK_EQ(get_be32(s.l4 + 4), 0x20000000u);
    CHECK(ip_equal(s.dst, IP6(0xff02000000000000ULL, 1)) && s.mac[0] == 0x33);
    /* not from beyond a router, not broken, not about others */
    icmp_in(IP6_ANY, ip6_solicited_node(OUR), 254, m, 24);
    icmp_in(IP6_ANY, OUR, 255, m, 24);
    m[23] = 9;
    icmp_in(IP6_ANY, ip6_solicited_node(OUR), 255, m, 24);
    CHECK(!next6(&s, NSEC_PER_SEC));
    check_no_leak();
}

TEST(a_duplicate_goes)
{
    struct seen s;
    boot6(0);
    CHECK(ip6_is_local(OUR));
    u8 m[32] = { 136, 0, 0, 0, 0x20 };
    struct ip_addr our = OUR;
    memcpy(m + 8, &our, 16);
    m[24] = 2, m[25] = 1;
    icmp_in(OUR, IP6(0xff02000000000000ULL, 1), 255, m, sizeof m);
    CHECK(!ip6_is_local(OUR));
    while (next6(&s, 5 * NSEC_PER_SEC))
        ;
    check_no_leak();
}

TEST(routers_and_prefixes)
{
    struct seen s;
    struct ip_route rt;
    boot6(0);
    while (next6(&s, 0))
        ;
    CHECK_EQ(ip_route_find(FAR, IP6_ANY, 0, &rt), -ENETUNREACH);
    struct ip_addr prefix = IP6(0x2001000100000000ULL, 0), router = ROUTER;
    u8 m[16 + 8 + 32 + 8] = { 134, 0, 0, 0, 64, 0, 0, 30 };
    u8 *o = m + 16;
    o[0] = 1, o[1] = 1;
    memcpy(o + 2, peer_mac, 6);
    o += 8;
    o[0] = 3, o[1] = 4, o[2] = 64, o[3] = 0xc0;
    put_be32(o + 4, 100);
    put_be32(o + 8, 50);
    memcpy(o + 16, &prefix, 16);
    o += 32;
    o[0] = 5, o[1] = 1;
    put_be32(o + 4, 1400);
    icmp_in(FAR, IP6(0xff02000000000000ULL, 1), 255, m, sizeof m); /* not from the link */
    icmp_in(ROUTER, IP6(0xff02000000000000ULL, 1), 64, m, sizeof m);
    o[1] = 0;
    icmp_in(ROUTER, IP6(0xff02000000000000ULL, 1), 255, m, sizeof m); /* an option without length */
    CHECK_EQ(ip_route_find(FAR, IP6_ANY, 0, &rt), -ENETUNREACH);
    o[1] = 1;
    icmp_in(ROUTER, IP6(0xff02000000000000ULL, 1), 255, m, sizeof m);
    struct ip_addr made = IP6(0x2001000100000000ULL, 0x000000fffe000002ULL);
    CHECK(ip6_is_local(made));
    CHECK_EQ(ip_route_find(FAR, IP6_ANY, 0, &rt), 0);
    CHECK(ip_equal(rt.nexthop, router) && ip_equal(rt.src, made));
    CHECK_EQ(rt.mtu, 1400);
    CHECK_EQ(ip_route_find(IP6(0x2001000100000000ULL, 5), IP6_ANY, 0, &rt), 0); /* on the link */
    CHECK(ip_equal(rt.nexthop, IP6(0x2001000100000000ULL, 5)));
    CHECK_EQ(ip_route_find(PEER, IP6_ANY, 0, &rt), 0);
    CHECK(ip_equal(rt.src, OUR));
    CHECK_EQ(ip_route_find(ROUTER, IP6_ANY, 0, &rt), 0);
    CHECK(ip6_is_link_local(rt.src));
    sleep_ns(31 * NSEC_PER_SEC); /* the router's time */
    CHECK_EQ(ip_route_find(FAR, IP6_ANY, 0, &rt), -ENETUNREACH);
    CHECK(ip6_is_local(made));
    sleep_ns(70 * NSEC_PER_SEC); /* the address's */
    CHECK(!ip6_is_local(made));
    /* floods of prefixes and routers stay within bounds */
    for (u32 i = 0; i < 100; i++) {
        put_u32(m + 16 + 8 + 20, i);
        icmp_in(IP6(0xfe80000000000000ULL, 0x1000 + i), IP6(0xff02000000000000ULL, 1), 255, m, sizeof m);
    }
    while (next6(&s, 10 * NSEC_PER_SEC))
        ;
    sleep_ns(200 * NSEC_PER_SEC);
    check_no_leak();
}

/* From the gateway in use, to another on the link or to the destination itself. */
static void redirect_in(struct ip_addr sender, struct ip_addr target, struct ip_addr dst, u8 hops)
{
    u8 m[48] = { 137 };
    memcpy(m + 8, &target, 16);
    memcpy(m + 24, &dst, 16);
    m[40] = 2, m[41] = 1;
    memcpy(m + 42, peer_mac, 6);
    icmp_in(sender, OUR, hops, m, sizeof m);
}

TEST(redirects)
{
    static const u8 advert[16] = { 134, 0, 0, 0, 64, 0, 255, 255 };
    const struct ip_addr near = IP6(0xfe80000000000000ULL, 0x55), third = IP6(0xfe80000000000000ULL, 0x56), group = IP6(0xff02000000000000ULL, 1);
    struct ip_route rt;
    struct seen s;
    boot6(0);
    icmp_in(ROUTER, group, 255, advert, sizeof advert);
    redirect_in(ROUTER, near, FAR, 64);                           /* from beyond the link */
    redirect_in(third, near, FAR, 255);                           /* not by the gateway */
    redirect_in(ROUTER, IP6(0x2001000000000000ULL, 9), FAR, 255); /* to no neighbour */
    redirect_in(ROUTER, ROUTER, FAR, 255);
    redirect_in(ROUTER, near, group, 255);
    redirect_in(ROUTER, near, PEER, 255);                         /* needs no gateway */
    CHECK_EQ(ip_route_find(FAR, IP6_ANY, 0, &rt), 0);
    CHECK(ip_equal(rt.nexthop, ROUTER));
    u32 gen = route_gen;
    redirect_in(ROUTER, near, FAR, 255);
    CHECK(route_gen != gen);
    CHECK_EQ(ip_route_find(FAR, IP6_ANY, 0, &rt), 0);
    CHECK(ip_equal(rt.nexthop, near));
    CHECK_EQ(ip_route_find(IP6(0x2001000000000000ULL, 8), IP6_ANY, 0, &rt), 0);
    CHECK(ip_equal(rt.nexthop, ROUTER)); /* of one destination alone */
    redirect_in(near, FAR, FAR, 255);    /* the new one knows better still: it is a neighbour */
    CHECK_EQ(ip_route_find(FAR, IP6_ANY, 0, &rt), 0);
    CHECK(ip_equal(rt.nexthop, FAR));
    gen = route_gen;
    sleep_ns(301 * NSEC_PER_SEC);
    CHECK(route_gen != gen); /* who keeps a route asks again */
    CHECK_EQ(ip_route_find(FAR, IP6_ANY, 0, &rt), 0);
    CHECK(ip_equal(rt.nexthop, ROUTER));
    while (next6(&s, 10 * NSEC_PER_SEC))
        ;
    check_no_leak();
}

/* Name servers of a router are told to who listens, broken ones to nobody. */
TEST(options_for_programs)
{
    static const u8 advert[16] = { 134, 0, 0, 0, 64, 0, 0, 30 };
    const struct ip_addr group = IP6(0xff02000000000000ULL, 1);
    u8 m[16 + 24 + 24] = { 0 }, got[256];
    struct sock *nl;
    struct seen s;
    boot6(0);
    CHECK_EQ(sock_create(AF_NETLINK, SOCK_RAW, 0, &nl), 0);
    memcpy(m, advert, sizeof advert);
    m[16] = 25, m[17] = 3, m[16 + 7] = 100;
    memcpy(m + 24, &(struct ip_addr){ PEER.hi, PEER.lo }, 16);
    m[40] = 25, m[41] = 2; /* too short for an address */
    icmp_in(ROUTER, group, 255, m, 56);
    CHECK_EQ(nl->rcvq_bytes, 0);
    CHECK_EQ(sock_setopt(nl, 270, 1, &(int){ 20 }, 4), 0);
    icmp_in(ROUTER, group, 255, m, 56);
    sleep_ns(NSEC_PER_MSEC);
    struct uio u;
    uio_kernel(&u, got, sizeof got);
    struct sock_msg msg = { .uio = &u, .flags = MSG_DONTWAIT };
    CHECK_EQ(sock_recv(nl, &msg), 16 + 16 + 24 + 20);
    CHECK_EQ(get_u16(got + 4), 68);
    CHECK_EQ(got[16], AF_INET6);
    CHECK_EQ(get_u16(got + 18), 24);
    CHECK_EQ(got[24], 134);
    CHECK_MEM(got + 32, m + 16, 24);
    CHECK_EQ(get_u16(got + 58), 1);
    CHECK(memcmp(got + 60, &(struct ip_addr){ ROUTER.hi, ROUTER.lo }, 16) == 0);
    CHECK_EQ(nl->rcvq_bytes, 0);
    sock_release(nl);
    while (next6(&s, 10 * NSEC_PER_SEC))
        ;
    sleep_ns(200 * NSEC_PER_SEC);
    check_no_leak();
}

TEST(echo_and_errors)
{
    struct seen s;
    boot6(0);
    meet();
    u8 m[8 + 1200] = { 128, 0, 0, 0, 1, 2, 3, 4 };
    memset(m + 8, 'x', 1200);
    icmp_in(PEER, OUR, 64, m, sizeof m);
    CHECK(next6(&s, NSEC_PER_MSEC));
    CHECK_EQ(s.type, 129);
    CHECK_EQ(s.len, sizeof m);
    CHECK(memcmp(s.l4 + 4, m + 4, sizeof m - 4) == 0);
    m[9] ^= 1; /* a broken one */
    u8 broken[16] = { 128, 0, 1, 1 };
    in6(PEER, OUR, IPPROTO_ICMPV6, 64, broken, sizeof broken);
    CHECK(!next6(&s, NSEC_PER_MSEC));
    icmp_in(PEER, IP6(0xff02000000000000ULL, 1), 64, m, 100); /* to all nodes: answered from our own */
    CHECK(next6(&s, NSEC_PER_MSEC));
    CHECK(ip_equal(s.src, OUR));
    /* an unknown protocol, a closed port */
    in6(PEER, OUR, 99, 64, m, 40);
    CHECK(next6(&s, NSEC_PER_MSEC));
    CHECK(s.type == 4 && s.l4[1] == 1 && get_be32(s.l4 + 4) == 6 && s.len == 8 + 40 + 40);
    struct udp_hdr u = { be16(5), be16(6), be16(8), 0 };
    u.csum = csum_fold(csum_add(&u, 8, csum_pseudo(csum_ip(PEER), csum_ip(OUR), 17, 8)));
    in6(PEER, OUR, 17, 64, &u, 8);
    CHECK(next6(&s, NSEC_PER_MSEC));
    CHECK(s.type == 1 && s.l4[1] == 4 && s.l4[8] >> 4 == 6);
    u.csum = 0; /* IPv6 wants one */
    in6(PEER, OUR, 17, 64, &u, 8);
    /* no answers to these: groups, mapped and loopback addresses, others' */
    in6(PEER, IP6(0xff02000000000000ULL, 1), 99, 64, m, 40);
    in6(IP6_LOOPBACK, OUR, 99, 64, m, 40);
    in6(ip_v4(IP4(10, 0, 0, 1)), OUR, 99, 64, m, 40);
    in6(PEER, IP6_LOOPBACK, 99, 64, m, 40);
    in6(PEER, IP6(0xfd00000000000000ULL, 3), 99, 64, m, 40);
    in6(IP6_ANY, OUR, 99, 64, m, 40);
    CHECK(!next6(&s, NSEC_PER_SEC));
    check_no_leak();
}

/* Behind hdr: an echo request of 16 bytes. Is it answered? */
static int behind(const void *hdr, u32 len, u8 next)
{
    u8 m[512];
    struct seen s;
    memcpy(m, hdr, len);
    u8 *e = m + len;
    memset(e, 0, 16);
    e[0] = 128;
    put_u16(e + 2, csum_fold(csum_add(e, 16, csum_pseudo(csum_ip(PEER), csum_ip(OUR), IPPROTO_ICMPV6, 16))));
    in6(PEER, OUR, next, 64, m, len + 16);
    return next6(&s, NSEC_PER_MSEC) ? s.type : 0;
}

TEST(extension_headers)
{
    boot6(0);
    meet();
    const u8 hop[8] = { 58, 0, 1, 4 }, unknown_skip[8] = { 58, 0, 0x1e, 4 }, unknown_drop[8] = { 58, 0, 0x5e, 4 },
             unknown_tell[8] = { 58, 0, 0x9e, 4 }, too_long[8] = { 58, 0, 1, 5 }, beyond[8] = { 58, 9, 1, 4 };
    CHECK_EQ(behind(hop, 8, 0), 129);
    CHECK_EQ(behind(hop, 8, 60), 129);
    CHECK_EQ(behind(unknown_skip, 8, 60), 129);
    CHECK_EQ(behind(unknown_drop, 8, 60), 0);
    CHECK_EQ(behind(unknown_tell, 8, 60), 4);
    CHECK_EQ(behind(too_long, 8, 60), 0);
    CHECK_EQ(behind(beyond, 8, 60), 0);
    const u8 routed[8] = { 58, 0, 0, 0 }, route_on[8] = { 58, 0, 0, 1 };
    CHECK_EQ(behind(routed, 8, 43), 129);
    CHECK_EQ(behind(route_on, 8, 43), 4);
    const u8 hop_second[16] = { 0, 0, 1, 4, 0, 0, 0, 0, 58, 0, 1, 4 };
    CHECK_EQ(behind(hop_second, 16, 60), 0);
    u8 many[72];
    for (unsigned i = 0; i < 9; i++)
        memcpy(many + 8 * i, (const u8[8]){ i < 8 ? 60 : 58, 0, 1, 4 }, 8);
    CHECK_EQ(behind(many, 72, 60), 0);
    CHECK_EQ(behind(many + 8, 64, 60), 129);
    const u8 atomic[8] = { 58, 0, 0, 0, 1, 2, 3, 4 };
    CHECK_EQ(behind(atomic, 8, 44), 129);
    const u8 nested[16] = { 44, 0, 0, 0, 1, 2, 3, 4, 58, 0, 0, 0, 1, 2, 3, 4 };
    CHECK_EQ(behind(nested, 16, 44), 0);
    check_no_leak();
}

static u8 whole[8 + 2400];

static void piece(u32 id, u32 off, u32 len, bool more)
{
    u8 b[8 + 1400];
    put_be16(b, 58 << 8);
    put_be16(b + 2, (u16)(off | more));
    put_be32(b + 4, id);
    memcpy(b + 8, whole + off, len);
    in6(PEER, OUR, 44, 64, b, 8 + len);
}

TEST(fragments_in)
{
    struct seen s;
    boot6(0);
    meet();
    memset(whole, 0, sizeof whole);
    whole[0] = 128;
    stream_fill(whole + 8, 0, sizeof whole - 8);
    put_u16(whole + 2, csum_fold(csum_add(whole, sizeof whole, csum_pseudo(csum_ip(PEER), csum_ip(OUR), 58, sizeof whole))));
    piece(1, 1200, sizeof whole - 1200, false);
    piece(1, 0, 1200, true);
    u32 got = 0;
    for (unsigned i = 0; i < 2; i++) { /* the answer is cut, too */
        CHECK(next6(&s, NSEC_PER_MSEC));
        CHECK_EQ(s.next, 44);
        got += s.len - 8;
    }
    CHECK_EQ(got, sizeof whole);
    /* overlap kills the datagram, half of one goes after a while */
    piece(2, 0, 1200, true);
    piece(2, 1000, 1000, true);
    piece(2, 1200, sizeof whole - 1200, false);
    piece(3, 0, 1200, true);
    for (u32 i = 0; i < 200; i++)
        piece(100 + i, 0, 1200, true);
    CHECK(!next6(&s, 20 * NSEC_PER_SEC));
    check_no_leak();
}

TEST(neighbours_are_asked_for)
{
    struct seen s;
    boot6(0);
    while (next6(&s, 10 * NSEC_PER_SEC))
        ;
    struct sock *u;
    struct sock_addr to;
    CHECK_EQ(sock_create(AF_INET6, SOCK_DGRAM, 0, &u), 0);
    inet_name_out(u, &to, PEER, 9);
    CHECK_EQ(sock_connect(u, &to, false), 0);
    CHECK_EQ(send_bytes(u, "hello", 5, 0), 5);
    CHECK(next6(&s, NSEC_PER_MSEC));
    CHECK(s.type == 135 && s.l4[24] == 1 && ip_equal(s.dst, ip6_solicited_node(PEER)) && s.mac[0] == 0x33 && s.mac[2] == 0xff);
    advertise(PEER, 1);
    CHECK(next6(&s, NSEC_PER_MSEC));
    CHECK(s.next == 17 && s.len == 13 && memcmp(s.l4 + 8, "hello", 5) == 0 && s.mac[5] == 1);
    /* another one says so without override: not believed; with it: believed */
    u8 m[32] = { 136 };
    struct ip_addr peer = PEER;
    memcpy(m + 8, &peer, 16);
    m[24] = 2, m[25] = 1, m[31] = 77;
    icmp_in(PEER, OUR, 255, m, sizeof m);
    CHECK_EQ(send_bytes(u, "hello", 5, 0), 5);
    CHECK(next6(&s, NSEC_PER_MSEC) && s.mac[5] == 1);
    m[4] = 0x20;
    icmp_in(PEER, OUR, 255, m, sizeof m);
    CHECK_EQ(send_bytes(u, "hello", 5, 0), 5);
    CHECK(next6(&s, NSEC_PER_MSEC) && s.mac[5] == 77);
    /* a smaller path: what is larger is cut */
    u8 big[8 + 48] = { 2, 0, 0, 0, 0, 0, 5, 0 };
    struct ip_addr our = OUR;
    big[8] = 0x60, big[14] = 17;
    memcpy(big + 16, &our, 16);
    memcpy(big + 32, &peer, 16);
    icmp_in(PEER, OUR, 64, big, sizeof big);
    static u8 bytes[1400];
    CHECK_EQ(send_bytes(u, bytes, sizeof bytes, 0), sizeof bytes);
    CHECK(next6(&s, NSEC_PER_MSEC) && s.next == 44 && s.len + 40 <= 1280);
    CHECK(next6(&s, NSEC_PER_MSEC) && s.next == 44);
    sock_release(u);
    while (next6(&s, 10 * NSEC_PER_SEC))
        ;
    sleep_ns(60 * NSEC_PER_SEC);
    check_no_leak();
}

/* A segment from the peer's port 9 to our port 80. */
static void tcp_in6(u32 seq, u32 ack, u8 flags, const void *data, u32 len)
{
    u8 b[2048];
    struct tcp_hdr *h = (void *)b;
    *h = (struct tcp_hdr){ be16(9), be16(80), be32(seq), be32(ack), 5 << 4, flags, be16(60000), 0, 0 };
    memcpy(h + 1, data, len);
    h->csum = csum_fold(csum_add(b, 20 + len, csum_pseudo(csum_ip(PEER), csum_ip(OUR), 6, 20 + len)));
    in6(PEER, OUR, 6, 64, b, 20 + len);
}

TEST(tcp_over_the_wire)
{
    struct seen s;
    char buf[16];
    boot6(0);
    meet();
    struct sock *l, *c;
    struct sock_addr a, who;
    CHECK_EQ(sock_create(AF_INET6, SOCK_STREAM, 0, &l), 0);
    inet_name_out(l, &a, IP6_ANY, 80);
    CHECK_EQ(sock_bind(l, &a), 0);
    CHECK_EQ(sock_listen(l, 5), 0);
    tcp_in6(100, 0, TH_SYN, "", 0);
    CHECK(next6(&s, NSEC_PER_MSEC));
    CHECK_EQ(s.next, 6);
    CHECK_EQ(s.l4[13], TH_SYN | TH_ACK);
    CHECK_EQ(get_be16(s.l4 + 22), 1440); /* MSS */
    u32 iss = get_be32(s.l4 + 4);
    tcp_in6(101, iss + 1, TH_ACK, "", 0);
    CHECK_EQ(sock_accept(l, false, &c, &who), 0);
    CHECK_EQ(who.len, 28);
    CHECK(memcmp(who.data + 8, &(struct ip_addr){ PEER.hi, PEER.lo }, 16) == 0);
    tcp_in6(101, iss + 1, TH_ACK | TH_PSH, "ping", 4);
    CHECK_EQ(recv_bytes(c, buf, sizeof buf, 0), 4);
    CHECK_EQ(send_bytes(c, "pong!", 5, 0), 5);
    do
        CHECK(next6(&s, NSEC_PER_MSEC));
    while (s.len == 20); /* the acknowledgement of ping */
    CHECK(s.len == 25 && memcmp(s.l4 + 20, "pong!", 5) == 0);
    tcp_in6(105, iss + 6, TH_RST, "", 0);
    CHECK_EQ(recv_bytes(c, buf, sizeof buf, 0), -ECONNRESET);
    sock_release(c);
    sock_release(l);
    while (next6(&s, 10 * NSEC_PER_SEC))
        ;
    sleep_ns(60 * NSEC_PER_SEC);
    check_no_leak();
}
