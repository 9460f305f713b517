/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets of all kinds, within the machine. What bottom halves do is theirs. */
#define _GNU_SOURCE
#include "../send_fd.h"
#include "faults.h"

#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

static char buf[8192];
#define ADDR(a) (struct sockaddr *)&(a), sizeof(a)

static struct sockaddr_in local(int fd)
{
    struct sockaddr_in at;
    socklen_t len = sizeof at;
    getsockname(fd, (struct sockaddr *)&at, &len);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return at;
}

static bool comes(int fd, int ms) { return poll(&(struct pollfd){fd, POLLIN}, 1, ms) == 1; }

/* Nobody waits in TIME_WAIT. */
static int tcp(void)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
    return fd;
}

static int quick(void)
{
    int fd = tcp();
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static void again(int *fd, int with)
{
    close(*fd);
    *fd = with;
}

static void kinds(void)
{
    static const int all[][3] = {{AF_INET, SOCK_STREAM, 0}, {AF_INET, SOCK_DGRAM, 0}, {AF_INET6, SOCK_STREAM, 0}, {AF_INET6, SOCK_DGRAM, 0}, {AF_UNIX, SOCK_STREAM, 0},
        {AF_UNIX, SOCK_DGRAM, 0}, {AF_UNIX, SOCK_SEQPACKET, 0}, {AF_INET, SOCK_RAW, IPPROTO_ICMP}, {AF_PACKET, SOCK_RAW, 0x300},
        {AF_NETLINK, SOCK_RAW, NETLINK_ROUTE}, {AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG}};
    int p[2];
    also_errno(ENOBUFS);
    for (unsigned i = 0; i < sizeof all / sizeof all[0]; i++)
        EACH(socket(all[i][0], all[i][1], all[i][2])) close_fd(a.r);
    EACH(socketpair(AF_UNIX, SOCK_STREAM, 0, p)) close_fds(p, a.r == 0 ? 2 : 0);
    EACH(socketpair(AF_UNIX, SOCK_DGRAM, 0, p)) close_fds(p, a.r == 0 ? 2 : 0);
    also_errno(0);
}

static void streams(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET};
    int l, c, s;
    also_errno(ENOBUFS);
    l = tcp();
    EACH(bind(l, ADDR(any))) again(&l, tcp());
    EACH(listen(l, 5)) again(&l, tcp());
    bind(l, ADDR(any));
    listen(l, 5);
    struct sockaddr_in at = local(l);
    c = quick(); /* a segment that found no memory is as good as lost, and comes again a second later */
    EACH(connect(c, ADDR(at)) < 0 && errno != EINPROGRESS ? -1 : 0) {
        if (comes(l, 0))
            close_fd(accept(l, NULL, NULL));
        again(&c, quick());
    }
    again(&c, tcp());
    connect(c, ADDR(at));
    comes(l, 5000);
    EACH(s = accept4(l, NULL, NULL, SOCK_NONBLOCK)) {
        if (s < 0 && comes(l, 0))
            continue; /* it waits for the next try */
        if (s < 0)
            printf("odd accept lost a connection\n");
        close_fd(s);
        again(&c, tcp());
        connect(c, ADDR(at));
        comes(l, 5000);
    }
    s = accept4(l, NULL, NULL, SOCK_NONBLOCK);
    fcntl(l, F_SETFL, O_NONBLOCK);
    EACH(accept(l, NULL, NULL) < 0 && errno == EAGAIN ? 0 : -1)
        if (a.r < 0)
            printf("odd accept allocates with nothing to accept\n");
    EACH(send(c, buf, 3000, 0)) while (recv(s, buf, sizeof buf, 0) > 0) ;
    fcntl(c, F_SETFL, O_NONBLOCK);
    EACH(sendmsg(c, &(struct msghdr){.msg_iov = &(struct iovec){buf, 8000}, .msg_iovlen = 1}, 0)) while (recv(s, buf, sizeof buf, 0) > 0) ;
    send(c, buf, 3000, 0);
    comes(s, 1000);
    EACH(recv(s, buf, sizeof buf, 0)) { send(c, buf, 100, 0); comes(s, 1000); }
    EACH(send(c, buf, 1, MSG_OOB)) ;
    EACH(setsockopt(c, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int))) ;
    EACH(setsockopt(c, IPPROTO_TCP, TCP_CONGESTION, "reno", 4)) ;
    EACH(setsockopt(c, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &(int){1}, sizeof(int)) * 0) ;
    EACH(setsockopt(c, SOL_SOCKET, SO_SNDBUF, &(int){100000}, sizeof(int))) ;
    struct tcp_info info;
    socklen_t len = sizeof info;
    EACH(getsockopt(c, IPPROTO_TCP, TCP_INFO, &info, &len)) ;
    EACH(shutdown(c, SHUT_WR)) ;
    close(c);
    close(s);
    close(l);
    also_errno(0);
}

