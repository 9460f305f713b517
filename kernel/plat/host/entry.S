/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How events, faults and system calls come in and go out. A signal starts on the CPU's signal stack; host_signal() (trap.c)
 * decides there where it came from and builds the frame on the thread's kernel stack, with the program's FPU state back in the
 * registers; from then on nothing remembers that there was a signal. Programs are left by IRETQ, which any privilege level
 * may execute towards itself, or by a jump after a system call: no call of Linux is needed. Events, which others send as
 * often as they like, are blocked on the signal stack, or it would overflow; they are taken by rt_sigreturn to host_taken.
 *
 * Where an event came from is decided by the instruction pointer:
 *   gate_start .. gate_end    a system call is half in: the event is noted (P_PENDING), and looked at behind the gate.
 *   leave_start .. leave_end  a program is half out: its frame is still whole on top of the kernel stack, and counts.
 *   back_start .. back_end    kernel code is about to be resumed: noted.
 *   other kernel text         kernel; everything else: program
 * and anything that interrupts the signal stack is noted, too.
 */
#include "arch/frame_asm.h"
#include "plat/layout.h"

#define NR_RT_SIGRETURN 15
#define NR_PPOLL 271
#define EINTR 4
#define FLAGS_UNWANTED 0x44100 /* AC, NT, TF: not while the kernel runs */

    .section .text.start, "ax", @progbits
    .globl host_start
host_start:
    xorl %ebp, %ebp
    movq %rsp, %rdi
    andq $-16, %rsp
    call host_boot_early /* does not return; goes on in host_enter */
    ud2

/* host_enter(stack_top, fn): leave the stack that Linux gave. */
    .globl host_enter
host_enter:
    movq %rdi, %rsp
    xorl %ebp, %ebp
    callq *%rsi
    ud2

/* --- calls to Linux --------------------------------------------------------------- */

    .globl host_call, host_call_end
    .type host_call, @function
host_call: /* rdi number, then six arguments */
    movq %rdi, %rax
    movq %rsi, %rdi
    movq %rdx, %rsi
    movq %rcx, %rdx
    movq %r8, %r10
    movq %r9, %r8
    movq 8(%rsp), %r9
host_call_insn:
    syscall
host_call_end: /* the filter compares with this address */
    ret

/* ppoll(fds rdi, n rsi, timeout rdx) unless something is pending; host_signal() skips the call
 * when it interrupts between the look and the call. Events disabled. */
    .globl host_wait, host_wait_check, host_wait_end, host_wait_skip
    .type host_wait, @function
host_wait:
    xorl %r10d, %r10d
    movl $8, %r8d
    movl $NR_PPOLL, %eax
host_wait_check:
    cmpb $0, %gs:P_PENDING
    jne host_wait_skip
    syscall
host_wait_end:
    ret
host_wait_skip:
    movq $-EINTR, %rax
    ret

/* A new thread, on the stack that clone() was told of, in a seat's block. */
    .globl host_clone_start
host_clone_start:
    xorl %ebp, %ebp
    movq %rsp, %rdi
    andq $-SIGSTACK_SIZE, %rdi /* its seat */
    movq (%rdi), %rax
    wrgsbase %rax
    andq $-16, %rsp
    call host_clone_main
    ud2

/* --- signals ------------------------------------------------------------------------- */

    .globl host_signal_entry
host_signal_entry: /* edi signal, rsi siginfo, rdx ucontext; the restorer's address on top */
    pushq $2 /* Linux leaves AC and NT as the program had them: alignment faults, and an IRET that faults */
    popfq
    movq %rsp, %rcx
    andq $-SIGSTACK_SIZE, %rcx /* this thread's seat */
    cmpb $0, host_gs_shared(%rip)
    je 1f
    movq (%rcx), %rax
    wrgsbase %rax
1:  xorl %ebp, %ebp
    subq $8, %rsp
    call host_signal /* rax = frame or 0, rdx = from a program? */
    testq %rax, %rax
    jz 2f
    movq %rax, %rsp
    movq %rdx, %rsi
    .globl host_taken
host_taken: /* rsp = frame, rsi = from a program?; events disabled */
    xorl %ebp, %ebp
    movq %rsp, %rdi
    testq %rsi, %rsi
    jnz 3f
    movq F_RBP(%rsp), %rbp
