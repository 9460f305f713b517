/* SPDX-License-Identifier: Apache-2.0 */
/* A connection between a scripted peer and a socket, for the tests of TCP. */
#ifndef NET_TEST_TCP_TEST_H
#define NET_TEST_TCP_TEST_H

#include "net_test.h"

static UNUSED struct sock *l, *s;
static UNUSED struct peer p;
static UNUSED struct tseg g;

/* An open connection between the peer and s. */
static UNUSED void open_conn(bool ts)
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

static UNUSED void close_all(void)
{
    check_tcp(conn(s));
    sock_release(s);
    sock_release(l);
    peer_send_at(&p, p.seq, p.ack, TH_RST | TH_ACK, NULL, 0, NULL, 0);
    sleep_ns(2000 * NSEC_PER_SEC); /* whatever still retransmits gives up */
    check_no_leak();
}

static UNUSED void expect_none(u64 wait_ns)
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

#endif
