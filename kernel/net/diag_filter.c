/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The conditions of INET_DIAG_REQ_BYTECODE, what ss makes of `dport = :22 and not src 10.0.0.0/8`. An operation is four bytes,
 *
 *     code | yes | no (16 bits)
 *
 * and its operand; where it holds, `yes` bytes further the next one begins, else `no`. Who gets to the end exactly passes; the way out for
 * who does not is four bytes behind it. All steps are forward, so it ends.
 */
#include "diag_impl.h"

enum { OP_NOP, OP_JMP, OP_S_GE, OP_S_LE, OP_D_GE, OP_D_LE, OP_AUTO, OP_S_COND, OP_D_COND, OP_DEV, OP_MARK, OP_S_EQ, OP_D_EQ };
#define COND 8u /* family, prefix length, 2 unused, port (s32, -1 = any); then the prefix */

/* The bytes of the operation at code with its operand; 0 = it has not got them. */
static u32 size_of_op(const u8 *code, u32 len)
{
    static const u8 operands[] = { [OP_S_GE] = 4, [OP_S_LE] = 4, [OP_D_GE] = 4, [OP_D_LE] = 4, [OP_S_COND] = COND, [OP_D_COND] = COND,
                                   [OP_DEV] = 4, [OP_MARK] = 8, [OP_S_EQ] = 4, [OP_D_EQ] = 4 };
    if (len < 4 || code[0] >= sizeof operands || code[0] == OP_AUTO) /* who chose a port is not known */
        return 0;
    u32 size = 4u + operands[code[0]];
    if (operands[code[0]] != COND || len < size)
        return size <= len ? size : 0;
    u32 bits = code[5], most = code[4] == AF_UNSPEC ? 0 : code[4] == AF_INET ? 32 : code[4] == AF_INET6 ? 128 : 0;
    size += most / 8;
    return bits <= most && size <= len ? size : 0;
}

int diag_filter_check(const u8 *code, u32 len)
{
    if (len > DIAG_FILTER_MAX)
        return -EINVAL;
    while (len > 0) {
        u32 size = size_of_op(code, len), yes = size != 0 ? code[1] : 0, no = size != 0 ? get_u16(code + 2) : 0;
        bool jumps = code[0] != OP_NOP;
        if (size == 0 || yes < size || yes > len || yes % 4 != 0 || (jumps && (no < size || no > len + 4 || no % 4 != 0)))
            return -EINVAL;
        code += yes;
        len -= yes;
    }
    return 0;
}

static bool prefix_equal(const u8 *a, const u8 *b, u32 bits)
{
    return memcmp(a, b, bits / 8) == 0 && (bits % 8 == 0 || ((a[bits / 8] ^ b[bits / 8]) & (0xff00 >> bits % 8) & 0xff) == 0);
}

static bool host_fits(const u8 *cond, const struct diag_entry *e, struct ip_addr addr, u16 port)
{
    const u8 family = cond[0], bits = cond[1];
    const s32 want = (s32)get_u32(cond + 4);
    if (want != -1 && want != port)
        return false;
    if (family == AF_INET6 && e->family != AF_INET6)
        return false;
    if (family == AF_INET && !ip_is_v4(addr)) /* that of a socket of AF_INET6 may be an IPv4 one */
        return false;
    return prefix_equal((const u8 *)&addr + (family == AF_INET ? 12 : 0), cond + COND, bits);
}

static u16 port_of(const u8 *operand) { return get_u16(operand + 2); } /* the `no` of an operation that is none */

static bool holds(const u8 *op, const struct diag_entry *e)
{
    const u8 *operand = op + 4; /* of some the code ends here */
    switch (op[0]) {
    case OP_NOP:
        return true;
    case OP_S_GE:
        return e->lport >= port_of(operand);
    case OP_S_LE:
        return e->lport <= port_of(operand);
    case OP_D_GE:
        return e->fport >= port_of(operand);
    case OP_D_LE:
        return e->fport <= port_of(operand);
    case OP_S_EQ:
        return e->lport == port_of(operand);
    case OP_D_EQ:
        return e->fport == port_of(operand);
    case OP_S_COND:
        return host_fits(operand, e, e->laddr, e->lport);
    case OP_D_COND:
        return host_fits(operand, e, e->faddr, e->fport);
    case OP_DEV:
        return e->ifindex == get_u32(operand);
    case OP_MARK:
        return (e->mark & get_u32(operand + 4)) == get_u32(operand);
    default:
        return false; /* OP_JMP */
    }
}

bool diag_filter_passes(const u8 *code, u32 len, const struct diag_entry *e)
{
    while (len > 0) {
        if (size_of_op(code, len) == 0) /* a jump into the middle of an operation */
            return false;
        u32 step = holds(code, e) ? code[1] : get_u16(code + 2);
        if (step < 4 || step > len)
            return false;
        code += step;
        len -= step;
    }
    return true;
}
