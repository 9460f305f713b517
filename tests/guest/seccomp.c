// SPDX-License-Identifier: Apache-2.0
/* seccomp(2): what is taken, what each verdict does to a call, whom it reaches, and what a tracer sees of it. */
#include "t.h"
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(v) BPF_STMT(BPF_RET | BPF_K, v)
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static long seccomp(unsigned op, unsigned flags, void *arg) { return syscall(SYS_seccomp, op, flags, arg); }

static long install_n(unsigned flags, struct sock_filter *f, size_t n)
{
    struct sock_fprog p = {(unsigned short)n, f};
    return seccomp(SECCOMP_SET_MODE_FILTER, flags, &p);
}
#define INSTALL(flags, ...) install_n(flags, (struct sock_filter[]){__VA_ARGS__}, COUNT(((struct sock_filter[]){__VA_ARGS__})))

/* This verdict for one call, ALLOW for the others. */
static long verdict_for(long nr, unsigned verdict)
{
    return INSTALL(0, LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)nr, 0, 1), RETURN(verdict), RETURN(SECCOMP_RET_ALLOW));
}

static void status_of(const char *what)
{
    char line[128];
    FILE *f = fopen("/proc/thread-self/status", "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, "Seccomp", 7) == 0 || strncmp(line, "NoNewPrivs", 10) == 0)
            printf("%s %s", what, line);
    if (f != NULL)
        fclose(f);
    fflush(stdout);
}

/* In a child, so that what it takes upon itself ends with it. */
static void child(const char *name, void (*fn)(void))
{
    int st = 0;
    section(name);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        fn();
        fflush(stdout);
        syscall(SYS_exit_group, 0);
    }
    waitpid(pid, &st, 0);
    if (WIFSIGNALED(st))
        printf("ended by %s\n", sigabbrev_np(WTERMSIG(st)));
    else
        printf("ended with %d\n", WEXITSTATUS(st));
}

/* --- what is taken ------------------------------------------------------------------------ */

static void refusals(void)
{
    struct sock_filter allow = RETURN(SECCOMP_RET_ALLOW);
    struct sock_fprog one = {1, &allow}, none = {0, &allow}, many = {4097, &allow}, nowhere = {1, (void *)16};
    SHOW(seccomp(77, 0, NULL));
    SHOW(seccomp(SECCOMP_SET_MODE_STRICT, 1, NULL));
    SHOW(seccomp(SECCOMP_SET_MODE_STRICT, 0, &one));
    SHOW(seccomp(SECCOMP_SET_MODE_FILTER, 1u << 20, &one));
    SHOW(seccomp(SECCOMP_SET_MODE_FILTER, 0, NULL));
    SHOW(seccomp(SECCOMP_SET_MODE_FILTER, 0, &none));
    SHOW(seccomp(SECCOMP_SET_MODE_FILTER, 0, &many));
    SHOW(seccomp(SECCOMP_SET_MODE_FILTER, 0, &nowhere));
    SHOW(prctl(PR_GET_SECCOMP));
    SHOW(prctl(PR_SET_SECCOMP, 3, 0));
    SHOW(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, 0));
    static const unsigned actions[] = {SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, SECCOMP_RET_TRAP, SECCOMP_RET_ERRNO, SECCOMP_RET_TRACE,
                                       SECCOMP_RET_LOG, SECCOMP_RET_ALLOW, 0x00010000, SECCOMP_RET_ERRNO | 1};
    for (unsigned i = 0; i < COUNT(actions); i++) {
        unsigned a = actions[i];
        SHOW(seccomp(SECCOMP_GET_ACTION_AVAIL, 0, &a));
    }
    SHOW(seccomp(SECCOMP_GET_ACTION_AVAIL, 1, (void *)&actions[0]));
    SHOW(seccomp(SECCOMP_GET_ACTION_AVAIL, 0, NULL));
    status_of("untouched:");
}

