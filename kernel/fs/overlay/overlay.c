/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Overlay: a writable tree in memory over a read-only file system.
 *
 * There is no separate upper file system. An overlay inode is a tmpfs inode that may
 * have a lower inode behind it:
 *
 *   unchanged   attributes copied at lookup; data, links, attributes read from lower
 *               (mmap and read use lower's page cache); may be forgotten at any time
 *   changed     `kept`: referenced by itself until its last name goes, so that
 *               the changes stay; found again through fs->by_lower
 *   copied      regular files opened for writing: data come from the inode's own mapping,
 *               whose pages are filled from lower page by page as they are needed
 *
 * Names: a pinned positive dentry is a name made here, a pinned negative one a
 * whiteout; any other dentry mirrors lower. A rename therefore moves a lower file or
 * directory without copying, hard links keep their identity, and st_ino never changes.
 *
 * Invariants: (O1) a lower inode has at most one overlay inode (by_lower); (O2) once
 * `copied`, lower's data are used only below lower_valid, which only shrinks; (O3) a
 * directory's lower names are visible unless a pinned dentry covers them.
 *
 * An area that was mapped before its file was copied goes on showing lower's data, as
 * with Linux's overlayfs. The lower file system's lookup() and iterate() must work from
 * the inode alone (EROFS does).
 */
#include "overlay_impl.h"

#define LOWER_POS (1ULL << 62) /* directory positions from here on are lower's */

static const struct tmpfs_tables overlay_tables;

/* --- inodes -------------------------------------------------------------------- */

void overlay_keep(struct inode *i)
{
    struct tmpfs_inode *t = tmpfs_i(i);
    if (t->lower != NULL && !t->kept && i->nlink != 0) {
        t->kept = true;
        inode_get(i);
    }
}

/* The caller holds a reference. */
static void unkeep(struct inode *i)
{
    struct tmpfs_inode *t = tmpfs_i(i);
    if (t->kept) {
        t->kept = false;
        inode_put(i);
    }
}

static struct inode *find_by_lower(struct tmpfs_fs *fs, u64 ino)
{
    struct rb_node *n = fs->by_lower.node;
    while (n != NULL) {
        struct tmpfs_inode *t = rb_entry(n, struct tmpfs_inode, node);
        if (t->lower->ino == ino)
            return ref_get_unless_zero(&t->inode->refs) ? t->inode : NULL;
        n = ino < t->lower->ino ? n->left : n->right;
    }
    return NULL;
}

static bool lower_less(const struct rb_node *a, const struct rb_node *b)
{
    return rb_entry(a, struct tmpfs_inode, node)->lower->ino < rb_entry(b, struct tmpfs_inode, node)->lower->ino;
}

/* The overlay inode of a lower one, whose reference is taken over. */
static int from_lower(struct superblock *sb, struct inode *lower, struct inode **ret)
{
    struct tmpfs_fs *fs = sb->private;
    spin_lock(&fs->lock);
    struct inode *i = find_by_lower(fs, lower->ino);
    spin_unlock(&fs->lock);
    if (i != NULL) {
        inode_put(lower);
        *ret = i;
        return 0;
    }
    i = tmpfs_inode_create(sb, NULL, lower->mode, &kernel_cred);
    if (i == NULL) {
        inode_put(lower);
        return -ENOMEM;
    }
    i->ino = lower->ino;
    i->uid = lower->uid;
    i->gid = lower->gid;
    i->nlink = lower->nlink;
    i->rdev = lower->rdev;
    i->atime_ns = lower->atime_ns;
    i->mtime_ns = lower->mtime_ns;
    i->ctime_ns = lower->ctime_ns;
    i->btime_ns = lower->btime_ns;
    i->mapping.size_bytes = inode_size(lower);
    i->data = lower->data;
    struct tmpfs_inode *t = tmpfs_i(i);
    spin_lock(&fs->lock);
    struct inode *other = find_by_lower(fs, lower->ino);
    if (other == NULL) {
        t->lower = lower;
        rb_insert(&fs->by_lower, &t->node, lower_less);
    }
    spin_unlock(&fs->lock);
    if (other != NULL) {
        inode_put(i);
        inode_put(lower);
        i = other;
    }
    *ret = i;
    return 0;
}

static void overlay_evict(struct inode *i)
{
    struct tmpfs_inode *t = tmpfs_i(i);
    struct inode *lower = NULL;
    if (t != NULL && t->lower != NULL) {
        struct tmpfs_fs *fs = tmpfs_fs(i);
        spin_lock(&fs->lock);
        rb_remove(&fs->by_lower, &t->node);
        spin_unlock(&fs->lock);
        lower = t->lower;
    }
    tmpfs_evict(i);
    inode_put(lower);
}

/* --- looking up ------------------------------------------------------------------ */

/* The lower inode of a name, or NULL; dir->lock held. */
static int lower_find(struct inode *dir, const struct dentry *d, struct inode **ret)
{
    struct inode *lower = tmpfs_i(dir)->lower;
    *ret = NULL;
    if (lower == NULL)
        return 0;
    struct dentry *tmp = dentry_create(lower->sb->root, d->name, d->name_len, d->hash);
    if (tmp == NULL)
        return -ENOMEM;
    mutex_lock(&lower->lock);
    int err = lower->ops->lookup(lower, tmp);
    mutex_unlock(&lower->lock);
    if (err == 0 && tmp->inode != NULL)
        *ret = inode_get(tmp->inode);
    dentry_put(tmp);
    return err;
}

static int overlay_lookup(struct inode *dir, struct dentry *d)
{
    struct inode *lower, *i;
    int err = lower_find(dir, d, &lower);
    if (err != 0 || lower == NULL)
        return err;
    err = from_lower(dir->sb, lower, &i);
    if (err == 0)
        dentry_attach(d, i);
    return err;
}

/* --- removing names ---------------------------------------------------------------- */

/* A negative dentry to put in d's place, if lower has that name; NULL if it has not. */
static int whiteout_prepare(struct inode *dir, struct dentry *d, struct dentry **ret)
{
    struct inode *lower;
    *ret = NULL;
    int err = lower_find(dir, d, &lower);
    if (err != 0 || lower == NULL)
        return err;
    inode_put(lower);
    *ret = dentry_create(d->parent, d->name, d->name_len, d->hash);
    return *ret != NULL ? 0 : -ENOMEM;
}

static void whiteout_place(struct dentry *w)
{
    if (w == NULL)
        return;
    dentry_add(w);
    dentry_pin(w);
    dentry_put(w);
}

struct empty_ctx {
    struct dir_emit e;
    struct dentry *dir;
    bool found;
};

static bool empty_fn(struct dir_emit *e, const char *name, size_t len, u64 ino, u8 type, u64 next)
{
    struct empty_ctx *c = container_of(e, struct empty_ctx, e);
    if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
        return true;
    spin_lock(&dcache_lock);
    struct dentry *d = dcache_find(c->dir, name, len, name_hash(name, len));
    bool covered = d != NULL && d->pinned;
    spin_unlock(&dcache_lock);
    c->found |= !covered;
    return covered;
}

static int lower_iterate(struct inode *lower, u64 *pos, struct dir_emit *e)
{
    struct file f = {.inode = lower, .ops = lower->fops};
    return lower->fops->iterate(&f, pos, e);
}

static bool has_pinned_child(struct dentry *dir)
{
    bool found = false;
    spin_lock(&dcache_lock);
    list_for_each(d, &dir->children, struct dentry, child_node)
        found |= d->inode != NULL && d->pinned;
    spin_unlock(&dcache_lock);
    return found;
}

static int check_empty(struct dentry *d)
{
    struct inode *lower = tmpfs_i(d->inode)->lower;
    struct empty_ctx c = {.e = {.emit = empty_fn}, .dir = d};
    u64 pos = 0;
    if (has_pinned_child(d))
        return -ENOTEMPTY;
    int err = lower != NULL ? lower_iterate(lower, &pos, &c.e) : 0;
    return err != 0 ? err : c.found ? -ENOTEMPTY : 0;
}

/* The whiteouts of a directory that is going away. Its inode lock is held. */
static void drop_whiteouts(struct dentry *dir)
{
    for (;;) {
        struct dentry *w = NULL;
        spin_lock(&dcache_lock);
        list_for_each(d, &dir->children, struct dentry, child_node) {
            if (d->pinned && d->inode == NULL) {
                w = d;
                break;
            }
        }
        spin_unlock(&dcache_lock);
        if (w == NULL)
            return;
        dentry_unhash(w);
        dentry_unpin(w);
    }
}

static void lost_name(struct inode *i)
{
    if (i->nlink == 0)
        unkeep(i);
    else
        overlay_keep(i);
}

static int overlay_unlink(struct inode *dir, struct dentry *d)
{
    struct dentry *w;
    int err = whiteout_prepare(dir, d, &w);
    if (err != 0)
        return err;
    overlay_keep(dir);
    tmpfs_unlink(dir, d);
    lost_name(d->inode);
    dentry_unhash(d);
    whiteout_place(w);
    return 0;
}

static int overlay_rmdir(struct inode *dir, struct dentry *d)
{
    struct dentry *w;
    int err = check_empty(d);
    if (err == 0)
        err = whiteout_prepare(dir, d, &w);
    if (err != 0)
        return err;
    overlay_keep(dir);
    drop_whiteouts(d);
    tmpfs_rmdir(dir, d);
    lost_name(d->inode);
    dentry_unhash(d);
    whiteout_place(w);
    return 0;
}

static int overlay_rename(struct inode *from_dir, struct dentry *from, struct inode *to_dir, struct dentry *to,
                          u32 flags, const struct cred *c)
{
    struct dentry *w = NULL;
    struct inode *victim = to->inode;
    bool exchange = (flags & RENAME_EXCHANGE) != 0;
    if ((flags & RENAME_WHITEOUT) != 0)
        return -EINVAL;
    int err = !exchange && victim != NULL && S_ISDIR(victim->mode) ? check_empty(to) : 0;
    if (err == 0 && !exchange)
        err = whiteout_prepare(from_dir, from, &w);
    if (err != 0)
        return err;
    if (!exchange && victim != NULL && S_ISDIR(victim->mode))
        drop_whiteouts(to);
    overlay_keep(from_dir);
    overlay_keep(to_dir);
    overlay_keep(from->inode);
    if (victim != NULL)
        overlay_keep(victim);
    err = tmpfs_rename_apply(from_dir, from, to_dir, to, flags);
    if (err != 0) {
        dentry_put(w);
        return err;
    }
    if (!exchange && victim != NULL)
        lost_name(victim);
    whiteout_place(w);
    return 0;
}

/* --- adding names -------------------------------------------------------------------- */

static int overlay_create(struct inode *dir, struct dentry *d, u32 mode, const struct cred *c)
{
    overlay_keep(dir);
    return tmpfs_create(dir, d, mode, c);
}

static int overlay_mkdir(struct inode *dir, struct dentry *d, u32 mode, const struct cred *c)
{
    overlay_keep(dir);
    return tmpfs_mkdir(dir, d, mode, c);
}

static int overlay_mknod(struct inode *dir, struct dentry *d, u32 mode, u64 rdev, const struct cred *c)
{
    if (S_ISCHR(mode) && rdev == 0)
        return -EPERM; /* Linux's overlayfs gives no whiteouts away, either */
    overlay_keep(dir);
    return tmpfs_mknod(dir, d, mode, rdev, c);
}

static int overlay_symlink(struct inode *dir, struct dentry *d, const char *target, const struct cred *c)
{
    overlay_keep(dir);
    return tmpfs_symlink(dir, d, target, c);
}

static int overlay_link(struct inode *dir, struct dentry *d, struct inode *target)
{
    overlay_keep(dir);
    overlay_keep(target);
    return tmpfs_link(dir, d, target);
}

/* --- data ------------------------------------------------------------------------------ */

static int overlay_read_pages(struct mapping *m, u64 index, struct page **pages, unsigned n)
{
    struct inode *i = m->host;
    struct tmpfs_inode *t = tmpfs_i(i);
    for (unsigned k = 0; k < n; k++) {
        u64 off = (index + k) << PAGE_SHIFT, valid = atomic_load_relaxed(&t->lower_valid), have = 0;
        char *virt = page_virt(pages[k]);
        if (off < valid) {
            struct page *p;
            int err = mapping_get(t->lower->data, index + k, false, &p);
            if (err != 0)
                return err;
            have = MIN(valid - off, PAGE_SIZE);
            memcpy(virt, page_virt(p), have);
            page_put(p);
        }
        memset(virt + have, 0, PAGE_SIZE - have);
    }
    return 0;
}

static const struct mapping_ops overlay_mapping_ops = {.read = overlay_read_pages};

/* Before the first change of a lower file's data. i->lock held. */
static void copy_up(struct inode *i)
{
    struct tmpfs_inode *t = tmpfs_i(i);
    if (t->lower == NULL || t->copied || !S_ISREG(i->mode))
        return;
    t->lower_valid = inode_size(i);
    i->mapping.ops = &overlay_mapping_ops;
    t->copied = true;
    overlay_keep(i);
    atomic_store(&i->data, &i->mapping);
}

static int overlay_open(struct inode *i, struct file *f)
{
    if (f->can_write) {
        mutex_lock(&i->lock);
        copy_up(i);
        mutex_unlock(&i->lock);
    }
    return 0;
}

static int overlay_setattr(struct inode *i, const struct setattr *a)
{
    struct tmpfs_inode *t = tmpfs_i(i);
    overlay_keep(i);
    if ((a->valid & SETATTR_SIZE) != 0) {
        copy_up(i);
        t->lower_valid = MIN(t->lower_valid, a->size);
    }
    return tmpfs_setattr(i, a);
}

static int overlay_getattr(struct inode *i, struct kstat *s)
{
    struct tmpfs_inode *t = tmpfs_i(i);
    if (t->lower == NULL)
        return tmpfs_getattr(i, s);
    s->blocks_512 = (inode_size(i) + 511) / 512;
    return 0;
}

static s64 overlay_readlink(struct inode *i, char *buf, size_t size)
{
    struct inode *lower = tmpfs_i(i)->lower;
    return lower != NULL ? lower->ops->readlink(lower, buf, size) : tmpfs_readlink(i, buf, size);
}

/* --- reading directories ---------------------------------------------------------------------- */

struct merge_ctx {
    struct dir_emit e, *out;
    struct dentry *dir;
    u64 pos;
    bool full;
};

static bool merge_fn(struct dir_emit *e, const char *name, size_t len, u64 ino, u8 type, u64 next)
{
    struct merge_ctx *c = container_of(e, struct merge_ctx, e);
    if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
        return true;
    spin_lock(&dcache_lock);
    struct dentry *d = dcache_find(c->dir, name, len, name_hash(name, len));
    bool covered = d != NULL && d->pinned;
    spin_unlock(&dcache_lock);
    if (covered)
        return true;
    if (!c->out->emit(c->out, name, len, ino, type, LOWER_POS + next)) {
        c->full = true;
        return false;
    }
    return true;
}

static int overlay_iterate(struct file *f, u64 *pos, struct dir_emit *e)
{
    struct inode *lower = tmpfs_i(f->inode)->lower;
    if (*pos < LOWER_POS) {
        if (dir_emit_dots(f, pos, e) != 0 || dir_emit_children(f, pos, e, true) != 0)
            return 0;
        *pos = LOWER_POS;
    }
    if (lower == NULL)
        return 0;
    struct merge_ctx c = {.e = {.emit = merge_fn}, .out = e, .dir = f->path.dentry};
    u64 lower_pos = *pos - LOWER_POS;
    int err = lower_iterate(lower, &lower_pos, &c.e);
    *pos = LOWER_POS + lower_pos;
    return err;
}

static int overlay_dir_fsync(struct file *f, bool data_only) { return 0; }

/* --- tables -------------------------------------------------------------------------------------- */

static const struct inode_ops overlay_dir_inode_ops = {
    .lookup = overlay_lookup,
    .create = overlay_create,
    .mkdir = overlay_mkdir,
    .mknod = overlay_mknod,
    .symlink = overlay_symlink,
    .link = overlay_link,
    .unlink = overlay_unlink,
    .rmdir = overlay_rmdir,
    .rename = overlay_rename,
    .tmpfile = tmpfs_tmpfile,
    .getattr = overlay_getattr,
    .setattr = overlay_setattr,
    .getxattr = overlay_getxattr,
    .setxattr = overlay_setxattr,
    .listxattr = overlay_listxattr,
    .removexattr = overlay_removexattr,
};

static const struct inode_ops overlay_inode_ops = {
    .readlink = overlay_readlink,
    .getattr = overlay_getattr,
    .setattr = overlay_setattr,
    .getxattr = overlay_getxattr,
    .setxattr = overlay_setxattr,
    .listxattr = overlay_listxattr,
    .removexattr = overlay_removexattr,
};

static const struct file_ops overlay_dir_ops = {
    .iterate = overlay_iterate,
    .seek = generic_dir_seek,
    .fsync = overlay_dir_fsync,
};

static const struct file_ops overlay_file_ops = {
    .open = overlay_open,
    .read = generic_file_read,
    .write = tmpfs_write,
    .seek = generic_file_seek,
    .mmap = generic_file_mmap,
    .fsync = generic_file_fsync,
    .fallocate = tmpfs_fallocate,
};

static const struct tmpfs_tables overlay_tables = {
    .dir = &overlay_dir_inode_ops,
    .file = &overlay_inode_ops,
    .link = &overlay_inode_ops,
    .special = &overlay_inode_ops,
    .dir_fops = &overlay_dir_ops,
    .file_fops = &overlay_file_ops,
};

/* --- mounting --------------------------------------------------------------------------------------- */

/* Let go of the changed inodes that keep themselves. */
static void overlay_shutdown(struct superblock *sb)
{
    for (;;) {
        struct inode *found = NULL;
        spin_lock(&sb->lock);
        list_for_each(i, &sb->inodes, struct inode, sb_node) {
            if (tmpfs_i(i) != NULL && tmpfs_i(i)->kept) {
                found = inode_get(i);
                break;
            }
        }
        spin_unlock(&sb->lock);
        if (found == NULL)
            return;
        unkeep(found);
        inode_put(found);
    }
}

static void overlay_unmount(struct superblock *sb)
{
    struct tmpfs_fs *fs = sb->private;
    super_put(fs->lower);
    kfree(fs);
}

static int overlay_statfs(struct superblock *sb, struct kstatfs *s)
{
    int err = tmpfs_statfs(sb, s);
    s->type = 0x794c7630; /* OVERLAYFS_SUPER_MAGIC */
    return err;
}

static const struct super_ops overlay_super_ops = {
    .evict_inode = overlay_evict,
    .statfs = overlay_statfs,
    .shutdown = overlay_shutdown,
    .unmount = overlay_unmount,
};

/* source = the lower file system's; data = tmpfs options for the memory above it. */
static int overlay_mount(const char *source, u64 flags, const char *data, struct superblock **ret)
{
    u32 mode = 0, uid = 0, gid = 0;
    struct inode *root;
    struct tmpfs_fs *fs = kzalloc(sizeof(*fs));
    if (fs == NULL)
        return -ENOMEM;
    int err = tmpfs_parse_options(fs, data, &mode, &uid, &gid);
    if (err == 0)
        err = erofs_type.mount(source, MS_RDONLY, NULL, &fs->lower);
    struct superblock *sb = err == 0 ? super_create("overlay", &overlay_super_ops) : NULL;
    if (sb == NULL) {
        super_put(fs->lower);
        kfree(fs);
        return err != 0 ? err : -ENOMEM;
    }
    fs->tables = &overlay_tables;
    fs->max_inodes = 0; /* those of the image are among them */
    fs->next_ino = 1ULL << 32; /* above any inode number of an image of up to 128 GiB */
    spin_init(&fs->lock, "overlay");
    sb->private = fs;
    err = from_lower(sb, inode_get(fs->lower->root->inode), &root);
    if (err == 0 && (sb->root = dentry_create_root(sb, root)) == NULL)
        err = -ENOMEM;
    if (err != 0) {
        super_put(sb);
        return err;
    }
    *ret = sb;
    return 0;
}

const struct fs_type overlay_type = {.name = "overlay", .mount = overlay_mount, .nodev = true};
