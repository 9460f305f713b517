/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames into a card: a listening TCP socket, an open connection, a bound UDP socket, raw ones of ICMP and TCP, packet sockets that share what comes.
 * The input is a list of records: a kind byte, then
 *
 *   0..99     a whole frame, length in the next two bytes
 *   100..199  a TCP segment for the connection, near its window: flags, offsets and options from the input,
 *             lengths and checksums put right so that it gets in
 *   200..219  a UDP datagram or an IP fragment with a right header
 *   220..229  IPv6: any next header (extension headers, fragments), or ICMPv6 with hop limit and checksum put right
 *   230..255  time passes; the program reads, writes, accepts or shuts down
 *
 * Whatever comes, memory stays bounded and everything is given back at the end.
 */
#include "kernel/net/tcp_impl.h"
#include "kern/page.h"
#include "kern/thread.h"
#include "kern/uio.h"
#include "sim/sim.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x)      \
    do {             \
        if (!(x))    \
            abort(); \
    } while (0)

#define OUR IP4(10, 0, 0, 2)
#define PEER IP4(10, 0, 0, 1)
static const u8 peer_mac[6] = { 2, 0, 0, 0, 0, 1 };
static u32 sent_seq; /* of the last SYN-ACK */

static int dev_transmit(struct netdev *d, struct pkt *p)
{
    u8 h[54];
    if (pkt_copy_out(p, 0, h, sizeof h) == sizeof h && get_be16(h + 12) == ETH_IP && (h[47] & (TH_SYN | TH_ACK)) == (TH_SYN | TH_ACK))
        sent_seq = get_be32(h + 38);
    pkt_free(p);
    return 0;
}

static const struct netdev_ops ops = { .transmit = dev_transmit };
static struct netdev dev = { .ops = &ops, .mac = { 2, 0, 0, 0, 0, 2 }, .mtu = 1500, .link_up = true };

static void frame_in(const u8 *f, u32 len)
{
    struct pkt *p = pkt_alloc(0, len);
    if (p == NULL)
        return;
    /* in two views, as a mergeable buffer would be */
    u32 cut = len / 3;
    struct pkt *q = len > 90 ? pkt_alloc(0, len - cut) : NULL;
    memcpy(pkt_put(p, q != NULL ? cut : len), f, q != NULL ? cut : len);
    if (q != NULL) {
        memcpy(pkt_put(q, len - cut), f + cut, len - cut);
        pkt_append(p, q);
    }
    bh_disable();
    dev.input(&dev, p);
    dev.input_done(&dev, false);
    bh_enable();
}

static void ip_in(u8 proto, u16 frag, const u8 *l4, u32 len)
{
    static u8 f[ETH_HLEN + IP_HLEN + 2048];
    struct eth_hdr *e = (void *)f;
    struct ip_hdr *h = (void *)(e + 1);
    memcpy(e->dst, dev.mac, 6);
    memcpy(e->src, peer_mac, 6);
    e->type = be16(ETH_IP);
    *h = (struct ip_hdr){ .vihl = 0x45, .len = be16((u16)(IP_HLEN + len)), .frag = be16(frag), .ttl = 64, .proto = proto,
                          .src = PEER, .dst = OUR };
    h->csum = csum_fold(csum_add(h, IP_HLEN, 0));
    memcpy(h + 1, l4, len);
    frame_in(f, ETH_HLEN + IP_HLEN + len);
}

static void tcp_in(u16 sport, u32 seq, u32 ack, u8 flags, u16 wnd, const u8 *rest, u32 optlen, u32 len)
{
    u8 b[2048];
    struct tcp_hdr *h = (void *)b;
    *h = (struct tcp_hdr){ be16(sport), be16(80), be32(seq), be32(ack), (u8)((20 + optlen) / 4 << 4), flags, be16(wnd), 0, 0 };
    memcpy(h + 1, rest, optlen + len);
    u32 n = 20 + optlen + len;
    h->csum = csum_fold(csum_add(b, n, csum_pseudo(PEER, OUR, IPPROTO_TCP, n)));
    ip_in(IPPROTO_TCP, 0, b, n);
}

#define OUR6 ((struct ip_addr){ 0xfdULL, 2ULL << 56 })
#define PEER6 ((struct ip_addr){ 0x80feULL, 1ULL << 56 })

