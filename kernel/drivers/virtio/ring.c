/* SPDX-License-Identifier: Apache-2.0 */
/* Split virtqueues; theory, layout and invariants R1..R7 are in ring.h. */
#include "ring.h"

#include "arch/fence.h"
#include "base/str.h"
#include "kern/atomic.h"

static size_t avail_offset(u16 size) { return sizeof(struct vq_desc) * size; }
/* avail is 6 + 2 * size bytes; used wants 4-byte alignment. */
static size_t used_offset(u16 size) { return ALIGN_UP(avail_offset(size) + 6 + 2 * (size_t)size, 4); }
static size_t slots_offset(u16 size)
{
    return ALIGN_UP(used_offset(size) + 6 + sizeof(struct vq_used_elem) * size, 8);
}

size_t virtq_bytes(u16 size) { return slots_offset(size) + sizeof(struct vq_slot) * size; }

static u16 *used_event(struct virtq *vq) { return &vq->avail->ring[vq->size]; }
static const u16 *avail_event(const struct virtq *vq) { return (const u16 *)(const void *)&vq->used->ring[vq->size]; }

void virtq_setup(struct virtq *vq, void *mem, u16 size, bool event_idx)
{
    char *base = mem;
    memset(mem, 0, virtq_bytes(size));
    vq->desc = mem;
    vq->avail = (void *)(base + avail_offset(size));
    vq->used = (void *)(base + used_offset(size));
    vq->slots = (void *)(base + slots_offset(size));
    vq->size = vq->num_free = size;
    vq->free_head = vq->in_flight = 0;
    vq->avail_idx = vq->kicked_idx = vq->last_used = vq->used_seen = 0;
    vq->event_idx = event_idx;
    vq->quiet = false;
    vq->broken = NULL;
    for (unsigned i = 0; i < size; i++)
        vq->slots[i].next = (u16)(i + 1); /* the last one's is never followed: num_free stops first */
}

static ALWAYS_INLINE void publish(struct virtq *vq, u16 head, u16 count, u32 in_bytes, void *cookie)
{
    struct vq_slot *s = &vq->slots[head];
    s->cookie = cookie;
    s->in_bytes = in_bytes;
    s->count = count;
    vq->num_free = (u16)(vq->num_free - count);
    vq->in_flight++;
    atomic_store_relaxed(&vq->avail->ring[vq->avail_idx & (vq->size - 1)], head);
    vq->avail_idx++;
    atomic_store(&vq->avail->idx, vq->avail_idx);
}

static NOINLINE int add_chain(struct virtq *vq, const struct vq_seg *segs, unsigned nout, unsigned n, void *cookie)
{
    if (unlikely(n > vq->num_free))
        return -ENOSPC;
    u16 head = vq->free_head, i = head;
    u32 in_bytes = 0;
    for (unsigned k = 0; k < n; k++) {
        u16 next = vq->slots[i].next;
        u16 flags = (u16)((k >= nout ? VQ_DESC_WRITE : 0) | (k + 1 < n ? VQ_DESC_NEXT : 0));
        vq->desc[i] = (struct vq_desc){ segs[k].pa, segs[k].len, flags, k + 1 < n ? next : 0 };
        if (k >= nout)
            in_bytes += segs[k].len;
        i = next;
    }
    vq->free_head = i;
    publish(vq, head, (u16)n, in_bytes, cookie);
    return 0;
}

int virtq_add(struct virtq *vq, const struct vq_seg *segs, unsigned nout, unsigned nin, void *cookie)
{
    if (unlikely(vq->broken != NULL))
        return -EIO;
    if (unlikely(nout + nin != 1 || vq->num_free == 0))
        return add_chain(vq, segs, nout, nout + nin, cookie);
    u16 head = vq->free_head; /* what received and most sent packets are */
    vq->desc[head] = (struct vq_desc){ segs->pa, segs->len, nin != 0 ? VQ_DESC_WRITE : 0, 0 };
    vq->free_head = vq->slots[head].next;
    publish(vq, head, 1, nin != 0 ? segs->len : 0, cookie);
    return 0;
}

