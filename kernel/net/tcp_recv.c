/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading from TCP sockets. The holder of `rd` copies up to rcvq_bytes from the receive queue without
 * the spinlock (the bottom half only appends, and only beyond what rcvq_bytes said), then
 * takes the lock once to remove what was read and to see whether the window grew.
 */
#include "kern/uio.h"
#include "tcp_impl.h"

/* Nothing more will come: an error, the peer's FIN, shutdown(2), no connection. */
static bool recv_over(const struct tcp *t)
{
    return atomic_load(&t->s.err) != 0 || (atomic_load(&t->s.shut) & SHUT_RD_BIT) != 0 || atomic_load(&t->state) == TCP_CLOSED;
}

/* False: it was an error, and somebody else has taken it. */
static bool how_over(struct tcp *t, s64 *ret_err)
{
    if (t->fin_rcvd) /* what came behind the end is the writer's to hear */
        return true;
    *ret_err = sock_take_err(&t->s);
    if (*ret_err != 0 || (t->s.shut & SHUT_RD_BIT))
        return true;
    if (t->state == TCP_CLOSED)
        *ret_err = -ENOTCONN;
    return t->state == TCP_CLOSED;
}

static bool may_recv(struct sock *s) { return atomic_load(&s->rcvq_bytes) > 0 || recv_over(tcp_of(s)); }

/* Copy [skip, skip + max) of the receive queue. Bytes, or -EFAULT. u NULL = throw away. rd held. */
static s64 copy_queue(struct sock *s, u32 skip, u32 max, struct uio *u)
{
    u32 done = 0;
    for (struct pkt *p = list_first(&s->rcvq, struct pkt, node); done < max;
         p = list_entry(p->node.next, struct pkt, node)) {
        u32 len = p->total_len; /* may grow, but not within max */
        if (skip >= len) {
            skip -= len;
            continue;
        }
        u32 n = MIN(len - skip, max - done);
        s64 got = u == NULL ? n : pkt_to_uio(p, skip, u, n);
        if (got < 0)
            return done > 0 ? (s64)done : got;
        done += (u32)got;
        skip = 0;
        if ((u32)got < n)
            break;
    }
    return done;
}

/* Remove n bytes that were read, tell the peer of the room when that is worth it. rd held. */
static void consume(struct tcp *t, u32 n)
{
    struct sock *s = &t->s;
    struct list gone;
    list_init(&gone);
    u32 left = n;
    sock_lock(s);
    tcp_used_here(t);
    while (left > 0) {
        struct pkt *p = list_first(&s->rcvq, struct pkt, node);
        if (p->total_len > left) {
            pkt_pull(p, left);
            break;
        }
        left -= p->total_len;
        s->rcv_mem -= (u32)p->cb[2];
        net_mem_uncharge((u32)p->cb[2]);
        list_remove(&p->node);
        list_push_back(&gone, &p->node);
    }
    atomic_store(&s->rcvq_bytes, s->rcvq_bytes - n);
    if (tcp_parts.urg != NULL && unlikely(s->urg != 0))
        tcp_parts.urg->moved(t);
    if (IN_STATES(t, ST(ESTABLISHED) | ST(FIN_WAIT1) | ST(FIN_WAIT2))) {
        tcp_rcv_autosize(t, n);
        if (tcp_window_grew(t)) {
            tcp_send_ack(t, now_ns());
            tcp_timer_set(t);
        }
    }
    sock_unlock(s);
    pkt_list_free(&gone);
}

void tcp_rcv_autosize(struct tcp *t, u32 copied)
{
    struct sock *s = &t->s;
    t->rcv_space += copied;
    if (t->rcv_space <= s->rcvbuf / 4)
        return; /* without a look at the clock */
    u64 now = now_ns(), rtt = MAX((u64)t->srtt_us8 / 8, 1000ULL) * 1000;
    /* Read half a window within a round trip: the window is what limits the peer. */
    u32 max = (u32)MIN((u64)TCP_RCVBUF_MAX, net_mem_limit / 4);
    if (now - t->rcv_round_ns <= rtt * t->rcv_space / (s->rcvbuf / 4) && !s->rcvbuf_locked && !net_mem_tight() && s->rcvbuf < max)
        s->rcvbuf = MIN(s->rcvbuf * 2, max);
    t->rcv_space = 0;
    t->rcv_round_ns = now;
}

s64 tcp_recv_oob(struct sock *s, struct sock_msg *m)
{
    if (tcp_of(s)->state == TCP_LISTEN)
        return -ENOTCONN;
    return tcp_parts.urg == NULL ? -EINVAL : tcp_parts.urg->recv(tcp_of(s), m);
}

