/* SPDX-License-Identifier: Apache-2.0 */
/* sock_diag(7): what NETLINK_SOCK_DIAG tells of this program's own sockets, in dumps, by conditions and one by one */
#include "t.h"
#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <linux/netlink_diag.h>
#include <linux/packet_diag.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define SA(a) ((struct sockaddr *)&(a))
#define LISTENING (1u << TCP_LISTEN)
#define ALL UINT32_MAX

static int diag;
static struct {
    struct nlmsghdr h;
    union {
        struct inet_diag_req_v2 inet;
        struct unix_diag_req unix_;
        struct packet_diag_req packet; /* and of netlink sockets: they are the same */
    };
    char attrs[512];
} req;
static char answer[65536];

static int port_of(int s)
{
    struct sockaddr_in6 a;
    socklen_t n = sizeof a;
    getsockname(s, SA(a), &n);
    return ntohs(a.sin6_port);
}

static uint32_t ino_of(int s)
{
    struct stat st;
    fstat(s, &st);
    return (uint32_t)st.st_ino;
}

static void ask(int flags, size_t size)
{
    req.h = (struct nlmsghdr){NLMSG_LENGTH(size), SOCK_DIAG_BY_FAMILY, (uint16_t)(NLM_F_REQUEST | flags), 7, 0};
}

static void inet_ask(int flags, int family, int protocol, uint32_t states, int wanted)
{
    memset(&req, 0, sizeof req);
    req.inet = (struct inet_diag_req_v2){.sdiag_family = (uint8_t)family, .sdiag_protocol = (uint8_t)protocol, .idiag_states = states,
                                         .idiag_ext = (uint8_t)wanted};
    ask(flags, sizeof req.inet);
}

/* The condition for a port: code is INET_DIAG_BC_S_EQ or so. */
static void condition(int code, int port)
{
    struct rtattr *a = (void *)((char *)&req + NLMSG_ALIGN(req.h.nlmsg_len));
    struct inet_diag_bc_op *op = (void *)(a + 1);
    *a = (struct rtattr){RTA_LENGTH(8), INET_DIAG_REQ_BYTECODE};
    op[0] = (struct inet_diag_bc_op){(uint8_t)code, 8, 12};
    op[1] = (struct inet_diag_bc_op){0, 0, (uint16_t)port};
    req.h.nlmsg_len += a->rta_len;
}

/* Every message of the answer to req goes to fn; the error it ends with, or 0. */
static int talk(void (*fn)(const struct nlmsghdr *h))
{
    if (send(diag, &req, req.h.nlmsg_len, 0) < 0)
        return errno;
    for (;;) {
        ssize_t n = recv(diag, answer, sizeof answer, 0);
        for (struct nlmsghdr *h = (void *)answer; n > 0 && NLMSG_OK(h, (size_t)n); h = NLMSG_NEXT(h, n)) {
            if (h->nlmsg_type == NLMSG_DONE)
                return 0;
            if (h->nlmsg_type == NLMSG_ERROR)
                return -((struct nlmsgerr *)NLMSG_DATA(h))->error;
            fn(h);
            if (!(h->nlmsg_flags & NLM_F_MULTI))
                return 0;
        }
    }
}

/* --- inet ---------------------------------------------------------------------- */

static int fds[64], nfds;   /* those of this program that are told of */
static unsigned seen[64];

static int mine(uint32_t ino)
{
    for (int i = 0; i < nfds; i++)
        if (ino_of(fds[i]) == ino)
            return i;
    return -1;
}

static void count_inet(const struct nlmsghdr *h)
{
    const struct inet_diag_msg *m = NLMSG_DATA(h);
    int i = mine(m->idiag_inode);
    if (i >= 0)
        seen[i]++;
}

