/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AF_UNIX (unix(7)): stream, datagram and seqpacket sockets of one machine.
 *
 * A message is a packet chain on the receiver's queue; cb holds what travels with it. A
 * sender charges the receiver's queue (rcv_mem against rcvbuf) and waits on the receiver's
 * wait queue, which a reader wakes after making room; a connected sender's own queue is
 * woken, too, for poll.
 *
 * Names: abstract ones live in the table here. Pathnames are made and found through
 * sock_path_ops and entered in the same table under the inode's handle.
 *
 * Locks: unix_lock guards peer links, the name table and accept queues; it is taken before
 * no other lock but a wait queue's. A socket's own lock guards its receive queue.
 */
#include "kern/uio.h"
#include "net_impl.h"

#define UNIX_BUF 212992u
#define UNIX_MSG_MAX (256u * 1024)  /* one datagram */
#define UNIX_CHUNK 32768u           /* one piece of a stream */
#define SUN_PATH 108u
#define SCM_RIGHTS 1
#define SCM_CREDENTIALS 2
#define SCM_MAX_FD 253u
#define NAME_BUCKETS 256u

struct unix_name {
    struct refcount refs;
    u32 len;            /* of path; 0 does not exist */
    void *key;          /* pathname's inode handle, or NULL = abstract */
    u8 path[];
};

struct cred3 {
    u32 pid, uid, gid;
};

struct unix_sock {
    struct sock s;
    struct unix_sock *peer;   /* unix_lock; referenced */
    struct unix_name *name;   /* unix_lock; set once */
    struct list name_node;    /* unix_lock */
    struct list accepts, accept_node; /* unix_lock */
    u32 naccept, backlog;     /* unix_lock */
    bool listening, dead;     /* unix_lock; read without */
    bool had_peer;            /* was connected: reads end with EOF, writes with EPIPE */
    bool peer_reset;          /* the peer went with data unread */
    struct cred3 cred, peer_cred;
};

/* What a message carries besides bytes. */
struct umsg {
    void *rights;
    struct unix_name *from;
    struct cred3 cred;
    u32 mem;
};
_Static_assert(sizeof(struct umsg) <= sizeof(((struct pkt *)0)->cb), "fits");
static struct umsg *umsg(struct pkt *p) { return (struct umsg *)(void *)p->cb; }

static struct spinlock unix_lock = SPINLOCK_INIT("unix");
static struct list names[NAME_BUCKETS]; /* unix_lock */

static const struct sock_ops unix_ops;
static struct unix_sock *un(struct sock *s) { return container_of(s, struct unix_sock, s); }
static bool is_dgram(const struct unix_sock *u) { return u->s.type == SOCK_DGRAM; }

static void who(struct cred3 *c)
{
    *c = (struct cred3){ 1, 0, 0 };
    if (sock_who != NULL)
        sock_who(&c->pid, &c->uid, &c->gid);
}

static void name_put(struct unix_name *n)
{
    if (n == NULL || !ref_put(&n->refs))
        return;
    if (n->key != NULL)
        sock_path_ops->put(n->key);
    kfree(n);
}

static void put(struct unix_sock *u)
{
    if (u != NULL)
        sock_put(&u->s);
}

/* --- names --------------------------------------------------------------------- */

static struct list *bucket_of(const void *key, const u8 *path, u32 len)
{
    u32 h = key != NULL ? (u32)((uintptr_t)key >> 6) : 0;
    for (u32 i = 0; key == NULL && i < len; i++)
        h = h * 31 + path[i];
    struct list *b = &names[h % NAME_BUCKETS];
    if (b->next == NULL)
        list_init(b);
    return b;
}

static struct unix_sock *find_locked(const void *key, const u8 *path, u32 len)
{
    list_for_each(u, bucket_of(key, path, len), struct unix_sock, name_node) {
        const struct unix_name *n = u->name;
        if (key != NULL ? n->key == key : n->key == NULL && n->len == len && memcmp(n->path, path, len) == 0)
            return u;
    }
    return NULL;
}

/* The path part of an address: 0 with *ret_len 0 for an unnamed one. */
static int addr_parse(const struct sock_addr *a, const u8 **ret_path, u32 *ret_len)
{
    if (a->len < 2 || a->len > 2 + SUN_PATH || a->family != AF_UNIX)
        return -EINVAL;
    *ret_path = a->data + 2;
    *ret_len = a->len - 2;
    if (*ret_len > 0 && a->data[2] != 0)
        *ret_len = (u32)strnlen((const char *)a->data + 2, *ret_len);
    return 0;
}

