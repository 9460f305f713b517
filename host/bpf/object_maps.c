/* SPDX-License-Identifier: Apache-2.0 */
/* Maps of an object file: by BTF in ".maps", by number in "maps", and global variables (object.h). */
#include <string.h>

#include "base/checked.h"
#include "host/bpf/object_impl.h"

#define VARIABLES_MAX 1000u /* of one section */

/* What older programs have in "maps". */
struct legacy_map {
    u32 type, key_size, value_size, max_entries, flags;
};

s32 map_at(const struct reader *r, u32 section, u64 offset)
{
    const struct unit *u = &r->o->unit;
    Elf64_Sym s;
    if (!symbol_at_offset(r, section, offset, &s))
        return -1;
    for (u32 i = 0; i < u->nmaps; i++)
        if (!u->maps[i].data && strcmp(u->maps[i].name, symbol_text(r, &s)) == 0)
            return (s32)i;
    return -1;
}

static int add_map(struct reader *r, const char *name, const struct legacy_map *m, struct unit_map **ret)
{
    if (r->o->unit.nmaps == BPFD_MAPS_MAX)
        return object_bad(r, "the file has more than %u maps", BPFD_MAPS_MAX);
    if (m->key_size > BPFD_KEY_MAX || m->value_size > BPFD_VALUE_MAX)
        return object_bad(r, "map %s: keys of %u and values of %u bytes; at most %u and %u", name, m->key_size, m->value_size, BPFD_KEY_MAX, BPFD_VALUE_MAX);
    *ret = unit_add_map(&r->o->unit, name, m->type, m->key_size, m->value_size, m->max_entries);
    (*ret)->flags = m->flags;
    return 0;
}

/* --- .maps ------------------------------------------------------------------------------------ */

/* __uint(name, n) is int (*name)[n]. */
static bool uint_member(const struct btf *b, u32 type, u32 *ret)
{
    struct btf_type t;
    struct btf_array a;
    if (!btf_type(b, btf_skip(b, type), &t) || btf_kind(&t) != BTF_KIND_PTR || !btf_part(b, btf_skip(b, t.type), 0, &a, sizeof(a)) ||
        !btf_type(b, btf_skip(b, t.type), &t) || btf_kind(&t) != BTF_KIND_ARRAY)
        return false;
    *ret = a.nelems;
    return true;
}

/* __type(name, T) is T *name. */
static bool type_member(const struct btf *b, u32 type, u32 *ret_type, u32 *ret_size)
{
    struct btf_type t;
    if (!btf_type(b, btf_skip(b, type), &t) || btf_kind(&t) != BTF_KIND_PTR)
        return false;
    u64 size = btf_size(b, t.type);
    *ret_type = t.type;
    *ret_size = (u32)MIN(size, (u64)UINT32_MAX);
    return size > 0;
}

static int read_member(struct reader *r, const char *map, const struct btf_member *m, struct legacy_map *def, u32 *key_type, u32 *value_type)
{
    const struct btf *b = &r->o->btf;
    const char *name = btf_name(b, m->name_off);
    const struct {
        const char *name;
        u32 *to;
    } numbers[] = {{"type", &def->type}, {"key_size", &def->key_size}, {"value_size", &def->value_size}, {"max_entries", &def->max_entries}, {"map_flags", &def->flags}};
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        if (strcmp(name, numbers[i].name) == 0)
            return uint_member(b, m->type, numbers[i].to) ? 0 : object_bad(r, "map %s: %s makes no sense", map, name);
    if (strcmp(name, "key") == 0)
        return type_member(b, m->type, key_type, &def->key_size) ? 0 : object_bad(r, "map %s: its key has no size", map);
    if (strcmp(name, "value") == 0)
        return type_member(b, m->type, value_type, &def->value_size) ? 0 : object_bad(r, "map %s: its value has no size", map);
    return object_bad(r, "map %s: \"%s\" is not there", map, name);
}

static int read_definition(struct reader *r, u32 var)
{
    const struct btf *b = &r->o->btf;
    struct btf_type v, t;
    struct legacy_map def = {0};
    u32 key_type = 0, value_type = 0;
    struct unit_map *map;
    if (!btf_type(b, var, &v) || btf_kind(&v) != BTF_KIND_VAR)
        return object_bad(r, "damaged BTF: .maps");
    const char *name = btf_name(b, v.name_off);
    u32 id = btf_skip(b, v.type);
    if (!btf_type(b, id, &t) || btf_kind(&t) != BTF_KIND_STRUCT)
        return object_bad(r, "map %s is no structure", name);
    for (u32 i = 0; i < btf_vlen(&t); i++) {
        struct btf_member m;
        if (!btf_part(b, id, i, &m, sizeof(m)) || read_member(r, name, &m, &def, &key_type, &value_type) < 0)
            return -1;
    }
    if (def.type == BPF_MAP_TYPE_PERF_EVENT_ARRAY || def.type == BPF_MAP_TYPE_RINGBUF) { /* the type of their records may be told so */
        def.value_size = def.key_size = def.type == BPF_MAP_TYPE_RINGBUF ? 0 : 4;
        key_type = 0;
    }
    if (add_map(r, name, &def, &map) < 0)
        return -1;
    map->key_type = key_type;
    map->value_type = value_type;
    return 0;
}

