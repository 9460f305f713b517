/* SPDX-License-Identifier: Apache-2.0 */
/* Scheduling: policies, CPUs, nice values (sched(7)). */
#include "task.h"

s64 sys_sched_yield(void)
{
    sched_yield_cpu();
    return 0;
}

/* sched_setscheduler(2) and sched_setattr(2) */
#define SCHED_RESET_ON_FORK 0x40000000
enum { FLAG_RESET_ON_FORK = 1, FLAG_KEEP_POLICY = 8, FLAG_KEEP_PARAMS = 0x10, FLAG_UTIL_CLAMP = 0x60, FLAGS = 0x7f };
#define OWN_POLICY (-1) /* the task's own stays */

struct sched_attr {
    u32 size, policy;
    u64 flags;
    s32 nice;
    u32 priority;
    u64 runtime, deadline, period;
    u32 util_min, util_max;
};
_Static_assert(sizeof(struct sched_attr) == 56, "SCHED_ATTR_SIZE_VER1");

static bool is_rt(int policy) { return policy == POLICY_FIFO || policy == POLICY_RR; }
static bool is_fair(int policy) { return policy == POLICY_OTHER || policy == POLICY_BATCH; }

static bool valid_policy(int policy, u32 prio)
{
    return is_rt(policy) ? prio >= 1 && prio <= 99 : (is_fair(policy) || policy == POLICY_IDLE) && prio == 0;
}

/* Its process's lock held. */
static bool same_owner_locked(const struct task *t)
{
    u32 euid = current_cred()->euid;
    return t->cred->euid == euid || t->cred->uid == euid;
}

static bool same_owner(struct task *t)
{
    spin_lock_bh(&t->proc->lock);
    bool same = same_owner_locked(t);
    spin_unlock_bh(&t->proc->lock);
    return same;
}

/* Who may do more than the caller is left alone. */
static bool at_most_we(const struct task *t) { return (t->cred->cap_permitted & ~current_cred()->cap_permitted) == 0 || capable(CAP_SYS_NICE); }

static bool may_touch(struct task *t)
{
    spin_lock_bh(&t->proc->lock);
    bool may = at_most_we(t);
    spin_unlock_bh(&t->proc->lock);
    return may;
}

static bool nice_allowed(const struct task *t, int nice) { return (u64)(20 - nice) <= rlimit_of(t->proc, RLIMIT_NICE); }

/* What everybody may who owns the task: no more than it has, or than its limits say. */
static bool may_set(struct task *t, int policy, const struct sched_attr *a)
{
    const struct thread *th = t->thread;
    u64 most = rlimit_of(t->proc, RLIMIT_RTPRIO);
    if (is_fair(policy) && a->nice < th->nice && !nice_allowed(t, a->nice))
        return false;
    if (is_rt(policy) && ((policy != th->policy && most == 0) || (a->priority > th->rt_prio && a->priority > most)))
        return false;
    if (th->policy == POLICY_IDLE && policy != POLICY_IDLE && !nice_allowed(t, th->nice))
        return false;
    return same_owner(t) && (!t->reset_on_fork || (a->flags & FLAG_RESET_ON_FORK) != 0);
}

static s64 set_attr(struct task *t, int policy, const struct sched_attr *a)
{
    u64 flags = a->flags;
    if (policy == OWN_POLICY) {
        policy = t->thread->policy;
        flags = (flags & ~(u64)FLAG_RESET_ON_FORK) | (t->reset_on_fork ? FLAG_RESET_ON_FORK : 0);
    }
    if (!valid_policy(policy, a->priority) || (flags & ~(u64)FLAGS) != 0)
        return -EINVAL;
    if (!may_set(t, policy, &(struct sched_attr){.flags = flags, .nice = a->nice, .priority = a->priority}) && !capable(CAP_SYS_NICE))
        return -EPERM;
    if (!may_touch(t))
        return -EPERM;
    if ((flags & FLAG_UTIL_CLAMP) != 0) /* as Linux without CONFIG_UCLAMP_TASK */
        return -EOPNOTSUPP;
    atomic_store_relaxed(&t->reset_on_fork, (flags & FLAG_RESET_ON_FORK) != 0);
    if ((flags & FLAG_KEEP_PARAMS) != 0)
        return 0;
    if (is_fair(policy))
        thread_set_nice(t->thread, a->nice);
    return thread_set_policy(t->thread, (u8)policy, (u8)a->priority);
}

static void params_of(const struct thread *th, struct sched_attr *a)
{
    if (is_rt(th->policy))
        a->priority = th->rt_prio;
    else
        a->nice = th->nice;
}

static s64 set_policy(int pid, int policy, uaddr_t uparam)
{
    struct sched_attr a = {0};
    if (pid < 0 || uparam == 0)
        return -EINVAL;
    if (get_user_u32(uparam, &a.priority) < 0)
        return -EFAULT;
    struct task *t = task_arg(pid);
    if (t == NULL)
        return -ESRCH;
    if (policy != OWN_POLICY && (policy & SCHED_RESET_ON_FORK) != 0) {
        a.flags = FLAG_RESET_ON_FORK;
        policy &= ~SCHED_RESET_ON_FORK;
    }
    a.nice = t->thread->nice;
    s64 r = set_attr(t, policy, &a);
    task_put(t);
    return r;
}

