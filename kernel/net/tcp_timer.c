/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One timer a connection for all its deadlines: retransmission or window probe (RFC 6298,
 * 9293 3.8.6.1), delayed ack, keep-alive / FIN_WAIT_2 / waiting close. The timer is only
 * ever moved earlier; when it goes off too early because a deadline moved on, it is set again.
 * That keeps the usual segment free of timer work. While armed it holds a reference (T5).
 */
#include "tcp_impl.h"

#define KEEP_IDLE_S 7200u
#define KEEP_INTVL_S 75u
#define KEEP_CNT 9u

static u64 next_deadline(const struct tcp *t) { return MIN(MIN(t->t_rexmit, t->t_delack), MIN(t->t_keep, t->t_rack)); }

/* Sooner than it is. */
static void arm(struct tcp *t, u64 at)
{
    if (t->timer_at == NEVER_NS)
        sock_get(&t->s);
    t->timer_at = at;
    ktimer_start(&t->timer, at);
}

void tcp_timer_set(struct tcp *t)
{
    u64 next = next_deadline(t);
    if (unlikely(next < t->timer_at))
        arm(t, next);
}

void tcp_timer_stop(struct tcp *t)
{
    t->t_rexmit = t->t_delack = t->t_keep = t->t_rack = NEVER_NS;
    if (t->timer_at != NEVER_NS && ktimer_cancel(&t->timer)) {
        t->timer_at = NEVER_NS;
        sock_put(&t->s); /* the caller has another one */
    }
}

void tcp_keepalive_start(struct tcp *t, u64 now)
{
    if (IN_STATES(t, ST(ESTABLISHED) | ST(CLOSE_WAIT) | ST(FIN_WAIT1) | ST(FIN_WAIT2)) && !t->s.closed) {
        t->keep_probes = 0;
        t->probing = false;
        t->t_keep = t->s.keepalive ? now + (u64)(t->keep_idle_s ? t->keep_idle_s : KEEP_IDLE_S) * NSEC_PER_SEC : NEVER_NS;
    }
}

/* Give up? After so many tries, or TCP_USER_TIMEOUT without progress. */
static bool exhausted(const struct tcp *t, u32 tries, u64 now)
{
    if (t->user_timeout_ms != 0)
        return now - t->first_unacked_ns >= (u64)t->user_timeout_ms * NSEC_PER_MSEC;
    return tries >= (t->s.closed ? TCP_ORPHAN_RETRIES : TCP_RETRIES);
}

static u32 timed_out(struct tcp *t)
{
    tcp_drop(t, t->s.soft_err != 0 ? t->s.soft_err : ETIMEDOUT);
    return POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP | POLLRDNORM | POLLWRNORM;
}

static u32 rexmit_syn(struct tcp *t, u64 now)
{
    u32 max = t->state == TCP_SYN_SENT ? (t->syn_cnt != 0 ? t->syn_cnt : TCP_SYN_RETRIES) : TCP_SYNACK_RETRIES;
    bool late = t->user_timeout_ms != 0 && now - t->first_unacked_ns >= (u64)t->user_timeout_ms * NSEC_PER_MSEC;
    if (t->syn_tries > max || late || (t->s.soft_err == EHOSTUNREACH && t->syn_tries > 2))
        return timed_out(t);
    NET_COUNT(tcp_timeouts);
    t->timing = false;
    tcp_send_syn(t, now);
    return 0;
}

static u32 rexmit_due(struct tcp *t, u64 now)
{
    t->t_rexmit = NEVER_NS;
    if (IN_STATES(t, ST(SYN_SENT) | ST(SYN_RCVD)))
        return rexmit_syn(t, now);
    if (t->persist) {
        t->persist = true;
        if (exhausted(t, t->probes, now) && (t->s.closed || t->user_timeout_ms != 0 || t->probes >= TCP_RETRIES))
            return timed_out(t);
        t->probes++;
        if (t->backoff < 12)
            t->backoff++;
        tcp_send_probe(t, now);
        u64 rto = MIN((u64)t->rto_us << MIN(t->backoff, 12), (u64)TCP_RTO_MAX_US);
        t->t_rexmit = now + rto * 1000;
        return 0;
    }
    if (t->snd_una == t->snd_max) { /* nothing in flight: a cork ran out, or memory did */
        t->push_partial = true;
        tcp_output(t, now);
        return 0;
    }
    if (exhausted(t, t->retransmits, now))
        return timed_out(t);
    NET_COUNT(tcp_timeouts);
    if (t->retransmits < 255)
        t->retransmits++;
    if (t->backoff < 12)
        t->backoff++;
    if (tcp_parts.frto != NULL)
        tcp_parts.frto->timeout(t);
    if (tcp_parts.mtu != NULL)
        tcp_parts.mtu->timeout(t);
    tcp_cc_timeout(t);
    if (t->scores != NULL && t->scores->r[0].start == t->snd_una)
        tcp_scores_drop(t); /* the peer had it and does not have it any more (RFC 2018 8) */
    tcp_go_back(t);
    u64 rto = MIN((u64)t->rto_us << t->backoff, (u64)TCP_RTO_MAX_US);
    if (t->snd_wnd == 0) {
        /* the window closed over data in flight: probe with its first byte */
        t->persist = true;
        tcp_send_probe(t, now);
    } else {
        tcp_output(t, now);
    }
    t->t_rexmit = now + rto * 1000;
    return 0;
}

