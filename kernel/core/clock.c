/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's clocks: the platform's, and a settable offset for CLOCK_REALTIME. */
#include "kern/atomic.h"
#include "kern/bh.h"
#include "kern/plat.h"
#include "kern/timer.h"

static s64 wall_offset; /* atomic; nanoseconds */

u64 now_ns(void)
{
    return plat_now_ns();
}

s64 wall_offset_ns(void)
{
    return atomic_load_relaxed(&wall_offset);
}

u64 wall_ns(void)
{
    return plat_wall_ns() + (u64)wall_offset_ns();
}

/* --- a platform's wall clock that others set ------------------------------------------------ */

void (*wall_changed)(bool set);
static u32 was_set; /* atomic */

static void tell(struct bh *bh)
{
    bool set = atomic_xchg(&was_set, 0u) != 0;
    if (wall_changed != NULL)
        wall_changed(set);
}

void wall_moved(bool set)
{
    static struct bh moved = { .node = LIST_INIT(moved.node), .fn = tell };
    if (set)
        atomic_store(&was_set, 1u);
    bh_raise(&moved);
}

int wall_set(u64 ns)
{
    if (ns > INT64_MAX)
        return -EINVAL;
    atomic_store(&wall_offset, (s64)(ns - plat_wall_ns()));
    return 0;
}
