/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The internet checksum (RFC 1071) and the keyed hash of the stack (SipHash,
 * Aumasson and Bernstein 2012, with one compression and three final rounds).
 *
 * A sum is kept as a 32-bit value congruent modulo 0xffff to the one's complement sum of
 * the data in memory order; byte order does not matter until it is stored.
 */
#include "net_impl.h"

u32 csum_add(const void *data, u32 len, u32 sum)
{
    const u8 *p = data;
    u64 s = sum;
    /* 32 bytes at a time; carries gather in the upper half of two accumulators. */
    u64 t = 0;
    for (; len >= 32; len -= 32, p += 32) {
        s += (u64)get_u32(p) + get_u32(p + 4) + get_u32(p + 8) + get_u32(p + 12);
        t += (u64)get_u32(p + 16) + get_u32(p + 20) + get_u32(p + 24) + get_u32(p + 28);
    }
    s += t;
    for (; len >= 4; len -= 4, p += 4)
        s += get_u32(p);
    if (len >= 2) {
        s += get_u16(p);
        p += 2;
        len -= 2;
    }
    if (len != 0)
        s += *p;
    s = (s & 0xffffffff) + (s >> 32);
    s = (s & 0xffffffff) + (s >> 32);
    return (u32)s;
}

u16 csum_fold(u32 sum)
{
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (u16)~sum;
}

static u32 add32(u32 a, u32 b)
{
    u64 s = (u64)a + b;
    return (u32)((s & 0xffffffff) + (s >> 32));
}

u32 csum_pkt(const struct pkt *p, u32 off, u32 sum)
{
    bool odd = false;
    for (; p != NULL; p = p->more) {
        if (off >= p->len) {
            off -= p->len;
            continue;
        }
        u32 part = csum_add(p->data + off, p->len - off, 0);
        if (odd) { /* bytes of this view stand in the other half of their words */
            part = (part & 0xffff) + (part >> 16);
            part = (part & 0xffff) + (part >> 16);
            part = bswap16((u16)part);
        }
        sum = add32(sum, part);
        odd ^= (p->len - off) & 1;
        off = 0;
    }
    return sum;
}

bool csum_ok_l4(const struct pkt *p, u32 src, u32 dst, u8 proto)
{
    if (p->csum != PKT_CSUM_NONE) /* checked by the device, or it never left this machine's host */
        return true;
    return csum_fold(csum_pkt(p, 0, csum_pseudo(src, dst, proto, p->total_len))) == 0;
}

void csum_finish_l4(struct pkt *p, const struct netif *nif, u32 src, u32 dst, u8 proto, u32 field_off)
{
    u32 pseudo = csum_pseudo(src, dst, proto, p->total_len);
    p->csum_offset = (u16)field_off;
    if (nif->loopback) {
        p->csum = PKT_CSUM_VALID;
        return;
    }
    if (nif->dev->features & NETDEV_TX_CSUM) {
        put_u16(p->data + field_off, (u16)~csum_fold(pseudo));
        p->csum = PKT_CSUM_PARTIAL; /* csum_start follows when the frame is complete */
        return;
    }
    put_u16(p->data + field_off, 0);
    u16 sum = csum_fold(csum_pkt(p, 0, pseudo));
    if (sum == 0 && proto == IPPROTO_UDP)
        sum = 0xffff; /* RFC 768: zero means "no checksum" */
    put_u16(p->data + field_off, sum);
    p->csum = PKT_CSUM_NONE;
}

u64 net_secret[2];

#define ROTL(x, n) ((x) << (n) | (x) >> (64 - (n)))

static void sip_round(u64 v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = ROTL(v[1], 13) ^ v[0];
    v[3] = ROTL(v[3], 16) ^ v[2];
    v[0] = ROTL(v[0], 32) + v[3];
    v[2] += v[1];
    v[3] = ROTL(v[3], 21) ^ v[0];
    v[1] = ROTL(v[1], 17) ^ v[2];
    v[2] = ROTL(v[2], 32);
}

u64 net_siphash(const u64 key[2], u64 a, u64 b)
{
    u64 v[4] = { key[0] ^ 0x736f6d6570736575ULL, key[1] ^ 0x646f72616e646f6dULL, key[0] ^ 0x6c7967656e657261ULL,
                 key[1] ^ 0x7465646279746573ULL };
    const u64 m[3] = { a, b, 16ULL << 56 };
    for (unsigned i = 0; i < 3; i++) {
        v[3] ^= m[i];
        sip_round(v);
        v[0] ^= m[i];
    }
    v[2] ^= 0xff;
    for (unsigned i = 0; i < 3; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}
