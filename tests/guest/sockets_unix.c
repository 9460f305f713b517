/* SPDX-License-Identifier: Apache-2.0 */
/* AF_UNIX: what is left of a peer that went, whom a datagram socket may send, names, and which error comes first. Nothing here waits but for threads of its own. */
#include "sockets.h"
#include "t.h"
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>

static char buf[100];

static void bits(const char *name, int fd)
{
    struct pollfd p = {fd, 0x7fff, 0};
    poll(&p, 1, 0);
    printf("%s polls %x\n", name, p.revents);
}

static socklen_t abstract(struct sockaddr_un *a, const char *name)
{
    *a = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(a->sun_path + 1, 100, "drupe-test-%d-%s", getpid(), name);
    return offsetof(struct sockaddr_un, sun_path) + 1 + strlen(a->sun_path + 1);
}

static int made(int type, const char *name)
{
    struct sockaddr_un a;
    int fd = socket(AF_UNIX, type | SOCK_NONBLOCK, 0);
    if (name != NULL)
        SHOW(bind(fd, (void *)&a, abstract(&a, name)));
    return fd;
}

static int joined(int fd, const char *name)
{
    struct sockaddr_un a;
    socklen_t n = abstract(&a, name);
    return connect(fd, (void *)&a, n);
}

static void gone(int type, const char *name)
{
    struct sockaddr_un a;
    socklen_t n = sizeof a;
    int s[2];
    printf("a %s peer goes:\n", name);
    socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, s);
    send(s[0], "unread", 6, 0);
    close(s[1]);
    bits("socket", s[0]);
    SHOW(getpeername(s[0], (void *)&a, &n));
    SHOW(recv(s[0], buf, 10, 0));
    SHOW(recv(s[0], buf, 10, 0));
    SHOW(send(s[0], "x", 1, MSG_NOSIGNAL));
    SHOW(send(s[0], "x", 1, MSG_NOSIGNAL));
    bits("socket", s[0]);
    close(s[0]);
    socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, s);
    send(s[1], "left", 4, 0);
    send(s[0], "unread", 6, 0);
    close(s[1]);
    SHOW(recv(s[0], buf, 10, 0)); /* the data first, or the error */
    SHOW(recv(s[0], buf, 10, 0));
    close(s[0]);
}

static void datagrams(void)
{
    struct sockaddr_un a;
    int p[2];
    socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, p);
    int r = made(SOCK_DGRAM, "r"), t = made(SOCK_DGRAM, "t"), u = made(SOCK_DGRAM, NULL);
    SHOW(joined(r, "t"));
    SHOW(joined(u, "r")); /* r listens to t alone */
    SHOW(sendto(u, "x", 1, 0, (void *)&a, abstract(&a, "r")));
    SHOW(joined(t, "r"));
    SHOW(send(t, "x", 1, 0));
    SHOW(joined(r, "r"));
    SHOW(connect(r, &(struct sockaddr){.sa_family = AF_UNSPEC}, sizeof(sa_family_t))); /* what t sent is lost */
    bits("t", t);
    SHOW(send(t, "x", 1, 0));
    SHOW(send(t, "x", 1, 0));
    SHOW(recv(p[0], buf, 0, 0));
    SHOW(read(p[0], buf, 0));
    SHOW(shutdown(p[1], SHUT_RD));
    SHOW(send(p[0], "x", 1, MSG_NOSIGNAL));
    SHOW(shutdown(p[1], SHUT_RDWR));
    SHOW(recv(p[1], buf, 10, 0));
    SHOW(ioctl(p[1], SIOCATMARK, buf));
    close(r);
    close(t);
    close(u);
    close(p[0]);
    close(p[1]);
}

static void nothing_read(void)
{
    int p[2], e = 0;
    socklen_t n = sizeof e;
    socketpair(AF_UNIX, SOCK_STREAM, 0, p);
    send(p[0], buf, 1, 0);
    send(p[1], buf, 1, 0);
    close(p[1]);
    SHOW(recv(p[0], buf, 0, 0));
    SHOW(getsockopt(p[0], SOL_SOCKET, SO_ERROR, &e, &n)); /* is still to be told */
    SHOW_STR(e == ECONNRESET ? "reset" : "nothing");
    close(p[0]);
}

