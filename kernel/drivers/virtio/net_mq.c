/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-net with a pair of queues for each CPU (VIRTIO_NET_F_MQ, virtio 1.2, sections 5.1.5 and 5.1.6.5.6).
 *
 * The stack transmits what belongs to a socket by the pair of the CPU whose thread uses that socket, and
 * the device sends what comes back for the flow through the same pair (automatic receive steering). So it arrives where it is read.
 * A pair's interrupts go to its CPU if they can be routed (MSI-X); where all pairs share a line, its handler raises their bottom
 * halves where they belong.
 *
 *   pair i: receive queue 2 i, transmit queue 2 i + 1; the control queue is behind those of all pairs the device has, used or not
 */
#include "base/bytes.h"
#include "kern/log.h"
#include "kern/page.h"
#include "kern/percpu.h"
#include "kern/slab.h"
#include "kern/thread.h"
#include "vnet.h"

#define CONFIG_MAX_PAIRS 8
#define MAX_PAIRS 32u                 /* 2 n + 1 MSI-X vectors, up to what pci.c takes of them; more pairs share the last one */
#define DEVICE_PAIRS_MAX 0x7fffu      /* so that the control queue has a number */
#define MEMORY_EACH (16ULL << 20)     /* a pair has up to half a MiB of receive buffers */
#define CTRL_MQ 4
#define CTRL_MQ_PAIRS_SET 0
#define CTRL_TIMEOUT_NS NSEC_PER_SEC
#define CTRL_PAUSE_NS (NSEC_PER_MSEC / 2)

unsigned vnet_mq_pairs(struct virtio_dev *vd, u64 *features, u16 *ret_device_pairs)
{
    struct mem_stats m;
    page_stats(&m);
    unsigned pairs = (unsigned)MIN(m.total_pages * PAGE_SIZE / MEMORY_EACH, (u64)MIN(plat_cpu_count(), MAX_PAIRS));
    unsigned has = (*features & VNET_F_CTRL_VQ) != 0 && (*features & VNET_F_MQ) != 0 ? virtio_config16(vd, CONFIG_MAX_PAIRS) : 1;
    pairs = has <= DEVICE_PAIRS_MAX ? MIN(pairs, has) : 1;
    if (pairs <= 1) {
        *features &= ~(VNET_F_CTRL_VQ | VNET_F_MQ);
        return 1;
    }
    *ret_device_pairs = (u16)has;
    return pairs;
}

void vnet_mq_open(struct vnet *v, u16 ring_size)
{
    if (!virtio_has(v->vd, VNET_F_MQ) || virtio_queue(v->vd, (u16)(2 * v->device_pairs), 4, 16, NULL, v, &v->ctrl) != 0)
        return;
    virtq_quiet(v->ctrl);
    while (v->npairs < v->max_pairs && vnet_pair_open(&v->pairs[v->npairs], ring_size) == 0)
        v->npairs++;
}

struct command {
    u8 class, command;
    u8 pairs[2];
    u8 ack; /* the device's: 0 = done */
};

/* 0, -EIO (refused, or no sensible answer), -ETIMEDOUT (the command is the device's until its reset), -ENOMEM. */
static int set_pairs(struct vnet *v, unsigned pairs)
{
    struct command *c = kmalloc(sizeof *c, 0);
    if (c == NULL)
        return -ENOMEM;
    *c = (struct command){ .class = CTRL_MQ, .command = CTRL_MQ_PAIRS_SET, .ack = 0xff };
    put_u16(c->pairs, (u16)pairs);
    const struct vq_seg segs[] = { { virt_to_phys(&c->class), 2 }, { virt_to_phys(c->pairs), 2 }, { virt_to_phys(&c->ack), 1 } };
    int err = virtq_add(v->ctrl, segs, 2, 1, c);
    if (err != 0) {
        kfree(c);
        return err;
    }
    virtio_kick(v->ctrl);
    for (u64 end = now_ns() + CTRL_TIMEOUT_NS; virtq_pop(v->ctrl, NULL) == NULL; thread_sleep_until(now_ns() + CTRL_PAUSE_NS, false)) {
        if (virtio_check(v->ctrl))
            return -EIO;
        if (now_ns() >= end)
            return -ETIMEDOUT;
    }
    err = atomic_load_relaxed(&c->ack) == 0 ? 0 : -EIO;
    kfree(c);
    return err;
}

void vnet_mq_ready(struct vnet *v)
{
    if (v->npairs <= 1)
        return;
    int err = set_pairs(v, v->npairs);
    if (err != 0) {
        klog(LOG_ERROR, "%s: %u pairs of queues: error %d; one is used", v->dev.name, v->npairs, -err);
        return;
    }
    v->dev.queues = v->npairs;
    klog(LOG_INFO, "%s: %u pairs of queues", v->dev.name, v->npairs);
}

void vnet_mq_release(struct vnet *v)
{
    void *command;
    while (v->ctrl != NULL && (command = virtq_reclaim(v->ctrl)) != NULL)
        kfree(command);
    v->ctrl = NULL;
}

/* A shared line asks for all: who is quiet looks by himself, and who has nothing is left alone. But for packets that wait: a transmit may
 * have taken back what was to make room for them, and only the bottom half lets them in. */
void vnet_mq_raise(struct vnet_pair *q, struct virtq *vq)
{
    if (q->index == this_cpu()->cpu || !cpu_online(q->index))
        bh_raise(&q->bh);
    else if (!vq->quiet && (vq == q->tx || virtq_pending(vq)))
        bh_raise_on(&q->bh, q->index);
}

void vnet_mq_route(struct vnet_pair *q)
{
    struct virtio_dev *vd = q->v->vd;
    if (likely(q->routed) || !cpu_online(q->index))
        return;
    q->routed = true;
    if (vd->tr->queue_route != NULL && q->rx != NULL) {
        vd->tr->queue_route(vd, q->rx, q->index);
        vd->tr->queue_route(vd, q->tx, q->index);
    }
}
