/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters of sockets (socket(7), SO_ATTACH_FILTER): classic BPF that looks at what comes, from the header of the socket's protocol on, and says
 * how much of it is kept; nothing at all: it is dropped. Packet sockets have theirs here and run them by themselves.
 */
#include "kern/cbpf.h"
#include "kern/uaccess.h"
#include "sock_impl.h"

enum { SO_ATTACH_FILTER = 26, SO_GET_FILTER = 26, SO_DETACH_FILTER = 27, SO_LOCK_FILTER = 44 };

u32 sock_filters;

struct cbpf_program *sock_filter_get(struct sock *s)
{
    struct sock_extra *x = atomic_load(&s->extra);
    if (x == NULL || atomic_load(&x->filter) == NULL)
        return NULL;
    sock_lock(s);
    struct cbpf_program *b = x->filter;
    if (b != NULL)
        ref_get(&b->refs);
    spin_unlock_bh(&s->lock);
    return b;
}

/* --- runs ---------------------------------------------------------------------------------- */

struct bytes {
    struct cbpf_data d;
    const struct sock *s;
    const struct pkt *p;
    const void *front;
    u32 nfront;
};

static bool known_of(const struct sock *s, const struct pkt *p, u32 what, u32 *ret)
{
    bool inet = s->domain == AF_INET || s->domain == AF_INET6;
    const struct ip_rx *rx = ip_rx(p);
    const struct netif *nif = inet ? netif_by_index(rx->ifindex) : NULL;
    *ret = 0;
    switch (what) {
    case CBPF_AD_PROTOCOL:
        if (inet)
            *ret = ip_is_v4(rx->src) ? ETH_IP : ETH_IPV6;
        return true;
    case CBPF_AD_PKTTYPE:
        if (inet && rx->broadcast)
            *ret = ip_is_group(rx->dst) ? 2 : 1; /* PACKET_MULTICAST, PACKET_BROADCAST */
        return true;
    case CBPF_AD_IFINDEX:
    case CBPF_AD_HATYPE:
        if (nif != NULL)
            *ret = what == CBPF_AD_IFINDEX ? nif->dev->index : netif_hw_type(nif);
        return nif != NULL;
    default: /* tags of VLANs: none */
        return true;
    }
}

static bool load(const struct cbpf_data *d, u32 off, u32 size, u32 *ret)
{
    const struct bytes *x = container_of(d, const struct bytes, d);
    u8 b[4];
    if (off >= CBPF_AD_OFF)
        return known_of(x->s, x->p, off - CBPF_AD_OFF, ret);
    if (off >= d->len || size > d->len - off)
        return false;
    u32 n = off < x->nfront ? MIN(size, x->nfront - off) : 0;
    memcpy(b, (const u8 *)x->front + off, n);
    pkt_copy_out(x->p, off + n - x->nfront, b + n, size - n);
    *ret = size == 4 ? get_be32(b) : size == 2 ? get_be16(b) : b[0];
    return true;
}

bool sock_filter_run(struct sock *s, struct pkt *p, const void *front, u32 nfront)
{
    struct cbpf_program *b = sock_filter_get(s);
    if (b == NULL)
        return true;
    const struct bytes x = { { nfront + p->total_len, load }, s, p, front, nfront };
    u32 keep = cbpf_run(b, &x.d);
    cbpf_put(b);
    if (keep == 0) {
        NET_DROP(sock_filter);
        return false;
    }
    pkt_trim(p, MAX(keep, nfront) - nfront);
    return true;
}

/* --- options ------------------------------------------------------------------------------- */

/* Headers by their layer are known of frames alone. */
static bool of_bytes(const struct cbpf_insn *i)
{
    u32 class = CBPF_CLASS(i->code), mode = CBPF_MODE(i->code);
    bool loads = class <= CBPF_LDX && (mode == CBPF_ABS || mode == CBPF_IND || mode == CBPF_MSH);
    return !loads || i->k < CBPF_LL_OFF || i->k >= CBPF_AD_OFF;
}

