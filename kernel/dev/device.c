/* SPDX-License-Identifier: Apache-2.0 */
/* The list of what the platform found. Filled and probed by the boot CPU's init
 * thread before anything else runs, so it needs no lock. */
#include "kern/device.h"

#include "kern/log.h"

static struct list devices = LIST_INIT(devices);

void device_add(struct device *d)
{
    d->driver = NULL;
    list_push_back(&devices, &d->node);
}

void device_probe_all(const struct driver *const *drivers, unsigned n)
{
    list_for_each(d, &devices, struct device, node) {
        for (unsigned i = 0; i < n && d->driver == NULL; i++) {
            int err = drivers[i]->probe(d);
            if (err == 0)
                d->driver = drivers[i];
            else if (err != -ENODEV)
                klog(LOG_ERROR, "%s: driver %s failed: error %d", d->name, drivers[i]->name, -err);
        }
    }
}
