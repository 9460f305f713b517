/* SPDX-License-Identifier: Apache-2.0 */
/* Pipes, FIFOs, eventfd, timerfd, epoll, memfd, descriptor tables. */
#include "fs_test.h"

static struct file *ends[2];
static char big[300000], back[300000];

/* --- pipes --- */

TEST(pipe_basics)
{
    char buf[64];
    boot_tmpfs();
    CHECK_EQ(pipe_create(O_NONBLOCK, ends), 0);
    CHECK_EQ(f_read(ends[0], buf, 64), -EAGAIN);
    CHECK_EQ(f_write(ends[0], buf, 1), -EBADF);
    CHECK_EQ(f_write(ends[1], "abc", 3), 3);
    CHECK_EQ(f_write(ends[1], "def", 3), 3);
    CHECK_EQ(vfs_poll(ends[0], NULL) & POLLIN, POLLIN);
    CHECK_EQ(f_read(ends[0], buf, 2), 2);
    CHECK_EQ(f_read(ends[0], buf + 2, 64), 4);
    CHECK_MEM(buf, "abcdef", 6);
    CHECK_EQ(vfs_seek(ends[0], 0, 0), -ESPIPE);
    s64 total = 0, n;
    while ((n = f_write(ends[1], big, 1000)) > 0)
        total += n;
    CHECK_EQ(n, -EAGAIN);
    CHECK(total >= 64000 && total <= 65536);
    CHECK_EQ(vfs_poll(ends[1], NULL) & POLLOUT, 0);
    while ((n = f_read(ends[0], back, sizeof(back))) > 0)
        total -= n;
    CHECK_EQ(total, 0);
    CHECK_EQ(pipe_get_size(ends[0]), 65536);
    CHECK_EQ(pipe_set_size(ends[0], 100000), 131072);
    CHECK_EQ(f_write(ends[1], big, sizeof(big)), 131072);
    CHECK_EQ(pipe_set_size(ends[0], 4096), -EBUSY);
    file_put(ends[0]);
    CHECK_EQ(f_write(ends[1], "x", 1), -EPIPE);
    CHECK_EQ(vfs_poll(ends[1], NULL) & POLLERR, POLLERR);
    file_put(ends[1]);
    CHECK_EQ(pipe_create(0, ends), 0);
    CHECK_EQ(f_write(ends[1], "last", 4), 4);
    file_put(ends[1]);
    CHECK_EQ(f_read(ends[0], buf, 64), 4);
    CHECK_EQ(f_read(ends[0], buf, 64), 0);
    CHECK_EQ(vfs_poll(ends[0], NULL) & POLLHUP, POLLHUP);
    file_put(ends[0]);
    CHECK_EQ(pipe_create(O_DIRECT | O_NONBLOCK, ends), 0);
    CHECK_EQ(f_write(ends[1], "one", 3), 3);
    CHECK_EQ(f_write(ends[1], "two", 3), 3);
    CHECK_EQ(f_read(ends[0], buf, 2), 2); /* the rest of a packet is lost */
    CHECK_EQ(f_read(ends[0], buf, 64), 3);
    CHECK_MEM(buf, "two", 3);
    file_put(ends[0]);
    file_put(ends[1]);
}

static void writer(void *arg)
{
    for (u64 done = 0; done < sizeof(big);) {
        u64 n = 1 + sim_random() % 20000;
        n = MIN(n, sizeof(big) - done);
        CHECK_EQ(f_write(ends[1], big + done, n), n);
        done += n;
    }
    file_put(ends[1]);
}

TEST_CPUS(pipe_two_threads, 2)
{
    boot_tmpfs();
    for (unsigned k = 0; k < sizeof(big); k++)
        big[k] = (char)(k * 7 + k / 251);
    CHECK_EQ(pipe_create(0, ends), 0);
    struct thread *t = test_thread("writer", writer, NULL);
    u64 done = 0;
    s64 n;
    while ((n = f_read(ends[0], back + done, 1 + sim_random() % 9000)) > 0)
        done += (u64)n;
    CHECK_EQ(n, 0);
    CHECK_EQ(done, sizeof(big));
    CHECK_MEM(big, back, sizeof(big));
    test_join(t);
    file_put(ends[0]);
}

