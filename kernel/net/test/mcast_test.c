/* SPDX-License-Identifier: Apache-2.0 */
/* Groups on a wire: IGMP and MLD as a router hears them (RFC 3376, 3810; 1112, 2236, 2710), what gets in, IP_MULTICAST_LOOP. */
#include "net_test.h"

#define GROUP IP4(239, 1, 1, 1)
#define OTHER IP4(239, 1, 1, 2)
#define ALL_HOSTS IP4(224, 0, 0, 1)
#define SOURCE(n) IP4(10, 0, 0, n)
#define IP6(hi_, lo_) ((struct ip_addr){ bswap64(hi_), bswap64(lo_) })
#define ROUTER IP6(0xfe80000000000000ULL, 0x99)
#define GROUP6 IP6(0xff05000000000000ULL, 0x77)

enum { IS_IN = 1, IS_EX, TO_IN, TO_EX, ALLOW, BLOCK };
enum { ADD = 35, DROP, UNBLOCK_SOURCE, BLOCK_SOURCE, ADD_SOURCE, DROP_SOURCE, MULTICAST_ALL = 49 };

static const u8 our_mac[6] = { 2, 0, 0, 0, 0, 2 };

struct seen { /* an IGMP or MLD message of ours */
    u32 dst;
    struct ip_addr dst6;
    u32 len;
    u8 m[1500];
};

static void boot(bool v6)
{
    struct net_config c = { .mode = NET_STATIC, .address = OUR_IP, .netmask = IP4(255, 255, 255, 0), .gateway = PEER_IP, .eager = true };
    wire.ipv6 = v6;
    net_test_boot_config(0, &c);
}

static struct sock *udp(int domain)
{
    struct sock *s;
    CHECK_EQ(sock_create(domain, SOCK_DGRAM, 0, &s), 0);
    return s;
}

static struct sock *receiver(void)
{
    struct sock *s = udp(AF_INET);
    struct sock_addr a = in_addr(0, 700);
    CHECK_EQ(sock_setopt(s, 1, 2, &(int){ 1 }, 4), 0);
    CHECK_EQ(sock_bind(s, &a), 0);
    return s;
}

static int option(struct sock *s, int name, u32 group) { return sock_setopt(s, IPPROTO_IP, name, (const u32[2]){ group, OUR_IP }, 8); }
static int source(struct sock *s, int name, u32 group, u32 from) { return sock_setopt(s, IPPROTO_IP, name, (const u32[3]){ group, OUR_IP, from }, 12); }

static int option6(struct sock *s, int name, struct ip_addr group)
{
    u8 b[20];
    memcpy(b, &group, 16);
    put_u32(b + 16, test_dev.index);
    return sock_setopt(s, IPPROTO_IPV6, name, b, sizeof b);
}

/* The next message of IGMP; what else is sent is passed over. */
static bool igmp_next(struct seen *ret, u64 wait_ns)
{
    for (struct frame *f; (f = wire_next(wait_ns)) != NULL; frame_free(f)) {
        const struct ip_hdr *h = (const void *)(f->data + ETH_HLEN);
        if (get_be16(f->data + 12) != ETH_IP || h->proto != IPPROTO_IGMP)
            continue;
        CHECK_EQ(h->vihl, 0x46);
        CHECK_EQ(h->ttl, 1);
        CHECK_EQ(h->src, OUR_IP);
        CHECK_MEM((const u8 *)(h + 1), ((const u8[4]){ 0x94, 4, 0, 0 }), 4);
        CHECK_EQ(csum_fold(csum_add(h, 24, 0)), 0);
        CHECK_MEM(f->data, ((const u8[3]){ 1, 0, 0x5e }), 3);
        ret->dst = h->dst;
        ret->len = be16(h->len) - 24u;
        CHECK_EQ(ret->len + 24 + ETH_HLEN, f->len);
        memcpy(ret->m, (const u8 *)h + 24, ret->len);
        CHECK_EQ(csum_fold(csum_add(ret->m, ret->len, 0)), 0);
        frame_free(f);
        return true;
    }
    return false;
}

/* The next message is a report of one record about group, with so many sources. */
static void reports(u64 wait_ns, u8 type, u32 group, unsigned sources)
{
    struct seen s;
    CHECK(igmp_next(&s, wait_ns));
    CHECK_EQ(s.dst, IP4(224, 0, 0, 22));
    CHECK_EQ(s.m[0], 0x22);
    CHECK_EQ(get_be16(s.m + 6), 1);
    CHECK_EQ(s.m[8], type);
    CHECK_EQ(get_be16(s.m + 10), sources);
    CHECK_EQ(get_u32(s.m + 12), group);
    CHECK_EQ(s.len, 16 + 4 * sources);
}

