/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and writing the fields of 9P messages, never past their ends (abi/p9.h). */
#ifndef HOST_9P_WIRE_H
#define HOST_9P_WIRE_H

#include <string.h>

#include "base/bytes.h"

/* What is left of a request. A field that is not there is zero and sets `bad`. */
struct p9_in {
    const u8 *p;
    size_t left;
    bool bad;
};

static inline const u8 *p9_take(struct p9_in *in, size_t n)
{
    if (n > in->left) {
        in->bad = true;
        in->left = 0;
        return NULL;
    }
    const u8 *p = in->p;
    in->p += n;
    in->left -= n;
    return p;
}
static inline u16 p9_get16(struct p9_in *in)
{
    const u8 *p = p9_take(in, 2);
    return p ? get_u16(p) : 0;
}
static inline u32 p9_get32(struct p9_in *in)
{
    const u8 *p = p9_take(in, 4);
    return p ? get_u32(p) : 0;
}
static inline u64 p9_get64(struct p9_in *in)
{
    const u8 *p = p9_take(in, 8);
    return p ? get_u64(p) : 0;
}
/* A string of less than `size` bytes, NUL-terminated into buf; one with a NUL inside is bad. */
static inline void p9_get_string(struct p9_in *in, char *buf, size_t size)
{
    size_t n = p9_get16(in);
    const u8 *p = p9_take(in, n);
    buf[0] = 0;
    if (!p || n >= size || memchr(p, 0, n)) {
        in->bad = true;
        return;
    }
    memcpy(buf, p, n);
    buf[n] = 0;
}

/* A reply being written; the server sees to it that msize bytes are there, so only data needs a look at `room`. */
struct p9_out {
    u8 *start;
    size_t len, room;
};

static inline u8 *p9_add(struct p9_out *out, size_t n)
{
    u8 *p = out->start + out->len;
    out->len += n;
    return p;
}
static inline void p9_put8(struct p9_out *out, u8 v) { *p9_add(out, 1) = v; }
static inline void p9_put16(struct p9_out *out, u16 v) { put_u16(p9_add(out, 2), v); }
static inline void p9_put32(struct p9_out *out, u32 v) { put_u32(p9_add(out, 4), v); }
static inline void p9_put64(struct p9_out *out, u64 v) { put_u64(p9_add(out, 8), v); }
static inline void p9_put_string(struct p9_out *out, const char *s, size_t n)
{
    p9_put16(out, (u16)n);
    memcpy(p9_add(out, n), s, n);
}

#endif
