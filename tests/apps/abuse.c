/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that take all there is of something, and programs that are killed in the middle: abuse HOW. Each way ends with
 * "went on" when the first process did; abuse.py says what must hold. What the machine counts (/proc/slabinfo, meminfo,
 * file-nr, processes) is taken before and after: "leak NAME BEFORE AFTER" for what did not come back.
 */
#define _GNU_SOURCE
#include "../send_fd.h"
#include "counts.h"
#include "parts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void reap(void)
{
    while (waitpid(-1, NULL, __WALL) > 0 || errno == EINTR)
        ;
}

/* --- killed at every system call ---------------------------------------------------------------- */

/* Let a part make n stops at system calls, then kill it. False: it ended before. */
static bool kill_at(unsigned part, int n)
{
    int st;
    pid_t pid = fork();
    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, 0, 0) != 0)
            _exit(8);
        raise(SIGSTOP);
        parts[part].run();
        _exit(0);
    }
    waitpid(pid, &st, 0);
    ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL);
    for (int i = 0; i < n; i++) {
        int sig = WIFSTOPPED(st) && !(WSTOPSIG(st) & 0x80) && WSTOPSIG(st) != SIGSTOP && WSTOPSIG(st) != SIGTRAP ? WSTOPSIG(st) : 0;
        if (ptrace(PTRACE_SYSCALL, pid, 0, sig) != 0 || waitpid(pid, &st, 0) != pid || !WIFSTOPPED(st)) {
            if (!WIFEXITED(st) || WEXITSTATUS(st) != 0)
                printf("the victim ended with %x\n", st);
            reap();
            return false;
        }
    }
    kill(pid, SIGKILL);
    waitpid(pid, &st, 0);
    if (!WIFSIGNALED(st) || WTERMSIG(st) != SIGKILL)
        printf("killed at stop %d, but ended with %x\n", n, st);
    reap();
    return true;
}

/* The same at any time, with nobody looking. */
static void kill_after(unsigned us)
{
    int st;
    pid_t pid = fork();
    if (pid == 0) {
        for (unsigned i = 0; i < PARTS; i++)
            parts[i].run();
        _exit(9);
    }
    double end = now() + us / 1e6;
    while (now() < end)
        sched_yield();
    kill(pid, SIGKILL);
    waitpid(pid, &st, 0);
    reap();
}

static void kills(void)
{
    struct counts before;
    for (unsigned part = 0; part < PARTS; part++)
        kill_at(part, 1000000);
    for (unsigned part = 0; part < PARTS; part++) {
        int n = 1;
        take_calm(&before);
        for (; kill_at(part, n); n++)
            ;
        printf("part %u killed at %s stops\n", part, n > 20 ? "all" : "too few");
        compare(&before, 8);
    }
    take_calm(&before);
    for (unsigned i = 0; i < 200; i++)
        kill_after(i * 37 % 5000);
    compare(&before, 8);
}

/* --- processes without end ---------------------------------------------------------------------------- */

static void grow_bomb(void)
{
    for (;;) {
        pid_t pid = fork();
        if (pid < 0)
            usleep(1000); /* and again */
    }
}

/* Fork until it is refused; all of them wait. How many came; their parent goes on. */
static long fork_all(int *ret_errno)
{
    long n = 0;
    int p[2];
    pipe(p);
    for (;; n++) {
        pid_t pid = fork();
        if (pid == 0) {
            char c;
            close(p[1]);
            read(p[0], &c, 1);
            _exit(0);
        }
        if (pid < 0)
            break;
    }
    *ret_errno = errno;
    close(p[0]);
    close(p[1]);
    reap();
    return n;
}

static const char *errno_name(int e) { return strerrorname_np(e); }

static void bomb(void)
{
    struct counts before;
    int e;
    fork_all(&e);
    take_calm(&before);
    long n = fork_all(&e);
    printf("processes: %s, then %s\n", n > 50 ? "many" : "few", errno_name(e));
    compare(&before, 8);
    /* the bomb proper, as a user who is nobody, for two seconds */
    pid_t pid = fork();
    if (pid == 0) {
        setgid(1000);
        setuid(1000);
        grow_bomb();
    }
    sleep(2);
    for (int quiet = 0; quiet < 3;) { /* kill(-1) reaches all but us */
        kill(-1, SIGKILL);
        quiet = waitpid(-1, NULL, WNOHANG) < 0 ? quiet + 1 : 0;
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        usleep(1000);
    }
    compare(&before, 8);
}

