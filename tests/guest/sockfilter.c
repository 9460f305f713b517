/* SPDX-License-Identifier: Apache-2.0 */
/* socket(7): SO_ATTACH_FILTER and its kin on sockets of all families but packet(7)'s. Needs root for raw(7). */
#include "t.h"
#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#define SA(a) ((struct sockaddr *)&(a))
#define ATTACH(s, ...) attach(s, (struct sock_filter[]){__VA_ARGS__}, sizeof((struct sock_filter[]){__VA_ARGS__}) / sizeof(struct sock_filter))
#define KEEP(n) BPF_STMT(BPF_RET | BPF_K, n)
#define LOAD(size, at) BPF_STMT(BPF_LD | size | BPF_ABS, at)
#define UNLESS(v, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, v, 0, skip)

static char buf[4096];

static int attach(int s, struct sock_filter *f, size_t n)
{
    struct sock_fprog p = {.len = (unsigned short)n, .filter = f};
    return setsockopt(s, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof p);
}

static int lone(int s, int name, int v) { return setsockopt(s, SOL_SOCKET, name, &v, sizeof v); }

/* What can be read now. */
static long some(int s, size_t n)
{
    memset(buf, 0, sizeof buf);
    return recv(s, buf, n, MSG_DONTWAIT);
}

static long got(int s) { return some(s, sizeof buf - 1); }

static int soon(int s)
{
    struct pollfd p = {.fd = s, .events = POLLIN};
    return poll(&p, 1, 10000);
}

static void options(void)
{
    section("options");
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    struct sock_filter out[4] = {0};
    socklen_t len = 4;
    SHOW(lone(s, SO_DETACH_FILTER, 0));
    SHOW(getsockopt(s, SOL_SOCKET, SO_GET_FILTER, out, &len));
    SHOW(len);
    SHOW(ATTACH(s, LOAD(BPF_B, 0)));
    SHOW(attach(s, NULL, 0));
    SHOW(attach(s, (struct sock_filter *)8, 2));
    struct sock_fprog p = {.len = 1, .filter = out};
    SHOW(setsockopt(s, SOL_SOCKET, SO_ATTACH_FILTER, &p, sizeof p - 1));
    SHOW(setsockopt(s, SOL_SOCKET, SO_DETACH_FILTER, &p, 3));
    SHOW(ATTACH(s, LOAD(BPF_B, 8), KEEP(9)));
    len = 1;
    SHOW(getsockopt(s, SOL_SOCKET, SO_GET_FILTER, out, &len));
    len = 0;
    SHOW(getsockopt(s, SOL_SOCKET, SO_GET_FILTER, out, &len));
    SHOW(len);
    len = 4;
    SHOW(getsockopt(s, SOL_SOCKET, SO_GET_FILTER, out, &len));
    printf("%u instructions: %x %x, %x %x\n", len, out[0].code, out[0].k, out[1].code, out[1].k);
    SHOW(getsockopt(s, SOL_SOCKET, SO_GET_FILTER, (void *)8, &len));
    int on = -1;
    len = sizeof on;
    SHOW(getsockopt(s, SOL_SOCKET, SO_LOCK_FILTER, &on, &len));
    SHOW(on);
    SHOW(lone(s, SO_DETACH_FILTER, 0));
    SHOW(ATTACH(s, KEEP(100)));
    SHOW(lone(s, SO_LOCK_FILTER, 0));
    SHOW(lone(s, SO_LOCK_FILTER, 2));
    SHOW(getsockopt(s, SOL_SOCKET, SO_LOCK_FILTER, &on, &len));
    SHOW(on);
    SHOW(lone(s, SO_LOCK_FILTER, 1));
    SHOW(lone(s, SO_LOCK_FILTER, 0));
    SHOW(lone(s, SO_DETACH_FILTER, 0));
    SHOW(ATTACH(s, KEEP(1)));
    close(s);
}

static void udp(int family)
{
    section(family == AF_INET ? "UDP" : "UDP over IPv6");
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr *a = family == AF_INET ? SA(four) : SA(six);
    socklen_t len = family == AF_INET ? sizeof four : sizeof six;
    int s = socket(family, SOCK_DGRAM, 0), c = socket(family, SOCK_DGRAM, 0);
    bind(s, a, len);
    getsockname(s, a, &len);
    connect(c, a, len);
    SHOW(ATTACH(s, LOAD(BPF_H, 2), UNLESS(ntohs(family == AF_INET ? four.sin_port : six.sin6_port), 2), LOAD(BPF_B, 8), UNLESS('a', 1), KEEP(10),
                KEEP(0)));
    SHOW(send(c, "abcdef", 6, 0));
    SHOW(send(c, "bbcdef", 6, 0));
    SHOW(send(c, "a", 1, 0));
    SHOW(send(c, "", 0, 0));
    SHOW(got(s));
    printf("\"%s\"\n", buf);
    SHOW(got(s));
    SHOW(got(s));
    SHOW(ATTACH(s, KEEP(1)));
    send(c, "abc", 3, 0);
    SHOW(got(s));
    SHOW(ATTACH(s, BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0), UNLESS(11, 1), KEEP(-1), KEEP(0)));
    send(c, "abc", 3, 0), send(c, "abcd", 4, 0);
    SHOW(got(s));
    SHOW(got(s));
    SHOW(ATTACH(s, LOAD(BPF_W, SKF_AD_OFF + SKF_AD_PROTOCOL), UNLESS(family == AF_INET ? 0x800 : 0x86dd, 5), LOAD(BPF_W, SKF_AD_OFF + SKF_AD_PKTTYPE),
                UNLESS(0, 3), LOAD(BPF_W, SKF_AD_OFF + SKF_AD_HATYPE), UNLESS(772, 1), KEEP(-1), KEEP(0)));
    send(c, "abc", 3, 0);
    SHOW(got(s));
    SHOW(ATTACH(s, LOAD(BPF_W, 9), KEEP(-1)));
    send(c, "abc", 3, 0), send(c, "abcdefg", 7, 0);
    SHOW(got(s));
    SHOW(lone(s, SO_DETACH_FILTER, 0));
    send(c, "abc", 3, 0);
    SHOW(got(s));
    close(s), close(c);
}

