/* SPDX-License-Identifier: Apache-2.0 */
/* The far end of the wire for the stack's unit tests; net_test.h is the manual. */
#include "net_test.h"

const u8 peer_mac[6] = { 2, 0, 0, 0, 0, 1 };
static const u8 our_mac[6] = { 2, 0, 0, 0, 0, 2 };
struct wire wire = { .answer_arp = true };
static struct list sent = LIST_INIT(sent), inbound = LIST_INIT(inbound); /* wire_lock */
static struct spinlock wire_lock = SPINLOCK_INIT("test_wire");
static struct bh in_bh;
static u32 pkts_at_boot, in_batch;

void frame_free(struct frame *f) { kfree(f); }

static u32 queued(struct list *l)
{
    u32 n = 0;
    for (struct list *x = l->next; x != l; x = x->next)
        n++;
    return n;
}

void wire_report(void)
{
    struct mem_stats ms;
    page_stats(&ms);
    char text[8192];
    net_proc_show("drupe", text, sizeof text);
    log_text("%u sent, %u inbound, %llu of %llu pages free\n%s", queued(&sent), queued(&inbound),
             (unsigned long long)ms.free_pages, (unsigned long long)ms.total_pages, text);
}

static struct frame *frame_new(u32 len)
{
    unsigned rate = sim_fail_allocations(0);
    struct frame *f = NULL;
    for (int i = 0; i < 100 && f == NULL; i++)
        f = kmalloc(sizeof *f + len, ALLOC_ATOMIC);
    sim_fail_allocations(rate);
    if (f == NULL)
        wire_report();
    CHECK(f != NULL);
    f->len = len;
    f->at_ns = now_ns();
    return f;
}

static struct pkt *pkt_of(const void *data, u32 len)
{
    unsigned rate = sim_fail_allocations(0);
    struct pkt *p = NULL;
    for (int i = 0; i < 100 && p == NULL; i++)
        p = pkt_alloc(0, len);
    sim_fail_allocations(rate);
    CHECK(p != NULL);
    memcpy(pkt_put(p, len), data, len);
    return p;
}

static void deliver(const void *data, u32 len, bool vouch)
{
    struct pkt *p = pkt_of(data, len);
    if (vouch)
        p->csum = PKT_CSUM_VALID;
    test_dev.stats.rx_packets++;
    test_dev.input(&test_dev, p);
}

void wire_in(const void *data, u32 len)
{
    bh_disable();
    deliver(data, len, false);
    if (!wire.busy || ++in_batch % 64 == 0)
        test_dev.input_done(&test_dev, wire.busy);
    bh_enable();
}

static void in_bh_fn(struct bh *bh)
{
    unsigned n = 0;
    for (;;) {
        spin_lock_bh(&wire_lock);
        struct list *l = NULL;
        if (!list_empty(&inbound) && list_first(&inbound, struct frame, node)->at_ns <= now_ns())
            l = list_pop_front(&inbound);
        spin_unlock_bh(&wire_lock);
        if (l == NULL)
            break;
        struct frame *f = list_entry(l, struct frame, node);
        deliver(f->data, f->len, f->len > 1514);
        frame_free(f);
        if (++n == 64)
            break;
    }
    test_dev.input_done(&test_dev, false);
    if (n == 64)
        bh_raise(bh);
}

static void in_irq(void *arg) { bh_raise(&in_bh); }

static void schedule(struct frame *f, u64 at)
{
    f->at_ns = at;
    spin_lock_bh(&wire_lock);
    struct list *pos = &inbound;
    while (pos->prev != &inbound && list_entry(pos->prev, struct frame, node)->at_ns > at)
        pos = pos->prev;
    list_insert_before(pos, &f->node);
    spin_unlock_bh(&wire_lock);
    sim_interrupt_at(at, in_irq, NULL);
}

static bool one_in(u32 n) { return n != 0 && sim_random() % n == 0; }

