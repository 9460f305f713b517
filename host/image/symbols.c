/* SPDX-License-Identifier: Apache-2.0 */
/* Function names by place: see symbols.h. */
#include "host/image/symbols.h"

#include <elf.h>
#include <string.h>

#include "base/checked.h"
#include "host/image/erofs.h"

#define MAX_FILE_BYTES (256u << 20)
#define MAX_NAMED 20 /* places named in one report */
#define MAX_NAME 256 /* C++ has longer ones; nobody reads them */

struct elf_file {
    const char *data;
    size_t len;
};

static bool get(const struct elf_file *f, u64 off, void *to, size_t n)
{
    if (!range_inside(off, n, f->len))
        return false;
    memcpy(to, f->data + off, n);
    return true;
}

/* The loaded segment that has a place: a byte of the file, or (by_address) an address. */
static bool find_segment(const struct elf_file *f, const Elf64_Ehdr *eh, u64 place, bool by_address, Elf64_Phdr *ret)
{
    for (unsigned i = 0; i < eh->e_phnum && get(f, eh->e_phoff + (u64)i * sizeof(*ret), ret, sizeof(*ret)); i++) {
        u64 start = by_address ? ret->p_vaddr : ret->p_offset;
        if (ret->p_type == PT_LOAD && place >= start && place - start < ret->p_filesz)
            return true;
    }
    return false;
}

/* The nearest function at or below `address` whose size, where it is told, reaches it. */
static bool search(const struct elf_file *f, const Elf64_Shdr *table, u64 address, Elf64_Sym *best)
{
    bool found = false;
    for (u64 at = 0; at + sizeof(Elf64_Sym) <= table->sh_size; at += sizeof(Elf64_Sym)) {
        Elf64_Sym s;
        if (!get(f, table->sh_offset + at, &s, sizeof(s)))
            break;
        unsigned type = ELF64_ST_TYPE(s.st_info);
        if ((type != STT_FUNC && type != STT_GNU_IFUNC) || s.st_shndx == SHN_UNDEF || s.st_value > address ||
            (s.st_size != 0 && address - s.st_value >= s.st_size))
            continue;
        if (!found || s.st_value > best->st_value) {
            *best = s;
            found = true;
        }
    }
    return found;
}

static char *symbol_name(const struct elf_file *f, const Elf64_Shdr *strings, const Elf64_Sym *s, u64 address)
{
    if (!range_inside(strings->sh_offset, strings->sh_size, f->len) || s->st_name >= strings->sh_size)
        return NULL;
    const char *name = f->data + strings->sh_offset + s->st_name;
    size_t n = strnlen(name, MIN(strings->sh_size - s->st_name, (u64)MAX_NAME));
    return n ? str_format("%.*s+0x%llx", (int)n, name, (unsigned long long)(address - s->st_value)) : NULL;
}

static bool read_header(const struct elf_file *f, Elf64_Ehdr *eh)
{
    return get(f, 0, eh, sizeof(*eh)) && memcmp(eh->e_ident, ELFMAG, SELFMAG) == 0 && eh->e_ident[EI_CLASS] == ELFCLASS64 &&
           eh->e_phentsize == sizeof(Elf64_Phdr) && eh->e_shentsize == sizeof(Elf64_Shdr);
}

/* Section number *at or the first behind it that is of that kind, with its strings. */
static bool next_table(const struct elf_file *f, const Elf64_Ehdr *eh, unsigned kind, unsigned *at, Elf64_Shdr *table, Elf64_Shdr *strings)
{
    for (; *at < eh->e_shnum; (*at)++)
        if (!get(f, eh->e_shoff + (u64)*at * sizeof(*table), table, sizeof(*table)))
            return false;
        else if (table->sh_type == kind && table->sh_link < eh->e_shnum &&
                 get(f, eh->e_shoff + (u64)table->sh_link * sizeof(*strings), strings, sizeof(*strings)))
            return true;
    return false;
}

static const unsigned table_kinds[] = {SHT_SYMTAB, SHT_DYNSYM}; /* Debian strips the first */

