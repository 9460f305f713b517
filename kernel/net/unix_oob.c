/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Urgent bytes of AF_UNIX streams (MSG_OOB), as Linux has had them since 5.15. The byte is a message of its own in the queue, and u->oob
 * points to it while it may be taken apart from the stream; a later one makes it a byte like others. Once taken, an empty message stays
 * as the mark. Reads end at the mark; one that begins there loses the byte, unless SO_OOBINLINE is set. Everything here is under s.lock.
 */
#include "kern/uio.h"
#include "unix_impl.h"

static bool is_mark(const struct pkt *p) { return p->total_len == 0; }

void unix_oob_moved(struct unix_sock *u)
{
    struct list *q = &u->s.rcvq;
    const struct pkt *head = list_empty(q) ? NULL : list_first(q, struct pkt, node);
    bool at = head != NULL && (head == u->oob || (is_mark(head) && (u->oob == NULL || head->node.next == &u->oob->node)));
    atomic_store(&u->s.urg, (u8)(at ? URG_AT_MARK : 0));
}

static struct list *pass_over(struct unix_sock *u, struct pkt *p, bool peek, struct list *gone)
{
    struct list *next = p->node.next;
    if (!peek) {
        unix_unqueue(u, p);
        list_push_back(gone, &p->node);
    }
    return next;
}

struct pkt *unix_oob_next(struct unix_sock *u, struct list *n, bool some, bool peek, struct list *gone)
{
    struct list *end = &u->s.rcvq;
    while (n != end && is_mark(list_entry(n, struct pkt, node))) {
        if (some && u->oob == NULL)
            return NULL;
        n = pass_over(u, list_entry(n, struct pkt, node), peek, gone);
    }
    if (n == end || u->oob == NULL || n != &u->oob->node)
        return n == end ? NULL : list_entry(n, struct pkt, node);
    if (some)
        return NULL;
    struct pkt *p = u->oob;
    if (!peek)
        u->oob = NULL;
    if (u->s.oob_inline)
        return p;
    n = pass_over(u, p, peek, gone);
    return n == end ? NULL : list_entry(n, struct pkt, node);
}

bool unix_oob_readable(const struct unix_sock *u)
{
    const struct list *q = &u->s.rcvq;
    for (const struct list *n = q->next; n != q; n = n->next)
        if (!is_mark(list_entry(n, const struct pkt, node)) && (u->s.oob_inline || u->oob == NULL || n != &u->oob->node))
            return true;
    return false;
}

s64 unix_recv_oob(struct sock *s, struct sock_msg *m)
{
    struct unix_sock *u = un(s);
    const bool peek = (m->flags & MSG_PEEK) != 0;
    u8 byte = 0;
    if (s->type == SOCK_SEQPACKET && !u->had_peer)
        return -ENOTCONN;
    if (s->type != SOCK_STREAM)
        return -EOPNOTSUPP;
    mutex_lock(&s->rd);
    spin_lock_bh(&s->lock);
    bool any = u->oob != NULL && !s->oob_inline;
    if (any)
        byte = u->oob->data[0];
    if (any && !peek) {
        pkt_trim(u->oob, 0);
        atomic_store(&s->rcvq_bytes, s->rcvq_bytes - 1);
        u->oob = NULL;
        unix_oob_moved(u);
    }
    spin_unlock_bh(&s->lock);
    mutex_unlock(&s->rd);
    if (!any)
        return -EINVAL;
    m->flags = MSG_OOB;
    m->control_len = 0;
    if (m->from != NULL)
        m->from->len = 0;
    return m->uio->remaining == 0 || uio_copy_out(m->uio, &byte, 1) == 1 ? 1 : -EFAULT;
}
