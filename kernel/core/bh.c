/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupt nesting and bottom halves.
 *
 * Invariant B1: while bh_pending is not empty, somebody will run it: an
 * interrupt on its way out, a bh_enable() to come, the idle loop, or (raised with
 * events disabled and nothing of that ahead) need_resched is set, and
 * the way back to the program or into another thread runs it.
 *
 * What other CPUs raise here stands on bh_remote, a stack of links (node.next) that is taken as a whole; a kick is on its way while it is
 * not empty. Who made `raised` other than 0 is the only one that queues, here or there.
 */
#include "kern/bh.h"

#include "kern/atomic.h"
#include "kern/log.h"
#include "kern/percpu.h"
#include "kern/timer.h"
#include "kern/trap.h"

void bh_init(struct bh *bh, void (*fn)(struct bh *bh))
{
    list_init(&bh->node);
    bh->fn = fn;
    bh->raised = 0;
}

/* Behind a round, with more to do: is it the programs' turn? `*start` is when the first one ended. */
static bool had_share(unsigned round, u64 *start)
{
    u64 now = plat_now_ns();
    if (round == 1)
        *start = now;
    return round == BH_MAX_ROUNDS || now - *start >= BH_SHARE_NS;
}

/* Events disabled, bottom halves neither running nor disabled. Enables events while they run. */
static void run(struct percpu *cpu)
{
    cpu->bh_disabled++;
    cpu->bh_running = true;
    cpu->stats[STAT_BH_RUNS]++;
    u64 start = 0;
    for (unsigned round = 0; !list_empty(&cpu->bh_pending); round++) {
        if (round > 0 && had_share(round, &start)) {
            cpu->bh_hold = true;
            cpu->bh_hold_until_ns = plat_now_ns() + BH_HOLD_NS;
            timer_set_slice(cpu->bh_hold_until_ns);
            break;
        }
        struct list batch, again;
        list_init(&batch);
        list_init(&again);
        list_splice_back(&batch, &cpu->bh_pending);
        plat_events_enable();
        struct list *n;
        while ((n = list_pop_front(&batch)) != NULL) {
            struct bh *bh = list_entry(n, struct bh, node);
            u32 seen = atomic_load(&bh->raised);
            bh->fn(bh);
            if (atomic_sub(&bh->raised, seen) != 0) /* meanwhile: once more */
                list_push_back(&again, &bh->node);
        }
        plat_events_disable();
        list_splice_back(&cpu->bh_pending, &again);
    }
    cpu->bh_running = false;
    cpu->bh_disabled--;
}

void bh_raise(struct bh *bh)
{
    if (atomic_add(&bh->raised, 1u) != 1)
        return;
    u64 flags = plat_events_save();
    struct percpu *cpu = this_cpu();
    list_push_back(&cpu->bh_pending, &bh->node);
    bool nobody_else = cpu->bh_disabled == 0 && cpu->irq_depth == 0;
    plat_events_restore(flags);
    if (nobody_else) {
        if (plat_events_enabled())
            bh_run_pending();
        else
            cpu->need_resched = true; /* B1 */
    }
}

void bh_raise_on(struct bh *bh, unsigned number)
{
    u64 flags = plat_events_save();
    struct percpu *cpu = percpu_table[number];
    if (cpu == this_cpu()) {
        bh_raise(bh);
    } else if (atomic_add(&bh->raised, 1u) == 1) {
        struct list *first = atomic_load_relaxed(&cpu->bh_remote);
        do
            bh->node.next = first;
        while (!atomic_cas(&cpu->bh_remote, &first, &bh->node));
        if (first == NULL)
            plat_cpu_kick(number);
    }
    plat_events_restore(flags);
}

void bh_take_remote(void)
{
    struct percpu *cpu = this_cpu();
    struct list *n = atomic_load_relaxed(&cpu->bh_remote) != NULL ? atomic_xchg(&cpu->bh_remote, NULL) : NULL;
    while (n != NULL) {
        struct list *next = n->next;
        list_push_back(&cpu->bh_pending, n);
        n = next;
    }
}

void bh_enabled(void)
{
    if (plat_events_enabled())
        bh_run_pending();
    else
        this_cpu()->need_resched = true;
}

bool bh_is_disabled(void)
{
    return this_cpu()->bh_disabled != 0;
}

void bh_run_pending(void)
{
    struct percpu *cpu = this_cpu();
    if (list_empty(&cpu->bh_pending))
        return;
    plat_events_disable();
    if (cpu->bh_disabled == 0 && cpu->irq_depth == 0 && !cpu->bh_hold)
        run(cpu);
    plat_events_enable();
}

void irq_enter(void)
{
    struct percpu *cpu = this_cpu();
    cpu->irq_depth++;
    cpu->stats[STAT_IRQS]++;
}

void irq_exit(void)
{
    struct percpu *cpu = this_cpu();
    ASSERT(cpu->irq_depth != 0);
    if (--cpu->irq_depth == 0 && cpu->bh_disabled == 0 && !cpu->bh_hold && !list_empty(&cpu->bh_pending))
        run(cpu);
}

bool in_interrupt(void)
{
    return this_cpu()->irq_depth != 0;
}