static void says_old(u64 wait_ns, u8 type, u32 group, u32 to)
{
    struct seen s;
    CHECK(igmp_next(&s, wait_ns));
    CHECK_EQ(s.len, 8);
    CHECK_EQ(s.m[0], type);
    CHECK_EQ(get_u32(s.m + 4), group);
    CHECK_EQ(s.dst, to);
}

static void silent(u64 wait_ns)
{
    struct seen s;
    CHECK(!igmp_next(&s, wait_ns));
}

#define SECOND NSEC_PER_SEC

static void from_wire(const u8 *msg, u32 len, u32 dst, u8 ttl, bool alert)
{
    u8 b[256], hlen = alert ? 24 : 20;
    struct eth_hdr *e = (void *)b;
    struct ip_hdr *h = (void *)(e + 1);
    memcpy(e->dst, (const u8[6]){ 1, 0, 0x5e, 0, 0, 1 }, 6);
    memcpy(e->src, peer_mac, 6);
    e->type = be16(ETH_IP);
    *h = (struct ip_hdr){ .vihl = (u8)(0x40 | hlen / 4), .len = be16((u16)(hlen + len)), .ttl = ttl, .proto = IPPROTO_IGMP, .src = PEER_IP, .dst = dst };
    if (alert)
        memcpy(h + 1, (const u8[4]){ 0x94, 4, 0, 0 }, 4);
    h->csum = csum_fold(csum_add(h, hlen, 0));
    u8 *m = (u8 *)h + hlen;
    memcpy(m, msg, len);
    if (get_u16(m + 2) == 0)
        put_u16(m + 2, csum_fold(csum_add(m, len, 0)));
    wire_in(b, ETH_HLEN + hlen + len);
}

/* A query of version 3: tenths of a second to answer in, group 0 = all. */
static void query_with(u8 tenths, u32 group, const u32 *src, unsigned n, u8 ttl, bool alert)
{
    u8 m[12 + 4 * 8] = { 0x11, tenths };
    put_u32(m + 4, group);
    m[8] = 2;
    put_be16(m + 10, (u16)n);
    memcpy(m + 12, src, 4 * n);
    from_wire(m, 12 + 4 * n, group != 0 ? group : ALL_HOSTS, ttl, alert);
}

static void query(u8 tenths, u32 group) { query_with(tenths, group, &(u32){ 0 }, 0, 1, true); }

static void old_message(u8 type, u8 tenths, u32 group, u32 dst)
{
    u8 m[8] = { type, tenths };
    put_u32(m + 4, group);
    from_wire(m, sizeof m, dst, 1, true);
}

TEST(igmp_joins_and_leaves)
{
    boot(false);
    struct sock *a = udp(AF_INET), *b = udp(AF_INET);
    silent(20 * SECOND);
    CHECK_EQ(option(a, ADD, GROUP), 0);
    reports(0, TO_EX, GROUP, 0); /* at once, and again */
    reports(SECOND + NSEC_PER_MSEC, TO_EX, GROUP, 0);
    silent(20 * SECOND);
    CHECK_EQ(option(b, ADD, GROUP), 0); /* we are in it */
    CHECK_EQ(option(a, DROP, GROUP), 0); /* and stay there */
    silent(20 * SECOND);
    sock_release(b); /* who closes leaves */
    reports(0, TO_IN, GROUP, 0);
    reports(SECOND + NSEC_PER_MSEC, TO_IN, GROUP, 0);
    silent(20 * SECOND);
    CHECK_EQ(option(a, ADD, GROUP), 0); /* back before it was all said: what is now is what is said again */
    CHECK_EQ(option(a, DROP, GROUP), 0);
    reports(0, TO_EX, GROUP, 0);
    reports(0, TO_IN, GROUP, 0);
    reports(SECOND + NSEC_PER_MSEC, TO_IN, GROUP, 0);
    silent(20 * SECOND);
    CHECK_EQ(option(a, ADD, ALL_HOSTS), 0); /* nobody is told of this one */
    silent(20 * SECOND);
    sock_release(a);
    silent(20 * SECOND);
    check_no_leak();
}

