/* SPDX-License-Identifier: Apache-2.0 */
/* Processes, tasks and their numbers; see task.h. Thread creation is in clone.c. */
#include "task.h"
#include "base/str.h"
#include "kern/futex.h"

#define TID_BUCKETS 64

struct spinlock process_list_lock = SPINLOCK_INIT("process list");
struct list process_list = LIST_INIT(process_list);
static struct list tid_hash[TID_BUCKETS]; /* l */
static u32 last_tid;                      /* l */
u32 pid_max = 32768;
struct process *first_process;
void (*process_ended)(const struct program_end *end, const char *report);

static struct task *find_locked(u32 tid)
{
    struct list *bucket = &tid_hash[tid % TID_BUCKETS];
    if (bucket->next == NULL) /* no task yet */
        return NULL;
    list_for_each(t, bucket, struct task, hash_node)
        if (t->tid == tid)
            return t;
    return NULL;
}

/* A number that no task has. l held. */
static u32 alloc_tid_locked(void)
{
    for (u32 tries = 0; tries < pid_max; tries++) {
        last_tid = last_tid + 1 >= pid_max ? 2 : last_tid + 1;
        if (find_locked(last_tid) == NULL)
            return last_tid;
    }
    return 0;
}

struct task *task_find(u32 tid)
{
    spin_lock_bh(&process_list_lock);
    struct task *t = find_locked(tid);
    if (t != NULL)
        task_get(t);
    spin_unlock_bh(&process_list_lock);
    return t;
}

struct process *process_find(u32 pid)
{
    struct process *found = NULL;
    spin_lock_bh(&process_list_lock);
    list_for_each(p, &process_list, struct process, all_node)
        if (p->pid == pid) {
            found = process_get(p);
            break;
        }
    spin_unlock_bh(&process_list_lock);
    return found;
}

/* --- credentials ------------------------------------------------------------- */

struct cred *cred_copy(const struct cred *c)
{
    struct cred *n = kmalloc(sizeof *n, 0);
    if (n != NULL) {
        *n = *c;
        ref_init(&n->refs);
    }
    return n;
}

void task_set_cred(struct cred *c)
{
    struct task *t = current_task();
    spin_lock_bh(&t->proc->lock);
    struct cred *old = t->cred;
    t->cred = c;
    spin_unlock_bh(&t->proc->lock);
    cred_put(old);
}

/* --- processes --------------------------------------------------------------- */

static const struct krlimit default_rlimits[RLIMIT_NR] = {
    [RLIMIT_CPU] = {RLIM_INFINITY, RLIM_INFINITY},      [RLIMIT_FSIZE] = {RLIM_INFINITY, RLIM_INFINITY},
    [RLIMIT_DATA] = {RLIM_INFINITY, RLIM_INFINITY},     [RLIMIT_STACK] = {8 << 20, RLIM_INFINITY},
    [RLIMIT_CORE] = {0, RLIM_INFINITY},                 [RLIMIT_RSS] = {RLIM_INFINITY, RLIM_INFINITY},
    [RLIMIT_NPROC] = {RLIM_INFINITY, RLIM_INFINITY},    [RLIMIT_NOFILE] = {524288, 524288},
    [RLIMIT_MEMLOCK] = {8 << 20, 8 << 20},              [RLIMIT_AS] = {RLIM_INFINITY, RLIM_INFINITY},
    [RLIMIT_LOCKS] = {RLIM_INFINITY, RLIM_INFINITY},    [RLIMIT_SIGPENDING] = {4096, 4096},
    [RLIMIT_MSGQUEUE] = {819200, 819200},               [RLIMIT_RTTIME] = {RLIM_INFINITY, RLIM_INFINITY},
};

u64 rlimit_of(struct process *p, unsigned which)
{
    return atomic_load_relaxed(&p->rlimits[which].soft);
}

int process_create(struct process *parent, struct process **ret)
{
    struct process *p = kzalloc(sizeof *p);
    struct sighand *s = kzalloc(sizeof *s);
    if (p == NULL || s == NULL) {
        kfree(p);
        kfree(s);
        return -ENOMEM;
    }
    ref_init(&p->refs);
    ref_init(&s->refs);
    spin_init(&p->lock, "process");
    spin_init(&s->lock, "sighand");
    list_init(&p->tasks);
    list_init(&p->children);
    list_init(&p->sibling);
    list_init(&p->all_node);
    list_init(&p->timers);
    list_init(&p->pending.queue);
    wq_init(&p->signal_wq, "signalfd");
    wq_init(&p->stop_wq, "stop");
    p->sighand = s;
    p->parent = parent;
    p->dumpable = true;
    p->start_ns = now_ns();
    memcpy(p->rlimits, default_rlimits, sizeof default_rlimits);
    itimers_init(p);
    *ret = p;
    return 0;
}

