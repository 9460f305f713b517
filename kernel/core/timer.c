/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One-shot timers. Each CPU has a tree ordered by deadline and one hardware
 * timer, which also serves the scheduler's time slice. The interrupt only raises
 * a bottom half; callbacks run there, without the base's lock, so that they may
 * start and cancel timers, their own too.
 *
 * Invariant T1: with events enabled and no timer interrupt or bottom half
 * outstanding, armed_ns <= min(first->deadline_ns, slice_ns + SLICE_SLACK_NS).
 * Invariant T2: a timer's base changes while it is not queued, without the old base's lock. Who holds that lock and sees it
 * queued, and then the base that he has, has it in his tree; asked the other way round it may be in another's by now.
 */
#include "kern/timer.h"

#include "kern/log.h"
#include "kern/percpu.h"
#include "kern/trap.h"

/* A slice may end so much late: setting the hardware costs more than a switch, and slices move with each wake-up. */
#define SLICE_SLACK_NS 500000ULL

static u64 first_deadline(const struct timer_base *base)
{
    return base->first != NULL ? rb_entry(base->first, struct ktimer, node)->deadline_ns : NEVER_NS;
}

/* Keep T1. This CPU's base, events disabled. */
static void arm_for(struct timer_base *base, u64 deadline_ns)
{
    if (deadline_ns < base->armed_ns) {
        base->armed_ns = deadline_ns;
        plat_timer_arm(deadline_ns);
    }
}

static void tree_remove(struct timer_base *base, struct ktimer *t)
{
    if (base->first == &t->node)
        base->first = rb_next(&t->node);
    rb_remove(&base->root, &t->node);
    atomic_store_relaxed(&t->queued, false);
}

static void tree_insert(struct timer_base *base, struct ktimer *t)
{
    struct rb_node **link = &base->root.node, *parent = NULL;
    bool leftmost = true;
    while (*link != NULL) {
        parent = *link;
        if (t->deadline_ns < rb_entry(parent, struct ktimer, node)->deadline_ns) {
            link = &parent->left;
        } else {
            link = &parent->right;
            leftmost = false;
        }
    }
    rb_link(&t->node, parent, link);
    rb_insert_fixup(&base->root, &t->node);
    if (leftmost)
        base->first = &t->node;
    atomic_store(&t->queued, true); /* behind its base: T2 */
}

/* The bottom half: call what is due. */
static void run_timers(struct bh *bh)
{
    struct timer_base *base = container_of(bh, struct timer_base, bh);
    u64 now = plat_now_ns();
    u64 flags = spin_lock_irqsave(&base->lock);
    while (base->first != NULL) {
        struct ktimer *t = rb_entry(base->first, struct ktimer, node);
        if (t->deadline_ns > now) {
            now = plat_now_ns(); /* callbacks take time */
            if (t->deadline_ns > now)
                break;
        }
        tree_remove(base, t);
        atomic_store(&base->running, t);
        spin_unlock_irqrestore(&base->lock, flags);
        t->fn(t); /* t may be gone after this */
        flags = spin_lock_irqsave(&base->lock);
        atomic_store(&base->running, NULL);
    }
    arm_for(base, first_deadline(base));
    spin_unlock_irqrestore(&base->lock, flags);
}

void timer_interrupt(void)
{
    struct percpu *cpu = this_cpu();
    struct timer_base *base = cpu->timers;
    cpu->stats[STAT_TIMER_IRQS]++;
    u64 now = plat_now_ns();
    base->armed_ns = NEVER_NS;
    if (base->slice_ns <= now) {
        base->slice_ns = NEVER_NS;
        cpu->bh_hold = false;
        cpu->need_resched = true;
    }
    spin_lock(&base->lock);
    u64 first = first_deadline(base);
    if (first <= now) { /* run_timers() arms for the rest of them */
        bh_raise(&base->bh);
        first = NEVER_NS;
    }
    arm_for(base, MIN(first, base->slice_ns));
    spin_unlock(&base->lock);
}

void timer_set_slice(u64 slice_ns)
{
    struct timer_base *base = this_cpu()->timers;
    base->slice_ns = slice_ns;
    if (slice_ns + SLICE_SLACK_NS < base->armed_ns && slice_ns != NEVER_NS)
        arm_for(base, slice_ns);
}

void timer_init_cpu(struct percpu *cpu, struct timer_base *base)
{
    *base = (struct timer_base){ .lock = SPINLOCK_INIT("timer base"), .armed_ns = NEVER_NS, .slice_ns = NEVER_NS };
    bh_init(&base->bh, run_timers);
    cpu->timers = base;
}

void ktimer_init(struct ktimer *t, void (*fn)(struct ktimer *t))
{
    *t = (struct ktimer){ .fn = fn };
}

/* Take the timer out of whatever base it is queued on; another CPU may be starting it on its own meanwhile. */
static bool dequeue(struct ktimer *t)
{
    for (;;) {
        struct timer_base *base = atomic_load(&t->base);
        if (base == NULL || !atomic_load(&t->queued))
            return false;
        u64 flags = spin_lock_irqsave(&base->lock);
        bool was_queued = atomic_load(&t->queued), here = atomic_load(&t->base) == base; /* T2 */
        if (here && was_queued)
            tree_remove(base, t);
        spin_unlock_irqrestore(&base->lock, flags);
        if (here || !was_queued)
            return was_queued;
    }
}

/* Off its old base, another CPU's. True: its callback is running there, so it is armed there anew (run_timers() comes to that behind the
 * callback), or else ktimer_cancel_sync() could not see that it runs. Events disabled. */
static bool leave_base(struct timer_base *old, struct ktimer *t, u64 deadline_ns)
{
    spin_lock(&old->lock);
    if (t->queued)
        tree_remove(old, t);
    bool running = old->running == t;
    if (running) {
        t->deadline_ns = deadline_ns;
        tree_insert(old, t);
    }
    spin_unlock(&old->lock);
    return running;
}

void ktimer_start(struct ktimer *t, u64 deadline_ns)
{
    u64 flags = plat_events_save();
    struct timer_base *base = this_cpu()->timers;
    if (t->base != base && t->base != NULL && leave_base(t->base, t, deadline_ns)) {
        plat_events_restore(flags);
        return;
    }
    spin_lock(&base->lock);
    if (t->queued)
        tree_remove(base, t);
    atomic_store(&t->base, base);
    t->deadline_ns = deadline_ns;
    tree_insert(base, t);
    if (base->first == &t->node)
        arm_for(base, deadline_ns);
    spin_unlock(&base->lock);
    plat_events_restore(flags);
}

bool ktimer_cancel(struct ktimer *t)
{
    return dequeue(t);
}

void ktimer_cancel_sync(struct ktimer *t)
{
    struct timer_base *base;
    while ((base = atomic_load(&t->base)) != NULL) {
        u64 flags = spin_lock_irqsave(&base->lock); /* without it, off the queue and not yet running looks like over */
        bool queued = atomic_load(&t->queued), here = atomic_load(&t->base) == base, running = base->running == t; /* T2 */
        if (here && queued)
            tree_remove(base, t);
        spin_unlock_irqrestore(&base->lock, flags);
        if (here && !running)
            return;
        ASSERT(!running || base != this_cpu()->timers);
        plat_relax();
    }
}

bool ktimer_armed(const struct ktimer *t)
{
    return atomic_load(&t->queued);
}
