/* SPDX-License-Identifier: Apache-2.0 */
/* AF_UNIX: pairs, abstract names, backlog, ends, credentials. */
#include "net_test.h"

static struct sock_addr abstract(const char *name)
{
    struct sock_addr a = { .len = (u32)(3 + strlen(name)), .family = AF_UNIX };
    a.data[2] = 0;
    memcpy(a.data + 3, name, strlen(name));
    return a;
}

TEST(pair_stream)
{
    struct sock *p[2];
    char buf[64];
    net_test_boot(0);
    CHECK_EQ(sock_create_pair(AF_UNIX, SOCK_STREAM, 0, p), 0);
    CHECK_EQ(recv_bytes(p[0], buf, 8, MSG_DONTWAIT), -EAGAIN);
    CHECK_EQ(sock_poll(p[0], NULL) & (POLLIN | POLLOUT | POLLHUP), POLLOUT);
    CHECK_EQ(send_bytes(p[1], "hello ", 6, 0), 6);
    CHECK_EQ(send_bytes(p[1], "world", 5, 0), 5);
    CHECK(sock_poll(p[0], NULL) & POLLIN);
    CHECK_EQ(recv_bytes(p[0], buf, 4, MSG_PEEK), 4);
    CHECK_EQ(recv_bytes(p[0], buf, sizeof buf, 0), 11);
    CHECK_MEM(buf, "hello world", 11);
    CHECK_EQ(sock_shutdown(p[1], 1), 0);
    CHECK_EQ(recv_bytes(p[0], buf, 8, 0), 0);
    CHECK_EQ(send_bytes(p[1], "x", 1, 0), -EPIPE);
    CHECK_EQ(send_bytes(p[0], "x", 1, 0), 1);
    sock_release(p[0]);
    CHECK_EQ(recv_bytes(p[1], buf, 8, 0), 1);
    CHECK_EQ(recv_bytes(p[1], buf, 8, 0), 0);
    CHECK(sock_poll(p[1], NULL) & POLLHUP);
    sock_release(p[1]);
    check_no_leak();
}

static u32 sender_pid = 7;
static void sender(u32 *pid, u32 *uid, u32 *gid) { *pid = sender_pid; }

/* With SO_PASSCRED what one read returns is from one sender, whose name comes with it. */
TEST(senders_of_a_stream)
{
    struct sock *p[2];
    char buf[64];
    net_test_boot(0);
    sock_who = sock_sender = sender;
    CHECK_EQ(sock_create_pair(AF_UNIX, SOCK_STREAM, 0, p), 0);
    CHECK_EQ(sock_setopt(p[0], 1, 16, &(int){ 1 }, 4), 0);
    CHECK_EQ(send_bytes(p[1], "one", 3, 0), 3);
    CHECK_EQ(send_bytes(p[1], "more", 4, 0), 4);
    sender_pid = 8;
    CHECK_EQ(send_bytes(p[1], "other", 5, 0), 5);
    CHECK_EQ(recv_bytes(p[0], buf, sizeof buf, MSG_PEEK), 7);
    CHECK_EQ(recv_bytes(p[0], buf, sizeof buf, 0), 7);
    CHECK_MEM(buf, "onemore", 7);
    CHECK_EQ(recv_bytes(p[0], buf, sizeof buf, 0), 5);
    sock_release(p[0]);
    sock_release(p[1]);
    check_no_leak();
}

/* SIOCINQ: what one read could give, but of seqpackets all that is there, as Linux has it. */
TEST(pending)
{
    static const struct {
        int type;
        s64 bytes;
    } cases[] = { { SOCK_STREAM, 8 }, { SOCK_SEQPACKET, 8 }, { SOCK_DGRAM, 3 } };
    struct sock *p[2];
    net_test_boot(0);
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        CHECK_EQ(sock_create_pair(AF_UNIX, cases[i].type, 0, p), 0);
        CHECK_EQ(send_bytes(p[1], "one", 3, 0), 3);
        CHECK_EQ(send_bytes(p[1], "other", 5, 0), 5);
        CHECK_EQ(p[0]->ops->pending(p[0], false), cases[i].bytes);
        sock_release(p[0]);
        sock_release(p[1]);
    }
    check_no_leak();
}

TEST(pair_close_with_unread)
{
    struct sock *p[2];
    char buf[8];
    net_test_boot(0);
    CHECK_EQ(sock_create_pair(AF_UNIX, SOCK_STREAM, 0, p), 0);
    CHECK_EQ(send_bytes(p[0], "abc", 3, 0), 3);
    sock_release(p[1]);
    CHECK_EQ(recv_bytes(p[0], buf, 8, 0), -ECONNRESET);
    CHECK_EQ(recv_bytes(p[0], buf, 8, 0), 0);
    CHECK_EQ(send_bytes(p[0], "abc", 3, 0), -EPIPE);
    sock_release(p[0]);
    check_no_leak();
}

TEST(pair_dgram)
{
    struct sock *p[2];
    char buf[8];
    net_test_boot(0);
    CHECK_EQ(sock_create_pair(AF_UNIX, SOCK_DGRAM, 0, p), 0);
    CHECK_EQ(send_bytes(p[0], "abcdef", 6, 0), 6);
    CHECK_EQ(send_bytes(p[0], "", 0, 0), 0);
    CHECK_EQ(recv_bytes(p[1], buf, 3, 0), 3);
    CHECK_EQ(recv_bytes(p[1], buf, 3, 0), 0);
    CHECK_EQ(recv_bytes(p[1], buf, 3, MSG_DONTWAIT), -EAGAIN);
    s64 n = 0;
    while (send_bytes(p[0], "abcdef", 6, MSG_DONTWAIT) == 6)
        n++;
    CHECK(n > 10 && n < 10000);
    sock_release(p[0]);
    sock_release(p[1]);
    check_no_leak();
}

