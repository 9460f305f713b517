/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FPU state. The kernel does not touch vector registers, so a program's state
 * stays in the CPU across system calls, kernel threads and idling.
 *
 *   F1  t's state is live in CPU c iff percpu(c)->fpu_owner == t and t->fpu_cpu == c.
 *   F2  One CPU online: live state is saved when another program needs the
 *       registers. Several: when its thread is switched out (it may move), so that
 *       fpu_owner of other CPUs is compared but never followed.
 */
#include "sched_impl.h"

static bool is_live(const struct percpu *cpu, const struct thread *t)
{
    return cpu->fpu_owner == t && t->fpu_cpu == cpu->cpu;
}

/* A program thread leaves the CPU. Events disabled. */
void fpu_switch_out(struct percpu *cpu, struct thread *t)
{
    if (t->state == THREAD_DEAD)
        fpu_forget(cpu, t);
    else if (!single_cpu() && is_live(cpu, t))
        arch_fpu_save(t->fpu);
}

void fpu_forget(struct percpu *cpu, struct thread *t)
{
    if (cpu->fpu_owner == t)
        cpu->fpu_owner = NULL;
    t->fpu_cpu = FPU_NOWHERE;
}

void thread_fpu_before_program(void)
{
    struct percpu *cpu = this_cpu();
    struct thread *t = cpu->current, *owner = cpu->fpu_owner;
    if (is_live(cpu, t))
        return;
    if (owner != NULL && single_cpu())
        arch_fpu_save(owner->fpu);
    arch_fpu_restore(t->fpu);
    cpu->fpu_owner = t;
    t->fpu_cpu = cpu->cpu;
}

void thread_fpu_sync(struct thread *t)
{
    u64 flags = plat_events_save();
    struct percpu *cpu = this_cpu();
    if (is_live(cpu, t) && (single_cpu() || t == cpu->current))
        arch_fpu_save(t->fpu);
    plat_events_restore(flags);
}

void thread_fpu_reload(struct thread *t)
{
    u64 flags = plat_events_save();
    fpu_forget(this_cpu(), t);
    plat_events_restore(flags);
}
