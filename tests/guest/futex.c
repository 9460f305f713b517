/* SPDX-License-Identifier: Apache-2.0 */
/* Futexes beyond wait and wake: locks with priority inheritance, robust ones, several at once, requeueing. */
#include "t.h"
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif
#define SYS_FUTEX_WAITV 449

struct vec {
    uint64_t val, uaddr;
    uint32_t flags, reserved;
};

static uint32_t word, other;

static long fx(uint32_t *w, int op, uint32_t val, void *timeout, void *addr2, uint32_t val3)
{
    return syscall(SYS_futex, w, op, val, timeout, addr2, val3);
}

static uint32_t tid(void) { return (uint32_t)syscall(SYS_gettid); }

static struct timespec *after_ms(int clock, int ms)
{
    static __thread struct timespec t;
    clock_gettime(clock, &t);
    t.tv_nsec += ms * 1000000L;
    t.tv_sec += t.tv_nsec / 1000000000;
    t.tv_nsec %= 1000000000;
    return &t;
}

/* What the word says, without numbers. */
static void word_show(uint32_t v)
{
    printf("word: owner %s%s%s\n", (v & FUTEX_TID_MASK) == 0 ? "none" : (v & FUTEX_TID_MASK) == tid() ? "us" : "another",
           v & FUTEX_WAITERS ? " waiters" : "", v & FUTEX_OWNER_DIED ? " died" : "");
}

static void until(volatile uint32_t *w, uint32_t bit)
{
    for (int i = 0; i < 5000 && !(*w & bit); i++)
        usleep(200);
}

static void *lock_and_add(void *arg)
{
    long r = fx(&word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0);
    bool owner = (word & FUTEX_TID_MASK) == tid();
    ++*(int *)arg;
    usleep(1000);
    r |= fx(&word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0);
    return (void *)(r != 0 ? 1L : owner ? 0L : 2L);
}

static void *lock_timed(void *arg)
{
    errno = 0;
    long r = fx(&word, (int)(long)arg | FUTEX_PRIVATE_FLAG, 0, after_ms((int)(long)arg == FUTEX_LOCK_PI ? CLOCK_REALTIME : CLOCK_MONOTONIC, 20), NULL, 0);
    return (void *)(r == 0 ? 0L : (long)errno);
}

static void *try_it(void *arg)
{
    errno = 0;
    return (void *)(fx(&word, FUTEX_TRYLOCK_PI_PRIVATE, 0, NULL, NULL, 0) == 0 ? 0L : (long)errno);
}

static void *unlock_it(void *arg)
{
    errno = 0;
    return (void *)(fx(&word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0) == 0 ? 0L : (long)errno);
}

static long in_thread(void *(*fn)(void *), void *arg)
{
    pthread_t t;
    void *r;
    pthread_create(&t, NULL, fn, arg);
    pthread_join(t, &r);
    return (long)r;
}

static void errno_show(const char *what, long e) { printf("%s: %s\n", what, e == 0 ? "0" : strerrorname_np((int)e)); }

