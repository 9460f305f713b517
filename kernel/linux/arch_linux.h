/* SPDX-License-Identifier: Apache-2.0 */
/* What the personality needs of the instruction set beyond kern/arch.h; x86_64.c. */
#ifndef LINUX_ARCH_LINUX_H
#define LINUX_ARCH_LINUX_H

#include "arch/frame.h"
#include "kern/types.h"

#define ARCH_AUDIT 0xc000003eu /* AUDIT_ARCH_X86_64 */

struct ksiginfo;
struct trap_info;

/* System call arguments. */
#define FRAME_ARG0(f) ((f)->rdi)
#define FRAME_ARG1(f) ((f)->rsi)
#define FRAME_ARG2(f) ((f)->rdx)
#define FRAME_ARG3(f) ((f)->r10)
#define FRAME_ARG4(f) ((f)->r8)
#define FRAME_ARG5(f) ((f)->r9)

/* The frame of a new thread: the caller's with result 0 and, unless 0, another stack. */
void arch_set_clone_frame(struct trap_frame *f, u64 stack);
/* Where rt_sigreturn(2) with this frame finds the mask of signals. */
u64 arch_sigreturn_mask(const struct trap_frame *f);
/* The frame left by a system call (and not by an interrupt or a fault). */
bool arch_frame_in_syscall(const struct trap_frame *f);
/* From here on the frame counts as no system call any more: no restart. */
void arch_frame_leave_syscall(struct trap_frame *f);
void arch_frame_pass_point(struct trap_frame *f); /* the instruction there is executed even if a debug register names it */
/* Of FPU state from outside, keep what the CPU takes: these components, no unknown bits. */
void arch_fpu_clean(u8 *area, u64 components);
/* Registers as lines of text; returns the length needed. */
size_t arch_show_registers(const struct trap_frame *f, char *buf, size_t size);
/* si_code of a floating-point exception of the current thread. */
int arch_fpu_code(bool simd);
/* Registers as programs of kern/bpf.h see them. */
struct bpfd_regs_ctx;
extern const s16 arch_bpf_call_words[8]; /* bpf_personality.words */
void arch_bpf_registers(const struct trap_frame *f, struct bpfd_regs_ctx *ret);
/* By DWARF's numbers for x86-64: rax rdx rcx rbx rsi rdi rbp rsp r8 ... r15 rip. */
void arch_dwarf_registers(const struct trap_frame *f, u64 ret[17]);

#endif
