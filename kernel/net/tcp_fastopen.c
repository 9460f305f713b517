/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP Fast Open (RFC 7413): data with the SYN, for a client that shows a cookie.
 *
 * A cookie is a keyed hash of both addresses; nothing is kept of it here. A listener takes SYNs with data when it has a queue for them
 * (TCP_FASTOPEN) and net.ipv4.tcp_fastopen has bit 2: the connection is made and accepted at once, in SYN_RCVD
 * (t->fast_open), and may send. At most so many may wait for the rest of their handshake; more open as ever.
 *
 * A client's cookies are remembered by server. Its SYN carries data once; repeated it is a plain one, and the cookie is
 * forgotten, since something on the path may not like it.
 */
#include "tcp_impl.h"

#define CLIENT 1u           /* bits of net.ipv4.tcp_fastopen */
#define SERVER 2u
#define CLIENT_NO_COOKIE 4u
#define SERVER_NO_COOKIE 0x200u
#define SERVER_ALL 0x400u   /* every listener, its backlog is the queue */
#define COOKIE_MIN 4u
#define COOKIE_OURS 8u
#define SERVERS 64u

struct tcp_tfo {
    struct tcp *listener; /* of a child in t->fast_open: referenced, and counted there */
    u32 pending;          /* listener: such children; atomic */
    u32 qlen;             /* listener */
    u32 nkeys;            /* listener: its own; 0 = the machine's */
    u64 keys[2][2];
    bool connect;         /* TCP_FASTOPEN_CONNECT */
    bool no_cookie;       /* TCP_FASTOPEN_NO_COOKIE */
    bool ask;             /* the SYN asks for a cookie */
    bool syn_data;        /* data of a SYN was taken, by either side */
    u8 len;               /* cookie to go with the SYN */
    u8 cookie[TCP_COOKIE_MAX];
};

struct server {
    struct ip_addr addr;
    u64 used_ns; /* 0 = free */
    u16 mss;
    u8 len;
    u8 cookie[TCP_COOKIE_MAX];
};

u32 net_tcp_fastopen = CLIENT;
static struct spinlock servers_lock = SPINLOCK_INIT("tcp_fastopen");
static struct server *servers; /* servers_lock; SERVERS of them, made with the first cookie */

/* What t has of it, made where it is asked for. t locked. NULL = no memory. */
static struct tcp_tfo *need(struct tcp *t)
{
    if (t->tfo == NULL)
        t->tfo = kmalloc(sizeof *t->tfo, ALLOC_ATOMIC | ALLOC_ZERO);
    return t->tfo;
}

static void drop(struct tcp *t)
{
    kfree(t->tfo);
    t->tfo = NULL;
}

static u32 put_option(u8 *o, const u8 *cookie, u32 len)
{
    u32 n = ALIGN_UP(2 + len, 4u);
    memset(o, 1, n); /* NOP */
    u8 *at = o + n - 2 - len;
    at[0] = TCP_OPT_FASTOPEN;
    at[1] = (u8)(2 + len);
    memcpy(at + 2, cookie, len);
    return n;
}

/* --- server ------------------------------------------------------------------------------ */

static void make_cookie(const struct tcp *l, unsigned key, struct ip_addr laddr, struct ip_addr faddr, u8 ret[COOKIE_OURS])
{
    const u64 machine[2] = { net_secret[1] ^ 0x6f70656e66617374, net_secret[0] };
    const u64 *k = l->tfo != NULL && l->tfo->nkeys != 0 ? l->tfo->keys[key] : machine;
    u64 h = net_siphash(k, ip_is_v4(faddr) ? faddr.lo : net_siphash(k, faddr.hi, faddr.lo), ip_is_v4(laddr) ? laddr.lo : net_siphash(k, laddr.hi, laddr.lo));
    memcpy(ret, &h, COOKIE_OURS);
}

static u32 queue_len(const struct tcp *l)
{
    u32 own = l->tfo != NULL ? l->tfo->qlen : 0;
    return own == 0 && (net_tcp_fastopen & SERVER_ALL) ? l->l->backlog : own;
}

static enum tfo_verdict judge(struct tcp *l, const struct ip_rx *rx, const struct tcp_seg *g)
{
    u8 ours[COOKIE_OURS];
    u32 len = queue_len(l);
    bool asked = g->o.tfo_len >= 0;
    if (!(net_tcp_fastopen & SERVER) || len == 0 || (!asked && g->len == 0) || need(l) == NULL || atomic_load(&l->tfo->pending) >= len)
        return TFO_NO;
    if (net_tcp_fastopen & SERVER_NO_COOKIE)
        return TFO_OPEN;
    if (!asked)
        return TFO_NO;
    for (unsigned key = 0; key < MAX(l->tfo->nkeys, 1u); key++) {
        make_cookie(l, key, rx->dst, rx->src, ours);
        if (g->o.tfo_len == COOKIE_OURS && memcmp(ours, g->o.tfo, COOKIE_OURS) == 0)
            return key == 0 ? TFO_OPEN : TFO_OPEN_RENEW;
    }
    return TFO_COOKIE;
}

