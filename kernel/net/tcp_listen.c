/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passive opens. A SYN makes a struct tcp_req (some 120 bytes), the ACK that completes the
 * handshake turns it into a connection on the accept queue.
 *
 * Bounds: as many requests as the backlog, REQ_MAX at most; above that SYN cookies
 * answer, which keep nothing (Bernstein 1996): the initial sequence number is
 *
 *     | 5 bits time (64 s) | 3 bits MSS index | 24 bits keyed hash |
 *
 * and, where the peer sends timestamps, the low six bits of ours hold window scale and
 * SACK. An accept queue that is full drops SYNs and final ACKs; the peer tries again.
 */
#include "sieve.h"
#include "tcp_impl.h"

#define REQ_MAX 1024u
#define REQ_TICK_NS (NSEC_PER_SEC / 5)
#define COOKIE_TICK_NS (64 * NSEC_PER_SEC)
static const u16 cookie_mss[8] = { 216, 536, 1024, 1220, 1360, 1440, 1460, 8960 };

/* --- SYN-ACKs ------------------------------------------------------------------------ */

struct syn_ack {
    struct ip_addr laddr, faddr;
    u16 lport, fport;
    u32 iss, ack, ts_val, ts_ecr, wnd;
    bool ts, sack, wscale, ecn;
    u8 tos;
    bool cookie;
};

static void send_syn_ack(const struct tcp *l, const struct syn_ack *a)
{
    sieve_credit(a->faddr, SIEVE_SEGMENT, SIEVE_HANDSHAKE);
    u8 o[40];
    struct ip_route rt;
    u32 mtu = ip_route_find(a->faddr, a->laddr, 0, &rt) == 0 ? rt.nif->dev->mtu : 1500;
    u32 n = tcp_put_syn_options(o, tcp_adv_mss(l, a->faddr, mtu), a->wscale ? (s8)l->rcv_wscale : -1, a->sack, a->ts, a->ts_val, a->ts_ecr);
    if (tcp_parts.tfo != NULL && a->cookie)
        n += tcp_parts.tfo->put_cookie(l, a->laddr, a->faddr, o + n);
    tcp_send_raw(a->laddr, a->faddr, a->lport, a->fport, a->iss, a->ack,
                 (u8)(TH_SYN | TH_ACK | (a->ecn ? TH_ECE : 0)), (u16)MIN(a->wnd, 65535u), o, n, a->tos);
}

static void req_syn_ack(const struct tcp *l, struct tcp_req *r, u64 now)
{
    struct syn_ack a = { r->node.laddr, r->node.faddr, r->node.lport, r->node.fport, r->iss, r->irs + 1,
                         (u32)(now / NSEC_PER_MSEC) + r->ts_offset, r->ts_recent, r->rcv_wnd, r->ts_ok, r->sack_ok,
                         r->wscale_ok, r->ecn_ok, l->s.tos, r->cookie };
    send_syn_ack(l, &a);
    r->deadline_ns = now + (NSEC_PER_SEC << MIN(r->tries, 7));
    r->tries++;
}

/* A half-open connection says where it stands. */
static void req_ack(const struct tcp_req *r, u64 now)
{
    tcp_reply_ack(&(struct tcp_tw){ .node = r->node, .snd_nxt = r->iss + 1, .rcv_nxt = r->irs + 1, .rcv_wnd = r->rcv_wnd,
                                    .ts_recent = r->ts_recent, .ts_offset = r->ts_offset, .ts_ok = r->ts_ok }, now);
}

/* --- requests -------------------------------------------------------------------------- */

static void req_free(struct tcp *l, struct tcp_req *r)
{
    tcp_table_remove(&r->node);
    list_remove(&r->list);
    l->l->nreqs--;
    kfree(r);
    sock_put(&l->s); /* the request's reference; the caller has its own */
}

static u32 initial_wnd(const struct tcp *l) { return MIN(tcp_window_cap(l), 65535u); }

