/* SPDX-License-Identifier: Apache-2.0 */
/* The process's own mappings, a cache of the guest's page tables: tlb.c. */
#ifndef HOST_TLB_H
#define HOST_TLB_H

#include "kern/plat.h"

/* Map what the current address space's tables say about va, with its neighbours, if they allow `access`
 * (TRAP_*). False: they do not. Events disabled. */
bool host_tlb_fill(u64 va, unsigned access);

#endif
