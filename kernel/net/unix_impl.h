/* SPDX-License-Identifier: Apache-2.0 */
/* Between unix.c (sockets), unix_name.c (names) and unix_msg.c (what is sent). */
#ifndef UNIX_IMPL_H
#define UNIX_IMPL_H

#include "sock_impl.h"

struct unix_name;

struct cred3 {
    u32 pid, uid, gid;
};

struct unix_sock {
    struct sock s;
    struct unix_sock *peer;   /* unix_lock; referenced, also when it is dead */
    struct unix_name *name;   /* unix_lock; set once */
    struct list name_node;    /* unix_lock */
    struct list all_node;     /* unix_lock: until release() */
    struct list accepts, accept_node; /* unix_lock */
    struct list waiting, wait_node; /* unix_lock: whose peer it is and who found no room in its queue */
    u32 naccept, backlog;     /* unix_lock */
    bool listening, dead;     /* unix_lock; read without */
    bool had_peer;            /* no datagrams, and was connected */
    bool embryo;              /* unix_lock: nobody has accepted it */
    struct pkt *oob;          /* s.lock: the urgent byte, in rcvq */
    struct cred3 cred, peer_cred;
};

extern struct spinlock unix_lock;
#define UNIX_LISTS 64u
extern struct list unix_all[UNIX_LISTS]; /* unix_lock; each socket is in one of them */
static inline struct unix_sock *un(struct sock *s) { return container_of(s, struct unix_sock, s); }
static inline bool unix_is_dgram(const struct unix_sock *u) { return u->s.type == SOCK_DGRAM; }
static inline void unix_put(struct unix_sock *u)
{
    if (u != NULL)
        sock_put(&u->s);
}

/* --- unix.c --------------------------------------------------------------------- */
void unix_who(struct cred3 *c); /* the calling process */
struct unix_sock *unix_peer_get(struct unix_sock *u); /* referenced, or NULL */
/* A datagram socket's peer becomes `to`, whose reference it takes, or NULL; if `old` is not NULL, only where that is the peer. What `to` may not be sent: -EPERM. */
int unix_set_peer(struct unix_sock *u, struct unix_sock *old, struct unix_sock *to);
/* Does `to`, if it is connected at all, listen to u? unix_lock held. */
static inline bool unix_may_send_locked(const struct unix_sock *u, const struct unix_sock *to) { return to->peer == NULL || to->peer == u; }

/* --- unix_name.c ---------------------------------------------------------------- */
struct unix_name *unix_name_get(struct unix_name *n); /* NULL is fine, as below */
void unix_name_put(struct unix_name *n);
void unix_name_out(const struct unix_name *n, struct sock_addr *a); /* NULL: has none */
/* Who wants credentials can be answered (unix(7)): a name is found for it when it connects or sends. */
void unix_name_for_creds(struct unix_sock *u);
int unix_bind(struct sock *s, const struct sock_addr *a);
int unix_name_check(const struct sock_addr *a); /* -EINVAL: names no socket */
/* The socket bound to an address, referenced. */
int unix_lookup(const struct sock_addr *a, int type, struct unix_sock **ret);

/* --- unix_msg.c ----------------------------------------------------------------- */
s64 unix_send(struct sock *s, struct sock_msg *m);
s64 unix_recv(struct sock *s, struct sock_msg *m);
/* The reading end has room, or waiting makes no sense any more. */
bool unix_has_room(struct sock *s);
void unix_drain(struct unix_sock *u);     /* what was not read goes */
void unix_made_room(struct unix_sock *u); /* wakes those who wait for that */
void unix_wants_room(struct unix_sock *u, struct unix_sock *to); /* u is woken when there is room in the queue of `to`, if that is its peer still. Look again behind it */
void unix_wake_waiting(struct unix_sock *u);
/* p leaves the queue, with all that it still has; s.lock. */
void unix_unqueue(struct unix_sock *u, struct pkt *p);

/* --- unix_oob.c: urgent bytes of streams; all but the last under s.lock ------------ */
/* The message at n, or behind it, that a read goes on with, which has `some` bytes already; NULL = it ends here. What is passed over and not
 * only peeked at goes to gone. */
struct pkt *unix_oob_next(struct unix_sock *u, struct list *n, bool some, bool peek, struct list *gone);
/* Something was queued, taken or read: SIOCATMARK. */
void unix_oob_moved(struct unix_sock *u);
bool unix_oob_readable(const struct unix_sock *u); /* are there bytes but the urgent one? */
s64 unix_recv_oob(struct sock *s, struct sock_msg *m);

#endif
