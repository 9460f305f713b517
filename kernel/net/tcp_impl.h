/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP's private header. The files, and the way of a segment through them:
 *
 *   tcp.c         demultiplexing (tcp_rx), listeners and ports, TIME_WAIT;  tcp_table.c  the table of connections
 *   tcp_in.c      tcp_segment(): connection + segment + now -> changed connection + actions.
 *                 Sends nothing, arms nothing, wakes nobody: tcp_apply() does that after it.
 *   tcp_opt.c     options in and out
 *   tcp_cc.c      congestion control: answers to acks, losses and timeouts; Reno
 *   tcp_out.c     what may be sent now, building segments, resets
 *   tcp_timer.c   retransmission, persist, delayed ack, keep-alive: one timer a connection
 *   tcp_listen.c  half-open connections, SYN cookies, accept queues
 *   tcp_sock.c    the socket calls;  tcp_recv.c  reading;  tcp_sockopt.c  options of sockets, TCP_INFO
 *   tcp_full.c or tcp_basic.c   which of the parts that can be left out there are: tcp_cubic.c, tcp_rack.c
 *                 (loss detection by time, tail probes), tcp_fastopen.c, tcp_prr.c (recovery's rate), tcp_ecn.c, tcp_frto.c (needless timeouts),
 *                 tcp_mtu.c (black holes, larger segments), tcp_shed.c (floods of SYNs),
 *                 tcp_info.c (what TCP_INFO tells beyond the state), tcp_urg.c (urgent data)
 *
 * Sequence space of the sender:
 *
 *       snd_una        snd_nxt        snd_max       write_seq (+1 with FIN)
 *   ------|--------------|--------------|--------------|
 *   acked | in flight    | sent before, | queued,      |
 *                          to be resent   never sent
 *
 * snd_nxt < snd_max only after a retransmission timeout (go back N, skipping what the
 * peer has SACKed). The send queue holds [snd_una, write_seq) as packets with room for
 * headers; segments are views of them.
 *
 * Invariants (tests cite them):
 *  T1 snd_una <= snd_nxt <= snd_max <= write_seq + fin_queued
 *  T2 the receive queue holds exactly [rcv_nxt - rcvq_bytes, rcv_nxt) without the FIN
 *  T3 the out-of-order queue is sorted, disjoint, and begins behind rcv_nxt
 *  T4 rcv_adv (the right edge told to the peer) never moves left
 *  T5 a connection in a table has a reference from it; so has one with its timer armed
 */
#ifndef NET_TCP_IMPL_H
#define NET_TCP_IMPL_H

#include "sock_impl.h"

/* Linux's numbers: they are seen in /proc/net/tcp and TCP_INFO. */
enum tcp_state {
    TCP_ESTABLISHED = 1, TCP_SYN_SENT, TCP_SYN_RCVD, TCP_FIN_WAIT1, TCP_FIN_WAIT2, TCP_TIME_WAIT, TCP_CLOSED,
    TCP_CLOSE_WAIT, TCP_LAST_ACK, TCP_LISTEN, TCP_CLOSING
};
#define IN_STATES(t, mask) ((1u << (t)->state) & (mask))
#define ST(x) (1u << TCP_##x)

#define TH_FIN 0x01u
#define TH_SYN 0x02u
#define TH_RST 0x04u
#define TH_PSH 0x08u
#define TH_ACK 0x10u
#define TH_URG 0x20u
#define TH_ECE 0x40u
#define TH_CWR 0x80u

#define SEQ_LT(a, b) ((s32)((u32)(a) - (u32)(b)) < 0)
#define SEQ_LE(a, b) ((s32)((u32)(a) - (u32)(b)) <= 0)
#define SEQ_GT(a, b) SEQ_LT(b, a)
#define SEQ_GE(a, b) SEQ_LE(b, a)

#define TCP_MSS_DEFAULT 536u
#define TCP_MSS_MIN 88u
#define TCP_INIT_CWND_SEGS 10u
#define TCP_CWND_MAX (64u << 20) /* also: no threshold yet */
#define TCP_RTO_INIT_US 1000000u
#define TCP_RTO_SYN_LOST_US 3000000u
#define TCP_RTO_MIN_US 200000u
#define TCP_RTO_MAX_US 120000000u
#define TCP_DELACK_NS (40 * NSEC_PER_MSEC)
#define TCP_TIMEWAIT_NS (60 * NSEC_PER_SEC)
#define TCP_FIN_TIMEOUT_NS (60 * NSEC_PER_SEC)
#define TCP_CORK_NS (200 * NSEC_PER_MSEC)
#define TCP_SYN_RETRIES 6u
#define TCP_SYNACK_RETRIES 5u
#define TCP_RETRIES 15u
#define TCP_ORPHAN_RETRIES 7u
#define TCP_QUICKACKS 16u
#define TCP_SOMAXCONN 4096u
#define TCP_RCVBUF_DEFAULT 131072u
#define TCP_RCVBUF_MAX (6u << 20)
#define TCP_SNDBUF_DEFAULT 131072u
#define TCP_SNDBUF_MAX (4u << 20)
#define TCP_GSO_MAX 65000u
#define TCP_GSO_VIEWS 16u

/* An entry of the connection table: a connection, a half-open one, or a remembered one. */
enum tcp_node_kind { NODE_CONN, NODE_REQ, NODE_TW };
struct tcp_node {
    struct tcp_node *next, **link; /* lock of its part (tcp_table.c); link NULL = not in the table */
    struct ip_addr laddr, faddr;   /* constant while in the table */
    u16 lport, fport;
    u8 kind;
};

struct sack_range {
    u32 start, end;
};
#define SACK_SCORES 30u
/* What the peer has told of data beyond snd_una. Made with the first SACK block, freed when all is acked. */
struct tcp_scores {
    u32 n;
    struct sack_range r[SACK_SCORES]; /* ascending, disjoint */
};

#define TCP_OPT_FASTOPEN 34
#define TCP_COOKIE_MAX 16u
struct tcp_options {
    bool has_ts, sack_perm;
    s8 wscale;   /* -1 = absent */
    u16 mss;     /* 0 = absent */
    u32 ts_val, ts_ecr;
    u8 nsack;
    s8 tfo_len;  /* of a SYN's cookie; 0 = asks for one, -1 = absent */
    struct sack_range sack[4];
    u8 tfo[TCP_COOKIE_MAX];
};

struct tcp_seg {
    u32 seq, ack, len; /* payload bytes */
    u16 wnd, urg;      /* as on the wire */
    u8 flags;
    u8 ecn;
    u16 segs;          /* segments merged into this one, at least 1 */
    struct tcp_options o;
    struct pkt *p;     /* data at the payload; tcp_segment() sets it to NULL when it keeps it */
};

enum tcp_ca { CA_OPEN, CA_RECOVERY, CA_LOSS };

/* CUBIC's state (tcp_cubic.c): bytes, and products of bytes in the accumulators. */
struct cubic {
    u64 epoch_ns, est_acc, cwnd_acc; /* epoch 0 = begins with the next ack */
    u32 w_max, w_prior, w_est;
    u32 k_ms : 24;                   /* of the largest window and smallest segments 400,000 */
    u32 hs_count : 4, hs_rounds : 4; /* samples in this round, up to what is wanted; rounds of soft start, 0 = not yet */
    u32 hs_end, hs_rtt_us, hs_last_us, hs_base_us; /* HyStart++: this round's end and least round trips */
};

/* All under s.lock, except where s says otherwise; `node` by the lock of its part of the table. */
enum {
    TOLD_NOTHING,    /* of no connection, or that it failed */
    TOLD_CONNECTING, /* not yet how connect(2) went */
    TOLD_CONNECTED,  /* for good, but for connect(AF_UNSPEC) */
    TOLD_SPOILT,     /* shutdown(2) came before it was told: the same, as an error */
};

struct tcp {
    struct sock s;
    struct tcp_node node;
    u8 state;             /* enum tcp_state; read without */
    u8 snd_wscale, rcv_wscale;
    u8 ca, dupacks, backoff, probes, syn_tries;
    bool ts_ok, sack_ok, wscale_ok;
    bool fin_queued;      /* a FIN follows write_seq */
    bool fin_rcvd;
    bool nodelay, cork, more; /* more: MSG_MORE of the last send */
    bool push_partial;    /* cork timer ran out: send what there is */
    bool pingpong;        /* the program answers: wait for it with acks */
    bool ack_now;         /* an ack goes out at the end of the batch */
    bool output_later;    /* so does what acknowledgements have set free */
    bool on_batch;        /* in the batch list, with a reference */
    bool timing;          /* rtt_seq is being timed */
    bool persist;         /* t_rexmit is the persist timer */
    bool probing;         /* keep-alive probes are out */
    bool tcp_fin_orphan;
    bool in_table_bound;  /* in the bound-ports table */
    u8 port_chosen : 1;   /* by bind(2): it stays when the connection ends */
    u8 told : 2;          /* TOLD_*: what the program knows of it */
    bool fast_open;       /* SYN_RCVD, but the program has it already (tcp_fastopen.c) */
    bool deferred;        /* SYN_SENT, but the SYN waits for data to carry */
    u8 quickacks;         /* acks left to send at once */
    u8 keep_cnt, keep_probes, defer_accept_s, syn_cnt;
    s8 linger2_s;         /* TCP_LINGER2: 0 = the default, -1 = no FIN_WAIT2 for orphans */
    u8 frto;              /* tcp_frto.c */
    u16 mss;              /* payload of a full segment we send, options taken off */
    u16 peer_mss, user_mss, rcv_mss;
    u8 retransmits;
    u8 nsack_out;         /* of sack_out */
    u16 tx_cpu;           /* by whose queue segments go (struct pkt.queue): that of the thread that reads and writes */

    u32 iss, snd_una, snd_nxt, snd_max, write_seq;
    u32 snd_wnd, snd_wl1, snd_wl2, max_wnd;
    u32 snd_sml;          /* end of the last small segment sent (Nagle, as Minshall) */
    u32 total_retrans;
    u32 snd_up;           /* behind the last urgent byte, or snd_una (tcp_urg.c) */
    struct list sendq;    /* struct pkt; cb[0] = sequence number of its data */
    struct pkt *append;   /* w mutex + s: last packet of sendq, being filled outside the lock: not to be freed */
    struct pkt *send_hint; /* packet of sendq that holds snd_nxt, or NULL = search */

    u32 irs, rcv_nxt, rcv_adv, last_ack_sent;
    struct list oooq;     /* cb[0] = seq, cb[1] = 1: a FIN follows */
    u32 ooo_mem, window_clamp; /* clamp 0 = none */
    struct sack_range sack_out[4]; /* what we hold out of order, newest first */
    struct sack_range dsack; /* a duplicate to report with the next ack (RFC 2883); empty = none */
    struct tcp_scores *scores;
    u32 rexmit_high;      /* recovery: retransmitted up to here */

    u32 ts_recent, cwnd, ssthresh, cwnd_acc, recover;
    u64 ts_recent_ns;
    u32 ts_offset, prr_flight, prr_delivered, prr_out;
    const struct tcp_cc_ops *cc_ops;
    union {
        struct cubic cubic;
    } cc;
    struct tcp_tfo *tfo;    /* made where fast open is asked for */
    struct tcp_history *history; /* tcp_info.c */
    struct tcp_rack *rack;  /* made with a flight of more than one segment, where SACK is in use */
    u32 ack_rtt_us;         /* of the latest ack, for the next; 0 = none */
    u32 reo_round;          /* RACK: where the next needless retransmission counts */
    u8 reo_mult, reo_persist;
    bool reordering;
    bool ecn_ok, ecn_echo, ecn_cwr; /* agreed on; ECE with every ack; CWR with the next data */
    u16 mss_before;         /* tcp_mtu.c: a smaller MSS is being tried; 0 = no */
    struct tcp_mtup *mtup;  /* tcp_mtu.c: made where sizes are probed */
    u32 ecn_high;           /* no further reduction before this is acked */
    u32 frto_cwnd, frto_ssthresh;
    u32 srtt_us8, rttvar_us4, rto_us, rtt_seq;
    u32 min_rtt_us;
    u64 rtt_start_ns;
    u32 rcv_space;        /* receive autosizing: bytes read in this round */
    u32 notsent_lowat;    /* 0 = none */
    u64 rcv_round_ns;

    u64 t_rexmit, t_delack, t_keep, t_rack, timer_at; /* deadlines; NEVER_NS = off */
    struct ktimer timer;
    u64 last_rx_ns, last_tx_ns, first_unacked_ns, oow_ack_ns;
    u16 keep_idle_s, keep_intvl_s;
    u32 user_timeout_ms;
    struct ip_route rt;

    struct list bound_node;  /* table lock; of a child not yet accepted: its listener's s.lock */
    struct tcp *batch_next;  /* the CPU's in whose batch it is */
    struct tcp_listen *l;    /* LISTEN only */
};

/* What a listening socket has beyond a connection. */
struct tcp_listen {
    struct tcp *t;
    struct list node;        /* table lock */
    struct list accepts;     /* t->s.lock: bound_node of children, which never bind themselves */
    struct list reqs;        /* t->s.lock */
    u32 naccept, nreqs, backlog;
    u64 cookies_ns;          /* when a cookie was last sent */
};

/* A half-open connection. Lock: its listener's s.lock; node: as its like. */
struct tcp_req {
    struct tcp_node node;
    struct list list;
    struct tcp *listener;    /* referenced */
    u32 iss, irs, ts_recent, ts_offset, rcv_wnd;
    u16 peer_mss;
    u8 snd_wscale, tries;
    bool ts_ok, sack_ok, wscale_ok, ecn_ok, acked, cookie; /* cookie: tell the client one */
    u64 deadline_ns, made_ns;
};

/* A closed connection that must not be mistaken for a new one (RFC 9293 3.6). Lock: table lock; node: as its like. */
struct tcp_tw {
    struct tcp_node node;
    struct list list;        /* by expiry */
    u32 snd_nxt, rcv_nxt, rcv_wnd, ts_recent, ts_offset;
    bool ts_ok;
    u64 expires_ns, acked_ns;
};

/* --- tcp_in.c ------------------------------------------------------------------- */
#define ACT_ACK 0x001u         /* send an ack now */
#define ACT_OUTPUT 0x002u      /* see what may be sent */
#define ACT_READ 0x004u        /* wake readers */
#define ACT_WRITE 0x008u       /* wake writers */
#define ACT_ESTABLISHED 0x010u /* the handshake is done */
#define ACT_RST 0x020u         /* answer the segment with a reset */
#define ACT_CLOSED 0x040u      /* the connection is over (err is set if it broke) */
#define ACT_TIMEWAIT 0x080u    /* over, but must be remembered */
#define ACT_HANGUP 0x100u      /* the peer's FIN came */
#define ACT_REXMIT 0x200u      /* retransmit the first unacked segment */
#define ACT_URGENT 0x400u      /* urgent data is on its way: a signal */
#define ACT_PRIORITY 0x800u    /* it is here */
u32 tcp_segment(struct tcp *t, struct tcp_seg *g, u64 now);
/* Carry the actions out. t locked; what needs waking comes back as poll bits. */
u32 tcp_apply(struct tcp *t, const struct tcp_seg *g, u32 acts, u64 now);
/* The SYN that made t (SYN_RCVD): its window and its data. Takes the packet when it has some. */
void tcp_receive_syn(struct tcp *t, struct tcp_seg *g);
/* May a challenge ack go now? Takes note that it does. */
bool tcp_may_challenge(struct tcp *t, u64 now);
u32 tcp_now_ts(const struct tcp *t, u64 now);

/* --- tcp_opt.c ------------------------------------------------------------------- */
/* False = malformed beyond use. */
bool tcp_parse_options(const u8 *o, u32 len, bool syn, struct tcp_options *ret);
u32 tcp_put_ts(u8 *o, u32 val, u32 ecr); /* 12 bytes */
u32 tcp_put_sack(u8 *o, struct tcp *t, u32 room); /* the duplicate is reported once */
u32 tcp_put_syn_options(u8 *o, u16 mss, s8 wscale, bool sack, bool ts, u32 ts_val, u32 ts_ecr);

/* --- scoreboard (tcp_sack.c) -------------------------------------------------------- */
/* Note blocks that the peer reported; true = something new. */
bool tcp_scores_add(struct tcp *t, const struct tcp_options *o);
void tcp_scores_acked(struct tcp *t); /* snd_una moved */
void tcp_scores_drop(struct tcp *t);
u32 tcp_scores_bytes(const struct tcp *t);
/* If seq lies in a range: its end; else seq itself. */
u32 tcp_scores_skip(const struct tcp *t, u32 seq);
/* Do g's blocks begin with a duplicate (RFC 2883 4)? */
bool tcp_is_dsack(const struct tcp_seg *g);
/* First sequence number above seq that is SACKed, or snd_max. */
u32 tcp_scores_next(const struct tcp *t, u32 seq);
/* Lost by RFC 6675: three segments' worth SACKed above seq. */
bool tcp_scores_lost(const struct tcp *t, u32 seq);
u32 tcp_pipe(const struct tcp *t);
void tcp_sack_received(struct tcp *t, u32 start, u32 end); /* our own blocks */
void tcp_sack_trim(struct tcp *t);

/* --- tcp_cc.c ----------------------------------------------------------------------- */
/* An algorithm; functions that may be NULL say so. */
struct tcp_cc_ops {
    const char *name;
    void (*init)(struct tcp *t);                  /* NULL */
    void (*reset)(struct tcp *t);                 /* after a timeout or idling; NULL */
    u32 (*ssthresh)(struct tcp *t);               /* something was lost or marked: the new threshold */
    void (*avoid)(struct tcp *t, u32 bytes, u64 now); /* congestion avoidance */
    u32 (*slow_start)(struct tcp *t, u32 bytes);  /* bytes to grow by; NULL = as many as were acked */
};
extern const struct tcp_cc_ops tcp_reno, tcp_cubic;
const struct tcp_cc_ops *tcp_cc_find(const char *name, u32 len); /* a name of len bytes or to its 0; NULL = none */
void tcp_cc_choose(struct tcp *t, const struct tcp_cc_ops *ops);
void tcp_cc_init(struct tcp *t);
void tcp_cc_acked(struct tcp *t, u32 bytes, u64 now);
void tcp_cc_reduce(struct tcp *t);                /* ssthresh only */
void tcp_cc_enter_recovery(struct tcp *t);
void tcp_cc_exit_recovery(struct tcp *t);
void tcp_cc_timeout(struct tcp *t);
void tcp_cc_idle(struct tcp *t, u64 now);

/* --- parts that the build may leave out (tcp_full.c, tcp_basic.c): NULL = not there ------ */
struct tcp_rack_ops {
    void (*sent)(struct tcp *t, u32 seq, u32 end, u64 now);     /* before snd_max moves */
    /* The rest only where t->rack is. */
    u32 (*acked)(struct tcp *t, const struct tcp_seg *g, u64 now); /* una and scores are new; ACT_* */
    void (*due)(struct tcp *t, u64 now);                        /* t_rack came */
    void (*schedule)(struct tcp *t, u64 now);                   /* a tail probe, if one is called for */
    void (*reset)(struct tcp *t);                               /* going back N: the flight is sent anew */
    void (*drop)(struct tcp *t);
    u32 (*pipe)(const struct tcp *t);
    bool (*next_lost)(const struct tcp *t, u32 *ret_seq, u32 *ret_len);
    void (*recovered)(struct tcp *t);
};
struct tcp_prr_ops {
    void (*enter)(struct tcp *t);                 /* recovery begins */
    void (*acked)(struct tcp *t, u32 delivered);  /* recovery with SACK: an ack brought news of so many bytes */
};
struct tcp_ecn_ops {
    void (*out)(struct tcp *t, u8 *flags, u8 *tos, u32 len, bool again);
    u32 (*input)(struct tcp *t, const struct tcp_seg *g);       /* ACT_* */
};
struct tcp_frto_ops {
    void (*timeout)(struct tcp *t);   /* before the window is reduced */
    void (*advanced)(struct tcp *t);  /* t->frto is set, an ack moved una */
    void (*duplicate)(struct tcp *t); /* t->frto is set, an ack did not */
};
/* TCP_INFO behind its first 104 bytes (struct tcp_info of Linux 6.1); times in microseconds. */
struct tcp_info_more {
    u64 pacing_rate, max_pacing_rate, bytes_acked, bytes_received;
    u32 segs_out, segs_in, notsent_bytes, min_rtt, data_segs_in, data_segs_out;
    u64 delivery_rate, busy_time, rwnd_limited, sndbuf_limited;
    u32 delivered, delivered_ce;
    u64 bytes_sent, bytes_retrans;
    u32 dsack_dups, reord_seen, rcv_ooopack, snd_wnd;
};
enum tcp_event { TCP_EVENT_DSACK, TCP_EVENT_REORDERED, TCP_EVENT_OOO };
struct tcp_info_ops {
    void (*begin)(struct tcp *t, u32 una);        /* a connection begins, whose peer's first ack counts from una */
    void (*drop)(struct tcp *t);
    void (*out)(struct tcp *t, u32 seq, u8 flags, u32 len, u64 now); /* before snd_max moves */
    void (*in)(struct tcp *t, const struct tcp_seg *g, u64 now);     /* after g has changed t */
    void (*event)(struct tcp *t, enum tcp_event e);
    bool (*fill)(const struct tcp *t, struct tcp_info_more *i);      /* true: the rate was limited by the program */
};
struct tcp_urg_ops {
    u32 (*received)(struct tcp *t, const struct tcp_seg *g); /* URG, or t's urgent byte is awaited; before the data is taken. ACT_* */
    void (*moved)(struct tcp *t);                 /* t->s.urg is set, the queue was read; locked */
    u32 (*until)(struct tcp *t, u32 skip);        /* bytes to be read before the mark, behind the first skip; UINT32_MAX = it is not ahead */
    s64 (*recv)(struct tcp *t, struct sock_msg *m);   /* MSG_OOB */
    u16 (*pointer)(const struct tcp *t, u32 seq); /* of a segment that begins at seq; 0 = none */
};
struct tcp_shed_ops {
    void (*batch)(bool more);            /* net.c's, a card's batch ended; more: by its budget */
    void (*proved)(struct ip_addr peer); /* a connection of its came about */
    bool (*refuse)(struct ip_addr peer); /* is its SYN, which would get a cookie, to go without an answer? */
    void (*recent)(void (*fn)(u32 tag)); /* peers of whom connections came about lately: net_peer_tag(), but for its lowest bit */
};
struct tcp_mtu_ops {
    void (*timeout)(struct tcp *t);   /* before the retransmission */
    void (*acked)(struct tcp *t);     /* mss_before or mtup is set, una is new */
    void (*limit)(struct tcp *t);     /* the MSS is new: no more than is known to pass */
    /* The rest only where t->mtup is. */
    bool (*probe)(struct tcp *t, u64 now); /* before new data goes: send a larger segment, if it is time for one. False: nothing may go before an ack */
    bool (*lost)(struct tcp *t);      /* recovery begins: was it the probe, which says nothing about the path's load? */
};
enum { TCP_FASTOPEN = 23, TCP_FASTOPEN_CONNECT = 30, TCP_FASTOPEN_KEY = 33, TCP_FASTOPEN_NO_COOKIE }; /* options of sockets */
enum tfo_verdict { TFO_NO, TFO_COOKIE, TFO_OPEN, TFO_OPEN_RENEW };
struct tcp_tfo_ops {
    /* A SYN for listener l (locked): is it a connection at once, is its sender to be told a cookie? */
    enum tfo_verdict (*judge)(struct tcp *l, const struct ip_rx *rx, const struct tcp_seg *g);
    u32 (*put_cookie)(const struct tcp *l, struct ip_addr laddr, struct ip_addr faddr, u8 *o);
    bool (*begin)(struct tcp *l, struct tcp *t, bool renew); /* t->fast_open; false = no memory */
    void (*end)(struct tcp *t);                   /* t->fast_open no more */
    bool (*defer)(struct tcp *t);                 /* connect(): may the SYN wait for data? */
    u32 (*with_syn)(struct tcp *t, u8 *o, u32 *ret_data); /* t->tfo is set: t's SYN or SYN-ACK: option bytes; bytes of data */
    void (*answered)(struct tcp *t, const struct tcp_seg *g); /* t->tfo is set, the SYN-ACK came */
    int (*send_first)(struct tcp *t, struct sock_msg *m, u64 *ret_done); /* MSG_FASTOPEN, or t->deferred; holds wr */
    int (*setopt)(struct tcp *t, int name, const void *val, u32 len);    /* locked */
    int (*getopt)(const struct tcp *t, int name, void *ret_val, u32 *len);
    bool (*took_data)(const struct tcp *t);       /* a SYN's */
    void (*drop)(struct tcp *t);
};
extern const struct tcp_tfo_ops tcp_tfo;
extern const struct tcp_rack_ops tcp_rack;
extern const struct tcp_prr_ops tcp_prr;
extern const struct tcp_ecn_ops tcp_ecn;
extern const struct tcp_frto_ops tcp_frto;
extern const struct tcp_mtu_ops tcp_mtu;
extern const struct tcp_shed_ops tcp_shed;
extern const struct tcp_urg_ops tcp_urg;
extern const struct tcp_info_ops tcp_info;
extern const struct tcp_parts {
    const struct tcp_cc_ops *cc[2]; /* the first is the default */
    const struct tcp_rack_ops *rack;
    const struct tcp_prr_ops *prr;
    const struct tcp_ecn_ops *ecn;
    const struct tcp_frto_ops *frto;
    const struct tcp_mtu_ops *mtu;
    const struct tcp_tfo_ops *tfo;
    const struct tcp_shed_ops *shed;
    const struct tcp_info_ops *info;
    const struct tcp_urg_ops *urg;
} tcp_parts;
/* These say no at compile time where the part is not there. */
static ALWAYS_INLINE bool tcp_has_rack(const struct tcp *t) { return tcp_parts.rack != NULL && unlikely(t->rack != NULL); }
static ALWAYS_INLINE bool tcp_has_ecn(const struct tcp *t) { return tcp_parts.ecn != NULL && unlikely(t->ecn_ok); }
static ALWAYS_INLINE bool tcp_in_frto(const struct tcp *t) { return tcp_parts.frto != NULL && unlikely(t->frto != 0); }
/* Is the handshake under way, and the program not let in yet? */
static ALWAYS_INLINE bool tcp_opening(const struct tcp *t)
{
    return IN_STATES(t, ST(SYN_SENT) | ST(SYN_RCVD)) && !(tcp_parts.tfo != NULL && t->fast_open);
}
static ALWAYS_INLINE bool tcp_deferred(const struct tcp *t) { return tcp_parts.tfo != NULL && unlikely(t->deferred); }
/* Is urgent data not acknowledged yet? */
static ALWAYS_INLINE bool tcp_urgent(const struct tcp *t) { return tcp_parts.urg != NULL && unlikely(t->snd_up != t->snd_una); }
static inline void tcp_rack_drop(struct tcp *t)
{
    if (tcp_has_rack(t))
        tcp_parts.rack->drop(t);
}
static inline void tcp_mtup_drop(struct tcp *t)
{
    if (tcp_parts.mtu != NULL) {
        kfree(t->mtup);
        t->mtup = NULL;
    }
}
static inline void tcp_tfo_drop(struct tcp *t)
{
    if (tcp_parts.tfo != NULL)
        tcp_parts.tfo->drop(t);
}
static inline void tcp_count_event(struct tcp *t, enum tcp_event e)
{
    if (tcp_parts.info != NULL)
        tcp_parts.info->event(t, e);
}
/* t's handshake is done, or its life. */
static inline void tcp_tfo_end(struct tcp *t)
{
    if (tcp_parts.tfo != NULL && t->fast_open)
        tcp_parts.tfo->end(t);
}

/* --- tcp_out.c ------------------------------------------------------------------------ */
void tcp_output(struct tcp *t, u64 now);      /* everything that may be sent now; arms deadlines */
/* Is there nothing for tcp_output() to do? */
static inline bool tcp_all_sent(const struct tcp *t)
{
    return t->snd_nxt == t->write_seq && t->snd_nxt == t->snd_max && !t->fin_queued && t->ca == CA_OPEN;
}
void tcp_send_ack(struct tcp *t, u64 now);
void tcp_send_syn(struct tcp *t, u64 now);    /* SYN, or SYN-ACK in SYN_RCVD */
void tcp_send_probe(struct tcp *t, u64 now);  /* keep-alive and window probes */
void tcp_send_rst(struct tcp *t, u64 now);    /* abort our side */
void tcp_rexmit_first(struct tcp *t, u64 now);
/* Again at most one segment from [seq, seq+len), FIN included. Sequence space sent, 0 = nothing. */
u32 tcp_resend(struct tcp *t, u32 seq, u32 len, u64 now);
bool tcp_send_one(struct tcp *t, u64 now);    /* a segment never sent, whatever cwnd says; false = there is none */
/* All from snd_una on goes again. */
static inline void tcp_go_back(struct tcp *t)
{
    t->snd_nxt = t->snd_una;
    t->send_hint = NULL;
    if (tcp_has_rack(t))
        tcp_parts.rack->reset(t);
}
/* Send [seq, seq+len), and a FIN. False: no memory or no route, and the timer tries again. */
bool tcp_send_next(struct tcp *t, u32 seq, u32 len, bool fin, u64 now);
void tcp_reply_rst(const struct ip_rx *rx, u16 lport, u16 fport, const struct tcp_seg *g);
void tcp_send_raw(struct ip_addr src, struct ip_addr dst, u16 sport, u16 dport, u32 seq, u32 ack, u8 flags, u16 wnd,
                  const u8 *opts, u32 optlen, u8 tos);
void tcp_set_mss(struct tcp *t);              /* from route, peer and program */
u16 tcp_adv_mss(const struct tcp *t, struct ip_addr peer, u32 mtu);
bool tcp_window_grew(const struct tcp *t);    /* worth an update to the peer */
int tcp_find_route(struct tcp *t);
static inline int tcp_route(struct tcp *t)    /* refresh t->rt when routes changed */
{
    return likely(t->rt.nif != NULL && t->rt.gen == atomic_load(&route_gen)) ? 0 : tcp_find_route(t);
}

/* --- tcp_timer.c ------------------------------------------------------------------------ */
void tcp_timer_init(struct tcp *t);
void tcp_timer_set(struct tcp *t);            /* make the timer agree with the deadlines */
void tcp_timer_stop(struct tcp *t);
void tcp_keepalive_start(struct tcp *t, u64 now);

/* --- tcp_table.c ---------------------------------------------------------------------------- */
void tcp_table_init(void);
u32 tcp_tuple_hash(struct ip_addr laddr, struct ip_addr faddr, u16 lport, u16 fport);
/* What is in the table under the four numbers: *ret, or NULL. Stays there until the returned lock is released, with spin_unlock_bh(). */
struct spinlock *tcp_table_find(struct ip_addr laddr, struct ip_addr faddr, u16 lport, u16 fport, struct tcp_node **ret);
int tcp_table_insert(struct tcp_node *n);     /* -EADDRINUSE when the four numbers are taken; takes no reference */
bool tcp_table_remove(struct tcp_node *n);    /* was it there? */
void tcp_table_replace(struct tcp_node *a, struct tcp_node *b); /* atomically put b where a is */
/* fn for each entry, its part locked, until one returns true; whether one did. */
bool tcp_table_any(bool (*fn)(const struct tcp_node *n, void *ctx), void *ctx);
/* fn for each entry of one bucket, its part locked. From 0 on each call returns where the next one goes on, 0 = that was the last bucket:
 * meanwhile everything that stays in the table comes by once. */
u32 tcp_table_scan(u32 at, void (*fn)(const struct tcp_node *n, void *ctx), void *ctx);

/* --- tcp.c ---------------------------------------------------------------------------------- */
struct tcp *tcp_create(int domain);           /* one reference, CLOSED; NULL = no memory */
void tcp_destroy(struct sock *s);
void tcp_done(struct tcp *t);                 /* to CLOSED: out of the table, timers off, queues of the sender freed */
void tcp_drop(struct tcp *t, int err);        /* tcp_done with an error for the program */
void tcp_listen_for_each(void (*fn)(const struct tcp_listen *l, void *ctx), void *ctx);
struct tcp_req *tcp_find_req(const struct tcp *l, struct ip_addr laddr, struct ip_addr faddr, u16 lport, u16 fport);
bool tcp_bind_port(struct tcp *t, struct ip_addr addr, u16 port, int *ret_err); /* 0 = choose */
void tcp_unbind(struct tcp *t);
int tcp_connect_port(struct tcp *t);          /* choose lport, insert */
void tcp_listen_insert(struct tcp_listen *l);
void tcp_listen_remove(struct tcp_listen *l);
u32 tcp_new_isn(struct ip_addr laddr, struct ip_addr faddr, u16 lport, u16 fport);
u32 tcp_ts_offset(struct ip_addr laddr, struct ip_addr faddr);
/* An ack with the numbers that w has: a remembered connection, or a half-open one put as such. */
void tcp_reply_ack(const struct tcp_tw *w, u64 now);
void tcp_enter_timewait(struct tcp *t, u64 now);
void tcp_send_purge(struct tcp *t);
void tcp_recv_purge(struct tcp *t);
bool tcp_orphan_count(int delta);             /* false = too many */
void tcp_batch_add(struct tcp *t);
void tcp_set_state(struct tcp *t, u8 state); /* tcp.c: every change goes through it */
static inline struct tcp *tcp_of(struct sock *s) { return container_of(s, struct tcp, s); }

/* --- tcp_listen.c ------------------------------------------------------------------------------ */
/* A segment for a listener without a request. l's socket is referenced, not locked. Does not take the packet. */
/* Returns whether it was of use. */
bool tcp_listen_segment(struct tcp *l, const struct ip_rx *rx, u16 lport, u16 fport, struct tcp_seg *g, u32 min_isn);
/* A segment for a half-open connection (listener referenced, not locked). */
void tcp_req_segment(struct tcp *l, const struct ip_rx *rx, u16 lport, u16 fport, struct tcp_seg *g);
void tcp_listen_tick(struct tcp *t, u64 now);
int tcp_listen_start(struct tcp *t, int backlog);
void tcp_listen_stop(struct tcp *t);          /* t locked */
struct tcp *tcp_accept_pop(struct tcp *t);    /* t locked */

extern const struct sock_ops tcp_ops;
/* Begin to connect t, which is closed and locked; the SYN is left to the caller or not. 0 or -errno. */
int tcp_connect_start(struct tcp *t, struct ip_addr addr, u16 port, bool syn);
/* How it went, or -EINPROGRESS; `again`: it had begun before (-EALREADY). */
int tcp_connect_wait(struct tcp *t, bool nonblock, bool again);
int tcp_make_packet(struct uio *u, struct pkt **ret); /* with the next bytes; 0 or -errno */
void tcp_queue_packet(struct tcp *t, struct pkt *p);  /* behind what is queued. t locked */
int tcp_setopt(struct sock *s, int level, int name, const void *val, u32 len);
int tcp_getopt(struct sock *s, int level, int name, void *ret_val, u32 *len);
/* TCP_INFO: bytes. Takes t's lock. */
#define TCP_INFO_MAX (104u + (u32)sizeof(struct tcp_info_more))
u32 tcp_get_info(struct tcp *t, u8 ret[TCP_INFO_MAX]);
/* tcp_show.c: whose an entry of the table is. Its part locked. */
int tcp_node_domain(const struct tcp_node *n);
u8 tcp_node_state(const struct tcp_node *n);
u32 tcp_poll(struct sock *s);
bool tcp_writable(const struct tcp *t);
/* What the window may grow to. */
static inline u32 tcp_window_cap(const struct tcp *t)
{
    return t->window_clamp != 0 ? MIN(t->s.rcvbuf / 2, t->window_clamp) : t->s.rcvbuf / 2;
}
/* How long an orphan waits for the peer's FIN. */
static inline u64 tcp_fin_timeout_ns(const struct tcp *t)
{
    return t->linger2_s < 0 ? 0 : t->linger2_s > 0 ? (u64)t->linger2_s * NSEC_PER_SEC : TCP_FIN_TIMEOUT_NS;
}
/* The program reads or writes on this CPU. Locked. */
void tcp_used_here(struct tcp *t);

/* --- tcp_recv.c ------------------------------------------------------------------------------------ */
s64 tcp_recv(struct sock *s, struct sock_msg *m);
s64 tcp_recv_oob(struct sock *s, struct sock_msg *m);
u32 tcp_readable(const struct sock *s);       /* bytes that reads give */
u32 tcp_pending_input(struct tcp *t);         /* the same, of them those before urgent data */
void tcp_rcv_autosize(struct tcp *t, u32 copied);

#endif
