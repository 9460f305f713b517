/* SPDX-License-Identifier: Apache-2.0 */
/* What one instruction does to a state: verify_impl.h. */
#include "verify_impl.h"

#include "base/str.h"

#define OFFSET_MAX (1 << 28)

int check_read(struct verifier *v, unsigned number)
{
    return reg_of(v, number)->type == REG_UNSET ? refuse(v, -EACCES, "r%u is read before it is written", number) : 0;
}

static int check_write(struct verifier *v, unsigned number)
{
    return number == R10 ? refuse(v, -EACCES, "r10 cannot be written") : 0;
}

struct reg operand(struct verifier *v, const struct bpf_insn *i)
{
    struct reg r;
    if ((i->code & BPF_X) != 0)
        return *reg_of(v, insn_src(i));
    set_number(&r, range_const((u64)(s64)i->imm));
    return r;
}

/* --- arithmetic ------------------------------------------------------------------------------ */

static int move(struct verifier *v, const struct bpf_insn *i, bool wide)
{
    struct reg *dst = reg_of(v, insn_dst(i)), value = operand(v, i);
    if (!wide) {
        if (is_pointer(&value))
            return refuse(v, -EACCES, "a part of a pointer is taken");
        set_number(dst, range_truncate(value.range, 32));
        return 0;
    }
    if (value.type == REG_NUMBER && !range_is_const(&value.range) && value.id == 0 && insn_src(i) != insn_dst(i))
        value.id = reg_of(v, insn_src(i))->id = ++v->next_id;
    *dst = value;
    return 0;
}

static int move_pointer(struct verifier *v, u8 op, struct reg *dst, const struct reg *p, const struct reg *n)
{
    struct reg r = *p;
    bool fixed = range_is_const(&n->range);
    s64 by = (s64)n->range.value;
    if (p->type == REG_VALUE_OR_NULL || p->type == REG_RECORD_OR_NULL)
        return refuse(v, -EACCES, "it may be a null pointer: test it first");
    if (p->type == REG_MAP || (!fixed && p->type != REG_VALUE && p->type != REG_RECORD))
        return refuse(v, -EACCES, "a number is added to a pointer that does not allow it");
    if (fixed) {
        if (by <= -OFFSET_MAX || by >= OFFSET_MAX)
            return refuse(v, -EACCES, "the offset %lld is too large", (long long)by);
        by = r.off + (op == BPF_ADD ? by : -by);
        if (by <= -OFFSET_MAX || by >= OFFSET_MAX)
            return refuse(v, -EACCES, "the offset %lld is too large", (long long)by);
        r.off = (s32)by;
    } else {
        r.range = range_op(op, true, r.range, n->range);
        if (r.range.smin <= -OFFSET_MAX || r.range.smax >= OFFSET_MAX) /* it could come to be 0, and tests of it are not followed */
            return refuse(v, -EACCES, "the offset has no bounds");
    }
    *dst = r;
    return 0;
}

static void byte_order(const struct bpf_insn *i, struct reg *dst)
{
    if (range_is_const(&dst->range))
        set_number(dst, range_const(insn_byte_order(i, dst->range.value)));
    else
        set_number(dst, range_truncate((i->code & BPF_X) != 0 ? range_any() : dst->range, (unsigned)i->imm));
}

static int arithmetic(struct verifier *v, const struct bpf_insn *i)
{
    struct reg *dst = reg_of(v, insn_dst(i)), value;
    u8 op = BPF_OP(i->code);
    bool wide = BPF_CLASS(i->code) == BPF_ALU64;
    int err = check_write(v, insn_dst(i));
    if (err == 0 && (i->code & BPF_X) != 0 && op != BPF_END)
        err = check_read(v, insn_src(i));
    if (err == 0 && op != BPF_MOV)
        err = check_read(v, insn_dst(i));
    if (err != 0)
        return err;
    if (op == BPF_MOV)
        return move(v, i, wide);
    value = op == BPF_NEG || op == BPF_END ? *dst : operand(v, i);
    if (!is_pointer(dst) && !is_pointer(&value)) {
        if (op == BPF_END)
            byte_order(i, dst);
        else if (op == BPF_NEG)
            set_number(dst, range_op(BPF_SUB, wide, range_const(0), dst->range));
        else
            set_number(dst, range_op(op, wide, dst->range, value.range));
        return 0;
    }
    if (!wide || (op != BPF_ADD && op != BPF_SUB))
        return refuse(v, -EACCES, "arithmetic on a pointer, other than adding and subtracting numbers");
    if (is_pointer(&value) && (is_pointer(dst) || op == BPF_SUB))
        return refuse(v, -EACCES, "a pointer is made a number");
    return is_pointer(dst) ? move_pointer(v, op, dst, dst, &value) : move_pointer(v, op, dst, &value, dst);
}

