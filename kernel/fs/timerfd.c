/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timerfd_create(2). The timer fires once; the expirations of an interval are counted when
 * somebody looks, and then it is started again: a short interval that nobody reads costs nothing.
 *
 * Timers at a time of the wall clock are on a list: when that clock is set, they are started for
 * their new moment, and those that asked for it (TFD_TIMER_CANCEL_ON_SET) are told by ECANCELED.
 * Lock order: wall_lock > timerfd->lock.
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
    bool canceled;         /* lock; read without by poll: the wall clock was set */
    u64 wall_deadline_ns;  /* lock: what deadline_ns is on the wall clock, before the first expiration */
    struct list wall_node; /* wall_lock */
};

static struct spinlock wall_lock = SPINLOCK_INIT("timerfd_wall"); /* _bh */
static struct list wall_timers = LIST_INIT(wall_timers);          /* wall_lock */

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
        wq_wake(&t->wq, POLLIN);
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
    t->wall_deadline_ns = t->wall_deadline_ns != 0 ? t->wall_deadline_ns + (n + 1) * t->interval_ns : 0;
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

static bool on_wall_clock(const struct timerfd *t)
{
    return t->clock == CLOCK_REALTIME || t->clock == CLOCK_REALTIME_ALARM;
}

static bool take_cancel(struct timerfd *t)
{
    return unlikely(atomic_load(&t->canceled)) && atomic_xchg(&t->canceled, false);
}

static s64 timerfd_read(struct file *f, struct uio *u, u64 *pos)
{
    struct timerfd *t = f->private;
    if (u->remaining < sizeof(u64))
        return -EINVAL;
    if (take_cancel(t))
        return -ECANCELED;
    u64 n = take(t);
    while (n == 0) {
        if ((f->flags & O_NONBLOCK) != 0)
            return -EAGAIN;
        int err = wait_event_interruptible(&t->wq, atomic_load(&t->canceled) || (n = take(t)) != 0);
        if (n == 0 && take_cancel(t))
            return -ECANCELED;
        if (n == 0 && err != 0)
            return err;
    }
    return put_number(u, n);
}

static u32 timerfd_poll(struct file *f, struct poll_table *pt)
{
    struct timerfd *t = f->private;
    poll_wait(&t->wq, pt);
    return atomic_load(&t->ticks) != 0 || atomic_load(&t->canceled) ? POLLIN : 0;
}

static void timerfd_release(struct file *f)
{
    struct timerfd *t = f->private;
    spin_lock_bh(&wall_lock);
    list_remove_init(&t->wall_node);
    spin_unlock_bh(&wall_lock);
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
    list_init(&t->wall_node);
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
    if (!on_wall_clock(t))
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
    bool listed = value_ns != 0 && (flags & TFD_TIMER_ABSTIME) != 0 && on_wall_clock(t);
    spin_lock_bh(&wall_lock);
    list_remove_init(&t->wall_node);
    spin_unlock_bh(&wall_lock);
    ktimer_cancel_sync(&t->timer);
    spin_lock_bh(&wall_lock); /* the clock is not set between the look at it and the place on the list */
    spin_lock(&t->lock);
    remaining(t, &old_value, &old_interval);
    atomic_store(&t->ticks, 0);
    t->armed = value_ns != 0;
    t->fired = false;
    t->interval_ns = interval_ns;
    t->set_flags = flags;
    atomic_store(&t->canceled, false);
    t->wall_deadline_ns = value_ns;
    if (t->armed) {
        t->deadline_ns = deadline_of(t, flags, value_ns);
        ktimer_start(&t->timer, t->deadline_ns);
    }
    spin_unlock(&t->lock);
    if (listed && list_empty(&t->wall_node)) /* another thread may be setting it, too */
        list_push_back(&wall_timers, &t->wall_node);
    spin_unlock_bh(&wall_lock);
    if (ret_old_value != NULL)
        *ret_old_value = old_value;
    if (ret_old_interval != NULL)
        *ret_old_interval = old_interval;
    return 0;
}

void timerfd_wall_changed(void)
{
    spin_lock_bh(&wall_lock);
    list_for_each(t, &wall_timers, struct timerfd, wall_node) {
        spin_lock(&t->lock);
        bool cancel = (t->set_flags & TFD_TIMER_CANCEL_ON_SET) != 0;
        if (cancel)
            atomic_store(&t->canceled, true);
        if (t->armed && !t->fired && t->wall_deadline_ns != 0) {
            t->deadline_ns = deadline_of(t, TFD_TIMER_ABSTIME, t->wall_deadline_ns);
            ktimer_start(&t->timer, t->deadline_ns);
        }
        spin_unlock(&t->lock);
        if (cancel)
            wq_wake(&t->wq, POLLIN);
    }
    spin_unlock_bh(&wall_lock);
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