static u32 put_cookie(const struct tcp *l, struct ip_addr laddr, struct ip_addr faddr, u8 *o)
{
    u8 ours[COOKIE_OURS];
    make_cookie(l, 0, laddr, faddr, ours);
    return put_option(o, ours, COOKIE_OURS);
}

/* t, which a SYN of listener l made, begins to live before its handshake is done. Both locked. */
static bool begin(struct tcp *l, struct tcp *t, bool renew)
{
    if (need(t) == NULL)
        return false;
    sock_get(&l->s);
    t->tfo->listener = l;
    t->tfo->syn_data = true;
    t->fast_open = true;
    if (renew) { /* goes with the SYN-ACK as a client's goes with its SYN */
        make_cookie(l, 0, t->node.laddr, t->node.faddr, t->tfo->cookie);
        t->tfo->len = COOKIE_OURS;
    }
    atomic_add(&l->tfo->pending, 1u);
    NET_COUNT(tcp_fast_accepts);
    return true;
}

/* The handshake of such a child is done, or its life. */
static void end(struct tcp *t)
{
    struct tcp *l = t->tfo->listener;
    t->fast_open = false;
    t->tfo->listener = NULL;
    atomic_sub(&l->tfo->pending, 1u);
    sock_put(&l->s);
}

/* --- client --------------------------------------------------------------------------------- */

/* The entry of a server; `make`: else the one that was not used longest, emptied. servers_lock held. */
static struct server *find_server(struct ip_addr addr, bool make)
{
    struct server *oldest = servers;
    for (struct server *x = servers; servers != NULL && x < servers + SERVERS; x++) {
        if (x->used_ns != 0 && ip_equal(x->addr, addr))
            return x;
        if (x->used_ns < oldest->used_ns)
            oldest = x;
    }
    if (!make || oldest == NULL)
        return NULL;
    *oldest = (struct server){ .addr = addr };
    return oldest;
}

/* Take what is known of the server that t is about to call. True = its SYN may carry data. */
static bool prepare(struct tcp *t)
{
    struct tcp_tfo *f = t->tfo;
    spin_lock_bh(&servers_lock);
    struct server *x = find_server(t->s.faddr, false);
    f->len = x != NULL ? x->len : 0;
    if (x != NULL) {
        memcpy(f->cookie, x->cookie, x->len);
        x->used_ns = now_ns();
    }
    t->peer_mss = x != NULL ? x->mss : 0; /* a guess, until the SYN-ACK says */
    spin_unlock_bh(&servers_lock);
    f->ask = f->len == 0 && !f->no_cookie && !(net_tcp_fastopen & CLIENT_NO_COOKIE);
    f->syn_data = false;
    return !f->ask;
}

static bool defer(struct tcp *t)
{
    return t->tfo != NULL && t->tfo->connect && (net_tcp_fastopen & CLIENT) && prepare(t);
}

/* What goes with the first SYN or SYN-ACK: option bytes, and how much of the queue's data. */
static u32 with_syn(struct tcp *t, u8 *o, u32 *ret_data)
{
    struct tcp_tfo *f = t->tfo;
    *ret_data = 0;
    if (t->state == TCP_SYN_RCVD)
        return f->len != 0 ? put_option(o, f->cookie, f->len) : 0;
    if (t->syn_tries > 0) { /* a SYN with data got lost, or was not liked */
        spin_lock_bh(&servers_lock);
        struct server *x = find_server(t->s.faddr, false);
        if (x != NULL && f->len != 0)
            x->used_ns = 0;
        spin_unlock_bh(&servers_lock);
        f->ask = false;
        f->len = 0;
        return 0;
    }
    u32 mss = MIN(t->peer_mss != 0 ? (u32)t->peer_mss : TCP_MSS_DEFAULT, (u32)tcp_adv_mss(t, t->s.faddr, t->rt.mtu));
    if (!f->ask)
        *ret_data = MIN(t->write_seq - (t->iss + 1), mss - 40);
    if (*ret_data > 0)
        NET_COUNT(tcp_fast_opens);
    return f->ask || f->len != 0 ? put_option(o, f->cookie, f->len) : 0;
}

/* The SYN-ACK came; snd_una is what it acknowledged. */
static void answered(struct tcp *t, const struct tcp_seg *g)
{
    struct tcp_tfo *f = t->tfo;
    f->syn_data = SEQ_GT(g->ack, t->iss + 1);
    if (g->o.tfo_len < (s8)COOKIE_MIN)
        return;
    spin_lock_bh(&servers_lock);
    if (servers == NULL)
        servers = kmalloc(SERVERS * sizeof *servers, ALLOC_ATOMIC | ALLOC_ZERO);
    struct server *x = find_server(t->s.faddr, true);
    if (x != NULL) {
        x->used_ns = now_ns();
        x->mss = t->peer_mss;
        x->len = (u8)g->o.tfo_len;
        memcpy(x->cookie, g->o.tfo, x->len);
    }
    spin_unlock_bh(&servers_lock);
}

