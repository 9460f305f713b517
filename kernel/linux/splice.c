/* SPDX-License-Identifier: Apache-2.0 */
/* splice(2), tee(2), vmsplice(2). All by copying: the data arrive, only not by reference. */
#include "msg.h"

#define SPLICE_FLAGS 15u
#define SPLICE_F_NONBLOCK 2u

/* At least one side is a pipe. */
static s64 splice(int in_fd, u64 *in_off, int out_fd, u64 *out_off, u64 len, bool regular)
{
    struct file *in = file_of(in_fd), *out = file_of(out_fd);
    s64 r = 0;
    if (in == NULL || out == NULL || ((in->flags | out->flags) & O_PATH))
        r = -EBADF;
    else {
        bool pin = S_ISFIFO(in->inode->mode), pout = S_ISFIFO(out->inode->mode);
        if ((pin && in_off != NULL) || (pout && out_off != NULL))
            r = -ESPIPE;
        else if (!in->can_read || !out->can_write)
            r = -EBADF;
        else if (!pin && !pout)
            r = -EINVAL;
        else if (pin && pout && in->inode == out->inode)
            r = -EINVAL;
        else if (!pout && (out->flags & O_APPEND))
            r = -EINVAL;
        else if (!pin && (r = pipe_wait_room(out)) > 0) { /* no more than that is taken */
            len = MIN(len, (u64)r);
            r = 0;
        }
    }
    file_put(in);
    file_put(out);
    /* One pass of what is there now: reading a pipe returns what it has. */
    return r < 0 ? r : copy_with_offsets(in_fd, in_off, out_fd, out_off, MIN(len, 64 * 1024UL), regular);
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
    s64 r = len == 0 ? 0 : with_user_offsets(in_off, out_off, splice, in_fd, out_fd, len, false);
    return write_result(nonblock_end(began, r));
}

s64 splice_at(int in_fd, u64 in_off, int out_fd, u64 out_off, u64 len, u32 flags)
{
    if (flags & ~SPLICE_FLAGS)
        return -EINVAL;
    bool began = (flags & SPLICE_F_NONBLOCK) && thread_nowait_begin();
    s64 r = len == 0 ? 0 : splice(in_fd, in_off != ~0ULL ? &in_off : NULL, out_fd, out_off != ~0ULL ? &out_off : NULL, len, false);
    return nonblock_end(began, r);
}

s64 tee_at(int in_fd, int out_fd, u64 len, u32 flags)
{
    if (flags & ~SPLICE_FLAGS)
        return -EINVAL;
    if (len == 0)
        return 0;
    struct file *in = file_of(in_fd), *out = file_of(out_fd);
    bool began = (flags & SPLICE_F_NONBLOCK) && thread_nowait_begin();
    s64 r = in == NULL || out == NULL || !in->can_read || !out->can_write ? -EBADF : pipe_tee(in, out, len);
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
    s64 r = f == NULL || (f->flags & O_PATH) ? -EBADF : vec_get(&v, iov, count);
    if (r == 0) {
        bool pipe = S_ISFIFO(f->inode->mode), began = (flags & SPLICE_F_NONBLOCK) && thread_nowait_begin();
        r = nonblock_end(began, v.u.remaining == 0 ? 0 : !pipe ? -EBADF : f->can_write ? vfs_write(f, &v.u, NULL) : vfs_read(f, &v.u, NULL));
        vec_put(&v);
    }
    file_put(f);
    return write_result(r);
}
