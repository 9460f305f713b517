/* SPDX-License-Identifier: Apache-2.0 */
/* What arch/x86_64/pagetable.c tells of changed entries: see there. Other CPUs are told by plat_flush() (smp.c). */
#ifndef PLAT_TLB_H
#define PLAT_TLB_H

#include "arch/cpu.h"
#include "arch/pagetable.h"
#include "kern/percpu.h"

extern struct plat_aspace pc_kernel_as; /* the kernel's half, in every address space */

static inline bool tlb_loaded(const struct plat_aspace *as) { return as == &pc_kernel_as || this_cpu()->plat.as == as; }

/* Where an entry only gained rights, another CPU that does not know yet faults, and finds that it may go on. */
static inline bool tlb_narrowed(u64 old, u64 new)
{
    return ((old ^ new) & PTE_ADDR) != 0 || (old & ~new & (PTE_PRESENT | PTE_WRITE)) != 0 || (new & ~old & PTE_NX) != 0;
}

static inline void tlb_stale(struct plat_aspace *as, u64 va, size_t len)
{
    if (va < as->stale_start)
        as->stale_start = va;
    if (va + len > as->stale_end)
        as->stale_end = va + len;
}

static inline void tlb_removed(struct plat_aspace *as, u64 va, size_t len, u64 old, u64 new)
{
    if ((old & PTE_PRESENT) && tlb_narrowed(old, new))
        tlb_stale(as, va, len);
}

static inline void tlb_changed(struct plat_aspace *as, u64 va, size_t len, u64 old, u64 new)
{
    tlb_removed(as, va, len, old, new);
    if (!tlb_loaded(as))
        return;
    if (len == PAGE_SIZE)
        invlpg(va);
    else
        write_cr3(read_cr3());
}

/* The small entries say what the large one said: other CPUs may use either until plat_flush() takes both. */
static inline void tlb_split(struct plat_aspace *as, u64 va)
{
    if (tlb_loaded(as))
        invlpg(va);
}

#endif
