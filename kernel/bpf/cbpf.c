/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classic BPF, interpreted: two registers, sixteen words of memory, jumps forward only, so that every program ends. A load of what is not
 * there ends it, too.
 */
#include "kern/cbpf.h"

#include "base/str.h"
#include "kern/slab.h"
#include "kern/uaccess.h"

#define SIZE(c) ((c) & 0x18u)
#define W 0x00u
#define H 0x08u
#define B 0x10u
enum { JA = 0x00, JEQ = 0x10, JGT = 0x20, JGE = 0x30, JSET = 0x40 };
#define X 0x08u /* source of ALU and JMP: the index register, else k */
#define TAX 0x00u
#define TXA 0x80u
#define RET_A 0x10u
#define MEMWORDS 16u

static bool known_extra(u32 what)
{
    return what == CBPF_AD_PROTOCOL || what == CBPF_AD_PKTTYPE || what == CBPF_AD_IFINDEX || what == CBPF_AD_HATYPE || what == CBPF_AD_VLAN_TAG ||
           what == CBPF_AD_VLAN_TAG_PRESENT;
}

/* A load of what is no part of the bytes. */
static bool word_ok(const struct cbpf_insn *i)
{
    u32 mode = CBPF_MODE(i->code);
    return SIZE(i->code) == W && (mode == CBPF_IMM || mode == CBPF_LEN || (mode == CBPF_MEM && i->k < MEMWORDS));
}

static bool load_ok(const struct cbpf_insn *i)
{
    u32 mode = CBPF_MODE(i->code), size = SIZE(i->code);
    if (i->code >> 8 != 0)
        return false;
    if (CBPF_CLASS(i->code) == CBPF_LDX)
        return mode == CBPF_MSH ? size == B : word_ok(i);
    if (mode == CBPF_ABS)
        return size <= B && (i->k < CBPF_AD_OFF || known_extra(i->k - CBPF_AD_OFF));
    if (mode == CBPF_IND)
        return size <= B;
    return word_ok(i);
}

static bool alu_ok(const struct cbpf_insn *i)
{
    u32 op = CBPF_OP(i->code);
    bool by_k = !(i->code & X);
    if (i->code >> 8 != 0 || op > CBPF_XOR || (op == CBPF_NEG && !by_k))
        return false;
    return !by_k || (((op != CBPF_DIV && op != CBPF_MOD) || i->k != 0) && ((op != CBPF_LSH && op != CBPF_RSH) || i->k < 32));
}

static bool jump_ok(const struct cbpf_insn *i, u32 left)
{
    if (i->code >> 8 != 0)
        return false;
    if (CBPF_OP(i->code) == JA)
        return i->code == CBPF_JMP && i->k < left;
    return CBPF_OP(i->code) <= JSET && i->jt < left && i->jf < left;
}

static bool insn_ok(const struct cbpf_insn *i, u32 left)
{
    switch (CBPF_CLASS(i->code)) {
    case CBPF_LD:
    case CBPF_LDX:
        return load_ok(i);
    case CBPF_ST:
    case CBPF_STX:
        return i->code <= CBPF_STX && i->k < MEMWORDS;
    case CBPF_ALU:
        return alu_ok(i);
    case CBPF_JMP:
        return jump_ok(i, left);
    case CBPF_RET:
        return i->code == CBPF_RET || i->code == (CBPF_RET | RET_A);
    default:
        return i->code == (CBPF_MISC | TAX) || i->code == (CBPF_MISC | TXA);
    }
}

/* No word of memory is read that was not written on every way there. `known`, all ones at first: the words that are known to be where jumps to
 * each instruction come from. */
static bool memory_ok(const struct cbpf_insn *insn, u32 len, u16 *known)
{
    u16 now = 0;
    for (u32 at = 0; at < len; at++) {
        const struct cbpf_insn *i = &insn[at];
        now &= known[at];
        if (CBPF_CLASS(i->code) == CBPF_ST || CBPF_CLASS(i->code) == CBPF_STX) {
            now |= (u16)(1u << i->k);
        } else if (CBPF_CLASS(i->code) <= CBPF_LDX && CBPF_MODE(i->code) == CBPF_MEM) {
            if (!(now >> i->k & 1))
                return false;
        } else if (CBPF_CLASS(i->code) == CBPF_JMP) {
            bool always = CBPF_OP(i->code) == JA;
            known[at + 1 + (always ? i->k : i->jt)] &= now;
            known[at + 1 + (always ? i->k : i->jf)] &= now;
            now = 0xffff;
        }
    }
    return true;
}

