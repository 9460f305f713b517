/* SPDX-License-Identifier: Apache-2.0 */
/* drupe-profile: samples of a running instance (abi/profile.h) become counted stacks. */
#ifndef HOST_PROFILE_PROFILE_H
#define HOST_PROFILE_PROFILE_H

#include <stdio.h>

#include "abi/profile.h"
#include "host/lib/error.h"
#include "host/lib/util.h"

/* --- unwind.c: programs' stacks, by the unwind tables of their files (elfutils libdw) --- */
struct unwinder;
struct entry; /* host/registry/registry.h */
struct unwinder *unwinder_new(const struct entry *e); /* e outlives it */
void unwinder_free(struct unwinder *u);
/* The areas of a process, as /proc/PID/maps has them; text of len bytes. */
void unwinder_maps(struct unwinder *u, u32 pid, const char *text, size_t len);
/* Names of the program's frames, innermost first, each with a '\n', appended. A stack that cannot be followed to its end has
 * a last line "[truncated]". */
void unwinder_frames(struct unwinder *u, const struct profile_sample *s, const char *stack, struct buf *ret);

/* --- folded.c: stacks and how often they were seen --- */
struct folded;
struct folded *folded_new(void);
void folded_free(struct folded *f);
struct folded_row {
    char *stack; /* "a;b;c", outermost first; the first is the thread */
    u64 samples, ns;
};
void folded_add(struct folded *f, const char *stack, u64 ns);
/* In the order of their text: so that stacks with a common beginning stand together. */
void folded_each(struct folded *f, void (*fn)(void *ctx, const struct folded_row *row), void *ctx);

/* --- svg.c: a flame graph, one file that needs nothing else --- */
/* Widths are times, or counts of samples. */
void svg_write(FILE *out, struct folded *f, const char *title, bool times);

/* --- pprof.c: for pprof and what reads its files --- */
struct pprof_about {
    const char *what; /* "cpu" */
    u64 start_ns, duration_ns, period_ns; /* start_ns: since 1970 */
};
int pprof_write(FILE *out, struct folded *f, const struct pprof_about *about); /* 0 or -1 */

#endif
