/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inline half of the platform line (kern/plat.h) for a PC virtual machine.
 *
 * Virtual layout (four levels; no mapping has the user bit, programs run in ring 0):
 *
 *   0000000000010000 .. 00007ffffffff000   programs
 *   ffff800000000000 ..                    direct map of RAM, rw-nx
 *   ffffc00000000000 .. +64 GiB            kernel mappings (stacks, vmap)
 *   ffffffff80000000 .. +1 GiB             the kernel image, at its physical address + this base
 *   ffffffffc0000000 .. +1 GiB             device registers and firmware tables
 *
 * GS base is the per-CPU pointer while the kernel runs; the program's waits in
 * MSR_KERNEL_GS_BASE.
 */
#ifndef PLAT_IMPL_H
#define PLAT_IMPL_H

#include "kern/types.h"

#define PLAT_USER_MIN 0x10000UL
#define PLAT_USER_MAX 0x7ffffffff000UL
#define PLAT_SITE_CALLS 16 /* replacing a site costs as much as many traps, and a copy of its page to translate where the machine is emulated */
#define PLAT_DIRECT_BASE 0xffff800000000000UL
#define PLAT_KVMAP_START 0xffffc00000000000UL
#define PLAT_KVMAP_END 0xffffc01000000000UL
#define PLAT_KERNEL_BASE 0xffffffff80000000UL
#define PLAT_DEVICE_BASE 0xffffffffc0000000UL

struct percpu;
struct thread;
struct page;
struct cpu_tables;

/* Locks: the caller of plat_map() and friends holds the address space's. */
struct plat_aspace {
    u64 *top;          /* level 4 table, in the direct map */
    struct page *dead; /* emptied tables, freed by plat_flush(); linked by page.private */
    u64 stale_start, stale_end; /* what plat_flush() has to take from other CPUs; empty when start >= end */
    u64 cpus;          /* atomic: CPUs that have it loaded */
};

/* Written by its own CPU with events disabled. */
struct plat_percpu {
    struct cpu_tables *tables;  /* GDT, TSS, IST stacks */
    struct plat_aspace *as;     /* loaded, NULL = kernel only */
    u64 timer_want_ns;          /* deadline asked for */
    u64 timer_hw_ns;            /* deadline that the hardware is set to, <= want */
    u32 apic_id;
    u32 kicks;                  /* atomic: see idle.c */
    bool look;                  /* for kicks, before the next halt */
};

static inline struct percpu *this_cpu(void)
{
    struct percpu *p;
    __asm__ volatile("movq %%gs:0, %0" : "=r"(p));
    return p;
}

static inline struct thread *current_thread(void)
{
    struct thread *t;
    __asm__ volatile("movq %%gs:8, %0" : "=r"(t));
    return t;
}

#define PLAT_RFLAGS_IF 0x200UL

static inline u64 plat_flags(void)
{
    u64 f;
    __asm__ volatile("pushfq; popq %0" : "=r"(f));
    return f;
}

static inline bool plat_events_enabled(void) { return (plat_flags() & PLAT_RFLAGS_IF) != 0; }
static inline void plat_events_enable(void) { __asm__ volatile("sti" ::: "memory"); }
static inline void plat_events_disable(void) { __asm__ volatile("cli" ::: "memory"); }

static inline u64 plat_events_save(void)
{
    u64 f = plat_flags();
    plat_events_disable();
    return f;
}

static inline void plat_events_restore(u64 f)
{
    __asm__ volatile("" ::: "memory");
    if (f & PLAT_RFLAGS_IF)
        plat_events_enable();
}

static inline void plat_relax(void) { __asm__ volatile("pause" ::: "memory"); }

static inline bool plat_kernel_readable(u64 addr, u64 len)
{
    return addr >= PLAT_DIRECT_BASE && addr < PLAT_DEVICE_BASE && len <= PLAT_DEVICE_BASE - addr;
}

static inline void *phys_to_virt(paddr_t pa) { return (void *)(pa + PLAT_DIRECT_BASE); }

/* Of the direct map and of the kernel image. */
static inline paddr_t virt_to_phys(const void *v)
{
    u64 a = (u64)v;
    return a >= PLAT_KERNEL_BASE ? a - PLAT_KERNEL_BASE : a - PLAT_DIRECT_BASE;
}

#endif
