/* SPDX-License-Identifier: Apache-2.0 */
/* Block devices: the registry, range checks, and waiting for a request. See kern/blkdev.h. */
#include "kern/blkdev.h"

#include "base/checked.h"
#include "base/fmt.h"
#include "base/str.h"
#include "kern/bh.h"
#include "kern/page.h"
#include "kern/slab.h"
#include "kern/thread.h"
#include "kern/trace.h"

static struct spinlock blkdevs_lock = SPINLOCK_INIT("blkdevs");
static struct list blkdevs = LIST_INIT(blkdevs); /* blkdevs_lock; entries stay for good */

void blkdev_register(struct blkdev *b)
{
    static unsigned count; /* blkdevs_lock */
    spin_lock(&blkdevs_lock);
    if (b->name[0] == '\0')
        fmt_snprintf(b->name, sizeof(b->name), "vd%c", 'a' + (int)(count++ % 26));
    list_push_back(&blkdevs, &b->node);
    spin_unlock(&blkdevs_lock);
}

struct blkdev *blkdev_find(const char *name_or_serial)
{
    struct blkdev *found = NULL;
    spin_lock(&blkdevs_lock);
    list_for_each(b, &blkdevs, struct blkdev, node) {
        if (strcmp(b->name, name_or_serial) == 0 || strcmp(b->serial, name_or_serial) == 0) {
            found = b;
            break;
        }
    }
    spin_unlock(&blkdevs_lock);
    return found;
}

struct blkdev *blkdev_first(void)
{
    spin_lock(&blkdevs_lock);
    struct blkdev *b = list_empty(&blkdevs) ? NULL : list_first(&blkdevs, struct blkdev, node);
    spin_unlock(&blkdevs_lock);
    return b;
}

void blkdev_for_each(void (*fn)(struct blkdev *b, void *ctx), void *ctx)
{
    /* Entries are only ever appended, so walking without the lock while fn sleeps is safe. */
    list_for_each(b, &blkdevs, struct blkdev, node)
        fn(b, ctx);
}

int blk_submit(struct blkdev *b, struct blk_req *r)
{
    u64 len = 0;
    if (r->nsegs > BLK_MAX_SEGS || (r->op != BLK_FLUSH && r->nsegs == 0))
        return -EINVAL;
    for (unsigned i = 0; i < r->nsegs; i++) {
        if (r->segs[i].len_bytes == 0 || r->segs[i].len_bytes % 512 != 0)
            return -EINVAL;
        len += r->segs[i].len_bytes;
    }
    if (r->off_bytes % 512 != 0 || !range_inside(r->off_bytes, len, b->size_bytes))
        return -EINVAL;
    if (r->op == BLK_WRITE) {
        if (b->read_only)
            return -EROFS;
        atomic_inc_relaxed(&b->writes);
        __atomic_add_fetch(&b->bytes_written, len, __ATOMIC_RELAXED);
    } else if (r->op == BLK_READ) {
        atomic_inc_relaxed(&b->reads);
        __atomic_add_fetch(&b->bytes_read, len, __ATOMIC_RELAXED);
    }
    r->status = 0;
    TRACE(BLOCK_ISSUE, (u64)b->name, r->op, r->off_bytes / 512, len);
    return b->ops->submit(b, r);
}

void blk_complete(struct blkdev *b, struct blk_req *r, int status)
{
    r->status = status;
    if (status != 0)
        atomic_inc_relaxed(&b->errors);
    TRACE(BLOCK_COMPLETE, (u64)b->name, r->op, r->off_bytes / 512, (u64)(s64)status);
    bh_disable();
    r->done(r);
    bh_enable();
}

/* --- waiting ----------------------------------------------------------------- */

struct blk_wait {
    struct blk_req req;
    struct thread *thread;
    u32 done; /* atomic; the waiter's stack is gone as soon as it is set */
};

static void wait_done(struct blk_req *r)
{
    struct blk_wait *w = container_of(r, struct blk_wait, req);
    struct thread *t = thread_get(w->thread);
    atomic_store(&w->done, 1u);
    thread_wake(t);
    thread_put(t);
}

static int submit_and_wait(struct blkdev *b, struct blk_wait *w)
{
    w->req.done = wait_done;
    w->thread = current_thread();
    w->done = 0;
    int err = blk_submit(b, &w->req);
    if (err != 0)
        return err;
    const char *reason = w->thread->wait_reason;
    w->thread->wait_reason = "disk";
    while (atomic_load(&w->done) == 0) {
        thread_prepare_block(false);
        if (atomic_load(&w->done) != 0) {
            thread_cancel_block();
            break;
        }
        thread_block(NEVER_NS);
    }
    w->thread->wait_reason = reason;
    return w->req.status;
}

int blk_rw(struct blkdev *b, enum blk_op op, u64 off_bytes, void *buf, u32 len_bytes)
{
    struct blk_wait *w = kmalloc(sizeof(*w), 0); /* 1 KiB of segments: not for the stack */
    if (w == NULL)
        return -ENOMEM;
    w->req.op = op;
    w->req.off_bytes = off_bytes;
    w->req.nsegs = 0;
    if (op != BLK_FLUSH) {
        w->req.nsegs = 1;
        w->req.segs[0] = (struct blk_seg){ .pa = virt_to_phys(buf), .len_bytes = len_bytes };
    }
    int err = submit_and_wait(b, w);
    kfree(w);
    return err;
}

int blk_read_pages(struct blkdev *b, u64 off_bytes, struct page **pages, unsigned n)
{
    struct blk_wait *w = kmalloc(sizeof(*w), 0);
    if (w == NULL)
        return -ENOMEM;
    int err = 0;
    unsigned i = 0;
    while (i < n && err == 0) {
        w->req.op = BLK_READ;
        w->req.off_bytes = off_bytes + i * PAGE_SIZE;
        w->req.nsegs = 0;
        for (; i < n; i++) {
            paddr_t pa = page_phys(pages[i]);
            struct blk_seg *last = w->req.nsegs > 0 ? &w->req.segs[w->req.nsegs - 1] : NULL;
            if (last != NULL && last->pa + last->len_bytes == pa) {
                last->len_bytes += PAGE_SIZE;
            } else {
                if (w->req.nsegs == BLK_MAX_SEGS)
                    break;
                w->req.segs[w->req.nsegs++] = (struct blk_seg){ .pa = pa, .len_bytes = PAGE_SIZE };
            }
        }
        err = submit_and_wait(b, w);
    }
    kfree(w);
    return err;
}
