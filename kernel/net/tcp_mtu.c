/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Paths that swallow large packets without a word (RFC 8899 4.3, RFC 4821 7.7): from the third timeout on every other
 * retransmission is small. An ack after a small one says that the size it was, and the path is remembered.
 */
#include "tcp_impl.h"

#define BASE_MSS 1024u
#define TRIES 3u

static void timeout(struct tcp *t)
{
    if (t->mss_before != 0) {
        t->mss = t->mss_before;
        t->mss_before = 0;
    } else if (t->retransmits >= TRIES && t->mss > BASE_MSS && t->snd_max - t->snd_una > BASE_MSS) {
        t->mss_before = t->mss;
        t->mss = BASE_MSS;
    }
}

static void acked(struct tcp *t)
{
    t->mss_before = 0;
    NET_COUNT(tcp_black_holes);
    pmtu_learn(t->s.faddr, t->mss + IP_HLEN + (u32)sizeof(struct tcp_hdr) + (t->ts_ok ? 12 : 0));
}

const struct tcp_mtu_ops tcp_mtu = { .timeout = timeout, .acked = acked };
