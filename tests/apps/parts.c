/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "../send_fd.h"
#include "parts.h"

#include <dirent.h>
#include <fcntl.h>
#include <liburing.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

const char *parts_self;

static void *thread(void *arg)
{
    int *fd = arg;
    char c;
    read(fd[0], &c, 1);
    return NULL;
}

static void with_files(void)
{
    char buf[5000] = {0};
    int fd = open("/tmp/abuse-file", O_CREAT | O_RDWR, 0600), other;
    struct flock l = {.l_type = F_WRLCK, .l_len = 10};
    write(fd, buf, sizeof buf);
    fcntl(fd, F_SETLK, &l);
    flock(fd, LOCK_EX);
    char *m = mmap(NULL, sizeof buf, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (m != MAP_FAILED)
        m[4500] = 1;
    ftruncate(fd, 100);
    other = dup(fd);
    pread(other, buf, 50, 10);
    int watch = inotify_init1(0);
    inotify_add_watch(watch, "/tmp", IN_ALL_EVENTS);
    unlink("/tmp/abuse-file");
    mkdir("/tmp/abuse-dir", 0700);
    rename("/tmp/abuse-dir", "/tmp/abuse-other");
    symlink("here", "/tmp/abuse-link");
    unlink("/tmp/abuse-link");
    rmdir("/tmp/abuse-other");
    DIR *d = opendir("/proc/self/fd");
    while (d != NULL && readdir(d) != NULL)
        ;
    closedir(d);
    int mem = memfd_create("abuse", 0);
    ftruncate(mem, 65536);
    splice(fd, NULL, mem, NULL, 10, 0);
    copy_file_range(fd, NULL, mem, NULL, 50, 0);
}

static void with_sockets(void)
{
    int pair[2], lo = socket(AF_INET, SOCK_STREAM, 0), to = socket(AF_INET, SOCK_STREAM, 0), from;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    char text[64] = "x", control[CMSG_SPACE(sizeof(int))] = {0};
    struct linger now = {1, 0};
    bind(lo, (struct sockaddr *)&at, sizeof at);
    listen(lo, 5);
    getsockname(lo, (struct sockaddr *)&at, &len);
    setsockopt(to, SOL_SOCKET, SO_LINGER, &now, sizeof now); /* nobody waits in TIME_WAIT */
    connect(to, (struct sockaddr *)&at, sizeof at);
    from = accept(lo, NULL, NULL);
    send(to, text, 10, 0);
    recv(from, text, 5, 0);
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    struct iovec v = {text, 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    send_fd(pair[1], pair[0], 0); /* a socket in its own queue */
    send_fd(pair[0], lo, 0);
    recvmsg(pair[1], &m, 0);
    int udp = socket(AF_INET, SOCK_DGRAM, 0);
    bind(udp, (struct sockaddr *)&(struct sockaddr_in){.sin_family = AF_INET}, sizeof at);
    getsockname(udp, (struct sockaddr *)&at, &len);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sendto(udp, text, 20, 0, (struct sockaddr *)&at, sizeof at);
    close(from);
}

static void with_events(void)
{
    int p[2], e = epoll_create1(0), ev = eventfd(1, 0), t = timerfd_create(CLOCK_MONOTONIC, 0);
    struct epoll_event want = {.events = EPOLLIN}, got[4];
    sigset_t set;
    timer_t timer;
    pipe(p);
    epoll_ctl(e, EPOLL_CTL_ADD, p[0], &want);
    epoll_ctl(e, EPOLL_CTL_ADD, ev, &want);
    epoll_ctl(e, EPOLL_CTL_ADD, t, &want);
    timerfd_settime(t, 0, &(struct itimerspec){.it_value.tv_nsec = 1000, .it_interval.tv_nsec = 1000000}, NULL);
    write(p[1], "abc", 3);
    epoll_wait(e, got, 4, 1);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signalfd(-1, &set, 0);
    kill(getpid(), SIGUSR1);
    timer_create(CLOCK_MONOTONIC, &(struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1}, &timer);
    timer_settime(timer, 0, &(struct itimerspec){.it_value.tv_nsec = 1000, .it_interval.tv_nsec = 1000000}, NULL);
    setitimer(ITIMER_REAL, &(struct itimerval){.it_value.tv_sec = 100}, NULL);
    mqd_t q = mq_open("/abuse", O_CREAT | O_RDWR | O_NONBLOCK, 0600, &(struct mq_attr){.mq_maxmsg = 2, .mq_msgsize = 32});
    mq_send(q, "hello", 5, 0);
    mq_unlink("/abuse");
}

static void with_memory(void)
{
    char *a = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(a, 1, 1 << 18);
    mprotect(a + 4096, 8192, PROT_READ);
    madvise(a, 1 << 16, MADV_DONTNEED);
    a = mremap(a, 1 << 12, 1 << 16, MREMAP_MAYMOVE);
    char *s = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memset(s, 1, 1 << 16);
    int id = shmget(IPC_PRIVATE, 8192, 0600);
    void *at = shmat(id, NULL, 0);
    shmctl(id, IPC_RMID, NULL);
    int sem = semget(IPC_PRIVATE, 1, 0600);
    semop(sem, &(struct sembuf){0, 1, SEM_UNDO}, 1);
    semctl(sem, 0, IPC_RMID);
    if (at != (void *)-1)
        shmdt(at);
    brk(sbrk(0) + 65536);
}

static void with_processes(void)
{
    pthread_t t;
    int p[2], futex = 0;
    pipe(p);
    pthread_create(&t, NULL, thread, p);
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGPIPE, SIG_IGN);
        write(p[1], "x", 1);
        _exit(3);
    }
    syscall(SYS_futex, &futex, 0, 0, &(struct timespec){0, 1000}, NULL, 0);
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    waitpid(pid, NULL, 0);
    close(fd);
    pthread_join(t, NULL);
    pid = vfork();
    if (pid == 0) {
        execl(parts_self, parts_self, "nothing", NULL);
        _exit(127);
    }
    waitpid(pid, NULL, 0);
    pthread_create(&t, NULL, thread, p); /* ends with the process */
}

