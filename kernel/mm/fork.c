/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Duplicating an address space for fork(2). Private pages become shared: both
 * sides lose the right to write, each mapping holds a reference, and the first write
 * after that copies the page, or takes it over when nobody else is left (fault.c).
 * Pages of the page cache are not copied: the other side's faults find them.
 * So the cost is by what is mapped, and no page is allocated but tables.
 */
#include "as_impl.h"
#include "kern/log.h"
#include "kern/pagecache.h"
#include "kern/thread.h"

#define FORK_SLICE (16UL << 20) /* bottom halves are off for one slice */
#define SLICE_TABLES (FORK_SLICE / HUGE_SIZE + 3)

struct share {
    struct vma *copy;
    bool cache_too; /* the area's own operation supplies pages: it may not be able to do so twice */
};

/* May this mapping be in the copy as well? Then it is accounted for. Both pt_locks held. */
static bool share_pages(void *ctx, uaddr_t va, paddr_t pa, size_t len_bytes)
{
    struct share *s = ctx;
    struct addrspace *to = s->copy->as;
    struct page *p = counted_page(pa);
    if (p == NULL)
        return true; /* the kernel's own, always there */
    if (p->flags & PG_PATCHED)
        return false; /* the copy has no thunks: it begins with the original text */
    if (p->kind != PAGE_ANON && !s->cache_too)
        return false;
    page_add_mappings(to, p, len_bytes >> PAGE_SHIFT);
    return true;
}

/* Tables are allocated with a spinlock held, so from the reserve: it is not for us to use up. */
static bool room_for_tables(void)
{
    return page_available() >= 2 * SLICE_TABLES || page_reclaim(2 * SLICE_TABLES) >= SLICE_TABLES;
}

static int share_area(struct vma *v, struct vma *c)
{
    struct addrspace *from = v->as, *to = c->as;
    struct share s = { c, v->ops != NULL && v->ops->fault != NULL };
    int err = 0;
    for (uaddr_t at = v->start; at < v->end && err == 0;) {
        if (!room_for_tables())
            return -ENOMEM;
        spin_lock_bh(&from->pt_lock);
        at = plat_next_mapped(&from->plat, at, v->end);
        uaddr_t stop = MIN(v->end, ALIGN_DOWN(at, FORK_SLICE) + FORK_SLICE);
        spin_lock(&to->pt_lock);
        if (at < stop)
            err = plat_copy(&from->plat, &to->plat, at, stop - at, share_pages, &s);
        spin_unlock(&to->pt_lock);
        spin_unlock_bh(&from->pt_lock);
        at = stop;
        if (!cond_resched())
            return -EINTR;
    }
    return err;
}

static int fork_area(struct vma *v, struct addrspace *to)
{
    if (v->flags & VMA_DONTFORK)
        return 0;
    struct vma *c = vma_create(v);
    if (c == NULL)
        return -ENOMEM;
    c->flags &= ~VMA_LOCKS; /* locks are not inherited: mlock(2) */
    if (v->ops != NULL && v->ops->open != NULL)
        v->ops->open(c);
    vma_link(to, c);
    if (v->flags & (VMA_SHARED | VMA_WIPEONFORK))
        return cond_resched() ? 0 : -EINTR; /* faults find the same pages, or new ones */
    return share_area(v, c);
}

static u64 promised_pages(struct addrspace *as)
{
    u64 n = 0;
    for (struct vma *v = as_first(as); v != NULL; v = as_next(v))
        if (commit_counts(v->prot, v->flags) && !(v->flags & VMA_DONTFORK))
            n += (v->end - v->start) >> PAGE_SHIFT;
    return n;
}

int addrspace_fork(struct addrspace *from, struct addrspace **ret_as)
{
    struct addrspace *to;
    int err = addrspace_create(&to);
    if (err != 0)
        return err;
    rwmutex_write_lock(&from->lock);
    if (atomic_load_relaxed(&overcommit.mode) == COMMIT_NEVER && !commit_allows(promised_pages(from))) {
        rwmutex_write_unlock(&from->lock);
        addrspace_put(to);
        return -ENOMEM;
    }
    to->mmap_base = from->mmap_base;
    to->brk_start = from->brk_start;
    to->brk = from->brk;
    to->arg_start = from->arg_start, to->arg_end = from->arg_end;
    to->env_start = from->env_start, to->env_end = from->env_end;
    to->stack_start = from->stack_start;
    to->limit_as_bytes = from->limit_as_bytes;
    to->limit_data_bytes = from->limit_data_bytes;
    to->limit_stack_bytes = from->limit_stack_bytes;
    to->limit_locked_bytes = from->limit_locked_bytes;
    from->forked = to->forked = true;
    rwmutex_write_lock(&to->lock);
    for (struct vma *v = as_first(from); v != NULL && err == 0; v = as_next(v))
        err = fork_area(v, to);
    as_write_unlock(to);
    spin_lock_bh(&from->pt_lock);
    plat_flush(&from->plat, PLAT_USER_MIN, PLAT_USER_MAX - PLAT_USER_MIN);
    spin_unlock_bh(&from->pt_lock);
    as_write_unlock(from);
    if (err != 0) {
        addrspace_put(to);
        return err;
    }
    returns_forked(from, to);
    *ret_as = to;
    return 0;
}
