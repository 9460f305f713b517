/* SPDX-License-Identifier: Apache-2.0 */
/* io_uring(7), with liburing */
#include "t.h"
#include <fcntl.h>
#include <liburing.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

static struct io_uring ring;
static char buf[65536];

/* Prepare and number: prep functions clear the rest of the sqe. */
#define PREP(data, prep, ...)                             \
    ({                                                    \
        struct io_uring_sqe *s_ = io_uring_get_sqe(&ring);\
        memset(s_, 0, sizeof *s_);                        \
        io_uring_prep_##prep(s_, ##__VA_ARGS__);          \
        s_->user_data = (data);                           \
        s_;                                               \
    })

static const char *text(int res)
{
    static char s[32];
    if (res < 0)
        snprintf(s, sizeof s, "-%s", strerrorname_np(-res));
    else
        snprintf(s, sizeof s, "%d", res);
    return s;
}

static int by_data(const void *a, const void *b)
{
    return (int)((const struct io_uring_cqe *)a)->user_data - (int)((const struct io_uring_cqe *)b)->user_data;
}
/* Wait for n completions and show them by number, so that their order does not matter. */
static struct io_uring_cqe got[64];
static void show_n(const char *what, unsigned n)
{
    struct io_uring_cqe *c;
    for (unsigned i = 0; i < n; i++) {
        int r = io_uring_wait_cqe(&ring, &c);
        if (r < 0) {
            printf("%s: wait %s\n", what, text(r));
            return;
        }
        got[i] = *c;
        io_uring_cqe_seen(&ring, c);
    }
    qsort(got, n, sizeof got[0], by_data);
    for (unsigned i = 0; i < n; i++)
        printf("%s: %llu = %s flags %x\n", what, (unsigned long long)got[i].user_data, text(got[i].res), got[i].flags & 3);
    fflush(stdout);
}
static void submit_show(const char *what, unsigned n)
{
    int r = io_uring_submit(&ring);
    if (r < 0)
        printf("%s: submit %s\n", what, text(r));
    show_n(what, n);
}
static void none_left(const char *what)
{
    struct io_uring_cqe *c;
    printf("%s: left %s\n", what, text(io_uring_peek_cqe(&ring, &c)));
}

static void setups(void)
{
    section("setup");
    struct io_uring_params p = {0};
    SHOW(syscall(__NR_io_uring_setup, 0, &p));
    SHOW(syscall(__NR_io_uring_setup, 8, 8L));
    SHOW(syscall(__NR_io_uring_setup, 100000, &p));
    p.flags = 1u << 31;
    SHOW(syscall(__NR_io_uring_setup, 8, &p));
    p = (struct io_uring_params){.flags = IORING_SETUP_CQSIZE, .cq_entries = 4};
    SHOW(syscall(__NR_io_uring_setup, 8, &p));
    p = (struct io_uring_params){.resv = {1}};
    SHOW(syscall(__NR_io_uring_setup, 8, &p));
    p = (struct io_uring_params){.flags = IORING_SETUP_CLAMP | IORING_SETUP_CQSIZE, .cq_entries = 1000000};
    int fd = syscall(__NR_io_uring_setup, 100000, &p);
    SHOW_TRUE(fd >= 0);
    SHOW(p.sq_entries);
    SHOW(p.cq_entries);
    SHOW(close(fd));
    p = (struct io_uring_params){.flags = IORING_SETUP_TASKRUN_FLAG};
    SHOW(syscall(__NR_io_uring_setup, 8, &p));
    p = (struct io_uring_params){.flags = IORING_SETUP_DEFER_TASKRUN};
    SHOW(syscall(__NR_io_uring_setup, 8, &p));
    p = (struct io_uring_params){.flags = IORING_SETUP_ATTACH_WQ, .wq_fd = 1};
    SHOW(syscall(__NR_io_uring_setup, 8, &p));
    p = (struct io_uring_params){0};
    fd = syscall(__NR_io_uring_setup, 5, &p);
    SHOW(p.sq_entries);
    SHOW(p.cq_entries);
    SHOW(p.features & 0x1fff);
    SHOW(fcntl(fd, F_GETFD));
    SHOW(read(fd, buf, 8));
    SHOW(syscall(__NR_io_uring_enter, fd, 0, 0, 1u << 20, NULL, 0));
    SHOW(syscall(__NR_io_uring_enter, 1, 0, 0, 0, NULL, 0));
    SHOW(syscall(__NR_io_uring_register, 1, 0, NULL, 0));
    SHOW(syscall(__NR_io_uring_register, fd, 1000, NULL, 0));
    SHOW(close(fd));
}

