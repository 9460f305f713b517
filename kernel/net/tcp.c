/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP's way in, ports, and TIME_WAIT. tcp_table.c has the table of four-tuples with its own locks; small tables by port hold
 * listeners and bound sockets. These and the list of TIME_WAIT entries are guarded by table_lock, which is held for a few steps. A segment
 * of a connection, or of one that is half open, does not need it.
 *
 * Tables of ports are made with the first TCP socket.
 */
#include "sieve.h"
#include "tcp_impl.h"

static struct spinlock table_lock = SPINLOCK_INIT("tcp_table");

#define PORT_BUCKETS 32u
static struct list *listeners, *bound; /* PORT_BUCKETS each; table lock, like all below */
static struct list tw_list = LIST_INIT(tw_list);
static u32 tw_count, orphans, tcp_alive;
static struct ktimer tw_timer;
static struct kmem_cache *tcp_cache, *tw_cache;

/* Connections that have something to send at the end of this CPU's receive batch: its own, bottom halves disabled. */
static struct batch {
    struct tcp *first;
} ALIGNED(64) batches[MAX_CPUS];

#define TW_MAX 8192u

/* --- tables ---------------------------------------------------------------------- */

static int tables_make(void)
{
    if (likely(atomic_load(&bound) != NULL))
        return 0;
    struct list *l = kmalloc(2 * PORT_BUCKETS * sizeof *l, 0);
    if (l == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < 2 * PORT_BUCKETS; i++)
        list_init(&l[i]);
    spin_lock_bh(&table_lock);
    if (bound == NULL) {
        listeners = l;
        atomic_store(&bound, l + PORT_BUCKETS);
        l = NULL;
    }
    spin_unlock_bh(&table_lock);
    kfree(l);
    return 0;
}

/* Table lock held: it is what keeps an entry found before. */
static void tw_free(struct tcp_tw *w)
{
    tcp_table_remove(&w->node);
    list_remove(&w->list);
    tw_count--;
    kmem_free(tw_cache, w);
}

/* l locked: a request of l does not go away while that is so. */
struct tcp_req *tcp_find_req(const struct tcp *l, struct ip_addr laddr, struct ip_addr faddr, u16 lport, u16 fport)
{
    struct tcp_node *n;
    struct spinlock *part = tcp_table_find(laddr, faddr, lport, fport, &n);
    bool ours = n != NULL && n->kind == NODE_REQ && container_of(n, struct tcp_req, node)->listener == l;
    spin_unlock_bh(part);
    return ours ? container_of(n, struct tcp_req, node) : NULL;
}

void tcp_listen_insert(struct tcp_listen *l)
{
    spin_lock_bh(&table_lock);
    list_push_front(&listeners[l->t->s.lport % PORT_BUCKETS], &l->node);
    sock_get(&l->t->s);
    spin_unlock_bh(&table_lock);
}

void tcp_listen_remove(struct tcp_listen *l)
{
    spin_lock_bh(&table_lock);
    list_remove(&l->node);
    spin_unlock_bh(&table_lock);
    sock_put(&l->t->s);
}

/* The listener for a SYN, referenced. Equals (SO_REUSEPORT) share by the peer's address. */
static struct tcp *find_listener(struct ip_addr laddr, u16 lport, struct ip_addr faddr, u16 fport, u32 ifindex)
{
    struct tcp *best = NULL;
    int best_score = -1;
    u32 equals = 0, pick = 0;
    if (listeners == NULL)
        return NULL;
    list_for_each(l, &listeners[lport % PORT_BUCKETS], struct tcp_listen, node) {
        const struct sock *s = &l->t->s;
        int fit = s->lport != lport ? -1 : ip_covers(s->laddr, s->v6only, laddr);
        if (fit < 0 || (s->bound_if != 0 && s->bound_if != ifindex))
            continue;
        int score = fit * 2 + (s->bound_if != 0);
        if (score > best_score) {
            best = l->t;
            best_score = score;
            equals = 1;
        } else if (score == best_score && s->reuse_port) {
            if (pick == 0)
                pick = tcp_tuple_hash(laddr, faddr, lport, fport) | 1;
            if (pick % ++equals == 0)
                best = l->t;
        }
    }
    if (best != NULL)
        sock_get(&best->s);
    return best;
}

