/* SPDX-License-Identifier: Apache-2.0 */
/* A kernel without filters of sockets (-Dwithout=sock_filter), and so without packet sockets. */
#include "sock_impl.h"

u32 sock_filters;

bool sock_filter_run(struct sock *s, struct pkt *p, const void *front, u32 nfront) { return true; }
int sock_filter_setopt(struct sock *s, int name, const void *val, u32 len) { return -ENOPROTOOPT; }
int sock_filter_getopt(struct sock *s, int name, void *ret_val, u32 *len) { return -ENOPROTOOPT; }
int sock_filter_out(struct sock *s, int level, int name, u64 uinsn, u64 ulen) { return -ENOPROTOOPT; }
bool sock_filter_inherit(struct sock *s, const struct sock *from) { return true; }
void sock_filter_done(struct sock_extra *x) {}
