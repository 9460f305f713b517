/* SPDX-License-Identifier: Apache-2.0 */
/* Scheduling: shares of CPU time, classes, blocking, ends of threads, FPU ownership. */
#include "kern/bh.h"
#include "kern/trap.h"
#include "kern/wait.h"
#include "sim/test.h"
#include "../sched_impl.h"

#define MS NSEC_PER_MSEC

static u64 deadline;
static unsigned finished;

static void burn(void *arg)
{
    while (now_ns() < deadline)
        sim_compute(50000);
}

static struct thread *burner(int nice, u8 policy, u8 prio)
{
    struct thread *t;
    CHECK_EQ(thread_create("burner", burn, NULL, false, &t), 0);
    CHECK_EQ(thread_set_policy(t, policy, prio), 0);
    thread_set_nice(t, nice);
    thread_start(t);
    return t;
}

TEST_CPUS(equal_threads_share_equally, 1)
{
    struct thread *t[4];
    deadline = now_ns() + 400 * MS;
    for (int i = 0; i < 4; i++)
        t[i] = burner(0, POLICY_OTHER, 0);
    thread_sleep_until(deadline + MS, false);
    for (int i = 0; i < 4; i++) {
        u64 ns = thread_cpu_ns(t[i]);
        CHECK(ns > 92 * MS && ns < 108 * MS);
        test_join(t[i]);
    }
}

TEST_CPUS(nice_gives_weight, 1)
{
    deadline = now_ns() + 1000 * MS;
    struct thread *a = burner(0, POLICY_OTHER, 0), *b = burner(5, POLICY_OTHER, 0); /* 1.25^5 = 3.05 */
    thread_sleep_until(deadline + MS, false);
    u64 x = thread_cpu_ns(a), y = thread_cpu_ns(b);
    CHECK(x > y * 28 / 10 && x < y * 33 / 10);
    test_join(a);
    test_join(b);
}

static u64 late_ns;

static void sleeper(void *arg)
{
    for (int i = 0; i < 20; i++) {
        u64 at = now_ns() + 5 * MS;
        thread_sleep_until(at, false);
        late_ns = MAX(late_ns, now_ns() - at);
    }
}

TEST_CPUS(sleeper_is_served_soon_beside_a_hog, 1)
{
    deadline = now_ns() + 200 * MS;
    struct thread *hog = burner(0, POLICY_OTHER, 0), *t = test_thread("sleeper", sleeper, NULL);
    test_join(t);
    CHECK(late_ns <= 4 * MS);
    test_join(hog);
}

TEST_CPUS(lone_thread_gets_no_timer_interrupts, 1)
{
    sim_compute(50 * MS);
    u64 before = this_cpu()->stats[STAT_TIMER_IRQS];
    sim_compute(1000 * MS);
    CHECK_EQ(this_cpu()->stats[STAT_TIMER_IRQS], before);
}

static bool half_ran, half_seen;

static void half(struct bh *bh) { half_ran = true; }

static void looks_for_half(void *arg)
{
    for (int i = 0; i < 100 && !half_seen; i++) {
        cond_resched(); /* as on the way back to a program */
        half_seen = half_ran;
    }
}

TEST_CPUS(bottom_half_outlives_a_switch, 1)
{
    struct bh bh;
    bh_init(&bh, half);
    struct thread *t = test_thread("looker", looks_for_half, NULL);
    u64 flags = plat_events_save();
    bh_raise(&bh);
    plat_events_restore(flags);
    test_join(t); /* sleeps: to another thread, without having been on any way back */
    CHECK(half_seen);
}

TEST_CPUS(real_time_comes_first, 1)
{
    deadline = now_ns() + 50 * MS;
    struct thread *fair = burner(-20, POLICY_OTHER, 0);
    struct thread *fifo = burner(0, POLICY_FIFO, 10), *low = burner(0, POLICY_FIFO, 5);
    thread_sleep_until(deadline + MS, false);
    CHECK(thread_cpu_ns(fifo) >= 49 * MS);
    CHECK(thread_cpu_ns(low) <= MS);
    CHECK(thread_cpu_ns(fair) <= 2 * MS);
    test_join(fair);
    test_join(fifo);
    test_join(low);
}

