/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a program has in its registers belongs to it, whatever comes in between: page faults, timer signals, other threads, system
 * calls. Each section prints how often something was found changed.
 */
#include "t.h"
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>

#define STORM_MS 1500
#define WORKERS 4
#define AC 0x40000ul
#define NT 0x4000ul
#define DF 0x400ul
#define TF 0x100ul

/* --- flags ------------------------------------------------------------------------------- */

/* Fault a page in and make a call with `flag` set. Which of both kept it: 1 and 2. */
static int with_flag(unsigned long flag)
{
    volatile char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned long fault, call;
    long r = SYS_getppid;
    __asm__ volatile("pushfq; orq %3, (%%rsp); popfq; movb $1, (%4); pushfq; popq %0; syscall; pushfq; popq %1; pushq $2; popfq"
                     : "=&r"(fault), "=&r"(call), "+a"(r)
                     : "r"(flag), "r"(p)
                     : "memory", "cc", "rcx", "r11");
    munmap((void *)p, 4096);
    return ((fault & flag) != 0) + 2 * ((call & flag) != 0);
}

static volatile int ticks;
static void on_tick(int sig) { ticks++; }

static void flags(void)
{
    section("flags across a page fault and a system call");
    SHOW(with_flag(AC)), SHOW(with_flag(DF)), SHOW(with_flag(1));
    with_flag(NT); /* no IRET of the kernel's may fault on it; whether it stays is the CPU's affair */
    struct itimerval often = {{0, 50}, {0, 50}}, never = {{0}};
    int kept = 0;
    signal(SIGALRM, on_tick);
    setitimer(ITIMER_REAL, &often, NULL);
    for (int i = 0; i < 20000; i++)
        kept += with_flag(i % 2 ? AC : AC | DF) == 3;
    setitimer(ITIMER_REAL, &never, NULL);
    SHOW(kept), SHOW_TRUE(ticks > 50);
}

/* --- single step ---------------------------------------------------------------------------- */

static volatile int steps;
static void on_step(int sig) { steps++; }

static void single_step(void)
{
    section("single step");
    signal(SIGTRAP, on_step);
    __asm__ volatile("pushfq; orq %0, (%%rsp); popfq; nop; nop; nop; pushfq; andq %1, (%%rsp); popfq; nop" ::"r"(TF), "r"(~TF)
                     : "cc", "memory");
    SHOW(steps);
    steps = 0;
    long r = SYS_getppid;
    volatile char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    __asm__ volatile("pushfq; orq %1, (%%rsp); popfq; xchg %%rax, %%rdx; xchg %%rax, %%rdx; syscall; nop; movb $1, (%3); nop;"
                     "pushfq; andq %2, (%%rsp); popfq"
                     : "+a"(r) : "r"(TF), "r"(~TF), "r"(p) : "cc", "memory", "rcx", "rdx", "r11");
    SHOW(steps), SHOW_TRUE(r == getppid());
    munmap((void *)p, 4096);
}

/* --- floating point and vectors -------------------------------------------------------------- */

static volatile bool over;
static long handled[WORKERS];
static __thread int me = -1;

/* Spoils what it may spoil. */
static void on_alarm(int sig)
{
    static const unsigned mxcsr = 0x1f80;
    int e = errno;
    __asm__ volatile("pcmpeqd %%xmm0, %%xmm0; movdqa %%xmm0, %%xmm7; movdqa %%xmm0, %%xmm15; fld1; fldpi; ldmxcsr %0" ::"m"(mxcsr)
                     : "xmm0", "xmm7", "xmm15");
    if (me >= 0)
        handled[me]++;
    errno = e;
}

struct state {
    uint64_t x[32]; /* xmm0 to 15, or the low halves of ymm */
    uint64_t high[32];
};

static bool has_avx(void) { return __builtin_cpu_supports("avx") != 0; }

#define EACH(op) op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) op(12) op(13) op(14) op(15)
#define LOAD_X(i) "movdqu 16*" #i "(%[in]), %%xmm" #i "\n"
#define SAVE_X(i) "movdqu %%xmm" #i ", 16*" #i "(%[out])\n"
#define LOAD_Y(i) "vinsertf128 $1, 256+16*" #i "(%[in]), %%ymm" #i ", %%ymm" #i "\n"
#define SAVE_Y(i) "vextractf128 $1, %%ymm" #i ", 256+16*" #i "(%[out])\n"
#define CLOBBERS "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", \
                 "xmm14", "xmm15", "memory", "cc"

/* In the middle: some time, a page to fault in, and `call` when it is not -1. */
#define MIDDLE "movl $300, %%ecx; 1: pause; decl %%ecx; jnz 1b; movb $1, (%[page]); movq %[call], %%rax; testq %%rax, %%rax; js 2f; syscall; 2:\n"

