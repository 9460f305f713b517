/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The test platform: CPUs, events, the clock.
 *
 * One host thread runs everything. A virtual CPU that does not have it is parked
 * inside sim_switch_cpu(), on the stack of whatever kernel thread it was running.
 * Events (timer, kick, simulated interrupts) are delivered where a CPU enables
 * events and at "points" (sim_point(): every spinlock, every plat_relax(), some basic blocks of the kernel), with some
 * randomness by the seed; an idle CPU takes them at once. So a run is a
 * function of the seed and the test.
 */
#include "sim.h"

#include "base/fmt.h"
#include "base/str.h"
#include "kern/core.h"
#include "kern/device.h"
#include "kern/futex.h"
#include "kern/log.h"
#include "kern/page.h"
#include "kern/random.h"
#include "kern/slab.h"
#include "kern/trap.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BLOCKS_PER_POINT 64u

struct sim_event {
    struct sim_event *next; /* by time */
    u64 at_ns;
    void (*fn)(void *);
    void *arg;
};

struct sim_config sim_config;
u64 sim_now_ns;
struct percpu *sim_cpu;
struct percpu *sim_cpus[SIM_MAX_CPUS];

static struct percpu other_cpus[SIM_MAX_CPUS - 1];
static u8 boot_stacks[SIM_MAX_CPUS][KSTACK_SIZE] ALIGNED(4096);
static unsigned cpus_started;
static struct sim_event *events;
static u64 random_state;
static unsigned fail_rate;
static void *host_sp;        /* where sim_run() waits */
static bool in_machine;      /* the host thread is on a stack of the machine, or acts for it */
static bool run_done;
static unsigned blocks_left; /* until the next that is a point */
static unsigned long busy_points; /* since time last moved: finds endless loops */

/* --- chance ------------------------------------------------------------------- */

u64 sim_random(void) /* xorshift64*, Vigna 2014 */
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * 0x2545f4914f6cdd1dULL;
}

bool sim_chance(unsigned one_in)
{
    return sim_config.seed != 0 && (sim_random() >> 33) % one_in == 0;
}

u64 sim_seed(void) { return sim_config.seed; }
unsigned sim_cpu_count(void) { return sim_config.cpus; }

static bool must_fail(void)
{
    return fail_rate != 0 && (sim_random() >> 33) % fail_rate == 0;
}

unsigned sim_fail_allocations(unsigned rate)
{
    unsigned before = fail_rate;
    fail_rate = rate;
    alloc_fail_hook = rate != 0 ? must_fail : NULL;
    return before;
}

/* --- events ------------------------------------------------------------------- */

static bool event_due(void) { return events != NULL && events->at_ns <= sim_now_ns; }

static bool cpu_has_event(const struct percpu *cpu)
{
    return cpu->plat.kicked || cpu->plat.timer_ns <= sim_now_ns || event_due();
}

static void take_one(struct percpu *cpu)
{
    irq_enter();
    if (cpu->plat.kicked) {
        cpu->plat.kicked = false;
        cpu_kicked();
    } else if (cpu->plat.timer_ns <= sim_now_ns) {
        cpu->plat.timer_ns = NEVER_NS;
        timer_interrupt();
    } else if (event_due()) { /* no other CPU has come in between and taken it */
        struct sim_event *e = events;
        events = e->next;
        e->fn(e->arg);
        free(e);
    }
    irq_exit();
}

/* Events are enabled and stay so; handlers run with them disabled. */
static void deliver(struct percpu *cpu)
{
    while (cpu_has_event(cpu)) {
        cpu->plat.events_enabled = false;
        take_one(cpu);
        cpu->plat.events_enabled = true;
    }
}

void sim_interrupt_at(u64 at_ns, void (*fn)(void *), void *arg)
{
    struct sim_event *e = malloc(sizeof *e), **link = &events;
    *e = (struct sim_event){ NULL, at_ns, fn, arg };
    while (*link != NULL && (*link)->at_ns <= at_ns)
        link = &(*link)->next;
    e->next = *link;
    *link = e;
}

