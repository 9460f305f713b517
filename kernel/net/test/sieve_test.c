/* SPDX-License-Identifier: Apache-2.0 */
/* When the card's sieve is on, for which kind of frames, and who is let pass. */
#include "../sieve.h"
#include "kern/channel.h"
#include "net_test.h"

#define STRANGER IP4(198, 18, 0, 1)
#define WINDOW (20 * NSEC_PER_MSEC)

static struct sieve sieve; /* nobody looks into it here */
static u32 turns;

static void boot(void)
{
    test_dev.sieve = &sieve;
    net_test_boot(0);
    sleep_ns(NSEC_PER_SEC);
}

static void segment(u32 src, u16 port, u8 flags)
{
    struct peer q = { .ip = src, .port = 999, .our_port = port, .ack = 1, .wnd = 1000 };
    peer_send_at(&q, turns++, flags & TH_ACK ? 1 : 0, flags, NULL, 0, NULL, 0);
    wire_flush();
}

static void piece(u32 src, u16 id, u16 frag)
{
    u8 b[16] = { 0 };
    put_be16(b + 2, 53);
    put_be16(b + 4, frag == 0 ? 16 : 24);
    wire_in_ip(src, OUR_IP, IPPROTO_UDP, frag, id, b, frag == 0 || (frag & IP_MF) != 0 ? 16 : 8);
    wire_flush();
}

/* What a window of n such frames in 20 ms leads to. The first ends the window before, which is long. */
#define FLOOD(n, call)                \
    do {                          \
        u32 i = 0;                \
        for (; i < (n); i++)      \
            call;                 \
        sleep_ns(WINDOW);         \
        call;                     \
    } while (0)

static bool on(enum sieve_kind k) { return sieve.asked != 0 && sieve.few[k] != SIEVE_ALL; }
static bool any(void) { return on(SIEVE_SYN) || on(SIEVE_SEGMENT) || on(SIEVE_FRAGMENT) || on(SIEVE_OTHER); }

/* As Linux' side reckons: abi/sieve.h. */
static bool known(struct ip_addr a)
{
    u64 h = ip_is_v4(a) ? sieve.sum4 + sieve.mul4 * (u64)(u32)(ip_to_v4(a) + sieve.add4)
                        : sieve.sum6 + (u64)((u32)a.hi + sieve.add6[0]) * (u32)((u32)(a.hi >> 32) + sieve.add6[1]);
    u32 place = ((u32)h ^ (u32)(h >> 32)) >> (32 - SIEVE_PEER_BITS);
    return (sieve.peers[place / 8] >> place % 8 & 1) != 0;
}

static u32 place(u32 ip)
{
    u64 h = sieve.sum4 + sieve.mul4 * (u64)(u32)(ip + sieve.add4);
    return ((u32)h ^ (u32)(h >> 32)) >> (32 - SIEVE_CREDIT_BITS);
}
static u32 credit(enum sieve_kind k, u32 ip) { return sieve.credit[k][place(ip)]; }

TEST(segments_of_no_connection)
{
    boot();
    FLOOD(500, segment(STRANGER, 80, TH_ACK));
    CHECK(!any());
    FLOOD(1000, segment(STRANGER, 80, TH_ACK));
    CHECK(on(SIEVE_SEGMENT) && !on(SIEVE_SYN) && !on(SIEVE_FRAGMENT) && !on(SIEVE_OTHER));
    CHECK_EQ(net_counters.sieve_floods, 1);
}

TEST(segments_for_a_listener)
{
    boot();
    struct sock *l = tcp_listener(80, 16);
    FLOOD(1000, segment(STRANGER, 80, TH_RST));
    CHECK(on(SIEVE_SEGMENT));
    sock_release(l);
}

TEST(syns_for_a_closed_port)
{
    boot();
    CHECK_EQ(net_filter_set("tcp:80", NULL), 0);
    FLOOD(1000, segment(STRANGER, 81, TH_SYN));
    CHECK(on(SIEVE_SYN) && !on(SIEVE_SEGMENT));
}