char *symbol_at(const void *elf, size_t len, u64 offset)
{
    struct elf_file f = {elf, len};
    Elf64_Ehdr eh;
    Elf64_Phdr ph;
    Elf64_Shdr table, strings;
    if (!read_header(&f, &eh) || !find_segment(&f, &eh, offset, false, &ph))
        return NULL;
    u64 address = ph.p_vaddr + (offset - ph.p_offset);
    for (size_t k = 0; k < ARRAY_SIZE(table_kinds); k++)
        for (unsigned i = 0; next_table(&f, &eh, table_kinds[k], &i, &table, &strings); i++) {
            Elf64_Sym s;
            char *name = search(&f, &table, address, &s) ? symbol_name(&f, &strings, &s, address) : NULL;
            if (name)
                return name;
        }
    return NULL;
}

static bool has_name(const struct elf_file *f, const Elf64_Shdr *strings, const Elf64_Sym *s, const char *name)
{
    size_t n = strlen(name) + 1;
    return range_inside(strings->sh_offset, strings->sh_size, f->len) && range_inside(s->st_name, n, strings->sh_size) &&
           memcmp(f->data + strings->sh_offset + s->st_name, name, n) == 0;
}

bool symbol_find(const void *elf, size_t len, const char *name, u64 *ret_offset)
{
    struct elf_file f = {elf, len};
    Elf64_Ehdr eh;
    Elf64_Phdr ph;
    Elf64_Shdr table, strings;
    Elf64_Sym s;
    if (!read_header(&f, &eh))
        return false;
    for (size_t k = 0; k < ARRAY_SIZE(table_kinds); k++)
        for (unsigned i = 0; next_table(&f, &eh, table_kinds[k], &i, &table, &strings); i++)
            for (u64 at = 0; at + sizeof(s) <= table.sh_size && get(&f, table.sh_offset + at, &s, sizeof(s)); at += sizeof(s))
                if (ELF64_ST_TYPE(s.st_info) == STT_FUNC && s.st_shndx != SHN_UNDEF && has_name(&f, &strings, &s, name)) {
                    if (!find_segment(&f, &eh, s.st_value, true, &ph))
                        return false;
                    *ret_offset = ph.p_offset + (s.st_value - ph.p_vaddr);
                    return true;
                }
    return false;
}

/* "... /path+0x12" at the end of a line: where the path begins, and the offset. */
static bool find_place(const char *line, size_t len, const char **ret_path, size_t *ret_path_len, u64 *ret_offset)
{
    size_t at = len;
    u64 offset = 0;
    while (at > 0 && strchr("0123456789abcdef", line[at - 1]))
        at--;
    if (at == len || len - at > 16 || at < 4 || memcmp(line + at - 3, "+0x", 3) != 0)
        return false;
    for (size_t i = at; i < len; i++)
        offset = offset << 4 | (u64)(line[i] <= '9' ? line[i] - '0' : line[i] - 'a' + 10);
    size_t end = at - 3, start = 0;
    while (start + 2 < end && memcmp(line + start, "  /", 3) != 0)
        start++;
    if (start + 2 >= end)
        return false;
    *ret_path = line + start + 2;
    *ret_path_len = end - start - 2;
    *ret_offset = offset;
    return true;
}

static char *name_place(const char *path, size_t path_len, u64 offset, int image_fd)
{
    AUTO_FREE char *file = xstrndup(path, path_len);
    struct buf elf = {0};
    struct error ignored = {0};
    char *name = NULL;
    if (erofs_read_file(image_fd, "image", file, MAX_FILE_BYTES, &elf, &ignored) == 1)
        name = symbol_at(elf.data, elf.len, offset);
    buf_done(&elf);
    return name;
}

char *symbols_annotate(const char *report, int image_fd)
{
    struct buf out = {0};
    unsigned named = 0;
    buf_add(&out, "", 0);
    for (const char *line = report; *line;) {
        size_t len = strcspn(line, "\n"), path_len;
        const char *path;
        u64 offset;
        buf_add(&out, line, len);
        if (named < MAX_NAMED && find_place(line, len, &path, &path_len, &offset)) {
            AUTO_FREE char *name = name_place(path, path_len, offset, image_fd);
            named++;
            if (name)
                buf_addf(&out, " (%s)", name);
        }
        if (line[len])
            buf_add(&out, "\n", 1);
        line += len + (line[len] == '\n');
    }
    return out.data;
}
