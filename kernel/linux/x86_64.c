/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x86-64 parts of the personality: the frame of a signal handler and its way
 * back (arch/x86/include/uapi/asm/sigcontext.h, ucontext.h), the first registers of
 * programs and threads, arch_prctl(2).
 *
 * From high to low on the handler's stack:
 *   red zone (128 bytes, interrupted stack only)
 *   extended state, 64-aligned: FXSAVE image with the magic words in its
 *     software bytes, XSAVE header, components, end magic
 *   struct rt_frame, so placed that the handler starts as after a call
 */
#include "abi/bpf.h"
#include "task.h"
#include "arch_linux.h"
#include "base/bytes.h"
#include "base/fmt.h"
#include "base/str.h"

#define RED_ZONE 128
#define FXSAVE_SIZE 512
#define XSAVE_HEADER 64
#define XFEATURES_LEGACY 3u /* x87 and SSE, as FXSAVE has them */
#define SW_OFFSET 464        /* struct _fpx_sw_bytes */
#define FP_XSTATE_MAGIC1 0x46505853u
#define FP_XSTATE_MAGIC2 0x46505845u
#define UC_FP_XSTATE 1u
#define UC_SIGCONTEXT_SS 2u
#define UC_STRICT_RESTORE_SS 4u
/* rflags that a program may choose: AC OF DF TF SF ZF AF PF CF RF. */
#define RFLAGS_USER 0x50dd5UL
#define RFLAGS_IF 0x200UL
#define RFLAGS_FIXED 0x2UL
#define RFLAGS_DF 0x400UL
#define RFLAGS_TF 0x100UL
#define RFLAGS_RF 0x10000UL

const char arch_platform_name[] = "x86_64";

struct sigcontext {
    u64 r8, r9, r10, r11, r12, r13, r14, r15;
    u64 rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
    u16 cs, gs, fs, ss;
    u64 err, trapno, oldmask, cr2, fpstate, reserved[8];
};
struct ucontext {
    u64 flags, link;
    struct abi_stack stack;
    struct sigcontext mc;
    u64 mask;
};
struct rt_frame {
    u64 restorer;
    struct ucontext uc;
    u8 info[SIGINFO_SIZE];
};
_Static_assert(sizeof(struct sigcontext) == 256 && sizeof(struct rt_frame) == 440, "Linux' layout");

struct sw_bytes {
    u32 magic1, extended_size;
    u64 xfeatures;
    u32 xstate_size, padding[7];
};
_Static_assert(sizeof(struct sw_bytes) == 48, "struct _fpx_sw_bytes");

static size_t fpu_frame_size(void)
{
    size_t n = arch_fpu_size();
    return n > FXSAVE_SIZE ? n + 4 : n;
}

size_t signal_min_stack(void)
{
    return MAX((size_t)MINSIGSTKSZ, sizeof(struct rt_frame) + fpu_frame_size() + 64 + 16 + 8);
}

/* The live state to `at`, as Linux lays it out. */
static int put_fpu(uaddr_t at)
{
    struct thread *th = current_thread();
    size_t n = arch_fpu_size();
    thread_fpu_sync(th);
    if (copy_to_user(at, th->fpu, n) < 0)
        return -EFAULT;
    struct sw_bytes sw = {0};
    if (n > FXSAVE_SIZE) {
        sw.magic1 = FP_XSTATE_MAGIC1;
        sw.extended_size = (u32)n + 4;
        sw.xfeatures = arch_fpu_components();
        sw.xstate_size = (u32)n;
        u64 components = get_u64((u8 *)th->fpu + FXSAVE_SIZE) | XFEATURES_LEGACY; /* whole: what the handler changes there shall count */
        if (put_user_u64(at + FXSAVE_SIZE, components) < 0 || put_user_u32(at + n, FP_XSTATE_MAGIC2) < 0)
            return -EFAULT;
    }
    return copy_to_user(at + SW_OFFSET, &sw, sizeof sw);
}

void arch_fpu_clean(u8 *area, u64 components)
{
    put_u32(area + 24, get_u32(area + 24) & 0xffff); /* MXCSR */
    if (arch_fpu_size() > FXSAVE_SIZE) {
        u8 *header = area + FXSAVE_SIZE;
        components &= arch_fpu_components();
        memset(header, 0, XSAVE_HEADER);
        put_u64(header, components);
    }
}

