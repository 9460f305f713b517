/* SPDX-License-Identifier: Apache-2.0 */
/* See elf_check.h. No state, no allocation, no kernel services: fuzzed as it stands. */
#include "elf_check.h"
#include "base/bytes.h"
#include "base/checked.h"
#include "base/str.h"

#define PAGE 4096ULL
#define ET_EXEC 2
#define ET_DYN 3
#define EM_X86_64 62
#define PT_LOAD 1u
#define PT_INTERP 3u
#define PT_PHDR 6u
#define PT_GNU_STACK 0x6474e551u
#define PF_X 1u
#define PF_W 2u
#define PF_R 4u
#define ALIGN_LIMIT (1ULL << 30)

int elf_check_header(const void *header, size_t len_bytes, u64 file_size, struct elf_info *ret)
{
    static const u8 ident[] = {0x7f, 'E', 'L', 'F', 2 /* 64-bit */, 1 /* little-endian */, 1 /* version */};
    const u8 *h = header;
    if (len_bytes < ELF_HEADER_SIZE || memcmp(h, ident, sizeof ident) != 0)
        return -ENOEXEC;
    u16 type = get_u16(h + 16);
    if ((type != ET_EXEC && type != ET_DYN) || get_u16(h + 18) != EM_X86_64)
        return -ENOEXEC;
    u16 count = get_u16(h + 56);
    u64 off = get_u64(h + 32);
    if (get_u16(h + 54) != ELF_PHDR_SIZE || count == 0 || count > ELF_MAX_PHDRS)
        return -ENOEXEC;
    if (!range_inside(off, (u64)count * ELF_PHDR_SIZE, file_size))
        return -ENOEXEC;
    memset(ret, 0, sizeof *ret);
    ret->position_independent = type == ET_DYN;
    ret->entry = get_u64(h + 24);
    ret->phdr_offset = off;
    ret->phdr_count = count;
    return 0;
}

static int check_load(const u8 *p, u64 file_size, u64 user_min, u64 user_max, struct elf_info *ret)
{
    struct elf_segment s = {
        .offset = get_u64(p + 8), .vaddr = get_u64(p + 16), .filesz = get_u64(p + 32), .memsz = get_u64(p + 40),
    };
    u32 flags = get_u32(p + 4);
    u64 align = get_u64(p + 48), end;
    if (s.memsz == 0)
        return s.filesz == 0 ? 0 : -ENOEXEC;
    if (s.filesz > s.memsz || !range_inside(s.offset, s.filesz, file_size) || checked_add(s.vaddr, s.memsz, &end))
        return -ENOEXEC;
    if (s.filesz != 0 && (s.vaddr - s.offset) % PAGE != 0)
        return -ENOEXEC;
    if ((align & (align - 1)) != 0)
        align = 0;
    if (end > user_max - PAGE)
        return -ENOMEM;
    if (!ret->position_independent && ALIGN_DOWN(s.vaddr, PAGE) < user_min)
        return -EINVAL;
    /* Ascending and apart (gABI: "in ascending order"). */
    if (ret->nsegments > 0) {
        const struct elf_segment *last = &ret->segments[ret->nsegments - 1];
        if (s.vaddr < last->vaddr + last->memsz)
            return -ENOEXEC;
    }
    if (ret->nsegments == ELF_MAX_SEGMENTS)
        return -ENOEXEC;
    s.prot = (flags & PF_R ? 1u : 0) | (flags & PF_W ? 2u : 0) | (flags & PF_X ? 4u : 0);
    if (ret->nsegments == 0)
        ret->low = ALIGN_DOWN(s.vaddr, PAGE);
    ret->high = ALIGN_UP(end, PAGE);
    ret->brk = end;
    if (align > ret->align && align <= ALIGN_LIMIT)
        ret->align = align;
    if (ret->phdr_vaddr == 0 && range_inside(ret->phdr_offset, 0, s.offset + s.filesz) && ret->phdr_offset >= s.offset &&
        range_inside(ret->phdr_offset - s.offset, (u64)ret->phdr_count * ELF_PHDR_SIZE, s.filesz))
        ret->phdr_vaddr = s.vaddr + (ret->phdr_offset - s.offset);
    ret->segments[ret->nsegments++] = s;
    return 0;
}

int elf_check_segments(const void *phdrs, u64 file_size, u64 user_min, u64 user_max, struct elf_info *ret)
{
    const u8 *p = phdrs;
    ret->align = PAGE;
    ret->exec_stack = true;
    for (unsigned i = 0; i < ret->phdr_count; i++, p += ELF_PHDR_SIZE) {
        u32 type = get_u32(p);
        if (type == PT_LOAD) {
            int r = check_load(p, file_size, user_min, user_max, ret);
            if (r < 0)
                return r;
        } else if (type == PT_INTERP && !ret->has_interp) {
            ret->has_interp = true;
            ret->interp_offset = get_u64(p + 8);
            ret->interp_len = get_u64(p + 32);
            if (ret->interp_len < 2 || ret->interp_len > ELF_INTERP_MAX ||
                !range_inside(ret->interp_offset, ret->interp_len, file_size))
                return -ENOEXEC;
        } else if (type == PT_GNU_STACK) {
            ret->exec_stack = (get_u32(p + 4) & PF_X) != 0;
        }
    }
    if (ret->nsegments == 0)
        return -ENOEXEC;
    /* The entry lies in the program; the psABI allows no other place. */
    for (unsigned i = 0; i < ret->nsegments; i++)
        if (ret->entry >= ret->segments[i].vaddr && ret->entry - ret->segments[i].vaddr < ret->segments[i].memsz)
            return 0;
    return -ENOEXEC;
}
