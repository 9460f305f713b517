/* SPDX-License-Identifier: Apache-2.0 */
/* Call sites become jumps: the rules are in kern/callsite.h, the bytes in arch/. */
#include "kern/callsite.h"

#include "as_impl.h"
#include "base/str.h"
#include "kern/arch.h"
#include "kern/pagecache.h"
#include "kern/percpu.h"
#include "kern/slab.h"

#define AREA_PAGES 16u /* 64 KiB: of these there is always a place that arch_thunk_fits() takes */
#define AREA_BYTES (AREA_PAGES * PAGE_SIZE)
#define AREAS_MAX 16u
#define SLOTS ((unsigned)(PAGE_SIZE / ARCH_THUNK_BYTES)) /* the first holds the gate's address */
#define SEEN 128u
#define SEEN_ONE (1UL << 48) /* no address of a program reaches so high */

struct thunk_page {
    struct page *page;
    struct call_site sites[SLOTS]; /* addresses; start = 0: free */
};

struct thunk_area {
    struct list node;
    uaddr_t start;
    unsigned used;
    bool retired; /* the program has taken the addresses: the sites stay known for threads that were inside */
    struct thunk_page *pages[AREA_PAGES];
};

struct callsites {
    struct list areas;
    unsigned nareas;
    uaddr_t low, high;  /* all areas lie between; grows only; read without the lock */
    uaddr_t trampoline; /* where functions with probes return to; 0: none yet */
    u64 seen[SEEN];     /* calls that came by trap: address, above it how many; pairs of slots; relaxed: a count may be lost */
};

static struct thunk_page *page_at(const struct thunk_area *a, uaddr_t addr) { return a->pages[(addr - a->start) >> PAGE_SHIFT]; }

static uaddr_t slot_address(const struct thunk_area *a, unsigned page, unsigned slot)
{
    return a->start + page * PAGE_SIZE + slot * ARCH_THUNK_BYTES;
}

/* --- which calls come often ------------------------------------------------------------------ */

/* A call that ends at pc has come. True at the one time when it is to be looked at. */
static bool is_due(struct callsites *c, uaddr_t pc)
{
    u64 *s = &c->seen[(pc ^ pc >> 7 ^ pc >> 14) & (SEEN - 2)];
    for (unsigned i = 0; i < 2; i++, s++) {
        u64 v = atomic_load_relaxed(s), calls = v / SEEN_ONE;
        if ((v & (SEEN_ONE - 1)) != pc)
            continue;
        if (calls <= PLAT_SITE_CALLS)
            atomic_store_relaxed(s, v + SEEN_ONE);
        return calls + 1 == PLAT_SITE_CALLS;
    }
    s -= 2;
    bool full = atomic_load_relaxed(&s[0]) != 0 && atomic_load_relaxed(&s[1]) != 0; /* no room to count it: at once */
    atomic_store_relaxed(&s[1], atomic_load_relaxed(&s[0]));
    atomic_store_relaxed(&s[0], pc + (full ? PLAT_SITE_CALLS + 1 : 1) * SEEN_ONE);
    return full;
}

/* --- the area of thunks ------------------------------------------------------------------------- */

static int thunk_fault(struct vma *v, u64 index, struct page **ret_page)
{
    struct thunk_area *a = v->object;
    if (a->pages[index] == NULL)
        return -EFAULT;
    *ret_page = page_get(a->pages[index]->page);
    return 0;
}

static void thunk_describe(struct vma *v, char *ret_name, size_t size, u64 *ret_dev, u64 *ret_ino)
{
    str_copy(ret_name, "[thunks]", size);
    *ret_dev = *ret_ino = 0;
}

static const struct vma_ops thunk_ops = { .fault = thunk_fault, .describe = thunk_describe };

bool callsite_is_thunks(const struct vma *v) { return v->ops == &thunk_ops; }

static struct thunk_area *area_of(struct callsites *c, uaddr_t addr)
{
    list_for_each(a, &c->areas, struct thunk_area, node)
        if (addr >= a->start && addr - a->start < AREA_BYTES)
            return a;
    return NULL;
}