static void pi_calls(void)
{
    section("LOCK_PI");
    word = 0;
    SHOW(fx(&word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    SHOW(fx(&word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    word_show(word);
    SHOW(fx(&word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    SHOW(fx(&word, FUTEX_TRYLOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    errno_show("try in another", in_thread(try_it, NULL));
    errno_show("unlock in another", in_thread(unlock_it, NULL));
    errno_show("timed", in_thread(lock_timed, (void *)(long)FUTEX_LOCK_PI));
    word_show(word);
    errno_show("timed, monotonic", in_thread(lock_timed, (void *)(long)FUTEX_LOCK_PI2));
    SHOW(fx(&word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    word_show(word);
    SHOW(fx(&word, FUTEX_TRYLOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    SHOW(fx(&word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    SHOW(fx((void *)((char *)&word + 1), FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    SHOW(fx((void *)8, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    SHOW(fx((void *)8, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    word = 4000000; /* nobody's number */
    SHOW(fx(&word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    SHOW(fx(&word, FUTEX_TRYLOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    SHOW(fx(&word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    word = FUTEX_OWNER_DIED;
    SHOW(fx(&word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    word_show(word);
    SHOW(fx(&word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    word = 0;
    SHOW(fx(&word, FUTEX_LOCK_PI_PRIVATE, 0, &(struct timespec){0, -1}, NULL, 0));
    SHOW(fx(&word, FUTEX_LOCK_PI_PRIVATE, 0, (void *)8, NULL, 0));
    SHOW(fx(&word, FUTEX_LOCK_PI_PRIVATE | FUTEX_CLOCK_REALTIME, 0, NULL, NULL, 0));
    SHOW(fx(&word, 99, 0, NULL, NULL, 0));

    section("handing over");
    int count = 0;
    pthread_t t[5];
    SHOW(fx(&word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    for (int i = 0; i < 5; i++)
        pthread_create(&t[i], NULL, lock_and_add, &count);
    until(&word, FUTEX_WAITERS);
    usleep(20000);
    SHOW(count);
    word_show(word);
    SHOW(fx(&word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    for (int i = 0; i < 5; i++) {
        void *r;
        pthread_join(t[i], &r);
        SHOW((long)r);
    }
    SHOW(count);
    word_show(word & ~FUTEX_WAITERS);
}

static void *hold_and_die(void *arg)
{
    fx(&word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0);
    until(&word, FUTEX_WAITERS);
    usleep(20000);
    return NULL;
}

static void owner_ends(void)
{
    section("an owner that ends");
    pthread_t t;
    word = 0;
    pthread_create(&t, NULL, hold_and_die, NULL);
    until(&word, FUTEX_TID_MASK);
    SHOW(fx(&word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    printf("word: ours %d died %d\n", (word & FUTEX_TID_MASK) == tid(), (word & FUTEX_OWNER_DIED) != 0);
    SHOW(fx(&word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    pthread_join(t, NULL);
}

static pthread_mutex_t *m;
static volatile int *held; /* beside m */

static void *robust_holder(void *arg)
{
    pthread_mutex_lock(m);
    *held = 1;
    if (arg != NULL)
        usleep(30000);
    return NULL;
}

static void mutexes(void)
{
    section("mutexes");
    m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    held = (int *)(m + 1);
    for (int robust = 0; robust < 2; robust++)
        for (int shared = 0; shared < 2; shared++) {
            pthread_mutexattr_t a;
            pthread_mutexattr_init(&a);
            SHOW(pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT));
            pthread_mutexattr_setpshared(&a, shared ? PTHREAD_PROCESS_SHARED : PTHREAD_PROCESS_PRIVATE);
            pthread_mutexattr_setrobust(&a, robust ? PTHREAD_MUTEX_ROBUST : PTHREAD_MUTEX_STALLED);
            pthread_mutexattr_settype(&a, PTHREAD_MUTEX_ERRORCHECK);
            SHOW(pthread_mutex_init(m, &a));
            SHOW(pthread_mutex_lock(m));
            SHOW(pthread_mutex_lock(m));
            SHOW(pthread_mutex_trylock(m));
            SHOW(pthread_mutex_unlock(m));
            SHOW(pthread_mutex_unlock(m));
            SHOW(pthread_mutex_timedlock(m, after_ms(CLOCK_REALTIME, 10)));
            SHOW(pthread_mutex_unlock(m));
            if (!robust)
                continue;
            for (int waits = 0; waits < 2; waits++) {
                pthread_t t;
                *held = 0;
                pthread_create(&t, NULL, robust_holder, waits ? m : NULL);
                while (!*held)
                    usleep(1000);
                if (!waits)
                    pthread_join(t, NULL);
                SHOW(pthread_mutex_lock(m) == EOWNERDEAD);
                SHOW(pthread_mutex_consistent(m));
                SHOW(pthread_mutex_unlock(m));
                SHOW(pthread_mutex_lock(m));
                SHOW(pthread_mutex_unlock(m));
                if (waits)
                    pthread_join(t, NULL);
            }
            if (!shared)
                continue;
            fflush(stdout);
            *held = 0;
            pid_t pid = fork();
            if (pid == 0) {
                robust_holder(m);
                _exit(0);
            }
            while (!*held)
                usleep(1000);
            SHOW(pthread_mutex_lock(m) == EOWNERDEAD);
            SHOW(pthread_mutex_consistent(m));
            SHOW(pthread_mutex_unlock(m));
            waitpid(pid, NULL, 0);
        }
}

static pthread_mutex_t a = PTHREAD_MUTEX_INITIALIZER;
static uint32_t lock_a, lock_b;
static void *cross(void *arg)
{
    fx(&lock_b, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0);
    errno = 0;
    long r = fx(&lock_a, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0);
    long e = r == 0 ? 0 : errno;
    if (r == 0)
        fx(&lock_a, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0);
    fx(&lock_b, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0);
    return (void *)e;
}

static void circle(void)
{
    section("a circle");
    pthread_t t;
    void *r;
    pthread_mutex_lock(&a);
    SHOW(fx(&lock_a, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    pthread_create(&t, NULL, cross, NULL);
    until(&lock_a, FUTEX_WAITERS);
    usleep(10000);
    SHOW(fx(&lock_b, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    SHOW(fx(&lock_a, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    pthread_join(t, &r);
    SHOW((long)r);
}

static void on_signal(int s) { (void)s; }

static pthread_t main_thread;
static void *interrupter(void *arg)
{
    fx(&word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0);
    until(&word, FUTEX_WAITERS);
    usleep(10000);
    pthread_kill(main_thread, SIGUSR1);
    usleep(10000);
    fx(&word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0);
    return NULL;
}

static void signals(void)
{
    section("a signal while waiting");
    struct sigaction sa = {.sa_handler = on_signal};
    sigaction(SIGUSR1, &sa, NULL);
    main_thread = pthread_self();
    pthread_t t;
    word = 0;
    pthread_create(&t, NULL, interrupter, NULL);
    until(&word, FUTEX_TID_MASK);
    SHOW(fx(&word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0)); /* goes on */
    SHOW(fx(&word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    pthread_join(t, NULL);
}

static void *requeued(void *arg)
{
    *(volatile long *)arg = gettid();
    errno = 0;
    long r = fx(&other, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0, NULL, &word, 0);
    bool owner = (word & FUTEX_TID_MASK) == tid();
    if (r == 0)
        fx(&word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0);
    return (void *)(r != 0 ? (long)errno : owner ? 0L : 999L);
}

static void requeue(void)
{
    section("REQUEUE_PI");
    pthread_t t[3];
    void *r;
    word = other = 0;
    SHOW(fx(&other, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 1, NULL, &word, 0));
    SHOW(fx(&other, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0, NULL, &other, 0));
    SHOW(fx(&other, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 0, after_ms(CLOCK_MONOTONIC, 10), &word, 0));
    SHOW(fx(&other, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, (void *)5, &word, 7));
    SHOW(fx(&other, FUTEX_CMP_REQUEUE_PI_PRIVATE, 2, (void *)5, &word, 0));
    SHOW(fx(&other, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, (void *)5, &word, 0));
    volatile long tids[3] = {0};
    for (int i = 0; i < 3; i++)
        pthread_create(&t[i], NULL, requeued, (void *)&tids[i]);
    for (int i = 0; i < 3; i++)
        until_asleep(&tids[i]);
    SHOW(fx(&word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    SHOW(fx(&other, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, (void *)5, &word, 0));
    SHOW(fx(&word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL, 0));
    for (int i = 0; i < 3; i++) {
        pthread_join(t[i], &r);
        SHOW((long)r);
    }
}

static uint32_t words[200];
static void *wake_one(void *arg)
{
    usleep(20000);
    words[3] = 1;
    fx(&words[3], FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
    return NULL;
}

static void waitv(void)
{
    section("futex_waitv");
    struct vec v[129];
    for (int i = 0; i < 129; i++)
        v[i] = (struct vec){0, (uintptr_t)&words[i], FUTEX_PRIVATE_FLAG | 2, 0};
    SHOW(syscall(SYS_FUTEX_WAITV, v, 0, 0, NULL, 0));
    SHOW(syscall(SYS_FUTEX_WAITV, v, 129, 0, NULL, 0));
    SHOW(syscall(SYS_FUTEX_WAITV, v, 2, 1, NULL, 0));
    SHOW(syscall(SYS_FUTEX_WAITV, NULL, 2, 0, NULL, 0));
    SHOW(syscall(SYS_FUTEX_WAITV, (void *)8, 2, 0, NULL, 0));
    SHOW(syscall(SYS_FUTEX_WAITV, v, 2, 0, after_ms(CLOCK_MONOTONIC, 10), 7));
    SHOW(syscall(SYS_FUTEX_WAITV, v, 128, 0, after_ms(CLOCK_MONOTONIC, 10), CLOCK_MONOTONIC));
    SHOW(syscall(SYS_FUTEX_WAITV, v, 2, 0, after_ms(CLOCK_REALTIME, 10), CLOCK_REALTIME));
    v[1].val = 5;
    SHOW(syscall(SYS_FUTEX_WAITV, v, 2, 0, NULL, 0));
    v[1].val = 0;
    v[1].flags = FUTEX_PRIVATE_FLAG;
    SHOW(syscall(SYS_FUTEX_WAITV, v, 2, 0, NULL, 0));
    v[1].flags = 2 | 64;
    SHOW(syscall(SYS_FUTEX_WAITV, v, 2, 0, NULL, 0));
    v[1].flags = 2;
    v[1].reserved = 1;
    SHOW(syscall(SYS_FUTEX_WAITV, v, 2, 0, NULL, 0));
    v[1].reserved = 0;
    v[1].uaddr = 8;
    SHOW(syscall(SYS_FUTEX_WAITV, v, 2, 0, NULL, 0));
    v[1].uaddr = (uintptr_t)&words[1] + 1;
    SHOW(syscall(SYS_FUTEX_WAITV, v, 2, 0, NULL, 0));
    v[1].uaddr = (uintptr_t)&words[1];
    pthread_t t;
    pthread_create(&t, NULL, wake_one, NULL);
    SHOW(syscall(SYS_FUTEX_WAITV, v, 128, 0, NULL, 0));
    pthread_join(t, NULL);
}

static void robust_lists(void)
{
    section("robust lists");
    struct robust_list_head head = {.list = {&head.list}}, *old;
    size_t size = 0;
    SHOW(syscall(SYS_set_robust_list, &head, sizeof head - 1));
    SHOW(syscall(SYS_get_robust_list, 0, &old, &size));
    SHOW(size);
    SHOW(syscall(SYS_get_robust_list, 4000000, &old, &size));
    SHOW(syscall(SYS_get_robust_list, 0, (void *)8, &size));
    SHOW(syscall(SYS_get_robust_list, -1, &old, &size));
}

int main(void)
{
    pi_calls();
    owner_ends();
    mutexes();
    circle();
    signals();
    requeue();
    waitv();
    robust_lists();
    return 0;
}
