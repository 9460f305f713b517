/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket calls (kern/socket.h): what all families share. Families supply a
 * sock_ops table; this file checks arguments, implements SOL_SOCKET and the waiting rules
 * of socket(7), and owns the life of a struct sock:
 *
 *   references: one for the program (dropped by sock_release), one for each table that
 *   finds the socket, one while its timer is armed, one for each lookup in progress.
 */
#include "sock_impl.h"

void (*sock_who)(u32 *ret_pid, u32 *ret_uid, u32 *ret_gid);
void (*sock_sender)(u32 *ret_pid, u32 *ret_uid, u32 *ret_gid);
int (*sock_may_claim)(u32 pid, u32 uid, u32 gid);
bool (*sock_capable)(unsigned cap);
const struct sock_path_ops *sock_path_ops;
const struct sock_fd_ops *sock_fd_ops;

#define SOCK_BUF_DEFAULT 212992u
#define SOCK_BUF_MAX 212992u /* what SO_RCVBUF may ask for; doubled like Linux does */
#define CAP_NET_RAW 13

int sock_setup(struct sock *s, const struct sock_ops *ops, int domain, int type, int protocol)
{
    memset(s, 0, sizeof *s);
    s->ops = ops;
    ref_init(&s->refs);
    s->domain = (u16)domain;
    s->type = (u8)type;
    s->protocol = (u8)protocol;
    spin_init(&s->lock, "sock");
    wq_init(&s->wq, "sock_wq");
    mutex_init(&s->rd, "sock_rd");
    mutex_init(&s->wr, "sock_wr");
    list_init(&s->rcvq);
    s->rcvbuf = s->sndbuf = SOCK_BUF_DEFAULT;
    s->laddr = domain == AF_INET ? ip_v4(0) : IP6_ANY;
    s->mc_ttl = 1;
    s->mc_loop = 1;
    s->pmtu_disc = 1; /* IP_PMTUDISC_WANT */
    s->rcvlowat = 1;
    s->peek_off = -1;
    return 0;
}

void sock_put(struct sock *s)
{
    if (!ref_put(&s->refs))
        return;
    struct sock_extra *x = s->extra;
    s->ops->destroy(s);
    if (x != NULL)
        sock_filter_done(x);
    kfree(x);
}

struct sock_extra *sock_extra(struct sock *s)
{
    struct sock_extra *x = atomic_load(&s->extra);
    struct sock_extra *fresh = x == NULL ? kzalloc(sizeof *fresh) : NULL;
    if (fresh == NULL)
        return x;
    sock_lock(s);
    x = s->extra;
    if (x == NULL)
        atomic_store(&s->extra, x = fresh);
    spin_unlock_bh(&s->lock);
    if (x != fresh)
        kfree(fresh);
    return x;
}

void sock_unlock(struct sock *s)
{
    spin_unlock(&s->lock);
    net_kick();
    bh_enable();
}

bool sock_may(unsigned cap) { return sock_capable == NULL || sock_capable(cap); }

void sock_set_err(struct sock *s, int err)
{
    atomic_store(&s->err, err);
    sock_wake(s, POLLERR | WAKE_IN | WAKE_OUT);
}

int sock_take_err(struct sock *s)
{
    if (likely(atomic_load_relaxed(&s->err) == 0))
        return 0;
    return -atomic_xchg(&s->err, 0);
}

int sock_wait(struct sock *s, bool (*ready)(struct sock *s), u64 deadline_ns, bool nonblock, bool exclusive)
{
    if (ready(s))
        return 0;
    if (nonblock)
        return -EAGAIN;
    int err = exclusive ? wait_event_exclusive_until(&s->wq, ready(s), deadline_ns)
                        : wait_event_interruptible_until(&s->wq, ready(s), deadline_ns);
    if (err == -ETIMEDOUT)
        return -EAGAIN;
    if (err == -ERESTARTSYS && deadline_ns != NEVER_NS)
        return -EINTR; /* signal(7): calls with a time limit are not restarted */
    return err;
}

