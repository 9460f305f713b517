/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The instruction that a breakpoint has taken the place of (kern/arch.h): done in registers where that is little work and functions begin so or
 * where it names its own address, else by a copy elsewhere that ends with a jump behind it (a thunk). The breakpoint stays where it is.
 */
#include "arch/insn.h"
#include "base/bytes.h"
#include "base/str.h"
#include "kern/arch.h"
#include "kern/kprobe.h"

#define JUMP_BYTES 5u
#define RFLAGS_CF 1u
#define RFLAGS_PF 4u
#define RFLAGS_ZF 0x40u
#define RFLAGS_SF 0x80u
#define RFLAGS_OF 0x800u

static bool is(const u8 *code, const char *bytes, unsigned n) { return memcmp(code, bytes, n) == 0; }

/* Does a copy do the same at another address, but for what it names relative to itself? */
static bool moves(const struct insn *in)
{
    u8 op = in->opcode, reg = (in->modrm >> 3) & 7;
    if (in->vector || in->map > 1)
        return true;
    if (in->map == 1) /* system calls and their returns; jcc */
        return op != 0x05 && op != 0x07 && op != 0x34 && op != 0x35 && (op & 0xf0) != 0x80;
    if ((op & 0xf0) == 0x70 || (op >= 0xe0 && op <= 0xe3) || (op >= 0xe8 && op <= 0xeb) || (op >= 0xca && op <= 0xcf) || op == 0xc2 || op == 0xc3)
        return false; /* jumps, calls, returns, interrupts */
    if (op == 0xc7 || op == 0xff)
        return op == 0xc7 ? reg == 0 : reg < 2 || reg == 6; /* not xbegin; not calls and jumps */
    return op != 0xf1 && op != 0xf4;
}

/* A call or jump, with a condition or without, relative to itself? */
static bool branch(const u8 *code)
{
    return code[0] == 0xe8 || code[0] == 0xe9 || code[0] == 0xeb || (code[0] & 0xf0) == 0x70 || (code[0] == 0x0f && (code[1] & 0xf0) == 0x80);
}

/* From behind it to where it goes. */
static s64 branch_offset(const u8 *code)
{
    if (code[0] == 0x0f)
        return (s32)get_u32(code + 2);
    return code[0] == 0xe8 || code[0] == 0xe9 ? (s32)get_u32(code + 1) : (s8)code[1];
}

/* Is it one that arch_probe_step() does? */
static bool simple(const u8 *code)
{
    if (is(code, "\xf3\x0f\x1e\xfa", 4) || is(code, "\x48\x89\xe5", 3))
        return true;
    return (code[0] & 0xf8) == 0x50 || (code[0] == 0x41 && (code[1] & 0xf8) == 0x50) || code[0] == 0xc3 || branch(code);
}

unsigned arch_probe_fits(const u8 *code)
{
    struct insn in;
    unsigned len = insn_decode(code, INSN_MAX, &in);
    return len != 0 && (simple(code) || moves(&in)) ? len : 0;
}

unsigned arch_insn_length(const u8 *code)
{
    struct insn in;
    return insn_decode(code, INSN_MAX, &in);
}

static u64 *reg_of(struct trap_frame *f, unsigned n)
{
    u64 *regs[] = { &f->rax, &f->rcx, &f->rdx, &f->rbx, &f->rsp, &f->rbp, &f->rsi, &f->rdi, &f->r8, &f->r9, &f->r10, &f->r11, &f->r12, &f->r13, &f->r14, &f->r15 };
    return regs[n];
}

static bool holds(u64 flags, u8 condition)
{
    bool less = ((flags & RFLAGS_SF) != 0) != ((flags & RFLAGS_OF) != 0), is;
    switch (condition >> 1 & 7) {
    case 0: is = flags & RFLAGS_OF; break;
    case 1: is = flags & RFLAGS_CF; break;
    case 2: is = flags & RFLAGS_ZF; break;
    case 3: is = flags & (RFLAGS_CF | RFLAGS_ZF); break;
    case 4: is = flags & RFLAGS_SF; break;
    case 5: is = flags & RFLAGS_PF; break;
    case 6: is = less; break;
    default: is = less || (flags & RFLAGS_ZF); break;
    }
    return is != (condition & 1);
}

enum probe_step arch_probe_step(struct trap_frame *f, const u8 *code, u64 *ret_push)
{
    struct insn in;
    u64 next = f->rip + insn_decode(code, INSN_MAX, &in);
    bool near = code[0] == 0x0f;
    if (!simple(code))
        return PROBE_THUNK;
    f->rip = next;
    if (code[0] == 0x48) {
        f->rbp = f->rsp;
    } else if (code[0] == 0xc3) {
        return PROBE_RETURN;
    } else if (code[0] == 0xeb || code[0] == 0xe9) {
        f->rip += (u64)branch_offset(code);
    } else if (code[0] == 0xe8) {
        *ret_push = next;
        f->rip += (u64)branch_offset(code);
        return PROBE_PUSH;
    } else if (near || (code[0] & 0xf0) == 0x70) {
        if (holds(f->rflags, code[near]))
            f->rip += (u64)branch_offset(code);
    } else if (code[0] != 0xf3) {
        *ret_push = *reg_of(f, code[0] == 0x41 ? 8 + (code[1] & 7) : code[0] & 7);
        return PROBE_PUSH;
    }
    return PROBE_DONE;
}

static bool put_offset(u8 *at, s64 offset)
{
    put_u32(at, (u32)offset);
    return offset == (s32)offset;
}

/* The branch to the same place, with a long displacement. Its length; 0: too far. */
static unsigned write_branch(u8 *to, s64 moved, const u8 *code, unsigned len)
{
    unsigned n = 0;
    if ((code[0] & 0xf0) == 0xe0) {
        to[n++] = code[0] == 0xe8 ? 0xe8 : 0xe9;
    } else {
        to[n++] = 0x0f;
        to[n++] = 0x80 | (code[code[0] == 0x0f] & 15);
    }
    return put_offset(to + n, moved + len + branch_offset(code) - (n + 4)) ? n + 4 : 0;
}

bool arch_probe_thunk(u8 *to, u64 thunk, u64 pc, const u8 *code)
{
    struct insn in;
    unsigned len = insn_decode(code, INSN_MAX, &in), n = len;
    s64 moved = (s64)(pc - thunk);
    if (branch(code)) {
        n = write_branch(to, moved, code, len);
    } else {
        memcpy(to, code, len);
        if (in.pc_relative && !put_offset(to + in.disp_at, (s32)get_u32(code + in.disp_at) + moved))
            return false;
    }
    to[n] = 0xe9;
    return n != 0 && put_offset(to + n + 1, moved + len - (n + JUMP_BYTES));
}
