/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page cache: see kern/pagecache.h for its rules. This file has lookup,
 * reading ahead and the generic read and write; radix.c has the tree, reclaim.c the
 * replacement list, writeback and truncation.
 *
 * A page that is being read is in the tree already, locked and not up to date;
 * who finds it waits for the lock. When the read fails the page leaves the tree
 * before it is unlocked, so that those who waited look again and try for themselves.
 */
#include "kern/pagecache.h"

#include "base/str.h"
#include "kern/log.h"
#include "kern/thread.h"
#include "kern/wait.h"
#include "pagecache_impl.h"

#define RA_START 4u /* pages: 16 KiB ... */
#define RA_USUAL 32u /* ... to 128 KiB, or mapping_ops.read_max */
#define RA_MAX MAPPING_READ_MAX
#define FAULT_WINDOW 32u /* pages read around a page fault: a request costs more than its bytes */
#define INSERT_TRIES 8

static struct waitqueue page_wq[8];

static struct waitqueue *wq_of(const struct page *p) { return &page_wq[((uintptr_t)p >> 6) % ARRAY_SIZE(page_wq)]; }

static bool page_busy(struct page *p) { return (atomic_or(&p->flags, PG_WAITERS) & PG_LOCKED) != 0; }

void page_wait_unlocked(struct page *p)
{
    if (atomic_load(&p->flags) & PG_LOCKED)
        wait_event(wq_of(p), !page_busy(p));
}

void page_lock(struct page *p)
{
    while (atomic_or(&p->flags, PG_LOCKED) & PG_LOCKED)
        page_wait_unlocked(p);
}

bool page_trylock(struct page *p) { return (atomic_or(&p->flags, PG_LOCKED) & PG_LOCKED) == 0; }

void page_unlock(struct page *p)
{
    if (atomic_and(&p->flags, ~(PG_LOCKED | PG_WAITERS)) & PG_WAITERS)
        wq_wake_all(wq_of(p), 0);
}

void mapping_init(struct mapping *m, const struct mapping_ops *ops, void *host)
{
    memset(m, 0, sizeof(*m));
    m->ops = ops;
    m->host = host;
    spin_init(&m->lock, "mapping");
    list_init(&m->vmas);
}

/* --- insertion and removal ------------------------------------------------------------ */

/* Insert a page (its reference moves in). -EEXIST, or -ENOMEM. */
static int cache_insert(struct mapping *m, u64 index, struct page *p)
{
    if (!(p->flags & PG_DEVICE))
        page_set_kind(p, PAGE_CACHE); /* who finds it may map it at once */
    for (unsigned try = 0;; try++) {
        spin_lock(&m->lock);
        int err = tree_lookup(m, index) != NULL ? -EEXIST : tree_insert(m, index, p);
        if (err == 0) {
            p->index = index;
            p->mapping = m;
            m->page_count++;
        }
        spin_unlock(&m->lock);
        if (err != -ENOMEM || try == INSERT_TRIES || page_reclaim(8) == 0)
            return err;
    }
}

void cache_remove_locked(struct mapping *m, struct page *p)
{
    struct page *q = tree_remove(m, p->index);
    ASSERT(q == p);
    m->page_count--;
    atomic_store(&p->mapping, NULL);
    atomic_fence();
    lru_remove(p);
    if (atomic_and(&p->flags, ~PG_DIRTY) & PG_DIRTY) {
        atomic_sub(&m->dirty_pages, 1);
        current_thread()->disk_cancelled += m->ops->write != NULL ? PAGE_SIZE : 0;
    }
}

/* --- reading --------------------------------------------------------------------------- */

static u64 size_in_pages(const struct mapping *m)
{
    u64 size = atomic_load_relaxed(&m->size_bytes);
    return (size >> PAGE_SHIFT) + ((size & (PAGE_SIZE - 1)) != 0);
}

static void read_failed(struct mapping *m, struct page **pages, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        spin_lock(&m->lock);
        if (pages[i]->mapping == m)
            cache_remove_locked(m, pages[i]);
        spin_unlock(&m->lock);
        page_unlock(pages[i]);
        page_put(pages[i]); /* the mapping's */
        page_put(pages[i]);
    }
}

static void read_done(struct page **pages, unsigned n, unsigned keep)
{
    lru_add(pages, n);
    for (unsigned i = 0; i < n; i++) {
        atomic_or(&pages[i]->flags, PG_UPTODATE);
        page_unlock(pages[i]);
        if (i != keep)
            page_put(pages[i]);
    }
}

/*
 * Read pages [first, first + n) that are not there yet, up to the first one that is (or where memory
 * ends), as long as `index` is among them. The page at index is returned, referenced. -EEXIST when it is there by now.
 */
