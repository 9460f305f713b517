/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How events, faults and system calls come in and go out. Programs run in ring 0 and own their red zone, so
 * nothing may push on their stack: every vector starts on an IST stack and moves at once to the
 * current thread's kernel stack.
 *
 * The IST stack at the first instruction after a stub's pushes (X = the stack's top, 16-aligned):
 *
 *   X + 0   struct percpu *      fixed slot; GS is not trusted here, programs may own it
 *   X - 8   ss
 *   X - 16  rsp
 *   X - 24  rflags
 *   X - 32  cs
 *   X - 40  rip
 *   X - 48  error
 *   X - 56  vector
 *
 * Where an event came from is decided by the instruction pointer alone, in ORIGIN below:
 *   program   the lower half. Frame goes to the top of the kernel stack; GS is swapped.
 *   stub      [stub_start, stub_end): this file. Events are disabled in all of it but at two instructions. The
 *             jump that ends a system call: there every register is the program's already, so it counts as
 *             the program about to run at rcx. The first of the call gate: there every register is the program's still, so it counts
 *             as the program about to execute its call. Anything else in a stub is our mistake and is reported.
 *             NMI, #MC and #DB have their own stacks, save GS by value and resume.
 *   kernel    anything else. Frame goes below the interrupted RSP, which must lie inside the kernel
 *             stack with KSTACK_ROOM left; otherwise the overflow is reported from the IST stack.
 */
#include "arch/frame_asm.h"
#include "plat/layout.h"

    .section .text.stub, "ax", @progbits

/* --- vectors ------------------------------------------------------------------ */

    .globl vector_stubs
    .balign 16
vector_stubs:
    vec = 0
    .rept NR_VECTORS
    .balign 16
    .if (vec == 2) || (vec == 18)
    pushq $0
    pushq $vec
    jmp entry_nmi
    .elseif vec == 1
    pushq $0
    pushq $vec
    jmp entry_debug
    .elseif vec == 8
    pushq $vec
    jmp entry_double_fault
    .elseif (vec >= 10 && vec <= 14) || (vec == 17) || (vec == 21) || (vec == 29) || (vec == 30)
    pushq $vec
    jmp entry_error
    .else
    pushq $0
    pushq $vec
    jmp entry_common
    .endif
    vec = vec + 1
    .endr

/* --- the mover ---------------------------------------------------------------- */

/* With rax, rcx, rdx pushed, relative to rsp */
#define I_RDX 0
#define I_RCX 8
#define I_RAX 16
#define I_VECTOR 24
#define I_ERROR 32
#define I_RIP 40
#define I_CS 48
#define I_RFLAGS 56
#define I_RSP 64
#define I_SS 72
#define I_PERCPU 80

/* The program-or-kernel-or-stub question for `rip`, which it destroys. */
    .macro ORIGIN rip, program, stub
    testq \rip, \rip
    jns \program
    subq $stub_start, \rip
    cmpq $(stub_size), \rip
    jb \stub
    .endm
    stub_size = stub_end_local - vector_stubs /* all of .text.stub is this file */

    .macro COPY from, to
    movq \from(%rsp), %rax
    movq %rax, \to(%rcx)
    .endm

    .balign 16
entry_error:
    testb $8, %spl
    jnz entry_common
    /* INT n is no privilege here: a program can name any vector. The CPU pushes no error code then, which shows in
     * the stack's alignment, and the program gets the general protection fault that it would get in ring 3. */
software_int: /* rsp = error slot, and in it the vector */
    shlq $3, (%rsp)
    addq $2, (%rsp)
    pushq $13
entry_common:
    pushq %rax
    pushq %rcx
    pushq %rdx
    movq I_PERCPU(%rsp), %rdx
    movq I_RIP(%rsp), %rax
    ORIGIN %rax, from_program, from_stub

    /* kernel */
    movq I_RSP(%rsp), %rcx
    movq P_KERNEL_SP(%rdx), %rax
    subq %rcx, %rax
    cmpq $(LAYOUT_KSTACK_SIZE - KSTACK_ROOM), %rax
    ja stack_overflow
    andq $-16, %rcx
    subq $F_SIZE, %rcx
    COPY I_RDX, F_RDX
    COPY I_RCX, F_RCX
    COPY I_RAX, F_RAX
    COPY I_VECTOR, F_VECTOR
    COPY I_ERROR, F_ERROR
    COPY I_RIP, F_RIP
    COPY I_CS, F_CS
    COPY I_RFLAGS, F_RFLAGS
    COPY I_RSP, F_RSP
    COPY I_SS, F_SS
    movq %rcx, %rsp
    call save_rest
    xorl %esi, %esi
    jmp dispatch

