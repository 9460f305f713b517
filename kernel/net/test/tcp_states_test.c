/* SPDX-License-Identifier: Apache-2.0 */
/* TCP against a scripted peer: how connections begin and end. The invariants of tcp_impl.h are cited as T1.. */
#include "tcp_test.h"

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

/* What goes again was cut for a path that another connection knows better by now. */
TEST(path_mtu_learned_elsewhere)
{
    u8 data[2 * 1460];
    open_conn(false);
    p.wnd = 60000;
    peer_send(&p, TH_ACK, NULL, 0);
    CHECK_EQ(send_bytes(s, data, sizeof data, 0), sizeof data);
    EXPECT(TH_ACK, p.ack, p.seq, 1460);
    EXPECT(TH_ACK, p.ack + 1460, p.seq, 1460);
    pmtu_learn(ip_v4(PEER_IP), 1000);
    EXPECT(TH_ACK, p.ack + 1460, p.seq, 960); /* the loss probe */
    p.ack += sizeof data;
    peer_send(&p, TH_ACK, NULL, 0);
    close_all();
}

/* It ends, and connections ask again. */
TEST(path_mtu_is_forgotten)
{
    struct ip_route rt;
    open_conn(false);
    pmtu_learn(ip_v4(PEER_IP), 1000);
    sleep_ns(300 * NSEC_PER_SEC);
    pmtu_learn(ip_v4(PEER_IP + 1), 1100);
    CHECK_EQ(ip_route_find(ip_v4(PEER_IP), ip_v4(0), 0, &rt), 0);
    CHECK_EQ(rt.mtu, 1000);
    sleep_ns(301 * NSEC_PER_SEC);
    CHECK(rt.gen != route_gen);
    CHECK_EQ(ip_route_find(ip_v4(PEER_IP), ip_v4(0), 0, &rt), 0);
    CHECK(rt.mtu > 1000);
    CHECK_EQ(ip_route_find(ip_v4(PEER_IP + 1), ip_v4(0), 0, &rt), 0);
    CHECK_EQ(rt.mtu, 1100);
    sleep_ns(300 * NSEC_PER_SEC);
    CHECK(rt.gen != route_gen);
    close_all();
}

/* --- listeners ----------------------------------------------------------------------------------- */

static void syn_from_ip(u32 ip, u16 port)
{
    struct peer q = { .ip = ip, .port = port, .our_port = 80, .wnd = 1000 };
    u8 o[40];
    u32 n = tcp_put_syn_options(o, 1460, 7, true, true, 1, 0);
    peer_send_at(&q, port, 0, TH_SYN, o, n, NULL, 0);
}

static void syn_from(u16 port) { syn_from_ip(PEER_IP, port); }

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

static void made_up_syns(u32 n)
{
    static u32 i;
    for (u32 end = i + n; i < end; i++)
        syn_from_ip(IP4(198, 18, (u8)(i >> 8), (u8)i), 1000);
    wire_flush();
}

/* Of a card that never runs dry, only SYNs of peers that were here before are all answered. */
TEST(syn_flood_beyond_all_answers)
{
    open_conn(true);
    made_up_syns(16);
    CHECK_EQ(conn(l)->l->nreqs, 16);
    made_up_syns(6400); /* the card runs dry each time: all are answered */
    CHECK_EQ(net_counters.tcp_cookies_sent, 6400);
    wire.busy = true;
    made_up_syns(64 * 4 * 6);
    u64 sent = net_counters.tcp_cookies_sent, shed = net_counters.tcp_syn_shed;
    made_up_syns(6400);
    CHECK_EQ(net_counters.tcp_cookies_sent - sent, 100);
    CHECK_EQ(net_counters.tcp_syn_shed - shed, 6300);
    syn_from(7000);
    CHECK(peer_recv(&g, NSEC_PER_MSEC));
    CHECK_EQ(g.flags, TH_SYN | TH_ACK);
    CHECK_EQ(g.dport, 7000);
    wire.busy = false;
    made_up_syns(64); /* at each dry batch one more is answered */
    shed = net_counters.tcp_syn_shed;
    made_up_syns(64);
    CHECK_EQ(net_counters.tcp_syn_shed, shed);
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
