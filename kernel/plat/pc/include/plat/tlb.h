/* SPDX-License-Identifier: Apache-2.0 */
/* What arch/x86_64/pagetable.c tells of changed entries: see there. One CPU runs for now. */
#ifndef PLAT_TLB_H
#define PLAT_TLB_H

#include "arch/cpu.h"
#include "kern/percpu.h"

extern struct plat_aspace pc_kernel_as; /* the kernel's half, in every address space */

static inline bool tlb_loaded(const struct plat_aspace *as) { return as == &pc_kernel_as || this_cpu()->plat.as == as; }

/* plat_flush() does all of it. */
static inline void tlb_removed(struct plat_aspace *as, u64 va, size_t len, u64 old) {}

static inline void tlb_changed(struct plat_aspace *as, u64 va, size_t len, u64 old)
{
    if (!tlb_loaded(as))
        return;
    if (len == PAGE_SIZE)
        invlpg(va);
    else
        write_cr3(read_cr3());
}

static inline void tlb_split(struct plat_aspace *as, u64 va)
{
    if (tlb_loaded(as))
        invlpg(va);
}

#endif
