/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AF_UNIX (unix(7)): stream, datagram and seqpacket sockets of one machine. Their names are in unix_name.c, what they send each
 * other in unix_msg.c.
 *
 * Locks: unix_lock guards peer links, the name table and accept queues; it is taken before
 * no other lock but a wait queue's. A socket's own lock guards its receive queue.
 */
#include "unix_impl.h"

#define UNIX_BUF 212992u

struct spinlock unix_lock = SPINLOCK_INIT("unix");
struct list unix_all[UNIX_LISTS];

static u32 next_list; /* unix_lock */

static const struct sock_ops unix_ops;

void unix_who(struct cred3 *c)
{
    *c = (struct cred3){ 1, 0, 0 };
    if (sock_who != NULL)
        sock_who(&c->pid, &c->uid, &c->gid);
}

struct unix_sock *unix_peer_get(struct unix_sock *u)
{
    spin_lock_bh(&unix_lock);
    struct unix_sock *p = u->peer;
    if (p != NULL)
        sock_get(&p->s);
    spin_unlock_bh(&unix_lock);
    return p;
}

/* --- making and connecting ------------------------------------------------------- */

static struct unix_sock *create(int type)
{
    struct unix_sock *u = kzalloc(sizeof *u);
    if (u == NULL)
        return NULL;
    sock_setup(&u->s, &unix_ops, AF_UNIX, type, 0);
    u->s.rcvbuf = u->s.sndbuf = UNIX_BUF;
    list_init(&u->accepts);
    list_init(&u->accept_node);
    list_init(&u->waiting);
    list_init(&u->wait_node);
    unix_who(&u->cred);
    u->peer_cred = (struct cred3){ 0, 0xffffffff, 0xffffffff };
    spin_lock_bh(&unix_lock);
    if (unix_all[0].next == NULL)
        for (unsigned i = 0; i < UNIX_LISTS; i++)
            list_init(&unix_all[i]);
    list_push_back(&unix_all[next_list++ % UNIX_LISTS], &u->all_node);
    spin_unlock_bh(&unix_lock);
    return u;
}

int unix_sock_create(int type, struct sock **ret)
{
    if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET)
        return -ESOCKTNOSUPPORT;
    struct unix_sock *u = create(type);
    if (u == NULL)
        return -ENOMEM;
    *ret = &u->s;
    return 0;
}

static void pair(struct unix_sock *a, struct unix_sock *b)
{
    sock_get(&a->s);
    sock_get(&b->s);
    a->peer = b;
    b->peer = a;
    a->had_peer = b->had_peer = !unix_is_dgram(a);
    a->peer_cred = b->cred;
    b->peer_cred = a->cred;
}

int unix_sock_pair(int type, struct sock *ret[2])
{
    int err = unix_sock_create(type, &ret[0]);
    if (err != 0)
        return err;
    err = unix_sock_create(type, &ret[1]);
    if (err != 0) {
        sock_release(ret[0]);
        return err;
    }
    pair(un(ret[0]), un(ret[1]));
    return 0;
}

static int unix_listen(struct sock *s, int backlog)
{
    struct unix_sock *u = un(s);
    int err = 0;
    if (unix_is_dgram(u))
        return -EOPNOTSUPP;
    spin_lock_bh(&unix_lock);
    if (u->name == NULL || u->had_peer) {
        err = -EINVAL;
    } else {
        u->listening = true;
        u->backlog = backlog < 0 ? 4096 : MIN((u32)backlog, 4096u);
        unix_who(&u->cred);
        u->peer_cred = u->cred;
    }
    spin_unlock_bh(&unix_lock);
    wq_wake_all(&s->wq, POLLOUT);
    return err;
}

static bool may_join(struct sock *s)
{
    const struct unix_sock *u = un(s);
    return u->naccept <= u->backlog || !u->listening || u->dead;
}

static int connect_stream(struct unix_sock *u, const struct sock_addr *a, bool nonblock)
{
    struct unix_sock *l, *child = create(u->s.type);
    u64 deadline = sock_deadline(u->s.sndtimeo_ns);
    if (child == NULL)
        return -ENOMEM;
    int err = unix_lookup(a, u->s.type, &l);
    if (err != 0) {
        sock_release(&child->s);
        return err;
    }
    for (;;) {
        spin_lock_bh(&unix_lock);
        if (!l->listening || l->dead || (l->s.shut & SHUT_RD_BIT))
            err = -ECONNREFUSED;
        else if (l->naccept > l->backlog)
            err = -EAGAIN;
        else if (u->had_peer || u->listening)
            err = u->listening ? -EINVAL : -EISCONN;
        if (err == 0) {
            pair(u, child);
            child->cred = l->cred;
            u->peer_cred = l->cred;
            child->name = unix_name_get(l->name); /* shown by getsockname(); not in the table */
            list_init(&child->name_node);
            child->embryo = true;
            list_push_back(&l->accepts, &child->accept_node);
            l->naccept++;
        }
        spin_unlock_bh(&unix_lock);
        if (err != -EAGAIN)
            break;
        err = sock_wait(&l->s, may_join, deadline, nonblock, false);
        if (err != 0)
            break;
    }
    if (err == 0)
        sock_wake(&l->s, POLLIN | POLLRDNORM);
    else
        sock_release(&child->s);
    unix_put(l);
    return err;
}

