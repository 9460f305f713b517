/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How every CPU but the first begins: in real mode at physical address 0, where smp.c has put a copy of ap_trampoline (page 0 is
 * nobody's; Intel SDM volume 3, 8.4). From there through protected mode into the kernel's text where it lies physically, which
 * kernel_pml4 maps as long as CPUs are being started (pc_paging_identity()), and up. All may come at once: each finds
 * its stack by its APIC's number.
 */
#include "arch/frame_offsets.h"
#include "plat/layout.h"

#define PHYS(x) ((x) - KERNEL_BASE)

    .section .rodata.ap_trampoline, "a", @progbits
    .code16
    .globl ap_trampoline, ap_trampoline_end
ap_trampoline:
    cli
    xorw %ax, %ax
    movw %ax, %ds
    lgdtl 1f - ap_trampoline
    movl $0x11, %eax /* ET, PE */
    movl %eax, %cr0
    ljmpl $SEL_CODE32, $PHYS(ap_start32)
    .balign 4
1:  .word 31
    .long PHYS(boot_gdt)
ap_trampoline_end:

    .section .text.boot32, "ax", @progbits
    .code32
ap_start32:
    movl $SEL_DATA, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    xorl %eax, %eax
    movl %eax, %fs
    movl %eax, %gs
    movl $0x620, %eax /* PAE, OSFXSR, OSXMMEXCPT; no PGE: what is global in these tables does not stay here */
    movl %eax, %cr4
    movl $PHYS(kernel_pml4), %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx /* EFER */
    rdmsr
    orl $0x901, %eax /* NXE, LME, SCE */
    wrmsr
    movl $0x80010033, %eax /* PG, WP, NE, ET, MP, PE */
    movl %eax, %cr0
    ljmp $SEL_CODE, $PHYS(ap_start64)

    .code64
ap_start64:
    movabsq $1f, %rax
    jmp *%rax
1:  movl $1, %eax
    cpuid
    shrl $24, %ebx
    movl %ebx, %eax
    movq $pc_cpu_apic_ids, %rdi
    movl $LAYOUT_MAX_CPUS, %ecx
    repne scasb
    jne 2f
    subq $pc_cpu_apic_ids + 1, %rdi
    movq percpu_table(,%rdi,8), %rdi
    testq %rdi, %rdi
    jz 2f
    movq P_KERNEL_SP(%rdi), %rsp
    movq %cr4, %rax
    orl $0x80, %eax /* PGE, and with it a flush */
    movq %rax, %cr4
    xorl %ebp, %ebp
    callq pc_cpu_main
2:  cli /* nobody's */
    hlt
    jmp 2b

    .section .note.GNU-stack, "", @progbits
