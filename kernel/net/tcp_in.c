/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segment arrives (RFC 9293 3.10.7), as a function: it changes the connection and its
 * queues and returns what is to be done (ACT_*); tcp_apply() at the end does it.
 *
 *   state         RST in place    SYN            bad ACK     data          FIN
 *   SYN_SENT      refused if ACKed open/simult.  RST         ignored       ignored
 *   SYN_RCVD      closed          challenge      RST         after ACK     CLOSE_WAIT
 *   ESTABLISHED   ECONNRESET      challenge      challenge   queued        CLOSE_WAIT
 *   FIN_WAIT1/2   ECONNRESET      challenge      challenge   queued (1)    CLOSING / TIME_WAIT
 *   CLOSE_WAIT    EPIPE           challenge      challenge   ignored       ack again
 *   CLOSING       ECONNRESET      challenge      challenge   ignored       ack again
 *   LAST_ACK      ECONNRESET      challenge      challenge   ignored       ack again
 *   (1) after the program closed, or shut down both directions, new data is answered with a reset.
 *
 * "In place" is exactly rcv_nxt; elsewhere in the window a RST gets a challenge ACK
 * (RFC 5961). PAWS and timestamps: RFC 7323. RTT and RTO: RFC 6298.
 */
#include "tcp_impl.h"

#define PAWS_IDLE_NS (24ULL * 86400 * NSEC_PER_SEC)
#define OOW_ACK_NS (500 * NSEC_PER_MSEC)
#define DUP_THRESHOLD 3

u32 tcp_now_ts(const struct tcp *t, u64 now) { return (u32)(now / NSEC_PER_MSEC) + t->ts_offset; }

/* --- round trips ------------------------------------------------------------------ */

static void tcp_rtt_sample(struct tcp *t, u32 rtt_us)
{
    rtt_us = MAX(rtt_us, 1u);
    if (t->min_rtt_us == 0 || rtt_us < t->min_rtt_us)
        t->min_rtt_us = rtt_us;
    if (t->srtt_us8 == 0) {
        t->srtt_us8 = rtt_us * 8;
        t->rttvar_us4 = rtt_us * 2;
    } else {
        s32 err = (s32)(rtt_us - t->srtt_us8 / 8);
        t->srtt_us8 = (u32)((s32)t->srtt_us8 + err);
        t->rttvar_us4 = (u32)((s32)t->rttvar_us4 + ((err < 0 ? -err : err) - (s32)(t->rttvar_us4 / 4)));
    }
    u32 rto = t->srtt_us8 / 8 + MAX(t->rttvar_us4, TCP_RTO_MIN_US);
    t->rto_us = MIN(rto, TCP_RTO_MAX_US);
}

static void measure(struct tcp *t, const struct tcp_seg *g, u64 now)
{
    if (t->timing) {
        if (SEQ_GE(g->ack, t->rtt_seq)) {
            t->timing = false;
            tcp_rtt_sample(t, (u32)MIN((now - t->rtt_start_ns) / 1000, 60000000ULL));
        }
    } else if (t->ts_ok && g->o.has_ts && g->o.ts_ecr != 0 && (t->backoff != 0 || t->ca != CA_OPEN || t->srtt_us8 == 0)) {
        u32 ms = tcp_now_ts(t, now) - g->o.ts_ecr; /* Karn's ambiguity does not exist with timestamps */
        if (ms < 60000)
            tcp_rtt_sample(t, MAX(ms, 1u) * 1000);
    }
}

/* The handshake is done. When its SYN was repeated: RFC 6298 5.7, RFC 5681 3.1. */
static void handshake_done(struct tcp *t, const struct tcp_seg *g, bool repeated, u64 now)
{
    measure(t, g, now);
    t->backoff = 0;
    t->retransmits = 0;
    t->t_rexmit = NEVER_NS;
    tcp_cc_init(t);
    if (unlikely(repeated)) {
        t->cwnd = t->mss;
        if (t->srtt_us8 == 0)
            t->rto_us = TCP_RTO_SYN_LOST_US;
    }
}

/* Answer something suspicious with an ack, not too often (RFC 5961 7). */
static u32 challenge(struct tcp *t, u64 now) { return tcp_may_challenge(t, now) ? ACT_ACK : 0; }

/* --- the sender's side: acknowledgements ---------------------------------------------- */