3:  pushq %rsi
    call host_trap
    popq %rsi
    testl %esi, %esi
    jnz leave
    jmp back
2:  addq $16, %rsp
    .globl host_signal_return
host_signal_return: /* the restorer of all handlers */
    movl $NR_RT_SIGRETURN, %eax
    jmp host_call_insn

/* --- back to kernel code: rsp = frame, events disabled ------------------------------- */

back:
    movq F_ORIG_RAX(%rsp), %rax /* events_off of the interrupted code */
    testb %al, %al
    jnz 1f
    cmpb $0, %gs:P_PENDING /* it may not enable events for long, and would not be interrupted again meanwhile */
    jne back_pending
1:
    .globl back_start, back_end
back_start:
    movb %al, %gs:P_EVENTS_OFF
    POP_FIRST
    POP_LAST
    iretq
back_end:

back_pending:
    subq $8, %rsp
    call host_take_pending
    addq $8, %rsp
    jmp back

/* --- to a program ---------------------------------------------------------------------- */

/* host_enter_program(frame): as if the event that left this frame, at its place on top of the kernel
 * stack, were about to be over. Events disabled. */
    .globl host_enter_program
host_enter_program:
    movq %rdi, %rsp
leave: /* rsp = frame, events disabled */
    movq %rsp, %rdi
    subq $8, %rsp
    call host_before_program
    addq $8, %rsp
    .globl leave_start, leave_end
leave_start:
    testb %al, %al /* a jump costs a tenth of IRETQ */
    jnz syscall_worked
leave_iret:
    movb $0, %gs:P_EVENTS_OFF
    cmpb $0, %gs:P_PENDING
    jne leave_pending
    cmpb $0, host_gs_shared(%rip)
    je 1f
    movq %gs:P_PROGRAM_GS, %rax
    wrgsbase %rax
1:  POP_FIRST
    POP_LAST
    iretq

syscall_worked: /* exit work or a switch may have changed every register of the frame */
    RESTORE_KEPT
syscall_exit:
    movb $0, %gs:P_EVENTS_OFF
    cmpb $0, %gs:P_PENDING
    jne leave_pending
    RESTORE_FAST leave_iret
    movq F_RSP(%rsp), %rsp
    jmp *%rcx
leave_end:

leave_pending:
    movb $1, %gs:P_EVENTS_OFF
    jmp leave

/* --- system calls ------------------------------------------------------------------------- */

/* plat_call_gate(): thunks jump here. rax = number, rcx = where to go back to, r11 = the address behind the call in the program's
 * text, everything else the program's; flags, too. */
    .globl host_gate, host_gate_trap
host_gate:
    jmp *host_gate_target(%rip)
host_gate_trap: /* GS is the program's: come in as a trap, which finds the per-CPU pointer elsewhere */
    ud2

    .globl host_gate_fast, gate_start, gate_end
gate_start:
host_gate_fast:
    movq %rsp, %gs:P_SCRATCH
    movq %gs:P_KERNEL_SP, %rsp
    pushq $SS_USER
    pushq %gs:P_SCRATCH
    pushfq
    pushq $(CS_USER | FRAME_GATED)
    pushq %r11
    pushq $0
    pushq $0
    pushq %rax
    PUSH_REGISTERS
    cld
    testl $FLAGS_UNWANTED, F_RFLAGS(%rsp)
    jz 1f
    pushq $2
    popfq
1:
gate_end:
    incq %gs:P_CALLS_GATED
    xorl %ebp, %ebp
    movq %rsp, %rdi
    subq $8, %rsp
    cmpb $0, %gs:P_PENDING
    jne 4f
2:  call *trap_handlers + TH_SYSCALL(%rip)
    movb $1, %gs:P_EVENTS_OFF
    addq $8, %rsp
    /* host_before_program() has nothing to do? */
    movq %gs:P_CURRENT, %rax
    cmpb $0, %gs:P_NEED_RESCHED
    jne leave
    cmpl $0, T_EXIT_WORK(%rax)
    jne leave
    cmpq %rax, %gs:P_FPU_FOR
    je syscall_exit
    jmp leave
4:  call host_run_pending
    leaq 8(%rsp), %rdi
    jmp 2b

    .section .note.GNU-stack, "", @progbits