static void area_free(struct callsites *c, struct thunk_area *a)
{
    for (unsigned i = 0; i < AREA_PAGES; i++)
        if (a->pages[i] != NULL) {
            page_put(a->pages[i]->page);
            kfree(a->pages[i]);
        }
    list_remove(&a->node);
    c->nareas--;
    kfree(a);
}

/* Free room for an area from which all of v can be reached: the nearest below, where nothing grows, else above. */
static bool find_room_near(struct vma *v, uaddr_t *ret_addr)
{
    for (struct vma *above = v, *below; above != NULL; above = below) {
        below = vma_prev(above);
        uaddr_t low = below != NULL ? below->end : PLAT_USER_MIN;
        if (v->end - (above->start - MIN(above->start, AREA_BYTES)) > (u64)ARCH_THUNK_REACH)
            break;
        if (!(above->flags & VMA_GROWSDOWN) && above->start - low >= AREA_BYTES) {
            *ret_addr = above->start - AREA_BYTES;
            return true;
        }
    }
    for (struct vma *below = v, *above; below != NULL; below = above) {
        above = as_next(below);
        uaddr_t high = above != NULL ? above->start - (above->flags & VMA_GROWSDOWN ? STACK_GUARD : 0) : PLAT_USER_MAX;
        high = MIN(high, v->start + (u64)ARCH_THUNK_REACH);
        if (high <= below->end || high - below->end < AREA_BYTES) {
            if (below->end - v->start > (u64)ARCH_THUNK_REACH)
                break;
        } else if (v->as->brk < below->end || v->as->brk > high) {
            *ret_addr = ALIGN_DOWN(high - AREA_BYTES, PAGE_SIZE);
            return true;
        }
    }
    return false;
}

static struct thunk_area *area_create(struct vma *v)
{
    struct addrspace *as = v->as;
    struct callsites *c = as->sites;
    uaddr_t addr;
    if (c->nareas == AREAS_MAX || as->vma_count >= AS_MAX_VMAS || !find_room_near(v, &addr) ||
        as_check_limits(as, AREA_PAGES, MAP_READ | MAP_EXEC, 0) != 0)
        return NULL;
    struct thunk_area *a = kzalloc(sizeof(*a));
    if (a == NULL)
        return NULL;
    struct vma want = { .as = as, .start = addr, .end = addr + AREA_BYTES, .prot = MAP_READ | MAP_EXEC,
                        .flags = VMA_SPECIAL | VMA_DONTFORK | VMA_DONTDUMP, .ops = &thunk_ops, .object = a };
    struct vma *area = vma_create(&want);
    if (area == NULL) {
        kfree(a);
        return NULL;
    }
    vma_link(as, area);
    a->start = addr;
    list_push_back(&c->areas, &a->node);
    c->low = c->nareas == 0 ? addr : MIN(c->low, addr);
    c->high = MAX(c->high, addr + AREA_BYTES);
    c->nareas++;
    return a;
}

/* --- thunks --------------------------------------------------------------------------------- */

/* A free slot on page i of a, whether it exists or not, where the thunk of s may lie; 0 = none. */
static unsigned free_slot(const struct thunk_area *a, unsigned i, const struct call_site *s)
{
    for (unsigned slot = 1; slot < SLOTS; slot++)
        if ((a->pages[i] == NULL || a->pages[i]->sites[slot].start == 0) && arch_thunk_fits(s, slot_address(a, i, slot)))
            return slot;
    return 0;
}

static bool add_page(struct thunk_area *a, unsigned i)
{
    struct thunk_page *t = kzalloc(sizeof(*t));
    if (t == NULL)
        return false;
    t->page = page_alloc(0, 0);
    if (t->page == NULL) {
        kfree(t);
        return false;
    }
    u64 gate = plat_call_gate();
    memset(page_virt(t->page), 0, PAGE_SIZE);
    memcpy(page_virt(t->page), &gate, sizeof(gate));
    a->pages[i] = t;
    return true;
}

