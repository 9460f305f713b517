/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Types as compilers tell them (Documentation/bpf/btf.rst of Linux). Everything in it comes from a file that may lie: each type is checked to
 * lie inside when it is read; references are checked when they are followed, and never more than so deep.
 */
#ifndef HOST_BPF_BTF_H
#define HOST_BPF_BTF_H

#include <linux/btf.h>

#include "host/lib/error.h"
#include "host/lib/util.h"

struct btf {
    const u8 *types; /* the section of types */
    const char *strings;
    u32 types_len, strings_len;
    u32 *offsets;    /* of type 1 and on, in types */
    u32 count;       /* with type 0, which is void */
};
/* bytes must stay. 0 or -1. */
int btf_read(struct btf *b, const u8 *bytes, size_t len, struct error *err);
void btf_done(struct btf *b);
const char *btf_name(const struct btf *b, u32 offset); /* "" when there is none */
/* False: there is no such type. */
bool btf_type(const struct btf *b, u32 id, struct btf_type *ret);
/* What follows its head: members, array, ...: number `index` of records of that size. False: there is none. */
bool btf_part(const struct btf *b, u32 id, u32 index, void *ret, size_t size);
u32 btf_kind(const struct btf_type *t);
u32 btf_vlen(const struct btf_type *t);
/* Behind typedefs and qualifiers. 0: void, or nothing. */
u32 btf_skip(const struct btf *b, u32 id);
/* Bytes of a value; 0: it has none. */
u64 btf_size(const struct btf *b, u32 id);
/* The first type of that kind and name; 0. */
u32 btf_find(const struct btf *b, const char *name, u32 kind);

/* btf_show.c: a value of that type, in C's words: {.pid = 12, .comm = "redis"}. Bytes beyond len are not looked at. */
void btf_show(const struct btf *b, u32 id, const u8 *bytes, size_t len, struct buf *out);
void show_hex(struct buf *out, const u8 *bytes, size_t len);

#endif
