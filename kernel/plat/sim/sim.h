/* SPDX-License-Identifier: Apache-2.0 */
/* Inside plat/sim. */
#ifndef SIM_IMPL_H
#define SIM_IMPL_H

#include "kern/percpu.h"
#include "kern/thread.h"
#include "sim/sim.h"

#define SIM_MAX_CPUS 8u

extern struct sim_config sim_config;
extern u64 sim_now_ns;
extern struct percpu *sim_cpu; /* the one that has the host thread */
extern struct percpu *sim_cpus[SIM_MAX_CPUS];

/* Swap stacks: the caller's goes to *from_sp. `stack` is the one that `to_sp` lies in, NULL = the host's. */
void sim_swap(void **from_sp, void *to_sp, const void *stack, size_t size);
void *sim_new_stack_pointer(void *stack, size_t size, void (*fn)(void *), void *arg);
/* A place where something else may happen: an event, another CPU. */
void sim_point(void);
void sim_memory_init(void);
/* Leave the machine for the host's stack, until the next sim_run(). */
void sim_leave(void);
void sim_print_threads(void);
NORETURN void sim_exit(int status);

#endif
