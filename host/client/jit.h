/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of code that programs make while they run: /tmp/perf-PID.map in the instance, as perf(1) wants it ("START SIZE NAME" a line, both
 * numbers in hex). It grows, so it is read again, but not more often than once a second.
 */
#ifndef HOST_CLIENT_JIT_H
#define HOST_CLIENT_JIT_H

#include "host/client/client.h"

struct jit;
struct jit *jit_new(const struct entry *e); /* e outlives it */
void jit_free(struct jit *j);
/* The latest name told for the code that has that address, or NULL. Owned by j, until the next call. */
const char *jit_name(struct jit *j, u32 pid, u64 address, u64 *ret_offset);

/* What pid has told perf(1) so far, whole lines of at most PERF_MAP_MAX bytes, appended; nothing if there is no such file. Warns, unless *told, that there was more. */
void jit_text(const struct entry *e, u32 pid, struct buf *text, bool *told);

/* For tests: as if the file of pid had this text. */
void jit_take(struct jit *j, u32 pid, const char *text, size_t len);

#endif
