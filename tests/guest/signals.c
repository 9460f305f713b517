/* SPDX-License-Identifier: Apache-2.0 */
/* sigaction(2), sigprocmask(2), sigaltstack(2), kill(2), sigqueue(3), setitimer(2), sigtimedwait(2), signalfd(2) */
#include <cpuid.h>
#include "t.h"
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>

static volatile int count, last, code, value, order[16], norder;
static volatile void *stack_of_handler;
static sigjmp_buf escape;

static void note(int sig, siginfo_t *info, void *ctx)
{
    char here;
    stack_of_handler = &here;
    count++;
    last = sig;
    code = info->si_code;
    value = info->si_value.sival_int;
    if (norder < 16)
        order[norder++] = sig;
}

static void simple(int sig) { count++, last = sig; }

static void leave(int sig, siginfo_t *info, void *ctx)
{
    last = sig;
    code = info->si_code;
    siglongjmp(escape, 1);
}

static void install(int sig, void (*fn)(int, siginfo_t *, void *), int flags)
{
    struct sigaction sa = {.sa_sigaction = fn, .sa_flags = SA_SIGINFO | flags};
    sigaction(sig, &sa, NULL);
}

static void skip_instruction(int sig, siginfo_t *info, void *ctx)
{
    ucontext_t *u = ctx;
    last = sig;
    u->uc_mcontext.gregs[REG_RIP] += 2; /* ud2 */
    u->uc_mcontext.gregs[REG_RBX] = 4711;
}

