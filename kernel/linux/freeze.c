/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Holding a process still, to look at it as a whole. Its tasks are told by EXIT_TRACE, which ends no system call: one that runs
 * parks on its way back to the program (process_parks()); one that is blocked in the kernel may stay there, since its frame
 * does not change while it is, and parks when it wakes.
 */
#include "task.h"

#define FREEZE_NS (5 * NSEC_PER_SEC)

void process_parks(struct task *t)
{
    struct process *p = t->proc;
    atomic_store(&t->parked, true);
    wait_event(&p->stop_wq, atomic_load_relaxed(&p->frozen) == 0 || task_must_end(p));
    atomic_store(&t->parked, false);
}

/* Who says so may still be on its way off its CPU. */
static bool is_off(struct task *t)
{
    return (atomic_load(&t->parked) || atomic_load(&t->thread->state) == THREAD_BLOCKED) && thread_at_rest(t->thread);
}

static bool is_still(const struct process *p)
{
    list_for_each(t, &p->tasks, struct task, proc_node)
        if (t != current_thread()->task && !is_off(t))
            return false;
    return true;
}

bool process_freeze(struct process *p)
{
    u64 until = now_ns() + FREEZE_NS;
    spin_lock_bh(&p->lock);
    p->frozen++;
    list_for_each(t, &p->tasks, struct task, proc_node)
        if (t != current_thread()->task)
            thread_interrupt(t->thread, EXIT_TRACE);
    bool still = is_still(p);
    while (!still && now_ns() < until) {
        spin_unlock_bh(&p->lock);
        thread_sleep_until(now_ns() + NSEC_PER_SEC / 1000, false);
        spin_lock_bh(&p->lock);
        still = is_still(p);
    }
    spin_unlock_bh(&p->lock);
    return still;
}

void process_thaw(struct process *p)
{
    spin_lock_bh(&p->lock);
    p->frozen--;
    spin_unlock_bh(&p->lock);
    wq_wake_all(&p->stop_wq, 0);
}
