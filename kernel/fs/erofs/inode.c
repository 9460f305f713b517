/* SPDX-License-Identifier: Apache-2.0 */
/* EROFS inodes: decode, check everything, then make a struct inode. */
#include "erofs_impl.h"

static s64 erofs_readlink(struct inode *i, char *buf, size_t size)
{
    u64 len = MIN(inode_size(i), (u64)size), done = 0;
    while (done < len) {
        u64 off, n;
        int err = erofs_map(i, done, &off, &n);
        if (err != 0)
            return err;
        n = MIN(n, len - done);
        if (off == EROFS_HOLE)
            return -EUCLEAN;
        err = erofs_meta_copy(erofs_fs(i), off, buf + done, n);
        if (err != 0)
            return err;
        done += n;
    }
    return (s64)len;
}

const struct inode_ops erofs_inode_ops = {.getxattr = erofs_getxattr, .listxattr = erofs_listxattr};
const struct inode_ops erofs_link_inode_ops = {
    .readlink = erofs_readlink,
    .getxattr = erofs_getxattr,
    .listxattr = erofs_listxattr,
};

/* Linux's "new" encoding of device numbers in 32 bits */
static u64 decode_rdev(u32 v) { return MKDEV((v >> 8) & 0xfff, (v & 0xff) | ((v >> 12) & 0xfff00)); }

/* Where the contents lie: E3. `end` = first byte behind inode and xattrs. */
static int decode_layout(struct erofs_fs *fs, struct erofs_inode *e, u64 size, u64 end, u32 u)
{
    u64 block = 1ULL << fs->block_bits;
    if (size > INT64_MAX)
        return -EUCLEAN;
    switch (e->layout) {
    case EROFS_PLAIN:
        e->data_off = (u64)u << fs->block_bits;
        return size == 0 || range_inside(e->data_off, size, fs->size_bytes) ? 0 : -EUCLEAN;
    case EROFS_INLINE:
        e->data_off = (u64)u << fs->block_bits;
        e->tail_off = end;
        e->tail_start = size == 0 ? 0 : ALIGN_DOWN(size - 1, block);
        if (size == 0)
            return 0;
        if (e->tail_start != 0 && !range_inside(e->data_off, e->tail_start, fs->size_bytes))
            return -EUCLEAN;
        /* the tail stays inside one block */
        if ((end & (block - 1)) + (size - e->tail_start) > block)
            return -EUCLEAN;
        return range_inside(end, size - e->tail_start, fs->size_bytes) ? 0 : -EUCLEAN;
    case EROFS_CHUNKED: {
        u32 format = u & 0xffff;
        if ((format & ~0x3fu) != 0)
            return -EUCLEAN;
        unsigned bits = fs->block_bits + (format & 31);
        if (bits > 62)
            return -EUCLEAN;
        e->chunk_bits = (u8)bits;
        e->chunk_indexes = (format & 0x20) != 0;
        u64 unit = e->chunk_indexes ? 8 : 4;
        u64 chunks = size == 0 ? 0 : ((size - 1) >> bits) + 1;
        e->tail_off = ALIGN_UP(end, unit);
        if (chunks > fs->size_bytes / unit || !range_inside(e->tail_off, chunks * unit, fs->size_bytes))
            return -EUCLEAN;
        return 0;
    }
    default:
        return -EOPNOTSUPP; /* compressed */
    }
}

