/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making and changing areas: mmap(2), munmap(2), mprotect(2), brk(2). Everything that can fail
 * is tried before anything is changed, as far as Linux's own semantics (a call
 * that works on the part before a hole) allow.
 */
#include "as_impl.h"
#include "kern/log.h"
#include "kern/pagecache.h"
#include "kern/slab.h"
#include "kern/thread.h"

int as_range(uaddr_t addr, u64 len, uaddr_t *ret_end)
{
    if (!IS_ALIGNED(addr, PAGE_SIZE) || len > PLAT_USER_MAX || addr > PLAT_USER_MAX)
        return -EINVAL;
    *ret_end = addr + ALIGN_UP(len, PAGE_SIZE);
    return *ret_end <= PLAT_USER_MAX ? 0 : -EINVAL;
}

/* --- munmap --------------------------------------------------------------------------- */

int as_unmap_locked(struct addrspace *as, uaddr_t start, uaddr_t end)
{
    struct vma *v = as_find(as, start, true);
    int err;
    if (v == NULL || v->start >= end)
        return 0;
    if (v->start < start && v->end > end) { /* a hole in the middle */
        if ((err = vma_split(v, end)) != 0)
            return err;
    }
    while (v != NULL && v->start < end) {
        struct vma *next = as_next(v);
        uaddr_t from = MAX(v->start, start), to = MIN(v->end, end);
        if (callsite_is_thunks(v))
            callsite_retire(v);
        if ((err = as_zap(as, from, to)) != 0)
            return err;
        if (v->mapping != NULL && !(v->flags & VMA_SHARED))
            callsite_forget(as, from, to);
        if (from > v->start)
            vma_resize(v, v->start, from);
        else if (to < v->end)
            vma_resize(v, to, v->end);
        else
            vma_unlink(v);
        v = next;
    }
    callsite_trim(as);
    return 0;
}

int as_unmap(struct addrspace *as, uaddr_t addr, u64 len_bytes)
{
    uaddr_t end;
    int err = len_bytes == 0 ? -EINVAL : as_range(addr, len_bytes, &end);
    if (err != 0)
        return err;
    rwmutex_write_lock(&as->lock);
    err = as_unmap_locked(as, addr, end);
    as_write_unlock(as);
    return err;
}

/* --- mmap --------------------------------------------------------------------------------- */

static int choose_address(struct addrspace *as, const struct map_request *req, u64 len, uaddr_t *ret_addr)
{
    uaddr_t addr = req->addr;
    if (req->fixed || req->noreplace) {
        if (!IS_ALIGNED(addr, PAGE_SIZE))
            return -EINVAL;
        if (addr > PLAT_USER_MAX || len > PLAT_USER_MAX - addr)
            return -ENOMEM;
        if (addr < PLAT_USER_MIN)
            return -EPERM;
        if (req->noreplace && !as_range_free(as, addr, len))
            return -EEXIST;
        *ret_addr = addr;
        return 0;
    }
    addr = ALIGN_UP(addr, PAGE_SIZE);
    if (addr != 0 && as_range_free(as, addr, len)) {
        struct vma *above = as_find(as, addr, true);
        if (above == NULL || !(above->flags & VMA_GROWSDOWN) || above->start - (addr + len) >= STACK_GUARD) {
            *ret_addr = addr;
            return 0;
        }
    }
    /* Large anonymous areas start where large pages fit. */
    if (req->mapping == NULL && req->ops == NULL && len >= HUGE_SIZE && IS_ALIGNED(len, HUGE_SIZE) &&
        !(req->flags & VMA_NOHUGE) && as_find_room(as, len, HUGE_SIZE, ret_addr) == 0)
        return 0;
    return as_find_room(as, len, PAGE_SIZE, ret_addr);
}

/* Grow a neighbour instead of making an area; for anonymous memory, the common case of malloc. One neighbour only: where
 * a program maps and unmaps into a hole between two, joining all three would mean splitting them again. */
