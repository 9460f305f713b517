/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clone(2), clone3(2) and their simpler forms: what the flags mean, and new threads of the calling process.
 * New processes are fork.c's. The combinations that Linux refuses are refused the same way first.
 */
#include "ptrace.h"
#include "seccomp_impl.h"
#include "base/str.h"
#include "arch_linux.h"

#define CLONE_ARGS_SIZE_VER0 64

void task_main(void *arg)
{
    struct task *t = arg;
    if (t->set_child_tid != 0)
        (void)put_user_u32(t->set_child_tid, t->tid); /* a bad address is not an error in Linux either */
    arch_enter_program(&t->start_frame);
}

/* Refusals of copy_process() in Linux, in its order. */
static int check_flags(const struct clone_args *a)
{
    u64 f = a->flags;
    if ((f & (CLONE_NEWNS | CLONE_FS)) == (CLONE_NEWNS | CLONE_FS))
        return -EINVAL;
    if ((f & (CLONE_NEWUSER | CLONE_FS)) == (CLONE_NEWUSER | CLONE_FS))
        return -EINVAL;
    if ((f & CLONE_THREAD) && !(f & CLONE_SIGHAND))
        return -EINVAL;
    if ((f & CLONE_SIGHAND) && !(f & CLONE_VM))
        return -EINVAL;
    if ((f & CLONE_THREAD) && (f & (CLONE_NEWUSER | CLONE_NEWPID)))
        return -EINVAL;
    if ((f & CLONE_PIDFD) && (f & (CLONE_DETACHED | CLONE_THREAD)))
        return -EINVAL;
    if ((f & CLONE_SIGHAND) && (f & CLONE_CLEAR_SIGHAND))
        return -EINVAL;
    if (f & (CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET |
             CLONE_NEWTIME))
        return -EINVAL; /* as a Linux without namespaces */
    if ((f & CLONE_SETTLS) && a->tls >= PLAT_USER_MAX)
        return -EPERM;
    if (a->stack > PLAT_USER_MAX)
        return -EINVAL;
    return 0;
}

static void inherit_priority(struct thread *th, const struct task *parent)
{
    u8 policy = parent->thread->policy, rt_prio = parent->thread->rt_prio;
    int nice = parent->thread->nice;
    if (parent->reset_on_fork) {
        nice = rt_prio != 0 ? 0 : MAX(nice, 0);
        policy = rt_prio != 0 ? POLICY_OTHER : policy;
        rt_prio = 0;
    }
    thread_set_policy(th, policy, rt_prio);
    thread_set_nice(th, nice);
}

int task_inherit(struct task *t, const struct clone_args *a)
{
    struct task *self = current_task();
    struct thread *th = t->thread;
    t->start_frame = *thread_frame(self->thread);
    arch_set_clone_frame(&t->start_frame, a->stack);
    if (a->flags & CLONE_FS) {
        t->fs = self->fs;
        ref_get(&t->fs->refs);
    } else {
        t->fs = fs_ctx_copy(self->fs);
    }
    t->files = (a->flags & CLONE_FILES) ? fdtable_get(self->files) : fdtable_copy(self->files);
    t->cred = cred_get(self->cred);
    if (t->fs == NULL || t->files == NULL)
        return -ENOMEM;
    t->blocked = self->blocked;
    t->ioprio = self->ioprio;
    t->no_new_privs = self->no_new_privs;
    if (!(a->flags & CLONE_THREAD)) { /* threads: task_start() */
        spin_lock_bh(&self->proc->lock);
        seccomp_inherit_locked(t, self);
        spin_unlock_bh(&self->proc->lock);
    }
    t->timer_slack_ns = self->timer_slack_ns;
    t->loginuid = self->loginuid;
    t->sessionid = self->sessionid;
    if (!(a->flags & CLONE_VM) || (a->flags & CLONE_VFORK))
        t->altstack = self->altstack;
    if (a->flags & CLONE_CHILD_CLEARTID)
        t->clear_child_tid = a->child_tid;
    if (a->flags & CLONE_CHILD_SETTID)
        t->set_child_tid = a->child_tid;
    arch_tls_save(&th->tls); /* the live registers are the caller's */
    if (a->flags & CLONE_SETTLS)
        th->tls.fs_base = a->tls;
    thread_fpu_sync(self->thread);
    memcpy(th->fpu, self->thread->fpu, arch_fpu_size());
    inherit_priority(th, self);
    thread_set_affinity(th, self->thread->affinity);
    if (!(a->flags & CLONE_VM)) {
        t->rseq = self->rseq;
        th->told_cpu = self->thread->told_cpu;
        return addrspace_fork(self->thread->as, &th->as);
    }
    th->as = addrspace_get(self->thread->as);
    return 0;
}