TEST_CPUS(real_time_leaves_a_twentieth, 1)
{
    deadline = now_ns() + 10000 * MS;
    struct thread *fifo = burner(0, POLICY_FIFO, 10), *rr = burner(0, POLICY_RR, 10);
    struct thread *fair = burner(0, POLICY_OTHER, 0), *other = burner(0, POLICY_OTHER, 0);
    thread_sleep_until(deadline + 200 * MS, false);
    u64 x = thread_cpu_ns(fair), y = thread_cpu_ns(other);
    CHECK(x + y > 400 * MS && x + y < 600 * MS && x > 150 * MS && y > 150 * MS);
    CHECK(thread_cpu_ns(fifo) + thread_cpu_ns(rr) > 9300 * MS);
    test_join(fair);
    test_join(other);
    test_join(fifo);
    test_join(rr);
}

static void sleeps_rarely(void *arg)
{
    for (int i = 0; i < 3; i++) {
        u64 at = now_ns() + 970 * MS;
        thread_sleep_until(at, false);
        late_ns = MAX(late_ns, now_ns() - at);
    }
}

TEST_CPUS(real_time_owes_nothing_to_who_had_the_cpu, 1)
{
    deadline = now_ns() + 3500 * MS;
    late_ns = 0;
    struct thread *fair = burner(0, POLICY_OTHER, 0), *rare;
    CHECK_EQ(thread_create("rare", sleeps_rarely, NULL, false, &rare), 0);
    CHECK_EQ(thread_set_policy(rare, POLICY_FIFO, 10), 0);
    thread_start(rare);
    thread_sleep_until(deadline + MS, false);
    CHECK(late_ns < MS);
    test_join(rare);
    test_join(fair);
}

TEST_CPUS(round_robin_takes_turns, 1)
{
    deadline = now_ns() + 1000 * MS;
    struct thread *a = burner(0, POLICY_RR, 10), *b = burner(0, POLICY_RR, 10);
    thread_sleep_until(deadline + 200 * MS, false);
    u64 x = thread_cpu_ns(a), y = thread_cpu_ns(b);
    CHECK(x > 350 * MS && y > 350 * MS);
    test_join(a);
    test_join(b);
}

TEST_CPUS(idle_policy_gets_the_rest, 1)
{
    deadline = now_ns() + 300 * MS;
    struct thread *a = burner(0, POLICY_IDLE, 0), *b = burner(0, POLICY_OTHER, 0);
    thread_sleep_until(deadline + MS, false);
    CHECK(thread_cpu_ns(b) > 280 * MS);
    test_join(a);
    test_join(b);
}

TEST(policy_arguments)
{
    struct thread *self = current_thread();
    CHECK_EQ(thread_set_policy(self, POLICY_FIFO, 0), -EINVAL);
    CHECK_EQ(thread_set_policy(self, POLICY_FIFO, 100), -EINVAL);
    CHECK_EQ(thread_set_policy(self, POLICY_OTHER, 1), -EINVAL);
    CHECK_EQ(thread_set_policy(self, 4, 0), -EINVAL);
    CHECK_EQ(thread_set_policy(self, POLICY_RR, 99), 0);
    CHECK_EQ(thread_set_policy(self, POLICY_OTHER, 0), 0);
    CHECK_EQ(thread_set_affinity(self, 1ULL << 63), -EINVAL);
}

static struct thread *changed; /* never started */

static void set_niceness(void *arg)
{
    for (int i = 0; i < 500; i++) {
        thread_set_nice(changed, i % 20);
        CHECK_EQ(changed->nice, i % 20);
    }
}

/* Who changes one of a thread's properties takes back nothing that others change meanwhile. */
TEST_CPUS(each_change_is_of_its_own_field, 2)
{
    CHECK_EQ(thread_create("changed", set_niceness, NULL, false, &changed), 0);
    struct thread *t = test_thread("nice", set_niceness, NULL);
    for (u8 i = 1; i < 250; i++) {
        CHECK_EQ(thread_set_policy(changed, POLICY_FIFO, 1 + i % 99), 0);
        CHECK_EQ(changed->rt_prio, 1 + i % 99);
    }
    test_join(t);
    thread_put(changed);
}

static unsigned turns[2], turn_changes, last_turn = 9;

static void yielder(void *arg)
{
    unsigned me = (unsigned)(uintptr_t)arg;
    for (int i = 0; i < 100; i++) {
        turns[me]++;
        turn_changes += last_turn != me;
        last_turn = me;
        sched_yield_cpu();
    }
}

