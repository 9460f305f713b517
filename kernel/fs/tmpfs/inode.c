/* SPDX-License-Identifier: Apache-2.0 */
/* tmpfs: inodes and names. Directory operations run with dir->lock held (kern/vfs.h). */
#include "tmpfs_impl.h"

#define DIRENT_BYTES 20u /* what a name adds to a directory's size, as on Linux */

struct inode *tmpfs_inode_create(struct superblock *sb, const struct inode *dir, u32 mode, const struct cred *c)
{
    struct tmpfs_fs *fs = sb->private;
    const struct tmpfs_tables *tables = fs->tables;
    struct tmpfs_inode *t = kzalloc(sizeof(*t));
    if (t == NULL)
        return NULL;
    list_init(&t->xattrs);
    u64 n = atomic_add(&fs->inodes, 1u);
    struct inode *i = fs->max_inodes == 0 || n <= fs->max_inodes ? inode_create(sb, mode) : NULL;
    if (i == NULL) {
        atomic_sub(&fs->inodes, 1u);
        kfree(t);
        return NULL;
    }
    t->inode = i;
    i->private = t;
    i->ino = atomic_add(&fs->next_ino, 1u);
    inode_init_owner(i, dir, mode, c);
    switch (mode & S_IFMT) {
    case S_IFREG:
        i->ops = tables->file;
        i->fops = tables->file_fops;
        i->mapping.ops = &tmpfs_mapping_ops;
        break;
    case S_IFDIR:
        i->ops = tables->dir;
        i->fops = tables->dir_fops;
        i->nlink = 2;
        i->mapping.size_bytes = 2 * DIRENT_BYTES;
        break;
    case S_IFLNK:
        i->ops = tables->link;
        break;
    default:
        i->ops = tables->special;
    }
    return i;
}

void tmpfs_evict(struct inode *i)
{
    struct tmpfs_inode *t = tmpfs_i(i);
    if (t == NULL)
        return;
    atomic_sub(&tmpfs_fs(i)->used_pages, t->charged);
    atomic_sub(&tmpfs_fs(i)->inodes, 1u);
    tmpfs_free_xattrs(t);
    if (S_ISREG(i->mode))
        kfree(i->shared_object); /* memfd.c */
    kfree(t->link);
    kfree(t);
}

static void dir_changed(struct inode *dir, int names)
{
    dir->mapping.size_bytes += (u64)(s64)names * DIRENT_BYTES;
    inode_touch(dir, true);
}

/* The new inode gets its name. */
static void add_name(struct inode *dir, struct dentry *d, struct inode *i)
{
    dentry_attach(d, i);
    dentry_pin(d);
    dir_changed(dir, 1);
}

int tmpfs_create(struct inode *dir, struct dentry *d, u32 mode, const struct cred *c)
{
    struct inode *i = tmpfs_inode_create(dir->sb, dir, mode, c);
    if (i == NULL)
        return -ENOSPC;
    add_name(dir, d, i);
    return 0;
}

int tmpfs_mkdir(struct inode *dir, struct dentry *d, u32 mode, const struct cred *c)
{
    int err = tmpfs_create(dir, d, mode, c);
    if (err == 0)
        dir->nlink++;
    return err;
}

int tmpfs_mknod(struct inode *dir, struct dentry *d, u32 mode, u64 rdev, const struct cred *c)
{
    int err = tmpfs_create(dir, d, mode, c);
    if (err == 0)
        d->inode->rdev = rdev;
    return err;
}

int tmpfs_symlink(struct inode *dir, struct dentry *d, const char *target, const struct cred *c)
{
    char *text = kstrdup(target);
    if (text == NULL)
        return -ENOMEM;
    int err = tmpfs_create(dir, d, S_IFLNK | 0777, c);
    if (err != 0) {
        kfree(text);
        return err;
    }
    tmpfs_i(d->inode)->link = text;
    d->inode->mapping.size_bytes = strlen(text);
    return 0;
}

int tmpfs_link(struct inode *dir, struct dentry *d, struct inode *target)
{
    if (target->nlink == UINT32_MAX)
        return -EMLINK;
    target->nlink++;
    inode_touch(target, false);
    add_name(dir, d, inode_get(target));
    return 0;
}

int tmpfs_unlink(struct inode *dir, struct dentry *d)
{
    d->inode->nlink--;
    inode_touch(d->inode, false);
    dir_changed(dir, -1);
    dentry_unpin(d);
    return 0;
}

int tmpfs_rmdir(struct inode *dir, struct dentry *d)
{
    d->inode->nlink = 0;
    dir->nlink--;
    dir_changed(dir, -1);
    dentry_unpin(d);
    return 0;
}

static int rmdir_checked(struct inode *dir, struct dentry *d)
{
    return dentry_has_children(d) ? -ENOTEMPTY : tmpfs_rmdir(dir, d);
}

int tmpfs_rename_apply(struct inode *from_dir, struct dentry *from, struct inode *to_dir, struct dentry *to, u32 flags)
{
    bool exchange = (flags & RENAME_EXCHANGE) != 0, from_is_dir = S_ISDIR(from->inode->mode);
    struct inode *victim = to->inode;
    bool to_is_dir = victim != NULL && S_ISDIR(victim->mode);
    int err = dentry_move(from, to, exchange);
    if (err != 0)
        return err;
    if (exchange) {
        if (from_dir != to_dir && from_is_dir != to_is_dir) {
            from_dir->nlink += to_is_dir ? 1u : -1u;
            to_dir->nlink += from_is_dir ? 1u : -1u;
        }
        inode_touch(victim, false);
        dir_changed(from_dir, 0);
        dir_changed(to_dir, 0);
        dentry_pin(to);
    } else {
        if (victim != NULL) {
            if (to_is_dir) {
                victim->nlink = 0;
                to_dir->nlink--;
            } else {
                victim->nlink--;
                inode_touch(victim, false);
            }
        }
        dentry_unpin(to);
        if (from_is_dir) {
            from_dir->nlink--;
            to_dir->nlink++;
        }
        dir_changed(from_dir, -1);
        dir_changed(to_dir, victim != NULL ? 0 : 1);
    }
    dentry_pin(from);
    inode_touch(from->inode, false);
    return 0;
}

