/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of helpers: verify_impl.h. */
#include "verify_impl.h"

#include "base/str.h"

struct call {
    const struct bpf_map *map;
    u32 record;   /* id of the one that is given up */
    u32 size;     /* constant */
};

static int check_map(struct verifier *v, const struct helper *h, const struct reg *r, bool changed, struct call *call)
{
    if (r->type != REG_MAP)
        return refuse(v, -EACCES, "%s: a map is expected", h->name);
    if ((h->map_types & 1ull << r->map->type) == 0)
        return refuse(v, -EINVAL, "%s: map %u is of another type", h->name, r->map->number);
    if (changed && (r->map->flags & MAP_RDONLY_PROG) != 0)
        return refuse(v, -EACCES, "%s: map %u is not for programs to write", h->name, r->map->number);
    call->map = r->map;
    return 0;
}

static int check_size(struct verifier *v, const struct helper *h, unsigned n, enum arg_kind kind)
{
    const struct reg *r = reg_of(v, n);
    if (r->type != REG_NUMBER)
        return refuse(v, -EACCES, "%s: r%u: a size is expected", h->name, n);
    if (r->range.smin < 0 || (kind == ARG_SIZE && r->range.umin == 0))
        return refuse(v, -EACCES, "%s: r%u: the size may be %s", h->name, n, r->range.smin < 0 ? "negative" : "0");
    return check_helper_memory(v, n - 1, r->range.umin, r->range.umax, h->args[n - 2] == ARG_MEM_OUT);
}

static int check_record(struct verifier *v, const struct helper *h, const struct reg *r, struct call *call)
{
    if (r->type != REG_RECORD || r->off != 0 || !range_is_const(&r->range) || r->range.value != 0)
        return refuse(v, -EACCES, "%s: the begin of a reserved record is expected", h->name);
    call->record = r->id;
    return 0;
}

static int note_printed(struct verifier *v, unsigned n, bool set)
{
    struct insn_info *info = &v->info[v->at];
    *(set ? &info->set : &info->unset) |= (u8)(1u << n);
    return (info->set & info->unset) == 0 ? 0 : refuse(v, -EACCES, "r%u is set on some ways to here only", n);
}

static int check_argument(struct verifier *v, const struct helper *h, unsigned n, struct call *call)
{
    const struct reg *r = reg_of(v, n);
    enum arg_kind kind = h->args[n - 1];
    int err = kind != ARG_NONE && kind != ARG_PRINTED ? check_read(v, n) : 0;
    if (err != 0)
        return err;
    if (r->type == REG_CTX && kind != ARG_CTX)
        v->words = NULL; /* somebody looks at it as a whole */
    switch (kind) {
    case ARG_PRINTED: return note_printed(v, n, r->type != REG_UNSET);
    case ARG_ANY:
        return r->type == REG_NUMBER ? 0 : refuse(v, -EACCES, "%s: r%u: a number is expected, not a pointer", h->name, n);
    case ARG_CTX:
        return r->type == REG_CTX && r->off == 0 ? 0 : refuse(v, -EACCES, "%s: r%u: the context is expected", h->name, n);
    case ARG_MAP:
    case ARG_MAP_CHANGED: return check_map(v, h, r, kind == ARG_MAP_CHANGED, call);
    case ARG_KEY: return check_helper_memory(v, n, call->map->key_size, call->map->key_size, false);
    case ARG_VALUE: return check_helper_memory(v, n, call->map->value_size, call->map->value_size, false);
    case ARG_SIZE:
    case ARG_SIZE_OR_0: return check_size(v, h, n, kind);
    case ARG_RECORD: return check_record(v, h, r, call);
    case ARG_CONST_SIZE:
        if (r->type != REG_NUMBER || !range_is_const(&r->range) || r->range.value == 0 || r->range.value > RING_RECORD_MAX)
            return refuse(v, -EACCES, "%s: r%u: a constant of 1 to %u is expected", h->name, n, RING_RECORD_MAX);
        call->size = (u32)r->range.value;
        return 0;
    default: return 0; /* MEM waits for its size */
    }
}

static void forget_record(struct reg *r, const void *id)
{
    if ((r->type == REG_RECORD || r->type == REG_RECORD_OR_NULL) && r->id == *(const u32 *)id)
        *r = (struct reg){ .type = REG_UNSET };
}

void give_up_record(struct verifier *v, u32 id)
{
    struct state *s = &v->state;
    for (u32 i = 0; i < s->nrecords; i++)
        if (s->records[i] == id) {
            memmove(&s->records[i], &s->records[i + 1], (s->nrecords - i - 1) * sizeof(s->records[0]));
            s->nrecords--;
            return;
        }
}

static int set_result(struct verifier *v, const struct helper *h, const struct call *call)
{
    struct reg *r0 = reg_of(v, 0);
    set_number(r0, range_any());
    if (h->ret == RET_NUMBER)
        return 0;
    *r0 = (struct reg){ .type = REG_VALUE_OR_NULL, .id = ++v->next_id, .map = call->map, .range = range_const(0) };
    if (h->ret == RET_VALUE_OR_NULL)
        return 0;
    if (v->state.nrecords == RECORDS_MAX)
        return refuse(v, -E2BIG, "more than %u records are reserved at once", RECORDS_MAX);
    r0->type = REG_RECORD_OR_NULL;
    r0->map = NULL;
    r0->size = call->size;
    v->state.records[v->state.nrecords++] = r0->id;
    return 0;
}

/* For code in place of the call: which map it is always. */
static void note_lookup(struct verifier *v, const struct bpf_map *map)
{
    struct insn_info *info = &v->info[v->at];
    info->many |= info->map != NULL && info->map != map;
    info->map = map;
}

int step_helper(struct verifier *v, const struct bpf_insn *i)
{
    const struct helper *h = helper_find(i->imm);
    struct call call = { 0 };
    if (h == NULL)
        return refuse(v, -EINVAL, "there is no helper %d", i->imm);
    for (unsigned n = 1; n <= 5; n++) {
        int err = check_argument(v, h, n, &call);
        if (err != 0)
            return err;
    }
    if (call.record != 0) {
        give_up_record(v, call.record);
        for_each_reg(v, forget_record, &call.record);
    }
    if (h->ret == RET_VALUE_OR_NULL)
        note_lookup(v, call.map);
    v->result->prints |= h->number == HELPER_TRACE_PRINTK;
    for (unsigned n = 1; n <= 5; n++)
        *reg_of(v, n) = (struct reg){ .type = REG_UNSET };
    return set_result(v, h, &call);
}
