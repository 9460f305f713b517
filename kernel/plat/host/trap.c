/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From signals to the handlers of kern/trap.h, and the checks on the way back to a program. entry.S has the picture.
 *
 * host_signal() runs on the CPU's signal stack. What interrupts it there (a second signal while the first is being taken
 * in) is only noted. When it returns a frame, that signal is forgotten: the program's or kernel's registers are in the
 * frame, and the FPU's are live again, as if nothing had been between.
 */
#include <asm/sigcontext.h>
#include <asm/siginfo.h>
#include <asm/signal.h>
#include <asm/ucontext.h>

#include "arch/cpu.h"
#include "arch/x86.h"
#include "base/str.h"
#include "carrier.h"
#include "host.h"
#include "kern/log.h"
#include "kern/thread.h"
#include "plat/layout.h"
#include "tlb.h"

#define VEC_SYSCALL 0x100 /* behind the CPU's vectors */
#define VEC_EVENT 0x101   /* timer, kick */
#define VEC_FOREIGN 0x102 /* a system call of another kind (int $0x80) */

#define TRAPNO_DB 1u
#define TRAPNO_UD 6u
#define TRAPNO_PF 14u
#define AUDIT_X86_64 0xc000003eu
#define PF_WRITE 2u
#define PF_EXEC 16u
#define PF_KEY 32u

/* On the signal stack; entry.S knows the two registers. frame == NULL: go back to what was interrupted. */
struct taken {
    struct trap_frame *frame;
    u64 from_program;
};
struct taken host_signal(int sig, const siginfo_t *info, struct ucontext *uc, struct host_seat *seat);
void host_trap(struct trap_frame *frame, u64 from_program);
bool host_before_program(struct trap_frame *frame);
NORETURN void host_enter_program(struct trap_frame *frame);

extern const u8 text_start[], text_end[], gate_start[], gate_end[], leave_start[], leave_end[], back_start[], back_end[];
extern const u8 host_taken[], host_gate[], host_gate_trap[], host_wait_check[], host_wait_end[], host_wait_skip[];

enum origin { FROM_PROGRAM, FROM_LEAVE, FROM_KERNEL, FROM_STUB };

static bool inside(u64 pc, const u8 *start, const u8 *end) { return pc - (u64)start < (u64)(end - start); }

static enum origin origin_of(u64 pc, u64 sp, const struct host_seat *seat)
{
    if (likely(pc < PLAT_USER_MAX))
        return FROM_PROGRAM;
    if (pc - host_code_low < host_code_high - host_code_low)
        return FROM_KERNEL;
    if (!inside(pc, text_start, text_end))
        return FROM_PROGRAM;
    if (pc == (u64)host_gate || pc == (u64)host_gate_trap) /* every register is the program's still */
        return FROM_PROGRAM;
    if (ALIGN_DOWN(sp, (u64)SIGSTACK_SIZE) == (u64)seat)
        return FROM_STUB;
    if (inside(pc, leave_start, leave_end))
        return FROM_LEAVE;
    if (inside(pc, gate_start, gate_end) || inside(pc, back_start, back_end))
        return FROM_STUB;
    return FROM_KERNEL;
}

/* What a signal stands for; 0 = it is none of events. What another CPU's means (SI_TKILL) is noted already (smp.c). */
static u8 event_of(int sig, const siginfo_t *info)
{
    return sig == SIGALRM ? PENDING_TIMER : sig != SIGURG ? 0 : info->si_code == SI_TKILL ? PENDING_ASK : PENDING_LOOK;
}

static void note(struct percpu *cpu, u8 event) { (void)atomic_or(&cpu->plat.pending, event); }

static void copy_registers(struct trap_frame *f, const struct sigcontext *sc)
{
    *f = (struct trap_frame){
        .r15 = sc->r15, .r14 = sc->r14, .r13 = sc->r13, .r12 = sc->r12, .rbp = sc->rbp, .rbx = sc->rbx, .r11 = sc->r11,
        .r10 = sc->r10, .r9 = sc->r9, .r8 = sc->r8, .rax = sc->rax, .rcx = sc->rcx, .rdx = sc->rdx, .rsi = sc->rsi,
        .rdi = sc->rdi, .orig_rax = -1UL, .rip = sc->rip, .cs = sc->cs, .rflags = sc->eflags, .rsp = sc->rsp, .ss = sc->ss,
    };
}

