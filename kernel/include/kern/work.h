/* SPDX-License-Identifier: Apache-2.0 */
/* Work that may sleep, done by a kernel thread, in order. */
#ifndef KERN_WORK_H
#define KERN_WORK_H

#include "base/list.h"
#include "kern/types.h"

struct work {
    struct list node;
    void (*fn)(struct work *w);
    u32 pending; /* atomic */
};

/* By a thread, once, before anyone may queue it: this is also where the work thread is made. */
void work_init(struct work *w, void (*fn)(struct work *w));
/* False when it was queued already. Any context. */
bool work_queue(struct work *w);
void work_flush(void); /* wait until everything queued so far has run */

#endif
