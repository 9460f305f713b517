/* SPDX-License-Identifier: Apache-2.0 */
/* Operations that most file systems share: regular files in the page cache, directories in the name cache. */
#include "fs_impl.h"
#include "kern/thread.h"

#define SEEK_SET 0
#define SEEK_CUR 1
#define SEEK_END 2
#define SEEK_DATA 3
#define SEEK_HOLE 4

s64 generic_file_read(struct file *f, struct uio *u, u64 *pos)
{
    if (unlikely(*pos > INT64_MAX))
        return -EINVAL;
    if (u->remaining == 0)
        return 0;
    s64 n = mapping_read(f->inode->data, *pos, u);
    if (n > 0)
        *pos += (u64)n;
    file_touch_atime(f); /* at the end of the file, too */
    return n;
}

s64 generic_file_write(struct file *f, struct uio *u, u64 *pos)
{
    struct inode *i = f->inode;
    s64 n;
    if (u->remaining == 0)
        return 0;
    mutex_lock(&i->lock);
    u64 at = (f->flags & O_APPEND) != 0 ? inode_size(i) : *pos, limit = vfs_write_limit(at);
    if (at >= limit) {
        n = -EFBIG;
    } else {
        if (u->remaining > limit - at)
            u->remaining = limit - at;
        inode_remove_privs(i);
        n = mapping_write(&i->mapping, at, u);
        if (n > 0) {
            *pos = at + (u64)n;
            inode_touch(i, true);
        }
    }
    mutex_unlock(&i->lock);
    return n;
}

/* From `off`, where does data (or a hole) begin? Pages of the cache are the only
 * data of a file system without a device. */
static s64 seek_data_hole(struct inode *i, u64 off, bool hole)
{
    u64 size = inode_size(i);
    if (off >= size)
        return -ENXIO;
    if (i->data->ops == NULL || i->data->ops->read != NULL)
        return hole ? (s64)size : (s64)off; /* no holes known */
    u64 index = off >> PAGE_SHIFT, next = mapping_next(&i->mapping, index), end = (size - 1) >> PAGE_SHIFT;
    if (!hole)
        return next <= end ? (s64)MAX(off, next << PAGE_SHIFT) : -ENXIO;
    while (index <= end && next == index) {
        next = mapping_next(&i->mapping, ++index);
        if (!cond_resched())
            return -EINTR;
    }
    return (s64)MIN(MAX(off, index << PAGE_SHIFT), size);
}

s64 generic_file_seek(struct file *f, s64 off, int whence)
{
    struct inode *i = f->inode;
    s64 base = 0;
    switch (whence) {
    case SEEK_SET:
        break;
    case SEEK_CUR:
        base = (s64)f->pos;
        break;
    case SEEK_END:
        base = (s64)inode_size(i);
        break;
    case SEEK_DATA:
    case SEEK_HOLE:
        if (off < 0)
            return -ENXIO;
        off = seek_data_hole(i, (u64)off, whence == SEEK_HOLE);
        if (off < 0)
            return off;
        break;
    default:
        return -EINVAL;
    }
    if (__builtin_add_overflow(base, off, &off) || off < 0)
        return -EINVAL;
    f->pos = (u64)off;
    return off;
}

int generic_file_fsync(struct file *f, bool data_only) { return mapping_sync(&f->inode->mapping); }

const struct file_ops generic_file_ops = {
    .read = generic_file_read,
    .write = generic_file_write,
    .seek = generic_file_seek,
    .mmap = generic_file_mmap,
    .fsync = generic_file_fsync,
};

/* --- directories ------------------------------------------------------------- */

s64 generic_dir_seek(struct file *f, s64 off, int whence)
{
    if (whence == SEEK_CUR)
        off += (s64)f->pos;
    else if (whence != SEEK_SET)
        return -EINVAL;
    if (off < 0)
        return -EINVAL;
    f->pos = (u64)off;
    return off;
}

static int dir_fsync(struct file *f, bool data_only) { return 0; }

/* Where directories were read last, so that the next read need not look for its place from the beginning. Children by their
 * parent's address, without references: dcache_lock. */
static struct dentry *read_last[8];

static struct dentry **last_of(const struct dentry *dir) { return &read_last[(uintptr_t)dir / sizeof *dir % ARRAY_SIZE(read_last)]; }

void dir_forget(struct dentry *d)
{
    struct dentry **last = last_of(d->parent);
    if (*last == d)
        *last = NULL;
}

/* The first positive child with a cookie above `after`, referenced; `prev` (referenced, may be
 * NULL) is where to begin. */
static struct dentry *next_child(struct dentry *dir, struct dentry *prev, u64 after)
{
    struct dentry *found = NULL;
    spin_lock(&dcache_lock);
    struct dentry **last = last_of(dir);
    if (prev == NULL && *last != NULL && (*last)->cookie <= after)
        prev = *last;
    if (prev != NULL && prev->hashed && prev->parent == dir)
        *last = prev;
    else
        prev = NULL;
    struct list *n = prev != NULL ? prev->child_node.next : dir->children.next;
    for (; n != &dir->children; n = n->next) {
        struct dentry *d = list_entry(n, struct dentry, child_node);
        if (d->inode != NULL && d->cookie > after) {
            found = dentry_get(d);
            break;
        }
    }
    spin_unlock(&dcache_lock);
    return found;
}

int dir_emit_dots(struct file *f, u64 *pos, struct dir_emit *e)
{
    struct dentry *dir = f->path.dentry;
    if (*pos == 0) {
        if (!e->emit(e, ".", 1, dir->inode->ino, DT_DIR, 1))
            return 1;
        *pos = 1;
    }
    if (*pos == 1) {
        spin_lock(&dcache_lock);
        u64 ino = dir->parent->inode->ino;
        spin_unlock(&dcache_lock);
        if (!e->emit(e, "..", 2, ino, DT_DIR, 2))
            return 1;
        *pos = 2;
    }
    return 0;
}

int dir_emit_children(struct file *f, u64 *pos, struct dir_emit *e, bool pinned_only)
{
    struct dentry *dir = f->path.dentry, *d, *prev = NULL;
    int stop = 0;
    while (stop == 0 && (d = next_child(dir, prev, *pos)) != NULL) {
        dentry_put(prev);
        prev = d;
        if (pinned_only && !d->pinned) {
            *pos = d->cookie;
            continue;
        }
        if (e->emit(e, d->name, d->name_len, d->inode->ino, mode_to_dtype(d->inode->mode), d->cookie))
            *pos = d->cookie;
        else
            stop = 1;
    }
    dentry_put(prev);
    return stop;
}

static int dir_iterate(struct file *f, u64 *pos, struct dir_emit *e)
{
    if (dir_emit_dots(f, pos, e) == 0)
        dir_emit_children(f, pos, e, false);
    return 0;
}

const struct file_ops generic_dir_ops = {
    .seek = generic_dir_seek,
    .iterate = dir_iterate,
    .fsync = dir_fsync,
};
