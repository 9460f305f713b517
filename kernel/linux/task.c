/* SPDX-License-Identifier: Apache-2.0 */
/* Processes, tasks and their numbers; see task.h. What makes new ones is in clone.c and fork.c. */
#include "ptrace.h"
#include "seccomp_impl.h"
#include "base/str.h"
#include "kern/trace.h"
#include "kern/futex.h"

#define TID_BUCKETS 64
#define PID_AGAIN 300 /* numbers start here again when they have reached the end, as Linux' do */

struct spinlock process_list_lock = SPINLOCK_INIT("process list");
struct list process_list = LIST_INIT(process_list);
static struct list tid_hash[TID_BUCKETS]; /* l */
static u32 last_tid;                      /* l */
static u32 numbered;                      /* l, read without: tasks that have a number, also those that ended */
u32 nr_open = NR_OPEN_MAX;
u32 pid_max = 32768, threads_max = 32768; /* the second: see sysctl_init() */
struct process *first_process;
void (*process_ended)(const struct program_end *end, const char *report);

struct task *task_find_locked(u32 tid)
{
    struct list *bucket = &tid_hash[tid % TID_BUCKETS];
    if (bucket->next == NULL) /* no task yet */
        return NULL;
    list_for_each(t, bucket, struct task, hash_node)
        if (t->tid == tid)
            return t;
    return NULL;
}

u32 last_pid(void) { return atomic_load_relaxed(&last_tid); }

/* A number that nothing has (T1). l held. */
static u32 alloc_tid_locked(void)
{
    for (u32 tries = 0; tries < pid_max; tries++) {
        last_tid = last_tid + 1 < pid_max ? last_tid + 1 : MIN((u32)PID_AGAIN, pid_max / 2);
        if (task_find_locked(last_tid) == NULL && !group_exists_locked(last_tid))
            return last_tid;
    }
    return 0;
}

struct task *task_find(u32 tid)
{
    spin_lock_bh(&process_list_lock);
    struct task *t = task_find_locked(tid);
    if (t != NULL)
        task_get(t);
    spin_unlock_bh(&process_list_lock);
    return t;
}

