/* SPDX-License-Identifier: Apache-2.0 */
/* What drupe-slirp lets through: see slirp_policy.h. */
#include "host/net/slirp_policy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi/boot.h"
#include "host/net/policy.h"
#include "host/net/ports.h"

#define DNS_PORT 53
#define MAX_SERVERS 8
#define MAX_CALLERS 1024 /* of published UDP ports; the oldest is forgotten */

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static struct rules egress, from;
static union address servers[MAX_SERVERS];
static size_t nservers;
static int published[MAX_PORTS];
static size_t npublished;
static union address callers[MAX_CALLERS];
static size_t ncallers;

static bool same_host(const union address *a, const union address *b)
{
    if (a->any.sa_family != b->any.sa_family)
        return false;
    return a->any.sa_family == AF_INET ? a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr
                                       : IN6_ARE_ADDR_EQUAL(&a->v6.sin6_addr, &b->v6.sin6_addr);
}

/* sin_port and sin6_port lie at the same place. */
static bool same(const union address *a, const union address *b) { return same_host(a, b) && a->v4.sin_port == b->v4.sin_port; }

static union address copy(const struct sockaddr *sa, socklen_t len)
{
    union address a = {0};
    memcpy(&a, sa, MIN((size_t)len, sizeof(a)));
    return a;
}

bool slirp_policy_argument(const char *text)
{
    struct rules *l = str_has_prefix(text, "egress") ? &egress : str_has_prefix(text, "from:") ? &from : NULL;
    if (!l)
        return false;
    l->given = true;
    const char *word = strchr(text, ':');
    return !word || (l->count < MAX_RULES && rule_parse(&l->list[l->count++], word + 1));
}

void slirp_policy_nameservers(const char *text)
{
    char host[64];
    for (const char *line = text; line && *line && nservers < MAX_SERVERS; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (sscanf(line, "nameserver %63s", host) != 1)
            continue;
        host[strcspn(host, "%")] = 0;
        union address *a = &servers[nservers];
        if (inet_pton(AF_INET, host, &a->v4.sin_addr) == 1)
            a->any.sa_family = AF_INET;
        else if (inet_pton(AF_INET6, host, &a->v6.sin6_addr) == 1)
            a->any.sa_family = AF_INET6;
        else
            continue;
        nservers++;
    }
}

void slirp_policy_published_udp(int fd)
{
    if (npublished < ARRAY_SIZE(published))
        published[npublished++] = fd;
}

static bool is_published(int fd)
{
    for (size_t i = 0; i < npublished; i++)
        if (published[i] == fd)
            return true;
    return false;
}

static bool is_loopback(const union address *a)
{
    return a->any.sa_family == AF_INET ? ntohl(a->v4.sin_addr.s_addr) >> 24 == 127 : IN6_IS_ADDR_LOOPBACK(&a->v6.sin6_addr);
}

/* A name server stands behind an address of the guest's network. */
static bool is_allowed_server(u8 proto, const union address *to)
{
    union address inside = *to;
    if (!proto || to->v4.sin_port != htons(DNS_PORT)) /* libslirp's ICMP leaves the port open */
        return false;
    for (size_t i = 0; i < nservers; i++) {
        if (!same_host(to, &servers[i]))
            continue;
        bool v4 = to->any.sa_family == AF_INET;
        inet_pton(to->any.sa_family, v4 ? SLIRP_DNS : SLIRP_DNS6, v4 ? (void *)&inside.v4.sin_addr : (void *)&inside.v6.sin6_addr);
        return !egress.given || rules_match(&egress, proto, &inside.any);
    }
    return false;
}

static bool has_called(const union address *a)
{
    for (size_t i = 1; i <= MIN(ncallers, (size_t)MAX_CALLERS); i++)
        if (same(&callers[(ncallers - i) % MAX_CALLERS], a))
            return true;
    return false;
}

static bool may_go(int fd, const struct sockaddr *sa, socklen_t len)
{
    int protocol = 0;
    socklen_t size = sizeof(protocol);
    if (!sa)
        return true;
    union address to = copy(sa, len);
    if (is_published(fd) && has_called(&to))
        return true;
    if (!egress.given && !is_loopback(&to))
        return true;
    if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) < 0)
        return false;
    u8 proto = protocol == IPPROTO_TCP || protocol == IPPROTO_UDP ? (u8)protocol : 0;
    return is_allowed_server(proto, &to) || (!is_loopback(&to) && rules_match(&egress, proto, &to.any));
}

bool slirp_policy_readable(int fd)
{
    if (!from.given || !is_published(fd))
        return true;
    for (;;) {
        char byte;
        union address a = {0};
        socklen_t size = sizeof(a);
        if (syscall(SYS_recvfrom, fd, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT, &a, &size) < 0)
            return false;
        if (rules_match(&from, IPPROTO_UDP, &a.any))
            return true;
        syscall(SYS_recvfrom, fd, &byte, sizeof(byte), MSG_DONTWAIT, NULL, NULL);
    }
}

/* --- between libslirp and the C library ----------------------------------------------------- */

int connect(int fd, const struct sockaddr *sa, socklen_t len);
ssize_t sendto(int fd, const void *data, size_t n, int flags, const struct sockaddr *sa, socklen_t len);
ssize_t recvfrom(int fd, void *data, size_t n, int flags, struct sockaddr *sa, socklen_t *len);
int accept(int fd, struct sockaddr *sa, socklen_t *len);

int connect(int fd, const struct sockaddr *sa, socklen_t len)
{
    if (!may_go(fd, sa, len)) {
        errno = ECONNREFUSED;
        return -1;
    }
    return (int)syscall(SYS_connect, fd, sa, len);
}

ssize_t sendto(int fd, const void *data, size_t n, int flags, const struct sockaddr *sa, socklen_t len)
{
    if (!may_go(fd, sa, len)) {
        errno = ECONNREFUSED;
        return -1;
    }
    return syscall(SYS_sendto, fd, data, n, flags, sa, len);
}

ssize_t recvfrom(int fd, void *data, size_t n, int flags, struct sockaddr *sa, socklen_t *len)
{
    ssize_t got = syscall(SYS_recvfrom, fd, data, n, flags, sa, len);
    if (got < 0 || !sa || !is_published(fd))
        return got;
    union address a = copy(sa, *len);
    if (!has_called(&a))
        callers[ncallers++ % MAX_CALLERS] = a;
    return got;
}

int accept(int fd, struct sockaddr *sa, socklen_t *len)
{
    union address a = {0};
    socklen_t size = sizeof(a);
    int got = (int)syscall(SYS_accept, fd, &a, &size);
    if (got >= 0 && from.given && !rules_match(&from, IPPROTO_TCP, &a.any)) {
        setsockopt(got, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
        close(got);
        errno = EAGAIN;
        return -1;
    }
    if (got >= 0 && sa) {
        memcpy(sa, &a, MIN(*len, size));
        *len = size;
    }
    return got;
}
