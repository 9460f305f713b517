/* SPDX-License-Identifier: Apache-2.0 */
/* Moving data: read, write and their vectored, positioned and file-to-file relatives. */
#include "msg.h"
#include "base/str.h"
#include "kern/poll.h"

s64 write_result(s64 r)
{
    if (unlikely(r == -EPIPE))
        signal_send_self(SIGPIPE);
    return r;
}

/* As Linux counts them for /proc/PID/io. r: bytes moved, or what went wrong. */
static ALWAYS_INLINE void count_io(unsigned chars, unsigned calls, s64 r)
{
    u64 *io = current_task()->io;
    io[calls]++;
    if (r > 0)
        io[chars] += (u64)r;
}

static ALWAYS_INLINE s64 counted_read(struct file *f, struct uio *u, u64 *pos)
{
    s64 r = vfs_read(f, u, pos);
    if (likely(f->can_read))
        count_io(IO_RCHAR, IO_SYSCR, r);
    return r;
}

static ALWAYS_INLINE s64 counted_write(struct file *f, struct uio *u, u64 *pos)
{
    s64 r = vfs_write(f, u, pos);
    if (likely(f->can_write))
        count_io(IO_WCHAR, IO_SYSCW, r);
    return r;
}

s64 sys_read(int fd, uaddr_t buf, u64 count)
{
    struct file *owned, *f = fd_borrow(current_files(), fd, &owned);
    if (unlikely(f == NULL))
        return -EBADF;
    struct uio u;
    s64 r = uio_user(&u, buf, MIN(count, MAX_RW_COUNT));
    if (likely(r == 0))
        r = counted_read(f, &u, NULL);
    if (owned != NULL)
        file_put(owned);
    return r;
}

s64 sys_write(int fd, uaddr_t buf, u64 count)
{
    struct file *owned, *f = fd_borrow(current_files(), fd, &owned);
    if (unlikely(f == NULL))
        return -EBADF;
    struct uio u;
    s64 r = uio_user(&u, buf, MIN(count, MAX_RW_COUNT));
    if (likely(r == 0))
        r = counted_write(f, &u, NULL);
    if (owned != NULL)
        file_put(owned);
    return write_result(r);
}

static s64 at_place(int fd, uaddr_t buf, u64 count, s64 off, bool write)
{
    struct file *f = file_of(fd);
    struct uio u;
    u64 pos = (u64)off;
    if (f == NULL)
        return -EBADF;
    s64 r = off < 0 ? -EINVAL : f->ops->seek == NULL ? -ESPIPE : uio_user(&u, buf, MIN(count, MAX_RW_COUNT));
    if (r == 0)
        r = write ? counted_write(f, &u, &pos) : counted_read(f, &u, &pos);
    file_put(f);
    return r;
}

s64 sys_pread64(int fd, uaddr_t buf, u64 count, s64 off) { return at_place(fd, buf, count, off, false); }
s64 sys_pwrite64(int fd, uaddr_t buf, u64 count, s64 off) { return write_result(at_place(fd, buf, count, off, true)); }

/* --- vectors ----------------------------------------------------------------------- */

int vec_get(struct vec *v, uaddr_t iov, u64 count)
{
    _Static_assert(sizeof(struct uio_seg) == sizeof(struct abi_iovec), "copied as it stands");
    if (count > UIO_MAX_SEGS)
        return -EINVAL;
    v->segs = v->fast;
    if (count > FAST_SEGS) {
        v->segs = kmalloc(count * sizeof *v->segs, 0);
        if (v->segs == NULL)
            return -ENOMEM;
    }
    int r = copy_from_user(v->segs, iov, count * sizeof *v->segs);
    u64 total = 0;
    for (u64 i = 0; r == 0 && i < count; i++) {
        if ((s64)v->segs[i].len < 0)
            r = -EINVAL;
        else if (v->segs[i].len > MAX_RW_COUNT - total)
            v->segs[i].len = MAX_RW_COUNT - total;
        total += v->segs[i].len;
    }
    if (r == 0)
        r = uio_user_segs(&v->u, v->segs, (u32)count);
    if (r < 0 && v->segs != v->fast)
        kfree(v->segs);
    return r;
}

