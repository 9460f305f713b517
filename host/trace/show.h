/* SPDX-License-Identifier: Apache-2.0 */
/* What `drupe strace` writes: a line for each call, cut where calls of several threads cross, as strace(1) does it. */
#ifndef HOST_TRACE_SHOW_H
#define HOST_TRACE_SHOW_H

#include <stdio.h>

#include "host/trace/session.h"

struct show_options {
    FILE *out;
    const struct trace_open *want; /* the kernel chooses by it */
    bool clock, micros, relative, took; /* -t, -tt, -r, -T */
    bool always_pid;    /* -o */
    u32 string_max;
};
struct show;

struct show *show_create(const struct show_options *o, const struct trace_client *t);
void show_record(struct show *s, const struct trace_record *r, const u8 *body);
/* Nothing more is there at the moment. False: the output takes no more. */
bool show_flush(struct show *s);
/* The rest, and how many records were lost. */
void show_done(struct show *s);

/* -c: as a table. */
void show_sums(FILE *out, const struct trace_record *r, const u8 *body);

#endif
