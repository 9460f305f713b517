/* SPDX-License-Identifier: Apache-2.0 */
/* In place of dhcp.c: an address is what the configuration says. */
#include "net_impl.h"

int dhcp_init(void) { return -EOPNOTSUPP; }
void dhcp_start(struct netif *nif) {}
bool dhcp_wait(u64 deadline_ns) { return false; }
void dhcp_input(struct netif *nif, const struct pkt *p) {}
bool dhcp_active(const struct netif *nif) { return false; }
