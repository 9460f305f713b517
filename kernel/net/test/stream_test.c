/* SPDX-License-Identifier: Apache-2.0 */
/* Whole streams between two sockets: over lo, and over a mirror that loses, doubles and reorders; every byte compared. */
#include "net_test.h"

struct transfer {
    struct sock *s;
    u64 total, chunk;
    u64 base;
    bool done;
};

static void sender(void *arg)
{
    struct transfer *t = arg;
    u8 *buf = kmalloc(t->chunk, 0);
    for (u64 pos = 0; pos < t->total;) {
        u64 some = 1 + sim_random() % t->chunk;
        u32 n = (u32)MIN(some, t->total - pos);
        stream_fill(buf, t->base + pos, n);
        s64 got = send_bytes(t->s, buf, n, 0);
        CHECK_EQ(got, n);
        pos += n;
    }
    kfree(buf);
    CHECK_EQ(sock_shutdown(t->s, 1), 0);
    t->done = true;
}

static void receiver(void *arg)
{
    struct transfer *t = arg;
    u8 *buf = kmalloc(t->chunk, 0);
    u64 pos = 0;
    for (;;) {
        s64 n = recv_bytes(t->s, buf, (u32)(1 + sim_random() % t->chunk), 0);
        CHECK(n >= 0);
        if (n == 0)
            break;
        for (s64 i = 0; i < n; i++)
            if (buf[i] != stream_byte(t->base + pos + (u64)i))
                sim_test_failed(__FILE__, __LINE__, "byte %llu differs", (unsigned long long)(pos + (u64)i));
        pos += (u64)n;
    }
    CHECK_EQ(pos, t->total);
    kfree(buf);
    t->done = true;
}

static void both_ways(u32 ip, u64 total, u64 chunk)
{
    struct sock *l = tcp_listener(80, 8), *c, *s;
    struct sock_addr a = in_addr(ip, 80);
    CHECK_EQ(sock_create(AF_INET, SOCK_STREAM, 0, &c), 0);
    CHECK_EQ(sock_connect(c, &a, false), 0);
    s = must_accept(l);
    struct transfer t[4] = { { c, total, chunk, 0 }, { s, total, chunk, 0 }, { s, total / 2, chunk, 777 }, { c, total / 2, chunk, 777 } };
    struct thread *th[4];
    for (int i = 0; i < 4; i++)
        th[i] = test_thread("transfer", i % 2 == 0 ? sender : receiver, &t[i]);
    for (int i = 0; i < 4; i++)
        test_join(th[i]);
    sock_release(c);
    sock_release(s);
    sock_release(l);
    wire.loss = wire.dup = wire.reorder = 0;
    sleep_ns(200 * NSEC_PER_SEC);
    check_no_leak();
}

TEST(loopback)
{
    net_test_boot(0);
    both_ways(IP_LOOPBACK, 3000000, 100000);
}

TEST(loopback_small_writes)
{
    net_test_boot(0);
    both_ways(IP_LOOPBACK, 60000, 200);
}

/* With several CPUs the wire's bottom halves overtake each other, which looks like loss. */
static void no_retransmits(void)
{
    CHECK(sim_cpu_count() > 1 || net_counters.tcp_retransmits == 0);
}

TEST(mirror_clean)
{
    net_test_boot(0);
    wire.mirror = true;
    wire.delay_ns = 100000;
    both_ways(MIRROR_IP, 2000000, 50000);
    no_retransmits();
}

TEST(mirror_tso)
{
    net_test_boot(NETDEV_TX_CSUM | NETDEV_TX_TSO4);
    wire.mirror = true;
    wire.delay_ns = 100000;
    both_ways(MIRROR_IP, 4000000, 200000);
    no_retransmits();
}

static void lossy(u32 features, u32 loss, u32 dup, u32 reorder)
{
    net_test_boot(features);
    wire.mirror = true;
    wire.delay_ns = 2000000;
    wire.loss = loss;
    wire.dup = dup;
    wire.reorder = reorder;
    both_ways(MIRROR_IP, 1000000, 20000);
}

TEST(mirror_loss) { lossy(0, 50, 0, 0); }
TEST(mirror_heavy_loss) { lossy(0, 8, 0, 0); }
TEST(mirror_reorder) { lossy(0, 0, 0, 5); }
TEST(mirror_everything) { lossy(0, 30, 30, 10); }
TEST(mirror_everything_tso) { lossy(NETDEV_TX_CSUM | NETDEV_TX_TSO4, 30, 30, 10); }
TEST_CPUS(mirror_everything_smp, 4) { lossy(NETDEV_TX_CSUM | NETDEV_TX_TSO4, 30, 30, 10); }
TEST_CPUS(loopback_smp, 4)
{
    net_test_boot(0);
    both_ways(IP_LOOPBACK, 3000000, 100000);
}

