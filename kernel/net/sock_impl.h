/* SPDX-License-Identifier: Apache-2.0 */
/* Sockets, for what is above IP: net_impl.h is what lies below, which knows of them no more than what it hands up. */
#ifndef NET_SOCK_IMPL_H
#define NET_SOCK_IMPL_H

#include "net_impl.h"

#define SHUT_RD_BIT 1u
#define SHUT_WR_BIT 2u

struct sock_ops {
    int (*bind)(struct sock *s, const struct sock_addr *a);
    int (*connect)(struct sock *s, const struct sock_addr *a, bool nonblock);
    int (*listen)(struct sock *s, int backlog);
    int (*accept)(struct sock *s, bool nonblock, struct sock **ret, struct sock_addr *ret_peer);
    s64 (*send)(struct sock *s, struct sock_msg *m);
    s64 (*recv)(struct sock *s, struct sock_msg *m);
    void (*cmsgs)(struct sock *s, const struct pkt *p, struct sock_msg *m, u32 *used); /* a datagram's own, besides those of inet.c; may be NULL */
    s64 (*recv_oob)(struct sock *s, struct sock_msg *m); /* MSG_OOB; NULL = such sockets have no urgent data */
    int (*shutdown)(struct sock *s, int how);
    int (*getname)(struct sock *s, bool peer, struct sock_addr *ret);
    /* Of SOL_SOCKET what socket.c does not know, and that SO_KEEPALIVE was set. May be NULL. */
    int (*setopt)(struct sock *s, int level, int name, const void *val, u32 len);
    int (*getopt)(struct sock *s, int level, int name, void *ret_val, u32 *len);
    u32 (*poll)(struct sock *s);                /* the bits; the queue is registered already */
    s64 (*pending)(struct sock *s, bool output); /* SIOCINQ, SIOCOUTQ: bytes or -errno; NULL = -ENOTTY */
    void (*release)(struct sock *s);            /* the program is done with it; drops the user's reference */
    void (*destroy)(struct sock *s);            /* zero references: free everything, itself too */
    int (*set_buf)(struct sock *s, bool rcv);    /* rcvbuf or sndbuf changed; may be NULL */
    int (*map)(struct sock *s, u64 len_bytes);   /* mmap(2) of so much, from 0: 0 or -EINVAL; NULL = -ENODEV */
    int (*map_page)(struct sock *s, u64 index, struct page **ret); /* of what was mapped; referenced */
};

/* What few sockets have. */
struct sock_extra {
    struct sock_zc *zc;         /* a: set once, with the first SO_ZEROCOPY */
    struct sock_errors *errors; /* a: set once, with the first IP_RECVERR */
    struct cbpf_program *filter; /* s; NULL is seen without */
    bool filter_locked;         /* s */
};

/* Locks: c const after creation, s lock, a atomic, r rd mutex (removing) + s */
struct sock {
    const struct sock_ops *ops; /* c */
    struct refcount refs;
    u16 domain;               /* c */
    u8 type, protocol;        /* c */
    struct spinlock lock;     /* "s", taken with sock_lock() */
    struct waitqueue wq;      /* everything that poll may wait for */
    struct mutex rd, wr;      /* one reader, one writer at a time; before s */
    struct list rcvq;         /* r: struct pkt.node */
    u32 rcvq_bytes;           /* s: payload */
    u32 rcv_mem, snd_mem;     /* s: bytes of packet storage charged */
    u32 rcvbuf, sndbuf;       /* s: limits in bytes */
    s32 err, soft_err;        /* a: pending error, positive */
    u8 shut;                  /* s, read without: SHUT_*_BIT */
    u8 reuse_addr, reuse_port; /* s: 0 or 1, from here */
    u8 keepalive, broadcast, linger_on, timestamp, oob_inline, passcred, dontroute;
    u8 rcvbuf_locked, sndbuf_locked; /* s: set by the program: no auto sizing */
    u8 nospace;               /* a: a writer found no room: wake with POLLOUT when there is */
    u8 closed;                /* s: no program holds it any more */
    u8 urg, urg_byte;         /* s, urg read without: URG_*; the urgent byte */
    u32 linger_s;             /* s */
    u32 priority, mark, rcvlowat;
    s32 peek_off;             /* a: SO_PEEK_OFF; negative = none */
    u16 bound_if, mc_if;      /* s: interface indices, 0 = any */
    u32 urg_at;               /* s: the urgent byte's place in the stream */
    u64 rcvtimeo_ns, sndtimeo_ns; /* s: 0 = none */
    /* AF_INET, AF_INET6 */
    struct ip_addr laddr, faddr; /* s: a wildcard / :: = not connected */
    u16 lport, fport;         /* s */
    bool laddr_bound;         /* s: laddr was given by bind(): a disconnect keeps it */
    u8 v6only : 1;            /* s, constant once bound */
    u8 src_prefs : 3;         /* s: PREFER_* (IPV6_ADDR_PREFERENCES) */
    u8 tos, ttl, mc_ttl, mc_loop, recv_flags, pmtu_disc, ip_freebind, ip_recverr, zerocopy;
    u8 mc_joined_only;        /* not IP_MULTICAST_ALL (1), not IPV6_MULTICAST_ALL (2): nothing of groups that others joined */
    u32 ino, uid;             /* a: of its file, and of who made that; 0 = no program has it (yet) */
    struct mc_member *mc;     /* the lock of mcast.c; NULL is seen without: groups it is in */
    struct sock_extra *extra; /* a: set once, by sock_extra() */
};
/* urg */
#define URG_KNOWN 1u   /* it will come */
#define URG_BYTE 2u    /* it is here */
#define URG_TAKEN 4u   /* by MSG_OOB */
#define URG_AT_MARK 8u /* what is read next begins with it, or behind it */
#define URG_STALE 16u  /* in front of all there is one that nobody will read */
/* src_prefs, with Linux's numbers */
#define PREFER_TEMPORARY 1u
#define PREFER_PUBLIC 2u
#define PREFER_CARE_OF 4u
/* recv_flags */
#define INET_PKTINFO 1u
#define INET_RECVTTL 2u
#define INET_RECVTOS 4u

