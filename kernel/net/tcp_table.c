/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of four-tuples: connections, half-open ones and TIME_WAIT entries. It has PARTS parts, each a hash table with its own lock
 * that grows by itself, so that segments of different connections meet no common lock. An entry is looked at, and referenced, with its part locked.
 */
#include "tcp_impl.h"

#define PARTS 16u /* power of two */
#define CHAINS_FIRST 4u

static struct part {
    struct spinlock lock;    /* the rest; bottom halves off */
    struct tcp_node **chains;
    u32 mask, count;
    struct tcp_node *first[CHAINS_FIRST];
} ALIGNED(64) parts[PARTS];

u32 tcp_tuple_hash(struct ip_addr laddr, struct ip_addr faddr, u16 lport, u16 fport)
{
    return net_hash(ip_pair(laddr, faddr), (u64)lport << 32 | fport);
}

static u32 hash_of(const struct tcp_node *n) { return tcp_tuple_hash(n->laddr, n->faddr, n->lport, n->fport); }
static struct part *part_of(u32 hash) { return &parts[hash % PARTS]; }
static struct tcp_node **chain_of(struct part *p, u32 hash) { return &p->chains[hash / PARTS & p->mask]; }

static void link_node(struct tcp_node **head, struct tcp_node *n)
{
    n->next = *head;
    n->link = head;
    if (*head != NULL)
        (*head)->link = &n->next;
    *head = n;
}

static void grow(struct part *p)
{
    struct tcp_node **old = p->chains, **c = kmalloc((p->mask + 1) * 4 * sizeof *c, ALLOC_ATOMIC | ALLOC_ZERO | ALLOC_NORETRY);
    u32 n = p->mask + 1;
    if (c == NULL)
        return; /* chains get longer, nothing else */
    p->chains = c;
    p->mask = n * 4 - 1;
    for (u32 i = 0; i < n; i++)
        while (old[i] != NULL) {
            struct tcp_node *x = old[i];
            old[i] = x->next;
            link_node(chain_of(p, hash_of(x)), x);
        }
    if (old != p->first)
        kfree(old);
}

static struct tcp_node *find(struct part *p, u32 hash, struct ip_addr laddr, struct ip_addr faddr, u16 lport, u16 fport)
{
    struct tcp_node *n = *chain_of(p, hash);
    while (n != NULL && (n->fport != fport || n->lport != lport || !ip_equal(n->faddr, faddr) || !ip_equal(n->laddr, laddr)))
        n = n->next;
    return n;
}

struct spinlock *tcp_table_find(struct ip_addr laddr, struct ip_addr faddr, u16 lport, u16 fport, struct tcp_node **ret)
{
    u32 hash = tcp_tuple_hash(laddr, faddr, lport, fport);
    struct part *p = part_of(hash);
    spin_lock_bh(&p->lock);
    *ret = find(p, hash, laddr, faddr, lport, fport);
    return &p->lock;
}

static int insert(struct part *p, u32 hash, struct tcp_node *n)
{
    if (find(p, hash, n->laddr, n->faddr, n->lport, n->fport) != NULL)
        return -EADDRINUSE;
    if (p->count > p->mask)
        grow(p);
    link_node(chain_of(p, hash), n);
    p->count++;
    return 0;
}

static bool unlink_node(struct part *p, struct tcp_node *n)
{
    if (n->link == NULL)
        return false;
    *n->link = n->next;
    if (n->next != NULL)
        n->next->link = n->link;
    n->link = NULL;
    p->count--;
    return true;
}

int tcp_table_insert(struct tcp_node *n)
{
    u32 hash = hash_of(n);
    struct part *p = part_of(hash);
    spin_lock_bh(&p->lock);
    int err = insert(p, hash, n);
    spin_unlock_bh(&p->lock);
    return err;
}

bool tcp_table_remove(struct tcp_node *n)
{
    struct part *p = part_of(hash_of(n));
    spin_lock_bh(&p->lock);
    bool was = unlink_node(p, n);
    spin_unlock_bh(&p->lock);
    return was;
}

void tcp_table_replace(struct tcp_node *a, struct tcp_node *b)
{
    u32 hash = hash_of(a);
    struct part *p = part_of(hash);
    spin_lock_bh(&p->lock);
    unlink_node(p, a);
    int err = insert(p, hash, b);
    spin_unlock_bh(&p->lock);
    ASSERT(err == 0);
}

bool tcp_table_any(bool (*fn)(const struct tcp_node *n, void *ctx), void *ctx)
{
    bool found = false;
    for (struct part *p = parts; p < parts + PARTS && !found; p++) {
        spin_lock_bh(&p->lock);
        for (u32 i = 0; i <= p->mask && !found; i++)
            for (const struct tcp_node *n = p->chains[i]; n != NULL && !found; n = n->next)
                found = fn(n, ctx);
        spin_unlock_bh(&p->lock);
    }
    return found;
}

/* Buckets, which the low bits of a hash name (first the part, then the chain), come in the order of these bits reversed: then the four that
 * one becomes when its part grows have the same neighbours as it had. */
u32 tcp_table_scan(u32 at, void (*fn)(const struct tcp_node *n, void *ctx), void *ctx)
{
    u32 hash = 0;
    for (unsigned i = 0; i < 32; i++)
        hash |= (at >> i & 1) << (31 - i);
    struct part *p = part_of(hash);
    spin_lock_bh(&p->lock);
    u32 buckets = (p->mask + 1) * PARTS;
    for (const struct tcp_node *n = *chain_of(p, hash); n != NULL; n = n->next)
        fn(n, ctx);
    spin_unlock_bh(&p->lock);
    return at + (u32)((1ULL << 32) / buckets);
}

void tcp_table_init(void)
{
    for (struct part *p = parts; p < parts + PARTS; p++) {
        spin_init(&p->lock, "tcp_tuples");
        p->chains = p->first;
        p->mask = CHAINS_FIRST - 1;
    }
}
