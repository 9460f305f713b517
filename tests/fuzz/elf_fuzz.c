/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Any bytes as the first page of an ELF file. What passes must be safe to map: inside the file, inside the
 * program's addresses, ascending and apart, with the entry in a segment.
 */
#include "base/checked.h"
#include "kernel/linux/elf_check.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MUST(x)      \
    do {             \
        if (!(x))    \
            abort(); \
    } while (0)
#define USER_MIN 0x10000ULL
#define USER_MAX 0x7ffffffff000ULL

static void check(const struct elf_info *e, u64 file_size)
{
    bool entry = false;
    MUST(e->nsegments > 0 && e->nsegments <= ELF_MAX_SEGMENTS);
    MUST(e->low % 4096 == 0 && e->high % 4096 == 0 && e->low < e->high && e->high <= USER_MAX);
    MUST(e->position_independent || e->low >= USER_MIN);
    MUST(e->align >= 4096 && (e->align & (e->align - 1)) == 0 && e->align <= 1u << 30);
    MUST(!e->has_interp || (e->interp_len <= ELF_INTERP_MAX && range_inside(e->interp_offset, e->interp_len, file_size)));
    for (u32 i = 0; i < e->nsegments; i++) {
        const struct elf_segment *s = &e->segments[i];
        u64 end;
        MUST(s->memsz > 0 && s->filesz <= s->memsz && range_inside(s->offset, s->filesz, file_size));
        MUST(!checked_add(s->vaddr, s->memsz, &end) && s->vaddr >= e->low && end <= e->high && end <= e->brk);
        MUST(s->filesz == 0 || (s->vaddr & 4095) == (s->offset & 4095));
        MUST(i == 0 || s->vaddr >= s[-1].vaddr + s[-1].memsz);
        MUST((s->prot & ~7u) == 0);
        entry = entry || (e->entry >= s->vaddr && e->entry < end);
        if (e->phdr_vaddr != 0 && e->phdr_vaddr >= s->vaddr && e->phdr_vaddr < end)
            MUST(e->phdr_vaddr - s->vaddr + (u64)e->phdr_count * ELF_PHDR_SIZE <= s->filesz);
    }
    MUST(entry);
    MUST(e->brk == e->segments[e->nsegments - 1].vaddr + e->segments[e->nsegments - 1].memsz);
}

/* The first four bytes: how much longer the file is than what the input shows. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct elf_info e;
    u32 more;
    if (size < sizeof(more))
        return 0;
    memcpy(&more, data, sizeof(more));
    data += sizeof(more);
    size -= sizeof(more);
    u64 file_size = size + (u64)more;
    if (elf_check_header(data, size, file_size, &e) != 0)
        return 0;
    size_t table = (size_t)e.phdr_count * ELF_PHDR_SIZE;
    MUST(range_inside(e.phdr_offset, table, file_size) && e.phdr_count <= ELF_MAX_PHDRS);
    u8 *phdrs = calloc(1, table); /* its own object, so that reading beyond it is seen */
    if (phdrs == NULL)
        return 0;
    if (e.phdr_offset < size)
        memcpy(phdrs, data + e.phdr_offset, table < size - e.phdr_offset ? table : size - e.phdr_offset);
    int err = elf_check_segments(phdrs, file_size, USER_MIN, USER_MAX, &e);
    MUST(err == 0 || err == -ENOEXEC || err == -EINVAL || err == -ENOMEM);
    if (err == 0)
        check(&e, file_size);
    free(phdrs);
    return 0;
}
