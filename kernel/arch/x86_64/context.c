/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of kern/arch.h that need no privilege: they also run inside an ordinary process. */
#include "arch/cpu.h"
#include "kern/arch.h"

void arch_context_start(void);

void arch_context_init(struct arch_context *ctx, void *stack, size_t size_bytes, void (*fn)(void *), void *arg)
{
    /* The place of the program's registers stays free: arch_enter_program() fills it from this stack. */
    u64 *sp = (u64 *)ALIGN_DOWN((u64)stack + size_bytes - sizeof(struct trap_frame), 16);
    *--sp = 0; /* where a return address would be: keeps the ABI's alignment at the call */
    *--sp = 0;
    *--sp = (u64)arch_context_start;
    *--sp = 0;         /* rbp */
    *--sp = (u64)fn;   /* rbx */
    *--sp = (u64)arg;  /* r12 */
    *--sp = 0;         /* r13 */
    *--sp = 0;         /* r14 */
    *--sp = 0;         /* r15 */
    ctx->sp = sp;
}

const u64 *arch_context_frame(const struct arch_context *ctx) { return (const u64 *)ctx->sp + 5; } /* as arch_switch() left it */

u64 arch_cycles(void) { return rdtsc(); }
