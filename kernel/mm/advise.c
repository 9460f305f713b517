/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls about memory that change no addresses: madvise(2), msync(2), mincore(2), mlock(2) and
 * populating. A hole in the range gives ENOMEM after the rest has been done.
 */
#include "as_impl.h"
#include "kern/pagecache.h"
#include "kern/thread.h"
#include "kern/trap.h"
#include "pagecache_impl.h"

#define MADV_NORMAL 0
#define MADV_RANDOM 1
#define MADV_SEQUENTIAL 2
#define MADV_WILLNEED 3
#define MADV_DONTNEED 4
#define MADV_FREE 8
#define MADV_REMOVE 9
#define MADV_DONTFORK 10
#define MADV_DOFORK 11
#define MADV_MERGEABLE 12
#define MADV_UNMERGEABLE 13
#define MADV_HUGEPAGE 14
#define MADV_NOHUGEPAGE 15
#define MADV_DONTDUMP 16
#define MADV_DODUMP 17
#define MADV_WIPEONFORK 18
#define MADV_KEEPONFORK 19
#define MADV_COLD 20
#define MADV_PAGEOUT 21
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#define MADV_DONTNEED_LOCKED 24
#define MADV_COLLAPSE 25

#define MS_ASYNC 1
#define MS_INVALIDATE 2
#define MS_SYNC 4

/* --- flags of areas ------------------------------------------------------------------------ */

/* Areas that are not memory of the program's own are never locked. */
static bool may_lock_area(const struct vma *v) { return !(v->flags & VMA_SPECIAL) && !callsite_is_thunks(v); }

/* Change flags in [start, end), splitting and merging; of locks, up to the first hole. -EINVAL at what cannot have them. Write lock held. */
static int change_flags(struct addrspace *as, uaddr_t start, uaddr_t end, u32 set, u32 clear, int *ret_hole)
{
    struct vma *v = as_find(as, start, true);
    uaddr_t at = start;
    int err;
    while (at < end) {
        if (v == NULL || v->start > at) {
            *ret_hole = -ENOMEM;
            if (v == NULL || v->start >= end || (clear & VMA_LOCKS))
                return 0;
            at = v->start;
        }
        uaddr_t to = MIN(v->end, end);
        u32 flags = (v->flags & ~clear) | set;
        if ((set & VMA_WIPEONFORK) && !vma_private_anon(v))
            return -EINVAL;
        if (flags != v->flags && (!(clear & VMA_LOCKS) || may_lock_area(v))) {
            if ((err = vma_isolate(&v, at, to)) != 0)
                return err;
            vma_set_flags(v, flags);
            v = vma_merge(v);
        }
        at = MAX(to, MIN(v->end, end));
        v = as_next(v);
    }
    return 0;
}

static int advise_flags(struct addrspace *as, uaddr_t start, uaddr_t end, int advice, int *ret_hole)
{
    switch (advice) {
    case MADV_DONTFORK:
        return change_flags(as, start, end, VMA_DONTFORK, 0, ret_hole);
    case MADV_DOFORK:
        return change_flags(as, start, end, 0, VMA_DONTFORK, ret_hole);
    case MADV_DONTDUMP:
        return change_flags(as, start, end, VMA_DONTDUMP, 0, ret_hole);
    case MADV_DODUMP:
        return change_flags(as, start, end, 0, VMA_DONTDUMP, ret_hole);
    case MADV_HUGEPAGE:
        return change_flags(as, start, end, VMA_HUGE, VMA_NOHUGE, ret_hole);
    case MADV_NOHUGEPAGE:
        return change_flags(as, start, end, VMA_NOHUGE, VMA_HUGE, ret_hole);
    case MADV_WIPEONFORK:
        return change_flags(as, start, end, VMA_WIPEONFORK, 0, ret_hole);
    default: /* MADV_KEEPONFORK */
        return change_flags(as, start, end, 0, VMA_WIPEONFORK, ret_hole);
    }
}

/* --- contents of areas: read lock held ---------------------------------------------------------- */

