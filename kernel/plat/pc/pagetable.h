/* SPDX-License-Identifier: Apache-2.0 */
/* Page table entries (Intel SDM volume 3, 4.5). No entry ever has the user bit (4). */
#ifndef PC_PAGETABLE_H
#define PC_PAGETABLE_H

#include "kern/types.h"

#define PTE_PRESENT 0x1UL
#define PTE_WRITE 0x2UL
#define PTE_UNCACHED 0x18UL /* PWT, PCD: strong uncacheable in the PAT's reset state */
#define PTE_ACCESSED 0x20UL
#define PTE_DIRTY 0x40UL
#define PTE_LARGE 0x80UL
#define PTE_GLOBAL 0x100UL
#define PTE_NX (1UL << 63)
#define PTE_ADDR 0x000ffffffffff000UL
#define PTE_TABLE (PTE_PRESENT | PTE_WRITE | PTE_ACCESSED)

/* Accessed and dirty are set beforehand: nobody reads them, and the CPU need not write them. */
#define PTE_KERNEL_RX (PTE_PRESENT | PTE_ACCESSED | PTE_GLOBAL)
#define PTE_KERNEL_RO (PTE_KERNEL_RX | PTE_NX)
#define PTE_KERNEL_RW (PTE_KERNEL_RO | PTE_WRITE | PTE_DIRTY)

#define PT_SHIFT(level) (PAGE_SHIFT + 9 * ((level)-1))
#define PT_INDEX(va, level) (((u64)(va) >> PT_SHIFT(level)) & 511)

#endif
