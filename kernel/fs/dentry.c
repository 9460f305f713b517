/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cache of names. Every dentry that can be found is in one hash table,
 * keyed by (parent, name); those that nobody uses (refs == 0) are on an LRU list
 * and go when memory is short.
 *
 * Invariants:
 *  D1  A child references its parent, so an unused directory has no cached children.
 *  D2  refs rises from 0 only under dcache_lock, and falls to 0 only under it; so a
 *      dentry seen in the hash under the lock is alive.
 *  D3  A dentry on the LRU list may be in use again (lazy removal); the shrinker skips it.
 *  D4  hashed <=> linked in the hash and in parent->children.
 */
#include "fs_impl.h"
#include "base/bytes.h"

struct spinlock dcache_lock = SPINLOCK_INIT("dcache");
struct mutex rename_mutex;

static struct kmem_cache *dentry_cache;
static struct list *buckets; /* dcache_lock */
static u32 bucket_mask, dentry_count;
static u64 cookie_counter = 16; /* above "." and ".." */
static struct list lru = LIST_INIT(lru);

u32 name_hash(const char *name, size_t len)
{
    u32 h = 0x811c9dc5u; /* FNV-1a */
    for (size_t k = 0; k < len; k++)
        h = (h ^ (u8)name[k]) * 0x01000193u;
    return h;
}

static ALWAYS_INLINE struct list *bucket_of(const struct dentry *parent, u32 hash)
{
    u64 x = ((uintptr_t)parent >> 6) * 0x9e3779b97f4a7c15ULL;
    return &buckets[((u32)(x >> 32) ^ hash ^ (hash >> 15)) & bucket_mask];
}

/* Names are short: cheaper than a call of memcmp(). */
static inline bool same_name(const char *a, const char *b, size_t len)
{
    for (; len >= 8; len -= 8, a += 8, b += 8)
        if (get_u64(a) != get_u64(b))
            return false;
    for (; len > 0; len--)
        if (*a++ != *b++)
            return false;
    return true;
}

struct dentry *dcache_find(struct dentry *parent, const char *name, size_t len, u32 hash)
{
    struct list *head = bucket_of(parent, hash);
    for (struct list *n = head->next; n != head; n = n->next) {
        struct dentry *d = list_entry(n, struct dentry, hash_node);
        if (d->hash == hash && d->parent == parent && d->name_len == len && same_name(d->name, name, len))
            return d;
    }
    return NULL;
}

/* With dcache_lock. */
static u64 dcache_next_cookie(void) { return ++cookie_counter; }

/* Four times as many buckets once the chains grow; failure to is harmless. */
static void dcache_grow(void)
{
    u32 n = (bucket_mask + 1) * 4;
    struct list *t = kmalloc(n * sizeof(*t), ALLOC_NORETRY);
    if (t == NULL)
        return;
    for (u32 k = 0; k < n; k++)
        list_init(&t[k]);
    spin_lock(&dcache_lock);
    struct list *old = buckets;
    u32 old_n = bucket_mask + 1;
    if (old_n * 4 == n) {
        buckets = t;
        bucket_mask = n - 1;
        for (u32 k = 0; k < old_n; k++) {
            list_for_each_safe(d, &old[k], struct dentry, hash_node)
                list_insert_after(bucket_of(d->parent, d->hash), &d->hash_node);
        }
        t = old;
    }
    spin_unlock(&dcache_lock);
    kfree(t);
}

static struct dentry *dentry_alloc(struct superblock *sb, const char *name, size_t len, u32 hash)
{
    struct dentry *d = kmem_alloc(dentry_cache, ALLOC_ZERO);
    if (d == NULL)
        return NULL;
    char *text = d->inline_name;
    if (len >= sizeof(d->inline_name)) {
        text = kmalloc(len + 1, 0);
        if (text == NULL) {
            kmem_free(dentry_cache, d);
            return NULL;
        }
    }
    memcpy(text, name, len);
    text[len] = 0;
    ref_init(&d->refs);
    d->name = text;
    d->name_len = (u16)len;
    d->hash = hash;
    d->sb = sb;
    list_init(&d->hash_node);
    list_init(&d->children);
    list_init(&d->child_node);
    list_init(&d->lru_node);
    return d;
}

