/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting, and being woken.
 *
 * Idle, a CPU sleeps in one call of Linux until a descriptor is ready or the next timer is due. Before that it looks at
 * the descriptors for a short while without sleeping, as long as that has paid lately: a peer on another CPU answers within
 * microseconds, and a sleep with its wake-up costs more than that. In the same way it looks for kicks of this machine's other CPUs,
 * while they come soon and that costs little more than sleeping.
 *
 * One CPU at a time asks for descriptors, the *asker*: it alone would be woken, and handlers need no lock. Another that idles
 * sleeps without them, and is woken to take over when the asker has been busy for a tick. What comes to be asked for while the asker sleeps
 * wakes it.
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
#include "kern/cpu_calls.h"
#include "kern/log.h"
#include "kern/thread.h"
#include "kern/timer.h"
#include "kern/trace.h"
#include "plat/layout.h"
#include "tlb.h"

#define SPIN_MAX_NS 50000u
#define KICK_SPIN_NS 100000u
#define SLEEP_COST_NS 30000u /* about what a sleep and the wake-up take of this CPU */
#define LOOK_REST 8u         /* what looking takes beyond that is no more than this part of the time */
#define LOOK_SAVED_NS 1000000u /* as much of that as has not been used may be later */
#define TICK_NS 1000000u
#define TRIM_NS 1000000000u

static struct host_source *sources[HOST_MAX_SOURCES];
static unsigned nsources;
static bool feeding; /* a source wants the tick */
static u32 asker;    /* atomic: 1 + the CPU that asks; 0 = nobody */
static u32 unasked;  /* atomic: somebody wanted to know, and found that another was asking */
static u64 idlers;   /* atomic: CPUs that sleep, or are about to, without being the asker */

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

static bool become_asker(void)
{
    u32 nobody = 0;
    return atomic_load_relaxed(&asker) == 0 && atomic_cas(&asker, &nobody, this_cpu()->cpu + 1);
}

void host_sources_changed(void)
{
    u32 who = atomic_load(&asker);
    if (who != 0)
        plat_cpu_kick(who - 1);
}

/* From here on others' kicks come by signal, as whatever enables events relies on. True: some have come. */
static bool stop_looking(struct percpu *cpu)
{
    atomic_store(&cpu->plat.looks, 0);
    atomic_fence();
    return atomic_load_relaxed(&cpu->plat.pending) != 0;
}

/* Ask Linux which sources are ready, waiting at most timeout_ns (NEVER_NS = no end), and call them. By the asker, events
 * disabled. False: none was. */
static bool ask(u64 timeout_ns)
{
    struct pollfd fds[HOST_MAX_SOURCES];
    struct host_source *asked[HOST_MAX_SOURCES];
    unsigned n = 0;
    for (unsigned i = 0; i < nsources; i++) {
        short events = atomic_load(&sources[i]->events);
        if (events == 0)
            continue;
        fds[n] = (struct pollfd){ .fd = sources[i]->fd, .events = events };
        asked[n++] = sources[i];
    }
    if (timeout_ns == 0 && n == 0)
        return false;
    struct __kernel_timespec t = { (s64)(timeout_ns / NSEC_PER_SEC), (s64)(timeout_ns % NSEC_PER_SEC) };
    /* Who only looks does not mind what has come meanwhile: the bit that told it to is gone, and nothing else may ever do so again. */
    long ready = timeout_ns == 0 ? host_call(__NR_ppoll, fds, (long)n, &t, 0L, 0L) : host_wait(fds, n, timeout_ns == NEVER_NS ? NULL : &t);
    if (ready <= 0)
        return false;
    (void)stop_looking(this_cpu()); /* bottom halves run with events enabled */
    irq_enter();
    for (unsigned i = 0; i < n; i++)
        if (fds[i].revents != 0 && atomic_load(&asked[i]->events) != 0) {
            TRACE(IRQ_HANDLER, (u64)asked[i]->fn);
            asked[i]->fn(asked[i]->arg);
        }
    irq_exit();
    return true;
}

/* True: somebody wanted to know meanwhile. */
static bool stop_asking(void)
{
    atomic_store(&asker, 0);
    atomic_fence();
    return atomic_load(&unasked) != 0;
}

/* Look once, unless another CPU does, which will look again then. Events disabled. */
static void look(void)
{
    do {
        if (!become_asker()) {
            atomic_store(&unasked, 1);
            atomic_fence();
            if (!become_asker())
                return;
        }
        atomic_store(&unasked, 0);
        ask(0);
    } while (stop_asking());
}

/* This CPU, busy, looks once a tick: one that idles can do better. */
static void wake_idler(void)
{
    u64 cpus = atomic_load(&idlers);
    if (cpus != 0 && atomic_load(&asker) == 0)
        plat_cpu_kick((unsigned)__builtin_ctzll(cpus));
}

