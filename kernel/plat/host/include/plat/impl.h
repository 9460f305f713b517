/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inline half of the platform line (kern/plat.h) for a sandboxed process of Linux.
 *
 *   0000000000010000 .. 00007e8fffffffff   programs
 *   somewhere above                         the kernel image, where Linux put it; its data and bss are memory
 *                                           (the memfd, sealed), its text and constants are the file's
 *                                           the direct map: the whole memfd
 *                                           kernel mappings (stacks, vmap): pieces of the memfd
 *
 * The window at the top is where Linux puts a static position-independent image, and where no usual program, runtime
 * or sanitizer wants fixed addresses. Every place in it is random. Physical addresses are offsets into the memfd.
 *
 * GS base is the per-CPU pointer, also while a program runs, unless the program wants GS for itself (arch.c).
 */
#ifndef PLAT_IMPL_H
#define PLAT_IMPL_H

#include "kern/types.h"

#define PLAT_USER_MIN 0x10000UL
#define PLAT_USER_MAX 0x7e9000000000UL
#define PLAT_SITE_CALLS 4 /* a site is replaced when its traps have cost about as much as that */
#define PLAT_KVMAP_SIZE (64UL << 30)
#define PLAT_KVMAP_START host_map.kvmap
#define PLAT_KVMAP_END (host_map.kvmap + PLAT_KVMAP_SIZE)

/* Where things are; const after boot. */
struct host_map {
    u64 direct;     /* virtual address of physical address 0 */
    u64 kvmap;
    u64 image;      /* data and bss of the kernel image: virtual, */
    u64 image_end;
    u64 image_phys; /* physical */
    u64 disk_phys;  /* the root image's file, mapped behind the memory; 0 = not */
    u64 disk_end;
    int disk_fd;
    u64 sieve;      /* virtual address of a struct sieve (abi/sieve.h); 0 = there is none */
};
extern struct host_map host_map;

struct percpu;
struct thread;
struct page;
struct host_carrier;
struct host_seat;

/* Locks: the caller of plat_map() and friends holds the address space's. */
struct plat_aspace {
    u64 *top;          /* level 4 table */
    struct page *dead; /* emptied tables, freed by plat_flush(); linked by page.private */
    u64 stale_start, stale_end; /* what plat_flush() is to take out of its process; empty when start >= end */
    u64 generation;    /* in the place of PTE_CACHED, never 0: entries that its process may have mapped carry it */
    struct host_carrier *carrier; /* its process; NULL = it has none now (carrier.h) */
    u64 cpus;          /* atomic: CPUs that have it loaded */
};

/* Written by its own CPU, with events disabled or on its signal stack; the two flags at places that entry.S knows. `pending`: by all, atomic. */
struct plat_percpu {
    u8 events_off;
    u8 pending;             /* PENDING_*: came while events were off */
    u8 in_idle;             /* the CPU waits with a timeout: Linux's timer need not be set */
    u8 looks;               /* atomic: it idles, and looks at `pending`: no signal is needed */
    u8 look;                /* a kick ended its last idling soon */
    u64 fault_addr;         /* of the signal that is being taken in */
    struct plat_aspace *as; /* loaded: the carrier's, or NULL; its `cpus` has our bit */
    u64 program_gs;         /* GS base of the current program thread, when host_gs_shared */
    u64 timer_want_ns;      /* deadline asked for */
    u64 look_after_ns;      /* no looking for kicks before */
    u32 relaxed;            /* turns of plat_relax() */
    u32 placing;            /* atomic; whether one of its seats is just being moved: place.c */
    struct host_seat *seat; /* atomic: the thread of Linux that the CPU runs in (carrier.h) */
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

void host_run_pending(void); /* events.c: take what came while events were off; events enabled */

static inline bool plat_events_enabled(void)
{
    u8 off;
    __asm__ volatile("movb %%gs:128, %0" : "=q"(off)::"memory");
    return off == 0;
}

static inline void plat_events_disable(void) { __asm__ volatile("movb $1, %%gs:128" ::: "memory"); }

static inline void plat_events_enable(void)
{
    u8 pending;
    __asm__ volatile("movb $0, %%gs:128; movb %%gs:129, %0" : "=q"(pending)::"memory");
    if (__builtin_expect(pending != 0, 0))
        host_run_pending();
}

static inline u64 plat_events_save(void)
{
    u64 enabled = plat_events_enabled();
    plat_events_disable();
    return enabled;
}

static inline void plat_events_restore(u64 enabled)
{
    __asm__ volatile("" ::: "memory");
    if (enabled)
        plat_events_enable();
}

void plat_relax(void); /* smp.c */

static inline bool plat_kernel_readable(u64 addr, u64 len) { return addr >= PLAT_USER_MAX && len <= -addr; }

static inline void *phys_to_virt(paddr_t pa) { return (void *)(pa + host_map.direct); }

/* Of the direct map and of the kernel image's data. */
static inline paddr_t virt_to_phys(const void *v)
{
    u64 a = (u64)v;
    return a - host_map.image < host_map.image_end - host_map.image ? a - host_map.image + host_map.image_phys
                                                                    : a - host_map.direct;
}

#endif