static void dentry_free(struct dentry *d)
{
    inode_put(d->inode);
    if (d->name != d->inline_name)
        kfree((void *)d->name);
    kmem_free(dentry_cache, d);
}

struct dentry *dentry_create(struct dentry *parent, const char *name, size_t len, u32 hash)
{
    if (unlikely(atomic_load_relaxed(&dentry_count) > 2 * bucket_mask))
        dcache_grow();
    struct dentry *d = dentry_alloc(parent->sb, name, len, hash);
    if (d != NULL)
        d->parent = dentry_get(parent);
    return d;
}

struct dentry *dentry_create_root(struct superblock *sb, struct inode *i)
{
    struct dentry *d = i != NULL ? dentry_alloc(sb, "/", 1, 0) : NULL;
    if (d == NULL) {
        inode_put(i);
        return NULL;
    }
    d->parent = d;
    d->inode = i;
    return d;
}

static void hash_locked(struct dentry *d)
{
    d->hashed = true;
    dentry_count++;
    d->cookie = dcache_next_cookie();
    list_push_front(bucket_of(d->parent, d->hash), &d->hash_node);
    list_push_back(&d->parent->children, &d->child_node);
}

static void unhash_locked(struct dentry *d)
{
    if (!d->hashed)
        return;
    d->hashed = false;
    dentry_count--;
    list_remove_init(&d->hash_node);
    list_remove_init(&d->child_node);
    dir_forget(d);
}

void dentry_add(struct dentry *d)
{
    spin_lock(&dcache_lock);
    hash_locked(d);
    spin_unlock(&dcache_lock);
}

void dentry_unhash(struct dentry *d)
{
    spin_lock(&dcache_lock);
    unhash_locked(d);
    spin_unlock(&dcache_lock);
}

void dentry_attach(struct dentry *d, struct inode *i)
{
    ASSERT(d->inode == NULL);
    atomic_store(&d->inode, i);
}

struct dentry *dentry_get(struct dentry *d)
{
    ref_get(&d->refs);
    return d;
}

void dentry_put(struct dentry *d)
{
    while (d != NULL) {
        u32 n = atomic_load_relaxed(&d->refs.n);
        while (n > 1)
            if (atomic_cas(&d->refs.n, &n, n - 1))
                return;
        spin_lock(&dcache_lock);
        if (atomic_sub(&d->refs.n, 1u) != 0) {
            spin_unlock(&dcache_lock);
            return;
        }
        if (d->hashed && !d->transient) {
            d->referenced = true;
            if (list_empty(&d->lru_node))
                list_push_back(&lru, &d->lru_node);
            spin_unlock(&dcache_lock);
            return;
        }
        unhash_locked(d);
        list_remove_init(&d->lru_node);
        spin_unlock(&dcache_lock);
        struct dentry *parent = d->parent == d ? NULL : d->parent;
        dentry_free(d);
        d = parent;
        if (watched() && d != NULL && d->inode != NULL && !d->hashed && notify_put_slow(d))
            return;
    }
}

void dentry_pin(struct dentry *d)
{
    if (!d->pinned) {
        d->pinned = true;
        dentry_get(d);
    }
}

void dentry_unpin(struct dentry *d)
{
    if (d->pinned) {
        d->pinned = false;
        dentry_put(d);
    }
}

bool dentry_has_children(struct dentry *dir)
{
    bool found = false;
    spin_lock(&dcache_lock);
    list_for_each(d, &dir->children, struct dentry, child_node) {
        if (d->inode != NULL) {
            found = true;
            break;
        }
    }
    spin_unlock(&dcache_lock);
    return found;
}

bool dentry_is_below(struct dentry *d, struct dentry *ancestor)
{
    for (; d != ancestor; d = d->parent)
        if (d->parent == d)
            return false;
    return true;
}

/* Forget cached children; those in use lose their names and are looked up anew. */
void dentry_invalidate(struct dentry *dir)
{
    struct list dead = LIST_INIT(dead);
    spin_lock(&dcache_lock);
    list_for_each_safe(d, &dir->children, struct dentry, child_node) {
        if (d->pinned || d->mounted)
            continue;
        unhash_locked(d);
        if (ref_count(&d->refs) == 0) {
            ref_init(&d->refs);
            list_remove_init(&d->lru_node);
            list_push_back(&dead, &d->lru_node);
        }
    }
    spin_unlock(&dcache_lock);
    struct list *n;
    while ((n = list_pop_front(&dead)) != NULL)
        dentry_put(list_entry(n, struct dentry, lru_node));
}

