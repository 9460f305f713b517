/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each allocation of each system call fails in turn, then each touch of a program's memory: faults calls ROUNDS [FAMILY]. Parts (parts.c) and
 * the families, their calls as they are, are killed wherever a kill may come: faults kills STRIDE [NAME]. What the machine counts must come
 * back each time; faults.py says what else must hold. The last lines name the calls that were made so: "made NUMBER FILES". Only test
 * kernels have the files that this needs (kernel/linux/test/fail_nth.c).
 */
#define _GNU_SOURCE
#include "faults.h"
#include "counts.h"
#include "parts.h"

#include <fcntl.h>
#include <ftw.h>
#include <mqueue.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define SLACK 1     /* fewer than the rounds, so that what is lost once in each shows beside what comes and goes */
#define MOST 2000u  /* allocations of a call */
#define STALL_S 300
#define STACKS 16   /* more than the threads of the kernel that a call may make */

static const struct {
    const char *name;
    int e; /* what a failure is told as */
} files[NTH_FILES] = {{"fail-nth", ENOMEM}, {"touch-nth", EFAULT}};

static int nth[NTH_FILES];
static bool as_they_are; /* each call once: what comes is a kill */
static int more_errno;
static unsigned calls, failures; /* what was tried, in how many ways it failed */
static struct attempt now;

/* --- one call ---------------------------------------------------------------------------------------- */

static void put_number(int fd, unsigned n)
{
    char text[16];
    int len = snprintf(text, sizeof text, "%u", n);
    if (pwrite(fd, text, (size_t)len, 0) != len) {
        printf("number %u: %s\n", n, strerror(errno));
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

static void arm(enum nth_file file, unsigned n)
{
    alarm(STALL_S);
    put_number(nth[file], n);
}

void arm_own(enum nth_file file, unsigned n)
{
    close(nth[file]);
    nth[file] = open_own(files[file].name);
    arm(file, n);
}

unsigned left_of(long pid, enum nth_file file)
{
    char path[64], text[16] = "";
    snprintf(path, sizeof path, "/proc/%ld/%s", pid, files[file].name);
    int fd = open(path, O_RDONLY);
    if (pread(fd, text, sizeof text - 1, 0) <= 0)
        printf("odd %s: %s\n", path, strerror(errno));
    close_fd(fd);
    return (unsigned)atoi(text);
}

/* Reading it takes memory, too: when that fails, nothing did before. */
static bool armed_fired(enum nth_file file)
{
    char text[16] = "";
    ssize_t n = pread(nth[file], text, sizeof text - 1, 0);
    bool fired = n > 0 && atoi(text) == 0;
    if (n > 0 && !fired)
        while (pwrite(nth[file], "0", 1, 0) != 1)
            ;
    return fired;
}

static void stalled(int sig)
{
    printf("stall %s %s %u\n", files[now.file].name, now.call, now.n);
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
    if (as_they_are)
        return a->n++ == 0;
    if (a->unfailed == 2) {
        if (a->file + 1 == NTH_FILES)
            return false;
        a->file++;
        a->n = a->unfailed = 0;
    }
    if (++a->n == MOST) {
        printf("odd %s %s has no end\n", files[a->file].name, a->call);
        return false;
    }
    now = *a;
    errno = 0;
    arm(a->file, a->n);
    return true;
}

void attempt_made(struct attempt *a)
{
    int e = errno;
    if (as_they_are)
        return;
    if (!armed_fired(a->file)) {
        a->unfailed++;
        if (a->r < 0 && a->n == 1)
            printf("odd %s %u %s without a failure\n", a->call, a->n, strerrorname_np(e));
    } else {
        failures++;
        if (a->r < 0 && e != files[a->file].e && (more_errno == 0 || e != more_errno))
            printf("odd %s %s %u %s\n", files[a->file].name, a->call, a->n, strerrorname_np(e));
    }
    errno = e;
}

static void reap_all(void)
{
    while (waitpid(-1, NULL, __WALL) > 0 || errno == EINTR)
        ;
}

static int status_of(pid_t pid)
{
    int st = -1;
    while (waitpid(pid, &st, 0) < 0 && errno == EINTR)
        ;
    return st;
}

static pid_t start(enum nth_file file, unsigned n, void (*run)(void))
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        arm_own(file, n);
        run();
        _exit(armed_fired(file) ? 0 : 1);
    }
    return pid;
}

/* Until nothing fails any more. */
static void each_child_of(const char *what, void (*run)(void), enum nth_file file)
{
    unsigned n = 0;
    for (unsigned unfailed = 0; unfailed < 2 && n < MOST; failures++) {
        now = (struct attempt){.call = what, .file = file, .n = ++n};
        int st = status_of(start(file, n, run));
        if (WIFEXITED(st) && WEXITSTATUS(st) == 1)
            unfailed++;
        else if (WIFSIGNALED(st) ? WTERMSIG(st) != SIGKILL && !(file == TOUCH_NTH && WTERMSIG(st) == SIGSEGV) : WEXITSTATUS(st) != 0)
            printf("odd %s %s %u ended with %x\n", files[file].name, what, n, st);
        reap_all(); /* what it had made is ours now */
    }
    if (n == MOST)
        printf("odd %s %s has no end\n", files[file].name, what);
}