/* One that was never started. */
void task_abandon(struct task *t)
{
    ptrace_forget(t);
    fs_ctx_put(t->fs);
    fdtable_put(t->files);
    addrspace_put(t->thread->as);
    t->thread->as = NULL;
    task_put(t);
}

static s64 clone_thread(const struct clone_args *a)
{
    struct task *self = current_task(), *t;
    int r = task_create(self->proc, self->thread->name, task_main, &t);
    if (r < 0)
        return -EAGAIN;
    unsigned event = 0;
    r = task_inherit(t, a);
    if (r == 0)
        r = task_publish(t);
    if (r == 0 && task_traced(self))
        r = ptrace_inherit(t, a, &event);
    if (r < 0) {
        task_abandon(t);
        return r;
    }
    u32 tid = t->tid;
    if (a->flags & CLONE_PARENT_SETTID)
        (void)put_user_u32(a->parent_tid, tid);
    task_start(t);
    if (event != 0)
        ptrace_event(self, event, tid);
    return tid;
}

/* RLIMIT_NPROC counts the user's tasks; root and the like may pass it. */
static bool too_many(const struct task *self)
{
    u64 limit = rlimit_of(self->proc, RLIMIT_NPROC);
    if (limit == RLIM_INFINITY || self->cred->uid == 0 || capable(CAP_SYS_RESOURCE) || capable(CAP_SYS_ADMIN))
        return false;
    spin_lock_bh(&process_list_lock);
    u32 n = task_count_locked(&self->cred->uid);
    spin_unlock_bh(&process_list_lock);
    return n >= limit;
}

static s64 do_clone(const struct clone_args *a)
{
    int r = check_flags(a);
    if (r < 0)
        return r;
    if (!task_room() || too_many(current_task()))
        return -EAGAIN;
    return a->flags & CLONE_THREAD ? clone_thread(a) : fork_process(a);
}

s64 sys_clone(u64 flags, u64 stack, uaddr_t parent_tid, uaddr_t child_tid, u64 tls)
{
    struct clone_args a = {
        .flags = flags & 0xffffff00UL & ~CLONE_DETACHED, .exit_signal = flags & 0xff, .stack = stack,
        .parent_tid = parent_tid, .child_tid = child_tid, .tls = tls, .pidfd = parent_tid,
    };
    if ((flags & CLONE_PIDFD) && (flags & (CLONE_DETACHED | CLONE_PARENT_SETTID)))
        return -EINVAL;
    return do_clone(&a);
}

s64 sys_clone3(uaddr_t uargs, u64 size)
{
    struct clone_args a = {0};
    if (size > PAGE_SIZE)
        return -E2BIG;
    if (size < CLONE_ARGS_SIZE_VER0)
        return -EINVAL;
    int r = copy_struct_from_user(&a, sizeof a, uargs, size);
    if (r < 0)
        return r;
    if (a.set_tid_size > 32 || (a.set_tid == 0) != (a.set_tid_size == 0))
        return -EINVAL;
    if ((a.exit_signal & ~0xffULL) != 0 || a.exit_signal > NSIG)
        return -EINVAL;
    if (a.flags & ~(0xffffffffULL | CLONE_CLEAR_SIGHAND | CLONE_INTO_CGROUP) || (a.flags & (CLONE_DETACHED | 0x7f)))
        return -EINVAL;
    if ((a.flags & (CLONE_THREAD | CLONE_PARENT)) && a.exit_signal != 0)
        return -EINVAL;
    if ((a.stack == 0) != (a.stack_size == 0))
        return -EINVAL;
    if (a.stack != 0) {
        if (!user_range_ok(a.stack, a.stack_size))
            return -EINVAL;
        a.stack += a.stack_size;
    }
    if (a.flags & CLONE_INTO_CGROUP)
        return -EINVAL;
    if (a.set_tid_size != 0)
        return capable(CAP_SYS_ADMIN) ? -EINVAL : -EPERM;
    return do_clone(&a);
}

void task_end(int code, int signal)
{
    struct task *t = current_task();
    struct process *p = t->proc;
    if (task_traced(t))
        ptrace_event(t, PTRACE_EVENT_EXIT, (u64)code << 8 | (u64)signal);
    spin_lock_bh(&p->lock);
    if (!p->group_exit) { /* of several threads the last one's counts */
        p->exit_code = code;
        p->exit_signal = signal;
    }
    spin_unlock_bh(&p->lock);
    task_exit();
}

s64 sys_exit(int code) { task_end(code & 0xff, 0); }

s64 sys_exit_group(int code)
{
    process_exit(code & 0xff, 0);
}
