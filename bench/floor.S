/* SPDX-License-Identifier: Apache-2.0 */
/* The least that a PVH machine can do: say "hello" on its serial port and end. What QEMU itself takes to start. */
    .section .note.Xen, "a", @note
    .balign 4
    .long 4, 8, 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .quad start

    .text
    .code32
    .globl start
start:
    movl $text, %esi
    movw $0x3f8, %dx
1:  lodsb
    testb %al, %al
    jz 2f
    outb %al, %dx
    jmp 1b
2:  movw $0xf4, %dx
    outl %eax, %dx
3:  hlt
    jmp 3b
text:
    .asciz "hello\n"
    .section .note.GNU-stack, "", @progbits
