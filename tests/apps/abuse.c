/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that take all there is of something, and programs that are killed in the middle: abuse HOW. Each way ends with
 * "went on" when the first process did; abuse.py says what must hold. What the machine counts (/proc/slabinfo, meminfo,
 * file-nr, processes) is taken before and after: "leak NAME BEFORE AFTER" for what did not come back.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *self;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY);
    if (fd < 0)
        return -1;
    ssize_t n = write(fd, text, strlen(text));
    close(fd);
    return n < 0 ? -1 : 0;
}

/* --- what the machine counts ----------------------------------------------------------------- */

#define COUNTS 100
struct counts {
    unsigned n;
    struct { char name[40]; long value; } c[COUNTS];
};

static void add_count(struct counts *s, const char *name, long value)
{
    if (s->n < COUNTS) {
        snprintf(s->c[s->n].name, sizeof s->c->name, "%s", name);
        s->c[s->n++].value = value;
    }
}

static long processes(void)
{
    long n = 0;
    DIR *d = opendir("/proc");
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        n += e->d_name[0] >= '0' && e->d_name[0] <= '9';
    closedir(d);
    return n;
}

/* What System V keeps when its maker is killed between making and removing it. */
static void remove_ipc(void)
{
    struct shmid_ds shm;
    struct semid_ds sem;
    struct seminfo info;
    int last = shmctl(0, SHM_INFO, (struct shmid_ds *)&(struct shm_info){0});
    for (int i = 0, id; i <= last; i++)
        if ((id = shmctl(i, SHM_STAT, &shm)) >= 0 && shm.shm_perm.__key == IPC_PRIVATE)
            shmctl(id, IPC_RMID, NULL);
    last = semctl(0, 0, SEM_INFO, &info);
    for (int i = 0, id; i <= last; i++)
        if ((id = semctl(i, 0, SEM_STAT, &sem)) >= 0 && sem.sem_perm.__key == IPC_PRIVATE)
            semctl(id, 0, IPC_RMID);
}

static void take(struct counts *s)
{
    char line[256], name[64];
    long value;
    s->n = 0;
    usleep(200000); /* what ends is put away behind our back */
    remove_ipc();
    for (int i = 0; i < 4; i++) /* directories after what is in them */
        write_text("/proc/sys/vm/drop_caches", "3");
    add_count(s, "processes", processes());
    static const char *const files[] = {"/proc/sys/fs/file-nr", "/proc/meminfo", "/proc/slabinfo"};
    for (unsigned i = 0; i < 3; i++) {
        FILE *f = fopen(files[i], "r");
        while (f != NULL && fgets(line, sizeof line, f) != NULL) {
            if (i == 0 && sscanf(line, "%ld", &value) == 1)
                add_count(s, "files", value);
            else if (i == 1 && sscanf(line, "%63[^:]: %ld", name, &value) == 2 &&
                     (!strcmp(name, "AnonPages") || !strcmp(name, "PageTables") || !strcmp(name, "KernelPages")))
                add_count(s, name, value);
            else if (i == 2 && sscanf(line, "%63s %ld", name, &value) == 2 && name[0] != '#')
                add_count(s, name, value);
        }
        if (f != NULL)
            fclose(f);
    }
}

static bool is_back(const struct counts *a, const struct counts *b, unsigned i, long slack)
{
    return labs(b->c[i].value - a->c[i].value) <= (strstr(a->c[i].name, "Page") ? 8 : 1) * slack;
}

static unsigned not_back(const struct counts *a, const struct counts *b, long slack)
{
    unsigned n = 0;
    for (unsigned i = 0; i < a->n && i < b->n; i++)
        n += !is_back(a, b, i, slack);
    return n;
}

/* As it is when what ended before has been put away. */
static void take_calm(struct counts *s)
{
    struct counts last;
    take(s);
    for (int i = 0; i < 100; i++) {
        last = *s;
        take(s);
        if (not_back(&last, s, 1) == 0)
            break;
    }
}

