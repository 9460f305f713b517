/* SPDX-License-Identifier: Apache-2.0 */
/* System calls made from sites of every shape, again and again (a kernel may wait for some calls before it replaces a site), with
 * everything around them that must not change. */
#include "t.h"
#include <elf.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <ucontext.h>

/*
 * site_a: mov $nr,%eax; syscall        site_a_late enters at the syscall, number in rax
 * site_b: syscall; cmp $imm,%rax       site_b_late enters at the cmp
 * site_c: syscall; mov %rax,%rsi       (three bytes)
 * site_d: syscall; ret                 (no room for a jump)
 */
__asm__(".section .text.sites, \"ax\", @progbits\n"
        ".balign 4096\n"
        ".globl site_a, site_a_call, site_a_end, site_b, site_b_call, site_b_cmp, site_c, site_d, sites_end\n"
        "sites:\n"
        ".rept 20; mov %rdi, %rdi; ret; .endr\n"
        "site_a: xor %edx, %edx\n mov $39, %eax\n"
        "site_a_call: syscall\n"
        "site_a_end: ret\n"
        ".rept 20; mov %rdi, %rdi; ret; .endr\n"
        "site_b: mov %rdi, %rax\n mov %rsi, %rdi\n mov %rdx, %rsi\n mov %rcx, %rdx\n mov %r8, %r10\n"
        "site_b_call: syscall\n"
        "site_b_cmp: cmp $-4095, %rax\n"
        "jae 1f\n ret\n"
        "1: neg %rax\n or $0x40000000, %rax\n ret\n"
        ".rept 20; mov %rdi, %rdi; ret; .endr\n"
        "site_c: mov %rdi, %rax\n syscall\n mov %rax, %rsi\n lea 1(%rsi), %rax\n ret\n"
        "site_d: mov %rdi, %rax\n syscall\n ret\n"
        "sites_end: nop\n"
        ".balign 4096\n"
        ".text\n");
extern char sites[], site_a[], site_a_call[], site_a_end[], site_b[], site_b_call[], site_b_cmp[], site_c[], site_d[], sites_end[];
__asm__(".globl sites");

#define OFTEN 20

typedef long call_fn(long nr, ...);
#define A() (((long (*)(void))site_a)())
#define B(...) (((call_fn *)site_b)(__VA_ARGS__))
#define C(nr) (((call_fn *)site_c)(nr))
#define D(nr) (((call_fn *)site_d)(nr))

static long at_late(void *entry, long rax)
{
    long r;
    __asm__ volatile("sub $128, %%rsp\n call *%2\n add $128, %%rsp" : "=a"(r) : "0"(rax), "r"(entry) : "rcx", "r11", "rdx", "rsi", "memory");
    return r;
}

static void middle(void)
{
    section("into the middle");
    for (int i = 0; i < OFTEN; i++) {
        SHOW_TRUE(A() == getpid());
        SHOW_TRUE(B(SYS_getppid) == getppid());
        SHOW_TRUE(B(SYS_close, -1) == (0x40000000 | EBADF));
        SHOW_TRUE(C(SYS_getpid) == getpid() + 1);
        SHOW_TRUE(D(SYS_getpid) == getpid());
        SHOW_TRUE(at_late(site_a_call, SYS_getppid) == getppid());
        SHOW(at_late(site_b_cmp, 5));
        SHOW(at_late(site_b_cmp, -EPERM));
    }
}