static bool extend_neighbour(struct addrspace *as, const struct vma *want)
{
    struct vma *high = as_find(as, want->start, true), *low = NULL;
    if (want->mapping != NULL || want->ops != NULL)
        return false;
    if (high != NULL)
        low = vma_prev(high);
    else if (as->vmas.node != NULL)
        low = rb_entry(rb_last(&as->vmas), struct vma, node);
    u64 top = as->free_top;
    if (high != NULL && vma_can_merge(want, high)) {
        vma_resize(high, want->start, high->end);
        as->free_top = top;
        return true;
    }
    if (low != NULL && vma_can_merge(low, want)) {
        vma_resize(low, low->start, want->end);
        as->free_top = top;
        return true;
    }
    return false;
}

/* The flags of an area that is to be locked; -EPERM, -EAGAIN: that may not be. */
static int want_locked(const struct addrspace *as, u64 len, u32 *flags)
{
    if ((*flags & VMA_LOCKED) && !as_may_lock_any(as))
        return -EPERM;
    if (!(*flags & VMA_SPECIAL))
        *flags |= as->lock_next;
    return !(*flags & VMA_LOCKED) || as_may_lock(as, len >> PAGE_SHIFT) ? 0 : -EAGAIN;
}

static int map_locked(struct addrspace *as, const struct map_request *req, u64 len, uaddr_t *ret_addr)
{
    uaddr_t addr;
    int err = choose_address(as, req, len, &addr);
    if (err != 0)
        return err;
    if (as->vma_count >= AS_MAX_VMAS)
        return -ENOMEM;
    u32 flags = req->flags;
    if (unlikely((flags | as->lock_next) & VMA_LOCKED) && (err = want_locked(as, len, &flags)) != 0)
        return err;
    if ((err = as_check_limits_over(as, addr, addr + len, req->prot, req->flags)) != 0)
        return err;
    struct vma want = { .as = as, .start = addr, .end = addr + len, .prot = req->prot, .flags = flags,
                        .ops = req->ops, .mapping = req->mapping, .object = req->object, .pgoff = req->pgoff };
    if (req->fixed && (err = as_unmap_locked(as, addr, addr + len)) != 0)
        return err;
    if (!extend_neighbour(as, &want)) {
        struct vma *v = vma_create(&want);
        if (v == NULL)
            return -ENOMEM;
        vma_link(as, v);
        if (v->ops != NULL || v->mapping != NULL)
            vma_merge(v);
    }
    *ret_addr = addr;
    return 0;
}

int as_map(struct addrspace *as, const struct map_request *req, uaddr_t *ret_addr)
{
    struct map_request r = *req;
    if (r.len_bytes == 0)
        return -EINVAL;
    if (r.len_bytes > PLAT_USER_MAX)
        return -ENOMEM;
    u64 len = ALIGN_UP(r.len_bytes, PAGE_SIZE);
    if (r.mapping != NULL && (r.pgoff > INT64_MAX >> PAGE_SHIFT || len >> PAGE_SHIFT > (INT64_MAX >> PAGE_SHIFT) - r.pgoff))
        return -EOVERFLOW;
    bool anon_shared = (r.flags & VMA_SHARED) && r.mapping == NULL && r.ops == NULL;
    if (anon_shared) {
        int err = anon_shared_create(len, &r);
        if (err != 0)
            return err;
    }
    rwmutex_write_lock(&as->lock);
    int err = map_locked(as, &r, len, ret_addr);
    bool fill = err == 0 && ((r.flags | as->lock_next) & VMA_LOCKED);
    as_write_unlock(as);
    if (err != 0 && anon_shared) {
        struct vma v = { .object = r.object, .ops = r.ops, .mapping = r.mapping };
        anon_shared_ops.close(&v);
    }
    if (unlikely(fill))
        as_populate_locked(as, *ret_addr, len);
    return err;
}

/* --- mprotect ------------------------------------------------------------------------------- */

static int protect_area(struct vma *v, u32 prot)
{
    struct addrspace *as = v->as;
    u32 old = v->prot;
    if (prot & MAP_WRITE)
        callsite_restore(as, v->start, v->end);
    vma_set_prot(v, prot);
    spin_lock_bh(&as->pt_lock);
    int err = plat_protect(&as->plat, v->start, v->end - v->start, hw_rights(v, 0, vma_may_write_now(v)));
    if (err != 0 || (old & ~prot) != 0 || (prot & (MAP_WRITE | MAP_EXEC)) == (MAP_WRITE | MAP_EXEC))
        plat_flush(&as->plat, v->start, v->end - v->start);
    spin_unlock_bh(&as->pt_lock);
    if (err != 0)
        vma_set_prot(v, old); /* nothing was changed: only a large page could not be broken up */
    return err;
}