TEST(igmp_queries)
{
    struct seen s;
    boot(false);
    struct sock *a = udp(AF_INET);
    CHECK_EQ(option(a, ADD, GROUP), 0);
    CHECK_EQ(option(a, ADD, OTHER), 0);
    while (igmp_next(&s, 20 * SECOND))
        ;
    query(100, 0);
    CHECK(igmp_next(&s, 10 * SECOND + NSEC_PER_MSEC)); /* both in one */
    CHECK_EQ(get_be16(s.m + 6), 2);
    CHECK_EQ(s.len, 24);
    CHECK_EQ(s.m[8], IS_EX);
    CHECK_EQ(s.m[16], IS_EX);
    CHECK_EQ(get_u32(s.m + 12) ^ get_u32(s.m + 20), GROUP ^ OTHER);
    silent(20 * SECOND);
    query(10, OTHER);
    reports(SECOND + NSEC_PER_MSEC, IS_EX, OTHER, 0);
    query(10, IP4(239, 9, 9, 9));
    silent(20 * SECOND);
    for (int i = 0; i < 100; i++) /* a flood of them gets one answer */
        query(10, GROUP);
    reports(SECOND + NSEC_PER_MSEC, IS_EX, GROUP, 0);
    silent(20 * SECOND);
    query(0x80 | 0x1f, GROUP); /* (16 + 15) << 4 tenths: 49.6 s */
    reports(50 * SECOND, IS_EX, GROUP, 0);
    u64 drops = net_counters.igmp_bad;
    query_with(10, 0, &(u32){ 0 }, 0, 2, true);  /* from beyond the link */
    query_with(10, 0, &(u32){ 0 }, 0, 1, false); /* without the alert */
    u8 wrong[12] = { 0x11, 10, 1, 2 };
    from_wire(wrong, 12, ALL_HOSTS, 1, true); /* wrong sum */
    u8 odd[10] = { 0x11, 10 };
    from_wire(odd, 10, ALL_HOSTS, 1, true); /* of no version */
    u8 all[12] = { 0x11, 10 };
    from_wire(all, 12, GROUP, 1, true); /* for all groups, to one */
    u8 few[12] = { 0x11, 10, 0, 0, 239, 1, 1, 1, 2, 0, 0, 200 };
    from_wire(few, 12, GROUP, 1, true); /* fewer sources than it says */
    from_wire(wrong, 7, ALL_HOSTS, 1, true);
    silent(20 * SECOND);
    CHECK_EQ(net_counters.igmp_bad - drops, 7);
    sock_release(a);
    while (igmp_next(&s, 20 * SECOND))
        CHECK_EQ(s.m[8], TO_IN);
    check_no_leak();
}

TEST(igmp_sources)
{
    boot(false);
    struct sock *a = udp(AF_INET), *b = udp(AF_INET);
    CHECK_EQ(source(a, ADD_SOURCE, GROUP, SOURCE(7)), 0);
    reports(0, ALLOW, GROUP, 1);
    CHECK_EQ(source(a, ADD_SOURCE, GROUP, SOURCE(8)), 0);
    reports(0, ALLOW, GROUP, 2); /* with what is to be said again */
    reports(SECOND + NSEC_PER_MSEC, ALLOW, GROUP, 2);
    silent(20 * SECOND);
    query_with(10, GROUP, (const u32[3]){ SOURCE(8), SOURCE(9), SOURCE(7) }, 3, 1, true);
    reports(SECOND + NSEC_PER_MSEC, IS_IN, GROUP, 2);
    query_with(10, GROUP, (const u32[1]){ SOURCE(9) }, 1, 1, true);
    silent(20 * SECOND);
    query(10, 0);
    reports(SECOND + NSEC_PER_MSEC, IS_IN, GROUP, 2);
    CHECK_EQ(option(b, ADD, GROUP), 0); /* another socket wants all */
    reports(0, TO_EX, GROUP, 0);
    reports(SECOND + NSEC_PER_MSEC, TO_EX, GROUP, 0);
    CHECK_EQ(source(b, BLOCK_SOURCE, GROUP, SOURCE(8)), 0); /* which the first one wants */
    silent(20 * SECOND);
    CHECK_EQ(source(b, BLOCK_SOURCE, GROUP, SOURCE(9)), 0);
    reports(0, BLOCK, GROUP, 1);
    reports(SECOND + NSEC_PER_MSEC, BLOCK, GROUP, 1);
    query_with(10, GROUP, (const u32[2]){ SOURCE(8), SOURCE(9) }, 2, 1, true);
    reports(SECOND + NSEC_PER_MSEC, IS_IN, GROUP, 1);
    CHECK_EQ(source(b, UNBLOCK_SOURCE, GROUP, SOURCE(9)), 0);
    reports(0, ALLOW, GROUP, 1);
    reports(SECOND + NSEC_PER_MSEC, ALLOW, GROUP, 1);
    sock_release(b);
    reports(0, TO_IN, GROUP, 2);
    reports(SECOND + NSEC_PER_MSEC, TO_IN, GROUP, 2);
    CHECK_EQ(source(a, DROP_SOURCE, GROUP, SOURCE(7)), 0);
    reports(0, BLOCK, GROUP, 1);
    sock_release(a);
    reports(0, BLOCK, GROUP, 2);
    reports(SECOND + NSEC_PER_MSEC, BLOCK, GROUP, 2);
    silent(20 * SECOND);
    check_no_leak();
}

