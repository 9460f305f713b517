/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time. The monotonic clock is the TSC, its rate measured against Linux's CLOCK_MONOTONIC: shortly at the start, better and
 * better afterwards, whenever the timer comes or the CPU idles. Where the TSC is no clock, Linux is asked.
 *
 * Linux's own timer (SIGALRM), of which each carrier has one, matters only while a program or the kernel computes: idling waits with a
 * timeout. It is lazy: a later deadline than the one set is only remembered, and the early signal sets it then.
 */
#include <asm/signal.h>
#include <asm/unistd.h>
#include <linux/time.h>

#include "arch/cpu.h"
#include "carrier.h"
#include "host.h"
#include "kern/log.h"
#include "kern/timer.h"

#define FIRST_NS 50000u /* the first measurement */
#define NS_PER_S 1000000000ULL

/* Shared with programs: nothing else in this page. */
static union {
    struct plat_clock_params params;
    u8 page[PAGE_SIZE];
} clock_page ALIGNED(4096);
#define clk clock_page.params

struct pair {
    u64 tsc, ns;
};
static struct pair first;
static u64 next_step_ns; /* after so long since `first` the rate is taken anew; 0 = never */
static u64 wall_offset;  /* const after boot */

static u64 linux_ns(int which)
{
    struct timespec t;
    if (host_call(__NR_clock_gettime, (long)which, &t) != 0)
        panic("clock_gettime fails");
    return (u64)t.tv_sec * NS_PER_S + (u64)t.tv_nsec;
}

/* Both clocks at one moment: the tightest of a few tries. */
static struct pair read_pair(void)
{
    struct pair best = { 0 };
    u64 best_width = UINT64_MAX;
    for (unsigned i = 0; i < 5; i++) {
        u64 before = rdtsc(), ns = linux_ns(CLOCK_MONOTONIC), width = rdtsc() - before;
        if (width < best_width) {
            best_width = width;
            best = (struct pair){ before + width / 2, ns };
        }
    }
    return best;
}

static u64 ns_at(u64 tsc) { return clk.ns_base + mul_shift32(tsc - clk.tsc_base, clk.mult); }

u64 plat_now_ns(void)
{
    if (unlikely(!clk.valid))
        return linux_ns(CLOCK_MONOTONIC) - first.ns;
    for (;;) {
        u32 seq = atomic_load(&clk.seq);
        u64 now = ns_at(rdtsc());
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (likely(!(seq & 1) && atomic_load_relaxed(&clk.seq) == seq))
            return now;
    }
}

static void set_mult(u64 mult)
{
    u64 tsc = rdtsc(), now = clk.mult != 0 ? ns_at(tsc) : 0;
    atomic_store_relaxed(&clk.seq, clk.seq + 1);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    clk.tsc_base = tsc;
    clk.ns_base = now;
    clk.mult = mult;
    clk.valid = 1;
    atomic_store(&clk.seq, clk.seq + 1);
}

static void measure(struct pair now)
{
    if (now.tsc > first.tsc && now.ns > first.ns)
        set_mult(mul_div(now.ns - first.ns, 1ULL << 32, now.tsc - first.tsc));
}

/* ~1 us of error over the whole time so far: 20 ppm after 50 ms, 1 ppm after a second. */
void host_clock_refine(u64 now_ns)
{
    if (next_step_ns == 0 || now_ns < next_step_ns)
        return;
    measure(read_pair());
    next_step_ns = now_ns < 100 * NS_PER_S ? now_ns * 8 : now_ns + 100 * NS_PER_S;
}

bool plat_clock_params(struct plat_clock_params *ret)
{
    *ret = clk;
    return ret->valid != 0;
}

paddr_t plat_clock_page(void) { return virt_to_phys(&clock_page); }
u64 plat_wall_ns(void) { return wall_offset + plat_now_ns(); }

void host_clock_init(void)
{
    bool is_clock = cpuid(0x80000000, 0).eax >= 0x80000007 && (cpuid(0x80000007, 0).edx >> 8 & 1);
    struct percpu *cpu = this_cpu();
    first = read_pair();
    if (is_clock) {
        struct pair now;
        do {
            now = read_pair();
        } while (now.ns - first.ns < FIRST_NS);
        measure(now);
        next_step_ns = 2 * NSEC_PER_MSEC;
    }
    wall_offset = linux_ns(CLOCK_REALTIME) - plat_now_ns();
    cpu->plat.timer_want_ns = NEVER_NS;
}

/* --- timers ------------------------------------------------------------------------- */

static void set_timer(u64 deadline_ns)
{
    u64 now = plat_now_ns();
    u64 delta = deadline_ns > now ? MIN(deadline_ns - now, 3600 * NS_PER_S) : 1;
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