/* Every register but rax, rcx and r11, the flags, and what lies below the stack pointer. */
static bool undisturbed(void *site, long nr, unsigned long flags, long *ret)
{
    unsigned long after, ok;
    __asm__ volatile("push %%rbx\n push %%rbp\n push %%r12\n push %%r13\n push %%r14\n push %%r15\n"
                     "sub $256, %%rsp\n"
                     "mov %[site], %%rbx\n push %[flags]\n popfq\n"
                     "mov $0x1111, %%ebp\n mov $0x2222, %%r12d\n mov $0x3333, %%r13d\n mov $0x4444, %%r14d\n mov $0x5555, %%r15d\n"
                     "mov $0x6666, %%r8d\n mov $0x7777, %%r9d\n mov $0x8888, %%r10d\n"
                     "movq $0x12345678, -16(%%rsp)\n movq $0x23456789, -128(%%rsp)\n"
                     "lea 1f(%%rip), %%rcx\n mov %%rcx, -8(%%rsp)\n lea -8(%%rsp), %%rsp\n"
                     "jmp *%%rbx\n"
                     "1: pushfq\n pop %%rcx\n cld\n"
                     "lea -8(%%rsp), %%rsp\n"
                     "cmp $0x1111, %%ebp\n jne 2f\n cmp $0x2222, %%r12d\n jne 2f\n cmp $0x3333, %%r13d\n jne 2f\n"
                     "cmp $0x4444, %%r14d\n jne 2f\n cmp $0x5555, %%r15d\n jne 2f\n"
                     "cmp $0x6666, %%r8d\n jne 2f\n cmp $0x7777, %%r9d\n jne 2f\n"
                     "cmpq $0x23456789, -120(%%rsp)\n jne 2f\n"
                     "mov $1, %%edx\n jmp 3f\n"
                     "2: xor %%edx, %%edx\n"
                     "3: add $264, %%rsp\n"
                     "pop %%r15\n pop %%r14\n pop %%r13\n pop %%r12\n pop %%rbp\n pop %%rbx\n"
                     : "=a"(*ret), "=c"(after), "=d"(ok)
                     : "a"(nr), "D"(nr), [site] "S"(site), [flags] "r"(flags)
                     : "r8", "r9", "r10", "r11", "memory", "cc");
    return ok && ((after ^ flags) & 0x400cd5) == 0;
}

static void around(void)
{
    section("registers, flags, red zone");
    long r;
    for (int i = 0; i < 3; i++)
        for (unsigned long flags = 0x202; flags < 0x1000; flags += 0x111) {
            unsigned long f = (flags & 0x8c5) | 0x202 | (i == 1 ? 0x400 : 0);
            if (!undisturbed(site_c, SYS_getpid, f, &r) || r != getpid() + 1)
                printf("site_c: flags %lx disturbed\n", f);
            if (!undisturbed(site_d, SYS_getpid, f, &r) || r != getpid())
                printf("site_d: flags %lx disturbed\n", f);
            if (!undisturbed(site_a, SYS_getpid, (f & 0x600) | 0x46, &r) || r != getpid()) /* as its xor leaves them */
                printf("site_a: flags %lx disturbed\n", f);
        }
    printf("done\n");
}

/* --- signals ------------------------------------------------------------------------ */

static volatile long seen_rip, seen_rax, seen_count, seen_outside;
static int pipe_fd[2];

static void timer(long us, long interval_us)
{
    struct itimerval t = {.it_value.tv_usec = us, .it_interval.tv_usec = interval_us};
    setitimer(ITIMER_REAL, &t, NULL);
}

/* A busy machine's alarm may come before the read has begun: then once more. */
static bool found_at(void *ctx, const char *place)
{
    ucontext_t *u = ctx;
    seen_rip = u->uc_mcontext.gregs[REG_RIP];
    seen_rax = u->uc_mcontext.gregs[REG_RAX];
    if (seen_rip != (long)place)
        timer(20000, 0);
    return seen_rip == (long)place;
}

static void on_alarm(int sig, siginfo_t *info, void *ctx) { found_at(ctx, site_b_cmp); }

static void write_one(int sig, siginfo_t *info, void *ctx)
{
    if (write(pipe_fd[1], "x", 1) != 1)
        abort();
}

static void on_alarm_write(int sig, siginfo_t *info, void *ctx)
{
    if (found_at(ctx, site_b_call)) /* to be made again */
        write_one(sig, info, ctx);
}

static void nothing(int sig, siginfo_t *info, void *ctx) {}

static void install(int sig, void (*fn)(int, siginfo_t *, void *), int flags)
{
    struct sigaction sa = {.sa_sigaction = fn, .sa_flags = SA_SIGINFO | flags};
    sigaction(sig, &sa, NULL);
}