static void name_out(const struct unix_name *n, struct sock_addr *a)
{
    a->family = AF_UNIX;
    a->len = 2;
    if (n == NULL)
        return;
    u32 len = MIN(n->len, SUN_PATH);
    memcpy(a->data + 2, n->path, len);
    a->len += len;
    if (n->key != NULL && len < SUN_PATH) { /* pathnames come with their end byte */
        a->data[2 + len] = 0;
        a->len++;
    }
}

static int bind_name(struct unix_sock *u, const u8 *path, u32 len)
{
    struct unix_name *n = kzalloc(sizeof *n + SUN_PATH + 1);
    int err = 0;
    if (n == NULL)
        return -ENOMEM;
    ref_init(&n->refs);
    n->len = len;
    memcpy(n->path, path, len);
    if (path[0] != 0) {
        err = sock_path_ops == NULL ? -EOPNOTSUPP : sock_path_ops->make((const char *)n->path, &n->key);
        if (err != 0) {
            n->key = NULL;
            name_put(n);
            return err;
        }
    }
    spin_lock_bh(&unix_lock);
    if (u->name != NULL)
        err = -EINVAL;
    else if (find_locked(n->key, n->path, len) != NULL)
        err = -EADDRINUSE;
    if (err == 0) {
        u->name = n;
        list_push_back(bucket_of(n->key, n->path, len), &u->name_node);
    }
    spin_unlock_bh(&unix_lock);
    if (err != 0)
        name_put(n);
    return err;
}

static int autobind(struct unix_sock *u)
{
    for (unsigned i = 0; i < 100; i++) {
        static const char hex[] = "0123456789abcdef";
        u8 path[6] = { 0 };
        u32 r = (u32)random_u64();
        for (unsigned k = 1; k < 6; k++, r >>= 4)
            path[k] = (u8)hex[r & 15];
        int err = bind_name(u, path, 6);
        if (err != -EADDRINUSE)
            return err;
    }
    return -ENOSPC;
}

static int unix_bind(struct sock *s, const struct sock_addr *a)
{
    const u8 *path;
    u32 len;
    int err = addr_parse(a, &path, &len);
    if (err != 0)
        return err;
    if (un(s)->name != NULL)
        return len == 0 ? 0 : -EINVAL;
    return len == 0 ? autobind(un(s)) : bind_name(un(s), path, len);
}

