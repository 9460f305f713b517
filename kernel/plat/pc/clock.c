/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time. The monotonic clock is the TSC: ns = ns_base + ((tsc - tsc_base) * mult >> 32). Where its rate
 * comes from, best first:
 *
 *   drupe.tsc_khz=    the one who started the machine knows
 *   kvmclock          the host's own factors (Linux Documentation/virt/kvm/x86/msr.rst)
 *   CPUID 0x40000010, 0x15
 *   the local APIC's timer, which counts 1 GHz on KVM and on QEMU's emulation: a first guess from 20 us
 *                     of polling, made better by every longer interval that the timer measures anyway,
 *                     until REFINE_ENOUGH_NS of them are added up
 *   the PIT           100 us
 *
 * The one-shot timer is lazy: a later deadline than the one set is only remembered, and the early
 * interrupt sets it then. Most deadlines (timeouts) are moved or dropped long before they come.
 */
#include "arch/cpu.h"
#include "kern/atomic.h"
#include "kern/thread.h"
#include "pc.h"

#define NS_PER_S 1000000000ULL
#define GUESS_NS 20000u
#define REFINE_MIN_NS 1000000u
#define REFINE_ENOUGH_NS 200000000u
#define APIC_COUNT_MAX 0x7fffffffu
#define KVM_SIGNATURE 0x4b4d564bu /* "KVMK" */
#define MSR_KVM_WALL 0x4b564d00u
#define MSR_KVM_SYSTEM 0x4b564d01u

/* Shared with programs: nothing else in this page. */
static union {
    struct plat_clock_params params;
    u8 page[PAGE_SIZE];
} clock_page ALIGNED(4096);
#define clk clock_page.params

struct pvclock {
    u32 version, padding;
    u64 tsc, system_ns;
    u32 mult;
    s8 shift;
    u8 flags, padding2[2];
};
static struct pvclock pvclock ALIGNED(64);
struct pvclock_wall {
    u32 version, sec, nsec;
};
static bool have_pvclock, tsc_deadline;

static u64 ticks_per_ns;  /* timer ticks (APIC or TSC), 32.32; 0 until known */
static bool refining;
/* The interval being measured: from when the boot CPU's APIC timer was started, with what. */
static u64 span_tsc;
static u32 span_count;
static u64 sum_tsc, sum_ns; /* intervals measured so far */

/* Another CPU's reading may be a little older than the base: no time has passed then. */
static u64 ns_at(u64 tsc)
{
    u64 delta = tsc - clk.tsc_base;
    return clk.ns_base + (likely((s64)delta >= 0) ? mul_shift32(delta, clk.mult) : 0);
}

static u64 now_at(u64 tsc)
{
    for (;;) {
        u32 seq = atomic_load(&clk.seq);
        u64 now = ns_at(tsc);
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
        if (likely(!(seq & 1) && atomic_load_relaxed(&clk.seq) == seq))
            return now;
    }
}

u64 plat_now_ns(void) { return now_at(rdtsc()); }

static void set_mult(u64 mult)
{
    u64 tsc = rdtsc(), now = clk.mult != 0 ? ns_at(tsc) : 0;
    atomic_store_relaxed(&clk.seq, clk.seq + 1);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    clk.tsc_base = tsc;
    clk.ns_base = now;
    clk.mult = mult;
    clk.valid = 1;
    atomic_store(&clk.seq, clk.seq + 1);
    if (tsc_deadline)
        ticks_per_ns = mul_div(1ULL << 32, 1ULL << 32, mult);
}

static void set_hz(u64 hz)
{
    set_mult(mul_div(NS_PER_S, 1ULL << 32, hz));
}

bool plat_clock_params(struct plat_clock_params *ret)
{
    u32 seq;
    do {
        seq = atomic_load(&clk.seq);
        *ret = clk;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
    } while ((seq & 1) || atomic_load_relaxed(&clk.seq) != seq);
    return ret->valid != 0;
}

paddr_t plat_clock_page(void) { return virt_to_phys(&clock_page); }

/* TSC and APIC count of one moment: the tightest of a few tries. */
static u64 read_pair(u32 *ret_count)
{
    u64 best = UINT64_MAX, tsc = 0;
    *ret_count = 0;
    for (unsigned i = 0; i < 3; i++) {
        u64 before = rdtsc();
        u32 count = pc_apic_timer_read();
        u64 after = rdtsc();
        if (after - before < best) {
            best = after - before;
            tsc = before + best / 2;
            *ret_count = count;
        }
    }
    return tsc;
}

