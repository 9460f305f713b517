/* SPDX-License-Identifier: Apache-2.0 */
/* pthread_create(3), futex(2), robust mutexes, condition variables, thread-local storage, sched_*(2) */
#include "t.h"
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
static __thread int tls = 5;
static long total;
static int turn;
static uint32_t word;

static long futex(uint32_t *w, int op, uint32_t v, void *timeout, uint32_t *w2, uint32_t v3)
{
    return syscall(SYS_futex, w, op, v, timeout, w2, v3);
}

static void *adder(void *arg)
{
    tls = (int)(intptr_t)arg;
    for (int i = 0; i < 10000; i++) {
        pthread_mutex_lock(&mutex);
        total++;
        pthread_mutex_unlock(&mutex);
    }
    return (void *)(intptr_t)tls;
}

static void *pinger(void *arg)
{
    for (int i = 0; i < 500; i++) {
        pthread_mutex_lock(&mutex);
        while (turn != 1)
            pthread_cond_wait(&cond, &mutex);
        turn = 0;
        pthread_cond_broadcast(&cond);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

static void *spinner(void *arg)
{
    volatile int *stop = arg;
    while (!*stop) /* never enters the kernel: only preemption lets others run */
        ;
    return NULL;
}

static void *real_time_spinner(void *arg)
{
    pthread_setschedparam(pthread_self(), SCHED_FIFO, &(struct sched_param){.sched_priority = 1}); /* or not permitted */
    return spinner(arg);
}

static void *holder(void *arg)
{
    pthread_mutex_lock(arg);
    return NULL; /* dies with the mutex held */
}

static void *futex_waiter(void *arg)
{
    *(volatile long *)arg = gettid();
    return (void *)futex(&word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
}

static void *fpu_user(void *arg)
{
    double x = (double)(intptr_t)arg;
    for (int i = 0; i < 200; i++) {
        double y = x;
        __asm__ volatile("" : "+x"(y));
        sched_yield();
        __asm__ volatile("" : "+x"(y));
        if (y != x)
            return (void *)1;
    }
    return NULL;
}

static void *detached(void *arg)
{
    sem_post(arg);
    return NULL;
}

static void *last_one(void *arg)
{
    usleep(20000);
    syscall(SYS_exit, 4);
    return NULL;
}

static void futexes(void)
{
    section("futex");
    struct timespec ts = {0, 5000000};
    SHOW(futex(&word, FUTEX_WAIT, 1, NULL, NULL, 0));
    SHOW(futex(&word, FUTEX_WAIT, 0, &ts, NULL, 0));
    SHOW(futex((uint32_t *)((char *)&word + 1), FUTEX_WAIT, 0, NULL, NULL, 0));
    SHOW(futex((uint32_t *)8, FUTEX_WAIT, 0, NULL, NULL, 0));
    SHOW(futex(&word, FUTEX_WAKE, 1, NULL, NULL, 0));
    SHOW(futex(&word, 77, 1, NULL, NULL, 0));
    SHOW(futex(&word, FUTEX_WAIT_BITSET, 0, NULL, NULL, 0));
    ts.tv_nsec = 2000000000;
    SHOW(futex(&word, FUTEX_WAIT, 0, &ts, NULL, 0));
    ts = (struct timespec){1, 0};
    SHOW(futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &ts, NULL, ~0u));
    pthread_t t[3];
    volatile long tids[3] = {0};
    for (int i = 0; i < 3; i++)
        pthread_create(&t[i], NULL, futex_waiter, (void *)&tids[i]);
    for (int i = 0; i < 3; i++)
        until_asleep(&tids[i]);
    uint32_t other = 0;
    SHOW(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)10, &other, 9));
    SHOW(futex(&word, FUTEX_CMP_REQUEUE_PRIVATE, 1, (void *)10, &other, 0));
    SHOW(futex(&other, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0));
    long sum = 0;
    for (int i = 0; i < 3; i++) {
        void *r;
        pthread_join(t[i], &r);
        sum += (long)r;
    }
    SHOW(sum);
    tids[0] = 0;
    pthread_create(&t[0], NULL, futex_waiter, (void *)&tids[0]);
    until_asleep(&tids[0]);
    SHOW(futex(&word, FUTEX_WAKE_OP_PRIVATE, 1, (void *)1, &other, FUTEX_OP(FUTEX_OP_ADD, 3, FUTEX_OP_CMP_EQ, 0)));
    SHOW(other);
    pthread_join(t[0], NULL);
}

static void *burn(void *arg)
{
    struct timespec a, now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
    do
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    while ((now.tv_sec - a.tv_sec) * 1000 + (now.tv_nsec - a.tv_nsec) / 1000000 < 60);
    return NULL;
}

static long left_ms(timer_t t)
{
    struct itimerspec its;
    timer_gettime(t, &its);
    return its.it_value.tv_sec * 1000 + its.it_value.tv_nsec / 1000000;
}