TEST(syns_beyond_the_queue)
{
    boot();
    struct sock *l = tcp_listener(80, 16);
    FLOOD(1000, segment(IP4(198, 18, (u8)(i >> 8), (u8)i), 80, TH_SYN));
    CHECK(on(SIEVE_SYN) && !on(SIEVE_SEGMENT));
    sock_release(l);
}

TEST(syns_for_a_listener_that_does_not_accept)
{
    boot();
    struct sock *l = tcp_listener(80, 2);
    for (u16 i = 0; i < 3; i++) {
        struct peer p = { .ip = PEER_IP, .port = (u16)(1000 + i), .seq = 1, .wnd = 1000 };
        peer_connect(&p, 80);
    }
    FLOOD(1000, segment(STRANGER, 80, TH_SYN));
    CHECK(on(SIEVE_SYN));
    sock_release(l);
}

/* As many clients as a flood would be, each of which comes about, by a cookie or without. */
TEST(connections_are_no_flood)
{
    boot();
    struct sock *l = tcp_listener(80, 4096);
    for (u32 i = 0; i < 3000; i++) {
        struct peer p = { .ip = PEER_IP, .port = (u16)(1000 + i), .seq = 1, .wnd = 1000 };
        if (i == 0)
            for (u32 k = 0; k < 1024; k++)
                segment(IP4(198, 18, (u8)(k >> 8), (u8)k), 80, TH_SYN);
        if (i == 0)
            sleep_ns(NSEC_PER_MSEC);
        wire_flush(); /* answers to the others, again */
        peer_connect(&p, 80);
        if (i % 100 == 0)
            sleep_ns(NSEC_PER_MSEC);
        CHECK(!any());
    }
    CHECK(net_counters.tcp_cookies_ok > 2000);
    sock_release(l);
}

TEST(fragments)
{
    boot();
    FLOOD(1000, piece(STRANGER, (u16)i, IP_MF));
    CHECK(on(SIEVE_FRAGMENT) && !on(SIEVE_OTHER));
}

TEST(whole_datagrams_in_pieces)
{
    boot();
    for (u32 i = 0; i < 2000; i++) {
        piece(STRANGER, (u16)i, IP_MF);
        piece(STRANGER, (u16)i, 2);
        if (i % 500 == 499)
            sleep_ns(WINDOW);
        CHECK(!on(SIEVE_FRAGMENT));
    }
    CHECK_EQ(net_counters.ip_frag_ok, 2000);
}

/* Whose fragments become datagrams may send more, if nobody answers them, too; by what came before or meanwhile. */
TEST(fragments_one_way)
{
    boot();
    struct sock *s = udp_bound(53);
    piece(PEER_IP, 7, IP_MF);
    piece(PEER_IP, 7, 2);
    FLOOD(1000, piece(STRANGER, (u16)i, IP_MF));
    CHECK(on(SIEVE_FRAGMENT) && !known(ip_v4(PEER_IP)) && credit(SIEVE_FRAGMENT, PEER_IP) == 255 && credit(SIEVE_FRAGMENT, STRANGER) == 0);
    CHECK_EQ(credit(SIEVE_OTHER, PEER_IP), 0);
    u32 next = IP4(10, 0, 0, 9);
    piece(next, 7, IP_MF);
    CHECK_EQ(credit(SIEVE_FRAGMENT, next), 0);
    piece(next, 7, 2);
    CHECK_EQ(credit(SIEVE_FRAGMENT, next), 8);
    sock_release(s);
}

TEST(datagrams_for_nobody)
{
    boot();
    FLOOD(1000, piece(STRANGER, 1, 0));
    CHECK(on(SIEVE_OTHER) && !on(SIEVE_FRAGMENT));
}

