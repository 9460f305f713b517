/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scheduler. Each CPU runs the highest real-time thread, else the fair
 * thread with the smallest virtual runtime (CPU time divided by weight), else its
 * idle thread. There is no tick: switches happen when a thread blocks, when
 * the slice timer or a wake-up sets need_resched and the thread is about to return
 * to its program (or calls cond_resched()).
 *
 * A wake-up reads no clock: the time at which the running thread has to give way
 * follows from when it started to run, so the slice timer is set to that;
 * a thread that is behind already preempts at once.
 */
#include "sched_impl.h"

#include "kern/addrspace.h"
#include "kern/bh.h"
#include "kern/slab.h"
#include "kern/trace.h"
#include "kern/trap.h"

u64 cpus_online;
static u64 cpus_idle; /* atomic: S5 */
void (*thread_waited)(u64 ns);
void (*cpu_awakes)(void);
bool sched_several;

static struct runqueue boot_rq;
static struct thread boot_idle;

/* 1024 for nice 0, a factor of 1.25 for each step (sched(7): "the nice value"). */
static u32 weight_of(u8 policy, int nice)
{
    if (policy == POLICY_IDLE)
        return 3;
    u64 w = 1024ULL << 20;
    for (; nice > 0; nice--)
        w = w * 4 / 5;
    for (; nice < 0; nice++)
        w = w * 5 / 4;
    return (u32)(w >> 20);
}

static u64 virtual_ns(const struct thread *t, u64 ns)
{
    return t->weight == 1024 ? ns : ns * 1024 / t->weight;
}

struct runqueue *thread_rq_lock(struct thread *t, u64 *ret_flags)
{
    for (;;) {
        u64 flags = plat_events_save();
        u32 cpu = atomic_load_relaxed(&t->cpu);
        struct runqueue *rq = percpu_table[cpu]->rq;
        spin_lock(&rq->lock);
        if (likely(t->cpu == cpu)) {
            *ret_flags = flags;
            return rq;
        }
        spin_unlock(&rq->lock);
        plat_events_restore(flags);
    }
}

/* --- queues ----------------------------------------------------------------- */

static struct thread *fair_first(const struct runqueue *rq)
{
    return rq->leftmost != NULL ? rb_entry(rq->leftmost, struct thread, rq_node) : NULL;
}

static struct thread *rt_first(const struct runqueue *rq)
{
    return list_empty(&rq->rt) ? NULL : list_first(&rq->rt, struct thread, rt_node);
}

static void enqueue_rt(struct runqueue *rq, struct thread *t, bool ahead)
{
    struct list *at = &rq->rt;
    list_for_each(other, &rq->rt, struct thread, rt_node) {
        if (prio_of(other) < prio_of(t) || (ahead && prio_of(other) == prio_of(t))) {
            at = &other->rt_node;
            break;
        }
    }
    list_insert_before(at, &t->rt_node);
}

static void enqueue_fair(struct runqueue *rq, struct thread *t)
{
    struct rb_node **link = &rq->fair.node, *parent = NULL;
    bool leftmost = true;
    while (*link != NULL) {
        parent = *link;
        if (t->vruntime_ns < rb_entry(parent, struct thread, rq_node)->vruntime_ns) {
            link = &parent->left;
        } else {
            link = &parent->right;
            leftmost = false;
        }
    }
    rb_link(&t->rq_node, parent, link);
    rb_insert_fixup(&rq->fair, &t->rq_node);
    if (leftmost)
        rq->leftmost = &t->rq_node;
}

/* `ahead`: a preempted real-time thread stays first of its priority. */
static void enqueue(struct runqueue *rq, struct thread *t, bool ahead)
{
    if (unlikely(atomic_load_relaxed(&thread_waited) != NULL) && t->ready_ns == 0)
        t->ready_ns = plat_now_ns();
    if (is_rt(t))
        enqueue_rt(rq, t, ahead);
    else
        enqueue_fair(rq, t);
    t->on_rq = true;
    rq->nr_ready++;
}

static void dequeue(struct runqueue *rq, struct thread *t)
{
    if (is_rt(t)) {
        list_remove(&t->rt_node);
    } else {
        if (rq->leftmost == &t->rq_node)
            rq->leftmost = rb_next(&t->rq_node);
        rb_remove(&rq->fair, &t->rq_node);
    }
    t->on_rq = false;
    rq->nr_ready--;
}