/* --- local ports ---------------------------------------------------------------------- */

#define CAREFUL_PORTS 16 /* so many candidates are also looked for among all connections: that takes long, and most ports are free */
struct wish {
    struct ip_addr addr;
    bool v6only;
    u16 port;
};
static bool in_the_way(const struct tcp_node *n, void *arg)
{
    const struct wish *w = arg;
    return n->lport == w->port && ip_covers(w->addr, w->v6only, n->laddr) >= 0;
}

static bool bindable(const struct tcp *t, struct ip_addr addr, u16 port, bool quick)
{
    list_for_each(o, &bound[port % PORT_BUCKETS], struct tcp, bound_node) {
        const struct sock *s = &o->s;
        if (s->lport != port || !inet_clash(s, &t->s, addr))
            continue;
        if (s->bound_if != 0 && t->s.bound_if != 0 && s->bound_if != t->s.bound_if)
            continue;
        if (s->reuse_port && t->s.reuse_port)
            continue;
        if (s->reuse_addr && t->s.reuse_addr && o->state != TCP_LISTEN)
            continue;
        return false;
    }
    struct wish w = { addr, t->s.v6only, port };
    return quick || t->s.reuse_addr || t->s.reuse_port || !tcp_table_any(in_the_way, &w);
}

bool tcp_bind_port(struct tcp *t, struct ip_addr addr, u16 port, int *ret_err)
{
    int err = -EADDRINUSE;
    spin_lock_bh(&table_lock);
    if (port != 0) {
        if (bindable(t, addr, port, false))
            err = 0;
    } else {
        u32 span = (u32)inet_port_high() - inet_port_low() + 1, start = (u32)random_below(span);
        for (u32 i = 0; i < span && err != 0; i++) {
            port = (u16)(inet_port_low() + (start + i) % span);
            if (bindable(t, addr, port, i >= CAREFUL_PORTS))
                err = 0;
        }
    }
    if (err == 0) {
        t->s.laddr = addr;
        t->s.lport = port;
        t->in_table_bound = true;
        list_push_back(&bound[port % PORT_BUCKETS], &t->bound_node);
    }
    spin_unlock_bh(&table_lock);
    *ret_err = err;
    return err == 0;
}

void tcp_unbind(struct tcp *t)
{
    spin_lock_bh(&table_lock);
    if (t->in_table_bound) {
        list_remove(&t->bound_node);
        t->in_table_bound = false;
    }
    spin_unlock_bh(&table_lock);
}

/* Are the four numbers in use? A TIME_WAIT entry goes when timestamps protect (RFC 6191). Table lock held. */
static bool taken(const struct tcp_node *n, u16 lport, u64 now)
{
    struct tcp_node *old;
    struct spinlock *part = tcp_table_find(n->laddr, n->faddr, lport, n->fport, &old);
    bool wait = old != NULL && old->kind == NODE_TW;
    spin_unlock_bh(part);
    if (!wait)
        return old != NULL;
    struct tcp_tw *w = container_of(old, struct tcp_tw, node);
    if (!w->ts_ok || now + TCP_TIMEWAIT_NS < w->expires_ns + NSEC_PER_SEC)
        return true;
    tw_free(w);
    return false;
}

int tcp_connect_port(struct tcp *t)
{
    struct tcp_node *n = &t->node;
    int err = -EADDRNOTAVAIL;
    u64 now = now_ns();
    n->kind = NODE_CONN;
    n->laddr = t->s.laddr;
    n->faddr = t->s.faddr;
    n->fport = t->s.fport;
    spin_lock_bh(&table_lock);
    u32 span = t->s.lport != 0 ? 1 : (u32)inet_port_high() - inet_port_low() + 1;
    u32 start = (u32)random_below(span);
    for (u32 i = 0; i < span && err != 0; i++) {
        u16 port = t->s.lport != 0 ? t->s.lport : (u16)(inet_port_low() + (start + i) % span);
        bool in_use = false;
        if (t->s.lport == 0)
            list_for_each(o, &bound[port % PORT_BUCKETS], struct tcp, bound_node)
                in_use |= o->s.lport == port;
        if (in_use || taken(n, port, now))
            continue;
        n->lport = port;
        if (tcp_table_insert(n) == 0)
            err = 0;
    }
    if (err == 0) {
        t->s.lport = n->lport;
        sock_get(&t->s); /* the table's (T5) */
    }
    spin_unlock_bh(&table_lock);
    return err;
}