static void which_error(void)
{
    struct sockaddr_un a;
    int s = made(SOCK_STREAM, NULL), q = made(SOCK_SEQPACKET, NULL), l = made(SOCK_STREAM, "l"), d = made(SOCK_DGRAM, "l"), p[2], t[2]; /* each type has names of its own */
    SHOW(recv(s, buf, 1, MSG_ERRQUEUE));
    SHOW(recv(q, buf, 1, MSG_OOB));
    SHOW(send(q, buf, 1, MSG_OOB));
    SHOW(shutdown(s, SHUT_WR));
    SHOW(send(s, buf, 1, MSG_NOSIGNAL));
    int none = made(SOCK_DGRAM, NULL);
    SHOW(sendto(none, buf, 1 << 24, 0, (void *)&(struct sockaddr_un){AF_UNIX}, 2));
    SHOW(shutdown(none, SHUT_WR));
    SHOW(send(none, buf, 1, MSG_NOSIGNAL));
    SHOW(sendto(none, buf, 1, 0, (void *)&(struct sockaddr_un){AF_UNIX}, 2));
    close(none);
    SHOW(joined(made(SOCK_SEQPACKET, NULL), "l"));
    SHOW(joined(made(SOCK_STREAM, NULL), "l"));
    SHOW(listen(l, 0));
    int first = made(SOCK_STREAM, NULL);
    SHOW(joined(first, "l"));
    SHOW(joined(first, "l"));
    close(l); /* and with it whoever was not accepted */
    bits("not accepted", first);
    SHOW(recv(first, buf, 1, 0));
    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, p);
    SHOW(sendto(p[0], "abc", 3, 0, (void *)&a, abstract(&a, "nobody"))); /* the name is not looked at */
    struct sockaddr_un from;
    struct iovec v = {buf, 10};
    struct msghdr m = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &v, .msg_iovlen = 1};
    SHOW(recvmsg(p[1], &m, MSG_CMSG_CLOEXEC));
    printf("name %u flags %x\n", m.msg_namelen, m.msg_flags);
    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, t);
    SHOW(recv(t[0], buf, 0, 0));
    SHOW(send(t[1], "x", 1, 0));
    SHOW(recv(t[0], buf, 0, 0));
    union {
        struct cmsghdr h;
        char room[CMSG_SPACE(sizeof(int))];
    } c = {.h = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
    *(int *)CMSG_DATA(&c.h) = -1;
    m = (struct msghdr){.msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = sizeof c};
    SHOW(sendmsg(s, &m, MSG_NOSIGNAL)); /* the descriptor is looked at before the peer */
    for (int fd = s; fd <= t[1]; fd++)
        close(fd);
    (void)d;
}

/* What splice(2) took from one end and could not put into the other is not lost. */
static void splices(void)
{
    int p[2], full[2], s[2], d[2];
    char page[4096] = "";
    pipe2(p, O_NONBLOCK);
    pipe2(full, O_NONBLOCK);
    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, s);
    socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, d);
    write(p[1], "kept", 4);
    while (write(s[0], page, sizeof page) > 0)
        ;
    SHOW(splice(p[0], NULL, s[0], NULL, 100, SPLICE_F_NONBLOCK));
    while (write(full[1], page, sizeof page) > 0)
        ;
    SHOW(splice(p[0], NULL, full[1], NULL, 100, SPLICE_F_NONBLOCK));
    close(d[1]);
    SHOW(splice(p[0], NULL, d[0], NULL, 100, 0));
    SHOW(splice(p[0], NULL, p[1], NULL, 100, 0));
    SHOW(read(p[0], buf, 100));
    SHOW(splice(s[1], NULL, full[1], NULL, 100, SPLICE_F_NONBLOCK));
    SHOW(read(full[0], page, sizeof page));
    int total = 0, before, after;
    ioctl(s[1], FIONREAD, &before);
    long n = splice(s[1], NULL, full[1], NULL, 65536, SPLICE_F_NONBLOCK);
    ioctl(s[1], FIONREAD, &after);
    SHOW(n > 0 && before - after == n);
    for (int r; (r = read(full[0], page, sizeof page)) > 0;)
        total += r;
    SHOW(total == 15 * 4096 + n);
    for (int i = 0; i < 2; i++) {
        close(p[i]);
        close(full[i]);
        close(s[i]);
    }
    close(d[0]);
}

static int two[4];
static volatile long tid;

static void *move_on(void *arg)
{
    tid = gettid();
    return (void *)splice(two[0], NULL, two[3], NULL, 65536, 0);
}

