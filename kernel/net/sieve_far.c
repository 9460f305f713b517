/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sieve of a machine's card: its memory is the tender's, and the card has a copy. The tender asks for the service SIEVE_SERVICE; from then on
 * this thread tells it what changes, and brings back how much was held (abi/sieve.h).
 *
 * Changes come from bottom halves: single bytes as places in a ring, of which the latest value is sent; when it is full, or all of the
 * peers' table is new, all of that. They go before the words that ask for something. The copy knows no credit that was used.
 */
#include "kern/channel.h"
#include "kern/slab.h"
#include "sieve.h"

#define RING 512u /* power of two */

static struct spinlock far_lock = SPINLOCK_INIT("net_sieve");
static struct {
    struct channel *client; /* who has the memory, or NULL */
    u32 places[RING], first, count;
    bool words, table;      /* all of these have changed */
    bool unanswered;        /* asked, and no counts have come back */
} far;                      /* far_lock */
static struct sieve *copy;  /* constant once made */
bool sieve_is_far;

void sieve_far_write(u32 at, u32 len)
{
    spin_lock_bh(&far_lock);
    if (far.client != NULL) {
        if (at == 0)
            far.words = true;
        else if (len > 1)
            far.table = true;
        else if (far.count < RING)
            far.places[(far.first + far.count++) % RING] = at;
        else if (at >= offsetof(struct sieve, peers)) /* a credit is not worth it */
            far.table = true;
        wq_wake_all(channel_wq(far.client), 0);
    }
    spin_unlock_bh(&far_lock);
}

bool sieve_far_waits(void) { return atomic_load_relaxed(&far.unanswered); }

/* --- the thread ------------------------------------------------------------------------------- */

struct message {
    u32 len;
    u8 bytes[CTL_PART_MAX];
};

static u32 room(const struct message *m) { return (u32)sizeof m->bytes - m->len; }

static void add(struct message *m, u32 at, u32 len)
{
    struct sieve_write w = { at, len };
    memcpy(m->bytes + m->len, &w, sizeof w);
    memcpy(m->bytes + m->len + sizeof w, (const u8 *)copy + at, len);
    m->len += (u32)sizeof w + len;
}

static int send(struct channel *c, struct message *m)
{
    u32 len = m->len;
    m->len = 0;
    return channel_send(c, m->bytes, len, false);
}

static int send_table(struct channel *c, struct message *m)
{
    u32 at = offsetof(struct sieve, peers), len;
    int err = 0;
    for (; err == 0 && at < sizeof *copy; at += len) {
        len = MIN((u32)sizeof *copy - at, room(m) - (u32)sizeof(struct sieve_write));
        add(m, at, len);
        err = send(c, m);
    }
    return err;
}

static void take_places(struct message *m)
{
    for (; far.count > 0 && room(m) > sizeof(struct sieve_write); far.count--)
        add(m, far.places[far.first++ % RING], 1);
}

/* What has changed until now. 0, or the client has gone. */
static int send_changes(struct channel *c, struct message *m)
{
    int err = 0;
    spin_lock_bh(&far_lock);
    bool table = far.table, words = far.words;
    far.table = far.words = false;
    take_places(m);
    if (words)
        far.unanswered = true;
    spin_unlock_bh(&far_lock);
    if (m->len != 0)
        err = send(c, m);
    if (table && err == 0)
        err = send_table(c, m);
    if (words && err == 0) {
        add(m, 0, offsetof(struct sieve, strangers));
        err = send(c, m);
    }
    return err;
}

static bool take_counts(struct channel *c)
{
    struct sieve_counts counts;
    bool more = false;
    s64 n = channel_receive(c, &counts, sizeof counts, &more, NEVER_NS);
    if (n < 0)
        return false;
    if (n != sizeof counts || more) {
        channel_fail(c, EPROTO, "these are no counts");
        return false;
    }
    for (unsigned k = 0; k < SIEVE_KINDS; k++)
        atomic_store_relaxed(&copy->strangers[k].held, counts.held[k]);
    atomic_store_relaxed(&copy->lost, counts.lost);
    atomic_store_relaxed(&far.unanswered, false);
    return true;
}

static bool changed(void) { return atomic_load_relaxed(&far.words) || atomic_load_relaxed(&far.table) || atomic_load_relaxed(&far.count) != 0; }

static void serve(struct channel *c, struct message *m)
{
    do {
        wait_event(channel_wq(c), changed() || channel_readable(c) || channel_closed(c));
        if (channel_readable(c) && !take_counts(c))
            return;
    } while (!channel_closed(c) && send_changes(c, m) == 0);
}

static bool make_copy(struct netdev *d)
{
    if (copy == NULL) {
        struct sieve *s = vmap_alloc(sizeof *s);
        if (s == NULL)
            return false;
        memset(s, 0, sizeof *s);
        copy = s;
        sieve_is_far = true;
        atomic_store(&d->sieve, s);
    }
    return true;
}

static void set_client(struct channel *c)
{
    spin_lock_bh(&far_lock);
    far.client = c;
    far.table = far.words = c != NULL && sieve_on;
    far.count = 0;
    far.unanswered = false;
    spin_unlock_bh(&far_lock);
}

static void run(struct channel *c, const char *args, size_t len)
{
    struct netif *card = netif_card();
    struct message *m = kmalloc(sizeof *m, 0);
    if (card == NULL || (card->dev->sieve != NULL && card->dev->sieve != copy)) {
        channel_fail(c, ENODEV, "no card needs it");
    } else if (m == NULL || !make_copy(card->dev)) {
        channel_fail(c, ENOMEM, "the instance has no memory for it");
    } else {
        m->len = 0;
        set_client(c);
        serve(c, m);
        set_client(NULL);
    }
    kfree(m);
}

void sieve_far_init(void)
{
    static struct service service = { .name = SIEVE_SERVICE, .run = run, .taken = "somebody has it" };
    service_register(&service);
}
