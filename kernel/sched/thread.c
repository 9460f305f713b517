/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads: memory, life and death. A thread cannot free the stack it runs on:
 * the next thread on its CPU does (thread_bury). A few stacks are
 * kept for the next thread_create(), because mapping one costs far more than all
 * the rest. Unmapping may sleep, which must not happen in the middle of a switch:
 * further stacks wait in `late` for the work thread or the next thread_create(). References: one for whoever created the thread, one for its run
 * until it has left the CPU for good.
 */
#include "sched_impl.h"

#include "base/str.h"
#include "kern/slab.h"
#include "kern/work.h"

#define SPARE_STACKS 4u

static struct spinlock all_lock = SPINLOCK_INIT("all threads");      /* _bh */
static struct list all_threads = LIST_INIT(all_threads);            /* all_lock */
static u32 next_id = 1;                                             /* atomic */

static struct spinlock spare_lock = SPINLOCK_INIT("spare stacks");   /* _bh */
static void *spare_stacks[SPARE_STACKS];                            /* spare_lock */
static unsigned spare_count;                                        /* spare_lock */
static struct list late = LIST_INIT(late);                          /* spare_lock: dead threads by rt_node */
static u32 stacks_mapped;                                           /* atomic */
static void unmap_late(struct work *w);
static struct work late_work = { .node = LIST_INIT(late_work.node), .fn = unmap_late };

static struct kmem_cache *thread_cache;
static struct kmem_cache *fpu_cache; /* made with the first program thread; atomic */

void thread_init_subsystem(void)
{
    thread_cache = kmem_cache_create("thread", sizeof(struct thread), 0);
}

static void unmap_late(struct work *w)
{
    for (;;) {
        spin_lock_bh(&spare_lock);
        struct list *n = list_pop_front(&late);
        spin_unlock_bh(&spare_lock);
        if (n == NULL)
            return;
        struct thread *t = list_entry(n, struct thread, rt_node);
        vmap_free(t->kstack, KSTACK_SIZE);
        atomic_sub(&stacks_mapped, 1u);
        t->kstack = NULL;
        thread_put(t);
    }
}

static void *take_spare(struct thread **ret_late)
{
    void *stack = NULL;
    struct list *n = NULL;
    spin_lock_bh(&spare_lock);
    if (spare_count != 0)
        stack = spare_stacks[--spare_count];
    else if ((n = list_pop_front(&late)) != NULL)
        *ret_late = list_entry(n, struct thread, rt_node);
    spin_unlock_bh(&spare_lock);
    return stack;
}

static void *stack_alloc(void)
{
    struct thread *dead = NULL;
    void *stack = take_spare(&dead);
    if (stack != NULL)
        return stack;
    if (dead != NULL) {
        stack = dead->kstack;
        dead->kstack = NULL;
        thread_put(dead);
        return stack;
    }
    stack = vmap_alloc(KSTACK_SIZE);
    if (stack != NULL && atomic_add(&stacks_mapped, 1u) > SPARE_STACKS)
        work_queue(&late_work); /* so that there is a work thread when thread_bury() needs it */
    return stack;
}

/* False: no room among the spares. */
static bool keep_stack(void *stack)
{
    spin_lock_bh(&spare_lock);
    bool room = spare_count < SPARE_STACKS;
    if (room)
        spare_stacks[spare_count++] = stack;
    spin_unlock_bh(&spare_lock);
    return room;
}

/* May sleep. */
static void stack_free(void *stack)
{
    if (stack != NULL && !keep_stack(stack)) {
        vmap_free(stack, KSTACK_SIZE);
        atomic_sub(&stacks_mapped, 1u);
    }
}

static void *fpu_alloc(void)
{
    struct kmem_cache *c = atomic_load(&fpu_cache);
    if (c == NULL) {
        c = kmem_cache_create("fpu", arch_fpu_size(), 64);
        struct kmem_cache *none = NULL;
        if (!atomic_cas(&fpu_cache, &none, c))
            c = none; /* two first threads at once: an empty cache is left over */
    }
    return kmem_alloc(c, 0);
}

