/* SPDX-License-Identifier: Apache-2.0 */
/* mmap(2) of sockets: the rings of packet(7). An area holds its file, hence the socket. */
#include "scm.h"
#include "kern/addrspace.h"
#include "kern/socket.h"

static struct sock *sock_of(const struct vma *v) { return ((struct file *)v->object)->private; }
static int fault(struct vma *v, u64 index, struct page **ret) { return sock_map_page(sock_of(v), index, ret); }

int socket_mmap(struct file *f, struct map_request *req)
{
    static const struct vma_ops ops = {.fault = fault, .open = file_vma_open, .close = file_vma_close, .describe = file_vma_describe};
    if (req->pgoff != 0 || !(req->flags & VMA_SHARED))
        return -EINVAL;
    int r = sock_map(f->private, req->len_bytes);
    if (r < 0)
        return r;
    req->ops = &ops;
    req->object = f;
    return 0;
}
