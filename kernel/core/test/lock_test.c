/* SPDX-License-Identifier: Apache-2.0 */
/* Wait queues, mutexes, readers-writer locks: no lost wake-ups, exclusion, order, interruption. */
#include "base/str.h"
#include "kern/lockstat.h"
#include "kern/wait.h"
#include "sim/test.h"

static struct mutex m;
static struct rwmutex rw;
static struct waitqueue wq;
static u64 counter, inside, readers_inside, max_readers;
static unsigned order[16], order_len;
static u32 ready;

static void maybe_pause(void)
{
    if (sim_chance(3))
        sim_compute(100000);
    else if (sim_chance(3))
        thread_sleep_until(now_ns() + 1000, false);
}

static void mutex_user(void *arg)
{
    for (int i = 0; i < 100; i++) {
        mutex_lock(&m);
        CHECK(mutex_held(&m));
        CHECK_EQ(inside++, 0);
        u64 seen = counter;
        maybe_pause();
        counter = seen + 1;
        CHECK_EQ(--inside, 0);
        mutex_unlock(&m);
        cond_resched();
    }
}

static u64 sleeps_of_test_mutex;

static void look_at_class(const struct lockstat *s, void *ctx)
{
    if (strcmp(s->name, "test mutex") == 0)
        sleeps_of_test_mutex += s->sleeps;
}

TEST_CPUS(mutex_excludes, 2)
{
    struct thread *t[5];
    mutex_init(&m, "test mutex");
    for (unsigned i = 0; i < ARRAY_SIZE(t); i++)
        t[i] = test_thread("user", mutex_user, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(t); i++)
        test_join(t[i]);
    CHECK_EQ(counter, 500);
    lockstat_for_each(look_at_class, NULL);
    CHECK(sleeps_of_test_mutex > 10 && sleeps_of_test_mutex < 500);
    CHECK(mutex_trylock(&m));
    mutex_unlock(&m);
}

static void in_order(void *arg)
{
    mutex_lock(&m);
    order[order_len++] = (unsigned)(uintptr_t)arg;
    mutex_unlock(&m);
}

TEST(mutex_is_first_come_first_served)
{
    struct thread *t[8];
    mutex_init(&m, "test mutex");
    mutex_lock(&m);
    for (unsigned i = 0; i < 8; i++) {
        t[i] = test_thread("waiter", in_order, (void *)(uintptr_t)i);
        thread_sleep_until(now_ns() + 1000, false);
    }
    mutex_unlock(&m);
    CHECK(!mutex_trylock(&m)); /* handed over, not free */
    for (unsigned i = 0; i < 8; i++)
        test_join(t[i]);
    for (unsigned i = 0; i < 8; i++)
        CHECK_EQ(order[i], i);
}

static int interruptible_result = 1;

static void interruptible_locker(void *arg)
{
    interruptible_result = mutex_lock_interruptible(&m);
    if (interruptible_result == 0)
        mutex_unlock(&m);
}

TEST(mutex_interrupted)
{
    mutex_init(&m, "test mutex");
    mutex_lock(&m);
    struct thread *t = test_thread("locker", interruptible_locker, NULL);
    struct thread *behind = test_thread("waiter", in_order, NULL);
    thread_sleep_until(now_ns() + 1000, false);
    thread_interrupt(t, EXIT_SIGNAL);
    test_join(t);
    CHECK_EQ(interruptible_result, -ERESTARTSYS);
    mutex_unlock(&m);
    test_join(behind);
    CHECK_EQ(order_len, 1);
}

static void reader(void *arg)
{
    for (int i = 0; i < 100; i++) {
        rwmutex_read_lock(&rw);
        CHECK_EQ(inside, 0);
        u64 n = atomic_add(&readers_inside, 1ul);
        max_readers = MAX(max_readers, n);
        maybe_pause();
        atomic_sub(&readers_inside, 1ul);
        rwmutex_read_unlock(&rw);
        maybe_pause();
    }
}

static void writer(void *arg)
{
    for (int i = 0; i < 50; i++) {
        rwmutex_write_lock(&rw);
        CHECK_EQ(inside++, 0);
        CHECK_EQ(readers_inside, 0);
        counter++;
        maybe_pause();
        inside--;
        rwmutex_write_unlock(&rw);
        maybe_pause();
    }
}

TEST_CPUS(rwmutex_excludes, 2)
{
    struct thread *t[6];
    rwmutex_init(&rw, "test rwmutex");
    for (unsigned i = 0; i < ARRAY_SIZE(t); i++)
        t[i] = test_thread("rw", i < 4 ? reader : writer, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(t); i++)
        test_join(t[i]);
    CHECK_EQ(counter, 100);
    CHECK(max_readers > 1);
}

static void one_read(void *arg)
{
    rwmutex_read_lock(&rw);
    order[order_len++] = 2;
    rwmutex_read_unlock(&rw);
}

static void one_write(void *arg)
{
    rwmutex_write_lock(&rw);
    order[order_len++] = 1;
    rwmutex_write_unlock(&rw);
}

