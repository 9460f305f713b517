/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket calls of TCP (tcp(7), socket(7)).
 *
 * Receiving is tcp_recv.c's.
 * Sending: the holder of `wr` fills packets outside the lock and links them under it; the last
 * packet of the queue is filled up in place while `append` pins it.
 */
#include "kern/thread.h"
#include "kern/uio.h"
#include "sieve.h"
#include "tcp_impl.h"

#define SEND_CHUNK (16384u - NET_HEADROOM)

int tcp_sock_create(int domain, struct sock **ret)
{
    struct tcp *t = tcp_create(domain);
    if (t == NULL)
        return -ENOBUFS;
    *ret = &t->s;
    return 0;
}

static int tcp_bind(struct sock *s, const struct sock_addr *a)
{
    struct tcp *t = tcp_of(s);
    struct ip_addr addr;
    u16 port;
    int err = inet_bind_check(s, a, &addr, &port);
    if (err != 0)
        return err;
    sock_lock(s);
    if (t->state != TCP_CLOSED || t->in_table_bound)
        err = -EINVAL;
    else if (tcp_bind_port(t, addr, port, &err)) {
        inet_bound(s, addr);
        t->port_chosen = port != 0;
    }
    sock_unlock(s);
    return err;
}

static int tcp_listen(struct sock *s, int backlog)
{
    struct tcp *t = tcp_of(s);
    int err = 0;
    net_need(s->laddr);
    sock_lock(s);
    if ((t->state != TCP_CLOSED && t->state != TCP_LISTEN) || t->told != TOLD_NOTHING)
        err = -EINVAL;
    else if (t->state == TCP_CLOSED && !t->in_table_bound)
        tcp_bind_port(t, s->laddr, 0, &err);
    if (err == 0) {
        s->shut = 0;
        err = tcp_listen_start(t, backlog);
    }
    sock_unlock(s);
    return err;
}

static bool acceptable(struct sock *s)
{
    struct tcp *t = tcp_of(s);
    return t->state != TCP_LISTEN || !list_empty(&t->l->accepts);
}

static int tcp_accept(struct sock *s, bool nonblock, struct sock **ret, struct sock_addr *ret_peer)
{
    struct tcp *t = tcp_of(s), *c = NULL;
    u64 deadline = sock_deadline(s->rcvtimeo_ns);
    if (ret == NULL)
        return t->state == TCP_LISTEN ? sock_wait(s, acceptable, deadline, nonblock, true) : -EINVAL;
    for (;;) {
        sock_lock(s);
        bool listening = t->state == TCP_LISTEN;
        if (listening)
            c = tcp_accept_pop(t);
        sock_unlock(s);
        if (!listening)
            return -EINVAL;
        if (c != NULL)
            break;
        int err = sock_wait(s, acceptable, deadline, nonblock, true);
        if (err != 0)
            return err;
    }
    if (ret_peer != NULL)
        inet_name_out(&c->s, ret_peer, c->s.faddr, c->s.fport);
    c->told = TOLD_CONNECTED;
    *ret = &c->s;
    return 0;
}

/* --- connect ------------------------------------------------------------------------ */

static bool connected(struct sock *s) { return !IN_STATES(tcp_of(s), ST(SYN_SENT) | ST(SYN_RCVD)); }

static void purge_for_reuse(struct tcp *t)
{
    tcp_recv_purge(t);
    t->s.shut = t->s.urg = 0;
    t->fin_queued = t->fin_rcvd = false;
    t->append = NULL;
}

/* Forget the peer, and what was chosen for its sake. t locked. */
static void forget_peer(struct tcp *t)
{
    struct sock *s = &t->s;
    s->faddr = IP6_ANY;
    s->fport = 0;
    if (!s->laddr_bound)
        s->laddr = inet_any(s);
    if (!t->in_table_bound)
        s->lport = 0;
    t->told = TOLD_NOTHING;
}

