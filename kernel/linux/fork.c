/* SPDX-License-Identifier: Apache-2.0 */
/*
 * New processes (fork(2), and clone(2) without CLONE_THREAD). All that can fail is done on a process that
 * nobody sees; process_publish() is the commit, and after it only task_start() is left. With CLONE_VFORK the
 * caller then sleeps until the new process lets go of the memory that they share (exec, exit);
 * only its own end wakes it earlier.
 */
#include "ptrace.h"
#include "base/str.h"

/* What the new process has from the old one at first. */
static void inherit(struct process *p, struct process *from, const struct clone_args *a)
{
    spin_lock_bh(&from->lock);
    memcpy(p->rlimits, from->rlimits, sizeof p->rlimits);
    p->exe = program_get(from->exe);
    spin_unlock_bh(&from->lock);
    if (!(a->flags & (CLONE_SIGHAND | CLONE_CLEAR_SIGHAND))) {
        spin_lock_bh(&from->sighand->lock);
        memcpy(p->sighand->act, from->sighand->act, sizeof p->sighand->act);
        spin_unlock_bh(&from->sighand->lock);
    } else if (a->flags & CLONE_CLEAR_SIGHAND) {
        for (unsigned i = 0; i < NSIG; i++)
            p->sighand->act[i].handler = from->sighand->act[i].handler == SIG_IGN ? SIG_IGN : SIG_DFL;
    }
    memcpy(p->auxv, from->auxv, sizeof p->auxv);
    p->auxv_words = from->auxv_words;
    p->dumpable = from->dumpable;
    p->no_tty = from->no_tty;
    p->thp_disable = from->thp_disable;
    p->personality = from->personality;
    p->oom_score_adj = from->oom_score_adj;
    p->oom_score_adj_min = from->oom_score_adj_min;
    p->membarrier_registered = a->flags & CLONE_VM ? 0 : from->membarrier_registered;
    p->parent_signal = a->exit_signal <= NSIG ? (u8)a->exit_signal : 0;
    p->vfork = (a->flags & CLONE_VFORK) != 0;
}

/* A descriptor for the process, to be published with it. */
static int prepare_pidfd(struct process *p, const struct clone_args *a, struct file **ret_file)
{
    int r = pidfd_create(p, 0, ret_file);
    if (r < 0)
        return r;
    int fd = fd_reserve(current_files(), 0, true);
    r = fd < 0 ? fd : put_user_u32(a->pidfd, (u32)fd);
    if (r < 0) {
        if (fd >= 0)
            fd_unreserve(current_files(), fd);
        file_put(*ret_file);
        *ret_file = NULL;
        return r;
    }
    return fd;
}

static void wait_for_vfork(struct process *p)
{
    struct waiter w;
    waiter_init_thread(&w);
    for (;;) {
        wait_prepare(&p->stop_wq, &w, true);
        thread_block_killable();
        if (!atomic_load(&p->vfork) || wait_block(NEVER_NS, true) != 0)
            break;
    }
    wait_finish(&w);
}

s64 fork_process(const struct clone_args *a)
{
    struct task *self = current_task(), *t;
    struct process *p;
    struct file *pidfd = NULL;
    int fd = -1;
    int r = process_create(a->flags & CLONE_SIGHAND ? self->proc : NULL, &p);
    if (r < 0)
        return r;
    r = task_create(p, self->thread->name, task_main, &t);
    if (r < 0) {
        process_put(p);
        return r;
    }
    inherit(p, self->proc, a);
    r = task_inherit(t, a);
    if (r == 0 && (a->flags & CLONE_PIDFD))
        r = fd = prepare_pidfd(p, a, &pidfd);
    unsigned event = 0;
    if (r >= 0 && task_traced(self)) {
        int traced = ptrace_inherit(t, a, &event);
        r = traced < 0 ? traced : r;
    }
    if (r >= 0)
        r = process_publish(p, t, (a->flags & CLONE_PARENT) != 0);
    if (r < 0)
        goto out;

    s64 pid = p->pid;
    if (fd >= 0)
        fd_publish(current_files(), fd, pidfd);
    if (a->flags & CLONE_PARENT_SETTID)
        (void)put_user_u32(a->parent_tid, (u32)pid);
    process_get(p);
    task_start(t);
    if (event != 0)
        ptrace_event(self, event, (u64)pid);
    if (a->flags & CLONE_VFORK) {
        wait_for_vfork(p);
        if (task_traced(self))
            ptrace_event(self, PTRACE_EVENT_VFORK_DONE, (u64)pid);
    }
    process_put(p);
    return pid;

out:
    if (fd >= 0) {
        fd_unreserve(current_files(), fd);
        file_put(pidfd);
    }
    task_abandon(t);
    process_put(p);
    return r;
}

s64 sys_fork(void) { return fork_process(&(struct clone_args){.exit_signal = SIGCHLD}); }
s64 sys_vfork(void) { return fork_process(&(struct clone_args){.flags = CLONE_VFORK | CLONE_VM, .exit_signal = SIGCHLD}); }
