/* SPDX-License-Identifier: Apache-2.0 */
/* In the place of mcast.c, mcast_wire.c and mcast_show.c (-Dwithout=multicast): nobody joins a group. */
#include "net_impl.h"

int mc_setopt(struct sock *s, int level, int name, const void *val, u32 len) { return -ENOPROTOOPT; }
int mc_getopt(struct sock *s, int level, int name, void *ret_val, u32 *len) { return -ENOPROTOOPT; }
void mc_leave_all(struct sock *s) {}
void mc_own(struct netif *nif, struct ip_addr addr, bool wanted) {}
bool mc_accepts(const struct netif *nif, struct ip_addr group, struct ip_addr src) { return ip_equal(group, ip_v4(IP4(224, 0, 0, 1))); }
bool mc_wants(const struct sock *s, const struct ip_rx *rx) { return true; }
int mc_output(struct sock *s, struct pkt *p, const struct ip_tx *tx) { return ip_output(p, tx); }
void mc_start(struct netif *nif) {}
void mc_init(void) {}
void igmp_input(struct netif *nif, struct pkt *p) { pkt_free(p); }
void mld_input(struct netif *nif, const struct pkt *p, u8 type) {}
size_t igmp_show(char *buf, size_t size) { return 0; }
size_t igmp6_show(char *buf, size_t size) { return 0; }
