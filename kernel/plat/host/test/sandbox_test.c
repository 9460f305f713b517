/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seccomp filter from both sides: an ordinary process installs the very program that the kernel installs (sandbox.c) and
 * tries, in a child each, every number of Linux's calls, and for the listed ones arguments beside the pinned ones.
 * From program text all must come back as SIGSYS; from the stub what is not listed must end the process.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../sandbox.c"

/* --- what sandbox.c wants of the kernel -------------------------------------------------- */

static struct host_boot block = { .ndevices = 2 };
const struct host_boot *host_boot = &block;
struct host_map host_map = { .disk_phys = 1, .disk_fd = 5 };
unsigned host_carriers_max = 2, host_cpus = 1;

__asm__(".globl host_call, host_call_end, host_wait_end\n"
        "host_call:\n"
        "movq %rdi, %rax; movq %rsi, %rdi; movq %rdx, %rsi; movq %rcx, %rdx; movq %r8, %r10; movq %r9, %r8; movq 8(%rsp), %r9\n"
        "syscall\n"
        "host_call_end: ret\n"
        "nop\n"
        "host_wait_end: ret\n");

void host_fatal(const char *text)
{
    fprintf(stderr, "%s\n", text);
    _exit(99);
}

void assert_failed(const char *text) { host_fatal(text); }

/* --- one call in a child ----------------------------------------------------------------- */

enum outcome { PASSED, KILLED, TRAPPED, OTHER };
static const char *const names[] = { "passed", "killed", "trapped", "something else" };

static void on_sigsys(int sig, siginfo_t *info, void *context)
{
    (void)sig;
    (void)context;
    host_call(__NR_exit_group, info->si_code == 1 /* SYS_SECCOMP */ ? 77L : 78L);
}

struct attempt {
    long nr, args[6];
};

/* Descriptors as in an instance: 2 console, 3 memory, 4 and 5 devices; 6 and 7 are open but not listed. */
static void prepare_descriptors(void)
{
    int memory = memfd_create("test", 0), null = open("/dev/null", O_RDWR);
    if (memory < 0 || null < 0 || ftruncate(memory, 1 << 20) != 0)
        exit(1);
    dup2(memory, 13);
    for (int fd = 4; fd < 8; fd++)
        dup2(null, fd);
    dup2(13, HOST_FD_MEMORY);
    dup2(null, HOST_FD_CONSOLE);
}

static enum outcome outcome_of(const struct attempt *a, bool from_stub)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct sigaction sa = { .sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO };
        sigaction(SIGSYS, &sa, NULL);
        alarm(5);
        prepare_descriptors();
        host_sandbox();
        if (from_stub)
            host_call(a->nr, a->args[0], a->args[1], a->args[2], a->args[3], a->args[4], a->args[5]);
        else
            syscall(a->nr, a->args[0], a->args[1], a->args[2], a->args[3], a->args[4], a->args[5]);
        host_call(__NR_exit_group, 55L);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    if (WIFSIGNALED(status))
        return WTERMSIG(status) == SIGSYS ? KILLED : a->nr == __NR_rt_sigreturn ? PASSED : OTHER;
    if (WEXITSTATUS(status) == 77)
        return TRAPPED;
    return WEXITSTATUS(status) == 55 || a->nr == __NR_exit_group ? PASSED : OTHER;
}

static unsigned count, failed;

static void check(bool good, const char *what)
{
    printf("%sok %u - %s\n", good ? "" : "not ", ++count, what);
    failed += !good;
}

static void expect(const char *what, enum outcome want, struct attempt a)
{
    enum outcome got = outcome_of(&a, true);
    check(got == want, what);
    if (got != want)
        printf("# %s, should have been %s\n", names[got], names[want]);
}

/* --- the tests ------------------------------------------------------------------------------ */

#define LAST_CALL 600 /* beyond Linux's last */

/* uretprobe and uprobe: no filter is asked since Linux 6.14; they fail or raise SIGILL outside a probe's trampoline. */
static bool beyond_filters(long nr) { return nr == 335 || nr == 336; }

