/* SPDX-License-Identifier: Apache-2.0 */
/* TCP and UDP over loopback: which error comes first, what is left of a connection that ended, and of whom a socket is once it was bound or connected. */
#include "sockets.h"
#include "t.h"
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

static struct sockaddr_in v4(int fd)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    if (fd != -1)
        getsockname(fd, (struct sockaddr *)&a, &n);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
}

#define AT(a) (struct sockaddr *)&(a), sizeof(a)
#define AT_OF(a, n) (struct sockaddr *)&(a), &(n)

static void events(int fd)
{
    struct pollfd p = {fd, 0x7fff, 0};
    for (int i = 0; i < 500 && (p.revents & POLLHUP) == 0; i++) {
        usleep(1000);
        poll(&p, 1, 0);
    }
    printf("polls %x\n", p.revents);
}

/* A port that nobody listens on. */
static void refused(void)
{
    int t = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), l = socket(AF_INET, SOCK_STREAM, 0), u = socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in a = v4(-1), other = a;
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    char c;
    bind(u, AT(other));
    other = v4(u); /* free for TCP, as good as surely */
    bind(l, AT(a));
    a = v4(l);
    close(l);
    SHOW(bind(t, AT(a)));
    SHOW(connect(t, AT(other)));
    events(t);
    SHOW(listen(t, 1)); /* it has not been told yet */
    SHOW(connect(t, AT(other)));
    SHOW(bind(t, AT(other))); /* its port is its own still */
    SHOW_TRUE(v4(t).sin_port == a.sin_port);
    a.sin_port = 0;
    SHOW(connect(t, AT(a)));
    events(t);
    SHOW(recv(t, &c, 1, 0));
    close(t);
    t = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    bind(t, AT(a));
    listen(t, 1);
    SHOW(connect(t, AT(six)));
    SHOW(recv(t, &c, 1, MSG_OOB));
    SHOW(recv(t, &c, 1, MSG_OOB | MSG_ERRQUEUE));
    close(t);
    close(u);
}

/* Behind the end. */
static void ended(void)
{
    int l = socket(AF_INET, SOCK_STREAM, 0), t = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in a = v4(-1);
    struct pollfd p;
    char c;
    bind(l, AT(a));
    listen(l, 1);
    a = v4(l);
    SHOW(connect(t, AT(a))); /* however near the other side is */
    int k = accept(l, NULL, NULL);
    p = (struct pollfd){t, POLLOUT, 0};
    poll(&p, 1, 10000);
    SHOW(connect(t, AT(a)));
    SHOW(connect(t, AT(a)));
    SHOW(recv(t, NULL, 0, 0)); /* EAGAIN: there is no byte to take none of */
    SHOW(send(k, "x", 1, 0));
    p = (struct pollfd){t, POLLIN, 0};
    poll(&p, 1, 10000);
    SHOW(recv(t, NULL, 0, 0));
    SHOW(recv(t, &c, 1, 0));
    close(k);
    p = (struct pollfd){t, POLLRDHUP, 0};
    poll(&p, 1, 10000);
    SHOW(send(t, "x", 1, MSG_NOSIGNAL)); /* is answered by a reset */
    events(t);
    SHOW(recv(t, &c, 1, 0)); /* the end came first */
    SHOW(recvmmsg(t, NULL, 0, 0, NULL));
    SHOW(recvmmsg(t, NULL, 0, 0, NULL));
    SHOW(connect(t, AT(a)));
    SHOW(listen(t, 1));
    SHOW(connect(t, &(struct sockaddr){.sa_family = AF_UNSPEC}, 16));
    SHOW(connect(t, AT(a)));
    k = accept(l, NULL, NULL);
    SHOW(send(k, "x", 1, MSG_OOB));
    p = (struct pollfd){t, POLLPRI, 0};
    poll(&p, 1, 10000);
    SHOW(setsockopt(k, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger)));
    close(k); /* by a reset */
    events(t);
    SHOW(recv(t, &c, 1, MSG_OOB));
    SHOW(recv(t, &c, 1, MSG_OOB));
    close(t);
    close(l);
}

