/* SPDX-License-Identifier: Apache-2.0 */
/* fork, vfork, clone, exec, wait, process groups, orphans, pidfds: what several processes see of each other */
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
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;
static const char *self_path;
static char *shared; /* a page that all see */

static void show_status(const char *what, int st)
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
static void reap(const char *what, pid_t pid)
{
    int st = 0;
    pid_t r = waitpid(pid, &st, 0);
    if (r == pid)
        show_status(what, st);
    else
        show(what, r);
}

static pid_t child_of(void (*fn)(void))
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

static void run(const char *what, void (*fn)(void)) { reap(what, child_of(fn)); }

static void msleep(int ms) { usleep((useconds_t)ms * 1000); }

/* --- statuses ----------------------------------------------------------------- */

static void exit_300(void) { _exit(300); }
static void abort_now(void) { abort(); }
static void kill_me(void) { kill(getpid(), SIGKILL); }
static void touch_null(void) { *(volatile int *)8 = 1; }
static void term_me(void) { raise(SIGTERM); }
static void *thread_exits_process(void *arg)
{
    msleep(20);
    exit(9);
}
static void leader_ends_first(void)
{
    pthread_t t;
    pthread_create(&t, NULL, thread_exits_process, NULL);
    syscall(SYS_exit, 0);
}

static void statuses(void)
{
    section("statuses");
    int st;
    SHOW(waitpid(-1, &st, 0));
    SHOW(waitpid(-1, &st, WNOHANG));
    SHOW(waitpid(1, &st, 0));
    SHOW(waitpid(0, &st, 0));
    SHOW(waitpid(-7777777, &st, 0));
    SHOW(waitpid(INT32_MIN, &st, 0));
    SHOW(wait4(-1, &st, 0x100, NULL));
    run("exit 300", exit_300);
    run("abort", abort_now);
    run("SIGKILL", kill_me);
    run("SIGSEGV", touch_null);
    run("SIGTERM", term_me);
    run("leader ends first", leader_ends_first);
    pid_t pid = child_of(kill_me);
    SHOW_TRUE(wait4(pid, NULL, 0, NULL) == pid);
    SHOW(waitpid(pid, &st, 0));
    pid = child_of(exit_300);
    SHOW(waitpid(pid, (int *)8, 0));
    SHOW(waitpid(pid, &st, 0));
    pid = fork();
    if (pid == 0) {
        msleep(100);
        _exit(3);
    }
    SHOW(waitpid(pid, &st, WNOHANG));
    SHOW(waitpid(pid, &st, __WCLONE));
    SHOW_TRUE(waitpid(pid, &st, __WALL) == pid);
    show_status("after WNOHANG", st);
}

static void show_info(const siginfo_t *i, pid_t pid)
{
    printf("signo %d code %d status %d errno %d, the child's pid %s, uid %d\n", i->si_signo, i->si_code, i->si_status, i->si_errno,
           i->si_pid == pid ? "yes" : "no", (int)i->si_uid);
}

static void waitid_all(void)
{
    section("waitid");
    siginfo_t i;
    struct rusage ru;
    memset(&i, 0x55, sizeof i);
    SHOW(waitid(P_ALL, 0, &i, WEXITED));
    SHOW(waitid(P_ALL, 0, &i, 0));
    SHOW(waitid(P_ALL, 0, &i, WEXITED | 0x100));
    SHOW(waitid(9, 0, &i, WEXITED));
    SHOW(waitid(P_PID, 0, &i, WEXITED));
    SHOW(waitid(P_PIDFD, 1, &i, WEXITED));
    SHOW(waitid(P_PIDFD, 999, &i, WEXITED));
    SHOW(waitid(P_PGID, 7777777, &i, WEXITED));
    pid_t pid = fork();
    if (pid == 0) {
        msleep(60);
        _exit(5);
    }
    memset(&i, 0x55, sizeof i);
    SHOW(waitid(P_PID, (id_t)pid, &i, WEXITED | WNOHANG));
    printf("nothing yet: signo %d pid %d\n", i.si_signo, i.si_pid);
    SHOW(waitid(P_PID, (id_t)pid, &i, WEXITED | WNOWAIT));
    show_info(&i, pid);
    SHOW(waitid(P_PGID, 0, &i, WEXITED | WNOWAIT));
    show_info(&i, pid);
    SHOW(kill(pid, 0));
    SHOW(kill(pid, SIGTERM));
    SHOW(syscall(SYS_waitid, P_ALL, 0, &i, WEXITED, &ru));
    show_info(&i, pid);
    SHOW(waitid(P_PID, (id_t)pid, &i, WEXITED));
    SHOW(kill(pid, 0));
    pid = child_of(kill_me);
    SHOW(waitid(P_ALL, 0, &i, WEXITED));
    show_info(&i, pid);
    pid = child_of(kill_me);
    SHOW(waitid(P_ALL, 0, NULL, WEXITED));
}