/* The last use of one of a socket's. */
static void put(struct cbpf_program *b)
{
    if (b != NULL)
        atomic_add(&sock_filters, -1u);
    cbpf_put(b);
}

/* -EPERM: it is locked. -ENOENT: there is none to take away. -ENOMEM. Takes b. */
static int replace(struct sock *s, struct cbpf_program *b)
{
    struct sock_extra *x = b != NULL ? sock_extra(s) : atomic_load(&s->extra);
    if (x == NULL) {
        cbpf_put(b);
        return b != NULL ? -ENOMEM : -ENOENT;
    }
    if (b != NULL)
        atomic_add(&sock_filters, 1u);
    sock_lock(s);
    struct cbpf_program *old = x->filter;
    int err = x->filter_locked ? -EPERM : b == NULL && old == NULL ? -ENOENT : 0;
    if (err == 0)
        atomic_store(&x->filter, b);
    spin_unlock_bh(&s->lock);
    put(err == 0 ? old : b);
    return err;
}

bool sock_filter_locked(const struct sock *s)
{
    const struct sock_extra *x = atomic_load(&s->extra);
    return x != NULL && atomic_load(&x->filter_locked);
}

static int attach(struct sock *s, const void *val, u32 len)
{
    u64 at;
    struct cbpf_program *b;
    if (len != 16) /* struct sock_fprog */
        return -EINVAL;
    if (sock_filter_locked(s))
        return -EPERM;
    memcpy(&at, (const u8 *)val + 8, sizeof at);
    int err = cbpf_create(at, get_u16(val), s->domain == AF_PACKET ? NULL : of_bytes, &b);
    return err != 0 ? err : replace(s, b);
}

static int lock(struct sock *s, bool on)
{
    if (!on)
        return sock_filter_locked(s) ? -EPERM : 0;
    struct sock_extra *x = sock_extra(s);
    if (x == NULL)
        return -ENOMEM;
    sock_lock(s);
    atomic_store(&x->filter_locked, true);
    spin_unlock_bh(&s->lock);
    return 0;
}

int sock_filter_setopt(struct sock *s, int name, const void *val, u32 len)
{
    switch (name) {
    case SO_ATTACH_FILTER:
        return attach(s, val, len);
    case SO_DETACH_FILTER:
        return replace(s, NULL);
    case SO_LOCK_FILTER:
        return lock(s, get_u32(val) != 0);
    default:
        return -ENOPROTOOPT;
    }
}

int sock_filter_getopt(struct sock *s, int name, void *ret_val, u32 *len)
{
    return name == SO_LOCK_FILTER ? opt_int_out(ret_val, len, sock_filter_locked(s)) : -ENOPROTOOPT;
}

int sock_filter_out(struct sock *s, int level, int name, u64 uinsn, u64 ulen)
{
    u32 room;
    if (level != SOL_SOCKET || name != SO_GET_FILTER)
        return -ENOPROTOOPT;
    int err = get_user_u32(ulen, &room);
    if (err != 0)
        return err;
    struct cbpf_program *b = sock_filter_get(s);
    if (b != NULL && room != 0)
        err = room < b->len ? -EINVAL : copy_to_user(uinsn, b->insn, b->len * sizeof b->insn[0]);
    if (err == 0)
        err = put_user_u32(ulen, b != NULL ? b->len : 0);
    cbpf_put(b);
    return err;
}

bool sock_filter_inherit(struct sock *s, const struct sock *from)
{
    const struct sock_extra *x = from->extra;
    if (x == NULL || (x->filter == NULL && !x->filter_locked))
        return true;
    s->extra = kmalloc(sizeof *s->extra, ALLOC_ZERO | ALLOC_ATOMIC);
    if (s->extra == NULL)
        return false;
    s->extra->filter_locked = x->filter_locked;
    s->extra->filter = x->filter;
    if (x->filter != NULL) {
        ref_get(&x->filter->refs);
        atomic_add(&sock_filters, 1u);
    }
    return true;
}

void sock_filter_done(struct sock_extra *x) { put(x->filter); }