u32 tcp_new_isn(struct ip_addr laddr, struct ip_addr faddr, u16 lport, u16 fport)
{
    /* RFC 6528: a keyed hash of the connection plus a clock (64 ns steps) */
    u64 key[2] = { net_secret[1], net_secret[0] };
    return (u32)net_siphash(key, ip_pair(laddr, faddr), (u64)lport << 16 | fport) + (u32)(now_ns() >> 6);
}

u32 tcp_ts_offset(struct ip_addr laddr, struct ip_addr faddr)
{
    return (u32)net_siphash(net_secret, ip_pair(laddr, faddr), 1ULL << 40);
}

/* --- connections -------------------------------------------------------------------------- */

void tcp_set_state(struct tcp *t, u8 state)
{
    TRACE(NET_TCP_STATE, t->s.lport, t->s.fport, t->state, state);
    atomic_store(&t->state, state);
}

struct tcp *tcp_create(int domain)
{
    if (tables_make() != 0)
        return NULL;
    struct tcp *t = kmem_alloc(tcp_cache, ALLOC_ATOMIC);
    if (t == NULL)
        return NULL;
    memset(t, 0, sizeof *t);
    sock_setup(&t->s, &tcp_ops, domain, SOCK_STREAM, IPPROTO_TCP);
    t->s.rcvbuf = TCP_RCVBUF_DEFAULT;
    t->s.sndbuf = TCP_SNDBUF_DEFAULT;
    t->state = TCP_CLOSED;
    list_init(&t->sendq);
    list_init(&t->oooq);
    t->rto_us = TCP_RTO_INIT_US;
    t->mss = t->rcv_mss = TCP_MSS_DEFAULT;
    t->quickacks = TCP_QUICKACKS;
    /* The scale must do for what the buffer may grow to. */
    u64 max = MIN((u64)TCP_RCVBUF_MAX, MAX(net_mem_limit / 4, (u64)TCP_RCVBUF_DEFAULT));
    while (t->rcv_wscale < 14 && (max / 2) >> t->rcv_wscale > 65535)
        t->rcv_wscale++;
    t->cc_ops = tcp_parts.cc[0];
    tcp_cc_init(t);
    tcp_timer_init(t);
    atomic_add(&tcp_alive, 1u);
    return t;
}

void tcp_destroy(struct sock *s)
{
    struct tcp *t = tcp_of(s);
    tcp_send_purge(t);
    tcp_recv_purge(t);
    tcp_scores_drop(t);
    tcp_rack_drop(t);
    tcp_tfo_drop(t);
    zc_drop(s);
    if (tcp_parts.info != NULL)
        tcp_parts.info->drop(t);
    tcp_mtup_drop(t);
    kfree(t->l);
    atomic_sub(&tcp_alive, 1u);
    kmem_free(tcp_cache, t);
}

void tcp_send_purge(struct tcp *t)
{
    list_for_each_safe(p, &t->sendq, struct pkt, node) {
        if (p == t->append)
            continue; /* its writer frees it */
        list_remove(&p->node);
        t->s.snd_mem -= (u32)p->cb[2];
        net_mem_uncharge((u32)p->cb[2]);
        pkt_free(p);
    }
    t->send_hint = NULL;
}

void tcp_recv_purge(struct tcp *t)
{
    list_for_each(p, &t->s.rcvq, struct pkt, node)
        net_mem_uncharge((u32)p->cb[2]);
    list_for_each(p, &t->oooq, struct pkt, node)
        net_mem_uncharge((u32)p->cb[2]);
    pkt_list_free(&t->s.rcvq);
    pkt_list_free(&t->oooq);
    t->s.rcvq_bytes = t->s.rcv_mem = t->ooo_mem = 0;
    t->nsack_out = 0;
}