/* What kind of entry this is, for host_trap(). */
static void classify(struct trap_frame *f, int sig, const siginfo_t *info, const struct sigcontext *sc, struct percpu *cpu)
{
    u8 event = event_of(sig, info);
    if (event != 0) {
        note(cpu, event);
        f->vector = VEC_EVENT;
    } else if (sig == SIGSYS) {
        f->vector = info->si_arch == AUDIT_X86_64 ? VEC_SYSCALL : VEC_FOREIGN;
    } else {
        f->vector = sc->trapno;
        f->error = sc->err;
        cpu->plat.fault_addr = sc->cr2;
    }
}

static NORETURN void bad_entry(struct percpu *cpu, int sig, const siginfo_t *info, const struct sigcontext *sc, const char *what)
{
    static struct trap_frame f;
    cpu->plat.events_off = 1;
    copy_registers(&f, sc);
    f.vector = sc->trapno;
    f.error = sc->err;
    panic_frame(&f, "%s (signal %d, code %d, address %#llx, stack top %#llx)", what, sig, info->si_code,
                (unsigned long long)sc->cr2, (unsigned long long)cpu->kernel_sp);
}

/* A signal that finds entry code at work. */
static struct taken in_stub(int sig, const siginfo_t *info, struct sigcontext *sc, struct percpu *cpu)
{
    u8 event = event_of(sig, info);
    u64 fixup;
    if (event != 0)
        note(cpu, event);
    else if (sig == SIGTRAP && sc->trapno == TRAPNO_DB)
        sc->eflags &= ~(u64)RFLAGS_TF; /* single step ran into the kernel: it ends here */
    else if ((fixup = arch_fault_fixup(sc->rip)) != 0)
        sc->rip = fixup;
    else
        bad_entry(cpu, sig, info, sc, "a fault in entry code");
    return (struct taken){ NULL, 0 };
}

static struct taken in_kernel(int sig, const siginfo_t *info, struct sigcontext *sc, struct percpu *cpu)
{
    u8 event = event_of(sig, info);
    if (sig == SIGTRAP && sc->trapno == TRAPNO_DB)
        return in_stub(sig, info, sc, cpu);
    if (event != 0 && cpu->plat.events_off) {
        note(cpu, event);
        if (inside(sc->rip, host_wait_check, host_wait_end))
            sc->rip = (u64)host_wait_skip;
        return (struct taken){ NULL, 0 };
    }
    if (cpu->kernel_sp - sc->rsp > LAYOUT_KSTACK_SIZE - KSTACK_ROOM)
        bad_entry(cpu, sig, info, sc, "kernel stack overflow");
    struct trap_frame *f = (struct trap_frame *)(ALIGN_DOWN(sc->rsp, 16UL) - sizeof *f);
    copy_registers(f, sc);
    classify(f, sig, info, sc, cpu);
    f->orig_rax = cpu->plat.events_off;
    return (struct taken){ f, 0 };
}

static struct taken in_program(int sig, const siginfo_t *info, struct sigcontext *sc, struct percpu *cpu)
{
    struct trap_frame *f = (struct trap_frame *)cpu->kernel_sp - 1;
    copy_registers(f, sc);
    classify(f, sig, info, sc, cpu);
    if (f->vector == TRAPNO_UD && f->rip == (u64)host_gate_trap) {
        f->vector = VEC_SYSCALL;
        f->orig_rax = f->rax;
        f->rip = f->r11;
        frame_enter_gate(f, f->rcx);
    } else if (f->vector == VEC_SYSCALL) {
        f->orig_rax = f->rax;
        f->rcx = f->rip;
        f->r11 = f->rflags;
    } else if (f->rip == (u64)host_gate || f->rip == (u64)host_gate_trap) {
        f->rip = f->r11 - 2; /* about to execute its call: the `syscall`, or the jump in its place */
    }
    return (struct taken){ f, 1 };
}

