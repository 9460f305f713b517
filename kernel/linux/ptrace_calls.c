/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ptrace(2): the requests. Those of a CPU's debug registers and PTRACE_SYSEMU are refused with EIO, as by a Linux
 * whose machine has none; what is for checkpoints (PTRACE_O_SUSPEND_SECCOMP, PTRACE_SECCOMP_GET_FILTER) as by one built without them.
 */
#include "ptrace.h"
#include "arch_linux.h"
#include "base/str.h"

enum {
    PTRACE_TRACEME, PTRACE_PEEKTEXT, PTRACE_PEEKDATA, PTRACE_PEEKUSER, PTRACE_POKETEXT, PTRACE_POKEDATA, PTRACE_POKEUSER,
    PTRACE_CONT, PTRACE_KILL, PTRACE_SINGLESTEP, PTRACE_GETREGS = 12, PTRACE_SETREGS, PTRACE_GETFPREGS, PTRACE_SETFPREGS,
    PTRACE_ATTACH, PTRACE_DETACH, PTRACE_SYSCALL = 24,
    PTRACE_SETOPTIONS = 0x4200, PTRACE_GETEVENTMSG, PTRACE_GETSIGINFO, PTRACE_SETSIGINFO, PTRACE_GETREGSET, PTRACE_SETREGSET,
    PTRACE_SEIZE, PTRACE_INTERRUPT, PTRACE_LISTEN, PTRACE_GETSIGMASK = 0x420a, PTRACE_SETSIGMASK,
    PTRACE_GET_SYSCALL_INFO = 0x420e,
};

#define REGSET_MAX 16384u

static struct mutex requests; /* one request at a time: P2's `held` has one owner */

static s64 peek_memory(struct task *t, uaddr_t addr, uaddr_t data)
{
    u64 word;
    struct addrspace *as = task_as(t);
    s64 n = as != NULL ? as_copy(as, addr, &word, sizeof word, false) : -EIO;
    addrspace_put(as);
    return n == sizeof word ? put_user_u64(data, word) : -EIO;
}

static s64 poke_memory(struct task *t, uaddr_t addr, u64 word)
{
    struct addrspace *as = task_as(t);
    s64 n = as != NULL ? as_copy(as, addr, &word, sizeof word, true) : -EIO;
    addrspace_put(as);
    return n == sizeof word ? 0 : -EIO;
}

static s64 get_regs(struct task *t, u32 type, uaddr_t to, size_t size)
{
    void *buf = kzalloc(REGSET_MAX);
    if (buf == NULL)
        return -ENOMEM;
    s64 n = ptrace_get_regset(t, type, buf, REGSET_MAX);
    if (n >= 0) {
        n = MIN((size_t)n, size);
        n = copy_to_user(to, buf, (size_t)n) < 0 ? -EFAULT : n;
    }
    kfree(buf);
    return n;
}

static s64 set_regs(struct task *t, u32 type, uaddr_t from, size_t size)
{
    void *buf = kzalloc(REGSET_MAX);
    if (buf == NULL)
        return -ENOMEM;
    size = MIN(size, ptrace_regset_size(type));
    s64 r = copy_from_user(buf, from, size) < 0 ? -EFAULT : ptrace_set_regset(t, type, buf, size);
    kfree(buf);
    return r < 0 ? r : (s64)size;
}

/* PTRACE_GETREGSET and SETREGSET: data is a struct iovec. */
static s64 regset(struct task *t, u32 type, uaddr_t data, bool set)
{
    u64 iov[2];
    if (copy_from_user(iov, data, sizeof iov) < 0)
        return -EFAULT;
    size_t size = ptrace_regset_size(type);
    if (size == 0 || iov[1] % sizeof(u64) != 0)
        return -EINVAL;
    size = MIN(iov[1], size);
    s64 n = set ? set_regs(t, type, iov[0], size) : get_regs(t, type, iov[0], size);
    return n < 0 ? n : put_user_u64(data + 8, (u64)n);
}

static s64 siginfo(struct tracee *tr, uaddr_t data, bool set)
{
    u8 full[SIGINFO_SIZE] = {0};
    if (tr->info == NULL)
        return -EINVAL;
    if (set) {
        if (copy_from_user(full, data, sizeof full) < 0)
            return -EFAULT;
        memcpy(tr->info, full, sizeof *tr->info);
        return 0;
    }
    memcpy(full, tr->info, sizeof *tr->info);
    return copy_to_user(data, full, sizeof full);
}

