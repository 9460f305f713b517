/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RACK-TLP (RFC 8985): what was sent before something that arrived, by more than a round trip and the time that
 * reordering takes, is lost; a probe finds losses at the tail before the timer does. It needs to know when each
 * part of the flight was sent: a log of at most RECS records, made when more than one segment is out and
 * dropped when all is acknowledged. Parts sent within a fraction of a round trip share a record, with the
 * latest of their times, so that nothing counts as lost too early.
 *
 *   record:  | start ... lost_to | ... end |    what is not SACKed below lost_to is lost
 *
 * The log is sorted and disjoint; what is missing in it (it was full, or going back N began anew) is the
 * retransmission timer's.
 */
#include "tcp_impl.h"

#define RECS 40u
#define GRANULES 16        /* records a round trip */
#define REO_MULT_MAX 16u
#define REO_PERSIST 16u    /* recoveries without a needless retransmission until the window is small again */
#define PTO_MIN_US 10000u

struct record {
    u32 start, end, lost_to;
    u32 seen;              /* delivered up to here when last looked at */
    u64 ns;
    bool again;            /* a retransmission */
};

struct tcp_rack {
    u32 n;
    u32 end_seq, rtt_us;   /* of the latest sent that arrived (RFC 8985 6.2 step 2) */
    u64 xmit_ns;
    u32 fack;              /* highest delivered */
    u32 una;               /* as of the last ack */
    u32 tlp_end;
    bool tlp_out, tlp_again, probe_due;
    struct record r[RECS];
};

static void drop(struct tcp *t)
{
    kfree(t->rack);
    t->rack = NULL;
    t->t_rack = NEVER_NS;
}

static void reset(struct tcp *t)
{
    t->rack->n = 0;
    t->rack->tlp_out = false;
    t->t_rack = NEVER_NS;
}

/* --- the log ---------------------------------------------------------------------- */

static bool together(const struct tcp *t, const struct record *r, u64 now)
{
    return now - r->ns <= (u64)t->srtt_us8 * (1000 / 8) / GRANULES;
}

static void insert(struct tcp_rack *k, u32 i, struct record r)
{
    memmove(&k->r[i + 1], &k->r[i], (k->n - i) * sizeof k->r[0]);
    k->r[i] = r;
    k->n++;
}

static void log_new(struct tcp *t, u32 seq, u32 end, bool again, u64 now)
{
    struct tcp_rack *k = t->rack;
    struct record *last = k->n > 0 ? &k->r[k->n - 1] : NULL;
    if (last != NULL && last->end == seq && last->again == again && last->lost_to == last->start &&
        (k->n == RECS || together(t, last, now))) {
        last->end = end;
        last->ns = now;
    } else if (k->n < RECS) {
        insert(k, k->n, (struct record){ seq, end, seq, seq, now, again });
    }
}

/* [seq, end) within record i goes again: it becomes a record of its own. */
static void log_again(struct tcp *t, u32 i, u32 seq, u32 end, u64 now)
{
    struct tcp_rack *k = t->rack;
    struct record *r = &k->r[i], *before = i > 0 ? r - 1 : NULL;
    if (r->start == seq && before != NULL && before->end == seq && before->again && before->lost_to == before->start &&
        together(t, before, now)) {
        before->end = end;
        before->ns = now;
    } else if (k->n + 2 > RECS) { /* no room: all of it counts as sent now */
        *r = (struct record){ r->start, r->end, r->start, r->start, now, true };
        return;
    } else {
        struct record head = *r;
        head.end = seq;
        head.lost_to = SEQ_GT(head.lost_to, seq) ? seq : head.lost_to;
        if (head.start != seq)
            insert(k, i++, head);
        insert(k, i++, (struct record){ seq, end, seq, seq, now, true });
        r = &k->r[i];
    }
    r->start = end;
    r->lost_to = SEQ_LT(r->lost_to, end) ? end : r->lost_to;
    if (SEQ_GE(r->start, r->end)) {
        u32 at = (u32)(r - k->r);
        memmove(r, r + 1, (k->n - at - 1) * sizeof *r);
        k->n--;
    }
}

static void sent(struct tcp *t, u32 seq, u32 end, u64 now)
{
    struct tcp_rack *k = t->rack;
    bool again = SEQ_LT(seq, t->snd_max);
    if (k == NULL) {
        if (end - t->snd_una <= t->mss || !t->sack_ok)
            return; /* the usual answer: nothing to keep */
        k = t->rack = kmalloc(sizeof *k, ALLOC_ATOMIC | ALLOC_ZERO);
        if (k == NULL)
            return;
        k->fack = k->una = t->snd_una;
    }
    for (u32 i = 0; again && i < k->n; i++)
        if (SEQ_LE(k->r[i].start, seq) && SEQ_LT(seq, k->r[i].end)) {
            log_again(t, i, seq, SEQ_LT(end, k->r[i].end) ? end : k->r[i].end, now);
            return;
        }
    u32 logged = k->n > 0 ? k->r[k->n - 1].end : t->snd_una;
    if (SEQ_LT(logged, seq)) /* in flight since before the log, or left out going back N */
        log_new(t, logged, seq, false, now);
    if (SEQ_LE(logged, seq))
        log_new(t, seq, end, again, now);
}

