/* SPDX-License-Identifier: Apache-2.0 */
/* What all virtio devices share: negotiation, queues, interrupts. See virtio.h. */
#include "virtio.h"

#include "base/checked.h"
#include "base/str.h"
#include "kern/drivers.h"
#include "kern/log.h"
#include "kern/slab.h"

#define RESET_TIMEOUT_NS (1000 * NSEC_PER_MSEC)

int virtio_offer(struct virtio_dev *vd)
{
    list_init(&vd->queues);
    spin_init(&vd->lock, "virtio");
    spin_init(&vd->setup_lock, "virtio_setup");
    for (unsigned i = 0; virtio_drivers[i] != NULL; i++) {
        if (virtio_drivers[i]->type != vd->type)
            continue;
        int err = virtio_drivers[i]->probe(vd);
        if (err == 0)
            klog(LOG_DEBUG, "%s: %s", vd->dev->name, virtio_drivers[i]->name);
        return err;
    }
    klog(LOG_DEBUG, "%s: no driver for virtio device type %u", vd->dev->name, vd->type);
    return -ENODEV;
}

void virtio_interrupt(struct virtio_dev *vd, u16 vector, bool config)
{
    if (config && vd->config_changed != NULL)
        vd->config_changed(vd);
    spin_lock(&vd->lock);
    list_for_each(vq, &vd->queues, struct virtq, node)
        if ((vector == ANY_VECTOR || vq->vector == vector) && vq->callback != NULL)
            vq->callback(vq);
    spin_unlock(&vd->lock);
}

static int reset(struct virtio_dev *vd)
{
    vd->tr->set_status(vd, 0);
    u64 deadline = 0;
    while (vd->tr->get_status(vd) != 0) { /* done at once by every known device */
        if (deadline == 0)
            deadline = plat_now_ns() + RESET_TIMEOUT_NS;
        if (plat_now_ns() > deadline) {
            klog(LOG_ERROR, "%s: virtio device does not reset", vd->dev->name);
            return -EIO;
        }
        plat_relax();
    }
    return 0;
}

int virtio_start(struct virtio_dev *vd, u64 wanted)
{
    if ((vd->offered & VIRTIO_F_VERSION_1) == 0) {
        klog(LOG_ERROR, "%s: legacy virtio device; a virtio 1.x one is needed (QEMU: disable-legacy=on, or "
             "-global virtio-mmio.force-legacy=false)", vd->dev->name);
        return -ENODEV;
    }
    int err = reset(vd);
    if (err != 0)
        return err;
    u8 status = VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER;
    vd->tr->set_status(vd, status);
    vd->features = vd->offered & (wanted | VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC |
                                  VIRTIO_F_ACCESS_PLATFORM);
    vd->tr->set_features(vd, vd->features);
    status |= VIRTIO_STATUS_FEATURES_OK;
    vd->tr->set_status(vd, status);
    if ((vd->tr->get_status(vd) & VIRTIO_STATUS_FEATURES_OK) == 0) {
        klog(LOG_ERROR, "%s: virtio features %#llx refused", vd->dev->name, (unsigned long long)vd->features);
        vd->tr->set_status(vd, status | VIRTIO_STATUS_FAILED);
        return -EIO;
    }
    return 0;
}

static int make_queue(struct virtio_dev *vd, u16 index, u16 min_size, u16 max_size,
                      void (*callback)(struct virtq *vq), void *driver, struct virtq **ret_vq)
{
    u16 offered = vd->tr->queue_max(vd, index);
    if (offered < 2)
        return -ENOENT;
    u16 size = max_size;
    while (size > offered)
        size /= 2;
    if (size < min_size || size < 2)
        return -ENOSPC;
    struct virtq *vq = kmalloc(sizeof(*vq), ALLOC_ZERO | ALLOC_ATOMIC);
    if (vq == NULL)
        return -ENOMEM;
    void *mem = kmalloc(virtq_bytes(size), ALLOC_ATOMIC);
    if (mem == NULL) {
        kfree(vq);
        return -ENOMEM;
    }
    virtq_setup(vq, mem, size, virtio_has(vd, VIRTIO_F_EVENT_IDX));
    vq->index = index;
    vq->vd = vd;
    vq->callback = callback;
    vq->driver = driver;
    int err = vd->tr->queue_enable(vd, vq);
    if (err != 0) {
        kfree(mem);
        kfree(vq);
        return err;
    }
    u64 flags = spin_lock_irqsave(&vd->lock);
    list_push_back(&vd->queues, &vq->node);
    spin_unlock_irqrestore(&vd->lock, flags);
    *ret_vq = vq;
    return 0;
}

int virtio_queue(struct virtio_dev *vd, u16 index, u16 min_size, u16 max_size, void (*callback)(struct virtq *vq),
                 void *driver, struct virtq **ret_vq)
{
    spin_lock_bh(&vd->setup_lock); /* the queue selector is one register */
    int err = make_queue(vd, index, min_size, max_size, callback, driver, ret_vq);
    spin_unlock_bh(&vd->setup_lock);
    return err;
}

void virtio_ready(struct virtio_dev *vd)
{
    vd->tr->set_status(vd, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK |
                       VIRTIO_STATUS_DRIVER_OK);
}

void virtio_stop(struct virtio_dev *vd)
{
    reset(vd);
}

void virtio_free_queues(struct virtio_dev *vd)
{
    for (;;) {
        u64 flags = spin_lock_irqsave(&vd->lock);
        struct list *n = list_pop_front(&vd->queues);
        spin_unlock_irqrestore(&vd->lock, flags);
        if (n == NULL)
            return;
        struct virtq *vq = list_entry(n, struct virtq, node);
        kfree(vq->desc); /* start of the one allocation */
        kfree(vq);
    }
}

bool virtio_check(struct virtq *vq)
{
    if (likely(vq->broken == NULL))
        return false;
    if (!vq->vd->reported) {
        vq->vd->reported = true;
        klog(LOG_ERROR, "%s: virtio queue %u broken: %s", vq->vd->dev->name, vq->index, vq->broken);
    }
    return true;
}

u8 virtio_config8(struct virtio_dev *vd, u32 off)
{
    return range_inside(off, 1, vd->config_len) ? vd->config[off] : 0;
}

u16 virtio_config16(struct virtio_dev *vd, u32 off)
{
    return range_inside(off, 2, vd->config_len) ? *(volatile u16 *)(vd->config + off) : 0;
}

u32 virtio_config32(struct virtio_dev *vd, u32 off)
{
    return range_inside(off, 4, vd->config_len) ? *(volatile u32 *)(vd->config + off) : 0;
}

u64 virtio_config64(struct virtio_dev *vd, u32 off)
{
    u32 before, after;
    u64 v;
    unsigned tries = 8; /* a device that never settles gets what it gave last */
    do {
        before = vd->tr->config_generation(vd);
        v = virtio_config32(vd, off) | (u64)virtio_config32(vd, off + 4) << 32;
        after = vd->tr->config_generation(vd);
    } while (before != after && --tries > 0);
    return v;
}

void virtio_config_bytes(struct virtio_dev *vd, u32 off, void *buf, u32 len)
{
    u8 *p = buf;
    for (u32 i = 0; i < len; i++)
        p[i] = virtio_config8(vd, off + i);
}
