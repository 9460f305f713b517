/* SPDX-License-Identifier: Apache-2.0 */
/* drupe stats: what running instances use. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "host/cli/cli.h"
#include "host/cli/common.h"
#include "host/client/metrics.h"

#define INTERVAL_NS 1000000000ull
#define FIRST_INTERVAL_NS 250000000ull
#define TOP_CALLS 8

enum { OPT_FORMAT = 256, OPT_PROMETHEUS, OPT_NO_STREAM, OPT_LATENCY, OPT_HELP };

static const struct option options[] = {{"follow", no_argument, NULL, 'f'},
                                        {"format", required_argument, NULL, OPT_FORMAT},
                                        {"no-stream", no_argument, NULL, OPT_NO_STREAM},
                                        {"prometheus", required_argument, NULL, OPT_PROMETHEUS},
                                        {"latency", required_argument, NULL, OPT_LATENCY},
                                        {"help", no_argument, NULL, OPT_HELP},
                                        {0}};

/* One instance that is looked at. */
struct watched {
    struct entry entry;
    struct conversation talk;
    struct metrics now, before; /* before: of the last round, for rates */
    bool gone;
};

static void pause_ns(u64 ns)
{
    struct timespec t = {.tv_sec = (time_t)(ns / 1000000000), .tv_nsec = (long)(ns % 1000000000)};
    nanosleep(&t, NULL);
}

/* --- tables ------------------------------------------------------------------------------- */

static const char *size_text(double bytes, char *buf, size_t size)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    unsigned u = 0;
    for (; bytes >= 1024 && u + 1 < ARRAY_SIZE(units); u++)
        bytes /= 1024;
    snprintf(buf, size, u ? "%.1f%s" : "%.0f%s", bytes, units[u]);
    return buf;
}

/* Of a counter, for each second of the instance's time. */
static double rate(const struct watched *w, const char *name, const char *label)
{
    double seconds = metrics_value(&w->now, "uptime_seconds", NULL) - metrics_value(&w->before, "uptime_seconds", NULL);
    double more = label ? metrics_value(&w->now, name, label) - metrics_value(&w->before, name, label)
                        : metrics_sum(&w->now, name) - metrics_sum(&w->before, name);
    return seconds > 0 ? more / seconds : 0;
}

static double busy_percent(const struct watched *w)
{
    double cpus = MIN(metrics_value(&w->now, "cpus", NULL), (double)w->now.count), busy = 0; /* each has rows */
    for (unsigned i = 0; i < cpus; i++) {
        char label[40];
        snprintf(label, sizeof(label), "cpu=\"%u\",mode=\"busy\"", i);
        busy += rate(w, "cpu_seconds_total", label);
    }
    return busy * 100;
}

static void print_line(const struct watched *w)
{
    const struct metrics *m = &w->now;
    char used[20], limit[20], in[20], out[20], rd[20], wr[20];
    double total = metrics_value(m, "memory_total_bytes", NULL);
    AUTO_FREE char *memory = str_format("%s / %s", size_text(total - metrics_value(m, "memory_bytes", "use=\"free\""), used, sizeof(used)),
                                        size_text(total, limit, sizeof(limit)));
    AUTO_FREE char *net = str_format("%s / %s", size_text(metrics_sum(m, "network_receive_bytes_total"), in, sizeof(in)),
                                     size_text(metrics_sum(m, "network_transmit_bytes_total"), out, sizeof(out)));
    AUTO_FREE char *block = str_format("%s / %s", size_text(metrics_sum(m, "block_read_bytes_total"), rd, sizeof(rd)),
                                       size_text(metrics_sum(m, "block_written_bytes_total"), wr, sizeof(wr)));
    printf("%.12s   %-20s %6.2f%%   %-22s %-22s %-22s %-5.0f %.0f\n", w->entry.id, w->entry.name, busy_percent(w), memory, net, block,
           metrics_value(m, "threads", NULL), rate(w, "syscalls_total", NULL));
}

static int by_value(const void *a, const void *b)
{
    double x = atof((*(const struct metric *const *)a)->value), y = atof((*(const struct metric *const *)b)->value);
    return x < y ? 1 : x > y ? -1 : 0;
}

