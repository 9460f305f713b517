/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An image that lies in memory as a block device. Its pages are mapped as they are (blkdev.direct); what cannot be, such
 * as the end of a file that shares its page with others, is copied.
 */
#include "base/str.h"
#include "kern/blkdev.h"
#include "kern/page.h"
#include "kern/slab.h"

static int memdisk_submit(struct blkdev *b, struct blk_req *r)
{
    const u8 *from = (const u8 *)b->driver + r->off_bytes;
    for (unsigned i = 0; i < r->nsegs; from += r->segs[i++].len_bytes)
        memcpy(phys_to_virt(r->segs[i].pa), from, r->segs[i].len_bytes);
    blk_complete(b, r, 0);
    return 0;
}

int blkdev_add_memory(paddr_t start, u64 len_bytes, const char *serial)
{
    static const struct blkdev_ops ops = { .submit = memdisk_submit };
    struct blkdev *b = kzalloc(sizeof(*b));
    if (b == NULL)
        return -ENOMEM;
    b->ops = &ops;
    b->driver = phys_to_virt(start);
    b->size_bytes = len_bytes / 512 * 512;
    b->read_only = true;
    if (page_add_device(start, ALIGN_DOWN(len_bytes, PAGE_SIZE)) == 0)
        b->direct = start;
    str_copy(b->serial, serial, sizeof(b->serial));
    blkdev_register(b);
    return 0;
}
