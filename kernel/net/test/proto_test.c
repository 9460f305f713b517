/* SPDX-License-Identifier: Apache-2.0 */
/* Checksums, IP checks, ARP, ICMP, UDP, raw sockets, DHCP, packet buffers. */
#include "../diag_impl.h"
#include "net_test.h"

/* --- packets ------------------------------------------------------------------------ */

TEST(packet_chains)
{
    net_test_boot(0);
    u8 data[5000], out[5000];
    stream_fill(data, 0, sizeof data);
    struct pkt *p = pkt_alloc(64, 1000), *q = pkt_alloc(0, 4000);
    memcpy(pkt_put(p, 1000), data, 1000);
    memcpy(pkt_put(q, 4000), data + 1000, 4000);
    pkt_append(p, q);
    CHECK_EQ(p->total_len, 5000);
    struct pkt *c = pkt_clone_range(p, 500, 2000);
    CHECK_EQ(c->total_len, 2000);
    CHECK(!pkt_is_exclusive(p));
    pkt_pull(p, 1200);
    CHECK_EQ(p->len, 0);
    CHECK_EQ(p->total_len, 3800);
    CHECK_EQ(pkt_pull_up(p, 3000), 0);
    CHECK_EQ(p->len, 3000);
    CHECK_MEM(p->data, data + 1200, 3000);
    CHECK_EQ(pkt_pull_up(p, 4000), -EINVAL);
    CHECK_EQ(pkt_copy_out(p, 0, out, 5000), 3800);
    CHECK_MEM(out, data + 1200, 3800);
    pkt_trim(p, 3100);
    CHECK_EQ(p->total_len, 3100);
    pkt_trim(p, 10);
    CHECK(p->more == NULL);
    pkt_free(p);
    CHECK_EQ(pkt_copy_out(c, 0, out, 5000), 2000); /* the views outlive what they look at */
    CHECK_MEM(out, data + 500, 2000);
    pkt_free(c);
    CHECK(pkt_alloc(100, 65500) == NULL);
    p = pkt_alloc(0, 65536);
    CHECK(p != NULL);
    pkt_free(p);
    check_no_leak();
}

TEST(checksums)
{
    /* RFC 1071 section 3 */
    static const u8 ex[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };
    CHECK_EQ((u16)~csum_fold(csum_add(ex, 8, 0)), be16(0xddf2));
    net_test_boot(0);
    u8 data[300];
    for (int round = 0; round < 500; round++) { /* chains cut at odd places give the same sum */
        u32 len = (u32)(1 + sim_random() % sizeof data), at = 0;
        for (u32 i = 0; i < len; i++)
            data[i] = (u8)sim_random();
        struct pkt *p = NULL;
        while (at < len) {
            u64 some = 1 + sim_random() % 40;
            u32 n = (u32)MIN(some, len - at);
            struct pkt *v = pkt_alloc(0, n);
            memcpy(pkt_put(v, n), data + at, n);
            at += n;
            if (p == NULL)
                p = v;
            else
                pkt_append(p, v);
        }
        u64 plain = 0;
        for (u32 i = 0; i < len; i++)
            plain += (u64)data[i] << (i % 2 * 8);
        while (plain >> 16)
            plain = (plain & 0xffff) + (plain >> 16);
        CHECK_EQ((u16)~csum_fold(csum_pkt(p, 0, 0)), plain);
        u32 off = (u32)(sim_random() % len) & ~1u;
        CHECK_EQ(csum_fold(csum_pkt(p, off, 0)), csum_fold(csum_add(data + off, len - off, 0)));
        pkt_free(p);
    }
}

/* --- IP ------------------------------------------------------------------------------ */

