/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel without sockets of AF_UNIX (-Dwithout=unix). */
#include "sock_impl.h"

int unix_sock_create(int type, struct sock **ret) { return -EAFNOSUPPORT; }
int unix_sock_pair(int type, struct sock *ret[2]) { return -EAFNOSUPPORT; }
void unix_find_all(struct socks_found *f) {}
size_t unix_show(char *buf, size_t size) { return 0; }
