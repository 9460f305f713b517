/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals: sending, queues, and what happens to one on the way back to the
 * program (signal(7)). A sender only queues and sets EXIT_SIGNAL on a task that
 * would take it; everything else is done by that task in linux_exit_work().
 *
 * Invariants: (1) a standard signal is queued at most once per queue, and once for each timer
 * that sends it; a real-time one as often as sent; (2) SIGKILL and SIGSTOP are never blocked, ignored or
 * caught; (3) EXIT_SIGNAL is set whenever a task has a deliverable signal.
 */
#include "core.h"
#include "ptrace.h"
#include "arch_linux.h"
#include "base/str.h"
#include "kern/trace.h"

#define UNMASKABLE (SIGMASK(SIGKILL) | SIGMASK(SIGSTOP))
#define DEFAULT_IGNORE (SIGMASK(SIGCHLD) | SIGMASK(SIGURG) | SIGMASK(SIGWINCH) | SIGMASK(SIGCONT))
#define DEFAULT_STOP (SIGMASK(SIGSTOP) | SIGMASK(SIGTSTP) | SIGMASK(SIGTTIN) | SIGMASK(SIGTTOU))
#define DEFAULT_CORE                                                                                     \
    (SIGMASK(SIGQUIT) | SIGMASK(SIGILL) | SIGMASK(SIGTRAP) | SIGMASK(SIGABRT) | SIGMASK(SIGBUS) |      \
     SIGMASK(SIGFPE) | SIGMASK(SIGSEGV) | SIGMASK(SIGXCPU) | SIGMASK(SIGXFSZ) | SIGMASK(SIGSYS))
#define SYNCHRONOUS \
    (SIGMASK(SIGSEGV) | SIGMASK(SIGBUS) | SIGMASK(SIGILL) | SIGMASK(SIGTRAP) | SIGMASK(SIGFPE) | SIGMASK(SIGSYS))

/* Watches (epoll) of signalfds, of all processes: the descriptor and its watch may outlive the process that made them. */
struct waitqueue signal_watchers = { SPINLOCK_INIT("signal watchers"), LIST_INIT(signal_watchers.waiters) };

/* --- queues ---------------------------------------------------------------------- */

static void free_queued(struct process *p, struct sigqueue *q)
{
    list_remove(&q->node);
    p->queued_signals--;
    kfree(q);
}

static void flush_mask_locked(struct process *p, struct sigpending *q, u64 mask)
{
    q->set &= ~mask;
    list_for_each_safe(s, &q->queue, struct sigqueue, node)
        if (SIGMASK(s->info.signo) & mask) {
            if (s->timer != NULL)
                posix_timer_taken(s->timer); /* it may send again */
            free_queued(p, s);
        }
}

void signal_flush(struct process *p, struct sigpending *q)
{
    spin_lock_bh(&p->sighand->lock);
    list_for_each(s, &q->queue, struct sigqueue, node)
        s->timer = NULL; /* it may be gone: signal_timer_detach() sees no tasks that ended */
    flush_mask_locked(p, q, ~0ULL);
    spin_unlock_bh(&p->sighand->lock);
}

/* Remove from every queue of the process. p and g held. */
static void flush_everywhere_locked(struct process *p, u64 mask)
{
    flush_mask_locked(p, &p->pending, mask);
    list_for_each(t, &p->tasks, struct task, proc_node)
        flush_mask_locked(p, &t->pending, mask);
}

static bool ignored_locked(struct process *p, struct task *t, int sig)
{
    u64 h = p->sighand->act[sig - 1].handler;
    if (t != NULL && (((t->blocked | t->wait_set) & SIGMASK(sig)) || task_traced(t)))
        return false; /* it may be looked at later */
    return h == SIG_IGN || (h == SIG_DFL && (SIGMASK(sig) & DEFAULT_IGNORE));
}

void signal_drop_ignored_locked(struct process *p, int sig)
{
    if (ignored_locked(p, NULL, sig))
        flush_everywhere_locked(p, SIGMASK(sig));
}