static void data(void)
{
    section("reads and writes");
    int fd = open("/tmp/uring-file", O_RDWR | O_CREAT | O_TRUNC, 0600);
    struct iovec v[2] = {{"hello ", 6}, {"world", 5}}, w[2] = {{buf, 3}, {buf + 10, 100}};
    PREP(1, nop);
    submit_show("nop", 1);
    PREP(1, writev, fd, v, 2, 0);
    submit_show("writev", 1);
    PREP(1, readv, fd, w, 2, 0);
    submit_show("readv", 1);
    SHOW(memcmp(buf, "hel", 3) | memcmp(buf + 10, "lo world", 8));
    PREP(1, write, fd, "abc", 3, 100);
    submit_show("write", 1);
    PREP(1, read, fd, buf, 200, 0);
    submit_show("read", 1);
    SHOW(lseek(fd, 0, SEEK_CUR));
    PREP(1, read, fd, buf, 7, -1);
    submit_show("read at the position", 1);
    SHOW(lseek(fd, 0, SEEK_CUR));
    struct io_uring_sqe *s = PREP(1, write, fd, "end", 3, -1);
    s->rw_flags = RWF_APPEND;
    submit_show("append", 1);
    SHOW(lseek(fd, 0, SEEK_CUR));
    PREP(1, read, 999, buf, 7, 0);
    PREP(2, read, fd, (void *)8, 7, 0);
    PREP(3, fsync, fd, 0);
    PREP(4, fsync, fd, IORING_FSYNC_DATASYNC);
    PREP(5, fallocate, fd, 0, 0, 8192);
    PREP(6, fadvise, fd, 0, 100, POSIX_FADV_WILLNEED);
    PREP(7, madvise, buf, 0, MADV_NORMAL);
    PREP(8, sync_file_range, fd, 10, 0, 0);
    s = PREP(9, nop);
    s->opcode = 200;
    submit_show("others", 9);
    struct stat st;
    fstat(fd, &st);
    SHOW(st.st_size);
    close(fd);

    section("names");
    struct statx sx;
    char name[40] = "/tmp/uring-name";
    PREP(1, openat, AT_FDCWD, name, O_RDWR | O_CREAT, 0600);
    io_uring_submit(&ring);
    strcpy(name, "/tmp/not-this"); /* it was copied */
    struct io_uring_cqe *c;
    io_uring_wait_cqe(&ring, &c);
    int opened = c->res;
    SHOW_TRUE(opened >= 0);
    io_uring_cqe_seen(&ring, c);
    PREP(1, statx, AT_FDCWD, "/tmp/uring-name", 0, STATX_BASIC_STATS, &sx);
    submit_show("statx", 1);
    SHOW(sx.stx_mode);
    PREP(1, statx, opened, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &sx);
    submit_show("statx", 1);
    PREP(1, renameat, AT_FDCWD, "/tmp/uring-name", AT_FDCWD, "/tmp/uring-other", 0);
    submit_show("renameat", 1);
    PREP(1, unlinkat, AT_FDCWD, "/tmp/uring-name", 0);
    submit_show("unlinkat", 1);
    PREP(1, symlinkat, "target", AT_FDCWD, "/tmp/uring-name");
    submit_show("symlinkat", 1);
    PREP(1, linkat, AT_FDCWD, "/tmp/uring-other", AT_FDCWD, "/tmp/uring-third", 0);
    submit_show("linkat", 1);
    PREP(1, mkdirat, AT_FDCWD, "/tmp/uring-dir", 0700);
    submit_show("mkdirat", 1);
    PREP(1, unlinkat, AT_FDCWD, "/tmp/uring-dir", AT_REMOVEDIR);
    PREP(2, unlinkat, AT_FDCWD, "/tmp/uring-name", 0);
    PREP(3, unlinkat, AT_FDCWD, "/tmp/uring-third", 0);
    PREP(4, unlinkat, AT_FDCWD, "/tmp/uring-other", 0);
    PREP(5, unlinkat, AT_FDCWD, "/tmp/uring-file", 0);
    PREP(6, close, opened);
    PREP(7, close, 999);
    PREP(8, close, ring.ring_fd);
    PREP(9, unlinkat, AT_FDCWD, (char *)8, 0); /* the last one: a bad one ends the submission */
    submit_show("unlink and close", 9);
    struct open_how how = {.flags = O_RDONLY, .resolve = RESOLVE_NO_SYMLINKS};
    PREP(1, openat2, AT_FDCWD, "/proc/self/exe", &how);
    submit_show("openat2", 1);
}

