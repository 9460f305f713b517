/* SPDX-License-Identifier: Apache-2.0 */
/* Each class of instructions, interpreted and compiled, against the host's own arithmetic; and what is known of numbers against numbers. */
#include "asm.h"

#include "../range.h"

static const u64 samples[] = { 0, 1, 2, 3, 7, 8, 31, 32, 33, 63, 64, 127, 128, 255, 256, 0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000,
                               0x80000001, 0xfffffffe, 0xffffffff, 0x100000000, 0x123456789abcdef0, 0x7fffffffffffffff, 0x8000000000000000,
                               0xfffffffffffffff0, 0xffffffffffffffff };
static const u8 ops[] = { BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_OR, BPF_AND, BPF_LSH, BPF_RSH, BPF_MOD, BPF_XOR, BPF_MOV, BPF_ARSH };
static const u8 jumps[] = { BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET, BPF_JNE, BPF_JSGT, BPF_JSGE, BPF_JLT, BPF_JLE, BPF_JSLT, BPF_JSLE };

static u64 expect64(u8 op, u64 a, u64 b)
{
    switch (op) {
    case BPF_ADD: return a + b;
    case BPF_SUB: return a - b;
    case BPF_MUL: return a * b;
    case BPF_DIV: return b == 0 ? 0 : a / b;
    case BPF_OR: return a | b;
    case BPF_AND: return a & b;
    case BPF_LSH: return a << (b % 64);
    case BPF_RSH: return a >> (b % 64);
    case BPF_MOD: return b == 0 ? a : a % b;
    case BPF_XOR: return a ^ b;
    case BPF_MOV: return b;
    default: return (u64)((s64)a >> (b % 64));
    }
}

static u64 expect32(u8 op, u32 a, u32 b)
{
    switch (op) {
    case BPF_DIV: return b == 0 ? 0 : a / b;
    case BPF_MOD: return b == 0 ? a : a % b;
    case BPF_LSH: return (u32)(a << (b % 32));
    case BPF_RSH: return a >> (b % 32);
    case BPF_ARSH: return (u32)((s32)a >> (b % 32));
    default: return (u32)expect64(op, a, b);
    }
}

static bool expect_jump(u8 op, u64 a, u64 b)
{
    switch (op) {
    case BPF_JEQ: return a == b;
    case BPF_JGT: return a > b;
    case BPF_JGE: return a >= b;
    case BPF_JSET: return (a & b) != 0;
    case BPF_JNE: return a != b;
    case BPF_JSGT: return (s64)a > (s64)b;
    case BPF_JSGE: return (s64)a >= (s64)b;
    case BPF_JLT: return a < b;
    case BPF_JLE: return a <= b;
    case BPF_JSLT: return (s64)a < (s64)b;
    default: return (s64)a <= (s64)b;
    }
}

static void set_ctx(u64 a, u64 b)
{
    memcpy(test_ctx, &a, 8);
    memcpy(test_ctx + 8, &b, 8);
}

/* A program of the two first words of the context, for all samples. */
static void for_samples(const struct bpf_insn *insns, u32 count, u64 (*expected)(u8 op, u64 a, u64 b), u8 op)
{
    struct verify_result why;
    struct loaded p;
    if (load_program(insns, count, NULL, 0, &why, &p) != 0)
        sim_test_failed(__FILE__, __LINE__, "op %#x refused at %u: %s", op, why.insn, why.why);
    for (unsigned i = 0; i < ARRAY_SIZE(samples); i++)
        for (unsigned k = 0; k < ARRAY_SIZE(samples); k++) {
            set_ctx(samples[i], samples[k]);
            u64 want = expected(op, samples[i], samples[k]), slow = run_slowly(&p, test_ctx), fast = run_natively(&p, test_ctx);
            if (want != slow || want != fast)
                sim_test_failed(__FILE__, __LINE__, "op %#x of %#llx, %#llx: %#llx, interpreter %#llx, machine %#llx", op,
                                (unsigned long long)samples[i], (unsigned long long)samples[k], (unsigned long long)want, (unsigned long long)slow,
                                (unsigned long long)fast);
        }
    unload(&p);
}

