/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest tests compare behaviour, not beliefs: a program prints what each call
 * returned, the runner (run.py) runs it on the host's Linux and inside Drupe and
 * wants the same lines. Print nothing that may differ between two right systems
 * (addresses, times, process numbers).
 */
#ifndef TESTS_GUEST_T_H
#define TESTS_GUEST_T_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* "name = 3" or "name = -1 EBADF"; returns the value. */
static inline long show(const char *name, long value)
{
    int e = errno;
    if (value == -1)
        printf("%s = -1 %s\n", name, strerrorname_np(e));
    else
        printf("%s = %ld\n", name, value);
    fflush(stdout);
    errno = e;
    return value;
}

/* Evaluates expr with errno cleared and shows it under its own text. */
#define SHOW(expr) (errno = 0, show(#expr, (long)(expr)))
/* As SHOW, but only whether it succeeded (the value itself may differ). */
#define SHOW_OK(expr) ({ errno = 0; long v_ = (long)(expr); show(#expr " ok", v_ == -1 ? -1 : 1); v_; })
#define SHOW_TRUE(expr) printf("%s: %s\n", #expr, (expr) ? "yes" : "no")
#define SHOW_STR(expr) printf("%s = \"%s\"\n", #expr, (expr))

/* Until the thread that puts its number there (/proc/PID/task is `where`) sleeps: what it does next, on any machine. At most 10 s. */
static inline void until_asleep_in(const char *where, volatile long *tid)
{
    for (int i = 0; i < 10000; i++) {
        char name[64], line[256] = "";
        snprintf(name, sizeof name, "%s/%ld/stat", where, *tid);
        FILE *f = *tid != 0 ? fopen(name, "r") : NULL;
        bool asleep = f != NULL && fgets(line, sizeof line, f) != NULL && strstr(line, ") S") != NULL;
        if (f != NULL)
            fclose(f);
        if (asleep)
            return;
        usleep(1000);
    }
}

static inline void until_asleep(volatile long *tid) { until_asleep_in("/proc/self/task", tid); }

static inline void section(const char *name) { printf("--- %s\n", name); }

#endif