TEST(own_mistakes_do_not_count)
{
    struct sock *s;
    struct sock_addr to = in_addr(IP_LOOPBACK, 9);
    boot();
    CHECK_EQ(sock_create(AF_INET, SOCK_DGRAM, 0, &s), 0);
    for (u32 i = 0; i < 2000; i++) {
        (void)sock_connect(s, &to, false);
        (void)send_bytes(s, "x", 1, 0);
    }
    sleep_ns(WINDOW);
    segment(STRANGER, 80, TH_ACK);
    CHECK(net_counters.udp_no_port >= 1000 && !any());
    sock_release(s);
}

TEST(peers)
{
    struct peer one = { .ip = PEER_IP, .port = 1000, .seq = 1, .wnd = 1000 }, two = { .ip = MIRROR_IP, .port = 1000, .seq = 1, .wnd = 1000 };
    boot();
    struct sock *l = tcp_listener(80, 16);
    peer_connect(&one, 80);
    struct sock *s = must_accept(l), *u;
    FLOOD(1000, segment(STRANGER, 80, TH_ACK));
    CHECK(on(SIEVE_SEGMENT) && known(ip_v4(PEER_IP)) && !known(ip_v4(STRANGER)) && !known(ip_v4(two.ip)));
    peer_connect(&two, 80);
    CHECK(known(ip_v4(two.ip)));
    /* A SYN makes no peer: but the rest of its handshake gets in, as often as it is answered. */
    segment(IP4(10, 0, 0, 8), 80, TH_SYN);
    CHECK(!known(ip_v4(IP4(10, 0, 0, 8))) && credit(SIEVE_SEGMENT, IP4(10, 0, 0, 8)) == 4 && credit(SIEVE_SYN, IP4(10, 0, 0, 8)) == 0);
    CHECK_EQ(credit(SIEVE_SEGMENT, STRANGER), 0);
    sieve.credit[SIEVE_SEGMENT][place(IP4(10, 0, 0, 8))] = 0;
    sleep_ns(1500 * NSEC_PER_MSEC); /* repeated */
    CHECK_EQ(credit(SIEVE_SEGMENT, IP4(10, 0, 0, 8)), 4);
    /* To whom a program speaks. */
    struct sock_addr server = in_addr(IP4(10, 0, 0, 7), 53);
    CHECK(!known(ip_v4(IP4(10, 0, 0, 7))));
    CHECK_EQ(sock_create(AF_INET, SOCK_DGRAM, 0, &u), 0);
    CHECK_EQ(sock_connect(u, &server, false), 0);
    CHECK_EQ(send_bytes(u, "x", 1, 0), 1);
    CHECK(known(ip_v4(IP4(10, 0, 0, 7))) && !known(ip_v4(STRANGER)));
    struct ip_addr v6 = { .hi = 0x0706050403020120, .lo = 1 }, same = { .hi = v6.hi, .lo = 2 }, other = { .hi = v6.hi + (1UL << 56), .lo = 1 };
    sieve_peer(v6);
    CHECK(known(v6) && known(same) && !known(other));
    sock_release(u);
    sock_release(must_accept(l));
    sock_release(s);
    sock_release(l);
}

/* Neighbours of IPv6 are found while datagrams are held back: who asks from a link-local address, and who is asked. (ARP is nothing of IP.) */
TEST(neighbours)
{
    struct ip_addr router = { 0x80feULL, 0x99 }, on_link = { 0x0706050403020120, 1 };
    boot();
    FLOOD(1000, piece(STRANGER, 1, 0));
    CHECK(on(SIEVE_OTHER) && known(router) && !known(on_link));
    bh_disable();
    nd_solicit(netif_card(), on_link, NULL);
    bh_enable();
    wire_flush();
    CHECK(known(on_link));
}

