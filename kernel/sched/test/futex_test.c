/* SPDX-License-Identifier: Apache-2.0 */
/* Futexes on a hand-made address space of two pages, which come in by faults. */
#include "kern/addrspace.h"
#include "kern/futex.h"
#include "kern/trap.h"
#include "kern/uaccess.h"
#include "sim/test.h"

#define BASE (PLAT_USER_MIN + 0x10000)
#define A BASE
#define B (BASE + PAGE_SIZE + 64)

static struct addrspace as;
static struct page *pages[2];
static unsigned faults, order[16], order_len;
static bool absent[2]; /* the next fault brings it back */

static int page_fault(u64 addr, unsigned access)
{
    faults++;
    CHECK(plat_events_enabled());
    u64 i = (addr - BASE) / PAGE_SIZE;
    if (addr < BASE || i > 1)
        return -EFAULT;
    thread_sleep_until(now_ns() + 50, false);
    absent[i] = false;
    return plat_map(&as.plat, BASE + i * PAGE_SIZE, page_phys(pages[i]), PAGE_SIZE, MAP_READ | MAP_WRITE);
}

static void set_up(void)
{
    rwmutex_init(&as.lock, "test address space");
    CHECK_EQ(plat_aspace_init(&as.plat), 0);
    for (int i = 0; i < 2; i++)
        CHECK((pages[i] = page_alloc(0, ALLOC_ZERO)) != NULL);
    trap_handlers.page_fault = page_fault;
    thread_switch_as(&as);
}

static void drop_page(unsigned i)
{
    CHECK_EQ(plat_unmap(&as.plat, BASE + i * PAGE_SIZE, PAGE_SIZE, NULL, NULL), 0);
    absent[i] = true;
}

static u32 word(uaddr_t a)
{
    u32 v;
    CHECK_EQ(get_user_u32(a, &v), 0);
    return v;
}

static u32 add_word(uaddr_t a, u32 n)
{
    u32 old = word(a), seen;
    for (;;) {
        CHECK_EQ(cas_user_u32(a, old, old + n, &seen), 0);
        if (seen == old)
            return old;
        old = seen;
    }
}

struct wait_args {
    uaddr_t addr;
    u32 value, bitset;
    u64 timeout_ns; /* 0 = none */
    int result;
    unsigned id;
};

static void waiter(void *arg)
{
    struct wait_args *w = arg;
    thread_switch_as(&as);
    w->result = futex_wait(w->addr, w->value, w->bitset, false, w->timeout_ns != 0 ? now_ns() + w->timeout_ns : NEVER_NS);
    order[order_len++] = w->id;
    thread_switch_as(NULL);
}

static struct thread *start_waiter(struct wait_args *w, uaddr_t addr, u32 bitset, unsigned id)
{
    *w = (struct wait_args){ .addr = addr, .bitset = bitset, .id = id, .result = 99, .timeout_ns = w->timeout_ns };
    struct thread *t = test_thread("waiter", waiter, w);
    thread_sleep_until(now_ns() + 1000, false);
    return t;
}

TEST(arguments)
{
    set_up();
    CHECK_EQ(futex_wait(A + 1, 0, ~0u, false, NEVER_NS), -EINVAL);
    CHECK_EQ(futex_wait(A, 0, 0, false, NEVER_NS), -EINVAL);
    CHECK_EQ(futex_wait(A, 1, ~0u, false, NEVER_NS), -EAGAIN);
    CHECK_EQ(futex_wait(BASE + 0x100000, 0, ~0u, false, NEVER_NS), -EFAULT);
    CHECK_EQ(futex_wait(PLAT_USER_MAX, 0, ~0u, false, NEVER_NS), -EFAULT);
    CHECK_EQ(futex_wake(A, 1, 0, false), -EINVAL);
    CHECK_EQ(futex_wake(A, 1, ~0u, false), 0);
    CHECK_EQ(futex_wait(A, 0, ~0u, false, now_ns() + 1000), -ETIMEDOUT);
    CHECK_EQ(futex_requeue(A, B, 1, 1, true, 7, false), -EAGAIN);
    CHECK_EQ(futex_wake_op(A, B, 1, 1, 0xf0000000u | 9 << 24, false), -ENOSYS);
}

