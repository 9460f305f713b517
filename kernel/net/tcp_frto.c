/* SPDX-License-Identifier: Apache-2.0 */
/*
 * F-RTO (RFC 5682): was a retransmission timeout needless? After it only the first segment goes again; when acks then
 * advance twice, though what they acknowledge in the second step was never sent again, all of it had arrived.
 * RACK looks at order within the flight; this one at a delay of the whole path.
 */
#include "tcp_impl.h"

enum { FRTO_OFF, FRTO_FIRST, FRTO_NEW_DATA };

static void timeout(struct tcp *t)
{
    t->frto = t->ca == CA_OPEN && t->retransmits == 1 ? FRTO_FIRST : FRTO_OFF;
    t->frto_cwnd = t->cwnd;
    t->frto_ssthresh = t->ssthresh;
}

static void conventional(struct tcp *t)
{
    if (t->frto == FRTO_NEW_DATA) {
        t->cwnd = MIN(t->cwnd, 3u * t->mss);
        tcp_go_back(t);
    }
    t->frto = FRTO_OFF;
}

static void advanced(struct tcp *t)
{
    if (SEQ_GE(t->snd_una, t->recover)) {
        t->frto = FRTO_OFF; /* one ack for everything proves nothing, and nothing is left to do */
    } else if (t->frto == FRTO_NEW_DATA) {
        NET_COUNT(tcp_spurious_timeouts);
        t->frto = FRTO_OFF;
        t->cwnd = t->frto_cwnd;
        t->ssthresh = t->frto_ssthresh;
        t->ca = CA_OPEN;
    } else if (SEQ_LT(t->snd_max, t->write_seq) && t->snd_wnd > t->snd_max - t->snd_una) {
        t->frto = FRTO_NEW_DATA;
        t->snd_nxt = t->snd_max;
        t->send_hint = NULL;
        t->cwnd = t->snd_max - t->snd_una + 2u * t->mss;
    } else {
        t->frto = FRTO_OFF;
    }
}

const struct tcp_frto_ops tcp_frto = { .timeout = timeout, .advanced = advanced, .duplicate = conventional };
