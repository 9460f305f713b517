/* SPDX-License-Identifier: Apache-2.0 */
/* Places and what is there: attach.h. */
#include "host/bpf/attach.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include "host/client/syscall_names.h"

/* One string for each: the call, its name in Linux's tracepoints ("" if it is the same), its fields. Not pointers: the start of drupe would pay for them. */
static const char call_fields[] =
#include "host/bpf/call_fields.inc"
    ;

/* --- the instance's tracepoints --------------------------------------------------------- */

static bool plain(const char *s) { return strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_:,-") == strlen(s); }

int world_points(struct world *w, const char *text, size_t len)
{
    AUTO_FREE char *copy = xstrndup(text, len);
    for (char *rest = copy, *line; (line = strsep(&rest, "\n")) != NULL;) {
        unsigned number;
        char name[64], types[16], fields[128] = "";
        if (!*line)
            continue;
        int n = sscanf(line, "%u %63s %15s %127s", &number, name, types, fields);
        if (n < 3 || w->npoints == POINTS_MAX || !plain(name) || !plain(fields) || strlen(types) > BPFD_FIELDS_MAX || strspn(types, "duxs") != strlen(types))
            return -1;
        w->points[w->npoints++] = (struct bpf_point){number, xstrdup(name), xstrdup(types), xstrdup(fields)};
    }
    return 0;
}

void world_done(struct world *w)
{
    for (unsigned i = 0; i < w->npoints; i++) {
        free(w->points[i].name);
        free(w->points[i].types);
        free(w->points[i].fields);
    }
    w->npoints = 0;
}

/* --- patterns --------------------------------------------------------------------------- */

static struct target *add(struct targets *t, u32 where, u32 ctx, char *name)
{
    t->items = xrealloc(t->items, (t->count + 1) * sizeof(*t->items));
    struct target *new = &t->items[t->count++];
    *new = (struct target){.name = name, .where = where, .ctx = ctx};
    return new;
}

void target_done(struct target *t)
{
    free(t->name);
    free(t->path);
    free(t->symbol);
}

void targets_done(struct targets *t)
{
    for (size_t i = 0; i < t->count; i++)
        target_done(&t->items[i]);
    free(t->items);
    *t = (struct targets){0};
}

/* Of one call: behind its own name that of the tracepoint, then the fields. NULL: none are known. */
static const char *call_row(u32 nr)
{
    const char *name = syscall_name(nr);
    for (const char *p = call_fields; name && *p;) {
        const char *other = p + strlen(p) + 1, *fields = other + strlen(other) + 1;
        if (strcmp(p, name) == 0)
            return other;
        p = fields + strlen(fields) + 1;
    }
    return NULL;
}

static const char *fields_of_call(u32 nr)
{
    const char *row = call_row(nr);
    return row ? row + strlen(row) + 1 : NULL;
}

const char *call_name(u32 nr, bool linux_name)
{
    const char *row = linux_name ? call_row(nr) : NULL;
    return row && *row ? row : syscall_name(nr);
}

/* By our name of the call, or by that of Linux's tracepoint where it is another. */
static int add_calls(struct targets *t, const char *pattern, const char *prefix, u32 where, bool call_only, struct error *err)
{
    size_t before = t->count;
    for (u32 nr = 0; nr < CALLS_END; nr++) {
        const char *name = syscall_name(nr), *other = call_name(nr, !call_only);
        if (!name || (fnmatch(pattern, name, 0) != 0 && fnmatch(pattern, other, 0) != 0))
            continue;
        struct target *new = add(t, where, where == BPFD_AT_CALL_EXIT ? BPFD_CTX_CALL_EXIT : BPFD_CTX_CALL_ENTRY, str_format("%s%s", prefix, other));
        new->number = nr;
        new->of_all = strcmp(pattern, "*") == 0;
        new->call_only = call_only;
    }
    return t->count > before ? 0 : err_set(err, EXIT_DRUPE, "there is no system call %s", pattern);
}

static int add_points(struct targets *t, const char *pattern, const char *prefix, const struct world *w, struct error *err)
{
    size_t before = t->count;
    for (unsigned i = 0; i < w->npoints; i++) {
        if (fnmatch(pattern, w->points[i].name, 0) != 0)
            continue;
        struct target *new = add(t, BPFD_AT_POINT, BPFD_CTX_POINT, str_format("%s%s", prefix, w->points[i].name));
        new->number = w->points[i].number;
        new->point = &w->points[i];
    }
    return t->count > before ? 0 : err_set(err, EXIT_DRUPE, "there is no tracepoint %s; drupe trace -l lists them", pattern);
}

static int add_tracepoint(struct targets *t, const char *name, const struct world *w, struct error *err)
{
    if (str_has_prefix(name, "syscalls:sys_enter_"))
        return add_calls(t, name + 19, "tracepoint:syscalls:sys_enter_", BPFD_AT_CALL_ENTRY, false, err);
    if (str_has_prefix(name, "syscalls:sys_exit_"))
        return add_calls(t, name + 18, "tracepoint:syscalls:sys_exit_", BPFD_AT_CALL_EXIT, false, err);
    if (strcmp(name, "raw_syscalls:sys_enter") == 0)
        add(t, BPFD_AT_CALL_ENTRY, BPFD_CTX_CALL_ENTRY, str_format("tracepoint:%s", name))->number = BPFD_ALL_CALLS;
    else if (strcmp(name, "raw_syscalls:sys_exit") == 0)
        add(t, BPFD_AT_CALL_EXIT, BPFD_CTX_CALL_EXIT, str_format("tracepoint:%s", name))->number = BPFD_ALL_CALLS;
    else
        return add_points(t, name, "tracepoint:", w, err);
    return 0;
}

static int add_timer(struct targets *t, const char *text, bool profile, struct error *err)
{
    static const struct {
        const char *unit;
        u64 ns;
    } units[] = {{"s:", 1000000000}, {"ms:", 1000000}, {"us:", 1000}};
    const char *what = strchr(text, ':') + 1;
    u64 n, hz = 0, ns = 0;
    if (str_has_prefix(what, "hz:") && parse_number(what + 3, 1, BPFD_HZ_MAX, &n) == 0)
        hz = n;
    for (size_t i = 0; i < ARRAY_SIZE(units); i++)
        if (str_has_prefix(what, units[i].unit) && parse_number(what + strlen(units[i].unit), 1, 1000000, &n) == 0)
            ns = n * units[i].ns;
    if (!hz && (ns < 100000 || (profile && ns > 1000000000)))
        return err_set(err, EXIT_DRUPE, "%s: say %s:hz:N (1 to %u), or s:, ms: or us: (100 us to %s)", text, profile ? "profile" : "interval", BPFD_HZ_MAX,
                       profile ? "1 s" : "1000000 s");
    struct target *new = add(t, profile ? BPFD_AT_PROFILE : BPFD_AT_INTERVAL, BPFD_CTX_REGS, xstrdup(text));
    if (profile)
        new->number = (u32)(hz ? hz : 1000000000 / ns);
    else
        new->value = ns ? ns : 1000000000 / hz;
    return 0;
}

/* "name", "name+0x12", or "0x1234"; an empty one is refused. */
static int split_symbol(struct target *t, const char *text, struct error *err)
{
    const char *plus = strrchr(text, '+');
    char *end = NULL;
    if (str_has_prefix(text, "0x"))
        t->offset = strtoull(text, &end, 16);
    else if (plus && plus > text)
        t->offset = strtoull(plus + 1, &end, 0);
    if (!*text || (end && *end))
        return err_set(err, EXIT_DRUPE, "\"%s\" is neither a function, nor FUNCTION+OFFSET, nor an address in hex", text);
    if (strpbrk(text, "*?["))
        return err_set(err, EXIT_DRUPE, "%s: functions have no wildcards", text);
    if (!str_has_prefix(text, "0x"))
        t->symbol = end ? xstrndup(text, (size_t)(plus - text)) : xstrdup(text);
    return 0;
}

static int add_function(struct targets *t, const char *text, struct error *err)
{
    bool user = text[0] == 'u', returns = text[1] == 'r';
    const char *what = strchr(text, ':') + 1, *colon = strrchr(what, ':');
    if (user && (!colon || what[0] != '/'))
        return err_set(err, EXIT_DRUPE, "%s: say %s:/PATH:FUNCTION", text, returns ? "uretprobe" : "uprobe");
    struct target *new = add(t, returns ? BPFD_AT_RETURN : BPFD_AT_FUNCTION, BPFD_CTX_REGS, xstrdup(text));
    if (user)
        new->path = xstrndup(what, (size_t)(colon - what));
    return split_symbol(new, user ? colon + 1 : what, err);
}

static bool one_of(const char *text, const char *const *prefixes, const char **ret_rest)
{
    for (; *prefixes; prefixes++)
        if (str_has_prefix(text, *prefixes)) {
            *ret_rest = text + strlen(*prefixes);
            return true;
        }
    return false;
}

int targets_add(struct targets *t, const char *text, const struct world *w, struct error *err)
{
    static const char *const point[] = {"tracepoint:", "t:", NULL}, *const call[] = {"syscall:", NULL};
    static const char *const profile[] = {"profile:", "p:", NULL}, *const interval[] = {"interval:", "i:", NULL};
    static const char *const function[] = {"kprobe:", "kretprobe:", "uprobe:", "uretprobe:", "k:", "kr:", "u:", "ur:", NULL};
    static const char *const absent[] = {"usdt:", "software:", "hardware:", "watchpoint:", "kfunc:", "kretfunc:", "iter:", "rawtracepoint:", "fentry:", "fexit:", NULL};
    const char *rest;
    if (strcmp(text, "BEGIN") == 0 || strcmp(text, "END") == 0)
        add(t, text[0] == 'B' ? AT_BEGIN : AT_END, BPFD_CTX_REGS, xstrdup(text));
    else if (one_of(text, point, &rest))
        return add_tracepoint(t, rest, w, err);
    else if (one_of(text, call, &rest))
        return add_calls(t, rest, "syscall:", BPFD_AT_CALL_EXIT, true, err);
    else if (one_of(text, profile, &rest))
        return add_timer(t, text, true, err);
    else if (one_of(text, interval, &rest))
        return add_timer(t, text, false, err);
    else if (one_of(text, function, &rest))
        return add_function(t, text, err);
    else if (one_of(text, absent, &rest))
        return err_set(err, EXIT_DRUPE, "%.*s probes are not there", (int)(rest - text - 1), text);
    else if (strchr(text, ':'))
        return add_points(t, text, "", w, err);
    else
        return err_set(err, EXIT_DRUPE, "\"%s\" is no probe; say BEGIN, END, syscall:CALL, tracepoint:NAME, profile:hz:N, interval:s:N, kprobe:FUNCTION or "
                       "uprobe:/PATH:FUNCTION", text);
    return 0;
}

/* --- fields of contexts ------------------------------------------------------------------- */

static bool call_field(const struct target *t, const char *name, size_t len, struct ctx_field *ret)
{
    const char *fields = fields_of_call(t->number);
    bool exit = t->where == BPFD_AT_CALL_EXIT;
    u16 args = exit ? offsetof(struct bpfd_call_exit_ctx, args) : offsetof(struct bpfd_call_entry_ctx, args);
    if ((len == 3 && memcmp(name, "ret", 3) == 0) && exit) {
        *ret = (struct ctx_field){'d', offsetof(struct bpfd_call_exit_ctx, ret)};
        return true;
    }
    if ((len == 2 && memcmp(name, "id", 2) == 0 && t->number == BPFD_ALL_CALLS) || (len == 12 && memcmp(name, "__syscall_nr", 12) == 0)) {
        *ret = (struct ctx_field){'d', offsetof(struct bpfd_call_entry_ctx, id)};
        return true;
    }
    if (!fields || (exit && !t->call_only))
        return false;
    unsigned i = 0;
    for (const char *p = fields; *p; i++) {
        size_t n = strcspn(p, " ");
        if (n == len + 2 && memcmp(p + 2, name, len) == 0) {
            *ret = (struct ctx_field){p[0], (u16)(args + 8 * i)};
            return true;
        }
        p += n + (p[n] != 0);
    }
    return false;
}

static bool point_field(const struct bpf_point *p, const char *name, size_t len, struct ctx_field *ret)
{
    const char *at = p->fields;
    for (unsigned i = 0; *at && p->types[i]; i++) {
        size_t n = strcspn(at, ",");
        if (n == len && memcmp(at, name, len) == 0) {
            *ret = (struct ctx_field){p->types[i], (u16)(offsetof(struct bpfd_point_ctx, fields) + 8 * i)};
            return true;
        }
        at += n + (at[n] != 0);
    }
    return false;
}

bool target_field(const struct target *t, const char *name, size_t len, struct ctx_field *ret)
{
    if (target_is_call(t))
        return call_field(t, name, len, ret);
    return t->point && point_field(t->point, name, len, ret);
}

char *target_fields(const struct target *t)
{
    struct buf out = {0};
    buf_add(&out, "", 0);
    bool call = t->where == BPFD_AT_CALL_ENTRY || t->call_only;
    const char *f = call ? fields_of_call(t->number) : NULL, *names = t->point ? t->point->fields : f ? f : "";
    for (size_t n; *names; names += n + (names[n] != 0)) {
        n = strcspn(names, ", ");
        buf_addf(&out, "%s%.*s", out.len ? ", " : "", (int)n - (f ? 2 : 0), names + (f ? 2 : 0));
    }
    if (t->where == BPFD_AT_CALL_EXIT)
        buf_addf(&out, "%sret", out.len ? ", " : "");
    if (!out.len)
        buf_addf(&out, "none");
    return out.data;
}
