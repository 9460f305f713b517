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

static u32 xsave_mask; /* 0 = FXSAVE */
static u32 area_size = FXSAVE_SIZE;

static void write_xcr0(u32 v) { __asm__ volatile("xsetbv" ::"c"(0), "a"(v), "d"(0)); }

void arch_fpu_init_cpu(void)
{
    __asm__ volatile("fninit");
    if (!(cpuid(1, 0).ecx & (1u << 26)))
        return;
    write_cr4(read_cr4() | CR4_OSXSAVE);
    u32 mask = cpuid(0xd, 0).eax & XFEATURES;
    if ((mask & 0xe0u) != 0xe0u)
        mask &= ~0xe0u; /* the three AVX-512 parts come together */
    if (!(mask & 4u))
        mask &= 3u;
    write_xcr0(mask);
    u32 size = ALIGN_UP(cpuid(0xd, 0).ebx, 64u);
    if (size < XSAVE_MIN)
        return;
    xsave_mask = mask;
    area_size = size;
}

size_t arch_fpu_size(void) { return area_size; }

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

/* The area may have come from a program's signal frame: XRSTOR faults on reserved bits of the
 * header and of MXCSR, so they are taken out first. */
void arch_fpu_sanitize(void *area)
{
    u32 mxcsr;
    memcpy(&mxcsr, (u8 *)area + 24, sizeof mxcsr);
    mxcsr &= 0xffffu;
    memcpy((u8 *)area + 24, &mxcsr, sizeof mxcsr);
    if (!xsave_mask)
        return;
    u64 header[8];
    memcpy(header, (u8 *)area + FXSAVE_SIZE, sizeof header);
    header[0] &= xsave_mask;
    memset(&header[1], 0, sizeof header - sizeof header[0]);
    memcpy((u8 *)area + FXSAVE_SIZE, header, sizeof header);
}

u64 arch_fpu_features(void) { return xsave_mask; }

void arch_fpu_restore(const void *area)
{
    if (likely(xsave_mask))
        __asm__ volatile("xrstor64 (%0)" ::"r"(area), "a"(xsave_mask), "d"(0) : "memory");
    else
        __asm__ volatile("fxrstor64 (%0)" ::"r"(area) : "memory");
}