/* --- creating ------------------------------------------------------------------ */

int sock_create(int domain, int type, int protocol, struct sock **ret)
{
    if (type < 0 || type > 10)
        return -EINVAL;
    switch (domain) {
    case AF_INET:
    case AF_INET6:
        if (protocol < 0 || protocol > 255)
            return -EINVAL;
        if (type == SOCK_STREAM)
            return protocol == 0 || protocol == IPPROTO_TCP ? tcp_sock_create(domain, ret) : -EPROTONOSUPPORT;
        if (type == SOCK_DGRAM && (protocol == 0 || protocol == IPPROTO_UDP))
            return udp_sock_create(domain, ret);
        if (type == SOCK_DGRAM && protocol == (domain == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6))
            return -EACCES; /* as where net.ipv4.ping_group_range admits nobody */
        if (type == SOCK_RAW) {
            if (!sock_may(CAP_NET_RAW))
                return -EPERM;
            return protocol == 0 ? -EPROTONOSUPPORT : raw_sock_create(domain, protocol, ret);
        }
        return type == SOCK_DGRAM ? -EPROTONOSUPPORT : -ESOCKTNOSUPPORT;
    case AF_UNIX:
        if (protocol != 0 && protocol != AF_UNIX)
            return -EPROTONOSUPPORT;
        return unix_sock_create(type == SOCK_RAW ? SOCK_DGRAM : type, ret);
    case AF_NETLINK:
        return netlink_sock_create(type, protocol, ret);
    case AF_PACKET:
        return packet_sock_create(type, protocol, ret);
    default:
        return -EAFNOSUPPORT;
    }
}

int sock_create_pair(int domain, int type, int protocol, struct sock *ret[2])
{
    if (domain == AF_UNIX) {
        if (protocol != 0 && protocol != AF_UNIX)
            return -EPROTONOSUPPORT;
        return unix_sock_pair(type == SOCK_RAW ? SOCK_DGRAM : type, ret);
    }
    return domain == AF_INET || domain == AF_INET6 ? -EOPNOTSUPP : -EAFNOSUPPORT;
}

void sock_release(struct sock *s)
{
    if (s != NULL)
        s->ops->release(s);
}

void sock_set_file(struct sock *s, u64 ino)
{
    u32 pid, uid = 0, gid;
    if (sock_who != NULL)
        sock_who(&pid, &uid, &gid);
    atomic_store_relaxed(&s->uid, uid);
    atomic_store_relaxed(&s->ino, (u32)ino);
}

void socks_walk(struct socks_found *f, struct list *lists, u32 count, struct sock *(*of)(struct list *node))
{
    for (; f->list < count; f->list++, f->seen = 0) {
        struct list *head = &lists[f->list];
        f->at = 0;
        for (struct list *n = head->next; n != head; n = n->next) {
            if (f->n == SOCKS_FOUND)
                return;
            sock_found(f, of(n));
        }
    }
}

struct sock *sock_search(void (*find)(struct socks_found *f), bool (*fits)(const struct sock *s, void *ctx), void *ctx)
{
    struct socks_found f = { .list = 0 };
    struct sock *found = NULL;
    do {
        f.n = 0;
        find(&f);
        for (unsigned i = 0; i < f.n; i++)
            if (found == NULL && fits(f.s[i], ctx))
                found = f.s[i];
            else
                sock_put(f.s[i]);
    } while (found == NULL && f.n == SOCKS_FOUND);
    return found;
}

/* --- calls --------------------------------------------------------------------- */

int sock_bind(struct sock *s, const struct sock_addr *a) { return s->ops->bind ? s->ops->bind(s, a) : -EOPNOTSUPP; }

int sock_connect(struct sock *s, const struct sock_addr *a, bool nonblock)
{
    if (a->len < 2 || a->len > sizeof a->data)
        return -EINVAL;
    return s->ops->connect ? s->ops->connect(s, a, nonblock) : -EOPNOTSUPP;
}

