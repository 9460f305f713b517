/* SPDX-License-Identifier: Apache-2.0 */
/* Any bytes as an ELF file: whatever passes the checks must be safe to map. */
#include "base/checked.h"
#include "elf_check.h"

#include <stdlib.h>
#include <string.h>

#define USER_MIN 0x10000ull
#define USER_MAX 0x7ffffffff000ull

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool x)
{
    if (!x)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct elf_info info;
    if (elf_check_header(data, size, size, &info) != 0)
        return 0;
    size_t len = (size_t)info.phdr_count * ELF_PHDR_SIZE;
    must(info.phdr_count > 0 && range_inside(info.phdr_offset, len, size));
    /* A copy of its own, so that reading past the headers is found. */
    uint8_t *phdrs = malloc(len);
    memcpy(phdrs, data + info.phdr_offset, len);
    int r = elf_check_segments(phdrs, size, USER_MIN, USER_MAX, &info);
    free(phdrs);
    if (r != 0)
        return 0;
    must(info.nsegments > 0 && info.nsegments <= ELF_MAX_SEGMENTS);
    must(info.low < info.high && info.high <= USER_MAX && info.low % 4096 == 0 && info.high % 4096 == 0);
    must(info.position_independent || info.low >= USER_MIN);
    must(info.align >= 4096 && (info.align & (info.align - 1)) == 0);
    must(!info.has_interp || (info.interp_len >= 2 && range_inside(info.interp_offset, info.interp_len, size)));
    u64 last_end = 0;
    bool entry_inside = false;
    for (unsigned i = 0; i < info.nsegments; i++) {
        const struct elf_segment *s = &info.segments[i];
        must(s->memsz > 0 && s->filesz <= s->memsz && range_inside(s->offset, s->filesz, size));
        must(s->filesz == 0 || (s->vaddr - s->offset) % 4096 == 0);
        must(s->vaddr >= last_end && s->vaddr >= info.low && s->vaddr + s->memsz <= info.high);
        must(s->vaddr + s->memsz > s->vaddr && (s->prot & ~7u) == 0);
        last_end = s->vaddr + s->memsz;
        entry_inside |= info.entry >= s->vaddr && info.entry - s->vaddr < s->memsz;
    }
    must(entry_inside && info.brk == last_end);
    return 0;
}
