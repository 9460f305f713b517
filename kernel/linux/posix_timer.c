/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POSIX timers: timer_create(2). One whose signal still waits counts overruns instead of queueing more.
 */
#include "task.h"
#include "base/str.h"

#define MAX_TIMERS 4096
#define DELAYTIMER_MAX INT32_MAX

/* Locks: p process->lock, g sighand->lock. */
struct posix_timer {
    struct list node;       /* p */
    struct process *proc;   /* c */
    struct task *target;    /* c: SIGEV_THREAD_ID, referenced; NULL = the process */
    struct task *clock_task; /* c: whose CPU time it counts, referenced, ... */
    struct process *clock_proc; /* c: ... or this one's; both NULL: not CPU time */
    struct ktimer timer;
    u32 id;                 /* c */
    int clock, notify, signo; /* c */
    u64 value;              /* c: sigev_value */
    u64 deadline_ns, interval_ns; /* p: of the clock's time base */
    bool deleted;           /* p */
    bool queued;            /* g */
    s32 overruns;           /* g: since the queued signal */
    s32 last_overruns;      /* g: of the signal taken last */
};

static bool is_cpu_clock(int clock)
{
    return clock < 0 || clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID;
}

/* A timer's time base: CPU time for CPU clocks, else the monotonic clock. */
static u64 base_now(const struct task *t, struct process *p)
{
    return t != NULL ? thread_cpu_ns(t->thread) : p != NULL ? process_cpu_ns(p) : now_ns();
}

s32 posix_timer_taken(struct posix_timer *t)
{
    t->queued = false;
    t->last_overruns = t->overruns;
    t->overruns = 0;
    return t->last_overruns;
}

static void timer_fire(struct ktimer *kt)
{
    struct posix_timer *t = container_of(kt, struct posix_timer, timer);
    struct process *p = t->proc;
    u64 now = base_now(t->clock_task, t->clock_proc), missed = 0;
    bool due = false;
    spin_lock_bh(&p->lock);
    if (t->deadline_ns != 0 && !t->deleted) {
        due = now >= t->deadline_ns;
        if (due && t->interval_ns != 0) {
            missed = (now - t->deadline_ns) / t->interval_ns;
            t->deadline_ns += (missed + 1) * t->interval_ns;
        } else if (due) {
            t->deadline_ns = 0;
        }
        if (t->deadline_ns != 0)
            ktimer_start(kt, timer_next_deadline(is_cpu_clock(t->clock), t->deadline_ns, now));
    }
    spin_unlock_bh(&p->lock);
    if (!due || t->notify == SIGEV_NONE)
        return;
    spin_lock_bh(&p->sighand->lock);
    u64 more = missed + t->queued;
    bool send = !t->queued;
    t->overruns = (s32)MIN((u64)t->overruns + more, (u64)DELAYTIMER_MAX);
    t->queued = true;
    spin_unlock_bh(&p->sighand->lock);
    if (!send)
        return;
    struct ksiginfo info = {.signo = t->signo, .code = SI_TIMER, .timer = {.tid = (s32)t->id, .value = t->value}};
    int r = t->target != NULL ? signal_send_task(t->target, &info, t) : signal_send_process(p, &info, t);
    if (r < 0) {
        spin_lock_bh(&p->sighand->lock);
        t->queued = false;
        spin_unlock_bh(&p->sighand->lock);
    }
}

/* p held. */
static struct posix_timer *find_timer(struct process *p, int id)
{
    list_for_each(t, &p->timers, struct posix_timer, node)
        if (t->id == (u32)id && !t->deleted)
            return t;
    return NULL;
}

/* The same by number; of no timer, anything. */
static u64 base_of(struct process *p, int id)
{
    spin_lock_bh(&p->lock);
    struct posix_timer *t = find_timer(p, id);
    struct task *task = t != NULL && t->clock_task != NULL ? task_get(t->clock_task) : NULL;
    struct process *proc = t != NULL && t->clock_proc != NULL ? process_get(t->clock_proc) : NULL;
    spin_unlock_bh(&p->lock);
    u64 now = base_now(task, proc);
    task_put(task);
    process_put(proc);
    return now;
}

static void free_timer(struct posix_timer *t)
{
    task_put(t->target);
    task_put(t->clock_task);
    process_put(t->clock_proc);
    kfree(t);
}

