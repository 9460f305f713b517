/* SPDX-License-Identifier: Apache-2.0 */
/* User networking: starting drupe-slirp (slirp.c). */
#ifndef HOST_NET_USER_H
#define HOST_NET_USER_H

#include <sys/types.h>

#include "host/net/policy.h"
#include "host/net/ports.h"

/* Start it on its end of the frames' socket with the published ports and what `policy` says of callers and egress. On success these descriptors are its own
 * alone: they are closed here. Its pid, or -1. */
pid_t user_net_start(const char *slirp, int *frames_fd, struct port *ports, size_t nports, const struct policy *policy, bool quiet,
                     struct error *err);

#endif
