/* SPDX-License-Identifier: Apache-2.0 */
/* The error queue of UDP and raw sockets: IP_RECVERR, IPV6_RECVERR, MSG_ERRQUEUE. */
#include "t.h"
#include <arpa/inet.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <netinet/icmp6.h>
#include <poll.h>
#include <sys/socket.h>

static union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} to;

static socklen_t place(const char *address, int port)
{
    memset(&to, 0, sizeof to);
    if (strchr(address, ':') == NULL) {
        to.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
        inet_pton(AF_INET, address, &to.v4.sin_addr);
        return sizeof to.v4;
    }
    to.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port)};
    inet_pton(AF_INET6, address, &to.v6.sin6_addr);
    return sizeof to.v6;
}

static void show_address(const char *what, const struct sockaddr *a)
{
    char text[64] = "";
    int port = 0;
    if (a->sa_family == AF_INET) {
        inet_ntop(AF_INET, &((const struct sockaddr_in *)a)->sin_addr, text, sizeof text);
        port = ntohs(((const struct sockaddr_in *)a)->sin_port);
    } else if (a->sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)a)->sin6_addr, text, sizeof text);
        port = ntohs(((const struct sockaddr_in6 *)a)->sin6_port);
    }
    printf("%s: family %d %s port %d\n", what, a->sa_family, text, port);
}

static int error_of(int s)
{
    int e = -1;
    getsockopt(s, SOL_SOCKET, SO_ERROR, &e, &(socklen_t){sizeof e});
    return e;
}

static int ready(int s, int events)
{
    struct pollfd p = {.fd = s, .events = (short)events};
    poll(&p, 1, 5000);
    return p.revents;
}

static void take(int s, size_t room)
{
    char buf[200] = "", control[300];
    union {
        struct sockaddr any;
        struct sockaddr_storage s;
    } name = {0};
    struct iovec v = {buf, room};
    struct msghdr m = {.msg_name = &name, .msg_namelen = sizeof name, .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t n = SHOW(recvmsg(s, &m, MSG_ERRQUEUE | MSG_DONTWAIT));
    if (n < 0)
        return;
    printf("%.*s, flags %x\n", (int)n, buf, m.msg_flags);
    show_address("sent to", &name.any);
    for (struct cmsghdr *c = CMSG_FIRSTHDR(&m); c != NULL; c = CMSG_NXTHDR(&m, c)) {
        printf("level %d type %d len %lu\n", c->cmsg_level, c->cmsg_type, (unsigned long)c->cmsg_len);
        if (c->cmsg_type != IP_RECVERR && c->cmsg_type != IPV6_RECVERR)
            continue;
        struct {
            struct sock_extended_err e;
            union {
                struct sockaddr any;
                struct sockaddr_in6 v6;
            } who;
        } e = {0};
        memcpy(&e, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0) < sizeof e ? c->cmsg_len - CMSG_LEN(0) : sizeof e);
        printf("errno %d origin %d type %d code %d info %u\n", e.e.ee_errno, e.e.ee_origin, e.e.ee_type, e.e.ee_code, e.e.ee_info);
        show_address("told by", &e.who.any);
    }
}

static void send_to(int s, const char *text, const char *address, int port)
{
    socklen_t len = place(address, port);
    SHOW(sendto(s, text, strlen(text), 0, &to.any, len));
}

static void family(int domain, int level, int option, int ttl, const char *address)
{
    section(address);
    int s = socket(domain, SOCK_DGRAM, 0), on = 1, off = 0;
    take(s, 100);
    SHOW(setsockopt(s, level, option, &on, sizeof on));
    SHOW(setsockopt(s, level, ttl, &on, sizeof on));
    SHOW(ready(s, POLLOUT) & POLLERR);
    send_to(s, "first", address, 9);
    SHOW(ready(s, 0));
    SHOW(ready(s, POLLIN | POLLPRI) & (POLLERR | POLLPRI | POLLIN));
    SHOW(error_of(s));
    SHOW(ready(s, 0)); /* there is still the entry */
    send_to(s, "second", address, 10);
    take(s, 100);
    SHOW(error_of(s));
    take(s, 3);
    SHOW(error_of(s));
    take(s, 100);
    SHOW(ready(s, POLLOUT) & POLLERR);
    send_to(s, "third", address, 9);
    ready(s, 0);
    char c;
    SHOW(recv(s, &c, 1, MSG_DONTWAIT));
    SHOW(recv(s, &c, 1, MSG_DONTWAIT));
    SHOW(setsockopt(s, level, option, &off, sizeof off));
    SHOW(ready(s, POLLOUT) & POLLERR);
    take(s, 100);
    socklen_t len = place(address, 9);
    SHOW(setsockopt(s, level, option, &on, sizeof on));
    SHOW(connect(s, &to.any, len));
    SHOW(send(s, "fourth", 6, 0));
    SHOW(ready(s, 0));
    SHOW(send(s, "fifth", 5, 0));
    take(s, 0);
    close(s);
}