static void programs(void)
{
#define LAST RETURN(SECCOMP_RET_ALLOW)
    SHOW(INSTALL(0, BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2), LAST));
    SHOW(INSTALL(0, BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), LAST));
    SHOW(INSTALL(0, BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 60), LAST));
    SHOW(INSTALL(0, BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 0), LAST));
    SHOW(INSTALL(0, BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), LAST));
    SHOW(INSTALL(0, BPF_STMT(BPF_LD | BPF_W | BPF_IND, 0), LAST));
    SHOW(INSTALL(0, BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0), LAST));
    SHOW(INSTALL(0, BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 3), LAST));
    SHOW(INSTALL(0, BPF_STMT(BPF_ALU | BPF_XOR | BPF_K, 3), LAST));
    SHOW(INSTALL(0, BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), LAST));
    SHOW(INSTALL(0, BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 32), LAST));
    SHOW(INSTALL(0, BPF_STMT(BPF_LD | BPF_MEM, 1), LAST));
    SHOW(INSTALL(0, BPF_STMT(BPF_ST, 1), BPF_STMT(BPF_LD | BPF_MEM, 1), LAST));
    SHOW(INSTALL(0, BPF_STMT(BPF_ST, 16), LAST));
    SHOW(INSTALL(0, BPF_STMT(BPF_JMP | BPF_JA, 1), LAST));
    SHOW(INSTALL(0, BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1), LAST));
    SHOW(INSTALL(0, BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0)));
    SHOW(INSTALL(0, BPF_STMT(BPF_MISC | BPF_TAX, 0), BPF_STMT(BPF_MISC | BPF_TXA, 0), LAST));
    SHOW(INSTALL(0, BPF_STMT(0x36, 0), LAST));
    SHOW(prctl(PR_GET_SECCOMP));
}

static void privilege(void)
{
    setresgid(1000, 1000, 1000);
    setresuid(1000, 1000, 1000);
    SHOW(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    SHOW(INSTALL(0, RETURN(SECCOMP_RET_ALLOW)));
    SHOW(INSTALL(0, BPF_STMT(0x36, 0)));
    SHOW(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    SHOW(INSTALL(0, RETURN(SECCOMP_RET_ALLOW)));
    SHOW(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0));
    status_of("own:");
}

static void too_long(void)
{
    static struct sock_filter f[4096];
    for (unsigned i = 0; i < 4096; i++)
        f[i] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
    int i = 0;
    while (i < 16 && install_n(0, f, 4096) == 0)
        i++;
    SHOW_TRUE(i > 0 && i < 16 && errno == ENOMEM); /* Linux counts what it has made of them */
}

/* --- what verdicts do ----------------------------------------------------------------------- */

static void errnos(void)
{
    SHOW(verdict_for(SYS_getppid, SECCOMP_RET_ERRNO | EDOM));
    SHOW(verdict_for(SYS_getpgrp, SECCOMP_RET_ERRNO | 0xffff));
    SHOW(verdict_for(SYS_getuid, SECCOMP_RET_ERRNO | 0));
    SHOW(verdict_for(1000, SECCOMP_RET_ERRNO | ENOTTY));
    SHOW(syscall(SYS_getppid));
    syscall(SYS_getpgrp);
    printf("%d\n", errno);
    SHOW(syscall(SYS_getuid));
    SHOW(syscall(1000));
    SHOW(syscall(1001));
}

/* A site that has been made a jump by then passes the filter like any other. */
static void hot_sites(void)
{
    long sum = 0;
    for (int i = 0; i < 1000; i++)
        sum += syscall(SYS_getppid) > 0;
    SHOW(sum);
    SHOW(verdict_for(SYS_getppid, SECCOMP_RET_ERRNO | EDOM));
    for (int i = sum = 0; i < 1000; i++)
        sum += syscall(SYS_getppid);
    printf("%d %ld\n", errno, sum);
}

static volatile int traps;
static void on_sigsys(int sig, siginfo_t *i, void *context)
{
    ucontext_t *uc = context;
    printf("SIGSYS: code %d errno %d call %d arch %x at its place: %d, rax %lld\n", i->si_code, i->si_errno, i->si_syscall, i->si_arch,
           i->si_call_addr == (void *)uc->uc_mcontext.gregs[REG_RIP], uc->uc_mcontext.gregs[REG_RAX]);
    uc->uc_mcontext.gregs[REG_RAX] = 4242;
    traps++;
}

static void trap(void)
{
    struct sigaction a = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO};
    sigaction(SIGSYS, &a, NULL);
    SHOW(verdict_for(SYS_getppid, SECCOMP_RET_TRAP | 77));
    SHOW(syscall(SYS_getppid));
    for (int i = 0; i < 20; i++)
        if (syscall(SYS_getppid) != 4242)
            printf("wrong\n");
    SHOW(traps);
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, SIGSYS);
    sigprocmask(SIG_BLOCK, &s, NULL);
    SHOW(syscall(SYS_getppid));
}