void each_child(const char *what, void (*run)(void))
{
    calls++;
    if (as_they_are)
        run();
    else
        for (enum nth_file file = 0; file < NTH_FILES; file++)
            each_child_of(what, run, file);
}

bool each_is_once(void) { return as_they_are; }

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
    alarm(0);
    printf("family %s: %u calls, %u failures\n", f->name, calls, failures);
    take_calm(&before);
    for (unsigned i = 0; i < rounds; i++)
        f->run();
    alarm(0);
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

static const struct family *const lists[] = {families_files, families_net, families_memory, families_processes, families_rest};

static void each_of(const struct family *list, const char *name, void (*fn)(const struct family *f, unsigned n), unsigned n)
{
    for (const struct family *f = list; f->name != NULL; f++)
        if (name == NULL || strcmp(f->name, name) == 0)
            fn(f, n);
}

static void each_family(const char *name, void (*fn)(const struct family *f, unsigned n), unsigned n)
{
    for (unsigned i = 0; i < sizeof lists / sizeof lists[0]; i++)
        each_of(lists[i], name, fn, n);
}

static void calls_of(unsigned rounds, const char *family)
{
    for (unsigned i = 0; i < NTH_FILES; i++)
        if ((nth[i] = open_own(files[i].name)) < 0)
            exit(2);
    signal(SIGALRM, stalled);
    signal(SIGPIPE, SIG_IGN);
    at_once(STACKS);
    lock_memory();
    each_family(family, run_family, rounds);
}

/* --- kills ------------------------------------------------------------------------------------------------- */

/* What a killed one leaves that has a name, but for System V's (counts.c). */
static int remove_name(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    if (ftw->level > 0 && strncmp(path, "/tmp/faults", 11) == 0 && remove(path) < 0)
        printf("odd %s stays: %s\n", path, strerror(errno));
    return 0;
}

static void tidy(void)
{
    while (umount("/tmp/faults-mount") == 0)
        ;
    nftw("/tmp", remove_name, 10, FTW_DEPTH | FTW_PHYS);
    mq_unlink("/faults");
}

/* It is killed at its n-th allocation, touch or sleep. False: it ended before. */
static bool kill_at(const struct family *f, unsigned n)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        int fd = open_own("kill-nth");
        signal(SIGPIPE, SIG_IGN);
        alarm(STALL_S);
        put_number(fd, n);
        f->run();
        _exit(0);
    }
    int st = status_of(pid);
    bool killed = WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL;
    if (!killed && (!WIFEXITED(st) || WEXITSTATUS(st) != 0))
        printf("odd %s: killed at %u, but ended with %x\n", f->name, n, st);
    kill(-1, SIGKILL); /* what it left behind */
    reap_all();
    tidy();
    return killed;
}

#define NEVER 1000000000u

static void kill_everywhere(const struct family *f, unsigned stride)
{
    struct counts before;
    unsigned n = 1, done = 0;
    kill_at(f, NEVER);
    kill_at(f, NEVER);
    take_calm(&before);
    for (unsigned missed = 0; missed < 2; n += stride, done++)
        missed += !kill_at(f, n);
    printf("part %s: killed in %u places\n", f->name, done - 2);
    compare(&before, SLACK);
}

static void kills(unsigned stride, const char *name)
{
    int fd = open_own("kill-nth");
    if (fd < 0) /* on another Linux kill(-1) would be for all that runs there */
        exit(2);
    close(fd);
    as_they_are = true;
    for (unsigned i = 0; i < PARTS; i++)
        if (name == NULL || strcmp(parts[i].name, name) == 0)
            kill_everywhere(&(struct family){parts[i].name, parts[i].run}, stride);
    each_family(name, kill_everywhere, stride);
    each_of(families_ends, name, kill_everywhere, stride);
}

/* What calls were made while a failure or a kill was to come. */
static void print_made(void)
{
    char line[64];
    FILE *f = fopen("/proc/self/nth-calls", "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        printf("made %s", line);
    if (f != NULL)
        fclose(f);
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    parts_self = argv[0];
    if (argc > 2 && strcmp(argv[1], "calls") == 0)
        calls_of((unsigned)atoi(argv[2]), argv[3]);
    else if (argc > 2 && strcmp(argv[1], "kills") == 0)
        kills((unsigned)atoi(argv[2]), argv[3]);
    else if (argc > 1 && strcmp(argv[1], "nap") == 0)
        for (;;)
            usleep(100); /* a step of it comes to an end */
    else
        return argc > 1 && strcmp(argv[1], "nothing") == 0 ? 0 : 2;
    print_made();
    puts("went on");
    return 0;
}
