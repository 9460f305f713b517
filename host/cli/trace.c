/* SPDX-License-Identifier: Apache-2.0 */
/* drupe trace: the kernel's tracepoints in a running instance, as text, JSON lines, or a file for Perfetto and Chrome; or eBPF programs. */
#include "host/cli/trace.h"

#include <fnmatch.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "abi/trace_points.h"
#include "host/cli/cli.h"
#include "host/cli/common.h"

enum format { TEXT, JSON, CHROME };

struct trace_options {
    struct strv events; /* patterns */
    bool list;
    enum format format;
    const char *output;
    u32 pid;
    struct program_trace program;
};

/* --- one record ------------------------------------------------------------------------- */

static void add_json_string(struct buf *out, const u8 *text, size_t len)
{
    buf_add(out, "\"", 1);
    for (size_t i = 0; i < len; i++)
        if (text[i] < ' ' || text[i] > 126 || text[i] == '"' || text[i] == '\\')
            buf_addf(out, "\\u%04x", text[i]);
        else
            buf_add(out, text + i, 1);
    buf_add(out, "\"", 1);
}

/* Its fields, each with `name` before it as the format has it, and between them `between`. */
static void add_fields(struct buf *out, const struct point *p, const u8 *body, size_t left, bool json)
{
    struct field f;
    const char *name = p->fields;
    for (unsigned i = 0; trace_field(p, i, &body, &left, &f); i++) {
        int len = (int)strcspn(name, ",");
        buf_addf(out, json ? "%s\"%.*s\":" : "%s%.*s=", i ? (json ? "," : " ") : "", len, name);
        name += len + (name[len] != 0);
        if (f.type == 's' && json)
            add_json_string(out, f.text, f.value);
        else if (f.type == 's')
            buf_add_clean(out, (const char *)f.text, f.value, "");
        else if (f.type == 'd')
            buf_addf(out, "%" PRId64, (s64)f.value);
        else if (f.type == 'x' && json)
            buf_addf(out, "\"%#" PRIx64 "\"", f.value);
        else
            buf_addf(out, f.type == 'x' ? "%#" PRIx64 : "%" PRIu64, f.value);
    }
}

static void add_record(struct buf *out, enum format format, const struct trace_client *t, const struct trace_record *r, const u8 *body)
{
    const struct point *p = &t->points[r->id];
    size_t len = r->len - sizeof(*r);
    u64 since_ns = r->time_ns - MIN(t->first_ns, r->time_ns);
    switch (format) {
    case TEXT:
        buf_addf(out, "%6" PRIu64 ".%06u [%u] %5u/%-5u %-20s ", since_ns / 1000000000, (u32)(since_ns / 1000 % 1000000), r->cpu, r->pid, r->tid, p->name);
        add_fields(out, p, body, len, false);
        break;
    case JSON:
        buf_addf(out, "{\"time_ns\":%" PRIu64 ",\"cpu\":%u,\"pid\":%u,\"tid\":%u,\"event\":\"%s\",\"fields\":{", r->time_ns + t->realtime_offset_ns, r->cpu,
                 r->pid, r->tid, p->name);
        add_fields(out, p, body, len, true);
        buf_addf(out, "}}");
        break;
    case CHROME: /* an instant event of its thread; time in microseconds */
        buf_addf(out, "{\"name\":\"%s\",\"cat\":\"%.*s\",\"ph\":\"i\",\"s\":\"t\",\"ts\":%" PRIu64 ".%03u,\"pid\":%u,\"tid\":%u,\"args\":{", p->name,
                 (int)strcspn(p->name, ":"), p->name, since_ns / 1000, (u32)(since_ns % 1000), r->pid, r->tid);
        add_fields(out, p, body, len, true);
        buf_addf(out, "}},");
        break;
    }
    buf_add(out, "\n", 1);
}

/* --- which ---------------------------------------------------------------------------------- */

static int choose(const struct trace_client *t, const struct strv *patterns, u64 *ret, struct error *err)
{
    *ret = 0;
    for (size_t k = 0; k < patterns->count; k++) {
        u64 found = 0;
        for (unsigned i = 0; i < TRACE_POINTS; i++)
            if (t->points[i].name && fnmatch(patterns->items[k], t->points[i].name, 0) == 0)
                found |= 1ull << i;
        if (!found)
            return err_set(err, EXIT_DRUPE, "-e %s: there is no such tracepoint; drupe trace -l lists them", patterns->items[k]);
        *ret |= found;
    }
    return 0;
}

static void list(const struct trace_client *t)
{
    for (unsigned i = 0; i < TRACE_POINTS; i++)
        if (t->points[i].name)
            printf("%-22s %s\n", t->points[i].name, t->points[i].fields);
}

/* Of the kernels that belong to this command. */
static void list_own(void)
{
#define X(id, name, types, fields) printf("%-22s %s\n", name, fields);
    TRACE_POINT_LIST(X)
#undef X
}

/* --- running ------------------------------------------------------------------------------------ */

