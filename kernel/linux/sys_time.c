/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks and sleeping. Timers that send signals are in posix_timer.c. */
#include "task.h"
#include "base/str.h"

/* A clock id of a process' or thread's CPU time: ~pid << 3 | per-thread << 2 | kind. */
int cpu_clock_of(int clock, struct task **ret_task, struct process **ret_proc)
{
    u32 id = clock < 0 ? (u32)~(clock >> 3) : 0;
    bool thread = clock < 0 ? clock & 4 : clock == CLOCK_THREAD_CPUTIME_ID;
    *ret_task = NULL;
    *ret_proc = NULL;
    if (clock < 0 && (clock & 3) > 2)
        return -EINVAL;
    if (!thread) {
        *ret_proc = id != 0 ? process_find(id) : process_get(current_process());
        return *ret_proc != NULL ? 0 : -EINVAL;
    }
    struct task *t = id != 0 ? task_find(id) : task_get(current_task());
    if (t == NULL || t->proc != current_process()) {
        task_put(t);
        return -EINVAL;
    }
    *ret_task = t;
    return 0;
}

static int cpu_clock(int clock, u64 *ret)
{
    struct task *t;
    struct process *p;
    int r = cpu_clock_of(clock, &t, &p);
    if (r < 0)
        return r;
    *ret = t != NULL ? thread_cpu_ns(t->thread) : process_cpu_ns(p);
    task_put(t);
    process_put(p);
    return 0;
}

int clock_now(int clock, u64 *ret)
{
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_REALTIME_ALARM:
    case CLOCK_TAI:
        *ret = wall_ns();
        return 0;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
    case CLOCK_BOOTTIME_ALARM:
        *ret = now_ns();
        return 0;
    case CLOCK_PROCESS_CPUTIME_ID:
        *ret = process_cpu_ns(current_process());
        return 0;
    case CLOCK_THREAD_CPUTIME_ID:
        *ret = thread_cpu_ns(current_thread());
        return 0;
    default:
        return clock < 0 ? cpu_clock(clock, ret) : -EINVAL;
    }
}

int clock_deadline(int clock, u64 abs_ns, u64 *ret)
{
    u64 now;
    int r = clock_now(clock, &now);
    if (r == 0)
        *ret = abs_ns <= now ? 0 : deadline_after(abs_ns - now);
    return r;
}

s64 sys_clock_gettime(int clock, uaddr_t ts)
{
    u64 ns;
    int r = clock_now(clock, &ns);
    return r < 0 ? r : put_timespec(ts, ns);
}

s64 sys_clock_getres(int clock, uaddr_t ts)
{
    u64 ns;
    int r = clock_now(clock, &ns);
    if (r < 0 || ts == 0)
        return r;
    return put_timespec(ts, clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE ? 4000000 : 1);
}

void time_wall_changed(bool set)
{
    vdso_clock_changed();
    if (set)
        timerfd_wall_changed();
}

static s64 set_wall(u64 ns)
{
    if (!capable(CAP_SYS_TIME))
        return -EPERM;
    int r = wall_set(ns);
    if (r == 0)
        time_wall_changed(true);
    return r;
}

s64 sys_clock_settime(int clock, uaddr_t uts)
{
    struct abi_timespec ts;
    if (clock != CLOCK_REALTIME)
        return -EINVAL;
    int r = get_timespec(uts, &ts);
    return r < 0 ? r : set_wall(timespec_to_ns(&ts));
}

s64 sys_gettimeofday(uaddr_t utv, uaddr_t utz)
{
    if (utv != 0) {
        u64 ns = wall_ns();
        struct abi_timeval tv = {(s64)(ns / NSEC_PER_SEC), (s64)(ns % NSEC_PER_SEC / 1000)};
        if (copy_to_user(utv, &tv, sizeof tv) < 0)
            return -EFAULT;
    }
    return utz != 0 ? put_user_u64(utz, 0) : 0;
}

s64 sys_settimeofday(uaddr_t utv, uaddr_t utz)
{
    struct abi_timeval tv;
    if (utv == 0)
        return capable(CAP_SYS_TIME) ? 0 : -EPERM;
    if (copy_from_user(&tv, utv, sizeof tv) < 0)
        return -EFAULT;
    if (tv.sec < 0 || tv.usec < 0 || tv.usec >= 1000000)
        return -EINVAL;
    return set_wall((u64)tv.sec * NSEC_PER_SEC + (u64)tv.usec * 1000);
}

s64 sys_time(uaddr_t ut)
{
    u64 s = wall_ns() / NSEC_PER_SEC;
    if (ut != 0 && put_user_u64(ut, s) < 0)
        return -EFAULT;
    return (s64)s;
}

