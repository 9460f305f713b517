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
    if (copy[0] == '[')
        return err_set(err, EXIT_DRUPE, "-p %s: publishing on an IPv6 address is not there yet", text);
    char *last = strrchr(copy, ':');
    if (!last)
        return err_set(err, EXIT_DRUPE, "-p %s: say which port of the host, too: -p [IP:]HOST:GUEST[/udp]", text);
    *last++ = 0;
    char *first = strrchr(copy, ':');
    const char *host_text = first ? first + 1 : copy;
    if (first) {
        *first = 0;
        if (inet_pton(AF_INET, copy, &p->address) != 1)
            return err_set(err, EXIT_DRUPE, "-p %s: \"%s\" is no IPv4 address", text, copy);
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
    char address[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &p->address, address, sizeof(address));
    AUTO_CLOSE int fd = socket(AF_INET, (p->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(err, EXIT_DRUPE, "socket");
    int one = 1;
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(p->host), .sin_addr = p->address};
    if (!p->udp)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0 || (!p->udp && listen(fd, BACKLOG) < 0)) {
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