/* --- constants ------------------------------------------------------------------------------------ */

static int load_constant(struct verifier *v, const struct bpf_insn *i)
{
    struct reg *dst = reg_of(v, insn_dst(i));
    u64 value = (u32)i->imm | (u64)(u32)i[1].imm << 32;
    int err = check_write(v, insn_dst(i));
    if (err != 0)
        return err;
    if (insn_src(i) == 0) {
        set_number(dst, range_const(value));
        return 0;
    }
    struct bpf_map *m = (u32)i->imm < v->nmaps ? v->maps[i->imm] : NULL;
    if (m == NULL)
        return refuse(v, -EINVAL, "there is no map %d", i->imm);
    *dst = (struct reg){ .type = REG_MAP, .map = m, .range = range_const(0) };
    if (insn_src(i) == BPF_PSEUDO_MAP_FD)
        return i[1].imm == 0 ? 0 : refuse(v, -EINVAL, "a map's reference has an offset");
    if (m->type != MAP_ARRAY || (u32)i[1].imm >= (u64)m->entries * m->stride)
        return refuse(v, -EINVAL, "only values of arrays have constant addresses, and this one no byte %u", (u32)i[1].imm);
    dst->type = REG_VALUE;
    dst->off = (s32)((u32)i[1].imm % m->stride);
    return 0;
}

/* --- memory ------------------------------------------------------------------------------------------ */

static int load(struct verifier *v, const struct bpf_insn *i)
{
    struct reg value;
    int err = check_write(v, insn_dst(i));
    if (err == 0)
        err = check_read(v, insn_src(i));
    if (err == 0)
        err = check_load(v, reg_of(v, insn_src(i)), i->off, insn_bytes(i), &value);
    if (err == 0)
        *reg_of(v, insn_dst(i)) = value;
    return err;
}

static int store(struct verifier *v, const struct bpf_insn *i)
{
    struct reg value;
    bool reg = BPF_CLASS(i->code) == BPF_STX;
    int err = check_read(v, insn_dst(i));
    if (err == 0 && reg)
        err = check_read(v, insn_src(i));
    if (err != 0)
        return err;
    set_number(&value, range_const((u64)(s64)i->imm));
    if (reg)
        value = *reg_of(v, insn_src(i));
    return check_store(v, reg_of(v, insn_dst(i)), i->off, insn_bytes(i), &value);
}

static bool aligned(const struct reg *base, s32 off, u32 size)
{
    u64 at = (u64)((s64)base->off + off);
    return ((at | base->range.value | base->range.mask) & (size - 1)) == 0;
}

static int atomic(struct verifier *v, const struct bpf_insn *i)
{
    const struct reg *base = reg_of(v, insn_dst(i)), *by = reg_of(v, insn_src(i));
    u32 size = insn_bytes(i);
    struct reg old, any;
    int err = check_read(v, insn_dst(i));
    if (err == 0)
        err = check_read(v, insn_src(i));
    if (err == 0 && i->imm == BPF_CMPXCHG)
        err = check_read(v, 0);
    if (err != 0)
        return err;
    if (is_pointer(by) || (i->imm == BPF_CMPXCHG && is_pointer(reg_of(v, 0))))
        return refuse(v, -EACCES, "a pointer in an atomic operation");
    if (base->type == REG_CTX || !aligned(base, i->off, size))
        return refuse(v, -EACCES, "an atomic operation on the context, or not aligned");
    set_number(&any, range_any());
    err = check_load(v, base, i->off, size, &old);
    if (err == 0 && is_pointer(&old))
        return refuse(v, -EACCES, "an atomic operation on a pointer");
    if (err == 0)
        err = check_store(v, base, i->off, size, &any);
    if (err == 0 && (i->imm & BPF_FETCH) != 0) {
        unsigned to = i->imm == BPF_CMPXCHG ? 0 : insn_src(i);
        err = check_write(v, to);
        if (err == 0)
            set_number(reg_of(v, to), range_truncate(range_any(), size * 8));
    }
    return err;
}

int step_plain(struct verifier *v, const struct bpf_insn *i)
{
    switch (BPF_CLASS(i->code)) {
    case BPF_LD: return load_constant(v, i);
    case BPF_LDX: return load(v, i);
    case BPF_ST: return store(v, i);
    case BPF_STX: return BPF_MODE(i->code) == BPF_ATOMIC ? atomic(v, i) : store(v, i);
    default: return arithmetic(v, i);
    }
}
