/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocking. The sleeper announces (BLOCKING), tests its condition, then blocks; the
 * waker changes the condition, then calls thread_wake(), which takes the
 * announcement back or makes the thread READY. A wake between the two
 * makes thread_block() return at once. Wake-ups may be spurious: callers loop.
 */
#include "sched_impl.h"

#include "kern/trap.h"
#include "kern/trace.h"

void (*thread_slept)(u64 since_ns);

void thread_prepare_block(bool interruptible)
{
    struct thread *t = current_thread();
    t->interruptible = interruptible ? EXIT_SIGNAL | EXIT_KILL | EXIT_NOWAIT : 0;
    t->timed_out = false;
    (void)atomic_xchg(&t->state, (u32)THREAD_BLOCKING);
    atomic_fence(); /* before the caller's test; pairs with the lock in thread_wake() */
}

void thread_cancel_block(void)
{
    /* Others move BLOCKING to RUNNING only, so this cannot lose anything. */
    atomic_store(&current_thread()->state, (u32)THREAD_RUNNING);
}

/* exit_bits: wake it only if one of these may end its block; 0 = in any case. */
static void wake(struct thread *t, bool timeout, u32 exit_bits)
{
    u64 flags;
    struct runqueue *rq = thread_rq_lock(t, &flags);
    u32 state = t->state;
    bool blocked = state == THREAD_BLOCKED;
    if ((blocked || state == THREAD_BLOCKING) && (exit_bits == 0 || (t->interruptible & exit_bits) != 0)) {
        if (timeout)
            t->timed_out = true;
        TRACE(SCHED_WAKEUP, t->id, (u64)t->name);
        if (blocked) {
            sched_make_ready(t, rq, flags);
            return;
        }
        t->state = THREAD_RUNNING;
    }
    spin_unlock_irqrestore(&rq->lock, flags);
}

void thread_wake(struct thread *t)
{
    wake(t, false, 0);
}

void thread_block_timeout(struct ktimer *timer)
{
    wake(container_of(timer, struct thread, block_timer), true, 0);
}

void thread_interrupt(struct thread *t, u32 exit_bits)
{
    atomic_or(&t->exit_work, exit_bits);
    wake(t, false, exit_bits); /* it may end no block: but whoever runs t next has had the lock, and sees them */
    /* Running elsewhere: make it look at exit_work soon. */
    unsigned cpu = atomic_load_relaxed(&t->cpu);
    if (cpu != this_cpu()->cpu && atomic_load(&t->state) == THREAD_RUNNING)
        plat_cpu_kick(cpu);
}

static bool interrupted(const struct thread *t) { return (t->interruptible & atomic_load_relaxed(&t->exit_work)) != 0; }

static u64 watch_sleep(void) { return unlikely(atomic_load_relaxed(&thread_slept) != NULL) ? now_ns() : 0; }

static void tell_sleep(u64 since_ns)
{
    void (*told)(u64) = atomic_load_relaxed(&thread_slept);
    if (unlikely(told != NULL))
        told(since_ns);
}

int thread_block(u64 deadline_ns)
{
    struct thread *t = current_thread();
    if (witness_may_sleep != NULL)
        witness_may_sleep();
    if (interrupted(t)) {
        thread_cancel_block();
        return -ERESTARTSYS;
    }
    bool timed = deadline_ns != NEVER_NS;
    if (timed) {
        if (now_ns() >= deadline_ns) {
            bool woken = atomic_load(&t->state) == THREAD_RUNNING;
            thread_cancel_block();
            return woken ? 0 : -ETIMEDOUT;
        }
        ktimer_start(&t->block_timer, deadline_ns);
    }
    ASSERT(plat_events_enabled());
    u64 flags = plat_events_save();
    struct percpu *cpu = this_cpu();
    ASSERT(t != cpu->idle);
    spin_lock(&cpu->rq->lock);
    if (t->state == THREAD_BLOCKING) {
        u64 since = watch_sleep();
        t->state = THREAD_BLOCKED;
        sched_switch_locked(cpu);
        plat_events_restore(flags);
        tell_sleep(since);
    } else {
        spin_unlock(&cpu->rq->lock);
        plat_events_restore(flags);
    }
    if (timed) {
        ktimer_cancel_sync(&t->block_timer);
        if (t->timed_out)
            return -ETIMEDOUT;
    }
    return interrupted(t) ? -ERESTARTSYS : 0;
}

int thread_sleep_until(u64 deadline_ns, bool interruptible)
{
    for (;;) {
        thread_prepare_block(interruptible);
        int ret = thread_block(deadline_ns);
        if (ret != 0)
            return ret == -ETIMEDOUT ? 0 : ret;
    }
}