/* What a SYN says; r is zero. */
static void req_fill(struct tcp_req *r, struct tcp *l, const struct ip_rx *rx, u16 lport, u16 fport, const struct tcp_seg *g, u32 min_isn, u64 now)
{
    r->node = (struct tcp_node){ .laddr = rx->dst, .faddr = rx->src, .lport = lport, .fport = fport, .kind = NODE_REQ };
    r->listener = l;
    r->iss = min_isn != 0 ? min_isn : tcp_new_isn(rx->dst, rx->src, lport, fport);
    r->irs = g->seq;
    r->ts_ok = g->o.has_ts;
    r->ts_recent = g->o.ts_val;
    r->ts_offset = tcp_ts_offset(rx->dst, rx->src);
    r->sack_ok = g->o.sack_perm;
    r->ecn_ok = tcp_parts.ecn != NULL && (g->flags & (TH_ECE | TH_CWR)) == (TH_ECE | TH_CWR) && g->ecn == 0;
    r->wscale_ok = g->o.wscale >= 0;
    r->snd_wscale = r->wscale_ok ? (u8)g->o.wscale : 0;
    r->peer_mss = g->o.mss;
    r->rcv_wnd = initial_wnd(l);
    r->made_ns = now;
}

static void req_create(struct tcp *l, const struct ip_rx *rx, u16 lport, u16 fport, const struct tcp_seg *g, u32 min_isn, bool cookie, u64 now)
{
    struct tcp_req *r = kmalloc(sizeof *r, ALLOC_ATOMIC | ALLOC_ZERO);
    if (r == NULL) {
        NET_COUNT(no_memory);
        return;
    }
    req_fill(r, l, rx, lport, fport, g, min_isn, now);
    r->cookie = cookie;
    if (tcp_table_insert(&r->node) != 0) {
        kfree(r);
        return;
    }
    sock_get(&l->s);
    list_push_back(&l->l->reqs, &r->list);
    l->l->nreqs++;
    req_syn_ack(l, r, now);
    if (l->t_keep == NEVER_NS) {
        l->t_keep = now + REQ_TICK_NS;
        tcp_timer_set(l);
    }
}

void tcp_listen_tick(struct tcp *t, u64 now)
{
    if (t->l == NULL)
        return;
    list_for_each_safe(r, &t->l->reqs, struct tcp_req, list) {
        if (now < r->deadline_ns)
            continue;
        if (r->tries > TCP_SYNACK_RETRIES || (r->acked && now - r->made_ns > t->defer_accept_s * NSEC_PER_SEC + 60 * NSEC_PER_SEC)) {
            NET_COUNT(tcp_failed_opens);
            req_free(t, r);
            continue;
        }
        NET_COUNT(tcp_timeouts);
        req_syn_ack(t, r, now);
    }
    if (!list_empty(&t->l->reqs))
        t->t_keep = now + REQ_TICK_NS;
}

/* --- children ---------------------------------------------------------------------------- */