static void *thread(void *arg)
{
    int *fd = arg;
    char c;
    read(fd[0], &c, 1);
    return NULL;
}

static void bomb_limit(void)
{
    int e;
    if (fork() == 0) {
        struct rlimit r = {20, 20};
        pthread_t t;
        int p[2];
        pipe(p);
        setrlimit(RLIMIT_NPROC, &r);
        setgid(1000);
        setuid(1000);
        long n = fork_all(&e);
        printf("with RLIMIT_NPROC 20: %ld, then %s\n", n, errno_name(e));
        for (n = 0; (e = pthread_create(&t, NULL, thread, p)) == 0; n++)
            ;
        printf("threads: %ld, then %s\n", n, errno_name(e));
        fflush(stdout);
        _exit(0);
    }
    reap();
}

static void pids(void)
{
    int e;
    printf("pid_max of 1: %s\n", write_text("/proc/sys/kernel/pid_max", "1") < 0 ? errno_name(errno) : "taken");
    printf("pid_max of 400: %s\n", write_text("/proc/sys/kernel/pid_max", "400") < 0 ? errno_name(errno) : "taken");
    long n = fork_all(&e);
    printf("numbers: %s, then %s\n", n > 300 && n < 400 ? "all" : "not all", errno_name(e));
    n = fork_all(&e);
    printf("again: %s, then %s\n", n > 90 && n < 400 ? "all" : "not all", errno_name(e));
    write_text("/proc/sys/kernel/pid_max", "32768");
    write_text("/proc/sys/kernel/threads-max", "30");
    n = fork_all(&e);
    printf("threads-max of 30: %s, then %s\n", n > 10 && n < 30 ? "as many" : "not", errno_name(e));
}

/* --- memory --------------------------------------------------------------------------------------- */

#define MB (1ul << 20)

static void adjust(int adj)
{
    char text[16];
    snprintf(text, sizeof text, "%d", adj);
    if (write_text("/proc/self/oom_score_adj", text) < 0)
        printf("oom_score_adj: %s\n", errno_name(errno));
}

static void hold(size_t len) { memset(mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 1, len); }

/* A child with so much memory, that does `more` for ever. */
static pid_t holder(int adj, size_t len, void (*more)(void))
{
    int ready[2];
    char c;
    pipe(ready);
    pid_t pid = fork();
    if (pid == 0) {
        adjust(adj);
        hold(len);
        write(ready[1], "x", 1);
        for (;;)
            more();
    }
    close(ready[1]);
    read(ready[0], &c, 1); /* or it was ended before */
    close(ready[0]);
    return pid;
}

static void grow(void)
{
    hold(MB);
    sched_yield();
}
static void wait_on(void) { pause(); }

static volatile int *go;
static void grow_at_once(void)
{
    if (*go)
        grow();
    else
        usleep(1000);
}

