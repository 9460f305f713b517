/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time. The monotonic clock is the TSC, its rate measured against Linux's CLOCK_MONOTONIC: shortly at the start, then over longer and
 * longer times up to a second, whenever the timer comes or the CPU has idled. Where the TSC is no clock, Linux is asked.
 *
 * The wall clock is the monotonic one plus an offset that is put right at the same times: somebody may have set this host's
 * clock, and what NTP does to its rate is seen here only afterwards.
 */
#include <asm/unistd.h>
#include <linux/time.h>

#include "arch/cpu.h"
#include "host.h"
#include "kern/log.h"
#include "kern/timer.h"

#define FIRST_NS 50000u       /* the first measurement */
#define LONGEST_NS NS_PER_S   /* and the last ones */
#define TIGHT_NS 5000u        /* two readings further apart than that say nothing about small differences */
#define DRIFT_NS 20000u       /* from here on the wall clock is put right */
#define SET_NS NSEC_PER_MSEC  /* from here on somebody has set it */
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
static struct pair first, last; /* measurements: CLOCK_MONOTONIC's zero for us; where the rate was taken */
static u64 next_step_ns; /* of plat_now_ns(): then the next one is due; 0 = at once */
static u64 wall_offset;  /* atomic */

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

/* The rate since the last time. */
static void measure(struct pair now)
{
    if (now.tsc > last.tsc && now.ns > last.ns)
        set_mult(mul_div(now.ns - last.ns, 1ULL << 32, now.tsc - last.tsc));
    last = now;
}

/* CLOCK_REALTIME - plat_now_ns(), and how sure that is. */
static u64 wall_difference(u64 *ret_width)
{
    u64 best = 0;
    *ret_width = UINT64_MAX;
    for (unsigned i = 0; i < 5 && *ret_width > TIGHT_NS; i++) {
        u64 before = plat_now_ns(), wall = linux_ns(CLOCK_REALTIME), width = plat_now_ns() - before;
        if (width < *ret_width) {
            *ret_width = width;
            best = wall - before - width / 2;
        }
    }
    return best;
}

static void follow_wall(void)
{
    u64 width, offset = wall_difference(&width), off = offset - wall_offset, distance = MIN(off, -off);
    if (distance < DRIFT_NS || distance < width)
        return;
    atomic_store(&wall_offset, offset);
    wall_moved(distance >= SET_NS);
}

void host_clock_refine(u64 now_ns)
{
    static u32 refining; /* atomic: by one CPU at a time */
    if (now_ns < atomic_load_relaxed(&next_step_ns) || atomic_xchg(&refining, 1u) != 0)
        return;
    atomic_store_relaxed(&next_step_ns, now_ns + MIN(now_ns * 7, LONGEST_NS));
    if (clk.valid)
        measure(read_pair());
    follow_wall();
    atomic_store(&refining, 0u);
}

bool plat_clock_params(struct plat_clock_params *ret)
{
    *ret = clk;
    return ret->valid != 0;
}

paddr_t plat_clock_page(void) { return virt_to_phys(&clock_page); }
u64 plat_wall_ns(void) { return atomic_load(&wall_offset) + plat_now_ns(); }

void host_clock_init(void)
{
    bool is_clock = cpuid(0x80000000, 0).eax >= 0x80000007 && (cpuid(0x80000007, 0).edx >> 8 & 1);
    u64 width;
    first = last = read_pair();
    if (is_clock) {
        struct pair now;
        do {
            now = read_pair();
        } while (now.ns - first.ns < FIRST_NS);
        measure(now);
    }
    next_step_ns = 2 * NSEC_PER_MSEC;
    wall_offset = wall_difference(&width);
}