TEST(ip_checks)
{
    u8 b[64], f[128];
    net_test_boot(0);
    struct sock *s = udp_bound(53);
    u32 n = udp_bytes(b, 1, 53, "x", 1);
    struct eth_hdr *e = (void *)f;
    struct ip_hdr *h = (void *)(e + 1);
    for (int bad = 0; bad < 12; bad++) {
        memset(f, 0, sizeof f);
        memcpy(e->dst, test_dev.mac, 6);
        memcpy(e->src, peer_mac, 6);
        e->type = be16(ETH_IP);
        *h = (struct ip_hdr){ .vihl = 0x45, .len = be16((u16)(IP_HLEN + n)), .ttl = 9, .proto = IPPROTO_UDP, .src = PEER_IP, .dst = OUR_IP };
        memcpy(h + 1, b, n);
        u32 len = ETH_HLEN + IP_HLEN + n;
        switch (bad) {
        case 1: h->vihl = 0x65; break;
        case 2: h->vihl = 0x44; break;
        case 3: h->len = be16((u16)(IP_HLEN + n + 20)); break;
        case 4: h->len = be16(10); break;
        case 5: h->src = IP_BROADCAST; break;
        case 6: h->src = IP4(127, 0, 0, 1); break;
        case 7: h->dst = IP4(10, 0, 0, 3); break;
        case 8: len = ETH_HLEN + 10; break;
        case 9: len = 9; break;
        case 10: e->dst[5] ^= 1; break;
        case 11: h->vihl = 0x4f; break;
        }
        h->csum = csum_fold(csum_add(h, IP_HLEN, 0));
        if (bad == 0) { /* padding behind the datagram is no part of it */
            len += 20;
        }
        wire_in(f, len);
        CHECK_EQ(!list_empty(&s->rcvq), bad == 0);
        if (bad == 0)
            CHECK_EQ(recv_bytes(s, f + 100, 20, 0), 1);
    }
    sock_release(s);
    sleep_ns(NSEC_PER_SEC);
    check_no_leak();
}

/* --- ARP ------------------------------------------------------------------------------- */

static void arp_in(u16 op, u32 spa, u32 tpa, const u8 *dst)
{
    u8 f[60] = { 0 };
    memcpy(f, dst, 6);
    memcpy(f + 6, peer_mac, 6);
    put_be16(f + 12, ETH_ARP);
    put_be16(f + 14, 1);
    put_be16(f + 16, ETH_IP);
    f[18] = 6;
    f[19] = 4;
    put_be16(f + 20, op);
    memcpy(f + 22, peer_mac, 6);
    put_u32(f + 28, spa);
    put_u32(f + 38, tpa);
    wire_in(f, sizeof f);
}

TEST(arp)
{
    char text[4096];
    net_test_boot(0);
    struct sock *s = udp_bound(53);
    wire.answer_arp = false;
    for (int i = 0; i < 20; i++)
        CHECK_EQ(send_to(s, "queued", 6, PEER_IP, 9), 6);
    CHECK_EQ(wire.frames, 0);
    arp_in(2, IP4(10, 0, 0, 77), OUR_IP, test_dev.mac); /* an answer nobody asked for makes no entry */
    net_proc_show("arp", text, sizeof text);
    CHECK(strchr(text, '7') == NULL);
    arp_in(2, PEER_IP, OUR_IP, test_dev.mac);
    CHECK_EQ(wire.frames, 8); /* what fitted in the queue */
    CHECK_EQ(net_counters.arp_queue_drop, 12);
    CHECK_EQ(send_to(s, "known", 5, PEER_IP, 9), 5);
    CHECK_EQ(wire.frames, 9);
    for (u32 i = 1; i < 200; i++) /* floods of neighbours: bounded */
        send_to(s, "x", 1, IP4(10, 0, 0, i), 9);
    CHECK(pkt_in_use() < 64 * 9);
    for (u32 i = 0; i < 70000; i++)
        arp_in(1, IP4(10, 0, i >> 8, i), OUR_IP, ether_broadcast);
    CHECK_EQ(send_to(s, "known", 5, PEER_IP, 9), 5);
    sock_release(s);
    sleep_ns(60 * NSEC_PER_SEC);
    check_no_leak();
}

TEST(arp_unanswered)
{
    net_test_boot(0);
    struct sock *s = udp_bound(53);
    wire.answer_arp = false;
    CHECK_EQ(send_to(s, "x", 1, IP4(10, 0, 0, 50), 9), 1);
    sleep_ns(5 * NSEC_PER_SEC);
    CHECK_EQ(net_counters.arp_unresolved, 1);
    CHECK_EQ(net_counters.arp_requests, 3);
    CHECK_EQ(send_to(s, "x", 1, IP4(10, 0, 0, 50), 9), -EHOSTUNREACH);
    sleep_ns(10 * NSEC_PER_SEC);
    CHECK_EQ(send_to(s, "x", 1, IP4(10, 0, 0, 50), 9), 1);
    sock_release(s);
    sleep_ns(20 * NSEC_PER_SEC);
    check_no_leak();
}

/* --- ICMP, UDP, raw ------------------------------------------------------------------------ */