static int read_pages(struct mapping *m, u64 first, unsigned n, u64 index, struct page **ret_page)
{
    struct page *pages[RA_MAX];
    unsigned got = 0;
    int err = 0;
    u64 end = first + n, low = index;
    spin_lock(&m->lock);
    while (low > first && tree_lookup(m, low - 1) == NULL)
        low--;
    spin_unlock(&m->lock);
    first = low;
    n = (unsigned)MIN(end - first, RA_MAX);
    for (; got < n; got++) {
        u64 at = first + got;
        bool wanted = at == index;
        struct page *p = page_alloc(0, wanted ? 0 : ALLOC_NORETRY);
        if (p == NULL) {
            err = -ENOMEM;
        } else {
            page_get(p);
            p->flags = PG_LOCKED;
            err = cache_insert(m, at, p);
            if (err != 0) {
                p->flags = 0;
                page_put(p);
                page_put(p);
            }
        }
        if (err != 0)
            break;
        pages[got] = p;
    }
    if (index >= first + got) { /* not reached: try it alone */
        if (got > 0)
            read_failed(m, pages, got);
        return first == index ? err : read_pages(m, index, 1, index, ret_page);
    }
    unsigned at = (unsigned)(index - first);
    err = m->ops->read(m, first, pages, got);
    if (err == 0) {
        *ret_page = pages[at];
        read_done(pages, got, at);
        current_thread()->disk_read += got * PAGE_SIZE;
        return 0;
    }
    read_failed(m, pages, got);
    return got > 1 ? read_pages(m, index, 1, index, ret_page) : err;
}

/* One page that need not be read, because the device's memory is mapped; if it is. */
static void take_direct(struct mapping *m, u64 index)
{
    paddr_t pa = m->ops->direct(m, index);
    struct page *p = pa != 0 ? page_claim_device(pa, m) : NULL;
    if (p == NULL)
        return;
    page_get(p);
    atomic_or(&p->flags, PG_UPTODATE);
    if (cache_insert(m, index, p) == 0)
        return;
    atomic_store(&p->mapping, NULL);
    page_put(p);
}

/* As read_pages(), without reading where that can be. */
static int bring_in(struct mapping *m, u64 first, unsigned n, u64 index, struct page **ret_page)
{
    if (m->ops->direct == NULL)
        return read_pages(m, first, n, index, ret_page);
    for (u64 at = first; at < first + n; at++)
        if (!tree_peek(m, at))
            take_direct(m, at);
    *ret_page = mapping_peek(m, index);
    return *ret_page != NULL ? 0 : read_pages(m, index, 1, index, ret_page);
}

/* A new page of zeros, up to date. */
static int zero_page(struct mapping *m, u64 index, struct page **ret_page)
{
    struct page *p = page_alloc(0, ALLOC_ZERO);
    if (p == NULL)
        return -ENOMEM;
    page_get(p);
    p->flags = PG_UPTODATE;
    int err = cache_insert(m, index, p);
    if (err != 0) {
        page_put(p);
        page_put(p);
        return err;
    }
    if (m->ops->read != NULL)
        lru_add(&p, 1);
    *ret_page = p;
    return 0;
}

static unsigned window_max(const struct mapping *m) { return m->ops->read_max != 0 ? m->ops->read_max : RA_USUAL; }

/* Where to read for a miss at index: sequential misses double the window. */
static unsigned window_sequential(struct mapping *m, u64 index)
{
    unsigned n = index == 0 || index != m->ra_next ? RA_START : MIN(m->ra_pages * 2, window_max(m));
    if (page_scarce())
        n = index != 0 && index != m->ra_next ? 1 : MIN(n, RA_START);
    m->ra_pages = n;
    m->ra_next = index + n;
    return n;
}

/* The same for a fault: around it, or on from where the last window ended. */
static unsigned window_around(struct mapping *m, u64 index, u64 *ret_first)
{
    bool goes_on = index != 0 && index == m->ra_next;
    unsigned n = page_scarce() ? RA_START : goes_on ? MIN(MAX(m->ra_pages, FAULT_WINDOW / 2) * 2, window_max(m)) : FAULT_WINDOW;
    *ret_first = goes_on ? index : ALIGN_DOWN(index, (u64)n);
    m->ra_pages = n;
    m->ra_next = *ret_first + n;
    return n;
}

