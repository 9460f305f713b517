/* SPDX-License-Identifier: Apache-2.0 */
/* Sleeps: a thread four fifths of its time in long naps and the rest in many short ones, another one for ever. For profilers. */
#include <pthread.h>
#include <time.h>
#include <unistd.h>

__attribute__((noinline)) static void nap(long us) { nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL); }

__attribute__((noinline)) static void long_nap(void)
{
    nap(200000);
    __asm__ volatile("");
}

__attribute__((noinline)) static void short_nap(void)
{
    nap(5000);
    __asm__ volatile("");
}

__attribute__((noinline)) static void wait_for_ever(void)
{
    int p[2];
    char c;
    if (pipe(p) == 0)
        while (read(p[0], &c, 1) < 0)
            ;
}

static void *sleeper(void *arg)
{
    wait_for_ever();
    return arg;
}

int main(void)
{
    pthread_t t;
    pthread_create(&t, NULL, sleeper, NULL);
    for (;;) {
        long_nap();
        for (int i = 0; i < 10; i++)
            short_nap();
    }
}
