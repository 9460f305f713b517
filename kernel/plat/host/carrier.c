/* SPDX-License-Identifier: Apache-2.0 */
/* Making carriers and seats, and handing a CPU over from one to another: carrier.h. */
#include "carrier.h"

#include <asm/siginfo.h>
#include <asm/signal.h>
#include <asm/unistd.h>
#include <linux/futex.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/time.h>
#include <linux/time_types.h>
#include <linux/wait.h>

#include "arch/cpu.h"
#include "base/fmt.h"
#include "base/str.h"
#include "host.h"
#include "kern/log.h"
#include "kern/page.h"
#include "kern/slab.h"
#include "kern/thread.h"
#include "tlb.h"

#define PARK_STACK_TOP 16384u /* in the block */
#define BLOCK_ORDER 4u
#define MEMORY_PER_CARRIER (4UL << 20)
#define RETRY_NS NSEC_PER_SEC
#define LOOK_TICKS (1UL << 16) /* of the TSC, 15 to 50 us: a few times what falling asleep and being woken take */
#define LOOK_REST 32u
#define RELEASE_NS 20000000u

_Static_assert(SIGSTACK_SIZE == PAGE_SIZE << BLOCK_ORDER, "a block of pages");

unsigned host_cpus = 1;
unsigned host_carriers_max;
static struct host_carrier first;
static struct mutex making;                         /* who makes carriers */
static u64 retry_ns;                                /* making; Linux has refused: no attempt before */
static struct spinlock carriers_lock = SPINLOCK_INIT("carriers");
static struct host_carrier *carriers[CARRIERS_MAX]; /* carriers_lock, as is plat_aspace.carrier; [0] is const */
static unsigned ncarriers;                          /* carriers_lock, making */
static unsigned naspaces;                           /* atomic */
static unsigned victim;                             /* carriers_lock; of carriers[], the next one to be taken from its address space */

void host_clone_start(void); /* entry.S */
NORETURN void host_clone_main(struct host_seat *s);

/* --- one thread ---------------------------------------------------------------------------- */

static void wait_on(u32 *word, u32 while_it_is)
{
    while (atomic_load(word) == while_it_is)
        host_call(__NR_futex, word, (long)FUTEX_WAIT, (long)while_it_is, 0L);
}

/* False: it still is. */
static bool wait_until(u32 *word, u32 while_it_is, u64 end_ns)
{
    for (u64 now; atomic_load(word) == while_it_is;) {
        if ((now = plat_now_ns()) >= end_ns)
            return false;
        struct __kernel_timespec t = { 0, (s64)(end_ns - now) };
        host_call(__NR_futex, word, (long)FUTEX_WAIT, (long)while_it_is, &t);
    }
    return true;
}

/* Who is called back at once, as of two processes that talk to each other, need not fall asleep and be woken: it lets others run, and looks. When
 * it has in vain, as where the other computes on another CPU of the host, it does not again before many times as long. True: it is this one's turn. */
static bool look_for_turn(struct host_seat *s, u64 start)
{
    u64 now;
    do {
        host_call(__NR_sched_yield);
        now = rdtsc();
        if (atomic_load(&s->turn) == TURN_OWN) {
            s->looks = now - start < LOOK_TICKS; /* else others may have come first, as they do not before one that is woken */
            return true;
        }
    } while (now - start < LOOK_TICKS);
    s->look_after = now + LOOK_REST * LOOK_TICKS;
    return false;
}

/* Looking pays from the next time on if this was short. */
static void sleep_for_turn(struct host_seat *s)
{
    u64 start = rdtsc();
    u32 turn = TURN_OTHERS;
    if (atomic_cas(&s->turn, &turn, TURN_ASLEEP)) {
        if (s->next != NULL && atomic_load_relaxed(&s->next->held) != 0 && !wait_until(&s->turn, TURN_ASLEEP, plat_now_ns() + RELEASE_NS))
            host_place_release(s->next);
        wait_on(&s->turn, TURN_ASLEEP);
    }
    u64 now = rdtsc();
    s->looks = now - start < LOOK_TICKS && now >= s->look_after;
}

static void wait_for_turn(struct host_seat *s, u64 start)
{
    if (!s->looks || !look_for_turn(s, start))
        sleep_for_turn(s);
    atomic_store_relaxed(&s->turn, TURN_OTHERS);
    if (s->timer_noted)
        s->timer_ns = NEVER_NS;
    s->timer_noted = false;
    host_kmap_refresh(s->carrier);
    host_text_refresh(s->carrier);
}

