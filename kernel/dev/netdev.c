/* SPDX-License-Identifier: Apache-2.0 */
/* Network devices: the registry. See kern/netdev.h. */
#include "kern/netdev.h"

#include "base/fmt.h"
#include "base/str.h"
#include "kern/lock.h"

static struct spinlock netdevs_lock = SPINLOCK_INIT("netdevs");
static struct list netdevs = LIST_INIT(netdevs); /* netdevs_lock; entries stay for good */
static unsigned next_index = 1, next_eth;        /* netdevs_lock */

void (*netdev_added)(struct netdev *d);

void netdev_register(struct netdev *d)
{
    spin_lock_bh(&netdevs_lock);
    d->index = next_index++;
    if (d->name[0] == '\0')
        fmt_snprintf(d->name, sizeof(d->name), "eth%u", next_eth++);
    list_push_back(&netdevs, &d->node);
    spin_unlock_bh(&netdevs_lock);
    if (netdev_added != NULL)
        netdev_added(d);
}

struct netdev_stats netdev_stats(const struct netdev *d)
{
    struct netdev_stats sum = d->stats;
    if (d->ops->add_stats != NULL)
        d->ops->add_stats(d, &sum);
    return sum;
}

struct netdev *netdev_find(const char *name)
{
    struct netdev *found = NULL;
    spin_lock_bh(&netdevs_lock);
    list_for_each(d, &netdevs, struct netdev, node) {
        if (strcmp(d->name, name) == 0) {
            found = d;
            break;
        }
    }
    spin_unlock_bh(&netdevs_lock);
    return found;
}

void netdev_for_each(void (*fn)(struct netdev *d, void *ctx), void *ctx)
{
    /* Entries are only ever appended, so walking without the lock while fn sleeps is safe. */
    list_for_each(d, &netdevs, struct netdev, node)
        fn(d, ctx);
}
