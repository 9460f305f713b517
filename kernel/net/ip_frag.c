/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reassembly (RFC 791, 815; RFC 8200 4.5), bounded for hostile senders: FRAG_QUEUES datagrams at a
 * time, FRAG_OF_ONE of a sender (the oldest gives way), FRAG_PIECES pieces each, FRAG_MEM bytes of storage in all,
 * FRAG_TIMEOUT_NS for a datagram. Pieces that overlap another one kill the whole
 * datagram (RFC 5722's rule), except for exact duplicates, which are ignored.
 */
#include "net_impl.h"
#include "sieve.h"

#define FRAG_QUEUES 16u
#define FRAG_OF_ONE 4u
#define FRAG_PIECES 64u
#define FRAG_MEM (256u * 1024)
#define FRAG_TIMEOUT_NS (15 * NSEC_PER_SEC)

struct frag_queue {
    struct frag_key key;
    bool used;
    u32 count, have, total; /* pieces; payload bytes; payload length or 0 = last piece not seen */
    u32 mem;
    u64 expires_ns;
    struct list pieces; /* by offset; each with what ip_rx()->hlen counts in front, cb[5] = offset << 32 | payload length */
};

static struct spinlock frag_lock = SPINLOCK_INIT("net_frag");
static struct frag_queue *queues; /* frag_lock; made at first use */
static u32 frag_mem;              /* frag_lock */
static struct ktimer frag_timer;

_Static_assert(sizeof(struct ip_rx) <= 5 * sizeof(u64), "cb[5] is ours");
static u32 piece_off(const struct pkt *p) { return (u32)(p->cb[5] >> 32); }
static u32 piece_len(const struct pkt *p) { return (u32)p->cb[5]; }

static void queue_clear(struct frag_queue *q)
{
    frag_mem -= q->mem;
    pkt_list_free(&q->pieces);
    q->used = false;
}

static void frag_tick(struct ktimer *t)
{
    u64 now = now_ns(), next = NEVER_NS;
    spin_lock(&frag_lock);
    for (unsigned i = 0; i < FRAG_QUEUES; i++) {
        struct frag_queue *q = &queues[i];
        if (q->used && now >= q->expires_ns) {
            NET_COUNT(ip_frag_timeout);
            queue_clear(q);
        }
        if (q->used && q->expires_ns < next)
            next = q->expires_ns;
    }
    spin_unlock(&frag_lock);
    if (next != NEVER_NS)
        ktimer_start(t, next);
}

static bool key_equal(const struct frag_key *a, const struct frag_key *b)
{
    return ip_equal(a->src, b->src) && ip_equal(a->dst, b->dst) && a->id == b->id && a->proto == b->proto;
}

static struct frag_queue *queue_for(const struct frag_key *key, u64 now)
{
    if (queues == NULL) {
        queues = kmalloc(FRAG_QUEUES * sizeof *queues, ALLOC_ATOMIC | ALLOC_ZERO);
        if (queues == NULL)
            return NULL;
        for (unsigned i = 0; i < FRAG_QUEUES; i++)
            list_init(&queues[i].pieces);
    }
    struct frag_queue *spare = &queues[0], *own = NULL;
    u32 own_count = 0;
    for (unsigned i = 0; i < FRAG_QUEUES; i++) {
        struct frag_queue *q = &queues[i];
        if (q->used && key_equal(&q->key, key))
            return q;
        if (spare->used && (!q->used || q->expires_ns < spare->expires_ns))
            spare = q;
        if (q->used && ip_equal(q->key.src, key->src)) {
            own_count++;
            if (own == NULL || q->expires_ns < own->expires_ns)
                own = q;
        }
    }
    if (own_count == FRAG_OF_ONE)
        spare = own;
    if (spare->used) {
        NET_COUNT(ip_frag_limit);
        queue_clear(spare);
    }
    spare->used = true;
    spare->key = *key;
    spare->count = spare->have = spare->total = spare->mem = 0;
    spare->expires_ns = now + FRAG_TIMEOUT_NS;
    if (!ktimer_armed(&frag_timer))
        ktimer_start(&frag_timer, spare->expires_ns);
    return spare;
}

/* 1 inserted, 0 duplicate, -1 the datagram is bad. */
static int insert(struct frag_queue *q, struct pkt *p)
{
    u32 off = piece_off(p), end = off + piece_len(p);
    struct list *at = q->pieces.prev; /* most come in order */
    for (; at != &q->pieces; at = at->prev) {
        const struct pkt *x = list_entry(at, struct pkt, node);
        u32 xo = piece_off(x), xe = xo + piece_len(x);
        if (xo >= end)
            continue;
        if (xo == off && xe == end)
            return 0;
        if (xe > off)
            return -1;
        break;
    }
    list_insert_after(at, &p->node);
    return 1;
}

static struct pkt *join(struct frag_queue *q)
{
    struct pkt *first = list_entry(list_pop_front(&q->pieces), struct pkt, node);
    struct list *n;
    while ((n = list_pop_front(&q->pieces)) != NULL) {
        struct pkt *p = list_entry(n, struct pkt, node);
        pkt_pull(p, ip_rx(p)->hlen);
        p->total_len = piece_len(p);
        pkt_append(first, p);
    }
    frag_mem -= q->mem;
    q->used = false;
    first->csum = PKT_CSUM_NONE; /* what a device said was about pieces */
    return first;
}

struct pkt *frag_input(const struct frag_key *key, struct pkt *p, u32 off, bool more)
{
    NET_COUNT(ip_frag_in);
    sieve_useless(NULL, SIEVE_FRAGMENT, 1);
    u32 len = p->total_len - ip_rx(p)->hlen;
    if (len == 0 || (more && len % 8 != 0)) {
        NET_DROP(ip_frag_bad);
        pkt_free(p);
        return NULL;
    }
    struct pkt *whole = NULL;
    u32 mem = pkt_truesize(p);
    p->cb[5] = (u64)off << 32 | len;
    spin_lock(&frag_lock);
    struct frag_queue *q = queue_for(key, now_ns());
    if (q == NULL || q->count == FRAG_PIECES || frag_mem + mem > FRAG_MEM) {
        NET_COUNT(ip_frag_limit);
        if (q != NULL)
            queue_clear(q);
        goto drop;
    }
    bool beyond = q->total != 0 && off + len > q->total;
    bool second_end = !more && q->total != 0 && off + len != q->total;
    if (!more && !second_end) {
        q->total = off + len;
        if (!list_empty(&q->pieces)) {
            const struct pkt *last = list_last(&q->pieces, struct pkt, node);
            beyond |= piece_off(last) + piece_len(last) > q->total;
        }
    }
    int did = beyond || second_end ? -1 : insert(q, p);
    if (did < 0) {
        NET_DROP(ip_frag_bad);
        queue_clear(q);
        goto drop;
    }
    if (did == 0)
        goto drop;
    q->count++;
    q->have += len;
    q->mem += mem;
    frag_mem += mem;
    if (q->total != 0 && q->have == q->total) {
        whole = join(q);
        if (whole->total_len <= 65535 + (ip_is_v4(key->src) ? 0 : IP6_HLEN)) { /* with the first one's header: they may differ */
            NET_COUNT(ip_frag_ok);
            sieve_useless(NULL, SIEVE_FRAGMENT, -(int)q->count);
            sieve_whole(key->src, q->count);
        } else {
            NET_DROP(ip_frag_bad);
            pkt_free(whole);
            whole = NULL;
        }
    }
    spin_unlock(&frag_lock);
    return whole;
drop:
    spin_unlock(&frag_lock);
    pkt_free(p);
    return NULL;
}

u32 ip_frag_count(bool v4, u32 *ret_bytes)
{
    u32 n = 0;
    *ret_bytes = 0;
    spin_lock_bh(&frag_lock);
    for (unsigned i = 0; queues != NULL && i < FRAG_QUEUES; i++)
        if (queues[i].used && ip_is_v4(queues[i].key.src) == v4) {
            n++;
            *ret_bytes += queues[i].mem;
        }
    spin_unlock_bh(&frag_lock);
    return n;
}

void ip_frag_init(void) { ktimer_init(&frag_timer, frag_tick); }