static bool known_from_cpuid(u32 hypervisor, u32 max_hypervisor_leaf)
{
    const char *s = pc_option("drupe.tsc_khz");
    u64 khz;
    if (s != NULL && pc_parse_number(&s, &khz) && khz >= 100000 && khz <= 20000000) {
        set_hz(khz * 1000);
        return true;
    }
    if (hypervisor == KVM_SIGNATURE && (cpuid(0x40000001, 0).eax & 8u)) {
        wrmsr(MSR_KVM_SYSTEM, virt_to_phys(&pvclock) | 1);
        compiler_barrier();
        if (pvclock.mult != 0 && pvclock.shift > -32 && pvclock.shift < 32) {
            have_pvclock = true;
            u64 m = pvclock.mult;
            set_mult(pvclock.shift >= 0 ? m << pvclock.shift : m >> -pvclock.shift);
            return true;
        }
    }
    if (max_hypervisor_leaf >= 0x40000010u && max_hypervisor_leaf < 0x40010000u) {
        khz = cpuid(0x40000010, 0).eax;
        if (khz >= 100000) {
            set_hz(khz * 1000);
            return true;
        }
    }
    if (cpuid(0, 0).eax >= 0x15) {
        struct cpuid_regs r = cpuid(0x15, 0);
        if (r.eax != 0 && r.ebx != 0 && r.ecx != 0) {
            set_hz((u64)r.ecx * r.ebx / r.eax);
            return true;
        }
    }
    return false;
}

/* 100 us by channel 2 of the PIT, whose end shows in port 0x61. */
static void calibrate_by_pit(void)
{
    outb(0x61, (inb(0x61) & ~2u) | 1u);
    outb(0x43, 0xb0);
    outb(0x42, 119);
    outb(0x42, 0);
    u64 before = rdtsc();
    for (unsigned i = 0; !(inb(0x61) & 0x20); i++)
        if (i == 1000000)
            pc_fatal("no clock tells the rate of the TSC: pass drupe.tsc_khz=");
    u64 ticks = rdtsc() - before;
    set_hz(ticks * 1193182 / 119);
}

void pc_clock_init(void)
{
    bool virtual = (cpuid(1, 0).ecx >> 31) != 0;
    struct cpuid_regs h = virtual ? cpuid(0x40000000, 0) : (struct cpuid_regs){ 0 };
    bool apic_is_1ghz = h.ebx == KVM_SIGNATURE || h.ebx == TCG_SIGNATURE;
    tsc_deadline = (cpuid(1, 0).ecx >> 24 & 1) != 0;
    pc_apic_timer_start(UINT32_MAX);
    span_count = UINT32_MAX;
    u32 count;
    if (!known_from_cpuid(h.ebx, h.eax)) {
        if (apic_is_1ghz) {
            u64 first = read_pair(&span_count);
            u64 end;
            do {
                end = read_pair(&count);
            } while (span_count - count < GUESS_NS);
            set_hz((end - first) * NS_PER_S / (span_count - count));
            span_tsc = first;
            refining = !tsc_deadline;
        } else {
            calibrate_by_pit();
        }
    }
    if (!tsc_deadline) {
        if (apic_is_1ghz) {
            ticks_per_ns = 1ULL << 32;
        } else {
            u64 before = plat_now_ns(), now;
            u32 first = pc_apic_timer_read();
            do {
                now = plat_now_ns();
            } while (now - before < 100000);
            ticks_per_ns = ((u64)(first - pc_apic_timer_read()) << 32) / (now - before);
            if (ticks_per_ns == 0)
                pc_fatal("the local APIC's timer does not count");
        }
    }
    pc_clock_init_cpu();
}

void pc_clock_init_cpu(void)
{
    struct percpu *cpu = this_cpu();
    cpu->plat.timer_want_ns = cpu->plat.timer_hw_ns = NEVER_NS;
    if (tsc_deadline)
        pc_apic_timer_start(0);
    pc_apic_timer_enable(tsc_deadline);
}

/* The timer is about to be set anew: what did it and the TSC count meanwhile? */
static void refine(void)
{
    u32 count;
    u64 tsc = read_pair(&count);
    u32 ns = span_count - count;
    if (count == 0 || ns < REFINE_MIN_NS)
        return;
    sum_ns += ns;
    sum_tsc += tsc - span_tsc;
    refining = sum_ns < REFINE_ENOUGH_NS;
    set_hz(mul_div(sum_tsc, NS_PER_S, sum_ns));
}

