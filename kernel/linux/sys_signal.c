/* SPDX-License-Identifier: Apache-2.0 */
/* The calls of signal(7). */
#include "task.h"
#include "base/str.h"

static bool valid(int sig) { return sig >= 1 && sig <= NSIG; }

s64 sys_rt_sigaction(int sig, uaddr_t uact, uaddr_t uold, u64 size)
{
    struct ksigaction act, old;
    struct process *p = current_process();
    if (size != sizeof(u64))
        return -EINVAL;
    if (uact != 0 && copy_from_user(&act, uact, sizeof act) < 0)
        return -EFAULT;
    if (!valid(sig) || (uact != 0 && (sig == SIGKILL || sig == SIGSTOP)))
        return -EINVAL;
    spin_lock_bh(&p->lock);
    spin_lock(&p->sighand->lock);
    struct ksigaction *a = &p->sighand->act[sig - 1];
    old = *a;
    if (uact != 0) {
        act.mask &= ~(SIGMASK(SIGKILL) | SIGMASK(SIGSTOP));
        act.flags &= SA_KNOWN;
        *a = act;
        signal_drop_ignored_locked(p, sig);
    }
    spin_unlock(&p->sighand->lock);
    spin_unlock_bh(&p->lock);
    return uold != 0 ? copy_to_user(uold, &old, sizeof old) : 0;
}

s64 sys_rt_sigprocmask(int how, uaddr_t uset, uaddr_t uold, u64 size)
{
    struct task *t = current_task();
    u64 set, old = t->blocked;
    if (size != sizeof set)
        return -EINVAL;
    if (uset != 0) {
        if (get_user_u64(uset, &set) < 0)
            return -EFAULT;
        switch (how) {
        case 0:
            set |= old;
            break;
        case 1:
            set = old & ~set;
            break;
        case 2:
            break;
        default:
            return -EINVAL;
        }
        if (set != old)
            signal_set_blocked(set);
    }
    return uold != 0 ? put_user_u64(uold, old) : 0;
}

s64 sys_rt_sigpending(uaddr_t uset, u64 size)
{
    struct task *t = current_task();
    if (size > sizeof(u64))
        return -EINVAL;
    u64 set = (t->pending.set | t->proc->pending.set) & t->blocked;
    return copy_to_user(uset, &set, size);
}

s64 sys_rt_sigsuspend(uaddr_t uset, u64 size)
{
    if (size != sizeof(u64))
        return -EINVAL;
    s64 r = uset == 0 ? -EFAULT : signal_mask_begin(uset, size);
    if (r < 0)
        return r;
    thread_sleep_until(NEVER_NS, true);
    return -ERESTARTNOHAND;
}

s64 sys_pause(void)
{
    thread_sleep_until(NEVER_NS, true);
    return -ERESTARTNOHAND;
}

/* A complete siginfo_t to the program. */
static int put_siginfo(uaddr_t to, const struct ksiginfo *info)
{
    u8 full[SIGINFO_SIZE] = {0};
    memcpy(full, info, sizeof *info);
    return copy_to_user(to, full, sizeof full);
}

s64 sys_rt_sigtimedwait(uaddr_t uset, uaddr_t uinfo, uaddr_t utimeout, u64 size)
{
    struct task *t = current_task();
    struct sighand *h = t->proc->sighand;
    struct ksiginfo info;
    u64 set, deadline;
    if (size != sizeof set)
        return -EINVAL;
    if (get_user_u64(uset, &set) < 0)
        return -EFAULT;
    int r = get_timeout(utimeout, CLOCK_DURATION, &deadline);
    if (r < 0)
        return r;
    set &= ~(SIGMASK(SIGKILL) | SIGMASK(SIGSTOP));
    spin_lock_bh(&h->lock);
    int sig = signal_dequeue_locked(t, set, &info);
    bool interrupted = false;
    if (sig == 0 && deadline != 0) {
        /* Let the awaited ones through while asleep, so that senders wake this task. */
        u64 blocked = t->blocked;
        t->wait_set = blocked;
        t->blocked &= ~set;
        spin_unlock_bh(&h->lock);
        interrupted = thread_sleep_until(deadline, true) < 0;
        spin_lock_bh(&h->lock);
        t->wait_set = 0;
        sig = signal_dequeue_locked(t, set, &info);
        spin_unlock_bh(&h->lock);
        signal_set_blocked(blocked); /* one more that came for this task may be for another one now */
        if (sig != 0) /* EXIT_SIGNAL may stand for the one just taken; the exit work finds that out */
            interrupted = false;
    } else {
        spin_unlock_bh(&h->lock);
    }
    if (sig == 0)
        return interrupted ? -EINTR : -EAGAIN;
    return uinfo != 0 && put_siginfo(uinfo, &info) < 0 ? -EFAULT : sig;
}

