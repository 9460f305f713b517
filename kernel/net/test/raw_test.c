/* SPDX-License-Identifier: Apache-2.0 */
/* Raw sockets: who gets what, checksums on lo, and what the packet filter says of the headers that they send. */
#include "net_test.h"

static s64 raw_send_to(struct sock *s, u32 ip, const void *data, u32 len)
{
    struct sock_addr to = in_addr(ip, 0);
    struct uio u;
    uio_kernel(&u, (void *)(uintptr_t)data, len);
    struct sock_msg m = { .uio = &u, .to = &to, .flags = MSG_DONTWAIT };
    return sock_send(s, &m);
}

static s64 ports_to(struct sock *s, u32 ip, u16 sport, u16 dport)
{
    u8 h[20] = { 0 };
    put_be16(h, sport);
    put_be16(h + 2, dport);
    return raw_send_to(s, ip, h, sizeof h);
}

/* A header of the program's own in front of ports. */
static s64 own_header(struct sock *s, u32 route, u32 dst, u8 proto, u16 frag, u32 payload, u16 dport)
{
    u8 b[IP_HLEN + 8] = { 0x45, [8] = 64, [9] = proto };
    put_be16(b + 6, frag);
    put_u32(b + 16, dst);
    put_be16(b + IP_HLEN, 7);
    put_be16(b + IP_HLEN + 2, dport);
    return raw_send_to(s, route, b, IP_HLEN + payload);
}

static struct sock *raw_socket(int domain, int protocol)
{
    struct sock *s;
    CHECK_EQ(sock_create(domain, SOCK_RAW, protocol, &s), 0);
    return s;
}

TEST(raw_ports)
{
    net_test_boot(0);
    CHECK_EQ(net_filter_set(NULL, "tcp:0-80@10.0.0.1/32 udp:53@10.0.0.1/32 any@10.0.0.99/32"), 0);
    struct sock *tcp = raw_socket(AF_INET, IPPROTO_TCP), *udp = raw_socket(AF_INET, IPPROTO_UDP), *other = raw_socket(AF_INET, 99);
    CHECK_EQ(ports_to(tcp, PEER_IP, 7, 80), 20);
    CHECK_EQ(ports_to(tcp, PEER_IP, 7, 81), -EPERM);
    CHECK_EQ(ports_to(udp, PEER_IP, 7, 53), 20);
    CHECK_EQ(ports_to(udp, PEER_IP, 7, 80), -EPERM);
    CHECK_EQ(raw_send_to(udp, PEER_IP, "\0\7\0", 3), -EPERM); /* no port to be seen */
    CHECK_EQ(ports_to(other, PEER_IP, 7, 53), -EPERM);
    CHECK_EQ(ports_to(other, MIRROR_IP, 7, 53), 20);
    CHECK_EQ(net_counters.filter_out, 4);
    sock_release(tcp);
    sock_release(udp);
    sock_release(other);
    wire_flush();
}

TEST(raw_own_headers)
{
    net_test_boot(0);
    CHECK_EQ(net_filter_set(NULL, "tcp:80@10.0.0.1/32 udp@10.0.0.1/32 any@10.0.0.99/32"), 0);
    struct sock *s = raw_socket(AF_INET, IPPROTO_RAW);
    CHECK_EQ(own_header(s, PEER_IP, PEER_IP, IPPROTO_TCP, 0, 8, 80), 28);
    CHECK_EQ(own_header(s, PEER_IP, PEER_IP, IPPROTO_TCP, 0, 8, 81), -EPERM);
    CHECK_EQ(own_header(s, PEER_IP, IP4(10, 0, 0, 7), IPPROTO_TCP, 0, 8, 80), -EPERM);  /* what is written counts */
    CHECK_EQ(own_header(s, IP4(10, 0, 0, 7), PEER_IP, IPPROTO_TCP, 0, 8, 80), -EPERM);  /* and where it goes */
    CHECK_EQ(own_header(s, PEER_IP, PEER_IP, IPPROTO_TCP, IP_MF, 8, 80), 28);           /* a first fragment has ports */
    CHECK_EQ(own_header(s, PEER_IP, PEER_IP, IPPROTO_TCP, 1, 8, 80), -EPERM);           /* others do not */
    CHECK_EQ(own_header(s, PEER_IP, PEER_IP, IPPROTO_TCP, IP_MF, 2, 80), -EPERM);       /* too short for them */
    CHECK_EQ(own_header(s, PEER_IP, PEER_IP, IPPROTO_UDP, 1, 8, 99), 28);               /* all of UDP is open */
    CHECK_EQ(own_header(s, PEER_IP, PEER_IP, IPPROTO_ICMP, 0, 8, 0), -EPERM);
    CHECK_EQ(own_header(s, MIRROR_IP, MIRROR_IP, IPPROTO_ICMP, 0, 8, 0), 28);
    CHECK_EQ(own_header(s, MIRROR_IP, MIRROR_IP, IPPROTO_TCP, 1, 8, 9), 28);
    CHECK_EQ(net_counters.filter_out, 6);
    sock_release(s);
    wire_flush();
}