void process_put(struct process *p)
{
    if (p == NULL || !ref_put(&p->refs))
        return;
    signal_flush(p, &p->pending);
    if (ref_put(&p->sighand->refs))
        kfree(p->sighand);
    program_put(p->exe);
    kfree(p->crash_report);
    kfree(p);
}

u64 process_cpu_ns(struct process *p)
{
    spin_lock_bh(&p->lock);
    u64 ns = p->dead_cpu_ns;
    list_for_each(t, &p->tasks, struct task, proc_node)
        ns += thread_cpu_ns(t->thread);
    spin_unlock_bh(&p->lock);
    return ns;
}

/* --- tasks --------------------------------------------------------------------- */

int task_create(struct process *p, const char *name, void (*fn)(void *), struct task **ret)
{
    struct task *t = kzalloc(sizeof *t);
    if (t == NULL)
        return -ENOMEM;
    int r = thread_create(name, fn, t, true, &t->thread);
    if (r < 0) {
        kfree(t);
        return r;
    }
    ref_init(&t->refs);
    t->proc = process_get(p);
    t->thread->task = t;
    t->altstack.flags = SS_DISABLE;
    t->timer_slack_ns = 50000;
    list_init(&t->proc_node);
    list_init(&t->hash_node);
    list_init(&t->pending.queue);
    spin_lock_bh(&process_list_lock);
    if (list_empty(&p->all_node)) { /* its first task: pid == tid */
        if (first_process == NULL) {
            for (unsigned i = 0; i < TID_BUCKETS; i++)
                list_init(&tid_hash[i]);
            first_process = p;
            last_tid = 0;
        }
        t->tid = last_tid == 0 ? (last_tid = 1) : alloc_tid_locked();
        p->pid = t->tid;
        if (p->parent == NULL)
            p->pgid = p->sid = p->pid;
        list_push_back(&process_list, &p->all_node);
    } else {
        t->tid = alloc_tid_locked();
    }
    if (t->tid != 0)
        list_push_back(&tid_hash[t->tid % TID_BUCKETS], &t->hash_node);
    spin_unlock_bh(&process_list_lock);
    if (t->tid == 0) {
        task_put(t);
        return -EAGAIN;
    }
    *ret = t;
    return 0;
}

void task_start(struct task *t)
{
    struct process *p = t->proc;
    spin_lock_bh(&p->lock);
    list_push_back(&p->tasks, &t->proc_node);
    p->ntasks++;
    bool dying = p->group_exit || p->exec_pending; /* the others have been told to end already */
    spin_unlock_bh(&p->lock);
    if (dying)
        thread_interrupt(t->thread, EXIT_KILL);
    thread_start(t->thread);
}

void task_put(struct task *t)
{
    if (t == NULL || !ref_put(&t->refs))
        return;
    spin_lock_bh(&process_list_lock);
    list_remove_init(&t->hash_node);
    spin_unlock_bh(&process_list_lock);
    signal_flush(t->proc, &t->pending);
    cred_put(t->cred);
    thread_put(t->thread);
    process_put(t->proc);
    kfree(t);
}

/* --- robust futexes (get_robust_list(2), Documentation/robust-futex-ABI) --------- */

#define ROBUST_LIMIT 2048
#define FUTEX_WAITERS 0x80000000u
#define FUTEX_OWNER_DIED 0x40000000u
#define FUTEX_TID_MASK 0x3fffffffu

static void robust_death(struct task *t, uaddr_t addr, bool pending)
{
    u32 v, found;
    if (!IS_ALIGNED(addr, 4) || get_user_u32(addr, &v) < 0)
        return;
    if (pending && v == 0) {
        futex_wake(addr, 1, FUTEX_BITSET_ALL, true);
        return;
    }
    while ((v & FUTEX_TID_MASK) == t->tid) {
        u32 n = (v & FUTEX_WAITERS) | FUTEX_OWNER_DIED;
        if (cas_user_u32(addr, v, n, &found) < 0)
            return;
        if (found == v) {
            if (v & FUTEX_WAITERS) {
                futex_wake(addr, 1, FUTEX_BITSET_ALL, true);
                futex_wake(addr, 1, FUTEX_BITSET_ALL, false);
            }
            return;
        }
        v = found;
    }
}

