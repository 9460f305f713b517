/* SPDX-License-Identifier: Apache-2.0 */
/* The network options of `drupe run`: what fits together, and what the kernel and others are told of it. */
#ifndef HOST_CLI_NETWORK_H
#define HOST_CLI_NETWORK_H

#include "host/image/config.h"
#include "host/net/policy.h"
#include "host/net/ports.h"
#include "host/tender/instance.h"

struct network_options {
    const char *ip, *ip6, *dns;
    struct port ports[MAX_PORTS]; /* the instance's */
    struct policy policy;
};

/* --net. */
int network_parse(struct instance *m, const char *text, struct error *err);
/* Do the options fit together? Takes the ports on the host. */
int network_check(struct network_options *o, const struct instance *m, struct error *err);
/* Into the annotations. */
int network_apply(const struct network_options *o, const struct instance *m, struct config *c, struct error *err);
/* "Ports", "Allow", "AllowFrom" and "Egress" for drupe inspect; "any" is no limit. */
void network_describe(const struct network_options *o, const struct instance *m, struct json_object *state);

#endif
