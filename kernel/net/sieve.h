/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Floods are kept out by what is behind the card, where that has a sieve (abi/sieve.h): to take in a frame of a TAP only to throw it away
 * costs more than all else that is done about it, and honest peers' frames are lost with those that nobody had time for.
 *
 * What is counted is what was of no use to anybody, by kind. MANY of a kind in a second, and from then on only a few frames of that kind
 * that are of strangers get in, until there are FEW. Peers are: who has a connection, or had one lately (tcp_shed.c); and
 * while the sieve is on, to whom a program connects or sends a datagram; with IPv6 also all link-local addresses, which no
 * router passes on, and neighbours that are asked for: without them nobody could be answered.
 * Strangers get credit: for the rest of a handshake who is answered a SYN, and for more fragments whose others became datagrams.
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
#define SIEVE_HANDSHAKE 4u /* segments: the rest of it, and what may come with that */
void sieve_add_credit(u32 tag, enum sieve_kind kind, u32 frames);
/* By which a peer is known. A network of IPv6 is one peer: who has an address there has them all. */
static inline u32 net_peer_tag(struct ip_addr a) { return net_hash(a.hi, ip_is_v4(a) ? a.lo : 0); }
/* Any context. */
static inline void sieve_peer(struct ip_addr a)
{
    if (unlikely(atomic_load_relaxed(&sieve_on) != 0))
        sieve_add_peer(net_peer_tag(a));
}
/* So many more frames of that kind from a stranger may be worth it. Any context. */
static inline void sieve_credit(struct ip_addr a, enum sieve_kind kind, u32 frames)
{
    if (unlikely(atomic_load_relaxed(&sieve_on) != 0))
        sieve_add_credit(net_peer_tag(a), kind, frames);
}
/* Pieces of a became a datagram. Bottom halves disabled. */
void sieve_whole(struct ip_addr a, u32 pieces);

#endif
