/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How pages leave the page cache: replacement, writeback, truncation.
 *
 * Pages that can be read again lie on one list, oldest first, and get a second
 * chance when they were used since (the clock algorithm). The first sweep
 * takes pages no program maps, the second unmaps them too.
 *
 * Lock order: mapping->lock, then lru.lock. The sweep comes from the other side, so it
 * only tries mapping->lock; while lru.lock is held and the page is on the list its mapping cannot go away.
 */
#include "base/str.h"
#include "kern/log.h"
#include "kern/thread.h"
#include "pagecache_impl.h"

#define GANG 16u

static struct {
    struct spinlock lock;
    struct list pages; /* lock */
    u64 count;         /* lock */
} lru = { .lock = SPINLOCK_INIT("page.lru"), .pages = LIST_INIT(lru.pages) };

void lru_add(struct page **pages, unsigned n)
{
    spin_lock(&lru.lock);
    for (unsigned i = 0; i < n; i++) {
        if (pages[i]->mapping == NULL) /* cut off while it was being read */
            continue;
        atomic_or(&pages[i]->flags, PG_LRU);
        list_push_back(&lru.pages, &pages[i]->node);
        lru.count++;
    }
    spin_unlock(&lru.lock);
}

void lru_remove(struct page *p)
{
    spin_lock(&lru.lock);
    if (atomic_and(&p->flags, ~PG_LRU) & PG_LRU) {
        list_remove(&p->node);
        lru.count--;
    }
    spin_unlock(&lru.lock);
}

/* --- writeback ------------------------------------------------------------------------ */

/* Write one page back if it is dirty. The caller has a reference and PG_LOCKED. */
static int page_clean(struct mapping *m, struct page *p)
{
    spin_lock(&m->lock);
    bool dirty = p->mapping == m && (atomic_and(&p->flags, ~PG_DIRTY) & PG_DIRTY);
    if (dirty && p->map_count != 0)
        rmap_protect(m, p->index); /* the next write through a mapping is noticed */
    spin_unlock(&m->lock);
    if (!dirty)
        return 0;
    int err = m->ops->write(m, p);
    if (err != 0)
        mapping_mark_dirty(p);
    atomic_sub(&m->dirty_pages, 1); /* not before: mapping_sync() waits for what others write */
    return err;
}

int mapping_sync(struct mapping *m)
{
    int ret = 0;
    if (m->ops->write == NULL)
        return 0;
    for (u64 index = 0; atomic_load(&m->dirty_pages) != 0;) {
        spin_lock(&m->lock);
        struct page *p = tree_next(m, index);
        if (p != NULL)
            page_get(p);
        spin_unlock(&m->lock);
        if (p == NULL)
            break;
        index = p->index + 1;
        if (atomic_load(&p->flags) & (PG_DIRTY | PG_LOCKED)) {
            page_lock(p);
            int err = page_clean(m, p);
            page_unlock(p);
            if (ret == 0)
                ret = err;
        }
        page_put(p);
        cond_resched();
    }
    return ret;
}

/* --- replacement ------------------------------------------------------------------------ */

enum sweep { SWEEP_UNMAPPED, SWEEP_MAPPED };

/* Try to drop a page. mapping->lock held. True when the mapping's reference, the last, is the caller's. */
static bool evict(struct mapping *m, struct page *p, enum sweep sweep, struct list *ret_free)
{
    u32 flags = atomic_load(&p->flags);
    if (flags & PG_REFERENCED) {
        atomic_and(&p->flags, ~PG_REFERENCED);
        return false;
    }
    if ((flags & (PG_LOCKED | PG_DIRTY)) || !(flags & PG_UPTODATE))
        return false;
    if (atomic_load(&p->map_count) != 0) {
        if (sweep == SWEEP_UNMAPPED || rmap_locked(m, p->index))
            return false;
        rmap_unmap(m, p->index, p->index, false, ret_free);
    }
    /* New references come from the tree (under this lock) or from a mapping (just removed). Who had one before may have written. */
    if (atomic_load(&p->refs.n) != 1 || (atomic_load(&p->flags) & PG_DIRTY))
        return false;
    thrash_dropped(m, p->index);
    cache_remove_locked(m, p);
    return true;
}

/* Look at the oldest page. Returns the pages freed; *ret_dirty gets one that wants writing, referenced. */
static size_t sweep_one(enum sweep sweep, struct page **ret_dirty)
{
    struct list freed;
    list_init(&freed);
    spin_lock(&lru.lock);
    if (list_empty(&lru.pages)) {
        spin_unlock(&lru.lock);
        return 0;
    }
    struct page *p = list_first(&lru.pages, struct page, node);
    struct mapping *m = p->mapping;
    list_remove(&p->node);
    list_push_back(&lru.pages, &p->node);
    if (m == NULL || !spin_trylock(&m->lock)) {
        spin_unlock(&lru.lock);
        return 0;
    }
    spin_unlock(&lru.lock);
    bool gone = p->mapping == m && evict(m, p, sweep, &freed);
    if (!gone && m->ops->write != NULL && (atomic_load(&p->flags) & PG_DIRTY) && p->mapping == m)
        *ret_dirty = page_get(p);
    spin_unlock(&m->lock);
    if (gone)
        page_put(p);
    page_free_list(&freed);
    return gone ? 1 : 0;
}

