/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private header of the network stack.
 *
 *   program --- socket.c --- tcp_sock.c / udp.c / raw.c / unix.c
 *                              |
 *     tcp_in.c (pure) tcp_out.c tcp_timer.c tcp_listen.c tcp.c (tables)
 *                              |
 *     filter.c              mcast.c  mcast_wire.c
 *     ip.c  ip6.c  ip_frag.c  route.c  ip6_addr.c  icmp.c  icmp6.c  dhcp.c
 *                              |
 *     ether.c  neigh.c (arp.c, ip6_nd.c)  lo.c  --- struct netdev (dev/)
 *
 * Context: everything below the socket calls runs with bottom halves disabled, either
 * in a device's bottom half or in a thread that holds a socket's lock. Nothing there
 * sleeps. Transmitting only queues to the device; net_kick() knocks once, at the end
 * of a receive batch or when a thread drops the socket's lock (sock_unlock).
 *
 * Sockets, TCP, UDP and routes know one kind of address, struct ip_addr, which holds both
 * families; code of IPv4 alone (ARP, ICMP, DHCP, fragments, interfaces) has big-endian u32.
 * Ports are in host order, converted where a packet is read or written and nowhere else.
 * Locks: docs/LOCKING.md, "net".
 */
#ifndef NET_IMPL_H
#define NET_IMPL_H

#include "base/bytes.h"
#include "base/fmt.h"
#include "base/list.h"
#include "base/str.h"
#include "kern/bh.h"
#include "kern/lock.h"
#include "kern/log.h"
#include "kern/net.h"
#include "kern/netdev.h"
#include "kern/percpu.h"
#include "kern/pkt.h"
#include "kern/random.h"
#include "kern/slab.h"
#include "kern/socket.h"
#include "kern/timer.h"
#include "kern/trace.h"
#include "kern/wait.h"

/* --- wire formats ------------------------------------------------------------ */

struct eth_hdr {
    u8 dst[6], src[6];
    u16 type;
} PACKED;
#define ETH_IP 0x0800
#define ETH_IPV6 0x86dd
#define ETH_ARP 0x0806
#define ETH_HLEN 14u

struct ip_hdr {
    u8 vihl, tos;
    u16 len, id, frag;
    u8 ttl, proto;
    u16 csum;
    u32 src, dst;
} PACKED;
#define IP_HLEN 20u
#define IP_DF 0x4000
#define IP_MF 0x2000
#define IP_OFFMASK 0x1fff

struct ip6_hdr {
    u32 vtf; /* version, traffic class, flow label */
    u16 len; /* of what follows */
    u8 next, hops;
    u8 src[16], dst[16];
} PACKED;
#define IP6_HLEN 40u

struct icmp_hdr {
    u8 type, code;
    u16 csum;
    u16 id, seq; /* or unused, next-hop MTU */
} PACKED;

struct udp_hdr {
    u16 sport, dport, len, csum;
} PACKED;

struct tcp_hdr {
    u16 sport, dport;
    u32 seq, ack;
    u8 off, flags;
    u16 wnd, csum, urg;
} PACKED;

#define IPPROTO_IP 0
#define IPPROTO_ICMP 1
#define IPPROTO_IGMP 2
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_IPV6 41
#define IPPROTO_ICMPV6 58
#define IPPROTO_RAW 255

/* Headers that may go in front of a packet's data: Ethernet 14, IP 20 or 40, TCP 60. */
#define NET_HEADROOM 128u

#define IP4(a, b, c, d) ((u32)(a) | (u32)(b) << 8 | (u32)(c) << 16 | (u32)(d) << 24)
#define IP_LOOPBACK IP4(127, 0, 0, 1)
#define IP_BROADCAST 0xffffffffu
static inline bool ip_is_loopback(u32 a) { return (a & 0xff) == 127; }
static inline bool ip_is_multicast(u32 a) { return (a & 0xf0) == 0xe0; }

/*
 * An address of either family: the 16 bytes of an IPv6 address in memory order, IPv4 as
 * ::ffff:a.b.c.d (RFC 4291 2.5.5.2). Two are wildcards: :: for both families and ::ffff:0.0.0.0
 * for IPv4; the far address of a socket that is not connected is ::.
 */
