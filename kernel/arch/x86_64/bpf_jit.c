/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accepted eBPF programs as machine code (kern/bpf.h).
 *
 *   r0 rax   r1 rdi  r2 rsi  r3 rdx  r4 rcx  r5 r8   r6 rbx  r7 r13  r8 r14  r9 r15   r10 rbp
 *
 * so that the arguments of a helper are where C has them, and what it may change is what eBPF says. r10 and r11 are scratch. The program's
 * stack is not the kernel's: rbp points to it, and a call of a function moves rbp down by a frame. A function saves those of r6 to r9
 * that it changes. Two passes: the first finds the offsets; only jumps' distances differ in the second, and they have a fixed size.
 */
#include "kern/bpf.h"

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15 };

static const u8 reg_of[11] = { RAX, RDI, RSI, RDX, RCX, R8, RBX, R13, R14, R15, RBP };

struct out {
    const struct bpf_code *code;
    u32 *offsets;      /* of each instruction; of the whole at the end */
    u8 *buf;
    size_t size, n;
    u8 saved;          /* of the function: bits of r6 to r9 */
    u32 entries[BPF_FUNCTIONS_MAX]; /* where functions begin, as code->starts; jumps to their first instructions go behind that */
};

static void byte(struct out *o, unsigned b)
{
    if (o->n < o->size)
        o->buf[o->n] = (u8)b;
    o->n++;
}

static void word(struct out *o, u64 v, unsigned bytes)
{
    for (; bytes > 0; bytes--, v >>= 8)
        byte(o, (unsigned)v & 0xff);
}

/* Prefix with the fourth bits of ModRM's reg and rm; `always`: also when it would be empty, for sil and dil. */
static void rex(struct out *o, bool wide, unsigned reg, unsigned rm, bool always)
{
    unsigned p = 0x40u | (wide ? 8u : 0) | (reg >= 8 ? 4u : 0) | (rm >= 8 ? 1u : 0);
    if (p != 0x40u || always)
        byte(o, p);
}

static void modrm(struct out *o, unsigned reg, unsigned rm) { byte(o, 0xc0u | (reg & 7) << 3 | (rm & 7)); }

/* [base + off]; no base here is rsp or r12. */
static void modrm_memory(struct out *o, unsigned reg, unsigned base, s32 off)
{
    bool small = off == (s8)off;
    byte(o, (small ? 0x40u : 0x80u) | (reg & 7) << 3 | (base & 7));
    word(o, (u64)(s64)off, small ? 1 : 4);
}

/* op reg -> rm */
static void op_regs(struct out *o, bool wide, unsigned op, unsigned reg, unsigned rm)
{
    rex(o, wide, reg, rm, false);
    byte(o, op);
    modrm(o, reg, rm);
}

static void move(struct out *o, bool wide, unsigned to, unsigned from)
{
    if (to != from || !wide)
        op_regs(o, wide, 0x89, from, to);
}

static void move_constant(struct out *o, unsigned to, u64 v)
{
    if (v == 0) {
        op_regs(o, false, 0x31, to, to);
    } else if (v <= UINT32_MAX) {
        rex(o, false, 0, to, false);
        byte(o, 0xb8 + (to & 7));
        word(o, v, 4);
    } else if ((s64)v == (s32)v) {
        rex(o, true, 0, to, false);
        byte(o, 0xc7);
        modrm(o, 0, to);
        word(o, v, 4);
    } else {
        rex(o, true, 0, to, false);
        byte(o, 0xb8 + (to & 7));
        word(o, v, 8);
    }
}

/* --- arithmetic ------------------------------------------------------------------------------- */

/* add, or, and, sub, xor, cmp by number of their group; with a constant. */
static void group1(struct out *o, bool wide, unsigned n, unsigned rm, s32 imm)
{
    rex(o, wide, 0, rm, false);
    byte(o, imm == (s8)imm ? 0x83 : 0x81);
    modrm(o, n, rm);
    word(o, (u64)(s64)imm, imm == (s8)imm ? 1 : 4);
}

