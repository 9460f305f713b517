/* SPDX-License-Identifier: Apache-2.0 */
/* Reading BTF: btf.h. */
#include "host/bpf/btf.h"

#include <string.h>

#include "base/checked.h"

#define DEPTH_MAX 32u
#define TYPES_MAX 1000000u

static int bad(struct error *err, const char *what) { return err_set(err, EXIT_DRUPE, "damaged BTF: %s", what); }

u32 btf_kind(const struct btf_type *t) { return BTF_INFO_KIND(t->info); }
u32 btf_vlen(const struct btf_type *t) { return BTF_INFO_VLEN(t->info); }

/* Bytes behind the head. -1: no such kind. */
static s64 extra_bytes(const struct btf_type *t)
{
    u64 n = btf_vlen(t);
    switch (btf_kind(t)) {
    case BTF_KIND_INT: return 4;
    case BTF_KIND_ARRAY: return sizeof(struct btf_array);
    case BTF_KIND_STRUCT:
    case BTF_KIND_UNION: return (s64)(n * sizeof(struct btf_member));
    case BTF_KIND_ENUM: return (s64)(n * sizeof(struct btf_enum));
    case BTF_KIND_FUNC_PROTO: return (s64)(n * sizeof(struct btf_param));
    case BTF_KIND_VAR: return sizeof(struct btf_var);
    case BTF_KIND_DATASEC: return (s64)(n * sizeof(struct btf_var_secinfo));
    case BTF_KIND_DECL_TAG: return sizeof(struct btf_decl_tag);
    case BTF_KIND_ENUM64: return (s64)(n * sizeof(struct btf_enum64));
    case BTF_KIND_PTR:
    case BTF_KIND_FWD:
    case BTF_KIND_TYPEDEF:
    case BTF_KIND_VOLATILE:
    case BTF_KIND_CONST:
    case BTF_KIND_RESTRICT:
    case BTF_KIND_FUNC:
    case BTF_KIND_FLOAT:
    case BTF_KIND_TYPE_TAG: return 0;
    default: return -1;
    }
}

static int read_types(struct btf *b, struct error *err)
{
    b->count = 1;
    for (u32 at = 0; at < b->types_len;) {
        struct btf_type t;
        if (!range_inside(at, sizeof(t), b->types_len))
            return bad(err, "a type is cut short");
        memcpy(&t, b->types + at, sizeof(t));
        s64 extra = extra_bytes(&t);
        if (extra < 0 || !range_inside(at + sizeof(t), (u64)extra, b->types_len) || b->count == TYPES_MAX)
            return bad(err, extra < 0 ? "a type of an unknown kind" : "a type is cut short");
        if ((b->count & (b->count - 1)) == 0)
            b->offsets = xrealloc(b->offsets, b->count * 2 * sizeof(*b->offsets));
        b->offsets[b->count++] = at;
        at += (u32)(sizeof(t) + (u64)extra);
    }
    return 0;
}

int btf_read(struct btf *b, const u8 *bytes, size_t len, struct error *err)
{
    struct btf_header h;
    *b = (struct btf){0};
    if (len < sizeof(h))
        return bad(err, "it is too short");
    memcpy(&h, bytes, sizeof(h));
    if (h.magic != BTF_MAGIC || h.version != BTF_VERSION || h.hdr_len < sizeof(h))
        return bad(err, "it does not begin as BTF does");
    if (!range_inside((u64)h.hdr_len + h.type_off, h.type_len, len) || !range_inside((u64)h.hdr_len + h.str_off, h.str_len, len) || h.str_len == 0)
        return bad(err, "its parts lie outside of it");
    b->types = bytes + h.hdr_len + h.type_off;
    b->types_len = h.type_len;
    b->strings = (const char *)bytes + h.hdr_len + h.str_off;
    b->strings_len = h.str_len;
    if (b->strings[b->strings_len - 1] != 0)
        return bad(err, "its strings have no end");
    if (read_types(b, err) == 0)
        return 0;
    btf_done(b);
    return -1;
}

void btf_done(struct btf *b)
{
    free(b->offsets);
    *b = (struct btf){0};
}

const char *btf_name(const struct btf *b, u32 offset) { return offset < b->strings_len ? b->strings + offset : ""; }

bool btf_type(const struct btf *b, u32 id, struct btf_type *ret)
{
    if (id == 0 || id >= b->count)
        return false;
    memcpy(ret, b->types + b->offsets[id], sizeof(*ret));
    return true;
}

bool btf_part(const struct btf *b, u32 id, u32 index, void *ret, size_t size)
{
    struct btf_type t;
    if (!btf_type(b, id, &t))
        return false;
    u64 at = (u64)index * size;
    if (!range_inside(at, size, (u64)extra_bytes(&t)))
        return false;
    memcpy(ret, b->types + b->offsets[id] + sizeof(t) + at, size);
    return true;
}

u32 btf_skip(const struct btf *b, u32 id)
{
    struct btf_type t;
    for (unsigned i = 0; i < DEPTH_MAX; i++) {
        if (!btf_type(b, id, &t))
            return 0;
        u32 kind = btf_kind(&t);
        if (kind != BTF_KIND_TYPEDEF && kind != BTF_KIND_CONST && kind != BTF_KIND_VOLATILE && kind != BTF_KIND_RESTRICT && kind != BTF_KIND_TYPE_TAG)
            return id;
        id = t.type;
    }
    return 0;
}

u64 btf_size(const struct btf *b, u32 id)
{
    u64 times = 1;
    for (unsigned i = 0; i < DEPTH_MAX; i++) {
        struct btf_type t;
        struct btf_array a;
        id = btf_skip(b, id);
        if (!btf_type(b, id, &t))
            return 0;
        switch (btf_kind(&t)) {
        case BTF_KIND_INT:
        case BTF_KIND_STRUCT:
        case BTF_KIND_UNION:
        case BTF_KIND_ENUM:
        case BTF_KIND_ENUM64:
        case BTF_KIND_FLOAT:
        case BTF_KIND_DATASEC: return __builtin_mul_overflow(times, (u64)t.size, &times) ? 0 : times;
        case BTF_KIND_PTR: return __builtin_mul_overflow(times, 8u, &times) ? 0 : times;
        case BTF_KIND_ARRAY:
            if (!btf_part(b, id, 0, &a, sizeof(a)) || __builtin_mul_overflow(times, (u64)a.nelems, &times))
                return 0;
            id = a.type;
            break;
        default: return 0;
        }
    }
    return 0;
}

u32 btf_find(const struct btf *b, const char *name, u32 kind)
{
    struct btf_type t;
    for (u32 id = 1; btf_type(b, id, &t); id++)
        if (btf_kind(&t) == kind && strcmp(btf_name(b, t.name_off), name) == 0)
            return id;
    return 0;
}
