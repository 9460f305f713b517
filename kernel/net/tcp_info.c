/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a connection has done so far, for TCP_INFO behind its first 104 bytes (struct tcp_info of Linux 6.1; RFC 4898's names): counts
 * of segments and bytes, how fast data was delivered, and what the sender waited for. A connection without memory for it has zeros there.
 *
 * Sent data that is not acknowledged makes the sender busy. Of that time belongs to the receiver's window what passed while it held data
 * back, and to the send buffer what passed while the program waited for room and all that was in it had been sent. The rate of delivery is
 * that of the last flight that was acknowledged whole.
 */
#include "tcp_impl.h"

enum wait { WAIT_NOTHING, WAIT_BUSY, WAIT_WINDOW, WAIT_BUFFER, WAITS };

struct tcp_history {
    u64 acked, received, bytes_sent, bytes_again;
    u32 una_seen, rcv_seen; /* acked and received count up to here */
    u32 segs_out, segs_in, data_out, data_in, data_again;
    u32 delivered, delivered_ce, dsacks, reorderings, ooo;
    u64 since_ns, waited_ns[WAITS];
    u64 flight_ns, flight_acked, rate; /* of the flight until flight_end; bytes per second of the last one */
    u32 flight_end;
    u8 waiting;             /* enum wait, since since_ns */
    bool counts_rcv;        /* rcv_seen is known */
    bool app_limited;       /* nothing more was there to be sent in the flight that `rate` is of */
};

static void begin(struct tcp *t, u32 una)
{
    if (t->history == NULL)
        t->history = kmalloc(sizeof *t->history, ALLOC_ATOMIC);
    if (t->history == NULL)
        return;
    *t->history = (struct tcp_history){ .una_seen = una, .segs_in = una != t->iss }; /* the SYN of a passive one */
}

static void drop(struct tcp *t)
{
    kfree(t->history);
    t->history = NULL;
}

static void wait_for(struct tcp_history *h, enum wait what, u64 now)
{
    h->waited_ns[h->waiting] += now - h->since_ns;
    h->waiting = (u8)what;
    h->since_ns = now;
}

static void out(struct tcp *t, u32 seq, u8 flags, u32 len, u64 now)
{
    struct tcp_history *h = t->history;
    if (h == NULL)
        return;
    u32 segs = len > t->mss ? (len + t->mss - 1) / t->mss : 1;
    h->segs_out += segs;
    if (len == 0)
        return;
    h->data_out += segs;
    h->bytes_sent += len;
    if (SEQ_LT(seq + ((flags & TH_SYN) != 0), t->snd_max)) {
        h->bytes_again += len;
        h->data_again += segs;
    }
    if (t->snd_una == t->snd_max) {
        h->flight_ns = now;
        h->flight_acked = h->acked;
        h->flight_end = seq + len;
    }
    if (h->waiting == WAIT_NOTHING)
        wait_for(h, WAIT_BUSY, now);
}

static enum wait waits_for(const struct tcp *t)
{
    u32 flight = t->snd_max - t->snd_una, unsent = t->write_seq - t->snd_nxt;
    if (SEQ_GE(t->snd_una, t->write_seq))
        return WAIT_NOTHING;
    if (SEQ_LT(t->snd_nxt, t->write_seq))
        return flight + MIN(unsent, (u32)t->mss) > t->snd_wnd ? WAIT_WINDOW : WAIT_BUSY;
    return t->s.nospace ? WAIT_BUFFER : WAIT_BUSY;
}

static void delivered(struct tcp *t, struct tcp_history *h, const struct tcp_seg *g, u32 bytes, u64 now)
{
    u32 before = h->delivered;
    h->acked += bytes;
    /* All has arrived: so many as were sent for the first time, and the SYN. Else as many as the bytes make full ones. */
    h->delivered = t->snd_una == t->snd_max ? MAX(h->delivered, 1 + h->data_out - h->data_again) : h->delivered + bytes / t->mss;
    if (tcp_has_ecn(t) && (g->flags & TH_ECE))
        h->delivered_ce += h->delivered - before;
    if (h->flight_ns == 0 || SEQ_LT(t->snd_una, h->flight_end))
        return;
    h->rate = (h->acked - h->flight_acked) * NSEC_PER_SEC / MAX(now - h->flight_ns, 1000ULL);
    h->app_limited = t->snd_nxt == t->write_seq;
    h->flight_ns = t->snd_una == t->snd_max ? 0 : now;
    h->flight_acked = h->acked;
    h->flight_end = t->snd_max;
}

static void in(struct tcp *t, const struct tcp_seg *g, u64 now)
{
    struct tcp_history *h = t->history;
    if (h == NULL || IN_STATES(t, ST(CLOSED) | ST(SYN_SENT)))
        return;
    h->segs_in += g->segs;
    if (g->len > 0)
        h->data_in += g->segs;
    if (!h->counts_rcv) {
        h->rcv_seen = t->irs + 1;
        h->counts_rcv = true;
    }
    h->received += t->rcv_nxt - h->rcv_seen;
    h->rcv_seen = t->rcv_nxt;
    if (t->snd_una != h->una_seen)
        delivered(t, h, g, t->snd_una - h->una_seen, now);
    h->una_seen = t->snd_una;
    enum wait what = waits_for(t);
    if (what != h->waiting)
        wait_for(h, what, now);
}

static void event(struct tcp *t, enum tcp_event e)
{
    struct tcp_history *h = t->history;
    if (h == NULL)
        return;
    h->dsacks += e == TCP_EVENT_DSACK;
    h->reorderings += e == TCP_EVENT_REORDERED;
    h->ooo += e == TCP_EVENT_OOO;
}

static bool fill(const struct tcp *t, struct tcp_info_more *i)
{
    static const struct tcp_history none;
    const struct tcp_history *h = t->history != NULL ? t->history : &none;
    u64 us[WAITS], now = now_ns();
    for (unsigned w = 0; w < WAITS; w++)
        us[w] = (h->waited_ns[w] + (w != WAIT_NOTHING && w == h->waiting ? now - h->since_ns : 0)) / 1000;
    *i = (struct tcp_info_more){
        .pacing_rate = UINT64_MAX, .max_pacing_rate = UINT64_MAX, /* not paced */
        .bytes_acked = h->acked, .bytes_received = h->received, .segs_out = h->segs_out, .segs_in = h->segs_in,
        .notsent_bytes = SEQ_LT(t->snd_nxt, t->write_seq) ? t->write_seq - t->snd_nxt : 0,
        .min_rtt = t->min_rtt_us != 0 ? t->min_rtt_us : UINT32_MAX,
        .data_segs_in = h->data_in, .data_segs_out = h->data_out, .delivery_rate = h->rate,
        .busy_time = us[WAIT_BUSY] + us[WAIT_WINDOW] + us[WAIT_BUFFER], .rwnd_limited = us[WAIT_WINDOW], .sndbuf_limited = us[WAIT_BUFFER],
        .delivered = h->delivered, .delivered_ce = h->delivered_ce, .bytes_sent = h->bytes_sent, .bytes_retrans = h->bytes_again,
        .dsack_dups = h->dsacks, .reord_seen = h->reorderings, .rcv_ooopack = h->ooo, .snd_wnd = t->snd_wnd,
    };
    return h->app_limited;
}

const struct tcp_info_ops tcp_info = { .begin = begin, .drop = drop, .out = out, .in = in, .event = event, .fill = fill };
