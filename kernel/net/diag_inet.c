/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP, UDP and raw sockets in NETLINK_SOCK_DIAG (linux/inet_diag.h). A dump of TCP has the listeners, then the table of connections bucket by
 * bucket; no lock is held from one datagram to the next.
 */
#include "diag_impl.h"
#include "tcp_impl.h"

struct sock_id {
    u16 sport, dport; /* big-endian */
    u8 src[16], dst[16];
    u32 ifindex;
    u8 cookie[8];
};
struct inet_request {
    u8 family, protocol, wanted, raw_protocol; /* wanted: a bit for each attribute, the first one's is 1 */
    u32 states;
    struct sock_id id;
};
struct inet_message {
    u8 family, state, timer, retrans;
    struct sock_id id;
    u32 expires_ms, rqueue, wqueue, uid, ino;
};
_Static_assert(sizeof(struct inet_request) == 56 && sizeof(struct inet_message) == 72, "linux/inet_diag.h");
enum {
    ATTR_MEMINFO = 1, ATTR_INFO, ATTR_CONG = 4, ATTR_TOS, ATTR_TCLASS, ATTR_SKMEMINFO, ATTR_SHUTDOWN, ATTR_PROTOCOL = 10, ATTR_V6ONLY, ATTR_MARK = 15
};
#define WANTS(r, attr) (((r)->wanted & (1u << ((attr) - 1))) != 0)
#define REQUEST_BYTECODE 1
#define CAP_NET_ADMIN 12

/* A bucket of the table: connections, referenced; of the rest what is told of them. */
#define BUCKET_MAX 32u
struct bucket {
    unsigned n;
    u64 now;
    struct tcp *t[BUCKET_MAX]; /* NULL: e is all there is */
    struct diag_entry e[BUCKET_MAX];
};

struct inet_dump {
    struct nl_dump d;
    struct inet_request r;
    struct socks_found f; /* listeners, or sockets: how far */
    u32 at;               /* the place in the table of connections */
    bool in_table;
    struct bucket b;      /* the one at hand */
    u32 filter_len;
    u8 filter[];
};

/* --- one socket ----------------------------------------------------------------------------- */

static void put_ip(u8 *ret, u8 family, struct ip_addr ip)
{
    const u32 v4 = ip_to_v4(ip);
    memset(ret, 0, 16);
    memcpy(ret, family == AF_INET ? (const void *)&v4 : (const void *)&ip, family == AF_INET ? 4 : 16);
}

static void begin(struct nl_answer *a, const struct diag_entry *e, u16 flags)
{
    struct inet_message m = { .family = e->family, .state = e->state, .timer = e->timer, .retrans = e->retrans, .expires_ms = e->expires_ms,
                              .rqueue = e->rqueue, .wqueue = e->wqueue, .uid = e->uid, .ino = e->ino };
    m.id.sport = be16(e->lport);
    m.id.dport = be16(e->fport);
    m.id.ifindex = e->ifindex;
    put_ip(m.id.src, e->family, e->laddr);
    put_ip(m.id.dst, e->family, e->faddr);
    put_u64(m.id.cookie, e->ino);
    nl_begin(a, SOCK_DIAG_BY_FAMILY, flags, &m, sizeof m);
}

static struct diag_entry entry_of(const struct sock *s)
{
    return (struct diag_entry){
        .family = (u8)s->domain, .state = ip_is_unspec(s->faddr) ? TCP_CLOSED : TCP_ESTABLISHED, .laddr = s->laddr, .faddr = s->faddr,
        .lport = s->type == SOCK_RAW ? s->protocol : s->lport, .fport = s->fport, .ifindex = s->bound_if, .mark = s->mark, .uid = s->uid, .ino = s->ino,
        .rqueue = s->rcv_mem, .wqueue = s->snd_mem,
    };
}

static u32 ms_until(u64 then, u64 now) { return then <= now ? 0 : (u32)MIN((then - now) / NSEC_PER_MSEC, (u64)UINT32_MAX); }

static void tcp_timer_of(const struct tcp *t, struct diag_entry *e)
{
    u64 now = now_ns(), rexmit = MIN(t->t_rexmit, t->t_rack);
    if (rexmit != NEVER_NS) {
        e->timer = t->persist ? DIAG_TIMER_PROBE : DIAG_TIMER_RETRANSMIT;
        e->retrans = t->persist ? t->probes : t->retransmits;
        e->expires_ms = ms_until(rexmit, now);
    } else if (t->t_keep != NEVER_NS) {
        e->timer = DIAG_TIMER_KEEPALIVE;
        e->retrans = t->probes;
        e->expires_ms = ms_until(t->t_keep, now);
    }
}

