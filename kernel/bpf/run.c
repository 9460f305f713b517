/* SPDX-License-Identifier: Apache-2.0 */
/* Places where programs run, and their runs: kern/bpf.h. */
#include "bpf_impl.h"

#include "base/str.h"
#include "kern/random.h"
#include "kern/slab.h"
#include "kern/thread.h"

#define INTERVAL_MIN_NS 100000u
#define INTERVAL_MAX_NS (UINT64_MAX / 2) /* now and one more are no overflow */

static struct bpf_cpu *cpus[MAX_CPUS];       /* set once; B2 */
static struct spinlock attach_lock = SPINLOCK_INIT("bpf attach"); /* the lists below; threads only */
static struct bpf_attach *points[TP_COUNT];
struct bpf_calls bpf_call_entries, bpf_call_exits;
u32 bpf_calls_used, bpf_calls_slow; /* attach_lock */
const struct bpf_personality *bpf_personality;

bool bpf_cpus_init(void)
{
    for (unsigned i = 0; i < plat_cpu_count(); i++) {
        struct bpf_cpu *cpu = atomic_load(&cpus[i]) == NULL ? kzalloc(sizeof(*cpu)) : NULL, *none = NULL;
        if (cpu != NULL) {
            cpu->random = random_u64() | 1;
            cpu->top = cpu->stack + sizeof(cpu->stack);
            if (!atomic_cas(&cpus[i], &none, cpu))
                kfree(cpu);
        }
        if (cpus[i] == NULL)
            return false;
    }
    return true;
}

struct bpf_cpu *bpf_this_cpu(void) { return cpus[this_cpu()->cpu]; }

/* --- runs -------------------------------------------------------------------------------------- */

static u64 run_program(struct bpf_cpu *cpu, struct bpf_program *p, const void *ctx)
{
    cpu->program = p;
    p->runs++;
    return p->entry(ctx, cpu->top);
}

u64 bpf_interpreted(const void *ctx, u8 *stack) { return bpf_interpret(&bpf_this_cpu()->program->code, ctx, stack); }

/* The locked operation orders it before the look at the place: B4. */
static ALWAYS_INLINE bool begin_run(struct bpf_cpu *cpu) { return (atomic_or(&cpu->active, 1u) & 1) == 0; }

void bpf_missed(struct bpf_attach *const *place)
{
    for (struct bpf_attach *a = atomic_load(place); a != NULL; a = atomic_load(&a->next))
        a->program->missed++;
}

static ALWAYS_INLINE void run_place(struct bpf_attach *const *place, const void *ctx, const u64 *frame, u64 caller)
{
    u64 flags = plat_events_save();
    struct bpf_cpu *cpu = bpf_this_cpu();
    if (likely(begin_run(cpu))) {
        cpu->frame = frame;
        cpu->caller = caller;
        for (struct bpf_attach *a = atomic_load(place); a != NULL; a = atomic_load(&a->next))
            run_program(cpu, a->program, ctx);
        cpu->frame = NULL;
        atomic_store(&cpu->active, 0u);
    } else {
        bpf_missed(place);
    }
    plat_events_restore(flags);
}

void bpf_run(struct bpf_attach *const *place, const void *ctx, const u64 *frame) { run_place(place, ctx, frame, 0); }
void bpf_run_at_entry(struct bpf_attach *const *place, const void *ctx, u64 caller) { run_place(place, ctx, NULL, caller); }

u64 bpf_run_once(struct bpf_program *p, const void *ctx)
{
    u64 flags = plat_events_save(), result = 0;
    struct bpf_cpu *cpu = bpf_this_cpu();
    begin_run(cpu); /* from a thread: nothing runs here */
    result = run_program(cpu, p, ctx);
    atomic_store(&cpu->active, 0u);
    plat_events_restore(flags);
    return result;
}

/* What every system call passes through while programs count them: nothing here that is not needed. */
void bpf_syscall(struct trap_frame *f)
{
    plat_events_disable();
    struct bpf_cpu *cpu = bpf_this_cpu();
    if (likely(begin_run(cpu))) {
        for (struct bpf_attach *a = atomic_load(&bpf_call_entries.all[true]); a != NULL; a = atomic_load(&a->next))
            run_program(cpu, a->program, f);
        atomic_store(&cpu->active, 0u);
    } else {
        bpf_missed(&bpf_call_entries.all[true]);
    }
    plat_events_enable();
    if (unlikely(atomic_load_relaxed(&bpf_calls_slow) != 0))
        bpf_personality->slow_call(f);
    else
        bpf_personality->call(f);
}