/* What will be left where `from` is now: a character device 0, 0, which nothing opens. */
static struct dentry *whiteout_create(struct inode *dir, const struct dentry *from, const struct cred *c)
{
    struct dentry *w = dentry_create(from->parent, from->name, from->name_len, from->hash);
    struct inode *i = w != NULL ? tmpfs_inode_create(dir->sb, dir, S_IFCHR, c) : NULL;
    if (i == NULL) {
        dentry_put(w);
        return NULL;
    }
    dentry_attach(w, i);
    return w;
}

static int tmpfs_rename(struct inode *from_dir, struct dentry *from, struct inode *to_dir, struct dentry *to, u32 flags, const struct cred *c)
{
    struct dentry *w = NULL;
    if ((flags & RENAME_EXCHANGE) == 0 && to->inode != NULL && S_ISDIR(to->inode->mode) && dentry_has_children(to))
        return -ENOTEMPTY;
    if ((flags & RENAME_WHITEOUT) != 0 && (w = whiteout_create(from_dir, from, c)) == NULL)
        return -ENOSPC;
    int err = tmpfs_rename_apply(from_dir, from, to_dir, to, flags);
    if (err == 0 && w != NULL) {
        dentry_add(w);
        dentry_pin(w);
        dir_changed(from_dir, 1);
    }
    dentry_put(w);
    return err;
}

int tmpfs_tmpfile(struct inode *dir, u32 mode, const struct cred *c, struct inode **ret)
{
    struct inode *i = tmpfs_inode_create(dir->sb, dir, mode, c);
    if (i == NULL)
        return -ENOSPC;
    i->nlink = 0;
    *ret = i;
    return 0;
}

s64 tmpfs_readlink(struct inode *i, char *buf, size_t size)
{
    size_t n = MIN((size_t)inode_size(i), size);
    memcpy(buf, tmpfs_i(i)->link, n);
    return (s64)n;
}

int tmpfs_getattr(struct inode *i, struct kstat *s)
{
    s->blocks_512 = S_ISREG(i->mode) ? atomic_load_relaxed(&i->mapping.page_count) * (PAGE_SIZE / 512) : 0;
    return 0;
}

int tmpfs_setattr(struct inode *i, const struct setattr *a)
{
    if ((a->valid & SETATTR_MODE) != 0 && memfd_may_chmod(i, a->mode) != 0)
        return -EPERM;
    if ((a->valid & SETATTR_SIZE) != 0) {
        if (!S_ISREG(i->mode))
            return -EINVAL;
        int err = memfd_may_resize(i, a->size);
        if (err != 0)
            return err;
        mapping_truncate(&i->mapping, a->size);
        tmpfs_charge(i);
    }
    inode_apply_attrs(i, a);
    return 0;
}

static int tmpfs_lookup(struct inode *dir, struct dentry *d) { return 0; } /* what is not cached is not there */

static const struct inode_ops dir_ops = {
    .lookup = tmpfs_lookup,
    .create = tmpfs_create,
    .mkdir = tmpfs_mkdir,
    .mknod = tmpfs_mknod,
    .symlink = tmpfs_symlink,
    .link = tmpfs_link,
    .unlink = tmpfs_unlink,
    .rmdir = rmdir_checked,
    .rename = tmpfs_rename,
    .tmpfile = tmpfs_tmpfile,
    .getattr = tmpfs_getattr,
    .setattr = tmpfs_setattr,
    .getxattr = tmpfs_getxattr,
    .setxattr = tmpfs_setxattr,
    .listxattr = tmpfs_listxattr,
    .removexattr = tmpfs_removexattr,
};

static const struct inode_ops file_ops_ = {
    .readlink = tmpfs_readlink, /* VFS asks only symbolic links */
    .getattr = tmpfs_getattr,
    .setattr = tmpfs_setattr,
    .getxattr = tmpfs_getxattr,
    .setxattr = tmpfs_setxattr,
    .listxattr = tmpfs_listxattr,
    .removexattr = tmpfs_removexattr,
};

static s64 tmpfs_read(struct file *f, struct uio *u, u64 *pos)
{
    if (u->remaining == 0)
        file_touch_atime(f); /* as Linux' */
    return generic_file_read(f, u, pos);
}

static const struct file_ops tmpfs_file_ops = {
    .read = tmpfs_read,
    .write = tmpfs_write,
    .seek = generic_file_seek,
    .mmap = generic_file_mmap,
    .fsync = generic_file_fsync,
    .fallocate = tmpfs_fallocate,
};

bool tmpfs_has_file(const struct inode *i) { return i->fops == &tmpfs_file_ops; }

const struct tmpfs_tables tmpfs_tables = {
    .dir = &dir_ops,
    .file = &file_ops_,
    .link = &file_ops_,
    .special = &file_ops_,
    .dir_fops = &generic_dir_ops,
    .file_fops = &tmpfs_file_ops,
};
