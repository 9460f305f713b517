/* SPDX-License-Identifier: Apache-2.0 */
/* Counters of lock contention: see kern/lockstat.h. Counts of one class that two CPUs add at once may be lost. */
#include "kern/lockstat.h"

#include "kern/atomic.h"

#define CLASSES 128u /* power of two; what does not fit is not counted */

static struct lockstat table[CLASSES];

static struct lockstat *class_of(const char *name)
{
    u64 at = ((u64)(uintptr_t)name * 0x9e3779b97f4a7c15ULL) >> 32; /* 2^64 / golden ratio */
    for (unsigned i = 0; i < CLASSES; i++) {
        struct lockstat *s = &table[(at + i) % CLASSES];
        const char *there = atomic_load_relaxed(&s->name);
        if (there == name || (there == NULL && (atomic_cas(&s->name, &there, name) || there == name)))
            return s;
    }
    return NULL;
}

void lockstat_spun(const char *name, u64 turns)
{
    struct lockstat *s = class_of(name);
    if (s == NULL)
        return;
    s->waits++;
    s->turns += turns;
    if (turns > s->longest)
        s->longest = turns;
}

void lockstat_slept(const char *name, u64 ns)
{
    struct lockstat *s = class_of(name);
    if (s == NULL)
        return;
    s->sleeps++;
    s->slept_ns += ns;
}

void lockstat_for_each(void (*fn)(const struct lockstat *s, void *ctx), void *ctx)
{
    for (unsigned i = 0; i < CLASSES; i++)
        if (atomic_load(&table[i].name) != NULL)
            fn(&table[i], ctx);
}
