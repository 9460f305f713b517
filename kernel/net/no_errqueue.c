/* SPDX-License-Identifier: Apache-2.0 */
/* In place of errqueue.c: IP_RECVERR and IPV6_RECVERR are refused. */
#include "sock_impl.h"

bool errors_ready(const struct sock *s) { return false; }
int errors_enable(struct sock *s, bool on) { return on ? -ENOPROTOOPT : 0; }
void errors_drop(struct sock *s) {}
void errors_queue(struct sock *s, const struct icmp_quote *e, u32 at, u16 port) {}
s64 errors_recv(struct sock *s, struct sock_msg *m) { return -EAGAIN; }
