/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that means harm, or has lost its mind: wild HOW. Each way prints "survived" when the program could go on, or
 * ends the instance. wild.py says what must happen; the host must never notice.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static sigjmp_buf back;
static volatile sig_atomic_t caught;

static void on_fault(int sig)
{
    caught++;
    siglongjmp(back, 1);
}

static void catch_all(void)
{
    static char stack[65536];
    stack_t ss = { .ss_sp = stack, .ss_size = sizeof stack };
    struct sigaction sa = { .sa_handler = on_fault, .sa_flags = SA_ONSTACK | SA_NODEFER };
    sigaltstack(&ss, NULL);
    for (int sig = 1; sig < 32; sig++)
        sigaction(sig, &sa, NULL);
}

static uint64_t random_state = 88172645463325252ull;
static uint64_t random64(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static uint64_t gs_base(void)
{
    uint64_t v;
    __asm__ volatile("movq %%gs:0, %0" : "=r"(v));
    return v;
}

/* --- the ways -------------------------------------------------------------------------- */

/* Jumps to places where no code is. */
static void jumps(void)
{
    catch_all();
    for (volatile int i = 0; i < 2000; i++) {
        volatile uint64_t to = random64();
        if (i % 3 == 0)
            to &= 0x7fffffffffff;
        if (i % 3 == 1)
            to = 0xffffffff80000000 + (to & 0x7fffffff);
        if (sigsetjmp(back, 1) == 0)
            ((void (*)(void))to)();
    }
    uint64_t kernel_stack; /* ours: mapped, but no code */
    __asm__ volatile("movq %%gs:16, %0" : "=r"(kernel_stack));
    if (sigsetjmp(back, 1) == 0)
        ((void (*)(void))(kernel_stack - 64))();
    printf("survived %d faults\n", (int)caught);
}

/* Stack pointers that point nowhere. */
static void stacks(void)
{
    catch_all();
    for (volatile int i = 0; i < 500; i++)
        if (sigsetjmp(back, 1) == 0)
            __asm__ volatile("movq %0, %%rsp; pushq $1; ud2" ::"r"(random64() & 0xffffffffffff));
    printf("survived %d faults\n", (int)caught);
}

/* Every system call with arguments of every kind, but those that end or stop the program as they should. */
static void calls(void)
{
    static const int leave_out[] = { SYS_exit, SYS_exit_group, SYS_rt_sigreturn, SYS_pause, SYS_rt_sigsuspend, SYS_kill, SYS_tkill,
                                     SYS_tgkill, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo, SYS_execve, SYS_execveat, SYS_alarm,
                                     SYS_setitimer, SYS_timer_settime, SYS_fork, SYS_vfork, SYS_clone, SYS_clone3,
                                     SYS_munmap, SYS_mremap, SYS_mprotect, SYS_brk, SYS_mmap, SYS_shmat, SYS_remap_file_pages,
                                     SYS_rt_sigaction, SYS_sigaltstack, SYS_rt_sigprocmask, SYS_arch_prctl, SYS_close_range,
                                     SYS_pkey_mprotect, SYS_madvise, SYS_process_madvise, SYS_setrlimit, SYS_prlimit64, SYS_reboot,
                                     SYS_pidfd_send_signal, SYS_process_vm_writev, SYS_prctl, SYS_sched_setscheduler, SYS_rseq,
                                     SYS_sched_setattr, SYS_sched_setparam,
                                     SYS_ppoll, SYS_pselect6, SYS_epoll_pwait, SYS_epoll_pwait2, SYS_set_robust_list };
    uint64_t *area = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect((char *)area + 32768, 32768, PROT_NONE); /* what overruns it hits nothing of ours */
    catch_all();
    for (volatile int i = 0; i < 60000; i++) {
        volatile long nr = (long)(random64() % 470), args[6];
        for (unsigned k = 0; k < sizeof leave_out / sizeof leave_out[0]; k++)
            if (leave_out[k] == nr)
                nr = SYS_getppid;
        for (int k = 0; k < 6; k++) {
            uint64_t r = random64();
            args[k] = (long)(r % 7 == 0 ? (uint64_t)&area[r >> 8 & 1023] : r % 7 == 1 ? r >> 60 : r % 7 == 2 ? r : r % 7 == 3 ? r >> 17
                             : r % 7 == 4 ? 1 : r % 7 == 5 ? 0x7ff000000000 + (r >> 30) : 4096);
        }
        /* nothing that may sleep for long: timeouts of a millisecond at most */
        if (sigsetjmp(back, 1) == 0) {
            struct itimerval soon = { .it_value = { 0, 1000 }, .it_interval = { 0, 1000 } };
            syscall(SYS_setitimer, ITIMER_REAL, &soon, NULL);
            syscall(nr, args[0], args[1], args[2], args[3], args[4], args[5]);
        }
    }
    _exit(42); /* nobody knows which descriptors are left */
}

/* Every signal, raised at oneself, with and without a handler that returns. */
static void signals(void)
{
    catch_all();
    for (volatile int round = 0; round < 200; round++)
        for (volatile int sig = 1; sig < 32; sig++)
            if (sig != SIGKILL && sig != SIGSTOP && sigsetjmp(back, 1) == 0)
                raise(sig);
    printf("survived %d signals\n", (int)caught);
}

static void *sleeper(void *arg)
{
    pause();
    return arg;
}

/* Threads until there are no more, three times. */
static void threads(void)
{
    int n = 0;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 16384);
    for (; n < 200000; n++) {
        pthread_t t;
        if (pthread_create(&t, &attr, sleeper, NULL) != 0)
            break;
    }
    printf("survived %d threads\n", n);
    fflush(stdout);
    _exit(0);
}