void bpf_quiesce(void)
{
    atomic_fence();
    for (unsigned i = 0; i < MAX_CPUS && cpus[i] != NULL; i++)
        while (atomic_load(&cpus[i]->active) != 0)
            plat_relax();
}

/* --- contexts ------------------------------------------------------------------------------------- */

u32 bpf_ctx_size(u32 ctx)
{
    static const u32 sizes[] = { [BPFD_CTX_POINT] = sizeof(struct bpfd_point_ctx), [BPFD_CTX_CALL_ENTRY] = sizeof(struct bpfd_call_entry_ctx),
                                 [BPFD_CTX_CALL_EXIT] = sizeof(struct bpfd_call_exit_ctx), [BPFD_CTX_REGS] = sizeof(struct bpfd_regs_ctx) };
    return ctx < ARRAY_SIZE(sizes) ? sizes[ctx] : 0;
}

static u32 ctx_of_place(u32 where)
{
    static const u32 ctx[] = { [BPFD_AT_POINT] = BPFD_CTX_POINT, [BPFD_AT_CALL_ENTRY] = BPFD_CTX_CALL_ENTRY, [BPFD_AT_CALL_EXIT] = BPFD_CTX_CALL_EXIT,
                               [BPFD_AT_INTERVAL] = BPFD_CTX_REGS, [BPFD_AT_PROFILE] = BPFD_CTX_REGS, [BPFD_AT_FUNCTION] = BPFD_CTX_REGS,
                               [BPFD_AT_RETURN] = BPFD_CTX_REGS };
    return where < ARRAY_SIZE(ctx) ? ctx[where] : 0;
}

static void at_point(enum trace_point point, const u64 *fields, const u64 *frame)
{
    struct bpfd_point_ctx ctx = { 0 };
    u32 pid = 0, tid = 0;
    if (atomic_load(&points[point]) == NULL)
        return;
    if (trace_who != NULL)
        trace_who(&pid, &tid);
    ctx.common.pid = (s32)tid;
    memcpy(ctx.fields, fields, sizeof(ctx.fields));
    bpf_run(&points[point], &ctx, frame);
}

/* --- timers ----------------------------------------------------------------------------------------- */

struct cpu_timer {
    struct ktimer timer;
    struct bpf_timers *all;
    u64 next_ns;
};

struct bpf_timers {
    struct bpf_attach *place;  /* the attachment alone */
    u64 period_ns;
    bool profile;
    bool stopping;             /* atomic */
    unsigned ntimers;
    struct cpu_timer of_cpu[];
};

static void run_timer(struct bpf_timers *all)
{
    struct thread *t = current_thread();
    struct bpfd_regs_ctx ctx = { 0 };
    if (all->profile && t == this_cpu()->idle)
        return;
    if (t->user && t->as != NULL && bpf_personality != NULL)
        bpf_personality->registers(thread_frame(t), &ctx);
    ctx.sample_period = all->period_ns;
    bpf_run(&all->place, &ctx, __builtin_frame_address(0));
}

static void tick(struct ktimer *timer)
{
    struct cpu_timer *t = container_of(timer, struct cpu_timer, timer);
    run_timer(t->all);
    u64 now = now_ns();
    t->next_ns += t->all->period_ns * ((now - MIN(now, t->next_ns)) / t->all->period_ns + 1);
    if (!atomic_load(&t->all->stopping))
        ktimer_start(timer, t->next_ns);
}

static void start_here(void *arg)
{
    struct bpf_timers *all = arg;
    struct cpu_timer *t = &all->of_cpu[all->ntimers++];
    t->all = all;
    t->next_ns = now_ns() + all->period_ns;
    ktimer_init(&t->timer, tick);
    ktimer_start(&t->timer, t->next_ns);
}

static int start_timers(struct bpf_attach *a, u64 period_ns)
{
    struct bpf_timers *all = kzalloc(sizeof(*all) + plat_cpu_count() * sizeof(all->of_cpu[0]));
    if (all == NULL)
        return -ENOMEM;
    all->place = a;
    all->period_ns = period_ns;
    all->profile = a->want.where == BPFD_AT_PROFILE;
    a->timers = all;
    if (all->profile)
        sched_on_each_cpu(start_here, all);
    else
        start_here(all);
    return 0;
}

static void stop_timers(struct bpf_attach *a)
{
    struct bpf_timers *all = a->timers;
    atomic_store(&all->stopping, true);
    for (unsigned i = 0; i < all->ntimers; i++)
        ktimer_cancel_sync(&all->of_cpu[i].timer);
    kfree(all);
    a->timers = NULL;
}

