/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registers of a program (or of interrupted kernel code) as entry code
 * leaves them on the thread's kernel stack. Assembly knows these offsets:
 * arch/x86_64/frame_offsets.h checks them.
 *
 *   low   r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi
 *         orig_rax  (system call number in its low half, or -1 for any other entry)
 *         vector error   (exceptions and interrupts; 0 for system calls)
 *   high  rip cs rflags rsp ss     (what the CPU pushes)
 */
#ifndef ARCH_FRAME_H
#define ARCH_FRAME_H

#include "arch/frame_offsets.h"
#include "base/types.h"

struct trap_frame {
    u64 r15, r14, r13, r12, rbp, rbx;
    u64 r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
    u64 orig_rax;
    u64 vector, error;
    u64 rip, cs, rflags, rsp, ss;
};

/*
 * FRAME_GATED is set in `cs` of a call that came through the gate (plat_call_gate()): rip is the place behind the system call in
 * the program's text, which is what everybody should see, but the way back is rcx, which may lie in a thunk.
 * Whoever changes rip calls frame_leave_gate().
 */

static inline void frame_enter_gate(struct trap_frame *f, u64 back)
{
    f->rcx = back;
    f->cs |= FRAME_GATED;
}
static inline void frame_leave_gate(struct trap_frame *f) { f->cs &= ~(u64)FRAME_GATED; }
#define FRAME_STEPPING(f) (((f)->rflags & 0x100) != 0)

#define FRAME_SYSCALL_NR(f) ((s32)FRAME_SYSCALL_REG(f)) /* as Linux takes it; negative: no call */
#define FRAME_SYSCALL_REG(f) ((f)->orig_rax)
/* By an event that is none of the program's doing: no call, and no exception (vectors below 32). */
#define FRAME_INTERRUPTED(f) (FRAME_SYSCALL_NR(f) < 0 && (f)->vector >= 32)
#define FRAME_RESULT(f) ((f)->rax)
#define FRAME_PC(f) ((f)->rip)
#define FRAME_SP(f) ((f)->rsp)
#define FRAME_FP(f) ((f)->rbp) /* frame pointer */

#endif
