/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the platform found, before a driver takes it: a register window with an
 * interrupt line (virtio-mmio), or a PCI function. Drivers are listed in
 * init/drivers.c; device_probe_all() offers each device to each driver.
 */
#ifndef KERN_DEVICE_H
#define KERN_DEVICE_H

#include "base/list.h"
#include "kern/trap.h"

enum bus_type { BUS_MMIO, BUS_PCI };

struct device;

/* PCI configuration space and MSI-X, supplied by the platform. */
struct pci_ops {
    u32 (*config_read)(struct device *d, unsigned off, unsigned width_bytes);
    void (*config_write)(struct device *d, unsigned off, unsigned width_bytes, u32 value);
    /* Map BAR n: its virtual address and length; NULL when absent. */
    volatile void *(*map_bar)(struct device *d, unsigned bar, u64 *ret_len);
    /* Route MSI-X table entry `entry` of the device to handler. 0 or -errno. */
    int (*msix_attach)(struct device *d, unsigned entry, irq_handler_fn *fn, void *arg);
    /* Let an attached entry interrupt CPU `cpu`, which is online, instead of the first one. Any context. */
    void (*msix_route)(struct device *d, unsigned entry, unsigned cpu);
};

struct device {
    struct list node;
    enum bus_type bus;
    char name[24];         /* "virtio-mmio@feb00000", "pci 00:02.0" */
    /* BUS_MMIO */
    paddr_t mmio_base;
    u64 mmio_len;
    unsigned irq;
    int (*irq_attach)(struct device *d, irq_handler_fn *fn, void *arg);
    /* BUS_PCI */
    const struct pci_ops *pci;
    u16 bdf, vendor, device_id, subsystem_id;
    u32 class_code;
    const void *driver;    /* who took it */
};

struct driver {
    const char *name;
    int (*probe)(struct device *d); /* 0 taken, -ENODEV not mine, other errors are logged */
};

void device_add(struct device *d); /* kept by reference */
void device_probe_all(const struct driver *const *drivers, unsigned n);

#endif
