/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x87, SSE and AVX state across all that takes a thread off its CPU or brings it to another one, of many at once: calls that block, changes of
 * affinity, faults, fork, handlers and debuggers that change it. What is printed is how often something was not as it had to be.
 */
#include "t.h"

#include <cpuid.h>
#include <elf.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>

#define PAIRS 3
#define ROUNDS 84
#define TRACERS 3
#define STOPS 30
#define PAGE 4096

/* FXSAVE's image (Intel SDM volume 1, 10.5.1), and the high halves of ymm. */
struct state {
    uint16_t control, status;
    uint8_t tags, pad;
    uint16_t op;
    uint64_t ip, data;
    uint32_t mxcsr, mxcsr_mask;
    uint8_t st[8][16], xmm[16][16], rest[96];
    uint8_t high[16][16];
} __attribute__((aligned(64)));

static bool avx;
static unsigned high_offset; /* in XSAVE's image */
static char *self;

static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 31) * 0x9e3779b97f4a7c15ull;
    return x ^ x >> 29;
}

/* Parts of it are at times as new: they need not be saved then. */
static void fill(struct state *s, uint64_t seed)
{
    uint64_t *words = (uint64_t *)s->st;
    for (unsigned i = 0; i < (sizeof s->st + sizeof s->xmm) / 8; i++)
        words[i] = mix(seed * 1000 + i);
    words = (uint64_t *)s->high;
    for (unsigned i = 0; i < sizeof s->high / 8; i++)
        words[i] = mix(~seed * 1000 + i);
    s->control = (uint16_t)(0x37f | (seed & 3) << 10);
    s->status = 0;
    s->tags = 0xff;
    s->op = 0, s->ip = s->data = 0;
    s->mxcsr = (uint32_t)(0x1f80 | (seed >> 2 & 3) << 13);
    s->mxcsr_mask = 0;
    if (seed >> 4 & 1)
        memset(s->high, 0, sizeof s->high);
    if ((seed >> 4 & 3) == 3)
        memset(s->xmm, 0, sizeof s->xmm);
    if (seed >> 6 & 1) {
        memset(s->st, 0, sizeof s->st);
        s->control = 0x37f, s->tags = 0;
    }
}

static int differs(const struct state *a, const struct state *b)
{
    int n = (a->control != b->control) + (a->tags != b->tags) + (a->mxcsr != b->mxcsr);
    for (int i = 0; i < 8; i++)
        n += memcmp(a->st[i], b->st[i], 10) != 0;
    for (int i = 0; i < 16; i++)
        n += (memcmp(a->xmm[i], b->xmm[i], 16) != 0) + (avx && memcmp(a->high[i], b->high[i], 16) != 0);
    return n;
}

#define EACH(op) op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) op(12) op(13) op(14) op(15)
#define LOAD_HIGH(i) "vinsertf128 $1, 512+16*" #i "(%[in]), %%ymm" #i ", %%ymm" #i "\n"
#define SAVE_HIGH(i) "vextractf128 $1, %%ymm" #i ", 512+16*" #i "(%[out])\n"
#define MIDDLE "movb $1, (%[page]); syscall\n"
#define OPERANDS                                                                                                                              \
    : "+a"(nr) : [in] "r"(in), [out] "r"(out), [page] "r"(page), [plain] "m"(plain), "D"(a0), "S"(a1), "d"(a2), "r"(r10)                        \
    : "rcx", "r11", "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", \
      "xmm13", "xmm14", "xmm15"

/* A page and a system call, with `in` in the registers; `out` is what is in them then. */
static long through(const struct state *in, struct state *out, char *page, long nr, long a0, long a1, long a2, long a3)
{
    static const uint32_t plain = 0x1f80;
    register long r10 __asm__("r10") = a3;
    if (avx)
        __asm__ volatile("fxrstor64 (%[in])\n" EACH(LOAD_HIGH) MIDDLE "fxsave64 (%[out])\n" EACH(SAVE_HIGH) "vzeroupper; fninit; ldmxcsr %[plain]" OPERANDS);
    else
        __asm__ volatile("fxrstor64 (%[in])\n" MIDDLE "fxsave64 (%[out])\n fninit; ldmxcsr %[plain]" OPERANDS);
    return nr;
}

/* --- handlers ------------------------------------------------------------------------------------- */

static __thread const struct state *before, *behind; /* of a handler that changes the state */
static __thread int seen_wrong, handled;

static void on_alarm(int sig)
{
    static const uint32_t odd = 0x5f80;
    __asm__ volatile("pcmpeqd %%xmm0, %%xmm0; movdqa %%xmm0, %%xmm7; movdqa %%xmm0, %%xmm15; fld1; fldpi; ldmxcsr %0" ::"m"(odd) : "xmm0", "xmm7", "xmm15");
    handled++;
}