static void waits(void)
{
    section("waiting");
    int p[2], e = eventfd(0, 0);
    (void)!pipe(p);
    PREP(1, read, p[0], buf, 100, 0);
    PREP(2, read, e, buf + 200, 8, 0);
    io_uring_submit(&ring);
    none_left("nothing yet");
    uint64_t one = 1;
    (void)!write(p[1], "data", 4);
    show_n("pipe", 1);
    (void)!write(e, &one, 8);
    show_n("eventfd", 1);
    PREP(1, poll_add, p[0], POLLIN);
    io_uring_submit(&ring);
    none_left("poll");
    (void)!write(p[1], "x", 1);
    show_n("poll", 1);
    PREP(2, poll_add, p[0], POLLIN);
    submit_show("poll of what is ready", 1);
    (void)!read(p[0], buf, 1);
    PREP(3, poll_multishot, p[0], POLLIN);
    io_uring_submit(&ring);
    (void)!write(p[1], "x", 1);
    show_n("multishot", 1);
    (void)!read(p[0], buf, 1);
    (void)!write(p[1], "x", 1);
    show_n("multishot", 1);
    (void)!read(p[0], buf, 1);
    PREP(4, poll_remove, 3);
    submit_show("poll remove", 2);
    PREP(4, poll_remove, 3);
    submit_show("poll remove", 1);
    struct io_uring_sqe *s = PREP(5, read, p[0], buf, 100, 0);
    s->flags |= IOSQE_ASYNC;
    io_uring_submit(&ring);
    (void)!write(p[1], "async", 5);
    show_n("async", 1);
    PREP(6, poll_add, 1000, POLLIN);
    submit_show("bad descriptor", 1);
    fcntl(p[0], F_SETFL, O_NONBLOCK);
    PREP(7, read, p[0], buf, 100, 0);
    io_uring_submit(&ring);
    (void)!write(p[1], "x", 1);
    show_n("O_NONBLOCK", 1);
    fcntl(p[0], F_SETFL, 0);
    PREP(8, read, p[0], buf, 100, 0);
    io_uring_submit(&ring);
    close(p[1]);
    show_n("end", 1);
    PREP(9, poll_add, p[0], POLLIN);
    submit_show("hang-up", 1);
    close(p[0]), close(e);

    section("cancelling");
    (void)!pipe(p);
    PREP(1, read, p[0], buf, 10, 0);
    PREP(2, read, p[0], buf, 10, 0);
    PREP(3, read, p[0], buf, 10, 0);
    io_uring_submit(&ring);
    PREP(4, cancel64, 2, 0);
    submit_show("cancel", 2);
    PREP(4, cancel64, 77, 0);
    submit_show("cancel", 1);
    PREP(4, cancel_fd, p[0], IORING_ASYNC_CANCEL_ALL);
    submit_show("cancel by file", 3);
    PREP(1, read, p[0], buf, 10, 0);
    PREP(1, poll_add, p[0], POLLIN);
    io_uring_submit(&ring);
    PREP(4, cancel64, 0, IORING_ASYNC_CANCEL_ANY);
    submit_show("cancel any", 3);
    close(p[0]), close(p[1]);
}

