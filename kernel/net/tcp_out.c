/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What may be sent now, and how a segment is put together.
 *
 * A segment that begins where a packet of the send queue begins, and fits in it, is one
 * view with the headers in the packet's own headroom, provided nobody else still reads
 * that storage (an earlier transmission in the card's ring). Any other segment is a
 * header packet in front of views. Nothing is copied either way.
 */
#include "limit.h"
#include "tcp_impl.h"

int tcp_find_route(struct tcp *t)
{
    u32 old = t->rt.mtu;
    int err = ip_route_find(t->s.faddr, t->s.laddr, t->s.bound_if, &t->rt);
    if (err != 0) {
        t->rt.nif = NULL;
        return err;
    }
    if (t->rt.mtu != old && t->peer_mss != 0)
        tcp_set_mss(t);
    return 0;
}

u16 tcp_adv_mss(const struct tcp *t, struct ip_addr peer, u32 mtu)
{
    u32 mss = MIN(mtu, 65535u) - (ip_is_v4(peer) ? IP_HLEN : IP6_HLEN) - (u32)sizeof(struct tcp_hdr);
    if (t != NULL && t->user_mss != 0)
        mss = MIN(mss, t->user_mss);
    return (u16)mss;
}

void tcp_set_mss(struct tcp *t)
{
    u32 mss = t->peer_mss != 0 ? t->peer_mss : TCP_MSS_DEFAULT;
    mss = MIN(mss, (u32)tcp_adv_mss(t, t->s.faddr, t->rt.mtu != 0 ? t->rt.mtu : 1500));
    t->mss = (u16)(MAX(mss, TCP_MSS_MIN) - (t->ts_ok ? 12 : 0));
    if (tcp_parts.mtu != NULL)
        tcp_parts.mtu->limit(t);
}

/* --- the window we offer ----------------------------------------------------------- */

static u32 free_space(const struct tcp *t)
{
    const struct sock *s = &t->s;
    u32 cap = tcp_window_cap(t), used = s->rcvq_bytes, held = s->rcv_mem + t->ooo_mem;
    u32 room = cap > used ? cap - used : 0;
    /* Storage held may be more than the bytes in it. */
    u32 hard = 2 * s->rcvbuf > held ? (2 * s->rcvbuf - held) / 2 : 0;
    room = MIN(room, hard);
    if (net_mem_full())
        room = 0;
    else if (net_mem_tight())
        room = MIN(room, 16384u);
    return MIN(room, 65535u << t->rcv_wscale);
}

/* Bytes to advertise from rcv_nxt; never shrinks. */
static u32 tcp_window(struct tcp *t)
{
    u32 now_open = t->rcv_adv - t->rcv_nxt, cap = tcp_window_cap(t), step = MIN((u32)t->rcv_mss, cap / 2), room = now_open;
    /* Silly window avoidance (RFC 9293 3.8.6.2.2): move the edge by a worthwhile step or not at all. There is no more room than cap. */
    if (cap >= now_open + step) {
        u32 space = free_space(t);
        if (space >= now_open + step)
            room = space;
    }
    u32 field = room >> t->rcv_wscale;
    if (field << t->rcv_wscale < now_open) /* rounding must not move the edge left (T4) */
        field = (now_open + (1u << t->rcv_wscale) - 1) >> t->rcv_wscale;
    field = MIN(field, 65535u);
    if (SEQ_GT(t->rcv_nxt + (field << t->rcv_wscale), t->rcv_adv))
        t->rcv_adv = t->rcv_nxt + (field << t->rcv_wscale);
    return field;
}

bool tcp_window_grew(const struct tcp *t)
{
    u32 now_open = t->rcv_adv - t->rcv_nxt, cap = tcp_window_cap(t), step = MIN(2u * t->rcv_mss, cap / 2);
    if (likely(cap <= now_open || cap - now_open < step))
        return false; /* whatever memory there is */
    u32 room = free_space(t);
    return room > now_open && room - now_open >= step;
}

/* --- segments ------------------------------------------------------------------------ */

/* Push the headers in front of p (data at the payload) and send it. Takes p. */
static int transmit(struct tcp *t, struct pkt *p, u32 seq, u8 flags, const u8 *opts, u32 optlen, u16 wnd, u64 now)
{
    u32 payload = p->total_len, hlen = (u32)sizeof(struct tcp_hdr) + optlen;
    u8 tos = t->s.tos;
    if (tcp_has_ecn(t))
        tcp_parts.ecn->out(t, &flags, &tos, payload, SEQ_LT(seq, t->snd_max));
    struct tcp_hdr *h = (void *)pkt_push(p, hlen);
    h->sport = be16(t->node.lport);
    h->dport = be16(t->node.fport);
    h->seq = be32(seq);
    h->ack = flags & TH_ACK ? be32(t->rcv_nxt) : 0;
    h->off = (u8)(hlen / 4 << 4);
    h->flags = flags;
    h->wnd = be16(wnd);
    h->csum = 0;
    h->urg = 0;
    if (tcp_urgent(t) && (h->urg = be16(tcp_parts.urg->pointer(t, seq))) != 0)
        h->flags |= TH_URG;
    for (u32 i = 0; i < optlen; i += 4)
        put_u32((u8 *)(h + 1) + i, get_u32(opts + i));
    p->time_ns = now;
    p->queue = t->tx_cpu;
    struct ip_tx tx = {
        .rt = t->rt, .src = t->node.laddr, .dst = t->node.faddr, .proto = IPPROTO_TCP, .tos = tos, .df = true,
        .ttl = t->s.ttl != 0 ? t->s.ttl : ip_hops(t->rt.nif, t->node.faddr)
    };
    p->gso = PKT_GSO_NONE;
    if (payload > t->mss && (flags & TH_SYN) == 0 && !t->rt.nif->loopback) {
        bool v4 = ip_is_v4(tx.dst);
        p->gso = v4 ? PKT_GSO_TCP4 : PKT_GSO_TCP6;
        p->gso_size = t->mss;
        p->gso_hdr_len = (u16)(ETH_HLEN + (v4 ? IP_HLEN : IP6_HLEN) + hlen);
    }
    csum_finish_l4(p, t->rt.nif, csum_ip(tx.src), csum_ip(tx.dst), IPPROTO_TCP, offsetof(struct tcp_hdr, csum));
    NET_COUNT(tcp_out);
    if (tcp_parts.info != NULL)
        tcp_parts.info->out(t, seq, flags, payload, now);
    if (flags & TH_ACK) {
        t->ack_now = false;
        t->t_delack = NEVER_NS;
        t->last_ack_sent = t->rcv_nxt;
    }
    if (payload > 0)
        t->last_tx_ns = now;
    int err = ip_output(p, &tx);
    if (err == -EMSGSIZE) { /* the path got narrower between route and here */
        t->rt.gen = 0;
    } else if (err == -EHOSTUNREACH || err == -ENETUNREACH) {
        t->s.soft_err = -err;
    }
    return err;
}

static u32 put_common_options(struct tcp *t, u8 *o, u64 now) { return t->ts_ok ? tcp_put_ts(o, tcp_now_ts(t, now), t->ts_recent) : 0; }

/* The packet of the send queue that holds seq; *ret_off = where in it. */
static struct pkt *find_data(struct tcp *t, u32 seq, u32 *ret_off)
{
    struct list *n = t->sendq.next;
    if (t->send_hint != NULL && SEQ_LE((u32)t->send_hint->cb[0], seq))
        n = &t->send_hint->node;
    for (; n != &t->sendq; n = n->next) {
        struct pkt *p = list_entry(n, struct pkt, node);
        u32 off = seq - (u32)p->cb[0];
        if (off < p->len) {
            *ret_off = off;
            return p;
        }
    }
    return NULL;
}

/* [seq, seq+*len) of the send queue as a packet with room for headers; *len may shrink. */
static struct pkt *gather(struct tcp *t, u32 seq, u32 *len)
{
    u32 off, want = *len, views = 0;
    struct pkt *p = find_data(t, seq, &off);
    if (p == NULL)
        return NULL;
    struct pkt *first;
    if (off == 0 && p->front && pkt_is_exclusive(p) && pkt_headroom(p) >= NET_HEADROOM) {
        first = pkt_view(p, 0, MIN(want, p->len));
        if (first == NULL)
            return NULL;
        first->front = true;
        want -= first->len;
        if (first->len == p->len)
            p = list_entry(p->node.next, struct pkt, node);
        else
            off = first->len;
    } else {
        first = pkt_alloc(NET_HEADROOM, 0);
        if (first == NULL)
            return NULL;
    }
    struct pkt *tail = first;
    while (want > 0 && &p->node != &t->sendq && views < TCP_GSO_VIEWS) {
        if (p->len == 0) {
            p = list_entry(p->node.next, struct pkt, node);
            continue;
        }
        u32 n = MIN(want, p->len - off);
        struct pkt *v = pkt_view(p, off, n);
        if (v == NULL)
            break;
        tail->more = v;
        tail = v;
        first->total_len += n;
        want -= n;
        views++;
        off = 0;
        t->send_hint = p;
        p = list_entry(p->node.next, struct pkt, node);
    }
    if (first->total_len == 0) {
        pkt_free(first);
        return NULL;
    }
    *len = first->total_len;
    return first;
}

static u32 gso_limit(const struct tcp *t)
{
    const struct netif *nif = t->rt.nif;
    const u32 need = (ip_is_v4(t->node.faddr) ? NETDEV_TX_TSO4 : NETDEV_TX_TSO6) | NETDEV_TX_CSUM;
    if (nif == NULL || nif->loopback || (nif->dev->features & need) != need)
        return t->mss;
    u32 max = TCP_GSO_MAX - TCP_GSO_MAX % t->mss;
    return MAX(max, (u32)t->mss);
}

/* Send [seq, seq+len) (and a FIN), or less. Returns bytes of sequence space sent, 0 = no memory or no route. */
static u32 send_data(struct tcp *t, u32 seq, u32 len, bool fin, u64 now)
{
    u8 o[40];
    struct pkt *p;
    u32 want = len;
    if (unlikely(tcp_route(t) != 0))
        return 0;
    if (len > t->mss) /* a super-segment; or the path has just become narrower */
        len = MIN(len, gso_limit(t));
    if (len > 0) {
        p = gather(t, seq, &len);
        if (p != NULL && len < want) {
            fin = false;
            /* A super-segment is a whole number of segments, else a small one hides inside. */
            if (len > t->mss && len % t->mss != 0) {
                len -= len % t->mss;
                pkt_trim(p, len);
            }
        }
    } else {
        p = pkt_alloc(NET_HEADROOM, 0);
    }
    if (p == NULL) {
        NET_COUNT(no_memory);
        return 0;
    }
    u8 flags = TH_ACK;
    if (fin)
        flags |= TH_FIN;
    if (len > 0 && seq + len == t->write_seq)
        flags |= TH_PSH;
    if (t->t_delack != NEVER_NS || t->ack_now)
        t->pingpong = true; /* the answer carries the ack */
    u32 n = put_common_options(t, o, now);
    u16 wnd = (u16)tcp_window(t);
    if (len > 0 && len < t->mss)
        t->snd_sml = seq + len;
    if (tcp_parts.rack != NULL)
        tcp_parts.rack->sent(t, seq, seq + len + fin, now);
    t->prr_out += len; /* means something in recovery only */
    if (SEQ_LT(seq, t->snd_max)) {
        NET_COUNT(tcp_retransmits);
        TRACE(NET_TCP_RETRANSMIT, t->s.lport, t->s.fport, seq, len);
        t->total_retrans++;
        t->timing = false;
    } else if (!t->timing) {
        t->timing = true;
        t->rtt_start_ns = now;
        t->rtt_seq = seq + len + fin;
    }
    transmit(t, p, seq, flags, o, n, wnd, now);
    return len + fin;
}

void tcp_send_ack(struct tcp *t, u64 now)
{
    u8 o[40];
    if (tcp_route(t) != 0)
        return;
    struct pkt *p = pkt_alloc(NET_HEADROOM, 0);
    if (p == NULL) {
        NET_COUNT(no_memory);
        if (t->t_delack == NEVER_NS) /* try again soon */
            t->t_delack = now + TCP_DELACK_NS;
        return;
    }
    u32 n = put_common_options(t, o, now);
    if (t->sack_ok)
        n += tcp_put_sack(o + n, t, 40 - n);
    u16 wnd = (u16)tcp_window(t);
    transmit(t, p, t->snd_max, TH_ACK, o, n, wnd, now);
}

void tcp_send_probe(struct tcp *t, u64 now)
{
    u8 o[40];
    struct pkt *p = NULL;
    u32 one = 1, off;
    if (tcp_route(t) != 0)
        return;
    /* A window probe carries one byte of data; a keep-alive none, one number to the left. */
    bool data = t->persist && find_data(t, t->snd_una, &off) != NULL;
    p = data ? gather(t, t->snd_una, &one) : pkt_alloc(NET_HEADROOM, 0);
    if (p == NULL) {
        NET_COUNT(no_memory);
        return;
    }
    u32 n = put_common_options(t, o, now);
    u16 wnd = (u16)tcp_window(t);
    NET_COUNT(tcp_probes);
    if (data) {
        if (t->snd_nxt == t->snd_una) {
            t->snd_nxt++;
            if (SEQ_GT(t->snd_nxt, t->snd_max))
                t->snd_max = t->snd_nxt;
        }
        transmit(t, p, t->snd_una, TH_ACK, o, n, wnd, now);
    } else {
        transmit(t, p, t->snd_una - 1, TH_ACK, o, n, wnd, now);
    }
}

void tcp_send_syn(struct tcp *t, u64 now)
{
    u8 o[40];
    bool syn_ack = t->state == TCP_SYN_RCVD;
    int err = tcp_route(t);
    u32 len = 0;
    struct pkt *p = NULL;
    if (err != 0)
        goto out; /* the retransmission timer tries again */
    bool all = !syn_ack;
    u32 n = tcp_put_syn_options(o, tcp_adv_mss(t, t->s.faddr, t->rt.nif->dev->mtu), all || t->wscale_ok ? (s8)t->rcv_wscale : -1,
                                all || t->sack_ok, all || t->ts_ok, tcp_now_ts(t, now), syn_ack ? t->ts_recent : 0);
    if (tcp_parts.tfo != NULL && t->tfo != NULL)
        n += tcp_parts.tfo->with_syn(t, o + n, &len);
    p = len > 0 ? gather(t, t->iss + 1, &len) : pkt_alloc(NET_HEADROOM, 0);
    if (p == NULL) {
        len = 0;
        goto out;
    }
    u32 wnd = MIN(free_space(t), 65535u);
    if (!syn_ack)
        t->rcv_adv = wnd; /* becomes an edge when the peer's number is known */
    else if (SEQ_GT(t->rcv_nxt + wnd, t->rcv_adv))
        t->rcv_adv = t->rcv_nxt + wnd;
    if (!t->timing && t->syn_tries == 0) {
        t->timing = true;
        t->rtt_start_ns = now;
        t->rtt_seq = t->iss + 1;
    } else {
        t->timing = false;
    }
    transmit(t, p, t->iss, syn_ack ? TH_SYN | TH_ACK : TH_SYN, o, n, (u16)wnd, now);
out:
    t->snd_nxt = t->iss + 1 + len;
    if (SEQ_LT(t->snd_max, t->snd_nxt)) /* data of the first SYN may still be acknowledged */
        t->snd_max = t->snd_nxt;
    t->send_hint = NULL;
    t->t_rexmit = now + ((u64)t->rto_us * 1000 << MIN(t->syn_tries, 7));
    if (t->syn_tries < 255)
        t->syn_tries++;
}

void tcp_send_raw(struct ip_addr src, struct ip_addr dst, u16 sport, u16 dport, u32 seq, u32 ack, u8 flags, u16 wnd,
                  const u8 *opts, u32 optlen, u8 tos)
{
    struct ip_tx tx = { .src = src, .dst = dst, .proto = IPPROTO_TCP, .tos = tos, .df = true };
    struct pkt *p = NULL;
    if (ip_route_find(dst, src, 0, &tx.rt) != 0 || (p = pkt_alloc(NET_HEADROOM, 64)) == NULL)
        return;
    tx.ttl = ip_hops(tx.rt.nif, dst);
    u32 hlen = (u32)sizeof(struct tcp_hdr) + optlen;
    struct tcp_hdr *h = (void *)pkt_put(p, hlen);
    *h = (struct tcp_hdr){ .sport = be16(sport), .dport = be16(dport), .seq = be32(seq), .ack = be32(ack),
                           .off = (u8)(hlen / 4 << 4), .flags = flags, .wnd = be16(wnd) };
    if (optlen > 0)
        memcpy(h + 1, opts, optlen);
    csum_finish_l4(p, tx.rt.nif, csum_ip(src), csum_ip(dst), IPPROTO_TCP, offsetof(struct tcp_hdr, csum));
    NET_COUNT(tcp_out);
    ip_output(p, &tx);
}

/* Other hosts get no more than these, whatever they send: an answer costs more than to read what it answers. */
static struct net_limit resets = { .interval_ns = NSEC_PER_SEC / 5000, .burst_ns = NSEC_PER_SEC / 5 };

/* RFC 9293 3.5.2: the reset takes its numbers from the segment it answers. */
void tcp_reply_rst(const struct ip_rx *rx, u16 lport, u16 fport, const struct tcp_seg *g)
{
    if (g->flags & TH_RST)
        return;
    if (!ip_addr_is_local(rx->src) && !net_limit_pass(&resets)) {
        NET_DROP(tcp_rst_limited);
        return;
    }
    NET_COUNT(tcp_rst_out);
    if (g->flags & TH_ACK)
        tcp_send_raw(rx->dst, rx->src, lport, fport, g->ack, 0, TH_RST, 0, NULL, 0, 0);
    else
        tcp_send_raw(rx->dst, rx->src, lport, fport, 0,
                     g->seq + g->len + ((g->flags & TH_SYN) != 0) + ((g->flags & TH_FIN) != 0), TH_RST | TH_ACK, 0, NULL, 0, 0);
}

void tcp_send_rst(struct tcp *t, u64 now)
{
    if (IN_STATES(t, ST(CLOSED) | ST(LISTEN) | ST(SYN_SENT)))
        return;
    NET_COUNT(tcp_rst_out);
    tcp_send_raw(t->node.laddr, t->node.faddr, t->node.lport, t->node.fport, t->snd_max, t->rcv_nxt, TH_RST | TH_ACK, 0, NULL,
                 0, t->s.tos);
}

/* --- the decision ------------------------------------------------------------------------ */

/* May a segment shorter than the MSS go now (Nagle as modified by Minshall; RFC 9293 3.8.6.2.1)? */
static bool small_may_go(const struct tcp *t, u32 len, bool last)
{
    if (t->push_partial || t->fin_queued || tcp_urgent(t))
        return true;
    if (!last && len >= t->max_wnd / 2 && t->max_wnd > 0)
        return true; /* made small by the window and not for lack of data: cork has no say */
    if (t->cork || t->more)
        return false;
    if (last && (t->nodelay || t->snd_nxt == t->snd_una || SEQ_LE(t->snd_sml, t->snd_una)))
        return true;
    return len >= t->max_wnd / 2 && t->max_wnd > 0;
}

void tcp_rexmit_first(struct tcp *t, u64 now)
{
    u32 len = MIN(t->write_seq - t->snd_una, (u32)t->mss);
    u32 edge = tcp_scores_next(t, t->snd_una) - t->snd_una;
    len = MIN(len, edge);
    bool fin = t->fin_queued && t->snd_una + len == t->write_seq && SEQ_GT(t->snd_max, t->write_seq);
    if (len == 0 && !fin)
        return;
    u32 sent = send_data(t, t->snd_una, len, fin, now);
    if (SEQ_LT(t->rexmit_high, t->snd_una + sent))
        t->rexmit_high = t->snd_una + sent;
    t->t_rexmit = now + ((u64)t->rto_us * 1000 << MIN(t->backoff, 12));
    t->send_hint = NULL;
}

u32 tcp_resend(struct tcp *t, u32 seq, u32 len, u64 now)
{
    u32 data = SEQ_LT(seq, t->write_seq) ? t->write_seq - seq : 0;
    u32 n = MIN(MIN(data, len), (u32)t->mss);
    struct pkt *hint = t->send_hint;
    t->send_hint = NULL;
    u32 sent = n > 0 || t->fin_queued ? send_data(t, seq, n, t->fin_queued && n == data && len > n, now) : 0;
    t->send_hint = hint;
    return sent;
}

/* Recovery with SACK: fill the next hole that counts as lost. False = none. */
static bool fill_hole(struct tcp *t, u64 now)
{
    if (tcp_has_rack(t)) {
        u32 at, n;
        return tcp_parts.rack->next_lost(t, &at, &n) && tcp_resend(t, at, n, now) != 0;
    }
    u32 seq = tcp_scores_skip(t, SEQ_GT(t->rexmit_high, t->snd_una) ? t->rexmit_high : t->snd_una);
    if (SEQ_GE(seq, t->recover) || !tcp_scores_lost(t, seq))
        return false;
    u32 sent = tcp_resend(t, seq, tcp_scores_next(t, seq) - seq, now);
    t->rexmit_high = seq + sent;
    return sent != 0;
}

bool tcp_send_one(struct tcp *t, u64 now)
{
    u32 left = SEQ_LT(t->snd_max, t->write_seq) ? t->write_seq - t->snd_max : 0;
    u32 used = t->snd_max - t->snd_una, len = MIN(left, (u32)t->mss);
    if (t->snd_nxt != t->snd_max || len == 0 || used + len > t->snd_wnd)
        return false;
    u32 sent = send_data(t, t->snd_max, len, false, now);
    t->snd_nxt = t->snd_max += sent;
    return sent != 0;
}

static void start_persist(struct tcp *t, u64 now)
{
    if (t->t_rexmit != NEVER_NS)
        return;
    t->persist = true;
    if (t->snd_una == t->snd_max)
        t->first_unacked_ns = now;
    t->t_rexmit = now + ((u64)t->rto_us * 1000 << MIN(t->backoff, 9));
}

/* Going back N: one segment, up to what the peer already has. */
static u32 resend_len(const struct tcp *t, u32 seq, u32 len)
{
    u32 edge = tcp_scores_next(t, seq);
    len = MIN(len, (u32)t->mss);
    return edge == t->snd_max ? len : MIN(len, edge - seq);
}

#define OUTPUT_BURST 128 /* segments in one call, whatever the windows say */

bool tcp_send_next(struct tcp *t, u32 seq, u32 len, bool fin, u64 now)
{
    u32 sent = send_data(t, seq, len, fin, now);
    if (unlikely(sent == 0)) {
        if (t->t_rexmit == NEVER_NS)
            t->t_rexmit = now + (u64)t->rto_us * 1000;
        return false;
    }
    if (t->snd_una == t->snd_max)
        t->first_unacked_ns = now;
    t->snd_nxt = seq + sent;
    if (SEQ_GT(t->snd_nxt, t->snd_max))
        t->snd_max = t->snd_nxt;
    if (t->t_rexmit == NEVER_NS || t->persist) {
        t->persist = false;
        t->t_rexmit = now + ((u64)t->rto_us * 1000 << MIN(t->backoff, 12));
    }
    return true;
}

/* What answers to requests nearly always are: all that there is to send is one segment, nothing is lost, and both windows have room. */
static bool output_plain(const struct tcp *t)
{
    u32 left = t->write_seq - t->snd_nxt, end = t->write_seq - t->snd_una;
    return t->state == TCP_ESTABLISHED && t->ca == CA_OPEN && t->snd_nxt == t->snd_max && t->scores == NULL && !t->fin_queued &&
           left <= t->mss && end <= t->snd_wnd && end <= t->cwnd && (left == t->mss || small_may_go(t, left, true));
}

static NOINLINE void output_burst(struct tcp *t, u64 now)
{
    bool sack_recovery = tcp_has_rack(t) ? t->ca != CA_OPEN : t->ca == CA_RECOVERY && t->scores != NULL;
    u32 limit = 0;
    if (tcp_parts.mtu != NULL && unlikely(t->mtup != NULL) && !tcp_parts.mtu->probe(t, now))
        return;
    for (unsigned burst = 0; burst < OUTPUT_BURST; burst++) {
        u32 flight = t->scores != NULL || sack_recovery ? tcp_pipe(t) : t->snd_nxt - t->snd_una;
        u32 cwnd = t->cwnd;
        if (t->ca == CA_OPEN && t->dupacks < 3 && !t->sack_ok && t->snd_nxt == t->snd_max)
            cwnd += (u32)t->dupacks * t->mss; /* limited transmit */
        if (sack_recovery && flight + t->mss <= cwnd && fill_hole(t, now))
            continue;
        u32 seq = t->snd_nxt;
        if (SEQ_LT(seq, t->snd_max)) { /* going back N: leave out what the peer has */
            seq = tcp_scores_skip(t, seq);
            if (seq != t->snd_nxt) {
                t->snd_nxt = seq;
                t->send_hint = NULL;
                continue;
            }
        }
        u32 left = SEQ_LT(seq, t->write_seq) ? t->write_seq - seq : 0;
        bool fin = t->fin_queued && SEQ_LE(seq, t->write_seq);
        if (left == 0 && !fin)
            break;
        u32 offset = seq - t->snd_una;
        u32 wnd_room = t->snd_wnd > offset ? t->snd_wnd - offset : 0;
        u32 cwnd_room = cwnd > flight ? cwnd - flight : 0;
        u32 room = MIN(wnd_room, cwnd_room);
        if (limit == 0) {
            if (tcp_route(t) != 0)
                break;
            limit = left <= t->mss || t->ecn_cwr || tcp_urgent(t) ? t->mss : gso_limit(t);
        }
        u32 len = MIN(MIN(left, room), limit);
        if (SEQ_LT(seq, t->snd_max))
            len = resend_len(t, seq, len);
        if (left > 0) {
            if (len == 0) {
                if (wnd_room == 0 && t->snd_nxt == t->snd_una)
                    start_persist(t, now);
                break;
            }
            /* More than a segment, but not the rest: whole segments only. */
            if (len > t->mss && len < left)
                len -= len % t->mss;
            bool again = SEQ_LT(seq, t->snd_max);
            if (len < t->mss && !again && !small_may_go(t, len, len == left)) {
                if (len < left && wnd_room < t->mss && t->snd_nxt == t->snd_una)
                    start_persist(t, now);
                else if ((t->cork || t->more) && t->t_rexmit == NEVER_NS && !t->persist)
                    t->t_rexmit = now + TCP_CORK_NS;
                break;
            }
            /* Super-segment whose last part is small and may not go yet: hold that part back. */
            if (len > t->mss && len == left && len % t->mss != 0 && !small_may_go(t, len % t->mss, true))
                len -= len % t->mss;
        }
        fin = fin && len == left;
        if (!tcp_send_next(t, seq, len, fin, now))
            break;
        if (t->snd_nxt == t->write_seq && !t->fin_queued && !sack_recovery)
            break;
    }
}

void tcp_output(struct tcp *t, u64 now)
{
    if (!IN_STATES(t, ST(ESTABLISHED) | ST(CLOSE_WAIT) | ST(FIN_WAIT1) | ST(CLOSING) | ST(LAST_ACK)) &&
        !(tcp_parts.tfo != NULL && t->fast_open))
        return;
    if (tcp_all_sent(t)) {
        t->push_partial = false;
        return;
    }
    if (t->snd_nxt == t->snd_una)
        tcp_cc_idle(t, now);
    if (unlikely(!output_plain(t)))
        output_burst(t, now);
    else if (tcp_send_next(t, t->snd_nxt, t->write_seq - t->snd_nxt, false, now) && unlikely(t->snd_nxt != t->write_seq))
        output_burst(t, now); /* it was in too many pieces for one packet */
    if (t->push_partial && t->snd_nxt == t->write_seq)
        t->push_partial = false;
    if (tcp_has_rack(t) && t->t_rack == NEVER_NS)
        tcp_parts.rack->schedule(t, now);
}