/* --- memory ------------------------------------------------------------------- */

static int data = 1;
static int *heap;
static void change_all(void)
{
    int local = 5;
    data = 2;
    *heap = 3;
    shared[0] = 7;
    printf("child has %d %d %d\n", data, *heap, local);
}

static void memory(void)
{
    section("memory");
    heap = malloc(sizeof *heap);
    *heap = 10;
    shared[0] = 0;
    char *wipe = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *gone = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *only = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    wipe[0] = 4;
    SHOW(madvise(wipe, 4096, MADV_WIPEONFORK));
    SHOW(madvise(gone, 4096, MADV_DONTFORK));
    run("change", change_all);
    printf("parent has %d %d, shared %d\n", data, *heap, shared[0]);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        printf("wiped %d, read-only %d\n", wipe[0], only[0]);
        unsigned char vec;
        SHOW(mincore(gone, 4096, &vec));
        SHOW(mprotect(only, 4096, PROT_READ | PROT_WRITE));
        only[0] = 1;
        fflush(stdout);
        _exit(0);
    }
    reap("areas", pid);
    printf("read-only in the parent %d, wiped %d\n", only[0], wipe[0]);
    /* a chain of copies, each written by its own process only */
    size_t n = 64 << 20;
    unsigned char *big = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (size_t i = 0; i < n; i += 4096)
        big[i] = (unsigned char)(i >> 12);
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        for (size_t i = 0; i < n; i += 3 * 4096)
            big[i]++;
        pid = fork();
        if (pid == 0) {
            size_t bad = 0;
            for (size_t i = 0; i < n; i += 4096)
                bad += big[i] != (unsigned char)((i >> 12) + (i / 4096 % 3 == 0));
            printf("grandchild: %zu pages differ\n", bad);
            fflush(stdout);
            memset(big, 1, n / 2);
            _exit(0);
        }
        reap("grandchild", pid);
        _exit(1);
    }
    for (size_t i = 0; i < n; i += 5 * 4096)
        big[i] += 2;
    reap("child", pid);
    size_t bad = 0;
    for (size_t i = 0; i < n; i += 4096)
        bad += big[i] != (unsigned char)((i >> 12) + (i / 4096 % 5 == 0 ? 2 : 0));
    printf("parent: %zu pages differ\n", bad);
    munmap(big, n);
}

/* --- what is inherited ---------------------------------------------------------- */

static volatile int caught;
static void on_signal(int s) { caught = s; }