struct ip_addr {
    u64 hi, lo;
};
#define IP6_ANY ((struct ip_addr){ 0, 0 })
#define IP6_LOOPBACK ((struct ip_addr){ 0, 1ULL << 56 })
#define IP6_ALL_NODES ((struct ip_addr){ 0x02ffULL, 1ULL << 56 })
static inline unsigned ip6_scope(struct ip_addr group) { return (unsigned)(group.hi >> 8) & 15; }
static inline struct ip_addr ip_v4(u32 a) { return (struct ip_addr){ 0, (u64)a << 32 | 0xffff0000u }; }
static inline bool ip_is_v4(struct ip_addr a) { return a.hi == 0 && (u32)a.lo == 0xffff0000u; }
static inline u32 ip_to_v4(struct ip_addr a) { return (u32)(a.lo >> 32); } /* 0 also for :: */
static inline bool ip_equal(struct ip_addr a, struct ip_addr b) { return ((a.lo ^ b.lo) | (a.hi ^ b.hi)) == 0; }
static inline bool ip_is_unspec(struct ip_addr a) { return (a.hi | a.lo) == 0; }
static inline bool ip_is_any(struct ip_addr a) { return ip_is_unspec(a) || ip_equal(a, ip_v4(0)); }
static inline bool ip_is_group(struct ip_addr a) { return ip_is_v4(a) ? ip_is_multicast(ip_to_v4(a)) : (u8)a.hi == 0xff; } /* multicast */
/* Both addresses of a connection in one number, for keyed hashes. */
u64 ip_pair(struct ip_addr l, struct ip_addr f);
/* How well a socket's own address (may be a wildcard) fits a: 2 exactly, 1 any IPv4, 0 any, -1 not. */
int ip_covers(struct ip_addr own, bool v6only, struct ip_addr a);

struct netif;

/* --- counters ---------------------------------------------------------------- */

/* One for each way a packet can come to its end, and a few events. */
#define NET_COUNTERS(X)                                                                                    \
    X(eth_short) X(eth_unknown_type) X(eth_not_ours) X(no_memory)                                          \
    X(arp_in) X(arp_bad) X(arp_full) X(arp_queue_drop) X(arp_unresolved) X(arp_requests)                   \
    X(ip_in) X(ip_delivers) X(ip_out) X(ip_bad_header) X(ip_bad_checksum) X(ip_bad_address)                \
    X(ip_not_ours) X(ip_bad_options) X(ip_unknown_protocol) X(ip_no_route) X(ip_too_big)                   \
    X(ip_frag_in) X(ip_frag_ok) X(ip_frag_timeout) X(ip_frag_bad) X(ip_frag_limit) X(ip_frag_created)      \
    X(icmp_in) X(icmp_out) X(icmp_bad) X(icmp_limited)                                                     \
    X(igmp_bad) X(udp_in) X(udp_out) X(udp_bad) X(udp_no_port) X(udp_queue_full)                                       \
    X(raw_queue_full) X(sock_filter)                                                                                      \
    X(tcp_in) X(tcp_out) X(tcp_bad) X(tcp_bad_checksum) X(tcp_no_connection) X(tcp_rst_out) X(tcp_rst_limited) \
    X(tcp_rst_in) X(tcp_retransmits) X(tcp_fast_retransmits) X(tcp_timeouts) X(tcp_paws)                   \
    X(tcp_out_of_window) X(tcp_bad_ack) X(tcp_challenge_acks) X(tcp_ooo) X(tcp_ooo_limit)                  \
    X(tcp_active_opens) X(tcp_passive_opens) X(tcp_failed_opens) X(tcp_resets)                             \
    X(tcp_syn_queue_full) X(tcp_syn_shed) X(tcp_cookies_sent) X(tcp_cookies_ok) X(tcp_cookies_bad) X(tcp_accept_full)      \
    X(tcp_timewait) X(tcp_timewait_limit) X(tcp_keepalives) X(tcp_probes) X(tcp_orphan_limit)              \
    X(tcp_memory_limit) X(tcp_mss_lowered) X(tcp_loss_probes) X(tcp_spurious_timeouts)                     \
    X(tcp_black_holes) X(tcp_mtu_proved) X(tcp_mtu_refuted) X(tcp_ecn_marks) X(tcp_ecn_reductions) X(lo_limit)                                          \
    X(ip6_in) X(ip6_delivers) X(ip6_out) X(icmp6_in) X(icmp6_out) X(nd_in) X(nd_bad) X(nd_requests) X(ip6_duplicates)                                                    \
    X(filter_in_tcp) X(filter_in_udp) X(filter_in_other) X(filter_out)                   \
    X(tcp_fast_opens) X(tcp_fast_accepts) X(sieve_floods) X(sieve_held)