TEST(igmp_older_queriers)
{
    boot(false);
    struct sock *a = udp(AF_INET);
    CHECK_EQ(option(a, ADD, GROUP), 0);
    reports(0, TO_EX, GROUP, 0);
    old_message(0x11, 100, 0, ALL_HOSTS); /* version 2: what was still to be said in 3 is not */
    says_old(10 * SECOND + NSEC_PER_MSEC, 0x16, GROUP, GROUP);
    silent(20 * SECOND);
    old_message(0x11, 10, GROUP, GROUP);
    says_old(SECOND + NSEC_PER_MSEC, 0x16, GROUP, GROUP);
    old_message(0x11, 100, 0, ALL_HOSTS);
    old_message(0x16, 0, GROUP, GROUP); /* somebody answers for us */
    silent(20 * SECOND);
    CHECK_EQ(option(a, ADD, OTHER), 0);
    says_old(0, 0x16, OTHER, OTHER);
    says_old(10 * SECOND + NSEC_PER_MSEC, 0x16, OTHER, OTHER);
    CHECK_EQ(option(a, DROP, OTHER), 0);
    says_old(0, 0x17, OTHER, IP4(224, 0, 0, 2));
    silent(20 * SECOND);
    old_message(0x11, 0, 0, ALL_HOSTS); /* version 1 */
    says_old(10 * SECOND + NSEC_PER_MSEC, 0x12, GROUP, GROUP);
    CHECK_EQ(option(a, ADD, OTHER), 0);
    says_old(0, 0x12, OTHER, OTHER);
    says_old(10 * SECOND + NSEC_PER_MSEC, 0x12, OTHER, OTHER);
    CHECK_EQ(option(a, DROP, OTHER), 0); /* which has no words for it */
    silent(300 * SECOND);
    CHECK_EQ(option(a, DROP, GROUP), 0); /* and nobody speaks it any more */
    reports(0, TO_IN, GROUP, 0);
    reports(SECOND + NSEC_PER_MSEC, TO_IN, GROUP, 0);
    sock_release(a);
    check_no_leak();
}

static void datagram_from(u32 src, u32 group)
{
    u8 d[12] = { 2, 188, 2, 188, 0, 12, 0, 0, 'w', 'i', 'r', 'e' }; /* port 700, no checksum */
    wire_in_ip(src, group, IPPROTO_UDP, 0, 1, d, sizeof d);
}

static s64 got(struct sock *s)
{
    char b[100];
    s64 n = 0, one;
    while ((one = recv_bytes(s, b, sizeof b, MSG_DONTWAIT)) > 0)
        n += one;
    return n;
}

TEST(groups_get_in_for_members)
{
    boot(false);
    struct sock *a = receiver(), *b = receiver(), *c = receiver();
    CHECK_EQ(sock_setopt(b, IPPROTO_IP, MULTICAST_ALL, &(int){ 0 }, 4), 0);
    u64 others = net_counters.ip_not_ours;
    datagram_from(PEER_IP, GROUP);
    CHECK_EQ(net_counters.ip_not_ours - others, 1);
    CHECK_EQ(got(a) + got(b) + got(c), 0);
    CHECK_EQ(option(a, ADD, GROUP), 0);
    datagram_from(PEER_IP, GROUP);
    CHECK_EQ(got(a), 4);
    CHECK_EQ(got(b), 0);
    CHECK_EQ(got(c), 4); /* IP_MULTICAST_ALL */
    CHECK_EQ(source(a, BLOCK_SOURCE, GROUP, SOURCE(9)), 0);
    datagram_from(SOURCE(9), GROUP);
    CHECK_EQ(got(a) + got(c), 0); /* the interface does not let it in */
    CHECK_EQ(option(c, ADD, GROUP), 0);
    datagram_from(SOURCE(9), GROUP);
    CHECK_EQ(got(a), 0);
    CHECK_EQ(got(c), 4);
    sock_release(a);
    sock_release(b);
    sock_release(c);
    datagram_from(PEER_IP, GROUP);
    sleep_ns(5 * SECOND);
    wire_flush();
    check_no_leak();
}

