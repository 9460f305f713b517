/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that really run at once: what one CPU changes in memory, rights, masks and time, another must see when it may.
 * Every line is a count that is the same on any number of CPUs.
 */
#define _GNU_SOURCE
#include "t.h"

#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define PAGE 4096
#define THREADS 4

static unsigned long now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (unsigned long)t.tv_sec * 1000000000 + (unsigned long)t.tv_nsec;
}

static void pause_us(unsigned us)
{
    for (unsigned long end = now_ns() + us * 1000ul; now_ns() < end;)
        ;
}

static void run_threads(unsigned n, void *(*fn)(void *))
{
    pthread_t t[THREADS];
    for (unsigned long i = 0; i < n; i++)
        pthread_create(&t[i], NULL, fn, (void *)i);
    for (unsigned i = 0; i < n; i++)
        pthread_join(t[i], NULL);
}

static atomic_uint bad, stop, count;

/* --- rights and mappings that go while another thread uses them --- */

static volatile unsigned long *page;
static atomic_uint writable;

static void on_fault(int sig)
{
    while (!writable && !stop)
        sched_yield();
    if (stop)
        pthread_exit(NULL);
}

static void *write_all_the_time(void *arg)
{
    while (!stop) {
        *page += 1;
        page[PAGE / 8] = *page;
    }
    return NULL;
}

static void check_still(void)
{
    unsigned long a = *page;
    pause_us(50);
    bad += *page != a;
}

static void protect(void)
{
    pthread_t t;
    page = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    signal(SIGSEGV, on_fault);
    bad = stop = 0;
    writable = 1;
    pthread_create(&t, NULL, write_all_the_time, NULL);
    for (int i = 0; i < 150; i++) {
        unsigned long before = *page;
        for (int tries = 0; tries < 1000 && *page == before; tries++)
            sched_yield();
        writable = 0;
        mprotect((void *)page, 2 * PAGE, PROT_READ);
        check_still();
        writable = 1;
        mprotect((void *)page, 2 * PAGE, PROT_READ | PROT_WRITE);
    }
    printf("--- written behind mprotect: %u\n", bad);

    bad = 0;
    for (int i = 0; i < 40; i++) {
        pid_t child = fork();
        if (child == 0) {
            check_still();
            _exit((int)bad);
        }
        int status = 0;
        bad += waitpid(child, &status, 0) != child || status != 0;
    }
    printf("--- written to the child's memory: %u\n", bad);
    writable = 0;
    stop = 1;
    mprotect((void *)page, 2 * PAGE, PROT_NONE);
    pthread_join(t, NULL);
    signal(SIGSEGV, SIG_DFL);
}

static void *map_and_unmap(void *arg)
{
    for (unsigned i = 0; i < 150; i++) {
        size_t n = 1 + i * 7 % 40;
        unsigned *p = mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        for (size_t k = 0; k < n; k++) {
            bad += p[k * 1024] != 0;
            p[k * 1024] = (unsigned)(unsigned long)arg + 1;
        }
        if (i % 3 == 0)
            mprotect(p, n * PAGE, PROT_READ);
        for (size_t k = 0; k < n; k++)
            bad += p[k * 1024] != (unsigned)(unsigned long)arg + 1;
        if (i % 5 == 0) {
            madvise(p, n * PAGE, MADV_DONTNEED);
            bad += p[0] != 0;
        }
        munmap(p, n * PAGE);
        count++;
    }
    return NULL;
}

/* --- fork, exec and exit beside running threads --- */

static void *fork_some(void *arg)
{
    for (int i = 0; i < 15; i++) {
        pid_t child = fork();
        if (child == 0)
            _exit((int)(unsigned long)arg + i);
        int status;
        bad += waitpid(child, &status, 0) != child || status != ((int)(unsigned long)arg + i) << 8;
        count++;
    }
    return NULL;
}

static void *spin(void *arg)
{
    for (volatile unsigned long i = 0;; i++)
        ;
    return NULL;
}

static void end_among_threads(int with_exec)
{
    bad = 0;
    for (int i = 0; i < 8; i++) {
        pid_t child = fork();
        if (child == 0) {
            pthread_t t;
            for (int k = 0; k < 3; k++)
                pthread_create(&t, NULL, spin, NULL);
            pause_us(300);
            if (with_exec)
                execl("/proc/self/exe", "smp", "exit", NULL);
            exit(7);
        }
        int status = 0;
        waitpid(child, &status, 0);
        bad += status != 7 << 8;
    }
    printf("--- %s among running threads went wrong: %u\n", with_exec ? "exec" : "exit", bad);
}

/* --- signals to a thread that runs --- */

static atomic_uint handled;
static void on_usr1(int sig) { handled++; }

static void *spin_until_stop(void *arg)
{
    while (!stop)
        ;
    return NULL;
}

static void signals(void)
{
    pthread_t t;
    signal(SIGUSR1, on_usr1);
    stop = handled = 0;
    pthread_create(&t, NULL, spin_until_stop, NULL);
    for (unsigned i = 0; i < 300; i++) {
        pthread_kill(t, SIGUSR1);
        while (handled == i)
            sched_yield();
    }
    stop = 1;
    pthread_join(t, NULL);
    printf("--- signals handled: %u\n", handled);
}

