/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs of an object file. Each becomes one run of instructions: its function, then a copy of every function that is called from it, with
 * calls, maps and variables filled in.
 */
#include <string.h>

#include "base/checked.h"
#include "host/bpf/object_impl.h"

#define FUNCTIONS_MAX 64u /* of one program */
#define R_BPF_64_64 1
#define R_BPF_64_32 10

/* A function: where it is in the file, and from where on in the program. */
struct function {
    u32 section, from, count, at;
};
struct code {
    struct reader *r;
    const char *name;
    struct bpf_insn *insns;
    u32 ninsns;
    struct function functions[FUNCTIONS_MAX];
    u32 nfunctions;
};

/* --- where a section wants its program to be -------------------------------------------------- */

/* "tp/a/b" becomes "tracepoint:a:b". NULL: no such places, why is set. */
static char *place_of(struct reader *r, const char *name)
{
    static const struct {
        const char *from, *to;
        bool slashes;
    } kinds[] = {{"tracepoint/", "tracepoint:", true}, {"tp/", "tracepoint:", true}, {"kprobe/", "kprobe:", false}, {"kretprobe/", "kretprobe:", false},
                 {"uprobe/", "uprobe:", false}, {"uretprobe/", "uretprobe:", false}};
    for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
        if (!str_has_prefix(name, kinds[i].from))
            continue;
        char *text = str_format("%s%s", kinds[i].to, name + strlen(kinds[i].from));
        for (char *c = text; kinds[i].slashes && *c; c++)
            *c = *c == '/' ? ':' : *c;
        return text;
    }
    if (strcmp(name, "perf_event") == 0)
        return xstrdup("profile:hz:99");
    if (strchr(name, ':') && !strchr(name, '/')) /* our own words */
        return xstrdup(name);
    bool raw = str_has_prefix(name, "raw_tp") || str_has_prefix(name, "raw_tracepoint") || str_has_prefix(name, "tp_btf");
    object_bad(r, raw ? "SEC(\"%s\"): raw tracepoints hand on Linux's own structures, which are not there; tracepoint/... are"
                      : "SEC(\"%s\"): there is no such place; there are tracepoint/..., kprobe/..., kretprobe/..., uprobe/..., uretprobe/... and perf_event", name);
    return NULL;
}

/* --- functions ------------------------------------------------------------------------------------ */

static bool is_code(const struct section *s) { return s->type == SHT_PROGBITS && (s->flags & SHF_EXECINSTR) && s->data; }

static bool is_function(const Elf64_Sym *s) { return ELF64_ST_TYPE(s->st_info) == STT_FUNC; }

/* Add a function to the program. Its place, or -1. */
static s64 add_function(struct code *c, u32 section, u64 offset)
{
    struct reader *r = c->r;
    for (u32 i = 0; i < c->nfunctions; i++)
        if (c->functions[i].section == section && (u64)c->functions[i].from * 8 == offset)
            return c->functions[i].at;
    Elf64_Sym s;
    u64 i = 1;
    while (symbol_get(r, i, &s) && !(s.st_shndx == section && s.st_value == offset && is_function(&s)))
        i++;
    if (!symbol_get(r, i, &s))
        return object_bad(r, "program %s: a call leads to no function", c->name);
    const struct section *of = &r->sections[section];
    if (s.st_size == 0 || s.st_value % 8 || s.st_size % 8 || !range_inside(s.st_value, s.st_size, of->len))
        return object_bad(r, "function %s lies outside of its section", symbol_text(r, &s));
    u32 count = (u32)(s.st_size / 8);
    if (c->nfunctions == FUNCTIONS_MAX || c->ninsns + count > BPFD_INSNS_MAX)
        return object_bad(r, "program %s is too long: more than %u instructions or %u functions", c->name, BPFD_INSNS_MAX, FUNCTIONS_MAX);
    c->insns = xrealloc(c->insns, (c->ninsns + count) * sizeof(*c->insns));
    memcpy(c->insns + c->ninsns, of->data + s.st_value, s.st_size);
    c->functions[c->nfunctions++] = (struct function){section, (u32)(s.st_value / 8), count, c->ninsns};
    c->ninsns += count;
    return c->ninsns - count;
}

/* --- relocations ------------------------------------------------------------------------------------- */

/* The one of that instruction. */
static bool find_relocation(const struct reader *r, u32 section, u64 offset, Elf64_Rel *ret)
{
    for (u32 i = 1; i < r->nsections; i++) {
        const struct section *s = &r->sections[i];
        if (s->type != SHT_REL || s->info != section || !s->data)
            continue;
        for (u64 at = 0; range_inside(at, sizeof(*ret), s->len); at += sizeof(*ret)) {
            memcpy(ret, s->data + at, sizeof(*ret));
            if (ret->r_offset == offset)
                return true;
        }
    }
    return false;
}

