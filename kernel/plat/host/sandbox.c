/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seccomp filter (seccomp(2)), the wall between this process and Linux. Everything in the process is the guest's, the
 * kernel included: whoever issues a call, only what the filter lets through reaches Linux. Two questions:
 *
 *   where from?  The two `syscall` instructions of entry.S may be used; anywhere else the call is a program's and comes
 *                back as SIGSYS (TRAP), for the guest kernel to serve.
 *   what?        From there, the calls of `allowed` with the arguments pinned as they say; everything else ends the process.
 *
 * No allowed set of arguments may do the host harm: they touch the instance's own memory, time and descriptors, and nothing
 * makes new descriptors or rights; processes and threads only where their number has a limit (carrier.c). docs/SANDBOX.md has the table with the reasons. The position is for telling
 * programs' calls from ours, not for safety.
 */
#include <asm/unistd.h>
#include <linux/audit.h>
#include <linux/falloc.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/mman.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/wait.h>

#include "carrier.h"
#include "host.h"
#include "kern/log.h"

#define MAX_CHECKS 3
#define NO_MORE 0xff

/* Pinned: (argument & mask) == value, or == other if that is not 0, in its low 32 bits; the high ones must be 0. */
struct check {
    u8 arg; /* NO_MORE ends the list */
    u32 mask, value, other;
};
/* Where a call is needed. */
enum need { ALWAYS, PROCESSES /* where there may be more than one */, CPUS /* of several CPUs */ };
struct allowed_call {
    u16 nr;
    bool of_memory; /* mmap: when argument 4 is the memory file; else the next entry is asked */
    u8 need;        /* enum need */
    struct check checks[MAX_CHECKS + 1];
};

#define FD_DEVICES 0xfe /* pseudo argument: argument 0 is a device's descriptor or the console's */
#define FD_DISK 0xfd    /* pseudo argument: argument 4 is the descriptor of the mapped root image */
#define END { NO_MORE, 0, 0, 0 }

/* Common ones first: each costs what stands before it. */
static const struct allowed_call allowed[] = {
    { __NR_read, .checks = { { FD_DEVICES, 0, 0 }, END } },
    { __NR_write, .checks = { { FD_DEVICES, 0, 0 }, END } },
    { __NR_readv, .checks = { { FD_DEVICES, 0, 0 }, END } },
    { __NR_writev, .checks = { { FD_DEVICES, 0, 0 }, END } },
    { __NR_ppoll, .checks = { END } },
    { __NR_mmap,
      .of_memory = true,
      .checks = { { 2, ~(u32)(PROT_READ | PROT_WRITE | PROT_EXEC), 0 },
                  { 3, ~(u32)MAP_POPULATE, MAP_SHARED | MAP_FIXED },
                  END } },
    { __NR_mmap,
      .checks = { { 2, ~(u32)(PROT_READ | PROT_EXEC), 0 },
                  { 3, ~(u32)MAP_POPULATE, MAP_SHARED | MAP_FIXED },
                  { FD_DISK, 0, 0 },
                  END } },
    { __NR_munmap, .checks = { END } },
    { __NR_futex, .need = PROCESSES, .checks = { { 1, ~(u32)FUTEX_WAKE, FUTEX_WAIT }, END } },
    { __NR_restart_syscall, .need = PROCESSES, .checks = { END } }, /* Linux makes it of a futex() with a timeout that SIGCONT interrupted */
    { __NR_timer_settime, .checks = { { 1, ~0u, 0 }, END } }, /* relative; nothing but the process's own timers has a number */
    { __NR_tgkill, .need = PROCESSES, .checks = { { 2, ~0u, KICK_SIGNAL }, END } },
    { __NR_sched_yield, .need = PROCESSES, .checks = { END } },
    { __NR_sched_setaffinity, .need = PROCESSES, .checks = { { 1, ~0u, HOST_PLACES / 8 }, END } }, /* nothing but the process's own threads has a number */
    { __NR_clock_gettime, .checks = { { 0, ~1u, 0 }, END } }, /* CLOCK_REALTIME, CLOCK_MONOTONIC */
    { __NR_preadv, .checks = { { FD_DEVICES, 0, 0 }, END } },
    { __NR_pwritev, .checks = { { FD_DEVICES, 0, 0 }, END } },
    { __NR_pread64, .checks = { { FD_DEVICES, 0, 0 }, END } },
    { __NR_pwrite64, .checks = { { FD_DEVICES, 0, 0 }, END } },
    { __NR_fdatasync, .checks = { { FD_DEVICES, 0, 0 }, END } },
    { __NR_fallocate, .checks = { { 0, ~0u, HOST_FD_MEMORY }, { 1, ~0u, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE }, END } },
    { __NR_getrandom, .checks = { { 2, ~0u, 0 }, END } },
    { __NR_rt_sigreturn, .checks = { END } },
    { __NR_exit_group, .checks = { END } },
    { __NR_clone, .need = CPUS, .checks = { { 0, ~(u32)CLONE_PARENT, CARRIER_SIGNAL, HOST_THREAD_FLAGS }, END } },
    { __NR_clone, .need = PROCESSES, .checks = { { 0, ~(u32)CLONE_PARENT, CARRIER_SIGNAL }, END } },
    { __NR_gettid, .need = PROCESSES, .checks = { END } },
    { __NR_timer_create, .need = PROCESSES, .checks = { { 0, ~0u, 1 }, END } }, /* CLOCK_MONOTONIC */
    { __NR_sigaltstack, .need = PROCESSES, .checks = { END } },
    { __NR_rt_sigprocmask, .need = PROCESSES, .checks = { END } },
    { __NR_wait4, .need = PROCESSES, .checks = { { 2, ~0u, WNOHANG }, END } },
};

