/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel's service "trace" tells: system calls and tracepoints as they happen, or sums of calls. Its argument is
 * a struct trace_open; then every message of the channel is a run of records, each a multiple of 8 bytes long, in order of time
 * for each CPU. The client sends nothing but the end.
 *
 * The first record is TRACE_START. What was lost between two messages because the client was too slow is told by TRACE_LOST.
 * Pointers that arguments had are not followed by the client: what they led to comes as pieces behind the arguments
 * (kernel/linux/syscall_args.tbl says which), cut to what the client asked for.
 */
#ifndef ABI_TRACE_H
#define ABI_TRACE_H

#include <stdint.h>

#define TRACE_VERSION 3u
#define TRACE_CALLS 512u   /* numbers of system calls are below */
#define TRACE_POINTS 64u   /* numbers of tracepoints are below */
#define TRACE_RECORD_MAX 1024u
#define TRACE_STRING_MAX 512u
#define TRACE_FIELDS_MAX 6u
#define TRACE_FDS_MAX 14u
#define TRACE_PATH_MAX 256u

struct trace_open {
    uint32_t version;    /* TRACE_VERSION */
    uint32_t flags;
    uint32_t pid;        /* only this process or thread; 0 = all */
    uint32_t string_max; /* bytes of a buffer or string, up to TRACE_STRING_MAX; paths come whole as far as a record goes */
    uint64_t calls[TRACE_CALLS / 64]; /* bitmaps of what is wanted */
    uint64_t points;
    /* Of calls only those are recorded that pass all of these. */
    uint64_t errors[4];  /* with TRACE_ERRORS: a bitmap of the errors that they return; bit 0: of all that are none */
    uint32_t nfds;       /* not 0: one of their descriptors is one of these */
    int32_t fds[TRACE_FDS_MAX];
    char path[TRACE_PATH_MAX]; /* not empty: one of their paths is this one, as the program says it */
};
#define TRACE_SUMMARY 1u /* no records of calls but TRACE_SUMS, once a second and at the end */
#define TRACE_ERRORS 2u  /* a call's entry is recorded when it has returned, with the time when it began */

enum trace_kind {
    TRACE_START = 1, /* struct trace_start */
    TRACE_LOST,      /* one u64: records */
    TRACE_ENTRY,     /* u64 args[6], pieces; id = number of the call */
    TRACE_EXIT,      /* s64 result, u64 args[6], pieces */
    TRACE_POINT,     /* fields, each a u64; of a string a u64 length, then its bytes, padded to 8; id = number of the point */
    TRACE_SUMS,      /* struct trace_sum each, since the start */
    TRACE_DEFINE,    /* a tracepoint there is: text "name fields", padded with zeros; id = its number */
};

struct trace_record {
    uint32_t len; /* with this head */
    uint8_t kind, cpu;
    uint16_t id;
    uint32_t pid, tid; /* 0: not a program's thread */
    uint64_t time_ns;  /* since the machine's start */
};

struct trace_start {
    uint64_t realtime_ns; /* of the record's time_ns */
};

struct trace_sum {
    uint32_t nr, reserved;
    uint64_t calls, errors, time_ns;
};

/* What an argument pointed to; len bytes follow, padded to 8. */
struct trace_piece {
    uint8_t arg, flags;
    uint16_t len;
    uint32_t part; /* of arguments with several, in their order */
};
#define TRACE_CONTROL 255u /* the part of a message that has its control messages */
#define TRACE_MESSAGE(n) (((n) + 1u) << 8) /* of several messages, whose heads are part 0: added to the parts of message n */
#define TRACE_CUT 1u    /* there was more */
#define TRACE_FAULT 2u  /* the program has no memory there */

#endif