static u64 alu64(u8 op, u64 a, u64 b) { return expect64(op, a, b); }
static u64 alu32(u8 op, u64 a, u64 b) { return expect32(op, (u32)a, (u32)b); }
static u64 jump64(u8 op, u64 a, u64 b) { return expect_jump(op, a, b); }

static u64 jump32(u8 op, u64 a, u64 b)
{
    bool as_signed = op == BPF_JSGT || op == BPF_JSGE || op == BPF_JSLT || op == BPF_JSLE;
    return as_signed ? expect_jump(op, (u64)(s64)(s32)a, (u64)(s64)(s32)b) : expect_jump(op, (u32)a, (u32)b);
}

/* With every pair of registers, since machine code differs. */
TEST(registers)
{
    for (unsigned o = 0; o < ARRAY_SIZE(ops); o++)
        for (unsigned wide = 0; wide < 2; wide++)
            for (unsigned d = 0; d < 10; d++) {
                unsigned s = (d + 1 + o) % 10, code = (wide ? BPF_ALU64 : BPF_ALU) | ops[o] | BPF_X;
                if (s == d)
                    continue;
                unsigned first = d == 1 ? s : d, second = d == 1 ? d : s; /* r1 has the context */
                const struct bpf_insn insns[] = { LDX(BPF_DW, first, 1, first == d ? 0 : 8), LDX(BPF_DW, second, 1, second == d ? 0 : 8), I(code, d, s, 0, 0),
                                                  MOVX(0, d), EXIT() };
                for_samples(insns, ARRAY_SIZE(insns), wide ? alu64 : alu32, ops[o]);
            }
}

TEST(one_register)
{
    for (unsigned o = 0; o < ARRAY_SIZE(ops); o++)
        for (unsigned d = 0; d < 10; d++)
            for (unsigned i = 0; i < ARRAY_SIZE(samples); i++) {
                u64 v = samples[i];
                RESULT(expect64(ops[o], v, v), LD64(d, v), ALUX(ops[o], d, d), MOVX(0, d), EXIT());
                RESULT(expect32(ops[o], (u32)v, (u32)v), LD64(d, v), ALU32X(ops[o], d, d), MOVX(0, d), EXIT());
            }
}

TEST(constants)
{
    for (unsigned o = 0; o < ARRAY_SIZE(ops); o++)
        for (unsigned k = 0; k < ARRAY_SIZE(samples); k++) {
            s32 imm = (s32)samples[k];
            bool is_shift = ops[o] == BPF_LSH || ops[o] == BPF_RSH || ops[o] == BPF_ARSH;
            if (((ops[o] == BPF_DIV || ops[o] == BPF_MOD) && imm == 0) || (is_shift && (u32)imm >= 32))
                continue;
            for (unsigned i = 0; i < ARRAY_SIZE(samples); i++) {
                set_ctx(samples[i], 0);
                RESULT(expect64(ops[o], samples[i], (u64)(s64)imm), LDX(BPF_DW, 2, 1, 0), ALU(ops[o], 2, imm), MOVX(0, 2), EXIT());
                RESULT(expect32(ops[o], (u32)samples[i], (u32)imm), LDX(BPF_DW, 8, 1, 0), ALU32(ops[o], 8, imm), MOVX(0, 8), EXIT());
            }
        }
    RESULT(1ull << 63, MOV(0, 1), ALU(BPF_LSH, 0, 63), EXIT());
}