/* Signals are the other's from the first line on. Returns the TSC. */
static u64 give_turn(struct host_seat *from, struct host_seat *to)
{
    u64 now = host_place(to);
    atomic_store(&to->cpu->plat.seat, to);
    if (atomic_load_relaxed(&to->cpu->plat.pending) & PENDING_TIMER)
        from->timer_ns = NEVER_NS;
    if (atomic_xchg(&to->turn, TURN_OWN) == TURN_ASLEEP)
        host_call(__NR_futex, &to->turn, (long)FUTEX_WAKE, 1L);
    return now;
}

/* On the thread's own stack; the CPU is at rest in next->going_on. */
static NORETURN void park(void *arg)
{
    struct host_seat *s = arg;
    for (;;) {
        wait_for_turn(s, s->next != NULL ? give_turn(s, s->next) : 0);
        arch_switch(&s->parked, &s->going_on);
    }
}

static void set_signal_stack(struct host_seat *s)
{
    stack_t stack = { .ss_sp = (u8 *)s + PARK_STACK_TOP, .ss_size = SIGSTACK_SIZE - PARK_STACK_TOP };
    if (host_call(__NR_sigaltstack, &stack, 0L) != 0)
        host_fatal("cannot set the signal stack");
}

/* What the thread has of Linux for itself. */
static bool take_seat(struct host_seat *s)
{
    struct sigevent event = { .sigev_signo = SIGALRM, .sigev_notify = SIGEV_THREAD_ID };
    set_signal_stack(s);
    host_place_begin();
    s->tid = event._sigev_un._tid = (int)host_call(__NR_gettid);
    return host_call(__NR_timer_create, (long)CLOCK_MONOTONIC, &event, &s->timer) == 0;
}

static void init_seat(struct host_seat *s, struct percpu *cpu, struct host_carrier *c)
{
    *s = (struct host_seat){ .cpu = cpu, .carrier = c, .timer_ns = NEVER_NS };
    arch_context_init(&s->parked, s + 1, PARK_STACK_TOP - sizeof *s, park, s);
    c->seats[cpu->cpu] = s;
}

/* The limit on tasks is the wall: without one of our own, and without a PID namespace that ends them all, there is one
 * process (host/process/sandbox.c). */
static unsigned tasks_allowed(void)
{
    struct rlimit64 limit;
    if (host_call(__NR_getpid) != 1 || host_call(__NR_prlimit64, 0L, (long)RLIMIT_NPROC, 0L, &limit) != 0 || limit.rlim_max > CARRIERS_MAX)
        return 1;
    return (unsigned)MAX(limit.rlim_cur, 1);
}

static void init_carrier(struct host_carrier *c)
{
    *c = (struct host_carrier){ 0 };
    spin_init(&c->lock, "carrier");
}

void host_carrier_init(struct percpu *cpu, void *block)
{
    struct host_seat *s = block;
    host_cpus = host_boot->cpus;
    host_carriers_max = (unsigned)MIN(tasks_allowed() / host_cpus, MAX(host_boot->memory_bytes / MEMORY_PER_CARRIER, 1));
    if (host_carriers_max < host_cpus)
        host_fatal("--cpus: several CPUs need a PID namespace and a limit on tasks of their own, and 4 MiB of -m each; where this host gives none, "
                   "use --cpus 1, or --on qemu");
    mutex_init(&making, "carriers making");
    host_place_init();
    init_carrier(&first);
    init_seat(s, cpu, &first);
    first.seated = 1;
    if (!take_seat(s))
        host_fatal("Linux gives no timer");
    carriers[ncarriers++] = &first;
    cpu->plat.seat = s;
    cpu->fpu_file = &s->fpu;
}

/* --- more of them --------------------------------------------------------------------------- */

/* s's thread, on its own stack: a thread of this process, or the first of a copy of it, which shares all memory with us. */
static bool start_thread(struct host_seat *s, unsigned flags)
{
    const u64 all = ~0UL;
    u64 old;
    void (**sp)(void) = (void (**)(void))((u8 *)s + PARK_STACK_TOP - 64);
    *sp = host_clone_start;
    host_call(__NR_rt_sigprocmask, (long)SIG_SETMASK, &all, &old, 8L);
    long pid = host_call(__NR_clone, (long)flags, sp, 0L, 0L, 0L);
    host_call(__NR_rt_sigprocmask, (long)SIG_SETMASK, &old, 0L, 8L);
    return pid > 0;
}