static void kill_process(void)
{
    struct sigaction a = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO}; /* is not asked */
    sigaction(SIGSYS, &a, NULL);
    SHOW(verdict_for(SYS_getppid, SECCOMP_RET_KILL_PROCESS));
    SHOW(syscall(SYS_getppid));
}

static void unknown_verdict(void)
{
    SHOW(verdict_for(SYS_getppid, 0x00020000));
    SHOW(syscall(SYS_getppid));
}

static void *in_thread(void *arg)
{
    (void)arg;
    syscall(SYS_getppid);
    printf("goes on\n");
    fflush(stdout);
    return NULL;
}

static void kill_thread(void)
{
    pthread_t t;
    SHOW(verdict_for(SYS_getppid, SECCOMP_RET_KILL_THREAD));
    pthread_create(&t, NULL, in_thread, NULL);
    pthread_join(t, NULL);
    printf("the others live\n");
    fflush(stdout);
    syscall(SYS_getppid); /* the last one: the process */
}

static void kill_of_a_thread(void)
{
    pthread_t t;
    SHOW(verdict_for(SYS_getppid, SECCOMP_RET_KILL_PROCESS));
    fflush(stdout);
    pthread_create(&t, NULL, in_thread, NULL);
    pthread_join(t, NULL);
    printf("the others live\n");
}

static void others(void)
{
    SHOW(verdict_for(SYS_getppid, SECCOMP_RET_TRACE | 5));
    SHOW(syscall(SYS_getppid));
    SHOW(verdict_for(SYS_getpgrp, SECCOMP_RET_USER_NOTIF));
    SHOW(syscall(SYS_getpgrp));
    SHOW(verdict_for(SYS_getuid, SECCOMP_RET_LOG));
    SHOW_OK(syscall(SYS_getuid));
    SHOW(INSTALL(SECCOMP_FILTER_FLAG_LOG | SECCOMP_FILTER_FLAG_SPEC_ALLOW, RETURN(SECCOMP_RET_ALLOW)));
}

static void on_alarm(int sig) {}

/* The number is the low half of the register. */
static void wide_numbers(void)
{
    struct itimerval soon = {{0, 20000}, {0, 20000}}, never = {{0}};
    sigaction(SIGALRM, &(struct sigaction){.sa_handler = on_alarm}, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
    SHOW(syscall(0xffffffffUL << 32 | SYS_pause));
    setitimer(ITIMER_REAL, &never, NULL);
    SHOW_TRUE(syscall(1L << 32 | SYS_getppid) == getppid());
    SHOW_TRUE(syscall(0xffffffffUL << 32 | SYS_getppid) == getppid());
    SHOW(syscall(1L << 32 | 4000));
    SHOW(syscall(-1L));
    SHOW(verdict_for(SYS_getppid, SECCOMP_RET_ERRNO | 7));
    SHOW(syscall(1L << 32 | SYS_getppid));
    SHOW(syscall(-1L));
    SHOW(syscall(0x80000000L));
    SHOW(verdict_for(SYS_getpgrp, SECCOMP_RET_TRACE));
    SHOW(syscall(1L << 32 | SYS_getpgrp));
}

static void strict(void)
{
    char c;
    int fds[2];
    pipe(fds);
    write(fds[1], "x", 1);
    SHOW(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
    read(fds[0], &c, 1);
    if (c == 'x')
        write(1, "read\n", 5);
    syscall(SYS_exit, 3);
}

static void strict_else(void)
{
    SHOW(seccomp(SECCOMP_SET_MODE_STRICT, 0, NULL));
    syscall(SYS_getpid);
    write(1, "goes on\n", 8);
}

/* --- several filters ---------------------------------------------------------------------------- */

static void precedence(void)
{
    static const unsigned order[] = {SECCOMP_RET_ALLOW, SECCOMP_RET_LOG, SECCOMP_RET_TRACE, SECCOMP_RET_ERRNO | 1, SECCOMP_RET_ERRNO | 2, SECCOMP_RET_LOG};
    for (unsigned i = 0; i < COUNT(order); i++) {
        verdict_for(SYS_getppid, order[i]);
        printf("%u ", i);
        long r = syscall(SYS_getppid);
        printf("%ld %d\n", r > 0 ? 1 : r, r > 0 ? 0 : errno);
    }
    status_of("six:");
    SHOW(prctl(PR_GET_SECCOMP));
    SHOW(verdict_for(SYS_getppid, SECCOMP_RET_KILL_PROCESS));
    syscall(SYS_getppid);
}

static void closed_door(void)
{
    SHOW(verdict_for(SYS_seccomp, SECCOMP_RET_ERRNO | EPERM));
    SHOW(INSTALL(0, RETURN(SECCOMP_RET_ALLOW)));
    SHOW(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &(struct sock_fprog){1, &(struct sock_filter)RETURN(SECCOMP_RET_ALLOW)}));
}

/* What the data is; the verdict carries a number out. */
static void data(void)
{
    SHOW(INSTALL(0, LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getpriority, 1, 0), LAST,
                 LOAD(arch), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0), RETURN(SECCOMP_RET_ERRNO | 100),
                 LOAD(instruction_pointer), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 1), RETURN(SECCOMP_RET_ERRNO | 101),
                 BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0]) + 4), BPF_STMT(BPF_MISC | BPF_TAX, 0),
                 BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[5])), BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0),
                 BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO), BPF_STMT(BPF_RET | BPF_A, 0)));
    syscall(SYS_getpriority, 7UL << 32 | 1, 2, 3, 4, 5, 20);
    printf("%d\n", errno);
}

