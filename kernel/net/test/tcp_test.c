/* SPDX-License-Identifier: Apache-2.0 */
/* TCP against a scripted peer: states, anomalies, timers, windows. The invariants of tcp_impl.h are cited as T1.. */
#include "net_test.h"

static struct sock *l, *s;
static struct peer p;
static struct tseg g;

/* An open connection between the peer and s. */
static void open_conn(bool ts)
{
    net_test_boot(0);
    l = tcp_listener(80, 16);
    p = (struct peer){ .ip = PEER_IP, .port = 5000, .seq = 1000, .wnd = 1000, .ts = ts, .ts_val = 100 };
    peer_connect(&p, 80);
    s = must_accept(l);
    CHECK_EQ(conn(s)->state, TCP_ESTABLISHED);
    CHECK_EQ(conn(s)->ts_ok, ts);
    CHECK(conn(s)->sack_ok);
}

static void close_all(void)
{
    check_tcp(conn(s));
    sock_release(s);
    sock_release(l);
    peer_send_at(&p, p.seq, p.ack, TH_RST | TH_ACK, NULL, 0, NULL, 0);
    sleep_ns(2000 * NSEC_PER_SEC); /* whatever still retransmits gives up */
    check_no_leak();
}

static void expect_none(u64 wait_ns)
{
    if (peer_recv(&g, wait_ns))
        sim_test_failed(__FILE__, __LINE__, "unexpected segment: flags %x seq %u ack %u len %u", g.flags, g.seq, g.ack, g.len);
}

#define EXPECT(f, seq_, ack_, len_)            \
    do {                                       \
        CHECK(peer_recv(&g, 300 * NSEC_PER_MSEC)); \
        CHECK_EQ(g.flags & ~TH_PSH, f);        \
        CHECK_EQ(g.seq, (u32)(seq_));          \
        if ((f) & TH_ACK)                      \
            CHECK_EQ(g.ack, (u32)(ack_));      \
        CHECK_EQ(g.len, len_);                 \
    } while (0)

TEST(request_response)
{
    char buf[16];
    open_conn(true);
    conn(s)->quickacks = 0;
    u32 ours = p.ack;
    peer_send(&p, TH_ACK | TH_PSH, "GET", 3);
    CHECK_EQ(recv_bytes(s, buf, 16, 0), 3);
    u64 frames = wire.frames;
    CHECK_EQ(send_bytes(s, "value", 5, 0), 5);
    EXPECT(TH_ACK, ours, p.seq, 5); /* one packet in, one packet out: the answer carries the ack */
    CHECK_EQ(wire.frames, frames + 1);
    CHECK(g.o.has_ts);
    CHECK_EQ(g.o.ts_ecr, 100);
    p.ack += 5;
    peer_send(&p, TH_ACK, NULL, 0);
    expect_none(NSEC_PER_SEC);
    CHECK(list_empty(&conn(s)->sendq));
    close_all();
}

TEST(delayed_ack)
{
    open_conn(false);
    conn(s)->quickacks = 0;
    u64 t0 = now_ns();
    peer_send(&p, TH_ACK, "x", 1);
    EXPECT(TH_ACK, p.ack, p.seq, 0);
    CHECK(now_ns() - t0 >= 39 * NSEC_PER_MSEC && now_ns() - t0 <= 45 * NSEC_PER_MSEC);
    char big[1460] = { 0 };
    peer_send(&p, TH_ACK, big, sizeof big);
    expect_none(10 * NSEC_PER_MSEC);
    t0 = now_ns();
    peer_send(&p, TH_ACK, big, sizeof big); /* the second full segment is acked at once */
    EXPECT(TH_ACK, p.ack, p.seq, 0);
    CHECK(now_ns() - t0 < 2 * NSEC_PER_MSEC);
    close_all();
}

TEST(rto_backs_off_and_gives_up)
{
    open_conn(false);
    u64 last = now_ns();
    CHECK_EQ(send_bytes(s, "data", 4, 0), 4);
    EXPECT(TH_ACK, p.ack, p.seq, 4);
    u64 gap = 0;
    int n = 0;
    while (peer_recv(&g, 200 * NSEC_PER_SEC)) {
        CHECK_EQ(g.seq, p.ack);
        CHECK_EQ(g.len, 4);
        u64 now_gap = g.at_ns - last;
        if (n > 0)
            CHECK(now_gap >= gap && (now_gap < gap * 5 / 2 || now_gap <= 121 * NSEC_PER_SEC));
        else
            CHECK(now_gap >= 200 * NSEC_PER_MSEC && now_gap <= 1100 * NSEC_PER_MSEC); /* RFC 6298 2 */
        gap = now_gap;
        last = g.at_ns;
        n++;
    }
    CHECK_EQ(n, 15);
    CHECK_EQ(recv_bytes(s, &n, 4, 0), -ETIMEDOUT);
    CHECK_EQ(recv_bytes(s, &n, 4, 0), 0);
    CHECK_EQ(send_bytes(s, "x", 1, 0), -EPIPE);
    close_all();
}

TEST(user_timeout)
{
    open_conn(false);
    CHECK_EQ(sock_setopt(s, IPPROTO_TCP, 18, &(int){ 5000 }, 4), 0);
    u64 t0 = now_ns();
    CHECK_EQ(send_bytes(s, "data", 4, 0), 4);
    while (conn(s)->state != TCP_CLOSED)
        sleep_ns(100 * NSEC_PER_MSEC);
    CHECK(now_ns() - t0 > 4 * NSEC_PER_SEC && now_ns() - t0 < 15 * NSEC_PER_SEC);
    close_all();
}

