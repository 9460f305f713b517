/* SPDX-License-Identifier: Apache-2.0 */
/* The process's own mappings, a cache of the guest's page tables: tlb.c. */
#ifndef HOST_TLB_H
#define HOST_TLB_H

#include "kern/plat.h"

/* Map what the current address space's tables say about va, with its neighbours, if they allow `access`
 * (TRAP_*). False: they do not. Events disabled. */
bool host_tlb_fill(u64 va, unsigned access);
/* Is va's entry one that the process has mapped, allowing `access`? It may have been dropped with its neighbours since. Events disabled. */
bool host_tlb_has(u64 va, unsigned access);
/* munmap() of this process. Any context with events disabled, or on the signal stack. */
void host_unmap(u64 va, u64 len);
/* Linux has no room for another mapping: drop what can be filled again. False: nothing could be. */
bool host_tlb_make_room(void);
/* Take what the kernel itself has looked at of the mapped root image out of the process: Linux maps much around each page, and it
 * would count as ours. It comes back when it is looked at again. */
void host_disk_trim(void);

#endif