/* A connection in SYN_RCVD as request r describes it; not in any table. NULL = no memory, counted. */
static struct tcp *child_create(const struct tcp *l, const struct tcp_req *r, u64 now)
{
    struct tcp *t = net_mem_full() ? NULL : tcp_create(l->s.domain);
    if (t != NULL && !sock_filter_inherit(&t->s, &l->s)) {
        sock_put(&t->s);
        t = NULL;
    }
    if (t == NULL) {
        NET_COUNT(no_memory);
        return NULL;
    }
    struct sock *s = &t->s;
    const struct sock *ls = &l->s;
    t->node = r->node;
    t->node.link = NULL;
    t->node.kind = NODE_CONN;
    s->laddr = r->node.laddr;
    s->faddr = r->node.faddr;
    s->lport = r->node.lport;
    s->fport = r->node.fport;
    s->v6only = ls->v6only;
    s->laddr_bound = true;
    s->rcvbuf = ls->rcvbuf;
    s->sndbuf = ls->sndbuf;
    s->rcvbuf_locked = ls->rcvbuf_locked;
    s->sndbuf_locked = ls->sndbuf_locked;
    s->keepalive = ls->keepalive;
    s->linger_on = ls->linger_on;
    s->linger_s = ls->linger_s;
    s->reuse_addr = ls->reuse_addr;
    s->reuse_port = ls->reuse_port;
    s->rcvlowat = ls->rcvlowat;
    s->peek_off = atomic_load_relaxed(&ls->peek_off);
    s->priority = ls->priority;
    s->bound_if = ls->bound_if;
    s->rcvtimeo_ns = ls->rcvtimeo_ns;
    s->sndtimeo_ns = ls->sndtimeo_ns;
    s->tos = ls->tos;
    s->ttl = ls->ttl;
    t->nodelay = l->nodelay;
    t->cork = l->cork;
    t->user_mss = l->user_mss;
    t->keep_idle_s = l->keep_idle_s;
    t->keep_intvl_s = l->keep_intvl_s;
    t->keep_cnt = l->keep_cnt;
    t->user_timeout_ms = l->user_timeout_ms;
    t->linger2_s = l->linger2_s;
    t->window_clamp = l->window_clamp;
    t->notsent_lowat = l->notsent_lowat;
    tcp_set_state(t, TCP_SYN_RCVD);
    t->ts_ok = r->ts_ok;
    t->sack_ok = r->sack_ok;
    t->ecn_ok = r->ecn_ok;
    t->ecn_high = r->iss;
    t->cc_ops = l->cc_ops;
    t->wscale_ok = r->wscale_ok;
    t->snd_wscale = r->snd_wscale;
    t->rcv_wscale = r->wscale_ok ? l->rcv_wscale : 0;
    t->peer_mss = r->peer_mss == 0 ? TCP_MSS_DEFAULT : (u16)MAX(r->peer_mss, TCP_MSS_MIN);
    t->iss = t->snd_una = t->snd_up = t->snd_wl2 = r->iss;
    t->snd_nxt = t->snd_max = t->write_seq = t->snd_sml = t->recover = r->iss + 1;
    t->irs = r->irs;
    t->rcv_nxt = t->last_ack_sent = r->irs + 1;
    t->rcv_adv = t->rcv_nxt + r->rcv_wnd;
    t->snd_wl1 = r->irs;
    t->ts_recent = r->ts_recent;
    t->syn_tries = r->tries;
    t->ts_recent_ns = t->first_unacked_ns = t->last_rx_ns = now;
    t->ts_offset = r->ts_offset;
    if (r->tries == 1 && r->made_ns != 0) { /* the handshake is a round trip, if nothing was repeated */
        t->timing = true;
        t->rtt_start_ns = r->made_ns;
        t->rtt_seq = r->iss + 1;
    }
    if (tcp_parts.info != NULL)
        tcp_parts.info->begin(t, t->iss + 1);
    tcp_route(t);
    tcp_set_mss(t);
    tcp_cc_init(t);
    return t;
}

/* For accept(2). l locked; the caller wakes it. */
static void queue_child(struct tcp *l, struct tcp *t)
{
    NET_COUNT(tcp_passive_opens);
    list_push_back(&l->l->accepts, &t->bound_node);
    l->l->naccept++;
    sieve_peer(t->s.faddr);
}