TEST_CPUS(wake_in_order_by_count_and_bitset, 1)
{
    struct wait_args w[6] = { 0 };
    struct thread *t[6];
    set_up();
    for (unsigned i = 0; i < 6; i++)
        t[i] = start_waiter(&w[i], A, i == 1 ? 2 : 1, i);
    CHECK_EQ(futex_wake(B, 10, ~0u, false), 0);
    CHECK_EQ(futex_wake(A, 2, 1, false), 2);
    thread_sleep_until(now_ns() + 1000, false);
    CHECK_EQ(order_len, 2);
    CHECK_EQ(futex_wake(A, 5, 2, false), 1);
    thread_sleep_until(now_ns() + 1000, false);
    CHECK_EQ(futex_wake(A, 100, ~0u, false), 3);
    for (unsigned i = 0; i < 6; i++) {
        test_join(t[i]);
        CHECK_EQ(w[i].result, 0);
    }
    static const unsigned want[] = { 0, 2, 1, 3, 4, 5 };
    for (unsigned i = 0; i < 6; i++)
        CHECK_EQ(order[i], want[i]);
}

TEST(requeue)
{
    struct wait_args w[4] = { 0 };
    struct thread *t[4];
    set_up();
    for (unsigned i = 0; i < 4; i++)
        t[i] = start_waiter(&w[i], A, ~0u, i);
    drop_page(0);
    CHECK_EQ(futex_requeue(A, B, 1, 2, true, 0, false), 3);
    CHECK_EQ(futex_wake(B, 1, ~0u, false), 1);
    CHECK_EQ(futex_wake(A, 9, ~0u, false), 1);
    CHECK_EQ(futex_requeue(B, B, 0, 9, false, 0, false), 1); /* onto itself: still there */
    CHECK_EQ(futex_wake(B, 9, ~0u, false), 1);
    for (unsigned i = 0; i < 4; i++) {
        test_join(t[i]);
        CHECK_EQ(w[i].result, 0);
    }
}

TEST(requeued_waiter_times_out_and_is_interrupted)
{
    struct wait_args w[2] = { { .timeout_ns = 100000 } };
    set_up();
    struct thread *a = start_waiter(&w[0], A, ~0u, 0), *b = start_waiter(&w[1], A, ~0u, 1);
    CHECK_EQ(futex_requeue(A, B, 0, 9, false, 0, false), 2);
    test_join(a);
    CHECK_EQ(w[0].result, -ETIMEDOUT);
    thread_interrupt(b, EXIT_SIGNAL);
    test_join(b);
    CHECK_EQ(w[1].result, -ERESTARTSYS);
    CHECK_EQ(futex_wake(B, 9, ~0u, false), 0);
}

#define OP(op, arg, cmp, cmparg) ((u32)(op) << 28 | (u32)(cmp) << 24 | ((u32)(arg) & 0xfff) << 12 | ((u32)(cmparg) & 0xfff))

TEST(wake_op)
{
    struct wait_args w[2] = { 0 };
    set_up();
    struct thread *a = start_waiter(&w[0], A, ~0u, 0), *b = start_waiter(&w[1], B, ~0u, 1);
    drop_page(1);
    CHECK_EQ(futex_wake_op(A, B, 1, 1, OP(1, 5, 4, 0), false), 1); /* B += 5; wake B if old > 0: it was 0 */
    CHECK_EQ(word(B), 5);
    test_join(a);
    CHECK_EQ(futex_wake_op(A, B, 1, 1, OP(1, -2, 0, 5), false), 1); /* B -= 2; old == 5 */
    CHECK_EQ(word(B), 3);
    test_join(b);
    CHECK_EQ(futex_wake_op(A, B, 0, 0, OP(0, 9, 0, 0), false), 0);
    CHECK_EQ(word(B), 9);
    CHECK_EQ(futex_wake_op(A, B, 0, 0, OP(2 | 8, 2, 0, 0), false), 0); /* |= 1 << 2 */
    CHECK_EQ(word(B), 13);
    CHECK_EQ(futex_wake_op(A, B, 0, 0, OP(3, 1, 0, 0), false), 0);
    CHECK_EQ(word(B), 12);
    CHECK_EQ(futex_wake_op(A, B, 0, 0, OP(4, 5, 0, 0), false), 0);
    CHECK_EQ(word(B), 9);
}

/* A mutex in program memory, as a C library builds it (0 free, 1 taken, 2 taken and wanted). */
static u64 shared_count;
static bool busy;

