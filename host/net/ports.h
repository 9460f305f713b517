/* SPDX-License-Identifier: Apache-2.0 */
/* Published ports: -p [IP:]HOST:GUEST[/tcp|/udp]; an IPv6 address in brackets. */
#ifndef HOST_NET_PORTS_H
#define HOST_NET_PORTS_H

#include <netinet/in.h>

#include "host/lib/error.h"

#define MAX_PORTS 64

struct port {
    struct in_addr address; /* on the host */
    struct in6_addr address6;
    bool ipv6; /* address6 it is */
    u16 host, guest;
    bool udp;
    int fd; /* bound (and listening) socket, or -1 */
};

int port_parse(struct port *p, const char *text, struct error *err);
/* "127.0.0.1:8080->80/tcp", as Docker writes it. The caller frees. */
char *port_text(const struct port *p);
/* Take the port on the host: bind, and listen with a real backlog. */
int port_bind(struct port *p, struct error *err);

#endif