void signal_timer_detach(struct process *p, struct posix_timer *timer)
{
    spin_lock_bh(&p->lock);
    spin_lock(&p->sighand->lock);
    list_for_each_safe(s, &p->pending.queue, struct sigqueue, node)
        if (s->timer == timer) {
            int sig = s->info.signo;
            bool more = false;
            free_queued(p, s);
            list_for_each(o, &p->pending.queue, struct sigqueue, node)
                more |= o->info.signo == sig;
            if (!more)
                p->pending.set &= ~SIGMASK(sig);
        }
    list_for_each(t, &p->tasks, struct task, proc_node)
        list_for_each(s, &t->pending.queue, struct sigqueue, node)
            if (s->timer == timer)
                s->timer = NULL;
    spin_unlock(&p->sighand->lock);
    spin_unlock_bh(&p->lock);
}

static int take_locked(struct process *p, struct sigpending *q, u64 mask, struct ksiginfo *ret)
{
    u64 set = q->set & mask;
    if (set == 0)
        return 0;
    int sig = __builtin_ctzll((set & SYNCHRONOUS) != 0 ? set & SYNCHRONOUS : set) + 1;
    struct sigqueue *found = NULL;
    bool more = false;
    list_for_each(s, &q->queue, struct sigqueue, node) {
        if (s->info.signo != sig)
            continue;
        if (found != NULL) {
            more = true;
            break;
        }
        found = s;
    }
    if (!more)
        q->set &= ~SIGMASK(sig);
    if (found != NULL) {
        *ret = found->info;
        if (found->timer != NULL)
            ret->timer.overrun = posix_timer_taken(found->timer);
        free_queued(p, found);
    } else { /* there was no memory for its details */
        *ret = (struct ksiginfo){.signo = sig, .code = SI_USER};
    }
    return sig;
}

int signal_dequeue_locked(struct task *t, u64 mask, struct ksiginfo *ret)
{
    int sig = take_locked(t->proc, &t->pending, mask, ret);
    return sig != 0 ? sig : take_locked(t->proc, &t->proc->pending, mask, ret);
}

void signal_recalc_locked(struct task *t)
{
    if ((t->pending.set | t->proc->pending.set) & ~t->blocked)
        thread_interrupt(t->thread, EXIT_SIGNAL);
}

/* 1: it is pending already, and only once. */
static int enqueue_locked(struct process *p, struct sigpending *q, const struct ksiginfo *info, struct posix_timer *timer)
{
    int sig = info->signo;
    if (sig < SIGRTMIN && (q->set & SIGMASK(sig)) && timer == NULL)
        return 1;
    struct sigqueue *s = NULL;
    if (timer != NULL || p->queued_signals < rlimit_of(p, RLIMIT_SIGPENDING) || (sig < SIGRTMIN && info->code >= 0))
        s = kmalloc(sizeof *s, ALLOC_ATOMIC);
    if (s == NULL && (timer != NULL || (sig >= SIGRTMIN && info->code != SI_USER)))
        return -EAGAIN;
    if (s != NULL) {
        s->info = *info;
        s->timer = timer;
        list_push_back(&q->queue, &s->node);
        p->queued_signals++;
    }
    q->set |= SIGMASK(sig);
    return 0;
}

/* Stop signals and SIGCONT cancel each other at the sender's side. p and g held. */
static void continue_or_stop_locked(struct process *p, int sig)
{
    if (sig == SIGCONT) {
        flush_everywhere_locked(p, DEFAULT_STOP);
        p->continues++;
        if (!p->stopped)
            return;
        p->stop_unseen = false;
        p->continue_unseen = true;
        atomic_store(&p->tell_continued, true); /* by itself, on its way: the parent's locks are not for here */
        atomic_store(&p->stopped, false);       /* last: who goes on tells */
        atomic_sub(&stopped_count, 1u);
        wq_wake_all(&p->stop_wq, 0);
    } else if (SIGMASK(sig) & DEFAULT_STOP) {
        flush_everywhere_locked(p, SIGMASK(SIGCONT));
    }
}

