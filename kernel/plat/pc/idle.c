/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A CPU with nothing to do, and the kick that ends it.
 *
 * A kick of a CPU that is halted is an exit of the kicker and a wake of the other's thread on the host: many times what a hand-over costs. So
 * while kicks come soon, an idle CPU first looks for one itself. What devices send is no reason to: their host wants the time.
 *
 * `kicks` of a CPU: who sets KICKED and finds LOOKS_FOR_IT set need not interrupt. The bit may be old where that is not set; it says then
 * that the halt, if one ended meanwhile, was ended by a kick.
 */
#include "arch/cpu.h"
#include "kern/atomic.h"
#include "kern/bh.h"
#include "kern/percpu.h"
#include "kern/thread.h"
#include "pc.h"

#define LOOKS_FOR_IT 1u
#define KICKED 2u

#define LOOK_NS 200000u /* as long as hosts look for what wakes a halted CPU (kvm.halt_poll_ns) */
#define LOOKS 64        /* between two readings of the clock */

void plat_cpu_kick(unsigned number)
{
    struct plat_percpu *p = &percpu_table[number]->plat;
    if ((atomic_or(&p->kicks, KICKED) & LOOKS_FOR_IT) == 0)
        pc_apic_ipi(p->apic_id, VEC_KICK);
}

/* Events are enabled meanwhile. Until a kick, an interrupt, or the deadline: false. */
static bool look(struct percpu *cpu, u64 deadline_ns)
{
    u64 irqs = cpu->stats[STAT_IRQS];
    plat_events_enable();
    do {
        for (unsigned i = 0; i < LOOKS; i++)
            if ((atomic_load_relaxed(&cpu->plat.kicks) & KICKED) != 0 || atomic_load_relaxed(&cpu->stats[STAT_IRQS]) != irqs)
                return true;
        plat_relax();
    } while (plat_now_ns() < deadline_ns);
    plat_events_disable();
    return atomic_load_relaxed(&cpu->stats[STAT_IRQS]) != irqs;
}

/* A kick that was found, or was on its way when looking ended, does what its interrupt would have done. */
static bool take_kick(struct percpu *cpu)
{
    plat_events_disable();
    bool kicked = (atomic_xchg(&cpu->plat.kicks, 0) & KICKED) != 0;
    if (kicked) {
        irq_enter();
        cpu_kicked();
        irq_exit();
    }
    return kicked;
}

static void halt(void) { __asm__ volatile("sti; hlt" ::: "memory"); }

void plat_idle(void)
{
    struct percpu *cpu = this_cpu();
    if (pc_cpu_found == 1) {
        halt();
        return;
    }
    u64 start = plat_now_ns();
    bool ended = false, kicked = false;
    atomic_store(&cpu->plat.kicks, cpu->plat.look ? LOOKS_FOR_IT : 0);
    if (cpu->plat.look) {
        ended = look(cpu, start + LOOK_NS);
        kicked = take_kick(cpu);
    }
    if (!ended && !kicked) {
        halt();
        kicked = (atomic_load_relaxed(&cpu->plat.kicks) & KICKED) != 0;
    }
    cpu->plat.look = kicked && plat_now_ns() - start < LOOK_NS;
    plat_events_enable();
}