static void atomic_writer(void *arg)
{
    char line[600];
    memset(line, (int)(uintptr_t)arg, sizeof(line));
    for (unsigned k = 0; k < 100; k++)
        CHECK_EQ(f_write(ends[1], line, sizeof(line)), sizeof(line));
}

TEST_CPUS(pipe_atomic_writes, 3)
{
    char line[600];
    struct thread *t[3];
    boot_tmpfs();
    CHECK_EQ(pipe_create(0, ends), 0);
    for (unsigned k = 0; k < 3; k++)
        t[k] = test_thread("w", atomic_writer, (void *)(uintptr_t)('a' + k));
    for (unsigned k = 0; k < 300; k++) {
        for (u64 got = 0; got < sizeof(line);) {
            s64 n = f_read(ends[0], line + got, sizeof(line) - got);
            CHECK(n > 0);
            got += (u64)n;
        }
        for (unsigned j = 1; j < sizeof(line); j++)
            CHECK_EQ(line[j], line[0]);
    }
    for (unsigned k = 0; k < 3; k++)
        test_join(t[k]);
    file_put(ends[0]);
    file_put(ends[1]);
}

static void fifo_writer(void *arg)
{
    struct file *f = must_open("/fifo", O_WRONLY);
    CHECK_EQ(f_write(f, "through", 7), 7);
    file_put(f);
}

TEST(fifo)
{
    char buf[16];
    boot_tmpfs();
    CHECK_EQ(vfs_mknod(&as_root, "/fifo", S_IFIFO | 0644, 0), 0);
    CHECK_EQ(try_open(&as_root, "/fifo", O_WRONLY | O_NONBLOCK), -ENXIO);
    struct file *r = must_open("/fifo", O_RDONLY | O_NONBLOCK);
    CHECK_EQ(f_read(r, buf, 16), 0);
    CHECK_EQ(vfs_poll(r, NULL), 0); /* nobody has written yet: no hang-up */
    file_put(r);
    struct thread *t = test_thread("fifo", fifo_writer, NULL);
    r = must_open("/fifo", O_RDONLY);
    CHECK_EQ(f_read(r, buf, 16), 7);
    CHECK_EQ(f_read(r, buf, 16), 0);
    test_join(t);
    CHECK_EQ(vfs_poll(r, NULL) & POLLHUP, POLLHUP);
    file_put(r);
    r = must_open("/fifo", O_RDWR);
    file_put(r);
}

/* --- eventfd and timerfd --- */

static void signaller(void *arg)
{
    u64 v = 5;
    thread_sleep_until(now_ns() + NSEC_PER_MSEC, false);
    CHECK_EQ(f_write(arg, &v, 8), 8);
}

TEST(eventfd)
{
    struct file *f;
    u64 v = 3;
    boot_tmpfs();
    CHECK_EQ(eventfd_create(2, O_NONBLOCK, &f), 0);
    CHECK_EQ(f_read(f, &v, 4), -EINVAL);
    CHECK_EQ(f_read(f, &v, 8), 8);
    CHECK_EQ(v, 2);
    CHECK_EQ(f_read(f, &v, 8), -EAGAIN);
    v = UINT64_MAX - 1;
    CHECK_EQ(f_write(f, &v, 8), 8);
    v = 1;
    CHECK_EQ(f_write(f, &v, 8), -EAGAIN);
    v = UINT64_MAX;
    CHECK_EQ(f_write(f, &v, 8), -EINVAL);
    file_put(f);
    CHECK_EQ(eventfd_create(2, 1, &f), 0);
    CHECK_EQ(f_read(f, &v, 8), 8);
    CHECK_EQ(v, 1);
    CHECK_EQ(f_read(f, &v, 8), 8);
    struct thread *t = test_thread("sig", signaller, f);
    CHECK_EQ(f_read(f, &v, 8), 8);
    CHECK_EQ(v, 1);
    test_join(t);
    file_put(f);
}

