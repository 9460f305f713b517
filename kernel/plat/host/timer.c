/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linux's own timer (SIGALRM), of which each seat has one. It matters only while a program or the kernel computes: idling waits with a
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
    struct itimerspec value = { .it_value = { (long)(delta / NSEC_PER_SEC), (long)(delta % NSEC_PER_SEC) } };
    struct host_seat *s = this_cpu()->plat.seat;
    host_call(__NR_timer_settime, (long)s->timer, 0L, &value, 0L);
    s->timer_ns = deadline_ns;
}

void plat_timer_arm(u64 deadline_ns)
{
    struct percpu *cpu = this_cpu();
    cpu->plat.timer_want_ns = deadline_ns;
    if (deadline_ns < this_cpu()->plat.seat->timer_ns && !cpu->plat.in_idle)
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
    if (deadline < this_cpu()->plat.seat->timer_ns)
        set_timer(deadline);
}

void host_timer_expired(void)
{
    struct percpu *cpu = this_cpu();
    u64 now = plat_now_ns();
    host_clock_refine(now);
    this_cpu()->plat.seat->timer_ns = NEVER_NS;
    if (cpu->plat.timer_want_ns <= now)
        host_timer_due();
}