/* The rows of one name, largest first, as "label value" after a title; those that are 0 are left out. */
static void print_rows(const struct metrics *m, const char *title, const char *name, const char *key, size_t max)
{
    const struct metric **rows = xalloc((m->count + 1) * sizeof(*rows));
    size_t n = 0;
    for (size_t i = 0; i < m->count; i++)
        if (strcmp(m->rows[i].name, name) == 0 && atof(m->rows[i].value) > 0)
            rows[n++] = &m->rows[i];
    qsort(rows, n, sizeof(*rows), by_value);
    if (n)
        printf("  %-14s", title);
    for (size_t i = 0; i < MIN(n, max); i++) {
        AUTO_FREE char *label = metric_label(rows[i], key);
        printf(" %s %s%s", label ? label : "", rows[i]->value, i + 1 < MIN(n, max) ? "," : "");
    }
    if (n)
        puts(n > max ? ", ..." : "");
    free(rows);
}

static void print_detail(const struct watched *w)
{
    const struct metrics *m = &w->now;
    static const char *const uses[] = {"program", "page_cache", "page_tables", "slab", "kernel", "free"};
    char text[20];
    printf("  %-14s", "memory:");
    for (size_t i = 0; i < ARRAY_SIZE(uses); i++) {
        AUTO_FREE char *label = str_format("use=\"%s\"", uses[i]);
        printf(" %s %s%s", uses[i], size_text(metrics_value(m, "memory_bytes", label), text, sizeof(text)),
               i + 1 < ARRAY_SIZE(uses) ? "," : "\n");
    }
    printf("  %-14s %.0f page faults, %.0f context switches, %.0f interrupts\n", "kernel:", metrics_value(m, "page_faults_total", NULL),
           metrics_value(m, "context_switches_total", NULL), metrics_value(m, "interrupts_total", NULL));
    printf("  %-14s %.0f\n", "system calls:", metrics_sum(m, "syscalls_total"));
    print_rows(m, "", "syscalls_total", "call", TOP_CALLS);
    print_rows(m, "TCP:", "tcp_connections", "state", 12);
    print_rows(m, "network:", "network_events_total", "event", 12);
}

/* --- one round --------------------------------------------------------------------------------- */

static int read_all(struct watched *all, size_t n, struct error *err)
{
    for (size_t i = 0; i < n; i++) {
        struct watched *w = &all[i];
        metrics_done(&w->before);
        w->before = w->now;
        w->now = (struct metrics){0};
        if (!w->gone && metrics_read(&w->talk, &w->entry, &w->now, err) < 0) {
            if (n == 1)
                return -1;
            w->gone = true; /* others go on */
        }
    }
    return 0;
}

static void print_table(struct watched *all, size_t n, bool redraw)
{
    if (redraw)
        fputs("\033[H\033[J", stdout);
    printf("%-14s %-20s %7s   %-22s %-22s %-22s %-5s %s\n", "ID", "NAME", "CPU", "MEMORY / LIMIT", "NET IN / OUT", "BLOCK IN / OUT",
           "TASKS", "CALLS/s");
    for (size_t i = 0; i < n; i++)
        if (!all[i].gone)
            print_line(&all[i]);
    if (n == 1)
        print_detail(&all[0]);
}

static void print_json(struct watched *all, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (all[i].gone)
            continue;
        struct json_object *o = json_object_new_object();
        json_object_object_add(o, "Id", json_object_new_string(all[i].entry.id));
        json_object_object_add(o, "Name", json_object_new_string(all[i].entry.name));
        json_object_object_add(o, "Metrics", metrics_json(&all[i].now));
        puts(json_object_to_json_string_ext(o, JSON_C_TO_STRING_NOSLASHESCAPE));
        json_object_put(o);
    }
}

static int show(struct watched *all, size_t n, bool follow, bool json, struct error *err)
{
    bool redraw = follow && isatty(STDOUT_FILENO);
    if (read_all(all, n, err) < 0)
        return -1;
    for (u64 ns = FIRST_INTERVAL_NS;; ns = INTERVAL_NS) {
        if (!json || ns == INTERVAL_NS) { /* rates need two looks, counters one */
            pause_ns(ns);
            if (read_all(all, n, err) < 0)
                return -1;
        }
        if (json)
            print_json(all, n);
        else
            print_table(all, n, redraw);
        if (fflush(stdout) != 0 || !follow)
            return 0;
    }
}

/* --- which ------------------------------------------------------------------------------------------ */

static int watch(struct watched *w, struct entry *e, struct error *err)
{
    *w = (struct watched){.entry = *e, .talk = {.fd = -1}};
    *e = (struct entry){.dir_fd = -1, .lock_fd = -1};
    return metrics_open(&w->talk, &w->entry, err);
}

static void unwatch(struct watched *all, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        conversation_done(&all[i].talk);
        metrics_done(&all[i].now);
        metrics_done(&all[i].before);
        entry_done(&all[i].entry);
    }
    free(all);
}