/* A copy of a name for the other dentry of a move. */
static int name_copy(const struct dentry *d, char **ret)
{
    *ret = NULL;
    if (d->name_len < DENTRY_INLINE_NAME)
        return 0;
    *ret = kmalloc(d->name_len + 1u, 0);
    return *ret != NULL ? 0 : -ENOMEM;
}

static void name_set(struct dentry *d, const char *name, u16 len, u32 hash, char *heap)
{
    if (d->name != d->inline_name)
        kfree((void *)d->name);
    char *text = heap != NULL ? heap : d->inline_name;
    memcpy(text, name, len);
    text[len] = 0;
    d->name = text;
    d->name_len = len;
    d->hash = hash;
}

int dentry_move(struct dentry *from, struct dentry *to, bool exchange)
{
    char *to_heap, *from_heap = NULL; /* room for the texts */
    char old[NAME_MAX + 1];
    int err = name_copy(to, &to_heap);
    if (err != 0)
        return err;
    if (exchange && (err = name_copy(from, &from_heap)) != 0) {
        kfree(to_heap);
        return err;
    }
    spin_lock(&dcache_lock);
    struct dentry *from_parent = from->parent, *to_parent = to->parent;
    u16 old_len = from->name_len;
    u32 old_hash = from->hash;
    memcpy(old, from->name, old_len);
    unhash_locked(from);
    unhash_locked(to);
    name_set(from, to->name, to->name_len, to->hash, to_heap);
    from->parent = to_parent;
    dentry_get(to_parent);
    if (exchange) {
        name_set(to, old, old_len, old_hash, from_heap);
        to->parent = from_parent;
        dentry_get(from_parent);
        hash_locked(to);
    }
    hash_locked(from);
    spin_unlock(&dcache_lock);
    dentry_put(from_parent);
    if (exchange)
        dentry_put(to_parent);
    return 0;
}

void dentry_kill_tree(struct dentry *root)
{
    for (;;) {
        spin_lock(&dcache_lock);
        struct dentry *d = root;
        while (!list_empty(&d->children))
            d = list_first(&d->children, struct dentry, child_node);
        if (d == root) {
            spin_unlock(&dcache_lock);
            break;
        }
        unhash_locked(d);
        list_remove_init(&d->lru_node);
        if (!d->pinned)
            dentry_get(d);
        d->pinned = false;
        spin_unlock(&dcache_lock);
        dentry_put(d);
    }
    dentry_put(root);
}

size_t dcache_shrink(size_t pages_wanted)
{
    struct list dead = LIST_INIT(dead);
    size_t want = pages_wanted * 16, freed = 0;
    spin_lock(&dcache_lock);
    for (size_t scan = want * 2; scan > 0 && freed < want && !list_empty(&lru); scan--) {
        struct dentry *d = list_first(&lru, struct dentry, lru_node);
        list_remove_init(&d->lru_node);
        if (ref_count(&d->refs) != 0)
            continue; /* D3 */
        if (d->referenced) {
            d->referenced = false;
            list_push_back(&lru, &d->lru_node);
            continue;
        }
        unhash_locked(d);
        ref_init(&d->refs);
        list_push_back(&dead, &d->lru_node);
        freed++;
    }
    spin_unlock(&dcache_lock);
    struct list *n;
    while ((n = list_pop_front(&dead)) != NULL)
        dentry_put(list_entry(n, struct dentry, lru_node));
    return freed / 16;
}

void dcache_init(void)
{
    static struct shrinker shrinker = {.shrink = dcache_shrink};
    u32 n = 256;
    mutex_init(&rename_mutex, "rename");
    dentry_cache = kmem_cache_create("dentry", sizeof(struct dentry), 0);
    buckets = kmalloc(n * sizeof(*buckets), 0);
    if (buckets == NULL)
        panic("no memory for the name cache");
    for (u32 k = 0; k < n; k++)
        list_init(&buckets[k]);
    bucket_mask = n - 1;
    shrinker_register(&shrinker);
}
