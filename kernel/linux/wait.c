/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of processes and their parents: becoming a zombie, new parents for children, SIGCHLD, wait4(2), waitid(2).
 * The rules (T1 to T4) are in task.h. All that parents and children see of each other changes under the process list lock;
 * references are dropped and memory is freed behind it.
 *
 *   W1  A parent that sleeps in wait() looks at its children after it has queued itself on child_wq; whatever changes a
 *       child's state wakes the queue of the child's parent under l. A child that gets another parent is told to that one.
 *   W2  What wait() tells once (a stop, a continuation) is cleared in the look that finds it, under l and the child's lock.
 */
#include "ptrace.h"
#include "base/str.h"

#define END_OTHERS_NS (60 * NSEC_PER_SEC) /* they have been killed: what takes longer hangs */

static bool machine_ends; /* l */

/* --- telling the parent ------------------------------------------------------------------------- */

static void tell(struct process *p, int code, int status)
{
    struct ksiginfo i = {.signo = code <= CLD_DUMPED ? p->parent_signal : SIGCHLD, .code = code};
    spin_lock(&p->lock);
    i.child.pid = (s32)p->pid;
    i.child.uid = p->leader->cred->uid;
    i.child.status = status;
    i.child.utime = (s64)((p->dead.cpu_ns - p->dead.system_ns) / (NSEC_PER_SEC / USER_HZ));
    i.child.stime = (s64)(p->dead.system_ns / (NSEC_PER_SEC / USER_HZ));
    spin_unlock(&p->lock);
    signal_send_process(p->parent, &i, NULL);
}

struct ksigaction process_sigchld_action(struct process *parent)
{
    spin_lock(&parent->lock);
    spin_lock(&parent->sighand->lock);
    struct ksigaction a = parent->sighand->act[SIGCHLD - 1];
    spin_unlock(&parent->sighand->lock);
    spin_unlock(&parent->lock);
    return a;
}

static int end_code(const struct process *p)
{
    return p->core_dumped ? CLD_DUMPED : p->exit_signal != 0 ? CLD_KILLED : CLD_EXITED;
}

/* p is a zombie: tell the parent. True: nobody will collect it. l held. */
static bool tell_end(struct process *p)
{
    struct process *parent = p->parent;
    struct ksigaction a = process_sigchld_action(parent);
    bool alone = machine_ends, quiet = p->parent_signal == 0;
    if (p->parent_signal == SIGCHLD) {
        alone |= a.handler == SIG_IGN || (a.flags & SA_NOCLDWAIT) != 0;
        quiet = a.handler == SIG_IGN;
    }
    if (!quiet && !machine_ends)
        tell(p, end_code(p), p->exit_signal != 0 ? p->exit_signal : p->exit_code);
    wq_wake_all(&parent->child_wq, 0);
    return alone;
}

void process_stop_changed(struct process *p, bool stopped)
{
    spin_lock_bh(&process_list_lock);
    if (p->parent != NULL) {
        struct ksigaction a = process_sigchld_action(p->parent);
        if (a.handler != SIG_IGN && !(a.flags & SA_NOCLDSTOP))
            tell(p, stopped ? CLD_STOPPED : CLD_CONTINUED, stopped ? p->stop_signal : SIGCONT);
        wq_wake_all(&p->parent->child_wq, 0);
    }
    spin_unlock_bh(&process_list_lock);
}

/* --- the end of a process ------------------------------------------------------------------------- */

void process_unlist_locked(struct process *p)
{
    p->state = PROC_GONE;
    wq_wake_all(&p->stop_wq, 0); /* its pidfds hang up */
    list_remove_init(&p->all_node);
    list_remove_init(&p->sibling);
    task_unnumber_locked(p->leader);
    group_leave_locked(p);
    if (machine_ends)
        wq_wake_all(&first_process->child_wq, 0);
}

static void process_release(struct process *p)
{
    task_put(p->leader);
    process_put(p);
}

/* The nearest ancestor that adopts, or the first process. l held. */
static struct process *adopter(const struct process *p)
{
    for (struct process *a = p->parent; a != NULL; a = a->parent)
        if (a->child_subreaper && a->state == PROC_LIVE)
            return a;
    return first_process;
}

static void parent_death_signal(struct process *child)
{
    int sig = 0;
    spin_lock(&child->lock);
    list_for_each(t, &child->tasks, struct task, proc_node)
        sig = t->pdeath_signal != 0 ? (int)t->pdeath_signal : sig;
    spin_unlock(&child->lock);
    if (sig != 0)
        signal_send_process(child, &(struct ksiginfo){.signo = sig, .code = SI_USER}, NULL);
}

