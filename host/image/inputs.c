/* SPDX-License-Identifier: Apache-2.0 */
/* Inputs of an image: see inputs.h. Record: struct record, then the path with its NUL, padded to 8. */
#include "host/image/inputs.h"

#include <errno.h>
#include <string.h>

#include "base/checked.h"

struct record {
    u32 kind, path_len; /* with the NUL, before padding */
    u32 mode, uid, gid, reserved;
    u64 size, ino, mtime_ns;
};

static struct record describe(enum input_kind kind, const struct stat *st)
{
    struct record r = {.kind = kind};
    if (kind == INPUT_ABSENT)
        return r;
    r.mode = st->st_mode;
    r.uid = st->st_uid;
    r.gid = st->st_gid;
    if (kind == INPUT_ATTRS)
        return r;
    r.mtime_ns = (u64)st->st_mtim.tv_sec * 1000000000ull + (u64)st->st_mtim.tv_nsec;
    r.size = (u64)st->st_size;
    r.ino = kind == INPUT_WHOLE ? st->st_ino : 0;
    return r;
}

int inputs_note(struct inputs *in, const char *path, enum input_kind kind, struct stat *ret_st)
{
    struct stat st;
    int result = lstat(path, &st);
    int saved = errno;
    if (result < 0)
        kind = INPUT_ABSENT;
    else if (ret_st)
        *ret_st = st;
    uintptr_t before = (uintptr_t)map_get(&in->seen, path);
    if (before != kind && !(before == INPUT_LISTING && kind == INPUT_ATTRS)) {
        map_put(&in->seen, path, (void *)(uintptr_t)kind);
        struct record r = describe(kind, &st);
        r.path_len = (u32)strlen(path) + 1;
        static const char zeros[8];
        buf_add(&in->records, &r, sizeof(r));
        buf_add(&in->records, path, r.path_len);
        buf_add(&in->records, zeros, ALIGN_UP(r.path_len, 8u) - r.path_len);
        in->count++;
    }
    errno = saved;
    return result;
}

bool inputs_unchanged(const void *records, size_t len)
{
    const char *p = records;
    for (size_t at = 0; at < len;) {
        struct record r;
        if (!range_inside(at, sizeof(r), len))
            return false;
        memcpy(&r, p + at, sizeof(r));
        at += sizeof(r);
        u64 padded = ALIGN_UP((u64)r.path_len, 8u);
        if (!r.path_len || !range_inside(at, padded, len) || p[at + r.path_len - 1] != 0)
            return false;
        struct stat st;
        bool there = lstat(p + at, &st) == 0;
        if (there != (r.kind != INPUT_ABSENT))
            return false;
        if (there) {
            struct record now = describe(r.kind, &st);
            now.path_len = r.path_len;
            if (memcmp(&now, &r, sizeof(r)) != 0)
                return false;
        }
        at += padded;
    }
    return true;
}

void inputs_done(struct inputs *in)
{
    buf_done(&in->records);
    map_done(&in->seen, NULL);
}
