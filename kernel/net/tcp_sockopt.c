/* SPDX-License-Identifier: Apache-2.0 */
/* Options of TCP sockets (tcp(7)) and TCP_INFO. */
#include "tcp_impl.h"

enum {
    TCP_NODELAY = 1, TCP_MAXSEG, TCP_CORK, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_SYNCNT, TCP_LINGER2,
    TCP_DEFER_ACCEPT, TCP_WINDOW_CLAMP, TCP_INFO, TCP_QUICKACK, TCP_CONGESTION,
    TCP_USER_TIMEOUT = 18, TCP_NOTSENT_LOWAT = 25,
};

#define LINGER2_MAX_S 120
#define WINDOW_CLAMP_MIN 1152u /* half the least SO_RCVBUF of Linux */

static int set_int(struct tcp *t, int name, s32 v)
{
    u64 now = now_ns();
    switch (name) {
    case TCP_NODELAY:
        t->nodelay = v != 0;
        if (t->nodelay) {
            t->push_partial = t->snd_nxt != t->write_seq;
            tcp_output(t, now);
        }
        return 0;
    case TCP_CORK:
        t->cork = v != 0;
        if (!t->cork) {
            t->push_partial = t->snd_nxt != t->write_seq;
            tcp_output(t, now);
        }
        return 0;
    case TCP_MAXSEG:
        if (v != 0 && (v < (s32)TCP_MSS_MIN || v > 32767))
            return -EINVAL;
        t->user_mss = (u16)v;
        return 0;
    case TCP_KEEPIDLE:
        if (v < 1 || v > 32767)
            return -EINVAL;
        t->keep_idle_s = (u16)v;
        tcp_keepalive_start(t, now);
        return 0;
    case TCP_KEEPINTVL:
        if (v < 1 || v > 32767)
            return -EINVAL;
        t->keep_intvl_s = (u16)v;
        return 0;
    case TCP_KEEPCNT:
        if (v < 1 || v > 127)
            return -EINVAL;
        t->keep_cnt = (u8)v;
        return 0;
    case TCP_SYNCNT:
        if (v < 1 || v > 127)
            return -EINVAL;
        t->syn_cnt = (u8)v;
        return 0;
    case TCP_DEFER_ACCEPT:
        t->defer_accept_s = v < 0 ? 0 : (u8)MIN(v, 255);
        return 0;
    case TCP_QUICKACK:
        t->pingpong = v == 0;
        t->quickacks = v != 0 ? TCP_QUICKACKS : 0;
        if (v != 0 && t->t_delack != NEVER_NS)
            tcp_send_ack(t, now);
        return 0;
    case TCP_USER_TIMEOUT:
        if (v < 0)
            return -EINVAL;
        t->user_timeout_ms = (u32)v;
        return 0;
    case TCP_LINGER2:
        t->linger2_s = (s8)(v < 0 ? -1 : MIN(v, LINGER2_MAX_S));
        return 0;
    case TCP_WINDOW_CLAMP:
        if (v == 0 && t->state != TCP_CLOSED)
            return -EINVAL;
        t->window_clamp = v == 0 ? 0 : MAX((u32)v, WINDOW_CLAMP_MIN);
        return 0;
    case TCP_NOTSENT_LOWAT:
        t->notsent_lowat = (u32)v;
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

static bool is_fast_open(int name)
{
    return name == TCP_FASTOPEN || name == TCP_FASTOPEN_CONNECT || name == TCP_FASTOPEN_KEY || name == TCP_FASTOPEN_NO_COOKIE;
}

int tcp_setopt(struct sock *s, int level, int name, const void *val, u32 len)
{
    struct tcp *t = tcp_of(s);
    s32 v;
    if (level == 1 && name == 9) { /* SO_KEEPALIVE was set */
        sock_lock(s);
        tcp_keepalive_start(t, now_ns());
        tcp_timer_set(t);
        sock_unlock(s);
        return 0;
    }
    if (level != IPPROTO_TCP)
        return inet_setopt(s, level, name, val, len);
    if (name == TCP_CONGESTION) {
        const struct tcp_cc_ops *cc = tcp_cc_find(val, len);
        if (cc == NULL)
            return -ENOENT;
        sock_lock(s);
        tcp_cc_choose(t, cc);
        sock_unlock(s);
        return 0;
    }
    if (tcp_parts.tfo != NULL && is_fast_open(name)) {
        sock_lock(s);
        int e = tcp_parts.tfo->setopt(t, name, val, len);
        sock_unlock(s);
        return e;
    }
    int err = opt_int_in(val, len, &v);
    if (err != 0)
        return err;
    sock_lock(s);
    err = set_int(t, name, v);
    tcp_timer_set(t);
    sock_unlock(s);
    return err;
}

/* struct tcp_info of Linux, the part every program knows; struct tcp_info_more follows. */
struct tcp_info_ {
    u8 state, ca_state, retransmits, probes, backoff, options, wscales, flags;
    u32 rto, ato, snd_mss, rcv_mss, unacked, sacked, lost, retrans, fackets;
    u32 last_data_sent, last_ack_sent, last_data_recv, last_ack_recv;
    u32 pmtu, rcv_ssthresh, rtt, rttvar, snd_ssthresh, snd_cwnd, advmss, reordering, rcv_rtt, rcv_space, total_retrans;
};
_Static_assert(sizeof(struct tcp_info_) == 104 && sizeof(struct tcp_info_more) == 128, "struct tcp_info of Linux");

static u32 ms_since(u64 then, u64 now) { return then == 0 ? 0 : (u32)((now - then) / NSEC_PER_MSEC); }

static void fill_info(const struct tcp *t, struct tcp_info_ *i)
{
    u64 now = now_ns();
    u32 mss = MAX(t->mss, 1u);
    memset(i, 0, sizeof *i);
    i->state = t->state;
    i->ca_state = t->ca == CA_RECOVERY ? 3 : t->ca == CA_LOSS ? 4 : t->dupacks != 0 || t->scores != NULL;
    i->retransmits = t->retransmits;
    i->probes = t->probes;
    i->backoff = t->backoff;
    i->options = (u8)((t->ts_ok ? 1 : 0) | (t->sack_ok ? 2 : 0) | (t->wscale_ok ? 4 : 0) | (tcp_has_ecn(t) ? 8 : 0) |
                      (tcp_parts.tfo != NULL && tcp_parts.tfo->took_data(t) ? 32 : 0));
    i->wscales = (u8)(t->snd_wscale | t->rcv_wscale << 4);
    i->rto = t->rto_us;
    i->ato = (u32)(TCP_DELACK_NS / 1000);
    i->snd_mss = t->mss;
    i->rcv_mss = t->rcv_mss;
    if (t->state == TCP_LISTEN) {
        i->unacked = t->l->naccept;
        i->sacked = t->l->backlog;
    } else {
        i->unacked = (t->snd_max - t->snd_una + mss - 1) / mss;
        i->sacked = tcp_scores_bytes(t) / mss;
    }
    i->last_data_sent = ms_since(t->last_tx_ns, now);
    i->last_data_recv = i->last_ack_recv = ms_since(t->last_rx_ns, now);
    i->pmtu = t->rt.mtu;
    i->rcv_ssthresh = MIN(tcp_window_cap(t), 65535u << t->rcv_wscale);
    i->rtt = t->srtt_us8 / 8;
    i->rttvar = t->rttvar_us4 / 4;
    i->snd_ssthresh = t->ssthresh >= TCP_CWND_MAX ? INT32_MAX : t->ssthresh / mss; /* as Linux says "none yet" */
    i->snd_cwnd = t->cwnd / mss;
    i->advmss = tcp_adv_mss(t, t->s.faddr, t->rt.mtu != 0 ? t->rt.mtu : 1500) - (t->ts_ok ? 12u : 0);
    i->reordering = 3;
    /* What was read in a round trip at least: a quarter of the buffer doubled it (tcp_rcv_autosize()); until then what Linux begins with. */
    i->rcv_space = t->s.rcvbuf > TCP_RCVBUF_DEFAULT && !t->s.rcvbuf_locked ? t->s.rcvbuf / 8 : MIN(TCP_INIT_CWND_SEGS * i->advmss, i->rcv_ssthresh);
    i->total_retrans = t->total_retrans;
}

u32 tcp_get_info(struct tcp *t, u8 ret[TCP_INFO_MAX])
{
    struct {
        struct tcp_info_ first;
        struct tcp_info_more more;
    } i;
    sock_lock(&t->s);
    fill_info(t, &i.first);
    if (tcp_parts.info != NULL)
        i.first.flags = tcp_parts.info->fill(t, &i.more);
    sock_unlock(&t->s);
    u32 len = tcp_parts.info != NULL ? sizeof i : sizeof i.first;
    memcpy(ret, &i, len);
    return len;
}

int tcp_getopt(struct sock *s, int level, int name, void *ret_val, u32 *len)
{
    struct tcp *t = tcp_of(s);
    s32 v = 0;
    if (level == 1) /* SO_ACCEPTCONN, SO_PEERCRED */
        return name == 30 ? opt_int_out(ret_val, len, t->state == TCP_LISTEN) : -ENOPROTOOPT;
    if (level != IPPROTO_TCP)
        return inet_getopt(s, level, name, ret_val, len);
    if (tcp_parts.tfo != NULL && is_fast_open(name))
        return tcp_parts.tfo->getopt(t, name, ret_val, len);
    switch (name) {
    case TCP_NODELAY:
        v = t->nodelay;
        break;
    case TCP_CORK:
        v = t->cork;
        break;
    case TCP_MAXSEG:
        v = t->state == TCP_CLOSED || t->state == TCP_LISTEN ? (t->user_mss != 0 ? t->user_mss : (s32)TCP_MSS_DEFAULT) : t->mss;
        break;
    case TCP_KEEPIDLE:
        v = (s32)(t->keep_idle_s != 0 ? t->keep_idle_s : 7200);
        break;
    case TCP_KEEPINTVL:
        v = (s32)(t->keep_intvl_s != 0 ? t->keep_intvl_s : 75);
        break;
    case TCP_KEEPCNT:
        v = t->keep_cnt != 0 ? t->keep_cnt : 9;
        break;
    case TCP_SYNCNT:
        v = t->syn_cnt != 0 ? t->syn_cnt : (s32)TCP_SYN_RETRIES;
        break;
    case TCP_LINGER2:
        v = t->linger2_s < 0 ? -1 : (s32)(tcp_fin_timeout_ns(t) / NSEC_PER_SEC);
        break;
    case TCP_DEFER_ACCEPT:
        v = t->defer_accept_s;
        break;
    case TCP_QUICKACK:
        v = !t->pingpong;
        break;
    case TCP_USER_TIMEOUT:
        v = (s32)t->user_timeout_ms;
        break;
    case TCP_WINDOW_CLAMP:
        v = (s32)t->window_clamp;
        break;
    case TCP_NOTSENT_LOWAT:
        v = (s32)t->notsent_lowat;
        break;
    case TCP_CONGESTION: {
        char cc[16] = "";
        memcpy(cc, t->cc_ops->name, strlen(t->cc_ops->name));
        return opt_out(ret_val, len, cc, sizeof cc);
    }
    case TCP_INFO: {
        u8 info[TCP_INFO_MAX];
        u32 size = tcp_get_info(t, info);
        return opt_out(ret_val, len, info, size);
    }
    default:
        return -ENOPROTOOPT;
    }
    return opt_int_out(ret_val, len, v);
}