TEST(fast_retransmit)
{
    u8 data[1460 * 8];
    open_conn(false);
    p.wnd = 60000;
    peer_send(&p, TH_ACK, NULL, 0);
    stream_fill(data, 0, sizeof data);
    CHECK_EQ(send_bytes(s, data, sizeof data, 0), sizeof data);
    u32 base = p.ack;
    for (u32 i = 0; i < 8; i++)
        EXPECT(TH_ACK, base + i * 1460, p.seq, 1460);
    /* the first is lost, the others arrive: duplicate acks with SACK */
    for (u32 i = 1; i < 4; i++) {
        u8 o[12];
        put_be32(o, 0x0101050a);
        put_be32(o + 4, base + 1460);
        put_be32(o + 8, base + 1460 * (i + 1));
        peer_send_at(&p, p.seq, base, TH_ACK, o, 12, NULL, 0);
    }
    u64 t0 = now_ns();
    EXPECT(TH_ACK, base, p.seq, 1460); /* again, without waiting for the timer */
    CHECK(now_ns() - t0 < 5 * NSEC_PER_MSEC);
    CHECK_MEM(g.data, data, 1460);
    CHECK_EQ(net_counters.tcp_fast_retransmits, 1);
    p.ack = base + sizeof data;
    peer_send(&p, TH_ACK, NULL, 0);
    expect_none(NSEC_PER_SEC);
    CHECK_EQ(conn(s)->ca, CA_OPEN);
    close_all();
}

TEST(initial_window_is_ten)
{
    static u8 data[1460 * 40];
    open_conn(false);
    p.wnd = 65535;
    peer_send(&p, TH_ACK, NULL, 0);
    CHECK_EQ(send_bytes(s, data, sizeof data, MSG_DONTWAIT), sizeof data);
    u32 n = 0;
    while (peer_recv(&g, 2 * NSEC_PER_MSEC))
        n++;
    CHECK_EQ(n, 10);
    close_all();
}

TEST(zero_window_probes)
{
    open_conn(false);
    p.wnd = 0;
    peer_send(&p, TH_ACK, NULL, 0);
    CHECK_EQ(send_bytes(s, "hello", 5, 0), 5);
    u64 last = 0;
    for (int i = 0; i < 6; i++) {
        CHECK(peer_recv(&g, 100 * NSEC_PER_SEC));
        CHECK_EQ(g.seq, p.ack);
        CHECK_EQ(g.len, 1);
        CHECK(i == 0 || g.at_ns - last > 150 * NSEC_PER_MSEC);
        last = g.at_ns;
        peer_send(&p, TH_ACK, NULL, 0); /* still closed */
    }
    p.wnd = 100;
    peer_send(&p, TH_ACK, NULL, 0);
    CHECK(peer_recv(&g, NSEC_PER_SEC));
    CHECK_EQ(g.seq, p.ack);
    CHECK_EQ(g.len, 5);
    CHECK_MEM(g.data, "hello", 5);
    p.ack += 5;
    peer_send(&p, TH_ACK, NULL, 0);
    close_all();
}

/* A window below one segment: what fits in it goes at once, even of a program that has more to send. */
TEST(small_window_does_not_wait_for_cork)
{
    static u8 data[5000];
    net_test_boot(0);
    l = tcp_listener(80, 16);
    p = (struct peer){ .ip = PEER_IP, .port = 5000, .seq = 1000, .wnd = 8 }; /* scaled by 7: 1024 bytes */
    peer_connect(&p, 80);
    s = must_accept(l);
    CHECK_EQ(send_bytes(s, data, sizeof data, MSG_MORE), sizeof data);
    for (u32 left = sizeof data; left > 1024; left -= 1024) {
        CHECK(peer_recv(&g, 100 * NSEC_PER_MSEC));
        CHECK_EQ(g.seq, p.ack);
        CHECK_EQ(g.len, 1024);
        p.ack += g.len;
        peer_send(&p, TH_ACK, NULL, 0);
    }
    CHECK(!peer_recv(&g, 100 * NSEC_PER_MSEC)); /* the rest is small because more may follow */
    CHECK(peer_recv(&g, NSEC_PER_SEC));
    CHECK_EQ(g.len, sizeof data - 4096);
    p.ack += g.len;
    peer_send(&p, TH_ACK, NULL, 0);
    close_all();
}

TEST(receive_window_closes_and_opens)
{
    static u8 data[1460];
    static u8 sink[200000];
    open_conn(false);
    CHECK_EQ(sock_setopt(s, 1, 8, &(int){ 8192 }, 4), 0);
    u32 edge = 0;
    u64 total = 0;
    for (int i = 0; i < 300; i++) {
        peer_send(&p, TH_ACK, data, sizeof data);
        total += sizeof data;
        bool closed = false;
        while (peer_recv(&g, 50 * NSEC_PER_MSEC)) {
            u32 e = g.ack + ((u32)g.wnd << conn(s)->rcv_wscale);
            CHECK(edge == 0 || SEQ_GE(e, edge)); /* T4 */
            edge = e;
            closed = SEQ_LT(e - p.seq, sizeof data);
        }
        check_tcp(conn(s));
        if (closed)
            break;
    }
    CHECK(total < 200000);
    peer_send_at(&p, p.seq, p.ack, TH_ACK, NULL, 0, data, 1460); /* beyond: not taken */
    CHECK(conn(s)->s.rcvq_bytes <= total + 1460);
    wire_flush();
    while (recv_bytes(s, sink, sizeof sink, MSG_DONTWAIT) > 0)
        ;
    CHECK(peer_recv(&g, NSEC_PER_SEC)); /* the window update */
    CHECK(SEQ_GT(g.ack + ((u32)g.wnd << conn(s)->rcv_wscale), edge));
    close_all();
}

