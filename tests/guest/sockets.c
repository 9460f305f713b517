/* SPDX-License-Identifier: Apache-2.0 */
/* socket(7), tcp(7), udp(7), ip(7) over the loopback interface */
#include "sockets.h"
#include "t.h"
#include "../send_fd.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>

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
    if (r != 0) /* in progress then: told once how it went */
        SHOW(connect(c, SA(a), sizeof a));
    else
        printf("connect(c, SA(a), sizeof a) = 0\n");
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

/* --- IPv6: only ::1 and mapped addresses, which every Linux has --------------------- */

static struct sockaddr_in6 at6(const char *text, int port)
{
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    inet_pton(AF_INET6, text, &a.sin6_addr);
    return a;
}

static const char *text6(const struct sockaddr_in6 *a)
{
    static char text[INET6_ADDRSTRLEN];
    return a->sin6_family == AF_INET6 ? inet_ntop(AF_INET6, &a->sin6_addr, text, sizeof text) : "not IPv6";
}

/* A listener at address:0; its port goes into *ret. */
static int listen6(const char *text, int only, int *ret)
{
    struct sockaddr_in6 a = at6(text, 0);
    socklen_t l = sizeof a;
    int s = socket(AF_INET6, SOCK_STREAM, 0);
    setopt_int(s, IPPROTO_IPV6, IPV6_V6ONLY, only);
    SHOW(bind(s, SA(a), sizeof a));
    SHOW(listen(s, 5));
    getsockname(s, SA(a), &l);
    SHOW(l);
    SHOW_STR(text6(&a));
    *ret = ntohs(a.sin6_port);
    return s;
}

static void names6(int fd)
{
    struct sockaddr_in6 a;
    socklen_t l = sizeof a;
    memset(&a, 0, sizeof a);
    SHOW(getsockname(fd, SA(a), &l));
    SHOW_STR(text6(&a));
    SHOW(getpeername(fd, SA(a), &l));
    SHOW_STR(text6(&a));
    SHOW(l);
    SHOW(a.sin6_flowinfo);
    SHOW(a.sin6_scope_id);
}

static void ipv6_streams(void)
{
    section("tcp over ipv6");
    int port, l = listen6("::1", 0, &port), c, s;
    struct sockaddr_in6 a = at6("::1", port);
    c = socket(AF_INET6, SOCK_STREAM, 0);
    SHOW(getopt_int(c, SOL_SOCKET, SO_DOMAIN));
    SHOW(connect(c, SA(a), 20));
    SHOW(connect(c, SA(a), sizeof a));
    s = SHOW_OK(accept(l, NULL, NULL));
    names6(c);
    names6(s);
    SHOW(send(c, "hello", 5, 0));
    SHOW(recv(s, buf, 100, 0));
    SHOW(send(s, buf, 60000, 0));
    SHOW(recv(c, back, 60000, MSG_WAITALL));
    SHOW(connect(c, SA(a), sizeof a));
    close(c), close(s), close(l);
    c = socket(AF_INET6, SOCK_STREAM, 0);
    SHOW(connect(c, SA(a), sizeof a));
    close(c);

    section("dual stack");
    l = listen6("::", 0, &port);
    struct sockaddr_in a4 = at(port);
    c = socket(AF_INET, SOCK_STREAM, 0);
    SHOW(connect(c, SA(a4), sizeof a4));
    s = SHOW_OK(accept(l, NULL, NULL));
    names6(s);
    close(c), close(s);
    a = at6("::ffff:127.0.0.1", port);
    c = socket(AF_INET6, SOCK_STREAM, 0);
    SHOW(connect(c, SA(a), sizeof a));
    names6(c);
    close(c);
    int t = socket(AF_INET, SOCK_STREAM, 0);
    a4.sin_addr.s_addr = 0;
    SHOW(bind(t, SA(a4), sizeof a4));
    close(t), close(l);

    section("v6only");
    l = listen6("::", 1, &port);
    SHOW(getopt_int(l, IPPROTO_IPV6, IPV6_V6ONLY));
    SHOW(setopt_int(l, IPPROTO_IPV6, IPV6_V6ONLY, 0));
    a4 = at(port);
    c = socket(AF_INET, SOCK_STREAM, 0);
    SHOW(connect(c, SA(a4), sizeof a4));
    close(c);
    t = socket(AF_INET, SOCK_STREAM, 0);
    a4.sin_addr.s_addr = 0;
    SHOW(bind(t, SA(a4), sizeof a4));
    SHOW(listen(t, 1));
    close(t), close(l);
    c = socket(AF_INET6, SOCK_STREAM, 0);
    SHOW(getopt_int(c, IPPROTO_IPV6, IPV6_V6ONLY));
    SHOW(setopt_int(c, IPPROTO_IPV6, IPV6_V6ONLY, 1));
    a = at6("::ffff:127.0.0.1", 0);
    SHOW(bind(c, SA(a), sizeof a));
    a.sin6_port = htons(1);
    SHOW(connect(c, SA(a), sizeof a));
    close(c);
    c = socket(AF_INET6, SOCK_STREAM, 0);
    a = at6("2001:db8::1", 0);
    SHOW(bind(c, SA(a), sizeof a));
    a4 = at(0);
    SHOW(bind(c, SA(a4), sizeof a4));
    a.sin6_family = AF_INET;
    SHOW(bind(c, SA(a), sizeof a));
    close(c);
}