from_program:
    swapgs
    cmpb $0, arch_has_fsgsbase(%rip)
    je 1f
    wrgsbase %rdx /* whatever the program did to it */
1:  movq P_KERNEL_SP(%rdx), %rcx
    subq $F_SIZE, %rcx
    COPY I_RDX, F_RDX
    COPY I_RCX, F_RCX
    COPY I_RAX, F_RAX
    COPY I_VECTOR, F_VECTOR
    COPY I_ERROR, F_ERROR
    COPY I_RIP, F_RIP
    COPY I_CS, F_CS
    COPY I_RFLAGS, F_RFLAGS
    COPY I_RSP, F_RSP
    COPY I_SS, F_SS
    movq %rcx, %rsp
    call save_rest
    xorl %ebp, %ebp /* the frame chain ends here */
    movl $1, %esi
dispatch:
    /* QEMU delivers events on an IST stack with a null SS; as SS is part of what it translates code for, it
     * would translate a second time whatever runs in here. */
    movl $SEL_DATA, %eax
    movl %eax, %ss
    cld
    movq %rsp, %rdi
    pushq %rsi /* and with it the ABI's alignment */
    call pc_trap
    popq %rsi
    jmp resume

/* rsp = frame (+ return address): the registers that the mover has not stored. */
save_rest:
    movq %rdi, 8 + F_RDI(%rsp)
    movq %rsi, 8 + F_RSI(%rsp)
    movq %r8, 8 + F_R8(%rsp)
    movq %r9, 8 + F_R9(%rsp)
    movq %r10, 8 + F_R10(%rsp)
    movq %r11, 8 + F_R11(%rsp)
    movq %rbx, 8 + F_RBX(%rsp)
    movq %rbp, 8 + F_RBP(%rsp)
    movq %r12, 8 + F_R12(%rsp)
    movq %r13, 8 + F_R13(%rsp)
    movq %r14, 8 + F_R14(%rsp)
    movq %r15, 8 + F_R15(%rsp)
    movq $-1, 8 + F_ORIG_RAX(%rsp)
    ret

/* rsp = frame, esi = 1 when it is a program's; events disabled. */
resume:
    POP_FIRST
    testl %esi, %esi
    POP_LAST
    jz 1f
    swapgs
1:  iretq

from_stub:
    movq I_RIP(%rsp), %rax
    cmpq $call_gate, %rax
    leaq -2(%r11), %rax /* the `syscall` in front of r11, or the jump in its place */
    je 1f
    cmpq $syscall_exit_jump, I_RIP(%rsp)
    jne bad_stub
    movq I_RCX(%rsp), %rax
1:  movq %rax, I_RIP(%rsp)
    jmp from_program

/* --- reports from the IST stack ------------------------------------------------- */

stack_overflow:
    movl $1, %eax
    jmp 1f
bad_stub:
    xorl %eax, %eax
1:  /* the rest of a frame, below what is there */
    movq %rdx, %r8 /* percpu; the old r8 is lost */
    popq %rdx
    popq %rcx
    xchgq %rax, (%rsp) /* old rax; the reason waits in its place */
    popq %r9
    pushq $-1
    PUSH_REGISTERS
    movl %r9d, %r12d
    movq %r8, %rax
    movq %r8, %rdx
    shrq $32, %rdx
    movl $0xc0000101, %ecx
    wrmsr
    movq %rsp, %rdi
    movl %r12d, %esi
    cld
    andq $-16, %rsp
    call pc_bad_entry
    ud2

/* --- NMI, #MC, #DF; #DB in the kernel -------------------------------------------- */

entry_double_fault:
    testb $8, %spl
    jz software_int
    jmp entry_paranoid

entry_nmi: /* no error code tells INT 2 and INT 18 from the events, so look for the instruction */
    testb $0x80, 16 + 7(%rsp)
    jnz entry_paranoid
    pushq %rax
    movq 24(%rsp), %rax
    cmpb $0xcd, -2(%rax)
    popq %rax
    jne entry_paranoid
    popq (%rsp)
    jmp software_int

entry_debug:
    testb $0x80, 16 + 7(%rsp) /* sign of rip */
    jz entry_common           /* the layout of this stack is the same */
