/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio over PCI (virtio 1.2, section 4.1), modern interface only, MSI-X only.
 * The function's vendor capabilities say in which BAR the four register groups
 * lie; each is checked against the BAR's length before use.
 *
 * Vectors: entry 0 is for configuration changes, queue i gets entry 1 + i as far
 * as the table reaches; later queues share the last one. With a single entry,
 * it serves everything.
 */
#include "base/checked.h"
#include "kern/drivers.h"
#include "kern/log.h"
#include "kern/slab.h"
#include "virtio.h"

#define PCI_COMMAND 0x04
#define PCI_COMMAND_MEMORY 0x2u
#define PCI_COMMAND_MASTER 0x4u
#define PCI_COMMAND_INTX_OFF 0x400u
#define PCI_STATUS 0x06
#define PCI_STATUS_CAPS 0x10u
#define PCI_CAP_POINTER 0x34
#define PCI_CAP_MSIX 0x11
#define PCI_CAP_VENDOR 0x09
#define PCI_MAX_CAPS 48

#define VENDOR_VIRTIO 0x1af4
#define MAX_VECTORS 66 /* virtio-net with 32 pairs of queues */

enum { CFG_COMMON = 1, CFG_NOTIFY = 2, CFG_ISR = 3, CFG_DEVICE = 4 };

/* struct virtio_pci_common_cfg */
enum {
    COMMON_DEVICE_FEATURE_SELECT = 0x00,
    COMMON_DEVICE_FEATURE = 0x04,
    COMMON_DRIVER_FEATURE_SELECT = 0x08,
    COMMON_DRIVER_FEATURE = 0x0c,
    COMMON_CONFIG_MSIX = 0x10,
    COMMON_NUM_QUEUES = 0x12,
    COMMON_STATUS = 0x14,
    COMMON_GENERATION = 0x15,
    COMMON_QUEUE_SELECT = 0x16,
    COMMON_QUEUE_SIZE = 0x18,
    COMMON_QUEUE_MSIX = 0x1a,
    COMMON_QUEUE_ENABLE = 0x1c,
    COMMON_QUEUE_NOTIFY_OFF = 0x1e,
    COMMON_QUEUE_DESC = 0x20,
    COMMON_QUEUE_DRIVER = 0x28,
    COMMON_QUEUE_DEVICE = 0x30,
    COMMON_LEN = 0x38,
};

struct window {
    volatile u8 *base; /* NULL = absent */
    u32 len;
};

struct pci_vector {
    struct virtio_dev *vd;
    u16 entry;
    bool attached;
};

struct virtio_pci {
    struct window notify;
    u32 notify_multiplier;
    u16 nvectors;           /* of the table, at most MAX_VECTORS */
    struct pci_vector vectors[]; /* thread context of the owner of the device only */
};

static u8 c8(struct virtio_dev *vd, u32 off) { return vd->regs[off]; }
static u16 c16(struct virtio_dev *vd, u32 off) { return *(volatile u16 *)(vd->regs + off); }
static u32 c32(struct virtio_dev *vd, u32 off) { return *(volatile u32 *)(vd->regs + off); }
static void w16(struct virtio_dev *vd, u32 off, u16 v) { *(volatile u16 *)(vd->regs + off) = v; }
static void w32(struct virtio_dev *vd, u32 off, u32 v) { *(volatile u32 *)(vd->regs + off) = v; }
static void w64(struct virtio_dev *vd, u32 off, u64 v)
{
    w32(vd, off, (u32)v);
    w32(vd, off + 4, (u32)(v >> 32));
}

static void vector_irq(void *arg)
{
    struct pci_vector *v = arg;
    virtio_interrupt(v->vd, v->entry, v->entry == 0);
}

static int attach_vector(struct virtio_dev *vd, u16 entry)
{
    struct virtio_pci *vp = vd->transport;
    struct pci_vector *v = &vp->vectors[entry];
    if (v->attached)
        return 0;
    v->vd = vd;
    v->entry = entry;
    int err = vd->dev->pci->msix_attach(vd->dev, entry, vector_irq, v);
    v->attached = err == 0;
    return err;
}

