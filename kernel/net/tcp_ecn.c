/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Explicit congestion notification (RFC 3168): taken when a client offers it, not offered by ourselves (as Linux does it).
 *
 *   data out   ECT(0), but for retransmissions; CWR on the first new data after a reduction
 *   CE in      ECE on every ack until CWR comes
 *   ECE in     the window is reduced, once for what was in flight then
 */
#include "tcp_impl.h"

static void out(struct tcp *t, u8 *flags, u8 *tos, u32 len, bool again)
{
    if (t->ecn_echo && !(*flags & TH_SYN))
        *flags |= TH_ECE;
    if (len == 0 || again)
        return;
    *tos = (u8)((*tos & ~3u) | 2);
    if (t->ecn_cwr) {
        t->ecn_cwr = false;
        *flags |= TH_CWR;
    }
}

static u32 input(struct tcp *t, const struct tcp_seg *g)
{
    u32 acts = 0;
    if (g->flags & TH_CWR)
        t->ecn_echo = false;
    if (g->ecn == 3) {
        NET_COUNT(tcp_ecn_marks);
        acts = t->ecn_echo ? 0 : ACT_ACK; /* the first mark is told at once */
        t->ecn_echo = true;
    }
    if (SEQ_LT(t->ecn_high, t->snd_una))
        t->ecn_high = t->snd_una;
    if (g->flags & TH_ECE && t->snd_una != t->snd_max && t->ca == CA_OPEN && t->ecn_high == t->snd_una) {
        NET_COUNT(tcp_ecn_reductions);
        tcp_cc_reduce(t);
        t->cwnd = t->ssthresh;
        t->ecn_high = t->snd_max;
        t->ecn_cwr = true;
    }
    return acts;
}

const struct tcp_ecn_ops tcp_ecn = { .out = out, .input = input };
