/* SPDX-License-Identifier: Apache-2.0 */
/* AF_UNIX in NETLINK_SOCK_DIAG (linux/unix_diag.h). The inode of a socket's file in the tree (UDIAG_SHOW_VFS) is not told. */
#include "diag_impl.h"
#include "unix_impl.h"

struct unix_request {
    u8 family, protocol;
    u16 pad;
    u32 states, ino, show;
    u8 cookie[8];
};
struct unix_message {
    u8 family, type, state, pad;
    u32 ino;
    u32 cookie[2];
};
_Static_assert(sizeof(struct unix_request) == 24 && sizeof(struct unix_message) == 16, "linux/unix_diag.h");
enum { SHOW_NAME = 1, SHOW_PEER = 4, SHOW_PENDING = 8, SHOW_QUEUES = 0x10, SHOW_MEMORY = 0x20, SHOW_UID = 0x40 };
enum { ATTR_NAME, ATTR_PEER = 2, ATTR_PENDING, ATTR_QUEUES, ATTR_MEMORY, ATTR_SHUTDOWN, ATTR_UID };
enum { ESTABLISHED = 1, CLOSED = 7, LISTENING = 10 };
#define PENDING_MAX 64u /* of those that wait to be accepted, as many are named */

static u8 state_of(const struct unix_sock *u) { return u->listening ? LISTENING : u->peer != NULL ? ESTABLISHED : CLOSED; }

static void tell_queues(struct nl_answer *a, struct unix_sock *u)
{
    const bool listens = u->listening;
    s64 out = listens ? 0 : u->s.ops->pending(&u->s, true);
    const u32 v[2] = { listens ? u->naccept : u->s.rcvq_bytes, listens ? u->backlog : (u32)out };
    nl_attr(a, ATTR_QUEUES, v, sizeof v);
}

static void tell_pending(struct nl_answer *a, struct unix_sock *u)
{
    u32 v[PENDING_MAX], n = 0;
    spin_lock_bh(&unix_lock);
    list_for_each(c, &u->accepts, struct unix_sock, accept_node)
        if (n < PENDING_MAX)
            v[n++] = c->peer != NULL && !c->peer->dead ? c->peer->s.ino : 0;
    spin_unlock_bh(&unix_lock);
    nl_attr(a, ATTR_PENDING, v, n * 4);
}

static void tell(struct nl_answer *a, struct unix_sock *u, const struct unix_request *r, u16 flags)
{
    struct unix_message m = { .family = AF_UNIX, .type = u->s.type, .state = state_of(u), .ino = u->s.ino, .cookie = { (u32)diag_cookie(&u->s) } };
    struct unix_sock *peer = unix_peer_get(u);
    struct sock_addr name = { .len = 0 };
    nl_begin(a, SOCK_DIAG_BY_FAMILY, flags, &m, sizeof m);
    if ((r->show & SHOW_NAME) && u->s.ops->getname(&u->s, false, &name) == 0 && name.len > 2)
        nl_attr(a, ATTR_NAME, name.data + 2, name.len - 2);
    if ((r->show & SHOW_PEER) && peer != NULL)
        nl_attr_u32(a, ATTR_PEER, peer->s.ino);
    if ((r->show & SHOW_PENDING) && u->listening)
        tell_pending(a, u);
    if (r->show & SHOW_QUEUES)
        tell_queues(a, u);
    if (r->show & SHOW_MEMORY)
        diag_memory(a, ATTR_MEMORY, &u->s);
    nl_attr(a, ATTR_SHUTDOWN, &u->s.shut, 1);
    if (r->show & SHOW_UID)
        nl_attr_u32(a, ATTR_UID, u->s.uid);
    nl_end(a);
    unix_put(peer);
}

static void tell_wanted(struct nl_answer *a, struct sock *s, const void *request)
{
    const struct unix_request *r = request;
    if ((r->states & (1u << state_of(un(s)))) && (r->ino == 0 || r->ino == s->ino))
        tell(a, un(s), r, NLM_F_MULTI);
}

static bool has_ino(const struct sock *s, void *ino) { return s->ino == *(u32 *)ino; }

static int one(struct nl_answer *a, struct unix_request *r)
{
    if (r->ino == 0)
        return -EINVAL;
    struct sock *s = sock_search(unix_find_all, has_ino, &r->ino);
    if (s == NULL)
        return -ENOENT;
    int err = diag_cookie_fits(r->cookie, s) ? 0 : -ESTALE;
    if (err == 0)
        tell(a, un(s), r, 0);
    sock_put(s);
    return err;
}

int diag_unix(struct nl_answer *a, const struct nl_request *r)
{
    struct unix_request q;
    if (r->len < sizeof q)
        return -EINVAL;
    memcpy(&q, r->body, sizeof q);
    if ((r->flags & NLM_F_DUMP) != NLM_F_DUMP)
        return one(a, &q);
    return diag_dump(a, unix_find_all, tell_wanted, &q, sizeof q);
}