/* --- locks, conditions, pipes --- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static unsigned long guarded, turn;

static void *count_guarded(void *arg)
{
    for (int i = 0; i < 20000; i++) {
        pthread_mutex_lock(&mutex);
        guarded++;
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

static void *take_turns(void *arg)
{
    pthread_mutex_lock(&mutex);
    while (turn < 3000) {
        if (turn % 2 == (unsigned long)arg) {
            turn++;
            pthread_cond_broadcast(&cond);
        } else {
            pthread_cond_wait(&cond, &mutex);
        }
    }
    pthread_mutex_unlock(&mutex);
    return NULL;
}

static int ring[THREADS][2];

/* A token goes round; each adds one. */
static void *pass_on(void *arg)
{
    unsigned long i = (unsigned long)arg, v;
    for (int round = 0; round < 500; round++) {
        if (read(ring[i][0], &v, sizeof v) != sizeof v)
            bad++;
        v++;
        if (write(ring[(i + 1) % THREADS][1], &v, sizeof v) != sizeof v)
            bad++;
    }
    return NULL;
}

static void pipes(void)
{
    unsigned long v = 0;
    bad = 0;
    for (int i = 0; i < THREADS; i++)
        if (pipe(ring[i]) != 0)
            bad++;
    if (write(ring[0][1], &v, sizeof v) != sizeof v)
        bad++;
    run_threads(THREADS, pass_on);
    if (read(ring[0][0], &v, sizeof v) != sizeof v)
        bad++;
    printf("--- pipes: %u wrong, token %lu\n", bad, v);
}

/* A CPU waits for another one, each time for a little longer: at some of them it is just about to stop looking, or to halt. */
static sem_t turns[2];

static void *answer_later(void *arg)
{
    unsigned long i = (unsigned long)arg;
    for (unsigned us = 0; us < 500; us++) {
        struct timespec end;
        clock_gettime(CLOCK_REALTIME, &end);
        end.tv_sec += 20;
        while (sem_timedwait(&turns[i], &end) != 0)
            if (errno == ETIMEDOUT) {
                bad++;
                break;
            }
        pause_us(us);
        sem_post(&turns[1 - i]);
    }
    return NULL;
}

static void wake_late(void)
{
    bad = 0;
    sem_init(&turns[0], 0, 1);
    sem_init(&turns[1], 0, 0);
    run_threads(2, answer_later);
    printf("--- wake-ups lost: %u\n", bad);
}

/* --- order between CPUs --- */

static atomic_uint phase;
static volatile int x, y, seen_x, seen_y;

/* x = 1, then y is read, with nothing but the compiler kept in order: the other side's membarrier() is the fence. */
static void *fast_side(void *arg)
{
    for (unsigned i = 0; i < 500; i++) {
        while (phase != 3 * i + 1)
            sched_yield();
        x = 1;
        __asm__ volatile("" ::: "memory");
        seen_y = y;
        phase++;
    }
    return NULL;
}

static void barrier(void)
{
    pthread_t t;
    bad = phase = 0;
    syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
    pthread_create(&t, NULL, fast_side, NULL);
    for (unsigned i = 0; i < 500; i++) {
        x = y = 0;
        atomic_thread_fence(memory_order_seq_cst);
        phase++;
        y = 1;
        bad += syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) != 0;
        seen_x = x;
        while (phase != 3 * i + 2)
            sched_yield();
        bad += seen_x == 0 && seen_y == 0;
        phase++;
    }
    pthread_join(t, NULL);
    printf("--- membarrier missed: %u\n", bad);
}

static atomic_ulong stamp;

static void *check_time(void *arg)
{
    for (int i = 0; i < 20000; i++) {
        unsigned long other = stamp, mine = now_ns();
        bad += mine < other;
        stamp = mine;
    }
    return NULL;
}

static void *every_cpu(void *arg)
{
    cpu_set_t all, one;
    sched_getaffinity(0, sizeof all, &all);
    bad += CPU_COUNT(&all) != sysconf(_SC_NPROCESSORS_ONLN);
    for (int i = 0; i < 200; i++) {
        int cpu = i % CPU_COUNT(&all);
        CPU_ZERO(&one);
        CPU_SET(cpu, &one);
        if (sched_setaffinity(0, sizeof one, &one) != 0)
            continue; /* a machine whose CPUs are not numbered through */
        unsigned told = 99;
        syscall(SYS_getcpu, &told, NULL, NULL);
        bad += sched_getcpu() != cpu || (int)told != cpu;
    }
    sched_setaffinity(0, sizeof all, &all);
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return 7;
    setvbuf(stdout, NULL, _IOLBF, 0);
    protect();
    bad = count = 0;
    run_threads(THREADS, map_and_unmap);
    printf("--- mappings: %u, %u wrong\n", count, bad);
    bad = count = 0;
    run_threads(3, fork_some);
    printf("--- children: %u, %u wrong\n", count, bad);
    end_among_threads(0);
    end_among_threads(1);
    signals();
    run_threads(THREADS, count_guarded);
    run_threads(2, take_turns);
    printf("--- mutex: %lu, condition: %lu\n", guarded, turn);
    pipes();
    wake_late();
    barrier();
    bad = 0;
    run_threads(2, check_time);
    printf("--- time went back: %u\n", bad);
    bad = 0;
    run_threads(THREADS, every_cpu);
    printf("--- on the wrong CPU: %u\n", bad);
    return 0;
}
