/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies from and to program memory (kern/arch.h). Every instruction that touches it
 * is listed in the exception table with the place to go on when the fault cannot be
 * resolved. The callers have checked that the range is a program's.
 *
 * Blocks of 32 bytes, then words, then half a word, then bytes. A fault in a block or word goes on byte by
 * byte, so that the count of bytes not copied is exact.
 */
    .macro EX from, to
    .pushsection .ex_table, "a", @progbits
    .long \from - .
    .long \to - .
    .popsection
    .endm

    .section .text.arch_copy_user, "ax", @progbits
    .globl arch_copy_user
    .type arch_copy_user, @function
arch_copy_user: /* rdi dst, rsi src, rdx n */
    cmpq $1024, %rdx
    jae 8f
1:  subq $32, %rdx
    jb 3f
2:
20: movq (%rsi), %rax
21: movq 8(%rsi), %rcx
22: movq 16(%rsi), %r8
23: movq 24(%rsi), %r9
24: movq %rax, (%rdi)
25: movq %rcx, 8(%rdi)
26: movq %r8, 16(%rdi)
27: movq %r9, 24(%rdi)
    addq $32, %rsi
    addq $32, %rdi
    subq $32, %rdx
    jae 2b
3:  addq $24, %rdx
    jnc 5f
4:
40: movq (%rsi), %rax
41: movq %rax, (%rdi)
    addq $8, %rsi
    addq $8, %rdi
    subq $8, %rdx
    jae 4b
5:  addq $8, %rdx
    jz 7f
    cmpq $4, %rdx
    jb 6f
50: movl (%rsi), %eax
51: movl %eax, (%rdi)
    addq $4, %rsi
    addq $4, %rdi
    subq $4, %rdx
    jz 7f
6:
60: movb (%rsi), %al
61: movb %al, (%rdi)
    incq %rsi
    incq %rdi
    decq %rdx
    jnz 6b
7:  movq %rdx, %rax
    ret
8:  cmpb $0, arch_fast_strings(%rip)
    je 1b
    movq %rdx, %rcx
80: rep movsb
    movq %rcx, %rax
    ret
/* restarts: rdx is 32 (a block) or 8 (a word) short of what is left */
90: addq $32, %rdx
    jmp 6b
91: addq $8, %rdx
    jmp 6b
92: movq %rcx, %rax
    ret
    EX 20b, 90b
    EX 21b, 90b
    EX 22b, 90b
    EX 23b, 90b
    EX 24b, 90b
    EX 25b, 90b
    EX 26b, 90b
    EX 27b, 90b
    EX 40b, 91b
    EX 41b, 91b
    EX 50b, 6b
    EX 51b, 6b
    EX 60b, 7b
    EX 61b, 7b
    EX 80b, 92b
    .size arch_copy_user, . - arch_copy_user

    .section .text.arch_zero_user, "ax", @progbits
    .globl arch_zero_user
    .type arch_zero_user, @function
arch_zero_user: /* rdi dst, rsi n */
    xorl %eax, %eax
    subq $8, %rsi
    jb 2f
1:
10: movq %rax, (%rdi)
    addq $8, %rdi
    subq $8, %rsi
    jae 1b
2:  addq $8, %rsi
    jz 4f
3:
30: movb %al, (%rdi)
    incq %rdi
    decq %rsi
    jnz 3b
4:  movq %rsi, %rax
    ret
90: addq $8, %rsi
    jmp 3b
    EX 10b, 90b
    EX 30b, 4b
    .size arch_zero_user, . - arch_zero_user

    .section .text.arch_strnlen_user, "ax", @progbits
    .globl arch_strnlen_user
    .type arch_strnlen_user, @function
arch_strnlen_user: /* rdi string, rsi max, rdx bool *ret_fault */
    xorl %eax, %eax
    movb $0, (%rdx)
1:  cmpq %rsi, %rax
    jae 2f
10: cmpb $0, (%rdi, %rax)
    je 2f
    incq %rax
    jmp 1b
2:  ret
90: movb $1, (%rdx)
    ret
    EX 10b, 90b
    .size arch_strnlen_user, . - arch_strnlen_user

    .section .text.arch_cas_user_u32, "ax", @progbits
    .globl arch_cas_user_u32
    .type arch_cas_user_u32, @function
arch_cas_user_u32: /* rdi p, esi expected, edx desired, rcx u32 *ret_old */
    movl %esi, %eax
10: lock cmpxchgl %edx, (%rdi)
    movl %eax, (%rcx)
    xorl %eax, %eax
    ret
90: movl $-14, %eax /* EFAULT */
    ret
    EX 10b, 90b
    .size arch_cas_user_u32, . - arch_cas_user_u32

    .section .note.GNU-stack, "", @progbits
