/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timers that send signals: alarm(2), setitimer(2), timer_create(2).
 *
 * Wall-clock kinds are one kernel timer each. CPU-time kinds look again when the
 * process can first have used the time that is left, and sleep in between.
 * A periodic timer whose signal still waits counts overruns instead of queueing more. However short its
 * period, it fires no oftener than each MIN_PERIOD_NS, or the bottom half would never get to its end.
 */
#include "task.h"
#include "base/str.h"

#define MAX_TIMERS 4096
#define DELAYTIMER_MAX INT32_MAX
#define MIN_PERIOD_NS (50 * NSEC_PER_USEC)

/* --- interval timers ------------------------------------------------------------------ */

static const u8 itimer_signal[ITIMER_NR] = {SIGALRM, SIGVTALRM, SIGPROF};

static u64 itimer_clock(struct process *p, enum itimer_kind k)
{
    return k == ITIMER_REAL ? now_ns() : process_cpu_ns(p);
}

/* When to look next. */
static u64 kernel_deadline(bool cpu_time, u64 deadline, u64 now)
{
    return cpu_time ? deadline_after(MAX(deadline - now, NSEC_PER_MSEC)) : deadline;
}

/* The same from a timer that has just fired. */
static u64 next_deadline(bool cpu_time, u64 deadline, u64 now)
{
    return MAX(kernel_deadline(cpu_time, deadline, now), now_ns() + MIN_PERIOD_NS);
}

static void itimer_fire(struct ktimer *kt)
{
    struct itimer *it = container_of(kt, struct itimer, timer);
    struct process *p = it->proc;
    enum itimer_kind k = (enum itimer_kind)(it - p->itimers);
    struct ksiginfo info = {.signo = itimer_signal[k], .code = SI_KERNEL};
    u64 now = itimer_clock(p, k);
    bool due = false;
    spin_lock_bh(&p->lock);
    if (it->deadline_ns != 0) {
        due = now >= it->deadline_ns;
        if (due && it->interval_ns != 0)
            it->deadline_ns += ((now - it->deadline_ns) / it->interval_ns + 1) * it->interval_ns;
        else if (due)
            it->deadline_ns = 0;
        if (it->deadline_ns != 0)
            ktimer_start(kt, next_deadline(k != ITIMER_REAL, it->deadline_ns, now));
    }
    spin_unlock_bh(&p->lock);
    if (due)
        signal_send_process(p, &info, NULL);
}

void itimers_init(struct process *p)
{
    for (int k = 0; k < ITIMER_NR; k++) {
        p->itimers[k].proc = p;
        ktimer_init(&p->itimers[k].timer, itimer_fire);
    }
}

void itimers_done(struct process *p)
{
    for (int k = 0; k < ITIMER_NR; k++) {
        spin_lock_bh(&p->lock);
        p->itimers[k].deadline_ns = 0;
        spin_unlock_bh(&p->lock);
        ktimer_cancel_sync(&p->itimers[k].timer);
    }
}

/* Set, and tell what was left. value 0 = off. */
static void itimer_set(struct process *p, enum itimer_kind k, bool set, u64 value, u64 interval, u64 *ret_left, u64 *ret_interval)
{
    struct itimer *it = &p->itimers[k];
    u64 now = itimer_clock(p, k);
    spin_lock_bh(&p->lock);
    *ret_left = it->deadline_ns == 0 ? 0 : it->deadline_ns > now ? it->deadline_ns - now : 1000;
    *ret_interval = it->interval_ns;
    if (set) {
        it->deadline_ns = value != 0 ? now + value : 0;
        it->interval_ns = interval;
        if (value != 0)
            ktimer_start(&it->timer, kernel_deadline(k != ITIMER_REAL, it->deadline_ns, now));
        else
            ktimer_cancel(&it->timer);
    }
    spin_unlock_bh(&p->lock);
}

static struct abi_timeval to_timeval(u64 ns)
{
    return (struct abi_timeval){(s64)(ns / NSEC_PER_SEC), (s64)(ns % NSEC_PER_SEC / 1000)};
}

static bool from_timeval(const struct abi_timeval *tv, u64 *ret_ns)
{
    struct abi_timespec ts = {tv->sec, tv->usec * 1000};
    if (tv->sec < 0 || tv->usec < 0 || tv->usec >= 1000000)
        return false;
    *ret_ns = timespec_to_ns(&ts) / 4; /* far from overflow with `now` added */
    *ret_ns = (u64)tv->sec > NEVER_NS / NSEC_PER_SEC / 4 ? *ret_ns : timespec_to_ns(&ts);
    return true;
}