TEST(timerfd)
{
    struct file *f;
    u64 v, value, interval, start;
    boot_tmpfs();
    CHECK_EQ(timerfd_open(99, 0, &f), -EINVAL);
    CHECK_EQ(timerfd_open(1, 0, &f), 0);
    start = now_ns();
    CHECK_EQ(timerfd_set(f, 0, 5 * NSEC_PER_MSEC, 0, NULL, NULL), 0);
    CHECK_EQ(vfs_poll(f, NULL), 0);
    CHECK_EQ(f_read(f, &v, 8), 8);
    CHECK_EQ(v, 1);
    CHECK(now_ns() - start >= 5 * NSEC_PER_MSEC);
    CHECK_EQ(timerfd_get(f, &value, &interval), 0);
    CHECK_EQ(value, 0);
    CHECK_EQ(timerfd_set(f, 0, NSEC_PER_MSEC, 2 * NSEC_PER_MSEC, &value, &interval), 0);
    thread_sleep_until(now_ns() + 10 * NSEC_PER_MSEC, false);
    CHECK_EQ(f_read(f, &v, 8), 8);
    CHECK_EQ(v, 5); /* 1, 3, 5, 7, 9 */
    CHECK_EQ(f_read(f, &v, 8), 8);
    CHECK_EQ(v, 1);
    CHECK_EQ(timerfd_get(f, &value, &interval), 0);
    CHECK_EQ(interval, 2 * NSEC_PER_MSEC);
    CHECK(value > 0 && value <= 2 * NSEC_PER_MSEC);
    CHECK_EQ(timerfd_set(f, 1, now_ns() + NSEC_PER_MSEC, 0, NULL, NULL), 0);
    CHECK_EQ(f_read(f, &v, 8), 8);
    CHECK_EQ(timerfd_set(f, 1, 1, 0, NULL, NULL), 0); /* the past */
    CHECK_EQ(f_read(f, &v, 8), 8);
    file_put(f);
    CHECK_EQ(timerfd_open(0, O_NONBLOCK, &f), 0);
    CHECK_EQ(timerfd_set(f, 1 | 2, wall_ns() + NSEC_PER_MSEC, 0, NULL, NULL), 0);
    CHECK_EQ(f_read(f, &v, 8), -EAGAIN);
    thread_sleep_until(now_ns() + 2 * NSEC_PER_MSEC, false);
    CHECK_EQ(f_read(f, &v, 8), 8);
    CHECK_EQ(timerfd_set(f, 0, 1, 1, NULL, NULL), 0); /* a nanosecond's interval does not hang anything */
    thread_sleep_until(now_ns() + NSEC_PER_MSEC, false);
    CHECK_EQ(f_read(f, &v, 8), 8);
    CHECK(v > 100000);
    file_put(f);
}

/* --- epoll --- */

static uaddr_t mem;

static int collect(struct file *ep, int max, u64 deadline, struct kepoll_event *ev)
{
    int n = epoll_collect(ep, mem, max, deadline);
    if (n > 0)
        CHECK_EQ(copy_from_user(ev, mem, sizeof(*ev) * (unsigned)n), 0);
    return n;
}

static int add(struct file *ep, struct file *f, int fd, u32 events)
{
    struct kepoll_event e = {events, (u64)fd};
    return epoll_control(ep, 1, fd, f, &e);
}

static int modify(struct file *ep, struct file *f, int fd, u32 events)
{
    struct kepoll_event e = {events, (u64)fd};
    return epoll_control(ep, 3, fd, f, &e);
}

static void set(struct file *f, u64 v) { CHECK_EQ(f_write(f, &v, 8), 8); }
static void clear(struct file *f) { u64 v; CHECK_EQ(f_read(f, &v, 8), 8); }

