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
    struct uio u;
    u64 pos = (u64)off;
    if (off < 0)
        return -EINVAL;
    struct file *f = file_of(fd);
    if (f == NULL)
        return -EBADF;
    s64 r = f->ops->seek == NULL ? -ESPIPE : uio_user(&u, buf, MIN(count, MAX_RW_COUNT));
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
    if (append && u->remaining > 0) {
        u64 limit = vfs_write_limit(end);
        if (end >= limit)
            return -EFBIG;
        u->remaining = MIN(u->remaining, limit - end);
    }
    s64 r = vfs_write(f, u, append ? &end : pos);
    if (r > 0 && append && pos == NULL)
        f->pos = end; /* where the data went */
    int s = r > 0 && (flags & (RWF_DSYNC | RWF_SYNC)) && f->ops->fsync != NULL ? vfs_fsync(f, !(flags & RWF_SYNC)) : 0;
    return s < 0 ? s : r;
}

static s64 move_vec(int fd, uaddr_t iov, u64 count, s64 off, bool positioned, u32 flags, bool write)
{
    struct vec v;
    u64 pos = (u64)off;
    struct file *f = file_of(fd);
    if (f == NULL)
        return -EBADF;
    s64 r = positioned && f->ops->seek == NULL ? -ESPIPE : !(write ? f->can_write : f->can_read) ? -EBADF : 0;
    if (r == 0)
        r = vec_get(&v, iov, count);
    if (r < 0) {
        file_put(f);
        return r;
    }
    if (v.u.remaining == 0)
        goto out;
    u64 *at = positioned ? &pos : NULL;
    r = vfs_range_ok(f, at, v.u.remaining);
    if (r < 0)
        goto out;
    if ((flags & ~RWF_HIPRI) != 0 && S_ISDIR(f->inode->mode))
        r = -EOPNOTSUPP;
    else if (flags & ~(RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND))
        r = -EOPNOTSUPP;
    else if (flags & RWF_NOWAIT)
        r = may_not_wait(f, write);
    if (r < 0)
        goto out;
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
    u64 pos, *at = uoff != 0 ? &pos : NULL;
    if (uoff != 0 && get_user_u64(uoff, &pos) < 0)
        return -EFAULT;
    struct file *in = file_of(in_fd), *out = file_of(out_fd);
    s64 r = -EBADF;
    if (in != NULL && in->can_read)
        r = uoff != 0 && in->ops->seek == NULL ? -ESPIPE : vfs_range_ok(in, at, count);
    if (r == 0 && (out == NULL || !out->can_write))
        r = -EBADF;
    count = MIN(count, MAX_RW_COUNT);
    if (r == 0)
        r = vfs_range_ok(out, NULL, count);
    if (r == 0) {
        r = vfs_sendfile(out, in, at, count);
        count_io(IO_RCHAR, IO_SYSCR, r);
        count_io(IO_WCHAR, IO_SYSCW, r);
    }
    if (r > 0 && uoff != 0 && put_user_u64(uoff, pos) < 0)
        r = -EFAULT;
    file_put(in);
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

static s64 copy_range(struct file *in, u64 *in_off, struct file *out, u64 *out_off, u64 len)
{
    if (S_ISDIR(in->inode->mode) || S_ISDIR(out->inode->mode))
        return -EISDIR;
    if (!S_ISREG(in->inode->mode) || !S_ISREG(out->inode->mode))
        return -EINVAL;
    if (!in->can_read || !out->can_write || (out->flags & O_APPEND))
        return -EBADF;
    if (in->inode->sb != out->inode->sb)
        return -EXDEV;
    if (vfs_range_ok(in, in_off, 0) < 0 || vfs_range_ok(out, out_off, 0) < 0)
        return -EINVAL;
    u64 a = in_off != NULL ? *in_off : in->pos, b = out_off != NULL ? *out_off : out->pos, size = inode_size(in->inode);
    if (a + len < a || b + len < b)
        return -EOVERFLOW;
    u64 limit = vfs_write_limit(b);
    if (b >= limit)
        return -EFBIG;
    len = MIN(MIN(len, size > a ? size - a : 0), limit - b);
    if (in->inode == out->inode && a < b + len && b < a + len)
        return -EINVAL;
    s64 r = copy_files(in, in_off, out, out_off, MIN(len, MAX_RW_COUNT));
    if (len != 0) {
        count_io(IO_RCHAR, IO_SYSCR, r);
        count_io(IO_WCHAR, IO_SYSCW, r);
    }
    return r;
}

s64 with_user_offsets(uaddr_t in_off, uaddr_t out_off, s64 (*fn)(struct file *, u64 *, struct file *, u64 *, u64), int in_fd, int out_fd, u64 len)
{
    u64 in_pos, out_pos;
    struct file *in = file_of(in_fd), *out = file_of(out_fd);
    s64 r = in == NULL || out == NULL ? -EBADF : 0;
    if (r == 0 && ((in_off != 0 && get_user_u64(in_off, &in_pos) < 0) || (out_off != 0 && get_user_u64(out_off, &out_pos) < 0)))
        r = -EFAULT;
    if (r == 0)
        r = fn(in, in_off != 0 ? &in_pos : NULL, out, out_off != 0 ? &out_pos : NULL, len);
    if (r > 0 && ((in_off != 0 && put_user_u64(in_off, in_pos) < 0) || (out_off != 0 && put_user_u64(out_off, out_pos) < 0)))
        r = -EFAULT;
    file_put(in);
    file_put(out);
    return r;
}

static s64 no_range(struct file *in, u64 *in_off, struct file *out, u64 *out_off, u64 len) { return -EINVAL; }

s64 sys_copy_file_range(int in_fd, uaddr_t in_off, int out_fd, uaddr_t out_off, u64 len, u32 flags)
{
    return write_result(with_user_offsets(in_off, out_off, flags == 0 ? copy_range : no_range, in_fd, out_fd, len));
}

s64 sys_sync_file_range(int fd, s64 off, s64 len, u32 flags)
{
    struct file *f = file_of(fd);
    if (f == NULL)
        return -EBADF;
    s64 r = 0;
    if ((flags & ~7u) || off < 0 || len < 0 || len > INT64_MAX - off)
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
    s64 r = vfs_fsync(f, data_only);
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
