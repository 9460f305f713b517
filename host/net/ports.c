/* SPDX-License-Identifier: Apache-2.0 */
/* Published ports: see ports.h. */
#include "host/net/ports.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "host/lib/util.h"

#define BACKLOG 4096

int port_parse(struct port *p, const char *text, struct error *err)
{
    AUTO_FREE char *copy = xstrdup(text);
    u64 host, guest;
    *p = (struct port){.fd = -1};
    char *slash = strchr(copy, '/');
    if (slash) {
        *slash++ = 0;
        if (strcmp(slash, "udp") != 0 && strcmp(slash, "tcp") != 0)
            return err_set(err, EXIT_DRUPE, "-p %s: protocol \"%s\" is neither tcp nor udp", text, slash);
        p->udp = slash[0] == 'u';
    }
    char *start = copy;
    if (copy[0] == '[') {
        char *end = strstr(copy, "]:");
        if (end)
            *end = 0;
        if (!end || inet_pton(AF_INET6, copy + 1, &p->address6) != 1)
            return err_set(err, EXIT_DRUPE, "-p %s: say [IPV6]:HOST:GUEST, as in [::1]:8080:80", text);
        p->ipv6 = true;
        start = end + 2;
    }
    char *last = strrchr(start, ':');
    if (!last)
        return err_set(err, EXIT_DRUPE, "-p %s: say which port of the host, too: -p [IP:]HOST:GUEST[/udp]", text);
    *last++ = 0;
    char *first = strrchr(start, ':');
    const char *host_text = first ? first + 1 : start;
    if (first) {
        *first = 0;
        if (p->ipv6 || inet_pton(AF_INET, start, &p->address) != 1)
            return err_set(err, EXIT_DRUPE, "-p %s: \"%s\" is no IPv4 address", text, start);
    }
    if (parse_number(host_text, 1, 65535, &host) < 0 || parse_number(last, 1, 65535, &guest) < 0)
        return err_set(err, EXIT_DRUPE, "-p %s: ports are numbers from 1 to 65535, as in -p 8080:80", text);
    p->host = (u16)host;
    p->guest = (u16)guest;
    return 0;
}

char *port_text(const struct port *p)
{
    char address[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &p->address, address, sizeof(address));
    return str_format("%s:%u->%u/%s", address, p->host, p->guest, p->udp ? "udp" : "tcp");
}

int port_bind(struct port *p, struct error *err)
{
    const char *proto = p->udp ? "udp" : "tcp";
    char address[INET6_ADDRSTRLEN];
    struct sockaddr_in sa4 = {.sin_family = AF_INET, .sin_port = htons(p->host), .sin_addr = p->address};
    struct sockaddr_in6 sa6 = {.sin6_family = AF_INET6, .sin6_port = htons(p->host), .sin6_addr = p->address6};
    const struct sockaddr *sa = p->ipv6 ? (struct sockaddr *)&sa6 : (struct sockaddr *)&sa4;
    inet_ntop(sa->sa_family, p->ipv6 ? (void *)&p->address6 : (void *)&p->address, address, sizeof(address));
    AUTO_CLOSE int fd = socket(sa->sa_family, (p->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(err, EXIT_DRUPE, "socket");
    int one = 1;
    if (p->ipv6) /* -p 80:80 beside -p [::]:80:80 */
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
    if (!p->udp)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, sa, p->ipv6 ? sizeof(sa6) : sizeof(sa4)) < 0 || (!p->udp && listen(fd, BACKLOG) < 0)) {
        if (errno == EADDRINUSE)
            return err_set(err, EXIT_DRUPE, "port %u/%s on %s is taken by another program; choose another with -p OTHER:%u",
                           p->host, proto, address, p->guest);
        if (errno == EACCES)
            return err_set(err, EXIT_DRUPE, "port %u/%s: ports below 1024 need root; choose another with -p OTHER:%u", p->host,
                           proto, p->guest);
        return err_errno(err, EXIT_DRUPE, "port %u/%s on %s", p->host, proto, address);
    }
    p->fd = TAKE_FD(fd);
    return 0;
}
