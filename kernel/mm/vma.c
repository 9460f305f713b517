/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ordered set of areas. Invariants:
 *   V1  areas are page aligned, not empty, inside [PLAT_USER_MIN, PLAT_USER_MAX) and do not overlap;
 *   V2  two neighbours that could be one mostly are (not after a failed split, nor where a hole was filled);
 *   V3  a file area is on its mapping's list exactly while it is in the tree;
 *   V4  total_pages, data_pages, stack_pages and locked_pages are sums over the areas;
 *   V5  no hole between as->free_top (unless 0) and mmap_base is larger than as->hole_max.
 */
#include "base/str.h"
#include "as_impl.h"
#include "kern/log.h"
#include "kern/pagecache.h"
#include "kern/slab.h"

static struct kmem_cache *vma_cache;

void vma_init(void) { vma_cache = kmem_cache_create("vma", sizeof(struct vma), 0); }

struct vma *vma_create(const struct vma *like)
{
    struct vma *v = kmem_alloc(vma_cache, 0);
    if (v != NULL) {
        *v = *like;
        list_init(&v->mapping_node);
        v->fault_next = 0;
        v->fault_run = 0;
    }
    return v;
}

void vma_free(struct vma *v) { kmem_free(vma_cache, v); }

/* --- bookkeeping ------------------------------------------------------------------- */

static void account(struct addrspace *as, u32 prot, u32 flags, s64 pages)
{
    as->total_pages += (u64)pages;
    if (flags & (VMA_STACK | VMA_GROWSDOWN))
        as->stack_pages += (u64)pages;
    else if ((prot & MAP_WRITE) && !(flags & VMA_SHARED))
        as->data_pages += (u64)pages;
    if (flags & VMA_LOCKED)
        as->locked_pages += (u64)pages;
    if (commit_counts(prot, flags))
        commit_add(pages);
}

static bool over(u64 pages, u64 more, u64 limit_bytes) { return more > (limit_bytes >> PAGE_SHIFT) || pages > (limit_bytes >> PAGE_SHIFT) - more; }

/* `promised` of the pages are not so yet. */
static int check_limits(const struct addrspace *as, u64 pages, u64 promised, u32 prot, u32 flags)
{
    if (over(as->total_pages, pages, as->limit_as_bytes))
        return -ENOMEM;
    if ((prot & MAP_WRITE) && !(flags & (VMA_SHARED | VMA_STACK | VMA_GROWSDOWN)) &&
        over(as->data_pages, pages, as->limit_data_bytes))
        return -ENOMEM;
    return commit_counts(prot, flags) && !commit_allows(promised) ? -ENOMEM : 0;
}

int as_check_limits(const struct addrspace *as, u64 pages, u32 prot, u32 flags) { return check_limits(as, pages, pages, prot, flags); }

int as_check_limits_over(struct addrspace *as, uaddr_t start, uaddr_t end, u32 prot, u32 flags)
{
    u64 pages = (end - start) >> PAGE_SHIFT, promised = pages;
    for (struct vma *v = as_find(as, start, true); v != NULL && v->start < end; v = as_next(v)) {
        u64 old = (MIN(v->end, end) - MAX(v->start, start)) >> PAGE_SHIFT;
        pages -= old;
        promised -= commit_counts(v->prot, v->flags) ? old : 0;
    }
    return check_limits(as, pages, promised, prot, flags);
}

bool (*as_lock_unlimited)(void);

static bool lock_unlimited(void) { return as_lock_unlimited != NULL && as_lock_unlimited(); }

bool as_may_lock(const struct addrspace *as, u64 more_pages)
{
    return !over(as->locked_pages, more_pages, as->limit_locked_bytes) || lock_unlimited();
}

bool as_may_lock_any(const struct addrspace *as) { return as->limit_locked_bytes != 0 || lock_unlimited(); }

static bool writes_shared(u32 prot, u32 flags) { return (flags & VMA_SHARED) && (prot & MAP_WRITE); }

static void attach(struct vma *v)
{
    struct mapping *m = v->mapping;
    if (m == NULL)
        return;
    spin_lock(&m->lock);
    list_push_back(&m->vmas, &v->mapping_node);
    m->writable_maps += writes_shared(v->prot, v->flags);
    spin_unlock(&m->lock);
}

static void detach(struct vma *v)
{
    struct mapping *m = v->mapping;
    if (m == NULL)
        return;
    spin_lock(&m->lock);
    list_remove_init(&v->mapping_node);
    m->writable_maps -= writes_shared(v->prot, v->flags);
    spin_unlock(&m->lock);
}

