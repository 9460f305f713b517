/* SPDX-License-Identifier: Apache-2.0 */
/* .BTF.ext: lines of the source, for messages; and what in it asks for more than is there. */
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "host/bpf/object_impl.h"

#define LINES_MAX 8192u /* of one program */

/* Its head; Linux's headers do not have it (tools/lib/bpf/libbpf_internal.h there). */
struct ext_header {
    u16 magic;
    u8 version, flags;
    u32 hdr_len;
    u32 func_off, func_len, line_off, line_len, core_off, core_len; /* from the end of the head; the last two may be missing */
};
struct ext_section { /* then count records */
    u32 name_off, count;
};
struct line_record {
    u32 insn_off; /* bytes in the section */
    u32 file_off, line_off, line_col;
};

static bool read_header(const struct reader *r, struct ext_header *ret)
{
    const struct section *s = &r->sections[r->btf_ext];
    *ret = (struct ext_header){0};
    if (r->btf_ext == 0 || !s->data || s->len < offsetof(struct ext_header, core_off))
        return false;
    memcpy(ret, s->data, MIN(s->len, (u64)sizeof(*ret)));
    if (ret->hdr_len < sizeof(*ret))
        ret->core_len = 0;
    return ret->magic == BTF_MAGIC;
}

int read_ext(struct reader *r)
{
    struct ext_header h;
    if (read_header(r, &h) && h.core_len > sizeof(u32))
        return object_bad(r, "the file has CO-RE relocations (it reads structures of Linux's kernel), which this kernel does not have");
    return 0;
}

static void add_line(struct reader *r, struct unit_program *p, u32 insn, const struct line_record *l)
{
    const struct btf *b = &r->o->btf;
    const char *file = btf_name(b, l->file_off), *slash = strrchr(file, '/'), *line = btf_name(b, l->line_off);
    char *text = str_format("%.60s:%u: %.100s", slash ? slash + 1 : file, l->line_col >> 10, line + strspn(line, " \t"));
    for (char *c = text; *c; c++)
        *c = (u8)*c < ' ' || (u8)*c > 126 ? ' ' : *c;
    p->lines = xrealloc(p->lines, (p->nlines + 1) * sizeof(*p->lines));
    p->lines[p->nlines++] = (struct unit_line){.insn = insn, .text = text};
}

void add_lines(struct reader *r, struct unit_program *p, u32 section, u32 from, u32 count, u32 to)
{
    const struct section *s = &r->sections[r->btf_ext];
    struct ext_header h;
    u32 size;
    if (!read_header(r, &h) || h.line_len < sizeof(size) || !range_inside((u64)h.hdr_len + h.line_off, h.line_len, s->len))
        return;
    const u8 *bytes = s->data + h.hdr_len + h.line_off;
    memcpy(&size, bytes, sizeof(size));
    if (size < sizeof(struct line_record))
        return;
    for (u64 at = sizeof(size); range_inside(at, sizeof(struct ext_section), h.line_len);) {
        struct ext_section e;
        memcpy(&e, bytes + at, sizeof(e));
        at += sizeof(e);
        bool mine = strcmp(btf_name(&r->o->btf, e.name_off), r->sections[section].name) == 0;
        for (u32 i = 0; i < e.count && range_inside(at, size, h.line_len); i++, at += size) {
            struct line_record l;
            memcpy(&l, bytes + at, sizeof(l));
            u32 insn = l.insn_off / 8;
            if (mine && insn >= from && insn - from < count && p->nlines < LINES_MAX)
                add_line(r, p, to + (insn - from), &l);
        }
    }
}