static void print_inet(const struct nlmsghdr *h)
{
    const struct inet_diag_msg *m = NLMSG_DATA(h);
    int i = mine(m->idiag_inode), left = (int)(h->nlmsg_len - NLMSG_LENGTH(sizeof *m));
    char src[64], dst[64];
    if (i < 0)
        return;
    printf("socket %d: family %d state %d timer %d retrans %d %s %s ports %d %d rqueue %u uid %d len%%4 %u\n", i, m->idiag_family, m->idiag_state,
           m->idiag_timer, m->idiag_retrans, inet_ntop(m->idiag_family, m->id.idiag_src, src, sizeof src),
           inet_ntop(m->idiag_family, m->id.idiag_dst, dst, sizeof dst), m->id.idiag_sport == htons(port_of(fds[i])), m->id.idiag_dport != 0,
           m->idiag_rqueue, m->idiag_uid == getuid(), h->nlmsg_len % 4);
    for (struct rtattr *a = (void *)(m + 1); RTA_OK(a, left); a = RTA_NEXT(a, left))
        switch (a->rta_type) {
        case INET_DIAG_SHUTDOWN:
        case INET_DIAG_TOS:
        case INET_DIAG_TCLASS:
        case INET_DIAG_SKV6ONLY:
            printf("  attribute %d: %d\n", a->rta_type, *(uint8_t *)RTA_DATA(a));
            break;
        case INET_DIAG_INFO:
            printf("  info: at least 232 bytes %d, state %d\n", RTA_PAYLOAD(a) >= 232, ((struct tcp_info *)RTA_DATA(a))->tcpi_state);
            break;
        case INET_DIAG_MEMINFO:
        case INET_DIAG_SKMEMINFO:
            printf("  attribute %d: %d bytes\n", a->rta_type, (int)RTA_PAYLOAD(a));
            break;
        case INET_DIAG_CONG:
            printf("  %s\n", strcmp(RTA_DATA(a), "cubic") == 0 || strcmp(RTA_DATA(a), "bbr") == 0 || strcmp(RTA_DATA(a), "reno") == 0 ? "an algorithm" : "?");
            break;
        }
}

static void inet(void)
{
    section("inet");
    struct sockaddr_in a = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}, ""};
    struct sockaddr_in6 a6 = {.sin6_family = AF_INET6};
    int one = 1, tos = 0x10, l = socket(AF_INET, SOCK_STREAM, 0), l6 = socket(AF_INET6, SOCK_STREAM, 0);
    bind(l, SA(a), sizeof a);
    listen(l, 5);
    setsockopt(l6, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one);
    bind(l6, SA(a6), sizeof a6);
    listen(l6, 6);
    a.sin_port = htons(port_of(l));
    int c = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(c, IPPROTO_IP, IP_TOS, &tos, sizeof tos);
    connect(c, SA(a), sizeof a);
    struct pollfd p = {l, POLLIN, 0};
    poll(&p, 1, -1);
    int s = accept(l, NULL, NULL);
    send(c, "abc", 3, 0);
    p.fd = s;
    poll(&p, 1, -1);
    int u = socket(AF_INET, SOCK_DGRAM, 0);
    a.sin_port = 0;
    bind(u, SA(a), sizeof a);
    memcpy(fds, (int[]){l, l6, c, s, u}, sizeof(int[5]));
    nfds = 5;
    inet_ask(NLM_F_DUMP, AF_INET, IPPROTO_TCP, LISTENING, 0);
    SHOW(talk(print_inet));
    inet_ask(NLM_F_DUMP, AF_INET6, IPPROTO_TCP, LISTENING, 0);
    SHOW(talk(print_inet));
    inet_ask(NLM_F_DUMP, AF_INET, IPPROTO_TCP, 1u << TCP_ESTABLISHED, 1 << (INET_DIAG_INFO - 1) | 1 << (INET_DIAG_CONG - 1) | 1 << (INET_DIAG_TOS - 1));
    condition(INET_DIAG_BC_S_EQ, port_of(c));
    SHOW(talk(print_inet));
    inet_ask(NLM_F_DUMP, AF_INET, IPPROTO_TCP, ALL, 1 << (INET_DIAG_MEMINFO - 1) | 1 << (INET_DIAG_SKMEMINFO - 1));
    condition(INET_DIAG_BC_D_EQ, port_of(c));
    SHOW(talk(print_inet));
    inet_ask(NLM_F_DUMP, AF_INET, IPPROTO_UDP, ALL, 0);
    SHOW(talk(print_inet));
    connect(u, SA(a), sizeof a);
    shutdown(s, SHUT_WR);
    for (p = (struct pollfd){c, POLLRDHUP, 0}; poll(&p, 1, -1) < 1;)
        ;
    inet_ask(NLM_F_DUMP, AF_INET, IPPROTO_TCP, 1u << TCP_CLOSE_WAIT, 0);
    SHOW(talk(print_inet));
    /* one */
    inet_ask(0, AF_INET, IPPROTO_TCP, ALL, 0);
    memset(req.inet.id.idiag_cookie, 0xff, 8);
    req.inet.id.idiag_sport = htons(port_of(l));
    req.inet.id.idiag_src[0] = htonl(INADDR_LOOPBACK);
    SHOW(talk(print_inet));
    req.inet.id.idiag_cookie[0] = req.inet.id.idiag_cookie[1] = 0x12345678;
    SHOW(talk(print_inet) == ENOENT);
    close(l);
    memset(req.inet.id.idiag_cookie, 0xff, 8);
    SHOW(talk(print_inet) == ENOENT);
    close(l6);
    close(s);
    close(c);
    close(u);
}

