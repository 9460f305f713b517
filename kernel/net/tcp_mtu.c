/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What size of packet a path carries, found by sending (RFC 8899, RFC 4821). Its two halves:
 *
 * Paths that swallow large packets without a word (8899 4.3, 4821 7.7). Without probing every other retransmission is small
 * from the third timeout on; an ack after a small one says that the size it was, and the path is remembered. With probing
 * (net.ipv4.tcp_mtu_probing 1) the MSS falls to tcp_base_mss then, and halves at each further timeout.
 *
 * Probes for more, as Linux has them: from then on, or (2) from the beginning. low passes, what is larger than high does not, and now
 * and then a segment of a size in the middle goes in the place of usual ones. That it is lost says nothing about congestion.
 */
#include "tcp_impl.h"

#define TRIES 3u
#define SEND_MSS_MIN 48u    /* as net.ipv4.tcp_min_snd_mss is in Linux */
#define CWND_MIN_SEGS 11u   /* a lost probe is found by the acks of what follows it */
#define FOLLOWED_BY_SEGS 4u

static u32 probing, base_mss = 1024, mss_floor = SEND_MSS_MIN, threshold = 8, interval_s = 600;

const struct sysctl_range net_tcp_settings[] = {
    { "net/ipv4/tcp_mtu_probing", &probing, 0, 255 },
    { "net/ipv4/tcp_base_mss", &base_mss, 0, INT32_MAX },
    { "net/ipv4/tcp_mtu_probe_floor", &mss_floor, SEND_MSS_MIN, 65535 },
    { "net/ipv4/tcp_probe_threshold", &threshold, 0, INT32_MAX },
    { "net/ipv4/tcp_probe_interval", &interval_s, 0, UINT32_MAX / 250 },
    { .name = NULL },
};

struct tcp_mtup {
    u32 low, high;          /* bytes of packets */
    u32 size, start, end;   /* of the probe in flight; size 0 = none */
    u32 ssthresh;           /* from before a probe was lost; 0 = no */
    u64 since_ns;           /* when the bounds were last as wide as can be */
};

static u32 headers(const struct tcp *t) { return (ip_is_v4(t->s.faddr) ? IP_HLEN : IP6_HLEN) + (u32)sizeof(struct tcp_hdr); }
static u32 overhead(const struct tcp *t) { return headers(t) + (t->ts_ok ? 12u : 0); }

static u32 base(void) { return MIN(atomic_load_relaxed(&base_mss), 65535u); }

static void widen(const struct tcp *t, struct tcp_mtup *m, u32 low_mss, u64 now)
{
    m->low = low_mss + overhead(t);
    m->high = t->peer_mss + headers(t);
    m->size = 0;
    m->since_ns = now;
}

static void begin(struct tcp *t)
{
    t->mtup = kmalloc(sizeof *t->mtup, ALLOC_ATOMIC | ALLOC_ZERO); /* without memory: without probes */
    if (t->mtup != NULL)
        widen(t, t->mtup, base(), now_ns());
}

static void limit(struct tcp *t)
{
    if (t->mtup == NULL && unlikely(atomic_load_relaxed(&probing) > 1))
        begin(t);
    struct tcp_mtup *m = t->mtup;
    if (likely(m == NULL))
        return;
    if (t->rt.mtu != 0)
        m->high = MIN(m->high, tcp_adv_mss(t, t->s.faddr, t->rt.mtu) + headers(t));
    t->mss = (u16)MIN((u32)t->mss, MAX(m->low - overhead(t), SEND_MSS_MIN));
}

static void narrow(struct tcp *t)
{
    struct tcp_mtup *m = t->mtup;
    if (m == NULL)
        begin(t);
    else
        m->low = MAX(MIN((m->low - overhead(t)) / 2, base()), atomic_load_relaxed(&mss_floor)) + overhead(t);
    tcp_set_mss(t);
}

