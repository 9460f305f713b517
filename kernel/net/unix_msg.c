/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages between AF_UNIX sockets. One is a packet chain on the receiver's queue; cb holds what travels with it. A
 * sender charges the receiver's queue (rcv_mem against rcvbuf) and waits on the receiver's
 * wait queue, which a reader wakes after making room; a connected sender's own queue is
 * woken, too, for poll.
 */
#include "kern/uio.h"
#include "unix_impl.h"

#define UNIX_MSG_MAX (256u * 1024)  /* one datagram */
#define UNIX_CHUNK 32768u           /* one piece of a stream */
#define SCM_RIGHTS 1
#define SCM_CREDENTIALS 2
#define SCM_MAX_FD 253u

/* What a message carries besides bytes. */
struct umsg {
    void *rights;
    struct unix_sock *from; /* of a datagram: its name when it is read counts */
    struct cred3 cred;      /* nobody's where neither side wanted to know */
    u32 mem;
};
_Static_assert(sizeof(struct umsg) <= sizeof(((struct pkt *)0)->cb), "fits");
static struct umsg *umsg(struct pkt *p) { return (struct umsg *)(void *)p->cb; }

static void msg_free(struct pkt *p)
{
    struct umsg *m = umsg(p);
    if (m->rights != NULL)
        sock_fd_ops->drop(m->rights);
    unix_put(m->from);
    net_mem_uncharge(m->mem);
    pkt_free(p);
}

static int parse_control(const struct sock_msg *m, struct umsg *ret)
{
    struct sock_cmsg c;
    u32 at = 0;
    int err;
    while ((err = sock_next_cmsg(m, &at, &c)) > 0) {
        if (c.level == 1 && c.type == SCM_RIGHTS && c.len >= 4) {
            err = sock_fd_ops == NULL ? -EOPNOTSUPP : sock_fd_ops->take((const s32 *)(const void *)c.data, c.len / 4, &ret->rights);
            if (err != 0)
                return err;
        } else if (c.level == 1 && c.type == SCM_CREDENTIALS) {
            struct cred3 want;
            if (c.len != sizeof want)
                return -EINVAL;
            memcpy(&want, c.data, sizeof want);
            err = sock_may_claim != NULL ? sock_may_claim(want.pid, want.uid, want.gid) : 0;
            if (err != 0)
                return err;
            ret->cred = want;
        } else if (c.level == 1 && c.type != SCM_RIGHTS) {
            return -EINVAL;
        }
    }
    return err;
}

static void put_control(struct sock *s, struct pkt *p, struct sock_msg *m, u32 in_flags, u32 *used)
{
    struct umsg *x = umsg(p);
    if (s->passcred && *used == 0)
        sock_put_cmsg(m, used, 1, SCM_CREDENTIALS, &x->cred, sizeof x->cred);
    if (x->rights == NULL)
        return;
    u32 room = m->ret_control == NULL || m->control_len < *used + 16 ? 0 : (m->control_len - *used - 16) / 4;
    s32 fds[SCM_MAX_FD];
    bool cut = room == 0, peek = (in_flags & MSG_PEEK) != 0;
    u32 n = sock_fd_ops->give(x->rights, fds, MIN(room, SCM_MAX_FD), (in_flags & MSG_CMSG_CLOEXEC) != 0, peek, &cut);
    if (!peek)
        x->rights = NULL;
    if (n > 0)
        sock_put_cmsg(m, used, 1, SCM_RIGHTS, fds, 4 * n);
    if (cut)
        m->flags |= MSG_CTRUNC;
}

/* Whose message it is. */
static void put_name(struct unix_sock *u, struct pkt *p, struct sock_msg *m)
{
    if (m->from == NULL)
        return;
    spin_lock_bh(&unix_lock);
    const struct unix_sock *from = unix_is_dgram(u) ? umsg(p)->from : u->peer;
    if (from != NULL && from->name != NULL)
        unix_name_out(from->name, m->from);
    spin_unlock_bh(&unix_lock);
}

/* --- send -------------------------------------------------------------------------------- */

static bool full(const struct sock *s) { return s->rcv_mem >= s->rcvbuf || (net_mem_full() && s->rcv_mem > 0); }

