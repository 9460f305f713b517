/* SPDX-License-Identifier: Apache-2.0 */
/* pipe(2), poll(2), select(2), epoll(7), eventfd(2), timerfd_create(2) */
#include "t.h"
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/timerfd.h>
#include <time.h>

static char buf[200000];

static void pipes(void)
{
    section("pipe");
    int p[2];
    SHOW(pipe2(p, 0x123456));
    SHOW(pipe((int *)8));
    SHOW(pipe2(p, O_NONBLOCK | O_CLOEXEC));
    SHOW(read(p[0], buf, 10));
    SHOW(write(p[1], "hello", 5));
    int n;
    SHOW(ioctl(p[0], FIONREAD, &n));
    SHOW(n);
    SHOW(read(p[0], buf, 3));
    SHOW(read(p[0], buf, 10));
    SHOW(write(p[1], buf, sizeof buf));
    SHOW(write(p[1], buf, 1));
    SHOW(fcntl(p[0], F_GETPIPE_SZ));
    SHOW(read(p[0], buf, 5000));
    SHOW(write(p[1], buf, 4097));
    SHOW(write(p[1], buf, 4096));
    SHOW(lseek(p[0], 0, SEEK_SET));
    SHOW(read(p[1], buf, 1));
    SHOW(write(p[0], buf, 1));
    SHOW(pread(p[0], buf, 1, 0));
    struct pollfd pf[2] = {{p[0], POLLIN | POLLOUT, 0}, {p[1], POLLIN | POLLOUT, 0}};
    SHOW(poll(pf, 2, 0));
    SHOW(pf[0].revents);
    SHOW(pf[1].revents);
    while (read(p[0], buf, sizeof buf) > 0)
        ;
    SHOW(poll(pf, 2, 0));
    SHOW(pf[1].revents);
    close(p[1]);
    SHOW(poll(pf, 1, 0));
    SHOW(pf[0].revents);
    SHOW(read(p[0], buf, 10));
    close(p[0]);
    pf[0].fd = 99;
    pf[1].fd = -1;
    SHOW(poll(pf, 2, 0));
    SHOW(pf[0].revents);
    SHOW(poll(pf, 0, 5));
    SHOW(poll((void *)8, 2, 0));
    SHOW(pipe2(p, O_DIRECT));
    SHOW(write(p[1], "abc", 3));
    SHOW(write(p[1], "defg", 4));
    SHOW(read(p[0], buf, 100));
    SHOW(read(p[0], buf, 2));
    close(p[0]), close(p[1]);
}

static void selects(void)
{
    section("select");
    int p[2];
    (void)!pipe(p);
    fd_set r, w;
    FD_ZERO(&r);
    FD_ZERO(&w);
    FD_SET(p[0], &r);
    FD_SET(p[1], &w);
    struct timeval tv = {0, 1000};
    SHOW(select(20, &r, &w, NULL, &tv));
    SHOW(FD_ISSET(p[0], &r));
    FD_SET(p[0], &r);
    tv = (struct timeval){0, 1000};
    SHOW(select(p[0] + 1, &r, NULL, NULL, &tv));
    SHOW(tv.tv_usec);
    FD_ZERO(&r);
    FD_SET(50, &r); /* closed, and below the 64 that Linux always looks at */
    SHOW(select(51, &r, NULL, NULL, &tv));
    SHOW(select(-1, NULL, NULL, NULL, &tv));
    tv.tv_sec = -1;
    SHOW(select(0, NULL, NULL, NULL, &tv));
    close(p[0]), close(p[1]);
}

static void *write_later(void *arg)
{
    usleep(20000);
    (void)!write(*(int *)arg, "later", 5);
    return NULL;
}

static void epolls(void)
{
    section("epoll");
    SHOW(epoll_create(0));
    SHOW(epoll_create1(77));
    int e = SHOW_OK(epoll_create1(EPOLL_CLOEXEC));
    int p[2];
    (void)!pipe(p);
    struct epoll_event ev = {EPOLLIN, {.u64 = 42}}, out[8];
    SHOW(epoll_ctl(e, EPOLL_CTL_ADD, p[0], &ev));
    SHOW(epoll_ctl(e, EPOLL_CTL_ADD, p[0], &ev));
    SHOW(epoll_ctl(e, EPOLL_CTL_MOD, p[1], &ev));
    SHOW(epoll_ctl(e, EPOLL_CTL_DEL, p[1], NULL));
    SHOW(epoll_ctl(e, EPOLL_CTL_ADD, 99, &ev));
    SHOW(epoll_ctl(e, EPOLL_CTL_ADD, e, &ev));
    SHOW(epoll_ctl(p[0], EPOLL_CTL_ADD, p[1], &ev));
    SHOW(epoll_ctl(e, 77, p[0], &ev));
    int file = open("/tmp", O_RDONLY);
    SHOW(epoll_ctl(e, EPOLL_CTL_ADD, file, &ev));
    close(file);
    SHOW(epoll_wait(e, out, 8, 0));
    SHOW(epoll_wait(e, out, 0, 0));
    SHOW(epoll_wait(p[0], out, 8, 0));
    (void)!write(p[1], "xy", 2);
    SHOW(epoll_wait(e, out, 8, 100));
    SHOW(out[0].events);
    SHOW(out[0].data.u64);
    SHOW(epoll_wait(e, out, 8, 0));
    SHOW(epoll_wait(e, (void *)8, 8, 0));
    SHOW(epoll_wait(e, out, 8, 0));
    ev.events = EPOLLIN | EPOLLET;
    SHOW(epoll_ctl(e, EPOLL_CTL_MOD, p[0], &ev));
    SHOW(epoll_wait(e, out, 8, 0));
    SHOW(epoll_wait(e, out, 8, 0));
    (void)!write(p[1], "z", 1);
    SHOW(epoll_wait(e, out, 8, 0));
    SHOW(epoll_wait(e, out, 8, 0));
    ev.events = EPOLLIN | EPOLLONESHOT;
    SHOW(epoll_ctl(e, EPOLL_CTL_MOD, p[0], &ev));
    SHOW(epoll_wait(e, out, 8, 0));
    SHOW(epoll_wait(e, out, 8, 0));
    ev.events = EPOLLOUT;
    SHOW(epoll_ctl(e, EPOLL_CTL_ADD, p[1], &ev));
    SHOW(epoll_wait(e, out, 8, 0));
    SHOW(epoll_ctl(e, EPOLL_CTL_DEL, p[1], NULL));
    (void)!read(p[0], buf, 100);
    ev.events = EPOLLIN;
    epoll_ctl(e, EPOLL_CTL_MOD, p[0], &ev);
    pthread_t t;
    pthread_create(&t, NULL, write_later, &p[1]);
    SHOW(epoll_wait(e, out, 8, 5000));
    pthread_join(t, NULL);
    int e2 = epoll_create1(0);
    ev.data.u64 = 7;
    SHOW(epoll_ctl(e2, EPOLL_CTL_ADD, e, &ev));
    SHOW(epoll_wait(e2, out, 8, 0));
    SHOW(epoll_ctl(e, EPOLL_CTL_ADD, e2, &ev));
    close(p[1]);
    (void)!read(p[0], buf, 100);
    SHOW(epoll_wait(e, out, 8, 0));
    SHOW(out[0].events);
    close(p[0]);
    SHOW(epoll_wait(e, out, 8, 0));
    sigset_t m;
    sigemptyset(&m);
    SHOW(epoll_pwait(e, out, 8, 1, &m));
    struct timespec ts = {0, 1000000};
    SHOW(epoll_pwait2(e, out, 8, &ts, NULL));
    close(e), close(e2);
}