TEST(epoll_modes)
{
    struct kepoll_event ev[8];
    struct file *ep, *a, *b;
    boot_tmpfs();
    mem = user_memory(PAGE_SIZE);
    CHECK_EQ(epoll_open(0, &ep), 0);
    CHECK_EQ(eventfd_create(0, O_NONBLOCK, &a), 0);
    CHECK_EQ(eventfd_create(0, O_NONBLOCK, &b), 0);
    CHECK_EQ(add(ep, a, 3, POLLIN), 0);
    CHECK_EQ(add(ep, a, 3, POLLIN), -EEXIST);
    CHECK_EQ(add(ep, a, 4, POLLIN), 0); /* another descriptor of the same file */
    CHECK_EQ(epoll_control(ep, 2, 4, a, NULL), 0);
    CHECK_EQ(epoll_control(ep, 2, 4, a, NULL), -ENOENT);
    CHECK_EQ(modify(ep, b, 5, POLLIN), -ENOENT);
    CHECK_EQ(add(ep, ep, 6, POLLIN), -EINVAL);
    CHECK_EQ(collect(ep, 8, 0, ev), 0);
    CHECK_EQ(epoll_collect(ep, mem, 0, 0), -EINVAL);
    /* level */
    set(a, 1);
    for (unsigned k = 0; k < 3; k++) {
        CHECK_EQ(collect(ep, 8, NEVER_NS, ev), 1);
        CHECK_EQ(ev[0].data, 3);
        CHECK_EQ(ev[0].events, POLLIN);
    }
    clear(a);
    CHECK_EQ(collect(ep, 8, 0, ev), 0);
    /* edge */
    CHECK_EQ(modify(ep, a, 3, POLLIN | (1u << 31)), 0);
    set(a, 1);
    CHECK_EQ(collect(ep, 8, 0, ev), 1);
    CHECK_EQ(collect(ep, 8, 0, ev), 0);
    set(a, 1);
    CHECK_EQ(collect(ep, 8, 0, ev), 1);
    clear(a);
    /* one shot */
    CHECK_EQ(modify(ep, a, 3, POLLIN | (1u << 30)), 0);
    set(a, 1);
    CHECK_EQ(collect(ep, 8, 0, ev), 1);
    set(a, 1);
    CHECK_EQ(collect(ep, 8, 0, ev), 0);
    CHECK_EQ(modify(ep, a, 3, POLLIN | (1u << 30)), 0);
    CHECK_EQ(collect(ep, 8, 0, ev), 1);
    clear(a);
    /* several, fairly */
    CHECK_EQ(modify(ep, a, 3, POLLIN), 0);
    CHECK_EQ(add(ep, b, 5, POLLIN), 0);
    set(a, 1);
    set(b, 1);
    CHECK_EQ(collect(ep, 1, 0, ev), 1);
    u64 first = ev[0].data;
    CHECK_EQ(collect(ep, 1, 0, ev), 1);
    CHECK(ev[0].data != first);
    CHECK_EQ(collect(ep, 8, 0, ev), 2);
    CHECK_EQ(epoll_collect(ep, 0x10, 8, 0), -EFAULT);
    /* a closed file goes by itself */
    file_put(b);
    CHECK_EQ(collect(ep, 8, 0, ev), 1);
    file_put(a);
    CHECK_EQ(collect(ep, 8, 0, ev), 0);
    /* time-out */
    u64 start = now_ns();
    CHECK_EQ(collect(ep, 8, start + 3 * NSEC_PER_MSEC, ev), 0);
    CHECK(now_ns() - start >= 3 * NSEC_PER_MSEC);
    struct file *f = must_open("/file", O_RDWR | O_CREAT);
    CHECK_EQ(add(ep, f, 9, POLLIN), -EPERM);
    file_put(f);
    file_put(ep);
}

TEST(epoll_pipes_and_hangup)
{
    struct kepoll_event ev[8];
    struct file *ep;
    boot_tmpfs();
    mem = user_memory(PAGE_SIZE);
    CHECK_EQ(epoll_open(0, &ep), 0);
    CHECK_EQ(pipe_create(O_NONBLOCK, ends), 0);
    CHECK_EQ(add(ep, ends[0], 0, POLLIN), 0);
    CHECK_EQ(add(ep, ends[1], 1, POLLOUT | (1u << 31)), 0);
    CHECK_EQ(collect(ep, 8, 0, ev), 1);
    CHECK_EQ(ev[0].data, 1);
    CHECK_EQ(collect(ep, 8, 0, ev), 0);
    CHECK_EQ(f_write(ends[1], "x", 1), 1);
    CHECK_EQ(collect(ep, 8, 0, ev), 1);
    CHECK_EQ(ev[0].data, 0);
    file_put(ends[1]);
    CHECK_EQ(collect(ep, 8, 0, ev), 1);
    CHECK_EQ(ev[0].events, POLLIN | POLLHUP);
    file_put(ep);
    file_put(ends[0]);
}

