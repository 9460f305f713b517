/* SPDX-License-Identifier: Apache-2.0 */
/* Making carriers, and handing the CPU over from one to another: carrier.h. */
#include "carrier.h"

#include <asm/signal.h>
#include <asm/unistd.h>
#include <linux/futex.h>
#include <linux/resource.h>
#include <linux/sched.h>

#include "base/fmt.h"
#include "base/str.h"
#include "host.h"
#include "kern/log.h"
#include "kern/page.h"
#include "kern/thread.h"

#define PARK_STACK_TOP 16384u /* in the block */
#define BLOCK_ORDER 4u
#define MEMORY_PER_CARRIER (4UL << 20)
#define RETRY_NS NSEC_PER_SEC

_Static_assert(SIGSTACK_SIZE == PAGE_SIZE << BLOCK_ORDER, "a block of pages");

unsigned host_carriers_max;
static struct host_carrier *carriers[CARRIERS_MAX];
static unsigned ncarriers, naspaces; /* atomic: naspaces */
static unsigned victim;              /* of carriers[], the next one to be taken from its address space */
static u64 retry_ns;                 /* Linux has refused: no attempt before */

void host_clone_start(void); /* entry.S */
NORETURN void host_clone_main(struct host_carrier *c);

/* --- one process -------------------------------------------------------------------------- */

static void wait_for_turn(struct host_carrier *c)
{
    while (atomic_load(&c->turn) == 0)
        host_call(__NR_futex, &c->turn, (long)FUTEX_WAIT, 0L, 0L);
    atomic_store_relaxed(&c->turn, 0);
    if (c->noted & PENDING_TIMER)
        c->timer_ns = NEVER_NS;
    if (c->noted & PENDING_KICK)
        atomic_or(&c->cpu->plat.pending, PENDING_KICK);
    c->noted = 0;
    host_kmap_refresh(c);
    host_text_refresh(c);
}

/* Signals are the other's from the first line on. */
static void give_turn(struct host_carrier *from, struct host_carrier *to)
{
    atomic_store(&to->cpu->plat.carrier, to);
    if (to->cpu->plat.pending & PENDING_TIMER)
        from->timer_ns = NEVER_NS;
    atomic_store(&to->turn, 1);
    host_call(__NR_futex, &to->turn, (long)FUTEX_WAKE, 1L);
}

/* On the process's own stack; the CPU is at rest in next->going_on. */
static NORETURN void park(void *arg)
{
    struct host_carrier *c = arg;
    for (;;) {
        if (c->next != NULL)
            give_turn(c, c->next);
        wait_for_turn(c);
        arch_switch(&c->parked, &c->going_on);
    }
}

static void set_signal_stack(struct host_carrier *c)
{
    stack_t stack = { .ss_sp = (u8 *)c + PARK_STACK_TOP, .ss_size = SIGSTACK_SIZE - PARK_STACK_TOP };
    if (host_call(__NR_sigaltstack, &stack, 0L) != 0)
        host_fatal("cannot set the signal stack");
}

static void init_block(struct host_carrier *c, struct percpu *cpu)
{
    *c = (struct host_carrier){ .cpu = cpu, .timer_ns = NEVER_NS };
    arch_context_init(&c->parked, c + 1, PARK_STACK_TOP - sizeof *c, park, c);
}

/* The limit on processes is the wall: without one of our own, and without a PID namespace that ends them all, there is one
 * process (host/process/sandbox.c). */
static unsigned processes_allowed(void)
{
    struct rlimit64 limit;
    if (host_call(__NR_getpid) != 1 || host_call(__NR_prlimit64, 0L, (long)RLIMIT_NPROC, 0L, &limit) != 0 || limit.rlim_max > CARRIERS_MAX)
        return 1;
    return (unsigned)MAX(limit.rlim_cur, 1);
}