static void tell_seated(struct host_carrier *c, bool well)
{
    if (!well)
        atomic_store(&c->failed, 1);
    atomic_add(&c->seated, 1);
    host_call(__NR_futex, &c->seated, (long)FUTEX_WAKE, 1L);
}

/* A new thread, on its own stack. Signals are blocked; nothing but the block and its carrier is this thread's, though GS says that it is the CPU. */
NORETURN void host_clone_main(struct host_seat *s)
{
    const u64 none = 0;
    struct host_carrier *c = s->carrier;
    bool well = take_seat(s);
    if (s == c->seats[0])
        for (unsigned i = 1; i < host_cpus; i++)
            if (!well || !start_thread(c->seats[i], HOST_THREAD_FLAGS))
                tell_seated(c, well = false);
    host_call(__NR_rt_sigprocmask, (long)SIG_SETMASK, &none, 0L, 8L);
    tell_seated(c, well);
    park(s);
}

/* Wait for n threads of c. False: not all are as they should be. */
static bool wait_seated(struct host_carrier *c, u32 n)
{
    for (u32 there; (there = atomic_load(&c->seated)) < n;)
        wait_on(&c->seated, there);
    return atomic_load(&c->failed) == 0;
}

static void free_carrier(struct host_carrier *c)
{
    for (unsigned i = 0; i < host_cpus; i++)
        if (c->seats[i] != NULL)
            page_put(page_of(virt_to_phys(c->seats[i])));
    kfree(c);
}

static struct host_carrier *alloc_carrier(void)
{
    struct host_carrier *c = kmalloc(sizeof *c, 0);
    if (c == NULL)
        return NULL;
    init_carrier(c);
    for (unsigned i = 0; i < host_cpus; i++) {
        struct page *p = page_alloc(BLOCK_ORDER, ALLOC_NORETRY);
        if (p == NULL) {
            free_carrier(c);
            return NULL;
        }
        init_seat(page_virt(p), percpu_table[i], c);
    }
    return c;
}

/* What was begun and could not be ended stays, asleep: it has our memory, and its end would be ours. */
static bool begin_carrier(struct host_carrier *c)
{
    u64 flags = plat_events_save();
    unsigned parent = host_carrier() == &first ? 0 : CLONE_PARENT;
    c->kmap_seen = host_carrier()->kmap_seen;
    c->text_seen = host_carrier()->text_seen;
    bool begun = start_thread(c->seats[0], CARRIER_SIGNAL | parent);
    plat_events_restore(flags);
    return begun;
}

/* making */
static bool make_carrier(void)
{
    struct host_carrier *c = plat_now_ns() >= retry_ns && ncarriers < host_carriers_max ? alloc_carrier() : NULL;
    if (c == NULL)
        return false;
    if (!begin_carrier(c)) {
        retry_ns = plat_now_ns() + RETRY_NS;
        free_carrier(c);
        return false;
    }
    if (!wait_seated(c, host_cpus)) {
        host_carriers_max = ncarriers;
        return false;
    }
    u64 flags = spin_lock_irqsave(&carriers_lock);
    carriers[ncarriers++] = c;
    spin_unlock_irqrestore(&carriers_lock, flags);
    return true;
}

bool host_carriers_reserve(unsigned n)
{
    bool well = true;
    mutex_lock(&making);
    while (well && ncarriers < n)
        well = make_carrier();
    mutex_unlock(&making);
    return well;
}

int host_seat_start(struct percpu *cpu, void (*fn)(void *), void *stack, size_t size)
{
    struct page *p = page_alloc(BLOCK_ORDER, 0);
    if (p == NULL)
        return -ENOMEM;
    struct host_seat *s = page_virt(p);
    init_seat(s, cpu, &first);
    arch_context_init(&s->going_on, stack, size, fn, NULL);
    cpu->plat.seat = s;
    cpu->fpu_file = &s->fpu;
    s->turn = TURN_OWN;
    if (start_thread(s, HOST_THREAD_FLAGS) && wait_seated(&first, cpu->cpu + 1))
        return 0;
    return -EAGAIN; /* its memory stays: it may have begun */
}

