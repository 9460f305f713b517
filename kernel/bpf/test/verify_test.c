/* SPDX-License-Identifier: Apache-2.0 */
/* What the verifier refuses, each with its reason, and what it has to accept: shapes that clang -O2 and simple compilers make. */
#include "asm.h"

#define ADDR(d, off) MOVX(d, 10), ALU(BPF_ADD, d, off)
enum { ARRAY, HASH, RING, READ_ONLY, STACKS, PERF };
#define VALUE_BYTES 48u

static void make_maps(void)
{
    test_maps[ARRAY] = make_map(ARRAY, MAP_ARRAY, 4, VALUE_BYTES, 16);
    test_maps[HASH] = make_map(HASH, MAP_HASH, 8, VALUE_BYTES, 16);
    test_maps[RING] = make_map(RING, MAP_RINGBUF, 0, 0, 4096);
    test_maps[READ_ONLY] = make_map(READ_ONLY, MAP_ARRAY, 4, VALUE_BYTES, 16);
    test_maps[READ_ONLY]->flags = MAP_RDONLY_PROG;
    test_maps[STACKS] = make_map(STACKS, MAP_STACKS, 4, 80, 16);
    test_maps[PERF] = make_map(PERF, MAP_PERF, 4, 4, 0);
}

/* r0 = a value of the array, or the end. 8 instructions. */
#define LOOKUP(map) ST(BPF_DW, 10, -8, 1), ADDR(2, -8), LDMAP(1, map), CALL(1), JMP(BPF_JNE, 0, 0, 1), EXIT()
#define RESERVE(size) LDMAP(1, RING), MOV(2, size), MOV(3, 0), CALL(131)

TEST(form)
{
    REFUSED(0, "goes on behind", MOV(0, 0));
    REFUSED(1, "goes on behind", MOV(0, 0), JMP(BPF_JEQ, 0, 0, -2));
    REFUSED(0, "unknown instruction", I(0xff, 0, 0, 0, 0), EXIT());
    REFUSED(0, "unknown instruction", I(BPF_ALU64 | BPF_MOV, 11, 0, 0, 0), EXIT());
    REFUSED(0, "unknown instruction", I(BPF_ALU64 | BPF_ADD, 0, 0, 7, 0), EXIT());
    REFUSED(0, "unknown instruction", ALU(BPF_DIV, 0, 0), EXIT());
    REFUSED(0, "unknown instruction", ALU(BPF_LSH, 0, 64), EXIT());
    REFUSED(0, "unknown instruction", ALU32(BPF_LSH, 0, 32), EXIT());
    REFUSED(0, "unknown instruction", I(BPF_LDX | 0x20, 0, 1, 0, 0), EXIT());
    REFUSED(0, "unknown instruction", ATOMIC(BPF_B, BPF_ADD, 10, -8, 1), EXIT());
    REFUSED(0, "unknown instruction", ATOMIC(BPF_DW, BPF_SUB, 10, -8, 1), EXIT());
    REFUSED(0, "leads out", JA(1), EXIT());
    REFUSED(0, "leads out", JA(-2), EXIT());
    REFUSED(0, "between two halves", JA(1), LD64(0, 1), EXIT());
    REFUSED(0, "no second half", I(BPF_LD_IMM64, 0, 0, 0, 0), EXIT());
    REFUSED(0, "leads out of the program", CALLF(7), EXIT());
    REFUSED(1, "leads out of its function", CALLF(2), JA(1), EXIT(), MOV(0, 0), EXIT());
}

TEST(registers)
{
    REFUSED(0, "r0 is read before", EXIT());
    REFUSED(0, "r3 is read before", MOVX(0, 3), EXIT());
    REFUSED(1, "r2 is read before", MOV(0, 0), JMPX(BPF_JEQ, 0, 2, 0), EXIT());
    REFUSED(0, "r10 cannot be written", MOV(10, 0), EXIT());
    REFUSED(0, "r10 cannot be written", LDX(BPF_DW, 10, 1, 0), EXIT());
    REFUSED(1, "r1 is read before", CALL(7), MOVX(0, 1), EXIT()); /* a call takes r1 to r5 */
    REFUSED(1, "r0 is a pointer", MOVX(0, 10), EXIT());
    REFUSED(4, "r0 is read before", LDX(BPF_DW, 2, 1, 0), JMP(BPF_JEQ, 2, 0, 2), MOV(0, 1), EXIT(), EXIT());
    ACCEPTED(LDX(BPF_DW, 2, 1, 0), MOV(0, 1), JMP(BPF_JEQ, 2, 0, 1), MOV(0, 2), EXIT());
}

