/* SPDX-License-Identifier: Apache-2.0 */
/* Between netlink.c (sockets, framing), and rtnetlink.c and sock_diag.c (what is asked and told). Wire: netlink(7), host byte order. */
#ifndef NETLINK_IMPL_H
#define NETLINK_IMPL_H

#include "sock_impl.h"

#define NLMSG_ERROR 2
#define NLMSG_DONE 3
#define NLMSG_MIN_TYPE 16
#define NLM_F_REQUEST 0x1u
#define NLM_F_MULTI 0x2u
#define NLM_F_ACK 0x4u
#define NLM_F_DUMP 0x300u

struct nl_answer;
struct nl_request;
/* Answer a request (thread context; may wait for the network). 0: all of it was made, but the end of a dump; -errno. */
typedef int nl_handler(struct nl_answer *a, const struct nl_request *r);
nl_handler rtnl_handle;
void netlink_find_all(struct socks_found *f);
void netlink_facts(const struct sock *s, u32 *ret_port, u64 *ret_groups); /* a bit for each group it is in */
extern nl_handler *const sock_diag_handle; /* NULL: not in this build */

struct nl_request {
    const u8 *header, *body;
    u32 len; /* of the body */
    u16 type, flags;
};

/* An answer that is made in parts, while it is read. */
struct nl_dump {
    /* The next part; false = there is no more. Thread context; one call at a time. */
    bool (*more)(struct nl_answer *a, struct nl_dump *d);
    u32 seq; /* netlink.c's */
};

struct nl_answer {
    struct sock *to;
    struct nl_dump *dump; /* a handler of a dump that returns 0 may leave one here (kmalloc), which is netlink.c's then */
    struct pkt *p; /* being filled, or NULL */
    u32 seq, port;
    u32 len;       /* of msg */
    u32 group;     /* it goes to; 0 = to one socket */
    bool gone;     /* what is told of is no more: RTM_DEL instead of RTM_NEW */
    u8 msg[768];   /* the message being made; all there are fit, which is asserted */
};

/* A message: its fixed part, then attributes, then its end. */
void nl_begin(struct nl_answer *a, u16 type, u16 flags, const void *fixed, u32 len);
void nl_attr(struct nl_answer *a, u16 type, const void *data, u32 len);
void nl_attr_u32(struct nl_answer *a, u16 type, u32 v);
void nl_end(struct nl_answer *a);
/* The attribute of a request whose fixed part has so many bytes; NULL = not there. */
const u8 *nl_attr_find(const struct nl_request *r, u32 fixed, u16 type, u32 *ret_len);

/* tell() for each socket in the group, then what it made is queued. Of one thread at a time. */
void nl_multicast(u32 group, void (*tell)(struct nl_answer *a, const void *what), const void *what, bool gone);

/* --- rtnetlink.c: what there is, and one message of each ------------------------- */
#define RTMGRP_LINK 0x1u
#define RTMGRP_NEIGH 0x4u
#define RTMGRP_IPV4_IFADDR 0x10u
#define RTMGRP_IPV4_ROUTE 0x40u
#define RTMGRP_IPV6_IFADDR 0x100u
#define RTMGRP_IPV6_ROUTE 0x400u
#define RTMGRP_ND_USEROPT 0x80000u
struct told_addr {
    const struct netif *nif;
    struct ip6_addr ip; /* of either family */
    u8 scope;
};
struct told_route {
    const struct netif *nif;
    struct ip_addr dst, gateway, src; /* gateway, src: :: = none */
    u32 metric, flags;
    u8 plen, protocol, table, pref;
    bool local;
};
#define TOLD_ADDRS (NETIF_MAX + 1 + IP6_ADDRS)
#define TOLD_ROUTES (ROUTE_MAX + IP6_ROUTES)
unsigned rtnl_addrs(struct told_addr ret[TOLD_ADDRS], u8 family);
unsigned rtnl_routes(struct told_route ret[TOLD_ROUTES], u8 family);
void rtnl_tell_link(struct nl_answer *a, const struct netif *nif, u16 flags);
void rtnl_tell_addr(struct nl_answer *a, const struct told_addr *t, u16 flags);
void rtnl_tell_route(struct nl_answer *a, const struct told_route *t, u16 flags);
void rtnl_tell_neigh(struct nl_answer *a, const struct neigh_info *e, u16 flags);

/* rtnl_watch.c: somebody is in a group now. Thread context. 0 or -ENOMEM. */
int rtnl_watch(void);
/* rtnl_option.c: the same of options of routers. */
int rtnl_option_watch(void);

#endif