bool unix_has_room(struct sock *s) { return !full(s) || un(s)->dead || (s->shut & SHUT_RD_BIT) != 0; }

/* Why nothing can be sent to it any more. */
static int gone(const struct unix_sock *to) { return to->dead && unix_is_dgram(to) ? -ECONNREFUSED : -EPIPE; }

/* Queue p for `to`. 0, gone(), -EAGAIN (full). Takes p when 0. */
static int queue(struct unix_sock *to, struct pkt *p, bool urgent)
{
    struct sock *r = &to->s;
    int err = 0;
    spin_lock_bh(&r->lock);
    if (to->dead || (r->shut & SHUT_RD_BIT)) {
        err = gone(to);
    } else if (full(r)) {
        err = -EAGAIN;
    } else {
        umsg(p)->mem = pkt_truesize(p);
        net_mem_charge(umsg(p)->mem);
        r->rcv_mem += umsg(p)->mem;
        list_push_back(&r->rcvq, &p->node);
        atomic_store(&r->rcvq_bytes, r->rcvq_bytes + p->total_len);
        if (urgent) {
            atomic_store(&to->oob, p);
            unix_oob_moved(to);
        }
    }
    spin_unlock_bh(&r->lock);
    if (err == 0)
        sock_wake(r, WAKE_IN | (urgent ? POLLMSG : 0));
    return err;
}

static s64 send_to(struct unix_sock *u, struct unix_sock *to, struct sock_msg *m, struct umsg *first)
{
    bool stream = u->s.type == SOCK_STREAM, nonblock = (m->flags & MSG_DONTWAIT) != 0;
    u64 deadline = sock_deadline(u->s.sndtimeo_ns), done = 0;
    int err = 0;
    do {
        struct pkt *p;
        u64 left = m->uio->remaining;
        bool urgent = (m->flags & MSG_OOB) != 0 && left == 1; /* the last byte, which goes alone */
        u32 n = (u32)(stream ? MIN(left - ((m->flags & MSG_OOB) != 0 && left > 1), (u64)UNIX_CHUNK) : left);
        bool shut = (u->s.shut & SHUT_WR_BIT) != 0;
        if (stream && n > 0 && !shut)
            err = sock_take_err(&u->s);
        if (err == 0 && shut)
            err = -EPIPE;
        if (stream && n == 0)
            break;
        /* Wait before copying, so that an interrupted call has taken nothing. */
        while (err == 0 && !unix_has_room(&to->s)) {
            unix_wants_room(u, to);
            err = sock_wait(&to->s, unix_has_room, deadline, nonblock, false);
        }
        if (err == 0 && (to->dead || (to->s.shut & SHUT_RD_BIT)))
            err = gone(to);
        if (err == 0)
            err = pkt_from_uio(m->uio, 0, n, &p);
        if (err != 0)
            break;
        if (!stream && !sock_filter(&to->s, p, NULL, 0)) { /* the sender is not told */
            pkt_free(p);
            done = n;
            break;
        }
        memset(p->cb, 0, sizeof p->cb);
        *umsg(p) = *first;
        if (first->rights != NULL)
            sock_fd_ops->hold(first->rights, &to->s);
        first->rights = NULL; /* descriptors go with the first byte */
        if (umsg(p)->from != NULL)
            sock_get(&u->s);
        while ((err = queue(to, p, urgent)) == -EAGAIN) { /* another sender was quicker */
            err = sock_wait(&to->s, unix_has_room, deadline, nonblock, false);
            if (err != 0)
                break;
        }
        if (err != 0) {
            msg_free(p);
            break;
        }
        done += n;
    } while (stream && m->uio->remaining > 0);
    return done > 0 || err == 0 ? (s64)done : err;
}

