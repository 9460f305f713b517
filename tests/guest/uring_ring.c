/* SPDX-License-Identifier: Apache-2.0 */
/* The ring itself: how it is made, what is registered with it, overflow, who waits for it, how it ends. A part of uring.c. */
#include "uring.h"
#include "../send_fd.h"
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/wait.h>

void setups(void)
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

void registered(void)
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

void restricted(void)
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

void full(void)
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

void ends(void)
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
    SHOW(send_fd(sv[0], ring.ring_fd, 0));
    close(sv[0]), close(sv[1]);
}

void watched(void)
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

void polled(void)
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