/* Charge the running thread for its time. */
static void charge(struct percpu *cpu, struct thread *t, u64 now)
{
    u64 delta = now - t->exec_start_ns;
    t->exec_start_ns = now;
    if (t == cpu->idle) {
        void (*told)(void) = atomic_load_relaxed(&cpu_awakes);
        cpu->stats[STAT_IDLE_NS] += delta;
        if (told != NULL)
            told();
        return;
    }
    t->cpu_ns += delta;
    if (is_rt(t))
        return;
    t->vruntime_ns += virtual_ns(t, delta);
    struct runqueue *rq = cpu->rq;
    struct thread *first = fair_first(rq);
    u64 min = first != NULL ? MIN(first->vruntime_ns, t->vruntime_ns) : t->vruntime_ns;
    if (min > rq->min_vruntime_ns)
        rq->min_vruntime_ns = min;
}

/* --- preemption ------------------------------------------------------------- */

static void resched_cpu(struct percpu *cpu)
{
    atomic_store(&cpu->need_resched, true);
    if (cpu != this_cpu())
        plat_cpu_kick(cpu->cpu);
}

/* S4 for this CPU: `t` has become READY beside the running thread. rq lock held. */
static void set_slice_for(struct percpu *cpu, const struct thread *t)
{
    const struct thread *cur = cpu->current;
    u64 end;
    if (is_rt(cur) && !is_rt(t)) {
        end = cpu->rq->fair_due_ns;
    } else if (is_rt(cur)) {
        if (cur->policy != POLICY_RR || prio_of(t) != prio_of(cur))
            return;
        end = cur->exec_start_ns + RR_SLICE_NS;
    } else {
        s64 lead = (s64)(t->vruntime_ns + WAKE_LEAD_NS - cur->vruntime_ns);
        if (lead <= 0) {
            resched_cpu(cpu);
            return;
        }
        end = cur->exec_start_ns + MIN((u64)lead * cur->weight / 1024, SLICE_NS);
    }
    if (end < cpu->timers->slice_ns)
        timer_set_slice(end);
}

/* S5; a word that all CPUs read is written only when it changes. */
static void set_cpu_idle(unsigned cpu, bool idle)
{
    u64 bit = 1ULL << cpu;
    if (((atomic_load_relaxed(&cpus_idle) & bit) != 0) == idle)
        return;
    if (idle)
        atomic_or(&cpus_idle, bit);
    else
        atomic_and(&cpus_idle, ~bit);
}

/* `t` has just been queued on cpu. */
static void check_preempt(struct percpu *cpu, struct thread *t)
{
    const struct thread *cur = cpu->current;
    if (cur == cpu->idle)
        set_cpu_idle(cpu->cpu, false);
    bool now = cur == cpu->idle || (is_rt(t) && (!is_rt(cur) || prio_of(t) > prio_of(cur))) ||
               (cur->policy == POLICY_IDLE && t->policy != POLICY_IDLE);
    if (now)
        resched_cpu(cpu);
    else if (cpu == this_cpu())
        set_slice_for(cpu, t);
    else
        plat_cpu_kick(cpu->cpu);
}

void cpu_kicked(void)
{
    struct percpu *cpu = this_cpu();
    bh_take_remote();
    u64 flags = spin_lock_irqsave(&cpu->rq->lock);
    struct thread *rt = rt_first(cpu->rq), *fair = fair_first(cpu->rq);
    if (cpu->current == cpu->idle)
        cpu->need_resched = true;
    else if (rt != NULL)
        set_slice_for(cpu, rt);
    if (fair != NULL && (rt == NULL || is_rt(cpu->current)))
        set_slice_for(cpu, fair);
    spin_unlock_irqrestore(&cpu->rq->lock, flags);
}

/* --- placement ---------------------------------------------------------------- */

static bool cpu_allowed(const struct thread *t, unsigned cpu)
{
    return (t->affinity >> cpu & 1) != 0;
}

static u64 cpus_for(const struct thread *t)
{
    u64 online = atomic_load_relaxed(&cpus_online), mask = online & t->affinity;
    return mask != 0 ? mask : online;
}