/* An address: of a map, or of a variable. */
static int fill_address(struct code *c, u32 at, const Elf64_Sym *s)
{
    struct reader *r = c->r;
    struct bpf_insn *i = &c->insns[at];
    const char *name = symbol_text(r, s);
    if (s->st_shndx == SHN_UNDEF || s->st_shndx >= r->nsections)
        return object_bad(r, "program %s uses %s, which is nowhere", c->name, name);
    const struct section *of = &r->sections[s->st_shndx];
    if (s->st_shndx == r->maps || s->st_shndx == r->legacy_maps) {
        s32 map = map_at(r, s->st_shndx, s->st_value + (u64)(s64)i->imm);
        if (map < 0)
            return object_bad(r, "program %s uses a map that is not defined", c->name);
        i[0].src_reg = BPF_PSEUDO_MAP_FD;
        i[0].imm = map;
        i[1].imm = 0;
        return 0;
    }
    if (of->map < 0)
        return object_bad(r, "program %s uses the address of %s in %s, which is neither a map nor a variable", c->name, name, of->name);
    i[1].imm = (s32)(s->st_value + (u64)(s64)i->imm);
    i[0].src_reg = BPF_PSEUDO_MAP_VALUE;
    i[0].imm = of->map;
    return 0;
}

static int fill_call(struct code *c, const struct function *f, u32 at, bool relocated, const Elf64_Sym *s)
{
    struct reader *r = c->r;
    u32 section = relocated ? s->st_shndx : f->section;
    s64 target = c->insns[at].imm + 1LL + (relocated ? (s64)(s->st_value / 8) : (s64)f->from + (at - f->at));
    if (section == 0 || section >= r->nsections || !is_code(&r->sections[section]) || target < 0)
        return object_bad(r, "program %s calls %s, which is nowhere", c->name, relocated ? symbol_text(r, s) : "something");
    s64 place = add_function(c, section, (u64)target * 8);
    if (place < 0)
        return -1;
    c->insns[at].imm = (s32)(place - at - 1);
    return 0;
}

static int fill_insn(struct code *c, const struct function *f, u32 at)
{
    const struct bpf_insn *i = &c->insns[at];
    bool wide = i->code == (BPF_LD | BPF_IMM | BPF_DW), call = i->code == (BPF_JMP | BPF_CALL) && i->src_reg == BPF_PSEUDO_CALL;
    Elf64_Rel rel;
    Elf64_Sym s = {0};
    bool relocated = find_relocation(c->r, f->section, ((u64)f->from + (at - f->at)) * 8, &rel);
    if (relocated && !symbol_get(c->r, ELF64_R_SYM(rel.r_info), &s))
        return object_bad(c->r, "damaged ELF file: a relocation without a symbol");
    if (relocated && !(wide && ELF64_R_TYPE(rel.r_info) == R_BPF_64_64) && !(call && ELF64_R_TYPE(rel.r_info) == R_BPF_64_32))
        return object_bad(c->r, "program %s: a relocation of a kind that is not there (%s)", c->name, symbol_text(c->r, &s));
    if (wide && at + 1 >= f->at + f->count)
        return object_bad(c->r, "program %s ends inside an instruction", c->name);
    if (call)
        return fill_call(c, f, at, relocated, &s);
    if (wide && !relocated && i->src_reg != 0)
        return object_bad(c->r, "program %s has the number of a map in it; files have relocations there", c->name);
    return relocated ? fill_address(c, at, &s) : 0;
}

static int fill_function(struct code *c, u32 index)
{
    struct function f = c->functions[index];
    for (u32 at = f.at; at < f.at + f.count; at++) {
        bool wide = c->insns[at].code == (BPF_LD | BPF_IMM | BPF_DW);
        if (fill_insn(c, &f, at) < 0)
            return -1;
        at += wide;
    }
    return 0;
}

/* --- programs -------------------------------------------------------------------------------------------- */

static int read_program(struct reader *r, u32 section, const Elf64_Sym *s)
{
    struct object *o = r->o;
    struct code c = {.r = r, .name = symbol_text(r, s)};
    if (o->unit.nprograms == BPFD_PROGRAMS_MAX)
        return object_bad(r, "the file has more than %u programs", BPFD_PROGRAMS_MAX);
    AUTO_FREE char *where = place_of(r, r->sections[section].name);
    int result = where && add_function(&c, section, s->st_value) >= 0 ? 0 : -1;
    for (u32 i = 0; result == 0 && i < c.nfunctions; i++)
        result = fill_function(&c, i);
    if (result < 0) {
        free(c.insns);
        return -1;
    }
    struct unit_program *p = unit_add_program(&o->unit, c.name, 0, c.insns, c.ninsns);
    for (u32 i = 0; i < c.nfunctions; i++)
        add_lines(r, p, c.functions[i].section, c.functions[i].from, c.functions[i].count, c.functions[i].at);
    o->where = xrealloc(o->where, (o->nwhere + 1) * sizeof(*o->where));
    o->where[o->nwhere++] = (struct object_where){o->unit.nprograms - 1, TAKE_PTR(where)};
    return 0;
}

int read_programs(struct reader *r)
{
    Elf64_Sym s;
    for (u64 i = 1; symbol_get(r, i, &s); i++) {
        if (!is_function(&s) || ELF64_ST_BIND(s.st_info) == STB_LOCAL || s.st_shndx == SHN_UNDEF || s.st_shndx >= r->nsections ||
            !is_code(&r->sections[s.st_shndx]) || strcmp(r->sections[s.st_shndx].name, ".text") == 0)
            continue;
        if (read_program(r, s.st_shndx, &s) < 0)
            return -1;
    }
    return r->o->unit.nprograms ? 0 : object_bad(r, "the file has no program: a function in a section such as SEC(\"tracepoint/syscalls/sys_enter_read\")");
}
