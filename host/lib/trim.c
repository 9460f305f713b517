/* SPDX-License-Identifier: Apache-2.0 */
/* Small while waiting: see trim.h. */
#include "host/lib/trim.h"

#include <link.h>
#include <malloc.h>
#include <sys/mman.h>

#include "base/types.h"

#define PAGE ((u64)4096)

/* What is not writable is as it is in its file; relocated constants lie in the writable segment. */
static int trim_object(struct dl_phdr_info *object, size_t size, void *ctx)
{
    (void)size;
    (void)ctx;
    for (int i = 0; i < object->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &object->dlpi_phdr[i];
        u64 start = object->dlpi_addr + p->p_vaddr, end = start + p->p_filesz;
        if (p->p_type == PT_LOAD && !(p->p_flags & PF_W))
            madvise((void *)(start & ~(PAGE - 1)), ALIGN_UP(end, PAGE) - (start & ~(PAGE - 1)), MADV_DONTNEED);
    }
    return 0;
}

void trim_memory(void)
{
    malloc_trim(0);
    dl_iterate_phdr(trim_object, NULL);
}
