/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a call on vectors and messages copies from its program before it begins: so that it may also be made later
 * (uring.h), when the program's own copy is gone.
 */
#ifndef LINUX_MSG_H
#define LINUX_MSG_H

#include "task.h"
#include "kern/socket.h"

#define FAST_SEGS 8
struct vec {
    struct uio_seg fast[FAST_SEGS], *segs;
    struct uio u;
};
/* 0, -EINVAL, -EFAULT, -ENOMEM: there is nothing to put then. */
int vec_get(struct vec *v, uaddr_t iov, u64 count);
void vec_put(struct vec *v);

#define RWF_HIPRI 1u
#define RWF_DSYNC 2u
#define RWF_SYNC 4u
#define RWF_NOWAIT 8u
#define RWF_APPEND 16u
/* vfs_write() with RWF_APPEND, RWF_DSYNC and RWF_SYNC; `pos` NULL: the file's own position. */
s64 write_flagged(struct file *f, struct uio *u, u64 *pos, u32 flags);

struct abi_msghdr {
    u64 name;
    u32 namelen, pad0;
    u64 iov, iovlen, control, controllen;
    u32 flags, pad1;
};
_Static_assert(sizeof(struct abi_msghdr) == 56, "struct msghdr");
/* A message header with its vector, name and control bytes in the kernel. */
struct msg {
    struct abi_msghdr h;
    struct uio_seg fast[8], *segs;
    struct uio u;
    struct sock_addr addr;
    u8 *control;
};

/* 0 or -errno; msg_put() in any case. */
int msg_get(struct msg *m, uaddr_t umsg, bool sending);
void msg_put(struct msg *m);
/* f is a socket. The second writes what it has received of name, control bytes and flags to umsg. */
s64 msg_send(struct file *f, struct msg *m, u32 flags);
s64 msg_recv(struct file *f, struct msg *m, uaddr_t umsg, u32 flags);
int sock_addr_get(uaddr_t uaddr, int len, struct sock_addr *ret);

#endif
