/* SPDX-License-Identifier: Apache-2.0 */
/* When the card's sieve is on, and whom it lets pass: see sieve.h. */
#include "sieve.h"

#include "tcp_impl.h"

#define WINDOW_NS (20 * NSEC_PER_MSEC)
#define MANY 40000u /* in a second */
#define FEW 10000u
#define PEERS_MOST (1u << (SIEVE_PEER_BITS - 4)) /* of a flood's senders one in sixteen passes then */
#define STRANGERS 16u /* in a slice of a millisecond; more than FEW, so that what is held back is a flood */

static struct {
    u64 since_ns;
    s32 useless[SIEVE_KINDS]; /* since then; as NET_COUNT() counts */
    u32 held[SIEVE_KINDS];    /* what the sieve said last */
} seen;
static struct sieve *sieve; /* of the card that has one; constant once sieve_on */
static u32 added;           /* peers, to those of the tables; nearly, as NET_COUNT() counts */
u8 sieve_on;

void sieve_useless(const struct netif *nif, enum sieve_kind kind, int n)
{
    if (nif == NULL || !nif->loopback)
        atomic_store_relaxed(&seen.useless[kind], atomic_load_relaxed(&seen.useless[kind]) + n);
}

void sieve_add_peer(u32 tag)
{
    u32 place = tag >> (32 - SIEVE_PEER_BITS);
    u8 bit = (u8)(1u << place % 8);
    if (!(atomic_or(&sieve->peers[place / 8], bit) & bit))
        atomic_store_relaxed(&added, atomic_load_relaxed(&added) + 1);
}

static bool add_connection(const struct tcp_node *n, void *ctx)
{
    if (n->kind == NODE_CONN)
        sieve_add_peer(net_peer_tag(n->faddr));
    return false;
}

/* net_hash() in the sieve's words. */
static void set_keys(struct sieve *s)
{
    u32 k[] = { (u32)net_secret[0], (u32)(net_secret[0] >> 32) }, l[] = { (u32)net_secret[1], (u32)(net_secret[1] >> 32) };
    s->add4 = l[1];
    s->mul4 = (u32)ip_v4(0).lo + l[0];
    s->sum4 = (u64)k[0] * k[1];
    s->add6[0] = k[0];
    s->add6[1] = k[1];
    s->sum6 = (u64)l[0] * l[1];
}

/* Peers are those of the tables, what asks for neighbours on the link, and nobody else yet. */
static void begin_peers(struct sieve *s)
{
    memset(s->peers, 0, sizeof s->peers);
    atomic_store(&sieve_on, 1);
    sieve_add_peer(net_peer_tag((struct ip_addr){ 0x80feULL, 0 }));
    (void)tcp_table_any(add_connection, NULL);
    if (tcp_parts.shed != NULL)
        tcp_parts.shed->recent(sieve_add_peer);
    atomic_store_relaxed(&added, 0);
}

static void turn_on(struct sieve *s)
{
    sieve = s;
    set_keys(s);
    begin_peers(s);
    NET_COUNT(sieve_floods);
}

/* Frames of that kind in a second that are of no use, or were held back. Clients of TCP become peers, but whose datagrams nobody answers stay strangers:
 * of what was held back of those counts the share that was of no use of what got in. */
static u64 flood_rate(const struct sieve *s, enum sieve_kind k, u64 ns)
{
    u32 total = atomic_load_relaxed(&s->strangers[k].held);
    u64 held = total - seen.held[k], useless = (u64)MAX(atomic_load_relaxed(&seen.useless[k]), 0), got_in = STRANGERS * (ns >> SIEVE_SLICE_SHIFT);
    atomic_store_relaxed(&seen.useless[k], 0);
    seen.held[k] = total;
    net_counters.sieve_held += held;
    if (k >= SIEVE_FRAGMENT)
        held = held * MIN(useless, got_in) / got_in;
    return (useless + held) * 1000 / (ns / NSEC_PER_MSEC);
}

static void look(struct sieve *s, u64 ns)
{
    bool on = false;
    for (enum sieve_kind k = 0; k < SIEVE_KINDS; k++) {
        u64 rate = flood_rate(s, k, ns);
        bool was = sieve_on && s->few[k] != SIEVE_ALL, is = rate >= MANY || (was && rate >= FEW);
        atomic_store_relaxed(&s->few[k], is ? STRANGERS : SIEVE_ALL);
        on |= is;
    }
    if (on && !sieve_on)
        turn_on(s);
    else if (on && atomic_load_relaxed(&added) > PEERS_MOST) /* of the flood, too, some get a half-open connection, or an answer of a program */
        begin_peers(s);
    else if (!on)
        atomic_store(&sieve_on, 0);
    atomic_store(&s->asked, on ? MAX(s->asked + 1, 1u) : 0);
}

static bool any_useless(void)
{
    for (unsigned k = 0; k < SIEVE_KINDS; k++)
        if (atomic_load_relaxed(&seen.useless[k]) > 0)
            return true;
    return false;
}

void sieve_batch(struct netdev *d)
{
    if (likely(!any_useless() && !sieve_on))
        return;
    u64 now = now_ns(), ns = now - seen.since_ns;
    if (ns < WINDOW_NS)
        return;
    seen.since_ns = now;
    look(d->sieve, ns);
}
