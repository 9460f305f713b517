/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interval timers: alarm(2), setitimer(2); and when a timer that sends signals, of these or of posix_timer.c, looks at its clock.
 *
 * Wall-clock kinds are one kernel timer each. CPU-time kinds look again when the
 * process can first have used the time that is left, and sleep in between. However short its period, a
 * timer fires no oftener than each MIN_PERIOD_NS, or the bottom half would never get to its end.
 */
#include "task.h"

#define MIN_PERIOD_NS (50 * NSEC_PER_USEC)

u64 timer_deadline(bool cpu_time, u64 deadline, u64 now)
{
    return cpu_time ? deadline_after(MAX(deadline - now, NSEC_PER_MSEC)) : deadline;
}

u64 timer_next_deadline(bool cpu_time, u64 deadline, u64 now)
{
    return MAX(timer_deadline(cpu_time, deadline, now), now_ns() + MIN_PERIOD_NS);
}

static const u8 itimer_signal[ITIMER_NR] = {SIGALRM, SIGVTALRM, SIGPROF};

static u64 itimer_clock(struct process *p, enum itimer_kind k)
{
    return k == ITIMER_REAL ? now_ns() : process_cpu_ns(p);
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
            ktimer_start(kt, timer_next_deadline(k != ITIMER_REAL, it->deadline_ns, now));
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
            ktimer_start(&it->timer, timer_deadline(k != ITIMER_REAL, it->deadline_ns, now));
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
    if (unew != 0 && copy_from_user(&v, unew, sizeof v) < 0)
        return -EFAULT;
    if (which < 0 || which >= ITIMER_NR || !from_timeval(&v.value, &value) || !from_timeval(&v.interval, &interval))
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
