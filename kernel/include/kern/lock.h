/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks.
 *
 *   spinlock   short, never sleeps. Three ways to take it, chosen by who else
 *              takes it: spin_lock() (threads only), spin_lock_bh() (threads and
 *              bottom halves), spin_lock_irqsave() (interrupt handlers too).
 *   mutex      sleeps; only from threads. Fair: FIFO hand-over.
 *   rwmutex    sleeping readers-writer lock; a waiting writer blocks new readers.
 *
 * The kernel is not preempted: a thread in the kernel gives up its CPU only
 * when it blocks, calls sched_yield(), or returns to its program. Sleeping with a
 * spinlock held or bottom halves disabled is an error that panics.
 *
 * A lock belongs to a class (its init site's name); debug builds check that
 * classes are always taken in one order (docs/LOCKING.md has the order).
 */
#ifndef KERN_LOCK_H
#define KERN_LOCK_H

#include "base/list.h"
#include "kern/atomic.h"
#include "kern/bh.h"
#include "kern/plat.h"

struct spinlock {
    u32 locked;
    const char *name;
};
#define SPINLOCK_INIT(n) { 0, n }

static inline void spin_init(struct spinlock *l, const char *name) { *l = (struct spinlock)SPINLOCK_INIT(name); }
bool spin_trylock(struct spinlock *l);
bool spin_is_locked(const struct spinlock *l);

#ifdef SPIN_INLINE /* files that are built for speed, in builds without the checking kind */
void spin_lock_contended(struct spinlock *l);
static inline void spin_lock(struct spinlock *l)
{
    if (unlikely(atomic_xchg(&l->locked, 1u) != 0))
        spin_lock_contended(l);
}
static inline void spin_unlock(struct spinlock *l) { atomic_store(&l->locked, 0u); }
static inline void spin_lock_bh(struct spinlock *l)
{
    bh_disable();
    spin_lock(l);
}
static inline void spin_unlock_bh(struct spinlock *l)
{
    spin_unlock(l);
    bh_enable();
}
static inline u64 spin_lock_irqsave(struct spinlock *l)
{
    u64 flags = plat_events_save();
    spin_lock(l);
    return flags;
}
static inline void spin_unlock_irqrestore(struct spinlock *l, u64 flags)
{
    spin_unlock(l);
    plat_events_restore(flags);
}
#else
void spin_lock(struct spinlock *l);
void spin_unlock(struct spinlock *l);
void spin_lock_bh(struct spinlock *l);
void spin_unlock_bh(struct spinlock *l);
u64 spin_lock_irqsave(struct spinlock *l);
void spin_unlock_irqrestore(struct spinlock *l, u64 flags);
#endif

struct mutex {
    struct spinlock lock;   /* guards the rest */
    struct thread *owner;
    struct list waiters;
};
void mutex_init(struct mutex *m, const char *name);
void mutex_lock(struct mutex *m);
int mutex_lock_interruptible(struct mutex *m); /* 0 or -ERESTARTSYS */
bool mutex_trylock(struct mutex *m);
void mutex_unlock(struct mutex *m);
bool mutex_held(const struct mutex *m); /* by the current thread */

struct rwmutex {
    struct spinlock lock;   /* guards the rest */
    s32 readers;            /* > 0 readers, -1 a writer */
    struct thread *writer;
    struct list waiters;
};
/* Not recursive, not even for reading: a writer may have queued up in between. */
void rwmutex_init(struct rwmutex *m, const char *name);
void rwmutex_read_lock(struct rwmutex *m);
bool rwmutex_read_trylock(struct rwmutex *m);
void rwmutex_read_unlock(struct rwmutex *m);
void rwmutex_write_lock(struct rwmutex *m);
void rwmutex_write_unlock(struct rwmutex *m);

/* Debug builds (core/witness.c) define these; others leave them out and they are NULL. */
void witness_acquired(const void *lock, const char *name, bool may_sleep) __attribute__((weak));
void witness_released(const void *lock) __attribute__((weak));
void witness_may_sleep(void) __attribute__((weak)); /* panics when this CPU holds a spinlock */

#endif
