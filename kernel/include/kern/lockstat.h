/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which locks are waited for: counted where a lock is found taken, so that a lock that is free costs nothing. By class (the name of
 * its init site), in a table without locks. /proc/lock_stat shows it. core/lockstat.c, or no_lockstat.c.
 */
#ifndef KERN_LOCKSTAT_H
#define KERN_LOCKSTAT_H

#include "kern/types.h"

struct lockstat {
    const char *name;          /* atomic; NULL = free */
    u64 waits, turns, longest; /* spinlocks: times found taken, rounds of the waiting loop, most of them in one wait */
    u64 sleeps, slept_ns;      /* mutexes and rwmutexes: waits, and how long in all */
};

/* A spinlock was had after `turns` rounds of waiting. Any context. */
void lockstat_spun(const char *name, u64 turns);
/* A sleeping lock was waited for. Threads. */
void lockstat_slept(const char *name, u64 ns);
void lockstat_for_each(void (*fn)(const struct lockstat *s, void *ctx), void *ctx);

#endif
