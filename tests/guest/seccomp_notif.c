// SPDX-License-Identifier: Apache-2.0
/* Listeners of seccomp filters: what is taken, what an answer does to a call, descriptors, and who goes away meanwhile. */
#include "t.h"
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#define ASKED SYS_getpgid /* the call that the listener is asked about */
#define RESULTS 16

static struct { volatile int fd, n; struct { long r; int e; } all[RESULTS]; } *child_saw;
static struct seccomp_notif n;

static long listen_with(unsigned flags)
{
    struct sock_filter f[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ASKED, 0, 1),
                              BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog p = {4, f};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &p);
}

/* A child with our descriptors, whose calls we are asked about. */
static pid_t asker(unsigned flags, void (*run)(void))
{
    fflush(stdout);
    memset((void *)child_saw, 0, sizeof *child_saw);
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        child_saw->fd = (int)listen_with(SECCOMP_FILTER_FLAG_NEW_LISTENER | flags);
        run();
        _exit(0);
    }
    while (child_saw->fd == 0)
        usleep(1000);
    return pid;
}

static void saw(long r)
{
    child_saw->all[child_saw->n].e = errno;
    child_saw->all[child_saw->n].r = r;
    child_saw->n++;
}
static long ask(long a) { return syscall(ASKED, a, 2, 3, 4, 5, 6); }
static void asks(void) { errno = 0; saw(ask(1)); }
static void asks_twice(void) { asks(); saw(ask(0)); }

static void end(pid_t pid, bool show_results)
{
    int st;
    waitpid(pid, &st, 0);
    for (int i = 0; show_results && i < child_saw->n; i++)
        printf("the call gave %ld, errno %d\n", child_saw->all[i].r, child_saw->all[i].r < 0 ? child_saw->all[i].e : 0);
    printf("it ended with %x\n", st);
}

static long receive(void)
{
    memset(&n, 0, sizeof n);
    return ioctl(child_saw->fd, SECCOMP_IOCTL_NOTIF_RECV, &n);
}

static long answer(unsigned long long id, long long val, int error, unsigned flags)
{
    struct seccomp_notif_resp r = {id, val, error, flags};
    return ioctl(child_saw->fd, SECCOMP_IOCTL_NOTIF_SEND, &r);
}

static long add_fd(unsigned flags, int src, unsigned newfd, unsigned newfd_flags)
{
    struct seccomp_notif_addfd a = {n.id, flags, (unsigned)src, newfd, newfd_flags};
    return ioctl(child_saw->fd, SECCOMP_IOCTL_NOTIF_ADDFD, &a);
}

static short polled(int ms)
{
    struct pollfd p = {child_saw->fd, POLLIN | POLLOUT};
    poll(&p, 1, ms);
    return p.revents;
}

static void what_is_taken(void)
{
    struct seccomp_notif_sizes sizes;
    unsigned action = SECCOMP_RET_USER_NOTIF;
    section("listeners: what is taken");
    SHOW(syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes));
    printf("%u %u %u\n", sizes.seccomp_notif, sizes.seccomp_notif_resp, sizes.seccomp_data);
    SHOW(syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 1, &sizes));
    SHOW(syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, NULL));
    SHOW(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action));
    fflush(stdout);
    if (fork() == 0) {
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        SHOW(listen_with(SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV));
        SHOW(listen_with(SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_TSYNC));
        int fd = (int)listen_with(SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH);
        SHOW_TRUE(fd >= 0);
        SHOW(fcntl(fd, F_GETFD));
        SHOW(fcntl(fd, F_GETFL) & O_ACCMODE);
        SHOW(listen_with(SECCOMP_FILTER_FLAG_NEW_LISTENER));
        SHOW(listen_with(0));
        SHOW(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, NULL));
        n.pid = 1;
        SHOW(ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &n));
        SHOW(ioctl(fd, SECCOMP_IOCTL_NOTIF_SEND, NULL));
        SHOW(ioctl(fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id));
        SHOW(ioctl(fd, SECCOMP_IOW(9, int), &n));
        SHOW(read(fd, &n, sizeof n));
        close(fd);
        SHOW(ask(0)); /* nobody listens */
        SHOW_TRUE(listen_with(SECCOMP_FILTER_FLAG_NEW_LISTENER) >= 0);
        _exit(0);
    }
    wait(NULL);
}

static void answers(void)
{
    section("listeners: answers");
    pid_t pid = asker(0, asks);
    SHOW_TRUE(polled(10000) == POLLIN);
    SHOW(receive());
    SHOW_TRUE(n.pid == pid && n.flags == 0 && n.data.nr == ASKED && n.data.instruction_pointer != 0);
    printf("%x: %llu %llu %llu\n", n.data.arch, n.data.args[0], n.data.args[1], n.data.args[5]);
    SHOW_TRUE(polled(0) == POLLOUT);
    SHOW(ioctl(child_saw->fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id));
    SHOW(answer(n.id + 1, 0, 0, 0));
    SHOW(answer(n.id, 0, 0, 2));
    SHOW(answer(n.id, 1, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE));
    SHOW(answer(n.id, 1234, 0, 0));
    end(pid, true);
    SHOW(ioctl(child_saw->fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id));
    SHOW(answer(n.id, 1, 0, 0));
    SHOW_TRUE(polled(10000) == POLLHUP);
    SHOW(close(child_saw->fd));

    pid = asker(0, asks_twice);
    SHOW(receive());
    SHOW(answer(n.id, 5, -ENOTTY, 0));
    SHOW(receive());
    SHOW(answer(n.id, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE));
    end(pid, false);
    printf("the calls gave %ld %d, then %s\n", child_saw->all[0].r, child_saw->all[0].e, child_saw->all[1].r > 0 ? "its group" : "nothing");
    close(child_saw->fd);

    pid = asker(0, asks);
    SHOW(receive());
    SHOW(close(child_saw->fd)); /* and the call is as of a system without */
    end(pid, true);
}