static void inherited(void)
{
    section("inherited");
    sigset_t set, old, pend;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, &old);
    signal(SIGUSR2, on_signal);
    raise(SIGUSR1);
    struct itimerval it = {{0, 0}, {100, 0}};
    setitimer(ITIMER_REAL, &it, NULL);
    int fd[2];
    SHOW(pipe(fd));
    int file = open("/tmp/drupe-fork-test", O_CREAT | O_RDWR | O_TRUNC, 0600);
    unlink("/tmp/drupe-fork-test");
    write(file, "abcdef", 6);
    lseek(file, 1, SEEK_SET);
    prctl(PR_SET_NAME, "parent-name");
    setpriority(PRIO_PROCESS, 0, 3);
    umask(027);
    fflush(stdout);
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        char name[16], c;
        SHOW_TRUE(getppid() == parent && getpid() != parent);
        SHOW_TRUE(getpid() == (pid_t)syscall(SYS_gettid));
        SHOW_TRUE(getpgrp() == getpgid(parent) && getsid(0) == getsid(parent));
        sigpending(&pend);
        printf("pending %d, blocked ", sigismember(&pend, SIGUSR1));
        sigprocmask(SIG_BLOCK, NULL, &pend);
        printf("%d\n", sigismember(&pend, SIGUSR1));
        raise(SIGUSR2);
        printf("caught %d\n", caught);
        getitimer(ITIMER_REAL, &it);
        printf("timer %d\n", (int)it.it_value.tv_sec);
        prctl(PR_GET_NAME, name);
        printf("name %s nice %d umask %o\n", name, getpriority(PRIO_PROCESS, 0), umask(0));
        read(file, &c, 1);
        printf("read %c\n", c);
        struct tms t;
        times(&t);
        SHOW_TRUE(t.tms_cutime == 0);
        SHOW(close(fd[0]));
        write(fd[1], "x", 1);
        fflush(stdout);
        _exit(0);
    }
    reap("inherited", pid);
    char c;
    read(file, &c, 1);
    printf("the parent reads %c on\n", c);
    close(fd[1]);
    SHOW(read(fd[0], &c, 1));
    SHOW(read(fd[0], &c, 1));
    close(fd[0]);
    close(file);
    it.it_value.tv_sec = 0;
    setitimer(ITIMER_REAL, &it, NULL);
    sigpending(&pend);
    printf("still pending %d\n", sigismember(&pend, SIGUSR1));
    signal(SIGUSR1, SIG_IGN);
    signal(SIGUSR1, SIG_DFL);
    sigprocmask(SIG_SETMASK, &old, NULL);
    signal(SIGUSR2, SIG_DFL);
    setpriority(PRIO_PROCESS, 0, 0);
    umask(022);
}

static void locks(void)
{
    section("locks");
    int file = open("/tmp/drupe-lock-test", O_CREAT | O_RDWR | O_TRUNC, 0600);
    struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 5};
    SHOW(fcntl(file, F_SETLK, &fl));
    SHOW(flock(file, LOCK_EX | LOCK_NB));
    fflush(stdout);
    pid_t parent = getpid(), pid = fork();
    if (pid == 0) {
        struct flock q = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
        SHOW(fcntl(file, F_SETLK, &q));
        SHOW(fcntl(file, F_GETLK, &q));
        printf("held: type %d from %d len %d by the parent: %s\n", q.l_type, (int)q.l_start, (int)q.l_len, q.l_pid == parent ? "yes" : "no");
        SHOW(flock(file, LOCK_EX | LOCK_NB));
        int other = open("/tmp/drupe-lock-test", O_RDWR);
        SHOW(flock(other, LOCK_SH | LOCK_NB));
        q = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = 1};
        SHOW(fcntl(file, F_SETLK, &q));
        shared[1] = 1;
        fflush(stdout);
        msleep(50);
        _exit(0);
    }
    while (!shared[1])
        msleep(1);
    fl.l_start = 100;
    fl.l_len = 1;
    SHOW(fcntl(file, F_SETLK, &fl));
    SHOW(fcntl(file, F_SETLKW, &fl)); /* until the child ends */
    reap("locker", pid);
    shared[1] = 0;
    unlink("/tmp/drupe-lock-test");
    close(file);
}

/* --- SIGCHLD -------------------------------------------------------------------- */

static volatile siginfo_t chld;
static volatile int chld_count;
static void on_chld(int s, siginfo_t *i, void *u)
{
    chld = *i;
    chld_count++;
}

static void sigchld(void)
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

static void wait_forever(void)
{
    for (;;)
        pause();
}

static void groups(void)
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
    SHOW(getpriority(PRIO_PGRP, 0));
    SHOW(getpriority(PRIO_PGRP, 7777777));
}

/* --- orphans --------------------------------------------------------------------------- */

static void orphans(void)
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

/* --- clone -------------------------------------------------------------------------------- */

static int clone_value;
static int clone_fn(void *arg)
{
    clone_value++;
    close(*(int *)arg);
    chdir("/tmp");
    return 5;
}

static pid_t clone_with(int flags, int *fd)
{
    static char stack[65536] __attribute__((aligned(64)));
    return clone(clone_fn, stack + sizeof stack, flags, fd);
}

static volatile sig_atomic_t got_usr1;
static void on_usr1(int sig) { got_usr1 += sig == SIGUSR1; }