/* --- attaching ----------------------------------------------------------------------------------------- */

/* The list that it is to be on; NULL: it has none. */
static struct bpf_attach **place_of(const struct bpf_attach *a)
{
    const struct bpfd_attach *want = &a->want;
    bool on_frame = a->program->code.on_frame;
    struct bpf_calls *calls = want->where == BPFD_AT_CALL_ENTRY ? &bpf_call_entries : &bpf_call_exits;
    switch (want->where) {
    case BPFD_AT_POINT: return want->number < TP_COUNT ? &points[want->number] : NULL;
    case BPFD_AT_CALL_ENTRY:
    case BPFD_AT_CALL_EXIT: return want->number == BPFD_ALL_CALLS ? &calls->all[on_frame] : want->number < BPF_CALLS ? &calls->one[on_frame][want->number] : NULL;
    default: return NULL;
    }
}

static void count_calls(const struct bpf_attach *a, int by)
{
    bool slow = a->want.where != BPFD_AT_CALL_ENTRY || a->want.number != BPFD_ALL_CALLS || !a->program->code.on_frame;
    spin_lock(&attach_lock);
    bool changed = bpf_calls_used == 0 || (bpf_calls_used == 1 && by < 0);
    atomic_store(&bpf_calls_slow, bpf_calls_slow + (u32)(slow ? by : 0));
    atomic_store(&bpf_calls_used, bpf_calls_used + (u32)by);
    spin_unlock(&attach_lock);
    if (changed && bpf_personality != NULL)
        bpf_personality->watch_calls();
}

static void want_place(const struct bpf_attach *a, int by)
{
    if (a->want.where == BPFD_AT_POINT)
        trace_point_want(a->want.number, by);
    else
        count_calls(a, by);
}

void bpf_place_add(struct bpf_attach **place, struct bpf_attach *a)
{
    spin_lock(&attach_lock);
    a->next = *place;
    atomic_store(place, a);
    spin_unlock(&attach_lock);
}

void bpf_place_remove(struct bpf_attach **place, struct bpf_attach *a)
{
    spin_lock(&attach_lock);
    while (*place != a)
        place = &(*place)->next;
    atomic_store(place, a->next);
    spin_unlock(&attach_lock);
}

static int attach_function(struct bpf_attach *a, const char *path, const char **ret_why)
{
    bool returns = a->want.where == BPFD_AT_RETURN;
    a->of_file = path[0] != '\0';
    if (a->of_file && bpf_personality == NULL)
        return -EOPNOTSUPP;
    if ((a->want.flags & ~(a->of_file ? BPFD_FUNCTION_BEGINS : 0u)) != 0)
        return -EINVAL;
    struct bpf_function_place place = { .path = path, .offset = a->want.value, .returns = returns, .begins = returns || a->want.flags != 0 };
    return a->of_file ? bpf_personality->attach(a, &place, &a->probe, ret_why) : kprobe_attach(a, a->want.value, returns, ret_why);
}

int bpf_attach(struct bpf_attach *a, const char *path, const char **ret_why)
{
    const struct bpfd_attach *w = &a->want;
    struct bpf_attach **place = place_of(a);
    *ret_why = "no such place, or a program for another kind of context";
    if (ctx_of_place(w->where) != a->program->ctx)
        return -EINVAL;
    if (w->where == BPFD_AT_FUNCTION || w->where == BPFD_AT_RETURN)
        return attach_function(a, path, ret_why);
    if (path[0] != '\0' || w->flags != 0)
        return -EINVAL;
    if (place != NULL) {
        trace_programs = at_point;
        bpf_place_add(place, a);
        want_place(a, 1);
        return 0;
    }
    *ret_why = "a timer's period, or how often a second";
    if (w->where == BPFD_AT_INTERVAL && w->number == 0 && w->value >= INTERVAL_MIN_NS && w->value <= INTERVAL_MAX_NS)
        return start_timers(a, w->value);
    if (w->where == BPFD_AT_PROFILE && w->value == 0 && w->number != 0 && w->number <= BPFD_HZ_MAX)
        return start_timers(a, NSEC_PER_SEC / w->number);
    return -EINVAL;
}

void bpf_detach(struct bpf_attach *a)
{
    if (a->timers != NULL) {
        stop_timers(a);
    } else if (a->of_file) {
        bpf_personality->detach(a, a->probe, a->want.where == BPFD_AT_RETURN);
    } else if (a->probe != NULL) {
        kprobe_detach(a);
    } else {
        want_place(a, -1);
        bpf_place_remove(place_of(a), a);
        bpf_quiesce();
    }
}