static int send(struct process *p, struct task *target, const struct ksiginfo *info, struct posix_timer *timer)
{
    int sig = info->signo, r = 0;
    if (sig == SIGKILL) {
        process_kill(p, 0, SIGKILL);
        return 0;
    }
    spin_lock_bh(&p->lock);
    spin_lock(&p->sighand->lock);
    continue_or_stop_locked(p, sig);
    struct task *taker = target;
    if (target == NULL)
        list_for_each(t, &p->tasks, struct task, proc_node)
            if (!(t->blocked & SIGMASK(sig))) {
                taker = t;
                break;
            }
    if (taker == NULL && !list_empty(&p->tasks))
        taker = list_first(&p->tasks, struct task, proc_node); /* all block it: it waits in the queue */
    if (!ignored_locked(p, taker, sig)) {
        r = enqueue_locked(p, target != NULL ? &target->pending : &p->pending, info, timer);
        if (r == 0 && taker != NULL)
            signal_recalc_locked(taker);
        if (r == 0) {
            wq_wake_all(&p->signal_wq, 1 /* POLLIN */);
            wq_wake_all(&signal_watchers, 1);
        }
    } else if (timer != NULL) {
        posix_timer_taken(timer);
    }
    spin_unlock(&p->sighand->lock);
    spin_unlock_bh(&p->lock);
    return MIN(r, 0);
}

int signal_send_process(struct process *p, const struct ksiginfo *info, struct posix_timer *timer)
{
    return send(p, NULL, info, timer);
}

int signal_send_task(struct task *t, const struct ksiginfo *info, struct posix_timer *timer)
{
    return send(t->proc, t, info, timer);
}

void signal_force(struct task *t, const struct ksiginfo *info)
{
    struct process *p = t->proc;
    struct sighand *h = p->sighand;
    u64 bit = SIGMASK(info->signo);
    spin_lock_bh(&p->lock);
    spin_lock(&h->lock);
    struct ksigaction *a = &h->act[info->signo - 1];
    if ((t->blocked & bit) || a->handler == SIG_IGN) {
        a->handler = SIG_DFL;
        t->blocked &= ~bit;
    }
    enqueue_locked(p, &t->pending, info, NULL);
    thread_interrupt(t->thread, EXIT_SIGNAL);
    spin_unlock(&h->lock);
    spin_unlock_bh(&p->lock);
}

void siginfo_user(struct ksiginfo *i, int sig, int code)
{
    struct task *t = current_task();
    memset(i, 0, sizeof *i);
    i->signo = sig;
    i->code = code;
    i->rt.pid = (s32)t->proc->pid;
    i->rt.uid = t->cred->uid;
}

void signal_send_self(int sig)
{
    struct ksiginfo i;
    siginfo_user(&i, sig, SI_USER);
    signal_send_task(current_task(), &i, NULL);
}

bool signal_permitted(struct process *target, int sig)
{
    const struct cred *c = current_cred();
    if (target == current_process() || cred_capable(c, CAP_KILL))
        return true;
    spin_lock_bh(&target->lock);
    const struct cred *o = target->leader->cred;
    bool ok = c->euid == o->suid || c->euid == o->uid || c->uid == o->suid || c->uid == o->uid;
    spin_unlock_bh(&target->lock);
    return ok || (sig == SIGCONT && target->sid == current_process()->sid);
}

bool process_access(struct process *p, bool real)
{
    const struct cred *c = current_cred();
    if (p == current_process() || cred_capable(c, CAP_SYS_PTRACE))
        return true;
    spin_lock_bh(&p->lock);
    const struct cred *o = p->leader->cred;
    u32 uid = real ? c->uid : c->fsuid, gid = real ? c->gid : c->fsgid;
    bool ok = p->dumpable && uid == o->uid && uid == o->euid && uid == o->suid && gid == o->gid && gid == o->egid && gid == o->sgid &&
              (o->cap_permitted & ~(real ? c->cap_permitted : c->cap_effective)) == 0;
    spin_unlock_bh(&p->lock);
    return ok;
}

/* --- masks ------------------------------------------------------------------------- */

void signal_set_blocked(u64 mask)
{
    struct task *t = current_task();
    struct process *p = t->proc;
    mask &= ~UNMASKABLE;
    spin_lock_bh(&p->lock);
    spin_lock(&p->sighand->lock);
    u64 newly = mask & ~t->blocked & p->pending.set;
    t->blocked = mask;
    signal_recalc_locked(t);
    if (newly != 0) /* a signal to the process that this task was to take: another may */
        list_for_each(o, &p->tasks, struct task, proc_node)
            if (newly & ~o->blocked)
                signal_recalc_locked(o);
    spin_unlock(&p->sighand->lock);
    spin_unlock_bh(&p->lock);
}