static int get(struct mapping *m, u64 index, bool create, bool around, struct page **ret_page)
{
    for (;;) {
        spin_lock(&m->lock);
        struct page *p = tree_lookup(m, index);
        if (likely(p != NULL)) {
            page_get(p);
            spin_unlock(&m->lock);
            u32 flags = atomic_load(&p->flags);
            if (likely(flags & PG_UPTODATE)) {
                if (!(flags & PG_REFERENCED))
                    atomic_or(&p->flags, PG_REFERENCED);
                *ret_page = p;
                return 0;
            }
            page_wait_unlocked(p);
            page_put(p);
            continue;
        }
        u64 end = size_in_pages(m), first = index;
        /* Nothing is gained by bringing direct pages in early, and a neighbour may be another mapping's. */
        unsigned n = around ? window_around(m, index, &first) : m->ops->direct != NULL ? 1 : window_sequential(m, index);
        spin_unlock(&m->lock);
        if (index >= end && !create)
            return -ENXIO;
        int err;
        if (m->ops->read == NULL || index >= end) {
            err = zero_page(m, index, ret_page);
        } else {
            bool refault = thrash_refault(m, index);
            u64 from = refault ? plat_now_ns() : 0;
            err = bring_in(m, first, (unsigned)MIN(n, end - first), index, ret_page);
            if (unlikely(refault))
                thrash_lost(from, plat_now_ns());
        }
        if (err != -EEXIST)
            return err;
    }
}

int mapping_get(struct mapping *m, u64 index, bool create, struct page **ret_page)
{
    return get(m, index, create, false, ret_page);
}

int mapping_get_around(struct mapping *m, u64 index, struct page **ret_page)
{
    return get(m, index, false, true, ret_page);
}

struct page *mapping_peek(struct mapping *m, u64 index)
{
    spin_lock(&m->lock);
    struct page *p = tree_lookup(m, index);
    if (p != NULL && (atomic_load(&p->flags) & PG_UPTODATE))
        page_get(p);
    else
        p = NULL;
    spin_unlock(&m->lock);
    return p;
}

u64 mapping_next(struct mapping *m, u64 index)
{
    spin_lock(&m->lock);
    struct page *p = tree_next(m, index);
    u64 next = p != NULL ? p->index : UINT64_MAX;
    spin_unlock(&m->lock);
    return next;
}

void mapping_peek_run(struct mapping *m, u64 index, unsigned n, struct page **ret_pages)
{
    spin_lock(&m->lock);
    for (unsigned i = 0; i < n; i++) {
        struct page *p = tree_lookup(m, index + i);
        ret_pages[i] = p != NULL && (atomic_load(&p->flags) & PG_UPTODATE) ? page_get(p) : NULL;
    }
    spin_unlock(&m->lock);
}

void mapping_prefetch(struct mapping *m, u64 index, u64 n)
{
    u64 end = size_in_pages(m);
    if (m->ops->read == NULL || index >= end)
        return;
    for (n = MIN(n, end - index); n > 0 && !page_scarce(); index++, n--) {
        struct page *p;
        if (tree_peek(m, index))
            continue;
        if (bring_in(m, index, (unsigned)MIN(n, window_max(m)), index, &p) != 0)
            return;
        page_put(p);
    }
}

/* Without mapping->lock, as faults hold pt_lock: whoever clears PG_DIRTY takes the page off the count,
 * and a page that leaves its mapping meanwhile is seen here or there. */
void mapping_mark_dirty(struct page *p)
{
    atomic_fence(); /* what was written, or mapped, then this look: page_clean() does it the other way round */
    struct mapping *m = atomic_load(&p->mapping);
    if (m == NULL || (atomic_load_relaxed(&p->flags) & PG_DIRTY))
        return;
    atomic_add(&m->dirty_pages, 1);
    if (atomic_or(&p->flags, PG_DIRTY) & PG_DIRTY) {
        atomic_sub(&m->dirty_pages, 1);
        return;
    }
    current_thread()->disk_written += m->ops->write != NULL ? PAGE_SIZE : 0;
    atomic_fence();
    if (unlikely(atomic_load(&p->mapping) != m) && (atomic_and(&p->flags, ~PG_DIRTY) & PG_DIRTY))
        atomic_sub(&m->dirty_pages, 1);
}

/* --- read(2) and write(2) ----------------------------------------------------------------- */

