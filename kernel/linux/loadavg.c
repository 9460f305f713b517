/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Load averages (proc(5), sysinfo(2)): how many tasks run, want to, or sleep where no signal ends it, as each
 * 5 seconds find it, and what is left of that after 1, 5 and 15 minutes decays by e. Fixed point, 11 bits.
 * When nobody did, no more is looked until a CPU has been awake; the periods until then were all idle, and are made up for at once.
 */
#include "kern/thread.h"
#include "kern/timer.h"
#include "task.h"
#include "base/fmt.h"
#include "base/str.h"

enum { BITS = 11, ONE = 1 << BITS };
#define SAMPLE_NS (5 * NSEC_PER_SEC)

static const u32 keep[3] = {1884, 2014, 2037}; /* exp(-5 s / each), times ONE */

static struct spinlock lock = SPINLOCK_INIT("load averages"); /* guards the rest */
static u64 loads[3];                           /* as of seen_ns */
static u64 seen_ns;
static bool quiet;                             /* no timer: nobody is active. Read without the lock, too */
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

/* x^n; of x and the result 32 bits are behind the point. x < 1. */
static u64 power(u64 x, u64 n)
{
    u64 result = 1ULL << 32;
    for (; n != 0; n >>= 1) {
        if ((n & 1) != 0)
            result = result * x >> 32;
        x = x * x >> 32;
    }
    return result;
}

static void idled_locked(u64 periods)
{
    for (unsigned i = 0; i < ARRAY_SIZE(loads); i++)
        loads[i] = loads[i] * power((u64)keep[i] << (32 - BITS), periods) >> 32;
    seen_ns += periods * SAMPLE_NS;
}

static void sample(struct ktimer *t)
{
    u32 running, blocked, tasks;
    count(&running, &blocked, &tasks);
    u64 active = (u64)(running + blocked) << BITS;
    spin_lock_bh(&lock);
    for (unsigned i = 0; i < ARRAY_SIZE(loads); i++) {
        u64 sum = loads[i] * keep[i] + active * (ONE - keep[i]);
        loads[i] = (sum + (active >= loads[i] ? ONE - 1 : 0)) >> BITS; /* up to it, and down to 0 */
    }
    seen_ns = now_ns();
    atomic_store_relaxed(&quiet, active == 0);
    if (active != 0)
        ktimer_start(t, seen_ns + SAMPLE_NS);
    spin_unlock_bh(&lock);
}

void loadavg_go_on(void)
{
    if (!atomic_load_relaxed(&quiet))
        return;
    spin_lock_bh(&lock);
    if (quiet) {
        idled_locked((now_ns() - seen_ns) / SAMPLE_NS);
        atomic_store_relaxed(&quiet, false);
        ktimer_start(&timer, seen_ns + SAMPLE_NS);
    }
    spin_unlock_bh(&lock);
}

/* In 11 bits. */
static void get_loads(u64 ret[3])
{
    spin_lock_bh(&lock);
    if (quiet)
        idled_locked((now_ns() - seen_ns) / SAMPLE_NS);
    memcpy(ret, loads, sizeof loads);
    spin_unlock_bh(&lock);
}

void load_averages(u64 ret[3])
{
    get_loads(ret);
    for (unsigned i = 0; i < ARRAY_SIZE(loads); i++)
        ret[i] <<= 16 - BITS;
}

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
    u64 now[3];
    get_loads(now);
    for (unsigned i = 0; i < ARRAY_SIZE(now); i++) {
        u64 load = now[i] + ONE / 200;
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
    seen_ns = now_ns();
    ktimer_start(&timer, seen_ns + SAMPLE_NS);
    proc_add("loadavg", 0444, show, NULL);
}