int unix_set_peer(struct unix_sock *u, struct unix_sock *old, struct unix_sock *to)
{
    spin_lock_bh(&unix_lock);
    struct unix_sock *was = u->peer;
    bool same = old == NULL || was == old, ok = to == NULL || unix_may_send_locked(u, to);
    if (same && ok) {
        u->peer = to;
        list_remove_init(&u->wait_node);
    }
    spin_unlock_bh(&unix_lock);
    if (!same || !ok)
        return ok ? 0 : -EPERM;
    if (was != NULL)
        sock_wake(&u->s, POLLOUT | POLLWRNORM | POLLWRBAND); /* who waits for room in the queue of that one waits in vain */
    if (was != NULL && was != to && !list_empty(&u->s.rcvq)) { /* what it had sent is lost, which it hears of */
        mutex_lock(&u->s.rd); /* a reader may have the first of it */
        unix_drain(u);
        mutex_unlock(&u->s.rd);
        if (!was->dead && was->peer == u) {
            atomic_store(&was->s.err, ECONNRESET);
            sock_wake(&was->s, POLLERR);
        }
        unix_made_room(u);
    }
    unix_put(was);
    return 0;
}

static int unix_connect(struct sock *s, const struct sock_addr *a, bool nonblock)
{
    struct unix_sock *u = un(s), *to = NULL;
    if (a->family == AF_UNIX)
        unix_name_for_creds(u);
    if (!unix_is_dgram(u))
        return connect_stream(u, a, nonblock);
    if (a->family != AF_UNSPEC) {
        int err = unix_lookup(a, SOCK_DGRAM, &to);
        if (err != 0)
            return err;
    }
    int err = unix_set_peer(u, NULL, to);
    if (err != 0)
        unix_put(to);
    return err;
}

static bool has_child(struct sock *s) { return !list_empty(&un(s)->accepts) || un(s)->dead; }

static int unix_accept(struct sock *s, bool nonblock, struct sock **ret, struct sock_addr *ret_peer)
{
    struct unix_sock *u = un(s), *child = NULL;
    u64 deadline = sock_deadline(s->rcvtimeo_ns);
    if (unix_is_dgram(u))
        return -EOPNOTSUPP;
    if (ret == NULL)
        return u->listening ? sock_wait(s, has_child, deadline, nonblock, true) : -EINVAL;
    for (;;) {
        if (!u->listening)
            return -EINVAL;
        spin_lock_bh(&unix_lock);
        struct list *n = list_pop_front(&u->accepts);
        if (n != NULL) {
            child = list_entry(n, struct unix_sock, accept_node);
            u->naccept--;
            child->embryo = false;
            if (ret_peer != NULL)
                unix_name_out(child->peer != NULL ? child->peer->name : NULL, ret_peer);
        }
        spin_unlock_bh(&unix_lock);
        if (child != NULL)
            break;
        int err = sock_wait(s, has_child, deadline, nonblock, true);
        if (err != 0)
            return err;
    }
    wq_wake_all(&s->wq, POLLOUT); /* somebody may wait for room */
    *ret = &child->s;
    return 0;
}

/* --- the end ------------------------------------------------------------------------------------ */

static int unix_shutdown(struct sock *s, int how)
{
    struct unix_sock *u = un(s), *p = unix_peer_get(u);
    u8 bits = (u8)(how == 0 ? SHUT_RD_BIT : how == 1 ? SHUT_WR_BIT : SHUT_RD_BIT | SHUT_WR_BIT);
    spin_lock_bh(&s->lock);
    s->shut |= bits;
    spin_unlock_bh(&s->lock);
    if (p != NULL && !unix_is_dgram(u)) {
        spin_lock_bh(&p->s.lock);
        p->s.shut |= (u8)((bits & SHUT_RD_BIT ? SHUT_WR_BIT : 0) | (bits & SHUT_WR_BIT ? SHUT_RD_BIT : 0));
        spin_unlock_bh(&p->s.lock);
        wq_wake_all(&p->s.wq, POLLIN | POLLOUT | POLLRDHUP | POLLHUP | POLLRDNORM);
    }
    wq_wake_all(&s->wq, POLLIN | POLLOUT | POLLRDHUP | POLLHUP | POLLRDNORM);
    unix_put(p);
    return 0;
}

