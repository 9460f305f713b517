/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of fork.c share. */
#ifndef TESTS_GUEST_FORK_H
#define TESTS_GUEST_FORK_H

#include "t.h"
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <time.h>

extern const char *self_path;
extern char *shared; /* a page that all see */

void sigchld(void), groups(void), orphans(void); /* fork_groups.c */
void clones(void), vforks(void), execs(void);    /* fork_exec.c */

static inline void show_status(const char *what, int st)
{
    if (WIFEXITED(st))
        printf("%s: exited %d\n", what, WEXITSTATUS(st));
    else if (WIFSIGNALED(st))
        printf("%s: killed by %d\n", what, WTERMSIG(st));
    else if (WIFSTOPPED(st))
        printf("%s: stopped by %d\n", what, WSTOPSIG(st));
    else if (WIFCONTINUED(st))
        printf("%s: continued\n", what);
    else
        printf("%s: status %#x\n", what, (unsigned)st);
    fflush(stdout);
}

/* Wait for one child and show how it ended. */
static inline void reap(const char *what, pid_t pid)
{
    int st = 0;
    pid_t r = waitpid(pid, &st, 0);
    if (r == pid)
        show_status(what, st);
    else
        show(what, r);
}

static inline pid_t child_of(void (*fn)(void))
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        fn();
        fflush(stdout);
        _exit(0);
    }
    return pid;
}

static inline void run(const char *what, void (*fn)(void)) { reap(what, child_of(fn)); }

static inline void msleep(int ms) { usleep((useconds_t)ms * 1000); }

static inline void exit_300(void) { _exit(300); }
static inline void kill_me(void) { kill(getpid(), SIGKILL); }

static inline void wait_forever(void)
{
    for (;;)
        pause();
}

static inline void show_info(const siginfo_t *i, pid_t pid)
{
    printf("signo %d code %d status %d errno %d, the child's pid %s, uid %d\n", i->si_signo, i->si_code, i->si_status, i->si_errno,
           i->si_pid == pid ? "yes" : "no", (int)i->si_uid);
}

static volatile int caught;
static inline void on_signal(int s) { caught = s; }

#endif