/* Read inode `nid` into i and e. */
static int decode(struct erofs_fs *fs, u64 nid, struct inode *i, struct erofs_inode *e)
{
    struct erofs_disk_inode d;
    u64 off;
    if (nid > (UINT64_MAX >> 6) || checked_add(fs->meta_off, nid * 32, &off))
        return -EUCLEAN;
    memset(&d, 0, sizeof(d));
    int err = erofs_meta_copy(fs, off, &d, 32);
    if (err != 0)
        return err;
    bool extended = (d.format & 1) != 0;
    if ((d.format & ~0xfu) != 0)
        return -EUCLEAN;
    if (extended && (err = erofs_meta_copy(fs, off, &d, 64)) != 0)
        return err;
    e->layout = (d.format >> 1) & 7;
    e->xattr_bytes = d.xattr_count != 0 ? 12 + 4 * (d.xattr_count - 1u) : 0;
    e->xattr_off = off + (extended ? 64 : 32);
    if (!range_inside(e->xattr_off, e->xattr_bytes, fs->size_bytes))
        return -EUCLEAN;
    i->ino = nid;
    i->mode = d.mode;
    i->nlink = extended ? d.nlink : d.nlink_or_reserved;
    i->uid = extended ? d.x.uid : d.c.uid;
    i->gid = extended ? d.x.gid : d.c.gid;
    u64 mtime = fs->build_ns;
    if (extended && d.mtime < UINT64_MAX / NSEC_PER_SEC - 1)
        mtime = d.mtime * NSEC_PER_SEC + MIN(d.mtime_nsec, (u32)NSEC_PER_SEC - 1);
    i->atime_ns = i->mtime_ns = i->ctime_ns = i->btime_ns = mtime;
    u64 size = extended ? d.size : d.compact.size;
    if (i->nlink == 0)
        return -EUCLEAN; /* a name leads here */
    switch (i->mode & S_IFMT) {
    case S_IFREG:
        i->ops = &erofs_inode_ops;
        i->fops = &generic_file_ops;
        i->mapping.ops = fs->dev->direct != 0 ? &erofs_data_direct_ops : &erofs_data_ops;
        break;
    case S_IFDIR:
        i->ops = &erofs_dir_inode_ops;
        i->fops = &erofs_dir_ops;
        break;
    case S_IFLNK:
        if (size == 0 || size >= PATH_MAX)
            return -EUCLEAN;
        i->ops = &erofs_link_inode_ops;
        break;
    case S_IFCHR:
    case S_IFBLK:
        i->rdev = decode_rdev(d.u);
        /* fall through */
    case S_IFIFO:
    case S_IFSOCK:
        i->ops = &erofs_inode_ops;
        return 0;
    default:
        return -EUCLEAN;
    }
    err = decode_layout(fs, e, size, e->xattr_off + e->xattr_bytes, d.u);
    if (err == 0)
        i->mapping.size_bytes = size;
    return err;
}

static struct inode *find_link(struct erofs_fs *fs, u64 nid)
{
    struct rb_node *n = fs->links.node;
    while (n != NULL) {
        struct erofs_inode *e = rb_entry(n, struct erofs_inode, node);
        if (e->inode->ino == nid)
            return ref_get_unless_zero(&e->inode->refs) ? e->inode : NULL;
        n = nid < e->inode->ino ? n->left : n->right;
    }
    return NULL;
}

static bool link_less(const struct rb_node *a, const struct rb_node *b)
{
    return rb_entry(a, struct erofs_inode, node)->inode->ino < rb_entry(b, struct erofs_inode, node)->inode->ino;
}

int erofs_iget(struct superblock *sb, u64 nid, struct inode **ret)
{
    struct erofs_fs *fs = sb->private;
    spin_lock(&fs->lock);
    struct inode *i = find_link(fs, nid);
    spin_unlock(&fs->lock);
    if (i != NULL) {
        *ret = i;
        return 0;
    }
    struct erofs_inode *e = kzalloc(sizeof(*e));
    if (e == NULL)
        return -ENOMEM;
    i = inode_create(sb, 0);
    if (i == NULL) {
        kfree(e);
        return -ENOMEM;
    }
    i->private = e;
    e->inode = i;
    int err = decode(fs, nid, i, e);
    if (err != 0) {
        inode_put(i);
        return err;
    }
    if (i->nlink > 1 && !S_ISDIR(i->mode)) {
        /* another name may have brought it in meanwhile */
        spin_lock(&fs->lock);
        struct inode *other = find_link(fs, nid);
        if (other == NULL) {
            rb_insert(&fs->links, &e->node, link_less);
            e->in_links = true;
        }
        spin_unlock(&fs->lock);
        if (other != NULL) {
            inode_put(i);
            i = other;
        }
    }
    *ret = i;
    return 0;
}