/* --- what was delivered -------------------------------------------------------------- */

/* The highest number of r that the peer has, r->start if none. */
static u32 delivered_to(const struct tcp *t, const struct record *r)
{
    u32 to = SEQ_GT(t->snd_una, r->start) ? t->snd_una : r->start;
    for (u32 i = 0; t->scores != NULL && i < t->scores->n; i++) {
        const struct sack_range *x = &t->scores->r[i];
        if (SEQ_LT(x->start, r->end) && SEQ_GT(x->end, to))
            to = x->end;
    }
    return SEQ_GT(to, r->end) ? r->end : to;
}

/* RFC 8985 6.2, steps 1 to 3, for one record that has news. */
static void delivered(struct tcp *t, struct record *r, u32 to, u64 now)
{
    struct tcp_rack *k = t->rack;
    u32 rtt = (u32)MIN((now - r->ns) / 1000, 60000000ULL);
    r->seen = to;
    if (r->again && rtt < t->min_rtt_us)
        return; /* the original arrived, most likely */
    if (!r->again && SEQ_LT(to, k->fack)) {
        t->reordering = true;
        tcp_count_event(t, TCP_EVENT_REORDERED);
    }
    if (SEQ_GT(to, k->fack))
        k->fack = to;
    if (r->ns > k->xmit_ns || (r->ns == k->xmit_ns && SEQ_GT(to, k->end_seq))) {
        k->xmit_ns = r->ns;
        k->end_seq = to;
        k->rtt_us = rtt;
        if (!r->again)
            t->ack_rtt_us = rtt;
    }
}

static void look(struct tcp *t, u64 now)
{
    struct tcp_rack *k = t->rack;
    u32 gone = 0;
    for (u32 i = 0; i < k->n; i++) {
        struct record *r = &k->r[i];
        u32 to = delivered_to(t, r);
        if (SEQ_GT(to, r->seen))
            delivered(t, r, to, now);
        if (SEQ_LE(r->end, t->snd_una))
            gone = i + 1;
    }
    k->n -= gone;
    memmove(&k->r[0], &k->r[gone], k->n * sizeof k->r[0]);
    if (k->n > 0 && SEQ_LT(k->r[0].start, t->snd_una)) {
        k->r[0].start = t->snd_una;
        if (SEQ_LT(k->r[0].lost_to, t->snd_una))
            k->r[0].lost_to = t->snd_una;
    }
}

/* --- what is lost ----------------------------------------------------------------------- */

static u32 reo_wnd_us(const struct tcp *t)
{
    if (!t->reordering && (t->ca != CA_OPEN || tcp_scores_bytes(t) >= 3u * t->mss))
        return 0;
    return MIN(t->min_rtt_us / 4 * MAX(t->reo_mult, (u8)1), t->srtt_us8 / 8);
}

/* RFC 8985 6.2 step 5. True = something is newly lost; *ret_next = when to look again. */
static bool detect(struct tcp *t, u64 now, u64 *ret_next)
{
    struct tcp_rack *k = t->rack;
    u64 wait = ((u64)k->rtt_us + reo_wnd_us(t)) * 1000;
    bool found = false;
    *ret_next = NEVER_NS;
    for (u32 i = 0; i < k->n; i++) {
        struct record *r = &k->r[i];
        u32 to = r->ns < k->xmit_ns ? r->end : r->ns == k->xmit_ns && SEQ_LT(k->end_seq, r->end) ? k->end_seq : r->end;
        if (r->ns > k->xmit_ns || SEQ_LE(to, r->lost_to) || tcp_scores_skip(t, r->lost_to) - r->lost_to >= to - r->lost_to)
            continue;
        if (r->ns + wait > now) {
            *ret_next = MIN(*ret_next, r->ns + wait);
            continue;
        }
        r->lost_to = to;
        found = true;
    }
    return found;
}

static bool next_lost(const struct tcp *t, u32 *ret_seq, u32 *ret_len)
{
    for (u32 i = 0; i < t->rack->n; i++) {
        const struct record *r = &t->rack->r[i];
        u32 seq = tcp_scores_skip(t, SEQ_LT(r->start, t->snd_una) ? t->snd_una : r->start);
        if (SEQ_GE(seq, r->lost_to))
            continue;
        u32 len = r->lost_to - seq;
        *ret_seq = seq;
        *ret_len = MIN(tcp_scores_next(t, seq) - seq, len);
        return true;
    }
    return false;
}