static void free_acked(struct tcp *t)
{
    while (!list_empty(&t->sendq)) {
        struct pkt *p = list_first(&t->sendq, struct pkt, node);
        u32 seq = (u32)p->cb[0];
        if (SEQ_GT(seq + p->len, t->snd_una)) {
            if (SEQ_LT(seq, t->snd_una)) {
                pkt_pull(p, t->snd_una - seq);
                p->cb[0] = t->snd_una;
            }
            break;
        }
        if (p == t->append) { /* a writer is filling it: it stays, empty */
            pkt_pull(p, p->len);
            p->cb[0] = t->snd_una;
            break;
        }
        if (p == t->send_hint)
            t->send_hint = NULL;
        list_remove(&p->node);
        t->s.snd_mem -= (u32)p->cb[2];
        net_mem_uncharge((u32)p->cb[2]);
        pkt_free(p);
    }
}

static void grow_sndbuf(struct tcp *t)
{
    u32 want = 4 * MIN(t->cwnd, TCP_SNDBUF_MAX / 4);
    if (t->s.sndbuf_locked || want <= t->s.sndbuf || net_mem_tight())
        return;
    t->s.sndbuf = (u32)MIN((u64)want, MAX(net_mem_limit / 8, (u64)TCP_SNDBUF_DEFAULT));
}

/* Our FIN has been acknowledged. */
static u32 fin_acked(struct tcp *t, u64 now)
{
    switch (t->state) {
    case TCP_FIN_WAIT1:
        tcp_set_state(t, TCP_FIN_WAIT2);
        t->t_keep = t->s.closed ? now + tcp_fin_timeout_ns(t) : t->t_keep;
        return ACT_WRITE;
    case TCP_CLOSING:
        return ACT_TIMEWAIT;
    case TCP_LAST_ACK:
        return ACT_CLOSED;
    default:
        return 0;
    }
}

/* In recovery: what an ack says about the holes. */
static u32 repair(struct tcp *t, u32 acked)
{
    if (SEQ_GE(t->snd_una, t->recover)) {
        tcp_cc_exit_recovery(t);
        if (tcp_has_rack(t))
            tcp_parts.rack->recovered(t);
        return 0;
    }
    if (tcp_has_rack(t))
        return 0;
    if (!t->sack_ok) { /* RFC 6582: a partial ack tells the next hole */
        t->cwnd = MAX(t->cwnd > acked ? t->cwnd - acked : 0, t->mss) + (acked >= t->mss ? t->mss : 0);
        return ACT_REXMIT;
    }
    if (SEQ_LT(t->rexmit_high, t->snd_una))
        t->rexmit_high = t->snd_una;
    return t->scores == NULL ? ACT_REXMIT : 0; /* everything SACKed was acked, the rest of recovery is one hole */
}

static u32 new_ack(struct tcp *t, struct tcp_seg *g, u64 now)
{
    u32 acts = ACT_OUTPUT, acked = g->ack - t->snd_una;
    measure(t, g, now);
    t->snd_una = g->ack;
    if (SEQ_LT(t->snd_nxt, t->snd_una)) {
        t->snd_nxt = t->snd_una;
        t->send_hint = NULL;
    }
    if (tcp_parts.urg != NULL && SEQ_LT(t->snd_up, t->snd_una))
        t->snd_up = t->snd_una;
    free_acked(t);
    tcp_scores_acked(t);
    t->backoff = 0;
    t->probes = 0;
    t->retransmits = 0;
    t->first_unacked_ns = now;
    t->s.soft_err = 0;
    t->persist = false;
    t->t_rexmit = t->snd_una == t->snd_max ? NEVER_NS : now + (u64)t->rto_us * 1000;
    if (tcp_parts.mtu != NULL && unlikely(t->mss_before != 0 || t->mtup != NULL))
        tcp_parts.mtu->acked(t);
    if (tcp_has_rack(t))
        acts |= tcp_parts.rack->acked(t, g, now);
    if (unlikely(t->ca == CA_RECOVERY)) {
        acts |= repair(t, acked);
    } else {
        if (tcp_in_frto(t))
            tcp_parts.frto->advanced(t);
        if (t->ca == CA_LOSS && SEQ_GE(t->snd_una, t->recover))
            t->ca = CA_OPEN;
        t->dupacks = 0;
        if (!tcp_in_frto(t))
            tcp_cc_acked(t, acked, now);
        grow_sndbuf(t);
    }
    t->ack_rtt_us = 0;
    if (t->s.nospace && tcp_writable(t))
        acts |= ACT_WRITE;
    if (t->fin_queued && t->snd_una == t->write_seq + 1)
        acts |= fin_acked(t, now);
    else if (t->snd_una == t->write_seq && t->s.closed)
        acts |= ACT_WRITE; /* a lingering close may be waiting */
    return acts;
}

