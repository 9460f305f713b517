/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What sockets of datagrams share but those of AF_UNIX: a queue of whole packets, bounded by SO_RCVBUF and by
 * the stack's memory limit, and recvmsg(2) on it. Only the holder of the socket's `rd`
 * mutex takes packets off the queue, so data is copied to programs without the spinlock.
 */
#include "kern/uio.h"
#include "sieve.h"
#include "sock_impl.h"

#define CHUNK (16384u - NET_HEADROOM)

int pkt_from_uio(struct uio *u, u32 headroom, u32 len, struct pkt **ret)
{
    struct pkt *first = NULL;
    do {
        u32 n = MIN(len, CHUNK);
        struct pkt *p = pkt_alloc(headroom, n);
        if (p == NULL) {
            pkt_free(first);
            return -ENOBUFS;
        }
        if (first == NULL)
            first = p;
        else
            pkt_append(first, p);
        if (n > 0) {
            /* Appended packets count by themselves: grow this one and the chain's total. */
            s64 got = uio_copy_in(u, p->data, n);
            if (got != (s64)n) {
                pkt_free(first);
                return -EFAULT;
            }
            p->len += n;
            if (p != first)
                p->total_len += n;
            first->total_len += n;
        }
        len -= n;
        headroom = 0;
    } while (len > 0);
    *ret = first;
    return 0;
}

s64 pkt_to_uio(const struct pkt *p, u32 off, struct uio *u, u32 len)
{
    u32 done = 0;
    for (; p != NULL && done < len; p = p->more) {
        if (off >= p->len) {
            off -= p->len;
            continue;
        }
        u32 n = MIN(p->len - off, len - done);
        s64 got = uio_copy_out(u, p->data + off, n);
        if (got < 0)
            return done > 0 ? (s64)done : got;
        done += (u32)got;
        if ((u32)got < n)
            break;
        off = 0;
    }
    return done;
}

bool dgram_queue(struct sock *s, struct pkt *p)
{
    u32 mem = pkt_truesize(p), len = p->total_len;
    if (unlikely(mem > MAX(2 * len + 1024, PKT_SMALL_TRUESIZE))) { /* a few bytes in a large buffer: keep only the bytes */
        struct pkt *small = pkt_alloc(0, len);
        if (small != NULL && pkt_truesize(small) < mem) {
            pkt_copy_out(p, 0, pkt_put(small, len), len);
            memcpy(small->cb, p->cb, sizeof small->cb);
            small->time_ns = p->time_ns;
            pkt_free(p);
            p = small;
            mem = pkt_truesize(p);
        } else {
            pkt_free(small);
        }
    }
    sock_lock(s);
    bool ok = !s->closed && (s->rcv_mem == 0 || s->rcv_mem + mem <= s->rcvbuf) && !net_mem_full();
    if (ok) {
        s->rcv_mem += mem;
        s->rcvq_bytes += len;
        net_mem_charge(mem);
        list_push_back(&s->rcvq, &p->node);
    }
    spin_unlock_bh(&s->lock);
    if (ok)
        sock_wake(s, WAKE_IN);
    else
        pkt_free(p);
    return ok;
}

void dgram_close(struct sock *s)
{
    sock_lock(s);
    s->closed = 1;
    spin_unlock_bh(&s->lock);
    sock_put(s);
}

void dgram_purge(struct sock *s)
{
    list_for_each(p, &s->rcvq, struct pkt, node)
        net_mem_uncharge(pkt_truesize(p));
    pkt_list_free(&s->rcvq);
    s->rcv_mem = s->rcvq_bytes = 0;
}

static bool dgram_readable(struct sock *s)
{
    return !list_empty(&s->rcvq) || atomic_load(&s->err) != 0 || (s->shut & SHUT_RD_BIT) != 0;
}

struct pkt *dgram_first(struct sock *s, u32 flags, u32 *ret_off)
{
    s32 from = flags & MSG_PEEK ? atomic_load_relaxed(&s->peek_off) : -1;
    u32 at = (u32)MAX(from, 0);
    list_for_each(p, &s->rcvq, struct pkt, node) {
        if (likely(from < 0 || at < p->total_len || (at == 0 && !p->peeked))) {
            *ret_off = at;
            return p;
        }
        at -= p->total_len;
    }
    return NULL;
}

bool dgram_peekable(struct sock *s)
{
    u32 off;
    spin_lock_bh(&s->lock);
    bool any = dgram_first(s, MSG_PEEK, &off) != NULL;
    spin_unlock_bh(&s->lock);
    return any || atomic_load(&s->err) != 0 || (s->shut & SHUT_RD_BIT) != 0;
}

s64 dgram_pending(struct sock *s, bool output)
{
    if (output)
        return 0;
    sock_lock(s);
    s64 n = list_empty(&s->rcvq) ? 0 : list_first(&s->rcvq, struct pkt, node)->total_len;
    spin_unlock_bh(&s->lock);
    return n;
}

/* The datagram that is to be read, off the queue unless it is only looked at; NULL = there is none. */
static struct pkt *take_first(struct sock *s, u32 flags, u32 *ret_off)
{
    u32 mem = 0;
    sock_lock(s);
    struct pkt *p = dgram_first(s, flags, ret_off);
    if (p != NULL) {
        if (flags & MSG_PEEK) {
            p->peeked = p->total_len == 0;
        } else {
            mem = pkt_truesize(p);
            list_remove(&p->node);
            s->rcv_mem -= mem;
            s->rcvq_bytes -= p->total_len;
        }
    }
    spin_unlock_bh(&s->lock);
    net_mem_uncharge(mem);
    return p;
}

