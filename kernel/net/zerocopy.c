/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MSG_ZEROCOPY (Documentation/networking/msg_zerocopy.rst of Linux). On a socket with SO_ZEROCOPY each such send has a number, from 0;
 * when nobody looks at the program's memory any more, a notification with the number lies in the socket's error queue (MSG_ERRQUEUE).
 * Notifications that follow each other are one range.
 *
 * TCP to another host takes the pages themselves: packets refer to them until they are acknowledged and off the card. What goes
 * to this host, and datagrams, are copied, and the notification says so (SO_EE_CODE_ZEROCOPY_COPIED).
 *
 * A send holds a reference to its socket; each page of it one to the send. So no socket goes while its pages are on the way.
 * Locks: zc.lock, a leaf but for the socket's wait queue; taken with the socket's own lock held, or not.
 */
#include "kern/addrspace.h"
#include "kern/page.h"
#include "kern/thread.h"
#include "kern/uio.h"
#include "tcp_impl.h"

#define UNREPORTED_MAX 1024u /* sends: then ENOBUFS */
#define SO_EE_ORIGIN_ZEROCOPY 5
#define SO_EE_CODE_ZEROCOPY_COPIED 1

struct sock_zc {
    struct spinlock lock;
    u32 next;           /* lock: number of the next send */
    u32 unreported;     /* lock: sends */
    struct list done;   /* lock: struct zc_send, oldest first */
};

struct zc_send {
    struct list node;
    struct refcount refs; /* the call's, and one for each page */
    struct sock *s;       /* referenced until it is done */
    u32 lo, hi;
    bool copied;          /* of the call alone until its reference goes */
};

struct zc_store {
    struct pkt_store store;
    struct page *page;
    struct zc_send *send;
};

bool zc_ready(const struct sock *s) { return !list_empty(&sock_zc(s)->done); }

static bool joins(const struct zc_send *a, const struct zc_send *b) { return a->hi + 1 == b->lo && a->copied == b->copied; }

static void send_put(struct zc_send *z)
{
    if (!ref_put(&z->refs))
        return;
    struct sock *s = z->s;
    struct sock_zc *zc = sock_zc(s);
    spin_lock_bh(&zc->lock);
    struct zc_send *last = list_empty(&zc->done) ? NULL : list_last(&zc->done, struct zc_send, node);
    bool merged = last != NULL && joins(last, z);
    if (merged)
        last->hi = z->hi;
    else
        list_push_back(&zc->done, &z->node);
    spin_unlock_bh(&zc->lock);
    if (merged)
        kfree(z);
    sock_wake(s, POLLERR);
    sock_put(s);
}

static void store_free(struct pkt_store *store)
{
    struct zc_store *x = container_of(store, struct zc_store, store);
    page_put(x->page);
    send_put(x->send);
    kfree(x);
}

int zc_enable(struct sock *s, s32 v)
{
    bool can = (s->domain == AF_INET || s->domain == AF_INET6) && (s->protocol == IPPROTO_TCP || s->protocol == IPPROTO_UDP);
    if (!can)
        return -EOPNOTSUPP;
    if (v < 0 || v > 1)
        return -EINVAL;
    s->zerocopy = (u8)v;
    if (v == 0 || sock_zc(s) != NULL)
        return 0;
    struct sock_extra *x = sock_extra(s);
    struct sock_zc *zc = x != NULL ? kzalloc(sizeof *zc) : NULL;
    if (zc == NULL)
        return -ENOMEM;
    spin_init(&zc->lock, "sock_zc");
    list_init(&zc->done);
    sock_lock(s);
    if (x->zc == NULL) {
        atomic_store(&x->zc, zc);
        zc = NULL;
    }
    sock_unlock(s);
    kfree(zc);
    return 0;
}

void zc_drop(struct sock *s)
{
    struct sock_zc *zc = sock_zc(s);
    if (zc != NULL)
        list_for_each_safe(z, &zc->done, struct zc_send, node)
            kfree(z);
    kfree(zc);
}

