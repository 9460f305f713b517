/* SPDX-License-Identifier: Apache-2.0 */
/* clone, vfork and exec: a part of fork.c. */
#include "fork.h"

extern char **environ;

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

void clones(void)
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
        while (!*(volatile char *)&shared[4])
            msleep(1);
        _exit(12);
    }
    SHOW_TRUE(pid > 0 && pidfd >= 0);
    SHOW(fcntl(pidfd, F_GETFD));
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    SHOW(poll(&p, 1, 0));
    shared[4] = 1;
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

void vforks(void)
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

/* Programs found by a descriptor: files without a name, and below a directory. */
static void show_exec(int dir, const char *name, int flags)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        syscall(SYS_execveat, dir, name, (char *[]){"zero", "execfn", NULL}, environ, flags);
        printf("%s %#x: %s\n", name, flags, strerrorname_np(errno));
        fflush(stdout);
        _exit(0);
    }
    reap(name, pid);
}

static int memfd_of(const char *path)
{
    char buf[65536];
    ssize_t n;
    int fd = memfd_create("program", 0), from = open(path, O_RDONLY);
    while ((n = read(from, buf, sizeof buf)) > 0)
        write(fd, buf, (size_t)n);
    close(from);
    return fd;
}

static void by_descriptor(void)
{
    int program = memfd_of(self_path), script = memfd_create("script", 0), tmp = open("/tmp", O_RDONLY | O_DIRECTORY), p[2];
    dprintf(script, "#!%s execfn\n", self_path);
    symlink(self_path, "/tmp/drupe-exec-link");
    show_exec(program, "", AT_EMPTY_PATH);
    show_exec(script, "", AT_EMPTY_PATH);
    show_exec(program, "", 0);
    show_exec(program, "below", 0);
    show_exec(tmp, "drupe-exec-link", 0);
    show_exec(tmp, "drupe-exec-link", AT_SYMLINK_NOFOLLOW);
    show_exec(tmp, "", AT_EMPTY_PATH);
    pipe(p);
    show_exec(p[0], "", AT_EMPTY_PATH);
    SHOW(fcntl(program, F_SETFD, FD_CLOEXEC)); /* nobody opens it any more; a script's interpreter would */
    show_exec(program, "", AT_EMPTY_PATH);
    SHOW(fcntl(script, F_SETFD, FD_CLOEXEC));
    show_exec(script, "", AT_EMPTY_PATH);
    close(program);
    close(script);
    close(tmp);
    close(p[0]);
    close(p[1]);
    unlink("/tmp/drupe-exec-link");
}

/* Where exec puts things, as a new program tells it (fork.c's "places"). */
static void places(char *buf, int size, unsigned long persona)
{
    int p[2];
    pipe(p);
    pid_t pid = fork();
    if (pid == 0) {
        personality(persona);
        dup2(p[1], 1);
        execl(self_path, self_path, "places", (char *)NULL);
        _exit(99);
    }
    close(p[1]);
    for (ssize_t n; size > 1 && (n = read(p[0], buf, (size_t)size - 1)) > 0; buf += n, size -= (int)n)
        ;
    *buf = 0;
    close(p[0]);
    waitpid(pid, NULL, 0);
}

static void place_by_personality(void)
{
    static char text[2][500];
    for (int fixed = 0; fixed < 2; fixed++) {
        for (int i = 0; i < 2; i++)
            places(text[i], sizeof text[i], fixed ? ADDR_NO_RANDOMIZE : 0);
        printf("without chance %d: %s, %s\n", fixed, text[0][0] != 0 ? "told" : "not told", strcmp(text[0], text[1]) == 0 ? "the same" : "different");
    }
}

void execs(void)
{
    section("exec");
    run("exec by another thread", thread_execs);
    run("exec when the leader has ended", leader_gone_then_exec);
    run("exec by a descriptor", by_descriptor);
    place_by_personality();
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