/* In the registers are `before`; the interrupted code finds `behind`. */
static void on_change(int sig, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    uint8_t *image = (uint8_t *)uc->uc_mcontext.fpregs, *high = image + high_offset;
    struct state found;
    memcpy(&found, image, 512);
    if (avx)
        memcpy(found.high, high, sizeof found.high);
    seen_wrong += differs(before, &found);
    memcpy(image, behind, 464); /* what follows is the kernel's */
    if (avx) {
        memcpy(high, behind->high, sizeof found.high);
        *(uint64_t *)(image + 512) |= 7;
    }
}

/* --- many threads ---------------------------------------------------------------------------------- */

static int pipes[PAIRS][2][2], cpus[64], ncpus;

static long blocks(struct state *in, struct state *out, char *page, int me, int i)
{
    int pair = me / 2, side = me & 1;
    char byte = 0;
    /* one writes first, the other reads first */
    long r = side == 0 ? through(in, out, page, SYS_write, pipes[pair][0][1], (long)&byte, 1, 0) : through(in, out, page, SYS_read, pipes[pair][0][0], (long)&byte, 1, 0);
    int bad = (r != 1) + differs(in, out);
    fill(in, (uint64_t)(i * 17 + me));
    r = side == 0 ? through(in, out, page, SYS_read, pipes[pair][1][0], (long)&byte, 1, 0) : through(in, out, page, SYS_write, pipes[pair][1][1], (long)&byte, 1, 0);
    return bad + (r != 1);
}

static long forks(const struct state *in, struct state *out, char *page)
{
    int status;
    long pid = through(in, out, page, SYS_fork, 0, 0, 0, 0);
    if (pid == 0)
        _exit(differs(in, out));
    return pid < 0 || waitpid((pid_t)pid, &status, 0) != pid || status != 0;
}

static long changes(const struct state *in, struct state *out, char *page)
{
    struct state next;
    fill(&next, mix(in->mxcsr + in->xmm[0][0]));
    before = in, behind = &next;
    long r = through(in, out, page, SYS_tgkill, getpid(), gettid(), SIGUSR2, 0);
    r += differs(&next, out);
    memcpy(out, in, sizeof *out); /* has been looked at */
    return r;
}

static long migrates(const struct state *in, struct state *out, char *page, int i)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpus[i % ncpus], &one);
    long r = through(in, out, page, SYS_sched_setaffinity, 0, sizeof one, (long)&one, 0);
    return r < 0 || sched_getcpu() != cpus[i % ncpus];
}

static int awake; /* never */

static void *worker(void *arg)
{
    int me = (int)(intptr_t)arg;
    long bad = 0;
    struct state in, out;
    cpu_set_t all;
    const struct timespec soon = {0, 20000};
    sched_getaffinity(0, sizeof all, &all);
    for (int i = 0; i < ROUNDS; i++) {
        char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        fill(&in, mix((uint64_t)(i * 2 * PAIRS + me)));
        switch (i % 7) {
        case 0: through(&in, &out, page, SYS_sched_yield, 0, 0, 0, 0); break;
        case 1: bad += blocks(&in, &out, page, me, i); break;
        case 2: bad += migrates(&in, &out, page, me + i / 7); break;
        case 3: bad += changes(&in, &out, page); break;
        case 4: through(&in, &out, page, SYS_nanosleep, (long)&soon, 0, 0, 0); break;
        case 5: through(&in, &out, page, SYS_futex, (long)&awake, FUTEX_WAIT_PRIVATE, 0, (long)&soon); break;
        default:
            if (i % 6 == me)
                bad += forks(&in, &out, page);
            else
                through(&in, &out, page, SYS_getppid, 0, 0, 0, 0);
        }
        bad += differs(&in, &out) + (page[0] != 1);
        munmap(page, PAGE);
        if (i % 14 == 13)
            sched_setaffinity(0, sizeof all, &all);
    }
    return (void *)(bad + seen_wrong);
}

static void storm(void)
{
    section("many threads");
    struct sigaction alarm = {.sa_handler = on_alarm, .sa_flags = SA_RESTART}, change = {.sa_sigaction = on_change, .sa_flags = SA_SIGINFO | SA_RESTART};
    pthread_t threads[2 * PAIRS];
    void *bad;
    cpu_set_t all;
    sched_getaffinity(0, sizeof all, &all);
    for (int i = 0; i < 64; i++)
        if (CPU_ISSET(i, &all))
            cpus[ncpus++] = i;
    sigfillset(&change.sa_mask);
    sigaction(SIGALRM, &alarm, NULL);
    sigaction(SIGUSR2, &change, NULL);
    for (int i = 0; i < PAIRS; i++)
        if (pipe(pipes[i][0]) != 0 || pipe(pipes[i][1]) != 0)
            exit(1);
    struct itimerval often = {{0, 300}, {0, 300}}, never = {{0}};
    setitimer(ITIMER_REAL, &often, NULL);
    for (int i = 0; i < 2 * PAIRS; i++)
        pthread_create(&threads[i], NULL, worker, (void *)(intptr_t)i);
    for (int i = 0; i < 2 * PAIRS; i++) {
        pthread_join(threads[i], &bad);
        SHOW((long)bad);
    }
    setitimer(ITIMER_REAL, &never, NULL);
}

