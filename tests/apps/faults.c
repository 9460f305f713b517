/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each allocation of each system call fails in turn: faults calls ROUNDS [FAMILY]. A process is killed wherever a kill may come: faults kills STRIDE.
 * What the machine counts must come back each time; faults.py says what else must hold. Only a test kernel has the files that
 * this needs (kernel/linux/test/fail_nth.c).
 */
#define _GNU_SOURCE
#include "faults.h"
#include "counts.h"
#include "parts.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define SLACK 1     /* fewer than the rounds, so that what is lost once in each shows beside what comes and goes */
#define MOST 2000u  /* allocations of a call */
#define STALL_S 60
#define STACKS 16   /* more than the threads of the kernel that a call may make */

static int fail_nth = -1;
static int more_errno;
static unsigned calls, failures; /* what was tried, in how many ways it failed */
static struct attempt now;

/* --- one call ---------------------------------------------------------------------------------------- */

static void put_number(int fd, unsigned n)
{
    char text[16];
    int len = snprintf(text, sizeof text, "%u", n);
    if (pwrite(fd, text, (size_t)len, 0) != len) {
        printf("fail-nth: %s\n", strerror(errno));
        exit(2);
    }
}

static int open_own(const char *name)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/%s", name);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        printf("%s: %s\n", path, strerror(errno));
    return fd;
}

static void arm(unsigned n)
{
    alarm(STALL_S);
    put_number(fail_nth, n);
}

void arm_own(unsigned n)
{
    close(fail_nth);
    fail_nth = open_own("fail-nth");
    arm(n);
}

unsigned left_in(const char *path)
{
    char text[16] = "";
    int fd = open(path, O_RDONLY);
    if (pread(fd, text, sizeof text - 1, 0) <= 0)
        printf("odd %s: %s\n", path, strerror(errno));
    close_fd(fd);
    return (unsigned)atoi(text);
}

/* Reading it takes memory, too: when that fails, nothing did before. */
static bool armed_fired(void)
{
    char text[16] = "";
    ssize_t n = pread(fail_nth, text, sizeof text - 1, 0);
    bool fired = n > 0 && atoi(text) == 0;
    if (n > 0 && !fired)
        while (pwrite(fail_nth, "0", 1, 0) != 1)
            ;
    alarm(0);
    return fired;
}

static void stalled(int sig)
{
    printf("stall %s %u\n", now.call, now.n);
    _exit(4);
}

void also_errno(int e) { more_errno = e; }

struct attempt attempt_first(const char *call)
{
    calls++;
    return (struct attempt){.call = call};
}

bool attempt_more(struct attempt *a)
{
    if (a->unfailed == 2)
        return false;
    if (++a->n == MOST) {
        printf("odd %s has no end\n", a->call);
        return false;
    }
    now = *a;
    errno = 0;
    arm(a->n);
    return true;
}

void attempt_made(struct attempt *a)
{
    int e = errno;
    if (!armed_fired()) {
        a->unfailed++;
        if (a->r < 0 && a->n == 1)
            printf("odd %s %u %s without a failure\n", a->call, a->n, strerrorname_np(e));
    } else {
        failures++;
        if (a->r < 0 && e != ENOMEM && (more_errno == 0 || e != more_errno))
            printf("odd %s %u %s\n", a->call, a->n, strerrorname_np(e));
    }
    errno = e;
}

static void reap_all(void)
{
    while (waitpid(-1, NULL, __WALL) > 0 || errno == EINTR)
        ;
}