void process_tell_end_locked(struct process *p, struct list *gone)
{
    if (p->state == PROC_ZOMBIE && tell_end(p)) {
        process_unlist_locked(p);
        list_push_back(gone, &p->all_node);
    }
}

/* Children go to another parent; zombies that it does not care for, to `gone`. l held. */
static void give_children_away(struct process *p, struct list *gone)
{
    struct process *to = adopter(p);
    list_for_each_safe(c, &p->children, struct process, sibling) {
        list_remove(&c->sibling);
        list_push_back(&to->children, &c->sibling);
        c->parent = to;
        c->ppid = to->pid;
        c->parent_signal = SIGCHLD;
        if (c->state == PROC_LIVE) {
            parent_death_signal(c);
        } else if (!ptrace_kept_locked(c)) {
            process_tell_end_locked(c, gone);
        }
    }
}

void process_release_all(struct list *gone)
{
    struct list *l;
    while ((l = list_pop_front(gone)) != NULL) {
        list_init(l);
        process_release(list_entry(l, struct process, all_node));
    }
}

void process_zombie(struct process *p)
{
    struct list gone, untraced;
    list_init(&gone);
    list_init(&untraced);
    if (p->sid == p->pid)
        groups_leader_end(p);
    spin_lock_bh(&process_list_lock);
    groups_after_end_locked(p);
    give_children_away(p, &gone);
    ptrace_tracer_ends_locked(p, &untraced, &gone);
    spin_lock(&p->lock);
    p->state = PROC_ZOMBIE;
    if (p->stopped)
        atomic_sub(&stopped_count, 1u);
    p->stopped = false;
    spin_unlock(&p->lock);
    if (!ptrace_keeps_locked(p))
        process_tell_end_locked(p, &gone);
    spin_unlock_bh(&process_list_lock);
    wq_wake_all(&p->stop_wq, POLLIN | POLLRDNORM);
    process_release_all(&gone);
    ptrace_free(&untraced);
}

static bool only_first(void)
{
    return list_first(&process_list, struct process, all_node) == list_last(&process_list, struct process, all_node);
}

void process_end_others(void)
{
    struct list gone;
    list_init(&gone);
    spin_lock_bh(&process_list_lock);
    machine_ends = true;
    list_for_each_safe(p, &process_list, struct process, all_node) {
        if (p == first_process)
            continue;
        if (p->state == PROC_LIVE) {
            process_kill(p, 0, SIGKILL);
        } else if (p->parent == first_process) {
            process_unlist_locked(p);
            list_push_back(&gone, &p->all_node);
        }
    }
    spin_unlock_bh(&process_list_lock);
    process_release_all(&gone);
    wait_event_until(&first_process->child_wq, only_first(), now_ns() + END_OTHERS_NS);
}

/* --- waiting ----------------------------------------------------------------------------------------- */

#define WNOHANG 0x1u
#define WUNTRACED 0x2u
#define WEXITED 0x4u
#define WCONTINUED 0x8u
#define WNOWAIT 0x1000000u
#define WNOTHREAD 0x20000000u /* children of other threads left out: here they are the process' */
#define WALL 0x40000000u
#define WCLONE 0x80000000u

struct wanted {
    enum { ANY, PID, GROUP, PIDFD } type;
    u32 id;
    const struct process *process; /* PIDFD */
    u32 options;
};

struct found {
    struct process *gone; /* to be released */
    struct tracee *told;  /* to be freed: its task has ended */
    u32 pid, uid;
    int code, status;     /* CLD_*, exit code or signal */
    struct usage usage;
};

static bool eligible(const struct process *c, const struct wanted *w)
{
    if ((w->type == PID && c->pid != w->id) || (w->type == GROUP && c->pgid != w->id) || (w->type == PIDFD && c != w->process))
        return false;
    return (w->options & WALL) != 0 || (c->parent_signal != SIGCHLD) == ((w->options & WCLONE) != 0);
}

/* Is there something to tell of c? l held. */
static bool look_at(struct process *self, struct process *c, const struct wanted *w, struct found *ret)
{
    bool keep = (w->options & WNOWAIT) != 0;
    spin_lock(&c->lock);
    ret->pid = c->pid;
    ret->uid = c->leader->cred->uid;
    ret->code = 0;
    bool traced = ptrace_traced_by_locked(c, self); /* its stops are told as the tracee's */
    if (c->state == PROC_ZOMBIE && (w->options & WEXITED)) {
        ret->code = end_code(c);
        ret->status = c->exit_signal != 0 ? c->exit_signal : c->exit_code;
        ret->usage = c->dead;
        usage_add(&ret->usage, &c->waited);
    } else if (!traced && c->stopped && c->stop_unseen && (w->options & WUNTRACED)) {
        ret->code = CLD_STOPPED;
        ret->status = c->stop_signal;
        c->stop_unseen = keep;
    } else if (c->continue_unseen && (w->options & WCONTINUED)) {
        ret->code = CLD_CONTINUED;
        ret->status = SIGCONT;
        c->continue_unseen = keep;
    }
    spin_unlock(&c->lock);
    if (ret->code >= CLD_EXITED && ret->code <= CLD_DUMPED) {
        if (!keep) {
            process_unlist_locked(c);
            ret->gone = c;
            spin_lock(&self->lock);
            usage_add(&self->waited, &ret->usage);
            spin_unlock(&self->lock);
        }
    } else if (ret->code != 0) {
        ret->gone = NULL;
    }
    return ret->code != 0;
}