static bool is_listed(long nr)
{
    for (unsigned i = 0; i < ARRAY_SIZE(allowed); i++)
        if (allowed[i].nr == nr)
            return true;
    return false;
}

static void every_number(void)
{
    unsigned wrong_stub = 0, wrong_text = 0;
    for (long nr = 0; nr < LAST_CALL; nr++) {
        if (beyond_filters(nr))
            continue;
        struct attempt a = { .nr = nr };
        enum outcome got = outcome_of(&a, false);
        if (got != TRAPPED && wrong_text++ < 5)
            printf("# call %ld from program text: %s\n", nr, names[got]);
        if (is_listed(nr))
            continue;
        got = outcome_of(&a, true);
        if (got != KILLED && wrong_stub++ < 5)
            printf("# call %ld from the stub: %s\n", nr, names[got]);
    }
    check(wrong_text == 0, "every number from program text comes back as a signal");
    check(wrong_stub == 0, "every number that is not listed ends the process, from the stub");
    struct attempt x32 = { .nr = 0x40000000 + 1, .args = { HOST_FD_CONSOLE } };
    check(outcome_of(&x32, true) == KILLED, "an x32 number ends the process");
}

#define HIGH (1L << 32)
#define FIXED (MAP_SHARED | MAP_FIXED)