/* Take state from the program. */
static int get_fpu(uaddr_t at)
{
    struct thread *th = current_thread();
    u8 *area = th->fpu;
    size_t n = arch_fpu_size();
    struct sw_bytes sw;
    u32 magic2 = 0;
    if (at == 0) {
        thread_fpu_reset(th);
        return 0;
    }
    if (!IS_ALIGNED(at, 16) || copy_from_user(&sw, at + SW_OFFSET, sizeof sw) < 0)
        return -EFAULT;
    bool extended = n > FXSAVE_SIZE && sw.magic1 == FP_XSTATE_MAGIC1 && sw.xstate_size >= FXSAVE_SIZE + XSAVE_HEADER &&
                    sw.xstate_size <= n && sw.extended_size >= sw.xstate_size &&
                    get_user_u32(at + sw.xstate_size, &magic2) == 0 && magic2 == FP_XSTATE_MAGIC2;
    thread_fpu_reset(th);
    int r = copy_from_user(area, at, extended ? sw.xstate_size : FXSAVE_SIZE);
    arch_fpu_clean(area, extended ? get_u64(area + FXSAVE_SIZE) & sw.xfeatures : 3);
    if (r < 0)
        arch_fpu_reset(area);
    return r;
}

static bool on_altstack(const struct task *t, u64 sp)
{
    return !(t->altstack.flags & SS_AUTODISARM) && t->altstack.size != 0 && sp > t->altstack.sp &&
           sp - t->altstack.sp <= t->altstack.size;
}

int signal_push_frame(struct trap_frame *f, const struct ksigaction *act, const struct ksiginfo *info, u64 mask)
{
    struct task *t = current_task();
    struct rt_frame frame;
    u64 sp = FRAME_SP(f) - RED_ZONE;
    bool nested = on_altstack(t, FRAME_SP(f)), alt = nested;

    if (!(act->flags & SA_RESTORER) || act->handler >= PLAT_USER_MAX)
        return -EFAULT;
    if ((act->flags & SA_ONSTACK) && !nested && t->altstack.size != 0) {
        sp = t->altstack.sp + t->altstack.size;
        alt = true;
    }
    u64 fpu = ALIGN_DOWN(sp - fpu_frame_size(), 64);
    u64 at = ALIGN_DOWN(fpu - sizeof frame, 16) - 8;
    if (at > fpu || !user_range_ok(at, fpu - at))
        return -EFAULT;
    if (alt && (at <= t->altstack.sp || at - t->altstack.sp > t->altstack.size))
        return -EFAULT; /* would run out of the alternate stack */
    if (put_fpu(fpu) < 0)
        return -EFAULT;

    memset(&frame, 0, sizeof frame);
    frame.restorer = act->restorer;
    frame.uc.flags = (arch_fpu_size() > FXSAVE_SIZE ? UC_FP_XSTATE : 0) | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
    frame.uc.stack = t->altstack;
    if (nested)
        frame.uc.stack.flags |= SS_ONSTACK;
    frame.uc.mask = mask;
    struct sigcontext *mc = &frame.uc.mc;
    mc->r8 = f->r8, mc->r9 = f->r9, mc->r10 = f->r10, mc->r11 = f->r11;
    mc->r12 = f->r12, mc->r13 = f->r13, mc->r14 = f->r14, mc->r15 = f->r15;
    mc->rdi = f->rdi, mc->rsi = f->rsi, mc->rbp = f->rbp, mc->rbx = f->rbx;
    mc->rdx = f->rdx, mc->rax = f->rax, mc->rcx = f->rcx;
    mc->rsp = f->rsp, mc->rip = f->rip, mc->rflags = f->rflags;
    mc->cs = 0x33, mc->ss = 0x2b; /* what Linux shows; never loaded from here */
    mc->err = f->error, mc->trapno = f->vector, mc->cr2 = t->fault_addr;
    mc->oldmask = mask;
    mc->fpstate = fpu;
    memcpy(frame.info, info, sizeof *info);
    if (copy_to_user(at, &frame, sizeof frame) < 0)
        return -EFAULT;

    if (t->altstack.flags & SS_AUTODISARM)
        t->altstack = (struct abi_stack){.flags = SS_DISABLE};
    f->rdi = (u64)info->signo;
    f->rsi = at + offsetof(struct rt_frame, info);
    f->rdx = at + offsetof(struct rt_frame, uc);
    f->rax = 0;
    f->rip = act->handler;
    frame_leave_gate(f);
    f->rsp = at;
    f->rflags &= ~(RFLAGS_DF | RFLAGS_TF | RFLAGS_RF);
    thread_fpu_reset(current_thread()); /* a full x87 stack or unmasked exceptions are not for the handler */
    arch_frame_leave_syscall(f);
    return 0;
}

