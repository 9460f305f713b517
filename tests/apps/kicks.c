/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that lives on its interval timer: after each tick it computes until the next one, which must come. With
 * the argument gs it has GS for itself, and looks at it meanwhile; with busy it computes for ever under ticks that follow each other
 * as fast as can be. kicks.py
 */
#define _GNU_SOURCE
#include <asm/prctl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ticks.h"

#define RUN_S 3.0
#define LOST_S 1.0

static long mine = 4711;
static int has_gs, gs_lost;

static void look(void)
{
    long v;
    if (!has_gs)
        return;
    __asm__ volatile("movq %%gs:0, %0" : "=r"(v));
    gs_lost += v != mine;
}

int main(int argc, char **argv)
{
    int lost = 0, rounds = 0;
    bool busy = argc > 1 && strcmp(argv[1], "busy") == 0;
    has_gs = argc > 1 && !busy && syscall(SYS_arch_prctl, ARCH_SET_GS, &mine) == 0;
    start_ticks(1000, busy ? 20 : 1000);
    puts("ready");
    fflush(stdout);
    if (busy)
        for (;;)
            ;
    for (double end = now_s() + RUN_S; now_s() < end; rounds++) {
        pause();
        lost += !next_tick(LOST_S, look);
    }
    printf("%s %d lost\n", rounds > 100 ? "many" : "few", lost + gs_lost);
    return 0;
}
