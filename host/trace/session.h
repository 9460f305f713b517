/* SPDX-License-Identifier: Apache-2.0 */
/* A client of the kernel's service "trace" (abi/trace.h). Every record is checked for its lengths before it is given on. */
#ifndef HOST_TRACE_SESSION_H
#define HOST_TRACE_SESSION_H

#include "abi/trace.h"
#include "host/client/client.h"

struct point {
    char *name;   /* "sched:switch"; NULL: there is none with that number */
    char *types;  /* a letter for each field: u s64 d, unsigned u, hex x, string s */
    char *fields; /* their names, with commas */
};
struct trace_client {
    struct conversation talk;
    struct buf batch;   /* of records; the one given last ends at `at` */
    size_t at;
    u64 realtime_offset_ns;
    u64 first_ns;       /* of the start */
    u64 lost;
    struct point points[TRACE_POINTS];
};

/* want.version is filled in. A session that hears of nothing yet. */
int trace_client_open(struct trace_client *t, const struct entry *e, struct trace_open *want, struct error *err);
/* The first message: time and tracepoints. 0, or -1. */
int trace_client_start(struct trace_client *t, const struct entry *e, struct error *err);
/* The next record and what is behind its head, until the next call. 1; 0 at the end; -1. ret_idle: nothing more is there at the moment. */
int trace_client_next(struct trace_client *t, const struct entry *e, struct trace_record *ret, const u8 **ret_body, struct error *err);
bool trace_client_more(const struct trace_client *t); /* another record is there without waiting */
/* Ask for the rest; records go on until the end. */
void trace_client_finish(struct trace_client *t);
void trace_client_done(struct trace_client *t);

/* The next field of a tracepoint. False: there is no more. A string is not ended by a 0. */
struct field {
    char type;
    u64 value;       /* of a string: its length */
    const u8 *text;
};
bool trace_field(const struct point *p, unsigned index, const u8 **body, size_t *left, struct field *ret);

#endif
