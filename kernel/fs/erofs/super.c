/* SPDX-License-Identifier: Apache-2.0 */
/* EROFS: mounting, and the bytes of the device. */
#include "erofs_impl.h"

/* Read n pages from byte `off`; the part behind the file system is zero. */
static int read_device(struct erofs_fs *fs, u64 off, struct page **pages, unsigned n)
{
    unsigned whole = off >= fs->size_bytes ? 0 : (unsigned)MIN((u64)n, (fs->size_bytes - off) >> PAGE_SHIFT);
    int err = whole > 0 ? blk_read_pages(fs->dev, off, pages, whole) : 0;
    for (unsigned k = whole; k < n && err == 0; k++) {
        u64 at = off + ((u64)k << PAGE_SHIFT);
        u64 len = at < fs->size_bytes ? MIN(fs->size_bytes - at, PAGE_SIZE) : 0;
        char *virt = page_virt(pages[k]);
        if (len > 0)
            err = blk_rw(fs->dev, BLK_READ, at, virt, (u32)len);
        memset(virt + len, 0, PAGE_SIZE - len);
    }
    return err;
}

static int meta_read(struct mapping *m, u64 index, struct page **pages, unsigned n)
{
    return read_device(m->host, index << PAGE_SHIFT, pages, n);
}

/* A page of a device that is memory, if all of it is the file system's. */
static paddr_t device_page(const struct erofs_fs *fs, u64 off)
{
    bool whole = IS_ALIGNED(off, PAGE_SIZE) && range_inside(off, PAGE_SIZE, fs->size_bytes);
    return whole ? fs->dev->direct + off : 0;
}

static paddr_t meta_direct(struct mapping *m, u64 index) { return device_page(m->host, index << PAGE_SHIFT); }

static const struct mapping_ops meta_ops = {.read = meta_read};
static const struct mapping_ops meta_direct_ops = {.read = meta_read, .direct = meta_direct};

int erofs_meta_map(struct erofs_fs *fs, u64 off, size_t len, struct page **ret_page, const u8 **ret)
{
    u64 in_page = off & (PAGE_SIZE - 1);
    if (!range_inside(off, len, fs->size_bytes) || in_page + len > PAGE_SIZE)
        return -EUCLEAN;
    int err = mapping_get(&fs->meta, off >> PAGE_SHIFT, false, ret_page);
    if (err == 0)
        *ret = (const u8 *)page_virt(*ret_page) + in_page;
    return err;
}

int erofs_meta_copy(struct erofs_fs *fs, u64 off, void *buf, size_t len)
{
    if (!range_inside(off, len, fs->size_bytes))
        return -EUCLEAN;
    while (len > 0) {
        struct page *p;
        const u8 *src;
        size_t n = MIN(len, PAGE_SIZE - (off & (PAGE_SIZE - 1)));
        int err = erofs_meta_map(fs, off, n, &p, &src);
        if (err != 0)
            return err;
        memcpy(buf, src, n);
        page_put(p);
        buf = (char *)buf + n;
        off += n;
        len -= n;
    }
    return 0;
}

/* Several blocks of a file's data, or its inline tail. */
static int data_read(struct mapping *m, u64 index, struct page **pages, unsigned n)
{
    struct inode *i = m->host;
    struct erofs_fs *fs = erofs_fs(i);
    u64 size = inode_size(i);
    for (unsigned k = 0; k < n;) {
        u64 off = (index + k) << PAGE_SHIFT, dev_off, len;
        char *virt = page_virt(pages[k]);
        if (off >= size) {
            memset(virt, 0, PAGE_SIZE);
            k++;
            continue;
        }
        int err = erofs_map(i, off, &dev_off, &len);
        if (err != 0)
            return err;
        unsigned run = (unsigned)MIN((u64)(n - k), len >> PAGE_SHIFT);
        bool sectors = (dev_off & 511) == 0;
        if (dev_off != EROFS_HOLE && sectors && run > 0) {
            err = read_device(fs, dev_off, pages + k, run);
            if (err != 0)
                return err;
            k += run;
            continue;
        }
        /* a page in pieces: holes, inline tail, the partial last block, small blocks */
        u64 done = 0, want = MIN(size - off, PAGE_SIZE);
        while (done < want) {
            err = erofs_map(i, off + done, &dev_off, &len);
            if (err != 0)
                return err;
            len = MIN(len, want - done);
            if (dev_off == EROFS_HOLE) {
                memset(virt + done, 0, len);
            } else if ((dev_off & 511) == 0 && erofs_i(i)->layout != EROFS_INLINE) {
                err = blk_rw(fs->dev, BLK_READ, dev_off, virt + done, (u32)ALIGN_UP(len, 512u));
            } else {
                err = erofs_meta_copy(fs, dev_off, virt + done, len);
            }
            if (err != 0)
                return err;
            done += len;
        }
        memset(virt + want, 0, PAGE_SIZE - want);
        k++;
    }
    return 0;
}

