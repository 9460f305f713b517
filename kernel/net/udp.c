/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UDP (RFC 768, 1122 section 4.1). Bound sockets hang in a hash table by local port; a
 * datagram goes to the one whose addresses fit best, a broadcast to every one that fits, one to a group to
 * those that joined it (mcast.c).
 */
#include "kern/uio.h"
#include "sieve.h"
#include "sock_impl.h"

#define UDP_BUCKETS 64u
#define UDP_MAX_PAYLOAD 65507u

struct udp_sock {
    struct sock s;
    struct list node; /* table_lock; in a bucket while s.lport != 0 */
};

static struct spinlock table_lock = SPINLOCK_INIT("net_udp");
static struct list *buckets; /* table_lock; made with the first socket */

static struct udp_sock *udp(struct sock *s) { return container_of(s, struct udp_sock, s); }

/* May s take (addr, port) beside what is there? table_lock held. */
static bool port_free(const struct sock *s, struct ip_addr addr, u16 port)
{
    list_for_each(u, &buckets[port % UDP_BUCKETS], struct udp_sock, node) {
        const struct sock *o = &u->s;
        if (o == s || o->lport != port || !inet_clash(o, s, addr))
            continue;
        if (o->bound_if != 0 && s->bound_if != 0 && o->bound_if != s->bound_if)
            continue;
        if ((s->reuse_addr && o->reuse_addr) || (s->reuse_port && o->reuse_port))
            continue;
        return false;
    }
    return true;
}

static int bind_locked(struct sock *s, struct ip_addr addr, u16 port)
{
    int err = -EADDRINUSE;
    spin_lock_bh(&table_lock);
    if (port == 0) {
        u32 span = (u32)inet_port_high() - inet_port_low() + 1, start = (u32)random_below(span);
        for (u32 i = 0; i < span && err != 0; i++) {
            port = (u16)(inet_port_low() + (start + i) % span);
            if (port_free(s, addr, port))
                err = 0;
        }
    } else if (port_free(s, addr, port)) {
        err = 0;
    }
    if (err == 0) {
        s->laddr = addr;
        s->lport = port;
        list_push_back(&buckets[port % UDP_BUCKETS], &udp(s)->node);
        sock_get(s);
    }
    spin_unlock_bh(&table_lock);
    return err;
}

static void unbind_locked(struct sock *s)
{
    bool was = false;
    spin_lock_bh(&table_lock);
    if (s->lport != 0) {
        list_remove(&udp(s)->node);
        s->lport = 0;
        was = true;
    }
    spin_unlock_bh(&table_lock);
    if (was)
        sock_put(s); /* never the last: the caller has one */
}

static int udp_bind(struct sock *s, const struct sock_addr *a)
{
    struct ip_addr addr;
    u16 port;
    int err = inet_bind_check(s, a, &addr, &port);
    if (err != 0)
        return err;
    sock_lock(s);
    err = s->lport != 0 ? -EINVAL : bind_locked(s, addr, port);
    if (err == 0)
        inet_bound(s, addr);
    sock_unlock(s);
    return err;
}

/* A port, before anything else is looked at. */
static int autobind(struct sock *s)
{
    if (s->lport != 0)
        return 0;
    sock_lock(s);
    int err = s->lport == 0 ? bind_locked(s, s->laddr, 0) : 0;
    sock_unlock(s);
    return err == -EADDRINUSE ? -EAGAIN : err;
}

static int udp_connect(struct sock *s, const struct sock_addr *a, bool nonblock)
{
    struct ip_addr addr;
    u16 port;
    int err = 0;
    if (a->family == AF_UNSPEC) {
        sock_lock(s);
        s->faddr = IP6_ANY;
        s->fport = 0;
        if (!s->laddr_bound)
            s->laddr = inet_any(s);
        sock_unlock(s);
        return 0;
    }
    err = autobind(s);
    if (err != 0)
        return err;
    if (a->family == AF_INET && s->v6only)
        return -EAFNOSUPPORT;
    err = inet_dest_in(s, a, &addr, &port);
    if (err != 0)
        return err;
    net_need(addr);
    sock_lock(s);
    struct ip_route rt;
    err = inet_route(s, addr, s->laddr, s->bound_if, &rt);
    if (err == 0 && !s->broadcast && ip_addr_is_broadcast(rt.nif, addr))
        err = -EACCES;
    if (err == 0) {
        if (ip_is_any(s->laddr))
            s->laddr = rt.src;
        s->faddr = addr;
        s->fport = port;
    }
    sock_unlock(s);
    return err;
}

