/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FPU state. The kernel does not touch vector registers, so a program's state
 * stays in the CPU across system calls, kernel threads and idling.
 *
 *   F1  t's state is live in registers f iff f->owner == t and t->fpu_file == f. A CPU uses cpu->fpu_file.
 *   F2  f->saved says that they are as in memory, and owner is compared but never followed. Otherwise f is in use by a CPU, and its owner
 *       is there. One CPU online: live state is saved when another program needs the registers. Several: when its thread is
 *       switched out, since it may move.
 *   F3  A program runs with its own state live and not called saved, or with fpu_traps set.
 *       fpu_for says that this has been seen to; a switch and whatever else
 *       moves state clears it.
 *
 * Threads that hand over to each other in system calls often touch no vector register
 * meanwhile, so the first use traps; as a trap costs more than a save, a thread that did
 * trap gets its state at once for the next EAGER_MIN times, and twice as often each time
 * that it traps again at once. A thread that finds its state live
 * has a trap left as it is, since switching it costs as well; with several CPUs it is set
 * even then, so that the next switch has nothing to save.
 */
#include "sched_impl.h"

#define EAGER_MIN 16
#define EAGER_MAX 240

static bool is_live(const struct fpu_file *f, const struct thread *t) { return f->owner == t && t->fpu_file == f; }

static void stop_trapping(struct percpu *cpu)
{
    if (cpu->fpu_traps) {
        (void)arch_fpu_trap(false);
        cpu->fpu_traps = false;
        cpu->fpu_for = NULL;
    }
}

/* The registers have to be seen to before a program changes them. */
static void save(struct percpu *cpu)
{
    struct fpu_file *f = cpu->fpu_file;
    struct thread *owner = f->owner;
    if (owner != NULL && !f->saved) {
        stop_trapping(cpu);
        arch_fpu_save(owner->fpu);
        f->saved = true;
    }
    cpu->fpu_for = NULL;
}

/* A program thread leaves the CPU. Events disabled. */
void fpu_switch_out(struct percpu *cpu, struct thread *t)
{
    cpu->fpu_for = NULL;
    if (cpu->fpu_traps)
        t->fpu_eager_next = 0; /* it did without */
    if (t->state == THREAD_DEAD)
        fpu_forget(cpu, t);
    else if (!single_cpu() && is_live(cpu->fpu_file, t))
        save(cpu);
}

void fpu_forget(struct percpu *cpu, struct thread *t)
{
    if (cpu->fpu_file->owner == t)
        cpu->fpu_file->owner = NULL;
    if (cpu->fpu_for == t) /* another thread's is still live, and not saved */
        cpu->fpu_for = NULL;
    t->fpu_file = NULL;
}

static void make_live(struct percpu *cpu, struct thread *t)
{
    struct fpu_file *f = cpu->fpu_file;
    stop_trapping(cpu);
    if (!is_live(f, t)) {
        save(cpu);
        arch_fpu_restore(t->fpu);
        f->owner = t;
        t->fpu_file = f;
    }
    f->saved = false;
}

void thread_fpu_before_program(void)
{
    struct percpu *cpu = this_cpu();
    struct thread *t = cpu->current;
    bool may_trap = t->fpu_eager == 0 && cpu->fpu_file->owner != NULL, useful = !single_cpu() || !is_live(cpu->fpu_file, t);
    if (may_trap && (cpu->fpu_traps || (useful && arch_fpu_trap(true)))) {
        cpu->fpu_traps = true;
    } else {
        if (t->fpu_eager != 0)
            t->fpu_eager--;
        make_live(cpu, t);
    }
    cpu->fpu_for = t;
}

bool thread_fpu_trapped(void)
{
    struct percpu *cpu = this_cpu();
    struct thread *t = cpu->current;
    if (!cpu->fpu_traps)
        return false;
    t->fpu_eager = MAX(t->fpu_eager_next, EAGER_MIN);
    t->fpu_eager_next = MIN(2 * t->fpu_eager, EAGER_MAX);
    make_live(cpu, t);
    cpu->fpu_for = t;
    return true;
}

void thread_fpu_sync(struct thread *t)
{
    u64 flags = plat_events_save();
    struct percpu *cpu = this_cpu();
    if (is_live(cpu->fpu_file, t))
        save(cpu);
    plat_events_restore(flags);
    arch_fpu_fill(t->fpu);
}

void thread_fpu_leave(struct fpu_file *to)
{
    struct percpu *cpu = this_cpu();
    save(cpu);
    cpu->fpu_file = to;
}

void thread_fpu_reload(struct thread *t)
{
    u64 flags = plat_events_save();
    fpu_forget(this_cpu(), t);
    plat_events_restore(flags);
}

/* Live registers go first, or a switch in between would save them over it. */
void thread_fpu_reset(struct thread *t)
{
    thread_fpu_reload(t);
    arch_fpu_reset(t->fpu);
}
