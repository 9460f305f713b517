/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-blk against a disk in memory. */
#include "fake.h"
#include "kern/blkdev.h"
#include "kern/drivers.h"

#define DISK_BYTES (1u << 20)

static struct fake f;
static u8 *disk;
static unsigned requests, flushes, largest;
static u8 answer; /* status byte given to all but GET_ID */

static void serve(struct fake *d, struct fake_chain *c)
{
    struct { u32 type, reserved; u64 sector; } h;
    u8 status = answer;
    u32 written = 1;
    fake_copy_out(c, 0, &h, 16);
    requests++;
    largest = MAX(largest, c->nout + c->nin);
    u64 off = h.sector * 512;
    switch (h.type) {
    case 0:
        for (unsigned i = 0; i < c->nin - 1; i++) {
            CHECK(off + c->seg[c->nout + i].len <= DISK_BYTES);
            fake_copy_in(c, i, disk + off, c->seg[c->nout + i].len);
            off += c->seg[c->nout + i].len;
            written += c->seg[c->nout + i].len;
        }
        break;
    case 1:
        for (unsigned i = 1; i < c->nout; i++) {
            CHECK(off + c->seg[i].len <= DISK_BYTES);
            fake_copy_out(c, i, disk + off, c->seg[i].len);
            off += c->seg[i].len;
        }
        break;
    case 4: flushes++; break;
    case 8:
        fake_copy_in(c, 0, "root\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
        status = 0;
        break;
    default: CHECK(0);
    }
    fake_copy_in(c, c->nin - 1, &status, 1);
    fake_finish(d, 0, c->head, written);
}

static struct blkdev *start(u64 features)
{
    disk = kmalloc(DISK_BYTES, 0);
    for (unsigned i = 0; i < DISK_BYTES; i++)
        disk[i] = (u8)(i / 512 * 7 + i);
    fake_init(&f, VIRTIO_ID_BLK, features);
    *(u64 *)(void *)f.config = DISK_BYTES / 512;
    *(u32 *)(void *)(f.config + 12) = 254;
    f.serve = serve;
    answer = 0;
    fake_start(&f);
    CHECK_EQ(virtio_blk_driver.probe(&f.vd), 0);
    struct blkdev *b = blkdev_find("root");
    CHECK(b != NULL);
    CHECK_STR(b->name, "vda");
    CHECK_EQ(b->size_bytes, DISK_BYTES);
    return b;
}

#define ALL (VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC | 1u << 9)

static void read_and_write(u64 features)
{
    struct blkdev *b = start(features);
    u8 *buf = kmalloc(8192, 0);
    CHECK_EQ(blk_rw(b, BLK_READ, 512 * 3, buf, 8192), 0);
    CHECK_MEM(buf, disk + 512 * 3, 8192);
    memset(buf, 0x5a, 8192);
    CHECK_EQ(blk_rw(b, BLK_WRITE, 4096, buf, 8192), 0);
    CHECK_MEM(buf, disk + 4096, 8192);
    CHECK_EQ(blk_rw(b, BLK_FLUSH, 0, NULL, 0), 0);
    CHECK_EQ(flushes, (features & 1u << 9) != 0 ? 1 : 0);
    CHECK_EQ(blk_rw(b, BLK_READ, DISK_BYTES - 512, buf, 1024), -EINVAL);
    CHECK_EQ(blk_rw(b, BLK_READ, 5, buf, 512), -EINVAL);
    CHECK_EQ(blk_rw(b, BLK_READ, 0, buf, 100), -EINVAL);
    CHECK_EQ(blk_rw(b, BLK_READ, UINT64_MAX - 511, buf, 512), -EINVAL);
    answer = 1;
    CHECK_EQ(blk_rw(b, BLK_READ, 0, buf, 512), -EIO);
    answer = 0;
    CHECK_EQ(b->errors, 1);
    struct page *pages[80]; /* scattered: more segments than one request takes */
    for (unsigned i = 0; i < 80; i++)
        pages[i ^ 1] = page_alloc(0, 0);
    CHECK_EQ(blk_read_pages(b, 8192, pages, 80), 0);
    for (unsigned i = 0; i < 80; i++)
        CHECK_MEM(page_virt(pages[i]), disk + 8192 + i * PAGE_SIZE, PAGE_SIZE);
    f.on = false;
}

TEST(read_and_write) { read_and_write(ALL); }
TEST(read_and_write_plain) { read_and_write(0); }

static unsigned finished, failed;
static void one_done(struct blk_req *r)
{
    finished++;
    failed += r->status != 0;
}

TEST(many_in_flight)
{
    struct blkdev *b = start(ALL);
    enum { N = 100 };
    struct blk_req *reqs = kzalloc(sizeof(*reqs) * N);
    u8 *buf = kmalloc(N * 4096, 0);
    for (unsigned i = 0; i < N; i++) {
        reqs[i].op = BLK_READ;
        reqs[i].off_bytes = i * 4096;
        reqs[i].nsegs = i % 7 == 0 ? 8 : i % 5 == 0 ? 1 : 4;
        for (unsigned s = 0; s < reqs[i].nsegs; s++)
            reqs[i].segs[s] = (struct blk_seg){ virt_to_phys(buf + i * 4096) + s * (4096 / reqs[i].nsegs),
                                                4096 / reqs[i].nsegs };
        reqs[i].done = one_done;
        CHECK_EQ(blk_submit(b, &reqs[i]), 0);
    }
    fake_sleep(NSEC_PER_MSEC * 50);
    CHECK_EQ(finished, N);
    CHECK_EQ(failed, 0);
    CHECK_MEM(buf, disk, N * 4096);
    f.on = false;
}

TEST(read_only_disks_refuse_writes)
{
    struct blkdev *b = start(ALL | 1u << 5);
    u8 *buf = kzalloc(512);
    CHECK(b->read_only);
    CHECK_EQ(blk_rw(b, BLK_WRITE, 0, buf, 512), -EROFS);
    f.on = false;
}

static void nonsense(struct fake *d)
{
    static unsigned steps;
    if (++steps == 3) {
        fake_finish(d, 0, 0xfffff, 0);
        fake_interrupt(d, false);
    }
}

TEST(a_broken_device_fails_everything)
{
    struct blkdev *b = start(ALL);
    enum { N = 40 };
    struct blk_req *reqs = kzalloc(sizeof(*reqs) * N);
    u8 *buf = kmalloc(4096, 0);
    f.held = 1000000;
    f.step = nonsense;
    for (unsigned i = 0; i < N; i++) {
        reqs[i] = (struct blk_req){ .op = BLK_READ, .nsegs = 1, .done = one_done };
        reqs[i].segs[0] = (struct blk_seg){ virt_to_phys(buf), 512 };
        CHECK_EQ(blk_submit(b, &reqs[i]), 0);
    }
    fake_sleep(NSEC_PER_MSEC);
    CHECK_EQ(finished, N);
    CHECK_EQ(failed, N);
    CHECK_EQ(blk_rw(b, BLK_READ, 0, buf, 512), -EIO);
    f.on = false;
}
