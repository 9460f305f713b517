/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Floods are kept out by what is behind the card, where that has a sieve (abi/sieve.h): to take in a frame of a TAP only to throw it away
 * costs more than all else that is done about it, and honest peers' frames are lost with those that nobody had time for.
 *
 * What is counted is what was of no use to anybody, by kind. MANY of a kind in a second, and from then on only a few frames of that kind
 * that are of strangers get in, until there are FEW. Peers are: who has a connection, or had one lately (tcp_shed.c); and
 * while the sieve is on, who gets a half-open one, and to whom a program connects or sends a datagram; with IPv6 also all link-local addresses, which no
 * router passes on, and neighbours that are asked for: without them nobody could be answered.
 */
#ifndef NET_SIEVE_H
#define NET_SIEVE_H

#include "abi/sieve.h"
#include "net_impl.h"

/* Bottom halves disabled, as all of these. n frames of a kind were of no use; n < 0: they were, after all. Of the program's own host none counts. */
void sieve_useless(const struct netif *nif, enum sieve_kind kind, int n);
/* A batch of d's, which has a sieve, has ended. */
void sieve_batch(struct netdev *d);

/* sieve_far.c: the card's sieve is a copy of memory that is not ours. What is written to it is told: the words (at 0), a byte, or all peers. */
extern bool sieve_is_far;
void sieve_far_write(u32 at, u32 len);
bool sieve_far_waits(void); /* for counts that are as new as the last word */
void sieve_far_init(void);  /* boot */

extern u8 sieve_on; /* frames are held back */
void sieve_add_peer(u32 tag);
/* By which a peer is known. A network of IPv6 is one peer: who has an address there has them all. */
static inline u32 net_peer_tag(struct ip_addr a) { return net_hash(a.hi, ip_is_v4(a) ? a.lo : 0); }
/* Any context. */
static inline void sieve_peer(struct ip_addr a)
{
    if (unlikely(atomic_load_relaxed(&sieve_on) != 0))
        sieve_add_peer(net_peer_tag(a));
}

#endif