static void interrupted(void)
{
    char c = 0;
    section("an interrupted read");
    SHOW(pipe(pipe_fd));
    for (int i = 0; i < 3; i++) {
        install(SIGALRM, on_alarm, 0);
        timer(20000, 0);
        SHOW_TRUE(B(SYS_read, pipe_fd[0], &c, 1) == (0x40000000 | EINTR));
        SHOW(seen_rip - (long)site_b_cmp);
        SHOW(seen_rax);
        install(SIGALRM, on_alarm_write, SA_RESTART);
        timer(20000, 0);
        SHOW(B(SYS_read, pipe_fd[0], &c, 1));
        SHOW(c);
        SHOW(seen_rip - (long)site_b_cmp);
        SHOW_TRUE(seen_rax == SYS_read);
    }
    section("read of the C library");
    for (int i = 0; i < OFTEN; i++)
        if (write(pipe_fd[1], "x", 1) != 1 || read(pipe_fd[0], &c, 1) != 1)
            printf("round %d\n", i);
    for (int i = 0; i < 3; i++) {
        install(SIGALRM, nothing, 0);
        timer(20000, 20000);
        SHOW(read(pipe_fd[0], &c, 1));
        timer(0, 0);
        install(SIGALRM, write_one, SA_RESTART);
        timer(20000, 0);
        SHOW(read(pipe_fd[0], &c, 1));
    }
}

static __attribute__((noinline)) long calls_in_text(long n, long nr)
{
    long r;
    __asm__ volatile("sub $128, %%rsp\n1: mov %3, %%rdi\n call site_b\n call site_a\n dec %1\n jnz 1b\n add $128, %%rsp\n"
                     : "=a"(r), "+r"(n)
                     : "0"(0), "r"(nr)
                     : "rcx", "rdx", "rsi", "rdi", "r8", "r10", "r11", "memory", "cc");
    return r;
}

/* Where a signal finds the thread is always in the program's own text. */
static unsigned long texts[16][2];
static int ntexts;

static void find_texts(void)
{
    char line[256];
    FILE *f = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, f))
        if ((strchr(line, '/') || strstr(line, "[vdso]")) && ntexts < 16 &&
            sscanf(line, "%lx-%lx r-xp", &texts[ntexts][0], &texts[ntexts][1]) == 2)
            ntexts++;
    fclose(f);
}

static void on_tick(int sig, siginfo_t *info, void *ctx)
{
    long rip = ((ucontext_t *)ctx)->uc_mcontext.gregs[REG_RIP];
    seen_count++;
    bool inside = false;
    for (int i = 0; i < ntexts; i++)
        inside |= (unsigned long)rip >= texts[i][0] && (unsigned long)rip < texts[i][1];
    seen_outside += !inside;
}

static void asynchronous(void)
{
    section("asynchronous signals");
    seen_count = seen_outside = 0;
    find_texts();
    install(SIGALRM, on_tick, SA_RESTART);
    timer(500, 500);
    long good = 0;
    for (int i = 0; i < 20000 && seen_count < 300; i++)
        good += calls_in_text(2000, SYS_getppid) == A() ? 0 : 1;
    timer(0, 0);
    SHOW(good);
    SHOW(seen_outside);
    SHOW_TRUE(seen_count >= 300);
}

/* --- single steps ------------------------------------------------------------------------- */

static volatile int nsteps;
static short steps[64];
static void on_trap(int sig, siginfo_t *info, void *ctx)
{
    ucontext_t *u = ctx;
    long rip = u->uc_mcontext.gregs[REG_RIP];
    if (nsteps < 64 && rip >= (long)sites && rip < (long)sites_end)
        steps[nsteps++] = (short)(rip - (long)sites);
    if (rip < (long)sites || rip >= (long)sites_end)
        if (nsteps != 0)
            u->uc_mcontext.gregs[REG_EFL] &= ~0x100L;
}

static long stepped(void *site, long nr)
{
    long r;
    nsteps = 0;
    __asm__ volatile("sub $128, %%rsp\n pushfq\n orq $0x100, (%%rsp)\n popfq\n call *%%rbx\n pushfq\n andq $~0x100, (%%rsp)\n popfq\n"
                     "add $128, %%rsp\n"
                     : "=a"(r)
                     : "b"(site), "D"(nr)
                     : "rcx", "rdx", "rsi", "r8", "r10", "r11", "memory", "cc");
    return r;
}

