/* SPDX-License-Identifier: Apache-2.0 */
/* Timers, bottom halves, the work thread, the clock. */
#include "kern/bh.h"
#include "kern/trap.h"
#include "kern/work.h"
#include "sim/test.h"

struct probe {
    struct ktimer timer;
    u64 want_ns, fired_ns;
    unsigned count;
};

static void fired(struct ktimer *t)
{
    struct probe *p = container_of(t, struct probe, timer);
    CHECK(bh_is_disabled() && !in_interrupt() && plat_events_enabled());
    CHECK(!ktimer_armed(t));
    p->fired_ns = now_ns();
    p->count++;
}

TEST(fire_in_order_and_on_time)
{
    static struct probe p[60];
    u64 start = now_ns(), last = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(p); i++) {
        ktimer_init(&p[i].timer, fired);
        p[i].want_ns = start + 1000 + (sim_random() >> 44);
        last = MAX(last, p[i].want_ns);
        ktimer_start(&p[i].timer, p[i].want_ns);
        CHECK(ktimer_armed(&p[i].timer));
    }
    for (unsigned i = 0; i < ARRAY_SIZE(p); i += 3)
        CHECK(ktimer_cancel(&p[i].timer));
    for (unsigned i = 1; i < ARRAY_SIZE(p); i += 3) { /* moved */
        p[i].want_ns += 5000;
        last = MAX(last, p[i].want_ns);
        ktimer_start(&p[i].timer, p[i].want_ns);
    }
    thread_sleep_until(last + 1, false);
    for (unsigned i = 0; i < ARRAY_SIZE(p); i++) {
        CHECK_EQ(p[i].count, i % 3 != 0);
        if (i % 3 != 0)
            CHECK_EQ(p[i].fired_ns, p[i].want_ns);
        CHECK(!ktimer_cancel(&p[i].timer));
    }
}

static void again(struct ktimer *t)
{
    struct probe *p = container_of(t, struct probe, timer);
    if (++p->count < 10)
        ktimer_start(t, now_ns() + 100);
}

TEST(restart_from_the_callback)
{
    struct probe p = { .count = 0 };
    ktimer_init(&p.timer, again);
    ktimer_start(&p.timer, now_ns()); /* due already */
    thread_sleep_until(now_ns() + 100000, false);
    CHECK_EQ(p.count, 10);
    CHECK(!ktimer_armed(&p.timer));
}

static void frees_itself(struct ktimer *t)
{
    kfree(container_of(t, struct probe, timer));
}

TEST(callback_may_free_its_timer)
{
    for (int i = 0; i < 50; i++) {
        struct probe *p = kzalloc(sizeof *p);
        ktimer_init(&p->timer, frees_itself);
        ktimer_start(&p->timer, now_ns() + (sim_random() >> 50));
    }
    thread_sleep_until(now_ns() + NSEC_PER_SEC, false);
}

static struct probe shared_probe;
static bool stop;

static void restarter(void *arg)
{
    while (!stop) {
        ktimer_start(&shared_probe.timer, now_ns() + 300);
        thread_sleep_until(now_ns() + 200 + sim_random() % 200, false);
        ktimer_cancel_sync(&shared_probe.timer);
        CHECK(!ktimer_armed(&shared_probe.timer));
        unsigned count = shared_probe.count;
        sim_compute(1000);
        CHECK_EQ(shared_probe.count, count);
    }
}

TEST_CPUS(cancel_sync_means_over, 3)
{
    ktimer_init(&shared_probe.timer, fired);
    struct thread *t = test_thread("restarter", restarter, NULL);
    for (int i = 0; i < 200; i++)
        thread_sleep_until(now_ns() + 500, false);
    stop = true;
    test_join(t);
    CHECK(shared_probe.count > 0);
}

/* --- bottom halves ---------------------------------------------------------------- */

static struct bh bh;
static unsigned bh_runs, bh_again;

static void bh_fn(struct bh *b)
{
    CHECK(bh_is_disabled());
    CHECK(plat_events_enabled());
    bh_runs++;
    if (bh_again != 0 && bh_again-- != 0)
        bh_raise(b);
}

static void raise_in_irq(void *arg)
{
    bh_raise(&bh);
    bh_raise(&bh);
    CHECK_EQ(bh_runs, 0);
}