static void faults(void)
{
    section("faults");
    install(SIGFPE, leave, 0);
    install(SIGILL, leave, 0);
    install(SIGTRAP, note, 0);
    install(SIGSEGV, leave, 0);
    volatile int zero = 0, one = 1;
    if (sigsetjmp(escape, 1) == 0)
        one = one / zero;
    printf("division: %s %d\n", sigabbrev_np(last), code);
    if (sigsetjmp(escape, 1) == 0)
        __asm__ volatile("ud2");
    printf("ud2: %s %d\n", sigabbrev_np(last), code);
#define INT(n)                         \
    if (sigsetjmp(escape, 1) == 0)     \
        __asm__ volatile("int $" #n);  \
    printf("int " #n ": %s %d\n", sigabbrev_np(last), code), last = code = 0
    INT(2);
    INT(8);
    INT(10);
    INT(11);
    INT(12);
    INT(13);
    INT(14);
    INT(17);
    INT(18);
    __asm__ volatile("int3");
    printf("int3: %s %d\n", sigabbrev_np(last), code);
    if (sigsetjmp(escape, 1) == 0)
        *(volatile int *)0xdead0000000000UL = 1;
    printf("non-canonical: %s %d\n", sigabbrev_np(last), code);
    install(SIGILL, skip_instruction, 0);
    long rbx = 1;
    __asm__ volatile("ud2" : "+b"(rbx));
    printf("changed register: %ld\n", rbx);
}

static volatile unsigned handler_mxcsr;
static volatile unsigned short handler_control, handler_status;

static void look_at_fpu(int sig)
{
    __asm__ volatile("stmxcsr %0; fnstcw %1; fnstsw %2" : "=m"(handler_mxcsr), "=m"(handler_control), "=m"(handler_status));
}

static void floating_point(void)
{
    section("a handler starts with a floating point state of its own");
    unsigned mxcsr = 0x7f80;
    unsigned short control = 0x27f, status;
    signal(SIGWINCH, look_at_fpu);
    __asm__ volatile("ldmxcsr %0; fldcw %1; fld1; fld1; fld1; fld1; fld1; fld1; fld1" ::"m"(mxcsr), "m"(control));
    raise(SIGWINCH);
    __asm__ volatile("stmxcsr %0; fnstcw %1; fnstsw %2; fninit" : "=m"(mxcsr), "=m"(control), "=m"(status));
    SHOW(handler_mxcsr), SHOW(handler_control), SHOW(handler_status >> 11 & 7);
    SHOW(mxcsr), SHOW(control), SHOW(status >> 11 & 7);
    mxcsr = 0x1f80;
    __asm__ volatile("ldmxcsr %0" ::"m"(mxcsr));

    section("floating point survives a handler");
    double a = 1.5, b = 2.25;
    register double x __asm__("xmm5") = a;
    __asm__ volatile("" : "+x"(x));
    raise(SIGUSR1);
    __asm__ volatile("" : "+x"(x));
    (void)x;
    SHOW_TRUE(a * b == 3.375);
}

/* XSAVE areas: everything in its initial state, and nothing. */
static uint8_t initial[4096] __attribute__((aligned(64))), filled[4096] __attribute__((aligned(64)));
static unsigned ymm_offset; /* 0: there are none */
static bool frame_initial, frame_says_so;

static bool all_zero(const uint8_t *from, size_t n)
{
    return from[0] == 0 && memcmp(from, from + 1, n - 1) == 0;
}

static void look_at_frame(int sig, siginfo_t *info, void *context)
{
    uint8_t *f = (uint8_t *)((ucontext_t *)context)->uc_mcontext.fpregs;
    uint16_t control;
    memcpy(&control, f, sizeof control);
    frame_initial = control == 0x37f && all_zero(f + 2, 22) && all_zero(f + 32, 384) && (ymm_offset == 0 || all_zero(f + ymm_offset, 256));
    frame_says_so = (f[512] & 3) == 3;
    f[160 + 5 * 16] = 77; /* xmm5 */
}

/* A signal comes when the registers are as in `area`. What is in xmm5 behind it. */
__attribute__((noinline)) static int signal_with(const uint8_t *area)
{
    uint64_t xmm5[2];
    long r = SYS_kill;
    __asm__ volatile("mov %%rax, %%r9; mov $7, %%eax; xor %%edx, %%edx; xrstor64 %2; mov %%r9, %%rax; syscall; movups %%xmm5, %0"
                     : "=m"(xmm5), "+a"(r)
                     : "m"(*(const uint8_t(*)[4096])area), "D"((long)getpid()), "S"((long)SIGWINCH)
                     : "rcx", "rdx", "r9", "r11", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7");
    return (int)xmm5[0];
}

static void initial_state(void)
{
    section("registers in their initial state, in the frame");
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) {
        puts("no XSAVE");
        return;
    }
    if (__get_cpuid_count(0xd, 0, &a, &b, &c, &d) && (a & 4) && __get_cpuid_count(0xd, 2, &a, &b, &c, &d))
        ymm_offset = b;
    const uint32_t mxcsr = 0x1f80;
    memset(filled, 0x11, 512);
    filled[1] = 3;
    memcpy(filled + 24, &mxcsr, sizeof mxcsr);
    memcpy(initial + 24, &mxcsr, sizeof mxcsr);
    filled[512] = ymm_offset != 0 ? 7 : 3;
    if (ymm_offset != 0)
        memset(filled + ymm_offset, 0x22, 256);
    struct sigaction sa = {.sa_sigaction = look_at_frame, .sa_flags = SA_SIGINFO};
    sigaction(SIGWINCH, &sa, NULL);
    for (int i = 0; i < 4; i++) {
        int xmm5 = signal_with(i & 1 ? initial : filled) & 0xff;
        printf("%d: %s %s %d\n", i, frame_initial ? "initial" : "not initial", frame_says_so ? "there" : "not there", xmm5);
    }
    signal(SIGWINCH, SIG_DFL);
}

static volatile int ticks;
static void tick(int sig) { ticks += sig != 0; }

static void comes_again(void)
{
    ticks = 0;
    signal(SIGUSR1, tick);
    for (int i = 0; i < 5000 && ticks < 5; i++)
        usleep(1000);
    SHOW_TRUE(ticks >= 5);
    signal(SIGUSR1, SIG_IGN);
}

/* A timer whose signal was ignored, or thrown away when it was pending, is heard again. */
static void ignored_timer(void)
{
    section("a timer whose signal is ignored for a while");
    timer_t t;
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    signal(SIGUSR1, SIG_IGN);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    struct itimerspec its = {{0, 1000000}, {0, 1000000}};
    SHOW(timer_create(CLOCK_MONOTONIC, &ev, &t));
    SHOW(timer_settime(t, 0, &its, NULL));
    usleep(10000);
    comes_again();
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGUSR1, tick);
    sigset_t pending;
    do
        sigpending(&pending);
    while (!sigismember(&pending, SIGUSR1));
    signal(SIGUSR1, SIG_IGN);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    comes_again();
    SHOW(timer_settime(t, 0, &(struct itimerspec){0}, NULL));
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGUSR1, tick);
    kill(getpid(), SIGUSR1); /* pending already when the timer's comes */
    SHOW(timer_settime(t, 0, &its, NULL));
    usleep(10000);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    comes_again();
    SHOW(timer_delete(t));
}

