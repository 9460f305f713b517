/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registers of x86-64 between the two forms that they come in: register sets as in core files (struct user_regs_struct, the XSAVE
 * area), and gdb's numbered registers (the features of its target descriptions: core, sse, linux, segments, avx, avx512).
 */
#ifndef HOST_DEBUG_REGS_H
#define HOST_DEBUG_REGS_H

#include "abi/debug.h"
#include "host/lib/util.h"

#define REGS_GENERAL_SIZE 216u
#define REGS_FXSAVE_SIZE 512u
#define REGS_LEGACY_SIZE 576u /* and XSAVE's header, which says what of it is in use */

struct regs {
    u8 general[REGS_GENERAL_SIZE]; /* NT_PRSTATUS' */
    u8 state[DBG_DATA_MAX];        /* NT_X86_XSTATE's, or NT_PRFPREG's where there is none */
};

/* What there is, depends on the CPU: made of what the kernel says. */
struct reg {
    char name[12];
    u8 bits_8;       /* bytes as gdb has it */
    u8 kind;         /* enum in regs.c */
    u8 component;    /* of the XSAVE area, from 2 on, or 0 */
    u16 offset;
    const char *type, *group;
    u8 feature;
};
#define REGS_MAX 192

struct regs_layout {
    struct reg regs[REGS_MAX];
    unsigned count;
};

/* False: the kernel's sizes and offsets make no sense. */
bool regs_layout(const struct dbg_hello *h, struct regs_layout *ret);
/* target.xml */
void regs_describe(const struct regs_layout *l, struct buf *ret);
/* Register n (less than count) as gdb has it, bits_8 bytes. */
void regs_get(const struct regs_layout *l, unsigned n, const struct regs *r, u8 *ret);
/* Set it. True: it is a general one, so that set is to be written back; false: the other. */
bool regs_set(const struct regs_layout *l, unsigned n, struct regs *r, const u8 *bytes);

#define REGS_FS_BASE_AT 168u /* in the general set */
#define REGS_RSP_AT 152u
#define NUMBER_RSP 7u
#define NUMBER_RBP 6u
#define NUMBER_RIP 16u

#endif
