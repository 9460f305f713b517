/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The work thread. It is made when the first work is initialised (a queueing
 * interrupt handler could not), or when that was before threads existed, by the
 * first work_queue() from a thread.
 */
#include "kern/work.h"

#include "kern/log.h"
#include "kern/thread.h"
#include "kern/trap.h"
#include "kern/wait.h"

static struct spinlock queue_lock = SPINLOCK_INIT("work queue");  /* irq-safe */
static struct list queue = LIST_INIT(queue);                     /* queue_lock */
static struct waitqueue queue_wq = { SPINLOCK_INIT("work wq"), LIST_INIT(queue_wq.waiters) };
static u32 worker_made; /* atomic */

static void worker(void *arg)
{
    for (;;) {
        wait_event(&queue_wq, !list_empty(&queue));
        u64 flags = spin_lock_irqsave(&queue_lock);
        struct list *n = list_pop_front(&queue);
        spin_unlock_irqrestore(&queue_lock, flags);
        if (n != NULL) {
            struct work *w = list_entry(n, struct work, node);
            atomic_store(&w->pending, 0u);
            w->fn(w);
            cond_resched();
        }
    }
}

static bool may_make_thread(void)
{
    struct percpu *cpu = this_cpu();
    return cpu->rq != NULL && cpu->irq_depth == 0 && cpu->bh_disabled == 0 && plat_events_enabled() &&
           cpu->current != cpu->idle;
}

static void make_worker(void)
{
    if (atomic_xchg(&worker_made, 1u) != 0)
        return;
    struct thread *t;
    if (thread_create("work", worker, NULL, false, &t) != 0) {
        atomic_store(&worker_made, 0u); /* the next one tries again */
        return;
    }
    thread_start(t);
    thread_put(t);
}

void work_init(struct work *w, void (*fn)(struct work *w))
{
    list_init(&w->node);
    w->fn = fn;
    w->pending = 0;
    if (worker_made == 0 && this_cpu()->rq != NULL && !bh_is_disabled() && !in_interrupt())
        make_worker();
}

bool work_queue(struct work *w)
{
    if (atomic_xchg(&w->pending, 1u) != 0)
        return false;
    u64 flags = spin_lock_irqsave(&queue_lock);
    list_push_back(&queue, &w->node);
    spin_unlock_irqrestore(&queue_lock, flags);
    if (unlikely(atomic_load(&worker_made) == 0) && may_make_thread())
        make_worker();
    wq_wake(&queue_wq, 0);
    return true;
}

struct flush_work {
    struct work work;
    struct thread *thread;
    bool done; /* atomic */
};

static void flush_done(struct work *w)
{
    struct flush_work *f = container_of(w, struct flush_work, work);
    struct thread *t = thread_get(f->thread);
    atomic_store(&f->done, true);
    thread_wake(t);
    thread_put(t);
}

void work_flush(void)
{
    struct flush_work f = { .thread = current_thread() };
    work_init(&f.work, flush_done);
    work_queue(&f.work);
    while (!atomic_load(&f.done)) {
        thread_prepare_block(false);
        if (!atomic_load(&f.done))
            thread_block(NEVER_NS);
    }
    thread_cancel_block();
}
