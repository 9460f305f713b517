/* SPDX-License-Identifier: Apache-2.0 */
/* The table of CPUs, and what each needs before anything else. */
#include "kern/percpu.h"

#include "base/str.h"
#include "kern/core.h"
#include "kern/thread.h"

struct percpu percpu_boot;
struct percpu *percpu_table[MAX_CPUS];

/* What this_cpu()->current is until sched_init(): enough for locks and for reports. */
static struct thread early_thread = { .state = THREAD_RUNNING, .name = "boot" };
static struct timer_base boot_timers;

void percpu_init(struct percpu *cpu, unsigned number)
{
    cpu->self = cpu;
    cpu->cpu = number;
    cpu->current = &early_thread;
    cpu->fpu_file = &cpu->fpu_own;
    list_init(&cpu->bh_pending);
    atomic_store(&percpu_table[number], cpu);
}

void core_init(void)
{
    timer_init_cpu(this_cpu(), &boot_timers);
}
