/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel stacks of threads, for profiles and debuggers. The kernel keeps frame pointers. */
#include "sched_impl.h"

unsigned thread_frames(const struct thread *t, const u64 *fp, u64 *ret_pcs, unsigned max)
{
    u64 low = (u64)t->kstack, high = low + KSTACK_SIZE - sizeof(struct trap_frame);
    unsigned n = 0;
    while (n < max && (u64)fp >= low && (u64)fp + 16 <= high && IS_ALIGNED((u64)fp, 8)) {
        ret_pcs[n++] = fp[1];
        if (fp[0] <= (u64)fp)
            break;
        fp = (const u64 *)fp[0];
    }
    return n;
}

unsigned thread_sleeping_frames(struct thread *t, u64 *ret_pcs, unsigned max, u64 *ret_since_ns)
{
    u64 flags;
    struct runqueue *rq = thread_rq_lock(t, &flags);
    unsigned n = t->state == THREAD_BLOCKED ? thread_frames(t, arch_context_frame(&t->ctx), ret_pcs, max) : 0; /* S2 */
    *ret_since_ns = t->exec_start_ns; /* charge() has set it */
    spin_unlock_irqrestore(&rq->lock, flags);
    return n;
}
