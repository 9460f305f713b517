/* SPDX-License-Identifier: Apache-2.0 */
/* What arch/x86_64/pagetable.c tells of changed entries: see there, and tlb.c. */
#ifndef PLAT_TLB_H
#define PLAT_TLB_H

#include "arch/pagetable.h"

extern u64 host_tlb_generation; /* in the place of PTE_CACHED, never 0; a new one when everything is dropped */

void host_tlb_drop(struct plat_aspace *as, u64 va, size_t len); /* out of the process, at once */

/* May the process have it mapped? */
static inline bool tlb_has(u64 entry) { return (entry & PTE_CACHED) == host_tlb_generation; }

static inline void tlb_removed(struct plat_aspace *as, u64 va, size_t len, u64 old, u64 new)
{
    if (!tlb_has(old))
        return;
    if (as->stale_start >= as->stale_end) {
        as->stale_start = va;
        as->stale_end = va + len;
        return;
    }
    if (va < as->stale_start)
        as->stale_start = va;
    if (va + len > as->stale_end)
        as->stale_end = va + len;
}

static inline void tlb_changed(struct plat_aspace *as, u64 va, size_t len, u64 old, u64 new)
{
    if (tlb_has(old))
        host_tlb_drop(as, va, len);
}

/* The small entries say what the large one said, and so does the process's mapping. */
static inline void tlb_split(struct plat_aspace *as, u64 va) {}

#endif