static void arguments(void)
{
    static char buf[16];
    long at = 0x7000000000, b = (long)buf;
    expect("mmap of the memory", PASSED, (struct attempt){ __NR_mmap, { at, 4096, PROT_READ | PROT_WRITE, FIXED, HOST_FD_MEMORY, 0 } });
    expect("mmap of the memory, executable", PASSED, (struct attempt){ __NR_mmap, { at, 4096, PROT_READ | PROT_EXEC, FIXED, HOST_FD_MEMORY, 0 } });
    expect("mmap writable and executable", KILLED, (struct attempt){ __NR_mmap, { at, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, FIXED, HOST_FD_MEMORY, 0 } });
    expect("mmap writable and executable only", KILLED, (struct attempt){ __NR_mmap, { at, 4096, PROT_WRITE | PROT_EXEC, FIXED, HOST_FD_MEMORY, 0 } });
    expect("mmap with another right", KILLED, (struct attempt){ __NR_mmap, { at, 4096, PROT_READ | PROT_GROWSDOWN, FIXED, HOST_FD_MEMORY, 0 } });
    expect("mmap with a right in the high half", KILLED, (struct attempt){ __NR_mmap, { at, 4096, PROT_READ | HIGH, FIXED, HOST_FD_MEMORY, 0 } });
    expect("mmap private", KILLED, (struct attempt){ __NR_mmap, { at, 4096, PROT_READ, MAP_PRIVATE | MAP_FIXED, HOST_FD_MEMORY, 0 } });
    expect("mmap anonymous", KILLED, (struct attempt){ __NR_mmap, { at, 4096, PROT_READ, FIXED | MAP_ANONYMOUS, HOST_FD_MEMORY, 0 } });
    expect("mmap locked", KILLED, (struct attempt){ __NR_mmap, { at, 4096, PROT_READ, FIXED | MAP_LOCKED, HOST_FD_MEMORY, 0 } });
    expect("mmap without a fixed place", KILLED, (struct attempt){ __NR_mmap, { 0, 4096, PROT_READ, MAP_SHARED, HOST_FD_MEMORY, 0 } });
    expect("mmap of the root image", PASSED, (struct attempt){ __NR_mmap, { at, 4096, PROT_READ | PROT_EXEC, FIXED, 5, 0 } });
    expect("mmap of the root image, writable", KILLED, (struct attempt){ __NR_mmap, { at, 4096, PROT_READ | PROT_WRITE, FIXED, 5, 0 } });
    expect("mmap of the root image, private", KILLED, (struct attempt){ __NR_mmap, { at, 4096, PROT_READ, MAP_PRIVATE | MAP_FIXED, 5, 0 } });
    expect("mmap of descriptor 5 and more", KILLED, (struct attempt){ __NR_mmap, { at, 4096, PROT_READ, FIXED, 5 | HIGH, 0 } });
    expect("mmap of another device", KILLED, (struct attempt){ __NR_mmap, { at, 4096, PROT_READ, FIXED, HOST_FD_FIRST_DEVICE, 0 } });
    expect("mmap of descriptor -1", KILLED, (struct attempt){ __NR_mmap, { at, 4096, PROT_READ, FIXED, -1, 0 } });
    static const long moving[] = { __NR_read, __NR_write, __NR_readv, __NR_writev, __NR_preadv, __NR_pwritev, __NR_pread64,
                                   __NR_pwrite64, __NR_fdatasync };
    for (unsigned i = 0; i < ARRAY_SIZE(moving); i++) {
        static const struct { long fd; enum outcome want; } fds[] = {
            { 0, KILLED }, { 1, KILLED }, { HOST_FD_CONSOLE, PASSED }, { HOST_FD_MEMORY, KILLED }, { 4, PASSED }, { 5, PASSED },
            { 6, KILLED }, { 7, KILLED }, { -1, KILLED }, { 4 | HIGH, KILLED }, { 0x7fffffff, KILLED },
        };
        for (unsigned k = 0; k < ARRAY_SIZE(fds); k++) {
            char what[64];
            snprintf(what, sizeof what, "call %ld on descriptor %ld", moving[i], fds[k].fd);
            expect(what, fds[k].want, (struct attempt){ moving[i], { fds[k].fd, b, 0 } });
        }
    }
    expect("a timer of its own", PASSED, (struct attempt){ __NR_timer_settime, { 0, 0, b, 0 } });
    expect("a timer by the wall clock", KILLED, (struct attempt){ __NR_timer_settime, { 0, TIMER_ABSTIME, b, 0 } });
    expect("a new timer", PASSED, (struct attempt){ __NR_timer_create, { CLOCK_MONOTONIC, 0, b } });
    expect("a new timer by another clock", KILLED, (struct attempt){ __NR_timer_create, { CLOCK_REALTIME, 0, b } });
    expect("a timer that wakes the host", KILLED, (struct attempt){ __NR_timer_create, { CLOCK_BOOTTIME_ALARM, 0, b } });
    expect("a kick", PASSED, (struct attempt){ __NR_tgkill, { 1 << 22, 1 << 22, SIGURG } }); /* nobody's number */
    expect("another signal", KILLED, (struct attempt){ __NR_tgkill, { 1 << 22, 1 << 22, SIGKILL } });
    expect("no signal", KILLED, (struct attempt){ __NR_tgkill, { 1 << 22, 1 << 22, 0 } });
    expect("a kick and more", KILLED, (struct attempt){ __NR_tgkill, { 1 << 22, 1 << 22, SIGURG | HIGH } });
    expect("waiting on a word of memory", PASSED, (struct attempt){ __NR_futex, { b, FUTEX_WAIT, 1 } });
    expect("waking who waits there", PASSED, (struct attempt){ __NR_futex, { b, FUTEX_WAKE, 1 } });
    expect("moving who waits", KILLED, (struct attempt){ __NR_futex, { b, FUTEX_REQUEUE, 1, 1, b } });
    expect("inheriting priority", KILLED, (struct attempt){ __NR_futex, { b, FUTEX_LOCK_PI } });
    expect("waiting as only threads can", KILLED, (struct attempt){ __NR_futex, { b, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 1 } });
    expect("the monotonic clock", PASSED, (struct attempt){ __NR_clock_gettime, { 1, b, 0 } });
    expect("another process's CPU time", KILLED, (struct attempt){ __NR_clock_gettime, { -14, b, 0 } });
    expect("giving memory back", PASSED, (struct attempt){ __NR_fallocate, { HOST_FD_MEMORY, 3, 0, 4096 } });
    expect("growing the memory", KILLED, (struct attempt){ __NR_fallocate, { HOST_FD_MEMORY, 0, 0, 1 << 21 } });
    expect("a hole in a device", KILLED, (struct attempt){ __NR_fallocate, { 4, 3, 0, 4096 } });
    expect("random bytes", PASSED, (struct attempt){ __NR_getrandom, { b, 8, 0 } });
    expect("random bytes, waiting for entropy", KILLED, (struct attempt){ __NR_getrandom, { b, 8, 2 } });
}