TEST(echo)
{
    u8 e[1000] = { 8, 0 };
    net_test_boot(0);
    stream_fill(e + 8, 0, sizeof e - 8);
    put_u16(e + 2, csum_fold(csum_add(e, sizeof e, 0)));
    wire_in_ip(PEER_IP, OUR_IP, IPPROTO_ICMP, 0, 1, e, sizeof e);
    struct frame *f = wire_next(NSEC_PER_SEC);
    CHECK(f != NULL);
    const u8 *r = f->data + ETH_HLEN + IP_HLEN;
    CHECK_EQ(r[0], 0);
    CHECK_MEM(r + 4, e + 4, sizeof e - 4);
    CHECK_EQ(csum_fold(csum_add(r, sizeof e, 0)), 0);
    frame_free(f);
    e[2] ^= 1; /* bad sum */
    wire_in_ip(PEER_IP, OUR_IP, IPPROTO_ICMP, 0, 1, e, sizeof e);
    e[2] ^= 1;
    wire_in_ip(PEER_IP, IP4(10, 0, 0, 255), IPPROTO_ICMP, 0, 1, e, sizeof e); /* no amplifier */
    CHECK(wire_next(NSEC_PER_MSEC) == NULL);
    for (int i = 0; i < 1000; i++) /* limited */
        wire_in_ip(PEER_IP, OUR_IP, IPPROTO_ICMP, 0, 1, e, sizeof e);
    CHECK(net_counters.icmp_limited > 900);
    check_no_leak();
}

#define FAR IP4(192, 0, 2, 7)
#define NEAR IP4(10, 0, 0, 3)
static const u8 near_mac[6] = { 2, 0, 0, 0, 0, 3 };

/* A redirect for packets to dst, quoting one from src. */
static void redirect(u32 sender, u32 to, u32 src, u32 dst)
{
    u8 b[8 + IP_HLEN + 8] = { 5, 1 };
    struct ip_hdr *h = (void *)(b + 8);
    put_u32(b + 4, to);
    *h = (struct ip_hdr){ .vihl = 0x45, .len = be16(28), .ttl = 63, .proto = IPPROTO_UDP, .src = src, .dst = dst };
    put_u16(b + 2, csum_fold(csum_add(b, sizeof b, 0)));
    wire_in_ip(sender, OUR_IP, IPPROTO_ICMP, 0, 1, b, sizeof b);
}

/* Is what goes to dst given to the neighbour NEAR? */
static bool goes_near(struct sock *s, u32 dst)
{
    wire_flush();
    CHECK_EQ(send_to(s, "x", 1, dst, 9), 1);
    struct frame *f = wire_next(NSEC_PER_SEC);
    CHECK(f != NULL);
    bool near = memcmp(f->data, near_mac, 6) == 0;
    frame_free(f);
    return near;
}

TEST(redirects)
{
    net_test_boot(0);
    struct sock *s = udp_bound(53);
    CHECK(!goes_near(s, FAR));
    bh_disable();
    neigh_learn(netif_of(&test_dev), ip_v4(NEAR), near_mac, NEIGH_CREATE);
    bh_enable();
    redirect(IP4(10, 0, 0, 4), NEAR, OUR_IP, FAR);           /* not by the gateway */
    redirect(PEER_IP, NEAR, IP4(10, 0, 0, 5), FAR);          /* not about us */
    redirect(PEER_IP, IP4(198, 51, 100, 1), OUR_IP, FAR);    /* to no neighbour */
    redirect(PEER_IP, OUR_IP, OUR_IP, FAR);
    redirect(PEER_IP, IP4(10, 0, 0, 255), OUR_IP, FAR);
    redirect(PEER_IP, NEAR, OUR_IP, IP4(10, 0, 0, 6));       /* needs no gateway */
    CHECK(!goes_near(s, FAR));
    redirect(PEER_IP, NEAR, OUR_IP, FAR);
    CHECK(goes_near(s, FAR));
    CHECK(!goes_near(s, IP4(192, 0, 2, 8)));                 /* that one alone */
    redirect(PEER_IP, MIRROR_IP, OUR_IP, FAR);               /* no longer by this one */
    CHECK(goes_near(s, FAR));
    redirect(NEAR, PEER_IP, OUR_IP, FAR);                    /* but by the one in use */
    CHECK(!goes_near(s, FAR));
    redirect(PEER_IP, NEAR, OUR_IP, FAR);
    sleep_ns(301 * NSEC_PER_SEC);
    CHECK(!goes_near(s, FAR));
    sock_release(s);
    check_no_leak();
}