/* Let the completing segment in and put the child on the accept queue. l locked; r is freed if `made`. */
static bool establish(struct tcp *l, struct tcp_req *r, bool made, struct tcp_seg *g, u64 now)
{
    struct tcp *t = child_create(l, r, now);
    if (t == NULL)
        return false;
    spin_lock(&t->s.lock);
    sock_get(&t->s); /* the table's (T5) */
    if (made) {
        tcp_table_replace(&r->node, &t->node);
        req_free(l, r);
    } else if (tcp_table_insert(&t->node) != 0) {
        spin_unlock(&t->s.lock);
        tcp_set_state(t, TCP_CLOSED);
        sock_put(&t->s);
        sock_put(&t->s);
        return false;
    }
    u32 acts = tcp_segment(t, g, now);
    tcp_apply(t, g, acts, now);
    if (unlikely(t->state == TCP_SYN_RCVD && t->t_rexmit == NEVER_NS)) { /* it was not this segment that did it: not for ever */
        t->t_rexmit = now + (u64)t->rto_us * 1000;
        tcp_timer_set(t);
    }
    spin_unlock(&t->s.lock);
    queue_child(l, t);
    if (tcp_parts.shed != NULL)
        tcp_parts.shed->proved(t->s.faddr);
    return true;
}

/* RFC 7413: a SYN with a good cookie is a connection that the program may have now. l locked. */
static bool open_fast(struct tcp *l, const struct ip_rx *rx, u16 lport, u16 fport, struct tcp_seg *g, u32 min_isn, bool renew, u64 now)
{
    struct tcp_req r = { 0 };
    req_fill(&r, l, rx, lport, fport, g, min_isn, now);
    struct tcp *t = child_create(l, &r, now);
    if (t == NULL)
        return false;
    spin_lock(&t->s.lock);
    sock_get(&t->s); /* the table's (T5) */
    if (!tcp_parts.tfo->begin(l, t, renew) || tcp_table_insert(&t->node) != 0) {
        sock_put(&t->s);
        tcp_done(t);
        spin_unlock(&t->s.lock);
        sock_put(&t->s);
        return false;
    }
    t->snd_sml = t->iss; /* for Nagle nothing small is under way */
    tcp_receive_syn(t, g);
    tcp_send_syn(t, now);
    tcp_timer_set(t);
    spin_unlock(&t->s.lock);
    queue_child(l, t);
    return true;
}

static bool accept_full(const struct tcp *l)
{
    if (l->l->naccept <= l->l->backlog)
        return false;
    NET_DROP(tcp_accept_full);
    return true;
}

void tcp_req_segment(struct tcp *l, const struct ip_rx *rx, u16 lport, u16 fport, struct tcp_seg *g)
{
    u64 now = now_ns();
    bool woken = false, reset = false;
    spin_lock(&l->s.lock);
    struct tcp_req *r = l->state == TCP_LISTEN ? tcp_find_req(l, rx->dst, rx->src, lport, fport) : NULL;
    if (r == NULL)
        goto out; /* it went away in between: the peer repeats */
    if (g->flags & TH_RST) {
        if (g->seq == r->irs + 1) {
            NET_COUNT(tcp_rst_in);
            req_free(l, r);
        } else if (g->seq - (r->irs + 1) < r->rcv_wnd && tcp_may_challenge(l, now)) {
            req_ack(r, now); /* RFC 5961 3.2 */
        }
        goto out;
    }
    if (g->flags & TH_SYN && g->seq == r->irs) {
        if (now + REQ_TICK_NS * 3 > r->deadline_ns)
            req_syn_ack(l, r, now); /* ours got lost; not more often than the timer would */
        goto out;
    }
    if (g->flags & TH_SYN) { /* a peer that began anew answers with a reset, and can come in */
        if (tcp_may_challenge(l, now))
            req_ack(r, now);
        goto out;
    }
    if (!(g->flags & TH_ACK))
        goto out;
    if (g->ack != r->iss + 1) {
        NET_COUNT(tcp_bad_ack);
        reset = true;
        goto out;
    }
    u32 off = g->seq - (r->irs + 1);
    if (off > r->rcv_wnd || (r->ts_ok && g->o.has_ts && (s32)(g->o.ts_val - r->ts_recent) < 0)) {
        NET_COUNT(tcp_out_of_window);
        if (tcp_may_challenge(l, now))
            req_ack(r, now);
        goto out;
    }
    if (accept_full(l)) {
        r->acked = true;
        goto out;
    }
    if (l->defer_accept_s != 0 && g->len == 0 && !(g->flags & TH_FIN) && now - r->made_ns < l->defer_accept_s * NSEC_PER_SEC) {
        r->acked = true; /* the connection is worth a wake-up only with data */
        goto out;
    }
    woken = establish(l, r, true, g, now);
out:
    spin_unlock(&l->s.lock);
    if (reset)
        tcp_reply_rst(rx, lport, fport, g);
    if (woken)
        sock_wake(&l->s, WAKE_IN);
}

