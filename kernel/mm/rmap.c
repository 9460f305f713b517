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

struct zap {
    struct addrspace *as;
    struct list *free;
    bool any;
};

void page_unmapped(struct addrspace *as, struct page *p, struct list *ret_free)
{
    if (p->kind == PAGE_ANON) {
        as->rss_anon--;
    } else {
        as->rss_file--;
        if (p->kind == PAGE_CACHE)
            atomic_sub(&p->map_count, 1u);
    }
    if (ref_put(&p->refs))
        list_push_back(ret_free, &p->node);
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
    z->any = true;
    if (p == NULL)
        return;
    if (len_bytes == HUGE_SIZE && zap_whole_block(z, p))
        return;
    for (size_t i = 0; i < len_bytes >> PAGE_SHIFT; i++)
        page_unmapped(z->as, p + i, z->free);
}

int as_zap(struct addrspace *as, uaddr_t start, uaddr_t end)
{
    u64 rss = as->rss_anon + as->rss_file;
    as->hiwater_rss = MAX(as->hiwater_rss, rss);
    for (unsigned tries = 0; start < end;) {
        struct list freed;
        list_init(&freed);
        struct zap z = { as, &freed, false };
        u64 n = MIN(end - start, ZAP_SLICE - (start & (ZAP_SLICE - 1)));
        spin_lock_bh(&as->pt_lock);
        int err = plat_unmap(&as->plat, start, n, zap_found, &z);
        if (z.any)
            plat_flush(&as->plat, start, n);
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
    list_for_each(v, &m->vmas, struct vma, mapping_node) {
        struct addrspace *as = v->as;
        struct zap z = { as, ret_free, false };
        uaddr_t start, end;
        if (!overlap(v, first, last, &start, &end))
            continue;
        spin_lock_bh(&as->pt_lock);
        if (even_copies)
            plat_unmap(&as->plat, start, end - start, zap_found, &z);
        else
            unmap_cache_pages(&z, start, end);
        if (z.any)
            plat_flush(&as->plat, start, end - start);
        spin_unlock_bh(&as->pt_lock);
    }
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
