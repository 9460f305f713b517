/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Atomics: the compiler's C11 builtins under short names. Every access names
 * its order; no code relies on the stronger order of x86 or of an emulator.
 */
#ifndef KERN_ATOMIC_H
#define KERN_ATOMIC_H

#include "kern/types.h"

#define atomic_load(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define atomic_load_relaxed(p) __atomic_load_n(p, __ATOMIC_RELAXED)
#define atomic_store(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
#define atomic_store_relaxed(p, v) __atomic_store_n(p, v, __ATOMIC_RELAXED)
#define atomic_add(p, v) __atomic_add_fetch(p, v, __ATOMIC_ACQ_REL)  /* new value */
#define atomic_sub(p, v) __atomic_sub_fetch(p, v, __ATOMIC_ACQ_REL)  /* new value */
#define atomic_inc_relaxed(p) ((void)__atomic_add_fetch(p, 1, __ATOMIC_RELAXED))
#define atomic_or(p, v) __atomic_fetch_or(p, v, __ATOMIC_ACQ_REL)    /* old value */
#define atomic_and(p, v) __atomic_fetch_and(p, v, __ATOMIC_ACQ_REL)  /* old value */
#define atomic_xchg(p, v) __atomic_exchange_n(p, v, __ATOMIC_ACQ_REL)
/* bool; on failure *expected holds the value found */
#define atomic_cas(p, expected, v) \
    __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)
#define atomic_fence() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define compiler_barrier() __asm__ volatile("" ::: "memory")

/* Reference count. Saturation is not needed: a count is bounded by memory. */
struct refcount {
    u32 n;
};

static inline void ref_init(struct refcount *r) { atomic_store_relaxed(&r->n, 1u); }
static inline void ref_get(struct refcount *r) { atomic_inc_relaxed(&r->n); }
/* Take a reference unless the count has already reached zero. */
static inline bool ref_get_unless_zero(struct refcount *r)
{
    u32 n = atomic_load_relaxed(&r->n);
    while (n != 0)
        if (atomic_cas(&r->n, &n, n + 1))
            return true;
    return false;
}
/* True when this was the last reference. */
static inline bool ref_put(struct refcount *r) { return atomic_sub(&r->n, 1u) == 0; }
static inline u32 ref_count(const struct refcount *r) { return atomic_load_relaxed(&r->n); }

#endif