TEST(stack)
{
    REFUSED(0, "was not written", LDX(BPF_DW, 0, 10, -8), EXIT());
    REFUSED(1, "was not written", ST(BPF_W, 10, -8, 0), LDX(BPF_DW, 0, 10, -8), EXIT());
    REFUSED(0, "outside of the stack", ST(BPF_DW, 10, 0, 0), EXIT());
    REFUSED(0, "outside of the stack", ST(BPF_DW, 10, -520, 0), EXIT());
    REFUSED(0, "outside of the stack", ST(BPF_W, 10, -2, 0), EXIT());
    REFUSED(0, "not a multiple", ST(BPF_DW, 10, -12, 0), EXIT());
    REFUSED(0, "a part of a pointer", STX(BPF_W, 10, -8, 1), EXIT());
    REFUSED(1, "would be seen as a number", STX(BPF_DW, 10, -8, 1), LDX(BPF_W, 0, 10, -8), EXIT());
    REFUSED(2, "was not written", STX(BPF_DW, 10, -8, 1), ST(BPF_B, 10, -8, 0), LDX(BPF_DW, 0, 10, -8), EXIT());
    REFUSED(3, "does not allow it", LDX(BPF_DW, 2, 1, 0), ALU(BPF_AND, 2, 7), MOVX(3, 10), ALUX(BPF_SUB, 3, 2), EXIT());
    ACCEPTED(STX(BPF_DW, 10, -8, 1), LDX(BPF_DW, 2, 10, -8), LDX(BPF_DW, 0, 2, 0), EXIT());
    ACCEPTED(ST(BPF_W, 10, -8, 0), ST(BPF_H, 10, -4, 0), ST(BPF_B, 10, -2, 0), ST(BPF_B, 10, -1, 0), LDX(BPF_DW, 0, 10, -8), EXIT());
}

TEST(context)
{
    REFUSED(0, "has no field", LDX(BPF_DW, 0, 1, 64), EXIT());
    REFUSED(0, "has no field", LDX(BPF_DW, 0, 1, -8), EXIT());
    REFUSED(0, "has no field", LDX(BPF_DW, 0, 1, 4), EXIT());
    REFUSED(0, "cannot write through", ST(BPF_DW, 1, 0, 0), EXIT());
    REFUSED(2, "on the context", MOV(2, 1), MOV(0, 0), ATOMIC(BPF_DW, BPF_ADD, 1, 0, 2), EXIT());
    REFUSED(1, "does not allow it", LDX(BPF_DW, 2, 1, 0), ALUX(BPF_ADD, 1, 2), EXIT());
    ACCEPTED(ALU(BPF_ADD, 1, 8), LDX(BPF_DW, 0, 1, 48), EXIT());
}

