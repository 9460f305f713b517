/* SPDX-License-Identifier: Apache-2.0 */
/* Open files: their life, and the calls that go through file_ops. */
#include "fs_impl.h"
#include "kern/page.h"
#include "kern/thread.h"

static struct kmem_cache *file_cache;
u64 (*vfs_fsize_limit)(u64 at);
int (*vfs_may_open)(void);

u64 vfs_write_limit(u64 pos) { return vfs_fsize_limit != NULL ? MIN(vfs_fsize_limit(pos), (u64)INT64_MAX) : (u64)INT64_MAX; }

void files_init(void) { file_cache = kmem_cache_create("file", sizeof(struct file), 0); }

size_t vfs_open_files(void) { return kmem_cache_in_use(file_cache); }

int file_alloc(u32 flags, const struct cred *c, struct file **ret)
{
    int (*may_open)(void) = atomic_load_relaxed(&vfs_may_open), err = may_open != NULL ? may_open() : 0;
    if (err != 0)
        return err;
    struct file *f = kmem_alloc(file_cache, ALLOC_ZERO);
    if (f == NULL)
        return -ENOMEM;
    ref_init(&f->refs);
    f->flags = flags;
    f->cred = cred_get(c);
    mutex_init(&f->pos_lock, "file_pos");
    list_init(&f->epoll_items);
    spin_init(&f->epoll_lock, "file_epoll");
    *ret = f;
    return 0;
}

void (*file_locks_gone)(struct file *f);

void file_put(struct file *f)
{
    if (f == NULL || !ref_put(&f->refs))
        return;
    if (unlikely(f->had_locks))
        file_locks_gone(f);
    if (unlikely(!list_empty(&f->epoll_items)))
        epoll_file_gone(f);
    if (f->ops != &path_file_ops)
        notify_file(f, f->can_write ? IN_CLOSE_WRITE : IN_CLOSE_NOWRITE);
    if (f->ops->release != NULL)
        f->ops->release(f);
    if (f->counted_write)
        inode_put_write(f->inode);
    if (f->path.dentry != NULL)
        path_put(&f->path);
    else
        inode_put(f->inode);
    cred_put(f->cred);
    kmem_free(file_cache, f);
}

int file_create_on(struct inode *i, const char *name, const struct file_ops *ops, void *private, u32 flags,
                   struct file **ret)
{
    struct file *f;
    int err = file_alloc(flags & ~O_CLOEXEC, &kernel_cred, &f);
    if (err != 0) {
        inode_put(i);
        return err;
    }
    u32 acc = flags & O_ACCMODE;
    f->ops = ops;
    f->inode = i;
    f->private = private;
    f->can_read = acc != O_WRONLY;
    f->can_write = acc != O_RDONLY;
    f->anon_name = name;
    *ret = f;
    return 0;
}

int file_create_anon(const char *name, const struct file_ops *ops, void *private, u32 flags, struct file **ret)
{
    return file_create_on(inode_get(anon_sb->root->inode), name, ops, private, flags, ret);
}

struct inode *anon_inode_create(u32 mode)
{
    static u64 next_ino = 16; /* atomic */
    struct inode *i = inode_create(anon_sb, mode);
    if (i != NULL) {
        i->ops = anon_sb->root->inode->ops;
        i->ino = atomic_add(&next_ino, 1u);
    }
    return i;
}

int file_create_inode(const char *name, const struct file_ops *ops, void *private, u32 mode, u32 flags,
                      struct file **ret)
{
    struct inode *i = anon_inode_create(mode);
    return i != NULL ? file_create_on(i, name, ops, private, flags, ret) : -ENOMEM;
}

/* The reference to i moves in. */
static int anon_path(struct inode *i, struct path *ret)
{
    struct dentry *d = dentry_create_root(i->sb, i);
    if (d == NULL)
        return -ENOMEM;
    *ret = (struct path){mount_get(anon_mount), d};
    return 0;
}

int anon_path_create(u32 mode, u64 ino, const struct file_ops *ops, struct path *ret)
{
    struct inode *i = anon_inode_create(mode);
    if (i == NULL)
        return -ENOMEM;
    i->ino = ino;
    i->fops = ops;
    return anon_path(i, ret);
}

int file_path(struct file *f, struct path *ret)
{
    if (f->path.dentry != NULL) {
        path_get(&f->path);
        *ret = f->path;
        return 0;
    }
    return anon_path(inode_get(f->inode), ret);
}

/* Is the file's position shared state that reads must take turns on? */
static inline bool has_pos(const struct file *f) { return f->ops->seek != NULL; }

