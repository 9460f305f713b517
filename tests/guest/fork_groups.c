/* SPDX-License-Identifier: Apache-2.0 */
/* SIGCHLD, process groups, sessions and orphans: a part of fork.c. */
#include "fork.h"

/* --- SIGCHLD -------------------------------------------------------------------- */

static volatile siginfo_t chld;
static volatile int chld_count;
static void on_chld(int s, siginfo_t *i, void *u)
{
    chld = *i;
    chld_count++;
}

void sigchld(void)
{
    section("SIGCHLD");
    struct sigaction sa = {.sa_sigaction = on_chld, .sa_flags = SA_SIGINFO | SA_RESTART};
    siginfo_t i;
    sigaction(SIGCHLD, &sa, NULL);
    pid_t pid = child_of(exit_300);
    while (chld_count == 0)
        msleep(1);
    i = chld;
    show_info(&i, pid);
    reap("child", pid);
    pid = fork();
    if (pid == 0) {
        for (;;)
            pause();
    }
    SHOW(kill(pid, SIGSTOP));
    int st;
    while (chld_count < 2) /* Linux fills in the signal's status from what a wait takes away */
        msleep(1);
    SHOW_TRUE(waitpid(pid, &st, WUNTRACED) == pid);
    show_status("stop", st);
    i = chld;
    show_info(&i, pid);
    SHOW(waitpid(pid, &st, WUNTRACED | WNOHANG));
    SHOW(kill(pid, SIGCONT));
    SHOW_TRUE(waitpid(pid, &st, WCONTINUED) == pid);
    show_status("continue", st);
    while (chld_count < 3)
        msleep(1);
    i = chld;
    show_info(&i, pid);
    SHOW(waitpid(pid, &st, WCONTINUED | WNOHANG));
    SHOW(setpgid(pid, pid)); /* a group whose leader's parent is in the session: it may stop */
    SHOW(kill(pid, SIGTSTP));
    SHOW(waitid(P_PID, (id_t)pid, &i, WSTOPPED | WNOWAIT));
    show_info(&i, pid);
    SHOW(waitid(P_PID, (id_t)pid, &i, WSTOPPED));
    SHOW(kill(pid, SIGTERM)); /* not before it goes on */
    SHOW(waitpid(pid, &st, WNOHANG));
    SHOW(kill(pid, SIGCONT));
    reap("stopped and terminated", pid);
    pid = fork();
    if (pid == 0) {
        raise(SIGSTOP);
        _exit(4);
    }
    SHOW_TRUE(waitpid(pid, &st, WUNTRACED) == pid);
    SHOW(kill(pid, SIGKILL));
    reap("stopped and killed", pid);

    sa.sa_flags |= SA_NOCLDSTOP;
    sigaction(SIGCHLD, &sa, NULL);
    pid = fork();
    if (pid == 0) {
        raise(SIGSTOP);
        _exit(4);
    }
    chld_count = 0;
    SHOW_TRUE(waitpid(pid, &st, WUNTRACED) == pid);
    printf("SA_NOCLDSTOP: %d signals\n", chld_count);
    kill(pid, SIGCONT);
    reap("child", pid);
    while (chld_count == 0)
        msleep(1);
    printf("and %d for the end\n", chld_count);

    sa.sa_flags = SA_SIGINFO | SA_NOCLDWAIT | SA_RESTART;
    sigaction(SIGCHLD, &sa, NULL);
    chld_count = 0;
    pid = child_of(exit_300);
    SHOW(waitpid(pid, &st, 0));
    while (chld_count == 0)
        msleep(1);
    printf("SA_NOCLDWAIT: %d signals\n", chld_count);
    signal(SIGCHLD, SIG_IGN);
    chld_count = 0;
    pid = child_of(exit_300);
    SHOW(waitpid(pid, &st, 0));
    signal(SIGCHLD, SIG_DFL);

    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    pid = child_of(kill_me);
    SHOW(sigwaitinfo(&set, &i));
    show_info(&i, pid);
    reap("child", pid);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

/* --- groups and sessions ----------------------------------------------------------- */

void groups(void)
{
    section("groups");
    int st;
    pid_t a = child_of(wait_forever), b = child_of(wait_forever);
    SHOW(setpgid(a, a));
    SHOW(setpgid(b, a));
    SHOW_TRUE(getpgid(a) == a && getpgid(b) == a);
    SHOW(setpgid(a, 7777777));
    SHOW(setpgid(7777777, 0));
    SHOW(setpgid(-1, 5));
    SHOW(setpgid(a, -1));
    SHOW(getpgid(-1));
    SHOW(getpgid(7777777));
    SHOW(getsid(7777777));
    SHOW(kill(-a, SIGTERM));
    SHOW_TRUE(waitpid(-a, &st, 0) > 0);
    show_status("one of the group", st);
    SHOW_TRUE(waitpid(-a, &st, 0) > 0);
    SHOW(waitpid(-a, &st, 0));
    SHOW(kill(-a, 0));
    /* the group outlives its leader */
    int fd[2];
    char c;
    pipe(fd);
    a = child_of(wait_forever);
    setpgid(a, a);
    b = fork();
    if (b == 0) {
        setpgid(0, a);
        write(fd[1], "x", 1);
        wait_forever();
    }
    read(fd[0], &c, 1);
    kill(a, SIGKILL);
    reap("the group's leader", a);
    SHOW_TRUE(getpgid(b) == a);
    SHOW(kill(-a, 0));
    SHOW(kill(a, 0));
    SHOW(kill(-a, SIGKILL));
    reap("its member", b);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        SHOW_TRUE(setsid() == getpid());
        SHOW_TRUE(getsid(0) == getpid() && getpgrp() == getpid());
        SHOW(setsid());
        SHOW(setpgid(0, 0));
        SHOW(setpgid(0, getppid()));
        SHOW(open("/dev/tty", O_RDWR));
        pid_t k = fork();
        if (k == 0)
            wait_forever();
        SHOW_TRUE(getsid(k) == getpid());
        SHOW(setpgid(k, k));
        SHOW_TRUE(getpgid(k) == k);
        kill(k, SIGTERM);
        reap("in the session", k);
        fflush(stdout);
        _exit(0);
    }
    reap("session", pid);
    pid = fork();
    if (pid == 0) {
        setsid();
        write(fd[1], "x", 1);
        wait_forever();
    }
    read(fd[0], &c, 1);
    SHOW(setpgid(pid, 0)); /* another session */
    kill(pid, SIGKILL);
    reap("other session", pid);
    int p2[2];
    pipe(p2);
    pid = fork();
    if (pid == 0) {
        fcntl(p2[1], F_SETFD, FD_CLOEXEC);
        close(p2[0]);
        execl(self_path, self_path, "wait", (char *)NULL);
        _exit(99);
    }
    close(p2[1]);
    SHOW(read(p2[0], &c, 1)); /* end of file: it has executed */
    SHOW(setpgid(pid, 0));
    kill(pid, SIGKILL);
    reap("executed", pid);
    close(p2[0]);
    close(fd[0]);
    close(fd[1]);
    SHOW(getpriority(PRIO_PGRP, 0) - getpriority(PRIO_PROCESS, 0));
    SHOW(getpriority(PRIO_PGRP, 7777777));
}