static void come_and_go(void)
{
    char *m = mmap(NULL, MB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(m, 1, MB);
    munmap(m, MB);
    sched_yield();
}

static long score(pid_t pid)
{
    char path[40], text[16] = "";
    snprintf(path, sizeof path, "/proc/%d/oom_score", pid);
    int fd = open(path, O_RDONLY);
    read(fd, text, sizeof text - 1);
    close(fd);
    return atol(text);
}

static void oom(void)
{
    struct counts before;
    pid_t others[3], gone;
    int st;
    at_once(31);
    take_calm(&before);
    for (int i = 0; i < 3; i++)
        others[i] = holder(0, 2 * MB, come_and_go);
    pid_t hog = holder(0, MB, grow);
    gone = waitpid(-1, &st, 0);
    printf("the one that grew %s\n", gone == hog && WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL ? "was ended" : "was not");
    printf("others ended: %d\n", waitpid(-1, &st, WNOHANG));
    for (int i = 0; i < 3; i++)
        kill(others[i], SIGKILL);
    reap();

    adjust(-1000);
    pid_t large = holder(0, 40 * MB, wait_on), wanted = holder(1000, 4 * MB, wait_on), kept = holder(-1000, 20 * MB, wait_on);
    printf("scores: %s, %s, %ld\n", score(large) > 700 && score(large) < 1000 ? "large" : "not large", score(wanted) > 1333 ? "wanted" : "not wanted", score(kept));
    hog = holder(-1000, MB, grow);
    printf("first %s", waitpid(-1, &st, 0) == wanted ? "the one with most points" : "another");
    printf(", then %s", waitpid(-1, &st, 0) == large ? "the largest" : "another");
    printf(", at last %s\n", waitpid(-1, &st, 0) == hog ? "who asks for more" : "another");
    kill(kept, SIGKILL);
    reap();
    adjust(0);

    int n = 0;
    go = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 30; i++)
        holder(0, MB, grow_at_once);
    *go = 1;
    while (n < 25 && waitpid(-1, &st, 0) > 0)
        n += WIFSIGNALED(st) && WTERMSIG(st) == SIGKILL;
    printf("of 30 that grow at once %d ended\n", n);
    kill(-1, SIGKILL);
    reap();
    munmap((void *)go, 4096);
    compare(&before, 8);
}

/* --- who was chosen cannot end: it waits for a lock of who wants its memory --------------------------------- */

static long free_kb(void)
{
    char line[128];
    long kb = 0;
    FILE *f = fopen("/proc/meminfo", "r");
    while (fgets(line, sizeof line, f) != NULL && sscanf(line, "MemFree: %ld", &kb) != 1)
        ;
    fclose(f);
    return kb;
}

static void *ask_position(void *zero)
{
    for (;;)
        lseek(*(int *)zero, 0, SEEK_CUR);
    return NULL;
}

static pthread_mutex_t *shared_lock(void)
{
    pthread_mutex_t *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pthread_mutexattr_t a;
    pthread_mutexattr_init(&a);
    pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(m, &a);
    return m;
}

static const char *take_shared_lock(pthread_mutex_t *m)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    t.tv_sec += 20;
    int r = pthread_mutex_timedlock(m, &t);
    munmap(m, 4096);
    return r == EOWNERDEAD ? "its owner died" : r == 0 ? "was free" : errno_name(r);
}

/* Each of its threads but one waits for the file's position at any time. The first has a lock, which its private memory tells of, with another one that is private. */
static pid_t positions(int zero, pthread_mutex_t *lock)
{
    int ready[2];
    char c;
    pipe(ready);
    pid_t pid = fork();
    if (pid == 0) {
        pthread_t other;
        pthread_mutex_t own;
        pthread_mutexattr_t a;
        pthread_mutexattr_init(&a);
        pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST);
        pthread_mutex_init(&own, &a);
        pthread_mutex_lock(lock);
        pthread_mutex_lock(&own);
        hold(60 * MB);
        adjust(500);
        for (int i = 0; i < 3; i++)
            pthread_create(&other, NULL, ask_position, &zero);
        write(ready[1], "x", 1);
        ask_position(&zero);
    }
    close(ready[1]);
    read(ready[0], &c, 1);
    close(ready[0]);
    return pid;
}

/* A call that has the file's position until it has got more memory than there is. The next one in turn would be ended, too, if the
 * chosen one's memory came only with its end. */