s64 mapping_read(struct mapping *m, u64 off, struct uio *u)
{
    s64 done = 0;
    while (u->remaining > 0) {
        u64 size = atomic_load(&m->size_bytes);
        if (off >= size)
            break;
        struct page *p;
        u64 in_page = off & (PAGE_SIZE - 1), n = MIN(MIN(PAGE_SIZE - in_page, size - off), u->remaining);
        if (m->ops->read == NULL && !tree_peek(m, off >> PAGE_SHIFT)) { /* a hole needs no page */
            s64 zeroed = uio_zero(u, n);
            if (zeroed < 0)
                return done != 0 ? done : zeroed;
            done += zeroed;
            off += (u64)zeroed;
            if ((u64)zeroed < n || !cond_resched())
                break;
            continue;
        }
        int err = get(m, off >> PAGE_SHIFT, false, false, &p);
        if (err != 0) {
            if (done == 0 && err != -ENXIO) /* cut meanwhile: end of file */
                return err;
            break;
        }
        s64 got = uio_copy_out(u, (u8 *)page_virt(p) + in_page, n);
        page_put(p);
        if (got < 0)
            return done != 0 ? done : got;
        done += got;
        off += (u64)got;
        if ((u64)got < n || !cond_resched())
            break;
    }
    return done;
}

/* A page that has no former contents is filled before it is inserted, so that nobody
 * sees it half made and only what the program leaves out is cleared. */
static s64 write_new(struct mapping *m, u64 index, u64 in_page, u64 n, struct uio *u, struct page **ret_page)
{
    struct page *p = page_alloc(0, 0);
    if (p == NULL)
        return -ENOMEM;
    u8 *kva = page_virt(p);
    s64 got = uio_copy_in(u, kva + in_page, n);
    if (got <= 0) {
        page_put(p);
        return got;
    }
    memset(kva, 0, in_page);
    memset(kva + in_page + got, 0, PAGE_SIZE - in_page - (u64)got);
    page_get(p);
    p->flags = PG_UPTODATE;
    int err = cache_insert(m, index, p);
    if (err == 0) {
        if (m->ops->read != NULL)
            lru_add(&p, 1);
        *ret_page = p;
        return got;
    }
    struct page *other = NULL;
    if (err == -EEXIST && (err = mapping_get(m, index, true, &other)) == 0)
        memcpy((u8 *)page_virt(other) + in_page, kva + in_page, (u64)got);
    page_put(p);
    page_put(p);
    *ret_page = other;
    return err != 0 ? err : got;
}

s64 mapping_write(struct mapping *m, u64 off, struct uio *u)
{
    s64 done = 0;
    if (off > INT64_MAX || u->remaining > INT64_MAX - off)
        return -EFBIG;
    while (u->remaining > 0) {
        u64 index = off >> PAGE_SHIFT, in_page = off & (PAGE_SIZE - 1), n = MIN(PAGE_SIZE - in_page, u->remaining);
        struct page *p = mapping_peek(m, index);
        s64 got;
        if (p == NULL && (m->ops->read == NULL || index >= size_in_pages(m))) {
            got = write_new(m, index, in_page, n, u, &p);
        } else {
            int err = p != NULL ? 0 : mapping_get(m, index, true, &p);
            got = err != 0 ? err : uio_copy_in(u, (u8 *)page_virt(p) + in_page, n);
            if (got < 0 && p != NULL && err == 0)
                page_put(p);
        }
        if (got <= 0)
            return done != 0 ? done : got;
        mapping_mark_dirty(p);
        page_put(p);
        done += got;
        off += (u64)got;
        spin_lock(&m->lock);
        if (off > m->size_bytes)
            atomic_store(&m->size_bytes, off);
        spin_unlock(&m->lock);
        if ((u64)got < n || !cond_resched())
            break;
    }
    return done;
}

/* The page at index, once it is valid; NULL = there is none. */
static struct page *peek_waiting(struct mapping *m, u64 index)
{
    for (;;) {
        spin_lock(&m->lock);
        struct page *p = tree_lookup(m, index);
        if (p != NULL)
            page_get(p);
        spin_unlock(&m->lock);
        if (p == NULL || (atomic_load(&p->flags) & PG_UPTODATE))
            return p;
        page_wait_unlocked(p);
        page_put(p);
    }
}

void mapping_update(struct mapping *m, u64 off, const void *data, u64 len)
{
    u64 end = off + len;
    for (const u8 *from = data; off < end && atomic_load(&m->page_count) != 0;) {
        u64 in_page = off & (PAGE_SIZE - 1), n = MIN(PAGE_SIZE - in_page, end - off);
        struct page *p = peek_waiting(m, off >> PAGE_SHIFT);
        if (p != NULL) {
            memcpy((u8 *)page_virt(p) + in_page, from, n);
            page_put(p);
        }
        off += n;
        from += n;
    }
    spin_lock(&m->lock);
    if (end > m->size_bytes)
        atomic_store(&m->size_bytes, end);
    spin_unlock(&m->lock);
}

void pagecache_init(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(page_wq); i++)
        wq_init(&page_wq[i], "page");
    tree_init();
    lru_init();
}