/* More mappings than Linux gives to a process: stacks of many threads, and pages that have no neighbours, twice at the same place. */
static void crowd(void)
{
    enum { PAGES = 24500, SPAN = PAGES * 2 * 4096 };
    pthread_attr_t attr;
    pthread_t t;
    int bad = 0, n = 0;
    int fd = open("/proc/sys/kernel/threads-max", O_WRONLY);
    setrlimit(RLIMIT_NPROC, &(struct rlimit){RLIM_INFINITY, RLIM_INFINITY});
    if (fd < 0 || write(fd, "30000\n", 6) != 6)
        printf("threads-max stays\n");
    close(fd);
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 16384);
    while (n < 24000 && pthread_create(&t, &attr, sleeper, NULL) == 0)
        n++;
    char *p = mmap(NULL, SPAN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), *q = p;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < SPAN; i += 8192)
            q[i] = 1;
        if (round == 0) {
            mmap(p, SPAN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
            for (int i = 0; i < SPAN; i += 4096)
                p[i] = 2;
            q = mmap(NULL, SPAN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        }
    }
    for (int i = 0; i < SPAN; i += 4096)
        bad += p[i] != 2;
    printf("survived %s threads, %d bytes wrong\n", n == 24000 ? "all" : "few", bad);
    fflush(stdout);
    _exit(0);
}