static int disconnect(struct tcp *t)
{
    struct sock *s = &t->s;
    mutex_lock(&s->rd);
    sock_lock(s);
    if (t->state == TCP_LISTEN) {
        tcp_listen_stop(t);
    } else if (t->state != TCP_CLOSED) {
        if (!IN_STATES(t, ST(SYN_SENT)))
            tcp_send_rst(t, now_ns());
        tcp_done(t);
    }
    purge_for_reuse(t);
    forget_peer(t);
    s->err = 0;
    sock_unlock(s);
    mutex_unlock(&s->rd);
    sock_wake(s, WAKE_IN | WAKE_OUT | POLLHUP);
    return 0;
}

static int start_connect(struct tcp *t, struct ip_addr addr, u16 port, bool syn)
{
    struct sock *s = &t->s;
    u64 now = now_ns();
    bool bound = t->in_table_bound;
    int err = inet_route(s, addr, s->laddr, s->bound_if, &t->rt);
    if (err != 0)
        return err;
    if (ip_is_group(addr) || ip_addr_is_broadcast(t->rt.nif, addr))
        return -ENETUNREACH;
    err = filter_egress(t->rt.nif, IPPROTO_TCP, addr, 0, port);
    if (err != 0)
        return err;
    sieve_peer(addr);
    s->faddr = addr;
    s->fport = port;
    s->laddr = t->rt.src;
    if (!bound)
        s->lport = 0;
    err = tcp_connect_port(t);
    if (err != 0) {
        forget_peer(t);
        return bound ? err : -EADDRNOTAVAIL;
    }
    t->iss = tcp_new_isn(s->laddr, s->faddr, s->lport, s->fport);
    t->snd_una = t->snd_wl2 = t->iss;
    t->snd_nxt = t->snd_max = t->write_seq = t->snd_sml = t->recover = t->iss + 1;
    t->snd_up = t->iss;
    s->urg = 0;
    t->ts_offset = tcp_ts_offset(s->laddr, s->faddr);
    t->peer_mss = 0;
    t->rcv_nxt = 0;
    t->rto_us = TCP_RTO_INIT_US;
    t->srtt_us8 = t->rttvar_us4 = 0;
    t->backoff = t->probes = t->syn_tries = t->dupacks = 0;
    t->retransmits = 0;
    t->quickacks = TCP_QUICKACKS;
    t->pingpong = t->persist = t->timing = t->probing = false;
    t->ecn_ok = t->ecn_echo = t->ecn_cwr = t->reordering = false;
    t->frto = 0;
    t->mss_before = 0;
    tcp_mtup_drop(t);
    t->first_unacked_ns = now;
    s->soft_err = 0;
    if (tcp_parts.info != NULL)
        tcp_parts.info->begin(t, t->iss);
    tcp_set_state(t, TCP_SYN_SENT);
    t->told = TOLD_CONNECTING;
    NET_COUNT(tcp_active_opens);
    if (tcp_parts.tfo != NULL && syn && tcp_parts.tfo->defer(t)) {
        t->deferred = true;
        t->told = TOLD_NOTHING;
    } else if (syn) {
        tcp_send_syn(t, now);
        tcp_timer_set(t);
    }
    return 0;
}

int tcp_connect_start(struct tcp *t, struct ip_addr addr, u16 port, bool syn)
{
    struct sock *s = &t->s;
    int err = sock_take_err(s);
    if (t->told == TOLD_CONNECTING) { /* how the last attempt went */
        forget_peer(t);
        purge_for_reuse(t);
        return err != 0 ? err : -ECONNABORTED;
    }
    if (!ip_is_unspec(s->faddr))
        purge_for_reuse(t);
    return start_connect(t, addr, port, syn);
}

int tcp_connect_wait(struct tcp *t, bool nonblock, bool again)
{
    struct sock *s = &t->s;
    if (nonblock && (!again || !connected(s))) /* on its way, however short that is */
        return again ? -EALREADY : -EINPROGRESS;
    int err = sock_wait(s, connected, sock_deadline(s->sndtimeo_ns), false, false);
    if (err == -EAGAIN)
        return -EINPROGRESS; /* the time limit passed */
    if (err != 0)
        return err;
    sock_lock(s);
    if (t->state == TCP_CLOSED) {
        err = sock_take_err(s);
        err = err != 0 ? err : -ECONNABORTED;
        forget_peer(t);
        s->shut = 0;
    } else {
        t->told = TOLD_CONNECTED;
    }
    sock_unlock(s);
    return err;
}

