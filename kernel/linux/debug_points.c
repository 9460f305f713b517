/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Breakpoints and watchpoints in the CPU's debug registers, of one process at a time: those of debug_service.c for all its threads, and those
 * in the registers that ptrace(2) shows of one. The CPU's are the same whatever runs, so that a switch of threads costs nothing; who gets to a
 * point that is not his goes on.
 */
#include "debug_points.h"
#include "arch_linux.h"
#include "base/str.h"
#include "ptrace.h"

#define TRAP_HWBKPT 4

static struct spinlock points_lock = SPINLOCK_INIT("debug points"); /* changes. Within l */
static struct process *owner;                                  /* atomic; NULL: no point is set */
static struct trap_point points[TRAP_POINTS];
static bool for_all[TRAP_POINTS];
static u32 tasks[TRAP_POINTS]; /* in so many tasks' registers */
static u32 muted[TRAP_POINTS]; /* so many of them do without for now */

static unsigned find(const struct trap_point *like)
{
    unsigned i = 0;
    while (i < TRAP_POINTS && (points[i].addr != like->addr || points[i].len != like->len || points[i].access != like->access))
        i++;
    return i;
}

static bool is_valid(const struct trap_point *p)
{
    bool exec = p->access == TRAP_EXEC && p->len == 1;
    bool data = (p->access == TRAP_WRITE || p->access == (TRAP_READ | TRAP_WRITE)) && (p->len == 1 || p->len == 2 || p->len == 4 || p->len == 8);
    return (exec || data) && IS_ALIGNED(p->addr, p->len) && p->addr < PLAT_USER_MAX;
}

/* Where it is set, or can be. -EBUSY, -ENOSPC. Lock held, as below. */
static int place(const struct process *p, const struct trap_point *want)
{
    static const struct trap_point unused;
    struct process *by = atomic_load(&owner);
    if (by != NULL && by != p)
        return -EBUSY;
    unsigned n = find(want);
    if (n == TRAP_POINTS && (n = find(&unused)) == TRAP_POINTS)
        return -ENOSPC;
    points[n] = *want;
    return (int)n;
}

/* The CPUs learn of what was changed; what nobody needs any more goes. */
static void load(struct process *p)
{
    struct trap_point loaded[TRAP_POINTS];
    bool any = false;
    for (unsigned i = 0; i < TRAP_POINTS; i++) {
        if (!for_all[i] && tasks[i] == 0)
            points[i] = (struct trap_point){0};
        any |= points[i].len != 0;
        loaded[i] = muted[i] == 0 ? points[i] : (struct trap_point){0};
    }
    if (any)
        atomic_store(&owner, p);
    trap_set_points(loaded);
    if (!any)
        atomic_store(&owner, NULL);
}

int debug_point(struct process *p, const struct trap_point *point, bool on)
{
    if (trap_set_points == NULL)
        return -ENOSYS;
    if (!is_valid(point))
        return -EINVAL;
    spin_lock_bh(&points_lock);
    int r = on ? place(p, point) : atomic_load(&owner) == p ? (int)find(point) : -ENOENT;
    if (!on && r >= 0 && (r == TRAP_POINTS || !for_all[r]))
        r = -ENOENT;
    if (r >= 0) {
        for_all[r] = on;
        load(p);
    }
    spin_unlock_bh(&points_lock);
    return MIN(r, 0);
}

void debug_points_drop(struct process *p)
{
    if (atomic_load(&owner) != p)
        return;
    spin_lock_bh(&points_lock);
    memset(for_all, 0, sizeof for_all);
    load(p);
    spin_unlock_bh(&points_lock);
}

bool debug_points_there(void) { return trap_set_points != NULL && &trap_points_outside == NULL; }

int debug_points_of_task(struct process *p, const struct trap_point old[TRAP_POINTS], const struct trap_point new[TRAP_POINTS])
{
    struct trap_point points_before[TRAP_POINTS];
    u32 tasks_before[TRAP_POINTS];
    int r = 0;
    for (unsigned i = 0; i < TRAP_POINTS; i++)
        if (new[i].len != 0 && !is_valid(&new[i]))
            return -EINVAL;
    spin_lock_bh(&points_lock);
    memcpy(points_before, points, sizeof points);
    memcpy(tasks_before, tasks, sizeof tasks);
    for (unsigned i = 0; i < TRAP_POINTS; i++) {
        unsigned n = old[i].len != 0 ? find(&old[i]) : TRAP_POINTS;
        if (n < TRAP_POINTS && --tasks[n] == 0 && !for_all[n])
            points[n] = (struct trap_point){0};
    }
    for (unsigned i = 0; i < TRAP_POINTS && r >= 0; i++)
        if (new[i].len != 0 && (r = place(p, &new[i])) >= 0)
            tasks[r]++;
    if (r < 0) {
        memcpy(points, points_before, sizeof points);
        memcpy(tasks, tasks_before, sizeof tasks);
    } else {
        load(p);
    }
    spin_unlock_bh(&points_lock);
    return r < 0 ? -ENOSPC : 0;
}

void debug_points_mute(struct process *p, const struct trap_point these[TRAP_POINTS], bool on)
{
    spin_lock_bh(&points_lock);
    for (unsigned i = 0; i < TRAP_POINTS; i++)
        if (these[i].len != 0)
            muted[find(&these[i])] += on ? 1 : -1u;
    load(p);
    spin_unlock_bh(&points_lock);
}

static bool hits_all(const struct task *t, u32 hits, struct ksiginfo *ret)
{
    for (unsigned n = 0; n < TRAP_POINTS; n++)
        if ((hits & 1u << n) && for_all[n] && atomic_load(&owner) == t->proc) {
            *ret = (struct ksiginfo){.signo = SIGTRAP, .code = TRAP_HWBKPT, .err = (s32)n, .fault.addr = points[n].addr};
            return true;
        }
    return false;
}

bool debug_points_hit(const struct task *t, u32 hits, struct ksiginfo *ret)
{
    if (hits_all(t, hits, ret))
        return true;
    if (!task_traced(t))
        return false;
    struct trap_frame *f = thread_frame(t->thread);
    bool own = false;
    spin_lock_bh(&process_list_lock);
    if (t->tracee != NULL)
        own = ptrace_debug_hit(t->tracee, atomic_load(&owner) == t->proc ? hits : 0, points, f);
    spin_unlock_bh(&process_list_lock);
    if (own)
        *ret = (struct ksiginfo){.signo = SIGTRAP, .code = FRAME_STEPPING(f) ? TRAP_TRACE : TRAP_HWBKPT, .fault.addr = FRAME_PC(f)};
    return own;
}

void debug_points_deliver(struct task *t)
{
    struct ksiginfo i;
    u32 hits = atomic_xchg(&t->thread->debug_hits, 0u);
    if (hits_all(t, hits, &i))
        signal_force(t, &i);
}

bool debug_point_of(const struct process *p, const struct ksiginfo *i, struct trap_point *ret)
{
    if (i == NULL || i->signo != SIGTRAP || i->code != TRAP_HWBKPT || (u32)i->err >= TRAP_POINTS || atomic_load(&owner) != p)
        return false;
    *ret = points[i->err];
    return true;
}