/* Sent with one control message; the receiver is told of hop limit and class. */
static void send_with(int s, const void *to, socklen_t tolen, int level, int type, int value, size_t len, int recv_level)
{
    char control[CMSG_SPACE(sizeof(int))] = {0}, got[200];
    struct iovec v = {"x", 1}, rv = {buf, sizeof buf};
    struct msghdr m = {.msg_name = (void *)to, .msg_namelen = tolen, .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(len)};
    struct msghdr r = {.msg_iov = &rv, .msg_iovlen = 1, .msg_control = got, .msg_controllen = sizeof got};
    *CMSG_FIRSTHDR(&m) = (struct cmsghdr){.cmsg_len = CMSG_LEN(len), .cmsg_level = level, .cmsg_type = type};
    memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &value, len);
    int c = socket(((const struct sockaddr *)to)->sa_family, SOCK_DGRAM, 0);
    printf("level %d, type %d, %d in %zu bytes: ", level, type, value, len);
    SHOW(sendmsg(c, &m, 0));
    close(c);
    if (recvmsg(s, &r, MSG_DONTWAIT) < 0)
        return;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&r); h != NULL; h = CMSG_NXTHDR(&r, h)) {
        value = 0;
        memcpy(&value, CMSG_DATA(h), h->cmsg_len - CMSG_LEN(0));
        printf("  received: level %s, type %d, %d\n", h->cmsg_level == recv_level ? "the same" : "another", h->cmsg_type, value);
    }
}