/* The CPU of the mask with the least urgent thread, if that is less urgent than t. */
static unsigned choose_for_rt(const struct thread *t, u64 mask, unsigned otherwise)
{
    unsigned best = otherwise, least = prio_of(t);
    for (; mask != 0; mask &= mask - 1) {
        unsigned cpu = (unsigned)__builtin_ctzll(mask), prio = atomic_load_relaxed(&percpu_table[cpu]->rq->rt_running);
        if (prio < least) {
            least = prio;
            best = cpu;
        }
    }
    return best;
}

/* Where a thread that becomes READY should run: where it ran, or else on an idle CPU, or in place of a less urgent thread. */
static unsigned choose_cpu(const struct thread *t)
{
    u64 mask = cpus_for(t);
    if (likely((mask & (mask - 1)) == 0))
        return (unsigned)__builtin_ctzll(mask);
    u64 idle = mask & atomic_load_relaxed(&cpus_idle);
    if (idle != 0)
        return (idle >> t->cpu & 1) != 0 ? t->cpu : (unsigned)__builtin_ctzll(idle);
    unsigned here = (mask >> t->cpu & 1) != 0 ? t->cpu : (unsigned)__builtin_ctzll(mask);
    return is_rt(t) ? choose_for_rt(t, mask, here) : here;
}

/* Where the thread that gives up `cpu`, and wants to go on, should do so: on an idle CPU, and from time to time on one with less to do, so
 * that three threads on two CPUs have the same shares, but not behind a real-time thread. Only then are the other CPUs' run queues looked
 * at: they change all the time. */
static unsigned choose_next_cpu(struct percpu *cpu, const struct thread *t)
{
    struct runqueue *rq = cpu->rq;
    u64 mask = cpus_for(t);
    if (unlikely((mask >> cpu->cpu & 1) == 0))
        return choose_cpu(t);
    if (rq->nr_ready == 0)
        return cpu->cpu;
    u64 idle = mask & atomic_load_relaxed(&cpus_idle);
    if (idle != 0)
        return (unsigned)__builtin_ctzll(idle);
    if (is_rt(t))
        return choose_for_rt(t, mask, cpu->cpu);
    u64 now = t->exec_start_ns; /* charge() has set it */
    if (now < rq->balance_ns)
        return cpu->cpu;
    unsigned best = cpu->cpu, least = rq->nr_ready + 1;
    for (; mask != 0; mask &= mask - 1) {
        struct percpu *other = percpu_table[__builtin_ctzll(mask)];
        unsigned load = atomic_load_relaxed(&other->rq->nr_ready) + (atomic_load_relaxed(&other->current) != other->idle);
        if (other != cpu && load < least && atomic_load_relaxed(&other->rq->rt_running) == 0) {
            least = load;
            best = other->cpu;
        }
    }
    rq->balance_ns = now + (best != cpu->cpu ? BALANCE_NS : BALANCE_LOOK_NS);
    return best;
}

static u64 rebase(u64 vruntime, const struct runqueue *from, const struct runqueue *to)
{
    u64 lag = vruntime - from->min_vruntime_ns; /* modulo 2^64 */
    return to->min_vruntime_ns + lag;
}

/* A READY thread that is off every queue goes from rq, whose lock is held, to that of `target`, whose lock is held then. */
static struct runqueue *carry(struct thread *t, struct runqueue *rq, unsigned target)
{
    struct runqueue *to = percpu_table[target]->rq;
    t->vruntime_ns = rebase(t->vruntime_ns, rq, to);
    atomic_store(&t->cpu, target); /* from here on the other lock guards it */
    spin_unlock(&rq->lock);
    spin_lock(&to->lock);
    return to;
}

static void make_ready_on(struct thread *t, struct runqueue *rq, unsigned target, u64 flags)
{
    t->state = THREAD_READY;
    if (unlikely(target != t->cpu))
        rq = carry(t, rq, target);
    while (unlikely((cpus_for(t) >> t->cpu & 1) == 0)) /* thread_set_affinity() came between the locks */
        rq = carry(t, rq, choose_cpu(t));
    struct percpu *cpu = percpu_table[t->cpu];
    u64 floor = rq->min_vruntime_ns - SLEEP_CREDIT_NS;
    if (t->vruntime_ns < floor)
        t->vruntime_ns = floor;
    enqueue(rq, t, false);
    check_preempt(cpu, t);
    spin_unlock_irqrestore(&rq->lock, flags);
}

