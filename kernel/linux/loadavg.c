/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load averages (proc(5), sysinfo(2)): how many tasks run, want to, or sleep where no signal ends it, as each
 * 5 seconds find it, and what is left of that after 1, 5 and 15 minutes decays by e. Fixed point, 11 bits.
 */
#include "kern/thread.h"
#include "kern/timer.h"
#include "task.h"
#include "base/fmt.h"

enum { BITS = 11, ONE = 1 << BITS };
#define SAMPLE_NS (5 * NSEC_PER_SEC)

static const u32 keep[3] = {1884, 2014, 2037}; /* exp(-5 s / each), times ONE */
static u64 loads[3];                           /* the timer's; others read them atomically */
static struct ktimer timer;

static void count(u32 *ret_running, u32 *ret_blocked, u32 *ret_tasks)
{
    u32 running = 0, blocked = 0;
    spin_lock_bh(&process_list_lock);
    list_for_each(p, &process_list, struct process, all_node) {
        spin_lock(&p->lock);
        list_for_each(t, &p->tasks, struct task, proc_node) {
            char state = task_state_locked(t);
            running += state == 'R';
            blocked += state == 'D';
        }
        spin_unlock(&p->lock);
    }
    *ret_tasks = task_count_locked(NULL);
    spin_unlock_bh(&process_list_lock);
    *ret_running = running;
    *ret_blocked = blocked;
}

static void sample(struct ktimer *t)
{
    u32 running, blocked, tasks;
    count(&running, &blocked, &tasks);
    u64 active = (u64)(running + blocked) << BITS;
    for (unsigned i = 0; i < ARRAY_SIZE(loads); i++) {
        u64 sum = loads[i] * keep[i] + active * (ONE - keep[i]);
        atomic_store_relaxed(&loads[i], (sum + (active >= loads[i] ? ONE - 1 : 0)) >> BITS); /* up to it, and down to 0 */
    }
    ktimer_start(t, now_ns() + SAMPLE_NS);
}

u64 load_average(unsigned i) { return atomic_load_relaxed(&loads[i]) << (16 - BITS); }

u32 tasks_running(void)
{
    u32 running, blocked, tasks;
    count(&running, &blocked, &tasks);
    return running;
}

static size_t show(void *arg, char *buf, size_t size)
{
    unsigned whole[3], cents[3];
    u32 running, blocked, tasks;
    for (unsigned i = 0; i < ARRAY_SIZE(loads); i++) {
        u64 load = atomic_load_relaxed(&loads[i]) + ONE / 200;
        whole[i] = (unsigned)(load >> BITS);
        cents[i] = (unsigned)((load & (ONE - 1)) * 100 >> BITS);
    }
    count(&running, &blocked, &tasks);
    return (size_t)fmt_snprintf(buf, size, "%u.%02u %u.%02u %u.%02u %u/%u %u\n", whole[0], cents[0], whole[1], cents[1], whole[2], cents[2],
                                running, tasks, last_pid());
}

void loadavg_init(void)
{
    ktimer_init(&timer, sample);
    ktimer_start(&timer, now_ns() + SAMPLE_NS);
    proc_add("loadavg", 0444, show, NULL);
}