static void mirror(const u8 *data, u32 len)
{
    if (one_in(wire.loss) || wire.drop_all) {
        wire.lost++;
        return;
    }
    unsigned copies = one_in(wire.dup) ? 2 : 1;
    while (copies-- > 0) {
        struct frame *f = frame_new(len);
        memcpy(f->data, data, len);
        struct eth_hdr *e = (void *)f->data;
        struct ip_hdr *h = (void *)(e + 1);
        memcpy(e->dst, our_mac, 6);
        memcpy(e->src, peer_mac, 6);
        u32 t = h->src; /* swapping the addresses changes no checksum */
        h->src = h->dst;
        h->dst = t;
        u64 at = now_ns() + wire.delay_ns;
        if (one_in(wire.reorder))
            at += 1 + sim_random() % (3 * wire.delay_ns + 100000);
        schedule(f, at);
    }
}

/* Finish checksums and cut super-segments, as a card would. */
static void card_out(u8 *d, u32 len, const struct pkt *p)
{
    u32 hdr = p->gso_hdr_len, per = p->gso_size;
    bool gso = p->gso != PKT_GSO_NONE;
    struct ip_hdr *h = (void *)(d + ETH_HLEN);
    if (gso) {
        CHECK(test_dev.features & NETDEV_TX_TSO4);
        CHECK_EQ(p->csum, PKT_CSUM_PARTIAL);
        CHECK(per > 0 && hdr > 34 && hdr < len);
        CHECK(len - hdr > per);
    } else {
        CHECK(len <= ETH_HLEN + test_dev.mtu);
    }
    if (p->csum == PKT_CSUM_PARTIAL) {
        CHECK(test_dev.features & NETDEV_TX_CSUM);
        CHECK_EQ(p->csum_start, ETH_HLEN + (h->vihl & 15) * 4);
        if (!gso) {
            u16 c = csum_fold(csum_add(d + p->csum_start, len - p->csum_start, 0));
            put_u16(d + p->csum_start + p->csum_offset, c);
        }
    }
    u32 data = gso ? len - hdr : 0, at = 0;
    do {
        u32 n = gso ? MIN(per, data - at) : 0, flen = gso ? hdr + n : len;
        struct frame *f = frame_new(flen);
        memcpy(f->data, d, gso ? hdr : len);
        if (gso) {
            memcpy(f->data + hdr, d + hdr + at, n);
            struct ip_hdr *fh = (void *)(f->data + ETH_HLEN);
            struct tcp_hdr *th = (void *)(f->data + p->csum_start);
            fh->len = be16((u16)(flen - ETH_HLEN));
            fh->csum = 0;
            fh->csum = csum_fold(csum_add(fh, IP_HLEN, 0));
            th->seq = be32(be32(th->seq) + at);
            if (at + n < data)
                th->flags &= (u8) ~(TH_FIN | TH_PSH);
            th->csum = 0;
            u32 l4 = flen - p->csum_start;
            th->csum = csum_fold(csum_add(th, l4, csum_pseudo(fh->src, fh->dst, IPPROTO_TCP, l4)));
        }
        at += n;
        wire.frames++;
        wire.bytes += flen;
        const struct ip_hdr *oh = (const void *)(f->data + ETH_HLEN);
        if (wire.mirror && flen > 34 && oh->dst == MIRROR_IP) {
            mirror(f->data, flen);
            frame_free(f);
        } else {
            spin_lock_bh(&wire_lock);
            list_push_back(&sent, &f->node);
            spin_unlock_bh(&wire_lock);
        }
    } while (at < data);
}

static void arp_out(const u8 *d)
{
    const u8 *a = d + ETH_HLEN;
    u32 spa = get_u32(a + 14), tpa = get_u32(a + 24);
    if (get_be16(a + 6) != 1 || spa == tpa || (tpa != PEER_IP && tpa != MIRROR_IP) || !wire.answer_arp)
        return;
    u8 r[42];
    memcpy(r, our_mac, 6);
    memcpy(r + 6, peer_mac, 6);
    put_be16(r + 12, ETH_ARP);
    memcpy(r + 14, a, 6);
    put_be16(r + 20, 2);
    memcpy(r + 22, peer_mac, 6);
    put_u32(r + 28, tpa);
    memcpy(r + 32, our_mac, 6);
    put_u32(r + 38, spa);
    struct frame *f = frame_new(sizeof r);
    memcpy(f->data, r, sizeof r);
    schedule(f, now_ns() + 1000);
}

