/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What needs ring 0 of kern/arch.h: control registers, FPU switches, thread pointers. FS base is the program's while
 * the kernel runs (the kernel has no use for it); GS base is the kernel's and the program's lies in MSR_KERNEL_GS_BASE.
 */
#include "arch/cpu.h"
#include "arch/x86.h"
#include "kern/arch.h"
#include "kern/plat.h"

u8 arch_has_fsgsbase;

void arch_init_cpu(void)
{
    write_cr4(read_cr4() | CR4_OSFXSR | CR4_OSXMMEXCPT);
    if (arch_detect() & 1u) {
        write_cr4(read_cr4() | CR4_FSGSBASE);
        arch_has_fsgsbase = 1;
    }
}

u32 arch_fpu_enable(u32 features)
{
    write_cr4(read_cr4() | CR4_OSXSAVE);
    __asm__ volatile("xsetbv" ::"c"(0), "a"(features), "d"(0));
    return features;
}

bool arch_fpu_trap(bool on)
{
    if (on)
        write_cr0(read_cr0() | CR0_TS | CR0_MP);
    else
        __asm__ volatile("clts");
    return true;
}

bool arch_tells_cpu(void) { return (cpuid(0x80000001, 0).edx >> 27 & 1) != 0; }

void arch_tls_save(struct arch_tls *tls)
{
    if (likely(arch_has_fsgsbase)) {
        u64 flags = plat_events_save();
        __asm__ volatile("rdfsbase %0; swapgs; rdgsbase %1; swapgs" : "=&r"(tls->fs_base), "=&r"(tls->gs_base));
        plat_events_restore(flags);
    } else {
        tls->fs_base = rdmsr(MSR_FS_BASE);
        tls->gs_base = rdmsr(MSR_KERNEL_GS_BASE);
    }
}

void arch_tls_load(const struct arch_tls *tls)
{
    if (likely(arch_has_fsgsbase)) {
        u64 flags = plat_events_save();
        __asm__ volatile("wrfsbase %0; swapgs; wrgsbase %1; swapgs" ::"r"(tls->fs_base), "r"(tls->gs_base));
        plat_events_restore(flags);
    } else {
        wrmsr(MSR_FS_BASE, tls->fs_base);
        wrmsr(MSR_KERNEL_GS_BASE, tls->gs_base);
    }
}

u64 arch_hwcap2(void) { return arch_has_fsgsbase ? 2 : 0; } /* HWCAP2_FSGSBASE */