static s64 send_group(struct sock *s)
{
    struct uio u;
    struct sock_addr a = in_addr(GROUP, 700);
    uio_kernel(&u, (void *)(uintptr_t) "hello", 5);
    struct sock_msg m = { .uio = &u, .to = &a };
    return sock_send(s, &m);
}

static unsigned frames_out(void)
{
    unsigned n = 0;
    for (struct frame *f; (f = wire_next(NSEC_PER_MSEC)) != NULL; frame_free(f))
        n += ((const struct ip_hdr *)(f->data + ETH_HLEN))->proto == IPPROTO_UDP;
    return n;
}

TEST(loop_and_ttl)
{
    boot(false);
    struct sock *a = receiver(), *s = udp(AF_INET);
    CHECK_EQ(send_group(s), 5); /* nobody here is in it */
    CHECK_EQ(frames_out(), 1);
    CHECK_EQ(got(a), 0);
    CHECK_EQ(option(a, ADD, GROUP), 0);
    CHECK_EQ(send_group(s), 5);
    CHECK_EQ(frames_out(), 1);
    CHECK_EQ(got(a), 5);
    CHECK_EQ(sock_setopt(s, IPPROTO_IP, 34, &(int){ 0 }, 4), 0); /* IP_MULTICAST_LOOP */
    CHECK_EQ(send_group(s), 5);
    CHECK_EQ(frames_out(), 1);
    CHECK_EQ(got(a), 0);
    CHECK_EQ(sock_setopt(s, IPPROTO_IP, 34, &(int){ 1 }, 4), 0);
    CHECK_EQ(sock_setopt(s, IPPROTO_IP, 33, &(int){ 0 }, 4), 0); /* IP_MULTICAST_TTL: not beyond this host */
    CHECK_EQ(send_group(s), 5);
    CHECK_EQ(frames_out(), 0);
    CHECK_EQ(got(a), 5);
    sock_release(a);
    sock_release(s);
    sleep_ns(5 * SECOND);
    wire_flush();
    check_no_leak();
}

/* --- MLD ----------------------------------------------------------------------------------------------- */

static bool mld_next(struct seen *ret, u64 wait_ns)
{
    for (struct frame *f; (f = wire_next(wait_ns)) != NULL; frame_free(f)) {
        const struct ip6_hdr *h = (const void *)(f->data + ETH_HLEN);
        if (get_be16(f->data + 12) != ETH_IPV6 || h->next != 0)
            continue;
        struct ip_addr src;
        CHECK_EQ(h->hops, 1);
        CHECK_MEM((const u8 *)(h + 1), ((const u8[8]){ IPPROTO_ICMPV6, 0, 5, 2, 0, 0, 1, 0 }), 8);
        memcpy(&src, h->src, 16);
        memcpy(&ret->dst6, h->dst, 16);
        CHECK(ip6_is_link_local(src));
        ret->len = be16(h->len) - 8u;
        memcpy(ret->m, (const u8 *)(h + 1) + 8, ret->len);
        CHECK_EQ(csum_fold(csum_add(ret->m, ret->len, csum_pseudo(csum_ip(src), csum_ip(ret->dst6), IPPROTO_ICMPV6, ret->len))), 0);
        frame_free(f);
        return true;
    }
    return false;
}

static void reports6(u64 wait_ns, u8 type, unsigned sources)
{
    struct seen s;
    struct ip_addr group = GROUP6;
    CHECK(mld_next(&s, wait_ns));
    CHECK(ip_equal(s.dst6, IP6(0xff02000000000000ULL, 0x16)));
    CHECK_EQ(s.m[0], 143);
    CHECK_EQ(get_be16(s.m + 6), 1);
    CHECK_EQ(s.m[8], type);
    CHECK_EQ(get_be16(s.m + 10), sources);
    CHECK_MEM(s.m + 12, &group, 16);
    CHECK_EQ(s.len, 28 + 16 * sources);
}

