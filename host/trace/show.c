/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of calls: show.h. */
#include "host/trace/show.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "host/trace/decode.h"
#include "host/trace/flags.h"
#include "host/client/syscall_names.h"

/* A thread that has been heard of. */
struct thread {
    u32 pid, tid;
    bool in_call, printed; /* printed: a part of the call is out */
    unsigned next_arg;
    u64 began_ns;
    struct call call;
    struct buf entry; /* the pieces of its call */
};

struct show {
    struct show_options o;
    const struct trace_client *client;
    struct thread **threads; /* a table by tid, a power of two */
    size_t count, capacity;
    u32 open_tid;            /* whose line is not ended; 0 = nobody's */
    u64 last_ns;
    struct buf line;
};

struct show *show_create(const struct show_options *o, const struct trace_client *t)
{
    struct show *s = xalloc(sizeof(*s));
    s->o = *o;
    s->client = t;
    s->capacity = 64;
    s->threads = xalloc(s->capacity * sizeof(*s->threads));
    return s;
}

static struct thread **slot_of(struct show *s, u32 tid)
{
    size_t at = tid * 2654435761u & (s->capacity - 1);
    while (s->threads[at] && s->threads[at]->tid != tid)
        at = (at + 1) & (s->capacity - 1);
    return &s->threads[at];
}

static void grow(struct show *s)
{
    struct thread **old = s->threads;
    size_t n = s->capacity;
    s->capacity *= 2;
    s->threads = xalloc(s->capacity * sizeof(*s->threads));
    for (size_t i = 0; i < n; i++)
        if (old[i])
            *slot_of(s, old[i]->tid) = old[i];
    free(old);
}

static struct thread *thread_of(struct show *s, const struct trace_record *r)
{
    struct thread **slot = slot_of(s, r->tid);
    if (*slot)
        return *slot;
    if (2 * (s->count + 1) > s->capacity) {
        grow(s);
        slot = slot_of(s, r->tid);
    }
    s->count++;
    *slot = xalloc(sizeof(**slot));
    (*slot)->tid = r->tid;
    (*slot)->pid = r->pid;
    return *slot;
}

/* --- beginnings of lines ------------------------------------------------------------------ */

static void add_time_of(struct show *s, u64 time_ns)
{
    u64 wall = time_ns + s->client->realtime_offset_ns;
    time_t seconds = (time_t)(wall / 1000000000);
    char text[16];
    struct tm tm;
    if (s->o.clock) {
        localtime_r(&seconds, &tm);
        strftime(text, sizeof(text), "%H:%M:%S", &tm);
        buf_addf(&s->line, "%s", text);
        if (s->o.micros)
            buf_addf(&s->line, ".%06u", (u32)(wall / 1000 % 1000000));
        buf_add(&s->line, " ", 1);
    }
    if (s->o.relative) {
        u64 ns = s->last_ns && time_ns > s->last_ns ? time_ns - s->last_ns : 0;
        buf_addf(&s->line, "%6" PRIu64 ".%06u ", ns / 1000000000, (u32)(ns / 1000 % 1000000));
    }
    s->last_ns = time_ns;
}

/* A new line; somebody else's open one is cut. */
static void begin_line(struct show *s, u32 tid, u64 time_ns)
{
    if (s->open_tid)
        buf_addf(&s->line, " <unfinished ...>\n");
    s->open_tid = 0;
    if (s->o.always_pid)
        buf_addf(&s->line, "%-5u ", tid);
    else if (s->count > 1)
        buf_addf(&s->line, "[pid %5u] ", tid);
    add_time_of(s, time_ns);
}

/* --- calls ------------------------------------------------------------------------------------ */

/* The entry of execve is told before its result is known. */
static bool is_wanted(const struct show *s, s64 result)
{
    u64 error = result_is_error(result) ? (u64)-result : 0;
    return !(s->o.want->flags & TRACE_ERRORS) || (error < 256 && (s->o.want->errors[error / 64] >> error % 64 & 1));
}

static void print_entry(struct show *s, struct thread *t)
{
    begin_line(s, t->tid, t->began_ns);
    add_call_name(&s->line, t->call.nr);
    buf_add(&s->line, "(", 1);
    t->next_arg = add_args(&s->line, &t->call, 0);
    t->printed = true;
    s->open_tid = t->tid;
}

