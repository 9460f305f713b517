/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel text changes (kern/kprobe.h). The image's pages are the file's; one that is to change becomes a page of the memory file with the same bytes, at
 * the same place in every carrier: in those that run at once, in the others when they are unparked.
 */
#include <asm/unistd.h>
#include <linux/mman.h>

#include "base/str.h"
#include "carrier.h"
#include "host.h"
#include "kern/cpu_calls.h"
#include "kern/kprobe.h"
#include "kern/log.h"
#include "kern/page.h"
#include "tlb.h"

#define PAGES_MAX 256u

static struct {
    u64 va;
    struct page *page;
} pages[PAGES_MAX]; /* one thread at a time */
static u64 npages; /* atomic; grows when pages[] has it */

static bool show(u64 i)
{
    return host_call(__NR_mmap, pages[i].va, PAGE_SIZE, (long)(PROT_READ | PROT_EXEC), (long)(MAP_SHARED | MAP_FIXED | MAP_POPULATE), (long)HOST_FD_MEMORY,
                     page_phys(pages[i].page)) == (long)pages[i].va;
}

void host_text_refresh(struct host_carrier *c)
{
    if (atomic_load(&c->text_seen) == atomic_load(&npages))
        return;
    spin_lock(&c->lock);
    for (u64 now = atomic_load(&npages), i; (i = c->text_seen) < now; atomic_store(&c->text_seen, i + 1))
        if (!show(i) && !(host_tlb_make_room() && show(i)))
            panic("Linux has no room for a page of the kernel's text");
    spin_unlock(&c->lock);
}

static void refresh(void *arg) { host_text_refresh(host_carrier()); }

static u8 *writable(u64 va)
{
    u64 i = 0;
    while (i < npages && pages[i].va != va)
        i++;
    if (i < npages)
        return page_virt(pages[i].page);
    struct page *p = npages < PAGES_MAX ? page_alloc(0, 0) : NULL;
    if (p == NULL)
        return NULL;
    memcpy(page_virt(p), (const void *)va, PAGE_SIZE);
    pages[i].va = va;
    pages[i].page = p;
    u64 flags = plat_events_save();
    bool shown = show(i);
    if (shown) {
        atomic_store(&npages, i + 1);
        refresh(NULL);
    }
    plat_events_restore(flags);
    if (!shown) {
        page_put(p);
        return NULL;
    }
    cpu_call(UINT64_MAX, refresh, NULL);
    return page_virt(p);
}

int plat_text_write(void *at, const void *bytes, size_t n)
{
    for (size_t done = 0, more; done < n; done += more) {
        u64 to = (u64)at + done, va = ALIGN_DOWN(to, PAGE_SIZE);
        u8 *page = writable(va);
        if (page == NULL)
            return -ENOMEM;
        more = MIN(n - done, PAGE_SIZE - (to - va));
        memcpy(page + (to - va), (const u8 *)bytes + done, more);
    }
    plat_barrier(NULL); /* who runs it takes an event, and so reads it anew */
    return 0;
}
