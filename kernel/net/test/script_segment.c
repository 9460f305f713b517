/* SPDX-License-Identifier: Apache-2.0 */
/* The peer of a packet script: segments as they are written, sent and compared. */
#include "script_impl.h"

#include <stdlib.h>

#define PEER_ISN 0xfffff000u /* numbers wrap on the way */

struct tseg g;
u16 peer_port, our_port;
static u32 ours;           /* the stack's initial number */
u32 next_seq, next_ack;
u32 peer_win, tsval;
static u32 their_ts;
bool use_ts;
u64 event_ns;

static const struct {
    char letter;
    u8 flag;
} letters[] = { { 'S', TH_SYN }, { '.', TH_ACK }, { 'F', TH_FIN }, { 'R', TH_RST }, { 'P', TH_PSH }, { 'U', TH_URG },
                { 'E', 0x40 }, { 'W', 0x80 }, { '-', 0 } };

static u8 known_cookie[TCP_COOKIE_MAX]; /* the last one that the stack told */
static u32 known_len;

static void parse_sack(struct what *w, char *text)
{
    w->has_sack = true;
    if (strcmp(text, "none") == 0)
        return;
    for (char *end = text; w->nsack < 4; text = end + 1) {
        w->sack[w->nsack].start = (u32)number_of(text, &end);
        w->sack[w->nsack++].end = (u32)number_of(end + 1, &end);
        if (*end != ',')
            break;
    }
}

static bool parse_ts(struct what *w, u32 *ret)
{
    if (take("*"))
        return true;
    *ret = (u32)number();
    return false;
}

static void parse_raw(struct what *w, const char *hex)
{
    for (; hex[0] != 0 && hex[1] != 0 && w->nraw < 40; hex += 2) {
        char b[3] = { hex[0], hex[1], 0 };
        w->raw[w->nraw++] = (u8)strtoul(b, NULL, 16);
    }
}

static void parse_fo(struct what *w, const char *text)
{
    w->fo = strcmp(text, "none") == 0 ? FO_NONE : strcmp(text, "*") == 0 ? FO_KNOWN : 0;
    for (; w->fo >= 0 && strcmp(text, "ask") != 0 && text[0] != 0 && text[1] != 0 && w->fo < (s32)TCP_COOKIE_MAX; text += 2)
        w->cookie[w->fo++] = (u8)strtoul((char[3]){ text[0], text[1], 0 }, NULL, 16);
}

/* A segment's numbers; those of sequence space may be relative to the next of their side. */
static void parse_segment(struct what *w, u32 seq_base, u32 ack_base)
{
    memset(w, 0, sizeof *w);
    w->mss = w->ws = w->fo = -1;
    w->at_hi = 1;
    for (const char *f = word(); *f != 0; f++) {
        unsigned i = 0;
        while (i < sizeof letters / sizeof letters[0] && letters[i].letter != *f)
            i++;
        if (*f == 'C')
            w->ip_ecn = 3;
        else if (i == sizeof letters / sizeof letters[0])
            FAIL("flag %c", *f);
        else
            w->flags |= letters[i].flag;
    }
    char *end;
    if (peek()[0] != 0 && strchr("0123456789+-", peek()[0]) != NULL) {
        w->has_seq = true;
        w->seq = w->end = place(word(), seq_base, &end);
        if (*end == ':')
            w->end = place(end + 1, seq_base, &end);
    }
    while (in.at < in.nwords) {
        char *x = in.words[in.at++];
        if (strcmp(x, "ack") == 0)
            w->has_ack = true, w->ack = place(word(), ack_base, &end);
        else if (strcmp(x, "win") == 0)
            w->has_win = true, w->win = (u32)number();
        else if (strcmp(x, "urg") == 0)
            w->has_urg = true, w->urg = (u32)number();
        else if (strcmp(x, "mss") == 0)
            w->mss = (s32)number();
        else if (strcmp(x, "ws") == 0)
            w->ws = (s32)number();
        else if (strcmp(x, "sackok") == 0)
            w->sackok = true;
        else if (strcmp(x, "sack") == 0)
            parse_sack(w, in.words[in.at++]);
        else if (strcmp(x, "ts") == 0)
            w->has_ts = true, w->any_val = parse_ts(w, &w->ts_val), w->any_ecr = parse_ts(w, &w->ts_ecr);
        else if (strcmp(x, "nots") == 0)
            w->nots = true;
        else if (strcmp(x, "cut") == 0)
            w->cut = true;
        else if (strcmp(x, "ect") == 0)
            w->ect = true;
        else if (strcmp(x, "noect") == 0)
            w->noect = true;
        else if (strcmp(x, "bad") == 0)
            w->bad = w->lost = true;
        else if (strcmp(x, "lost") == 0)
            w->lost = true;
        else if (strcmp(x, "fo") == 0)
            parse_fo(w, in.words[in.at++]);
        else if (strcmp(x, "raw") == 0)
            parse_raw(w, in.words[in.at++]);
        else if (x[0] == '@')
            range(x + 1, &w->at_lo, &w->at_hi);
        else
            FAIL("what is \"%s\"?", x);
    }
}