static u8 pci_get_status(struct virtio_dev *vd) { return c8(vd, COMMON_STATUS); }

static void pci_set_status(struct virtio_dev *vd, u8 status)
{
    vd->regs[COMMON_STATUS] = status;
    /* A reset forgets the vectors. */
    if (status == (VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER) && vd->config_changed != NULL &&
        attach_vector(vd, 0) == 0)
        w16(vd, COMMON_CONFIG_MSIX, 0);
}

static u64 pci_get_features(struct virtio_dev *vd)
{
    w32(vd, COMMON_DEVICE_FEATURE_SELECT, 0);
    u64 f = c32(vd, COMMON_DEVICE_FEATURE);
    w32(vd, COMMON_DEVICE_FEATURE_SELECT, 1);
    return f | (u64)c32(vd, COMMON_DEVICE_FEATURE) << 32;
}

static void pci_set_features(struct virtio_dev *vd, u64 features)
{
    w32(vd, COMMON_DRIVER_FEATURE_SELECT, 0);
    w32(vd, COMMON_DRIVER_FEATURE, (u32)features);
    w32(vd, COMMON_DRIVER_FEATURE_SELECT, 1);
    w32(vd, COMMON_DRIVER_FEATURE, (u32)(features >> 32));
}

static u16 pci_queue_max(struct virtio_dev *vd, u16 index)
{
    if (index >= c16(vd, COMMON_NUM_QUEUES))
        return 0;
    w16(vd, COMMON_QUEUE_SELECT, index);
    if (c16(vd, COMMON_QUEUE_ENABLE) != 0)
        return 0;
    return (u16)MIN(c16(vd, COMMON_QUEUE_SIZE), VQ_MAX_SIZE);
}

static int pci_queue_enable(struct virtio_dev *vd, struct virtq *vq)
{
    struct virtio_pci *vp = vd->transport;
    w16(vd, COMMON_QUEUE_SELECT, vq->index);
    u64 off = (u64)c16(vd, COMMON_QUEUE_NOTIFY_OFF) * vp->notify_multiplier;
    if (!range_inside(off, 2, vp->notify.len) || (off & 1) != 0) {
        klog(LOG_ERROR, "%s: queue %u: doorbell at %#llx lies outside its window of %#x bytes", vd->dev->name,
             vq->index, (unsigned long long)off, vp->notify.len);
        return -EIO;
    }
    vq->doorbell = vp->notify.base + off;
    vq->notify16 = true;
    vq->vector = (u16)MIN(1 + vq->index, vp->nvectors - 1);
    int err = attach_vector(vd, vq->vector);
    if (err != 0)
        return err;
    w16(vd, COMMON_QUEUE_SIZE, vq->size);
    w16(vd, COMMON_QUEUE_MSIX, vq->vector);
    if (c16(vd, COMMON_QUEUE_MSIX) != vq->vector) {
        klog(LOG_ERROR, "%s: queue %u: MSI-X vector %u refused", vd->dev->name, vq->index, vq->vector);
        return -EIO;
    }
    w64(vd, COMMON_QUEUE_DESC, virt_to_phys(vq->desc));
    w64(vd, COMMON_QUEUE_DRIVER, virt_to_phys(vq->avail));
    w64(vd, COMMON_QUEUE_DEVICE, virt_to_phys(vq->used));
    w16(vd, COMMON_QUEUE_ENABLE, 1);
    return 0;
}

static void pci_queue_route(struct virtio_dev *vd, struct virtq *vq, unsigned cpu)
{
    vd->dev->pci->msix_route(vd->dev, vq->vector, cpu);
}

static u32 pci_config_generation(struct virtio_dev *vd) { return c8(vd, COMMON_GENERATION); }

static const struct virtio_transport pci_transport = {
    .get_status = pci_get_status,
    .set_status = pci_set_status,
    .get_features = pci_get_features,
    .set_features = pci_set_features,
    .queue_max = pci_queue_max,
    .queue_enable = pci_queue_enable,
    .config_generation = pci_config_generation,
    .queue_route = pci_queue_route,
};

