/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Byte streams to the host: virtio-serial ports. The file side (stdin, tty, ...)
 * is in fs/, the control protocol in init/.
 */
#ifndef KERN_CHARDEV_H
#define KERN_CHARDEV_H

#include "kern/wait.h"

struct chardev;

struct chardev_ops {
    /* Take up to len bytes without blocking; 0 = full now. Any thread context. */
    size_t (*write)(struct chardev *c, const void *buf, size_t len);
    /* Give up to len bytes without blocking; 0 = none now. */
    size_t (*read)(struct chardev *c, void *buf, size_t len);
    bool (*can_read)(struct chardev *c);
    bool (*can_write)(struct chardev *c);
    /* Wait (bounded) until everything written has left for the host. */
    void (*drain)(struct chardev *c);
    /* Tell the host that no more will be written (EOF). */
    void (*close)(struct chardev *c);
    /* For panics: write and wait by polling, bounded, from any context, without
     * blocking on a lock. May be NULL. */
    void (*write_sync)(struct chardev *c, const void *buf, size_t len);
};

struct chardev {
    struct list node;
    char name[32];               /* "drupe.stdout" */
    const struct chardev_ops *ops;
    struct waitqueue wq;         /* readable, writable or hung up */
    bool host_open;              /* the host end is connected; false = EOF after buffered data */
    bool host_was_open;
    u64 rx_bytes;                /* given out by ops->read so far; the driver's lock */
    u64 eof_at;                  /* host_open becomes false at this many rx_bytes; UINT64_MAX = no end known */
    u64 tx_bytes;                /* taken by ops->write so far; the driver's lock */
    u32 writers;                 /* atomic: open files that may write (fs/stream.c) */
    void *driver;
};

void chardev_register(struct chardev *c);
struct chardev *chardev_find(const char *name);
void chardev_for_each(void (*fn)(struct chardev *c, void *ctx), void *ctx);
/* Woken whenever a device is registered or a bus has told all it has. */
extern struct waitqueue chardev_added;
/* Atomic: buses that may still announce devices (drivers count themselves). */
extern u32 chardev_pending;
/* The host said where its stream ends (bytes from the start; 0 = now). Any thread context. */
void chardev_set_eof(struct chardev *c, u64 total_bytes);
/* Set by init: ops->close was called, tx_bytes is final. Thread context; may be NULL. */
extern void (*chardev_closed)(struct chardev *c);
/* For drivers: ops->read gave out n bytes more. */
void chardev_received(struct chardev *c, size_t n);
/* Blocking conveniences, thread context. Bytes moved, 0 = EOF (read), -ERESTARTSYS, -EPIPE. */
s64 chardev_read(struct chardev *c, void *buf, size_t len, bool nonblock);
s64 chardev_write(struct chardev *c, const void *buf, size_t len, bool nonblock);

#endif
