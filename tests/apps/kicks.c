/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that lives on its interval timer: after each tick it computes until the next one, which must come. With
 * an argument it has GS for itself, and looks at it meanwhile. kicks.py
 */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define RUN_S 3.0
#define LOST_S 1.0

static volatile unsigned ticks;
static void on_tick(int sig) { ticks++; }

static double now_s(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static long mine = 4711;
static int gs_lost(void)
{
    long v;
    __asm__ volatile("movq %%gs:0, %0" : "=r"(v));
    return v != mine;
}

int main(int argc, char **argv)
{
    int has_gs = argc > 1 && syscall(SYS_arch_prctl, ARCH_SET_GS, &mine) == 0;
    struct itimerval every = { { 0, 1000 }, { 0, 1000 } };
    int lost = 0, rounds = 0;
    signal(SIGALRM, on_tick);
    setitimer(ITIMER_REAL, &every, NULL);
    puts("ready");
    fflush(stdout);
    for (double end = now_s() + RUN_S; now_s() < end; rounds++) {
        pause();
        unsigned before = ticks;
        double start = now_s();
        while (ticks == before && now_s() - start < LOST_S)
            lost += has_gs && gs_lost();
        lost += ticks == before;
    }
    printf("%s %d lost\n", rounds > 100 ? "many" : "few", lost);
    return 0;
}