void sched_make_ready(struct thread *t, struct runqueue *rq, u64 flags) { make_ready_on(t, rq, choose_cpu(t), flags); }

/* An idle CPU takes a thread from the longest queue. Its own lock is held and may be dropped meanwhile. */
static void steal(struct percpu *cpu)
{
    struct runqueue *rq = cpu->rq, *victim = NULL;
    for (u64 m = atomic_load_relaxed(&cpus_online); m != 0; m &= m - 1) {
        struct runqueue *other = percpu_table[__builtin_ctzll(m)]->rq;
        if (other != rq && other->nr_ready > (victim != NULL ? victim->nr_ready : 0))
            victim = other;
    }
    if (victim == NULL || !spin_trylock(&victim->lock)) /* try: so the order of the two does not matter */
        return;
    struct thread *t = NULL;
    list_for_each(other, &victim->rt, struct thread, rt_node)
        if (cpu_allowed(other, cpu->cpu)) {
            t = other;
            break;
        }
    for (struct rb_node *n = rb_last(&victim->fair); t == NULL && n != NULL; n = rb_prev(n))
        if (cpu_allowed(rb_entry(n, struct thread, rq_node), cpu->cpu))
            t = rb_entry(n, struct thread, rq_node);
    if (t != NULL) {
        dequeue(victim, t);
        t->vruntime_ns = rebase(t->vruntime_ns, victim, rq);
        atomic_store(&t->cpu, cpu->cpu);
        enqueue(rq, t, false);
    }
    spin_unlock(&victim->lock);
}

/* --- the switch --------------------------------------------------------------- */

static void switch_address_space(struct percpu *cpu, const struct thread *next)
{
    struct addrspace *as = next->as;
    if (as == NULL && single_cpu())
        return; /* kernel threads keep what is loaded; thread_switch_as() unloads what goes away */
    if (as != cpu->as) {
        plat_aspace_switch(as != NULL ? &as->plat : NULL);
        cpu->as = as;
    }
}

/* On the new thread, after the switch. Events disabled, and left so. */
static struct thread *finish_switch(void)
{
    struct runqueue *rq = this_cpu()->rq;
    struct thread *dead = rq->dead, *moving = rq->carry;
    rq->dead = rq->carry = NULL;
    if (unlikely(moving != NULL)) {
        u64 flags = plat_events_save();
        make_ready_on(moving, rq, rq->carry_to, flags); /* unlocks */
    } else {
        spin_unlock(&rq->lock);
    }
    return dead;
}

/* Queue or drop the thread that gives up the CPU. */
static void put_previous(struct percpu *cpu, struct thread *t)
{
    struct runqueue *rq = cpu->rq;
    bool yielding = rq->yielding;
    rq->yielding = false;
    if (t == cpu->idle)
        return;
    if (t->state == THREAD_DEAD) {
        rq->dead = t;
        t->switches_voluntary++;
        return;
    }
    if (t->state == THREAD_BLOCKED) {
        t->switches_voluntary++;
        return;
    }
    t->state = THREAD_READY; /* a BLOCKING one too: it takes that as a wake-up */
    unsigned to = single_cpu() ? cpu->cpu : choose_next_cpu(cpu, t);
    if (unlikely(to != cpu->cpu)) {
        rq->carry = t;
        rq->carry_to = to;
        return;
    }
    bool expired = t->policy == POLICY_RR && cpu->timers->slice_ns == NEVER_NS;
    enqueue(rq, t, !yielding && !expired);
}

static struct thread *pick(struct percpu *cpu, u64 now)
{
    struct runqueue *rq = cpu->rq;
    struct thread *t = rt_first(rq);
    rq->fair_turn = t != NULL && rq->leftmost != NULL && now >= rq->fair_due_ns;
    if (t == NULL || rq->fair_turn)
        t = fair_first(rq);
    if (t != NULL)
        dequeue(rq, t);
    return t != NULL ? t : cpu->idle;
}