int sock_listen(struct sock *s, int backlog) { return s->ops->listen ? s->ops->listen(s, backlog) : -EOPNOTSUPP; }

int sock_accept(struct sock *s, bool nonblock, struct sock **ret, struct sock_addr *ret_peer)
{
    return s->ops->accept ? s->ops->accept(s, nonblock, ret, ret_peer) : -EOPNOTSUPP;
}

static bool is_udp(const struct sock *s) { return s->type == SOCK_DGRAM && (s->domain == AF_INET || s->domain == AF_INET6); }

s64 sock_send(struct sock *s, struct sock_msg *m)
{
    if ((m->flags & MSG_ERRQUEUE) || ((m->flags & MSG_OOB) && s->ops->recv_oob == NULL && !is_udp(s)))
        return -EOPNOTSUPP;
    bool zerocopy = unlikely(m->flags & MSG_ZEROCOPY) && s->zerocopy && m->uio->remaining != 0;
    return zerocopy ? zc_send(s, m) : s->ops->send(s, m);
}

s64 sock_recv(struct sock *s, struct sock_msg *m)
{
    if ((m->flags & MSG_ERRQUEUE) && s->domain != AF_UNIX)
        return sock_zc(s) != NULL && !errors_ready(s) ? zc_recv(s, m) : errors_recv(s, m);
    if (m->flags & MSG_OOB)
        return s->ops->recv_oob != NULL ? s->ops->recv_oob(s, m) : is_udp(s) ? s->ops->recv(s, m) : -EINVAL; /* UDP does not mind */
    return s->ops->recv(s, m);
}

int sock_shutdown(struct sock *s, int how)
{
    if (how < 0 || how > 2)
        return -EINVAL;
    return s->ops->shutdown ? s->ops->shutdown(s, how) : -EOPNOTSUPP;
}

int sock_getname(struct sock *s, bool peer, struct sock_addr *ret) { return s->ops->getname(s, peer, ret); }

u32 sock_poll(struct sock *s, struct poll_table *pt)
{
    poll_wait(&s->wq, pt);
    atomic_fence(); /* registered before looking: no wake between is lost */
    bool told = unlikely(atomic_load_relaxed(&s->extra) != NULL) && ((sock_zc(s) != NULL && zc_ready(s)) || errors_ready(s));
    return s->ops->poll(s) | (told ? POLLERR : 0);
}

int sock_map(struct sock *s, u64 len_bytes) { return s->ops->map != NULL ? s->ops->map(s, len_bytes) : -ENODEV; }
int sock_map_page(struct sock *s, u64 index, struct page **ret) { return s->ops->map_page(s, index, ret); }

int sock_domain(const struct sock *s) { return s->domain; }
int sock_type(const struct sock *s) { return s->type; }

/* --- options ------------------------------------------------------------------- */

int opt_int_in(const void *val, u32 len, s32 *ret)
{
    if (len < sizeof(s32))
        return -EINVAL;
    memcpy(ret, val, sizeof(s32));
    return 0;
}

int opt_out(void *ret_val, u32 *len, const void *v, u32 size)
{
    u32 n = MIN(*len, size);
    memcpy(ret_val, v, n);
    *len = n;
    return 0;
}

int opt_int_out(void *ret_val, u32 *len, s32 v) { return opt_out(ret_val, len, &v, sizeof v); }

enum {
    SO_DEBUG = 1, SO_REUSEADDR, SO_TYPE, SO_ERROR, SO_DONTROUTE, SO_BROADCAST, SO_SNDBUF, SO_RCVBUF, SO_KEEPALIVE,
    SO_OOBINLINE, SO_NO_CHECK, SO_PRIORITY, SO_LINGER, SO_BSDCOMPAT, SO_REUSEPORT, SO_PASSCRED, SO_PEERCRED,
    SO_RCVLOWAT, SO_SNDLOWAT, SO_RCVTIMEO, SO_SNDTIMEO,
    SO_BINDTODEVICE = 25, SO_TIMESTAMP = 29, SO_ACCEPTCONN = 30, SO_SNDBUFFORCE = 32, SO_RCVBUFFORCE = 33,
    SO_MARK = 36, SO_PROTOCOL = 38, SO_DOMAIN = 39, SO_PEEK_OFF = 42, SO_INCOMING_CPU = 49, SO_ZEROCOPY = 60,
};
#define CAP_NET_ADMIN 12