static s64 udp_send(struct sock *s, struct sock_msg *m)
{
    struct dgram_dest d;
    u64 want = m->uio->remaining;
    int err = autobind(s);
    if (err != 0)
        return err;
    if (want > UDP_MAX_PAYLOAD)
        return -EMSGSIZE;
    if ((m->flags & MSG_OOB) && s->domain == AF_INET)
        return -EOPNOTSUPP;
    err = dgram_dest(s, m, &d);
    if (err == 0 && d.port == 0 && m->to != NULL)
        err = -EINVAL;
    if (err == 0 && (m->flags & MSG_OOB) && ip_is_v4(d.addr))
        err = -EOPNOTSUPP;
    if (err != 0)
        return err;
    net_need(d.addr);
    struct ip_tx tx;
    err = dgram_route(s, &d, IPPROTO_UDP, &tx);
    if (err == 0)
        err = sock_take_err(s);
    if (err == 0 && (s->shut & SHUT_WR_BIT))
        err = -EPIPE;
    if (err != 0)
        return err;
    struct pkt *p;
    err = pkt_from_uio(m->uio, NET_HEADROOM, (u32)want, &p);
    if (err != 0)
        return err;
    struct udp_hdr *h = (void *)pkt_push(p, sizeof *h);
    *h = (struct udp_hdr){ be16(s->lport), be16(d.port), be16((u16)p->total_len), 0 };
    bh_disable();
    csum_finish_l4(p, tx.rt.nif, csum_ip(tx.src), csum_ip(tx.dst), IPPROTO_UDP, offsetof(struct udp_hdr, csum));
    NET_COUNT(udp_out);
    err = dgram_output(s, p, &tx);
    net_kick();
    bh_enable();
    return err == -ENOBUFS || err == 0 ? (s64)want : err; /* a full card loses datagrams, as a wire would */
}

static void udp_from(struct sock *s, const struct pkt *p, struct sock_addr *ret) { inet_name_out(s, ret, ip_rx(p)->src, ip_rx(p)->port); }
static s64 udp_recv(struct sock *s, struct sock_msg *m) { return dgram_recv(s, m, udp_from); }

static int udp_shutdown(struct sock *s, int how)
{
    sock_lock(s);
    int err = ip_is_unspec(s->faddr) ? -ENOTCONN : 0;
    s->shut |= (u8)(how == 0 ? SHUT_RD_BIT : how == 1 ? SHUT_WR_BIT : SHUT_RD_BIT | SHUT_WR_BIT);
    sock_unlock(s);
    sock_wake(s, WAKE_IN | WAKE_OUT | POLLHUP | POLLRDHUP);
    return err;
}

static void udp_release(struct sock *s)
{
    mc_leave_all(s);
    sock_lock(s);
    s->closed = 1;
    unbind_locked(s);
    sock_unlock(s);
    sock_put(s);
}

static void udp_destroy(struct sock *s)
{
    dgram_purge(s);
    zc_drop(s);
    errors_drop(s);
    kfree(udp(s));
}

static const struct sock_ops udp_ops = {
    .bind = udp_bind,
    .connect = udp_connect,
    .send = udp_send,
    .recv = udp_recv,
    .shutdown = udp_shutdown,
    .getname = inet_getname,
    .setopt = inet_setopt,
    .getopt = inet_getopt,
    .poll = dgram_poll,
    .pending = dgram_pending,
    .release = udp_release,
    .destroy = udp_destroy,
};

