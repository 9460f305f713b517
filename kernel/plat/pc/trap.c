/* SPDX-License-Identifier: Apache-2.0 */
/* From entry.S to the handlers above, and the checks on the way back to a program. */
#include "arch/cpu.h"
#include "arch/x86.h"
#include "base/str.h"
#include "kern/kprobe.h"
#include "kern/log.h"
#include "kern/thread.h"
#include "pc.h"

void pc_trap(struct trap_frame *frame, u64 from_program);
void pc_paranoid_trap(struct trap_frame *frame);
NORETURN void pc_bad_entry(struct trap_frame *frame, u32 overflow);
void pc_check_program_frame(struct trap_frame *frame);
NORETURN void pc_enter_program(struct trap_frame *frame);

/* Exceptions whose vector has no trap_kind of its own count as protection faults. */
static const u8 kind_of[32] = {
    [0] = TRAP_DIVIDE,  [1] = TRAP_DEBUG,      [2] = TRAP_PROTECTION,  [3] = TRAP_BREAKPOINT,  [4] = TRAP_OVERFLOW,
    [5] = TRAP_BOUND,   [6] = TRAP_ILLEGAL,    [7] = TRAP_ILLEGAL,     [8] = TRAP_PROTECTION,  [9] = TRAP_PROTECTION,
    [10] = TRAP_PROTECTION, [11] = TRAP_PROTECTION, [12] = TRAP_PROTECTION, [13] = TRAP_PROTECTION, [14] = TRAP_PAGE,
    [15] = TRAP_PROTECTION, [16] = TRAP_FPU,   [17] = TRAP_ALIGN,      [18] = TRAP_PROTECTION, [19] = TRAP_SIMD,
    [20] = TRAP_PROTECTION, [21] = TRAP_PROTECTION, [22] = TRAP_PROTECTION, [23] = TRAP_PROTECTION,
    [24] = TRAP_PROTECTION, [25] = TRAP_PROTECTION, [26] = TRAP_PROTECTION, [27] = TRAP_PROTECTION,
    [28] = TRAP_PROTECTION, [29] = TRAP_PROTECTION, [30] = TRAP_PROTECTION, [31] = TRAP_PROTECTION,
};

/* Events disabled on entry and return. */
NOPROBE void pc_trap(struct trap_frame *frame, u64 from_program)
{
    if (frame->vector >= VEC_FIRST_IRQ) {
        pc_irq_dispatch((unsigned)frame->vector);
    } else if (frame->vector != VEC_NM || !from_program || !thread_fpu_trapped()) {
        struct trap_info info = { .kind = kind_of[frame->vector], .error = frame->error };
        if (info.kind == TRAP_PAGE) {
            info.addr = read_cr2();
            info.access = frame->error & 16 ? TRAP_EXEC : frame->error & 2 ? TRAP_WRITE : TRAP_READ;
        } else if (info.kind == TRAP_DEBUG) {
            info.error = pc_debug_hits();
        }
        trap_exception(frame, &info, from_program);
    }
    if (from_program) {
        trap_before_program(frame);
        pc_check_program_frame(frame);
    }
}

/* The frame may have been changed by a signal return, a debugger or the program's own tricks: IRET must not
 * fault on it, and events stay enabled in programs. A bad address is the program's fault. */
void pc_check_program_frame(struct trap_frame *frame)
{
    if (frame->cs & FRAME_GATED)
        frame->rip = frame->rcx;
    while (unlikely(frame->rip >= PLAT_USER_MAX)) {
        struct trap_info info = { .kind = TRAP_PROTECTION };
        plat_events_enable();
        trap_handlers.program_trap(frame, &info, 0);
        plat_events_disable();
        trap_before_program(frame);
    }
    frame->cs = SEL_CODE;
    frame->ss = SEL_DATA;
    frame->rflags = (frame->rflags & ~(u64)(RFLAGS_IOPL | RFLAGS_NT | RFLAGS_VM)) | RFLAGS_IF | 2;
}

/* On a stack of its own, nothing may fault. NMI and #MC come at any instruction. */
NOPROBE void pc_paranoid_trap(struct trap_frame *frame)
{
    switch (frame->vector) {
    case VEC_DB: /* the kernel works on watched memory of the program, which learns of it on its way out */
        atomic_or(&current_thread()->debug_hits, pc_debug_hits());
        if (current_thread()->debug_hits != 0)
            atomic_or(&current_thread()->exit_work, EXIT_TRACE);
        frame->rflags &= ~(u64)RFLAGS_TF; /* or a single step ran into the kernel: it ends here */
        return;
    case VEC_NMI:
        if (pc_stopping())
            for (;;)
                __asm__ volatile("cli; hlt");
        panic_frame(frame, "non-maskable interrupt: the machine asked for a report");
    case VEC_MC:
        panic_frame(frame, "machine check: the hardware reports an error");
    default:
        panic_frame(frame, "double fault (page fault address %#llx)", (unsigned long long)read_cr2());
    }
}

void pc_bad_entry(struct trap_frame *frame, u32 overflow)
{
    if (overflow)
        panic_frame(frame, "kernel stack overflow (vector %llu, stack top %#llx)", (unsigned long long)frame->vector,
                    (unsigned long long)this_cpu()->kernel_sp);
    panic_frame(frame, "vector %llu in an entry stub (error %#llx, page fault address %#llx)",
                (unsigned long long)frame->vector, (unsigned long long)frame->error, (unsigned long long)read_cr2());
}

uaddr_t plat_call_gate(void)
{
    extern const char call_gate[];
    return (uaddr_t)(uintptr_t)call_gate;
}

void arch_enter_program(const struct trap_frame *frame)
{
    struct trap_frame *top = thread_frame(current_thread());
    memmove(top, frame, sizeof *top);
    plat_events_disable();
    pc_enter_program(top);
}

u64 arch_last_fault(void) { return read_cr2(); }
