/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One of these for each CPU. The entry code knows the offsets of the first fields.
 * Fields belong to their CPU and are changed with events disabled, unless they
 * say otherwise.
 */
#ifndef KERN_PERCPU_H
#define KERN_PERCPU_H

#include "base/list.h"
#include "kern/plat.h"

struct runqueue;
struct timer_base;
struct page_pcp;
struct addrspace;
struct cpu_call;

/* Random bytes made ahead; see core/random.c. */
struct random_cpu {
    u32 generation; /* of the seed that the key came from; 0 = none yet */
    u32 pos;        /* first unused byte of buf; the first 32 are the next key */
    u8 buf[256] ALIGNED(8);
};

#define SYSCALL_NUMBERS 512

/* The FPU's registers: the CPU's, or one of several sets that the platform gives it in turn (thread_fpu_leave()). */
struct fpu_file {
    void *owner; /* thread whose state is in them, if it agrees (sched/fpu.c), or NULL */
    bool saved;  /* and as it is in memory: owner may be gone */
};

struct percpu {
    struct percpu *self;       /* offset 0 */
    struct thread *current;    /* offset 8 */
    u64 kernel_sp;             /* offset 16: top of the current thread's kernel stack */
    u64 scratch;               /* offset 24: entry stubs' */
    u64 calls_gated;           /* offset 32: system calls that came through the gate; entry stubs count */
    unsigned cpu;              /* offset 40 */
    u32 irq_depth;             /* nested interrupts */
    u32 bh_disabled;           /* nested bh_disable() */
    bool bh_running;
    bool bh_hold;              /* bottom halves have had their share: programs run until the timer says so */
    bool need_resched;         /* entry code; the current thread should give way (also set remotely, atomic) */
    bool fpu_traps;            /* a program's use of the FPU traps */
    struct list bh_pending;    /* struct bh raised on this CPU; events disabled */
    struct runqueue *rq;
    struct timer_base *timers;
    struct page_pcp *pcp;
    struct thread *idle;
    struct fpu_file *fpu_file; /* where programs' FPU registers are just now */
    void *fpu_for;             /* thread whose program may go on with the FPU as it is now, or NULL; entry code */
    struct addrspace *as;      /* address space now loaded */
    struct plat_percpu plat;   /* offset 128: the platform's own (plat/impl.h) */
    u64 stats[16];             /* enum cpu_stat */
    struct random_cpu random;  /* core/random.c */
    u64 calls;                 /* atomic: CPUs whose cpu_call() this one has to answer (kern/cpu_calls.h) */
    struct cpu_call *call;     /* of this CPU, under way */
    u64 bh_hold_until_ns;      /* while bh_hold */
    struct fpu_file fpu_own;   /* fpu_file, unless the platform has said otherwise */
    struct list *bh_remote;    /* atomic: bottom halves that other CPUs have raised here (core/bh.c) */
    u64 syscalls[SYSCALL_NUMBERS]; /* system calls made here, by number (linux/syscall.c) */
};

/* CALLS_TRAPPED: system calls that came by trap, CALL_SITES: sites made jumps (kern/callsite.h). */
enum cpu_stat {
    STAT_SWITCHES, STAT_IRQS, STAT_TIMER_IRQS, STAT_FAULTS, STAT_IDLE_NS, STAT_BH_RUNS, STAT_CALLS_TRAPPED, STAT_CALL_SITES,
    STAT_NR
};
#define cpu_stat_inc(which) (this_cpu()->stats[which]++)

/* Platforms call this for each CPU first of all, before anything else of the kernel runs
 * there, and make this_cpu() return it. The boot CPU's is percpu_boot. */
void percpu_init(struct percpu *cpu, unsigned number);
extern struct percpu percpu_boot;
extern struct percpu *percpu_table[MAX_CPUS]; /* NULL = not started */

#endif
