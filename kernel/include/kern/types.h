/* SPDX-License-Identifier: Apache-2.0 */
/* The kernel's basic types. */
#ifndef KERN_TYPES_H
#define KERN_TYPES_H

#include "base/errno.h"
#include "base/types.h"

typedef u64 paddr_t; /* physical address (on host: offset in the memory file) */
typedef u64 uaddr_t; /* an address in a program; never dereferenced, see kern/uaccess.h */

#define PAGE_SHIFT 12
#define PAGE_SIZE 4096UL
#define HUGE_SHIFT 21
#define HUGE_SIZE (1UL << HUGE_SHIFT)
#define PFN(pa) ((u64)(pa) >> PAGE_SHIFT)

#define NSEC_PER_SEC 1000000000ULL
#define NSEC_PER_MSEC 1000000ULL
#define NSEC_PER_USEC 1000ULL
#define NEVER_NS UINT64_MAX /* a deadline that does not come */

/* Results of interrupted calls that never reach a program: the signal code
 * turns them into EINTR or into a restart (signal(7), "Interruption of system calls"). */
#define ERESTARTSYS 512           /* restart if SA_RESTART */
#define ERESTARTNOINTR 513        /* always restart */
#define ERESTARTNOHAND 514        /* restart only if no handler ran */
#define ERESTART_RESTARTBLOCK 516 /* restart by restart_syscall (relative timeouts) */

#endif
