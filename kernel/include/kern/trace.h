/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking at the kernel while it runs: tracepoints, and records of system calls, for clients outside (abi/trace.h).
 *
 *   TRACE(SCHED_SWITCH, prev->id, next->id, (u64)prev->name);
 *
 * costs one test of a byte that is never written while nobody looks. A record goes to the rings of the sessions
 * that want it, one ring for each CPU; a full ring loses its oldest records and counts them. So whoever traces waits for
 * nobody, and no client can make the program wait. A thread of each session carries its rings to the client.
 *
 *   X1  A CPU's trace lock guards its rings in all sessions: writers hold it for one record, readers for the copy of one.
 *   X2  A session is taken off `sessions` first, then each trace lock is held once; after that no writer knows it.
 *   X3  Trace locks are taken last, with events disabled; nothing is woken, allocated or read from a program under one. So a
 *       tracepoint may be anywhere.
 *   X4  Sums of calls have no lock: a CPU's are written by its threads, which are not preempted there and say so by its `busy`. A session that ends is
 *       taken off `summing`; after a barrier on all CPUs and once each was seen not busy no writer knows it.
 */
#ifndef KERN_TRACE_H
#define KERN_TRACE_H

#include "abi/trace.h"
#include "abi/trace_points.h"
#include "kern/types.h"

enum trace_point {
#define X(id, name, types, fields) TP_##id,
    TRACE_POINT_LIST(X)
#undef X
    TP_COUNT
};

/* Whose hex fields are functions of the kernel: sessions get their names. */
#define TRACE_POINTS_NAMED (1ull << TP_IRQ_HANDLER)

extern const struct trace_point_info {
    const char *name, *types, *fields;
} trace_points[TP_COUNT];
extern u8 trace_on[TP_COUNT]; /* 0: nobody wants it */

/* Values become u64; strings are given as their address. Any context. Not an array: whoever has one on its stack is guarded, traced or not. */
#define TRACE(point, ...)                                                                              \
    do {                                                                                               \
        if (unlikely(trace_on[TP_##point] != 0))                                                       \
            TRACE_EMIT(TP_##point, __VA_ARGS__, 0, 0, 0, 0, 0, 0);                                     \
    } while (0)
#define TRACE_EMIT(point, a, b, c, d, e, f, ...) trace_emit(point, a, b, c, d, e, f)
void trace_emit(enum trace_point point, u64 a, u64 b, u64 c, u64 d, u64 e, u64 f);
_Static_assert(TRACE_FIELDS_MAX == 6, "so many trace_emit() takes");

/* --- programs at tracepoints: bpf/ --- */

/* Set once, before anybody wants a point: called with the tracepoint's TRACE_FIELDS_MAX values, and the frame of the function that has it. Any context. */
extern void (*trace_programs)(enum trace_point point, const u64 *fields, const u64 *frame);
/* One program more (1), or less (-1), at the point. */
void trace_point_want(enum trace_point point, int by);
/* Whoever waits in trace_wait_session() goes on. */
void trace_session_came(void);

/* --- records of system calls: linux/trace_calls.c --- */

struct trace_call {
    u32 nr, pid, tid;
    bool early;            /* its entry is told at once, because what it points to will not be there later */
    u8 fd_args, path_args; /* bit n: argument n is a descriptor, a path */
    const u64 *args;
    s64 result;            /* when it has returned */
};
struct trace_wanted {
    u8 any; /* sessions, a bit for each, that want a record of the call at all, or if it ends as they want */
    u8 now; /* those that want its record now */
};
/* A call begins. Paths are not looked at. Thread context. */
struct trace_wanted trace_call_entered(const struct trace_call *c);
/* One that some session wanted at all has returned. Who did not know before whether he wants its record: with its result he does. */
u8 trace_call_returned(const struct trace_call *c);
/* A call of the current thread that took so long is added to sums. Thread context. */
void trace_call_counted(u32 nr, s64 result, u64 time_ns);
/* As many bytes of a string as the greediest of these sessions wants. */
u32 trace_string_max(u8 sessions);
/* A record, complete but for the CPU and, if that is 0, the time, to those of the sessions that still want such a call and, at its entry, one
 * of its paths. Who got it. Thread context. */
u8 trace_publish(struct trace_record *r, const struct trace_call *c, u8 sessions);
/* Set by linux: somebody more, or less, wants records or sums of system calls; process and thread of the caller, 0 for others'. */
extern void (*trace_watch_calls)(bool on, bool sums);
extern void (*trace_who)(u32 *ret_pid, u32 *ret_tid);

/* --- for init --- */
void trace_service_init(void);
/* The machine ends: let sessions send what they have, at most until then. */
void trace_finish(u64 deadline_ns);
/* Wait for the first session that wants calls, at most until then. */
void trace_wait_session(u64 deadline_ns);

#endif