s64 sys_sched_setscheduler(int pid, int policy, uaddr_t uparam) { return policy < 0 ? -EINVAL : set_policy(pid, policy, uparam); }
s64 sys_sched_setparam(int pid, uaddr_t uparam) { return set_policy(pid, OWN_POLICY, uparam); }

s64 sys_sched_getscheduler(int pid)
{
    struct task *t = task_arg(pid);
    if (t == NULL)
        return pid < 0 ? -EINVAL : -ESRCH;
    s64 r = t->thread->policy | (t->reset_on_fork ? SCHED_RESET_ON_FORK : 0);
    task_put(t);
    return r;
}

s64 sys_sched_getparam(int pid, uaddr_t uparam)
{
    if (pid < 0 || uparam == 0)
        return -EINVAL;
    struct task *t = task_arg(pid);
    if (t == NULL)
        return -ESRCH;
    u32 prio = t->thread->rt_prio;
    task_put(t);
    return put_user_u32(uparam, prio);
}

s64 sys_sched_get_priority_max(int policy)
{
    return policy == POLICY_FIFO || policy == POLICY_RR ? 99 : valid_policy(policy, 0) || policy == 6 ? 0 : -EINVAL;
}
s64 sys_sched_get_priority_min(int policy)
{
    return policy == POLICY_FIFO || policy == POLICY_RR ? 1 : valid_policy(policy, 0) || policy == 6 ? 0 : -EINVAL;
}

s64 sys_sched_rr_get_interval(int pid, uaddr_t uts)
{
    struct task *t = task_arg(pid);
    if (t == NULL)
        return pid < 0 ? -EINVAL : -ESRCH;
    u64 ns = t->thread->policy == POLICY_FIFO ? 0 : t->thread->policy == POLICY_RR ? 100 * NSEC_PER_MSEC : 4 * NSEC_PER_MSEC;
    task_put(t);
    return put_timespec(uts, ns);
}

s64 sys_sched_getaffinity(int pid, u32 size, uaddr_t umask)
{
    if (size < 8 || size % 8 != 0)
        return -EINVAL;
    struct task *t = task_arg(pid);
    if (t == NULL)
        return -ESRCH;
    unsigned cpus = plat_cpu_count();
    u64 mask = t->thread->affinity & (cpus >= 64 ? ~0ULL : (1ULL << cpus) - 1);
    task_put(t);
    return put_user_u64(umask, mask) < 0 ? -EFAULT : 8;
}

s64 sys_sched_setaffinity(int pid, u32 size, uaddr_t umask)
{
    u64 mask = 0;
    if (copy_from_user(&mask, umask, MIN(size, 8u)) < 0)
        return -EFAULT;
    struct task *t = task_arg(pid);
    if (t == NULL)
        return -ESRCH;
    unsigned cpus = plat_cpu_count();
    mask &= cpus >= 64 ? ~0ULL : (1ULL << cpus) - 1;
    s64 r = (!same_owner(t) && !capable(CAP_SYS_NICE)) || !may_touch(t) ? -EPERM : mask == 0 ? -EINVAL : thread_set_affinity(t->thread, mask);
    task_put(t);
    return r;
}

static int get_attr(uaddr_t uattr, struct sched_attr *ret)
{
    u32 size;
    if (get_user_u32(uattr, &size) < 0)
        return -EFAULT;
    if (size == 0)
        size = 48;
    int r = size < 48 || size > PAGE_SIZE ? -E2BIG : copy_struct_from_user(ret, sizeof *ret, uattr, size);
    if (r == -E2BIG)
        (void)put_user_u32(uattr, sizeof *ret);
    if (r == 0 && ((int)ret->policy < 0 || ((ret->flags & FLAG_UTIL_CLAMP) != 0 && size < sizeof *ret)))
        r = -EINVAL;
    ret->nice = MAX(-20, MIN(ret->nice, 19));
    return r;
}

s64 sys_sched_setattr(int pid, uaddr_t uattr, u32 flags)
{
    struct sched_attr a;
    if (pid < 0 || flags != 0 || uattr == 0)
        return -EINVAL;
    int r = get_attr(uattr, &a);
    if (r < 0)
        return r;
    struct task *t = task_arg(pid);
    if (t == NULL)
        return -ESRCH;
    if ((a.flags & FLAG_KEEP_PARAMS) != 0)
        params_of(t->thread, &a);
    s64 k = set_attr(t, (a.flags & FLAG_KEEP_POLICY) != 0 ? OWN_POLICY : (int)a.policy, &a);
    task_put(t);
    return k;
}

s64 sys_sched_getattr(int pid, uaddr_t uattr, u32 size, u32 flags)
{
    if (flags != 0 || uattr == 0 || size < 48 || size > PAGE_SIZE)
        return -EINVAL;
    struct task *t = task_arg(pid);
    if (t == NULL)
        return pid < 0 ? -EINVAL : -ESRCH;
    struct sched_attr a = {.size = MIN(size, (u32)sizeof a), .policy = t->thread->policy, .flags = t->reset_on_fork ? FLAG_RESET_ON_FORK : 0};
    params_of(t->thread, &a);
    task_put(t);
    return copy_to_user(uattr, &a, a.size);
}