/* A directory of /proc serves as a pidfd for signals. */
static void signal_by_directory(void)
{
    char path[40];
    signal(SIGUSR1, on_usr1);
    snprintf(path, sizeof(path), "/proc/%d", getpid());
    int dir = open(path, O_DIRECTORY), other = open("/proc/self/task", O_DIRECTORY), bare = open(path, O_PATH);
    got_usr1 = 0;
    SHOW(syscall(SYS_pidfd_send_signal, dir, SIGUSR1, NULL, 0));
    printf("got %d\n", got_usr1);
    SHOW(syscall(SYS_pidfd_send_signal, other, SIGUSR1, NULL, 0));
    SHOW(syscall(SYS_pidfd_send_signal, bare, SIGUSR1, NULL, 0));
    close(dir);
    close(other);
    close(bare);
    pid_t pid = fork();
    if (pid == 0) {
        pause();
        _exit(1);
    }
    snprintf(path, sizeof(path), "/proc/%d", pid);
    dir = open(path, O_DIRECTORY);
    SHOW(syscall(SYS_pidfd_send_signal, dir, SIGKILL, NULL, 0));
    SHOW_TRUE(waitpid(pid, NULL, 0) == pid);
    SHOW(syscall(SYS_pidfd_send_signal, dir, 0, NULL, 0));
    close(dir);
    signal(SIGUSR1, SIG_DFL);
}

static void clones(void)
{
    section("clone");
    int st, fd;
    char cwd[64];
    chdir("/");
    const struct {
        const char *name;
        int flags;
    } t[] = {{"nothing shared", SIGCHLD}, {"CLONE_VM", CLONE_VM | SIGCHLD}, {"CLONE_FILES", CLONE_FILES | SIGCHLD},
             {"CLONE_FS", CLONE_FS | SIGCHLD}, {"CLONE_VM|VFORK", CLONE_VM | CLONE_VFORK | SIGCHLD},
             {"CLONE_VM|SIGHAND", CLONE_VM | CLONE_SIGHAND | SIGCHLD}, {"CLONE_VFORK", CLONE_VFORK | SIGCHLD}};
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        fd = dup(1);
        clone_value = 0;
        pid_t pid = clone_with(t[i].flags, &fd);
        if (waitpid(pid, &st, 0) == pid)
            show_status(t[i].name, st);
        getcwd(cwd, sizeof cwd);
        printf("%s: value %d, descriptor closed %d, cwd %s\n", t[i].name, clone_value, fcntl(fd, F_GETFD) < 0, cwd);
        chdir("/");
        close(fd);
    }
    fd = dup(1);
    pid_t pid = clone_with(0, &fd); /* no signal at the end: a "clone" child */
    msleep(20);
    SHOW(waitpid(pid, &st, 0));
    SHOW_TRUE(waitpid(pid, &st, __WCLONE) == pid);
    signal(SIGUSR1, on_signal);
    clone_with(SIGUSR1, &fd);
    SHOW_TRUE(waitpid(-1, &st, __WALL) > 0);
    close(fd);
    SHOW(clone_with(CLONE_SIGHAND | SIGCHLD, &fd));
    SHOW(clone_with(CLONE_THREAD | SIGCHLD, &fd));
    SHOW(clone_with(CLONE_THREAD | CLONE_SIGHAND | SIGCHLD, &fd));
    signal(SIGUSR1, SIG_DFL);

    struct clone_args a = {.exit_signal = SIGCHLD};
    int pidfd = -1;
    a.flags = CLONE_PIDFD;
    a.pidfd = (uintptr_t)&pidfd;
    fflush(stdout);
    pid = (pid_t)syscall(SYS_clone3, &a, sizeof a);
    if (pid == 0) {
        msleep(30);
        _exit(12);
    }
    SHOW_TRUE(pid > 0 && pidfd >= 0);
    SHOW(fcntl(pidfd, F_GETFD));
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    SHOW(poll(&p, 1, 0));
    SHOW(poll(&p, 1, -1));
    printf("revents %#x\n", p.revents);
    siginfo_t i;
    SHOW(waitid(P_PIDFD, (id_t)pidfd, &i, WEXITED));
    show_info(&i, pid);
    SHOW(waitid(P_PIDFD, (id_t)pidfd, &i, WEXITED));
    SHOW(poll(&p, 1, 0));
    SHOW(syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0));
    close(pidfd);
    signal_by_directory();
    a.pidfd = 8;
    SHOW(syscall(SYS_clone3, &a, sizeof a));
    a = (struct clone_args){.exit_signal = 65};
    SHOW(syscall(SYS_clone3, &a, sizeof a));
    a = (struct clone_args){.flags = CLONE_PARENT, .exit_signal = SIGCHLD};
    SHOW(syscall(SYS_clone3, &a, sizeof a));
    a = (struct clone_args){.flags = CLONE_SIGHAND | CLONE_VM | 0x100000000ull /* CLEAR_SIGHAND */};
    SHOW(syscall(SYS_clone3, &a, sizeof a));
    signal(SIGUSR2, on_signal);
    signal(SIGUSR1, SIG_IGN);
    a = (struct clone_args){.flags = 0x100000000ull, .exit_signal = SIGCHLD};
    pid = (pid_t)syscall(SYS_clone3, &a, sizeof a);
    if (pid == 0) {
        raise(SIGUSR1);
        raise(SIGUSR2);
        _exit(0);
    }
    reap("CLONE_CLEAR_SIGHAND", pid);
    signal(SIGUSR2, SIG_DFL);
    signal(SIGUSR1, SIG_DFL);
    int tids[2] = {-1, -1};
    fflush(stdout);
    pid = (pid_t)syscall(SYS_clone, SIGCHLD | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID, NULL, &tids[0], &tids[1], 0);
    if (pid == 0)
        _exit(tids[1] == getpid() ? 31 : 32);
    SHOW_TRUE(tids[0] == pid && tids[1] == -1);
    reap("CLONE_CHILD_SETTID", pid);
    /* a brother */
    pid_t here = getpid();
    pid = fork();
    if (pid == 0) {
        pid = (pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, 0);
        if (pid == 0)
            _exit(getppid() == here ? 41 : 42);
        _exit(0);
    }
    reap("the first", pid);
    SHOW_TRUE(wait(&st) > 0);
    show_status("its brother", st);
}

