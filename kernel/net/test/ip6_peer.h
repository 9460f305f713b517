/* SPDX-License-Identifier: Apache-2.0 */
/* The other end of the wire for tests of IPv6: what it sends, and what it sees. */
#ifndef IP6_PEER_H
#define IP6_PEER_H

#include "net_test.h"

#define IP6(hi_, lo_) ((struct ip_addr){ bswap64(hi_), bswap64(lo_) })
#define OUR IP6(0xfd00000000000000ULL, 2)
#define PEER IP6(0xfd00000000000000ULL, 1)
#define ROUTER IP6(0xfe80000000000000ULL, 0x99)
#define FAR IP6(0x2001000000000000ULL, 7)

struct seen { /* what the stack sent */
    struct ip_addr src, dst;
    u8 next, hops, mac[6], type;
    u32 len;
    u8 l4[2048];
};

/* The next packet of IPv6 that the stack sends, checked; false = none in that time. */
bool next6(struct seen *ret, u64 wait_ns);
void in6(struct ip_addr src, struct ip_addr dst, u8 next, u8 hops, const void *data, u32 len);
/* A message whose checksum is put right. */
void icmp_in(struct ip_addr src, struct ip_addr dst, u8 hops, const void *data, u32 len);
void boot6(u32 features);
/* The peer tells where it is, so that nobody has to ask. */
void advertise(struct ip_addr who, u8 last);
void meet(void); /* we and the peer know each other, and nothing else is under way */

#endif