static void ip6_in(u8 next, bool group, const u8 *data, u32 len)
{
    static u8 f[ETH_HLEN + IP6_HLEN + 256];
    struct eth_hdr *e = (void *)f;
    struct ip6_hdr *h = (void *)(e + 1);
    struct ip_addr src = PEER6, dst = group ? ip6_solicited_node(OUR6) : OUR6;
    memcpy(e->dst, dev.mac, 6);
    memcpy(e->src, peer_mac, 6);
    e->type = be16(ETH_IPV6);
    *h = (struct ip6_hdr){ .vtf = be32(6u << 28), .len = be16((u16)len), .next = next, .hops = 255 };
    memcpy(h->src, &src, 16);
    memcpy(h->dst, &dst, 16);
    u8 *b = (u8 *)(h + 1);
    memcpy(b, data, len);
    if (next == IPPROTO_ICMPV6 && len >= 4) {
        put_u16(b + 2, 0);
        put_u16(b + 2, csum_fold(csum_add(b, len, csum_pseudo(csum_ip(src), csum_ip(dst), next, len))));
    }
    frame_in(f, ETH_HLEN + IP6_HLEN + len);
}

struct input {
    const u8 *p;
    size_t left;
};

static u32 take(struct input *in, u32 bytes)
{
    u32 v = 0;
    while (bytes-- > 0 && in->left > 0) {
        v = v << 8 | *in->p++;
        in->left--;
    }
    return v;
}

static struct sock *listener, *udp, *raw, *raw_tcp, *routes, *sniffers[2]; /* a ring of version 3, and a queue, which share frames */

static s64 move(struct sock *s, bool send)
{
    static u8 buf[4096];
    struct uio u;
    uio_kernel(&u, buf, sizeof buf);
    struct sock_msg m = { .uio = &u, .flags = MSG_DONTWAIT };
    return send ? sock_send(s, &m) : sock_recv(s, &m);
}

#define RING_BLOCK 8192u

static void sniff(void)
{
    for (unsigned i = 0; i < 2; i++) {
        MUST(sock_create(AF_PACKET, SOCK_RAW, be16(3), &sniffers[i]) == 0);
        if (i == 0) {
            const u32 ring[7] = { RING_BLOCK, 2, 2048, 8, 20, 0, 1 };
            MUST(sock_setopt(sniffers[i], 263, 10, &(int){ 2 }, 4) == 0);
            MUST(sock_setopt(sniffers[i], 263, 5, ring, sizeof ring) == 0);
            MUST(sock_map(sniffers[i], 2 * RING_BLOCK) == 0);
        }
        MUST(sock_setopt(sniffers[i], 263, 18, &(int){ 9 }, 4) == 0);
    }
}

/* As a program may: at any time, whosever they are. */
static void give_blocks_back(void)
{
    for (unsigned block = 0; block < 2; block++) {
        struct page *p;
        MUST(sock_map_page(sniffers[0], block * (RING_BLOCK / PAGE_SIZE), &p) == 0);
        atomic_store((u32 *)((u8 *)page_virt(p) + 8), 0u);
        page_put(p);
    }
}

static void sleep_ns(u64 ns) { thread_sleep_until(now_ns() + ns, false); }

static void act(struct input *in, struct sock **conn, u8 kind)
{
    struct sock *s;
    switch (kind % 8) {
    case 0:
        sleep_ns((u64)take(in, 1) * 50 * NSEC_PER_MSEC);
        break;
    case 1:
        move(udp, false);
        move(raw, false);
        move(raw_tcp, false);
        move(routes, false);
        move(sniffers[1], false);
        give_blocks_back();
        break;
    case 2:
        if (sock_accept(listener, true, &s, NULL) == 0) {
            sock_release(*conn);
            *conn = s;
        }
        break;
    case 3:
        if (*conn != NULL)
            sock_shutdown(*conn, 1);
        break;
    case 4:
        sock_release(*conn);
        *conn = NULL;
        break;
    case 5:
        if (*conn != NULL)
            sock_poll(*conn, NULL);
        break;
    default:
        if (*conn != NULL)
            move(*conn, kind % 2);
        break;
    }
}