struct net_counters {
#define X(name) u64 name;
    NET_COUNTERS(X)
#undef X
};
extern struct net_counters net_counters;
/* Plain load and store: with several CPUs a count may be lost now and then, never torn. */
#define NET_COUNT(name) \
    __atomic_store_n(&net_counters.name, __atomic_load_n(&net_counters.name, __ATOMIC_RELAXED) + 1, __ATOMIC_RELAXED)

#define NET_COUNTERS_NR (sizeof(struct net_counters) / sizeof(u64))

/* The same for a packet that is thrown away; also counted for the interface whose packets this CPU takes in. */
#define NET_DROP(name) net_drop(offsetof(struct net_counters, name) / sizeof(u64))
void net_drop(unsigned counter);       /* drops.c */
void net_count_drop(unsigned counter); /* net.c: in all, and the tracepoint */
/* This CPU handles what came in by nif until the next call; NULL: nothing. In bottom halves. */
void net_taking_in(struct netif *nif);
const char *net_counter_name(unsigned counter); /* proc.c */

/* --- capture.c: packets for a client outside -------------------------------------- */

void net_capture_init(void);
void net_capture_expect(void); /* a client will come: keep what it would want */

/* --- filter.c: who may begin to speak ---------------------------------------------- */

struct ip_rx;
#define FILTER_IN 1u
#define FILTER_OUT 2u
extern u8 filter_on; /* FILTER_*: for which way there is a policy; constant once a card is open */

/* Of a card's packets, those that belong to nothing that there is. Bottom halves. True = let it in; else it was counted. */
bool filter_tcp_in(const struct netif *nif, const struct ip_rx *rx, u16 lport);
/* p at the header behind IP, whatever but TCP it is. */
bool filter_dgram_in(struct netif *nif, const struct pkt *p, u8 proto);
/* Of segments of TCP: do raw sockets get a copy? Those to ports that a rule opens, and answers to what a raw socket sent. */
bool filter_tcp_copy(const struct netif *nif, const struct pkt *p);
/* May a program begin to speak to dst? 0 or -EPERM. */
int filter_out(const struct netif *nif, u8 proto, struct ip_addr dst, u16 lport, u16 port);
/* May a raw socket send p, at the header behind IP? Of a fragment that is not the first the ports are not known. */
int filter_raw_out(const struct netif *nif, const struct pkt *p, u32 at, u8 proto, bool first, struct ip_addr dst);
static inline int filter_egress(const struct netif *nif, u8 proto, struct ip_addr dst, u16 lport, u16 port)
{
    return likely(filter_on == 0) ? 0 : filter_out(nif, proto, dst, lport, port);
}

/* --- packet.c: frames for programs -------------------------------------------------- */

extern u32 packet_taps; /* atomic: packet sockets; nothing needs to pass packet_tap() while there are none */
/* A frame that a card is given or has received, at its link header, or lo at its IP header. Bottom halves disabled. */
void packet_tap(struct netif *nif, const struct pkt *p, bool out);
struct packet_facts {
    u16 protocol;
    bool auxdata, loss, in_group;
    u32 ifindex, version, reserve, fanout;
    u32 ring[7], tx[7]; /* their requests; 0: there is none */
};
void packet_facts_of(struct sock *s, struct packet_facts *ret);

/* --- interfaces and routes (net.c, route.c) ------------------------------------ */

#define NETIF_MAX 8
struct netif {
    struct netdev *dev;
    bool loopback;
    bool configured;    /* has an address; atomic */
    u32 addr, mask, bcast; /* big-endian; written whole, read without a lock */
    u32 all_ones, all_zeros; /* what means all hosts of this link; IP_BROADCAST where nothing else does */
};
extern struct netif *netifs[NETIF_MAX]; /* filled once, in order; NULL ends */
extern struct netif lo_if;

static inline struct netif *netif_of(struct netdev *d) { return d->stack; }
struct netif *netif_by_index(unsigned index);
struct netif *netif_by_name(const char *name);
struct netif *netif_card(void); /* the first that is none of loopback: the one that is configured; NULL */
/* IFF_*: UP, RUNNING, LOOPBACK or BROADCAST | MULTICAST */
static inline u32 netif_flags(const struct netif *nif)
{
    return 0x1u | (nif->dev->link_up ? 0x40u : 0) | (nif->loopback ? 0x8u : 0x1002u);
}
static inline u16 netif_hw_type(const struct netif *nif) { return nif->loopback ? 772 : 1; } /* ARPHRD_LOOPBACK, ARPHRD_ETHER */
#define NETIF_TXQLEN 1000u /* as Linux names it: no queue is that long */
void netif_set_address(struct netif *nif, u32 addr, u32 mask);
/* Ours on any interface? Loopback addresses included. */
bool ip_is_local(u32 addr);
bool ip_addr_is_local(struct ip_addr a);
bool ip_addr_is_loopback(struct ip_addr a);
bool ip_addr_is_broadcast(const struct netif *nif, struct ip_addr a);
static inline bool ip_is_broadcast(const struct netif *nif, u32 addr)
{
    return addr == IP_BROADCAST || addr == atomic_load_relaxed(&nif->all_ones) || addr == atomic_load_relaxed(&nif->all_zeros);
}

