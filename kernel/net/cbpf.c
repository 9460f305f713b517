/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classic BPF, interpreted: two registers, sixteen words of memory, jumps forward only, so that every program ends
 * (McCanne, Jacobson 1993). A load beyond the frame keeps nothing of it.
 */
#include "packet_impl.h"

/* Instruction codes are class | size or operation | mode or source. */
#define CLASS(c) ((c) & 7u)
enum { LD, LDX, ST, STX, ALU, JMP, RET, MISC };
#define SIZE(c) ((c) & 0x18u)
#define W 0x00u
#define H 0x08u
#define B 0x10u
#define MODE(c) ((c) & 0xe0u)
#define IMM 0x00u
#define ABS 0x20u
#define IND 0x40u
#define MEM 0x60u
#define LEN 0x80u
#define MSH 0xa0u
#define OP(c) ((c) & 0xf0u)
enum { ADD = 0x00, SUB = 0x10, MUL = 0x20, DIV = 0x30, OR = 0x40, AND = 0x50, LSH = 0x60, RSH = 0x70, NEG = 0x80, MOD = 0x90, XOR = 0xa0 };
enum { JA = 0x00, JEQ = 0x10, JGT = 0x20, JGE = 0x30, JSET = 0x40 };
#define X 0x08u /* source of ALU and JMP: the index register, else k */
#define TAX 0x00u
#define TXA 0x80u
#define RET_A 0x10u
#define MEMWORDS 16u

/* Loads from above here are not of the frame (Linux): what is known of it; headers by their layer. */
#define AD_OFF 0xfffff000u
enum { AD_PROTOCOL = 0, AD_PKTTYPE = 4, AD_IFINDEX = 8, AD_HATYPE = 28, AD_VLAN_TAG = 44, AD_VLAN_TAG_PRESENT = 48 };
#define NET_OFF 0xfff00000u
#define LL_OFF 0xffe00000u

static bool known_extra(u32 what)
{
    return what == AD_PROTOCOL || what == AD_PKTTYPE || what == AD_IFINDEX || what == AD_HATYPE || what == AD_VLAN_TAG || what == AD_VLAN_TAG_PRESENT;
}

/* A load of what is no part of the frame. */
static bool word_ok(const struct cbpf_insn *i)
{
    u32 mode = MODE(i->code);
    return SIZE(i->code) == W && (mode == IMM || mode == LEN || (mode == MEM && i->k < MEMWORDS));
}

static bool load_ok(const struct cbpf_insn *i)
{
    u32 mode = MODE(i->code), size = SIZE(i->code);
    if (i->code >> 8 != 0)
        return false;
    if (CLASS(i->code) == LDX)
        return mode == MSH ? size == B : word_ok(i);
    if (mode == ABS)
        return size <= B && (i->k < AD_OFF || known_extra(i->k - AD_OFF));
    if (mode == IND)
        return size <= B;
    return word_ok(i);
}

static bool alu_ok(const struct cbpf_insn *i)
{
    u32 op = OP(i->code);
    bool by_k = !(i->code & X);
    if (i->code >> 8 != 0 || op > XOR || (op == NEG && !by_k))
        return false;
    return !by_k || (((op != DIV && op != MOD) || i->k != 0) && ((op != LSH && op != RSH) || i->k < 32));
}

static bool jump_ok(const struct cbpf_insn *i, u32 left)
{
    if (i->code >> 8 != 0)
        return false;
    if (OP(i->code) == JA)
        return i->code == JMP && i->k < left;
    return OP(i->code) <= JSET && i->jt < left && i->jf < left;
}

bool cbpf_check(const struct cbpf_insn *insn, u32 len)
{
    if (len == 0 || len > BPF_MAXINSNS || CLASS(insn[len - 1].code) != RET)
        return false;
    for (u32 at = 0; at < len; at++) {
        const struct cbpf_insn *i = &insn[at];
        bool ok = false;
        switch (CLASS(i->code)) {
        case LD:
        case LDX:
            ok = load_ok(i);
            break;
        case ST:
        case STX:
            ok = i->code <= STX && i->k < MEMWORDS;
            break;
        case ALU:
            ok = alu_ok(i);
            break;
        case JMP:
            ok = jump_ok(i, len - at - 1);
            break;
        case RET:
            ok = i->code == RET || i->code == (RET | RET_A);
            break;
        case MISC:
            ok = i->code == (MISC | TAX) || i->code == (MISC | TXA);
            break;
        }
        if (!ok)
            return false;
    }
    return true;
}

