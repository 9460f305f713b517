/* SPDX-License-Identifier: Apache-2.0 */
/* ids, rlimits, prctl, times, uname, auxiliary vector, /proc/self, clocks */
#include "t.h"
#include <dirent.h>
#include <elf.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>

static char buf[65536];

static int file_has(const char *path, const char *what)
{
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return -1;
    size_t n = 0;
    for (ssize_t r; (r = read(fd, buf + n, sizeof buf - 1 - n)) > 0;)
        n += (size_t)r;
    buf[n] = 0;
    close(fd);
    return strstr(buf, what) != NULL;
}

static uint64_t now(int clock)
{
    struct timespec ts;
    clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void clocks(void)
{
    section("clocks");
    struct timespec ts, r;
    int all[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW,
                 CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME, CLOCK_TAI, 77, -1};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        errno = 0;
        show("clock_gettime", clock_gettime(all[i], &ts));
        errno = 0;
        show("clock_getres", clock_getres(all[i], &r));
    }
    SHOW(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts));
    SHOW(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, (void *)8));
    uint64_t a = now(CLOCK_MONOTONIC), b = 0;
    bool backwards = false;
    for (int i = 0; i < 100000; i++) {
        b = now(CLOCK_MONOTONIC);
        backwards |= b < a;
        a = b;
    }
    SHOW_TRUE(!backwards);
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts);
    uint64_t s = (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
    SHOW_TRUE(s >= a && now(CLOCK_MONOTONIC) >= s);
    struct timeval tv;
    SHOW(gettimeofday(&tv, NULL));
    SHOW_TRUE(tv.tv_sec > 1600000000 && llabs(tv.tv_sec - time(NULL)) <= 1);
    struct timespec req = {0, 20000000};
    a = now(CLOCK_MONOTONIC);
    SHOW(nanosleep(&req, NULL));
    SHOW_TRUE(now(CLOCK_MONOTONIC) - a >= 20000000);
    req.tv_nsec = -1;
    SHOW(nanosleep(&req, NULL));
    req.tv_nsec = 1000000000;
    SHOW(nanosleep(&req, NULL));
    SHOW(nanosleep((void *)8, NULL));
    clock_gettime(CLOCK_MONOTONIC, &req);
    SHOW(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &req, NULL));
    SHOW(clock_nanosleep(77, 0, &req, NULL) == EINVAL);
    uint64_t cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    for (volatile int i = 0; i < 3000000; i++)
        ;
    SHOW_TRUE(now(CLOCK_PROCESS_CPUTIME_ID) > cpu);
    SHOW_TRUE(now(CLOCK_THREAD_CPUTIME_ID) > 0);
}

static void limits(void)
{
    section("limits");
    struct rlimit rl = {100, 50};
    SHOW(setrlimit(RLIMIT_NOFILE, &rl));
    SHOW(getrlimit(77, &rl));
    rl = (struct rlimit){20, 100};
    SHOW(setrlimit(RLIMIT_NOFILE, &rl));
    SHOW(getrlimit(RLIMIT_NOFILE, &rl));
    SHOW(rl.rlim_cur);
    SHOW(rl.rlim_max);
    int last = -1;
    for (int i = 0; i < 40; i++) {
        int fd = dup(1);
        if (fd < 0)
            break;
        last = fd;
    }
    SHOW(last);
    SHOW(dup(1));
    SHOW(open("/dev/null", O_RDONLY));
    SHOW(fcntl(1, F_DUPFD, 20));
    for (int i = 3; i <= last; i++)
        close(i);
    SHOW(prlimit(0, RLIMIT_STACK, NULL, &rl));
    SHOW(prlimit(999999, RLIMIT_STACK, NULL, &rl));
    rl = (struct rlimit){10000, RLIM_INFINITY};
    SHOW(setrlimit(RLIMIT_FSIZE, &rl));
    SHOW(close(99));
    SHOW(syscall(SYS_close_range, 50, 40, 0));
    SHOW(syscall(SYS_close_range, 50, 60, 0));
}

static long ioprio_get(int which, int who) { return syscall(SYS_ioprio_get, which, who); }
static long ioprio_set(int which, int who, int prio) { return syscall(SYS_ioprio_set, which, who, prio); }
#define IOPRIO(class, level) ((class) << 13 | (level))

