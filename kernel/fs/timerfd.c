/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timerfd_create(2). The timer fires once; the expirations of an interval are counted when
 * somebody looks, and then it is started again: a short interval that nobody reads costs nothing.
 */
#include "fs_impl.h"
#include "base/fmt.h"
#include "kern/timer.h"
#include "kern/wait.h"

#define TFD_TIMER_ABSTIME 1
#define TFD_TIMER_CANCEL_ON_SET 2
#define CLOCK_REALTIME 0
#define CLOCK_MONOTONIC 1
#define CLOCK_BOOTTIME 7
#define CLOCK_REALTIME_ALARM 8
#define CLOCK_BOOTTIME_ALARM 9

struct timerfd {
    struct ktimer timer;
    struct waitqueue wq;
    struct spinlock lock;  /* taken by the timer's bottom half: _bh */
    u64 ticks;             /* lock: expired, not yet read */
    u64 deadline_ns;       /* lock: next or, after firing, last; monotonic */
    u64 interval_ns;       /* lock */
    bool armed, fired;     /* lock: fired = must be started again for its interval */
    int clock;             /* const */
    int set_flags;         /* lock */
};

static const struct file_ops timerfd_ops;

static void timer_fired(struct ktimer *k)
{
    struct timerfd *t = container_of(k, struct timerfd, timer);
    spin_lock_bh(&t->lock);
    bool hit = t->armed && !t->fired && now_ns() >= t->deadline_ns;
    if (hit) {
        atomic_store(&t->ticks, t->ticks + 1);
        t->fired = t->interval_ns != 0;
        t->armed = t->fired;
    }
    spin_unlock_bh(&t->lock);
    if (hit)
        wq_wake(&t->wq, POLLIN | POLLRDNORM);
}

/* Count the intervals that passed since it fired and go on. lock held. */
static void catch_up(struct timerfd *t, bool count)
{
    if (!t->fired)
        return;
    u64 now = now_ns(), n = now > t->deadline_ns ? (now - t->deadline_ns) / t->interval_ns : 0;
    if (count)
        atomic_store(&t->ticks, t->ticks + n);
    t->deadline_ns += (n + 1) * t->interval_ns;
    t->fired = false;
    ktimer_start(&t->timer, t->deadline_ns);
}

static u64 take(struct timerfd *t)
{
    if (atomic_load(&t->ticks) == 0)
        return 0;
    spin_lock_bh(&t->lock);
    u64 n = t->ticks;
    if (n > 0) {
        catch_up(t, true);
        n = t->ticks;
        atomic_store(&t->ticks, 0);
    }
    spin_unlock_bh(&t->lock);
    return n;
}

static s64 timerfd_read(struct file *f, struct uio *u, u64 *pos)
{
    struct timerfd *t = f->private;
    if (u->remaining < sizeof(u64))
        return -EINVAL;
    u64 n = take(t);
    if (n == 0) {
        if ((f->flags & O_NONBLOCK) != 0)
            return -EAGAIN;
        int err = wait_event_interruptible(&t->wq, (n = take(t)) != 0);
        if (err != 0 && n == 0)
            return err;
    }
    return put_number(u, n);
}

static u32 timerfd_poll(struct file *f, struct poll_table *pt)
{
    struct timerfd *t = f->private;
    poll_wait(&t->wq, pt);
    return atomic_load(&t->ticks) != 0 ? POLLIN | POLLRDNORM : 0;
}

static void timerfd_release(struct file *f)
{
    struct timerfd *t = f->private;
    ktimer_cancel_sync(&t->timer);
    kfree(t);
}

/* Time left and interval. lock held. */
static void remaining(struct timerfd *t, u64 *ret_value, u64 *ret_interval)
{
    u64 now = now_ns(), left = 0;
    if (t->fired)
        left = t->interval_ns - (now > t->deadline_ns ? (now - t->deadline_ns) % t->interval_ns : 0);
    else if (t->armed)
        left = t->deadline_ns > now ? t->deadline_ns - now : 1;
    *ret_value = left;
    *ret_interval = t->interval_ns;
}