static s64 sigmask(struct task *t, u64 size, uaddr_t data, bool set)
{
    u64 mask;
    if (size != sizeof mask)
        return -EINVAL;
    if (!set)
        return put_user_u64(data, t->blocked);
    int r = get_user_u64(data, &mask);
    if (r < 0)
        return r;
    spin_lock_bh(&t->proc->sighand->lock);
    t->blocked = mask & ~(SIGMASK(SIGKILL) | SIGMASK(SIGSTOP));
    signal_recalc_locked(t);
    spin_unlock_bh(&t->proc->sighand->lock);
    return 0;
}

struct syscall_info {
    u8 op, pad[3];
    u32 arch;
    u64 ip, sp;
    union {
        struct { u64 nr, args[6]; } entry;
        struct { s64 rval; u8 is_error; } exit;
        struct { u64 nr, args[6]; u32 data; } seccomp; /* begins as entry */
    };
};

static s64 syscall_info(struct tracee *tr, u64 size, uaddr_t data)
{
    const struct trap_frame *f = thread_frame(tr->task->thread);
    struct syscall_info i;
    memset(&i, 0, sizeof i);
    i.op = tr->place;
    i.arch = ARCH_AUDIT;
    i.ip = FRAME_PC(f);
    i.sp = FRAME_SP(f);
    size_t n = offsetof(struct syscall_info, entry);
    if (tr->place == PLACE_ENTRY || tr->place == PLACE_SECCOMP) {
        u64 args[6] = {FRAME_ARG0(f), FRAME_ARG1(f), FRAME_ARG2(f), FRAME_ARG3(f), FRAME_ARG4(f), FRAME_ARG5(f)};
        i.entry.nr = FRAME_SYSCALL_NR(f);
        memcpy(i.entry.args, args, sizeof args);
        n += sizeof i.entry;
        if (tr->place == PLACE_SECCOMP) {
            i.seccomp.data = (u32)tr->message;
            n += sizeof i.seccomp.data;
        }
    } else if (tr->place == PLACE_EXIT) {
        i.exit.rval = (s64)FRAME_RESULT(f);
        i.exit.is_error = (u64)i.exit.rval >= (u64)-4095;
        n += offsetof(struct syscall_info, exit.is_error) - offsetof(struct syscall_info, exit) + 1;
    }
    return copy_to_user(data, &i, MIN(size, n)) < 0 ? -EFAULT : (s64)n;
}

static s64 set_options(struct tracee *tr, u64 options)
{
    if (options & ~(u64)PTRACE_O_KNOWN)
        return -EINVAL;
    tr->options = (u32)options;
    return 0;
}

static s64 detach(struct tracee *tr, u64 sig)
{
    struct list gone;
    list_init(&gone);
    if (sig > NSIG)
        return -EIO;
    spin_lock_bh(&process_list_lock);
    tr->task->resume_signal = (u8)sig;
    ptrace_let_go_locked(tr, &gone);
    spin_unlock_bh(&process_list_lock);
    ptrace_free(&gone);
    return 0;
}

static s64 resume(struct tracee *tr, enum resume_how how, u64 sig)
{
    if (sig > NSIG)
        return -EIO;
    ptrace_resume(tr, how, (int)sig);
    return 0;
}

/* These two need no stop. */
static s64 interrupt(u32 tid)
{
    spin_lock_bh(&process_list_lock);
    struct tracee *tr = ptrace_find_locked(current_process(), tid);
    s64 r = tr == NULL ? -ESRCH : tr->seized ? 0 : -EIO;
    if (r == 0)
        ptrace_interrupt_locked(tr);
    spin_unlock_bh(&process_list_lock);
    return r;
}

static s64 end(u32 tid)
{
    spin_lock_bh(&process_list_lock);
    struct tracee *tr = ptrace_find_locked(current_process(), tid);
    if (tr != NULL)
        process_kill(tr->task->proc, 0, SIGKILL);
    spin_unlock_bh(&process_list_lock);
    return tr != NULL ? 0 : -ESRCH;
}

static s64 listen(struct tracee *tr)
{
    if (!tr->seized || tr->code >> 8 != PTRACE_EVENT_STOP)
        return -EIO;
    ptrace_resume(tr, RESUME_LISTEN, 0);
    return 0;
}

