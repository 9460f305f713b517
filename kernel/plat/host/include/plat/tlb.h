/* SPDX-License-Identifier: Apache-2.0 */
/* What arch/x86_64/pagetable.c tells of changed entries: see there, and tlb.c. */
#ifndef PLAT_TLB_H
#define PLAT_TLB_H

#include "arch/pagetable.h"

bool host_tlb_replace(struct plat_aspace *as, u64 va); /* the page at va by what its entry says now, if as is loaded */
void host_tlb_drop(struct plat_aspace *as); /* what is stale, out of the process that runs, at once */

/* May as's process have it mapped? */
static inline bool tlb_has(const struct plat_aspace *as, u64 entry) { return (entry & PTE_CACHED) == as->generation; }

static inline void tlb_removed(struct plat_aspace *as, u64 va, size_t len, u64 old, u64 new)
{
    if (!tlb_has(as, old))
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
    if (!tlb_has(as, old) || (len == PAGE_SIZE && (new & PTE_PRESENT) && host_tlb_replace(as, va)))
        return;
    tlb_removed(as, va, len, old, new);
    host_tlb_drop(as);
}

/* The small entries say what the large one said, and so does the process's mapping. */
static inline void tlb_split(struct plat_aspace *as, u64 va) {}

#endif
