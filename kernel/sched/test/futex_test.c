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
