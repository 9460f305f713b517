/* SPDX-License-Identifier: Apache-2.0 */
/* Object files: loaded, run, shown by the types that they have (run.h). */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "host/bpf/run_impl.h"

/* The type of a record: what the map says, else a "struct event" that is no longer than it. */
static u32 record_type(const struct run *r, const struct bpfd_record *record)
{
    const struct btf *b = &r->object->btf;
    u32 type = record->map < r->u->nmaps ? r->u->maps[record->map].value_type : 0;
    struct btf_type t;
    if (!btf_type(b, btf_skip(b, type), &t) || btf_kind(&t) != BTF_KIND_STRUCT)
        type = btf_find(b, "event", BTF_KIND_STRUCT);
    u64 size = btf_size(b, type);
    return size > 0 && size <= record->len ? type : 0;
}

int object_record(struct run *r, const struct bpfd_record *record, const u8 *data)
{
    struct buf *out = &r->printer.out;
    u32 type = record_type(r, record);
    buf_addf(out, "%s: ", record->map < r->u->nmaps ? r->u->maps[record->map].name : "?");
    if (type)
        btf_show(&r->object->btf, type, data, record->len, out);
    else
        show_hex(out, data, record->len);
    buf_addf(out, "\n");
    return 0;
}

/* --- maps -------------------------------------------------------------------------------------- */

struct printing {
    struct run *r;
    const struct unit_map *map;
};

static void add_typed(struct run *r, u32 type, const u8 *bytes, u32 size)
{
    if (type)
        btf_show(&r->object->btf, type, bytes, size, &r->printer.out);
    else
        show_hex(&r->printer.out, bytes, size);
}

static bool all_zero(const u8 *bytes, u32 len)
{
    for (u32 i = 0; i < len; i++)
        if (bytes[i])
            return false;
    return true;
}

static void print_element(void *ctx, const u8 *key, const u8 *values)
{
    struct printing *p = ctx;
    const struct unit_map *m = p->map;
    struct buf *out = &p->r->printer.out;
    u32 len = session_values_size(&p->r->s, m), stride = ALIGN_UP(m->value_size, 8);
    bool array = m->type == BPF_MAP_TYPE_ARRAY || m->type == BPF_MAP_TYPE_PERCPU_ARRAY;
    if (array && all_zero(values, len)) /* nothing was ever written there */
        return;
    buf_addf(out, "%s[", m->name);
    add_typed(p->r, m->key_type, key, m->key_size);
    buf_addf(out, "] = ");
    for (u32 at = 0, cpu = 0; at < len; at += stride, cpu++) {
        if (map_is_percpu(m->type))
            buf_addf(out, "%scpu %u: ", cpu ? ", " : "", cpu);
        add_typed(p->r, m->value_type, values + at, m->value_size);
    }
    buf_addf(out, "\n");
}

struct finding {
    struct buf *bytes;
    u32 len;
};

static void keep_value(void *ctx, const u8 *key, const u8 *values)
{
    struct finding *f = ctx;
    (void)key;
    f->bytes->len = 0;
    buf_add(f->bytes, values, f->len);
}

static int print_variables(struct run *r, struct error *err)
{
    const struct object *o = r->object;
    struct buf bytes = {0};
    int result = 0;
    for (u32 i = 0, last = UINT32_MAX; i < o->nvars && result == 0; i++) {
        const struct object_var *v = &o->vars[i];
        struct finding f = {&bytes, r->u->maps[v->map].value_size};
        if (v->map != last)
            result = session_dump(&r->s, r->u, v->map, keep_value, &f, err);
        last = v->map;
        if (result < 0 || v->offset >= bytes.len)
            continue;
        buf_addf(&r->printer.out, "%s = ", v->name);
        btf_show(&o->btf, v->type, (const u8 *)bytes.data + v->offset, bytes.len - v->offset, &r->printer.out);
        buf_addf(&r->printer.out, "\n");
    }
    buf_done(&bytes);
    return result;
}

static bool has_elements(const struct unit_map *m)
{
    return !m->hidden && m->type != BPF_MAP_TYPE_RINGBUF && m->type != BPF_MAP_TYPE_PERF_EVENT_ARRAY && m->type != BPF_MAP_TYPE_STACK_TRACE;
}

int object_maps(struct run *r, struct error *err)
{
    for (u32 i = 0; i < r->u->nmaps; i++) {
        struct printing p = {.r = r, .map = &r->u->maps[i]};
        if (has_elements(p.map) && session_dump(&r->s, r->u, i, print_element, &p, err) < 0)
            return -1;
    }
    return print_variables(r, err);
}

int run_object(const struct run_options *o, const struct entry *e, const u8 *bytes, size_t len, struct error *err)
{
    struct run r = {.o = o};
    struct object object;
    if (object_read(&object, bytes, len, err) < 0)
        return -1;
    int result = session_open(&r.s, e, 0, err);
    if (result == 0)
        result = object_places(&object, &r.s.world, err);
    if (result == 0) {
        r.object = &object;
        r.u = &object.unit;
        result = run_unit(&r, NULL, 0, err);
        buf_done(&r.printer.out);
    }
    session_done(&r.s);
    object_done(&object);
    return result;
}
