/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Congestion control: slow start with byte counting (RFC 5681, 3465), initial window of ten segments (RFC 6928),
 * restart after idling (RFC 2861), and Reno's answers to the events of struct tcp_cc_ops. tcp_parts names the
 * algorithms that the build has.
 */
#include "tcp_impl.h"

static u32 initial_window(const struct tcp *t) { return TCP_INIT_CWND_SEGS * t->mss; }

/* --- Reno (RFC 5681) ----------------------------------------------------------------- */

static u32 reno_ssthresh(struct tcp *t)
{
    u32 flight = t->snd_max - t->snd_una;
    return MIN(flight, t->cwnd) / 2;
}

static void reno_avoid(struct tcp *t, u32 bytes, u64 now)
{
    t->cwnd_acc += bytes;
    if (t->cwnd_acc >= t->cwnd) {
        t->cwnd_acc -= t->cwnd;
        t->cwnd += t->mss;
    }
}

const struct tcp_cc_ops tcp_reno = { .name = "reno", .ssthresh = reno_ssthresh, .avoid = reno_avoid };

/* --- events ----------------------------------------------------------------------------- */

const struct tcp_cc_ops *tcp_cc_find(const char *name, u32 len)
{
    for (unsigned i = 0; i < ARRAY_SIZE(tcp_parts.cc) && tcp_parts.cc[i] != NULL; i++) {
        u32 n = (u32)strlen(tcp_parts.cc[i]->name);
        if (len >= n && memcmp(name, tcp_parts.cc[i]->name, n) == 0 && (len == n || name[n] == 0))
            return tcp_parts.cc[i];
    }
    return NULL;
}

static void reset(struct tcp *t)
{
    t->cwnd_acc = 0;
    if (t->cc_ops->reset != NULL)
        t->cc_ops->reset(t);
}

void tcp_cc_choose(struct tcp *t, const struct tcp_cc_ops *ops)
{
    t->cc_ops = ops;
    t->cwnd_acc = 0;
    if (ops->init != NULL)
        ops->init(t);
}

void tcp_cc_init(struct tcp *t)
{
    t->cwnd = initial_window(t);
    t->ssthresh = TCP_CWND_MAX;
    t->ca = CA_OPEN;
    tcp_cc_choose(t, t->cc_ops);
}

void tcp_cc_acked(struct tcp *t, u32 bytes, u64 now)
{
    /* Not limited by the window: growing it further would prove nothing (RFC 7661's spirit). What a batch of acknowledgements
     * has set free is as good as in flight. */
    u32 flight = t->output_later ? MIN(t->write_seq - t->snd_una, t->snd_wnd) : t->snd_max - t->snd_una;
    if (flight + bytes < t->cwnd / 2)
        return;
    if (t->cwnd >= t->ssthresh)
        t->cc_ops->avoid(t, bytes, now);
    else if (t->ca == CA_LOSS)
        t->cwnd += MIN(bytes, t->mss);
    else
        t->cwnd += t->cc_ops->slow_start != NULL ? t->cc_ops->slow_start(t, bytes) : bytes;
    t->cwnd = MIN(t->cwnd, TCP_CWND_MAX);
}

void tcp_cc_reduce(struct tcp *t) { t->ssthresh = MAX(t->cc_ops->ssthresh(t), 2u * t->mss); }

void tcp_cc_enter_recovery(struct tcp *t)
{
    if (tcp_parts.mtu == NULL || t->mtup == NULL || !tcp_parts.mtu->lost(t))
        tcp_cc_reduce(t);
    t->ca = CA_RECOVERY;
    t->recover = t->snd_max;
    t->rexmit_high = t->snd_una;
    t->cwnd = t->sack_ok ? t->ssthresh : t->ssthresh + 3u * t->mss;
    t->timing = false;
    if (tcp_parts.prr != NULL && t->sack_ok)
        tcp_parts.prr->enter(t);
}

void tcp_cc_exit_recovery(struct tcp *t)
{
    u32 flight = t->snd_max - t->snd_una;
    t->cwnd = t->sack_ok ? t->ssthresh : MIN(t->ssthresh, MAX(flight, t->mss) + t->mss);
    t->cwnd = MAX(t->cwnd, 2u * t->mss);
    t->cwnd_acc = 0;
    t->ca = CA_OPEN;
    t->dupacks = 0;
}

void tcp_cc_timeout(struct tcp *t)
{
    if (t->ca != CA_LOSS)
        tcp_cc_reduce(t);
    t->ca = CA_LOSS;
    t->recover = t->snd_max;
    t->cwnd = t->mss;
    reset(t);
    t->dupacks = 0;
    t->timing = false;
}

void tcp_cc_idle(struct tcp *t, u64 now)
{
    if (t->snd_max == t->snd_una && t->last_tx_ns != 0 && now - t->last_tx_ns > (u64)t->rto_us * 1000 &&
        t->cwnd > initial_window(t)) {
        t->cwnd = initial_window(t);
        reset(t);
    }
}
