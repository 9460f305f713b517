/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The vDSO (vdso(7)): a shared object that the kernel maps into every program. It
 * computes clocks from the cycle counter and makes the system call when it cannot.
 * No writable data, no relocations.
 */
#include "vvar.h"

struct timespec { s64 sec, nsec; };
struct timeval { s64 sec, usec; };

extern const volatile struct vdso_clock vdso_clock __attribute__((visibility("hidden")));
extern const volatile struct vdso_data vdso_data __attribute__((visibility("hidden")));

#define NR_gettimeofday 96
#define NR_time 201
#define NR_clock_gettime 228
#define NR_clock_getres 229
#define NR_getcpu 309
#define NS 1000000000ull

int __vdso_clock_gettime(int clock, struct timespec *ts);
int __vdso_clock_getres(int clock, struct timespec *ts);
int __vdso_gettimeofday(struct timeval *tv, void *tz);
s64 __vdso_time(s64 *t);
int __vdso_getcpu(unsigned *cpu, unsigned *node, void *unused);

static inline long call3(long nr, long a, long b, long c)
{
    long r;
    __asm__ volatile("syscall" : "=a"(r) : "0"(nr), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return r;
}

/* Monotonic nanoseconds; false when the counter is no clock. The counter is read no earlier than `seq`. */
static inline bool monotonic(u64 *ret)
{
    u64 cycles, mult, base;
    u32 seq, low, high;
    if (__builtin_expect(!vdso_data.has_clock, 0))
        return false;
    do {
        seq = __atomic_load_n(&vdso_clock.seq, __ATOMIC_ACQUIRE) & ~1u; /* odd = being changed: never the same below */
        __asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high)::"memory");
        cycles = (((u64)high << 32) | low) - vdso_clock.tsc_base;
        mult = vdso_clock.mult;
        base = vdso_clock.ns_base;
        __atomic_thread_fence(__ATOMIC_ACQUIRE);
    } while (__builtin_expect(__atomic_load_n(&vdso_clock.seq, __ATOMIC_RELAXED) != seq, 0));
    *ret = base + (u64)(((unsigned __int128)cycles * mult) >> 32);
    return true;
}

/* Clocks that are the counter plus something: bit n = clock id n. */
#define WALL_CLOCKS (1u << 0 | 1u << 5 | 1u << 11)
#define MONO_CLOCKS (1u << 1 | 1u << 4 | 1u << 6 | 1u << 7)

int __vdso_clock_gettime(int clock, struct timespec *ts)
{
    u64 ns;
    if ((u32)clock < 32 && ((WALL_CLOCKS | MONO_CLOCKS) >> clock & 1) != 0 && monotonic(&ns)) {
        if ((WALL_CLOCKS >> clock & 1) != 0)
            ns += vdso_data.wall_offset_ns;
        ts->sec = (s64)(ns / NS);
        ts->nsec = (s64)(ns % NS);
        return 0;
    }
    return (int)call3(NR_clock_gettime, clock, (long)ts, 0);
}

int __vdso_clock_getres(int clock, struct timespec *ts)
{
    return (int)call3(NR_clock_getres, clock, (long)ts, 0);
}

int __vdso_gettimeofday(struct timeval *tv, void *tz)
{
    u64 ns;
    if (tz == NULL && tv != NULL && monotonic(&ns)) {
        ns += vdso_data.wall_offset_ns;
        tv->sec = (s64)(ns / NS);
        tv->usec = (s64)(ns % NS / 1000);
        return 0;
    }
    return (int)call3(NR_gettimeofday, (long)tv, (long)tz, 0);
}

s64 __vdso_time(s64 *t)
{
    u64 ns;
    if (!monotonic(&ns))
        return call3(NR_time, (long)t, 0, 0);
    s64 sec = (s64)((ns + vdso_data.wall_offset_ns) / NS);
    if (t != NULL)
        *t = sec;
    return sec;
}

int __vdso_getcpu(unsigned *cpu, unsigned *node, void *unused)
{
    unsigned number = 0;
    if (vdso_data.cpu_from == CPU_FROM_CALL)
        return (int)call3(NR_getcpu, (long)cpu, (long)node, 0);
    if (vdso_data.cpu_from == CPU_FROM_RDTSCP)
        __asm__ volatile("rdtscp" : "=c"(number)::"rax", "rdx");
    if (cpu != NULL)
        *cpu = number;
    if (node != NULL)
        *node = 0;
    return 0;
}

#define ALIAS(name) __attribute__((weak, alias("__vdso_" #name)))
int clock_gettime(int clock, struct timespec *ts) ALIAS(clock_gettime);
int clock_getres(int clock, struct timespec *ts) ALIAS(clock_getres);
int gettimeofday(struct timeval *tv, void *tz) ALIAS(gettimeofday);
s64 time(s64 *t) ALIAS(time);
int getcpu(unsigned *cpu, unsigned *node, void *unused) ALIAS(getcpu);