/* The socket bound to an address, referenced. */
static int lookup(const struct sock_addr *a, int type, struct unix_sock **ret)
{
    const u8 *path;
    u32 len;
    void *key = NULL;
    int err = addr_parse(a, &path, &len);
    if (err != 0)
        return err;
    if (len == 0)
        return -EINVAL;
    if (path[0] != 0) {
        char z[SUN_PATH + 1];
        memcpy(z, path, len);
        z[len] = '\0';
        err = sock_path_ops == NULL ? -ECONNREFUSED : sock_path_ops->find(z, &key);
        if (err != 0)
            return err;
    }
    spin_lock_bh(&unix_lock);
    struct unix_sock *u = find_locked(key, path, len);
    if (u == NULL || u->dead)
        err = -ECONNREFUSED;
    else if (u->s.type != type)
        err = -EPROTOTYPE;
    else
        sock_get(&u->s);
    spin_unlock_bh(&unix_lock);
    if (key != NULL)
        sock_path_ops->put(key);
    if (err == 0)
        *ret = u;
    return err;
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
    who(&u->cred);
    u->peer_cred = (struct cred3){ 0, 0xffffffff, 0xffffffff };
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
    a->had_peer = b->had_peer = true;
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
    if (is_dgram(u))
        return -EOPNOTSUPP;
    spin_lock_bh(&unix_lock);
    if (u->name == NULL || u->had_peer) {
        err = -EINVAL;
    } else {
        u->listening = true;
        u->backlog = backlog < 0 ? 4096 : MIN((u32)backlog, 4096u);
        who(&u->cred);
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
    int err = lookup(a, u->s.type, &l);
    if (err != 0) {
        sock_release(&child->s);
        return err;
    }
    for (;;) {
        spin_lock_bh(&unix_lock);
        if (u->had_peer || u->listening)
            err = u->listening ? -EINVAL : -EISCONN;
        else if (!l->listening || l->dead)
            err = -ECONNREFUSED;
        else if (l->naccept > l->backlog)
            err = -EAGAIN;
        if (err == 0) {
            pair(u, child);
            child->cred = l->cred;
            u->peer_cred = l->cred;
            if (l->name != NULL) {
                ref_get(&l->name->refs);
                child->name = l->name; /* shown by getsockname(); not in the table */
                list_init(&child->name_node);
            }
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
    put(l);
    return err;
}

static int unix_connect(struct sock *s, const struct sock_addr *a, bool nonblock)
{
    struct unix_sock *u = un(s), *to = NULL, *old;
    if (!is_dgram(u))
        return connect_stream(u, a, nonblock);
    if (a->family != AF_UNSPEC) {
        int err = lookup(a, SOCK_DGRAM, &to);
        if (err != 0)
            return err;
    }
    spin_lock_bh(&unix_lock);
    old = u->peer;
    u->peer = to; /* the reference of the lookup */
    spin_unlock_bh(&unix_lock);
    put(old);
    return 0;
}

static bool has_child(struct sock *s) { return !list_empty(&un(s)->accepts) || un(s)->dead; }

static int unix_accept(struct sock *s, bool nonblock, struct sock **ret, struct sock_addr *ret_peer)
{
    struct unix_sock *u = un(s), *child = NULL;
    u64 deadline = sock_deadline(s->rcvtimeo_ns);
    if (is_dgram(u))
        return -EOPNOTSUPP;
    for (;;) {
        if (!u->listening)
            return -EINVAL;
        spin_lock_bh(&unix_lock);
        struct list *n = list_pop_front(&u->accepts);
        if (n != NULL) {
            child = list_entry(n, struct unix_sock, accept_node);
            u->naccept--;
            if (ret_peer != NULL)
                name_out(child->peer != NULL ? child->peer->name : NULL, ret_peer);
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

/* --- what travels with a message ------------------------------------------------------ */

static void msg_free(struct pkt *p)
{
    struct umsg *m = umsg(p);
    if (m->rights != NULL)
        sock_fd_ops->drop(m->rights);
    name_put(m->from);
    net_mem_uncharge(m->mem);
    pkt_free(p);
}

static int parse_control(const struct sock_msg *m, struct umsg *ret)
{
    const u8 *c = m->control;
    u32 left = c == NULL ? 0 : m->control_len;
    int err = 0;
    while (left >= 16 && err == 0) {
        u64 len = get_u64(c);
        if (len < 16 || len > left)
            return -EINVAL;
        u32 level = get_u32(c + 8), type = get_u32(c + 12), n = (u32)(len - 16);
        if (level == 1 && type == SCM_RIGHTS && n >= 4) {
            err = sock_fd_ops == NULL ? -EOPNOTSUPP : sock_fd_ops->take((const s32 *)(const void *)(c + 16), n / 4, &ret->rights);
        } else if (level == 1 && type == SCM_CREDENTIALS) {
            struct cred3 want, mine;
            if (n != sizeof want)
                return -EINVAL;
            memcpy(&want, c + 16, sizeof want);
            who(&mine);
            if (memcmp(&want, &mine, sizeof want) != 0 && !sock_may(21))
                return -EPERM;
            ret->cred = want;
        } else if (level == 1 && type != SCM_RIGHTS) {
            return -EINVAL;
        }
        u32 step = ALIGN_UP((u32)len, 8u);
        if (step >= left)
            break;
        c += step;
        left -= step;
    }
    return err;
}

static void put_control(struct sock *s, struct pkt *p, struct sock_msg *m, u32 in_flags, u32 *used)
{
    struct umsg *x = umsg(p);
    if (s->passcred)
        sock_put_cmsg(m, used, 1, SCM_CREDENTIALS, &x->cred, sizeof x->cred);
    if (x->rights == NULL)
        return;
    u32 room = m->ret_control == NULL || m->control_len < *used + 16 ? 0 : (m->control_len - *used - 16) / 4;
    s32 fds[SCM_MAX_FD];
    bool cut = room == 0;
    u32 n = sock_fd_ops->give(x->rights, fds, MIN(room, SCM_MAX_FD), (in_flags & MSG_CMSG_CLOEXEC) != 0, &cut);
    x->rights = NULL;
    if (n > 0)
        sock_put_cmsg(m, used, 1, SCM_RIGHTS, fds, 4 * n);
    if (cut)
        m->flags |= MSG_CTRUNC;
}

/* --- send -------------------------------------------------------------------------------- */

/* The reading end has room, or waiting makes no sense any more. */
static bool has_room(struct sock *s) { return s->rcv_mem < s->rcvbuf || un(s)->dead || (s->shut & SHUT_RD_BIT) != 0; }

static struct unix_sock *peer_get(struct unix_sock *u)
{
    spin_lock_bh(&unix_lock);
    struct unix_sock *p = u->peer;
    if (p != NULL)
        sock_get(&p->s);
    spin_unlock_bh(&unix_lock);
    return p;
}

/* Queue p for `to`. 0, -EPIPE (it does not read), -EAGAIN (full). Takes p when 0. */
static int queue(struct unix_sock *to, struct pkt *p, int gone)
{
    struct sock *r = &to->s;
    int err = 0;
    spin_lock_bh(&r->lock);
    if (to->dead || (r->shut & SHUT_RD_BIT)) {
        err = gone;
    } else if (r->rcv_mem >= r->rcvbuf || (net_mem_full() && r->rcv_mem > 0)) {
        err = -EAGAIN;
    } else {
        umsg(p)->mem = pkt_truesize(p);
        net_mem_charge(umsg(p)->mem);
        r->rcv_mem += umsg(p)->mem;
        list_push_back(&r->rcvq, &p->node);
        atomic_store(&r->rcvq_bytes, r->rcvq_bytes + p->total_len);
    }
    spin_unlock_bh(&r->lock);
    if (err == 0)
        sock_wake(r, POLLIN | POLLRDNORM);
    return err;
}

static s64 send_to(struct unix_sock *u, struct unix_sock *to, struct sock_msg *m, struct umsg *first)
{
    bool stream = u->s.type == SOCK_STREAM, nonblock = (m->flags & MSG_DONTWAIT) != 0;
    u64 deadline = sock_deadline(u->s.sndtimeo_ns), done = 0;
    int gone = is_dgram(u) ? -ECONNREFUSED : -EPIPE, err = 0;
    do {
        struct pkt *p;
        u32 n = (u32)(stream ? MIN(m->uio->remaining, (u64)UNIX_CHUNK) : m->uio->remaining);
        if (stream && n == 0)
            break;
        if (u->s.shut & SHUT_WR_BIT)
            err = -EPIPE;
        /* Wait before copying, so that an interrupted call has taken nothing. */
        while (err == 0 && !has_room(&to->s)) {
            atomic_store(&u->s.nospace, (u8)1);
            err = sock_wait(&to->s, has_room, deadline, nonblock, false);
        }
        if (err == 0 && (to->dead || (to->s.shut & SHUT_RD_BIT)))
            err = gone;
        if (err == 0)
            err = pkt_from_uio(m->uio, 0, n, &p);
        if (err != 0)
            break;
        memset(p->cb, 0, sizeof p->cb);
        *umsg(p) = *first;
        if (first->rights != NULL)
            sock_fd_ops->hold(first->rights, &to->s);
        first->rights = NULL; /* descriptors go with the first byte */
        if (umsg(p)->from != NULL)
            ref_get(&umsg(p)->from->refs);
        while ((err = queue(to, p, gone)) == -EAGAIN) { /* another sender was quicker */
            err = sock_wait(&to->s, has_room, NEVER_NS, false, false);
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

static s64 unix_send(struct sock *s, struct sock_msg *m)
{
    struct unix_sock *u = un(s), *to = NULL;
    struct umsg x = { .rights = NULL };
    s64 ret;
    int err = sock_take_err(s);
    if (err != 0)
        return err;
    if (s->type != SOCK_STREAM && m->uio->remaining > UNIX_MSG_MAX)
        return -EMSGSIZE;
    if (m->to != NULL && m->to->len > 0) {
        if (!is_dgram(u))
            return u->peer != NULL ? -EISCONN : -EOPNOTSUPP;
        err = lookup(m->to, SOCK_DGRAM, &to);
        if (err != 0)
            return err;
    } else {
        to = peer_get(u);
        if (to == NULL)
            return u->had_peer ? -EPIPE : -ENOTCONN;
    }
    who(&x.cred);
    err = parse_control(m, &x);
    x.from = u->name;
    ret = err != 0 ? err : send_to(u, to, m, &x);
    if (x.rights != NULL)
        sock_fd_ops->drop(x.rights);
    put(to);
    return ret;
}

/* --- receive ---------------------------------------------------------------------------------- */

static bool eof(const struct unix_sock *u) { return (u->s.shut & SHUT_RD_BIT) != 0 || (u->had_peer && u->peer == NULL); }

static bool readable(struct sock *s) { return !list_empty(&s->rcvq) || atomic_load(&s->err) != 0 || eof(un(s)); }

static void remove_msg(struct sock *s, struct pkt *p)
{
    spin_lock_bh(&s->lock);
    list_remove(&p->node);
    s->rcv_mem -= umsg(p)->mem;
    spin_unlock_bh(&s->lock);
}

static void took(struct sock *s, u32 n)
{
    spin_lock_bh(&s->lock);
    atomic_store(&s->rcvq_bytes, s->rcvq_bytes - n);
    spin_unlock_bh(&s->lock);
}

static void made_room(struct unix_sock *u)
{
    if (!has_room(&u->s))
        return;
    sock_wake(&u->s, POLLOUT | POLLWRNORM); /* blocked senders wait here */
    struct unix_sock *p = peer_get(u);
    if (p != NULL && p->s.nospace) {
        p->s.nospace = 0;
        sock_wake(&p->s, POLLOUT | POLLWRNORM | POLLWRBAND);
    }
    put(p);
}

static bool same_sender(struct pkt *a, struct pkt *b)
{
    return memcmp(&umsg(a)->cred, &umsg(b)->cred, sizeof(struct cred3)) == 0;
}

/* Read across messages of a stream, stopping where descriptors or another sender begin. rd held. */
static s64 read_stream(struct unix_sock *u, struct sock_msg *m, u32 in_flags, u64 want)
{
    struct sock *s = &u->s;
    u64 done = 0;
    u32 used = 0;
    bool peek = (in_flags & MSG_PEEK) != 0;
    struct pkt *first = NULL;
    spin_lock_bh(&s->lock);
    struct list *n = s->rcvq.next;
    spin_unlock_bh(&s->lock);
    while (n != &s->rcvq && done < want) {
        struct pkt *p = list_entry(n, struct pkt, node);
        if (done > 0 && (umsg(p)->rights != NULL || (s->passcred && first != NULL && !same_sender(p, first))))
            break;
        first = peek ? p : NULL;
        u32 len = (u32)MIN((u64)p->total_len, want - done);
        s64 got = pkt_to_uio(p, 0, m->uio, len);
        if (got < 0)
            return done > 0 ? (s64)done : got;
        if (done == 0 && !peek)
            put_control(s, p, m, in_flags, &used);
        done += (u64)got;
        spin_lock_bh(&s->lock);
        n = p->node.next;
        spin_unlock_bh(&s->lock);
        if (!peek) {
            took(s, (u32)got);
            if ((u32)got == p->total_len) {
                remove_msg(s, p);
                msg_free(p);
            } else {
                spin_lock_bh(&s->lock);
                pkt_pull(p, (u32)got);
                spin_unlock_bh(&s->lock);
            }
        }
        if ((u32)got < len)
            break;
    }
    m->control_len = used;
    return (s64)done;
}

static s64 read_message(struct unix_sock *u, struct sock_msg *m, u32 in_flags, u64 want)
{
    struct sock *s = &u->s;
    u32 used = 0;
    struct pkt *p = list_first(&s->rcvq, struct pkt, node);
    u32 len = p->total_len;
    s64 got = pkt_to_uio(p, 0, m->uio, (u32)MIN((u64)len, want));
    if (got < 0)
        return got;
    if (len > want)
        m->flags |= MSG_TRUNC;
    if (s->type == SOCK_SEQPACKET)
        m->flags |= MSG_EOR;
    if (m->from != NULL)
        name_out(umsg(p)->from, m->from);
    if (!(in_flags & MSG_PEEK)) {
        put_control(s, p, m, in_flags, &used);
        took(s, len);
        remove_msg(s, p);
        msg_free(p);
    }
    m->control_len = used;
    return in_flags & MSG_TRUNC ? len : got;
}

static s64 unix_recv(struct sock *s, struct sock_msg *m)
{
    struct unix_sock *u = un(s);
    bool stream = s->type == SOCK_STREAM, nonblock = (m->flags & MSG_DONTWAIT) != 0;
    u32 in_flags = m->flags, room = m->control_len;
    u64 want = MIN(m->uio->remaining, (u64)INT32_MAX), done = 0;
    u64 deadline = sock_deadline(s->rcvtimeo_ns);
    s64 ret;
    m->flags = 0;
    if (m->from != NULL)
        m->from->len = 0;
    if (!is_dgram(u) && !u->had_peer)
        return u->listening ? -EINVAL : stream ? -EINVAL : -ENOTCONN;
    for (;;) {
        mutex_lock(&s->rd);
        spin_lock_bh(&s->lock);
        bool any = !list_empty(&s->rcvq);
        spin_unlock_bh(&s->lock);
        if (any && (want > done || !stream)) {
            m->control_len = done == 0 ? room : 0;
            ret = stream ? read_stream(u, m, in_flags, want - done) : read_message(u, m, in_flags, want);
            mutex_unlock(&s->rd);
            if (!(in_flags & MSG_PEEK))
                made_room(u);
            if (ret < 0 || !stream)
                return done > 0 ? (s64)done : ret;
            done += (u64)ret;
            if (!(in_flags & MSG_WAITALL) || done >= want || (in_flags & MSG_PEEK) || ret == 0)
                return (s64)done;
            continue;
        }
        mutex_unlock(&s->rd);
        m->control_len = done == 0 ? 0 : m->control_len;
        ret = sock_take_err(s);
        if (ret == 0 && u->peer_reset && done == 0) {
            u->peer_reset = false;
            ret = -ECONNRESET;
        }
        if (ret == 0 && want > 0 && !eof(u))
            ret = sock_wait(s, readable, deadline, nonblock, true);
        else if (ret == 0)
            return (s64)done;
        if (ret != 0)
            return done > 0 ? (s64)done : ret;
    }
}

/* --- the end ------------------------------------------------------------------------------------ */

static int unix_shutdown(struct sock *s, int how)
{
    struct unix_sock *u = un(s), *p = peer_get(u);
    u8 bits = (u8)(how == 0 ? SHUT_RD_BIT : how == 1 ? SHUT_WR_BIT : SHUT_RD_BIT | SHUT_WR_BIT);
    spin_lock_bh(&s->lock);
    s->shut |= bits;
    spin_unlock_bh(&s->lock);
    if (p != NULL && !is_dgram(u)) {
        spin_lock_bh(&p->s.lock);
        p->s.shut |= (u8)((bits & SHUT_RD_BIT ? SHUT_WR_BIT : 0) | (bits & SHUT_WR_BIT ? SHUT_RD_BIT : 0));
        spin_unlock_bh(&p->s.lock);
        wq_wake_all(&p->s.wq, POLLIN | POLLOUT | POLLRDHUP | POLLHUP | POLLRDNORM);
    }
    wq_wake_all(&s->wq, POLLIN | POLLOUT | POLLRDHUP | POLLHUP | POLLRDNORM);
    put(p);
    return p == NULL && !is_dgram(u) && !u->had_peer ? -ENOTCONN : 0;
}

static void drain(struct unix_sock *u)
{
    struct list gone, *n;
    list_init(&gone);
    spin_lock_bh(&u->s.lock);
    list_splice_back(&gone, &u->s.rcvq);
    u->s.rcv_mem = u->s.rcvq_bytes = 0;
    spin_unlock_bh(&u->s.lock);
    while ((n = list_pop_front(&gone)) != NULL)
        msg_free(list_entry(n, struct pkt, node));
}

static void unix_release(struct sock *s)
{
    struct unix_sock *u = un(s), *peer;
    struct list children, *n;
    list_init(&children);
    bool unread = !list_empty(&s->rcvq);
    spin_lock_bh(&s->lock);
    u->dead = true; /* queue() looks under this lock */
    spin_unlock_bh(&s->lock);
    spin_lock_bh(&unix_lock);
    u->listening = false;
    if (u->name != NULL && !list_empty(&u->name_node))
        list_remove_init(&u->name_node);
    peer = u->peer;
    u->peer = NULL;
    bool mutual = peer != NULL && peer->peer == u;
    if (mutual) {
        peer->peer = NULL;
        if (unread && !is_dgram(u))
            peer->peer_reset = true;
        if (is_dgram(u))
            peer->s.err = ECONNREFUSED;
    }
    list_splice_back(&children, &u->accepts);
    u->naccept = 0;
    spin_unlock_bh(&unix_lock);
    while ((n = list_pop_front(&children)) != NULL)
        sock_release(&list_entry(n, struct unix_sock, accept_node)->s);
    if (mutual) {
        wq_wake_all(&peer->s.wq, POLLIN | POLLOUT | POLLHUP | POLLRDHUP | POLLRDNORM | POLLWRNORM);
        sock_put(s); /* the peer's link */
    }
    put(peer);
    wq_wake_all(&s->wq, POLLIN | POLLOUT | POLLHUP);
    drain(u);
    sock_put(s);
}

static void unix_destroy(struct sock *s)
{
    struct unix_sock *u = un(s);
    drain(u);
    name_put(u->name);
    kfree(u);
}

/* --- questions ---------------------------------------------------------------------------------- */

static u32 unix_poll(struct sock *s)
{
    struct unix_sock *u = un(s);
    if (u->listening)
        return list_empty(&u->accepts) ? 0 : POLLIN | POLLRDNORM;
    u32 ev = 0;
    if (!list_empty(&s->rcvq))
        ev |= POLLIN | POLLRDNORM;
    if (atomic_load(&s->err) != 0)
        ev |= POLLERR;
    bool lost = u->had_peer && u->peer == NULL && !is_dgram(u);
    if ((s->shut & SHUT_RD_BIT) || lost)
        ev |= POLLIN | POLLRDNORM | POLLRDHUP;
    if (s->shut == (SHUT_RD_BIT | SHUT_WR_BIT) || lost || (!is_dgram(u) && !u->had_peer))
        ev |= POLLHUP;
    struct unix_sock *p = peer_get(u);
    if (p != NULL && p->s.rcv_mem >= p->s.rcvbuf) {
        atomic_store(&s->nospace, (u8)1);
        atomic_fence();
    }
    /* Writable with a good part of the buffer free, so that writers do not wake for each byte. */
    if (p == NULL || p->s.rcv_mem * 4 <= p->s.rcvbuf || (s->shut & SHUT_WR_BIT) || (is_dgram(u) && has_room(&p->s)))
        ev |= POLLOUT | POLLWRNORM | POLLWRBAND;
    else
        atomic_store(&s->nospace, (u8)1);
    put(p);
    return ev;
}

static int unix_getname(struct sock *s, bool peer, struct sock_addr *ret)
{
    struct unix_sock *u = un(s);
    int err = 0;
    spin_lock_bh(&unix_lock);
    if (!peer)
        name_out(u->name, ret);
    else if (u->peer == NULL)
        err = -ENOTCONN;
    else
        name_out(u->peer->name, ret);
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
        struct unix_sock *p = peer_get(u);
        s64 n = p == NULL ? 0 : atomic_load(&p->s.rcvq_bytes);
        put(p);
        return n;
    }
    if (s->type == SOCK_STREAM)
        return atomic_load(&s->rcvq_bytes);
    return dgram_pending(s, false);
}

static const struct sock_ops unix_ops = {
    .bind = unix_bind,
    .connect = unix_connect,
    .listen = unix_listen,
    .accept = unix_accept,
    .send = unix_send,
    .recv = unix_recv,
    .shutdown = unix_shutdown,
    .getname = unix_getname,
    .getopt = unix_getopt,
    .poll = unix_poll,
    .pending = unix_pending,
    .release = unix_release,
    .destroy = unix_destroy,
};

size_t unix_show(char *buf, size_t size)
{
    struct text t = { buf, size, 0 };
    text_add(&t, "Num       RefCount Protocol Flags    Type St Inode Path\n");
    spin_lock_bh(&unix_lock);
    for (unsigned i = 0; i < NAME_BUCKETS; i++) {
        if (names[i].next == NULL)
            continue;
        list_for_each(u, &names[i], struct unix_sock, name_node) {
            text_add(&t, "%016x: %08X 00000000 %08X %04X %02X     0 %s%.*s\n", 0, ref_count(&u->s.refs),
                     u->listening ? 0x10000 : 0, u->s.type, u->listening ? 1 : 3, u->name->path[0] == 0 ? "@" : "",
                     (int)(u->name->len - (u->name->path[0] == 0)), u->name->path + (u->name->path[0] == 0));
        }
    }
    spin_unlock_bh(&unix_lock);
    return t.len;
}
