/* SPDX-License-Identifier: Apache-2.0 */
/* What gdb.py looks into: threads that wait, one that works, calls of a library's function, children. Ends when `stop_now` is set. */
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

struct point {
    int x, y;
};
volatile int stop_now, exit_code, watched, children, filled;
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
    char text[32];
    (void)arg;
    while (!stop_now) {
        int sum = add_points((struct point){(int)rounds, 1}, (struct point){2, 3});
        snprintf(text, sizeof(text), "%d %g", sum, scale(3));
        if (getenv(text) != NULL || getrandom((void *)&filled, sizeof(filled), 0) != sizeof(filled))
            abort();
        rounds++;
        usleep(2000);
    }
    return NULL;
}

static void *short_life(void *arg) { return arg; }

int main(int argc, char **argv)
{
    pthread_t waiter, worker, other;
    if (argc > 1 && strcmp(argv[1], "child") == 0)
        return add_points((struct point){1, 3}, (struct point){3, 4});
    pthread_mutex_lock(&never);
    pthread_create(&waiter, NULL, wait_for_ever, NULL);
    pthread_create(&worker, NULL, work, NULL);
    pthread_setname_np(worker, "worker bee");
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