static int watch(FILE *out, enum format format, const struct entry *e, struct trace_client *t, struct error *err)
{
    struct trace_record r;
    struct buf text = {0};
    const u8 *body;
    bool finishing = false, ok = true;
    int result;
    if (format == CHROME)
        buf_addf(&text, "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n");
    do {
        await_records(t, &finishing);
        while ((result = trace_client_next(t, e, &r, &body, err)) > 0) {
            if (r.kind == TRACE_POINT && r.id < TRACE_POINTS && t->points[r.id].name)
                add_record(&text, format, t, &r, body);
            if (!trace_client_more(t))
                break;
        }
        ok = fwrite(text.data, 1, text.len, out) == text.len && fflush(out) == 0;
        text.len = 0;
    } while (ok && result > 0);
    if (format == CHROME && ok)
        fprintf(out, "{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":0,\"args\":{\"name\":\"%s\"}}]}\n", e->name);
    if (t->lost)
        fprintf(stderr, "drupe: %" PRIu64 " events were lost: they came faster than they could be written\n", t->lost);
    buf_done(&text);
    return ok ? result : 0;
}

static int open_session(struct trace_client *t, const struct entry *e, struct trace_open *want, struct error *err)
{
    return trace_client_open(t, e, want, err) < 0 || trace_client_start(t, e, err) < 0 ? -1 : 0;
}

static int trace_entry(const struct trace_options *o, const struct entry *e, struct error *err)
{
    struct trace_client look, t = {.talk = {.fd = -1}};
    struct trace_open want = {0};
    int result = open_session(&look, e, &want, err);
    if (result == 0 && o->list)
        list(&look);
    else if (result == 0)
        result = choose(&look, &o->events, &want.points, err);
    trace_client_done(&look);
    if (result < 0 || o->list)
        return result;
    FILE *out = output_open(o->output, stdout, err);
    if (!out)
        return -1;
    want.pid = o->pid;
    result = open_session(&t, e, &want, err);
    if (result == 0)
        result = watch(out, o->format, e, &t, err);
    trace_client_done(&t);
    return output_close(out, o->output, result, err);
}

static int parse_format(enum format *ret, const char *text, struct error *err)
{
    static const char *const names[] = {[TEXT] = "text", [JSON] = "json", [CHROME] = "chrome"};
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        if (strcmp(text, names[i]) == 0) {
            *ret = i;
            return 0;
        }
    return err_set(err, EXIT_DRUPE, "--format %s: say text, json or chrome", text);
}

static int parse_seconds(u32 *ret, const char *text, struct error *err)
{
    u64 number;
    if (parse_number(text, 1, 86400, &number) < 0)
        return err_set(err, EXIT_DRUPE, "--interval %s: 1 to 86400 seconds", text);
    *ret = (u32)number;
    return 0;
}

/* What stands behind the options, and what goes with what. */
static int parse_rest(int argc, char **argv, struct trace_options *o, struct error *err)
{
    bool points = o->list || o->events.count, words = !points && !o->program.file;
    if (words && optind + 2 == argc)
        o->program.text = argv[optind++];
    if (o->list && optind == argc && !o->program.file && !o->pid)
        return 0;
    if (optind + 1 != argc)
        return err_set(err, EXIT_DRUPE, "trace: one INSTANCE is needed%s; see drupe trace --help", words ? ", behind a PROGRAM" : "");
    bool program = o->program.text || o->program.file;
    if (!points && !program)
        return err_set(err, EXIT_DRUPE, "trace: say which events by -e (drupe trace -l %s lists them), or a program", argv[optind]);
    if (points && program)
        return err_set(err, EXIT_DRUPE, "trace: -e and -l are for tracepoints, -f for programs: one of them");
    if (program && (o->pid || o->format != TEXT))
        return err_set(err, EXIT_DRUPE, "trace: -p and --format are for -e; a program has filters and printf()");
    if (!program && o->program.interval_s)
        return err_set(err, EXIT_DRUPE, "trace: --interval is for programs");
    o->program.output = o->output;
    return 0;
}

static int parse_options(int argc, char **argv, struct trace_options *o, struct error *err)
{
    static const struct option options[] = {{"list", no_argument, NULL, 'l'}, {"event", required_argument, NULL, 'e'}, {"format", required_argument, NULL, 'F'},
                                            {"output", required_argument, NULL, 'o'}, {"interval", required_argument, NULL, 'i'}, {"help", no_argument, NULL, 'h'}, {0}};
    u64 number;
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, ":le:f:o:p:h", options, NULL)) != -1;) {
        switch (c) {
        case 'l': o->list = true; break;
        case 'e': strv_add(&o->events, optarg); break;
        case 'f': o->program.file = optarg; break;
        case 'o': o->output = optarg; break;
        case 'i':
            if (parse_seconds(&o->program.interval_s, optarg, err) < 0)
                return -1;
            break;
        case 'F':
            if (parse_format(&o->format, optarg, err) < 0)
                return -1;
            break;
        case 'p':
            if (parse_number(optarg, 1, UINT32_MAX, &number) < 0)
                return err_set(err, EXIT_DRUPE, "-p %s: the number of a process or thread of the instance is needed", optarg);
            o->pid = (u32)number;
            break;
        case 'h': help_trace(); return 1;
        default: return bad_option("trace", c, argv, err);
        }
    }
    return parse_rest(argc, argv, o, err);
}

int command_trace(int argc, char **argv, struct error *err)
{
    struct trace_options o = {0};
    struct entry e = {.dir_fd = -1, .lock_fd = -1};
    int result = parse_options(argc, argv, &o, err);
    if (result > 0)
        return 0;
    if (result == 0 && optind == argc)
        list_own();
    else if (result == 0)
        result = entry_find(argv[optind], &e, err);
    if (result == 0 && optind < argc) {
        catch_end_signals();
        result = o.program.text || o.program.file ? trace_programs(&o.program, &e, err) : trace_entry(&o, &e, err);
    }
    entry_done(&e);
    strv_done(&o.events);
    return result;
}