struct process *process_find(u32 pid)
{
    spin_lock_bh(&process_list_lock);
    struct task *t = task_find_locked(pid);
    struct process *p = t != NULL && t->proc->leader == t ? process_get(t->proc) : NULL;
    spin_unlock_bh(&process_list_lock);
    return p;
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

struct cred *task_cred(struct task *t)
{
    spin_lock_bh(&t->proc->lock);
    struct cred *c = cred_get(t->cred);
    spin_unlock_bh(&t->proc->lock);
    return c;
}

void task_set_cred(struct cred *c)
{
    struct task *t = current_task();
    spin_lock_bh(&t->proc->lock);
    struct cred *old = t->cred;
    t->cred = c;
    if (old->euid != c->euid || old->egid != c->egid || old->fsuid != c->fsuid || old->fsgid != c->fsgid || (c->cap_permitted & ~old->cap_permitted) != 0) {
        t->proc->dumpable = false; /* nor may who it was end it */
        t->pdeath_signal = 0;
    }
    if (t->thread->as != NULL && cred_capable(old, CAP_IPC_LOCK) != cred_capable(c, CAP_IPC_LOCK))
        t->thread->as->limit_locked_bytes = cred_capable(c, CAP_IPC_LOCK) ? UINT64_MAX : rlimit_of(t->proc, RLIMIT_MEMLOCK);
    spin_unlock_bh(&t->proc->lock);
    cred_put(old);
}

/* --- processes --------------------------------------------------------------- */

static const struct krlimit default_rlimits[RLIMIT_NR] = {
    [RLIMIT_CPU] = {RLIM_INFINITY, RLIM_INFINITY},      [RLIMIT_FSIZE] = {RLIM_INFINITY, RLIM_INFINITY},
    [RLIMIT_DATA] = {RLIM_INFINITY, RLIM_INFINITY},     [RLIMIT_STACK] = {8 << 20, RLIM_INFINITY},
    [RLIMIT_CORE] = {0, RLIM_INFINITY},                 [RLIMIT_RSS] = {RLIM_INFINITY, RLIM_INFINITY},
    [RLIMIT_NPROC] = {RLIM_INFINITY, RLIM_INFINITY},    [RLIMIT_NOFILE] = {NR_OPEN_SOFT, NR_OPEN_MAX},
    [RLIMIT_MEMLOCK] = {8 << 20, 8 << 20},              [RLIMIT_AS] = {RLIM_INFINITY, RLIM_INFINITY},
    [RLIMIT_LOCKS] = {RLIM_INFINITY, RLIM_INFINITY},    [RLIMIT_SIGPENDING] = {4096, 4096},
    [RLIMIT_MSGQUEUE] = {819200, 819200},               [RLIMIT_RTTIME] = {RLIM_INFINITY, RLIM_INFINITY},
};

u64 rlimit_of(struct process *p, unsigned which)
{
    return atomic_load_relaxed(&p->rlimits[which].soft);
}

static struct sighand *sighand_create(void)
{
    struct sighand *s = kzalloc(sizeof *s);
    if (s != NULL) {
        ref_init(&s->refs);
        spin_init(&s->lock, "sighand");
    }
    return s;
}

static void sighand_put(struct sighand *s)
{
    if (ref_put(&s->refs))
        kfree(s);
}

int process_create(struct process *shared, struct process **ret)
{
    struct process *p = kzalloc(sizeof *p);
    struct sighand *s = shared != NULL ? shared->sighand : sighand_create();
    if (p == NULL || s == NULL) {
        kfree(p);
        if (shared == NULL)
            kfree(s);
        return -ENOMEM;
    }
    if (shared != NULL)
        ref_get(&s->refs);
    ref_init(&p->refs);
    spin_init(&p->lock, "process");
    list_init(&p->tasks);
    list_init(&p->children);
    list_init(&p->sibling);
    list_init(&p->all_node);
    list_init(&p->timers);
    list_init(&p->sem_undos);
    list_init(&p->pending.queue);
    wq_init(&p->signal_wq, "signalfd");
    wq_init(&p->stop_wq, "stop");
    wq_init(&p->child_wq, "child");
    p->sighand = s;
    p->parent_signal = SIGCHLD;
    p->dumpable = true;
    list_init(&p->tracees);
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
    sighand_put(p->sighand);
    program_put(p->exe);
    kfree(p->crash_report);
    kfree(p);
}

u64 process_cpu_ns(struct process *p)
{
    spin_lock_bh(&p->lock);
    u64 ns = p->dead.cpu_ns;
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
    t->timer_slack_ns = TIMER_SLACK_NS;
    t->loginuid = t->sessionid = NOBODY_LOGGED_IN;
    list_init(&t->proc_node);
    list_init(&t->hash_node);
    list_init(&t->pending.queue);
    *ret = t;
    return 0;
}

bool task_room(void) { return atomic_load_relaxed(&numbered) < atomic_load_relaxed(&threads_max); }

static int number_locked(struct task *t)
{
    u32 n = task_room() ? alloc_tid_locked() : 0;
    if (n == 0)
        return -EAGAIN;
    numbered++;
    t->tid = n;
    list_push_back(&tid_hash[n % TID_BUCKETS], &t->hash_node);
    return 0;
}

void task_unnumber_locked(struct task *t)
{
    if (list_empty(&t->hash_node))
        return;
    list_remove_init(&t->hash_node);
    numbered--;
}

int task_publish(struct task *t)
{
    spin_lock_bh(&process_list_lock);
    int r = number_locked(t);
    spin_unlock_bh(&process_list_lock);
    return r;
}

/* l held. */
static int publish_locked(struct process *p, struct task *t, bool brother)
{
    struct process *self = current_process(), *parent = brother ? self->parent : self;
    if (parent == NULL)
        return -EINVAL;
    if (thread_interrupted())
        return -ERESTARTNOINTR;
    int r = number_locked(t);
    if (r < 0)
        return r;
    p->parent = parent;
    p->ppid = parent->pid;
    if (brother)
        p->parent_signal = self->parent_signal;
    list_push_back(&parent->children, &p->sibling);
    group_join_locked(p, self);
    return 0;
}

static int publish_first_locked(struct process *p, struct task *t, struct group *group)
{
    for (unsigned i = 0; i < TID_BUCKETS; i++)
        list_init(&tid_hash[i]);
    groups_init();
    first_process = p;
    (void)number_locked(t); /* 1 */
    group_begin_locked(group, p, t->tid, true);
    return 0;
}

int process_publish(struct process *p, struct task *t, bool brother)
{
    struct group *group = first_process == NULL ? group_create() : NULL;
    if (first_process == NULL && group == NULL)
        return -EAGAIN;
    spin_lock_bh(&process_list_lock);
    int r = group != NULL ? publish_first_locked(p, t, group) : publish_locked(p, t, brother);
    if (r == 0) {
        p->pid = t->tid;
        p->leader = task_get(t);
        list_push_back(&process_list, &p->all_node);
    }
    spin_unlock_bh(&process_list_lock);
    return r;
}

u32 task_count_locked(const u32 *uid)
{
    u32 n = 0;
    list_for_each(p, &process_list, struct process, all_node) {
        spin_lock(&p->lock);
        if (uid == NULL || p->leader->cred->uid == *uid)
            n += MAX(p->ntasks, 1u);
        spin_unlock(&p->lock);
    }
    return n;
}

void task_start(struct task *t)
{
    struct process *p = t->proc;
    const struct task *self = current_thread()->task;
    spin_lock_bh(&p->lock);
    if (self != NULL && self->proc == p)
        seccomp_inherit_locked(t, self);
    list_push_back(&p->tasks, &t->proc_node);
    p->ntasks++;
    bool dying = p->group_exit || p->exec_pending; /* the others have been told to end already */
    if (unlikely(p->pending.set != 0)) {
        spin_lock(&p->sighand->lock);
        signal_recalc_locked(t);
        spin_unlock(&p->sighand->lock);
    }
    spin_unlock_bh(&p->lock);
    if (dying)
        thread_interrupt(t->thread, EXIT_KILL);
    if (atomic_load(&p->frozen) != 0)
        thread_interrupt(t->thread, EXIT_TRACE);
    TRACE(PROCESS_FORK, p->pid, t->tid);
    thread_start(t->thread);
}

void task_put(struct task *t)
{
    if (t == NULL || !ref_put(&t->refs))
        return;
    spin_lock_bh(&process_list_lock);
    task_unnumber_locked(t);
    spin_unlock_bh(&process_list_lock);
    signal_flush(t->proc, &t->pending);
    cred_put(t->cred);
    seccomp_put(t->seccomp);
    thread_put(t->thread);
    process_put(t->proc);
    kfree(t);
}

/* --- robust futexes (get_robust_list(2), Documentation/robust-futex-ABI) --------- */

/* With priority inheritance (pi), futex_pi_exit() wakes. */
static void robust_death(struct task *t, uaddr_t addr, bool pending, bool pi)
{
    u32 v, found;
    if (!IS_ALIGNED(addr, 4) || get_user_u32(addr, &v) < 0)
        return;
    if (pending && v == 0 && !pi) {
        futex_wake(addr, 1, FUTEX_BITSET_ALL, true);
        return;
    }
    while ((v & FUTEX_TID_MASK) == t->tid) {
        u32 n = (v & FUTEX_WAITERS) | FUTEX_OWNER_DIED;
        if (cas_user_u32(addr, v, n, &found) < 0)
            return;
        if (found == v) {
            if ((v & FUTEX_WAITERS) && !pi) {
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
    bool pending_pi;
    if (head == 0 || get_user_u64(head, &entry) < 0 || get_user_u64(head + 8, &offset) < 0 ||
        get_user_u64(head + 16, &pending) < 0)
        return;
    pending_pi = pending & 1;
    pending &= ~1ULL;
    for (unsigned i = 0; i < ROBUST_LIMIT && entry != head; i++) {
        u64 next;
        bool bad = get_user_u64(entry & ~1ULL, &next) < 0;
        if ((entry & ~1ULL) != pending)
            robust_death(t, (entry & ~1ULL) + offset, false, entry & 1);
        if (bad)
            return;
        entry = next & ~1ULL ? next : head; /* bit 0: with priority inheritance */
    }
    if (pending != 0)
        robust_death(t, pending + offset, true, pending_pi);
}

/* --- usage ------------------------------------------------------------------------ */

void usage_add(struct usage *to, const struct usage *u)
{
    to->cpu_ns += u->cpu_ns;
    to->system_ns += u->system_ns;
    to->voluntary += u->voluntary;
    to->forced += u->forced;
    to->minor_faults += u->minor_faults;
    to->major_faults += u->major_faults;
    to->max_rss_pages = MAX(to->max_rss_pages, u->max_rss_pages);
    for (unsigned i = 0; i < IO_NR; i++)
        to->io[i] += u->io[i];
}

void usage_ticks(const struct usage *own, const struct usage *waited, u64 ret[4])
{
    const struct usage *of[2] = {own, waited};
    for (int i = 0; i < 2; i++) {
        ret[2 * i] = (of[i]->cpu_ns - of[i]->system_ns) / (NSEC_PER_SEC / USER_HZ);
        ret[2 * i + 1] = of[i]->system_ns / (NSEC_PER_SEC / USER_HZ);
    }
}

/* p held */
static struct usage task_usage_locked(struct task *t)
{
    u64 ns = thread_cpu_ns(t->thread);
    return (struct usage){.cpu_ns = ns, .system_ns = task_system_ns(t, ns), .voluntary = t->thread->switches_voluntary, .forced = t->thread->switches_forced,
                          .io = {t->io[IO_RCHAR], t->io[IO_WCHAR], t->io[IO_SYSCR], t->io[IO_SYSCW], t->thread->disk_read, t->thread->disk_written, t->thread->disk_cancelled}};
}

struct usage task_usage(struct task *t)
{
    spin_lock_bh(&t->proc->lock);
    struct usage u = task_usage_locked(t);
    spin_unlock_bh(&t->proc->lock);
    return u;
}

static struct usage as_usage(const struct addrspace *as)
{
    return (struct usage){.minor_faults = as->faults_minor, .major_faults = as->faults_major,
                          .max_rss_pages = MAX(as->hiwater_rss, as->rss_anon + as->rss_file)};
}

void process_usage(struct process *p, struct usage *ret)
{
    struct addrspace *as = NULL;
    spin_lock_bh(&p->lock);
    *ret = p->dead;
    list_for_each(t, &p->tasks, struct task, proc_node) {
        struct usage u = task_usage_locked(t);
        usage_add(ret, &u);
        as = t->thread->as != NULL ? t->thread->as : as;
    }
    if (as != NULL) {
        struct usage u = as_usage(as);
        usage_add(ret, &u);
    }
    spin_unlock_bh(&p->lock);
}

/* --- memory and what else a program has ----------------------------------------------- */

struct fs_ctx *task_fs(struct task *t)
{
    spin_lock_bh(&t->proc->lock);
    struct fs_ctx *fs = t->fs;
    if (fs != NULL)
        ref_get(&fs->refs);
    spin_unlock_bh(&t->proc->lock);
    return fs;
}

struct task *process_task(struct process *p)
{
    spin_lock_bh(&p->lock);
    struct task *t = list_empty(&p->tasks) ? NULL : task_get(list_first(&p->tasks, struct task, proc_node));
    spin_unlock_bh(&p->lock);
    return t;
}

struct task *process_task_find(u32 pid)
{
    struct process *p = process_find(pid);
    struct task *t = p != NULL ? process_task(p) : NULL;
    process_put(p);
    return t;
}

struct fdtable *task_files(struct task *t)
{
    spin_lock_bh(&t->proc->lock);
    struct fdtable *files = t->files != NULL ? fdtable_get(t->files) : NULL;
    spin_unlock_bh(&t->proc->lock);
    return files;
}

struct addrspace *task_as(struct task *t)
{
    spin_lock_bh(&t->proc->lock);
    struct addrspace *as = t->thread->as;
    if (as != NULL)
        addrspace_get(as);
    spin_unlock_bh(&t->proc->lock);
    return as;
}

void task_switch_as(struct task *t, struct addrspace *as)
{
    struct process *p = t->proc;
    struct addrspace *old = t->thread->as;
    robust_list_exit(t);
    futex_pi_exit(as == NULL);
    if (t->clear_child_tid != 0 && old != NULL && ref_count(&old->refs) > 1 && put_user_u32(t->clear_child_tid, 0) == 0)
        futex_wake(t->clear_child_tid, 1, FUTEX_BITSET_ALL, true);
    t->clear_child_tid = t->robust_list = t->rseq.addr = 0;
    t->thread->told_cpu = 0;
    spin_lock_bh(&p->lock);
    if (old != NULL && ref_count(&old->refs) == 1) {
        struct usage u = as_usage(old);
        usage_add(&p->dead, &u);
        plat_aspace_retire(&old->plat);
    }
    thread_switch_as(as);
    spin_unlock_bh(&p->lock);
    addrspace_put(old);
}

void vfork_done(struct process *p)
{
    if (atomic_load_relaxed(&p->vfork)) {
        atomic_store(&p->vfork, false);
        wq_wake_all(&p->stop_wq, 0);
    }
}

int process_unshare(struct task *t)
{
    struct process *p = t->proc;
    struct sighand *old = p->sighand;
    struct fdtable *files = t->files;
    if (ref_count(&old->refs) > 1) {
        struct sighand *own = sighand_create();
        if (own == NULL)
            return -ENOMEM;
        spin_lock_bh(&p->lock);
        spin_lock(&old->lock);
        memcpy(own->act, old->act, sizeof own->act);
        p->sighand = own;
        spin_unlock(&old->lock);
        spin_unlock_bh(&p->lock);
        sighand_put(old);
    }
    if (fdtable_shared(files)) {
        struct fdtable *own = fdtable_copy(files);
        if (own == NULL)
            return -ENOMEM;
        spin_lock_bh(&p->lock);
        t->files = own;
        spin_unlock_bh(&p->lock);
        fdtable_put(files);
    }
    return 0;
}

/* --- the end ------------------------------------------------------------------------ */

/* The last task is going: what belongs to the process goes. */
static void process_finish(struct process *p)
{
    itimers_done(p);
    posix_timers_done(p);
    sem_process_exit(p);
    if (atomic_load_relaxed(&posix_lock_count) != 0)
        locks_file_closed(NULL, p);
    vfork_done(p);
    if (p != first_process) {
        process_zombie(p);
        return;
    }
    struct program_end end = {.code = p->exit_code, .signal = p->exit_signal};
    process_end_others();
    if (process_ended != NULL)
        process_ended(&end, p->crash_report);
}

void task_exit(void)
{
    struct task *t = current_task();
    struct process *p = t->proc;
    struct thread *th = t->thread;

    uring_task_end(t);
    task_switch_as(t, NULL);
    spin_lock_bh(&p->lock);
    struct fdtable *files = t->files;
    struct fs_ctx *fs = t->fs;
    t->files = NULL;
    t->fs = NULL;
    spin_unlock_bh(&p->lock);
    fdtable_put(files);
    fs_ctx_put(fs);
    ptrace_task_ended(t); /* before another one can be the last: a process ends after its threads */

    spin_lock_bh(&p->lock);
    list_remove_init(&t->proc_node);
    bool last = --p->ntasks == 0;
    p->group_exit |= last; /* the result stands */
    struct usage u = task_usage_locked(t);
    usage_add(&p->dead, &u);
    TRACE(PROCESS_EXIT, (u32)p->exit_code, (u32)p->exit_signal, last);
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

    spin_lock_bh(&process_list_lock);
    if (t != p->leader)
        task_unnumber_locked(t);
    spin_unlock_bh(&process_list_lock);
    th->task = NULL;
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
    if (!p->group_exit && p->state == PROC_LIVE) {
        p->group_exit = true;
        p->exit_code = code;
        p->exit_signal = signal;
        kill_tasks_locked(p, NULL);
    }
    spin_unlock_bh(&p->lock);
}

void process_exit(int code, int signal)
{
    if (task_traced(current_task()))
        ptrace_event(current_task(), PTRACE_EVENT_EXIT, (u64)code << 8 | (u64)signal);
    process_kill(current_process(), code, signal);
    task_exit();
}

/* The task that is left is the leader: it bears the pid. */
static void take_lead(struct task *t)
{
    struct process *p = t->proc;
    ptrace_forget(p->leader);
    spin_lock_bh(&process_list_lock);
    spin_lock(&p->lock);
    struct task *old = p->leader;
    p->leader = task_get(t);
    task_unnumber_locked(old);
    list_remove_init(&t->hash_node);
    t->tid = p->pid;
    list_push_back(&tid_hash[t->tid % TID_BUCKETS], &t->hash_node);
    spin_unlock(&p->lock);
    spin_unlock_bh(&process_list_lock);
    task_put(old);
}

int process_become_single(void)
{
    struct task *t = current_task();
    struct process *p = t->proc;
    spin_lock_bh(&p->lock);
    if (p->group_exit || p->exec_pending) {
        spin_unlock_bh(&p->lock);
        return -EAGAIN;
    }
    p->exec_pending = true;
    kill_tasks_locked(p, t);
    spin_unlock_bh(&p->lock);
    wait_event(&p->stop_wq, atomic_load_relaxed(&p->ntasks) == 1);
    if (t != p->leader)
        take_lead(t);
    spin_lock_bh(&p->lock);
    p->exec_pending = false;
    spin_unlock_bh(&p->lock);
    return 0;
}
