/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls as strace(1) prints them, from records of abi/trace.h. What comes from the instance is checked: a piece
 * is never read beyond its bytes, and what it lacks is printed as an address.
 */
#ifndef HOST_TRACE_DECODE_H
#define HOST_TRACE_DECODE_H

#include "abi/trace.h"
#include "host/lib/util.h"

struct pieces {
    const u8 *data;
    size_t len;
};
struct call {
    u32 nr;
    u64 args[6];
    struct pieces entry, exit;
    bool has_exited;
    s64 result;
    u32 string_max; /* what was asked for */
    u32 previous;   /* the thread's call before this one; what restart_syscall(2) goes on with */
};

/* The call's name, made of its number if it has none. */
void add_call_name(struct buf *out, u32 nr);
/* Arguments from index `from` on, with commas, up to the first that the call is still to write. The index of the next. */
unsigned add_args(struct buf *out, const struct call *c, unsigned from);
bool call_is_missing(u32 nr); /* the kernel of this version does not have it */
unsigned call_arg_count(u32 nr);
int call_fd_arg(u32 nr); /* the first that is a descriptor; -1 */
/* " = 3", with the error's name and text, or what else the call tells by it. */
void add_result(struct buf *out, const struct call *c);
bool result_is_error(s64 result);

/* decode_types.c: a structure of type_id; false: it is not whole. */
bool add_struct(struct buf *out, unsigned type, const u8 *data, size_t len, const struct call *c, bool after);
/* decode_system.c: the same, of types that are there; false: it is not to be shown. */
bool add_system_struct(struct buf *out, unsigned type, const u8 *data, const struct call *c);
const char *cap_name(u32 cap); /* "NET_RAW"; NULL: none */
void add_cpus(struct buf *out, const u8 *data, size_t len);
/* decode_sockets.c */
bool add_option(struct buf *out, const struct call *c, const u8 *data, size_t len); /* false: as bytes */
void add_interface(struct buf *out, u32 index);
void add_control(struct buf *out, const u8 *data, size_t len, bool cut);
void add_quoted(struct buf *out, const u8 *data, size_t len, bool cut, bool hex);
void add_sockaddr(struct buf *out, const u8 *data, size_t len);
void add_ticks(struct buf *out, u64 ticks); /* of clock_t, with seconds in a comment */
void add_date(struct buf *out, u64 seconds, u64 fraction, int digits, const char *before, const char *after);
void add_mode(struct buf *out, u32 mode);
void add_sigset(struct buf *out, u64 set);
void add_pointer(struct buf *out, u64 p);
void add_siginfo(struct buf *out, const u8 *data, size_t len);

#endif
