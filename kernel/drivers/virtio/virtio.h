/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio devices (virtio 1.2), modern only: what transports (mmio.c, pci.c) give
 * and drivers (blk.c, console.c, net.c, rng.c) use.
 *
 *   transport probe -> virtio_offer() -> driver->probe(vd)
 *   driver:  virtio_start() .. virtio_queue() for each queue .. virtio_ready()
 *            virtio_stop() undoes all of it; the driver then reclaims its buffers
 *
 * A driver may keep the device untouched after probe and start it at first use.
 * Queues may also be added after virtio_ready() (the console's ports).
 *
 * Interrupt handlers call vq->callback for each queue of the vector and
 * vd->config_changed; both only raise bottom halves. `vd->lock` guards the list
 * of queues against them.
 *
 * A violation by the device is reported once (virtio_check()) and the queue is
 * dead from then on; nothing else is done to the device.
 */
#ifndef DRIVERS_VIRTIO_VIRTIO_H
#define DRIVERS_VIRTIO_VIRTIO_H

#include "kern/device.h"
#include "kern/lock.h"
#include "ring.h"

/* Device types (virtio 1.2, section 5) */
#define VIRTIO_ID_NONE 0
#define VIRTIO_ID_NET 1
#define VIRTIO_ID_BLK 2
#define VIRTIO_ID_CONSOLE 3
#define VIRTIO_ID_RNG 4
#define VIRTIO_ID_FS 26

/* Device status (2.1) */
#define VIRTIO_STATUS_ACKNOWLEDGE 1u
#define VIRTIO_STATUS_DRIVER 2u
#define VIRTIO_STATUS_DRIVER_OK 4u
#define VIRTIO_STATUS_FEATURES_OK 8u
#define VIRTIO_STATUS_FAILED 128u

/* Features of every device (6) */
#define VIRTIO_F_INDIRECT_DESC (1ULL << 28)
#define VIRTIO_F_EVENT_IDX (1ULL << 29)
#define VIRTIO_F_VERSION_1 (1ULL << 32)
#define VIRTIO_F_ACCESS_PLATFORM (1ULL << 33)

struct virtio_dev;

/* Small register operations of a transport. Queue operations work on queue `index`. */
struct virtio_transport {
    u8 (*get_status)(struct virtio_dev *vd);
    void (*set_status)(struct virtio_dev *vd, u8 status);
    u64 (*get_features)(struct virtio_dev *vd);
    void (*set_features)(struct virtio_dev *vd, u64 features);
    /* Largest size of the queue; 0 = there is no such queue, or it is in use. */
    u16 (*queue_max)(struct virtio_dev *vd, u16 index);
    /* Tell the device where the queue lies, route its interrupt, set vq->doorbell, enable. 0 or -errno. */
    int (*queue_enable)(struct virtio_dev *vd, struct virtq *vq);
    u32 (*config_generation)(struct virtio_dev *vd);
    /* From now on the queue's interrupts go to that CPU, which is online, and so do those of all that share its vector. NULL where
     * the whole device has one line. */
    void (*queue_route)(struct virtio_dev *vd, struct virtq *vq, unsigned cpu);
};

struct virtio_dev {
    struct device *dev;
    const struct virtio_transport *tr;
    u32 type;
    u64 offered, features;      /* features: negotiated by virtio_start() */
    volatile u8 *config;        /* device-specific configuration, or NULL */
    u32 config_len;
    volatile u8 *regs;          /* mmio: registers; pci: common configuration */
    void *transport;            /* pci: struct virtio_pci */
    struct spinlock setup_lock; /* bottom halves: one queue is set up at a time */
    struct spinlock lock;       /* irq-safe: queues */
    struct list queues;         /* struct virtq, lock */
    void (*config_changed)(struct virtio_dev *vd); /* interrupt context, may be NULL */
    void *driver;
    bool reported;
};

struct virtio_driver {
    const char *name;
    u32 type;
    int (*probe)(struct virtio_dev *vd); /* 0, or -errno (logged) */
};

/* For transports: find the driver. The device is reset and `offered` known. */
int virtio_offer(struct virtio_dev *vd);
/* A vector or line fired. Interrupt context. ANY_VECTOR = all queues. */
#define ANY_VECTOR 0xffffu
void virtio_interrupt(struct virtio_dev *vd, u16 vector, bool config);

/* Reset, negotiate `offered & wanted` plus what the ring code itself wants. -ENODEV (not
 * a modern device), -EIO (device refuses). */
int virtio_start(struct virtio_dev *vd, u64 wanted);
static inline bool virtio_has(const struct virtio_dev *vd, u64 feature) { return (vd->features & feature) != 0; }
/* Allocate and enable queue `index`, at most max_size entries (a power of two). -ENOENT, -ENOMEM, -EIO.
 * -ENOSPC when the device offers less than min_size. Does not sleep. */
int virtio_queue(struct virtio_dev *vd, u16 index, u16 min_size, u16 max_size, void (*callback)(struct virtq *vq),
                 void *driver, struct virtq **ret_vq);
void virtio_ready(struct virtio_dev *vd); /* DRIVER_OK */
/* Reset the device. Queues stay allocated, for virtq_reclaim(); then virtio_free_queues(). */
void virtio_stop(struct virtio_dev *vd);
void virtio_free_queues(struct virtio_dev *vd);

/* Ring the doorbell if the device wants it. */
static inline void virtio_kick(struct virtq *vq)
{
    if (!virtq_kick_prepare(vq))
        return;
    if (vq->notify16)
        *(volatile u16 *)vq->doorbell = vq->index;
    else
        *(volatile u32 *)vq->doorbell = vq->index;
}
/* Report a broken queue once. True = broken. To be called where virtq_pop() gave nothing. */
bool virtio_check(struct virtq *vq);

/* Device configuration. Out-of-range reads give zero. */
u8 virtio_config8(struct virtio_dev *vd, u32 off);
u16 virtio_config16(struct virtio_dev *vd, u32 off);
u32 virtio_config32(struct virtio_dev *vd, u32 off);
u64 virtio_config64(struct virtio_dev *vd, u32 off); /* consistent (generation) */
void virtio_config_bytes(struct virtio_dev *vd, u32 off, void *buf, u32 len);

#endif
