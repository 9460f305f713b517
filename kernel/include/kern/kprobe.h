/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Breakpoints in the kernel's own text, for probes (bpf/kprobe.c). One byte is written; a thread that runs into it goes on in a copy of the
 * instruction (a thunk). Nothing of this is there until somebody sets one, and what was set once keeps its thunk.
 *
 *   N1  Text that runs between a breakpoint and kprobe_trap()'s look at `busy`, on a stack of an exception's own, or while a CPU changes stacks
 *       has none: it lies in [noprobe_start, noprobe_end): entry code, arch_switch(), what touches programs' memory, and what is NOPROBE.
 *   N2  Anything else may be probed, whatever programs call: a CPU that is in a probe passes others, and counts them as missed.
 */
#ifndef KERN_KPROBE_H
#define KERN_KPROBE_H

#include "kern/types.h"

#define NOPROBE __attribute__((section(".text.noprobe"), noinline))

struct trap_frame;

/* The kernel ran into a breakpoint; the frame's pc is behind it. True: it is dealt with. Events disabled. NULL where there are no probes. */
bool kprobe_trap(struct trap_frame *frame) __attribute__((weak));

/* What is in its place where a function that began at `frame` (as arch_walk_frames() wants it) returns to the probes' trampoline. Any context. */
u64 kprobe_true_return(const u64 *frame, u64 value);

/* Names in the other direction (trace/symbols.c): where the function that contains addr begins, and where one of that name is. 0: unknown. */
u64 symbol_start(u64 addr);
u64 symbol_find(const char *name);

/* Length of the instruction at code; 0: it is none. */
unsigned arch_insn_length(const u8 *code);

/* Change kernel text, for all CPUs. Other CPUs may be running it: one byte of an instruction, or what nobody runs yet. 0 or -ENOMEM. Threads. */
int plat_text_write(void *at, const void *bytes, size_t n);

#endif
