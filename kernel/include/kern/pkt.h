/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packet buffers. A packet is a chain of views: each `struct pkt` shows
 * [data, data+len) of a reference-counted storage block. The first one of a chain
 * carries the packet's metadata. Data moves by reference: a TCP segment is a
 * small header view followed by views of the send queue's storage.
 *
 *   storage:  | headroom |   data ... len   | tailroom |
 *             start      data                          end
 *
 * A pkt and its chain have one owner at a time; only storage is shared. Shared
 * storage (refs > 1) is read-only.
 */
#ifndef KERN_PKT_H
#define KERN_PKT_H

#include "base/list.h"
#include "kern/atomic.h"

struct netdev;

struct pkt_store {
    struct refcount refs;
    u32 size;                          /* bytes at `start` */
    u8 *start;                         /* physically contiguous within the store */
    void (*free)(struct pkt_store *s); /* at zero references */
    void *private;
};

enum pkt_csum { PKT_CSUM_NONE, PKT_CSUM_PARTIAL, PKT_CSUM_VALID };
enum pkt_gso { PKT_GSO_NONE, PKT_GSO_TCP4, PKT_GSO_TCP6, PKT_GSO_UDP };

struct pkt {
    struct list node;        /* queue of packets; owner's */
    struct pkt *more;        /* rest of the chain */
    struct pkt_store *store;
    u8 *data;
    u32 len;                 /* of this view */
    bool embedded;           /* pkt.c: lives in front of its own storage */
    bool front;              /* what is in front of `data` is its alone, although the storage is shared */
    bool peeked;             /* first of the chain only: without bytes, and MSG_PEEK has seen it */
    /* --- first of the chain only --- */
    u32 total_len;           /* of the whole chain */
    struct netdev *dev;
    u16 l2_off, l3_off, l4_off; /* from store->start of the first view; 0 = unknown */
    u8 csum;                 /* enum pkt_csum. PARTIAL: sum from csum_start to the end into csum_start+csum_offset */
    u8 gso;                  /* enum pkt_gso */
    u16 csum_start, csum_offset; /* PARTIAL: csum_start counts from `data` of the packet handed to the driver */
    u16 gso_size;            /* payload bytes per segment */
    u16 gso_hdr_len;
    u16 queue;               /* to be sent: 1 + the CPU whose queue it takes, 0 = the sender's; for the driver: the queue */
    u16 ethertype;           /* host order, set by ethernet input */
    u64 time_ns;
    u64 cb[6];               /* private to the layer that holds the packet */
};

void pkt_init(void);
/* One view with its own storage: headroom bytes before data, room for size bytes; len = 0.
 * NULL when out of memory (atomic context allowed). size + headroom <= 65536. */
struct pkt *pkt_alloc(u32 headroom, u32 size);
/* A view of [off, off+len) of p's own view, sharing its storage. */
struct pkt *pkt_view(const struct pkt *p, u32 off, u32 len);
/* A view of all of a store, whose reference it takes. NULL = out of memory, the reference stays the caller's. */
struct pkt *pkt_of_store(struct pkt_store *s);
void pkt_free(struct pkt *p); /* whole chain; NULL is fine */

static inline u32 pkt_headroom(const struct pkt *p) { return (u32)(p->data - p->store->start); }
static inline u32 pkt_tailroom(const struct pkt *p)
{
    return (u32)(p->store->start + p->store->size - (p->data + p->len));
}
u8 *pkt_push(struct pkt *p, u32 n);     /* grow at the front; ASSERTs headroom */
u8 *pkt_put(struct pkt *p, u32 n);      /* grow at the end of a single view; ASSERTs tailroom */
void pkt_pull_more(struct pkt *p, u32 n); /* pkt_pull() beyond the first view */
/* Cut n bytes from the front of the chain's first views; frees emptied ones except the first. */
static inline void pkt_pull(struct pkt *p, u32 n)
{
    if (unlikely(n > p->len)) {
        pkt_pull_more(p, n);
        return;
    }
    p->total_len -= n;
    p->data += n;
    p->len -= n;
}
void pkt_trim(struct pkt *p, u32 len);  /* cut the chain to len bytes in total */
void pkt_append(struct pkt *p, struct pkt *tail); /* chain tail's views behind p's */
/* Make the first n bytes contiguous in the first view. 0, -EINVAL (shorter), -ENOMEM. */
int pkt_pull_up_more(struct pkt *p, u32 n);
static inline int pkt_pull_up(struct pkt *p, u32 n) { return likely(p->len >= n) ? 0 : pkt_pull_up_more(p, n); }
/* Copy from the chain at off; bytes copied. */
u32 pkt_copy_out(const struct pkt *p, u32 off, void *dst, u32 len);
/* A chain of views of [off, off+len) of the chain p, sharing storage; the first carries
 * total_len and no other metadata. NULL = out of memory, or the range is not inside. */
struct pkt *pkt_clone_range(const struct pkt *p, u32 off, u32 len);
/* The same, perhaps of no bytes, behind an empty view with that headroom. */
struct pkt *pkt_clone_behind(u32 headroom, const struct pkt *p, u32 off, u32 len);
/* A copy of the chain p in one view, with its checksum and segmentation fields. NULL = out of memory or too long. */
struct pkt *pkt_flatten(const struct pkt *p, u32 headroom);
/* Memory that the chain keeps from being reused, for socket limits. */
u32 pkt_truesize(const struct pkt *p);
/* Does nobody else look at this storage? */
static inline bool pkt_is_exclusive(const struct pkt *p) { return ref_count(&p->store->refs) == 1; }
/* May the owner of p write into p's headroom? */
static inline bool pkt_owns_front(const struct pkt *p) { return p->front || pkt_is_exclusive(p); }
void pkt_store_put(struct pkt_store *s);
/* Packets (views included) that exist now; for leak checks. */
u32 pkt_in_use(void);

/* Room (headroom + size) of the common small packet: pkt_alloc() of no more than this is one 2 KiB object. */
#define PKT_SMALL_ROOM (PKT_SMALL_TRUESIZE - (u32)sizeof(struct pkt) - (u32)sizeof(struct pkt_store))
/* What pkt_truesize() says of it. */
#define PKT_SMALL_TRUESIZE 2048u
/* Free a list of packets linked by node. */
void pkt_list_free(struct list *l);

#endif