/* A dump of more than one datagram, read while others ask: each of many is told of once. */
static void many(void)
{
    section("many");
    struct sockaddr_in a = {AF_INET, 0, {htonl(INADDR_LOOPBACK)}, ""};
    nfds = 64;
    for (int i = 0; i < nfds; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM, 0);
        a.sin_port = 0;
        bind(fds[i], SA(a), sizeof a);
        listen(fds[i], 1);
        seen[i] = 0;
    }
    inet_ask(NLM_F_DUMP, AF_INET, IPPROTO_TCP, LISTENING, 0xff);
    SHOW(talk(count_inet));
    unsigned once = 0;
    for (int i = 0; i < nfds; i++)
        once += seen[i] == 1;
    SHOW(once);
    int c[32];
    for (int i = 0; i < 32; i++) {
        a.sin_port = htons(port_of(fds[i]));
        c[i] = socket(AF_INET, SOCK_STREAM, 0);
        connect(c[i], SA(a), sizeof a);
    }
    for (int i = 0; i < 32; i++) {
        int l = fds[i];
        fds[i] = accept(l, NULL, NULL);
        close(l);
        close(fds[i + 32]);
        fds[i + 32] = c[i];
    }
    memset(seen, 0, sizeof seen);
    inet_ask(NLM_F_DUMP, AF_INET, IPPROTO_TCP, 1u << TCP_ESTABLISHED, 0xff);
    SHOW(talk(count_inet));
    once = 0;
    for (int i = 0; i < nfds; i++)
        once += seen[i] == 1;
    SHOW(once);
    for (int i = 0; i < nfds; i++)
        close(fds[i]);
}

static void refusals(void)
{
    section("refusals");
    static const struct inet_diag_bc_op bad[][2] = {
        {{99, 4, 8}}, {{INET_DIAG_BC_NOP, 2, 0}}, {{INET_DIAG_BC_S_EQ, 4, 12}}, {{INET_DIAG_BC_JMP, 4, 0}}, {{INET_DIAG_BC_S_EQ, 8, 16}},
        {{INET_DIAG_BC_S_COND, 8, 12}, {AF_INET, 32}},
    };
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        inet_ask(NLM_F_DUMP, AF_INET, IPPROTO_TCP, ALL, 0);
        condition(0, 0);
        memcpy((char *)&req + NLMSG_LENGTH(sizeof req.inet) + 4, bad[i], sizeof bad[i]);
        SHOW(talk(print_inet) == EINVAL);
    }
    memset(&req, 0, sizeof req);
    req.inet.sdiag_family = 77;
    ask(NLM_F_DUMP, sizeof req.inet);
    SHOW(talk(print_inet) != 0);
    ask(NLM_F_DUMP, 1);
    SHOW(talk(print_inet) == EINVAL);
    req.inet.sdiag_family = AF_INET;
    ask(NLM_F_DUMP, 8);
    SHOW(talk(print_inet) == EINVAL);
    SHOW(socket(AF_NETLINK, SOCK_STREAM, NETLINK_SOCK_DIAG));
}

/* --- unix ---------------------------------------------------------------------- */

