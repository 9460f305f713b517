/* SPDX-License-Identifier: Apache-2.0 */
/* splice(2), tee(2), vmsplice(2). Pages of files and of other pipes by reference, the rest by copying. */
#include "msg.h"

#define SPLICE_FLAGS 15u
#define SPLICE_F_NONBLOCK 2u

/* At least one side is a pipe. One pass of what is there now. */
static s64 splice(struct file *in, u64 *in_off, struct file *out, u64 *out_off, u64 len)
{
    bool from = file_is_pipe(in), to = file_is_pipe(out);
    if ((from && in_off != NULL) || (to && out_off != NULL))
        return -ESPIPE;
    if (!in->can_read || !out->can_write)
        return -EBADF;
    if (from && to)
        return pipe_to_pipe(in, out, len, true);
    if (!from && !to)
        return -EINVAL;
    if (from ? out_off != NULL && out->ops->seek == NULL : in_off != NULL && in->ops->seek == NULL)
        return -EINVAL;
    if (from && (out->flags & O_APPEND))
        return -EINVAL;
    s64 r = from ? vfs_range_ok(out, out_off, len) : vfs_range_ok(in, in_off, len);
    if (r < 0)
        return r;
    return from ? pipe_to_file(in, out, out_off, len) : vfs_splice_to_pipe(out, in, in_off, len);
}

/* SPLICE_F_NONBLOCK: r is what came of a call between thread_nowait_begin() and this. */
static s64 nonblock_end(bool began, s64 r)
{
    thread_nowait_end(began);
    return began && r == -ERESTARTSYS ? -EAGAIN : r;
}

s64 sys_splice(int in_fd, uaddr_t in_off, int out_fd, uaddr_t out_off, u64 len, u32 flags)
{
    if ((flags & ~SPLICE_FLAGS) && len != 0)
        return -EINVAL;
    bool began = (flags & SPLICE_F_NONBLOCK) && thread_nowait_begin();
    s64 r = len == 0 ? 0 : with_user_offsets(in_off, out_off, splice, in_fd, out_fd, len);
    return write_result(nonblock_end(began, r));
}

s64 splice_at(int in_fd, u64 in_off, int out_fd, u64 out_off, u64 len, u32 flags)
{
    if (flags & ~SPLICE_FLAGS)
        return -EINVAL;
    struct file *in = file_of(in_fd), *out = file_of(out_fd);
    bool began = (flags & SPLICE_F_NONBLOCK) && thread_nowait_begin();
    s64 r = len == 0 ? 0 : in == NULL || out == NULL ? -EBADF : splice(in, in_off != ~0ULL ? &in_off : NULL, out, out_off != ~0ULL ? &out_off : NULL, len);
    r = nonblock_end(began, r);
    file_put(in);
    file_put(out);
    return r;
}

s64 tee_at(int in_fd, int out_fd, u64 len, u32 flags)
{
    if (flags & ~SPLICE_FLAGS)
        return -EINVAL;
    if (len == 0)
        return 0;
    struct file *in = file_of(in_fd), *out = file_of(out_fd);
    bool began = (flags & SPLICE_F_NONBLOCK) && thread_nowait_begin();
    s64 r = in == NULL || out == NULL || !in->can_read || !out->can_write ? -EBADF : !file_is_pipe(in) || !file_is_pipe(out) ? -EINVAL : pipe_to_pipe(in, out, len, false);
    r = nonblock_end(began, r);
    file_put(in);
    file_put(out);
    return write_result(r);
}

s64 sys_tee(int in_fd, int out_fd, u64 len, u32 flags) { return tee_at(in_fd, out_fd, len, flags); }

/* Between a vector and a pipe. By copying, as the man page allows; so SPLICE_F_GIFT is a promise that nobody needs. */
s64 sys_vmsplice(int fd, uaddr_t iov, u64 count, u32 flags)
{
    struct vec v;
    if (flags & ~SPLICE_FLAGS)
        return -EINVAL;
    struct file *f = file_of(fd);
    s64 r = f == NULL || (!f->can_read && !f->can_write) ? -EBADF : vec_get(&v, iov, count);
    if (r == 0) {
        bool began = (flags & SPLICE_F_NONBLOCK) && thread_nowait_begin();
        r = nonblock_end(began, v.u.remaining == 0 ? 0 : !file_is_pipe(f) ? -EBADF : f->can_write ? pipe_put_user(f, v.segs, v.u.nsegs) : vfs_read(f, &v.u, NULL));
        vec_put(&v);
    }
    file_put(f);
    return write_result(r);
}