static int advise_area(struct vma *v, uaddr_t start, uaddr_t end, int advice)
{
    u64 first = vma_index(v, start), n = (end - start) >> PAGE_SHIFT;
    switch (advice) {
    case MADV_DONTNEED:
        if (v->flags & (VMA_LOCKED | VMA_SPECIAL))
            return -EINVAL;
        return as_zap(v->as, start, end);
    case MADV_DONTNEED_LOCKED:
        if (v->flags & VMA_SPECIAL)
            return -EINVAL;
        return as_zap(v->as, start, end);
    case MADV_FREE: /* giving the pages back at once is allowed: a later read may see zeros */
        if (!vma_private_anon(v) || (v->flags & VMA_LOCKED))
            return -EINVAL;
        return as_zap(v->as, start, end);
    case MADV_WILLNEED:
        if (v->mapping != NULL)
            mapping_prefetch(v->mapping, first, n);
        return 0;
    case MADV_REMOVE:
        if (v->flags & VMA_LOCKED)
            return -EINVAL;
        if (v->mapping == NULL || v->mapping->ops->read != NULL)
            return -EINVAL; /* no object that can have holes */
        if (!(v->flags & VMA_SHARED) || !(v->flags & VMA_MAYWRITE))
            return -EACCES;
        mapping_punch(v->mapping, first << PAGE_SHIFT, (first + n) << PAGE_SHIFT);
        return 0;
    case MADV_COLD:
    case MADV_PAGEOUT:
        return v->flags & VMA_LOCKED ? -EINVAL : 0;
    default: /* hints that change nothing here */
        return 0;
    }
}

static int for_each_area(struct addrspace *as, uaddr_t start, uaddr_t end, int arg,
                         int (*fn)(struct vma *v, uaddr_t start, uaddr_t end, int arg))
{
    int hole = 0;
    uaddr_t at = start;
    for (struct vma *v = as_find(as, start, true); at < end; v = as_next(v)) {
        if (v == NULL || v->start > at)
            hole = -ENOMEM;
        if (v == NULL || v->start >= end)
            break;
        int err = fn(v, MAX(v->start, at), MIN(v->end, end), arg);
        if (err != 0)
            return err;
        at = v->end;
    }
    return hole;
}

enum advice_class { ADVICE_BAD, ADVICE_FLAGS, ADVICE_CONTENTS, ADVICE_POPULATE };

static enum advice_class classify(int advice)
{
    switch (advice) {
    case MADV_DONTFORK: case MADV_DOFORK: case MADV_DONTDUMP: case MADV_DODUMP: case MADV_HUGEPAGE:
    case MADV_NOHUGEPAGE: case MADV_WIPEONFORK: case MADV_KEEPONFORK:
        return ADVICE_FLAGS;
    case MADV_NORMAL: case MADV_RANDOM: case MADV_SEQUENTIAL: case MADV_WILLNEED: case MADV_DONTNEED: case MADV_FREE:
    case MADV_REMOVE: case MADV_MERGEABLE: case MADV_UNMERGEABLE: case MADV_COLD: case MADV_PAGEOUT:
    case MADV_DONTNEED_LOCKED: case MADV_COLLAPSE:
        return ADVICE_CONTENTS;
    case MADV_POPULATE_READ: case MADV_POPULATE_WRITE:
        return ADVICE_POPULATE;
    default:
        return ADVICE_BAD;
    }
}

int as_advise(struct addrspace *as, uaddr_t addr, u64 len_bytes, int advice)
{
    uaddr_t end;
    enum advice_class class = classify(advice);
    int err, hole = 0;
    if (class == ADVICE_BAD || !IS_ALIGNED(addr, PAGE_SIZE))
        return -EINVAL;
    if (as_range(addr, len_bytes, &end) != 0)
        return -ENOMEM;
    if (addr == end)
        return 0;
    if (class == ADVICE_POPULATE) {
        err = as_populate(as, addr, end - addr, advice == MADV_POPULATE_READ ? MAP_READ : MAP_WRITE);
        return err == -EIO ? -EFAULT : err;
    }
    if (class == ADVICE_FLAGS) {
        rwmutex_write_lock(&as->lock);
        err = advise_flags(as, addr, end, advice, &hole);
        as_write_unlock(as);
        return err != 0 ? err : hole;
    }
    rwmutex_read_lock(&as->lock);
    err = for_each_area(as, addr, end, advice, advise_area);
    rwmutex_read_unlock(&as->lock);
    return err;
}

/* --- msync ------------------------------------------------------------------------------------------ */

static int sync_area(struct vma *v, uaddr_t start, uaddr_t end, int flags)
{
    if ((flags & MS_INVALIDATE) && (v->flags & VMA_LOCKED))
        return -EBUSY;
    if ((flags & MS_SYNC) && (v->flags & VMA_SHARED) && v->mapping != NULL)
        return mapping_sync(v->mapping);
    return 0;
}