/* All comes back, but for a few objects on their way, and pages that we and our heap took ourselves: soon, or on a busy machine a little later. */
static void compare(const struct counts *a, long slack)
{
    struct counts b;
    take(&b);
    for (int i = 0; i < 100 && not_back(a, &b, slack) != 0; i++)
        take(&b);
    for (unsigned i = 0; i < a->n && i < b.n; i++)
        if (!is_back(a, &b, i, slack))
            printf("leak %s %ld %ld\n", a->c[i].name, a->c[i].value, b.c[i].value);
    printf("counted %u\n", a->n);
}

static void reap(void)
{
    while (waitpid(-1, NULL, __WALL) > 0 || errno == EINTR)
        ;
}

/* --- killed at every system call ---------------------------------------------------------------- */

static void *thread(void *arg)
{
    int *fd = arg;
    char c;
    read(fd[0], &c, 1);
    return NULL;
}

static void with_files(void)
{
    char buf[5000] = {0};
    int fd = open("/tmp/abuse-file", O_CREAT | O_RDWR, 0600), other;
    struct flock l = {.l_type = F_WRLCK, .l_len = 10};
    write(fd, buf, sizeof buf);
    fcntl(fd, F_SETLK, &l);
    flock(fd, LOCK_EX);
    char *m = mmap(NULL, sizeof buf, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (m != MAP_FAILED)
        m[4500] = 1;
    ftruncate(fd, 100);
    other = dup(fd);
    pread(other, buf, 50, 10);
    int watch = inotify_init1(0);
    inotify_add_watch(watch, "/tmp", IN_ALL_EVENTS);
    unlink("/tmp/abuse-file");
    mkdir("/tmp/abuse-dir", 0700);
    rename("/tmp/abuse-dir", "/tmp/abuse-other");
    symlink("here", "/tmp/abuse-link");
    unlink("/tmp/abuse-link");
    rmdir("/tmp/abuse-other");
    DIR *d = opendir("/proc/self/fd");
    while (d != NULL && readdir(d) != NULL)
        ;
    closedir(d);
    int mem = memfd_create("abuse", 0);
    ftruncate(mem, 65536);
    splice(fd, NULL, mem, NULL, 10, 0);
    copy_file_range(fd, NULL, mem, NULL, 50, 0);
}

static void with_sockets(void)
{
    int pair[2], lo = socket(AF_INET, SOCK_STREAM, 0), to = socket(AF_INET, SOCK_STREAM, 0), from;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof at;
    char text[64] = "x", control[CMSG_SPACE(sizeof(int))] = {0};
    struct linger now = {1, 0};
    bind(lo, (struct sockaddr *)&at, sizeof at);
    listen(lo, 5);
    getsockname(lo, (struct sockaddr *)&at, &len);
    setsockopt(to, SOL_SOCKET, SO_LINGER, &now, sizeof now); /* nobody waits in TIME_WAIT */
    connect(to, (struct sockaddr *)&at, sizeof at);
    from = accept(lo, NULL, NULL);
    send(to, text, 10, 0);
    recv(from, text, 5, 0);
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    struct iovec v = {text, 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &pair[0], sizeof(int)); /* a socket in its own queue */
    sendmsg(pair[1], &m, 0);
    memcpy(CMSG_DATA(c), &lo, sizeof(int));
    sendmsg(pair[0], &m, 0);
    recvmsg(pair[1], &m, 0);
    int udp = socket(AF_INET, SOCK_DGRAM, 0);
    bind(udp, (struct sockaddr *)&(struct sockaddr_in){.sin_family = AF_INET}, sizeof at);
    getsockname(udp, (struct sockaddr *)&at, &len);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sendto(udp, text, 20, 0, (struct sockaddr *)&at, sizeof at);
    close(from);
}

static void with_events(void)
{
    int p[2], e = epoll_create1(0), ev = eventfd(1, 0), t = timerfd_create(CLOCK_MONOTONIC, 0);
    struct epoll_event want = {.events = EPOLLIN}, got[4];
    sigset_t set;
    timer_t timer;
    pipe(p);
    epoll_ctl(e, EPOLL_CTL_ADD, p[0], &want);
    epoll_ctl(e, EPOLL_CTL_ADD, ev, &want);
    epoll_ctl(e, EPOLL_CTL_ADD, t, &want);
    timerfd_settime(t, 0, &(struct itimerspec){.it_value.tv_nsec = 1000, .it_interval.tv_nsec = 1000000}, NULL);
    write(p[1], "abc", 3);
    epoll_wait(e, got, 4, 1);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signalfd(-1, &set, 0);
    kill(getpid(), SIGUSR1);
    timer_create(CLOCK_MONOTONIC, &(struct sigevent){.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1}, &timer);
    timer_settime(timer, 0, &(struct itimerspec){.it_value.tv_nsec = 1000, .it_interval.tv_nsec = 1000000}, NULL);
    setitimer(ITIMER_REAL, &(struct itimerval){.it_value.tv_sec = 100}, NULL);
    mqd_t q = mq_open("/abuse", O_CREAT | O_RDWR | O_NONBLOCK, 0600, &(struct mq_attr){.mq_maxmsg = 2, .mq_msgsize = 32});
    mq_send(q, "hello", 5, 0);
    mq_unlink("/abuse");
}

static void with_memory(void)
{
    char *a = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(a, 1, 1 << 18);
    mprotect(a + 4096, 8192, PROT_READ);
    madvise(a, 1 << 16, MADV_DONTNEED);
    a = mremap(a, 1 << 12, 1 << 16, MREMAP_MAYMOVE);
    char *s = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memset(s, 1, 1 << 16);
    int id = shmget(IPC_PRIVATE, 8192, 0600);
    void *at = shmat(id, NULL, 0);
    shmctl(id, IPC_RMID, NULL);
    int sem = semget(IPC_PRIVATE, 1, 0600);
    semop(sem, &(struct sembuf){0, 1, SEM_UNDO}, 1);
    semctl(sem, 0, IPC_RMID);
    if (at != (void *)-1)
        shmdt(at);
    brk(sbrk(0) + 65536);
}

static void with_processes(void)
{
    pthread_t t;
    int p[2], futex = 0;
    pipe(p);
    pthread_create(&t, NULL, thread, p);
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGPIPE, SIG_IGN);
        write(p[1], "x", 1);
        _exit(3);
    }
    syscall(SYS_futex, &futex, 0, 0, &(struct timespec){0, 1000}, NULL, 0);
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    waitpid(pid, NULL, 0);
    close(fd);
    pthread_join(t, NULL);
    pid = vfork();
    if (pid == 0) {
        execl(self, self, "nothing", NULL);
        _exit(127);
    }
    waitpid(pid, NULL, 0);
    pthread_create(&t, NULL, thread, p); /* ends with the process */
}