static void set_buf(struct sock *s, bool rcv, s32 v, bool force)
{
    u32 want = v < 0 ? SOCK_BUF_MAX : (u32)v;
    if (!force && want > SOCK_BUF_MAX)
        want = SOCK_BUF_MAX;
    want = MIN(want, 1u << 28) * 2;
    if (want > net_mem_limit / 2)
        want = (u32)(net_mem_limit / 2);
    sock_lock(s);
    if (rcv) {
        s->rcvbuf = MAX(want, 2304u);
        s->rcvbuf_locked = 1;
    } else {
        s->sndbuf = MAX(want, 4608u);
        s->sndbuf_locked = 1;
    }
    if (s->ops->set_buf != NULL)
        s->ops->set_buf(s, rcv);
    sock_unlock(s);
    if (!rcv)
        sock_wake(s, WAKE_OUT);
}

static int set_timeout(u64 *ret, const void *val, u32 len)
{
    s64 tv[2];
    if (len < sizeof tv)
        return -EINVAL;
    memcpy(tv, val, sizeof tv);
    if (tv[1] < 0 || tv[1] >= 1000000)
        return -EDOM;
    if (tv[0] < 0)
        *ret = 1; /* Linux: expired at once */
    else
        *ret = (u64)tv[0] > 1000000000ULL ? 0 : (u64)tv[0] * NSEC_PER_SEC + (u64)tv[1] * 1000;
    return 0;
}

static int set_device(struct sock *s, const char *val, u32 len)
{
    char name[16] = { 0 };
    memcpy(name, val, MIN(len, (u32)sizeof name - 1));
    struct netif *nif = NULL;
    if (name[0] != '\0' && (nif = netif_by_name(name)) == NULL)
        return -ENODEV;
    s->bound_if = nif == NULL ? 0 : (u16)nif->dev->index;
    return 0;
}

static bool has_creds(const struct sock *s) { return s->domain == AF_UNIX || s->domain == AF_NETLINK; }

/* Options that are one boolean of the socket. */
static u8 *flag_of(struct sock *s, int name)
{
    switch (name) {
    case SO_REUSEADDR:
        return &s->reuse_addr;
    case SO_REUSEPORT:
        return &s->reuse_port;
    case SO_DONTROUTE:
        return &s->dontroute;
    case SO_BROADCAST:
        return &s->broadcast;
    case SO_OOBINLINE:
        return &s->oob_inline;
    case SO_PASSCRED:
        return &s->passcred;
    case SO_TIMESTAMP:
        return &s->timestamp;
    default:
        return NULL;
    }
}

static bool has_peek_off(const struct sock *s)
{
    return s->domain == AF_UNIX || ((s->domain == AF_INET || s->domain == AF_INET6) && s->type != SOCK_RAW);
}

void sock_peek_move(struct sock *s, u32 flags, u64 n)
{
    s32 at = atomic_load_relaxed(&s->peek_off);
    if (unlikely(at >= 0))
        atomic_store_relaxed(&s->peek_off, (s32)(flags & MSG_PEEK ? MIN((u64)at + n, (u64)INT32_MAX) : (u64)at - MIN((u64)at, n)));
}

