/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files in memory: tmpfs itself, and the upper layer of overlay, which is a
 * tmpfs whose inodes may have a lower one behind them.
 *
 * Names are pinned dentries (dentry_pin): the name cache *is* the directory. Data are
 * pages of the inode's mapping that nothing can write back, so they stay.
 *
 * Invariants: (T1) fs->used_pages is the sum of all inodes' `charged`; (T2) charged
 * follows mapping.page_count at every call that may change it (tmpfs_charge); pages
 * that arrive by mmap are counted at the next such call.
 */
#ifndef TMPFS_IMPL_H
#define TMPFS_IMPL_H

#include "../fs_impl.h"
#include "base/rbtree.h"

struct tmpfs_xattr {
    struct list node;
    size_t size;
    char *value;
    char name[];
};

/* What a new inode of each kind does; overlay has its own. */
struct tmpfs_tables {
    const struct inode_ops *dir, *file, *link, *special;
    const struct file_ops *dir_fops, *file_fops;
};

struct tmpfs_fs {
    const struct tmpfs_tables *tables;
    u64 max_pages, used_pages; /* used: atomic */
    u64 max_inodes, inodes;    /* 0: no bound; inodes: atomic */
    u64 next_ino;              /* atomic */
    struct superblock *lower;  /* overlay; holds an active reference */
    struct spinlock lock;
    struct rb_root by_lower;   /* lock: overlay inodes by the lower one's number */
};

struct tmpfs_inode {
    struct list xattrs;        /* inode->lock */
    size_t xattr_bytes;
    char *link;                /* symbolic links made here */
    u64 charged;               /* pages; atomic */
    /* overlay (overlay.c) */
    struct rb_node node;       /* fs->lock; linked iff lower != NULL */
    struct inode *inode;
    struct inode *lower;       /* referenced, or NULL */
    u64 lower_valid;           /* bytes of lower's data that are still ours; inode->lock */
    bool kept;                 /* changed: holds a reference to itself while it has names */
    bool copied;               /* data come from our mapping, not from lower's */
    bool xattrs_copied;
};

static inline struct tmpfs_fs *tmpfs_fs(const struct inode *i) { return i->sb->private; }
static inline struct tmpfs_inode *tmpfs_i(const struct inode *i) { return i->private; }

extern const struct mapping_ops tmpfs_mapping_ops;
extern const struct tmpfs_tables tmpfs_tables;

int tmpfs_super(const char *type, const char *options, struct superblock **ret);

/* The value of a mount option. 0 or -EINVAL. */
int tmpfs_parse_number(const char *v, size_t len, unsigned base, u32 *ret);
int tmpfs_parse_options(struct tmpfs_fs *fs, const char *data, u32 *mode, u32 *uid, u32 *gid);
bool tmpfs_has_file(const struct inode *i); /* a regular one, and no memfd */
/* NULL: no memory, or as many as the mount allows. */
struct inode *tmpfs_inode_create(struct superblock *sb, const struct inode *dir, u32 mode, const struct cred *c);
void tmpfs_evict(struct inode *i);
int tmpfs_statfs(struct superblock *sb, struct kstatfs *s);
void tmpfs_charge(struct inode *i);
/* How many more pages may be used. */
u64 tmpfs_room(const struct tmpfs_fs *fs);

int tmpfs_create(struct inode *dir, struct dentry *d, u32 mode, const struct cred *c);
int tmpfs_mkdir(struct inode *dir, struct dentry *d, u32 mode, const struct cred *c);
int tmpfs_mknod(struct inode *dir, struct dentry *d, u32 mode, u64 rdev, const struct cred *c);
int tmpfs_symlink(struct inode *dir, struct dentry *d, const char *target, const struct cred *c);
int tmpfs_link(struct inode *dir, struct dentry *d, struct inode *target);
int tmpfs_unlink(struct inode *dir, struct dentry *d);
int tmpfs_rmdir(struct inode *dir, struct dentry *d);
int tmpfs_tmpfile(struct inode *dir, u32 mode, const struct cred *c, struct inode **ret);
/* The bookkeeping of a rename that has been checked: link counts, times, dentries. Cannot fail
 * but for -ENOMEM, before any change. */
int tmpfs_rename_apply(struct inode *from_dir, struct dentry *from, struct inode *to_dir, struct dentry *to, u32 flags);
int tmpfs_getattr(struct inode *i, struct kstat *s);
int tmpfs_setattr(struct inode *i, const struct setattr *a);
s64 tmpfs_readlink(struct inode *i, char *buf, size_t size);

s64 tmpfs_write(struct file *f, struct uio *u, u64 *pos);
int tmpfs_fallocate(struct file *f, int mode, u64 off, u64 len);

s64 tmpfs_getxattr(struct inode *i, const char *name, void *buf, size_t size);
int tmpfs_setxattr(struct inode *i, const char *name, const void *val, size_t size, int flags);
s64 tmpfs_listxattr(struct inode *i, char *buf, size_t size);
int tmpfs_removexattr(struct inode *i, const char *name);
void tmpfs_free_xattrs(struct tmpfs_inode *t);

#endif
