/* SPDX-License-Identifier: Apache-2.0 */
/* Faults, system calls and the way back to a program: from the platform to whoever registered. */
#include "kern/trap.h"

#include "kern/kprobe.h"
#include "kern/log.h"
#include "kern/thread.h"
#include "kern/uaccess.h"

static int no_page_fault(u64 addr, unsigned access)
{
    return -EFAULT;
}

static void no_program_trap(struct trap_frame *frame, const struct trap_info *info, int err)
{
    panic_frame(frame, "no handler for a program's trap %d", info->kind);
}

static void no_syscall(struct trap_frame *frame)
{
    panic_frame(frame, "no handler for system calls");
}

static void no_exit_work(struct trap_frame *frame)
{
    panic_frame(frame, "no handler for exit work");
}

struct trap_handlers trap_handlers = { no_page_fault, no_program_trap, no_syscall, no_exit_work, no_syscall };

static const char *const kind_names[TRAP_NR] = {
    [TRAP_PAGE] = "page fault",         [TRAP_DIVIDE] = "division error", [TRAP_OVERFLOW] = "overflow",
    [TRAP_BOUND] = "bound range",       [TRAP_ILLEGAL] = "illegal instruction", [TRAP_BREAKPOINT] = "breakpoint",
    [TRAP_DEBUG] = "debug exception",   [TRAP_FPU] = "x87 exception",     [TRAP_SIMD] = "SIMD exception",
    [TRAP_ALIGN] = "alignment check",   [TRAP_PROTECTION] = "general protection",
};

static NORETURN void die(struct trap_frame *frame, const struct trap_info *info)
{
    const char *name = info->kind < TRAP_NR ? kind_names[info->kind] : "unknown trap";
    if (info->kind == TRAP_PAGE)
        panic_frame(frame, "kernel %s: %s at %#llx (error %#llx)", name,
                    info->access & TRAP_EXEC ? "execution" : info->access & TRAP_WRITE ? "write" : "read",
                    (unsigned long long)info->addr, (unsigned long long)info->error);
    panic_frame(frame, "kernel %s (error %#llx)", name, (unsigned long long)info->error);
}

/* The kernel faulted: allowed only at instructions that touch program memory, and at breakpoints. */
NOPROBE static void kernel_trap(struct trap_frame *frame, const struct trap_info *info)
{
    if (info->kind == TRAP_BREAKPOINT && kprobe_trap != NULL && kprobe_trap(frame))
        return;
    u64 fixup = arch_fault_fixup(FRAME_PC(frame));
    if (fixup == 0)
        die(frame, info);
    if (info->kind == TRAP_PAGE && !uaccess_nofault() && !bh_is_disabled() && !in_interrupt()) {
        plat_events_enable();
        int err = trap_handlers.page_fault(info->addr, info->access);
        plat_events_disable();
        if (err == 0)
            return;
    }
    FRAME_PC(frame) = fixup;
}

NOPROBE void trap_exception(struct trap_frame *frame, const struct trap_info *info, bool from_program)
{
    if (!from_program) {
        kernel_trap(frame, info);
        return;
    }
    plat_events_enable();
    int err = info->kind == TRAP_PAGE ? trap_handlers.page_fault(info->addr, info->access) : 0;
    if (err != 0 || info->kind != TRAP_PAGE)
        trap_handlers.program_trap(frame, info, err);
    plat_events_disable();
}

void trap_before_program(struct trap_frame *frame)
{
    for (;;) {
        struct percpu *cpu = this_cpu();
        struct thread *t = cpu->current;
        if (unlikely(atomic_load_relaxed(&cpu->need_resched))) {
            plat_events_enable();
            sched_resched();
            plat_events_disable();
        } else if (unlikely(atomic_load_relaxed(&t->exit_work) != 0)) {
            plat_events_enable();
            trap_handlers.exit_work(frame);
            plat_events_disable();
        } else {
            if (unlikely(cpu->fpu_for != t))
                thread_fpu_before_program();
            return;
        }
    }
}