int udp_sock_create(int domain, struct sock **ret)
{
    if (buckets == NULL) {
        struct list *b = kmalloc(UDP_BUCKETS * sizeof *b, 0);
        if (b == NULL)
            return -ENOMEM;
        for (unsigned i = 0; i < UDP_BUCKETS; i++)
            list_init(&b[i]);
        spin_lock_bh(&table_lock);
        if (buckets == NULL) {
            atomic_store(&buckets, b);
            b = NULL;
        }
        spin_unlock_bh(&table_lock);
        kfree(b);
    }
    struct udp_sock *u = kmalloc(sizeof *u, 0);
    if (u == NULL)
        return -ENOMEM;
    sock_setup(&u->s, &udp_ops, domain, SOCK_DGRAM, IPPROTO_UDP);
    *ret = &u->s;
    return 0;
}

/* How well a socket fits a datagram; negative = not at all. */
static int score(const struct sock *s, struct ip_addr src, u16 sport, struct ip_addr dst, u16 dport, u32 ifindex)
{
    int fit = s->lport != dport ? -1 : ip_covers(s->laddr, s->v6only, dst);
    bool connected = !ip_is_unspec(s->faddr);
    if (fit < 0 || (connected && (!ip_equal(s->faddr, src) || (s->fport != 0 && s->fport != sport))))
        return -1;
    if (s->bound_if != 0 && s->bound_if != ifindex)
        return -1;
    return fit + 4 * connected + (s->bound_if != 0);
}

/* The socket that fits best, referenced, or NULL. */
static struct sock *lookup(struct ip_addr src, u16 sport, struct ip_addr dst, u16 dport, u32 ifindex)
{
    struct sock *found = NULL;
    int best = -1;
    if (atomic_load(&buckets) == NULL)
        return NULL;
    spin_lock_bh(&table_lock);
    list_for_each(u, &buckets[dport % UDP_BUCKETS], struct udp_sock, node) {
        int sc = score(&u->s, src, sport, dst, dport, ifindex);
        if (sc > best) {
            best = sc;
            found = &u->s;
        }
    }
    if (found != NULL)
        sock_get(found);
    spin_unlock_bh(&table_lock);
    return found;
}

/* All that fit a broadcast, or are in its group, a few at a time. */
static void lookup_all(const struct ip_rx *rx, u16 dport, struct socks_found *f)
{
    if (atomic_load(&buckets) == NULL)
        return;
    bool group = ip_is_group(rx->dst);
    f->at = f->n = 0;
    spin_lock_bh(&table_lock);
    list_for_each(u, &buckets[dport % UDP_BUCKETS], struct udp_sock, node)
        if (score(&u->s, rx->src, rx->port, rx->dst, dport, rx->ifindex) >= 0 && (!group || mc_wants(&u->s, rx)))
            sock_found(f, &u->s);
    spin_unlock_bh(&table_lock);
}

bool udp_connected(const struct ip_rx *rx, u16 sport, u16 dport)
{
    struct sock *s = lookup(rx->src, sport, rx->dst, dport, rx->ifindex);
    if (s == NULL)
        return false;
    bool connected = !ip_is_unspec(s->faddr);
    sock_put(s);
    return connected;
}

static struct pkt *copy_for_one(const struct pkt *p)
{
    struct pkt *q = p->total_len > 0 ? pkt_clone_range(p, 0, p->total_len) : pkt_alloc(0, 0);
    if (q != NULL) {
        memcpy(q->cb, p->cb, sizeof q->cb);
        q->time_ns = p->time_ns;
    }
    return q;
}

/* A broadcast, at its header: to every socket that fits. Takes p. */
static void to_all(struct pkt *p, u16 dport)
{
    struct socks_found f = { .n = 0 };
    const struct udp_hdr h = *(const struct udp_hdr *)(const void *)p->data;
    pkt_pull(p, sizeof h);
    p->time_ns = wall_ns();
    do {
        lookup_all(ip_rx(p), dport, &f);
        for (unsigned i = 0; i < f.n; i++) {
            struct pkt *q = copy_for_one(p);
            if (q != NULL && !sock_filter(f.s[i], q, &h, sizeof h))
                pkt_free(q);
            else if (q == NULL || !dgram_queue(f.s[i], q))
                NET_DROP(udp_queue_full);
            sock_put(f.s[i]);
        }
    } while (f.n == SOCKS_FOUND);
    if (f.seen == 0)
        NET_DROP(udp_no_port);
    pkt_free(p);
}

