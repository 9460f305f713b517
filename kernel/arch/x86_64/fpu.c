/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended state in the standard (uncompacted) XSAVE format, because signal frames and
 * ptrace show it to programs (Intel SDM volume 1, chapter 13); FXSAVE where there is no
 * XSAVE. AMX tiles and protection keys are left off: programs are not told of them.
 *
 * XSAVEOPT leaves out what is in its initial state (13.9): AVX-512 unused, that is a fifth of XSAVE's time. XSTATE_BV says
 * so; only who shows the area to a program has to fill in what was left out (arch_fpu_fill()). It may also leave out what
 * has not changed since XRSTOR of this very area, which nobody else writes to while the state is live.
 */
#include "arch/cpu.h"
#include "arch/x86.h"
#include "base/str.h"
#include "kern/arch.h"

#define XFEATURES 0xe7u /* x87, SSE, AVX, AVX-512 opmask, ZMM_Hi256, Hi16_ZMM */
#define FXSAVE_SIZE 512u
#define XSAVE_MIN 576u
#define FEATURE_X87 1u
#define FEATURE_SSE 2u
#define COMPONENTS 8u

/* Where the FXSAVE image has what. */
#define X87_CONTROL_END 24u
#define X87_REGISTERS 32u
#define XMM_REGISTERS 160u
#define XMM_END 416u

/* A fault at 1 goes on at 2 (arch_fault_fixup()). */
#define EX_TABLE ".pushsection .ex_table, \"a\", @progbits\n .long 1b - .\n .long 2b - .\n .popsection"

static u32 xsave_mask; /* 0 = FXSAVE */
static bool has_xsaveopt;
static struct {
    u32 offset, size;
} components[COMPONENTS]; /* from 2 on */
static u32 area_size = FXSAVE_SIZE;

/* Bytes up to the end of the last component of `mask`. */
static u32 find_components(u32 mask)
{
    u32 size = XSAVE_MIN;
    for (u32 i = 2; i < COMPONENTS; i++) {
        if (!(mask >> i & 1))
            continue;
        struct cpuid_regs r = cpuid(0xd, i);
        components[i].offset = r.ebx;
        components[i].size = r.eax;
        size = MAX(size, r.ebx + r.eax);
    }
    return ALIGN_UP(size, 64u);
}

void arch_fpu_init_cpu(void)
{
    __asm__ volatile("fninit");
    if (!(cpuid(1, 0).ecx & (1u << 26)))
        return;
    u32 mask = cpuid(0xd, 0).eax & XFEATURES;
    if ((mask & 0xe0u) != 0xe0u)
        mask &= ~0xe0u; /* the three AVX-512 parts come together */
    if (!(mask & 4u))
        mask &= 3u;
    mask = arch_fpu_enable(mask);
    xsave_mask = mask;
    has_xsaveopt = cpuid(0xd, 1).eax & 1u;
    area_size = find_components(mask);
}

size_t arch_fpu_size(void) { return area_size; }
u32 arch_fpu_offset(unsigned component) { return component < COMPONENTS ? components[component].offset : 0; }
u64 arch_fpu_components(void) { return xsave_mask != 0 ? xsave_mask : 3; }

void arch_fpu_reset(void *area)
{
    memset(area, 0, area_size);
    u16 fcw = 0x37f;
    u32 mxcsr = 0x1f80;
    u64 xstate_bv = 3;
    memcpy(area, &fcw, sizeof fcw);
    memcpy((u8 *)area + 24, &mxcsr, sizeof mxcsr);
    if (xsave_mask)
        memcpy((u8 *)area + FXSAVE_SIZE, &xstate_bv, sizeof xstate_bv);
}

void arch_fpu_save(void *area)
{
    if (likely(has_xsaveopt))
        __asm__ volatile("xsaveopt64 (%0)" ::"r"(area), "a"(xsave_mask), "d"(0) : "memory");
    else if (xsave_mask)
        __asm__ volatile("xsave64 (%0)" ::"r"(area), "a"(xsave_mask), "d"(0) : "memory");
    else
        __asm__ volatile("fxsave64 (%0)" ::"r"(area) : "memory");
}

/* The initial state: everything but MXCSR comes from XSTATE_BV being 0. */
static const struct {
    u16 fcw;
    u8 unused[22];
    u32 mxcsr, mxcsr_mask;
    u8 rest[XSAVE_MIN - 32];
} initial ALIGNED(64) = { .fcw = 0x37f, .mxcsr = 0x1f80 };

void arch_fpu_fill(void *area)
{
    u8 *to = area;
    u64 there;
    memcpy(&there, to + FXSAVE_SIZE, xsave_mask != 0 ? sizeof there : 0);
    u64 missing = xsave_mask & ~there;
    if (missing & FEATURE_X87) {
        memcpy(to, &initial, X87_CONTROL_END);
        memset(to + X87_REGISTERS, 0, XMM_REGISTERS - X87_REGISTERS);
    }
    if (missing & FEATURE_SSE)
        memset(to + XMM_REGISTERS, 0, XMM_END - XMM_REGISTERS);
    for (u32 i = 2; i < COMPONENTS; i++)
        if (missing >> i & 1)
            memset(to + components[i].offset, 0, components[i].size);
}

/* False when the area was refused (a program may have had it in its hands); nothing is loaded then. */
static bool try_restore(const void *area)
{
    u32 ok = 0;
    if (likely(xsave_mask))
        __asm__ volatile("1: xrstor64 (%1)\n movl $1, %0\n 2:\n" EX_TABLE
                         : "+r"(ok) : "r"(area), "a"(xsave_mask), "d"(0) : "memory");
    else
        __asm__ volatile("1: fxrstor64 (%1)\n movl $1, %0\n 2:\n" EX_TABLE : "+r"(ok) : "r"(area) : "memory");
    return ok != 0;
}

void arch_fpu_restore(const void *area)
{
    if (unlikely(!try_restore(area)))
        (void)try_restore(&initial);
}