/* Must descriptors be looked at from the tick? */
static bool needs_tick(void)
{
    bool needs = feeding;
    for (unsigned i = 0; i < nsources && !needs; i++)
        needs = (atomic_load_relaxed(&sources[i]->events) & HOST_POLLOUT) != 0;
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
    u8 bits = atomic_xchg(&cpu->plat.pending, 0);
    if (bits & PENDING_ASK)
        cpu_answer_calls();
    if (bits & PENDING_KICK) {
        irq_enter();
        cpu_kicked();
        irq_exit();
    }
    if (bits & PENDING_TIMER)
        host_timer_expired();
    bool tick = needs_tick();
    if ((bits & PENDING_LOOK) || tick)
        look();
    if ((bits & PENDING_TIMER) && tick)
        wake_idler();
    start_timer_if_busy(cpu);
}

void host_run_pending(void)
{
    ASSERT(this_cpu()->plat.looks == 0); /* or what others want would come now and then only */
    while (this_cpu()->plat.pending != 0) {
        plat_events_disable();
        host_take_pending();
        __asm__ volatile("movb $0, %%gs:%c0" ::"i"(P_EVENTS_OFF) : "memory");
    }
}

/* How long the asker asks without sleeping: moves towards what pays. */
static u64 worth_ns = SPIN_MAX_NS / 2;

static void asked_in_vain(void)
{
    static unsigned slept;
    if (worth_ns != 0)
        worth_ns -= MIN(worth_ns, SPIN_MAX_NS / 64);
    else if (++slept % 64 == 0)
        worth_ns = SPIN_MAX_NS / 8;
}

/* Looking for kicks has saved a sleep, or not: what it took beyond that keeps the CPU from looking for LOOK_REST times as long. So
 * kicks that come now and then, however regularly, cost little more than they would with nobody looking. */
static void charge_look(struct percpu *cpu, u64 start_ns, u64 end_ns, bool saved)
{
    u64 took_ns = end_ns - start_ns, lost_ns = took_ns - (saved ? MIN(took_ns, SLEEP_COST_NS) : 0);
    cpu->plat.look_after_ns = MAX(cpu->plat.look_after_ns, start_ns - LOOK_SAVED_NS) + lost_ns * LOOK_REST;
}

/* What may come without sleeping, for as long as it seems worth it: kicks and, if `asks`, descriptors. True: something came. */
static bool spin(struct percpu *cpu, bool asks, u64 until_ns)
{
    u64 start = plat_now_ns(), now = start;
    bool kicks = cpu->plat.look && start >= cpu->plat.look_after_ns, came = false;
    u64 end = start + MAX(asks ? worth_ns : 0, kicks ? KICK_SPIN_NS : 0);
    atomic_store(&cpu->plat.looks, 1);
    for (; !came && now < MIN(end, until_ns); now = plat_now_ns()) {
        if (asks && ask(0)) {
            worth_ns = MIN(worth_ns + SPIN_MAX_NS / 8, SPIN_MAX_NS);
            came = true;
        } else if (atomic_load_relaxed(&cpu->plat.pending) != 0) {
            came = true;
        } else {
            plat_relax();
        }
    }
    if (kicks)
        charge_look(cpu, start, now, came);
    if (!came && asks)
        asked_in_vain();
    return stop_looking(cpu) || came;
}

static void trim(u64 now)
{
    static u64 next_ns = TRIM_NS;
    if (now < next_ns)
        return;
    next_ns = now + TRIM_NS;
    host_disk_trim();
}

static u64 time_until(u64 due_ns)
{
    u64 now = plat_now_ns();
    return due_ns == NEVER_NS ? NEVER_NS : due_ns > now ? due_ns - now : 0;
}

static void sleep_asking(struct percpu *cpu, u64 due_ns)
{
    if (!spin(cpu, feeding, due_ns)) {
        trim(plat_now_ns());
        ask(time_until(due_ns));
    }
    if (stop_asking())
        look();
}

/* Who became the asker and is busy by now finds us in `idlers`. */
static void sleep_alone(struct percpu *cpu, u64 due_ns)
{
    if (spin(cpu, false, due_ns))
        return;
    u64 self = 1UL << cpu->cpu, timeout_ns = time_until(due_ns);
    struct __kernel_timespec t = { (s64)(timeout_ns / NSEC_PER_SEC), (s64)(timeout_ns % NSEC_PER_SEC) };
    atomic_or(&idlers, self);
    host_wait(NULL, 0, timeout_ns == NEVER_NS ? NULL : &t);
    atomic_and(&idlers, ~self);
}

void plat_idle(void)
{
    struct percpu *cpu = this_cpu();
    if (atomic_load_relaxed(&cpu->plat.pending) == 0) {
        cpu->plat.in_idle = 1;
        u64 start = plat_now_ns();
        if (become_asker())
            sleep_asking(cpu, cpu->plat.timer_want_ns);
        else
            sleep_alone(cpu, cpu->plat.timer_want_ns);
        u64 now = plat_now_ns();
        cpu->plat.look = (atomic_load_relaxed(&cpu->plat.pending) & PENDING_KICK) != 0 && now - start < KICK_SPIN_NS;
        host_clock_refine(now); /* who was asleep shall see what has been set meanwhile */
        if (cpu->plat.timer_want_ns <= now)
            host_timer_due();
        cpu->plat.in_idle = 0;
        start_timer_if_busy(cpu);
    }
    plat_events_enable();
}