static u32 keep_due(struct tcp *t, u64 now)
{
    t->t_keep = NEVER_NS;
    if (t->s.closed) { /* FIN_WAIT_2 without a peer's FIN, or any close that took too long */
        tcp_done(t);
        return POLLHUP;
    }
    if (!t->s.keepalive)
        return 0;
    u64 idle = (u64)(t->keep_idle_s ? t->keep_idle_s : KEEP_IDLE_S) * NSEC_PER_SEC;
    u64 intvl = (u64)(t->keep_intvl_s ? t->keep_intvl_s : KEEP_INTVL_S) * NSEC_PER_SEC;
    if (t->snd_una != t->snd_max || t->snd_una != t->write_seq + (t->fin_queued ? 1 : 0)) {
        t->t_keep = now + idle; /* retransmission looks after it */
        return 0;
    }
    if (!t->probing && now - t->last_rx_ns < idle) {
        t->t_keep = t->last_rx_ns + idle;
        return 0;
    }
    u32 max = t->keep_cnt ? t->keep_cnt : KEEP_CNT;
    bool late = t->user_timeout_ms != 0 ? now - t->last_rx_ns >= (u64)t->user_timeout_ms * NSEC_PER_MSEC && t->keep_probes > 0
                                        : t->keep_probes >= max;
    if (late) {
        tcp_send_rst(t, now);
        return timed_out(t);
    }
    t->probing = true;
    t->keep_probes++;
    NET_COUNT(tcp_keepalives);
    tcp_send_probe(t, now);
    t->t_keep = now + intvl;
    return 0;
}

static void tcp_timer(struct ktimer *kt)
{
    struct tcp *t = container_of(kt, struct tcp, timer);
    u64 now = now_ns();
    u32 events = 0;
    bool listening = false;
    spin_lock(&t->s.lock);
    if (ktimer_armed(kt)) { /* somebody set it again while this call was on its way: that one will come */
        spin_unlock(&t->s.lock);
        return;
    }
    t->timer_at = NEVER_NS;
    if (t->state == TCP_LISTEN) {
        listening = true;
        t->t_keep = NEVER_NS;
        tcp_listen_tick(t, now);
    } else if (t->state != TCP_CLOSED) {
        if (now >= t->t_delack) {
            t->t_delack = NEVER_NS;
            tcp_send_ack(t, now);
        }
        if (now >= t->t_rexmit)
            events |= rexmit_due(t, now);
        if (tcp_has_rack(t) && now >= t->t_rack)
            tcp_parts.rack->due(t, now);
        if (t->state != TCP_CLOSED && now >= t->t_keep)
            events |= keep_due(t, now);
    }
    /* While data flows the next delayed ack is not far: stay ahead of it, or each one moves the timer forward. */
    if (t->state == TCP_ESTABLISHED && now - t->last_rx_ns < TCP_DELACK_NS && t->t_delack == NEVER_NS)
        arm(t, MIN(next_deadline(t), now + TCP_DELACK_NS));
    else if (t->state != TCP_CLOSED || listening)
        tcp_timer_set(t);
    spin_unlock(&t->s.lock);
    if (events != 0)
        sock_wake(&t->s, events);
    net_kick();
    sock_put(&t->s); /* the reference of the arming that just ended */
}

void tcp_timer_init(struct tcp *t)
{
    t->t_rexmit = t->t_delack = t->t_keep = t->t_rack = t->timer_at = NEVER_NS;
    ktimer_init(&t->timer, tcp_timer);
}
