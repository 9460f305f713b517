/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking pages out of address spaces: a range of one of them (munmap, exit), or some
 * pages of a mapping out of all that map them (truncation, reclaim). Pages
 * are freed only after plat_flush(): until then another CPU may still use them.
 */
#include "as_impl.h"
#include "kern/log.h"
#include "kern/pagecache.h"
#include "kern/thread.h"
#include "pagecache_impl.h"

#define ZAP_SLICE (64UL << 20) /* bottom halves are off for one slice */
#define HUGE_PAGES (HUGE_SIZE / PAGE_SIZE)

#define SHARED_MAX 64u /* bits of zap.large */

/* Pages that leave an address space. Whatever somebody else has a reference to keeps ours until the flush: else it might be freed meanwhile by him
 * (or written back, and taken for clean), or become his alone to write to, while another CPU still uses it here. */
struct zap {
    struct addrspace *as;
    struct list *free;
    bool alone; /* no other CPU's programs can use it */
    bool any;   /* is something to be flushed, in [start, end)? */
    unsigned n;
    uaddr_t start, end;
    u64 large; /* bit n: shared[n] is the first page of a large one */
    struct page *shared[SHARED_MAX];
};

static void zap_begin(struct zap *z, struct addrspace *as, bool alone, struct list *free)
{
    z->as = as;
    z->free = free;
    z->alone = alone;
    z->any = false;
    z->n = 0;
    z->large = 0;
}

void page_add_mappings(struct addrspace *as, struct page *p, u64 n)
{
    if (p->kind == PAGE_ANON)
        as->rss_anon += n;
    else
        as->rss_file += n;
    for (u64 i = 0; p->kind == PAGE_CACHE && i < n; i++)
        atomic_add(&p[i].map_count, 1u);
    for (u64 i = 0; i < n; i++)
        page_get(p + i);
}

void page_drop_mappings(struct addrspace *as, struct page *p, u64 n, struct list *ret_free)
{
    if (p->kind == PAGE_ANON)
        as->rss_anon -= n;
    else
        as->rss_file -= n;
    for (u64 i = 0; p->kind == PAGE_CACHE && i < n; i++)
        atomic_sub(&p[i].map_count, 1u);
    for (u64 i = 0; i < n; i++)
        if (ref_put(&p[i].refs))
            list_push_back(ret_free, &p[i].node);
}

/* pt_lock held. */
static void zap_flush(struct zap *z)
{
    if (z->any)
        plat_flush(&z->as->plat, z->start, z->end - z->start);
    for (unsigned i = 0; i < z->n; i++)
        page_drop_mappings(z->as, z->shared[i], z->large >> i & 1 ? HUGE_PAGES : 1, z->free);
    z->any = false;
    z->n = 0;
    z->large = 0;
}

/* A page, or all of a large one. */
static void zap_pages(struct zap *z, struct page *p, u64 n)
{
    if (z->alone || (n == 1 && p->kind == PAGE_ANON && ref_count(&p->refs) == 1)) {
        page_drop_mappings(z->as, p, n, z->free);
        return;
    }
    if (z->n == SHARED_MAX)
        zap_flush(z);
    z->large |= (u64)(n != 1) << z->n;
    z->shared[z->n++] = p;
}

/* A large page that nobody shares goes back as the block it was. */
static bool zap_whole_block(struct zap *z, struct page *head)
{
    for (unsigned i = 0; i < HUGE_PAGES; i++)
        if (head[i].kind != PAGE_ANON || ref_count(&head[i].refs) != 1)
            return false;
    head->order = HUGE_SHIFT - PAGE_SHIFT;
    z->as->rss_anon -= HUGE_PAGES;
    list_push_back(z->free, &head->node);
    return true;
}

static void zap_found(void *ctx, uaddr_t va, paddr_t pa, size_t len_bytes)
{
    struct zap *z = ctx;
    struct page *p = counted_page(pa);
    if (!z->any)
        z->start = va;
    z->any = true;
    z->end = va + len_bytes;
    if (p == NULL)
        return;
    if (len_bytes != HUGE_SIZE || !zap_whole_block(z, p))
        zap_pages(z, p, len_bytes >> PAGE_SHIFT);
}

