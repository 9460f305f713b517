/* SPDX-License-Identifier: Apache-2.0 */
/* Who is woken by what: threads that share an epoll file, timers when the wall clock is set. */
#include "fs_test.h"

static struct file *shared;
static u32 waiting;

static void waiter(void *arg)
{
    atomic_add(&waiting, 1u);
    CHECK_EQ(epoll_collect(shared, 16, 1, NEVER_NS), -EFAULT); /* kernel threads have no memory: an event came */
}

/* What stays ready after one thread has seen it is news for the next one that waits. */
TEST_CPUS(epoll_level_wakes_all, 2)
{
    struct thread *t[4];
    struct file *e;
    struct kepoll_event ev = {POLLIN, 1};
    u64 one = 1;
    boot_tmpfs();
    CHECK_EQ(epoll_open(0, &shared), 0);
    CHECK_EQ(eventfd_create(0, O_NONBLOCK, &e), 0);
    CHECK_EQ(epoll_control(shared, 1, 1, e, &ev), 0);
    for (unsigned k = 0; k < ARRAY_SIZE(t); k++)
        t[k] = test_thread("waiter", waiter, NULL);
    while (atomic_load(&waiting) != ARRAY_SIZE(t))
        thread_sleep_until(now_ns() + NSEC_PER_MSEC, false);
    thread_sleep_until(now_ns() + NSEC_PER_MSEC, false);
    CHECK_EQ(f_write(e, &one, 8), 8);
    for (unsigned k = 0; k < ARRAY_SIZE(t); k++)
        test_join(t[k]);
    file_put(e);
    file_put(shared);
}

static bool looks_end;

static void looker(void *arg)
{
    while (!looks_end) {
        CHECK_EQ(epoll_collect(shared, 16, 1, 0), -EFAULT);
        cond_resched();
    }
}

/* Who only looks misses nothing because others look at the same time. */
TEST_CPUS(epoll_level_is_seen_by_each_look, 2)
{
    struct file *e;
    struct kepoll_event ev = {POLLIN, 1};
    boot_tmpfs();
    CHECK_EQ(epoll_open(0, &shared), 0);
    CHECK_EQ(eventfd_create(1, O_NONBLOCK, &e), 0);
    CHECK_EQ(epoll_control(shared, 1, 1, e, &ev), 0);
    struct thread *t = test_thread("looker", looker, NULL);
    for (unsigned k = 0; k < 5000; k++) {
        CHECK_EQ(epoll_collect(shared, 16, 1, 0), -EFAULT);
        cond_resched();
    }
    looks_end = true;
    test_join(t);
    file_put(e);
    file_put(shared);
}

/* An epoll file inside another one is not news again because of what was seen already. */
TEST(epoll_inner_leftover_is_no_edge)
{
    struct file *outer, *inner, *e;
    struct kepoll_event ev = {POLLIN, 1}, edge = {POLLIN | 1u << 31, 2}, got[2];
    u64 one = 1;
    boot_tmpfs();
    uaddr_t mem = user_memory(PAGE_SIZE);
    CHECK_EQ(epoll_open(0, &outer), 0);
    CHECK_EQ(epoll_open(0, &inner), 0);
    CHECK_EQ(eventfd_create(0, O_NONBLOCK, &e), 0);
    CHECK_EQ(epoll_control(inner, 1, 1, e, &ev), 0);
    CHECK_EQ(epoll_control(outer, 1, 2, inner, &edge), 0);
    CHECK_EQ(f_write(e, &one, 8), 8);
    CHECK_EQ(epoll_collect(outer, mem, 2, 0), 1);
    CHECK_EQ(epoll_collect(inner, mem, 2, 0), 1);
    CHECK_EQ(copy_from_user(got, mem, sizeof(got[0])), 0);
    CHECK_EQ(got[0].data, 1);
    CHECK_EQ(epoll_collect(outer, mem, 2, 0), 0);
    CHECK_EQ(epoll_collect(inner, mem, 2, 0), 1); /* still there */
    file_put(outer);
    file_put(inner);
    file_put(e);
}

static void clock_setter(void *arg)
{
    thread_sleep_until(now_ns() + NSEC_PER_MSEC, false);
    CHECK_EQ(wall_set(wall_ns() + 1000 * NSEC_PER_SEC), 0);
    timerfd_wall_changed();
}

TEST(timerfd_when_the_clock_is_set)
{
    struct file *plain, *cancel, *relative;
    u64 v, begin;
    boot_tmpfs();
    CHECK_EQ(timerfd_open(0, 0, &plain), 0);
    CHECK_EQ(timerfd_open(0, 0, &cancel), 0);
    CHECK_EQ(timerfd_open(0, O_NONBLOCK, &relative), 0);
    CHECK_EQ(timerfd_set(plain, 1, wall_ns() + 1500 * NSEC_PER_SEC, 0, NULL, NULL), 0);
    CHECK_EQ(timerfd_set(cancel, 1 | 2, wall_ns() + 2000 * NSEC_PER_SEC, 0, NULL, NULL), 0);
    CHECK_EQ(timerfd_set(relative, 2, 2000 * NSEC_PER_SEC, 0, NULL, NULL), 0);
    begin = now_ns();
    struct thread *t = test_thread("setter", clock_setter, NULL);
    CHECK_EQ(f_read(cancel, &v, 8), -ECANCELED);
    CHECK(now_ns() - begin < NSEC_PER_SEC);
    test_join(t);
    CHECK_EQ(vfs_poll(cancel, NULL), 0); /* said once */
    CHECK_EQ(vfs_poll(relative, NULL), 0);
    CHECK_EQ(f_read(relative, &v, 8), -EAGAIN);
    CHECK_EQ(f_read(plain, &v, 8), 8); /* 1000 of the 1500 seconds were skipped */
    CHECK(now_ns() - begin >= 499 * NSEC_PER_SEC && now_ns() - begin < 501 * NSEC_PER_SEC);
    CHECK_EQ(f_read(cancel, &v, 8), 8);
    CHECK(now_ns() - begin < 1001 * NSEC_PER_SEC);
    CHECK_EQ(wall_set(wall_ns() - 500 * NSEC_PER_SEC), 0);
    timerfd_wall_changed(); /* spent timers stay quiet, but for the cancelling one, as on Linux */
    CHECK_EQ(vfs_poll(plain, NULL), 0);
    CHECK_EQ(f_read(cancel, &v, 8), -ECANCELED);
    file_put(plain);
    file_put(cancel);
    file_put(relative);
}
