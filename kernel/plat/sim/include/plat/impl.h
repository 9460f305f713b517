/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inline half of the platform line (kern/plat.h) for the test platform: one
 * process, one host thread, virtual CPUs that take turns on it.
 *
 * Host addresses: RAM is a memory file mapped at SIM_RAM_BASE (the direct map) and,
 * page by page, in the kernel range. Program addresses are mapped
 * nowhere: a software page table translates them, so any access that does
 * not go through kern/uaccess.h crashes.
 */
#ifndef PLAT_IMPL_H
#define PLAT_IMPL_H

#include "kern/types.h"

#define SIM_RAM_BASE 0x200000000000UL
#define PLAT_KVMAP_START 0x210000000000UL
#define PLAT_KVMAP_END 0x210100000000UL /* 4 GiB */
#define PLAT_USER_MIN 0x110000000000UL
#define PLAT_USER_MAX 0x1f0000000000UL
#define PLAT_SITE_CALLS 2
#define KSTACK_SIZE (128 * 1024UL) /* sanitizers make frames large */

struct percpu;
struct thread;

struct plat_aspace {
    u64 *top; /* four levels of 512 entries, from the host's calloc() */
};

/* Guarded by there being one host thread. */
struct plat_percpu {
    void *sp;           /* where this CPU goes on, while another one has the host thread */
    bool events_enabled;
    bool idle;
    bool kicked;
    u64 timer_ns;
};

struct percpu *this_cpu(void);
struct thread *current_thread(void);
bool plat_events_enabled(void);
u64 plat_events_save(void);
void plat_events_restore(u64 flags);
void plat_events_enable(void);
void plat_events_disable(void);
void plat_relax(void);

/* RAM, and what a test says. */
bool plat_kernel_readable(u64 addr, u64 len);

static inline void *phys_to_virt(paddr_t pa) { return (void *)(SIM_RAM_BASE + pa); }
static inline paddr_t virt_to_phys(const void *v) { return (u64)(uintptr_t)v - SIM_RAM_BASE; }

#endif