static int tcp_connect(struct sock *s, const struct sock_addr *a, bool nonblock)
{
    struct tcp *t = tcp_of(s);
    struct ip_addr addr;
    u16 port;
    int err;
    if (a->family == AF_UNSPEC)
        return disconnect(t);
    err = inet_dest_in(s, a, &addr, &port);
    if (err == 0)
        net_need(addr);
    bool in_progress = true;
    sock_lock(s);
    switch (t->state) {
    case TCP_CLOSED:
        in_progress = false;
        if (t->told >= TOLD_CONNECTED)
            err = t->told == TOLD_SPOILT ? -EINVAL : -EISCONN;
        else if (err == 0 || t->told == TOLD_CONNECTING)
            err = tcp_connect_start(t, addr, port, true);
        break;
    case TCP_SYN_SENT:
    case TCP_SYN_RCVD:
        err = tcp_deferred(t) ? -EISCONN : 0;
        break;
    default:
        err = t->told == TOLD_CONNECTING ? 0 : t->told == TOLD_SPOILT ? -EINVAL : -EISCONN;
        break;
    }
    bool wait = err == 0 && !tcp_deferred(t);
    sock_unlock(s);
    return wait ? tcp_connect_wait(t, nonblock, in_progress) : err;
}

/* --- send ---------------------------------------------------------------------------- */

bool tcp_writable(const struct tcp *t)
{
    const struct sock *s = &t->s;
    if (unlikely(t->notsent_lowat != 0) && t->write_seq - t->snd_nxt >= t->notsent_lowat)
        return false;
    return s->snd_mem < s->sndbuf && s->sndbuf - s->snd_mem >= s->snd_mem / 2;
}

static bool may_send(struct sock *s)
{
    const struct tcp *t = tcp_of(s);
    if (tcp_opening(t) && atomic_load(&s->err) == 0)
        return false;
    return tcp_writable(t) || atomic_load(&s->err) != 0 || (s->shut & SHUT_WR_BIT) != 0 || t->state == TCP_CLOSED;
}

/* The program reads or writes on this CPU: its queue is the one to transmit by from now on, and cards then bring here what comes back
 * (net_mq.c). Not while segments are under way by another queue, which new ones could overtake. Locked. */
void tcp_used_here(struct tcp *t)
{
    if (t->snd_una == t->snd_max)
        t->tx_cpu = (u16)(1 + this_cpu()->cpu);
}

/* Can a byte be queued at all? 0, 1 = must wait, or -errno. */
static int send_check(struct tcp *t)
{
    struct sock *s = &t->s;
    int err = sock_take_err(s);
    if (err != 0)
        return err;
    if (s->shut & SHUT_WR_BIT)
        return -EPIPE;
    if (tcp_opening(t))
        return 1;
    if (!IN_STATES(t, ST(ESTABLISHED) | ST(CLOSE_WAIT) | ST(SYN_RCVD)))
        return -EPIPE; /* as Linux: also without a connection */
    return s->snd_mem >= s->sndbuf;
}

/* Fill up the queue's last packet. Bytes taken, 0 = none had room, or -EFAULT. */
static s64 fill_last(struct tcp *t, struct uio *u)
{
    struct sock *s = &t->s;
    struct pkt *p = NULL;
    sock_lock(s);
    if (!list_empty(&t->sendq)) {
        p = list_last(&t->sendq, struct pkt, node);
        if (pkt_tailroom(p) < 64)
            p = NULL;
    }
    t->append = p;
    spin_unlock_bh(&s->lock);
    if (p == NULL)
        return 0;
    u32 room = pkt_tailroom(p);
    /* Beyond data + len nobody else looks or writes. */
    s64 n = uio_copy_in(u, p->data + p->len, MIN(room, u->remaining));
    sock_lock(s);
    t->append = NULL;
    if (IN_STATES(t, ST(ESTABLISHED) | ST(CLOSE_WAIT) | ST(SYN_RCVD)) && !(s->shut & SHUT_WR_BIT)) {
        if (n > 0) {
            pkt_put(p, (u32)n);
            t->write_seq += (u32)n;
        }
    } else { /* the connection ended meanwhile: tcp_send_purge() left the packet to us */
        tcp_send_purge(t);
        n = n > 0 ? -EPIPE : n;
    }
    spin_unlock_bh(&s->lock);
    return n;
}