bool tcp_orphan_count(int delta)
{
    u32 n = delta > 0 ? atomic_add(&orphans, 1u) : atomic_sub(&orphans, 1u);
    return n <= 4096 && !net_mem_full();
}

void tcp_done(struct tcp *t)
{
    if (t->state == TCP_CLOSED)
        return;
    tcp_set_state(t, TCP_CLOSED);
    tcp_tfo_end(t);
    t->deferred = false;
    atomic_store(&t->s.shut, (u8)(SHUT_RD_BIT | SHUT_WR_BIT));
    tcp_timer_stop(t);
    tcp_send_purge(t);
    tcp_scores_drop(t);
    tcp_rack_drop(t);
    /* What arrived in order stays readable; what did not is of no use. */
    list_for_each(p, &t->oooq, struct pkt, node)
        net_mem_uncharge((u32)p->cb[2]);
    pkt_list_free(&t->oooq);
    t->ooo_mem = 0;
    t->nsack_out = 0;
    if (!t->port_chosen || t->s.closed)
        tcp_unbind(t);
    if (t->tcp_fin_orphan) {
        t->tcp_fin_orphan = false;
        tcp_orphan_count(-1);
    }
    if (tcp_table_remove(&t->node))
        sock_put(&t->s); /* the table's; the caller has its own */
}

void tcp_drop(struct tcp *t, int err)
{
    atomic_store(&t->s.err, err);
    tcp_done(t);
}

/* --- TIME_WAIT ------------------------------------------------------------------------------- */

static void tw_tick(struct ktimer *kt)
{
    u64 now = now_ns(), next = NEVER_NS;
    spin_lock(&table_lock);
    while (!list_empty(&tw_list)) {
        struct tcp_tw *w = list_first(&tw_list, struct tcp_tw, list);
        if (w->expires_ns > now) {
            next = w->expires_ns;
            break;
        }
        tw_free(w);
    }
    spin_unlock(&table_lock);
    if (next != NEVER_NS)
        ktimer_start(kt, next + NSEC_PER_SEC / 2); /* in groups */
}

void tcp_enter_timewait(struct tcp *t, u64 now)
{
    struct tcp_tw *w = net_mem_full() ? NULL : kmem_alloc(tw_cache, ALLOC_ATOMIC);
    if (w != NULL) {
        *w = (struct tcp_tw){ .node = { .laddr = t->node.laddr, .faddr = t->node.faddr, .lport = t->node.lport,
                                        .fport = t->node.fport, .kind = NODE_TW },
                              .snd_nxt = t->snd_max, .rcv_nxt = t->rcv_nxt, .rcv_wnd = (t->rcv_adv - t->rcv_nxt) >> t->rcv_wscale,
                              .ts_recent = t->ts_recent, .ts_offset = t->ts_offset, .ts_ok = t->ts_ok,
                              .expires_ns = now + TCP_TIMEWAIT_NS };
        NET_COUNT(tcp_timewait);
    }
    tcp_done(t);
    if (w == NULL)
        return; /* the peer's retransmissions will be answered with resets */
    spin_lock_bh(&table_lock);
    u32 max = (u32)MIN((u64)TW_MAX, net_mem_limit / 16 / sizeof *w);
    if (tw_count >= max && !list_empty(&tw_list)) {
        NET_COUNT(tcp_timewait_limit);
        tw_free(list_first(&tw_list, struct tcp_tw, list));
    }
    if (tcp_table_insert(&w->node) == 0) {
        list_push_back(&tw_list, &w->list);
        tw_count++;
        w = NULL;
        if (!ktimer_armed(&tw_timer))
            ktimer_start(&tw_timer, now + TCP_TIMEWAIT_NS);
    }
    spin_unlock_bh(&table_lock);
    kmem_free(tw_cache, w);
}

