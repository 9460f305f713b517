/* SPDX-License-Identifier: Apache-2.0 */
/* Accepted programs, instruction by instruction: kern/bpf.h. */
#include "kern/bpf.h"

#include "base/str.h"

/* For tests: before an access, and for each instruction. */
#ifndef BPF_ON_ACCESS
#define BPF_ON_ACCESS(address, size, write)
#define BPF_ON_STEP()
#endif

struct call_frame {
    u32 back;
    u64 saved[4]; /* r6 to r9 */
};

/* --- arithmetic ----------------------------------------------------------------------------- */

static u64 divide(u8 op, u64 a, u64 b)
{
    if (b == 0)
        return op == BPF_DIV ? 0 : a;
    return op == BPF_DIV ? a / b : a % b;
}

static u64 alu64(u8 op, u64 a, u64 b)
{
    switch (op) {
    case BPF_ADD: return a + b;
    case BPF_SUB: return a - b;
    case BPF_MUL: return a * b;
    case BPF_OR: return a | b;
    case BPF_AND: return a & b;
    case BPF_XOR: return a ^ b;
    case BPF_LSH: return a << (b & 63);
    case BPF_RSH: return a >> (b & 63);
    case BPF_ARSH: return (u64)((s64)a >> (b & 63));
    case BPF_NEG: return -a;
    case BPF_MOV: return b;
    default: return divide(op, a, b);
    }
}

static u64 alu32(u8 op, u32 a, u32 b)
{
    switch (op) {
    case BPF_LSH: return a << (b & 31);
    case BPF_RSH: return a >> (b & 31);
    case BPF_ARSH: return (u32)((s32)a >> (b & 31));
    default: return (u32)alu64(op, a, b);
    }
}

static bool holds(u8 op, u64 a, u64 b)
{
    switch (op) {
    case BPF_JEQ: return a == b;
    case BPF_JNE: return a != b;
    case BPF_JGT: return a > b;
    case BPF_JGE: return a >= b;
    case BPF_JLT: return a < b;
    case BPF_JLE: return a <= b;
    case BPF_JSGT: return (s64)a > (s64)b;
    case BPF_JSGE: return (s64)a >= (s64)b;
    case BPF_JSLT: return (s64)a < (s64)b;
    case BPF_JSLE: return (s64)a <= (s64)b;
    default: return (a & b) != 0;
    }
}

static bool holds32(u8 op, u32 a, u32 b)
{
    bool as_signed = op == BPF_JSGT || op == BPF_JSGE || op == BPF_JSLT || op == BPF_JSLE;
    return as_signed ? holds(op, (u64)(s64)(s32)a, (u64)(s64)(s32)b) : holds(op, a, b);
}

/* --- memory ------------------------------------------------------------------------------------ */

static u64 load(u64 address, u32 size)
{
    u64 v = 0;
    BPF_ON_ACCESS(address, size, false);
    memcpy(&v, (const void *)(uintptr_t)address, size);
    return v;
}

static void store(u64 address, u32 size, u64 v)
{
    BPF_ON_ACCESS(address, size, true);
    memcpy((void *)(uintptr_t)address, &v, size);
}