int tcp_make_packet(struct uio *u, struct pkt **ret)
{
    u32 room = PKT_SMALL_ROOM - NET_HEADROOM, want = (u32)MIN(u->remaining, (u64)SEND_CHUNK);
    struct pkt *p = want > room ? pkt_alloc(NET_HEADROOM, want) : NULL;
    if (p == NULL) {
        want = MIN(want, room);
        p = pkt_alloc(NET_HEADROOM, room);
    }
    if (p == NULL)
        return -ENOBUFS;
    s64 n = uio_copy_in(u, p->data, want);
    if (n <= 0) {
        pkt_free(p);
        return n < 0 ? (int)n : -EFAULT;
    }
    p->len = p->total_len = (u32)n;
    p->front = true; /* of what a program lent (zerocopy.c) that is not so, even where it was acknowledged */
    *ret = p;
    return 0;
}

void tcp_queue_packet(struct tcp *t, struct pkt *p)
{
    u32 mem = pkt_truesize(p);
    p->cb[0] = t->write_seq;
    p->cb[2] = mem;
    t->s.snd_mem += mem;
    net_mem_charge(mem);
    list_push_back(&t->sendq, &p->node);
    t->write_seq += p->len;
}

/* Queue p. What follows in the same call is waited for until there is a whole super-segment: *ret_pushed says whether
 * the queue was looked at. 0 or -errno. */
static int link_packet(struct tcp *t, struct pkt *p, bool last, u32 flags, bool *ret_pushed)
{
    struct sock *s = &t->s;
    u64 now = now_ns();
    sock_lock(s);
    tcp_used_here(t);
    int err = send_check(t);
    if (err < 0) {
        sock_unlock(s);
        pkt_free(p);
        return err;
    }
    tcp_queue_packet(t, p);
    if (last && (flags & MSG_OOB) != 0)
        t->snd_up = t->write_seq;
    t->more = !last || (flags & MSG_MORE) != 0;
    bool push = last || t->write_seq - t->snd_nxt >= MIN(TCP_GSO_MAX, t->cwnd);
    if (push) {
        tcp_output(t, now);
        tcp_timer_set(t);
    }
    *ret_pushed = push;
    sock_unlock(s);
    return 0;
}

/* Of urgent data the last byte so far is the urgent one, as far as anybody knows. */
static void push_out(struct tcp *t, bool more, bool urgent)
{
    sock_lock(&t->s);
    t->more = more;
    if (urgent)
        t->snd_up = t->write_seq;
    tcp_output(t, now_ns());
    tcp_timer_set(t);
    sock_unlock(&t->s);
}