TEST(waiting_writer_blocks_new_readers)
{
    rwmutex_init(&rw, "test rwmutex");
    rwmutex_read_lock(&rw);
    struct thread *w = test_thread("writer", one_write, NULL);
    thread_sleep_until(now_ns() + 1000, false);
    struct thread *r = test_thread("reader", one_read, NULL);
    thread_sleep_until(now_ns() + 1000, false);
    CHECK_EQ(order_len, 0);
    rwmutex_read_unlock(&rw);
    test_join(w);
    test_join(r);
    CHECK_EQ(order[0], 1);
    CHECK_EQ(order[1], 2);
}

/* --- wait queues --------------------------------------------------------------- */

static void consumer(void *arg)
{
    for (int i = 0; i < 200; i++) {
        CHECK_EQ(wait_event_exclusive_until(&wq, ready != 0 && atomic_sub(&ready, 1u) != UINT32_MAX, NEVER_NS), 0);
        counter++;
    }
}

TEST(exclusive_wakes_are_not_lost)
{
    struct thread *t[4];
    wq_init(&wq, "test wq");
    for (unsigned i = 0; i < ARRAY_SIZE(t); i++)
        t[i] = test_thread("consumer", consumer, NULL);
    for (int i = 0; i < 800; i++) {
        atomic_add(&ready, 1u);
        wq_wake(&wq, 0);
        if (sim_chance(4))
            thread_sleep_until(now_ns() + 1000, false);
        if (sim_chance(2))
            cond_resched();
    }
    for (unsigned i = 0; i < ARRAY_SIZE(t); i++)
        test_join(t[i]);
    CHECK_EQ(counter, 800);
    CHECK_EQ(ready, 0);
}

static int gave_up = 1;

/* What is waited for comes right behind the last look of one whom a signal has woken. */
static bool comes_late(void)
{
    if (ready != 0)
        return atomic_sub(&ready, 1u) != UINT32_MAX;
    if ((current_thread()->exit_work & EXIT_SIGNAL) != 0 && wq_active(&wq)) {
        atomic_store(&ready, 1u);
        wq_wake(&wq, 0);
    }
    return false;
}

static void interrupted_consumer(void *arg)
{
    gave_up = wait_event_exclusive_until(&wq, comes_late(), NEVER_NS);
}

static void second_consumer(void *arg)
{
    u64 deadline_ns = now_ns() + NSEC_PER_SEC;
    if (wait_event_exclusive_until(&wq, ready != 0 && atomic_sub(&ready, 1u) != UINT32_MAX, deadline_ns) == 0)
        counter += now_ns() < deadline_ns; /* at the deadline it looks by itself */
}

TEST(interrupted_waiter_keeps_no_wake_from_others)
{
    wq_init(&wq, "test wq");
    struct thread *first = test_thread("first", interrupted_consumer, NULL);
    thread_sleep_until(now_ns() + 1000, false);
    struct thread *second = test_thread("second", second_consumer, NULL);
    thread_sleep_until(now_ns() + 1000, false);
    thread_interrupt(first, EXIT_SIGNAL);
    test_join(first);
    test_join(second);
    CHECK_EQ(counter + (gave_up == 0), 1);
    CHECK_EQ(ready, 0);
}

static void ping(void *arg)
{
    u32 me = (u32)(uintptr_t)arg;
    for (int i = 0; i < 500; i++) {
        wait_event(&wq, atomic_load(&ready) == me);
        atomic_store(&ready, 1 - me);
        wq_wake_all(&wq, 0);
    }
}

TEST_CPUS(ping_pong, 2)
{
    wq_init(&wq, "test wq");
    struct thread *a = test_thread("ping", ping, (void *)0), *b = test_thread("pong", ping, (void *)1);
    test_join(a);
    test_join(b);
    CHECK_EQ(ready, 0);
}

TEST(timeouts)
{
    wq_init(&wq, "test wq");
    u64 start = now_ns();
    CHECK_EQ(wait_event_until(&wq, ready != 0, start + 5000), -ETIMEDOUT);
    CHECK(now_ns() >= start + 5000);
    CHECK_EQ(wait_event_until(&wq, ready != 0, 0), -ETIMEDOUT); /* long past */
    ready = 1;
    CHECK_EQ(wait_event_until(&wq, ready != 0, 0), 0);
    CHECK(!wq_active(&wq));
}

static int wait_result;

static void interruptible_waiter(void *arg)
{
    wait_result = wait_event_interruptible(&wq, ready != 0);
}

TEST(interrupted_wait)
{
    wq_init(&wq, "test wq");
    struct thread *t = test_thread("waiter", interruptible_waiter, NULL);
    thread_sleep_until(now_ns() + 1000, false);
    thread_interrupt(t, EXIT_TRACE); /* not a reason to end a wait */
    thread_sleep_until(now_ns() + 1000, false);
    CHECK(wq_active(&wq));
    thread_interrupt(t, EXIT_KILL);
    test_join(t);
    CHECK_EQ(wait_result, -ERESTARTSYS);
    CHECK(!wq_active(&wq));
}

static u32 seen_events;

static bool callback(struct waiter *w, u32 events)
{
    seen_events |= events;
    return false;
}

TEST(callback_waiters)
{
    struct waiter w = { .fn = callback };
    wq_init(&wq, "test wq");
    wq_add(&wq, &w);
    wq_wake(&wq, 4);
    wq_wake(&wq, 1);
    CHECK_EQ(seen_events, 5);
    wq_remove(&w);
    wq_remove(&w);
    wq_wake(&wq, 8);
    CHECK_EQ(seen_events, 5);
}
