/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A carrier's mappings below PLAT_USER_MAX are a cache of the page tables of one address space (carrier->as), as a TLB is: filled
 * by faults (host_tlb_fill()), emptied by plat_flush(), and nothing is lost when an entry goes. An entry of a
 * page table carries in PTE_CACHED the generation in which it was mapped; when everything is dropped, a new one begins. That it
 * is mapped no more costs a needless munmap(); that it is mapped without the mark must not be.
 *
 *   T1  Mappings are made and taken out by a thread of the process that has them. A process's threads see what one of them takes out, so
 *       for plat_flush() it is enough that one CPU does it: this one, if it runs there; else one that has the address space loaded; else
 *       whoever loads it next (host_tlb_settle()): carrier->stale_* is what is to go.
 *   T2  A fill holds the address space's pt_lock, as whoever changes entries does: the mark is there before anybody can ask for it. It takes
 *       the lock with events disabled, and the holder may wait for this CPU in plat_flush(): so it answers meanwhile (K2 in
 *       kern/cpu_calls.h).
 *   T3  A new generation begins under pt_lock (or while its holder waits for that in plat_flush()), or before any CPU runs in the address
 *       space; and it begins first, so that what is mapped afterwards has its mark.
 *   T4  Linux keeps a record of each mapping (a VMA), of which a process may have 65,530 (vm.max_map_count). A fill maps a
 *       whole run, neighbours whose physical pages are neighbours, too, with the same rights: one record more; an munmap() inside
 *       a run leaves two. After MAPS_MAX of either, everything is dropped.
 *
 * The rest is for kernel mappings, of which thread stacks are the most. When ten thousands of these leave too little, and
 * Linux refuses, everything is dropped, too.
 */
#include "tlb.h"

#include <asm/unistd.h>
#include <linux/mman.h>

#include "arch/pagetable.h"
#include "carrier.h"
#include "host.h"
#include "kern/addrspace.h"
#include "kern/cpu_calls.h"
#include "kern/log.h"
#include "plat/tlb.h"

#define MAPS_MAX 36864u
#define HUGE_PAGES (HUGE_SIZE / PAGE_SIZE)
#define GENERATION (PTE_CACHED & -PTE_CACHED) /* the first */
#define MOST_OF_ALL (1UL << 30) /* what spans more is dropped with everything: runs stay whole */

static int protection(u64 entry)
{
    unsigned prot = pt_prot(entry);
    return PROT_READ | (prot & MAP_WRITE ? PROT_WRITE : 0) | (prot & MAP_EXEC ? PROT_EXEC : 0);
}

/* T3. None of as's entries is mapped any more, or will be soon. */
static void new_generation(struct plat_aspace *as)
{
    u64 next = (as->generation + GENERATION) & PTE_CACHED;
    atomic_store(&as->generation, next != 0 ? next : GENERATION);
}

/* Whatever anybody thinks is mapped. */
static void drop_mappings(void)
{
    host_carrier()->maps = 0;
    host_unmap(PLAT_USER_MIN, PLAT_USER_MAX - PLAT_USER_MIN);
}

/* Of the address space loaded. T3 */
static void drop_all(struct plat_aspace *as)
{
    new_generation(as);
    drop_mappings();
}

bool host_tlb_make_room(void)
{
    bool any = host_carrier()->maps != 0;
    drop_mappings();
    return any;
}

/* Cutting a mapping in two may be refused when there are too many already; what spans all of them cuts none. */
void host_unmap(u64 va, u64 len)
{
    long err = host_call(__NR_munmap, va, len);
    if (err == -ENOMEM && va != PLAT_USER_MIN && host_tlb_make_room())
        err = va < PLAT_USER_MAX ? 0 : host_call(__NR_munmap, va, len);
    if (err != 0)
        panic("munmap of %#llx, %llu bytes: Linux says %ld", (unsigned long long)va, (unsigned long long)len, err);
}

static void count_map(struct plat_aspace *as)
{
    if (++host_carrier()->maps >= MAPS_MAX)
        drop_all(as);
}

/* How many entries from pte on (towards `step`) continue it, at most `max`. */
static u64 extend(const struct plat_aspace *as, const u64 *pte, s64 step, u64 max)
{
    u64 n = 0, want = *pte & ~PTE_CACHED;
    while (n < max) {
        want += (u64)(step * (s64)PAGE_SIZE);
        pte += step;
        if ((*pte & ~PTE_CACHED) != want || tlb_has(as, *pte)) /* another page or other rights, or mapped already */
            break;
        n++;
    }
    return n;
}

/* Memory comes along at once, since a fault on each page would cost more; not the image's pages, of which Linux brings 16 at a touch. */
static void map_run(struct plat_aspace *as, u64 va, paddr_t pa, u64 len, int prot)
{
    bool disk = pa >= host_map.disk_phys && pa < host_map.disk_end;
    long populate = disk ? 0 : MAP_POPULATE;
    long fd = disk ? host_map.disk_fd : HOST_FD_MEMORY;
    u64 offset = disk ? pa - host_map.disk_phys : pa;
    for (unsigned tries = 0; tries < 2; tries++) {
        long r = host_call(__NR_mmap, va, len, (long)prot, (long)(MAP_SHARED | MAP_FIXED) | populate, fd, offset);
        if (r == (long)va)
            return;
        if (r != -ENOMEM)
            panic("mmap of %#llx, %llu bytes: Linux says %ld", (unsigned long long)va, (unsigned long long)len, r);
        drop_all(as);
    }
    panic("Linux has no room for a mapping of %llu bytes", (unsigned long long)len);
}

