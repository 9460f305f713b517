/* SPDX-License-Identifier: Apache-2.0 */
/* Scheduling: policies, CPUs, nice values (sched(7)). */
#include "task.h"

s64 sys_sched_yield(void)
{
    sched_yield_cpu();
    return 0;
}

#define SCHED_RESET_ON_FORK 0x40000000

static bool valid_policy(int policy, int prio)
{
    bool rt = policy == POLICY_FIFO || policy == POLICY_RR;
    if (!rt && policy != POLICY_OTHER && policy != POLICY_BATCH && policy != POLICY_IDLE)
        return false;
    return rt ? prio >= 1 && prio <= 99 : prio == 0;
}

static s64 set_policy(int pid, int policy, int prio, bool keep_policy)
{
    struct task *t = task_arg(pid);
    if (t == NULL)
        return pid < 0 ? -EINVAL : -ESRCH;
    if (keep_policy)
        policy = t->thread->policy;
    s64 r = -EINVAL;
    if (valid_policy(policy, prio)) {
        if (prio > t->thread->rt_prio && !capable(CAP_SYS_NICE) && (u64)prio > rlimit_of(t->proc, RLIMIT_RTPRIO))
            r = -EPERM;
        else
            r = thread_set_policy(t->thread, (u8)policy, (u8)prio);
    }
    task_put(t);
    return r;
}

s64 sys_sched_setscheduler(int pid, int policy, uaddr_t uparam)
{
    u32 prio;
    if (policy < 0)
        return -EINVAL;
    if (get_user_u32(uparam, &prio) < 0)
        return -EFAULT;
    return set_policy(pid, policy & ~SCHED_RESET_ON_FORK, (int)prio, false);
}

s64 sys_sched_setparam(int pid, uaddr_t uparam)
{
    u32 prio;
    if (get_user_u32(uparam, &prio) < 0)
        return -EFAULT;
    return set_policy(pid, 0, (int)prio, true);
}

s64 sys_sched_getscheduler(int pid)
{
    struct task *t = task_arg(pid);
    s64 r = t != NULL ? t->thread->policy : pid < 0 ? -EINVAL : -ESRCH;
    task_put(t);
    return r;
}

s64 sys_sched_getparam(int pid, uaddr_t uparam)
{
    struct task *t = task_arg(pid);
    if (t == NULL)
        return pid < 0 ? -EINVAL : -ESRCH;
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
    s64 r = mask == 0 ? -EINVAL : thread_set_affinity(t->thread, mask);
    task_put(t);
    return r;
}

struct sched_attr {
    u32 size, policy;
    u64 flags;
    s32 nice;
    u32 priority;
    u64 runtime, deadline, period;
    u32 util_min, util_max;
};
_Static_assert(sizeof(struct sched_attr) == 56, "SCHED_ATTR_SIZE_VER1");

s64 sys_sched_setattr(int pid, uaddr_t uattr, u32 flags)
{
    struct sched_attr a;
    u32 size;
    if (flags != 0 || uattr == 0)
        return -EINVAL;
    if (get_user_u32(uattr, &size) < 0)
        return -EFAULT;
    if (size == 0)
        size = 48;
    if (size < 48 || size > PAGE_SIZE)
        return put_user_u32(uattr, sizeof a) < 0 ? -EFAULT : -E2BIG;
    int r = copy_struct_from_user(&a, sizeof a, uattr, size);
    if (r < 0)
        return r;
    s64 k = set_policy(pid, (int)a.policy, (int)a.priority, false);
    if (k == 0 && (a.policy == POLICY_OTHER || a.policy == POLICY_BATCH)) {
        struct task *t = task_arg(pid);
        if (t != NULL)
            thread_set_nice(t->thread, MAX(-20, MIN(a.nice, 19)));
        task_put(t);
    }
    return k;
}

s64 sys_sched_getattr(int pid, uaddr_t uattr, u32 size, u32 flags)
{
    if (flags != 0 || uattr == 0 || size < 48 || size > PAGE_SIZE)
        return -EINVAL;
    struct task *t = task_arg(pid);
    if (t == NULL)
        return pid < 0 ? -EINVAL : -ESRCH;
    struct sched_attr a = {.size = MIN(size, (u32)sizeof a), .policy = t->thread->policy, .nice = t->thread->nice,
                           .priority = t->thread->rt_prio, .util_max = 1024};
    task_put(t);
    return copy_to_user(uattr, &a, a.size);
}

/* PRIO_PROCESS means a task; a group or a user, the tasks of its processes. */
struct prio_job {
    void (*one)(struct task *t, struct prio_job *j); /* process list lock held */
    int best;  /* in: 20 or the nice value to set; out, when reading: the best */
    bool set;
    s64 result;
};

static void nice_one(struct task *t, struct prio_job *j)
{
    const struct cred *c = current_cred();
    if (!j->set) {
        j->best = MIN(j->best, (int)t->thread->nice);
        j->result = 0;
    } else if (t->cred->uid != c->euid && t->cred->euid != c->euid && !capable(CAP_SYS_NICE)) {
        j->result = -EPERM;
    } else if (j->best < t->thread->nice && !capable(CAP_SYS_NICE) && (u64)(20 - j->best) > rlimit_of(t->proc, RLIMIT_NICE)) {
        j->result = -EACCES;
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
    if (one != NULL)
        j->one(one, j);
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
    } else if (t->cred->uid != c->euid && t->cred->uid != c->uid && !capable(CAP_SYS_NICE)) {
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
