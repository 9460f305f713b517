/* SPDX-License-Identifier: Apache-2.0 */
/* ptrace(2) as debuggers use it: stops, what wait() tells of them, registers, memory, signals, events, ends. */
#include "t.h"
#include <elf.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

static void status_of(const char *what, int st)
{
    if (WIFSTOPPED(st))
        printf("%s: stopped by %d, event %d\n", what, WSTOPSIG(st), st >> 16);
    else if (WIFEXITED(st))
        printf("%s: exited %d\n", what, WEXITSTATUS(st));
    else
        printf("%s: killed by %d\n", what, WTERMSIG(st));
    fflush(stdout);
}

static int awaited(const char *what, pid_t pid)
{
    int st = 0;
    pid_t got = waitpid(pid, &st, __WALL);
    if (got != pid && pid != -1)
        printf("%s: waitpid = %d %s\n", what, (int)got, strerrorname_np(errno));
    status_of(what, st);
    return st;
}

static long req(int request, pid_t pid, long addr, void *data)
{
    errno = 0;
    return ptrace(request, pid, addr, data);
}
#define PT(request, pid, addr, data) show(#request, req(request, pid, (long)(addr), (void *)(long)(data)))

static volatile long watched_word = 0x1122334455667788;
static volatile int handled;
static void on_usr1(int sig) { handled += sig; }

__attribute__((noinline)) static int add(int a, int b) { return a + b; }

static pid_t traced_child(int (*fn)(void))
{
    pid_t pid = fork();
    if (pid == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        _exit(fn());
    }
    awaited("child", pid);
    return pid;
}

static int plain(void) { return 7; }

static void stops_and_memory(void)
{
    section("stops, memory, registers");
    pid_t pid = traced_child(plain);
    siginfo_t si;
    struct user_regs_struct regs, again;
    PT(PTRACE_GETSIGINFO, pid, 0, &si);
    printf("signo %d code %d from itself %s\n", si.si_signo, si.si_code, si.si_pid == pid ? "yes" : "no");
    errno = 0;
    printf("peek %lx errno %d\n", ptrace(PTRACE_PEEKDATA, pid, &watched_word, 0), errno);
    PT(PTRACE_POKEDATA, pid, &watched_word, 0x42);
    printf("peek %lx, mine %lx\n", ptrace(PTRACE_PEEKDATA, pid, &watched_word, 0), watched_word);
    PT(PTRACE_PEEKDATA, pid, 8, 0);
    PT(PTRACE_POKEDATA, pid, 8, 0);
    PT(PTRACE_GETREGS, pid, 0, &regs);
    printf("cs %llx ss %llx orig_rax %lld\n", regs.cs, regs.ss, regs.orig_rax);
    printf("fs_base same as peeked: %d\n", regs.fs_base == (unsigned long long)ptrace(PTRACE_PEEKUSER, pid, offsetof(struct user_regs_struct, fs_base), 0));
    again = regs;
    again.r15 = 0x1515;
    PT(PTRACE_SETREGS, pid, 0, &again);
    PT(PTRACE_GETREGS, pid, 0, &again);
    printf("r15 %llx\n", again.r15);
    PT(PTRACE_SETREGS, pid, 0, &regs);
    struct iovec iov = {&again, sizeof again};
    PT(PTRACE_GETREGSET, pid, NT_PRSTATUS, &iov);
    printf("regset length %zu same %d\n", iov.iov_len, memcmp(&again, &regs, sizeof regs) == 0);
    iov.iov_len = 16;
    PT(PTRACE_GETREGSET, pid, NT_PRSTATUS, &iov);
    printf("regset length %zu\n", iov.iov_len);
    PT(PTRACE_GETREGSET, pid, 0x7777, &iov);
    struct user_fpregs_struct fp;
    PT(PTRACE_GETFPREGS, pid, 0, &fp);
    printf("cwd %x mxcsr %x\n", fp.cwd, fp.mxcsr);
    fp.mxcsr = 0x1fa0;
    PT(PTRACE_SETFPREGS, pid, 0, &fp);
    memset(&fp, 0, sizeof fp);
    PT(PTRACE_GETFPREGS, pid, 0, &fp);
    printf("mxcsr %x\n", fp.mxcsr);
    PT(PTRACE_PEEKUSER, pid, 3, 0);
    PT(PTRACE_PEEKUSER, pid, 100000, 0);
    PT(PTRACE_CONT, pid, 0, 200);
    PT(PTRACE_LISTEN, pid, 0, 0);
    PT(PTRACE_INTERRUPT, pid, 0, 0);
    PT(PTRACE_SETOPTIONS, pid, 0, 0x80000000);
    PT(12345, pid, 0, 0);
    PT(PTRACE_CONT, pid, 0, 0);
    awaited("end", pid);
    PT(PTRACE_CONT, pid, 0, 0);
}