TEST(names)
{
    struct sock *l, *c, *c2, *s;
    struct sock_addr a = abstract("name"), got;
    char buf[8];
    net_test_boot(0);
    CHECK_EQ(sock_create(AF_UNIX, SOCK_STREAM, 0, &l), 0);
    CHECK_EQ(sock_create(AF_UNIX, SOCK_STREAM, 0, &c), 0);
    CHECK_EQ(sock_create(AF_UNIX, SOCK_STREAM, 0, &c2), 0);
    CHECK_EQ(sock_connect(c, &a, false), -ECONNREFUSED);
    CHECK_EQ(sock_bind(l, &a), 0);
    CHECK_EQ(sock_bind(c, &a), -EADDRINUSE);
    CHECK_EQ(sock_connect(c, &a, false), -ECONNREFUSED);
    CHECK_EQ(sock_listen(l, 0), 0);
    CHECK_EQ(sock_accept(l, true, &s, NULL), -EAGAIN);
    CHECK_EQ(sock_connect(c, &a, false), 0);
    CHECK_EQ(sock_connect(c, &a, true), -EAGAIN);
    CHECK_EQ(sock_connect(c2, &a, true), -EAGAIN);
    CHECK(sock_poll(l, NULL) & POLLIN);
    CHECK_EQ(send_bytes(c, "early", 5, 0), 5);
    CHECK_EQ(sock_accept(l, true, &s, NULL), 0);
    CHECK_EQ(sock_getname(s, false, &got), 0);
    CHECK_EQ(got.len, 7);
    CHECK_EQ(recv_bytes(s, buf, 8, 0), 5);
    CHECK_EQ(sock_connect(c, &a, false), -EISCONN);
    CHECK_EQ(sock_connect(c2, &a, true), 0);
    sock_release(l);
    CHECK_EQ(recv_bytes(c2, buf, 8, 0), -ECONNRESET);
    CHECK_EQ(recv_bytes(c2, buf, 8, 0), 0);
    sock_release(c);
    sock_release(c2);
    sock_release(s);
    CHECK_EQ(sock_create(AF_UNIX, SOCK_STREAM, 0, &l), 0);
    CHECK_EQ(sock_bind(l, &a), 0);
    sock_release(l);
    check_no_leak();
}

static void writer(void *arg)
{
    u8 buf[5000];
    for (u64 pos = 0; pos < 1000000;) {
        u64 some = 1 + sim_random() % sizeof buf;
        u32 n = (u32)MIN(some, 1000000 - pos);
        stream_fill(buf, pos, n);
        CHECK_EQ(send_bytes(arg, buf, n, 0), n);
        pos += n;
    }
    CHECK_EQ(sock_shutdown(arg, 1), 0);
}

static struct sock *shared_end;

static void read_one_byte(void *arg)
{
    char c;
    CHECK_EQ(recv_bytes(shared_end, &c, 1, 0), 1);
}

/* Two wait for a byte each, and both come in one message, which leaves the buffer full when the first one is read. */
TEST(readers_of_one_message)
{
    static char bytes[8192];
    struct sock *p[2];
    struct thread *t[2];
    net_test_boot(0);
    CHECK_EQ(sock_create_pair(AF_UNIX, SOCK_STREAM, 0, p), 0);
    CHECK_EQ(sock_setopt(p[0], 1, 8, &(int){ 2048 }, 4), 0); /* SO_RCVBUF */
    shared_end = p[0];
    for (int i = 0; i < 2; i++)
        t[i] = test_thread("reader", read_one_byte, NULL);
    thread_sleep_until(now_ns() + NSEC_PER_MSEC, false);
    CHECK_EQ(send_bytes(p[1], bytes, sizeof bytes, 0), sizeof bytes);
    for (int i = 0; i < 2; i++)
        test_join(t[i]);
    sock_release(p[0]);
    sock_release(p[1]);
    check_no_leak();
}

TEST_CPUS(big_stream, 2)
{
    struct sock *p[2];
    u8 buf[3000];
    net_test_boot(0);
    CHECK_EQ(sock_create_pair(AF_UNIX, SOCK_STREAM, 0, p), 0);
    struct thread *t = test_thread("writer", writer, p[0]);
    u64 pos = 0;
    for (;;) {
        s64 n = recv_bytes(p[1], buf, (u32)(1 + sim_random() % sizeof buf), 0);
        CHECK(n >= 0);
        if (n == 0)
            break;
        for (s64 i = 0; i < n; i++)
            CHECK_EQ(buf[i], stream_byte(pos + (u64)i));
        pos += (u64)n;
    }
    CHECK_EQ(pos, 1000000);
    test_join(t);
    sock_release(p[0]);
    sock_release(p[1]);
    check_no_leak();
}

static void last_words(void *arg)
{
    CHECK_EQ(send_bytes(arg, "farewell", 8, 0), 8);
    sock_release(arg);
}

/* What was sent before the end is read before the end, whenever both come. */
TEST_CPUS(end_behind_data, 2)
{
    struct sock *p[2];
    u8 buf[16];
    net_test_boot(0);
    for (unsigned i = 0; i < 300; i++) {
        CHECK_EQ(sock_create_pair(AF_UNIX, SOCK_STREAM, 0, p), 0);
        struct thread *t = test_thread("writer", last_words, p[0]);
        for (unsigned k = sim_random() % 4; k > 0; k--)
            cond_resched();
        CHECK_EQ(recv_bytes(p[1], buf, sizeof buf, 0), 8);
        CHECK_EQ(recv_bytes(p[1], buf, sizeof buf, 0), 0);
        test_join(t);
        sock_release(p[1]);
    }
    check_no_leak();
}