TEST(pointers_stay_pointers)
{
    make_maps();
    REFUSED(0, "arithmetic on a pointer", ALU(BPF_AND, 1, 7), EXIT());
    REFUSED(0, "arithmetic on a pointer", ALU(BPF_NEG, 1, 0), EXIT());
    REFUSED(0, "arithmetic on a pointer", ALU32(BPF_ADD, 1, 7), EXIT());
    REFUSED(1, "made a number", MOVX(2, 10), ALUX(BPF_SUB, 2, 1), EXIT());
    REFUSED(1, "made a number", MOV(2, 0), ALUX(BPF_SUB, 2, 1), EXIT());
    REFUSED(0, "a part of a pointer is taken", ALU32X(BPF_MOV, 0, 1), EXIT());
    REFUSED(0, "compared with something else", JMP(BPF_JGT, 1, 0, 0), EXIT());
    REFUSED(0, "compared with something else", JMP(BPF_JEQ, 1, 5, 0), EXIT());
    REFUSED(1, "compared with something else", MOVX(2, 1), JMPX(BPF_JEQ, 1, 2, 0), EXIT());
    REFUSED(8, "the client reads it", LOOKUP(ARRAY), STX(BPF_DW, 0, 0, 10), EXIT());
    REFUSED(9, "a pointer in an atomic", LOOKUP(ARRAY), MOVX(1, 0), ATOMIC(BPF_DW, BPF_XCHG, 0, 0, 1), EXIT());
    REFUSED(1, "number is used as an address", MOV(0, 0), LDX(BPF_DW, 0, 0, 0), EXIT());
    REFUSED(2, "number is used as an address", LD64(2, 0x200000000000), LDX(BPF_DW, 0, 2, 0), EXIT());
    REFUSED(2, "cannot read through", LDMAP(1, ARRAY), LDX(BPF_DW, 0, 1, 0), EXIT());
    REFUSED(1, "seen as a number", STX(BPF_DW, 10, -8, 10), LDX(BPF_B, 0, 10, -1), EXIT());
    /* a pointer in what a helper sends */
    REFUSED(8, "seen as a number", STX(BPF_DW, 10, -8, 10), MOVX(1, 1), MOVX(1, 1), LDMAP(1, RING), ADDR(2, -8), MOV(3, 8), CALL(130), EXIT());
}

TEST(map_values)
{
    make_maps();
    REFUSED(6, "test it first", ST(BPF_DW, 10, -8, 1), ADDR(2, -8), LDMAP(1, ARRAY), CALL(1), LDX(BPF_DW, 0, 0, 0), EXIT());
    REFUSED(6, "test it first", ST(BPF_DW, 10, -8, 1), ADDR(2, -8), LDMAP(1, ARRAY), CALL(1), ALU(BPF_ADD, 0, 8), EXIT());
    REFUSED(8, "map value", LOOKUP(ARRAY), LDX(BPF_DW, 1, 0, VALUE_BYTES - 4), EXIT());
    REFUSED(8, "map value", LOOKUP(ARRAY), LDX(BPF_DW, 1, 0, -1), EXIT());
    REFUSED(11, "map value", LOOKUP(ARRAY), LDX(BPF_DW, 1, 0, 0), ALU(BPF_AND, 1, 63), ALUX(BPF_ADD, 0, 1), LDX(BPF_B, 1, 0, 0), EXIT());
    REFUSED(9, "no bounds", LOOKUP(ARRAY), LDX(BPF_DW, 1, 0, 0), ALUX(BPF_ADD, 0, 1), LDX(BPF_B, 1, 0, 0), EXIT());
    REFUSED(11, "no bounds", LOOKUP(ARRAY), LDX(BPF_DW, 1, 0, 0), ALU(BPF_AND, 1, 15), ALUX(BPF_SUB, 0, 1), LDX(BPF_B, 1, 0, 0), EXIT());
    REFUSED(10, "no bounds", LOOKUP(ARRAY), LDX(BPF_DW, 1, 0, 0), JMP(BPF_JSGT, 1, 8, 2), ALUX(BPF_ADD, 0, 1), LDX(BPF_B, 1, 0, 0), MOV(0, 0), EXIT());
    /* value + (-value) is 0: the way that "cannot be gone" would bring a number to where a pointer is expected */
    REFUSED(11, "no bounds", LOOKUP(ARRAY), LDX(BPF_DW, 1, 0, 0), LDX(BPF_DW, 2, 0, 8), MOVX(6, 0), ALUX(BPF_ADD, 6, 1), JMP(BPF_JEQ, 6, 0, 1), MOVX(2, 0),
            ST(BPF_DW, 2, 0, 1), MOV(0, 0), EXIT());
    REFUSED(8, "not for programs to write", LOOKUP(READ_ONLY), ST(BPF_DW, 0, 0, 0), EXIT());
    REFUSED(0, "there is no map 6", LDMAP(1, 6), EXIT());
    REFUSED(0, "constant addresses", LDVALUE(1, HASH, 0), EXIT());
    REFUSED(0, "constant addresses", LDVALUE(1, ARRAY, VALUE_BYTES * 16), EXIT());
    REFUSED(2, "map value", LDVALUE(1, ARRAY, 8), LDX(BPF_DW, 0, 1, VALUE_BYTES - 8), EXIT());
    REFUSED(9, "not aligned", LOOKUP(ARRAY), MOV(1, 1), ATOMIC(BPF_DW, BPF_ADD, 0, 4, 1), EXIT());
    ACCEPTED(LOOKUP(ARRAY), LDX(BPF_DW, 1, 0, 0), ALU(BPF_AND, 1, 31), ALUX(BPF_ADD, 0, 1), LDX(BPF_DW, 0, 0, 0), EXIT());
    ACCEPTED(LOOKUP(HASH), LDX(BPF_DW, 1, 0, 0), JMP(BPF_JGT, 1, 40, 2), ALUX(BPF_ADD, 0, 1), LDX(BPF_DW, 1, 0, 0), MOV(0, 0), EXIT());
    ACCEPTED(LOOKUP(READ_ONLY), LDX(BPF_DW, 0, 0, 0), EXIT());
    ACCEPTED(LDVALUE(1, ARRAY, 8 + VALUE_BYTES), MOV(2, 1), ATOMIC(BPF_DW, BPF_ADD, 1, 0, 2), LDX(BPF_DW, 0, 1, 32), EXIT());
    /* both copies of the pointer are settled by one test */
    ACCEPTED(ST(BPF_DW, 10, -8, 1), ADDR(2, -8), LDMAP(1, ARRAY), CALL(1), MOVX(6, 0), STX(BPF_DW, 10, -16, 0), JMP(BPF_JEQ, 0, 0, 3),
             LDX(BPF_DW, 1, 10, -16), LDX(BPF_DW, 0, 1, 0), LDX(BPF_DW, 0, 6, 8), MOV(0, 0), EXIT());
    /* the bound that was found for one copy of a number holds for the other */
    ACCEPTED(LOOKUP(ARRAY), LDX(BPF_DW, 1, 0, 0), MOVX(2, 1), JMP(BPF_JGT, 2, 40, 2), ALUX(BPF_ADD, 0, 1), LDX(BPF_DW, 1, 0, 0), MOV(0, 0), EXIT());
}

