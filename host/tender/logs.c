/* SPDX-License-Identifier: Apache-2.0 */
/* Logs of detached programs: see logs.h. */
#include "host/tender/logs.h"

#include <string.h>

#define PIECE_BYTES 16384u

static const struct log_driver *const drivers[] = {&log_file, &log_journald, &log_syslog, &log_none};

int logs_driver(struct logs *l, const char *name, struct error *err)
{
    if (strcmp(name, "json-file") == 0)
        name = "file";
    for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
        if (strcmp(drivers[i]->name, name) == 0) {
            l->driver = drivers[i];
            return 0;
        }
    return err_set(err, EXIT_DRUPE, "--log-driver %s: say file, journald, syslog or none", name);
}

int logs_option(struct logs *l, const char *text, struct error *err)
{
    u64 number;
    if (str_has_prefix(text, "max-size=") && parse_size(text + 9, 1, &number) == 0 && number >= LOGS_MIN_BYTES)
        l->max_bytes = number;
    else if (str_has_prefix(text, "max-file=") && parse_number(text + 9, 1, LOGS_MAX_FILES, &number) == 0)
        l->max_files = (unsigned)number;
    else if (str_has_prefix(text, "tag=") && text[4] && !strstr(text, "{{"))
        l->tag = text + 4;
    else if (str_has_prefix(text, "syslog-address="))
        l->address = text + 15;
    else if (str_has_prefix(text, "syslog-facility=") && log_socket_facility(text + 16) >= 0)
        l->facility = text + 16;
    else
        return err_set(err, EXIT_DRUPE, "--log-opt %s: say max-size=SIZE (from 4K), max-file=N (1 to %u), tag=TEXT (no template), "
                                        "syslog-address=udp://IP[:PORT] or unixgram://PATH, or syslog-facility=NAME", text, LOGS_MAX_FILES);
    return 0;
}

int logs_open(struct logs *l, const struct entry *e, struct error *err)
{
    bool file = l->driver == &log_file, syslog = l->driver == &log_syslog, journald = l->driver == &log_journald;
    if ((!file && (l->max_bytes || l->max_files)) || (!syslog && (l->address || l->facility)) || (!syslog && !journald && l->tag))
        return err_set(err, EXIT_DRUPE, "--log-opt: one of them is none of --log-driver %s", l->driver->name);
    return l->driver->open(l, e, err);
}

static size_t take(struct logs *l, unsigned stream, const char *data, size_t len)
{
    struct buf *line = &l->line[stream];
    if (l->waiting.len >= LOGS_WAITING_MAX && len)
        return 0;
    if (!len && line->len) /* the end of the stream: what is begun is all there will be */
        l->driver->put(l, stream, line->data, line->len);
    if (!len)
        buf_done(line);
    for (size_t left = len; left;) {
        const char *end = memchr(data, '\n', left);
        size_t n = MIN(end ? (size_t)(end - data) + 1 : left, PIECE_BYTES - line->len);
        buf_add(line, data, n);
        data += n;
        left -= n;
        if (line->len == PIECE_BYTES || line->data[line->len - 1] == '\n') {
            l->driver->put(l, stream, line->data, line->len);
            line->len = 0;
        }
    }
    return len;
}

size_t logs_stdout(void *ctx, const char *data, size_t len) { return take(ctx, 0, data, len); }
size_t logs_stderr(void *ctx, const char *data, size_t len) { return take(ctx, 1, data, len); }

size_t logs_poll(struct logs *l, struct pollfd *fds, u64 *deadline_ns)
{
    if (!logs_pending(l))
        return 0;
    if (l->retry_ns) {
        *deadline_ns = MIN(*deadline_ns, l->retry_ns);
        return 0;
    }
    *fds = (struct pollfd){.fd = l->fd, .events = POLLOUT};
    return 1;
}

void logs_serve(struct logs *l)
{
    if (logs_pending(l))
        log_socket_serve(l);
}

void logs_give_up(struct logs *l)
{
    l->lost_bytes += l->waiting.len;
    buf_done(&l->waiting);
}

void logs_done(struct logs *l)
{
    if (l->fd >= 0)
        close(TAKE_FD(l->fd));
    for (unsigned i = 0; i < 2; i++) {
        buf_done(&l->line[i]);
        free(TAKE_PTR(l->header[i]));
    }
    buf_done(&l->waiting);
}