static void start_slice(struct percpu *cpu, struct thread *t, u64 now)
{
    struct runqueue *rq = cpu->rq;
    u64 slice = NEVER_NS;
    if (rq->nr_ready != 0 && t != cpu->idle) {
        if (!is_rt(t))
            slice = now + SLICE_NS;
        else if (rq->leftmost != NULL)
            slice = rq->fair_due_ns;
        if (t->policy == POLICY_RR && rt_first(rq) != NULL && prio_of(rt_first(rq)) == prio_of(t))
            slice = MIN(slice, now + RR_SLICE_NS);
    }
    if (unlikely(cpu->bh_hold))
        slice = MIN(slice, cpu->bh_hold_until_ns);
    timer_set_slice(slice);
}

static void tell_wait(struct thread *t, u64 now)
{
    void (*told)(u64) = atomic_load_relaxed(&thread_waited);
    if (told != NULL)
        told(now - MIN(t->ready_ns, now));
    t->ready_ns = 0;
}

/* Did its program enter the kernel by a system call? By anything else, a fault included, it is interrupted. */
static bool makes_call(struct thread *t) { return FRAME_SYSCALL_NR(thread_frame(t)) >= 0; }

void sched_switch_locked(struct percpu *cpu)
{
    struct thread *prev = cpu->current;
    ASSERT(cpu->bh_disabled == 0 && cpu->irq_depth == 0);
    u64 now = plat_now_ns();
    charge(cpu, prev, now);
    atomic_store_relaxed(&cpu->need_resched, !list_empty(&cpu->bh_pending) && !cpu->bh_hold); /* B1 in core/bh.c */
    put_previous(cpu, prev);
    if (!is_rt(prev) && (!cpu->rq->fair_turn || now - cpu->rq->fair_due_ns >= FAIR_TURN_NS))
        cpu->rq->fair_due_ns = now + RT_ALONE_NS;
    struct thread *next = pick(cpu, now);
    if (next == cpu->idle && !single_cpu()) {
        steal(cpu);
        next = pick(cpu, now);
    }
    if ((next == cpu->idle || prev == cpu->idle) && !single_cpu())
        set_cpu_idle(cpu->cpu, next == cpu->idle);
    next->state = THREAD_RUNNING;
    next->exec_start_ns = now;
    if (unlikely(next->ready_ns != 0))
        tell_wait(next, now);
    cpu->rq->rt_running = prio_of(next);
    start_slice(cpu, next, now);
    if (next == prev) {
        spin_unlock(&cpu->rq->lock);
        return;
    }
    cpu->stats[STAT_SWITCHES]++;
    TRACE(SCHED_SWITCH, prev->id, prev->state, (u64)prev->name, next->id, next->rt_prio, (u64)next->name);
    if (prev->state == THREAD_READY)
        prev->switches_forced++;
    if (prev->told_cpu != 0 && !makes_call(prev))
        atomic_or(&prev->exit_work, EXIT_RSEQ);
    if (prev->user) {
        arch_tls_save(&prev->tls);
        fpu_switch_out(cpu, prev);
    }
    switch_address_space(cpu, next);
    if (next->user)
        arch_tls_load(&next->tls);
    if (unlikely(next->told_cpu != 0 && next->told_cpu != cpu->cpu + 1))
        atomic_or(&next->exit_work, EXIT_RSEQ);
    atomic_store_relaxed(&cpu->current, next);
    cpu->kernel_sp = (u64)(uintptr_t)next->kstack + KSTACK_SIZE;
    arch_switch(&prev->ctx, &next->ctx);
    struct thread *dead = finish_switch(); /* perhaps on another CPU */
    if (unlikely(dead != NULL)) {
        plat_events_enable(); /* who switches may sleep, so events were enabled before */
        thread_bury(dead);
        plat_events_disable();
    }
}

void sched_first_run(void)
{
    struct thread *dead = finish_switch();
    plat_events_enable();
    if (dead != NULL)
        thread_bury(dead);
}