/* PRIO_PROCESS means a task; a group or a user, the tasks of its processes. */
struct prio_job {
    void (*one)(struct task *t, struct prio_job *j); /* process list lock and its process's held */
    int best;  /* in: 20 or the nice value to set; out, when reading: the best */
    bool set;
    s64 result;
};

static void nice_one(struct task *t, struct prio_job *j)
{
    if (!j->set) {
        j->best = MIN(j->best, (int)t->thread->nice);
        j->result = 0;
    } else if (!same_owner_locked(t) && !capable(CAP_SYS_NICE)) {
        j->result = -EPERM;
    } else if (j->best < t->thread->nice && !capable(CAP_SYS_NICE) && !nice_allowed(t, j->best)) {
        j->result = -EACCES;
    } else if (!at_most_we(t)) {
        j->result = -EPERM;
    } else {
        thread_set_nice(t->thread, j->best);
        j->result = j->result == -ESRCH ? 0 : j->result;
    }
}

/* `which` as getpriority(2) has it: a task, a group or a user. */
static int for_tasks(int which, int who, struct prio_job *j)
{
    j->result = -ESRCH;
    if (which < 0 || which > 2)
        return -EINVAL;
    u32 id = who != 0 ? (u32)who : which == 1 ? current_process()->pgid : current_cred()->uid;
    struct task *one = which == 0 ? task_arg(who) : NULL;
    spin_lock_bh(&process_list_lock);
    if (one != NULL) {
        spin_lock(&one->proc->lock);
        j->one(one, j);
        spin_unlock(&one->proc->lock);
    }
    if (which != 0)
        list_for_each(p, &process_list, struct process, all_node) {
            spin_lock(&p->lock);
            if ((which == 1 ? p->pgid : p->leader->cred->uid) == id)
                list_for_each(t, &p->tasks, struct task, proc_node)
                    j->one(t, j);
            spin_unlock(&p->lock);
        }
    spin_unlock_bh(&process_list_lock);
    task_put(one);
    return (int)j->result;
}

s64 sys_getpriority(int which, int who)
{
    struct prio_job j = {.one = nice_one, .best = 20};
    int r = for_tasks(which, who, &j);
    return r < 0 ? r : 20 - j.best;
}

s64 sys_setpriority(int which, int who, int nice)
{
    struct prio_job j = {.one = nice_one, .best = MAX(-20, MIN(nice, 19)), .set = true};
    return for_tasks(which, who, &j);
}

/* --- ioprio_set(2): kept and told; there is one disk at most, and nothing to order ------------- */

#define IOPRIO(class, level) ((class) << 13 | (level))
enum { IOPRIO_NONE, IOPRIO_RT, IOPRIO_BE, IOPRIO_IDLE };

/* What it amounts to: of a task that has none, what its policy and nice value say. */
static int effective_ioprio(const struct task *t)
{
    u8 policy = t->thread->policy;
    int class = policy == POLICY_IDLE ? IOPRIO_IDLE : policy == POLICY_FIFO || policy == POLICY_RR ? IOPRIO_RT : IOPRIO_BE;
    return t->ioprio >> 13 != IOPRIO_NONE ? t->ioprio : IOPRIO(class, (t->thread->nice + 20) / 5);
}

static void ioprio_one(struct task *t, struct prio_job *j)
{
    const struct cred *c = current_cred();
    if (!j->set) {
        j->best = MIN(j->best, effective_ioprio(t));
        j->result = 0;
    } else if ((t->cred->uid != c->euid && t->cred->uid != c->uid && !capable(CAP_SYS_NICE)) || !at_most_we(t)) {
        j->result = -EPERM;
    } else {
        atomic_store_relaxed(&t->ioprio, (u16)j->best);
        j->result = j->result == -ESRCH ? 0 : j->result;
    }
}

s64 sys_ioprio_get(int which, int who)
{
    struct prio_job j = {.one = ioprio_one, .best = INT32_MAX};
    struct task *t = which == 1 ? task_arg(who) : NULL;
    if (which == 1) { /* of one task: what it was given */
        s64 own = t != NULL ? atomic_load_relaxed(&t->ioprio) : -ESRCH;
        task_put(t);
        return own;
    }
    int r = for_tasks(which - 1, who, &j);
    return r < 0 ? r : j.best;
}

s64 sys_ioprio_set(int which, int who, int prio)
{
    struct prio_job j = {.one = ioprio_one, .set = true, .best = prio & 0xffff};
    int class = prio >> 13 & 7, level = prio & 7;
    if (class > IOPRIO_IDLE || (class == IOPRIO_NONE && level != 0))
        return -EINVAL;
    if (class == IOPRIO_RT && !capable(CAP_SYS_ADMIN) && !capable(CAP_SYS_NICE))
        return -EPERM;
    return for_tasks(which - 1, who, &j);
}