int sock_setup(struct sock *s, const struct sock_ops *ops, int domain, int type, int protocol);
static inline void sock_get(struct sock *s) { ref_get(&s->refs); }
void sock_put(struct sock *s);
/* Made with the first call; NULL: no memory. Nobody holds s->lock. */
struct sock_extra *sock_extra(struct sock *s);
static inline struct sock_zc *sock_zc(const struct sock *s)
{
    const struct sock_extra *x = atomic_load(&s->extra);
    return unlikely(x != NULL) ? atomic_load(&x->zc) : NULL;
}
static inline struct sock_errors *sock_errors(const struct sock *s)
{
    const struct sock_extra *x = atomic_load(&s->extra);
    return unlikely(x != NULL) ? atomic_load(&x->errors) : NULL;
}
static inline void sock_lock(struct sock *s) { spin_lock_bh(&s->lock); }
/* Knocks on the devices before bottom halves may run again. */
void sock_unlock(struct sock *s);
#define SOL_SOCKET 1

/* Whom data and room wake, as on Linux: also who only waits for what is urgent. */
#define WAKE_IN (POLLIN | POLLPRI | POLLRDNORM | POLLRDBAND)
#define WAKE_OUT (POLLOUT | POLLWRNORM | POLLWRBAND)
static inline void sock_wake(struct sock *s, u32 events) { wq_wake(&s->wq, events); }
void sock_set_err(struct sock *s, int err); /* positive; wakes */
/* Wait for cond_fn under SO_RCVTIMEO/SO_SNDTIMEO rules: 0, -EAGAIN (time out, nonblock), -EINTR, -ERESTARTSYS. */
int sock_wait(struct sock *s, bool (*ready)(struct sock *s), u64 deadline_ns, bool nonblock, bool exclusive);
static inline u64 sock_deadline(u64 timeo_ns) { return timeo_ns == 0 ? NEVER_NS : now_ns() + timeo_ns; }

/* --- sock_filter.c: SO_ATTACH_FILTER ------------------------------------------------- */

extern u32 sock_filters; /* atomic: how many there are; read as it is, so that a build without them knows that there are none */
/* The socket's, referenced; NULL: it has none. */
struct cbpf_program *sock_filter_get(struct sock *s);
bool sock_filter_run(struct sock *s, struct pkt *p, const void *front, u32 nfront);
/* Does its filter let p in? What it does not want of p is cut off; else it is counted, and p stays the caller's. The filter sees nfront bytes of
 * headers, which are kept, before p's. Nobody holds s->lock. */
static inline bool sock_filter(struct sock *s, struct pkt *p, const void *front, u32 nfront)
{
    return likely(sock_filters == 0) || sock_filter_run(s, p, front, nfront);
}
/* Of SOL_SOCKET, len >= 4; -ENOPROTOOPT: it is none of a filter's. */
int sock_filter_setopt(struct sock *s, int name, const void *val, u32 len);
int sock_filter_getopt(struct sock *s, int name, void *ret_val, u32 *len);
bool sock_filter_locked(const struct sock *s); /* SO_LOCK_FILTER */
/* s is new; from's lock held. False: no memory. */
bool sock_filter_inherit(struct sock *s, const struct sock *from);
void sock_filter_done(struct sock_extra *x); /* the last reference is gone */