static int dev_transmit(struct netdev *d, struct pkt *p)
{
    CHECK(bh_is_disabled());
    CHECK(d->opened);
    u32 len = p->total_len, sum = 0;
    for (const struct pkt *v = p; v != NULL; v = v->more)
        sum += v->len;
    CHECK_EQ(sum, len);
    unsigned rate = sim_fail_allocations(0);
    u8 *flat = kmalloc(len, ALLOC_ATOMIC);
    sim_fail_allocations(rate);
    CHECK(flat != NULL);
    CHECK_EQ(pkt_copy_out(p, 0, flat, len), len);
    if (get_be16(flat + 12) == ETH_ARP)
        arp_out(flat);
    else if (get_be16(flat + 12) != ETH_IPV6 || wire.ipv6)
        card_out(flat, len, p);
    kfree(flat);
    pkt_free(p);
    return 0;
}

static int dev_open(struct netdev *d) { return 0; }
static void dev_kick(struct netdev *d, unsigned queue) {}

static const struct netdev_ops dev_ops = { .open = dev_open, .transmit = dev_transmit, .kick = dev_kick };
struct netdev test_dev = { .ops = &dev_ops, .mac = { 2, 0, 0, 0, 0, 2 }, .mtu = 1500, .link_up = true };

void net_test_boot_config(u32 features, const struct net_config *c)
{
    bh_init(&in_bh, in_bh_fn);
    net_init();
    test_dev.features = features;
    netdev_register(&test_dev);
    CHECK_EQ(net_configure(c), 0);
    pkts_at_boot = pkt_in_use();
}

void net_test_boot(u32 features)
{
    const struct net_config c = { .mode = NET_STATIC, .address = OUR_IP, .netmask = IP4(255, 255, 255, 0),
                                  .gateway = PEER_IP, .eager = true };
    net_test_boot_config(features, &c);
}

void sleep_ns(u64 ns) { thread_sleep_until(now_ns() + ns, false); }

struct frame *wire_next(u64 wait_ns)
{
    u64 end = now_ns() + wait_ns, step = wait_ns > 10 * NSEC_PER_SEC ? 20 * NSEC_PER_MSEC : NSEC_PER_MSEC;
    for (;;) {
        spin_lock_bh(&wire_lock);
        struct list *n = list_pop_front(&sent);
        spin_unlock_bh(&wire_lock);
        if (n != NULL)
            return list_entry(n, struct frame, node);
        if (now_ns() >= end)
            return NULL;
        sleep_ns(MIN(end - now_ns(), step));
    }
}

void wire_flush(void)
{
    struct frame *f;
    while ((f = wire_next(0)) != NULL)
        frame_free(f);
}

u8 wire_tos, wire_nops;

void wire_in_ip(u32 src, u32 dst, u8 proto, u16 frag, u16 id, const void *payload, u32 len)
{
    u32 hlen = IP_HLEN + wire_nops;
    u8 *d = kmalloc(ETH_HLEN + hlen + len, 0);
    struct eth_hdr *e = (void *)d;
    struct ip_hdr *h = (void *)(e + 1);
    memcpy(e->dst, our_mac, 6);
    memcpy(e->src, peer_mac, 6);
    e->type = be16(ETH_IP);
    *h = (struct ip_hdr){ .vihl = (u8)(0x40 | hlen / 4), .tos = wire_tos, .len = be16((u16)(hlen + len)), .id = be16(id), .frag = be16(frag), .ttl = 64,
                          .proto = proto, .src = src, .dst = dst };
    memset(h + 1, 1, wire_nops);
    h->csum = csum_fold(csum_add(h, hlen, 0));
    memcpy((u8 *)h + hlen, payload, len);
    wire_in(d, ETH_HLEN + hlen + len);
    kfree(d);
}

/* --- scripted TCP peer -------------------------------------------------------------- */

