/* SPDX-License-Identifier: Apache-2.0 */
/* The form of a program, before any path is followed: verify_impl.h. */
#include "verify_impl.h"

#include "base/str.h"
#include "kern/thread.h"

static bool is_jump(u8 code) { return BPF_CLASS(code) == BPF_JMP || BPF_CLASS(code) == BPF_JMP32; }
static bool is_call(u8 code) { return code == (BPF_JMP | BPF_CALL); }
static bool is_exit(u8 code) { return code == (BPF_JMP | BPF_EXIT); }
static bool is_goto(u8 code) { return code == (BPF_JMP | BPF_JA); }

/* --- one instruction's fields -------------------------------------------------------------- */

static bool alu_known(const struct bpf_insn *i)
{
    bool wide = BPF_CLASS(i->code) == BPF_ALU64, reg = (i->code & BPF_X) != 0;
    if (i->off != 0)
        return false;
    switch (BPF_OP(i->code)) {
    case BPF_NEG: return !reg && insn_src(i) == 0 && i->imm == 0;
    case BPF_END: return !wide && insn_src(i) == 0 && (i->imm == 16 || i->imm == 32 || i->imm == 64);
    case BPF_LSH:
    case BPF_RSH:
    case BPF_ARSH: return reg ? i->imm == 0 : insn_src(i) == 0 && i->imm >= 0 && i->imm < (wide ? 64 : 32);
    case BPF_DIV:
    case BPF_MOD: return reg ? i->imm == 0 : insn_src(i) == 0 && i->imm != 0;
    default: return BPF_OP(i->code) <= BPF_ARSH && (reg ? i->imm == 0 : insn_src(i) == 0);
    }
}

static bool jump_known(const struct bpf_insn *i)
{
    bool narrow = BPF_CLASS(i->code) == BPF_JMP32;
    switch (BPF_OP(i->code)) {
    case BPF_JA: return !narrow && i->code == (BPF_JMP | BPF_JA) && i->regs == 0 && i->imm == 0;
    case BPF_CALL: return is_call(i->code) && insn_dst(i) == 0 && i->off == 0 && insn_src(i) <= BPF_PSEUDO_CALL;
    case BPF_EXIT: return is_exit(i->code) && i->regs == 0 && i->off == 0 && i->imm == 0;
    default: return BPF_OP(i->code) <= BPF_JSLE && ((i->code & BPF_X) != 0 ? i->imm == 0 : insn_src(i) == 0);
    }
}

static bool atomic_known(const struct bpf_insn *i)
{
    if (BPF_SIZE(i->code) != BPF_W && BPF_SIZE(i->code) != BPF_DW)
        return false;
    switch (i->imm & ~BPF_FETCH) {
    case BPF_ADD:
    case BPF_OR:
    case BPF_AND:
    case BPF_XOR: return true;
    default: return i->imm == BPF_XCHG || i->imm == BPF_CMPXCHG;
    }
}

static bool memory_known(const struct bpf_insn *i)
{
    switch (BPF_CLASS(i->code)) {
    case BPF_LD: return i->code == BPF_LD_IMM64 && i->off == 0 && insn_src(i) <= BPF_PSEUDO_MAP_VALUE;
    case BPF_LDX: return BPF_MODE(i->code) == BPF_MEM && i->imm == 0;
    case BPF_ST: return BPF_MODE(i->code) == BPF_MEM && insn_src(i) == 0;
    default: return BPF_MODE(i->code) == BPF_MEM ? i->imm == 0 : BPF_MODE(i->code) == BPF_ATOMIC && atomic_known(i);
    }
}

static bool known(const struct bpf_insn *i)
{
    if (insn_dst(i) > R10 || insn_src(i) > R10)
        return false;
    if (is_jump(i->code))
        return jump_known(i);
    return BPF_CLASS(i->code) == BPF_ALU || BPF_CLASS(i->code) == BPF_ALU64 ? alu_known(i) : memory_known(i);
}

/* --- where functions and jumps lead ---------------------------------------------------------------- */

static int note_function(struct verifier *v, s64 target)
{
    if (target <= 0 || target >= v->code->count)
        return refuse(v, -EINVAL, "a call leads out of the program");
    for (u32 i = 0; i < v->nstarts; i++)
        if (v->starts[i] == (u32)target)
            return 0;
    if (v->nstarts == ARRAY_SIZE(v->starts))
        return refuse(v, -E2BIG, "more than %zu functions", ARRAY_SIZE(v->starts) + 1);
    u32 at = v->nstarts++;
    for (; at > 0 && v->starts[at - 1] > (u32)target; at--)
        v->starts[at] = v->starts[at - 1];
    v->starts[at] = (u32)target;
    return 0;
}