TEST(helpers)
{
    make_maps();
    REFUSED(0, "no helper 9999", CALL(9999), EXIT());
    REFUSED(0, "a map is expected", CALL(1), EXIT());
    REFUSED(2, "r2 is read before", LDMAP(1, ARRAY), CALL(1), EXIT());
    REFUSED(4, "was not written", LDMAP(1, ARRAY), ADDR(2, -8), CALL(1), EXIT());
    REFUSED(5, "another type", ST(BPF_DW, 10, -8, 0), LDMAP(1, RING), ADDR(2, -8), CALL(1), EXIT());
    REFUSED(8, "not for programs to write", ST(BPF_DW, 10, -8, 0), LDMAP(1, READ_ONLY), ADDR(2, -8), ADDR(3, -8), MOV(4, 0), CALL(2), EXIT());
    REFUSED(8, "was not written", ST(BPF_DW, 10, -8, 0), LDMAP(1, ARRAY), ADDR(2, -8), ADDR(3, -48), MOV(4, 0), CALL(2), EXIT());
    REFUSED(4, "may be 0", ADDR(1, -16), MOV(2, 0), MOV(3, 0), CALL(16), EXIT());
    REFUSED(4, "may be negative", ADDR(1, -16), MOV(2, -1), MOV(3, 0), CALL(16), EXIT());
    REFUSED(3, "outside of the stack", ADDR(1, -16), MOV(2, 17), CALL(16), EXIT());
    REFUSED(3, "a size is expected", ADDR(1, -16), MOVX(2, 10), CALL(16), EXIT());
    REFUSED(5, "a number is expected", MOVX(6, 1), LDMAP(2, STACKS), MOVX(3, 10), MOV(0, 0), CALL(27), EXIT());
    REFUSED(4, "the context is expected", MOV(1, 0), LDMAP(2, STACKS), MOV(3, 0), CALL(27), EXIT());
    REFUSED(4, "was not written", MOVX(6, 1), ADDR(1, -16), MOV(2, 8), CALL(6), EXIT());
    ACCEPTED(ADDR(1, -16), MOV(2, 16), CALL(16), LDX(BPF_DW, 0, 10, -16), EXIT());
    ACCEPTED(MOVX(3, 1), ADDR(1, -16), MOV(2, 16), CALL(113), LDX(BPF_DW, 0, 10, -16), EXIT());
    ACCEPTED(ST(BPF_DW, 10, -8, 0), ADDR(1, -8), MOV(2, 8), CALL(6), EXIT());
    /* a size with bounds: what it may leave out is not initialised */
    REFUSED(6, "was not written", LDX(BPF_DW, 2, 1, 0), ALU(BPF_AND, 2, 15), MOV(3, 0), ADDR(1, -16), CALL(4), LDX(BPF_DW, 0, 10, -16), EXIT());
    ACCEPTED(ST(BPF_DW, 10, -16, 0), LDX(BPF_DW, 2, 1, 0), ALU(BPF_AND, 2, 15), MOV(3, 0), ADDR(1, -16), CALL(4), LDX(BPF_DW, 0, 10, -16), EXIT());
}