static struct spinlock start_lock = SPINLOCK_INIT("test start");
static struct probe contested;

/* As timerfd_settime(2) by several threads: cancelled without a lock, started with one. */
static void set_again(void *arg)
{
    for (unsigned i = 0; i < 2000; i++) {
        ktimer_cancel_sync(&contested.timer);
        spin_lock_bh(&start_lock);
        ktimer_start(&contested.timer, now_ns() + NSEC_PER_SEC);
        spin_unlock_bh(&start_lock);
        if (i % 16 == 0)
            sched_yield_cpu();
    }
}

TEST_CPUS(start_and_cancel_at_once, 4)
{
    struct thread *t[4];
    struct probe others[8];
    ktimer_init(&contested.timer, fired);
    for (unsigned i = 0; i < ARRAY_SIZE(t); i++)
        t[i] = test_thread("setter", set_again, NULL);
    for (unsigned i = 0; i < ARRAY_SIZE(t); i++)
        test_join(t[i]);
    for (unsigned i = 0; i < ARRAY_SIZE(others); i++) {
        others[i] = (struct probe){ .count = 0 };
        ktimer_init(&others[i].timer, fired);
        ktimer_start(&others[i].timer, now_ns() + 2 * NSEC_PER_SEC);
    }
    thread_sleep_until(now_ns() + 3 * NSEC_PER_SEC, false);
    CHECK_EQ(contested.count, 1);
    for (unsigned i = 0; i < ARRAY_SIZE(others); i++)
        CHECK_EQ(others[i].count, 1);
}

TEST(bh_runs_after_the_interrupt)
{
    bh_init(&bh, bh_fn);
    sim_interrupt_at(now_ns() + 10, raise_in_irq, NULL);
    sim_advance(20);
    CHECK_EQ(bh_runs, 1);
}

TEST(bh_waits_for_enable)
{
    bh_init(&bh, bh_fn);
    bh_disable();
    bh_disable();
    bh_raise(&bh);
    bh_enable();
    CHECK_EQ(bh_runs, 0);
    bh_enable();
    CHECK_EQ(bh_runs, 1);
    bh_raise(&bh); /* by a thread: at once */
    CHECK_EQ(bh_runs, 2);
    u64 flags = plat_events_save();
    bh_raise(&bh);
    CHECK_EQ(bh_runs, 2);
    plat_events_restore(flags);
    sched_resched(); /* what happens on the way to a program */
    CHECK_EQ(bh_runs, 3);
}

TEST(busy_bh_lets_threads_run)
{
    bh_init(&bh, bh_fn);
    bh_again = 1000;
    bh_raise(&bh);
    CHECK_EQ(bh_runs, BH_MAX_ROUNDS);
    bh_disable();
    bh_enable();
    CHECK_EQ(bh_runs, BH_MAX_ROUNDS); /* held */
    sim_compute(BH_HOLD_NS + 1000);
    CHECK(bh_runs > BH_MAX_ROUNDS && bh_runs <= 3 * BH_MAX_ROUNDS);
    thread_sleep_until(now_ns() + NSEC_PER_MSEC, false); /* idle: as often as they like */
    CHECK_EQ(bh_runs, 1001);
}

static void slow_bh(struct bh *b)
{
    sim_advance(BH_SHARE_NS / 2 - 1000);
    bh_fn(b);
}

TEST(slow_bh_lets_threads_run)
{
    bh_init(&bh, slow_bh);
    bh_again = 100;
    bh_raise(&bh);
    CHECK_EQ(bh_runs, 4); /* the first, and three that take more than the share */
    thread_sleep_until(now_ns() + 60 * NSEC_PER_MSEC, false);
    CHECK_EQ(bh_runs, 101);
}

static bool yielders_end;

static void yield_often(void *arg)
{
    while (!yielders_end) {
        sim_compute(BH_HOLD_NS / 10);
        sched_yield_cpu();
    }
}

TEST(switches_do_not_prolong_a_hold)
{
    bh_init(&bh, bh_fn);
    bh_again = 1000;
    struct thread *t = test_thread("yielder", yield_often, NULL);
    bh_raise(&bh);
    CHECK_EQ(bh_runs, BH_MAX_ROUNDS);
    for (u64 end = now_ns() + 4 * BH_HOLD_NS; now_ns() < end; sched_yield_cpu())
        sim_compute(BH_HOLD_NS / 10);
    CHECK(bh_runs >= 3 * BH_MAX_ROUNDS);
    yielders_end = true;
    test_join(t);
}