/* A segment for a TIME_WAIT entry; table lock held. *ret_isn != 0: a new connection may begin, above it. */
static bool tw_segment(struct tcp_tw *w, const struct tcp_seg *g, u64 now, struct tcp_tw *ret_copy, u32 *ret_isn)
{
    bool paws = w->ts_ok && g->o.has_ts && (s32)(g->o.ts_val - w->ts_recent) < 0;
    if ((g->flags & (TH_SYN | TH_RST | TH_ACK)) == TH_SYN && !paws &&
        (SEQ_GT(g->seq, w->rcv_nxt) || (w->ts_ok && g->o.has_ts && (s32)(g->o.ts_val - w->ts_recent) > 0))) {
        *ret_isn = w->snd_nxt + 65537;
        tw_free(w);
        return false;
    }
    if (g->flags & TH_RST) {
        if (g->seq == w->rcv_nxt && !paws)
            tw_free(w); /* RFC 1337's hazard is met by the exact number */
        return false;
    }
    if (g->flags & TH_FIN) { /* our last ack was lost: the wait starts over */
        w->expires_ns = now + TCP_TIMEWAIT_NS;
        list_remove(&w->list);
        list_push_back(&tw_list, &w->list);
    }
    if (g->len == 0 && !(g->flags & (TH_FIN | TH_SYN)) && g->seq == w->rcv_nxt && !paws)
        return false; /* nothing to say */
    if (w->acked_ns != 0 && now - w->acked_ns < NSEC_PER_SEC / 2 && !(g->flags & TH_FIN))
        return false;
    w->acked_ns = now;
    *ret_copy = *w;
    return true;
}

void tcp_reply_ack(const struct tcp_tw *w, u64 now)
{
    u8 o[12];
    u32 n = w->ts_ok ? tcp_put_ts(o, (u32)(now / NSEC_PER_MSEC) + w->ts_offset, w->ts_recent) : 0;
    tcp_send_raw(w->node.laddr, w->node.faddr, w->node.lport, w->node.fport, w->snd_nxt, w->rcv_nxt, TH_ACK,
                 (u16)MIN(w->rcv_wnd, 65535u), o, n, 0);
}

/* --- in --------------------------------------------------------------------------------------------- */

void tcp_batch_add(struct tcp *t)
{
    if (t->on_batch)
        return;
    struct batch *b = &batches[this_cpu()->cpu];
    t->on_batch = true;
    sock_get(&t->s);
    t->batch_next = b->first;
    b->first = t;
}

void tcp_batch_end(void)
{
    struct batch *b = &batches[this_cpu()->cpu];
    while (b->first != NULL) {
        struct tcp *t = b->first;
        spin_lock_bh(&t->s.lock);
        b->first = t->batch_next;
        t->on_batch = false;
        if ((t->ack_now || t->output_later) && t->state != TCP_CLOSED) {
            u64 now = now_ns();
            if (t->output_later)
                tcp_output(t, now);
            if (t->ack_now)
                tcp_send_ack(t, now);
            tcp_timer_set(t);
        }
        t->ack_now = t->output_later = false;
        spin_unlock_bh(&t->s.lock);
        sock_put(&t->s);
    }
}

void tcp_shed_batch(bool more)
{
    if (tcp_parts.shed != NULL)
        tcp_parts.shed->batch(more);
}

static void conn_segment(struct tcp *t, struct tcp_seg *g)
{
    u64 now = now_ns();
    spin_lock(&t->s.lock);
    u32 acts = tcp_segment(t, g, now);
    u32 events = tcp_apply(t, g, acts, now);
    spin_unlock(&t->s.lock);
    if (events != 0)
        sock_wake(&t->s, events);
}

enum found { FOUND_NONE, FOUND_CONN, FOUND_REQ, FOUND_LISTEN, FOUND_TW };

/* A connection, or the listener of a half-open one: *ret, referenced. NULL with FOUND_NONE and FOUND_TW, whose entry stays only under
 * the table lock: *ret_tw. */
static enum found find_node(const struct ip_rx *rx, u16 lport, u16 fport, struct tcp **ret, struct tcp_tw **ret_tw)
{
    enum found found = FOUND_NONE;
    struct tcp_node *n;
    struct spinlock *part = tcp_table_find(rx->dst, rx->src, lport, fport, &n);
    *ret = NULL;
    if (likely(n != NULL && n->kind == NODE_CONN)) {
        *ret = container_of(n, struct tcp, node);
        found = FOUND_CONN;
    } else if (n != NULL && n->kind == NODE_REQ) {
        *ret = container_of(n, struct tcp_req, node)->listener;
        found = FOUND_REQ;
    } else if (n != NULL) {
        *ret_tw = container_of(n, struct tcp_tw, node);
        found = FOUND_TW;
    }
    if (*ret != NULL)
        sock_get(&(*ret)->s);
    spin_unlock_bh(part);
    return found;
}