/* --- orphans --------------------------------------------------------------------------- */

void orphans(void)
{
    section("orphans");
    int fd[2], st;
    char c;
    SHOW(prctl(PR_SET_CHILD_SUBREAPER, 1));
    pipe(fd);
    fflush(stdout);
    pid_t here = getpid(), pid = fork();
    if (pid == 0) {
        pid_t parent = getpid();
        if (fork() == 0) {
            close(fd[1]);
            while (getppid() == parent)
                msleep(1);
            _exit(getppid() == here ? 21 : 22);
        }
        _exit(1);
    }
    reap("parent of the orphan", pid);
    SHOW_TRUE(wait(&st) > 0);
    show_status("orphan", st);
    close(fd[1]);
    SHOW(read(fd[0], &c, 1));
    close(fd[0]);
    /* an orphan that is a zombie already */
    pid = fork();
    if (pid == 0) {
        pid_t k = fork();
        if (k == 0)
            _exit(23);
        siginfo_t i;
        waitid(P_PID, (id_t)k, &i, WEXITED | WNOWAIT);
        _exit(2);
    }
    reap("parent of the zombie", pid);
    SHOW_TRUE(wait(&st) > 0);
    show_status("inherited zombie", st);
    SHOW(wait(&st));
    /* the parent-death signal */
    pid = fork();
    if (pid == 0) {
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGUSR1);
            shared[2] = 1;
            wait_forever();
        }
        while (!shared[2])
            msleep(1);
        _exit(0);
    }
    reap("parent", pid);
    SHOW_TRUE(wait(&st) > 0);
    show_status("parent-death signal", st);
    signal(SIGHUP, SIG_DFL); /* who runs this by nohup */
    /* a stopped job that nobody can continue is woken */
    pid = fork();
    if (pid == 0) {
        setsid();
        pid_t k = fork();
        if (k == 0) {
            setpgid(0, 0);
            raise(SIGSTOP);
            _exit(0);
        }
        waitpid(k, &st, WUNTRACED);
        _exit(WIFSTOPPED(st) ? 6 : 7);
    }
    reap("its parent", pid);
    SHOW_TRUE(wait(&st) > 0);
    show_status("orphaned stopped job", st);
    /* SIGTSTP does not stop an orphaned group */
    pid = fork();
    if (pid == 0) {
        setsid();
        raise(SIGTSTP);
        _exit(8);
    }
    reap("SIGTSTP in an orphaned group", pid);
    SHOW(prctl(PR_SET_CHILD_SUBREAPER, 0));
}
