/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions and their rings: rings.c. Locks as in kern/trace.h: X the trace lock of the ring's CPU. */
#ifndef TRACE_TRACE_IMPL_H
#define TRACE_TRACE_IMPL_H

#include "kern/lock.h"
#include "kern/trace.h"
#include "kern/wait.h"

#define SESSIONS_MAX 8u

struct ring {
    u8 *bytes;        /* NULL: not this CPU's; constant while the session is on the list */
    u64 begin, end;   /* X: counts of bytes since the start */
    u64 lost;         /* X */
    struct trace_sum *sums; /* with TRACE_SUMMARY, TRACE_CALLS of them; atomic, written by threads of this CPU alone */
};

struct trace_session {
    struct trace_open want; /* constant */
    struct waitqueue *wq;   /* constant; where its thread sleeps */
    u32 size;               /* bytes of each ring, a power of two */
    struct ring rings[MAX_CPUS];
};

bool wants_calls(const struct trace_open *o);
/* 0, -ENOMEM, or -EBUSY: too many are open. wq outlives it. */
int session_create(const struct trace_open *want, struct waitqueue *wq, struct trace_session **ret);
/* Whoever sleeps on a session's wq looks again. */
void sessions_wake(void);
void session_destroy(struct trace_session *s);
/* Move records to buf, as many as there are and fit. Bytes. */
size_t session_drain(struct trace_session *s, u8 *buf, size_t size);
/* Sums of all CPUs, TRACE_CALLS of them. */
void session_sums(struct trace_session *s, struct trace_sum *ret);

#endif
