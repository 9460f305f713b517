/* SPDX-License-Identifier: Apache-2.0 */
/* What drupe strace, trace and run --strace share. */
#ifndef HOST_CLI_TRACE_H
#define HOST_CLI_TRACE_H

#include "host/trace/show.h"

struct strace_options {
    struct trace_open want;
    struct show_options show;
    bool summary;
    const char *output;
};

void strace_defaults(struct strace_options *o);
/* One of its letters. 0; 1: it is none; -1. */
int strace_option(struct strace_options *o, int c, const char *value, struct error *err);
/* Until the instance ends, or a signal comes (catch_end_signals()). 0 or -1. */
int strace_entry(struct strace_options *o, const struct entry *e, struct error *err);
/* A child that does the same for the instance whose tender this process will be. Its number or -1. */
pid_t strace_attend(struct strace_options *o, struct entry *tender, struct error *err);
int parse_trace_set(struct trace_open *want, const char *text, struct error *err);

/* ^C and the like are to end a trace in order. */
void catch_end_signals(void);
int end_signals_fd(void); /* readable when one has come */
/* Wait for the instance; a signal to end asks it for the rest, once. */
void await_records(struct trace_client *t, bool *finishing);

/* What -o says, NULL: `otherwise`. NULL with the message set. */
FILE *output_open(const char *path, FILE *otherwise, struct error *err);
/* The result is `result`, or -1 where that was good and the file could not take it all. */
int output_close(FILE *out, const char *path, int result, struct error *err);

/* trace_programs.c: eBPF programs, in words or (text NULL) from a file: an object, or words. output NULL: standard output. */
struct program_trace {
    const char *text, *file, *output;
    u32 interval_s;
};
int trace_programs(const struct program_trace *p, const struct entry *e, struct error *err);

#endif
