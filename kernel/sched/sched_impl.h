/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside sched/. The picture:
 *
 *   sched.c    run queues, the switch, preemption, stealing, policies
 *   block.c    the blocking protocol: prepare, block, wake, interrupt, sleep
 *   thread.c   creation, end, the list of all threads, spare stacks
 *   fpu.c      whose FPU state is where
 *   futex.c
 *
 * Invariants:
 *   S1  A thread's state, place in a queue and saved context change only with the
 *       lock of the run queue of t->cpu held; t->cpu changes only with that lock
 *       held and while the thread is neither queued nor running.
 *   S2  The run queue's lock stays locked across arch_switch(); the thread that
 *       comes in unlocks it. So who holds the lock sees a switched-out thread
 *       with its context saved.
 *   S3  The running thread is in no queue; a READY thread is in exactly one, except
 *       while it is carried from one to another.
 *   S4  slice: with another READY thread of the same class on the CPU, the slice
 *       timer is armed; with none it is not, and the CPU gets no interrupts.
 *   S5  cpus_idle has a CPU's bit while its idle thread runs and its run queue is empty; the bit changes with the run queue's lock
 *       held. Read without, as a hint.
 */
#ifndef SCHED_IMPL_H
#define SCHED_IMPL_H

#include "kern/log.h"
#include "kern/thread.h"

#define SLICE_NS 3000000ULL      /* fair threads that share a CPU */
#define RR_SLICE_NS 100000000ULL /* POLICY_RR, sched_rr_get_interval(2) */
#define RT_ALONE_NS 950000000ULL /* real-time threads may keep fair ones waiting so long, ... */
#define FAIR_TURN_NS 50000000ULL /* ... which then have the CPU so long */
#define WAKE_LEAD_NS 1000000ULL  /* a woken thread preempts when it is this far behind */
#define SLEEP_CREDIT_NS 3000000ULL
#define BALANCE_NS 20000000ULL   /* a busy CPU passes on a thread no more often, ... */
#define BALANCE_LOOK_NS 1000000ULL /* ... and looks for one with less to do no more often */
#define VRUNTIME_START (1ULL << 40) /* so that subtracting a credit cannot go below zero */

struct runqueue {
    struct spinlock lock;      /* irq-safe; order between two: by CPU number */
    struct rb_root fair;       /* by vruntime_ns */
    struct rb_node *leftmost;
    struct list rt;            /* by rt_prio, highest first */
    u64 fair_due_ns;           /* when fair threads get a turn before real-time ones */
    bool fair_turn;            /* one is running in such a turn */
    u32 nr_ready;              /* in fair and rt */
    u64 min_vruntime_ns;
    bool yielding;             /* the current thread called sched_yield */
    u8 rt_running;             /* rt_prio of the current thread, 0 = not of a real-time class; read without */
    u64 balance_ns;            /* when to look next for a CPU with less to do */
    struct thread *carry;      /* switched-out thread that moves to another CPU ... */
    unsigned carry_to;         /* ... this one */
    struct thread *dead;       /* switched-out thread that has ended */
    struct timer_base timers;
} ALIGNED(64);

extern u64 cpus_online;    /* atomic mask */
extern bool sched_several; /* const once there is a program thread */
static inline bool single_cpu(void) { return !sched_several; }

static inline u8 prio_of(const struct thread *t) { return MAX(t->rt_prio, t->boost); } /* 0: fair */
static inline bool is_rt(const struct thread *t) { return prio_of(t) != 0; }
void thread_set_boost(struct thread *t, u8 prio);
void pi_priority_changed(struct thread *t); /* its own: its place among waiters and what it lends */

/* Lock the run queue of t->cpu; returns it. Events are disabled; *ret_flags as before. */
struct runqueue *thread_rq_lock(struct thread *t, u64 *ret_flags);
/* A thread that is off every queue becomes READY where it should run. Its run queue's lock is held, and released. */
void sched_make_ready(struct thread *t, struct runqueue *rq, u64 flags);
/* Give up the CPU: the current thread's state says how. Events disabled, rq lock held; both again on return's
 * side of the switch: unlocked, events still disabled. */
void sched_switch_locked(struct percpu *cpu);
/* First thing of a new thread. */
void sched_first_run(void);
void thread_block_timeout(struct ktimer *timer);
/* The thread has left the CPU for good: its stack goes, then the run queue's reference. */
void thread_bury(struct thread *t);
void thread_set_up_idle(struct thread *t, unsigned cpu);
void thread_init_subsystem(void);
void fpu_switch_out(struct percpu *cpu, struct thread *t);
void fpu_forget(struct percpu *cpu, struct thread *t);

#endif
