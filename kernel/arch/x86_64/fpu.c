/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Extended state in the standard (uncompacted) XSAVE format, because signal frames and
 * ptrace show it to programs (Intel SDM volume 1, chapter 13); FXSAVE where there is no
 * XSAVE. AMX tiles and protection keys are left off: programs are not told of them.
 */
#include "arch/cpu.h"
#include "arch/x86.h"
#include "base/str.h"
#include "kern/arch.h"

#define XFEATURES 0xe7u /* x87, SSE, AVX, AVX-512 opmask, ZMM_Hi256, Hi16_ZMM */
#define FXSAVE_SIZE 512u
#define XSAVE_MIN 576u

/* A fault at 1 goes on at 2 (arch_fault_fixup()). */
#define EX_TABLE ".pushsection .ex_table, \"a\", @progbits\n .long 1b - .\n .long 2b - .\n .popsection"

static u32 xsave_mask; /* 0 = FXSAVE */
static u32 area_size = FXSAVE_SIZE;

/* Bytes up to the end of the last component of `mask`. */
static u32 size_of(u32 mask)
{
    u32 size = XSAVE_MIN;
    for (u32 i = 2; i < 32; i++) {
        if (!(mask >> i & 1))
            continue;
        struct cpuid_regs r = cpuid(0xd, i);
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
    area_size = size_of(mask);
}

size_t arch_fpu_size(void) { return area_size; }
u32 arch_fpu_offset(unsigned component) { return component >= 2 && (xsave_mask >> component & 1) ? cpuid(0xd, component).ebx : 0; }
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
    if (likely(xsave_mask))
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