static void unix_release(struct sock *s)
{
    struct unix_sock *u = un(s), *peer;
    struct list children, *n;
    list_init(&children);
    spin_lock_bh(&s->lock);
    const struct list *first = s->rcvq.next;
    if (first != &s->rcvq && list_entry(first, struct pkt, node)->total_len == 0) /* the mark of an urgent byte is nothing, nor is one empty packet */
        first = first->next;
    bool unread = first != &s->rcvq;
    u->dead = true; /* queue() looks under this lock */
    spin_unlock_bh(&s->lock);
    spin_lock_bh(&unix_lock);
    u->listening = false;
    list_remove(&u->all_node);
    if (u->name != NULL && !list_empty(&u->name_node))
        list_remove_init(&u->name_node);
    peer = u->peer;
    u->peer = NULL;
    list_remove_init(&u->wait_node);
    bool lost = unread || u->embryo;
    list_splice_back(&children, &u->accepts);
    u->naccept = 0;
    spin_unlock_bh(&unix_lock);
    while ((n = list_pop_front(&children)) != NULL)
        sock_release(&list_entry(n, struct unix_sock, accept_node)->s);
    if (peer != NULL && u->had_peer) {
        spin_lock_bh(&peer->s.lock);
        if (lost)
            atomic_store(&peer->s.err, ECONNRESET); /* first: who sees the end sees of which kind it is */
        atomic_store(&peer->s.shut, (u8)(SHUT_RD_BIT | SHUT_WR_BIT));
        spin_unlock_bh(&peer->s.lock);
        wq_wake_all(&peer->s.wq, POLLIN | POLLOUT | POLLHUP | POLLRDHUP | POLLRDNORM | POLLWRNORM);
    }
    unix_put(peer);
    wq_wake_all(&s->wq, POLLIN | POLLOUT | POLLHUP);
    unix_wake_waiting(u);
    unix_drain(u);
    sock_put(s);
}

static void unix_destroy(struct sock *s)
{
    struct unix_sock *u = un(s);
    unix_drain(u);
    unix_name_put(u->name);
    kfree(u);
}

/* --- questions ---------------------------------------------------------------------------------- */

/* With a good part of the buffer free, so that writers do not wake for each byte. */
static bool writable(const struct unix_sock *u, struct unix_sock *p)
{
    return p->s.rcv_mem * 4 <= p->s.rcvbuf || (u->s.shut & SHUT_WR_BIT) || (unix_is_dgram(u) && unix_has_room(&p->s));
}

static u32 unix_poll(struct sock *s)
{
    struct unix_sock *u = un(s);
    u32 ev = 0;
    if (!list_empty(u->listening ? &u->accepts : &s->rcvq))
        ev |= POLLIN | POLLRDNORM;
    if (atomic_load(&u->oob) != NULL)
        ev |= POLLPRI;
    if (atomic_load(&s->err) != 0)
        ev |= POLLERR;
    if (s->shut & SHUT_RD_BIT)
        ev |= POLLIN | POLLRDNORM | POLLRDHUP;
    if (s->shut == (SHUT_RD_BIT | SHUT_WR_BIT) || (!unix_is_dgram(u) && !u->had_peer && !u->listening))
        ev |= POLLHUP;
    if (u->listening)
        return ev;
    struct unix_sock *p = unix_peer_get(u);
    bool room = p == NULL || writable(u, p);
    if (!room) {
        unix_wants_room(u, p);
        room = writable(u, p);
    }
    if (room)
        ev |= POLLOUT | POLLWRNORM | POLLWRBAND;
    unix_put(p);
    return ev;
}

static int unix_getname(struct sock *s, bool peer, struct sock_addr *ret)
{
    struct unix_sock *u = un(s);
    int err = 0;
    spin_lock_bh(&unix_lock);
    if (!peer)
        unix_name_out(u->name, ret);
    else if (u->peer == NULL)
        err = -ENOTCONN;
    else
        unix_name_out(u->peer->name, ret);
    spin_unlock_bh(&unix_lock);
    return err;
}

static int unix_getopt(struct sock *s, int level, int name, void *ret_val, u32 *len)
{
    struct unix_sock *u = un(s);
    if (level != 1)
        return -EOPNOTSUPP;
    if (name == 30) /* SO_ACCEPTCONN */
        return opt_int_out(ret_val, len, u->listening);
    if (name == 17) /* SO_PEERCRED */
        return opt_out(ret_val, len, &u->peer_cred, sizeof u->peer_cred);
    return -ENOPROTOOPT;
}

static s64 unix_pending(struct sock *s, bool output)
{
    struct unix_sock *u = un(s);
    if (u->listening)
        return -EINVAL;
    if (output) {
        struct unix_sock *p = unix_peer_get(u);
        s64 n = p == NULL ? 0 : atomic_load(&p->s.rcvq_bytes);
        unix_put(p);
        return n;
    }
    return unix_is_dgram(u) ? dgram_pending(s, false) : atomic_load(&s->rcvq_bytes);
}

static const struct sock_ops unix_ops = {
    .bind = unix_bind,
    .connect = unix_connect,
    .listen = unix_listen,
    .accept = unix_accept,
    .send = unix_send,
    .recv = unix_recv,
    .recv_oob = unix_recv_oob,
    .shutdown = unix_shutdown,
    .getname = unix_getname,
    .getopt = unix_getopt,
    .poll = unix_poll,
    .pending = unix_pending,
    .release = unix_release,
    .destroy = unix_destroy,
};
