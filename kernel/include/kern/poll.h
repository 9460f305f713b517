/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readiness. A pollable object answers "what is ready now" and, when given a
 * poll_table, registers the caller on the wait queue that will report changes.
 */
#ifndef KERN_POLL_H
#define KERN_POLL_H

#include "kern/wait.h"

#define POLLIN 0x001u
#define POLLPRI 0x002u
#define POLLOUT 0x004u
#define POLLERR 0x008u
#define POLLHUP 0x010u
#define POLLNVAL 0x020u
#define POLLRDNORM 0x040u
#define POLLRDBAND 0x080u
#define POLLWRNORM 0x100u
#define POLLWRBAND 0x200u
#define POLLMSG 0x400u
#define POLLRDHUP 0x2000u

struct poll_table {
    void (*queue)(struct poll_table *pt, struct waitqueue *wq);
};

/* Call from a poll operation for every queue that can change the answer; pt may be NULL. */
static inline void poll_wait(struct waitqueue *wq, struct poll_table *pt)
{
    if (pt != NULL && pt->queue != NULL)
        pt->queue(pt, wq);
}

#endif