static void lock_user(void *arg)
{
    thread_switch_as(&as);
    for (int i = 0; i < 60; i++) {
        u32 seen;
        CHECK_EQ(cas_user_u32(A, 0, 1, &seen), 0);
        while (seen != 0) {
            u32 was = seen;
            if (was == 2 || (cas_user_u32(A, 1, 2, &was) == 0 && was != 0)) {
                int ret = futex_wait(A, 2, ~0u, false, sim_chance(4) ? now_ns() + 500 : NEVER_NS);
                CHECK(ret == 0 || ret == -EAGAIN || ret == -ETIMEDOUT);
            }
            CHECK_EQ(cas_user_u32(A, 0, 2, &seen), 0);
        }
        CHECK(!busy);
        busy = true;
        u64 n = shared_count;
        if (sim_chance(2))
            sim_compute(20000);
        if (sim_chance(8))
            thread_sleep_until(now_ns() + 100, false);
        shared_count = n + 1;
        busy = false;
        if (add_word(A, (u32)-1) != 1) {
            CHECK_EQ(put_user_u32(A, 0), 0);
            CHECK(futex_wake(A, 1, ~0u, false) >= 0);
        }
        cond_resched();
    }
    thread_switch_as(NULL);
}

static void run_lock_users(void)
{
    struct thread *t[5];
    set_up();
    for (int i = 0; i < 5; i++)
        t[i] = test_thread("user", lock_user, NULL);
    for (int i = 0; i < 5; i++)
        test_join(t[i]);
    CHECK_EQ(shared_count, 300);
    CHECK_EQ(word(A), 0);
    CHECK(faults >= 1);
}

TEST(mutex_on_one_cpu) { run_lock_users(); }
TEST_CPUS(mutex_on_three_cpus, 3) { run_lock_users(); }

/* --- priority inheritance; the number of a thread is its place in `numbered` ---------------------- */

static struct thread *numbered[8];

static struct thread *by_number(u32 tid) { return tid < ARRAY_SIZE(numbered) && numbered[tid] != NULL ? thread_get(numbered[tid]) : NULL; }

struct pi_args {
    uaddr_t holds, wants; /* 0 = none */
    u32 tid;
    u64 timeout_ns;
    int result;
};

static void pi_user(void *arg)
{
    struct pi_args *a = arg;
    thread_switch_as(&as);
    numbered[a->tid] = current_thread();
    if (a->holds != 0)
        CHECK_EQ(futex_lock_pi(a->holds, a->tid, false, NEVER_NS, false), 0);
    a->result = futex_lock_pi(a->wants, a->tid, false, a->timeout_ns != 0 ? now_ns() + a->timeout_ns : NEVER_NS, false);
    order[order_len++] = a->tid;
    if (a->result == 0)
        CHECK_EQ(futex_unlock_pi(a->wants, a->tid, false), 0);
    if (a->holds != 0)
        CHECK_EQ(futex_unlock_pi(a->holds, a->tid, false), 0);
    futex_pi_exit(true);
    numbered[a->tid] = NULL;
    thread_switch_as(NULL);
}

static struct thread *start_pi(struct pi_args *a, u8 prio)
{
    struct thread *t = test_thread("pi", pi_user, a);
    CHECK_EQ(thread_set_policy(t, prio != 0 ? POLICY_FIFO : POLICY_OTHER, prio), 0);
    thread_sleep_until(now_ns() + 5000, false);
    return t;
}

TEST_CPUS(priority_is_lent_along_a_chain, 1)
{
    struct thread *self = current_thread();
    set_up();
    futex_find_thread = by_number;
    numbered[1] = self;
    CHECK_EQ(futex_lock_pi(A, 1, false, NEVER_NS, false), 0);
    CHECK_EQ(word(A), 1);
    struct pi_args low = {.wants = A, .tid = 2}, high = {.holds = B, .wants = A, .tid = 3}, top = {.wants = B, .tid = 4},
                   timed = {.wants = A, .tid = 5, .timeout_ns = 20000};
    struct thread *t[4];
    t[0] = start_pi(&low, 0);
    CHECK_EQ(self->boost, 0);
    t[1] = start_pi(&high, 20);
    CHECK_EQ(self->boost, 20);
    CHECK_EQ(word(A), 1 | FUTEX_WAITERS);
    t[2] = start_pi(&top, 40); /* waits for the one that waits for us */
    CHECK_EQ(t[1]->boost, 40);
    CHECK_EQ(self->boost, 40);
    CHECK_EQ(futex_lock_pi(B, 1, false, NEVER_NS, false), -EDEADLK);
    t[3] = start_pi(&timed, 50);
    CHECK_EQ(self->boost, 50);
    thread_sleep_until(now_ns() + 50000, false);
    CHECK_EQ(timed.result, -ETIMEDOUT);
    CHECK_EQ(self->boost, 40);
    CHECK_EQ(thread_set_policy(t[2], POLICY_FIFO, 30), 0);
    CHECK_EQ(self->boost, 30);
    CHECK_EQ(self->policy, POLICY_OTHER);
    CHECK_EQ(futex_unlock_pi(A, 1, false), 0);
    CHECK_EQ(self->boost, 0);
    for (int i = 0; i < 4; i++)
        test_join(t[i]);
    CHECK_EQ(order[1], 3); /* by priority: the chain's first, what waited for it, then who came first */
    CHECK_EQ(order[2], 4);
    CHECK_EQ(order[3], 2);
    CHECK_EQ(word(A) & FUTEX_TID_MASK, 0);
}

