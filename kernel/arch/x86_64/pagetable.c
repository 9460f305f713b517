/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address spaces (kern/plat.h): four-level tables, pages of 4 KiB and 2 MiB. On pc the CPU walks them; on host they are
 * the record of which the process's own mappings are a cache. Tables come from page_alloc(); of theirs, page.index counts
 * the entries in use of a level 1 or 2 table (atomic), which is freed when it falls to zero. Level 3 tables live as
 * long as the address space.
 *
 * What caches translations is the platform's (plat/tlb.h). tlb_removed() is told of an entry that lost its page (new = 0) or
 * changed its rights, and plat_flush() will follow; after tlb_changed(), of an entry that was replaced, this CPU must not use
 * the old one any more, others not after plat_flush(); tlb_split(): a large page has become small ones.
 *
 * Locks: the caller's, for everything in its address space. It may be a spinlock, so tables are allocated without
 * sleeping, from the reserve if need be.
 *
 * A page without any right is not present for the CPU but remembered: PTE_NONE.
 */
#include "arch/pagetable.h"

#include "kern/log.h"
#include "kern/page.h"
#include "plat/tlb.h"

static u64 *table_at(u64 entry) { return phys_to_virt(entry & PTE_ADDR); }
static struct page *page_at(const void *table) { return page_of(virt_to_phys(table)); }
static void count_add(u64 *table, u64 n) { (void)__atomic_add_fetch(&page_at(table)->index, n, __ATOMIC_RELAXED); }
static u64 next_boundary(u64 va, unsigned level) { return ALIGN_DOWN(va, 1UL << PT_SHIFT(level)) + (1UL << PT_SHIFT(level)); }

u64 pt_flags(unsigned prot)
{
    if (!(prot & (MAP_READ | MAP_WRITE | MAP_EXEC)))
        return PTE_NONE | PTE_NX;
    u64 f = PTE_PRESENT | PTE_ACCESSED;
    if (prot & MAP_WRITE)
        f |= PTE_WRITE | PTE_DIRTY;
    if (!(prot & MAP_EXEC))
        f |= PTE_NX;
    return f;
}

unsigned pt_prot(u64 entry)
{
    if (!(entry & PTE_PRESENT))
        return 0;
    return MAP_READ | (entry & PTE_WRITE ? MAP_WRITE : 0) | (entry & PTE_NX ? 0 : MAP_EXEC);
}

/* The caller may hold a spinlock. */
static struct page *alloc_table(void)
{
    struct page *p = page_alloc(0, ALLOC_ZERO | ALLOC_ATOMIC);
    if (p != NULL) {
        page_set_kind(p, PAGE_TABLE);
        p->index = 0;
    }
    return p;
}

/* The table below *entry, made if missing; `parent` (may be NULL) counts it. NULL = no memory. */
static u64 *child(u64 *entry, u64 *parent)
{
    u64 e = atomic_load(entry);
    if (e & PTE_PRESENT)
        return table_at(e);
    struct page *p = alloc_table();
    if (p == NULL)
        return NULL;
    u64 none = 0;
    if (!atomic_cas(entry, &none, page_phys(p) | PTE_TABLE)) {
        page_put(p); /* another CPU was faster */
        return table_at(none);
    }
    if (parent != NULL)
        count_add(parent, 1);
    return page_virt(p);
}

/* The level 2 table for va, made if missing. */
static u64 *make_pd(struct plat_aspace *as, u64 va)
{
    u64 *pdpt = child(&as->top[PT_INDEX(va, 4)], NULL);
    return pdpt != NULL ? child(&pdpt[PT_INDEX(va, 3)], NULL) : NULL;
}

/* The level 2 table for va, or NULL and in *ret_next where to go on looking. */
static u64 *find_pd(struct plat_aspace *as, u64 va, u64 *ret_next)
{
    u64 e = as->top[PT_INDEX(va, 4)];
    if (!(e & PTE_PRESENT)) {
        *ret_next = next_boundary(va, 4);
        return NULL;
    }
    e = table_at(e)[PT_INDEX(va, 3)];
    *ret_next = next_boundary(va, 3);
    return e & PTE_PRESENT ? table_at(e) : NULL;
}