static uaddr_t write_thunk(struct thunk_area *a, unsigned i, unsigned slot, const struct call_site *s, const u8 *original)
{
    u8 *base = page_virt(a->pages[i]->page);
    uaddr_t thunk = slot_address(a, i, slot);
    if (!arch_thunk_write(base + slot * ARCH_THUNK_BYTES, thunk, a->start + i * PAGE_SIZE, s, original))
        return 0;
    a->pages[i]->sites[slot] = *s;
    a->used++;
    return thunk;
}

static uaddr_t place_in(struct callsites *c, bool new_page, const struct call_site *s, const u8 *original)
{
    list_for_each(a, &c->areas, struct thunk_area, node)
        for (unsigned i = 0; i < AREA_PAGES && !a->retired; i++) {
            unsigned slot = (a->pages[i] == NULL) == new_page ? free_slot(a, i, s) : 0;
            if (slot != 0 && (!new_page || add_page(a, i)))
                return write_thunk(a, i, slot, s, original);
        }
    return 0;
}

uaddr_t callsite_thunk(struct vma *v, const struct call_site *s, const u8 *original)
{
    struct callsites *c = v->as->sites;
    uaddr_t thunk = place_in(c, false, s, original);
    if (thunk == 0)
        thunk = place_in(c, true, s, original);
    if (thunk == 0 && area_create(v) != NULL)
        thunk = place_in(c, true, s, original);
    return thunk;
}

/* Call fn for every site in [start, end). */
typedef void site_fn(struct addrspace *as, struct thunk_area *a, struct call_site *s, uaddr_t thunk);
static void for_each_site(struct addrspace *as, uaddr_t start, uaddr_t end, site_fn *fn)
{
    list_for_each(a, &as->sites->areas, struct thunk_area, node)
        for (unsigned i = 0; i < AREA_PAGES; i++)
            for (unsigned slot = 1; slot < SLOTS && a->pages[i] != NULL; slot++) {
                struct call_site *s = &a->pages[i]->sites[slot];
                if (s->start >= start && s->start < end && s->start != 0)
                    fn(as, a, s, slot_address(a, i, slot));
            }
}

/* --- pages of text ----------------------------------------------------------------------------- */

bool callsite_is_text(const struct vma *v)
{
    return v->mapping != NULL && v->mapping->ops->read != NULL && !(v->flags & VMA_SHARED) && (v->ops == NULL || v->ops->fault == NULL) &&
           (v->prot & (MAP_WRITE | MAP_EXEC)) == MAP_EXEC;
}

static struct page *page_mapped(struct addrspace *as, uaddr_t va)
{
    paddr_t pa;
    return plat_lookup(&as->plat, va, &pa, NULL) ? counted_page(pa) : NULL;
}

struct page *callsite_patched(struct addrspace *as, uaddr_t va)
{
    struct page *p = page_mapped(as, va);
    return p != NULL && (p->flags & PG_PATCHED) ? p : NULL;
}

void callsite_drop_locked(struct addrspace *as, uaddr_t va, struct list *freed)
{
    struct page *p = callsite_patched(as, va);
    if (p == NULL)
        return;
    plat_unmap(&as->plat, va, PAGE_SIZE, NULL, NULL); /* never part of a large page: cannot fail */
    plat_flush(&as->plat, va, PAGE_SIZE);
    page_drop_mappings(as, p, 1, freed);
}

void callsite_drop_page(struct addrspace *as, uaddr_t va)
{
    struct list freed;
    list_init(&freed);
    spin_lock_bh(&as->pt_lock);
    callsite_drop_locked(as, va, &freed);
    spin_unlock_bh(&as->pt_lock);
    page_free_list(&freed);
}

static void restore_site(struct addrspace *as, struct thunk_area *a, struct call_site *s, uaddr_t thunk)
{
    callsite_drop_page(as, ALIGN_DOWN(s->start, PAGE_SIZE));
}