static void vforks(void)
{
    section("vfork");
    static volatile int v;
    int st;
    v = 0;
    fflush(stdout);
    pid_t pid = vfork();
    if (pid == 0) {
        msleep(30);
        v = 1;
        _exit(2);
    }
    printf("after vfork: %d\n", v);
    reap("vfork", pid);
    fflush(stdout);
    pid = vfork();
    if (pid == 0) {
        execl(self_path, self_path, "exit", "17", (char *)NULL);
        _exit(99);
    }
    reap("vfork and exec", pid);
    posix_spawnattr_t attr;
    posix_spawn_file_actions_t fa;
    posix_spawnattr_init(&attr);
    posix_spawn_file_actions_init(&fa);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP);
    posix_spawn_file_actions_addclose(&fa, 0);
    char *av[] = {(char *)self_path, "exit", "18", NULL};
    SHOW(posix_spawn(&pid, self_path, &fa, &attr, av, environ));
    SHOW_TRUE(waitpid(pid, &st, 0) == pid);
    show_status("posix_spawn", st);
    SHOW(posix_spawn(&pid, "/nonexistent", &fa, &attr, av, environ));
    SHOW(wait(&st));
}

/* --- exec --------------------------------------------------------------------------------- */

static void *exec_from_thread(void *arg)
{
    char pid[16];
    snprintf(pid, sizeof pid, "%d", getpid());
    execl(self_path, self_path, "check", pid, (char *)NULL);
    return NULL;
}

static void *sleeper(void *arg)
{
    for (;;)
        pause();
    return NULL;
}

static void thread_execs(void)
{
    pthread_t t;
    for (int i = 0; i < 3; i++)
        pthread_create(&t, NULL, sleeper, NULL);
    pthread_create(&t, NULL, exec_from_thread, NULL);
    pthread_join(t, NULL);
    _exit(77);
}

static void leader_gone_then_exec(void)
{
    pthread_t t;
    pthread_create(&t, NULL, exec_from_thread, NULL);
    syscall(SYS_exit, 0);
}