/* A bit for each queue of `dev` by which this CPU has transmitted since it last knocked there. Its own, with bottom halves disabled:
 * a word of all CPUs would cost more than doorbells do, and one that looks while another writes must not make it forget. */
struct net_handed {
    u64 queues;
    struct netdev *dev;
} ALIGNED(64);
extern struct net_handed net_handed[MAX_CPUS];
void net_knock(struct net_handed *h);
/* Knock on every device that has something new. Bottom halves disabled. */
static inline void net_kick(void)
{
    struct net_handed *h = &net_handed[this_cpu()->cpu];
    if (h->queues != 0)
        net_knock(h);
}
/* True while this CPU handles a receive batch: acknowledgements wait for its end. */
void net_batch_end(void);

/* Addresses, routes, neighbours or a link are not as they were: whoever wants to hear of it does (rtnl_watch.c). Any context, any lock. */
void net_changed(void);
/* A router's option for programs, of len bytes, for who listens (rtnl_option.c). Any context, any lock. */
void rtnl_option(const struct netif *nif, struct ip_addr router, const u8 *o, u32 len);

struct route {
    struct netif *nif;
    u32 dst, mask, gateway, src; /* gateway 0 = on the link; src 0 = the interface's */
    u32 metric;
};
#define ROUTE_MAX 16
struct ip_route {
    struct netif *nif;
    struct ip_addr src;
    struct ip_addr nexthop;
    u32 mtu;
    u32 gen; /* route_gen when it was made; a cached one is good while equal */
};
/* A table of what others have said, each entry with its end: at each end route_gen moves on. */
struct route_ends {
    struct spinlock *lock;
    const u64 *first; /* lock: the end of the first of n entries, `stride` bytes apart */
    u32 n, stride;
    bool ready;
    struct ktimer timer;
};
void route_ends_arm(struct route_ends *e, u64 now); /* with its lock, whenever an entry has changed */
extern u32 route_gen; /* atomic: changes whenever an answer may be another */
/* src may be a wildcard; ifindex 0 = any. 0 or -ENETUNREACH. */
int ip_route_find(struct ip_addr dst, struct ip_addr src, unsigned ifindex, struct ip_route *ret);
int route_add(const struct route *r);
void route_remove_netif(struct netif *nif);
unsigned route_list(struct route *ret, unsigned max);
/* redirect.c: the gateway that takes the place of a route's for dst. */
struct ip_addr redirect_gateway(struct ip_addr dst, struct ip_addr gateway);
/* `sender` says that dst is better reached by the gateway `to`, or of IPv6 directly (`to` is dst): is it believed? Bottom halves. */
bool redirect_input(const struct netif *nif, struct ip_addr sender, struct ip_addr dst, struct ip_addr to);
/* Path MTU learnt from ICMP (RFC 1191, 8201), bounded and ageing. */
u32 pmtu_lookup(struct ip_addr dst, u32 link_mtu);
void pmtu_learn(struct ip_addr dst, u32 mtu);

/* Thread context: make sure that traffic to dst can flow: opens the card and waits for
 * an address when that is how it is configured. dst may be a wildcard. Best effort. */
void net_need(struct ip_addr dst);

/* --- link layer --------------------------------------------------------------- */
void ether_input(struct netdev *d, struct pkt *p);
/* p starts at the IP header; takes it. */
int ether_output_ip(struct netif *nif, struct ip_addr nexthop, struct pkt *p);
/* A whole frame; takes it. */
int ether_transmit(struct netif *nif, struct pkt *p);
/* p starts at the payload; pushes the Ethernet header and transmits. */
int ether_output(struct netif *nif, const u8 dst[6], u16 type, struct pkt *p);
/* The same where the destination stands in front of p already. */
int ether_output_resolved(struct netif *nif, u16 type, struct pkt *p);
extern const u8 ether_broadcast[6];
int lo_output(struct pkt *p);
void lo_init(void);