/* The way of what s sends from src, or from what it prefers. As ip_route_find(). s->lock or not. */
int inet_route(const struct sock *s, struct ip_addr dst, struct ip_addr src, unsigned ifindex, struct ip_route *ret);
/* IPV6_ADDR_PREFERENCES: 0 or -errno; what it tells, or -errno. */
int ip6_prefer(struct sock *s, u32 v);
s32 ip6_preferences(const struct sock *s);
bool sock_may(unsigned cap); /* the calling process has the capability */
/* Append one cmsg to m->ret_control; sets MSG_CTRUNC when it does not fit. `used` counts. */
void sock_put_cmsg(struct sock_msg *m, u32 *used, int level, int type, const void *data, u32 len);

struct sockaddr_in_ {
    u16 family, port; /* port big-endian */
    u32 addr;
    u8 zero[8];
} PACKED;
struct sockaddr_in6_ {
    u16 family, port; /* port big-endian */
    u32 flow;
    struct ip_addr addr;
    u32 scope;
} PACKED;
/* An address of the socket's family: 0, -EINVAL, -EAFNOSUPPORT. IPV6_V6ONLY is the caller's. */
int inet_addr_in(const struct sock *s, const struct sock_addr *a, struct ip_addr *ret_addr, u16 *ret_port);
/* The same for something to send to: a wildcard is this host. Also -ENETUNREACH. */
int inet_dest_in(const struct sock *s, const struct sock_addr *a, struct ip_addr *ret_addr, u16 *ret_port);
void inet_addr_out(struct sock_addr *a, u32 addr, u16 port); /* AF_INET */
void inet_name_out(const struct sock *s, struct sock_addr *a, struct ip_addr addr, u16 port); /* the socket's family */
/* May the caller bind s to a? 0 or -errno; *ret_addr and *ret_port are what it says. May wait for the network. */
int inet_bind_check(const struct sock *s, const struct sock_addr *a, struct ip_addr *ret_addr, u16 *ret_port);
void inet_bound(struct sock *s, struct ip_addr addr); /* bind(2) has succeeded; locked */
/* Would s be in the way of `by`, bound to addr and the same port? */
bool inet_clash(const struct sock *s, const struct sock *by, struct ip_addr addr);
static inline struct ip_addr inet_any(const struct sock *s) { return s->domain == AF_INET6 ? IP6_ANY : ip_v4(0); }
/* SOL_IP and SOL_IPV6; -ENOPROTOOPT for other levels. */
int inet_setopt(struct sock *s, int level, int name, const void *val, u32 len);
int inet_getopt(struct sock *s, int level, int name, void *ret_val, u32 *len);
int inet_getname(struct sock *s, bool peer, struct sock_addr *ret);
int opt_int_in(const void *val, u32 len, s32 *ret);       /* -EINVAL when short */
int opt_int_out(void *ret_val, u32 *len, s32 v);
int opt_out(void *ret_val, u32 *len, const void *v, u32 size);
void inet_recv_cmsgs(struct sock *s, const struct pkt *p, struct sock_msg *m, u32 *used);
struct dgram_dest {
    struct ip_addr addr, src;
    u32 ifindex;
    u16 port;
    s16 ttl, tos; /* -1 = the socket's */
};
/* What a send's cmsgs of SOL_IP and SOL_IPV6 (source and interface, TTL, TOS) change of d: 0, -EINVAL. Other levels are not looked at. */
int inet_send_cmsgs(const struct sock_msg *m, struct dgram_dest *d);
u16 inet_port_low(void);
u16 inet_port_high(void);

/* A new chain with len bytes from u, headroom in front of the first. 0, -ENOBUFS, -EFAULT. May sleep. */
int pkt_from_uio(struct uio *u, u32 headroom, u32 len, struct pkt **ret);
/* Copy a received chain out; bytes or -EFAULT. */
s64 pkt_to_uio(const struct pkt *p, u32 off, struct uio *u, u32 len);
/* Datagram sockets' receive queue: charge, append, wake. Takes p, whose sender is in cb: struct ip_rx, but of AF_PACKET a
 * struct sockaddr_ll. False = dropped. */