/* Code that ends with an operation without operand is not read beyond. */
TEST(conditions_of_sock_diag)
{
    static const u8 nop[4] = { 0, 4 }, jump[4] = { 1, 4, 8 };
    const struct diag_entry e = { .family = AF_INET };
    CHECK_EQ(diag_filter_check(nop, sizeof nop), 0);
    CHECK(diag_filter_passes(nop, sizeof nop, &e));
    CHECK_EQ(diag_filter_check(jump, sizeof jump), 0);
    CHECK(!diag_filter_passes(jump, sizeof jump, &e));
}

TEST(udp_errors)
{
    u8 b[64];
    char c;
    net_test_boot(0);
    u32 n = udp_bytes(b, 9, 9999, "x", 1);
    wire_in_ip(PEER_IP, OUR_IP, IPPROTO_UDP, 0, 1, b, n);
    struct frame *f = wire_next(NSEC_PER_SEC);
    CHECK(f != NULL);
    const u8 *r = f->data + ETH_HLEN + IP_HLEN;
    CHECK_EQ(r[0], 3);
    CHECK_EQ(r[1], 3);
    CHECK_MEM(r + 8 + IP_HLEN, b, n);
    frame_free(f);
    /* a connected socket hears of the peer's refusal */
    struct sock *s;
    struct sock_addr a = in_addr(PEER_IP, 1234);
    CHECK_EQ(sock_create(AF_INET, SOCK_DGRAM, 0, &s), 0);
    CHECK_EQ(sock_connect(s, &a, false), 0);
    CHECK_EQ(send_bytes(s, "x", 1, 0), 1);
    f = wire_next(NSEC_PER_SEC);
    CHECK(f != NULL);
    u8 e[8 + 28] = { 3, 3 };
    memcpy(e + 8, f->data + ETH_HLEN, 28);
    frame_free(f);
    put_u16(e + 2, csum_fold(csum_add(e, sizeof e, 0)));
    wire_in_ip(PEER_IP, OUR_IP, IPPROTO_ICMP, 0, 1, e, sizeof e);
    CHECK_EQ(recv_bytes(s, &c, 1, MSG_DONTWAIT), -ECONNREFUSED);
    CHECK_EQ(recv_bytes(s, &c, 1, MSG_DONTWAIT), -EAGAIN);
    sock_release(s);
    check_no_leak();
}

TEST(udp_sockets)
{
    char buf[32];
    u8 control[128];
    struct uio u;
    struct sock_addr from, any = in_addr(0, 60);
    net_test_boot(0);
    struct sock *a = udp_bound(60), *b = udp_bound(61), *c;
    CHECK_EQ(sock_create(AF_INET, SOCK_DGRAM, 0, &c), 0);
    CHECK_EQ(sock_bind(c, &any), -EADDRINUSE);
    CHECK_EQ(sock_setopt(a, IPPROTO_IP, 8, &(int){ 1 }, 4), 0);
    CHECK_EQ(send_to(b, "loop", 4, IP_LOOPBACK, 60), 4);
    uio_kernel(&u, buf, 2);
    struct sock_msg m = { .uio = &u, .from = &from, .flags = MSG_PEEK | MSG_TRUNC, .ret_control = control, .control_len = sizeof control };
    CHECK_EQ(sock_recv(a, &m), 4);
    CHECK(m.flags & MSG_TRUNC);
    CHECK_EQ(m.control_len, 32);
    CHECK_EQ(get_u32(control + 16), 1); /* lo */
    CHECK_EQ(get_u32(control + 20), IP_LOOPBACK);
    CHECK_EQ(get_be16(from.data + 2), 61);
    CHECK_EQ(recv_bytes(a, buf, 32, 0), 4);
    CHECK_MEM(buf, "loop", 4);
    CHECK_EQ(send_bytes(b, "x", 1, 0), -EDESTADDRREQ);
    CHECK_EQ(send_to(b, "x", 1, IP_BROADCAST, 60), -EACCES);
    CHECK_EQ(sock_setopt(b, 1, 6, &(int){ 1 }, 4), 0);
    CHECK_EQ(send_to(b, "x", 1, IP_BROADCAST, 60), 1);
    static u8 big[70000];
    CHECK_EQ(send_to(b, big, 65508, IP_LOOPBACK, 60), -EMSGSIZE);
    CHECK_EQ(send_to(b, big, 65507, IP_LOOPBACK, 60), 65507);
    CHECK_EQ(recv_bytes(a, big, 70000, 0), 65507);
    for (int i = 0; i < 100000; i++) /* bounded by SO_RCVBUF */
        send_to(b, "flood", 5, IP_LOOPBACK, 60);
    CHECK(net_counters.udp_queue_full > 0);
    CHECK(net_mem_used < 400000);
    sock_release(a);
    sock_release(b);
    sock_release(c);
    wire_flush();
    check_no_leak();
}

