/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's range: thread stacks and what else lies in pieces (kern/vmap.h). Tables like those of programs are the record; what a
 * carrier lacks it gets by a fault, which is taken on the signal stack and may hit anything, entry code and the handler of another
 * signal included. What is unmapped goes at once from the processes that run, and from the others when one of their seats is unparked: `gone` has
 * the latest ranges, and who has slept through more drops all of the range.
 *
 * Locks: the caller's (vmap_lock); carrier->lock for what is taken out of a carrier. A fault only reads. It finds what it interrupts
 * complete enough; what another CPU takes out meanwhile it notices by `ngone`, and tables are freed when no CPU is in a fault that began before.
 */
#include <asm/unistd.h>
#include <linux/mman.h>

#include "arch/pagetable.h"
#include "carrier.h"
#include "host.h"
#include "kern/cpu_calls.h"
#include "kern/log.h"
#include "tlb.h"

#define GONE_MAX 16u

static struct plat_aspace kernel_space;
static struct {
    u64 va, len;
} gone[GONE_MAX];
static u64 ngone; /* atomic; ever. Grows before anything is unmapped, and after the tables have lost it */

u64 host_code_low, host_code_high;

static bool map(u64 va, u64 pa, size_t len, unsigned rights)
{
    long prot = PROT_READ | (rights & MAP_WRITE ? PROT_WRITE : 0) | (rights & MAP_EXEC ? PROT_EXEC : 0);
    return host_call(__NR_mmap, va, len, prot, (long)(MAP_SHARED | MAP_FIXED | MAP_POPULATE), (long)HOST_FD_MEMORY, pa) == (long)va;
}

int plat_kmap(void *kva, paddr_t pa, size_t len_bytes, unsigned prot)
{
    u64 va = (u64)kva;
    ASSERT(va >= PLAT_KVMAP_START && va < PLAT_KVMAP_END && len_bytes <= PLAT_KVMAP_END - va);
    if (kernel_space.top == NULL && pt_init(&kernel_space) != 0)
        return -ENOMEM;
    if (pt_map_small(&kernel_space, va, pa, len_bytes, pt_flags(prot)) != 0)
        return -ENOMEM;
    if (prot & MAP_EXEC) {
        host_code_low = host_code_low == 0 ? va : MIN(host_code_low, va);
        host_code_high = MAX(host_code_high, va + len_bytes);
    }
    if (map(va, pa, len_bytes, prot))
        return 0;
    pt_unmap_range(&kernel_space, va, va + len_bytes, NULL, NULL);
    pt_free_dead(&kernel_space);
    return -ENOMEM;
}

static void refresh(void *arg) { host_kmap_refresh(host_carrier()); }

void plat_kunmap(void *kva, size_t len_bytes)
{
    u64 va = (u64)kva, n = ngone;
    pt_unmap_range(&kernel_space, va, va + len_bytes, NULL, NULL);
    gone[n % GONE_MAX].va = va;
    gone[n % GONE_MAX].len = len_bytes;
    atomic_store(&ngone, n + 1);
    u64 flags = plat_events_save();
    host_kmap_refresh(host_carrier());
    plat_events_restore(flags);
    cpu_call(UINT64_MAX, refresh, NULL);
    pt_free_dead(&kernel_space);
}

void host_kmap_refresh(struct host_carrier *c)
{
    if (atomic_load(&c->kmap_seen) == atomic_load(&ngone))
        return;
    spin_lock(&c->lock);
    u64 now = atomic_load(&ngone);
    if (now - c->kmap_seen >= GONE_MAX) /* the oldest may be being replaced */
        host_unmap(PLAT_KVMAP_START, PLAT_KVMAP_SIZE);
    else
        for (u64 i = c->kmap_seen; i < now; i++)
            host_unmap(gone[i % GONE_MAX].va, gone[i % GONE_MAX].len);
    atomic_store(&c->kmap_seen, now);
    spin_unlock(&c->lock);
}

static u64 *entry(u64 va)
{
    u64 *pte = pt_entry(&kernel_space, va);
    return pte != NULL && (*pte & PTE_PRESENT) ? pte : NULL;
}

/* The pages around va that belong together. False: Linux has no room. */
static bool map_around(u64 va, u64 *ret_start, u64 *ret_end)
{
    while (entry(va - PAGE_SIZE) != NULL)
        va -= PAGE_SIZE;
    *ret_start = *ret_end = va;
    for (u64 *pte; (pte = entry(va)) != NULL; *ret_end = va) {
        u64 e = atomic_load_relaxed(pte), len = PAGE_SIZE;
        while ((pte = entry(va + len)) != NULL && (*pte & ~PTE_CACHED) == (e & ~PTE_CACHED) + len)
            len += PAGE_SIZE;
        if (!map(va, e & PTE_ADDR, len, pt_prot(e)))
            return false;
        va += len;
    }
    return true;
}

/* The whole stack: where signals are blocked nothing of it may be missing. */
bool host_kmap_fill(u64 va)
{
    if (va < PLAT_KVMAP_START || va >= PLAT_KVMAP_END || kernel_space.top == NULL)
        return false;
    va = ALIGN_DOWN(va, PAGE_SIZE);
    for (u64 start, end, before; entry(va) != NULL;) {
        before = atomic_load(&ngone);
        if (!map_around(va, &start, &end) && !host_tlb_make_room())
            panic("Linux has no room for a mapping of the kernel at %#llx", (unsigned long long)va);
        if (end > va && atomic_load(&ngone) == before)
            return true;
        if (end > start)
            host_unmap(start, end - start); /* another CPU may have unmapped some of it before we mapped it */
    }
    return false;
}