static void print_unix(const struct nlmsghdr *h)
{
    const struct unix_diag_msg *m = NLMSG_DATA(h);
    int i = mine(m->udiag_ino), left = (int)(h->nlmsg_len - NLMSG_LENGTH(sizeof *m));
    if (i < 0)
        return;
    printf("socket %d: type %d state %d\n", i, m->udiag_type, m->udiag_state);
    for (struct rtattr *a = (void *)(m + 1); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
        const uint32_t *v = RTA_DATA(a);
        switch (a->rta_type) {
        case UNIX_DIAG_NAME:
            printf("  name of %d bytes, %d\n", (int)RTA_PAYLOAD(a), *(char *)RTA_DATA(a));
            break;
        case UNIX_DIAG_PEER:
            printf("  peer: socket %d\n", mine(*v));
            break;
        case UNIX_DIAG_ICONS:
            printf("  pending: %d, first socket %d\n", (int)RTA_PAYLOAD(a) / 4, RTA_PAYLOAD(a) > 0 ? mine(*v) : -1);
            break;
        case UNIX_DIAG_RQLEN:
            printf("  read %u%s\n", v[0], m->udiag_state == TCP_LISTEN && v[1] == 3 ? ", backlog 3" : "");
            break;
        case UNIX_DIAG_SHUTDOWN:
            printf("  shutdown %d\n", *(uint8_t *)RTA_DATA(a));
            break;
        case UNIX_DIAG_UID:
            printf("  uid %d\n", *v == getuid());
            break;
        }
    }
}

static void unix_one(int fd, uint32_t wanted)
{
    memset(&req, 0, sizeof req);
    req.unix_ = (struct unix_diag_req){.sdiag_family = AF_UNIX, .udiag_states = ALL, .udiag_ino = ino_of(fd), .udiag_show = wanted, .udiag_cookie = {~0u, ~0u}};
    ask(0, sizeof req.unix_);
    SHOW(talk(print_unix));
}

static void unix_domain(void)
{
    section("unix");
    struct sockaddr_un a = {AF_UNIX, "\0sockdiag"}, b = {AF_UNIX, "diag.sock"};
    int p[2], l = socket(AF_UNIX, SOCK_STREAM, 0), d = socket(AF_UNIX, SOCK_DGRAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);
    bind(l, SA(a), 2 + 9);
    listen(l, 3);
    connect(c, SA(a), 2 + 9);
    bind(d, SA(b), sizeof b);
    socketpair(AF_UNIX, SOCK_SEQPACKET, 0, p);
    send(p[0], "hello", 5, 0);
    shutdown(p[1], SHUT_WR);
    memcpy(fds, (int[]){l, d, c, p[0], p[1]}, sizeof(int[5]));
    nfds = 5;
    for (int i = 0; i < nfds; i++)
        unix_one(fds[i], UDIAG_SHOW_NAME | UDIAG_SHOW_PEER | UDIAG_SHOW_ICONS | UDIAG_SHOW_RQLEN | UDIAG_SHOW_UID);
    req.unix_.udiag_cookie[0] = 0x12345678;
    SHOW(talk(print_unix) == ESTALE);
    req.unix_.udiag_ino = 0;
    SHOW(talk(print_unix) == EINVAL);
    req.unix_.udiag_ino = 0xfffffff0;
    SHOW(talk(print_unix) == ENOENT);
    memset(&req, 0, sizeof req);
    req.unix_ = (struct unix_diag_req){.sdiag_family = AF_UNIX, .udiag_states = LISTENING};
    ask(NLM_F_DUMP, sizeof req.unix_);
    SHOW(talk(print_unix));
    unlink("diag.sock");
    for (int i = 0; i < nfds; i++)
        close(fds[i]);
}

/* --- packet and netlink ------------------------------------------------------------ */