int signal_mask_begin(uaddr_t set, u64 size)
{
    struct task *t = current_task();
    u64 mask;
    if (set == 0)
        return 0;
    if (size != sizeof mask)
        return -EINVAL;
    int r = get_user_u64(set, &mask);
    if (r < 0)
        return r;
    t->saved_mask = t->blocked;
    t->restore_mask = true;
    signal_set_blocked(mask);
    return 0;
}

void signal_mask_end(s64 result)
{
    struct task *t = current_task();
    if (!t->restore_mask)
        return;
    /* Interrupted: the handler must run under the call's mask; its frame restores the old one. */
    if (result == -ERESTARTNOHAND || result == -ERESTARTSYS || result == -EINTR || result == -ERESTART_RESTARTBLOCK)
        return;
    t->restore_mask = false;
    signal_set_blocked(t->saved_mask);
}

void signal_exec_reset(struct process *p)
{
    spin_lock_bh(&p->sighand->lock);
    for (int i = 0; i < NSIG; i++) {
        struct ksigaction *a = &p->sighand->act[i];
        if (a->handler != SIG_IGN)
            a->handler = SIG_DFL;
        a->flags = a->mask = a->restorer = 0;
    }
    spin_unlock_bh(&p->sighand->lock);
}

/* --- delivery ------------------------------------------------------------------------ */

/* Stop the process, unless a SIGCONT has come since the signal was taken. */
static void stop(struct task *t, int sig, u32 continues)
{
    struct process *p = t->proc;
    if (sig != SIGSTOP) {
        spin_lock_bh(&process_list_lock);
        bool orphaned = group_orphaned_locked(p->pgid, NULL);
        spin_unlock_bh(&process_list_lock);
        if (orphaned)
            return; /* nobody could continue it */
    }
    bool now = false;
    spin_lock_bh(&p->lock);
    spin_lock(&p->sighand->lock);
    if (p->continues == continues && !p->stopped && !p->group_exit) {
        now = p->stopped = p->stop_unseen = true;
        p->continue_unseen = false;
        p->stop_signal = (u8)sig;
        atomic_add(&stopped_count, 1u);
        list_for_each(o, &p->tasks, struct task, proc_node)
            if (o != t)
                thread_interrupt(o->thread, EXIT_SIGNAL);
    }
    spin_unlock(&p->sighand->lock);
    spin_unlock_bh(&p->lock);
    if (now)
        process_stop_changed(p, true);
}

/* No handler: the default. Does not return when it ends the process. */
static void default_action(struct task *t, struct trap_frame *f, const struct ksiginfo *info, u32 continues)
{
    struct process *p = t->proc;
    u64 bit = SIGMASK(info->signo);
    if (bit & DEFAULT_IGNORE)
        return;
    if (bit & DEFAULT_STOP) {
        stop(t, info->signo, continues);
        return;
    }
    if ((bit & DEFAULT_CORE) && !p->group_exit && p == first_process) { /* others' ends are their parents' matter */
        char *report = crash_report(f, info);
        spin_lock_bh(&p->lock);
        if (p->crash_report == NULL && !p->group_exit) {
            p->crash_report = report;
            report = NULL;
        }
        spin_unlock_bh(&p->lock);
        kfree(report);
    }
    if ((bit & DEFAULT_CORE) && !core_dump(t, info))
        return; /* another task does: all end with it */
    process_exit(0, info->signo);
}

void signal_end(struct trap_frame *f, const struct ksiginfo *info) { default_action(current_task(), f, info, 0); }

