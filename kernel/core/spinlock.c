/* SPDX-License-Identifier: Apache-2.0 */
/* Spinlocks of production builds. spinlock_debug.c is the checking kind; a build has one of the two. */
#include "kern/bh.h"
#include "kern/lock.h"
#include "kern/lockstat.h"

void spin_lock_contended(struct spinlock *l); /* for lock.h's inline kind */

void spin_lock_contended(struct spinlock *l)
{
    u64 turns = 0;
    do
        for (; atomic_load_relaxed(&l->locked) != 0; turns++)
            plat_relax();
    while (atomic_xchg(&l->locked, 1u) != 0);
    lockstat_spun(l->name, turns);
}

void spin_lock(struct spinlock *l)
{
    if (unlikely(atomic_xchg(&l->locked, 1u) != 0))
        spin_lock_contended(l);
}

bool spin_trylock(struct spinlock *l)
{
    return atomic_load_relaxed(&l->locked) == 0 && atomic_xchg(&l->locked, 1u) == 0;
}

void spin_unlock(struct spinlock *l)
{
    atomic_store(&l->locked, 0u);
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