static void bury(struct plat_aspace *as, const void *table)
{
    struct page *p = page_at(table);
    p->private = (u64)as->dead;
    as->dead = p;
}

void pt_free_dead(struct plat_aspace *as)
{
    while (as->dead != NULL) {
        struct page *p = as->dead;
        as->dead = (struct page *)p->private;
        p->private = p->index = 0;
        page_put(p);
    }
}

/* Replace a large page by 512 small ones. */
static int split(struct plat_aspace *as, u64 *pde, u64 va)
{
    struct page *p = alloc_table();
    if (p == NULL)
        return -ENOMEM;
    u64 *pt = page_virt(p), e = *pde & ~PTE_LARGE;
    for (unsigned i = 0; i < 512; i++)
        pt[i] = e + i * PAGE_SIZE;
    p->index = 512;
    atomic_store(pde, page_phys(p) | PTE_TABLE);
    tlb_split(as, va);
    return 0;
}

static bool is_large(u64 pde) { return (pde & PTE_LARGE) != 0; }

/* Split the large page that va lies inside of, if any: not when va is its start. */
static int split_edge(struct plat_aspace *as, u64 va)
{
    u64 next, *pd;
    if (IS_ALIGNED(va, HUGE_SIZE) || (pd = find_pd(as, va, &next)) == NULL)
        return 0;
    u64 *pde = &pd[PT_INDEX(va, 2)];
    return (*pde & PTE_MAPPED) && is_large(*pde) ? split(as, pde, va) : 0;
}

/* --- mapping ------------------------------------------------------------------------ */

static u64 *make_pt(struct plat_aspace *as, u64 va)
{
    u64 *pd = make_pd(as, va);
    if (pd == NULL)
        return NULL;
    u64 *pde = &pd[PT_INDEX(va, 2)];
    if ((*pde & PTE_MAPPED) && is_large(*pde) && split(as, pde, va) != 0)
        return NULL;
    return child(pde, pd);
}

/* Take out the level 1 table (and then the level 2 table) of va if empty. */
static void prune(struct plat_aspace *as, u64 *pd, u64 va)
{
    u64 *pde = &pd[PT_INDEX(va, 2)];
    if ((*pde & PTE_PRESENT) && !is_large(*pde)) {
        u64 *pt = table_at(*pde);
        if (page_at(pt)->index != 0)
            return;
        atomic_store(pde, 0);
        count_add(pd, -1UL);
        bury(as, pt);
    }
    if (page_at(pd)->index == 0) {
        atomic_store(&table_at(as->top[PT_INDEX(va, 4)])[PT_INDEX(va, 3)], 0);
        bury(as, pd);
    }
}

static int map_huge(struct plat_aspace *as, u64 va, paddr_t pa, size_t len, u64 flags)
{
    for (u64 at = va; at < va + len; at = next_boundary(at, 3))
        if (make_pd(as, at) == NULL)
            return -ENOMEM;
    for (u64 end = va + len; va < end; va += HUGE_SIZE, pa += HUGE_SIZE) {
        u64 *pd = make_pd(as, va);
        u64 *pde = &pd[PT_INDEX(va, 2)], old = *pde;
        atomic_store(pde, pa | flags | PTE_LARGE);
        if (old == 0) {
            count_add(pd, 1);
            continue;
        }
        if (!is_large(old))
            bury(as, table_at(old));
        tlb_changed(as, va, HUGE_SIZE, old, pa | flags);
    }
    return 0;
}

