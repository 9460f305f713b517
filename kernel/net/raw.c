/* SPDX-License-Identifier: Apache-2.0 */
/* Raw sockets (raw(7), RFC 3542): a copy of every datagram of one protocol; the IP header included with IPv4 alone, and sent by the program itself
 * with IP_HDRINCL. An egress policy judges the headers that are sent, those that the program wrote, too. */
#include "kern/uio.h"
#include "sock_impl.h"

#define SOL_RAW 255
#define SOL_ICMPV6 58
#define IPV6_CHECKSUM 7
#define IP_HDRINCL 3

struct raw_sock {
    struct sock s;
    struct list node; /* raw_lock */
    bool hdrincl;
    s32 csum_at;            /* IPv6: where a checksum is made and checked; -1 */
    u32 icmp_filter[8];     /* by type, 1 = kept from the program; ICMP has the first word alone */
};

u32 raw_socks;
static struct spinlock raw_lock = SPINLOCK_INIT("net_raw");
static struct list socks = LIST_INIT(socks); /* raw_lock */

static struct raw_sock *raw(struct sock *s) { return container_of(s, struct raw_sock, s); }

static int raw_bind(struct sock *s, const struct sock_addr *a)
{
    struct ip_addr addr;
    u16 port;
    int err = inet_bind_check(s, a, &addr, &port);
    if (err == 0)
        s->laddr = addr;
    return err;
}

static int raw_connect(struct sock *s, const struct sock_addr *a, bool nonblock)
{
    struct ip_addr addr = IP6_ANY;
    u16 port;
    if (a->family != AF_UNSPEC) {
        int err = inet_dest_in(s, a, &addr, &port);
        if (err != 0)
            return err;
    }
    s->faddr = addr;
    return 0;
}

/* The program's own header of IPv4 goes, with its length and checksum, and what it left 0: source and identification. It is never cut. */
static int output_own(struct pkt *p, const struct ip_tx *tx)
{
    const u32 total = p->total_len;
    int err = total > tx->rt.nif->dev->mtu ? -EMSGSIZE : pkt_pull_up(p, IP_HLEN);
    u32 hlen = err == 0 ? (p->data[0] & 15) * 4u : 0;
    if (err == 0)
        err = p->data[0] >> 4 != 4 || hlen < IP_HLEN ? -EINVAL : pkt_pull_up(p, hlen);
    struct ip_hdr *h = (void *)p->data;
    if (err == 0 && unlikely(filter_on != 0)) { /* the frame goes to the one address, and says the other */
        bool first = (be16(h->frag) & IP_OFFMASK) == 0;
        err = filter_raw_out(tx->rt.nif, p, hlen, h->proto, first, tx->dst);
        if (err == 0 && h->dst != ip_to_v4(tx->dst))
            err = filter_raw_out(tx->rt.nif, p, hlen, h->proto, first, ip_v4(h->dst));
    }
    if (err != 0) {
        pkt_free(p);
        return err;
    }
    if (h->src == 0)
        h->src = ip_to_v4(tx->src);
    if (h->id == 0 && !(be16(h->frag) & IP_DF))
        h->id = be16(ip_next_id());
    h->len = be16((u16)total);
    h->csum = 0;
    h->csum = csum_fold(csum_add(h, hlen, 0));
    p->l3_off = (u16)pkt_headroom(p);
    p->l4_off = (u16)(p->l3_off + hlen);
    NET_COUNT(ip_out);
    return ether_output_ip(tx->rt.nif, tx->rt.nexthop, p);
}

static s64 raw_send(struct sock *s, struct sock_msg *m)
{
    struct dgram_dest d;
    struct ip_tx tx;
    struct pkt *p;
    u64 want = m->uio->remaining;
    const bool own = raw(s)->hdrincl;
    if (want > 65535 - (own ? 0 : IP_HLEN))
        return -EMSGSIZE;
    int err = sock_take_err(s);
    if (err == 0)
        err = dgram_dest(s, m, &d);
    if (err != 0)
        return err;
    net_need(d.addr);
    err = dgram_route(s, &d, s->protocol, &tx);
    if (err == 0)
        err = pkt_from_uio(m->uio, NET_HEADROOM, (u32)want, &p);
    if (err != 0)
        return err;
    s32 at = raw(s)->csum_at;
    if (at >= 0) {
        if (pkt_pull_up(p, (u32)at + 2) != 0) {
            pkt_free(p);
            return -EINVAL;
        }
        put_u16(p->data + at, 0);
        put_u16(p->data + at, csum_fold(csum_pkt(p, 0, csum_pseudo(csum_ip(tx.src), csum_ip(tx.dst), tx.proto, p->total_len))));
    }
    if (unlikely(filter_on != 0) && !own && (err = filter_raw_out(tx.rt.nif, p, 0, tx.proto, true, tx.dst)) != 0) {
        pkt_free(p);
        return err;
    }
    bh_disable();
    err = own ? output_own(p, &tx) : dgram_output(s, p, &tx);
    net_kick();
    bh_enable();
    return err != 0 ? err : (s64)want;
}

