/* SPDX-License-Identifier: Apache-2.0 */
/* The runner of packet scripts; script.h is the manual. */
#include "script.h"

#include <stdlib.h>

#define PEER_ISN 0xfffff000u /* numbers wrap on the way */
#define OPEN_TS 1000u

static struct {
    const char *where;
    int line;
    char *words[64];
    int nwords, at;
} in;
static struct sock *l, *s;
static struct tcp *t;      /* s, referenced: to be looked at after close() */
static u16 peer_port, our_port;
static u32 ours;           /* the stack's initial number */
static u32 next_seq, next_ack; /* relative */
static u32 peer_win, tsval, their_ts;
static bool use_ts, ours_known;
static u64 event_ns, sent_pos;
static struct tseg g;

#define FAIL(...) sim_test_failed(in.where, in.line, __VA_ARGS__)

/* --- words ------------------------------------------------------------------------ */

static const char *peek(void) { return in.at < in.nwords ? in.words[in.at] : ""; }

static bool take(const char *word)
{
    if (strcmp(peek(), word) != 0)
        return false;
    in.at++;
    return true;
}

static const char *word(void)
{
    if (in.at >= in.nwords)
        FAIL("something is missing");
    return in.words[in.at++];
}

static s64 number_of(const char *w, char **end)
{
    s64 v = strtoll(w, end, 0);
    if (*end == w)
        FAIL("\"%s\" is no number", w);
    return v;
}

/* N; +N and -N count from `base`. */
static u32 place(const char *w, u32 base, char **end)
{
    bool relative = w[0] == '+' || w[0] == '-';
    return (u32)number_of(w, end) + (relative ? base : 0);
}

static s64 number(void)
{
    char *end;
    const char *w = word();
    s64 v = number_of(w, &end);
    if (*end != 0)
        FAIL("\"%s\" is no number", w);
    return v;
}

/* N or A..B */
static void range(const char *w, s64 *lo, s64 *hi)
{
    char *end;
    *lo = *hi = number_of(w, &end);
    if (strncmp(end, "..", 2) == 0)
        *hi = number_of(end + 2, &end);
    if (*end != 0)
        FAIL("\"%s\" is no range", w);
}

static const struct {
    const char *name;
    int value;
} errors[] = {
    { "EAGAIN", 11 }, { "EPIPE", 32 }, { "EINVAL", 22 }, { "ENOENT", 2 }, { "ENOPROTOOPT", 92 }, { "EADDRINUSE", 98 },
    { "ENETUNREACH", 101 }, { "ECONNABORTED", 103 }, { "ECONNRESET", 104 }, { "EISCONN", 106 }, { "ENOTCONN", 107 },
    { "ETIMEDOUT", 110 }, { "EOPNOTSUPP", 95 }, { "ECONNREFUSED", 111 }, { "EHOSTUNREACH", 113 }, { "EALREADY", 114 }, { "EINPROGRESS", 115 },
};

static s64 expected(s64 otherwise)
{
    if (!take("="))
        return otherwise;
    const char *w = peek();
    for (unsigned i = 0; i < sizeof errors / sizeof errors[0]; i++)
        if (strcmp(errors[i].name, w) == 0) {
            in.at++;
            return -errors[i].value;
        }
    return number();
}

static void returned(s64 got, s64 otherwise)
{
    s64 want = expected(otherwise);
    if (got != want)
        FAIL("returned %lld, not %lld", (long long)got, (long long)want);
    event_ns = now_ns();
}

/* --- segments ----------------------------------------------------------------------- */

static const struct {
    char letter;
    u8 flag;
} letters[] = { { 'S', TH_SYN }, { '.', TH_ACK }, { 'F', TH_FIN }, { 'R', TH_RST }, { 'P', TH_PSH }, { 'U', TH_URG },
                { 'E', 0x40 }, { 'W', 0x80 }, { '-', 0 } };