static void init_thread(struct thread *t, const char *name)
{
    t->policy = POLICY_OTHER;
    t->weight = 1024;
    t->affinity = UINT64_MAX;
    ref_init(&t->refs);
    ktimer_init(&t->block_timer, thread_block_timeout);
    str_copy(t->name, name, sizeof t->name);
    list_init(&t->rt_node);
    list_init(&t->all_node);
    list_init(&t->pi_waiters);
}

void thread_set_up_idle(struct thread *t, unsigned cpu)
{
    init_thread(t, "idle");
    t->policy = POLICY_IDLE;
    t->state = THREAD_RUNNING;
    t->cpu = cpu;
}

static void thread_main(void *arg)
{
    struct thread *t = arg;
    sched_first_run();
    t->fn(t->arg);
    thread_exit();
}

static void thread_free(struct thread *t)
{
    kmem_free(fpu_cache, t->fpu);
    kmem_free(thread_cache, t);
}

int thread_create(const char *name, void (*fn)(void *), void *arg, bool user, struct thread **ret_thread)
{
    struct thread *t = kmem_alloc(thread_cache, ALLOC_ZERO);
    if (t == NULL)
        return -ENOMEM;
    init_thread(t, name);
    t->kstack = stack_alloc();
    if (t->kstack == NULL)
        goto out_free;
    if (user) {
        t->fpu = fpu_alloc();
        if (t->fpu == NULL)
            goto out_free;
        arch_fpu_reset(t->fpu);
        t->user = true;
    }
    t->fn = fn;
    t->arg = arg;
    t->id = atomic_add(&next_id, 1u) - 1;
    t->cpu = this_cpu()->cpu;
    arch_context_init(&t->ctx, t->kstack, KSTACK_SIZE, thread_main, t);
    spin_lock_bh(&all_lock);
    list_push_back(&all_threads, &t->all_node);
    spin_unlock_bh(&all_lock);
    *ret_thread = t;
    return 0;

out_free:
    stack_free(t->kstack);
    kmem_free(thread_cache, t);
    return -ENOMEM;
}

void thread_start(struct thread *t)
{
    u64 flags;
    struct runqueue *rq = thread_rq_lock(t, &flags);
    ASSERT(t->state == THREAD_NEW);
    thread_get(t); /* its run's */
    t->vruntime_ns = rq->min_vruntime_ns;
    sched_make_ready(t, rq, flags);
}

void thread_exit(void)
{
    struct thread *t = current_thread();
    ktimer_cancel_sync(&t->block_timer);
    plat_events_disable();
    struct percpu *cpu = this_cpu();
    ASSERT(t != cpu->idle);
    spin_lock(&cpu->rq->lock);
    atomic_store(&t->state, (u32)THREAD_DEAD);
    sched_switch_locked(cpu);
    panic("a dead thread ran");
}

void thread_bury(struct thread *t)
{
    if (keep_stack(t->kstack)) {
        t->kstack = NULL;
        thread_put(t);
        return;
    }
    spin_lock_bh(&spare_lock);
    list_push_back(&late, &t->rt_node);
    work_queue(&late_work); /* with the lock held: it must not make a thread here */
    spin_unlock_bh(&spare_lock);
}

void thread_put(struct thread *t)
{
    if (t == NULL || !ref_put(&t->refs))
        return;
    ASSERT(t->state == THREAD_DEAD || t->state == THREAD_NEW);
    spin_lock_bh(&all_lock);
    list_remove(&t->all_node);
    spin_unlock_bh(&all_lock);
    if (t->kstack != NULL) /* never started */
        stack_free(t->kstack);
    thread_free(t);
}

void thread_for_each(void (*fn)(struct thread *t, void *ctx), void *ctx)
{
    spin_lock_bh(&all_lock);
    list_for_each(t, &all_threads, struct thread, all_node)
        fn(t, ctx);
    spin_unlock_bh(&all_lock);
}
