/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One direction of byte copying between a standard stream and a port, without
 * ever blocking: what the reader does not take yet waits in a buffer, and while
 * the buffer is full nothing more is read, so back-pressure reaches the other end.
 */
#ifndef HOST_TENDER_STREAM_H
#define HOST_TENDER_STREAM_H

#include <limits.h>
#include <poll.h>

#include "base/types.h"

#define STREAM_BUFFER_BYTES 65536u

#define STREAM_TO_SINK INT_MAX /* `to` of a stream that goes into a function */

struct stream {
    int from, to;     /* -1 when that side has ended */
    /* Takes up to len bytes, returns how many; 0 = none now: stream_copy() asks again in the next round. len 0: the end. */
    size_t (*sink)(void *ctx, const char *data, size_t len);
    void *sink_ctx;
    bool own_to;      /* close `to` with the stream */
    int original;     /* descriptor to give up with it, or -1 */
    bool to_socket;   /* send() without blocking */
    bool to_careful;  /* `to` may block: small pieces, only when poll() says so */
    bool shut;        /* tell a socket that no more will come */
    u64 total_bytes;  /* taken from `from` so far */
    u64 written_bytes;
    int error;        /* errno of the write that ended `to`; 0 = none, or only that nobody reads any more */
    u64 limit_bytes;  /* `from` ends after so many */
    size_t start, end;
    struct pollfd *poll_from, *poll_to; /* for one round */
    char buffer[STREAM_BUFFER_BYTES];
};

/* From a port to a standard stream of ours, which may be a pipe, a terminal, a file or a socket. */
void stream_init_output(struct stream *s, int from, int to);
/* From a port to a function. */
void stream_init_sink(struct stream *s, int from, size_t (*sink)(void *ctx, const char *data, size_t len), void *ctx);
/* From a standard stream of ours to a port. */
void stream_init_input(struct stream *s, int from, int to);
void stream_done(struct stream *s);
/* Has everything arrived, or has the reader gone? */
bool stream_finished(const struct stream *s);
/* Add what to wait for; at most two entries. Returns how many. */
size_t stream_poll(struct stream *s, struct pollfd *fds);
/* After poll(). Has anything been written? */
bool stream_copy(struct stream *s);

#endif
