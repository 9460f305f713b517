/* SPDX-License-Identifier: Apache-2.0 */
/* Traced tasks: how they stop, go on and end. The rules (P1 to P5) are in ptrace.h, the requests in ptrace_calls.c. */
#include "ptrace.h"
#include "arch_linux.h"
#include "base/str.h"

/* --- beginning and end ------------------------------------------------------------------------------ */

static void link_locked(struct tracee *tr, struct task *t, struct process *tracer)
{
    tr->task = task_get(t);
    tr->tracer = tracer;
    list_push_back(&tracer->tracees, &tr->node);
    atomic_store(&t->tracee, tr);
}

int ptrace_attach(struct task *t, struct process *tracer, bool seize, u32 options)
{
    struct tracee *tr = kzalloc(sizeof *tr);
    if (tr == NULL)
        return -ENOMEM;
    tr->seized = seize;
    tr->options = options;
    spin_lock_bh(&process_list_lock);
    bool ok = t->tracee == NULL && !t->ended && t->proc->state == PROC_LIVE && tracer->state == PROC_LIVE;
    if (ok)
        link_locked(tr, t, tracer);
    spin_unlock_bh(&process_list_lock);
    if (!ok)
        kfree(tr);
    return ok ? 0 : -EPERM;
}

/* Its system calls, for ptrace_syscall(). */
static void ptrace_watch_locked(struct tracee *tr, bool on)
{
    if (tr->watched != on)
        syscall_watch(on);
    tr->watched = on;
}

void ptrace_let_go_locked(struct tracee *tr, struct list *gone)
{
    struct task *t = tr->task;
    if (tr->stopped)
        ptrace_set_step(t, false);
    ptrace_watch_locked(tr, false);
    ptrace_debug_clear(tr);
    atomic_store(&t->tracee, NULL);
    list_remove(&tr->node);
    list_push_back(gone, &tr->node);
    wq_wake_all(&t->proc->stop_wq, 0);
}

void ptrace_free(struct list *gone)
{
    list_for_each_safe(tr, gone, struct tracee, node) {
        list_remove(&tr->node);
        task_put(tr->task);
        kfree(tr);
    }
}

void ptrace_forget(struct task *t)
{
    struct list gone;
    list_init(&gone);
    spin_lock_bh(&process_list_lock);
    if (t->tracee != NULL) {
        struct process *tracer = t->tracee->tracer;
        ptrace_let_go_locked(t->tracee, &gone);
        wq_wake_all(&tracer->child_wq, 0); /* there may be nothing left to wait for */
    }
    spin_unlock_bh(&process_list_lock);
    ptrace_free(&gone);
}

void ptrace_told_end_locked(struct tracee *tr, struct list *gone, struct list *gone_processes)
{
    struct process *p = tr->task->proc;
    bool kept = ptrace_kept_locked(p) && tr->task == p->leader;
    ptrace_let_go_locked(tr, gone);
    if (kept)
        process_tell_end_locked(p, gone_processes);
}

void ptrace_tracer_ends_locked(struct process *p, struct list *gone, struct list *gone_processes)
{
    list_for_each_safe(tr, &p->tracees, struct tracee, node) {
        if ((tr->options & PTRACE_O_EXITKILL) && !tr->ended)
            process_kill(tr->task->proc, 0, SIGKILL);
        ptrace_told_end_locked(tr, gone, gone_processes);
    }
}

/* --- telling the tracer --------------------------------------------------------------------------- */

/* l held. */
static void tell_tracer(struct tracee *tr, int code, int status)
{
    struct process *tracer = tr->tracer;
    struct ksigaction a = process_sigchld_action(tracer);
    struct ksiginfo i = {.signo = SIGCHLD, .code = code};
    i.child.pid = (s32)tr->task->tid;
    i.child.uid = tr->task->cred->uid;
    i.child.status = status;
    if (code != CLD_TRAPPED || (a.handler != SIG_IGN && !(a.flags & SA_NOCLDSTOP)))
        signal_send_process(tracer, &i, NULL);
    wq_wake_all(&tracer->child_wq, 0);
}

static void ended_locked(struct tracee *tr, int code, int signal)
{
    tr->ended = true;
    tr->exit_code = code;
    tr->exit_signal = signal;
    tell_tracer(tr, signal != 0 ? CLD_KILLED : CLD_EXITED, signal != 0 ? signal : code);
}

bool ptrace_keeps_locked(struct process *p)
{
    struct tracee *tr = p->leader->tracee;
    struct list gone;
    list_init(&gone);
    if (tr == NULL)
        return false;
    if (tr->tracer != p->parent) {
        ended_locked(tr, p->exit_code, p->exit_signal);
        return true;
    }
    ptrace_let_go_locked(tr, &gone);
    ptrace_free(&gone); /* the process has a reference to its first task as well */
    return false;
}

bool ptrace_kept_locked(const struct process *p)
{
    return p->state == PROC_ZOMBIE && p->leader->tracee != NULL && p->leader->tracee->ended;
}

