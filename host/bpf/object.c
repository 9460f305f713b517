/* SPDX-License-Identifier: Apache-2.0 */
/* ELF: sections and symbols of an object file (System V gABI chapter 4; object.h). */
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "host/bpf/object_impl.h"

#ifndef EM_BPF
#define EM_BPF 247
#endif

int object_bad(struct reader *r, const char *format, ...)
{
    char what[400];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    str_ascii(what);
    return err_set(r->err, EXIT_DRUPE, "%s", what);
}

static const char *string_of(const struct section *s, u64 at) { return at < s->len && s->data && s->data[s->len - 1] == 0 ? (const char *)s->data + at : ""; }

/* --- sections ------------------------------------------------------------------------------- */

static int read_section(struct reader *r, const Elf64_Shdr *h, struct section *ret)
{
    const struct object *o = r->o;
    *ret = (struct section){.type = h->sh_type, .link = h->sh_link, .info = h->sh_info, .flags = h->sh_flags, .len = h->sh_size, .entry = h->sh_entsize, .map = -1};
    if (h->sh_type == SHT_NULL) {
        ret->len = 0;
        return 0;
    }
    if (h->sh_type == SHT_NOBITS)
        return h->sh_size <= OBJECT_BYTES_MAX ? 0 : object_bad(r, "damaged ELF file: a section is too large");
    if (!range_inside(h->sh_offset, h->sh_size, o->len))
        return object_bad(r, "damaged ELF file: a section lies outside of it");
    ret->data = o->bytes + h->sh_offset;
    return 0;
}

static void know_section(struct reader *r, u32 i)
{
    struct section *s = &r->sections[i];
    if (s->type == SHT_SYMTAB)
        r->symbols = i;
    else if (strcmp(s->name, ".maps") == 0)
        r->maps = i;
    else if (strcmp(s->name, "maps") == 0)
        r->legacy_maps = i;
    else if (strcmp(s->name, ".BTF") == 0)
        r->btf = i;
    else if (strcmp(s->name, ".BTF.ext") == 0)
        r->btf_ext = i;
}

static int read_sections(struct reader *r)
{
    const struct object *o = r->o;
    Elf64_Ehdr eh;
    if (o->len < sizeof(eh))
        return object_bad(r, "this is no ELF file");
    memcpy(&eh, o->bytes, sizeof(eh));
    if (memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0)
        return object_bad(r, "this is no ELF file");
    if (eh.e_ident[EI_CLASS] != ELFCLASS64 || eh.e_ident[EI_DATA] != ELFDATA2LSB || eh.e_machine != EM_BPF || eh.e_type != ET_REL)
        return object_bad(r, "this is no object file for eBPF; clang -target bpf -g -O2 -c makes one");
    if (eh.e_shentsize != sizeof(Elf64_Shdr) || eh.e_shnum == 0 || eh.e_shnum > SECTIONS_MAX || eh.e_shstrndx >= eh.e_shnum ||
        !range_inside(eh.e_shoff, (u64)eh.e_shnum * sizeof(Elf64_Shdr), o->len))
        return object_bad(r, "damaged ELF file: its table of sections");
    r->sections = xalloc(eh.e_shnum * sizeof(*r->sections));
    r->nsections = eh.e_shnum;
    for (u32 i = 0; i < r->nsections; i++) {
        Elf64_Shdr h;
        memcpy(&h, o->bytes + eh.e_shoff + i * sizeof(h), sizeof(h));
        if (read_section(r, &h, &r->sections[i]) < 0)
            return -1;
    }
    for (u32 i = 0; i < r->nsections; i++) {
        Elf64_Shdr h;
        memcpy(&h, o->bytes + eh.e_shoff + i * sizeof(h), sizeof(h));
        r->sections[i].name = string_of(&r->sections[eh.e_shstrndx], h.sh_name);
        know_section(r, i);
    }
    return r->symbols ? 0 : object_bad(r, "the file has no symbols");
}

/* --- symbols ---------------------------------------------------------------------------------- */

bool symbol_get(const struct reader *r, u64 index, Elf64_Sym *ret)
{
    const struct section *s = &r->sections[r->symbols];
    if (index >= s->len / sizeof(*ret))
        return false;
    memcpy(ret, s->data + index * sizeof(*ret), sizeof(*ret));
    return true;
}

const char *symbol_text(const struct reader *r, const Elf64_Sym *s)
{
    u32 strings = r->sections[r->symbols].link;
    return strings < r->nsections ? string_of(&r->sections[strings], s->st_name) : "";
}

bool symbol_at_offset(const struct reader *r, u32 section, u64 offset, Elf64_Sym *ret)
{
    for (u64 i = 1; symbol_get(r, i, ret); i++)
        if (ret->st_shndx == section && ret->st_value == offset && ELF64_ST_TYPE(ret->st_info) != STT_SECTION && *symbol_text(r, ret))
            return true;
    return false;
}

/* --- the whole ---------------------------------------------------------------------------------- */

static int read_btf(struct reader *r)
{
    struct section *s = &r->sections[r->btf];
    if (r->btf == 0 || !s->data)
        return 0;
    if (btf_read(&r->o->btf, s->data, s->len, r->err) < 0)
        return -1;
    return read_ext(r);
}

int object_read(struct object *o, const u8 *bytes, size_t len, struct error *err)
{
    *o = (struct object){.bytes = bytes, .len = len};
    struct reader r = {.o = o, .err = err};
    int result = read_sections(&r) < 0 || read_btf(&r) < 0 || read_maps(&r) < 0 || read_programs(&r) < 0 ? -1 : 0;
    free(r.sections);
    if (result < 0)
        object_done(o);
    return result;
}

void object_done(struct object *o)
{
    unit_done(&o->unit);
    btf_done(&o->btf);
    free(o->vars);
    for (u32 i = 0; i < o->nwhere; i++)
        free(o->where[i].text);
    free(o->where);
    *o = (struct object){0};
}

int object_places(struct object *o, const struct world *w, struct error *err)
{
    for (u32 i = 0; i < o->nwhere; i++) {
        struct targets t = {0};
        int result = targets_add(&t, o->where[i].text, w, err);
        for (size_t n = 0; n < t.count && result == 0; n++) {
            if (o->unit.nattaches == BPFD_ATTACHES_MAX)
                result = err_set(err, EXIT_DRUPE, "the programs want more than %u places", BPFD_ATTACHES_MAX);
            else
                unit_add_attach(&o->unit, o->where[i].program, &t.items[n]);
        }
        if (t.count && result == 0)
            o->unit.programs[o->where[i].program].ctx = o->unit.attaches[o->unit.nattaches - 1].target.ctx;
        targets_done(&t);
        if (result < 0)
            return err_prefix(err, "program %s", o->unit.programs[o->where[i].program].name);
    }
    return 0;
}