/* Sequence space in flight: sent, not SACKed, not lost. */
static u32 pipe(const struct tcp *t)
{
    u32 logged = t->snd_una, sum = 0;
    for (u32 i = 0; i < t->rack->n; i++) {
        const struct record *r = &t->rack->r[i];
        logged = r->end;
        u32 from = SEQ_LT(r->lost_to, t->snd_una) ? t->snd_una : r->lost_to;
        while (SEQ_LT(from, r->end)) {
            u32 skip = tcp_scores_skip(t, from), next = tcp_scores_next(t, from);
            if (skip != from) {
                from = skip;
                continue;
            }
            next = SEQ_GT(next, r->end) ? r->end : next;
            sum += next - from;
            from = next;
        }
    }
    return SEQ_GT(t->snd_nxt, logged) ? sum + (t->snd_nxt - logged) : sum;
}

static u32 find_losses(struct tcp *t, u64 now)
{
    u64 next;
    bool found = detect(t, now, &next);
    if (next != NEVER_NS) {
        t->t_rack = next;
        t->rack->probe_due = false;
    }
    if (!found)
        return 0;
    if (t->ca == CA_OPEN) {
        NET_COUNT(tcp_fast_retransmits);
        tcp_cc_enter_recovery(t);
    }
    return ACT_OUTPUT;
}

/* --- tail loss probes (7) --------------------------------------------------------------------- */

static void schedule(struct tcp *t, u64 now)
{
    struct tcp_rack *k = t->rack;
    u64 pto = now + (u64)MAX(t->srtt_us8 / 4, PTO_MIN_US) * 1000;
    /* One segment in flight would wait for the peer's delayed ack as well: no sooner than the timer. */
    if (k->tlp_out || t->ca != CA_OPEN || t->scores != NULL || t->persist || t->srtt_us8 == 0 ||
        t->snd_max - t->snd_una <= t->mss || pto >= t->t_rexmit)
        return;
    k->probe_due = true;
    t->t_rack = pto;
}

static void probe(struct tcp *t, u64 now)
{
    struct tcp_rack *k = t->rack;
    u32 was = t->snd_max, len = MIN(t->write_seq - t->snd_una, (u32)t->mss);
    NET_COUNT(tcp_loss_probes);
    k->tlp_out = true;
    k->tlp_again = !tcp_send_one(t, now);
    if (k->tlp_again) /* nothing new may go: the last segment again */
        tcp_resend(t, was - len, len, now);
    k->tlp_end = t->snd_max;
    t->t_rexmit = now + (u64)t->rto_us * 1000;
}

static void probe_acked(struct tcp *t, const struct tcp_seg *g, bool dsack)
{
    struct tcp_rack *k = t->rack;
    if (SEQ_LT(g->ack, k->tlp_end))
        return;
    if (k->tlp_again && !dsack && SEQ_GT(g->ack, k->tlp_end) && t->ca == CA_OPEN) {
        u32 una = t->snd_una; /* the probe repaired a loss: reduce from what was in flight until now */
        t->snd_una = k->una;
        tcp_cc_reduce(t);
        t->snd_una = una;
        t->cwnd = MIN(t->cwnd, t->ssthresh);
        k->tlp_out = false;
    } else if (!k->tlp_again || dsack || (t->snd_una == k->una && g->o.nsack == 0)) {
        k->tlp_out = false; /* new data, or both the probe and its original arrived */
    }
}

/* --- the way in --------------------------------------------------------------------------------- */

static u32 acked(struct tcp *t, const struct tcp_seg *g, u64 now)
{
    struct tcp_rack *k = t->rack;
    bool dsack = tcp_is_dsack(g);
    if (t->reo_mult == 0 || SEQ_LT(t->reo_round, t->snd_una))
        t->reo_round = t->snd_una;
    if (dsack && t->reo_round == t->snd_una) { /* once a round trip */
        t->reo_mult = (u8)MIN(MAX(t->reo_mult, (u8)1) + 1u, REO_MULT_MAX);
        t->reo_persist = REO_PERSIST;
        t->reo_round = t->snd_max;
    }
    look(t, now);
    if (k->tlp_out)
        probe_acked(t, g, dsack);
    k->una = t->snd_una;
    if (t->snd_una == t->snd_max) {
        drop(t);
        return 0;
    }
    t->t_rack = NEVER_NS;
    u32 acts = find_losses(t, now);
    if (acts == 0 && t->t_rack == NEVER_NS)
        schedule(t, now);
    return acts;
}

static void due(struct tcp *t, u64 now)
{
    t->t_rack = NEVER_NS;
    if (t->rack->probe_due && t->ca == CA_OPEN && t->scores == NULL)
        probe(t, now);
    else if (find_losses(t, now) != 0)
        tcp_output(t, now);
}

static void recovered(struct tcp *t)
{
    if (t->reo_persist > 0 && --t->reo_persist == 0)
        t->reo_mult = 1;
}

const struct tcp_rack_ops tcp_rack = { .sent = sent, .acked = acked, .due = due, .schedule = schedule, .reset = reset, .drop = drop,
                                       .pipe = pipe, .next_lost = next_lost, .recovered = recovered };
