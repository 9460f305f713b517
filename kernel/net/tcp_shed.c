/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A flood of SYNs that is more than can be answered. Reading a frame costs a third of what answering it does; so while a card always has
 * more than a batch, fewer and fewer SYNs get a cookie, until it runs dry again. Else its ring overflows, and segments
 * of connections are lost with the SYNs. Peers of whom a connection came about lately are served all the time; the flood's
 * addresses are made up, and the answers to them come to nobody. (Linux keeps the last quarter of a queue for such peers where cookies are off.)
 *
 * What is answered of a batch halves after each FULL_BATCHES without a dry one in between, and grows by one with each dry one.
 */
#include "sieve.h"
#include "tcp_impl.h"

#define FULL_BATCHES 4u
#define ANSWERS_MAX 64u /* a batch has no more */
#define PEERS 1024u     /* power of two */

/* Of one CPU, with bottom halves disabled. */
static struct shed {
    u32 full;     /* batches since a dry one, or since `cut` changed */
    u32 cut;      /* so many less than ANSWERS_MAX SYNs of a batch are answered; 0 = all are */
    u32 answered; /* in this batch */
} ALIGNED(64) sheds[MAX_CPUS];

/* Tags of peers, each at the place that its hash says; the latest stays. Atomic. */
static u32 peers[PEERS];

static u32 tag_of(struct ip_addr a) { return net_peer_tag(a) | 1; }

static void batch(bool more)
{
    struct shed *s = &sheds[this_cpu()->cpu];
    s->answered = 0;
    if (!more) {
        s->full = 0;
        s->cut -= s->cut != 0;
    } else if (++s->full == FULL_BATCHES) {
        s->full = 0;
        s->cut += (ANSWERS_MAX - s->cut) / 2; /* one is always answered */
    }
}

static void proved(struct ip_addr peer)
{
    u32 tag = tag_of(peer);
    atomic_store_relaxed(&peers[tag / 2 % PEERS], tag);
}

static void recent(void (*fn)(u32 tag))
{
    for (unsigned i = 0; i < PEERS; i++)
        if (atomic_load_relaxed(&peers[i]) != 0)
            fn(peers[i]);
}

static bool refuse(struct ip_addr peer)
{
    struct shed *s = &sheds[this_cpu()->cpu];
    u32 tag = tag_of(peer);
    if (likely(s->cut == 0) || atomic_load_relaxed(&peers[tag / 2 % PEERS]) == tag)
        return false;
    return s->answered++ >= ANSWERS_MAX - s->cut;
}

const struct tcp_shed_ops tcp_shed = { .batch = batch, .proved = proved, .refuse = refuse, .recent = recent };
