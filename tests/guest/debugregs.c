/* SPDX-License-Identifier: Apache-2.0 */
/* The debug registers that ptrace(2) shows of a thread (PTRACE_PEEKUSER, PTRACE_POKEUSER). */
#include "t.h"
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>

#define DR(n) offsetof(struct user, u_debugreg[n])
#define ON(n) (1ul << 2 * (n))
#define WRITE(n, len) (ON(n) | (1ul | (unsigned long)((len) == 8 ? 2 : (len) - 1) << 2) << (16 + 4 * (n)))
#define BOTH(n, len) (ON(n) | (3ul | (unsigned long)((len) == 8 ? 2 : (len) - 1) << 2) << (16 + 4 * (n)))
#define EXEC(n) ON(n)
#define PORT(n) (ON(n) | 2ul << (16 + 4 * (n)))

static volatile long watched[5];
static volatile int step_here;

static long set(pid_t p, int n, unsigned long v) { return ptrace(PTRACE_POKEUSER, p, DR(n), v); }
static long get(pid_t p, int n) { return ptrace(PTRACE_PEEKUSER, p, DR(n), NULL); }

/* How it went on. */
static void told(pid_t p, const char *how)
{
    int st;
    siginfo_t i = {0};
    struct user_regs_struct r;
    if (waitpid(p, &st, __WALL) != p) {
        printf("%s: nothing\n", how);
    } else if (!WIFSTOPPED(st)) {
        printf("%s: status %x\n", how, st);
    } else {
        ptrace(PTRACE_GETSIGINFO, p, NULL, &i);
        ptrace(PTRACE_GETREGS, p, NULL, &r);
        printf("%s: %s %d, at the instruction: %d, resume flag: %d, DR6 %lx\n", how, sigabbrev_np(WSTOPSIG(st)), i.si_code, i.si_addr == (void *)r.rip,
               (int)(r.eflags >> 16 & 1), get(p, 6));
    }
    fflush(stdout);
}

static void go_on(pid_t p, const char *how)
{
    ptrace(PTRACE_CONT, p, NULL, NULL);
    told(p, how);
}

static pid_t tracee(void (*body)(void))
{
    fflush(stdout);
    pid_t p = fork();
    if (p == 0) {
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        body();
        _exit(3);
    }
    waitpid(p, NULL, 0);
    return p;
}

static void end(pid_t p)
{
    kill(p, SIGKILL);
    waitpid(p, NULL, __WALL);
}

static void nothing(void) {}

static void values(void)
{
    section("values");
    pid_t p = tracee(nothing);
    for (int n = 0; n < 8; n++)
        printf("DR%d: %lx\n", n, get(p, n));
    SHOW(set(p, 4, 0));
    SHOW(set(p, 5, 1));
    SHOW(set(p, 0, 0xffff800000000000));
    SHOW(set(p, 0, 1ul << 47));
    SHOW(set(p, 7, ON(0)));
    SHOW(get(p, 7));
    SHOW(set(p, 7, 0));
    SHOW(set(p, 0, (unsigned long)watched + 1));
    SHOW(set(p, 7, WRITE(0, 4)));
    SHOW(get(p, 7));
    SHOW(set(p, 7, WRITE(0, 1)));
    SHOW(get(p, 7));
    SHOW(set(p, 7, 0));
    SHOW(set(p, 0, (unsigned long)watched));
    SHOW(set(p, 7, PORT(0)));
    SHOW(set(p, 7, EXEC(0) | 3ul << 18));
    SHOW(get(p, 7));
    SHOW(set(p, 7, WRITE(0, 8)));
    SHOW(set(p, 0, (unsigned long)watched + 4)); /* not for 8 bytes */
    SHOW_TRUE(get(p, 0) == (long)watched);
    SHOW(set(p, 0, (unsigned long)watched + 8));
    SHOW_TRUE(get(p, 0) == (long)watched + 8);
    for (int n = 1; n < 4; n++)
        SHOW(set(p, n, (unsigned long)&watched[n]));
    SHOW(set(p, 7, WRITE(0, 8) | BOTH(1, 8) | WRITE(2, 2) | WRITE(3, 1)));
    SHOW_TRUE(get(p, 7) == (WRITE(0, 8) | BOTH(1, 8) | WRITE(2, 2) | WRITE(3, 1)));
    SHOW(set(p, 6, 5));
    SHOW(get(p, 6));
    SHOW(set(p, 7, 0));
    end(p);
}