TEST(out_of_order)
{
    u8 data[60], buf[100];
    open_conn(false);
    stream_fill(data, 0, 60);
    u32 b = p.seq;
    static const u8 order[] = { 5, 3, 1, 4, 3, 5, 2 };
    for (unsigned i = 0; i < sizeof order; i++) {
        peer_send_at(&p, b + order[i] * 10, p.ack, TH_ACK, NULL, 0, data + order[i] * 10, 10);
        check_tcp(conn(s));
        CHECK(peer_recv(&g, NSEC_PER_MSEC)); /* each gets a duplicate ack at once */
        CHECK_EQ(g.ack, b);
        CHECK(g.o.nsack > 0);
        CHECK(SEQ_LE(g.o.sack[0].start, b + order[i] * 10) && SEQ_GE(g.o.sack[0].end, b + order[i] * 10 + 10)); /* newest first */
    }
    CHECK_EQ(g.o.nsack, 1); /* by now [10, 60) is whole */
    /* the hole, overlapping what is there on both sides */
    peer_send_at(&p, b - 5, p.ack, TH_ACK, NULL, 0, "?????", 5);
    wire_flush();
    peer_send_at(&p, b, p.ack, TH_ACK, NULL, 0, data, 25);
    CHECK(peer_recv(&g, NSEC_PER_MSEC));
    CHECK_EQ(g.ack, b + 60);
    CHECK_EQ(g.o.nsack, 0);
    p.seq = b + 60;
    CHECK_EQ(recv_bytes(s, buf, 100, 0), 60);
    CHECK_MEM(buf, data, 60);
    close_all();
}

TEST(random_overlaps)
{
    static u8 data[4000], buf[4000];
    open_conn(false);
    stream_fill(data, 0, sizeof data);
    u32 b = p.seq;
    for (int i = 0; i < 3000; i++) {
        u32 off = (u32)(sim_random() % sizeof data);
        u32 room = (u32)sizeof data - off;
        u32 len = (u32)(sim_random() % 200);
        len = MIN(len, room);
        bool fin = off + len == sizeof data && sim_random() % 2 != 0;
        peer_send_at(&p, b + off, p.ack, (u8)(TH_ACK | (fin ? TH_FIN : 0)), NULL, 0, data + off, len);
        check_tcp(conn(s));
        wire_flush();
    }
    for (u32 off = 0; off < sizeof data; off += 100)
        peer_send_at(&p, b + off, p.ack, TH_ACK, NULL, 0, data + off, 100);
    peer_send_at(&p, b + sizeof data, p.ack, TH_ACK | TH_FIN, NULL, 0, NULL, 0);
    p.seq = b + sizeof data + 1;
    CHECK_EQ(recv_bytes(s, buf, sizeof buf, MSG_WAITALL), sizeof buf);
    CHECK_MEM(buf, data, sizeof data);
    CHECK_EQ(recv_bytes(s, buf, 1, 0), 0);
    CHECK_EQ(conn(s)->state, TCP_CLOSE_WAIT);
    close_all();
}

TEST(ooo_memory_is_bounded)
{
    open_conn(false);
    for (u32 i = 0; i < 20000; i++)
        peer_send_at(&p, p.seq + 2 + i * 2 % 60000, p.ack, TH_ACK, NULL, 0, "x", 1);
    CHECK(net_mem_used < 1024 * 1024);
    CHECK(net_counters.tcp_ooo_limit > 0);
    wire_flush();
    close_all();
}

TEST(small_segments_do_not_waste_memory)
{
    open_conn(false);
    for (u32 i = 0; i < 30000; i++) {
        peer_send(&p, TH_ACK, "x", 1);
        if (i % 64 == 0)
            wire_flush();
    }
    CHECK_EQ(conn(s)->s.rcvq_bytes, 30000);
    CHECK(net_mem_used < 100000);
    wire_flush();
    close_all();
}

/* --- RFC 5961 and friends: what must not end or change a connection ------------------- */

TEST(blind_attacks)
{
    open_conn(true);
    struct tcp *t = conn(s);
    u32 nxt = t->rcv_nxt;
    peer_send_at(&p, nxt + 10, p.ack, TH_RST, NULL, 0, NULL, 0); /* RST in the window: challenge */
    EXPECT(TH_ACK, t->snd_max, nxt, 0);
    CHECK_EQ(t->state, TCP_ESTABLISHED);
    sleep_ns(NSEC_PER_SEC);
    peer_send_at(&p, nxt - 100000, p.ack, TH_RST, NULL, 0, NULL, 0); /* outside: silence */
    expect_none(10 * NSEC_PER_MSEC);
    peer_send_at(&p, nxt, p.ack, TH_SYN, NULL, 0, NULL, 0); /* SYN: challenge */
    EXPECT(TH_ACK, t->snd_max, nxt, 0);
    peer_send_at(&p, nxt, p.ack, TH_SYN, NULL, 0, NULL, 0); /* limited */
    expect_none(10 * NSEC_PER_MSEC);
    sleep_ns(NSEC_PER_SEC);
    peer_send_at(&p, nxt, p.ack + 1000, TH_ACK, NULL, 0, "evil", 4); /* acks what was never sent */
    EXPECT(TH_ACK, t->snd_max, nxt, 0);
    CHECK_EQ(t->s.rcvq_bytes, 0);
    sleep_ns(NSEC_PER_SEC);
    peer_send_at(&p, nxt, p.ack - 2000000, TH_ACK, NULL, 0, "evil", 4); /* acks too long ago */
    EXPECT(TH_ACK, t->snd_max, nxt, 0);
    CHECK_EQ(t->s.rcvq_bytes, 0);
    peer_send_at(&p, nxt, 0, 0, NULL, 0, "evil", 4); /* no ACK bit */
    expect_none(10 * NSEC_PER_MSEC);
    u8 o[12];
    tcp_put_ts(o, 50, 0); /* PAWS: a timestamp from before */
    peer_send_at(&p, nxt, p.ack, TH_ACK, o, 12, "old!", 4);
    EXPECT(TH_ACK, t->snd_max, nxt, 0);
    CHECK_EQ(t->s.rcvq_bytes, 0);
    CHECK_EQ(net_counters.tcp_paws, 1);
    CHECK_EQ(t->state, TCP_ESTABLISHED);
    peer_send_at(&p, nxt, p.ack, TH_RST, NULL, 0, NULL, 0); /* exactly in place */
    CHECK_EQ(t->state, TCP_CLOSED);
    CHECK(sock_poll(s, NULL) & POLLERR);
    CHECK(sock_poll(s, NULL) & POLLHUP);
    char c;
    CHECK_EQ(recv_bytes(s, &c, 1, 0), -ECONNRESET);
    CHECK_EQ(recv_bytes(s, &c, 1, 0), 0);
    close_all();
}