int vfs_range_ok(const struct file *f, const u64 *pos, u64 len)
{
    u64 at = pos != NULL ? *pos : f->pos;
    return has_pos(f) && ((s64)at < 0 || (s64)(at + len) < 0) ? -EINVAL : 0;
}

static ALWAYS_INLINE s64 do_read(struct file *f, struct uio *u, u64 *pos)
{
    if (unlikely(!f->can_read))
        return -EBADF;
    if (unlikely(f->ops->read == NULL))
        return S_ISDIR(f->inode->mode) ? -EISDIR : -EINVAL;
    if (unlikely(vfs_range_ok(f, pos, u->remaining) != 0))
        return -EINVAL;
    if (pos != NULL)
        return has_pos(f) ? f->ops->read(f, u, pos) : -ESPIPE;
    if (!has_pos(f)) {
        u64 none = 0;
        return f->ops->read(f, u, &none);
    }
    if (likely(ref_count(&f->refs) == 1)) /* nobody else to take turns with */
        return f->ops->read(f, u, &f->pos);
    mutex_lock(&f->pos_lock);
    s64 n = f->ops->read(f, u, &f->pos);
    mutex_unlock(&f->pos_lock);
    return n;
}

s64 vfs_read(struct file *f, struct uio *u, u64 *pos)
{
    s64 n = do_read(f, u, pos);
    if (n > 0)
        notify_file(f, IN_ACCESS);
    return n;
}

static ALWAYS_INLINE s64 do_write(struct file *f, struct uio *u, u64 *pos)
{
    if (unlikely(!f->can_write))
        return -EBADF;
    if (unlikely(f->ops->write == NULL))
        return -EINVAL;
    if (unlikely(vfs_range_ok(f, pos, u->remaining) != 0))
        return -EINVAL;
    if (pos != NULL)
        return has_pos(f) ? f->ops->write(f, u, pos) : -ESPIPE;
    if (!has_pos(f)) {
        u64 none = 0;
        return f->ops->write(f, u, &none);
    }
    if (likely(ref_count(&f->refs) == 1)) /* nobody else to take turns with */
        return f->ops->write(f, u, &f->pos);
    mutex_lock(&f->pos_lock);
    s64 n = f->ops->write(f, u, &f->pos);
    mutex_unlock(&f->pos_lock);
    return n;
}

s64 vfs_write(struct file *f, struct uio *u, u64 *pos)
{
    s64 n = do_write(f, u, pos);
    if (n > 0)
        notify_file(f, IN_MODIFY);
    return n;
}

s64 vfs_seek(struct file *f, s64 off, int whence)
{
    if ((f->flags & O_PATH) != 0)
        return -EBADF;
    if (f->ops->seek == NULL)
        return -ESPIPE;
    mutex_lock(&f->pos_lock);
    s64 n = f->ops->seek(f, off, whence);
    mutex_unlock(&f->pos_lock);
    return n;
}

u32 vfs_poll(struct file *f, struct poll_table *pt)
{
    if ((f->flags & O_PATH) != 0)
        return POLLNVAL;
    if (f->ops->poll == NULL)
        return POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
    return f->ops->poll(f, pt);
}

int vfs_iterate(struct file *f, struct dir_emit *e)
{
    if (f->ops->iterate == NULL)
        return (f->flags & O_PATH) != 0 ? -EBADF : -ENOTDIR;
    if (!f->can_read)
        return -EBADF;
    struct inode *i = f->inode;
    mutex_lock(&f->pos_lock);
    mutex_lock(&i->lock);
    int err = i->nlink == 0 ? -ENOENT : f->ops->iterate(f, &f->pos, e);
    mutex_unlock(&i->lock);
    mutex_unlock(&f->pos_lock);
    if (err == 0) {
        notify_file(f, IN_ACCESS);
        file_touch_atime(f);
    }
    return err;
}

int vfs_fsync(struct file *f, bool data_only)
{
    if ((f->flags & O_PATH) != 0)
        return -EBADF;
    return f->ops->fsync != NULL ? f->ops->fsync(f, data_only) : -EINVAL;
}

/* relatime: only when it would otherwise look older than the last change. */
void file_touch_atime(struct file *f)
{
    struct inode *i = f->inode;
    if ((f->flags & O_NOATIME) != 0 || i->sb->read_only)
        return;
    if (i->atime_ns > i->mtime_ns && i->atime_ns > i->ctime_ns)
        return;
    if (f->path.mount != NULL && path_want_write(&f->path) != 0)
        return;
    i->atime_ns = vfs_time_ns();
}

