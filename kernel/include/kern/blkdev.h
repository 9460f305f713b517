/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Block devices: synchronous requests (the caller sleeps) and asynchronous ones.
 * Devices are registered while booting and never go away; their list has its own
 * lock. Statistics are relaxed atomics.
 */
#ifndef KERN_BLKDEV_H
#define KERN_BLKDEV_H

#include "base/list.h"
#include "kern/types.h"

struct page;
struct blkdev;

struct blk_seg {
    paddr_t pa;
    u32 len_bytes; /* multiple of 512 */
};

#define BLK_MAX_SEGS 64

enum blk_op { BLK_READ, BLK_WRITE, BLK_FLUSH };

struct blk_req {
    enum blk_op op;
    u64 off_bytes;        /* multiple of 512 */
    unsigned nsegs;
    struct blk_seg segs[BLK_MAX_SEGS];
    int status;           /* 0 or -EIO, valid in done() */
    void (*done)(struct blk_req *r); /* bottom-half context; required */
    void *ctx;
    struct list node;     /* the driver's */
};

struct blkdev_ops {
    int (*submit)(struct blkdev *b, struct blk_req *r); /* 0; -EIO, -EROFS, -EINVAL: done() is not called. Queues when the ring is full. */
};

struct blkdev {
    struct list node;
    char name[16];        /* "vda"; empty: blkdev_register() finds one */
    char serial[24];      /* virtio-blk ID, how init tells root from volumes */
    const struct blkdev_ops *ops;
    u64 size_bytes;
    bool read_only;
    paddr_t direct;       /* all of it as memory (kern/page.h: page_add_device()); 0 = not */
    void *driver;
    u64 reads, writes, bytes_read, bytes_written, errors;
};

void blkdev_register(struct blkdev *b);
/* For drivers, once for each request that was submitted: status 0 or -EIO, -ENOMEM. Any context. */
void blk_complete(struct blkdev *b, struct blk_req *r, int status);
struct blkdev *blkdev_find(const char *name_or_serial);
struct blkdev *blkdev_first(void);
void blkdev_for_each(void (*fn)(struct blkdev *b, void *ctx), void *ctx);
/* A read-only device of memory that plat_memory() leaves out (kern/page.h: page_add_device()). 0, -ENOMEM. */
int blkdev_add_memory(paddr_t start, u64 len_bytes, const char *serial);
/* Range-checked submit. -EINVAL outside the device. */
int blk_submit(struct blkdev *b, struct blk_req *r);
/* Read or write kernel memory (physically contiguous, e.g. kmalloc) and wait. */
int blk_rw(struct blkdev *b, enum blk_op op, u64 off_bytes, void *buf, u32 len_bytes);
/* Read into n pages and wait. Neighbours in memory are read as one segment. 0, -EIO, -EINVAL. */
int blk_read_pages(struct blkdev *b, u64 off_bytes, struct page **pages, unsigned n);

#endif
