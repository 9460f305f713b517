/* SPDX-License-Identifier: Apache-2.0 */
/* The drivers of this kernel. A trimmed one has a shorter list. */
#include "kern/drivers.h"

#include "init_impl.h"

const struct driver *const bus_drivers[] = {
    &virtio_mmio_driver,
    &virtio_pci_driver,
    NULL,
};

const struct virtio_driver *const virtio_drivers[] = {
    &virtio_console_driver,
    &virtio_blk_driver,
    &virtio_net_driver,
    &virtio_rng_driver,
    &virtio_msg_driver,
    NULL,
};