u32 tcp_readable(const struct sock *s)
{
    u32 n = atomic_load(&s->rcvq_bytes), urg = atomic_load(&s->urg);
    if (likely(tcp_parts.urg == NULL || urg == 0))
        return n;
    u32 not = ((urg & URG_STALE) != 0) + ((urg & URG_AT_MARK) != 0 && !s->oob_inline);
    return n > not ? n - not : 0;
}

u32 tcp_pending_input(struct tcp *t)
{
    u32 n = atomic_load(&t->s.rcvq_bytes);
    bool urgent = tcp_parts.urg != NULL && atomic_load(&t->s.urg) != 0 && !t->s.oob_inline;
    return likely(!urgent) ? n : MIN(tcp_parts.urg->until(t, 0), tcp_readable(&t->s));
}

static bool may_peek(struct sock *s)
{
    u32 at = sock_peek_at(s, MSG_PEEK);
    bool more = at == 0 ? tcp_readable(s) > 0 : atomic_load(&s->rcvq_bytes) > at + (atomic_load(&s->urg) != 0);
    return more || recv_over(tcp_of(s));
}

/* Of *avail bytes that may be read, urgent data is at hand: leave it out, and end before it. False = what was read is all
 * that this call gets. *hole: bytes that peeking steps over. rd held. */
static bool heed_urgent(struct tcp *t, bool peek, u64 done, u32 *hole, u32 *avail)
{
    struct sock *s = &t->s;
    if (s->urg & URG_STALE)
        consume(t, 1);
    u32 skip = peek ? (u32)done + *hole : 0, left = tcp_parts.urg->until(t, skip);
    *avail = atomic_load(&s->rcvq_bytes);
    if (left == 0 && done > 0)
        return false;
    if (left == 0 && !s->oob_inline && *avail > skip) {
        if (peek)
            (*hole)++;
        else
            consume(t, 1);
        *avail = atomic_load(&s->rcvq_bytes);
    } else if (left != 0) {
        *avail = MIN(*avail, (u32)MIN((u64)skip + left, (u64)UINT32_MAX));
    }
    return true;
}

s64 tcp_recv(struct sock *s, struct sock_msg *m)
{
    struct tcp *t = tcp_of(s);
    struct uio *u = m->uio;
    u32 flags = m->flags;
    bool nonblock = (flags & MSG_DONTWAIT) != 0, peek = (flags & MSG_PEEK) != 0;
    u64 want = MIN(u->remaining, (u64)INT32_MAX), done = 0, deadline = 0;
    u64 target = flags & MSG_WAITALL ? want : MIN(want, (u64)s->rcvlowat);
    s64 err = 0;
    u32 hole = sock_peek_at(s, flags);
    m->flags = 0;
    m->control_len = 0;
    if (m->from != NULL)
        m->from->len = 0;
    if (t->state == TCP_LISTEN)
        return -ENOTCONN;
    mutex_lock(&s->rd);
    do { /* also for no byte: there must be one */
        bool over = recv_over(t); /* first: what came before the end is in the queue then */
        u32 avail = atomic_load(&s->rcvq_bytes);
        if (tcp_parts.urg != NULL && unlikely(atomic_load(&s->urg) != 0) && want != 0 && !heed_urgent(t, peek, done, &hole, &avail))
            break;
        u32 skip = peek ? (u32)done + hole : 0;
        if (avail > skip) {
            u32 n = (u32)MIN((u64)(avail - skip), want - done);
            s64 got = copy_queue(s, skip, n, flags & MSG_TRUNC ? NULL : u);
            if (got < 0) {
                err = got;
                break;
            }
            if (!peek && got > 0)
                consume(t, (u32)got);
            done += (u64)got;
            if ((u32)got < n) {
                err = -EFAULT;
                break;
            }
            continue;
        }
        if (done >= MAX(target, 1ULL))
            break;
        if (over && how_over(t, &err))
            break;
        if (tcp_opening(t) && nonblock) {
            err = -EAGAIN;
            break;
        }
        if (deadline == 0)
            deadline = sock_deadline(s->rcvtimeo_ns);
        if (peek) { /* only what comes on top of what was seen counts */
            if (done > 0)
                break;
        }
        mutex_unlock(&s->rd);
        err = sock_wait(s, hole != 0 ? may_peek : may_recv, deadline, nonblock, false);
        mutex_lock(&s->rd);
        if (err != 0)
            break;
    } while (done < want);
    sock_peek_move(s, flags, done);
    mutex_unlock(&s->rd);
    if (done > 0) {
        if (err < 0 && err != -EAGAIN && err != -EFAULT && err != -EINTR && err != -ERESTARTSYS)
            atomic_store(&s->err, (s32)-err); /* for the next call */
        return (s64)done;
    }
    return err;
}
