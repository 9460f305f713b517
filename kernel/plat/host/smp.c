/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several CPUs: each a thread of Linux in every carrier (carrier.h), one of which runs. They reach each other by SIGURG: first the bit in
 * plat.pending, then the signal to the seat that runs the CPU, unless that looks (events.c). Should the CPU leave this seat meanwhile, events are off
 * there, and it sees the bit when it enables them.
 */
#include <asm/unistd.h>
#include <linux/futex.h>

#include "carrier.h"
#include "host.h"
#include "kern/cpu_calls.h"
#include "kern/log.h"
#include "kern/slab.h"
#include "kern/thread.h"

#define RELAX_TURNS 128u

static void (*cpu_fn)(void); /* const after the first start */
static u32 stopping;         /* atomic: 1 + the CPU that stops all others */

/* Who holds what we wait for may be waiting for the host's CPU. */
void plat_relax(void)
{
    __asm__ volatile("pause" ::: "memory");
    if (host_cpus > 1 && ++this_cpu()->plat.relaxed % RELAX_TURNS == 0)
        host_call(__NR_sched_yield);
}

unsigned plat_cpu_count(void) { return host_cpus; }

static void signal_cpu(const struct percpu *cpu)
{
    const struct host_seat *s = atomic_load(&cpu->plat.seat);
    host_call(__NR_tgkill, (long)s->carrier->seats[0]->tid, (long)s->tid, (long)KICK_SIGNAL);
}

void host_poke(struct percpu *cpu, u8 bit)
{
    bool told = (atomic_or(&cpu->plat.pending, bit) & bit) != 0; /* it has not looked since, and is on its way to */
    atomic_fence(); /* pairs with that of who stops looking */
    if (!told && !atomic_load(&cpu->plat.looks))
        signal_cpu(cpu);
}

void plat_cpu_kick(unsigned cpu)
{
    if (cpu != this_cpu()->cpu)
        host_poke(percpu_table[cpu], PENDING_KICK);
}

void plat_cpu_ask(unsigned cpu) { host_poke(percpu_table[cpu], PENDING_ASK); }

void plat_barrier(struct plat_aspace *as) { cpu_call(as != NULL ? atomic_load(&as->cpus) : UINT64_MAX, NULL, NULL); }

void plat_stop_others(void)
{
    u32 self = this_cpu()->cpu, none = 0;
    if (!atomic_cas(&stopping, &none, self + 1))
        return;
    for (u64 m = atomic_load(&cpus_answering) & ~(1UL << self); m != 0; m &= m - 1)
        signal_cpu(percpu_table[__builtin_ctzll(m)]);
}

void host_stop_if_asked(const struct percpu *cpu)
{
    u32 by = atomic_load_relaxed(&stopping);
    while (unlikely(by != 0 && by != cpu->cpu + 1))
        host_call(__NR_futex, &stopping, (long)FUTEX_WAIT, (long)by, 0L);
}

static void cpu_main(void *arg)
{
    atomic_or(&cpus_answering, 1UL << this_cpu()->cpu);
    cpu_fn();
}

int plat_cpu_start(unsigned number, void (*fn)(void), void *stack_top)
{
    ASSERT(number < host_cpus && percpu_table[number] == NULL);
    struct percpu *cpu = kzalloc(sizeof *cpu);
    if (cpu == NULL)
        return -ENOMEM;
    cpu->plat.events_off = 1;
    cpu->plat.timer_want_ns = NEVER_NS;
    cpu->kernel_sp = (u64)stack_top;
    percpu_init(cpu, number);
    cpu_fn = fn;
    if (host_seat_start(cpu, cpu_main, (u8 *)stack_top - KSTACK_SIZE, KSTACK_SIZE) != 0 ||
        (number + 1 == host_cpus && !host_carriers_reserve(host_cpus)))
        host_fatal("--cpus: Linux gives no threads for as many CPUs");
    return 0;
}
