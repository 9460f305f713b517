/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EROFS directories: blocks of dirents, each followed by its names. Names are
 * sorted through the whole directory, so a lookup halves blocks by their first
 * name and then the dirents of one block.
 */
#include "erofs_impl.h"

/* One block in memory. */
struct dir_block {
    struct page *page;
    const u8 *bytes;
    u32 len, count;
};

static void block_close(struct dir_block *b) { page_put(b->page); }

static int block_open(struct inode *dir, u64 number, struct dir_block *b)
{
    struct erofs_fs *fs = erofs_fs(dir);
    u64 off = number << fs->block_bits, dev_off, run;
    u64 len = MIN(inode_size(dir) - off, 1ULL << fs->block_bits);
    int err = erofs_map(dir, off, &dev_off, &run);
    if (err == 0 && (dev_off == EROFS_HOLE || run < len))
        err = -EUCLEAN;
    if (err == 0)
        err = erofs_meta_map(fs, dev_off, len, &b->page, &b->bytes);
    if (err != 0)
        return err;
    u32 first = len >= sizeof(struct erofs_dirent) ? get_u16(b->bytes + offsetof(struct erofs_dirent, name_off)) : 0;
    b->len = (u32)len;
    b->count = first / sizeof(struct erofs_dirent);
    if (b->count == 0 || first % sizeof(struct erofs_dirent) != 0 || first >= len) {
        block_close(b);
        return -EUCLEAN;
    }
    return 0;
}

/* Name k of the block. -EUCLEAN unless it lies behind the dirents and inside the block. */
static int block_name(const struct dir_block *b, u32 k, const char **ret, u32 *ret_len)
{
    const u8 *d = b->bytes + k * sizeof(struct erofs_dirent);
    u32 off = get_u16(d + offsetof(struct erofs_dirent, name_off)), end = b->len;
    if (off < b->count * sizeof(struct erofs_dirent) || off >= b->len)
        return -EUCLEAN;
    if (k + 1 < b->count)
        end = get_u16(d + sizeof(struct erofs_dirent) + offsetof(struct erofs_dirent, name_off));
    if (end <= off || end > b->len)
        return -EUCLEAN;
    u32 len = (u32)strnlen((const char *)b->bytes + off, end - off);
    if (len == 0 || len > NAME_MAX)
        return -EUCLEAN;
    *ret = (const char *)b->bytes + off;
    *ret_len = len;
    return 0;
}

/* Sign of (name - entry k). */
static int block_compare(const struct dir_block *b, u32 k, const char *name, u32 len, int *ret)
{
    const char *n;
    u32 n_len;
    int err = block_name(b, k, &n, &n_len);
    if (err != 0)
        return err;
    int c = memcmp(name, n, MIN(len, n_len));
    *ret = c != 0 ? c : (int)len - (int)n_len;
    return 0;
}

static int search_block(const struct dir_block *b, const char *name, u32 len, u64 *ret_nid)
{
    u32 lo = 0, hi = b->count;
    while (lo < hi) {
        u32 mid = lo + (hi - lo) / 2;
        int c, err = block_compare(b, mid, name, len, &c);
        if (err != 0)
            return err;
        if (c == 0) {
            *ret_nid = get_u64(b->bytes + mid * sizeof(struct erofs_dirent));
            return 0;
        }
        if (c < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return -ENOENT;
}

/* The number of the inode called name. */
static int find(struct inode *dir, const char *name, u32 len, u64 *ret_nid)
{
    struct dir_block b;
    u64 blocks = (inode_size(dir) + (1ULL << erofs_fs(dir)->block_bits) - 1) >> erofs_fs(dir)->block_bits;
    u64 lo = 0, hi = blocks; /* the name is in a block >= lo - 1 and < hi */
    while (lo < hi) {
        u64 mid = lo + (hi - lo) / 2;
        int c = 0, err = block_open(dir, mid, &b);
        if (err != 0)
            return err;
        err = block_compare(&b, 0, name, len, &c);
        if (err == 0 && c >= 0) {
            /* here, or further on */
            err = search_block(&b, name, len, ret_nid);
            if (err == -ENOENT)
                err = mid + 1 < hi ? 0 : -ENOENT;
            else
                mid = UINT64_MAX;
        }
        block_close(&b);
        if (err != 0 || mid == UINT64_MAX)
            return err;
        if (c < 0)
            hi = mid;
        else
            lo = mid + 1;
    }
    return -ENOENT;
}

static int erofs_lookup(struct inode *dir, struct dentry *d)
{
    u64 nid = 0;
    struct inode *i;
    int err = find(dir, d->name, d->name_len, &nid);
    if (err == -ENOENT)
        return 0; /* negative */
    if (err == 0)
        err = erofs_iget(dir->sb, nid, &i);
    if (err == 0)
        dentry_attach(d, i);
    return err;
}

const struct inode_ops erofs_dir_inode_ops = {
    .lookup = erofs_lookup,
    .getxattr = erofs_getxattr,
    .listxattr = erofs_listxattr,
};

/* Position: byte offset of the dirent. */
static int erofs_iterate(struct file *f, u64 *pos, struct dir_emit *e)
{
    static const u8 types[] = {DT_UNKNOWN, DT_REG, DT_DIR, DT_CHR, DT_BLK, DT_FIFO, DT_SOCK, DT_LNK};
    struct inode *dir = f->inode;
    unsigned bits = erofs_fs(dir)->block_bits;
    while (*pos < inode_size(dir)) {
        struct dir_block b;
        u64 start = ALIGN_DOWN(*pos, 1ULL << bits);
        int err = block_open(dir, start >> bits, &b);
        if (err != 0)
            return err;
        bool more = true;
        u32 k = (u32)((*pos - start + sizeof(struct erofs_dirent) - 1) / sizeof(struct erofs_dirent));
        for (; k < b.count && more && err == 0; k++) {
            const char *name = NULL;
            u32 len = 0;
            err = block_name(&b, k, &name, &len);
            if (err == 0 && memchr(name, '/', len) != NULL)
                err = -EUCLEAN;
            if (err != 0)
                break;
            const u8 *d = b.bytes + k * sizeof(struct erofs_dirent);
            u8 type = d[offsetof(struct erofs_dirent, type)];
            u64 next = k + 1 < b.count ? start + (k + 1) * sizeof(struct erofs_dirent) : start + (1ULL << bits);
            more = e->emit(e, name, len, get_u64(d), type < sizeof(types) ? types[type] : DT_UNKNOWN, next);
            if (more)
                *pos = next;
        }
        if (err == 0 && more && *pos < start + (1ULL << bits))
            *pos = start + (1ULL << bits); /* a position between the last dirent and the next block */
        block_close(&b);
        if (err != 0 || !more)
            return err;
    }
    return 0;
}

static int erofs_dir_fsync(struct file *f, bool data_only) { return 0; }

const struct file_ops erofs_dir_ops = {
    .iterate = erofs_iterate,
    .seek = generic_dir_seek,
    .fsync = erofs_dir_fsync,
};