entry_paranoid:
    pushq $-1
    PUSH_REGISTERS
    cld
    movl $0xc0000101, %ecx
    rdmsr
    movl %eax, %r12d
    movl %edx, %r13d
    movq F_SIZE(%rsp), %rax /* the slot above the frame */
    movq %rax, %rdx
    shrq $32, %rdx
    wrmsr
    movq %rsp, %rdi
    pushq %rax
    call pc_paranoid_trap
    popq %rax
    movl $0xc0000101, %ecx
    movl %r12d, %eax
    movl %r13d, %edx
    wrmsr
    POP_FIRST
    POP_LAST
    iretq

/* --- system calls ----------------------------------------------------------------- */

/* The rest of a frame, above the return address. */
    .macro PUSH_REST
    pushq $0
    pushq $0
    pushq %rax
    PUSH_REGISTERS
    .endm

/* LSTAR: rcx = return address, r11 = rflags; FMASK has cleared IF, DF, TF, NT, AC. */
    .globl syscall_entry
    .balign 16
syscall_entry:
    swapgs
    movq %rsp, %gs:P_SCRATCH
    movq %gs:P_KERNEL_SP, %rsp
    pushq $SEL_DATA
    pushq %gs:P_SCRATCH
    pushq %r11
    pushq $SEL_CODE
    pushq %rcx
    PUSH_REST
    movq trap_handlers + TH_SYSCALL_TRAPPED(%rip), %rax
    jmp syscall_body

/* plat_call_gate(): a thunk jumped here instead of executing `syscall`. rcx = where to go back to, r11 = the address
 * behind the call in the program's text. */
    .globl call_gate
    .balign 16
call_gate:
    cli
    swapgs
    movq %rsp, %gs:P_SCRATCH
    movq %gs:P_KERNEL_SP, %rsp
    pushq $SEL_DATA
    pushq %gs:P_SCRATCH
    pushfq
    pushq $(SEL_CODE | FRAME_GATED)
    pushq %r11
    PUSH_REST
    orl $0x200, F_RFLAGS(%rsp) /* IF, as it was */
    incq %gs:P_CALLS_GATED
    movq trap_handlers + TH_SYSCALL(%rip), %rax
    testl $0x44400, F_RFLAGS(%rsp) /* AC, NT, DF: what FMASK would clear; TF does not come here (kern/callsite.h) */
    jz syscall_body
    pushq $2
    popfq
    jmp syscall_body

syscall_worked: /* exit work or a switch may have changed every register of the frame */
    RESTORE_KEPT
    movq F_RCX(%rsp), %rcx
    testl $FRAME_GATED, F_CS(%rsp)
    jnz 1f
    cmpq F_RIP(%rsp), %rcx
    jne exit_slow
    movq F_RFLAGS(%rsp), %r11
    cmpq F_R11(%rsp), %r11
    jne exit_slow
1:  shrq $47, %rcx
    jnz exit_slow
syscall_exit:
    RESTORE_FAST exit_slow
    swapgs
    movq F_RSP(%rsp), %rsp
    sti
    .globl syscall_exit_jump
syscall_exit_jump: /* still in STI's shadow, unless an NMI came between */
    jmp *%rcx

/* pc_enter_program(frame): continue as if the system call that left this frame, at its
 * place on top of the kernel stack, were about to return. Events disabled. */
    .globl pc_enter_program
pc_enter_program:
    movq %rdi, %rsp
    xorl %ebp, %ebp
    movq %rsp, %rdi
    subq $8, %rsp
    call trap_before_program
    addq $8, %rsp
exit_slow:
    movq %rsp, %rdi
    subq $8, %rsp
    call pc_check_program_frame
    addq $8, %rsp
    movl $1, %esi
    jmp resume

stub_end_local:

/* Not a stub: GS and the stack are the kernel's and events come here. rsp = frame. */
    .section .text.syscall_body, "ax", @progbits
    .balign 16
syscall_body: /* rax = handler */
    xorl %ebp, %ebp
    movq %rsp, %rdi
    subq $8, %rsp
    sti
    call *%rax
    cli
    addq $8, %rsp
    /* trap_before_program() has nothing to do? */
    movq %gs:P_CURRENT, %rax
    cmpb $0, %gs:P_NEED_RESCHED
    jne 1f
    cmpl $0, T_EXIT_WORK(%rax)
    jne 1f
    cmpq %rax, %gs:P_FPU_FOR
    je syscall_exit
1:  movq %rsp, %rdi
    subq $8, %rsp
    call trap_before_program
    addq $8, %rsp
    jmp syscall_worked

    .section .note.GNU-stack, "", @progbits