/* Under the table lock: a TIME_WAIT entry, or a listener. What is live may have come meanwhile. */
static enum found find_other(const struct ip_rx *rx, u16 lport, u16 fport, const struct tcp_seg *g, struct tcp **ret, struct tcp_tw *ret_tw,
                             u32 *ret_isn)
{
    spin_lock(&table_lock);
    struct tcp_tw *w;
    enum found found = find_node(rx, lport, fport, ret, &w);
    if (found == FOUND_TW && !tw_segment(w, g, now_ns(), ret_tw, ret_isn))
        ret_tw->node.lport = 0;
    if (found == FOUND_NONE || (found == FOUND_TW && *ret_isn != 0)) {
        *ret = find_listener(rx->dst, lport, rx->src, fport, rx->ifindex);
        found = *ret != NULL ? FOUND_LISTEN : FOUND_NONE;
    }
    spin_unlock(&table_lock);
    return found;
}

static void useless(const struct netif *nif, const struct tcp_seg *g)
{
    sieve_useless(nif, (g->flags & (TH_SYN | TH_ACK)) == TH_SYN ? SIEVE_SYN : SIEVE_SEGMENT, 1);
}

void tcp_rx(struct netif *nif, struct pkt *p)
{
    const struct ip_rx rx = *ip_rx(p);
    struct tcp_seg g;
    NET_COUNT(tcp_in);
    if (unlikely(pkt_pull_up(p, sizeof(struct tcp_hdr)) != 0))
        goto bad;
    const struct tcp_hdr *h = (const void *)p->data;
    u32 hlen = (u32)(h->off >> 4) * 4;
    if (unlikely(hlen < sizeof *h || hlen > p->total_len || (p->len < hlen && pkt_pull_up(p, hlen) != 0)))
        goto bad;
    if (unlikely(!csum_ok_l4(p, csum_ip(rx.src), csum_ip(rx.dst), IPPROTO_TCP))) {
        NET_DROP(tcp_bad_checksum);
        pkt_free(p);
        return;
    }
    h = (const void *)p->data;
    g.flags = h->flags;
    g.seq = be32(h->seq);
    g.ack = be32(h->ack);
    g.wnd = be16(h->wnd);
    g.urg = be16(h->urg);
    g.ecn = rx.tos & 3;
    u16 sport = be16(h->sport), dport = be16(h->dport);
    const u8 odd = g.flags & (TH_SYN | TH_FIN | TH_RST);
    if (unlikely((sport == 0 && !(g.flags & TH_RST)) || (odd & (u8)(odd - 1)) != 0 ||
                 !tcp_parse_options((const u8 *)(h + 1), hlen - (u32)sizeof *h, (g.flags & TH_SYN) != 0, &g.o)))
        goto bad;
    pkt_pull(p, hlen);
    g.len = p->total_len;
    g.segs = p->gso_size != 0 ? (u16)(g.len / p->gso_size + 1) : 1;
    g.p = p;

    struct tcp *t;
    struct tcp_tw w, *entry;
    u32 isn = 0;
    enum found found = find_node(&rx, dport, sport, &t, &entry);
    if (unlikely(t == NULL))
        found = find_other(&rx, dport, sport, &g, &t, &w, &isn);
    if (unlikely(filter_on & FILTER_IN) && (found == FOUND_NONE || found == FOUND_LISTEN) && !filter_tcp_in(nif, &rx, dport)) {
        useless(nif, &g);
        goto out;
    }
    if (unlikely(sock_filters != 0) && t != NULL) {
        if (!sock_filter_run(&t->s, p, h, hlen))
            goto out;
        g.len = p->total_len; /* it may have been cut */
    }
    switch (found) {
    case FOUND_CONN:
        conn_segment(t, &g);
        break;
    case FOUND_REQ:
        tcp_req_segment(t, &rx, dport, sport, &g);
        break;
    case FOUND_LISTEN:
        if (!tcp_listen_segment(t, &rx, dport, sport, &g, isn))
            useless(nif, &g);
        break;
    case FOUND_TW:
        if (w.node.lport != 0) /* else there is nothing to say */
            tcp_reply_ack(&w, now_ns());
        break;
    default:
        NET_COUNT(tcp_no_connection);
        useless(nif, &g);
        tcp_reply_rst(&rx, dport, sport, &g);
    }
out:
    if (t != NULL)
        sock_put(&t->s);
    pkt_free(g.p);
    return;
bad:
    NET_DROP(tcp_bad);
    pkt_free(p);
}