void host_carrier_want(void)
{
    unsigned want = atomic_add(&naspaces, 1);
    if (want > atomic_load_relaxed(&ncarriers) && atomic_load_relaxed(&ncarriers) < host_carriers_max)
        host_carriers_reserve(want);
}

void host_carrier_unwant(void) { atomic_sub(&naspaces, 1); }

/* One signal may stand for several children, or have been sent by somebody else: Linux is asked. */
void host_carrier_look_for_end(void)
{
    char text[80];
    int status;
    if (host_call(__NR_wait4, -1L, &status, (long)WNOHANG, 0L) <= 0)
        return;
    int by_signal = status & 0x7f;
    if (by_signal != 0) {
        fmt_snprintf(text, sizeof text, "drupe: signal %d ended one of the instance's processes\n", by_signal);
        plat_console_write(text, strlen(text));
    }
    plat_power_off(by_signal != 0 ? 128 + by_signal : status >> 8 & 0xff);
}

/* --- whose is which ---------------------------------------------------------------------- */

/* carriers_lock */
static void unassign(struct plat_aspace *as)
{
    if (as->carrier != NULL)
        as->carrier->as = NULL;
    as->carrier = NULL;
}

/* carriers_lock */
static void leave(struct plat_aspace *as) { atomic_store(&as->cpus, as->cpus & ~(1UL << this_cpu()->cpu)); }

void host_carrier_release(struct plat_aspace *as)
{
    u64 flags = spin_lock_irqsave(&carriers_lock);
    leave(as);
    unassign(as);
    spin_unlock_irqrestore(&carriers_lock, flags);
}

/* The one that runs, if it is free: nothing need be handed over. Then any that is free; then one in turn. There is one, since a CPU
 * has no more than one address space loaded (C6). */
static struct host_carrier *choose(void)
{
    if (host_carrier()->as == NULL)
        return host_carrier();
    for (unsigned i = 0; i < ncarriers; i++)
        if (carriers[i]->as == NULL)
            return carriers[i];
    do
        victim = (victim + 1) % ncarriers;
    while (atomic_load(&carriers[victim]->as->cpus) != 0);
    return carriers[victim];
}

/* carriers_lock */
static void assign(struct plat_aspace *as)
{
    struct host_carrier *c = choose();
    if (c->as != NULL)
        c->as->carrier = NULL;
    c->as = as;
    as->carrier = c;
    spin_lock(&c->lock);
    c->foreign = true;
    spin_unlock(&c->lock);
}

static void hand_over(struct host_seat *to)
{
    struct host_seat *from = this_cpu()->plat.seat;
    thread_fpu_leave(&to->fpu);
    from->next = to;
    arch_switch(&to->going_on, &from->parked);
    host_timer_resume();
}

static bool is_stale(struct host_carrier *c)
{
    return atomic_load(&c->foreign) || atomic_load(&c->stale_start) < atomic_load(&c->stale_end);
}

bool host_carrier_change(struct plat_aspace *from, struct plat_aspace *to)
{
    struct percpu *cpu = this_cpu();
    struct host_carrier *c = NULL;
    bool stale = false;
    spin_lock(&carriers_lock);
    if (from != NULL)
        leave(from);
    if (to != NULL) {
        if (to->carrier == NULL)
            assign(to);
        c = to->carrier;
        atomic_or(&to->cpus, 1UL << cpu->cpu); /* a full barrier, too: plat_barrier() counts on it. From here on c stays its own, */
        stale = is_stale(c);                   /* and what becomes stale asks this CPU */
    }
    spin_unlock(&carriers_lock);
    if (c != NULL && c != host_carrier())
        hand_over(c->seats[cpu->cpu]);
    return stale;
}

u64 host_carrier_stale(struct plat_aspace *as, u64 start, u64 end)
{
    u64 flags = spin_lock_irqsave(&carriers_lock), cpus = 0;
    struct host_carrier *c = as->carrier;
    if (c != NULL) {
        spin_lock(&c->lock);
        bool any = c->stale_start < c->stale_end;
        c->stale_start = any ? MIN(c->stale_start, start) : start;
        c->stale_end = any ? MAX(c->stale_end, end) : end;
        spin_unlock(&c->lock);
        cpus = atomic_load(&as->cpus);
    }
    spin_unlock_irqrestore(&carriers_lock, flags);
    return cpus;
}