/* The same of a traced task: whatever the options, stops are told. l held. */
static bool look_at_tracee(struct tracee *tr, const struct wanted *w, struct found *ret, struct list *gone)
{
    const struct task *t = tr->task;
    bool keep = (w->options & WNOWAIT) != 0;
    *ret = (struct found){.pid = t->tid, .uid = t->cred->uid};
    if (tr->ended && (w->options & WEXITED)) {
        ret->code = tr->exit_signal != 0 ? CLD_KILLED : CLD_EXITED;
        ret->status = tr->exit_signal != 0 ? tr->exit_signal : tr->exit_code;
        if (!keep) {
            struct list freed; /* by hand, behind l */
            list_init(&freed);
            ptrace_told_end_locked(tr, &freed, gone);
            list_remove(&tr->node);
            ret->told = tr;
        }
    } else if (tr->stopped && tr->unseen) {
        ret->code = CLD_TRAPPED;
        ret->status = (int)tr->code;
        tr->unseen = keep;
    }
    return ret->code != 0;
}

static bool tracee_eligible(const struct tracee *tr, const struct wanted *w)
{
    const struct task *t = tr->task;
    switch (w->type) {
    case PID: return t->tid == w->id;
    case GROUP: return t->proc->pgid == w->id;
    case PIDFD: return t->proc == w->process && t == t->proc->leader;
    default: return true;
    }
}

/* 1 found, 0 not yet, -ECHILD: there is nothing to wait for. */
static int look(const struct wanted *w, struct found *ret)
{
    struct process *self = current_process();
    struct list gone;
    int r = -ECHILD;
    list_init(&gone);
    *ret = (struct found){0};
    spin_lock_bh(&process_list_lock);
    list_for_each_safe(tr, &self->tracees, struct tracee, node) { /* first: a process ends after its threads */
        if (!tracee_eligible(tr, w))
            continue;
        r = 0;
        if (look_at_tracee(tr, w, ret, &gone)) {
            r = 1;
            break;
        }
    }
    if (r <= 0)
        list_for_each(c, &self->children, struct process, sibling) {
            bool kept = ptrace_kept_locked(c);
            if (!eligible(c, w) || (c->state == PROC_ZOMBIE && !kept && !(w->options & WEXITED)))
                continue;
            r = 0;
            if (!kept && look_at(self, c, w, ret)) {
                r = 1;
                break;
            }
        }
    spin_unlock_bh(&process_list_lock);
    process_release_all(&gone);
    return r;
}

static int wait_for(const struct wanted *w, struct found *ret)
{
    int r = look(w, ret), err = 0;
    if (r == 0 && !(w->options & WNOHANG))
        err = wait_event_interruptible(&current_process()->child_wq, (r = look(w, ret)) != 0);
    if (r > 0 && ret->gone != NULL)
        process_release(ret->gone);
    if (r > 0 && ret->told != NULL) {
        task_put(ret->told->task);
        kfree(ret->told);
    }
    return r != 0 ? r : err;
}

static struct abi_timeval to_timeval(u64 ns)
{
    return (struct abi_timeval){(s64)(ns / NSEC_PER_SEC), (s64)(ns % NSEC_PER_SEC / 1000)};
}

static struct abi_rusage to_rusage(const struct usage *u)
{
    return (struct abi_rusage){
        .utime = to_timeval(u->cpu_ns - u->system_ns), .stime = to_timeval(u->system_ns), .maxrss = (s64)(u->max_rss_pages * (PAGE_SIZE / 1024)), .minflt = (s64)u->minor_faults,
        .majflt = (s64)u->major_faults, .nvcsw = (s64)u->voluntary, .nivcsw = (s64)u->forced,
    };
}

static int put_rusage(uaddr_t uru, const struct usage *u)
{
    struct abi_rusage ru = to_rusage(u);
    return uru != 0 ? copy_to_user(uru, &ru, sizeof ru) : 0;
}