bool ptrace_traced_by_locked(const struct process *p, const struct process *by)
{
    return p->leader->tracee != NULL && p->leader->tracee->tracer == by;
}

void ptrace_task_ended(struct task *t)
{
    const struct process *p = t->proc;
    spin_lock_bh(&process_list_lock);
    t->ended = true;
    if (t->tracee != NULL && t != p->leader) /* which is told with the end of the process */
        ended_locked(t->tracee, p->exit_code, p->exit_signal);
    spin_unlock_bh(&process_list_lock);
}

u32 ptrace_tracer_pid(const struct task *t)
{
    spin_lock_bh(&process_list_lock);
    u32 pid = t->tracee != NULL ? t->tracee->tracer->pid : 0;
    spin_unlock_bh(&process_list_lock);
    return pid;
}

bool ptrace_is_stopped_locked(const struct task *t) { return t->tracee != NULL && t->tracee->stopped; }

/* --- stops ------------------------------------------------------------------------------------------ */

static bool may_go_on(struct task *t)
{
    struct process *p = t->proc;
    spin_lock_bh(&process_list_lock);
    struct tracee *tr = t->tracee;
    bool go = tr == NULL;
    if (tr != NULL) {
        if (tr->listening && !atomic_load_relaxed(&p->stopped)) {
            tr->listening = tr->ran_on = false;
            tr->code = SIGTRAP | PTRACE_EVENT_STOP << 8;
            tr->unseen = true;
            tell_tracer(tr, CLD_TRAPPED, (int)tr->code);
        }
        go = !tr->held && (!tr->stopped || task_must_end(p));
        if (go)
            tr->stopped = tr->listening = false;
    }
    spin_unlock_bh(&process_list_lock);
    return go;
}

/* l held at the call, released on return. */
static void stop_locked(struct task *t, u32 code, enum syscall_place place, u64 message, struct ksiginfo *info)
{
    struct tracee *tr = t->tracee;
    ptrace_debug_stopped(tr);
    tr->stopped = tr->unseen = true;
    tr->code = code;
    tr->place = (u8)place;
    tr->message = message;
    tr->info = info;
    t->resume_signal = 0;
    thread_fpu_sync(t->thread);
    thread_fpu_reload(t->thread);
    arch_tls_save(&t->tls);
    t->tls_kept = true;
    tell_tracer(tr, CLD_TRAPPED, (int)code);
    spin_unlock_bh(&process_list_lock);
    wait_event(&t->proc->stop_wq, may_go_on(t));
    t->tls_kept = false;
    arch_tls_load(&t->tls);
}

/* A stop that is not for a signal. l held at the call, released on return. */
static void trap_locked(struct task *t, u32 code, enum syscall_place place, u64 message)
{
    struct ksiginfo i = {.signo = (s32)(code & 0x7f), .code = (s32)code};
    i.rt.pid = (s32)t->tid;
    i.rt.uid = t->cred->uid;
    stop_locked(t, code, place, message, &i);
}

int ptrace_signal(struct task *t, struct ksiginfo *info)
{
    spin_lock_bh(&process_list_lock);
    if (t->tracee == NULL) {
        spin_unlock_bh(&process_list_lock);
        return info->signo;
    }
    u32 tracer = t->tracee->tracer->pid;
    stop_locked(t, (u32)info->signo, PLACE_NONE, 0, info);
    int sig = t->resume_signal;
    if (sig == 0 || task_must_end(t->proc))
        return 0;
    if (sig != info->signo) {
        *info = (struct ksiginfo){.signo = sig, .code = SI_USER};
        info->rt.pid = (s32)tracer;
    }
    if (!(t->blocked & SIGMASK(sig)))
        return sig;
    signal_send_task(t, info, NULL);
    return 0;
}

bool ptrace_stop_wanted(struct task *t)
{
    struct process *p = t->proc;
    debug_points_deliver(t);
    spin_lock_bh(&process_list_lock);
    struct tracee *tr = t->tracee;
    bool stopped = atomic_load_relaxed(&p->stopped);
    if (tr != NULL && !stopped)
        tr->ran_on = false;
    if (tr == NULL || (!tr->interrupt && (!stopped || tr->ran_on))) {
        spin_unlock_bh(&process_list_lock);
        return false;
    }
    u32 sig = stopped ? p->stop_signal : SIGTRAP;
    tr->interrupt = false;
    tr->ran_on = stopped;
    if (tr->seized)
        trap_locked(t, sig | PTRACE_EVENT_STOP << 8, PLACE_NONE, 0);
    else
        stop_locked(t, sig, PLACE_NONE, 0, NULL);
    return true;
}

bool ptrace_runs_on(struct task *t)
{
    spin_lock_bh(&process_list_lock);
    bool on = t->tracee != NULL && t->tracee->ran_on;
    spin_unlock_bh(&process_list_lock);
    return on;
}

