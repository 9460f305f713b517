/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process's mappings below PLAT_USER_MAX are a cache of the page tables of one address space (plat.as), as a TLB is: filled
 * by faults (host_tlb_fill()), emptied by plat_flush(), and nothing is lost when an entry goes. An entry of a
 * page table carries in PTE_CACHED the generation in which it was mapped; when everything is dropped, a new one begins. That it
 * is mapped no more costs a needless munmap().
 *
 * A fill maps a whole run: neighbours whose physical pages are neighbours, too, with the same rights. Linux keeps a
 * record for each (a VMA), of which a process may have 65,530 (vm.max_map_count), so
 *
 *   T1  at most RUNS_MAX runs are mapped: `runs` holds them in order of age, and the oldest goes first. One that
 *       has gone already otherwise is dropped again, which does no harm.
 *   T2  an munmap() inside a run leaves two: SPLITS_MAX of these, then everything is dropped.
 *
 * The rest is for kernel mappings, of which thread stacks are the most. When ten thousands of these leave too little, and
 * Linux refuses, everything is dropped, too.
 */
#include "tlb.h"

#include <asm/unistd.h>
#include <linux/mman.h>

#include "arch/pagetable.h"
#include "host.h"
#include "kern/log.h"
#include "plat/tlb.h"

#define RUNS_MAX 24576u
#define SPLITS_MAX 12288u
#define HUGE_PAGES (HUGE_SIZE / PAGE_SIZE)
#define GENERATION (PTE_CACHED & -PTE_CACHED) /* the first */

struct run {
    u64 va;
    u64 len_bytes;
};
static struct run runs[RUNS_MAX];
static unsigned runs_next, runs_used, splits;
u64 host_tlb_generation = GENERATION;

static int protection(u64 entry)
{
    unsigned prot = pt_prot(entry);
    return PROT_READ | (prot & MAP_WRITE ? PROT_WRITE : 0) | (prot & MAP_EXEC ? PROT_EXEC : 0);
}

static void drop_all(void);

/* Cutting a mapping in two may be refused when there are too many already; what spans all of them cuts none. */
static void unmap(u64 va, u64 len)
{
    long err = host_call(__NR_munmap, va, len);
    if (err == -ENOMEM && va < PLAT_USER_MAX && va != PLAT_USER_MIN)
        drop_all();
    else if (err != 0)
        panic("munmap of %#llx, %llu bytes: Linux says %ld", (unsigned long long)va, (unsigned long long)len, err);
}

static void drop_all(void)
{
    unmap(PLAT_USER_MIN, PLAT_USER_MAX - PLAT_USER_MIN);
    runs_next = runs_used = splits = 0;
    host_tlb_generation = (host_tlb_generation + GENERATION) & PTE_CACHED;
    if (host_tlb_generation == 0)
        host_tlb_generation = GENERATION;
}

static void remember_run(u64 va, u64 len)
{
    if (runs_used == RUNS_MAX)
        unmap(runs[runs_next].va, runs[runs_next].len_bytes);
    runs_used = MIN(runs_used + 1, RUNS_MAX);
    runs[runs_next] = (struct run){ va, len };
    runs_next = (runs_next + 1) % RUNS_MAX;
}

/* How many entries from pte on (towards `step`) continue it, at most `max`. */
static u64 extend(const u64 *pte, s64 step, u64 max)
{
    u64 n = 0, want = *pte & ~PTE_CACHED;
    while (n < max) {
        want += (u64)(step * (s64)PAGE_SIZE);
        pte += step;
        if ((*pte & ~PTE_CACHED) != want || tlb_has(*pte)) /* another page or other rights, or mapped already */
            break;
        n++;
    }
    return n;
}

/* The file's pages are brought along: a fault on each would cost more than the memory, which the kernel has given away already. */
static void map_run(u64 va, paddr_t pa, u64 len, int prot)
{
    bool disk = pa >= host_map.disk_phys && pa < host_map.disk_end;
    long fd = disk ? host_map.disk_fd : HOST_FD_MEMORY;
    u64 offset = disk ? pa - host_map.disk_phys : pa;
    for (unsigned tries = 0; tries < 2; tries++) {
        long r = host_call(__NR_mmap, va, len, (long)prot, (long)(MAP_SHARED | MAP_FIXED | MAP_POPULATE), fd, offset);
        if (r == (long)va)
            return;
        if (r != -ENOMEM)
            panic("mmap of %#llx, %llu bytes: Linux says %ld", (unsigned long long)va, (unsigned long long)len, r);
        drop_all();
    }
    panic("Linux has no room for a mapping of %llu bytes", (unsigned long long)len);
}