static void reschedule(bool yielding)
{
    u64 flags = plat_events_save();
    struct percpu *cpu = this_cpu();
    struct runqueue *rq = cpu->rq;
    spin_lock(&rq->lock);
    rq->yielding = yielding;
    struct thread *self = cpu->current, *first = yielding ? fair_first(rq) : NULL;
    if (first != NULL && !is_rt(self) && first->vruntime_ns > self->vruntime_ns)
        self->vruntime_ns = first->vruntime_ns;
    sched_switch_locked(cpu);
    plat_events_restore(flags);
}

void sched_resched(void)
{
    struct percpu *cpu = this_cpu();
    if (!list_empty(&cpu->bh_pending))
        bh_run_pending();
    if (atomic_load_relaxed(&cpu->need_resched) && cpu->rq != NULL)
        reschedule(false);
}

bool cond_resched(void)
{
    struct percpu *cpu = this_cpu();
    if (unlikely(atomic_load_relaxed(&cpu->need_resched)) && cpu->bh_disabled == 0)
        sched_resched();
    return (atomic_load_relaxed(&current_thread()->exit_work) & EXIT_KILL) == 0;
}

void sched_yield_cpu(void)
{
    struct percpu *cpu = this_cpu();
    if (cpu->rq->nr_ready != 0 || cpu->need_resched)
        reschedule(true);
}

void sched_idle_loop(void)
{
    for (;;) {
        struct percpu *cpu = this_cpu();
        cpu->bh_hold = false;
        bh_run_pending();
        plat_events_disable();
        if (!list_empty(&cpu->bh_pending)) {
            plat_events_enable();
            if (cpu->rq->nr_ready != 0)
                reschedule(false);
            continue;
        }
        if (cpu->need_resched || cpu->rq->nr_ready != 0) {
            plat_events_enable();
            reschedule(false);
            continue;
        }
        plat_idle();
    }
}

/* --- start -------------------------------------------------------------------- */

static void start_cpu(struct percpu *cpu, struct runqueue *rq, struct thread *idle)
{
    spin_init(&rq->lock, "run queue");
    list_init(&rq->rt);
    rq->min_vruntime_ns = VRUNTIME_START;
    thread_set_up_idle(idle, cpu->cpu);
    if (cpu->kernel_sp != 0)
        idle->kstack = (void *)(uintptr_t)(cpu->kernel_sp - KSTACK_SIZE);
    idle->exec_start_ns = cpu->cpu == 0 ? plat_now_ns() : 0; /* a CPU that was not there was idle */
    if (cpu->timers == NULL)
        timer_init_cpu(cpu, &rq->timers);
    cpu->idle = idle;
    cpu->current = idle;
    atomic_store(&cpu->rq, rq);
    set_cpu_idle(cpu->cpu, true);
    atomic_or(&cpus_online, 1ULL << cpu->cpu);
}

void sched_init(void)
{
    thread_init_subsystem();
    start_cpu(this_cpu(), &boot_rq, &boot_idle);
}

bool cpu_online(unsigned number) { return (atomic_load(&cpus_online) >> number & 1) != 0; }

void sched_expect_cpus(void) { atomic_store(&sched_several, true); }

void sched_init_cpu(unsigned number)
{
    sched_expect_cpus();
    struct percpu *cpu = percpu_table[number];
    struct runqueue *rq = kzalloc(sizeof *rq);
    struct thread *idle = kzalloc(sizeof *idle);
    if (rq == NULL || idle == NULL)
        panic("no memory for CPU %u", number);
    start_cpu(cpu, rq, idle);
}

/* --- policies ----------------------------------------------------------------- */

/* What orders the queue changes while the thread is out of it; of several changes at once each is of its own field. */
struct change {
    struct runqueue *rq;
    u64 flags;
    bool queued;
};

static void change_begin(struct thread *t, struct change *c)
{
    c->rq = thread_rq_lock(t, &c->flags);
    c->queued = t->on_rq;
    struct percpu *cpu = percpu_table[t->cpu];
    if (cpu->current == t)
        charge(cpu, t, plat_now_ns());
    if (c->queued)
        dequeue(c->rq, t);
}

