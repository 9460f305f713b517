/* SPDX-License-Identifier: Apache-2.0 */
/* In place of zerocopy.c: SO_ZEROCOPY is refused, and MSG_ZEROCOPY without it is an ordinary send. */
#include "tcp_impl.h"

bool zc_ready(const struct sock *s) { return false; }
int zc_enable(struct sock *s, s32 v) { return -ENOPROTOOPT; }
void zc_drop(struct sock *s) {}
s64 zc_send(struct sock *s, struct sock_msg *m) { return -EOPNOTSUPP; }
int zc_make_packet(struct zc_send *z, bool here, struct uio *u, struct pkt **ret) { return tcp_make_packet(u, ret); }
s64 zc_recv(struct sock *s, struct sock_msg *m) { return -EAGAIN; }