static void says_old6(u64 wait_ns, u8 type, struct ip_addr to)
{
    struct seen s;
    struct ip_addr group = GROUP6;
    CHECK(mld_next(&s, wait_ns));
    CHECK_EQ(s.len, 24);
    CHECK_EQ(s.m[0], type);
    CHECK_MEM(s.m + 8, &group, 16);
    CHECK(ip_equal(s.dst6, to));
}

static void mld_from(struct ip_addr src, u8 type, u32 len, u16 ms, struct ip_addr group, u8 hops, bool alert)
{
    u8 b[256] = { 0 };
    struct eth_hdr *e = (void *)b;
    struct ip6_hdr *h = (void *)(e + 1);
    struct ip_addr dst = ip_is_unspec(group) ? IP6_ALL_NODES : group;
    u8 *m = (u8 *)(h + 1) + 8;
    memcpy(e->dst, our_mac, 6);
    memcpy(e->src, peer_mac, 6);
    e->type = be16(ETH_IPV6);
    *h = (struct ip6_hdr){ .vtf = be32(6u << 28), .len = be16((u16)(8 + len)), .next = 0, .hops = hops };
    memcpy(h->src, &src, 16);
    memcpy(h->dst, &dst, 16);
    memcpy(h + 1, alert ? (const u8[8]){ IPPROTO_ICMPV6, 0, 5, 2, 0, 0, 1, 0 } : (const u8[8]){ IPPROTO_ICMPV6, 0, 1, 4 }, 8);
    m[0] = type;
    put_be16(m + 4, ms);
    memcpy(m + 8, &group, 16);
    put_u16(m + 2, csum_fold(csum_add(m, len, csum_pseudo(csum_ip(src), csum_ip(dst), IPPROTO_ICMPV6, len))));
    wire_in(b, ETH_HLEN + IP6_HLEN + 8 + len);
}

TEST(mld)
{
    struct seen s;
    boot(true);
    struct sock *a = udp(AF_INET6);
    while (mld_next(&s, 20 * SECOND)) /* of our address's own group */
        CHECK_EQ(s.m[8], TO_EX);
    CHECK_EQ(option6(a, 20, GROUP6), 0);
    reports6(0, TO_EX, 0);
    reports6(SECOND + NSEC_PER_MSEC, TO_EX, 0);
    mld_from(ROUTER, 130, 28, 1000, GROUP6, 1, true);
    reports6(SECOND + NSEC_PER_MSEC, IS_EX, 0);
    mld_from(ROUTER, 130, 28, 1000, IP6_ANY, 1, true);
    CHECK(mld_next(&s, SECOND + NSEC_PER_MSEC)); /* ours, and the address's */
    CHECK_EQ(get_be16(s.m + 6), 2);
    u64 bad = net_counters.icmp_bad;
    mld_from(ROUTER, 130, 28, 1000, GROUP6, 2, true);
    mld_from(ROUTER, 130, 28, 1000, GROUP6, 1, false);
    mld_from(IP6(0xfd00000000000000ULL, 1), 130, 28, 1000, GROUP6, 1, true);
    mld_from(ROUTER, 130, 26, 1000, GROUP6, 1, true);
    CHECK(!mld_next(&s, 20 * SECOND));
    CHECK_EQ(net_counters.icmp_bad - bad, 4);
    mld_from(ROUTER, 130, 24, 1000, GROUP6, 1, true); /* version 1 */
    says_old6(SECOND + NSEC_PER_MSEC, 131, GROUP6);
    mld_from(ROUTER, 130, 24, 1000, GROUP6, 1, true);
    mld_from(IP6(0xfe80000000000000ULL, 5), 131, 24, 0, GROUP6, 1, true); /* somebody answers for us */
    CHECK(!mld_next(&s, 20 * SECOND));
    CHECK_EQ(option6(a, 21, GROUP6), 0);
    says_old6(0, 132, IP6(0xff02000000000000ULL, 2));
    CHECK(!mld_next(&s, 300 * SECOND));
    CHECK_EQ(option6(a, 20, IP6(0xff01000000000000ULL, 5)), 0); /* does not leave this host */
    CHECK(!mld_next(&s, 20 * SECOND));
    CHECK_EQ(option6(a, 20, GROUP6), 0);
    reports6(0, TO_EX, 0);
    sock_release(a);
    reports6(0, TO_IN, 0);
    reports6(SECOND + NSEC_PER_MSEC, TO_IN, 0);
    wire_flush();
    check_no_leak();
}
