/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Congestion control: slow start and congestion avoidance with byte counting (RFC 5681,
 * 3465), initial window of ten segments (RFC 6928), restart after idling (RFC 2861).
 * Another algorithm replaces this file's answers to the same six events.
 */
#include "tcp_impl.h"

#define CWND_MAX (64u << 20)

static u32 initial_window(const struct tcp *t) { return TCP_INIT_CWND_SEGS * t->mss; }

void tcp_cc_init(struct tcp *t)
{
    t->cwnd = initial_window(t);
    t->ssthresh = CWND_MAX;
    t->cwnd_acc = 0;
    t->ca = CA_OPEN;
}

void tcp_cc_acked(struct tcp *t, u32 bytes)
{
    /* Not limited by the window: growing it further would prove nothing (RFC 7661's spirit). */
    if (t->snd_max - t->snd_una + bytes < t->cwnd / 2)
        return;
    if (t->cwnd < t->ssthresh) {
        t->cwnd += t->ca == CA_LOSS ? MIN(bytes, t->mss) : bytes;
    } else {
        t->cwnd_acc += bytes;
        if (t->cwnd_acc >= t->cwnd) {
            t->cwnd_acc -= t->cwnd;
            t->cwnd += t->mss;
        }
    }
    t->cwnd = MIN(t->cwnd, CWND_MAX);
}

static void halve(struct tcp *t)
{
    u32 flight = t->snd_max - t->snd_una;
    t->ssthresh = MAX(MIN(flight, t->cwnd) / 2, 2u * t->mss);
}

void tcp_cc_enter_recovery(struct tcp *t)
{
    halve(t);
    t->ca = CA_RECOVERY;
    t->recover = t->snd_max;
    t->rexmit_high = t->snd_una;
    t->cwnd = t->scores != NULL ? t->ssthresh : t->ssthresh + 3u * t->mss;
    t->timing = false;
}

void tcp_cc_exit_recovery(struct tcp *t)
{
    u32 flight = t->snd_max - t->snd_una;
    t->cwnd = MIN(t->ssthresh, MAX(flight, t->mss) + t->mss);
    t->cwnd = MAX(t->cwnd, 2u * t->mss);
    t->cwnd_acc = 0;
    t->ca = CA_OPEN;
    t->dupacks = 0;
}

void tcp_cc_timeout(struct tcp *t)
{
    if (t->ca != CA_LOSS)
        halve(t);
    t->ca = CA_LOSS;
    t->recover = t->snd_max;
    t->cwnd = t->mss;
    t->cwnd_acc = 0;
    t->dupacks = 0;
    t->timing = false;
}

void tcp_cc_idle(struct tcp *t, u64 now)
{
    if (t->snd_max == t->snd_una && t->last_tx_ns != 0 && now - t->last_tx_ns > (u64)t->rto_us * 1000 &&
        t->cwnd > initial_window(t))
        t->cwnd = initial_window(t);
}
