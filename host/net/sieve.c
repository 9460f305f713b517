/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The eBPF program of abi/sieve.h (bpf(2); a socket filter, attached by TUNSETFILTEREBPF: what it returns is how much of the frame is kept).
 * r4 the kind, r6 frame, r7 the sieve, r8 now, r9 the hash of the sender's address. Reading beyond a frame's end throws it away.
 */
#include "host/net/sieve.h"

#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_tun.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "abi/sieve.h"
#include "host/lib/util.h"

#ifndef TUNSETFILTEREBPF
#define TUNSETFILTEREBPF _IOR('T', 225, int)
#endif

#define INSN(code, dst, src, off, imm) ((struct bpf_insn){(code), (dst), (src), (short)(off), (int)(imm)})
#define MOV(dst, src) INSN(BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0)
#define SET(dst, imm) INSN(BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, imm)
#define OP(op, dst, src) INSN(BPF_ALU64 | (op) | BPF_X, dst, src, 0, 0)
#define OP32(op, dst, src) INSN(BPF_ALU | (op) | BPF_X, dst, src, 0, 0)
#define OPK(op, dst, imm) INSN(BPF_ALU64 | (op) | BPF_K, dst, 0, 0, imm)
#define LOAD(size, dst, base, off) INSN(BPF_LDX | BPF_MEM | (size), dst, base, off, 0)
#define STORE(size, base, off, src) INSN(BPF_STX | BPF_MEM | (size), base, src, off, 0)
#define FRAME(size, off) INSN(BPF_LD | BPF_ABS | (size), 0, 0, 0, off) /* r0 = what stands there; r1 to r5 are lost */
#define FRAME_AT(size, reg, off) INSN(BPF_LD | BPF_IND | (size), 0, reg, 0, off)
#define AS_IT_LIES(dst) INSN(BPF_ALU | BPF_END | BPF_TO_BE, dst, 0, 0, 32)
#define CALL(helper) INSN(BPF_JMP | BPF_CALL, 0, 0, 0, helper)
#define EXIT INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)
/* To a label; link() puts the distance in. */
#define LABEL_OP 0xff
#define LABEL(label) INSN(LABEL_OP, 0, 0, 0, label)
#define GO(label) INSN(BPF_JMP | BPF_JA, 0, 0, label, 0)
#define IF(op, dst, src, label) INSN(BPF_JMP | (op) | BPF_X, dst, src, label, 0)
#define IFK(op, dst, imm, label) INSN(BPF_JMP | (op) | BPF_K, dst, 0, label, imm)
#define AT(field) offsetof(struct sieve, field)

enum { R0, R1, R2, R3, R4, R5, R6, R7, R8, R9 };
enum label { PASS = 1, DROP, HELD, V6, SYN, SEGMENT, FRAGMENT, OTHER, JUDGE, STRANGER, SAME_SLICE, LABELS };
/* Offsets in a frame: behind 14 bytes of Ethernet, an IPv4 header of variable length, or one of IPv6 of 40. */
enum { TYPE = 12, V4_LEN = 14, V4_FRAG = 20, V4_PROTO = 23, V4_SRC = 26, V6_NEXT = 20, V6_SRC = 22, TCP_FLAGS = 14 + 13, V6_TCP_FLAGS = 14 + 40 + 13 };

_Static_assert(sizeof(((struct sieve *)0)->strangers[0]) == 16, "the program multiplies by it");
_Static_assert(AT(peers) <= INT16_MAX, "offsets in instructions");