/* Neighbours (neigh.c). 0 = mac is known; -EINPROGRESS = p was queued (taken); -errno = unreachable, p not taken. */
int neigh_resolve(struct netif *nif, struct ip_addr ip, struct pkt *p, u8 ret_mac[6]);
/* Somebody says that ip is at mac. Entries that are there learn it, others are made with NEIGH_CREATE; a different
 * address takes the place of a known one with NEIGH_OVERRIDE. Bottom halves. */
#define NEIGH_CREATE 1u
#define NEIGH_OVERRIDE 2u
void neigh_learn(struct netif *nif, struct ip_addr ip, const u8 mac[6], unsigned how);
/* Of a router for IPv6: false = it did not answer when it was last asked, which is done again if that was long ago. */
bool neigh_answers(const struct netif *nif, struct ip_addr ip);
void neigh_flush(struct netif *nif);
#define NEIGH_ENTRIES 64u
struct neigh_info {
    const struct netif *nif;
    struct ip_addr ip;
    u16 state; /* NUD_* of Linux */
    bool known;
    u8 mac[6];
};
unsigned neigh_list(struct neigh_info ret[NEIGH_ENTRIES]);
void neigh_init(void);
/* Ask for a neighbour: everybody, or mac alone. Under the neighbours' lock. */
void arp_solicit(struct netif *nif, u32 target, const u8 *mac);
void nd_solicit(struct netif *nif, struct ip_addr target, const u8 *mac);

void arp_input(struct netif *nif, struct pkt *p);
void arp_announce(struct netif *nif);
size_t arp_show(char *buf, size_t size);

/* --- internet checksum (checksum.c) --------------------------------------------- */
/* Running sums: any start value, fold at the end. `odd` = the byte count so far is odd. */
u32 csum_add(const void *data, u32 len, u32 sum);
u16 csum_fold(u32 sum); /* one's complement, ready for the wire */
/* Of an IPv4 header without options, ready for the wire. */
static inline u16 csum_ip_header(const void *h)
{
    const u8 *p = h;
    u64 s = (u64)get_u32(p) + get_u32(p + 4) + get_u32(p + 8) + get_u32(p + 12) + get_u32(p + 16);
    s = (s & 0xffffffff) + (s >> 32);
    s = (s & 0xffff) + (s >> 16);
    s = (s & 0xffff) + (s >> 16);
    return (u16)~(s + (s >> 16));
}
static inline u32 csum_pseudo(u32 src, u32 dst, u8 proto, u32 len)
{
    u64 s = (u64)src + dst + be16((u16)len) + ((u32)proto << 8);
    s = (s & 0xffffffff) + (s >> 32);
    return (u32)((s & 0xffff) + (s >> 16));
}
/* What an address adds to a sum: itself for IPv4 (the mapped form's ffff is zero in one's complement). */
u32 csum_ip6(struct ip_addr a);
static inline u32 csum_ip(struct ip_addr a) { return likely(ip_is_v4(a)) ? ip_to_v4(a) : csum_ip6(a); }
/* Sum of the chain from off (of the first view's data) to the end. */
u32 csum_pkt(const struct pkt *p, u32 off, u32 sum);
/* Does a received segment (p->data at the transport header) add up? */
bool csum_ok_l4(const struct pkt *p, u32 src, u32 dst, u8 proto);
/* Set the transport checksum of p (data at the transport header): left to the device where it can. */
void csum_finish_l4(struct pkt *p, const struct netif *nif, u32 src, u32 dst, u8 proto, u32 field_off);

u64 net_siphash(const u64 key[2], u64 a, u64 b);
extern u64 net_secret[2]; /* keys for hash tables, sequence numbers and cookies */
/* For hash tables, whose answers nobody outside sees: the universal hash NH of UMAC (RFC 4418, 5.2) under
 * secret keys, at a tenth of the price. The upper half of the result is the better one. */
static inline u32 net_hash(u64 a, u64 b)
{
    u64 k = net_secret[0], l = net_secret[1];
    u64 h = (u64)((u32)a + (u32)k) * ((u32)(a >> 32) + (u32)(k >> 32)) +
            (u64)((u32)b + (u32)l) * ((u32)(b >> 32) + (u32)(l >> 32));
    return (u32)(h >> 32) ^ (u32)h;
}

/* --- IP ------------------------------------------------------------------------ */
void ip_input(struct netif *nif, struct pkt *p);