static void execs(void)
{
    section("exec");
    run("exec by another thread", thread_execs);
    run("exec when the leader has ended", leader_gone_then_exec);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGUSR1, on_signal);
        signal(SIGUSR2, SIG_IGN);
        sigset_t set;
        sigemptyset(&set);
        sigaddset(&set, SIGHUP);
        sigprocmask(SIG_BLOCK, &set, NULL);
        int keep = open("/dev/null", O_RDONLY), drop = open("/dev/null", O_RDONLY | O_CLOEXEC);
        char k[16], d[16];
        snprintf(k, sizeof k, "%d", keep);
        snprintf(d, sizeof d, "%d", drop);
        execl(self_path, self_path, "inherit", k, d, (char *)NULL);
        _exit(99);
    }
    reap("inherit", pid);
    int fd = open("/tmp/drupe-script", O_CREAT | O_WRONLY | O_TRUNC, 0700);
    dprintf(fd, "#!%s script arg\n", self_path);
    close(fd);
    pid = fork();
    if (pid == 0) {
        execl("/tmp/drupe-script", "zero", "one", (char *)NULL);
        _exit(99);
    }
    reap("script", pid);
    SHOW(open("/tmp/drupe-script", O_WRONLY | O_CLOEXEC) >= 0);
    unlink("/tmp/drupe-script");
    SHOW(execl("/nonexistent", "x", (char *)NULL));
    SHOW(execl("/tmp", "x", (char *)NULL));
    fd = open("/tmp/drupe-text", O_CREAT | O_WRONLY | O_TRUNC, 0700);
    write(fd, "text\n", 5);
    SHOW(execl("/tmp/drupe-text", "x", (char *)NULL));
    close(fd);
    char *none[] = {NULL};
    SHOW(execve("/tmp/drupe-text", none, none));
    unlink("/tmp/drupe-text");
}

static void check_thread_count(void)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[200];
    while (f != NULL && fgets(line, sizeof line, f))
        if (strncmp(line, "Threads:", 8) == 0)
            fputs(line, stdout);
    if (f != NULL)
        fclose(f);
}

/* --- pidfds, limits, others' memory ----------------------------------------------------------- */

static void pidfds(void)
{
    section("pidfd");
    pid_t pid = child_of(wait_forever);
    int fd = (int)syscall(SYS_pidfd_open, pid, 0), st;
    SHOW_TRUE(fd >= 0);
    SHOW(fcntl(fd, F_GETFD));
    SHOW(syscall(SYS_pidfd_open, -1, 0));
    SHOW(syscall(SYS_pidfd_open, 0, 0));
    SHOW(syscall(SYS_pidfd_open, 7777777, 0));
    SHOW(syscall(SYS_pidfd_open, pid, 1));
    SHOW(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
    SHOW(syscall(SYS_pidfd_send_signal, fd, 77, NULL, 0));
    SHOW(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0x100));
    SHOW(syscall(SYS_pidfd_send_signal, 1, 0, NULL, 0));
    SHOW(syscall(SYS_pidfd_getfd, fd, 999, 0));
    int got = (int)syscall(SYS_pidfd_getfd, fd, 1, 0);
    SHOW_TRUE(got >= 0);
    close(got);
    char c;
    SHOW(read(fd, &c, 1));
    SHOW(write(fd, &c, 1));
    SHOW(syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0));
    SHOW_TRUE(waitpid(pid, &st, 0) == pid);
    show_status("by pidfd", st);
    SHOW(syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0));
    struct pollfd p = {.fd = fd, .events = POLLIN};
    SHOW(poll(&p, 1, 0));
    close(fd);
}

