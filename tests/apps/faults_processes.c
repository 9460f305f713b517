/* SPDX-License-Identifier: Apache-2.0 */
/* Processes, threads, programs, signals, timers, debuggers. */
#define _GNU_SOURCE
#include "faults.h"
#include "parts.h"

#include <elf.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>

static void reap(long pid)
{
    if (pid > 0)
        while (waitpid((pid_t)pid, NULL, __WALL) < 0 && errno == EINTR)
            ;
}

static long vforked(void)
{
    pid_t pid = vfork();
    if (pid == 0)
        _exit(0);
    return pid;
}

/* Another program, with no page of ours. */
static long waiting(void)
{
    pid_t pid = vfork();
    if (pid == 0) {
        execl(parts_self, parts_self, "nap", NULL);
        _exit(127);
    }
    return pid;
}

static void end(long pid)
{
    if (pid > 0)
        kill((pid_t)pid, SIGKILL);
    reap(pid);
}

static void *nothing(void *arg) { return NULL; }

static void forked(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    reap(pid);
}

static void threaded(void)
{
    pthread_t t;
    if (pthread_create(&t, NULL, nothing, NULL) == 0)
        pthread_join(t, NULL);
}

static void forks(void)
{
    int status;
    each_child("fork", forked);
    each_child("pthread_create", threaded);
    also_errno(EAGAIN);
    EACH(vforked()) reap(a.r);
    also_errno(0);
    long pid = vforked();
    EACH(wait4((pid_t)pid, &status, 0, NULL)) { reap(a.r < 0 ? pid : 0); pid = vforked(); }
    reap(pid);
    pid = waiting();
    EACH(RAW(pidfd_open, pid, 0)) close_fd(a.r);
    int fd = (int)RAW(pidfd_open, pid, 0);
    EACH(RAW(pidfd_getfd, fd, 1, 0)) close_fd(a.r);
    EACH(RAW(pidfd_send_signal, fd, SIGCONT, NULL, 0)) ;
    close(fd);
    end(pid);
}

static void unshared(void) { unshare(CLONE_FILES | CLONE_FS); }
static void exits(void) { _exit(0); }
static void exits_thread(void) { RAW(exit, 0); }
static void exits_group(void)
{
    pthread_t t;
    pthread_create(&t, NULL, nothing, NULL);
    _exit(0);
}


/* A whole program: it ends at once. */
static const struct {
    Elf64_Ehdr head;
    Elf64_Phdr load;
    unsigned char text[12];
} least = {
    {"\x7f" "ELF\2\1\1", ET_EXEC, EM_X86_64, 1, 0x400078, sizeof(Elf64_Ehdr), 0, 0, sizeof(Elf64_Ehdr), sizeof(Elf64_Phdr), 1, 0, 0, 0},
    {PT_LOAD, PF_R | PF_X, 0, 0x400000, 0x400000, 132, 132, 4096},
    {0x31, 0xff, 0xb8, SYS_exit_group, 0, 0, 0, 0x0f, 0x05}, /* exit_group(0) */
};
static int least_fd;

static void exec_least(void) { syscall(SYS_execveat, least_fd, "", (char *[]){"least", NULL}, environ, AT_EMPTY_PATH); }
static void exec_dynamic(void) { execl(parts_self, parts_self, "nothing", NULL); }

/* Who had no memory, or no arguments, may end as its dynamic linker says (127), or by a signal. */
static bool ended_well(const siginfo_t *i, enum nth_file file)
{
    if (i->si_code == CLD_EXITED)
        return i->si_status == 0 || i->si_status == 127;
    return i->si_code == CLD_KILLED && (i->si_status == SIGKILL || (file == TOUCH_NTH && i->si_status == SIGSEGV));
}

/* The number stays over execve(2), and what is left of it can be read until the process is reaped. */
static bool exec_failed(const char *what, void (*run)(void), enum nth_file file, unsigned n)
{
    siginfo_t info;
    pid_t pid = fork();
    if (pid == 0) {
        arm_own(file, n);
        run();
        bool told = errno == (file == FAIL_NTH ? ENOMEM : EFAULT);
        if (!told)
            printf("odd %s %u %s\n", what, n, strerrorname_np(errno));
        _exit(told ? 0 : 1);
    }
    waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
    bool failed = left_of(pid, file) == 0;
    reap(pid);
    if (!ended_well(&info, file))
        printf("odd %s %u of %d ended with %d, %d\n", what, n, file, info.si_code, info.si_status);
    return failed;
}

static void each_exec(const char *what, void (*run)(void), unsigned most)
{
    for (enum nth_file file = 0; file < NTH_FILES && !each_is_once(); file++) {
        unsigned n = 1;
        for (unsigned unfailed = 0; unfailed < 2 && n < most; n++)
            unfailed += !exec_failed(what, run, file, n);
        if (n == 200)
            printf("odd %s has no end\n", what);
    }
}