int as_sync(struct addrspace *as, uaddr_t addr, u64 len_bytes, int flags)
{
    uaddr_t end;
    if ((flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) || (flags & (MS_ASYNC | MS_SYNC)) == (MS_ASYNC | MS_SYNC))
        return -EINVAL;
    if (!IS_ALIGNED(addr, PAGE_SIZE))
        return -EINVAL;
    if (as_range(addr, len_bytes, &end) != 0)
        return -ENOMEM;
    rwmutex_read_lock(&as->lock);
    int err = for_each_area(as, addr, end, flags, sync_area);
    rwmutex_read_unlock(&as->lock);
    return err;
}

/* --- mincore ------------------------------------------------------------------------------------------ */

int as_mincore(struct addrspace *as, uaddr_t addr, u64 len_bytes, u8 *ret_vec)
{
    uaddr_t end;
    int err = 0;
    if (!IS_ALIGNED(addr, PAGE_SIZE))
        return -EINVAL;
    if (as_range(addr, len_bytes, &end) != 0)
        return -ENOMEM;
    rwmutex_read_lock(&as->lock);
    struct vma *v = as_find(as, addr, false);
    for (uaddr_t va = addr; va < end; va += PAGE_SIZE) {
        if (v != NULL && va >= v->end)
            v = as_next(v);
        if (v == NULL || va < v->start) {
            err = -ENOMEM;
            break;
        }
        spin_lock_bh(&as->pt_lock);
        bool in = plat_lookup(&as->plat, va, NULL, NULL);
        spin_unlock_bh(&as->pt_lock);
        if (!in && v->mapping != NULL) {
            struct page *p = mapping_peek(v->mapping, vma_index(v, va));
            in = p != NULL;
            if (p != NULL)
                page_put(p);
        }
        *ret_vec++ = in;
    }
    rwmutex_read_unlock(&as->lock);
    return err;
}

/* pt_lock held: it cannot go meanwhile. */
static void add_page(const struct vma *v, const struct page *p, struct vma_usage *u)
{
    bool anonymous = p->kind == PAGE_ANON, file = v->mapping != NULL && v->mapping->ops->read != NULL;
    u32 places = MAX(anonymous ? ref_count(&p->refs) : p->kind == PAGE_CACHE ? atomic_load_relaxed(&p->map_count) : 1u, 1u);
    u->anonymous += anonymous;
    u->pages[places > 1][anonymous || !file || (atomic_load_relaxed(&p->flags) & PG_DIRTY)]++;
    u->pss_bytes += PAGE_SIZE / places;
}

void vma_add_usage(struct vma *v, struct vma_usage *u)
{
    struct addrspace *as = v->as;
    for (uaddr_t va = v->start; va < v->end; va += PAGE_SIZE) {
        paddr_t pa;
        spin_lock_bh(&as->pt_lock);
        va = plat_next_mapped(&as->plat, va, v->end);
        const struct page *p = va < v->end && plat_lookup(&as->plat, va, &pa, NULL) ? counted_page(pa) : NULL;
        if (p != NULL)
            add_page(v, p, u);
        spin_unlock_bh(&as->pt_lock);
        if (!cond_resched())
            return;
    }
}

bool vma_has_private_pages(struct vma *v)
{
    struct addrspace *as = v->as;
    bool found = false;
    for (uaddr_t va = v->start; va < v->end && !found; va += PAGE_SIZE) {
        paddr_t pa;
        spin_lock_bh(&as->pt_lock);
        const struct page *p = plat_lookup(&as->plat, va, &pa, NULL) ? counted_page(pa) : NULL;
        found = p != NULL && p->kind == PAGE_ANON && !(p->flags & PG_PATCHED);
        spin_unlock_bh(&as->pt_lock);
    }
    return found;
}

/* --- mlock and populate ---------------------------------------------------------------------------------- */

/* Pages of [start, end) that are locked already. */
static u64 count_locked(struct addrspace *as, uaddr_t start, uaddr_t end)
{
    u64 n = 0;
    for (struct vma *v = as_find(as, start, true); v != NULL && v->start < end; v = as_next(v))
        if (v->flags & VMA_LOCKED)
            n += (MIN(v->end, end) - MAX(v->start, start)) >> PAGE_SHIFT;
    return n;
}

