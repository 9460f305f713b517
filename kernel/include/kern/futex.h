/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Futexes (futex(2)). A key is (address space, address) for private ones, and
 * (mapping or anonymous page identity, offset) for shared ones.
 */
#ifndef KERN_FUTEX_H
#define KERN_FUTEX_H

#include "kern/types.h"

#define FUTEX_BITSET_ALL 0xffffffffu

void futex_init(void);
/* 0, -EAGAIN (value differs), -ETIMEDOUT, -ERESTARTSYS, -EFAULT, -EINVAL (alignment). */
int futex_wait(uaddr_t addr, u32 value, u32 bitset, bool shared, u64 deadline_ns);
/* Number woken, or -errno. */
int futex_wake(uaddr_t addr, unsigned max, u32 bitset, bool shared);
/* FUTEX_REQUEUE / FUTEX_CMP_REQUEUE: woken + requeued, or -errno. */
int futex_requeue(uaddr_t from, uaddr_t to, unsigned max_wake, unsigned max_requeue, bool compare, u32 value, bool shared);
/* FUTEX_WAKE_OP with the encoded operation of futex(2). */
int futex_wake_op(uaddr_t addr1, uaddr_t addr2, unsigned max1, unsigned max2, u32 encoded_op, bool shared);

/* futex_waitv(2). */
struct futex_vector {
    u64 value;
    uaddr_t addr;
    bool shared;
};
/* Until one of the words is woken: its index, or as futex_wait(). */
int futex_wait_any(const struct futex_vector *v, unsigned n, u64 deadline_ns);

/*
 * Locks with priority inheritance: the word holds the owner's number (tid), FUTEX_WAITERS and FUTEX_OWNER_DIED. A waiter with a
 * real-time priority lends it to the owner, and to those that the owner waits for.
 */
#define FUTEX_WAITERS 0x80000000u
#define FUTEX_OWNER_DIED 0x40000000u
#define FUTEX_TID_MASK 0x3fffffffu
extern struct thread *(*futex_find_thread)(u32 tid); /* the personality's: referenced, or NULL */
/* 0, -EDEADLK, -ESRCH (no such owner), -EWOULDBLOCK (`try`), -ETIMEDOUT, -ERESTARTSYS, -EFAULT, -EINVAL. tid: the caller's. */
int futex_lock_pi(uaddr_t addr, u32 tid, bool shared, u64 deadline_ns, bool try);
int futex_unlock_pi(uaddr_t addr, u32 tid, bool shared); /* 0, -EPERM, -EFAULT, -EINVAL */
int futex_wait_requeue_pi(uaddr_t addr, u32 value, uaddr_t lock, u32 tid, bool shared, u64 deadline_ns);
int futex_cmp_requeue_pi(uaddr_t addr, uaddr_t lock, unsigned max_wake, unsigned max_requeue, u32 value, bool shared);
/* The current thread lets its memory go; with `ended`, it will never own anything again. */
void futex_pi_exit(bool ended);

#endif
