/* SPDX-License-Identifier: Apache-2.0 */
/* Framing of the remote serial protocol: see rsp.h. */
#include "host/debug/rsp.h"

#include <string.h>

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void unescape(const char *p, size_t len, struct buf *ret)
{
    ret->len = 0;
    buf_add(ret, "", 0);
    for (size_t i = 0; i < len; i++) {
        char c = p[i];
        if (c == '}' && i + 1 < len)
            c = p[++i] ^ 0x20;
        buf_add(ret, &c, 1);
    }
}

enum rsp_kind rsp_next(struct rsp *r, struct buf *ret)
{
    struct buf *in = &r->in;
    size_t skip = 0;
    while (skip < in->len && (in->data[skip] == '+' || in->data[skip] == '-'))
        skip++; /* acknowledgements: the pipe loses nothing */
    buf_drop(in, skip);
    if (in->len == 0)
        return RSP_MORE;
    if (in->data[0] == 3) {
        buf_drop(in, 1);
        return RSP_INTERRUPT;
    }
    if (in->data[0] != '$')
        return RSP_BAD;
    const char *end = memchr(in->data, '#', in->len);
    size_t len = end ? (size_t)(end - in->data) - 1 : in->len - 1;
    if (len > 2 * RSP_PACKET_MAX)
        return RSP_BAD;
    if (!end || (size_t)(in->data + in->len - end) < 3)
        return RSP_MORE;
    int high = digit(end[1]), low = digit(end[2]);
    u8 sum = 0;
    for (size_t i = 1; i <= len; i++)
        sum += (u8)in->data[i];
    bool good = high >= 0 && low >= 0 && sum == (high << 4 | low);
    if (good)
        unescape(in->data + 1, len, ret);
    buf_drop(in, len + 4);
    return good ? RSP_PACKET : RSP_BAD_SUM;
}

void rsp_frame(struct buf *out, const void *content, size_t len)
{
    const char *p = content;
    u8 sum = 0;
    size_t start = out->len + 1;
    buf_add(out, "$", 1);
    for (size_t i = 0; i < len; i++) {
        char escaped[2] = {'}', (char)(p[i] ^ 0x20)};
        bool special = p[i] == '#' || p[i] == '$' || p[i] == '}' || p[i] == '*';
        buf_add(out, special ? escaped : &p[i], special ? 2 : 1);
    }
    for (size_t i = start; i < out->len; i++)
        sum += (u8)out->data[i];
    buf_addf(out, "#%02x", sum);
}

void rsp_add_hex(struct buf *out, const void *bytes, size_t len)
{
    const u8 *p = bytes;
    for (size_t i = 0; i < len; i++)
        buf_addf(out, "%02x", p[i]);
}

bool rsp_hex(const char **p, void *ret, size_t len)
{
    u8 *bytes = ret;
    for (size_t i = 0; i < len; i++) {
        int high = digit((*p)[0]), low = high >= 0 ? digit((*p)[1]) : -1;
        if (low < 0)
            return false;
        bytes[i] = (u8)(high << 4 | low);
        *p += 2;
    }
    return true;
}

bool rsp_number(const char **p, u64 *ret)
{
    unsigned n = 0;
    for (*ret = 0; digit(**p) >= 0; (*p)++, n++) {
        if (*ret >> 60)
            return false;
        *ret = *ret << 4 | (u64)digit(**p);
    }
    return n > 0;
}

bool rsp_number_to(const char **p, char end, u64 *ret)
{
    if (!rsp_number(p, ret) || **p != end)
        return false;
    (*p)++;
    return true;
}