/* Between pipes goes what there is room for; who waits for some keeps nobody from reading. */
static void pipe_to_pipe(void)
{
    static char page[4096];
    pthread_t t;
    void *moved;
    signal(SIGPIPE, SIG_IGN);
    pipe(two);
    pipe(two + 2);
    close(two[1]);
    close(two[2]);
    SHOW(splice(two[0], NULL, two[3], NULL, 10, 0)); /* no reader, before no byte */
    close(two[0]);
    close(two[3]);
    pipe(two);
    pipe(two + 2);
    for (int i = 0; i < 2; i++)
        write(two[1], page, sizeof page);
    for (int i = 0; i < 15; i++)
        write(two[3], page, sizeof page);
    alarm(20);
    SHOW(splice(two[0], NULL, two[3], NULL, 65536, 0));
    pthread_create(&t, NULL, move_on, NULL);
    until_asleep(&tid);
    SHOW(read(two[0], page, 96));
    SHOW(read(two[2], page, sizeof page));
    pthread_join(t, &moved);
    SHOW((long)moved);
    fcntl(two[2], F_SETPIPE_SZ, 4096 * 64);
    fcntl(two[3], F_SETFL, O_NONBLOCK);
    SHOW(splice(two[0], NULL, two[3], NULL, 1, 0));
    alarm(0);
    for (int i = 0; i < 4; i++)
        close(two[i]);
}

/* Whose peer has room again hears of it, though it is nobody's peer itself. */
static void room_again(void)
{
    static char big[20000];
    struct epoll_event ev = {.events = EPOLLOUT | EPOLLET};
    int e = epoll_create1(0), r = made(SOCK_DGRAM, "room"), s = made(SOCK_DGRAM, NULL);
    SHOW(joined(s, "room"));
    epoll_ctl(e, EPOLL_CTL_ADD, s, &ev);
    SHOW(epoll_wait(e, &ev, 1, 0));
    while (send(s, big, sizeof big, 0) > 0)
        ;
    SHOW(epoll_wait(e, &ev, 1, 0));
    while (recv(r, big, sizeof big, 0) > 0)
        ;
    SHOW(epoll_wait(e, &ev, 1, 0));
    SHOW(epoll_wait(e, &ev, 1, 0));
    while (send(s, big, sizeof big, 0) > 0)
        ;
    close(r);
    SHOW(epoll_wait(e, &ev, 1, 0));
    bits("sender", s);
    close(s);
    close(e);
}

/* Of what else poll() tells, no band is told. */
static void no_bands(void)
{
    int e = eventfd(1, EFD_NONBLOCK), t = timerfd_create(CLOCK_MONOTONIC, 0);
    bits("eventfd", e);
    SHOW(write(e, "12345678x", 9));
    timerfd_settime(t, TFD_TIMER_ABSTIME, &(struct itimerspec){.it_value = {0, 1}}, NULL);
    usleep(1000);
    bits("timerfd", t);
    close(e);
    close(t);
}

static int target;
static volatile bool done;

static void *send_on(void *arg)
{
    static char big[2][100000];
    struct sockaddr_un a;
    socklen_t n = abstract(&a, "target");
    int me = (int)(long)arg, s = made(SOCK_DGRAM, me ? "b" : "a");
    for (int c = 1; !done; c = c % 100 + 1) {
        memset(big[me], c, sizeof big[me]);
        sendto(s, big[me], sizeof big[me], 0, (void *)&a, n);
    }
    close(s);
    return NULL;
}

static void *change_peers(void *arg)
{
    while (!done) {
        joined(target, "a");
        joined(target, "b");
    }
    return NULL;
}

/* What connect() takes out of the queue may be what a reader is at. */
static void taken_while_read(void)
{
    pthread_t t[3];
    long torn = 0, got = 0;
    target = made(SOCK_DGRAM, "target");
    for (long i = 0; i < 2; i++)
        pthread_create(&t[i], NULL, send_on, (void *)i);
    pthread_create(&t[2], NULL, change_peers, NULL);
    for (int i = 0; i < 20000 && got < 300; i++) {
        char *m = mmap(NULL, 1 << 17, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); /* which reading brings in, slowly */
        long n = recv(target, m, 1 << 17, 0);
        got += n > 0;
        torn += n > 0 && memcmp(m, m + 1, n - 1) != 0;
        munmap(m, 1 << 17);
    }
    done = true;
    for (int i = 0; i < 3; i++)
        pthread_join(t[i], NULL);
    SHOW(torn);
    close(target);
}