static void deliver(struct task *t, struct trap_frame *f, const struct ksigaction *act, const struct ksiginfo *info)
{
    u64 mask = t->restore_mask ? t->saved_mask : t->blocked;
    t->restore_mask = false;
    if (signal_push_frame(f, act, info, mask) < 0) {
        struct ksiginfo i = {.signo = SIGSEGV, .code = SI_KERNEL};
        if (info->signo == SIGSEGV) { /* not even this one has room: the default, at once */
            spin_lock_bh(&t->proc->sighand->lock);
            t->proc->sighand->act[SIGSEGV - 1].handler = SIG_DFL;
            spin_unlock_bh(&t->proc->sighand->lock);
        }
        signal_force(t, &i);
        return;
    }
    u64 block = t->blocked | act->mask;
    if (!(act->flags & SA_NODEFER))
        block |= SIGMASK(info->signo);
    signal_set_blocked(block);
}

/* How an interrupted call goes on; `act` is the handler about to run, or NULL. */
static void handle_restart(struct trap_frame *f, const struct ksigaction *act)
{
    if (!arch_frame_in_syscall(f))
        return;
    s64 result = (s64)FRAME_RESULT(f);
    u64 nr = FRAME_SYSCALL_REG(f);
    switch (result) {
    case -ERESTART_RESTARTBLOCK:
        if (act == NULL) {
            arch_restart_syscall(f, NR_restart_syscall);
            break;
        }
        FRAME_RESULT(f) = (u64)-EINTR;
        break;
    case -ERESTARTNOHAND:
        if (act == NULL)
            arch_restart_syscall(f, nr);
        else
            FRAME_RESULT(f) = (u64)-EINTR;
        break;
    case -ERESTARTSYS:
        if (act == NULL || (act->flags & SA_RESTART))
            arch_restart_syscall(f, nr);
        else
            FRAME_RESULT(f) = (u64)-EINTR;
        break;
    case -ERESTARTNOINTR:
        arch_restart_syscall(f, nr);
        break;
    default:
        break;
    }
    arch_frame_leave_syscall(f);
}

/* Should this task end? EXIT_KILL is set for the end of the process and for execve by another task. */
bool task_must_end(struct process *p)
{
    return atomic_load_relaxed(&p->group_exit) || (atomic_load_relaxed(&current_thread()->exit_work) & EXIT_KILL);
}

void linux_exit_work(struct trap_frame *f)
{
    struct task *t = current_task();
    struct process *p = t->proc;
    struct sighand *h = p->sighand;

    FRAME_PC(f) = callsite_resting(t->thread->as, FRAME_PC(f));
    atomic_and(&t->thread->exit_work, ~(EXIT_SIGNAL | EXIT_TRACE | EXIT_RSEQ)); /* the last also of who no longer wants it */
    if (t->thread->told_cpu != 0)
        rseq_resume(t, f);
    for (;;) {
        struct ksiginfo info;
        struct ksigaction act;
        if (task_must_end(p))
            task_exit();
        if (unlikely(atomic_load_relaxed(&p->frozen) != 0)) {
            process_parks(t);
            continue;
        }
        if (task_traced(t) && ptrace_stop_wanted(t))
            continue;
        if (atomic_load(&p->stopped) && !(task_traced(t) && ptrace_runs_on(t))) {
            wait_event(&p->stop_wq, !atomic_load_relaxed(&p->stopped) || task_must_end(p) || task_traced(t));
            continue;
        }
        if (unlikely(atomic_load_relaxed(&p->tell_continued)) && atomic_xchg(&p->tell_continued, false))
            process_stop_changed(p, false);
        spin_lock_bh(&h->lock);
        u32 continues = p->continues;
        int sig = signal_dequeue_locked(t, ~t->blocked, &info);
        if (sig != 0 && task_traced(t)) {
            spin_unlock_bh(&h->lock);
            if (ptrace_signal(t, &info) == 0)
                continue;
            sig = info.signo;
            spin_lock_bh(&h->lock);
        }
        if (sig != 0) {
            act = h->act[sig - 1];
            if ((act.flags & SA_RESETHAND) && act.handler > SIG_IGN)
                h->act[sig - 1].handler = SIG_DFL;
        }
        spin_unlock_bh(&h->lock);
        if (sig == 0)
            break;
        TRACE(SIGNAL_DELIVER, (u32)sig, (u64)(s64)info.code, act.handler, (u64)info.child.pid, info.child.uid, (u32)info.child.status);
        if (act.handler == SIG_IGN)
            continue;
        if (act.handler == SIG_DFL) {
            default_action(t, f, &info, continues);
            continue;
        }
        handle_restart(f, &act);
        deliver(t, f, &act, &info);
        return; /* called again while EXIT_SIGNAL is set */
    }
    handle_restart(f, NULL);
    if (t->restore_mask) {
        t->restore_mask = false;
        signal_set_blocked(t->saved_mask);
    }
}

