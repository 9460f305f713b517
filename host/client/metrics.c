/* SPDX-License-Identifier: Apache-2.0 */
/* Counters: see metrics.h. */
#include "host/client/metrics.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "host/client/metrics_help.h"
#include "host/client/syscall_names.h"
#include "host/lib/fs.h"
#include "host/lib/process.h"

#define PREFIX "drupe_"
#define NAME_MAX_LEN 80
#define LABELS_MAX_LEN 200
#define ANSWER_SECONDS 5

/* --- parsing --------------------------------------------------------------------------- */

static void add_row(struct metrics *m, char *name, char *labels, char *value)
{
    if (!(m->count & (m->count + 1)) || !m->rows)
        m->rows = xrealloc(m->rows, 2 * (m->count + 1) * sizeof(*m->rows));
    m->rows[m->count++] = (struct metric){name, labels, value};
}

void metrics_done(struct metrics *m)
{
    for (size_t i = 0; i < m->count; i++) {
        free(m->rows[i].name);
        free(m->rows[i].labels);
        free(m->rows[i].value);
    }
    free(m->rows);
    *m = (struct metrics){0};
}

/* key="value" pairs with commas; values without anything that would need escaping. Their length, or 0. */
static size_t labels_len(const char *s)
{
    const char *p = s;
    for (;;) {
        size_t n = strspn(p, "abcdefghijklmnopqrstuvwxyz_");
        if (!n || p[n] != '=' || p[n + 1] != '"')
            return 0;
        p += n + 2;
        p += strspn(p, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.:+-");
        if (*p++ != '"')
            return 0;
        if (*p != ',')
            return (size_t)(p - s);
        p++;
    }
}

/* One line, which ends at `end`. False: it is none. */
static bool parse_line(struct metrics *m, const char *p, const char *end)
{
    size_t name = strspn(p, "abcdefghijklmnopqrstuvwxyz0123456789_"), labels = 0;
    const char *at = p + name;
    if (!name || name > NAME_MAX_LEN || (*p >= '0' && *p <= '9'))
        return false;
    if (*at == '{') {
        labels = labels_len(++at);
        if (!labels || labels > LABELS_MAX_LEN || at[labels] != '}')
            return false;
        at += labels + 1;
    }
    if (*at++ != ' ')
        return false;
    size_t whole = strspn(at, "0123456789"), decimals = at[whole] == '.' ? 1 + strspn(at + whole + 1, "0123456789") : 0;
    if (!whole || decimals == 1 || whole + decimals > 40 || at + whole + decimals != end)
        return false;
    add_row(m, xstrndup(p, name), labels ? xstrndup(p + name + 1, labels) : xstrdup(""), xstrndup(at, whole + decimals));
    return true;
}

int metrics_parse(struct metrics *m, const char *text, struct error *err)
{
    for (const char *end; *text; text = end + 1) {
        end = strchrnul(text, '\n');
        if (!*end || !parse_line(m, text, end)) {
            metrics_done(m);
            return err_set(err, EXIT_DRUPE, "the instance's counters make no sense");
        }
    }
    return 0;
}

char *metric_label(const struct metric *m, const char *key)
{
    size_t n = strlen(key);
    for (const char *p = m->labels; p; p = strchr(p, ','), p += p != NULL)
        if (strncmp(p, key, n) == 0 && p[n] == '=')
            return xstrndup(p + n + 2, strcspn(p + n + 2, "\""));
    return NULL;
}

/* --- reading ------------------------------------------------------------------------------ */

/* The host knows the names of system calls. */
static void name_calls(struct metrics *m)
{
    for (size_t i = 0; i < m->count; i++) {
        struct metric *row = &m->rows[i];
        u64 nr;
        AUTO_FREE char *text = str_has_prefix(row->name, "syscall") && str_has_prefix(row->labels, "nr=") ? metric_label(row, "nr") : NULL;
        if (!text || parse_number(text, 0, 1023, &nr) < 0)
            continue;
        AUTO_FREE char *old = row->labels;
        row->labels = str_format("call=\"%s\"%s", syscall_name((unsigned)nr) ?: text, strchrnul(old, ','));
    }
}

/* What processes of the host cost together. */
struct cost {
    u64 ticks;
    u64 own_pages, shared_pages; /* what they share is counted once: the most that one of them has */
};

/* Of /proc/PID/stat 14 and 15 are ticks; of statm 2 and 3 are resident and shared pages. */
static bool add_cost(struct cost *c, u64 pid)
{
    struct buf stat = {0}, statm = {0};
    AUTO_FREE char *stat_path = str_format("/proc/%llu/stat", (unsigned long long)pid);
    AUTO_FREE char *statm_path = str_format("/proc/%llu/statm", (unsigned long long)pid);
    unsigned long long user, system, resident, shared;
    bool read = file_read(stat_path, 4096, &stat) == 0 && file_read(statm_path, 4096, &statm) == 0;
    const char *p = read ? strrchr(stat.data, ')') : NULL;
    read = p && sscanf(p, ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &system) == 2 &&
           sscanf(statm.data, "%*u %llu %llu", &resident, &shared) == 2;
    buf_done(&stat);
    buf_done(&statm);
    if (!read)
        return false;
    c->ticks += user + system;
    c->own_pages += resident - MIN(shared, resident);
    c->shared_pages = MAX(c->shared_pages, shared);
    return true;
}

static int add_child_cost(void *ctx, u64 child)
{
    add_cost(ctx, child);
    return 0;
}

static void add_cost_rows(struct metrics *m, const char *which, const struct cost *c)
{
    unsigned long long hz = (unsigned long long)sysconf(_SC_CLK_TCK), ticks = c->ticks;
    add_row(m, xstrdup("host_cpu_seconds_total"), str_format("process=\"%s\"", which),
            str_format("%llu.%02llu", ticks / hz, ticks % hz * 100 / hz));
    add_row(m, xstrdup("host_resident_memory_bytes"), str_format("process=\"%s\"", which),
            str_format("%llu", (unsigned long long)(c->own_pages + c->shared_pages) * (unsigned long long)sysconf(_SC_PAGESIZE)));
}

/* An instance's first process is the parent of its others. */
static void add_process(struct metrics *m, const char *which, s64 pid, bool children)
{
    struct cost c = {0};
    if (pid <= 0 || !add_cost(&c, (u64)pid))
        return;
    if (children)
        each_child((u64)pid, add_child_cost, &c);
    add_cost_rows(m, which, &c);
}

/* The tender's other children, by name: its user network and the servers of its volumes. */
struct helpers {
    s64 instance;
    struct cost network, volumes;
    bool any_network, any_volumes;
};

static int add_helper(void *ctx, u64 child)
{
    struct helpers *h = ctx;
    struct buf name = {0};
    AUTO_FREE char *path = str_format("/proc/%llu/comm", (unsigned long long)child);
    if ((s64)child != h->instance && file_read(path, 64, &name) == 0 && name.len) {
        if (strcmp(name.data, "drupe-slirp\n") == 0)
            h->any_network |= add_cost(&h->network, child);
        else if (strcmp(name.data, "drupe-9p\n") == 0)
            h->any_volumes |= add_cost(&h->volumes, child);
    }
    buf_done(&name);
    return 0;
}

static void add_helpers(struct metrics *m, s64 tender, s64 instance)
{
    struct helpers h = {.instance = instance};
    if (tender > 0)
        each_child((u64)tender, add_helper, &h);
    if (h.any_network)
        add_cost_rows(m, "network", &h.network);
    if (h.any_volumes)
        add_cost_rows(m, "volumes", &h.volumes);
}

int metrics_open(struct conversation *c, const struct entry *e, struct error *err)
{
    struct timeval patience = {.tv_sec = ANSWER_SECONDS};
    if (conversation_open(c, e, "stats", NULL, 0, err) < 0)
        return -1;
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    return 0;
}

int metrics_read(struct conversation *c, const struct entry *e, struct metrics *ret, struct error *err)
{
    struct buf text = {0};
    *ret = (struct metrics){0};
    conversation_send(c, "", 0);
    int result = conversation_message(c, &text, METRICS_TEXT_MAX, err);
    if (result == 0)
        result = conversation_failed(c, e, err);
    else if (result > 0)
        result = metrics_parse(ret, text.data ? text.data : "", err);
    buf_done(&text);
    if (result < 0)
        return -1;
    name_calls(ret);
    add_process(ret, "instance", entry_number(e, "InstancePid"), true);
    add_process(ret, "tender", entry_number(e, "Pid"), false);
    add_helpers(ret, entry_number(e, "Pid"), entry_number(e, "InstancePid"));
    return 0;
}

double metrics_value(const struct metrics *m, const char *name, const char *label)
{
    for (size_t i = 0; i < m->count; i++)
        if (strcmp(m->rows[i].name, name) == 0 && (!label || strstr(m->rows[i].labels, label)))
            return atof(m->rows[i].value);
    return 0;
}

double metrics_sum(const struct metrics *m, const char *name)
{
    double sum = 0;
    for (size_t i = 0; i < m->count; i++)
        if (strcmp(m->rows[i].name, name) == 0)
            sum += atof(m->rows[i].value);
    return sum;
}

/* --- writing ------------------------------------------------------------------------------------ */

struct json_object *metrics_json(const struct metrics *m)
{
    struct json_object *all = json_object_new_array();
    for (size_t i = 0; i < m->count; i++) {
        const struct metric *row = &m->rows[i];
        struct json_object *one = json_object_new_object(), *labels = json_object_new_object();
        for (const char *p = row->labels; *p;) {
            AUTO_FREE char *key = xstrndup(p, strcspn(p, "="));
            AUTO_FREE char *value = metric_label(row, key);
            json_object_object_add(labels, key, json_object_new_string(value ? value : ""));
            p = strchr(p, ',') ? strchr(p, ',') + 1 : "";
        }
        json_object_object_add(one, "name", json_object_new_string(row->name));
        json_object_object_add(one, "labels", labels);
        json_object_object_add(one, "value", strchr(row->value, '.') ? json_object_new_double_s(atof(row->value), row->value)
                                                                     : json_object_new_int64(atoll(row->value)));
        json_object_array_add(all, one);
    }
    return all;
}

/* A histogram's rows have their name and one of three endings: the length of the name. Of all others the whole. */
static size_t family_len(const char *name)
{
    static const char *const endings[] = {"_seconds_bucket", "_seconds_sum", "_seconds_count"};
    for (size_t i = 0; i < ARRAY_SIZE(endings); i++)
        if (str_has_suffix(name, endings[i]))
            return strlen(name) - strlen(strrchr(endings[i], '_'));
    return strlen(name);
}

static bool in_family(const char *name, const char *family)
{
    size_t n = family_len(name);
    return n == strlen(family) && memcmp(name, family, n) == 0;
}

static void add_header(struct buf *ret, const char *name, bool histogram)
{
    const char *help = metrics_help(name);
    AUTO_FREE char *blanks = xstrdup(name);
    for (char *p = blanks; *p; p++)
        if (*p == '_')
            *p = ' ';
    buf_addf(ret, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n", name, help ? help : blanks, name,
             histogram ? "histogram" : str_has_suffix(name, "_total") ? "counter" : "gauge");
}

static void add_rows(const struct exposition *x, const char *name, bool histogram, struct buf *ret)
{
    add_header(ret, name, histogram);
    for (size_t i = 0; i < x->count; i++)
        for (size_t k = 0; k < x->metrics[i].count; k++) {
            const struct metric *row = &x->metrics[i].rows[k];
            if (in_family(row->name, name))
                buf_addf(ret, PREFIX "%s{name=\"%s\"%s%s} %s\n", row->name, x->entries[i].name, row->labels[0] ? "," : "",
                         row->labels, row->value);
        }
}

/* The instances themselves: which there are, and which answered. */
static void add_instances(const struct exposition *x, struct buf *ret)
{
    add_header(ret, "up", false);
    for (size_t i = 0; i < x->count; i++)
        buf_addf(ret, PREFIX "up{name=\"%s\"} %d\n", x->entries[i].name, x->metrics[i].count > 0);
    add_header(ret, "instance_info", false);
    for (size_t i = 0; i < x->count; i++)
        buf_addf(ret, PREFIX "instance_info{name=\"%s\",id=\"%.12s\",platform=\"%s\"} 1\n", x->entries[i].name, x->entries[i].id,
                 entry_text(&x->entries[i], "Platform"));
}

void exposition_text(const struct exposition *x, struct buf *ret)
{
    struct map done = {0};
    if (x->count)
        add_instances(x, ret);
    for (size_t i = 0; i < x->count; i++)
        for (size_t k = 0; k < x->metrics[i].count; k++) {
            const char *whole = x->metrics[i].rows[k].name;
            AUTO_FREE char *name = xstrndup(whole, family_len(whole));
            if (map_get(&done, name))
                continue;
            map_put(&done, name, &done);
            add_rows(x, name, strcmp(name, whole) != 0, ret);
        }
    map_done(&done, NULL);
}

int metrics_expose_all(struct buf *ret, struct error *err)
{
    struct entry *all;
    size_t n, running = 0;
    if (entries_list(&all, &n, err) < 0)
        return -1;
    struct metrics *metrics = xalloc(n * sizeof(*metrics));
    for (size_t i = 0; i < n; i++) {
        struct conversation c = {.fd = -1};
        struct error ignored; /* it is told by "up" */
        if (entry_state(&all[i]) != ENTRY_RUNNING)
            continue;
        if (metrics_open(&c, &all[i], &ignored) == 0)
            metrics_read(&c, &all[i], &metrics[running], &ignored);
        conversation_done(&c);
        struct entry swap = all[running];
        all[running++] = all[i];
        all[i] = swap;
    }
    exposition_text(&(struct exposition){all, metrics, running}, ret);
    for (size_t i = 0; i < running; i++)
        metrics_done(&metrics[i]);
    free(metrics);
    entries_done(all, n);
    return 0;
}
