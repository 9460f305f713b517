/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Breakpoints and watchpoints in the CPU's debug registers, of one process at a time. The registers are the same whatever runs, so that a
 * switch of threads costs nothing; who gets to a point in another address space goes on.
 */
#include "debug_points.h"
#include "base/str.h"
#include "ptrace.h"

#define TRAP_HWBKPT 4

static struct spinlock points_lock = SPINLOCK_INIT("debug points"); /* changes */
static struct process *owner;                                  /* atomic; NULL: no point is set */
static struct trap_point points[TRAP_POINTS];

static struct trap_point *find(const struct trap_point *like)
{
    for (unsigned i = 0; i < TRAP_POINTS; i++)
        if (points[i].addr == like->addr && points[i].len == like->len && points[i].access == like->access)
            return &points[i];
    return NULL;
}

static bool is_valid(const struct trap_point *p)
{
    bool exec = p->access == TRAP_EXEC && p->len == 1;
    bool data = (p->access == TRAP_WRITE || p->access == (TRAP_READ | TRAP_WRITE)) && (p->len == 1 || p->len == 2 || p->len == 4 || p->len == 8);
    return (exec || data) && IS_ALIGNED(p->addr, p->len) && p->addr < PLAT_USER_MAX;
}

static int add(struct process *p, const struct trap_point *want)
{
    static const struct trap_point unused;
    struct process *by = atomic_load(&owner);
    struct trap_point *slot = by == p ? find(want) : NULL;
    if (slot != NULL)
        return 0;
    if (by != NULL && by != p)
        return -EBUSY;
    slot = find(&unused);
    if (slot == NULL)
        return -ENOSPC;
    *slot = *want;
    atomic_store(&owner, p);
    trap_set_points(points);
    return 0;
}

static int drop(struct process *p, const struct trap_point *what)
{
    struct trap_point *slot = atomic_load(&owner) == p ? find(what) : NULL;
    bool any = false;
    if (slot == NULL)
        return -ENOENT;
    *slot = (struct trap_point){0};
    for (unsigned i = 0; i < TRAP_POINTS; i++)
        any |= points[i].len != 0;
    trap_set_points(points);
    if (!any)
        atomic_store(&owner, NULL);
    return 0;
}

int debug_point(struct process *p, const struct trap_point *point, bool on)
{
    if (trap_set_points == NULL)
        return -ENOSYS;
    if (!is_valid(point))
        return -EINVAL;
    spin_lock(&points_lock);
    int r = on ? add(p, point) : drop(p, point);
    spin_unlock(&points_lock);
    return r;
}

void debug_points_drop(struct process *p)
{
    if (atomic_load(&owner) != p)
        return;
    spin_lock(&points_lock);
    memset(points, 0, sizeof points);
    trap_set_points(points);
    atomic_store(&owner, NULL);
    spin_unlock(&points_lock);
}

bool debug_points_hit(const struct task *t, u32 hits, struct ksiginfo *ret)
{
    if (hits == 0 || atomic_load(&owner) != t->proc)
        return false;
    u32 n = (u32)__builtin_ctz(hits);
    *ret = (struct ksiginfo){.signo = SIGTRAP, .code = TRAP_HWBKPT, .err = (s32)n, .fault.addr = points[n].addr};
    return true;
}

void debug_points_deliver(struct task *t)
{
    struct ksiginfo i;
    u32 hits = atomic_xchg(&t->thread->debug_hits, 0u);
    if (debug_points_hit(t, hits, &i))
        signal_force(t, &i);
}

bool debug_point_of(const struct process *p, const struct ksiginfo *i, struct trap_point *ret)
{
    if (i == NULL || i->signo != SIGTRAP || i->code != TRAP_HWBKPT || (u32)i->err >= TRAP_POINTS || atomic_load(&owner) != p)
        return false;
    *ret = points[i->err];
    return true;
}