__attribute__((noinline)) static void here(void) { __asm__ volatile("nop"); }

static void touch(void)
{
    int fd[2];
    watched[0] = 1;
    watched[1] = 2;
    (void)watched[1];
    here();
    here();
    ((volatile char *)watched)[3] = 4;
    watched[2] = 3;
    pipe(fd);
    write(fd[1], "aaaaaaaa", 8);
    read(fd[0], (void *)watched, 8); /* the kernel's accesses are not told */
}

static void hits(void)
{
    section("hits");
    pid_t p = tracee(touch);
    set(p, 0, (unsigned long)watched);
    set(p, 1, (unsigned long)&watched[1]);
    set(p, 2, (unsigned long)here);
    SHOW(set(p, 7, WRITE(0, 8) | BOTH(1, 8) | EXEC(2)));
    go_on(p, "a write");
    SHOW(set(p, 6, 0));
    go_on(p, "another one");
    go_on(p, "a read");
    go_on(p, "an instruction");
    ptrace(PTRACE_SINGLESTEP, p, NULL, NULL);
    told(p, "a step");
    go_on(p, "again");
    SHOW(set(p, 2, (unsigned long)&watched[4] + 1));
    SHOW(set(p, 7, WRITE(0, 8) | WRITE(2, 8))); /* the first alone stays */
    go_on(p, "a part of it");
    go_on(p, "the end");
}

static void write_soon(void)
{
    step_here = 1;
    watched[0] = 1;
    step_here = 2;
}

static void steps(void)
{
    section("steps");
    pid_t p = tracee(write_soon);
    set(p, 0, (unsigned long)&watched[0]);
    set(p, 1, (unsigned long)&step_here);
    SHOW(set(p, 7, WRITE(1, 4)));
    go_on(p, "before");
    SHOW(set(p, 7, WRITE(0, 8) | WRITE(1, 4)));
    for (int hit = 0, i = 0; hit < 2 && i < 1000; i++) {
        ptrace(PTRACE_SINGLESTEP, p, NULL, NULL);
        int st;
        waitpid(p, &st, 0);
        siginfo_t si;
        ptrace(PTRACE_GETSIGINFO, p, NULL, &si);
        if (get(p, 6) & 15) {
            printf("step: code %d DR6 %lx\n", si.si_code, get(p, 6));
            hit++;
        }
    }
    go_on(p, "the end");
}

static void *write_one(void *arg)
{
    watched[(long)arg] = 7;
    return NULL;
}

static void other_thread(void)
{
    pthread_t t;
    pthread_create(&t, NULL, write_one, (void *)0);
    pthread_join(t, NULL);
    if (fork() == 0) {
        write_one((void *)0);
        _exit(0);
    }
    wait(NULL);
    write_one((void *)1);
    write_one((void *)0);
}

/* What is watched is watched in this thread. */
static void others(void)
{
    section("other threads and processes");
    pid_t p = tracee(other_thread);
    set(p, 0, (unsigned long)&watched[0]);
    SHOW(set(p, 7, WRITE(0, 8)));
    write_one((void *)0);
    go_on(p, "SIGCHLD"); /* of the other process */
    ptrace(PTRACE_CONT, p, NULL, SIGCHLD);
    told(p, "a write");
    go_on(p, "the end");
}

static void start_anew(void) { execl("/proc/self/exe", "debugregs", "ends", NULL); }

static void executed(void)
{
    section("a new program");
    pid_t p = tracee(start_anew);
    set(p, 0, (unsigned long)&watched[0]);
    SHOW(set(p, 7, WRITE(0, 8)));
    ptrace(PTRACE_CONT, p, NULL, NULL);
    int st;
    waitpid(p, &st, 0);
    SHOW_TRUE(WIFSTOPPED(st));
    SHOW(get(p, 7));
    SHOW(get(p, 0));
    end(p);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return 0;
    values();
    hits();
    steps();
    others();
    executed();
    return 0;
}