static s64 put_itimer(uaddr_t to, u64 left, u64 interval)
{
    struct abi_itimerval v = {to_timeval(interval), to_timeval(left)};
    return copy_to_user(to, &v, sizeof v);
}

s64 sys_setitimer(int which, uaddr_t unew, uaddr_t uold)
{
    struct abi_itimerval v = {{0}};
    u64 value, interval, left, old_interval;
    if (which < 0 || which >= ITIMER_NR)
        return -EINVAL;
    if (unew != 0 && copy_from_user(&v, unew, sizeof v) < 0)
        return -EFAULT;
    if (!from_timeval(&v.value, &value) || !from_timeval(&v.interval, &interval))
        return -EINVAL;
    itimer_set(current_process(), (enum itimer_kind)which, true, value, interval, &left, &old_interval);
    return uold != 0 ? put_itimer(uold, left, old_interval) : 0;
}

s64 sys_getitimer(int which, uaddr_t ucur)
{
    u64 left, interval;
    if (which < 0 || which >= ITIMER_NR)
        return -EINVAL;
    itimer_set(current_process(), (enum itimer_kind)which, false, 0, 0, &left, &interval);
    return put_itimer(ucur, left, interval);
}

s64 sys_alarm(u32 seconds)
{
    u64 left, interval;
    itimer_set(current_process(), ITIMER_REAL, true, seconds * NSEC_PER_SEC, 0, &left, &interval);
    return (s64)((left + NSEC_PER_SEC / 2) / NSEC_PER_SEC) + (left != 0 && left < NSEC_PER_SEC / 2);
}

/* --- POSIX timers ------------------------------------------------------------------------ */

/* Locks: p process->lock, g sighand->lock. */
struct posix_timer {
    struct list node;       /* p */
    struct process *proc;   /* c */
    struct task *target;    /* c: SIGEV_THREAD_ID, referenced; NULL = the process */
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

/* The timer's time base: CPU time for CPU clocks, else the monotonic clock. */
static u64 timer_now(const struct posix_timer *t)
{
    if (!is_cpu_clock(t->clock))
        return now_ns();
    return process_cpu_ns(t->proc);
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
    u64 now = timer_now(t), missed = 0;
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
            ktimer_start(kt, next_deadline(is_cpu_clock(t->clock), t->deadline_ns, now));
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

s64 sys_timer_create(int clock, uaddr_t uevent, uaddr_t uid)
{
    struct process *p = current_process();
    struct abi_sigevent ev = {.signo = SIGALRM, .notify = SIGEV_SIGNAL};
    u64 now;
    int r = clock_now(clock, &now);
    if (r < 0)
        return r;
    if (clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE)
        return -EOPNOTSUPP;
    if (uevent != 0 && copy_from_user(&ev, uevent, sizeof ev) < 0)
        return -EFAULT;
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
    spin_lock_bh(&p->lock);
    u32 id = t->id = p->next_timer_id++, n = 0; /* once linked, another thread may guess it and delete the timer */
    t->value = uevent != 0 ? ev.value : id;
    list_for_each(o, &p->timers, struct posix_timer, node)
        n++;
    bool room = n < MAX_TIMERS;
    if (room)
        list_push_back(&p->timers, &t->node);
    spin_unlock_bh(&p->lock);
    if (!room) {
        task_put(target);
        kfree(t);
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
    task_put(t->target);
    kfree(t);
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
    u64 cpu = process_cpu_ns(p), now = now_ns();
    spin_lock_bh(&p->lock);
    struct posix_timer *t = find_timer(p, id);
    if (t != NULL)
        timer_left_locked(t, is_cpu_clock(t->clock) ? cpu : now, &its);
    spin_unlock_bh(&p->lock);
    return t == NULL ? -EINVAL : copy_to_user(ucur, &its, sizeof its);
}

s64 sys_timer_settime(int id, int flags, uaddr_t unew, uaddr_t uold)
{
    struct process *p = current_process();
    struct abi_itimerspec its, old;
    if (unew == 0)
        return -EINVAL;
    int r = get_timespec(unew, &its.interval);
    if (r == 0)
        r = get_timespec(unew + sizeof its.interval, &its.value);
    if (r < 0)
        return r;
    u64 value = timespec_to_ns(&its.value), cpu = process_cpu_ns(p), now = now_ns(), wall = wall_ns();
    spin_lock_bh(&p->lock);
    struct posix_timer *t = find_timer(p, id);
    if (t != NULL) {
        bool is_cpu = is_cpu_clock(t->clock);
        u64 base = is_cpu ? cpu : now;
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
            ktimer_start(&t->timer, is_cpu && t->deadline_ns <= base ? now : kernel_deadline(is_cpu, t->deadline_ns, base));
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