TEST(negation_and_byte_order)
{
    for (unsigned i = 0; i < ARRAY_SIZE(samples); i++) {
        u64 v = samples[i];
        set_ctx(v, 0);
        for (unsigned d = 0; d < 10; d += 3) {
            RESULT(-v, LDX(BPF_DW, d, 1, 0), ALU(BPF_NEG, d, 0), MOVX(0, d), EXIT());
            RESULT((u32) - (u32)v, LDX(BPF_DW, d, 1, 0), ALU32(BPF_NEG, d, 0), MOVX(0, d), EXIT());
            RESULT((u16)v, LDX(BPF_DW, d, 1, 0), ALU32(BPF_END, d, 16), MOVX(0, d), EXIT());
            RESULT((u32)v, LDX(BPF_DW, d, 1, 0), ALU32(BPF_END, d, 32), MOVX(0, d), EXIT());
            RESULT(v, LDX(BPF_DW, d, 1, 0), ALU32(BPF_END, d, 64), MOVX(0, d), EXIT());
            RESULT(__builtin_bswap16((u16)v), LDX(BPF_DW, d, 1, 0), I(BPF_ALU | BPF_END | BPF_X, d, 0, 0, 16), MOVX(0, d), EXIT());
            RESULT(__builtin_bswap32((u32)v), LDX(BPF_DW, d, 1, 0), I(BPF_ALU | BPF_END | BPF_X, d, 0, 0, 32), MOVX(0, d), EXIT());
            RESULT(__builtin_bswap64(v), LDX(BPF_DW, d, 1, 0), I(BPF_ALU | BPF_END | BPF_X, d, 0, 0, 64), MOVX(0, d), EXIT());
        }
    }
}

TEST(jumps_of_registers)
{
    for (unsigned o = 0; o < ARRAY_SIZE(jumps); o++) {
        const struct bpf_insn wide[] = { LDX(BPF_DW, 2, 1, 0), LDX(BPF_DW, 9, 1, 8), MOV(0, 1), JMPX(jumps[o], 2, 9, 1), MOV(0, 0), EXIT() };
        const struct bpf_insn narrow[] = { LDX(BPF_DW, 8, 1, 0), LDX(BPF_DW, 3, 1, 8), MOV(0, 1), JMP32X(jumps[o], 8, 3, 1), MOV(0, 0), EXIT() };
        for_samples(wide, ARRAY_SIZE(wide), jump64, jumps[o]);
        for_samples(narrow, ARRAY_SIZE(narrow), jump32, jumps[o]);
    }
}

TEST(jumps_of_constants)
{
    for (unsigned o = 0; o < ARRAY_SIZE(jumps); o++)
        for (unsigned k = 0; k < ARRAY_SIZE(samples); k++)
            for (unsigned i = 0; i < ARRAY_SIZE(samples); i++) {
                s32 imm = (s32)samples[k];
                set_ctx(samples[i], 0);
                RESULT(expect_jump(jumps[o], samples[i], (u64)(s64)imm), LDX(BPF_DW, 2, 1, 0), MOV(0, 1), JMP(jumps[o], 2, imm, 1), MOV(0, 0), EXIT());
                RESULT(jump32(jumps[o], samples[i], (u64)(s64)imm), LDX(BPF_DW, 2, 1, 0), MOV(0, 1), JMP32(jumps[o], 2, imm, 1), MOV(0, 0), EXIT());
            }
}

TEST(memory)
{
    static const u8 sizes[] = { BPF_B, BPF_H, BPF_W, BPF_DW };
    for (unsigned z = 0; z < 4; z++)
        for (unsigned d = 0; d < 10; d++) {
            u64 v = 0xf1e2d3c4b5a69788, mask = z == 3 ? UINT64_MAX : (1ull << (8u << z)) - 1;
            RESULT(v & mask, LD64(d, v), ST(BPF_DW, 10, -8, -1), STX(sizes[z], 10, -8, d), LDX(sizes[z], d, 10, -8), MOVX(0, d), EXIT());
            RESULT((v & mask) | ~mask, LD64(d, v), ST(BPF_DW, 10, -256, -1), STX(sizes[z], 10, -256, d), LDX(BPF_DW, d, 10, -256), MOVX(0, d), EXIT());
            RESULT(0x12345678 & mask, MOVX(d, 10), ST(sizes[z], d, -512, 0x12345678), LDX(sizes[z], d, d, -512), MOVX(0, d), EXIT());
        }
    RESULT(0xffffffff80000000, ST(BPF_DW, 10, -8, (s32)0x80000000), LDX(BPF_DW, 0, 10, -8), EXIT());
    set_ctx(0x1122334455667788, 0);
    RESULT(0x66, LDX(BPF_B, 0, 1, 2), EXIT());
    RESULT(0x1122, LDX(BPF_H, 0, 1, 6), EXIT());
}