/* Capability at `cap` -> the window it describes. False when it lies outside its BAR. */
static bool map_window(struct device *d, unsigned cap, struct window *ret)
{
    unsigned bar = d->pci->config_read(d, cap + 4, 1);
    u32 off = d->pci->config_read(d, cap + 8, 4), len = d->pci->config_read(d, cap + 12, 4);
    if (bar > 5)
        return false;
    u64 bar_len = 0;
    volatile u8 *base = d->pci->map_bar(d, bar, &bar_len);
    if (base == NULL || !range_inside(off, len, bar_len))
        return false;
    ret->base = base + off;
    ret->len = len;
    return true;
}

struct found {
    struct window common, notify, device;
    u32 notify_multiplier;
    u16 msix_entries;
};

static void walk_capabilities(struct device *d, struct found *f)
{
    if ((d->pci->config_read(d, PCI_STATUS, 2) & PCI_STATUS_CAPS) == 0)
        return;
    unsigned cap = d->pci->config_read(d, PCI_CAP_POINTER, 1) & 0xfcu;
    for (unsigned i = 0; i < PCI_MAX_CAPS && cap >= 0x40; i++) {
        u32 head = d->pci->config_read(d, cap, 4);
        unsigned id = head & 0xff;
        if (id == PCI_CAP_MSIX) {
            f->msix_entries = (u16)(((head >> 16) & 0x7ff) + 1);
        } else if (id == PCI_CAP_VENDOR && cap <= 0x100 - 20) {
            switch (head >> 24) { /* cfg_type; the first usable one of each counts */
            case CFG_COMMON:
                if (f->common.base == NULL)
                    map_window(d, cap, &f->common);
                break;
            case CFG_NOTIFY:
                if (f->notify.base == NULL && map_window(d, cap, &f->notify))
                    f->notify_multiplier = d->pci->config_read(d, cap + 16, 4);
                break;
            case CFG_DEVICE:
                if (f->device.base == NULL)
                    map_window(d, cap, &f->device);
                break;
            }
        }
        cap = (head >> 8) & 0xfcu;
    }
}

static int pci_probe(struct device *d)
{
    if (d->bus != BUS_PCI || d->vendor != VENDOR_VIRTIO || d->device_id < 0x1000 || d->device_id > 0x107f)
        return -ENODEV;
    u32 type = d->device_id >= 0x1040 ? d->device_id - 0x1040u : d->subsystem_id;
    u32 command = d->pci->config_read(d, PCI_COMMAND, 2);
    d->pci->config_write(d, PCI_COMMAND, 2,
                         command | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_OFF);
    struct found f = { 0 };
    walk_capabilities(d, &f);
    if (f.common.base == NULL || f.common.len < COMMON_LEN || f.notify.base == NULL) {
        klog(LOG_ERROR, "%s: no modern virtio interface (QEMU: disable-legacy=on,disable-modern=off)", d->name);
        return -ENODEV;
    }
    if (f.msix_entries == 0) {
        klog(LOG_ERROR, "%s: virtio device without MSI-X (QEMU: vectors=...)", d->name);
        return -ENODEV;
    }
    u16 nvectors = MIN(f.msix_entries, MAX_VECTORS);
    struct virtio_dev *vd = kzalloc(sizeof(*vd));
    struct virtio_pci *vp = kzalloc(sizeof(*vp) + nvectors * sizeof(vp->vectors[0]));
    if (vd == NULL || vp == NULL) {
        kfree(vd);
        kfree(vp);
        return -ENOMEM;
    }
    vp->notify = f.notify;
    vp->notify_multiplier = f.notify_multiplier;
    vp->nvectors = nvectors;
    vd->dev = d;
    vd->tr = &pci_transport;
    vd->type = type;
    vd->regs = f.common.base;
    vd->config = f.device.base;
    vd->config_len = f.device.len;
    vd->transport = vp;
    vd->offered = pci_get_features(vd);
    /* On failure vd and vp stay: vectors cannot be detached. */
    return virtio_offer(vd);
}

const struct driver virtio_pci_driver = { .name = "virtio-pci", .probe = pci_probe };