/* --- debuggers ---------------------------------------------------------------------------------------- */

/* Between two stops of the tracee: what it had, and what it is to find. */
static struct plan {
    struct state had, gets, found;
    int bad;
} *plans;

static void tracee(struct plan *p)
{
    char page[1];
    ptrace(PTRACE_TRACEME, 0, 0, 0);
    raise(SIGSTOP);
    for (int i = 0; i < STOPS; i++) {
        fill(&p->had, mix((uint64_t)i * TRACERS + (uint64_t)(p - plans)));
        through(&p->had, &p->found, page, SYS_tgkill, getpid(), gettid(), SIGUSR1, 0);
        p->bad += differs(&p->gets, &p->found);
    }
    _exit(0);
}

/* Parts that a request does not have stay. */
static int exchange(pid_t pid, struct plan *p, int i)
{
    static uint8_t area[16384] __attribute__((aligned(64)));
    struct iovec v = {area, sizeof area};
    bool whole = i % 2 == 0 && avx;
    int bad;
    fill(&p->gets, mix((uint64_t)i * 77 + 5));
    if (whole) {
        bad = ptrace(PTRACE_GETREGSET, pid, NT_X86_XSTATE, &v) != 0;
        memcpy(&p->found, area, 512);
        memcpy(p->found.high, area + high_offset, sizeof p->found.high);
        bad += differs(&p->had, &p->found);
        memcpy(area, &p->gets, 416);
        memcpy(area + high_offset, p->gets.high, sizeof p->gets.high);
        *(uint64_t *)(area + 512) |= 7;
        return bad + (ptrace(PTRACE_SETREGSET, pid, NT_X86_XSTATE, &v) != 0);
    }
    bad = ptrace(PTRACE_GETFPREGS, pid, 0, area) != 0;
    memcpy(&p->found, area, 512);
    memcpy(p->found.high, p->had.high, sizeof p->had.high);
    bad += differs(&p->had, &p->found);
    memcpy(p->gets.high, p->had.high, sizeof p->had.high);
    memcpy(area, &p->gets, 416);
    return bad + (ptrace(PTRACE_SETFPREGS, pid, 0, area) != 0);
}

static void tracer(struct plan *p)
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        tracee(p);
    waitpid(pid, &status, 0);
    ptrace(PTRACE_CONT, pid, 0, 0);
    for (int i = 0; waitpid(pid, &status, 0) == pid && WIFSTOPPED(status); i++) {
        p->bad += WSTOPSIG(status) != SIGUSR1 || exchange(pid, p, i) != 0;
        ptrace(PTRACE_CONT, pid, 0, 0);
    }
    _exit(status != 0);
}

static void debuggers(void)
{
    section("debuggers");
    int status, failed = 0, bad = 0;
    plans = mmap(NULL, TRACERS * sizeof *plans, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < TRACERS; i++)
        if (fork() == 0)
            tracer(&plans[i]);
    while (wait(&status) > 0)
        failed += status != 0;
    for (int i = 0; i < TRACERS; i++)
        bad += plans[i].bad;
    SHOW(failed), SHOW(bad);
}

/* --- beginnings ------------------------------------------------------------------------------------------ */

/* Control words; how much of the x87 stack is in use. */
static long controls(void)
{
    struct state s;
    __asm__ volatile("fxsave64 %0" : "=m"(s));
    return (long)s.mxcsr << 32 | (long)s.control << 16 | s.tags;
}

static void *begun(void *arg) { return (void *)controls(); }

static void beginnings(void)
{
    section("a thread begins as its maker, a program as new");
    static const uint32_t odd = 0x5f80, plain = 0x1f80;
    static const uint16_t odd_control = 0xb7f;
    pthread_t t;
    void *r;
    int status;
    __asm__ volatile("ldmxcsr %0; fldcw %1" ::"m"(odd), "m"(odd_control));
    pthread_create(&t, NULL, begun, NULL);
    pthread_join(t, &r);
    __asm__ volatile("ldmxcsr %0; fninit" ::"m"(plain));
    printf("%#lx\n", (long)r);
    fflush(stdout);
    for (int i = 0; i < 4; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            __asm__ volatile("ldmxcsr %0; fldcw %1; fld1; fldpi; fld1" ::"m"(odd), "m"(odd_control));
            execl(self, self, "controls", NULL);
        }
        waitpid(pid, &status, 0);
        SHOW(status);
    }
}

int main(int argc, char **argv)
{
    unsigned a, b, c, d;
    self = argv[0];
    if (argc > 1) {
        printf("%#lx\n", controls());
        return 0;
    }
    avx = __builtin_cpu_supports("avx") != 0;
    if (avx && __get_cpuid_count(0xd, 2, &a, &b, &c, &d))
        high_offset = b;
    storm();
    debuggers();
    beginnings();
    return 0;
}
