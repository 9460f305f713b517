/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of mm share and nobody else needs. */
#ifndef MM_IMPL_H
#define MM_IMPL_H

#include "kern/bh.h"
#include "kern/page.h"
#include "kern/percpu.h"

/*
 * Keep bottom halves off this CPU for the few instructions of a per-CPU fast
 * path: bh_disable()/bh_enable() without the calls.
 */
static ALWAYS_INLINE struct percpu *cpu_enter(void)
{
    struct percpu *c = this_cpu();
    c->bh_disabled++;
    compiler_barrier();
    return c;
}

/* True: bh_enabled() is to be called. */
static ALWAYS_INLINE bool cpu_leaving(struct percpu *c)
{
    compiler_barrier();
    return --c->bh_disabled == 0 && unlikely(!list_empty(&c->bh_pending));
}

static ALWAYS_INLINE void cpu_leave(struct percpu *c)
{
    if (cpu_leaving(c))
        bh_enabled();
}

/* May this allocation sleep? Not with bottom halves or events off. */
bool alloc_may_sleep(unsigned flags);

#endif
