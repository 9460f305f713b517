/* SPDX-License-Identifier: Apache-2.0 */
/* Histograms of times: kern/latency.h. */
#include "kern/latency.h"

#include "base/str.h"
#include "kern/atomic.h"
#include "kern/percpu.h"
#include "kern/slab.h"

struct table {
    struct latency slots[LATENCY_SLOTS];
};
static struct table *tables[MAX_CPUS]; /* atomic; made by the first start, kept for the next */

int latency_start(void)
{
    for (unsigned i = 0; i < MAX_CPUS && percpu_table[i] != NULL; i++) {
        struct table *t = tables[i] != NULL ? tables[i] : vmap_alloc(sizeof(*t));
        if (t == NULL)
            return -ENOMEM;
        memset(t, 0, sizeof(*t));
        atomic_store(&tables[i], t);
    }
    return 0;
}

/* Bucket n takes times up to LATENCY_FIRST_NS * 4^n, the last one all others. */
static unsigned bucket_of(u64 ns)
{
    unsigned n = 0;
    while (n + 1 < LATENCY_BUCKETS && ns > (u64)LATENCY_FIRST_NS << 2 * n)
        n++;
    return n;
}

void latency_add(u32 slot, u64 ns)
{
    struct table *t = atomic_load(&tables[this_cpu()->cpu]);
    if (t == NULL || slot >= LATENCY_SLOTS)
        return;
    t->slots[slot].count[bucket_of(ns)]++;
    t->slots[slot].sum_ns += ns;
}

bool latency_read(u32 slot, struct latency *ret)
{
    u64 any = 0;
    memset(ret, 0, sizeof(*ret));
    for (unsigned i = 0; i < MAX_CPUS && tables[i] != NULL; i++) {
        const struct latency *l = &tables[i]->slots[slot];
        for (unsigned k = 0; k < LATENCY_BUCKETS; k++)
            any |= ret->count[k] += atomic_load_relaxed(&l->count[k]);
        ret->sum_ns += atomic_load_relaxed(&l->sum_ns);
    }
    return any != 0;
}