TEST(raw_icmp)
{
    char buf[100];
    u8 e[12] = { 8, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8 };
    struct sock *r;
    net_test_boot(0);
    CHECK_EQ(sock_create(AF_INET, SOCK_RAW, IPPROTO_ICMP, &r), 0);
    put_u16(e + 2, csum_fold(csum_add(e, sizeof e, 0)));
    CHECK_EQ(send_to(r, e, sizeof e, IP_LOOPBACK, 0), sizeof e);
    sleep_ns(NSEC_PER_MSEC);
    CHECK_EQ(r->rcvq_bytes, 64);
    CHECK_EQ(r->ops->pending(r, false), 32); /* the next one's bytes, not those of all */
    CHECK_EQ(recv_bytes(r, buf, sizeof buf, 0), 32); /* our own request first, then the answer */
    CHECK_EQ(buf[20], 8);
    CHECK_EQ(recv_bytes(r, buf, sizeof buf, 0), 32);
    CHECK_EQ(buf[20], 0);
    CHECK_MEM(buf + 24, e + 4, 8);
    sock_release(r);
    check_no_leak();
}

TEST(refusals)
{
    struct sock *s;
    net_test_boot(0);
    CHECK_EQ(sock_create(AF_INET6, SOCK_SEQPACKET, 0, &s), -ESOCKTNOSUPPORT);
    CHECK_EQ(sock_create(AF_PACKET, SOCK_STREAM, 3, &s), -ESOCKTNOSUPPORT);
    CHECK_EQ(sock_create(AF_INET, SOCK_STREAM, 17, &s), -EPROTONOSUPPORT);
    CHECK_EQ(sock_create(AF_INET, SOCK_SEQPACKET, 0, &s), -ESOCKTNOSUPPORT);
    CHECK_EQ(sock_create(AF_INET, SOCK_DGRAM, 0, &s), 0);
    CHECK_EQ(sock_setopt(s, 1, 9999, &(int){ 1 }, 4), -ENOPROTOOPT);
    CHECK_EQ(sock_setopt(s, 1, 2, &(int){ 1 }, 2), -EINVAL);
    CHECK_EQ(sock_setopt(s, 1, 26, &(int){ 1 }, 4), -EINVAL); /* no filter */
    CHECK_EQ(sock_listen(s, 1), -EOPNOTSUPP);
    sock_release(s);
    check_no_leak();
}

TEST(proc_texts)
{
    static char text[8192];
    net_test_boot(0);
    struct sock *l = tcp_listener(80, 1);
    CHECK(net_proc_show("tcp", text, sizeof text) < sizeof text);
    CHECK(strchr(text, '\n') != NULL);
    static const char *const names[] = { "udp", "raw", "unix", "dev", "route", "arp", "sockstat", "snmp", "drupe",
                                         "tcp6", "udp6", "if_inet6" };
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
        size_t n = net_proc_show(names[i], text, sizeof text);
        CHECK(n > 0 && n < sizeof text && strlen(text) == n);
        CHECK_EQ(net_proc_show(names[i], text, 10), n); /* short buffers only cut */
    }
    CHECK_EQ(net_proc_show("nothing", text, sizeof text), 0);
    u32 ip;
    CHECK_EQ(net_parse_ipv4("10.0.0.2", &ip), 0);
    CHECK_EQ(ip, OUR_IP);
    CHECK_EQ(net_parse_ipv4("10.0.0.256", &ip), -EINVAL);
    CHECK_EQ(net_parse_ipv4("10.0.0", &ip), -EINVAL);
    CHECK_EQ(net_parse_ipv4("10.0.0.2 ", &ip), -EINVAL);
    sock_release(l);
}

/* --- DHCP ------------------------------------------------------------------------------------ */

#define SERVER IP4(10, 0, 0, 1)