static void raw_from(struct sock *s, const struct pkt *p, struct sock_addr *ret) { inet_name_out(s, ret, ip_rx(p)->src, 0); }
static s64 raw_recv(struct sock *s, struct sock_msg *m) { return dgram_recv(s, m, raw_from); }

static int raw_setopt(struct sock *s, int level, int name, const void *val, u32 len)
{
    if (level == SOL_ICMPV6 && name == 1 && s->domain == AF_INET6) { /* ICMP6_FILTER */
        memcpy(raw(s)->icmp_filter, val, MIN(len, (u32)sizeof raw(s)->icmp_filter));
        return 0;
    }
    if ((level == SOL_RAW || level == IPPROTO_IPV6) && name == IPV6_CHECKSUM && s->domain == AF_INET6) {
        s32 v;
        int err = opt_int_in(val, len, &v);
        if (err != 0 || (s->protocol == IPPROTO_ICMPV6 && level == IPPROTO_IPV6) || (v > 0 && v % 2 != 0) || v > 1024)
            return -EINVAL;
        raw(s)->csum_at = MAX(v, -1);
        return 0;
    }
    if (level == IPPROTO_IP && name == IP_HDRINCL && s->domain == AF_INET) {
        s32 v;
        int err = opt_int_in(val, len, &v);
        if (err == 0)
            raw(s)->hdrincl = v != 0;
        return err;
    }
    if (level == SOL_RAW && name == 1 && s->domain == AF_INET) { /* ICMP_FILTER */
        if (len < 4)
            return -EINVAL;
        raw(s)->icmp_filter[0] = get_u32(val);
        return 0;
    }
    return inet_setopt(s, level, name, val, len);
}

static int raw_getopt(struct sock *s, int level, int name, void *ret_val, u32 *len)
{
    if (level == IPPROTO_IP && name == IP_HDRINCL && s->domain == AF_INET)
        return opt_int_out(ret_val, len, raw(s)->hdrincl);
    return inet_getopt(s, level, name, ret_val, len);
}

static int raw_getname(struct sock *s, bool peer, struct sock_addr *ret)
{
    if (peer && ip_is_unspec(s->faddr))
        return -ENOTCONN;
    inet_name_out(s, ret, peer ? s->faddr : s->laddr, s->protocol);
    return 0;
}

static void raw_release(struct sock *s)
{
    mc_leave_all(s);
    spin_lock_bh(&raw_lock);
    list_remove(&raw(s)->node);
    atomic_sub(&raw_socks, 1u);
    spin_unlock_bh(&raw_lock);
    dgram_close(s);
}

static void raw_destroy(struct sock *s)
{
    errors_drop(s);
    dgram_purge(s);
    kfree(raw(s));
}

static const struct sock_ops raw_ops = {
    .bind = raw_bind,
    .connect = raw_connect,
    .send = raw_send,
    .recv = raw_recv,
    .getname = raw_getname,
    .setopt = raw_setopt,
    .getopt = raw_getopt,
    .poll = dgram_poll,
    .pending = dgram_pending,
    .release = raw_release,
    .destroy = raw_destroy,
};

int raw_sock_create(int domain, int protocol, struct sock **ret)
{
    struct raw_sock *r = kzalloc(sizeof *r);
    if (r == NULL)
        return -ENOMEM;
    sock_setup(&r->s, &raw_ops, domain, SOCK_RAW, protocol);
    r->hdrincl = protocol == IPPROTO_RAW && domain == AF_INET;
    r->csum_at = domain == AF_INET6 && protocol == IPPROTO_ICMPV6 ? 2 : -1;
    spin_lock_bh(&raw_lock);
    list_push_back(&socks, &r->node);
    atomic_add(&raw_socks, 1u);
    spin_unlock_bh(&raw_lock);
    *ret = &r->s;
    return 0;
}