static volatile int second_taken;
static void take_second(int sig) { second_taken = sig; }

static void *takes_the_second(void *arg)
{
    sigset_t set;
    sigfillset(&set);
    sigdelset(&set, SIGUSR2);
    pthread_sigmask(SIG_SETMASK, &set, NULL);
    *(volatile long *)arg = gettid();
    while (!second_taken)
        pause();
    return NULL;
}

static volatile long waiter_tid;
static void *sends_both(void *arg)
{
    until_asleep(&waiter_tid);
    kill(getpid(), SIGUSR1);
    kill(getpid(), SIGUSR2);
    for (int i = 0; i < 5000 && !second_taken; i++) /* a thread that ends passes on what it was to take */
        usleep(1000);
    return NULL;
}

/* Two signals come for a thread that takes one of them and blocks both again: the other one is for whoever lets it through. */
static void one_of_two(void)
{
    section("one of two");
    pthread_t t[2];
    volatile long tid = 0;
    sigset_t both;
    sigemptyset(&both);
    sigaddset(&both, SIGUSR1);
    sigaddset(&both, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &both, NULL);
    signal(SIGUSR2, take_second);
    pthread_create(&t[0], NULL, takes_the_second, (void *)&tid);
    until_asleep(&tid);
    pthread_create(&t[1], NULL, sends_both, NULL);
    waiter_tid = gettid();
    SHOW(sigwaitinfo(&both, NULL));
    for (int i = 0; i < 4000 && !second_taken; i++)
        usleep(1000);
    SHOW(second_taken);
    if (second_taken)
        pthread_join(t[0], NULL);
    pthread_join(t[1], NULL);
}

static void read_one_signal(const sigset_t *set, int began)
{
    struct signalfd_siginfo si;
    int fd = signalfd(-1, set, 0);
    signal(SIGALRM, SIG_DFL);
    sigprocmask(SIG_SETMASK, set, NULL);
    alarm(30);
    (void)!write(began, "r", 1);
    _exit(read(fd, &si, sizeof si) == sizeof si ? (int)si.ssi_signo : 255);
}

/* The watch is of a process that is long gone when its descriptors are closed; those that took its place are not disturbed. */
static void watch_outlives_its_process(void)
{
    section("a watch outlives its process");
    int go[2], told[2], status;
    char c;
    pid_t readers[4];
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    SHOW(pipe(go));
    SHOW(pipe(told));
    prctl(PR_SET_CHILD_SUBREAPER, 1); /* the second child's end, too, is seen here, and over behind us */
    pid_t first = fork();
    if (first == 0) {
        int fd = signalfd(-1, &set, 0), ep = epoll_create1(0);
        struct epoll_event ev = {.events = EPOLLIN};
        epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
        if (fork() != 0)
            _exit(0);
        (void)!read(go[0], &c, 1);
        close(ep);
        close(fd);
        (void)!write(told[1], "c", 1);
        _exit(0);
    }
    SHOW_TRUE(waitpid(first, &status, 0) == first);
    for (int i = 0; i < 4; i++) {
        readers[i] = fork();
        if (readers[i] == 0)
            read_one_signal(&set, told[1]);
        SHOW(read(told[0], &c, 1));
        volatile long pid = readers[i];
        until_asleep_in("/proc", &pid);
    }
    SHOW(write(go[1], "g", 1));
    SHOW(read(told[0], &c, 1));
    for (int i = 0; i < 4; i++) {
        kill(readers[i], SIGUSR2);
        SHOW_TRUE(waitpid(readers[i], &status, 0) == readers[i]);
        SHOW_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == SIGUSR2);
    }
    SHOW_TRUE(wait(&status) > 0);
    prctl(PR_SET_CHILD_SUBREAPER, 0);
}

