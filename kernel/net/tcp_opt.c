/* SPDX-License-Identifier: Apache-2.0 */
/* TCP options: MSS (RFC 9293), window scale and timestamps (RFC 7323), SACK (RFC 2018), fast open (RFC 7413). */
#include "tcp_impl.h"

enum { OPT_END, OPT_NOP, OPT_MSS, OPT_WSCALE, OPT_SACK_PERM, OPT_SACK, OPT_TS = 8 };

bool tcp_parse_options(const u8 *o, u32 len, bool syn, struct tcp_options *ret)
{
    ret->has_ts = ret->sack_perm = false;
    ret->wscale = -1;
    ret->mss = 0;
    ret->nsack = 0;
    ret->tfo_len = -1;
    /* The layout that everybody sends: NOP NOP TS. */
    if (likely(len == 12 && get_be32(o) == 0x0101080a)) {
        ret->has_ts = true;
        ret->ts_val = get_be32(o + 4);
        ret->ts_ecr = get_be32(o + 8);
        return true;
    }
    while (len > 0) {
        u8 kind = o[0];
        if (kind == OPT_END)
            break;
        if (kind == OPT_NOP) {
            o++;
            len--;
            continue;
        }
        if (len < 2 || o[1] < 2 || o[1] > len)
            return false;
        u8 n = o[1];
        switch (kind) {
        case OPT_MSS:
            if (n == 4 && syn)
                ret->mss = get_be16(o + 2);
            break;
        case OPT_WSCALE:
            if (n == 3 && syn)
                ret->wscale = (s8)MIN(o[2], 14);
            break;
        case OPT_SACK_PERM:
            if (n == 2 && syn)
                ret->sack_perm = true;
            break;
        case OPT_SACK:
            if ((n - 2) % 8 == 0 && !syn)
                for (u8 i = 2; i + 8 <= n && ret->nsack < 4; i = (u8)(i + 8))
                    ret->sack[ret->nsack++] = (struct sack_range){ get_be32(o + i), get_be32(o + i + 4) };
            break;
        case OPT_TS:
            if (n == 10) {
                ret->has_ts = true;
                ret->ts_val = get_be32(o + 2);
                ret->ts_ecr = get_be32(o + 6);
            }
            break;
        case TCP_OPT_FASTOPEN:
            if (tcp_parts.tfo != NULL && syn && n <= 2 + TCP_COOKIE_MAX && n % 2 == 0) {
                ret->tfo_len = (s8)(n - 2);
                memcpy(ret->tfo, o + 2, n - 2u);
            }
            break;
        }
        o += n;
        len -= n;
    }
    return true;
}

u32 tcp_put_ts(u8 *o, u32 val, u32 ecr)
{
    put_be32(o, 0x0101080a);
    put_be32(o + 4, val);
    put_be32(o + 8, ecr);
    return 12;
}

u32 tcp_put_sack(u8 *o, struct tcp *t, u32 room)
{
    bool dup = t->dsack.start != t->dsack.end;
    u32 n = room < 12 ? 0 : MIN((u32)t->nsack_out + dup, (room - 4) / 8);
    if (n == 0)
        return 0;
    put_be32(o, 0x01010500 | (2 + 8 * n));
    for (u32 i = 0; i < n; i++) {
        struct sack_range r = !dup ? t->sack_out[i] : i == 0 ? t->dsack : t->sack_out[i - 1];
        put_be32(o + 4 + 8 * i, r.start);
        put_be32(o + 8 + 8 * i, r.end);
    }
    t->dsack.end = t->dsack.start;
    return 4 + 8 * n;
}

u32 tcp_put_syn_options(u8 *o, u16 mss, s8 wscale, bool sack, bool ts, u32 ts_val, u32 ts_ecr)
{
    u32 n = 4;
    put_be32(o, 0x02040000u | mss);
    if (ts) {
        put_be32(o + n, sack ? 0x0402080au : 0x0101080au);
        put_be32(o + n + 4, ts_val);
        put_be32(o + n + 8, ts_ecr);
        n += 12;
    } else if (sack) {
        put_be32(o + n, 0x01010402u);
        n += 4;
    }
    if (wscale >= 0) {
        put_be32(o + n, 0x01030300u | (u8)wscale);
        n += 4;
    }
    return n;
}