/* --- adjtimex(2): the state of a clock that nothing disciplines; setting is refused. --- */

struct abi_timex {
    u32 modes, pad0;
    s64 offset, freq, maxerror, esterror;
    s32 status, pad1;
    s64 constant, precision, tolerance;
    struct abi_timeval time;
    s64 tick, ppsfreq, jitter;
    s32 shift, pad2;
    s64 stabil, jitcnt, calcnt, errcnt, stbcnt;
    s32 tai, pad3[11];
};
_Static_assert(sizeof(struct abi_timex) == 208, "struct timex");
#define STA_UNSYNC 0x40
#define TIME_ERROR 5

s64 sys_adjtimex(uaddr_t utx)
{
    struct abi_timex tx;
    if (copy_from_user(&tx, utx, sizeof tx) < 0)
        return -EFAULT;
    if (tx.modes != 0)
        return -EPERM;
    u64 ns = wall_ns();
    memset(&tx, 0, sizeof tx);
    tx.maxerror = tx.esterror = 16000000;
    tx.status = STA_UNSYNC;
    tx.constant = 2;
    tx.precision = 1;
    tx.tolerance = 32768000;
    tx.time = (struct abi_timeval){(s64)(ns / NSEC_PER_SEC), (s64)(ns % NSEC_PER_SEC / 1000)};
    tx.tick = 10000;
    return copy_to_user(utx, &tx, sizeof tx) < 0 ? -EFAULT : TIME_ERROR;
}

s64 sys_clock_adjtime(int clock, uaddr_t utx)
{
    return clock == CLOCK_REALTIME ? sys_adjtimex(utx) : -EOPNOTSUPP;
}

/* --- sleeping ---------------------------------------------------------------------------- */

static s64 sleep_until(u64 deadline, uaddr_t urem)
{
    struct task *t = current_task();
    int r = thread_sleep_until(deadline, true);
    if (r == 0)
        return 0;
    u64 now = now_ns();
    if (now >= deadline)
        return 0;
    if (urem != 0 && put_timespec(urem, deadline - now) < 0)
        return -EFAULT;
    t->restart.kind = RESTART_NANOSLEEP;
    t->restart.deadline_ns = deadline;
    t->restart.addr = urem;
    return -ERESTART_RESTARTBLOCK;
}

s64 sys_nanosleep(uaddr_t ureq, uaddr_t urem)
{
    struct abi_timespec ts;
    int r = get_timespec(ureq, &ts);
    return r < 0 ? r : sleep_until(deadline_after(timespec_to_ns(&ts)), urem);
}

/* Sleeping on a CPU clock: look again when the process may have used that much. */
static s64 cpu_clock_sleep(int clock, u64 target)
{
    for (;;) {
        u64 now;
        int r = clock_now(clock, &now);
        if (r < 0)
            return r;
        if (now >= target)
            return 0;
        r = thread_sleep_until(deadline_after(MAX(target - now, NSEC_PER_MSEC)), true);
        if (r < 0)
            return -ERESTARTNOHAND;
    }
}

s64 sys_clock_nanosleep(int clock, int flags, uaddr_t ureq, uaddr_t urem)
{
    struct abi_timespec ts;
    u64 now, deadline = 0;
    int r = clock_now(clock, &now);
    if (r < 0)
        return r;
    if (clock == CLOCK_THREAD_CPUTIME_ID)
        return -EINVAL;
    if (clock == CLOCK_MONOTONIC_RAW || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE)
        return -EOPNOTSUPP;
    r = get_timespec(ureq, &ts);
    if (r < 0)
        return r;
    u64 ns = timespec_to_ns(&ts);
    if (clock == CLOCK_PROCESS_CPUTIME_ID || clock < 0)
        return cpu_clock_sleep(clock, flags & TIMER_ABSTIME ? ns : now + ns);
    if (!(flags & TIMER_ABSTIME))
        return sleep_until(deadline_after(ns), urem);
    r = clock_deadline(clock, ns, &deadline);
    if (r < 0 || deadline == 0)
        return r;
    return thread_sleep_until(deadline, true) == 0 ? 0 : -ERESTARTNOHAND;
}

s64 sys_restart_syscall(void)
{
    struct task *t = current_task();
    int kind = t->restart.kind;
    t->restart.kind = RESTART_NONE;
    switch (kind) {
    case RESTART_NANOSLEEP:
        return sleep_until(t->restart.deadline_ns, t->restart.addr);
    case RESTART_FUTEX:
        return futex_wait_restart();
    case RESTART_POLL:
        return poll_restart();
    default:
        return -EINTR;
    }
}
