/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-blk (virtio 1.2, section 5.2).
 *
 * Up to SLOTS requests are with the device at a time, each with a `slot` that
 * holds its header and status byte (memory that the device may reach; requests
 * themselves may lie on stacks). More wait on a queue in order. Requests of
 * more than a few segments use an indirect table, which the slot keeps.
 *
 *   request:  header (device reads) | data segments | status byte (device writes)
 *
 * Completions are taken in a bottom half, or by whoever submits next.
 */
#include "base/str.h"
#include "kern/bh.h"
#include "kern/blkdev.h"
#include "kern/drivers.h"
#include "kern/log.h"
#include "kern/slab.h"
#include "kern/thread.h"
#include "virtio.h"

#define F_SIZE_MAX (1ULL << 1)
#define F_SEG_MAX (1ULL << 2)
#define F_RO (1ULL << 5)
#define F_FLUSH (1ULL << 9)

#define CONFIG_CAPACITY 0
#define CONFIG_SIZE_MAX 8
#define CONFIG_SEG_MAX 12

enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8 };
#define STATUS_OK 0
#define STATUS_PENDING 0xff /* not a value of the protocol */
#define ID_BYTES 20

#define QUEUE_SIZE 64
#define SLOTS 16
#define MAX_DIRECT 16 /* descriptors of a request without an indirect table */
#define MAX_DESCS (BLK_MAX_SEGS + 2)

struct request_header {
    u32 type, reserved;
    u64 sector;
};

/* Device-visible, so in one kmalloc() block. */
struct slot {
    struct request_header header;
    u8 status;
    u8 id[ID_BYTES];
    struct blk_req *req;    /* NULL = GET_ID */
    struct vq_desc *table;  /* MAX_DESCS entries, or NULL until first needed */
    struct slot *next_free;
};

struct vblk {
    struct blkdev blk;
    struct virtio_dev *vd;
    struct virtq *vq;
    struct spinlock lock;   /* bottom halves: vq and everything below */
    struct list waiting;    /* struct blk_req that found no room */
    struct slot *free;
    u32 id_done;            /* atomic */
    struct thread *prober;  /* waits for the id; NULL = no longer */
    bool has_flush;
    struct bh bh;
    struct slot slots[SLOTS];
};

static void vq_callback(struct virtq *vq)
{
    struct vblk *v = vq->driver;
    bh_raise(&v->bh);
}

/* Hand the request to the device. 0, -ENOSPC (wait for room), -ENOMEM (the same), -EIO. */
static int post_locked(struct vblk *v, struct blk_req *r)
{
    struct slot *s = v->free;
    if (s == NULL)
        return -ENOSPC;
    struct vq_seg segs[MAX_DESCS];
    unsigned n = 0;
    segs[n++] = (struct vq_seg){ virt_to_phys(&s->header), sizeof(s->header) };
    for (unsigned i = 0; i < r->nsegs; i++)
        segs[n++] = (struct vq_seg){ r->segs[i].pa, r->segs[i].len_bytes };
    segs[n++] = (struct vq_seg){ virt_to_phys(&s->status), 1 };
    unsigned nin = r->op == BLK_READ ? n - 1 : 1;
    s->header.type = r->op == BLK_READ ? T_IN : r->op == BLK_WRITE ? T_OUT : T_FLUSH;
    s->header.sector = r->op == BLK_FLUSH ? 0 : r->off_bytes / 512;
    s->status = STATUS_PENDING;

    int err;
    if (n > MAX_DIRECT && virtio_has(v->vd, VIRTIO_F_INDIRECT_DESC)) {
        if (s->table == NULL)
            s->table = kmalloc(MAX_DESCS * sizeof(struct vq_desc), ALLOC_ATOMIC);
        if (s->table == NULL)
            return -ENOMEM;
        err = virtq_add_indirect(v->vq, s->table, virt_to_phys(s->table), segs, n - nin, nin, s);
    } else {
        err = virtq_add(v->vq, segs, n - nin, nin, s);
    }
    if (err != 0)
        return err;
    s->req = r;
    v->free = s->next_free;
    return 0;
}

/* Take what is finished, refill from the queue. Fills `done`; the caller calls back without the lock. */
static void advance_locked(struct vblk *v, struct list *done)
{
    struct slot *s;
    u32 len;
    do {
        while ((s = virtq_pop(v->vq, &len)) != NULL) {
            if (s->req != NULL) {
                s->req->status = s->status == STATUS_OK ? 0 : -EIO;
                list_push_back(done, &s->req->node);
            } else {
                memcpy(v->blk.serial, s->id, s->status == STATUS_OK ? ID_BYTES : 0);
                atomic_store(&v->id_done, 1u);
                if (v->prober != NULL)
                    thread_wake(v->prober);
            }
            s->next_free = v->free;
            v->free = s;
        }
    } while (!virtq_listen(v->vq, 1) && !virtio_check(v->vq));
    while (!list_empty(&v->waiting)) {
        struct blk_req *r = list_first(&v->waiting, struct blk_req, node);
        int err = post_locked(v, r);
        if (err == -ENOSPC || (err == -ENOMEM && v->vq->in_flight > 0))
            break; /* a completion will come back here */
        list_remove_init(&r->node);
        if (err != 0) {
            r->status = err == -ENOMEM ? -ENOMEM : -EIO;
            list_push_back(done, &r->node);
        }
    }
    if (virtio_check(v->vq)) { /* nothing will ever come back: fail it all */
        while ((s = virtq_reclaim(v->vq)) != NULL) {
            if (s->req == NULL)
                continue;
            s->req->status = -EIO;
            list_push_back(done, &s->req->node);
        }
        list_for_each(r, &v->waiting, struct blk_req, node)
            r->status = -EIO;
        list_splice_back(done, &v->waiting);
    }
    virtio_kick(v->vq);
}

