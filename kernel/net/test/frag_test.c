/* SPDX-License-Identifier: Apache-2.0 */
/* Fragments of IPv4, both ways. */
#include "net_test.h"

TEST(fragments_in)
{
    static u8 data[4000], b[4100], out[5000];
    net_test_boot(0);
    stream_fill(data, 0, sizeof data);
    struct sock *s = udp_bound(53);
    u32 n = udp_bytes(b, 1, 53, data, sizeof data);
    static const u32 order[] = { 4, 0, 2, 1, 3, 2 }; /* 5 pieces of 808 and the rest, one doubled */
    for (unsigned i = 0; i < 6; i++) {
        u32 off = order[i] * 808, rest = n - off, len = MIN(808, rest);
        wire_in_ip(PEER_IP, OUR_IP, IPPROTO_UDP, (u16)(off / 8 | (off + len < n ? IP_MF : 0)), 7, b + off, len);
    }
    CHECK_EQ(recv_bytes(s, out, sizeof out, MSG_DONTWAIT), sizeof data);
    CHECK_MEM(out, data, sizeof data);
    /* an overlap kills the datagram */
    wire_in_ip(PEER_IP, OUR_IP, IPPROTO_UDP, IP_MF, 8, b, 808);
    wire_in_ip(PEER_IP, OUR_IP, IPPROTO_UDP, 100 | IP_MF, 8, b + 800, 808);
    CHECK(net_counters.ip_frag_bad > 0);
    /* too long in total, odd lengths, floods of beginnings: bounded */
    wire_in_ip(PEER_IP, OUR_IP, IPPROTO_UDP, 8189, 9, b, 808);
    wire_in_ip(PEER_IP, OUR_IP, IPPROTO_UDP, IP_MF, 9, b, 807);
    for (u32 i = 0; i < 3000; i++)
        wire_in_ip(PEER_IP, OUR_IP, IPPROTO_UDP, (u16)((i % 7) * 10 | IP_MF), (u16)i, b, 80);
    CHECK(pkt_in_use() < 300);
    sleep_ns(40 * NSEC_PER_SEC);
    sock_release(s);
    check_no_leak();
}

/* Who sends beginnings without end takes a few places, of which the oldest gives way; others' datagrams are put together meanwhile. */
TEST(fragments_flood_of_one_sender)
{
    static u8 data[1500], b[1600], out[2000];
    net_test_boot(0);
    stream_fill(data, 0, sizeof data);
    struct sock *s = udp_bound(53);
    u32 n = udp_bytes(b, 1, 53, data, sizeof data), bytes;
    wire_in_ip(PEER_IP, OUR_IP, IPPROTO_UDP, IP_MF, 7, b, 800);
    for (u32 i = 0; i < 3000; i++)
        wire_in_ip(IP4(10, 0, 0, 9), OUR_IP, IPPROTO_UDP, IP_MF, (u16)i, b, 80);
    CHECK_EQ(ip_frag_count(true, &bytes), 5);
    wire_in_ip(PEER_IP, OUR_IP, IPPROTO_UDP, 100, 7, b + 800, n - 800);
    CHECK_EQ(recv_bytes(s, out, sizeof out, MSG_DONTWAIT), sizeof data);
    CHECK_MEM(out, data, sizeof data);
    sleep_ns(40 * NSEC_PER_SEC);
    sock_release(s);
    check_no_leak();
}

/* The first piece's header is the datagram's, whichever comes last. */
TEST(fragments_with_options)
{
    static const struct { u8 first, last; bool backwards; } rounds[] = { { 0, 40, false }, { 40, 0, false }, { 0, 40, true }, { 40, 0, true } };
    u8 b[20], out[20];
    net_test_boot(0);
    struct sock *s = udp_bound(53);
    u32 n = udp_bytes(b, 1, 53, "x", 1);
    for (unsigned i = 0; i < ARRAY_SIZE(rounds); i++) {
        for (unsigned k = 0; k < 2; k++) {
            bool first = (k == 0) != rounds[i].backwards;
            wire_nops = first ? rounds[i].first : rounds[i].last;
            wire_in_ip(PEER_IP, OUR_IP, IPPROTO_UDP, first ? IP_MF : 1, 7, first ? b : b + 8, first ? 8 : n - 8);
        }
        wire_nops = 0;
        CHECK_EQ(recv_bytes(s, out, sizeof out, MSG_DONTWAIT), 1);
        CHECK_EQ(out[0], 'x');
    }
    sock_release(s);
    check_no_leak();
}