static void run(void *arg)
{
    struct input *in = arg;
    struct sock *conn = NULL;
    struct sock_addr any = { .len = 0 };
    inet_addr_out(&any, 0, 80);
    u32 before = pkt_in_use();
    MUST(sock_create(AF_INET, SOCK_STREAM, 0, &listener) == 0);
    sock_setopt(listener, 1, 2, &(int){ 1 }, 4);
    MUST(sock_bind(listener, &any) == 0);
    MUST(sock_listen(listener, 4) == 0);
    MUST(sock_create(AF_INET, SOCK_DGRAM, 0, &udp) == 0);
    MUST(sock_bind(udp, &any) == 0);
    MUST(sock_create(AF_INET, SOCK_RAW, IPPROTO_ICMP, &raw) == 0);
    MUST(sock_create(AF_INET, SOCK_RAW, IPPROTO_TCP, &raw_tcp) == 0);
    MUST(sock_create(AF_NETLINK, SOCK_RAW, 0, &routes) == 0);
    MUST(sock_setopt(routes, 270, 1, &(int){ 20 }, 4) == 0); /* options of routers */
    sniff();
    static const u8 syn_opts[20] = { 2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 9, 0, 0, 0, 0, 1, 3, 3, 7 };
    tcp_in(7, 1000, 0, TH_SYN, 60000, syn_opts, 20, 0);
    tcp_in(7, 1001, sent_seq + 1, TH_ACK, 60000, syn_opts, 0, 0);
    sock_accept(listener, true, &conn, NULL);

    for (unsigned n = 0; in->left > 0 && n < 400; n++) {
        u8 kind = (u8)take(in, 1);
        if (kind < 100) {
            u32 len = take(in, 2) % 1600;
            len = (u32)MIN((size_t)len, in->left);
            if (len > 0)
                frame_in(in->p, len);
            in->p += len;
            in->left -= len;
        } else if (kind < 200) {
            u32 nxt = 1001, una = sent_seq + 1;
            if (conn != NULL) {
                nxt = tcp_of(conn)->rcv_nxt;
                una = tcp_of(conn)->snd_una;
            }
            u32 seq = nxt + (u32)(s8)take(in, 1) * (kind % 3 == 0 ? 500 : 1), ack = una + (u32)(s8)take(in, 1);
            u8 flags = (u8)take(in, 1);
            u16 wnd = (u16)take(in, 2);
            u32 optlen = take(in, 1) % 11 * 4, len = take(in, 1);
            if (optlen + len > in->left)
                break;
            tcp_in(kind < 190 ? 7 : kind, seq, ack, flags, wnd, in->p, optlen, len);
            in->p += optlen + len;
            in->left -= optlen + len;
        } else if (kind >= 220 && kind < 230) {
            u32 len = take(in, 1);
            u8 next = kind < 225 ? IPPROTO_ICMPV6 : (u8)take(in, 1);
            if (len > in->left)
                break;
            ip6_in(next, kind % 2, in->p, len);
            in->p += len;
            in->left -= len;
        } else if (kind < 230) {
            u32 len = take(in, 1);
            u16 frag = (u16)take(in, 2);
            if (len > in->left)
                break;
            ip_in(kind % 3 == 0 ? IPPROTO_UDP : kind % 3 == 1 ? IPPROTO_ICMP : (u8)len, frag & 0x203f, in->p, len);
            in->p += len;
            in->left -= len;
        } else {
            act(in, &conn, kind);
        }
        MUST(pkt_in_use() < before + 4000);
    }
    sock_release(conn);
    sock_release(listener);
    sock_release(udp);
    sock_release(raw);
    sock_release(raw_tcp);
    sock_release(routes);
    sock_release(sniffers[0]);
    sock_release(sniffers[1]);
    sleep_ns(2000 * NSEC_PER_SEC); /* retransmissions, TIME_WAIT, reassembly, ARP */
    u32 orphans, tw;
    MUST(tcp_count(&orphans, &tw) == 0 && tw == 0 && orphans == 0);
    MUST(net_mem_used == 0);
    MUST(pkt_in_use() == before);
}

static void boot(void *arg)
{
    net_init();
    netdev_register(&dev);
    const struct net_config c = { .mode = NET_STATIC, .address = OUR, .netmask = IP4(255, 255, 255, 0), .gateway = PEER, .eager = true,
                                  .address6 = { 0xfd, [15] = 2 }, .prefix6 = 64 };
    MUST(net_configure(&c) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool booted;
    sim_init_once(NULL);
    if (!booted)
        sim_run(boot, NULL);
    booted = true;
    struct input in = { data, size };
    sim_run(run, &in);
    return 0;
}
