/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel stacks of threads, for profiles and debuggers. */
#include "sched_impl.h"

unsigned thread_sleeping_frames(struct thread *t, u64 *ret_pcs, unsigned max, u64 *ret_since_ns)
{
    u64 flags;
    struct runqueue *rq = thread_rq_lock(t, &flags);
    unsigned n = t->state == THREAD_BLOCKED ? arch_walk_frames(arch_context_frame(&t->ctx), t->kstack, ret_pcs, max) : 0; /* S2 */
    *ret_since_ns = t->exec_start_ns; /* charge() has set it */
    spin_unlock_irqrestore(&rq->lock, flags);
    return n;
}
