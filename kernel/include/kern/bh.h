/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bottom halves: work that an interrupt handler puts off until interrupts are
 * enabled again. They run on the CPU that raised them, or for which they were raised, one after the other,
 * never nested, and may not sleep: on the way out of the outermost interrupt, in
 * bh_enable(), before a switch between threads and before idling. When they stay busy
 * for BH_MAX_ROUNDS, or for BH_SHARE_NS behind the first one, they are held for BH_HOLD_NS, or until the CPU is idle, so that
 * programs are not starved.
 */
#ifndef KERN_BH_H
#define KERN_BH_H

#include "kern/atomic.h"
#include "kern/percpu.h"

#define BH_MAX_ROUNDS 10
#define BH_SHARE_NS 500000ULL
#define BH_HOLD_NS 1000000ULL

struct bh {
    struct list node;
    void (*fn)(struct bh *bh);
    u32 raised; /* atomic: how often since it was last seen idle; not 0 = queued or running, on one CPU */
};

void bh_init(struct bh *bh, void (*fn)(struct bh *bh));
/* Queue for this CPU; harmless when already queued. Any context. A bh may raise itself. While it runs, here or elsewhere, it is queued
 * again behind that: a bh never runs on two CPUs at once. */
void bh_raise(struct bh *bh);
/* The same on CPU `number`, which is online (cpu_online()): it is interrupted for that if it is another one. */
void bh_raise_on(struct bh *bh, unsigned number);
/* Queue what other CPUs have raised here. The kick's interrupt handler, inside irq_enter(). */
void bh_take_remote(void);
static inline void bh_disable(void)
{
    this_cpu()->bh_disabled++;
    compiler_barrier();
}
void bh_enabled(void); /* bh_enable()'s: the count has reached zero, and something is pending */
#ifdef SPIN_INLINE /* as in lock.h */
static inline void bh_enable(void)
{
    compiler_barrier();
    struct percpu *cpu = this_cpu();
    if (--cpu->bh_disabled == 0 && unlikely(!list_empty(&cpu->bh_pending)))
        bh_enabled();
}
#else
void bh_enable(void); /* runs what is pending when the count reaches zero */
#endif
bool bh_is_disabled(void);
/* Run everything pending now. Events enabled on entry; thread context. */
void bh_run_pending(void);

#endif