/* An event is taken by returning from its signal, which unblocks events and restores the FPU. */
static struct taken take_by_return(struct taken t, struct sigcontext *sc)
{
    sc->rip = (u64)host_taken;
    sc->rsp = (u64)t.frame;
    sc->rsi = t.from_program;
    sc->eflags = RFLAGS_IF | 2;
    sc->cs = CS_USER; /* a program may use others */
    sc->ss = SS_USER;
    return (struct taken){ NULL, 0 };
}

/* A fault or system call: this signal is forgotten. */
static struct taken take_at_once(struct taken t, const struct sigcontext *sc, struct percpu *cpu)
{
    cpu->plat.events_off = 1;
    if (sc->fpstate != NULL)
        arch_fpu_restore(sc->fpstate);
    return t;
}

/* An event for a CPU that has left this seat. */
static void pass_on(struct host_seat *seat, u8 event)
{
    if (event == PENDING_TIMER)
        seat->timer_noted = true;
    else if (event == PENDING_LOOK)
        host_poke(seat->cpu, PENDING_LOOK);
}

/* A point that somebody outside has set (debug.c). The kernel's work on watched memory is told to the program on its way out. */
static struct taken at_point(const siginfo_t *info, struct sigcontext *sc, struct host_seat *seat)
{
    struct percpu *cpu = seat->cpu;
    u32 hits = host_debug_hits((u64)info->si_addr);
    if (hits != 0 && origin_of(sc->rip, sc->rsp, seat) == FROM_PROGRAM) {
        struct taken t = in_program(SIGTRAP, info, sc, cpu);
        t.frame->vector = TRAPNO_DB;
        t.frame->error = hits;
        t.frame->rflags &= ~(u64)RFLAGS_RF; /* as the CPU has it: Linux would have the instruction pass */
        return take_at_once(t, sc, cpu);
    }
    if (hits != 0) {
        atomic_or(&cpu->current->debug_hits, hits);
        atomic_or(&cpu->current->exit_work, EXIT_TRACE);
    }
    return (struct taken){ NULL, 0 };
}

struct taken host_signal(int sig, const siginfo_t *info, struct ucontext *uc, struct host_seat *seat)
{
    struct sigcontext *sc = &uc->uc_mcontext;
    struct percpu *cpu = seat->cpu;
    struct taken t = { NULL, 0 };
    if (sig == SIGCHLD)
        host_carrier_look_for_end();
    if (sig != SIGALRM && sig != SIGURG && (info->si_code <= 0 || sig == SIGCHLD))
        sig = SIGURG; /* somebody outside sent what only the CPU raises: an event like others, since GS may be the program's */
    u8 event = event_of(sig, info);
    if (event == PENDING_ASK)
        host_stop_if_asked(cpu);
    if (event != 0 && atomic_load(&cpu->plat.seat) != seat) {
        pass_on(seat, event);
        return t;
    }
    if (sig == SIGSEGV && info->si_code == SEGV_MAPERR && host_kmap_fill(sc->cr2)) /* where there is a mapping, it is a right that lacks */
        return t;
    if (sig == SIGBUS && sc->trapno == TRAPNO_PF)
        bad_entry(cpu, sig, info, sc, "Linux has no memory left for a page of this machine");
    if (sig == SIGTRAP && info->si_code == TRAP_PERF)
        return at_point(info, sc, seat);
    switch (origin_of(sc->rip, sc->rsp, seat)) {
    case FROM_STUB:
        return in_stub(sig, info, sc, cpu);
    case FROM_LEAVE: /* nothing of the frame has been given up yet */
        if (event == 0)
            bad_entry(cpu, sig, info, sc, "a fault on the way to a program");
        t = (struct taken){ (struct trap_frame *)cpu->kernel_sp - 1, 1 };
        classify(t.frame, sig, info, sc, cpu);
        break;
    case FROM_KERNEL:
        t = in_kernel(sig, info, sc, cpu);
        break;
    case FROM_PROGRAM:
        t = in_program(sig, info, sc, cpu);
    }
    if (t.frame == NULL)
        return t;
    if (event == 0)
        return take_at_once(t, sc, cpu);
    cpu->plat.events_off = 1;
    return take_by_return(t, sc);
}