bool dgram_queue(struct sock *s, struct pkt *p);
/* SO_PEEK_OFF (socket(7)): where a call of these MSG_* begins to look, and what it moves that place by. */
static inline u32 sock_peek_at(const struct sock *s, u32 flags) { return flags & MSG_PEEK ? (u32)MAX(atomic_load_relaxed(&s->peek_off), 0) : 0; }
void sock_peek_move(struct sock *s, u32 flags, u64 n);
/* The datagram in rcvq that a call of these MSG_* gets, and where it begins in that; NULL = none. s->lock. */
struct pkt *dgram_first(struct sock *s, u32 flags, u32 *ret_off);
bool dgram_peekable(struct sock *s); /* dgram_first() has something for MSG_PEEK, or nothing will be there */
/* Whose p is. */
typedef void dgram_from_fn(struct sock *s, const struct pkt *p, struct sock_addr *ret);
s64 dgram_recv(struct sock *s, struct sock_msg *m, dgram_from_fn *from);
void dgram_close(struct sock *s); /* the last step of release(): nothing is queued any more; drops the user's reference */
void dgram_purge(struct sock *s);
u32 dgram_poll(struct sock *s);
s64 dgram_pending(struct sock *s, bool output); /* the next one's bytes; what is sent is gone */
/* Where a send goes: msg_name, the connected peer, IP_PKTINFO. */
int dgram_dest(struct sock *s, const struct sock_msg *m, struct dgram_dest *ret);
/* An ICMP error about a datagram of s to `port`, whose payload begins at `at` of the ICMP packet. Bottom halves off. */
void dgram_icmp_error(struct sock *s, const struct icmp_quote *e, u32 at, u16 port);
/* Route and headers' facts for one datagram of a socket: 0 or -errno. */
int dgram_route(struct sock *s, const struct dgram_dest *d, u8 proto, struct ip_tx *ret);

/* zerocopy.c: MSG_ZEROCOPY and its notifications. The rest but zc_enable() and zc_drop() only where sock_zc() is. */
int zc_enable(struct sock *s, s32 v);              /* SO_ZEROCOPY */
void zc_drop(struct sock *s);                      /* from destroy() */
bool zc_ready(const struct sock *s);               /* is there a notification? */
s64 zc_send(struct sock *s, struct sock_msg *m);   /* s->ops->send(), with m->zc */
s64 zc_recv(struct sock *s, struct sock_msg *m);   /* MSG_ERRQUEUE */
/* tcp_make_packet() of z's bytes, without a copy unless they stay `here`. */
int zc_make_packet(struct zc_send *z, bool here, struct uio *u, struct pkt **ret);

/* errqueue.c: what ICMP says of datagrams, for MSG_ERRQUEUE */
int errors_enable(struct sock *s, bool on);                         /* IP_RECVERR, IPV6_RECVERR */
void errors_drop(struct sock *s);                                   /* from destroy() */
bool errors_ready(const struct sock *s);                            /* is there one? */
/* e, whose payload begins at `at` of its packet; bottom halves off; wakes nobody */
void errors_queue(struct sock *s, const struct icmp_quote *e, u32 at, u16 port);
s64 errors_recv(struct sock *s, struct sock_msg *m);                /* MSG_ERRQUEUE */

int tcp_sock_create(int domain, struct sock **ret);
int udp_sock_create(int domain, struct sock **ret);
int raw_sock_create(int domain, int protocol, struct sock **ret);
int unix_sock_create(int type, struct sock **ret);
int packet_sock_create(int type, int protocol, struct sock **ret);
int unix_sock_pair(int type, struct sock *ret[2]);
int netlink_sock_create(int type, int protocol, struct sock **ret);

/* Sockets of a table, a few at a time, referenced: those behind the first `seen` of the list where the last call ended. What comes and goes
 * between two calls may be missed, or found twice. */
#define SOCKS_FOUND 16u
struct socks_found {
    u32 list, seen; /* the place: 0, 0 is the beginning */
    u32 at;
    unsigned n; /* SOCKS_FOUND: there may be more */
    struct sock *s[SOCKS_FOUND];
};
/* The next of the list at hand; the table's lock held. */
static inline void sock_found(struct socks_found *f, struct sock *s)
{
    if (f->at++ >= f->seen && f->n < SOCKS_FOUND) {
        sock_get(s);
        f->s[f->n++] = s;
        f->seen++;
    }
}
/* The same for a table of lists, whose lock is held; of() names a node's socket. */
void socks_walk(struct socks_found *f, struct list *lists, u32 count, struct sock *(*of)(struct list *node));
/* Of all that find() gives the first that fits, referenced; NULL = none. fits() holds no lock. */
struct sock *sock_search(void (*find)(struct socks_found *f), bool (*fits)(const struct sock *s, void *ctx), void *ctx);
void tcp_find_listeners(struct socks_found *f);
void udp_find_all(struct socks_found *f);
void raw_find_all(struct socks_found *f);
void unix_find_all(struct socks_found *f);
void packet_find_all(struct socks_found *f);

#endif