/* Where m goes, referenced; *ret is untouched or NULL on failure. */
static int receiver(struct unix_sock *u, const struct sock_msg *m, struct unix_sock **ret)
{
    bool named = m->to != NULL && m->to->len > 0;
    int err = 0;
    if ((m->flags & MSG_OOB) && (u->s.type != SOCK_STREAM || m->uio->remaining == 0))
        return -EOPNOTSUPP;
    if (named && u->s.type == SOCK_STREAM)
        return u->had_peer ? -EISCONN : -EOPNOTSUPP;
    bool by_name = named && unix_is_dgram(u);
    if (u->s.type != SOCK_STREAM) {
        if (by_name && (err = unix_name_check(m->to)) != 0)
            return err;
        unix_name_for_creds(u);
        if (m->uio->remaining > UNIX_MSG_MAX)
            return -EMSGSIZE;
        if ((err = sock_take_err(&u->s)) != 0)
            return err;
        if (u->s.shut & SHUT_WR_BIT)
            return -EPIPE;
    }
    if (by_name)
        err = unix_lookup(m->to, SOCK_DGRAM, ret);
    else if ((*ret = unix_peer_get(u)) == NULL)
        return -ENOTCONN;
    if (err != 0 || !unix_is_dgram(u))
        return err;
    spin_lock_bh(&unix_lock);
    err = unix_may_send_locked(u, *ret) ? 0 : -EPERM;
    spin_unlock_bh(&unix_lock);
    if (err != 0) {
        unix_put(*ret);
        *ret = NULL;
    }
    return err;
}

static struct cred3 sender(void)
{
    struct cred3 c = { 1, 0, 0 };
    if (sock_sender != NULL)
        sock_sender(&c.pid, &c.uid, &c.gid);
    return c;
}

s64 unix_send(struct sock *s, struct sock_msg *m)
{
    struct unix_sock *u = un(s), *to = NULL;
    struct umsg x = { .from = unix_is_dgram(u) ? u : NULL, .cred = { 0, 65534, 65534 } };
    int err = s->type == SOCK_SEQPACKET ? sock_take_err(s) : 0;
    if (err == 0 && s->type == SOCK_SEQPACKET && !u->had_peer)
        err = -ENOTCONN;
    if (err == 0)
        err = parse_control(m, &x);
    s64 ret = err != 0 ? err : receiver(u, m, &to);
    if (ret == 0 && x.cred.pid == 0 && (s->passcred || to->s.passcred || to->embryo))
        x.cred = sender();
    if (ret == 0)
        ret = send_to(u, to, m, &x);
    if (ret == -ECONNREFUSED && to != NULL && to->dead)
        unix_set_peer(u, to, NULL);
    if (x.rights != NULL)
        sock_fd_ops->drop(x.rights);
    unix_put(to);
    return ret;
}

/* --- receive ---------------------------------------------------------------------------------- */

static bool eof(const struct unix_sock *u)
{
    return (atomic_load(&u->s.shut) & SHUT_RD_BIT) != 0;
}

static bool has_message(struct sock *s)
{
    if (s->type != SOCK_STREAM || list_empty(&s->rcvq))
        return !list_empty(&s->rcvq);
    spin_lock_bh(&s->lock);
    bool any = unix_oob_readable(un(s));
    spin_unlock_bh(&s->lock);
    return any;
}

/* Of a stream, what a read begins with: *skip bytes on, and then in it. Urgent bytes on the way count, as on Linux. s->lock. Else as unix_oob_next(). */
static struct pkt *stream_first(struct unix_sock *u, bool some, bool peek, u32 *skip, struct list *gone)
{
    struct pkt *p = unix_oob_next(u, u->s.rcvq.next, some, peek, gone);
    while (p != NULL && unlikely(*skip >= p->total_len)) {
        *skip -= p->total_len;
        p = p->node.next != &u->s.rcvq ? list_entry(p->node.next, struct pkt, node) : NULL;
    }
    return p;
}

static bool peekable(struct sock *s)
{
    if (s->type != SOCK_STREAM)
        return dgram_peekable(s);
    u32 skip = sock_peek_at(s, MSG_PEEK);
    spin_lock_bh(&s->lock);
    bool more = stream_first(un(s), false, true, &skip, NULL) != NULL;
    spin_unlock_bh(&s->lock);
    return more || atomic_load(&s->err) != 0 || eof(un(s));
}

static bool readable(struct sock *s) { return has_message(s) || atomic_load(&s->err) != 0 || eof(un(s)); }