static u32 duplicate_ack(struct tcp *t, const struct tcp_seg *g, bool news, u64 now)
{
    if (t->dupacks < 255)
        t->dupacks++;
    if (tcp_in_frto(t))
        tcp_parts.frto->duplicate(t);
    if (t->ca == CA_RECOVERY && !tcp_has_rack(t)) {
        if (!t->sack_ok)
            t->cwnd = MIN(t->cwnd + t->mss, 1u << 30);
        return ACT_OUTPUT;
    }
    if (tcp_has_rack(t))
        return tcp_parts.rack->acked(t, g, now) | ACT_OUTPUT;
    bool lost = t->dupacks >= DUP_THRESHOLD || (news && tcp_scores_lost(t, t->snd_una));
    /* RFC 6582: not again for losses before the last timeout */
    if (lost && (t->ca == CA_OPEN || SEQ_GT(t->snd_una, t->recover))) {
        NET_COUNT(tcp_fast_retransmits);
        tcp_cc_enter_recovery(t);
        return ACT_REXMIT | ACT_OUTPUT;
    }
    return ACT_OUTPUT; /* limited transmit (RFC 3042) */
}

/* The ACK field. False = drop the segment. */
static bool process_ack(struct tcp *t, struct tcp_seg *g, u64 now, u32 *acts)
{
    if (unlikely(SEQ_GT(g->ack, t->snd_max))) {
        NET_COUNT(tcp_bad_ack);
        *acts |= challenge(t, now);
        return false;
    }
    if (unlikely(SEQ_LT(g->ack, t->snd_una))) {
        if (t->snd_una - g->ack > t->max_wnd) { /* RFC 5961 5: too old to be the peer's */
            NET_COUNT(tcp_bad_ack);
            *acts |= challenge(t, now);
            return false;
        }
        return true;
    }
    /* What those before it have set free must be in flight when losses are found: the new window is a part of that. */
    if (unlikely(g->o.nsack != 0) && t->output_later)
        tcp_output(t, now);
    u32 wnd = (u32)g->wnd << t->snd_wscale, before = tcp_parts.prr != NULL ? t->snd_una + tcp_scores_bytes(t) : 0;
    bool news = unlikely(g->o.nsack != 0) && t->sack_ok && tcp_scores_add(t, &g->o);
    if (unlikely(g->o.nsack != 0) && tcp_parts.info != NULL && tcp_is_dsack(g))
        tcp_count_event(t, TCP_EVENT_DSACK);
    bool same_wnd = wnd == t->snd_wnd;
    if (SEQ_LT(t->snd_wl1, g->seq) || (t->snd_wl1 == g->seq && SEQ_LE(t->snd_wl2, g->ack))) {
        bool opened = wnd > t->snd_wnd;
        t->snd_wnd = wnd;
        t->max_wnd = MAX(t->max_wnd, wnd);
        t->snd_wl1 = g->seq;
        t->snd_wl2 = g->ack;
        if (opened) {
            *acts |= ACT_OUTPUT;
            if (t->persist) {
                t->persist = false;
                t->backoff = 0;
                t->probes = 0;
                tcp_go_back(t); /* the probe's byte was not taken */
                t->t_rexmit = t->snd_una == t->snd_max ? NEVER_NS : now + (u64)t->rto_us * 1000;
            }
        }
        if (t->persist)
            t->probes = 0; /* it is alive */
    }
    t->keep_probes = 0;
    t->probing = false;
    if (SEQ_GT(g->ack, t->snd_una))
        *acts |= new_ack(t, g, now);
    else if (t->snd_una != t->snd_max && g->len == 0 && !(g->flags & TH_FIN) && (t->sack_ok ? news : same_wnd && !t->persist))
        *acts |= duplicate_ack(t, g, news, now);
    else if (tcp_has_rack(t))
        *acts |= tcp_parts.rack->acked(t, g, now);
    if (unlikely(t->ca == CA_RECOVERY && t->sack_ok)) {
        if (tcp_parts.prr != NULL)
            tcp_parts.prr->acked(t, t->snd_una + tcp_scores_bytes(t) - before);
        *acts |= ACT_OUTPUT;
    }
    if (tcp_has_ecn(t))
        *acts |= tcp_parts.ecn->input(t, g);
    return true;
}