static void datagrams_of(int family)
{
    int u = socket(family, SOCK_DGRAM | SOCK_NONBLOCK, 0), w = socket(family, SOCK_DGRAM | SOCK_NONBLOCK, 0), on = 1;
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    struct sockaddr_in four = v4(-1);
    struct sockaddr *at = family == AF_INET ? (struct sockaddr *)&four : (struct sockaddr *)&a;
    socklen_t n = family == AF_INET ? sizeof four : sizeof a, len = sizeof on;
    char c;
    SHOW(sendto(w, "x", 1, 0, at, n)); /* no port: EINVAL, but now it has one itself */
    SHOW(bind(w, at, n));
    SHOW(bind(u, at, n));
    if (family == AF_INET6) {
        SHOW(getsockopt(u, IPPROTO_IPV6, IPV6_V6ONLY, &on, &len));
        SHOW(on);
        SHOW(connect(u, AT(four)));
        SHOW(connect(w, AT(four)));
        SHOW(sendto(w, "x", 1, 0, AT(a)));
        close(w);
        w = socket(family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    }
    getsockname(u, at, &n);
    SHOW(connect(w, at, n));
    SHOW(send(w, "x", 1, MSG_OOB)); /* which IPv6 does not mind */
    SHOW(recv(u, &c, 1, MSG_OOB));
    SHOW(recv(u, &c, 1, MSG_OOB));
    SHOW(shutdown(w, SHUT_RDWR));
    SHOW(recv(w, &c, 1, 0));
    if (family == AF_INET)
        four.sin_port = 0;
    else
        a.sin6_port = 0;
    SHOW(sendto(w, "x", 1, MSG_NOSIGNAL, at, n)); /* before EPIPE */
    SHOW(send(w, "x", 1, MSG_NOSIGNAL));
    SHOW(setsockopt(w, SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
    SHOW(getsockopt(w, SOL_SOCKET, SO_PASSCRED, &on, &len));
    SHOW(getsockopt(w, IPPROTO_TCP, 1, &on, &len));
    SHOW(getsockopt(w, IPPROTO_IP, IP_MTU_DISCOVER, &on, &len));
    SHOW(on);
    len = 2;
    SHOW(getsockopt(w, IPPROTO_IP, IP_TOS, &on, &len));
    SHOW(len);
    SHOW(setsockopt(w, IPPROTO_IP, IP_RECVTTL, NULL, 0));
    SHOW(setsockopt(w, IPPROTO_IP, IP_TTL, NULL, 0));
    SHOW(setsockopt(w, IPPROTO_IP, 999, NULL, 0));
    close(u);
    close(w);
}

/* What is asked of a socket before it is connected, and of whom it is in the way. */
static void before(void)
{
    int l = socket(AF_INET, SOCK_STREAM, 0), t = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), w = socket(AF_INET, SOCK_STREAM, 0), u = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in a = v4(-1), two = a;
    socklen_t n = sizeof a;
    char c;
    SHOW(shutdown(t, SHUT_RD));
    SHOW(recv(t, &c, 1, 0));
    bind(l, AT(a));
    listen(l, 1);
    a = v4(l);
    close(l);
    SHOW(connect(t, AT(a)));
    events(t);
    SHOW(shutdown(t, SHUT_RDWR));
    SHOW(connect(t, AT(a)));
    SHOW(send(t, "", 0, MSG_NOSIGNAL)); /* what is pending, once */
    SHOW(send(t, "", 0, MSG_NOSIGNAL));
    close(t);
    l = socket(AF_INET, SOCK_STREAM, 0);
    two.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
    bind(l, AT(two));
    listen(l, 1);
    getsockname(l, AT_OF(two, n));
    t = socket(AF_INET, SOCK_STREAM, 0);
    SHOW(connect(t, AT(two)));
    getsockname(t, AT_OF(a, n));
    SHOW(ntohl(a.sin_addr.s_addr) - INADDR_LOOPBACK); /* 127.0.0.1 all the same */
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 2);
    SHOW(bind(w, AT(a)));
    close(l);
    close(t);
    close(w);
    SHOW(sendto(u, "x", 1, 0, (struct sockaddr *)&a, 0));
    a = v4(-1);
    SHOW(connect(u, AT(a)));
    SHOW(send(u, "x", 1, 0)); /* to port 0: nobody is there */
    SHOW(recv(u, &c, 1, 0));
    SHOW(setsockopt(u, IPPROTO_IP, IP_MULTICAST_IF, &(struct ip_mreqn){.imr_ifindex = 70000}, sizeof(struct ip_mreqn)));
    close(u);
}

void inet_orders(void)
{
    printf("== which comes first\n");
    refused();
    ended();
    datagrams_of(AF_INET);
    datagrams_of(AF_INET6);
    int t = socket(AF_INET6, SOCK_STREAM, 0), v = 2;
    SHOW(setsockopt(t, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &v, sizeof v));
    SHOW(setsockopt(t, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, &v, sizeof v));
    v = 256;
    SHOW(setsockopt(t, IPPROTO_IPV6, IPV6_TCLASS, &v, sizeof v));
    SHOW(setsockopt(t, IPPROTO_UDP, 999, &v, sizeof v));
    close(t);
    before();
}
