/* SPDX-License-Identifier: Apache-2.0 */
/* When the card's sieve is on, and whom it lets pass: see sieve.h. */
#include "sieve.h"

#include "tcp_impl.h"

#define WINDOW_NS (20 * NSEC_PER_MSEC)
#define ANSWER_NS (100 * NSEC_PER_MSEC) /* so long a far sieve's counts are waited for */
#define MANY 40000u /* in a second */
#define FEW 10000u
/* Of a far sieve, where it is known whether frames are lost for want of time: then as many are a flood as some machine may be too slow for. */
#define MANY_FAR 1000u
#define FEW_FAR 500u
#define LOST 64u /* in a window; fewer may be an error of counts that are read one by one */
#define PEERS_MOST (1u << (SIEVE_PEER_BITS - 4)) /* of a flood's senders one in sixteen passes then */
#define STRANGERS 64u /* in a slice, at most; 15,000 in a second, more than FEW, so that what is held back is a flood */
#define STEP 8u
#define WHOLE 64u

static struct {
    u64 since_ns;
    s32 useless[SIEVE_KINDS]; /* since then; as NET_COUNT() counts */
    u32 held[SIEVE_KINDS], lost; /* what the sieve said last */
    u64 came;                 /* frames, ever */
    u32 few[SIEVE_KINDS];     /* STEPth parts of what the sieve has */
} seen;
static struct sieve *sieve; /* of the card that has one; constant once sieve_on */
static u32 added;           /* peers, to those of the tables; nearly, as NET_COUNT() counts */
static u32 whole[WHOLE];    /* of whom datagrams in pieces came, each at the place that its hash says; the latest stays */
u8 sieve_on;

void sieve_useless(const struct netif *nif, enum sieve_kind kind, int n)
{
    if (nif == NULL || !nif->loopback)
        atomic_store_relaxed(&seen.useless[kind], atomic_load_relaxed(&seen.useless[kind]) + n);
}

static void written(struct sieve *s, const void *at, u32 len)
{
    if (sieve_is_far)
        sieve_far_write((u32)((const u8 *)at - (const u8 *)s), len);
}

void sieve_add_peer(u32 tag)
{
    u32 place = tag >> (32 - SIEVE_PEER_BITS);
    u8 bit = (u8)(1u << place % 8);
    if (atomic_or(&sieve->peers[place / 8], bit) & bit)
        return;
    atomic_store_relaxed(&added, atomic_load_relaxed(&added) + 1);
    written(sieve, &sieve->peers[place / 8], 1);
}

static bool is_peer(u32 tag)
{
    u32 place = tag >> (32 - SIEVE_PEER_BITS);
    return atomic_load_relaxed(&sieve->peers[place / 8]) >> place % 8 & 1;
}

void sieve_add_credit(u32 tag, enum sieve_kind kind, u32 frames)
{
    u8 *credit = &sieve->credit[kind][tag >> (32 - SIEVE_CREDIT_BITS)];
    if (sieve->few[kind] == SIEVE_ALL || is_peer(tag)) /* it needs none */
        return;
    atomic_store_relaxed(credit, (u8)MIN(frames, 255u));
    written(sieve, credit, 1);
}

/* Four times what they were: of a flood that has such datagrams among its pieces a fifth is of use. */
void sieve_whole(struct ip_addr a, u32 pieces)
{
    u32 tag = net_peer_tag(a);
    whole[tag % WHOLE] = tag;
    sieve_credit(a, SIEVE_FRAGMENT, 4 * pieces);
}

static bool add_node(const struct tcp_node *n, void *ctx)
{
    if (n->kind == NODE_CONN)
        sieve_add_peer(net_peer_tag(n->faddr));
    else if (n->kind == NODE_REQ)
        sieve_add_credit(net_peer_tag(n->faddr), SIEVE_SEGMENT, SIEVE_HANDSHAKE);
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
    memset(s->credit, 0, sizeof s->credit);
    memset(s->peers, 0, sizeof s->peers);
    written(s, s->peers, sizeof s->peers);
    atomic_store(&sieve_on, 1);
    sieve_add_peer(net_peer_tag((struct ip_addr){ 0x80feULL, 0 }));
    (void)tcp_table_any(add_node, NULL);
    if (tcp_parts.shed != NULL)
        tcp_parts.shed->recent(sieve_add_peer);
    atomic_store_relaxed(&added, 0);
}