struct percpu *this_cpu(void) { return sim_cpu; }
struct thread *current_thread(void) { return sim_cpu->current; }
bool plat_events_enabled(void) { return sim_cpu->plat.events_enabled; }
void plat_events_disable(void) { sim_cpu->plat.events_enabled = false; }

void plat_events_enable(void)
{
    sim_cpu->plat.events_enabled = true;
    sim_point();
}

u64 plat_events_save(void)
{
    u64 was = sim_cpu->plat.events_enabled;
    sim_cpu->plat.events_enabled = false;
    return was;
}

void plat_events_restore(u64 flags)
{
    if (flags != 0)
        plat_events_enable();
}

/* --- virtual CPUs --------------------------------------------------------------- */

static void sim_switch_cpu(struct percpu *to)
{
    struct percpu *from = sim_cpu;
    if (to == from)
        return;
    sim_cpu = to;
    sim_swap(&from->plat.sp, to->plat.sp, to->current->kstack, KSTACK_SIZE);
}

static bool runnable(const struct percpu *cpu)
{
    return !cpu->plat.idle || cpu_has_event(cpu);
}

/* Another CPU that has something to do, or NULL. */
static struct percpu *other_runnable(void)
{
    unsigned first = sim_config.seed != 0 ? (unsigned)(sim_random() >> 33) : sim_cpu->cpu + 1;
    for (unsigned i = 0; sim_cpu->cpu < cpus_started && i < cpus_started; i++) { /* none while this one starts */
        struct percpu *cpu = sim_cpus[(first + i) % cpus_started];
        if (cpu != sim_cpu && runnable(cpu))
            return cpu;
    }
    return NULL;
}

static void maybe_switch(unsigned one_in)
{
    if (cpus_started > 1 && in_machine && sim_chance(one_in)) {
        struct percpu *cpu = other_runnable();
        if (cpu != NULL)
            sim_switch_cpu(cpu);
    }
}

void sim_point(void)
{
    if (++busy_points == 200000000)
        panic("sim: busy for ever while time stands still");
    maybe_switch(8);
    struct percpu *cpu = sim_cpu;
    if (cpu->plat.events_enabled && cpu->irq_depth == 0 && cpu_has_event(cpu) && !sim_chance(3))
        deliver(cpu);
}

/* Called by the compiler in every basic block of the portable kernel: one in many of them is a point. Weak, as libFuzzer has it, too. */
void __sanitizer_cov_trace_pc(void) __attribute__((weak));
void __sanitizer_cov_trace_pc(void)
{
    if (likely(blocks_left-- != 0))
        return;
    blocks_left = 1 + (unsigned)(sim_random() >> 33) % (2 * BLOCKS_PER_POINT);
    if (in_machine && sim_config.seed != 0)
        sim_point();
}

void plat_relax(void)
{
    sim_point();
    if (cpus_started > 1 && in_machine && sim_config.seed == 0) {
        struct percpu *cpu = other_runnable();
        if (cpu != NULL)
            sim_switch_cpu(cpu);
    }
}

unsigned plat_cpu_count(void) { return sim_config.cpus; }

void plat_cpu_kick(unsigned cpu) { sim_cpus[cpu]->plat.kicked = true; }

static void other_cpu_main(void *arg)
{
    unsigned cpu = sim_cpu->cpu;
    page_init_cpu();
    sched_init_cpu(cpu);
    arch_fpu_init_cpu();
    plat_events_enable();
    sched_idle_loop();
}

static void prepare_cpu(struct percpu *cpu, unsigned number)
{
    sim_cpus[number] = cpu;
    cpu->plat.timer_ns = NEVER_NS;
    percpu_init(cpu, number);
    cpu->kernel_sp = (u64)(uintptr_t)boot_stacks[number] + KSTACK_SIZE;
}

/* Its first stack is not yet its thread's: give the switch the bounds by hand. */
static void start_other_cpu(unsigned number)
{
    struct percpu *cpu = &other_cpus[number - 1], *self = sim_cpu;
    prepare_cpu(cpu, number);
    cpu->plat.sp = sim_new_stack_pointer(boot_stacks[number], KSTACK_SIZE, other_cpu_main, NULL);
    sim_cpu = cpu;
    sim_swap(&self->plat.sp, cpu->plat.sp, boot_stacks[number], KSTACK_SIZE); /* comes back when it idles */
    cpus_started = number + 1;
}

