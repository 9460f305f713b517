/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Spinlocks that check: the order of classes (witness.c), double release, and
 * a bound on waiting. Every acquisition and every release is a point where another CPU may come in
 * between (plat_relax(), which plat/sim uses to switch virtual CPUs): behind a release,
 * what should have been done under the lock is seen undone.
 */
#include "kern/bh.h"
#include "kern/lock.h"
#include "kern/log.h"
#include "witness.h"

#define STUCK_AFTER 10000000u

void spin_lock(struct spinlock *l)
{
    witness_spin_acquire(l, false);
    plat_relax();
    for (unsigned tries = 0; atomic_xchg(&l->locked, 1u) != 0; tries++) {
        if (tries == STUCK_AFTER)
            panic("spinlock %s: stuck", l->name);
        plat_relax();
    }
}

bool spin_trylock(struct spinlock *l)
{
    if (atomic_xchg(&l->locked, 1u) != 0)
        return false;
    witness_spin_acquire(l, true);
    return true;
}

void spin_unlock(struct spinlock *l)
{
    ASSERT(spin_is_locked(l));
    witness_spin_release(l);
    atomic_store(&l->locked, 0u);
    plat_relax();
}

void spin_lock_bh(struct spinlock *l)
{
    bh_disable();
    spin_lock(l);
}

void spin_unlock_bh(struct spinlock *l)
{
    spin_unlock(l);
    bh_enable();
}

u64 spin_lock_irqsave(struct spinlock *l)
{
    u64 flags = plat_events_save();
    spin_lock(l);
    return flags;
}

void spin_unlock_irqrestore(struct spinlock *l, u64 flags)
{
    spin_unlock(l);
    plat_events_restore(flags);
}

bool spin_is_locked(const struct spinlock *l)
{
    return atomic_load_relaxed(&l->locked) != 0;
}