static void set_hardware(struct percpu *cpu, u64 deadline_ns)
{
    bool refines = refining && cpu->cpu == 0;
    if (refines)
        refine();
    u64 tsc = rdtsc(), now = now_at(tsc);
    u64 delta = deadline_ns > now ? deadline_ns - now : 0;
    cpu->plat.timer_hw_ns = deadline_ns;
    if (delta > NS_PER_S) { /* far: come back and look again */
        delta = NS_PER_S;
        cpu->plat.timer_hw_ns = now + delta;
    }
    u64 ticks = mul_shift32(delta, ticks_per_ns) + 1;
    if (tsc_deadline) {
        wrmsr(MSR_TSC_DEADLINE, tsc + ticks);
        return;
    }
    u32 count = (u32)MIN(ticks, (u64)APIC_COUNT_MAX);
    if (refines) {
        span_count = count;
        span_tsc = rdtsc();
    }
    pc_apic_timer_start(count);
}

void plat_timer_arm(u64 deadline_ns)
{
    struct percpu *cpu = this_cpu();
    cpu->plat.timer_want_ns = deadline_ns;
    if (deadline_ns < cpu->plat.timer_hw_ns)
        set_hardware(cpu, deadline_ns);
}

void pc_timer_irq(void)
{
    struct percpu *cpu = this_cpu();
    cpu->plat.timer_hw_ns = NEVER_NS;
    u64 want = cpu->plat.timer_want_ns;
    if (want == NEVER_NS)
        return;
    if (plat_now_ns() < want) {
        set_hardware(cpu, want);
        return;
    }
    cpu->plat.timer_want_ns = NEVER_NS;
    timer_interrupt();
}

/* --- wall clock ------------------------------------------------------------------- */

static u8 cmos(u8 reg)
{
    outb(0x70, reg | 0x80);
    return inb(0x71);
}

/* The MC146818's registers, read until two readings agree. 0 = there is none. */
static u64 rtc_seconds(void)
{
    u8 v[7] = { 0 }, w[7];
    static const u8 regs[7] = { 0, 2, 4, 7, 8, 9, 0xb };
    for (unsigned tries = 0;; tries++) {
        for (unsigned i = 0; i < 1000 && (cmos(0xa) & 0x80); i++)
            plat_relax();
        bool same = true;
        for (unsigned i = 0; i < 7; i++) {
            w[i] = cmos(regs[i]);
            same = same && tries > 0 && w[i] == v[i];
            v[i] = w[i];
        }
        if (same)
            break;
        if (tries == 5)
            return 0;
    }
    bool binary = v[6] & 4, pm = v[2] & 0x80;
    if (v[6] == 0xff)
        return 0;
    v[2] &= 0x7f;
    if (!binary)
        for (unsigned i = 0; i < 6; i++)
            v[i] = (u8)((v[i] >> 4) * 10 + (v[i] & 15));
    if (!(v[6] & 2)) /* 12 hours */
        v[2] = (u8)(v[2] % 12 + (pm ? 12 : 0));
    if (v[0] > 60 || v[1] > 59 || v[2] > 23 || v[3] < 1 || v[3] > 31 || v[4] < 1 || v[4] > 12 || v[5] > 99)
        return 0;
    /* Days since 1970 with the year beginning in March. */
    u64 month = v[4] > 2 ? v[4] - 3u : v[4] + 9u, year = 2000u + v[5] - (v[4] <= 2);
    u64 days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + v[3] - 1 - 719468;
    return ((days * 24 + v[2]) * 60 + v[1]) * 60 + v[0];
}

static u64 read_wall_ns(void)
{
    if (have_pvclock) {
        static struct pvclock_wall wall ALIGNED(64);
        wrmsr(MSR_KVM_WALL, virt_to_phys(&wall));
        compiler_barrier();
        u64 system_ns = pvclock.system_ns + mul_shift32(rdtsc() - pvclock.tsc, clk.mult);
        if (wall.sec != 0)
            return wall.sec * NS_PER_S + wall.nsec + system_ns;
    }
    u64 s = rtc_seconds();
    const char *option = pc_option("drupe.time");
    if (s == 0 && (option == NULL || !pc_parse_number(&option, &s) || s > UINT64_MAX / NS_PER_S / 2))
        s = 0;
    return s * NS_PER_S;
}

u64 plat_wall_ns(void)
{
    static u64 offset; /* 0 = not read yet; racing first calls store nearly the same */
    u64 o = atomic_load_relaxed(&offset);
    if (o == 0) {
        o = read_wall_ns() - plat_now_ns();
        atomic_store_relaxed(&offset, o);
    }
    return o + plat_now_ns();
}