static void oom_lock(void)
{
    int st;
    struct counts before;
    take_calm(&before);
    adjust(-1000);
    int zero = open("/dev/zero", O_RDONLY);
    pthread_mutex_t *lock = shared_lock();
    pid_t next = holder(100, 8 * MB, wait_on), large = positions(zero, lock), reader = fork();
    if (reader == 0) {
        adjust(-900);
        while (free_kb() > 16 * 1024)
            hold(MB);
        char *to = mmap(NULL, 64 * MB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        _exit(read(zero, to, 64 * MB) == 64 * MB ? 0 : 1);
    }
    close(zero);
    waitpid(reader, &st, 0);
    printf("who reads: %x\n", st);
    waitpid(large, &st, 0);
    printf("the largest: %x, its lock: %s\n", st, take_shared_lock(lock));
    kill(next, SIGTERM);
    waitpid(next, &st, 0);
    printf("the next: %x\n", st);
    adjust(0);
    compare(&before, 8);
}

/* Who may lower it: the first process alone, but for what it was not above before. */
static void adj(void)
{
    static const struct { const char *file, *text; } writes[] = {
        {"oom_score_adj", "400"}, {"oom_score_adj", "300"}, {"oom_score_adj", "299"}, {"oom_score_adj", "1001"}, {"oom_score_adj", "x"}, {"oom_adj", "5"},
        {"oom_adj", "4"}, {"oom_adj", "16"}, {"oom_adj", "-18"}, {"oom_adj", "15"}, {"timerslack_ns", "70000"}, {"timerslack_ns", "-1"}, {"timerslack_ns", "0"},
    };
    char path[40], text[32];
    write_text("/proc/self/oom_score_adj", "300");
    if (fork() == 0) {
        setuid(1000);
        prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* so that the files are the user's */
        for (unsigned i = 0; i < sizeof writes / sizeof *writes; i++) {
            snprintf(path, sizeof path, "/proc/self/%s", writes[i].file);
            const char *how = write_text(path, writes[i].text) < 0 ? errno_name(errno) : "taken";
            int fd = open(path, O_RDONLY);
            ssize_t len = read(fd, text, sizeof text - 1);
            text[len < 0 ? 0 : len] = '\0';
            close(fd);
            printf("%s %s: %s, %d\n", writes[i].file, writes[i].text, how, atoi(text));
        }
        _exit(0);
    }
    reap();
    write_text("/proc/self/oom_score_adj", "0");
}

/* --- descriptors ---------------------------------------------------------------------------------------- */

static int make_open(void) { return open("/dev/null", O_RDWR); }
static int make_tmp(void) { return open("/tmp", O_TMPFILE | O_RDWR, 0600); }
static int make_path(void) { return open("/tmp", O_PATH); }
static int make_dup(void) { return dup(0); }
static int make_pipe(void) { int p[2]; return pipe(p); }
static int make_pair(void) { int p[2]; return socketpair(AF_UNIX, SOCK_SEQPACKET, 0, p); }
static int make_tcp(void) { return socket(AF_INET, SOCK_STREAM, 0); }
static int make_udp(void) { return socket(AF_INET, SOCK_DGRAM, 0); }
static int make_event(void) { return eventfd(0, 0); }
static int make_epoll(void) { return epoll_create1(0); }
static int make_timer(void) { return timerfd_create(CLOCK_MONOTONIC, 0); }
static int make_inotify(void) { return inotify_init(); }
static int make_memfd(void) { return memfd_create("x", 0); }
static int make_pidfd(void) { return (int)syscall(SYS_pidfd_open, getpid(), 0); }
static int make_pty(void) { return open("/dev/ptmx", O_RDWR | O_NOCTTY); }
static int make_signalfd(void)
{
    sigset_t s;
    sigemptyset(&s);
    return signalfd(-1, &s, 0);
}
static int make_accept(void)
{
    int l = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);
    if (l < 0 || c < 0) {
        int e = errno;
        close(l);
        errno = e;
        return -1;
    }
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    socklen_t len = sizeof a;
    bind(l, (struct sockaddr *)&a, sizeof(sa_family_t));
    listen(l, 1);
    getsockname(l, (struct sockaddr *)&a, &len);
    connect(c, (struct sockaddr *)&a, len);
    return accept(l, NULL, NULL);
}

static const struct { const char *name; int (*make)(void); } kinds[] = {
    {"open", make_open}, {"O_TMPFILE", make_tmp}, {"O_PATH", make_path}, {"dup", make_dup}, {"pipe", make_pipe},
    {"socketpair", make_pair}, {"tcp", make_tcp}, {"udp", make_udp}, {"eventfd", make_event}, {"epoll", make_epoll},
    {"timerfd", make_timer}, {"inotify", make_inotify}, {"memfd", make_memfd}, {"pidfd", make_pidfd}, {"ptmx", make_pty},
    {"signalfd", make_signalfd}, {"accept", make_accept},
};
#define KINDS (sizeof kinds / sizeof kinds[0])