static void links(void)
{
    section("links");
    int p[2];
    (void)!pipe(p);
    struct io_uring_sqe *s;
    s = PREP(1, write, p[1], "one", 3, 0);
    s->flags |= IOSQE_IO_LINK;
    s = PREP(2, read, p[0], buf, 3, 0);
    s->flags |= IOSQE_IO_LINK;
    PREP(3, nop);
    submit_show("chain", 3);
    s = PREP(1, read, 999, buf, 3, 0);
    s->flags |= IOSQE_IO_LINK;
    s = PREP(2, nop);
    s->flags |= IOSQE_IO_LINK;
    PREP(3, nop);
    PREP(4, nop);
    submit_show("broken chain", 4);
    s = PREP(1, read, 999, buf, 3, 0);
    s->flags |= IOSQE_IO_HARDLINK;
    PREP(2, nop);
    submit_show("hard link", 2);
    (void)!write(p[1], "ab", 2);
    int fd = open("/proc/self/exe", O_RDONLY);
    s = PREP(1, read, fd, buf, 10, 1ul << 40);
    s->flags |= IOSQE_IO_LINK;
    PREP(2, nop);
    submit_show("short read", 2);
    close(fd);
    (void)!read(p[0], buf, 2);
    s = PREP(1, read, p[0], buf, 3, 0);
    s->flags |= IOSQE_IO_LINK;
    struct __kernel_timespec ts = {0, 20000000}, far = {100, 0};
    s = PREP(2, link_timeout, &ts, 0);
    s->flags |= IOSQE_IO_LINK;
    PREP(3, nop);
    submit_show("link timeout", 3);
    s = PREP(1, nop);
    s->flags |= IOSQE_IO_LINK;
    PREP(2, link_timeout, &far, 0);
    submit_show("link timeout not needed", 2);
    s = PREP(1, read, p[0], buf, 3, 0);
    s->flags |= IOSQE_IO_LINK;
    PREP(2, link_timeout, &far, 0);
    io_uring_submit(&ring);
    (void)!write(p[1], "abc", 3);
    show_n("link timeout not needed", 2);
    PREP(1, link_timeout, &far, 0);
    submit_show("link timeout alone", 1);
    PREP(1, read, p[0], buf, 3, 0);
    s = PREP(2, nop);
    s->flags |= IOSQE_IO_DRAIN;
    PREP(3, nop);
    io_uring_submit(&ring);
    none_left("drain");
    (void)!write(p[1], "abc", 3);
    show_n("drain", 3);
    s = PREP(1, nop);
    s->flags |= IOSQE_CQE_SKIP_SUCCESS;
    s = PREP(2, read, 999, buf, 3, 0);
    s->flags |= IOSQE_CQE_SKIP_SUCCESS;
    submit_show("skip", 1);
    none_left("skip");
    s = PREP(1, openat, AT_FDCWD, "/proc/self/exe", O_RDONLY, 0);
    s->flags |= IOSQE_IO_LINK;
    s = PREP(2, nop);
    s->flags |= 1u << 7;
    submit_show("bad flag in a chain", 2);
    close(p[0]), close(p[1]);
}

static void timeouts(void)
{
    section("timeouts");
    struct __kernel_timespec ts = {0, 10000000}, far = {100, 0}, bad = {0, -1};
    PREP(1, timeout, &ts, 0, 0);
    submit_show("timeout", 1);
    PREP(1, timeout, &ts, 0, IORING_TIMEOUT_ETIME_SUCCESS)->flags |= IOSQE_IO_LINK;
    PREP(2, nop);
    submit_show("timeout as success", 2);
    PREP(1, timeout, &far, 1, 0);
    PREP(2, nop);
    submit_show("counted", 2);
    PREP(1, timeout, &far, 0, 0);
    io_uring_submit(&ring);
    PREP(2, timeout_remove, 1, 0);
    submit_show("remove", 2);
    PREP(2, timeout_remove, 1, 0);
    submit_show("remove", 1);
    PREP(1, timeout, &far, 0, 0);
    io_uring_submit(&ring);
    PREP(2, timeout_update, &ts, 1, 0);
    submit_show("update", 2);
    PREP(1, timeout, &bad, 0, 0);
    submit_show("bad", 1);
    PREP(2, timeout, (void *)8, 0, 0);
    submit_show("bad", 1);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    struct __kernel_timespec at = {now.tv_sec, now.tv_nsec};
    PREP(1, timeout, &at, 0, IORING_TIMEOUT_ABS);
    submit_show("absolute", 1);
    struct io_uring_cqe *c;
    SHOW(io_uring_wait_cqe_timeout(&ring, &c, &ts) == -ETIME);
    sigset_t set;
    sigfillset(&set);
    SHOW(io_uring_wait_cqes(&ring, &c, 1, &ts, &set) == -ETIME);
    struct io_uring_getevents_arg arg = {.ts = (uintptr_t)&ts, .pad = 1};
    SHOW(syscall(__NR_io_uring_enter, ring.ring_fd, 0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, &arg, 3));
    SHOW(syscall(__NR_io_uring_enter, ring.ring_fd, 0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, (void *)8, sizeof arg));
}

static void handler(int sig) {}

