/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packet buffers (kern/pkt.h). Three kinds of memory:
 *
 *   small  one 2 KiB slab object: | struct pkt | struct pkt_store | room |. The packet
 *          is born together with its storage; whoever lets go last (the packet itself
 *          or a view of the storage) frees the object.
 *   view   a struct pkt of its own that shows somebody else's storage
 *   large  a view of storage made of pages, up to 64 KiB
 *
 * Invariant P1: an embedded packet holds one reference to its own storage for as long
 * as it lives, even after pkt_pull_up() made it show another one (then it holds one
 * to each). Nothing here sleeps or takes locks beyond the allocator's.
 */
#include "base/str.h"
#include "kern/log.h"
#include "kern/page.h"
#include "kern/pkt.h"
#include "kern/slab.h"

struct pkt_small {
    struct pkt pkt;
    struct pkt_store store;
    u8 room[];
};

#define SMALL_SIZE PKT_SMALL_TRUESIZE
#define BURST 64u /* packets that come or go together: what a poll of the card takes */
_Static_assert(PKT_SMALL_ROOM == SMALL_SIZE - sizeof(struct pkt_small), "room of a small packet");

static struct kmem_cache *small_cache, *view_cache, *store_cache;
static u32 in_use; /* atomic */

void pkt_init(void)
{
    small_cache = kmem_cache_create("pkt", SMALL_SIZE, 64);
    kmem_cache_burst(small_cache, BURST);
    view_cache = kmem_cache_create("pkt_view", sizeof(struct pkt), 0);
    kmem_cache_burst(view_cache, BURST);
    store_cache = kmem_cache_create("pkt_store", sizeof(struct pkt_store), 0);
}

u32 pkt_in_use(void) { return atomic_load_relaxed(&in_use); }

static void small_store_free(struct pkt_store *s) { kmem_free(small_cache, container_of(s, struct pkt_small, store)); }

static void large_store_free(struct pkt_store *s)
{
    struct page *pg = s->private;
    page_free(pg, pg->order);
    kmem_free(store_cache, s);
}

void pkt_store_put(struct pkt_store *s)
{
    if (ref_put(&s->refs))
        s->free(s);
}

/* Everything but cb, which belongs to whoever uses it. */
static ALWAYS_INLINE void pkt_reset(struct pkt *p)
{
    u64 *w = (u64 *)(void *)p; /* words at fixed offsets: a call of memset() costs several times as much */
#pragma GCC unroll 16
    for (unsigned i = 0; i < offsetof(struct pkt, cb) / 8; i++)
        *(volatile u64 *)&w[i] = 0;
}
_Static_assert(offsetof(struct pkt, cb) % 8 == 0 && offsetof(struct pkt, cb) <= 128, "cleared by words");

static struct pkt *view_new(void)
{
    struct pkt *p = kmem_alloc(view_cache, ALLOC_ATOMIC);
    if (p != NULL) {
        pkt_reset(p);
        atomic_inc_relaxed(&in_use);
    }
    return p;
}

static struct pkt *alloc_large(u32 headroom, u32 size)
{
    unsigned order = 0;
    while ((PAGE_SIZE << order) < (u64)headroom + size)
        order++;
    struct pkt *p = view_new();
    if (p == NULL)
        return NULL;
    struct pkt_store *s = kmem_alloc(store_cache, ALLOC_ATOMIC);
    struct page *pg = s != NULL ? page_alloc(order, ALLOC_ATOMIC) : NULL;
    if (pg == NULL) {
        kmem_free(store_cache, s);
        kmem_free(view_cache, p);
        (void)atomic_sub(&in_use, 1u);
        return NULL;
    }
    pg->order = (u8)order;
    ref_init(&s->refs);
    s->size = (u32)(PAGE_SIZE << order);
    s->start = page_virt(pg);
    s->free = large_store_free;
    s->private = pg;
    p->store = s;
    p->data = s->start + headroom;
    return p;
}