static void refusals(void)
{
    section("refusals");
    PT(PTRACE_ATTACH, getpid(), 0, 0);
    PT(PTRACE_ATTACH, 999999, 0, 0);
    PT(PTRACE_CONT, getppid(), 0, 0);
    pid_t pid = fork();
    if (pid == 0) {
        SHOW(ptrace(PTRACE_TRACEME, 0, 0, 0));
        SHOW(ptrace(PTRACE_TRACEME, 0, 0, 0));
        _exit(0);
    }
    awaited("twice", pid);
    pid = fork();
    if (pid == 0)
        for (;;)
            pause();
    PT(PTRACE_SEIZE, pid, 1, 0);
    PT(PTRACE_SEIZE, pid, 0, 0x80000000);
    PT(PTRACE_SEIZE, pid, 0, 0);
    PT(PTRACE_SEIZE, pid, 0, 0);
    PT(PTRACE_CONT, pid, 0, 0); /* runs */
    PT(PTRACE_KILL, pid, 0, 0);
    if (kill(pid, SIGKILL) == 0)
        awaited("killed", pid);
}

static int signals_body(void)
{
    signal(SIGUSR1, on_usr1);
    signal(SIGUSR2, SIG_IGN);
    raise(SIGUSR1);
    raise(SIGUSR2);
    raise(SIGUSR1);
    raise(SIGTERM);
    return handled;
}

static void signals(void)
{
    section("signals");
    pid_t pid = traced_child(signals_body);
    PT(PTRACE_CONT, pid, 0, 0);
    awaited("first", pid);
    PT(PTRACE_CONT, pid, 0, SIGUSR1);
    awaited("ignored one is told, too", pid);
    PT(PTRACE_CONT, pid, 0, SIGUSR2);
    awaited("third", pid);
    PT(PTRACE_CONT, pid, 0, 0); /* taken away */
    awaited("fourth", pid);
    PT(PTRACE_CONT, pid, 0, SIGUSR1); /* replaced */
    awaited("end", pid);
    pid = traced_child(signals_body);
    PT(PTRACE_CONT, pid, 0, 0);
    awaited("first", pid);
    siginfo_t si;
    PT(PTRACE_GETSIGINFO, pid, 0, &si);
    si.si_value.sival_int = 5;
    PT(PTRACE_SETSIGINFO, pid, 0, &si);
    uint64_t mask = 0;
    PT(PTRACE_GETSIGMASK, pid, 8, &mask);
    printf("mask %lx\n", mask);
    PT(PTRACE_GETSIGMASK, pid, 4, &mask);
    PT(PTRACE_DETACH, pid, 0, SIGTERM);
    awaited("detached with a signal", pid);
}

static int calls_body(void)
{
    syscall(SYS_getppid);
    syscall(SYS_close, -1);
    syscall(SYS_write, 1, "this is not written\n", 20);
    return (int)syscall(SYS_getuid) == 4711 ? 3 : 4;
}

static void syscalls(int how_get)
{
    section("system calls");
    pid_t pid = traced_child(calls_body);
    long nrs[] = {SYS_getppid, SYS_close, SYS_write, SYS_getuid, SYS_exit_group};
    PT(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD);
    for (unsigned i = 0; i < sizeof nrs / sizeof *nrs;) {
        req(PTRACE_SYSCALL, pid, 0, NULL);
        int st;
        waitpid(pid, &st, 0);
        if (WIFEXITED(st)) {
            status_of("end", st);
            return;
        }
        struct user_regs_struct r;
        req(PTRACE_GETREGS, pid, 0, &r);
        if ((long)r.orig_rax != nrs[i])
            continue; /* the end of raise() */
        struct __ptrace_syscall_info info;
        memset(&info, 0, sizeof info);
        long n = req(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info);
        status_of("entry", st);
        printf("op %d nr %lld rax %lld", info.op, (long long)info.entry.nr, (long long)r.rax);
        if (how_get)
            printf(" length %ld ip ok %d sp ok %d", n, info.instruction_pointer == r.rip, info.stack_pointer == r.rsp);
        printf("\n");
        if (nrs[i] == SYS_write) {
            r.orig_rax = -1;
            PT(PTRACE_SETREGS, pid, 0, &r);
        }
        PT(PTRACE_SYSCALL, pid, 0, 0);
        waitpid(pid, &st, 0);
        status_of("exit", st);
        if (!WIFSTOPPED(st))
            return;
        memset(&info, 0, sizeof info);
        n = req(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info);
        bool same = nrs[i] == SYS_getppid;
        printf("op %d error %d result %lld length %ld\n", info.op, info.exit.is_error, same ? 0 : (long long)info.exit.rval, n);
        if (nrs[i] == SYS_getuid) {
            req(PTRACE_GETREGS, pid, 0, &r);
            r.rax = 4711;
            PT(PTRACE_SETREGS, pid, 0, &r);
        }
        i++;
    }
}