/* --- connections that come and go on several CPUs: the table's parts grow, entries are replaced, TIME_WAIT entries pile up --- */

#define CHURN_CONNECTIONS 60
#define CHURN_WORKERS 3
static u32 churn_served;

static void churn_worker(void *arg)
{
    struct sock *l = arg, *s;
    while (sock_accept(l, false, &s, NULL) == 0) {
        u8 b[8];
        s64 n = recv_bytes(s, b, sizeof b, 0);
        if (n > 0) {
            CHECK_EQ(send_bytes(s, b, (u32)n, 0), n);
            atomic_add(&churn_served, 1u);
        }
        sock_release(s);
        if (n == 0)
            break; /* the signal to end */
    }
}

static void churn_client(void *arg)
{
    struct sock_addr a = in_addr(IP_LOOPBACK, 80);
    for (u64 i = 0; i < CHURN_CONNECTIONS; i++) {
        u64 sent = (uintptr_t)arg << 32 | i, got = 0;
        struct sock *c;
        CHECK_EQ(sock_create(AF_INET, SOCK_STREAM, 0, &c), 0);
        CHECK_EQ(sock_connect(c, &a, false), 0);
        CHECK_EQ(send_bytes(c, &sent, sizeof sent, 0), sizeof sent);
        CHECK_EQ(recv_bytes(c, &got, sizeof got, MSG_WAITALL), sizeof got);
        CHECK_EQ(got, sent);
        sock_release(c);
    }
}

TEST_CPUS(connections_of_three_cpus, 3)
{
    net_test_boot(0);
    struct sock *l = tcp_listener(80, 64);
    struct thread *w[CHURN_WORKERS], *c[CHURN_WORKERS];
    for (uintptr_t i = 0; i < CHURN_WORKERS; i++) {
        w[i] = test_thread("worker", churn_worker, l);
        c[i] = test_thread("client", churn_client, (void *)(i + 1));
    }
    for (unsigned i = 0; i < CHURN_WORKERS; i++)
        test_join(c[i]);
    CHECK_EQ(churn_served, CHURN_WORKERS * CHURN_CONNECTIONS);
    for (unsigned i = 0; i < CHURN_WORKERS; i++) {
        struct sock_addr a = in_addr(IP_LOOPBACK, 80);
        struct sock *last;
        CHECK_EQ(sock_create(AF_INET, SOCK_STREAM, 0, &last), 0);
        CHECK_EQ(sock_connect(last, &a, false), 0);
        sock_release(last);
    }
    for (unsigned i = 0; i < CHURN_WORKERS; i++)
        test_join(w[i]);
    sock_release(l);
    u32 states[NET_TCP_STATES], live = 0;
    sleep_ns(200 * NSEC_PER_SEC); /* past TIME_WAIT */
    net_tcp_states(states);
    for (unsigned i = 0; i < NET_TCP_STATES; i++)
        live += states[i];
    CHECK_EQ(live, 0);
}

/* --- the end of a stream ---------------------------------------------------------------------------------------------- */

static void last_words(void *arg)
{
    for (u64 k = sim_random() % 16; k > 0; k--)
        plat_relax();
    peer_send(arg, TH_ACK | TH_FIN, "farewell", 8);
}

/* What came before the end is read before the end, also when both come while the reader looks whether there is something. */
TEST_CPUS(end_behind_data, 2)
{
    u8 buf[16];
    net_test_boot(0);
    struct sock *l = tcp_listener(80, 8);
    for (u16 i = 0; i < 400; i++) {
        struct peer p = { .ip = PEER_IP, .port = (u16)(1000 + i), .seq = 1, .wnd = 60000 };
        peer_connect(&p, 80);
        struct sock *s = must_accept(l);
        struct thread *t = test_thread("peer", last_words, &p);
        s64 n;
        while ((n = recv_bytes(s, buf, sizeof buf, MSG_DONTWAIT)) == -EAGAIN)
            cond_resched();
        CHECK_EQ(n, 8);
        CHECK_EQ(recv_bytes(s, buf, sizeof buf, 0), 0);
        test_join(t);
        sock_release(s);
        wire_flush();
    }
    sock_release(l);
    wire.drop_all = true;
    sleep_ns(2000 * NSEC_PER_SEC);
    check_no_leak();
}
