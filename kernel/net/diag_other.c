/* SPDX-License-Identifier: Apache-2.0 */
/* AF_PACKET and AF_NETLINK in NETLINK_SOCK_DIAG (linux/packet_diag.h, netlink_diag.h): dumps alone. Memberships of packet sockets and their filters
 * are not told. */
#include "diag_impl.h"

struct other_request { /* of both */
    u8 family, protocol;
    u16 pad;
    u32 ino, show;
    u8 cookie[8];
};
struct packet_message {
    u8 family, type;
    u16 protocol;
    u32 ino, cookie[2];
};
struct netlink_message {
    u8 family, type, protocol, state;
    u32 port, peer_port, peer_group, ino, cookie[2];
};
_Static_assert(sizeof(struct other_request) == 20 && sizeof(struct packet_message) == 16 && sizeof(struct netlink_message) == 28, "linux/*_diag.h");
enum { PACKET_SHOW_INFO = 1, PACKET_SHOW_RING = 4, PACKET_SHOW_FANOUT = 8, PACKET_SHOW_MEMORY = 0x10 };
enum { PACKET_INFO, PACKET_RX_RING = 2, PACKET_TX_RING, PACKET_FANOUT_WORD, PACKET_UID, PACKET_MEMORY };
enum { NETLINK_SHOW_MEMORY = 1, NETLINK_SHOW_GROUPS };
enum { NETLINK_MEMORY, NETLINK_GROUPS };
#define ANY_PROTOCOL 255
#define UNCONNECTED 7 /* TCP_CLOSE, as Linux says of all of them */

static void tell_packet(struct nl_answer *a, struct sock *s, const void *request)
{
    const struct other_request *r = request;
    struct packet_facts x;
    if (s->type != SOCK_RAW && s->type != SOCK_DGRAM)
        return;
    packet_facts_of(s, &x);
    const struct packet_message m = { AF_PACKET, s->type, x.protocol, s->ino, { (u32)diag_cookie(s) } };
    const u32 info[6] = { x.ifindex, x.version, x.reserve, 0, 0, (x.protocol != 0) | (u32)x.auxdata << 1 | (u32)x.loss << 4 };
    nl_begin(a, SOCK_DIAG_BY_FAMILY, NLM_F_MULTI, &m, sizeof m);
    if (r->show & PACKET_SHOW_INFO) {
        nl_attr(a, PACKET_INFO, info, sizeof info);
        nl_attr_u32(a, PACKET_UID, s->uid);
    }
    if ((r->show & PACKET_SHOW_RING) && x.ring[0] != 0)
        nl_attr(a, PACKET_RX_RING, x.ring, sizeof x.ring);
    if ((r->show & PACKET_SHOW_RING) && x.tx[0] != 0)
        nl_attr(a, PACKET_TX_RING, x.tx, sizeof x.tx);
    if ((r->show & PACKET_SHOW_FANOUT) && x.in_group)
        nl_attr_u32(a, PACKET_FANOUT_WORD, x.fanout);
    if (r->show & PACKET_SHOW_MEMORY)
        diag_memory(a, PACKET_MEMORY, s);
    nl_end(a);
}

static void tell_netlink(struct nl_answer *a, struct sock *s, const void *request)
{
    const struct other_request *r = request;
    u32 port;
    u64 groups;
    if (r->protocol != ANY_PROTOCOL && r->protocol != s->protocol)
        return;
    netlink_facts(s, &port, &groups);
    if (port == 0) /* nothing can come to it */
        return;
    const struct netlink_message m = { AF_NETLINK, s->type, s->protocol, UNCONNECTED, port, 0, 0, s->ino, { (u32)diag_cookie(s) } };
    nl_begin(a, SOCK_DIAG_BY_FAMILY, NLM_F_MULTI, &m, sizeof m);
    if ((r->show & NETLINK_SHOW_GROUPS) && groups != 0)
        nl_attr(a, NETLINK_GROUPS, &groups, sizeof groups);
    if (r->show & NETLINK_SHOW_MEMORY)
        diag_memory(a, NETLINK_MEMORY, s);
    nl_end(a);
}

int diag_other(struct nl_answer *a, const struct nl_request *r)
{
    struct other_request q;
    if (r->len < sizeof q)
        return -EINVAL;
    memcpy(&q, r->body, sizeof q);
    if (q.family == AF_PACKET && q.protocol != 0)
        return -EINVAL;
    if ((r->flags & NLM_F_DUMP) != NLM_F_DUMP)
        return -EOPNOTSUPP;
    return q.family == AF_PACKET ? diag_dump(a, packet_find_all, tell_packet, &q, sizeof q) : diag_dump(a, netlink_find_all, tell_netlink, &q, sizeof q);
}
