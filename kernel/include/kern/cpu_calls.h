/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What CPUs ask of each other. Only for platforms that have several (plat/pc, plat/host).
 *
 *   K1  percpu_table[n] is set before CPU n begins, and cpus_answering gets its bit before it uses any mapping that may go away. From
 *       then on it answers calls: at once with events enabled, else when they are enabled again.
 *   K2  Who calls waits with events disabled, and answers meanwhile; so two that call each other both come through.
 *       So nobody calls with a lock held that somebody else wants with events disabled, unless who wants it answers while it waits.
 */
#ifndef KERN_CPU_CALLS_H
#define KERN_CPU_CALLS_H

#include "kern/types.h"

extern u64 cpus_answering; /* atomic; the boot CPU from the start */

/* Call fn(arg) on each other running CPU of the mask, with events disabled there, and wait until all have. Each passes a full barrier
 * and a serializing instruction (the platform's return from an event). fn may be NULL. Locks: K2. */
void cpu_call(u64 mask, void (*fn)(void *arg), void *arg);
/* Carry out what others have called for on this CPU. Events disabled. */
void cpu_answer_calls(void);
/* The platform's: make CPU `cpu` run cpu_answer_calls() soon, also if it does already. Events disabled. */
void plat_cpu_ask(unsigned cpu);

#endif
