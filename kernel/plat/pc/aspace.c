/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address spaces on a PC: the tables of arch/x86_64/pagetable.c as the CPU walks them. The upper half of every top table is
 * a copy of the kernel's, whose entries never change (paging.c). kmap_lock guards the kernel's own range; it is taken by threads only.
 *
 * A CPU is in as->cpus from before it loads the tables until after it has loaded others. While it runs kernel threads or nothing it keeps
 * what is loaded, until a flush asks for it.
 */
#include "arch/pagetable.h"
#include "base/str.h"
#include "kern/cpu_calls.h"
#include "kern/lock.h"
#include "kern/log.h"
#include "pc.h"
#include "plat/tlb.h"

#define FLUSH_EACH_MAX 32u

struct plat_aspace pc_kernel_as = { .top = kernel_pml4, .stale_start = UINT64_MAX };
static struct spinlock kmap_lock = SPINLOCK_INIT("kmap");

/* Of the loaded address space. */
static void flush_here(u64 va, u64 end)
{
    if ((end - va) / PAGE_SIZE > FLUSH_EACH_MAX)
        write_cr3(read_cr3());
    else
        for (; va < end; va += PAGE_SIZE)
            invlpg(va);
}

/* This CPU goes on with the kernel's half alone. Events disabled. */
static void leave(struct percpu *cpu)
{
    struct plat_aspace *as = cpu->plat.as;
    write_cr3(virt_to_phys(kernel_pml4));
    cpu->plat.as = NULL;
    atomic_and(&as->cpus, ~(1UL << cpu->cpu)); /* last: until then this CPU walks its tables */
}

/* Another CPU's request. Who has it loaded without running a thread of it does not wait to be asked again. */
static void flush_asked(void *arg)
{
    const struct plat_aspace *as = arg;
    struct percpu *cpu = this_cpu();
    if (cpu->plat.as != as)
        return;
    if (cpu->as == NULL)
        leave(cpu);
    else
        flush_here(as->stale_start, as->stale_end);
}

static void leave_asked(void *arg)
{
    struct percpu *cpu = this_cpu();
    if (cpu->plat.as == arg)
        leave(cpu);
}

void plat_flush(struct plat_aspace *as, uaddr_t va, size_t len_bytes)
{
    if (tlb_loaded(as))
        flush_here(va, va + len_bytes);
    if (as->dead != NULL) /* that a table is gone may be cached, too, with nothing below it */
        tlb_stale(as, va, PAGE_SIZE);
    if (as->stale_start < as->stale_end) {
        atomic_fence(); /* the entries are changed before we look who uses them: pairs with plat_aspace_switch() */
        cpu_call(atomic_load_relaxed(&as->cpus), flush_asked, as);
        as->stale_start = UINT64_MAX;
        as->stale_end = 0;
    }
    pt_free_dead(as);
}

void plat_barrier(struct plat_aspace *as) { cpu_call(as != NULL ? atomic_load(&as->cpus) : UINT64_MAX, NULL, NULL); }

int plat_aspace_init(struct plat_aspace *as)
{
    *as = (struct plat_aspace){ .stale_start = UINT64_MAX };
    int err = pt_init(as);
    if (err == 0)
        memcpy(&as->top[256], &kernel_pml4[256], 256 * sizeof(u64));
    return err;
}

void plat_aspace_done(struct plat_aspace *as)
{
    if (as->top == NULL)
        return;
    u64 flags = plat_events_save();
    leave_asked(as);
    plat_events_restore(flags);
    cpu_call(atomic_load(&as->cpus), leave_asked, as); /* on which kernel threads run, or nothing */
    pt_done(as);
}

void plat_aspace_retire(struct plat_aspace *as) {}

/* Kernel threads run on whatever is loaded: their half is the same everywhere. */
void plat_aspace_switch(struct plat_aspace *as)
{
    struct percpu *cpu = this_cpu();
    if (as == NULL || cpu->plat.as == as)
        return;
    struct plat_aspace *old = cpu->plat.as;
    atomic_or(&as->cpus, 1UL << cpu->cpu); /* first: from here on plat_flush() asks us, too */
    cpu->plat.as = as;
    write_cr3(virt_to_phys(as->top));
    if (old != NULL)
        atomic_and(&old->cpus, ~(1UL << cpu->cpu)); /* last: see leave() */
}

int plat_kmap(void *kva, paddr_t pa, size_t len_bytes, unsigned prot)
{
    u64 va = (u64)kva;
    ASSERT(va >= PLAT_KVMAP_START && va < PLAT_KVMAP_END && len_bytes <= PLAT_KVMAP_END - va);
    spin_lock(&kmap_lock);
    int err = pt_map_small(&pc_kernel_as, va, pa, len_bytes, pt_flags(prot) | PTE_GLOBAL);
    spin_unlock(&kmap_lock);
    return err;
}

struct kunmap {
    u64 va, end;
};

static void kunmap_flush(void *arg)
{
    const struct kunmap *k = arg;
    for (u64 va = k->va; va < k->end; va += PAGE_SIZE)
        invlpg(va); /* global entries outlive a new cr3 */
}

void plat_kunmap(void *kva, size_t len_bytes)
{
    struct kunmap k = { (u64)kva, (u64)kva + len_bytes };
    spin_lock(&kmap_lock);
    pt_unmap_range(&pc_kernel_as, k.va, k.end, NULL, NULL);
    kunmap_flush(&k);
    cpu_call(UINT64_MAX, kunmap_flush, &k);
    pt_free_dead(&pc_kernel_as);
    spin_unlock(&kmap_lock);
}