void ptrace_syscall(struct task *t, enum syscall_place place)
{
    spin_lock_bh(&process_list_lock);
    struct tracee *tr = t->tracee;
    if (tr == NULL || tr->how != RESUME_SYSCALL || task_must_end(t->proc)) {
        spin_unlock_bh(&process_list_lock);
        return;
    }
    trap_locked(t, SIGTRAP | (tr->options & PTRACE_O_TRACESYSGOOD ? 0x80 : 0), place, 0);
    if (t->resume_signal != 0) {
        struct ksiginfo i;
        siginfo_user(&i, t->resume_signal, SI_USER);
        signal_send_task(t, &i, NULL);
    }
}

bool ptrace_event(struct task *t, unsigned event, u64 message)
{
    spin_lock_bh(&process_list_lock);
    struct tracee *tr = t->tracee;
    bool told = tr != NULL && (tr->options & PTRACE_O_EVENT(event)) && !task_must_end(t->proc);
    if (told)
        trap_locked(t, SIGTRAP | event << 8, event == PTRACE_EVENT_SECCOMP ? PLACE_SECCOMP : PLACE_NONE, message);
    else
        spin_unlock_bh(&process_list_lock);
    return told;
}

void ptrace_exec(struct task *t, u32 old_tid)
{
    spin_lock_bh(&process_list_lock);
    struct tracee *tr = t->tracee;
    bool plain = tr != NULL && !tr->seized && !(tr->options & PTRACE_O_EVENT(PTRACE_EVENT_EXEC));
    if (tr != NULL)
        ptrace_debug_clear(tr);
    spin_unlock_bh(&process_list_lock);
    if (plain)
        signal_send_self(SIGTRAP);
    else
        ptrace_event(t, PTRACE_EVENT_EXEC, old_tid);
}

static unsigned event_of(const struct clone_args *a)
{
    if (a->flags & CLONE_VFORK)
        return PTRACE_EVENT_VFORK;
    return (a->flags & CLONE_THREAD) || a->exit_signal != SIGCHLD ? PTRACE_EVENT_CLONE : PTRACE_EVENT_FORK;
}

int ptrace_inherit(struct task *t, const struct clone_args *a, unsigned *ret_event)
{
    struct tracee *tr = kzalloc(sizeof *tr);
    unsigned event = event_of(a);
    bool seized = false;
    if (tr == NULL)
        return -ENOMEM;
    spin_lock_bh(&process_list_lock);
    const struct tracee *own = current_task()->tracee;
    bool told = own != NULL && !(a->flags & CLONE_UNTRACED) && (own->options & PTRACE_O_EVENT(event));
    bool follow = own != NULL && (told || (a->flags & CLONE_PTRACE));
    if (follow) {
        tr->options = own->options;
        tr->seized = tr->interrupt = seized = own->seized;
        link_locked(tr, t, own->tracer);
    }
    spin_unlock_bh(&process_list_lock);
    *ret_event = told ? event : 0;
    if (!follow)
        kfree(tr);
    else if (seized)
        thread_interrupt(t->thread, EXIT_SIGNAL);
    else
        signal_send_task(t, &(struct ksiginfo){.signo = SIGSTOP, .code = SI_USER}, NULL);
    return 0;
}

/* --- for the tracer ------------------------------------------------------------------------------------ */

struct tracee *ptrace_find_locked(const struct process *tracer, u32 tid)
{
    list_for_each(tr, &tracer->tracees, struct tracee, node)
        if (tr->task->tid == tid && !tr->ended)
            return tr;
    return NULL;
}

struct tracee *ptrace_hold(const struct process *tracer, u32 tid)
{
    spin_lock_bh(&process_list_lock);
    struct tracee *found = ptrace_find_locked(tracer, tid);
    if (found != NULL && (!found->stopped || found->listening))
        found = NULL;
    if (found != NULL)
        found->held = true;
    spin_unlock_bh(&process_list_lock);
    return found;
}

void ptrace_release(struct tracee *tr)
{
    spin_lock_bh(&process_list_lock);
    tr->held = false;
    wq_wake_all(&tr->task->proc->stop_wq, 0);
    spin_unlock_bh(&process_list_lock);
}

void ptrace_interrupt_locked(struct tracee *tr)
{
    tr->interrupt |= !tr->stopped || tr->listening;
    if (tr->listening) /* it stops anew, at once */
        tr->listening = tr->ran_on = tr->stopped = false;
    thread_interrupt(tr->task->thread, EXIT_SIGNAL);
    wq_wake_all(&tr->task->proc->stop_wq, 0);
}

void ptrace_resume(struct tracee *tr, enum resume_how how, int sig)
{
    struct task *t = tr->task;
    ptrace_set_step(t, how == RESUME_STEP);
    spin_lock_bh(&process_list_lock);
    t->resume_signal = (u8)sig;
    tr->unseen = false;
    if (how == RESUME_LISTEN) {
        tr->listening = true;
    } else {
        tr->how = (u8)how;
        tr->nframes = 0;
        ptrace_watch_locked(tr, how == RESUME_SYSCALL);
        tr->stopped = false;
    }
    spin_unlock_bh(&process_list_lock);
}