static void shift(struct out *o, bool wide, unsigned n, const struct bpf_insn *i, unsigned dst, unsigned src)
{
    if ((i->code & BPF_X) == 0) {
        rex(o, wide, 0, dst, false);
        byte(o, 0xc1);
        modrm(o, n, dst);
        byte(o, (unsigned)i->imm);
        if (!wide && i->imm == 0) /* a shift by nothing leaves the upper half */
            move(o, false, dst, dst);
        return;
    }
    op_regs(o, true, 0x89, RCX, R11);       /* mov rcx, r11 */
    unsigned to = dst == RCX ? R11 : dst;
    move(o, true, RCX, src);
    rex(o, wide, 0, to, false);
    byte(o, 0xd3);
    modrm(o, n, to);
    if (!wide)
        move(o, false, to, to);
    op_regs(o, true, 0x89, R11, RCX);
}

/* Unsigned; by 0: the quotient is 0, the rest the dividend. */
static void divide(struct out *o, bool wide, bool rest, const struct bpf_insn *i, unsigned dst, unsigned src)
{
    if ((i->code & BPF_X) != 0)
        op_regs(o, true, 0x89, src, R11);
    else
        move_constant(o, R11, wide ? (u64)(s64)i->imm : (u32)i->imm);
    op_regs(o, true, 0x89, RAX, R10);       /* rax and rdx wait in r10 and on the stack */
    byte(o, 0x52);                          /* push rdx */
    move(o, wide, RAX, dst);
    op_regs(o, false, 0x31, RDX, RDX);
    op_regs(o, wide, 0x85, R11, R11);       /* test */
    byte(o, 0x75);                          /* jne: divide */
    byte(o, rest ? 5 : 4);
    if (rest) {
        op_regs(o, true, 0x89, RAX, RDX);   /* 3 bytes, then the jump: 2 */
    } else {
        op_regs(o, false, 0x31, RAX, RAX);  /* 2, and 2 */
    }
    byte(o, 0xeb);
    byte(o, 3);                             /* over the division: 3 bytes */
    rex(o, wide, 0, R11, true);
    byte(o, 0xf7);
    modrm(o, 6, R11);
    op_regs(o, true, 0x89, rest ? RDX : RAX, R11);
    byte(o, 0x5a);                          /* pop rdx */
    op_regs(o, true, 0x89, R10, RAX);
    op_regs(o, true, 0x89, R11, dst);
}

static void multiply(struct out *o, bool wide, const struct bpf_insn *i, unsigned dst, unsigned src)
{
    bool reg = (i->code & BPF_X) != 0;
    rex(o, wide, dst, reg ? src : dst, false);
    if (reg) {
        byte(o, 0x0f);
        byte(o, 0xaf);
        modrm(o, dst, src);
    } else {
        byte(o, 0x69);
        modrm(o, dst, dst);
        word(o, (u64)(s64)i->imm, 4);
    }
}

static void byte_order(struct out *o, const struct bpf_insn *i, unsigned dst)
{
    bool swap = (i->code & BPF_X) != 0;
    if (i->imm == 16) {
        if (swap) { /* ror $8, 16 bits */
            byte(o, 0x66);
            rex(o, false, 0, dst, false);
            byte(o, 0xc1);
            modrm(o, 1, dst);
            byte(o, 8);
        }
        rex(o, false, dst, dst, false); /* movzwl */
        byte(o, 0x0f);
        byte(o, 0xb7);
        modrm(o, dst, dst);
    } else if (swap) {
        rex(o, i->imm == 64, 0, dst, false);
        byte(o, 0x0f);
        byte(o, 0xc8 + (dst & 7));
    } else if (i->imm == 32) {
        move(o, false, dst, dst);
    }
}