static void with_exec(void)
{
    pthread_t t;
    int p[2];
    pipe(p);
    pthread_create(&t, NULL, thread, p); /* does not live to see it */
    execl(self, self, "nothing", NULL);
}

static struct io_uring_sqe *sqe(struct io_uring *r, unsigned flags)
{
    struct io_uring_sqe *s = io_uring_get_sqe(r);
    if (s == NULL) /* a stopped victim's rings never are full */
        _exit(3);
    memset(s, 0, sizeof *s);
    s->flags = (unsigned char)flags;
    return s;
}

/* Requests that wait in every way, some of which never end by themselves. */
static void with_uring(void)
{
    struct io_uring r;
    struct io_uring_params params = {.flags = getpid() & 1 ? IORING_SETUP_SQPOLL : 0};
    struct __kernel_timespec ts = {0, 1000}, far = {100, 0};
    char buf[64];
    int p[2], fds[2];
    if (pipe(p) < 0 || io_uring_queue_init_params(16, &r, &params) < 0)
        return;
    fds[0] = p[0];
    fds[1] = -1;
    struct iovec v = {buf, sizeof buf};
    io_uring_register_files(&r, fds, 2);
    io_uring_register_buffers(&r, &v, 1);
    struct io_uring_sqe *s = sqe(&r, 0);
    io_uring_prep_read(s, p[0], buf, 8, 0);
    io_uring_prep_read(s = sqe(&r, 0), p[0], buf, 8, 0);
    s->flags = IOSQE_ASYNC | IOSQE_IO_LINK;
    io_uring_prep_link_timeout(s = sqe(&r, 0), &far, 0);
    io_uring_prep_poll_multishot(sqe(&r, 0), p[0], POLLIN);
    io_uring_prep_timeout(sqe(&r, 0), &ts, 0, 0);
    io_uring_prep_timeout(sqe(&r, 0), &far, 0, 0);
    io_uring_prep_splice(sqe(&r, 0), p[0], -1, p[1], -1, 100, 0); /* waits in a worker */
    io_uring_prep_openat(sqe(&r, 0), AT_FDCWD, "/proc/self/exe", O_RDONLY, 0);
    io_uring_prep_fsync(s = sqe(&r, 0), p[1], 0);
    s->flags = IOSQE_IO_DRAIN;
    io_uring_submit_and_wait(&r, 2);
    (void)!write(p[1], "x", 1);
    io_uring_prep_cancel(sqe(&r, 0), NULL, IORING_ASYNC_CANCEL_ANY);
    io_uring_submit(&r);
    close(p[0]);
    close(p[1]);
    io_uring_queue_exit(&r);
}