static void arithmetic_of(unsigned code, unsigned a, unsigned x)
{
    fflush(stdout);
    if (fork() == 0) {
        INSTALL(0, LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 1, 0), LAST, BPF_STMT(BPF_LDX | BPF_IMM, x),
                BPF_STMT(BPF_LD | BPF_IMM, a), BPF_STMT((unsigned short)(BPF_ALU | code), x), BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xfff),
                BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO), BPF_STMT(BPF_RET | BPF_A, 0));
        errno = 0;
        long r = syscall(SYS_getppid);
        printf("%02x %x %x: %ld %d\n", code, a, x, r, errno);
        fflush(stdout);
        _exit(0);
    }
    int st;
    wait(&st);
    if (WIFSIGNALED(st))
        printf("%02x %x %x: %s\n", code, a, x, sigabbrev_np(WTERMSIG(st)));
}

static void arithmetic(void)
{
    static const unsigned ops[] = {BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_AND, BPF_OR, BPF_XOR, BPF_LSH, BPF_RSH};
    for (unsigned i = 0; i < COUNT(ops); i++) {
        arithmetic_of(ops[i] | BPF_X, 1234, 5);
        arithmetic_of(ops[i] | BPF_K, 0xfffffff0, 17);
    }
    arithmetic_of(BPF_NEG, 5, 0);
    arithmetic_of(BPF_LSH | BPF_X, 3, 33);
    arithmetic_of(BPF_RSH | BPF_X, 0x700, 36);
    arithmetic_of(BPF_DIV | BPF_X, 3, 0);
}

/* --- whom it reaches ------------------------------------------------------------------------------ */

static void *thread_status(void *arg)
{
    status_of(arg);
    SHOW_OK(syscall(SYS_getppid));
    return NULL;
}

