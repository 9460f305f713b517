/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System-call microbenchmarks: nanoseconds a call, the best of many short rounds (a long one is hardly ever undisturbed).
 * The same static binary runs in Drupe, in a Linux guest and on the host.
 *
 *   micro                    all rows but those of "processes" alone; lines: "name nanoseconds"
 *   micro processes          rows of processes, threads and switches between them
 *   micro processes count    the same; lap() before and after so many calls of each, lines: "name calls"
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int zero, event, ping[2], pong[2];
static uint32_t word;
static volatile int stop;
static bool counting;

static uint64_t now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void bench_getppid(void) { getppid(); }

static void bench_clock(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
}

static void bench_read(void)
{
    char c;
    (void)!read(zero, &c, 1);
}

static void bench_eventfd(void)
{
    uint64_t v = 1;
    (void)!write(event, &v, 8);
    (void)!read(event, &v, 8);
}

static void *echo_pipe(void *arg)
{
    char c;
    while (read(ping[0], &c, 1) == 1 && c != 'q')
        (void)!write(pong[1], &c, 1);
    return NULL;
}

static void bench_pipe(void)
{
    char c = 'x';
    (void)!write(ping[1], &c, 1);
    (void)!read(pong[0], &c, 1);
}

static void futex_hand_over(uint32_t from, uint32_t to)
{
    while (__atomic_load_n(&word, __ATOMIC_ACQUIRE) != from && !stop)
        syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, to, NULL, NULL, 0);
    __atomic_store_n(&word, to, __ATOMIC_RELEASE);
    syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *echo_futex(void *arg)
{
    while (!stop)
        futex_hand_over(1, 0);
    return NULL;
}

static void bench_futex(void) { futex_hand_over(0, 1); }

static void *nothing(void *arg) { return NULL; }

static void bench_thread(void)
{
    pthread_t t;
    pthread_create(&t, NULL, nothing, NULL);
    pthread_join(t, NULL);
}

static void bench_open(void) { close(open("/dev/zero", O_RDONLY)); }

static void bench_mmap(void)
{
    char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *p = 1;
    munmap(p, 4096);
}

static void bench_mmap_4m(void)
{
    size_t len = 4 << 20;
    char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (size_t i = 0; i < len; i += 4096)
        p[i] = 1;
    munmap(p, len);
}

#define BIG (64 << 20)
static char *self;

static void wait_for_child(pid_t pid)
{
    int status;
    if (pid > 0)
        waitpid(pid, &status, 0);
}

static void bench_fork(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    wait_for_child(pid);
}

static void run_program(const char *path, const char *arg)
{
    pid_t pid = vfork();
    if (pid == 0) {
        execl(path, path, arg, (char *)NULL);
        _exit(127);
    }
    wait_for_child(pid);
}

static void bench_exec(void) { run_program(self, "nothing"); }
static void bench_exec_true(void) { run_program("/bin/true", NULL); }

/* Whose turn it is, 0 or 1; 2: nobody's any more. In memory that a child shares. */
static volatile unsigned *turn;

static void yield_to(unsigned other)
{
    *turn = other;
    while (*turn == other)
        sched_yield();
}

static void bench_switch(void) { yield_to(1); }

static void *echo_switch(void *arg)
{
    while (*turn == 0)
        sched_yield();
    while (*turn == 1)
        yield_to(0);
    return NULL;
}

#define ROUNDS 20             /* at least */
#define ENOUGH_NS 500000000u

/* Where the plugin counts: see insn_plugin.c. */
__attribute__((noinline)) void lap(void) { __asm__ volatile(""); }

static void call_often(void (*fn)(void), int calls)
{
    for (int i = 0; i < calls; i++)
        fn();
}