struct ip_tx {
    struct ip_route rt;
    struct ip_addr src, dst;
    u8 proto, ttl, tos;
    bool df;             /* refuse to fragment: -EMSGSIZE */
};
/* p starts at the transport header and has NET_HEADROOM; takes it. 0 or -errno. */
int ip_output(struct pkt *p, const struct ip_tx *tx);
void ip6_input(struct netif *nif, struct pkt *p);
int ip6_output(struct pkt *p, const struct ip_tx *tx); /* by ip_output() */
void ip_put_header(struct pkt *p, const struct ip_tx *tx, u16 id, u16 frag); /* of IPv4, in front of p */
/* Make a checksum that was left to the device, or out towards lo: none adds up a datagram across fragments. */
void csum_complete(struct pkt *p, const struct ip_tx *tx);
u16 ip_next_id(void);
/* Facts of a received packet, kept in cb[] between IP and sockets. */
struct ip_rx {
    struct ip_addr src, dst;
    u8 ttl, tos, hlen;
    bool broadcast;      /* or multicast */
    u16 port;            /* sender's, for queued datagrams */
    u16 ifindex;
};
_Static_assert(sizeof(struct ip_rx) <= sizeof(((struct pkt *)0)->cb), "fits");
static inline struct ip_rx *ip_rx(const struct pkt *p) { return (struct ip_rx *)(void *)(uintptr_t)p->cb; }

/* Reassembly: takes p, which starts ip_rx(p)->hlen bytes in front of the piece's payload, whose place is off. The whole
 * datagram (the first piece with the payload of all) or NULL. */
struct frag_key {
    struct ip_addr src, dst;
    u32 id;
    u8 proto;
};
struct pkt *frag_input(const struct frag_key *key, struct pkt *p, u32 off, bool more);
void ip_frag_init(void);

void icmp_input(struct netif *nif, struct pkt *p);
/* p starts at the ICMP header, whose checksum is made here. Takes p. */
void icmp_send(struct pkt *p, struct ip_addr src, struct ip_addr dst, u8 tos);
/* Answer the echo request p (data at its header, which is whole) by a message of that type. Does not take p. */
void icmp_echo(const struct pkt *p, u8 type);
bool icmp_may_send(void); /* the rate limit; counts when not */
/* Answer p (data at the transport header, IP header still in front) with an ICMP error. Does not take p. */
void icmp_error(struct netif *nif, const struct pkt *p, u8 type, u8 code);

/* --- IPv6 on the wire: ip6_addr.c, ip6_nd.c, icmp6.c; or no_ip6.c, which has ::1 alone ------------- */
struct ip6_addr {
    struct ip_addr addr;
    u8 plen;
    bool used;                      /* published last, withdrawn first: read without a lock */
    bool permanent;                 /* configured, or link-local */
    bool temporary;                 /* RFC 8981 */
    u8 probes;                      /* for duplicates, still to send */
    u64 dad_ns;                     /* when the next probe is due, or it is ours; NEVER_NS: it is */
    u64 preferred_ns, valid_ns;     /* until when; NEVER_NS */
    u64 made_ns, desync_ns;         /* desync: what a temporary one is preferred for less than others are */
};
#define IP6_ADDRS 16u
extern struct ip6_addr ip6_addrs[IP6_ADDRS]; /* of the card; written under the lock of ip6_addr.c */

