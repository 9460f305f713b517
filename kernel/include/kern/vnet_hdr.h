/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The header in front of each frame of a virtio network card (virtio 1.2, 5.1.6) and of
 * a Linux TAP device (tun(4), IFF_VNET_HDR): what the sender leaves to the receiver,
 * checksums and segmentation. Little-endian.
 */
#ifndef KERN_VNET_HDR_H
#define KERN_VNET_HDR_H

#include "kern/pkt.h"

struct vnet_hdr {
    u8 flags, gso_type;
    u16 hdr_len, gso_size, csum_start, csum_offset;
    u16 num_buffers; /* virtio's receive queue only */
};
#define VNET_HDR_LEN 12u
_Static_assert(sizeof(struct vnet_hdr) == VNET_HDR_LEN, "virtio_net_hdr of virtio 1.x");

/* What h says about the frame in p, checked; bits 1 << enum pkt_gso in `gso_allowed` are the kinds of
 * large frames that were agreed on. False = nonsense. */
bool vnet_hdr_take(const struct vnet_hdr *h, struct pkt *p, u32 gso_allowed);
/* The header for p. */
void vnet_hdr_fill(struct vnet_hdr *h, const struct pkt *p);

#endif
