/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linux's own timer (SIGALRM), of which each carrier has one. It matters only while a program or the kernel computes: idling waits with a
 * timeout. It is lazy: a later deadline than the one set is only remembered, and the early signal sets it then.
 */
#include "kern/timer.h"

#include <asm/unistd.h>
#include <linux/time.h>

#include "carrier.h"
#include "host.h"

static void set_timer(u64 deadline_ns)
{
    u64 now = plat_now_ns();
    u64 delta = deadline_ns > now ? MIN(deadline_ns - now, 3600 * NSEC_PER_SEC) : 1;
    u64 us = (delta + 999) / 1000;
    struct itimerval value = { .it_value = { (long)(us / 1000000), (long)(us % 1000000) } };
    host_call(__NR_setitimer, (long)ITIMER_REAL, &value, 0L);
    host_carrier()->timer_ns = deadline_ns;
}

void plat_timer_arm(u64 deadline_ns)
{
    struct percpu *cpu = this_cpu();
    cpu->plat.timer_want_ns = deadline_ns;
    if (deadline_ns < host_carrier()->timer_ns && !cpu->plat.in_idle)
        set_timer(deadline_ns);
}

void host_timer_due(void)
{
    this_cpu()->plat.timer_want_ns = NEVER_NS;
    irq_enter();
    timer_interrupt();
    irq_exit();
}

void host_timer_start(u64 tick_ns)
{
    u64 deadline = this_cpu()->plat.timer_want_ns;
    if (tick_ns != NEVER_NS)
        deadline = MIN(deadline, plat_now_ns() + tick_ns);
    if (deadline < host_carrier()->timer_ns)
        set_timer(deadline);
}

void host_timer_expired(void)
{
    struct percpu *cpu = this_cpu();
    u64 now = plat_now_ns();
    host_clock_refine(now);
    host_carrier()->timer_ns = NEVER_NS;
    if (cpu->plat.timer_want_ns <= now)
        host_timer_due();
}
