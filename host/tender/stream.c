/* SPDX-License-Identifier: Apache-2.0 */
/* Byte copying: see stream.h. */
#include "host/tender/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define CAREFUL_BYTES 4096u /* a pipe that polls writable takes so many without blocking: pipe(7) */

static void stream_init(struct stream *s, int from, int to)
{
    s->from = from;
    s->to = to;
    s->own_to = s->to_socket = s->to_careful = s->shut = false;
    s->total_bytes = s->written_bytes = 0;
    s->limit_bytes = UINT64_MAX;
    s->start = s->end = 0;
    s->poll_from = s->poll_to = NULL;
    s->original = -1;
    s->error = 0;
    s->sink = NULL;
}

void stream_init_sink(struct stream *s, int from, size_t (*sink)(void *ctx, const char *data, size_t len), void *ctx)
{
    stream_init(s, from, STREAM_TO_SINK);
    s->sink = sink;
    s->sink_ctx = ctx;
}

void stream_init_output(struct stream *s, int from, int to)
{
    struct stat st;
    stream_init(s, from, to);
    s->original = to == STDOUT_FILENO ? to : -1; /* standard error stays: drupe's messages go there */
    if (fstat(to, &st) < 0) {
        s->to = -1;
    } else if (S_ISSOCK(st.st_mode)) {
        s->to_socket = true;
    } else if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)) {
        /* A second opening: O_NONBLOCK on ours would be O_NONBLOCK for everyone who shares it. */
        char path[40];
        snprintf(path, sizeof(path), "/proc/self/fd/%d", to);
        int fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (fd >= 0) {
            s->to = fd;
            s->own_to = true;
        } else {
            s->to_careful = true;
        }
    }
}

void stream_init_input(struct stream *s, int from, int to)
{
    stream_init(s, from, to);
    s->to_socket = true;
    s->shut = true;
}

static void end_writing(struct stream *s)
{
    if (s->to >= 0 && s->sink)
        s->sink(s->sink_ctx, NULL, 0);
    if (s->to >= 0 && s->original >= 0) { /* our own copy would keep the pipe open */
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        if (null >= 0) {
            dup2(null, s->original);
            close(null);
        }
    }
    if (s->to >= 0 && s->shut)
        shutdown(s->to, SHUT_WR);
    if (s->to >= 0 && s->own_to)
        close(s->to);
    s->to = -1;
}

void stream_done(struct stream *s) { end_writing(s); }

bool stream_finished(const struct stream *s) { return s->to < 0 || (s->from < 0 && s->start == s->end); }

size_t stream_poll(struct stream *s, struct pollfd *fds)
{
    size_t n = 0;
    s->poll_from = s->poll_to = NULL;
    if (s->from >= 0 && s->end < STREAM_BUFFER_BYTES) {
        s->poll_from = &fds[n];
        fds[n++] = (struct pollfd){.fd = s->from, .events = POLLIN};
    }
    if (s->to >= 0 && !s->sink && s->start < s->end) {
        s->poll_to = &fds[n];
        fds[n++] = (struct pollfd){.fd = s->to, .events = POLLOUT};
    }
    return n;
}

static void fill(struct stream *s)
{
    ssize_t n = read(s->from, s->buffer + s->end, STREAM_BUFFER_BYTES - s->end);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) {
        s->from = -1;
        return;
    }
    s->total_bytes += (u64)n;
    s->end += (size_t)n;
}

static void drain(struct stream *s)
{
    while (s->start < s->end && s->to >= 0) {
        size_t len = s->end - s->start;
        if (s->to_careful && len > CAREFUL_BYTES)
            len = CAREFUL_BYTES;
        ssize_t n = s->sink ? (ssize_t)s->sink(s->sink_ctx, s->buffer + s->start, len)
                    : s->to_socket ? send(s->to, s->buffer + s->start, len, MSG_DONTWAIT | MSG_NOSIGNAL)
                                 : write(s->to, s->buffer + s->start, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n == 0 || (n < 0 && errno == EAGAIN))
            return;
        if (n < 0) { /* the reader is gone; let the writer know */
            s->error = errno == EPIPE ? 0 : errno;
            s->start = s->end = 0;
            if (s->from >= 0 && !s->shut)
                shutdown(s->from, SHUT_RDWR);
            s->from = -1;
            end_writing(s);
            return;
        }
        s->start += (size_t)n;
        s->written_bytes += (u64)n;
        if (s->to_careful)
            break;
    }
    if (s->start == s->end)
        s->start = s->end = 0;
}

bool stream_copy(struct stream *s)
{
    u64 before = s->written_bytes;
    bool readable = s->poll_from && s->poll_from->revents;
    bool writable = s->poll_to && s->poll_to->revents;
    if (readable)
        fill(s);
    if (s->total_bytes >= s->limit_bytes)
        s->from = -1;
    if (s->to >= 0 && s->start < s->end && (writable || !s->to_careful))
        drain(s);
    if (s->from < 0 && s->start == s->end)
        end_writing(s);
    return s->written_bytes != before;
}
