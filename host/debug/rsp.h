/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets of gdb's remote serial protocol (gdb's manual, "Remote Protocol"): framing, check sums, escapes, hexadecimal. Pure: bytes in,
 * packets out; what comes is hostile.
 */
#ifndef HOST_DEBUG_RSP_H
#define HOST_DEBUG_RSP_H

#include "host/lib/util.h"

#define RSP_PACKET_MAX 16384u

struct rsp {
    struct buf in;
    bool no_ack;
};

enum rsp_kind { RSP_MORE, RSP_PACKET, RSP_INTERRUPT, RSP_BAD_SUM, RSP_BAD };

/* Take the next packet off rsp->in; its content, without escapes, into *ret (replaced). RSP_MORE: more bytes are needed.
 * RSP_BAD: this is no such protocol. */
enum rsp_kind rsp_next(struct rsp *r, struct buf *ret);
/* A packet around this content, appended; what must be escaped is. */
void rsp_frame(struct buf *out, const void *content, size_t len);

void rsp_add_hex(struct buf *out, const void *bytes, size_t len);
/* Exactly len bytes from 2*len digits at *p, which moves behind them. False: other characters, or the end. */
bool rsp_hex(const char **p, void *ret, size_t len);
/* A number in hexadecimal at *p, which moves. False: there is none, or it is too large. */
bool rsp_number(const char **p, u64 *ret);
/* The same up to a character, which is skipped. */
bool rsp_number_to(const char **p, char end, u64 *ret);

#endif