/* The last block's rest behind the end of the file is zero in images that mkfs.erofs makes; one that lies shows its own bytes. */
static paddr_t data_direct(struct mapping *m, u64 index)
{
    const struct inode *i = m->host;
    const struct erofs_inode *e = erofs_i(i);
    if (e->layout != EROFS_PLAIN || erofs_fs(i)->block_bits != PAGE_SHIFT)
        return 0;
    return device_page(erofs_fs(i), e->data_off + (index << PAGE_SHIFT));
}

const struct mapping_ops erofs_data_ops = {.read = data_read};
const struct mapping_ops erofs_data_direct_ops = {.read = data_read, .direct = data_direct};

int erofs_map(struct inode *i, u64 off, u64 *ret_off, u64 *ret_len)
{
    struct erofs_fs *fs = erofs_fs(i);
    struct erofs_inode *e = erofs_i(i);
    u64 size = inode_size(i);
    ASSERT(off < size);
    if (e->layout == EROFS_PLAIN) {
        *ret_off = e->data_off + off;
        *ret_len = size - off;
        return 0;
    }
    if (e->layout == EROFS_INLINE) {
        bool tail = off >= e->tail_start;
        *ret_off = tail ? e->tail_off + (off - e->tail_start) : e->data_off + off;
        *ret_len = tail ? size - off : e->tail_start - off;
        return 0;
    }
    u64 chunk = off >> e->chunk_bits, in_chunk = off & ((1ULL << e->chunk_bits) - 1);
    u64 len = MIN(size - off, (1ULL << e->chunk_bits) - in_chunk);
    u8 entry[8];
    unsigned unit = e->chunk_indexes ? 8 : 4;
    int err = erofs_meta_copy(fs, e->tail_off + chunk * unit, entry, unit);
    if (err != 0)
        return err;
    u32 block = get_u32(e->chunk_indexes ? entry + 4 : entry);
    *ret_len = len;
    if (block == UINT32_MAX) {
        *ret_off = EROFS_HOLE;
        return 0;
    }
    if (e->chunk_indexes && get_u16(entry + 2) != 0)
        return -EUCLEAN; /* on another device */
    *ret_off = ((u64)block << fs->block_bits) + in_chunk;
    return range_inside(*ret_off, len, fs->size_bytes) ? 0 : -EUCLEAN;
}

/* --- mount ---------------------------------------------------------------------- */

/* CRC-32C, four bits at a time, without the final inversion. */
static u32 crc32c(u32 crc, const u8 *p, size_t n)
{
    static const u32 t[16] = {
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
        0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };
    for (; n > 0; n--, p++) {
        crc = (crc >> 4) ^ t[(crc ^ *p) & 15];
        crc = (crc >> 4) ^ t[(crc ^ (*p >> 4)) & 15];
    }
    return crc;
}

/* The checksum covers the superblock's block with the checksum field taken as zero. */
static int check_checksum(struct erofs_fs *fs, const struct erofs_disk_super *d)
{
    struct page *p;
    const u8 *bytes;
    size_t block = 1u << fs->block_bits, len = block > EROFS_SUPER_OFF ? block - EROFS_SUPER_OFF : block;
    int err = erofs_meta_map(fs, EROFS_SUPER_OFF, len, &p, &bytes);
    if (err != 0)
        return err;
    static const u8 zero[4];
    u32 crc = crc32c(~0u, bytes, 4);
    crc = crc32c(crc, zero, 4);
    crc = crc32c(crc, bytes + 8, len - 8);
    page_put(p);
    return crc == d->checksum ? 0 : -EUCLEAN;
}