/* --- the receiver's side: data --------------------------------------------------------- */

static void charge_rx(struct tcp *t, struct pkt *p, u32 *where)
{
    u32 mem = pkt_truesize(p);
    p->cb[2] = mem;
    *where += mem;
    net_mem_charge(mem);
}

/* A small piece of a large buffer is copied out of it, so that memory held stays near the bytes held. */
static struct pkt *compact(struct pkt *p)
{
    u32 len = p->total_len;
    if (likely(pkt_truesize(p) <= 2 * len + 2560))
        return p;
    struct pkt *q = pkt_alloc(0, len);
    if (q == NULL)
        return p;
    if (pkt_truesize(q) >= pkt_truesize(p)) {
        pkt_free(q);
        return p;
    }
    pkt_copy_out(p, 0, pkt_put(q, len), len);
    memcpy(q->cb, p->cb, sizeof q->cb);
    pkt_free(p);
    return q;
}

/* In-order payload joins the receive queue (T2). Takes p. */
static void append_rx(struct tcp *t, struct pkt *p, u32 len)
{
    struct sock *s = &t->s;
    t->rcv_nxt += len;
    if (!list_empty(&s->rcvq) && len <= 1024) {
        struct pkt *last = list_last(&s->rcvq, struct pkt, node);
        if (last->more == NULL && pkt_is_exclusive(last) && pkt_tailroom(last) >= len) {
            /* A reader looks at no more than rcvq_bytes said when it began. */
            pkt_copy_out(p, 0, pkt_put(last, len), len);
            pkt_free(p);
            atomic_store(&s->rcvq_bytes, s->rcvq_bytes + len);
            return;
        }
    }
    p = compact(p);
    charge_rx(t, p, &s->rcv_mem);
    list_push_back(&s->rcvq, &p->node);
    atomic_store(&s->rcvq_bytes, s->rcvq_bytes + len);
}

static void ooo_remove(struct tcp *t, struct pkt *p)
{
    list_remove(&p->node);
    t->ooo_mem -= (u32)p->cb[2];
    net_mem_uncharge((u32)p->cb[2]);
}

/* Keep [seq, seq+len) for later (T3). Takes p. */
static void queue_ooo(struct tcp *t, struct pkt *p, u32 seq, u32 len, bool fin)
{
    NET_COUNT(tcp_ooo);
    tcp_count_event(t, TCP_EVENT_OOO);
    if (t->ooo_mem + pkt_truesize(p) > MAX(t->s.rcvbuf, 16384u) || net_mem_full()) {
        NET_COUNT(tcp_ooo_limit);
        pkt_free(p);
        return;
    }
    u32 end = seq + len;
    struct list *at = &t->oooq; /* insert behind this one */
    for (struct list *n = t->oooq.prev; n != &t->oooq; n = n->prev) {
        struct pkt *x = list_entry(n, struct pkt, node);
        if (SEQ_LE((u32)x->cb[0], seq)) {
            at = n;
            break;
        }
    }
    if (at != &t->oooq) { /* the one in front may cover our beginning */
        struct pkt *x = list_entry(at, struct pkt, node);
        u32 xe = (u32)x->cb[0] + x->total_len;
        if (SEQ_GE(xe, end)) {
            x->cb[1] |= fin && xe == end;
            pkt_free(p);
            t->dsack = (struct sack_range){ seq, end };
            return;
        }
        if (SEQ_GT(xe, seq)) {
            t->dsack = (struct sack_range){ seq, xe };
            pkt_pull(p, xe - seq);
            seq = xe;
        }
    }
    /* Those behind may be covered wholly or in part. */
    while (at->next != &t->oooq) {
        struct pkt *x = list_entry(at->next, struct pkt, node);
        u32 xs = (u32)x->cb[0], xe = xs + x->total_len;
        if (SEQ_LE(end, xs))
            break;
        if (SEQ_LE(xe, end)) {
            fin |= x->cb[1] != 0 && xe == end;
            ooo_remove(t, x);
            pkt_free(x);
            continue;
        }
        pkt_trim(p, xs - seq);
        end = xs;
        fin = false;
        break;
    }
    if (end == seq && !fin) {
        pkt_free(p);
        return;
    }
    p = compact(p);
    p->cb[0] = seq;
    p->cb[1] = fin;
    charge_rx(t, p, &t->ooo_mem);
    list_insert_after(at, &p->node);
    if (t->sack_ok && end != seq)
        tcp_sack_received(t, seq, end);
}

