/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rings of records: bpf_impl.h. A record is a head of 8 bytes and its data, padded to 8, in one piece; where it would run over the
 * end of the memory, a record that nobody gets fills the rest. Writers move `end` under the lock; a record is BUSY until its writer has
 * finished, and the reader stops in front of it. A full ring loses what comes and counts it.
 */
#include "bpf_impl.h"

#include "base/str.h"
#include "kern/slab.h"

#define BUSY 0x80000000u
#define DISCARDED 0x40000000u
#define LENGTH (DISCARDED - 1)

struct head {
    u32 word;     /* length of the data, and flags; atomic */
    u32 reserved;
};

int ring_init(struct bpf_ring *r, u32 size)
{
    spin_init(&r->lock, "bpf ring");
    r->bytes = vmap_alloc(size);
    r->size = size;
    return r->bytes != NULL ? 0 : -ENOMEM;
}

void ring_done(struct bpf_ring *r) { vmap_free(r->bytes, r->size); }

static struct head *head_at(const struct bpf_ring *r, u64 at) { return (struct head *)(r->bytes + (at & (r->size - 1))); }
static u64 whole(u32 len) { return sizeof(struct head) + ALIGN_UP((u64)len, 8); }

/* r held. */
static struct head *append(struct bpf_ring *r, u32 len)
{
    u64 left = r->size - (r->end & (r->size - 1)), skip = left < whole(len) ? left : 0;
    if (whole(len) > r->size || r->end + skip + whole(len) - r->begin > r->size)
        return NULL;
    if (skip != 0)
        *head_at(r, r->end) = (struct head){ .word = DISCARDED | (u32)(skip - sizeof(struct head)) };
    struct head *h = head_at(r, r->end + skip);
    h->word = BUSY | len;
    r->end += skip + whole(len);
    return h;
}

void *ring_reserve(struct bpf_ring *r, u32 len)
{
    u64 flags = spin_lock_irqsave(&r->lock);
    struct head *h = append(r, len);
    r->lost += h == NULL;
    spin_unlock_irqrestore(&r->lock, flags);
    return h != NULL ? h + 1 : NULL;
}

void ring_finish(void *data, bool submit)
{
    struct head *h = (struct head *)data - 1;
    atomic_store(&h->word, (h->word & LENGTH) | (submit ? 0 : DISCARDED));
}

static u32 take_lost(struct bpf_ring *r, const struct bpfd_record *like, u8 *buf)
{
    struct {
        struct bpfd_record head;
        u64 count;
    } lost = { .head = *like };
    lost.head.kind = BPFD_RECORD_LOST;
    lost.head.len = sizeof(lost.count);
    u64 flags = spin_lock_irqsave(&r->lock);
    lost.count = r->lost;
    r->lost = 0;
    spin_unlock_irqrestore(&r->lock, flags);
    memcpy(buf, &lost, sizeof(lost));
    return sizeof(lost);
}

static void advance(struct bpf_ring *r, u32 len)
{
    u64 flags = spin_lock_irqsave(&r->lock);
    r->begin += whole(len);
    spin_unlock_irqrestore(&r->lock, flags);
}

static u64 end_of(struct bpf_ring *r)
{
    u64 flags = spin_lock_irqsave(&r->lock);
    u64 end = r->end;
    spin_unlock_irqrestore(&r->lock, flags);
    return end;
}

u32 ring_take(struct bpf_ring *r, const struct bpfd_record *like, u8 *buf, size_t size)
{
    if (r->lost != 0 && size >= sizeof(struct bpfd_record) + 8)
        return take_lost(r, like, buf);
    for (u64 end = end_of(r); r->begin != end;) {
        const struct head *h = head_at(r, r->begin);
        u32 word = atomic_load(&h->word), len = word & LENGTH;
        struct bpfd_record rec = *like;
        u32 total = (u32)(sizeof(rec) + ALIGN_UP((u64)len, 8));
        if ((word & BUSY) != 0 || ((word & DISCARDED) == 0 && total > size))
            return 0;
        if ((word & DISCARDED) == 0) {
            rec.len = len;
            memset(buf + total - 8, 0, 8);
            memcpy(buf, &rec, sizeof(rec));
            memcpy(buf + sizeof(rec), h + 1, len);
            advance(r, len);
            return total;
        }
        advance(r, len);
    }
    return 0;
}