void vma_link(struct addrspace *as, struct vma *v)
{
    struct rb_node **link = &as->vmas.node, *parent = NULL;
    while (*link != NULL) {
        parent = *link;
        link = v->start < rb_entry(parent, struct vma, node)->start ? &parent->left : &parent->right;
    }
    rb_link(&v->node, parent, link);
    rb_insert_fixup(&as->vmas, &v->node);
    v->as = as;
    as->vma_count++;
    account(as, v->prot, v->flags, (s64)vma_pages(v));
    attach(v);
}

static void room_made(struct addrspace *as, uaddr_t end)
{
    if (as->free_top != 0 && end > as->free_top) /* 0: nothing was searched yet */
        as->free_top = MIN(end, as->mmap_base);
}

void vma_unlink(struct vma *v)
{
    struct addrspace *as = v->as;
    detach(v);
    rb_remove(&as->vmas, &v->node);
    if (as->cached == v)
        atomic_store_relaxed(&as->cached, NULL);
    as->vma_count--;
    account(as, v->prot, v->flags, -(s64)vma_pages(v));
    room_made(as, v->end);
    list_push_back(&as->dead, &v->mapping_node);
}

void as_write_unlock(struct addrspace *as)
{
    if (likely(list_empty(&as->dead))) {
        rwmutex_write_unlock(&as->lock);
        return;
    }
    struct list dead, *l;
    list_init(&dead);
    list_splice_back(&dead, &as->dead);
    rwmutex_write_unlock(&as->lock);
    while ((l = list_pop_front(&dead)) != NULL) {
        struct vma *v = list_entry(l, struct vma, mapping_node);
        if (v->ops != NULL && v->ops->close != NULL)
            v->ops->close(v);
        vma_free(v);
    }
}

void vma_resize(struct vma *v, uaddr_t start, uaddr_t end)
{
    struct mapping *m = v->mapping;
    account(v->as, v->prot, v->flags, (s64)((end - start) >> PAGE_SHIFT) - (s64)vma_pages(v));
    room_made(v->as, MAX(v->end, end));
    if (m != NULL)
        spin_lock(&m->lock);
    v->pgoff += (u64)((s64)(start - v->start) >> PAGE_SHIFT);
    v->start = start;
    v->end = end;
    if (m != NULL)
        spin_unlock(&m->lock);
}

void vma_set_prot(struct vma *v, u32 prot)
{
    struct mapping *m = v->mapping;
    account(v->as, v->prot, v->flags, -(s64)vma_pages(v));
    if (m != NULL) {
        spin_lock(&m->lock);
        m->writable_maps += writes_shared(prot, v->flags) - writes_shared(v->prot, v->flags);
        spin_unlock(&m->lock);
    }
    v->prot = prot;
    account(v->as, v->prot, v->flags, (s64)vma_pages(v));
}

void vma_set_flags(struct vma *v, u32 flags)
{
    account(v->as, v->prot, v->flags, -(s64)vma_pages(v));
    v->flags = flags;
    account(v->as, v->prot, v->flags, (s64)vma_pages(v));
}

/* --- lookup ----------------------------------------------------------------------------- */

struct vma *as_find(struct addrspace *as, uaddr_t addr, bool or_next)
{
    struct vma *v = atomic_load_relaxed(&as->cached), *best = NULL;
    if (v != NULL && addr >= v->start && addr < v->end)
        return v;
    for (struct rb_node *n = as->vmas.node; n != NULL;) {
        v = rb_entry(n, struct vma, node);
        if (addr < v->end) {
            best = v;
            if (addr >= v->start)
                break;
            n = n->left;
        } else {
            n = n->right;
        }
    }
    if (best == NULL || (addr < best->start && !or_next))
        return NULL;
    if (addr >= best->start)
        atomic_store_relaxed(&as->cached, best);
    return best;
}

struct vma *as_next(struct vma *v)
{
    struct rb_node *n = rb_next(&v->node);
    return n != NULL ? rb_entry(n, struct vma, node) : NULL;
}

bool as_range_free(struct addrspace *as, uaddr_t addr, u64 len)
{
    if (addr < PLAT_USER_MIN || addr >= PLAT_USER_MAX || len > PLAT_USER_MAX - addr)
        return false;
    struct vma *v = as_find(as, addr, true);
    return v == NULL || v->start >= addr + len;
}

/* The last area that starts below addr. */
static struct vma *area_below(struct addrspace *as, uaddr_t addr)
{
    struct vma *best = NULL;
    for (struct rb_node *n = as->vmas.node; n != NULL;) {
        struct vma *v = rb_entry(n, struct vma, node);
        if (v->start < addr) {
            best = v;
            n = n->right;
        } else {
            n = n->left;
        }
    }
    return best;
}

static bool fits_below(u64 low, u64 high, u64 len, u64 align, uaddr_t *ret_addr)
{
    if (high <= low || high - low < len)
        return false;
    *ret_addr = ALIGN_DOWN(high - len, align);
    return *ret_addr >= low;
}