static int setopt_socket(struct sock *s, int name, const void *val, u32 len)
{
    s32 v = 0;
    if (name == SO_BINDTODEVICE)
        return set_device(s, val, len);
    if (name == SO_RCVTIMEO || name == SO_SNDTIMEO)
        return set_timeout(name == SO_RCVTIMEO ? &s->rcvtimeo_ns : &s->sndtimeo_ns, val, len);
    if (name == SO_LINGER) {
        s32 l[2];
        if (len < sizeof l)
            return -EINVAL;
        memcpy(l, val, sizeof l);
        s->linger_on = l[0] != 0;
        s->linger_s = (u32)MAX(l[1], 0);
        return 0;
    }
    int err = opt_int_in(val, len, &v);
    if (err != 0)
        return err;
    if (name == SO_PASSCRED && !has_creds(s))
        return -EOPNOTSUPP;
    u8 *flag = flag_of(s, name);
    if (flag != NULL) {
        atomic_store_relaxed(flag, (u8)(v != 0));
        return 0;
    }
    switch (name) {
    case SO_KEEPALIVE:
        s->keepalive = v != 0;
        /* The protocol starts or stops its timer. */
        if (s->ops->setopt != NULL)
            s->ops->setopt(s, SOL_SOCKET, name, val, len);
        return 0;
    case SO_SNDBUF:
    case SO_RCVBUF:
        set_buf(s, name == SO_RCVBUF, v, false);
        return 0;
    case SO_SNDBUFFORCE:
    case SO_RCVBUFFORCE:
        if (!sock_may(CAP_NET_ADMIN))
            return -EPERM;
        set_buf(s, name == SO_RCVBUFFORCE, v, true);
        return 0;
    case SO_PRIORITY:
        if ((v < 0 || v > 6) && !sock_may(CAP_NET_ADMIN))
            return -EPERM;
        s->priority = (u32)v;
        return 0;
    case SO_MARK:
        if (!sock_may(CAP_NET_ADMIN))
            return -EPERM;
        s->mark = (u32)v;
        return 0;
    case SO_RCVLOWAT:
        s->rcvlowat = v <= 0 ? 1 : (u32)v;
        return 0;
    case SO_PEEK_OFF:
        if (!has_peek_off(s))
            return -EOPNOTSUPP;
        atomic_store_relaxed(&s->peek_off, v);
        return 0;
    case SO_ZEROCOPY:
        return zc_enable(s, v);
    case SO_DEBUG:
        return v != 0 && !sock_may(CAP_NET_ADMIN) ? -EACCES : 0;
    case SO_NO_CHECK: /* hints that change no result */
    case SO_BSDCOMPAT:
    case SO_INCOMING_CPU:
        return 0;
    default:
        err = sock_filter_setopt(s, name, val, len);
        return err == -ENOPROTOOPT && s->ops->setopt != NULL ? s->ops->setopt(s, SOL_SOCKET, name, val, len) : err;
    }
}

int sock_setopt(struct sock *s, int level, int name, const void *val, u32 len)
{
    if (level == SOL_SOCKET)
        return setopt_socket(s, name, val, len);
    if (s->ops->setopt == NULL)
        return s->domain == AF_UNIX ? -EOPNOTSUPP : -ENOPROTOOPT;
    return s->ops->setopt(s, level, name, val, len);
}

static int get_timeout(u64 ns, void *ret_val, u32 *len)
{
    s64 tv[2] = { (s64)(ns / NSEC_PER_SEC), (s64)(ns % NSEC_PER_SEC / 1000) };
    return opt_out(ret_val, len, tv, sizeof tv);
}

