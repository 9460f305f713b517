/* SPDX-License-Identifier: Apache-2.0 */
/* Devices for requests and replies: the registry. See kern/msgdev.h. */
#include "kern/msgdev.h"

#include "base/str.h"
#include "kern/lock.h"

static struct spinlock msgdevs_lock = SPINLOCK_INIT("msgdevs");
static struct list msgdevs = LIST_INIT(msgdevs); /* msgdevs_lock; entries stay for good */

void msgdev_register(struct msgdev *d)
{
    spin_lock_bh(&msgdevs_lock);
    list_push_back(&msgdevs, &d->node);
    spin_unlock_bh(&msgdevs_lock);
}

struct msgdev *msgdev_find(const char *name)
{
    struct msgdev *found = NULL;
    spin_lock_bh(&msgdevs_lock);
    list_for_each(d, &msgdevs, struct msgdev, node)
        if (found == NULL && strcmp(d->name, name) == 0)
            found = d;
    spin_unlock_bh(&msgdevs_lock);
    return found;
}