static void stepping(void)
{
    section("single steps");
    install(SIGTRAP, on_trap, 0);
    for (int i = 0; i < 2; i++) {
        SHOW_TRUE(stepped(site_a, 0) == getpid());
        for (int k = 0; k < nsteps; k++)
            printf("%d ", steps[k]);
        printf("\n");
        SHOW_TRUE(stepped(site_b, SYS_getppid) == getppid());
        for (int k = 0; k < nsteps; k++)
            printf("%d ", steps[k]);
        printf("\n");
        SHOW_TRUE(A() == getpid());
        SHOW_TRUE(B(SYS_getppid) == getppid());
    }
}

/* --- cancellation ------------------------------------------------------------------------- */

static void cleanup(void *arg) { printf("cleanup %s\n", (char *)arg); }

static void *blocked_reader(void *arg)
{
    char c;
    pthread_cleanup_push(cleanup, "outer");
    pthread_cleanup_push(cleanup, "inner");
    for (;;)
        if (read(pipe_fd[0], &c, 1) == 1 && arg == NULL)
            break;
    pthread_cleanup_pop(0);
    pthread_cleanup_pop(0);
    return NULL;
}

static void cancellation(void)
{
    section("cancellation of a blocked read");
    for (int i = 0; i < 3; i++) {
        pthread_t t;
        void *result;
        pthread_create(&t, NULL, blocked_reader, "forever");
        SHOW(write(pipe_fd[1], "y", 1));
        usleep(20000);
        pthread_cancel(t);
        SHOW(pthread_join(t, &result));
        SHOW_TRUE(result == PTHREAD_CANCELED);
    }
}

/* --- the text itself -------------------------------------------------------------------------- */

static long file_offset(const char *addr)
{
    char line[256];
    unsigned long lo, hi, off;
    long found = -1;
    FILE *f = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "%lx-%lx %*4s %lx", &lo, &hi, &off) == 3 && (unsigned long)addr >= lo && (unsigned long)addr < hi)
            found = (long)((unsigned long)addr - lo + off);
    fclose(f);
    return found;
}

static void text(void)
{
    section("the text from outside");
    static char file[4096], mem[4096], vm[4096];
    size_t n = (size_t)(sites_end - sites);
    long off = file_offset(sites);
    int exe = open("/proc/self/exe", O_RDONLY), self = open("/proc/self/mem", O_RDWR);
    SHOW_TRUE(pread(exe, file, n, off) == (long)n);
    SHOW_TRUE(pread(self, mem, n, (long)sites) == (long)n);
    SHOW(memcmp(file, mem, n));
    struct iovec l = {vm, n}, r = {sites, n};
    SHOW_TRUE(process_vm_readv(getpid(), &l, 1, &r, 1, 0) == (long)n);
    SHOW(memcmp(file, vm, n));
    char *other = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, exe, off);
    SHOW(memcmp(file, other, n));
    munmap(other, 4096);

    section("another mapping of the text");
    char *copy = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, exe, off);
    call_fn *b = (call_fn *)(copy + (site_b - sites)), *a = (call_fn *)(copy + (site_a - sites));
    for (int i = 0; i < OFTEN; i++)
        SHOW_TRUE(b(SYS_getppid) == getppid() && a(0) == getpid());
    char *room = mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *moved = mremap(copy, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED, room + 4096);
    SHOW_TRUE(moved == room + 4096);
    b = (call_fn *)(moved + (site_b - sites)), a = (call_fn *)(moved + (site_a - sites));
    for (int i = 0; i < OFTEN; i++)
        SHOW_TRUE(b(SYS_getppid) == getppid() && a(0) == getpid());
    munmap(moved, 4096);
    for (int i = 0; i < 40; i++) { /* comes and goes at the same addresses */
        copy = mmap(moved, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, exe, off);
        b = (call_fn *)(copy + (site_b - sites)), a = (call_fn *)(copy + (site_a - sites));
        for (int k = 0; k < OFTEN; k++)
            if (b(SYS_getppid) != getppid() || a(0) != getpid())
                printf("wrong in round %d\n", i);
        munmap(copy, 4096);
    }

    section("written by /proc/self/mem");
    int nr = SYS_getppid;
    SHOW(pwrite(self, &nr, 4, (long)site_a_call - 4));
    for (int i = 0; i < OFTEN; i++)
        SHOW_TRUE(A() == getppid());
    nr = SYS_getpid;
    SHOW(pwrite(self, &nr, 4, (long)site_a_call - 4));
    SHOW_TRUE(A() == getpid());
    SHOW_TRUE(B(SYS_getppid) == getppid());
    SHOW_TRUE(pread(self, mem, n, (long)sites) == (long)n);
    SHOW(memcmp(file, mem, n));
    close(self);
    close(exe);
}

