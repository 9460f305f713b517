/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Wait queues. Theory:
 *
 *   W1  A waiter queues itself, then tests its condition; a waker changes the
 *       condition, then looks at the queue. A full fence stands between the
 *       two steps on both sides, so at least one of them sees the other.
 *   W2  A woken thread's waiter leaves the queue at once (else a second exclusive
 *       wake could be spent on the same thread). The waker clears w->wq last
 *       and under the lock: who reads w->wq == NULL knows that no waker
 *       will touch `w` again. Who reads another value without the lock knows nothing: the waker may have taken the
 *       waiter out and woken the thread, and not have come to that store yet.
 *   W3  An exclusive wake that a waiter has got is not wasted: whoever gives up (signal, deadline) looks once more when nobody
 *       can wake it any longer. What came before it left the queue it sees then; what came behind that woke somebody else.
 */
#include "kern/wait.h"

#include "kern/thread.h"

void wq_init(struct waitqueue *wq, const char *name)
{
    spin_init(&wq->lock, name);
    list_init(&wq->waiters);
}

static void add_locked(struct waitqueue *wq, struct waiter *w)
{
    if (w->exclusive)
        list_push_back(&wq->waiters, &w->node);
    else
        list_push_front(&wq->waiters, &w->node);
    atomic_store(&w->wq, wq);
}

void wq_add(struct waitqueue *wq, struct waiter *w)
{
    u64 flags = spin_lock_irqsave(&wq->lock);
    add_locked(wq, w);
    spin_unlock_irqrestore(&wq->lock, flags);
    atomic_fence(); /* W1 */
}

void wq_remove(struct waiter *w)
{
    struct waitqueue *wq = atomic_load(&w->wq);
    if (wq == NULL)
        return;
    u64 flags = spin_lock_irqsave(&wq->lock);
    if (w->wq != NULL) {
        list_remove(&w->node);
        w->wq = NULL;
    }
    spin_unlock_irqrestore(&wq->lock, flags);
}

bool waiter_wake_thread(struct waiter *w, u32 events)
{
    list_remove(&w->node);
    thread_wake(w->thread);
    atomic_store(&w->wq, NULL); /* W2 */
    return true;
}

void waiter_init_thread(struct waiter *w)
{
    w->wq = NULL;
    w->fn = waiter_wake_thread;
    w->thread = current_thread();
    w->exclusive = false;
}

void wq_wake_n(struct waitqueue *wq, u32 events, unsigned n)
{
    atomic_fence(); /* W1 */
    if (list_empty(&wq->waiters))
        return;
    u64 flags = spin_lock_irqsave(&wq->lock);
    for (struct list *l = wq->waiters.next, *next; l != &wq->waiters; l = next) {
        struct waiter *w = list_entry(l, struct waiter, node);
        next = l->next;
        bool exclusive = w->exclusive; /* w may be gone after the call */
        if (exclusive && n == 0)
            break; /* the exclusive ones stand at the back */
        if (w->fn(w, events) && exclusive)
            n--;
    }
    spin_unlock_irqrestore(&wq->lock, flags);
}

void wq_wake(struct waitqueue *wq, u32 events)
{
    wq_wake_n(wq, events, 1);
}

void wq_wake_all(struct waitqueue *wq, u32 events)
{
    wq_wake_n(wq, events, UINT32_MAX);
}

void wait_prepare(struct waitqueue *wq, struct waiter *w, bool interruptible)
{
    thread_prepare_block(interruptible);
    u64 flags = spin_lock_irqsave(&wq->lock);
    if (w->wq == NULL) /* under the lock: W2 */
        add_locked(wq, w);
    spin_unlock_irqrestore(&wq->lock, flags);
    atomic_fence(); /* W1 */
}

int wait_block(u64 deadline_ns, bool interruptible)
{
    return thread_block(deadline_ns);
}

void wait_finish(struct waiter *w)
{
    thread_cancel_block();
    wq_remove(w);
}