s64 sys_timer_create(int clock, uaddr_t uevent, uaddr_t uid)
{
    struct process *p = current_process();
    struct abi_sigevent ev = {.signo = SIGALRM, .notify = SIGEV_SIGNAL};
    u64 now;
    if (uevent != 0 && copy_from_user(&ev, uevent, sizeof ev) < 0)
        return -EFAULT;
    int r = clock_now(clock, &now);
    if (r < 0)
        return r;
    if (clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE)
        return -EOPNOTSUPP;
    if (ev.notify != SIGEV_NONE && (ev.signo < 1 || ev.signo > NSIG))
        return -EINVAL;
    if (ev.notify != SIGEV_SIGNAL && ev.notify != SIGEV_NONE && ev.notify != SIGEV_THREAD &&
        ev.notify != (SIGEV_SIGNAL | SIGEV_THREAD_ID))
        return -EINVAL;
    struct task *target = NULL;
    if (ev.notify & SIGEV_THREAD_ID) {
        target = task_find((u32)ev.tid);
        if (target == NULL || target->proc != p) {
            task_put(target);
            return -EINVAL;
        }
    }
    struct posix_timer *t = kzalloc(sizeof *t);
    if (t == NULL) {
        task_put(target);
        return -EAGAIN;
    }
    t->proc = p;
    t->target = target;
    t->clock = clock;
    t->notify = ev.notify & ~SIGEV_THREAD_ID;
    t->signo = ev.signo;
    ktimer_init(&t->timer, timer_fire);
    r = is_cpu_clock(clock) ? cpu_clock_of(clock, &t->clock_task, &t->clock_proc) : 0;
    if (r < 0) { /* it has ended meanwhile */
        free_timer(t);
        return r;
    }
    spin_lock_bh(&p->lock);
    u32 id = t->id = p->next_timer_id++, n = 0; /* once linked, another thread may guess it and delete the timer */
    t->value = uevent != 0 ? ev.value : id;
    list_for_each(o, &p->timers, struct posix_timer, node)
        n++;
    bool room = n < MAX_TIMERS && n + p->queued_signals < rlimit_of(p, RLIMIT_SIGPENDING); /* the place of its signal */
    if (room)
        list_push_back(&p->timers, &t->node);
    spin_unlock_bh(&p->lock);
    if (!room) {
        free_timer(t);
        return -EAGAIN;
    }
    if (put_user_u32(uid, id) < 0) {
        sys_timer_delete((int)id);
        return -EFAULT;
    }
    return 0;
}

/* Unlinked already; `t` is the caller's alone once its timer has stopped. */
static void destroy_timer(struct posix_timer *t)
{
    ktimer_cancel_sync(&t->timer);
    signal_timer_detach(t->proc, t);
    free_timer(t);
}

s64 sys_timer_delete(int id)
{
    struct process *p = current_process();
    spin_lock_bh(&p->lock);
    struct posix_timer *t = find_timer(p, id);
    if (t != NULL) {
        t->deleted = true;
        t->deadline_ns = 0;
        list_remove_init(&t->node);
    }
    spin_unlock_bh(&p->lock);
    if (t == NULL)
        return -EINVAL;
    destroy_timer(t);
    return 0;
}

void posix_timers_done(struct process *p)
{
    for (;;) {
        spin_lock_bh(&p->lock);
        struct list *n = list_pop_front(&p->timers);
        struct posix_timer *t = n != NULL ? list_entry(n, struct posix_timer, node) : NULL;
        if (t != NULL) {
            t->deleted = true;
            t->deadline_ns = 0;
        }
        spin_unlock_bh(&p->lock);
        if (t == NULL)
            return;
        destroy_timer(t);
    }
}

static void timer_left_locked(const struct posix_timer *t, u64 now, struct abi_itimerspec *ret)
{
    u64 left = t->deadline_ns == 0 ? 0 : t->deadline_ns > now ? t->deadline_ns - now : 1;
    ret->value = ns_to_timespec(left);
    ret->interval = ns_to_timespec(t->interval_ns);
}

s64 sys_timer_gettime(int id, uaddr_t ucur)
{
    struct process *p = current_process();
    struct abi_itimerspec its;
    u64 base = base_of(p, id);
    spin_lock_bh(&p->lock);
    struct posix_timer *t = find_timer(p, id);
    if (t != NULL)
        timer_left_locked(t, base, &its);
    spin_unlock_bh(&p->lock);
    return t == NULL ? -EINVAL : copy_to_user(ucur, &its, sizeof its);
}

s64 sys_timer_settime(int id, int flags, uaddr_t unew, uaddr_t uold)
{
    struct process *p = current_process();
    struct abi_itimerspec its, old;
    if (unew == 0)
        return -EINVAL;
    int r = get_itimerspec(unew, &its);
    if (r < 0)
        return r;
    u64 value = timespec_to_ns(&its.value), base = base_of(p, id), now = now_ns(), wall = wall_ns();
    spin_lock_bh(&p->lock);
    struct posix_timer *t = find_timer(p, id);
    if (t != NULL) {
        bool is_cpu = is_cpu_clock(t->clock);
        timer_left_locked(t, base, &old);
        t->interval_ns = timespec_to_ns(&its.interval);
        if (value == 0) {
            t->deadline_ns = 0;
            ktimer_cancel(&t->timer);
        } else {
            bool real = t->clock == CLOCK_REALTIME || t->clock == CLOCK_REALTIME_ALARM || t->clock == CLOCK_TAI;
            if (!(flags & TIMER_ABSTIME))
                t->deadline_ns = base + value;
            else if (real)
                t->deadline_ns = value > wall ? base + (value - wall) : base;
            else
                t->deadline_ns = value;
            t->deadline_ns = MAX(t->deadline_ns, 1UL);
            ktimer_start(&t->timer, is_cpu && t->deadline_ns <= base ? now : timer_deadline(is_cpu, t->deadline_ns, base));
        }
    }
    spin_unlock_bh(&p->lock);
    if (t == NULL)
        return -EINVAL;
    return uold != 0 ? copy_to_user(uold, &old, sizeof old) : 0;
}

s64 sys_timer_getoverrun(int id)
{
    struct process *p = current_process();
    spin_lock_bh(&p->lock);
    struct posix_timer *t = find_timer(p, id);
    s64 r = t != NULL ? t->last_overruns : -EINVAL;
    spin_unlock_bh(&p->lock);
    return r;
}
