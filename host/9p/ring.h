/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtqueue from the device's side (virtio 1.2, section 2.7: split ring, no indirect descriptors), in memory of a guest that may
 * change all of it at any time. What is checked is read once, into our own memory; an address is used only through guest_at().
 */
#ifndef HOST_9P_RING_H
#define HOST_9P_RING_H

#include <stdbool.h>
#include <sys/uio.h>

#include "base/types.h"

#define RING_MAX 1024u
#define GUEST_REGIONS 8

struct guest_region {
    u64 guest, user, size; /* where it is for the guest, and for its monitor */
    u8 *at;                /* and for us */
};

struct guest {
    struct guest_region regions[GUEST_REGIONS];
    unsigned n;
};

/* `len` bytes of the guest's memory, or NULL. */
void *guest_at(const struct guest *g, u64 address, u64 len);
/* The same by the monitor's addresses. */
void *guest_at_user(const struct guest *g, u64 address, u64 len);

struct ring_desc {
    u64 address;
    u32 len;
    u16 flags, next;
};

struct ring {
    u32 size;                      /* a power of two; 0 = not known yet */
    u64 desc_user, avail_user, used_user;
    const struct ring_desc *desc;  /* NULL = it does not run */
    u16 *avail, *used;             /* flags, index, ... */
    u16 next;                      /* of avail, to be taken */
    u16 done;                      /* as in used */
    u16 told;                      /* `done` when the guest was last told */
    bool event_idx, enabled;
    bool more;                     /* of who serves it: the last round was not all */
    int kick, call;                /* eventfds, or -1 */
};

/* A request: what the guest gives, and room for the answer. */
struct ring_chain {
    u16 head;
    unsigned nout, nin;
    size_t out_bytes, in_bytes;
    struct iovec out[RING_MAX], in[RING_MAX];
};

/* Find the ring's parts in the guest. False: it does not run. */
bool ring_map(struct ring *r, const struct guest *g);
/* 1 = *c is the next request; 0 = there is none; -1 = the guest breaks the rules. */
int ring_take(struct ring *r, const struct guest *g, struct ring_chain *c);
/* Answered by `len` bytes. */
void ring_give(struct ring *r, u16 head, u32 len);
/* The guest wants to hear of what has been given since the last time. */
bool ring_wants_call(struct ring *r);
/* Ask for a kick with the next request. False: there is one already. */
bool ring_sleep(struct ring *r);

#endif