void vec_put(struct vec *v)
{
    if (v->segs != v->fast)
        kfree(v->segs);
}

/* RWF_NOWAIT. Files of the page cache may have to read a page first, and a write may find room for a part only: they cannot
 * promise it. */
static s64 may_not_wait(struct file *f, bool write)
{
    if (write || f->ops->poll == NULL || f->ops->seek != NULL)
        return -EOPNOTSUPP;
    return vfs_poll(f, NULL) & (POLLIN | POLLHUP | POLLERR) ? 0 : -EAGAIN;
}

s64 write_flagged(struct file *f, struct uio *u, u64 *pos, u32 flags)
{
    bool append = (flags & RWF_APPEND) && f->ops->seek != NULL;
    u64 end = append ? inode_size(f->inode) : 0;
    s64 r = vfs_write(f, u, append ? &end : pos);
    if (r > 0 && append && pos == NULL)
        f->pos = end; /* where the data went */
    int s = r > 0 && (flags & (RWF_DSYNC | RWF_SYNC)) ? vfs_fsync(f, !(flags & RWF_SYNC)) : 0;
    return s < 0 ? s : r;
}

static s64 move_vec(int fd, uaddr_t iov, u64 count, s64 off, bool positioned, u32 flags, bool write)
{
    struct vec v;
    u64 pos = (u64)off;
    struct file *f = file_of(fd);
    if (f == NULL)
        return -EBADF;
    s64 r = f->flags & O_PATH ? -EBADF : positioned && f->ops->seek == NULL ? -ESPIPE : !(write ? f->can_write : f->can_read) ? -EBADF : 0;
    if (r == 0)
        r = vec_get(&v, iov, count);
    if (r < 0) {
        file_put(f);
        return r;
    }
    if (v.u.remaining == 0)
        goto out;
    if (flags & ~(RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND))
        r = -EOPNOTSUPP;
    else if (flags & RWF_NOWAIT)
        r = may_not_wait(f, write);
    if (r < 0)
        goto out;
    u64 *at = positioned ? &pos : NULL;
    r = write ? write_flagged(f, &v.u, at, flags) : vfs_read(f, &v.u, at);
out:
    vec_put(&v);
    file_put(f);
    return write ? write_result(r) : r;
}

static s64 do_vec(int fd, uaddr_t iov, u64 count, s64 off, bool positioned, u32 flags, bool write)
{
    if (positioned && off < 0)
        return -EINVAL;
    s64 r = move_vec(fd, iov, count, off, positioned, flags, write);
    count_io(write ? IO_WCHAR : IO_RCHAR, write ? IO_SYSCW : IO_SYSCR, r);
    return r;
}

s64 sys_readv(int fd, uaddr_t iov, u64 count) { return do_vec(fd, iov, count, 0, false, 0, false); }
s64 sys_writev(int fd, uaddr_t iov, u64 count) { return do_vec(fd, iov, count, 0, false, 0, true); }
s64 sys_preadv(int fd, uaddr_t iov, u64 count, u64 lo, u64 hi)
{
    return do_vec(fd, iov, count, (s64)lo, true, 0, false);
}
s64 sys_pwritev(int fd, uaddr_t iov, u64 count, u64 lo, u64 hi)
{
    return do_vec(fd, iov, count, (s64)lo, true, 0, true);
}
s64 sys_preadv2(int fd, uaddr_t iov, u64 count, u64 lo, u64 hi, u32 flags)
{
    return do_vec(fd, iov, count, (s64)lo, lo != (u64)-1, flags, false);
}
s64 sys_pwritev2(int fd, uaddr_t iov, u64 count, u64 lo, u64 hi, u32 flags)
{
    return do_vec(fd, iov, count, (s64)lo, lo != (u64)-1, flags, true);
}

s64 sys_lseek(int fd, s64 off, int whence)
{
    struct file *f = file_of(fd);
    if (f == NULL)
        return -EBADF;
    s64 r = whence < 0 || whence > 4 ? -EINVAL : vfs_seek(f, off, whence);
    file_put(f);
    return r;
}