#define ATOMIC(type, p)                                                                                            \
    switch (i->imm) {                                                                                              \
    case BPF_ADD:                                                                                                  \
    case BPF_ADD | BPF_FETCH: old = __atomic_fetch_add((type *)(p), (type)regs[src], __ATOMIC_SEQ_CST); break;     \
    case BPF_OR:                                                                                                   \
    case BPF_OR | BPF_FETCH: old = __atomic_fetch_or((type *)(p), (type)regs[src], __ATOMIC_SEQ_CST); break;       \
    case BPF_AND:                                                                                                  \
    case BPF_AND | BPF_FETCH: old = __atomic_fetch_and((type *)(p), (type)regs[src], __ATOMIC_SEQ_CST); break;     \
    case BPF_XOR:                                                                                                  \
    case BPF_XOR | BPF_FETCH: old = __atomic_fetch_xor((type *)(p), (type)regs[src], __ATOMIC_SEQ_CST); break;     \
    case BPF_XCHG: old = __atomic_exchange_n((type *)(p), (type)regs[src], __ATOMIC_SEQ_CST); break;               \
    default: {                                                                                                     \
        type expected = (type)regs[0];                                                                             \
        __atomic_compare_exchange_n((type *)(p), &expected, (type)regs[src], false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
        old = expected;                                                                                            \
    }                                                                                                              \
    }

static void atomic(const struct bpf_insn *i, u64 *regs)
{
    unsigned src = insn_src(i);
    u64 address = regs[insn_dst(i)] + (u64)(s64)i->off, old;
    BPF_ON_ACCESS(address, insn_bytes(i), true);
    if (BPF_SIZE(i->code) == BPF_DW) {
        ATOMIC(u64, (uintptr_t)address)
    } else {
        ATOMIC(u32, (uintptr_t)address)
    }
    if (i->imm == BPF_CMPXCHG)
        regs[0] = old;
    else if ((i->imm & BPF_FETCH) != 0)
        regs[src] = old;
}

/* --- the loop -------------------------------------------------------------------------------------- */

static void plain(const struct bpf_insn *i, u64 *regs)
{
    unsigned dst = insn_dst(i), src = insn_src(i);
    u64 b = (i->code & BPF_X) != 0 ? regs[src] : (u64)(s64)i->imm;
    switch (BPF_CLASS(i->code)) {
    case BPF_LDX: regs[dst] = load(regs[src] + (u64)(s64)i->off, insn_bytes(i)); break;
    case BPF_ST: store(regs[dst] + (u64)(s64)i->off, insn_bytes(i), (u64)(s64)i->imm); break;
    case BPF_STX:
        if (BPF_MODE(i->code) == BPF_ATOMIC)
            atomic(i, regs);
        else
            store(regs[dst] + (u64)(s64)i->off, insn_bytes(i), regs[src]);
        break;
    case BPF_ALU64: regs[dst] = alu64(BPF_OP(i->code), regs[dst], b); break;
    default:
        if (BPF_OP(i->code) == BPF_END)
            regs[dst] = insn_byte_order(i, regs[dst]);
        else
            regs[dst] = alu32(BPF_OP(i->code), (u32)regs[dst], (u32)b);
    }
}

static bool jumps(const struct bpf_insn *i, const u64 *regs)
{
    u64 a = regs[insn_dst(i)], b = (i->code & BPF_X) != 0 ? regs[insn_src(i)] : (u64)(s64)i->imm;
    if (BPF_OP(i->code) == BPF_JA)
        return true;
    return BPF_CLASS(i->code) == BPF_JMP ? holds(BPF_OP(i->code), a, b) : holds32(BPF_OP(i->code), (u32)a, (u32)b);
}

static void call_helper(const struct bpf_code *code, const struct bpf_insn *i, u64 *regs)
{
    for (unsigned n = 1; n <= 5; n++)
        if ((i->off & 1 << n) != 0)
            regs[n] = 0;
    if (insn_src(i) == BPF_CALL_ARRAY)
        regs[0] = bpf_array_lookup(&code->arrays[i->imm], (const u32 *)(uintptr_t)regs[2]);
    else
        regs[0] = bpf_helper(i->imm)(regs[1], regs[2], regs[3], regs[4], regs[5]);
}

u64 bpf_interpret(const struct bpf_code *code, const void *ctx, u8 *stack)
{
    struct call_frame frames[BPF_FRAMES_MAX];
    u64 regs[11] = { [1] = (u64)(uintptr_t)ctx, [10] = (u64)(uintptr_t)stack };
    u32 depth = 0;
    for (u32 at = 0;; at++) {
        const struct bpf_insn *i = &code->insns[at];
        BPF_ON_STEP();
        if (i->code == BPF_LD_IMM64) {
            regs[insn_dst(i)] = (u32)i[0].imm | (u64)(u32)i[1].imm << 32;
            at++;
        } else if (BPF_CLASS(i->code) != BPF_JMP && BPF_CLASS(i->code) != BPF_JMP32) {
            plain(i, regs);
        } else if (i->code == (BPF_JMP | BPF_EXIT)) {
            if (depth == 0)
                return regs[0];
            memcpy(&regs[6], frames[--depth].saved, sizeof(frames[0].saved));
            regs[10] += BPF_STACK_BYTES;
            at = frames[depth].back;
        } else if (i->code != (BPF_JMP | BPF_CALL)) {
            at += jumps(i, regs) ? (u32)(s32)i->off : 0;
        } else if (insn_src(i) == BPF_PSEUDO_CALL) {
            memcpy(frames[depth].saved, &regs[6], sizeof(frames[0].saved));
            frames[depth++].back = at;
            regs[10] -= BPF_STACK_BYTES;
            at += (u32)i->imm;
        } else {
            call_helper(code, i, regs);
        }
    }
}