TEST(fragments_random)
{
    static u8 data[3000], b[3100], out[4000];
    net_test_boot(0);
    stream_fill(data, 0, sizeof data);
    struct sock *s = udp_bound(53);
    u32 n = udp_bytes(b, 1, 53, data, sizeof data);
    for (int i = 0; i < 5000; i++) {
        u32 off = (u32)(sim_random() % 380) * 8, len = (u32)(1 + sim_random() % 100) * 8;
        if (off >= n)
            continue;
        u32 rest = n - off;
        len = MIN(len, rest);
        wire_in_ip(PEER_IP, OUR_IP, IPPROTO_UDP, (u16)(off / 8 | (off + len < n || sim_random() % 9 == 0 ? IP_MF : 0)), (u16)(sim_random() % 20), b + off, len);
        s64 got = recv_bytes(s, out, sizeof out, MSG_DONTWAIT);
        if (got >= 0) {
            CHECK_EQ(got, sizeof data);
            CHECK_MEM(out, data, sizeof data);
        }
    }
    sleep_ns(40 * NSEC_PER_SEC);
    sock_release(s);
    check_no_leak();
}

/* Of all with the header that the datagram has then: 65,535 bytes and no more, however short the other headers are. */
TEST(fragments_of_the_longest_datagram)
{
    static u8 data[65536], b[65600], out[65536];
    net_test_boot(0);
    stream_fill(data, 0, sizeof data);
    struct sock *s = udp_bound(53);
    for (u32 longer = 0; longer <= 8; longer += 8) {
        u32 n = udp_bytes(b, 1, 53, data, 65535 - 60 - 8 + longer), len;
        u64 bad = net_counters.ip_frag_bad;
        for (u32 off = 0; off < n; off += len) {
            len = MIN(1400, n - off);
            wire_nops = off == 0 ? 40 : 0;
            wire_in_ip(PEER_IP, OUR_IP, IPPROTO_UDP, (u16)(off / 8 | (off + len < n ? IP_MF : 0)), (u16)(9 + longer), b + off, len);
        }
        wire_nops = 0;
        CHECK_EQ(recv_bytes(s, out, sizeof out, MSG_DONTWAIT), longer > 0 ? -EAGAIN : (s64)n - 8);
        CHECK_EQ(net_counters.ip_frag_bad - bad, longer > 0);
    }
    sock_release(s);
    check_no_leak();
}

TEST(fragments_out_and_back)
{
    static u8 data[60000], out[65000];
    net_test_boot(NETDEV_TX_CSUM);
    wire.mirror = true;
    wire.delay_ns = 1000;
    stream_fill(data, 0, sizeof data);
    struct sock *a = udp_bound(53), *b = udp_bound(54);
    CHECK_EQ(send_to(a, "warm", 4, MIRROR_IP, 54), 4);
    CHECK_EQ(recv_bytes(b, out, sizeof out, 0), 4);
    for (u32 len = 1400; len <= sizeof data; len += 7919) {
        CHECK_EQ(send_to(a, data, len, MIRROR_IP, 54), len);
        CHECK_EQ(recv_bytes(b, out, sizeof out, 0), len);
        CHECK_MEM(out, data, len);
    }
    CHECK_EQ(sock_setopt(a, IPPROTO_IP, 10, &(int){ 2 }, 4), 0);
    CHECK_EQ(send_to(a, data, 2000, MIRROR_IP, 54), -EMSGSIZE);
    CHECK_EQ(send_to(a, data, 65508 - 8000, MIRROR_IP, 54), -EMSGSIZE);
    sock_release(a);
    sock_release(b);
    sleep_ns(40 * NSEC_PER_SEC);
    check_no_leak();
}
