/* SPDX-License-Identifier: Apache-2.0 */
/* See fragments.h. */
#include "host/net/fragments.h"

#include <string.h>

#include "base/bytes.h"
#include "host/lib/util.h"

#define DATAGRAMS 16u
#define PATIENCE_NS 30000000000ull
#define ETHERNET 14u
#define HEADER (ETHERNET + 20u)
#define DATA_MAX (65535u - 20u)
#define BLOCK 8u /* unit of offsets */
#define MORE 0x2000u

struct datagram {
    u64 since_ns; /* 0 = there is none */
    u32 total;    /* bytes of data; 0 = its last fragment has not come */
    u32 end;      /* of what has come */
    u32 blocks;   /* that have come */
    u64 there[DATA_MAX / BLOCK / 64 + 1];
    char frame[HEADER + DATA_MAX]; /* with the header of the fragment that came first */
};

static struct datagram datagrams[DATAGRAMS];

/* Addresses, protocol and number are what makes two fragments one datagram's. */
static bool same(const char *a, const char *b)
{
    return memcmp(a + ETHERNET + 12, b + ETHERNET + 12, 8) == 0 && memcmp(a + ETHERNET + 4, b + ETHERNET + 4, 2) == 0 &&
           a[ETHERNET + 9] == b[ETHERNET + 9];
}

/* Could it be a fragment of any datagram? */
static bool is_sound(u32 offset, u32 len, bool more) { return len > 0 && offset + len <= DATA_MAX && (!more || len % BLOCK == 0); }

/* That of a sound fragment. */
static struct datagram *datagram_of(const char *frame)
{
    struct datagram *oldest = datagrams;
    u64 now = now_ns();
    for (struct datagram *d = datagrams; d < datagrams + DATAGRAMS; d++) {
        if (d->since_ns && now - d->since_ns < PATIENCE_NS && same(d->frame, frame))
            return d;
        if (d->since_ns < oldest->since_ns)
            oldest = d;
    }
    oldest->since_ns = now;
    oldest->total = oldest->end = oldest->blocks = 0;
    memset(oldest->there, 0, sizeof(oldest->there));
    memcpy(oldest->frame, frame, HEADER);
    return oldest;
}

static bool is_there(const struct datagram *d, u32 block) { return d->there[block / 64] >> block % 64 & 1; }

static bool fits(const struct datagram *d, u32 offset, u32 len, bool more)
{
    if (d->total != 0 ? !more || offset + len > d->total : !more && offset + len < d->end)
        return false;
    for (u32 at = 0; at < len; at += BLOCK)
        if (is_there(d, (offset + at) / BLOCK))
            return false;
    return true;
}

static void add(struct datagram *d, u32 offset, const char *data, u32 len, bool more)
{
    memcpy(d->frame + HEADER + offset, data, len);
    for (u32 at = 0; at < len; at += BLOCK, d->blocks++)
        d->there[(offset + at) / BLOCK / 64] |= 1ull << (offset + at) / BLOCK % 64;
    d->end = MAX(d->end, offset + len);
    d->total = more ? d->total : offset + len;
}

/* Of one datagram, no fragment any more. */
static void finish_header(char *ip, u32 total)
{
    u32 sum = 0;
    put_be16(ip + 2, (u16)(20 + total));
    put_be16(ip + 6, 0);
    put_be16(ip + 10, 0);
    for (unsigned i = 0; i < 20; i += 2)
        sum += get_be16(ip + i);
    sum = (sum & 0xffff) + (sum >> 16);
    put_be16(ip + 10, (u16)~(sum + (sum >> 16)));
}

const char *fragments_take(const char *frame, size_t *len)
{
    const char *ip = frame + ETHERNET;
    if (*len < HEADER || get_be16(frame + 12) != 0x0800 || (get_be16(ip + 6) & 0x3fff) == 0)
        return frame;
    u32 bytes = get_be16(ip + 2), offset = (get_be16(ip + 6) & 0x1fffu) * BLOCK;
    bool more = (get_be16(ip + 6) & MORE) != 0;
    if (ip[0] != 0x45 || bytes < 20 || bytes > *len - ETHERNET || !is_sound(offset, bytes - 20, more))
        return NULL;
    struct datagram *d = datagram_of(frame);
    if (!fits(d, offset, bytes - 20, more))
        return NULL;
    add(d, offset, frame + HEADER, bytes - 20, more);
    if (d->total == 0 || d->blocks * BLOCK < d->total)
        return NULL;
    finish_header(d->frame + ETHERNET, d->total);
    d->since_ns = 0;
    *len = HEADER + d->total;
    return d->frame;
}