static int protect_locked(struct addrspace *as, uaddr_t start, uaddr_t end, u32 prot)
{
    struct vma *v = as_find(as, start, false);
    uaddr_t at = start;
    int err;
    for (; at < end; v = as_next(v)) {
        if (v == NULL || v->start > at || callsite_is_thunks(v)) /* where thunks are, the program knows of nothing */
            return -ENOMEM;
        uaddr_t to = MIN(v->end, end);
        if (v->prot != prot) {
            if ((prot & MAP_WRITE) && (v->flags & (VMA_SHARED | VMA_MAYWRITE)) == VMA_SHARED)
                return -EACCES;
            if ((prot & MAP_WRITE) && !(v->prot & MAP_WRITE)) {
                u64 total = as->total_pages;
                as->total_pages = 0; /* nothing is added to that */
                err = as_check_limits(as, (to - at) >> PAGE_SHIFT, prot, v->flags);
                as->total_pages = total;
                if (err != 0)
                    return err;
            }
            if ((err = vma_isolate(&v, at, to)) != 0)
                return err;
            bool own = (prot & ~v->prot & MAP_WRITE) && (v->flags & (VMA_LOCKS | VMA_SHARED)) == VMA_LOCKED;
            if ((err = protect_area(v, prot)) != 0)
                return err;
            for (uaddr_t va = at; own && va < to; va += PAGE_SIZE) /* what is locked does not fault when it is written; else it does, as on Linux */
                (void)fault_in(v, va, MAP_WRITE, false);
        }
        v = vma_merge(v);
        at = to;
        if (v->end > at) /* merged with what follows, or the range ended inside */
            at = MIN(v->end, end);
        cond_resched();
    }
    return 0;
}

int as_protect(struct addrspace *as, uaddr_t addr, u64 len_bytes, u32 prot)
{
    uaddr_t end;
    if (!IS_ALIGNED(addr, PAGE_SIZE))
        return -EINVAL;
    if (len_bytes == 0)
        return 0;
    if (as_range(addr, len_bytes, &end) != 0)
        return -ENOMEM;
    rwmutex_write_lock(&as->lock);
    int err = protect_locked(as, addr, end, prot & (MAP_READ | MAP_WRITE | MAP_EXEC));
    as_write_unlock(as);
    return err;
}

/* --- brk ---------------------------------------------------------------------------------------- */

static int brk_grow(struct addrspace *as, uaddr_t from, uaddr_t to)
{
    uaddr_t ignored;
    struct map_request req = { .addr = from, .len_bytes = to - from, .prot = MAP_READ | MAP_WRITE, .flags = VMA_HEAP,
                               .noreplace = true };
    struct vma *v = as_find(as, from, true);
    if (v != NULL && (v->flags & VMA_GROWSDOWN) && v->start - from < (to - from) + STACK_GUARD)
        return -ENOMEM;
    return map_locked(as, &req, to - from, &ignored);
}

int as_set_brk(struct addrspace *as, uaddr_t brk, uaddr_t *ret_brk)
{
    int err = 0;
    uaddr_t old_end = 0, new_end = 0;
    rwmutex_write_lock(&as->lock);
    if (brk >= as->brk_start && brk <= PLAT_USER_MAX && brk - as->brk_start <= as->limit_data_bytes) {
        old_end = ALIGN_UP(as->brk, PAGE_SIZE), new_end = ALIGN_UP(brk, PAGE_SIZE);
        if (new_end > old_end)
            err = brk_grow(as, old_end, new_end);
        else if (new_end < old_end)
            err = as_unmap_locked(as, new_end, old_end);
        if (err == 0)
            as->brk = brk;
    }
    *ret_brk = as->brk;
    bool fill = err == 0 && new_end > old_end && (as->lock_next & VMA_LOCKED);
    as_write_unlock(as);
    if (fill)
        as_populate_locked(as, old_end, new_end - old_end);
    return err;
}