void unix_unqueue(struct unix_sock *u, struct pkt *p)
{
    list_remove(&p->node);
    u->s.rcv_mem -= umsg(p)->mem;
    atomic_store(&u->s.rcvq_bytes, u->s.rcvq_bytes - p->total_len);
}

static void free_all(struct list *gone)
{
    struct list *n;
    while ((n = list_pop_front(gone)) != NULL)
        msg_free(list_entry(n, struct pkt, node));
}

void unix_wants_room(struct unix_sock *u, struct unix_sock *to)
{
    spin_lock_bh(&unix_lock);
    if (u->peer == to && list_empty(&u->wait_node))
        list_push_back(&to->waiting, &u->wait_node);
    spin_unlock_bh(&unix_lock);
    atomic_fence(); /* there before the room is looked at: pairs with unix_wake_waiting() */
}

void unix_wake_waiting(struct unix_sock *u)
{
    struct list woken = LIST_INIT(woken), *n;
    atomic_fence();
    if (list_empty(&u->waiting))
        return;
    spin_lock_bh(&unix_lock);
    list_splice_back(&woken, &u->waiting);
    while ((n = list_pop_front(&woken)) != NULL) {
        struct unix_sock *w = list_entry(n, struct unix_sock, wait_node);
        sock_get(&w->s);
        spin_unlock_bh(&unix_lock);
        sock_wake(&w->s, POLLOUT | POLLWRNORM | POLLWRBAND);
        unix_put(w);
        spin_lock_bh(&unix_lock);
    }
    spin_unlock_bh(&unix_lock);
}

void unix_made_room(struct unix_sock *u)
{
    if (!unix_has_room(&u->s))
        return;
    sock_wake(&u->s, POLLOUT | POLLWRNORM); /* blocked senders wait here */
    unix_wake_waiting(u);
}

/* What a call of recvmsg() has got. */
struct so_far {
    u64 done;
    u32 used;            /* of the room for control messages */
    bool met, ended;     /* a message was there; nothing can be added */
    struct cred3 sender; /* of a stream's bytes */
};

/* Read across messages of a stream, up to another sender's where the program wants to know it, or behind descriptors. rd held. */
static int read_stream(struct unix_sock *u, struct sock_msg *m, u32 in_flags, u64 want, struct so_far *x)
{
    struct sock *s = &u->s;
    bool peek = (in_flags & MSG_PEEK) != 0;
    u32 skip = sock_peek_at(s, in_flags);
    struct list gone = LIST_INIT(gone);
    int err = 0;
    spin_lock_bh(&s->lock);
    struct pkt *p = stream_first(u, x->done > 0, peek, &skip, &gone);
    spin_unlock_bh(&s->lock);
    /* As on Linux, one who peeks comes to what is behind the last byte, too, and one who wants no byte to what comes with the first. */
    for (bool first = true; p != NULL && (first || peek || x->done < want) && !x->ended; first = false) {
        if (x->done > 0 && s->passcred && memcmp(&umsg(p)->cred, &x->sender, sizeof x->sender) != 0) {
            x->ended = true;
            break;
        }
        if (!x->met)
            put_name(u, p, m);
        x->met = true;
        x->sender = umsg(p)->cred;
        u32 len = (u32)MIN((u64)(p->total_len - skip), want - x->done);
        s64 got = pkt_to_uio(p, skip, m->uio, len);
        if (got < 0) {
            err = (int)got;
            break;
        }
        x->ended = (u32)got < len || umsg(p)->rights != NULL;
        x->done += (u64)got;
        skip = 0;
        sock_peek_move(s, in_flags, (u64)got);
        put_control(s, p, m, in_flags, &x->used);
        spin_lock_bh(&s->lock);
        struct list *n = p->node.next;
        if (!peek && (u32)got < p->total_len) {
            atomic_store(&s->rcvq_bytes, s->rcvq_bytes - (u32)got);
            pkt_pull(p, (u32)got);
        } else if (!peek) {
            unix_unqueue(u, p);
            list_push_back(&gone, &p->node);
        }
        if ((peek || x->done < want) && !x->ended)
            p = unix_oob_next(u, n, true, peek, &gone);
        spin_unlock_bh(&s->lock);
    }
    spin_lock_bh(&s->lock);
    unix_oob_moved(u);
    x->ended |= x->done > 0 && (s->urg & URG_AT_MARK) != 0;
    spin_unlock_bh(&s->lock);
    free_all(&gone);
    return err;
}

