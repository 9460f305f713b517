/* SPDX-License-Identifier: Apache-2.0 */
/* Offsets that assembly uses, in bytes; arch/x86_64/arch.c checks each against the C definitions. */
#ifndef ARCH_FRAME_OFFSETS_H
#define ARCH_FRAME_OFFSETS_H

#define F_R15 0
#define F_R14 8
#define F_R13 16
#define F_R12 24
#define F_RBP 32
#define F_RBX 40
#define F_R11 48
#define F_R10 56
#define F_R9 64
#define F_R8 72
#define F_RAX 80
#define F_RCX 88
#define F_RDX 96
#define F_RSI 104
#define F_RDI 112
#define F_ORIG_RAX 120
#define F_VECTOR 128
#define F_ERROR 136
#define F_RIP 144
#define F_CS 152
#define F_RFLAGS 160
#define F_RSP 168
#define F_SS 176
#define F_SIZE 184
#define FRAME_GATED 0x10000 /* arch/frame.h */
#define FRAME_FLAGS_RARE 0xfffff728 /* anything but arithmetic flags (and the always-one bit) */

/* struct percpu */
#define P_CURRENT 8
#define P_KERNEL_SP 16
#define P_SCRATCH 24
#define P_CALLS_GATED 32
#define P_NEED_RESCHED 54
#define P_FPU_FOR 112
#define P_PLAT 128

/* struct thread */
#define T_EXIT_WORK 16

/* struct trap_handlers */
#define TH_SYSCALL 16
#define TH_SYSCALL_TRAPPED 32

#endif