static void take_fds(unsigned kind, rlim_t limit, bool say)
{
    if (fork() == 0) {
        struct rlimit r = {limit, limit};
        long n = 0;
        setrlimit(RLIMIT_NOFILE, &r);
        while (kinds[kind].make() >= 0)
            n++;
        if (say)
            printf("%s: %s\n", kinds[kind].name, errno_name(errno));
        fflush(stdout);
        _exit(0);
    }
    reap();
}

static void fds(void)
{
    struct counts before;
    for (unsigned i = 0; i < KINDS; i++)
        take_fds(i, 16, false);
    take_calm(&before);
    for (unsigned i = 0; i < KINDS; i++)
        take_fds(i, 200, true);
    compare(&before, 8);
}

/* As many as memory holds. */
static void fds_memory(void)
{
    struct counts before;
    for (unsigned i = 0; i < KINDS; i++)
        take_fds(i, 16, false);
    take_calm(&before);
    for (unsigned i = 0; i < KINDS; i++)
        take_fds(i, 500000, true);
    compare(&before, 40);
}

/* --- sockets in sockets ------------------------------------------------------------------------------------- */

static void pass(int over, int fd)
{
    if (send_fd(over, fd, 0) != 1)
        printf("sendmsg: %s\n", errno_name(errno));
}

/* A socket in the queue of a socket in the queue of ..., `n` deep, the last in a pipe's stead: its end must be seen. */
static void chain(int n)
{
    int p[2], pair[2];
    char c;
    pipe(p);
    int fd = p[1];
    for (int i = 0; i < n; i++) {
        socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
        pass(pair[0], fd);
        close(fd);
        close(pair[0]);
        fd = pair[1];
    }
    close(fd);
    printf("the end of a chain of sockets: %zd\n", read(p[0], &c, 1));
    close(p[0]);
}

/* Two sockets in each other's queues, and a pipe: nobody can reach them any more. */
static void ring(void)
{
    int p[2], a[2], b[2];
    char c;
    pipe(p);
    socketpair(AF_UNIX, SOCK_STREAM, 0, a);
    socketpair(AF_UNIX, SOCK_DGRAM, 0, b);
    pass(a[0], b[1]);
    pass(b[0], a[1]);
    pass(b[0], p[1]);
    close(p[1]);
    for (int i = 0; i < 2; i++) {
        close(a[i]);
        close(b[i]);
    }
    close(socket(AF_UNIX, SOCK_STREAM, 0)); /* the end of any makes the system look */
    printf("the end of a ring of sockets: %zd\n", read(p[0], &c, 1));
    close(p[0]);
}

static void sockets(void)
{
    struct counts before;
    chain(10);
    ring();
    take_calm(&before);
    chain(5000);
    for (int i = 0; i < 20; i++)
        ring();
    compare(&before, 8);
}

/* --- mappings ---------------------------------------------------------------------------------------------- */

static void maps(void)
{
    struct counts before;
    size_t len = 1000000 * 4096ul;
    take_calm(&before);
    for (int round = 0; round < 2; round++) {
        double start = now();
        char *a = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        long n = 0;
        errno = 0;
        for (; n < 500000 && mprotect(a + n * 8192, 4096, PROT_READ) == 0; n++)
            ;
        printf("areas: %s, then %s\n", n > 32000 && n < 32768 ? "all" : "not all", errno_name(errno));
        errno = 0;
        printf("a hole: %d %s\n", munmap(a + (n - 1) * 8192, 4096), errno_name(errno));
        printf("another mmap: %s\n", mmap(NULL, 4096, PROT_EXEC, MAP_SHARED | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? errno_name(errno) : "made");
        printf("munmap of all: %d\n", munmap(a, len));
        fprintf(stderr, "%.2f s for %ld areas\n", now() - start, 2 * n);
    }
    compare(&before, 8);
}

/* --- names ------------------------------------------------------------------------------------------------- */

#define NAMES 40000

static void name_of(char *ret, size_t size, int dir, int name) { snprintf(ret, size, "/tmp/abuse-names-%d/a-name-of-some-length-%d", dir, name); }

static void make_names(int dirs, bool make)
{
    char name[80];
    for (int d = 0; d < dirs; d++) {
        char *dir = name;
        snprintf(dir, sizeof name, "/tmp/abuse-names-%d", d);
        if (make)
            mkdir(dir, 0700);
        for (int i = 0; i < NAMES / dirs; i++) {
            name_of(name, sizeof name, d, i);
            if (make)
                close(open(name, O_CREAT | O_WRONLY, 0600));
            else
                unlink(name);
        }
        snprintf(dir, sizeof name, "/tmp/abuse-names-%d", d);
        if (!make && rmdir(dir) != 0)
            printf("not empty: %s\n", errno_name(errno));
    }
}

static void read_directory(int dir, int n)
{
    char name[80];
    long seen = 0, sum = 0;
    snprintf(name, sizeof name, "/tmp/abuse-names-%d", dir);
    DIR *d = opendir(name);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.') {
            seen++;
            sum += atol(strrchr(e->d_name, '-') + 1);
        }
    closedir(d);
    if (seen != n || sum != (long)n * (n - 1) / 2)
        printf("of %d names %ld came\n", n, seen);
}

