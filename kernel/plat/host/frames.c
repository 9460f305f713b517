/* SPDX-License-Identifier: Apache-2.0 */
#include "frames.h"

#include "base/bytes.h"
#include "base/str.h"
#include "kern/log.h"

u8 *frames_room(struct frame_stream *s, u32 *ret_len)
{
    if (s->start > 0) {
        memmove(s->buf, s->buf + s->start, s->end - s->start);
        s->end -= s->start;
        s->start = 0;
    }
    *ret_len = s->size - s->end;
    return s->buf + s->end;
}

void frames_added(struct frame_stream *s, u32 len)
{
    ASSERT(len <= s->size - s->end);
    s->end += len;
}

int frames_next(struct frame_stream *s, const u8 **ret)
{
    u32 have = s->end - s->start;
    if (have < FRAME_PREFIX)
        return 0;
    u32 len = get_be32(s->buf + s->start);
    if (len == 0 || len > s->max)
        return -EPROTO;
    if (have - FRAME_PREFIX < len)
        return 0;
    *ret = s->buf + s->start + FRAME_PREFIX;
    s->start += FRAME_PREFIX + len;
    return (int)len;
}
