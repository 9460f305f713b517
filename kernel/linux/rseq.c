/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rseq(2), restartable sequences: the program is told on which CPU it runs, and a critical section that was left by
 * force goes on at its abort address. The scheduler sets EXIT_RSEQ on a thread that asked (thread->told_cpu) when it
 * comes to another CPU, or gives up its CPU other than in a system call (there are none in a critical section): preempted, or
 * waiting in a page fault. All else happens on its way back to the program.
 */
#include "task.h"
#include "arch_linux.h"

#define RSEQ_SIZE 32u
#define RSEQ_UNREGISTER 1
#define CPU_UNINITIALIZED UINT32_MAX
#define OFF_CPU_START 0u
#define OFF_CPU 4u
#define OFF_CS 8u

struct abi_rseq_cs {
    u32 version, flags;
    u64 start, length, abort;
};
_Static_assert(sizeof(struct abi_rseq_cs) == 32, "struct rseq_cs");

static int tell_cpu(struct task *t)
{
    u32 cpu = this_cpu()->cpu;
    t->thread->told_cpu = cpu + 1; /* first: if it moves on meanwhile, it is told again */
    return put_user_u32(t->rseq.addr + OFF_CPU_START, cpu) < 0 ? -EFAULT : put_user_u32(t->rseq.addr + OFF_CPU, cpu);
}

/* Where to go on instead, if the program was in a critical section; else pc. */
static int leave_section(struct task *t, uaddr_t *pc)
{
    struct abi_rseq_cs cs;
    u64 at;
    u32 sig;
    if (get_user_u64(t->rseq.addr + OFF_CS, &at) < 0)
        return -EFAULT;
    if (at == 0)
        return 0;
    if (copy_from_user(&cs, at, sizeof cs) < 0)
        return -EFAULT;
    if (cs.start >= PLAT_USER_MAX || cs.start + cs.length < cs.start || cs.start + cs.length >= PLAT_USER_MAX ||
        cs.abort >= PLAT_USER_MAX || cs.version > 0 || cs.flags != 0 || cs.abort - cs.start < cs.length)
        return -EINVAL;
    if (get_user_u32(cs.abort - sizeof sig, &sig) < 0)
        return -EFAULT;
    if (sig != t->rseq.sig)
        return -EINVAL;
    if (put_user_u64(t->rseq.addr + OFF_CS, 0) < 0)
        return -EFAULT;
    if (*pc - cs.start < cs.length)
        *pc = cs.abort;
    return 0;
}

void rseq_resume(struct task *t, struct trap_frame *f)
{
    uaddr_t pc = FRAME_PC(f);
    if (leave_section(t, &pc) < 0 || tell_cpu(t) < 0) {
        struct ksiginfo i = {.signo = SIGSEGV, .code = SI_KERNEL};
        t->thread->told_cpu = 0; /* once */
        signal_force(t, &i);
        return;
    }
    FRAME_PC(f) = pc;
}

static s64 unregister(struct task *t, uaddr_t addr, u32 len, u32 sig)
{
    if (t->rseq.addr != addr || addr == 0 || len != RSEQ_SIZE)
        return -EINVAL;
    if (t->rseq.sig != sig)
        return -EPERM;
    if (put_user_u32(addr + OFF_CPU_START, 0) < 0 || put_user_u32(addr + OFF_CPU, CPU_UNINITIALIZED) < 0)
        return -EFAULT;
    t->rseq.addr = 0;
    t->thread->told_cpu = 0;
    return 0;
}

s64 sys_rseq(uaddr_t addr, u32 len, int flags, u32 sig)
{
    struct task *t = current_task();
    if (flags & RSEQ_UNREGISTER)
        return flags != RSEQ_UNREGISTER ? -EINVAL : unregister(t, addr, len, sig);
    if (flags != 0)
        return -EINVAL;
    if (t->rseq.addr != 0)
        return t->rseq.addr != addr || len != RSEQ_SIZE ? -EINVAL : t->rseq.sig != sig ? -EPERM : -EBUSY;
    if (!IS_ALIGNED(addr, RSEQ_SIZE) || len != RSEQ_SIZE)
        return -EINVAL;
    if (!user_range_ok(addr, len))
        return -EFAULT;
    t->rseq.addr = addr;
    t->rseq.sig = sig;
    t->thread->told_cpu = UINT32_MAX; /* no CPU: it is told on its way back */
    atomic_or(&t->thread->exit_work, EXIT_RSEQ);
    return 0;
}
