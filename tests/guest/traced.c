// SPDX-License-Identifier: Apache-2.0
/* Not a guest test: what tests/apps/strace.py traces here and there. Calls that do the same on every run. */
#include <linux/futex.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <utime.h>
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

static void options(void)
{
    int ends[2], one = 1, tcp = socket(AF_INET, SOCK_STREAM, IPPROTO_TCP), u6 = socket(AF_INET6, SOCK_DGRAM, 0);
    char text[16];
    struct linger l = {1, 2};
    struct ifreq interface = {.ifr_name = "lo"};
    socklen_t len = sizeof(l);
    close(socket(AF_NETLINK, SOCK_RAW, 0));
    socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
    setsockopt(ends[0], SOL_SOCKET, SO_LINGER, &l, sizeof(l));
    getsockopt(ends[0], SOL_SOCKET, SO_LINGER, &l, &len);
    setsockopt(tcp, IPPROTO_IP, IP_MULTICAST_LOOP, &one, 4);
    setsockopt(u6, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, 4);
    ioctl(tcp, SIOCGIFINDEX, &interface);
    ioctl(tcp, SIOCGIFFLAGS, &interface);
    ioctl(tcp, 0x1234, 5);
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr head;
    } control = {.head = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    memcpy(CMSG_DATA(&control.head), &tcp, sizeof(int));
    struct iovec v = {"x", 1}, in = {text, 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    sendmsg(ends[0], &m, 0);
    m.msg_iov = &in;
    recvmsg(ends[1], &m, 0);
    fd_set set;
    struct timeval now = {0, 0};
    struct timespec zero = {0, 0};
    struct pollfd p[2] = {{ends[0], POLLOUT, 0}, {-1, POLLIN, 0}};
    FD_ZERO(&set);
    FD_SET(ends[0], &set);
    syscall(SYS_select, ends[0] + 1, NULL, &set, NULL, &now);
    FD_ZERO(&set);
    FD_SET(ends[0], &set);
    syscall(SYS_select, ends[0] + 1, &set, NULL, NULL, &now);
    syscall(SYS_ppoll, p, 2, &zero, NULL, 8);
    close(ends[0]);
    close(ends[1]);
    close(tcp);
    close(u6);
}

/* Structures, and arguments whose meaning another one decides. */
static void structures(void)
{
    int f = open("traced", O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600), ends[2], n;
    char text[16];
    struct utimbuf times = {1, 2};
    struct timeval two[2] = {{1, 2}, {3, 4}};
    struct iovec v = {text, 5};
    off_t at = 0;
    write(f, "0123456789", 10);
    syscall(SYS_utime, "traced", &times);
    syscall(SYS_utimes, "traced", two);
    preadv(f, &v, 1, 2);
    syscall(SYS_pwritev2, f, &v, 1, 0, 0, 2);
    pipe(ends);
    syscall(SYS_sendfile, ends[1], f, &at, 3);
    syscall(SYS_splice, f, &at, ends[1], NULL, 2, 0);
    syscall(SYS_sync_file_range, f, 0, 10, 2);
    struct flock lock = {.l_type = F_WRLCK, .l_len = 5};
    fcntl(f, F_OFD_GETLK, &lock);
    struct f_owner_ex owner = {F_OWNER_TID, 0};
    fcntl(f, F_SETOWN_EX, &owner);
    fcntl(f, F_SETSIG, SIGIO);
    fcntl(f, F_GETSIG);
    ioctl(f, FIOCLEX);
    close(f);
    unlink("traced");
    syscall(SYS_mknodat, AT_FDCWD, "traced", S_IFIFO | 0600, 0);
    unlink("traced");
    f = memfd_create("sealed", MFD_ALLOW_SEALING);
    fcntl(f, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
    fcntl(f, F_GET_SEALS);
    close(f);
    open("/missing", O_PATH | O_DIRECTORY | O_CLOEXEC);
    unsigned header[2] = {0x20080522, 0};
    syscall(SYS_capget, header, NULL);
    syscall(SYS_timer_create, CLOCK_MONOTONIC, &(struct sigevent){.sigev_signo = SIGUSR1}, &n);
    struct { long flags, most, size, there, rest[4]; } limits = {0, 4, 64, 0, {0}};
    f = (int)syscall(SYS_mq_open, "traced", O_RDWR | O_CREAT, 0600, &limits);
    syscall(SYS_mq_getsetattr, f, NULL, &limits);
    syscall(SYS_mq_unlink, "traced");
    close(f);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    prctl(PR_GET_PDEATHSIG, &n);
    prctl(PR_GET_NAME, text);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_CAPBSET_READ, 0);
    syscall(SYS_membarrier, 16, 0, 0);
    syscall(SYS_sched_getscheduler, 0);
    syscall(SYS_personality, 0xffffffff);
    syscall(SYS_kcmp, getpid(), getpid(), 0, 0, 0);
    syscall(SYS_futex, &n, FUTEX_REQUEUE_PRIVATE, 1, 5, text);
    syscall(SYS_arch_prctl, 0x1003, &at);
    struct sigaction a = {.sa_handler = SIG_IGN};
    sigaction(SIGIO, &a, NULL);
}

int main(void)
{
    access("/begin", F_OK);
    files();
    sockets();
    waiting();
    others();
    options();
    structures();
    return 0;
}