static bool matches(const struct raw_sock *r, const struct ip_rx *rx, const struct pkt *p, u8 proto)
{
    const struct sock *s = &r->s;
    if (s->protocol != proto || (s->domain == AF_INET) != ip_is_v4(rx->src) || ip_covers(s->laddr, false, rx->dst) < 0)
        return false;
    if (!ip_is_unspec(s->faddr) && !ip_equal(s->faddr, rx->src))
        return false;
    if (proto == (s->domain == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6) && p->len > 0 &&
        (r->icmp_filter[p->data[0] / 32] >> p->data[0] % 32 & 1))
        return false;
    if (r->csum_at >= 0 && !csum_ok_l4(p, csum_ip(rx->src), csum_ip(rx->dst), proto))
        return false;
    if (rx->broadcast && ip_is_group(rx->dst) && !mc_wants(s, rx))
        return false;
    return s->bound_if == 0 || s->bound_if == rx->ifindex;
}

/* p's data stands behind its IP header, which is still in front of it. */
static void give(struct sock *s, const struct pkt *p)
{
    u32 front = s->domain == AF_INET ? ip_rx(p)->hlen : 0;
    struct pkt *q = p->l3_off != 0 || front == 0 ? pkt_alloc(0, front + p->total_len) : NULL;
    if (q == NULL) {
        NET_COUNT(no_memory);
        return;
    }
    memcpy(pkt_put(q, front), p->store->start + p->l3_off, front);
    pkt_copy_out(p, 0, pkt_put(q, p->total_len), p->total_len);
    memcpy(q->cb, p->cb, sizeof q->cb);
    q->time_ns = wall_ns();
    if (!sock_filter(s, q, NULL, 0))
        pkt_free(q);
    else if (!dgram_queue(s, q))
        NET_DROP(raw_queue_full);
}

bool raw_input(struct netif *nif, const struct pkt *p, u8 proto)
{
    struct socks_found f = { .seen = 0 };
    if (likely(atomic_load_relaxed(&raw_socks) == 0))
        return false;
    do {
        f.at = f.n = 0;
        spin_lock_bh(&raw_lock);
        list_for_each(r, &socks, struct raw_sock, node)
            if (matches(r, ip_rx(p), p, proto))
                sock_found(&f, &r->s);
        spin_unlock_bh(&raw_lock);
        for (unsigned i = 0; i < f.n; i++) {
            give(f.s[i], p);
            sock_put(f.s[i]);
        }
    } while (f.n == SOCKS_FOUND);
    return f.seen > 0;
}

void raw_icmp_error(const struct icmp_quote *e)
{
    struct socks_found f = { .seen = 0 };
    const int domain = ip_is_v4(e->dst) ? AF_INET : AF_INET6;
    if (likely(atomic_load_relaxed(&raw_socks) == 0))
        return;
    do {
        f.at = f.n = 0;
        spin_lock_bh(&raw_lock);
        list_for_each(r, &socks, struct raw_sock, node) {
            const struct sock *s = &r->s;
            if (s->protocol == e->proto && s->domain == domain && ip_covers(s->laddr, false, e->src) >= 0 &&
                (ip_is_unspec(s->faddr) || ip_equal(s->faddr, e->dst)) && (s->bound_if == 0 || s->bound_if == ip_rx(e->p)->ifindex))
                sock_found(&f, &r->s);
        }
        spin_unlock_bh(&raw_lock);
        for (unsigned i = 0; i < f.n; i++) {
            dgram_icmp_error(f.s[i], e, raw(f.s[i])->hdrincl ? (u32)sizeof(struct icmp_hdr) : e->l4_at, 0);
            sock_put(f.s[i]);
        }
    } while (f.n == SOCKS_FOUND);
}

static struct sock *of(struct list *node) { return &list_entry(node, struct raw_sock, node)->s; }

void raw_find_all(struct socks_found *f)
{
    spin_lock_bh(&raw_lock);
    socks_walk(f, &socks, 1, of);
    spin_unlock_bh(&raw_lock);
}

size_t raw_show(char *buf, size_t size)
{
    struct text t = { buf, size, 0 };
    text_add(&t, "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref "
                 "pointer drops\n");
    unsigned n = 0;
    spin_lock_bh(&raw_lock);
    list_for_each(r, &socks, struct raw_sock, node)
        if (r->s.domain == AF_INET)
            text_add(&t, "%4u: %08X:%04X %08X:0000 07 00000000:%08X 00:00000000 00000000 %5u        0 %u 2 0 0\n", n++,
                 ip_to_v4(r->s.laddr), r->s.protocol, ip_to_v4(r->s.faddr), r->s.rcv_mem, r->s.uid, r->s.ino);
    spin_unlock_bh(&raw_lock);
    return t.len;
}