/* --- several CPUs ---------------------------------------------------------------------- */

static bool inside, gone;
static unsigned written, seen;

static void count_alone(struct bh *b)
{
    CHECK(!inside);
    inside = true;
    seen = written;
    for (int i = 0; i < 20; i++)
        plat_relax();
    inside = false;
}

static void raise_often(void *arg)
{
    thread_set_affinity(current_thread(), 1ULL << (uintptr_t)arg);
    sched_resched();
    for (int i = 0; i < 50; i++) {
        atomic_add(&written, 1u);
        bh_raise(&bh);
        thread_sleep_until(now_ns() + 10 + (sim_random() >> 56), false);
    }
}

TEST_CPUS(a_bottom_half_runs_on_one_cpu_at_a_time, 2)
{
    struct thread *t[2];
    bh_init(&bh, count_alone);
    written = seen = 0;
    for (uintptr_t i = 0; i < 2; i++) {
        CHECK_EQ(thread_create("raise", raise_often, (void *)i, false, &t[i]), 0);
        thread_start(t[i]);
    }
    for (int i = 0; i < 2; i++)
        test_join(t[i]);
    thread_sleep_until(now_ns() + NSEC_PER_MSEC, false);
    CHECK_EQ(written, 100);
    CHECK_EQ(seen, 100); /* no raise was lost */
}

static void linger(struct ktimer *t)
{
    inside = true;
    for (int i = 0; i < 100; i++)
        plat_relax();
    CHECK(!gone);
    inside = false;
}

TEST_CPUS(cancel_waits_for_a_callback_on_another_cpu, 2)
{
    for (int i = 0; i < 50; i++) {
        struct ktimer t;
        ktimer_init(&t, linger);
        inside = gone = false;
        CHECK_EQ(thread_set_affinity(current_thread(), 1), 0);
        sched_resched();
        thread_sleep_until(now_ns() + 100, false);
        u64 then = now_ns() + 2000;
        ktimer_start(&t, then);
        CHECK_EQ(thread_set_affinity(current_thread(), 2), 0);
        thread_sleep_until(now_ns() + 100, false);
        thread_sleep_until(then, false); /* by a timer of this CPU */
        for (int k = 0; k < 50 && !inside; k++)
            plat_relax();
        ktimer_start(&t, now_ns() + NSEC_PER_SEC); /* here, while it may be running there */
        ktimer_cancel_sync(&t);
        gone = true;
        CHECK(!inside && !ktimer_armed(&t));
    }
}

/* --- work ----------------------------------------------------------------------------- */

struct job {
    struct work work;
    unsigned runs;
};

static void job_fn(struct work *w)
{
    struct job *j = container_of(w, struct job, work);
    thread_sleep_until(now_ns() + 100, false);
    j->runs++;
}

static void queue_in_irq(void *arg)
{
    CHECK(work_queue(&((struct job *)arg)->work));
}

TEST_CPUS(work_runs_in_a_thread, 1)
{
    static struct job a, b;
    work_init(&a.work, job_fn);
    work_init(&b.work, job_fn);
    CHECK(work_queue(&a.work));
    CHECK(!work_queue(&a.work));
    work_flush();
    CHECK_EQ(a.runs, 1);
    sim_interrupt_at(now_ns() + 50, queue_in_irq, &b);
    thread_sleep_until(now_ns() + 1000, false);
    CHECK_EQ(b.runs, 1);
    CHECK(work_queue(&a.work));
    work_flush();
    CHECK_EQ(a.runs, 2);
}

TEST(wall_clock)
{
    u64 wall = wall_ns();
    CHECK_EQ(wall_set(wall + 5 * NSEC_PER_SEC), 0);
    CHECK_EQ(wall_ns(), wall + 5 * NSEC_PER_SEC);
    CHECK_EQ(wall_offset_ns(), 5 * NSEC_PER_SEC);
    sim_advance(1000);
    CHECK_EQ(wall_ns(), wall + 5 * NSEC_PER_SEC + 1000);
    CHECK_EQ(wall_set(UINT64_MAX), -EINVAL);
}