static void eventfds(void)
{
    section("eventfd");
    SHOW(eventfd(0, 0x777));
    int e = SHOW_OK(eventfd(3, EFD_NONBLOCK));
    uint64_t v = 0;
    SHOW(read(e, &v, 8));
    SHOW(v);
    SHOW(read(e, &v, 8));
    v = 5;
    SHOW(write(e, &v, 8));
    SHOW(write(e, &v, 4));
    SHOW(read(e, &v, 4));
    v = UINT64_MAX;
    SHOW(write(e, &v, 8));
    v = UINT64_MAX - 1;
    SHOW(write(e, &v, 8));
    struct pollfd pf = {e, POLLIN | POLLOUT, 0};
    SHOW(poll(&pf, 1, 0));
    SHOW(pf.revents);
    close(e);
    e = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
    SHOW(read(e, &v, 8));
    SHOW(v);
    SHOW(read(e, &v, 8));
    SHOW(read(e, &v, 8));
    close(e);
}

static void timerfds(void)
{
    section("timerfd");
    SHOW(timerfd_create(77, 0));
    SHOW(timerfd_create(CLOCK_MONOTONIC, 0x777));
    int t = SHOW_OK(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
    uint64_t v = 0;
    struct itimerspec its = {.it_value.tv_nsec = 5000000, .it_interval.tv_nsec = 5000000}, old;
    SHOW(read(t, &v, 8));
    SHOW(timerfd_settime(t, 0, &its, NULL));
    struct pollfd pf = {t, POLLIN, 0};
    SHOW(poll(&pf, 1, 1000));
    SHOW(read(t, &v, 8));
    SHOW_TRUE(v >= 1);
    usleep(30000);
    SHOW(read(t, &v, 8));
    SHOW_TRUE(v >= 4);
    SHOW(timerfd_gettime(t, &old));
    SHOW(old.it_interval.tv_nsec);
    its = (struct itimerspec){0};
    SHOW(timerfd_settime(t, 0, &its, &old));
    SHOW(old.it_interval.tv_nsec);
    its.it_value.tv_nsec = 2000000000;
    SHOW(timerfd_settime(t, 0, &its, NULL));
    SHOW(timerfd_settime(t, 77, &its, NULL));
    SHOW(write(t, &v, 8));
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    its.it_value = now;
    SHOW(timerfd_settime(t, TFD_TIMER_ABSTIME, &its, NULL));
    SHOW(poll(&pf, 1, 1000));
    close(t);
}

static int shared_pipe[2];
static void *wait_in_poll(void *arg)
{
    struct pollfd p = {.fd = shared_pipe[0], .events = POLLIN};
    return (void *)(intptr_t)poll(&p, 1, 3000);
}

/* A byte that is taken by somebody else wakes a poller for nothing; the next one must wake it again. */
static void poll_again(void)
{
    section("poll again");
    pthread_t t;
    void *r;
    char c;
    pipe(shared_pipe);
    for (int i = 0; i < 3; i++) {
        pthread_create(&t, NULL, wait_in_poll, NULL);
        usleep(50000);
        for (int k = 0; k < 20; k++) {
            write(shared_pipe[1], "x", 1);
            read(shared_pipe[0], &c, 1);
        }
        usleep(20000);
        struct timespec before, after;
        clock_gettime(CLOCK_MONOTONIC, &before);
        write(shared_pipe[1], "x", 1);
        pthread_join(t, &r);
        clock_gettime(CLOCK_MONOTONIC, &after);
        read(shared_pipe[0], &c, 1);
        SHOW_TRUE(r == (void *)1 && after.tv_sec - before.tv_sec < 2);
    }
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    pipes();
    selects();
    epolls();
    eventfds();
    timerfds();
    poll_again();
    return 0;
}