static int find_starts(struct verifier *v)
{
    for (v->at = 0; v->at < v->code->count; v->at++) {
        const struct bpf_insn *i = &v->code->insns[v->at];
        if (!known(i))
            return refuse(v, -EINVAL, "unknown instruction: code %#x, registers %#x, offset %d, constant %d", i->code, i->regs, i->off, i->imm);
        v->info[v->at].start = true;
        if (is_call(i->code) && insn_src(i) == BPF_PSEUDO_CALL) {
            int err = note_function(v, (s64)v->at + 1 + i->imm);
            if (err != 0)
                return err;
        }
        if (i->code == BPF_LD_IMM64) {
            const struct bpf_insn *high = i + 1;
            if (v->at + 1 >= v->code->count || high->code != 0 || high->regs != 0 || high->off != 0)
                return refuse(v, -EINVAL, "a 64-bit constant has no second half");
            v->at++;
        }
    }
    return 0;
}

static int check_jumps(struct verifier *v)
{
    u32 function = 0;
    for (v->at = 0; v->at < v->code->count; v->at++) {
        const struct bpf_insn *i = &v->code->insns[v->at];
        while (function < v->nstarts && v->starts[function] <= v->at)
            function++;
        u32 low = function > 0 ? v->starts[function - 1] : 0, high = function < v->nstarts ? v->starts[function] : v->code->count;
        bool last = v->at + (i->code == BPF_LD_IMM64 ? 2 : 1) == high;
        if (!v->info[v->at].start)
            continue;
        if (last && !is_exit(i->code) && !is_goto(i->code))
            return refuse(v, -EINVAL, "the function goes on behind its last instruction");
        if (!is_jump(i->code) || is_call(i->code) || is_exit(i->code))
            continue;
        s64 target = (s64)v->at + 1 + i->off;
        if (target < low || target >= high || !v->info[target].start)
            return refuse(v, -EINVAL, "a jump leads out of its function, or between two halves");
        v->info[target].meet = true;
    }
    for (u32 i = 0; i < v->nstarts; i++)
        if (!v->info[v->starts[i]].start)
            return refuse(v, -EINVAL, "a call leads between two halves");
    return 0;
}

/* --- registers that matter ---------------------------------------------------------------------------- */

#define BIT(n) ((u16)(1u << (n)))
#define ARGUMENTS 0x3e /* r1 to r5 */

static u16 reads(const struct bpf_insn *i)
{
    u16 dst = BIT(insn_dst(i)), src = BIT(insn_src(i)), x = i->code & BPF_X ? src : 0;
    switch (BPF_CLASS(i->code)) {
    case BPF_LD: return 0;
    case BPF_LDX: return src;
    case BPF_ST: return dst;
    case BPF_STX: return dst | src | (i->imm == BPF_CMPXCHG ? BIT(0) : 0);
    case BPF_ALU:
    case BPF_ALU64: return BPF_OP(i->code) == BPF_MOV ? x : BPF_OP(i->code) == BPF_END ? dst : dst | x;
    default: return is_goto(i->code) ? 0 : is_exit(i->code) ? BIT(0) : is_call(i->code) ? ARGUMENTS : dst | x;
    }
}

static u16 writes(const struct bpf_insn *i)
{
    switch (BPF_CLASS(i->code)) {
    case BPF_ST: return 0;
    case BPF_STX: return BPF_MODE(i->code) != BPF_ATOMIC || (i->imm & BPF_FETCH) == 0 ? 0 : i->imm == BPF_CMPXCHG ? BIT(0) : BIT(insn_src(i));
    case BPF_JMP:
    case BPF_JMP32: return is_call(i->code) ? ARGUMENTS | BIT(0) : 0;
    default: return BIT(insn_dst(i));
    }
}

static u16 live_behind(const struct verifier *v, u32 at)
{
    const struct bpf_insn *i = &v->code->insns[at];
    u32 next = at + (i->code == BPF_LD_IMM64 ? 2 : 1);
    bool jumps = is_jump(i->code) && !is_call(i->code) && !is_exit(i->code);
    u16 live = 0;
    if (!is_exit(i->code) && !is_goto(i->code) && next < v->code->count)
        live |= v->info[next].live;
    if (jumps)
        live |= v->info[at + 1 + (u32)(s32)i->off].live;
    return live;
}

static void find_live(struct verifier *v)
{
    for (bool changed = true; changed;) { /* a jump back more, a round more */
        changed = false;
        cond_resched();
        for (u32 at = v->code->count; at-- > 0;) {
            if (!v->info[at].start)
                continue;
            const struct bpf_insn *i = &v->code->insns[at];
            u16 live = (u16)((live_behind(v, at) & ~writes(i)) | reads(i));
            changed |= live != v->info[at].live;
            v->info[at].live = live;
        }
    }
}

int check_form(struct verifier *v)
{
    int err = find_starts(v);
    if (err == 0)
        err = check_jumps(v);
    if (err == 0)
        find_live(v);
    return err;
}