static u32 put_options(const struct what *w, u8 *o)
{
    u32 n = 0;
    if (w->cut)
        return 0;
    if (w->mss >= 0) {
        put_be32(o, 0x02040000u | (u32)w->mss);
        n = 4;
    }
    if (w->sackok) {
        put_be32(o + n, 0x01010402u);
        n += 4;
    }
    if (w->has_ts || (use_ts && !w->nots)) {
        tcp_put_ts(o + n, w->has_ts && !w->any_val ? w->ts_val : tsval, w->has_ts && !w->any_ecr ? w->ts_ecr : their_ts);
        n += 12;
    }
    if (w->ws >= 0) {
        put_be32(o + n, 0x01030300u | (u32)w->ws);
        n += 4;
    }
    if (w->nsack > 0) {
        put_be32(o + n, 0x01010500u | (2 + 8u * w->nsack));
        for (u32 i = 0; i < w->nsack; i++) {
            put_be32(o + n + 4 + 8 * i, ours + w->sack[i].start);
            put_be32(o + n + 8 + 8 * i, ours + w->sack[i].end);
        }
        n += 4 + 8u * w->nsack;
    }
    if (w->fo >= 0 || w->fo == FO_KNOWN) {
        u32 len = w->fo >= 0 ? (u32)w->fo : known_len;
        o[n] = TCP_OPT_FASTOPEN;
        o[n + 1] = (u8)(2 + len);
        memcpy(o + n + 2, w->fo >= 0 ? w->cookie : known_cookie, len);
        n += 2 + len;
    }
    memcpy(o + n, w->raw, w->nraw);
    n += w->nraw;
    while (n % 4 != 0)
        o[n++] = 0;
    return n;
}

void inject(const struct what *w)
{
    u8 b[2048];
    struct tcp_hdr *h = (void *)b;
    u32 seq = w->has_seq ? w->seq : w->flags & TH_SYN ? 0 : next_seq, len = w->has_seq ? w->end - w->seq : 0;
    u32 hlen = (u32)sizeof *h + put_options(w, b + sizeof *h);
    u32 ack = ours + (w->has_ack ? w->ack : next_ack);
    if (w->has_win)
        peer_win = w->win;
    if (hlen > 60 || hlen + len > sizeof b)
        FAIL("too long");
    *h = (struct tcp_hdr){ .sport = be16(peer_port), .dport = be16(our_port), .seq = be32(PEER_ISN + seq),
                           .ack = w->flags & TH_ACK ? be32(ack) : 0, .off = (u8)(hlen / 4 << 4), .flags = w->flags,
                           .wnd = be16((u16)peer_win), .urg = be16((u16)w->urg) };
    for (u32 i = 0; i < len; i++)
        b[hlen + i] = stream_byte(seq + i + ((w->flags & TH_SYN) != 0));
    h->csum = csum_fold(csum_add(b, hlen + len, csum_pseudo(PEER_IP, OUR_IP, IPPROTO_TCP, hlen + len)));
    if (w->bad)
        h->csum ^= 0x0101;
    wire_tos = w->ip_ecn;
    wire_in_ip(PEER_IP, OUR_IP, IPPROTO_TCP, 0, 1, b, hlen + len);
    wire_tos = 0;
    u32 end = seq + len + ((w->flags & TH_SYN) != 0) + ((w->flags & TH_FIN) != 0);
    if (SEQ_LE(seq, next_seq) && SEQ_GT(end, next_seq) && !(w->flags & TH_RST) && !w->lost)
        next_seq = end;
    event_ns = now_ns();
}

void learn(void)
{
    if (g.flags & TH_SYN) {
        ours = g.seq;
        our_port = g.sport;
        peer_port = g.dport;
        next_ack = 1;
    }
    if (g.o.has_ts)
        their_ts = g.o.ts_val;
    if (g.o.tfo_len > 0)
        memcpy(known_cookie, g.o.tfo, known_len = (u32)g.o.tfo_len);
    u32 seq = g.seq - ours, end = seq + g.len + ((g.flags & TH_SYN) != 0) + ((g.flags & TH_FIN) != 0);
    if (SEQ_LE(seq, next_ack) && SEQ_GT(end, next_ack))
        next_ack = end;
    event_ns = g.at_ns;
}

