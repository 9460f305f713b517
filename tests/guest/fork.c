/* SPDX-License-Identifier: Apache-2.0 */
/* fork, vfork, clone, exec, wait, process groups, orphans, pidfds: what several processes see of each other */
#include "fork.h"
#include <sys/auxv.h>

const char *self_path;
char *shared;

/* --- statuses ----------------------------------------------------------------- */

static void abort_now(void) { abort(); }
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

/* Ends a little after the parent has set shared[5], which is already waiting then, as a rule. */
static void end_when_told(int status)
{
    while (!((volatile char *)shared)[5])
        msleep(1);
    shared[5] = 0;
    msleep(20);
    _exit(status);
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
    if (pid == 0)
        end_when_told(3);
    SHOW(waitpid(pid, &st, WNOHANG));
    SHOW(waitpid(pid, &st, __WCLONE));
    shared[5] = 1;
    SHOW_TRUE(waitpid(pid, &st, __WALL) == pid);
    show_status("after WNOHANG", st);
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
    if (pid == 0)
        end_when_told(5);
    memset(&i, 0x55, sizeof i);
    SHOW(waitid(P_PID, (id_t)pid, &i, WEXITED | WNOHANG));
    printf("nothing yet: signo %d pid %d\n", i.si_signo, i.si_pid);
    shared[5] = 1;
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
        fflush(stdout);
        shared[1] = 1;
        end_when_told(0);
    }
    while (!((volatile char *)shared)[1])
        msleep(1);
    fl.l_start = 100;
    fl.l_len = 1;
    SHOW(fcntl(file, F_SETLK, &fl));
    shared[5] = 1;
    SHOW(fcntl(file, F_SETLKW, &fl)); /* until the child ends */
    reap("locker", pid);
    shared[1] = 0;
    unlink("/tmp/drupe-lock-test");
    close(file);
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
    for (int flags = 1; flags <= 8; flags++)
        SHOW(syscall(SYS_pidfd_send_signal, fd, 0, NULL, flags));
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

#define SHARE_LEN (1ul << 20)

/* What /proc/self/smaps says of the area that begins at p. */
static void show_shares(const char *when, const void *p)
{
    static const char *const wanted[] = {"Rss:", "Pss:", "Shared_Clean:", "Shared_Dirty:", "Private_Clean:", "Private_Dirty:", "Anonymous:"};
    char line[512], start[32];
    snprintf(start, sizeof start, "%08lx-", (unsigned long)p);
    bool here = false;
    FILE *f = fopen("/proc/self/smaps", "r");
    printf("%s:", when);
    while (fgets(line, sizeof line, f) != NULL) {
        unsigned long low, high;
        if (sscanf(line, "%lx-%lx ", &low, &high) == 2)
            here = strncmp(line, start, strlen(start)) == 0;
        for (size_t i = 0; here && i < sizeof wanted / sizeof *wanted; i++)
            if (strncmp(line, wanted[i], strlen(wanted[i])) == 0)
                printf(" %s %lu", wanted[i], strtoul(line + strlen(wanted[i]), NULL, 10));
    }
    printf("\n");
    fclose(f);
}