void callsite_restore(struct addrspace *as, uaddr_t start, uaddr_t end)
{
    if (as->sites != NULL)
        for_each_site(as, start, end, restore_site);
}

/*
 * Show at va the page `copy`, in which s has become a jump to thunk, instead of `old` (which is `copy` when it was patched
 * before). Meanwhile nothing is mapped, so that no CPU reads one half of an instruction before and the other
 * after the change. -EAGAIN when something else is mapped by now.
 */
static int exchange(struct vma *v, uaddr_t va, struct page *old, struct page *copy, const struct call_site *s, uaddr_t thunk)
{
    struct addrspace *as = v->as;
    struct list freed;
    list_init(&freed);
    spin_lock_bh(&as->pt_lock);
    int err = page_mapped(as, va) == old ? 0 : -EAGAIN;
    if (err == 0) {
        plat_unmap(&as->plat, va, PAGE_SIZE, NULL, NULL);
        plat_flush(&as->plat, va, PAGE_SIZE);
        arch_call_site_patch((u8 *)page_virt(copy) + (s->start - va), s, thunk);
        err = plat_map(&as->plat, va, page_phys(copy), PAGE_SIZE, hw_rights(v, 0, false));
        if (old != copy || err != 0)
            page_drop_mappings(as, old, 1, &freed);
        as->rss_anon += old != copy && err == 0;
    }
    spin_unlock_bh(&as->pt_lock);
    page_free_list(&freed);
    return err;
}

static int patch_page(struct vma *v, uaddr_t va, struct page *original, const struct call_site *s, uaddr_t thunk)
{
    struct addrspace *as = v->as;
    spin_lock_bh(&as->pt_lock);
    struct page *old = page_mapped(as, va);
    spin_unlock_bh(&as->pt_lock);
    if (old != NULL && (old->flags & PG_PATCHED))
        return memcmp((u8 *)page_virt(old) + (s->start - va), (u8 *)page_virt(original) + (s->start - va),
                      s->back + s->kept - s->start) == 0 ? exchange(v, va, old, old, s, thunk) : -EAGAIN;
    if (old != original) /* written, or gone */
        return -EAGAIN;
    struct page *copy = page_alloc(0, ALLOC_NORETRY);
    if (copy == NULL)
        return -ENOMEM;
    page_copy(page_virt(copy), page_virt(original));
    page_set_kind(copy, PAGE_ANON);
    copy->flags |= PG_PATCHED;
    int err = exchange(v, va, old, copy, s, thunk);
    if (err != 0)
        page_put(copy);
    return err;
}

static void forget_site(struct addrspace *as, struct thunk_area *a, struct call_site *s, uaddr_t thunk)
{
    s->start = 0;
    a->used--;
}

void callsite_forget(struct addrspace *as, uaddr_t start, uaddr_t end)
{
    struct callsites *c = as->sites;
    if (c == NULL)
        return;
    for_each_site(as, start, end, forget_site);
    memset(c->seen, 0, sizeof(c->seen));
}

void callsite_retire(struct vma *v)
{
    struct addrspace *as = v->as;
    struct thunk_area *a = v->object;
    a->retired = true;
    for (unsigned i = 0; i < AREA_PAGES; i++)
        for (unsigned slot = 1; slot < SLOTS && a->pages[i] != NULL; slot++)
            if (a->pages[i]->sites[slot].start != 0)
                restore_site(as, a, &a->pages[i]->sites[slot], 0);
}

/* Areas whose last site went with its text go, too. */
void callsite_trim(struct addrspace *as)
{
    if (as->sites == NULL)
        return;
    list_for_each_safe(a, &as->sites->areas, struct thunk_area, node) {
        if (a->used != 0 || a->retired)
            continue;
        struct vma *v, *next;
        for (v = as_find(as, a->start, true); v != NULL && v->start < a->start + AREA_BYTES; v = next) {
            next = as_next(v);
            as_zap(as, v->start, v->end); /* no large pages: cannot fail */
            vma_unlink(v);
        }
        area_free(as->sites, a);
    }
}

