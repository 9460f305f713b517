/* SPDX-License-Identifier: Apache-2.0 */
/* Calls from one CPU to others: kern/cpu_calls.h. */
#include "kern/cpu_calls.h"

#include "kern/atomic.h"
#include "kern/percpu.h"

struct cpu_call {
    void (*fn)(void *arg);
    void *arg;
    u64 waiting; /* atomic: CPUs that have not answered; whose bit goes does not look at this again */
};

u64 cpus_answering = 1;

void cpu_answer_calls(void)
{
    struct percpu *cpu = this_cpu();
    if (atomic_load_relaxed(&cpu->calls) == 0)
        return;
    for (u64 from = atomic_xchg(&cpu->calls, 0); from != 0; from &= from - 1) {
        struct cpu_call *c = atomic_load(&percpu_table[__builtin_ctzll(from)]->call);
        if (c->fn != NULL)
            c->fn(c->arg);
        (void)atomic_and(&c->waiting, ~(1UL << cpu->cpu));
    }
}

void cpu_call(u64 mask, void (*fn)(void *arg), void *arg)
{
    u64 flags = plat_events_save();
    struct percpu *cpu = this_cpu();
    u64 self = 1UL << cpu->cpu;
    mask &= atomic_load(&cpus_answering) & ~self;
    if (mask != 0) {
        struct cpu_call c = { fn, arg, mask };
        atomic_store(&cpu->call, &c);
        for (u64 m = mask; m != 0; m &= m - 1) {
            unsigned to = (unsigned)__builtin_ctzll(m);
            if (atomic_or(&percpu_table[to]->calls, self) == 0) /* else an earlier caller's event has yet to come */
                plat_cpu_ask(to);
        }
        while (atomic_load(&c.waiting) != 0) {
            cpu_answer_calls();
            plat_relax();
        }
    }
    plat_events_restore(flags);
}