static void on_entry(struct show *s, struct thread *t, const struct trace_record *r, const u8 *body, size_t len)
{
    if (len < sizeof(t->call.args))
        return;
    t->call = (struct call){.nr = r->id, .string_max = s->o.string_max, .previous = t->call.nr};
    memcpy(t->call.args, body, sizeof(t->call.args));
    t->entry.len = 0;
    buf_add(&t->entry, body + sizeof(t->call.args), len - sizeof(t->call.args));
    t->call.entry = (struct pieces){(const u8 *)t->entry.data, t->entry.len};
    t->in_call = true;
    t->printed = false;
    t->began_ns = r->time_ns;
    /* What is chosen by its result waits for it. */
    if (!(s->o.want->flags & TRACE_ERRORS))
        print_entry(s, t);
}

static void on_exit_of(struct show *s, struct thread *t, const struct trace_record *r, const u8 *body, size_t len)
{
    u64 args[6];
    if (len < 8 + sizeof(args))
        return;
    memcpy(args, body + 8, sizeof(args));
    bool known = t->in_call && t->call.nr == r->id;
    if (!known) { /* it was in the call when we came, or the entry was lost */
        t->call = (struct call){.nr = r->id};
        memcpy(t->call.args, args, sizeof(args));
        t->printed = false;
        t->began_ns = 0;
    }
    memcpy(&t->call.result, body, 8);
    t->call.has_exited = true;
    t->call.exit = (struct pieces){body + 8 + sizeof(args), len - 8 - sizeof(args)};
    t->in_call = false;
    if (!is_wanted(s, t->call.result))
        return;
    if (!t->printed && known)
        print_entry(s, t);
    else if (s->open_tid != t->tid) {
        begin_line(s, t->tid, r->time_ns);
        buf_addf(&s->line, "<... ");
        add_call_name(&s->line, t->call.nr);
        buf_addf(&s->line, " resumed>");
        if (!known)
            t->next_arg = call_arg_count(t->call.nr);
    }
    add_args(&s->line, &t->call, t->next_arg);
    size_t column = s->line.len;
    while (column && s->line.data[column - 1] != '\n')
        column--;
    buf_add(&s->line, ")", 1);
    for (size_t width = s->line.len - column; width < 39; width++)
        buf_add(&s->line, " ", 1);
    add_result(&s->line, &t->call);
    if (s->o.took && t->began_ns)
        buf_addf(&s->line, " <%" PRIu64 ".%06u>", (r->time_ns - t->began_ns) / 1000000000, (u32)((r->time_ns - t->began_ns) / 1000 % 1000000));
    buf_add(&s->line, "\n", 1);
    s->open_tid = 0;
}

/* --- what happens to threads ---------------------------------------------------------------------- */

static u64 number_of(const struct point *p, const u8 *body, size_t len, unsigned index)
{
    struct field f = {0};
    for (unsigned i = 0; i <= index && trace_field(p, i, &body, &len, &f); i++)
        ;
    return f.value;
}

static void on_signal(struct show *s, struct thread *t, const struct trace_record *r, const struct point *p, const u8 *body, size_t len)
{
    s32 info[8] = {(s32)number_of(p, body, len, 0), 0, (s32)number_of(p, body, len, 1), 0, (s32)number_of(p, body, len, 3),
                   (s32)number_of(p, body, len, 4), (s32)number_of(p, body, len, 5)};
    begin_line(s, t->tid, r->time_ns);
    buf_addf(&s->line, "--- ");
    add_signal(&s->line, (u64)info[0]);
    buf_add(&s->line, " ", 1);
    add_siginfo(&s->line, (const u8 *)info, sizeof(info));
    buf_addf(&s->line, " ---\n");
}

static void on_thread_end(struct show *s, struct thread *t, const struct trace_record *r, const struct point *p, const u8 *body, size_t len)
{
    u64 code = number_of(p, body, len, 0), signal = number_of(p, body, len, 1);
    if (t->in_call && t->printed && s->open_tid == t->tid) { /* exit_group(0) = ? */
        size_t column = s->line.len;
        while (column && s->line.data[column - 1] != '\n')
            column--;
        buf_add(&s->line, ")", 1);
        for (size_t width = s->line.len - column; width < 39; width++)
            buf_add(&s->line, " ", 1);
        buf_addf(&s->line, " = ?\n");
        s->open_tid = 0;
    }
    t->in_call = false;
    begin_line(s, t->tid, r->time_ns);
    if (signal) {
        buf_addf(&s->line, "+++ killed by ");
        add_signal(&s->line, signal);
        buf_addf(&s->line, " +++\n");
    } else {
        buf_addf(&s->line, "+++ exited with %u +++\n", (u32)code);
    }
}