s64 dgram_recv(struct sock *s, struct sock_msg *m, dgram_from_fn *from)
{
    bool nonblock = (m->flags & MSG_DONTWAIT) != 0, peek = (m->flags & MSG_PEEK) != 0;
    u64 deadline = sock_deadline(s->rcvtimeo_ns);
    u32 off = 0;
    struct pkt *p;
    for (;;) {
        mutex_lock(&s->rd);
        s32 err = sock_take_err(s);
        if (err != 0) {
            mutex_unlock(&s->rd);
            return err;
        }
        p = take_first(s, m->flags, &off);
        if (p != NULL)
            break;
        mutex_unlock(&s->rd);
        if (s->shut & SHUT_RD_BIT)
            return nonblock ? -EAGAIN : 0;
        err = sock_wait(s, peek ? dgram_peekable : dgram_readable, deadline, nonblock, true);
        if (err != 0)
            return err;
    }
    u32 len = p->total_len, in_flags = m->flags, used = 0;
    u64 want = m->uio->remaining;
    m->flags = 0;
    s64 got = pkt_to_uio(p, off, m->uio, (u32)MIN((u64)(len - off), want));
    if (got >= 0) {
        if (len > want && len - off >= want)
            m->flags |= MSG_TRUNC;
        if (m->from != NULL)
            from(s, p, m->from);
        inet_recv_cmsgs(s, p, m, &used);
        if (s->ops->cmsgs != NULL)
            s->ops->cmsgs(s, p, m, &used);
        m->control_len = used;
        if (in_flags & MSG_TRUNC)
            got = len;
        sock_peek_move(s, in_flags, (u64)got);
    }
    mutex_unlock(&s->rd);
    if (!peek)
        pkt_free(p);
    return got;
}

u32 dgram_poll(struct sock *s)
{
    u32 ev = POLLOUT | POLLWRNORM | POLLWRBAND;
    if (atomic_load(&s->err) != 0)
        ev |= POLLERR;
    if (!list_empty(&s->rcvq))
        ev |= POLLIN | POLLRDNORM;
    if (s->shut & SHUT_RD_BIT)
        ev |= POLLIN | POLLRDNORM | POLLRDHUP;
    if (s->shut == (SHUT_RD_BIT | SHUT_WR_BIT))
        ev |= POLLHUP;
    return ev;
}

int dgram_dest(struct sock *s, const struct sock_msg *m, struct dgram_dest *ret)
{
    *ret = (struct dgram_dest){ .addr = s->faddr, .port = s->fport, .src = s->laddr, .ifindex = s->bound_if, .ttl = -1, .tos = -1 };
    if (m->to != NULL && (m->to->len != 0 || s->type == SOCK_DGRAM)) {
        int err = inet_dest_in(s, m->to, &ret->addr, &ret->port);
        if (err != 0)
            return err == -EAFNOSUPPORT && s->domain == AF_INET6 && s->type == SOCK_DGRAM ? -EINVAL : err;
    } else if (ip_is_unspec(s->faddr)) {
        return -EDESTADDRREQ;
    }
    if (ip_is_group(ret->src) || ip_equal(ret->src, ip_v4(IP_BROADCAST)))
        ret->src = inet_any(s);
    if (ip_is_group(ret->addr) && s->mc_if != 0)
        ret->ifindex = s->mc_if;
    int err = inet_send_cmsgs(m, ret);
    if (err != 0)
        return err;
    return m->control == NULL || ip_is_any(ret->src) || ip_addr_is_local(ret->src) ? 0 : -EINVAL;
}

void dgram_icmp_error(struct sock *s, const struct icmp_quote *e, u32 at, u16 port)
{
    bool large = e->err == EMSGSIZE;
    if (large && s->pmtu_disc == 0 && s->domain == AF_INET) /* IP_PMTUDISC_DONT */
        return;
    /* Without a queue only a connected socket hears of it: others could not tell which datagram it was (RFC 1122 4.1.3.3). */
    if (s->ip_recverr)
        errors_queue(s, e, at, port);
    if (s->ip_recverr || ((e->fatal || (large && s->pmtu_disc != 0)) && !ip_is_unspec(s->faddr)))
        sock_set_err(s, e->err);
}

int dgram_route(struct sock *s, const struct dgram_dest *d, u8 proto, struct ip_tx *ret)
{
    u8 ttl = ip_is_group(d->addr) ? s->mc_ttl : s->ttl;
    *ret = (struct ip_tx){ .src = d->src, .dst = d->addr, .proto = proto, .ttl = d->ttl < 0 ? ttl : (u8)d->ttl, .tos = d->tos < 0 ? s->tos : (u8)d->tos };
    int err = inet_route(s, d->addr, d->src, d->ifindex, &ret->rt);
    if (err != 0)
        return err;
    ret->src = ret->rt.src;
    if (ret->ttl == 0 && d->ttl < 0 && !ip_is_group(d->addr))
        ret->ttl = ip_hops(ret->rt.nif, d->addr);
    if (!ip_is_group(d->addr) && !s->broadcast && ip_addr_is_broadcast(ret->rt.nif, d->addr))
        return -EACCES;
    sieve_peer(d->addr);
    ret->df = s->pmtu_disc >= 2; /* IP_PMTUDISC_DO and PROBE; others let large datagrams be cut */
    return proto == IPPROTO_UDP && s->type == SOCK_DGRAM ? filter_egress(ret->rt.nif, proto, d->addr, s->lport, d->port) : 0;
}