static void raw(void)
{
    section("raw");
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int s = SHOW_OK(socket(AF_INET, SOCK_RAW, 253));
    SHOW(ATTACH(s, LOAD(BPF_B, 9), UNLESS(253, 3), LOAD(BPF_B, 20), UNLESS('x', 1), KEEP(22), KEEP(0)));
    sendto(s, "xyz", 3, 0, SA(to), sizeof to);
    sendto(s, "yyz", 3, 0, SA(to), sizeof to);
    SHOW(got(s));
    printf("\"%s\"\n", buf + 20);
    SHOW(got(s));
    close(s);
}

static void local(int type)
{
    section(type == SOCK_DGRAM ? "AF_UNIX datagrams" : type == SOCK_STREAM ? "AF_UNIX stream" : "AF_UNIX packets");
    int s[2];
    socketpair(AF_UNIX, type, 0, s);
    SHOW(ATTACH(s[1], LOAD(BPF_B, 0), UNLESS('a', 1), KEEP(2), KEEP(0)));
    SHOW(send(s[0], "abc", 3, 0));
    SHOW(send(s[0], "bbc", 3, 0));
    SHOW(got(s[1]));
    printf("\"%s\"\n", buf);
    SHOW(got(s[1]));
    SHOW(lone(s[1], SO_DETACH_FILTER, 0));
    SHOW(send(s[0], "bbc", 3, 0));
    SHOW(got(s[1]));
    close(s[0]), close(s[1]);
}

static void netlink(void)
{
    section("netlink");
    int s = SHOW_OK(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE));
    struct {
        struct nlmsghdr h;
        char body[16];
    } q = {.h = {.nlmsg_len = 32, .nlmsg_type = 999, .nlmsg_flags = NLM_F_REQUEST}};
    SHOW(ATTACH(s, LOAD(BPF_H, 4), UNLESS(0x200, 3), LOAD(BPF_B, 8), UNLESS(7, 1), KEEP(-1), KEEP(0)));
    q.h.nlmsg_seq = 6;
    SHOW(send(s, &q, sizeof q, 0));
    SHOW(got(s));
    q.h.nlmsg_seq = 7;
    SHOW(send(s, &q, sizeof q, 0));
    SHOW(got(s) > 0 && ((struct nlmsghdr *)buf)->nlmsg_type == NLMSG_ERROR && ((struct nlmsghdr *)buf)->nlmsg_seq == 7);
    close(s);
}

static void tcp(void)
{
    section("TCP");
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof a;
    int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0);
    bind(l, SA(a), len);
    getsockname(l, SA(a), &len);
    SHOW(listen(l, 4));
    SHOW(ATTACH(l, LOAD(BPF_H, 2), UNLESS(ntohs(a.sin_port), 1), KEEP(-1), KEEP(0)));
    SHOW(connect(c, SA(a), len));
    int s = SHOW_OK(accept(l, NULL, NULL));
    len = 0;
    SHOW(getsockopt(s, SOL_SOCKET, SO_GET_FILTER, buf, &len));
    SHOW(len);
    SHOW(send(c, "abcd", 4, 0));
    SHOW(soon(s));
    SHOW(got(s));
    /* Two bytes of every segment: the others come again. */
    SHOW(ATTACH(s, LOAD(BPF_B, 12), BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 4), BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 2),
                BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 2), BPF_STMT(BPF_RET | BPF_A, 0)));
    SHOW(send(c, "efgh", 4, 0));
    SHOW(soon(s));
    SHOW(some(s, 2));
    printf("\"%s\"\n", buf);
    SHOW(soon(s));
    SHOW(some(s, 2));
    printf("\"%s\"\n", buf);
    SHOW(ATTACH(s, KEEP(0)));
    SHOW(send(c, "ij", 2, 0));
    SHOW(got(s));
    SHOW(lone(s, SO_DETACH_FILTER, 0));
    SHOW(soon(s));
    SHOW(got(s));
    printf("\"%s\"\n", buf);
    close(s), close(c), close(l);
}

int main(void)
{
    options();
    udp(AF_INET);
    udp(AF_INET6);
    raw();
    local(SOCK_DGRAM);
    local(SOCK_SEQPACKET);
    local(SOCK_STREAM);
    netlink();
    tcp();
    return 0;
}
