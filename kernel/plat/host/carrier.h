/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Carriers: the processes of Linux that this machine consists of. Each address space has one to itself, as long as there are
 * enough. All share the memory file, and the kernel's half of the address space looks the same in all, so that the
 * guest's CPU can go on in any of them: it is handed over, with whatever it is doing, to the one that has the mappings of the
 * address space wanted. The others are parked: asleep in Linux, on a stack of their own.
 *
 *   C1  One process runs the CPU: cpu->plat.carrier, and nobody else touches anything but its own `turn` and `noted`.
 *   C2  Handing over happens in plat_aspace_switch() alone. The stack, GS and everything in memory go along; the FPU's state
 *       is saved before (thread_fpu_leave()); FS is the scheduler's to load.
 *   C3  Of Linux's state only these differ between carriers: the mappings below PLAT_USER_MAX (tlb.c), those of the kernel's range,
 *       which are brought up to date when a carrier is unparked and by faults (kmap.c), the interval timer, the signal stack.
 *   C4  What a signal has to tell to a parked carrier is noted, and counts when it is unparked. SIGURG from the tender goes to all,
 *       so it reaches the one that runs.
 *   C5  The first carrier, first process of a PID namespace, is the parent of the others. The end of any is the end of all:
 *       SIGCHLD ends the first with the other's status, and Linux ends who is left.
 *   C6  There are at most as many carriers as there have been address spaces at once, and never more than Linux lets us have. They stay:
 *       who needs one takes one whose address space has ended, or, when there are no more, that of another address
 *       space, whose mappings are dropped. So nothing depends on how many there are; with one it is the same kernel, only slower.
 */
#ifndef HOST_CARRIER_H
#define HOST_CARRIER_H

#include "kern/arch.h"
#include "kern/percpu.h"
#include "plat/layout.h"

#define CARRIERS_MAX 128u
#define CARRIER_SIGNAL 17 /* SIGCHLD: the first carrier gets it at the end of another */

/* At the bottom of a block of SIGSTACK_SIZE bytes, aligned to that; above it the stack on which the process is parked, then its
 * signal stack. Only the process itself, or the one that runs the CPU, touches it. */
struct host_carrier {
    struct percpu *cpu;          /* offset 0: entry.S */
    u32 turn;                    /* atomic; a futex of Linux: 1 = this one runs the CPU from now on */
    u8 noted;                    /* PENDING_*, by its own signal handler while it is parked */
    struct host_carrier *next;   /* who has the turn when this one is parked; NULL = the one that does */
    struct arch_context parked;  /* where it goes on parking, */
    struct arch_context going_on; /* and the CPU when this one has the turn */
    struct plat_aspace *as;      /* whose mappings it has; NULL = nobody's: it is free */
    u32 maps;                    /* since the last drop: tlb.c */
    u64 kmap_seen;               /* kmap.c */
    u64 text_seen;               /* text.c */
    u64 timer_ns;                /* when its timer will come; NEVER_NS = it is not set */
};

/* The first one, made of this process. Boot. `block` as above, zero. */
void host_carrier_init(struct percpu *cpu, void *block);
/* How many there may be; 1 when processes cannot be made (sandbox.c asks, to leave the calls out). const after boot */
extern unsigned host_carriers_max;
/* An address space is made, or ends. Threads: make a carrier for it if there are too few. */
void host_carrier_want(void);
void host_carrier_unwant(void);
/* as's carrier, if it has one, is free from now on. Events disabled. */
void host_carrier_release(struct plat_aspace *as);
/* Have the CPU go on in as's carrier. True: it got one just now, which may have mappings of others. Events disabled. */
bool host_carrier_enter(struct plat_aspace *as);
/* On the signal stack of a process: another one has ended with `status`, or by the signal; does not return. */
NORETURN void host_carrier_ended(int status, bool by_signal);

static inline struct host_carrier *host_carrier(void) { return this_cpu()->plat.carrier; }

/* --- kmap.c ------------------------------------------------------------------------------ */

/* This process lacks the mapping of the kernel's range at va: make it. False: there is none. On the signal stack. */
bool host_kmap_fill(u64 va);
/* Where code of the kernel lies, or has lain, beside its image; nothing when equal. Grows only, before the code is there. */
extern u64 host_code_low, host_code_high;
/* Take out what has been unmapped since this carrier, just unparked, ran last. */
void host_kmap_refresh(struct host_carrier *c);
/* text.c: take over what has been changed of the kernel's text since then. */
void host_text_refresh(struct host_carrier *c);

#endif