int signal_pop_frame(struct trap_frame *f)
{
    struct rt_frame frame;
    u64 at = FRAME_SP(f) - 8; /* the handler's return took the restorer's address */
    if (copy_from_user(&frame, at, sizeof frame) < 0)
        return -EFAULT;
    const struct sigcontext *mc = &frame.uc.mc;
    /* Registers that would lead out of the program's range are a bad frame. */
    if (mc->rip >= PLAT_USER_MAX || mc->rsp > PLAT_USER_MAX)
        return -EFAULT;
    if (get_fpu(mc->fpstate) < 0)
        return -EFAULT;
    signal_set_blocked(frame.uc.mask);
    f->r8 = mc->r8, f->r9 = mc->r9, f->r10 = mc->r10, f->r11 = mc->r11;
    f->r12 = mc->r12, f->r13 = mc->r13, f->r14 = mc->r14, f->r15 = mc->r15;
    f->rdi = mc->rdi, f->rsi = mc->rsi, f->rbp = mc->rbp, f->rbx = mc->rbx;
    f->rdx = mc->rdx, f->rax = mc->rax, f->rcx = mc->rcx;
    f->rsp = mc->rsp, f->rip = mc->rip;
    frame_leave_gate(f);
    f->rflags = (mc->rflags & RFLAGS_USER) | RFLAGS_IF | RFLAGS_FIXED;
    arch_frame_leave_syscall(f);
    struct abi_stack *s = &frame.uc.stack;
    struct task *t = current_task();
    if (!on_altstack(t, f->rsp)) {
        u32 mode = s->flags & ~(SS_AUTODISARM | SS_ONSTACK);
        if (mode == SS_DISABLE)
            t->altstack = (struct abi_stack){.flags = SS_DISABLE};
        else if (mode == 0 && s->size >= MINSIGSTKSZ)
            t->altstack = (struct abi_stack){.sp = s->sp, .size = s->size, .flags = s->flags & SS_AUTODISARM};
    }
    return 0;
}

void arch_init_program_frame(struct trap_frame *f, uaddr_t pc, uaddr_t sp)
{
    memset(f, 0, sizeof *f);
    f->rip = pc;
    f->rsp = sp;
    f->rflags = RFLAGS_IF | RFLAGS_FIXED;
    f->orig_rax = (u64)-1;
}

void arch_set_clone_frame(struct trap_frame *f, u64 stack)
{
    f->rax = 0;
    frame_leave_gate(f); /* thunks are not inherited by another address space */
    if (stack != 0)
        f->rsp = stack;
    f->orig_rax = (u64)-1;
}

bool arch_frame_in_syscall(const struct trap_frame *f)
{
    return FRAME_SYSCALL_NR(f) >= 0;
}

void arch_frame_pass_point(struct trap_frame *f) { f->rflags |= RFLAGS_RF; }

void arch_frame_leave_syscall(struct trap_frame *f)
{
    f->orig_rax = (u64)-1;
}

void arch_restart_syscall(struct trap_frame *f, u64 nr)
{
    f->rax = nr;
    f->rip -= 2; /* the instruction itself */
    frame_leave_gate(f);
}

int arch_fpu_code(bool simd)
{
    const u8 *area = current_thread()->fpu;
    thread_fpu_sync(current_thread());
    u32 flags = simd ? get_u32(area + 24) & ~(get_u32(area + 24) >> 7) : get_u16(area + 2) & ~get_u16(area);
    static const u8 codes[][2] = {{0x01, FPE_FLTINV}, {0x04, FPE_FLTDIV}, {0x08, FPE_FLTOVF}, {0x12, FPE_FLTUND}, {0x20, FPE_FLTRES}};
    for (unsigned i = 0; i < ARRAY_SIZE(codes); i++)
        if (flags & codes[i][0])
            return codes[i][1];
    return FPE_FLTINV;
}

