/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tests and fuzzers may ask of the test platform, beside kern/plat.h.
 *
 * Time is virtual: it stands still while anything runs, and jumps to the next timer
 * or event when every CPU idles. When there is none, the machine is
 * deadlocked, which ends the run with a list of threads.
 *
 * Everything random (when events are delivered, which virtual CPU goes on, what
 * entropy is, which allocation fails) follows from one seed.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "kern/types.h"

struct addrspace;

struct sim_config {
    u64 seed;             /* 0: no chance at all: events at once, CPUs in turn */
    unsigned cpus;        /* 1 .. 8 */
    u64 ram_bytes;
    bool verbose;         /* the kernel's log goes to stderr, all levels */
};

/* Boot once, from the host's stack; later calls do nothing. NULL = defaults and the
 * environment (DRUPE_SEED, DRUPE_CPUS, DRUPE_MEM in MiB, DRUPE_VERBOSE). */
void sim_init_once(const struct sim_config *config);

/* Memory behind the RAM, as a device has it (kern/page.h): its physical address. */
#define SIM_DEVICE_BYTES (1UL << 20)
paddr_t sim_device_memory(void);
/* Run fn(arg) on a fresh kernel thread and come back when it has returned and the
 * machine is idle. From the host's stack, after sim_init_once(). Fuzz targets call it once per input. */
void sim_run(void (*fn)(void *), void *arg);

u64 sim_seed(void);
unsigned sim_cpu_count(void);
u64 sim_random(void);          /* the simulator's generator, not the kernel's */
bool sim_chance(unsigned one_in);

/* The current thread computes for so long: time passes, timers fire; gives way as a program would. */
void sim_compute(u64 ns);
/* Time passes for all, nothing else. */
void sim_advance(u64 ns);
/* Call fn(arg) as an interrupt at that time (now_ns() scale; the past = as soon as may be). */
void sim_interrupt_at(u64 at_ns, void (*fn)(void *), void *arg);

/* From now on one in `rate` allocations fails; 0 = none. Returns the former rate. */
unsigned sim_fail_allocations(unsigned rate);

/* What plat_call_gate() says; nothing is there. */
#define SIM_CALL_GATE 0x123456789abcUL

/* What plat_kernel_readable() allows beside RAM. */
extern u64 sim_readable_start, sim_readable_end;

/* Called by plat_flush(), under the address space's pt_lock: until then other CPUs may use what was unmapped. NULL = nothing. */
extern void (*sim_flush_hook)(void);

/* FPU stand-in: the word that the "registers" hold. */
u64 sim_fpu_get(void);
void sim_fpu_set(u64 v);
extern bool sim_fpu_can_trap; /* arch_fpu_trap() works; set while no thread has used the FPU */

#endif