static void signals(void)
{
    section("signals");
    struct io_uring_cqe *c;
    struct sigaction sa = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &sa, NULL);
    struct itimerval it = {.it_value = {0, 20000}};
    setitimer(ITIMER_REAL, &it, NULL);
    printf("interrupted: %s\n", text(io_uring_wait_cqe(&ring, &c)));
    signal(SIGPIPE, SIG_IGN);
    int p[2];
    (void)!pipe(p);
    close(p[0]);
    PREP(1, write, p[1], "x", 1, 0);
    submit_show("broken pipe", 1);
    close(p[1]);
}

static void sockets(void)
{
    section("sockets");
    int l = socket(AF_INET, SOCK_STREAM, 0), s = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    bind(l, (void *)&a, sizeof a);
    getsockname(l, (void *)&a, &len);
    PREP(1, connect, s, (void *)&a, sizeof a);
    submit_show("connect to nobody", 1);
    close(s);
    listen(l, 5);
    s = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in peer;
    socklen_t plen = sizeof peer;
    PREP(1, accept, l, (void *)&peer, &plen, SOCK_CLOEXEC);
    PREP(2, connect, s, (void *)&a, sizeof a);
    io_uring_submit(&ring);
    struct io_uring_cqe *c;
    int t = -1;
    for (int i = 0; i < 2; i++) {
        io_uring_wait_cqe(&ring, &c);
        if (c->user_data == 1)
            t = c->res;
        io_uring_cqe_seen(&ring, c);
    }
    SHOW_TRUE(t >= 0);
    SHOW(plen);
    PREP(1, recv, s, buf, 100, 0);
    io_uring_submit(&ring);
    PREP(2, send, t, "hello", 5, 0);
    submit_show("send and recv", 2);
    SHOW(memcmp(buf, "hello", 5));
    PREP(1, recv, s, buf, 10, MSG_WAITALL);
    io_uring_submit(&ring);
    (void)!write(t, "12345", 5);
    none_left("MSG_WAITALL");
    (void)!write(t, "67890", 5);
    show_n("MSG_WAITALL", 1);
    SHOW(memcmp(buf, "1234567890", 10));
    PREP(1, recv, s, buf, 10, MSG_DONTWAIT);
    submit_show("MSG_DONTWAIT", 1);
    struct iovec v = {"message", 7}, w = {buf, 100};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1}, n = {.msg_iov = &w, .msg_iovlen = 1};
    PREP(1, sendmsg, t, &m, 0);
    PREP(2, recvmsg, s, &n, 0);
    submit_show("messages", 2);
    PREP(1, recv, s, buf, 10, 0);
    io_uring_submit(&ring);
    PREP(2, shutdown, t, SHUT_WR);
    submit_show("shutdown", 2);
    PREP(1, send, s, buf, 10, 0);
    PREP(2, recv, 1, buf, 10, 0);
    PREP(3, accept, 1, NULL, NULL, 0);
    submit_show("errors", 3);
    close(s), close(t);
    PREP(1, multishot_accept, l, NULL, NULL, 0);
    io_uring_submit(&ring);
    int many[3];
    for (int i = 0; i < 3; i++) {
        many[i] = socket(AF_INET, SOCK_STREAM, 0);
        SHOW(connect(many[i], (void *)&a, sizeof a));
        io_uring_wait_cqe(&ring, &c);
        printf("accepted: %d flags %x\n", c->res >= 0, c->flags);
        if (c->res >= 0)
            close(c->res);
        io_uring_cqe_seen(&ring, c);
        close(many[i]);
    }
    PREP(2, cancel64, 1, 0);
    submit_show("end of multishot accept", 2);
    PREP(3, socket, AF_INET, 99, 0, 0);
    submit_show("socket", 1);
    close(l);

    section("provided buffers");
    int sp[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, sp);
    static char bufs[4][64];
    PREP(1, provide_buffers, bufs, 64, 3, 7, 10);
    submit_show("provide", 1);
    for (int i = 0; i < 4; i++) {
        struct io_uring_sqe *q = PREP(1, recv, sp[0], NULL, 50, 0);
        q->flags |= IOSQE_BUFFER_SELECT;
        q->buf_group = 7;
        (void)!write(sp[1], "data", 4);
        submit_show("recv", 1);
        printf("buffer %u\n", got[0].flags & 1 ? got[0].flags >> 16 : 99);
    }
    PREP(1, provide_buffers, bufs, 64, 1, 7, 10);
    PREP(2, remove_buffers, 5, 7);
    PREP(3, remove_buffers, 5, 8);
    PREP(4, provide_buffers, bufs, 0, 1, 7, 10);
    submit_show("remove", 4);
    close(sp[0]), close(sp[1]);
}

