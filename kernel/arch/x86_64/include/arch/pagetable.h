/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Page table entries (Intel SDM volume 3, 4.5; no entry ever has the user bit, 4), and what pagetable.c, which implements
 * the address spaces of kern/plat.h, offers to its platforms.
 */
#ifndef ARCH_PAGETABLE_H
#define ARCH_PAGETABLE_H

#include "kern/plat.h"

#define PTE_PRESENT 0x1UL
#define PTE_WRITE 0x2UL
#define PTE_UNCACHED 0x18UL /* PWT, PCD: strong uncacheable in the PAT's reset state */
#define PTE_ACCESSED 0x20UL
#define PTE_DIRTY 0x40UL
#define PTE_LARGE 0x80UL
#define PTE_GLOBAL 0x100UL
#define PTE_NONE 0x200UL   /* ours: mapped, no access */
#define PTE_CACHED (0x7ffUL << 52) /* ours, host: when the process mapped it; 0 = it has not. The CPU ignores these bits */
#define PTE_NX (1UL << 63)
#define PTE_ADDR 0x000ffffffffff000UL
#define PTE_MAPPED (PTE_PRESENT | PTE_NONE)
#define PTE_TABLE (PTE_PRESENT | PTE_WRITE | PTE_ACCESSED)

/* Accessed and dirty are set beforehand: nobody reads them, and the CPU need not write them. */
#define PTE_KERNEL_RX (PTE_PRESENT | PTE_ACCESSED | PTE_GLOBAL)
#define PTE_KERNEL_RO (PTE_KERNEL_RX | PTE_NX)
#define PTE_KERNEL_RW (PTE_KERNEL_RO | PTE_WRITE | PTE_DIRTY)

#define PT_SHIFT(level) (PAGE_SHIFT + 9 * ((level)-1))
#define PT_INDEX(va, level) (((u64)(va) >> PT_SHIFT(level)) & 511)

u64 pt_flags(unsigned prot);
unsigned pt_prot(u64 entry);
/* An empty top table in as->top. 0 or -ENOMEM. */
int pt_init(struct plat_aspace *as);
/* Free all tables. All user mappings are already removed. */
void pt_done(struct plat_aspace *as);
/* Free tables that were emptied, when no CPU can be walking them any more. */
void pt_free_dead(struct plat_aspace *as);
/* plat_map() of small pages with the entry's flags given, at any address. */
int pt_map_small(struct plat_aspace *as, u64 va, paddr_t pa, size_t len, u64 flags);
/* plat_unmap() of a range that cuts no large page. */
void pt_unmap_range(struct plat_aspace *as, u64 va, u64 end, plat_unmap_fn *fn, void *ctx);
/* The entry for va: of level 2 when it is a large page or empty; NULL where there is no table. */
u64 *pt_entry(struct plat_aspace *as, u64 va);

#endif
