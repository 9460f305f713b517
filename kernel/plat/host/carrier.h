/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Carriers: the processes of Linux that this machine consists of. Each address space has one to itself, as long as there are
 * enough. All share the memory file, and the kernel's half of the address space looks the same in all, so that a CPU
 * of the guest can go on in any of them. A carrier has a thread of Linux for each CPU, a *seat*: a CPU is handed over, with whatever it
 * is doing, to its seat in the carrier that has the mappings of the address space wanted. Its other seats are parked: they sleep
 * in Linux, or look for their turn, on a stack of their own.
 *
 *   C1  A CPU runs in one seat, cpu->plat.seat, and nobody else touches anything of its other seats but `turn` and `going_on`.
 *   C2  Handing over happens in plat_aspace_switch() alone. The stack and everything in memory go along; the FPU's state
 *       is saved before (thread_fpu_leave()), and still there when the CPU comes back; FS is the scheduler's to load, GS is the same in all seats of a CPU.
 *   C3  Of Linux's state only these differ between carriers: the mappings below PLAT_USER_MAX (tlb.c) and those of the kernel's range,
 *       which are brought up to date when a seat is unparked, when something is unmapped, and by faults (kmap.c). Between seats:
 *       timer, signal stack.
 *   C4  What a signal has to tell to a parked seat is passed on to its CPU (host_poke()); a timer's is noted, and counts when it is unparked.
 *   C5  The first carrier, first process of a PID namespace, is the parent of the others. The end of any is the end of all:
 *       at SIGCHLD the first ends with the other's status, and Linux ends who is left.
 *   C6  There are at most as many carriers as there have been address spaces at once, at least as many as CPUs, and never more than Linux
 *       lets us have. They stay: who needs one takes one whose address space has ended, or, when there are no more, that of another address
 *       space, which no CPU has loaded, and whose mappings are dropped. So nothing depends on how many there are; with one for each CPU it
 *       is the same kernel, only slower.
 *
 * Locks: carriers (which has whose mappings, and which CPUs have an address space loaded) > carrier->lock. Both are taken with events
 * disabled, also under a run queue's lock and pt_lock (docs/LOCKING.md).
 */
#ifndef HOST_CARRIER_H
#define HOST_CARRIER_H

#include "abi/host.h"
#include "kern/arch.h"
#include "kern/lock.h"
#include "kern/percpu.h"
#include "plat/layout.h"

#define CARRIERS_MAX 128u
#define CARRIER_SIGNAL 17 /* SIGCHLD: the first carrier gets it at the end of another */

#define KICK_SIGNAL 23    /* SIGURG: from CPU to CPU, and from the tender */
#define HOST_THREAD_FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM) /* linux/sched.h */

/* Where the CPU of a seat is: in another one, for which this one looks or sleeps; or it goes on in this one from now on. */
enum host_turn { TURN_OTHERS, TURN_ASLEEP, TURN_OWN };

/* At the bottom of a block of SIGSTACK_SIZE bytes, aligned to that; above it the stack on which the thread is parked, then its
 * signal stack. */
struct host_seat {
    struct percpu *cpu;          /* offset 0: entry.S */
    struct host_carrier *carrier;
    u32 turn;                    /* atomic, enum host_turn; a futex of Linux */
    bool looks;                  /* its own: it looks for its turn before it sleeps; */
    u64 look_after;              /* not before that (TSC), once it has in vain */
    bool timer_noted;            /* its timer came while it was parked; by its own signal handler */
    struct host_seat *next;      /* who has the turn when this one is parked; NULL = the one that does */
    struct arch_context parked;  /* where it goes on parking, */
    struct arch_context going_on; /* and the CPU when this one has the turn */
    struct fpu_file fpu;         /* its CPU's, while it has the turn */
    u64 timer_ns;                /* when its timer will come; NEVER_NS = it is not set */
    u32 held;                    /* atomic; place.c: 1 + the host's CPU on which it has to stay, or 0 */
    int tid;                     /* const, in the PID namespace: of the thread, */
    int timer;                   /* and Linux's name for its timer */
};

