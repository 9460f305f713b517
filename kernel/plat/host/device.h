/* SPDX-License-Identifier: Apache-2.0 */
/* Private to plat/host: its devices, descriptors of Linux behind the tables of kernel/dev. */
#ifndef HOST_DEVICE_H
#define HOST_DEVICE_H

#include "host.h"

/* System calls of Linux, x86-64. */
enum {
    NR_READ = 0,
    NR_WRITE = 1,
    NR_PREAD64 = 17,
    NR_READV = 19,
    NR_WRITEV = 20,
    NR_FDATASYNC = 75,
    NR_PREADV = 295,
    NR_PWRITEV = 296,
};

struct host_iovec {
    void *base;
    u64 len;
};

/* host_call() as often as a signal interrupts it. */
long host_read(int fd, void *buf, size_t len);
long host_write(int fd, const void *buf, size_t len);
long host_readv(int fd, const struct host_iovec *iov, unsigned n);
long host_writev(int fd, const struct host_iovec *iov, unsigned n);

/* Ask for these events from now on, or for others no more. Any context. */
void host_source_want(struct host_source *s, short add, short remove);

/* Each makes one device of a checked table entry, which stays, and registers it. 0, -ENOMEM, -ENOSPC. */
int host_blk_add(const struct host_device *h);
int host_net_add(const struct host_device *h);
int host_port_add(const struct host_device *h);

#endif
