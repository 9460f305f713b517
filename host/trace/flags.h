/* SPDX-License-Identifier: Apache-2.0 */
/* Names of numbers in arguments of system calls, as strace(1) writes them. */
#ifndef HOST_TRACE_FLAGS_H
#define HOST_TRACE_FLAGS_H

#include "host/lib/util.h"
#include "syscall_args.inc"

/* Or-ed flags: "O_RDONLY|O_CLOEXEC", a number with a comment when none is known. */
void add_flags(struct buf *out, enum set_id set, u64 value);
/* One of a set. */
void add_enum(struct buf *out, enum set_id set, u64 value);
const char *enum_name(enum set_id set, u64 value); /* NULL: none */
const char *signal_name(u64 signal); /* "TERM"; NULL: none, or a real-time one */
/* "SIGTERM", "SIGRT_2", or the number. */
void add_signal(struct buf *out, u64 signal);
/* "ENOENT", or NULL. */
const char *errno_name(int number);

#endif