/* Exceptions whose vector has no trap_kind of its own count as protection faults. */
static enum trap_kind kind_of(u64 vector)
{
    static const u8 kinds[20] = {
        [0] = TRAP_DIVIDE, [1] = TRAP_DEBUG, [2] = TRAP_PROTECTION, [3] = TRAP_BREAKPOINT, [4] = TRAP_OVERFLOW,
        [5] = TRAP_BOUND, [6] = TRAP_ILLEGAL, [7] = TRAP_ILLEGAL, [8] = TRAP_PROTECTION, [9] = TRAP_PROTECTION,
        [10] = TRAP_PROTECTION, [11] = TRAP_PROTECTION, [12] = TRAP_PROTECTION, [13] = TRAP_PROTECTION, [14] = TRAP_PAGE,
        [15] = TRAP_PROTECTION, [16] = TRAP_FPU, [17] = TRAP_ALIGN, [18] = TRAP_PROTECTION, [19] = TRAP_SIMD,
    };
    return vector < ARRAY_SIZE(kinds) ? (enum trap_kind)kinds[vector] : TRAP_PROTECTION;
}

static void exception(struct trap_frame *frame, bool from_program)
{
    struct trap_info info = { .kind = kind_of(frame->vector), .error = frame->error };
    if (info.kind == TRAP_PAGE && (frame->error & PF_KEY))
        info.kind = TRAP_PROTECTION;
    if (info.kind != TRAP_PAGE) {
        trap_exception(frame, &info, from_program);
        return;
    }
    info.addr = this_cpu()->plat.fault_addr;
    info.access = frame->error & PF_EXEC ? TRAP_EXEC : frame->error & PF_WRITE ? TRAP_WRITE : TRAP_READ;
    if (host_tlb_fill(info.addr, info.access, false))
        return;
    trap_exception(frame, &info, from_program);
    host_tlb_fill(info.addr, info.access, true); /* spares the second fault */
}

/* On the thread's kernel stack. Events disabled on entry and return. */
void host_trap(struct trap_frame *frame, u64 from_program)
{
    switch (frame->vector) {
    case VEC_EVENT:
        host_take_pending();
        break;
    case VEC_SYSCALL:
        if (frame->cs & FRAME_GATED) {
            this_cpu()->calls_gated++;
            plat_events_enable();
            trap_handlers.syscall(frame);
        } else {
            plat_events_enable();
            trap_handlers.syscall_trapped(frame);
        }
        plat_events_disable();
        break;
    case VEC_FOREIGN:
        FRAME_RESULT(frame) = (u64)-ENOSYS;
        break;
    default:
        exception(frame, from_program);
    }
}

/* The frame may have been changed by a signal return, a debugger or the program's own tricks: IRET must not fault on it. A
 * bad address is the program's fault. Events disabled. True: a jump to rcx may take IRET's place, as RESTORE_FAST has it. */
bool host_before_program(struct trap_frame *frame)
{
    for (;;) {
        trap_before_program(frame);
        if (this_cpu()->plat.pending != 0) {
            host_take_pending();
        } else if (frame->cs & FRAME_GATED) {
            if (likely(!host_gs_shared && frame->rcx < PLAT_USER_MAX && (frame->rflags & FRAME_FLAGS_RARE) == RFLAGS_IF))
                return true;
            frame->rip = frame->rcx;
            frame_leave_gate(frame);
        } else if (unlikely(frame->rip >= PLAT_USER_MAX)) {
            struct trap_info info = { .kind = TRAP_PROTECTION };
            plat_events_enable();
            trap_handlers.program_trap(frame, &info, 0);
            plat_events_disable();
        } else {
            break;
        }
    }
    frame->cs = CS_USER;
    frame->ss = SS_USER;
    frame->rflags = (frame->rflags & ~(u64)(RFLAGS_IOPL | RFLAGS_NT | RFLAGS_VM)) | RFLAGS_IF | 2;
    return false;
}

void arch_enter_program(const struct trap_frame *frame)
{
    struct trap_frame *top = thread_frame(current_thread());
    memmove(top, frame, sizeof *top);
    plat_events_disable();
    host_enter_program(top);
}

u64 arch_last_fault(void) { return this_cpu()->plat.fault_addr; }
