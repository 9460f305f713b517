/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Generating instructions. Registers: r6 the context, r7 within one expression without others inside it. Values of expressions come in r0, or at
 * a place of the stack.
 */
#ifndef HOST_BPF_GEN_H
#define HOST_BPF_GEN_H

#include "host/bpf/lang.h"

#define STACK_MAX 512u
#define LABELS_MAX 8192u

enum { R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10 };

struct gen {
    struct lang *l;
    struct clause *c;
    const struct target *t;
    struct unit_program *out;
    u32 at;            /* in the text: what is generated now */
    u32 stack;         /* bytes in use */
    bool failed;       /* the error is set; nothing more is added */
    s32 labels[LABELS_MAX]; /* where, or -1 */
    u32 nlabels;
    struct jump {
        u32 insn, label;
    } *jumps;
    u32 njumps;
    u32 end;           /* label of the program's end */
    u32 loop_start, loop_end; /* of the innermost while */
};

/* --- emit.c --- */
void gen_fail(struct gen *g, u32 at, const char *what);
void emit(struct gen *g, u8 code, u8 dst, u8 src, s16 off, s32 imm);
void emit_imm(struct gen *g, u8 dst, u64 value);       /* dst = value */
void emit_map(struct gen *g, u8 dst, u32 map);         /* dst = a map of the unit */
void emit_lost(struct gen *g);                            /* count one more in lang->lost if r0 is an error */
void emit_mov(struct gen *g, u8 dst, u8 src);
void emit_alu(struct gen *g, u8 op, u8 dst, u8 src);
void emit_alu_imm(struct gen *g, u8 op, u8 dst, s32 imm);
void emit_load(struct gen *g, u8 dst, u8 base, s32 off);  /* 8 bytes */
void emit_store(struct gen *g, u8 base, s32 off, u8 src);
void emit_store_imm(struct gen *g, s32 off, u64 value);   /* on the stack; r1 is lost where it takes two instructions */
void emit_zero(struct gen *g, s32 off, u32 size);         /* on the stack */
void emit_address(struct gen *g, u8 dst, s32 off);        /* dst = r10 + off */
void emit_call(struct gen *g, s32 helper);
u32 new_label(struct gen *g);
void place_label(struct gen *g, u32 label);
/* op: BPF_JEQ, ...; or BPF_JA. */
void emit_jump(struct gen *g, u8 op, u8 dst, u8 src, u32 label);
void emit_jump_imm(struct gen *g, u8 op, u8 dst, s32 imm, u32 label);
void emit_jumps(struct gen *g);                           /* all labels are placed: fill them in */
/* Bytes of the stack, from r10 on; free again when g->stack is set back. */
s32 take_stack(struct gen *g, u32 size);

/* --- gen_value.c --- */
void gen_number(struct gen *g, const struct expr *e);     /* r0 = the value; for types of 8 bytes that are no strings */
void gen_value(struct gen *g, const struct expr *e, s32 off, const struct type *to); /* as `to` wants it */
void gen_false(struct gen *g, const struct expr *e, u32 label); /* jump there when it is 0 */
void gen_operator(struct gen *g, int op, bool is_signed);  /* r0 = r0 op r1 */
/* The key of a map on the stack; sums of histograms have 8 bytes more. */
s32 gen_key(struct gen *g, const struct expr *map);
u32 key_size(const struct map_def *m);
void gen_lookup(struct gen *g, const struct map_def *m, s32 key); /* r0 = address or 0 */
void gen_update(struct gen *g, const struct map_def *m, s32 key, s32 value);

#endif
