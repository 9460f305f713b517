/* SPDX-License-Identifier: Apache-2.0 */
/* io_uring's operations on sockets. See uring_ops.c. */
#include "uring.h"

#define RECVSEND_POLL_FIRST 1u
#define RECV_MULTISHOT 2u
#define ACCEPT_MULTISHOT 1u

/* MSG_WAITALL goes on until all is there: the result, or RES_WAIT. */
static s64 moved(struct req *r, s64 n, struct uio *u)
{
    bool all = (r->sqe.op_flags & MSG_WAITALL) && sock_type(file_sock(r->file)) != SOCK_DGRAM;
    if (n > 0)
        r->done += (u64)n;
    if (all && n > 0 && u->remaining > 0 && !r->selected) {
        r->tries = 0;
        return RES_WAIT;
    }
    if (r->done == 0 || n == -ERESTARTSYS)
        return n;
    s64 total = (s64)r->done;
    r->done = 0;
    r->failed = all && u->remaining > 0;
    return total;
}

static int prep_send_recv(struct req *r, u32 known)
{
    u32 f = r->sqe.ioprio;
    if (f & ~known)
        return -EINVAL;
    r->poll_first = f & RECVSEND_POLL_FIRST;
    r->nowait = r->sqe.op_flags & MSG_DONTWAIT;
    r->multishot = f & RECV_MULTISHOT;
    if (r->multishot && (!(r->sqe.flags & SQE_BUFFER_SELECT) || (r->sqe.op_flags & MSG_WAITALL)))
        return -EINVAL;
    return 0;
}

int prep_send(struct req *r)
{
    int e = prep_send_recv(r, RECVSEND_POLL_FIRST);
    return e < 0 ? e : req_buffer(r, r->sqe.addr, r->sqe.len);
}

int prep_recv(struct req *r)
{
    int e = prep_send_recv(r, RECVSEND_POLL_FIRST | RECV_MULTISHOT);
    return e < 0 || (r->sqe.flags & SQE_BUFFER_SELECT) ? e : req_buffer(r, r->sqe.addr, r->sqe.len);
}

static s64 socket_of(struct req *r) { return file_sock(r->file) != NULL ? 0 : -ENOTSOCK; }
static u32 wait_flag(struct req *r) { return r->file->flags & O_NONBLOCK ? MSG_DONTWAIT : 0; }

s64 op_send(struct req *r, bool may_wait)
{
    s64 e = socket_of(r);
    if (e < 0)
        return e;
    struct sock_msg m = {.uio = &r->vec->u, .flags = r->sqe.op_flags | MSG_NOSIGNAL | wait_flag(r)};
    return moved(r, sock_send(file_sock(r->file), &m), &r->vec->u);
}

s64 op_recv(struct req *r, bool may_wait)
{
    s64 e = socket_of(r);
    if (e == 0)
        e = req_select_buffer(r);
    if (e < 0)
        return e;
    struct sock_msg m = {.uio = &r->vec->u, .flags = r->sqe.op_flags | wait_flag(r)};
    s64 n = sock_recv(file_sock(r->file), &m);
    if (n < 0)
        req_return_buffer(r);
    return moved(r, n, &r->vec->u);
}

static int prep_msg(struct req *r, bool sending)
{
    int e = prep_send_recv(r, RECVSEND_POLL_FIRST);
    if (e < 0)
        return e;
    r->msg = kzalloc(sizeof *r->msg);
    return r->msg == NULL ? -ENOMEM : msg_get(r->msg, r->sqe.addr, sending);
}

int prep_sendmsg(struct req *r) { return prep_msg(r, true); }
int prep_recvmsg(struct req *r) { return prep_msg(r, false); }

s64 op_sendmsg(struct req *r, bool may_wait)
{
    s64 e = socket_of(r);
    return e < 0 ? e : moved(r, msg_send(r->file, r->msg, r->sqe.op_flags | MSG_NOSIGNAL), &r->msg->u);
}