int as_zap(struct addrspace *as, uaddr_t start, uaddr_t end)
{
    u64 rss = as->rss_anon + as->rss_file;
    struct zap z;
    as->hiwater_rss = MAX(as->hiwater_rss, rss);
    for (unsigned tries = 0; start < end;) {
        struct list freed;
        list_init(&freed);
        zap_begin(&z, as, ref_count(&as->refs) <= 1, &freed);
        u64 n = MIN(end - start, ZAP_SLICE - (start & (ZAP_SLICE - 1)));
        spin_lock_bh(&as->pt_lock);
        int err = plat_unmap(&as->plat, start, n, zap_found, &z);
        zap_flush(&z);
        spin_unlock_bh(&as->pt_lock);
        page_free_list(&freed);
        if (err == 0)
            start += n;
        else if (++tries > 3 || page_reclaim(8) == 0)
            return err;
        cond_resched();
    }
    return 0;
}

/* The part of area v that shows pages [first, last] of its mapping. mapping->lock held. */
static bool overlap(const struct vma *v, u64 first, u64 last, uaddr_t *ret_start, uaddr_t *ret_end)
{
    u64 n = vma_pages(v);
    if (last < v->pgoff || first >= v->pgoff + n)
        return false;
    *ret_start = v->start + (first > v->pgoff ? (first - v->pgoff) << PAGE_SHIFT : 0);
    *ret_end = last - v->pgoff >= n - 1 ? v->end : v->start + ((last - v->pgoff + 1) << PAGE_SHIFT);
    return true;
}

/* Private copies stay: only pages that are the cache's. */
static void unmap_cache_pages(struct zap *z, uaddr_t start, uaddr_t end)
{
    for (uaddr_t va = start; (va = plat_next_mapped(&z->as->plat, va, end)) < end; va += PAGE_SIZE) {
        paddr_t pa;
        struct page *p;
        if (plat_lookup(&z->as->plat, va, &pa, NULL) && (p = counted_page(pa)) != NULL && p->kind == PAGE_CACHE)
            plat_unmap(&z->as->plat, va, PAGE_SIZE, zap_found, z); /* never part of a large page: cannot fail */
    }
}

void rmap_unmap(struct mapping *m, u64 first, u64 last, bool even_copies, struct list *ret_free)
{
    struct zap z;
    list_for_each(v, &m->vmas, struct vma, mapping_node) {
        struct addrspace *as = v->as;
        uaddr_t start, end;
        if (!overlap(v, first, last, &start, &end))
            continue;
        zap_begin(&z, as, false, ret_free);
        spin_lock_bh(&as->pt_lock);
        if (even_copies)
            plat_unmap(&as->plat, start, end - start, zap_found, &z);
        else
            unmap_cache_pages(&z, start, end);
        zap_flush(&z);
        spin_unlock_bh(&as->pt_lock);
    }
}

bool rmap_locked(struct mapping *m, u64 index)
{
    list_for_each(v, &m->vmas, struct vma, mapping_node) {
        uaddr_t start, end;
        if ((v->flags & VMA_LOCKED) && overlap(v, index, index, &start, &end)) /* one that is just being locked fills in later */
            return true;
    }
    return false;
}

void rmap_protect(struct mapping *m, u64 index)
{
    list_for_each(v, &m->vmas, struct vma, mapping_node) {
        struct addrspace *as = v->as;
        uaddr_t start, end;
        unsigned hw;
        if (!(v->flags & VMA_SHARED) || !overlap(v, index, index, &start, &end))
            continue;
        spin_lock_bh(&as->pt_lock);
        if (plat_lookup(&as->plat, start, NULL, &hw) && (hw & MAP_WRITE)) {
            plat_protect(&as->plat, start, PAGE_SIZE, hw & (MAP_READ | MAP_EXEC));
            plat_flush(&as->plat, start, PAGE_SIZE);
        }
        spin_unlock_bh(&as->pt_lock);
    }
}