static void registered(void)
{
    section("registered");
    int p[2];
    (void)!pipe(p);
    static char fixed[2][8192] __attribute__((aligned(4096)));
    struct iovec v[2] = {{fixed[0], 8192}, {fixed[1], 100}};
    SHOW(io_uring_unregister_buffers(&ring));
    SHOW(io_uring_register_buffers(&ring, v, 0));
    SHOW(io_uring_register_buffers(&ring, v, 2));
    SHOW(io_uring_register_buffers(&ring, v, 2));
    memcpy(fixed[0] + 10, "fixed", 5);
    PREP(1, write_fixed, p[1], fixed[0] + 10, 5, 0, 0);
    submit_show("write", 1);
    PREP(1, read_fixed, p[0], fixed[1], 100, 0, 1);
    submit_show("read", 1);
    PREP(1, read_fixed, p[0], fixed[1], 101, 0, 1);
    PREP(2, read_fixed, p[0], fixed[1], 100, 0, 2);
    submit_show("outside", 2);
    SHOW(io_uring_unregister_buffers(&ring));
    int files[3] = {p[0], -1, p[1]};
    SHOW(io_uring_unregister_files(&ring));
    SHOW(io_uring_register_files(&ring, files, 3));
    SHOW(io_uring_register_files(&ring, files, 3));
    struct io_uring_sqe *s = PREP(1, write, 2, "abc", 3, 0);
    s->flags |= IOSQE_FIXED_FILE;
    s = PREP(2, read, 0, buf, 3, 0);
    s->flags |= IOSQE_FIXED_FILE;
    s = PREP(3, read, 1, buf, 3, 0);
    s->flags |= IOSQE_FIXED_FILE;
    s = PREP(4, read, 7, buf, 3, 0);
    s->flags |= IOSQE_FIXED_FILE;
    submit_show("fixed files", 4);
    files[0] = ring.ring_fd;
    SHOW(io_uring_register_files_update(&ring, 1, files, 1));
    files[0] = -1;
    SHOW(io_uring_register_files_update(&ring, 0, files, 1));
    SHOW(io_uring_register_files_update(&ring, 3, files, 1));
    close(p[0]); /* the last reader */
    PREP(1, write, p[1], "abc", 3, 0);
    submit_show("after the update", 1);
    PREP(1, openat_direct, AT_FDCWD, "/proc/self/exe", O_RDONLY, 0, 1)->flags |= IOSQE_IO_LINK;
    s = PREP(2, read, 1, buf, 4, 0);
    s->flags |= IOSQE_FIXED_FILE | IOSQE_IO_LINK;
    PREP(3, close_direct, 1);
    submit_show("direct", 3);
    SHOW(memcmp(buf, "\177ELF", 4));
    PREP(1, close_direct, 1);
    files[0] = p[1];
    PREP(2, files_update, files, 1, 1);
    submit_show("update", 2);
    SHOW(io_uring_unregister_files(&ring));
    uint64_t tags[1] = {77};
    files[0] = p[1];
    SHOW(io_uring_register_files_tags(&ring, files, (void *)tags, 1));
    SHOW(io_uring_unregister_files(&ring));
    show_n("tag", 1);
    close(p[1]);

    int e = eventfd(0, EFD_NONBLOCK);
    uint64_t n = 0;
    SHOW(io_uring_register_eventfd(&ring, 1));
    SHOW(io_uring_register_eventfd(&ring, e));
    SHOW(io_uring_register_eventfd(&ring, e));
    PREP(1, nop);
    PREP(2, nop);
    submit_show("eventfd", 2);
    SHOW_TRUE(read(e, &n, 8) == 8 && n >= 1 && n <= 2);
    SHOW(io_uring_unregister_eventfd(&ring));
    SHOW(io_uring_unregister_eventfd(&ring));
    close(e);
    struct io_uring_probe *probe = io_uring_get_probe_ring(&ring);
    for (int op = IORING_OP_NOP; op <= IORING_OP_LINKAT; op++)
        printf("%d", io_uring_opcode_supported(probe, op));
    printf("\n");
    io_uring_free_probe(probe);
    int id = io_uring_register_personality(&ring);
    SHOW(id);
    PREP(1, nop)->personality = (unsigned short)id;
    PREP(2, nop)->personality = 99; /* the last one */
    submit_show("personality", 2);
    SHOW(io_uring_unregister_personality(&ring, id));
    SHOW(io_uring_unregister_personality(&ring, id));
}

