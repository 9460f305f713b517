/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions by hand, and programs to verify and run in both ways. */
#ifndef BPF_TEST_ASM_H
#define BPF_TEST_ASM_H

#include "sim/test.h"

#include "../bpf_impl.h"

#define I(c, d, s, o, i) { (u8)(c), (u8)((d) | (s) << 4), (s16)(o), (s32)(i) }
#define ALU(op, d, i) I(BPF_ALU64 | (op), d, 0, 0, i)
#define ALUX(op, d, s) I(BPF_ALU64 | (op) | BPF_X, d, s, 0, 0)
#define ALU32(op, d, i) I(BPF_ALU | (op), d, 0, 0, i)
#define ALU32X(op, d, s) I(BPF_ALU | (op) | BPF_X, d, s, 0, 0)
#define MOV(d, i) ALU(BPF_MOV, d, i)
#define MOVX(d, s) ALUX(BPF_MOV, d, s)
#define LD64(d, v) I(BPF_LD_IMM64, d, 0, 0, (u32)(v)), I(0, 0, 0, 0, (u64)(v) >> 32)
#define LDMAP(d, m) I(BPF_LD_IMM64, d, BPF_PSEUDO_MAP_FD, 0, m), I(0, 0, 0, 0, 0)
#define LDVALUE(d, m, off) I(BPF_LD_IMM64, d, BPF_PSEUDO_MAP_VALUE, 0, m), I(0, 0, 0, 0, off)
#define LDX(size, d, s, off) I(BPF_LDX | BPF_MEM | (size), d, s, off, 0)
#define STX(size, d, off, s) I(BPF_STX | BPF_MEM | (size), d, s, off, 0)
#define ST(size, d, off, i) I(BPF_ST | BPF_MEM | (size), d, 0, off, i)
#define ATOMIC(size, op, d, off, s) I(BPF_STX | BPF_ATOMIC | (size), d, s, off, op)
#define JMP(op, d, i, off) I(BPF_JMP | (op), d, 0, off, i)
#define JMPX(op, d, s, off) I(BPF_JMP | (op) | BPF_X, d, s, off, 0)
#define JMP32(op, d, i, off) I(BPF_JMP32 | (op), d, 0, off, i)
#define JMP32X(op, d, s, off) I(BPF_JMP32 | (op) | BPF_X, d, s, off, 0)
#define JA(off) I(BPF_JMP | BPF_JA, 0, 0, off, 0)
#define CALL(helper) I(BPF_JMP | BPF_CALL, 0, 0, 0, helper)
#define CALLF(to) I(BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, to)
#define EXIT() I(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

#define CTX_BYTES 64u

struct loaded {
    struct bpf_code code;
    u8 *machine;
    size_t bytes;
};

/* The verifier's answer; accepted, *ret is there. */
int load_program(const struct bpf_insn *insns, u32 count, struct bpf_map *const *maps, u32 nmaps, struct verify_result *why, struct loaded *ret);
void unload(struct loaded *p);
/* By the interpreter, or by the machine. */
u64 run_slowly(const struct loaded *p, const void *ctx);
u64 run_natively(const struct loaded *p, const void *ctx);
struct bpf_map *make_map(u32 number, u32 type, u32 key, u32 value, u32 entries);

/* Accepted, and both say so. */
#define RESULT(expected, ...)                                                                             \
    do {                                                                                                  \
        const struct bpf_insn insns_[] = { __VA_ARGS__ };                                                 \
        expect_result(__FILE__, __LINE__, insns_, ARRAY_SIZE(insns_), (u64)(expected));                   \
    } while (0)
/* Refused at that instruction with a reason that has this text. */
#define REFUSED(at, text, ...)                                                                            \
    do {                                                                                                  \
        const struct bpf_insn insns_[] = { __VA_ARGS__ };                                                 \
        expect_refused(__FILE__, __LINE__, insns_, ARRAY_SIZE(insns_), at, text);                         \
    } while (0)
#define ACCEPTED(...)                                                                                     \
    do {                                                                                                  \
        const struct bpf_insn insns_[] = { __VA_ARGS__ };                                                 \
        expect_accepted(__FILE__, __LINE__, insns_, ARRAY_SIZE(insns_));                                  \
    } while (0)
/* With these, while not NULL. */
extern struct bpf_map *test_maps[8];
extern u8 test_ctx[CTX_BYTES];
void expect_result(const char *file, int line, const struct bpf_insn *insns, u32 count, u64 expected);
void expect_refused(const char *file, int line, const struct bpf_insn *insns, u32 count, u32 at, const char *text);
void expect_accepted(const char *file, int line, const struct bpf_insn *insns, u32 count);

#endif
