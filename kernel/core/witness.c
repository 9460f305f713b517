/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The lock-order witness of debug builds. Locks of one name are a class. When a
 * lock is taken while others are held, "held before new" becomes an edge
 * between their classes; an edge that closes a circle is a deadlock that
 * can happen, whether or not it did now, and panics with both names.
 *
 * It also checks that a class taken by interrupt handlers is never taken
 * with events enabled, and one taken by bottom halves never by a thread with
 * bottom halves enabled, and that nobody sleeps with a spinlock held.
 *
 * Everything is guarded by `busy`, a bare word: the witness's own lock has no class.
 */
#include "witness.h"

#include "base/str.h"
#include "kern/log.h"
#include "kern/percpu.h"

#define MAX_CLASSES 128u
#define MAX_SPIN_HELD 24u
#define MAX_SLEEP_HELD 256u

struct class {
    const char *name;
    bool sleeping;                /* a mutex and the spinlock inside it have one name and two classes */
    bool in_irq, in_bh;           /* taken there */
    bool irq_open, bh_open;       /* taken where such a handler could come in */
    u8 before[MAX_CLASSES / 8];   /* edges: this class was held when those were taken */
};

struct held {
    const void *lock;
    const struct thread *thread; /* sleeping locks */
    unsigned class;
};

static u32 busy;
static struct class classes[MAX_CLASSES];
static unsigned nr_classes;
static struct held spin_held[MAX_CPUS][MAX_SPIN_HELD];
static unsigned nr_spin_held[MAX_CPUS];
static struct held sleep_held[MAX_SLEEP_HELD];

static void enter(u64 *ret_flags)
{
    *ret_flags = plat_events_save();
    while (atomic_xchg(&busy, 1u) != 0)
        ;
}

static void leave(u64 flags)
{
    atomic_store(&busy, 0u);
    plat_events_restore(flags);
}

static NORETURN void refuse(const char *what, unsigned a, unsigned b)
{
    atomic_store(&busy, 0u);
    panic("lock order: %s: \"%s\", \"%s\"", what, classes[a].name, classes[b].name);
}

static unsigned class_of(const char *name, bool sleeping)
{
    if (name == NULL)
        name = "(unnamed)";
    for (unsigned i = 0; i < nr_classes; i++)
        if (classes[i].sleeping == sleeping && (classes[i].name == name || strcmp(classes[i].name, name) == 0))
            return i;
    if (nr_classes == MAX_CLASSES) {
        atomic_store(&busy, 0u);
        panic("witness: more than %u lock classes", MAX_CLASSES);
    }
    classes[nr_classes].name = name;
    classes[nr_classes].sleeping = sleeping;
    return nr_classes++;
}

static bool has_edge(unsigned from, unsigned to)
{
    return (classes[from].before[to / 8] >> to % 8 & 1) != 0;
}

/* Does a path lead from `from` to `to`? Each class is visited once. */
static bool reaches(unsigned from, unsigned to)
{
    u8 queue[MAX_CLASSES];
    bool seen[MAX_CLASSES] = { false };
    unsigned head = 0, tail = 0;
    queue[tail++] = (u8)from;
    seen[from] = true;
    while (head < tail) {
        unsigned at = queue[head++];
        if (at == to)
            return true;
        for (unsigned i = 0; i < nr_classes; i++)
            if (!seen[i] && has_edge(at, i)) {
                seen[i] = true;
                queue[tail++] = (u8)i;
            }
    }
    return false;
}

/* Several locks of one class are the business of their owner (by address, by CPU number). */
static void order(unsigned held, unsigned new)
{
    if (held == new || has_edge(held, new))
        return;
    if (reaches(new, held))
        refuse("taken in both orders (held, wanted)", held, new);
    classes[held].before[new / 8] |= (u8)(1u << new % 8);
}

static void order_all(unsigned new)
{
    const struct percpu *cpu = this_cpu();
    for (unsigned i = 0; i < nr_spin_held[cpu->cpu]; i++)
        order(spin_held[cpu->cpu][i].class, new);
    if (cpu->irq_depth != 0 || cpu->bh_running)
        return; /* the interrupted thread's sleeping locks order nothing here */
    for (unsigned i = 0; i < MAX_SLEEP_HELD; i++)
        if (sleep_held[i].lock != NULL && sleep_held[i].thread == cpu->current)
            order(sleep_held[i].class, new);
}

/* `open`: events were enabled when the lock was wanted. */
static void check_context(unsigned c, bool open)
{
    const struct percpu *cpu = this_cpu();
    struct class *k = &classes[c];
    if (cpu->irq_depth != 0)
        k->in_irq = true;
    else if (cpu->bh_running)
        k->in_bh = true;
    k->irq_open |= open;
    k->bh_open |= open && cpu->bh_disabled == 0;
    if (k->in_irq && k->irq_open)
        refuse("taken by interrupt handlers, and with events enabled", c, c);
    if (k->in_bh && k->bh_open)
        refuse("taken by bottom halves, and with them enabled", c, c);
}

void witness_spin_acquire(const struct spinlock *l, bool try)
{
    bool open = plat_events_enabled();
    u64 flags;
    enter(&flags);
    unsigned cpu = this_cpu()->cpu, c = class_of(l->name, false);
    check_context(c, open);
    if (!try) {
        for (unsigned i = 0; i < nr_spin_held[cpu]; i++)
            if (spin_held[cpu][i].lock == l)
                refuse("taken twice", c, c);
        order_all(c);
    }
    ASSERT(nr_spin_held[cpu] < MAX_SPIN_HELD);
    spin_held[cpu][nr_spin_held[cpu]++] = (struct held){ l, NULL, c };
    leave(flags);
}

void witness_spin_release(const struct spinlock *l)
{
    u64 flags;
    enter(&flags);
    unsigned cpu = this_cpu()->cpu, n = nr_spin_held[cpu], i = n;
    while (i > 0 && spin_held[cpu][i - 1].lock != l)
        i--;
    if (i == 0) {
        unsigned c = class_of(l->name, false);
        refuse("released where it is not held", c, c);
    }
    for (; i < n; i++)
        spin_held[cpu][i - 1] = spin_held[cpu][i];
    nr_spin_held[cpu]--;
    leave(flags);
}

void witness_acquired(const void *lock, const char *name, bool may_sleep)
{
    u64 flags;
    enter(&flags);
    unsigned c = class_of(name, true);
    order_all(c);
    for (unsigned i = 0; i < MAX_SLEEP_HELD; i++)
        if (sleep_held[i].lock == NULL) {
            sleep_held[i] = (struct held){ lock, this_cpu()->current, c };
            break;
        }
    leave(flags);
}

void witness_released(const void *lock)
{
    u64 flags;
    enter(&flags);
    for (unsigned i = 0; i < MAX_SLEEP_HELD; i++)
        if (sleep_held[i].lock == lock && sleep_held[i].thread == this_cpu()->current) {
            sleep_held[i].lock = NULL;
            break;
        }
    leave(flags);
}

void witness_may_sleep(void)
{
    const struct percpu *cpu = this_cpu();
    if (nr_spin_held[cpu->cpu] != 0)
        panic("sleeping with spinlock \"%s\" held", classes[spin_held[cpu->cpu][0].class].name);
    if (cpu->bh_disabled != 0 || cpu->irq_depth != 0)
        panic("sleeping with bottom halves disabled or in an interrupt");
}