s64 op_recvmsg(struct req *r, bool may_wait)
{
    s64 e = socket_of(r);
    if (e < 0)
        return e;
    if (r->sqe.flags & SQE_BUFFER_SELECT) {
        if (!r->selected) {
            if (r->msg->h.iovlen != 1)
                return -EINVAL;
            r->sqe.len = (u32)MIN(r->msg->segs[0].len, (u64)UINT32_MAX);
        }
        e = req_select_buffer(r);
        if (e < 0)
            return e;
        r->msg->segs[0] = (struct uio_seg){r->buf_addr, r->buf_len};
        e = uio_user_segs(&r->msg->u, r->msg->segs, 1);
        if (e < 0)
            return e;
    }
    s64 n = msg_recv(r->file, r->msg, r->sqe.addr, r->sqe.op_flags);
    if (n < 0)
        req_return_buffer(r);
    return moved(r, n, &r->msg->u);
}

/* A descriptor that was just opened goes into the ring's table, if the request names a place there. */
s64 req_to_table(struct req *r, s64 fd)
{
    u32 index = r->sqe.file_index;
    if (fd < 0 || index == 0)
        return fd;
    struct file *f = fd_file(current_files(), (int)fd);
    (void)fd_close(current_files(), (int)fd);
    return f == NULL ? -EBADF : ring_file_install(r->ring, index == FILE_INDEX_ALLOC ? index : index - 1, f);
}

int prep_accept(struct req *r)
{
    if (r->sqe.len != 0 || r->sqe.buf != 0 || (r->sqe.ioprio & ~ACCEPT_MULTISHOT) ||
        (r->sqe.file_index != 0 && (r->sqe.op_flags & O_CLOEXEC)))
        return -EINVAL;
    r->multishot = r->sqe.ioprio & ACCEPT_MULTISHOT;
    return r->multishot && r->sqe.file_index != 0 && r->sqe.file_index != FILE_INDEX_ALLOC ? -EINVAL : 0;
}

s64 op_accept(struct req *r, bool may_wait)
{
    return req_to_table(r, sys_accept4(GIVEN_FD(0), r->sqe.addr, r->sqe.off, (int)r->sqe.op_flags));
}

int prep_connect(struct req *r)
{
    if (r->sqe.len != 0 || r->sqe.op_flags != 0 || r->sqe.buf != 0 || r->sqe.file_index != 0)
        return -EINVAL;
    struct sock_addr *a = kmalloc(sizeof *a, 0);
    r->data = a;
    return a == NULL ? -ENOMEM : sock_addr_get(r->sqe.addr, (int)MIN(r->sqe.off, (u64)INT32_MAX), a);
}

s64 op_connect(struct req *r, bool may_wait)
{
    s64 e = socket_of(r);
    if (e < 0)
        return e;
    struct sock *s = file_sock(r->file);
    if (r->tries == 0) {
        e = sock_connect(s, r->data, true);
        return e == -EINPROGRESS || (e == -EAGAIN && sock_domain(s) == AF_UNIX) ? RES_WAIT : e;
    }
    u32 err = 0, len = sizeof err;
    if (sock_domain(s) == AF_UNIX)
        return sock_connect(s, r->data, !may_wait);
    e = sock_getopt(s, 1 /* SOL_SOCKET */, 4 /* SO_ERROR */, &err, &len);
    return e < 0 ? e : -(s64)err;
}

s64 op_shutdown(struct req *r, bool may_wait)
{
    return r->sqe.off != 0 || r->sqe.addr != 0 || r->sqe.op_flags != 0 ? -EINVAL : sys_shutdown(GIVEN_FD(0), (int)r->sqe.len);
}

s64 op_socket(struct req *r, bool may_wait)
{
    if (r->sqe.addr != 0 || r->sqe.op_flags != 0 || (r->sqe.file_index != 0 && ((u32)r->sqe.off & O_CLOEXEC)))
        return -EINVAL;
    return req_to_table(r, sys_socket(r->sqe.fd, (int)r->sqe.off, (int)r->sqe.len));
}