static u32 receive_fin(struct tcp *t)
{
    t->rcv_nxt++;
    while (!list_empty(&t->oooq)) { /* nothing can lie behind the end */
        struct pkt *p = list_first(&t->oooq, struct pkt, node);
        ooo_remove(t, p);
        pkt_free(p);
    }
    t->nsack_out = 0;
    t->fin_rcvd = true;
    atomic_store(&t->s.shut, (u8)(t->s.shut | SHUT_RD_BIT)); /* behind rcvq_bytes */
    u32 acts = ACT_ACK | ACT_READ | ACT_HANGUP;
    switch (t->state) {
    case TCP_SYN_RCVD:
    case TCP_ESTABLISHED:
        tcp_set_state(t, TCP_CLOSE_WAIT);
        break;
    case TCP_FIN_WAIT1:
        tcp_set_state(t, TCP_CLOSING);
        break;
    case TCP_FIN_WAIT2:
        acts |= ACT_TIMEWAIT;
        break;
    default:
        break;
    }
    return acts;
}

/* Move what has become contiguous from the out-of-order queue. True when a FIN was reached. */
static bool drain_ooo(struct tcp *t)
{
    bool fin = false;
    while (!list_empty(&t->oooq) && !fin) {
        struct pkt *p = list_first(&t->oooq, struct pkt, node);
        u32 seq = (u32)p->cb[0], end = seq + p->total_len;
        if (SEQ_GT(seq, t->rcv_nxt))
            break;
        ooo_remove(t, p);
        fin = p->cb[1] != 0 && SEQ_GE(end, t->rcv_nxt);
        if (SEQ_LE(end, t->rcv_nxt)) {
            pkt_free(p);
            continue;
        }
        pkt_pull(p, t->rcv_nxt - seq);
        append_rx(t, p, end - t->rcv_nxt);
    }
    tcp_sack_trim(t);
    return fin;
}

/* When is the next ack due, after in-order data. */
static u32 ack_policy(struct tcp *t, const struct tcp_seg *g, u64 now)
{
    if (t->quickacks > 0 && !t->pingpong) {
        t->quickacks--;
        t->ack_now = true;
    } else if (t->rcv_nxt - t->last_ack_sent >= 2u * t->rcv_mss) {
        t->ack_now = true;
    } else if (t->t_delack == NEVER_NS) {
        t->t_delack = now + TCP_DELACK_NS;
    }
    return 0;
}

static u32 receive_data(struct tcp *t, struct tcp_seg *g, u64 now)
{
    u32 seq = g->seq, len = g->len, acts = 0;
    bool fin = (g->flags & TH_FIN) != 0;
    struct pkt *p = g->p;
    bool unwanted = t->s.closed || ((t->s.shut & SHUT_RD_BIT) && IN_STATES(t, ST(FIN_WAIT1) | ST(FIN_WAIT2)));
    if (len > 0 && unwanted && SEQ_GT(seq + len, t->rcv_nxt)) {
        /* nobody will ever read it (RFC 9293 3.6.1) */
        t->s.err = t->s.closed ? 0 : ECONNRESET;
        return ACT_RST | ACT_CLOSED;
    }
    if (SEQ_LT(seq, t->rcv_nxt)) {
        u32 dup = t->rcv_nxt - seq;
        t->dsack = (struct sack_range){ seq, seq + MIN(dup, len) };
        if (dup > len || (dup == len && !fin))
            return ACT_ACK;
        pkt_pull(p, dup);
        seq += dup;
        len -= dup;
        acts |= ACT_ACK;
    }
    u32 room = t->rcv_adv - seq;
    if (len > room) {
        NET_COUNT(tcp_out_of_window);
        if (room == 0 && len > 0)
            return acts | ACT_ACK;
        pkt_trim(p, room);
        len = room;
        fin = false;
        acts |= ACT_ACK;
    }
    u32 one = p != NULL && p->gso_size != 0 ? p->gso_size : len;
    if (one > t->rcv_mss)
        t->rcv_mss = (u16)MIN(one, 65535u);
    if (len > 0 && unlikely(net_mem_full()) && t->s.rcvq_bytes > 0) {
        NET_COUNT(tcp_memory_limit);
        return acts | ACT_ACK;
    }
    if (seq != t->rcv_nxt) {
        g->p = NULL;
        queue_ooo(t, p, seq, len, fin);
        t->quickacks = TCP_QUICKACKS;
        return acts | ACT_ACK;
    }
    if (len > 0) {
        g->p = NULL;
        append_rx(t, p, len);
        acts |= ACT_READ;
        if (unlikely(!list_empty(&t->oooq))) {
            fin |= drain_ooo(t);
            acts |= ACT_ACK;
        }
        acts |= ack_policy(t, g, now);
    }
    if (unlikely(fin))
        acts |= receive_fin(t);
    return acts;
}