static void arithmetic(struct out *o, const struct bpf_insn *i)
{
    static const u8 groups[] = { [BPF_ADD >> 4] = 0, [BPF_SUB >> 4] = 5, [BPF_OR >> 4] = 1, [BPF_AND >> 4] = 4, [BPF_XOR >> 4] = 6,
                                 [BPF_LSH >> 4] = 4, [BPF_RSH >> 4] = 5, [BPF_ARSH >> 4] = 7 };
    unsigned dst = reg_of[insn_dst(i)], src = reg_of[insn_src(i)], op = BPF_OP(i->code);
    bool wide = BPF_CLASS(i->code) == BPF_ALU64, reg = (i->code & BPF_X) != 0;
    switch (op) {
    case BPF_MOV:
        if (reg)
            move(o, wide, dst, src);
        else
            move_constant(o, dst, wide ? (u64)(s64)i->imm : (u32)i->imm);
        break;
    case BPF_NEG:
        rex(o, wide, 0, dst, false);
        byte(o, 0xf7);
        modrm(o, 3, dst);
        break;
    case BPF_END: byte_order(o, i, dst); break;
    case BPF_MUL: multiply(o, wide, i, dst, src); break;
    case BPF_DIV:
    case BPF_MOD: divide(o, wide, op == BPF_MOD, i, dst, src); break;
    case BPF_LSH:
    case BPF_RSH:
    case BPF_ARSH: shift(o, wide, groups[op >> 4], i, dst, src); break;
    default:
        if (reg)
            op_regs(o, wide, groups[op >> 4] * 8u + 1, src, dst);
        else
            group1(o, wide, groups[op >> 4], dst, i->imm);
    }
}

/* --- memory ------------------------------------------------------------------------------------- */

static void load(struct out *o, unsigned size, unsigned dst, unsigned base, s32 off)
{
    rex(o, size == BPF_DW, dst, base, false);
    if (size == BPF_B || size == BPF_H) {
        byte(o, 0x0f);
        byte(o, size == BPF_B ? 0xb6 : 0xb7);
    } else {
        byte(o, 0x8b);
    }
    modrm_memory(o, dst, base, off);
}

static void store_head(struct out *o, unsigned size, unsigned op, unsigned reg, unsigned base, s32 off)
{
    if (size == BPF_H)
        byte(o, 0x66);
    rex(o, size == BPF_DW, reg, base, size == BPF_B);
    byte(o, size == BPF_B ? op - 1 : op);
    modrm_memory(o, reg, base, off);
}

static void store_constant(struct out *o, const struct bpf_insn *i, unsigned base)
{
    unsigned size = BPF_SIZE(i->code);
    store_head(o, size, 0xc7, 0, base, i->off);
    word(o, (u64)(s64)i->imm, size == BPF_B ? 1 : size == BPF_H ? 2 : 4);
}

static void locked(struct out *o, bool wide, unsigned op, unsigned reg, unsigned base, s32 off)
{
    byte(o, 0xf0);
    rex(o, wide, reg, base, false);
    if (op > 0xff)
        byte(o, 0x0f);
    byte(o, op & 0xff);
    modrm_memory(o, reg, base, off);
}

/* and, or, xor that tell what was there before: until nobody came in between. */
static void fetch_loop(struct out *o, bool wide, unsigned op, unsigned src, unsigned base, s32 off)
{
    unsigned from = src == RAX ? R11 : src; /* rax is cmpxchg's */
    op_regs(o, true, 0x89, RAX, R11);
    if (base == RAX)
        base = R11;
    load(o, wide ? BPF_DW : BPF_W, RAX, base, off);
    size_t again = o->n;
    op_regs(o, true, 0x89, RAX, R10);
    op_regs(o, wide, op, from, R10);
    locked(o, wide, 0x1b1, R10, base, off);
    byte(o, 0x75);
    byte(o, (unsigned)(again - o->n - 1) & 0xff);
    if (src == RAX)
        return;
    move(o, wide, src, RAX);
    op_regs(o, true, 0x89, R11, RAX);
}

static void atomic(struct out *o, const struct bpf_insn *i)
{
    unsigned base = reg_of[insn_dst(i)], src = reg_of[insn_src(i)];
    bool wide = BPF_SIZE(i->code) == BPF_DW;
    static const u8 ops[] = { [BPF_ADD >> 4] = 0x01, [BPF_OR >> 4] = 0x09, [BPF_AND >> 4] = 0x21, [BPF_XOR >> 4] = 0x31 };
    switch (i->imm) {
    case BPF_XCHG:
        rex(o, wide, src, base, false);
        byte(o, 0x87);
        modrm_memory(o, src, base, i->off);
        break;
    case BPF_CMPXCHG:
        locked(o, wide, 0x1b1, src, base, i->off);
        if (!wide) /* rax is written only where they differed */
            move(o, false, RAX, RAX);
        break;
    case BPF_ADD | BPF_FETCH: locked(o, wide, 0x1c1, src, base, i->off); break;
    default:
        if ((i->imm & BPF_FETCH) != 0)
            fetch_loop(o, wide, ops[(i->imm & 0xf0) >> 4], src, base, i->off);
        else
            locked(o, wide, ops[i->imm >> 4], src, base, i->off);
    }
}

