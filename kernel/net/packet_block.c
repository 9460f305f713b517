/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PACKET_RX_RING, version 3 (Linux's networking/packet_mmap): frames lie one behind the other in a block, as long as they are. A block is
 * the program's once the next frame does not fit, or `timeout` after its first frame.
 *
 *     block   48 bytes: version, offset of the program's own bytes, status, frames, offset of the first, bytes used,
 *             number (u64), times of its first and its last frame; then the program's own bytes
 *     frame   48 bytes: offset of the next from here (0 = last), time, bytes kept and in all, status, offsets of link and network
 *             header, hash; a struct sockaddr_ll; the frame
 *
 *   R1  The program may write anything anywhere. Of a block only its status is read, and that once it was given away.
 *   R2  An armed timer holds a reference to its socket.
 *
 * A block is opened when a frame comes for it, so an idle ring has no timer and wakes nobody.
 */
#include "packet_impl.h"

#define BLOCK_HEADER 48u
#define FRAME_HEADER 48u
#define VERSION 2u /* TPACKET_V3 counts from 0 */
#define STATUS_BLOCK_TIMEOUT 32u
#define TIMEOUT_DEFAULT_MS 8u

struct block_header {
    u32 version, private_at;
    u32 status, frames, first_at, used;
    u64 number;
    u32 first_sec, first_nsec, last_sec, last_nsec;
};
struct frame_header {
    u32 next, sec, nsec, snaplen, len, status;
    u16 mac, net;
    u32 hash, vlan_tci;
    u16 vlan_tpid, padding;
    u8 zero[8];
};
_Static_assert(sizeof(struct block_header) == BLOCK_HEADER && sizeof(struct frame_header) == FRAME_HEADER, "tpacket_block_desc, tpacket3_hdr of Linux");

static u32 begin_of(const struct packet_ring *r) { return BLOCK_HEADER + ALIGN_UP(r->r.private_size, 8u); }
static u8 *block_at(const struct packet_ring *r, u32 i) { return page_virt(r->blocks[i]); }
static u32 *status_word(const struct packet_ring *r, u32 i) { return (u32 *)(void *)(block_at(r, i) + offsetof(struct block_header, status)); }

bool packet_block_fits(const struct packet_ring_request *q, u32 least)
{
    return q->private_size < q->block_size && (q->features & ~RING_FILL_HASH) == 0 &&
           (u64)BLOCK_HEADER + ALIGN_UP(q->private_size, 8u) + least <= q->block_size;
}

bool packet_block_readable(const struct packet_ring *r)
{
    u32 last = r->head == 0 ? r->r.block_nr - 1 : r->head - 1;
    return atomic_load(status_word(r, last)) != 0;
}

/* s.lock */
static void open(struct packet_ring *r, u64 wall)
{
    r->b.h = (struct block_header_state){ .used = begin_of(r), .number = ++r->b.numbers, .first_ns = wall };
    r->b.is_open = true;
    r->b.until_ns = now_ns() + (u64)(r->r.timeout_ms != 0 ? r->r.timeout_ms : TIMEOUT_DEFAULT_MS) * NSEC_PER_MSEC;
    if (!ktimer_cancel(&r->b.timer)) /* else its reference goes on */
        sock_get(r->b.s);
    ktimer_start(&r->b.timer, r->b.until_ns);
}

/* It is the program's now. s.lock */
static void give(struct packet_ring *r, u32 status)
{
    const struct block_header_state *h = &r->b.h;
    u8 *at = block_at(r, r->head);
    const struct block_header d = {
        .version = VERSION, .private_at = BLOCK_HEADER, .frames = h->frames, .first_at = begin_of(r), .used = h->used, .number = h->number,
        .first_sec = (u32)(h->first_ns / NSEC_PER_SEC), .first_nsec = (u32)(h->first_ns % NSEC_PER_SEC),
        .last_sec = (u32)(h->last_ns / NSEC_PER_SEC), .last_nsec = (u32)(h->last_ns % NSEC_PER_SEC),
    };
    put_u32(at + h->last_at, 0); /* of the last frame: no next one */
    memcpy(at, &d, offsetof(struct block_header, status));
    memcpy(at + offsetof(struct block_header, frames), &d.frames, sizeof d - offsetof(struct block_header, frames));
    atomic_store(status_word(r, r->head), STATUS_USER | status | (r->losing ? STATUS_LOSING : 0));
    r->b.is_open = false;
    r->head = (r->head + 1) % r->r.block_nr;
}

static void tick(struct ktimer *t)
{
    struct packet_ring *r = container_of(t, struct packet_ring, b.timer);
    struct sock *s = r->b.s;
    sock_lock(s);
    bool due = r->b.is_open && now_ns() >= r->b.until_ns;
    if (due)
        give(r, STATUS_BLOCK_TIMEOUT);
    spin_unlock_bh(&s->lock);
    if (due)
        sock_wake(s, WAKE_IN);
    sock_put(s);
}

void packet_block_init(struct packet_ring *r, struct sock *s)
{
    r->b.s = s;
    ktimer_init(&r->b.timer, tick);
}

void packet_block_stop(struct packet_ring *r)
{
    if (ktimer_cancel(&r->b.timer))
        sock_put(r->b.s); /* the caller has another */
    ktimer_cancel_sync(&r->b.timer);
}

/* Is there a block for the next frame? Counts how often there was none any more. s.lock */
static bool ready(struct packet_ring *r, u64 wall)
{
    if (r->b.is_open)
        return true;
    if (atomic_load(status_word(r, r->head)) != 0) {
        r->b.freezes += !r->b.frozen;
        r->b.frozen = true;
        return false;
    }
    r->b.frozen = false;
    open(r, wall);
    return true;
}

bool packet_block_put(struct packet_ring *r, const struct frame_view *f, struct ring_place p, bool *ret_given)
{
    u64 now = wall_ns();
    u32 room = r->r.block_size - begin_of(r);
    if (p.mac > room)
        return false;
    p.snaplen = MIN(p.snaplen, room - p.mac);
    const u32 size = ALIGN_UP(p.mac + p.snaplen, 8u);
    if (r->b.is_open && r->b.h.used + size > r->r.block_size) {
        give(r, 0);
        *ret_given = true;
    }
    if (!ready(r, now))
        return false;
    struct block_header_state *h = &r->b.h;
    u8 *at = block_at(r, r->head) + h->used;
    frame_copy(f, f->skip, at + p.mac, p.snaplen);
    memcpy(at + FRAME_HEADER, &f->from, sizeof f->from);
    const struct frame_header fh = { .next = size, .sec = (u32)(now / NSEC_PER_SEC), .nsec = (u32)(now % NSEC_PER_SEC), .snaplen = p.snaplen,
                                     .len = p.whole, .status = p.status, .mac = (u16)p.mac, .net = (u16)p.net,
                                     .hash = r->r.features & RING_FILL_HASH ? frame_hash(f) : 0 };
    memcpy(at, &fh, sizeof fh);
    h->last_at = h->used;
    h->last_ns = now;
    h->used += size;
    h->frames++;
    return true;
}
