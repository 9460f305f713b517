/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Page faults. Three kinds of areas: anonymous memory (zero pages on demand), page-cache areas (the
 * cache's own pages; private writes get a copy), and areas with an operation that supplies pages.
 *
 * A page that is mapped already faults for one of these reasons: somebody else was
 * faster; copy-on-write; the first write to a shared file page; or a page of
 * a writable and executable area that has the other of the two rights just now.
 *
 * A fault costs far more than the page it brings (above all under emulation), so neighbours come along:
 * anonymous runs double while a program walks upwards, to RUN_MAX pages and then
 * large pages, but never more than a share of what is free; file areas map what the
 * cache has in an aligned window.
 *
 * Locks: as->lock held for reading at least; pt_lock around every look at and change of the mappings.
 * Pages are allocated and read without pt_lock, so what was seen is checked again.
 */
#include "as_impl.h"
#include "kern/log.h"
#include "kern/pagecache.h"
#include "kern/thread.h"
#include "kern/trace.h"
#include "kern/trap.h"
#include "kern/uaccess.h"
#include "pagecache_impl.h"

#define RUN_MAX 64u      /* pages: 256 KiB */
#define RUN_SHARE 64u    /* a run takes at most this part of free memory */
#define AROUND 16u       /* pages: window for file areas */
#define HUGE_PAGES (HUGE_SIZE / PAGE_SIZE)
#define HUGE_SHARE 16u   /* a large page only while at least so many of them are free */
#define FLIP_SUSPECT 64u /* changes between write and execute on one page, nothing else between */
#define TRIES 8

unsigned hw_rights(const struct vma *v, unsigned access, bool may_write)
{
    unsigned prot = v->prot & (MAP_READ | MAP_WRITE | MAP_EXEC);
    if (prot == 0)
        return 0;
    prot |= MAP_READ;
    if ((prot & MAP_WRITE) && (prot & MAP_EXEC)) {
        bool exec = (access & TRAP_EXEC) || (!(access & TRAP_WRITE) && (!may_write || v->mapping != NULL));
        prot &= exec ? ~MAP_WRITE : ~MAP_EXEC;
    }
    return may_write ? prot : prot & ~MAP_WRITE;
}

/* Are first writes to shared pages of v to be noticed? */
static bool tracks_writes(const struct vma *v) { return v->mapping != NULL && v->mapping->ops->read != NULL; }

bool vma_may_write_now(const struct vma *v)
{
    if (v->flags & VMA_SHARED)
        return !tracks_writes(v);
    return vma_private_anon(v) && !v->as->forked;
}

static bool area_allows(const struct vma *v, unsigned access)
{
    if (access & TRAP_WRITE)
        return (v->prot & MAP_WRITE) != 0;
    if (access & TRAP_EXEC)
        return (v->prot & MAP_EXEC) != 0;
    return v->prot != 0;
}

/* --- pages that are mapped already ------------------------------------------------------ */

/* Does v alone hold all of the large page that p is part of? Then it need not be broken up after a fork. */
static bool own_large(struct vma *v, uaddr_t va, struct page *p)
{
    uaddr_t start = ALIGN_DOWN(va, HUGE_SIZE);
    struct page *head = p - ((va - start) >> PAGE_SHIFT);
    if (start < v->start || v->end - start < HUGE_SIZE)
        return false;
    for (unsigned i = 0; i < HUGE_PAGES; i++)
        if (head[i].kind != PAGE_ANON || ref_count(&head[i].refs) != 1)
            return false;
    return true;
}

/* Give the page at va (p, held by v alone or shared with good right) the rights of `access`. pt_lock held. */
static int change_rights(struct vma *v, uaddr_t va, struct page *p, unsigned old, unsigned access, bool may_write)
{
    struct addrspace *as = v->as;
    unsigned want = hw_rights(v, access, may_write);
    bool flips = old & ~want & (MAP_WRITE | MAP_EXEC); /* a large page breaks up: what writes to one part may run in another */
    if ((old & MAP_HUGE) && !flips && own_large(v, va, p))
        return plat_protect(&as->plat, ALIGN_DOWN(va, HUGE_SIZE), HUGE_SIZE, want);
    if (flips) {
        as->flip_count = as->flip_page == va ? as->flip_count + 1 : 0;
        as->flip_page = va;
    }
    return plat_protect(&as->plat, va, PAGE_SIZE, want);
}

/* Replace the page `old` at va, if it is still there, by the private page `copy`. pt_lock held. */
static int replace_page(struct vma *v, uaddr_t va, struct page *old, struct page *copy, unsigned access)
{
    struct addrspace *as = v->as;
    paddr_t pa;
    unsigned hw;
    if (!plat_lookup(&as->plat, va, &pa, &hw) || pa != page_phys(old))
        return AGAIN;
    unsigned prot = hw_rights(v, access, true);
    int err = 0;
    if (hw & MAP_HUGE) /* break it up; the rest stays */
        err = plat_protect(&as->plat, va, PAGE_SIZE, hw & (MAP_READ | MAP_EXEC));
    if (err == 0)
        err = plat_map(&as->plat, va, page_phys(copy), PAGE_SIZE, prot != 0 ? prot : MAP_READ);
    as->rss_anon += err == 0;
    return err;
}

static int copy_on_write(struct vma *v, uaddr_t va, struct page *old, unsigned access)
{
    struct addrspace *as = v->as;
    struct list freed;
    list_init(&freed);
    struct page *copy = page_alloc(0, 0);
    if (copy == NULL)
        return -ENOMEM;
    page_copy(page_virt(copy), page_virt(old));
    page_set_kind(copy, PAGE_ANON);
    spin_lock_bh(&as->pt_lock);
    int err = replace_page(v, va, old, copy, access);
    plat_flush(&as->plat, va, PAGE_SIZE);
    if (err == 0)
        page_drop_mappings(as, old, 1, &freed); /* not before: whose alone it is then writes to it, and our other threads still read it */
    spin_unlock_bh(&as->pt_lock);
    if (err != 0) {
        page_put(copy);
        return err;
    }
    page_free_list(&freed);
    return 0;
}

/* va is mapped to pa with rights hw. pt_lock held on entry, released on return. */
static int fault_present(struct vma *v, uaddr_t va, paddr_t pa, unsigned hw, unsigned access, bool force)
{
    struct addrspace *as = v->as;
    struct page *p = counted_page(pa);
    int err = 0;
    if ((hw & access) == access || (force && !(access & TRAP_WRITE))) { /* somebody was faster, or a stale TLB entry */
        plat_flush(&as->plat, va, PAGE_SIZE);
        spin_unlock_bh(&as->pt_lock);
        return 0;
    }
    if (p == NULL) {
        spin_unlock_bh(&as->pt_lock);
        return -EFAULT;
    }
    if ((access & TRAP_WRITE) && (p->flags & PG_PATCHED)) { /* what is written to is the file's page */
        spin_unlock_bh(&as->pt_lock);
        callsite_drop_page(as, va);
        return AGAIN;
    }
    bool shared = v->flags & VMA_SHARED;
    bool own = p->kind == PAGE_ANON && ref_count(&p->refs) == 1;
    if (!(access & TRAP_WRITE)) {
        err = change_rights(v, va, p, hw, access, own || (shared && (hw & MAP_WRITE)));
    } else if (shared || own) {
        if (shared && p->kind == PAGE_CACHE)
            mapping_mark_dirty(p);
        if (v->prot & MAP_WRITE) /* else forced: the caller writes through the direct map */
            err = change_rights(v, va, p, hw, access, true);
    } else {
        page_get(p);
        spin_unlock_bh(&as->pt_lock);
        err = copy_on_write(v, va, p, access);
        page_put(p);
        return err;
    }
    plat_flush(&as->plat, va, PAGE_SIZE);
    spin_unlock_bh(&as->pt_lock);
    return err;
}

/* --- anonymous memory -------------------------------------------------------------------- */

/* So many of n pages from va on have nothing mapped. pt_lock held. */
static unsigned absent(struct addrspace *as, uaddr_t va, unsigned n)
{
    return (unsigned)((plat_next_mapped(&as->plat, va, va + n * PAGE_SIZE) - va) >> PAGE_SHIFT);
}

/* How many pages to bring for a fault at va, and remember it for the next one. */
static unsigned run_length(struct vma *v, uaddr_t va)
{
    u64 most = MIN(page_available() / RUN_SHARE, RUN_MAX);
    u32 run = 1;
    if (va == atomic_load_relaxed(&v->fault_next))
        run = (u32)MAX(MIN(atomic_load_relaxed(&v->fault_run) * 2, most), 1);
    else if (v->flags & VMA_HUGE)
        run = (u32)MAX(most, 1);
    atomic_store_relaxed(&v->fault_run, run);
    return run;
}

/* Is the private memory of as taken for good? pt_lock held: as_reap() says so first, and takes then what was mapped before. */
static bool taken(struct addrspace *as) { return unlikely(atomic_load_relaxed(&as->reaped)); }

/* A large page at va if it is worth one. 0, or AGAIN when it is not. */
static int fault_huge(struct vma *v, uaddr_t va, unsigned access)
{
    struct addrspace *as = v->as;
    if (page_available() < HUGE_SHARE * HUGE_PAGES)
        return AGAIN;
    spin_lock_bh(&as->pt_lock);
    bool room = absent(as, va, HUGE_PAGES) == HUGE_PAGES;
    spin_unlock_bh(&as->pt_lock);
    struct page *p = room ? page_alloc(HUGE_SHIFT - PAGE_SHIFT, ALLOC_ZERO | ALLOC_NORETRY) : NULL;
    if (p == NULL)
        return AGAIN;
    page_set_kind(p, PAGE_ANON);
    spin_lock_bh(&as->pt_lock);
    int err = AGAIN;
    if (!taken(as) && absent(as, va, HUGE_PAGES) == HUGE_PAGES &&
        plat_map(&as->plat, va, page_phys(p), HUGE_SIZE, hw_rights(v, access, true) | MAP_HUGE) == 0) {
        err = 0;
        page_split(p);
        as->rss_anon += HUGE_PAGES;
    }
    spin_unlock_bh(&as->pt_lock);
    if (err != 0)
        page_put(p);
    else
        atomic_store_relaxed(&v->fault_next, va + HUGE_SIZE);
    return err;
}

static int fault_anon(struct vma *v, uaddr_t va, unsigned access)
{
    struct addrspace *as = v->as;
    unsigned run = run_length(v, va), order = 0, n;
    if (run == RUN_MAX && IS_ALIGNED(va, HUGE_SIZE) && v->end - va >= HUGE_SIZE && !(v->flags & VMA_NOHUGE) &&
        fault_huge(v, va, access) == 0)
        return 0;
    /* Stop at the area's end and where the next large page could be. */
    u64 room = MIN(v->end, ALIGN_DOWN(va, HUGE_SIZE) + HUGE_SIZE) - va;
    while (order < 6 && 2u << order <= run && PAGE_SIZE << (order + 1) <= room)
        order++;
    struct page *p;
    while ((p = page_alloc(order, order > 0 ? ALLOC_ZERO | ALLOC_NORETRY : ALLOC_ZERO)) == NULL)
        if (order-- == 0)
            return -ENOMEM;
    page_set_kind(p, PAGE_ANON);
    page_split(p);

    spin_lock_bh(&as->pt_lock);
    n = absent(as, va, 1u << order);
    int err = taken(as) ? -EFAULT : n == 0 ? AGAIN : plat_map(&as->plat, va, page_phys(p), n * PAGE_SIZE, hw_rights(v, access, true));
    if (err != 0)
        n = 0;
    as->rss_anon += n;
    spin_unlock_bh(&as->pt_lock);
    for (unsigned i = n; i < 1u << order; i++)
        page_put(p + i);
    if (err == 0)
        atomic_store_relaxed(&v->fault_next, va + n * PAGE_SIZE);
    return err;
}

/* --- page cache and other objects ------------------------------------------------------------ */

/* Map those of `pages` from va on where nothing is: their references move in, which leaves NULL. 0 or -ENOMEM. pt_lock held. */
static int map_object_pages(struct vma *v, uaddr_t va, struct page **pages, u64 wanted, unsigned prot)
{
    struct addrspace *as = v->as;
    paddr_t pa[AROUND];
    u64 mapped;
    if (wanted == 0)
        return 0;
    for (u64 left = wanted; left != 0; left &= left - 1) {
        int i = __builtin_ctzll(left);
        pa[i] = page_phys(pages[i]);
    }
    int err = plat_map_absent(&as->plat, va, pa, wanted, prot, &mapped);
    if (err != 0)
        return err;
    for (; mapped != 0; mapped &= mapped - 1) {
        int i = __builtin_ctzll(mapped);
        if (pages[i]->kind == PAGE_CACHE)
            atomic_add(&pages[i]->map_count, 1u);
        as->rss_file++;
        pages[i] = NULL;
    }
    return 0;
}

/* A private copy of p where nothing is mapped yet. */
static int map_copy(struct vma *v, uaddr_t va, struct page *p, unsigned access)
{
    struct addrspace *as = v->as;
    struct page *copy = page_alloc(0, 0);
    if (copy == NULL)
        return -ENOMEM;
    page_copy(page_virt(copy), page_virt(p));
    page_set_kind(copy, PAGE_ANON);
    spin_lock_bh(&as->pt_lock);
    unsigned prot = hw_rights(v, access, true);
    paddr_t pa = page_phys(copy);
    u64 mapped;
    int err = plat_map_absent(&as->plat, va, &pa, 1, prot != 0 ? prot : MAP_READ, &mapped);
    if (err == 0 && mapped == 0)
        err = AGAIN;
    as->rss_anon += err == 0;
    spin_unlock_bh(&as->pt_lock);
    if (err != 0)
        page_put(copy);
    return err;
}

/* Map what the cache has around va; p is the page for va itself, referenced. */
static int map_around(struct vma *v, uaddr_t va, struct page *p, unsigned access)
{
    struct addrspace *as = v->as;
    struct mapping *m = v->mapping;
    struct page *pages[AROUND];
    uaddr_t low = MAX(ALIGN_DOWN(va, AROUND * PAGE_SIZE), v->start);
    uaddr_t high = MIN(ALIGN_DOWN(va, AROUND * PAGE_SIZE) + AROUND * PAGE_SIZE, v->end);
    unsigned n = (unsigned)((high - low) >> PAGE_SHIFT), at = (unsigned)((va - low) >> PAGE_SHIFT);
    bool shared = v->flags & VMA_SHARED, tracked = tracks_writes(v), write = shared && (!tracked || (access & TRAP_WRITE));
    u64 wanted = 0;
    mapping_peek_run(m, vma_index(v, low), n, pages);
    if (pages[at] != NULL)
        page_put(pages[at]);
    pages[at] = page_get(p);
    spin_lock_bh(&as->pt_lock);
    for (unsigned i = 0; i < n; i++) {
        const struct page *q = pages[i];
        if (q != NULL && atomic_load(&q->mapping) == m && !text_broken(v, vma_index(v, low) + i)) /* else truncated: whoever did it has been here, or will be */
            wanted |= 1UL << i;
    }
    int err = map_object_pages(v, va, &pages[at], wanted >> at & 1, hw_rights(v, access, write));
    if (err == 0 && pages[at] != NULL)
        err = AGAIN;
    if (err == 0 && write && tracked)
        mapping_mark_dirty(p); /* counted as mapped before: page_clean() looks the other way round */
    if (err != -ENOMEM)
        (void)map_object_pages(v, low, pages, wanted & ~(1UL << at), hw_rights(v, TRAP_READ, shared && !tracked));
    spin_unlock_bh(&as->pt_lock);
    for (unsigned i = 0; i < n; i++)
        if (pages[i] != NULL)
            page_put(pages[i]);
    return err;
}

static int fault_object(struct vma *v, uaddr_t va, unsigned access)
{
    struct addrspace *as = v->as;
    struct page *p;
    u64 index = vma_index(v, va);
    bool special = v->ops != NULL && v->ops->fault != NULL, shared = v->flags & VMA_SHARED;
    int err;
    if (special) {
        err = v->ops->fault(v, index, &p);
    } else {
        p = mapping_peek(v->mapping, index);
        err = 0;
        if (p == NULL) {
            atomic_inc_relaxed(&as->faults_major);
            err = mapping_get_around(v->mapping, index, &p);
        }
    }
    if (err != 0)
        return err == -ENXIO ? -EIO : err;
    if ((access & TRAP_WRITE) && !shared) {
        err = map_copy(v, va, p, access);
        page_put(p);
        return err;
    }
    if (special) {
        spin_lock_bh(&as->pt_lock);
        err = map_object_pages(v, va, &p, 1, hw_rights(v, access, shared));
        spin_unlock_bh(&as->pt_lock);
        if (p != NULL) {
            page_put(p);
            return err != 0 ? err : AGAIN;
        }
        return 0;
    }
    if (!(atomic_load_relaxed(&p->flags) & PG_REFERENCED))
        atomic_or(&p->flags, PG_REFERENCED);
    err = text_broken(v, index) ? text_map_broken(v, va, p, access) : map_around(v, va, p, access);
    page_put(p);
    return err;
}

/* --- entry -------------------------------------------------------------------------------------- */

int fault_in(struct vma *v, uaddr_t va, unsigned access, bool force)
{
    struct addrspace *as = v->as;
    int err = -ENOMEM;
    if (!force && !area_allows(v, access))
        return -EFAULT;
    if (force && hw_rights(v, 0, true) == 0) /* PROT_NONE: nobody reads there */
        return -EFAULT;
    if (force && (access & TRAP_WRITE) && (v->flags & VMA_SHARED) && !(v->prot & MAP_WRITE))
        return -EFAULT;
    for (unsigned try = 0; try < TRIES; try++) {
        paddr_t pa;
        unsigned hw;
        spin_lock_bh(&as->pt_lock);
        if (plat_lookup(&as->plat, va, &pa, &hw)) {
            err = fault_present(v, va, pa, hw, access, force);
        } else {
            spin_unlock_bh(&as->pt_lock);
            err = vma_private_anon(v) ? fault_anon(v, va, access) : fault_object(v, va, access);
        }
        if (err == -ENOMEM && page_reclaim(16) == 0) /* a page table, perhaps */
            return err;
        if (err != AGAIN && err != -ENOMEM)
            return err;
    }
    return err == AGAIN ? 0 : err; /* raced again and again: let the program try */
}

/* A stack grows down to addr if its limit and its neighbour below allow it. */
static int grow_stack(struct addrspace *as, uaddr_t va)
{
    int err = -EFAULT;
    rwmutex_write_lock(&as->lock);
    struct vma *v = as_find(as, va, true);
    if (v != NULL && va < v->start && (v->flags & VMA_GROWSDOWN)) {
        struct vma *below = vma_prev(v);
        u64 more = (v->start - va) >> PAGE_SHIFT;
        bool clear = below == NULL || below->prot == 0 || va - below->end >= STACK_GUARD;
        if (clear && v->end - va <= as->limit_stack_bytes && as_check_limits(as, more, v->prot, v->flags) == 0 &&
            (!(v->flags & VMA_LOCKED) || as_may_lock(as, more))) {
            u64 top = as->free_top;
            vma_resize(v, va, v->end);
            as->free_top = top;
            err = 0;
        }
    } else if (v != NULL && va >= v->start) {
        err = 0; /* another thread did it */
    }
    as_write_unlock(as);
    return err;
}

int as_fault(struct addrspace *as, u64 addr, unsigned access)
{
    uaddr_t va = ALIGN_DOWN(addr, PAGE_SIZE);
    if (addr < PLAT_USER_MIN || addr >= PLAT_USER_MAX)
        return -EFAULT;
    rwmutex_read_lock(&as->lock);
    struct vma *v = as_find(as, va, true);
    if (unlikely(v != NULL && va < v->start && (v->flags & VMA_GROWSDOWN))) {
        rwmutex_read_unlock(&as->lock);
        int err = grow_stack(as, va);
        if (err != 0)
            return err;
        rwmutex_read_lock(&as->lock);
        v = as_find(as, va, true);
    }
    int err = v != NULL && va >= v->start ? fault_in(v, va, access, false) : -EFAULT;
    rwmutex_read_unlock(&as->lock);
    atomic_inc_relaxed(&as->faults_minor);
    return err;
}

/* An instruction that writes to the very page it lies in can never have both rights:
 * it ends with an error rather than faulting forever. */
static bool writes_itself(struct addrspace *as, struct thread *t, u64 addr)
{
    return as->flip_count > FLIP_SUSPECT && t->user && as->flip_page == ALIGN_DOWN(addr, PAGE_SIZE) &&
           ALIGN_DOWN(FRAME_PC(thread_frame(t)), PAGE_SIZE) == as->flip_page;
}

bool (*as_no_memory)(unsigned *tries);

int as_fault_current(u64 addr, unsigned access)
{
    struct thread *t = current_thread();
    struct addrspace *as = t != NULL ? t->as : NULL;
    if (as == NULL || uaccess_nofault())
        return -EFAULT;
    cpu_stat_inc(STAT_FAULTS);
    if (unlikely((access & TRAP_WRITE) && as->flip_count > FLIP_SUSPECT) && writes_itself(as, t, addr))
        return -EFAULT;
    int err = as_fault(as, addr, access);
    unsigned tries = 0;
    while (unlikely(err == -ENOMEM) && as_no_memory != NULL && as_no_memory(&tries))
        err = as_fault(as, addr, access);
    TRACE(MM_FAULT, addr, access, (u64)(s64)err);
    return err;
}