/* --- file to file -------------------------------------------------------------------- */

s64 sys_sendfile(int out_fd, int in_fd, uaddr_t uoff, u64 count)
{
    u64 pos;
    if (uoff != 0) {
        int r = get_user_u64(uoff, &pos);
        if (r < 0)
            return r;
        if ((s64)pos < 0)
            return -EINVAL;
    }
    struct file *in = file_of(in_fd), *out = file_of(out_fd);
    s64 r;
    if (in == NULL || !in->can_read)
        r = -EBADF;
    else if (uoff != 0 && in->ops->seek == NULL)
        r = -ESPIPE;
    else if (out == NULL || !out->can_write)
        r = -EBADF;
    else if (pipe_is_broken(out))
        r = -EPIPE;
    else if (out->flags & O_APPEND)
        r = -EINVAL;
    else {
        r = vfs_sendfile(out, in, uoff != 0 ? &pos : NULL, MIN(count, MAX_RW_COUNT));
        count_io(IO_RCHAR, IO_SYSCR, r);
        count_io(IO_WCHAR, IO_SYSCW, r);
    }
    if (r > 0 && uoff != 0 && put_user_u64(uoff, pos) < 0)
        r = -EFAULT;
    if (in != NULL)
        file_put(in);
    if (out != NULL)
        file_put(out);
    return write_result(r);
}

/* Copy through a kernel buffer. in_pos/out_pos NULL = the file's own position. */
static s64 copy_files(struct file *in, u64 *in_pos, struct file *out, u64 *out_pos, u64 len)
{
    size_t size = MIN(len, 64 * 1024UL);
    u8 *buf = kmalloc(size, 0);
    s64 total = 0, r = 0;
    if (buf == NULL)
        return -ENOMEM;
    while (len > 0) {
        struct uio u;
        u64 want = MIN(len, size);
        uio_kernel(&u, buf, want);
        s64 n = vfs_read(in, &u, in_pos);
        if (n <= 0) {
            r = n;
            break;
        }
        s64 done = 0;
        while (done < n) {
            uio_kernel(&u, buf + done, (u64)(n - done));
            s64 w = vfs_write(out, &u, out_pos);
            if (w <= 0) {
                r = w < 0 ? w : -EIO;
                break;
            }
            done += w;
        }
        total += done;
        if (done < n) { /* give back what was read but not written */
            if (in_pos != NULL)
                *in_pos -= (u64)(n - done);
            else
                vfs_seek(in, -(n - done), 1);
            break;
        }
        len -= (u64)n;
        if ((u64)n < want || thread_interrupted()) /* the end, or all that a pipe has now */
            break;
    }
    kfree(buf);
    return total > 0 ? total : r;
}

s64 copy_with_offsets(int in_fd, u64 *in_off, int out_fd, u64 *out_off, u64 len, bool regular)
{
    s64 r = 0;
    struct file *in = file_of(in_fd), *out = file_of(out_fd);
    if (in == NULL || out == NULL || ((in->flags | out->flags) & O_PATH))
        r = -EBADF;
    else if (regular && (S_ISDIR(in->inode->mode) || S_ISDIR(out->inode->mode)))
        r = -EISDIR;
    else if (regular && (!S_ISREG(in->inode->mode) || !S_ISREG(out->inode->mode)))
        r = -EINVAL;
    else if (!in->can_read || !out->can_write || (regular && (out->flags & O_APPEND)))
        r = -EBADF;
    else if ((in_off != NULL && (s64)*in_off < 0) || (out_off != NULL && (s64)*out_off < 0))
        r = -EINVAL;
    else if ((in_off != NULL && in->ops->seek == NULL) || (out_off != NULL && out->ops->seek == NULL))
        r = -ESPIPE;
    else if (regular && in->inode->sb != out->inode->sb)
        r = -EXDEV;
    else if (regular) {
        u64 a = in_off != NULL ? *in_off : in->pos, b = out_off != NULL ? *out_off : out->pos, size = inode_size(in->inode);
        len = MIN(len, size > a ? size - a : 0);
        if (in->inode == out->inode && a < b + len && b < a + len)
            r = -EINVAL;
    }
    if (r == 0) {
        r = S_ISFIFO(in->inode->mode) ? pipe_move(in, out, out_off, len) : copy_files(in, in_off, out, out_off, MIN(len, MAX_RW_COUNT));
        if (regular && len != 0) {
            count_io(IO_RCHAR, IO_SYSCR, r);
            count_io(IO_WCHAR, IO_SYSCW, r);
        }
    }
    if (in != NULL)
        file_put(in);
    if (out != NULL)
        file_put(out);
    return r;
}