static int begin(struct sock *s, struct zc_send **ret)
{
    struct sock_zc *zc = sock_zc(s);
    struct zc_send *z = kzalloc(sizeof *z);
    if (z == NULL)
        return -ENOBUFS;
    spin_lock_bh(&zc->lock);
    bool full = zc->unreported >= UNREPORTED_MAX;
    if (!full) {
        z->lo = z->hi = zc->next++;
        zc->unreported++;
    }
    spin_unlock_bh(&zc->lock);
    if (full) {
        kfree(z);
        return -ENOBUFS;
    }
    ref_init(&z->refs);
    z->s = s;
    z->copied = s->protocol != IPPROTO_TCP;
    sock_get(s);
    *ret = z;
    return 0;
}

/* Nothing was sent: as if it had not been called. */
static void abandon(struct zc_send *z)
{
    struct sock *s = z->s;
    struct sock_zc *zc = sock_zc(s);
    spin_lock_bh(&zc->lock);
    bool latest = zc->next == z->hi + 1;
    if (latest) {
        zc->next--;
        zc->unreported--;
    }
    spin_unlock_bh(&zc->lock);
    if (latest) {
        kfree(z);
        sock_put(s);
    } else { /* another send has the next number: this one is to be told of, too */
        send_put(z);
    }
}

s64 zc_send(struct sock *s, struct sock_msg *m)
{
    struct zc_send *z;
    int err = begin(s, &z);
    if (err != 0)
        return err;
    m->zc = z;
    s64 r = s->ops->send(s, m);
    if (r >= 0)
        send_put(z);
    else
        abandon(z);
    return r;
}

/* The page of the next bytes, referenced, and how many of them are in it. -EAGAIN = they must be copied, -EFAULT. */
static int pin(struct uio *u, struct page **ret_page, u32 *ret_off, u32 *ret_len)
{
    if (!u->user)
        return -EAGAIN;
    while (u->seg_off == u->segs->len) {
        u->segs++;
        u->nsegs--;
        u->seg_off = 0;
    }
    uaddr_t at = u->segs->base + u->seg_off;
    *ret_off = (u32)(at % PAGE_SIZE);
    *ret_len = (u32)MIN(PAGE_SIZE - *ret_off, u->segs->len - u->seg_off);
    return as_page(current_thread()->as, at, ret_page);
}

int zc_make_packet(struct zc_send *z, bool here, struct uio *u, struct pkt **ret)
{
    struct page *page;
    u32 off, len;
    int err = here ? -EAGAIN : pin(u, &page, &off, &len);
    if (err == -EAGAIN) {
        z->copied = true;
        return tcp_make_packet(u, ret);
    }
    if (err != 0)
        return err;
    struct zc_store *x = kmalloc(sizeof *x, 0);
    struct pkt *p = NULL;
    if (x != NULL) {
        x->store = (struct pkt_store){ .size = len, .start = (u8 *)page_virt(page) + off, .free = store_free };
        ref_init(&x->store.refs);
        x->page = page;
        x->send = z;
        p = pkt_of_store(&x->store);
    }
    if (p == NULL) {
        kfree(x);
        page_put(page);
        return -ENOBUFS;
    }
    ref_get(&z->refs);
    uio_advance(u, len);
    *ret = p;
    return 0;
}

s64 zc_recv(struct sock *s, struct sock_msg *m)
{
    struct sock_zc *zc = sock_zc(s);
    struct zc_send *z = NULL;
    bool six = s->domain == AF_INET6;
    u32 used = 0;
    m->flags = MSG_ERRQUEUE;
    if (m->from != NULL)
        m->from->len = 0;
    spin_lock_bh(&zc->lock);
    if (!list_empty(&zc->done)) {
        z = list_first(&zc->done, struct zc_send, node);
        list_remove(&z->node);
        zc->unreported -= z->hi - z->lo + 1;
    }
    spin_unlock_bh(&zc->lock);
    if (z == NULL) {
        m->flags = 0;
        m->control_len = 0;
        return -EAGAIN;
    }
    struct {
        u32 err;
        u8 origin, type, code, pad;
        u32 lo, hi;
        u8 offender[28];
    } e = { .origin = SO_EE_ORIGIN_ZEROCOPY, .code = z->copied ? SO_EE_CODE_ZEROCOPY_COPIED : 0, .lo = z->lo, .hi = z->hi };
    sock_put_cmsg(m, &used, six ? IPPROTO_IPV6 : IPPROTO_IP, six ? 25 : 11, &e, six ? 44 : 32); /* IPV6_RECVERR, IP_RECVERR */
    m->control_len = used;
    kfree(z);
    return 0;
}
