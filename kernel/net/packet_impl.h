/* SPDX-License-Identifier: Apache-2.0 */
/* Between packet.c (sockets), packet_ring.c, packet_block.c and packet_tx.c (rings that programs map) and packet_fanout.c (groups). Wire: packet(7), Linux's byte order. */
#ifndef PACKET_IMPL_H
#define PACKET_IMPL_H

#include "kern/cbpf.h"
#include "kern/page.h"
#include "sock_impl.h"

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
/* Of the connection that an IP datagram belongs to, the same both ways. */
u32 frame_hash(const struct frame_view *f);
/* TP_STATUS_CSUM*: what is known of its checksum. */
u32 frame_csum_status(const struct frame_view *f);

/* --- packet_ring.c -------------------------------------------------------------------------------- */
struct packet_ring_request { /* struct tpacket_req3; earlier versions end with frame_nr */
    u32 block_size, block_nr, frame_size, frame_nr;
    u32 timeout_ms, private_size, features;
};
#define RING_FILL_HASH 1u
enum { TPACKET_V1, TPACKET_V2, TPACKET_V3 };
#define STATUS_USER 1u
#define STATUS_LOSING 4u
#define STATUS_CSUMNOTREADY 8u
#define STATUS_CSUM_VALID 128u
struct packet_ring {
    struct packet_ring_request r;
    u32 version, reserve, per_block, order;
    u32 head;        /* the socket's s.lock: the next frame, or in version 3 block, to be written; s.wr: to be sent */
    bool losing;     /* s.lock: something was lost, which the program was not told of */
    struct packet_block { /* version 3; s.lock */
        struct sock *s; /* NULL: it is none of blocks */
        struct ktimer timer;
        struct block_header_state {
            u32 frames, used, last_at; /* frames, bytes, where the last frame is */
            u64 number, first_ns, last_ns;
        } h;
        bool is_open, frozen;
        u64 numbers, until_ns;
        u32 freezes;
    } b;
    struct page *blocks[];
};
/* Where a frame goes, counted from its header, and how much of it. */
struct ring_place {
    u32 mac, net, snaplen, whole, status;
};
/* What stands in front of a frame: bytes, or 0 for a version that is not there. */
u32 packet_ring_header_len(u32 version);
/* s NULL: a ring for sending. */
int packet_ring_create(struct sock *s, const struct packet_ring_request *r, u32 version, u32 reserve, struct packet_ring **ret);
/* Nothing is put in any more: no timer runs, either. Thread context; NULL is fine, as below. */
void packet_ring_stop(struct packet_ring *r);
void packet_ring_destroy(struct packet_ring *r);
/* Write a frame of which `keep` bytes are wanted. False = the program has not read that far: it is lost. *ret_wake: there is something to read. */
bool packet_ring_put(struct packet_ring *r, const struct frame_view *f, u32 keep, bool cooked, bool *ret_wake);
/* The program hears what was lost: how often version 3 had no block left since it did last. s.lock */
u32 packet_ring_told(struct packet_ring *r);
bool packet_ring_readable(const struct packet_ring *r);
u64 packet_ring_bytes(const struct packet_ring *r);
u8 *packet_ring_frame(const struct packet_ring *r, u32 i); /* of versions 1 and 2, and for sending */
int packet_ring_page(struct packet_ring *r, u64 index, struct page **ret);

/* --- packet_block.c: version 3 ------------------------------------------------------------------------ */
bool packet_block_fits(const struct packet_ring_request *q, u32 least);
void packet_block_init(struct packet_ring *r, struct sock *s);
void packet_block_stop(struct packet_ring *r); /* no timer runs any more; the ring is nobody's, or its socket closed. Thread context */
bool packet_block_put(struct packet_ring *r, const struct frame_view *f, struct ring_place p, bool *ret_given);
bool packet_block_readable(const struct packet_ring *r);

/* --- packet_tx.c: rings for sending -------------------------------------------------------------------- */
struct packet_way {
    struct netif *nif;
    struct sockaddr_ll_ to;
    bool cooked, named; /* the link header is ours to make; the program said where to */
};
/* packet.c. Takes p: at the network header if cooked, else at the link header, all of which it has. 0 or -errno. */
int packet_send_frame(const struct packet_way *w, struct pkt *p);
/* What the program wants sent, at most the ring once round: bytes, or -errno, where one frame could not be. The socket's s.wr is held. */
s64 packet_ring_send(struct packet_ring *r, const struct packet_way *w, bool loss, bool has_off);

/* --- packet_fanout.c: sockets that share what comes (PACKET_FANOUT) --------------------------------------- */
struct packet_fanout;
struct packet_member {
    struct packet_fanout *group; /* NULL: in none. All under the lock of packet.c */
    u32 index;
};
/* m, of a socket bound to that, joins the group of a word of the option. 0, -EINVAL, -ENOSPC. */
int fanout_join(struct packet_member *m, u32 word, u16 protocol, u32 ifindex, struct packet_fanout *fresh);
struct packet_fanout *fanout_create(void); /* for a join that makes the group; fanout_destroy() what was not used. NULL = no memory */
void fanout_destroy(struct packet_fanout *g); /* NULL is fine */
bool fanout_used(const struct packet_fanout *g);
/* Returns what is to be freed, or NULL. */
struct packet_fanout *fanout_leave(struct packet_member *m);
u32 fanout_word(const struct packet_member *m); /* as the option tells */
/* Is the frame, one of that number, this member's? */
bool fanout_mine(const struct packet_member *m, struct frame_view *f, u64 number, bool out);
/* The group's choice is the program's from now on: 0, and who is to be put is *ret_old; -EINVAL: it is not chosen so. */
int fanout_program(struct packet_member *m, struct cbpf_program *b, struct cbpf_program **ret_old);
/* m has no room: who of its group is asked next, NULL: nobody. *tried begins with 0. */
struct packet_member *fanout_next(const struct packet_member *m, u32 *tried);

#endif
