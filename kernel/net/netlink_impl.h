/* SPDX-License-Identifier: Apache-2.0 */
/* Between netlink.c (sockets, framing) and rtnetlink.c (what is asked and told). Wire: netlink(7), host byte order. */
#ifndef NETLINK_IMPL_H
#define NETLINK_IMPL_H

#include "net_impl.h"

#define NLMSG_ERROR 2
#define NLMSG_DONE 3
#define NLMSG_MIN_TYPE 16
#define NLM_F_REQUEST 0x1u
#define NLM_F_MULTI 0x2u
#define NLM_F_ACK 0x4u
#define NLM_F_DUMP 0x300u

struct nl_request {
    const u8 *header, *body;
    u32 len; /* of the body */
    u16 type, flags;
};

struct nl_answer {
    struct sock *to;
    struct pkt *p; /* being filled, or NULL */
    u32 seq, port;
    u32 len;       /* of msg */
    u8 msg[768];   /* the message being made; all there are fit, which is asserted */
};

/* A message: its fixed part, then attributes, then its end. */
void nl_begin(struct nl_answer *a, u16 type, u16 flags, const void *fixed, u32 len);
void nl_attr(struct nl_answer *a, u16 type, const void *data, u32 len);
void nl_attr_u32(struct nl_answer *a, u16 type, u32 v);
void nl_end(struct nl_answer *a);

/* Answer a request (thread context; may wait for the network). 0: all of it was made, but the end of a dump; -errno. */
int rtnl_handle(struct nl_answer *a, const struct nl_request *r);

#endif