/* Which of the two registers that a call may spoil are as somebody set them at its end: 1 and 2. */
static int kept_body(void)
{
    int kept = 0;
    for (int i = 0; i < 200; i++) {
        if (i == 199)
            raise(SIGSTOP);
        long nr = i == 199 ? SYS_getuid : SYS_getppid, rcx, r11;
        __asm__ volatile("syscall\n cmp $-4095, %%rax\n mov %%rcx, %1\n mov %%r11, %2"
                         : "+a"(nr), "=&r"(rcx), "=&r"(r11)::"rcx", "r11", "memory", "cc");
        kept = (rcx == 0x1234567) + 2 * (r11 == 0x7654321);
    }
    return kept;
}

static void registers_of_calls(void)
{
    section("registers that a call spoils");
    for (int which = 1; which <= 3; which++) {
        pid_t pid = traced_child(kept_body);
        struct user_regs_struct r;
        int st, ends = 0;
        PT(PTRACE_CONT, pid, 0, 0);
        awaited("before the last", pid);
        do {
            req(PTRACE_SYSCALL, pid, 0, NULL);
            waitpid(pid, &st, 0);
            req(PTRACE_GETREGS, pid, 0, &r);
            if (WIFSTOPPED(st) && r.orig_rax == SYS_getuid && ++ends == 2) {
                r.rcx = which & 1 ? 0x1234567 : r.rcx;
                r.r11 = which & 2 ? 0x7654321 : r.r11;
                PT(PTRACE_SETREGS, pid, 0, &r);
            }
        } while (WIFSTOPPED(st));
        status_of("kept", st);
    }
}

static int step_body(void) { return add(30, 12); }

static void steps(void)
{
    section("breakpoint and steps");
    pid_t pid = traced_child(step_body);
    long at = (long)add, old = ptrace(PTRACE_PEEKTEXT, pid, at, 0);
    PT(PTRACE_POKETEXT, pid, at, (old & ~0xffL) | 0xcc);
    printf("mine is as before: %d\n", *(volatile uint8_t *)at == (old & 0xff));
    PT(PTRACE_CONT, pid, 0, 0);
    awaited("breakpoint", pid);
    siginfo_t si;
    req(PTRACE_GETSIGINFO, pid, 0, &si);
    printf("code %d\n", si.si_code);
    struct user_regs_struct r;
    req(PTRACE_GETREGS, pid, 0, &r);
    printf("at the breakpoint: %d, arguments %lld %lld\n", (long)r.rip == at + 1, r.rdi, r.rsi);
    PT(PTRACE_POKETEXT, pid, at, old);
    r.rip = at;
    r.rsi = 13;
    PT(PTRACE_SETREGS, pid, 0, &r);
    for (int i = 0; i < 3; i++) {
        long before = (long)r.rip;
        PT(PTRACE_SINGLESTEP, pid, 0, 0);
        awaited("step", pid);
        req(PTRACE_GETREGS, pid, 0, &r);
        req(PTRACE_GETSIGINFO, pid, 0, &si);
        printf("moved: %d, trap flag shown: %d, code %d\n", (long)r.rip != before, (r.eflags & 0x100) != 0, si.si_code);
    }
    PT(PTRACE_CONT, pid, 0, 0);
    awaited("end", pid);
}

static int bases_body(void)
{
    while (syscall(SYS_getppid) > 0)
        ;
    return 0;
}

/* What is written while it is stopped is there when it stops again; the tracer may be told before it has left its CPU. */
static void bases(void)
{
    section("segment bases");
    pid_t pid = traced_child(bases_body);
    int kept = 0, st;
    const long gs = offsetof(struct user_regs_struct, gs_base);
    for (long i = 1; i <= 300; i++) {
        req(PTRACE_POKEUSER, pid, gs, (void *)(i << 12));
        req(PTRACE_SYSCALL, pid, 0, NULL);
        while (waitpid(pid, &st, WNOHANG) == 0)
            sched_yield();
        kept += req(PTRACE_PEEKUSER, pid, gs, NULL) == i << 12;
    }
    printf("kept at %d of 300 stops\n", kept);
    kill(pid, SIGKILL);
    awaited("end", pid);
}