TEST(epoll_nested)
{
    struct kepoll_event ev[8];
    struct file *ep[8], *e;
    boot_tmpfs();
    mem = user_memory(PAGE_SIZE);
    for (unsigned k = 0; k < 8; k++)
        CHECK_EQ(epoll_open(0, &ep[k]), 0);
    CHECK_EQ(eventfd_create(0, O_NONBLOCK, &e), 0);
    CHECK_EQ(add(ep[0], ep[1], 1, POLLIN), 0);
    CHECK_EQ(add(ep[1], ep[2], 2, POLLIN), 0);
    CHECK_EQ(add(ep[2], ep[0], 0, POLLIN), -ELOOP);
    CHECK_EQ(add(ep[1], ep[0], 0, POLLIN), -ELOOP);
    CHECK_EQ(add(ep[2], e, 7, POLLIN), 0);
    CHECK_EQ(collect(ep[0], 8, 0, ev), 0);
    set(e, 1);
    CHECK_EQ(collect(ep[0], 8, 0, ev), 1);
    CHECK_EQ(ev[0].data, 1);
    clear(e);
    CHECK_EQ(collect(ep[0], 8, 0, ev), 0);
    int err = 0;
    for (unsigned k = 2; k < 7 && err == 0; k++)
        err = add(ep[k], ep[k + 1], (int)k, POLLIN);
    CHECK_EQ(err, -ELOOP); /* too deep */
    for (unsigned k = 0; k < 8; k++)
        file_put(ep[k]);
    file_put(e);
}

static struct file *shared_ep;
static u32 woken, waiting;

static void epoll_waiter(void *arg)
{
    struct kepoll_event ev;
    atomic_add(&waiting, 1u);
    CHECK_EQ(epoll_collect(shared_ep, 16, 1, NEVER_NS), -EFAULT); /* kernel threads have no memory: an event came */
    (void)ev;
    atomic_add(&woken, 1u);
}

TEST_CPUS(epoll_wakes_waiters, 2)
{
    struct thread *t[3];
    struct file *e;
    boot_tmpfs();
    mem = user_memory(PAGE_SIZE);
    CHECK_EQ(epoll_open(0, &shared_ep), 0);
    CHECK_EQ(eventfd_create(0, O_NONBLOCK, &e), 0);
    CHECK_EQ(add(shared_ep, e, 1, POLLIN), 0);
    for (unsigned k = 0; k < 3; k++)
        t[k] = test_thread("waiter", epoll_waiter, NULL);
    while (atomic_load(&waiting) != 3)
        thread_sleep_until(now_ns() + NSEC_PER_MSEC, false);
    for (unsigned k = 0; k < 3; k++) {
        set(e, 1);
        thread_sleep_until(now_ns() + NSEC_PER_MSEC, false);
        clear(e);
        thread_sleep_until(now_ns() + NSEC_PER_MSEC, false);
    }
    for (unsigned k = 0; k < 3; k++) {
        set(e, 1);
        test_join(t[k]);
    }
    file_put(e);
    file_put(shared_ep);
}

static struct file *victims[40];

static void closer(void *arg)
{
    for (unsigned k = 0; k < ARRAY_SIZE(victims); k++) {
        set(victims[k], 1);
        file_put(victims[k]);
        if (sim_random() % 3 == 0)
            sched_yield_cpu();
    }
}

TEST_CPUS(epoll_and_closing, 3)
{
    struct kepoll_event ev[8];
    struct file *ep;
    boot_tmpfs();
    mem = user_memory(PAGE_SIZE);
    CHECK_EQ(epoll_open(0, &ep), 0);
    for (unsigned k = 0; k < ARRAY_SIZE(victims); k++) {
        CHECK_EQ(eventfd_create(0, O_NONBLOCK, &victims[k]), 0);
        CHECK_EQ(add(ep, victims[k], (int)k, POLLIN), 0);
    }
    struct thread *t = test_thread("closer", closer, NULL);
    while (atomic_load(&t->state) != THREAD_DEAD) {
        CHECK(collect(ep, 8, now_ns() + NSEC_PER_MSEC, ev) >= 0);
    }
    thread_put(t);
    CHECK_EQ(collect(ep, 8, 0, ev), 0);
    file_put(ep);
}

/* --- memfd --- */