static u32 dhcp_xid;
static u8 dhcp_request_type(struct frame *f)
{
    const u8 *m = f->data + ETH_HLEN + IP_HLEN + 8;
    CHECK_EQ(get_be16(f->data + ETH_HLEN + IP_HLEN + 2), 67);
    dhcp_xid = get_u32(m + 4);
    CHECK_EQ(m[240], 53);
    return m[242];
}

static u8 dhcp_next(u64 wait_ns)
{
    struct frame *f = wire_next(wait_ns);
    CHECK(f != NULL);
    u8 t = dhcp_request_type(f);
    frame_free(f);
    return t;
}

static void dhcp_answer(u8 type, u32 xid, u32 yiaddr, u32 lease_s)
{
    u8 b[8 + 300] = { 0 };
    u8 *m = b + 8, *o = m + 240;
    m[0] = 2;
    m[1] = 1;
    m[2] = 6;
    put_u32(m + 4, xid);
    put_u32(m + 16, yiaddr);
    memcpy(m + 28, test_dev.mac, 6);
    put_be32(m + 236, 0x63825363);
    static const u8 opts[] = { 53, 1, 0, 54, 4, 10, 0, 0, 1, 1, 4, 255, 255, 255, 0, 3, 4, 10, 0, 0, 1, 6, 8, 8, 8, 8, 8, 1, 1, 1, 1,
                               15, 3, 'l', 'a', 'n', 51, 4 };
    memcpy(o, opts, sizeof opts);
    o[2] = type;
    put_be32(o + sizeof opts, lease_s);
    o[sizeof opts + 4] = 255;
    put_be16(b, 67);
    put_be16(b + 2, 68);
    put_be16(b + 4, sizeof b);
    wire_in_ip(SERVER, IP_BROADCAST, IPPROTO_UDP, 0, 1, b, sizeof b);
}

static int changes;
static void changed(void) { changes++; }

TEST(dhcp)
{
    struct net_config c = { .mode = NET_DHCP, .eager = true }, got;
    net_config_changed = changed;
    net_test_boot_config(0, &c);
    CHECK(!net_current_config(&got));
    for (int i = 0; i < 3; i++) /* no answer: asks again, slower */
        CHECK_EQ(dhcp_next(10 * NSEC_PER_SEC), 1);
    dhcp_answer(2, dhcp_xid ^ 1, OUR_IP, 100); /* somebody else's */
    dhcp_answer(2, dhcp_xid, IP_BROADCAST, 100); /* nonsense */
    CHECK(wire_next(NSEC_PER_MSEC) == NULL);
    dhcp_answer(2, dhcp_xid, OUR_IP, 100);
    CHECK_EQ(dhcp_next(NSEC_PER_MSEC), 3);
    dhcp_answer(6, dhcp_xid, 0, 0); /* NAK: from the start */
    CHECK_EQ(dhcp_next(NSEC_PER_SEC), 1);
    dhcp_answer(2, dhcp_xid, OUR_IP, 1000);
    CHECK_EQ(dhcp_next(NSEC_PER_MSEC), 3);
    dhcp_answer(5, dhcp_xid, OUR_IP, 1000);
    CHECK(net_current_config(&got));
    CHECK_EQ(got.address, OUR_IP);
    CHECK_EQ(got.gateway, SERVER);
    CHECK_EQ(got.dns[1], IP4(1, 1, 1, 1));
    CHECK_STR(got.domain, "lan");
    sleep_ns(NSEC_PER_MSEC);
    CHECK_EQ(changes, 1);
    u64 t0 = now_ns();
    CHECK_EQ(dhcp_next(600 * NSEC_PER_SEC), 3); /* renews at half time */
    CHECK(now_ns() - t0 > 490 * NSEC_PER_SEC && now_ns() - t0 < 510 * NSEC_PER_SEC);
    dhcp_answer(5, dhcp_xid, OUR_IP, 1000);
    t0 = now_ns();
    while (net_current_config(&got)) { /* then nobody answers: the address goes */
        sleep_ns(10 * NSEC_PER_SEC);
        wire_flush();
    }
    CHECK(now_ns() - t0 > 990 * NSEC_PER_SEC && now_ns() - t0 < 1100 * NSEC_PER_SEC);
    CHECK_EQ(lo_if.addr, IP_LOOPBACK);
}

