/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel without packet sockets (-Dwithout=packet). */
#include "sock_impl.h"

u32 packet_taps;
void packet_tap(struct netif *nif, const struct pkt *p, bool out) {}
void packet_facts_of(struct sock *s, struct packet_facts *ret) {}
void packet_find_all(struct socks_found *f) {}
int packet_sock_create(int type, int protocol, struct sock **ret) { return -EAFNOSUPPORT; }