static void (*const parts[])(void) = {with_files, with_sockets, with_events, with_memory, with_processes, with_exec, with_uring};
#define PARTS (sizeof parts / sizeof parts[0])

/* Let a part make n stops at system calls, then kill it. False: it ended before. */
static bool kill_at(unsigned part, int n)
{
    int st;
    pid_t pid = fork();
    if (pid == 0) {
        if (ptrace(PTRACE_TRACEME, 0, 0, 0) != 0)
            _exit(8);
        raise(SIGSTOP);
        parts[part]();
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
            parts[i]();
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

static void send_fd(int over, int fd)
{
    char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec v = {"x", 1};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    if (sendmsg(over, &m, 0) != 1)
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
        send_fd(pair[0], fd);
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
    send_fd(a[0], b[1]);
    send_fd(b[0], a[1]);
    send_fd(b[0], p[1]);
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

/* --- signals -------------------------------------------------------------------------------------------------- */

#define STORM 12
static pid_t *everyone;
static volatile sig_atomic_t heard;
static void on_signal(int sig) { heard++; }

/* What is kept for so many processes at once, the next ones use again. */
static void at_once(int n)
{
    int fd[2];
    char c;
    if (pipe(fd) < 0)
        return;
    for (int i = 0; i < n; i++)
        if (fork() == 0) {
            close(fd[1]);
            _exit(read(fd[0], &c, 1) != 0);
        }
    close(fd[0]);
    close(fd[1]);
    reap();
}

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
        {"kills", kills}, {"bomb", bomb}, {"bomb-limit", bomb_limit}, {"pids", pids}, {"fds", fds}, {"fds-memory", fds_memory},
        {"sockets", sockets}, {"maps", maps}, {"storm", storm},
    };
    setvbuf(stdout, NULL, _IOLBF, 0);
    self = argv[0];
    if (argc > 1 && strcmp(argv[1], "nothing") == 0)
        return 0;
    for (unsigned i = 0; argc > 1 && i < sizeof ways / sizeof ways[0]; i++)
        if (strcmp(argv[1], ways[i].name) == 0) {
            ways[i].run();
            puts("went on");
            return 0;
        }
    return 2;
}