static void datagrams(void)
{
    struct sockaddr_in any = {.sin_family = AF_INET};
    int r = socket(AF_INET, SOCK_DGRAM, 0), s = socket(AF_INET, SOCK_DGRAM, 0), u = socket(AF_INET, SOCK_DGRAM, 0);
    also_errno(ENOBUFS);
    EACH(bind(u, ADDR(any))) again(&u, socket(AF_INET, SOCK_DGRAM, 0));
    bind(r, ADDR(any));
    struct sockaddr_in at = local(r);
    EACH(connect(u, ADDR(at))) again(&u, socket(AF_INET, SOCK_DGRAM, 0));
    close(u);
    EACH(sendto(s, buf, 2000, 0, ADDR(at))) while (recv(r, buf, sizeof buf, MSG_DONTWAIT) > 0) ;
    EACH(sendto(s, buf, 8000, 0, ADDR(at))) while (recv(r, buf, sizeof buf, MSG_DONTWAIT) > 0) ;
    struct mmsghdr m[2] = {{.msg_hdr = {.msg_name = &at, .msg_namelen = sizeof at, .msg_iov = &(struct iovec){buf, 10}, .msg_iovlen = 1}}};
    m[1] = m[0];
    EACH(sendmmsg(s, m, 2, 0)) while (recv(r, buf, sizeof buf, MSG_DONTWAIT) > 0) ;
    sendto(s, buf, 20, 0, ADDR(at));
    EACH(recv(r, buf, sizeof buf, 0)) sendto(s, buf, 20, 0, ADDR(at));
    m[0].msg_hdr.msg_name = NULL;
    EACH(recvmmsg(r, m, 1, 0, NULL)) sendto(s, buf, 20, 0, ADDR(at));
    struct ip_mreqn group = {.imr_multiaddr.s_addr = htonl(0xe1010203), .imr_address.s_addr = htonl(INADDR_LOOPBACK)};
    EACH(setsockopt(r, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof group)) setsockopt(r, IPPROTO_IP, IP_DROP_MEMBERSHIP, &group, sizeof group);
    struct ip_mreq_source from = {.imr_multiaddr = group.imr_multiaddr, .imr_interface = group.imr_address, .imr_sourceaddr.s_addr = htonl(INADDR_LOOPBACK)};
    EACH(setsockopt(r, IPPROTO_IP, IP_ADD_SOURCE_MEMBERSHIP, &from, sizeof from)) setsockopt(r, IPPROTO_IP, IP_DROP_SOURCE_MEMBERSHIP, &from, sizeof from);
    close(r);
    close(s);
    also_errno(0);
}

