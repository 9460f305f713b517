/* SPDX-License-Identifier: Apache-2.0 */
/* Registers of a traced task as ptrace(2) and core files show them (struct user_regs_struct, struct user of <sys/user.h>). */
#include "ptrace.h"
#include "arch_linux.h"
#include "base/bytes.h"
#include "base/str.h"

#define FXSAVE_SIZE 512u
#define SW_OFFSET 464u /* the components, for debuggers, in bytes that the CPU leaves to software */
#define RFLAGS_USER 0x50dd5UL
#define RFLAGS_FIXED 0x202UL
#define RFLAGS_TF 0x100UL
#define CS_SHOWN 0x33 /* what Linux shows; never loaded from here */
#define SS_SHOWN 0x2b
#define USER_SIZE 912u
#define USER_DEBUGREG 848u

struct user_regs {
    u64 r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, orig_rax, rip, cs, eflags, rsp, ss, fs_base,
        gs_base, ds, es, fs, gs;
};
_Static_assert(sizeof(struct user_regs) == 216, "struct user_regs_struct");
_Static_assert(offsetof(struct trap_frame, vector) == offsetof(struct user_regs, rip), "the same order up to orig_rax");

static struct arch_tls *tls_of(struct task *t) { return t->tls_kept ? &t->tls : &t->thread->tls; }

static void get_general(struct task *t, struct user_regs *r)
{
    const struct trap_frame *f = thread_frame(t->thread);
    memcpy(r, f, offsetof(struct user_regs, rip));
    if (f->cs & FRAME_GATED) { /* what the instruction would have left there */
        r->rcx = f->rip;
        r->r11 = f->rflags;
    }
    r->rip = f->rip;
    r->rsp = f->rsp;
    r->eflags = t->tracee != NULL && t->tracee->how == RESUME_STEP ? f->rflags & ~RFLAGS_TF : f->rflags;
    r->cs = CS_SHOWN;
    r->ss = SS_SHOWN;
    r->fs_base = tls_of(t)->fs_base;
    r->gs_base = tls_of(t)->gs_base;
    r->ds = r->es = r->fs = r->gs = 0;
}

static s64 set_general(struct task *t, const struct user_regs *r)
{
    struct trap_frame *f = thread_frame(t->thread);
    if (r->fs_base >= PLAT_USER_MAX || r->gs_base >= PLAT_USER_MAX)
        return -EIO;
    struct user_regs old;
    get_general(t, &old);
    if ((f->cs & FRAME_GATED) && (r->rip != old.rip || r->rcx != old.rcx || r->r11 != r->eflags)) /* the way back has flags in r11 */
        frame_leave_gate(f);
    u64 rcx = f->cs & FRAME_GATED ? f->rcx : r->rcx;
    memcpy(f, r, offsetof(struct user_regs, rip));
    f->rcx = rcx;
    f->rip = r->rip;
    f->rsp = r->rsp;
    f->rflags = (r->eflags & RFLAGS_USER) | RFLAGS_FIXED;
    *tls_of(t) = (struct arch_tls){.fs_base = r->fs_base, .gs_base = r->gs_base};
    return 0;
}

size_t ptrace_regset_size(u32 type)
{
    switch (type) {
    case NT_PRSTATUS: return sizeof(struct user_regs);
    case NT_PRFPREG: return FXSAVE_SIZE;
    case NT_X86_XSTATE: return arch_fpu_size() > FXSAVE_SIZE ? arch_fpu_size() : 0;
    default: return 0;
    }
}

s64 ptrace_get_regset(struct task *t, u32 type, void *buf, size_t size)
{
    size_t n = ptrace_regset_size(type);
    if (n == 0 || n > size)
        return -EINVAL;
    if (type == NT_PRSTATUS) {
        get_general(t, buf);
        return (s64)n;
    }
    memcpy(buf, t->thread->fpu, n);
    memset((u8 *)buf + SW_OFFSET, 0, FXSAVE_SIZE - SW_OFFSET);
    if (type == NT_X86_XSTATE)
        put_u64((u8 *)buf + SW_OFFSET, arch_fpu_components());
    return (s64)n;
}

s64 ptrace_set_regset(struct task *t, u32 type, const void *buf, size_t size)
{
    size_t n = ptrace_regset_size(type);
    u8 *area = t->thread->fpu;
    if (n == 0 || size > n)
        return -EINVAL;
    if (type == NT_PRSTATUS) { /* a part of them: the rest stays */
        struct user_regs r;
        get_general(t, &r);
        memcpy(&r, buf, size);
        return set_general(t, &r);
    }
    if (size != n)
        return -EINVAL;
    u64 components = arch_fpu_size() > FXSAVE_SIZE ? get_u64(area + FXSAVE_SIZE) | 3 : 3;
    memcpy(area, buf, n);
    arch_fpu_clean(area, type == NT_X86_XSTATE ? get_u64(area + FXSAVE_SIZE) : components);
    return 0;
}

s64 ptrace_peek_user(struct task *t, u64 offset, u64 *ret)
{
    struct user_regs r;
    if (offset % sizeof(u64) != 0 || offset >= USER_SIZE)
        return -EIO;
    get_general(t, &r);
    *ret = offset < sizeof r ? get_u64((const u8 *)&r + offset) : 0; /* no breakpoint register is in use */
    return 0;
}

s64 ptrace_poke_user(struct task *t, u64 offset, u64 value)
{
    struct user_regs r;
    if (offset % sizeof(u64) != 0 || offset >= USER_SIZE)
        return -EIO;
    if (offset >= sizeof r)
        return offset >= USER_DEBUGREG && value == 0 ? 0 : -EIO;
    get_general(t, &r);
    put_u64((u8 *)&r + offset, value);
    return set_general(t, &r);
}

void ptrace_set_step(struct task *t, bool on)
{
    struct trap_frame *f = thread_frame(t->thread);
    if (on)
        f->rflags |= RFLAGS_TF;
    else if (t->tracee->how == RESUME_STEP)
        f->rflags &= ~RFLAGS_TF;
}

void ptrace_show_syscall_entry(struct trap_frame *f)
{
    f->rax = (u64)-ENOSYS;
}
