/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree of a mapping: 64-way, by six bits of the page index for each level. A
 * tree of height 0 is the page at index 0 itself, so small files need no node. A node
 * without children is freed at once. mapping->lock guards it all.
 */
#include "kern/slab.h"
#include "pagecache_impl.h"

#define BITS 6u
#define SLOTS (1u << BITS)

struct tree_node {
    u32 count; /* slots in use */
    void *slots[SLOTS];
};

static struct kmem_cache *node_cache;

void tree_init(void) { node_cache = kmem_cache_create("radix-node", sizeof(struct tree_node), 0); }

static unsigned slot_of(u64 index, unsigned level) { return (unsigned)(index >> (BITS * level)) & (SLOTS - 1); }

static bool fits(u64 index, unsigned height) { return BITS * height >= 64 || index >> (BITS * height) == 0; }

struct page *tree_lookup(const struct mapping *m, u64 index)
{
    unsigned h = m->tree_height;
    void *at = m->tree;
    if (unlikely(!fits(index, h)))
        return NULL;
    while (h > 0 && at != NULL)
        at = ((struct tree_node *)at)->slots[slot_of(index, --h)];
    return at;
}

static void *remove_below(void **slot, unsigned h, u64 index)
{
    if (h == 0 || *slot == NULL) {
        void *p = *slot;
        *slot = NULL;
        return p;
    }
    struct tree_node *n = *slot;
    void **child = &n->slots[slot_of(index, h - 1)];
    bool had = *child != NULL;
    void *p = remove_below(child, h - 1, index);
    if (had && *child == NULL)
        n->count--;
    if (n->count == 0) {
        kmem_free(node_cache, n);
        *slot = NULL;
    }
    return p;
}

struct page *tree_remove(struct mapping *m, u64 index)
{
    if (!fits(index, m->tree_height))
        return NULL;
    struct page *p = remove_below(&m->tree, m->tree_height, index);
    if (m->tree == NULL)
        m->tree_height = 0;
    return p;
}

static struct tree_node *node_create(void) { return kmem_alloc(node_cache, ALLOC_ZERO | ALLOC_ATOMIC); }

int tree_insert(struct mapping *m, u64 index, struct page *p)
{
    while (!fits(index, m->tree_height)) {
        if (m->tree != NULL) {
            struct tree_node *n = node_create();
            if (n == NULL)
                return -ENOMEM;
            n->slots[0] = m->tree;
            n->count = 1;
            m->tree = n;
        }
        m->tree_height++;
    }
    void **slot = &m->tree;
    struct tree_node *parent = NULL;
    for (unsigned h = m->tree_height; h > 0; h--) {
        if (*slot == NULL) {
            struct tree_node *n = node_create();
            if (n == NULL) {
                tree_remove(m, index); /* the nodes made above */
                return -ENOMEM;
            }
            *slot = n;
            if (parent != NULL)
                parent->count++;
        }
        parent = *slot;
        slot = &parent->slots[slot_of(index, h - 1)];
    }
    *slot = p;
    if (parent != NULL)
        parent->count++;
    return 0;
}

static struct page *next_below(void *at, unsigned h, u64 base, u64 index)
{
    if (h == 0)
        return at;
    const struct tree_node *n = at;
    unsigned shift = BITS * (h - 1);
    u64 i = index > base ? (index - base) >> shift : 0;
    for (; i < SLOTS; i++) {
        if (n->slots[i] == NULL)
            continue;
        struct page *p = next_below(n->slots[i], h - 1, base + (i << shift), index);
        if (p != NULL)
            return p;
    }
    return NULL;
}

struct page *tree_next(const struct mapping *m, u64 index)
{
    if (m->tree == NULL || !fits(index, m->tree_height))
        return NULL;
    return next_below(m->tree, m->tree_height, 0, index);
}

bool tree_peek(struct mapping *m, u64 index)
{
    spin_lock(&m->lock);
    bool there = tree_lookup(m, index) != NULL;
    spin_unlock(&m->lock);
    return there;
}
