/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Split virtqueues (virtio 1.2, section 2.7), the driver's side.
 *
 * One virtqueue is three tables in memory shared with the device:
 *
 *   desc[size]   | addr 8 | len 4 | flags 2 | next 2 |        we write
 *   avail        | flags 2 | idx 2 | ring[size] 2 each | used_event 2 |   we write
 *   used         | flags 2 | idx 2 | ring[size] {id 4, len 4} | avail_event 2 |   the device writes
 *
 * and, behind them in the same allocation but unknown to the device, one
 * `vq_slot` for each descriptor.
 *
 * The device is hostile. Everything it writes is read once, checked against
 * private state, and only then used; we never read back what we wrote into
 * shared memory. Invariants (cited by number in code and tests):
 *
 *   R1  Sum of slot[h].count over chains in flight + num_free = size.
 *   R2  slot[h].count > 0 exactly for the heads of chains in flight; such a slot
 *       has cookie != NULL.
 *   R3  in_flight = number of such heads = avail_idx - last_used (mod 2^16).
 *   R4  used.idx - last_used <= in_flight; a larger jump breaks the queue.
 *   R5  A used id is < size and a head in flight (R2); anything else breaks it.
 *   R6  A used length is at most the device-writable bytes that were posted
 *       for that head; a larger one breaks the queue.
 *   R7  A broken queue gives out nothing and takes nothing, for good.
 *
 * Order of memory accesses. Publishing: descriptors and avail.ring entry, then
 * (release) avail.idx, then a full fence, then avail_event / used.flags are read
 * to decide about the doorbell. Consuming: used.idx (acquire), then entries. Asking
 * for interrupts: used_event, full fence, then used.idx is looked at once more.
 *
 * Locking is the owner's: one caller at a time for each queue.
 */
#ifndef DRIVERS_VIRTIO_RING_H
#define DRIVERS_VIRTIO_RING_H

#include "base/list.h"
#include "kern/types.h"

#define VQ_MAX_SIZE 1024u

#define VQ_DESC_NEXT 1u
#define VQ_DESC_WRITE 2u
#define VQ_DESC_INDIRECT 4u
#define VQ_AVAIL_NO_INTERRUPT 1u
#define VQ_USED_NO_NOTIFY 1u

struct vq_desc {
    u64 addr;
    u32 len;
    u16 flags, next;
};
struct vq_avail {
    u16 flags, idx;
    u16 ring[];
};
struct vq_used_elem {
    u32 id, len;
};
struct vq_used {
    u16 flags, idx;
    struct vq_used_elem ring[];
};

struct vq_seg {
    paddr_t pa;
    u32 len;
};

struct vq_slot {
    void *cookie;  /* of the chain that starts here */
    u32 in_bytes;  /* device-writable bytes of that chain */
    u16 next;      /* next descriptor of the chain, or of the free list */
    u16 count;     /* descriptors in the chain that starts here; 0 = not a head in flight */
};

struct virtq {
    struct vq_desc *desc;
    struct vq_avail *avail;
    struct vq_used *used;
    struct vq_slot *slots;
    u16 size;        /* power of two */
    u16 free_head, num_free, in_flight;
    u16 avail_idx;   /* what avail->idx holds */
    u16 kicked_idx;  /* avail_idx at the last doorbell decision */
    u16 last_used;   /* next used entry to look at */
    u16 used_seen;   /* used->idx as last read, already checked (R4) */
    bool event_idx;  /* VIRTIO_F_EVENT_IDX negotiated */
    bool quiet;      /* interrupts not wanted */
    const char *broken; /* NULL, or which rule the device violated */

    /* The transport's part. */
    u16 index, vector;
    bool notify16;
    volatile void *doorbell;
    struct virtio_dev *vd;
    void (*callback)(struct virtq *vq); /* interrupt context: used entries may have come */
    void *driver;
    struct list node;                   /* vd->queues */
};

/* Bytes of memory a queue of `size` descriptors needs (16-aligned, zeroed). */
size_t virtq_bytes(u16 size);
/* Lay the queue out in mem. `size` is a power of two, 2..VQ_MAX_SIZE. Touches nothing but the ring fields. */
void virtq_setup(struct virtq *vq, void *mem, u16 size, bool event_idx);

/*
 * Post a chain: nout segments the device reads, then nin that it writes;
 * nout + nin >= 1. Published at once, but no doorbell. 0, -ENOSPC (not enough
 * descriptors now), -EIO (broken). cookie != NULL comes back from virtq_pop().
 */
int virtq_add(struct virtq *vq, const struct vq_seg *segs, unsigned nout, unsigned nin, void *cookie);
/* The same through a table of nout + nin descriptors of the caller's, which stays his until popped. */
int virtq_add_indirect(struct virtq *vq, struct vq_desc *table, paddr_t table_pa, const struct vq_seg *segs,
                       unsigned nout, unsigned nin, void *cookie);
/* After one or more adds: does the device want the doorbell? */
bool virtq_kick_prepare(struct virtq *vq);
/* Next finished chain, its cookie and the bytes the device wrote; NULL = none, or broken. */
void *virtq_pop(struct virtq *vq, u32 *ret_len);
/* Is there anything for virtq_pop()? */
bool virtq_pending(const struct virtq *vq);

/* Interrupt suppression. Advice only: a spurious interrupt may still come. */
void virtq_quiet(struct virtq *vq);
/* Interrupt after `more` further completions (1 = the next). False when that many are there
 * already: no interrupt will come, look again. */
bool virtq_listen(struct virtq *vq, u16 more);

/* After the device was reset: cookies still in flight, one by one, then NULL. */
void *virtq_reclaim(struct virtq *vq);

#endif