TEST(data_before_reset_stays_readable)
{
    char buf[8];
    open_conn(false);
    peer_send(&p, TH_ACK, "last", 4);
    peer_send_at(&p, p.seq, p.ack, TH_RST | TH_ACK, NULL, 0, NULL, 0);
    CHECK_EQ(recv_bytes(s, buf, 8, 0), 4);
    CHECK_EQ(recv_bytes(s, buf, 8, 0), -ECONNRESET);
    close_all();
}

/* --- closing ------------------------------------------------------------------------------- */

TEST(active_close)
{
    open_conn(false);
    struct tcp *t = conn(s);
    CHECK_EQ(sock_shutdown(s, 1), 0);
    EXPECT(TH_FIN | TH_ACK, p.ack, p.seq, 0);
    CHECK_EQ(t->state, TCP_FIN_WAIT1);
    CHECK_EQ(send_bytes(s, "x", 1, 0), -EPIPE);
    p.ack++;
    peer_send(&p, TH_ACK, NULL, 0);
    CHECK_EQ(t->state, TCP_FIN_WAIT2);
    peer_send(&p, TH_ACK, "more", 4); /* half closed: still receives */
    char buf[8];
    CHECK_EQ(recv_bytes(s, buf, 8, 0), 4);
    wire_flush();
    peer_send(&p, TH_FIN | TH_ACK, NULL, 0);
    EXPECT(TH_ACK, p.ack, p.seq, 0);
    CHECK_EQ(recv_bytes(s, buf, 8, 0), 0);
    u32 orphans, tw;
    tcp_count(&orphans, &tw);
    CHECK_EQ(tw, 1);
    /* TIME_WAIT: the FIN again is acked again, a RST in place ends it, a new SYN beyond may begin */
    peer_send_at(&p, p.seq - 1, p.ack, TH_FIN | TH_ACK, NULL, 0, NULL, 0);
    EXPECT(TH_ACK, p.ack, p.seq, 0);
    u8 o[40];
    u32 n = tcp_put_syn_options(o, 1460, 7, true, false, 0, 0);
    peer_send_at(&p, p.seq + 5000, 0, TH_SYN, o, n, NULL, 0);
    CHECK(peer_recv(&g, NSEC_PER_MSEC));
    CHECK_EQ(g.flags, TH_SYN | TH_ACK);
    CHECK_EQ(g.ack, p.seq + 5001);
    CHECK(SEQ_GT(g.seq, p.ack));
    tcp_count(&orphans, &tw);
    CHECK_EQ(tw, 0);
    sock_release(s);
    sock_release(l);
    sleep_ns(100 * NSEC_PER_SEC);
    check_no_leak();
}

TEST(simultaneous_close)
{
    open_conn(false);
    sock_shutdown(s, 1);
    EXPECT(TH_FIN | TH_ACK, p.ack, p.seq, 0);
    peer_send(&p, TH_FIN | TH_ACK, NULL, 0); /* crosses ours: does not ack it */
    CHECK_EQ(conn(s)->state, TCP_CLOSING);
    EXPECT(TH_ACK, p.ack + 1, p.seq, 0);
    p.ack++;
    peer_send(&p, TH_ACK, NULL, 0);
    u32 orphans, tw;
    tcp_count(&orphans, &tw);
    CHECK_EQ(tw, 1);
    sleep_ns(70 * NSEC_PER_SEC);
    tcp_count(&orphans, &tw);
    CHECK_EQ(tw, 0);
    close_all();
}

TEST(passive_close)
{
    open_conn(false);
    peer_send(&p, TH_FIN | TH_ACK, NULL, 0);
    EXPECT(TH_ACK, p.ack, p.seq, 0);
    CHECK_EQ(conn(s)->state, TCP_CLOSE_WAIT);
    CHECK(sock_poll(s, NULL) & POLLRDHUP);
    CHECK_EQ(send_bytes(s, "bye", 3, 0), 3);
    EXPECT(TH_ACK, p.ack, p.seq, 3);
    sock_shutdown(s, 1);
    EXPECT(TH_FIN | TH_ACK, p.ack + 3, p.seq, 0);
    CHECK_EQ(conn(s)->state, TCP_LAST_ACK);
    p.ack += 4;
    peer_send(&p, TH_ACK, NULL, 0);
    CHECK_EQ(conn(s)->state, TCP_CLOSED);
    close_all();
}

TEST(close_with_unread_data_resets)
{
    open_conn(false);
    peer_send(&p, TH_ACK, "unread", 6);
    wire_flush();
    sock_release(s);
    EXPECT(TH_RST | TH_ACK, p.ack, p.seq, 0);
    sock_release(l);
    check_no_leak();
}

TEST(linger_zero_resets)
{
    open_conn(false);
    CHECK_EQ(sock_setopt(s, 1, 13, (int[2]){ 1, 0 }, 8), 0);
    sock_release(s);
    EXPECT(TH_RST | TH_ACK, p.ack, p.seq, 0);
    sock_release(l);
    check_no_leak();
}

TEST(data_after_close_resets)
{
    open_conn(false);
    sock_release(s);
    EXPECT(TH_FIN | TH_ACK, p.ack, p.seq, 0);
    p.ack++;
    peer_send(&p, TH_ACK, "late", 4);
    CHECK(peer_recv(&g, NSEC_PER_MSEC));
    CHECK(g.flags & TH_RST);
    sock_release(l);
    check_no_leak();
}

TEST(orphan_in_fin_wait2_times_out)
{
    open_conn(false);
    sock_release(s);
    EXPECT(TH_FIN | TH_ACK, p.ack, p.seq, 0);
    p.ack++;
    peer_send(&p, TH_ACK, NULL, 0);
    sock_release(l);
    sleep_ns(130 * NSEC_PER_SEC);
    check_no_leak();
}

TEST(lingering_close_waits)
{
    open_conn(false);
    CHECK_EQ(sock_setopt(s, 1, 13, (int[2]){ 1, 3 }, 8), 0);
    u64 t0 = now_ns();
    sock_release(s);
    CHECK(now_ns() - t0 >= 3 * NSEC_PER_SEC);
    sock_release(l);
    sleep_ns(400 * NSEC_PER_SEC);
    check_no_leak();
}