TEST(records)
{
    make_maps();
    REFUSED(7, "neither submitted nor discarded", RESERVE(16), JMP(BPF_JEQ, 0, 0, 0), MOV(0, 0), EXIT());
    REFUSED(7, "begin of a reserved record", RESERVE(16), MOVX(1, 0), MOV(2, 0), CALL(132), EXIT());
    REFUSED(5, "a constant of 1", MOVX(6, 1), LDX(BPF_DW, 2, 6, 0), LDMAP(1, RING), MOV(3, 0), CALL(131), EXIT());
    REFUSED(5, "test it first", RESERVE(16), ST(BPF_DW, 0, 0, 0), EXIT());
    REFUSED(7, "record", RESERVE(16), JMP(BPF_JNE, 0, 0, 1), EXIT(), ST(BPF_DW, 0, 16, 0), EXIT());
    REFUSED(7, "the client reads it", RESERVE(16), JMP(BPF_JNE, 0, 0, 1), EXIT(), STX(BPF_DW, 0, 0, 10), EXIT());
    REFUSED(11, "r6 is read before", RESERVE(16), MOVX(6, 0), JMP(BPF_JNE, 0, 0, 1), EXIT(), MOVX(1, 6), MOV(2, 0), CALL(132), STX(BPF_DW, 6, 0, 0), EXIT());
    REFUSED(13, "r6 is read before", RESERVE(16), MOVX(6, 0), JMP(BPF_JNE, 0, 0, 1), EXIT(), MOVX(1, 6), MOV(2, 0), CALL(132), MOV(2, 0), MOVX(7, 10), MOVX(1, 6),
            CALL(132), EXIT());
    ACCEPTED(RESERVE(16), JMP(BPF_JNE, 0, 0, 1), EXIT(), ST(BPF_DW, 0, 0, 1), ST(BPF_DW, 0, 8, 1), MOVX(1, 0), MOV(2, 0), CALL(132), MOV(0, 0), EXIT());
}

TEST(ends)
{
    make_maps();
    REFUSED(1, "may not end", MOV(0, 0), JA(-1));
    REFUSED(1, "may not end", MOV(0, 0), CALL(7), JMP(BPF_JNE, 0, 0, -2), EXIT());
    /* a counter that another path resets */
    REFUSED(2, "may not end", MOV(6, 0), JA(0), MOV(6, 0), ALU(BPF_ADD, 6, 1), CALL(7), JMP(BPF_JEQ, 0, 0, -4), EXIT());
    /* no bound for the counter: the budget ends it */
    {
        const struct bpf_insn insns[] = { MOV(0, 0), ALU(BPF_ADD, 0, 1), JA(-2) };
        struct verify_result why;
        struct loaded p;
        CHECK_EQ(load_program(insns, ARRAY_SIZE(insns), NULL, 0, &why, &p), -E2BIG);
    }
    RESULT(1000, MOV(0, 0), ALU(BPF_ADD, 0, 1), JMP(BPF_JLT, 0, 1000, -2), EXIT());
    REFUSED(0, "leads out", CALLF(-1), EXIT());
}