static void control_of_one(void)
{
    section("hop limit and class of one datagram");
    static const struct {
        int type, value;
        size_t len;
    } of4[] = {{IP_TTL, 2, 4}, {IP_TTL, 0, 4}, {IP_TTL, 256, 4}, {IP_TTL, -1, 4}, {IP_TTL, 7, 1}, {IP_TOS, 0x28, 4}, {IP_TOS, 0x30, 1}, {IP_TOS, 256, 4},
               {IP_TOS, -1, 4}, {IP_PKTINFO, 0, 4}, {IP_MTU_DISCOVER, 2, 4}},
      of6[] = {{IPV6_HOPLIMIT, 2, 4}, {IPV6_HOPLIMIT, 0, 4}, {IPV6_HOPLIMIT, -1, 4}, {IPV6_HOPLIMIT, -2, 4}, {IPV6_HOPLIMIT, 256, 4}, {IPV6_HOPLIMIT, 7, 1},
               {IPV6_TCLASS, 0x28, 4}, {IPV6_TCLASS, 256, 4}, {IPV6_TCLASS, 1, 1}, {IPV6_PKTINFO, 0, 4}, {IPV6_UNICAST_HOPS, 2, 4}};
    struct sockaddr_in a = at(0);
    struct sockaddr_in6 a6 = at6("::1", 0);
    socklen_t l = sizeof a, l6 = sizeof a6;
    int s = socket(AF_INET, SOCK_DGRAM, 0), s6 = socket(AF_INET6, SOCK_DGRAM, 0);
    bind(s, SA(a), l), bind(s6, SA(a6), l6);
    getsockname(s, SA(a), &l), getsockname(s6, SA(a6), &l6);
    setopt_int(s, IPPROTO_IP, IP_RECVTTL, 1), setopt_int(s, IPPROTO_IP, IP_RECVTOS, 1);
    setopt_int(s6, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1), setopt_int(s6, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
    for (size_t i = 0; i < sizeof of4 / sizeof *of4; i++)
        send_with(s, &a, l, IPPROTO_IP, of4[i].type, of4[i].value, of4[i].len, IPPROTO_IP);
    for (size_t i = 0; i < sizeof of6 / sizeof *of6; i++)
        send_with(s6, &a6, l6, IPPROTO_IPV6, of6[i].type, of6[i].value, of6[i].len, IPPROTO_IPV6);
    close(s), close(s6);
}

static void ipv6_datagrams(void)
{
    section("udp over ipv6");
    struct sockaddr_in6 a = at6("::", 0), from;
    socklen_t l = sizeof a, fl = sizeof from;
    int s = socket(AF_INET6, SOCK_DGRAM, 0), c = socket(AF_INET6, SOCK_DGRAM, 0), c4 = socket(AF_INET, SOCK_DGRAM, 0);
    SHOW(bind(s, SA(a), sizeof a));
    getsockname(s, SA(a), &l);
    SHOW(setopt_int(s, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1));
    struct sockaddr_in a4 = at(ntohs(a.sin6_port));
    SHOW(sendto(c4, "four", 4, 0, SA(a4), sizeof a4));
    SHOW(recvfrom(s, buf, 100, 0, SA(from), &fl));
    SHOW(fl);
    SHOW_STR(text6(&from));
    a = at6("::1", ntohs(a.sin6_port));
    SHOW(sendto(c, "six", 3, 0, SA(a), sizeof a));
    char control[100];
    struct iovec v = {buf, sizeof buf};
    struct msghdr m = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &v, .msg_iovlen = 1, .msg_control = control,
                       .msg_controllen = sizeof control};
    SHOW(recvmsg(s, &m, 0));
    SHOW_STR(text6(&from));
    SHOW(m.msg_controllen);
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    SHOW(h->cmsg_level);
    SHOW(h->cmsg_type);
    SHOW(h->cmsg_len);
    struct in6_pktinfo info;
    memcpy(&info, CMSG_DATA(h), sizeof info);
    SHOW_TRUE(IN6_IS_ADDR_LOOPBACK(&info.ipi6_addr) && info.ipi6_ifindex == 1);
    SHOW(connect(c, SA(a), sizeof a));
    SHOW(send(c, "conn", 4, 0));
    SHOW(recv(s, buf, 100, 0));
    names6(c);
    SHOW(connect(c, (struct sockaddr *)&(struct sockaddr){.sa_family = AF_UNSPEC}, sizeof(struct sockaddr)));
    struct sockaddr_in6 mapped = at6("::ffff:127.0.0.1", ntohs(a.sin6_port));
    SHOW(connect(c, SA(mapped), sizeof mapped));
    SHOW(send(c, "mapped", 6, 0));
    SHOW(recvfrom(s, buf, 100, 0, SA(from), &fl));
    SHOW_STR(text6(&from));
    close(c);
    c = socket(AF_INET6, SOCK_DGRAM, 0);
    SHOW(connect(c, SA(a), sizeof a));
    close(s);
    SHOW(send(c, "x", 1, 0));
    usleep(10000);
    SHOW(send(c, "x", 1, 0));
    close(c), close(c4);

    section("ipv6 options");
    s = socket(AF_INET6, SOCK_DGRAM, 0);
    SHOW(getopt_int(s, IPPROTO_IPV6, IPV6_UNICAST_HOPS));
    SHOW(setopt_int(s, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 7));
    SHOW(getopt_int(s, IPPROTO_IPV6, IPV6_UNICAST_HOPS));
    SHOW(setopt_int(s, IPPROTO_IPV6, IPV6_UNICAST_HOPS, 256));
    static const int preferences[] = {0, 1, 2, 3, 0x100, 0x102, 4, 0x400, 0x404, 8, 0x808, 0x1000, 0x105, 0x400, 0x901};
    for (unsigned i = 0; i < sizeof preferences / sizeof preferences[0]; i++) {
        SHOW(setopt_int(s, IPPROTO_IPV6, IPV6_ADDR_PREFERENCES, preferences[i]));
        SHOW(getopt_int(s, IPPROTO_IPV6, IPV6_ADDR_PREFERENCES));
    }
    SHOW(setopt_int(s, IPPROTO_IPV6, IPV6_UNICAST_HOPS, -1));
    SHOW(getopt_int(s, IPPROTO_IPV6, IPV6_UNICAST_HOPS));
    SHOW(setopt_int(s, IPPROTO_IPV6, IPV6_TCLASS, 32));
    SHOW(getopt_int(s, IPPROTO_IPV6, IPV6_TCLASS));
    SHOW(getopt_int(s, IPPROTO_IPV6, IPV6_MULTICAST_HOPS));
    SHOW(getopt_int(s, IPPROTO_IPV6, IPV6_MULTICAST_LOOP));
    SHOW(setopt_int(s, IPPROTO_IPV6, IPV6_RECVERR, 1));
    SHOW(setopt_int(s, IPPROTO_IPV6, 9999, 1));
    close(s);
    s = socket(AF_INET, SOCK_DGRAM, 0);
    SHOW(setopt_int(s, IPPROTO_IPV6, IPV6_V6ONLY, 1));
    close(s);
    SHOW(socket(AF_INET6, SOCK_STREAM, IPPROTO_UDP));
    SHOW(socketpair(AF_INET6, SOCK_STREAM, 0, (int[2]){0}));
}