/* --- opening ---------------------------------------------------------------------------------- */

static struct sock *connecting(void)
{
    struct sock *c;
    struct sock_addr a = in_addr(PEER_IP, 7000);
    CHECK_EQ(sock_create(AF_INET, SOCK_STREAM, 0, &c), 0);
    CHECK_EQ(sock_connect(c, &a, true), -EINPROGRESS);
    CHECK_EQ(sock_connect(c, &a, true), -EALREADY);
    return c;
}

TEST(active_open)
{
    net_test_boot(0);
    s = connecting();
    CHECK_EQ(sock_poll(s, NULL), 0);
    p = (struct peer){ .seq = 77, .wnd = 5000, .ts = true, .ts_val = 9 };
    peer_accept(&p);
    CHECK_EQ(conn(s)->state, TCP_ESTABLISHED);
    CHECK(sock_poll(s, NULL) & POLLOUT);
    CHECK(p.our_port >= 32768 && p.our_port <= 60999);
    struct sock_addr a = in_addr(PEER_IP, 7000);
    CHECK_EQ(sock_connect(s, &a, true), 0); /* how it went, once */
    CHECK_EQ(sock_connect(s, &a, true), -EISCONN);
    l = tcp_listener(81, 1);
    close_all();
}

TEST(connection_refused)
{
    net_test_boot(0);
    s = connecting();
    CHECK(peer_recv(&g, NSEC_PER_SEC));
    p = (struct peer){ .ip = g.dst, .port = g.dport, .our_port = g.sport };
    peer_send_at(&p, 0, g.seq + 5, TH_RST | TH_ACK, NULL, 0, NULL, 0); /* acks something else: ignored */
    CHECK_EQ(conn(s)->state, TCP_SYN_SENT);
    peer_send_at(&p, 0, g.seq + 1, TH_RST | TH_ACK, NULL, 0, NULL, 0);
    CHECK_EQ(conn(s)->state, TCP_CLOSED);
    int err;
    u32 len = 4;
    CHECK(sock_poll(s, NULL) & POLLERR);
    CHECK_EQ(sock_getopt(s, 1, 4, &err, &len), 0);
    CHECK_EQ(err, ECONNREFUSED);
    sock_release(s);
    check_no_leak();
}

TEST(syn_retries)
{
    net_test_boot(0);
    s = connecting();
    int n = 0;
    u64 last = 0, gap = 0;
    while (peer_recv(&g, 100 * NSEC_PER_SEC)) {
        CHECK_EQ(g.flags, TH_SYN);
        if (n > 1)
            CHECK(g.at_ns - last >= gap * 19 / 10);
        gap = n > 0 ? g.at_ns - last : 0;
        last = g.at_ns;
        n++;
    }
    CHECK_EQ(n, 7);
    CHECK_EQ(conn(s)->s.err, ETIMEDOUT);
    sock_release(s);
    check_no_leak();
}

TEST(no_neighbour)
{
    net_test_boot(0);
    wire.answer_arp = false;
    struct sock_addr a = in_addr(IP4(10, 0, 0, 200), 7000);
    CHECK_EQ(sock_create(AF_INET, SOCK_STREAM, 0, &s), 0);
    u64 t0 = now_ns();
    CHECK_EQ(sock_connect(s, &a, false), -EHOSTUNREACH);
    CHECK(now_ns() - t0 < 20 * NSEC_PER_SEC);
    sock_release(s);
    sleep_ns(20 * NSEC_PER_SEC);
    check_no_leak();
}

TEST(simultaneous_open)
{
    net_test_boot(0);
    s = connecting();
    CHECK(peer_recv(&g, NSEC_PER_SEC));
    p = (struct peer){ .ip = g.dst, .port = g.dport, .our_port = g.sport, .seq = 500, .wnd = 5000 };
    u8 o[40];
    u32 n = tcp_put_syn_options(o, 1460, 7, true, false, 0, 0);
    peer_send_at(&p, 500, 0, TH_SYN, o, n, NULL, 0);
    CHECK_EQ(conn(s)->state, TCP_SYN_RCVD);
    p.ack = g.seq + 1;
    EXPECT(TH_SYN | TH_ACK, p.ack - 1, 501, 0);
    peer_send_at(&p, 500, p.ack, TH_SYN | TH_ACK, o, n, NULL, 0);
    CHECK_EQ(conn(s)->state, TCP_ESTABLISHED);
    p.seq = 501;
    CHECK_EQ(send_bytes(s, "hi", 2, 0), 2);
    CHECK(peer_recv(&g, NSEC_PER_SEC));
    l = tcp_listener(81, 1);
    wire_flush();
    close_all();
}

TEST(port_unreachable_by_icmp)
{
    net_test_boot(0);
    s = connecting();
    struct frame *f = wire_next(NSEC_PER_SEC);
    CHECK(f != NULL);
    u8 e[8 + 28] = { 3, 1 };
    memcpy(e + 8, f->data + ETH_HLEN, 28);
    frame_free(f);
    put_u16(e + 2, csum_fold(csum_add(e, sizeof e, 0)));
    wire_in_ip(PEER_IP, OUR_IP, IPPROTO_ICMP, 0, 1, e, sizeof e);
    CHECK_EQ(conn(s)->s.err, EHOSTUNREACH);
    sock_release(s);
    check_no_leak();
}

TEST(path_mtu_discovery)
{
    u8 data[1460];
    open_conn(false);
    p.wnd = 60000;
    peer_send(&p, TH_ACK, NULL, 0);
    CHECK_EQ(send_bytes(s, data, sizeof data, 0), sizeof data);
    struct frame *f = wire_next(NSEC_PER_SEC);
    CHECK(f != NULL && f->len == 1514);
    CHECK(get_be16(f->data + ETH_HLEN + 6) & IP_DF);
    u8 e[8 + 28] = { 3, 4, 0, 0, 0, 0, 1000 >> 8, 1000 & 255 };
    memcpy(e + 8, f->data + ETH_HLEN, 28);
    frame_free(f);
    put_u16(e + 2, csum_fold(csum_add(e, sizeof e, 0)));
    wire_in_ip(PEER_IP, OUR_IP, IPPROTO_ICMP, 0, 1, e, sizeof e);
    EXPECT(TH_ACK, p.ack, p.seq, 960);
    CHECK_EQ(conn(s)->mss, 960);
    EXPECT(TH_ACK, p.ack + 960, p.seq, 500);
    p.ack += 1460;
    peer_send(&p, TH_ACK, NULL, 0);
    close_all();
}

