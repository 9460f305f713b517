/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting, and being woken.
 *
 * Idle, the CPU sleeps in one call of Linux until a descriptor is ready or the next timer is due. Before that it looks at
 * the descriptors for a short while without sleeping, as long as that has paid lately: a peer on another CPU answers within
 * microseconds, and a sleep with its wake-up costs more than that.
 *
 * While a program computes, descriptors are looked at from a tick of Linux's timer, TICK_NS apart, but only if there is a
 * source that others than the tender feed (the network), or one that waits for room: what the tender writes it tells by a signal,
 * what it reads it does not.
 *
 * Signals that find events off leave a bit in plat.pending; host_take_pending() acts on it, as the interrupt
 * handler would have.
 */
#include <asm/poll.h>
#include <asm/unistd.h>
#include <linux/time_types.h>

#include "host.h"
#include "kern/log.h"
#include "kern/timer.h"
#include "kern/trace.h"
#include "plat/layout.h"
#include "tlb.h"

#define SPIN_MAX_NS 50000u
#define TICK_NS 1000000u
#define TRIM_NS 1000000000u

static struct host_source *sources[HOST_MAX_SOURCES];
static unsigned nsources;
static bool feeding; /* a source wants the tick */

int host_source_add(struct host_source *s)
{
    u64 flags = plat_events_save();
    int err = nsources == HOST_MAX_SOURCES ? -ENOSPC : 0;
    if (err == 0) {
        sources[nsources++] = s;
        feeding = feeding || s->needs_tick;
    }
    plat_events_restore(flags);
    return err;
}

/* Ask Linux which sources are ready, waiting at most timeout_ns (NEVER_NS = no end), and call them. Events
 * disabled. False: none was. */
static bool poll_sources(u64 timeout_ns)
{
    struct pollfd fds[HOST_MAX_SOURCES];
    struct host_source *asked[HOST_MAX_SOURCES];
    unsigned n = 0;
    for (unsigned i = 0; i < nsources; i++) {
        if (sources[i]->events == 0)
            continue;
        fds[n] = (struct pollfd){ .fd = sources[i]->fd, .events = sources[i]->events };
        asked[n++] = sources[i];
    }
    if (timeout_ns == 0 && n == 0)
        return false;
    struct __kernel_timespec t = { (s64)(timeout_ns / NSEC_PER_SEC), (s64)(timeout_ns % NSEC_PER_SEC) };
    long ready = host_wait(fds, n, timeout_ns == NEVER_NS ? NULL : &t);
    if (ready == -EINTR && timeout_ns == 0) /* something else came, and nothing was looked at: the kick that led here still stands */
        atomic_or(&this_cpu()->plat.pending, (u8)PENDING_KICK);
    if (ready <= 0)
        return false;
    irq_enter();
    for (unsigned i = 0; i < n; i++)
        if (fds[i].revents != 0 && asked[i]->events != 0) {
            TRACE(IRQ_HANDLER, (u64)asked[i]->fn);
            asked[i]->fn(asked[i]->arg);
        }
    irq_exit();
    return true;
}

/* Must descriptors be looked at from the tick? */
static bool needs_tick(void)
{
    bool needs = feeding;
    for (unsigned i = 0; i < nsources && !needs; i++)
        needs = (sources[i]->events & HOST_POLLOUT) != 0;
    return needs;
}

void host_timer_resume(void) { host_timer_start(needs_tick() ? TICK_NS : NEVER_NS); }

/* Is something about to run that Linux's timer has to interrupt? Idling needs none. Events disabled. */
static void start_timer_if_busy(struct percpu *cpu)
{
    if (!cpu->plat.in_idle && (cpu->current != cpu->idle || cpu->need_resched || !list_empty(&cpu->bh_pending)))
        host_timer_resume();
}

/* Events disabled. */
void host_take_pending(void)
{
    struct percpu *cpu = this_cpu();
    u8 bits = __atomic_exchange_n(&cpu->plat.pending, 0, __ATOMIC_RELAXED);
    if (bits & PENDING_TIMER)
        host_timer_expired();
    if ((bits & PENDING_KICK) || needs_tick())
        poll_sources(0);
    start_timer_if_busy(cpu);
}

void host_run_pending(void)
{
    while (this_cpu()->plat.pending != 0) {
        plat_events_disable();
        host_take_pending();
        __asm__ volatile("movb $0, %%gs:%c0" ::"i"(P_EVENTS_OFF) : "memory");
    }
}

/* Descriptors without sleeping, for as long as it seems worth it. */
static bool spin(u64 until_ns)
{
    static u64 worth_ns = SPIN_MAX_NS / 2; /* moves towards what pays */
    u64 start = plat_now_ns(), now = start;
    if (!feeding || worth_ns == 0)
        goto again_sometimes;
    do {
        if (poll_sources(0)) {
            worth_ns = MIN(worth_ns + SPIN_MAX_NS / 8, SPIN_MAX_NS);
            return true;
        }
        if (this_cpu()->plat.pending != 0)
            return false;
        now = plat_now_ns();
    } while (now - start < worth_ns && now < until_ns);
    worth_ns -= MIN(worth_ns, SPIN_MAX_NS / 64);
    return false;

again_sometimes:;
    static unsigned slept;
    if (++slept % 64 == 0)
        worth_ns = SPIN_MAX_NS / 8;
    return false;
}

static void trim(u64 now)
{
    static u64 next_ns = TRIM_NS;
    if (now < next_ns)
        return;
    next_ns = now + TRIM_NS;
    host_disk_trim();
}

void plat_idle(void)
{
    struct percpu *cpu = this_cpu();
    if (cpu->plat.pending == 0) {
        u64 due = cpu->plat.timer_want_ns, now;
        cpu->plat.in_idle = 1;
        if (!spin(due) && cpu->plat.pending == 0) {
            now = plat_now_ns();
            trim(now);
            poll_sources(due == NEVER_NS ? NEVER_NS : due > now ? due - now : 0);
            host_clock_refine(plat_now_ns()); /* who was asleep shall see what has been set meanwhile */
        }
        if (cpu->plat.timer_want_ns <= plat_now_ns())
            host_timer_due();
        cpu->plat.in_idle = 0;
        start_timer_if_busy(cpu);
    }
    plat_events_enable();
}

void plat_cpu_kick(unsigned cpu) {} /* one CPU: whoever kicks runs on it */