static void turn_on(struct sieve *s)
{
    sieve = s;
    set_keys(s);
    begin_peers(s);
    for (unsigned i = 0; i < WHOLE; i++)
        if (whole[i] != 0)
            sieve_add_credit(whole[i], SIEVE_FRAGMENT, 255);
    NET_COUNT(sieve_floods);
}

/* Of a window. */
struct window {
    u64 ns, came; /* frames that got in, of every kind */
    bool lost;    /* and others did not for want of time */
};

static u64 per_second(const struct window *w, u64 n) { return n * 1000 / (w->ns / NSEC_PER_MSEC); }

/* Frames of that kind that are of no use, or were held back. Clients of TCP become peers, but whose datagrams nobody answers stay strangers:
 * of what was held back of those counts the share that was of no use of what got in. */
static u64 flood(const struct sieve *s, enum sieve_kind k, const struct window *w, u64 useless)
{
    u32 total = atomic_load_relaxed(&s->strangers[k].held);
    u64 held = total - seen.held[k], got_in = MAX(s->few[k] * (w->ns >> SIEVE_SLICE_SHIFT), 1u);
    seen.held[k] = total;
    net_counters.sieve_held += held;
    if (k >= SIEVE_FRAGMENT)
        held = held * MIN(useless, got_in) / got_in;
    return useless + held;
}

static bool begins(const struct window *w, u64 rate, u64 useless)
{
    return sieve_is_far ? rate >= MANY_FAR && w->lost && useless >= w->came / 4 : rate >= MANY;
}

/* How many get in from now on: half as many while others are lost, else slowly more, so that most of the time there is room for peers. */
static u32 few_of(enum sieve_kind k, bool was, bool lost)
{
    u32 *few = &seen.few[k];
    if (!was)
        *few = STRANGERS * STEP;
    else
        *few = lost ? MAX(*few / 2, STEP) : MIN(*few + 1, STRANGERS * STEP);
    return *few / STEP;
}

static void look(struct sieve *s, const struct window *w)
{
    bool on = false, tell = sieve_on;
    for (enum sieve_kind k = 0; k < SIEVE_KINDS; k++) {
        u64 useless = (u64)MAX(atomic_load_relaxed(&seen.useless[k]), 0);
        atomic_store_relaxed(&seen.useless[k], 0);
        u64 rate = per_second(w, flood(s, k, w, useless));
        bool was = sieve_on && s->few[k] != SIEVE_ALL, is = was ? rate >= (sieve_is_far ? FEW_FAR : FEW) : begins(w, rate, useless);
        atomic_store_relaxed(&s->few[k], is ? few_of(k, was, w->lost) : SIEVE_ALL);
        on |= is;
        tell |= rate >= MANY_FAR; /* and hear what is lost */
    }
    if (on && !sieve_on)
        turn_on(s);
    else if (on && atomic_load_relaxed(&added) > PEERS_MOST) /* of the flood, too, some get a half-open connection, or an answer of a program */
        begin_peers(s);
    else if (!on)
        atomic_store(&sieve_on, 0);
    atomic_store(&s->asked, on ? MAX(s->asked + 1, 1u) : 0);
    if (on || tell)
        written(s, s, offsetof(struct sieve, strangers));
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
    u64 now = now_ns();
    struct window w = { .ns = now - seen.since_ns };
    if (w.ns < WINDOW_NS || (w.ns < ANSWER_NS && sieve_is_far && sieve_far_waits()))
        return;
    u64 came = netdev_stats(d).rx_packets;
    w.came = came - seen.came;
    u32 lost = atomic_load_relaxed(&d->sieve->lost);
    w.lost = (s32)(lost - seen.lost) >= (s32)LOST;
    seen.lost = lost;
    seen.came = came;
    seen.since_ns = now;
    look(d->sieve, &w);
}
