/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rings with IORING_SETUP_SQPOLL: a thread takes submissions, so that the program needs no system call while it is busy. It
 * never spins: with nothing to take it asks to be woken (IORING_SQ_NEED_WAKEUP) at once, whatever sq_thread_idle says, because
 * the CPU may be the only one. It has the memory and descriptors of the task that made the ring, and ends with it.
 */
#include "uring.h"

#define SQ_NEED_WAKEUP 1u

struct poller {
    struct given none;          /* its task's, between requests */
    struct list node;           /* maker->lock */
    struct uring_tasks *maker;
    struct ring *ring;          /* referenced */
    struct waitqueue wq;
    bool stop, woken;           /* atomic */
};

static bool has_sqes(struct ring *g)
{
    return !atomic_load(&g->disabled) && atomic_load(ring_word(g, SQ_TAIL)) != atomic_load_relaxed(&g->sq_head);
}

static void poll_once(struct poller *p, struct uring_tasks *o)
{
    struct ring *g = p->ring;
    s64 n = 0;
    if (has_sqes(g)) {
        mutex_lock(&g->submit);
        n = ring_submit(g, o, UINT32_MAX);
        mutex_unlock(&g->submit);
    }
    req_run_ready(o);
    if (n > 0) {
        wq_wake_all(&g->wq, POLLOUT | POLLWRNORM); /* IORING_ENTER_SQ_WAIT */
        return;
    }
    atomic_or(ring_word(g, SQ_FLAGS), SQ_NEED_WAKEUP);
    atomic_fence();
    if (!has_sqes(g))
        wait_event(&p->wq, atomic_load(&p->stop) || atomic_load(&p->woken) || !list_empty(&o->ready));
    atomic_store(&p->woken, false);
    atomic_and(ring_word(g, SQ_FLAGS), ~SQ_NEED_WAKEUP);
}

static void poller_main(void *arg)
{
    struct task *t = arg;
    struct poller *p = container_of(t->given, struct poller, none);
    struct ring *g = p->ring;
    struct uring_tasks *maker = p->maker;
    t->uring = owner_create(t, t->files);
    if (t->uring != NULL)
        uring_enter_begin(t->uring);
    while (t->uring != NULL && !atomic_load(&p->stop))
        poll_once(p, t->uring);
    uring_task_end(t);
    mutex_lock(&g->lock);
    g->poller = NULL;
    mutex_unlock(&g->lock);
    wq_wake_all(&g->wq, 0);
    t->given = NULL;
    u64 flags = spin_lock_irqsave(&maker->lock);
    list_remove(&p->node);
    wq_wake_all(&maker->end_wq, 0);
    spin_unlock_irqrestore(&maker->lock, flags);
    ring_put(g);
    kfree(p);
    hidden_task_exit();
}

int ring_poller_start(struct ring *g)
{
    struct uring_tasks *maker;
    int r = uring_tasks_get(&maker);
    if (r < 0)
        return r;
    struct poller *p = kzalloc(sizeof *p);
    struct task *t = p != NULL ? hidden_task_create(current_task(), maker->files, "iou-sqp", poller_main) : NULL;
    if (t == NULL) {
        kfree(p);
        return -ENOMEM;
    }
    p->maker = maker;
    p->ring = ring_get(g);
    wq_init(&p->wq, "io_uring poller");
    t->given = &p->none;
    g->poller = p;
    u64 flags = spin_lock_irqsave(&maker->lock);
    list_push_back(&maker->pollers, &p->node);
    spin_unlock_irqrestore(&maker->lock, flags);
    thread_start(t->thread);
    return 0;
}

static void stop(struct poller *p)
{
    atomic_store(&p->stop, true);
    atomic_fence();
    wq_wake_all(&p->wq, 0);
}

void ring_poller_end(struct ring *g)
{
    mutex_lock(&g->lock);
    if (g->poller != NULL)
        stop(g->poller);
    mutex_unlock(&g->lock);
}

void ring_pollers_end(struct uring_tasks *o)
{
    u64 flags = spin_lock_irqsave(&o->lock);
    list_for_each(p, &o->pollers, struct poller, node)
        stop(p);
    spin_unlock_irqrestore(&o->lock, flags);
    wait_event(&o->end_wq, list_empty(&o->pollers));
    flags = spin_lock_irqsave(&o->lock); /* who woke us has let go */
    spin_unlock_irqrestore(&o->lock, flags);
}

static bool sq_has_room(struct ring *g)
{
    return atomic_load(ring_word(g, SQ_TAIL)) - atomic_load_relaxed(&g->sq_head) < g->sq_entries;
}

s64 ring_poller_enter(struct ring *g, bool wake, bool wait)
{
    mutex_lock(&g->lock);
    bool alive = g->poller != NULL && !g->poller->stop;
    if (alive && wake) {
        atomic_store(&g->poller->woken, true);
        atomic_fence();
        wq_wake_all(&g->poller->wq, 0);
    }
    mutex_unlock(&g->lock);
    if (!alive)
        return -EOWNERDEAD;
    int r = wait ? wait_event_interruptible(&g->wq, sq_has_room(g) || atomic_load(&g->poller) == NULL) : 0;
    return r < 0 ? -EINTR : 0;
}
