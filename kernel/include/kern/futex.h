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

#endif