/* --- the beginning of a segment's way ------------------------------------------------------ */

static void negotiate(struct tcp *t, const struct tcp_options *o)
{
    t->peer_mss = o->mss == 0 ? TCP_MSS_DEFAULT : (u16)MAX(o->mss, TCP_MSS_MIN);
    t->sack_ok = o->sack_perm;
    t->ts_ok = o->has_ts;
    t->wscale_ok = o->wscale >= 0;
    t->snd_wscale = t->wscale_ok ? (u8)o->wscale : 0;
    if (!t->wscale_ok)
        t->rcv_wscale = 0;
    if (t->ts_ok)
        t->ts_recent = o->ts_val;
}

static u32 syn_sent(struct tcp *t, struct tcp_seg *g, u64 now)
{
    bool acked = (g->flags & TH_ACK) != 0;
    if (acked && (SEQ_LE(g->ack, t->iss) || SEQ_GT(g->ack, t->snd_max))) {
        NET_COUNT(tcp_bad_ack);
        return g->flags & TH_RST ? 0 : ACT_RST;
    }
    if (g->flags & TH_RST) {
        if (!acked)
            return 0;
        t->s.err = ECONNREFUSED;
        return ACT_CLOSED;
    }
    if (!(g->flags & TH_SYN))
        return 0;
    negotiate(t, &g->o);
    t->ts_recent_ns = now;
    t->irs = g->seq;
    u32 wnd = t->rcv_adv; /* until now: the window of our SYN */
    t->rcv_nxt = t->last_ack_sent = g->seq + 1;
    t->rcv_adv = t->rcv_nxt + wnd;
    t->snd_wnd = t->max_wnd = g->wnd;
    t->snd_wl1 = g->seq;
    tcp_set_mss(t);
    if (!acked) { /* both sides opened at once */
        tcp_set_state(t, TCP_SYN_RCVD);
        t->snd_nxt = t->iss;
        t->syn_tries = 0;
        return ACT_REXMIT;
    }
    t->snd_wl2 = g->ack;
    t->snd_una = t->snd_nxt = t->snd_up = g->ack; /* what of the SYN's data it left goes again */
    if (tcp_parts.tfo != NULL && t->tfo != NULL) {
        free_acked(t);
        tcp_parts.tfo->answered(t, g);
    }
    handshake_done(t, g, t->syn_tries > 1, now);
    tcp_set_state(t, TCP_ESTABLISHED);
    return ACT_ACK | ACT_ESTABLISHED | ACT_WRITE | ACT_OUTPUT;
}

static bool tcp_fits_window(const struct tcp *t, const struct tcp_seg *g)
{
    u32 end = g->seq + g->len + ((g->flags & TH_FIN) != 0);
    if (SEQ_GT(g->seq, t->rcv_adv))
        return false;
    return end == g->seq ? SEQ_GE(g->seq, t->rcv_nxt) : SEQ_GT(end, t->rcv_nxt);
}

bool tcp_may_challenge(struct tcp *t, u64 now)
{
    if (now - t->oow_ack_ns < OOW_ACK_NS && t->oow_ack_ns != 0)
        return false;
    t->oow_ack_ns = now;
    NET_COUNT(tcp_challenge_acks);
    return true;
}

/* A timestamp that is not from before, or none where none was agreed on (RFC 7323 3.2, 5.2). */
static bool timestamp_fits(const struct tcp *t, const struct tcp_seg *g, u64 now)
{
    return !t->ts_ok ||
           (g->o.has_ts && ((s32)(g->o.ts_val - t->ts_recent) >= 0 || now - t->ts_recent_ns >= PAWS_IDLE_NS));
}

