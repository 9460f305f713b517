/* SPDX-License-Identifier: Apache-2.0 */
/* The runner of packet scripts; script.h is the manual. */
#include "script_impl.h"

#include <stdlib.h>

#define OPEN_TS 1000u

struct script_line in;
static struct sock *l, *s;
static struct tcp *t;      /* s, referenced: to be looked at after close() */
static u64 sent_pos;

/* --- words ------------------------------------------------------------------------ */

const char *peek(void) { return in.at < in.nwords ? in.words[in.at] : ""; }

bool take(const char *word)
{
    if (strcmp(peek(), word) != 0)
        return false;
    in.at++;
    return true;
}

const char *word(void)
{
    if (in.at >= in.nwords)
        FAIL("something is missing");
    return in.words[in.at++];
}

s64 number_of(const char *w, char **end)
{
    s64 v = strtoll(w, end, 0);
    if (*end == w)
        FAIL("\"%s\" is no number", w);
    return v;
}

u32 place(const char *w, u32 base, char **end)
{
    bool relative = w[0] == '+' || w[0] == '-';
    return (u32)number_of(w, end) + (relative ? base : 0);
}

s64 number(void)
{
    char *end;
    const char *w = word();
    s64 v = number_of(w, &end);
    if (*end != 0)
        FAIL("\"%s\" is no number", w);
    return v;
}

void range(const char *w, s64 *lo, s64 *hi)
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
    u32 flags = MSG_DONTWAIT | (take("more") ? MSG_MORE : 0) | (take("oob") ? MSG_OOB : 0);
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

/* The urgent byte, which is byte `at` of the stream. */
static void do_recvoob(void)
{
    u8 b;
    s64 got = recv_bytes(s, &b, 1, MSG_DONTWAIT | MSG_OOB);
    s32 at = number();
    if (got == 1 && b != stream_byte((u64)at))
        FAIL("not byte %d", at);
    returned(got, 1);
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
    { "error", 1, 4 }, { "recverr", IPPROTO_IP, 11 },
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

static void do_sysctl(void)
{
    const char *name = word();
    if (in.at == in.nwords) {
        in.at--;
        net_tcp_fastopen = (u32)number();
        return;
    }
    const struct sysctl_range *r = net_tcp_settings;
    while (r->name != NULL && strcmp(strrchr(r->name, '/') + 1, name) != 0)
        r++;
    if (r->name == NULL)
        FAIL("sysctl %s", name);
    *r->value = (u32)number();
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

/* --- lines --------------------------------------------------------------------------------- */

static u64 milliseconds(void) { return (u64)number() * NSEC_PER_MSEC; }

static u32 listed(const struct list *head)
{
    u32 n = 0;
    for (const struct list *x = head->next; x != head; x = x->next)
        n++;
    return n;
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
    else if (strcmp(verb, "disconnect") == 0)
        returned(sock_connect(s, &(struct sock_addr){ .family = 0, .len = 16 }, true), 0);
    else if (strcmp(verb, "port") == 0)
        peer_port = (u16)number(), next_seq = next_ack = 0;
    else if (strcmp(verb, "quickack") == 0)
        t->quickacks = TCP_QUICKACKS, t->pingpong = false;
    else if (strcmp(verb, "send") == 0)
        do_send();
    else if (strcmp(verb, "recv") == 0)
        do_recv();
    else if (strcmp(verb, "recvoob") == 0)
        do_recvoob();
    else if (strcmp(verb, "skip") == 0)
        read_pos += (u64)number();
    else if (strcmp(verb, "fastsend") == 0)
        do_fastsend();
    else if (strcmp(verb, "socket") == 0)
        socket_now();
    else if (strcmp(verb, "again") == 0)
        again();
    else if (strcmp(verb, "sysctl") == 0)
        do_sysctl();
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
    else if (strcmp(verb, "path") == 0)
        pmtu_learn(ip_v4(PEER_IP), (u32)number());
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