/* UDP by hand, to a port that nobody listens at: what a raw socket hears of it. */
static void raw_family(int domain, int level, int option, const char *address)
{
    section(address);
    int s = socket(domain, SOCK_RAW, IPPROTO_UDP), on = 1, off = 0, at = 6;
    if (!SHOW(s >= 0))
        return;
    if (domain == AF_INET6)
        SHOW(setsockopt(s, IPPROTO_IPV6, IPV6_CHECKSUM, &at, sizeof at));
    const unsigned char datagram[] = {0, 7, 0, 9, 0, 12, 0, 0, 'r', 'a', 'w', '!'};
    char got[200];
    socklen_t len = place(address, 0);
    SHOW(setsockopt(s, level, option, &on, sizeof on));
    SHOW(sendto(s, datagram, sizeof datagram, 0, &to.any, len));
    SHOW(ready(s, 0));
    take(s, 200);
    SHOW(error_of(s));
    while (recv(s, got, sizeof got, MSG_DONTWAIT) > 0)
        ;
    SHOW(setsockopt(s, level, option, &off, sizeof off));
    SHOW(sendto(s, datagram, sizeof datagram, 0, &to.any, len));
    SHOW(ready(s, POLLIN) & POLLERR); /* not connected, and no queue */
    while (recv(s, got, sizeof got, MSG_DONTWAIT) > 0)
        ;
    SHOW(connect(s, &to.any, len));
    SHOW(send(s, datagram, sizeof datagram, 0));
    SHOW(ready(s, 0));
    SHOW(error_of(s));
    close(s);
}

/* The program's own header is quoted, too. */
static void own_header(void)
{
    section("IP_HDRINCL");
    int s = socket(AF_INET, SOCK_RAW, IPPROTO_UDP), on = 1;
    if (!SHOW(s >= 0))
        return;
    const unsigned char packet[] = {0x45, 0, 0, 32, 0x12, 0x34, 0, 0, 64, IPPROTO_UDP, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1, 0, 7, 0, 9, 0, 12, 0, 0, 'r', 'a', 'w', '!'};
    socklen_t len = place("127.0.0.1", 0);
    SHOW(setsockopt(s, IPPROTO_IP, IP_RECVERR, &on, sizeof on));
    SHOW(setsockopt(s, IPPROTO_IP, IP_HDRINCL, &on, sizeof on));
    SHOW(sendto(s, packet, sizeof packet, 0, &to.any, len));
    SHOW(ready(s, POLLIN) & POLLERR);
    char quoted[100];
    ssize_t n = SHOW(recv(s, quoted, sizeof quoted, MSG_ERRQUEUE | MSG_DONTWAIT));
    if (n > 20)
        printf("%x protocol %d, %.4s\n", quoted[0], (unsigned char)quoted[9], quoted + n - 4);
    close(s);
}

static void checksum_of_icmp6(void)
{
    section("IPV6_CHECKSUM of ICMPv6");
    int s = socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6), at = 2;
    if (s < 0) {
        printf("IPPROTO_IPV6 = -1 EINVAL\nSOL_RAW = 0\n");
        return;
    }
    show("IPPROTO_IPV6", setsockopt(s, IPPROTO_IPV6, IPV6_CHECKSUM, &at, sizeof at));
    show("SOL_RAW", setsockopt(s, SOL_RAW, IPV6_CHECKSUM, &at, sizeof at));
    close(s);
}

int main(void)
{
    family(AF_INET, IPPROTO_IP, IP_RECVERR, IP_RECVTTL, "127.0.0.1");
    family(AF_INET6, IPPROTO_IPV6, IPV6_RECVERR, IPV6_RECVHOPLIMIT, "::1");
    raw_family(AF_INET, IPPROTO_IP, IP_RECVERR, "127.0.0.1");
    raw_family(AF_INET6, IPPROTO_IPV6, IPV6_RECVERR, "::1");
    own_header();
    checksum_of_icmp6();
    return 0;
}