static void through(const struct state *in, struct state *out, char *page, long call, bool avx)
{
    if (avx)
        __asm__ volatile(EACH(LOAD_X) EACH(LOAD_Y) MIDDLE EACH(SAVE_X) EACH(SAVE_Y) "vzeroupper"
                         ::[in] "r"(in), [out] "r"(out), [page] "r"(page), [call] "r"(call) : "rax", "rcx", "r11", CLOBBERS);
    else
        __asm__ volatile(EACH(LOAD_X) MIDDLE EACH(SAVE_X)
                         ::[in] "r"(in), [out] "r"(out), [page] "r"(page), [call] "r"(call) : "rax", "rcx", "r11", CLOBBERS);
}

/* How many of control words, x87 stack and vectors were changed. */
static int round_of(unsigned seed, char *page, bool avx)
{
    static const unsigned mxcsrs[] = {0x1f80, 0x3f80, 0x5f80, 0x9fc0};
    static const unsigned short controls[] = {0x37f, 0x27f, 0x77f, 0xf7f};
    struct state in, out = {0};
    unsigned mxcsr = mxcsrs[seed & 3], mxcsr_after;
    unsigned short control = controls[seed >> 2 & 3], control_after;
    long integer = (long)seed * 12345 + 1, integer_after;
    for (int i = 0; i < 32; i++) {
        in.x[i] = seed * 0x9e3779b97f4a7c15ull + (unsigned)i;
        in.high[i] = ~in.x[i];
    }
    __asm__ volatile("ldmxcsr %0; fldcw %1; fildq %2" ::"m"(mxcsr), "m"(control), "m"(integer));
    through(&in, &out, page, seed % 3 == 0 ? SYS_getppid : seed % 3 == 1 ? SYS_sched_yield : -1, avx);
    __asm__ volatile("stmxcsr %0; fnstcw %1; fistpq %2; fninit" : "=m"(mxcsr_after), "=m"(control_after), "=m"(integer_after));
    __asm__ volatile("ldmxcsr %0" ::"m"(mxcsrs[0]));
    return (mxcsr != mxcsr_after) + (control != control_after) + (integer != integer_after) +
           (memcmp(in.x, out.x, sizeof in.x) != 0) + (avx && memcmp(in.high, out.high, sizeof in.high) != 0);
}

static void *worker(void *arg)
{
    long bad = 0;
    bool avx = has_avx();
    me = (int)(intptr_t)arg;
    for (unsigned i = 0; !over; i++) {
        char *page = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        bad += round_of(i * WORKERS + (unsigned)me, page + 4096 * (i % 3), avx);
        /* what was written stays, what was not reads as zero, also after the rights have changed */
        bad += page[4096 * (i % 3)] != 1 || page[4096 * ((i + 1) % 3)] != 0;
        if (i % 8 == 0) {
            mprotect(page, 3 * 4096, PROT_READ);
            bad += page[4096 * (i % 3)] != 1;
        }
        munmap(page, 3 * 4096);
    }
    return (void *)bad;
}

static void storm(void)
{
    section("registers in a storm of signals, faults, switches and calls");
    struct sigaction sa = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    struct itimerval often = {{0, 50}, {0, 50}}, never = {{0}};
    pthread_t threads[WORKERS];
    void *bad[WORKERS];
    long all = 0;
    sigset_t set;
    sigaction(SIGALRM, &sa, NULL);
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    for (int i = 0; i < WORKERS; i++)
        pthread_create(&threads[i], NULL, worker, (void *)(intptr_t)i);
    pthread_sigmask(SIG_BLOCK, &set, NULL); /* the workers take them */
    setitimer(ITIMER_REAL, &often, NULL);
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    do {
        struct timespec ts = {0, 5000000};
        nanosleep(&ts, NULL);
        for (int i = 0; i < WORKERS; i++)
            pthread_kill(threads[i], SIGALRM);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 < STORM_MS);
    over = true;
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(threads[i], &bad[i]);
        SHOW((long)bad[i]);
        all += handled[i];
    }
    setitimer(ITIMER_REAL, &never, NULL);
    SHOW_TRUE(all > 100);
}

/* --- time ------------------------------------------------------------------------------------- */

static uint64_t ns_of(clockid_t clock, bool by_call)
{
    struct timespec ts;
    if (by_call)
        syscall(SYS_clock_gettime, clock, &ts);
    else
        clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void clocks(void)
{
    section("the clock never goes back, however it is read");
    uint64_t last = 0, start = ns_of(CLOCK_MONOTONIC, true);
    long back = 0;
    for (unsigned i = 0; last < start + 600000000; i++) {
        uint64_t now = ns_of(CLOCK_MONOTONIC, i % 4 == 0);
        back += now < last;
        last = now;
    }
    SHOW(back);
}

int main(void)
{
    flags();
    single_step();
    storm();
    clocks();
    return 0;
}
