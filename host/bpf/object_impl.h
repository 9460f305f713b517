/* SPDX-License-Identifier: Apache-2.0 */
#ifndef HOST_BPF_OBJECT_IMPL_H
#define HOST_BPF_OBJECT_IMPL_H

#include <elf.h>

#include "host/bpf/object.h"

#define SECTIONS_MAX 4096u

struct section {
    const char *name;
    u32 type, link, info;
    u64 flags;
    const u8 *data;  /* NULL: .bss */
    u64 len, entry;
    s32 map;         /* data: its number; else -1 */
};
struct reader {
    struct object *o;
    struct error *err;
    struct section *sections;
    u32 nsections;
    u32 symbols, maps, legacy_maps, btf, btf_ext; /* sections' numbers; 0: none */
};
int object_bad(struct reader *r, const char *format, ...) PRINTF_LIKE(2, 3);
/* object.c */
bool symbol_get(const struct reader *r, u64 index, Elf64_Sym *ret);
const char *symbol_text(const struct reader *r, const Elf64_Sym *s);
/* The symbol of that section at that offset, with a name. */
bool symbol_at_offset(const struct reader *r, u32 section, u64 offset, Elf64_Sym *ret);

/* object_maps.c: all maps and variables, before programs are read. */
int read_maps(struct reader *r);
/* The map that stands at an offset of ".maps" or "maps"; -1. */
s32 map_at(const struct reader *r, u32 section, u64 offset);

/* object_code.c */
int read_programs(struct reader *r);

/* object_lines.c: lines of the source for instructions [from, from + count) of a section, which became those from `to` on. */
int read_ext(struct reader *r); /* what .BTF.ext wants that is not there */
void add_lines(struct reader *r, struct unit_program *p, u32 section, u32 from, u32 count, u32 to);

#endif