static size_t cache_shrink(size_t wanted)
{
    size_t got = 0;
    for (enum sweep sweep = SWEEP_UNMAPPED; sweep <= SWEEP_MAPPED && got < wanted; sweep++) {
        if (sweep == SWEEP_MAPPED && thrashing())
            break;
        for (u64 left = 2 * atomic_load_relaxed(&lru.count); left > 0 && got < wanted; left--) {
            struct page *dirty = NULL;
            got += sweep_one(sweep, &dirty);
            if (dirty == NULL)
                continue;
            struct mapping *m = atomic_load(&dirty->mapping);
            if (sweep == SWEEP_MAPPED && m != NULL && page_trylock(dirty)) {
                /* PG_LOCKED keeps truncation, so the mapping, from going away */
                if (atomic_load(&dirty->mapping) == m)
                    page_clean(m, dirty);
                page_unlock(dirty);
            }
            page_put(dirty);
        }
    }
    return got;
}

static struct shrinker cache_shrinker = { .shrink = cache_shrink };

void lru_init(void) { shrinker_register(&cache_shrinker); }

/* --- truncation --------------------------------------------------------------------------- */

/* Take pages [first, last] out of the mapping, then out of programs. */
static void drop_range(struct mapping *m, u64 first, u64 last, bool even_copies)
{
    struct list freed;
    list_init(&freed);
    for (u64 index = first;;) {
        struct page *gang[GANG], *busy = NULL;
        unsigned n = 0;
        spin_lock(&m->lock);
        while (n < GANG) {
            struct page *p = tree_next(m, index);
            if (p == NULL || p->index > last)
                break;
            if (atomic_load(&p->flags) & PG_LOCKED) {
                busy = page_get(p);
                break;
            }
            index = p->index + 1;
            cache_remove_locked(m, p);
            gang[n++] = p;
        }
        spin_unlock(&m->lock);
        for (unsigned i = 0; i < n; i++)
            page_put(gang[i]);
        if (busy != NULL) {
            page_wait_unlocked(busy);
            page_put(busy);
        } else if (n < GANG) {
            break;
        }
        cond_resched();
    }
    spin_lock(&m->lock);
    if (!list_empty(&m->vmas))
        rmap_unmap(m, first, last, even_copies, &freed);
    spin_unlock(&m->lock);
    page_free_list(&freed);
}

static void zero_part(struct mapping *m, u64 index, u64 from, u64 to)
{
    struct page *p = from < to ? mapping_peek(m, index) : NULL;
    if (p == NULL)
        return;
    memset((u8 *)page_virt(p) + from, 0, to - from);
    mapping_mark_dirty(p);
    page_put(p);
}

void mapping_truncate(struct mapping *m, u64 new_size)
{
    spin_lock(&m->lock);
    u64 old = m->size_bytes;
    atomic_store(&m->size_bytes, new_size);
    spin_unlock(&m->lock);
    /* The tail behind the shorter end: cut off now, or written through a mapping before it became part of the file. */
    u64 end = MIN(old, new_size), in_page = end & (PAGE_SIZE - 1);
    if (in_page != 0 && old != new_size)
        zero_part(m, end >> PAGE_SHIFT, in_page, PAGE_SIZE);
    if (new_size <= old)
        drop_range(m, (new_size >> PAGE_SHIFT) + (in_page != 0), UINT64_MAX, true);
}

void mapping_punch(struct mapping *m, u64 start, u64 end)
{
    if (start >= end)
        return;
    u64 first = (start >> PAGE_SHIFT) + ((start & (PAGE_SIZE - 1)) != 0), last = end >> PAGE_SHIFT;
    if (start >> PAGE_SHIFT == end >> PAGE_SHIFT) {
        zero_part(m, start >> PAGE_SHIFT, start & (PAGE_SIZE - 1), end & (PAGE_SIZE - 1));
        return;
    }
    if (start & (PAGE_SIZE - 1))
        zero_part(m, start >> PAGE_SHIFT, start & (PAGE_SIZE - 1), PAGE_SIZE);
    zero_part(m, last, 0, end & (PAGE_SIZE - 1));
    if (first < last)
        drop_range(m, first, last - 1, false);
}

void mapping_done(struct mapping *m)
{
    ASSERT(list_empty(&m->vmas));
    if (m->tree != NULL)
        drop_range(m, 0, UINT64_MAX, false);
    ASSERT(m->page_count == 0);
}
