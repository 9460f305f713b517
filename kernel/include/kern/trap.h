/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries from below: the platform calls trap_* when a program or the kernel
 * faults, makes a system call, or is about to return to a program. core/trap.c
 * passes them to handlers that the parts above register, so no platform names
 * mm or linux. All run on the current thread's kernel stack.
 */
#ifndef KERN_TRAP_H
#define KERN_TRAP_H

#include "kern/arch.h"

enum trap_kind {
    TRAP_PAGE, /* addr, access */
    TRAP_DIVIDE,
    TRAP_OVERFLOW,
    TRAP_BOUND,
    TRAP_ILLEGAL,
    TRAP_BREAKPOINT,
    TRAP_DEBUG,
    TRAP_FPU,  /* x87 */
    TRAP_SIMD,
    TRAP_ALIGN,
    TRAP_PROTECTION, /* general protection, stack segment, ... */
    TRAP_NR
};

#define TRAP_READ 1u
#define TRAP_WRITE 2u
#define TRAP_EXEC 4u

struct trap_info {
    enum trap_kind kind;
    u64 addr;        /* TRAP_PAGE: the address accessed */
    unsigned access; /* TRAP_PAGE: TRAP_READ, WRITE or EXEC */
    u64 error;       /* the platform's own code, for reports; TRAP_DEBUG: points hit, bit n for the n-th */
};

struct trap_handlers {
    /* Resolve a page fault on a program address: 0, or -EFAULT / -ENOMEM / -EIO.
     * Events enabled; may sleep. Set by mm. */
    int (*page_fault)(u64 addr, unsigned access);
    /* The program itself raised this (page faults: after page_fault failed with
     * `err`). Events enabled. Set by linux: queues a signal. */
    void (*program_trap)(struct trap_frame *frame, const struct trap_info *info, int err);
    /* A system call: number in FRAME_SYSCALL_NR, result goes to FRAME_RESULT. Events enabled. */
    void (*syscall)(struct trap_frame *frame);
    /* current->exit_work has a bit set and the thread is about to return to its
     * program. Events enabled. Called again until no bit is set. */
    void (*exit_work)(struct trap_frame *frame);
    /* As syscall, for a call that came by the trapping instruction and not through plat_call_gate(). */
    void (*syscall_trapped)(struct trap_frame *frame);
};
extern struct trap_handlers trap_handlers; /* unset ones panic with a name */

/* Instructions and data of programs that raise TRAP_DEBUG: before the instruction, behind the access. */
#define TRAP_POINTS 4u
struct trap_point {
    u64 addr;        /* a multiple of len */
    u8 len;          /* bytes: 1, 2, 4 or 8; 0: not in use */
    unsigned access; /* TRAP_EXEC (len 1), TRAP_WRITE, or TRAP_READ | TRAP_WRITE */
};
/* Load these on all CPUs, in every address space. Absent where the platform has none. Thread context, one caller at a time. */
void trap_set_points(const struct trap_point new[TRAP_POINTS]) __attribute__((weak));
/* There on a platform where a single step that gets to watched data may never end: is this such a machine? */
bool trap_points_stall_steps(void) __attribute__((weak));
/* There where the platform only learns of them: who debugs from outside loads them. */
extern const bool trap_points_outside __attribute__((weak));

/* For platforms, events disabled at call and return. trap_exception() returns when the frame may be resumed (it may
 * have been changed: a fixup, a signal handler); panics on a kernel fault that
 * nothing explains. `from_program` is the platform's program-or-kernel answer. */
void trap_exception(struct trap_frame *frame, const struct trap_info *info, bool from_program);
/* To be called with events disabled before every return to a program; runs
 * reschedules and exit work, returns with events disabled and nothing pending. */
void trap_before_program(struct trap_frame *frame);

/* Interrupts. A handler runs with events disabled, on the interrupted thread's
 * stack, and may only wake threads, raise bottom halves and read the device. */
typedef void irq_handler_fn(void *arg);
struct irq_action {
    irq_handler_fn *fn;
    void *arg;
    u64 count; /* statistics; written by the CPU that takes the interrupt */
};
/* Platforms call irq_enter/irq_exit around handlers. irq_exit runs pending
 * bottom halves when this was the outermost interrupt and none are disabled. */
void irq_enter(void);
void irq_exit(void);
bool in_interrupt(void);

/* The one-shot timer of this CPU fired. Called by platforms between irq_enter and irq_exit. */
void timer_interrupt(void);

#endif