static void others(void)
{
    section("others");
    pid_t pid = child_of(wait_forever);
    struct rlimit64 { uint64_t soft, hard; } l = {100, 200}, old;
    SHOW(syscall(SYS_prlimit64, pid, RLIMIT_NOFILE, &l, &old));
    SHOW(syscall(SYS_prlimit64, pid, RLIMIT_NOFILE, NULL, &old));
    printf("limits %d %d\n", (int)old.soft, (int)old.hard);
    SHOW(syscall(SYS_prlimit64, 7777777, RLIMIT_NOFILE, NULL, &old));
    char path[64], text[256];
    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY), ppid = 0, pgrp = 0;
    ssize_t n;
    char state = '?';
    while (state != 'S') {
        n = pread(fd, text, sizeof text - 1, 0);
        text[n > 0 ? n : 0] = 0;
        sscanf(strchr(text, ')') + 2, "%c %d %d", &state, &ppid, &pgrp);
    }
    printf("state %c, parent %s, group %s\n", state, ppid == getpid() ? "yes" : "no", pgrp == getpgrp() ? "yes" : "no");
    kill(pid, SIGKILL);
    siginfo_t i;
    waitid(P_PID, (id_t)pid, &i, WEXITED | WNOWAIT);
    n = pread(fd, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = 0;
    sscanf(strchr(text, ')') + 2, "%c %d", &state, &ppid);
    printf("state %c\n", state);
    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    SHOW(readlink(path, text, sizeof text));
    snprintf(path, sizeof path, "/proc/%d/cmdline", pid);
    int cl = open(path, O_RDONLY);
    SHOW(read(cl, text, sizeof text));
    close(cl);
    reap("looked at", pid);
    SHOW(pread(fd, text, sizeof text, 0));
    close(fd);
    SHOW(access(path, F_OK));
    static volatile int word = 5;
    pid = fork();
    if (pid == 0) {
        word = 6;
        shared[3] = 1;
        while (word == 6)
            msleep(1);
        _exit(word);
    }
    while (!shared[3])
        msleep(1);
    int mine = 0;
    struct iovec { void *base; size_t len; } lv = {&mine, sizeof mine}, rv = {(void *)&word, sizeof word};
    SHOW(syscall(SYS_process_vm_readv, pid, &lv, 1, &rv, 1, 0));
    printf("its word %d, ours %d\n", mine, word);
    mine = 44;
    SHOW(syscall(SYS_process_vm_writev, pid, &lv, 1, &rv, 1, 0));
    reap("written to", pid);
    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        setresgid(4321, 4321, 4321);
        setresuid(4321, 4321, 4321);
        SHOW(kill(getppid(), 0));
        SHOW(syscall(SYS_prlimit64, getppid(), RLIMIT_NOFILE, NULL, &old));
        SHOW(syscall(SYS_process_vm_readv, getppid(), &lv, 1, &rv, 1, 0));
        struct rlimit r = {1, 1};
        SHOW(setrlimit(RLIMIT_NPROC, &r));
        SHOW(fork());
        fflush(stdout);
        _exit(0);
    }
    reap("another user", pid);
}

/* --- synchronisation between processes ------------------------------------------------------------ */

static void together(void)
{
    section("together");
    struct {
        pthread_mutex_t m;
        pthread_cond_t c;
        int n;
    } *s = (void *)(shared + 1024);
    pthread_mutexattr_t ma;
    pthread_condattr_t ca;
    pthread_mutexattr_init(&ma);
    pthread_condattr_init(&ca);
    pthread_mutexattr_setpshared(&ma, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&ma, PTHREAD_MUTEX_ROBUST);
    pthread_condattr_setpshared(&ca, PTHREAD_PROCESS_SHARED);
    pthread_mutex_init(&s->m, &ma);
    pthread_cond_init(&s->c, &ca);
    s->n = 0;
    pid_t pid[4];
    for (int i = 0; i < 4; i++) {
        pid[i] = fork();
        if (pid[i] == 0) {
            for (int k = 0; k < 500; k++) {
                pthread_mutex_lock(&s->m);
                int v = s->n;
                if (k % 50 == 0)
                    sched_yield();
                s->n = v + 1;
                pthread_cond_signal(&s->c);
                pthread_mutex_unlock(&s->m);
            }
            _exit(0);
        }
    }
    pthread_mutex_lock(&s->m);
    while (s->n < 2000)
        pthread_cond_wait(&s->c, &s->m);
    pthread_mutex_unlock(&s->m);
    for (int i = 0; i < 4; i++)
        waitpid(pid[i], NULL, 0);
    printf("counted %d\n", s->n);
    pid[0] = fork();
    if (pid[0] == 0) {
        pthread_mutex_lock(&s->m);
        raise(SIGKILL);
    }
    reap("the owner", pid[0]);
    SHOW_TRUE(pthread_mutex_lock(&s->m) == EOWNERDEAD);
    SHOW(pthread_mutex_consistent(&s->m));
    SHOW(pthread_mutex_unlock(&s->m));
    int fd[2];
    pipe(fd);
    pid[0] = fork();
    if (pid[0] == 0) {
        close(fd[0]);
        signal(SIGPIPE, SIG_DFL);
        for (;;)
            write(fd[1], "x", 1);
    }
    char c;
    close(fd[1]);
    SHOW(read(fd[0], &c, 1));
    close(fd[0]);
    reap("writer without a reader", pid[0]);
}