static void robust_list_exit(struct task *t)
{
    u64 head = t->robust_list, entry, offset, pending;
    if (head == 0 || get_user_u64(head, &entry) < 0 || get_user_u64(head + 8, &offset) < 0 ||
        get_user_u64(head + 16, &pending) < 0)
        return;
    pending &= ~1ULL;
    for (unsigned i = 0; i < ROBUST_LIMIT && entry != head; i++) {
        u64 next;
        bool bad = get_user_u64(entry & ~1ULL, &next) < 0;
        if ((entry & ~1ULL) != pending)
            robust_death(t, (entry & ~1ULL) + offset, false);
        if (bad)
            return;
        entry = next & ~1ULL ? next : head;
    }
    if (pending != 0)
        robust_death(t, pending + offset, true);
}

/* --- the end ------------------------------------------------------------------------ */

/* The last task is going: what belongs to the process goes. */
static void process_finish(struct process *p)
{
    itimers_done(p);
    posix_timers_done(p);
    if (p != first_process)
        return; /* its parent collects it: with fork */
    struct program_end end = {.code = p->exit_code, .signal = p->exit_signal};
    if (process_ended != NULL)
        process_ended(&end, p->crash_report);
}

void task_exit(void)
{
    struct task *t = current_task();
    struct process *p = t->proc;
    struct thread *th = t->thread;

    robust_list_exit(t);
    spin_lock_bh(&p->lock);
    bool alone = p->ntasks == 1;
    spin_unlock_bh(&p->lock);
    if (t->clear_child_tid != 0 && !alone && put_user_u32(t->clear_child_tid, 0) == 0)
        futex_wake(t->clear_child_tid, 1, FUTEX_BITSET_ALL, true);
    spin_lock_bh(&p->lock);
    struct fdtable *files = t->files;
    struct fs_ctx *fs = t->fs;
    t->files = NULL;
    t->fs = NULL;
    spin_unlock_bh(&p->lock);
    fdtable_put(files);
    fs_ctx_put(fs);

    spin_lock_bh(&p->lock);
    list_remove_init(&t->proc_node);
    bool last = --p->ntasks == 0;
    p->dead_cpu_ns += thread_cpu_ns(th);
    p->dead_nvcsw += th->switches_voluntary;
    p->dead_nivcsw += th->switches_forced;
    /* Signals to the process that this task was to take go to the others. */
    spin_lock(&p->sighand->lock);
    if (p->pending.set != 0)
        list_for_each(o, &p->tasks, struct task, proc_node)
            signal_recalc_locked(o);
    spin_unlock(&p->sighand->lock);
    spin_unlock_bh(&p->lock);
    wq_wake_all(&p->stop_wq, 0);
    if (last)
        process_finish(p);

    struct addrspace *as = th->as;
    thread_switch_as(NULL);
    addrspace_put(as);
    th->task = NULL;
    spin_lock_bh(&process_list_lock);
    list_remove_init(&t->hash_node);
    spin_unlock_bh(&process_list_lock);
    task_put(t);
    thread_exit();
}

/* EXIT_KILL to all tasks but `except`. p held. */
static void kill_tasks_locked(struct process *p, struct task *except)
{
    list_for_each(t, &p->tasks, struct task, proc_node)
        if (t != except)
            thread_interrupt(t->thread, EXIT_KILL);
    wq_wake_all(&p->stop_wq, 0);
}

void process_kill(struct process *p, int code, int signal)
{
    spin_lock_bh(&p->lock);
    if (!p->group_exit) {
        p->group_exit = true;
        p->exit_code = code;
        p->exit_signal = signal;
        kill_tasks_locked(p, NULL);
    }
    spin_unlock_bh(&p->lock);
}

void process_exit(int code, int signal)
{
    process_kill(current_process(), code, signal);
    task_exit();
}

int process_become_single(void)
{
    struct task *t = current_task();
    struct process *p = t->proc;
    spin_lock_bh(&p->lock);
    if (p->ntasks <= 1 && !p->group_exit) {
        spin_unlock_bh(&p->lock);
        return 0;
    }
    if (p->group_exit || p->exec_pending) {
        spin_unlock_bh(&p->lock);
        return -EAGAIN;
    }
    p->exec_pending = true;
    kill_tasks_locked(p, t);
    spin_unlock_bh(&p->lock);
    wait_event(&p->stop_wq, atomic_load_relaxed(&p->ntasks) == 1);
    spin_lock_bh(&process_list_lock);
    if (t->tid != p->pid) { /* the one that stays is the process' leader */
        list_remove_init(&t->hash_node);
        t->tid = p->pid;
        list_push_back(&tid_hash[t->tid % TID_BUCKETS], &t->hash_node);
    }
    spin_unlock_bh(&process_list_lock);
    spin_lock_bh(&p->lock);
    p->exec_pending = false;
    spin_unlock_bh(&p->lock);
    return 0;
}