s64 with_user_offsets(uaddr_t in_off, uaddr_t out_off, s64 (*fn)(int, u64 *, int, u64 *, u64, bool), int in_fd, int out_fd, u64 len,
                             bool regular)
{
    u64 in_pos, out_pos;
    if ((in_off != 0 && get_user_u64(in_off, &in_pos) < 0) || (out_off != 0 && get_user_u64(out_off, &out_pos) < 0))
        return -EFAULT;
    s64 r = fn(in_fd, in_off != 0 ? &in_pos : NULL, out_fd, out_off != 0 ? &out_pos : NULL, len, regular);
    if (r > 0 && ((in_off != 0 && put_user_u64(in_off, in_pos) < 0) || (out_off != 0 && put_user_u64(out_off, out_pos) < 0)))
        r = -EFAULT;
    return r;
}

s64 sys_copy_file_range(int in_fd, uaddr_t in_off, int out_fd, uaddr_t out_off, u64 len, u32 flags)
{
    struct fdtable *t = current_files();
    if (flags != 0)
        return fd_get_cloexec(t, in_fd) < 0 || fd_get_cloexec(t, out_fd) < 0 ? -EBADF : -EINVAL;
    return write_result(with_user_offsets(in_off, out_off, copy_with_offsets, in_fd, out_fd, len, true));
}

s64 sys_sync_file_range(int fd, s64 off, s64 len, u32 flags)
{
    struct file *f = file_of(fd);
    if (f == NULL)
        return -EBADF;
    s64 r = 0;
    if ((flags & ~7u) || off < 0 || len < 0 || off + len < off)
        r = -EINVAL;
    else if (!S_ISREG(f->inode->mode) && !S_ISDIR(f->inode->mode) && !S_ISBLK(f->inode->mode))
        r = -ESPIPE;
    else if (flags != 0)
        r = vfs_fsync(f, true);
    file_put(f);
    return r;
}

s64 sys_readahead(int fd, s64 off, u64 count)
{
    struct file *f = file_of(fd);
    if (f == NULL)
        return -EBADF;
    s64 r = !f->can_read ? -EBADF : !S_ISREG(f->inode->mode) ? -EINVAL : 0;
    file_put(f);
    return r;
}

s64 sys_fadvise64(int fd, s64 off, u64 len, int advice)
{
    struct file *f = file_of(fd);
    if (f == NULL)
        return -EBADF;
    s64 r = S_ISFIFO(f->inode->mode) ? -ESPIPE : advice < 0 || advice > 5 || (s64)len < 0 ? -EINVAL : 0;
    file_put(f);
    return r;
}

static s64 do_fsync(int fd, bool data_only)
{
    struct file *f = file_of(fd);
    if (f == NULL)
        return -EBADF;
    s64 r = f->flags & O_PATH ? -EBADF : vfs_fsync(f, data_only);
    file_put(f);
    return r;
}

s64 sys_fsync(int fd) { return do_fsync(fd, false); }
s64 sys_fdatasync(int fd) { return do_fsync(fd, true); }
s64 sys_syncfs(int fd)
{
    struct file *f = file_of(fd);
    if (f == NULL)
        return -EBADF;
    struct superblock *sb = f->inode->sb;
    s64 r = sb != NULL && sb->ops->sync != NULL ? sb->ops->sync(sb) : 0;
    file_put(f);
    return r;
}
s64 sys_sync(void)
{
    vfs_sync_all();
    return 0;
}