bool ip6_is_local(struct ip_addr a); /* ::1 or an address of ours */
struct ip_addr ip6_link_local(void);  /* the card's address of that kind, or :: */
/* Is a packet that the card received for dst ours, whatever groups programs are in? */
bool ip6_accepts(struct ip_addr dst);
int ip6_route_find(struct ip_addr dst, struct ip_addr src, unsigned ifindex, struct ip_route *ret);
/* The source for dst by other preferences than the card's (PREFER_*). */
void ip6_source(struct ip_addr dst, u32 prefs, struct ip_addr *ret);
u8 ip6_hops(const struct netif *nif); /* net.ipv6.conf.*.hop_limit */
/* The limit of what programs set none for. */
static inline u8 ip_hops(const struct netif *nif, struct ip_addr dst) { return ip_is_v4(dst) ? 64 : ip6_hops(nif); }
void ip6_init(void);
/* The card is open, or in use again: link-local address, routers asked for. Thread context. */
void ip6_start(struct netif *nif);
/* No addresses, no routes, nothing is taken in. Thread context. */
void ip6_stop(void);
/* Wait until a router has answered or the deadline; thread context. */
void ip6_wait(u64 deadline_ns);
/* Fixed address and gateway (or ::) of a configuration: 0, or -EAFNOSUPPORT where the build has no IPv6. */
int ip6_configure(struct netif *nif, struct ip_addr addr, u8 plen, struct ip_addr gateway);
/* What there is now, of the card *ret_nif; how many. */
unsigned ip6_addr_list(struct ip6_addr ret[IP6_ADDRS], struct netif **ret_nif);
u32 ip6_addr_flags(const struct ip6_addr *a, u64 now); /* IFA_F_* of Linux */
struct ip6_route {
    struct ip_addr dst, gateway; /* gateway :: = on the link */
    u8 plen, pref;
    u64 until_ns;
};
/* Preferences as they stand in a message (RFC 4191 2.1). */
enum { IP6_PREF_MEDIUM, IP6_PREF_HIGH, IP6_PREF_RESERVED, IP6_PREF_LOW };
static inline u32 ip6_pref_rank(u32 pref) { return (pref + 1) & 3; } /* low 0, medium 1, high 2 */
#define IP6_PREFIXES 8u
#define IP6_ROUTERS 4u
#define IP6_MORE_ROUTES 8u
#define IP6_ROUTES (1 + IP6_PREFIXES + IP6_ROUTERS + IP6_MORE_ROUTES)
unsigned ip6_route_list(struct ip6_route ret[IP6_ROUTES], struct netif **ret_nif);
size_t ip6_show_addrs(char *buf, size_t size);  /* /proc/net/if_inet6 */
size_t ip6_show_routes(char *buf, size_t size); /* /proc/net/ipv6_route */
/* A router advertisement that was checked, options from off on; somebody else claims an address of ours. */
void ip6_router_advert(struct netif *nif, struct ip_addr router, const u8 *msg, u32 len);
void ip6_duplicate(struct ip_addr addr);
/* The group that neighbour solicitations for a go to (RFC 4291 2.7.1). */
static inline struct ip_addr ip6_solicited_node(struct ip_addr a)
{
    return (struct ip_addr){ 0x02ffULL, (a.lo & 0xffffff0000000000ULL) | 0xff01000000ULL };
}
static inline bool ip6_is_link_local(struct ip_addr a) { return ((u8)a.hi == 0xfe) && ((a.hi >> 8 & 0xc0) == 0x80); }

/* ICMPv6 (RFC 4443). p at the ICMP header; takes it. `plain`: came in one piece. */
void icmp6_input(struct netif *nif, struct pkt *p, bool plain);
/* Answer p with an error; does not take it. */
void icmp6_error(const struct pkt *p, u8 type, u8 code, u32 value);
/* On the link, hop limit 255; mac NULL = dst is a group or is looked up. p at the ICMP header; takes it. */
void icmp6_send_link(struct netif *nif, struct ip_addr src, struct ip_addr dst, const u8 *mac, struct pkt *p);
/* Neighbour discovery (RFC 4861): types 133 to 137. p at the ICMP header; does not take it. */
void nd_input(struct netif *nif, struct pkt *p, u8 type);
void nd_probe(struct netif *nif, struct ip_addr target); /* duplicate address detection */
void nd_router_solicit(struct netif *nif, struct ip_addr src);

/* --- groups: mcast.c and its like; or no_multicast.c, where nobody joins one ------------------------ */

/* Options of SOL_IP and SOL_IPV6 about groups; -ENOPROTOOPT for all others. May wait for the network. */
int mc_setopt(struct sock *s, int level, int name, const void *val, u32 len);
int mc_getopt(struct sock *s, int level, int name, void *ret_val, u32 *len); /* of a filter: the question is in ret_val */
void mc_leave_all(struct sock *s); /* from release() */
/* An address of ours needs the group, or no more. Under the lock of ip6_addr.c. */
void mc_own(struct netif *nif, struct ip_addr addr, bool wanted);
/* Is somebody here in the group who wants this source? All hosts' groups: always. */
bool mc_accepts(const struct netif *nif, struct ip_addr group, struct ip_addr src);
/* Does a datagram to a group that got in belong to s? Under the locks of sockets' tables. */
bool mc_wants(const struct sock *s, const struct ip_rx *rx);
/* ip_output() of a socket's datagram to a group: also to its members here. Bottom halves disabled, no lock held. */
int mc_output(struct sock *s, struct pkt *p, const struct ip_tx *tx);
static inline int dgram_output(struct sock *s, struct pkt *p, const struct ip_tx *tx)
{
    return unlikely(ip_is_group(tx->dst)) ? mc_output(s, p, tx) : ip_output(p, tx);
}
void mc_init(void);
void mc_start(struct netif *nif); /* the card is open: tell it what was joined before */
void igmp_input(struct netif *nif, struct pkt *p); /* takes p, at its header */
/* Types 130 to 132, in one piece. Does not take p. */
void mld_input(struct netif *nif, const struct pkt *p, u8 type);
size_t igmp_show(char *buf, size_t size);
size_t igmp6_show(char *buf, size_t size);

