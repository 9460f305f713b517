/* SPDX-License-Identifier: Apache-2.0 */
/* Values, records and maps: show.h. */
#include "host/bpf/show.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "host/bpf/format.h"
#include "host/client/syscall_names.h"

static u64 word(const u8 *p)
{
    u64 v;
    memcpy(&v, p, sizeof(v));
    return v;
}

void elements_add(struct elements *e, const u8 *key, const u8 *values)
{
    if ((e->count & (e->count - 1)) == 0)
        e->items = xrealloc(e->items, MAX((size_t)1, e->count * 2) * sizeof(*e->items));
    struct element *new = &e->items[e->count++];
    new->key = xalloc(e->key_len + e->values_len);
    new->values = new->key + e->key_len;
    memcpy(new->key, key, e->key_len);
    memcpy(new->values, values, e->values_len);
}

void elements_done(struct elements *e)
{
    for (size_t i = 0; i < e->count; i++)
        free(e->items[i].key);
    free(e->items);
    *e = (struct elements){0};
}

/* --- one value -------------------------------------------------------------------------------- */

void show_text(struct buf *out, const u8 *text, size_t size) { buf_add_clean(out, (const char *)text, size, "\n\t"); }

static void add_address(struct printer *s, struct buf *out, u64 address, u32 pid, bool offset)
{
    if (s->name)
        buf_addf(out, "%s", s->name(s, address, pid, offset));
    else
        buf_addf(out, "%#" PRIx64, address);
}

static void add_stack(struct printer *s, struct buf *out, const struct type *t, u64 v)
{
    u64 frames[BPFD_FRAMES_MAX];
    u32 n = 0, pid = t->kind == T_USTACK ? (u32)(v >> 32) : 0;
    for (u32 i = 0; i < s->l->unit.nmaps && s->stack && (u32)v != UINT32_MAX; i++)
        if (s->l->unit.maps[i].type == BPF_MAP_TYPE_STACK_TRACE && s->l->unit.maps[i].value_size == 8 * t->frames)
            n = s->stack(s, i, (u32)v, frames, MIN(t->frames, BPFD_FRAMES_MAX));
    for (u32 i = 0; i < n && frames[i]; i++) {
        buf_addf(out, "\n    ");
        add_address(s, out, frames[i], pid, true);
    }
    if (n)
        buf_addf(out, "\n");
}

static void add_probe(struct printer *s, struct buf *out, u64 v)
{
    static const char *const prefixes[] = {[PROBE_ENTER] = "tracepoint:syscalls:sys_enter_", [PROBE_EXIT] = "tracepoint:syscalls:sys_exit_", [PROBE_SYSCALL] = "syscall:"};
    u64 kind = v / PROBE_CALL;
    if (kind >= PROBE_ENTER && kind <= PROBE_SYSCALL) {
        const char *name = call_name((u32)v, kind != PROBE_SYSCALL);
        buf_addf(out, "%s%s", prefixes[kind], name ? name : "?");
    } else {
        buf_addf(out, "%s", v < s->l->probes.count ? s->l->probes.items[v] : "?");
    }
}

static void add_time(struct printer *s, struct buf *out, const char *format, u64 ns)
{
    char text[256];
    time_t t = (time_t)((s64)(s->l->world->realtime_ns + (ns - s->l->world->monotonic_ns)) / 1000000000);
    struct tm tm;
    if (localtime_r(&t, &tm) && strftime(text, sizeof(text), format, &tm) > 0)
        buf_addf(out, "%s", text);
}

static void add_value(struct printer *s, struct buf *out, const struct type *t, const u8 *bytes)
{
    u64 v = word(bytes);
    switch (t->kind) {
    case T_STRING: show_text(out, bytes, t->size); break;
    case T_TUPLE:
        for (u32 i = 0; i < t->nparts; i++) {
            buf_addf(out, i ? ", " : "(");
            add_value(s, out, &t->parts[i], bytes);
            bytes += t->parts[i].size;
        }
        buf_addf(out, ")");
        break;
    case T_KSTACK:
    case T_USTACK: add_stack(s, out, t, v); break;
    case T_KSYM: add_address(s, out, v, 0, false); break;
    case T_USYM: add_address(s, out, v, (u32)word(bytes + 8), false); break;
    case T_PROBE: add_probe(s, out, v); break;
    case T_TIME: add_time(s, out, t->format, v); break;
    default: buf_addf(out, t->is_signed ? "%" PRId64 : "%" PRIu64, v);
    }
}