/* 24 conditions one after the other: 16 million paths, of which few are different. */
TEST(paths_meet)
{
    struct bpf_insn insns[24 * 3 + 4];
    struct verify_result why;
    struct loaded p;
    u32 n = 0;
    insns[n++] = (struct bpf_insn)LDX(BPF_DW, 6, 1, 0);
    for (unsigned i = 0; i < 24; i++) {
        insns[n++] = (struct bpf_insn)MOV(3, i);
        insns[n++] = (struct bpf_insn)JMP(BPF_JSET, 6, 1 << i, 1);
        insns[n++] = (struct bpf_insn)MOV(3, i + 1); /* dead behind the next one */
    }
    insns[n++] = (struct bpf_insn)MOV(0, 0);
    insns[n++] = (struct bpf_insn)EXIT();
    int err = load_program(insns, n, NULL, 0, &why, &p);
    if (err != 0)
        sim_test_failed(__FILE__, __LINE__, "%s", why.why);
    unload(&p);
}

TEST(functions)
{
    make_maps();
    REFUSED(3, "r2 is read before", CALLF(1), EXIT(), MOV(0, 0), MOVX(0, 2), EXIT());
    REFUSED(3, "r6 is read before", MOV(6, 1), CALLF(1), EXIT(), MOVX(0, 6), EXIT());
    REFUSED(4, "would outlive", MOVX(2, 10), CALLF(2), MOV(0, 0), EXIT(), STX(BPF_DW, 2, -8, 10), EXIT());
    REFUSED(2, "deeper than", CALLF(1), EXIT(), CALLF(-1), EXIT());
    REFUSED(3, "the address of a stack", CALLF(1), EXIT(), MOVX(0, 10), EXIT());
    REFUSED(1, "r0 is a pointer", CALLF(1), EXIT(), MOVX(0, 1), EXIT());
    REFUSED(1, "r0 is read before", CALLF(1), EXIT(), EXIT());
    ACCEPTED(CALLF(2), MOV(0, 0), EXIT(), EXIT()); /* clang: of a function whose result nobody looks at */
    ACCEPTED(CALLF(4), JMP(BPF_JEQ, 0, 0, 2), LDX(BPF_DW, 1, 0, 0), MOV(0, 0), EXIT(), ST(BPF_DW, 10, -8, 1), ADDR(2, -8), LDMAP(1, ARRAY), CALL(1), EXIT());
    ACCEPTED(ST(BPF_DW, 10, -8, 7), ADDR(1, -8), CALLF(1), EXIT(), LDX(BPF_DW, 0, 1, 0), ST(BPF_DW, 10, -8, 0), EXIT());
}

/* An error on the way gives everything back. */
TEST(memory_runs_out)
{
    make_maps();
    const struct bpf_insn insns[] = { LOOKUP(ARRAY), LDX(BPF_DW, 1, 0, 0), JMP(BPF_JGT, 1, 40, 2), ALUX(BPF_ADD, 0, 1), LDX(BPF_DW, 1, 0, 0), MOV(0, 0), EXIT() };
    struct verify_result why;
    unsigned accepted = 0;
    for (unsigned i = 0; i < 200; i++) {
        struct bpf_code code = { .insns = kmalloc(sizeof(insns), 0), .count = ARRAY_SIZE(insns) };
        memcpy(code.insns, insns, sizeof(insns));
        unsigned rate = sim_fail_allocations(6);
        int err = bpf_verify(&code, CTX_BYTES, NULL, test_maps, ARRAY_SIZE(test_maps), &why);
        sim_fail_allocations(rate);
        CHECK(err == 0 || err == -ENOMEM || err == -E2BIG);
        accepted += err == 0;
        bpf_code_done(&code);
    }
    CHECK(accepted > 0 && accepted < 200);
}