struct pkt *pkt_alloc(u32 headroom, u32 size)
{
    if (headroom > 65536 || size > 65536 - headroom)
        return NULL;
    if (headroom + size > PKT_SMALL_ROOM)
        return alloc_large(headroom, size);
    struct pkt_small *b = kmem_alloc(small_cache, ALLOC_ATOMIC);
    if (b == NULL)
        return NULL;
    pkt_reset(&b->pkt);
    atomic_inc_relaxed(&in_use);
    ref_init(&b->store.refs);
    b->store.size = PKT_SMALL_ROOM;
    b->store.start = b->room;
    b->store.free = small_store_free;
    b->store.private = NULL;
    b->pkt.embedded = true;
    b->pkt.store = &b->store;
    b->pkt.data = b->room + headroom;
    return &b->pkt;
}

struct pkt *pkt_of_store(struct pkt_store *s)
{
    struct pkt *v = view_new();
    if (v == NULL)
        return NULL;
    v->store = s;
    v->data = s->start;
    v->len = v->total_len = s->size;
    return v;
}

struct pkt *pkt_view(const struct pkt *p, u32 off, u32 len)
{
    ASSERT(off <= p->len && len <= p->len - off);
    struct pkt *v = view_new();
    if (v == NULL)
        return NULL;
    ref_get(&p->store->refs);
    v->store = p->store;
    v->data = p->data + off;
    v->len = v->total_len = len;
    return v;
}

static ALWAYS_INLINE void free_one(struct pkt *p)
{
    (void)atomic_sub(&in_use, 1u);
    if (p->embedded) {
        struct pkt_small *small = container_of(p, struct pkt_small, pkt);
        if (unlikely(p->store != &small->store))
            pkt_store_put(p->store);
        if (ref_put(&small->store.refs))
            kmem_free(small_cache, small);
        return;
    }
    pkt_store_put(p->store);
    kmem_free(view_cache, p);
}

static NOINLINE void free_chain(struct pkt *p)
{
    while (p != NULL) {
        struct pkt *more = p->more;
        free_one(p);
        p = more;
    }
}

void pkt_free(struct pkt *p)
{
    if (likely(p != NULL && p->more == NULL))
        free_one(p);
    else
        free_chain(p);
}

void pkt_list_free(struct list *l)
{
    struct list *n;
    while ((n = list_pop_front(l)) != NULL)
        pkt_free(list_entry(n, struct pkt, node));
}

u8 *pkt_push(struct pkt *p, u32 n)
{
    ASSERT(pkt_headroom(p) >= n);
    p->data -= n;
    p->len += n;
    p->total_len += n;
    return p->data;
}

u8 *pkt_put(struct pkt *p, u32 n)
{
    ASSERT(p->more == NULL && pkt_tailroom(p) >= n);
    u8 *end = p->data + p->len;
    p->len += n;
    p->total_len += n;
    return end;
}

void pkt_pull_more(struct pkt *p, u32 n)
{
    ASSERT(n <= p->total_len);
    p->total_len -= n;
    n -= p->len;
    p->data += p->len;
    p->len = 0;
    while (n > 0) {
        struct pkt *v = p->more;
        if (v->len > n) {
            v->data += n;
            v->len -= n;
            break;
        }
        n -= v->len;
        p->more = v->more;
        v->more = NULL;
        pkt_free(v);
    }
}

void pkt_trim(struct pkt *p, u32 len)
{
    if (len >= p->total_len)
        return;
    p->total_len = len;
    for (; p->len < len; p = p->more)
        len -= p->len;
    p->len = len;
    pkt_free(p->more);
    p->more = NULL;
}

void pkt_append(struct pkt *p, struct pkt *tail)
{
    p->total_len += tail->total_len;
    while (p->more != NULL)
        p = p->more;
    p->more = tail;
}

