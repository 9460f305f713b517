/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hashes: elements are made with the map, and a free one is taken for a new key. A deleted element's value stays memory of the map, so a
 * program that looked it up just before may still use it, as in Linux. When an LRU hash is full, the hand goes round the elements
 * and takes the first one that was not looked up since it last came by.
 */
#include "bpf_impl.h"

#include "base/str.h"
#include "kern/random.h"
#include "kern/slab.h"

#define NONE UINT32_MAX

struct element {
    u32 next;      /* in its chain, or in the list of free ones */
    u32 hash;
    bool used;
    bool touched;  /* since the hand came by */
    u8 data[] ALIGNED(8); /* key, padded to 8, then the values */
};

/* m: the map's lock. */
struct hash {
    u32 *chains;   /* m */
    u32 mask;      /* c: chains - 1 */
    u32 free;      /* m */
    u32 hand;      /* m */
    u32 seed;      /* c */
};

static size_t key_bytes(const struct bpf_map *m) { return ALIGN_UP((size_t)m->key_size, 8); }
static size_t element_bytes(const struct bpf_map *m) { return sizeof(struct element) + key_bytes(m) + (size_t)m->copies * m->stride; }
static struct element *element_at(const struct bpf_map *m, u32 i) { return (struct element *)(m->memory + i * element_bytes(m)); }
static u8 *value_of(const struct bpf_map *m, struct element *e, u32 copy) { return e->data + key_bytes(m) + (size_t)copy * m->stride; }
static bool is_lru(const struct bpf_map *m) { return m->type == MAP_LRU_HASH || m->type == MAP_LRU_PERCPU_HASH; }

static u32 chains_for(u32 entries)
{
    u32 n = 1;
    while (n < entries && n < 1u << 31)
        n *= 2;
    return n;
}

size_t hash_bytes(const struct bpf_map *m) { return m->entries * element_bytes(m) + (size_t)chains_for(m->entries) * sizeof(u32); }

int hash_init(struct bpf_map *m)
{
    struct hash *h = kzalloc(sizeof(*h));
    if (h == NULL)
        return -ENOMEM;
    h->chains = (u32 *)(m->memory + m->entries * element_bytes(m));
    h->mask = chains_for(m->entries) - 1;
    h->seed = (u32)random_u64();
    memset(h->chains, 0xff, ((size_t)h->mask + 1) * sizeof(u32));
    for (u32 i = 0; i < m->entries; i++)
        element_at(m, i)->next = i + 1 < m->entries ? i + 1 : NONE;
    m->hash = h;
    return 0;
}

void hash_done(struct bpf_map *m) { kfree(m->hash); }

static u32 hash_key(const struct bpf_map *m, const u8 *key)
{
    u64 h = m->hash->seed, word;
    u32 at = 0;
    for (; at + 8 <= m->key_size; at += 8) {
        memcpy(&word, key + at, 8);
        h = (h ^ word) * 0x9e3779b97f4a7c15ull;
        h ^= h >> 32;
    }
    for (; at < m->key_size; at++)
        h = (h ^ key[at]) * 0x9e3779b97f4a7c15ull;
    return (u32)(h >> 32) ^ (u32)h;
}

/* Where the element's number stands, or where the chain ends. m held, as below. */
static u32 *find(const struct bpf_map *m, const void *key, u32 hash)
{
    u32 *at = &m->hash->chains[hash & m->hash->mask];
    while (*at != NONE) {
        struct element *e = element_at(m, *at);
        if (e->hash == hash && memcmp(e->data, key, m->key_size) == 0)
            break;
        at = &e->next;
    }
    return at;
}

static void give_back(struct bpf_map *m, u32 *at)
{
    u32 i = *at;
    struct element *e = element_at(m, i);
    *at = e->next;
    e->used = false;
    e->next = m->hash->free;
    m->hash->free = i;
}

static void evict(struct bpf_map *m)
{
    struct hash *h = m->hash;
    for (;;) { /* all are in use; in the second round at the latest one is untouched */
        struct element *e = element_at(m, h->hand);
        h->hand = h->hand + 1 < m->entries ? h->hand + 1 : 0;
        if (!e->touched) {
            give_back(m, find(m, e->data, e->hash));
            return;
        }
        e->touched = false;
    }
}

static struct element *insert(struct bpf_map *m, const void *key, u32 hash)
{
    struct hash *h = m->hash;
    if (h->free == NONE && is_lru(m))
        evict(m);
    if (h->free == NONE)
        return NULL;
    u32 i = h->free, *chain = &h->chains[hash & h->mask];
    struct element *e = element_at(m, i);
    h->free = e->next;
    e->hash = hash;
    e->next = *chain;
    e->used = true;
    e->touched = false;
    memcpy(e->data, key, m->key_size);
    memset(value_of(m, e, 0), 0, (size_t)m->copies * m->stride);
    *chain = i;
    return e;
}

static void *hash_lookup(struct bpf_map *m, const void *key, u32 copy)
{
    void *value = NULL;
    u64 flags = spin_lock_irqsave(&m->lock);
    u32 *at = find(m, key, hash_key(m, key));
    if (*at != NONE) {
        struct element *e = element_at(m, *at);
        e->touched = true; /* a new element is not: it has to be looked at once to be worth more than the others */
        value = value_of(m, e, copy);
    }
    spin_unlock_irqrestore(&m->lock, flags);
    return value;
}

static int update_locked(struct bpf_map *m, const void *key, const u8 *value, u32 flags, u32 copy, bool all)
{
    u32 hash = hash_key(m, key), *at = find(m, key, hash);
    if (*at != NONE ? flags == UPDATE_NOEXIST : flags == UPDATE_EXIST)
        return *at != NONE ? -EEXIST : -ENOENT;
    struct element *e = *at != NONE ? element_at(m, *at) : insert(m, key, hash);
    if (e == NULL)
        return -E2BIG;
    for (u32 i = all ? 0 : copy; i < (all ? m->copies : copy + 1); i++, value += all ? m->stride : 0)
        memcpy(value_of(m, e, i), value, m->value_size);
    return 0;
}

static int hash_update(struct bpf_map *m, const void *key, const u8 *value, u32 flags, u32 copy, bool all)
{
    if (flags > UPDATE_EXIST)
        return -EINVAL;
    u64 events = spin_lock_irqsave(&m->lock);
    int err = update_locked(m, key, value, flags, copy, all);
    spin_unlock_irqrestore(&m->lock, events);
    return err;
}

static int hash_remove(struct bpf_map *m, const void *key)
{
    u64 flags = spin_lock_irqsave(&m->lock);
    u32 *at = find(m, key, hash_key(m, key));
    bool there = *at != NONE;
    if (there)
        give_back(m, at);
    spin_unlock_irqrestore(&m->lock, flags);
    return there ? 0 : -ENOENT;
}

static u64 hash_next(struct bpf_map *m, u64 cursor, u8 *key, u8 *values)
{
    for (; cursor < m->entries; cursor++) {
        struct element *e = element_at(m, (u32)cursor);
        u64 flags = spin_lock_irqsave(&m->lock);
        bool used = e->used;
        if (used) {
            memcpy(key, e->data, m->key_size);
            memcpy(values, value_of(m, e, 0), (size_t)m->copies * m->stride);
        }
        spin_unlock_irqrestore(&m->lock, flags);
        if (used)
            return cursor + 1;
    }
    return 0;
}

const struct map_ops hash_ops = { hash_lookup, hash_update, hash_remove, hash_next };
