/* SPDX-License-Identifier: Apache-2.0 */
/* The life of programs in an instance: run.h. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>

#include "host/bpf/run_impl.h"

static int print(struct run *r, struct error *err)
{
    struct buf *out = &r->printer.out;
    bool good = fwrite(out->data ? out->data : "", 1, out->len, r->o->out) == out->len && fflush(r->o->out) == 0;
    out->len = 0;
    return good ? 0 : err_errno(err, EXIT_DRUPE, "the output");
}

/* A line of trace_printk(), whether it ends as one or not. */
static void add_line(struct buf *out, const u8 *text, size_t len)
{
    show_text(out, text, len);
    if (out->len && out->data[out->len - 1] != '\n')
        buf_addf(out, "\n");
}

static int take(struct run *r, const struct bpfd_record *record, const u8 *data, struct error *err)
{
    u64 lost;
    switch (record->kind) {
    case BPFD_RECORD_PRINT: add_line(&r->printer.out, data, record->len); return 0;
    case BPFD_RECORD_LOST:
        if (record->len == sizeof(lost)) {
            memcpy(&lost, data, sizeof(lost));
            r->lost += lost;
        }
        return 0;
    default: return r->l ? words_record(r, record, data, err) : object_record(r, record, data);
    }
}

/* All that has come. After exit() the rest is not looked at. */
static int take_all(struct run *r, struct error *err)
{
    struct bpfd_record record;
    const u8 *data;
    while (!r->exits && session_output(&r->s, &record, &data))
        if (take(r, &record, data, err) < 0)
            return -1;
    return print(r, err);
}

static int print_maps(struct run *r, struct error *err)
{
    return (r->l ? words_maps(r, err) : object_maps(r, err)) < 0 ? -1 : print(r, err);
}

/* Everything to wait for. ret_stop: ^C. 0 or -1. */
static int wait_events(struct run *r, u64 next_ns, bool *ret_output, bool *ret_stop, struct error *err)
{
    struct pollfd p[2] = {{.fd = r->s.talk.fd, .events = POLLIN}, {.fd = r->o->end_fd, .events = POLLIN}};
    u64 now = now_ns();
    int timeout = next_ns == 0 ? -1 : next_ns <= now ? 0 : (int)((next_ns - now) / 1000000 + 1);
    if (poll(p, 2, timeout) < 0 && errno != EINTR)
        return err_errno(err, EXIT_DRUPE, "poll");
    *ret_output = p[0].revents != 0;
    *ret_stop = p[1].revents != 0;
    return 0;
}

static int watch(struct run *r, struct error *err)
{
    u64 interval_ns = (u64)r->o->interval_s * 1000000000, next_ns = interval_ns ? now_ns() + interval_ns : 0;
    bool output = false, stop = false;
    while (!stop && !r->exits && !r->s.ended) {
        if (wait_events(r, next_ns, &output, &stop, err) < 0 || (output && session_wait(&r->s, err) <= 0) || take_all(r, err) < 0)
            return err->code ? -1 : err_set(err, EXIT_DRUPE, "%s has ended, and its maps with it", r->s.entry->name);
        if (next_ns && now_ns() >= next_ns) {
            if (print_maps(r, err) < 0)
                return -1;
            next_ns += interval_ns;
        }
    }
    return 0;
}

/* What was not seen. */
static int tell_missing(struct run *r, struct error *err)
{
    struct bpfd_stats stats;
    if (session_stats(&r->s, r->u, &stats, err) < 0 || (r->l && words_cut(r, err) < 0))
        return -1;
    if (stats.missed)
        fprintf(stderr, "drupe: %" PRIu64 " runs were missed: a program ran on that CPU already\n", stats.missed);
    if (r->lost)
        fprintf(stderr, "drupe: %" PRIu64 " records were lost: they came faster than they could be taken\n", r->lost);
    if (r->cut)
        fprintf(stderr, "drupe: %" PRIu64 " times a map was full, or a while did not end: what should have been added is missing\n", r->cut);
    return 0;
}

/* No more runs; then END, and all that was printed until then. */
static int finish(struct run *r, struct error *err)
{
    if (session_detach(&r->s, err) < 0 || session_flush(&r->s, err) < 0 || take_all(r, err) < 0)
        return -1;
    r->exits = false;
    r->s.output.len = r->s.output_at = 0;
    if (session_run(&r->s, r->u, AT_END, err) < 0 || session_flush(&r->s, err) < 0 || take_all(r, err) < 0)
        return -1;
    return print_maps(r, err) < 0 ? -1 : tell_missing(r, err);
}

int run_unit(struct run *r, const char *text, size_t len, struct error *err)
{
    if (session_load(&r->s, r->u, text, len, err) < 0 || session_run(&r->s, r->u, AT_BEGIN, err) < 0 || session_attach(&r->s, r->u, err) < 0)
        return -1;
    fprintf(stderr, "drupe: %u program%s at %u place%s\n", r->u->nprograms, r->u->nprograms == 1 ? "" : "s", r->u->nattaches, r->u->nattaches == 1 ? "" : "s");
    int result = take_all(r, err);
    return result < 0 || watch(r, err) < 0 ? -1 : finish(r, err);
}