int pt_map_small(struct plat_aspace *as, u64 va, paddr_t pa, size_t len, u64 flags)
{
    u64 end = va + len;
    u64 *pt = make_pt(as, va);
    if (pt == NULL)
        return -ENOMEM;
    for (u64 at = next_boundary(va, 2); at < end; at += HUGE_SIZE)
        if (make_pt(as, at) == NULL)
            return -ENOMEM; /* empty tables stay until their range is unmapped or the space ends */
    while (va < end) {
        u64 stop = MIN(end, next_boundary(va, 2)), added = 0;
        for (u64 *pte = &pt[PT_INDEX(va, 1)]; va < stop; va += PAGE_SIZE, pa += PAGE_SIZE, pte++) {
            u64 old = *pte;
            atomic_store_relaxed(pte, pa | flags);
            if (old == 0)
                added++;
            else if (old & PTE_PRESENT)
                tlb_changed(as, va, PAGE_SIZE, old, pa | flags);
        }
        if (added != 0)
            count_add(pt, added);
        if (va < end)
            pt = make_pt(as, va);
    }
    return 0;
}

int plat_map(struct plat_aspace *as, uaddr_t va, paddr_t pa, size_t len_bytes, unsigned prot)
{
    ASSERT(IS_ALIGNED(va | pa | len_bytes, PAGE_SIZE) && va < PLAT_USER_MAX && len_bytes <= PLAT_USER_MAX - va);
    u64 flags = pt_flags(prot);
    if (!(prot & MAP_HUGE))
        return pt_map_small(as, va, pa, len_bytes, flags);
    ASSERT(IS_ALIGNED(va | pa | len_bytes, HUGE_SIZE));
    return map_huge(as, va, pa, len_bytes, flags);
}

int plat_map_absent(struct plat_aspace *as, uaddr_t va, const paddr_t *pa, u64 wanted, unsigned prot, u64 *ret_mapped)
{
    u64 flags = pt_flags(prot), mapped = 0, added = 0;
    u64 *pd = make_pd(as, va);
    if (pd == NULL)
        return -ENOMEM;
    u64 *pde = &pd[PT_INDEX(va, 2)];
    *ret_mapped = 0;
    if ((*pde & PTE_MAPPED) && is_large(*pde))
        return 0;
    u64 *pt = child(pde, pd);
    if (pt == NULL)
        return -ENOMEM;
    for (u64 *pte = &pt[PT_INDEX(va, 1)]; wanted != 0; wanted &= wanted - 1) {
        unsigned i = (unsigned)__builtin_ctzll(wanted);
        if (pte[i] != 0)
            continue;
        atomic_store_relaxed(&pte[i], pa[i] | flags);
        mapped |= 1UL << i;
        added++;
    }
    if (added != 0)
        count_add(pt, added);
    *ret_mapped = mapped;
    return 0;
}

/* --- removing, changing ---------------------------------------------------------------- */

static void unmap_pages(struct plat_aspace *as, u64 *pt, u64 va, u64 stop, plat_unmap_fn *fn, void *ctx)
{
    u64 removed = 0;
    for (u64 *pte = &pt[PT_INDEX(va, 1)]; va < stop; va += PAGE_SIZE, pte++) {
        u64 old = *pte;
        if (old == 0)
            continue;
        atomic_store_relaxed(pte, 0);
        removed++;
        tlb_removed(as, va, PAGE_SIZE, old, 0);
        if (fn != NULL)
            fn(ctx, va, old & PTE_ADDR, PAGE_SIZE);
    }
    if (removed != 0)
        count_add(pt, -removed);
}

void pt_unmap_range(struct plat_aspace *as, u64 va, u64 end, plat_unmap_fn *fn, void *ctx)
{
    while (va < end) {
        u64 next, *pd = find_pd(as, va, &next);
        if (pd == NULL) {
            va = next;
            continue;
        }
        u64 stop = MIN(end, next_boundary(va, 2));
        u64 *pde = &pd[PT_INDEX(va, 2)], e = *pde;
        if (e & PTE_MAPPED) {
            if (is_large(e)) {
                atomic_store(pde, 0);
                count_add(pd, -1UL);
                tlb_removed(as, va, HUGE_SIZE, e, 0);
                if (fn != NULL)
                    fn(ctx, va, e & PTE_ADDR, HUGE_SIZE);
            } else {
                unmap_pages(as, table_at(e), va, stop, fn, ctx);
            }
            prune(as, pd, va);
        } else if (page_at(pd)->index == 0) {
            prune(as, pd, va);
            va = MIN(end, next);
            continue;
        }
        va = stop;
    }
}