static void call_back(struct vblk *v, struct list *done)
{
    struct list *n;
    while ((n = list_pop_front(done)) != NULL) {
        struct blk_req *r = list_entry(n, struct blk_req, node);
        blk_complete(&v->blk, r, r->status);
    }
}

static void vblk_bh(struct bh *bh)
{
    struct vblk *v = container_of(bh, struct vblk, bh);
    struct list done = LIST_INIT(done);
    spin_lock(&v->lock);
    advance_locked(v, &done);
    spin_unlock(&v->lock);
    call_back(v, &done);
}

static int vblk_submit(struct blkdev *b, struct blk_req *r)
{
    struct vblk *v = b->driver;
    int err = 0;
    if (r->op == BLK_FLUSH && !v->has_flush) { /* a device without the feature writes through (5.2.6.2) */
        blk_complete(b, r, 0);
        return 0;
    }
    list_init(&r->node);
    spin_lock_bh(&v->lock);
    if (v->vq->broken != NULL)
        err = -EIO;
    else if (list_empty(&v->waiting))
        err = post_locked(v, r);
    else
        err = -ENOSPC;
    if (err == -ENOSPC || (err == -ENOMEM && v->vq->in_flight > 0)) {
        list_push_back(&v->waiting, &r->node);
        err = 0;
    }
    virtio_kick(v->vq);
    spin_unlock_bh(&v->lock);
    return err;
}

static const struct blkdev_ops vblk_ops = { .submit = vblk_submit };

/* The serial number. Devices answer at once, most of them before the doorbell
 * returns; one that does not within a second has no serial. */
static void read_id(struct vblk *v)
{
    spin_lock_bh(&v->lock);
    v->prober = current_thread();
    struct slot *s = v->free;
    s->header = (struct request_header){ .type = T_GET_ID };
    s->req = NULL;
    struct vq_seg segs[3] = {
        { virt_to_phys(&s->header), sizeof(s->header) },
        { virt_to_phys(s->id), ID_BYTES },
        { virt_to_phys(&s->status), 1 },
    };
    if (virtq_add(v->vq, segs, 1, 2, s) == 0) {
        v->free = s->next_free;
        virtio_kick(v->vq);
    }
    spin_unlock_bh(&v->lock);

    u64 deadline = plat_now_ns() + NSEC_PER_SEC;
    int err = 0;
    while (atomic_load(&v->id_done) == 0 && err == 0) {
        thread_prepare_block(false);
        if (atomic_load(&v->id_done) != 0)
            thread_cancel_block();
        else
            err = thread_block(deadline);
    }
    spin_lock_bh(&v->lock);
    v->prober = NULL;
    spin_unlock_bh(&v->lock);
}

static int vblk_probe(struct virtio_dev *vd)
{
    int err = virtio_start(vd, F_SIZE_MAX | F_SEG_MAX | F_RO | F_FLUSH);
    if (err != 0)
        return err;
    struct vblk *v = kzalloc(sizeof(*v));
    if (v == NULL)
        return -ENOMEM;
    v->vd = vd;
    spin_init(&v->lock, "vblk");
    list_init(&v->waiting);
    bh_init(&v->bh, vblk_bh);
    for (unsigned i = 0; i < SLOTS; i++) {
        v->slots[i].next_free = v->free;
        v->free = &v->slots[i];
    }
    /* Without indirect tables the largest request must fit into the ring. */
    u16 want = virtio_has(vd, VIRTIO_F_INDIRECT_DESC) ? QUEUE_SIZE : 2 * QUEUE_SIZE;
    u16 least = virtio_has(vd, VIRTIO_F_INDIRECT_DESC) ? MAX_DIRECT : 2 * QUEUE_SIZE;
    err = virtio_queue(vd, 0, least, want, vq_callback, v, &v->vq);
    if (err != 0) {
        klog(LOG_ERROR, "%s: no usable queue: error %d", vd->dev->name, -err);
        kfree(v);
        return err;
    }
    u32 seg_max = virtio_has(vd, F_SEG_MAX) ? virtio_config32(vd, CONFIG_SEG_MAX) : BLK_MAX_SEGS;
    u32 size_max = virtio_has(vd, F_SIZE_MAX) ? virtio_config32(vd, CONFIG_SIZE_MAX) : UINT32_MAX;
    if (seg_max < BLK_MAX_SEGS || size_max < BLK_MAX_SEGS * PAGE_SIZE)
        klog(LOG_WARN, "%s: takes only %u segments of %u bytes; larger requests fail", vd->dev->name, seg_max, size_max);
    v->has_flush = virtio_has(vd, F_FLUSH);
    v->blk.ops = &vblk_ops;
    v->blk.driver = v;
    v->blk.read_only = virtio_has(vd, F_RO);
    u64 sectors = virtio_config64(vd, CONFIG_CAPACITY);
    v->blk.size_bytes = MIN(sectors, UINT64_MAX / 512 / 2) * 512;
    virtio_ready(vd);
    read_id(v);
    blkdev_register(&v->blk);
    klog(LOG_DEBUG, "%s: %s: %llu bytes%s, serial \"%s\"", vd->dev->name, v->blk.name,
         (unsigned long long)v->blk.size_bytes, v->blk.read_only ? ", read-only" : "", v->blk.serial);
    return 0;
}

const struct virtio_driver virtio_blk_driver = { .name = "virtio-blk", .type = VIRTIO_ID_BLK, .probe = vblk_probe };
