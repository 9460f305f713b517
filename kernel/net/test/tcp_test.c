/* SPDX-License-Identifier: Apache-2.0 */
/* TCP against a scripted peer: data, anomalies, timers, windows, options. The invariants of tcp_impl.h are cited as T1.. */
#include "tcp_test.h"

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

/* Acknowledgements that come together with the news of a loss: the new window is a part of what they allowed, not of what
 * they left in flight. */
static void keep(struct pkt_store *x) {}

/* What a program lent (MSG_ZEROCOPY) stays as it is, also in front of what is not acknowledged. */
TEST(lent_bytes_are_not_written)
{
    static u8 bytes[4096], was[4096];
    static struct pkt_store store = { .size = sizeof bytes, .start = bytes, .free = keep };
    open_conn(false);
    stream_fill(bytes, 0, sizeof bytes);
    memcpy(was, bytes, sizeof was);
    ref_init(&store.refs);
    struct pkt *q = pkt_of_store(&store);
    const u32 base = p.ack;
    sock_lock(s);
    tcp_queue_packet(conn(s), q);
    tcp_output(conn(s), now_ns());
    net_kick();
    sock_unlock(s);
    EXPECT(TH_ACK, base, p.seq, 1460);
    EXPECT(TH_ACK, base + 1460, p.seq, 1460);
    p.ack = base + 1460;
    peer_send(&p, TH_ACK, NULL, 0);
    do
        CHECK(peer_recv(&g, 5 * NSEC_PER_SEC));
    while (g.seq != base + 1460);
    CHECK_MEM(bytes, was, sizeof was);
    p.ack = base + sizeof bytes;
    peer_send(&p, TH_ACK, NULL, 0);
    CHECK_MEM(bytes, was, sizeof was);
    close_all();
}

TEST(loss_behind_a_batch_of_acks)
{
    static u8 data[1460 * 40];
    u8 o[12];
    open_conn(false);
    p.wnd = 65535;
    peer_send(&p, TH_ACK, NULL, 0);
    CHECK_EQ(send_bytes(s, data, sizeof data, MSG_DONTWAIT), sizeof data);
    u32 base = p.ack;
    while (peer_recv(&g, 2 * NSEC_PER_MSEC))
        ;
    CHECK_EQ(conn(s)->snd_nxt, base + 10 * 1460);
    wire.busy = true;
    for (u32 i = 1; i <= 6; i++)
        peer_send_at(&p, p.seq, base + i * 1460, TH_ACK, NULL, 0, NULL, 0);
    put_be32(o, 0x0101050a);
    put_be32(o + 4, base + 7 * 1460);
    put_be32(o + 8, base + 10 * 1460);
    peer_send_at(&p, p.seq, base + 6 * 1460, TH_ACK, o, 12, NULL, 0);
    wire.busy = false;
    peer_send_at(&p, p.seq, base + 6 * 1460, TH_ACK, o, 12, NULL, 0);
    CHECK_EQ(net_counters.tcp_fast_retransmits, 1);
    CHECK(conn(s)->ssthresh >= 10 * 1460); /* of a window of 16 */
    p.ack = base + sizeof data;
    while (peer_recv(&g, 2 * NSEC_PER_MSEC))
        ;
    peer_send_at(&p, p.seq, conn(s)->snd_max, TH_ACK, NULL, 0, NULL, 0);
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

/* A socket that listens again and again needs no more memory for that. */
TEST(listening_again)
{
    struct mem_stats before, after;
    net_test_boot(0);
    CHECK_EQ(sock_create(AF_INET, SOCK_STREAM, 0, &s), 0);
    page_stats(&before);
    for (int i = 0; i < 1000; i++) {
        CHECK_EQ(sock_listen(s, 5), 0);
        CHECK_EQ(sock_shutdown(s, 0), 0);
    }
    page_stats(&after);
    CHECK(after.slab_pages <= before.slab_pages + 2);
    sock_release(s);
    check_no_leak();
}
