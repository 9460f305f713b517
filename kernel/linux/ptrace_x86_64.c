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

/* --- debug registers (Intel SDM volume 3, 17.2): addresses in 0 to 3, what was hit in 6, what is watched in 7 ---------------------- */

#define DR6_FIXED 0xffff0ff0UL /* is kept inverted: 0 at first */
#define DR6_STEP 0x4000UL

/* What the n-th watches; len 0: nothing. -EINVAL */
static int debug_decode(const u64 dr[8], unsigned n, struct trap_point *ret)
{
    static const u8 lens[4] = {1, 2, 8, 4};
    static const unsigned accesses[4] = {TRAP_EXEC, TRAP_WRITE, 0, TRAP_READ | TRAP_WRITE};
    u32 how = (u32)(dr[7] >> (16 + 4 * n)) & 15, on = (u32)(dr[7] >> 2 * n) & 3;
    *ret = (struct trap_point){0};
    if (on == 0)
        return 0;
    if ((how & 3) == 2) /* ports */
        return -EINVAL;
    *ret = (struct trap_point){.addr = dr[n], .len = lens[how >> 2], .access = accesses[how & 3]};
    return 0;
}

static s64 debug_poke(struct task *t, unsigned n, u64 value)
{
    struct tracee *tr = t->tracee;
    struct trap_point old[TRAP_POINTS], new[TRAP_POINTS];
    u64 dr[8];
    if (n == 4 || n == 5)
        return -EIO;
    if (n < TRAP_POINTS && value >= PLAT_USER_MAX)
        return -EINVAL;
    if (n != 6 && value != 0 && !debug_points_there())
        return -ENOSPC;
    memcpy(dr, tr->debug, sizeof dr);
    dr[n] = n == 6 ? value ^ DR6_FIXED : value;
    int r = 0;
    for (unsigned i = 0; i < TRAP_POINTS && r == 0; i++) {
        (void)debug_decode(tr->debug, i, &old[i]);
        r = debug_decode(dr, i, &new[i]);
    }
    if (r == 0 && n != 6)
        r = debug_points_of_task(t->proc, old, new);
    if (r == 0)
        memcpy(tr->debug, dr, sizeof dr);
    return r;
}

/* Where a step that touches watched memory would not end, it is made without, and what was there compared. */
static void set_blind(struct tracee *tr, bool on)
{
    struct trap_point data[TRAP_POINTS];
    for (unsigned i = 0; i < TRAP_POINTS; i++) {
        (void)debug_decode(tr->debug, i, &data[i]);
        if (data[i].access == TRAP_EXEC)
            data[i] = (struct trap_point){0};
        if (on && data[i].len != 0 && !as_peek(tr->task->thread->as, data[i].addr, &tr->was[i], data[i].len))
            tr->was[i] = 0;
    }
    tr->stepping_blind = on;
    debug_points_mute(tr->task->proc, data, on);
}

void ptrace_debug_stopped(struct tracee *tr)
{
    if (tr->stepping_blind)
        set_blind(tr, false);
}

static u64 changed_meanwhile(const struct tracee *tr)
{
    u64 dr6 = 0;
    for (unsigned i = 0; i < TRAP_POINTS; i++) {
        struct trap_point own;
        u64 now = tr->was[i];
        (void)debug_decode(tr->debug, i, &own);
        if (own.len != 0 && own.access != TRAP_EXEC && as_peek(tr->task->thread->as, own.addr, &now, own.len) && now != tr->was[i])
            dr6 |= 1ul << i;
    }
    return dr6;
}

bool ptrace_debug_hit(struct tracee *tr, u32 hits, const struct trap_point points[TRAP_POINTS], struct trap_frame *f)
{
    u64 dr6 = tr->stepping_blind ? changed_meanwhile(tr) : 0;
    for (unsigned i = 0; i < TRAP_POINTS; i++) {
        struct trap_point own;
        (void)debug_decode(tr->debug, i, &own);
        for (unsigned n = 0; n < TRAP_POINTS && own.len != 0; n++)
            if ((hits & 1u << n) && points[n].addr == own.addr && points[n].len == own.len && points[n].access == own.access) {
                dr6 |= 1ul << i;
                if (own.access == TRAP_EXEC)
                    arch_frame_pass_point(f);
            }
    }
    tr->debug[6] = dr6 | (FRAME_STEPPING(f) ? DR6_STEP : 0);
    return dr6 != 0;
}

void ptrace_debug_clear(struct tracee *tr)
{
    struct trap_point old[TRAP_POINTS], none[TRAP_POINTS] = {{0}};
    ptrace_debug_stopped(tr);
    for (unsigned i = 0; i < TRAP_POINTS; i++)
        (void)debug_decode(tr->debug, i, &old[i]);
    if (tr->debug[7] != 0)
        (void)debug_points_of_task(tr->task->proc, old, none);
    memset(tr->debug, 0, sizeof tr->debug);
}

s64 ptrace_peek_user(struct task *t, u64 offset, u64 *ret)
{
    struct user_regs r;
    if (offset % sizeof(u64) != 0 || offset >= USER_SIZE)
        return -EIO;
    get_general(t, &r);
    u64 n = (offset - USER_DEBUGREG) / sizeof(u64);
    if (offset >= USER_DEBUGREG)
        *ret = n == 6 ? t->tracee->debug[n] ^ DR6_FIXED : t->tracee->debug[n];
    else
        *ret = offset < sizeof r ? get_u64((const u8 *)&r + offset) : 0;
    return 0;
}

s64 ptrace_poke_user(struct task *t, u64 offset, u64 value)
{
    struct user_regs r;
    if (offset % sizeof(u64) != 0 || offset >= USER_SIZE)
        return -EIO;
    if (offset >= USER_DEBUGREG)
        return debug_poke(t, (unsigned)((offset - USER_DEBUGREG) / sizeof(u64)), value);
    if (offset >= sizeof r)
        return -EIO;
    get_general(t, &r);
    put_u64((u8 *)&r + offset, value);
    return set_general(t, &r);
}

void ptrace_set_step(struct task *t, bool on)
{
    struct trap_frame *f = thread_frame(t->thread);
    if (on && t->tracee->debug[7] != 0 && trap_points_stall_steps != NULL && trap_points_stall_steps())
        set_blind(t->tracee, true);
    if (on)
        f->rflags |= RFLAGS_TF;
    else if (t->tracee->how == RESUME_STEP)
        f->rflags &= ~RFLAGS_TF;
}

void ptrace_show_syscall_entry(struct trap_frame *f)
{
    f->rax = (u64)-ENOSYS;
}
