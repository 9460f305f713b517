/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AF_NETLINK sockets (netlink(7)) of NETLINK_ROUTE and NETLINK_SOCK_DIAG. An answer of rtnetlink.c is made whole while the request is
 * sent (its tables are small), and queued in datagrams that fit a page, the buffer of most readers; one of sock_diag.c may be long, and is made
 * as it is read (struct nl_dump). Groups are joined by bind(2) or by NETLINK_ADD_MEMBERSHIP; rtnl_watch.c tells them what changes.
 */
#include "kern/uio.h"
#include "netlink_impl.h"

#define REQUESTS_MAX 32768u /* bytes of one send */
#define DATAGRAM 3968u
#define NETLINK_BUF 212992u
#define NETLINK_ROUTE 0
#define NETLINK_SOCK_DIAG 4
#define SOL_NETLINK 270
#define GROUPS_MAX 32u /* numbers of groups; those above exist in Linux, but nothing comes by them here */
enum { NETLINK_ADD_MEMBERSHIP = 1, NETLINK_DROP_MEMBERSHIP };

static struct spinlock nl_lock = SPINLOCK_INIT("netlink");
static struct list socks = LIST_INIT(socks); /* nl_lock */

struct nl_sock {
    struct sock s;
    struct list node; /* nl_lock */
    u32 port;         /* nl_lock; set once, 0 = not yet */
    u32 groups;       /* nl_lock: a bit for each it is in */
    u32 told;         /* nl_lock: number of the last message to a group that it got */
    nl_handler *handle;      /* c: of its protocol */
    struct mutex dumping;    /* before sock */
    struct nl_dump *dump;    /* dumping: there is more to tell; the queue is not empty then. Read without */
};

static struct nl_sock *nl(struct sock *s) { return container_of(s, struct nl_sock, s); }

/* --- answers ------------------------------------------------------------------------------- */

static void queue(struct nl_answer *a)
{
    if (a->p != NULL && !sock_filter(a->to, a->p, NULL, 0))
        pkt_free(a->p);
    else if (a->p != NULL && !dgram_queue(a->to, a->p))
        sock_set_err(a->to, ENOBUFS);
    a->p = NULL;
}

void nl_begin(struct nl_answer *a, u16 type, u16 flags, const void *fixed, u32 len)
{
    a->len = 16 + len;
    ASSERT(a->len <= sizeof a->msg);
    put_u16(a->msg + 4, (u16)(type + a->gone));
    put_u16(a->msg + 6, flags);
    put_u32(a->msg + 8, a->seq);
    put_u32(a->msg + 12, a->port);
    memcpy(a->msg + 16, fixed, len);
}

void nl_attr(struct nl_answer *a, u16 type, const void *data, u32 len)
{
    u32 at = ALIGN_UP(a->len, 4u);
    ASSERT(at + 4 + len <= sizeof a->msg);
    memset(a->msg + a->len, 0, at - a->len);
    put_u16(a->msg + at, (u16)(4 + len));
    put_u16(a->msg + at + 2, type);
    memcpy(a->msg + at + 4, data, len);
    a->len = at + 4 + len;
}

void nl_attr_u32(struct nl_answer *a, u16 type, u32 v) { nl_attr(a, type, &v, sizeof v); }

const u8 *nl_attr_find(const struct nl_request *r, u32 fixed, u16 type, u32 *ret_len)
{
    for (u32 at = ALIGN_UP(fixed, 4u); at + 4 <= r->len;) {
        u32 len = get_u16(r->body + at);
        if (len < 4 || len > r->len - at)
            return NULL;
        if ((get_u16(r->body + at + 2) & 0x3fff) == type) {
            *ret_len = len - 4;
            return r->body + at + 4;
        }
        at += ALIGN_UP(len, 4u);
    }
    return NULL;
}

void nl_end(struct nl_answer *a)
{
    u32 len = a->len, size = ALIGN_UP(len, 4u);
    put_u32(a->msg, size);
    memset(a->msg + len, 0, size - len);
    if (a->p != NULL && a->p->len + size > DATAGRAM)
        queue(a);
    if (a->p == NULL && (a->p = pkt_alloc(0, DATAGRAM)) == NULL) {
        sock_set_err(a->to, ENOBUFS);
        return;
    }
    memcpy(pkt_put(a->p, size), a->msg, size);
    a->p->cb[0] = a->group;
    a->p->time_ns = wall_ns();
}