/* There is no descriptor to be had: only the place of another. */
static void asks_when_full(void)
{
    struct rlimit was, full;
    int next = dup(0);
    close(next);
    getrlimit(RLIMIT_NOFILE, &was);
    full = was;
    full.rlim_cur = (rlim_t)next;
    setrlimit(RLIMIT_NOFILE, &full);
    asks();
    setrlimit(RLIMIT_NOFILE, &was);
}

static void descriptors(void)
{
    int p[2], got = 0;
    char c = 0;
    section("listeners: descriptors");
    pipe(p);
    pid_t pid = asker(0, asks);
    SHOW(receive());
    SHOW(add_fd(4, p[1], 0, 0));
    SHOW(add_fd(0, p[1], 7, 0));
    SHOW(add_fd(0, p[1], 0, O_NONBLOCK));
    SHOW(add_fd(0, 999, 0, 0));
    SHOW(add_fd(0, open("/", O_PATH), 0, 0));
    SHOW(add_fd(SECCOMP_ADDFD_FLAG_SETFD, p[1], -1u, 0));
    SHOW(ioctl(child_saw->fd, SECCOMP_IOC_MAGIC << 8 | 3 | 1u << 30 | 16u << 16, &n));
    n.id++;
    SHOW(add_fd(0, p[1], 0, 0));
    n.id--;
    SHOW_TRUE((got = (int)add_fd(0, p[1], 0, O_CLOEXEC)) > p[1]);
    SHOW(fcntl(got, F_GETFD));
    SHOW(write(got, "x", 1));
    SHOW(read(p[0], &c, 1));
    SHOW(add_fd(SECCOMP_ADDFD_FLAG_SETFD, p[1], 200, 0));
    SHOW(fcntl(200, F_GETFD));
    SHOW(add_fd(SECCOMP_ADDFD_FLAG_SETFD, p[0], 200, O_CLOEXEC));
    SHOW(fcntl(200, F_GETFL) & O_ACCMODE);
    SHOW(add_fd(SECCOMP_ADDFD_FLAG_SETFD | SECCOMP_ADDFD_FLAG_SEND, p[1], 201, 0));
    end(pid, true);
    SHOW(write(201, "y", 1));
    close(child_saw->fd);

    pid = asker(0, asks_when_full);
    SHOW(receive());
    SHOW(add_fd(0, p[1], 0, 0));
    SHOW_TRUE(add_fd(SECCOMP_ADDFD_FLAG_SETFD, p[0], (unsigned)got, 0) == got);
    SHOW(fcntl(got, F_GETFL) & O_ACCMODE);
    SHOW(answer(n.id, 0, 0, 0));
    end(pid, true);
    close(got);
    close(200);
    close(201);
    close(p[0]);
    close(p[1]);
    close(child_saw->fd);
}

static void on_signal(int sig) {}

/* A timer ends the wait of the call, again and again. */
static void asks_with_timer(void)
{
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = on_signal}, NULL);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 20000}, {0, 20000}}, NULL);
    asks();
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, NULL);
}

static void goes_away(void)
{
    section("listeners: who goes away");
    pid_t pid = asker(0, asks_with_timer);
    end(pid, true);
    SHOW(receive());
    close(child_saw->fd);

    pid = asker(SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, asks);
    SHOW(receive());
    kill(pid, SIGKILL);
    end(pid, true);
    SHOW(ioctl(child_saw->fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id));
    close(child_saw->fd);
}

static void ignores_and_asks(void)
{
    sigaction(SIGUSR1, &(struct sigaction){.sa_handler = on_signal}, NULL);
    asks();
}

static void killable(void)
{
    section("listeners: only a kill");
    pid_t pid = asker(SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, ignores_and_asks);
    SHOW(receive());
    for (int i = 0; i < 5; i++) {
        kill(pid, SIGUSR1);
        usleep(5000);
    }
    SHOW(ioctl(child_saw->fd, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id));
    SHOW(answer(n.id, 77, 0, 0));
    end(pid, true);
    close(child_saw->fd);

    /* It could not be told: any signal again. */
    void *nowhere = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pid = asker(SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, ignores_and_asks);
    SHOW(ioctl(child_saw->fd, SECCOMP_IOCTL_NOTIF_RECV, nowhere));
    kill(pid, SIGUSR1);
    end(pid, true);
    close(child_saw->fd);
    munmap(nowhere, 4096);
}

/* What was answered counts, whatever comes then. */
static void answered_and_interrupted(void)
{
    section("listeners: an answer, then a signal");
    pid_t pid = asker(0, ignores_and_asks);
    SHOW(receive());
    SHOW(answer(n.id, 78, 0, 0));
    kill(pid, SIGUSR1);
    end(pid, true);
    close(child_saw->fd);
}

void listeners(void);
void listeners(void)
{
    child_saw = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    what_is_taken();
    answers();
    descriptors();
    goes_away();
    killable();
    answered_and_interrupted();
    munmap((void *)child_saw, 4096);
}