/* pt_lock held */
static bool fill(struct plat_aspace *as, u64 va, unsigned access, bool if_missing)
{
    u64 *pte = pt_entry(as, va);
    if (pte == NULL || !(*pte & PTE_PRESENT) || (pt_prot(*pte) & access) != access)
        return false;
    if (if_missing && tlb_has(as, *pte))
        return true;
    bool large = *pte & PTE_LARGE;
    u64 n = HUGE_PAGES;
    if (large) {
        va = ALIGN_DOWN(va, HUGE_SIZE);
    } else {
        va = ALIGN_DOWN(va, PAGE_SIZE);
        u64 index = PT_INDEX(va, 1);
        u64 before = extend(as, pte, -1, index), after = extend(as, pte, 1, HUGE_PAGES - 1 - index);
        pte -= before;
        va -= before * PAGE_SIZE;
        n = before + 1 + after;
    }
    count_map(as);
    map_run(as, va, *pte & PTE_ADDR, n * PAGE_SIZE, protection(*pte));
    for (u64 i = 0; i < (large ? 1 : n); i++) /* behind map_run(), which may begin a generation */
        pte[i] = (pte[i] & ~PTE_CACHED) | as->generation;
    return true;
}

bool host_tlb_fill(u64 va, unsigned access, bool if_missing)
{
    struct plat_aspace *as = this_cpu()->plat.as;
    if (as == NULL || va < PLAT_USER_MIN || va >= PLAT_USER_MAX)
        return false;
    struct spinlock *pt_lock = &container_of(as, struct addrspace, plat)->pt_lock;
    while (!spin_trylock(pt_lock)) {
        cpu_answer_calls();
        plat_relax();
    }
    bool filled = fill(as, va, access, if_missing);
    spin_unlock(pt_lock);
    return filled;
}

bool host_tlb_replace(struct plat_aspace *as, u64 va)
{
    if (this_cpu()->plat.as != as)
        return false;
    u64 *pte = pt_entry(as, va);
    count_map(as);
    map_run(as, va, *pte & PTE_ADDR, PAGE_SIZE, protection(*pte));
    *pte |= as->generation; /* behind map_run(), which may begin a generation */
    return true;
}

/* --- what is to go ---------------------------------------------------------------------- */

/* Of the carrier that this CPU runs in. */
static void drop_range(struct plat_aspace *as, u64 start, u64 end)
{
    if (end - start >= MOST_OF_ALL) {
        drop_all(as);
        return;
    }
    host_unmap(start, end - start);
    host_carrier()->maps++;
}

void host_tlb_settle(struct plat_aspace *as)
{
    struct host_carrier *c = host_carrier();
    spin_lock(&c->lock);
    if (c->foreign)
        drop_all(as);
    else if (c->stale_start < c->stale_end)
        drop_range(as, c->stale_start, c->stale_end);
    atomic_store(&c->foreign, false); /* who looks without the lock finds it done */
    atomic_store(&c->stale_start, 0);
    atomic_store(&c->stale_end, 0);
    spin_unlock(&c->lock);
}

struct settling {
    struct plat_aspace *as;
    bool done;
};

static void settle_asked(void *arg)
{
    struct settling *s = arg;
    if (this_cpu()->plat.as != s->as)
        return;
    host_tlb_settle(s->as);
    s->done = true;
}

static void drop_stale(struct plat_aspace *as)
{
    u64 start = as->stale_start, end = as->stale_end;
    if (start >= end)
        return;
    as->stale_start = as->stale_end = 0;
    if (this_cpu()->plat.as == as) {
        drop_range(as, start, end);
        return;
    }
    struct settling s = { as, false };
    for (u64 cpus = host_carrier_stale(as, start, end); cpus != 0 && !s.done; cpus = atomic_load(&as->cpus))
        cpu_call(cpus & -cpus, settle_asked, &s); /* it may have left, and another come, which has settled */
}

void host_tlb_drop(struct plat_aspace *as)
{
    if (this_cpu()->plat.as == as)
        drop_stale(as);
}

/* Whatever the range: what was removed tells better. */
void plat_flush(struct plat_aspace *as, uaddr_t va, size_t len_bytes)
{
    drop_stale(as);
    pt_free_dead(as);
}

/* --- address spaces ------------------------------------------------------------------- */

int plat_aspace_init(struct plat_aspace *as)
{
    *as = (struct plat_aspace){ .generation = GENERATION };
    int err = pt_init(as);
    if (err == 0)
        host_carrier_want();
    return err;
}

void plat_aspace_done(struct plat_aspace *as)
{
    if (as->top == NULL)
        return;
    plat_aspace_retire(as);
    host_carrier_unwant();
    pt_done(as);
}

/* Whoever gets the carrier drops what is mapped there. */
void plat_aspace_retire(struct plat_aspace *as)
{
    u64 flags = plat_events_save();
    if (this_cpu()->plat.as == as)
        this_cpu()->plat.as = NULL;
    host_carrier_release(as);
    new_generation(as);
    plat_events_restore(flags);
}

void plat_aspace_switch(struct plat_aspace *as)
{
    struct percpu *cpu = this_cpu();
    struct plat_aspace *old = cpu->plat.as;
    if (old == as)
        return;
    cpu->plat.as = NULL;
    bool stale = host_carrier_change(old, as);
    cpu->plat.as = as;
    if (stale)
        host_tlb_settle(as);
}

void host_disk_trim(void)
{
    if (host_map.disk_phys != 0)
        host_call(__NR_mmap, phys_to_virt(host_map.disk_phys), host_map.disk_end - host_map.disk_phys, (long)PROT_READ,
                  (long)(MAP_SHARED | MAP_FIXED), (long)host_map.disk_fd, 0L);
}
volatile void *plat_map_device(paddr_t pa, size_t len_bytes) { return NULL; }