static u32 reset_received(struct tcp *t)
{
    NET_COUNT(tcp_rst_in);
    t->s.err = t->state == TCP_CLOSE_WAIT ? EPIPE : t->state == TCP_SYN_RCVD && tcp_opening(t) ? ECONNREFUSED : ECONNRESET;
    return ACT_CLOSED;
}

/* The checks in the order of RFC 9293; true = go on with the ACK field. */
static bool check_segment(struct tcp *t, struct tcp_seg *g, u64 now, u32 *acts)
{
    if (unlikely(!timestamp_fits(t, g, now)) && !(g->flags & TH_RST)) {
        NET_COUNT(tcp_paws);
        if (!g->o.has_ts)
            return false;
        *acts = g->len > 0 && !(g->flags & TH_SYN) ? ACT_ACK : challenge(t, now);
        return false;
    }
    if (t->state == TCP_SYN_RCVD && (g->flags & (TH_SYN | TH_ACK)) == TH_SYN && g->seq == t->irs) { /* our SYN-ACK got lost */
        *acts = tcp_may_challenge(t, now) ? ACT_REXMIT : 0;
        return false;
    }
    /* A crossing SYN|ACK of a simultaneous open carries the SYN's number. */
    if (t->state == TCP_SYN_RCVD && (g->flags & (TH_SYN | TH_ACK)) == (TH_SYN | TH_ACK) && g->seq == t->irs) {
        g->flags &= (u8)~TH_SYN;
        g->seq++;
        g->len = 0;
    }
    if (!tcp_fits_window(t, g)) {
        NET_COUNT(tcp_out_of_window);
        if (g->len > 0 && SEQ_LE(g->seq + g->len, t->rcv_nxt))
            t->dsack = (struct sack_range){ g->seq, g->seq + g->len };
        if (!(g->flags & TH_RST))
            *acts = (g->len > 0 || (g->flags & TH_FIN)) && !(g->flags & TH_SYN) ? ACT_ACK : challenge(t, now);
        return false;
    }
    if (g->flags & TH_RST) {
        *acts = g->seq == t->rcv_nxt ? reset_received(t) : challenge(t, now);
        return false;
    }
    if (g->flags & TH_SYN) {
        *acts = challenge(t, now);
        return false;
    }
    return (g->flags & TH_ACK) != 0;
}

void tcp_receive_syn(struct tcp *t, struct tcp_seg *g)
{
    u32 len = MIN(g->len, t->rcv_adv - t->rcv_nxt);
    t->snd_wnd = t->max_wnd = g->wnd;
    if (len == 0)
        return;
    pkt_trim(g->p, len);
    append_rx(t, g->p, len);
    g->p = NULL;
}

u32 tcp_segment(struct tcp *t, struct tcp_seg *g, u64 now)
{
    u32 acts = 0;
    t->last_rx_ns = now;
    if (t->state == TCP_SYN_SENT)
        return syn_sent(t, g, now);
    if (t->state == TCP_CLOSED)
        return g->flags & TH_RST ? 0 : ACT_RST;
    /* Header prediction: what an open connection gets nearly always passes all checks. */
    bool plain = t->state == TCP_ESTABLISHED && (g->flags & (TH_SYN | TH_FIN | TH_RST | TH_ACK)) == TH_ACK &&
                 g->seq == t->rcv_nxt && timestamp_fits(t, g, now);
    if (unlikely(!plain) && !check_segment(t, g, now, &acts))
        return acts;
    if (t->ts_ok && g->o.has_ts && SEQ_LE(g->seq, t->last_ack_sent)) {
        t->ts_recent = g->o.ts_val;
        t->ts_recent_ns = now;
    }
    if (unlikely(t->state == TCP_SYN_RCVD)) {
        if (SEQ_LE(g->ack, t->snd_una) || SEQ_GT(g->ack, t->snd_max)) {
            NET_COUNT(tcp_bad_ack);
            return ACT_RST;
        }
        tcp_set_state(t, t->fin_queued ? TCP_FIN_WAIT1 : TCP_ESTABLISHED);
        t->snd_wnd = t->max_wnd = (u32)g->wnd << t->snd_wscale;
        t->snd_wl1 = g->seq;
        t->snd_wl2 = g->ack;
        t->snd_una = t->iss + 1;
        if (SEQ_LT(t->snd_up, t->snd_una))
            t->snd_up = t->snd_una;
        handshake_done(t, g, t->syn_tries > 1, now);
        if (t->snd_una != t->snd_max)
            t->t_rexmit = now + (u64)t->rto_us * 1000;
        acts |= ACT_ESTABLISHED | ACT_WRITE | ACT_OUTPUT;
    }
    if (!process_ack(t, g, now, &acts))
        return acts;
    if (acts & (ACT_CLOSED | ACT_TIMEWAIT))
        return acts | (g->len > 0 || (g->flags & TH_FIN) ? ACT_ACK : 0);
    if (tcp_parts.urg != NULL && unlikely((g->flags & TH_URG) != 0 || (t->s.urg & URG_KNOWN) != 0) &&
        IN_STATES(t, ST(ESTABLISHED) | ST(FIN_WAIT1) | ST(FIN_WAIT2)))
        acts |= tcp_parts.urg->received(t, g);
    if (g->len > 0 || (g->flags & TH_FIN)) {
        if (IN_STATES(t, ST(ESTABLISHED) | ST(FIN_WAIT1) | ST(FIN_WAIT2)))
            acts |= receive_data(t, g, now);
        else
            acts |= ACT_ACK;
    }
    return acts;
}