/* A gigabyte, page by page in random order: far more pieces than Linux gives mappings. */
static void pages(void)
{
    enum { N = 1 << 18 };
    static unsigned order[N];
    unsigned wrong = 0;
    char *p = mmap(NULL, (size_t)N * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return;
    for (unsigned i = 0; i < N; i++) {
        unsigned k = (unsigned)(random64() % (i + 1));
        order[i] = order[k];
        order[k] = i;
    }
    for (unsigned i = 0; i < N; i++)
        memcpy(p + (size_t)order[i] * 4096 + 8, &order[i], sizeof order[i]);
    for (unsigned i = 0; i < N; i++) {
        unsigned k = order[N - 1 - i];
        wrong += memcmp(p + (size_t)k * 4096 + 8, &k, sizeof k) != 0;
    }
    printf("survived %d pages, %u wrong\n", N, wrong);
}

/* Over what is not the program's. */
static void maps(void)
{
    catch_all();
    int refused = 0, tries = 0;
    uint64_t places[] = { 0, 0x1000, 0x7e9000000000, 0x7f0000000000, 0x7fffffff0000, 0x800000000000, 0xffff800000000000,
                          0xffffffff80100000, gs_base() & ~4095ull };
    for (unsigned i = 0; i < sizeof places / sizeof places[0]; i++) {
        tries++;
        refused += mmap((void *)places[i], 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED;
        tries++;
        refused += munmap((void *)places[i], 1ul << 46) != 0;
        tries++;
        refused += mprotect((void *)places[i], 4096, PROT_READ | PROT_EXEC) != 0;
    }
    printf("survived: %d of %d refused\n", refused, tries);
}

/* Host only: the kernel's own way to Linux, found by following GS and reading backwards through the image. */
typedef long host_call_fn(long nr, ...);
static host_call_fn *find_stub(void)
{
    static const unsigned char want[] = { 0x48, 0x89, 0xf8, 0x48, 0x89, 0xf7, 0x48, 0x89, 0xd6, 0x48, 0x89, 0xca, 0x4d, 0x89,
                                          0xc2, 0x4d, 0x89, 0xc8, 0x4c, 0x8b, 0x4c, 0x24, 0x08, 0x0f, 0x05 };
    for (unsigned char *p = (unsigned char *)(gs_base() & ~4095ull);; p--)
        if (memcmp(p, want, sizeof want) == 0)
            return (host_call_fn *)p;
}

/* Processes of the host until there are no more. All share our memory, stacks and all, and a fault in one would be taken as ours: each
 * gets a stack of its own, and what it touches is there before. So would events be: they are blocked from then on. */
static host_call_fn *the_stub;
static int never;
static void sleep_for_ever(void)
{
    for (;;)
        the_stub(SYS_futex, &never, 0L /* FUTEX_WAIT */, 0L, 0L);
}

static void bomb(void)
{
    enum { STACK = 512 };
    static void (*stacks[1000][STACK])(void);
    int n = 0;
    long r = *(volatile unsigned char *)sleep_for_ever + (never = 0);
    uint64_t events = 1ul << (SIGALRM - 1) | 1ul << (SIGURG - 1);
    the_stub(SYS_rt_sigprocmask, (long)SIG_SETMASK, &events, 0L, 8L);
    for (; n < 1000; n++) {
        stacks[n][STACK - 9] = sleep_for_ever;
        r = the_stub(SYS_clone, 17L /* SIGCHLD */, &stacks[n][STACK - 9], 0L, 0L, 0L);
        if (r < 0)
            break;
    }
    printf("survived %s processes, then %s\n", n < 128 ? "few" : "many", r == -EAGAIN ? "EAGAIN" : "another error");
    fflush(stdout);
    int status = 0;
    pid_t pid = fork(); /* the kernel gets no process either */
    if (pid == 0)
        _exit(7);
    waitpid(pid, &status, 0);
    printf("a child ended with %d\n", WEXITSTATUS(status));
}

static void stub(const char *which)
{
    host_call_fn *call = the_stub = find_stub();
    printf("found the stub\n");
    fflush(stdout);
    if (strcmp(which, "bomb") == 0) {
        bomb();
        return;
    }
    if (strcmp(which, "child") == 0 && fork() != 0) /* another process of the host does it */
        wait(NULL);
    if (strcmp(which, "open") == 0 || strcmp(which, "child") == 0)
        call(SYS_openat, (long)AT_FDCWD, "/tmp/drupe-escape", (long)(O_CREAT | O_RDWR), 0666L);
    else if (strcmp(which, "socket") == 0)
        call(SYS_socket, 2L, 1L, 0L);
    else if (strcmp(which, "exec") == 0)
        call(SYS_execve, "/bin/true", 0L, 0L);
    else if (strcmp(which, "kill") == 0)
        call(SYS_kill, -1L, 9L);
    else if (strcmp(which, "ptrace") == 0)
        call(SYS_ptrace, 16L, 1L, 0L, 0L);
    else if (strcmp(which, "memory") == 0)
        call(SYS_mmap, 0L, 1L << 40, 7L, (long)(MAP_PRIVATE | MAP_ANONYMOUS), -1L, 0L);
    else if (strcmp(which, "bus") == 0) /* a page that the memory file does not have */
        *(volatile char *)call(SYS_mmap, 0x10000000L, 4096L, 3L, (long)(MAP_SHARED | MAP_FIXED), 3L, 1L << 45) = 1;
    printf("still here\n");
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";
    static const struct { const char *name; void (*fn)(void); } ways[] = {
        { "jumps", jumps }, { "stacks", stacks }, { "calls", calls }, { "signals", signals }, { "threads", threads }, { "maps", maps }, { "pages", pages },
        { "crowd", crowd },
    };
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (strcmp(how, "kernel-write") == 0)
        memset((void *)(gs_base() & ~4095ull), 0xee, 4096);
    else if (strcmp(how, "kernel-jump") == 0)
        ((void (*)(void))(find_stub() + 1))();
    else if (strcmp(how, "stub") == 0 && argc > 2)
        stub(argv[2]);
    for (unsigned i = 0; i < sizeof ways / sizeof ways[0]; i++)
        if (strcmp(how, ways[i].name) == 0)
            ways[i].fn();
    return 0;
}