/* Senders of a flood become peers, too, where they get a half-open connection: not ever more of them. */
TEST(peers_of_the_flood)
{
    struct peer p = { .ip = PEER_IP, .port = 1000, .seq = 1, .wnd = 1000 };
    boot();
    struct sock *l = tcp_listener(80, 16);
    peer_connect(&p, 80);
    FLOOD(1000, segment(STRANGER, 80, TH_ACK));
    for (u32 w = 0; w < 20; w++) {
        u32 bits = 0;
        for (u32 i = 0; i < 5000; i++)
            sieve_peer(ip_v4(IP4(198, 18, 0, 0) + bswap32(w * 5000 + i)));
        sieve.strangers[SIEVE_SEGMENT].held += 2000;
        FLOOD(1, segment(STRANGER, 80, TH_ACK));
        for (u32 i = 0; i < sizeof sieve.peers; i++)
            bits += (u32)__builtin_popcount(sieve.peers[i]);
        CHECK(on(SIEVE_SEGMENT) && known(ip_v4(PEER_IP)) && bits < 40000);
    }
    CHECK_EQ(net_counters.sieve_floods, 1);
    sock_release(must_accept(l));
    sock_release(l);
}

/* Who had a connection before the flood is let in again. */
TEST(peers_of_before)
{
    struct peer p = { .ip = PEER_IP, .port = 1000, .seq = 1, .wnd = 1000 };
    boot();
    struct sock *l = tcp_listener(80, 16);
    peer_connect(&p, 80);
    sock_release(must_accept(l));
    peer_send(&p, TH_RST | TH_ACK, NULL, 0);
    sleep_ns(100 * NSEC_PER_SEC);
    wire_flush();
    FLOOD(1, segment(STRANGER, 80, TH_ACK)); /* ends the long window */
    FLOOD(1000, segment(STRANGER, 80, TH_ACK));
    CHECK(on(SIEVE_SEGMENT) && known(ip_v4(PEER_IP)) && !known(ip_v4(STRANGER)));
    sock_release(l);
}

/* What is held back is the flood; without it the sieve goes, and comes again. */
TEST(ends)
{
    boot();
    FLOOD(1000, segment(STRANGER, 80, TH_ACK));
    CHECK(on(SIEVE_SEGMENT));
    for (u32 i = 0; i < 20; i++) {
        u32 asked = sieve.asked;
        sieve.strangers[SIEVE_SEGMENT].held += 2000;
        sleep_ns(WINDOW);
        segment(STRANGER, 80, TH_ACK);
        CHECK(on(SIEVE_SEGMENT) && sieve.asked != asked);
    }
    CHECK_EQ(net_counters.sieve_held, 40000);
    sleep_ns(WINDOW);
    segment(STRANGER, 80, TH_ACK);
    CHECK(sieve.asked == 0 && sieve_on == 0);
    sieve_peer(ip_v4(STRANGER));
    FLOOD(1000, segment(STRANGER, 80, TH_ACK));
    CHECK(on(SIEVE_SEGMENT) && !known(ip_v4(STRANGER)));
    CHECK_EQ(net_counters.sieve_floods, 2);
}

/* Senders of datagrams that nobody answers stay strangers: they do not keep the sieve on when the flood, or what they sent before a program
 * listened, has ended. */
TEST(datagrams_without_answers)
{
    struct sock *s = NULL;
    struct sock_addr here = in_addr(0, 53);
    boot();
    FLOOD(1000, piece(STRANGER, 1, 0));
    for (u32 w = 0; w < 21; w++) {
        CHECK(on(SIEVE_OTHER));
        if (w == 20) {
            CHECK_EQ(sock_create(AF_INET, SOCK_DGRAM, 0, &s), 0);
            CHECK_EQ(sock_bind(s, &here), 0);
        }
        sieve.strangers[SIEVE_OTHER].held += 4000;
        FLOOD(150, piece(STRANGER, 1, 0));
    }
    CHECK(!any());
    CHECK_EQ(net_counters.sieve_held, 84000);
    sock_release(s);
}

TEST(no_sieve)
{
    net_test_boot(0);
    test_dev.sieve = NULL;
    sleep_ns(NSEC_PER_SEC);
    FLOOD(5000, segment(STRANGER, 80, TH_ACK));
    CHECK_EQ(net_counters.sieve_floods, 0);
}

/* --- a sieve whose memory is the tender's: here the test is the tender ------------------------------------- */

static struct {
    struct sieve memory;
    u32 channel, asked, closes, error;
} far;