void show_record(struct show *s, const struct trace_record *r, const u8 *body)
{
    size_t len = r->len - sizeof(*r);
    if (r->kind == TRACE_ENTRY)
        on_entry(s, thread_of(s, r), r, body, len);
    else if (r->kind == TRACE_EXIT)
        on_exit_of(s, thread_of(s, r), r, body, len);
    else if (r->kind == TRACE_POINT && r->id < TRACE_POINTS && s->client->points[r->id].name) {
        const struct point *p = &s->client->points[r->id];
        if (strcmp(p->name, "signal:deliver") == 0)
            on_signal(s, thread_of(s, r), r, p, body, len);
        else if (strcmp(p->name, "process:exit") == 0)
            on_thread_end(s, thread_of(s, r), r, p, body, len);
    }
}

bool show_flush(struct show *s)
{
    size_t n = fwrite(s->line.data, 1, s->line.len, s->o.out);
    bool ok = n == s->line.len && fflush(s->o.out) == 0;
    s->line.len = 0;
    return ok;
}

void show_done(struct show *s)
{
    if (s->open_tid)
        buf_addf(&s->line, " <detached ...>\n");
    show_flush(s);
    if (s->client->lost)
        fprintf(stderr, "drupe: %" PRIu64 " events were lost: they came faster than they could be written\n", s->client->lost);
    for (size_t i = 0; i < s->capacity; i++)
        if (s->threads[i]) {
            buf_done(&s->threads[i]->entry);
            free(s->threads[i]);
        }
    free(s->threads);
    buf_done(&s->line);
    free(s);
}

/* --- -c ---------------------------------------------------------------------------------------------- */

static int by_time(const void *a, const void *b)
{
    const struct trace_sum *x = a, *y = b;
    if (x->time_ns != y->time_ns)
        return x->time_ns < y->time_ns ? 1 : -1;
    return x->calls < y->calls ? 1 : x->calls > y->calls ? -1 : 0;
}

static void print_sum(FILE *out, const struct trace_sum *sum, double all_ns, const char *name)
{
    char errors[24] = "";
    if (sum->errors)
        snprintf(errors, sizeof(errors), "%" PRIu64, sum->errors);
    fprintf(out, "%6.2f %11.6f %11" PRIu64 " %9" PRIu64 " %9s %s\n", all_ns > 0 ? 100 * (double)sum->time_ns / all_ns : 0,
            (double)sum->time_ns / 1e9, sum->calls ? sum->time_ns / 1000 / sum->calls : 0, sum->calls, errors, name);
}

/* Those that this kernel does not have. */
static void print_missing(FILE *out, const struct trace_sum *sums, size_t n)
{
    const char *between = "not there (ENOSYS): ";
    for (size_t i = 0; i < n; i++) {
        if (!call_is_missing(sums[i].nr))
            continue;
        fprintf(out, "%s%s %" PRIu64, between, syscall_name(sums[i].nr) ?: "unknown", sums[i].calls);
        between = ", ";
    }
    if (*between == ',')
        fputc('\n', out);
}

void show_sums(FILE *out, const struct trace_record *r, const u8 *body)
{
    size_t n = (r->len - sizeof(*r)) / sizeof(struct trace_sum);
    struct trace_sum *sums = xalloc((n + 1) * sizeof(*sums)), total = {0};
    memcpy(sums, body, n * sizeof(*sums));
    qsort(sums, n, sizeof(*sums), by_time);
    for (size_t i = 0; i < n; i++) {
        total.calls += sums[i].calls;
        total.errors += sums[i].errors;
        total.time_ns += sums[i].time_ns;
    }
    fprintf(out, "%% time     seconds  usecs/call     calls    errors syscall\n------ ----------- ----------- --------- --------- ----------------\n");
    for (size_t i = 0; i < n; i++) {
        const char *name = syscall_name(sums[i].nr);
        char number[24];
        snprintf(number, sizeof(number), "syscall_%#x", sums[i].nr);
        print_sum(out, &sums[i], (double)total.time_ns, name ? name : number);
    }
    fprintf(out, "------ ----------- ----------- --------- --------- ----------------\n");
    print_sum(out, &total, (double)total.time_ns, "total");
    print_missing(out, sums, n);
    free(sums);
}
