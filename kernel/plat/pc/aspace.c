/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address spaces on a PC: the tables of arch/x86_64/pagetable.c as the CPU walks them. The upper half of every top table is
 * a copy of the kernel's, whose entries never change (paging.c). kmap_lock guards the kernel's own range.
 */
#include "arch/pagetable.h"
#include "base/str.h"
#include "kern/lock.h"
#include "kern/log.h"
#include "pc.h"
#include "plat/tlb.h"

#define FLUSH_EACH_MAX 32u

struct plat_aspace pc_kernel_as = { .top = kernel_pml4 };
static struct spinlock kmap_lock = SPINLOCK_INIT("kmap");

/* One CPU runs for now: others would get an interrupt here and be waited for before the tables are freed. */
void plat_flush(struct plat_aspace *as, uaddr_t va, size_t len_bytes)
{
    if (tlb_loaded(as)) {
        if (len_bytes / PAGE_SIZE > FLUSH_EACH_MAX)
            write_cr3(read_cr3());
        else
            for (u64 end = va + len_bytes; va < end; va += PAGE_SIZE)
                invlpg(va);
    }
    pt_free_dead(as);
}

int plat_aspace_init(struct plat_aspace *as)
{
    *as = (struct plat_aspace){ 0 };
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
    if (this_cpu()->plat.as == as) {
        write_cr3(virt_to_phys(kernel_pml4));
        this_cpu()->plat.as = NULL;
    }
    plat_events_restore(flags);
    pt_done(as);
}

/* Kernel threads run on whatever is loaded: their half is the same everywhere. */
void plat_aspace_switch(struct plat_aspace *as)
{
    struct percpu *cpu = this_cpu();
    if (as == NULL || cpu->plat.as == as)
        return;
    if (cpu->plat.as != NULL)
        atomic_and(&cpu->plat.as->cpus, ~(1UL << cpu->cpu));
    atomic_or(&as->cpus, 1UL << cpu->cpu);
    cpu->plat.as = as;
    write_cr3(virt_to_phys(as->top));
}

int plat_kmap(void *kva, paddr_t pa, size_t len_bytes, unsigned prot)
{
    u64 va = (u64)kva;
    ASSERT(va >= PLAT_KVMAP_START && va < PLAT_KVMAP_END && len_bytes <= PLAT_KVMAP_END - va);
    u64 flags = spin_lock_irqsave(&kmap_lock);
    int err = pt_map_small(&pc_kernel_as, va, pa, len_bytes, pt_flags(prot) | PTE_GLOBAL);
    spin_unlock_irqrestore(&kmap_lock, flags);
    return err;
}

void plat_kunmap(void *kva, size_t len_bytes)
{
    u64 flags = spin_lock_irqsave(&kmap_lock), va = (u64)kva;
    pt_unmap_range(&pc_kernel_as, va, va + len_bytes, NULL, NULL);
    for (u64 at = va; at < va + len_bytes; at += PAGE_SIZE)
        invlpg(at); /* global entries outlive a new cr3 */
    pt_free_dead(&pc_kernel_as);
    spin_unlock_irqrestore(&kmap_lock, flags);
}
