/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mremap(2): shrink, grow in place, or move. A move maps the pages at the new place first and removes
 * the old mappings last, so that it can be undone. Others come in between slices: nobody of them looks for private memory; of other
 * pages both mappings are counted, and truncation and reclaim come to the old area first (it is before the new one on its mapping's list), so that
 * they find in the new one what was copied before.
 */
#include "as_impl.h"
#include "kern/log.h"
#include "kern/page.h"
#include "kern/thread.h"

#define MREMAP_MAYMOVE 1u
#define MREMAP_FIXED 2u
#define MREMAP_DONTUNMAP 4u

#define MOVE_SLICE (16UL << 20) /* bottom halves are off for one slice */

/* Map what is mapped in [from, from + len) at `to` as well. pt_lock held, but between slices. */
static int copy_mappings(struct addrspace *as, uaddr_t from, uaddr_t to, u64 len, bool counted)
{
    u64 slice_end = MOVE_SLICE;
    for (u64 off = 0; (off = plat_next_mapped(&as->plat, from + off, from + len) - from) < len;) {
        paddr_t pa;
        unsigned hw;
        u64 n = PAGE_SIZE;
        if (off >= slice_end) {
            spin_unlock_bh(&as->pt_lock);
            cond_resched();
            spin_lock_bh(&as->pt_lock);
            slice_end = off + MOVE_SLICE;
        }
        if (plat_lookup(&as->plat, from + off, &pa, &hw)) {
            unsigned prot = hw & (MAP_READ | MAP_WRITE | MAP_EXEC);
            struct page *p = counted ? counted_page(pa) : NULL;
            if ((hw & MAP_HUGE) && IS_ALIGNED((from + off) | (to + off), HUGE_SIZE) && len - off >= HUGE_SIZE && prot != 0) {
                n = HUGE_SIZE;
                prot |= MAP_HUGE;
            }
            int err = plat_map(&as->plat, to + off, pa, n, prot != 0 ? prot : MAP_READ);
            if (err == 0 && p != NULL)
                page_add_mappings(as, p, 1);
            if (err == 0 && prot == 0)
                err = plat_protect(&as->plat, to + off, n, 0);
            if (err != 0)
                return err;
        }
        off += n;
    }
    return 0;
}

static int move_counted(struct addrspace *as, uaddr_t from, uaddr_t to, u64 len)
{
    u64 high = MAX(as->hiwater_rss, as->rss_anon + as->rss_file);
    spin_lock_bh(&as->pt_lock);
    int err = copy_mappings(as, from, to, len, true);
    spin_unlock_bh(&as->pt_lock);
    uaddr_t gone = err == 0 ? from : to;
    as_zap(as, gone, gone + len); /* there are no large pages, so this cannot fail */
    as->hiwater_rss = high; /* no page was in memory twice */
    return err;
}

static int move_private(struct addrspace *as, uaddr_t from, uaddr_t to, u64 len)
{
    spin_lock_bh(&as->pt_lock);
    int err = copy_mappings(as, from, to, len, false);
    if (err == 0)
        err = plat_unmap(&as->plat, from, len, NULL, NULL);
    if (err != 0) {
        /* An interrupted plat_unmap() of the old place left part of it: put that back from the new one. */
        for (u64 off = 0; (off = plat_next_mapped(&as->plat, to + off, to + len) - to) < len; off += PAGE_SIZE) {
            paddr_t pa;
            unsigned hw;
            if (plat_lookup(&as->plat, to + off, &pa, &hw) && !plat_lookup(&as->plat, from + off, NULL, NULL))
                plat_map(&as->plat, from + off, pa, PAGE_SIZE, MAP_READ); /* its table is still there */
        }
        plat_unmap(&as->plat, to, len, NULL, NULL);
        plat_flush(&as->plat, to, len);
    }
    plat_flush(&as->plat, from, len);
    spin_unlock_bh(&as->pt_lock);
    return err;
}

static int move_pages(struct vma *v, uaddr_t from, uaddr_t to, u64 len)
{
    return vma_private_anon(v) ? move_private(v->as, from, to, len) : move_counted(v->as, from, to, len);
}

/* Area v's [old, old + old_len) becomes [to, to + new_len). */
static int move_area(struct vma *v, uaddr_t old, u64 old_len, uaddr_t to, u64 new_len, bool keep_old)
{
    struct addrspace *as = v->as;
    if (as->vma_count + 2 >= AS_MAX_VMAS)
        return -ENOMEM;
    /* Cut the old area free first: what can fail comes before the move. */
    bool unlock = keep_old && (v->flags & VMA_LOCKED); /* the lock goes along */
    if ((!keep_old || unlock) && old_len != 0) {
        int err = vma_isolate(&v, old, old + old_len);
        if (err != 0)
            return err;
    }
    struct vma *n = vma_create(v);
    if (n == NULL)
        return -ENOMEM;
    n->start = to;
    n->end = to + new_len;
    n->pgoff = vma_index(v, old);
    if (v->ops != NULL && v->ops->open != NULL)
        v->ops->open(n);
    callsite_restore(as, old, old + old_len); /* jumps lead nowhere from another place */
    vma_link(as, n);
    if (old_len != 0) {
        int err = move_pages(v, old, to, MIN(old_len, new_len));
        for (unsigned tries = 0; err == -ENOMEM && tries < 3 && page_reclaim(32) != 0; tries++)
            err = move_pages(v, old, to, MIN(old_len, new_len));
        if (err != 0) {
            vma_unlink(n);
            vma_merge(v);
            return err;
        }
        if (!keep_old) {
            as_zap(as, v->start, v->end); /* what lies beyond a smaller new size */
            callsite_forget(as, v->start, v->end);
            vma_unlink(v);
        } else if (unlock) {
            vma_set_flags(v, v->flags & ~VMA_LOCKS);
            vma_merge(v);
        }
    }
    vma_merge(n);
    return 0;
}

/* May there be so much more of what v is, and be locked, if it is? */
static int check_more(const struct vma *v, u64 len, u64 locked_len)
{
    const struct addrspace *as = v->as;
    int err = as_check_limits(as, len >> PAGE_SHIFT, v->prot, v->flags);
    if (err == 0 && (v->flags & VMA_LOCKED) && !as_may_lock(as, locked_len >> PAGE_SHIFT))
        err = -EAGAIN;
    return err;
}

/* All areas of a range that begins in one, holes kept (since Linux 6.17). */
static int move_areas(struct addrspace *as, uaddr_t old, u64 len, uaddr_t to, bool keep_old)
{
    struct vma *v;
    for (uaddr_t at = old; (v = as_find(as, at, true)) != NULL && v->start < old + len;) {
        uaddr_t start = MAX(v->start, at), end = MIN(v->end, old + len);
        if (callsite_is_thunks(v) || ((v->flags & VMA_SPECIAL) && (start != v->start || end != v->end)))
            return -EFAULT;
        uaddr_t dest = to + (start - old);
        int err = as_unmap_locked(as, dest, dest + (end - start));
        if (err == 0 && (v = as_find(as, start, false)) == NULL)
            err = -EFAULT;
        if (err == 0)
            err = check_more(v, keep_old ? end - start : 0, 0);
        if (err == 0)
            err = move_area(v, start, end - start, dest, end - start, keep_old);
        if (err != 0)
            return err;
        at = end;
    }
    return 0;
}

static bool grow_in_place(struct vma *v, uaddr_t old_end, u64 more)
{
    struct vma *next = as_next(v);
    u64 limit = next != NULL ? next->start : PLAT_USER_MAX;
    if (next != NULL && (next->flags & VMA_GROWSDOWN))
        limit -= MIN(limit, STACK_GUARD);
    if (old_end != v->end || limit < v->end || limit - v->end < more)
        return false;
    u64 top = v->as->free_top;
    vma_resize(v, v->start, v->end + more);
    v->as->free_top = top;
    vma_merge(v);
    return true;
}

static int remap_locked(struct addrspace *as, uaddr_t old, u64 old_len, u64 new_len, unsigned flags, uaddr_t new_addr,
                        uaddr_t *ret_addr)
{
    struct vma *v = as_find(as, old, false);
    bool keep_old = flags & MREMAP_DONTUNMAP;
    int err;
    if (v == NULL || callsite_is_thunks(v))
        return -EFAULT;
    if (old_len == 0 && !(v->flags & VMA_SHARED))
        return -EINVAL;
    if (old_len > new_len && old_len > PLAT_USER_MAX - old)
        return -EINVAL;
    if (old_len >= new_len && !(flags & (MREMAP_FIXED | MREMAP_DONTUNMAP))) { /* what lies in between, other areas or none, does not matter */
        *ret_addr = old;
        return old_len > new_len ? as_unmap_locked(as, old + new_len, old + old_len) : 0;
    }
    if ((flags & MREMAP_FIXED) && new_addr < PLAT_USER_MIN)
        return -EINVAL;
    if ((flags & MREMAP_FIXED) && old_len == new_len && old_len > v->end - old) {
        *ret_addr = new_addr;
        return move_areas(as, old, old_len, new_addr, keep_old);
    }
    if (MIN(old_len, new_len) > v->end - old)
        return -EFAULT;
    if (old_len > new_len) {
        if ((err = as_unmap_locked(as, old + new_len, old + old_len)) != 0)
            return err;
        old_len = new_len;
    }
    v = as_find(as, old, false);
    ASSERT(v != NULL);
    if ((v->flags & VMA_SPECIAL) && (old != v->start || old_len != v->end - v->start || new_len != old_len))
        return -EFAULT;
    if ((flags & MREMAP_FIXED) && (err = as_unmap_locked(as, new_addr, new_addr + new_len)) != 0)
        return err;
    v = as_find(as, old, false); /* its area may have been cut, or be gone: nothing of it overlaps its new place */
    if (v == NULL)
        return -EFAULT;
    u64 more = keep_old ? new_len : new_len - old_len;
    if ((err = check_more(v, more, new_len - old_len)) != 0)
        return err;
    if (!(flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) && old_len != 0 && grow_in_place(v, old + old_len, more)) {
        *ret_addr = old;
        return 0;
    }
    if (!(flags & MREMAP_MAYMOVE))
        return -ENOMEM;
    if (!(flags & MREMAP_FIXED)) {
        bool large = vma_private_anon(v) && new_len >= HUGE_SIZE;
        if ((flags & MREMAP_DONTUNMAP) && new_addr != 0 && IS_ALIGNED(new_addr, PAGE_SIZE) && as_range_free(as, new_addr, new_len))
            err = 0;
        else
            err = as_find_room(as, new_len, large ? HUGE_SIZE : PAGE_SIZE, &new_addr);
        if (err != 0)
            return err;
    }
    err = move_area(v, old, old_len, new_addr, new_len, keep_old);
    if (err == 0)
        *ret_addr = new_addr;
    return err;
}

/* A new place, or the wish for one: in the program's part, and not on the old one. */
static bool place_ok(uaddr_t old, u64 old_len, uaddr_t addr, u64 len)
{
    return IS_ALIGNED(addr, PAGE_SIZE) && addr <= PLAT_USER_MAX && len <= PLAT_USER_MAX - addr && (addr >= old + old_len || old >= addr + len);
}

int as_remap(struct addrspace *as, uaddr_t old, u64 old_len, u64 new_len, u64 flags, uaddr_t new_addr, uaddr_t *ret_addr)
{
    old_len = ALIGN_UP(old_len, PAGE_SIZE); /* one that is too large becomes 0, as on Linux; any other is looked at with the area */
    new_len = ALIGN_UP(new_len, PAGE_SIZE);
    if ((flags & ~(u64)(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP)) || !IS_ALIGNED(old, PAGE_SIZE) || new_len == 0 || new_len > PLAT_USER_MAX)
        return -EINVAL;
    if ((flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) && (!(flags & MREMAP_MAYMOVE) || !place_ok(old, old_len, new_addr, new_len)))
        return -EINVAL;
    if ((flags & MREMAP_DONTUNMAP) && old_len != new_len)
        return -EINVAL;
    rwmutex_write_lock(&as->lock);
    int err = remap_locked(as, old, old_len, new_len, (unsigned)flags, new_addr, ret_addr);
    as_write_unlock(as);
    if (err == 0 && new_len > old_len)
        as_populate_locked(as, *ret_addr + old_len, new_len - old_len);
    return err;
}