TEST(dhcp_at_first_use)
{
    struct net_config c = { .mode = NET_DHCP };
    net_test_boot_config(0, &c);
    CHECK(!test_dev.opened);
    struct sock *s;
    struct sock_addr a = in_addr(IP_LOOPBACK, 5), b = in_addr(PEER_IP, 5);
    CHECK_EQ(sock_create(AF_INET, SOCK_DGRAM, 0, &s), 0);
    CHECK_EQ(sock_connect(s, &a, false), 0); /* loopback needs no card */
    CHECK(!test_dev.opened);
    u64 t0 = now_ns();
    CHECK_EQ(sock_connect(s, &b, false), -ENETUNREACH); /* no server: gives up in bounded time, once */
    CHECK(now_ns() - t0 >= 10 * NSEC_PER_SEC && now_ns() - t0 < 11 * NSEC_PER_SEC);
    CHECK(test_dev.opened);
    t0 = now_ns();
    CHECK_EQ(sock_connect(s, &b, false), -ENETUNREACH);
    CHECK_EQ(now_ns(), t0);
    sock_release(s);
}

TEST(dhcp_garbage)
{
    struct net_config c = { .mode = NET_DHCP, .eager = true };
    u8 b[8 + 400];
    net_test_boot_config(0, &c);
    for (int i = 0; i < 20000; i++) {
        dhcp_xid = 0;
        struct frame *f = wire_next(0);
        if (f != NULL) {
            dhcp_request_type(f);
            frame_free(f);
        }
        u32 len = (u32)(sim_random() % 400);
        for (u32 k = 0; k < 8 + len; k++)
            b[k] = (u8)sim_random();
        if (len > 240) {
            static u32 xid;
            xid = dhcp_xid != 0 ? dhcp_xid : xid;
            b[8] = 2, b[9] = 1, b[10] = 6;
            put_u32(b + 12, xid);
            memcpy(b + 8 + 28, test_dev.mac, 6);
            put_be32(b + 8 + 236, 0x63825363);
            b[8 + 240] = 53, b[8 + 241] = 1, b[8 + 242] = (u8)(sim_random() % 8);
        }
        put_be16(b, 67);
        put_be16(b + 2, 68);
        put_be16(b + 4, (u16)(8 + len));
        put_be16(b + 6, 0);
        wire_in_ip(SERVER, IP_BROADCAST, IPPROTO_UDP, 0, 1, b, 8 + len);
        if (i % 100 == 0)
            sleep_ns(NSEC_PER_SEC);
    }
}

/* --- memory runs out -------------------------------------------------------------------------- */

TEST(failing_allocations)
{
    static u8 data[3000], out[3000];
    net_test_boot(0);
    wire.mirror = true;
    wire.delay_ns = 1000;
    for (int i = 0; i < 300; i++) {
        sim_fail_allocations(4 + (u32)(i % 20));
        struct sock *l, *c, *s, *d, *p[2];
        struct sock_addr la = in_addr(0, 80), ca = in_addr(i % 2 ? MIRROR_IP : IP_LOOPBACK, 80);
        if (sock_create(AF_UNIX, SOCK_STREAM, 0, &d) == 0)
            sock_release(d);
        if (sock_create_pair(AF_UNIX, SOCK_STREAM, 0, p) == 0) {
            send_bytes(p[0], data, 3000, MSG_DONTWAIT);
            recv_bytes(p[1], out, 3000, MSG_DONTWAIT);
            sock_release(p[0]);
            sock_release(p[1]);
        }
        if (sock_create(AF_INET, SOCK_DGRAM, 0, &d) == 0) {
            send_to(d, data, 3000, MIRROR_IP, 1);
            sock_release(d);
        }
        if (sock_create(AF_INET, SOCK_STREAM, 0, &l) != 0)
            continue;
        sock_setopt(l, 1, 2, &(int){ 1 }, 4);
        if (sock_bind(l, &la) == 0 && sock_listen(l, 5) == 0 && sock_create(AF_INET, SOCK_STREAM, 0, &c) == 0) {
            sock_setopt(c, 1, 21, (s64[2]){ 2, 0 }, 16);
            if (sock_connect(c, &ca, false) == 0) {
                send_bytes(c, data, sizeof data, MSG_DONTWAIT);
                sleep_ns(NSEC_PER_SEC);
                if (sock_accept(l, true, &s, NULL) == 0) {
                    recv_bytes(s, out, sizeof out, MSG_DONTWAIT);
                    sock_release(s);
                }
            }
            sock_release(c);
        }
        sock_release(l);
    }
    sim_fail_allocations(0);
    sleep_ns(1000 * NSEC_PER_SEC);
    check_no_leak();
}

