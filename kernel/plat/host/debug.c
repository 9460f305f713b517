/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Break- and watchpoints (kern/trap.h). A process cannot load the CPU's debug registers for itself behind our filter: the debugger's client does from outside, by perf events
 * of all our threads that raise SIGTRAP with the address (perf_event_open(2), `sigtrap`). Here is what they stand for.
 */
#include "host.h"
#include "kern/trap.h"

const bool trap_points_outside = true;
static struct trap_point points[TRAP_POINTS];

void trap_set_points(const struct trap_point new[TRAP_POINTS])
{
    for (unsigned i = 0; i < TRAP_POINTS; i++)
        points[i] = new[i];
}

u32 host_debug_hits(u64 addr)
{
    u32 hits = 0;
    for (unsigned i = 0; i < TRAP_POINTS; i++)
        hits |= (u32)(points[i].len != 0 && points[i].addr == addr) << i;
    return hits;
}