static void end_dump(struct nl_answer *a)
{
    nl_begin(a, NLMSG_DONE, NLM_F_MULTI, "\0\0\0", 4);
    nl_end(a);
}

/* Make more of a dump, until there is something to read. s->dumping held. */
static void go_on(struct nl_sock *s)
{
    struct nl_answer a = { .to = &s->s, .seq = s->dump->seq, .port = s->port };
    bool more;
    do
        more = s->dump->more(&a, s->dump);
    while (more && atomic_load_relaxed(&s->s.rcvq_bytes) == 0);
    if (!more) {
        end_dump(&a);
        kfree(s->dump);
        atomic_store(&s->dump, NULL);
    }
    queue(&a);
}

static int begin_dump(struct nl_sock *s, struct nl_answer *a)
{
    mutex_lock(&s->dumping);
    int err = s->dump != NULL ? -EBUSY : 0;
    if (err == 0) {
        a->dump->seq = a->seq;
        atomic_store(&s->dump, a->dump);
        go_on(s);
    } else {
        kfree(a->dump);
    }
    mutex_unlock(&s->dumping);
    return err;
}

static void answer(struct nl_sock *s, struct nl_answer *a, const struct nl_request *r)
{
    u8 report[4 + 16];
    int err = s->handle(a, r);
    bool dump = err == 0 && (r->flags & NLM_F_DUMP) == NLM_F_DUMP;
    if (a->dump != NULL && (err = begin_dump(s, a)) == 0)
        return;
    put_u32(report, (u32)err);
    if (dump && err == 0) {
        end_dump(a);
    } else if (err != 0 || (r->flags & NLM_F_ACK)) {
        memcpy(report + 4, r->header, 16);
        nl_begin(a, NLMSG_ERROR, 0, report, sizeof report);
        u32 size = err != 0 ? MIN(r->len, (u32)sizeof a->msg - a->len) : 0; /* what failed comes back */
        memcpy(a->msg + a->len, r->body, size);
        a->len += size;
        nl_end(a);
    }
    queue(a);
}

/* Every message of what was sent, up to the first that is none. */
static void handle_all(struct nl_sock *s, const u8 *b, u32 left)
{
    while (left >= 16) {
        u32 len = get_u32(b), step = ALIGN_UP(len, 4u);
        if (len < 16 || len > left)
            break;
        struct nl_request r = { .header = b, .type = get_u16(b + 4), .flags = get_u16(b + 6), .body = b + 16, .len = len - 16 };
        struct nl_answer a = { .to = &s->s, .seq = get_u32(b + 8), .port = s->port };
        if ((r.flags & NLM_F_REQUEST) && (r.type >= NLMSG_MIN_TYPE || (r.flags & NLM_F_ACK)))
            answer(s, &a, &r);
        b += MIN(step, left);
        left -= MIN(step, left);
    }
}

/* --- groups -------------------------------------------------------------------------------- */

/* A socket in the group that message number `n` is still to be told, referenced, or NULL. */
static struct nl_sock *member(u32 group, u32 n)
{
    struct nl_sock *found = NULL;
    spin_lock_bh(&nl_lock);
    list_for_each(s, &socks, struct nl_sock, node)
        if (found == NULL && (s->groups & group) != 0 && s->told != n) {
            found = s;
            s->told = n;
            sock_get(&s->s);
        }
    spin_unlock_bh(&nl_lock);
    return found;
}

void nl_multicast(u32 group, void (*tell)(struct nl_answer *a, const void *what), const void *what, bool gone)
{
    static u32 messages;
    u32 n = ++messages;
    struct nl_sock *s;
    while ((s = member(group, n)) != NULL) { /* others come and go meanwhile */
        struct nl_answer a = { .to = &s->s, .group = group, .gone = gone };
        tell(&a, what);
        queue(&a);
        sock_put(&s->s);
    }
}