static int read_message(struct unix_sock *u, struct sock_msg *m, u32 in_flags, u64 want, struct so_far *x)
{
    struct sock *s = &u->s;
    u32 off = 0;
    spin_lock_bh(&s->lock);
    struct pkt *p = dgram_first(s, in_flags, &off);
    spin_unlock_bh(&s->lock);
    if (p == NULL)
        return 0;
    u32 len = p->total_len - off;
    s64 got = pkt_to_uio(p, off, m->uio, (u32)MIN((u64)len, want));
    if (got < 0)
        return (int)got;
    if (len > want)
        m->flags |= MSG_TRUNC;
    put_name(u, p, m);
    put_control(s, p, m, in_flags, &x->used);
    sock_peek_move(s, in_flags, in_flags & MSG_PEEK ? (u64)got : len);
    if (in_flags & MSG_PEEK) {
        p->peeked = len == 0 && off == 0;
    } else {
        spin_lock_bh(&s->lock);
        unix_unqueue(u, p);
        spin_unlock_bh(&s->lock);
        msg_free(p);
    }
    x->ended = true;
    x->done = in_flags & MSG_TRUNC ? len : (u64)got;
    return 0;
}

s64 unix_recv(struct sock *s, struct sock_msg *m)
{
    struct unix_sock *u = un(s);
    bool stream = s->type == SOCK_STREAM, nonblock = (m->flags & MSG_DONTWAIT) != 0;
    u32 in_flags = m->flags;
    u64 want = MIN(m->uio->remaining, (u64)INT32_MAX);
    u64 deadline = sock_deadline(s->rcvtimeo_ns);
    struct so_far x = { .done = 0 };
    int err;
    m->flags = 0;
    if (m->from != NULL)
        m->from->len = 0;
    if (!unix_is_dgram(u) && !u->had_peer)
        return stream ? -EINVAL : -ENOTCONN;
    for (;;) {
        if (!stream && (err = sock_take_err(s)) != 0)
            break; /* before what is in the queue */
        bool over = eof(u) || atomic_load(&s->err) != 0; /* first: what came before that is in the queue then */
        mutex_lock(&s->rd);
        spin_lock_bh(&s->lock);
        bool any = !list_empty(&s->rcvq);
        spin_unlock_bh(&s->lock);
        if (any) {
            err = (stream ? read_stream : read_message)(u, m, in_flags, want, &x);
            mutex_unlock(&s->rd);
            if (!(in_flags & MSG_PEEK))
                unix_made_room(u);
            if (err != 0 || x.ended || (x.met && (x.done >= want || !(in_flags & MSG_WAITALL) || (in_flags & MSG_PEEK))))
                break;
            if (x.met)
                continue;
            any = false; /* only an urgent byte, or nothing behind SO_PEEK_OFF */
        } else {
            mutex_unlock(&s->rd);
        }
        err = over ? sock_take_err(s) : 0;
        if (err == 0 && !any && over && unix_is_dgram(u) && nonblock)
            err = -EAGAIN; /* who waits gets 0 */
        if (err == 0 && over && eof(u)) {
            if (stream && s->passcred && !x.met)
                sock_put_cmsg(m, &x.used, 1, SCM_CREDENTIALS, &(struct cred3){ 0 }, sizeof(struct cred3)); /* nobody's, as Linux has it */
            break;
        }
        if (err == 0)
            err = sock_wait(s, in_flags & MSG_PEEK ? peekable : readable, deadline, nonblock, !stream); /* of a stream's message a reader may leave some for the next one */
        if (err != 0)
            break;
    }
    m->control_len = x.used;
    return x.done > 0 ? (s64)x.done : err;
}

void unix_drain(struct unix_sock *u)
{
    struct list gone = LIST_INIT(gone);
    spin_lock_bh(&u->s.lock);
    list_splice_back(&gone, &u->s.rcvq);
    u->s.rcv_mem = u->s.rcvq_bytes = 0;
    u->oob = NULL;
    spin_unlock_bh(&u->s.lock);
    free_all(&gone);
}
