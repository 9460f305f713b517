/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel without raw sockets (-Dwithout=raw). */
#include "sock_impl.h"

u32 raw_socks;
int raw_sock_create(int domain, int protocol, struct sock **ret) { return -ESOCKTNOSUPPORT; }
bool raw_input(struct netif *nif, const struct pkt *p, u8 proto) { return false; }
void raw_icmp_error(const struct icmp_quote *e) {}
void raw_find_all(struct socks_found *f) {}
size_t raw_show(char *buf, size_t size) { return 0; }
