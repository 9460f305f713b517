/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System-call microbenchmarks: nanoseconds a call, the best of several rounds.
 * The same static binary runs in Drupe, in a Linux guest and on the host.
 * Lines: "name nanoseconds".
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
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

static void bench_exec(void)
{
    pid_t pid = vfork();
    if (pid == 0) {
        execl(self, self, "nothing", (char *)NULL);
        _exit(127);
    }
    wait_for_child(pid);
}

static void measure(const char *name, void (*fn)(void), int calls)
{
    uint64_t best = UINT64_MAX;
    for (int round = 0; round < 5; round++) {
        uint64_t start = now();
        for (int i = 0; i < calls; i++)
            fn();
        uint64_t ns = (now() - start) / (uint64_t)calls;
        best = ns < best ? ns : best;
    }
    printf("%s %llu\n", name, (unsigned long long)best);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "nothing") == 0)
        return 0;
    self = argv[0];
    int is_init = getpid() == 1 && argc > 0 && strcmp(argv[0], "/init") == 0;
    if (is_init) {
        mount("dev", "/dev", "devtmpfs", 0, NULL);
        int console = open("/dev/console", O_RDWR);
        dup2(console, 1);
        dup2(console, 2);
    }
    zero = open("/dev/zero", O_RDONLY);
    event = eventfd(0, 0);
    measure("getppid", bench_getppid, 100000);
    measure("clock_gettime", bench_clock, 100000);
    measure("read 1 byte of /dev/zero", bench_read, 50000);
    measure("eventfd write+read", bench_eventfd, 20000);
    pthread_t t;
    if (pipe(ping) == 0 && pipe(pong) == 0 && pthread_create(&t, NULL, echo_pipe, NULL) == 0) {
        measure("pipe ping-pong", bench_pipe, 2000);
        (void)!write(ping[1], "q", 1);
        pthread_join(t, NULL);
    }
    pid_t other = fork();
    if (other == 0) {
        echo_pipe(NULL);
        _exit(0);
    }
    if (other > 0) {
        measure("pipe ping-pong, two processes", bench_pipe, 2000);
        (void)!write(ping[1], "q", 1);
        wait_for_child(other);
    }
    if (pthread_create(&t, NULL, echo_futex, NULL) == 0) {
        measure("futex ping-pong", bench_futex, 2000);
        stop = 1;
        syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
        __atomic_store_n(&word, 1, __ATOMIC_RELEASE);
        pthread_join(t, NULL);
    }
    measure("pthread create+join", bench_thread, 300);
    measure("open+close", bench_open, 5000);
    measure("mmap 1 page", bench_mmap, 3000);
    measure("mmap 4 MiB", bench_mmap_4m, 10);
    measure("vfork+exec+exit+wait", bench_exec, 50);
    char *big = mmap(NULL, BIG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (big != MAP_FAILED) {
        memset(big, 1, BIG);
        measure("fork+exit+wait, 64 MiB", bench_fork, 20);
    }
    printf("end 0\n");
    fflush(stdout);
    if (is_init)
        reboot(RB_POWER_OFF);
    return 0;
}