static void expect(const struct what *w)
{
    u64 from = event_ns, until = from + (u64)w->at_hi * NSEC_PER_MSEC;
    if (!peer_recv(&g, until > now_ns() ? until - now_ns() : 0))
        FAIL("no segment came");
    u64 at = (g.at_ns - from) / NSEC_PER_MSEC;
    learn();
    u32 seq = g.seq - ours, ack = g.ack - PEER_ISN;
    u8 care = (u8)(0xff & ~(w->flags & TH_PSH ? 0 : TH_PSH));
    if ((g.flags & care) != w->flags)
        FAIL("flags %x, seq %u:%u ack %u", g.flags, seq, seq + g.len, ack);
    if (w->has_seq && (seq != w->seq || g.len != w->end - w->seq))
        FAIL("flags %x, seq %u:%u ack %u", g.flags, seq, seq + g.len, ack);
    if (!w->has_seq && g.len != 0)
        FAIL("data came: seq %u:%u", seq, seq + g.len);
    if (w->flags & TH_ACK && ack != (w->has_ack ? w->ack : next_seq))
        FAIL("ack %u", ack);
    if ((s64)at < w->at_lo || g.at_ns > until)
        FAIL("after %llu ms", (unsigned long long)at);
    if (w->has_urg && g.urg != w->urg)
        FAIL("urgent pointer %u", g.urg);
    if (w->has_win && g.wnd != w->win)
        FAIL("window %u", g.wnd);
    if (w->mss >= 0 && g.o.mss != w->mss)
        FAIL("mss %u", g.o.mss);
    if (w->ws >= 0 && g.o.wscale != w->ws)
        FAIL("window scale %d", g.o.wscale);
    if (w->sackok && !g.o.sack_perm)
        FAIL("SACK is not permitted");
    if (w->cut && (g.o.mss != 0 || g.o.wscale >= 0 || g.o.sack_perm || g.o.has_ts || g.o.nsack != 0))
        FAIL("there are options");
    if (w->has_ts && (!g.o.has_ts || (!w->any_val && g.o.ts_val != w->ts_val) || (!w->any_ecr && g.o.ts_ecr != w->ts_ecr)))
        FAIL("timestamps %d %u %u", g.o.has_ts, g.o.ts_val, g.o.ts_ecr);
    if ((w->fo == FO_NONE && g.o.tfo_len >= 0) || (w->fo == FO_KNOWN && g.o.tfo_len < 4) ||
        (w->fo >= 0 && (g.o.tfo_len != w->fo || memcmp(g.o.tfo, w->cookie, (size_t)w->fo) != 0)))
        FAIL("cookie of length %d", g.o.tfo_len);
    if (w->nots && g.o.has_ts)
        FAIL("there is a timestamp");
    if ((w->ect && (g.tos & 3) != 2) || (w->noect && (g.tos & 3) != 0))
        FAIL("IP's ECN field is %u", g.tos & 3);
    if (w->has_sack && g.o.nsack != w->nsack)
        FAIL("%u SACK blocks, first %u:%u", g.o.nsack, g.o.sack[0].start - PEER_ISN, g.o.sack[0].end - PEER_ISN);
    for (u8 i = 0; i < w->nsack; i++)
        if (g.o.sack[i].start - PEER_ISN != w->sack[i].start || g.o.sack[i].end - PEER_ISN != w->sack[i].end)
            FAIL("SACK %u is %u:%u", i, g.o.sack[i].start - PEER_ISN, g.o.sack[i].end - PEER_ISN);
    for (u32 i = 0; i < g.len; i++)
        if (g.data[i] != stream_byte(seq + i + ((g.flags & TH_SYN) != 0)))
            FAIL("byte %u differs", seq + i);
}

void none(u64 ns)
{
    if (peer_recv(&g, ns))
        FAIL("flags %x, seq %u len %u ack %u came", g.flags, g.seq - ours, g.len, g.ack - PEER_ISN);
    event_ns = now_ns();
}

void segment_line(bool out)
{
    struct what w;
    if (out) {
        parse_segment(&w, next_ack, next_seq);
        expect(&w);
    } else {
        parse_segment(&w, next_seq, next_ack);
        inject(&w);
    }
}

void do_icmp(void)
{
    u8 e[8 + 28] = { 0 };
    e[0] = (u8)number();
    e[1] = (u8)number();
    u32 seq = g.seq;
    while (in.at < in.nwords) {
        if (take("mtu"))
            put_be16(e + 6, (u16)number());
        else if (take("seq"))
            seq = ours + (u32)number();
        else
            FAIL("icmp %s", peek());
    }
    struct ip_hdr *h = (void *)(e + 8);
    *h = (struct ip_hdr){ .vihl = 0x45, .len = be16(1500), .ttl = 60, .proto = IPPROTO_TCP, .src = OUR_IP, .dst = PEER_IP };
    h->csum = csum_fold(csum_add(h, IP_HLEN, 0));
    put_be16(e + 28, our_port);
    put_be16(e + 30, peer_port);
    put_be32(e + 32, seq);
    put_u16(e + 2, csum_fold(csum_add(e, sizeof e, 0)));
    wire_in_ip(PEER_IP, OUR_IP, IPPROTO_ICMP, 0, 1, e, sizeof e);
    event_ns = now_ns();
}