void host_carrier_init(struct percpu *cpu, void *block)
{
    struct host_carrier *c = block;
    init_block(c, cpu);
    set_signal_stack(c);
    carriers[ncarriers++] = cpu->plat.carrier = c;
    host_carriers_max = (unsigned)MIN(processes_allowed(), MAX(host_boot->memory_bytes / MEMORY_PER_CARRIER, 1));
}

/* --- more of them --------------------------------------------------------------------------- */

/* The new process, on its own stack. Signals are blocked, the signal stack is still the other's. */
NORETURN void host_clone_main(struct host_carrier *c)
{
    const u64 none = 0;
    set_signal_stack(c);
    host_call(__NR_rt_sigprocmask, (long)SIG_SETMASK, &none, 0L, 8L);
    park(c);
}

/* A copy of this process, parked. It shares all memory with us, this stack too, so it starts on its own. */
static bool clone_carrier(struct host_carrier *c)
{
    const u64 all = ~0UL, none = 0;
    bool first = host_carrier() == carriers[0];
    void (**sp)(void) = (void (**)(void))((u8 *)c + PARK_STACK_TOP - 64);
    *sp = host_clone_start;
    host_call(__NR_rt_sigprocmask, (long)SIG_SETMASK, &all, 0L, 8L);
    long pid = host_call(__NR_clone, (long)(CARRIER_SIGNAL | (first ? 0 : CLONE_PARENT)), sp, 0L, 0L, 0L);
    host_call(__NR_rt_sigprocmask, (long)SIG_SETMASK, &none, 0L, 8L);
    return pid > 0;
}

static void make_carrier(void)
{
    struct page *p = page_alloc(BLOCK_ORDER, ALLOC_NORETRY);
    if (p == NULL)
        return;
    struct host_carrier *c = page_virt(p);
    u64 flags = plat_events_save();
    init_block(c, this_cpu());
    c->kmap_seen = host_carrier()->kmap_seen;
    c->text_seen = host_carrier()->text_seen;
    bool made = ncarriers < host_carriers_max && clone_carrier(c);
    if (made)
        carriers[ncarriers++] = c;
    else
        retry_ns = plat_now_ns() + RETRY_NS;
    plat_events_restore(flags);
    if (!made)
        page_put(p);
}

void host_carrier_want(void)
{
    unsigned want = atomic_add(&naspaces, 1);
    if (want > ncarriers && ncarriers < host_carriers_max && plat_now_ns() >= retry_ns)
        make_carrier();
}

void host_carrier_unwant(void) { atomic_sub(&naspaces, 1); }

NORETURN void host_carrier_ended(int status, bool by_signal)
{
    char text[80];
    if (by_signal) {
        fmt_snprintf(text, sizeof text, "drupe: signal %d ended one of the instance's processes\n", status);
        plat_console_write(text, strlen(text));
    }
    plat_power_off(by_signal ? 128 + status : status);
}

/* --- whose is which ---------------------------------------------------------------------- */

void host_carrier_release(struct plat_aspace *as)
{
    if (as->carrier != NULL)
        as->carrier->as = NULL;
    as->carrier = NULL;
}

/* The one that runs, if it is free: nothing need be handed over. Then any that is free; then one in turn. */
static struct host_carrier *choose(void)
{
    if (host_carrier()->as == NULL)
        return host_carrier();
    for (unsigned i = 0; i < ncarriers; i++)
        if (carriers[i]->as == NULL)
            return carriers[i];
    victim = (victim + 1) % ncarriers;
    return carriers[victim];
}

static void hand_over(struct host_carrier *to)
{
    struct host_carrier *from = host_carrier();
    thread_fpu_leave();
    from->next = to;
    arch_switch(&to->going_on, &from->parked);
    host_timer_resume();
}

bool host_carrier_enter(struct plat_aspace *as)
{
    bool fresh = as->carrier == NULL;
    if (fresh) {
        struct host_carrier *c = choose();
        if (c->as != NULL)
            c->as->carrier = NULL;
        c->as = as;
        as->carrier = c;
    }
    if (as->carrier != host_carrier())
        hand_over(as->carrier);
    return fresh;
}