int virtq_add_indirect(struct virtq *vq, struct vq_desc *table, paddr_t table_pa, const struct vq_seg *segs,
                       unsigned nout, unsigned nin, void *cookie)
{
    unsigned n = nout + nin;
    if (unlikely(vq->broken != NULL))
        return -EIO;
    if (unlikely(vq->num_free == 0))
        return -ENOSPC;
    u32 in_bytes = 0;
    for (unsigned k = 0; k < n; k++) {
        table[k] = (struct vq_desc){
            .addr = segs[k].pa,
            .len = segs[k].len,
            .flags = (u16)((k >= nout ? VQ_DESC_WRITE : 0) | (k + 1 < n ? VQ_DESC_NEXT : 0)),
            .next = (u16)(k + 1 < n ? k + 1 : 0),
        };
        if (k >= nout)
            in_bytes += segs[k].len;
    }
    u16 head = vq->free_head;
    vq->free_head = vq->slots[head].next;
    vq->desc[head] = (struct vq_desc){
        .addr = table_pa, .len = (u32)(n * sizeof(struct vq_desc)), .flags = VQ_DESC_INDIRECT,
    };
    publish(vq, head, 1, in_bytes, cookie);
    return 0;
}

bool virtq_kick_prepare(struct virtq *vq)
{
    u16 old = vq->kicked_idx, new = vq->avail_idx;
    if (old == new || unlikely(vq->broken != NULL))
        return false;
    vq->kicked_idx = new;
    arch_device_fence();
    if (vq->event_idx) {
        u16 event = atomic_load_relaxed(avail_event(vq));
        return (u16)(new - event - 1) < (u16)(new - old);
    }
    return (atomic_load_relaxed(&vq->used->flags) & VQ_USED_NO_NOTIFY) == 0;
}

/* The chain's descriptors go back to the free list, in order, through private links only. */
static ALWAYS_INLINE void release_chain(struct virtq *vq, u16 head)
{
    struct vq_slot *s = &vq->slots[head];
    u16 tail = head;
    for (u16 k = 1; k < s->count; k++)
        tail = vq->slots[tail].next;
    vq->slots[tail].next = vq->free_head;
    vq->free_head = head;
    vq->num_free = (u16)(vq->num_free + s->count);
    vq->in_flight--;
    s->count = 0;
    s->cookie = NULL;
}

/* Entries known to be there, reading used->idx only when those seen before are used up. */
static u16 pending(struct virtq *vq)
{
    if (vq->used_seen != vq->last_used)
        return (u16)(vq->used_seen - vq->last_used);
    u16 idx = atomic_load(&vq->used->idx);
    u16 n = (u16)(idx - vq->last_used);
    if (unlikely(n > vq->in_flight)) { /* R4 */
        vq->broken = "used index jumped past what was posted";
        return 0;
    }
    vq->used_seen = idx;
    return n;
}

void *virtq_pop(struct virtq *vq, u32 *ret_len)
{
    if (unlikely(vq->broken != NULL) || pending(vq) == 0)
        return NULL;
    struct vq_used_elem *e = &vq->used->ring[vq->last_used & (vq->size - 1)];
    u32 id = atomic_load_relaxed(&e->id), len = atomic_load_relaxed(&e->len);
    if (unlikely(id >= vq->size || vq->slots[id].count == 0)) { /* R5 */
        vq->broken = "used id was not posted";
        return NULL;
    }
    if (unlikely(len > vq->slots[id].in_bytes)) { /* R6 */
        vq->broken = "used length exceeds the buffer";
        return NULL;
    }
    vq->last_used++;
    void *cookie = vq->slots[id].cookie;
    release_chain(vq, (u16)id);
    if (ret_len != NULL)
        *ret_len = len;
    return cookie;
}

bool virtq_pending(const struct virtq *vq)
{
    return vq->broken == NULL &&
           (vq->used_seen != vq->last_used || atomic_load(&vq->used->idx) != vq->last_used);
}

void virtq_quiet(struct virtq *vq)
{
    if (vq->quiet)
        return;
    vq->quiet = true;
    if (vq->event_idx) /* far ahead; a spurious interrupt every 2^15 completions is harmless */
        atomic_store_relaxed(used_event(vq), (u16)(vq->last_used + 0x8000));
    else
        atomic_store_relaxed(&vq->avail->flags, (u16)VQ_AVAIL_NO_INTERRUPT);
}

bool virtq_listen(struct virtq *vq, u16 more)
{
    vq->quiet = false;
    if (vq->event_idx)
        atomic_store_relaxed(used_event(vq), (u16)(vq->last_used + more - 1));
    else
        atomic_store_relaxed(&vq->avail->flags, (u16)0);
    arch_device_fence();
    return (u16)(atomic_load(&vq->used->idx) - vq->last_used) < more;
}

void *virtq_reclaim(struct virtq *vq)
{
    for (u16 i = 0; vq->in_flight > 0 && i < vq->size; i++) {
        if (vq->slots[i].count == 0)
            continue;
        void *cookie = vq->slots[i].cookie;
        release_chain(vq, i);
        return cookie;
    }
    return NULL;
}
