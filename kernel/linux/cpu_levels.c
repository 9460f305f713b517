/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much of the CPU time of tasks was the kernel's: sampled, since calls that read a clock on their way in and out would cost more than many of them do.
 *
 *   U1  A CPU that is not idle is looked at at each multiple of PERIOD_NS. What the task there has used since it was last seen was all of the level
 *       that it is seen at now: no more often wrong one way than the other, and exact in the sum.
 *   U2  An idle CPU is not woken, but for once after it has become so; who ends its idling (cpu_awakes) goes on.
 *   U3  What was told never goes back: what proves to have been the kernel's is told when the task's own time has grown by as much.
 */
#include "kern/percpu.h"
#include "kern/timer.h"
#include "task.h"

#define PERIOD_NS (10 * NSEC_PER_MSEC)

static struct sampler {
    struct ktimer timer;
    u64 system_ns; /* written by its CPU's bottom halves */
} samplers[MAX_CPUS];

static void sample(struct sampler *s, struct task *t)
{
    u64 now = thread_cpu_ns(t->thread);
    if (!FRAME_INTERRUPTED(thread_frame(t->thread))) {
        atomic_store_relaxed(&t->system_ns, t->system_ns + now - t->sampled_ns);
        atomic_store_relaxed(&s->system_ns, s->system_ns + now - t->sampled_ns);
    }
    t->sampled_ns = now;
}

static void go_on(void)
{
    struct ktimer *t = &samplers[this_cpu()->cpu].timer;
    if (!ktimer_armed(t))
        ktimer_start(t, (now_ns() / PERIOD_NS + 1) * PERIOD_NS);
}

static void tick(struct ktimer *timer)
{
    struct thread *t = current_thread();
    loadavg_go_on();
    if (t == this_cpu()->idle)
        return;
    if (t->user && t->task != NULL)
        sample(container_of(timer, struct sampler, timer), t->task);
    go_on();
}

u64 task_system_ns(struct task *t, u64 cpu_ns)
{
    u64 system = MIN(atomic_load_relaxed(&t->system_ns), cpu_ns);
    t->shown_user_ns = MAX(t->shown_user_ns, cpu_ns - system);
    return cpu_ns - MIN(t->shown_user_ns, cpu_ns);
}

u64 cpu_system_ns(unsigned cpu) { return atomic_load_relaxed(&samplers[cpu].system_ns); }

void cpu_levels_init(void)
{
    for (unsigned i = 0; i < MAX_CPUS; i++)
        ktimer_init(&samplers[i].timer, tick);
    atomic_store(&cpu_awakes, go_on);
    go_on();
}