static void heirs(void)
{
    pthread_t t;
    SHOW(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    SHOW(verdict_for(SYS_getppid, SECCOMP_RET_ERRNO | EDOM));
    fflush(stdout);
    if (fork() == 0) {
        thread_status("child:");
        fflush(stdout);
        execl("/proc/self/exe", "seccomp", "program", NULL);
        _exit(1);
    }
    wait(NULL);
    pthread_create(&t, NULL, thread_status, "thread:");
    pthread_join(t, NULL);
}

static pthread_barrier_t barrier;
static volatile pid_t waiting_tid;

static void *waits(void *own)
{
    waiting_tid = (pid_t)syscall(SYS_gettid);
    if (own != NULL)
        SHOW(INSTALL(0, RETURN(SECCOMP_RET_ALLOW)));
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    return thread_status(own != NULL ? "apart:" : "waiting:");
}

static void tsync_with(void *own)
{
    pthread_t t;
    struct sock_filter f[] = {LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1), RETURN(SECCOMP_RET_ERRNO | EDOM), LAST};
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_create(&t, NULL, waits, own);
    pthread_barrier_wait(&barrier);
    SHOW(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    long r = install_n(SECCOMP_FILTER_FLAG_TSYNC, f, 4);
    SHOW_TRUE(r == (own != NULL ? waiting_tid : 0));
    SHOW(install_n(SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH, f, 4));
    pthread_barrier_wait(&barrier);
    pthread_join(t, NULL);
    status_of("caller:");
}

static void tsync(void) { tsync_with(NULL); }
static void tsync_apart(void) { tsync_with("own"); }

static void alone(void)
{
    pthread_t t;
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_create(&t, NULL, waits, NULL);
    pthread_barrier_wait(&barrier);
    SHOW(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    SHOW(verdict_for(SYS_getpgrp, SECCOMP_RET_ERRNO | EDOM));
    pthread_barrier_wait(&barrier);
    pthread_join(t, NULL);
    status_of("caller:");
}

/* --- a tracer --------------------------------------------------------------------------------------- */

struct info { /* struct __ptrace_syscall_info */
    uint8_t op, pad[3];
    uint32_t arch;
    uint64_t ip, sp, nr, args[6];
    uint32_t data;
};

static void trace_stop(pid_t pid, int st)
{
    struct info i;
    unsigned long message = 0;
    memset(&i, 0, sizeof i);
    long n = ptrace(0x420e, pid, sizeof i, &i); /* PTRACE_GET_SYSCALL_INFO */
    ptrace(PTRACE_GETEVENTMSG, pid, 0, &message);
    printf("stop %x: op %u, call %lld, data %u, message %lu, %s\n", st >> 8, i.op, i.op == 1 || i.op == 3 ? (long long)i.nr : 0, i.op == 3 ? i.data : 0, st >> 16 ? message : 0,
           n > 24 ? "more" : "no more");
}

/* A child makes getppid(); the tracer lets each stop go on by `request` and makes another call of it. */
static void traced_by(long request, long other)
{
    fflush(stdout);
    pid_t pid = fork();
    int st;
    if (pid == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        verdict_for(SYS_getppid, SECCOMP_RET_TRACE | 9);
        verdict_for(SYS_getpgrp, SECCOMP_RET_ERRNO | EDOM);
        SHOW_OK(syscall(SYS_getppid));
        _exit(7);
    }
    waitpid(pid, &st, 0);
    SHOW(ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESECCOMP | PTRACE_O_TRACESYSGOOD));
    ptrace(PTRACE_CONT, pid, 0, 0);
    for (bool seen = false; waitpid(pid, &st, 0) == pid && WIFSTOPPED(st);) {
        bool event = st >> 16 == PTRACE_EVENT_SECCOMP;
        trace_stop(pid, st);
        if (event && other != SYS_getppid)
            SHOW(ptrace(PTRACE_POKEUSER, pid, 8 * 15, other)); /* orig_rax */
        if (event && other == -1)
            SHOW(ptrace(PTRACE_POKEUSER, pid, 8 * 10, 55)); /* rax */
        if (!event && seen) { /* the exit */
            ptrace(PTRACE_CONT, pid, 0, 0);
            continue;
        }
        seen |= event;
        ptrace(event ? request : PTRACE_CONT, pid, 0, 0);
    }
    printf("%s %d\n", WIFEXITED(st) ? "ended with" : "killed by", WIFEXITED(st) ? WEXITSTATUS(st) : WTERMSIG(st));
}

static void traced(void)
{
    traced_by(PTRACE_CONT, SYS_getppid);
    traced_by(PTRACE_SYSCALL, SYS_getppid);
    traced_by(PTRACE_CONT, SYS_getpgrp); /* which the filter refuses */
    traced_by(PTRACE_CONT, SYS_getpid);
    traced_by(PTRACE_CONT, -1);
}

void listeners(void); /* seccomp_notif.c */

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "program") == 0) {
        thread_status("program:");
        return 0;
    }
    child("refusals", refusals);
    child("programs", programs);
    child("privilege", privilege);
    child("too long", too_long);
    child("ERRNO", errnos);
    child("hot sites", hot_sites);
    child("TRAP", trap);
    child("KILL_PROCESS", kill_process);
    child("unknown verdict", unknown_verdict);
    child("KILL_THREAD", kill_thread);
    child("KILL_PROCESS in a thread", kill_of_a_thread);
    child("TRACE, USER_NOTIF, LOG", others);
    child("strict", strict);
    child("strict, another call", strict_else);
    child("precedence", precedence);
    child("closed door", closed_door);
    child("data", data);
    child("arithmetic", arithmetic);
    child("heirs", heirs);
    child("TSYNC", tsync);
    child("TSYNC apart", tsync_apart);
    child("alone", alone);
    child("tracer", traced);
    child("numbers of more than 32 bits", wide_numbers);
    listeners();
    status_of("at the end:");
    return 0;
}
