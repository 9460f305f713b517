/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of NETLINK_SOCK_DIAG (sock_diag(7)): sock_diag.c has the requests' families, diag_inet.c TCP, UDP and raw sockets, diag_filter.c the
 * conditions that a request sends with it, diag_unix.c AF_UNIX, diag_other.c what else there is. Wire: linux/inet_diag.h, unix_diag.h; host byte order but where it says so. */
#ifndef DIAG_IMPL_H
#define DIAG_IMPL_H

#include "netlink_impl.h"

#define SOCK_DIAG_BY_FAMILY 20

nl_handler diag_inet;
nl_handler diag_unix;
nl_handler diag_other; /* AF_PACKET, AF_NETLINK */

/* A socket's number as its cookie: two of one time differ. */
static inline u64 diag_cookie(const struct sock *s) { return s->ino; }
/* Does a request's cookie mean that socket? All ones: any. */
static inline bool diag_cookie_fits(const u8 *cookie, const struct sock *s)
{
    u64 c = get_u64(cookie);
    return c == UINT64_MAX || c == diag_cookie(s);
}
typedef void diag_tell_fn(struct nl_answer *a, struct sock *s, const void *request);
/* The answer is what tell() says of all sockets that find() gives, a few at a time; `request` is copied. 0 or -ENOMEM. */
int diag_dump(struct nl_answer *a, void (*find)(struct socks_found *f), diag_tell_fn *tell, const void *request, size_t len);
/* INET_DIAG_SKMEMINFO, UNIX_DIAG_MEMINFO */
void diag_memory(struct nl_answer *a, u16 type, const struct sock *s);

/* What is told of a socket of AF_INET or AF_INET6. */
struct diag_entry {
    struct ip_addr laddr, faddr;
    u32 ifindex, mark;
    u32 rqueue, wqueue, expires_ms, uid, ino;
    u16 lport, fport;
    u8 family, state, timer, retrans;
};
enum { DIAG_TIMER_NONE, DIAG_TIMER_RETRANSMIT, DIAG_TIMER_KEEPALIVE, DIAG_TIMER_TIMEWAIT, DIAG_TIMER_PROBE };

#define DIAG_FILTER_MAX 4096u
/* INET_DIAG_REQ_BYTECODE: 0, or -EINVAL for what is malformed or not known. */
int diag_filter_check(const u8 *code, u32 len);
bool diag_filter_passes(const u8 *code, u32 len, const struct diag_entry *e);

#endif
