/* SPDX-License-Identifier: Apache-2.0 */
/* Breakpoints in text: kern/textbreak.h. */
#include "kern/textbreak.h"

#include "as_impl.h"
#include "base/str.h"
#include "kern/pagecache.h"
#include "kern/thread.h"
#include "kern/uaccess.h"
#include "pagecache_impl.h"

u32 text_breaks;
static struct spinlock breaks_lock = SPINLOCK_INIT("text breaks");
static struct list breaks = LIST_INIT(breaks); /* breaks_lock */

static u64 page_index(const struct text_break *b) { return b->offset >> PAGE_SHIFT; }
static unsigned page_offset(const struct text_break *b) { return (unsigned)(b->offset & (PAGE_SIZE - 1)); }

bool text_broken_slow(const struct vma *v, u64 index)
{
    bool found = false;
    if (!callsite_is_text(v))
        return false;
    spin_lock(&breaks_lock);
    list_for_each(b, &breaks, struct text_break, node)
        found |= b->mapping == v->mapping && page_index(b) == index;
    spin_unlock(&breaks_lock);
    return found;
}

/* All of that page. pt_lock held. */
static bool write_breaks(const struct vma *v, u64 index, u8 *page)
{
    bool any = false;
    spin_lock(&breaks_lock);
    list_for_each(b, &breaks, struct text_break, node)
        if (b->mapping == v->mapping && page_index(b) == index) {
            page[page_offset(b)] = ARCH_BREAK;
            any = true;
        }
    spin_unlock(&breaks_lock);
    return any;
}

int text_map_broken(struct vma *v, uaddr_t va, struct page *p, unsigned access)
{
    struct addrspace *as = v->as;
    struct page *copy = page_alloc(0, 0);
    int err = AGAIN;
    if (copy == NULL)
        return -ENOMEM;
    page_copy(page_virt(copy), page_virt(p));
    page_set_kind(copy, PAGE_ANON);
    copy->flags |= PG_PATCHED;
    spin_lock_bh(&as->pt_lock);
    if (!plat_lookup(&as->plat, va, NULL, NULL) && atomic_load(&p->mapping) == v->mapping && write_breaks(v, vma_index(v, va), page_virt(copy)))
        err = plat_map(&as->plat, va, page_phys(copy), PAGE_SIZE, hw_rights(v, access, false));
    as->rss_anon += err == 0;
    spin_unlock_bh(&as->pt_lock);
    if (err != 0)
        page_put(copy);
    return err;
}

/* --- setting and clearing ---------------------------------------------------------------------- */

int text_break_look(struct text_break *b)
{
    unsigned n = 0;
    memset(b->code, 0, sizeof(b->code));
    for (u64 at = b->offset; n < sizeof(b->code) && at < b->mapping->size_bytes; at = b->offset + n) {
        struct page *p;
        unsigned in = (unsigned)(at & (PAGE_SIZE - 1)), more = MIN((unsigned)sizeof(b->code) - n, (unsigned)PAGE_SIZE - in);
        int err = mapping_get(b->mapping, at >> PAGE_SHIFT, false, &p);
        if (err != 0)
            return err;
        memcpy(b->code + n, (u8 *)page_virt(p) + in, more);
        page_put(p);
        n += more;
    }
    b->len = (u8)arch_probe_fits(b->code);
    return n == 0 ? -ENXIO : b->len != 0 ? 0 : -EOPNOTSUPP;
}

/* In the page at va, if it is a copy of text. A jump that covers the place gives way. mapping->lock held. */
static void change(struct text_break *b, struct addrspace *as, uaddr_t va, bool set, struct list *freed)
{
    spin_lock_bh(&as->pt_lock);
    struct page *p = callsite_patched(as, va);
    u8 *at = p != NULL ? (u8 *)page_virt(p) + page_offset(b) : NULL;
    if (at != NULL && *at == (set ? b->code[0] : ARCH_BREAK))
        atomic_store(at, set ? (u8)ARCH_BREAK : b->code[0]);
    else if (at != NULL && set)
        callsite_drop_locked(as, va, freed);
    spin_unlock_bh(&as->pt_lock);
}