static int join(struct nl_sock *s, u32 groups)
{
    int err = groups != 0 ? rtnl_watch() : 0;
    if (err == 0 && (groups & RTMGRP_ND_USEROPT))
        err = rtnl_option_watch();
    if (err != 0)
        return err;
    spin_lock_bh(&nl_lock);
    s->groups |= groups;
    spin_unlock_bh(&nl_lock);
    return 0;
}

static struct sock *of(struct list *node) { return &list_entry(node, struct nl_sock, node)->s; }

void netlink_find_all(struct socks_found *f)
{
    spin_lock_bh(&nl_lock);
    socks_walk(f, &socks, 1, of);
    spin_unlock_bh(&nl_lock);
}

void netlink_facts(const struct sock *s, u32 *ret_port, u64 *ret_groups)
{
    const struct nl_sock *n = container_of(s, const struct nl_sock, s);
    *ret_port = atomic_load_relaxed(&n->port);
    *ret_groups = atomic_load_relaxed(&n->groups);
}

/* --- sockets ------------------------------------------------------------------------------- */

static bool port_taken(const struct nl_sock *s, u32 port)
{
    list_for_each(o, &socks, struct nl_sock, node)
        if (o->port == port && o->s.protocol == s->s.protocol)
            return true;
    return false;
}

/* port 0: the process' number, or one that no process has. -EINVAL when s has another, -EADDRINUSE. */
static int set_port(struct nl_sock *s, u32 port)
{
    u32 pid = 1, uid, gid;
    int err = 0;
    if (sock_who != NULL)
        sock_who(&pid, &uid, &gid);
    spin_lock_bh(&nl_lock);
    if (s->port != 0) {
        err = port == 0 || port == s->port ? 0 : -EINVAL;
    } else if (port != 0) {
        err = port_taken(s, port) ? -EADDRINUSE : 0;
    } else {
        for (port = pid; port_taken(s, port); port = port == pid ? UINT32_MAX : port - 1)
            ;
    }
    if (err == 0 && s->port == 0)
        s->port = port;
    spin_unlock_bh(&nl_lock);
    return err;
}

static int address_in(const struct sock_addr *a, u32 *ret_port, u32 *ret_groups)
{
    if (a->len < 12 || a->family != AF_NETLINK)
        return -EINVAL;
    *ret_port = get_u32(a->data + 4);
    *ret_groups = get_u32(a->data + 8);
    return 0;
}

static void name_out(struct sock_addr *a, u32 port, u32 groups)
{
    memset(a->data, 0, 12);
    a->family = AF_NETLINK;
    put_u32(a->data + 4, port);
    put_u32(a->data + 8, groups);
    a->len = 12;
}

static int nl_bind(struct sock *s, const struct sock_addr *a)
{
    u32 port, groups;
    int err = address_in(a, &port, &groups);
    if (err == 0)
        err = nl(s)->port != 0 && port != nl(s)->port ? -EINVAL : set_port(nl(s), port);
    if (err != 0)
        return err;
    spin_lock_bh(&nl_lock);
    nl(s)->groups = 0; /* those of the address take the place of earlier ones */
    spin_unlock_bh(&nl_lock);
    return join(nl(s), groups);
}

static int nl_connect(struct sock *s, const struct sock_addr *a, bool nonblock)
{
    u32 port, groups;
    if (a->family == AF_UNSPEC)
        return 0;
    int err = address_in(a, &port, &groups);
    if (err == 0 && groups != 0)
        err = -EOPNOTSUPP; /* programs tell groups nothing */
    if (err == 0 && port != 0)
        err = -ECONNREFUSED; /* nobody but the kernel listens */
    return err != 0 ? err : set_port(nl(s), 0);
}

