/* SPDX-License-Identifier: Apache-2.0 */
/* mmap(2) of sockets: the rings of packet(7). An area holds its file, hence the socket. */
#include "scm.h"
#include "base/str.h"
#include "kern/addrspace.h"
#include "kern/socket.h"

static struct sock *sock_of(const struct vma *v) { return ((struct file *)v->object)->private; }
static int fault(struct vma *v, u64 index, struct page **ret) { return sock_map_page(sock_of(v), index, ret); }
static void area_open(struct vma *v) { file_get(v->object); }
static void area_close(struct vma *v) { file_put(v->object); }

static void describe(struct vma *v, char *name, size_t size, u64 *dev, u64 *ino)
{
    const struct file *f = v->object;
    str_copy(name, "socket:", size);
    *dev = f->inode->sb->dev;
    *ino = f->inode->ino;
}

int socket_mmap(struct file *f, struct map_request *req)
{
    static const struct vma_ops ops = {.fault = fault, .open = area_open, .close = area_close, .describe = describe};
    if (req->pgoff != 0 || !(req->flags & VMA_SHARED))
        return -EINVAL;
    int r = sock_map(f->private, req->len_bytes);
    if (r < 0)
        return r;
    req->ops = &ops;
    req->object = f;
    return 0;
}