static void restricted(void)
{
    section("restrictions");
    struct io_uring r2, save = ring;
    struct io_uring_params p = {.flags = IORING_SETUP_R_DISABLED};
    SHOW(io_uring_queue_init_params(8, &r2, &p));
    ring = r2;
    struct io_uring_restriction r[3] = {
        {.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_NOP},
        {.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED, .sqe_flags = IOSQE_IO_LINK},
        {.opcode = IORING_RESTRICTION_REGISTER_OP, .register_op = IORING_REGISTER_PROBE},
    };
    PREP(1, nop);
    SHOW(io_uring_submit(&ring));
    SHOW(syscall(__NR_io_uring_register, ring.ring_fd, IORING_REGISTER_RESTRICTIONS, r, 3));
    SHOW(syscall(__NR_io_uring_register, ring.ring_fd, IORING_REGISTER_RESTRICTIONS, r, 3));
    SHOW(syscall(__NR_io_uring_register, ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0));
    SHOW(syscall(__NR_io_uring_register, ring.ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0));
    show_n("enabled", (unsigned)io_uring_submit(&ring));
    PREP(1, timeout, NULL, 0, 0);
    submit_show("refused", 1);
    PREP(1, nop)->flags |= IOSQE_ASYNC;
    submit_show("refused", 1);
    SHOW(io_uring_register_files(&ring, (int[]){1}, 1));
    io_uring_queue_exit(&ring);
    ring = save;
}

static void full(void)
{
    section("a full ring");
    struct io_uring save = ring;
    SHOW(io_uring_queue_init(4, &ring, 0));
    for (int i = 0; i < 5; i++) {
        for (int k = 0; k < 4; k++)
            PREP((unsigned long)(i * 4 + k), nop);
        SHOW(io_uring_submit(&ring));
    }
    SHOW(*ring.cq.koverflow);
    SHOW_TRUE(*ring.sq.kflags & IORING_SQ_CQ_OVERFLOW);
    struct io_uring_cqe *c;
    unsigned long want = 0, wrong = 0;
    for (int i = 0; i < 20; i++) {
        if (io_uring_wait_cqe(&ring, &c) < 0)
            break;
        wrong += c->user_data != want++;
        io_uring_cqe_seen(&ring, c);
    }
    SHOW(want);
    SHOW(wrong);
    none_left("all");
    SHOW_TRUE(*ring.sq.kflags & IORING_SQ_CQ_OVERFLOW);
    /* an index that is none */
    PREP(1, nop);
    ring.sq.array[*ring.sq.ktail & *ring.sq.kring_mask] = 1000;
    __atomic_store_n(ring.sq.ktail, *ring.sq.ktail + 1, __ATOMIC_RELEASE);
    SHOW(syscall(__NR_io_uring_enter, ring.ring_fd, 1, 0, 0, NULL, 0));
    SHOW(*ring.sq.kdropped);
    io_uring_queue_exit(&ring);
    ring = save;
}

static void *submitter(void *arg)
{
    struct io_uring *r = arg;
    struct io_uring_sqe *s = io_uring_get_sqe(r);
    io_uring_prep_read(s, *(int *)(r + 1), buf, 10, 0);
    s->user_data = 5;
    io_uring_submit(r);
    return NULL;
}