static void change_all(struct text_break *b, bool set)
{
    struct mapping *m = b->mapping;
    u64 index = page_index(b);
    struct list freed;
    list_init(&freed);
    spin_lock(&m->lock);
    if (set)
        rmap_unmap(m, index, index, false, &freed); /* faults bring copies */
    list_for_each(v, &m->vmas, struct vma, mapping_node)
        if (callsite_is_text(v) && index >= v->pgoff && index - v->pgoff < vma_pages(v))
            change(b, v->as, v->start + ((index - v->pgoff) << PAGE_SHIFT), set, &freed);
    spin_unlock(&m->lock);
    page_free_list(&freed);
}

void text_break_set(struct text_break *b)
{
    spin_lock(&breaks_lock);
    list_push_back(&breaks, &b->node);
    spin_unlock(&breaks_lock);
    atomic_add(&text_breaks, 1u);
    change_all(b, true);
}

void text_break_clear(struct text_break *b)
{
    spin_lock(&breaks_lock);
    list_remove(&b->node);
    spin_unlock(&breaks_lock);
    atomic_sub(&text_breaks, 1u);
    change_all(b, false);
}

/* --- threads that come to one --------------------------------------------------------------------- */

struct text_break *text_break_at(uaddr_t pc)
{
    struct addrspace *as = current_thread()->as;
    struct text_break *found = NULL;
    uaddr_t va = ALIGN_DOWN(pc, PAGE_SIZE);
    rwmutex_read_lock(&as->lock);
    struct vma *v = as_find(as, pc, false);
    spin_lock_bh(&as->pt_lock);
    bool patched = v != NULL && callsite_is_text(v) && callsite_patched(as, va) != NULL; /* else it is the program's, or a debugger's */
    spin_unlock_bh(&as->pt_lock);
    if (patched) {
        u64 offset = (vma_index(v, va) << PAGE_SHIFT) + (pc - va);
        spin_lock(&breaks_lock);
        list_for_each(b, &breaks, struct text_break, node)
            if (b->mapping == v->mapping && b->offset == offset)
                found = b;
        spin_unlock(&breaks_lock);
    }
    rwmutex_read_unlock(&as->lock);
    return found;
}

/* The instruction's copy that the program runs at pc instead; 0: none can be had, and the breakpoint is out of its page. */
static uaddr_t thunk_of(struct text_break *b, uaddr_t pc)
{
    struct addrspace *as = current_thread()->as;
    struct list freed;
    list_init(&freed);
    rwmutex_write_lock(&as->lock);
    struct vma *v = as_find(as, pc, false);
    struct call_site s = { .start = pc, .back = pc + b->len, .nr = CALL_SITE_PROBE };
    uaddr_t thunk = callsite_probe(as, pc);
    if (thunk == 0 && v != NULL && callsite_prepare(as))
        thunk = callsite_thunk(v, &s, b->code);
    if (thunk == 0) {
        spin_lock_bh(&as->pt_lock);
        struct page *p = callsite_patched(as, ALIGN_DOWN(pc, PAGE_SIZE));
        if (p != NULL)
            atomic_store((u8 *)page_virt(p) + page_offset(b), b->code[0]);
        spin_unlock_bh(&as->pt_lock);
    }
    as_write_unlock(as);
    return thunk;
}

bool text_break_pass(struct text_break *b, struct trap_frame *f)
{
    struct trap_frame next = *f;
    u64 word;
    enum probe_step step = arch_probe_step(&next, b->code, &word);
    if (step == PROBE_PUSH && put_user_u64(FRAME_SP(f) - sizeof(word), word) == 0)
        FRAME_SP(&next) -= sizeof(word);
    else if (step == PROBE_RETURN && get_user_u64(FRAME_SP(f), &FRAME_PC(&next)) == 0)
        FRAME_SP(&next) += sizeof(word);
    else if (step != PROBE_DONE) { /* or its own fault is what is to be seen */
        next = *f;
        uaddr_t thunk = thunk_of(b, FRAME_PC(f));
        if (thunk == 0)
            return false;
        FRAME_PC(&next) = thunk;
    }
    *f = next;
    return true;
}
