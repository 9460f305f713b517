/* SPDX-License-Identifier: Apache-2.0 */
/* Fragments of IPv4, both ways. */
#include "net_test.h"

static u8 data[65536], b[65600], out[65536]; /* what is sent, the datagram that has it, what comes */

/* A receiver, and of data's first len bytes the datagram to it, which is *ret_len long. */
static struct sock *begin(u32 len, u32 *ret_len)
{
    net_test_boot(0);
    stream_fill(data, 0, sizeof data);
    *ret_len = udp_bytes(b, 1, 53, data, len);
    return udp_bound(53);
}

static void end(struct sock *s)
{
    sleep_ns(40 * NSEC_PER_SEC); /* what is in pieces for ever goes */
    sock_release(s);
    check_no_leak();
}

/* That part of the datagram; flags besides where it is. */
static void piece_in(u16 id, u32 off, u32 len, u16 flags)
{
    wire_in_ip(PEER_IP, OUR_IP, IPPROTO_UDP, (u16)(off / 8) | flags, id, b + off, len);
}

static void check_whole(struct sock *s, u32 len)
{
    CHECK_EQ(recv_bytes(s, out, sizeof out, MSG_DONTWAIT), len);
    CHECK_MEM(out, data, len);
}

TEST(fragments_in)
{
    u32 n;
    struct sock *s = begin(4000, &n);
    static const u32 order[] = { 4, 0, 2, 1, 3, 2 }; /* 5 pieces of 808 and the rest, one doubled */
    for (unsigned i = 0; i < 6; i++) {
        u32 off = order[i] * 808, rest = n - off, len = MIN(808, rest);
        piece_in(7, off, len, off + len < n ? IP_MF : 0);
    }
    check_whole(s, 4000);
    /* an overlap kills the datagram */
    piece_in(8, 0, 808, IP_MF);
    piece_in(8, 800, 808, IP_MF);
    CHECK(net_counters.ip_frag_bad > 0);
    /* too long in total, odd lengths, floods of beginnings: bounded */
    wire_in_ip(PEER_IP, OUR_IP, IPPROTO_UDP, 8189, 9, b, 808);
    piece_in(9, 0, 807, IP_MF);
    for (u32 i = 0; i < 3000; i++)
        wire_in_ip(PEER_IP, OUR_IP, IPPROTO_UDP, (u16)((i % 7) * 10 | IP_MF), (u16)i, b, 80);
    CHECK(pkt_in_use() < 300);
    end(s);
}

/* Who sends beginnings without end takes a few places, of which the oldest gives way; others' datagrams are put together meanwhile. */
TEST(fragments_flood_of_one_sender)
{
    u32 n, bytes;
    struct sock *s = begin(1500, &n);
    piece_in(7, 0, 800, IP_MF);
    for (u32 i = 0; i < 3000; i++)
        wire_in_ip(IP4(10, 0, 0, 9), OUR_IP, IPPROTO_UDP, IP_MF, (u16)i, b, 80);
    CHECK_EQ(ip_frag_count(true, &bytes), 5);
    piece_in(7, 800, n - 800, 0);
    check_whole(s, 1500);
    end(s);
}

/* The first piece's header is the datagram's, whichever comes last. */
TEST(fragments_with_options)
{
    static const struct { u8 first, last; bool backwards; } rounds[] = { { 0, 40, false }, { 40, 0, false }, { 0, 40, true }, { 40, 0, true } };
    u32 n;
    struct sock *s = begin(1, &n);
    for (unsigned i = 0; i < ARRAY_SIZE(rounds); i++) {
        for (unsigned k = 0; k < 2; k++) {
            bool first = (k == 0) != rounds[i].backwards;
            wire_nops = first ? rounds[i].first : rounds[i].last;
            piece_in(7, first ? 0 : 8, first ? 8 : n - 8, first ? IP_MF : 0);
        }
        wire_nops = 0;
        check_whole(s, 1);
    }
    end(s);
}

TEST(fragments_random)
{
    u32 n;
    struct sock *s = begin(3000, &n);
    for (int i = 0; i < 5000; i++) {
        u32 off = (u32)(sim_random() % 380) * 8, len = (u32)(1 + sim_random() % 100) * 8;
        if (off >= n)
            continue;
        u32 rest = n - off;
        len = MIN(len, rest);
        piece_in((u16)(sim_random() % 20), off, len, off + len < n || sim_random() % 9 == 0 ? IP_MF : 0);
        s64 got = recv_bytes(s, out, sizeof out, MSG_DONTWAIT);
        if (got >= 0) {
            CHECK_EQ(got, 3000);
            CHECK_MEM(out, data, 3000);
        }
    }
    end(s);
}

/* Of all with the header that the datagram has then: 65,535 bytes and no more, however short the other headers are. */
TEST(fragments_of_the_longest_datagram)
{
    u32 n, len;
    struct sock *s = begin(0, &n);
    for (u32 longer = 0; longer <= 8; longer += 8) {
        n = udp_bytes(b, 1, 53, data, 65535 - 60 - 8 + longer);
        u64 bad = net_counters.ip_frag_bad;
        for (u32 off = 0; off < n; off += len) {
            len = MIN(1400, n - off);
            wire_nops = off == 0 ? 40 : 0;
            piece_in((u16)(9 + longer), off, len, off + len < n ? IP_MF : 0);
        }
        wire_nops = 0;
        CHECK_EQ(recv_bytes(s, out, sizeof out, MSG_DONTWAIT), longer > 0 ? -EAGAIN : (s64)n - 8);
        CHECK_EQ(net_counters.ip_frag_bad - bad, longer > 0);
    }
    end(s);
}

TEST(fragments_out_and_back)
{
    net_test_boot(NETDEV_TX_CSUM);
    wire.mirror = true;
    wire.delay_ns = 1000;
    stream_fill(data, 0, sizeof data);
    struct sock *a = udp_bound(53), *other = udp_bound(54);
    CHECK_EQ(send_to(a, "warm", 4, MIRROR_IP, 54), 4);
    CHECK_EQ(recv_bytes(other, out, sizeof out, 0), 4);
    for (u32 len = 1400; len <= 60000; len += 7919) {
        CHECK_EQ(send_to(a, data, len, MIRROR_IP, 54), len);
        CHECK_EQ(recv_bytes(other, out, sizeof out, 0), len);
        CHECK_MEM(out, data, len);
    }
    CHECK_EQ(sock_setopt(a, IPPROTO_IP, 10, &(int){ 2 }, 4), 0);
    CHECK_EQ(send_to(a, data, 2000, MIRROR_IP, 54), -EMSGSIZE);
    CHECK_EQ(send_to(a, data, 65508 - 8000, MIRROR_IP, 54), -EMSGSIZE);
    sock_release(other);
    end(a);
}