static s64 tcp_send(struct sock *s, struct sock_msg *m)
{
    struct tcp *t = tcp_of(s);
    struct uio *u = m->uio;
    bool nonblock = (m->flags & MSG_DONTWAIT) != 0, urgent = tcp_parts.urg != NULL && unlikely(m->flags & MSG_OOB);
    bool fill = !urgent && m->zc == NULL, unpushed = false;
    u64 deadline = 0, done = 0;
    s64 err = 0;
    if ((tcp_parts.tfo == NULL && unlikely(m->flags & MSG_FASTOPEN)) || (tcp_parts.urg == NULL && unlikely(m->flags & MSG_OOB)))
        return -EOPNOTSUPP;
    mutex_lock(&s->wr);
    if (tcp_parts.tfo != NULL && (unlikely(m->flags & MSG_FASTOPEN) || tcp_deferred(t)))
        err = tcp_parts.tfo->send_first(t, m, &done);
    else if (u->remaining == 0 && (err = send_check(t)) > 0)
        err = 0;
    for (bool begun = err == 0; begun && u->remaining > 0;) {
        err = send_check(t);
        if (err < 0)
            break;
        if (err > 0 || (net_mem_full() && s->snd_mem > 0)) {
            if (unpushed)
                push_out(t, true, urgent);
            unpushed = false;
            atomic_store(&s->nospace, (u8)1);
            atomic_fence();
            if (deadline == 0)
                deadline = sock_deadline(s->sndtimeo_ns);
            err = sock_wait(s, may_send, deadline, nonblock, false);
            if (err != 0)
                break;
            continue;
        }
        u64 before = u->remaining;
        if (fill && t->write_seq != t->snd_nxt) { /* something unsent: it may have room */
            fill = false;
            err = fill_last(t, u);
            if (err < 0)
                break;
            if (err > 0) {
                unpushed = true;
                done += (u64)err;
                continue;
            }
        }
        struct pkt *p = NULL;
        err = likely(m->zc == NULL) ? tcp_make_packet(u, &p) : zc_make_packet(m->zc, t->rt.nif == NULL || t->rt.nif->loopback, u, &p);
        if (err != 0)
            break;
        bool pushed;
        err = link_packet(t, p, u->remaining == 0, m->flags, &pushed);
        if (err != 0)
            break;
        unpushed = !pushed;
        done += before - u->remaining;
    }
    bool more = (m->flags & MSG_MORE) != 0;
    if (unpushed || (done > 0 && u->remaining > 0 && (urgent || (t->more && !more))))
        push_out(t, more, urgent);
    mutex_unlock(&s->wr);
    return done > 0 ? (s64)done : err;
}

/* --- shutdown and close --------------------------------------------------------------------- */

/* Queue a FIN behind the data. t locked. */
static void queue_fin(struct tcp *t, u64 now)
{
    switch (t->state) {
    case TCP_SYN_RCVD: /* FIN_WAIT1 with the handshake's end */
        break;
    case TCP_ESTABLISHED:
        tcp_set_state(t, TCP_FIN_WAIT1);
        break;
    case TCP_CLOSE_WAIT:
        tcp_set_state(t, TCP_LAST_ACK);
        break;
    default:
        return;
    }
    t->fin_queued = true;
    t->cork = t->more = false;
    tcp_output(t, now);
    tcp_timer_set(t);
}

static int tcp_shutdown(struct sock *s, int how)
{
    struct tcp *t = tcp_of(s);
    int err = 0;
    sock_lock(s);
    if (t->told == TOLD_CONNECTING)
        t->told = IN_STATES(t, ST(CLOSED) | ST(SYN_RCVD)) ? TOLD_SPOILT : TOLD_CONNECTED;
    if (t->state == TCP_LISTEN) {
        if (how != 1)
            tcp_listen_stop(t);
    } else if (t->state == TCP_SYN_SENT) { /* whichever direction */
        tcp_drop(t, ECONNRESET);
        forget_peer(t);
        s->shut = 0;
    } else {
        err = t->state == TCP_CLOSED ? -ENOTCONN : 0;
        s->shut |= how == 0 ? SHUT_RD_BIT : how == 1 ? SHUT_WR_BIT : SHUT_RD_BIT | SHUT_WR_BIT;
        if (how != 0 && !t->fin_queued)
            queue_fin(t, now_ns());
    }
    sock_unlock(s);
    sock_wake(s, WAKE_IN | WAKE_OUT | POLLHUP | POLLRDHUP);
    return err;
}

static bool all_acked(struct sock *s)
{
    const struct tcp *t = tcp_of(s);
    return IN_STATES(t, ST(CLOSED) | ST(FIN_WAIT2) | ST(TIME_WAIT));
}

