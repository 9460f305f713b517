/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio over a register window (virtio 1.2, section 4.2), version 2 only. One
 * line for everything, high while the interrupt status is not 0; microvm's interrupt controller takes its edges.
 */
#include "kern/drivers.h"
#include "kern/log.h"
#include "kern/slab.h"
#include "virtio.h"

enum {
    REG_MAGIC = 0x000,
    REG_VERSION = 0x004,
    REG_DEVICE_ID = 0x008,
    REG_DEVICE_FEATURES = 0x010,
    REG_DEVICE_FEATURES_SEL = 0x014,
    REG_DRIVER_FEATURES = 0x020,
    REG_DRIVER_FEATURES_SEL = 0x024,
    REG_QUEUE_SEL = 0x030,
    REG_QUEUE_SIZE_MAX = 0x034,
    REG_QUEUE_SIZE = 0x038,
    REG_QUEUE_READY = 0x044,
    REG_QUEUE_NOTIFY = 0x050,
    REG_INTERRUPT_STATUS = 0x060,
    REG_INTERRUPT_ACK = 0x064,
    REG_STATUS = 0x070,
    REG_QUEUE_DESC = 0x080,
    REG_QUEUE_DRIVER = 0x090,
    REG_QUEUE_DEVICE = 0x0a0,
    REG_CONFIG_GENERATION = 0x0fc,
    REG_CONFIG = 0x100,
};
#define MMIO_MAGIC 0x74726976u /* "virt" */
#define INT_QUEUE 1u
#define INT_CONFIG 2u

static u32 reg_read(struct virtio_dev *vd, u32 reg) { return *(volatile u32 *)(vd->regs + reg); }
static void reg_write(struct virtio_dev *vd, u32 reg, u32 v) { *(volatile u32 *)(vd->regs + reg) = v; }

static u8 mmio_get_status(struct virtio_dev *vd) { return (u8)reg_read(vd, REG_STATUS); }
static void mmio_set_status(struct virtio_dev *vd, u8 status) { reg_write(vd, REG_STATUS, status); }

static u64 mmio_get_features(struct virtio_dev *vd)
{
    reg_write(vd, REG_DEVICE_FEATURES_SEL, 0);
    u64 f = reg_read(vd, REG_DEVICE_FEATURES);
    reg_write(vd, REG_DEVICE_FEATURES_SEL, 1);
    return f | (u64)reg_read(vd, REG_DEVICE_FEATURES) << 32;
}

static void mmio_set_features(struct virtio_dev *vd, u64 features)
{
    reg_write(vd, REG_DRIVER_FEATURES_SEL, 0);
    reg_write(vd, REG_DRIVER_FEATURES, (u32)features);
    reg_write(vd, REG_DRIVER_FEATURES_SEL, 1);
    reg_write(vd, REG_DRIVER_FEATURES, (u32)(features >> 32));
}

static u16 mmio_queue_max(struct virtio_dev *vd, u16 index)
{
    reg_write(vd, REG_QUEUE_SEL, index);
    if (reg_read(vd, REG_QUEUE_READY) != 0)
        return 0;
    return (u16)MIN(reg_read(vd, REG_QUEUE_SIZE_MAX), VQ_MAX_SIZE);
}

static void write_address(struct virtio_dev *vd, u32 reg, const void *p)
{
    paddr_t pa = virt_to_phys(p);
    reg_write(vd, reg, (u32)pa);
    reg_write(vd, reg + 4, (u32)(pa >> 32));
}

static int mmio_queue_enable(struct virtio_dev *vd, struct virtq *vq)
{
    reg_write(vd, REG_QUEUE_SEL, vq->index);
    reg_write(vd, REG_QUEUE_SIZE, vq->size);
    write_address(vd, REG_QUEUE_DESC, vq->desc);
    write_address(vd, REG_QUEUE_DRIVER, vq->avail);
    write_address(vd, REG_QUEUE_DEVICE, vq->used);
    vq->doorbell = vd->regs + REG_QUEUE_NOTIFY;
    vq->notify16 = false;
    reg_write(vd, REG_QUEUE_READY, 1);
    return 0;
}

static u32 mmio_config_generation(struct virtio_dev *vd) { return reg_read(vd, REG_CONFIG_GENERATION); }

static const struct virtio_transport mmio_transport = {
    .get_status = mmio_get_status,
    .set_status = mmio_set_status,
    .get_features = mmio_get_features,
    .set_features = mmio_set_features,
    .queue_max = mmio_queue_max,
    .queue_enable = mmio_queue_enable,
    .config_generation = mmio_config_generation,
};

static void mmio_irq(void *arg)
{
    struct virtio_dev *vd = arg;
    u32 status;
    /* Until it is 0, however often: the wire is low then, so what comes next is an edge. One that comes while it is high is none, and
     * where the interrupt controller takes edges nothing of this device would be heard again. (A host that never lets it fall
     * could as well stop the CPU.) */
    while ((status = reg_read(vd, REG_INTERRUPT_STATUS)) != 0) {
        reg_write(vd, REG_INTERRUPT_ACK, status);
        virtio_interrupt(vd, ANY_VECTOR, (status & INT_CONFIG) != 0);
    }
}

static int mmio_probe(struct device *d)
{
    if (d->bus != BUS_MMIO || d->mmio_len < REG_CONFIG)
        return -ENODEV;
    volatile u8 *regs = plat_map_device(d->mmio_base, d->mmio_len);
    if (regs == NULL)
        return -ENOMEM;
    if (*(volatile u32 *)(regs + REG_MAGIC) != MMIO_MAGIC)
        return -ENODEV;
    u32 version = *(volatile u32 *)(regs + REG_VERSION);
    u32 type = *(volatile u32 *)(regs + REG_DEVICE_ID);
    if (type == 0) /* an empty slot */
        return -ENODEV;
    if (version != 2) {
        klog(LOG_ERROR, "%s: virtio-mmio version %u; 2 is needed (QEMU: -global virtio-mmio.force-legacy=false)",
             d->name, version);
        return -ENODEV;
    }
    struct virtio_dev *vd = kzalloc(sizeof(*vd));
    if (vd == NULL)
        return -ENOMEM;
    vd->dev = d;
    vd->tr = &mmio_transport;
    vd->type = type;
    vd->regs = regs;
    vd->config = regs + REG_CONFIG;
    vd->config_len = (u32)(d->mmio_len - REG_CONFIG);
    vd->offered = mmio_get_features(vd);
    int err = d->irq_attach(d, mmio_irq, vd);
    if (err == 0)
        err = virtio_offer(vd);
    else
        klog(LOG_ERROR, "%s: no interrupt %u: error %d", d->name, d->irq, -err);
    /* On failure vd stays: the interrupt handler cannot be detached. */
    return err;
}

const struct driver virtio_mmio_driver = { .name = "virtio-mmio", .probe = mmio_probe };
