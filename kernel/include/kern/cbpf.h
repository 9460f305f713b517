/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Classic BPF (McCanne, Jacobson 1993; Linux's networking/filter): what packet sockets, other sockets and seccomp(2) filter by. Programs
 * run as they came, in any context. What they look at is a table of one function.
 */
#ifndef KERN_CBPF_H
#define KERN_CBPF_H

#include "kern/atomic.h"
#include "kern/types.h"

struct cbpf_insn { /* struct sock_filter */
    u16 code;
    u8 jt, jf;
    u32 k;
};
struct cbpf_program {
    struct refcount refs;
    u32 len;
    struct cbpf_insn insn[];
};
#define BPF_MAXINSNS 4096u

/* Codes of instructions are class | size or operation | mode or source. */
#define CBPF_CLASS(c) ((c) & 7u)
enum { CBPF_LD, CBPF_LDX, CBPF_ST, CBPF_STX, CBPF_ALU, CBPF_JMP, CBPF_RET, CBPF_MISC };
#define CBPF_MODE(c) ((c) & 0xe0u)
enum { CBPF_IMM = 0x00, CBPF_ABS = 0x20, CBPF_IND = 0x40, CBPF_MEM = 0x60, CBPF_LEN = 0x80, CBPF_MSH = 0xa0 };
#define CBPF_OP(c) ((c) & 0xf0u)
enum { CBPF_ADD = 0x00, CBPF_SUB = 0x10, CBPF_MUL = 0x20, CBPF_DIV = 0x30, CBPF_OR = 0x40, CBPF_AND = 0x50, CBPF_LSH = 0x60, CBPF_RSH = 0x70,
       CBPF_NEG = 0x80, CBPF_MOD = 0x90, CBPF_XOR = 0xa0 };

/* Loads from above here are not of the bytes (Linux): what is known of a frame; headers by their layer. */
#define CBPF_AD_OFF 0xfffff000u
enum { CBPF_AD_PROTOCOL = 0, CBPF_AD_PKTTYPE = 4, CBPF_AD_IFINDEX = 8, CBPF_AD_HATYPE = 28, CBPF_AD_VLAN_TAG = 44, CBPF_AD_VLAN_TAG_PRESENT = 48 };
#define CBPF_NET_OFF 0xfff00000u
#define CBPF_LL_OFF 0xffe00000u

struct cbpf_data {
    u32 len; /* what the program is told */
    /* The 1, 2 or 4 bytes at off as a number. False: they are not there, which ends the program with 0. Of what is above CBPF_AD_OFF only
     * the words named here are asked for. */
    bool (*load)(const struct cbpf_data *d, u32 off, u32 size, u32 *ret);
};

/* Does it only do what can be done, and end? Refused as by Linux. -EINVAL, -ENOMEM. */
int cbpf_check(const struct cbpf_insn *insn, u32 len);
/* One of a program's memory, referenced; `also` says what may not be in it besides (NULL: nothing). May sleep. -EINVAL, -EFAULT, -ENOMEM. */
int cbpf_create(u64 uinsn, u32 len, bool (*also)(const struct cbpf_insn *i), struct cbpf_program **ret);
void cbpf_put(struct cbpf_program *b); /* NULL is fine */
u32 cbpf_run(const struct cbpf_program *b, const struct cbpf_data *d);

#endif
