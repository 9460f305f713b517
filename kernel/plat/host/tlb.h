/* SPDX-License-Identifier: Apache-2.0 */
/* The process's own mappings, a cache of the guest's page tables: tlb.c. */
#ifndef HOST_TLB_H
#define HOST_TLB_H

#include "kern/plat.h"

/* Map what the current address space's tables say about va, with its neighbours, if they allow `access`
 * (TRAP_*). False: they do not. `if_missing`: not where it is mapped already, as far as is known. Events disabled. */
bool host_tlb_fill(u64 va, unsigned access, bool if_missing);
/* This CPU has just come into `as`'s carrier: take out what is to go. Events disabled. */
void host_tlb_settle(struct plat_aspace *as);
/* munmap() of this process. Any context. */
void host_unmap(u64 va, u64 len);
/* Linux has no room for another mapping: drop what can be filled again. False: nothing could be. */
bool host_tlb_make_room(void);
/* Take what the kernel itself has looked at of the mapped root image out of the process: Linux maps much around each page, and it
 * would count as ours. It comes back when it is looked at again. */
void host_disk_trim(void);

#endif