TEST(memfd_seals)
{
    char buf[8], name[64];
    struct file *f;
    boot_tmpfs();
    CHECK_EQ(memfd_open("m", 0x100, &f), -EINVAL);
    CHECK_EQ(memfd_open("plain", 0, &f), 0);
    CHECK_EQ(memfd_get_seals(f), 1);
    CHECK_EQ(memfd_add_seals(f, 2), -EPERM);
    CHECK(file_name(fs, f, name, sizeof(name)) > 0);
    CHECK_STR(name, "/memfd:plain (deleted)");
    file_put(f);
    CHECK_EQ(memfd_open("m", 2, &f), 0);
    CHECK_EQ(f_write(f, "12345678", 8), 8);
    CHECK_EQ(memfd_add_seals(f, 4), 0);
    CHECK_EQ(vfs_ftruncate(f, 100), -EPERM);
    CHECK_EQ(f_write(f, "x", 1), -EPERM);
    CHECK_EQ(f_pwrite(f, "abcd", 4, 6), -EPERM); /* by pages, as a whole */
    CHECK_EQ(memfd_add_seals(f, 2), 0);
    CHECK_EQ(vfs_ftruncate(f, 1), -EPERM);
    struct map_request r = {.prot = MAP_READ | MAP_WRITE, .flags = VMA_SHARED};
    CHECK_EQ(f->ops->mmap(f, &r), 0);
    CHECK_EQ(memfd_add_seals(f, 8), 0);
    CHECK_EQ(f->ops->mmap(f, &r), -EPERM);
    CHECK_EQ(f_pwrite(f, "z", 1, 0), -EPERM);
    CHECK_EQ(memfd_add_seals(f, 1), 0);
    CHECK_EQ(memfd_add_seals(f, 16), -EPERM);
    CHECK_EQ(memfd_get_seals(f), 15);
    CHECK_EQ(f_pread(f, buf, 8, 0), 8);
    CHECK_MEM(buf, "12345678", 8);
    file_put(f);
}

/* --- memory devices --- */

TEST(zero_mapped)
{
    boot_tmpfs();
    CHECK_EQ(vfs_mknod(&as_root, "/zero", S_IFCHR | 0666, MKDEV(1, 5)), 0);
    struct file *f = must_open("/zero", O_RDWR);
    static const u32 kinds[] = {VMA_MAYWRITE, VMA_SHARED, VMA_SHARED | VMA_MAYWRITE};
    for (unsigned k = 0; k < ARRAY_SIZE(kinds); k++) {
        struct map_request r = {.len_bytes = PAGE_SIZE, .prot = MAP_READ, .flags = kinds[k]};
        CHECK_EQ(f->ops->mmap(f, &r), 0);
        CHECK_EQ(r.flags, kinds[k]);
        CHECK(r.object == NULL && r.mapping == NULL && r.ops == NULL);
        CHECK_EQ(ref_count(&f->refs), 1);
    }
    file_put(f);
}

/* --- descriptor tables --- */

static struct file *event(void)
{
    struct file *f;
    CHECK_EQ(eventfd_create(0, 0, &f), 0);
    return f;
}

TEST(fdtable)
{
    boot_tmpfs();
    struct fdtable *t = fdtable_create(), *c;
    for (int k = 0; k < 200; k++)
        CHECK_EQ(fd_install(t, event(), 0, k % 2), k);
    CHECK_EQ(fd_close(t, 77), 0);
    CHECK_EQ(fd_close(t, 77), -EBADF);
    CHECK_EQ(fd_close(t, 9999), -EBADF);
    CHECK_EQ(fd_close(t, -1), -EBADF);
    CHECK(fd_file(t, 77) == NULL && fd_file(t, -1) == NULL && fd_file(t, 1 << 30) == NULL);
    CHECK_EQ(fd_close(t, 5), 0);
    CHECK_EQ(fd_install(t, event(), 10, false), 77);
    CHECK_EQ(fd_install(t, event(), 0, false), 5);
    CHECK_EQ(fd_install(t, event(), 500, false), 500);
    CHECK_EQ(fd_get_cloexec(t, 7), 1);
    CHECK_EQ(fd_set_cloexec(t, 7, false), 0);
    CHECK_EQ(fd_get_cloexec(t, 7), 0);
    fdtable_set_limit(t, 300);
    struct file *f = event();
    CHECK_EQ(fd_install(t, f, 300, false), -EMFILE);
    file_put(f);
    CHECK_EQ(fd_dup_to(t, 0, 300, false), -EBADF);
    CHECK_EQ(fd_dup_to(t, 0, 299, true), 299);
    CHECK_EQ(fd_dup_to(t, 0, 1, false), 1);
    CHECK_EQ(fd_dup_to(t, 450, 1, false), -EBADF);
    int r = fd_reserve(t, 0, false);
    CHECK_EQ(r, 200);
    CHECK(fd_file(t, r) == NULL);
    CHECK_EQ(fd_dup_to(t, 0, r, false), -EBUSY);
    fd_unreserve(t, r);
    CHECK_EQ(fd_reserve(t, 0, false), r);
    fd_publish(t, r, event());
    c = fdtable_copy(t);
    CHECK(c != NULL);
    fd_close_on_exec(c);
    struct file *kept = fd_file(c, 1); /* was overwritten without close-on-exec */
    CHECK(kept != NULL);
    file_put(kept);
    CHECK(fd_file(c, 3) == NULL);
    CHECK_EQ(fd_close_range(t, 10, 5, false), -EINVAL);
    CHECK_EQ(fd_close_range(t, 10, 400, false), 0);
    CHECK_EQ(fd_next(t, 10), 500);
    CHECK_EQ(fd_close_range(t, 0, UINT32_MAX, true), 0);
    CHECK_EQ(fd_get_cloexec(t, 500), 1);
    CHECK_EQ(fd_close_range(t, 0, UINT32_MAX, false), 0);
    CHECK_EQ(fd_next(t, 0), -1);
    fdtable_put(t);
    fdtable_put(c);
}