static void ends(void)
{
    section("ends");
    int p[2], status;
    (void)!pipe(p);
    struct { struct io_uring r; int fd; } a;
    io_uring_queue_init(8, &a.r, 0);
    a.fd = p[0];
    pthread_t t;
    pthread_create(&t, NULL, submitter, &a);
    pthread_join(t, NULL);
    struct io_uring_cqe *c;
    (void)!write(p[1], "lost", 4);
    io_uring_wait_cqe(&a.r, &c);
    printf("of a thread that ended: %s\n", text(c->res));
    fflush(stdout);
    io_uring_cqe_seen(&a.r, c);
    io_uring_queue_exit(&a.r);
    SHOW(read(p[0], buf, 4));
    for (int how = 0; how < 3; how++) {
        pid_t pid = fork();
        if (pid == 0) {
            struct io_uring_sqe *s;
            struct io_uring r;
            io_uring_queue_init(8, &r, 0);
            for (int i = 0; i < 8; i++) {
                s = io_uring_get_sqe(&r);
                io_uring_prep_read(s, p[0], buf, 10, 0);
                s->flags |= i & 1 ? IOSQE_ASYNC : 0;
            }
            io_uring_submit(&r);
            if (how == 0)
                _exit(7);
            if (how == 1)
                execl("/proc/self/exe", "uring", "exec", NULL);
            kill(getpid(), SIGKILL);
        }
        waitpid(pid, &status, 0);
        SHOW(status);
    }
    PREP(1, read, p[0], buf, 10, 0);
    struct io_uring save = ring;
    io_uring_submit(&ring);
    (void)!write(p[1], "still", 5);
    show_n("the pipe is whole", 1);
    SHOW(fcntl(p[0], F_SETFL, O_NONBLOCK));
    SHOW(read(p[0], buf, 10));
    io_uring_queue_init(8, &ring, 0);
    PREP(1, read, p[0], buf, 10, 0);
    PREP(2, poll_add, p[0], POLLIN);
    io_uring_submit(&ring);
    io_uring_queue_exit(&ring);
    ring = save;
    close(p[0]);
    close(p[1]);
    int sv[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, sv);
    char control[CMSG_SPACE(sizeof(int))];
    struct iovec v = {"x", 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    *h = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(h), &ring.ring_fd, sizeof(int));
    SHOW(sendmsg(sv[0], &m, 0));
    close(sv[0]), close(sv[1]);
}

static void watched(void)
{
    section("epoll");
    int ep = epoll_create1(0), p[2];
    (void)!pipe(p);
    struct epoll_event ev = {EPOLLIN, {.u32 = 1}}, out;
    PREP(1, epoll_ctl, ep, ring.ring_fd, EPOLL_CTL_ADD, &ev);
    submit_show("add", 1);
    SHOW(epoll_wait(ep, &out, 1, 0));
    PREP(1, read, p[0], buf, 10, 0);
    io_uring_submit(&ring);
    (void)!write(p[1], "x", 1);
    SHOW(epoll_wait(ep, &out, 1, 10000)); /* nobody is in io_uring_enter */
    show_n("read", 1);
    SHOW(epoll_wait(ep, &out, 1, 0));
    int q[2];
    (void)!pipe(q);
    (void)!write(p[1], "spliced", 7);
    PREP(1, tee, p[0], q[1], 100, 0);
    submit_show("tee", 1);
    SHOW(read(q[0], buf, 100));
    PREP(1, splice, p[0], -1, q[1], -1, 100, 0);
    submit_show("splice", 1);
    SHOW(read(q[0], buf, 100));
    SHOW(memcmp(buf, "spliced", 7));
    struct io_uring other;
    io_uring_queue_init(4, &other, 0);
    PREP(1, msg_ring, other.ring_fd, 55, 66, 0);
    submit_show("msg_ring", 1);
    struct io_uring_cqe *c = NULL;
    SHOW(io_uring_peek_cqe(&other, &c));
    SHOW(c->res);
    SHOW(c->user_data);
    io_uring_queue_exit(&other);
    close(ep);
}

static void polled(void)
{
    section("a polling thread");
    struct io_uring save = ring;
    struct io_uring_params p = {.flags = IORING_SETUP_SQPOLL, .sq_thread_idle = 1};
    SHOW(io_uring_queue_init_params(8, &ring, &p));
    int q[2];
    (void)!pipe(q);
    for (int i = 0; i < 3; i++) {
        PREP(1, write, q[1], "abc", 3, 0)->flags |= IOSQE_IO_LINK;
        PREP(2, read, q[0], buf, 3, 0);
        submit_show("chain", 2);
    }
    PREP(1, read, q[0], buf, 10, 0);
    io_uring_submit(&ring);
    (void)!write(q[1], "late", 4);
    show_n("late", 1);
    SHOW(io_uring_sqring_wait(&ring));
    PREP(1, read, q[0], buf, 10, 0);
    io_uring_submit(&ring);
    io_uring_queue_exit(&ring);
    ring = save;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return 9;
    setups();
    int r = io_uring_queue_init(32, &ring, 0);
    if (r < 0) {
        printf("queue_init %s\n", text(r));
        return 1;
    }
    data();
    waits();
    links();
    timeouts();
    signals();
    sockets();
    registered();
    restricted();
    full();
    watched();
    ends();
    polled();
    io_uring_queue_exit(&ring);
    return 0;
}