static u32 wait_status(const struct found *f)
{
    switch (f->code) {
    case CLD_EXITED: return (u32)(f->status & 0xff) << 8;
    case CLD_TRAPPED:
    case CLD_STOPPED: return (u32)f->status << 8 | 0x7f;
    case CLD_CONTINUED: return 0xffff;
    case CLD_DUMPED: return (u32)f->status | 0x80;
    default: return (u32)f->status;
    }
}

s64 sys_wait4(int pid, uaddr_t ustatus, int options, uaddr_t uru)
{
    struct found f;
    if ((u32)options & ~(WNOHANG | WUNTRACED | WCONTINUED | WNOTHREAD | WALL | WCLONE))
        return -EINVAL;
    if (pid == INT32_MIN)
        return -ESRCH;
    struct wanted w = {.type = pid > 0 ? PID : pid == -1 ? ANY : GROUP, .options = (u32)options | WEXITED};
    w.id = pid > 0 ? (u32)pid : pid == 0 ? current_process()->pgid : (u32)-pid;
    s64 r = wait_for(&w, &f);
    if (r <= 0)
        return r;
    if ((ustatus != 0 && put_user_u32(ustatus, wait_status(&f)) < 0) || put_rusage(uru, &f.usage) < 0)
        return -EFAULT;
    return f.pid;
}

static s64 put_found(uaddr_t uinfo, const struct found *f)
{
    u8 full[SIGINFO_SIZE] = {0}; /* Linux fills in these fields only; the rest of the caller's is left */
    struct ksiginfo i = {0};
    if (f != NULL) {
        i.signo = SIGCHLD;
        i.code = f->code;
        i.child.pid = (s32)f->pid;
        i.child.uid = f->uid;
        i.child.status = f->status;
    }
    memcpy(full, &i, sizeof i);
    return copy_to_user(uinfo, full, offsetof(struct ksiginfo, child.pad));
}

s64 sys_waitid(int type, int id, uaddr_t uinfo, int options, uaddr_t uru)
{
    struct found f;
    struct wanted w = {.options = (u32)options};
    struct file *file = NULL;
    if (((u32)options & ~(WNOHANG | WUNTRACED | WEXITED | WCONTINUED | WNOWAIT | WNOTHREAD | WALL | WCLONE)) ||
        !((u32)options & (WUNTRACED | WEXITED | WCONTINUED)))
        return -EINVAL;
    switch (type) {
    case 0:
        w.type = ANY;
        break;
    case 1:
        if (id <= 0)
            return -EINVAL;
        w.type = PID;
        w.id = (u32)id;
        break;
    case 2:
        if (id < 0)
            return -EINVAL;
        w.type = GROUP;
        w.id = id != 0 ? (u32)id : current_process()->pgid;
        break;
    case 3:
        if (id < 0)
            return -EINVAL;
        file = file_of(id);
        w.type = PIDFD;
        w.process = file != NULL ? pidfd_process(file) : NULL;
        if (w.process == NULL) {
            file_put(file);
            return -EBADF;
        }
        if (file->flags & O_NONBLOCK)
            w.options |= WNOHANG;
        break;
    default:
        return -EINVAL;
    }
    s64 r = wait_for(&w, &f);
    if (r == 0 && !((u32)options & WNOHANG))
        r = -EAGAIN; /* a pidfd that does not block */
    file_put(file);
    if (r < 0)
        return r;
    if (r > 0 && put_rusage(uru, &f.usage) < 0)
        return -EFAULT;
    return uinfo != 0 ? put_found(uinfo, r > 0 ? &f : NULL) : 0;
}

/* --- usage --------------------------------------------------------------------------------------------- */

s64 sys_getrusage(int who, uaddr_t uru)
{
    struct process *p = current_process();
    struct usage u;
    if (who == 0 || who == 1)
        process_usage(p, &u);
    if (who == 1) {
        struct usage own = task_usage(current_task());
        u.cpu_ns = own.cpu_ns;
        u.system_ns = own.system_ns;
        u.voluntary = own.voluntary;
        u.forced = own.forced;
    } else if (who == -1) {
        spin_lock_bh(&p->lock);
        u = p->waited;
        spin_unlock_bh(&p->lock);
    } else if (who != 0) {
        return -EINVAL;
    }
    struct abi_rusage ru = to_rusage(&u);
    return copy_to_user(uru, &ru, sizeof ru);
}

s64 sys_times(uaddr_t ubuf)
{
    u64 t[4];
    struct process *p = current_process();
    struct usage own, waited;
    process_usage(p, &own);
    spin_lock_bh(&p->lock);
    waited = p->waited;
    spin_unlock_bh(&p->lock);
    usage_ticks(&own, &waited, t);
    if (ubuf != 0 && copy_to_user(ubuf, t, sizeof t) < 0)
        return -EFAULT;
    return (s64)(now_ns() / (NSEC_PER_SEC / USER_HZ));
}