static void memory(struct out *o, const struct bpf_insn *i)
{
    unsigned dst = reg_of[insn_dst(i)], src = reg_of[insn_src(i)];
    switch (BPF_CLASS(i->code)) {
    case BPF_LD: move_constant(o, dst, (u32)i[0].imm | (u64)(u32)i[1].imm << 32); break;
    case BPF_LDX: load(o, BPF_SIZE(i->code), dst, src, i->off); break;
    case BPF_ST: store_constant(o, i, dst); break;
    default:
        if (BPF_MODE(i->code) == BPF_ATOMIC)
            atomic(o, i);
        else
            store_head(o, BPF_SIZE(i->code), 0x89, src, dst, i->off);
    }
}

/* --- functions --------------------------------------------------------------------------------------- */

/* r6 to r9 as far as instructions from `at` to the function's end write them, bits. */
static u8 written(const struct bpf_code *code, u32 at)
{
    u32 end = code->count;
    u8 set = 0;
    for (u32 i = code->nstarts; i-- > 0;)
        if (code->starts[i] > at)
            end = code->starts[i];
    for (; at < end; at++)
        if (insn_dst(&code->insns[at]) >= 6 || insn_src(&code->insns[at]) >= 6)
            for (unsigned r = 6; r <= 9; r++)
                set |= (u8)(insn_dst(&code->insns[at]) == r || insn_src(&code->insns[at]) == r ? 1u << r % 8 : 0);
    return set;
}

/* So many words that the stack is aligned at calls. */
static bool pads(const struct out *o) { return (__builtin_popcount(o->saved) & 1) != 0; }

static void push(struct out *o, unsigned reg, bool pop)
{
    rex(o, false, 0, reg, false);
    byte(o, (pop ? 0x58u : 0x50u) + (reg & 7));
}

static void prologue(struct out *o, bool first)
{
    push(o, RBP, false);
    if (first)
        op_regs(o, true, 0x89, RSI, RBP);
    else
        group1(o, true, 5, RBP, BPF_STACK_BYTES);
    for (unsigned r = 6; r <= 9; r++)
        if ((o->saved & 1u << r % 8) != 0)
            push(o, reg_of[r], false);
    if (pads(o))
        push(o, RAX, false);
}

static void epilogue(struct out *o)
{
    if (pads(o))
        push(o, R11, true);
    for (unsigned r = 9; r >= 6; r--)
        if ((o->saved & 1u << r % 8) != 0)
            push(o, reg_of[r], true);
    push(o, RBP, true);
    byte(o, 0xc3);
}

static void distance(struct out *o, u32 target) { word(o, (u64)target - (o->n + 4), 4); }

static u32 entry_of(const struct out *o, u32 start)
{
    u32 i = 0;
    while (o->code->starts[i] != start)
        i++;
    return o->entries[i];
}

/* map_lookup_elem(), key in r2: a value or 0 in r0. */
static void array_lookup(struct out *o, const struct bpf_array *a)
{
    load(o, BPF_W, RAX, RSI, 0);
    group1(o, false, 7, RAX, (s32)a->entries); /* cmp */
    byte(o, 0x73);                             /* jae: none */
    u8 *skip = o->n < o->size ? &o->buf[o->n] : NULL;
    byte(o, 0);
    size_t from = o->n;
    if (a->stride == 8) {
        move_constant(o, R11, (u64)(uintptr_t)a->values);
        byte(o, 0x49); /* lea (r11, rax * 8), rax */
        byte(o, 0x8d);
        byte(o, 0x04);
        byte(o, 0xc3);
    } else {
        byte(o, 0x48); /* imul stride, rax, rax */
        byte(o, 0x69);
        modrm(o, RAX, RAX);
        word(o, a->stride, 4);
        move_constant(o, R11, (u64)(uintptr_t)a->values);
        op_regs(o, true, 0x01, R11, RAX);
    }
    byte(o, 0xeb);
    byte(o, 2);
    if (skip != NULL)
        *skip = (u8)(o->n - from);
    op_regs(o, false, 0x31, RAX, RAX);
}