s64 sys_sigaltstack(uaddr_t unew, uaddr_t uold)
{
    struct task *t = current_task();
    struct abi_stack s, old = t->altstack;
    u64 sp = FRAME_SP(thread_frame(t->thread));
    bool on = old.size != 0 && !(old.flags & SS_AUTODISARM) && sp > old.sp && sp - old.sp <= old.size;
    if (unew != 0) {
        if (copy_from_user(&s, unew, sizeof s) < 0)
            return -EFAULT;
        u32 mode = s.flags & ~SS_AUTODISARM;
        if (on)
            return -EPERM;
        if (mode != 0 && mode != SS_DISABLE && mode != SS_ONSTACK)
            return -EINVAL;
        if (mode == SS_DISABLE)
            s = (struct abi_stack){.flags = SS_DISABLE};
        else if (s.size < MINSIGSTKSZ)
            return -ENOMEM;
        t->altstack = (struct abi_stack){.sp = s.sp, .size = s.size, .flags = mode == SS_DISABLE ? SS_DISABLE : s.flags & SS_AUTODISARM};
    }
    if (uold == 0)
        return 0;
    if (on)
        old.flags |= SS_ONSTACK;
    return copy_to_user(uold, &old, sizeof old);
}

/* --- sending --------------------------------------------------------------------------------- */

static s64 kill_one(struct process *p, int sig, const struct ksiginfo *info)
{
    if (!signal_permitted(p, sig))
        return -EPERM;
    return sig == 0 ? 0 : signal_send_process(p, info, NULL);
}

/* A group, or everyone but the first process and the caller's (0). */
s64 signal_send_group(u32 pgid, int sig, const struct ksiginfo *info)
{
    struct process *self = current_process();
    s64 r = -ESRCH;
    bool any = false;
    spin_lock_bh(&process_list_lock);
    list_for_each(p, &process_list, struct process, all_node) {
        if (pgid == 0 ? p == self || p == first_process : p->pgid != pgid)
            continue; /* the lock keeps forks out: T4 */
        s64 one = kill_one(p, sig, info);
        any |= one == 0;
        r = one;
    }
    spin_unlock_bh(&process_list_lock);
    return any ? 0 : r;
}

s64 sys_kill(int pid, int sig)
{
    struct ksiginfo info;
    if (sig < 0 || sig > NSIG)
        return -EINVAL;
    siginfo_user(&info, sig, SI_USER);
    if (pid > 0) {
        struct task *t = task_find((u32)pid);
        if (t == NULL)
            return -ESRCH;
        s64 r = kill_one(t->proc, sig, &info);
        task_put(t);
        return r;
    }
    if (pid == INT32_MIN)
        return -ESRCH;
    return signal_send_group(pid == -1 ? 0 : pid == 0 ? current_process()->pgid : (u32)-pid, sig, &info);
}

static s64 send_to_thread(int tgid, int tid, int sig, const struct ksiginfo *info)
{
    if (tid <= 0 || tgid == 0 || sig < 0 || sig > NSIG)
        return -EINVAL;
    struct task *t = task_find((u32)tid);
    s64 r = -ESRCH;
    if (t != NULL && (tgid < 0 || t->proc->pid == (u32)tgid)) {
        r = signal_permitted(t->proc, sig) ? 0 : -EPERM;
        if (r == 0 && sig != 0)
            r = signal_send_task(t, info, NULL);
    }
    task_put(t);
    return r;
}

s64 sys_tgkill(int tgid, int tid, int sig)
{
    struct ksiginfo info;
    if (tgid <= 0)
        return -EINVAL;
    siginfo_user(&info, sig, SI_TKILL);
    return send_to_thread(tgid, tid, sig, &info);
}

s64 sys_tkill(int tid, int sig)
{
    struct ksiginfo info;
    siginfo_user(&info, sig, SI_TKILL);
    return send_to_thread(-1, tid, sig, &info);
}

/* sigqueue(3): the caller makes the siginfo, but may not pose as the kernel to others. */
static int get_siginfo(uaddr_t uinfo, int sig, u32 pid, struct ksiginfo *ret)
{
    if (copy_from_user(ret, uinfo, sizeof *ret) < 0)
        return -EFAULT;
    ret->signo = sig;
    if ((ret->code >= 0 || ret->code == SI_TKILL) && pid != current_process()->pid)
        return -EPERM;
    return 0;
}

s64 sys_rt_sigqueueinfo(int pid, int sig, uaddr_t uinfo)
{
    struct ksiginfo info;
    int r = get_siginfo(uinfo, sig, (u32)pid, &info);
    if (r < 0)
        return r;
    if (sig < 0 || sig > NSIG)
        return -EINVAL;
    struct process *p = process_find((u32)pid);
    if (p == NULL)
        return -ESRCH;
    s64 k = kill_one(p, sig, &info);
    process_put(p);
    return k;
}

s64 sys_rt_tgsigqueueinfo(int tgid, int tid, int sig, uaddr_t uinfo)
{
    struct ksiginfo info;
    if (tgid <= 0 || tid <= 0)
        return -EINVAL;
    int r = get_siginfo(uinfo, sig, (u32)tgid, &info);
    return r < 0 ? r : send_to_thread(tgid, tid, sig, &info);
}
