/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PACKET_RX_RING (packet(7), Linux's networking/packet_mmap), versions 1 and 2: blocks of pages that the program maps, cut into frames.
 * Each begins with a word that says whose it is: 0 ours, 1 the program's. The program may write what it likes into
 * it; nothing is read but that word.
 */
#include "kern/page.h"
#include "packet_impl.h"

#define ALIGNMENT 16u
#define STATUS_USER 1u
#define STATUS_LOSING 4u
#define STATUS_CSUMNOTREADY 8u
#define STATUS_CSUM_VALID 128u
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
#define HEADER (32u + (u32)sizeof(struct sockaddr_ll_))

struct packet_ring {
    struct packet_ring_request r;
    u32 version, reserve, per_block, order;
    u32 head;        /* the socket's s.lock: the next frame to be written */
    bool losing;     /* s.lock */
    struct page *blocks[];
};

u32 packet_ring_header_len(u32 version) { return version <= TPACKET_V2 ? 32 : 0; }
u64 packet_ring_bytes(const struct packet_ring *r) { return (u64)r->r.block_size * r->r.block_nr; }

void packet_ring_destroy(struct packet_ring *r)
{
    if (r == NULL)
        return;
    for (u32 b = 0; b < r->r.block_nr && r->blocks[b] != NULL; b++)
        for (u32 i = 0; i < 1u << r->order; i++)
            page_put(page_of(page_phys(r->blocks[b]) + i * PAGE_SIZE));
    net_mem_uncharge((u32)packet_ring_bytes(r));
    kfree(r);
}

int packet_ring_create(const struct packet_ring_request *q, u32 version, u32 reserve, struct packet_ring **ret)
{
    if (q->block_size == 0 || q->block_size % PAGE_SIZE != 0 || q->block_nr == 0 || q->block_nr > BLOCKS_MAX ||
        q->frame_size < HEADER + reserve || q->frame_size % ALIGNMENT != 0 || q->block_size < q->frame_size ||
        q->frame_nr / q->block_nr != q->block_size / q->frame_size || q->frame_nr % q->block_nr != 0)
        return -EINVAL;
    u32 order = 0;
    while (PAGE_SIZE << order < q->block_size)
        order++;
    if (PAGE_SIZE << order != q->block_size)
        return -EINVAL; /* Linux rounds up; nobody asks for such */
    if ((u64)q->block_size * q->block_nr > net_mem_limit / 2)
        return -ENOMEM;
    struct packet_ring *r = kzalloc(sizeof *r + q->block_nr * sizeof r->blocks[0]);
    if (r == NULL)
        return -ENOMEM;
    r->r = *q;
    r->version = version;
    r->reserve = reserve;
    r->per_block = q->block_size / q->frame_size;
    r->order = order;
    net_mem_charge((u32)packet_ring_bytes(r));
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

static u8 *frame_at(const struct packet_ring *r, u32 i)
{
    return (u8 *)page_virt(r->blocks[i / r->per_block]) + i % r->per_block * r->r.frame_size;
}

/* Version 1 has a long, whose upper half we never set. */
static u32 status_of(const struct packet_ring *r, u32 i) { return atomic_load((const u32 *)(const void *)frame_at(r, i)); }

bool packet_ring_readable(const struct packet_ring *r)
{
    u32 last = r->head == 0 ? r->r.frame_nr - 1 : r->head - 1;
    return status_of(r, last) != 0;
}

bool packet_ring_put(struct packet_ring *r, const struct frame_view *f, u32 keep, bool cooked)
{
    u8 *at = frame_at(r, r->head);
    u32 whole = f->len - f->skip, front = cooked ? 0 : f->maclen;
    u32 net = ALIGN_UP(HEADER + MAX(front, 16u), ALIGNMENT) + r->reserve, mac = net - front;
    if (cooked)
        mac = net = ALIGN_UP(HEADER, ALIGNMENT) + 16 + r->reserve;
    if (status_of(r, r->head) != 0 || mac > r->r.frame_size) {
        r->losing = true;
        return false;
    }
    u32 snaplen = MIN(MIN(keep, whole), r->r.frame_size - mac);
    u64 now = wall_ns();
    u32 status = STATUS_USER | (r->losing ? STATUS_LOSING : 0) |
                 (f->p->csum == PKT_CSUM_PARTIAL ? STATUS_CSUMNOTREADY : f->p->csum == PKT_CSUM_VALID ? STATUS_CSUM_VALID : 0);
    snaplen = frame_copy(f, f->skip, at + mac, snaplen);
    memcpy(at + 32, &f->from, sizeof f->from);
    if (r->version == TPACKET_V1) {
        struct header1 h = { 0, whole, snaplen, (u16)mac, (u16)net, (u32)(now / NSEC_PER_SEC), (u32)(now % NSEC_PER_SEC / 1000) };
        memcpy(at + 8, &h.len, sizeof h - 8);
        put_u32(at + 4, 0);
    } else {
        struct header2 h = { 0, whole, snaplen, (u16)mac, (u16)net, (u32)(now / NSEC_PER_SEC), (u32)(now % NSEC_PER_SEC), 0, 0, { 0 } };
        memcpy(at + 4, &h.len, sizeof h - 4);
    }
    atomic_store((u32 *)(void *)at, status);
    r->losing = false;
    r->head = (r->head + 1) % r->r.frame_nr;
    return true;
}