void peer_send_at(struct peer *p, u32 seq, u32 ack, u8 flags, const u8 *opts, u32 optlen, const void *data, u32 len)
{
    u8 b[2048], ts[12];
    struct tcp_hdr *h = (void *)b;
    if (opts == NULL && p->ts) {
        optlen = tcp_put_ts(ts, p->ts_val, p->ts_ecr);
        opts = ts;
    }
    u32 hlen = (u32)sizeof *h + optlen;
    *h = (struct tcp_hdr){ .sport = be16(p->port), .dport = be16(p->our_port), .seq = be32(seq), .ack = be32(ack),
                           .off = (u8)(hlen / 4 << 4), .flags = flags, .wnd = be16(p->wnd) };
    if (optlen > 0)
        memcpy(h + 1, opts, optlen);
    if (len > 0)
        memcpy(b + hlen, data, len);
    h->csum = csum_fold(csum_add(b, hlen + len, csum_pseudo(p->ip, OUR_IP, IPPROTO_TCP, hlen + len)));
    wire_in_ip(p->ip, OUR_IP, IPPROTO_TCP, 0, 1, b, hlen + len);
}

void peer_send(struct peer *p, u8 flags, const void *data, u32 len)
{
    peer_send_at(p, p->seq, p->ack, flags, NULL, 0, data, len);
    p->seq += len + ((flags & TH_FIN) != 0) + ((flags & TH_SYN) != 0);
}

bool peer_recv(struct tseg *r, u64 wait_ns)
{
    struct frame *f = wire_next(wait_ns);
    if (f == NULL)
        return false;
    const struct ip_hdr *h = (const void *)(f->data + ETH_HLEN);
    CHECK_EQ(h->proto, IPPROTO_TCP);
    CHECK_EQ(csum_fold(csum_add(h, IP_HLEN, 0)), 0);
    u32 l4 = be16(h->len) - IP_HLEN;
    CHECK_EQ(be16(h->len) + ETH_HLEN, f->len);
    const struct tcp_hdr *t = (const void *)(h + 1);
    CHECK_EQ(csum_fold(csum_add(t, l4, csum_pseudo(h->src, h->dst, IPPROTO_TCP, l4))), 0);
    u32 hlen = (u32)(t->off >> 4) * 4;
    memset(r, 0, sizeof *r);
    r->at_ns = f->at_ns;
    r->src = h->src;
    r->dst = h->dst;
    r->sport = be16(t->sport);
    r->dport = be16(t->dport);
    r->seq = be32(t->seq);
    r->ack = be32(t->ack);
    r->wnd = be16(t->wnd);
    r->urg = be16(t->urg);
    r->flags = t->flags;
    r->tos = h->tos;
    r->len = l4 - hlen;
    CHECK(tcp_parse_options((const u8 *)(t + 1), hlen - 20, (t->flags & TH_SYN) != 0, &r->o));
    CHECK(r->len <= sizeof r->data);
    memcpy(r->data, (const u8 *)t + hlen, r->len);
    frame_free(f);
    return true;
}

void peer_connect(struct peer *p, u16 our_port)
{
    struct tseg g;
    p->our_port = our_port;
    u8 o[40];
    u32 n = tcp_put_syn_options(o, 1460, 7, true, p->ts, p->ts_val, 0);
    peer_send_at(p, p->seq, 0, TH_SYN, o, n, NULL, 0);
    p->seq++;
    CHECK(peer_recv(&g, NSEC_PER_SEC));
    CHECK_EQ(g.flags, TH_SYN | TH_ACK);
    CHECK_EQ(g.ack, p->seq);
    p->ack = g.seq + 1;
    p->ts_ecr = g.o.ts_val;
    peer_send(p, TH_ACK, NULL, 0);
}

void peer_accept(struct peer *p)
{
    struct tseg g;
    CHECK(peer_recv(&g, NSEC_PER_SEC));
    CHECK_EQ(g.flags, TH_SYN);
    p->ip = g.dst;
    p->port = g.dport;
    p->our_port = g.sport;
    p->ack = g.seq + 1;
    u8 o[40];
    p->ts_ecr = g.o.ts_val;
    u32 n = tcp_put_syn_options(o, 1460, 7, true, p->ts, p->ts_val, p->ts_ecr);
    peer_send_at(p, p->seq, p->ack, TH_SYN | TH_ACK, o, n, NULL, 0);
    p->seq++;
    CHECK(peer_recv(&g, NSEC_PER_SEC));
    CHECK_EQ(g.flags, TH_ACK);
    CHECK_EQ(g.ack, p->seq);
}

