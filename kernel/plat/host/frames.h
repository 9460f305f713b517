/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frames out of a byte stream: each lies behind its length, a 32-bit big-endian number.
 *
 *   buf  | taken | unread bytes | room |
 *                start          end    size
 *
 * The reader puts bytes at frames_room() and says so with frames_added(); frames_next() shows whole
 * frames in place. A length of 0 or over `max` ends the conversation: behind it nothing can be told apart.
 */
#ifndef HOST_FRAMES_H
#define HOST_FRAMES_H

#include "kern/types.h"

#define FRAME_PREFIX 4u

struct frame_stream {
    u8 *buf;
    u32 size;       /* at least max + FRAME_PREFIX */
    u32 start, end;
    u32 max;        /* bytes of the longest frame */
};

/* Where the next bytes go. Moves the unread ones to the front, so what frames_next() showed is gone.
 * Never 0 bytes when frames_next() had nothing more to show. */
u8 *frames_room(struct frame_stream *s, u32 *ret_len);
void frames_added(struct frame_stream *s, u32 len);
/* The next whole frame: its length, 0 = more bytes are needed, -EPROTO = not a stream of frames. */
int frames_next(struct frame_stream *s, const u8 **ret);

#endif