/* Pages that parent and child have both. */
static void shares(void)
{
    section("smaps");
    char *room = mmap(NULL, 3 * SHARE_LEN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *p = room + SHARE_LEN, c;
    int fd = memfd_create("shared", 0), up[2], down[2];
    ftruncate(fd, SHARE_LEN);
    char *s = mmap(NULL, SHARE_LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    mprotect(p, SHARE_LEN, PROT_READ | PROT_WRITE);
    madvise(p, SHARE_LEN, MADV_NOHUGEPAGE);
    show_shares("nothing", p);
    memset(p, 1, SHARE_LEN);
    memset(s, 1, SHARE_LEN);
    show_shares("private", p);
    show_shares("of a file", s);
    pipe(up);
    pipe(down);
    pid_t pid = fork();
    if (pid == 0) {
        memset(p, 2, SHARE_LEN / 4);
        memset(s, 2, SHARE_LEN);
        write(up[1], "x", 1);
        read(down[0], &c, 1);
        _exit(0);
    }
    read(up[0], &c, 1);
    show_shares("private, a quarter written by a child", p);
    show_shares("of a file, a child's, too", s);
    write(down[1], "x", 1);
    waitpid(pid, NULL, 0);
    show_shares("private, again", p);
    show_shares("of a file, again", s);
    munmap(s, SHARE_LEN);
    munmap(room, 3 * SHARE_LEN);
    int pipes[] = {fd, up[0], up[1], down[0], down[1]};
    for (int i = 0; i < 5; i++)
        close(pipes[i]);
}

#define LEVEL_CLOCKS (CLOCKS_PER_SEC / 20)

static void in_program(void)
{
    for (clock_t end = clock() + LEVEL_CLOCKS; clock() < end;)
        for (volatile int i = 0; i < 1000000; i++)
            ;
}

static void in_calls(void)
{
    int fd = open("/dev/zero", O_RDONLY);
    static char to[1 << 20];
    for (clock_t end = clock() + LEVEL_CLOCKS; clock() < end;)
        read(fd, to, sizeof to);
    close(fd);
}

static void in_faults(void)
{
    for (clock_t end = clock() + LEVEL_CLOCKS; clock() < end;) {
        volatile char *p = mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        for (size_t i = 0; i < 4 << 20; i += 4096)
            p[i] = 1;
        munmap((void *)p, 4 << 20);
    }
}

static long microseconds(struct timeval t) { return 1000000 * t.tv_sec + t.tv_usec; }

/* Has the user, the system or the idle time of a CPU, or of all, gone back since the last look? */
static bool cpus_back(void)
{
    static unsigned long old[64][3];
    bool back = false;
    char line[256];
    FILE *f = fopen("/proc/stat", "r");
    for (int i = 0; i < 64 && fgets(line, sizeof line, f) != NULL && strncmp(line, "cpu", 3) == 0; i++) {
        unsigned long now[3];
        sscanf(line, "%*s %lu %*u %lu %lu", &now[0], &now[1], &now[2]);
        for (int k = 0; k < 3; k++) {
            back |= now[k] < old[i][k];
            old[i][k] = now[k];
        }
    }
    fclose(f);
    return back;
}

/* Where a child spends its time; and what was told never goes back. */
static void levels(void)
{
    section("user and system time");
    static const struct { const char *name; void (*run)(void); } ways[] = {{"program", in_program}, {"calls", in_calls}, {"faults", in_faults}};
    struct tms before, after;
    times(&before);
    for (int i = 0; i < 3; i++) {
        struct rusage ru;
        pid_t pid = fork();
        if (pid == 0) {
            struct rusage old = {0};
            bool back = false;
            for (int part = 0; part < 4; part++) {
                ways[i].run();
                getrusage(RUSAGE_SELF, &ru);
                back |= microseconds(ru.ru_utime) < microseconds(old.ru_utime) || microseconds(ru.ru_stime) < microseconds(old.ru_stime);
                old = ru;
            }
            _exit(back);
        }
        int st;
        wait4(pid, &st, 0, &ru);
        printf("%s: %x, more system than user time: %d\n", ways[i].name, st, microseconds(ru.ru_stime) > microseconds(ru.ru_utime));
    }
    bool back = false;
    for (clock_t end = clock() + LEVEL_CLOCKS; clock() < end;)
        back |= cpus_back();
    SHOW(back);
    times(&after);
    SHOW_TRUE(after.tms_cutime - before.tms_cutime >= 15 && after.tms_cstime - before.tms_cstime >= 15);
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

/* Descriptors differ from one place to another. */
static void show_name(const char *s)
{
    static const char below[] = "/dev/fd/";
    if (strncmp(s, below, sizeof below - 1) == 0)
        printf(" %s*%s", below, s + sizeof below - 1 + strspn(s + sizeof below - 1, "0123456789"));
    else
        printf(" %s", s);
}

static int as_child(int argc, char **argv)
{
    if (strcmp(argv[1], "wait") == 0)
        wait_forever();
    if (strcmp(argv[1], "exit") == 0)
        return atoi(argv[2]);
    if (strcmp(argv[1], "execfn") == 0) {
        for (int i = 1; i < argc; i++)
            show_name(argv[i]);
        show_name((const char *)getauxval(AT_EXECFN));
        printf("\n");
        return 0;
    }
    if (strcmp(argv[1], "places") == 0) {
        printf("%p %p %p %p %lx\n", (void *)as_child, (void *)&argc, (void *)sbrk(0), mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
               getauxval(AT_SYSINFO_EHDR));
        return 0;
    }
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
    shares();
    levels();
    usage();
    many();
    return 0;
}
