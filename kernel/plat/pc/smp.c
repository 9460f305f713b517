/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several CPUs: their start (Intel SDM volume 3, 8.4), and what they ask of each other.
 *
 *   K1  percpu_table[n] is set before CPU n begins, and pc_online gets its bit before it uses any mapping that may go away. From
 *       then on it answers calls: at once with events enabled, else when they are enabled again.
 *   K2  Who calls waits with events disabled, and answers meanwhile; so two that call each other both come through.
 *       So nobody calls with a lock held that somebody else wants with events disabled.
 */
#include "arch/cpu.h"
#include "base/str.h"
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

static u64 pc_online = 1;  /* atomic */
static struct spinlock start_lock = SPINLOCK_INIT("pc cpu start");
static unsigned coming;    /* start_lock: sent for, not yet there */
static u32 stopping;       /* atomic: 1 + the CPU that stops all others */
static void (*cpu_fn)(void); /* const after the first start */

unsigned plat_cpu_count(void) { return pc_cpu_found; }

/* --- calls ------------------------------------------------------------------------ */

struct pc_call {
    void (*fn)(void *arg);
    void *arg;
    u64 waiting; /* atomic: CPUs that have not answered; whose bit goes does not look at this again */
};

void pc_answer_calls(void)
{
    struct percpu *cpu = this_cpu();
    if (atomic_load_relaxed(&cpu->plat.calls) == 0)
        return;
    for (u64 from = atomic_xchg(&cpu->plat.calls, 0); from != 0; from &= from - 1) {
        struct pc_call *c = atomic_load(&percpu_table[__builtin_ctzll(from)]->plat.call);
        if (c->fn != NULL)
            c->fn(c->arg);
        (void)atomic_and(&c->waiting, ~(1UL << cpu->cpu));
    }
}

void pc_call_cpus(u64 mask, void (*fn)(void *arg), void *arg)
{
    u64 flags = plat_events_save();
    struct percpu *cpu = this_cpu();
    u64 self = 1UL << cpu->cpu;
    mask &= atomic_load(&pc_online) & ~self;
    if (mask != 0) {
        struct pc_call c = { fn, arg, mask };
        atomic_store(&cpu->plat.call, &c);
        for (u64 m = mask; m != 0; m &= m - 1) {
            struct percpu *to = percpu_table[__builtin_ctzll(m)];
            if (atomic_or(&to->plat.calls, self) == 0) /* else an earlier caller's interrupt has yet to come */
                pc_apic_ipi(to->plat.apic_id, VEC_CALL);
        }
        while (atomic_load(&c.waiting) != 0) {
            pc_answer_calls();
            plat_relax();
        }
    }
    plat_events_restore(flags);
}

void plat_cpu_kick(unsigned cpu)
{
    pc_apic_ipi(percpu_table[cpu]->plat.apic_id, VEC_KICK);
}

void plat_stop_others(void)
{
    u32 self = this_cpu()->cpu, none = 0;
    if (!atomic_cas(&stopping, &none, self + 1))
        return;
    for (u64 m = atomic_load(&pc_online) & ~(1UL << self); m != 0; m &= m - 1)
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
        pc_call_cpus(1, read_tsc, &theirs);
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
    atomic_or(&pc_online, 1UL << cpu->cpu);
    pc_debug_init_cpu();
    spin_lock(&start_lock);
    if (--coming == 0)
        pc_paging_identity(false);
    spin_unlock(&start_lock);
    write_cr3(read_cr3());
    if (tsc_agrees())
        cpu_fn();
    atomic_and(&pc_online, ~(1UL << cpu->cpu));
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