static u32 extra(const struct frame_view *f, u32 what)
{
    switch (what) {
    case AD_PROTOCOL:
        return be16(f->from.protocol);
    case AD_PKTTYPE:
        return f->from.pkttype;
    case AD_IFINDEX:
        return (u32)f->from.ifindex;
    case AD_HATYPE:
        return f->from.hatype;
    default: /* tags stay in the frame */
        return 0;
    }
}

static bool load(const struct frame_view *f, u32 off, u32 size, u32 *ret)
{
    u8 b[4];
    u32 n = size == W ? 4 : size == H ? 2 : 1, at = f->skip + off;
    if (off >= NET_OFF && off < AD_OFF)
        at = f->maclen + (off - NET_OFF);
    else if (off >= LL_OFF && off < NET_OFF)
        at = off - LL_OFF;
    else if (off >= LL_OFF || at < off)
        return false;
    if (frame_copy(f, at, b, n) != n)
        return false;
    *ret = n == 4 ? get_be32(b) : n == 2 ? get_be16(b) : b[0];
    return true;
}

static bool compute(u32 op, u32 *a, u32 v)
{
    switch (op) {
    case ADD: *a += v; break;
    case SUB: *a -= v; break;
    case MUL: *a *= v; break;
    case OR: *a |= v; break;
    case AND: *a &= v; break;
    case XOR: *a ^= v; break;
    case LSH: *a = v < 32 ? *a << v : 0; break;
    case RSH: *a = v < 32 ? *a >> v : 0; break;
    case NEG: *a = 0 - *a; break;
    default:
        if (v == 0)
            return false;
        *a = op == DIV ? *a / v : *a % v;
        break;
    }
    return true;
}

static bool holds(u32 op, u32 a, u32 v)
{
    return op == JEQ ? a == v : op == JGT ? a > v : op == JGE ? a >= v : (a & v) != 0;
}

static u32 word(const struct cbpf_insn *i, const struct frame_view *f, const u32 *mem)
{
    return MODE(i->code) == LEN ? f->len - f->skip : MODE(i->code) == MEM ? mem[i->k] : i->k;
}

u32 cbpf_run(const struct cbpf_program *prog, const struct frame_view *f)
{
    u32 a = 0, x = 0, mem[MEMWORDS] = { 0 };
    for (const struct cbpf_insn *i = prog->insn;; i++) {
        u32 src = i->code & X ? x : i->k, byte;
        switch (CLASS(i->code)) {
        case LD:
            if (MODE(i->code) == ABS && i->k >= AD_OFF)
                a = extra(f, i->k - AD_OFF);
            else if (MODE(i->code) == ABS || MODE(i->code) == IND) {
                if (!load(f, i->k + (MODE(i->code) == IND ? x : 0), SIZE(i->code), &a))
                    return 0;
            } else {
                a = word(i, f, mem);
            }
            break;
        case LDX:
            if (MODE(i->code) == MSH) {
                if (!load(f, i->k, B, &byte))
                    return 0;
                x = (byte & 15) * 4;
            } else {
                x = word(i, f, mem);
            }
            break;
        case ST:
            mem[i->k] = a;
            break;
        case STX:
            mem[i->k] = x;
            break;
        case ALU:
            if (!compute(OP(i->code), &a, src))
                return 0;
            break;
        case JMP:
            i += OP(i->code) == JA ? i->k : holds(OP(i->code), a, src) ? i->jt : i->jf;
            break;
        case RET:
            return i->code & RET_A ? a : i->k;
        case MISC:
            *(i->code & TXA ? &a : &x) = i->code & TXA ? x : a;
            break;
        }
    }
}