static u64 expect_atomic(s32 op, u64 old, u64 by, u64 r0)
{
    switch (op & ~BPF_FETCH) {
    case BPF_ADD: return old + by;
    case BPF_OR: return old | by;
    case BPF_AND: return old & by;
    case BPF_XOR: return old ^ by;
    default: return op == BPF_XCHG || old == r0 ? by : old;
    }
}

TEST(atomics)
{
    static const s32 all[] = { BPF_ADD, BPF_OR, BPF_AND, BPF_XOR, BPF_ADD | BPF_FETCH, BPF_OR | BPF_FETCH, BPF_AND | BPF_FETCH, BPF_XOR | BPF_FETCH,
                               BPF_XCHG, BPF_CMPXCHG };
    const u64 old = 0xf0f0f0f0aaaa5555, by = 0x8765432112345678;
    for (unsigned o = 0; o < ARRAY_SIZE(all); o++)
        for (unsigned s = 0; s < 10; s++)
            for (unsigned equal = 0; equal < 2; equal++) {
                u64 r0 = s == 0 ? by : equal ? old : 5, narrow = (u32)expect_atomic(all[o], (u32)old, (u32)by, (u32)r0);
                bool tells = (all[o] & BPF_FETCH) != 0;
                unsigned to = all[o] == BPF_CMPXCHG ? 0 : s;
                RESULT(expect_atomic(all[o], old, by, r0), LD64(0, old), STX(BPF_DW, 10, -8, 0), LD64(0, r0), LD64(s, by),
                       ATOMIC(BPF_DW, all[o], 10, -8, s), LDX(BPF_DW, 0, 10, -8), EXIT());
                RESULT(narrow | (old & ~0xffffffffull), LD64(0, old), STX(BPF_DW, 10, -8, 0), LD64(0, r0), LD64(s, by),
                       ATOMIC(BPF_W, all[o], 10, -8, s), LDX(BPF_DW, 0, 10, -8), EXIT());
                RESULT(tells ? old : to == 0 ? r0 : by, LD64(0, old), STX(BPF_DW, 10, -8, 0), LD64(0, r0), LD64(s, by),
                       ATOMIC(BPF_DW, all[o], 10, -8, s), MOVX(0, to), EXIT());
                RESULT(tells ? (u32)old : to == 0 ? r0 : by, LD64(0, old), STX(BPF_DW, 10, -8, 0), LD64(0, r0), LD64(s, by),
                       ATOMIC(BPF_W, all[o], 10, -8, s), MOVX(0, to), EXIT());
                if (s != 0 && all[o] != BPF_CMPXCHG) /* the address in r0 */
                    RESULT(expect_atomic(all[o], old, by, 0), LD64(s, old), STX(BPF_DW, 10, -8, s), LD64(s, by), MOVX(0, 10),
                           ATOMIC(BPF_DW, all[o], 0, -8, s), LDX(BPF_DW, 0, 10, -8), EXIT());
            }
}