static int watch_named(char **names, size_t count, struct watched *all, size_t *ret_n, struct error *err)
{
    for (size_t i = 0; i < count; i++) {
        struct entry e;
        if (entry_find(names[i], &e, err) < 0)
            return -1;
        if (watch(&all[(*ret_n)++], &e, err) < 0)
            return -1;
    }
    return 0;
}

static int watch_running(struct watched **ret, size_t *ret_n, struct error *err)
{
    struct entry *entries;
    size_t count;
    if (entries_list(&entries, &count, err) < 0)
        return -1;
    *ret = xalloc((count + 1) * sizeof(**ret));
    for (size_t i = 0; i < count; i++) {
        struct error ended; /* meanwhile */
        if (entry_state(&entries[i]) == ENTRY_RUNNING && watch(&(*ret)[*ret_n], &entries[i], &ended) == 0)
            (*ret_n)++;
    }
    entries_done(entries, count);
    return 0;
}

static int serve_prometheus(const char *where, struct error *err)
{
    static const char *const places[] = {"drupe-metrics", "host/drupe-metrics", "../lib/drupe/drupe-metrics"};
    AUTO_FREE char *path = find_part(places, ARRAY_SIZE(places)), *address = xstrdup(where);
    char *port = strrchr(address, ':'), *host = address;
    u64 number;
    if (!port || parse_number(port + 1, 1, 65535, &number) < 0)
        return err_set(err, EXIT_DRUPE, "--prometheus %s: say ADDRESS:PORT, as in 127.0.0.1:9100", where);
    *port++ = 0;
    if (host[0] == '[' && str_has_suffix(host, "]")) {
        host[strlen(host) - 1] = 0;
        host++;
    }
    if (!path)
        return err_set(err, EXIT_DRUPE, "drupe-metrics is not beside drupe; build it");
    char *argv[] = {path, *host ? host : (char *)"0.0.0.0", port, NULL};
    execv(path, argv);
    return err_errno(err, EXIT_DRUPE, "%s", path);
}

/* Histograms of times in these instances, from now on. */
static int switch_latency(char **names, const char *how, struct error *err)
{
    AUTO_FREE char *args = str_format("latency %s", how);
    int result = 0;
    if (!*names)
        return err_set(err, EXIT_DRUPE, "stats --latency %s: INSTANCE is missing", how);
    for (; *names && result == 0; names++) {
        struct entry e = {.dir_fd = -1, .lock_fd = -1};
        struct conversation c = {.fd = -1};
        struct buf none = {0};
        result = entry_find(*names, &e, err);
        if (result == 0)
            result = conversation_open(&c, &e, "stats", args, strlen(args), err);
        if (result == 0)
            result = conversation_message(&c, &none, CTL_PART_MAX, err);
        if (result == 0 && c.error)
            result = conversation_failed(&c, &e, err);
        buf_done(&none);
        conversation_done(&c);
        entry_done(&e);
    }
    return result < 0 ? -1 : 0;
}

int command_stats(int argc, char **argv, struct error *err)
{
    bool follow = false, json = false;
    const char *prometheus = NULL, *latency = NULL;
    opterr = 0;
    for (int c; (c = getopt_long(argc, argv, "+:fh", options, NULL)) != -1;) {
        switch (c) {
        case 'f':
            follow = true;
            break;
        case OPT_NO_STREAM: /* Docker's word for what is the rule here */
            follow = false;
            break;
        case OPT_FORMAT:
            json = strcmp(optarg, "json") == 0;
            if (!json && strcmp(optarg, "table") != 0)
                return err_set(err, EXIT_DRUPE, "--format %s: say json or table", optarg);
            break;
        case OPT_LATENCY:
            latency = optarg;
            if (strcmp(latency, "on") != 0 && strcmp(latency, "off") != 0)
                return err_set(err, EXIT_DRUPE, "--latency %s: say on or off", latency);
            break;
        case OPT_PROMETHEUS:
            prometheus = optarg;
            break;
        case 'h':
        case OPT_HELP:
            help_stats();
            return 0;
        default:
            return bad_option("stats", c, argv, err);
        }
    }
    if (latency)
        return switch_latency(argv + optind, latency, err);
    if (prometheus)
        return optind < argc ? err_set(err, EXIT_DRUPE, "--prometheus serves all instances; leave %s out", argv[optind])
                             : serve_prometheus(prometheus, err);
    size_t n = 0, named = (size_t)(argc - optind);
    struct watched *all = named ? xalloc(named * sizeof(*all)) : NULL;
    int result = named ? watch_named(argv + optind, named, all, &n, err) : watch_running(&all, &n, err);
    if (result == 0)
        result = show(all, n, follow, json, err);
    unwatch(all, n);
    return result;
}
