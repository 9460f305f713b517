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