TEST(fdtable_is_filled_to_its_limit)
{
    boot_tmpfs();
    struct fdtable *t = fdtable_create();
    struct file *f = event();
    fdtable_set_limit(t, UINT32_MAX); /* as many as there can be */
    CHECK_EQ(fd_install(t, f, 327679, false), 327679);
    CHECK_EQ(fd_install(t, file_get(f), 327680, false), 327680); /* no room for the double */
    CHECK_EQ(fd_install(t, file_get(f), 524287, false), 524287);
    CHECK_EQ(fd_install(t, file_get(f), 524287, false), -EMFILE);
    file_put(f);
    fdtable_put(t);
}

static size_t in_use;
static void count_all(const char *name, size_t size, size_t used, size_t pages, void *ctx)
{
    in_use += used * size;
}

TEST(objects_without_memory)
{
    struct kepoll_event e = {POLLIN, 0};
    boot_tmpfs();
    for (unsigned pass = 0; pass < 2; pass++) {
        size_t before;
        in_use = 0;
        slab_for_each_cache(count_all, NULL);
        before = in_use;
        for (unsigned k = 0; k < 400; k++) {
            struct file *p[2] = {NULL, NULL}, *ep = NULL, *ev = NULL, *tf = NULL, *m = NULL;
            sim_fail_allocations(5);
            pipe_create(0, p);
            epoll_open(0, &ep);
            eventfd_create(1, 0, &ev);
            timerfd_open(1, 0, &tf);
            if (memfd_open("m", 2, &m) == 0)
                f_write(m, big, 10000);
            if (ep != NULL && ev != NULL)
                epoll_control(ep, 1, 1, ev, &e);
            if (ep != NULL && p[0] != NULL && p[1] != NULL) {
                epoll_control(ep, 1, 2, p[0], &e);
                f_write(p[1], "x", 1);
            }
            struct fdtable *t = fdtable_create();
            if (t != NULL && ev != NULL)
                fd_install(t, file_get(ev), 100, false) < 0 ? file_put(ev) : (void)0;
            struct fdtable *t2 = t != NULL ? fdtable_copy(t) : NULL;
            sim_fail_allocations(0);
            fdtable_put(t);
            fdtable_put(t2);
            file_put(p[0]);
            file_put(p[1]);
            file_put(ev);
            file_put(ep);
            file_put(tf);
            file_put(m);
        }
        in_use = 0;
        slab_for_each_cache(count_all, NULL);
        if (pass == 1)
            CHECK(in_use <= before);
    }
}

static void passes(void *arg) { *(bool *)arg = true; }

/* Another thread's turn comes while one call closes many. */
TEST(closing_many_gives_way)
{
    boot_tmpfs();
    for (unsigned all = 0; all < 2; all++) {
        struct file *f;
        struct fdtable *files = fdtable_create();
        bool passed = false;
        CHECK_EQ(eventfd_create(0, 0, &f), 0);
        for (int fd = 0; fd < 32; fd++)
            CHECK_EQ(fd_install(files, file_get(f), fd, false), fd);
        struct thread *t = test_thread("passes", passes, &passed);
        this_cpu()->need_resched = true;
        if (all)
            fdtable_put(files);
        else
            CHECK_EQ(fd_close_range(files, 0, 31, false), 0);
        CHECK(passed);
        test_join(t);
        if (!all)
            fdtable_put(files);
        file_put(f);
    }
}