#define MAX_PROGRAM 320
static struct sock_filter program[MAX_PROGRAM];
static unsigned length;

extern const u8 host_call_end[], host_wait_end[];

static void emit(u16 code, u32 k, u8 jt, u8 jf)
{
    ASSERT(length < MAX_PROGRAM);
    program[length++] = (struct sock_filter){ code, jt, jf, k };
}

static void load(u32 offset) { emit(BPF_LD | BPF_W | BPF_ABS, offset, 0, 0); }
static void answer(u32 k) { emit(BPF_RET | BPF_K, k, 0, 0); }

/* Go on when the word loaded equals k, else end the process. */
static void want_equal(u32 k)
{
    emit(BPF_JMP | BPF_JEQ | BPF_K, k, 1, 0);
    answer(SECCOMP_RET_KILL_PROCESS);
}

static void want_check(const struct check *c)
{
    u8 arg = c->arg == FD_DEVICES ? 0 : c->arg == FD_DISK ? 4 : c->arg;
    load((u32)offsetof(struct seccomp_data, args) + 8u * arg + 4);
    want_equal(0);
    load((u32)offsetof(struct seccomp_data, args) + 8u * arg);
    if (c->arg == FD_DEVICES) {
        emit(BPF_JMP | BPF_JEQ | BPF_K, HOST_FD_CONSOLE, 3, 0);
        emit(BPF_JMP | BPF_JGE | BPF_K, HOST_FD_FIRST_DEVICE, 0, 1);
        emit(BPF_JMP | BPF_JGE | BPF_K, HOST_FD_FIRST_DEVICE + host_boot->ndevices, 0, 1);
        answer(SECCOMP_RET_KILL_PROCESS);
        return;
    }
    if (c->arg == FD_DISK) {
        want_equal(host_map.disk_phys != 0 ? (u32)host_map.disk_fd : ~0u);
        return;
    }
    if (c->mask != ~0u)
        emit(BPF_ALU | BPF_AND | BPF_K, c->mask, 0, 0);
    if (c->other != 0)
        emit(BPF_JMP | BPF_JEQ | BPF_K, c->other, 2, 0);
    want_equal(c->value);
}

/* Writable and executable at once: mmap's rule beside its pinned bits. */
static void want_not_both(u32 bits)
{
    load((u32)offsetof(struct seccomp_data, args) + 8u * 2);
    emit(BPF_ALU | BPF_AND | BPF_K, bits, 0, 0);
    emit(BPF_JMP | BPF_JEQ | BPF_K, bits, 0, 1);
    answer(SECCOMP_RET_KILL_PROCESS);
}

static void emit_allowed(const struct allowed_call *a)
{
    unsigned jump = length, memory = 0;
    emit(BPF_JMP | BPF_JEQ | BPF_K, a->nr, 0, 0);
    if (a->of_memory) {
        load((u32)offsetof(struct seccomp_data, args) + 8u * 4 + 4);
        want_equal(0);
        load((u32)offsetof(struct seccomp_data, args) + 8u * 4);
        memory = length;
        emit(BPF_JMP | BPF_JEQ | BPF_K, HOST_FD_MEMORY, 0, 0);
    }
    for (const struct check *c = a->checks; c->arg != NO_MORE; c++)
        want_check(c);
    if (a->of_memory)
        want_not_both(PROT_WRITE | PROT_EXEC);
    answer(SECCOMP_RET_ALLOW);
    if (memory != 0) {
        program[memory].jf = (u8)(length - memory - 1);
        load((u32)offsetof(struct seccomp_data, nr));
    }
    program[jump].jf = (u8)(length - jump - 1);
}

static void build(void)
{
    u32 pc = (u32)offsetof(struct seccomp_data, instruction_pointer);
    u64 call = (u64)host_call_end, wait = (u64)host_wait_end;
    ASSERT(call >> 32 == wait >> 32);
    load(pc + 4);
    emit(BPF_JMP | BPF_JEQ | BPF_K, (u32)(call >> 32), 1, 0);
    answer(SECCOMP_RET_TRAP);
    load(pc);
    emit(BPF_JMP | BPF_JEQ | BPF_K, (u32)call, 2, 0);
    emit(BPF_JMP | BPF_JEQ | BPF_K, (u32)wait, 1, 0);
    answer(SECCOMP_RET_TRAP);
    load((u32)offsetof(struct seccomp_data, arch));
    want_equal(AUDIT_ARCH_X86_64);
    load((u32)offsetof(struct seccomp_data, nr));
    for (unsigned i = 0; i < ARRAY_SIZE(allowed); i++)
        if (allowed[i].need == ALWAYS || (allowed[i].need == PROCESSES ? host_carriers_max > 1 : host_cpus > 1))
            emit_allowed(&allowed[i]);
    answer(SECCOMP_RET_KILL_PROCESS);
}

void host_sandbox(void)
{
    build();
    struct sock_fprog p = { (unsigned short)length, program };
    host_call(__NR_prctl, (long)PR_SET_DUMPABLE, 0L, 0L, 0L, 0L);
    host_call(__NR_prctl, (long)PR_SET_NO_NEW_PRIVS, 1L, 0L, 0L, 0L);
    /* Speculation is the CPU's and Linux's matter as for any process: no slower mode because of the filter. */
    if (host_call(__NR_seccomp, (long)SECCOMP_SET_MODE_FILTER, (long)SECCOMP_FILTER_FLAG_SPEC_ALLOW, &p) != 0)
        host_fatal("Linux does not take the seccomp filter");
}