/* The descriptor that came, in `*ret_fd`. */
static long recv_fd(int from, int *ret_fd)
{
    char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec v = {buf, 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    *ret_fd = -1;
    long r = recvmsg(from, &m, MSG_DONTWAIT);
    struct cmsghdr *c = r >= 0 ? CMSG_FIRSTHDR(&m) : (struct cmsghdr *)control; /* it may have come although the rest could not be told */
    if (c != NULL && c->cmsg_type == SCM_RIGHTS)
        memcpy(ret_fd, CMSG_DATA(c), sizeof *ret_fd);
    return r;
}

static void take_fd(int from)
{
    int fd;
    while (recv_fd(from, &fd) > 0)
        close_fd(fd);
}

static void locals(void)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = "/tmp/faults-socket"}, hidden = {.sun_family = AF_UNIX, .sun_path = "\0faults"};
    int l, c, s, p[2], fd;
    also_errno(ENOBUFS);
    l = socket(AF_UNIX, SOCK_STREAM, 0);
    EACH(bind(l, ADDR(hidden))) again(&l, socket(AF_UNIX, SOCK_STREAM, 0));
    also_errno(ENOSPC);
    EACH(bind(l, ADDR(at))) { unlink(at.sun_path); again(&l, socket(AF_UNIX, SOCK_STREAM, 0)); }
    also_errno(ENOBUFS);
    bind(l, ADDR(at));
    EACH(listen(l, 5)) ;
    c = socket(AF_UNIX, SOCK_STREAM, 0);
    EACH(connect(c, ADDR(at))) { if (a.r == 0) close_fd(accept(l, NULL, NULL)); again(&c, socket(AF_UNIX, SOCK_STREAM, 0)); }
    connect(c, ADDR(at));
    EACH(s = accept(l, NULL, NULL)) {
        if (s < 0 && comes(l, 0))
            continue;
        if (s < 0)
            printf("odd accept lost a connection\n");
        close_fd(s);
        again(&c, socket(AF_UNIX, SOCK_STREAM, 0));
        connect(c, ADDR(at));
    }
    close(l);
    close(c);
    unlink(at.sun_path);
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    for (int i = 0; i < 3; i++) {
        socketpair(AF_UNIX, types[i] | SOCK_NONBLOCK, 0, p);
        EACH(send(p[0], buf, 3000, 0)) while (recv(p[1], buf, sizeof buf, MSG_DONTWAIT) > 0) ;
        EACH(send_fd(p[0], p[1], 0)) take_fd(p[1]);
        send_fd(p[0], p[1], 0);
        EACH(recv_fd(p[1], &fd)) { close_fd(fd); take_fd(p[1]); send_fd(p[0], p[1], 0); }
        close_fds(p, 2);
    }
    also_errno(0);
}

static void links(void)
{
    struct { struct nlmsghdr h; struct rtgenmsg g; } ask = {{sizeof ask, RTM_GETLINK, NLM_F_REQUEST | NLM_F_DUMP, 1, 0}, {AF_UNSPEC}};
    int n = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, NETLINK_ROUTE);
    also_errno(ENOBUFS);
    EACH(bind(n, ADDR(((struct sockaddr_nl){.nl_family = AF_NETLINK})))) ;
    static const int types[] = {RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE, RTM_GETNEIGH};
    for (unsigned i = 0; i < 4; i++) {
        ask.h.nlmsg_type = (unsigned short)types[i];
        EACH(send(n, &ask, sizeof ask, 0)) {
            while (recv(n, buf, sizeof buf, 0) > 0)
                ;
        }
        send(n, &ask, sizeof ask, 0);
        EACH(recv(n, buf, sizeof buf, 0)) {
            while (recv(n, buf, sizeof buf, 0) > 0)
                ;
            send(n, &ask, sizeof ask, 0);
        }
        while (recv(n, buf, sizeof buf, 0) > 0)
            ;
    }
    close(n);
    int p = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ALL));
    struct sockaddr_ll ll = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex("lo")};
    EACH(bind(p, ADDR(ll))) ;
    EACH(send(p, buf, 100, 0) * 0) while (recv(p, buf, sizeof buf, MSG_DONTWAIT) > 0) ;
    struct tpacket_req ring = {4096, 4, 2048, 8};
    EACH(setsockopt(p, SOL_PACKET, PACKET_RX_RING, &ring, sizeof ring)) setsockopt(p, SOL_PACKET, PACKET_RX_RING, &(struct tpacket_req){0}, sizeof ring);
    close(p);
    struct ifreq list[8];
    struct ifconf conf = {.ifc_len = sizeof list, .ifc_req = list};
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    EACH(ioctl(s, SIOCGIFCONF, &conf)) ;
    close(s);
    also_errno(0);
}

const struct family families_net[] = {{"kinds", kinds}, {"streams", streams}, {"datagrams", datagrams}, {"locals", locals}, {"links", links}, {NULL, NULL}};
