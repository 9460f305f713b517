/* SPDX-License-Identifier: Apache-2.0 */
/* Programs in a running instance, from the loading to the maps at the end: `drupe trace -f FILE`, `drupe trace 'PROGRAM'`. */
#ifndef HOST_BPF_RUN_H
#define HOST_BPF_RUN_H

#include <stdio.h>

#include "host/bpf/session.h"

struct run_options {
    FILE *out;
    int end_fd;      /* readable: it is to end (a signalfd) */
    u32 interval_s;  /* print all maps every so many seconds; 0: only at the end */
};
/* Until the instance ends, end_fd says so, or the program calls exit(). 0, or -1. */
int run_words(const struct run_options *o, const struct entry *e, const char *text, size_t len, struct error *err);
int run_object(const struct run_options *o, const struct entry *e, const u8 *bytes, size_t len, struct error *err);

#endif
