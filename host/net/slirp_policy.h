/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drupe-slirp's part of the policy (host/net/policy.h), enforced where libslirp asks the C library for sockets: what goes to an
 * address of the outside is checked when it goes, callers of published ports when they come. The frames are not believed.
 * The host's loopback addresses are hidden here, not by libslirp, which would not let callers from there be answered over UDP.
 */
#ifndef HOST_NET_SLIRP_POLICY_H
#define HOST_NET_SLIRP_POLICY_H

#include <stdbool.h>

/* An argument "egress", "egress:WORD" or "from:WORD". False = it is none of these. */
bool slirp_policy_argument(const char *text);
/* The text of /etc/resolv.conf: its servers stand behind SLIRP_DNS, so rules for that are theirs. */
void slirp_policy_nameservers(const char *text);
/* fd is a published UDP port: who has called may be answered. */
void slirp_policy_published_udp(int fd);
/* fd may be read, says poll(): is there something that libslirp may see? It takes a failing recvfrom() for an answer to something
 * that the guest sent. */
bool slirp_policy_readable(int fd);

#endif
