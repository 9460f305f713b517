/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio device in memory for driver tests: a transport whose registers are
 * fields, and the device's side of the queues. The device works in an interrupt every
 * FAKE_STEP_NS of virtual time: f->serve() is called for each chain that was made
 * available, and answers with fake_finish() now or later.
 */
#ifndef DRIVERS_VIRTIO_TEST_FAKE_H
#define DRIVERS_VIRTIO_TEST_FAKE_H

#include "../virtio.h"
#include "kern/timer.h"
#include "sim/test.h"

#define FAKE_QUEUES 12
#define FAKE_STEP_NS 10000
#define FAKE_MAX_CHAIN 80

struct fake_chain {
    u16 queue, head;
    unsigned nout, nin;
    struct vq_seg seg[FAKE_MAX_CHAIN]; /* out first */
};

struct fake {
    struct virtio_dev vd;
    struct device dev;
    u8 config[64];
    u64 accepted;
    u8 status;
    u16 queue_max;
    struct virtq *q[FAKE_QUEUES];
    u16 seen[FAKE_QUEUES];
    u32 doorbell;
    bool on;
    bool broken; /* the test writes rings itself */
    unsigned held; /* steps to sit out */
    void (*serve)(struct fake *f, struct fake_chain *c);
    void (*step)(struct fake *f); /* called at each step, may be NULL */
};

const struct virtio_driver *const virtio_drivers[] = { NULL };

static struct fake *fake_of(struct virtio_dev *vd) { return container_of(vd, struct fake, vd); }
static u8 fake_get_status(struct virtio_dev *vd) { return fake_of(vd)->status; }
static void fake_interrupt(struct fake *f, bool config)
{
    u64 flags = plat_events_save();
    irq_enter();
    virtio_interrupt(&f->vd, ANY_VECTOR, config);
    irq_exit();
    plat_events_restore(flags);
}

static void fake_set_status(struct virtio_dev *vd, u8 status)
{
    struct fake *f = fake_of(vd);
    f->status = status;
    if (status == 0)
        memset(f->q, 0, sizeof(f->q));
    if ((status & VIRTIO_STATUS_DRIVER_OK) != 0)
        fake_interrupt(f, false); /* QEMU looks at every queue then, and interrupts though it used nothing */
}
static u64 fake_get_features(struct virtio_dev *vd) { return vd->offered; }
static void fake_set_features(struct virtio_dev *vd, u64 features)
{
    CHECK_EQ(features & ~vd->offered, 0);
    fake_of(vd)->accepted = features;
}
static u16 fake_queue_max(struct virtio_dev *vd, u16 index)
{
    return index < FAKE_QUEUES && fake_of(vd)->q[index] == NULL ? fake_of(vd)->queue_max : 0;
}
static int fake_queue_enable(struct virtio_dev *vd, struct virtq *vq)
{
    struct fake *f = fake_of(vd);
    CHECK(!(f->status & VIRTIO_STATUS_DRIVER_OK)); /* virtio 1.2, 3.1.1: queues come first */
    vq->doorbell = &f->doorbell;
    f->q[vq->index] = vq;
    f->seen[vq->index] = 0;
    return 0;
}
static u32 fake_generation(struct virtio_dev *vd) { return 0; }

static const struct virtio_transport fake_transport = {
    fake_get_status, fake_set_status, fake_get_features, fake_set_features,
    fake_queue_max,  fake_queue_enable, fake_generation,
};

static void fake_init(struct fake *f, u32 type, u64 features)
{
    memset(f, 0, sizeof(*f));
    str_copy(f->dev.name, "fake", sizeof(f->dev.name));
    f->vd.dev = &f->dev;
    f->vd.tr = &fake_transport;
    f->vd.type = type;
    f->vd.offered = features | VIRTIO_F_VERSION_1;
    f->vd.config = f->config;
    f->vd.config_len = sizeof(f->config);
    f->queue_max = 256;
    list_init(&f->vd.queues);
    spin_init(&f->vd.lock, "virtio");
    spin_init(&f->vd.setup_lock, "virtio_setup");
}

static void fake_chain(struct fake *f, u16 queue, struct fake_chain *c)
{
    struct virtq *vq = f->q[queue];
    u16 head = vq->avail->ring[f->seen[queue]++ % vq->size];
    const struct vq_desc *table = vq->desc;
    u16 i = head;
    *c = (struct fake_chain){ .queue = queue, .head = head };
    if ((table[head].flags & VQ_DESC_INDIRECT) != 0) {
        table = phys_to_virt(vq->desc[head].addr);
        i = 0;
    }
    for (;;) {
        bool in = (table[i].flags & VQ_DESC_WRITE) != 0;
        CHECK(c->nout + c->nin < FAKE_MAX_CHAIN);
        CHECK(in || c->nin == 0); /* 2.7.4.2: device-readable ones first */
        CHECK(table[i].len > 0);
        c->seg[c->nout + c->nin] = (struct vq_seg){ table[i].addr, table[i].len };
        c->nin += in;
        c->nout += !in;
        if ((table[i].flags & VQ_DESC_NEXT) == 0)
            break;
        i = table[i].next;
    }
}

static void fake_finish(struct fake *f, u16 queue, u32 head, u32 len)
{
    struct virtq *vq = f->q[queue];
    u16 idx = vq->used->idx;
    vq->used->ring[idx % vq->size] = (struct vq_used_elem){ head, len };
    vq->used->idx = (u16)(idx + 1);
    u16 event = vq->avail->ring[vq->size];
    bool wanted = vq->event_idx ? idx == event : (vq->avail->flags & VQ_AVAIL_NO_INTERRUPT) == 0;
    if (wanted)
        fake_interrupt(f, false);
}

static void fake_step(void *arg)
{
    struct fake *f = arg;
    if (!f->on)
        return;
    if (f->step != NULL)
        f->step(f);
    if (f->held > 0) {
        f->held--;
    } else {
        for (u16 i = 0; i < FAKE_QUEUES; i++) {
            while (f->q[i] != NULL && !f->broken && f->seen[i] != f->q[i]->avail->idx) {
                static struct fake_chain c;
                fake_chain(f, i, &c);
                f->serve(f, &c);
            }
        }
    }
    for (u16 i = 0; i < FAKE_QUEUES; i++) /* doorbell wanted for whatever comes next */
        if (f->q[i] != NULL && f->q[i]->event_idx)
            *(u16 *)(void *)&f->q[i]->used->ring[f->q[i]->size] = f->seen[i];
    sim_interrupt_at(now_ns() + FAKE_STEP_NS, fake_step, f);
}

static void fake_start(struct fake *f)
{
    f->on = true;
    sim_interrupt_at(now_ns() + FAKE_STEP_NS, fake_step, f);
}

static UNUSED void fake_copy_out(const struct fake_chain *c, unsigned seg, void *dst, u32 len)
{
    CHECK(len <= c->seg[seg].len);
    memcpy(dst, phys_to_virt(c->seg[seg].pa), len);
}

static UNUSED void fake_copy_in(const struct fake_chain *c, unsigned nth_in, const void *src, u32 len)
{
    CHECK(len <= c->seg[c->nout + nth_in].len);
    memcpy(phys_to_virt(c->seg[c->nout + nth_in].pa), src, len);
}

static UNUSED void fake_sleep(u64 ns) { thread_sleep_until(now_ns() + ns, false); }

#endif