#define FO_NONE -2
#define FO_KNOWN -3
static u8 known_cookie[TCP_COOKIE_MAX]; /* the last one that the stack told */
static u32 known_len;

struct what {
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

/* The peer's segment w goes out. */
static void inject(const struct what *w)
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

static void learn(void)
{
    if (g.flags & TH_SYN) {
        ours = g.seq;
        ours_known = true;
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

/* --- calls ----------------------------------------------------------------------------- */

static void adopt(struct sock *x)
{
    if (t != NULL)
        FAIL("one connection at a time");
    s = x;
    t = tcp_of(x);
    sock_get(x);
}

static void do_listen(int backlog) { l = tcp_listener(our_port, backlog); }

static void do_accept(void)
{
    struct sock *x;
    int err = sock_accept(l, true, &x, NULL);
    if (err == 0)
        adopt(x);
    returned(err, 0);
}

/* The socket at hand, made if there is none. */
static struct sock *socket_now(void)
{
    struct sock *x = s;
    if (x == NULL) {
        CHECK_EQ(sock_create(AF_INET, SOCK_STREAM, 0, &x), 0);
        adopt(x);
    }
    return x;
}

static void do_connect(void)
{
    struct sock_addr a = in_addr(PEER_IP, 7000);
    returned(sock_connect(socket_now(), &a, true), -EINPROGRESS);
}

static void do_open(void)
{
    struct what syn = { .flags = TH_SYN, .mss = 1460, .ws = 0, .fo = -1, .sackok = true }, ack = { .flags = TH_ACK, .mss = -1, .ws = -1, .fo = -1 };
    bool ecn = false;
    u64 rtt_ns = 0;
    while (in.at < in.nwords) {
        if (take("ts"))
            use_ts = true, tsval = (u32)number();
        else if (take("nosack"))
            syn.sackok = false;
        else if (take("ws"))
            syn.ws = (s32)number();
        else if (take("mss"))
            syn.mss = (s32)number();
        else if (take("win"))
            peer_win = (u32)number();
        else if (take("rtt"))
            rtt_ns = (u64)number() * NSEC_PER_MSEC;
        else if (take("ecn"))
            ecn = true;
        else
            FAIL("open %s", peek());
    }
    if (ecn)
        syn.flags |= 0xc0;
    if (l == NULL)
        do_listen(16);
    inject(&syn);
    if (!peer_recv(&g, NSEC_PER_MSEC) || (g.flags & 0x3f) != (TH_SYN | TH_ACK))
        FAIL("no SYN-ACK");
    if (ecn && !(g.flags & 0x40))
        FAIL("no ECN");
    learn();
    sleep_ns(rtt_ns);
    inject(&ack);
    do_accept();
    t->quickacks = 0;
}

static void do_send(void)
{
    s64 n = number();
    u8 *b = kmalloc((size_t)n + 1, 0);
    stream_fill(b, sent_pos + 1, (u32)n);
    u32 flags = MSG_DONTWAIT | (take("more") ? MSG_MORE : 0);
    s64 got = send_bytes(s, b, (u32)n, flags | MSG_NOSIGNAL);
    kfree(b);
    if (got > 0)
        sent_pos += (u64)got;
    returned(got, n);
}

/* send, with MSG_FASTOPEN, on a socket that is made for it. */
static void do_fastsend(void)
{
    struct sock_addr a = in_addr(PEER_IP, 7000);
    s64 n = number();
    u8 *b = kmalloc((size_t)n + 1, 0);
    struct uio u;
    socket_now();
    stream_fill(b, sent_pos + 1, (u32)n);
    uio_kernel(&u, b, (u64)n);
    struct sock_msg m = { .uio = &u, .to = &a, .flags = MSG_DONTWAIT | MSG_NOSIGNAL | MSG_FASTOPEN };
    s64 got = sock_send(s, &m);
    kfree(b);
    if (got > 0)
        sent_pos += (u64)got;
    returned(got, n);
}

static u64 read_pos;

static void do_recv(void)
{
    s64 n = number();
    u8 *b = kmalloc((size_t)n + 1, 0);
    s64 got = recv_bytes(s, b, (u32)n, MSG_DONTWAIT);
    for (s64 i = 0; i < got; i++)
        if (b[i] != stream_byte(read_pos + 1 + (u64)i))
            FAIL("byte %llu read differs", (unsigned long long)(read_pos + 1 + (u64)i));
    kfree(b);
    if (got > 0)
        read_pos += (u64)got;
    returned(got, n);
}

static void do_close(void)
{
    sock_release(s);
    s = NULL;
    event_ns = now_ns();
}

/* Another connection from the beginning; the old socket must be closed. */
static void again(void)
{
    if (s != NULL)
        FAIL("close the old one");
    if (t != NULL)
        sock_put(&t->s);
    t = NULL;
    next_seq = next_ack = 0;
    sent_pos = read_pos = 0;
    use_ts = false;
    event_ns = now_ns();
}

static const struct {
    const char *name;
    int level, option;
} options[] = {
    { "nodelay", IPPROTO_TCP, 1 }, { "maxseg", IPPROTO_TCP, 2 }, { "cork", IPPROTO_TCP, 3 }, { "keepidle", IPPROTO_TCP, 4 },
    { "keepintvl", IPPROTO_TCP, 5 }, { "keepcnt", IPPROTO_TCP, 6 }, { "syncnt", IPPROTO_TCP, 7 }, { "linger2", IPPROTO_TCP, 8 },
    { "defer", IPPROTO_TCP, 9 }, { "clamp", IPPROTO_TCP, 10 }, { "quickack", IPPROTO_TCP, 12 }, { "usertimeout", IPPROTO_TCP, 18 },
    { "md5", IPPROTO_TCP, 14 }, { "fastopen", IPPROTO_TCP, 23 }, { "fastconnect", IPPROTO_TCP, 30 }, { "nocookie", IPPROTO_TCP, 34 }, { "lowat", IPPROTO_TCP, 25 }, { "keepalive", 1, 9 }, { "rcvbuf", 1, 8 }, { "sndbuf", 1, 7 },
    { "error", 1, 4 },
};

static void do_option(struct sock *x, bool set)
{
    const char *name = word();
    unsigned i = 0;
    while (i < sizeof options / sizeof options[0] && strcmp(options[i].name, name) != 0)
        i++;
    if (i == sizeof options / sizeof options[0])
        FAIL("option %s", name);
    s32 v = 0;
    u32 len = sizeof v;
    if (set) {
        v = (s32)number();
        returned(sock_setopt(x, options[i].level, options[i].option, &v, sizeof v), 0);
        return;
    }
    returned(sock_getopt(x, options[i].level, options[i].option, &v, &len), 0);
    s64 want = number();
    if (v != want)
        FAIL("%s is %d", name, v);
}

static void do_poll(void)
{
    static const struct {
        const char *name;
        u32 bit;
    } bits[] = { { "in", POLLIN }, { "out", POLLOUT }, { "err", POLLERR }, { "hup", POLLHUP }, { "rdhup", POLLRDHUP } };
    u32 want = 0, all = 0, got = sock_poll(s, NULL);
    for (unsigned i = 0; i < sizeof bits / sizeof bits[0]; i++)
        all |= bits[i].bit;
    while (in.at < in.nwords) {
        const char *w = word();
        for (unsigned i = 0; i < sizeof bits / sizeof bits[0]; i++)
            if (strcmp(bits[i].name, w) == 0)
                want |= bits[i].bit;
    }
    if ((got & all) != want)
        FAIL("poll %x, not %x", got & all, want);
}

/* --- what is inside --------------------------------------------------------------------- */

static void do_state(void)
{
    static const char *const names[] = { "", "ESTABLISHED", "SYN_SENT", "SYN_RCVD", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT",
                                         "CLOSED", "CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING" };
    const char *want = word();
    if (strcmp(names[t->state], want) != 0)
        FAIL("the state is %s", names[t->state]);
}

static void check_value(const char *name, s64 v)
{
    s64 lo, hi;
    range(word(), &lo, &hi);
    if (v < lo || v > hi)
        FAIL("%s is %lld", name, (long long)v);
}

static void do_count(void)
{
    static const struct {
        const char *name;
        const u64 *v;
    } counters[] = {
#define X(n) { #n, &net_counters.n },
        NET_COUNTERS(X)
#undef X
    };
    const char *name = word();
    for (unsigned i = 0; i < sizeof counters / sizeof counters[0]; i++)
        if (strcmp(counters[i].name, name) == 0) {
            check_value(name, (s64)*counters[i].v);
            return;
        }
    FAIL("counter %s", name);
}

static void do_is(void)
{
    const struct {
        const char *name;
        s64 v;
    } fields[] = {
        { "cwnd", t->cwnd / MAX(t->mss, 1) }, { "ssthresh", t->ssthresh / MAX(t->mss, 1) }, { "mss", t->mss },
        { "rto", t->rto_us / 1000 }, { "srtt", t->srtt_us8 / 8000 }, { "snd_wnd", t->snd_wnd }, { "rcvbuf", t->s.rcvbuf },
        { "sndbuf", t->s.sndbuf }, { "ca", t->ca }, { "backoff", t->backoff }, { "rcvq", t->s.rcvq_bytes },
        { "retransmits", t->total_retrans }, { "sack", t->sack_ok }, { "ts", t->ts_ok }, { "error", t->s.err },
        { "ooo", t->ooo_mem }, { "snd_wscale", t->snd_wscale }, { "ts_recent", t->ts_recent },
    };
    const char *name = word();
    for (unsigned i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (strcmp(fields[i].name, name) == 0) {
            check_value(name, fields[i].v);
            return;
        }
    FAIL("field %s", name);
}

static void do_icmp(void)
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

/* --- lines --------------------------------------------------------------------------------- */

static u64 milliseconds(void) { return (u64)number() * NSEC_PER_MSEC; }

static void none(u64 ns)
{
    if (peer_recv(&g, ns))
        FAIL("flags %x, seq %u len %u ack %u came", g.flags, g.seq - ours, g.len, g.ack - PEER_ISN);
    event_ns = now_ns();
}

static u32 listed(const struct list *head)
{
    u32 n = 0;
    for (const struct list *x = head->next; x != head; x = x->next)
        n++;
    return n;
}

static void segment_line(bool out)
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

static void shut(void)
{
    const char *how = word();
    returned(sock_shutdown(s, strcmp(how, "rd") == 0 ? 0 : strcmp(how, "wr") == 0 ? 1 : 2), 0);
}

static void choose_cc(void)
{
    const char *name = word();
    returned(sock_setopt(s, IPPROTO_TCP, 13, name, (u32)strlen(name)), 0);
}

static void step(const char *verb)
{
    u32 orphans, tw;
    if (strcmp(verb, "<") == 0 || strcmp(verb, ">") == 0)
        segment_line(verb[0] == '>');
    else if (strcmp(verb, "none") == 0)
        none(milliseconds());
    else if (strcmp(verb, "wait") == 0)
        sleep_ns(milliseconds());
    else if (strcmp(verb, "flush") == 0)
        while (peer_recv(&g, 0))
            learn();
    else if (strcmp(verb, "any") == 0)
        for (s64 n = number(); n > 0; n--) {
            if (!peer_recv(&g, NSEC_PER_MSEC))
                FAIL("%lld segments are missing", (long long)n);
            learn();
        }
    else if (strcmp(verb, "open") == 0)
        do_open();
    else if (strcmp(verb, "listen") == 0)
        do_listen(in.at < in.nwords ? (int)number() : 16);
    else if (strcmp(verb, "accept") == 0)
        do_accept();
    else if (strcmp(verb, "connect") == 0)
        do_connect();
    else if (strcmp(verb, "port") == 0)
        peer_port = (u16)number(), next_seq = next_ack = 0;
    else if (strcmp(verb, "quickack") == 0)
        t->quickacks = TCP_QUICKACKS, t->pingpong = false;
    else if (strcmp(verb, "send") == 0)
        do_send();
    else if (strcmp(verb, "recv") == 0)
        do_recv();
    else if (strcmp(verb, "fastsend") == 0)
        do_fastsend();
    else if (strcmp(verb, "socket") == 0)
        socket_now();
    else if (strcmp(verb, "again") == 0)
        again();
    else if (strcmp(verb, "sysctl") == 0)
        net_tcp_fastopen = (u32)number();
    else if (strcmp(verb, "shutdown") == 0)
        shut();
    else if (strcmp(verb, "close") == 0)
        do_close();
    else if (strcmp(verb, "closelisten") == 0)
        sock_release(l), l = NULL;
    else if (strcmp(verb, "set") == 0)
        do_option(s, true);
    else if (strcmp(verb, "lset") == 0)
        do_option(l, true);
    else if (strcmp(verb, "get") == 0)
        do_option(s, false);
    else if (strcmp(verb, "linger") == 0)
        returned(sock_setopt(s, 1, 13, (int[2]){ 1, (int)number() }, 8), 0);
    else if (strcmp(verb, "cc") == 0)
        choose_cc();
    else if (strcmp(verb, "poll") == 0)
        do_poll();
    else if (strcmp(verb, "state") == 0)
        do_state();
    else if (strcmp(verb, "count") == 0)
        do_count();
    else if (strcmp(verb, "is") == 0)
        do_is();
    else if (strcmp(verb, "timewait") == 0)
        tcp_count(&orphans, &tw), check_value("timewait", tw);
    else if (strcmp(verb, "connections") == 0)
        check_value("connections", tcp_count(&orphans, &tw));
    else if (strcmp(verb, "halfopen") == 0)
        check_value("halfopen", listed(&tcp_of(l)->l->reqs));
    else if (strcmp(verb, "memory") == 0)
        check_value("memory", (s64)net_mem_used);
    else if (strcmp(verb, "tsval") == 0)
        tsval = (u32)number();
    else if (strcmp(verb, "icmp") == 0)
        do_icmp();
    else
        FAIL("what is \"%s\"?", verb);
}

static void run_line(const char *line)
{
    char text[512];
    size_t n = strlen(line);
    if (n >= sizeof text)
        FAIL("too long");
    memcpy(text, line, n + 1);
    in.nwords = in.at = 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] == ' ')
            text[i] = 0;
        else if ((i == 0 || text[i - 1] == 0) && in.nwords < 64)
            in.words[in.nwords++] = text + i;
    }
    step(word());
    if (in.at != in.nwords)
        FAIL("\"%s\" is too much", peek());
    if (t != NULL && t->state != TCP_CLOSED)
        check_tcp(t);
}

void script_run(const char *where, const char *const *lines, const int *numbers)
{
    net_test_boot(0);
    our_port = 80;
    in.where = where;
    peer_port = 7000;
    peer_win = 30000;
    tsval = OPEN_TS;
    inject(&(struct what){ .flags = TH_ACK, .mss = -1, .ws = -1, .fo = -1 }); /* reset: by now the neighbour is known */
    CHECK(peer_recv(&g, 10 * NSEC_PER_MSEC));
    for (int i = 0; lines[i] != NULL; i++) {
        in.line = numbers[i];
        run_line(lines[i]);
    }
    if (s != NULL)
        sock_release(s);
    if (l != NULL)
        sock_release(l);
    if (t != NULL)
        sock_put(&t->s);
    sleep_ns(3000 * NSEC_PER_SEC); /* whatever still retransmits gives up */
    check_no_leak();
}