int cbpf_check(const struct cbpf_insn *insn, u32 len)
{
    if (len == 0 || len > BPF_MAXINSNS || CBPF_CLASS(insn[len - 1].code) != CBPF_RET)
        return -EINVAL;
    for (u32 at = 0; at < len; at++)
        if (!insn_ok(&insn[at], len - at - 1))
            return -EINVAL;
    u16 *known = kmalloc(len * sizeof *known, 0);
    if (known == NULL)
        return -ENOMEM;
    memset(known, 0xff, len * sizeof *known);
    bool ok = memory_ok(insn, len, known);
    kfree(known);
    return ok ? 0 : -EINVAL;
}

int cbpf_create(u64 uinsn, u32 len, bool (*also)(const struct cbpf_insn *i), struct cbpf_program **ret)
{
    if (len == 0 || len > BPF_MAXINSNS)
        return -EINVAL;
    struct cbpf_program *b = kmalloc(sizeof *b + len * sizeof b->insn[0], 0);
    if (b == NULL)
        return -ENOMEM;
    ref_init(&b->refs);
    b->len = len;
    int err = copy_from_user(b->insn, uinsn, len * sizeof b->insn[0]);
    if (err == 0)
        err = cbpf_check(b->insn, len);
    for (u32 i = 0; err == 0 && also != NULL && i < len; i++)
        err = also(&b->insn[i]) ? 0 : -EINVAL;
    if (err == 0)
        *ret = b;
    else
        kfree(b);
    return err;
}

void cbpf_put(struct cbpf_program *b)
{
    if (b != NULL && ref_put(&b->refs))
        kfree(b);
}

static bool compute(u32 op, u32 *a, u32 v)
{
    switch (op) {
    case CBPF_ADD: *a += v; break;
    case CBPF_SUB: *a -= v; break;
    case CBPF_MUL: *a *= v; break;
    case CBPF_OR: *a |= v; break;
    case CBPF_AND: *a &= v; break;
    case CBPF_XOR: *a ^= v; break;
    case CBPF_LSH: *a <<= v & 31; break;
    case CBPF_RSH: *a >>= v & 31; break;
    case CBPF_NEG: *a = 0 - *a; break;
    default:
        if (v == 0)
            return false;
        *a = op == CBPF_DIV ? *a / v : *a % v;
        break;
    }
    return true;
}

static bool holds(u32 op, u32 a, u32 v)
{
    return op == JEQ ? a == v : op == JGT ? a > v : op == JGE ? a >= v : (a & v) != 0;
}

static u32 word(const struct cbpf_insn *i, const struct cbpf_data *d, const u32 *mem)
{
    return CBPF_MODE(i->code) == CBPF_LEN ? d->len : CBPF_MODE(i->code) == CBPF_MEM ? mem[i->k] : i->k;
}

/* An offset made of two may reach nothing but bytes. */
static bool load(const struct cbpf_insn *i, u32 x, const struct cbpf_data *d, u32 *ret)
{
    u32 off = i->k + (CBPF_MODE(i->code) == CBPF_IND ? x : 0), size = SIZE(i->code);
    if (CBPF_MODE(i->code) == CBPF_IND && off >= CBPF_AD_OFF)
        return false;
    return d->load(d, off, size == W ? 4 : size == H ? 2 : 1, ret);
}

u32 cbpf_run(const struct cbpf_program *b, const struct cbpf_data *d)
{
    u32 a = 0, x = 0, mem[MEMWORDS] = { 0 };
    for (const struct cbpf_insn *i = b->insn;; i++) {
        u32 src = i->code & X ? x : i->k, byte;
        switch (CBPF_CLASS(i->code)) {
        case CBPF_LD:
            if (CBPF_MODE(i->code) == CBPF_ABS || CBPF_MODE(i->code) == CBPF_IND) {
                if (!load(i, x, d, &a))
                    return 0;
            } else {
                a = word(i, d, mem);
            }
            break;
        case CBPF_LDX:
            if (CBPF_MODE(i->code) == CBPF_MSH) {
                if (i->k >= CBPF_AD_OFF || !d->load(d, i->k, 1, &byte))
                    return 0;
                x = (byte & 15) * 4;
            } else {
                x = word(i, d, mem);
            }
            break;
        case CBPF_ST:
            mem[i->k] = a;
            break;
        case CBPF_STX:
            mem[i->k] = x;
            break;
        case CBPF_ALU:
            if (!compute(CBPF_OP(i->code), &a, src))
                return 0;
            break;
        case CBPF_JMP:
            i += CBPF_OP(i->code) == JA ? i->k : holds(CBPF_OP(i->code), a, src) ? i->jt : i->jf;
            break;
        case CBPF_RET:
            return i->code & RET_A ? a : i->k;
        case CBPF_MISC:
            *(i->code & TXA ? &a : &x) = i->code & TXA ? x : a;
            break;
        }
    }
}