/* Put the beginning of what the program sends into the queue, at most what one SYN carries. The connection sleeps: only this
 * thread, which holds `wr`, can wake it. Bytes or -errno. */
static s64 queue_first(struct tcp *t, struct uio *u)
{
    struct pkt *p;
    u64 before = u->remaining;
    if (before == 0)
        return 0;
    int err = tcp_make_packet(u, &p);
    if (err != 0)
        return err;
    sock_lock(&t->s);
    if (t->state == TCP_SYN_SENT) {
        tcp_queue_packet(t, p);
        p = NULL;
    }
    sock_unlock(&t->s);
    pkt_free(p);
    return p == NULL ? (s64)(before - u->remaining) : -ECONNRESET;
}

static int begin_connect(struct tcp *t, const struct sock_msg *m, bool *ret_data)
{
    struct sock *s = &t->s;
    struct ip_addr addr;
    u16 port;
    if (!(net_tcp_fastopen & CLIENT) || (m->to != NULL && m->to->len >= 2 && m->to->family == AF_UNSPEC))
        return -EOPNOTSUPP;
    if (m->to == NULL)
        return -EINVAL;
    int err = inet_dest_in(s, m->to, &addr, &port);
    if (err != 0)
        return err;
    net_need(addr);
    sock_lock(s);
    if (t->state != TCP_CLOSED)
        err = IN_STATES(t, ST(SYN_SENT) | ST(SYN_RCVD)) ? -EALREADY : -EISCONN;
    else
        err = need(t) == NULL ? -ENOBUFS : tcp_connect_start(t, addr, port, false);
    if (err == 0)
        *ret_data = prepare(t);
    sock_unlock(s);
    return err;
}

static int send_first(struct tcp *t, struct sock_msg *m, u64 *ret_done)
{
    struct sock *s = &t->s;
    bool data = true, waits = t->deferred;
    int err = waits ? 0 : begin_connect(t, m, &data);
    if (err != 0)
        return err;
    s64 n = data ? queue_first(t, m->uio) : 0;
    sock_lock(s);
    t->deferred = false;
    if (t->state == TCP_SYN_SENT && t->syn_tries == 0) {
        tcp_send_syn(t, now_ns());
        tcp_timer_set(t);
    }
    sock_unlock(s);
    if (n < 0)
        return (int)n;
    *ret_done = (u64)n;
    return tcp_connect_wait(t, (m->flags & MSG_DONTWAIT) != 0, false);
}

/* --- options ---------------------------------------------------------------------------------- */

static int setopt(struct tcp *t, int name, const void *val, u32 len)
{
    s32 v;
    if (name == TCP_FASTOPEN_KEY && len != 16 && len != 32)
        return -EINVAL;
    int err = name == TCP_FASTOPEN_KEY ? 0 : opt_int_in(val, len, &v);
    if (err != 0)
        return err;
    if (need(t) == NULL)
        return -ENOMEM;
    switch (name) {
    case TCP_FASTOPEN:
        if (v < 0 || !IN_STATES(t, ST(CLOSED) | ST(LISTEN)))
            return -EINVAL;
        t->tfo->qlen = MIN((u32)v, TCP_SOMAXCONN);
        return 0;
    case TCP_FASTOPEN_KEY:
        memcpy(t->tfo->keys, val, len);
        t->tfo->nkeys = len / 16;
        return 0;
    default:
        if (v < 0 || v > 1)
            return -EINVAL;
        if (name == TCP_FASTOPEN_CONNECT && !(net_tcp_fastopen & CLIENT))
            return -EOPNOTSUPP;
        if (t->state != TCP_CLOSED)
            return -EINVAL;
        *(name == TCP_FASTOPEN_CONNECT ? &t->tfo->connect : &t->tfo->no_cookie) = v != 0;
        return 0;
    }
}

static int getopt(const struct tcp *t, int name, void *ret_val, u32 *len)
{
    static const struct tcp_tfo none;
    const struct tcp_tfo *f = t->tfo != NULL ? t->tfo : &none;
    switch (name) {
    case TCP_FASTOPEN:
        return opt_int_out(ret_val, len, (s32)f->qlen);
    case TCP_FASTOPEN_CONNECT:
        return opt_int_out(ret_val, len, f->connect);
    case TCP_FASTOPEN_NO_COOKIE:
        return opt_int_out(ret_val, len, f->no_cookie);
    default:
        return opt_out(ret_val, len, f->keys, f->nkeys * 16);
    }
}

static bool took_data(const struct tcp *t) { return t->tfo != NULL && t->tfo->syn_data; }

const struct tcp_tfo_ops tcp_tfo = {
    .judge = judge, .put_cookie = put_cookie, .begin = begin, .end = end, .defer = defer, .with_syn = with_syn, .answered = answered,
    .send_first = send_first, .setopt = setopt, .getopt = getopt, .took_data = took_data, .drop = drop,
};