static size_t timerfd_fdinfo(struct file *f, char *buf, size_t size)
{
    struct timerfd *t = f->private;
    u64 value, interval;
    spin_lock_bh(&t->lock);
    remaining(t, &value, &interval);
    spin_unlock_bh(&t->lock);
    return (size_t)fmt_snprintf(buf, size, "clockid: %d\nticks: %llu\nsettime flags: 0%o\nit_value: (%llu, %llu)\n"
                                "it_interval: (%llu, %llu)\n", t->clock, (unsigned long long)t->ticks,
                                (unsigned)t->set_flags, (unsigned long long)(value / NSEC_PER_SEC),
                                (unsigned long long)(value % NSEC_PER_SEC),
                                (unsigned long long)(interval / NSEC_PER_SEC),
                                (unsigned long long)(interval % NSEC_PER_SEC));
}

static const struct file_ops timerfd_ops = {
    .read = timerfd_read,
    .poll = timerfd_poll,
    .release = timerfd_release,
    .fdinfo = timerfd_fdinfo,
};

int timerfd_open(int clock, u32 flags, struct file **ret)
{
    if (clock != CLOCK_REALTIME && clock != CLOCK_MONOTONIC && clock != CLOCK_BOOTTIME &&
        clock != CLOCK_REALTIME_ALARM && clock != CLOCK_BOOTTIME_ALARM)
        return -EINVAL;
    if ((flags & ~(O_NONBLOCK | O_CLOEXEC)) != 0)
        return -EINVAL;
    struct timerfd *t = kzalloc(sizeof(*t));
    if (t == NULL)
        return -ENOMEM;
    ktimer_init(&t->timer, timer_fired);
    wq_init(&t->wq, "timerfd");
    spin_init(&t->lock, "timerfd");
    t->clock = clock;
    int err = file_create_anon("[timerfd]", &timerfd_ops, t, O_RDWR | (flags & O_NONBLOCK), ret);
    if (err != 0)
        kfree(t);
    return err;
}

/* Monotonic deadline of a time on the timer's clock. */
static u64 deadline_of(const struct timerfd *t, int flags, u64 value_ns)
{
    u64 now = now_ns(), d;
    if ((flags & TFD_TIMER_ABSTIME) == 0)
        return __builtin_add_overflow(now, value_ns, &d) ? NEVER_NS - 1 : d;
    if (t->clock != CLOCK_REALTIME && t->clock != CLOCK_REALTIME_ALARM)
        return value_ns;
    u64 wall = wall_ns();
    if (value_ns <= wall)
        return now;
    return __builtin_add_overflow(now, value_ns - wall, &d) ? NEVER_NS - 1 : d;
}

int timerfd_set(struct file *f, int flags, u64 value_ns, u64 interval_ns, u64 *ret_old_value, u64 *ret_old_interval)
{
    if (f->ops != &timerfd_ops || (flags & ~(TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)) != 0)
        return -EINVAL;
    struct timerfd *t = f->private;
    u64 old_value, old_interval;
    ktimer_cancel_sync(&t->timer);
    spin_lock_bh(&t->lock);
    remaining(t, &old_value, &old_interval);
    atomic_store(&t->ticks, 0);
    t->armed = value_ns != 0;
    t->fired = false;
    t->interval_ns = interval_ns;
    t->set_flags = flags;
    if (t->armed) {
        t->deadline_ns = deadline_of(t, flags, value_ns);
        ktimer_start(&t->timer, t->deadline_ns);
    }
    spin_unlock_bh(&t->lock);
    if (ret_old_value != NULL)
        *ret_old_value = old_value;
    if (ret_old_interval != NULL)
        *ret_old_interval = old_interval;
    return 0;
}

int timerfd_get(struct file *f, u64 *ret_value, u64 *ret_interval)
{
    if (f->ops != &timerfd_ops)
        return -EINVAL;
    struct timerfd *t = f->private;
    spin_lock_bh(&t->lock);
    remaining(t, ret_value, ret_interval);
    spin_unlock_bh(&t->lock);
    return 0;
}