/* --- cookies ---------------------------------------------------------------------------------- */

static u32 cookie_hash(const struct ip_rx *rx, u16 lport, u16 fport, u32 irs, u32 top)
{
    u64 key[2] = { net_secret[0] ^ 0x5bd1e995, net_secret[1] };
    u64 a = net_siphash(key, ip_pair(rx->dst, rx->src), (u64)lport << 48 | (u64)fport << 32 | irs);
    return (u32)net_siphash(key, a, top) & 0xffffff;
}

static void send_cookie(struct tcp *l, const struct ip_rx *rx, u16 lport, u16 fport, const struct tcp_seg *g, u64 now)
{
    u32 idx = 0, mss = g->o.mss == 0 ? TCP_MSS_DEFAULT : g->o.mss;
    while (idx < 7 && cookie_mss[idx + 1] <= mss)
        idx++;
    u32 top = (u32)(now / COOKIE_TICK_NS & 31) << 3 | idx;
    u32 ts = (u32)(now / NSEC_PER_MSEC) + tcp_ts_offset(rx->dst, rx->src);
    u32 bits = (u32)(g->o.wscale >= 0 ? g->o.wscale : 15) | (g->o.sack_perm ? 16 : 0);
    u32 val = (ts & ~63u) | bits;
    if (SEQ_GT(val, ts))
        val -= 64;
    struct syn_ack a = { rx->dst, rx->src, lport, fport, top << 24 | cookie_hash(rx, lport, fport, g->seq, top), g->seq + 1,
                         val, g->o.ts_val, initial_wnd(l), g->o.has_ts, g->o.has_ts && g->o.sack_perm,
                         g->o.has_ts && g->o.wscale >= 0, false, l->s.tos };
    NET_COUNT(tcp_cookies_sent);
    l->l->cookies_ns = now;
    send_syn_ack(l, &a);
}

/* An ACK that may answer a cookie: fill r with what the cookie says. */
static bool check_cookie(struct tcp *l, const struct ip_rx *rx, u16 lport, u16 fport, const struct tcp_seg *g, u64 now,
                         struct tcp_req *r)
{
    u32 iss = g->ack - 1, irs = g->seq - 1, top = iss >> 24;
    u32 age = ((u32)(now / COOKIE_TICK_NS) - (top >> 3)) & 31;
    if (age > 1 || (iss & 0xffffff) != cookie_hash(rx, lport, fport, irs, top)) {
        NET_COUNT(tcp_cookies_bad);
        return false;
    }
    *r = (struct tcp_req){ .node = { .laddr = rx->dst, .faddr = rx->src, .lport = lport, .fport = fport },
                           .listener = l, .iss = iss, .irs = irs, .rcv_wnd = initial_wnd(l),
                           .peer_mss = cookie_mss[top & 7], .ts_ok = g->o.has_ts, .ts_recent = g->o.ts_val,
                           .ts_offset = tcp_ts_offset(rx->dst, rx->src) };
    if (g->o.has_ts) {
        u32 bits = g->o.ts_ecr & 63;
        r->sack_ok = (bits & 16) != 0;
        r->wscale_ok = (bits & 15) != 15;
        r->snd_wscale = r->wscale_ok ? (u8)MIN(bits & 15, 14u) : 0;
    }
    NET_COUNT(tcp_cookies_ok);
    sieve_useless(NULL, SIEVE_SYN, -1);
    return true;
}

