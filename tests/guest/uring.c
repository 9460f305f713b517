/* SPDX-License-Identifier: Apache-2.0 */
/* io_uring(7), with liburing: requests. */
#include "uring.h"
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>

struct io_uring ring;
char buf[65536];

const char *text(int res)
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

static struct io_uring_cqe got[64];

void show_n(const char *what, unsigned n)
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

void submit_show(const char *what, unsigned n)
{
    int r = io_uring_submit(&ring);
    if (r < 0)
        printf("%s: submit %s\n", what, text(r));
    show_n(what, n);
}

void none_left(const char *what)
{
    struct io_uring_cqe *c;
    printf("%s: left %s\n", what, text(io_uring_peek_cqe(&ring, &c)));
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