/* --- actions ------------------------------------------------------------------------------------ */

u32 tcp_apply(struct tcp *t, const struct tcp_seg *g, u32 acts, u64 now)
{
    u32 events = 0;
    if (tcp_parts.info != NULL)
        tcp_parts.info->in(t, g, now);
    if (unlikely(acts & ACT_RST))
        tcp_reply_rst(&(struct ip_rx){ .src = t->node.faddr, .dst = t->node.laddr }, t->node.lport, t->node.fport, g);
    if (unlikely(acts & ACT_CLOSED)) {
        if (t->s.err != 0)
            NET_COUNT(tcp_resets);
        if (acts & ACT_ACK)
            tcp_send_ack(t, now);
        tcp_done(t);
        return WAKE_IN | WAKE_OUT | POLLHUP | POLLRDHUP | (t->s.err != 0 ? POLLERR : 0);
    }
    if (unlikely(acts & ACT_TIMEWAIT)) {
        tcp_send_ack(t, now);
        tcp_enter_timewait(t, now);
        return WAKE_IN | WAKE_OUT | POLLHUP | POLLRDHUP;
    }
    if (acts & ACT_ESTABLISHED) {
        tcp_tfo_end(t);
        tcp_keepalive_start(t, now);
    }
    if (unlikely(acts & ACT_REXMIT)) {
        if (t->state == TCP_SYN_RCVD)
            tcp_send_syn(t, now);
        else
            tcp_rexmit_first(t, now);
    }
    bool must_ack = (acts & ACT_ACK) != 0;
    if (must_ack && t->sack_ok && (t->nsack_out > 0 || t->dsack.start != t->dsack.end)) { /* only a pure ack carries SACK blocks */
        tcp_send_ack(t, now);
        must_ack = false;
    }
    if (must_ack)
        t->ack_now = true;
    /* What a batch of acknowledgements sets free goes out in as few super-segments as it can. */
    if ((acts & (ACT_OUTPUT | ACT_ESTABLISHED)) == ACT_OUTPUT && t->ca == CA_OPEN && SEQ_LT(t->snd_nxt, t->write_seq))
        t->output_later = true;
    else if ((acts & ACT_OUTPUT) && (!tcp_all_sent(t) || t->push_partial))
        tcp_output(t, now);
    if (must_ack && t->ack_now)
        tcp_send_ack(t, now);
    if (t->ack_now || t->output_later)
        tcp_batch_add(t);
    tcp_timer_set(t);
    if (acts & ACT_READ)
        events |= WAKE_IN;
    if (acts & (ACT_WRITE | ACT_ESTABLISHED))
        events |= WAKE_OUT;
    if (acts & ACT_HANGUP)
        events |= POLLIN | POLLRDNORM | POLLRDHUP;
    if (unlikely(acts & (ACT_URGENT | ACT_PRIORITY)))
        events |= (acts & ACT_URGENT ? POLLMSG : 0) | (acts & ACT_PRIORITY ? POLLPRI : 0);
    return events;
}
