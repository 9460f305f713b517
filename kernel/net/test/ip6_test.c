/* SPDX-License-Identifier: Apache-2.0 */
/* AF_INET6 sockets: ::1 over the loopback interface, v4-mapped addresses, who may share a port, options, /proc texts. */
#include "net_test.h"

#define MAPPED(a, b, c, d) ip_v4(IP4(a, b, c, d))

static struct sock_addr in6_addr(struct ip_addr ip, u16 port)
{
    struct sock_addr a;
    inet_name_out(&(struct sock){ .domain = AF_INET6 }, &a, ip, port);
    return a;
}

static struct sock *make(int domain, int type)
{
    struct sock *s;
    CHECK_EQ(sock_create(domain, type, 0, &s), 0);
    return s;
}

static int bind6(struct sock *s, struct ip_addr ip, u16 port)
{
    struct sock_addr a = in6_addr(ip, port);
    return sock_bind(s, &a);
}

static int connect6(struct sock *s, struct ip_addr ip, u16 port)
{
    struct sock_addr a = in6_addr(ip, port);
    return sock_connect(s, &a, false);
}

static void set_v6only(struct sock *s) { CHECK_EQ(sock_setopt(s, IPPROTO_IPV6, 26, &(int){ 1 }, 4), 0); }

static void check_name(struct sock *s, bool peer, struct ip_addr ip, u16 port)
{
    struct sock_addr got, want = in6_addr(ip, port);
    CHECK_EQ(sock_getname(s, peer, &got), 0);
    CHECK_EQ(got.len, 28);
    CHECK(memcmp(got.data, want.data, 28) == 0);
}

TEST(rules_of_addresses)
{
    struct ip_addr v4 = MAPPED(10, 0, 0, 2), v4_any = ip_v4(0), any = IP6_ANY, lo = IP6_LOOPBACK;
    CHECK(ip_is_v4(v4) && ip_is_v4(v4_any) && !ip_is_v4(any) && !ip_is_v4(lo));
    CHECK_EQ(ip_to_v4(v4), IP4(10, 0, 0, 2));
    const u8 mapped[16] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 2 };
    CHECK(memcmp(&v4, mapped, 16) == 0);
    CHECK(((const u8 *)&lo)[15] == 1);
    CHECK_EQ(ip_covers(any, false, v4), 0);
    CHECK_EQ(ip_covers(any, true, v4), -1);
    CHECK_EQ(ip_covers(any, true, lo), 0);
    CHECK_EQ(ip_covers(v4_any, false, v4), 1);
    CHECK_EQ(ip_covers(v4_any, false, lo), -1);
    CHECK_EQ(ip_covers(v4, false, v4), 2);
    CHECK_EQ(ip_covers(lo, false, any), -1);
    /* the mapped form's ffff adds nothing to a checksum */
    u32 whole = csum_add(mapped, 16, 0), part = csum_ip(v4);
    CHECK_EQ(csum_fold(whole), csum_fold((part & 0xffff) + (part >> 16)));
}

TEST(stream_over_loopback)
{
    static u8 buf[100000], back[100000];
    net_test_boot(0);
    struct sock *l = make(AF_INET6, SOCK_STREAM), *c = make(AF_INET6, SOCK_STREAM), *s;
    struct sock_addr peer, self;
    CHECK_EQ(bind6(l, IP6_LOOPBACK, 80), 0);
    CHECK_EQ(sock_listen(l, 4), 0);
    CHECK_EQ(connect6(c, IP6_ANY, 80), 0); /* :: is this host */
    CHECK_EQ(sock_accept(l, false, &s, &peer), 0);
    CHECK_EQ(sock_getname(c, false, &self), 0);
    CHECK_EQ(peer.len, 28);
    CHECK(memcmp(peer.data, self.data, 28) == 0);
    check_name(c, true, IP6_LOOPBACK, 80);
    check_name(s, false, IP6_LOOPBACK, 80);
    stream_fill(buf, 0, sizeof buf);
    CHECK_EQ(send_bytes(c, buf, sizeof buf, 0), sizeof buf);
    CHECK_EQ(recv_bytes(s, back, sizeof back, MSG_WAITALL), sizeof back);
    CHECK(memcmp(buf, back, sizeof buf) == 0);
    CHECK_EQ(connect6(c, IP6_LOOPBACK, 80), -EISCONN);
    static char text[2048];
    net_proc_show("tcp6", text, sizeof text);
    CHECK(__builtin_strstr(text, " 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A ") != NULL);
    net_proc_show("tcp", text, sizeof text);
    CHECK(__builtin_strstr(text, "0050") == NULL);
    sock_release(c);
    sock_release(s);
    sock_release(l);
    c = make(AF_INET6, SOCK_STREAM);
    CHECK_EQ(connect6(c, IP6_LOOPBACK, 80), -ECONNREFUSED);
    check_name(c, false, IP6_ANY, 0);
    sock_release(c);
    sleep_ns(70 * NSEC_PER_SEC);
    check_no_leak();
}