/* The end of a datagram socket's peer is no event, but the peer that is lost by sending is. */
static void edges(void)
{
    int p[2], e = epoll_create1(0);
    struct epoll_event ev = {.events = EPOLLIN | EPOLLET};
    socketpair(AF_UNIX, SOCK_DGRAM, 0, p);
    epoll_ctl(e, EPOLL_CTL_ADD, p[0], &ev);
    send(p[1], "x", 1, 0);
    SHOW(epoll_wait(e, &ev, 1, 0));
    close(p[1]);
    SHOW(epoll_wait(e, &ev, 1, 0));
    ev.events = EPOLLIN | EPOLLOUT | EPOLLET;
    SHOW(epoll_ctl(e, EPOLL_CTL_MOD, p[0], &ev));
    SHOW(epoll_wait(e, &ev, 1, 0));
    SHOW(send(p[0], "x", 1, MSG_NOSIGNAL));
    SHOW(epoll_wait(e, &ev, 1, 0));
    close(p[0]);
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    siginfo_t info_of;
    waitid(P_PID, pid, &info_of, WEXITED | WNOWAIT);
    int fd = syscall(SYS_pidfd_open, pid, 0);
    ev.events = 0;
    epoll_ctl(e, EPOLL_CTL_ADD, fd, &ev);
    SHOW(waitid(P_PID, pid, &info_of, WSTOPPED | WNOHANG)); /* ECHILD: it will not stop any more */
    waitpid(pid, NULL, 0);
    SHOW(epoll_wait(e, &ev, 1, 0));
    SHOW_TRUE(ev.events == EPOLLHUP);
    close(fd);
    pipe(p);
    close(p[0]);
    ev.events = EPOLLIN | EPOLLET;
    epoll_ctl(e, EPOLL_CTL_ADD, p[1], &ev);
    SHOW(epoll_wait(e, &ev, 1, 0));
    SHOW(fcntl(p[1], F_SETPIPE_SZ, 4096));
    SHOW(epoll_wait(e, &ev, 1, 0));
    close(p[1]);
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, SIGUSR1);
    sigprocmask(SIG_BLOCK, &s, NULL);
    fd = signalfd(-1, &s, SFD_NONBLOCK);
    ev.events = EPOLLIN | EPOLLET;
    epoll_ctl(e, EPOLL_CTL_ADD, fd, &ev);
    for (int i = 0; i < 2; i++) {
        kill(getpid(), SIGUSR1);
        SHOW(epoll_wait(e, &ev, 1, 0));
    }
    struct signalfd_siginfo info;
    SHOW(read(fd, &info, sizeof info));
    sigprocmask(SIG_UNBLOCK, &s, NULL);
    close(fd);
    close(e);
}

static void show_message(int fd, size_t len, size_t control_len, int flags)
{
    union {
        char bytes[128];
        struct cmsghdr align;
    } c;
    char text[64];
    struct sockaddr_un a;
    struct iovec v = {text, len};
    struct msghdr m = {.msg_name = &a, .msg_namelen = sizeof a, .msg_iov = &v, .msg_iovlen = 1, .msg_control = &c, .msg_controllen = control_len};
    long n = SHOW(recvmsg(fd, &m, flags | MSG_DONTWAIT));
    if (n == -1)
        return;
    printf("  name %u control %zu %#x", m.msg_namelen, m.msg_controllen, m.msg_flags);
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h != NULL; h = CMSG_NXTHDR(&m, h)) {
        const int *x = (const int *)CMSG_DATA(h);
        printf(" [%d %zu", h->cmsg_type, (size_t)h->cmsg_len);
        if (h->cmsg_type == SCM_CREDENTIALS && h->cmsg_len == CMSG_LEN(sizeof(struct ucred)))
            printf(" %d %d %d", x[0] == getpid() ? 1 : x[0], x[1], x[2]);
        else if (h->cmsg_type == SCM_RIGHTS)
            close(x[0]);
        printf("]");
    }
    printf("\n");
}

static void give(int to, int fd, size_t len)
{
    char c[CMSG_SPACE(sizeof fd)] = "";
    struct iovec v = {"abc", len};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = c, .msg_controllen = sizeof c};
    *CMSG_FIRSTHDR(&m) = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof fd), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &fd, sizeof fd);
    SHOW(sendmsg(to, &m, 0));
}

