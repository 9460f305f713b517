/* SPDX-License-Identifier: Apache-2.0 */
/* How much memory may be promised (proc_sys_vm(5), overcommit_memory). */
#include "as_impl.h"
#include "kern/page.h"

struct overcommit overcommit = {.ratio = 50};
static u64 committed; /* atomic; pages of all private areas that may be written, but those of VMA_NORESERVE */

static u64 total_pages(void)
{
    struct mem_stats m;
    page_stats(&m);
    return m.total_pages;
}

bool commit_counts(u32 prot, u32 flags) { return (prot & MAP_WRITE) && !(flags & (VMA_SHARED | VMA_NORESERVE)); }
void commit_add(s64 pages) { (void)atomic_add(&committed, (u64)pages); }
u64 commit_used_pages(void) { return atomic_load_relaxed(&committed); }

u64 commit_limit_pages(void)
{
    u64 kbytes = atomic_load_relaxed(&overcommit.kbytes);
    return kbytes != 0 ? kbytes / (PAGE_SIZE / 1024) : total_pages() * atomic_load_relaxed(&overcommit.ratio) / 100;
}

bool commit_allows(u64 pages)
{
    switch (atomic_load_relaxed(&overcommit.mode)) {
    case COMMIT_ALWAYS: return true;
    case COMMIT_NEVER: return commit_used_pages() + pages <= commit_limit_pages();
    default: return pages < 256 || pages <= total_pages(); /* what there can never be; small ones need not ask */
    }
}