void callsite_done(struct addrspace *as)
{
    struct callsites *c = as->sites;
    if (c == NULL)
        return;
    list_for_each_safe(a, &c->areas, struct thunk_area, node)
        area_free(c, a);
    kfree(c);
    as->sites = NULL;
}

/* --- a call came by trap ----------------------------------------------------------------------- */

bool callsite_prepare(struct addrspace *as)
{
    struct callsites *c = as->sites;
    if (c == NULL && (c = kzalloc(sizeof(*c))) != NULL) {
        list_init(&c->areas);
        atomic_store(&as->sites, c);
    }
    return c != NULL;
}

static struct callsites *prepare(struct addrspace *as)
{
    rwmutex_write_lock(&as->lock);
    callsite_prepare(as);
    rwmutex_write_unlock(&as->lock);
    return as->sites;
}

/* The site whose call ends at pc, in `original`, the file's page for va: patch it. */
static void patch_site(struct vma *v, uaddr_t va, struct page *original, struct trap_frame *f)
{
    struct call_site s;
    if (!arch_call_site(page_virt(original), (unsigned)(FRAME_PC(f) - va), FRAME_SYSCALL_NR(f), &s))
        return;
    const u8 *code = (u8 *)page_virt(original) + s.start;
    s.start += va;
    s.back += va;
    uaddr_t thunk = callsite_thunk(v, &s, code);
    if (thunk == 0)
        return;
    if (patch_page(v, va, original, &s, thunk) == 0) {
        cpu_stat_inc(STAT_CALL_SITES);
        frame_enter_gate(f, arch_thunk_again(&s, thunk)); /* behind the call there may be half a jump by now */
    } else {
        struct thunk_area *a = area_of(v->as->sites, thunk);
        forget_site(v->as, a, &page_at(a, thunk)->sites[(thunk & (PAGE_SIZE - 1)) / ARCH_THUNK_BYTES], thunk);
    }
}

void callsite_trapped(struct addrspace *as, struct trap_frame *f)
{
    struct callsites *c = atomic_load(&as->sites);
    uaddr_t pc = FRAME_PC(f), va = ALIGN_DOWN(pc - 1, PAGE_SIZE);
    struct page *original;
    if (FRAME_STEPPING(f) || (c == NULL && (c = prepare(as)) == NULL) || !is_due(c, pc))
        return;
    rwmutex_write_lock(&as->lock);
    struct vma *v = as_find(as, va, false);
    if (v != NULL && callsite_is_text(v) && mapping_get(v->mapping, vma_index(v, va), false, &original) == 0) {
        patch_site(v, va, original, f);
        page_put(original);
    }
    as_write_unlock(as);
}

/* --- probes ------------------------------------------------------------------------------------ */

uaddr_t callsite_probe(struct addrspace *as, uaddr_t start)
{
    if (as->sites != NULL)
        list_for_each(a, &as->sites->areas, struct thunk_area, node)
            for (unsigned i = 0; i < AREA_PAGES && !a->retired; i++)
                for (unsigned slot = 1; slot < SLOTS && a->pages[i] != NULL; slot++)
                    if (a->pages[i]->sites[slot].start == start && a->pages[i]->sites[slot].nr == CALL_SITE_PROBE)
                        return slot_address(a, i, slot);
    return 0;
}

uaddr_t callsite_trampoline(struct addrspace *as) { return as->sites != NULL ? atomic_load_relaxed(&as->sites->trampoline) : 0; }

uaddr_t callsite_make_trampoline(struct vma *v)
{
    static const u8 code[ARCH_PROBE_BYTES] = { ARCH_BREAK };
    struct callsites *c = v->as->sites;
    if (c->trampoline == 0) {
        struct call_site s = { .start = v->start, .back = v->start + 1, .nr = CALL_SITE_PROBE };
        uaddr_t at = callsite_thunk(v, &s, code);
        if (at == 0)
            return 0;
        page_at(area_of(c, at), at)->sites[(at & (PAGE_SIZE - 1)) / ARCH_THUNK_BYTES].start = at; /* it goes with no text */
        atomic_store(&c->trampoline, at);
    }
    return c->trampoline;
}

