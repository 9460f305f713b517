/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages by a device of virtio's type for file systems (virtio 1.2, section 5.11): its first request queue carries whatever the
 * process behind it speaks. The tag is the name. Nothing is done to the device before somebody opens it.
 *
 * Lock: vmsg->lock (bottom halves), the queue; replied() is called under it.
 */
#include "base/str.h"
#include "kern/bh.h"
#include "kern/drivers.h"
#include "kern/log.h"
#include "kern/msgdev.h"
#include "kern/slab.h"
#include "virtio.h"

#define CONFIG_TAG 0
#define TAG_BYTES 36
#define REQUEST_QUEUE 1 /* 0 is for what overtakes */
#define QUEUE_SIZE 1024
#define MIN_MESSAGES 4

struct vmsg {
    struct msgdev dev;
    struct virtio_dev *vd;
    struct spinlock lock;
    struct bh bh;
    struct virtq *vq; /* lock; NULL = not open */
};

static void vmsg_callback(struct virtq *vq)
{
    struct vmsg *v = vq->driver;
    bh_raise(&v->bh);
}

/* The lock is held throughout, so that nothing is called any more once vmsg_close() has it. */
static void take_replies_locked(struct vmsg *v)
{
    void *cookie;
    u32 len;
    do
        while ((cookie = virtq_pop(v->vq, &len)) != NULL)
            v->dev.replied(&v->dev, cookie, len);
    while (v->vq->broken == NULL && !virtq_listen(v->vq, 1));
    if (virtio_check(v->vq))
        v->dev.replied(&v->dev, NULL, 0);
}

static void vmsg_bh(struct bh *bh)
{
    struct vmsg *v = container_of(bh, struct vmsg, bh);
    spin_lock_bh(&v->lock);
    if (v->vq != NULL)
        take_replies_locked(v);
    spin_unlock_bh(&v->lock);
}

static int vmsg_open(struct msgdev *d, unsigned *ret_messages)
{
    struct vmsg *v = d->driver;
    struct virtq *vq;
    int err = virtio_start(v->vd, 0);
    if (err == 0)
        err = virtio_queue(v->vd, REQUEST_QUEUE, MIN_MESSAGES * MSG_SEGS, QUEUE_SIZE, vmsg_callback, v, &vq);
    if (err != 0)
        return err;
    spin_lock_bh(&v->lock);
    v->vq = vq;
    spin_unlock_bh(&v->lock);
    virtio_ready(v->vd);
    *ret_messages = vq->size / MSG_SEGS;
    return 0;
}

static int vmsg_post(struct msgdev *d, const struct msg_seg *segs, unsigned nout, unsigned nin, void *cookie)
{
    struct vmsg *v = d->driver;
    struct vq_seg all[MSG_SEGS];
    ASSERT(nout + nin <= MSG_SEGS);
    for (unsigned k = 0; k < nout + nin; k++)
        all[k] = (struct vq_seg){virt_to_phys(segs[k].data), segs[k].len};
    spin_lock_bh(&v->lock);
    int err = v->vq == NULL ? -EIO : virtq_add(v->vq, all, nout, nin, cookie);
    spin_unlock_bh(&v->lock);
    return err;
}

static void vmsg_kick(struct msgdev *d)
{
    struct vmsg *v = d->driver;
    spin_lock_bh(&v->lock);
    if (v->vq != NULL)
        virtio_kick(v->vq);
    spin_unlock_bh(&v->lock);
}

static void vmsg_close(struct msgdev *d)
{
    struct vmsg *v = d->driver;
    spin_lock_bh(&v->lock);
    struct virtq *vq = v->vq;
    v->vq = NULL;
    spin_unlock_bh(&v->lock);
    if (vq == NULL)
        return;
    virtio_stop(v->vd);
    virtio_free_queues(v->vd);
}

static const struct msgdev_ops vmsg_ops = {.open = vmsg_open, .post = vmsg_post, .kick = vmsg_kick, .close = vmsg_close};

static int vmsg_probe(struct virtio_dev *vd)
{
    struct vmsg *v = kzalloc(sizeof(*v));
    if (v == NULL)
        return -ENOMEM;
    v->vd = vd;
    spin_init(&v->lock, "vmsg");
    bh_init(&v->bh, vmsg_bh);
    virtio_config_bytes(vd, CONFIG_TAG, v->dev.name, TAG_BYTES);
    v->dev.ops = &vmsg_ops;
    v->dev.driver = v;
    msgdev_register(&v->dev);
    return 0;
}

const struct virtio_driver virtio_msg_driver = {.name = "virtio-fs", .type = VIRTIO_ID_FS, .probe = vmsg_probe};
