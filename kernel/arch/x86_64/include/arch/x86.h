/* SPDX-License-Identifier: Apache-2.0 */
/* What x86-64 gives beyond kern/arch.h, to its platforms. */
#ifndef ARCH_X86_H
#define ARCH_X86_H

#include "base/types.h"

/* Set by arch_init_cpu(). */
extern u8 arch_fast_strings; /* REP MOVSB is worth its start-up cost */
extern u8 arch_has_fsgsbase; /* RDFSBASE and friends are enabled */

/* Once on each CPU: control registers and the flags above. */
void arch_init_cpu(void);

#endif