/* --- sockets -------------------------------------------------------------------------- */

struct sock_addr in_addr(u32 ip, u16 port)
{
    struct sock_addr a;
    inet_addr_out(&a, ip, port);
    return a;
}

struct sock *tcp_listener(u16 port, int backlog)
{
    struct sock *s;
    struct sock_addr a = in_addr(0, port);
    CHECK_EQ(sock_create(AF_INET, SOCK_STREAM, 0, &s), 0);
    CHECK_EQ(sock_setopt(s, 1, 2, &(int){ 1 }, 4), 0);
    CHECK_EQ(sock_bind(s, &a), 0);
    CHECK_EQ(sock_listen(s, backlog), 0);
    return s;
}

struct sock *must_accept(struct sock *l)
{
    struct sock *s;
    CHECK_EQ(sock_accept(l, false, &s, NULL), 0);
    return s;
}

s64 send_bytes(struct sock *s, const void *data, u32 len, u32 flags)
{
    struct uio u;
    uio_kernel(&u, (void *)(uintptr_t)data, len);
    struct sock_msg m = { .uio = &u, .flags = flags };
    return sock_send(s, &m);
}

s64 recv_bytes(struct sock *s, void *data, u32 len, u32 flags)
{
    struct uio u;
    uio_kernel(&u, data, len);
    struct sock_msg m = { .uio = &u, .flags = flags };
    return sock_recv(s, &m);
}

u8 stream_byte(u64 pos) { return (u8)((pos * 0x9E3779B97F4A7C15ULL) >> 56); }

void stream_fill(u8 *buf, u64 pos, u32 len)
{
    for (u32 i = 0; i < len; i++)
        buf[i] = stream_byte(pos + i);
}

void check_tcp(const struct tcp *t)
{
    u32 fin = t->fin_queued ? 1 : 0, prev = t->rcv_nxt, bytes = 0;
    CHECK(SEQ_LE(t->snd_una, t->snd_nxt) && SEQ_LE(t->snd_nxt, t->snd_max) && SEQ_LE(t->snd_max, t->write_seq + fin)); /* T1 */
    list_for_each(x, &t->s.rcvq, struct pkt, node)
        bytes += x->total_len;
    CHECK_EQ(bytes, t->s.rcvq_bytes); /* T2 */
    list_for_each(x, &t->oooq, struct pkt, node) { /* T3 */
        CHECK(SEQ_GE((u32)x->cb[0], prev));
        prev = (u32)x->cb[0] + x->total_len;
    }
    CHECK(SEQ_GE(t->rcv_adv, t->rcv_nxt) || t->fin_rcvd);
}

void check_no_leak(void)
{
    wire_flush();
    CHECK_EQ(net_mem_used, 0);
    CHECK_EQ(pkt_in_use(), pkts_at_boot);
    u32 orphans, tw;
    CHECK_EQ(tcp_count(&orphans, &tw), 0);
    CHECK_EQ(orphans, 0);
}

struct sock *udp_bound(u16 port)
{
    struct sock *s;
    struct sock_addr a = in_addr(0, port);
    CHECK_EQ(sock_create(AF_INET, SOCK_DGRAM, 0, &s), 0);
    CHECK_EQ(sock_bind(s, &a), 0);
    return s;
}

u32 udp_bytes(u8 *b, u16 sport, u16 dport, const void *data, u32 len)
{
    put_be16(b, sport);
    put_be16(b + 2, dport);
    put_be16(b + 4, (u16)(8 + len));
    put_be16(b + 6, 0);
    memcpy(b + 8, data, len);
    put_u16(b + 6, csum_fold(csum_add(b, 8 + len, csum_pseudo(PEER_IP, OUR_IP, IPPROTO_UDP, 8 + len))));
    return 8 + len;
}

s64 send_to(struct sock *s, const void *data, u32 len, u32 ip, u16 port)
{
    struct uio u;
    struct sock_addr a = in_addr(ip, port);
    uio_kernel(&u, (void *)(uintptr_t)data, len);
    struct sock_msg m = { .uio = &u, .to = &a };
    return sock_send(s, &m);
}