static void change_end(struct thread *t, const struct change *c)
{
    struct runqueue *rq = c->rq;
    struct percpu *cpu = percpu_table[t->cpu];
    t->weight = weight_of(t->policy, t->nice);
    if (cpu->current == t)
        rq->rt_running = prio_of(t);
    if (!is_rt(t) && t->vruntime_ns < rq->min_vruntime_ns)
        t->vruntime_ns = rq->min_vruntime_ns;
    if (c->queued) {
        enqueue(rq, t, false);
        check_preempt(cpu, t);
    } else if (cpu->current == t && rq->nr_ready != 0) {
        resched_cpu(cpu);
    }
    spin_unlock_irqrestore(&rq->lock, c->flags);
}

int thread_set_policy(struct thread *t, u8 policy, u8 rt_prio)
{
    bool rt = policy == POLICY_FIFO || policy == POLICY_RR;
    if (!rt && policy != POLICY_OTHER && policy != POLICY_BATCH && policy != POLICY_IDLE)
        return -EINVAL;
    if (rt ? rt_prio < 1 || rt_prio > 99 : rt_prio != 0)
        return -EINVAL;
    struct change c;
    change_begin(t, &c);
    t->policy = policy;
    t->rt_prio = rt_prio;
    change_end(t, &c);
    pi_priority_changed(t);
    return 0;
}

void thread_set_boost(struct thread *t, u8 prio)
{
    struct change c;
    change_begin(t, &c);
    t->boost = prio;
    change_end(t, &c);
}

void thread_set_nice(struct thread *t, int nice)
{
    struct change c;
    change_begin(t, &c);
    t->nice = (s8)(nice < -20 ? -20 : nice > 19 ? 19 : nice);
    change_end(t, &c);
}

int thread_set_affinity(struct thread *t, u64 mask)
{
    if ((mask & atomic_load_relaxed(&cpus_online)) == 0)
        return -EINVAL;
    u64 flags;
    struct runqueue *rq = thread_rq_lock(t, &flags);
    t->affinity = mask;
    if (cpu_allowed(t, t->cpu)) {
        spin_unlock_irqrestore(&rq->lock, flags);
    } else if (t->on_rq) {
        dequeue(rq, t);
        sched_make_ready(t, rq, flags);
    } else {
        if (percpu_table[t->cpu]->current == t)
            resched_cpu(percpu_table[t->cpu]);
        spin_unlock_irqrestore(&rq->lock, flags);
    }
    return 0;
}

bool thread_at_rest(struct thread *t)
{
    u64 flags;
    struct runqueue *rq = thread_rq_lock(t, &flags);
    bool rests = percpu_table[t->cpu]->current != t; /* S2 */
    spin_unlock_irqrestore(&rq->lock, flags);
    return rests;
}

void sched_on_each_cpu(void (*fn)(void *arg), void *arg)
{
    struct thread *self = current_thread();
    u64 affinity = self->affinity;
    for (unsigned cpu = 0; cpu < MAX_CPUS && percpu_table[cpu] != NULL; cpu++) {
        if (thread_set_affinity(self, 1ULL << cpu) != 0)
            continue;
        sched_yield_cpu();
        fn(arg);
    }
    (void)thread_set_affinity(self, affinity);
}

u64 thread_cpu_ns(struct thread *t)
{
    u64 flags;
    struct runqueue *rq = thread_rq_lock(t, &flags);
    u64 ns = t->cpu_ns;
    if (percpu_table[t->cpu]->current == t)
        ns += plat_now_ns() - t->exec_start_ns;
    spin_unlock_irqrestore(&rq->lock, flags);
    return ns;
}

u64 cpu_idle_ns(unsigned number)
{
    u64 now = plat_now_ns();
    struct percpu *cpu = atomic_load(&percpu_table[number]);
    if (cpu == NULL || cpu->rq == NULL)
        return now;
    u64 flags = spin_lock_irqsave(&cpu->rq->lock);
    u64 ns = cpu->stats[STAT_IDLE_NS];
    if (cpu->current == cpu->idle)
        ns += plat_now_ns() - cpu->idle->exec_start_ns;
    spin_unlock_irqrestore(&cpu->rq->lock, flags);
    return ns;
}

void thread_switch_as(struct addrspace *as)
{
    u64 flags = plat_events_save();
    struct percpu *cpu = this_cpu();
    cpu->current->as = as;
    if (cpu->as != as) {
        plat_aspace_switch(as != NULL ? &as->plat : NULL);
        cpu->as = as;
    }
    plat_events_restore(flags);
}