int plat_cpu_start(unsigned cpu, void (*fn)(void), void *stack_top) { return -ENOSYS; }
void plat_barrier(struct plat_aspace *as) { atomic_fence(); } /* they take turns in one thread of the host */
void plat_stop_others(void) {}

static NORETURN void report_deadlock(void);
static u64 next_event_ns(void);

/* Every CPU is idle: jump to whatever comes next. */
static void pass_time(void)
{
    u64 next = next_event_ns();
    if (next == NEVER_NS)
        report_deadlock();
    if (next > sim_now_ns)
        sim_now_ns = next;
    busy_points = 0;
}

void plat_idle(void)
{
    struct percpu *cpu = sim_cpu;
    cpu->plat.idle = true;
    while (!cpu_has_event(cpu)) {
        struct percpu *other = other_runnable();
        if (other != NULL) {
            sim_switch_cpu(other);
        } else if (cpu->cpu >= cpus_started) { /* this CPU is just starting */
            sim_switch_cpu(sim_cpus[0]);
        } else if (run_done && cpu->cpu == 0) {
            sim_leave();
            break;
        } else if (run_done && cpus_started > 1) {
            sim_switch_cpu(sim_cpus[0]);
        } else {
            pass_time();
        }
    }
    cpu->plat.idle = false;
    cpu->plat.events_enabled = true;
    deliver(cpu);
}

/* --- time ----------------------------------------------------------------------- */

u64 plat_now_ns(void) { return sim_now_ns; }
u64 plat_wall_ns(void) { return 1700000000 * NSEC_PER_SEC + sim_now_ns; }
void plat_timer_arm(u64 deadline_ns) { sim_cpu->plat.timer_ns = deadline_ns; }

void sim_advance(u64 ns)
{
    u64 end = sim_now_ns + ns;
    for (;;) {
        u64 next = events != NULL ? events->at_ns : NEVER_NS;
        next = MAX(MIN(next, sim_cpu->plat.timer_ns), sim_now_ns);
        if (next > end)
            break;
        sim_now_ns = next;
        busy_points = 0;
        if (!sim_cpu->plat.events_enabled)
            break;
        deliver(sim_cpu);
    }
    if (end > sim_now_ns)
        sim_now_ns = end;
}

/* The next thing that happens by itself anywhere. */
static u64 next_event_ns(void)
{
    u64 next = events != NULL ? events->at_ns : NEVER_NS;
    for (unsigned i = 0; i < cpus_started; i++)
        next = MIN(next, sim_cpus[i]->plat.timer_ns);
    return next;
}

void sim_compute(u64 ns)
{
    struct thread *self = current_thread();
    u64 goal = thread_cpu_ns(self) + ns;
    for (;;) {
        u64 used = thread_cpu_ns(self), next = next_event_ns();
        if (used >= goal)
            return;
        u64 step = next > sim_now_ns ? MIN(goal - used, next - sim_now_ns) : 0;
        if (cpus_started > 1)
            step = MIN(step, 20 * NSEC_PER_USEC);
        sim_advance(step);
        struct percpu *other = other_runnable(); /* the others compute at the same time */
        if (other != NULL)
            sim_switch_cpu(other);
        cond_resched();
        if (next <= sim_now_ns && thread_cpu_ns(self) == used && !cpu_has_event(sim_cpu))
            sim_advance(1); /* another CPU keeps its events disabled for now */
    }
}

/* --- the machine's start and end ---------------------------------------------------- */

static void boot_main(void *arg)
{
    core_init();
    page_init();
    slab_init();
    random_init();
    sched_init();
    futex_init();
    arch_fpu_init_cpu();
    cpus_started = 1;
    for (unsigned i = 1; i < sim_config.cpus; i++)
        start_other_cpu(i);
    run_done = true;
    plat_events_enable();
    sched_idle_loop();
}

static u64 env_number(const char *name, u64 otherwise)
{
    const char *s = getenv(name);
    u64 v;
    return s != NULL && str_to_u64(s, &v) == 0 ? v : otherwise;
}

