/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lengths of x86-64 instructions (Intel SDM volume 2, chapter 2 and appendix A): enough to find where
 * instructions begin and which may be executed at another address. Kinds of opcodes, one letter each:
 *   . nothing follows    M ModRM           B ModRM, imm8      Z ModRM, imm16/32
 *   b imm8               z imm16/32        w imm16            j rel32
 *   i imm16/32/64        a address         e imm16, imm8      F G ModRM, an immediate with /0 and /1
 *   X not an instruction (or a prefix, which is taken off before)
 */
#include "arch/insn.h"

static const char one_byte[] =
    "MMMMbzXXMMMMbzXX" "MMMMbzXXMMMMbzXX" "MMMMbzXXMMMMbzXX" "MMMMbzXXMMMMbzXX"
    "XXXXXXXXXXXXXXXX" "................" "XXXMXXXXzZbB...." "bbbbbbbbbbbbbbbb"
    "BZXBMMMMMMMMMMMM" "..........X....." "aaaa....bz......" "bbbbbbbbiiiiiiii"
    "BBw.XXBZe.w..bX." "MMMMXXX.MMMMMMMM" "bbbbbbbbjjXb...." "X.XX..FG......MM";
static const char two_byte[] =
    "MMMMX.....X.XM.X" "MMMMMMMMMMMMMMMM" "MMMMXXXXMMMMMMMM" "......X.XXXXXXXX"
    "MMMMMMMMMMMMMMMM" "MMMMMMMMMMMMMMMM" "MMMMMMMMMMMMMMMM" "BBBBMMM.MMMMMMMM"
    "jjjjjjjjjjjjjjjj" "MMMMMMMMMMMMMMMM" "...MBMXX...MBMMM" "MMMMMMMMMMBMMMMM"
    "MMBMBBBM........" "MMMMMMMMMMMMMMMM" "MMMMMMMMMMMMMMMM" "MMMMMMMMMMMMMMMM";

#define REX_W 8u

static bool legacy_prefix(u8 b)
{
    return b == 0x66 || b == 0x67 || b == 0xf0 || b == 0xf2 || b == 0xf3 || b == 0x2e || b == 0x36 || b == 0x3e || b == 0x26 ||
           b == 0x64 || b == 0x65;
}

/* Bytes of ModRM, SIB and displacement at p. */
static unsigned modrm_length(const u8 *p, unsigned room, struct insn *ret)
{
    unsigned n = 1, mod, rm;
    if (room == 0)
        return 0;
    ret->modrm = p[0];
    mod = p[0] >> 6, rm = p[0] & 7;
    if (mod == 3)
        return 1;
    if (rm == 4) {
        if (room < 2)
            return 0;
        n++;
        if (mod == 0 && (p[1] & 7) == 5)
            n += 4;
    } else if (rm == 5 && mod == 0) {
        ret->pc_relative = true;
        n += 4;
    }
    return n + (mod == 1 ? 1 : mod == 2 ? 4 : 0);
}

static unsigned immediate_length(char kind, const struct insn *in, bool short_operand, bool short_address)
{
    unsigned z = short_operand ? 2 : 4;
    switch (kind) {
    case 'B': case 'b': return 1;
    case 'Z': case 'z': return z;
    case 'w': return 2;
    case 'e': return 3;
    case 'j': return 4;
    case 'i': return in->rex & REX_W ? 8 : z;
    case 'a': return short_address ? 4 : 8;
    case 'F': return (in->modrm & 0x30) == 0 ? 1 : 0; /* reg field 0 or 1: bits 4 and 5 clear */
    case 'G': return (in->modrm & 0x30) == 0 ? z : 0;
    default: return 0;
    }
}

unsigned insn_decode(const u8 *p, unsigned room, struct insn *ret)
{
    unsigned n = 0;
    bool short_operand = false, short_address = false;
    char kind;
    *ret = (struct insn){ 0 };
    room = room < INSN_MAX ? room : INSN_MAX;
    for (; n < room && legacy_prefix(p[n]); n++) {
        short_operand |= p[n] == 0x66;
        short_address |= p[n] == 0x67;
        ret->locked_or_repeated |= p[n] == 0xf0 || p[n] == 0xf2 || p[n] == 0xf3;
    }
    if (n < room && (p[n] & 0xf0) == 0x40)
        ret->rex = p[n++];
    if (room < n + 2) /* one-byte instructions at the very end of what is seen do not matter */
        return 0;
    u8 op = p[n++];
    if (op == 0xc5 || op == 0xc4 || op == 0x62) { /* VEX, EVEX */
        unsigned payload = op == 0xc5 ? 1 : op == 0xc4 ? 2 : 3;
        if (room < n + payload + 1)
            return 0;
        ret->map = (u8)(op == 0xc5 ? 1 : p[n] & (op == 0xc4 ? 31 : 7));
        ret->vector = true;
        n += payload;
        op = p[n++];
        if (ret->map < 1 || ret->map > 3)
            return 0;
    } else if (op == 0x0f) {
        op = p[n++];
        ret->map = 1;
        if (op == 0x38 || op == 0x3a) {
            if (n == room)
                return 0;
            ret->map = op == 0x38 ? 2 : 3;
            op = p[n++];
        }
    }
    ret->opcode = op;
    kind = ret->map == 0 ? one_byte[op] : ret->map == 1 ? two_byte[op] : ret->map == 2 ? 'M' : 'B';
    if (kind == 'X')
        return 0;
    if (kind == 'M' || kind == 'B' || kind == 'Z' || kind == 'F' || kind == 'G') {
        unsigned m = modrm_length(p + n, room - n, ret);
        if (m == 0)
            return 0;
        ret->disp_at = (u8)(n + 1);
        n += m;
    }
    n += immediate_length(kind, ret, short_operand, short_address);
    return n <= room ? n : 0;
}

bool insn_movable(const struct insn *in)
{
    u8 op = in->opcode, reg = (in->modrm >> 3) & 7;
    if (in->pc_relative || in->locked_or_repeated || in->vector)
        return false;
    if (in->map == 1) /* long nop, cmovcc, setcc, imul, movzx, movsx */
        return op == 0x1f || (op & 0xf0) == 0x40 || (op & 0xf0) == 0x90 || op == 0xaf || (op & 0xf6) == 0xb6;
    if (in->map != 0)
        return false;
    if (op < 0x40) /* arithmetic */
        return (op & 7) < 6;
    if (op == 0xc6 || op == 0xc7 || op == 0xf6 || op == 0xf7)
        return reg == 0;
    return op == 0x63 || op == 0x69 || op == 0x6b || (op >= 0x80 && op <= 0x8b) || op == 0x8d || op == 0xa8 || op == 0xa9 ||
           (op & 0xf0) == 0xb0;
}
