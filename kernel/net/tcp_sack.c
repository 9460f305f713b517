/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Selective acknowledgement. Receiver's side (RFC 2018): up to four blocks of what is held
 * out of order, the newest first. Sender's side (RFC 6675, cut down): a sorted list of at
 * most SACK_SCORES ranges that the peer has; what does not fit is forgotten, which costs a
 * needless retransmission and nothing else.
 */
#include "tcp_impl.h"

void tcp_sack_received(struct tcp *t, u32 start, u32 end)
{
    /* Merge with every block it touches, then put it first. */
    u8 n = 0;
    struct sack_range keep[4];
    for (u8 i = 0; i < t->nsack_out; i++) {
        struct sack_range r = t->sack_out[i];
        if (SEQ_LE(r.start, end) && SEQ_GE(r.end, start)) {
            start = SEQ_LT(r.start, start) ? r.start : start;
            end = SEQ_GT(r.end, end) ? r.end : end;
        } else if (n < 3) {
            keep[n++] = r;
        }
    }
    t->sack_out[0] = (struct sack_range){ start, end };
    memcpy(&t->sack_out[1], keep, n * sizeof keep[0]);
    t->nsack_out = (u8)(n + 1);
}

void tcp_sack_trim(struct tcp *t)
{
    u8 n = 0;
    for (u8 i = 0; i < t->nsack_out; i++)
        if (SEQ_GT(t->sack_out[i].start, t->rcv_nxt))
            t->sack_out[n++] = t->sack_out[i];
    t->nsack_out = list_empty(&t->oooq) ? 0 : n;
}

static bool add_range(struct tcp_scores *sc, struct sack_range r)
{
    u32 i = 0;
    while (i < sc->n && SEQ_LT(sc->r[i].end, r.start))
        i++;
    u32 j = i; /* [i, j) touch r */
    bool inside = false;
    while (j < sc->n && SEQ_LE(sc->r[j].start, r.end)) {
        inside |= SEQ_LE(sc->r[j].start, r.start) && SEQ_GE(sc->r[j].end, r.end);
        r.start = SEQ_LT(sc->r[j].start, r.start) ? sc->r[j].start : r.start;
        r.end = SEQ_GT(sc->r[j].end, r.end) ? sc->r[j].end : r.end;
        j++;
    }
    if (inside)
        return false;
    if (i == j && sc->n == SACK_SCORES)
        return false;
    memmove(&sc->r[i + 1], &sc->r[j], (sc->n - j) * sizeof sc->r[0]);
    sc->r[i] = r;
    sc->n = sc->n - (j - i) + 1;
    return true;
}

/* The first block is a duplicate when it lies below the ack or inside the second. */
bool tcp_is_dsack(const struct tcp_seg *g)
{
    const struct sack_range *s = g->o.sack;
    return g->o.nsack > 0 && (SEQ_LT(s[0].start, g->ack) ||
                              (g->o.nsack > 1 && SEQ_LE(s[1].start, s[0].start) && SEQ_LE(s[0].end, s[1].end)));
}

bool tcp_scores_add(struct tcp *t, const struct tcp_options *o)
{
    bool news = false;
    for (u8 i = 0; i < o->nsack; i++) {
        struct sack_range r = o->sack[i];
        if (!SEQ_LT(r.start, r.end) || !SEQ_GT(r.start, t->snd_una) || !SEQ_LE(r.end, t->snd_max))
            continue; /* old, duplicate (RFC 2883) or forged */
        if (t->scores == NULL) {
            t->scores = kmalloc(sizeof *t->scores, ALLOC_ATOMIC);
            if (t->scores == NULL)
                return false;
            t->scores->n = 0;
        }
        news |= add_range(t->scores, r);
    }
    return news;
}

void tcp_scores_drop(struct tcp *t)
{
    kfree(t->scores);
    t->scores = NULL;
}

void tcp_scores_acked(struct tcp *t)
{
    struct tcp_scores *sc = t->scores;
    if (likely(sc == NULL))
        return;
    u32 i = 0;
    while (i < sc->n && SEQ_LE(sc->r[i].end, t->snd_una))
        i++;
    memmove(&sc->r[0], &sc->r[i], (sc->n - i) * sizeof sc->r[0]);
    sc->n -= i;
    if (sc->n > 0 && SEQ_LT(sc->r[0].start, t->snd_una))
        sc->r[0].start = t->snd_una;
    if (sc->n == 0)
        tcp_scores_drop(t);
}

u32 tcp_scores_bytes(const struct tcp *t)
{
    u32 sum = 0;
    for (u32 i = 0; t->scores != NULL && i < t->scores->n; i++)
        sum += t->scores->r[i].end - t->scores->r[i].start;
    return sum;
}

u32 tcp_scores_skip(const struct tcp *t, u32 seq)
{
    for (u32 i = 0; t->scores != NULL && i < t->scores->n; i++)
        if (SEQ_LE(t->scores->r[i].start, seq) && SEQ_LT(seq, t->scores->r[i].end))
            return t->scores->r[i].end;
    return seq;
}

u32 tcp_scores_next(const struct tcp *t, u32 seq)
{
    for (u32 i = 0; t->scores != NULL && i < t->scores->n; i++)
        if (SEQ_GT(t->scores->r[i].start, seq))
            return t->scores->r[i].start;
    return t->snd_max;
}

bool tcp_scores_lost(const struct tcp *t, u32 seq)
{
    u32 above = 0, blocks = 0;
    for (u32 i = 0; t->scores != NULL && i < t->scores->n; i++)
        if (SEQ_GT(t->scores->r[i].start, seq)) {
            above += t->scores->r[i].end - t->scores->r[i].start;
            blocks++;
        }
    return blocks >= 3 || above > 2u * t->mss;
}

u32 tcp_pipe(const struct tcp *t)
{
    if (tcp_has_rack(t))
        return tcp_parts.rack->pipe(t);
    u32 flight = t->snd_nxt - t->snd_una;
    if (t->scores == NULL)
        return flight;
    /* Sent, not SACKed, and either not lost or retransmitted since. */
    u32 pipe = 0, seq = t->snd_una;
    while (SEQ_LT(seq, t->snd_nxt)) {
        u32 end = tcp_scores_next(t, seq), from = tcp_scores_skip(t, seq);
        if (from != seq) {
            seq = from;
            continue;
        }
        if (SEQ_GT(end, t->snd_nxt))
            end = t->snd_nxt;
        u32 hole = end - seq;
        if (t->ca != CA_RECOVERY || !tcp_scores_lost(t, seq))
            pipe += hole;
        else if (SEQ_GT(t->rexmit_high, seq))
            pipe += SEQ_GE(t->rexmit_high, end) ? hole : t->rexmit_high - seq;
        seq = end;
    }
    return pipe;
}
