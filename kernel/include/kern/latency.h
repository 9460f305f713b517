/* SPDX-License-Identifier: Apache-2.0 */
/* Histograms of times, for the service "stats": a table for each CPU, which writes there without locks. None while nobody has asked for them. */
#ifndef KERN_LATENCY_H
#define KERN_LATENCY_H

#include "kern/types.h"

#define LATENCY_CALLS 512u             /* slots of system calls, by number */
#define LATENCY_SCHED LATENCY_CALLS    /* from ready to running */
#define LATENCY_SLOTS (LATENCY_CALLS + 1)
#define LATENCY_BUCKETS 13u            /* up to 1.024 us, each four times the one before, the last without an end */
#define LATENCY_FIRST_NS 1024u

struct latency {
    u64 count[LATENCY_BUCKETS]; /* of each bucket by itself */
    u64 sum_ns;
};

/* Begin at zero. -ENOMEM. One caller at a time, thread context. */
int latency_start(void);
/* On its CPU, in thread context or with events disabled, never both for one slot. */
void latency_add(u32 slot, u64 ns);
/* Sums over all CPUs. False: there is nothing. */
bool latency_read(u32 slot, struct latency *ret);

#endif