static void disk_priorities(void)
{
    section("ioprio");
    SHOW(ioprio_get(1, 0));
    SHOW(ioprio_get(0, 0));
    SHOW(ioprio_get(4, 0));
    SHOW(ioprio_get(1, 999999));
    SHOW(ioprio_set(1, 999999, 0));
    SHOW(ioprio_set(4, 0, 0));
    SHOW(ioprio_set(1, 0, IOPRIO(0, 5)));
    SHOW(ioprio_set(1, 0, IOPRIO(4, 0)));
    SHOW(ioprio_set(1, 0, IOPRIO(1, 3)));
    SHOW(ioprio_get(1, 0));
    SHOW(ioprio_set(1, 0, IOPRIO(3, 0)));
    SHOW(ioprio_get(1, 0));
    SHOW(ioprio_set(1, 0, IOPRIO(2, 6)));
    fflush(stdout);
    if (fork() == 0) {
        setpgid(0, 0);
        SHOW(ioprio_get(1, 0));
        SHOW(ioprio_get(2, 0));
        SHOW(ioprio_set(2, 0, IOPRIO(2, 7)));
        SHOW(ioprio_get(1, getpid()));
        setresuid(1000, 1000, 1000);
        SHOW(ioprio_set(1, 0, IOPRIO(1, 0)));
        SHOW(ioprio_set(1, getppid(), IOPRIO(2, 1)));
        SHOW(ioprio_set(1, 0, IOPRIO(2, 1)));
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
    SHOW(ioprio_set(1, 0, 0));
    SHOW(ioprio_get(1, 0));
}

struct attr { /* sched_setattr(2) */
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
    uint32_t util_min, util_max;
};

static long set_attr(int pid, int policy, int flags, int nice, int priority)
{
    return syscall(SYS_sched_setattr, pid, &(struct attr){.size = sizeof(struct attr), .policy = policy, .flags = flags, .nice = nice, .priority = priority}, 0);
}

static void show_attr(const char *what)
{
    struct attr a = {0};
    printf("%s: %ld", what, syscall(SYS_sched_getattr, 0, &a, sizeof a, 0));
    printf(", policy %u flags %llu nice %d priority %u, at most %u; scheduler %d\n", a.policy, (unsigned long long)a.flags, a.nice, a.priority, a.util_max, sched_getscheduler(0));
    fflush(stdout);
}

static void show_child(void)
{
    if (fork() == 0) {
        show_attr("a child");
        _exit(0);
    }
    wait(NULL);
}

#define RESET_ON_FORK 1
#define KEEP_POLICY 8
#define KEEP_PARAMS 16
static void scheduling(void)
{
    struct sched_param sp = {.sched_priority = 1}, none = {0};
    unsigned sizes[20] = {47};
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    section("scheduling");
    if (fork() == 0) {
        setpriority(PRIO_PROCESS, 0, -3);
        show_attr("nice");
        SHOW(sched_setscheduler(0, SCHED_RR | SCHED_RESET_ON_FORK, &sp));
        show_attr("real-time");
        show_child();
        SHOW(sched_setparam(0, &sp));
        show_attr("the flag stays");
        SHOW(sched_setscheduler(0, SCHED_OTHER | SCHED_RESET_ON_FORK, &none));
        show_child();
        setpriority(PRIO_PROCESS, 0, 4);
        show_child();
        SHOW(set_attr(0, SCHED_BATCH, 0, 7, 0));
        show_attr("batch");
        show_child();
        SHOW(set_attr(0, SCHED_FIFO, KEEP_POLICY, 2, 0));
        show_attr("its policy is kept");
        SHOW(set_attr(0, SCHED_FIFO, KEEP_POLICY, 2, 1));
        SHOW(set_attr(0, SCHED_BATCH, KEEP_PARAMS | RESET_ON_FORK, 9, 9));
        show_attr("its parameters are kept");
        SHOW(set_attr(0, SCHED_OTHER, KEEP_PARAMS, 9, 9));
        show_attr("and its policy");
        SHOW(set_attr(0, SCHED_OTHER, 128, 0, 0));
        SHOW(set_attr(0, -1, 0, 0, 0));
        SHOW(set_attr(-1, SCHED_OTHER, 0, 0, 0));
        SHOW(set_attr(0, SCHED_OTHER, 0, 99, 0));
        show_attr("a nice value too large");
        SHOW(syscall(SYS_sched_setattr, 0, sizes, 0));
        SHOW(sizes[0] >= sizeof(struct attr));
        sizes[0] = sizeof sizes;
        sizes[19] = 1;
        SHOW(syscall(SYS_sched_setattr, 0, sizes, 0));
        SHOW(sizes[0] >= sizeof(struct attr));
        SHOW(sched_setscheduler(0, SCHED_FIFO, NULL));
        SHOW(sched_setscheduler(-1, SCHED_FIFO, &sp));
        SHOW(sched_setparam(-1, &sp));

        struct rlimit no = {0, 0};
        setrlimit(RLIMIT_RTPRIO, &no);
        setrlimit(RLIMIT_NICE, &no);
        setpriority(PRIO_PROCESS, 0, 5);
        setresuid(1000, 1000, 1000);
        SHOW(set_attr(0, SCHED_BATCH, 0, 6, 0));
        SHOW(set_attr(0, SCHED_BATCH, 0, 5, 0));
        SHOW(sched_setscheduler(0, SCHED_FIFO, &sp));
        SHOW(sched_setscheduler(0, SCHED_OTHER | SCHED_RESET_ON_FORK, &none));
        SHOW(sched_setscheduler(0, SCHED_OTHER, &none));
        SHOW(sched_setscheduler(getppid(), SCHED_OTHER, &none));
        SHOW(set_attr(getppid(), SCHED_OTHER, 0, 19, 0));
        SHOW(sched_setaffinity(getppid(), sizeof one, &one));
        SHOW(sched_setscheduler(0, SCHED_IDLE | SCHED_RESET_ON_FORK, &none));
        SHOW(sched_setscheduler(0, SCHED_OTHER | SCHED_RESET_ON_FORK, &none));
        show_attr("idle");
        _exit(0);
    }
    wait(NULL);
}

static unsigned number_in(const char *path)
{
    char text[16] = "";
    int fd = open(path, O_RDONLY);
    read(fd, text, sizeof text - 1);
    close(fd);
    return (unsigned)strtoul(text, NULL, 10);
}

/* What pam_loginuid asks: unset until a login sets it, and then only changed with a privilege; children have it, too. */
static void logins(void)
{
    section("logins");
    int other = open("/proc/self/loginuid", O_WRONLY), comm = open("/proc/self/comm", O_WRONLY);
    SHOW(access("/proc/self/sessionid", W_OK | X_OK));
    fflush(stdout);
    if (fork() == 0) {
        int fd = open("/proc/self/loginuid", O_RDWR);
        SHOW(number_in("/proc/self/loginuid"));
        SHOW(write(other, "1000", 4));
        SHOW(write(comm, "another", 7));
        SHOW(write(fd, "x", 1));
        SHOW(write(fd, "-1", 2));
        SHOW(write(fd, "4294967296", 10));
        SHOW(setresuid(1000, 1000, 1000));
        SHOW(pwrite(fd, "1234\n", 5, 0));
        SHOW(number_in("/proc/self/loginuid"));
        unsigned session = number_in("/proc/self/sessionid");
        SHOW_TRUE(session != UINT_MAX);
        SHOW(pwrite(fd, "1000", 4, 0));
        fflush(stdout);
        if (fork() == 0) {
            SHOW(number_in("/proc/self/loginuid"));
            SHOW_TRUE(number_in("/proc/thread-self/sessionid") == session);
            fflush(stdout);
            _exit(0);
        }
        wait(NULL);
        _exit(0);
    }
    wait(NULL);
    SHOW(number_in("/proc/self/loginuid"));
    close(other);
    close(comm);
}

/* A sample is taken every 5 seconds; a parent in vfork(2) counts, as those who run do. */
static void loads(void)
{
    section("load averages");
    if (vfork() == 0) {
        nanosleep(&(struct timespec){.tv_sec = 5, .tv_nsec = 500000000}, NULL);
        _exit(0);
    }
    wait(NULL);
    double average[3];
    struct sysinfo info;
    SHOW(getloadavg(average, 3));
    SHOW(sysinfo(&info));
    SHOW_TRUE(average[0] > 0 && average[0] >= (double)info.loads[0] / 65536 - 0.1);
    SHOW_TRUE(info.loads[0] > 0 && info.loads[2] > 0);
}

static void show_cpus(void)
{
    cpu_set_t old, one;
    char line[256];
    section("Cpus_allowed");
    sched_getaffinity(0, sizeof old, &old);
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    SHOW(sched_setaffinity(0, sizeof one, &one));
    FILE *f = fopen("/proc/self/status", "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, "Cpus_allowed", 12) == 0)
            printf("%.*s %lx\n", (int)(strchr(line, ':') - line), line, strtoul(strpbrk(line + strlen(line) - 2, "0123456789"), NULL, 16));
    if (f != NULL)
        fclose(f);
    SHOW(sched_setaffinity(0, sizeof old, &old));
}

/* What a descriptor is open for is in the mode of its link, where lsof looks; a file system is below those without a path, too. */
static void descriptor_links(void)
{
    section("links of descriptors");
    int ends[2];
    SHOW(pipe(ends));
    const int fds[] = {ends[0], ends[1], open("/dev/null", O_RDWR), open("/dev/null", O_PATH), socket(AF_INET, SOCK_DGRAM, 0), eventfd(0, 0),
                       memfd_create("m", 0), open("/proc/self/comm", O_RDONLY)};
    for (unsigned i = 0; i < sizeof fds / sizeof fds[0]; i++) {
        char name[32];
        struct stat st;
        struct statfs fs = {0};
        snprintf(name, sizeof name, "/proc/self/fd/%d", fds[i]);
        SHOW(lstat(name, &st));
        SHOW(st.st_mode);
        SHOW(fstatfs(fds[i], &fs));
        SHOW(fs.f_type);
        close(fds[i]);
    }
    struct statfs fs;
    SHOW(fstatfs(99, &fs));
    int again = open("/dev/null", O_WRONLY); /* the same number for something else */
    char name[32];
    struct stat st;
    snprintf(name, sizeof name, "/proc/self/fd/%d", again);
    SHOW(lstat(name, &st));
    SHOW(st.st_mode);
    close(again);
}

/* A process that has changed its user has root's files in /proc/self, but for who it is; its descriptors stay its own (smbd opens all files by them). */
static void own_proc_as_another(void)
{
    section("/proc/self of another user");
    static const char *const names[] = {"", "/task", "/fd", "/fdinfo", "/status", "/environ"};
    fflush(stdout);
    if (fork() == 0) {
        char name[64];
        struct stat st;
        int fd = open("/etc/passwd", O_PATH);
        SHOW(setresuid(1000, 1000, 1000));
        for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
            snprintf(name, sizeof name, "/proc/%d%s", getpid(), names[i]);
            st = (struct stat){0};
            stat(name, &st);
            printf("%s: %o of %u, %d\n", names[i], st.st_mode, st.st_uid, access(name, R_OK));
        }
        snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
        SHOW(open(name, O_RDONLY) >= 0);
        SHOW(readlink(name, (char[64]){0}, 64));
        snprintf(name, sizeof name, "/proc/thread-self/fd/%d", fd);
        SHOW(access(name, R_OK));
        snprintf(name, sizeof name, "/proc/self/fdinfo/%d", fd);
        SHOW(open(name, O_RDONLY) >= 0);
        SHOW(open("/proc/self/fd", O_RDONLY | O_DIRECTORY) >= 0);
        snprintf(name, sizeof name, "/proc/%d/fd", getppid());
        SHOW(open(name, O_RDONLY | O_DIRECTORY));
        SHOW(access(name, X_OK));
        snprintf(name, sizeof name, "/proc/%d/fdinfo", getppid());
        SHOW(open(name, O_RDONLY | O_DIRECTORY));
        snprintf(name, sizeof name, "/proc/%d/fdinfo/0", getppid());
        SHOW(open(name, O_RDONLY));
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
}

static unsigned mode_of(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 ? st.st_mode : 0;
}

/* Links to files whose numbers are the namespaces'. */
static void namespaces(void)
{
    section("namespaces");
    static const struct { const char *name, *shown; int type; } kinds[] = {
        {"cgroup", "cgroup", CLONE_NEWCGROUP}, {"ipc", "ipc", CLONE_NEWIPC}, {"mnt", "mnt", CLONE_NEWNS}, {"net", "net", CLONE_NEWNET}, {"pid", "pid", CLONE_NEWPID},
        {"pid_for_children", "pid", CLONE_NEWPID}, {"time", "time", CLONE_NEWTIME}, {"time_for_children", "time", CLONE_NEWTIME}, {"user", "user", CLONE_NEWUSER}, {"uts", "uts", CLONE_NEWUTS},
    };
    int entries = 0;
    DIR *d = opendir("/proc/self/ns");
    while (d != NULL && readdir(d) != NULL)
        entries++;
    closedir(d);
    SHOW(entries);
    printf("%o\n", mode_of("/proc/self/ns"));
    for (int i = 0; i < (int)(sizeof kinds / sizeof *kinds); i++) {
        char path[64], text[64] = "", open_text[64] = "", want[64], fd_path[64];
        struct stat st, user;
        snprintf(path, sizeof path, "/proc/self/ns/%s", kinds[i].name);
        int fd = open(path, O_RDONLY);
        snprintf(fd_path, sizeof fd_path, "/proc/self/fd/%d", fd);
        fstat(fd, &st);
        snprintf(want, sizeof want, "%s:[%lu]", kinds[i].shown, (unsigned long)st.st_ino);
        readlink(path, text, sizeof text - 1);
        readlink(fd_path, open_text, sizeof open_text - 1);
        printf("%s: %o %o, link %d, open file %d, type %d", kinds[i].name, mode_of(path), st.st_mode, strcmp(text, want) == 0, strcmp(open_text, want) == 0, ioctl(fd, 0xb703) == kinds[i].type);
        int owner = ioctl(fd, 0xb701);
        printf(", owner %s", owner >= 0 ? "told" : strerrorname_np(errno));
        if (owner >= 0)
            printf(" %d", fstat(owner, &st) == 0 && stat("/proc/self/ns/user", &user) == 0 && user.st_ino == st.st_ino && (fcntl(owner, F_GETFD) & FD_CLOEXEC));
        close(owner);
        printf(", parent %s", ioctl(fd, 0xb702) >= 0 ? "told" : strerrorname_np(errno));
        printf(", other %s\n", ioctl(fd, 0xb7ff) >= 0 ? "0" : strerrorname_np(errno));
        close(fd);
    }
    SHOW(open("/proc/self/ns/other", O_RDONLY));
    printf("%o %o %o %o\n", mode_of("/proc/self/personality"), mode_of("/proc/self/io"), mode_of("/proc/self/auxv"), mode_of("/proc/self/environ"));
}

/* The length of its text, which it counts when it has been read. */
static unsigned long get_io(const char *path, unsigned long io[7])
{
    char text[512] = "";
    int fd = open(path, O_RDONLY);
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    memset(io, 0, 7 * sizeof *io);
    sscanf(text, "rchar: %lu wchar: %lu syscr: %lu syscw: %lu read_bytes: %lu write_bytes: %lu cancelled_write_bytes: %lu", &io[0], &io[1], &io[2], &io[3], &io[4], &io[5], &io[6]);
    return n > 0 ? (unsigned long)n : 0;
}

static void *io_of_thread(void *fd)
{
    char buf[100];
    for (int i = 0; i < 5; i++)
        pread(*(int *)fd, buf, 100, 0);
    return NULL;
}

/* What a few calls count: bytes, calls. */
static void io_counts(void)
{
    section("io");
    unsigned long a[7], b[7], own[7], own_after[7];
    char buf[1000] = "", path[64];
    int fd = open("/tmp/io-counts", O_RDWR | O_CREAT | O_TRUNC, 0600), p[2], out = open("/dev/null", O_WRONLY), st;
    pthread_t t;
    struct iovec v[2] = {{buf, 300}, {buf, 200}};
    off_t off = 0;
    snprintf(path, sizeof path, "/proc/self/task/%d/io", (int)getpid());
    pipe(p);
#define COUNTED(call) do { \
        unsigned long n = get_io("/proc/self/io", a); \
        long r = (call); \
        get_io("/proc/self/io", b); \
        printf(#call " = %ld: %lu %lu, %lu %lu\n", r, b[0] - a[0] - n, b[1] - a[1], b[2] - a[2] - 1, b[3] - a[3]); \
    } while (0)
    COUNTED(0);
    COUNTED(write(fd, buf, 1000));
    COUNTED(pwrite(fd, buf, 500, 1000));
    COUNTED(writev(fd, v, 2));
    COUNTED(pread(fd, buf, 800, 0));
    COUNTED(preadv(fd, v, 2, 0));
    COUNTED(read(-1, buf, 10));
    COUNTED(readv(-1, v, 2));
    COUNTED(write(-1, buf, 10));
    COUNTED(read(out, buf, 10));
    COUNTED(write(p[1], buf, 100));
    COUNTED(read(p[0], buf, 100));
    COUNTED(sendfile(out, fd, &off, 700));
    COUNTED(copy_file_range(fd, NULL, out, NULL, 10, 0));
    COUNTED(write(fd, NULL, 0));
    COUNTED(write(fd, (void *)8, 10));
    get_io(path, own);
    pthread_create(&t, NULL, io_of_thread, &fd);
    pthread_join(t, NULL);
    get_io(path, own_after);
    printf("of another thread: %d\n", own_after[2] - own[2] < 5);
    COUNTED((pthread_create(&t, NULL, io_of_thread, &fd), pthread_join(t, NULL)));
    COUNTED(fork() == 0 ? (pwrite(fd, buf, 300, 0), _exit(0), 0) : (waitpid(-1, &st, 0) > 0));
    close(fd);
    close(out);
    unlink("/tmp/io-counts");
}

int main(int argc, char **argv)
{
    if (argc == 6) { /* what the end of this program made of itself */
        SHOW_STR(argv[1]);
        for (int i = 2; i < argc; i++)
            SHOW(strlen(argv[i]));
        return (int)strlen(environ[1]) & 63;
    }
    disk_priorities();
    scheduling();
    show_cpus();
    logins();
    loads();
    namespaces();
    io_counts();
    section("identity");
    SHOW_TRUE(getpid() > 0 && getpid() == gettid());
    SHOW(getuid());
    SHOW(geteuid());
    SHOW(setuid(0));
    SHOW(setresuid(-1, -1, -1));
    uid_t r, e, s;
    SHOW(getresuid(&r, &e, &s));
    SHOW(r + e + s);
    SHOW(getresuid((void *)8, &e, &s));
    unsigned header[2] = {0x20080522, 0};
    SHOW(syscall(SYS_capget, header, NULL));
    gid_t groups[4] = {1, 2, 3, 4};
    SHOW(setgroups(4, groups));
    SHOW(getgroups(0, NULL));
    SHOW(getgroups(2, groups));
    SHOW(setgroups(-1, groups));
    SHOW(getpgid(999999));
    SHOW(setpgid(-1, 0));
    SHOW(getsid(999999));
    SHOW(wait(NULL));
    SHOW(waitpid(-1, NULL, WNOHANG));
    SHOW(waitpid(-1, NULL, 0x777));

    section("system");
    struct utsname u;
    SHOW(uname(&u));
    SHOW_STR(u.sysname);
    SHOW_STR(u.machine);
    SHOW(uname((void *)8));
    struct sysinfo si;
    SHOW(sysinfo(&si));
    SHOW_TRUE(si.totalram > 0 && si.mem_unit > 0);
    SHOW(sysconf(_SC_PAGESIZE));
    SHOW(sysconf(_SC_CLK_TCK));
    SHOW_TRUE(sysconf(_SC_NPROCESSORS_ONLN) >= 1);
    struct rusage ru;
    SHOW(getrusage(RUSAGE_SELF, &ru));
    SHOW(getrusage(RUSAGE_THREAD, &ru));
    SHOW(getrusage(77, &ru));
    struct tms t;
    SHOW_OK(times(&t));
    SHOW(getrandom(buf, 100, 0));
    SHOW(getrandom(buf, 100, GRND_NONBLOCK));
    SHOW(getrandom(buf, 100, 0x777));
    SHOW(getrandom((void *)8, 100, 0));
    SHOW(syscall(9999));
    SHOW(syscall(-1L));
    SHOW(gethostname(buf, sizeof buf));

    section("auxiliary vector");
    SHOW(getauxval(AT_PAGESZ));
    SHOW(getauxval(AT_CLKTCK));
    SHOW(getauxval(AT_SECURE));
    SHOW(getauxval(AT_UID));
    SHOW_TRUE(getauxval(AT_PHDR) != 0 && getauxval(AT_PHNUM) > 0 && getauxval(AT_PHENT) == sizeof(Elf64_Phdr));
    SHOW_TRUE(getauxval(AT_RANDOM) != 0);
    SHOW_TRUE(getauxval(AT_SYSINFO_EHDR) != 0);
    SHOW_TRUE(getauxval(AT_ENTRY) != 0);
    SHOW_TRUE(strcmp((char *)getauxval(AT_PLATFORM), "x86_64") == 0);
    SHOW_TRUE(getauxval(AT_EXECFN) != 0);
    SHOW_TRUE(((uintptr_t)__builtin_frame_address(0) & 15) == 0);

    section("prctl");
    SHOW(prctl(PR_SET_DUMPABLE, 1));
    SHOW(prctl(PR_GET_DUMPABLE));
    SHOW(prctl(PR_SET_DUMPABLE, 7));
    SHOW(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
    SHOW(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
    SHOW(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
    int sig = 77;
    SHOW(prctl(PR_GET_PDEATHSIG, &sig));
    SHOW(sig);
    SHOW(prctl(PR_SET_PDEATHSIG, 99));

    section("proc");
    SHOW_TRUE(file_has("/proc/self/status", "Threads:") == 1);
    SHOW_TRUE(file_has("/proc/self/status", "VmRSS:") == 1);
    SHOW_TRUE(file_has("/proc/self/maps", "[stack]") == 1);
    SHOW_TRUE(file_has("/proc/self/maps", "[vdso]") == 1);
    SHOW_TRUE(file_has("/proc/self/maps", "libc.so.6") == 1);
    SHOW_TRUE(file_has("/proc/self/stat", "(process)") == 1);
    SHOW_TRUE(file_has("/proc/meminfo", "MemTotal:") == 1);
    SHOW_TRUE(file_has("/proc/cpuinfo", "flags") == 1);
    SHOW_TRUE(file_has("/proc/mounts", "proc") == 1);
    SHOW_TRUE(file_has("/proc/stat", "btime") == 1);
    SHOW_TRUE(file_has("/proc/uptime", ".") == 1);
    SHOW_TRUE(file_has("/proc/loadavg", "/") == 1);
    SHOW_TRUE(file_has("/proc/version", "Linux version") == 1);
    SHOW_TRUE(file_has("/proc/sys/vm/overcommit_memory", "\n") == 1);
    SHOW_TRUE(file_has("/proc/sys/net/core/somaxconn", "\n") == 1);
    SHOW_TRUE(file_has("/proc/net/tcp", "local_address") == 1);
    SHOW_TRUE(file_has("/proc/net/tcp6", "local_address") == 1);
    SHOW_TRUE(file_has("/proc/net/udp", "local_address") == 1);
    SHOW_TRUE(file_has("/proc/net/unix", "RefCount") == 1);
    SHOW_TRUE(file_has("/proc/net/dev", "lo:") == 1);
    SHOW_TRUE(file_has("/proc/net/route", "Gateway") == 1);
    SHOW_TRUE(file_has("/proc/net/arp", "HW address") == 1);
    SHOW_TRUE(file_has("/proc/net/sockstat", "TCP: inuse") == 1);
    SHOW_TRUE(file_has("/proc/net/snmp", "RetransSegs") == 1);
    SHOW_TRUE(file_has("/proc/missing", "") == -1);
    SHOW_TRUE(readlink("/proc/self/exe", buf, sizeof buf) > 0);
    int fd = open("/dev/null", O_RDONLY);
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    memset(buf, 0, 64);
    SHOW(readlink(name, buf, sizeof buf));
    SHOW_STR(buf);
    struct stat st;
    SHOW(stat("/proc/self/fd/99", &st));
    SHOW(stat("/proc/999999", &st));
    SHOW(open("/proc/self/maps", O_WRONLY | O_CREAT, 0600) == -1);
    file_has("/proc/self/comm", "");
    SHOW_STR(buf);
    descriptor_links();
    own_proc_as_another();
    clocks();
    limits();
    section("large arguments");
    static char big[100001];
    memset(big, 'a', sizeof big - 1);
    char *args[] = {"process", "large", big, big, big, big, NULL}, *env[] = {"X=1", big, NULL};
    if (argc == 1)
        SHOW(execve("/proc/self/exe", args, env));
    return argc > 1 ? atoi(argv[1]) : 0;
}