TEST(dual_stack_listener)
{
    net_test_boot(0);
    struct sock *l = make(AF_INET6, SOCK_STREAM), *c = make(AF_INET, SOCK_STREAM), *s;
    struct sock_addr a = in_addr(IP4(127, 0, 0, 1), 80), peer, self;
    CHECK_EQ(bind6(l, IP6_ANY, 80), 0);
    CHECK_EQ(sock_listen(l, 4), 0);
    CHECK_EQ(sock_connect(c, &a, false), 0);
    CHECK_EQ(sock_accept(l, false, &s, &peer), 0);
    CHECK_EQ(sock_domain(s), AF_INET6);
    CHECK_EQ(sock_getname(c, false, &self), 0);
    check_name(s, true, MAPPED(127, 0, 0, 1), get_be16(self.data + 2));
    check_name(s, false, MAPPED(127, 0, 0, 1), 80);
    sock_release(c);
    sock_release(s);
    c = make(AF_INET6, SOCK_STREAM);
    CHECK_EQ(connect6(c, MAPPED(127, 0, 0, 1), 80), 0);
    check_name(c, true, MAPPED(127, 0, 0, 1), 80);
    s = must_accept(l);
    sock_release(c);
    sock_release(s);
    /* from the wire, too */
    struct peer p = { .ip = PEER_IP, .port = 4000, .seq = 1000, .wnd = 60000 };
    peer_connect(&p, 80);
    s = must_accept(l);
    check_name(s, true, ip_v4(PEER_IP), 4000);
    sock_release(s);
    sock_release(l);
}

TEST(shared_ports)
{
    static const struct {
        bool a6, a_only, b6, b_only;
        int b_error;
    } cases[] = {
        { true, false, false, false, -EADDRINUSE }, /* :: and 0.0.0.0 */
        { false, false, true, false, -EADDRINUSE },
        { true, true, false, false, 0 }, /* what nginx does */
        { false, false, true, true, 0 },
        { true, true, true, false, -EADDRINUSE },
    };
    net_test_boot(0);
    for (unsigned i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
        int type = i % 2 == 0 ? SOCK_STREAM : SOCK_DGRAM, k = (int)i / 2;
        struct sock *a = make(cases[k].a6 ? AF_INET6 : AF_INET, type), *b = make(cases[k].b6 ? AF_INET6 : AF_INET, type);
        struct sock_addr any6 = in6_addr(IP6_ANY, 90), any4 = in_addr(0, 90);
        if (cases[k].a_only)
            set_v6only(a);
        if (cases[k].b_only)
            set_v6only(b);
        CHECK_EQ(sock_bind(a, cases[k].a6 ? &any6 : &any4), 0);
        CHECK_EQ(sock_bind(b, cases[k].b6 ? &any6 : &any4), cases[k].b_error);
        sock_release(a);
        sock_release(b);
    }
    check_no_leak();
}