/* --- faults ------------------------------------------------------------------------------ */

/* Did the program trap only because a system call of it is a jump? Then it goes on; a trap of its own, in an
 * instruction that lies in a thunk now, is made to look as if it had happened in its place. */
static bool call_site_trap(struct trap_frame *f, const struct trap_info *info)
{
    struct addrspace *as = current_thread()->as;
    uaddr_t pc = FRAME_PC(f), again = info->kind == TRAP_ILLEGAL ? callsite_resume(as, pc) : 0;
    if (again != 0) {
        FRAME_PC(f) = again;
        return true;
    }
    uaddr_t own = callsite_original(as, pc);
    if (own == pc)
        return false;
    FRAME_PC(f) = own;
    if (info->kind == TRAP_DEBUG) { /* a single step shows the original instructions */
        callsite_undo(as, own);
        return true;
    }
    return info->kind == TRAP_PAGE && info->addr == pc; /* the program has mapped something over the thunk */
}

static int segv_code(u64 addr)
{
    struct addrspace *as = current_thread()->as;
    if (as == NULL)
        return SEGV_MAPERR;
    rwmutex_read_lock(&as->lock);
    int code = as_find(as, addr, false) != NULL ? SEGV_ACCERR : SEGV_MAPERR;
    rwmutex_read_unlock(&as->lock);
    return code;
}

void linux_program_trap(struct trap_frame *f, const struct trap_info *info, int err)
{
    struct task *t = current_task();
    struct ksiginfo i = {.signo = SIGSEGV, .code = SI_KERNEL};
    if (call_site_trap(f, info))
        return;
    t->fault_addr = info->addr;
    switch (info->kind) {
    case TRAP_PAGE:
        i.fault.addr = info->addr;
        if (err == -EFAULT || err == -EACCES) {
            i.code = segv_code(info->addr);
        } else {
            i.signo = SIGBUS;
            i.code = BUS_ADRERR;
            t->out_of_memory = err == -ENOMEM;
        }
        break;
    case TRAP_DIVIDE:
        i.signo = SIGFPE;
        i.code = FPE_INTDIV;
        i.fault.addr = FRAME_PC(f);
        break;
    case TRAP_ILLEGAL:
        i.signo = SIGILL;
        i.code = ILL_ILLOPN;
        i.fault.addr = FRAME_PC(f);
        break;
    case TRAP_BREAKPOINT:
        i.signo = SIGTRAP;
        break;
    case TRAP_DEBUG:
        if (debug_points_hit(t, (u32)info->error, &i))
            break;
        if (info->error != 0 && !FRAME_STEPPING(f)) { /* another process' */
            arch_frame_pass_point(f);
            return;
        }
        i.signo = SIGTRAP;
        i.code = TRAP_TRACE;
        i.fault.addr = FRAME_PC(f);
        break;
    case TRAP_FPU:
    case TRAP_SIMD:
        i.signo = SIGFPE;
        i.code = arch_fpu_code(info->kind == TRAP_SIMD);
        i.fault.addr = FRAME_PC(f);
        break;
    case TRAP_ALIGN:
        i.signo = SIGBUS;
        i.code = BUS_ADRALN;
        break;
    default:
        break;
    }
    if (t->out_of_memory && task_must_end(t->proc)) /* it does so anyway */
        return;
    if (t->out_of_memory) { /* nothing a handler could do: end with a report */
        i.signo = SIGKILL;
        char *report = crash_report(f, &i);
        if (t->proc != first_process && report != NULL && linux_notice != NULL)
            linux_notice(report);
        spin_lock_bh(&t->proc->lock);
        if (t->proc->crash_report == NULL && !t->proc->group_exit) {
            t->proc->crash_report = report;
            report = NULL;
        }
        spin_unlock_bh(&t->proc->lock);
        kfree(report);
        process_kill(t->proc, 0, SIGKILL);
        return;
    }
    signal_force(t, &i);
}