/* --- records --------------------------------------------------------------------------------------- */

static void add_conversion(struct printer *s, const struct conversion *c, const struct type *t, const u8 *bytes)
{
    char format[64] = "%", width[16] = "", precision[16] = "";
    struct buf text = {0};
    u64 v = word(bytes);
    if (c->width >= 0)
        snprintf(width, sizeof(width), "%d", c->width);
    if (c->precision >= 0)
        snprintf(precision, sizeof(precision), ".%d", c->precision);
    bool number = c->letter != 's' && c->letter != 'c' && c->letter != 'p';
    snprintf(format, sizeof(format), "%%%s%s%s%s%c", c->flags, width, precision, number ? "ll" : "", c->letter == 'c' || c->letter == 'p' ? 's' : c->letter);
    buf_add(&text, "", 0);
    if (c->letter == 's')
        add_value(s, &text, t, bytes);
    else if (c->letter == 'c')
        show_text(&text, &(u8){(u8)v}, 1);
    else if (c->letter == 'p')
        buf_addf(&text, "%#" PRIx64, v);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    if (number)
        buf_addf(&s->out, format, (unsigned long long)v); /* made above, of what format_next() let through */
    else
        buf_addf(&s->out, format, text.data);
#pragma GCC diagnostic pop
    buf_done(&text);
}

static void add_text(struct buf *out, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        buf_add(out, text + i, 1);
        i += text[i] == '%'; /* there are two */
    }
}

static void add_printf(struct printer *s, const struct output *o, const u8 *values)
{
    struct conversion c;
    u32 n = 0;
    for (const char *p = o->format; format_next(&p, &c); n++) {
        add_text(&s->out, c.text, c.text_len);
        if (!c.letter || n == o->ntypes)
            break;
        add_conversion(s, &c, &o->types[n], values);
        values += o->types[n].size;
    }
}

bool show_output(struct printer *s, const u8 *data, size_t len, const struct output **ret)
{
    *ret = NULL;
    if (len < 8 || word(data) >= s->l->noutputs)
        return false;
    const struct output *o = &s->l->outputs[word(data)];
    size_t size = 8;
    for (u32 i = 0; i < o->ntypes; i++)
        size += o->types[i].size;
    if (len != size)
        return false;
    *ret = o;
    switch (o->kind) {
    case OUT_PRINTF: add_printf(s, o, data + 8); return true;
    case OUT_PRINT:
        add_value(s, &s->out, &o->types[0], data + 8);
        buf_addf(&s->out, "\n");
        return true;
    case OUT_TIME: {
        u64 now = (u64)time(NULL) * 1000000000;
        add_time(s, &s->out, o->format ? o->format : "%H:%M:%S\n", now - s->l->world->realtime_ns + s->l->world->monotonic_ns);
        return true;
    }
    default: return false;
    }
}

/* --- maps ---------------------------------------------------------------------------------------------- */

/* An element, its CPUs added up. */
struct row {
    const struct element *e;
    s64 value, count; /* what is printed and sorted by; avg, stats: how many */
    u64 *buckets;
};

static void add_up(struct row *r, const struct type *t, u32 values_len)
{
    bool any = false;
    for (u32 at = 0; at + t->size <= values_len; at += t->size) {
        s64 v = (s64)word(r->e->values + at), n = t->size == 16 ? (s64)word(r->e->values + at + 8) : 0;
        if (t->kind == T_MIN || t->kind == T_MAX) {
            bool less = t->is_signed ? v < r->value : (u64)v < (u64)r->value;
            if (n && (!any || less == (t->kind == T_MIN)))
                r->value = v;
            any |= n != 0;
        } else {
            r->value = (s64)((u64)r->value + (u64)v);
            r->count = (s64)((u64)r->count + (u64)n);
        }
    }
}

static s64 average(const struct row *r, const struct type *t)
{
    if (r->count == 0 || (r->count == -1))
        return 0;
    return t->is_signed ? r->value / r->count : (s64)((u64)r->value / (u64)r->count);
}

static int compare_keys(const struct map_def *m, const u8 *a, const u8 *b)
{
    for (u32 i = 0; i < m->nkeys; i++) {
        const struct type *t = &m->keys[i];
        int c = t->kind == T_STRING || t->kind == T_TUPLE ? memcmp(a, b, t->size) : 0;
        if (t->kind != T_STRING && t->kind != T_TUPLE)
            c = t->is_signed ? ((s64)word(a) > (s64)word(b)) - ((s64)word(a) < (s64)word(b)) : (word(a) > word(b)) - (word(a) < word(b));
        if (c)
            return c;
        a += t->size;
        b += t->size;
    }
    return 0;
}