static void print_other(const struct nlmsghdr *h)
{
    const struct packet_diag_msg *m = NLMSG_DATA(h);
    const struct netlink_diag_msg *n = NLMSG_DATA(h);
    const int packet = m->pdiag_family == AF_PACKET;
    int i = mine(packet ? m->pdiag_ino : n->ndiag_ino), fixed = packet ? sizeof *m : sizeof *n, left = (int)(h->nlmsg_len - NLMSG_LENGTH(fixed));
    if (i < 0 || (!packet && seen[i]++ > 0)) /* Linux tells twice of one that is in a group */
        return;
    if (packet)
        printf("socket %d: type %d protocol %04x\n", i, m->pdiag_type, m->pdiag_num);
    else
        printf("socket %d: type %d protocol %d state %d port %d to %u %u\n", i, n->ndiag_type, n->ndiag_protocol, n->ndiag_state,
               n->ndiag_portid == (uint32_t)getpid(), n->ndiag_dst_portid, n->ndiag_dst_group);
    for (struct rtattr *a = (void *)((char *)NLMSG_DATA(h) + fixed); RTA_OK(a, left); a = RTA_NEXT(a, left)) {
        const uint32_t *v = RTA_DATA(a);
        if (packet && a->rta_type == PACKET_DIAG_INFO)
            printf("  on lo %d version %u reserve %u flags %x\n", v[0] == if_nametoindex("lo"), v[1], v[2], v[5]);
        else if (packet && a->rta_type == PACKET_DIAG_RX_RING)
            printf("  ring of %u blocks of %u, %u frames of %u, %u ms, %u private, %x\n", v[1], v[0], v[3], v[2], v[4], v[5], v[6]);
        else if (packet && a->rta_type == PACKET_DIAG_FANOUT)
            printf("  fanout %x\n", *v);
        else if (packet && a->rta_type == PACKET_DIAG_UID)
            printf("  uid %d\n", *v == getuid());
        else if (!packet && a->rta_type == NETLINK_DIAG_GROUPS)
            printf("  groups %x\n", *v);
        else if (a->rta_type == (packet ? PACKET_DIAG_MEMINFO : NETLINK_DIAG_MEMINFO))
            printf("  memory: %d bytes\n", (int)RTA_PAYLOAD(a));
    }
}

static void other_ask(int flags, int family, int protocol, uint32_t wanted)
{
    memset(&req, 0, sizeof req);
    req.packet = (struct packet_diag_req){.sdiag_family = (uint8_t)family, .sdiag_protocol = (uint8_t)protocol, .pdiag_show = wanted, .pdiag_cookie = {~0u, ~0u}};
    memset(seen, 0, sizeof seen);
    ask(flags, sizeof req.packet);
    SHOW(talk(print_other));
}

static void others(void)
{
    section("packet and netlink");
    struct sockaddr_ll on_lo = {.sll_family = AF_PACKET, .sll_protocol = htons(0x0800), .sll_ifindex = (int)if_nametoindex("lo")};
    struct sockaddr_nl name = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK | RTMGRP_IPV6_ROUTE};
    struct tpacket_req3 ring = {8192, 2, 2048, 8, 77, 16, 0};
    int version = TPACKET_V3, word = 5 | PACKET_FANOUT_LB << 16, one = 1;
    memcpy(fds, (int[]){socket(AF_PACKET, SOCK_RAW, 0), socket(AF_PACKET, SOCK_DGRAM, 0), socket(AF_NETLINK, SOCK_DGRAM, NETLINK_ROUTE),
                        socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE)}, sizeof(int[4]));
    nfds = 4;
    bind(fds[0], SA(on_lo), sizeof on_lo);
    setsockopt(fds[0], SOL_PACKET, PACKET_VERSION, &version, sizeof version);
    setsockopt(fds[0], SOL_PACKET, PACKET_RX_RING, &ring, sizeof ring);
    setsockopt(fds[0], SOL_PACKET, PACKET_FANOUT, &word, sizeof word);
    setsockopt(fds[0], SOL_PACKET, PACKET_AUXDATA, &one, sizeof one);
    bind(fds[2], SA(name), sizeof name);
    if (geteuid() == 0) {
        other_ask(NLM_F_DUMP, AF_PACKET, 0, PACKET_SHOW_INFO | PACKET_SHOW_RING_CFG | PACKET_SHOW_FANOUT | PACKET_SHOW_MEMINFO);
        other_ask(NLM_F_DUMP, AF_PACKET, 0, 0);
        other_ask(NLM_F_DUMP, AF_PACKET, 3, 0);
        other_ask(0, AF_PACKET, 0, 0);
    }
    other_ask(NLM_F_DUMP, AF_NETLINK, NDIAG_PROTO_ALL, NDIAG_SHOW_GROUPS | NDIAG_SHOW_MEMINFO);
    other_ask(NLM_F_DUMP, AF_NETLINK, NETLINK_ROUTE, 0);
    other_ask(NLM_F_DUMP, AF_NETLINK, NETLINK_SOCK_DIAG, 0);
    other_ask(0, AF_NETLINK, NETLINK_ROUTE, 0);
    for (int i = 0; i < nfds; i++)
        close(fds[i]);
}

int main(void)
{
    diag = SHOW_OK(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
    inet();
    many();
    unix_domain();
    others();
    refusals();
    return 0;
}