TEST_CPUS(yield_lets_others_run, 1)
{
    struct thread *a = test_thread("a", yielder, (void *)0), *b = test_thread("b", yielder, (void *)1);
    test_join(a);
    test_join(b);
    CHECK(turn_changes > 150);
}

static void pinned(void *arg)
{
    u64 cpu = (u64)(uintptr_t)arg;
    for (int i = 0; i < 50; i++) {
        CHECK_EQ(this_cpu()->cpu, cpu);
        sim_compute(100000);
        thread_sleep_until(now_ns() + 1000, false);
    }
}

TEST_CPUS(affinity_holds_and_moves, 2)
{
    struct thread *t[4];
    for (u64 i = 0; i < 4; i++) {
        CHECK_EQ(thread_create("pinned", pinned, (void *)(uintptr_t)(i & 1), false, &t[i]), 0);
        CHECK_EQ(thread_set_affinity(t[i], 1ULL << (i & 1)), 0);
        thread_start(t[i]);
    }
    for (int i = 0; i < 4; i++)
        test_join(t[i]);
    for (u64 i = 0; i < 20; i++) { /* moving itself takes effect at the next switch */
        CHECK_EQ(thread_set_affinity(current_thread(), 1ULL << (i & 1)), 0);
        sched_resched();
        thread_sleep_until(now_ns() + 1000, false);
        CHECK_EQ(this_cpu()->cpu, i & 1);
    }
}

TEST_CPUS(two_cpus_do_twice_the_work, 2)
{
    struct thread *t[4];
    CHECK_EQ(thread_set_affinity(current_thread(), 1), 0);
    deadline = now_ns() + 100 * MS;
    for (int i = 0; i < 4; i++)
        t[i] = burner(0, POLICY_OTHER, 0);
    thread_sleep_until(deadline + MS, false);
    u64 sum = 0;
    for (int i = 0; i < 4; i++) {
        sum += thread_cpu_ns(t[i]);
        test_join(t[i]);
    }
    CHECK(sum > 150 * MS && sum < 230 * MS);
}

TEST_CPUS(three_threads_on_two_cpus_have_equal_shares, 2)
{
    struct thread *t[3];
    deadline = now_ns() + 600 * MS;
    for (int i = 0; i < 3; i++)
        t[i] = burner(0, POLICY_OTHER, 0);
    thread_sleep_until(deadline + MS, false);
    for (int i = 0; i < 3; i++) {
        u64 ns = thread_cpu_ns(t[i]);
        CHECK(ns > 300 * MS && ns < 500 * MS);
        test_join(t[i]);
    }
}

/* Who got behind a real-time thread leaves with the fair threads' turn, and nobody is sent there in its place. */
TEST_CPUS(fair_threads_share_what_real_time_leaves, 2)
{
    deadline = now_ns() + 4000 * MS;
    struct thread *t[3];
    for (int i = 0; i < 3; i++)
        t[i] = burner(0, i == 0 ? POLICY_FIFO : POLICY_OTHER, i == 0 ? 10 : 0);
    thread_sleep_until(deadline + MS, false);
    for (int i = 1; i < 3; i++)
        CHECK(thread_cpu_ns(t[i]) > 1000 * MS);
    for (int i = 0; i < 3; i++)
        test_join(t[i]);
}

static void sleeps_pinned_first(void *arg)
{
    CHECK_EQ(thread_set_affinity(current_thread(), 1), 0);
    thread_sleep_until(now_ns() + MS, false);
    CHECK_EQ(this_cpu()->cpu, 0);
    CHECK_EQ(thread_set_affinity(current_thread(), 3), 0);
    sleeper(NULL);
}

/* A priority that was lent counts as its own: who wakes up takes the CPU of the least urgent thread, whether it is lent to that one, to the other, or to itself. */
TEST_CPUS(lent_priority_counts_where_to_run, 2)
{
    for (unsigned lent = 0; lent < 2; lent++) {
        deadline = now_ns() + 200 * MS;
        late_ns = 0;
        struct thread *t[3];
        for (u64 i = 0; i < 3; i++) {
            static const u8 prios[] = { 50, 10, 30 };
            CHECK_EQ(thread_create("lent", i < 2 ? burn : sleeps_pinned_first, NULL, false, &t[i]), 0);
            if (i == 1 || (i == 2 && !lent))
                CHECK_EQ(thread_set_policy(t[i], POLICY_FIFO, prios[i]), 0);
            else
                thread_set_boost(t[i], prios[i]);
            if (i < 2)
                CHECK_EQ(thread_set_affinity(t[i], 1ULL << i), 0);
        }
        thread_start(t[2]);
        thread_sleep_until(now_ns() + 2 * MS, false);
        thread_start(t[0]);
        thread_start(t[1]);
        thread_sleep_until(deadline + MS, false);
        CHECK(late_ns < MS);
        for (unsigned i = 0; i < 3; i++)
            test_join(t[i]);
    }
}