static bool far_takes(enum ctl_type type, const void *head, size_t head_len, const void *data, size_t len)
{
    const u8 *at = data;
    struct sieve_write w;
    far.closes += type == CTL_CLOSE;
    far.error = type == CTL_CLOSE ? ((const struct ctl_close *)head)->error : 0;
    for (size_t left = type == CTL_DATA ? len : 0; left > 0; left -= sizeof w + w.len, at += sizeof w + w.len) {
        CHECK(left > sizeof w);
        memcpy(&w, at, sizeof w);
        CHECK(w.len <= left - sizeof w && w.at + w.len <= sizeof far.memory && (w.at >= offsetof(struct sieve, credit) || w.at + w.len <= offsetof(struct sieve, strangers)));
        memcpy((u8 *)&far.memory + w.at, at + sizeof w, w.len);
        far.asked += w.at == 0;
    }
    return true;
}

static void far_open(u32 number)
{
    struct {
        struct ctl_open o;
        char name[sizeof SIEVE_SERVICE];
    } m = { { number, CTL_WINDOW_MAX, sizeof SIEVE_SERVICE - 1 }, SIEVE_SERVICE };
    CHECK(channel_message(CTL_OPEN, &m, sizeof m.o + m.o.name_len) == NULL);
    sleep_ns(NSEC_PER_MSEC);
}

static void far_boot(void)
{
    test_dev.sieve = NULL;
    channel_transport = far_takes;
    net_test_boot(0);
    far_open(0);
    CHECK(test_dev.sieve != NULL && far.closes == 0);
    sleep_ns(NSEC_PER_SEC);
}

static void far_tells(u32 held, u32 lost, u32 size)
{
    struct {
        struct ctl_data d;
        struct sieve_counts c;
    } m = { { far.channel }, { { held, held, held, held }, lost } };
    CHECK(channel_message(CTL_DATA, &m, sizeof m.d + size) == NULL);
    sleep_ns(NSEC_PER_MSEC);
}

/* The flood, and the answers to what it makes the kernel ask. Counts are ever. */
static void far_window(u32 n, u32 held, u32 lost)
{
    u32 asked = far.asked;
    FLOOD(n, segment(STRANGER, 80, TH_ACK));
    sleep_ns(NSEC_PER_MSEC);
    if (far.asked != asked)
        far_tells(held, lost, sizeof(struct sieve_counts));
}

static bool far_on(void) { return far.memory.asked != 0 && far.memory.few[SIEVE_SEGMENT] != SIEVE_ALL; }

TEST(far_sieve)
{
    far_boot();
    far_window(2, 0, 0);
    far_window(40, 0, 1000);
    CHECK(!far_on() && far.asked != 0); /* it asked what was lost */
    far_window(40, 1000, 2000);
    CHECK(far_on() && far.memory.few[SIEVE_SEGMENT] == 64 && far.memory.few[SIEVE_SYN] == SIEVE_ALL);
    CHECK(memcmp(far.memory.peers, test_dev.sieve->peers, sizeof far.memory.peers) == 0);
    CHECK(memcmp(&far.memory, test_dev.sieve, offsetof(struct sieve, strangers)) == 0);
    struct ip_addr a = ip_v4(IP4(10, 0, 0, 8)), peer = ip_v4(IP4(10, 0, 0, 9));
    bh_disable();
    sieve_peer(peer);
    sieve_credit(peer, SIEVE_SEGMENT, 7);
    bh_enable();
    CHECK(memcmp(far.memory.peers, test_dev.sieve->peers, sizeof far.memory.peers) != 0);
    sleep_ns(NSEC_PER_MSEC);
    CHECK(memcmp(far.memory.peers, test_dev.sieve->peers, sizeof far.memory.peers) == 0);
    bh_disable();
    sieve_credit(a, SIEVE_SEGMENT, 300);
    sieve_credit(a, SIEVE_SYN, 300); /* which nobody needs now */
    bh_enable();
    sleep_ns(NSEC_PER_MSEC);
    u32 of_a = net_peer_tag(a) >> (32 - SIEVE_CREDIT_BITS);
    CHECK_EQ(test_dev.sieve->credit[SIEVE_SEGMENT][net_peer_tag(peer) >> (32 - SIEVE_CREDIT_BITS)], 0);
    CHECK(far.memory.credit[SIEVE_SEGMENT][of_a] == 255 && far.memory.credit[SIEVE_SYN][of_a] == 0);
    /* While others are lost half as many get in, and not none. */
    u32 asked = far.memory.asked, held = 1000;
    for (u32 i = 0, few = 64; i < 10; i++, few = MAX(few / 2, 1u)) {
        CHECK_EQ(far.memory.few[SIEVE_SEGMENT], few);
        far_window(2, held += 1000, 3000 + 1000 * i);
    }
    CHECK(far_on() && far.memory.asked != asked);
    CHECK_EQ(net_counters.sieve_floods, 1);
    for (u32 i = 0; i < 80; i++)
        far_window(2, held += 1000, 12000);
    CHECK(far.memory.few[SIEVE_SEGMENT] > 8 && far.memory.few[SIEVE_SEGMENT] < 12);
    far_window(2, held, 12000);
    far_window(2, held, 12000);
    CHECK_EQ(far.memory.asked, 0);
}

