/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EROFS, read-only and uncompressed. On disk (Linux Documentation/filesystems/erofs.rst):
 *
 *   byte 1024    superblock, 128 bytes
 *   meta area    inodes: number N lies at meta_blkaddr * block + 32 * N
 *                  inode (32 compact | 64 extended) | xattrs | inline tail or chunk table
 *   data blocks  a directory block: dirents of 12 bytes sorted by name, then the names
 *
 * Invariants: (E1) no offset from the image is used before range_inside() of
 * fs->size_bytes; (E2) every loop is bounded by a size that was so checked;
 * (E3) a struct erofs_inode that exists has passed all checks of inode.c, so
 * that data.c may trust layout, size and offsets (chunk entries excepted).
 */
#ifndef EROFS_IMPL_H
#define EROFS_IMPL_H

#include "../fs_impl.h"
#include "base/bytes.h"
#include "base/checked.h"
#include "base/rbtree.h"
#include "kern/blkdev.h"

#define EROFS_MAGIC 0xe0f5e1e2u
#define EROFS_SUPER_OFF 1024u

struct erofs_disk_super {
    u32 magic, checksum, feature_compat;
    u8 block_bits, ext_slots;
    u16 root_nid;
    u64 inode_count, build_time;
    u32 build_time_nsec, blocks, meta_block, xattr_block;
    u8 uuid[16], volume_name[16];
    u32 feature_incompat;
    u16 compr_algs, extra_devices, device_slot;
    u8 dir_block_bits, xattr_prefix_count;
    u32 xattr_prefix_start;
    u64 packed_nid;
    u8 reserved[24];
} PACKED;
_Static_assert(sizeof(struct erofs_disk_super) == 128, "superblock");

#define EROFS_COMPAT_CHECKSUM 1u
#define EROFS_INCOMPAT_ZERO_PADDING 1u
#define EROFS_INCOMPAT_CHUNKED 4u

enum erofs_layout { EROFS_PLAIN = 0, EROFS_COMPRESSED_FULL = 1, EROFS_INLINE = 2, EROFS_COMPRESSED = 3, EROFS_CHUNKED = 4 };

/* The compact form is the first 32 bytes with other meanings: see inode.c. */
struct erofs_disk_inode {
    u16 format, xattr_count, mode, nlink_or_reserved;
    union {
        struct { u32 size, reserved; } compact;
        u64 size;
    };
    u32 u;   /* block address, device number, or chunk format */
    u32 ino;
    union {
        struct { u16 uid, gid; u32 reserved2; } c;
        struct { u32 uid, gid; } x;
    };
    u64 mtime; /* extended only from here */
    u32 mtime_nsec, nlink;
    u8 reserved[16];
} PACKED;
_Static_assert(sizeof(struct erofs_disk_inode) == 64, "inode");

struct erofs_dirent {
    u64 nid;
    u16 name_off;
    u8 type, reserved;
} PACKED;
_Static_assert(sizeof(struct erofs_dirent) == 12, "dirent");

struct erofs_fs {
    struct blkdev *dev;
    struct mapping meta;     /* the device's bytes, for everything but file data */
    u64 size_bytes;          /* of the file system; not above the device's */
    u64 meta_off, xattr_off;
    u64 build_ns, inode_count;
    u32 blocks;
    u8 block_bits;
    struct spinlock lock;
    struct rb_root links;    /* lock: inodes with several names, by number */
};

struct erofs_inode {
    struct rb_node node;     /* fs->lock; linked iff in_links */
    struct inode *inode;
    u64 data_off;            /* PLAIN, INLINE: where block 0 lies */
    u64 tail_off;            /* INLINE: the last, partial block; CHUNKED: the table */
    u64 tail_start;          /* INLINE: file offset of tail_off */
    u64 xattr_off;
    u32 xattr_bytes;
    u8 layout, chunk_bits;
    bool chunk_indexes, in_links;
};

static inline struct erofs_fs *erofs_fs(const struct inode *i) { return i->sb->private; }
static inline struct erofs_inode *erofs_i(const struct inode *i) { return i->private; }

extern const struct mapping_ops erofs_data_ops, erofs_data_direct_ops; /* read, or mapped: blkdev.direct */
extern const struct inode_ops erofs_dir_inode_ops, erofs_inode_ops, erofs_link_inode_ops;
extern const struct file_ops erofs_dir_ops;

/* Copy metadata. -EUCLEAN outside the file system, -EIO, -ENOMEM. */
int erofs_meta_copy(struct erofs_fs *fs, u64 off, void *buf, size_t len);
/* Pointer to metadata that lies in one page; page_put() when done. */
int erofs_meta_map(struct erofs_fs *fs, u64 off, size_t len, struct page **ret_page, const u8 **ret);
/* Where does byte `off` (< size) of the file lie? *ret_len contiguous bytes from there; *ret_off is
 * EROFS_HOLE for zeros. */
#define EROFS_HOLE UINT64_MAX
int erofs_map(struct inode *i, u64 off, u64 *ret_off, u64 *ret_len);
int erofs_iget(struct superblock *sb, u64 nid, struct inode **ret);
s64 erofs_getxattr(struct inode *i, const char *name, void *buf, size_t size);
s64 erofs_listxattr(struct inode *i, char *buf, size_t size);

#endif