static void with_exec(void)
{
    pthread_t t;
    int p[2];
    pipe(p);
    pthread_create(&t, NULL, thread, p); /* does not live to see it */
    execl(parts_self, parts_self, "nothing", NULL);
}

static struct io_uring_sqe *sqe(struct io_uring *r, unsigned flags)
{
    struct io_uring_sqe *s = io_uring_get_sqe(r);
    if (s == NULL) /* a stopped victim's rings never are full */
        _exit(3);
    memset(s, 0, sizeof *s);
    s->flags = (unsigned char)flags;
    return s;
}

/* Requests that wait in every way, some of which never end by themselves. */
static void with_uring(void)
{
    struct io_uring r;
    struct io_uring_params params = {.flags = getpid() & 1 ? IORING_SETUP_SQPOLL : 0};
    struct __kernel_timespec ts = {0, 1000}, far = {100, 0};
    char buf[64];
    int p[2], fds[2];
    if (pipe(p) < 0 || io_uring_queue_init_params(16, &r, &params) < 0)
        return;
    fds[0] = p[0];
    fds[1] = -1;
    struct iovec v = {buf, sizeof buf};
    io_uring_register_files(&r, fds, 2);
    io_uring_register_buffers(&r, &v, 1);
    struct io_uring_sqe *s = sqe(&r, 0);
    io_uring_prep_read(s, p[0], buf, 8, 0);
    io_uring_prep_read(s = sqe(&r, 0), p[0], buf, 8, 0);
    s->flags = IOSQE_ASYNC | IOSQE_IO_LINK;
    io_uring_prep_link_timeout(s = sqe(&r, 0), &far, 0);
    io_uring_prep_poll_multishot(sqe(&r, 0), p[0], POLLIN);
    io_uring_prep_timeout(sqe(&r, 0), &ts, 0, 0);
    io_uring_prep_timeout(sqe(&r, 0), &far, 0, 0);
    io_uring_prep_splice(sqe(&r, 0), p[0], -1, p[1], -1, 100, 0); /* waits in a worker */
    io_uring_prep_openat(sqe(&r, 0), AT_FDCWD, "/proc/self/exe", O_RDONLY, 0);
    io_uring_prep_fsync(s = sqe(&r, 0), p[1], 0);
    s->flags = IOSQE_IO_DRAIN;
    io_uring_submit_and_wait(&r, 2);
    (void)!write(p[1], "x", 1);
    io_uring_prep_cancel(sqe(&r, 0), NULL, IORING_ASYNC_CANCEL_ANY);
    io_uring_submit(&r);
    close(p[0]);
    close(p[1]);
    io_uring_queue_exit(&r);
}

const struct part parts[PARTS] = {{"files", with_files}, {"sockets", with_sockets}, {"events", with_events}, {"memory", with_memory},
                                  {"processes", with_processes}, {"exec", with_exec}, {"io_uring", with_uring}};