/* As as_populate(). `locked`: only in areas that are. */
static int bring_in(struct addrspace *as, uaddr_t addr, u64 len_bytes, unsigned access, bool locked)
{
    uaddr_t end, va = ALIGN_DOWN(addr, PAGE_SIZE);
    int err = as_range(va, len_bytes + (addr - va), &end);
    while (va < end && err == 0) {
        rwmutex_read_lock(&as->lock);
        struct vma *v = as_find(as, va, false);
        err = v == NULL ? -ENOMEM : 0;
        if (err == 0 && access == 0 && ((v->flags & VMA_ONFAULT) || (locked && !(v->flags & VMA_LOCKED))))
            va = v->end;
        for (unsigned n = 0; n < 64 && err == 0 && va < end && va < v->end; n++, va += PAGE_SIZE) {
            unsigned hw = 0;
            bool own = (v->prot & MAP_WRITE) && (access == 0 ? !(v->flags & VMA_SHARED) : vma_private_anon(v)); /* a later write shall not fault */
            unsigned want = own ? MAP_WRITE : access != 0 ? access : MAP_READ;
            spin_lock_bh(&as->pt_lock);
            bool in = plat_lookup(&as->plat, va, NULL, &hw) && (hw & want) == want;
            spin_unlock_bh(&as->pt_lock);
            if (access != 0 && !(v->prot & access))
                err = -EINVAL;
            else if (!in)
                err = fault_in(v, va, want, access == 0 && v->prot != 0);
        }
        rwmutex_read_unlock(&as->lock);
        if (!cond_resched() && err == 0)
            err = -EINTR;
    }
    return err;
}

int as_populate_locked(struct addrspace *as, uaddr_t addr, u64 len_bytes) { return bring_in(as, addr, len_bytes, 0, true); }

/* What is locked anywhere comes in, as far as it can be had. */
static void populate_all_locked(struct addrspace *as)
{
    uaddr_t start = 0;
    for (int err = 0; start < PLAT_USER_MAX && err != -EINTR;) {
        rwmutex_read_lock(&as->lock);
        const struct vma *v = as_find(as, start, true);
        uaddr_t from = v != NULL ? MAX(v->start, start) : PLAT_USER_MAX, to = v != NULL ? v->end : PLAT_USER_MAX;
        rwmutex_read_unlock(&as->lock);
        err = as_populate_locked(as, from, to - from);
        start = to;
    }
}

int as_lock_range(struct addrspace *as, uaddr_t addr, u64 len_bytes, u32 locks)
{
    uaddr_t start = ALIGN_DOWN(addr, PAGE_SIZE), end;
    int hole = 0, err = 0;
    if (locks != 0 && !as_may_lock_any(as))
        return -EPERM;
    if (len_bytes == 0)
        return 0;
    if (len_bytes > PLAT_USER_MAX || as_range(start, len_bytes + (addr - start), &end) != 0)
        return -EINVAL;
    rwmutex_write_lock(&as->lock);
    if (locks != 0 && !as_may_lock(as, ((end - start) >> PAGE_SHIFT) - count_locked(as, start, end)))
        err = -ENOMEM;
    else
        err = change_flags(as, start, end, locks, VMA_LOCKS, &hole);
    as_write_unlock(as);
    if (err == 0)
        err = hole;
    if (locks != VMA_LOCKED || err != 0)
        return err;
    err = as_populate_locked(as, start, end - start);
    return err == -EFAULT || err == -EIO ? -ENOMEM : err; /* locked, but not all of it is there */
}

int as_lock_all(struct addrspace *as, const u32 *now, u32 next)
{
    bool locks = now != NULL && *now != 0;
    int err = 0;
    if ((locks || next != 0) && !as_may_lock_any(as))
        return -EPERM;
    rwmutex_write_lock(&as->lock);
    if (locks && !as_may_lock(as, as->total_pages - as->locked_pages)) {
        err = -ENOMEM;
    } else {
        as->lock_next = next;
        for (struct vma *v = as_first(as); now != NULL && v != NULL; v = as_next(v))
            if (may_lock_area(v)) {
                vma_set_flags(v, (v->flags & ~VMA_LOCKS) | *now);
                v = vma_merge(v);
            }
    }
    as_write_unlock(as);
    if (err == 0 && locks)
        populate_all_locked(as);
    return err;
}

int as_populate(struct addrspace *as, uaddr_t addr, u64 len_bytes, unsigned access) { return bring_in(as, addr, len_bytes, access, false); }
