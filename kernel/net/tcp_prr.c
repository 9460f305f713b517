/* SPDX-License-Identifier: Apache-2.0 */
/* Proportional rate reduction (RFC 6937): while losses are repaired, send in proportion to what arrives. */
#include "tcp_impl.h"

static void enter(struct tcp *t)
{
    t->prr_flight = MAX(t->snd_max - t->snd_una, 1u);
    t->prr_delivered = t->prr_out = 0;
    t->cwnd = tcp_pipe(t) + t->mss; /* the fast retransmit */
}

static void acked(struct tcp *t, u32 delivered)
{
    u32 pipe = tcp_pipe(t), may;
    t->prr_delivered += delivered;
    if (pipe > t->ssthresh) {
        u32 share = (u32)(((u64)t->prr_delivered * t->ssthresh + t->prr_flight - 1) / t->prr_flight);
        may = share > t->prr_out ? share - t->prr_out : 0;
    } else {
        u32 limit = t->prr_delivered > t->prr_out ? t->prr_delivered - t->prr_out : 0;
        may = MIN(t->ssthresh - pipe, MAX(limit, delivered) + t->mss);
    }
    if (t->prr_out == 0)
        may = MAX(may, (u32)t->mss); /* the fast retransmit */
    t->cwnd = pipe + may;
}

const struct tcp_prr_ops tcp_prr = { .enter = enter, .acked = acked };