static const struct bpf_insn source[] = {
    MOV(R6, R1),
    INSN(BPF_LD | BPF_DW | BPF_IMM, R7, BPF_PSEUDO_MAP_VALUE, 0, 0), INSN(0, 0, 0, 0, 0), /* attach puts the map in */
    LOAD(BPF_W, R0, R7, AT(asked)), IFK(BPF_JEQ, R0, 0, PASS),
    CALL(BPF_FUNC_ktime_get_ns), MOV(R8, R0),
    LOAD(BPF_W, R1, R7, AT(asked)), LOAD(BPF_W, R2, R7, AT(seen)), IF(BPF_JEQ, R1, R2, HELD),
    STORE(BPF_W, R7, AT(seen), R1),
    MOV(R1, R8), OPK(BPF_ADD, R1, SIEVE_HOLD_NS), STORE(BPF_DW, R7, AT(until_ns), R1),
    LABEL(HELD), LOAD(BPF_DW, R1, R7, AT(until_ns)), IF(BPF_JGE, R8, R1, PASS),

    FRAME(BPF_H, TYPE), IFK(BPF_JEQ, R0, 0x86dd, V6), IFK(BPF_JNE, R0, 0x0800, PASS),
    FRAME(BPF_W, V4_SRC), AS_IT_LIES(R0), LOAD(BPF_W, R1, R7, AT(add4)), OP32(BPF_ADD, R0, R1),
    LOAD(BPF_W, R1, R7, AT(mul4)), OP(BPF_MUL, R0, R1), LOAD(BPF_DW, R1, R7, AT(sum4)), OP(BPF_ADD, R0, R1), MOV(R9, R0),
    FRAME(BPF_H, V4_FRAG), OPK(BPF_AND, R0, 0x3fff), IFK(BPF_JNE, R0, 0, FRAGMENT),
    FRAME(BPF_B, V4_PROTO), IFK(BPF_JNE, R0, 6, OTHER),
    FRAME(BPF_B, V4_LEN), OPK(BPF_AND, R0, 15), OPK(BPF_LSH, R0, 2), FRAME_AT(BPF_B, R0, TCP_FLAGS),
    OPK(BPF_AND, R0, 0x12), IFK(BPF_JEQ, R0, 2, SYN), GO(SEGMENT),

    LABEL(V6), FRAME(BPF_W, V6_SRC), AS_IT_LIES(R0), LOAD(BPF_W, R1, R7, AT(add6[0])), OP32(BPF_ADD, R0, R1), MOV(R9, R0),
    FRAME(BPF_W, V6_SRC + 4), AS_IT_LIES(R0), LOAD(BPF_W, R1, R7, AT(add6[1])), OP32(BPF_ADD, R0, R1), OP(BPF_MUL, R9, R0),
    LOAD(BPF_DW, R1, R7, AT(sum6)), OP(BPF_ADD, R9, R1),
    FRAME(BPF_B, V6_NEXT), IFK(BPF_JEQ, R0, 44, FRAGMENT), IFK(BPF_JNE, R0, 6, OTHER),
    FRAME(BPF_B, V6_TCP_FLAGS), OPK(BPF_AND, R0, 0x12), IFK(BPF_JEQ, R0, 2, SYN), GO(SEGMENT),

    LABEL(SYN), SET(R4, SIEVE_SYN), GO(JUDGE),
    LABEL(SEGMENT), SET(R4, SIEVE_SEGMENT), GO(JUDGE),
    LABEL(FRAGMENT), SET(R4, SIEVE_FRAGMENT), GO(JUDGE),
    LABEL(OTHER), SET(R4, SIEVE_OTHER),

    LABEL(JUDGE), MOV(R1, R9), OPK(BPF_RSH, R1, 32), OP32(BPF_XOR, R1, R9), MOV(R9, R1), OPK(BPF_RSH, R1, 32 - SIEVE_PEER_BITS),
    MOV(R3, R1), OPK(BPF_RSH, R3, 3), OP(BPF_ADD, R3, R7), LOAD(BPF_B, R3, R3, AT(peers)),
    OPK(BPF_AND, R1, 7), OP(BPF_RSH, R3, R1), OPK(BPF_AND, R3, 1), IFK(BPF_JNE, R3, 0, PASS),

    OPK(BPF_RSH, R9, 32 - SIEVE_CREDIT_BITS), MOV(R1, R4), OPK(BPF_LSH, R1, SIEVE_CREDIT_BITS), OP(BPF_ADD, R9, R1), OP(BPF_ADD, R9, R7),
    LOAD(BPF_B, R1, R9, AT(credit)), IFK(BPF_JEQ, R1, 0, STRANGER), OPK(BPF_SUB, R1, 1), STORE(BPF_B, R9, AT(credit), R1), GO(PASS),

    LABEL(STRANGER), MOV(R5, R4), OPK(BPF_LSH, R5, 2), OP(BPF_ADD, R5, R7), LOAD(BPF_W, R1, R5, AT(few)),
    OPK(BPF_LSH, R4, 4), OP(BPF_ADD, R4, R7),
    OPK(BPF_RSH, R8, SIEVE_SLICE_SHIFT), LOAD(BPF_DW, R2, R4, AT(strangers[0].slice)), IF(BPF_JEQ, R2, R8, SAME_SLICE),
    STORE(BPF_DW, R4, AT(strangers[0].slice), R8), SET(R2, 0), STORE(BPF_W, R4, AT(strangers[0].passed), R2),
    LABEL(SAME_SLICE), LOAD(BPF_W, R2, R4, AT(strangers[0].passed)), IF(BPF_JGE, R2, R1, DROP),
    OPK(BPF_ADD, R2, 1), STORE(BPF_W, R4, AT(strangers[0].passed), R2),

    LABEL(PASS), LOAD(BPF_W, R0, R6, offsetof(struct __sk_buff, len)), EXIT,
    LABEL(DROP), SET(R1, 1), INSN(BPF_STX | BPF_ATOMIC | BPF_W, R4, R1, AT(strangers[0].held), BPF_ADD), SET(R0, 0), EXIT,
};

