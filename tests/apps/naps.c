/* SPDX-License-Identifier: Apache-2.0 */
/* Says how many page faults it had, touching 4,000 pages, then sleeps: a thread four fifths of its time in long naps and the rest in many short ones, another one for ever. For profilers. */
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

__attribute__((noinline)) static void nap(long us) { nanosleep(&(struct timespec){.tv_nsec = us * 1000}, NULL); }

__attribute__((noinline)) static void long_nap(void)
{
    nap(400000);
    __asm__ volatile("");
}

__attribute__((noinline)) static void short_nap(void)
{
    nap(20000);
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

static void fault(void)
{
    size_t size = 4000 * 4096;
    struct rusage r;
    char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise(p, size, MADV_NOHUGEPAGE);
    for (size_t i = 0; i < size; i += 4096)
        p[i] = 1;
    getrusage(RUSAGE_SELF, &r);
    printf("%ld\n", r.ru_minflt + r.ru_majflt);
    fflush(stdout);
}

int main(void)
{
    pthread_t t;
    fault();
    pthread_create(&t, NULL, sleeper, NULL);
    for (;;) {
        long_nap();
        for (int i = 0; i < 5; i++)
            short_nap();
    }
}
