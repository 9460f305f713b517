/* SPDX-License-Identifier: Apache-2.0 */
/* Several CPUs: their start (Intel SDM volume 3, 8.4), and how they reach each other. */
#include "arch/cpu.h"
#include "base/str.h"
#include "kern/cpu_calls.h"
#include "kern/kprobe.h"
#include "kern/lock.h"
#include "kern/log.h"
#include "kern/slab.h"
#include "kern/thread.h"
#include "pc.h"

_Static_assert(LAYOUT_MAX_CPUS == MAX_CPUS, "entry code and headers agree");

#define WARP_TRIES 4u

unsigned pc_cpu_found = 1;
u8 pc_cpu_apic_ids[MAX_CPUS];

static struct spinlock start_lock = SPINLOCK_INIT("pc cpu start");
static unsigned coming;    /* start_lock: sent for, not yet there */
static u32 stopping;       /* atomic: 1 + the CPU that stops all others */
static void (*cpu_fn)(void); /* const after the first start */

unsigned plat_cpu_count(void) { return pc_cpu_found; }

void plat_cpu_ask(unsigned cpu) { pc_apic_ipi(percpu_table[cpu]->plat.apic_id, VEC_CALL); }

void plat_stop_others(void)
{
    u32 self = this_cpu()->cpu, none = 0;
    if (!atomic_cas(&stopping, &none, self + 1))
        return;
    for (u64 m = atomic_load(&cpus_answering) & ~(1UL << self); m != 0; m &= m - 1)
        pc_apic_ipi(percpu_table[__builtin_ctzll(m)]->plat.apic_id, PC_IPI_NMI);
}

NOPROBE bool pc_stopping(void)
{
    u32 by = atomic_load(&stopping);
    return by != 0 && by != this_cpu()->cpu + 1;
}

/* --- the start of a CPU --------------------------------------------------------------- */

static void read_tsc(void *arg) { *(u64 *)arg = rdtsc(); }

/* The TSC is the clock of all: what the boot CPU reads must lie between two readings here. */
static bool tsc_agrees(void)
{
    for (unsigned i = 0; i < WARP_TRIES; i++) {
        u64 theirs = 0, before = rdtsc();
        cpu_call(1, read_tsc, &theirs);
        if (theirs < before || theirs > rdtsc())
            return false;
    }
    return true;
}

/* From ap_boot.S, on the CPU's own stack. */
NORETURN void pc_cpu_main(struct percpu *cpu);
__attribute__((no_stack_protector)) void pc_cpu_main(struct percpu *cpu)
{
    wrmsr(MSR_GS_BASE, (u64)cpu);
    pc_cpu_init(cpu);
    pc_apic_init_cpu();
    pc_clock_init_cpu();
    atomic_or(&cpus_answering, 1UL << cpu->cpu);
    pc_debug_init_cpu();
    spin_lock(&start_lock);
    if (--coming == 0)
        pc_paging_identity(false);
    spin_unlock(&start_lock);
    write_cr3(read_cr3());
    if (tsc_agrees())
        cpu_fn();
    atomic_and(&cpus_answering, ~(1UL << cpu->cpu));
    klog(LOG_ERROR, "CPU %u is not used: its time-stamp counter differs from the first CPU's", cpu->cpu);
    for (;;)
        __asm__ volatile("cli; hlt");
}

static struct percpu *percpu_make(unsigned number, void *stack_top)
{
    struct percpu *cpu = kzalloc(sizeof *cpu);
    if (cpu == NULL)
        return NULL;
    cpu->plat.tables = pc_cpu_tables_alloc();
    if (cpu->plat.tables == NULL) {
        kfree(cpu);
        return NULL;
    }
    cpu->plat.apic_id = pc_cpu_apic_ids[number];
    cpu->kernel_sp = (u64)stack_top;
    percpu_init(cpu, number);
    return cpu;
}

int plat_cpu_start(unsigned number, void (*fn)(void), void *stack_top)
{
    extern const u8 ap_trampoline[], ap_trampoline_end[];
    ASSERT(number < pc_cpu_found && percpu_table[number] == NULL);
    struct percpu *cpu = percpu_make(number, stack_top);
    if (cpu == NULL)
        return -ENOMEM;
    cpu_fn = fn;
    memcpy(phys_to_virt(0), ap_trampoline, (size_t)(ap_trampoline_end - ap_trampoline));
    spin_lock(&start_lock);
    coming++;
    pc_paging_identity(true);
    spin_unlock(&start_lock);
    /* Virtual machines need neither the pauses nor the second startup message of old hardware. */
    pc_apic_ipi(cpu->plat.apic_id, PC_IPI_INIT);
    pc_apic_ipi(cpu->plat.apic_id, PC_IPI_STARTUP | 0);
    return 0;
}