static void usage(void)
{
    section("usage");
    struct rusage ru;
    struct tms t;
    pid_t pid = fork();
    if (pid == 0) {
        volatile char *p = mmap(NULL, 8 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        for (size_t i = 0; i < 8 << 20; i += 4096)
            p[i] = 1;
        clock_t end = clock() + CLOCKS_PER_SEC / 10;
        while (clock() < end)
            ;
        _exit(0);
    }
    SHOW_TRUE(wait4(pid, NULL, 0, &ru) == pid);
    SHOW_TRUE(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec + 1000000 * (ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) >= 90000);
    SHOW_TRUE(ru.ru_maxrss >= 8192);
    SHOW_TRUE(ru.ru_minflt > 0);
    SHOW(getrusage(RUSAGE_CHILDREN, &ru));
    SHOW_TRUE(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec + 1000000 * (ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) >= 90000);
    SHOW_TRUE(times(&t) != (clock_t)-1 && t.tms_cutime + t.tms_cstime >= 9);
    clockid_t clock_id;
    pid = child_of(wait_forever);
    struct timespec ts;
    SHOW(clock_getcpuclockid(pid, &clock_id));
    SHOW(clock_gettime(clock_id, &ts));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    SHOW(clock_getcpuclockid(pid, &clock_id));
}

/* Many at once, and that everything is given back: numbers are not printed. */
static void many(void)
{
    section("many");
    int ok = 0;
    for (int round = 0; round < 10; round++) {
        pid_t pid[30];
        for (int i = 0; i < 30; i++) {
            pid[i] = fork();
            if (pid[i] == 0) {
                if (i % 3 == 0)
                    pause();
                _exit(i);
            }
        }
        for (int i = 0; i < 30; i += 3)
            kill(pid[i], SIGKILL);
        for (int i = 0; i < 30; i++) {
            int st = 0;
            waitpid(pid[i], &st, 0);
            ok += i % 3 == 0 ? WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL : WIFEXITED(st) && WEXITSTATUS(st) == i;
        }
    }
    printf("%d of 300 ended as they should\n", ok);
}

static int as_child(int argc, char **argv)
{
    if (strcmp(argv[1], "wait") == 0)
        wait_forever();
    if (strcmp(argv[1], "exit") == 0)
        return atoi(argv[2]);
    if (strcmp(argv[1], "check") == 0) {
        check_thread_count();
        SHOW_TRUE(getpid() == atoi(argv[2]) && getpid() == (pid_t)syscall(SYS_gettid));
        return 0;
    }
    if (strcmp(argv[1], "inherit") == 0) {
        struct sigaction a, b;
        sigset_t set;
        sigaction(SIGUSR1, NULL, &a);
        sigaction(SIGUSR2, NULL, &b);
        sigprocmask(SIG_BLOCK, NULL, &set);
        printf("caught is default %d, ignored is ignored %d, blocked %d\n", a.sa_handler == SIG_DFL, b.sa_handler == SIG_IGN,
               sigismember(&set, SIGHUP));
        SHOW(fcntl(atoi(argv[2]), F_GETFD));
        SHOW(fcntl(atoi(argv[3]), F_GETFD));
        return 0;
    }
    for (int i = 1; i < argc; i++) /* script */
        printf("argument %d: %s\n", i, argv[i]);
    return 0;
}

int main(int argc, char **argv)
{
    static char path[512];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    path[n > 0 ? n : 0] = 0;
    self_path = path;
    if (argc > 1)
        return as_child(argc, argv);
    shared = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    signal(SIGCHLD, SIG_DFL);
    statuses();
    waitid_all();
    memory();
    inherited();
    locks();
    sigchld();
    groups();
    orphans();
    clones();
    vforks();
    execs();
    pidfds();
    others();
    together();
    usage();
    many();
    return 0;
}