TEST(owner_that_ends)
{
    set_up();
    futex_find_thread = by_number;
    numbered[1] = current_thread();
    struct pi_args w = {.wants = A, .tid = 2};
    CHECK_EQ(futex_lock_pi(A, 1, false, NEVER_NS, false), 0);
    struct thread *t = start_pi(&w, 10);
    CHECK_EQ(current_thread()->boost, 10);
    drop_page(0);
    futex_pi_exit(false);
    CHECK_EQ(current_thread()->boost, 0);
    numbered[1] = NULL;
    test_join(t);
    CHECK_EQ(w.result, 0);
    CHECK_EQ(word(A), 0); /* unlocked again */
}

static void pi_lock_user(void *arg)
{
    u32 tid = (u32)(uintptr_t)arg;
    thread_switch_as(&as);
    numbered[tid] = current_thread();
    for (int i = 0; i < 40; i++) {
        CHECK_EQ(futex_lock_pi(A, tid, false, NEVER_NS, false), 0);
        CHECK(!busy);
        busy = true;
        unsigned n = shared_count;
        if (sim_chance(2))
            sim_compute(20000);
        if (sim_chance(8))
            thread_sleep_until(now_ns() + 100, false);
        shared_count = n + 1;
        busy = false;
        CHECK_EQ(futex_unlock_pi(A, tid, false), 0);
        cond_resched();
    }
    futex_pi_exit(true);
    thread_switch_as(NULL);
}

TEST_CPUS(pi_lock_on_three_cpus, 3)
{
    struct thread *t[5];
    set_up();
    futex_find_thread = by_number;
    for (uintptr_t i = 0; i < 5; i++) {
        t[i] = test_thread("user", pi_lock_user, (void *)(i + 1));
        thread_set_policy(t[i], i % 2 != 0 ? POLICY_FIFO : POLICY_OTHER, i % 2 != 0 ? (u8)(10 * i) : 0);
    }
    for (int i = 0; i < 5; i++)
        test_join(t[i]);
    CHECK_EQ(shared_count, 200);
    CHECK_EQ(word(A) & FUTEX_TID_MASK, 0);
}

static void pi_waiter_once(void *arg)
{
    u32 tid = (u32)(uintptr_t)arg;
    thread_switch_as(&as);
    CHECK_EQ(futex_lock_pi(A, tid, false, NEVER_NS, false), 0);
    CHECK_EQ(futex_unlock_pi(A, tid, false), 0);
    thread_switch_as(NULL);
}

/* A priority that changes while its thread queues up decides its place, and is what it lends. */
TEST_CPUS(priority_changes_while_queueing_up, 2)
{
    struct thread *self = current_thread(), *t[2];
    set_up();
    futex_find_thread = by_number;
    numbered[1] = self;
    for (unsigned i = 0; i < 100; i++) {
        u8 prio = 20;
        CHECK_EQ(futex_lock_pi(A, 1, false, NEVER_NS, false), 0);
        for (uintptr_t k = 0; k < 2; k++) {
            numbered[2 + k] = t[k] = test_thread("pi", pi_waiter_once, (void *)(2 + k));
            CHECK_EQ(thread_set_policy(t[k], POLICY_FIFO, 50), 0);
            while (k == 0 && atomic_load(&t[0]->pi_blocked) == NULL)
                thread_sleep_until(now_ns() + 1000, false);
        }
        do {
            prio = 100 - prio;
            CHECK_EQ(thread_set_policy(t[1], POLICY_FIFO, prio), 0);
            if (sim_chance(20))
                thread_sleep_until(now_ns() + 100, false); /* it may be waiting for this CPU */
        } while (atomic_load(&t[1]->pi_blocked) == NULL);
        thread_sleep_until(now_ns() + 1000, false);
        CHECK_EQ(self->boost, MAX(prio, 50));
        CHECK_EQ(futex_unlock_pi(A, 1, false), 0);
        test_join(t[0]);
        test_join(t[1]);
    }
    thread_switch_as(NULL);
}
