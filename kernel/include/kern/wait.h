/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wait queues. A waiter is either a blocked thread or a callback (epoll). The
 * wake side needs no lock of the condition: wait_event() sets the thread's state
 * before it tests the condition, and waking a thread that is not blocked yet
 * cancels its next block.
 */
#ifndef KERN_WAIT_H
#define KERN_WAIT_H

#include "base/list.h"
#include "kern/lock.h"

struct thread;
struct waiter;

struct waitqueue {
    struct spinlock lock; /* irq-safe */
    struct list waiters;
};

/* Called with the queue's lock held, events disabled. `events` are poll bits
 * (0 = unknown). True = this waiter consumed an exclusive wake. */
typedef bool waiter_fn(struct waiter *w, u32 events);

struct waiter {
    struct list node;       /* waitqueue.lock */
    struct waitqueue *wq;   /* NULL = not queued */
    waiter_fn *fn;
    struct thread *thread;  /* for the default fn */
    bool exclusive;
};

void wq_init(struct waitqueue *wq, const char *name);
void wq_add(struct waitqueue *wq, struct waiter *w);    /* exclusive waiters go to the back */
void wq_remove(struct waiter *w);                        /* safe when not queued */
/* Wake all non-exclusive waiters and up to one (or `n`, or all) exclusive ones. */
void wq_wake(struct waitqueue *wq, u32 events);
void wq_wake_n(struct waitqueue *wq, u32 events, unsigned n);
void wq_wake_all(struct waitqueue *wq, u32 events);
static inline bool wq_active(const struct waitqueue *wq) { return !list_empty(&wq->waiters); }

/* The default: wakes w->thread. */
bool waiter_wake_thread(struct waiter *w, u32 events);
void waiter_init_thread(struct waiter *w); /* for the current thread */

/* --- for the macros below -------------------------------------------------- */
void wait_prepare(struct waitqueue *wq, struct waiter *w, bool interruptible);
/* Block until woken or deadline. 0, -ETIMEDOUT, or -ERESTARTSYS. */
int wait_block(u64 deadline_ns, bool interruptible);
void wait_finish(struct waiter *w);

#define WAIT_EVENT_(wq, cond, deadline, intr, excl)                  \
    ({                                                               \
        int wait_ret_ = 0;                                           \
        if (!(cond)) {                                               \
            struct waiter waiter_;                                   \
            waiter_init_thread(&waiter_);                            \
            waiter_.exclusive = (excl);                              \
            for (;;) {                                               \
                wait_prepare(wq, &waiter_, intr);                    \
                if (cond) {                                          \
                    wait_ret_ = 0;                                   \
                    break;                                           \
                }                                                    \
                if (wait_ret_ != 0)                                  \
                    break;                                           \
                wait_ret_ = wait_block(deadline, intr);              \
                if (wait_ret_ == 0 && (cond)) /* before queueing anew */ \
                    break;                                           \
            }                                                        \
            wait_finish(&waiter_);                                   \
            if ((excl) && wait_ret_ != 0 && (cond)) /* W3 */         \
                wait_ret_ = 0;                                       \
        }                                                            \
        wait_ret_;                                                   \
    })

/* Sleep until cond. The plain form cannot fail; others return 0, -ETIMEDOUT or -ERESTARTSYS. */
#define wait_event(wq, cond) ((void)WAIT_EVENT_(wq, cond, NEVER_NS, false, false))
#define wait_event_until(wq, cond, deadline_ns) WAIT_EVENT_(wq, cond, deadline_ns, false, false)
#define wait_event_interruptible(wq, cond) WAIT_EVENT_(wq, cond, NEVER_NS, true, false)
#define wait_event_interruptible_until(wq, cond, deadline_ns) WAIT_EVENT_(wq, cond, deadline_ns, true, false)
#define wait_event_exclusive_until(wq, cond, deadline_ns) WAIT_EVENT_(wq, cond, deadline_ns, true, true)

#endif