u32 pkt_copy_out(const struct pkt *p, u32 off, void *dst, u32 len)
{
    u32 done = 0;
    for (; p != NULL && done < len; p = p->more) {
        if (off >= p->len) {
            off -= p->len;
            continue;
        }
        u32 n = MIN(p->len - off, len - done);
        memcpy((u8 *)dst + done, p->data + off, n);
        done += n;
        off = 0;
    }
    return done;
}

/* A header offset after the data moved; headers in front of the data stay behind and become unknown. */
static u16 moved(u16 off, u32 old_headroom, u32 new_headroom)
{
    return off < old_headroom ? 0 : (u16)(off + new_headroom - old_headroom);
}

int pkt_pull_up_more(struct pkt *p, u32 n)
{
    if (p->total_len < n)
        return -EINVAL;
    u32 missing = n - p->len;
    if (pkt_is_exclusive(p) && pkt_tailroom(p) >= missing) {
        pkt_copy_out(p->more, 0, p->data + p->len, missing);
    } else {
        u32 old_headroom = pkt_headroom(p), headroom = MIN(old_headroom, 128u);
        struct pkt *q = pkt_alloc(headroom, n);
        if (q == NULL)
            return -ENOMEM;
        pkt_copy_out(p, 0, q->data, n);
        /* p moves to q's storage; an embedded p keeps its own alive (P1). */
        ref_get(&q->store->refs);
        if (!p->embedded || p->store != &container_of(p, struct pkt_small, pkt)->store)
            pkt_store_put(p->store);
        p->store = q->store;
        p->data = q->data;
        p->l2_off = moved(p->l2_off, old_headroom, headroom);
        p->l3_off = moved(p->l3_off, old_headroom, headroom);
        p->l4_off = moved(p->l4_off, old_headroom, headroom);
        pkt_free(q);
    }
    /* Drop the moved bytes from the rest of the chain. */
    u32 total = p->total_len;
    p->len = 0;
    p->total_len = total - (n - missing);
    pkt_pull(p, missing);
    p->len = n;
    p->total_len = total;
    return 0;
}

struct pkt *pkt_clone_range(const struct pkt *p, u32 off, u32 len)
{
    struct pkt *first = NULL, **link = &first;
    u32 total = len;
    for (; p != NULL && len > 0; p = p->more) {
        if (off >= p->len) {
            off -= p->len;
            continue;
        }
        u32 n = MIN(p->len - off, len);
        struct pkt *v = pkt_view(p, off, n);
        if (v == NULL)
            goto fail;
        *link = v;
        link = &v->more;
        len -= n;
        off = 0;
    }
    if (first == NULL || len > 0)
        goto fail;
    first->total_len = total;
    return first;
fail:
    pkt_free(first);
    return NULL;
}

struct pkt *pkt_clone_behind(u32 headroom, const struct pkt *p, u32 off, u32 len)
{
    struct pkt *head = pkt_alloc(headroom, 0), *data = len > 0 ? pkt_clone_range(p, off, len) : NULL;
    if (head == NULL || (data == NULL && len > 0)) {
        pkt_free(head);
        pkt_free(data);
        return NULL;
    }
    if (data != NULL)
        pkt_append(head, data);
    return head;
}

struct pkt *pkt_flatten(const struct pkt *p, u32 headroom)
{
    struct pkt *one = pkt_alloc(headroom, p->total_len);
    if (one == NULL)
        return NULL;
    one->len = one->total_len = pkt_copy_out(p, 0, one->data, p->total_len);
    one->csum = p->csum;
    one->csum_start = p->csum_start;
    one->csum_offset = p->csum_offset;
    one->gso = p->gso;
    one->gso_size = p->gso_size;
    one->gso_hdr_len = p->gso_hdr_len;
    return one;
}

u32 pkt_truesize(const struct pkt *p)
{
    u32 sum = 0;
    for (; p != NULL; p = p->more)
        sum += p->store->size + (u32)sizeof(struct pkt) + (u32)sizeof(struct pkt_store);
    return sum;
}
