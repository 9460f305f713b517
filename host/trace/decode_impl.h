/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of the decoder: pieces of memory that a record has, and arguments whose meaning another one decides. */
#ifndef HOST_TRACE_DECODE_IMPL_H
#define HOST_TRACE_DECODE_IMPL_H

#include <string.h>

#include "host/trace/decode.h"
#include "host/trace/flags.h"

struct found {
    const u8 *data; /* NULL: there is none */
    size_t len;
    bool cut, fault;
};

static inline u64 word(const u8 *data, size_t at)
{
    u64 v;
    memcpy(&v, data + at, sizeof(v));
    return v;
}

static inline u32 half(const u8 *data, size_t at)
{
    u32 v;
    memcpy(&v, data + at, sizeof(v));
    return v;
}

struct bit {
    u32 bit;
    const char *name;
};
void add_bits(struct buf *out, const struct bit *bits, size_t n, u32 value); /* what has no name as a number */

struct found find_piece(struct pieces p, unsigned arg, u32 part);
struct found piece_of(const struct call *c, unsigned arg, bool after); /* part 0, of the call's entry or exit */
bool is_call(const struct call *c, const char *name);
void add_text(struct buf *out, const struct found *f, u64 address, bool hex);

bool is_shown(const struct call *c, unsigned i); /* some calls have arguments only with others */
bool fcntl_writes(u64 cmd);
bool ioctl_writes(u64 cmd);
bool prctl_writes(u64 op);
bool is_read(const struct call *c, unsigned i);                           /* what a pointer leads to is looked at by this call */
bool has_structure(const struct call *c, unsigned type, unsigned i); /* its size, where the call is told it, is right */
bool futex_counts(u64 op); /* argument 3 is a number, no time */
/* iov's parts begin at `part`. `bare`: the call's result is not how much it moved. */
void add_vector(struct buf *out, const struct call *c, struct pieces p, unsigned arg, u32 part, u64 address, u64 count, bool bare);
void add_poll_events(struct buf *out, u32 events);
void add_io_priority(struct buf *out, u32 v);
void add_request(struct buf *out, const u8 *d); /* a struct iocb: decode_aio.c */
void add_requests(struct buf *out, const struct call *c, unsigned arg);
void add_event(struct buf *out, const u8 *d); /* a struct io_event */
void add_ioctl(struct buf *out, const struct call *c);
void add_ioctl_name(struct buf *out, u32 cmd);
void add_fcntl(struct buf *out, const struct call *c);
void add_semun(struct buf *out, const struct call *c, unsigned i);
bool call_shows(const struct call *c, unsigned i); /* of prctl(2) and others, decode_calls.c */
void add_by_others(struct buf *out, const struct call *c, unsigned i);
void add_call_enum(struct buf *out, const struct call *c, enum set_id set, unsigned i);
void add_registered(struct buf *out, const struct call *c, unsigned i);
void add_call_result(struct buf *out, const struct call *c);           /* the names of a number, if it has any */
bool is_hex_result(const struct call *c);
void add_futex_value(struct buf *out, const struct call *c, unsigned i);
void add_sockopt(struct buf *out, const struct call *c, unsigned i); /* the option's name */
void add_protocol(struct buf *out, u64 family, u64 protocol);
void add_call_flags(struct buf *out, const struct call *c, enum set_id set, unsigned i);

/* Behind the result: "left {...}", what a call wrote to its timeout; the sets of select(); numbers that have names. */
void add_left(struct buf *out, const struct call *c, unsigned arg, unsigned type, const char *before);
void add_selected(struct buf *out, const struct call *c);

#endif
