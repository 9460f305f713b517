/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where seats are among the host's CPUs. A CPU of the guest is in one seat at a time, and handing it over takes several times as long when the
 * other seat is on another CPU of the host; but Linux sees threads that wake each other, and spreads them. So who gives the turn *holds* the other on
 * the CPU that it runs on itself.
 *
 * Linux cannot move who is held to where there is room. Therefore nobody is held where another CPU of this machine is; nor in one of PARTS
 * parts of the time, when Linux may balance; and who keeps the turn for long is released by who gave it. A thread is made where its maker
 * may be, so a new one releases itself.
 *
 * Who is released may be wherever the cpuset lets it, also one that has changed since; what taskset said at the start is kept to as
 * long as there is any of it left, as Linux does.
 */
#include <asm/unistd.h>

#include "arch/cpu.h"
#include "base/str.h"
#include "carrier.h"
#include "host.h"

#define MASK_WORDS (HOST_PLACES / 64)
#define PART_SHIFT 22u   /* 2^22 ticks of the TSC are 1 to 3 ms */
#define PARTS 64u
#define RDTSCP (1u << 27) /* cpuid 0x80000001, edx */

static const u64 all[MASK_WORDS] = { [0 ... MASK_WORDS - 1] = ~0UL };
static u64 anywhere[MASK_WORDS]; /* const after boot: all, unless whoever started us has less than its cpuset */
static bool possible;            /* atomic */

static bool confine(int tid, const u64 *cpus) { return host_call(__NR_sched_setaffinity, (long)tid, sizeof anywhere, cpus) == 0; }
static bool release(int tid) { return confine(tid, anywhere) || confine(tid, all); }

void host_place_init(void)
{
    unsigned cpus = 0;
    if (host_carriers_max == 1 || cpuid(0x80000000, 0).eax < 0x80000001 || !(cpuid(0x80000001, 0).edx & RDTSCP) ||
        host_call(__NR_sched_getaffinity, 0L, sizeof anywhere, anywhere) <= 0)
        return;
    for (unsigned i = 0; i < MASK_WORDS; i++)
        for (u64 w = anywhere[i]; w != 0; w &= w - 1)
            cpus++;
    possible = cpus > 1;
    u64 most[MASK_WORDS];
    if (!possible || !confine(0, all))
        return;
    if (host_call(__NR_sched_getaffinity, 0L, sizeof most, most) > 0 && memcmp(most, anywhere, sizeof most) == 0)
        memcpy(anywhere, all, sizeof all);
    else
        confine(0, anywhere);
}

void host_place_begin(void)
{
    if (atomic_load_relaxed(&possible))
        release(0);
}

static bool is_taken(u32 at, const struct percpu *by_others_than)
{
    for (unsigned i = 0; i < host_cpus; i++) {
        const struct percpu *cpu = atomic_load(&percpu_table[i]);
        const struct host_seat *s = cpu != NULL && cpu != by_others_than ? atomic_load(&cpu->plat.seat) : NULL;
        if (s != NULL && atomic_load_relaxed(&s->held) == at)
            return true;
    }
    return false;
}

/* at == 0: anywhere. Who finds another at it leaves it. */
static void hold(struct host_seat *s, u32 at)
{
    u32 nobody = 0;
    if (!atomic_cas(&s->cpu->plat.placing, &nobody, 1))
        return;
    u64 there[MASK_WORDS] = { 0 };
    if (at != 0)
        there[(at - 1) / 64] = 1UL << (at - 1) % 64;
    if (at != 0 ? confine(s->tid, there) : release(s->tid))
        atomic_store_relaxed(&s->held, at);
    else
        atomic_store_relaxed(&possible, false); /* this host does not want it: who is held is released in time */
    atomic_store(&s->cpu->plat.placing, 0);
}

u64 host_place(struct host_seat *to)
{
    u32 cpu, at = 0;
    u64 now;
    if (likely(atomic_load_relaxed(&possible))) {
        now = rdtscp(&cpu);
        if ((now >> PART_SHIFT) % PARTS != 0)
            at = (cpu & 0xfff) + 1; /* the rest of it is the node */
    } else {
        now = rdtsc();
    }
    if (unlikely(atomic_load_relaxed(&to->held) != at)) {
        if (at > HOST_PLACES || is_taken(at, to->cpu))
            at = 0;
        if (to->held != at)
            hold(to, at);
    }
    return now;
}

void host_place_release(struct host_seat *s)
{
    if (atomic_load(&s->cpu->plat.seat) == s && atomic_load_relaxed(&s->held) != 0)
        hold(s, 0);
}
