/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to a process of the host and its replies. One user for each device, who opens it once: he posts messages, each with room for
 * its reply, and is called back when the reply is in. What a reply says is the host's, and not to be trusted.
 */
#ifndef KERN_MSGDEV_H
#define KERN_MSGDEV_H

#include "base/list.h"
#include "kern/types.h"

#define MSG_SEGS 68u /* of one message and its reply together */

struct msgdev;

struct msg_seg {
    void *data; /* of the direct map */
    u32 len;
};

struct msgdev_ops {
    /* *ret_messages: how many may wait for replies at a time; each has room for MSG_SEGS. Sleeps. */
    int (*open)(struct msgdev *d, unsigned *ret_messages);
    /* nout segments of the message, then nin for its reply. `cookie` is not NULL. No doorbell. 0, -ENOSPC, -EIO (device broken). */
    int (*post)(struct msgdev *d, const struct msg_seg *segs, unsigned nout, unsigned nin, void *cookie);
    void (*kick)(struct msgdev *d);
    /* From its return on the device leaves all memory alone, and calls nobody. Thread context. */
    void (*close)(struct msgdev *d);
};

struct msgdev {
    struct list node;
    char name[37];
    const struct msgdev_ops *ops;
    void *driver;
    void *user; /* set before ops->open */
    /* Bottom half, under a lock of the device's: calls no ops. `len` bytes are in the reply's segments. Cookie NULL: the device is broken, nothing more will come. */
    void (*replied)(struct msgdev *d, void *cookie, u32 len);
};

void msgdev_register(struct msgdev *d);
struct msgdev *msgdev_find(const char *name);

#endif
