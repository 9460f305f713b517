/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of the page cache: pagecache.c, radix.c, reclaim.c, thrash.c. */
#ifndef MM_PAGECACHE_IMPL_H
#define MM_PAGECACHE_IMPL_H

#include "kern/pagecache.h"

/* radix.c: mapping->lock held, tree_peek() apart */
void tree_init(void);
struct page *tree_lookup(const struct mapping *m, u64 index);
int tree_insert(struct mapping *m, u64 index, struct page *p); /* -ENOMEM; the slot is empty */
struct page *tree_remove(struct mapping *m, u64 index);
struct page *tree_next(const struct mapping *m, u64 index); /* the first page at or after index */
bool tree_peek(struct mapping *m, u64 index); /* is there a page? takes the lock */

/* PG_LOCKED */
void page_lock(struct page *p);
bool page_trylock(struct page *p);
void page_unlock(struct page *p);
void page_wait_unlocked(struct page *p);

/* Take a page out of tree and list. mapping->lock held; the mapping's reference stays with the caller. */
void cache_remove_locked(struct mapping *m, struct page *p);

/* The page at index, read with its neighbours: for faults. As mapping_get(). */
int mapping_get_around(struct mapping *m, u64 index, struct page **ret_page);
/* Those of n pages from index that are valid, referenced; NULL for the others. */
void mapping_peek_run(struct mapping *m, u64 index, unsigned n, struct page **ret_pages);

/* reclaim.c: the replacement list */
void lru_init(void);
void lru_add(struct page **pages, unsigned n);
void lru_remove(struct page *p);

/* thrash.c: no progress for lack of memory */
void thrash_dropped(const struct mapping *m, u64 index); /* by replacement */
bool thrash_refault(const struct mapping *m, u64 index); /* was it dropped just now? Then the time it takes counts: */
void thrash_lost(u64 from_ns, u64 to_ns);
bool thrashing(void);

/* rmap.c: pages [first, last] of m leave every area that maps them, private copies too when
 * even_copies. mapping->lock held. Pages that lost their last reference are put on ret_free. */
void rmap_unmap(struct mapping *m, u64 first, u64 last, bool even_copies, struct list *ret_free);
/* Is the page at index in an area whose memory must stay? mapping->lock held. */
bool rmap_locked(struct mapping *m, u64 index);
/* Shared areas lose the right to write the page at index. mapping->lock held. */
void rmap_protect(struct mapping *m, u64 index);

#endif