/* --- listeners ----------------------------------------------------------------------------------- */

static void syn_from(u16 port)
{
    struct peer q = { .ip = PEER_IP, .port = port, .our_port = 80, .wnd = 1000 };
    u8 o[40];
    u32 n = tcp_put_syn_options(o, 1460, 7, true, true, 1, 0);
    peer_send_at(&q, port, 0, TH_SYN, o, n, NULL, 0);
}

TEST(syn_flood)
{
    net_test_boot(0);
    l = tcp_listener(80, 32);
    struct mem_stats before, after;
    page_stats(&before);
    for (u32 i = 1; i < 20000; i++) {
        syn_from((u16)i);
        if (i % 16 == 0)
            wire_flush();
    }
    page_stats(&after);
    CHECK(before.free_pages - after.free_pages < 200);
    CHECK(conn(l)->l->nreqs <= 32);
    CHECK(net_counters.tcp_cookies_sent > 19000);
    sleep_ns(NSEC_PER_MSEC);
    wire_flush();
    /* a real client gets in by a cookie */
    p = (struct peer){ .ip = PEER_IP, .port = 30000, .seq = 1, .wnd = 1000, .ts = true, .ts_val = 5 };
    peer_connect(&p, 80);
    s = must_accept(l);
    CHECK_EQ(net_counters.tcp_cookies_ok, 1);
    CHECK(conn(s)->sack_ok && conn(s)->wscale_ok && conn(s)->snd_wscale == 7);
    CHECK_EQ(conn(s)->peer_mss, 1460);
    /* a made-up one does not */
    struct peer q = { .ip = PEER_IP, .port = 30001, .our_port = 80, .seq = 1, .ack = 12345, .wnd = 1000 };
    peer_send(&q, TH_ACK, NULL, 0);
    CHECK(peer_recv(&g, NSEC_PER_MSEC));
    CHECK_EQ(g.flags, TH_RST);
    sleep_ns(70 * NSEC_PER_SEC);
    CHECK_EQ(conn(l)->l->nreqs, 0); /* half-open ones have gone */
    wire_flush();
    close_all();
}

TEST(accept_queue_is_bounded)
{
    net_test_boot(0);
    l = tcp_listener(80, 2);
    u32 in = 0;
    for (u16 i = 0; i < 10; i++) {
        p = (struct peer){ .ip = PEER_IP, .port = (u16)(100 + i), .seq = 1, .wnd = 1000, .our_port = 80 };
        u8 o[40];
        u32 n = tcp_put_syn_options(o, 1460, 7, true, false, 1, 0);
        peer_send_at(&p, p.seq, 0, TH_SYN, o, n, NULL, 0);
        p.seq++;
        if (peer_recv(&g, NSEC_PER_MSEC)) {
            p.ack = g.seq + 1;
            peer_send(&p, TH_ACK, NULL, 0);
            in++;
        }
    }
    CHECK_EQ(in, 3);
    CHECK(net_counters.tcp_accept_full >= 7);
    sock_release(l); /* resets what nobody accepted */
    for (u32 i = 0; i < 3; i++) {
        CHECK(peer_recv(&g, NSEC_PER_MSEC));
        CHECK(g.flags & TH_RST);
    }
    check_no_leak();
}

TEST(syn_to_closed_port)
{
    net_test_boot(0);
    p = (struct peer){ .ip = PEER_IP, .port = 100, .our_port = 9 };
    peer_send_at(&p, 55, 0, TH_SYN, NULL, 0, NULL, 0);
    EXPECT(TH_RST | TH_ACK, 0, 56, 0);
    peer_send_at(&p, 55, 66, TH_ACK, NULL, 0, "abc", 3);
    EXPECT(TH_RST, 66, 0, 0);
    peer_send_at(&p, 55, 66, TH_RST, NULL, 0, NULL, 0);
    expect_none(NSEC_PER_MSEC);
    check_no_leak();
}

TEST(defer_accept)
{
    net_test_boot(0);
    l = tcp_listener(80, 4);
    CHECK_EQ(sock_setopt(l, IPPROTO_TCP, 9, &(int){ 5 }, 4), 0);
    p = (struct peer){ .ip = PEER_IP, .port = 5000, .seq = 1000, .wnd = 1000 };
    peer_connect(&p, 80);
    CHECK_EQ(sock_accept(l, true, &s, NULL), -EAGAIN);
    peer_send(&p, TH_ACK, "now", 3);
    CHECK_EQ(sock_accept(l, true, &s, NULL), 0);
    CHECK_EQ(conn(s)->s.rcvq_bytes, 3);
    wire_flush();
    close_all();
}

TEST(bind_conflicts)
{
    struct sock *a, *b;
    struct sock_addr any = in_addr(0, 90), one = in_addr(OUR_IP, 90), lo = in_addr(IP_LOOPBACK, 90), other = in_addr(IP4(9, 9, 9, 9), 90);
    net_test_boot(0);
    CHECK_EQ(sock_create(AF_INET, SOCK_STREAM, 0, &a), 0);
    CHECK_EQ(sock_create(AF_INET, SOCK_STREAM, 0, &b), 0);
    CHECK_EQ(sock_bind(a, &other), -EADDRNOTAVAIL);
    CHECK_EQ(sock_bind(a, &one), 0);
    CHECK_EQ(sock_bind(a, &one), -EINVAL);
    CHECK_EQ(sock_bind(b, &any), -EADDRINUSE);
    CHECK_EQ(sock_bind(b, &one), -EADDRINUSE);
    CHECK_EQ(sock_bind(b, &lo), 0);
    sock_release(a);
    sock_release(b);
    check_no_leak();
}