/* What comes along with bytes, or where there are none. */
static void along(int type)
{
    int p[2], on = 1, error = 0;
    socklen_t len = sizeof error;
    socketpair(AF_UNIX, type, 0, p);
    SHOW(write(p[1], "before", 6)); /* anybody wanted to know who it is */
    setsockopt(p[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
    SHOW(write(p[1], "after", 5));
    show_message(p[0], 3, 16, MSG_PEEK);
    show_message(p[0], 64, 128, 0);
    show_message(p[0], 0, 128, MSG_PEEK);
    show_message(p[0], 64, 128, 0);
    SHOW(write(p[1], "x", 1));
    give(p[1], 0, 2);
    show_message(p[0], 1, 128, MSG_PEEK);
    show_message(p[0], 1, 128, 0);
    show_message(p[0], 0, 128, 0);
    show_message(p[0], 64, 128, 0);
    write(p[1], "", 0);
    write(p[1], "", 0);
    int q[2];
    socketpair(AF_UNIX, type, 0, q);
    write(q[0], "", 0);
    close(q[1]);
    SHOW(getsockopt(q[0], SOL_SOCKET, SO_ERROR, &error, &len));
    SHOW(error);
    shutdown(p[1], SHUT_WR);
    show_message(p[0], 64, 128, 0);
    close(p[0]);
    SHOW(getsockopt(p[1], SOL_SOCKET, SO_ERROR, &error, &len));
    SHOW(error);
    close(p[1]);
    close(q[0]);
}

/* Names of senders, also one that is given behind the message. */
static void senders(void)
{
    struct sockaddr_un a = {AF_UNIX, "\0first"}, b = {AF_UNIX, "\0second"};
    struct ucred u = {-1, -1, -1};
    socklen_t len = sizeof u;
    for (int type = SOCK_STREAM; type <= SOCK_SEQPACKET; type += SOCK_SEQPACKET - SOCK_STREAM) {
        int l = socket(AF_UNIX, type, 0), s = socket(AF_UNIX, type, 0);
        bind(l, (void *)&a, 8);
        listen(l, 1);
        SHOW(getsockopt(l, SOL_SOCKET, SO_PEERCRED, &u, &len));
        SHOW_TRUE(u.pid == getpid());
        bind(s, (void *)&b, 9);
        connect(s, (void *)&a, 8);
        int k = accept(l, NULL, NULL);
        write(s, "x", 1);
        write(k, "yz", 2);
        show_message(k, 9, 0, 0);
        show_message(s, 9, 0, 0);
        close(l);
        close(s);
        close(k);
    }
    int p[2];
    socketpair(AF_UNIX, SOCK_DGRAM, 0, p);
    write(p[0], "x", 1);
    bind(p[0], (void *)&a, 8);
    show_message(p[1], 9, 0, 0);
    close(p[0]);
    close(p[1]);
    SHOW(connect(0, (void *)&a, 200)); /* no socket, but the length is looked at first */
    SHOW(bind(0, (void *)&a, 200));
}

/* One MSG_PEEK, or a read, and where the next peek begins. */
static void look(int s, size_t n, int flags)
{
    char text[16] = "";
    struct iovec v = {text, n};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    int at = -7;
    socklen_t len = sizeof at;
    SHOW(recvmsg(s, &m, flags | MSG_DONTWAIT));
    SHOW_STR(text);
    SHOW(m.msg_flags & MSG_TRUNC);
    getsockopt(s, SOL_SOCKET, SO_PEEK_OFF, &at, &len);
    SHOW(at);
}

/* Wait until so many bytes are there in all. */
static void arrived(int s, int total)
{
    int at, last = total - 1;
    char c;
    socklen_t len = sizeof at;
    getsockopt(s, SOL_SOCKET, SO_PEEK_OFF, &at, &len);
    setsockopt(s, SOL_SOCKET, SO_PEEK_OFF, &last, sizeof last);
    recv(s, &c, 1, MSG_PEEK);
    setsockopt(s, SOL_SOCKET, SO_PEEK_OFF, &at, sizeof at);
}

static void *sends_late(void *to)
{
    usleep(100000);
    write(*(int *)to, "late", 4);
    return NULL;
}

static void peeks(int to, int from)
{
    char text[8] = "";
    int at = 0;
    pthread_t t;
    SHOW(setsockopt(from, SOL_SOCKET, SO_PEEK_OFF, &at, sizeof at));
    look(from, 4, MSG_PEEK);
    write(to, "abcdef", 6);
    write(to, "ghi", 3);
    arrived(from, 9);
    look(from, 2, MSG_PEEK);
    look(from, 3, MSG_PEEK | MSG_TRUNC);
    look(from, 9, MSG_PEEK);
    look(from, 9, MSG_PEEK);
    look(from, 9, MSG_PEEK);
    look(from, 2, 0);
    look(from, 9, MSG_PEEK);
    look(from, 9, 0);
    look(from, 9, 0);
    write(to, "xyz", 3);
    arrived(from, 3);
    look(from, 9, MSG_PEEK);
    pthread_create(&t, NULL, sends_late, &to);
    SHOW(recv(from, text, sizeof text, MSG_PEEK)); /* waits for what is behind */
    pthread_join(t, NULL);
    at = -1;
    SHOW(setsockopt(from, SOL_SOCKET, SO_PEEK_OFF, &at, sizeof at));
    look(from, 2, MSG_PEEK);
    look(from, 2, 0);
    close(from);
    close(to);
}

/* An urgent byte on the way, and one that is the first. */
static void peeks_urgent(void)
{
    int p[2], at = 0;
    socketpair(AF_UNIX, SOCK_STREAM, 0, p);
    setsockopt(p[1], SOL_SOCKET, SO_PEEK_OFF, &at, sizeof at);
    write(p[0], "abc", 3);
    send(p[0], "d", 1, MSG_OOB);
    for (int i = 0; i < 3; i++)
        look(p[1], 9, MSG_PEEK);
    write(p[0], "ef", 2);
    look(p[1], 9, MSG_PEEK);
    look(p[1], 9, MSG_PEEK);
    look(p[1], 9, 0);
    look(p[1], 9, MSG_PEEK);
    look(p[1], 9, 0);
    look(p[1], 9, 0);
    close(p[0]);
    close(p[1]);
}

static void peek_offsets(void)
{
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    section("SO_PEEK_OFF");
    int p[2], at = 0;
    socklen_t len;
    for (int i = 0; i < 3; i++) {
        SHOW(types[i]);
        socketpair(AF_UNIX, types[i], 0, p);
        if (types[i] == SOCK_DGRAM) { /* one that is empty is seen once */
            SHOW(setsockopt(p[1], SOL_SOCKET, SO_PEEK_OFF, &at, sizeof at));
            write(p[0], "", 0);
            write(p[0], "x", 1);
            look(p[1], 4, MSG_PEEK);
            look(p[1], 4, MSG_PEEK);
            look(p[1], 4, 0);
            look(p[1], 4, 0);
        }
        peeks(p[0], p[1]);
    }
    for (int i = 0; i < 2; i++) {
        struct sockaddr_in a = {AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int l = socket(AF_INET, types[i], 0), s = socket(AF_INET, types[i], 0);
        SHOW(types[i]);
        len = sizeof a;
        bind(l, (void *)&a, sizeof a);
        listen(l, 1);
        getsockname(l, (void *)&a, &len);
        connect(s, (void *)&a, sizeof a);
        peeks(s, types[i] == SOCK_STREAM ? accept(l, NULL, NULL) : l);
        close(l);
    }
    peeks_urgent();
    int r = socket(AF_INET, SOCK_RAW, IPPROTO_UDP), n = socket(AF_NETLINK, SOCK_RAW, 0);
    SHOW(setsockopt(r, SOL_SOCKET, SO_PEEK_OFF, &at, sizeof at));
    SHOW(setsockopt(n, SOL_SOCKET, SO_PEEK_OFF, &at, sizeof at));
    len = sizeof at;
    SHOW(getsockopt(n, SOL_SOCKET, SO_PEEK_OFF, &at, &len));
    close(r);
    close(n);
}

void unix_peers(void)
{
    section("peers of AF_UNIX");
    gone(SOCK_STREAM, "stream");
    gone(SOCK_SEQPACKET, "seqpacket");
    gone(SOCK_DGRAM, "datagram");
    datagrams();
    which_error();
    nothing_read();
    no_bands();
    splices();
    pipe_to_pipe();
    room_again();
    taken_while_read();
    edges();
    along(SOCK_STREAM);
    along(SOCK_DGRAM);
    along(SOCK_SEQPACKET);
    senders();
    peek_offsets();
}
