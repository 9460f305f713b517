/* SPDX-License-Identifier: Apache-2.0 */
/* The clock of plat/host on this host's TSC: a Linux whose wall clock is set, and runs off. */
#include "sim/test.h"

#include <stdarg.h>

/* plat/sim has these, too. */
#define plat_now_ns(...) host_now_ns(__VA_ARGS__)
#define plat_wall_ns(...) host_wall_ns(__VA_ARGS__)
#define plat_clock_params(...) host_clock_params(__VA_ARGS__)
#define plat_clock_page(...) host_clock_page(__VA_ARGS__)
#define wall_moved(...) host_wall_moved(__VA_ARGS__)
u64 host_now_ns(void);
u64 host_wall_ns(void);
bool plat_clock_params(struct plat_clock_params *ret);
paddr_t host_clock_page(void);
static void host_wall_moved(bool set);
#include "../clock.c"

static s64 set_by; /* this Linux's CLOCK_REALTIME - the real one's */
static unsigned steps, drifts;

static void host_wall_moved(bool set) { *(set ? &steps : &drifts) += 1; }

long host_call(long nr, ...)
{
    va_list ap;
    long r;
    va_start(ap, nr);
    long which = va_arg(ap, long);
    struct timespec *t = va_arg(ap, struct timespec *);
    va_end(ap);
    CHECK_EQ(nr, __NR_clock_gettime);
    __asm__ volatile("syscall" : "=a"(r) : "a"(nr), "D"(which), "S"(t) : "rcx", "r11", "memory");
    if (r == 0 && which == CLOCK_REALTIME) {
        s64 ns = t->tv_sec * (s64)NS_PER_S + t->tv_nsec + set_by;
        *t = (struct timespec){ ns / (s64)NS_PER_S, ns % (s64)NS_PER_S };
    }
    return r;
}

static s64 wall_error(void)
{
    u64 width;
    return (s64)(wall_difference(&width) - wall_offset);
}

TEST(follows_the_host)
{
    u64 at = 0;
    steps = drifts = 0;
    set_by = 0;
    host_clock_init();
    for (unsigned i = 0; i < 40; i++) { /* as if ticks and idling came after so long */
        for (u64 from = linux_ns(CLOCK_MONOTONIC); linux_ns(CLOCK_MONOTONIC) - from < 500000;)
            ;
        host_clock_refine(at += 2 * NS_PER_S);
    }
    CHECK_EQ(steps, 0);
    struct pair p = read_pair();
    s64 off = (s64)(ns_at(p.tsc) - (p.ns - first.ns));
    CHECK(off > -(s64)NSEC_PER_MSEC && off < (s64)NSEC_PER_MSEC);

    static const s64 moves[] = { 3600 * (s64)NS_PER_S, -86400 * (s64)NS_PER_S, 2 * (s64)NSEC_PER_MSEC };
    for (unsigned i = 0; i < ARRAY_SIZE(moves); i++) {
        set_by += moves[i];
        host_clock_refine(at); /* not due */
        CHECK_EQ(steps, i);
        host_clock_refine(at += 2 * NS_PER_S);
        CHECK_EQ(steps, i + 1);
        CHECK(wall_error() > -(s64)NSEC_PER_MSEC && wall_error() < (s64)NSEC_PER_MSEC);
        s64 late = (s64)(linux_ns(CLOCK_REALTIME) - host_wall_ns());
        CHECK(late > -(s64)NS_PER_S && late < (s64)NS_PER_S);
    }
    u64 before = drifts;
    for (unsigned i = 0; i < 100 && drifts == before; i++) { /* a busy machine's readings say less */
        set_by += 300000;
        host_clock_refine(at += 2 * NS_PER_S);
    }
    CHECK(drifts > before && drifts + steps < 200);
}