/* The next message of a netlink socket: its type, and the first attribute behind a fixed part of so many bytes. */
static u16 netlink_next(struct sock *s, u32 fixed, u32 *ret_first)
{
    u8 b[2048];
    CHECK(recv_bytes(s, b, sizeof b, 0) >= 16 + (s64)fixed);
    *ret_first = get_u32(b + 16 + fixed + 4);
    return get_u16(b + 4);
}

TEST(netlink_groups_hear_of_changes)
{
    struct sock_addr a = { .len = 12, .family = AF_NETLINK };
    struct sock *s, *u;
    u32 first;
    u8 b[16];
    net_test_boot(0);
    struct netif *nif = netif_of(&test_dev);
    CHECK_EQ(sock_create(AF_NETLINK, SOCK_RAW, 0, &s), 0);
    put_u32(a.data + 8, 0x1 | 0x10 | 0x40); /* links, addresses and routes of IPv4 */
    CHECK_EQ(sock_bind(s, &a), 0);
    CHECK_EQ(recv_bytes(s, b, sizeof b, MSG_DONTWAIT), -EAGAIN);
    bh_disable();
    netif_set_address(nif, IP4(10, 0, 0, 3), IP4(255, 255, 255, 0));
    bh_enable();
    CHECK_EQ(netlink_next(s, 8, &first), 21); /* RTM_DELADDR */
    CHECK_EQ(first, OUR_IP);
    CHECK_EQ(netlink_next(s, 8, &first), 20); /* RTM_NEWADDR */
    CHECK_EQ(first, IP4(10, 0, 0, 3));
    u16 type = netlink_next(s, 12, &first);
    if (type == 25) /* RTM_DELROUTE: what went by a gateway */
        type = netlink_next(s, 12, &first);
    CHECK_EQ(type, 24); /* RTM_NEWROUTE: from another address */
    test_dev.link_up = false;
    test_dev.link_changed(&test_dev);
    CHECK_EQ(netlink_next(s, 16, &first), 16); /* RTM_NEWLINK */
    CHECK_EQ(sock_setopt(s, 270, 1, &(int){ 3 }, 4), 0); /* neighbours */
    CHECK_EQ(sock_create(AF_INET, SOCK_DGRAM, 0, &u), 0);
    CHECK_EQ(send_to(u, "x", 1, PEER_IP, 9), 1);
    CHECK_EQ(netlink_next(s, 12, &first), 28); /* RTM_NEWNEIGH */
    CHECK_EQ(first, PEER_IP);
    sock_release(u);
    CHECK_EQ(sock_setopt(s, 270, 2, &(int){ 1 }, 4), 0); /* of links no more */
    sleep_ns(NSEC_PER_SEC);
    while (recv_bytes(s, b, sizeof b, MSG_DONTWAIT) > 0)
        ;
    test_dev.link_up = true;
    test_dev.link_changed(&test_dev);
    sleep_ns(NSEC_PER_SEC);
    CHECK_EQ(recv_bytes(s, b, sizeof b, MSG_DONTWAIT), -EAGAIN);
    sock_release(s);
}

static struct sock *leaving;

static void tell_and_leave(struct nl_answer *a, const void *what)
{
    nl_begin(a, 16, 0, what, 4);
    nl_end(a);
    if (leaving != NULL)
        sock_release(leaving);
    leaving = NULL;
}

/* One that leaves the group meanwhile takes nothing from the others. */
TEST(netlink_group_that_shrinks)
{
    struct sock *s[4];
    u8 b[32];
    net_test_boot(0);
    for (unsigned i = 0; i < ARRAY_SIZE(s); i++) {
        CHECK_EQ(sock_create(AF_NETLINK, SOCK_RAW, 0, &s[i]), 0);
        CHECK_EQ(sock_setopt(s[i], 270, 1, &(int){ 9 }, 4), 0);
    }
    leaving = s[0];
    nl_multicast(1u << 8, tell_and_leave, "what", false);
    nl_multicast(1u << 8, tell_and_leave, "what", false);
    for (unsigned i = 1; i < ARRAY_SIZE(s); i++) {
        CHECK_EQ(recv_bytes(s[i], b, sizeof b, MSG_DONTWAIT), 20);
        CHECK_EQ(recv_bytes(s[i], b, sizeof b, MSG_DONTWAIT), 20);
        CHECK_EQ(recv_bytes(s[i], b, sizeof b, MSG_DONTWAIT), -EAGAIN);
        sock_release(s[i]);
    }
}
