/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scatter-gather memory of a read or write: program memory (checked, copies may
 * fault) or kernel memory. Consumed from the front as data moves.
 */
#ifndef KERN_UIO_H
#define KERN_UIO_H

#include "base/checked.h"
#include "kern/plat.h"

struct uio_seg {
    u64 base; /* uaddr_t, or a kernel pointer when !user */
    u64 len;
};

struct uio {
    const struct uio_seg *segs;
    u32 nsegs;
    bool user;
    u64 seg_off;   /* consumed of segs[0] */
    u64 remaining; /* bytes left in all segments */
    struct uio_seg one; /* storage for uio_user/uio_kernel */
};

#define UIO_MAX_SEGS 1024 /* UIO_MAXIOV */

/* One program buffer. -EFAULT when the range is not the program's. */
static inline int uio_user(struct uio *u, uaddr_t base, u64 len)
{
    if (unlikely(len > INT64_MAX))
        return -EINVAL;
    if (unlikely(len != 0 && !range_inside(base, len, PLAT_USER_MAX)))
        return -EFAULT;
    u->one = (struct uio_seg){ base, len };
    u->segs = &u->one;
    u->nsegs = 1;
    u->user = true;
    u->seg_off = 0;
    u->remaining = len;
    return 0;
}
void uio_kernel(struct uio *u, void *base, u64 len);
/* The segments must outlive u; ranges are checked: -EFAULT, -EINVAL (sum over SSIZE_MAX). */
int uio_user_segs(struct uio *u, const struct uio_seg *segs, u32 nsegs);

/* Move up to len bytes between kernel memory and the uio. Returns bytes moved
 * (short at the uio's end), or -EFAULT when not even one byte could be moved. */
s64 uio_copy_in(struct uio *u, void *dst, u64 len);        /* uio -> dst (a write's data) */
s64 uio_copy_out(struct uio *u, const void *src, u64 len); /* src -> uio (a read's result) */
s64 uio_zero(struct uio *u, u64 len);
void uio_advance(struct uio *u, u64 len);

#endif