static int fork_body(void)
{
    int st = 0;
    pid_t pid = fork();
    if (pid == 0)
        _exit(5);
    waitpid(pid, &st, 0);
    pid = vfork();
    if (pid == 0)
        _exit(6);
    waitpid(pid, &st, 0);
    execl("/proc/self/exe", "ptrace", "exec", (char *)NULL);
    return 99;
}

static void events(bool seize)
{
    section(seize ? "events, seized" : "events");
    long options = PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACEVFORKDONE | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT | PTRACE_O_EXITKILL;
    pid_t pid;
    if (seize) {
        int p[2];
        char c;
        if (pipe(p) < 0)
            return;
        pid = fork();
        if (pid == 0) {
            if (read(p[0], &c, 1) != 1)
                _exit(1);
            _exit(fork_body());
        }
        PT(PTRACE_SEIZE, pid, 0, options);
        if (write(p[1], "x", 1) != 1)
            return;
        close(p[0]);
        close(p[1]);
    } else {
        pid = traced_child(fork_body);
        PT(PTRACE_SETOPTIONS, pid, 0, options);
        PT(PTRACE_CONT, pid, 0, 0);
    }
    for (;;) {
        int st = awaited("parent", pid);
        if (!WIFSTOPPED(st))
            return;
        unsigned long message = 0;
        int event = st >> 16, sig = WSTOPSIG(st);
        req(PTRACE_GETEVENTMSG, pid, 0, &message);
        if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK) {
            awaited("its child", (pid_t)message);
            PT(PTRACE_CONT, (pid_t)message, 0, 0);
            for (st = awaited("its child", (pid_t)message); WIFSTOPPED(st); st = awaited("its child", (pid_t)message)) {
                unsigned long code = 0;
                req(PTRACE_GETEVENTMSG, (pid_t)message, 0, &code);
                printf("message %lx\n", code);
                req(PTRACE_CONT, (pid_t)message, 0, 0);
            }
        } else if (event == PTRACE_EVENT_EXEC) {
            printf("message is its number: %d\n", message == (unsigned long)pid);
        } else if (event == PTRACE_EVENT_EXIT) {
            printf("message %lx\n", message);
        }
        req(PTRACE_CONT, pid, 0, (void *)(long)(event == 0 && sig != SIGSTOP ? sig : 0));
    }
}

static void seized_stops(void)
{
    section("interrupt, group stop, listen");
    pid_t pid = fork();
    if (pid == 0)
        for (;;)
            pause();
    PT(PTRACE_SEIZE, pid, 0, 0);
    PT(PTRACE_INTERRUPT, pid, 0, 0);
    awaited("interrupted", pid);
    siginfo_t si = {0};
    PT(PTRACE_GETSIGINFO, pid, 0, &si);
    printf("signo %d code %x\n", si.si_signo, si.si_code);
    PT(PTRACE_CONT, pid, 0, 0);
    kill(pid, SIGSTOP);
    awaited("signal", pid);
    PT(PTRACE_CONT, pid, 0, SIGSTOP);
    awaited("group stop", pid);
    PT(PTRACE_LISTEN, pid, 0, 0);
    SHOW(waitpid(pid, NULL, __WALL | WNOHANG));
    PT(PTRACE_CONT, pid, 0, 0); /* listening counts as running */
    kill(pid, SIGCONT);
    awaited("continued", pid);
    PT(PTRACE_CONT, pid, 0, 0);
    awaited("the signal itself", pid);
    PT(PTRACE_CONT, pid, 0, SIGCONT);
    PT(PTRACE_INTERRUPT, pid, 0, 0);
    awaited("interrupted again", pid);
    PT(PTRACE_DETACH, pid, 0, SIGTERM);
    SHOW_TRUE(kill(pid, SIGTERM) == 0);
    awaited("end", pid);
}

