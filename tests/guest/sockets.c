/* SPDX-License-Identifier: Apache-2.0 */
/* socket(7), tcp(7), udp(7), ip(7) over the loopback interface */
#include "t.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

static char buf[1 << 20], back[1 << 20];

static struct sockaddr_in at(int port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

#define SA(a) ((struct sockaddr *)&(a))

static int getopt_int(int fd, int level, int name)
{
    int v = -1;
    socklen_t l = sizeof v;
    return getsockopt(fd, level, name, &v, &l) == 0 ? v : -1;
}

static int setopt_int(int fd, int level, int name, int v) { return setsockopt(fd, level, name, &v, sizeof v); }

static void pair(int ret[2], int *listener)
{
    struct sockaddr_in a = at(0);
    socklen_t l = sizeof a;
    *listener = socket(AF_INET, SOCK_STREAM, 0);
    bind(*listener, SA(a), sizeof a);
    listen(*listener, 5);
    getsockname(*listener, SA(a), &l);
    ret[0] = socket(AF_INET, SOCK_STREAM, 0);
    connect(ret[0], SA(a), sizeof a);
    ret[1] = accept(*listener, NULL, NULL);
}

static void creation(void)
{
    section("socket");
    SHOW(socket(99, SOCK_STREAM, 0));
    SHOW(socket(AF_INET, 99, 0));
    SHOW(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP));
    SHOW(socket(AF_INET, SOCK_STREAM | 0x4000, 0));
    int s = SHOW_OK(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
    SHOW(fcntl(s, F_GETFD));
    SHOW(fcntl(s, F_GETFL) & O_NONBLOCK);
    SHOW(getopt_int(s, SOL_SOCKET, SO_TYPE));
    SHOW(getopt_int(s, SOL_SOCKET, SO_DOMAIN));
    SHOW(getopt_int(s, SOL_SOCKET, SO_PROTOCOL));
    SHOW(getopt_int(s, SOL_SOCKET, SO_ACCEPTCONN));
    SHOW(getopt_int(s, SOL_SOCKET, SO_REUSEADDR));
    SHOW(setopt_int(s, SOL_SOCKET, SO_REUSEADDR, 1));
    SHOW(getopt_int(s, SOL_SOCKET, SO_REUSEADDR));
    SHOW(setopt_int(s, SOL_SOCKET, SO_KEEPALIVE, 1));
    SHOW(setopt_int(s, IPPROTO_TCP, TCP_NODELAY, 1));
    SHOW(getopt_int(s, IPPROTO_TCP, TCP_NODELAY));
    SHOW(setopt_int(s, IPPROTO_TCP, TCP_KEEPIDLE, 100));
    SHOW(getopt_int(s, IPPROTO_TCP, TCP_KEEPIDLE));
    SHOW(setopt_int(s, IPPROTO_TCP, TCP_KEEPIDLE, 0));
    SHOW(setopt_int(s, IPPROTO_TCP, 9999, 0));
    SHOW(setopt_int(s, 9999, 1, 0));
    SHOW(setsockopt(s, SOL_SOCKET, SO_REUSEADDR, buf, 2));
    SHOW(setsockopt(99, SOL_SOCKET, SO_REUSEADDR, buf, 4));
    SHOW(setsockopt(1, SOL_SOCKET, SO_REUSEADDR, buf, 4));
    struct sockaddr_in a = at(0);
    SHOW(bind(s, SA(a), 4));
    a.sin_family = AF_UNIX;
    SHOW(bind(s, SA(a), sizeof a));
    a = at(0);
    a.sin_addr.s_addr = htonl(0x01020304);
    SHOW(bind(s, SA(a), sizeof a));
    a = at(0);
    SHOW(accept(s, NULL, NULL));
    SHOW(bind(s, SA(a), sizeof a));
    SHOW(bind(s, SA(a), sizeof a));
    SHOW(listen(s, 5));
    SHOW(getopt_int(s, SOL_SOCKET, SO_ACCEPTCONN));
    SHOW(accept(s, NULL, NULL));
    socklen_t l = sizeof a;
    SHOW(getpeername(s, SA(a), &l));
    SHOW(getsockname(s, SA(a), &l));
    SHOW(l);
    SHOW_TRUE(ntohs(a.sin_port) >= 1024);
    int t = socket(AF_INET, SOCK_STREAM, 0);
    SHOW(bind(t, SA(a), sizeof a));
    SHOW(send(t, "x", 1, MSG_NOSIGNAL));
    SHOW(recv(t, buf, 1, 0));
    SHOW(shutdown(t, SHUT_RD));
    close(s);
    SHOW(connect(t, SA(a), sizeof a));
    close(t);
}

static void streams(void)
{
    section("tcp stream");
    int c[2], l;
    pair(c, &l);
    SHOW(send(c[0], "hello", 5, 0));
    SHOW(recv(c[1], buf, 3, MSG_PEEK));
    SHOW(recv(c[1], buf, 100, 0));
    SHOW(recv(c[1], buf, 100, MSG_DONTWAIT));
    SHOW(write(c[1], "abc", 3));
    SHOW(write(c[1], "def", 3));
    SHOW(recv(c[0], buf, 6, MSG_WAITALL));
    SHOW_TRUE(memcmp(buf, "abcdef", 6) == 0);
    int n = -1;
    write(c[0], "1234", 4);
    usleep(10000);
    SHOW(ioctl(c[1], FIONREAD, &n));
    SHOW(n);
    struct iovec v[2] = {{buf, 2}, {buf + 10, 2}};
    struct msghdr m = {.msg_iov = v, .msg_iovlen = 2};
    SHOW(recvmsg(c[1], &m, 0));
    SHOW(m.msg_flags);
    SHOW(connect(c[0], (struct sockaddr *)&(struct sockaddr_in){.sin_family = AF_INET}, sizeof(struct sockaddr_in)));
    struct sockaddr_in a;
    socklen_t al = sizeof a;
    SHOW(getpeername(c[0], SA(a), &al));
    SHOW_STR(inet_ntoa(a.sin_addr));
    struct pollfd pf = {c[1], POLLIN | POLLOUT | POLLRDHUP, 0};
    SHOW(poll(&pf, 1, 0));
    SHOW(pf.revents);
    SHOW(shutdown(c[0], SHUT_WR));
    usleep(10000);
    SHOW(poll(&pf, 1, 100));
    SHOW(pf.revents);
    SHOW(recv(c[1], buf, 10, 0));
    SHOW(recv(c[1], buf, 10, 0));
    SHOW(send(c[0], "x", 1, MSG_NOSIGNAL));
    SHOW(send(c[1], "still", 5, 0));
    SHOW(recv(c[0], buf, 10, 0));
    close(c[1]);
    SHOW(recv(c[0], buf, 10, 0));
    SHOW(shutdown(c[0], 77));
    close(c[0]);
    close(l);

    section("reset");
    pair(c, &l);
    struct linger lg = {1, 0};
    SHOW(setsockopt(c[0], SOL_SOCKET, SO_LINGER, &lg, sizeof lg));
    close(c[0]);
    usleep(10000);
    SHOW(recv(c[1], buf, 10, 0));
    SHOW(recv(c[1], buf, 10, 0));
    SHOW(send(c[1], "x", 1, MSG_NOSIGNAL));
    close(c[1]);
    close(l);
    pair(c, &l);
    write(c[0], "unread", 6);
    usleep(10000);
    close(c[1]);
    usleep(10000);
    SHOW(getopt_int(c[0], SOL_SOCKET, SO_ERROR) == ECONNRESET);
    close(c[0]);
    close(l);
}

static void *sender(void *arg)
{
    size_t done = 0;
    while (done < sizeof buf) {
        ssize_t n = write(*(int *)arg, buf + done, sizeof buf - done);
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    shutdown(*(int *)arg, SHUT_WR);
    return (void *)done;
}

static void bulk(void)
{
    section("bulk");
    int c[2], l;
    pair(c, &l);
    for (size_t i = 0; i < sizeof buf; i++)
        buf[i] = (char)(i * 2654435761u >> 13);
    pthread_t t;
    pthread_create(&t, NULL, sender, &c[0]);
    size_t got = 0;
    for (ssize_t n; (n = read(c[1], back + got, sizeof back - got)) > 0;)
        got += (size_t)n;
    void *sent;
    pthread_join(t, &sent);
    SHOW((long)sent);
    SHOW(got);
    SHOW_TRUE(memcmp(buf, back, sizeof buf) == 0);
    close(c[0]), close(c[1]), close(l);
}

static void nonblocking(void)
{
    section("non-blocking");
    struct sockaddr_in a = at(0);
    socklen_t al = sizeof a;
    int l = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    bind(l, SA(a), sizeof a);
    listen(l, 1);
    getsockname(l, SA(a), &al);
    int e = epoll_create1(0);
    struct epoll_event ev = {EPOLLIN, {.fd = l}}, out[4];
    epoll_ctl(e, EPOLL_CTL_ADD, l, &ev);
    SHOW(epoll_wait(e, out, 4, 0));
    int c = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int r = connect(c, SA(a), sizeof a);
    SHOW_TRUE(r == 0 || errno == EINPROGRESS);
    struct pollfd pf = {c, POLLOUT, 0};
    SHOW(poll(&pf, 1, 1000));
    SHOW(getopt_int(c, SOL_SOCKET, SO_ERROR));
    SHOW(connect(c, SA(a), sizeof a));
    SHOW(epoll_wait(e, out, 4, 1000));
    int s = SHOW_OK(accept4(l, NULL, NULL, SOCK_NONBLOCK));
    SHOW(accept4(l, NULL, NULL, 0x777));
    SHOW(recv(s, buf, 1, 0));
    size_t total = 0;
    for (ssize_t n; (n = send(c, buf, sizeof buf, 0)) > 0;)
        total += (size_t)n;
    SHOW_TRUE(errno == EAGAIN && total > 10000);
    pf.revents = 0;
    SHOW(poll(&pf, 1, 0));
    size_t got = 0;
    while (got < total) {
        ssize_t n = recv(s, back, sizeof back, 0);
        if (n > 0)
            got += (size_t)n;
        else if (errno == EAGAIN)
            usleep(1000);
        else
            break;
    }
    SHOW_TRUE(got == total);
    SHOW(poll(&pf, 1, 1000));
    struct timeval tv = {0, 10000};
    fcntl(s, F_SETFL, 0);
    SHOW(setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv));
    SHOW(recv(s, buf, 1, 0));
    close(c), close(s), close(l), close(e);
    c = socket(AF_INET, SOCK_STREAM, 0);
    SHOW(connect(c, SA(a), sizeof a));
    close(c);
}

static void datagrams(void)
{
    section("udp");
    struct sockaddr_in a = at(0), from;
    socklen_t l = sizeof a, fl = sizeof from;
    int s = socket(AF_INET, SOCK_DGRAM, 0), c = socket(AF_INET, SOCK_DGRAM, 0);
    SHOW(bind(s, SA(a), sizeof a));
    getsockname(s, SA(a), &l);
    SHOW(sendto(c, "one", 3, 0, SA(a), sizeof a));
    SHOW(sendto(c, "", 0, 0, SA(a), sizeof a));
    SHOW(sendto(c, "three", 5, 0, SA(a), sizeof a));
    SHOW(recvfrom(s, buf, 100, 0, SA(from), &fl));
    SHOW(fl);
    SHOW_STR(inet_ntoa(from.sin_addr));
    SHOW(recvfrom(s, buf, 100, 0, NULL, NULL));
    SHOW(recvfrom(s, buf, 2, MSG_TRUNC, NULL, NULL));
    SHOW(recvfrom(s, buf, 2, MSG_DONTWAIT, NULL, NULL));
    SHOW(send(c, "x", 1, 0));
    SHOW(connect(c, SA(a), sizeof a));
    SHOW(send(c, "conn", 4, 0));
    SHOW(recv(s, buf, 100, 0));
    SHOW(sendto(s, "back", 4, 0, SA(from), sizeof from));
    SHOW(recv(c, buf, 100, 0));
    SHOW(sendto(c, buf, 70000, 0, NULL, 0));
    struct iovec v = {buf, 2};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};
    send(c, "long message", 12, 0);
    SHOW(recvmsg(s, &m, 0));
    SHOW(m.msg_flags == MSG_TRUNC);
    struct mmsghdr mm[2] = {{.msg_hdr = m}, {.msg_hdr = m}};
    SHOW(sendmmsg(c, mm, 2, 0));
    SHOW(recvmmsg(s, mm, 2, 0, NULL));
    close(s);
    SHOW(send(c, "x", 1, 0));
    usleep(10000);
    SHOW(send(c, "x", 1, 0));
    SHOW(listen(c, 1));
    SHOW(accept(c, NULL, NULL));
    close(c);
}

static void unix_sockets(void)
{
    section("unix pair");
    int p[2];
    if (SHOW(socketpair(AF_UNIX, SOCK_STREAM, 0, p)) != 0)
        return;
    SHOW(write(p[0], "hi", 2));
    SHOW(read(p[1], buf, 10));
    SHOW(close(p[0]));
    SHOW(read(p[1], buf, 10));
    SHOW(send(p[1], "x", 1, MSG_NOSIGNAL));
    close(p[1]);
    SHOW(socketpair(AF_UNIX, SOCK_DGRAM, 0, p));
    SHOW(write(p[0], "abc", 3));
    SHOW(write(p[0], "d", 1));
    SHOW(read(p[1], buf, 10));
    SHOW(read(p[1], buf, 10));
    close(p[0]), close(p[1]);
    SHOW(socketpair(AF_INET, SOCK_STREAM, 0, p));
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    creation();
    streams();
    bulk();
    nonblocking();
    datagrams();
    unix_sockets();
    return 0;
}
