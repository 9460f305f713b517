/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two threads that wake each other all the time, which has idle CPUs look for that, beside servers that echo what comes on TCP port 7.
 * wakers US: the first CPU wakes a thread on the second one every so many microseconds, for half a second.
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int ends[2];

static void *wake(void *first)
{
    const struct timespec soon = {0, 30000};
    uint64_t one = 1;
    while (first == NULL || write(ends[1], &one, 8) == 8) {
        if (read(ends[first == NULL], &one, 8) != 8 || (first == NULL && write(ends[0], &one, 8) != 8))
            break;
        if (first != NULL)
            nanosleep(&soon, NULL);
    }
    return NULL;
}

static void *echo(void *arg)
{
    int fd = (int)(intptr_t)arg;
    char buf[2000];
    for (ssize_t n; (n = read(fd, buf, sizeof buf)) > 0;)
        if (write(fd, buf, (size_t)n) != n)
            break;
    close(fd);
    return NULL;
}

static void stay_on(int cpu)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    sched_setaffinity(0, sizeof one, &one);
}

static void *woken(void *arg)
{
    uint64_t n;
    stay_on(1);
    while (read(ends[0], &n, 8) == 8)
        ;
    return arg;
}

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int apart(double us)
{
    pthread_t t;
    uint64_t one = 1;
    ends[0] = eventfd(0, 0);
    pthread_create(&t, NULL, woken, NULL);
    stay_on(0);
    for (double end = now_us() + 5e5, next; (next = now_us() + us) < end;) {
        while (now_us() < next)
            ;
        if (write(ends[0], &one, 8) != 8)
            return 1;
    }
    puts("done");
    fflush(stdout);
    pause();
    return 0;
}

int main(int argc, char **argv)
{
    pthread_t t;
    if (argc > 1)
        return apart(atof(argv[1]));
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(7)};
    int s = socket(AF_INET, SOCK_STREAM, 0);
    for (int i = 0; i < 2; i++)
        ends[i] = eventfd(0, 0);
    for (int i = 0; i < 2; i++)
        pthread_create(&t, NULL, wake, i != 0 ? &ends : NULL);
    if (bind(s, (struct sockaddr *)&here, sizeof here) < 0 || listen(s, 8) < 0) {
        perror("port 7");
        return 1;
    }
    for (int fd; (fd = accept(s, NULL, NULL)) >= 0;)
        pthread_create(&t, NULL, echo, (void *)(intptr_t)fd);
    return 1;
}
