/* SPDX-License-Identifier: Apache-2.0 */
/* In the place of sieve.c (-Dwithout=sieve): floods come in. */
#include "sieve.h"

u8 sieve_on;
void sieve_useless(const struct netif *nif, enum sieve_kind kind, int n) {}
void sieve_batch(struct netdev *d) {}
void sieve_add_peer(u32 tag) {}
void sieve_add_credit(u32 tag, enum sieve_kind kind, u32 frames) {}
void sieve_whole(struct ip_addr a, u32 pieces) {}
void sieve_far_init(void) {}