void udp_input(struct netif *nif, struct pkt *p)
{
    NET_COUNT(udp_in);
    struct ip_rx *rx = ip_rx(p);
    if (pkt_pull_up(p, sizeof(struct udp_hdr)) != 0)
        goto bad;
    struct udp_hdr h = *(const struct udp_hdr *)(const void *)p->data;
    u32 len = be16(h.len);
    if (len < sizeof h || len > p->total_len)
        goto bad;
    pkt_trim(p, len);
    if (h.csum == 0 && p->csum == PKT_CSUM_NONE && !ip_is_v4(rx->src)) /* RFC 8200 8.1: IPv6 has no other */
        goto bad;
    if (h.csum != 0 && !csum_ok_l4(p, csum_ip(rx->src), csum_ip(rx->dst), IPPROTO_UDP))
        goto bad;
    rx->port = be16(h.sport);
    u16 dport = be16(h.dport);
    if (unlikely(dport == 68 && dhcp_active(nif))) {
        pkt_pull(p, sizeof h);
        dhcp_input(nif, p);
        pkt_free(p);
        return;
    }
    if (unlikely(rx->broadcast)) {
        to_all(p, dport);
        return;
    }
    struct sock *s = lookup(rx->src, rx->port, rx->dst, dport, rx->ifindex);
    if (s == NULL) {
        NET_DROP(udp_no_port);
        sieve_useless(nif, SIEVE_OTHER, 1);
        if (ip_addr_is_local(rx->dst))
            icmp_error(nif, p, 3, 3);
        pkt_free(p);
        return;
    }
    pkt_pull(p, sizeof h);
    p->time_ns = wall_ns();
    if (!sock_filter(s, p, &h, sizeof h))
        pkt_free(p);
    else if (!dgram_queue(s, p))
        NET_DROP(udp_queue_full);
    sock_put(s);
    return;
bad:
    NET_DROP(udp_bad);
    pkt_free(p);
}

void udp_icmp_error(const struct icmp_quote *e)
{
    u16 sport = get_be16(e->l4), dport = get_be16(e->l4 + 2);
    struct sock *s = lookup(e->dst, dport, e->src, sport, 0);
    if (s == NULL)
        return;
    dgram_icmp_error(s, e, e->l4_at + (u32)sizeof(struct udp_hdr), dport);
    sock_put(s);
}

static struct sock *of(struct list *node) { return &list_entry(node, struct udp_sock, node)->s; }

void udp_find_all(struct socks_found *f)
{
    spin_lock_bh(&table_lock);
    socks_walk(f, buckets, buckets != NULL ? UDP_BUCKETS : 0, of);
    spin_unlock_bh(&table_lock);
}

size_t udp_show(char *buf, size_t size, int domain)
{
    struct text t = { buf, size, 0 };
    text_add(&t, domain == AF_INET6 ? "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref "
                                      "pointer drops\n"
                                    : "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref "
                                      "pointer drops             \n");
    if (buckets == NULL)
        return t.len;
    unsigned n = 0;
    spin_lock_bh(&table_lock);
    for (unsigned i = 0; i < UDP_BUCKETS; i++)
        list_for_each(u, &buckets[i], struct udp_sock, node)
            if (u->s.domain == domain) {
                text_add(&t, "%5u:", n++);
                text_add_name(&t, domain, u->s.laddr, u->s.lport);
                text_add_name(&t, domain, u->s.faddr, u->s.fport);
                text_add(&t, " %02X 00000000:%08X 00:00000000 00000000 %5u        0 %u %u 0 0\n",
                         ip_is_unspec(u->s.faddr) ? 7 : 1, u->s.rcv_mem, u->s.uid, u->s.ino, ref_count(&u->s.refs));
            }
    spin_unlock_bh(&table_lock);
    return t.len;
}
