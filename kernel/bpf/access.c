/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that programs touch: verify_impl.h. */
#include "verify_impl.h"

#include "base/str.h"

static int refuse_bounds(struct verifier *v, const char *what, s64 low, u64 high, u32 size)
{
    return refuse(v, -EACCES, "%s: bytes %lld to %llu are not all inside its %u", what, (long long)low, (unsigned long long)high, size);
}

/* [base + off, size bytes) inside `all` bytes, wherever the variable part leads. */
static int check_inside(struct verifier *v, const char *what, const struct reg *base, s64 off, u64 size, u32 all)
{
    s64 low = base->off + off;
    if (base->range.smin < 0 || base->range.umax > INT32_MAX)
        return refuse(v, -EACCES, "%s: the offset has no bounds", what);
    low += base->range.smin;
    u64 high = (u64)((s64)base->off + off + (s64)base->range.umax) + size;
    if (low < 0 || size > all || high > all)
        return refuse_bounds(v, what, low, high, all);
    return 0;
}

/* --- the stack -------------------------------------------------------------------------------- */

static int check_stack(struct verifier *v, const struct reg *base, s64 off, u64 size, struct frame **ret_frame, s64 *ret_off)
{
    if (!range_is_const(&base->range))
        return refuse(v, -EACCES, "the offset into the stack is not constant");
    s64 at = base->off + (s64)base->range.value + off;
    if (at < -(s64)BPF_STACK_BYTES || size > BPF_STACK_BYTES || at + (s64)size > 0)
        return refuse(v, -EACCES, "outside of the stack: %lld, %llu bytes", (long long)at, (unsigned long long)size);
    *ret_frame = v->state.frames[base->frame];
    *ret_off = at;
    return 0;
}

static void use_slots(struct frame *f, s64 off)
{
    u32 n = (u32)((-off + 7) / 8);
    if (n <= f->used)
        return;
    memset(&f->slots[f->used], 0, (n - f->used) * sizeof(f->slots[0]));
    f->used = n;
}

static u8 byte_bit(s64 off) { return (u8)(1u << (off & 7)); }

/* Bytes get, or (not certain) may get, values that nothing is known of; what is left of a pointer there is no value any more. */
static void write_bytes(struct frame *f, s64 off, u64 size, bool certain)
{
    use_slots(f, off);
    for (s64 at = off; at < off + (s64)size; at++) {
        struct slot *s = slot_at(f, at);
        if (s->spilled && is_pointer(&s->reg))
            s->known = 0;
        s->spilled = false;
        s->known |= certain ? byte_bit(at) : 0;
    }
}

static int read_bytes(struct verifier *v, struct frame *f, s64 off, u64 size)
{
    for (s64 at = off; at < off + (s64)size; at++) {
        const struct slot *s = slot_at(f, at);
        if ((u32)((-at - 1) / 8) >= f->used || (s->known & byte_bit(at)) == 0)
            return refuse(v, -EACCES, "the stack at %lld was not written before", (long long)at);
        if (s->spilled && is_pointer(&s->reg))
            return refuse(v, -EACCES, "a pointer on the stack, at %lld, would be seen as a number", (long long)at);
    }
    return 0;
}

static int check_aligned(struct verifier *v, const char *what, const struct reg *base, s32 off, u32 size, struct frame **ret_frame, s64 *ret_off)
{
    int err = check_stack(v, base, off, size, ret_frame, ret_off);
    if (err == 0 && *ret_off % size != 0)
        return refuse(v, -EACCES, "the stack is %s at %lld, which is not a multiple of %u", what, (long long)*ret_off, size);
    return err;
}

static int load_stack(struct verifier *v, const struct reg *base, s32 off, u32 size, struct reg *ret)
{
    struct frame *f;
    s64 at;
    int err = check_aligned(v, "read", base, off, size, &f, &at);
    if (err != 0)
        return err;
    if (size == 8 && (u32)((-at - 1) / 8) < f->used && slot_at(f, at)->spilled) {
        *ret = slot_at(f, at)->reg;
        return 0;
    }
    err = read_bytes(v, f, at, size);
    set_number(ret, range_truncate(range_any(), size * 8));
    return err;
}