TEST(keepalive)
{
    open_conn(false);
    CHECK_EQ(sock_setopt(s, IPPROTO_TCP, 4, &(int){ 10 }, 4), 0);
    CHECK_EQ(sock_setopt(s, IPPROTO_TCP, 5, &(int){ 2 }, 4), 0);
    CHECK_EQ(sock_setopt(s, IPPROTO_TCP, 6, &(int){ 3 }, 4), 0);
    CHECK_EQ(sock_setopt(s, 1, 9, &(int){ 1 }, 4), 0);
    u64 t0 = now_ns();
    CHECK(peer_recv(&g, 20 * NSEC_PER_SEC));
    CHECK_EQ(g.seq, p.ack - 1);
    CHECK_EQ(g.len, 0);
    CHECK(g.at_ns - t0 >= 10 * NSEC_PER_SEC - 1 && g.at_ns - t0 < 11 * NSEC_PER_SEC);
    peer_send(&p, TH_ACK, NULL, 0); /* alive */
    t0 = now_ns();
    int n = 0;
    while (peer_recv(&g, 30 * NSEC_PER_SEC) && !(g.flags & TH_RST))
        n++;
    CHECK_EQ(n, 3);
    CHECK_EQ(conn(s)->s.err, ETIMEDOUT);
    close_all();
}

TEST(nagle_and_cork)
{
    open_conn(false);
    CHECK_EQ(send_bytes(s, "a", 1, 0), 1);
    EXPECT(TH_ACK, p.ack, p.seq, 1);
    CHECK_EQ(send_bytes(s, "b", 1, 0), 1); /* held: a small one is out */
    CHECK_EQ(send_bytes(s, "c", 1, 0), 1);
    expect_none(50 * NSEC_PER_MSEC);
    p.ack += 1;
    peer_send(&p, TH_ACK, NULL, 0);
    EXPECT(TH_ACK, p.ack, p.seq, 2);
    p.ack += 2;
    peer_send(&p, TH_ACK, NULL, 0);
    CHECK_EQ(sock_setopt(s, IPPROTO_TCP, 1, &(int){ 1 }, 4), 0);
    CHECK_EQ(send_bytes(s, "a", 1, 0), 1);
    CHECK_EQ(send_bytes(s, "b", 1, 0), 1); /* TCP_NODELAY: at once */
    EXPECT(TH_ACK, p.ack, p.seq, 1);
    EXPECT(TH_ACK, p.ack + 1, p.seq, 1);
    p.ack += 2;
    peer_send(&p, TH_ACK, NULL, 0);
    CHECK_EQ(send_bytes(s, "head", 4, MSG_MORE), 4);
    expect_none(100 * NSEC_PER_MSEC);
    CHECK_EQ(send_bytes(s, "tail", 4, 0), 4);
    EXPECT(TH_ACK, p.ack, p.seq, 8);
    p.ack += 8;
    peer_send(&p, TH_ACK, NULL, 0);
    CHECK_EQ(sock_setopt(s, IPPROTO_TCP, 3, &(int){ 1 }, 4), 0);
    CHECK_EQ(send_bytes(s, "corked", 6, 0), 6);
    expect_none(150 * NSEC_PER_MSEC);
    EXPECT(TH_ACK, p.ack, p.seq, 6); /* but not longer than 200 ms */
    p.ack += 6;
    peer_send(&p, TH_ACK, NULL, 0);
    close_all();
}

TEST(send_blocks_and_times_out)
{
    static u8 data[2000000];
    open_conn(false);
    p.wnd = 0;
    peer_send(&p, TH_ACK, NULL, 0);
    s64 n = send_bytes(s, data, sizeof data, MSG_DONTWAIT);
    CHECK(n > 10000 && n < (s64)sizeof data);
    CHECK_EQ(send_bytes(s, data, 1, MSG_DONTWAIT), -EAGAIN);
    CHECK(!(sock_poll(s, NULL) & POLLOUT));
    CHECK_EQ(sock_setopt(s, 1, 21, (s64[2]){ 0, 500000 }, 16), 0);
    u64 t0 = now_ns();
    CHECK_EQ(send_bytes(s, data, 1, 0), -EAGAIN);
    CHECK(now_ns() - t0 >= 500 * NSEC_PER_MSEC);
    CHECK_EQ(sock_setopt(s, 1, 20, (s64[2]){ 0, 300000 }, 16), 0);
    t0 = now_ns();
    CHECK_EQ(recv_bytes(s, data, 1, 0), -EAGAIN);
    CHECK(now_ns() - t0 >= 300 * NSEC_PER_MSEC);
    wire_flush();
    close_all();
}

TEST(idle_connection_is_small)
{
    CHECK(sizeof(struct tcp) <= 1024);
    CHECK(sizeof(struct tcp_req) <= 128);
    CHECK(sizeof(struct tcp_tw) <= 128);
    CHECK(sizeof(struct pkt) + sizeof(struct pkt_store) + NET_HEADROOM + 1500 <= 2048);
}

static s32 option(struct sock *x, int name, s32 set)
{
    s32 v = -7;
    u32 len = sizeof v;
    CHECK_EQ(sock_setopt(x, IPPROTO_TCP, name, &set, sizeof set), 0);
    CHECK_EQ(sock_getopt(x, IPPROTO_TCP, name, &v, &len), 0);
    return v;
}