/* More peers at a time than the thread is told of one by one. */
TEST(far_sieve_many_peers)
{
    far_boot();
    far_window(2, 0, 0);
    far_window(40, 0, 1000);
    far_window(40, 0, 2000);
    CHECK(far_on());
    bh_disable();
    for (u32 i = 0; i < 2000; i++)
        sieve_peer(ip_v4(IP4(198, 18, 0, 0) + bswap32(i)));
    bh_enable();
    sleep_ns(NSEC_PER_MSEC);
    CHECK(memcmp(far.memory.peers, test_dev.sieve->peers, sizeof far.memory.peers) == 0);
}

/* What the machine has time for is no flood. */
TEST(far_sieve_without_losses)
{
    far_boot();
    for (u32 i = 0; i < 20; i++) {
        far_window(2000, 0, i);
        CHECK(far.memory.asked == 0);
    }
    CHECK(far.asked >= 19);
}

/* Nor is it the few useless frames' fault where honest ones are more than it has time for. */
TEST(far_sieve_with_honest_peers)
{
    far_boot();
    struct sock *s = udp_bound(53);
    u8 b[64];
    u32 n = udp_bytes(b, 999, 53, "x", 1);
    for (u32 k = 0; k < 20; k++) {
        for (u32 i = 0; i < 130; i++) {
            wire_in_ip(PEER_IP, OUR_IP, IPPROTO_UDP, 0, 1, b, n);
            wire_flush();
        }
        far_window(40, 0, 1000 * k);
        CHECK(far.memory.asked == 0);
    }
    CHECK(far.asked >= 19);
    sock_release(s);
}

/* Counts that come unasked, make no sense or are none; nobody answers; another tender. */
TEST(far_sieve_hostile)
{
    far_boot();
    far_open(1);
    CHECK(far.closes == 1 && far.error == EBUSY);
    far_tells(UINT32_MAX, UINT32_MAX, sizeof(struct sieve_counts));
    far_window(2000, UINT32_MAX / 2, 5);
    far_window(2000, 7, UINT32_MAX - 1000);
    far_window(2, 7, 7);
    FLOOD(2000, segment(STRANGER, 80, TH_ACK));
    for (u32 n = 0; n < 20; n++)
        FLOOD(100, segment(STRANGER, 80, TH_ACK));
    far_tells(0, 0, 5);
    CHECK(far.closes == 2 && far.error == EPROTO);
    FLOOD(2000, segment(STRANGER, 80, TH_ACK));
    far_open(far.channel = 2);
    CHECK_EQ(far.closes, 2);
    far_window(40, 0, 0);
    far_window(40, 0, 1000);
    far_window(40, 0, 2000);
    CHECK(far_on());
}