int plat_unmap(struct plat_aspace *as, uaddr_t va, size_t len_bytes, plat_unmap_fn *fn, void *ctx)
{
    if (split_edge(as, va) != 0 || split_edge(as, va + len_bytes) != 0)
        return -ENOMEM;
    pt_unmap_range(as, va, va + len_bytes, fn, ctx);
    return 0;
}

/* What the copy of an entry is; the original loses the right to write. */
static u64 share_entry(struct plat_aspace *from, u64 *entry, u64 va, size_t len)
{
    u64 e = *entry;
    if (e & PTE_WRITE) {
        u64 old = e;
        e &= ~(PTE_WRITE | PTE_DIRTY | PTE_CACHED);
        tlb_removed(from, va, len, old, e);
        atomic_store_relaxed(entry, e);
    }
    return e & ~PTE_CACHED;
}

static int copy_large(struct plat_aspace *from, struct plat_aspace *to, u64 *pde, u64 va, plat_copy_fn *fn, void *ctx)
{
    u64 *pd = make_pd(to, va);
    if (pd == NULL)
        return -ENOMEM;
    if (!fn(ctx, va, *pde & PTE_ADDR, HUGE_SIZE))
        return 0;
    atomic_store(&pd[PT_INDEX(va, 2)], share_entry(from, pde, va, HUGE_SIZE));
    count_add(pd, 1);
    return 0;
}

/* Pages of one level 1 table. */
static int copy_pages(struct plat_aspace *from, struct plat_aspace *to, u64 *from_pt, u64 va, u64 stop, plat_copy_fn *fn, void *ctx)
{
    u64 *pt = make_pt(to, va), added = 0;
    if (pt == NULL)
        return -ENOMEM;
    for (unsigned i = PT_INDEX(va, 1); va < stop; va += PAGE_SIZE, i++) {
        u64 e = from_pt[i];
        if (e == 0 || !fn(ctx, va, e & PTE_ADDR, PAGE_SIZE))
            continue;
        atomic_store_relaxed(&pt[i], share_entry(from, &from_pt[i], va, PAGE_SIZE));
        added++;
    }
    if (added != 0)
        count_add(pt, added);
    return 0;
}

int plat_copy(struct plat_aspace *from, struct plat_aspace *to, uaddr_t va, size_t len_bytes, plat_copy_fn *fn, void *ctx)
{
    u64 end = va + len_bytes;
    int err = 0;
    if (split_edge(from, va) != 0 || split_edge(from, end) != 0)
        return -ENOMEM;
    while (va < end && err == 0) {
        u64 next, *pd = find_pd(from, va, &next);
        if (pd == NULL) {
            va = next;
            continue;
        }
        u64 stop = MIN(end, next_boundary(va, 2)), *pde = &pd[PT_INDEX(va, 2)];
        if ((*pde & PTE_MAPPED) && is_large(*pde))
            err = copy_large(from, to, pde, va, fn, ctx);
        else if (*pde & PTE_MAPPED)
            err = copy_pages(from, to, table_at(*pde), va, stop, fn, ctx);
        va = stop;
    }
    return err;
}