TEST(options_have_effect)
{
    static char bulk[200000];
    open_conn(false);
    s32 bad = 0;
    CHECK_EQ(option(s, 7, 2), 2);                                        /* TCP_SYNCNT */
    CHECK_EQ(sock_setopt(s, IPPROTO_TCP, 7, &bad, sizeof bad), -EINVAL);
    CHECK_EQ(sock_setopt(s, IPPROTO_TCP, 10, &bad, sizeof bad), -EINVAL); /* TCP_WINDOW_CLAMP 0 while open */
    CHECK_EQ(sock_setopt(s, 1, 46, &bad, sizeof bad), -ENOPROTOOPT);      /* SO_BUSY_POLL: no such thing here */
    CHECK_EQ(option(s, 10, 1), 1152);
    struct tcp *t = conn(s);
    CHECK_EQ(option(s, 25, 5000), 5000);                                 /* TCP_NOTSENT_LOWAT */
    CHECK_EQ(sock_poll(s, NULL) & POLLOUT, POLLOUT);
    CHECK(send_bytes(s, bulk, sizeof bulk, MSG_DONTWAIT) > 0);
    CHECK(t->write_seq - t->snd_nxt >= 5000);
    CHECK_EQ(sock_poll(s, NULL) & POLLOUT, 0); /* room in the buffer, but enough waits there */
    CHECK_EQ(option(s, 25, 0), 0);
    CHECK_EQ(option(s, 8, 3), 3);                                        /* TCP_LINGER2 */
    CHECK_EQ(option(s, 8, 1000), 120);
    CHECK_EQ(option(s, 8, -9), -1);
    CHECK_EQ(option(s, 8, 0), 60);
    close_all();
}

TEST(linger2_shortens_fin_wait2)
{
    open_conn(false);
    CHECK_EQ(option(s, 8, 3), 3);
    struct tcp *t = conn(s);
    sock_get(s);
    sock_release(s);
    wire_flush();
    sleep_ns(NSEC_PER_MSEC);
    peer_send_at(&p, t->rcv_nxt, t->snd_max, TH_ACK, NULL, 0, NULL, 0);
    sleep_ns(NSEC_PER_MSEC);
    CHECK_EQ(t->state, TCP_FIN_WAIT2);
    sleep_ns(2 * NSEC_PER_SEC);
    CHECK_EQ(t->state, TCP_FIN_WAIT2);
    sleep_ns(2 * NSEC_PER_SEC);
    CHECK_EQ(t->state, TCP_CLOSED);
    sock_put(s);
    wire_flush();
    sock_release(l);
    check_no_leak();
}

TEST(window_clamp_bounds_the_window)
{
    open_conn(false);
    CHECK_EQ(option(l, 10, 3000), 3000);
    struct peer q = { .ip = PEER_IP, .port = 777, .seq = 5, .wnd = 1000 };
    peer_connect(&q, 80);
    struct sock *c = must_accept(l);
    char data[1000], back[1000];
    memset(data, 'x', sizeof data);
    for (int i = 0; i < 30; i++) { /* the window never grows past the clamp, and never gets stuck below it */
        struct tcp *t = conn(c);
        CHECK(t->rcv_adv - t->rcv_nxt <= 3000);
        CHECK(t->rcv_adv - t->rcv_nxt >= 1000);
        peer_send_at(&q, t->rcv_nxt, t->snd_una, TH_ACK, NULL, 0, data, sizeof data);
        sleep_ns(NSEC_PER_MSEC);
        CHECK_EQ(recv_bytes(c, back, sizeof back, 0), (s64)sizeof back);
        sleep_ns(50 * NSEC_PER_MSEC);
        wire_flush();
    }
    sock_release(c);
    wire_flush();
    close_all();
}

TEST(tcp_info)
{
    open_conn(true);
    u8 info[104];
    u32 len = sizeof info;
    CHECK_EQ(sock_getopt(s, IPPROTO_TCP, 11, info, &len), 0);
    CHECK_EQ(len, 104);
    CHECK_EQ(info[0], TCP_ESTABLISHED);
    CHECK_EQ(info[5], 7);
    CHECK_EQ(get_u32(info + 16), 1448);
    CHECK_EQ(info[1], 0);
    CHECK_EQ(get_u32(info + 76), INT32_MAX); /* no threshold before a loss */
    CHECK_EQ(get_u32(info + 80), 10);
    close_all();
}

static void reader_thread(void *arg)
{
    char c;
    CHECK_EQ(recv_bytes(arg, &c, 1, 0), 0);
}

TEST(shutdown_wakes_reader)
{
    open_conn(false);
    struct thread *t = test_thread("reader", reader_thread, s);
    sleep_ns(NSEC_PER_MSEC);
    CHECK_EQ(sock_shutdown(s, 2), 0);
    test_join(t);
    wire_flush();
    close_all();
}

TEST(random_segments)
{
    open_conn(true);
    CHECK_EQ(send_bytes(s, "some data", 9, 0), 9);
    for (int i = 0; i < 20000; i++) {
        struct tcp *t = conn(s);
        u32 seq = t->rcv_nxt + (u32)(sim_random() % 200) - 100, ack = t->snd_una + (u32)(sim_random() % 40) - 20;
        u8 opts[40], data[64];
        for (unsigned k = 0; k < 40; k++)
            opts[k] = (u8)sim_random();
        static const u8 kinds[] = { 0, 1, 2, 3, 4, 5, 8 };
        opts[0] = kinds[sim_random() % sizeof kinds];
        opts[1] = (u8)(sim_random() % 12);
        u8 flags = (u8)(sim_random() & 0x3f);
        if (sim_random() % 50 != 0)
            flags &= (u8) ~(TH_RST | TH_FIN);
        p.wnd = (u16)sim_random();
        peer_send_at(&p, seq, ack, flags, opts, (u32)(sim_random() % 11) * 4, data, (u32)(sim_random() % 64));
        if (t->state != TCP_CLOSED)
            check_tcp(t);
        wire_flush();
        if (i % 100 == 0)
            sleep_ns(sim_random() % NSEC_PER_SEC);
        if (t->state == TCP_CLOSED) {
            sock_release(s);
            sleep_ns(70 * NSEC_PER_SEC);
            wire_flush();
            p = (struct peer){ .ip = PEER_IP, .port = (u16)(1 + sim_random() % 65535), .seq = (u32)sim_random(), .wnd = 1000, .ts = true, .ts_val = 100 };
            peer_connect(&p, 80);
            s = must_accept(l);
        }
    }
    sock_release(s);
    sock_release(l);
    sleep_ns(2000 * NSEC_PER_SEC);
    check_no_leak();
}
