/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thread switch (kern/arch.h). A stopped thread's callee-saved registers lie on
 * its own stack, below them the address where it goes on (System V ABI, 3.2.1).
 */
    .section .text.arch_switch, "ax", @progbits
    .globl arch_switch
    .type arch_switch, @function
arch_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq (%rsi), %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .size arch_switch, . - arch_switch

/* First entry of a thread: arch_context_init() left fn in rbx and its argument in r12. */
    .globl arch_context_start
    .type arch_context_start, @function
arch_context_start:
    xorl %ebp, %ebp
    movq %r12, %rdi
    callq *%rbx
    ud2
    .size arch_context_start, . - arch_context_start

    .section .note.GNU-stack, "", @progbits