static int read_btf_maps(struct reader *r)
{
    const struct btf *b = &r->o->btf;
    u32 id = btf_find(b, ".maps", BTF_KIND_DATASEC);
    struct btf_type t;
    struct btf_var_secinfo var;
    if (r->maps == 0)
        return 0;
    if (!btf_type(b, id, &t))
        return object_bad(r, "the maps have no types: compile with -g");
    for (u32 i = 0; i < btf_vlen(&t) && btf_part(b, id, i, &var, sizeof(var)); i++)
        if (read_definition(r, var.type) < 0)
            return -1;
    return 0;
}

/* --- "maps" ------------------------------------------------------------------------------------- */

static int read_legacy_maps(struct reader *r)
{
    const struct section *s = &r->sections[r->legacy_maps];
    Elf64_Sym sym;
    if (r->legacy_maps == 0 || !s->data)
        return 0;
    for (u64 i = 1; symbol_get(r, i, &sym); i++) {
        struct legacy_map def;
        struct unit_map *map;
        const char *name = symbol_text(r, &sym);
        if (sym.st_shndx != r->legacy_maps || ELF64_ST_TYPE(sym.st_info) == STT_SECTION || !*name)
            continue;
        if (!range_inside(sym.st_value, sizeof(def), s->len))
            return object_bad(r, "map %s lies outside of its section", name);
        memcpy(&def, s->data + sym.st_value, sizeof(def));
        if (add_map(r, name, &def, &map) < 0)
            return -1;
    }
    return 0;
}

/* --- variables ------------------------------------------------------------------------------------- */

static bool is_data(const struct section *s)
{
    static const char *const names[] = {".rodata", ".data", ".bss"};
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        size_t n = strlen(names[i]);
        if (strncmp(s->name, names[i], n) == 0 && (s->name[n] == 0 || s->name[n] == '.'))
            return (s->flags & SHF_ALLOC) && s->len > 0 && (s->type == SHT_PROGBITS || s->type == SHT_NOBITS);
    }
    return false;
}

/* Where a name stands in a section; BTF of a file that was not linked does not tell. */
static bool offset_of(const struct reader *r, u32 section, const char *name, u64 *ret)
{
    Elf64_Sym s;
    for (u64 i = 1; symbol_get(r, i, &s); i++)
        if (s.st_shndx == section && strcmp(symbol_text(r, &s), name) == 0) {
            *ret = s.st_value;
            return true;
        }
    return false;
}

static void know_variables(struct reader *r, u32 section)
{
    struct object *o = r->o;
    struct btf_var_secinfo info;
    struct btf_type v;
    u32 id = btf_find(&o->btf, r->sections[section].name, BTF_KIND_DATASEC);
    for (u32 i = 0; i < VARIABLES_MAX && btf_part(&o->btf, id, i, &info, sizeof(info)); i++) {
        u64 offset;
        if (!btf_type(&o->btf, info.type, &v) || btf_kind(&v) != BTF_KIND_VAR || !offset_of(r, section, btf_name(&o->btf, v.name_off), &offset) ||
            offset >= r->sections[section].len)
            continue;
        o->vars = xrealloc(o->vars, (o->nvars + 1) * sizeof(*o->vars));
        o->vars[o->nvars++] = (struct object_var){r->o->unit.nmaps - 1, v.type, (u32)offset, btf_name(&o->btf, v.name_off)};
    }
}

static int read_variables(struct reader *r)
{
    for (u32 i = 1; i < r->nsections; i++) {
        struct section *s = &r->sections[i];
        if (s->type == SHT_REL && s->info < r->nsections && s->len && is_data(&r->sections[s->info]))
            return object_bad(r, "%s holds addresses, which cannot be filled in", r->sections[s->info].name);
        if (!is_data(s))
            continue;
        if (s->len > BPFD_VALUE_MAX)
            return object_bad(r, "%s is too large: %llu bytes, at most %u", s->name, (unsigned long long)s->len, BPFD_VALUE_MAX);
        struct unit_map *map;
        bool constant = strncmp(s->name, ".rodata", 7) == 0;
        struct legacy_map def = {BPF_MAP_TYPE_ARRAY, 4, (u32)s->len, 1, constant ? BPF_F_RDONLY_PROG : 0};
        if (add_map(r, s->name, &def, &map) < 0)
            return -1;
        map->data = xalloc(s->len);
        if (s->data)
            memcpy(map->data, s->data, s->len);
        map->hidden = true; /* its variables are shown */
        s->map = (s32)r->o->unit.nmaps - 1;
        if (!constant)
            know_variables(r, i);
    }
    return 0;
}

int read_maps(struct reader *r) { return read_btf_maps(r) < 0 || read_legacy_maps(r) < 0 || read_variables(r) < 0 ? -1 : 0; }