static s64 nl_send(struct sock *s, struct sock_msg *m)
{
    u32 port = 0, groups = 0, want = (u32)MIN(m->uio->remaining, (u64)REQUESTS_MAX + 1);
    int err = m->to != NULL && m->to->len != 0 ? address_in(m->to, &port, &groups) : 0;
    if (err == 0 && groups != 0)
        err = -EOPNOTSUPP;
    if (err == 0 && port != 0)
        err = -ECONNREFUSED;
    if (err == 0 && want > REQUESTS_MAX)
        err = -EMSGSIZE;
    if (err == 0)
        err = set_port(nl(s), 0);
    if (err != 0)
        return err;
    u8 *b = kmalloc(MAX(want, 16u), 0);
    if (b == NULL)
        return -ENOBUFS;
    s64 n = uio_copy_in(m->uio, b, want);
    if (n == (s64)want)
        handle_all(nl(s), b, want);
    kfree(b);
    return n >= 0 && n < (s64)want ? -EFAULT : n;
}

static void nl_from(struct sock *s, const struct pkt *p, struct sock_addr *ret) { name_out(ret, 0, (u32)p->cb[0]); /* the kernel */ }

static s64 nl_recv(struct sock *s, struct sock_msg *m)
{
    s64 n = dgram_recv(s, m, nl_from);
    if (atomic_load(&nl(s)->dump) != NULL) {
        mutex_lock(&nl(s)->dumping);
        if (nl(s)->dump != NULL && atomic_load_relaxed(&s->rcvq_bytes) == 0)
            go_on(nl(s));
        mutex_unlock(&nl(s)->dumping);
    }
    return n;
}

static int nl_getname(struct sock *s, bool peer, struct sock_addr *ret)
{
    name_out(ret, peer ? 0 : atomic_load_relaxed(&nl(s)->port), peer ? 0 : atomic_load_relaxed(&nl(s)->groups));
    return 0;
}

static int nl_setopt(struct sock *s, int level, int name, const void *val, u32 len)
{
    s32 v;
    if (level != SOL_NETLINK || (name != NETLINK_ADD_MEMBERSHIP && name != NETLINK_DROP_MEMBERSHIP))
        return -ENOPROTOOPT;
    int err = opt_int_in(val, len, &v);
    if (err != 0)
        return err;
    if (v < 1 || (u32)v > GROUPS_MAX)
        return -EINVAL;
    if (name == NETLINK_ADD_MEMBERSHIP)
        return join(nl(s), 1u << (v - 1));
    spin_lock_bh(&nl_lock);
    nl(s)->groups &= ~(1u << (v - 1));
    spin_unlock_bh(&nl_lock);
    return 0;
}

static int nl_getopt(struct sock *s, int level, int name, void *ret_val, u32 *len) { return -ENOPROTOOPT; }

static void nl_release(struct sock *s)
{
    spin_lock_bh(&nl_lock);
    list_remove(&nl(s)->node);
    spin_unlock_bh(&nl_lock);
    dgram_close(s);
}

static void nl_destroy(struct sock *s)
{
    dgram_purge(s);
    kfree(nl(s)->dump);
    kfree(nl(s));
}

static const struct sock_ops nl_ops = {
    .bind = nl_bind,
    .connect = nl_connect,
    .send = nl_send,
    .recv = nl_recv,
    .getname = nl_getname,
    .setopt = nl_setopt,
    .getopt = nl_getopt,
    .poll = dgram_poll,
    .release = nl_release,
    .destroy = nl_destroy,
};

int netlink_sock_create(int type, int protocol, struct sock **ret)
{
    if (type != SOCK_RAW && type != SOCK_DGRAM)
        return -ESOCKTNOSUPPORT;
    nl_handler *handle = protocol == NETLINK_ROUTE ? rtnl_handle : protocol == NETLINK_SOCK_DIAG ? sock_diag_handle : NULL;
    if (handle == NULL)
        return -EPROTONOSUPPORT;
    struct nl_sock *n = kzalloc(sizeof *n);
    if (n == NULL)
        return -ENOMEM;
    sock_setup(&n->s, &nl_ops, AF_NETLINK, type, protocol);
    n->s.rcvbuf = n->s.sndbuf = NETLINK_BUF;
    n->handle = handle;
    mutex_init(&n->dumping, "netlink_dump");
    spin_lock_bh(&nl_lock);
    list_push_back(&socks, &n->node);
    spin_unlock_bh(&nl_lock);
    *ret = &n->s;
    return 0;
}
