/* SPDX-License-Identifier: Apache-2.0 */
/* Between packet.c (sockets) and packet_ring.c (rings that programs map). Wire: packet(7), Linux's byte order. */
#ifndef PACKET_IMPL_H
#define PACKET_IMPL_H

#include "kern/cbpf.h"
#include "net_impl.h"

struct sockaddr_ll_ {
    u16 family, protocol; /* protocol big-endian */
    s32 ifindex;
    u16 hatype;
    u8 pkttype, halen;
    u8 addr[8];
};
_Static_assert(sizeof(struct sockaddr_ll_) == 20, "struct sockaddr_ll of Linux");

/* A frame on its way past a card, as a socket sees it: `front` (a header that is not there), then p. */
struct frame_view {
    const struct pkt *p;
    const u8 *front;
    u32 nfront;
    u32 len;      /* of both */
    u32 maclen;   /* of the link header at the beginning */
    u32 skip;     /* the socket begins here */
    struct sockaddr_ll_ from;
};
/* Up to n bytes from off; how many. */
u32 frame_copy(const struct frame_view *f, u32 off, void *dst, u32 n);
/* What a filter has to say of it. */
u32 frame_filter(const struct cbpf_program *b, const struct frame_view *f);


/* --- packet_ring.c -------------------------------------------------------------------------------- */
struct packet_ring;
struct packet_ring_request { /* struct tpacket_req */
    u32 block_size, block_nr, frame_size, frame_nr;
};
enum { TPACKET_V1, TPACKET_V2 };
/* What stands in front of a frame: bytes, or 0 for a version that is not there (TPACKET_V3). */
u32 packet_ring_header_len(u32 version);
int packet_ring_create(const struct packet_ring_request *r, u32 version, u32 reserve, struct packet_ring **ret);
void packet_ring_destroy(struct packet_ring *r);
/* Write a frame of which `keep` bytes are wanted. False = the program has not read that far: it is lost. */
bool packet_ring_put(struct packet_ring *r, const struct frame_view *f, u32 keep, bool cooked);
bool packet_ring_readable(const struct packet_ring *r);
u64 packet_ring_bytes(const struct packet_ring *r);
int packet_ring_page(struct packet_ring *r, u64 index, struct page **ret);

#endif