static void timeout(struct tcp *t)
{
    if (t->mtup != NULL)
        t->mtup->size = t->mtup->ssthresh = 0;
    if (t->mss_before != 0) {
        t->mss = t->mss_before;
        t->mss_before = 0;
    } else if (t->retransmits < TRIES) {
        return;
    } else if (atomic_load_relaxed(&probing) != 0) {
        narrow(t);
    } else if (t->mss > base() && t->snd_max - t->snd_una > base()) {
        t->mss_before = t->mss;
        t->mss = (u16)MAX(base(), SEND_MSS_MIN);
    }
}

static void probe_acked(struct tcp *t)
{
    struct tcp_mtup *m = t->mtup;
    if (m->ssthresh != 0 && t->ca == CA_OPEN) {
        t->ssthresh = m->ssthresh;
        m->ssthresh = 0;
    }
    if (m->size == 0 || SEQ_LT(t->snd_una, m->end))
        return;
    if (m->size <= m->high) { /* else the path has become narrower, and it went again in pieces */
        NET_COUNT(tcp_mtu_proved);
        m->low = m->size;
    }
    m->size = 0;
    tcp_set_mss(t);
}

static void acked(struct tcp *t)
{
    if (t->mss_before != 0) {
        t->mss_before = 0;
        NET_COUNT(tcp_black_holes);
        pmtu_learn(t->s.faddr, t->mss + overhead(t));
    }
    if (t->mtup != NULL)
        probe_acked(t);
}

static bool lost(struct tcp *t)
{
    struct tcp_mtup *m = t->mtup;
    bool it_was = m->size != 0 && m->start == t->snd_una;
    if (it_was) {
        NET_COUNT(tcp_mtu_refuted);
        m->high = MIN(m->high, m->size - 1);
        if (m->ssthresh == 0)
            m->ssthresh = t->ssthresh;
        t->ssthresh = t->cwnd;
    } else {
        m->ssthresh = 0; /* that loss has its own */
    }
    m->size = 0; /* after another loss it proves nothing */
    return it_was;
}

/* Send the next len bytes as one segment. */
static void send_probe(struct tcp *t, u32 size, u32 len, u64 now)
{
    struct tcp_mtup *m = t->mtup;
    u32 seq = t->snd_nxt;
    t->mss = (u16)len;
    bool whole = tcp_send_next(t, seq, len, false, now) && t->snd_nxt - seq == len && t->mss == len; /* else there is another route */
    tcp_set_mss(t);
    if (whole) {
        m->size = size;
        m->start = seq;
        m->end = seq + len;
    }
}

static bool probe(struct tcp *t, u64 now)
{
    struct tcp_mtup *m = t->mtup;
    u32 flight = t->snd_nxt - t->snd_una, left = t->write_seq - t->snd_nxt;
    if (m->size != 0 || t->ca != CA_OPEN || t->cwnd < CWND_MIN_SEGS * t->mss || t->scores != NULL || t->nsack_out != 0 || t->snd_nxt != t->snd_max ||
        tcp_urgent(t) || tcp_route(t) != 0)
        return true;
    if ((s32)(m->high - m->low) < (s32)MAX(atomic_load_relaxed(&threshold), 1u)) {
        if (now - m->since_ns >= atomic_load_relaxed(&interval_s) * NSEC_PER_SEC)
            widen(t, m, t->mss, now);
        tcp_set_mss(t);
        return true;
    }
    u32 size = (m->low + m->high) / 2 /* by the route that there is now */, len = size - overhead(t), need = len + FOLLOWED_BY_SEGS * t->mss;
    if ((s32)left < (s32)need || t->snd_wnd < need)
        return true;
    if (flight + need > t->snd_wnd)
        return false;
    if (flight + len > t->cwnd)
        return flight == 0;
    send_probe(t, size, len, now);
    return true;
}

const struct tcp_mtu_ops tcp_mtu = { .timeout = timeout, .acked = acked, .limit = limit, .probe = probe, .lost = lost };
