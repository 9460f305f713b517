/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PACKET_RX_RING (packet(7), Linux's networking/packet_mmap), versions 1 and 2: blocks of pages that the program maps, cut into frames.
 * (Version 3, whose blocks are filled as it comes, is in packet_block.c; what is sent from frames in packet_tx.c.) Each begins with a word that says whose it is: 0 ours, 1 the program's. The program may write what it likes into
 * it; nothing is read but that word.
 */
#include "packet_impl.h"

#define ALIGNMENT 16u
#define BLOCKS_MAX 4096u

struct header1 {
    u64 status;
    u32 len, snaplen;
    u16 mac, net;
    u32 sec, usec;
};
struct header2 {
    u32 status, len, snaplen;
    u16 mac, net;
    u32 sec, nsec;
    u16 vlan_tci, vlan_tpid;
    u8 padding[4];
};
_Static_assert(sizeof(struct header1) == 32 && sizeof(struct header2) == 32, "struct tpacket_hdr, tpacket2_hdr of Linux");

/* Of all rings; apart from what sockets hold, and no more than half of what they may, so that neither leaves the other without. */
static u64 rings_bytes; /* atomic */

u32 packet_ring_header_len(u32 version) { return version <= TPACKET_V2 ? 32 : version == TPACKET_V3 ? 48 : 0; }
static u32 front_of(u32 version) { return packet_ring_header_len(version) + (u32)sizeof(struct sockaddr_ll_); }
u64 packet_ring_bytes(const struct packet_ring *r) { return (u64)r->r.block_size * r->r.block_nr; }

void packet_ring_stop(struct packet_ring *r)
{
    if (r != NULL && r->b.s != NULL)
        packet_block_stop(r);
}

void packet_ring_destroy(struct packet_ring *r)
{
    if (r == NULL)
        return;
    for (u32 b = 0; b < r->r.block_nr && r->blocks[b] != NULL; b++)
        for (u32 i = 0; i < 1u << r->order; i++)
            page_put(page_of(page_phys(r->blocks[b]) + i * PAGE_SIZE));
    __atomic_sub_fetch(&rings_bytes, packet_ring_bytes(r), __ATOMIC_RELAXED);
    kfree(r);
}

int packet_ring_create(struct sock *s, const struct packet_ring_request *q, u32 version, u32 reserve, struct packet_ring **ret)
{
    if (q->block_size == 0 || q->block_size % PAGE_SIZE != 0 || q->block_nr == 0 || q->block_nr > BLOCKS_MAX ||
        q->frame_size < front_of(version) + reserve || q->frame_size % ALIGNMENT != 0 || q->block_size < q->frame_size ||
        q->frame_nr / q->block_nr != q->block_size / q->frame_size || q->frame_nr % q->block_nr != 0)
        return -EINVAL;
    if (version == TPACKET_V3 && !(s != NULL ? packet_block_fits(q, front_of(version) + reserve)
                                             : q->timeout_ms == 0 && q->private_size == 0 && q->features == 0))
        return -EINVAL;
    u32 order = 0;
    while (PAGE_SIZE << order < q->block_size)
        order++;
    if (PAGE_SIZE << order != q->block_size)
        return -EINVAL; /* Linux rounds up; nobody asks for such */
    struct packet_ring *r = kzalloc(sizeof *r + q->block_nr * sizeof r->blocks[0]);
    if (r == NULL)
        return -ENOMEM;
    r->r = *q;
    r->version = version;
    r->reserve = reserve;
    r->per_block = q->block_size / q->frame_size;
    r->order = order;
    if (version == TPACKET_V3 && s != NULL)
        packet_block_init(r, s);
    if (__atomic_add_fetch(&rings_bytes, packet_ring_bytes(r), __ATOMIC_RELAXED) > net_mem_limit / 2) {
        packet_ring_destroy(r);
        return -ENOMEM;
    }
    for (u32 b = 0; b < q->block_nr; b++) {
        struct page *p = page_alloc(order, ALLOC_ZERO);
        if (p == NULL) {
            packet_ring_destroy(r);
            return -ENOMEM;
        }
        page_split(p); /* the program's mapping holds single ones */
        r->blocks[b] = p;
    }
    *ret = r;
    return 0;
}

int packet_ring_page(struct packet_ring *r, u64 index, struct page **ret)
{
    u64 block = index >> r->order;
    if (block >= r->r.block_nr)
        return -EFAULT;
    *ret = page_get(page_of(page_phys(r->blocks[block]) + (index & ((1u << r->order) - 1)) * PAGE_SIZE));
    return 0;
}

u8 *packet_ring_frame(const struct packet_ring *r, u32 i)
{
    return (u8 *)page_virt(r->blocks[i / r->per_block]) + i % r->per_block * r->r.frame_size;
}

/* Version 1 has a long, whose upper half we never set. */
static u32 status_of(const struct packet_ring *r, u32 i) { return atomic_load((const u32 *)(const void *)packet_ring_frame(r, i)); }

bool packet_ring_readable(const struct packet_ring *r)
{
    if (r->version == TPACKET_V3)
        return packet_block_readable(r);
    u32 last = r->head == 0 ? r->r.frame_nr - 1 : r->head - 1;
    return status_of(r, last) != 0;
}

static struct ring_place place_of(const struct packet_ring *r, const struct frame_view *f, u32 keep, bool cooked)
{
    u32 header = front_of(r->version), front = cooked ? 0 : f->maclen;
    struct ring_place p = { .whole = f->len - f->skip, .net = ALIGN_UP(header + MAX(front, 16u), ALIGNMENT) + r->reserve };
    if (cooked)
        p.net = ALIGN_UP(header, ALIGNMENT) + 16 + r->reserve;
    p.mac = p.net - front;
    p.snaplen = MIN(keep, p.whole);
    p.status = STATUS_USER | frame_csum_status(f);
    return p;
}

/* In a frame of versions 1 and 2. s.lock */
static bool put_framed(struct packet_ring *r, const struct frame_view *f, struct ring_place p)
{
    u8 *at = packet_ring_frame(r, r->head);
    if (status_of(r, r->head) != 0 || p.mac > r->r.frame_size)
        return false;
    u64 now = wall_ns();
    u32 status = p.status | (r->losing ? STATUS_LOSING : 0), snaplen = MIN(p.snaplen, r->r.frame_size - p.mac);
    snaplen = frame_copy(f, f->skip, at + p.mac, snaplen);
    memcpy(at + 32, &f->from, sizeof f->from);
    if (r->version == TPACKET_V1) {
        struct header1 h = { 0, p.whole, snaplen, (u16)p.mac, (u16)p.net, (u32)(now / NSEC_PER_SEC), (u32)(now % NSEC_PER_SEC / 1000) };
        memcpy(at + 8, &h.len, sizeof h - 8);
        put_u32(at + 4, 0);
    } else {
        struct header2 h = { 0, p.whole, snaplen, (u16)p.mac, (u16)p.net, (u32)(now / NSEC_PER_SEC), (u32)(now % NSEC_PER_SEC), 0, 0, { 0 } };
        memcpy(at + 4, &h.len, sizeof h - 4);
    }
    atomic_store((u32 *)(void *)at, status);
    r->head = (r->head + 1) % r->r.frame_nr;
    return true;
}

u32 packet_ring_told(struct packet_ring *r)
{
    u32 n = r->b.freezes;
    r->b.freezes = 0;
    r->losing = false;
    return n;
}

bool packet_ring_put(struct packet_ring *r, const struct frame_view *f, u32 keep, bool cooked, bool *ret_wake)
{
    struct ring_place p = place_of(r, f, keep, cooked);
    bool ok = p.net <= UINT16_MAX; /* else its place cannot be told */
    if (ok)
        ok = r->version == TPACKET_V3 ? packet_block_put(r, f, p, ret_wake) : put_framed(r, f, p);
    if (r->version != TPACKET_V3)
        *ret_wake = ok;
    r->losing |= !ok;
    return ok;
}
