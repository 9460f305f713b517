/* SPDX-License-Identifier: Apache-2.0 */
/* In place of net_mq.c: one pair of queues. */
#include "vnet.h"

unsigned vnet_mq_pairs(struct virtio_dev *vd, u64 *features, u16 *ret_device_pairs)
{
    *features &= ~(VNET_F_CTRL_VQ | VNET_F_MQ);
    return 1;
}

void vnet_mq_open(struct vnet *v, u16 ring_size) {}
void vnet_mq_ready(struct vnet *v) {}
void vnet_mq_release(struct vnet *v) {}
void vnet_mq_raise(struct vnet_pair *q, struct virtq *vq) { bh_raise(&q->bh); }
void vnet_mq_route(struct vnet_pair *q) {}
