/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the unit tests of the stack: a machine with one card, 10.0.0.2/24, and what is at
 * the other end of its wire.
 *
 *   scripted   frames that the stack sends are kept for the test to look at; the test
 *              hands frames in. ARP requests for 10.0.0.1 and .99 are answered.
 *   mirror     what is sent to 10.0.0.99 comes back as from 10.0.0.99, so that the
 *              stack talks to itself over a wire that delays, loses, doubles and reorders.
 */
#ifndef NET_TEST_H
#define NET_TEST_H

#include "../tcp_impl.h"
#include "kern/uio.h"
#include "sim/test.h"

#define OUR_IP IP4(10, 0, 0, 2)
#define PEER_IP IP4(10, 0, 0, 1)
#define MIRROR_IP IP4(10, 0, 0, 99)
extern const u8 peer_mac[6];
extern struct netdev test_dev;

struct wire {
    bool mirror;
    u32 loss, dup, reorder;     /* one in so many; 0 = never */
    u64 delay_ns;
    bool answer_arp;
    bool ipv6;                  /* keep what is sent as IPv6; else it goes nowhere */
    bool drop_all;
    bool busy;                  /* wire_in(): a card that always has more, in batches of 64 */
    u64 frames, bytes, lost;    /* statistics */
};
extern struct wire wire;

void net_test_boot(u32 features);
void net_test_boot_config(u32 features, const struct net_config *c);

struct frame {
    struct list node;
    u64 at_ns;
    u32 len;
    u8 data[];
};
/* The next frame the stack sent, ARP left out; waits up to wait_ns of virtual time; NULL = none. free it. */
struct frame *wire_next(u64 wait_ns);
void frame_free(struct frame *f);
void wire_report(void); /* counters and queues, to the log */
void wire_flush(void); /* forget what was sent */
/* Hand a frame to the stack, as the card's bottom half does. */
void wire_in(const void *data, u32 len);
extern u8 wire_tos, wire_nops; /* of packets made by wire_in_ip(): how many bytes of options there are */
/* An IPv4 packet from src: header made here. */
void wire_in_ip(u32 src, u32 dst, u8 proto, u16 frag, u16 id, const void *payload, u32 len);

/* A scripted TCP peer. */
struct peer {
    u32 ip;
    u16 port, our_port;
    u32 seq, ack;   /* what it sends next with */
    u16 wnd;
    bool ts;
    u32 ts_val, ts_ecr;
};
struct tseg {   /* a TCP segment that the stack sent */
    u64 at_ns;
    u32 src, dst, seq, ack, len;
    u16 sport, dport, wnd, urg;
    u8 flags, tos;
    struct tcp_options o;
    u8 data[2048];
};
void peer_send(struct peer *p, u8 flags, const void *data, u32 len); /* advances seq */
void peer_send_at(struct peer *p, u32 seq, u32 ack, u8 flags, const u8 *opts, u32 optlen, const void *data, u32 len);
bool peer_recv(struct tseg *ret, u64 wait_ns); /* checks checksums */
/* Handshakes: with a listener of ours on our_port; with a connect() of ours that is under way. */
void peer_connect(struct peer *p, u16 our_port);
void peer_accept(struct peer *p);

struct sock *tcp_listener(u16 port, int backlog);
struct sock *must_accept(struct sock *l);
struct sock_addr in_addr(u32 ip, u16 port);
s64 send_bytes(struct sock *s, const void *data, u32 len, u32 flags);
s64 recv_bytes(struct sock *s, void *data, u32 len, u32 flags);
struct sock *udp_bound(u16 port);
/* A UDP datagram's bytes from the peer, header and checksum included; its length. */
u32 udp_bytes(u8 *b, u16 sport, u16 dport, const void *data, u32 len);
s64 send_to(struct sock *s, const void *data, u32 len, u32 ip, u16 port);
void sleep_ns(u64 ns);
/* Deterministic bytes for a position of a stream. */
u8 stream_byte(u64 pos);
void stream_fill(u8 *buf, u64 pos, u32 len);
/* The invariants of tcp_impl.h. */
void check_tcp(const struct tcp *t);
/* Nothing of the stack's is left: call after everything is closed. */
void check_no_leak(void);
static inline struct tcp *conn(struct sock *s) { return tcp_of(s); }

#endif
