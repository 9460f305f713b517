/* SPDX-License-Identifier: Apache-2.0 */
/* Debug registers (Intel SDM volume 3, 17.2): the same on all CPUs, for whatever runs there. */
#include "arch/cpu.h"
#include "kern/atomic.h"
#include "kern/cpu_calls.h"
#include "kern/kprobe.h"
#include "pc.h"

#define DR6_POINTS 0xfu
#define DR6_CLEAR 0xffff0ff0u
#define DR7_FIXED 0x700u /* and exact matches */
#define DR7_RW_WRITE 1u
#define DR7_RW_BOTH 3u

static struct trap_point points[TRAP_POINTS]; /* a CPU that comes up meanwhile loads them, too: it is online, or sees these */

static u64 control_of(unsigned n, const struct trap_point *p)
{
    u64 rw = p->access == TRAP_EXEC ? 0 : (p->access & TRAP_READ) ? DR7_RW_BOTH : DR7_RW_WRITE;
    u64 len = p->access == TRAP_EXEC || p->len == 1 ? 0 : p->len == 2 ? 1 : p->len == 4 ? 3 : 2;
    return p->len == 0 ? 0 : 2ul << 2 * n | (rw | len << 2) << (16 + 4 * n);
}

static void load(void *arg)
{
    u64 control = DR7_FIXED;
    for (unsigned i = 0; i < TRAP_POINTS; i++)
        control |= control_of(i, &points[i]);
    __asm__ volatile("movq %0, %%dr7" ::"r"((u64)DR7_FIXED));
    __asm__ volatile("movq %0, %%dr0" ::"r"(points[0].addr));
    __asm__ volatile("movq %0, %%dr1" ::"r"(points[1].addr));
    __asm__ volatile("movq %0, %%dr2" ::"r"(points[2].addr));
    __asm__ volatile("movq %0, %%dr3" ::"r"(points[3].addr));
    __asm__ volatile("movq %0, %%dr6" ::"r"((u64)DR6_CLEAR));
    __asm__ volatile("movq %0, %%dr7" ::"r"(control));
}

void trap_set_points(const struct trap_point new[TRAP_POINTS])
{
    for (unsigned i = 0; i < TRAP_POINTS; i++)
        points[i] = new[i];
    atomic_fence();
    u64 flags = plat_events_save();
    load(NULL);
    plat_events_restore(flags);
    cpu_call(~0ul, load, NULL);
}

/* QEMU's own CPU (TCG), as of 7.2 */
bool trap_points_stall_steps(void)
{
    return (cpuid(1, 0).ecx >> 31) != 0 && cpuid(0x40000000, 0).ebx == TCG_SIGNATURE;
}

void pc_debug_init_cpu(void)
{
    for (unsigned i = 0; i < TRAP_POINTS; i++)
        if (points[i].len != 0)
            load(NULL);
}

NOPROBE u32 pc_debug_hits(void)
{
    u64 dr6;
    __asm__ volatile("movq %%dr6, %0" : "=r"(dr6));
    __asm__ volatile("movq %0, %%dr6" ::"r"((u64)DR6_CLEAR));
    return (u32)dr6 & DR6_POINTS;
}