static struct diag_entry tcp_entry_of(struct tcp *t)
{
    sock_lock(&t->s);
    struct diag_entry e = entry_of(&t->s);
    e.state = t->state;
    e.rqueue = t->l != NULL ? t->l->naccept : t->s.rcvq_bytes + t->fin_rcvd;
    e.wqueue = t->l != NULL ? t->l->backlog : t->write_seq - t->snd_una;
    if (t->l == NULL)
        tcp_timer_of(t, &e);
    sock_unlock(&t->s);
    return e;
}

static void tell(struct nl_answer *a, struct sock *s, const struct diag_entry *e, const struct inet_request *r, u16 flags)
{
    struct tcp *t = s->type == SOCK_STREAM ? tcp_of(s) : NULL;
    const u32 memory[4] = { s->rcv_mem, s->snd_mem, 0, s->snd_mem };
    const u8 protocol = s->protocol;
    begin(a, e, flags);
    nl_attr(a, ATTR_SHUTDOWN, &s->shut, 1);
    if (WANTS(r, ATTR_TOS))
        nl_attr(a, ATTR_TOS, &s->tos, 1);
    if (WANTS(r, ATTR_TCLASS) && s->domain == AF_INET6)
        nl_attr(a, ATTR_TCLASS, &s->tos, 1);
    if (s->domain == AF_INET6 && (e->state == TCP_LISTEN || e->state == TCP_CLOSED))
        nl_attr(a, ATTR_V6ONLY, (const u8[1]){ s->v6only }, 1);
    if (s->mark != 0 && sock_may(CAP_NET_ADMIN))
        nl_attr_u32(a, ATTR_MARK, s->mark);
    if (s->type == SOCK_RAW)
        nl_attr(a, ATTR_PROTOCOL, &protocol, 1);
    if (WANTS(r, ATTR_MEMINFO))
        nl_attr(a, ATTR_MEMINFO, memory, sizeof memory);
    if (WANTS(r, ATTR_SKMEMINFO))
        diag_memory(a, ATTR_SKMEMINFO, s);
    if (t != NULL && WANTS(r, ATTR_INFO)) {
        u8 info[TCP_INFO_MAX];
        nl_attr(a, ATTR_INFO, info, tcp_get_info(t, info));
    }
    if (t != NULL && WANTS(r, ATTR_CONG))
        nl_attr(a, ATTR_CONG, t->cc_ops->name, (u32)strlen(t->cc_ops->name) + 1);
    nl_end(a);
}

/* --- dumps ----------------------------------------------------------------------------------- */

static bool wanted(const struct inet_dump *x, const struct diag_entry *e)
{
    const struct sock_id *id = &x->r.id;
    if (e->family != x->r.family || !(x->r.states & (1u << e->state)))
        return false;
    if ((id->sport != 0 && id->sport != be16(e->lport)) || (id->dport != 0 && id->dport != be16(e->fport)) ||
        (id->ifindex != 0 && id->ifindex != e->ifindex))
        return false;
    return diag_filter_passes(x->filter, x->filter_len, e);
}

/* The next sockets of a list; false = there are no more. */
static bool more_of(struct nl_answer *a, struct inet_dump *x, void (*find)(struct socks_found *f))
{
    x->f.n = 0;
    find(&x->f);
    for (unsigned i = 0; i < x->f.n; i++) {
        struct sock *s = x->f.s[i];
        struct diag_entry e = s->type == SOCK_STREAM ? tcp_entry_of(tcp_of(s)) : entry_of(s);
        bool raw_fits = s->type != SOCK_RAW || x->r.raw_protocol == 0 || x->r.raw_protocol == IPPROTO_RAW || x->r.raw_protocol == s->protocol;
        if (raw_fits && wanted(x, &e))
            tell(a, s, &e, &x->r, NLM_F_MULTI);
        sock_put(s);
    }
    return x->f.n == SOCKS_FOUND;
}

static void collect(const struct tcp_node *n, void *ctx)
{
    struct bucket *b = ctx;
    if (b->n == BUCKET_MAX)
        return;
    struct diag_entry *e = &b->e[b->n];
    struct tcp **t = &b->t[b->n++];
    *t = NULL;
    *e = (struct diag_entry){ .family = (u8)tcp_node_domain(n), .state = tcp_node_state(n), .laddr = n->laddr, .faddr = n->faddr, .lport = n->lport,
                              .fport = n->fport };
    if (n->kind == NODE_CONN) {
        *t = container_of((struct tcp_node *)n, struct tcp, node);
        sock_get(&(*t)->s);
    } else if (n->kind == NODE_REQ) {
        const struct tcp_req *r = container_of(n, const struct tcp_req, node);
        e->timer = DIAG_TIMER_RETRANSMIT;
        e->retrans = r->tries;
        e->expires_ms = ms_until(r->deadline_ns, b->now);
    } else {
        e->timer = DIAG_TIMER_TIMEWAIT;
        e->expires_ms = ms_until(container_of(n, const struct tcp_tw, node)->expires_ns, b->now);
    }
}