/* An ICMP error about a segment of ours, checked against the connection (RFC 5927). */
void tcp_icmp_error(struct ip_addr src, struct ip_addr dst, const u8 *l4, u32 len, int err, bool unreachable, u32 mtu)
{
    u16 sport = get_be16(l4), dport = get_be16(l4 + 2);
    u32 seq = get_be32(l4 + 4), events = 0;
    struct tcp_node *n;
    struct spinlock *part = tcp_table_find(src, dst, sport, dport, &n);
    struct tcp *t = n != NULL && n->kind == NODE_CONN ? container_of(n, struct tcp, node) : NULL;
    if (t != NULL)
        sock_get(&t->s);
    spin_unlock_bh(part);
    if (t == NULL)
        return;
    spin_lock(&t->s.lock);
    bool ours = SEQ_GE(seq, t->snd_una) && SEQ_LT(seq, t->snd_max) && t->state != TCP_CLOSED;
    if (ours && mtu != 0) {
        pmtu_learn(dst, mtu);
        u32 old = t->mss;
        if (tcp_route(t) == 0)
            tcp_set_mss(t);
        if (t->mss < old) {
            NET_COUNT(tcp_mss_lowered);
            t->cwnd = MAX(t->cwnd / old * t->mss, (u32)t->mss);
            tcp_go_back(t); /* all that was cut for the old path goes again */
            tcp_output(t, now_ns());
            tcp_timer_set(t);
        }
    } else if (ours) {
        if (IN_STATES(t, ST(SYN_SENT)) && unreachable) {
            tcp_drop(t, err);
            events = POLLIN | POLLOUT | POLLERR | POLLHUP;
        } else if (t->s.ip_recverr) { /* ip(7): told at once, the connection stays */
            atomic_store(&t->s.err, err);
            events = POLLIN | POLLOUT | POLLERR;
        } else {
            t->s.soft_err = err;
        }
    }
    spin_unlock(&t->s.lock);
    if (events != 0)
        sock_wake(&t->s, events);
    sock_put(&t->s);
}

void tcp_init(void)
{
    tcp_cache = kmem_cache_create("tcp", sizeof(struct tcp), 0);
    tw_cache = kmem_cache_create("tcp_timewait", sizeof(struct tcp_tw), 0);
    ktimer_init(&tw_timer, tw_tick);
    tcp_table_init();
}

u32 tcp_count(u32 *ret_orphans, u32 *ret_timewait)
{
    *ret_orphans = atomic_load_relaxed(&orphans);
    *ret_timewait = atomic_load_relaxed(&tw_count);
    return atomic_load_relaxed(&tcp_alive);
}

static struct sock *listener_of(struct list *node) { return &list_entry(node, struct tcp_listen, node)->t->s; }

void tcp_find_listeners(struct socks_found *f)
{
    spin_lock_bh(&table_lock);
    socks_walk(f, listeners, listeners != NULL ? PORT_BUCKETS : 0, listener_of);
    spin_unlock_bh(&table_lock);
}

void tcp_listen_for_each(void (*fn)(const struct tcp_listen *l, void *ctx), void *ctx)
{
    spin_lock_bh(&table_lock);
    for (unsigned i = 0; listeners != NULL && i < PORT_BUCKETS; i++)
        list_for_each(l, &listeners[i], struct tcp_listen, node)
            fn(l, ctx);
    spin_unlock_bh(&table_lock);
}