void each_child(const char *what, void (*run)(void))
{
    struct attempt a = attempt_first(what);
    for (; a.unfailed < 2 && a.n < MOST; failures++) {
        int st;
        now = a;
        a.n++;
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            arm_own(a.n);
            run();
            _exit(armed_fired() ? 0 : 1);
        }
        while (waitpid(pid, &st, 0) < 0 && errno == EINTR)
            ;
        if (WIFEXITED(st) && WEXITSTATUS(st) == 1)
            a.unfailed++;
        else if (WIFSIGNALED(st) ? WTERMSIG(st) != SIGKILL : WEXITSTATUS(st) != 0)
            printf("odd %s %u ended with %x\n", what, a.n, st);
        reap_all(); /* what it had made is ours now */
    }
    if (a.n == MOST)
        printf("odd %s has no end\n", what);
}

void close_fd(long fd)
{
    if (fd >= 0)
        close((int)fd);
}

void close_fds(const int *fds, int n)
{
    for (int i = 0; i < n; i++)
        close(fds[i]);
}

/* --- all of them ----------------------------------------------------------------------------------------- */

static void run_family(const struct family *f, unsigned rounds)
{
    struct counts before;
    calls = failures = 0;
    f->run();
    printf("family %s: %u calls, %u failures\n", f->name, calls, failures);
    take_calm(&before);
    for (unsigned i = 0; i < rounds; i++)
        f->run();
    compare(&before, SLACK);
}

/* No page of ours comes or is copied while an allocation is to fail: that would be the end of us. */
static void lock_memory(void)
{
    char deep[65536];
    memset(deep, 1, sizeof deep);
    __asm__ volatile("" : : "r"(deep) : "memory");
    if (mlockall(MCL_CURRENT) != 0)
        printf("mlockall: %s\n", strerror(errno));
}

static void calls_of(unsigned rounds, const char *family)
{
    const struct family *const lists[] = {families_files, families_net, families_memory, families_processes};
    signal(SIGALRM, stalled);
    signal(SIGPIPE, SIG_IGN);
    if ((fail_nth = open_own("fail-nth")) < 0)
        exit(2);
    at_once(STACKS);
    lock_memory();
    for (unsigned i = 0; i < sizeof lists / sizeof lists[0]; i++)
        for (const struct family *f = lists[i]; f->name != NULL; f++)
            if (family == NULL || strcmp(f->name, family) == 0)
                run_family(f, rounds);
}

/* --- kills ------------------------------------------------------------------------------------------------- */

/* A part is killed at its n-th allocation or sleep. False: it ended before. */
static bool kill_at(unsigned part, unsigned n)
{
    int st;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        int fd = open_own("kill-nth");
        alarm(STALL_S);
        put_number(fd, n);
        parts[part].run();
        _exit(0);
    }
    waitpid(pid, &st, 0);
    bool killed = WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL;
    if (!killed && (!WIFEXITED(st) || WEXITSTATUS(st) != 0))
        printf("odd part %s: killed at %u, but ended with %x\n", parts[part].name, n, st);
    reap_all();
    return killed;
}

static void kills(unsigned stride)
{
    struct counts before;
    for (unsigned part = 0; part < PARTS; part++) {
        unsigned n = 1, done = 0;
        kill_at(part, 1000000);
        kill_at(part, 1000000);
        take_calm(&before);
        for (unsigned missed = 0; missed < 2; n += stride, done++)
            missed += !kill_at(part, n);
        printf("part %s: %s\n", parts[part].name, n > 30 ? "killed everywhere" : "hardly killed");
        fprintf(stderr, "%s: %u places, %u tried\n", parts[part].name, n, done);
        compare(&before, SLACK);
    }
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    parts_self = argv[0];
    if (argc > 2 && strcmp(argv[1], "calls") == 0)
        calls_of((unsigned)atoi(argv[2]), argv[3]);
    else if (argc > 2 && strcmp(argv[1], "kills") == 0)
        kills((unsigned)atoi(argv[2]));
    else if (argc > 1 && strcmp(argv[1], "nap") == 0)
        for (;;)
            usleep(100); /* a step of it comes to an end */
    else
        return argc > 1 && strcmp(argv[1], "nothing") == 0 ? 0 : 2;
    puts("went on");
    return 0;
}
