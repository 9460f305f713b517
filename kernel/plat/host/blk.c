/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Block devices: files of the host. A request is carried out where it is submitted, so done() is called before
 * submit() returns, and the CPU stands still while Linux reads what its page cache does not have.
 */
#include "device.h"

#include "base/str.h"
#include "kern/blkdev.h"
#include "kern/page.h"
#include "kern/slab.h"

struct host_blk {
    struct blkdev blk;
    int fd;
};

/* Move all of it. 0, or -EIO: an error, or the file is shorter than was said. */
static int transfer(int fd, long nr, struct host_iovec *iov, unsigned n, u64 off)
{
    while (n > 0) {
        long r = host_call(nr, (long)fd, (long)iov, (long)n, (long)off, 0L);
        if (r == -EINTR)
            continue;
        if (r <= 0)
            return -EIO;
        off += (u64)r;
        while (n > 0 && (u64)r >= iov->len) {
            r -= (long)iov->len;
            iov++;
            n--;
        }
        if (n > 0) {
            iov->base = (u8 *)iov->base + r;
            iov->len -= (u64)r;
        }
    }
    return 0;
}

static int sync_file(int fd)
{
    long r;
    while ((r = host_call(NR_FDATASYNC, (long)fd)) == -EINTR)
        ;
    return r == 0 ? 0 : -EIO;
}

static int blk_op_run(struct host_blk *b, const struct blk_req *r)
{
    struct host_iovec iov[BLK_MAX_SEGS];
    if (r->op == BLK_FLUSH)
        return b->blk.read_only ? 0 : sync_file(b->fd);
    for (unsigned i = 0; i < r->nsegs; i++)
        iov[i] = (struct host_iovec){ phys_to_virt(r->segs[i].pa), r->segs[i].len_bytes };
    return transfer(b->fd, r->op == BLK_READ ? NR_PREADV : NR_PWRITEV, iov, r->nsegs, r->off_bytes);
}

static int host_blk_submit(struct blkdev *d, struct blk_req *r)
{
    struct host_blk *b = d->driver;
    blk_complete(d, r, blk_op_run(b, r));
    return 0;
}

static const struct blkdev_ops host_blk_ops = { .submit = host_blk_submit };

int host_blk_add(const struct host_device *h)
{
    struct host_blk *b = kzalloc(sizeof(*b));
    if (b == NULL)
        return -ENOMEM;
    b->fd = (int)h->fd;
    b->blk.ops = &host_blk_ops;
    b->blk.driver = b;
    b->blk.size_bytes = h->size_bytes / 512 * 512;
    b->blk.read_only = (h->flags & HOST_READ_ONLY) != 0;
    u64 len;
    paddr_t memory = host_disk_memory(b->fd, &len);
    if (memory != 0 && page_add_device(memory, len) == 0)
        b->blk.direct = memory;
    str_copy(b->blk.serial, h->name, sizeof(b->blk.serial));
    blkdev_register(&b->blk);
    return 0;
}
