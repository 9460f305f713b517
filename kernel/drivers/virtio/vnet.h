/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-net's private header: net.c the device, net_pair.c its queues, net_mq.c (or no_net_mq.c) more than one pair of them. */
#ifndef DRIVERS_VIRTIO_VNET_H
#define DRIVERS_VIRTIO_VNET_H

#include "kern/bh.h"
#include "kern/netdev.h"
#include "kern/timer.h"
#include "virtio.h"

#define VNET_F_CSUM (1ULL << 0)
#define VNET_F_GUEST_CSUM (1ULL << 1)
#define VNET_F_MTU (1ULL << 3)
#define VNET_F_MAC (1ULL << 5)
#define VNET_F_GUEST_TSO4 (1ULL << 7)
#define VNET_F_HOST_TSO4 (1ULL << 11)
#define VNET_F_HOST_TSO6 (1ULL << 12)
#define VNET_F_MRG_RXBUF (1ULL << 15)
#define VNET_F_STATUS (1ULL << 16)
#define VNET_F_CTRL_VQ (1ULL << 17)
#define VNET_F_MQ (1ULL << 22)

#define VNET_RX_TARGET_TSO 48u /* holds any 64 KiB frame: a card that needs more than is posted waits for good */

struct vnet;
struct vnet_hdr;

struct vnet_pair {
    struct vnet *v;           /* constant, as index */
    unsigned index;           /* of the pair; that of the CPU it belongs to */
    struct bh bh;
    struct ktimer timer;      /* retries refills, frees what was sent last */
    bool routed;              /* bottom half: its interrupts come to the CPU that it belongs to, or never will */
    bool running;             /* rx_lock and tx_lock */

    struct spinlock rx_lock;
    struct virtq *rx;
    u32 rx_target;

    struct spinlock tx_lock;
    struct virtq *tx;
    struct list tx_wait;
    u32 tx_waiting;
    u32 spare_used;           /* bit = spare header with the device */
    struct vnet_hdr *spare;

    struct netdev_stats stats; /* by the lock of the direction */
};

struct vnet {
    struct netdev dev;
    struct virtio_dev *vd;
    u64 wanted;               /* features; constant */
    u32 config_pending;       /* atomic */
    unsigned npairs;          /* opened; set by open(), 0 = none */
    unsigned max_pairs;       /* room in `pairs`; constant */
    u16 device_pairs;         /* what the device has, from its configuration; constant */
    struct virtq *ctrl;       /* open() */
    struct vnet_pair pairs[];
};

/* --- net_pair.c ---------------------------------------------------------------- */

void vnet_pair_init(struct vnet_pair *q, struct vnet *v, unsigned index);
/* Make the queues and post receive buffers. On failure vnet_pair_release() undoes what was done. 0 or -errno. */
int vnet_pair_open(struct vnet_pair *q, u16 ring_size);
/* Let it run or not; whether it did. Thread context. */
bool vnet_pair_run(struct vnet_pair *q, bool on);
/* Behind the device's reset. */
void vnet_pair_release(struct vnet_pair *q);
int vnet_pair_transmit(struct vnet_pair *q, struct pkt *p);
void vnet_pair_kick(struct vnet_pair *q);
/* Has the device taken all? */
bool vnet_pair_idle(struct vnet_pair *q);

/* --- net.c ------------------------------------------------------------------------- */

/* Bottom half: the configuration may have changed. */
void vnet_check_config(struct vnet *v);

/* --- net_mq.c ------------------------------------------------------------------------ */

/* How many pairs are worth having; takes what is of no use for that number out of *features. Sets *ret_device_pairs. */
unsigned vnet_mq_pairs(struct virtio_dev *vd, u64 *features, u16 *ret_device_pairs);
/* Open all pairs but the first, as far as they can be had, and what it takes to announce them: before virtio_ready(). */
void vnet_mq_open(struct vnet *v, u16 ring_size);
/* Announce the pairs: behind virtio_ready(). Thread context, may sleep. */
void vnet_mq_ready(struct vnet *v);
/* Behind the device's reset. */
void vnet_mq_release(struct vnet *v);
/* Interrupt context: raise the bottom half of the pair that vq belongs to, where that should run. */
void vnet_mq_raise(struct vnet_pair *q, struct virtq *vq);
/* The pair's bottom half: have its interrupts come here. */
void vnet_mq_route(struct vnet_pair *q);

#endif