/* A timer on a thread's CPU time counts that thread's alone. */
static void cpu_timers(void)
{
    section("timers on CPU time");
    struct sigevent ev = {.sigev_notify = SIGEV_NONE};
    struct itimerspec its = {.it_value = {10, 0}};
    timer_t mine, all;
    pthread_t t;
    clockid_t clock;
    SHOW(timer_create(CLOCK_THREAD_CPUTIME_ID, &ev, &mine));
    SHOW(pthread_getcpuclockid(pthread_self(), &clock));
    SHOW(clock_getcpuclockid(getpid(), &clock));
    SHOW(timer_create(clock, &ev, &all));
    struct timespec a, b;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
    SHOW(timer_settime(mine, 0, &its, NULL));
    SHOW(timer_settime(all, 0, &its, NULL));
    pthread_create(&t, NULL, burn, NULL);
    pthread_join(t, NULL);
    long left = left_ms(mine);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
    SHOW_TRUE(9999 - left <= (b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000);
    SHOW_TRUE(10000 - left_ms(all) >= 59);
    SHOW(timer_create(-8 * 99999, &ev, &all));
    timer_delete(mine);
}

int main(void)
{
    section("mutual exclusion");
    pthread_t t[8];
    for (int i = 0; i < 8; i++)
        SHOW(pthread_create(&t[i], NULL, adder, (void *)(intptr_t)(i + 10)));
    long sum = 0;
    for (int i = 0; i < 8; i++) {
        void *r;
        SHOW(pthread_join(t[i], &r));
        sum += (long)r;
    }
    SHOW(sum);
    SHOW(total);
    SHOW(tls);

    section("condition variable");
    pthread_create(&t[0], NULL, pinger, NULL);
    for (int i = 0; i < 500; i++) {
        pthread_mutex_lock(&mutex);
        while (turn != 0)
            pthread_cond_wait(&cond, &mutex);
        turn = 1;
        pthread_cond_broadcast(&cond);
        pthread_mutex_unlock(&mutex);
    }
    SHOW(pthread_join(t[0], NULL));
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    ts.tv_sec -= 1;
    pthread_mutex_lock(&mutex);
    SHOW_STR(strerrorname_np(pthread_cond_timedwait(&cond, &mutex, &ts)));
    pthread_mutex_unlock(&mutex);

    section("preemption");
    volatile int stop = 0;
    pthread_create(&t[0], NULL, spinner, (void *)&stop);
    pthread_create(&t[1], NULL, spinner, (void *)&stop);
    usleep(30000);
    stop = 1;
    pthread_join(t[0], NULL);
    SHOW(pthread_join(t[1], NULL));

    section("floating point of several threads");
    for (int i = 0; i < 4; i++)
        pthread_create(&t[i], NULL, fpu_user, (void *)(intptr_t)(i * 7 + 1));
    sum = 0;
    for (int i = 0; i < 4; i++) {
        void *r;
        pthread_join(t[i], &r);
        sum += (long)r;
    }
    SHOW(sum);

    section("robust mutex");
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_t robust;
    pthread_mutex_init(&robust, &a);
    pthread_create(&t[0], NULL, holder, &robust);
    pthread_join(t[0], NULL);
    SHOW_STR(strerrorname_np(pthread_mutex_lock(&robust)));
    SHOW(pthread_mutex_consistent(&robust));
    SHOW(pthread_mutex_unlock(&robust));

    futexes();

    section("many");
    sem_t done;
    sem_init(&done, 0, 0);
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    for (int i = 0; i < 200; i++) {
        while (pthread_create(&t[0], &attr, detached, &done) != 0)
            usleep(1000);
        if (i % 20 == 19)
            for (int j = 0; j < 20; j++)
                sem_wait(&done);
    }
    sem_getvalue(&done, &turn);
    SHOW(turn);

    section("scheduling");
    struct sched_param sp = {0};
    SHOW(sched_getscheduler(0));
    SHOW(sched_get_priority_max(SCHED_FIFO));
    SHOW(sched_get_priority_min(SCHED_RR));
    SHOW(sched_get_priority_max(77));
    SHOW(sched_setscheduler(0, SCHED_OTHER, &sp));
    sp.sched_priority = 5;
    SHOW(sched_setscheduler(0, SCHED_OTHER, &sp));
    SHOW(sched_setscheduler(0, 77, &sp));
    SHOW(sched_getparam(0, &sp));
    SHOW(sp.sched_priority);
    cpu_set_t set;
    CPU_ZERO(&set);
    SHOW(sched_setaffinity(0, sizeof set, &set));
    CPU_SET(0, &set);
    SHOW(sched_setaffinity(0, sizeof set, &set));
    CPU_ZERO(&set);
    SHOW_TRUE(sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) == 1 && CPU_ISSET(0, &set));
    SHOW(sched_getaffinity(0, 1, &set));
    SHOW(sched_yield());
    SHOW(setpriority(PRIO_PROCESS, 0, 5));
    SHOW(getpriority(PRIO_PROCESS, 0));
    SHOW(getpriority(77, 0));

    stop = 0;
    pthread_create(&t[0], NULL, real_time_spinner, (void *)&stop); /* on this CPU */
    usleep(1000);
    stop = 1; /* comes to it because a real-time thread that never sleeps leaves a part of each second */
    SHOW(pthread_join(t[0], NULL));

    cpu_timers();
    section("names");
    char name[32] = "";
    SHOW(prctl(PR_SET_NAME, "a-name-that-is-too-long"));
    SHOW(prctl(PR_GET_NAME, name));
    SHOW_STR(name);
    SHOW(prctl(9999, 0, 0, 0, 0));
    SHOW_TRUE(gettid() == getpid());
    fflush(stdout);
    pthread_t late;
    pthread_create(&late, NULL, last_one, NULL);
    syscall(SYS_exit, 3); /* the process' status is that of the thread that ends last */
}