/* The least time of some tries in which so many names are read in so many directories; each name comes once. */
static double read_names(int dirs)
{
    double least = 1e9;
    make_names(dirs, true);
    for (int try = 0; try < 5; try++) {
        double start = now();
        for (int d = 0; d < dirs; d++)
            read_directory(d, NAMES / dirs);
        if (now() - start < least)
            least = now() - start;
    }
    make_names(dirs, false);
    return least;
}

static void names(void)
{
    double twenty = read_names(20), one = read_names(1);
    fprintf(stderr, "%d names in 20 directories: %.2f ms, in one: %.2f ms\n", NAMES, twenty * 1e3, one * 1e3);
    printf("in one directory or in twenty: %s\n", one < 8 * twenty ? "as long" : "not in proportion");
}

/* --- signals -------------------------------------------------------------------------------------------------- */

#define STORM 12
static pid_t *everyone;
static volatile sig_atomic_t heard;
static void on_signal(int sig) { heard++; }

static void storm(void)
{
    struct counts before;
    at_once(STORM);
    everyone = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    take_calm(&before);
    volatile pid_t *list = everyone;
    for (int s = 1; s < 64; s++)
        if (s != SIGALRM)
            signal(s, on_signal);
    for (int i = 0; i < STORM; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            alarm(3);
            unsigned r = (unsigned)i;
            for (;;) {
                r = r * 1103515245 + 12345;
                pid_t to = list[(r >> 16) % STORM];
                int sig = (int)((r >> 8) % 63) + 1;
                if (to > 0 && sig != SIGKILL && sig != SIGALRM && sig != SIGSTOP && (sig < 32 || sig > 33))
                    sig < 32 ? kill(to, sig) : sigqueue(to, sig, (union sigval){.sival_int = i});
            }
        }
        list[i] = pid;
    }
    int ends = 0, st;
    while (waitpid(-1, &st, 0) > 0 || errno == EINTR)
        ends += WIFSIGNALED(st) && WTERMSIG(st) == SIGALRM;
    printf("ends by SIGALRM: %d\n", ends);
    compare(&before, 8);
}

int main(int argc, char **argv)
{
    static const struct { const char *name; void (*run)(void); } ways[] = {
        {"kills", kills}, {"bomb", bomb}, {"bomb-limit", bomb_limit}, {"pids", pids}, {"oom", oom}, {"oom-lock", oom_lock}, {"adj", adj}, {"fds", fds}, {"fds-memory", fds_memory},
        {"sockets", sockets}, {"maps", maps}, {"names", names}, {"storm", storm},
    };
    setvbuf(stdout, NULL, _IOLBF, 0);
    parts_self = argv[0];
    if (argc > 1 && strcmp(argv[1], "nothing") == 0)
        return 0;
    if (getpid() != 1) /* kill(-1), bombs: for a machine that has nothing else */
        return 2;
    for (unsigned i = 0; argc > 1 && i < sizeof ways / sizeof ways[0]; i++)
        if (strcmp(argv[1], ways[i].name) == 0) {
            ways[i].run();
            puts("went on");
            return 0;
        }
    return 2;
}