/* --- blocking -------------------------------------------------------------------- */

static void wake_it(void *arg)
{
    thread_wake(arg);
}

TEST(wake_before_block_is_not_lost)
{
    thread_prepare_block(false);
    thread_wake(current_thread());
    CHECK_EQ(thread_block(NEVER_NS), 0); /* else the machine deadlocks */
    thread_prepare_block(false);
    sim_interrupt_at(now_ns() + 1000, wake_it, current_thread());
    CHECK_EQ(thread_block(now_ns() + 5000), 0);
    thread_prepare_block(false);
    CHECK_EQ(thread_block(now_ns() + 5000), -ETIMEDOUT);
    thread_prepare_block(false);
    CHECK_EQ(thread_block(now_ns()), -ETIMEDOUT);
    CHECK_EQ(current_thread()->state, THREAD_RUNNING);
}

static int sleep_result = 1;

static void long_sleeper(void *arg)
{
    sleep_result = thread_sleep_until(now_ns() + NSEC_PER_SEC, true);
}

TEST(interrupted_sleep)
{
    u64 start = now_ns();
    struct thread *t = test_thread("sleeper", long_sleeper, NULL);
    thread_sleep_until(start + MS, false);
    thread_interrupt(t, EXIT_SIGNAL);
    test_join(t);
    CHECK_EQ(sleep_result, -ERESTARTSYS);
    CHECK(now_ns() < start + 10 * MS);
    t = test_thread("sleeper", long_sleeper, NULL);
    test_join(t);
    CHECK_EQ(sleep_result, 0);
}

/* --- life ------------------------------------------------------------------------- */

static void finish(void *arg)
{
    atomic_add(&finished, 1u);
    if (arg != NULL)
        thread_exit();
}

static void count_threads(struct thread *t, void *ctx)
{
    ++*(unsigned *)ctx;
}

TEST_CPUS(create_and_end_many, 2)
{
    unsigned threads_before = 0, threads_after = 0;
    struct thread *first = test_thread("first", finish, NULL);
    test_join(first);
    thread_for_each(count_threads, &threads_before);
    for (int round = 0; round < 10; round++) {
        struct thread *t[12];
        for (int i = 0; i < 12; i++)
            t[i] = test_thread("short", finish, i & 1 ? (void *)1 : NULL);
        for (int i = 0; i < 12; i++)
            test_join(t[i]);
    }
    thread_sleep_until(now_ns() + NSEC_PER_SEC, false);
    thread_for_each(count_threads, &threads_after);
    CHECK_EQ(finished, 121);
    CHECK(threads_after <= threads_before + 1); /* the work thread */
}

TEST_CPUS(stacks_come_back, 1)
{
    struct thread *t[12];
    u64 free_pages[3];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 12; i++)
            t[i] = test_thread("short", finish, NULL);
        for (int i = 0; i < 12; i++)
            test_join(t[i]);
        thread_sleep_until(now_ns() + NSEC_PER_SEC, false);
        struct mem_stats stats;
        page_stats(&stats);
        free_pages[round] = stats.free_pages;
    }
    CHECK(free_pages[2] + 4 > free_pages[1]); /* not a stack's worth lost; slabs may grow a little */
}

TEST(creation_without_memory)
{
    unsigned made = 0;
    sim_fail_allocations(3);
    for (int i = 0; i < 100; i++) {
        struct thread *t;
        int err = thread_create("maybe", finish, NULL, false, &t);
        CHECK(err == 0 || err == -ENOMEM);
        if (err == 0) {
            made++;
            if (i & 1)
                thread_start(t);
            thread_put(t); /* never started: gone at once */
        }
    }
    sim_fail_allocations(0);
    thread_sleep_until(now_ns() + NSEC_PER_SEC, false);
    CHECK(finished <= made);
}