/* `calls` make some milliseconds natively. */
static void measure(const char *name, void (*fn)(void), int calls)
{
    uint64_t best = UINT64_MAX;
    if (counting) {
        call_often(fn, 10);
        lap();
        call_often(fn, calls);
        lap();
        best = (uint64_t)calls;
    }
    uint64_t begin = now();
    for (int round = 0; !counting && (round < ROUNDS || now() - begin < ENOUGH_NS); round++) {
        uint64_t start = now();
        call_often(fn, calls);
        uint64_t ns = (now() - start) / (uint64_t)calls;
        best = ns < best ? ns : best;
    }
    printf("%s %llu\n", name, (unsigned long long)best);
    fflush(stdout);
}

static void measure_beside_thread(const char *name, void (*fn)(void), int calls, void *(*echo)(void *), void (*end)(void))
{
    pthread_t t;
    if (pthread_create(&t, NULL, echo, NULL) != 0)
        return;
    measure(name, fn, calls);
    end();
    pthread_join(t, NULL);
}

static void measure_beside_process(const char *name, void (*fn)(void), int calls, void *(*echo)(void *), void (*end)(void))
{
    pid_t other = fork();
    if (other == 0) {
        echo(NULL);
        _exit(0);
    }
    if (other < 0)
        return;
    measure(name, fn, calls);
    end();
    wait_for_child(other);
}

static void end_pipe(void) { (void)!write(ping[1], "q", 1); }
static void end_switch(void) { *turn = 2; }

static void end_futex(void)
{
    stop = 1;
    syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    __atomic_store_n(&word, 1, __ATOMIC_RELEASE);
}

static void switch_rows(void)
{
    turn = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (turn == MAP_FAILED)
        return;
    *turn = 0;
    measure_beside_thread("yield to a thread and back", bench_switch, 300, echo_switch, end_switch);
    *turn = 0;
    measure_beside_process("yield to a process and back", bench_switch, 300, echo_switch, end_switch);
}

static void fork_row(void)
{
    char *big = mmap(NULL, BIG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (big != MAP_FAILED) {
        memset(big, 1, BIG);
        measure("fork+exit+wait, 64 MiB", bench_fork, 2);
    }
}

static void ping_pong_rows(void)
{
    if (pipe(ping) == 0 && pipe(pong) == 0) {
        measure_beside_thread("pipe ping-pong", bench_pipe, 300, echo_pipe, end_pipe);
        measure_beside_process("pipe ping-pong, two processes", bench_pipe, 300, echo_pipe, end_pipe);
    }
    measure_beside_thread("futex ping-pong", bench_futex, 300, echo_futex, end_futex);
    measure("pthread create+join", bench_thread, 30);
}

static void call_rows(void)
{
    measure("getppid", bench_getppid, 20000);
    measure("clock_gettime", bench_clock, 20000);
    measure("read 1 byte of /dev/zero", bench_read, 10000);
    measure("eventfd write+read", bench_eventfd, 3000);
    ping_pong_rows();
    measure("open+close", bench_open, 1000);
    measure("mmap 1 page", bench_mmap, 500);
    measure("mmap 4 MiB", bench_mmap_4m, 2);
    measure("vfork+exec+exit+wait", bench_exec, 4);
    fork_row();
}

static void process_rows(void)
{
    ping_pong_rows();
    switch_rows();
    measure("vfork+exec+exit+wait, /bin/true", bench_exec_true, 4);
    fork_row();
}

static bool has(int argc, char **argv, const char *what)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], what) == 0)
            return true;
    return false;
}

int main(int argc, char **argv)
{
    if (has(argc, argv, "nothing"))
        return 0;
    self = argv[0];
    counting = has(argc, argv, "count");
    int is_init = getpid() == 1 && argc > 0 && strcmp(argv[0], "/init") == 0;
    if (is_init) {
        mount("dev", "/dev", "devtmpfs", 0, NULL);
        int console = open("/dev/console", O_RDWR);
        dup2(console, 1);
        dup2(console, 2);
    }
    zero = open("/dev/zero", O_RDONLY);
    event = eventfd(0, 0);
    if (has(argc, argv, "processes"))
        process_rows();
    else
        call_rows();
    printf("end 0\n");
    fflush(stdout);
    if (is_init)
        reboot(RB_POWER_OFF);
    return 0;
}
