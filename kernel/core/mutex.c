/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sleeping locks. Both hand over directly, first come first served: the unlocker
 * makes the first waiter the owner before it wakes it, so nobody overtakes and
 * no wake-up is lost. A waiter's stack holds its node; it is off the list, for
 * good, once `granted` is set.
 */
#include "kern/lockstat.h"
#include "kern/log.h"
#include "kern/thread.h"

struct lock_waiter {
    struct list node;
    struct thread *thread;
    bool writer;
    bool granted; /* atomic */
};

static NOINLINE void grant(struct lock_waiter *w)
{
    struct thread *t = thread_get(w->thread);
    list_remove(&w->node);
    atomic_store(&w->granted, true); /* w may be gone from here on */
    thread_wake(t);
    thread_put(t);
}

/* Queue up and sleep. `lock` is held at call and released. -ERESTARTSYS only when
 * interruptible; the waiter is off the list then and owns nothing. */
static int wait_for_grant(struct spinlock *lock, struct list *waiters, bool writer, bool interruptible)
{
    struct lock_waiter w = { .thread = current_thread(), .writer = writer };
    u64 begin = plat_now_ns();
    list_push_back(waiters, &w.node);
    int ret = 0;
    for (;;) {
        thread_prepare_block(interruptible);
        spin_unlock(lock);
        if (!atomic_load(&w.granted))
            ret = thread_block(NEVER_NS);
        if (atomic_load(&w.granted))
            break;
        spin_lock(lock);
        if (w.granted) {
            spin_unlock(lock);
            break;
        }
        if (ret != 0) {
            list_remove(&w.node);
            spin_unlock(lock);
            return ret;
        }
    }
    thread_cancel_block();
    lockstat_slept(lock->name, plat_now_ns() - begin);
    return 0;
}

void mutex_init(struct mutex *m, const char *name)
{
    spin_init(&m->lock, name);
    m->owner = NULL;
    list_init(&m->waiters);
}

static int lock_slow(struct mutex *m, bool interruptible)
{
    struct thread *self = current_thread(), *none = NULL;
    ASSERT(m->owner != self);
    spin_lock(&m->lock);
    if (atomic_cas(&m->owner, &none, self)) {
        spin_unlock(&m->lock);
        return 0;
    }
    return wait_for_grant(&m->lock, &m->waiters, true, interruptible);
}

void mutex_lock(struct mutex *m)
{
    if (!mutex_trylock(m)) {
        lock_slow(m, false);
        if (witness_acquired != NULL)
            witness_acquired(m, m->lock.name, true);
    }
}

int mutex_lock_interruptible(struct mutex *m)
{
    if (mutex_trylock(m))
        return 0;
    int ret = lock_slow(m, true);
    if (ret == 0 && witness_acquired != NULL)
        witness_acquired(m, m->lock.name, true);
    return ret;
}

bool mutex_trylock(struct mutex *m)
{
    struct thread *none = NULL;
    if (!atomic_cas(&m->owner, &none, current_thread()))
        return false;
    if (witness_acquired != NULL)
        witness_acquired(m, m->lock.name, true);
    return true;
}

void mutex_unlock(struct mutex *m)
{
    ASSERT(m->owner == current_thread());
    if (witness_released != NULL)
        witness_released(m);
    spin_lock(&m->lock);
    if (likely(list_empty(&m->waiters))) {
        atomic_store(&m->owner, NULL);
    } else {
        struct lock_waiter *w = list_first(&m->waiters, struct lock_waiter, node);
        atomic_store(&m->owner, w->thread);
        grant(w);
    }
    spin_unlock(&m->lock);
}

bool mutex_held(const struct mutex *m)
{
    return atomic_load_relaxed(&m->owner) == current_thread();
}

void rwmutex_init(struct rwmutex *m, const char *name)
{
    spin_init(&m->lock, name);
    m->readers = 0;
    m->writer = NULL;
    list_init(&m->waiters);
}

/* The lock has become free, or free for readers: let in the first writer, or all
 * readers in front of it. m->lock held. */
static void rw_grant(struct rwmutex *m)
{
    while (!list_empty(&m->waiters)) {
        struct lock_waiter *w = list_first(&m->waiters, struct lock_waiter, node);
        if (w->writer) {
            if (m->readers != 0)
                return;
            m->readers = -1;
            m->writer = w->thread;
            grant(w);
            return;
        }
        if (m->readers < 0)
            return;
        m->readers++;
        grant(w);
    }
}

/* A reader more, if none has to wait now. m->lock held. */
static bool rw_read_now(struct rwmutex *m)
{
    bool now = m->readers >= 0 && list_empty(&m->waiters);
    m->readers += now;
    return now;
}

bool rwmutex_read_trylock(struct rwmutex *m)
{
    spin_lock(&m->lock);
    bool got = rw_read_now(m);
    spin_unlock(&m->lock);
    if (got && witness_acquired != NULL)
        witness_acquired(m, m->lock.name, true);
    return got;
}

void rwmutex_read_lock(struct rwmutex *m)
{
    spin_lock(&m->lock);
    if (likely(rw_read_now(m))) {
        spin_unlock(&m->lock);
    } else {
        ASSERT(m->writer != current_thread());
        wait_for_grant(&m->lock, &m->waiters, false, false);
    }
    if (witness_acquired != NULL)
        witness_acquired(m, m->lock.name, true);
}

void rwmutex_read_unlock(struct rwmutex *m)
{
    if (witness_released != NULL)
        witness_released(m);
    spin_lock(&m->lock);
    ASSERT(m->readers > 0);
    if (--m->readers == 0)
        rw_grant(m);
    spin_unlock(&m->lock);
}

void rwmutex_write_lock(struct rwmutex *m)
{
    spin_lock(&m->lock);
    if (likely(m->readers == 0 && list_empty(&m->waiters))) {
        m->readers = -1;
        m->writer = current_thread();
        spin_unlock(&m->lock);
    } else {
        ASSERT(m->writer != current_thread());
        wait_for_grant(&m->lock, &m->waiters, true, false);
    }
    if (witness_acquired != NULL)
        witness_acquired(m, m->lock.name, true);
}

void rwmutex_write_unlock(struct rwmutex *m)
{
    ASSERT(m->writer == current_thread());
    if (witness_released != NULL)
        witness_released(m);
    spin_lock(&m->lock);
    m->readers = 0;
    m->writer = NULL;
    rw_grant(m);
    spin_unlock(&m->lock);
}
