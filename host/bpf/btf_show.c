/* SPDX-License-Identifier: Apache-2.0 */
/* Values by their BTF type: btf.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "host/bpf/btf.h"

#define DEPTH_MAX 16u
#define TEXT_MAX 16384u /* of one value: types that lie may be deep and wide */
#define HEX_MAX 64u

struct view {
    const struct btf *b;
    const u8 *bytes;
    size_t len;
    struct buf *out;
    size_t start;  /* of the value's text */
    unsigned depth;
};

static void show(struct view *v, u32 id, u64 at);

void show_hex(struct buf *out, const u8 *bytes, size_t len)
{
    for (size_t i = 0; i < len && i < HEX_MAX; i++)
        buf_addf(out, i ? " %02x" : "%02x", bytes[i]);
    if (len > HEX_MAX)
        buf_addf(out, " ... (%zu bytes)", len);
}

static bool get(const struct view *v, u64 at, u32 size, u64 *ret)
{
    *ret = 0;
    if (size == 0 || size > 8 || !range_inside(at, size, v->len))
        return false;
    memcpy(ret, v->bytes + at, size);
    return true;
}

static void show_number(struct view *v, u64 at, u32 size, u32 bits, u32 shift, bool is_signed)
{
    u64 n;
    if (!get(v, at, size, &n)) {
        buf_addf(v->out, "?");
        return;
    }
    n >>= shift;
    if (bits < 64) {
        n &= (1ull << bits) - 1;
        if (is_signed && bits && n >> (bits - 1))
            n |= ~((1ull << bits) - 1);
    }
    buf_addf(v->out, is_signed ? "%" PRId64 : "%" PRIu64, n);
}

static bool signed_int(const struct view *v, u32 id)
{
    u32 info;
    return btf_part(v->b, id, 0, &info, sizeof(info)) && (BTF_INT_ENCODING(info) & BTF_INT_SIGNED) != 0;
}

/* An enumerator's name, or the number. */
static void show_enum(struct view *v, u32 id, const struct btf_type *t, u64 at)
{
    struct btf_enum e;
    u64 n;
    if (btf_kind(t) == BTF_KIND_ENUM && get(v, at, t->size, &n))
        for (u32 i = 0; i < btf_vlen(t) && btf_part(v->b, id, i, &e, sizeof(e)); i++)
            if ((u32)e.val == (u32)n) {
                buf_addf(v->out, "%s", btf_name(v->b, e.name_off));
                return;
            }
    show_number(v, at, t->size, t->size * 8, 0, BTF_INFO_KFLAG(t->info));
}

static bool is_char(const struct view *v, u32 id)
{
    struct btf_type t;
    return btf_type(v->b, btf_skip(v->b, id), &t) && btf_kind(&t) == BTF_KIND_INT && t.size == 1 && strcmp(btf_name(v->b, t.name_off), "char") == 0;
}

static void show_array(struct view *v, u32 id, u64 at)
{
    struct btf_array a;
    if (!btf_part(v->b, id, 0, &a, sizeof(a)))
        return;
    u64 size = btf_size(v->b, a.type);
    if (is_char(v, a.type)) {
        buf_addf(v->out, "\"");
        for (u64 i = 0; i < a.nelems && range_inside(at + i, 1, v->len) && v->bytes[at + i]; i++) {
            u8 c = v->bytes[at + i];
            buf_addf(v->out, c < ' ' || c > 126 || c == '"' || c == '\\' ? "\\%03o" : "%c", c);
        }
        buf_addf(v->out, "\"");
        return;
    }
    buf_addf(v->out, "[");
    for (u64 i = 0; i < a.nelems && size && v->out->len - v->start < TEXT_MAX; i++) {
        buf_addf(v->out, i ? ", " : "");
        show(v, a.type, at + i * size);
    }
    buf_addf(v->out, "]");
}

static void show_bits(struct view *v, u32 type, u64 at, u32 bit, u32 bits)
{
    struct btf_type t;
    u32 id = btf_skip(v->b, type);
    u64 first = at + bit / 8;
    u32 size = (bit % 8 + bits + 7) / 8;
    show_number(v, first, size, bits, bit % 8, btf_type(v->b, id, &t) && btf_kind(&t) == BTF_KIND_INT && signed_int(v, id));
}

static void show_struct(struct view *v, u32 id, const struct btf_type *t, u64 at)
{
    struct btf_member m;
    bool bits = BTF_INFO_KFLAG(t->info);
    buf_addf(v->out, "{");
    for (u32 i = 0; i < btf_vlen(t) && v->out->len - v->start < TEXT_MAX && btf_part(v->b, id, i, &m, sizeof(m)); i++) {
        const char *name = btf_name(v->b, m.name_off);
        u32 bit = bits ? BTF_MEMBER_BIT_OFFSET(m.offset) : m.offset, width = bits ? BTF_MEMBER_BITFIELD_SIZE(m.offset) : 0;
        buf_addf(v->out, "%s%s%.100s%s", i ? ", " : "", *name ? "." : "", name, *name ? " = " : "");
        if (width)
            show_bits(v, m.type, at, bit, width);
        else
            show(v, m.type, at + bit / 8);
    }
    buf_addf(v->out, "}");
}

static void show(struct view *v, u32 type, u64 at)
{
    struct btf_type t;
    u64 n;
    u32 id = btf_skip(v->b, type);
    if (!btf_type(v->b, id, &t) || v->depth == DEPTH_MAX) {
        buf_addf(v->out, "?");
        return;
    }
    v->depth++;
    switch (btf_kind(&t)) {
    case BTF_KIND_INT: show_number(v, at, t.size, t.size * 8, 0, signed_int(v, id)); break;
    case BTF_KIND_ENUM:
    case BTF_KIND_ENUM64: show_enum(v, id, &t, at); break;
    case BTF_KIND_PTR:
        if (get(v, at, 8, &n))
            buf_addf(v->out, "%#" PRIx64, n);
        else
            buf_addf(v->out, "?");
        break;
    case BTF_KIND_ARRAY: show_array(v, id, at); break;
    case BTF_KIND_STRUCT:
    case BTF_KIND_UNION: show_struct(v, id, &t, at); break;
    default: buf_addf(v->out, "?");
    }
    v->depth--;
}

void btf_show(const struct btf *b, u32 id, const u8 *bytes, size_t len, struct buf *out)
{
    struct view v = {.b = b, .bytes = bytes, .len = len, .out = out, .start = out->len};
    show(&v, id, 0);
}