struct host_carrier {
    struct spinlock lock;
    struct plat_aspace *as;      /* carriers; whose mappings it has; NULL = nobody's: it is free */
    bool foreign;                /* carriers and lock to set, lock to clear; as has it just now, and there may be mappings of others */
    u64 stale_start, stale_end;  /* likewise; what as lost while it was not loaded; empty when start >= end */
    u32 maps;                    /* about how many since the last drop: tlb.c */
    u64 kmap_seen;               /* lock, read without: kmap.c, */
    u64 text_seen;               /* text.c: grow when all is done */
    u32 seated;                  /* atomic; a futex of Linux: its threads that are there, */
    u32 failed;                  /* atomic: and whether there will be no more of them */
    struct host_seat *seats[HOST_MAX_CPUS]; /* const; by CPU. Of the first carrier: grows as CPUs are started */
};

/* CPUs there are to be; const after boot. */
extern unsigned host_cpus;
/* How many carriers there may be; 1 when processes cannot be made (sandbox.c asks, to leave the calls out). const after boot */
extern unsigned host_carriers_max;

/* The first one, made of this process; how many CPUs and carriers there may be. Boot. `block` as above, zero. */
void host_carrier_init(struct percpu *cpu, void *block);
/* Where CPU `cpu` begins, in the first carrier, before there are others: fn(NULL) on the stack given. From threads. 0 or -errno */
int host_seat_start(struct percpu *cpu, void (*fn)(void *), void *stack, size_t size);
/* Have at least n carriers. From threads. False: Linux has refused. */
bool host_carriers_reserve(unsigned n);
/* An address space is made, or ends. Threads: make a carrier for it if there are too few. */
void host_carrier_want(void);
void host_carrier_unwant(void);
/* This CPU leaves as, its only user: as's carrier, if it has one, is free from now on. Events disabled. */
void host_carrier_release(struct plat_aspace *as);
/* This CPU has `to` loaded instead of `from`; either may be NULL. It goes on in to's carrier. True: there is something to settle
 * there (host_tlb_settle()). Events disabled. */
bool host_carrier_change(struct plat_aspace *from, struct plat_aspace *to);
/* [start, end) is to go out of as's carrier before as is loaded again. The CPUs that have it loaded now, or 0. Any context */
u64 host_carrier_stale(struct plat_aspace *as, u64 start, u64 end);
/* On the signal stack of a process: perhaps another one has ended; does not return then. */
void host_carrier_look_for_end(void);

static inline struct host_carrier *host_carrier(void) { return this_cpu()->plat.seat->carrier; }

/* --- place.c ----------------------------------------------------------------------------- */

#define HOST_PLACES 1024u /* CPUs of the host that there may be */

/* Before the filter. */
void host_place_init(void);
/* This thread is new: it need not be where its maker is held. */
void host_place_begin(void);
/* `to`, which is parked, is about to get the turn from who runs: it shall be where that is. Returns the TSC. Events disabled. */
u64 host_place(struct host_seat *to);
/* s has had the turn for long: it may go anywhere. By who gave it, parked. */
void host_place_release(struct host_seat *s);

/* --- kmap.c ------------------------------------------------------------------------------ */

/* This process lacks the mapping of the kernel's range at va: make it. False: there is none. On the signal stack. */
bool host_kmap_fill(u64 va);
/* Where code of the kernel lies, or has lain, beside its image; nothing when equal. Grows only, before the code is there. */
extern u64 host_code_low, host_code_high;
/* Take out of the carrier of this CPU what has been unmapped since it was up to date last. Events disabled, or parked. */
void host_kmap_refresh(struct host_carrier *c);
/* text.c: take over what has been changed of the kernel's text since then. Likewise. */
void host_text_refresh(struct host_carrier *c);

#endif