bool host_tlb_fill(u64 va, unsigned access)
{
    struct plat_aspace *as = this_cpu()->plat.as;
    if (as == NULL || va < PLAT_USER_MIN || va >= PLAT_USER_MAX)
        return false;
    u64 *pte = pt_entry(as, va);
    if (pte == NULL || !(*pte & PTE_PRESENT) || (pt_prot(*pte) & access) != access)
        return false;
    bool large = *pte & PTE_LARGE;
    u64 n = HUGE_PAGES;
    if (large) {
        va = ALIGN_DOWN(va, HUGE_SIZE);
    } else {
        va = ALIGN_DOWN(va, PAGE_SIZE);
        u64 index = PT_INDEX(va, 1);
        u64 before = extend(pte, -1, index), after = extend(pte, 1, HUGE_PAGES - 1 - index);
        pte -= before;
        va -= before * PAGE_SIZE;
        n = before + 1 + after;
    }
    map_run(va, *pte & PTE_ADDR, n * PAGE_SIZE, protection(*pte));
    for (u64 i = 0; i < (large ? 1 : n); i++) /* behind map_run(), which may begin a generation */
        pte[i] = (pte[i] & ~PTE_CACHED) | host_tlb_generation;
    remember_run(va, n * PAGE_SIZE);
    return true;
}

void host_tlb_drop(struct plat_aspace *as, u64 va, size_t len)
{
    if (this_cpu()->plat.as != as)
        return;
    unmap(va, len);
    if (++splits == SPLITS_MAX)
        drop_all();
}

/* Whatever the range: what was removed tells better. */
void plat_flush(struct plat_aspace *as, uaddr_t va, size_t len_bytes)
{
    if (as->stale_start < as->stale_end)
        host_tlb_drop(as, as->stale_start, as->stale_end - as->stale_start);
    as->stale_start = as->stale_end = 0;
    pt_free_dead(as);
}

/* --- address spaces ------------------------------------------------------------------- */

int plat_aspace_init(struct plat_aspace *as)
{
    *as = (struct plat_aspace){ 0 };
    return pt_init(as);
}

void plat_aspace_done(struct plat_aspace *as)
{
    if (as->top == NULL)
        return;
    u64 flags = plat_events_save();
    if (this_cpu()->plat.as == as) {
        drop_all();
        this_cpu()->plat.as = NULL;
    }
    plat_events_restore(flags);
    pt_done(as);
}

/* Another address space in the same process: everything of the old one goes. */
void plat_aspace_switch(struct plat_aspace *as)
{
    struct percpu *cpu = this_cpu();
    if (as == NULL || cpu->plat.as == as)
        return;
    if (cpu->plat.as != NULL)
        drop_all();
    cpu->plat.as = as;
}

/* --- the kernel's range ------------------------------------------------------------------ */

int plat_kmap(void *kva, paddr_t pa, size_t len_bytes, unsigned prot)
{
    ASSERT((u64)kva >= PLAT_KVMAP_START && (u64)kva < PLAT_KVMAP_END && len_bytes <= PLAT_KVMAP_END - (u64)kva);
    long r = host_call(__NR_mmap, kva, len_bytes, (long)(PROT_READ | (prot & MAP_WRITE ? PROT_WRITE : 0)),
                       (long)(MAP_SHARED | MAP_FIXED | MAP_POPULATE), (long)HOST_FD_MEMORY, pa);
    return r == (long)kva ? 0 : -ENOMEM;
}

void plat_kunmap(void *kva, size_t len_bytes) { unmap((u64)kva, len_bytes); }

void host_disk_trim(void)
{
    if (host_map.disk_phys != 0)
        host_call(__NR_mmap, phys_to_virt(host_map.disk_phys), host_map.disk_end - host_map.disk_phys, (long)PROT_READ,
                  (long)(MAP_SHARED | MAP_FIXED), (long)host_map.disk_fd, 0L);
}
volatile void *plat_map_device(paddr_t pa, size_t len_bytes) { return NULL; }