/* What the context would have is somewhere else: loads are rewritten, unless one wants what is not there, could be of two places,
 * or has no offset that leads to the other place. */
TEST(contexts_that_lie_elsewhere)
{
    static const s16 words[CTX_BYTES / 8] = { -1, 40, 8, 16, 24, 32, 48, 56 };
    const struct bpf_insn moved[] = { LDX(BPF_DW, 0, 1, 8), ALU(BPF_ADD, 1, 16), LDX(BPF_W, 2, 1, 4), ALUX(BPF_ADD, 0, 2), EXIT() };
    const struct bpf_insn head[] = { LDX(BPF_DW, 0, 1, 0), EXIT() };
    const struct bpf_insn two[] = { LDX(BPF_DW, 2, 1, 8), JMP(BPF_JEQ, 2, 0, 1), ALU(BPF_ADD, 1, 8), LDX(BPF_DW, 0, 1, 8), EXIT() };
    const struct bpf_insn whole[] = { MOVX(3, 1), ADDR(1, -8), MOV(2, 8), CALL(113), EXIT() };
    const struct bpf_insn below[] = { ALU(BPF_ADD, 1, 8 - INT16_MAX), LDX(BPF_DW, 0, 1, INT16_MAX), EXIT() }; /* 32 more are no offset */
    const struct bpf_insn above[] = { ALU(BPF_ADD, 1, 16 - INT16_MIN), LDX(BPF_DW, 0, 1, INT16_MIN), EXIT() };
    /* one load of the context and of a pointer on the stack, whichever comes first: another offset would lead to something else there */
    const struct bpf_insn stack[] = { MOVX(6, 1), LDX(BPF_DW, 0, 6, 16), STX(BPF_DW, 10, -8, 6), STX(BPF_DW, 10, -16, 0), MOVX(2, 10), ALU(BPF_SUB, 2, 16),
                                      JMP(BPF_JEQ, 0, 0, 1), MOVX(2, 6), LDX(BPF_DW, 3, 2, 8), MOV(0, 0), EXIT() };
    const struct bpf_insn stack_last[] = { MOVX(6, 1), LDX(BPF_DW, 0, 6, 16), STX(BPF_DW, 10, -8, 6), STX(BPF_DW, 10, -16, 0), MOVX(2, 10), ALU(BPF_SUB, 2, 16),
                                           JMP(BPF_JNE, 0, 0, 1), MOVX(2, 6), LDX(BPF_DW, 3, 2, 8), MOV(0, 0), EXIT() };
    const struct { const struct bpf_insn *insns; u32 count; bool moves; } all[] = {
        { moved, ARRAY_SIZE(moved), true }, { head, ARRAY_SIZE(head), false }, { two, ARRAY_SIZE(two), false }, { whole, ARRAY_SIZE(whole), false },
        { below, ARRAY_SIZE(below), false }, { above, ARRAY_SIZE(above), false }, { stack, ARRAY_SIZE(stack), false },
        { stack_last, ARRAY_SIZE(stack_last), false } };
    for (unsigned i = 0; i < ARRAY_SIZE(all); i++) {
        struct verify_result why;
        struct bpf_code code = { .insns = kmalloc(all[i].count * sizeof(struct bpf_insn), 0), .count = all[i].count };
        memcpy(code.insns, all[i].insns, all[i].count * sizeof(struct bpf_insn));
        CHECK_EQ(bpf_verify(&code, CTX_BYTES, words, NULL, 0, &why), 0);
        CHECK_EQ(code.on_frame, all[i].moves);
        if (i == 0) {
            u64 there[8] = { 0, 5ull << 32, 0, 0, 0, 100, 0, 0 };
            CHECK_EQ(bpf_interpret(&code, there, test_ctx + 0), 105);
        }
        bpf_code_done(&code);
    }
}
