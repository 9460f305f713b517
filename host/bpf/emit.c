/* SPDX-License-Identifier: Apache-2.0 */
/* Instructions, labels and the stack: gen.h. */
#include <string.h>

#include "host/bpf/gen.h"

void gen_fail(struct gen *g, u32 at, const char *what)
{
    if (!g->failed)
        lang_fail(g->l, at, "%s", what);
    g->failed = true;
}

void emit(struct gen *g, u8 code, u8 dst, u8 src, s16 off, s32 imm)
{
    struct unit_program *p = g->out;
    if (!g->failed && p->ninsns == BPFD_INSNS_MAX)
        gen_fail(g, g->at, "the program becomes too long here");
    if (g->failed)
        return;
    if ((p->ninsns & (p->ninsns - 1)) == 0) /* room for a power of two */
        p->insns = xrealloc(p->insns, MAX(1u, p->ninsns * 2) * sizeof(*p->insns));
    if (!p->nlines || p->lines[p->nlines - 1].at != g->at) {
        p->lines = xrealloc(p->lines, (p->nlines + 1) * sizeof(*p->lines));
        p->lines[p->nlines++] = (struct unit_line){.insn = p->ninsns, .at = g->at};
    }
    p->insns[p->ninsns++] = (struct bpf_insn){.code = code, .dst_reg = dst, .src_reg = src, .off = off, .imm = imm};
}

static void emit_wide(struct gen *g, u8 dst, u8 src, u64 value)
{
    emit(g, BPF_LD | BPF_IMM | BPF_DW, dst, src, 0, (s32)(u32)value);
    emit(g, 0, 0, 0, 0, (s32)(value >> 32));
}

static bool is_short(u64 value) { return (s64)value == (s32)value; }

void emit_imm(struct gen *g, u8 dst, u64 value)
{
    if (is_short(value))
        emit_alu_imm(g, BPF_MOV, dst, (s32)value);
    else
        emit_wide(g, dst, 0, value);
}

void emit_map(struct gen *g, u8 dst, u32 map) { emit_wide(g, dst, BPF_PSEUDO_MAP_FD, map); }
void emit_lost(struct gen *g)
{
    emit_alu_imm(g, BPF_RSH, R0, 63);
    emit_wide(g, R1, BPF_PSEUDO_MAP_VALUE, (u32)g->l->lost);
    emit(g, BPF_STX | BPF_ATOMIC | BPF_DW, R1, R0, 0, BPF_ADD);
}

void emit_mov(struct gen *g, u8 dst, u8 src) { emit_alu(g, BPF_MOV, dst, src); }
void emit_alu(struct gen *g, u8 op, u8 dst, u8 src) { emit(g, BPF_ALU64 | op | BPF_X, dst, src, 0, 0); }
void emit_alu_imm(struct gen *g, u8 op, u8 dst, s32 imm) { emit(g, BPF_ALU64 | op | BPF_K, dst, 0, 0, imm); }
void emit_load(struct gen *g, u8 dst, u8 base, s32 off) { emit(g, BPF_LDX | BPF_MEM | BPF_DW, dst, base, (s16)off, 0); }
void emit_store(struct gen *g, u8 base, s32 off, u8 src) { emit(g, BPF_STX | BPF_MEM | BPF_DW, base, src, (s16)off, 0); }

void emit_store_imm(struct gen *g, s32 off, u64 value)
{
    if (is_short(value)) {
        emit(g, BPF_ST | BPF_MEM | BPF_DW, R10, 0, (s16)off, (s32)value);
    } else {
        emit_wide(g, R1, 0, value);
        emit_store(g, R10, off, R1);
    }
}

void emit_zero(struct gen *g, s32 off, u32 size)
{
    for (u32 i = 0; i < size && !g->failed; i += 8)
        emit_store_imm(g, off + (s32)i, 0);
}

void emit_address(struct gen *g, u8 dst, s32 off)
{
    emit_mov(g, dst, R10);
    emit_alu_imm(g, BPF_ADD, dst, off);
}

void emit_call(struct gen *g, s32 helper) { emit(g, BPF_JMP | BPF_CALL, 0, 0, 0, helper); }

u32 new_label(struct gen *g)
{
    if (g->nlabels == LABELS_MAX)
        gen_fail(g, g->at, "the program becomes too long here");
    if (g->failed)
        return 0;
    g->labels[g->nlabels] = -1;
    return g->nlabels++;
}

void place_label(struct gen *g, u32 label) { g->labels[label] = (s32)g->out->ninsns; }

static void note_jump(struct gen *g, u32 label)
{
    g->jumps = xrealloc(g->jumps, (g->njumps + 1) * sizeof(*g->jumps));
    g->jumps[g->njumps++] = (struct jump){g->out->ninsns, label};
}

void emit_jump(struct gen *g, u8 op, u8 dst, u8 src, u32 label)
{
    note_jump(g, label);
    emit(g, BPF_JMP | op | (op == BPF_JA ? 0 : BPF_X), dst, src, 0, 0);
}

void emit_jump_imm(struct gen *g, u8 op, u8 dst, s32 imm, u32 label)
{
    note_jump(g, label);
    emit(g, BPF_JMP | op | BPF_K, dst, 0, 0, imm);
}

void emit_jumps(struct gen *g)
{
    for (u32 i = 0; i < g->njumps && !g->failed; i++)
        g->out->insns[g->jumps[i].insn].off = (s16)(g->labels[g->jumps[i].label] - (s32)g->jumps[i].insn - 1);
}

s32 take_stack(struct gen *g, u32 size)
{
    if (size > STACK_MAX - MIN(g->stack, STACK_MAX))
        gen_fail(g, g->at, "this needs more than the 512 bytes of stack that a program has; use fewer or shorter strings");
    else
        g->stack += size;
    return -(s32)g->stack;
}
