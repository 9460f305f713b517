/* SPDX-License-Identifier: Apache-2.0 */
/* Between script.c (words, calls, what is inside) and script_segment.c (the peer: what it sends, what comes to it). */
#ifndef NET_SCRIPT_IMPL_H
#define NET_SCRIPT_IMPL_H

#include "script.h"

/* The line at hand. */
extern struct script_line {
    const char *where;
    int line;
    char *words[64];
    int nwords, at;
} in;
#define FAIL(...) sim_test_failed(in.where, in.line, __VA_ARGS__)

/* --- script.c: the next word, and what it must be ---------------------------------- */
const char *peek(void); /* "" at the end */
bool take(const char *word); /* if it is this one */
const char *word(void);
s64 number(void);
s64 number_of(const char *w, char **end);
u32 place(const char *w, u32 base, char **end); /* N; +N and -N count from base */
void range(const char *w, s64 *lo, s64 *hi); /* N or A..B */

/* --- script_segment.c -------------------------------------------------------------- */
#define FO_NONE -2
#define FO_KNOWN -3
struct what { /* a segment as it is written */
    u8 flags, ip_ecn;
    u32 seq, end, ack, win, urg;
    bool has_seq, has_ack, has_win, has_urg, has_ts, any_val, any_ecr, nots, cut, bad, lost, ect, noect, sackok, has_sack;
    s32 mss, ws;
    u32 ts_val, ts_ecr;
    u8 nsack;
    struct sack_range sack[4];
    u8 raw[40];
    u32 nraw;
    s32 fo; /* length of a fast-open cookie, -1 = not looked at, FO_NONE, FO_KNOWN */
    u8 cookie[TCP_COOKIE_MAX];
    s64 at_lo, at_hi;
};

extern struct tseg g;          /* the last that came */
extern u16 peer_port, our_port;
extern u32 next_seq, next_ack; /* relative */
extern u32 peer_win, tsval;
extern bool use_ts;
extern u64 event_ns;           /* of the last segment or call */
void inject(const struct what *w); /* the peer's segment w goes out */
void learn(void);              /* from g */
void segment_line(bool out);
void none(u64 ns);             /* nothing comes */
void do_icmp(void);

#endif
