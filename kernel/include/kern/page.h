/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Physical memory: buddy allocator over the platform's ranges, with per-CPU
 * caches of single pages. A `struct page` describes each page; the array of them
 * is made lazily, one chunk of memory at a time, when that chunk is first used.
 *
 * May be called by threads and bottom halves, not by interrupt handlers. An
 * allocation made with bottom halves disabled counts as ALLOC_ATOMIC. When
 * nothing is left the answer is NULL: callers turn it into ENOMEM.
 */
#ifndef KERN_PAGE_H
#define KERN_PAGE_H

#include "base/list.h"
#include "kern/atomic.h"
#include "kern/plat.h"

#define PAGE_MAX_ORDER 10 /* 4 MiB */

/* PAGE_PCP: free, in a CPU's cache. Set with page_set_kind(), which keeps the statistics. */
enum page_kind { PAGE_FREE, PAGE_KERNEL, PAGE_SLAB, PAGE_ANON, PAGE_CACHE, PAGE_TABLE, PAGE_RESERVED, PAGE_PCP, PAGE_KINDS };

/* flags, atomic */
#define PG_UPTODATE 1u
#define PG_DIRTY 2u
#define PG_LOCKED 4u    /* being read or written */
#define PG_REFERENCED 16u
#define PG_ZEROED 32u   /* free page known to be zero */
#define PG_LRU 64u      /* page cache: on the replacement list */
#define PG_WAITERS 128u /* page cache: someone sleeps until PG_LOCKED is clear */
#define PG_PATCHED 256u /* private copy of text with call sites replaced: kern/callsite.h */
#define PG_DEVICE 512u  /* of page_add_device() */

struct mapping;

/* One cache line. */
struct page {
    u32 flags;           /* atomic */
    u8 kind, order;
    u8 counted;          /* the kind under which statistics hold it */
    u8 reserved;
    struct refcount refs;
    u32 map_count;       /* atomic: address-space mappings of a cache page */
    struct list node;    /* free list, LRU, a slab's list: by kind */
    union {
        struct mapping *mapping; /* PAGE_CACHE */
        void *slab;              /* PAGE_SLAB: struct kmem_cache */
        void *owner;
    };
    u64 index;           /* PAGE_CACHE: page index in the file; PAGE_SLAB: private */
    u64 private;
    paddr_t phys;        /* constant */
} ALIGNED(64);
_Static_assert(sizeof(struct page) == 64, "one cache line");

#define ALLOC_ZERO 1u
#define ALLOC_ATOMIC 2u   /* do not sleep or reclaim; may use the reserve */
#define ALLOC_NORETRY 4u  /* fail rather than reclaim */

void page_init(void); /* from plat_memory(); the boot CPU's struct percpu must be ready */
void page_init_cpu(void); /* on every other CPU: gives it a page cache of its own */
/* 2^order pages, refs = 1, or NULL. */
struct page *page_alloc(unsigned order, unsigned flags);
void page_free(struct page *p, unsigned order);
static inline struct page *page_get(struct page *p) { ref_get(&p->refs); return p; }
void page_put(struct page *p); /* frees at zero, with the order it was allocated with */
void page_split(struct page *p); /* a block with one reference becomes single pages of the same kind, one reference each */
void page_free_list(struct list *pages); /* single pages or blocks without references, linked by node */

struct page *page_of(paddr_t pa);              /* of an allocated page; NULL when pa is not such memory */
/*
 * Read-only memory of a device, or RAM that plat_memory() does not name, reachable through the direct map: its pages can be in
 * the page cache and in programs without a copy, but are never allocated, freed or counted. One range; no RAM may share the last
 * 4 MiB (1 << PAGE_MAX_ORDER pages, aligned) with it behind its end. 0, -EBUSY, -EINVAL, -E2BIG.
 */
int page_add_device(paddr_t start, u64 len_bytes);
/* The page at pa of such memory, to be put into a mapping that nobody else has put it into: sets its mapping. NULL: it is
 * in one already, or there is no memory for its struct page. Thread context. */
struct page *page_claim_device(paddr_t pa, struct mapping *m);
void page_set_kind(struct page *p, enum page_kind kind);
void page_clear(void *kva);                    /* zero PAGE_SIZE bytes */
void page_copy(void *dst, const void *src);    /* copy PAGE_SIZE bytes */
static inline paddr_t page_phys(const struct page *p) { return p->phys; }
static inline void *page_virt(const struct page *p) { return phys_to_virt(page_phys(p)); }
static inline struct page *virt_to_page(const void *v) { return page_of(virt_to_phys(v)); }

struct mem_stats {
    u64 total_pages, free_pages, slab_pages, anon_pages, cache_pages, table_pages, kernel_pages;
};
void page_stats(struct mem_stats *ret);
/* Free pages, roughly (per-CPU caches left out); cheap. */
u64 page_available(void);
/* There is none for those that can sleep; the reserve is left. */
bool page_exhausted(void);
/* Free memory is below an eighth of all: be thrifty with optional memory. */
bool page_scarce(void);

/* Give memory back when it is short: registered by whoever holds droppable
 * pages. Returns the number of pages freed; called without locks, may sleep. */
struct shrinker {
    struct list node;
    size_t (*shrink)(size_t pages_wanted);
};
void shrinker_register(struct shrinker *s);
/* Ask the shrinkers for n pages; returns how many came. Thread context, no spinlock held. */
size_t page_reclaim(size_t n);

/* For tests: when set and it returns true, an allocation of pages or objects fails. */
extern bool (*alloc_fail_hook)(void);
static inline bool alloc_must_fail(void) { return unlikely(alloc_fail_hook != NULL) && alloc_fail_hook(); }

#endif
