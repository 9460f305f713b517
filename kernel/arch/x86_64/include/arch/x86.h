/* SPDX-License-Identifier: Apache-2.0 */
/* What x86-64 gives beyond kern/arch.h, to its platforms. */
#ifndef ARCH_X86_H
#define ARCH_X86_H

#include "base/types.h"

extern u8 arch_fast_strings; /* REP MOVSB is worth its start-up cost; set by arch_detect() */
extern u8 arch_has_fsgsbase; /* pc: RDFSBASE and friends are enabled */

/* Look at the CPU's features; returns CPUID leaf 7's EBX. */
u32 arch_detect(void);
/* The platform: enable these XCR0 features (Intel SDM volume 1, 13.3) as far as may be. Returns those that are. */
u32 arch_fpu_enable(u32 features);

/* Once on each CPU: control registers and the flags above. */
void arch_init_cpu(void);

/* The platform: address of this CPU's latest page fault, for reports. */
u64 arch_last_fault(void);

#endif