/* --- threads inside thunks --------------------------------------------------------------------- */

static const struct call_site *site_of_thunk(struct addrspace *as, uaddr_t pc, uaddr_t *ret_thunk)
{
    struct thunk_area *a = area_of(as->sites, pc);
    struct thunk_page *t = a != NULL ? page_at(a, pc) : NULL;
    unsigned slot = (unsigned)(pc & (PAGE_SIZE - 1)) / ARCH_THUNK_BYTES;
    struct vma *v = as_find(as, pc, false);
    if (t == NULL || slot == 0 || slot >= SLOTS || t->sites[slot].start == 0)
        return NULL;
    if (v != NULL && (v->prot & MAP_EXEC) && !callsite_is_thunks(v)) /* the program has taken these addresses for code of its own */
        return NULL;
    *ret_thunk = ALIGN_DOWN(pc, PAGE_SIZE) + slot * ARCH_THUNK_BYTES;
    return &t->sites[slot];
}

static uaddr_t place_in_text(struct addrspace *as, uaddr_t pc, bool resting)
{
    struct callsites *c = as != NULL ? atomic_load(&as->sites) : NULL;
    uaddr_t thunk;
    if (c == NULL || pc < atomic_load_relaxed(&c->low) || pc >= atomic_load_relaxed(&c->high))
        return pc;
    rwmutex_read_lock(&as->lock);
    const struct call_site *s = site_of_thunk(as, pc, &thunk);
    if (s != NULL && !(resting && s->nr == CALL_SITE_PROBE && pc == thunk))
        pc = arch_thunk_original(s, thunk, pc);
    rwmutex_read_unlock(&as->lock);
    return pc;
}

uaddr_t callsite_original(struct addrspace *as, uaddr_t pc) { return place_in_text(as, pc, false); }
uaddr_t callsite_resting(struct addrspace *as, uaddr_t pc) { return place_in_text(as, pc, true); }

/* Does page p of text, at va, hold the jump from s to thunk? */
static bool jumps(const struct page *p, uaddr_t va, const struct call_site *s, uaddr_t thunk)
{
    u8 jump[ARCH_CALL_SITE_BYTES];
    arch_call_site_patch(jump, s, thunk);
    return memcmp((u8 *)page_virt(p) + (s->start - va), jump, sizeof(jump)) == 0;
}

uaddr_t callsite_resume(struct addrspace *as, uaddr_t pc)
{
    uaddr_t again = 0, va = ALIGN_DOWN(pc, PAGE_SIZE);
    if (as == NULL || atomic_load(&as->sites) == NULL)
        return 0;
    rwmutex_read_lock(&as->lock);
    spin_lock_bh(&as->pt_lock);
    struct page *p = page_mapped(as, va);
    if (p != NULL && (p->flags & PG_PATCHED))
        list_for_each(a, &as->sites->areas, struct thunk_area, node)
            for (unsigned i = 0; i < AREA_PAGES; i++)
                for (unsigned slot = 1; slot < SLOTS && a->pages[i] != NULL; slot++) {
                    const struct call_site *s = &a->pages[i]->sites[slot];
                    uaddr_t thunk = slot_address(a, i, slot);
                    if (s->start != 0 && s->kept != 0 && s->back == pc && jumps(p, va, s, thunk))
                        again = arch_thunk_again(s, thunk);
                }
    spin_unlock_bh(&as->pt_lock);
    rwmutex_read_unlock(&as->lock);
    return again;
}

void callsite_undo(struct addrspace *as, uaddr_t pc)
{
    rwmutex_read_lock(&as->lock);
    callsite_drop_page(as, ALIGN_DOWN(pc, PAGE_SIZE));
    rwmutex_read_unlock(&as->lock);
}
