/* SPDX-License-Identifier: Apache-2.0 */
/* For programs that live on an interval timer. */
#ifndef TESTS_APPS_TICKS_H
#define TESTS_APPS_TICKS_H

#include <signal.h>
#include <stdbool.h>
#include <sys/time.h>
#include <time.h>

static volatile unsigned ticks;
static void on_tick(int sig) { ticks++; }

static inline double now_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static inline void start_ticks(int first_us, int every_us)
{
    struct itimerval every = {{0, every_us}, {0, first_us}};
    signal(SIGALRM, on_tick);
    setitimer(ITIMER_REAL, &every, NULL);
}

/* Does another one come in time? Calls `meanwhile` again and again until then. */
static inline bool next_tick(double limit_s, void (*meanwhile)(void))
{
    unsigned before = ticks;
    double start = now_s();
    while (ticks == before && now_s() - start < limit_s)
        meanwhile();
    return ticks != before;
}

#endif
