/* SPDX-License-Identifier: Apache-2.0 */
#include "kern/vnet_hdr.h"

#define NEEDS_CSUM 1u
#define DATA_VALID 2u
#define GSO_NONE 0
#define GSO_TCP4 1
#define GSO_TCP6 4
#define GSO_ECN 0x80u

bool vnet_hdr_take(const struct vnet_hdr *h, struct pkt *p, u32 gso_allowed)
{
    if ((h->flags & NEEDS_CSUM) != 0) {
        if ((u32)h->csum_start + h->csum_offset + 2 > p->total_len)
            return false;
        p->csum = PKT_CSUM_PARTIAL;
        p->csum_start = h->csum_start;
        p->csum_offset = h->csum_offset;
    } else if ((h->flags & DATA_VALID) != 0) {
        p->csum = PKT_CSUM_VALID;
    }
    if (h->gso_type != GSO_NONE) {
        u8 type = h->gso_type & (u8)~GSO_ECN;
        u8 gso = type == GSO_TCP4 ? PKT_GSO_TCP4 : type == GSO_TCP6 ? PKT_GSO_TCP6 : PKT_GSO_NONE;
        if (gso == PKT_GSO_NONE || (gso_allowed >> gso & 1) == 0 || h->gso_size == 0)
            return false;
        p->gso = gso;
        p->gso_size = h->gso_size;
        p->gso_hdr_len = (u16)MIN((u32)h->hdr_len, p->total_len);
    }
    return true;
}

void vnet_hdr_fill(struct vnet_hdr *h, const struct pkt *p)
{
    *h = (struct vnet_hdr){ 0 };
    if (p->csum == PKT_CSUM_PARTIAL) {
        h->flags = NEEDS_CSUM;
        h->csum_start = p->csum_start;
        h->csum_offset = p->csum_offset;
    }
    if (p->gso != PKT_GSO_NONE) {
        h->gso_type = p->gso == PKT_GSO_TCP6 ? GSO_TCP6 : GSO_TCP4;
        h->gso_size = p->gso_size;
        h->hdr_len = p->gso_hdr_len;
    }
}