int sock_getopt(struct sock *s, int level, int name, void *ret_val, u32 *len)
{
    if (level != SOL_SOCKET || name == SO_PEERCRED || name == SO_ACCEPTCONN) {
        int err = s->ops->getopt == NULL ? -ENOPROTOOPT : s->ops->getopt(s, level, name, ret_val, len);
        if (err == -ENOPROTOOPT && level == SOL_SOCKET && name == SO_ACCEPTCONN)
            return opt_int_out(ret_val, len, 0);
        if (err == -ENOPROTOOPT && level == SOL_SOCKET) /* SO_PEERCRED of an unconnected or internet socket */
            return opt_out(ret_val, len, (const s32[3]){ 0, -1, -1 }, 12);
        return err;
    }
    if (name == SO_PASSCRED && !has_creds(s))
        return -EOPNOTSUPP;
    const u8 *flag = flag_of(s, name);
    if (flag != NULL)
        return opt_int_out(ret_val, len, *flag);
    switch (name) {
    case SO_TYPE:
        return opt_int_out(ret_val, len, s->type);
    case SO_DOMAIN:
        return opt_int_out(ret_val, len, s->domain);
    case SO_PROTOCOL:
        return opt_int_out(ret_val, len, s->protocol);
    case SO_ERROR: {
        s32 e = atomic_xchg(&s->err, 0);
        if (e == 0)
            e = atomic_xchg(&s->soft_err, 0);
        return opt_int_out(ret_val, len, e);
    }
    case SO_KEEPALIVE:
        return opt_int_out(ret_val, len, s->keepalive);
    case SO_SNDBUF:
        return opt_int_out(ret_val, len, (s32)s->sndbuf);
    case SO_RCVBUF:
        return opt_int_out(ret_val, len, (s32)s->rcvbuf);
    case SO_LINGER:
        return opt_out(ret_val, len, (const s32[2]){ s->linger_on, (s32)s->linger_s }, 8);
    case SO_RCVTIMEO:
        return get_timeout(s->rcvtimeo_ns, ret_val, len);
    case SO_SNDTIMEO:
        return get_timeout(s->sndtimeo_ns, ret_val, len);
    case SO_RCVLOWAT:
        return opt_int_out(ret_val, len, (s32)s->rcvlowat);
    case SO_SNDLOWAT:
        return opt_int_out(ret_val, len, 1);
    case SO_PRIORITY:
        return opt_int_out(ret_val, len, (s32)s->priority);
    case SO_MARK:
        return opt_int_out(ret_val, len, (s32)s->mark);
    case SO_PEEK_OFF:
        return has_peek_off(s) ? opt_int_out(ret_val, len, atomic_load_relaxed(&s->peek_off)) : -EOPNOTSUPP;
    case SO_ZEROCOPY:
        return opt_int_out(ret_val, len, s->zerocopy);
    case SO_DEBUG:
    case SO_NO_CHECK:
    case SO_BSDCOMPAT:
    case SO_INCOMING_CPU:
        return opt_int_out(ret_val, len, 0);
    case SO_BINDTODEVICE: {
        struct netif *nif = s->bound_if != 0 ? netif_by_index(s->bound_if) : NULL;
        return opt_out(ret_val, len, nif == NULL ? "" : nif->dev->name, nif == NULL ? 0 : 16);
    }
    default:
        return sock_filter_getopt(s, name, ret_val, len);
    }
}

/* --- control messages ------------------------------------------------------------ */

int sock_next_cmsg(const struct sock_msg *m, u32 *at, struct sock_cmsg *ret)
{
    u32 left = m->control != NULL && *at < m->control_len ? m->control_len - *at : 0;
    if (left < 16)
        return 0;
    const u8 *c = (const u8 *)m->control + *at;
    u64 len = get_u64(c);
    if (len < 16 || len > left)
        return -EINVAL;
    *ret = (struct sock_cmsg){ .level = (s32)get_u32(c + 8), .type = (s32)get_u32(c + 12), .len = (u32)len - 16, .data = c + 16 };
    *at += ALIGN_UP((u32)len, 8u);
    return 1;
}

void sock_put_cmsg(struct sock_msg *m, u32 *used, int level, int type, const void *data, u32 len)
{
    u32 room = m->ret_control == NULL ? 0 : m->control_len;
    u32 at = *used, padded = ALIGN_UP(16 + len, 8u);
    if (at > room || room - at < 16 + len)
        m->flags |= MSG_CTRUNC;
    if (at > room || room - at < 16)
        return;
    u32 whole = MIN(16 + len, room - at); /* as much of it as there is room for */
    u8 *c = (u8 *)m->ret_control + at;
    put_u64(c, whole);
    put_u32(c + 8, (u32)level);
    put_u32(c + 12, (u32)type);
    memcpy(c + 16, data, whole - 16);
    if (padded <= room - at)
        memset(c + whole, 0, padded - whole);
    *used = MIN(at + padded, room);
}