/* By value where that is a number, else by key. */
static int compare_rows(const void *left, const void *right, void *arg)
{
    const struct row *a = left, *b = right;
    const struct map_def *m = arg;
    const struct type *t = &m->value;
    if (t->kind == T_INT || TYPE_SUMS(t->kind)) {
        bool average_of = t->kind == T_AVG || t->kind == T_STATS;
        s64 x = average_of ? average(a, t) : a->value, y = average_of ? average(b, t) : b->value;
        int c = t->is_signed ? (x > y) - (x < y) : ((u64)x > (u64)y) - ((u64)x < (u64)y);
        if (c)
            return c;
    }
    return compare_keys(m, a->e->key, b->e->key);
}

static void add_key(struct printer *s, const struct map_def *m, const u8 *key)
{
    buf_addf(&s->out, "%s", m->name);
    for (u32 i = 0; i < m->nkeys; i++) {
        buf_addf(&s->out, i ? ", " : "[");
        add_value(s, &s->out, &m->keys[i], key);
        key += m->keys[i].size;
    }
    buf_addf(&s->out, m->nkeys ? "]: " : ": ");
}

static void add_row(struct printer *s, const struct map_def *m, const struct row *r, u64 div)
{
    const struct type *t = &m->value;
    s64 d = div ? (s64)div : 1;
    add_key(s, m, r->e->key);
    if (TYPE_HIST(t->kind)) {
        buf_addf(&s->out, "\n");
        show_hist(&s->out, t, r->buckets, hist_buckets(t), div); /* an empty line follows */
    } else if (t->kind == T_STATS) {
        buf_addf(&s->out, t->is_signed ? "count %" PRId64 ", average %" PRId64 ", total %" PRId64 : "count %" PRIu64 ", average %" PRIu64 ", total %" PRIu64,
                 r->count, average(r, t), r->value);
    } else if (t->kind == T_INT || TYPE_SUMS(t->kind)) {
        s64 v = t->kind == T_AVG ? average(r, t) : r->value;
        buf_addf(&s->out, t->is_signed ? "%" PRId64 : "%" PRIu64, t->is_signed ? v / d : (s64)((u64)v / (u64)d));
    } else {
        add_value(s, &s->out, t, r->e->values);
    }
    buf_addf(&s->out, "\n");
}

/* Elements of a histogram are single buckets: those with one key become one row. */
static size_t join_buckets(const struct map_def *m, struct row *rows, size_t count)
{
    u32 n = hist_buckets(&m->value), at = 0;
    size_t kept = 0;
    for (u32 i = 0; i < m->nkeys; i++)
        at += m->keys[i].size;
    for (size_t i = 0; i < count; i++) {
        struct row one = rows[i];
        if (kept == 0 || compare_keys(m, rows[kept - 1].e->key, one.e->key) != 0)
            rows[kept++] = (struct row){.e = one.e, .buckets = xalloc(n * sizeof(u64))};
        struct row *r = &rows[kept - 1];
        u64 bucket = word(one.e->key + at);
        if (bucket < n)
            r->buckets[bucket] += (u64)one.value;
        r->value = (s64)((u64)r->value + (u64)one.value);
    }
    return kept;
}

static int by_key(const void *left, const void *right, void *arg)
{
    return compare_keys(arg, ((const struct row *)left)->e->key, ((const struct row *)right)->e->key);
}

void show_map(struct printer *s, const struct map_def *m, const struct elements *e, u64 top, u64 div)
{
    AUTO_FREE struct row *rows = xalloc(MAX(e->count, (size_t)1) * sizeof(*rows));
    size_t count = e->count;
    for (size_t i = 0; i < count; i++) {
        rows[i].e = &e->items[i];
        add_up(&rows[i], &m->value, e->values_len);
    }
    if (TYPE_HIST(m->value.kind)) {
        qsort_r(rows, count, sizeof(*rows), by_key, (void *)m);
        count = join_buckets(m, rows, count);
    }
    qsort_r(rows, count, sizeof(*rows), compare_rows, (void *)m);
    for (size_t i = top && top < count ? count - top : 0; i < count; i++)
        add_row(s, m, &rows[i], div);
    if (count && m->nkeys && !TYPE_HIST(m->value.kind))
        buf_addf(&s->out, "\n");
    for (size_t i = 0; i < count; i++)
        free(rows[i].buckets);
}
