/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's clocks: the platform's, and a settable offset for CLOCK_REALTIME. */
#include "kern/atomic.h"
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

int wall_set(u64 ns)
{
    if (ns > INT64_MAX)
        return -EINVAL;
    atomic_store(&wall_offset, (s64)(ns - plat_wall_ns()));
    return 0;
}
