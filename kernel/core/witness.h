/* SPDX-License-Identifier: Apache-2.0 */
/* What spinlock_debug.c tells the lock-order witness. `try`: cannot wait, so orders nothing. */
#ifndef CORE_WITNESS_H
#define CORE_WITNESS_H

#include "kern/lock.h"

void witness_spin_acquire(const struct spinlock *l, bool try);
void witness_spin_release(const struct spinlock *l);

#endif
