/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Urgent data (RFC 9293 3.8.5, RFC 6093) as Linux has it: one byte, at the mark. The pointer on the wire names the byte behind it.
 *
 * Sending: MSG_OOB makes the last byte urgent; until it is acknowledged, every segment from before it tells where it is, and Nagle waits no more.
 *
 * Receiving: the byte stays in the receive queue, where s.urg_at says. Reads end before it, and begin behind it unless SO_OOBINLINE is
 * set. s.urg has the state: a pointer came (URG_KNOWN, which also sends SIGURG); then the byte (URG_BYTE, POLLPRI), until MSG_OOB takes the
 * copy in s.urg_byte. It is 0 again once the stream was read beyond the mark. A later pointer takes the place of an earlier one, whose byte is
 * data from then on; but if reading had come to it, it is gone (URG_STALE).
 */
#include "kern/uio.h"
#include "tcp_impl.h"

/* The sequence number of the first byte in the receive queue (T2) but for a stale one, or of the next to come. t locked. */
static u32 front(const struct tcp *t) { return t->rcv_nxt - t->fin_rcvd - t->s.rcvq_bytes + ((t->s.urg & URG_STALE) != 0); }

static void set_urg(struct sock *s, u32 urg) { atomic_store(&s->urg, (u8)urg); }

static void moved(struct tcp *t)
{
    struct sock *s = &t->s;
    u32 urg = s->urg & ~(URG_AT_MARK | URG_STALE); /* a stale byte is the first to go */
    set_urg(s, urg);
    u32 left = s->urg_at - front(t);
    set_urg(s, (s32)left < 0 ? 0 : urg | (left == 0 ? URG_AT_MARK : 0));
}

/* A pointer to the byte at `at`. True = it is news. */
static bool announced(struct tcp *t, u32 at)
{
    struct sock *s = &t->s;
    if (SEQ_LT(at, t->rcv_nxt) || (s->urg != 0 && SEQ_LE(at, s->urg_at)))
        return false;
    bool stale = (s->urg & (URG_AT_MARK | URG_STALE)) != 0 && !s->oob_inline && s->rcvq_bytes > 0;
    s->urg_at = at;
    set_urg(s, URG_KNOWN | (stale ? URG_STALE : 0));
    if (at == front(t))
        set_urg(s, s->urg | URG_AT_MARK);
    return true;
}

static u32 received(struct tcp *t, const struct tcp_seg *g)
{
    struct sock *s = &t->s;
    u32 acts = 0, off;
    if ((g->flags & TH_URG) && announced(t, g->seq + (g->urg != 0 ? g->urg - 1u : 0)))
        acts |= ACT_URGENT;
    off = s->urg_at - g->seq;
    if ((s->urg & URG_KNOWN) && off < g->len) {
        pkt_copy_out(g->p, off, &s->urg_byte, 1);
        set_urg(s, (s->urg & ~URG_KNOWN) | URG_BYTE);
        acts |= ACT_PRIORITY;
    }
    return acts;
}

static u32 until(struct tcp *t, u32 skip)
{
    sock_lock(&t->s);
    u32 left = t->s.urg != 0 ? t->s.urg_at - front(t) - skip : UINT32_MAX;
    sock_unlock(&t->s);
    return (s32)left < 0 ? UINT32_MAX : left;
}

static s64 recv(struct tcp *t, struct sock_msg *m)
{
    struct sock *s = &t->s;
    u32 in_flags = m->flags;
    m->flags = 0;
    m->control_len = 0;
    if (m->from != NULL)
        m->from->len = 0;
    sock_lock(s);
    u32 urg = s->urg;
    u8 byte = s->urg_byte;
    bool over = t->state == TCP_CLOSED || (s->shut & SHUT_RD_BIT) != 0, broken = t->state == TCP_CLOSED && !t->fin_rcvd;
    if ((urg & URG_BYTE) && !broken && !s->oob_inline && !(in_flags & MSG_PEEK))
        set_urg(s, (urg & ~URG_BYTE) | URG_TAKEN);
    sock_unlock(s);
    if (s->oob_inline || urg == 0 || (urg & URG_TAKEN))
        return -EINVAL;
    if (broken)
        return -ENOTCONN;
    if (!(urg & URG_BYTE))
        return over ? 0 : -EAGAIN;
    m->flags = MSG_OOB;
    if (m->uio->remaining == 0) {
        m->flags |= MSG_TRUNC;
        return 0;
    }
    return in_flags & MSG_TRUNC ? 1 : uio_copy_out(m->uio, &byte, 1) == 1 ? 1 : -EFAULT;
}

static u16 pointer(const struct tcp *t, u32 seq)
{
    u32 off = t->snd_up - seq;
    return SEQ_GE(seq, t->snd_up) ? 0 : off <= 0xffff ? (u16)off : SEQ_GT(seq + 0xffff, t->snd_nxt) ? 0xffff : 0;
}

const struct tcp_urg_ops tcp_urg = { .received = received, .moved = moved, .until = until, .recv = recv, .pointer = pointer };
