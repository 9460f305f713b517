/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EROFS extended attributes: behind the inode a header of 12 bytes, the numbers
 * of shared ones, then the inline entries; shared entries lie in an area of their own.
 */
#include "erofs_impl.h"

struct entry {
    char name[NAME_MAX + 32]; /* with its prefix and an end byte */
    u32 name_len, value_len;
    u64 value_off;
};

static const char *const prefixes[] = {NULL, "user.", NULL, NULL, "trusted.", NULL, "security."};

/* Decode the entry at off, which must end before `end`. *ret_next = the one behind it. 1 = a kind
 * that has no name here (access control lists). */
static int read_entry(struct erofs_fs *fs, u64 off, u64 end, struct entry *e, u64 *ret_next)
{
    u8 h[4];
    if (!range_inside(off, 4, end))
        return -EUCLEAN;
    int err = erofs_meta_copy(fs, off, h, 4);
    if (err != 0)
        return err;
    u32 len = h[0], value = get_u16(h + 2);
    if (!range_inside(off + 4, len + value, end))
        return -EUCLEAN;
    *ret_next = ALIGN_UP(off + 4 + len + value, 4u);
    if (h[1] >= ARRAY_SIZE(prefixes) || prefixes[h[1]] == NULL)
        return 1;
    e->name_len = (u32)str_copy(e->name, prefixes[h[1]], sizeof(e->name));
    err = erofs_meta_copy(fs, off + 4, e->name + e->name_len, len);
    if (err != 0)
        return err;
    e->name_len += len;
    e->name[e->name_len] = 0;
    e->value_len = value;
    e->value_off = off + 4 + len;
    return 0;
}

typedef s64 visit_fn(struct erofs_fs *fs, const struct entry *e, void *ctx);

/* fn for the entry at off, unless its prefix is not known. */
static s64 visit(struct erofs_fs *fs, u64 off, u64 end, visit_fn *fn, void *ctx, u64 *ret_next)
{
    struct entry e;
    s64 r = read_entry(fs, off, end, &e, ret_next);
    return r == 0 ? fn(fs, &e, ctx) : r == 1 ? 0 : r;
}

/* fn for each attribute until it returns nonzero, which becomes the result. */
static s64 for_each(struct inode *i, visit_fn *fn, void *ctx)
{
    struct erofs_fs *fs = erofs_fs(i);
    struct erofs_inode *x = erofs_i(i);
    u64 end = x->xattr_off + x->xattr_bytes, next;
    u8 h[12], id[4];
    if (x->xattr_bytes == 0)
        return 0;
    s64 r = erofs_meta_copy(fs, x->xattr_off, h, sizeof(h));
    if (r != 0)
        return r;
    u64 off = x->xattr_off + sizeof(h), inline_off = off + 4u * h[4];
    if (inline_off > end)
        return -EUCLEAN;
    for (; off < inline_off; off += 4) {
        r = erofs_meta_copy(fs, off, id, 4);
        if (r == 0)
            r = visit(fs, fs->xattr_off + 4ULL * get_u32(id), fs->size_bytes, fn, ctx, &next);
        if (r != 0)
            return r;
    }
    for (off = inline_off; off + 4 <= end; off = next) {
        r = visit(fs, off, end, fn, ctx, &next);
        if (r != 0)
            return r;
    }
    return 0;
}

struct get_ctx {
    const char *name;
    void *buf;
    size_t size;
    u32 len;
};

static s64 get_fn(struct erofs_fs *fs, const struct entry *e, void *ctx)
{
    struct get_ctx *g = ctx;
    if (strcmp(e->name, g->name) != 0)
        return 0;
    g->len = e->value_len;
    if (g->size == 0)
        return 1;
    if (g->size < e->value_len)
        return -ERANGE;
    int err = erofs_meta_copy(fs, e->value_off, g->buf, e->value_len);
    return err != 0 ? err : 1;
}

s64 erofs_getxattr(struct inode *i, const char *name, void *buf, size_t size)
{
    struct get_ctx g = {.name = name, .buf = buf, .size = size};
    s64 r = for_each(i, get_fn, &g);
    return r == 1 ? (s64)g.len : r == 0 ? -ENODATA : r;
}

struct list_ctx {
    char *buf;
    size_t size, len;
};

static s64 list_fn(struct erofs_fs *fs, const struct entry *e, void *ctx)
{
    struct list_ctx *l = ctx;
    if (l->size != 0) {
        if (l->size - l->len < e->name_len + 1)
            return -ERANGE;
        memcpy(l->buf + l->len, e->name, e->name_len + 1);
    }
    l->len += e->name_len + 1;
    return 0;
}

s64 erofs_listxattr(struct inode *i, char *buf, size_t size)
{
    struct list_ctx l = {.buf = buf, .size = size};
    s64 r = for_each(i, list_fn, &l);
    return r < 0 ? r : (s64)l.len;
}