static void rewriting(void)
{
    section("own text made writable");
    static char copy[4096];
    size_t n = (size_t)(sites_end - sites);
    int exe = open("/proc/self/exe", O_RDONLY);
    pread(exe, copy, n, file_offset(sites));
    close(exe);
    SHOW(mprotect(sites, 4096, PROT_READ | PROT_WRITE | PROT_EXEC));
    SHOW(memcmp(sites, copy, n));
    SHOW_TRUE(A() == getpid());
    *(int *)(site_a_call - 4) = SYS_getppid;
    for (int i = 0; i < OFTEN; i++)
        SHOW_TRUE(A() == getppid());
    memcpy(site_b_call, "\x48\x31\xc0", 3); /* xor %rax, %rax over the syscall and a byte of the cmp: test that it is seen */
    memcpy(site_b_call + 3, "\xc3", 1);
    SHOW(B(SYS_getpid));
    memcpy(sites, copy, n);
    SHOW(mprotect(sites, 4096, PROT_READ | PROT_EXEC));
    for (int i = 0; i < OFTEN; i++) {
        SHOW_TRUE(A() == getpid());
        SHOW_TRUE(B(SYS_getppid) == getppid());
    }
    SHOW(memcmp(sites, copy, n));

    section("generated code");
    unsigned char *jit = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < OFTEN; i++) {
        memcpy(jit, site_a, 8);
        memcpy(jit, "\xb8\x27\x00\x00\x00\x0f\x05\xc3", 8);
        SHOW_TRUE(((long (*)(void))jit)() == getpid());
        jit[1] = SYS_getppid;
        SHOW_TRUE(((long (*)(void))jit)() == getppid());
    }
    munmap(jit, 4096);
}

/* --- something else where the thunks are ---------------------------------------------------- */

static void *blocked_in_b(void *arg)
{
    char c;
    for (int i = 0; i < 3; i++)
        if (B(SYS_read, pipe_fd[0], &c, 1) != 1)
            return NULL;
    return "read";
}

static void covered(void)
{
    section("mapped over");
    pthread_t t;
    void *result;
    char line[256];
    unsigned long lo, hi;
    for (int i = 0; i < OFTEN; i++)
        A(), B(SYS_getpid);
    pthread_create(&t, NULL, blocked_in_b, NULL);
    write(pipe_fd[1], "1", 1);
    write(pipe_fd[1], "2", 1);
    usleep(20000);
    FILE *f = fopen("/proc/self/maps", "r");
    unsigned long at[32][2];
    int n = 0;
    while (fgets(line, sizeof line, f))
        if (strstr(line, "[thunks]") && n < 32 && sscanf(line, "%lx-%lx", &lo, &hi) == 2)
            at[n][0] = lo, at[n++][1] = hi;
    fclose(f);
    for (int i = 0; i < n; i++) {
        char *p = mmap((void *)at[i][0], at[i][1] - at[i][0], PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        if (p != (char *)at[i][0])
            printf("no memory at an address of our choice\n");
        else
            memset(p, 0xff, at[i][1] - at[i][0]);
    }
    for (int i = 0; i < OFTEN; i++) {
        SHOW_TRUE(A() == getpid());
        SHOW_TRUE(B(SYS_getppid) == getppid());
    }
    write(pipe_fd[1], "3", 1);
    SHOW(pthread_join(t, &result));
    SHOW_STR((char *)result);
    for (int i = 0; i < n; i++)
        for (char *p = (char *)at[i][0]; p < (char *)at[i][1]; p++)
            if (*p != (char)0xff) {
                printf("memory of ours was written\n");
                break;
            }
}

int main(void)
{
    middle();
    around();
    interrupted();
    asynchronous();
    cancellation();
    stepping();
    text();
    rewriting();
    covered();
    return 0;
}