/* --- AF_UNIX -------------------------------------------------------------------------- */

static void unix_named(const char *label, const struct sockaddr_un *a, socklen_t len)
{
    section(label);
    int l = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0), s;
    SHOW(connect(c, (const struct sockaddr *)a, len));
    SHOW(bind(l, (const struct sockaddr *)a, len));
    SHOW(connect(c, (const struct sockaddr *)a, len));
    SHOW(listen(l, 2));
    SHOW(connect(c, (const struct sockaddr *)a, len));
    s = SHOW_OK(accept(l, NULL, NULL));
    struct sockaddr_un got;
    socklen_t gl = sizeof got;
    SHOW(getpeername(c, SA(got), &gl));
    SHOW(gl == len || gl == len + 1); /* a path's end byte is counted */
    SHOW_TRUE(memcmp(&got, a, len) == 0);
    gl = sizeof got;
    SHOW(getsockname(c, SA(got), &gl));
    SHOW(gl);
    SHOW(send(c, "abc", 3, 0));
    SHOW(recv(s, buf, 10, 0));
    struct ucred who = {0};
    socklen_t wl = sizeof who;
    SHOW(getsockopt(s, SOL_SOCKET, SO_PEERCRED, &who, &wl));
    SHOW_TRUE(who.pid == getpid() && who.uid == getuid() && who.gid == getgid());
    int again = socket(AF_UNIX, SOCK_STREAM, 0);
    SHOW(bind(again, (const struct sockaddr *)a, len));
    close(again), close(c), close(s), close(l);
    c = socket(AF_UNIX, SOCK_STREAM, 0);
    SHOW(connect(c, (const struct sockaddr *)a, len));
    close(c);
}

/* A stream has no groups. */
static void stream_groups(void)
{
    section("groups of a stream");
    int s = socket(AF_INET, SOCK_STREAM, 0), u = socket(AF_INET, SOCK_DGRAM, 0), ttl = 3;
    SHOW(setsockopt(s, IPPROTO_IP, IP_MULTICAST_TTL, &ttl, sizeof ttl));
    SHOW(setsockopt(u, IPPROTO_IP, IP_MULTICAST_TTL, &ttl, sizeof ttl));
    close(s);
    close(u);
}

static void unix_rights(void)
{
    section("unix rights");
    int p[2], q[2], fd = -1;
    SHOW(socketpair(AF_UNIX, SOCK_STREAM, 0, p));
    SHOW(pipe(q));
    SHOW(send_fd(p[0], q[1], 0));
    close(q[1]);
    char control[CMSG_SPACE(sizeof fd)];
    struct iovec v = {buf, 10};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    for (int i = 0; i < 2; i++) { /* a look makes descriptors of its own */
        m.msg_controllen = sizeof control;
        SHOW(recvmsg(p[1], &m, MSG_PEEK));
        SHOW(m.msg_controllen);
        if (CMSG_FIRSTHDR(&m) != NULL) {
            memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
            SHOW(fcntl(fd, F_GETFD));
            SHOW(write(fd, "peek", 4));
            SHOW(close(fd));
            SHOW(read(q[0], buf, 100));
        }
    }
    m.msg_controllen = sizeof control;
    SHOW(recvmsg(p[1], &m, MSG_CMSG_CLOEXEC));
    SHOW(m.msg_controllen);
    SHOW(m.msg_flags & MSG_CTRUNC);
    struct cmsghdr *h = CMSG_FIRSTHDR(&m);
    SHOW_TRUE(h != NULL && h->cmsg_type == SCM_RIGHTS && h->cmsg_len == CMSG_LEN(sizeof fd));
    if (h != NULL)
        memcpy(&fd, CMSG_DATA(h), sizeof fd);
    SHOW(fcntl(fd, F_GETFD));
    SHOW(write(fd, "through", 7));
    SHOW(read(q[0], buf, 100));
    close(fd);
    SHOW(read(q[0], buf, 100));
    SHOW(send_fd(p[0], 999, 0));
    SHOW(send_fd(p[0], q[0], 0)); /* nobody takes it */
    close(p[0]), close(p[1]), close(q[0]);
}

