/* SPDX-License-Identifier: Apache-2.0 */
/* Scatter-gather transfers: see kern/uio.h. Segment ranges are checked when a uio
 * is made, so that the loops below only meet faults. */
#include "kern/uio.h"

#include "base/str.h"
#include "kern/arch.h"
#include "kern/uaccess.h"

void uio_kernel(struct uio *u, void *base, u64 len)
{
    u->one = (struct uio_seg){ (uintptr_t)base, len };
    u->segs = &u->one;
    u->nsegs = 1;
    u->user = false;
    u->seg_off = 0;
    u->remaining = len;
}

int uio_user_segs(struct uio *u, const struct uio_seg *segs, u32 nsegs)
{
    u64 sum = 0;
    if (nsegs > UIO_MAX_SEGS)
        return -EINVAL;
    for (u32 i = 0; i < nsegs; i++) {
        if (segs[i].len > INT64_MAX || segs[i].len > INT64_MAX - sum)
            return -EINVAL;
        sum += segs[i].len;
    }
    for (u32 i = 0; i < nsegs; i++)
        if (segs[i].len != 0 && !user_range_ok(segs[i].base, segs[i].len))
            return -EFAULT;
    u->segs = segs;
    u->nsegs = nsegs;
    u->user = true;
    u->seg_off = 0;
    u->remaining = sum;
    return 0;
}

void uio_advance(struct uio *u, u64 len)
{
    len = MIN(len, u->remaining);
    u->remaining -= len;
    while (len > 0) {
        u64 room = u->segs->len - u->seg_off;
        if (len < room) {
            u->seg_off += len;
            return;
        }
        len -= room;
        u->segs++;
        u->nsegs--;
        u->seg_off = 0;
    }
}

enum direction { IN, OUT, ZERO };

/* One piece inside one segment; returns bytes moved. */
static ALWAYS_INLINE u64 move(bool user, u64 at, void *buf, u64 n, enum direction dir)
{
    void *p = (void *)(uintptr_t)at;
    if (user) {
        if (dir == IN)
            return n - arch_copy_user(buf, p, n);
        return n - (dir == OUT ? arch_copy_user(p, buf, n) : arch_zero_user(p, n));
    }
    if (dir == IN)
        memcpy(buf, p, n);
    else if (dir == OUT)
        memcpy(p, buf, n);
    else
        memset(p, 0, n);
    return n;
}

static ALWAYS_INLINE s64 transfer(struct uio *u, u8 *buf, u64 len, enum direction dir)
{
    u64 done = 0;
    len = MIN(len, u->remaining);
    while (done < len) {
        u64 n = MIN(u->segs->len - u->seg_off, len - done);
        if (n == 0) { /* an empty segment */
            u->segs++;
            u->nsegs--;
            u->seg_off = 0;
            continue;
        }
        u64 got = move(u->user, u->segs->base + u->seg_off, dir == ZERO ? NULL : buf + done, n, dir);
        done += got;
        u->seg_off += got;
        u->remaining -= got;
        if (got < n)
            return done != 0 ? (s64)done : -EFAULT;
    }
    return (s64)done;
}

s64 uio_copy_in(struct uio *u, void *dst, u64 len) { return transfer(u, dst, len, IN); }
s64 uio_copy_out(struct uio *u, const void *src, u64 len) { return transfer(u, (u8 *)(uintptr_t)src, len, OUT); }
s64 uio_zero(struct uio *u, u64 len) { return transfer(u, NULL, len, ZERO); }