static void programs(void)
{
    least_fd = memfd_create("least", MFD_CLOEXEC);
    (void)!write(least_fd, &least, sizeof least);
    each_exec("execveat", exec_least, 201);
    close(least_fd);
    each_exec("execve", exec_dynamic, 50);
    each_child("unshare", unshared);
    each_exec("exit_group", exits, 201);
    each_exec("exit", exits_thread, 201);
    each_exec("exit with a thread", exits_group, 201);
}

static volatile sig_atomic_t heard;
static void on_signal(int sig, siginfo_t *info, void *context) { heard++; }

static void signals_itself(void)
{
    kill(getpid(), SIGUSR1);
    sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 3});
}

static void signals(void)
{
    struct sigaction act = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
    sigset_t set, was;
    int t;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGRTMIN);
    sigaction(SIGUSR1, &act, NULL);
    sigaction(SIGRTMIN, &act, NULL);
    each_child("a signal to itself", signals_itself);
    also_errno(EAGAIN);
    sigprocmask(SIG_BLOCK, &set, &was);
    EACH(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 3})) sigtimedwait(&set, NULL, &(struct timespec){0, 0});
    EACH(tgkill(getpid(), gettid(), SIGUSR1)) sigtimedwait(&set, NULL, &(struct timespec){0, 0});
    EACH((kill(getpid(), SIGUSR1), RAW(rt_sigtimedwait, &set, NULL, &(struct timespec){0, 1000}, 8)) < 0 && errno == ENOMEM ? -1 : 0) ;
    EACH(RAW(timer_create, CLOCK_MONOTONIC, &(struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1}, &t)) if (a.r == 0) RAW(timer_delete, t);
    also_errno(0);
    sigprocmask(SIG_SETMASK, &was, NULL);
    EACH(setitimer(ITIMER_VIRTUAL, &(struct itimerval){.it_value.tv_sec = 100}, NULL)) ;
    EACH(nanosleep(&(struct timespec){0, 1000}, NULL)) ;
    EACH(RAW(sigaltstack, &(stack_t){.ss_flags = SS_DISABLE}, NULL)) ;
}

static void others(void)
{
    gid_t groups[20] = {0};
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    char name[65];
    gethostname(name, sizeof name);
    EACH(RAW(setgroups, 20, groups)) ;
    EACH(setuid(0)) ;
    EACH(setresgid(0, 0, 0)) ;
    EACH(setrlimit(RLIMIT_NOFILE, &limit)) ;
    EACH(sethostname(name, strlen(name))) ;
    EACH(prctl(PR_SET_NAME, "faults")) ;
    EACH(RAW(sched_setaffinity, 0, sizeof(long), &(long){1})) ;
    EACH(sched_yield()) ;
    EACH(RAW(capget, &(unsigned[2]){0x20080522, 0}, &(unsigned[6]){0})) ;
    char text[100];
    EACH(RAW(getrandom, text, sizeof text, 0)) ;
    EACH(RAW(membarrier, 0, 0, 0)) ;
}

static void debuggers(void)
{
    struct user_regs_struct regs;
    int st;
    long pid = waiting();
    also_errno(EIO); /* of the tracee's memory */
    EACH(ptrace(PTRACE_SEIZE, pid, 0, 0)) { ptrace(PTRACE_INTERRUPT, pid, 0, 0); waitpid((pid_t)pid, &st, __WALL | (a.r == 0 ? 0 : WNOHANG)); ptrace(PTRACE_DETACH, pid, 0, 0); }
    ptrace(PTRACE_ATTACH, pid, 0, 0);
    waitpid((pid_t)pid, &st, __WALL);
    EACH(ptrace(PTRACE_GETREGS, pid, 0, &regs)) ;
    long text = ptrace(PTRACE_PEEKTEXT, pid, regs.rip, 0);
    EACH(ptrace(PTRACE_SETREGS, pid, 0, &regs)) ;
    EACH(ptrace(PTRACE_POKEDATA, pid, regs.rsp - 512, 1l)) ;
    EACH(ptrace(PTRACE_POKETEXT, pid, regs.rip, text)) ;
    EACH(ptrace(PTRACE_SINGLESTEP, pid, 0, 0)) if (a.r == 0) waitpid((pid_t)pid, &st, __WALL);
    EACH(ptrace(PTRACE_DETACH, pid, 0, 0)) { ptrace(PTRACE_ATTACH, pid, 0, 0); waitpid((pid_t)pid, &st, __WALL); }
    also_errno(0);
    end(pid);
}

const struct family families_processes[] = {{"forks", forks}, {"programs", programs}, {"signals", signals}, {"others", others}, {"debuggers", debuggers},
                                            {NULL, NULL}};