/* A signal that tells of a child says how it ended. */
static void watched_child(void)
{
    section("a child's end by signalfd");
    struct signalfd_siginfo si = {0};
    sigset_t set, old;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, &old);
    int fd = signalfd(-1, &set, 0);
    for (int killed = 0; killed < 2; killed++) {
        pid_t pid = fork();
        if (pid == 0) {
            if (killed)
                raise(SIGKILL);
            _exit(7);
        }
        SHOW(read(fd, &si, sizeof si));
        SHOW_TRUE((pid_t)si.ssi_pid == pid);
        SHOW(si.ssi_code);
        SHOW(si.ssi_status);
        SHOW_TRUE(si.ssi_ptr == 0 && si.ssi_int == 0);
        waitpid(pid, NULL, 0);
    }
    close(fd);
    sigprocmask(SIG_SETMASK, &old, NULL);
}

int main(void)
{
    section("errors");
    struct sigaction sa = {.sa_handler = simple};
    SHOW(sigaction(SIGKILL, &sa, NULL));
    SHOW(sigaction(SIGSTOP, &sa, NULL));
    SHOW(sigaction(0, &sa, NULL));
    SHOW(sigaction(65, &sa, NULL));
    SHOW(sigaction(SIGKILL, NULL, &sa));
    SHOW(kill(getpid(), 0));
    SHOW(kill(getpid(), 99));
    SHOW(kill(999999, 0));
    SHOW(syscall(SYS_tgkill, getpid(), gettid(), 0));
    SHOW(syscall(SYS_tgkill, getpid(), 999999, 0));
    SHOW(syscall(SYS_tgkill, -1, gettid(), 0));

    section("delivery");
    install(SIGUSR1, note, 0);
    SHOW(kill(getpid(), SIGUSR1));
    SHOW(count);
    SHOW(code);
    SHOW(raise(SIGUSR1));
    SHOW(code);
    union sigval v = {.sival_int = 77};
    SHOW(sigqueue(getpid(), SIGUSR1, v));
    SHOW(code);
    SHOW(value);
    sa.sa_handler = simple;
    sa.sa_flags = SA_RESETHAND;
    sigaction(SIGUSR2, &sa, NULL);
    raise(SIGUSR2);
    sigaction(SIGUSR2, NULL, &sa);
    SHOW_TRUE(sa.sa_handler == SIG_DFL);

    section("masks");
    sigset_t set, old, pending;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGKILL);
    SHOW(sigprocmask(SIG_BLOCK, &set, NULL));
    SHOW(sigprocmask(77, &set, NULL));
    sigprocmask(SIG_BLOCK, NULL, &old);
    SHOW(sigismember(&old, SIGUSR1));
    SHOW(sigismember(&old, SIGKILL));
    count = 0;
    raise(SIGUSR1);
    raise(SIGUSR1);
    sigpending(&pending);
    SHOW(sigismember(&pending, SIGUSR1));
    SHOW(count);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    SHOW(count);

    section("queueing and order");
    install(SIGRTMIN, note, 0);
    install(SIGRTMIN + 1, note, 0);
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigaddset(&set, SIGRTMIN + 1);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    count = norder = 0;
    for (int i = 0; i < 3; i++) {
        v.sival_int = i;
        sigqueue(getpid(), SIGRTMIN + 1, v);
        sigqueue(getpid(), SIGRTMIN, v);
    }
    kill(getpid(), SIGUSR1);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    SHOW(count);
    for (int i = 0; i < norder; i++)
        printf("order %d: %d\n", i, order[i] == SIGUSR1 ? 0 : order[i] - SIGRTMIN + 1);

    section("wait");
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    v.sival_int = 5;
    sigqueue(getpid(), SIGUSR2, v);
    siginfo_t info;
    struct timespec ts = {0, 1000000};
    SHOW(sigtimedwait(&set, &info, &ts));
    SHOW(info.si_value.sival_int);
    SHOW(sigtimedwait(&set, &info, &ts));
    ts.tv_nsec = -1;
    SHOW(sigtimedwait(&set, &info, &ts));
    int fd = SHOW_OK(signalfd(-1, &set, SFD_NONBLOCK));
    struct signalfd_siginfo si;
    SHOW(read(fd, &si, sizeof si));
    raise(SIGUSR2);
    SHOW(read(fd, &si, sizeof si));
    SHOW(si.ssi_signo);
    SHOW(read(fd, &si, 10));
    close(fd);

    section("alternate stack");
    static char alt[65536];
    stack_t ss = {.ss_sp = alt, .ss_size = sizeof alt}, oss;
    SHOW(sigaltstack(&ss, NULL));
    SHOW(sigaltstack(NULL, &oss));
    SHOW(oss.ss_flags);
    install(SIGUSR1, note, SA_ONSTACK);
    raise(SIGUSR1);
    SHOW_TRUE((char *)stack_of_handler >= alt && (char *)stack_of_handler < alt + sizeof alt);
    ss.ss_size = 10;
    SHOW(sigaltstack(&ss, NULL));
    ss.ss_flags = 77;
    SHOW(sigaltstack(&ss, NULL));
    ss.ss_flags = SS_DISABLE;
    SHOW(sigaltstack(&ss, NULL));

    section("interrupted calls");
    install(SIGALRM, note, 0);
    /* Again and again: the first may come before the call. */
    struct itimerval it = {{.tv_usec = 20000}, {.tv_usec = 20000}}, off = {0}, oit;
    SHOW(setitimer(ITIMER_REAL, &it, NULL));
    struct timespec req = {100, 0}, rem;
    SHOW(nanosleep(&req, &rem));
    SHOW_TRUE(rem.tv_sec > 50);
    SHOW(setitimer(ITIMER_REAL, &off, NULL));
    SHOW(getitimer(ITIMER_REAL, &oit));
    SHOW(oit.it_value.tv_usec);
    SHOW(setitimer(77, &it, NULL));
    int p[2];
    (void)!pipe(p);
    char b[4];
    setitimer(ITIMER_REAL, &it, NULL);
    SHOW(read(p[0], b, 1));
    setitimer(ITIMER_REAL, &off, NULL);
    SHOW(alarm(100));
    SHOW(alarm(0));
    setitimer(ITIMER_REAL, &it, NULL);
    SHOW(pause());
    sigset_t none;
    sigemptyset(&none);
    SHOW(sigsuspend(&none));
    setitimer(ITIMER_REAL, &off, NULL);
    signal(SIGPIPE, SIG_IGN);
    close(p[0]);
    SHOW(write(p[1], "x", 1));
    install(SIGPIPE, note, 0);
    last = 0;
    SHOW(write(p[1], "x", 1));
    SHOW_TRUE(last == SIGPIPE);

    faults();
    floating_point();
    initial_state();

    section("timers");
    timer_t t;
    struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 9};
    SHOW(timer_create(CLOCK_MONOTONIC, &ev, &t));
    struct itimerspec its = {.it_value.tv_nsec = 10000000};
    count = 0;
    SHOW(timer_settime(t, 0, &its, NULL));
    while (count == 0)
        ;
    SHOW(code);
    SHOW(value);
    SHOW(timer_getoverrun(t));
    SHOW(timer_delete(t));
    SHOW(timer_delete(t));
    SHOW(timer_create(77, &ev, &t));

    section("periods shorter than a signal takes");
    sigset_t waiting;
    sigemptyset(&waiting);
    sigaddset(&waiting, SIGALRM);
    sigaddset(&waiting, SIGUSR1);
    sigprocmask(SIG_BLOCK, &waiting, NULL);
    it = (struct itimerval){{0, 1}, {0, 1}};
    SHOW(setitimer(ITIMER_REAL, &it, NULL));
    usleep(1000);
    it = (struct itimerval){0};
    SHOW(setitimer(ITIMER_REAL, &it, NULL));
    SHOW(sigwaitinfo(&waiting, NULL));
    SHOW(timer_create(CLOCK_MONOTONIC, &ev, &t));
    its = (struct itimerspec){{0, 1}, {0, 1}};
    SHOW(timer_settime(t, 0, &its, NULL));
    usleep(1000);
    siginfo_t taken;
    SHOW(sigwaitinfo(&waiting, &taken));
    SHOW_TRUE(taken.si_overrun > 100);
    SHOW(timer_delete(t));
    ignored_timer();
    one_of_two();
    watch_outlives_its_process();
    watched_child();
    return 0;
}