static int read_super(struct erofs_fs *fs, struct erofs_disk_super *d)
{
    int err = erofs_meta_copy(fs, EROFS_SUPER_OFF, d, sizeof(*d));
    if (err != 0)
        return err;
    if (d->magic != EROFS_MAGIC || d->block_bits < 9 || d->block_bits > PAGE_SHIFT || d->dir_block_bits != 0)
        return -EINVAL;
    if ((d->feature_incompat & ~(EROFS_INCOMPAT_CHUNKED | EROFS_INCOMPAT_ZERO_PADDING)) != 0)
        return -EINVAL; /* compression and several devices are not for us */
    fs->block_bits = d->block_bits;
    fs->blocks = d->blocks;
    u64 size = (u64)d->blocks << d->block_bits;
    if (size > fs->dev->size_bytes)
        return -EUCLEAN; /* cut off */
    if ((d->feature_compat & EROFS_COMPAT_CHECKSUM) != 0 && (err = check_checksum(fs, d)) != 0)
        return err;
    if (size != 0) /* 0: an image that was not closed properly by its maker; the device bounds it */
        fs->size_bytes = fs->meta.size_bytes = size;
    fs->meta_off = (u64)d->meta_block << d->block_bits;
    fs->xattr_off = (u64)d->xattr_block << d->block_bits;
    fs->inode_count = d->inode_count;
    if (d->build_time < UINT64_MAX / NSEC_PER_SEC - 1)
        fs->build_ns = d->build_time * NSEC_PER_SEC + d->build_time_nsec;
    return 0;
}

static void erofs_evict(struct inode *i)
{
    struct erofs_inode *e = erofs_i(i);
    struct erofs_fs *fs = erofs_fs(i);
    if (e != NULL && e->in_links) {
        spin_lock(&fs->lock);
        rb_remove(&fs->links, &e->node);
        spin_unlock(&fs->lock);
    }
    kfree(e);
}

static int erofs_statfs(struct superblock *sb, struct kstatfs *s)
{
    struct erofs_fs *fs = sb->private;
    s->type = EROFS_MAGIC;
    s->block_size = 1u << fs->block_bits;
    s->blocks = fs->blocks;
    s->files = fs->inode_count;
    return 0;
}

static void erofs_unmount(struct superblock *sb)
{
    struct erofs_fs *fs = sb->private;
    mapping_done(&fs->meta);
    kfree(fs);
}

static const struct super_ops erofs_super_ops = {
    .evict_inode = erofs_evict,
    .statfs = erofs_statfs,
    .unmount = erofs_unmount,
};

static int erofs_mount(const char *source, u64 flags, const char *data, struct superblock **ret)
{
    struct erofs_disk_super d;
    struct inode *root;
    if (source == NULL)
        return -EINVAL;
    if (str_starts_with(source, "/dev/"))
        source += 5;
    struct blkdev *dev = blkdev_find(source);
    if (dev == NULL)
        return -ENODEV;
    struct erofs_fs *fs = kzalloc(sizeof(*fs));
    if (fs == NULL)
        return -ENOMEM;
    fs->dev = dev;
    fs->size_bytes = ALIGN_DOWN(dev->size_bytes, 512u);
    spin_init(&fs->lock, "erofs");
    mapping_init(&fs->meta, fs->dev->direct != 0 ? &meta_direct_ops : &meta_ops, fs);
    fs->meta.size_bytes = fs->size_bytes;
    int err = read_super(fs, &d);
    struct superblock *sb = err == 0 ? super_create("erofs", &erofs_super_ops) : NULL;
    if (sb == NULL) {
        mapping_done(&fs->meta);
        kfree(fs);
        return err != 0 ? err : -ENOMEM;
    }
    sb->private = fs;
    sb->read_only = true;
    err = erofs_iget(sb, d.root_nid, &root);
    if (err == 0 && !S_ISDIR(root->mode)) {
        inode_put(root);
        err = -EUCLEAN;
    }
    if (err == 0 && (sb->root = dentry_create_root(sb, root)) == NULL)
        err = -ENOMEM;
    if (err != 0) {
        super_put(sb);
        return err;
    }
    *ret = sb;
    return 0;
}

const struct fs_type erofs_type = {.name = "erofs", .mount = erofs_mount};
