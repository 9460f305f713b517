/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The drivers that this kernel was built with, for init/drivers.c alone: leaving a
 * driver out is leaving it out of the lists there (and its file out of the build).
 */
#ifndef KERN_DRIVERS_H
#define KERN_DRIVERS_H

#include "kern/device.h"

/* Buses. */
extern const struct driver virtio_mmio_driver;
extern const struct driver virtio_pci_driver;

/* Behind a virtio transport. */
struct virtio_driver;
extern const struct virtio_driver virtio_blk_driver;
extern const struct virtio_driver virtio_console_driver;
extern const struct virtio_driver virtio_msg_driver;
extern const struct virtio_driver virtio_net_driver;
extern const struct virtio_driver virtio_rng_driver;

/* Filled in by init/drivers.c; NULL-terminated. */
extern const struct virtio_driver *const virtio_drivers[];

#endif
