/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The error queue of UDP and raw sockets with IP_RECVERR or IPV6_RECVERR (ip(7)): what an ICMP error says of a datagram, with as much of its
 * payload as was quoted, for recvmsg(MSG_ERRQUEUE). While there are any, poll() says POLLERR, and SO_ERROR is the oldest one's.
 *
 * An entry is a packet: struct told, then the payload. Its cb is the ICMP packet's struct ip_rx.
 */
#include "kern/uio.h"
#include "sock_impl.h"

#define ERRORS_MAX 64u
#define QUOTED_MAX 1280u /* bytes of payload: more than anybody quotes (RFC 1812 4.3.2.3, RFC 4443 2.4) */
#define ORIGIN_ICMP 2
#define ORIGIN_ICMP6 3

struct sock_errors {
    struct spinlock lock;
    struct list list; /* lock: struct pkt, oldest first; seen without when it is asked whether there are any */
    u32 n;            /* lock */
};

/* Behind a cmsg's header: struct sock_extended_err, and a sockaddr of where the error came from. */
struct told {
    struct {
        u32 err;
        u8 origin, type, code, pad;
        u32 info, data;
        u8 offender[28];
    } e;
    struct ip_addr dst; /* of the datagram */
    u16 port;
};

bool errors_ready(const struct sock *s)
{
    const struct sock_errors *q = sock_errors(s);
    return q != NULL && !list_empty(&q->list);
}

/* The oldest one, or NULL; what is then the oldest is the socket's error. */
static struct pkt *take(struct sock *s, struct sock_errors *q)
{
    struct pkt *p = NULL;
    struct told next = { 0 };
    spin_lock_bh(&q->lock);
    if (q->n != 0) {
        p = list_first(&q->list, struct pkt, node);
        list_remove(&p->node);
        if (--q->n != 0)
            pkt_copy_out(list_first(&q->list, struct pkt, node), 0, &next, sizeof next);
        atomic_store(&s->err, (s32)next.e.err);
    }
    spin_unlock_bh(&q->lock);
    if (p != NULL)
        net_mem_uncharge(pkt_truesize(p));
    return p;
}

int errors_enable(struct sock *s, bool on)
{
    struct sock_errors *q = sock_errors(s);
    if (s->type != SOCK_STREAM && on && q == NULL) {
        struct sock_extra *x = sock_extra(s);
        q = x != NULL ? kmalloc(sizeof *q, 0) : NULL;
        if (q == NULL)
            return -ENOMEM;
        *q = (struct sock_errors){ 0 };
        spin_init(&q->lock, "sock_errors");
        list_init(&q->list);
        sock_lock(s);
        struct sock_errors *other = x->errors;
        if (other == NULL)
            atomic_store(&x->errors, q);
        sock_unlock(s);
        if (other != NULL)
            kfree(q);
    }
    s->ip_recverr = on;
    for (struct pkt *p; !on && q != NULL && (p = take(s, q)) != NULL;)
        pkt_free(p);
    return 0;
}

void errors_drop(struct sock *s)
{
    (void)errors_enable(s, false);
    kfree(sock_errors(s));
}

static struct pkt *make(const struct icmp_quote *e, u32 at, u16 port)
{
    u32 len = e->p->total_len > at ? MIN(e->p->total_len - at, QUOTED_MAX) : 0;
    struct told t = { .e = { .err = (u32)e->err, .origin = ip_is_v4(e->dst) ? ORIGIN_ICMP : ORIGIN_ICMP6, .type = e->type, .code = e->code,
                             .info = e->info },
                      .dst = e->dst, .port = port };
    struct pkt *p = pkt_alloc(0, (u32)sizeof t + len);
    if (p == NULL)
        return NULL;
    memcpy(pkt_put(p, sizeof t), &t, sizeof t);
    pkt_copy_out(e->p, at, pkt_put(p, len), len);
    memcpy(p->cb, e->p->cb, sizeof p->cb);
    p->time_ns = wall_ns();
    return p;
}

void errors_queue(struct sock *s, const struct icmp_quote *e, u32 at, u16 port)
{
    struct sock_errors *q = sock_errors(s);
    struct pkt *p = q != NULL && !net_mem_full() ? make(e, at, port) : NULL;
    if (p == NULL)
        return;
    u32 mem = pkt_truesize(p);
    spin_lock_bh(&q->lock);
    bool room = q->n < ERRORS_MAX;
    if (room) {
        q->n++;
        list_push_back(&q->list, &p->node);
        net_mem_charge(mem);
    }
    spin_unlock_bh(&q->lock);
    if (!room)
        pkt_free(p);
}

/* The sender of the ICMP packet, as the socket's family writes it. */
static void offender_of(struct sock *s, const struct pkt *p, struct told *t)
{
    struct sock_addr a = { 0 };
    inet_name_out(s, &a, ip_rx(p)->src, 0);
    memcpy(t->e.offender, a.data, MIN(a.len, (u32)sizeof t->e.offender));
}

s64 errors_recv(struct sock *s, struct sock_msg *m)
{
    struct sock_errors *q = sock_errors(s);
    struct pkt *p = q != NULL ? take(s, q) : NULL;
    struct told t;
    bool six = s->domain == AF_INET6;
    u32 used = 0;
    if (p == NULL)
        return -EAGAIN;
    pkt_copy_out(p, 0, &t, sizeof t);
    offender_of(s, p, &t);
    u64 want = m->uio->remaining;
    u32 len = p->total_len - (u32)sizeof t;
    s64 got = pkt_to_uio(p, sizeof t, m->uio, (u32)MIN((u64)len, want));
    m->flags = MSG_ERRQUEUE | (len > want ? MSG_TRUNC : 0);
    if (m->from != NULL)
        inet_name_out(s, m->from, t.dst, t.port);
    inet_recv_cmsgs(s, p, m, &used);
    sock_put_cmsg(m, &used, six ? IPPROTO_IPV6 : IPPROTO_IP, six ? 25 : 11, &t.e, six ? 44 : 32); /* IPV6_RECVERR, IP_RECVERR */
    m->control_len = used;
    pkt_free(p);
    return got;
}
