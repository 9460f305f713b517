/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What gdb.py looks into: threads that wait, one that works, calls of a library's function, children, code in shared memory that nobody may write, and
 * many that get signals, whether the program sees its own code changed. Ends when `stop_now` is set. With `again`, it executes itself once more first.
 */
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

struct point {
    int x, y;
};
volatile int stop_now, exit_code, watched, children, filled, changed;
int (*shared)(int);
volatile unsigned long rounds;
volatile double half = 0.5;
static pthread_mutex_t never = PTHREAD_MUTEX_INITIALIZER;
__thread volatile int own = 3;

static void *wait_for_ever(void *arg)
{
    (void)arg;
    own = 77;
    pthread_mutex_lock(&never);
    return NULL;
}

__attribute__((noinline)) int add_points(struct point a, struct point b)
{
    int sum = a.x + b.x;
    sum += a.y + b.y;
    watched = sum & 1 ? watched : watched + 1;
    return sum;
}

__attribute__((noinline)) double scale(double by)
{
    return by * half;
}

/* A function in the middle of a page of shared memory that nobody may write. */
static void make_shared(void)
{
    static const unsigned char code[] = {0x8d, 0x47, 0x01, 0xc3}; /* lea 1(%rdi), %eax; ret */
    int fd = memfd_create("code", 0);
    char *page = MAP_FAILED;
    if (pwrite(fd, code, sizeof(code), 64) == sizeof(code))
        page = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED)
        abort();
    shared = (int (*)(int))(page + 64);
}

/* fork() and a spawned child call what has a breakpoint. */
__attribute__((noinline)) void make_children(void)
{
    char *const argv[] = {(char *)"/proc/self/exe", (char *)"child", NULL};
    int status;
    pid_t pid = fork();
    if (pid == 0)
        _exit(add_points((struct point){1, 2}, (struct point){3, 4}));
    waitpid(pid, &status, 0);
    children += WIFEXITED(status) && WEXITSTATUS(status) == 10;
    if (posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, NULL) == 0 && waitpid(pid, &status, 0) == pid)
        children += WIFEXITED(status) && WEXITSTATUS(status) == 11;
}

static void *work(void *arg)
{
    char text[32], first[8];
    (void)arg;
    memcpy(first, (void *)scale, sizeof(first));
    while (!stop_now) {
        changed |= memcmp(first, (void *)scale, sizeof(first)) != 0;
        int sum = add_points((struct point){(int)rounds, 1}, (struct point){2, 3});
        snprintf(text, sizeof(text), "%d %g", sum, scale(3));
        if (getenv(text) != NULL || getrandom((void *)&filled, sizeof(filled), 0) != sizeof(filled))
            abort();
        if (shared(1) != 2)
            abort();
        rounds++;
        usleep(2000);
    }
    return NULL;
}

/* Its children use the program's memory, which is copied for other children at any time. */
static void *make_vforks(void *arg)
{
    while (!stop_now) {
        pid_t pid = vfork();
        if (pid == 0)
            _exit(0);
        waitpid(pid, NULL, 0);
        usleep(3000);
    }
    return arg;
}

static void nothing(int signal) { (void)signal; }

static void *make_signals(void *arg)
{
    while (!stop_now)
        raise(SIGUSR1);
    return arg;
}

__attribute__((noinline)) static void start_signals(void)
{
    pthread_t one;
    signal(SIGUSR1, nothing);
    for (int i = 0; i < 200; i++)
        pthread_create(&one, NULL, make_signals, NULL);
}

static void *short_life(void *arg) { return arg; }

int main(int argc, char **argv)
{
    pthread_t waiter, worker, other;
    if (argc > 1 && strcmp(argv[1], "child") == 0)
        return add_points((struct point){1, 3}, (struct point){3, 4});
    if (argc > 1 && strcmp(argv[1], "again") == 0)
        execl("/proc/self/exe", argv[0], NULL);
    make_shared();
    pthread_mutex_lock(&never);
    pthread_create(&waiter, NULL, wait_for_ever, NULL);
    pthread_create(&worker, NULL, work, NULL);
    pthread_setname_np(worker, "worker bee");
    if (argc > 1 && strcmp(argv[1], "children") == 0)
        pthread_create(&other, NULL, make_vforks, NULL);
    if (argc > 1 && strcmp(argv[1], "signals") == 0)
        start_signals();
    puts("ready");
    fflush(stdout);
    for (int i = 0; !stop_now; i++) {
        usleep(20000);
        pthread_create(&other, NULL, short_life, NULL);
        pthread_join(other, NULL);
        if (argc > 1 && strcmp(argv[1], "children") == 0)
            make_children();
    }
    pthread_join(worker, NULL);
    printf("rounds %s children %s\n", rounds > 0 ? "some" : "none", children > 0 && children % 2 == 0 ? "good" : "bad");
    return exit_code;
}