/* Raw sockets of TCP hear what a rule opens, and answers to what they sent. */
TEST(raw_tcp_in)
{
    struct peer p = { .ip = PEER_IP, .port = 1234, .our_port = 81, .seq = 1, .wnd = 1000 };
    net_test_boot(0);
    CHECK_EQ(net_filter_set("tcp:80", NULL), 0);
    struct sock *s = raw_socket(AF_INET, IPPROTO_TCP);
    peer_send(&p, TH_SYN, NULL, 0);
    CHECK_EQ(s->rcvq_bytes, 0);
    p.our_port = 80;
    peer_send(&p, TH_SYN, NULL, 0);
    CHECK(s->rcvq_bytes >= 40);
    u32 had = s->rcvq_bytes;
    CHECK_EQ(ports_to(s, PEER_IP, 81, 1234), 20);
    p.our_port = 81;
    peer_send(&p, TH_ACK, NULL, 0);
    CHECK(s->rcvq_bytes > had);
    sock_release(s);
    wire_flush();
}

/* As many raw sockets as there are get a copy. */
TEST(raw_many)
{
    struct sock *r[50];
    u8 e[8] = { 0, 0, 0, 0, 9, 9, 0, 1 };
    net_test_boot(0);
    put_u16(e + 2, csum_fold(csum_add(e, sizeof e, 0)));
    for (unsigned i = 0; i < ARRAY_SIZE(r); i++)
        CHECK_EQ(sock_create(AF_INET, SOCK_RAW, IPPROTO_ICMP, &r[i]), 0);
    wire_in_ip(PEER_IP, OUR_IP, IPPROTO_ICMP, 0, 1, e, sizeof e);
    for (unsigned i = 0; i < ARRAY_SIZE(r); i++) {
        CHECK_EQ(r[i]->rcvq_bytes, IP_HLEN + sizeof e);
        sock_release(r[i]);
    }
    check_no_leak();
}

/* What a raw socket sends to this host has no checksum but the program's. */
TEST(raw_checksum_on_lo)
{
    u8 b[12] = { 0, 7, 0, 60, 0, 12, 0, 0, 'a', 'b', 'c', 'd' };
    struct sock *r, *u;
    net_test_boot(0);
    CHECK_EQ(sock_create(AF_INET, SOCK_DGRAM, 0, &u), 0);
    CHECK_EQ(sock_bind(u, &(struct sock_addr){ .len = 16, .data = { AF_INET, 0, 0, 60 } }), 0);
    CHECK_EQ(sock_create(AF_INET, SOCK_RAW, IPPROTO_UDP, &r), 0);
    put_be16(b + 6, 0x1234);
    CHECK_EQ(raw_send_to(r, IP_LOOPBACK, b, sizeof b), sizeof b);
    sleep_ns(NSEC_PER_MSEC);
    CHECK_EQ(u->rcvq_bytes, 0);
    CHECK_EQ(net_counters.udp_bad, 1);
    CHECK_EQ(r->rcvq_bytes, IP_HLEN + sizeof b); /* raw sockets get it as it is */
    put_u16(b + 6, 0);
    put_u16(b + 6, csum_fold(csum_add(b, sizeof b, csum_pseudo(IP_LOOPBACK, IP_LOOPBACK, IPPROTO_UDP, sizeof b))));
    CHECK_EQ(raw_send_to(r, IP_LOOPBACK, b, sizeof b), sizeof b);
    sleep_ns(NSEC_PER_MSEC);
    CHECK_EQ(u->rcvq_bytes, 4);
    sock_release(r);
    sock_release(u);
    check_no_leak();
}

/* In pieces, up to the last byte that a datagram can have, and no further. */
TEST(largest)
{
    static u8 b[65536];
    struct sock *r;
    net_test_boot(0);
    CHECK_EQ(sock_create(AF_INET, SOCK_RAW, 99, &r), 0);
    for (u32 over = 0; over < 2; over++) {
        const u32 n = 65535 - IP_HLEN + over;
        for (u32 off = 0; off < n; off += 1480)
            wire_in_ip(PEER_IP, OUR_IP, 99, (u16)(off / 8 | (off + 1480 < n ? IP_MF : 0)), (u16)over, b + off, MIN(n - off, 1480u));
        CHECK_EQ(r->rcvq_bytes, 65535);
        CHECK_EQ(net_counters.ip_frag_bad, over);
    }
    sock_release(r);
    sleep_ns(40 * NSEC_PER_SEC);
    check_no_leak();
}