TEST(calls_and_loops)
{
    /* a function with a stack and saved registers of its own; sums 1..r1 in a loop that begins at its first instruction */
    RESULT(5050 + 7, MOV(6, 7), MOV(1, 100), ST(BPF_DW, 10, -8, 0), MOVX(2, 10), ALU(BPF_ADD, 2, -8), CALLF(4), LDX(BPF_DW, 0, 10, -8), ALUX(BPF_ADD, 0, 6),
           EXIT(), /* 8 */ EXIT(), /* never */
           MOVX(6, 2), LDX(BPF_DW, 7, 6, 0), ALUX(BPF_ADD, 7, 1), STX(BPF_DW, 6, 0, 7), ALU(BPF_SUB, 1, 1), JMP(BPF_JNE, 1, 0, -6), MOV(0, 0), EXIT());
    /* functions that call functions */
    RESULT(42, MOV(1, 40), CALLF(1), EXIT(), ALU(BPF_ADD, 1, 1), CALLF(1), EXIT(), MOVX(0, 1), ALU(BPF_ADD, 0, 1), EXIT());
}

/* --- ranges ------------------------------------------------------------------------------------ */

static u64 pick(void)
{
    u64 v = sim_random();
    return sim_chance(3) ? samples[v % ARRAY_SIZE(samples)] : v >> (sim_random() % 64);
}

static bool has(const struct range *r, u64 x)
{
    return (x & ~r->mask) == r->value && x >= r->umin && x <= r->umax && (s64)x >= r->smin && (s64)x <= r->smax;
}

/* Some set with x in it. */
static struct range around(u64 x)
{
    struct range r = range_any();
    if (sim_chance(4))
        return range_const(x);
    if (sim_chance(2)) {
        u64 mask = pick();
        r.value = x & ~mask;
        r.mask = mask;
    }
    if (sim_chance(2)) {
        u64 d = pick(), e = pick();
        r.umin = d > x ? 0 : x - d;
        r.umax = e > UINT64_MAX - x ? UINT64_MAX : x + e;
    }
    if (sim_chance(2)) {
        s64 low, high;
        r.smin = __builtin_sub_overflow((s64)x, (s64)(pick() >> 1), &low) ? INT64_MIN : low;
        r.smax = __builtin_add_overflow((s64)x, (s64)(pick() >> 1), &high) ? INT64_MAX : high;
    }
    CHECK(range_sync(&r));
    CHECK(has(&r, x));
    return r;
}

TEST(ranges_hold_results)
{
    for (unsigned n = 0; n < 100000; n++) {
        u64 x = pick(), y = pick();
        struct range a = around(x), b = around(y), any = range_any();
        u8 op = ops[sim_random() % ARRAY_SIZE(ops)], jump = jumps[sim_random() % ARRAY_SIZE(jumps)];
        CHECK(range_covers(&any, &a) && range_covers(&a, &a));
        if (op != BPF_MOV) {
            struct range r = range_op(op, true, a, b);
            CHECK(has(&r, expect64(op, x, y)));
            r = range_op(op, false, a, b);
            CHECK(has(&r, expect32(op, (u32)x, (u32)y)));
        }
        struct range c = a, d = b;
        CHECK(range_branch(jump, true, jump64(jump, x, y) != 0, &c, &d));
        CHECK(has(&c, x) && has(&d, y));
        c = a;
        d = b;
        CHECK(range_branch(jump, false, jump32(jump, x, y) != 0, &c, &d));
        CHECK(has(&c, x) && has(&d, y));
        struct range t = range_truncate(a, 16);
        CHECK(has(&t, (u16)x));
    }
}

TEST(ranges_are_narrow)
{
    struct range a = range_between(0, 10), b = range_const(5), r = range_op(BPF_ADD, true, a, b);
    CHECK(r.umin == 5 && r.umax == 15);
    r = range_op(BPF_LSH, true, a, range_const(3));
    CHECK(r.umax == 80 && (r.mask & 7) == 0);
    r = range_op(BPF_AND, true, range_any(), range_const(0xff));
    CHECK(r.umax == 0xff);
    r = range_any();
    CHECK(range_branch(BPF_JLT, true, true, &r, &b));
    CHECK(r.umax == 4);
    r = range_between(0, 100);
    CHECK(!range_branch(BPF_JGT, true, true, &r, &(struct range){ 100, 0, 100, 100, 100, 100 }));
}
