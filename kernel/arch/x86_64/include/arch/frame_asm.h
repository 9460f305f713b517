/* SPDX-License-Identifier: Apache-2.0 */
/* For entry.S of each platform: the registers of a struct trap_frame (arch/frame.h), pushed and popped in its order. */
#ifndef ARCH_FRAME_ASM_H
#define ARCH_FRAME_ASM_H

#include "arch/frame_offsets.h"

/* All below orig_rax, which is what was pushed last. */
    .macro PUSH_REGISTERS
    pushq %rdi
    pushq %rsi
    pushq %rdx
    pushq %rcx
    pushq %rax
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    .endm

/* All but rsi and rdi, which POP_LAST takes, and behind them IRETQ may follow. Neither changes flags. */
    .macro POP_FIRST
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rax
    popq %rcx
    popq %rdx
    .endm
    .macro POP_LAST
    popq %rsi
    popq %rdi
    leaq 24(%rsp), %rsp
    .endm

/* What C keeps, but for rbp, which RESTORE_FAST takes: before that, where the frame may have changed meanwhile. */
    .macro RESTORE_KEPT
    movq F_R15(%rsp), %r15
    movq F_R14(%rsp), %r14
    movq F_R13(%rsp), %r13
    movq F_R12(%rsp), %r12
    movq F_RBX(%rsp), %rbx
    .endm

/*
 * The short way behind a system call: rcx and r11 may hold the return address and flags, and nothing needs IRET's atomicity (TF) or POPF;
 * else to the label `slow`. rsp = frame. Restores the flags and the registers that C has not kept, but for rsp; r11 = the flags.
 */
    .macro RESTORE_FAST slow
    movq F_RFLAGS(%rsp), %r11
    movl %r11d, %ecx
    andl $FRAME_FLAGS_RARE, %ecx
    cmpl $0x200, %ecx /* IF */
    jne \slow
    movl %r11d, %ecx
    btl $11, %ecx
    setc %al
    movb %cl, %ah
    addb $0x7f, %al /* OF */
    sahf            /* SF, ZF, AF, PF, CF; from here on nothing changes flags */
    movq F_RBP(%rsp), %rbp
    movq F_R10(%rsp), %r10
    movq F_R9(%rsp), %r9
    movq F_R8(%rsp), %r8
    movq F_RAX(%rsp), %rax
    movq F_RDX(%rsp), %rdx
    movq F_RSI(%rsp), %rsi
    movq F_RDI(%rsp), %rdi
    movq F_RCX(%rsp), %rcx
    .endm

#endif
