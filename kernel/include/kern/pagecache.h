/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page cache: pages of a file (or any object) by index, shared by read, write
 * and mmap. A `struct mapping` is embedded in its owner (an inode); the owner
 * supplies operations and knows nothing of page replacement.
 *
 * Invariants: (1) a page found in a mapping is referenced by the mapping;
 * (2) contents are valid iff PG_UPTODATE; (3) PG_LOCKED excludes readers of the
 * device and truncation, not readers of valid contents; (4) a page with
 * PG_DIRTY is never dropped, nor is one of a mapping without ops->read;
 * (5) page->mapping is NULL from the moment a page leaves its mapping, and only
 * then is it unmapped from programs: a fault that holds such a page looks again.
 *
 * Locks, in order: as->lock, PG_LOCKED, mapping->lock, as->pt_lock, the lock of the
 * replacement list (which takes mapping->lock the other way round by trying).
 */
#ifndef KERN_PAGECACHE_H
#define KERN_PAGECACHE_H

#include "base/list.h"
#include "kern/lock.h"
#include "kern/page.h"
#include "kern/uio.h"

struct mapping;

#define MAPPING_READ_MAX 128u

struct mapping_ops {
    /* Fill n pages with consecutive indices starting at index; all locked and
     * not up to date. Bytes past the end of the object are zero. 0 or -errno.
     * NULL = new pages are zero (tmpfs). */
    int (*read)(struct mapping *m, u64 index, struct page **pages, unsigned n);
    /* Where the page at index lies whole in a device's own memory (kern/page.h: page_add_device()); 0 = it has to be
     * read. NULL = it always has. */
    paddr_t (*direct)(struct mapping *m, u64 index);
    /* Write one locked page back. NULL = pages are never clean-able (tmpfs: kept until truncated).
     * Also called while memory is reclaimed: takes no lock that is held across sleeping allocations. */
    int (*write)(struct mapping *m, struct page *page);
    unsigned read_max; /* pages that one read() may be for, where each costs a long wait: at most MAPPING_READ_MAX; 0 = the usual 32 */
};

struct mapping {
    const struct mapping_ops *ops;
    void *host;             /* the owner */
    struct spinlock lock;   /* guards tree and counts */
    void *tree;             /* radix tree of struct page * */
    u32 tree_height;
    u64 page_count;
    u64 size_bytes;         /* of the object; read-ahead and mmap stop here */
    struct list vmas;       /* areas that map it (vma->mapping_node), under lock */
    u32 writable_maps;      /* shared writable areas; under lock */
    u32 ra_pages;           /* size of the last read-ahead; a guess, under lock */
    u64 ra_next;            /* where it ended */
    u64 dirty_pages;        /* atomic */
};

void mapping_init(struct mapping *m, const struct mapping_ops *ops, void *host);
/* Drop every page (object deleted). */
void mapping_done(struct mapping *m);

/* The page at index, valid and referenced, reading it (with read-ahead) if need
 * be. -EIO and others from ops->read, -ENOMEM. Past size_bytes: -ENXIO unless `create`. */
int mapping_get(struct mapping *m, u64 index, bool create, struct page **ret_page);
/* Only if present and up to date; NULL otherwise. Does not sleep. */
struct page *mapping_peek(struct mapping *m, u64 index);
u64 mapping_next(struct mapping *m, u64 index); /* of the first page that is there, at or after index; UINT64_MAX: there is none */
void mapping_mark_dirty(struct page *p); /* the caller keeps the mapping alive */
/* Bring [index, index + n) in, as far as the object reaches; errors show when the pages are used. */
void mapping_prefetch(struct mapping *m, u64 index, u64 n);
/* Cut to size: pages beyond go (unmapped from programs first), the last one's tail is zeroed. */
void mapping_truncate(struct mapping *m, u64 new_size);
/* Drop pages wholly inside [start, end) (hole punching). */
void mapping_punch(struct mapping *m, u64 start, u64 end);
int mapping_sync(struct mapping *m);

/* The device holds these bytes by now: the pages that are there take them, and the size grows to their end. For
 * file systems that write through; the caller holds the inode's lock. */
void mapping_update(struct mapping *m, u64 off, const void *data, u64 len);

/* Generic read and write through the cache. Return bytes moved (short at the end
 * of the object) or -errno. The write extends size_bytes; the caller holds the inode's lock. */
s64 mapping_read(struct mapping *m, u64 off, struct uio *u);
s64 mapping_write(struct mapping *m, u64 off, struct uio *u);

void pagecache_init(void); /* registers its shrinker */

#endif