static void tcp_release(struct sock *s)
{
    struct tcp *t = tcp_of(s);
    u64 now = now_ns();
    bool linger = false;
    sock_lock(s);
    if (t->state == TCP_LISTEN) {
        s->closed = 1;
        tcp_listen_stop(t);
    } else if (t->state != TCP_CLOSED) {
        bool unread = s->rcvq_bytes > 0;
        if (t->state == TCP_SYN_SENT || unread || (s->linger_on && s->linger_s == 0)) {
            tcp_send_rst(t, now); /* RFC 2525 2.17: data that nobody read is lost, and the peer must know */
            s->closed = 1;
            tcp_done(t);
        } else {
            s->shut = SHUT_RD_BIT | SHUT_WR_BIT;
            queue_fin(t, now);
            linger = s->linger_on && s->linger_s > 0;
        }
    }
    sock_unlock(s);
    if (linger && !(atomic_load(&current_thread()->exit_work) & EXIT_KILL))
        sock_wait(s, all_acked, now + (u64)MIN(s->linger_s, 3600u) * NSEC_PER_SEC, false, false);
    sock_lock(s);
    s->closed = 1;
    tcp_unbind(t);
    tcp_recv_purge(t);
    if (t->state != TCP_CLOSED) {
        t->tcp_fin_orphan = true;
        if (!tcp_orphan_count(1)) {
            NET_COUNT(tcp_orphan_limit);
            tcp_send_rst(t, now);
            tcp_done(t);
        } else if (t->state == TCP_FIN_WAIT2) {
            t->t_keep = now_ns() + tcp_fin_timeout_ns(t);
            tcp_timer_set(t);
        } else {
            t->t_keep = NEVER_NS;
        }
    }
    sock_unlock(s);
    sock_put(s);
}

/* --- the rest ------------------------------------------------------------------------------------ */

u32 tcp_poll(struct sock *s)
{
    const struct tcp *t = tcp_of(s);
    u8 state = atomic_load(&t->state), shut = atomic_load(&s->shut);
    if (state == TCP_LISTEN)
        return acceptable(s) ? POLLIN | POLLRDNORM : 0;
    u32 ev = 0;
    if (shut == (SHUT_RD_BIT | SHUT_WR_BIT) || state == TCP_CLOSED)
        ev |= POLLHUP;
    if (shut & SHUT_RD_BIT)
        ev |= POLLIN | POLLRDNORM | POLLRDHUP;
    if (tcp_deferred(t)) {
        ev |= POLLOUT | POLLWRNORM;
    } else if (!tcp_opening(t)) {
        if (tcp_readable(s) >= MAX(s->rcvlowat, 1u))
            ev |= POLLIN | POLLRDNORM;
        if (shut & SHUT_WR_BIT) {
            ev |= POLLOUT | POLLWRNORM;
        } else if (tcp_writable(t)) {
            ev |= POLLOUT | POLLWRNORM;
        } else {
            atomic_store(&((struct sock *)s)->nospace, (u8)1);
            atomic_fence();
            if (tcp_writable(t))
                ev |= POLLOUT | POLLWRNORM;
        }
    }
    if (atomic_load(&s->err) != 0)
        ev |= POLLERR;
    if (atomic_load(&s->urg) & URG_BYTE)
        ev |= POLLPRI;
    return ev;
}

static s64 tcp_pending(struct sock *s, bool output)
{
    struct tcp *t = tcp_of(s);
    if (t->state == TCP_LISTEN)
        return -EINVAL;
    if (!output)
        return tcp_opening(t) ? 0 : tcp_pending_input(t);
    sock_lock(s);
    s64 n = tcp_opening(t) || t->state == TCP_CLOSED ? 0 : t->write_seq + t->fin_queued - t->snd_una;
    sock_unlock(s);
    return n;
}

static int tcp_getname(struct sock *s, bool peer, struct sock_addr *ret)
{
    if (peer && IN_STATES(tcp_of(s), ST(SYN_SENT) | ST(LISTEN)))
        return -ENOTCONN;
    if (peer && tcp_of(s)->state == TCP_CLOSED)
        return -ENOTCONN;
    return inet_getname(s, peer, ret);
}

const struct sock_ops tcp_ops = {
    .bind = tcp_bind,
    .connect = tcp_connect,
    .listen = tcp_listen,
    .accept = tcp_accept,
    .send = tcp_send,
    .recv = tcp_recv,
    .recv_oob = tcp_recv_oob,
    .shutdown = tcp_shutdown,
    .getname = tcp_getname,
    .setopt = tcp_setopt,
    .getopt = tcp_getopt,
    .poll = tcp_poll,
    .pending = tcp_pending,
    .release = tcp_release,
    .destroy = tcp_destroy,
};
