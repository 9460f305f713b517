/* SPDX-License-Identifier: Apache-2.0 */
/* Programs in words: compiled for an instance, run there, shown (run.h). */
#include <inttypes.h>
#include <string.h>

#include "host/bpf/names.h"
#include "host/bpf/run_impl.h"

static const char *name_of(struct printer *s, u64 address, u32 pid, bool offset) { return names_of(s->names, address, pid, offset); }

static u32 read_stack(struct printer *s, u32 map, u32 id, u64 *frames, u32 most)
{
    struct bpfd_map_op op = {.map = map};
    struct bpfd_reply reply;
    struct buf data = {0};
    struct error ignored = {0};
    u32 n = 0;
    if (session_ask(s->session, BPFD_MAP_LOOKUP, &op, sizeof(op), &id, sizeof(id), &reply, &data, &ignored) == 0 && !reply.error)
        n = (u32)MIN(data.len / 8, (size_t)most);
    if (n)
        memcpy(frames, data.data, n * 8);
    buf_done(&data);
    return n;
}

/* --- maps -------------------------------------------------------------------------------------- */

static void add_element(void *ctx, const u8 *key, const u8 *values) { elements_add(ctx, key, values); }

static int read_elements(struct run *r, const struct map_def *m, struct elements *ret, struct error *err)
{
    const struct unit_map *map = &r->u->maps[m->index];
    *ret = (struct elements){.key_len = ALIGN_UP(map->key_size, 8), .values_len = session_values_size(&r->s, map)};
    return session_dump(&r->s, r->u, (u32)m->index, add_element, ret, err);
}

static int print_map(struct run *r, const struct map_def *m, u64 top, u64 div, struct error *err)
{
    struct elements e;
    int result = read_elements(r, m, &e, err);
    if (result == 0)
        show_map(&r->printer, m, &e, top, div);
    elements_done(&e);
    return result;
}

int words_maps(struct run *r, struct error *err)
{
    buf_addf(&r->printer.out, "\n");
    for (const struct map_def *m = r->l->maps; m; m = m->next)
        if (print_map(r, m, 0, 0, err) < 0)
            return -1;
    return 0;
}

static void take_lost(void *ctx, const u8 *key, const u8 *values)
{
    struct run *r = ctx;
    (void)key;
    memcpy(&r->cut, values, sizeof(r->cut));
}

int words_cut(struct run *r, struct error *err) { return session_dump(&r->s, r->u, (u32)r->l->lost, take_lost, r, err); }

static int clear_map(struct run *r, const struct map_def *m, struct error *err)
{
    struct bpfd_map_op op = {.map = (u32)m->index};
    struct bpfd_reply reply;
    return session_ask(&r->s, BPFD_MAP_CLEAR, &op, sizeof(op), NULL, 0, &reply, NULL, err);
}

/* Keys stay, values become 0. */
static int zero_map(struct run *r, const struct map_def *m, struct error *err)
{
    struct bpfd_map_op op = {.map = (u32)m->index, .flags = BPF_EXIST};
    struct bpfd_reply reply;
    struct elements e;
    int result = read_elements(r, m, &e, err);
    for (size_t i = 0; i < e.count && result == 0; i++) {
        memset(e.items[i].values, 0, e.values_len);
        result = session_ask(&r->s, BPFD_MAP_UPDATE, &op, sizeof(op), e.items[i].key, e.key_len + e.values_len, &reply, NULL, err);
    }
    elements_done(&e);
    return result;
}

/* --- records --------------------------------------------------------------------------------------- */

int words_record(struct run *r, const struct bpfd_record *record, const u8 *data, struct error *err)
{
    const struct output *o;
    if (record->kind != BPFD_RECORD_RINGBUF || record->map != (u32)r->l->ring)
        return err_set(err, EXIT_DRUPE, "%s: output of a buffer that there is not", r->s.entry->name);
    if (show_output(&r->printer, data, record->len, &o))
        return 0;
    if (!o)
        return err_set(err, EXIT_DRUPE, "%s: a record makes no sense", r->s.entry->name);
    switch (o->kind) {
    case OUT_PRINT_MAP: return print_map(r, o->map, o->top, o->div, err);
    case OUT_CLEAR: return clear_map(r, o->map, err);
    case OUT_ZERO: return zero_map(r, o->map, err);
    default: r->exits = true; return 0;
    }
}

int run_words(const struct run_options *o, const struct entry *e, const char *text, size_t len, struct error *err)
{
    struct run r = {.o = o};
    struct lang l = {0};
    int result = session_open(&r.s, e, 0, err);
    if (result == 0)
        result = lang_compile(&l, text, len, &r.s.world, err);
    if (result == 0) {
        r.l = &l;
        r.u = &l.unit;
        r.printer = (struct printer){.l = &l, .session = &r.s, .names = names_new(&r.s), .name = name_of, .stack = read_stack};
        result = run_unit(&r, text, len, err);
        names_free(r.printer.names);
        buf_done(&r.printer.out);
        lang_done(&l);
    }
    session_done(&r.s);
    return result;
}
