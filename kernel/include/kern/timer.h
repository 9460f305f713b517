/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One-shot timers, per CPU, ordered by deadline. Callbacks run as a bottom half on
 * the CPU where the timer was started (so they may take _bh locks, not sleep) and
 * may start the same timer again.
 */
#ifndef KERN_TIMER_H
#define KERN_TIMER_H

#include "base/rbtree.h"
#include "kern/bh.h"
#include "kern/lock.h"

struct ktimer {
    struct rb_node node;     /* base's lock */
    u64 deadline_ns;         /* base's lock */
    void (*fn)(struct ktimer *t);
    struct timer_base *base; /* where it was started last; NULL = never started */
    bool queued;             /* base's lock, read without */
};

/* One for each CPU. The hardware timer is armed no later than the earliest of
 * `first` and slice_ns; it is not moved back when that one goes away, because a
 * spurious interrupt costs less than arming on every change. */
struct timer_base {
    struct spinlock lock;    /* irq-safe; guards root, first, running */
    struct rb_root root;
    struct rb_node *first;
    struct ktimer *running;  /* its callback is being called */
    u64 armed_ns;            /* own CPU, events disabled: what the hardware is set to */
    u64 slice_ns;            /* own CPU, events disabled: when the scheduler wants the CPU back */
    struct bh bh;
};

void ktimer_init(struct ktimer *t, void (*fn)(struct ktimer *t));
/* (Re)arm, on this CPU. Any context. One timer is started and cancelled by one CPU at a time (its owner's lock). */
void ktimer_start(struct ktimer *t, u64 deadline_ns);
/* Disarm. False when it was not armed. The callback may still be running on another CPU. */
bool ktimer_cancel(struct ktimer *t);
/* Disarm and wait until a running callback has ended. Thread context, not from the callback. */
void ktimer_cancel_sync(struct ktimer *t);
bool ktimer_armed(const struct ktimer *t);

u64 now_ns(void);  /* monotonic */
u64 wall_ns(void); /* CLOCK_REALTIME, settable offset */
int wall_set(u64 ns);      /* 0 or -EINVAL */
s64 wall_offset_ns(void);  /* wall_ns() - plat_wall_ns() */
/* For platforms: plat_wall_ns() was put right; `set`: by a step, as wall_set() makes, not a drift. Any context. */
void wall_moved(bool set);
extern void (*wall_changed)(bool set); /* what follows that: bottom half; set by linux, may be NULL */

/* For the scheduler, events disabled: set need_resched on this CPU at slice_ns or a bit
 * later; NEVER_NS = not at all. */
void timer_set_slice(u64 slice_ns);
void timer_init_cpu(struct percpu *cpu, struct timer_base *base);

#endif