/* What is asked of a tracee that is held; DETACH is not among it. */
static s64 request_of(struct tracee *tr, u64 request, u64 addr, u64 data)
{
    struct task *t = tr->task;
    u64 word;
    s64 r;
    switch (request) {
    case PTRACE_PEEKTEXT:
    case PTRACE_PEEKDATA: return peek_memory(t, addr, data);
    case PTRACE_POKETEXT:
    case PTRACE_POKEDATA: return poke_memory(t, addr, data);
    case PTRACE_PEEKUSER:
        r = ptrace_peek_user(t, addr, &word);
        return r < 0 ? r : put_user_u64(data, word);
    case PTRACE_POKEUSER: return ptrace_poke_user(t, addr, data);
    case PTRACE_CONT: return resume(tr, RESUME_CONT, data);
    case PTRACE_SYSCALL: return resume(tr, RESUME_SYSCALL, data);
    case PTRACE_SINGLESTEP: return resume(tr, RESUME_STEP, data);
    case PTRACE_LISTEN: return listen(tr);
    case PTRACE_GETREGS:
    case PTRACE_GETFPREGS:
        r = get_regs(t, request == PTRACE_GETREGS ? NT_PRSTATUS : NT_PRFPREG, data, SIZE_MAX);
        return r < 0 ? r : 0;
    case PTRACE_SETREGS:
    case PTRACE_SETFPREGS:
        r = set_regs(t, request == PTRACE_SETREGS ? NT_PRSTATUS : NT_PRFPREG, data, SIZE_MAX);
        return r < 0 ? r : 0;
    case PTRACE_GETREGSET:
    case PTRACE_SETREGSET: return regset(t, (u32)addr, data, request == PTRACE_SETREGSET);
    case PTRACE_SETOPTIONS: return set_options(tr, data);
    case PTRACE_GETEVENTMSG: return put_user_u64(data, tr->message);
    case PTRACE_GETSIGINFO:
    case PTRACE_SETSIGINFO: return siginfo(tr, data, request == PTRACE_SETSIGINFO);
    case PTRACE_GETSIGMASK:
    case PTRACE_SETSIGMASK: return sigmask(t, addr, data, request == PTRACE_SETSIGMASK);
    case PTRACE_GET_SYSCALL_INFO: return syscall_info(tr, addr, data);
    default: return -EIO;
    }
}

static s64 trace_me(void)
{
    struct process *p = current_process();
    spin_lock_bh(&process_list_lock);
    struct process *parent = p->parent != NULL ? process_get(p->parent) : NULL;
    spin_unlock_bh(&process_list_lock);
    if (parent == NULL)
        return -EPERM;
    int r = ptrace_attach(current_task(), parent, false, 0);
    process_put(parent);
    return r;
}

static s64 attach(u32 tid, bool seize, u64 addr, u64 options)
{
    if (seize && (addr != 0 || (options & ~(u64)PTRACE_O_KNOWN)))
        return -EIO;
    struct task *t = task_find(tid);
    if (t == NULL)
        return -ESRCH;
    s64 r = t->proc == current_process() || !process_access(t->proc, true) ? -EPERM
                                                                     : ptrace_attach(t, current_process(), seize, seize ? (u32)options : 0);
    if (r == 0) {
        if (!seize)
            signal_send_task(t, &(struct ksiginfo){.signo = SIGSTOP, .code = SI_USER}, NULL);
        thread_interrupt(t->thread, EXIT_SIGNAL);
        wq_wake_all(&t->proc->stop_wq, 0); /* in a group stop: it becomes the tracer's */
    }
    task_put(t);
    return r;
}

s64 sys_ptrace(u64 request, u32 tid, u64 addr, u64 data)
{
    if (request == PTRACE_TRACEME)
        return trace_me();
    if (request == PTRACE_ATTACH || request == PTRACE_SEIZE)
        return attach(tid, request == PTRACE_SEIZE, addr, data);
    if (request == PTRACE_INTERRUPT)
        return interrupt(tid);
    if (request == PTRACE_KILL)
        return end(tid);
    mutex_lock(&requests);
    struct tracee *tr = ptrace_hold(current_process(), tid);
    s64 r = -ESRCH;
    if (tr != NULL && request == PTRACE_DETACH) {
        r = detach(tr, data);
        if (r < 0)
            ptrace_release(tr);
    } else if (tr != NULL) {
        r = request_of(tr, request, addr, data);
        ptrace_release(tr);
    }
    mutex_unlock(&requests);
    return r;
}

void ptrace_init(void)
{
    mutex_init(&requests, "ptrace");
}
