/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PACKET_TX_RING (packet(7), Linux's networking/packet_mmap): the program writes frames into a ring that it maps, and one send() sends all of them
 * that are marked SEND_REQUEST, beginning where the last one ended. All versions have frames of one size here.
 *
 *   X1  The program may write anything at any time: what is read of a frame is read once, and its bytes are copied before they are looked at.
 *
 * So a frame is AVAILABLE again as soon as it was given to the card.
 */
#include "kern/thread.h"
#include "packet_impl.h"

enum { AVAILABLE, SEND_REQUEST, WRONG_FORMAT = 4 };

/* Where the headers of the versions have their fields: bytes. */
static const struct layout {
    u8 status, len, mac, net;
} layouts[] = { [TPACKET_V1] = { 0, 8, 16, 18 }, [TPACKET_V2] = { 0, 4, 12, 14 }, [TPACKET_V3] = { 20, 16, 24, 26 } };

static u32 word(const u8 *at) { return atomic_load((const u32 *)(const void *)at); }
static u32 half(const u8 *at) { return atomic_load((const u16 *)(const void *)at); }

/* Where the bytes of a frame of that length begin, or -EINVAL. */
static s64 place_of(const struct packet_ring *r, const u8 *at, const struct packet_way *w, bool has_off, u32 len)
{
    const struct layout *l = &layouts[r->version];
    u32 least = packet_ring_header_len(r->version);
    if (!has_off)
        return least;
    u32 off = half(at + (w->cooked ? l->net : l->mac));
    return off < least || off > r->r.frame_size - len ? -EINVAL : (s64)off;
}

/* The frame at `at` as a packet: bytes, or -errno. */
static s64 make(const struct packet_ring *r, const u8 *at, const struct packet_way *w, bool has_off, struct pkt **ret)
{
    u32 len = word(at + layouts[r->version].len), most = w->nif->dev->mtu + (w->cooked ? 0 : ETH_HLEN);
    if (r->version == TPACKET_V3 && word(at) != 0) /* an offset of the next: frames as long as they are, which there are not */
        return -EINVAL;
    if (len > r->r.frame_size - packet_ring_header_len(r->version) || (s32)len > (s32)most)
        return -EMSGSIZE;
    s64 off = place_of(r, at, w, has_off, len);
    if (off < 0 || (w->cooked ? !w->named && !w->nif->loopback : len < ETH_HLEN))
        return -EINVAL;
    struct pkt *p = pkt_alloc(NET_HEADROOM, len);
    if (p == NULL)
        return -ENOBUFS;
    memcpy(pkt_put(p, len), at + off, len);
    *ret = p;
    return len;
}

s64 packet_ring_send(struct packet_ring *r, const struct packet_way *w, bool loss, bool has_off)
{
    s64 sum = 0;
    for (u32 n = 0; n < r->r.frame_nr && cond_resched(); n++) {
        struct pkt *p;
        u8 *at = packet_ring_frame(r, r->head);
        u32 *status = (u32 *)(void *)(at + layouts[r->version].status);
        if (atomic_load(status) != SEND_REQUEST)
            break;
        s64 len = make(r, at, w, has_off, &p);
        if (len == -ENOBUFS)
            return sum > 0 ? sum : len;
        if (len < 0 && !loss) {
            atomic_store(status, (u32)WRONG_FORMAT);
            return len;
        }
        int err = len < 0 ? 0 : packet_send_frame(w, p);
        if (err != 0) /* it goes again */
            return err;
        atomic_store(status, (u32)AVAILABLE);
        r->head = (r->head + 1) % r->r.frame_nr;
        sum += MAX(len, 0);
    }
    return sum;
}