/* Upwards from mmap_base, when everything below is full. */
static int room_above(struct addrspace *as, u64 len, u64 align, uaddr_t *ret_addr)
{
    u64 at = MAX(as->mmap_base, PLAT_USER_MIN);
    struct vma *v = as_find(as, at, true);
    for (;; v = as_next(v)) {
        u64 high = v != NULL ? v->start : PLAT_USER_MAX;
        if (v != NULL && (v->flags & VMA_GROWSDOWN))
            high -= MIN(high, STACK_GUARD);
        u64 addr = ALIGN_UP(at, align);
        if (addr >= at && addr < high && high - addr >= len) {
            *ret_addr = addr;
            return 0;
        }
        if (v == NULL)
            return -ENOMEM;
        at = v->end;
    }
}

/*
 * Highest room below mmap_base. The search goes on where the last one ended (V5)
 * unless a hole that was passed over is large enough: so a program that maps and unmaps has its answer in one step.
 */
int as_find_room(struct addrspace *as, u64 len, u64 align, uaddr_t *ret_addr)
{
    if (len > PLAT_USER_MAX - PLAT_USER_MIN)
        return -ENOMEM;
    if (as->free_top > as->mmap_base || as->free_top == 0 || len <= as->hole_max || align > PAGE_SIZE) {
        as->free_top = as->mmap_base;
        as->hole_max = 0;
    }
    u64 high = as->free_top;
    struct vma *v = area_below(as, high), *above = v != NULL ? as_next(v) : as_first(as);
    for (;;) {
        if (v != NULL && v->end >= high) { /* no room between */
            high = v->start;
            above = v;
            v = vma_prev(v);
            continue;
        }
        u64 low = v != NULL ? v->end : PLAT_USER_MIN, top = high;
        if (above != NULL && (above->flags & VMA_GROWSDOWN) && above->start - high < STACK_GUARD)
            top = above->start - MIN(above->start, STACK_GUARD);
        if (fits_below(low, top, len, align, ret_addr)) {
            if (align == PAGE_SIZE)
                as->free_top = *ret_addr + len;
            else
                as->hole_max = MAX(as->hole_max, high - low);
            return 0;
        }
        if (high > low)
            as->hole_max = MAX(as->hole_max, high - low);
        if (v == NULL)
            break;
        high = v->start;
        above = v;
        v = vma_prev(v);
    }
    as->free_top = PLAT_USER_MIN;
    return room_above(as, len, align, ret_addr);
}

/* --- splitting and merging --------------------------------------------------------------- */

int vma_split(struct vma *v, uaddr_t at)
{
    struct addrspace *as = v->as;
    ASSERT(at > v->start && at < v->end && IS_ALIGNED(at, PAGE_SIZE));
    if (as->vma_count >= AS_MAX_VMAS)
        return -ENOMEM;
    struct vma *high = vma_create(v);
    if (high == NULL)
        return -ENOMEM;
    high->start = at;
    high->pgoff = vma_index(v, at);
    if (v->ops != NULL && v->ops->open != NULL)
        v->ops->open(high);
    u64 top = as->free_top;
    /* Both list the middle for a moment, so a page there is found in one of them at any time. */
    vma_link(as, high);
    vma_resize(v, v->start, at);
    as->free_top = top;
    return 0;
}

int vma_isolate(struct vma **v, uaddr_t start, uaddr_t end)
{
    if ((*v)->start < start) {
        int err = vma_split(*v, start);
        if (err != 0)
            return err;
        *v = as_next(*v);
    }
    return (*v)->end > end ? vma_split(*v, end) : 0;
}

bool vma_can_merge(const struct vma *low, const struct vma *high)
{
    if (low->end != high->start || low->prot != high->prot || low->flags != high->flags || low->ops != high->ops ||
        low->mapping != high->mapping || low->object != high->object)
        return false;
    if (low->flags & (VMA_SPECIAL | VMA_GROWSDOWN))
        return false;
    return (low->mapping == NULL && low->ops == NULL) || vma_index(low, low->end) == high->pgoff;
}

static struct vma *absorb(struct vma *low, struct vma *high)
{
    uaddr_t end = high->end;
    u64 top = low->as->free_top;
    /* As in vma_split(), first both, then one: here the order of extension and removal gives it. */
    vma_resize(low, low->start, end);
    vma_unlink(high);
    low->as->free_top = top;
    return low;
}

struct vma *vma_merge(struct vma *v)
{
    struct vma *p = vma_prev(v), *n;
    if (p != NULL && vma_can_merge(p, v))
        v = absorb(p, v);
    n = as_next(v);
    if (n != NULL && vma_can_merge(v, n))
        v = absorb(v, n);
    return v;
}