static bool is_jump(const struct bpf_insn *i)
{
    u8 op = BPF_OP(i->code);
    return BPF_CLASS(i->code) == BPF_JMP && op != BPF_CALL && op != BPF_EXIT && i->code != LABEL_OP;
}

/* The source without its labels, jumps by their distance. Returns how many instructions. */
static unsigned link_program(struct bpf_insn *ret)
{
    unsigned at[LABELS] = {0}, n = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(source); i++) {
        if (source[i].code == LABEL_OP)
            at[source[i].imm] = n;
        else
            ret[n++] = source[i];
    }
    for (unsigned i = 0; i < n; i++)
        if (is_jump(&ret[i]))
            ret[i].off = (short)(at[ret[i].off] - i - 1);
    return n;
}

static int bpf(int command, union bpf_attr *attr) { return (int)syscall(SYS_bpf, command, attr, sizeof(*attr)); }

static int make_map(void)
{
    union bpf_attr a;
    memset(&a, 0, sizeof(a)); /* Linux wants all of the union 0 */
    a.map_type = BPF_MAP_TYPE_ARRAY;
    a.map_flags = BPF_F_MMAPABLE;
    a.key_size = 4;
    a.value_size = sizeof(struct sieve);
    a.max_entries = 1;
    strcpy(a.map_name, "drupe_sieve");
    return bpf(BPF_MAP_CREATE, &a);
}

static int load_program(int map)
{
    struct bpf_insn program[ARRAY_SIZE(source)];
    union bpf_attr a;
    memset(&a, 0, sizeof(a));
    a.prog_type = BPF_PROG_TYPE_SOCKET_FILTER;
    a.insn_cnt = link_program(program);
    a.insns = (u64)(uintptr_t)program;
    a.license = (u64)(uintptr_t)"Apache-2.0";
    program[1].imm = map;
    strcpy(a.prog_name, "drupe_sieve");
    return bpf(BPF_PROG_LOAD, &a);
}

int sieve_attach(int tap)
{
    AUTO_CLOSE int map = make_map();
    AUTO_CLOSE int program = map < 0 ? -1 : load_program(map);
    if (program < 0 || ioctl(tap, TUNSETFILTEREBPF, &program) < 0)
        return -1;
    return TAKE_FD(map);
}
