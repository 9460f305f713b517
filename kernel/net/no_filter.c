/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel without a packet filter (-Dwithout=filter): it runs nothing that was to be filtered. */
#include "net_impl.h"

u8 filter_on;
int net_filter_set(const char *ingress, const char *egress) { return ingress == NULL && egress == NULL ? 0 : -EOPNOTSUPP; }
bool filter_tcp_in(const struct netif *nif, const struct ip_rx *rx, u16 lport) { return true; }
bool filter_dgram_in(struct netif *nif, const struct pkt *p, u8 proto) { return true; }
bool filter_tcp_copy(const struct netif *nif, const struct pkt *p) { return true; }
int filter_raw_out(const struct netif *nif, const struct pkt *p, u32 at, u8 proto, bool first, struct ip_addr dst) { return 0; }
int filter_out(const struct netif *nif, u8 proto, struct ip_addr dst, u16 lport, u16 port) { return 0; }