TEST(datagrams)
{
    net_test_boot(0);
    struct sock *s = make(AF_INET6, SOCK_DGRAM), *c = make(AF_INET6, SOCK_DGRAM), *c4 = make(AF_INET, SOCK_DGRAM);
    char buf[64];
    u8 control[64];
    CHECK_EQ(bind6(s, IP6_ANY, 90), 0);
    CHECK_EQ(sock_setopt(s, IPPROTO_IPV6, 49, &(int){ 1 }, 4), 0);
    CHECK_EQ(connect6(c, IP6_LOOPBACK, 90), 0);
    struct sock_addr a = in_addr(IP4(127, 0, 0, 1), 90), from;
    CHECK_EQ(sock_connect(c4, &a, false), 0);
    for (int v4 = 0; v4 < 2; v4++) {
        struct ip_addr lo = v4 ? MAPPED(127, 0, 0, 1) : IP6_LOOPBACK;
        CHECK_EQ(send_bytes(v4 ? c4 : c, "hello", 5, 0), 5);
        struct uio u;
        uio_kernel(&u, buf, sizeof buf);
        struct sock_msg m = { .uio = &u, .from = &from, .ret_control = control, .control_len = sizeof control };
        CHECK_EQ(sock_recv(s, &m), 5);
        CHECK_EQ(from.len, 28);
        CHECK(memcmp(from.data + 8, &lo, 16) == 0);
        CHECK_EQ(m.control_len, 40);
        CHECK(memcmp(control + 16, &lo, 16) == 0);
        CHECK_EQ(get_u32(control + 32), 1);
    }
    sock_release(s);
    CHECK_EQ(send_bytes(c, "x", 1, 0), 1);
    CHECK_EQ(send_bytes(c, "x", 1, 0), -ECONNREFUSED); /* by ICMPv6 */
    /* a disconnect gives the source address back, so that the other family is reachable */
    CHECK_EQ(sock_connect(c, &(struct sock_addr){ .len = 16 }, false), 0);
    CHECK_EQ(connect6(c, MAPPED(127, 0, 0, 1), 90), 0);
    check_name(c, true, MAPPED(127, 0, 0, 1), 90);
    sock_release(c);
    sock_release(c4);
    check_no_leak();
}

TEST(refusals)
{
    net_test_boot(0);
    struct ip_addr far = { 0xb80d0120, 1ULL << 56 }; /* 2001:db8::1 */
    struct sock *s = make(AF_INET6, SOCK_STREAM);
    struct sock_addr v4 = in_addr(0, 80), a = in6_addr(IP6_ANY, 80);
    CHECK_EQ(sock_bind(s, &v4), -EINVAL); /* too short */
    v4.len = 28;
    CHECK_EQ(sock_bind(s, &v4), -EAFNOSUPPORT);
    a.len = 23;
    CHECK_EQ(sock_bind(s, &a), -EINVAL);
    CHECK_EQ(bind6(s, far, 80), -EADDRNOTAVAIL);
    CHECK_EQ(bind6(s, MAPPED(1, 2, 3, 4), 80), -EADDRNOTAVAIL);
    CHECK_EQ(connect6(s, far, 80), -ENETUNREACH);
    set_v6only(s);
    CHECK_EQ(bind6(s, MAPPED(127, 0, 0, 1), 80), -EINVAL);
    CHECK_EQ(connect6(s, MAPPED(127, 0, 0, 1), 80), -ENETUNREACH);
    CHECK_EQ(bind6(s, IP6_LOOPBACK, 80), 0);
    CHECK_EQ(sock_setopt(s, IPPROTO_IPV6, 26, &(int){ 0 }, 4), -EINVAL); /* bound */
    CHECK_EQ(sock_setopt(s, IPPROTO_IPV6, 9999, &(int){ 0 }, 4), -ENOPROTOOPT);
    sock_release(s);
    s = make(AF_INET, SOCK_STREAM);
    CHECK_EQ(sock_setopt(s, IPPROTO_IPV6, 26, &(int){ 0 }, 4), -ENOPROTOOPT);
    sock_release(s);
    check_no_leak();
}

TEST(options)
{
    static const struct {
        int name, first, set;
    } cases[] = { { 16, 64, 9 }, { 18, 1, 5 }, { 19, 1, 0 }, { 25, 0, 1 }, { 49, 0, 1 }, { 51, 0, 1 }, { 66, 0, 1 }, { 67, 0, 32 } };
    net_test_boot(0);
    struct sock *s = make(AF_INET6, SOCK_DGRAM);
    for (unsigned i = 0; i < ARRAY_SIZE(cases); i++) {
        int v = -2;
        u32 len = sizeof v;
        CHECK_EQ(sock_getopt(s, IPPROTO_IPV6, cases[i].name, &v, &len), 0);
        CHECK_EQ(v, cases[i].first);
        CHECK_EQ(sock_setopt(s, IPPROTO_IPV6, cases[i].name, &cases[i].set, 4), 0);
        CHECK_EQ(sock_getopt(s, IPPROTO_IPV6, cases[i].name, &v, &len), 0);
        CHECK_EQ(v, cases[i].set);
    }
    sock_release(s);
    check_no_leak();
}