bool tcp_listen_segment(struct tcp *l, const struct ip_rx *rx, u16 lport, u16 fport, struct tcp_seg *g, u32 min_isn)
{
    u64 now = now_ns();
    bool reset = false, woken = false, useful = true;
    if (g->flags & TH_RST)
        return false;
    spin_lock(&l->s.lock);
    if (l->state != TCP_LISTEN) {
        reset = true;
    } else if (g->flags & TH_ACK) {
        struct tcp_req r;
        bool recent = l->l->cookies_ns != 0 && now - l->l->cookies_ns < 2 * COOKIE_TICK_NS;
        reset = (g->flags & TH_SYN) != 0 || !recent || !check_cookie(l, rx, lport, fport, g, now, &r);
        if (!reset && !accept_full(l))
            woken = establish(l, &r, false, g, now);
    } else if (g->flags & TH_SYN) {
        if (accept_full(l))
            useful = false;
        else if (l->l->nreqs >= MIN(MAX(l->l->backlog, 8u), REQ_MAX) || net_mem_full()) {
            NET_DROP(tcp_syn_queue_full);
            useful = false;
            if (tcp_parts.shed != NULL && tcp_parts.shed->refuse(rx->src))
                NET_COUNT(tcp_syn_shed);
            else
                send_cookie(l, rx, lport, fport, g, now);
        } else {
            enum tfo_verdict v = tcp_parts.tfo != NULL ? tcp_parts.tfo->judge(l, rx, g) : TFO_NO;
            if (tcp_parts.tfo != NULL && v >= TFO_OPEN)
                woken = open_fast(l, rx, lport, fport, g, min_isn, v == TFO_OPEN_RENEW, now);
            else
                req_create(l, rx, lport, fport, g, min_isn, v == TFO_COOKIE, now);
        }
    }
    spin_unlock(&l->s.lock);
    if (reset)
        tcp_reply_rst(rx, lport, fport, g);
    if (woken)
        sock_wake(&l->s, WAKE_IN);
    return useful && !reset;
}

/* --- listening and accepting --------------------------------------------------------------------- */

int tcp_listen_start(struct tcp *t, int backlog)
{
    u32 n = backlog < 0 ? TCP_SOMAXCONN : MIN((u32)backlog, TCP_SOMAXCONN);
    if (t->state == TCP_LISTEN) {
        t->l->backlog = n;
        return 0;
    }
    struct tcp_listen *l = t->l != NULL ? t->l : kmalloc(sizeof *l, ALLOC_ATOMIC); /* kept when it stops: poll looks without a lock */
    if (l == NULL)
        return -ENOBUFS;
    *l = (struct tcp_listen){ .t = t };
    list_init(&l->accepts);
    list_init(&l->reqs);
    l->backlog = n;
    t->s.lock.name = "sock_listen"; /* its own class: taken before the children's */
    t->l = l;
    tcp_set_state(t, TCP_LISTEN);
    tcp_listen_insert(l);
    return 0;
}

struct tcp *tcp_accept_pop(struct tcp *t)
{
    struct list *n = list_pop_front(&t->l->accepts);
    if (n == NULL)
        return NULL;
    t->l->naccept--;
    return list_entry(n, struct tcp, bound_node);
}

void tcp_listen_stop(struct tcp *t)
{
    struct tcp_listen *l = t->l;
    struct tcp *c;
    u64 now = now_ns();
    tcp_set_state(t, TCP_CLOSED);
    tcp_timer_stop(t);
    if (!t->port_chosen || t->s.closed)
        tcp_unbind(t);
    list_for_each_safe(r, &l->reqs, struct tcp_req, list)
        req_free(t, r);
    while ((c = tcp_accept_pop(t)) != NULL) {
        spin_lock(&c->s.lock);
        c->s.closed = 1;
        tcp_send_rst(c, now);
        tcp_done(c);
        spin_unlock(&c->s.lock);
        sock_put(&c->s);
    }
    tcp_listen_remove(l); /* drops the table's reference; the caller has its own */
}