static void attached(void)
{
    section("attach to a grandchild");
    int p[2];
    pid_t grandchild = 0, pid;
    if (pipe(p) < 0)
        return;
    pid = fork();
    if (pid == 0) {
        int st;
        pid_t g = fork();
        if (g == 0)
            for (;;)
                pause();
        if (write(p[1], &g, sizeof g) != sizeof g)
            _exit(1);
        waitpid(g, &st, 0);
        _exit(WIFSIGNALED(st) ? WTERMSIG(st) : 99);
    }
    if (read(p[0], &grandchild, sizeof grandchild) != sizeof grandchild)
        return;
    PT(PTRACE_ATTACH, grandchild, 0, 0);
    awaited("attached", grandchild);
    kill(grandchild, SIGKILL);
    awaited("the tracer sees the end", grandchild);
    awaited("and then the parent", pid);

    pid = fork();
    if (pid == 0) {
        pid_t g = fork();
        if (g == 0) {
            ptrace(PTRACE_TRACEME, 0, 0, 0);
            if (write(p[1], "x", 1) == 1)
                raise(SIGSTOP);
            _exit(3);
        }
        waitpid(g, NULL, 0);
        ptrace(PTRACE_SETOPTIONS, g, 0, PTRACE_O_EXITKILL);
        if (write(p[1], &g, sizeof g) != sizeof g)
            _exit(1);
        _exit(0);
    }
    char c;
    if (read(p[0], &c, 1) != 1 || read(p[0], &grandchild, sizeof grandchild) != sizeof grandchild)
        return;
    awaited("tracer ends", pid);
    for (int i = 0; i < 500 && kill(grandchild, 0) == 0; i++) {
        waitpid(grandchild, NULL, WNOHANG); /* inside, this program may be the one that inherits it */
        usleep(10000);
    }
    SHOW(kill(grandchild, 0));
}

static void *thread(void *arg)
{
    (void)arg;
    syscall(SYS_exit, 0);
    return NULL;
}

static int thread_body(void)
{
    pthread_t t;
    pthread_create(&t, NULL, thread, NULL);
    pthread_join(t, NULL);
    return 8;
}

/* What is left of a process whose first thread is traced and waits to go on: its ends, and an exec. */
static void watch_ends(pid_t pid, pid_t other)
{
    int st, ends = 0;
    while (ends < 2) {
        pid_t got = waitpid(-1, &st, __WALL);
        if (got < 0)
            break;
        unsigned long message = 0;
        if (WIFSTOPPED(st)) {
            req(PTRACE_GETEVENTMSG, got, 0, &message);
            if (st >> 16 == PTRACE_EVENT_CLONE)
                other = (pid_t)message;
            if (st >> 16 == PTRACE_EVENT_EXEC) {
                printf("exec: of the process %d, by its thread %d\n", got == pid, (pid_t)message == other);
                ends++; /* of the thread, which is the process now */
            }
            req(PTRACE_CONT, got, 0, NULL);
            continue;
        }
        ends++;
        if (got == pid)
            status_of("process", st);
        else
            printf("the thread: %d\n", got == other && WIFEXITED(st)); /* whose result it shows depends on who was faster */
    }
    SHOW(waitpid(-1, &st, __WALL));
}

static void threads(void)
{
    section("threads");
    pid_t pid = traced_child(thread_body), other = 0;
    PT(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACECLONE);
    PT(PTRACE_CONT, pid, 0, 0);
    awaited("clone", pid);
    unsigned long message = 0;
    req(PTRACE_GETEVENTMSG, pid, 0, &message);
    other = (pid_t)message;
    awaited("thread", other);
    PT(PTRACE_CONT, other, 0, 0);
    PT(PTRACE_CONT, pid, 0, 0);
    watch_ends(pid, other);
}

static int first_is_here = 1; /* cleared by the kernel as the first thread ends */

static void *last_thread(void *exec)
{
    while (__atomic_load_n(&first_is_here, __ATOMIC_ACQUIRE))
        sched_yield();
    if (exec != NULL)
        execl(exec, "ptrace", "exec", (char *)NULL);
    syscall(SYS_exit, 9);
    return NULL;
}

static int first_ends(void *exec)
{
    pthread_t t;
    syscall(SYS_set_tid_address, &first_is_here);
    pthread_create(&t, NULL, last_thread, exec);
    syscall(SYS_exit, 8);
    return 0;
}
static int first_ends_body(void) { return first_ends(NULL); }
static int first_ends_exec_body(void)
{
    static char program[4096]; /* /proc/self, the first thread's, has none when that has ended */
    return readlink("/proc/self/exe", program, sizeof program - 1) > 0 ? first_ends(program) : 1;
}

static void first_thread_ends(void)
{
    section("the first thread ends first");
    for (int exec = 0; exec < 2; exec++) {
        pid_t pid = traced_child(exec ? first_ends_exec_body : first_ends_body);
        PT(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC);
        PT(PTRACE_CONT, pid, 0, 0);
        watch_ends(pid, 0);
    }
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    if (argc > 1)
        return strcmp(argv[1], "exec") == 0 ? 11 : 12;
    signal(SIGTERM, SIG_DFL);
    stops_and_memory();
    refusals();
    signals();
    syscalls(1);
    registers_of_calls();
    steps();
    bases();
    events(false);
    events(true);
    seized_stops();
    attached();
    threads();
    first_thread_ends();
    return 0;
}
