/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of address spaces: vma.c, mmap.c, remap.c, advise.c, fault.c, rmap.c, addrspace.c. */
#ifndef MM_AS_IMPL_H
#define MM_AS_IMPL_H

#include "kern/addrspace.h"
#include "kern/arch.h"
#include "kern/page.h"

#define STACK_GUARD (256 * PAGE_SIZE) /* below a stack that grows; Linux's stack_guard_gap */

static inline u64 vma_pages(const struct vma *v) { return (v->end - v->start) >> PAGE_SHIFT; }
static inline u64 vma_index(const struct vma *v, uaddr_t va) { return v->pgoff + ((va - v->start) >> PAGE_SHIFT); }
static inline bool vma_private_anon(const struct vma *v)
{
    return v->mapping == NULL && !(v->flags & VMA_SHARED) && (v->ops == NULL || v->ops->fault == NULL);
}
static inline struct vma *vma_prev(const struct vma *v)
{
    struct rb_node *n = rb_prev(&v->node);
    return n != NULL ? rb_entry(n, struct vma, node) : NULL;
}

/* The page at pa if it is of RAM that page_alloc() gave. Others, such as the clock page of the kernel's own data,
 * may be mapped by whoever made a special area; they are neither counted nor referenced. */
static inline struct page *counted_page(paddr_t pa)
{
    struct page *p = page_of(pa);
    return p != NULL && p->kind != PAGE_RESERVED ? p : NULL;
}

/* vma.c: as->lock held for writing */
void vma_init(void);
struct vma *vma_create(const struct vma *like); /* a copy, not linked; NULL when out of memory */
void vma_free(struct vma *v);                   /* never linked; does not close */
void vma_link(struct addrspace *as, struct vma *v);
void vma_unlink(struct vma *v);                 /* goes on as->dead */
void vma_resize(struct vma *v, uaddr_t start, uaddr_t end); /* pgoff follows start */
int vma_split(struct vma *v, uaddr_t at);       /* v keeps the lower part. -ENOMEM */
int vma_isolate(struct vma **v, uaddr_t start, uaddr_t end); /* so much of *v as an area of its own, in *v then. -ENOMEM */
struct vma *vma_merge(struct vma *v);           /* with its neighbours where possible; returns what holds it now */
bool vma_can_merge(const struct vma *low, const struct vma *high);
void vma_set_prot(struct vma *v, u32 prot);
void vma_set_flags(struct vma *v, u32 flags);
bool as_range_free(struct addrspace *as, uaddr_t addr, u64 len);
int as_find_room(struct addrspace *as, u64 len, u64 align, uaddr_t *ret_addr); /* -ENOMEM */
int as_check_limits(const struct addrspace *as, u64 pages, u32 prot, u32 flags); /* 0 or -ENOMEM */
int as_check_limits_over(struct addrspace *as, uaddr_t start, uaddr_t end, u32 prot, u32 flags); /* what lies there goes */
/* May so many pages more be locked; any at all? */
bool as_may_lock(const struct addrspace *as, u64 more_pages);
bool as_may_lock_any(const struct addrspace *as);
/* commit.c: is an area of these promised memory? pages: more, or fewer when negative. May so many more be promised? */
bool commit_counts(u32 prot, u32 flags);
void commit_add(s64 pages);
bool commit_allows(u64 pages);
/* Release as->lock (held for writing), then close the areas that went. */
void as_write_unlock(struct addrspace *as);

/* mmap.c */
int as_unmap_locked(struct addrspace *as, uaddr_t start, uaddr_t end);
/* Round a range to pages: -EINVAL for an unaligned start or overflow; *ret_end is the end. */
int as_range(uaddr_t addr, u64 len, uaddr_t *ret_end);

/* advise.c: bring in what is locked of a range, private pages of its own where it may write. Takes as->lock. Errors: as_populate(). */
int as_populate_locked(struct addrspace *as, uaddr_t addr, u64 len_bytes);

/* rmap.c */
int as_zap(struct addrspace *as, uaddr_t start, uaddr_t end); /* unmap and free pages. as->lock held. -ENOMEM: see plat_unmap() */
void page_add_mappings(struct addrspace *as, struct page *p, u64 n); /* pt_lock held: one mapping more, which has a reference, of n pages side by side of one kind */
void page_drop_mappings(struct addrspace *as, struct page *p, u64 n, struct list *ret_free); /* pt_lock held: one less of each; to be freed are those without references */

/* fault.c */
unsigned hw_rights(const struct vma *v, unsigned access, bool may_write);
bool vma_may_write_now(const struct vma *v); /* may mapped pages of v be given the right to write without a fault? */
/* Make va accessible. as->lock held. `force` ignores the area's rights (debuggers). */
int fault_in(struct vma *v, uaddr_t va, unsigned access, bool force);

/* callsite.c: as->lock held, for writing but in the first two */
void callsite_drop_page(struct addrspace *as, uaddr_t va);                /* if it is a patched one */
void callsite_restore(struct addrspace *as, uaddr_t start, uaddr_t end);  /* original text in the range */
void callsite_forget(struct addrspace *as, uaddr_t start, uaddr_t end);   /* text in the range has gone */
/* Text of a file, as the file has it unless a page was written? */
bool callsite_is_text(const struct vma *v);
struct page *callsite_patched(struct addrspace *as, uaddr_t va); /* the patched page at va, or NULL. pt_lock held, as for the next one */
void callsite_drop_locked(struct addrspace *as, uaddr_t va, struct list *freed); /* if it is a patched one: the next fault brings the original */
bool callsite_is_thunks(const struct vma *v);
void callsite_retire(struct vma *v); /* an area of thunks, or part of it, is about to go */
void callsite_trim(struct addrspace *as);
void callsite_done(struct addrspace *as); /* nothing is mapped any more */
/* For breaks.c, as->lock held for writing, and after the first of them. 0 and false: no memory, or no room near v. */
bool callsite_prepare(struct addrspace *as);
uaddr_t callsite_thunk(struct vma *v, const struct call_site *s, const u8 *original);
uaddr_t callsite_probe(struct addrspace *as, uaddr_t start); /* the thunk of a probe there; 0: none yet */
uaddr_t callsite_make_trampoline(struct vma *v);
uaddr_t callsite_trampoline(struct addrspace *as); /* 0: none yet. Without the lock */

/* breaks.c, returns.c */
extern u32 text_breaks; /* atomic: how many there are */
bool text_broken_slow(const struct vma *v, u64 index);
/* Is page `index` of v's object one whose text has breakpoints? Then text_map_broken() maps it, if it lacks, as map_around() does: 0, AGAIN or -errno. */
static inline bool text_broken(const struct vma *v, u64 index) { return unlikely(atomic_load_relaxed(&text_breaks) != 0) && text_broken_slow(v, index); }
int text_map_broken(struct vma *v, uaddr_t va, struct page *p, unsigned access);
void returns_forked(struct addrspace *from, struct addrspace *to); /* no locks held */
void returns_gone(struct addrspace *as);
#define AGAIN 1 /* of faults: look again */

extern const struct vma_ops anon_shared_ops;
int anon_shared_create(u64 len_bytes, struct map_request *req); /* fills in mapping, object and ops */

#endif