/* A part of a page to out. */
static s64 send_page(struct file *out, struct page *p, u32 off, u32 len)
{
    struct uio u;
    if (file_is_pipe(out))
        return pipe_put_page(out, p, off, len);
    uio_kernel(&u, (char *)page_virt(p) + off, len);
    return do_write(out, &u, NULL);
}

/* Straight from the page cache. */
static s64 send_pages(struct file *out, struct file *in, u64 *in_pos, u64 len)
{
    u64 pos = in_pos != NULL ? *in_pos : in->pos;
    s64 done = 0;
    while (len > 0) {
        struct mapping *m = in->inode->data;
        u64 size = m->size_bytes;
        if (pos >= size)
            break;
        u64 in_page = pos & (PAGE_SIZE - 1), n = MIN(MIN(len, size - pos), PAGE_SIZE - in_page);
        struct page *p;
        bool holes = m->ops != NULL && m->ops->read == NULL;
        p = holes ? mapping_peek(m, pos >> PAGE_SHIFT) : NULL;
        s64 r = 0;
        if (p == NULL && holes) { /* which reading does not fill */
            p = page_alloc(0, ALLOC_ZERO);
            r = p == NULL ? -ENOMEM : 0;
        } else if (p == NULL) {
            r = mapping_get(m, pos >> PAGE_SHIFT, false, &p);
        }
        if (r == 0) {
            r = send_page(out, p, (u32)in_page, (u32)n);
            page_put(p);
        } else if (r == -ENXIO) {
            break; /* truncated meanwhile */
        }
        if (r <= 0) {
            if (done == 0)
                done = r;
            break;
        }
        pos += (u64)r;
        len -= (u64)r;
        done += r;
        cond_resched();
        if ((u64)r < n || thread_interrupted())
            break;
    }
    if (done > 0)
        *(in_pos != NULL ? in_pos : &in->pos) = pos;
    file_touch_atime(in);
    return done;
}

#define ONE_READ 65536UL

/* What one read gives. */
static s64 send_read(struct file *out, struct file *in, u64 *in_pos, u64 len)
{
    struct uio u;
    s64 done = 0, r = 0;
    len = MIN(len, ONE_READ);
    u8 *buf = kmalloc(len, 0);
    if (buf == NULL)
        return -ENOMEM;
    uio_kernel(&u, buf, len);
    s64 n = do_read(in, &u, in_pos);
    uio_kernel(&u, buf, n > 0 ? (u64)n : 0);
    while (done < n) {
        r = file_is_pipe(out) ? pipe_put_copy(out, &u, (u32)MIN(PAGE_SIZE, (u64)(n - done))) : do_write(out, &u, NULL);
        if (r == -EAGAIN && file_is_pipe(out) && pipe_wait_room(out) > 0)
            continue; /* somebody else filled it */
        if (r <= 0)
            break;
        done += r;
    }
    if (done < n && has_pos(in)) /* give back what was read but not written */
        *(in_pos != NULL ? in_pos : &in->pos) -= (u64)(n - done);
    kfree(buf);
    return n <= 0 ? n : done > 0 ? done : r;
}

static s64 send(struct file *out, struct file *in, u64 *in_pos, u64 len)
{
    if (len == 0 || in->ops->read == NULL || in->ops->no_splice)
        return len == 0 ? 0 : -EINVAL;
    return S_ISREG(in->inode->mode) && in->inode->data->ops != NULL ? send_pages(out, in, in_pos, len) : send_read(out, in, in_pos, len);
}

static s64 to_pipe(struct file *out, struct file *in, u64 *in_pos, u64 len)
{
    s64 room = pipe_wait_room(out);
    len = MIN(len, room > 0 ? (u64)room : 0);
    if (room < 0 || len == 0)
        return room < 0 ? room : 0;
    return send(out, in, in_pos, len);
}

s64 vfs_sendfile(struct file *out, struct file *in, u64 *in_pos, u64 len)
{
    bool pipe = file_is_pipe(out);
    if (!pipe && (in->ops->seek == NULL || out->ops->write == NULL || (out->flags & O_APPEND) != 0))
        return -EINVAL;
    s64 r = pipe ? to_pipe(out, in, in_pos, len) : send(out, in, in_pos, len);
    if (!pipe)
        file_touch_atime(in); /* whatever came of it */
    if (r > 0) {
        notify_file(in, IN_ACCESS);
        notify_file(out, IN_MODIFY);
    }
    return r;
}

s64 vfs_splice_to_pipe(struct file *out, struct file *in, u64 *in_pos, u64 len)
{
    s64 r = to_pipe(out, in, in_pos, len);
    if (r > 0) {
        notify_file(out, IN_MODIFY);
        notify_file(in, IN_ACCESS);
    }
    return r;
}
