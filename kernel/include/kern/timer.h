/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One-shot timers, per CPU, ordered by deadline. Callbacks run as a bottom half on
 * the CPU where the timer was started (so they may take _bh locks, not sleep) and
 * may start the same timer again.
 */
#ifndef KERN_TIMER_H
#define KERN_TIMER_H

#include "base/rbtree.h"
#include "kern/types.h"

struct ktimer {
    struct rb_node node;
    u64 deadline_ns;
    void (*fn)(struct ktimer *t);
    struct timer_base *base; /* NULL = never started */
    u8 state;                /* idle, queued, running */
};

void ktimer_init(struct ktimer *t, void (*fn)(struct ktimer *t));
/* (Re)arm. Any context but an interrupt handler that may have interrupted the base's owner lock is fine: irq-safe. */
void ktimer_start(struct ktimer *t, u64 deadline_ns);
/* Disarm. False when it was not armed. The callback may still be running on another CPU. */
bool ktimer_cancel(struct ktimer *t);
/* Disarm and wait until a running callback has ended. Thread context, not from the callback. */
void ktimer_cancel_sync(struct ktimer *t);
bool ktimer_armed(const struct ktimer *t);

u64 now_ns(void);  /* monotonic */
u64 wall_ns(void); /* CLOCK_REALTIME, settable offset */
int wall_set(u64 ns);

#endif
