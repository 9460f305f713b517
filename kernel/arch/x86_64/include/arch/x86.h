/* SPDX-License-Identifier: Apache-2.0 */
/* What x86-64 gives beyond kern/arch.h, to its platforms and to the personality's x86-64 files. */
#ifndef ARCH_X86_H
#define ARCH_X86_H

#include "base/types.h"

/* Set by arch_init_cpu(). */
extern u8 arch_fast_strings; /* REP MOVSB is worth its start-up cost */
extern u8 arch_has_fsgsbase; /* RDFSBASE and friends are enabled */

/* Once on each CPU: control registers and the flags above. */
void arch_init_cpu(void);
/* Take out of an XSAVE (or FXSAVE) area whatever XRSTOR would fault on. For areas that a program supplied. */
void arch_fpu_sanitize(void *area);
/* XCR0, for XSTATE_BV and the signal frame's software bytes; 0 = FXSAVE only. */
u64 arch_fpu_features(void);

#endif
