/* SPDX-License-Identifier: Apache-2.0 */
/* The device's side of a virtqueue: see ring.h. */
#include "host/9p/ring.h"

#include <stddef.h>


#define DESC_NEXT 1u
#define DESC_WRITE 2u
#define AVAIL_NO_INTERRUPT 1u
#define HEADER_WORDS 2 /* flags, index */

static void *find(const struct guest *g, u64 address, u64 len, bool by_user)
{
    for (unsigned i = 0; i < g->n; i++) {
        const struct guest_region *r = &g->regions[i];
        u64 offset = address - (by_user ? r->user : r->guest);
        if (offset < r->size && len <= r->size - offset)
            return r->at + offset;
    }
    return NULL;
}

void *guest_at(const struct guest *g, u64 address, u64 len) { return find(g, address, len, false); }
void *guest_at_user(const struct guest *g, u64 address, u64 len) { return find(g, address, len, true); }

static u16 *used_flags(const struct ring *r) { return r->used; }
static u16 *avail_event(const struct ring *r) { return r->used + HEADER_WORDS + r->size * 4; }
static const u16 *used_event(const struct ring *r) { return r->avail + HEADER_WORDS + r->size; }

bool ring_map(struct ring *r, const struct guest *g)
{
    r->desc = NULL;
    if (r->size < 2 || r->size > RING_MAX || (r->size & (r->size - 1)) != 0)
        return false;
    const struct ring_desc *desc = guest_at_user(g, r->desc_user, sizeof(*desc) * r->size);
    r->avail = guest_at_user(g, r->avail_user, 2 * (HEADER_WORDS + r->size + 1));
    r->used = guest_at_user(g, r->used_user, 2 * (HEADER_WORDS + r->size * 4 + 1));
    if (!desc || !r->avail || !r->used || ((uintptr_t)desc & 15) != 0 || ((uintptr_t)r->avail & 1) != 0 || ((uintptr_t)r->used & 3) != 0)
        return false;
    r->desc = desc;
    r->told = r->done = __atomic_load_n(r->used + 1, __ATOMIC_RELAXED);
    return true;
}

/* One piece of a chain into *c; *ret_next is the next one's number, or size at the end. */
static int take_piece(struct ring *r, const struct guest *g, struct ring_chain *c, u16 index, u32 *ret_next)
{
    struct ring_desc d;
    __builtin_memcpy(&d, (const void *)&r->desc[index], sizeof(d)); /* once */
    __asm__ volatile("" : "+m"(d));
    void *at = guest_at(g, d.address, d.len);
    bool write = (d.flags & DESC_WRITE) != 0;
    if (!at || d.len == 0 || (d.flags & ~(DESC_NEXT | DESC_WRITE)) != 0 || (!write && c->nin > 0) || c->nout + c->nin == r->size)
        return -1;
    *(write ? &c->in[c->nin++] : &c->out[c->nout++]) = (struct iovec){at, d.len};
    *(write ? &c->in_bytes : &c->out_bytes) += d.len;
    *ret_next = (d.flags & DESC_NEXT) != 0 ? d.next : r->size;
    return (d.flags & DESC_NEXT) != 0 && d.next >= r->size ? -1 : 0;
}

int ring_take(struct ring *r, const struct guest *g, struct ring_chain *c)
{
    u16 ready = (u16)(__atomic_load_n(r->avail + 1, __ATOMIC_ACQUIRE) - r->next);
    if (ready == 0)
        return 0;
    c->head = __atomic_load_n(r->avail + HEADER_WORDS + (r->next & (r->size - 1)), __ATOMIC_RELAXED);
    if (ready > r->size || c->head >= r->size)
        return -1;
    c->nout = c->nin = 0;
    c->out_bytes = c->in_bytes = 0;
    for (u32 at = c->head; at < r->size;)
        if (take_piece(r, g, c, (u16)at, &at) < 0)
            return -1;
    r->next++;
    return 1;
}

void ring_give(struct ring *r, u16 head, u32 len)
{
    u32 *entry = (u32 *)(void *)(r->used + HEADER_WORDS) + 2 * (r->done & (r->size - 1));
    entry[0] = head;
    entry[1] = len;
    __atomic_store_n(r->used + 1, ++r->done, __ATOMIC_RELEASE);
}

bool ring_wants_call(struct ring *r)
{
    u16 told = r->told;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    r->told = r->done;
    if (!r->event_idx)
        return told != r->done && (__atomic_load_n(r->avail, __ATOMIC_RELAXED) & AVAIL_NO_INTERRUPT) == 0;
    u16 event = __atomic_load_n(used_event(r), __ATOMIC_RELAXED);
    return (u16)(r->done - event - 1) < (u16)(r->done - told);
}

bool ring_sleep(struct ring *r)
{
    if (r->event_idx)
        __atomic_store_n(avail_event(r), r->next, __ATOMIC_RELAXED);
    else
        __atomic_store_n(used_flags(r), 0, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return __atomic_load_n(r->avail + 1, __ATOMIC_RELAXED) == r->next;
}