/* --- restartable sequences ------------------------------------------------------------ */

static void told(void *arg)
{
    struct thread *self = current_thread();
    for (int i = 0; i < 40; i++) {
        bool call = i & 1, yields = i & 2;
        self->told_cpu = this_cpu()->cpu + 1;
        FRAME_SYSCALL_REG(thread_frame(self)) = call ? 24 : -1UL;
        u64 switches = self->switches_voluntary + self->switches_forced;
        if (yields)
            sched_yield_cpu();
        else
            thread_sleep_until(now_ns() + 1000, false);
        bool switched = self->switches_voluntary + self->switches_forced != switches;
        CHECK(switched || yields);
        CHECK_EQ((self->exit_work & EXIT_RSEQ) != 0, switched && !call);
        atomic_and(&self->exit_work, ~EXIT_RSEQ);
    }
    self->told_cpu = 0;
}

TEST_CPUS(a_program_hears_of_switches_but_in_its_calls, 1)
{
    struct thread *t[2];
    for (int i = 0; i < 2; i++) {
        CHECK_EQ(thread_create("told", told, NULL, true, &t[i]), 0);
        thread_start(t[i]);
    }
    for (int i = 0; i < 2; i++)
        test_join(t[i]);
}

/* --- FPU ----------------------------------------------------------------------------- */

static struct thread *fpu_unstarted;

static void fpu_user(void *arg)
{
    u64 value = (u64)(uintptr_t)arg;
    for (int i = 0; i < 100; i++) {
        plat_events_disable();
        trap_before_program(NULL);
        plat_events_enable();
        if (i == 0 || sim_chance(2)) {
            CHECK_EQ(sim_fpu_get(), i != 0 ? value : 0); /* a program starts with a clean state */
            value += 16;
            sim_fpu_set(value); /* nothing may move us between the check and here: no point is passed */
        }
        if (sim_chance(2))
            thread_sleep_until(now_ns() + 100, false);
        if (sim_chance(4))
            sched_yield_cpu();
        if (sim_chance(8)) {
            thread_fpu_sync(current_thread());
            CHECK_EQ(*(u64 *)current_thread()->fpu, value);
        }
        if (sim_chance(8)) {
            thread_fpu_sync(current_thread());
            *(u64 *)current_thread()->fpu = value += 16;
            thread_fpu_reload(current_thread());
        }
        if (sim_chance(8))
            thread_fpu_reload(fpu_unstarted); /* another's: this one's is still live, and changed */
    }
}

static void check_fpu(void)
{
    struct thread *t[4];
    sim_fpu_can_trap = sim_chance(2);
    CHECK_EQ(thread_create("fpu", fpu_user, NULL, true, &fpu_unstarted), 0);
    for (u64 i = 0; i < 4; i++) {
        CHECK_EQ(thread_create("fpu", fpu_user, (void *)(uintptr_t)(i + 1), true, &t[i]), 0);
        thread_start(t[i]);
    }
    for (int i = 0; i < 4; i++)
        test_join(t[i]);
    thread_put(fpu_unstarted);
}

/* Counts in its register and, when that is done, in fpu_count. */
static u64 fpu_count;

static void fpu_counter(void *arg)
{
    for (int i = 0; i < 100; i++) {
        plat_events_disable();
        trap_before_program(NULL);
        plat_events_enable();
        sim_fpu_set(sim_fpu_get() + 1);
        atomic_store(&fpu_count, sim_fpu_get());
        thread_sleep_until(now_ns() + 100, false);
    }
}

TEST_CPUS(who_rests_has_its_registers_in_memory, 2)
{
    struct thread *t;
    sim_fpu_can_trap = sim_chance(2);
    fpu_count = 0;
    CHECK_EQ(thread_create("fpu", fpu_counter, NULL, true, &t), 0);
    thread_start(t);
    while (atomic_load(&t->state) != THREAD_DEAD) {
        u64 before = atomic_load(&fpu_count);
        if (atomic_load(&t->state) == THREAD_BLOCKED && thread_at_rest(t) && before != 0)
            CHECK(*(u64 *)t->fpu >= before);
        thread_sleep_until(now_ns() + 10, false);
    }
    test_join(t);
}

TEST(fpu_state_follows_its_thread) { check_fpu(); }
TEST_CPUS(fpu_state_follows_across_cpus, 3) { check_fpu(); }
