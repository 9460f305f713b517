/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the PVH entry (32-bit protected mode, paging off, ebx = physical address of
 * hvm_start_info; Xen's docs/misc/pvh.pandoc) to C in long mode. Temporary tables map the first 4 MiB
 * both at their physical addresses and at the kernel's; paging.c replaces them.
 */
#include "plat/layout.h"

#define PHYS(x) ((x) - KERNEL_BASE)

    .section .note.Xen, "a", @note
    .balign 4
    .long 2f - 1f, 4f - 3f, 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
1:  .asciz "Xen"
2:  .balign 4
3:  .quad PHYS(pvh_start)
4:  .balign 4

    .section .bss..boot_tables, "aw", @nobits
    .balign 4096
    .globl kernel_pml4, kernel_pdpt, kernel_pd, boot_gdt
kernel_pml4: .skip 4096
kernel_pdpt: .skip 4096
kernel_pd:   .skip 4096

    .section .bss..noinit, "aw", @nobits
    .balign 4096
    .globl boot_stack_guard, boot_stack, boot_stack_top
boot_stack_guard: .skip 4096 /* unmapped by paging.c */
boot_stack: .skip LAYOUT_KSTACK_SIZE
boot_stack_top:

    .section .text.boot32, "ax", @progbits
    .code32
    .globl pvh_start
    .type pvh_start, @function
pvh_start:
    cli
    cld
    movl $PHYS(boot_stack_top), %esp

    /* Is this a 64-bit CPU that knows no-execute? (edx bits 29 and 20 of leaf 0x80000001) */
    movl %ebx, %ebp
    movl $0x80000000, %eax
    cpuid
    cmpl $0x80000001, %eax
    jb no_long_mode
    movl $0x80000001, %eax
    cpuid
    andl $0x20100000, %edx
    cmpl $0x20100000, %edx
    jne no_long_mode

    movl $PHYS(boot_tables_start), %edi
    movl $PHYS(boot_tables_end), %ecx
    subl %edi, %ecx
    shrl $2, %ecx
    xorl %eax, %eax
    rep stosl

    movl $PHYS(kernel_pdpt) + 3, %eax
    movl %eax, PHYS(kernel_pml4)
    movl %eax, PHYS(kernel_pml4) + 511 * 8
    movl $PHYS(kernel_pd) + 3, %eax
    movl %eax, PHYS(kernel_pdpt)
    movl %eax, PHYS(kernel_pdpt) + 510 * 8
    movl $0x1e3, PHYS(kernel_pd)              /* present, writable, accessed, dirty, large, global */
    movl $0x200000 + 0x1e3, PHYS(kernel_pd) + 8
    andl $~0x100, PHYS(kernel_pd)             /* not global: these go away */
    andl $~0x100, PHYS(kernel_pd) + 8

    movl %cr4, %eax
    orl $0x6a0, %eax                          /* PAE, PGE, OSFXSR, OSXMMEXCPT */
    movl %eax, %cr4
    movl $PHYS(kernel_pml4), %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx                    /* EFER */
    rdmsr
    orl $0x901, %eax                          /* NXE, LME, SCE */
    wrmsr
    movl $0x80010033, %eax                    /* PG, WP, NE, ET, MP, PE */
    movl %eax, %cr0
    lgdt PHYS(boot_gdt_pointer)
    ljmp $8, $PHYS(long_mode)

no_long_mode:
    movl $PHYS(no_long_mode_text), %esi
    movw $0x3f8, %dx
1:  lodsb
    testb %al, %al
    jz 2f
    outb %al, %dx
    jmp 1b
2:  movb $0xfe, %al /* keyboard controller's reset, then a triple fault */
    outb %al, $0x64
    lidt PHYS(no_idt)
    ud2
no_idt:
    .word 0
    .long 0
no_long_mode_text:
    .asciz "drupe: this CPU has no 64-bit mode or no no-execute bit (give the machine another CPU model)\r\n"

    .balign 8
boot_gdt:
    .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff, 0x00cf9b000000ffff
boot_gdt_pointer:
    .word 31
    .long PHYS(boot_gdt)

    .code64
long_mode:
    movabsq $1f, %rax
    jmp *%rax
1:  movl $0x10, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movq $boot_stack_top, %rsp
    movq $bss_start, %rdi
    movq $bss_end, %rcx
    subq %rdi, %rcx
    shrq $3, %rcx
    rep stosq
    movl %ebp, %edi
    xorl %ebp, %ebp
    callq pc_boot
    ud2
    .size pvh_start, . - pvh_start

    .section .note.GNU-stack, "", @progbits