int plat_protect(struct plat_aspace *as, uaddr_t va, size_t len_bytes, unsigned prot)
{
    u64 end = va + len_bytes, flags = pt_flags(prot);
    if (split_edge(as, va) != 0 || split_edge(as, end) != 0)
        return -ENOMEM;
    while (va < end) {
        u64 next, *pd = find_pd(as, va, &next);
        if (pd == NULL) {
            va = next;
            continue;
        }
        u64 stop = MIN(end, next_boundary(va, 2));
        u64 *pde = &pd[PT_INDEX(va, 2)], e = *pde;
        if ((e & PTE_MAPPED) && is_large(e)) {
            atomic_store(pde, (e & PTE_ADDR) | flags | PTE_LARGE);
            tlb_removed(as, va, HUGE_SIZE, e, (e & PTE_ADDR) | flags);
        } else if (e & PTE_MAPPED) {
            u64 *pte = &table_at(e)[PT_INDEX(va, 1)];
            for (u64 at = va; at < stop; at += PAGE_SIZE, pte++)
                if (*pte != 0) {
                    tlb_removed(as, at, PAGE_SIZE, *pte, (*pte & PTE_ADDR) | flags);
                    atomic_store_relaxed(pte, (*pte & PTE_ADDR) | flags);
                }
        }
        va = stop;
    }
    return 0;
}

bool plat_lookup(struct plat_aspace *as, uaddr_t va, paddr_t *ret_pa, unsigned *ret_prot)
{
    u64 next, *pd = va < PLAT_USER_MAX ? find_pd(as, va, &next) : NULL;
    if (pd == NULL)
        return false;
    u64 e = pd[PT_INDEX(va, 2)];
    if (!(e & PTE_MAPPED))
        return false;
    u64 offset = va & (HUGE_SIZE - 1);
    unsigned huge = is_large(e) ? MAP_HUGE : 0;
    if (!huge) {
        e = table_at(e)[PT_INDEX(va, 1)];
        if (!(e & PTE_MAPPED))
            return false;
        offset = va & (PAGE_SIZE - 1);
    }
    if (ret_pa != NULL)
        *ret_pa = (e & PTE_ADDR) + offset;
    if (ret_prot != NULL)
        *ret_prot = pt_prot(e) | huge;
    return true;
}

uaddr_t plat_next_mapped(struct plat_aspace *as, uaddr_t va, uaddr_t end)
{
    while (va < end) {
        u64 next, *pd = find_pd(as, va, &next);
        u64 e = 0;
        if (pd != NULL) {
            next = next_boundary(va, 2);
            e = pd[PT_INDEX(va, 2)];
        }
        if ((e & PTE_MAPPED) && is_large(e))
            return va;
        if (e & PTE_MAPPED)
            for (const u64 *pte = &table_at(e)[PT_INDEX(va, 1)]; va < MIN(next, end); va += PAGE_SIZE, pte++)
                if (*pte & PTE_MAPPED)
                    return va;
        va = next;
    }
    return end;
}

/* --- whole address spaces ------------------------------------------------------------------ */

int pt_init(struct plat_aspace *as)
{
    struct page *p = alloc_table();
    if (p == NULL)
        return -ENOMEM;
    as->top = page_virt(p);
    return 0;
}

void pt_done(struct plat_aspace *as)
{
    for (unsigned i = 0; i < 256; i++) {
        if (as->top[i] == 0)
            continue;
        u64 *pdpt = table_at(as->top[i]);
        for (unsigned j = 0; j < 512; j++) {
            if (pdpt[j] == 0)
                continue;
            u64 *pd = table_at(pdpt[j]);
            for (unsigned k = 0; k < 512 && page_at(pd)->index != 0; k++)
                if ((pd[k] & PTE_PRESENT) && !is_large(pd[k]))
                    bury(as, table_at(pd[k]));
            bury(as, pd);
        }
        bury(as, pdpt);
    }
    bury(as, as->top);
    as->top = NULL;
    pt_free_dead(as);
}

u64 *pt_entry(struct plat_aspace *as, u64 va)
{
    u64 next, *pd = find_pd(as, va, &next);
    if (pd == NULL)
        return NULL;
    u64 *pde = &pd[PT_INDEX(va, 2)];
    if ((*pde & PTE_MAPPED) == 0 || is_large(*pde))
        return pde;
    return &table_at(*pde)[PT_INDEX(va, 1)];
}
