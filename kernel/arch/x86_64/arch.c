/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of kern/arch.h that are the same at every privilege level: exception table, call frames, capabilities.
 * Thread pointers and what enables CPU features are the platform's.
 */
#include "arch/cpu.h"
#include "arch/frame_offsets.h"
#include "arch/x86.h"
#include "kern/log.h"
#include "kern/thread.h"
#include "kern/trap.h"

#define CHECK(off, type, member) _Static_assert((off) == offsetof(type, member), #member)
CHECK(F_R15, struct trap_frame, r15);
CHECK(F_R14, struct trap_frame, r14);
CHECK(F_R13, struct trap_frame, r13);
CHECK(F_R12, struct trap_frame, r12);
CHECK(F_RBP, struct trap_frame, rbp);
CHECK(F_RBX, struct trap_frame, rbx);
CHECK(F_R11, struct trap_frame, r11);
CHECK(F_R10, struct trap_frame, r10);
CHECK(F_R9, struct trap_frame, r9);
CHECK(F_R8, struct trap_frame, r8);
CHECK(F_RAX, struct trap_frame, rax);
CHECK(F_RCX, struct trap_frame, rcx);
CHECK(F_RDX, struct trap_frame, rdx);
CHECK(F_RSI, struct trap_frame, rsi);
CHECK(F_RDI, struct trap_frame, rdi);
CHECK(F_ORIG_RAX, struct trap_frame, orig_rax);
CHECK(F_VECTOR, struct trap_frame, vector);
CHECK(F_ERROR, struct trap_frame, error);
CHECK(F_RIP, struct trap_frame, rip);
CHECK(F_CS, struct trap_frame, cs);
CHECK(F_RFLAGS, struct trap_frame, rflags);
CHECK(F_RSP, struct trap_frame, rsp);
CHECK(F_SS, struct trap_frame, ss);
_Static_assert(F_SIZE == sizeof(struct trap_frame), "frame size");
CHECK(P_KERNEL_SP, struct percpu, kernel_sp);
CHECK(P_SCRATCH, struct percpu, scratch);
CHECK(P_CALLS_GATED, struct percpu, calls_gated);
CHECK(TH_SYSCALL, struct trap_handlers, syscall);
CHECK(TH_SYSCALL_TRAPPED, struct trap_handlers, syscall_trapped);
CHECK(0, struct percpu, self);
CHECK(P_CURRENT, struct percpu, current);
CHECK(P_NEED_RESCHED, struct percpu, need_resched);
CHECK(P_FPU_FOR, struct percpu, fpu_for);
CHECK(T_EXIT_WORK, struct thread, exit_work);
CHECK(P_PLAT, struct percpu, plat);

u8 arch_fast_strings;

u32 arch_detect(void)
{
    if (cpuid(0, 0).eax < 7)
        return 0;
    u32 features = cpuid(7, 0).ebx;
    /* An emulator (signature "TCGTCGTCGTCG") runs string instructions one element at a time. */
    bool emulated = (cpuid(1, 0).ecx >> 31) && cpuid(0x40000000, 0).ebx == 0x54474354u;
    arch_fast_strings = (features & (1u << 9)) && !emulated;
    return features;
}

struct trap_frame *thread_frame(struct thread *t)
{
    return (struct trap_frame *)((u8 *)t->kstack + KSTACK_SIZE) - 1;
}

/* Offsets from the field itself. */
struct ex_entry {
    s32 from, to;
};
extern const struct ex_entry ex_table_start[], ex_table_end[];

u64 arch_fault_fixup(u64 pc)
{
    for (const struct ex_entry *e = ex_table_start; e < ex_table_end; e++)
        if ((u64)&e->from + (u64)(s64)e->from == pc)
            return (u64)&e->to + (u64)(s64)e->to;
    return 0;
}

unsigned arch_walk_frames(const u64 *frame, const void *stack, u64 *ret_pcs, unsigned max)
{
    unsigned n = 0;
    u64 fp = (u64)frame, low = (u64)stack, top = low + KSTACK_SIZE;
    while (n < max && fp >= low && fp <= top - 16 && IS_ALIGNED(fp, 8)) {
        const u64 *words = (const u64 *)fp;
        if (words[1] == 0)
            break;
        ret_pcs[n++] = words[1];
        if (words[0] <= fp)
            break;
        fp = words[0];
    }
    return n;
}

unsigned arch_backtrace(const struct trap_frame *frame, u64 *ret_pcs, unsigned max)
{
    const void *stack = (const void *)(this_cpu()->kernel_sp - KSTACK_SIZE);
    if (frame == NULL)
        return arch_walk_frames(__builtin_frame_address(0), stack, ret_pcs, max);
    if (max == 0)
        return 0;
    ret_pcs[0] = frame->rip;
    return 1 + arch_walk_frames((const u64 *)frame->rbp, stack, ret_pcs + 1, max - 1);
}

u64 arch_hwcap(void) { return cpuid(1, 0).edx; }

void arch_print_frame(const struct trap_frame *f);
void arch_print_frame(const struct trap_frame *f)
{
    static const char names[][4] = { "r15", "r14", "r13", "r12", "rbp", "rbx", "r11", "r10",
                                     "r9",  "r8",  "rax", "rcx", "rdx", "rsi", "rdi" };
    char where[64];
    log_text("rip %016llx %s\n", (unsigned long long)f->rip, symbol_name(f->rip, where, sizeof where));
    log_text("rsp %016llx  flags %08llx  vector %lld error %llx  fault address %llx\n", (unsigned long long)f->rsp,
             (unsigned long long)f->rflags, (long long)f->vector, (unsigned long long)f->error,
             (unsigned long long)arch_last_fault());
    const u64 *regs = &f->r15;
    for (unsigned i = 0; i < ARRAY_SIZE(names); i++)
        log_text("%s %016llx%s", names[i], (unsigned long long)regs[i], i % 4 == 3 || i == 14 ? "\n" : "  ");
}