static int store_stack(struct verifier *v, const struct reg *base, s32 off, u32 size, const struct reg *value)
{
    struct frame *f;
    s64 at;
    int err = check_aligned(v, "written", base, off, size, &f, &at);
    if (err != 0)
        return err;
    if (is_pointer(value) && size != 8)
        return refuse(v, -EACCES, "a part of a pointer is stored");
    if (is_pointer(value) && value->type == REG_STACK && value->frame > base->frame)
        return refuse(v, -EACCES, "a pointer to a function's stack would outlive it");
    if (size != 8) {
        write_bytes(f, at, size, true);
        return 0;
    }
    use_slots(f, at);
    *slot_at(f, at) = (struct slot){ .known = 0xff, .spilled = true, .reg = *value };
    return 0;
}

/* --- the rest ------------------------------------------------------------------------------------ */

/* Can the instruction lead to where that byte of the context really is? finish_insn() makes it do so. */
static bool can_move(const struct verifier *v, s64 at, s32 off)
{
    s64 to = v->words[at / 8] + at % 8 - (at - off);
    return v->words[at / 8] >= 0 && to == (s16)to;
}

static int check_ctx(struct verifier *v, const struct reg *base, s32 off, u32 size)
{
    s64 at = (s64)base->off + off;
    if (!range_is_const(&base->range))
        return refuse(v, -EACCES, "the offset into the context is not constant");
    at += (s64)base->range.value;
    if (at < 0 || at + size > v->ctx_size || at % size != 0)
        return refuse(v, -EACCES, "the context has no field of %u bytes at %lld", size, (long long)at);
    struct insn_info *info = &v->info[v->at];
    if ((info->reads_ctx && (info->ctx_at != at || info->ctx_base != at - off)) || (v->words != NULL && !can_move(v, at, off)))
        v->words = NULL;
    info->reads_ctx = true;
    info->ctx_at = (s32)at;
    info->ctx_base = (s32)(at - off);
    return 0;
}

static int check_object(struct verifier *v, const struct reg *base, s64 off, u64 size, bool write)
{
    switch (base->type) {
    case REG_VALUE:
        if (write && (base->map->flags & MAP_RDONLY_PROG) != 0)
            return refuse(v, -EACCES, "map %u is not for programs to write", base->map->number);
        return check_inside(v, "map value", base, off, size, base->map->value_size);
    case REG_RECORD:
        return check_inside(v, "record", base, off, size, base->size);
    case REG_VALUE_OR_NULL:
    case REG_RECORD_OR_NULL:
        return refuse(v, -EACCES, "it may be a null pointer: test it first");
    case REG_NUMBER:
        return refuse(v, -EACCES, "a number is used as an address");
    default:
        return refuse(v, -EACCES, "a pointer that programs cannot %s through", write ? "write" : "read");
    }
}

int check_load(struct verifier *v, const struct reg *base, s32 off, u32 size, struct reg *ret)
{
    struct insn_info *info = &v->info[v->at];
    bool ctx = base->type == REG_CTX;
    if (ctx ? info->reads_else : info->reads_ctx)
        v->words = NULL; /* the offset has to stay */
    info->reads_else |= !ctx;
    if (base->type == REG_STACK)
        return load_stack(v, base, off, size, ret);
    int err = ctx ? check_ctx(v, base, off, size) : check_object(v, base, off, size, false);
    set_number(ret, range_truncate(range_any(), size * 8));
    return err;
}

int check_store(struct verifier *v, const struct reg *base, s32 off, u32 size, const struct reg *value)
{
    if (base->type == REG_STACK)
        return store_stack(v, base, off, size, value);
    int err = check_object(v, base, off, size, true);
    if (err == 0 && is_pointer(value))
        return refuse(v, -EACCES, "a pointer would be stored where the client reads it");
    return err;
}

static int helper_stack(struct verifier *v, const struct reg *base, u64 min, u64 max, bool write)
{
    struct frame *f;
    s64 at;
    int err = check_stack(v, base, 0, max, &f, &at);
    if (err != 0)
        return err;
    if (!write)
        return read_bytes(v, f, at, max);
    write_bytes(f, at, max, min == max);
    return 0;
}

int check_helper_memory(struct verifier *v, unsigned number, u64 min, u64 max, bool write)
{
    const struct reg *r = reg_of(v, number);
    if (max > INT32_MAX)
        return refuse(v, -EACCES, "r%u: the size has no bound", number + 1);
    if (max == 0 && r->type == REG_NUMBER && range_is_const(&r->range) && r->range.value == 0)
        return 0;
    return r->type == REG_STACK ? helper_stack(v, r, min, max, write) : check_object(v, r, 0, max, write);
}
