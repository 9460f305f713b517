/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the futexes share; see futex.c. */
#ifndef FUTEX_IMPL_H
#define FUTEX_IMPL_H

#include "kern/futex.h"
#include "kern/thread.h"
#include "kern/uaccess.h"

struct futex_key {
    const void *object; /* struct addrspace, or what a shared area maps */
    u64 offset;
};

struct bucket {
    struct spinlock lock;
    struct list waiters; /* struct futex_waiter, first come first */
};

struct futex_waiter {
    struct list node;      /* bucket's lock */
    struct futex_key key;  /* bucket's lock */
    struct bucket *bucket; /* both buckets' locks; read without, then checked */
    struct thread *thread;
    const struct futex_key *pi; /* c: the lock it wants when woken; only futex_cmp_requeue_pi() wakes it then */
    u32 bitset;
    bool woken; /* atomic */
};

static inline bool futex_same_key(const struct futex_key *a, const struct futex_key *b)
{
    return a->object == b->object && a->offset == b->offset;
}
/* 0, -EINVAL, -EFAULT. Shared keys are good while the mapping stays, as on Linux. */
int futex_key_of(uaddr_t addr, bool shared, struct futex_key *ret);
struct bucket *futex_bucket(const struct futex_key *key);
/* Queue up and compare the word. 0: on the list (and perhaps woken already); -EAGAIN: another value; else -errno. */
int futex_queue(struct futex_waiter *w, uaddr_t addr, u32 value, bool shared);
/* Off the list, unless it was woken: then false. */
bool futex_unqueue(struct futex_waiter *w);
int futex_wait_on(struct futex_waiter *w, uaddr_t addr, u32 value, bool shared, u64 deadline_ns);
void futex_wake_waiter(struct futex_waiter *w); /* bucket locked */
int futex_read_nofault(uaddr_t addr, u32 *ret);
/* Make the word present and writable: a write that changes nothing. */
int futex_fault_in(uaddr_t addr);

#endif