void arch_dwarf_registers(const struct trap_frame *f, u64 ret[17])
{
    const u64 regs[17] = {f->rax, f->rdx, f->rcx, f->rbx, f->rsi, f->rdi, f->rbp, f->rsp, f->r8, f->r9, f->r10, f->r11,
                          f->r12, f->r13, f->r14, f->r15, f->rip};
    memcpy(ret, regs, sizeof regs);
}

#define AT(word) (s16)offsetof(struct trap_frame, word)
const s16 arch_bpf_call_words[] = { -1, AT(orig_rax), AT(rdi), AT(rsi), AT(rdx), AT(r10), AT(r8), AT(r9) };
_Static_assert(sizeof(arch_bpf_call_words) / sizeof(arch_bpf_call_words[0]) * 8 == sizeof(struct bpfd_call_entry_ctx), "one for each");

void arch_bpf_registers(const struct trap_frame *f, struct bpfd_regs_ctx *ret)
{
    *ret = (struct bpfd_regs_ctx){ .r15 = f->r15, .r14 = f->r14, .r13 = f->r13, .r12 = f->r12, .rbp = f->rbp, .rbx = f->rbx, .r11 = f->r11,
                                   .r10 = f->r10, .r9 = f->r9, .r8 = f->r8, .rax = f->rax, .rcx = f->rcx, .rdx = f->rdx, .rsi = f->rsi,
                                   .rdi = f->rdi, .orig_rax = f->orig_rax, .rip = f->rip, .cs = f->cs, .eflags = f->rflags, .rsp = f->rsp,
                                   .ss = f->ss };
}

size_t arch_show_registers(const struct trap_frame *f, char *buf, size_t size)
{
    static const struct {
        char name[4];
        u16 off;
    } regs[] = {
#define R(n) {#n, offsetof(struct trap_frame, n)}
        R(rip), R(rsp), R(rax), R(rbx), R(rcx), R(rdx), R(rsi), R(rdi), R(rbp),
        R(r8), R(r9), R(r10), R(r11), R(r12), R(r13), R(r14), R(r15),
#undef R
    };
    size_t n = 0;
    for (unsigned i = 0; i < ARRAY_SIZE(regs); i++)
        n += (size_t)fmt_snprintf(n < size ? buf + n : NULL, n < size ? size - n : 0, "%3.3s %016lx%s", regs[i].name,
                                  (unsigned long)get_u64((const u8 *)f + regs[i].off), i % 3 == 2 ? "\n" : "  ");
    n += (size_t)fmt_snprintf(n < size ? buf + n : NULL, n < size ? size - n : 0, "flags %lx\n", (unsigned long)f->rflags);
    return n;
}

/* --- arch_prctl(2) ------------------------------------------------------------ */

#define ARCH_SET_GS 0x1001
#define ARCH_SET_FS 0x1002
#define ARCH_GET_FS 0x1003
#define ARCH_GET_GS 0x1004
#define ARCH_GET_CPUID 0x1011
#define ARCH_SET_CPUID 0x1012

s64 sys_arch_prctl(int code, u64 addr)
{
    struct arch_tls tls;
    arch_tls_save(&tls);
    switch (code) {
    case ARCH_SET_FS:
    case ARCH_SET_GS:
        if (addr >= PLAT_USER_MAX)
            return -EPERM;
        if (code == ARCH_SET_FS)
            tls.fs_base = addr;
        else
            tls.gs_base = addr;
        arch_tls_load(&tls);
        return 0;
    case ARCH_GET_FS:
        return put_user_u64(addr, tls.fs_base);
    case ARCH_GET_GS:
        return put_user_u64(addr, tls.gs_base);
    case ARCH_GET_CPUID:
        return 1;
    case ARCH_SET_CPUID:
        return -ENODEV;
    default:
        return -EINVAL;
    }
}

u64 arch_sigreturn_mask(const struct trap_frame *f) { return f->rsp - sizeof(u64) + offsetof(struct rt_frame, uc.mask); }

s64 sys_rt_sigreturn(void)
{
    struct thread *th = current_thread();
    struct trap_frame *f = thread_frame(th);
    if (signal_pop_frame(f) < 0) {
        struct ksiginfo i = {.signo = SIGSEGV, .code = SI_KERNEL};
        signal_force(current_task(), &i);
        return 0;
    }
    syscall_done();
    arch_enter_program(f);
}