/* Several control messages in one: their descriptors arrive together; bytes too few for a descriptor count for nothing. */
static void unix_rights_apart(void)
{
    section("unix rights apart");
    int p[2], q[2];
    SHOW(socketpair(AF_UNIX, SOCK_STREAM, 0, p));
    SHOW(pipe(q));
    char control[2 * CMSG_SPACE(sizeof(int))] = {0}, got[2 * CMSG_SPACE(2 * sizeof(int))];
    struct iovec v = {buf, 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *one = CMSG_FIRSTHDR(&m), *two = (struct cmsghdr *)(control + CMSG_SPACE(sizeof(int)));
    *one = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    *two = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
    memcpy(CMSG_DATA(one), &q[0], sizeof(int));
    memcpy(CMSG_DATA(two), &q[1], sizeof(int));
    for (size_t more = 0; more <= sizeof(int); more++) {
        two->cmsg_len = CMSG_LEN(more);
        SHOW(sendmsg(p[0], &m, 0));
        struct msghdr r = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = got, .msg_controllen = sizeof got};
        SHOW(recvmsg(p[1], &r, 0));
        struct cmsghdr *h = CMSG_FIRSTHDR(&r);
        printf("%zu: %zu bytes of descriptors\n", more, h != NULL ? h->cmsg_len - CMSG_LEN(0) : 0);
        for (size_t k = 0; h != NULL && CMSG_LEN((k + 1) * sizeof(int)) <= h->cmsg_len; k++)
            close(((int *)(void *)CMSG_DATA(h))[k]);
    }
    ((int *)(void *)CMSG_DATA(two))[0] = 999;
    SHOW(sendmsg(p[0], &m, 0));
    close(p[0]), close(p[1]), close(q[0]), close(q[1]);
}

static void *send_late(void *fd)
{
    usleep(20000);
    return write(*(int *)fd, "efgh", 4) == 4 ? NULL : fd;
}

/* Bytes before descriptors come with them, bytes behind them do not; a read that waits for all of its bytes keeps what came with the first. */
static void unix_rights_in_a_stream(void)
{
    section("unix rights in a stream");
    int p[2], one = 1;
    char control[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
    SHOW(socketpair(AF_UNIX, SOCK_STREAM, 0, p));
    for (int flags = 0; flags <= MSG_WAITALL; flags += MSG_WAITALL) {
        SHOW(write(p[0], "abcd", 4));
        SHOW(send_fd(p[0], p[1], 0));
        SHOW(write(p[0], "efgh", 4));
        for (int i = 0; i < 2; i++) {
            struct iovec v = {buf, i == 0 ? 9 : 4};
            struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
            SHOW(recvmsg(p[1], &m, flags));
            SHOW(m.msg_controllen);
            if (CMSG_FIRSTHDR(&m) != NULL)
                close(*(int *)(void *)CMSG_DATA(CMSG_FIRSTHDR(&m)));
        }
    }
    SHOW(setsockopt(p[1], SOL_SOCKET, SO_PASSCRED, &one, sizeof one));
    SHOW(write(p[0], "abcd", 4));
    pthread_t t;
    pthread_create(&t, NULL, send_late, &p[0]);
    struct iovec v = {buf, 8};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    SHOW(recvmsg(p[1], &m, MSG_WAITALL));
    SHOW(m.msg_controllen);
    pthread_join(t, NULL);
    close(p[0]), close(p[1]);
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
    ipv6_streams();
    ipv6_datagrams();
    control_of_one();
    unix_sockets();
    stream_groups();
    unix_rights();
    unix_rights_apart();
    unix_rights_in_a_stream();
    struct sockaddr_un a = {AF_UNIX, "\0drupe-guest-test"};
    unix_named("unix abstract", &a, offsetof(struct sockaddr_un, sun_path) + 17);
    char dir[] = "/tmp/drupe-sockets.XXXXXX";
    SHOW_TRUE(mkdtemp(dir) != NULL);
    snprintf(a.sun_path, sizeof a.sun_path, "%s/s", dir);
    unix_named("unix path", &a, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(a.sun_path) + 1));
    struct stat st;
    SHOW(stat(a.sun_path, &st));
    SHOW_TRUE(S_ISSOCK(st.st_mode));
    SHOW(unlink(a.sun_path));
    SHOW(rmdir(dir));
    unix_peers();
    inet_orders();
    return 0;
}