void sim_init_once(const struct sim_config *config)
{
    static bool done;
    if (done)
        return;
    done = true;
    sim_config = config != NULL ? *config : (struct sim_config){
        .seed = env_number("DRUPE_SEED", 1),
        .cpus = (unsigned)env_number("DRUPE_CPUS", 1),
        .ram_bytes = env_number("DRUPE_MEM", 64) << 20,
        .verbose = env_number("DRUPE_VERBOSE", 0) != 0,
    };
    sim_config.cpus = MAX(1u, MIN(sim_config.cpus, SIM_MAX_CPUS));
    random_state = (sim_config.seed + 1) * 0x9e3779b97f4a7c15ULL;
    for (unsigned i = 0; i < 8; i++)
        sim_random();
    sim_now_ns = NSEC_PER_SEC;
    prepare_cpu(&percpu_boot, 0);
    sim_cpu = &percpu_boot;
    log_set_console_level(sim_config.verbose ? LOG_DEBUG : LOG_ERROR);
    sim_memory_init();
    in_machine = true;
    sim_swap(&host_sp, sim_new_stack_pointer(boot_stacks[0], KSTACK_SIZE, boot_main, NULL), boot_stacks[0], KSTACK_SIZE);
    in_machine = false;
}

void sim_leave(void)
{
    sim_swap(&percpu_boot.plat.sp, host_sp, NULL, 0);
}

struct job {
    void (*fn)(void *);
    void *arg;
};

static void job_main(void *arg)
{
    struct job *job = arg;
    job->fn(job->arg);
    run_done = true;
}

void sim_run(void (*fn)(void *), void *arg)
{
    struct job job = { fn, arg };
    struct thread *t;
    run_done = false;
    unsigned rate = sim_fail_allocations(0);
    if (thread_create("test", job_main, &job, false, &t) != 0)
        panic("sim: no memory for the test's thread");
    sim_fail_allocations(rate);
    thread_start(t);
    thread_put(t);
    busy_points = 0;
    in_machine = true;
    sim_swap(&host_sp, percpu_boot.plat.sp, boot_stacks[0], KSTACK_SIZE);
    in_machine = false;
}

static const char *const state_names[] = { "new", "ready", "running", "blocking", "blocked", "dead" };

static void print_thread(struct thread *t, void *ctx)
{
    fprintf(stderr, "#   %u %s: %s on cpu %u, waiting for %s\n", t->id, t->name, state_names[t->state], t->cpu,
            t->wait_reason != NULL ? t->wait_reason : "?");
}

void sim_print_threads(void)
{
    thread_for_each(print_thread, NULL);
}

static NORETURN void report_deadlock(void)
{
    fprintf(stderr, "# sim: all CPUs are idle and nothing will ever happen; threads:\n");
    sim_print_threads();
    sim_exit(134);
}

void sim_exit(int status)
{
    fflush(NULL);
    if (status == 134)
        abort(); /* a fuzzer takes that for a finding, the test runner for a failure */
    _exit(status);
}

/* --- the rest of the platform line ---------------------------------------------------- */

void plat_console_write(const char *buf, size_t len)
{
    fwrite(buf, 1, len, stderr);
}

size_t plat_entropy(void *buf, size_t len)
{
    for (size_t i = 0; i < len; i++)
        ((u8 *)buf)[i] = (u8)(sim_random() >> 40);
    return len;
}

__attribute__((weak)) void plat_discover_devices(void) { } /* tests of a platform's own devices bring it */
void plat_power_off(int status) { sim_exit(status); }
const char *plat_name(void) { return "sim"; }

static const struct plat_boot_info boot_info = { .cmdline = "" };
const struct plat_boot_info *plat_boot_info(void) { return &boot_info; }

/* Sanitizer defaults: kernel memory lies in a memory file, which the leak checker does not search. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "detect_leaks=0:detect_stack_use_after_return=0:abort_on_error=1:allocator_may_return_null=1";
}
const char *__ubsan_default_options(void);
const char *__ubsan_default_options(void)
{
    return "print_stacktrace=1";
}
