/* SPDX-License-Identifier: Apache-2.0 */
/* futex_waitv(2): one thread in several queues. */
#include "futex_impl.h"

#include "kern/slab.h"

/* Out of the first n queues; the index of one that was woken, or -1. */
static int leave(struct futex_waiter *w, unsigned n)
{
    int woken = -1;
    while (n-- > 0)
        if (!futex_unqueue(&w[n]))
            woken = (int)n;
    return woken;
}

static bool any_woken(const struct futex_waiter *w, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (atomic_load(&w[i].woken))
            return true;
    return false;
}

static int wait_in(struct futex_waiter *w, const struct futex_vector *v, unsigned n, u64 deadline_ns)
{
    int err = 0, woken;
    for (unsigned i = 0; i < n; i++) {
        w[i] = (struct futex_waiter){.thread = current_thread(), .bitset = FUTEX_BITSET_ALL};
        err = v[i].value <= UINT32_MAX ? futex_queue(&w[i], v[i].addr, (u32)v[i].value, v[i].shared) : -EINVAL;
        if (err != 0) {
            woken = leave(w, i);
            return woken >= 0 ? woken : err;
        }
    }
    while (err == 0 && !any_woken(w, n)) {
        thread_prepare_block(true);
        if (!any_woken(w, n))
            err = thread_block(deadline_ns);
    }
    woken = leave(w, n);
    return woken >= 0 ? woken : err;
}

int futex_wait_any(const struct futex_vector *v, unsigned n, u64 deadline_ns)
{
    struct futex_waiter *w = kmalloc(n * sizeof *w, 0);
    if (w == NULL)
        return -ENOMEM;
    int r = wait_in(w, v, n, deadline_ns);
    thread_cancel_block();
    kfree(w);
    return r;
}
