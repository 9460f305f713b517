/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process may do of kern/arch.h's privileged parts. FS base is the program's, also while the kernel runs. GS base is
 * the per-CPU pointer, also while a program runs, until a program sets its own (arch_prctl(2), ARCH_SET_GS; hardly any does):
 * from then on (host_gs_shared) system calls come in as traps, and GS is loaded on each way out. Programs are not told
 * of FSGSBASE, since a GS that they set themselves would not be noticed.
 */
#include "arch/cpu.h"
#include "arch/x86.h"
#include "host.h"

u8 host_gs_shared;                    /* entry.S */
void (*host_gate_target)(void);       /* entry.S */
void host_gate(void);
void host_gate_fast(void);
void host_gate_trap(void);

uaddr_t plat_call_gate(void) { return (uaddr_t)(uintptr_t)host_gate; }

u32 arch_fpu_enable(u32 features)
{
    u32 low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low & features;
}

/* Linux's own thread switch needs the FPU's trap for itself. */
bool arch_fpu_trap(bool on) { return false; }
bool arch_tells_cpu(void) { return false; } /* it tells Linux's number */

void arch_tls_save(struct arch_tls *tls)
{
    __asm__ volatile("rdfsbase %0" : "=r"(tls->fs_base));
    tls->gs_base = this_cpu()->plat.program_gs;
}

void arch_tls_load(const struct arch_tls *tls)
{
    __asm__ volatile("wrfsbase %0" ::"r"(tls->fs_base));
    this_cpu()->plat.program_gs = tls->gs_base;
    if (tls->gs_base != 0 && !host_gs_shared) {
        host_gs_shared = 1;
        host_gate_target = host_gate_trap;
    }
}

u64 arch_hwcap2(void) { return 0; }