static void tell_bucket(struct nl_answer *a, const struct inet_dump *x)
{
    const struct bucket *b = &x->b;
    for (unsigned i = 0; i < b->n; i++) {
        struct tcp *t = b->t[i];
        struct diag_entry e = t != NULL ? tcp_entry_of(t) : b->e[i];
        if (wanted(x, &e)) {
            if (t != NULL) {
                tell(a, &t->s, &e, &x->r, NLM_F_MULTI);
            } else {
                begin(a, &e, NLM_F_MULTI);
                nl_end(a);
            }
        }
        if (t != NULL)
            sock_put(&t->s);
    }
}

static bool more_tcp(struct nl_answer *a, struct nl_dump *d)
{
    struct inet_dump *x = container_of(d, struct inet_dump, d);
    if (!x->in_table) {
        x->in_table = !(x->r.states & ST(LISTEN)) || !more_of(a, x, tcp_find_listeners);
        return true;
    }
    x->b.n = 0;
    x->b.now = now_ns();
    x->at = tcp_table_scan(x->at, collect, &x->b);
    tell_bucket(a, x);
    return x->at != 0;
}

static bool more_udp(struct nl_answer *a, struct nl_dump *d) { return more_of(a, container_of(d, struct inet_dump, d), udp_find_all); }
static bool more_raw(struct nl_answer *a, struct nl_dump *d) { return more_of(a, container_of(d, struct inet_dump, d), raw_find_all); }

/* --- requests --------------------------------------------------------------------------------- */

static struct ip_addr ip_of(u8 family, const u8 *b)
{
    struct ip_addr ip;
    if (family == AF_INET)
        return ip_v4(get_u32(b));
    memcpy(&ip, b, sizeof ip);
    return ip;
}

struct local {
    struct ip_addr addr;
    u16 port;
};

static bool listens_at(const struct sock *s, void *ctx)
{
    const struct local *l = ctx;
    return s->lport == l->port && ip_covers(s->laddr, s->v6only, l->addr) >= 0;
}

/* The connection that the request names, or the listener. */
static struct tcp *find_tcp(const struct inet_request *r)
{
    struct local l = { ip_of(r->family, r->id.src), be16(r->id.sport) };
    struct tcp_node *n;
    struct spinlock *part = tcp_table_find(l.addr, ip_of(r->family, r->id.dst), l.port, be16(r->id.dport), &n);
    struct tcp *t = n != NULL && n->kind == NODE_CONN ? container_of(n, struct tcp, node) : NULL;
    if (t != NULL)
        sock_get(&t->s);
    spin_unlock_bh(part);
    if (t != NULL)
        return t;
    struct sock *s = sock_search(tcp_find_listeners, listens_at, &l);
    return s != NULL ? tcp_of(s) : NULL;
}

static int one_tcp(struct nl_answer *a, const struct inet_request *r)
{
    struct tcp *t = find_tcp(r);
    if (t == NULL)
        return -ENOENT;
    int err = diag_cookie_fits(r->id.cookie, &t->s) ? 0 : -ENOENT;
    if (err == 0) {
        struct diag_entry e = tcp_entry_of(t);
        tell(a, &t->s, &e, r, 0);
    }
    sock_put(&t->s);
    return err;
}

int diag_inet(struct nl_answer *a, const struct nl_request *r)
{
    struct inet_request q;
    u32 len = 0;
    if (r->len < sizeof q)
        return -EINVAL;
    memcpy(&q, r->body, sizeof q);
    bool (*more)(struct nl_answer *, struct nl_dump *) =
        q.protocol == IPPROTO_TCP ? more_tcp : q.protocol == IPPROTO_UDP ? more_udp : q.protocol == IPPROTO_RAW ? more_raw : NULL;
    if (more == NULL)
        return -ENOENT;
    if ((r->flags & NLM_F_DUMP) != NLM_F_DUMP)
        return q.protocol == IPPROTO_TCP ? one_tcp(a, &q) : -EOPNOTSUPP;
    const u8 *filter = nl_attr_find(r, sizeof q, REQUEST_BYTECODE, &len);
    if (filter != NULL && (len < 4 || diag_filter_check(filter, len) != 0))
        return -EINVAL;
    struct inet_dump *x = kzalloc(sizeof *x + len);
    if (x == NULL)
        return -ENOMEM;
    x->d.more = more;
    x->r = q;
    x->filter_len = len;
    if (len > 0)
        memcpy(x->filter, filter, len);
    a->dump = &x->d;
    return 0;
}
