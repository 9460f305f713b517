/* SPDX-License-Identifier: Apache-2.0 */
/* Where a program may be attached, as people write it ("tracepoint:syscalls:sys_enter_read", "net:*", "profile:hz:99"), and what is there. */
#ifndef HOST_BPF_ATTACH_H
#define HOST_BPF_ATTACH_H

#include "abi/bpf.h"
#include "host/lib/error.h"
#include "host/lib/util.h"

#define POINTS_MAX 256u
#define CALLS_END 512u /* numbers of system calls are below */

/* A tracepoint of the instance's kernel. */
struct bpf_point {
    u32 number;
    char *name;   /* "sched:switch" */
    char *types;  /* a letter for each field: u s64 d, unsigned u, hex x, string s */
    char *fields; /* their names, with commas */
};
/* What the instance told of itself. */
struct world {
    struct bpf_point points[POINTS_MAX];
    unsigned npoints;
    u32 cpus;
    u64 monotonic_ns, realtime_ns; /* the same moment by both clocks */
};
/* The answer to BPFD_POINTS. 0, or -1: it makes no sense. */
int world_points(struct world *w, const char *text, size_t len);
void world_done(struct world *w);

enum { AT_BEGIN = 100, AT_END }; /* beside enum bpfd_where: run once, by BPFD_RUN */

/* One place. */
struct target {
    char *name;                    /* what the word `probe` tells */
    u32 where, ctx;                /* enum bpfd_where or AT_*; enum bpfd_ctx */
    u32 number;                    /* as struct bpfd_attach wants it */
    u64 value;
    const struct bpf_point *point; /* BPFD_AT_POINT */
    bool of_all;                   /* one of all system calls: "syscalls:sys_enter_*" */
    bool call_only;                /* "syscall:read": what it tells is the call and its result */
    char *path, *symbol;           /* functions: still to be found; path NULL: the kernel's */
    u64 offset;                    /* from the symbol, or (symbol NULL) the address */
};
static inline bool target_is_call(const struct target *t) { return t->where == BPFD_AT_CALL_ENTRY || t->where == BPFD_AT_CALL_EXIT; }
static inline bool target_is_function(const struct target *t) { return t->where == BPFD_AT_FUNCTION || t->where == BPFD_AT_RETURN; }
void target_done(struct target *t);
struct targets {
    struct target *items;
    size_t count;
};
/* What a pattern means; at least one place, or -1 with the reason. Places are added. */
int targets_add(struct targets *t, const char *text, const struct world *w, struct error *err);
void targets_done(struct targets *t);

/* The name of a system call: our own, or that of Linux's tracepoint. NULL: there is none. */
const char *call_name(u32 nr, bool linux_name);

/* A field of a context: where it is, and what. */
struct ctx_field {
    char type; /* i int, w unsigned int, d s64, u u64, x u64 in hex, p pointer, s string of the kernel */
    u16 offset;
};
/* False: the place has no field of that name. */
bool target_field(const struct target *t, const char *name, size_t len, struct ctx_field *ret);
/* All of its fields, for messages: "fd, buf, count". The caller frees. */
char *target_fields(const struct target *t);

#endif
