/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-rng (virtio 1.2, section 5.4): one request for entropy at boot, mixed into
 * the generator whenever it arrives. Nothing waits for it. Afterwards the device
 * is left alone: the generator needs no more (kern/random.h).
 */
#include "base/str.h"
#include "kern/bh.h"
#include "kern/drivers.h"
#include "kern/log.h"
#include "kern/random.h"
#include "kern/slab.h"
#include "virtio.h"

#define ENTROPY_BYTES 64

struct vrng {
    struct virtq *vq;
    struct bh bh;
    u8 buf[ENTROPY_BYTES]; /* with the device until it has answered */
};

static void vrng_callback(struct virtq *vq)
{
    struct vrng *r = vq->driver;
    bh_raise(&r->bh);
}

static void vrng_bh(struct bh *bh)
{
    struct vrng *r = container_of(bh, struct vrng, bh);
    u32 len;
    if (virtq_pop(r->vq, &len) != NULL) {
        random_add(r->buf, len);
        memset(r->buf, 0, sizeof(r->buf));
        virtq_quiet(r->vq);
    }
    virtio_check(r->vq);
}

static int vrng_probe(struct virtio_dev *vd)
{
    int err = virtio_start(vd, 0);
    if (err != 0)
        return err;
    struct vrng *r = kzalloc(sizeof(*r));
    if (r == NULL)
        return -ENOMEM;
    bh_init(&r->bh, vrng_bh);
    err = virtio_queue(vd, 0, 2, 2, vrng_callback, r, &r->vq);
    if (err != 0) {
        kfree(r);
        return err;
    }
    virtio_ready(vd);
    struct vq_seg seg = { virt_to_phys(r->buf), sizeof(r->buf) };
    virtq_add(r->vq, &seg, 0, 1, r);
    virtio_kick(r->vq);
    return 0;
}

const struct virtio_driver virtio_rng_driver = { .name = "virtio-rng", .type = VIRTIO_ID_RNG, .probe = vrng_probe };