static void new_thread(void)
{
    for (;;)
        host_call(__NR_sched_yield);
}

/* Where it goes on: at new_thread(), on a stack of its own. */
static long thread_stack(void)
{
    static void *stack[1024] __attribute__((aligned(16)));
    stack[1014] = (void *)new_thread;
    stack[1013] = (void *)new_thread; /* host_call() returns there */
    return (long)&stack[1013];
}

#define THREAD (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)

/* New processes: copies of this one, nothing else, and only where there may be more than one. Threads: only of several CPUs. */
static void processes(void)
{
    static const struct { const char *what; long flags; enum outcome want; } tries[] = {
        { "a process", SIGCHLD, PASSED },
        { "a sibling", SIGCHLD | CLONE_PARENT, PASSED },
        { "a process without a signal at its end", 0, KILLED },
        { "a process with another signal", SIGKILL, KILLED },
        { "a thread", THREAD, KILLED },
        { "a process in the same memory", SIGCHLD | CLONE_VM, KILLED },
        { "a process that is traced", SIGCHLD | CLONE_PTRACE, KILLED },
        { "a user namespace", SIGCHLD | CLONE_NEWUSER, KILLED },
        { "a PID namespace", SIGCHLD | CLONE_NEWPID, KILLED },
        { "a descriptor of a process", SIGCHLD | CLONE_PIDFD, KILLED },
        { "a flag in the high half", SIGCHLD | HIGH, KILLED },
    };
    for (unsigned i = 0; i < ARRAY_SIZE(tries); i++)
        expect(tries[i].what, tries[i].want, (struct attempt){ __NR_clone, { tries[i].flags } });
    expect("whether one has ended", PASSED, (struct attempt){ __NR_wait4, { -1, (long)&host_cpus, 1, 0 } });
    expect("waiting until one ends", KILLED, (struct attempt){ __NR_wait4, { -1, (long)&host_cpus, 0, 0 } });
    expect("a call that was interrupted", PASSED, (struct attempt){ __NR_restart_syscall });
    static const u64 mask[16] = { 1 };
    expect("giving up the CPU", PASSED, (struct attempt){ __NR_sched_yield });
    expect("a place", PASSED, (struct attempt){ __NR_sched_setaffinity, { 0, 128, (long)mask } });
    expect("a place of another size", KILLED, (struct attempt){ __NR_sched_setaffinity, { 0, 8, (long)mask } });
    host_cpus = 2;
    static const struct { const char *what; long flags; } others[] = {
        { "a thread with descriptors of its own", THREAD & ~CLONE_FILES },
        { "a thread with handlers of its own", THREAD & ~(CLONE_THREAD | CLONE_SIGHAND) },
        { "a thread with a place for its number", THREAD | CLONE_PARENT_SETTID },
        { "a thread that is traced", THREAD | CLONE_PTRACE },
        { "a thread in another network", THREAD | CLONE_NEWNET },
        { "a process without a signal at its end, of several CPUs", 0 },
    };
    for (unsigned i = 0; i < ARRAY_SIZE(others); i++)
        expect(others[i].what, KILLED, (struct attempt){ __NR_clone, { others[i].flags } });
    expect("a process, of several CPUs", PASSED, (struct attempt){ __NR_clone, { SIGCHLD } });
    expect("a thread, of several CPUs", PASSED, (struct attempt){ __NR_clone, { THREAD, thread_stack() } });
    host_cpus = 1;
    host_carriers_max = 1;
    static const long more[] = { __NR_clone, __NR_futex, __NR_sigaltstack, __NR_rt_sigprocmask, __NR_gettid, __NR_timer_create, __NR_tgkill, __NR_sched_yield, __NR_sched_setaffinity, __NR_wait4, __NR_restart_syscall };
    for (unsigned i = 0; i < ARRAY_SIZE(more); i++)
        expect("a call for many processes, where there may be one only", KILLED, (struct attempt){ more[i], { i == 0 ? SIGCHLD : 1, 1, SIGURG } });
}

int main(void)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    every_number();
    arguments();
    processes();
    printf("1..%u\n", count);
    return failed != 0;
}