/* --- what IP hands up (sock_impl.h has the sockets themselves) --------------------------- */

/* An ICMP error about a packet of this host. */
struct icmp_quote {
    struct ip_addr src, dst; /* of that packet */
    const u8 *l4;            /* its transport header's first eight bytes, at least */
    const struct pkt *p;     /* the ICMP packet from its header on, ip_rx() whose sender; l4 is at l4_at there */
    u32 l4_at, info;         /* info: the MTU, or the place of what is wrong */
    int err;
    u8 type, code, proto;
    bool fatal;              /* trying again is of no use */
};

void udp_input(struct netif *nif, struct pkt *p);
/* Is there a socket that is connected to the sender? */
bool udp_connected(const struct ip_rx *rx, u16 sport, u16 dport);
void udp_icmp_error(const struct icmp_quote *e);
void raw_icmp_error(const struct icmp_quote *e);
extern u32 raw_socks; /* atomic: how many raw sockets there are */
/* A copy of p, at the header behind IP, to each that wants it; true = somebody did. */
bool raw_input(struct netif *nif, const struct pkt *p, u8 proto);
/* The same for segments of TCP, which the packet filter has not looked at. */
static inline void raw_tcp_input(struct netif *nif, const struct pkt *p)
{
    if (unlikely(atomic_load_relaxed(&raw_socks) != 0) && (filter_on == 0 || nif->loopback || filter_tcp_copy(nif, p)))
        (void)raw_input(nif, p, IPPROTO_TCP);
}
void tcp_init(void);
void tcp_rx(struct netif *nif, struct pkt *p);
void tcp_icmp_error(struct ip_addr src, struct ip_addr dst, const u8 *l4, u32 len, int err, bool unreachable, u32 mtu);
void tcp_batch_end(void);
void tcp_shed_batch(bool more); /* a card's batch ended; more: by its budget */
size_t tcp_show(char *buf, size_t size, int domain);
size_t udp_show(char *buf, size_t size, int domain);
size_t raw_show(char *buf, size_t size);
size_t unix_show(char *buf, size_t size);
bool tcp_unfinished(void); /* closed towards another host, which has not acknowledged it all */
u32 tcp_count(u32 *ret_orphans, u32 *ret_timewait);
u32 tcp_count_open(int domain); /* connections, TIME_WAIT and listeners aside */
/* Datagrams of one family being put together, and what their pieces take. */
u32 ip_frag_count(bool v4, u32 *ret_bytes);

/* All memory of packets held by sockets, against a limit made from RAM. */
extern u64 net_mem_limit; /* bytes; set by net_init */
extern u64 net_mem_used;  /* atomic */
static inline void net_mem_charge(u64 n) { (void)__atomic_add_fetch(&net_mem_used, n, __ATOMIC_RELAXED); }
static inline void net_mem_uncharge(u64 n) { (void)__atomic_sub_fetch(&net_mem_used, n, __ATOMIC_RELAXED); }
static inline bool net_mem_full(void) { return atomic_load_relaxed(&net_mem_used) > net_mem_limit; }
static inline bool net_mem_tight(void) { return atomic_load_relaxed(&net_mem_used) > net_mem_limit / 2; }

/* --- DHCP (dhcp.c) ------------------------------------------------------------------- */
int dhcp_init(void); /* once, before dhcp_start(). -EOPNOTSUPP: this kernel has none */
void dhcp_start(struct netif *nif);
/* Wait until there is a lease or the deadline; thread context. */
bool dhcp_wait(u64 deadline_ns);
/* A UDP payload for port 68 (data at the payload). Does not take p. */
void dhcp_input(struct netif *nif, const struct pkt *p);
bool dhcp_active(const struct netif *nif);

void net_apply_config(const struct net_config *c, struct netif *nif); /* any context with bh disabled or thread */

void text_add_hex(struct text *t, const void *bytes, u32 len);
/* An address and port as /proc/net has them, a blank in front. */
void text_add_name(struct text *t, int domain, struct ip_addr a, u16 port);

#endif
