// SPDX-License-Identifier: Apache-2.0
/* Not a guest test: what tests/apps/strace.py traces here and there. Calls that do the same on every run. */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static void on_signal(int s) { (void)s; }

static void files(void)
{
    char buf[64];
    struct stat st;
    struct statx stx;
    rmdir("traced.d");
    mkdir("traced.d", 0751);
    chdir("traced.d");
    int fd = open("a\n\"b\"", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0640);
    write(fd, "hello \1\0022 world of many words, more than are shown", 52);
    pwrite(fd, "x", 1, 100);
    lseek(fd, -4, SEEK_END);
    read(fd, buf, sizeof(buf));
    pread(fd, buf, 5, 0);
    struct iovec v[2] = {{buf, 3}, {buf + 10, 20}};
    lseek(fd, 0, SEEK_SET);
    readv(fd, v, 2);
    writev(fd, v, 2);
    ftruncate(fd, 10);
    fstat(fd, &st);
    statx(fd, "", AT_EMPTY_PATH, STATX_SIZE, &stx);
    fcntl(fd, F_GETFD);
    fcntl(fd, F_SETFD, 0);
    fcntl(fd, F_GETFL);
    fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK);
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 1, .l_len = 2};
    fcntl(fd, F_SETLK, &l);
    flock(fd, LOCK_EX | LOCK_NB);
    dup2(fd, 20);
    dup3(fd, 21, O_CLOEXEC);
    close(20);
    close(21);
    close(fd);
    rename("a\n\"b\"", "c");
    symlink("c", "link");
    readlink("link", buf, sizeof(buf));
    access("c", R_OK | W_OK);
    access("missing", F_OK);
    open("missing", O_WRONLY | O_TRUNC | O_NOFOLLOW);
    open("c", O_RDONLY | O_DIRECTORY);
    chmod("c", 04711);
    stat("c", &st);
    utimensat(AT_FDCWD, "c", (struct timespec[]){{1, 2}, {0, UTIME_OMIT}}, AT_SYMLINK_NOFOLLOW);
    unlink("link");
    unlink("c");
    umask(027);
    umask(022);
    getcwd(buf, sizeof(buf));
    chdir("..");
    rmdir("traced.d");
    close(99);
    ioctl(1, TIOCGWINSZ, 0);
}

static void sockets(void)
{
    int pair[2], one = 1, size = sizeof(one);
    char buf[100];
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(21877), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_un un = {.sun_family = AF_UNIX, .sun_path = "/tmp/traced.socket"};
    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
    struct iovec v = {"some data", 9};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    sendmsg(pair[0], &m, MSG_NOSIGNAL);
    v = (struct iovec){buf, sizeof(buf)};
    recvmsg(pair[1], &m, 0);
    shutdown(pair[0], SHUT_WR);
    struct pollfd p[2] = {{pair[1], POLLIN, 0}, {pair[0], POLLOUT | POLLIN, 0}};
    poll(p, 2, 0);
    poll(p, 0, 1);
    close(pair[0]);
    close(pair[1]);
    int s = socket(AF_INET, SOCK_DGRAM, IPPROTO_UDP);
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    getsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, (socklen_t *)&size);
    bind(s, (void *)&in, sizeof(in));
    sendto(s, "datagram", 8, 0, (void *)&in, sizeof(in));
    socklen_t len = sizeof(in);
    recvfrom(s, buf, sizeof(buf), 0, (void *)&in, &len);
    recvfrom(s, buf, sizeof(buf), MSG_DONTWAIT, NULL, NULL);
    len = sizeof(in);
    getsockname(s, (void *)&in, &len);
    close(s);
    unlink(un.sun_path);
    s = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    connect(s, (void *)&un, sizeof(un));
    bind(s, (void *)&un, sizeof(un));
    listen(s, 5);
    accept4(s, NULL, NULL, SOCK_CLOEXEC);
    close(s);
    unlink(un.sun_path);
}

static void waiting(void)
{
    u_int64_t n = 3;
    int ends[2], e = epoll_create1(EPOLL_CLOEXEC), ev = eventfd(0, EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = 7}, got[4];
    epoll_ctl(e, EPOLL_CTL_ADD, ev, &event);
    epoll_wait(e, got, 4, 0);
    write(ev, &n, sizeof(n));
    epoll_wait(e, got, 4, 1000);
    epoll_ctl(e, EPOLL_CTL_MOD, 99, &event);
    int t = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    struct itimerspec its = {.it_value = {1, 5}};
    timerfd_settime(t, 0, &its, NULL);
    pipe2(ends, O_NONBLOCK);
    read(ends[0], &n, 1);
    fd_set set;
    FD_ZERO(&set);
    FD_SET(ends[0], &set);
    struct timespec ts = {0, 1000}, left;
    write(ends[1], "", 1);
    syscall(SYS_pselect6, ends[0] + 1, NULL, NULL, NULL, &ts, NULL);
    syscall(SYS_nanosleep, &ts, NULL);
    syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &ts, NULL);
    (void)left;
    close(e);
    close(ev);
    close(t);
    close(ends[0]);
    close(ends[1]);
}

static void others(void)
{
    struct sigaction a = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct rlimit r;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGUSR2);
    sigaction(SIGUSR1, &a, NULL);
    sigaction(SIGUSR2, NULL, &a);
    sigprocmask(SIG_BLOCK, &set, NULL);
    sigfillset(&set);
    sigset_t old;
    sigprocmask(SIG_UNBLOCK, &set, &old);
    syscall(SYS_kill, getpid(), SIGUSR1);
    syscall(SYS_getrlimit, RLIMIT_NICE, &r);
    char *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(p, 4096, PROT_NONE);
    madvise(p + 4096, 4096, MADV_DONTNEED);
    munmap(p, 65536);
    mmap(NULL, 4096, PROT_READ, MAP_SHARED, 99, 4096);
    int m = memfd_create("traced", MFD_CLOEXEC);
    close(m);
    prctl(PR_SET_NAME, "traced!");
    prctl(PR_GET_DUMPABLE);
    int word = 1;
    syscall(SYS_futex, &word, 128, 2, NULL);
    syscall(SYS_futex, &word, 129, 1);
    getrandom(&word, 0, GRND_NONBLOCK);
}

int main(void)
{
    access("/begin", F_OK);
    files();
    sockets();
    waiting();
    others();
    return 0;
}