static void call(struct out *o, u32 at, const struct bpf_insn *i)
{
    if (insn_src(i) == BPF_CALL_ARRAY) {
        array_lookup(o, &o->code->arrays[i->imm]);
    } else if (insn_src(i) == BPF_PSEUDO_CALL) {
        byte(o, 0xe8);
        distance(o, entry_of(o, at + 1 + (u32)i->imm));
    } else {
        for (unsigned r = 1; r <= 5; r++)
            if ((i->off & 1 << r) != 0)
                move_constant(o, reg_of[r], 0);
        move_constant(o, RAX, (u64)(uintptr_t)bpf_helper(i->imm));
        byte(o, 0xff); /* call *rax */
        byte(o, 0xd0);
    }
}

static void compare(struct out *o, const struct bpf_insn *i)
{
    unsigned dst = reg_of[insn_dst(i)], src = reg_of[insn_src(i)];
    bool wide = BPF_CLASS(i->code) == BPF_JMP, reg = (i->code & BPF_X) != 0;
    if (BPF_OP(i->code) == BPF_JSET && reg) {
        op_regs(o, wide, 0x85, src, dst);
    } else if (BPF_OP(i->code) == BPF_JSET) {
        rex(o, wide, 0, dst, false);
        byte(o, 0xf7);
        modrm(o, 0, dst);
        word(o, (u64)(s64)i->imm, 4);
    } else if (reg) {
        op_regs(o, wide, 0x39, src, dst);
    } else if (i->imm == 0) {
        op_regs(o, wide, 0x85, dst, dst);
    } else {
        group1(o, wide, 7, dst, i->imm);
    }
}

static void jump(struct out *o, u32 at, const struct bpf_insn *i)
{
    static const u8 conditions[] = { [BPF_JEQ >> 4] = 0x4, [BPF_JNE >> 4] = 0x5, [BPF_JGT >> 4] = 0x7, [BPF_JGE >> 4] = 0x3, [BPF_JLT >> 4] = 0x2,
                                     [BPF_JLE >> 4] = 0x6, [BPF_JSET >> 4] = 0x5, [BPF_JSGT >> 4] = 0xf, [BPF_JSGE >> 4] = 0xd, [BPF_JSLT >> 4] = 0xc,
                                     [BPF_JSLE >> 4] = 0xe };
    if (BPF_OP(i->code) == BPF_JA) {
        byte(o, 0xe9);
    } else {
        compare(o, i);
        byte(o, 0x0f);
        byte(o, 0x80u | conditions[BPF_OP(i->code) >> 4]);
    }
    distance(o, o->offsets[at + 1 + (u32)(s32)i->off]);
}

static void instruction(struct out *o, u32 at)
{
    const struct bpf_insn *i = &o->code->insns[at];
    switch (BPF_CLASS(i->code)) {
    case BPF_ALU:
    case BPF_ALU64: arithmetic(o, i); break;
    case BPF_JMP:
    case BPF_JMP32:
        if (i->code == (BPF_JMP | BPF_EXIT))
            epilogue(o);
        else if (i->code == (BPF_JMP | BPF_CALL))
            call(o, at, i);
        else
            jump(o, at, i);
        break;
    default: memory(o, i);
    }
}

static void pass(struct out *o)
{
    u32 function = 0;
    o->n = 0;
    for (u32 at = 0; at < o->code->count; at++) {
        bool begins = function < o->code->nstarts && o->code->starts[function] == at;
        if (begins)
            o->entries[function++] = (u32)o->n;
        if (at == 0 || begins) {
            o->saved = written(o->code, at);
            prologue(o, at == 0);
        }
        o->offsets[at] = (u32)o->n;
        instruction(o, at);
        if (o->code->insns[at].code == BPF_LD_IMM64) {
            at++;
            o->offsets[at] = (u32)o->n;
        }
    }
    o->offsets[o->code->count] = (u32)o->n;
}

size_t arch_bpf_compile(const struct bpf_code *code, u32 *offsets, u8 *buf, size_t size)
{
    struct out o = { .code = code, .offsets = offsets, .buf = buf, .size = 0 };
    pass(&o);
    if (size != 0) {
        o.size = size;
        pass(&o);
    }
    return o.n;
}
