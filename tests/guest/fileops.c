/* SPDX-License-Identifier: Apache-2.0 */
/* Flags and edges of calls on files and memory that few programs use: they must work or be refused as on Linux. */
#include "t.h"
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>

static void whole(const char *name, const char *text)
{
    int f = open(name, O_CREAT | O_WRONLY | O_TRUNC, 0644);
    write(f, text, strlen(text));
    close(f);
}

/* What a descriptor that is a place only is good for. */
static void opened_as_place(void)
{
    section("O_PATH");
    char text[8];
    struct stat st;
    struct statfs fs;
    struct itimerspec its;
    struct pollfd pfd;
    struct epoll_event ev = {.events = EPOLLIN};
    whole("place", "content");
    mkdir("places", 0755);
    int f = open("place", O_PATH), d = open("places", O_PATH | O_DIRECTORY), whole_file = open("place", O_RDWR), ep = epoll_create1(0), pair[2];
    SHOW(read(f, text, 1));
    SHOW(write(f, text, 1));
    SHOW(pread(f, text, 1, 0));
    SHOW(pwrite(f, text, 1, 0));
    SHOW(readv(f, &(struct iovec){text, 1}, 1));
    SHOW(preadv(f, &(struct iovec){text, 1}, 1, 0));
    SHOW(lseek(f, 0, SEEK_SET));
    SHOW(lseek(f, 0, 99));
    SHOW(ftruncate(f, 1));
    SHOW(fallocate(f, 0, 0, 1));
    SHOW(posix_fadvise(f, 0, 1, POSIX_FADV_NORMAL));
    SHOW(readahead(f, 0, 1));
    SHOW(sync_file_range(f, 0, 1, 0));
    SHOW(fsync(f));
    SHOW(fdatasync(f));
    SHOW(syncfs(f));
    SHOW(flock(f, LOCK_SH));
    SHOW(sendfile(whole_file, f, NULL, 1));
    SHOW(copy_file_range(f, NULL, whole_file, NULL, 1, 0));
    SHOW(fchmod(f, 0600));
    SHOW(fchown(f, -1, -1));
    SHOW(futimens(f, NULL));
    SHOW(fsetxattr(f, "user.x", "", 0, 0));
    SHOW(fgetxattr(f, "user.x", text, sizeof text));
    SHOW(ioctl(f, FIGETBSZ, text));
    SHOW(ioctl(f, 0x5451)); /* FIOCLEX */
    SHOW(syscall(SYS_getdents64, d, text, sizeof text));
    SHOW_TRUE(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, f, 0) == MAP_FAILED && errno == EBADF);
    SHOW(inotify_add_watch(f, "place", 1));
    SHOW(inotify_rm_watch(f, 1));
    SHOW(timerfd_gettime(f, &its));
    SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, f, &ev));
    SHOW(epoll_ctl(f, EPOLL_CTL_ADD, ep, &ev));
    SHOW(epoll_wait(f, &ev, 1, 0));
    SHOW(listen(f, 1));
    SHOW(syscall(SYS_io_uring_enter, f, 1, 0, 0, NULL, 0));
    SHOW(fcntl(f, F_SETFL, O_APPEND));
    SHOW(fcntl(f, F_GETOWN));
    pfd = (struct pollfd){.fd = f, .events = POLLIN};
    SHOW(poll(&pfd, 1, 0));
    SHOW(pfd.revents);
    fd_set set;
    FD_ZERO(&set);
    FD_SET(f, &set);
    SHOW(select(f + 1, &set, NULL, NULL, &(struct timeval){0}));
    SHOW(fstat(f, &st));
    SHOW(st.st_size);
    SHOW(fstatfs(f, &fs));
    SHOW(fcntl(f, F_GETFD));
    SHOW_TRUE(fcntl(f, F_GETFL) & O_PATH);
    SHOW_OK(dup(f));
    SHOW_OK(dup2(f, 100));
    SHOW_OK(fcntl(f, F_DUPFD, 3));
    SHOW(faccessat(d, ".", R_OK, 0));
    SHOW_OK(openat(d, ".", O_RDONLY | O_DIRECTORY));
    SHOW(fchdir(d));
    SHOW(chdir(".."));
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    char space[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec one = {text, 1};
    struct msghdr m = {.msg_iov = &one, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    *c = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof f)};
    memcpy(CMSG_DATA(c), &f, sizeof f);
    SHOW(sendmsg(pair[0], &m, 0));
    for (int i = 3; i < 120; i++)
        close(i);
    unlink("place");
    rmdir("places");
}

#define GET_RW_HINT 1035
#define SET_RW_HINT 1036

static void write_hints(void)
{
    section("F_SET_RW_HINT");
    uint64_t hint = 77;
    int block = 0;
    whole("hinted", "x");
    int f = open("hinted", O_RDONLY), g = open("hinted", O_RDWR), p[2];
    pipe(p);
    SHOW(fcntl(f, GET_RW_HINT, &hint));
    SHOW(hint);
    for (hint = 0; hint < 8; hint++)
        SHOW(fcntl(g, SET_RW_HINT, &hint));
    hint = 0x100000001;
    SHOW(fcntl(g, SET_RW_HINT, &hint));
    SHOW(fcntl(g, SET_RW_HINT, NULL));
    SHOW(fcntl(f, GET_RW_HINT, NULL));
    SHOW(fcntl(f, GET_RW_HINT, &hint));
    SHOW(hint);
    hint = 2;
    SHOW(fcntl(f, SET_RW_HINT, &hint)); /* it is only read here */
    hint = 0;
    SHOW(fcntl(g, GET_RW_HINT, &hint));
    SHOW(hint);
    SHOW(fcntl(f, 1037, &hint));
    SHOW(fcntl(f, 1038, &hint));
    hint = 3;
    SHOW(fcntl(p[0], SET_RW_HINT, &hint));
    hint = 0;
    SHOW(fcntl(p[1], GET_RW_HINT, &hint));
    SHOW(hint);
    setfsuid(1000);
    SHOW(fcntl(g, SET_RW_HINT, &hint));
    SHOW(fcntl(g, GET_RW_HINT, &hint));
    setfsuid(0);
    SHOW(ioctl(f, FIGETBSZ, &block));
    SHOW(block);
    SHOW(ioctl(p[0], FIGETBSZ, &block));
    SHOW(block);
    SHOW(ioctl(f, FIGETBSZ, NULL));
    int fds[] = {f, g, p[0], p[1]};
    for (int i = 0; i < 4; i++)
        close(fds[i]);
    unlink("hinted");
}

/* What is said first of several things that are wrong. */
static void wrong_arguments(void)
{
    section("wrong arguments");
    struct sched_param param;
    struct rlimit rl = {2, 1};
    void *last = (void *)-4096L;
    SHOW(syscall(SYS_getrlimit, -1, NULL));
    SHOW(syscall(SYS_getrlimit, 0, NULL));
    SHOW(syscall(SYS_prlimit64, 99999999, 99, NULL, NULL));
    SHOW(syscall(SYS_prlimit64, 0, 99, &rl, NULL));
    SHOW(syscall(SYS_prlimit64, 0, 99, (void *)8, NULL));
    SHOW(syscall(SYS_prlimit64, 0, RLIMIT_CORE, &rl, NULL));
    SHOW(sched_getparam(0, NULL));
    SHOW(sched_getparam(-1, &param));
    SHOW(sched_getparam(99999999, &param));
    SHOW(syscall(SYS_utime, NULL, NULL));
    SHOW(syscall(SYS_utimes, NULL, NULL));
    SHOW(syscall(SYS_futimesat, AT_FDCWD, NULL, NULL));
    SHOW(syscall(SYS_futimesat, 99, NULL, NULL));
    SHOW(syscall(SYS_utimensat, AT_FDCWD, NULL, NULL, 0));
    SHOW(syscall(SYS_utimensat, AT_FDCWD, NULL, NULL, AT_SYMLINK_NOFOLLOW));
    SHOW(socket(0, 0, 0));
    SHOW(socket(0, -1, 0));
    SHOW(socket(0, 11, 0));
    SHOW(socket(AF_INET, 0, 0));
    SHOW(socket(AF_INET6, 0, 0));
    SHOW(socket(AF_UNIX, 0, 0));
    SHOW(socket(AF_NETLINK, 0, 0));
    SHOW(socket(AF_PACKET, 0, 0));
    SHOW(mlock(last, 4096));
    SHOW(mlock(last, 0));
    SHOW(mlock((void *)-1L, 0));
    SHOW(munlock((void *)-1L, 1));
    SHOW(mlock(last - 4096, 4096));
    SHOW(mlock(NULL, 0));
    SHOW(madvise(last - 4096, 4096, 99));
    SHOW(madvise(last - 4096, 4096, MADV_NORMAL));
    SHOW(madvise(last - 4095, 4096, MADV_NORMAL));
    SHOW(process_vm_readv(99999999, NULL, 0, NULL, 0, 0));
    SHOW(process_vm_readv(99999999, &(struct iovec){&rl, 1}, 1, &(struct iovec){&rl, 1}, 1, 0));
    SHOW(process_vm_readv(99999999, NULL, 0, NULL, 0, 1));
    SHOW(syscall(SYS_setitimer, 99, 8, NULL));
    SHOW(syscall(SYS_setitimer, 99, NULL, NULL));
    SHOW(syscall(SYS_getitimer, 99, 8));
    SHOW(syscall(SYS_timer_create, 99, 8, NULL));
    SHOW(syscall(SYS_timer_create, CLOCK_MONOTONIC_RAW, 8, NULL));
    SHOW(syscall(SYS_timer_create, CLOCK_MONOTONIC_RAW, NULL, NULL));
    SHOW(syscall(SYS_timer_create, 99, NULL, NULL));
    SHOW(syscall(SYS_timerfd_settime, 99, 99, 8, NULL));
    SHOW(syscall(SYS_timerfd_settime, 99, 99, &(struct itimerspec){{0}}, NULL));
    SHOW(syscall(SYS_timerfd_settime, 99, 0, &(struct itimerspec){{0}}, NULL));
    SHOW(syscall(SYS_timerfd_settime, 0, 0, 8, NULL));
    SHOW(syscall(SYS_timerfd_create, 99, -1));
    SHOW(syscall(SYS_timer_settime, 99, 99, 8, NULL));
    SHOW(syscall(SYS_timer_settime, 99, 0, NULL, NULL));
}

static void tmpfile_link(void)
{
    section("O_TMPFILE");
    char path[64];
    SHOW(open(".", O_TMPFILE | O_RDONLY, 0600));
    SHOW(open(".", O_TMPFILE | O_RDWR | O_CREAT, 0600));
    whole("plain", "x");
    SHOW(open("plain", O_TMPFILE | O_RDWR, 0600));
    SHOW(open("missing", O_TMPFILE | O_RDWR, 0600));
    int f = open(".", O_TMPFILE | O_RDWR, 0640), x = open(".", O_TMPFILE | O_WRONLY | O_EXCL, 0600);
    struct stat st;
    fstat(f, &st);
    printf("mode %o nlink %lu\n", st.st_mode, (unsigned long)st.st_nlink);
    SHOW(write(f, "hello", 5));
    snprintf(path, sizeof path, "/proc/self/fd/%d", f);
    SHOW(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
    SHOW(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
    SHOW(linkat(f, "", AT_FDCWD, "second", AT_EMPTY_PATH));
    fstat(f, &st);
    printf("nlink %lu\n", (unsigned long)st.st_nlink);
    snprintf(path, sizeof path, "/proc/self/fd/%d", x);
    SHOW(linkat(AT_FDCWD, path, AT_FDCWD, "never", AT_SYMLINK_FOLLOW));
    unlink("named");
    unlink("second");
    SHOW(linkat(f, "", AT_FDCWD, "third", AT_EMPTY_PATH));
    SHOW(unlink("third"));
    close(f);
    close(x);
    unlink("plain");
}

static void renames(void)
{
    section("renameat2");
    struct stat st;
    whole("a", "a");
    whole("b", "b");
    mkdir("d", 0755);
    SHOW(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE));
    SHOW(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_NOREPLACE | RENAME_EXCHANGE));
    SHOW(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", RENAME_EXCHANGE | RENAME_WHITEOUT));
    SHOW(renameat2(AT_FDCWD, "a", AT_FDCWD, "b", 8));
    SHOW(renameat2(AT_FDCWD, "a", AT_FDCWD, "d", RENAME_EXCHANGE));
    SHOW(stat("a", &st) == 0 && S_ISDIR(st.st_mode));
    SHOW(renameat2(AT_FDCWD, "a", AT_FDCWD, "missing", RENAME_EXCHANGE));
    SHOW(renameat2(AT_FDCWD, "missing", AT_FDCWD, "a", RENAME_EXCHANGE));
    SHOW(renameat2(AT_FDCWD, "d", AT_FDCWD, "a", 0));
    SHOW(renameat2(AT_FDCWD, "a", AT_FDCWD, "d", 0));
    rmdir("a");
    unlink("b");
    unlink("d");
}

static void whiteouts(void)
{
    section("RENAME_WHITEOUT");
    struct stat st;
    SHOW(mkdir("w", 0755));
    SHOW(mount("none", "w", "tmpfs", 0, NULL));
    mkdir("w/in", 0755), mkdir("w/d", 0755);
    whole("w/a", "a"), whole("w/b", "bb");
    SHOW(link("w/b", "w/same"));
    SHOW(renameat2(AT_FDCWD, "w/a", AT_FDCWD, "w/b", RENAME_WHITEOUT | RENAME_NOREPLACE));
    SHOW(renameat2(AT_FDCWD, "w/a", AT_FDCWD, "w/b", RENAME_WHITEOUT | RENAME_EXCHANGE));
    SHOW(renameat2(AT_FDCWD, "w/b", AT_FDCWD, "w/same", RENAME_WHITEOUT));
    SHOW(stat("w/b", &st) == 0 && S_ISREG(st.st_mode));
    stat("w", &st);
    long size = st.st_size;
    SHOW(renameat2(AT_FDCWD, "w/a", AT_FDCWD, "w/in/moved", RENAME_WHITEOUT | RENAME_NOREPLACE));
    SHOW(stat("w/in/moved", &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 1);
    SHOW(lstat("w/a", &st));
    printf("mode %o device %lx links %lu\n", st.st_mode, (unsigned long)st.st_rdev, (unsigned long)st.st_nlink);
    SHOW(stat("w", &st) == 0 && st.st_size == size);
    SHOW(open("w/a", O_RDONLY));
    SHOW(open("w/a", O_CREAT | O_EXCL | O_RDWR, 0600));
    SHOW(renameat2(AT_FDCWD, "w/d", AT_FDCWD, "w/b", RENAME_WHITEOUT));
    SHOW(renameat2(AT_FDCWD, "w/d", AT_FDCWD, "w/in/d", RENAME_WHITEOUT));
    SHOW(lstat("w/d", &st) == 0 && S_ISCHR(st.st_mode));
    stat("w", &st);
    SHOW(st.st_nlink);
    SHOW(rename("w/b", "w/a"));
    SHOW(rmdir("w/d"));
    SHOW(unlink("w/d"));
    SHOW(chmod("w", 0777) == 0 && chmod(".", 0711) == 0);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        setresuid(1000, 1000, 1000);
        SHOW(mknod("w/own", S_IFCHR | 0600, 0));
        SHOW(mknod("w/dev", S_IFCHR | 0600, 1));
        SHOW(mknod("w/dev", S_IFBLK | 0600, 0));
        SHOW(rename("w/own", "w/o"));
        SHOW(renameat2(AT_FDCWD, "w/o", AT_FDCWD, "w/own", RENAME_WHITEOUT));
        SHOW(lstat("w/o", &st) == 0 && st.st_uid == 1000);
        fflush(stdout);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    SHOW(umount("w"));
    rmdir("w");
}

static long how(const char *name, uint64_t flags, uint64_t mode, uint64_t resolve)
{
    struct open_how h = {flags, mode, resolve};
    long fd = syscall(SYS_openat2, AT_FDCWD, name, &h, sizeof h);
    if (fd >= 0)
        close((int)fd);
    return fd < 0 ? -1 : 0;
}

static void opens(void)
{
    section("openat2");
    mkdir("o", 0755);
    mkdir("o/in", 0755);
    whole("o/file", "x");
    symlink("file", "o/link");
    symlink("../o/file", "o/up");
    symlink("/etc/passwd", "o/abs");
    SHOW(how("o/file", O_RDONLY, 0, 0));
    SHOW(how("o/file", O_RDONLY, 0600, 0));
    SHOW(how("o/file", O_RDONLY | (1ULL << 40), 0, 0));
    SHOW(how("o/file", O_RDONLY, 0, 0x40));
    SHOW(how("o/file", O_CREAT | O_RDWR, 010000, 0));
    SHOW(how("o/link", O_RDONLY, 0, RESOLVE_NO_SYMLINKS));
    SHOW(how("o/link", O_RDONLY, 0, RESOLVE_BENEATH));
    SHOW(how("o/up", O_RDONLY, 0, RESOLVE_BENEATH));
    SHOW(how("o/abs", O_RDONLY, 0, RESOLVE_BENEATH));
    SHOW(how("o/../o/file", O_RDONLY, 0, RESOLVE_BENEATH));
    SHOW(how("../o", O_RDONLY, 0, RESOLVE_BENEATH));
    SHOW(how("/etc", O_RDONLY, 0, RESOLVE_BENEATH));
    SHOW(how("/o/file", O_RDONLY, 0, RESOLVE_IN_ROOT));
    SHOW(how("../../../o/file", O_RDONLY, 0, RESOLVE_IN_ROOT));
    SHOW(how("o/abs", O_RDONLY, 0, RESOLVE_IN_ROOT));
    SHOW(how("o", O_RDONLY, 0, RESOLVE_IN_ROOT | RESOLVE_BENEATH));
    SHOW(how("/proc/self/exe", O_RDONLY, 0, RESOLVE_NO_MAGICLINKS));
    SHOW(how("/proc/self/fd/0", O_RDONLY, 0, RESOLVE_NO_MAGICLINKS));
    SHOW(how("/proc", O_RDONLY, 0, RESOLVE_NO_XDEV));
    SHOW(how("o/file", O_RDONLY, 0, RESOLVE_NO_XDEV));
    unlink("o/file");
    unlink("o/link");
    unlink("o/up");
    unlink("o/abs");
    rmdir("o/in");
    rmdir("o");
}

static void vectors(void)
{
    section("preadv2, pwritev2");
    char buf[8] = "abcd";
    struct iovec v = {buf, 4};
    int f = open("v", O_CREAT | O_RDWR, 0600), p[2];
    pipe(p);
    SHOW(pwritev2(f, &v, 1, 0, RWF_SYNC));
    SHOW(pwritev2(f, &v, 1, 0, RWF_DSYNC));
    SHOW(pwritev2(f, &v, 1, 0, RWF_APPEND));
    SHOW(lseek(f, 0, SEEK_END));
    SHOW(pwritev2(f, &v, 1, -1, RWF_APPEND));
    SHOW(lseek(f, 0, SEEK_CUR));
    SHOW(pwritev2(p[1], &v, 1, -1, RWF_APPEND));
    SHOW(read(p[0], buf, 8));
    SHOW(pwritev2(f, &v, 1, -2, 0));
    SHOW(pwritev2(f, &v, 1, 0, 0x10000));
    SHOW(preadv2(f, &v, 1, 0, RWF_HIPRI));
    SHOW(preadv2(f, &v, 1, 0, 0));
    SHOW(preadv2(p[0], &v, 1, -1, RWF_NOWAIT));
    SHOW(preadv2(p[0], &v, 1, 0, 0));
    SHOW(write(p[1], "xy", 2));
    SHOW(preadv2(p[0], &v, 1, -1, RWF_NOWAIT));
    SHOW(preadv2(f, &v, -1, 0, 0));
    SHOW(preadv2(f, &v, 1025, 0, 0));
    SHOW(preadv2(f, NULL, 0, 0, 0));
    close(f);
    close(p[0]);
    close(p[1]);
    unlink("v");
}

static long lock(int fd, int cmd, short type, long start, long len)
{
    struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
    return fcntl(fd, cmd, &l);
}

/* What is in the way of a write lock on all of it: type, start, length. */
static void show_first(int fd)
{
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int r = fcntl(fd, F_OFD_GETLK, &l);
    printf("first: %d, type %d at %ld, %ld\n", r, l.l_type, (long)l.l_start, (long)l.l_len);
}

static void lock_ranges(void)
{
    static const struct { short type; long start, len; } steps[] = {
        {F_WRLCK, 20, 10}, {F_WRLCK, 10, 10}, {F_WRLCK, 40, 10}, {F_WRLCK, 30, 10}, {F_RDLCK, 50, 10}, {F_RDLCK, 0, 10},
        {F_RDLCK, 15, 5}, {F_WRLCK, 0, 10}, {F_UNLCK, 12, 1}, {F_WRLCK, 12, 1}, {F_UNLCK, 0, 12}, {F_WRLCK, 100, 0}, {F_UNLCK, 0, 60}, {F_WRLCK, 60, 40},
    };
    section("ranges of locks");
    int f = open("ranges", O_CREAT | O_RDWR, 0600), g = open("ranges", O_RDWR);
    for (unsigned i = 0; i < sizeof steps / sizeof *steps; i++) {
        SHOW(lock(f, F_OFD_SETLK, steps[i].type, steps[i].start, steps[i].len));
        show_first(g);
    }
    close(f);
    show_first(g);
    close(g);
    unlink("ranges");
}

static void locks(void)
{
    section("locks and leases");
    int f = open("l", O_CREAT | O_RDWR, 0600), g = open("l", O_RDWR), p[2];
    pipe(p);
    SHOW(lock(f, F_OFD_SETLK, F_WRLCK, 0, 10));
    SHOW(lock(g, F_OFD_SETLK, F_WRLCK, 5, 10));
    SHOW(lock(g, F_OFD_SETLK, F_RDLCK, 10, 10));
    SHOW(lock(g, F_SETLK, F_WRLCK, 5, 1));
    SHOW(lock(f, F_OFD_SETLK, F_UNLCK, 0, 0));
    SHOW(lock(g, F_SETLK, F_WRLCK, 0, 1));
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_pid = 7};
    SHOW(fcntl(f, F_OFD_GETLK, &l));
    SHOW(lock(f, F_SETLK, 9, 0, 1));
    SHOW(lock(f, F_SETLK, F_WRLCK, -5, 1));
    fflush(stdout);
    pid_t pid = fork();
    char c;
    if (pid == 0) {
        close(p[0]);
        lock(f, F_SETLKW, F_WRLCK, 100, 1);
        write(p[1], "x", 1);
        lock(f, F_SETLKW, F_WRLCK, 0, 1); /* the parent has it */
        _exit(0);
    }
    read(p[0], &c, 1);
    usleep(50000);
    SHOW(lock(f, F_SETLKW, F_WRLCK, 100, 1));
    lock(f, F_SETLK, F_UNLCK, 0, 0);
    waitpid(pid, NULL, 0);
    SHOW(fcntl(f, F_GETLEASE));
    SHOW(fcntl(p[0], F_SETLEASE, F_RDLCK));
    SHOW(fcntl(f, F_SETLEASE, 99));
    SHOW(fcntl(f, 77777));
    close(f);
    close(g);
    close(p[0]);
    close(p[1]);
    unlink("l");
}

static volatile long waits_tid;

static void *wait_for_lock(void *fd)
{
    waits_tid = gettid();
    return (void *)(lock(*(int *)fd, F_SETLKW, F_WRLCK, 0, 1) == 0 ? 0 : (long)errno);
}

/* 0 if another process can have the lock now. */
static int locked_by_other(int f)
{
    int status;
    pid_t pid = fork();
    if (pid == 0)
        _exit(lock(f, F_SETLK, F_WRLCK, 0, 1) == 0 ? 0 : errno);
    waitpid(pid, &status, 0);
    return WEXITSTATUS(status);
}

static void lock_behind_close(void)
{
    section("a lock that comes when its descriptor is closed");
    int f = open("l", O_CREAT | O_RDWR, 0600), g = open("l", O_RDWR), ready[2], go[2];
    pthread_t t;
    void *err;
    char c;
    pipe(ready);
    pipe(go);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        lock(f, F_SETLK, F_WRLCK, 0, 1);
        write(ready[1], "x", 1);
        read(go[0], &c, 1);
        _exit(0);
    }
    read(ready[0], &c, 1);
    SHOW(locked_by_other(f) == EAGAIN);
    pthread_create(&t, NULL, wait_for_lock, &g);
    until_asleep(&waits_tid);
    SHOW(close(g));
    write(go[1], "x", 1);
    waitpid(pid, NULL, 0);
    pthread_join(t, &err);
    SHOW((long)err == EBADF);
    SHOW(locked_by_other(f));
    close(f);
    for (int i = 0; i < 2; i++) {
        close(ready[i]);
        close(go[i]);
    }
    unlink("l");
}

static void refused(void)
{
    section("refused");
    SHOW(mount("none", "/nowhere", "tmpfs", 0, NULL) == -1 && errno == ENOENT);
    SHOW(syscall(SYS_umount2, "/nowhere", 0));
    SHOW(syscall(SYS_copy_file_range, -1, NULL, -1, NULL, 1, 1));
    SHOW(syscall(SYS_sync_file_range, -1, 0, 0, 0));
    SHOW(syscall(SYS_membarrier, 3, 0, 0));
    SHOW(syscall(SYS_membarrier, 8, 1, 0));
    SHOW(syscall(SYS_membarrier, 8, 0, 0));
    SHOW(syscall(SYS_membarrier, 16, 0, 0));
    SHOW(syscall(SYS_membarrier, 8, 0, 0));
    SHOW(syscall(SYS_membarrier, 2, 0, 0));
    SHOW(syscall(SYS_membarrier, 4, 0, 0));
    SHOW(syscall(SYS_membarrier, 32, 0, 0));
    SHOW(syscall(SYS_membarrier, 64, 0, 0));
    SHOW(syscall(SYS_membarrier, 32, 0, 0));
}

static void memory(void)
{
    section("memory");
    long page = 4096;
    char *p = mmap(NULL, 8 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    unsigned char vec[8];
    memset(p, 1, 8 * page);
    for (int a = 0; a < 25; a++)
        if (a != 12 && a != 13) { /* merging pages: not on every Linux */
            char text[32];
            snprintf(text, sizeof text, "madvise %d", a);
            errno = 0;
            show(text, madvise(p + 4 * page, page, a));
        }
    SHOW(madvise(p + 1, page, MADV_DONTNEED));
    SHOW(madvise(p, 0, MADV_DONTNEED));
    SHOW(madvise(p, -1, MADV_DONTNEED));
    SHOW(mincore(p, 4 * page, vec));
    SHOW(vec[0] & 1);
    SHOW(mincore(p + 1, page, vec));
    SHOW(mincore(p, page, (void *)8));
    SHOW(mlock(p, page));
    SHOW(syscall(SYS_mlock2, p, page, 1));
    SHOW(syscall(SYS_mlock2, p, page, 2));
    SHOW(munlock(p, page));
    SHOW(mlockall(0));
    SHOW(mlockall(8));
    SHOW(mlockall(4));
    SHOW_TRUE(mmap(p, page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED && errno == EEXIST);
    SHOW_TRUE(mmap(NULL, page, PROT_READ, MAP_PRIVATE, -1, 0) == MAP_FAILED && errno == EBADF);
    SHOW_TRUE(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EINVAL);
    SHOW_TRUE(mmap(NULL, page, PROT_READ, MAP_ANONYMOUS, -1, 0) == MAP_FAILED && errno == EINVAL);
    int f = open("m", O_CREAT | O_RDWR, 0600);
    ftruncate(f, page);
    SHOW_TRUE(mmap(NULL, page, PROT_READ, MAP_SHARED_VALIDATE | 0x80000, f, 0) == MAP_FAILED && errno == EOPNOTSUPP);
    close(f);
    unlink("m");
    SHOW_TRUE(mremap(p, page, page, 4) == MAP_FAILED && errno == EINVAL);
    SHOW_TRUE(mremap(p, page, 2 * page, 0) == MAP_FAILED && errno == ENOMEM);
    SHOW_TRUE(mremap(p, page, page, 8) == MAP_FAILED && errno == EINVAL);
    SHOW_TRUE(mremap(p + 1, page, page, 0) == MAP_FAILED && errno == EINVAL);
    SHOW_TRUE(mremap(p, page, 0, 0) == MAP_FAILED && errno == EINVAL);
    SHOW_TRUE(mremap(p, 2 * page, 2 * page, MREMAP_MAYMOVE | MREMAP_FIXED, p + page) == MAP_FAILED && errno == EINVAL);
    char *q = mremap(p, page, page, MREMAP_MAYMOVE | 4, NULL); /* MREMAP_DONTUNMAP */
    SHOW_TRUE(q != MAP_FAILED && q != p && q[0] == 1 && p[0] == 0);
    SHOW_TRUE(mremap(q, page, 3 * page, MREMAP_MAYMOVE) != MAP_FAILED);
    SHOW(mprotect(p, page, 0x40));
    SHOW(mprotect(p + 1, page, PROT_READ));
    SHOW(msync(p, page, MS_SYNC | MS_ASYNC));
    SHOW(munmap(p, 0));
    SHOW(munmap(p, 8 * page));
}

static int xfsz;
static void count_xfsz(int sig) { xfsz++; }

static void size_limit(void)
{
    section("the limit of a file's size");
    static const struct rlimit few = {100, RLIM_INFINITY}, none = {RLIM_INFINITY, RLIM_INFINITY};
    int f = open("limited", O_CREAT | O_RDWR, 0600), a = open("limited", O_WRONLY | O_APPEND);
    char buf[200] = {0};
    signal(SIGXFSZ, count_xfsz);
    setrlimit(RLIMIT_FSIZE, &few);
    SHOW(write(f, buf, 90));
    SHOW(write(f, buf, 20)); /* what fits */
    SHOW(xfsz);
    SHOW(write(f, buf, 1));
    SHOW(xfsz);
    SHOW(pwrite(f, buf, 0, 200));
    SHOW(pwrite(f, buf, 1, 200));
    SHOW(pwrite(f, buf, 5, 98));
    SHOW(write(a, buf, 1));
    SHOW(xfsz);
    SHOW(ftruncate(f, 100));
    SHOW(xfsz);
    SHOW(ftruncate(f, 101));
    SHOW(truncate("limited", 1000));
    SHOW(xfsz);
    SHOW(ftruncate(f, -1));
    SHOW(xfsz);
    SHOW(fallocate(f, 0, 90, 10));
    SHOW(fallocate(f, 0, 90, 11));
    SHOW(xfsz);
    SHOW(ftruncate(f, 0));
    signal(SIGXFSZ, SIG_IGN);
    SHOW(pwrite(f, buf, 1, 100));
    signal(SIGXFSZ, SIG_DFL);
    pid_t child = fork();
    if (child == 0)
        _exit(pwrite(f, buf, 1, 100) == 1);
    int status;
    waitpid(child, &status, 0);
    SHOW_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ);
    setrlimit(RLIMIT_FSIZE, &none);
    close(f), close(a);
    unlink("limited");
}

/* Which error comes first, and what is none. */
static void which_error(void)
{
    section("which error");
    struct iovec bad = {"x", -1}, none = {"x", 0};
    struct timespec omit[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}}, now[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
    int p[2], broken[2], one = open("one", O_CREAT | O_RDWR, 0644), two = open("two", O_CREAT | O_RDWR, 0644), path = open("one", O_PATH), neither = open("one", O_ACCMODE), m = memfd_create("m", 0);
    off_t zero = 0, far = 50000;
    write(one, "hello", 5);
    pipe2(p, O_NONBLOCK);
    pipe2(broken, O_NONBLOCK);
    close(broken[0]);
    signal(SIGPIPE, SIG_IGN);
    SHOW(preadv(path, &bad, 1, 0));
    SHOW(syscall(SYS_preadv2, one, &none, 1, -1L, 0, 0x8000));
    SHOW(pwrite(one, "xxxx", 4, INT64_MAX - 1));
    SHOW(vmsplice(one, &none, 1, 0));
    SHOW(splice(one, NULL, broken[1], NULL, 10, 0));
    SHOW(splice(p[0], NULL, broken[1], NULL, 10, SPLICE_F_NONBLOCK));
    SHOW(splice(-1, NULL, p[1], NULL, 0, 64));
    SHOW(splice(one, NULL, two, NULL, 1, 0));
    SHOW(splice(path, NULL, two, NULL, 1, 0));
    SHOW(tee(p[0], broken[1], 1, 0));
    SHOW(sendfile(-1, p[0], &zero, 1));
    SHOW(sendfile(broken[1], one, NULL, 0x1000));
    lseek(one, 0, SEEK_SET);
    SHOW(copy_file_range(one, &zero, one, &far, 0, 0));
    far = 3;
    zero = 10;
    SHOW(copy_file_range(one, &zero, one, &far, 100, 0));
    zero = 0;
    SHOW(copy_file_range(one, &zero, m, NULL, 1, 0));
    SHOW(flock(one, 32 | LOCK_NB));
    SHOW(flock(neither, LOCK_SH | LOCK_NB));
    SHOW(flock(neither, LOCK_UN));
    SHOW(fallocate(path, 0, 0, 1));
    SHOW(fallocate(-1, 0, 0, 0));
    int only = open("one", O_RDONLY);
    SHOW(fallocate(only, 2, 0, 1));
    SHOW(fallocate(only, 0, 0, 1));
    SHOW(utimensat(AT_FDCWD, "missing", omit, 0x8000));
    SHOW(utimensat(AT_FDCWD, "missing", now, 0x8000));
    SHOW(setxattr("missing", "user.a", "", 65537, 0));
    SHOW(setxattr("missing", "user.a", "", 1, 8));
    SHOW(getxattr("missing", "", NULL, 0));
    char room[100];
    SHOW(syscall(SYS_getdents64, two, room, sizeof room));
    int out = open("two", O_WRONLY);
    SHOW(syscall(SYS_getdents64, out, room, sizeof room));
    SHOW(fcntl(only, F_ADD_SEALS, 0));
    SHOW((fcntl(m, F_GETFL) & 0100000) != 0);
    int both[2], t = open(".", O_TMPFILE | O_RDWR, 0600);
    SHOW((fcntl(t, F_GETFL) & O_TMPFILE) == O_TMPFILE);
    pipe2(both, O_DIRECT);
    SHOW((fcntl(both[0], F_GETFL) & O_DIRECT) != 0);
    SHOW((fcntl(both[1], F_GETFL) & O_DIRECT) != 0);

    struct stat st;
    SHOW(fchmod(p[0], 0640));
    SHOW(fchown(p[1], 1000, 1001));
    SHOW(fstat(p[0], &st));
    printf("pipe %o %u:%u\n", st.st_mode, st.st_uid, st.st_gid);
    SHOW(fchdir(p[0]));
    for (int fd = one; fd <= both[1]; fd++)
        close(fd);
    unlink("one");
    unlink("two");
}

/* A hole that is sent stays one; whose file system it is not keeps no rights of root's. */
static void holes_and_users(void)
{
    section("holes and users");
    struct stat st;
    int m = memfd_create("m", 0), o = memfd_create("o", 0);
    ftruncate(m, 65536);
    SHOW(sendfile(o, m, NULL, 20000));
    fstat(m, &st);
    SHOW((long)st.st_blocks);
    SHOW(fallocate(m, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 100, 4096));
    fstat(m, &st);
    SHOW((long)st.st_blocks); /* zeros are there already */
    close(m);
    close(o);
    SHOW(mkfifo("fifo", 0644));
    SHOW(open("fifo", O_ACCMODE));
    unlink("fifo");
    whole("mine", "x");
    chmod("mine", 0600);
    if (geteuid() == 0) {
        SHOW(setfsuid(1000));
        SHOW(open("mine", O_RDONLY));
        SHOW(chmod("mine", 0644));
        SHOW(linkat(-1, "", AT_FDCWD, "other", AT_EMPTY_PATH) == -1 && (errno == ENOENT || errno == EBADF)); /* the latter since Linux 6.10 */
        SHOW(rename("mine", "mine"));
        SHOW(setfsuid(0));
        SHOW(chmod("mine", 0644));
    }
    unlink("mine");
}

static long filled(int p[2], unsigned pages)
{
    pipe2(p, O_NONBLOCK);
    return fcntl(p[1], F_SETPIPE_SZ, pages * 4096);
}

/* What a splice puts into a pipe is a part of its own there: a write does not go on behind it, and it takes as much room as a page. */
static void parts_of_pipes(void)
{
    section("parts of pipes");
    int p[2], q[2], f = memfd_create("m", 0), n;
    char text[8192], got[8192];
    for (unsigned i = 0; i < sizeof text; i++)
        text[i] = 'a' + i % 26;
    write(f, text, sizeof text);
    signal(SIGPIPE, SIG_IGN);

    SHOW(filled(p, 2));
    SHOW(write(p[1], text, 100));
    SHOW(write(p[1], text, 4096 + 100)); /* the first 100 behind those */
    SHOW(write(p[1], text, 1));
    SHOW(read(p[0], got, 1));
    SHOW(write(p[1], text, 1));
    SHOW(read(p[0], got, sizeof got));

    SHOW(splice(f, &(off_t){10}, p[1], NULL, 10, 0));
    SHOW(write(p[1], text, 1));
    SHOW(write(p[1], text, 1));
    SHOW(sendfile(p[1], f, &(off_t){0}, 1));
    SHOW(fcntl(p[1], F_SETPIPE_SZ, 4096));
    pwrite(f, "CHANGED", 7, 10);
    SHOW(read(p[0], got, sizeof got));
    SHOW(memcmp(got, "CHANGED", 7)); /* it is the file's page */

    struct iovec parts[] = {{text + 1, 1}, {text, 0}, {text + 5, 1}};
    SHOW(vmsplice(p[1], parts, 3, SPLICE_F_NONBLOCK));
    SHOW(vmsplice(p[1], parts, 1, SPLICE_F_NONBLOCK));
    SHOW(filled(q, 1));
    SHOW(tee(p[0], q[1], 10, 0));
    SHOW(tee(p[0], q[1], 10, 0));
    SHOW(splice(p[0], NULL, q[1], NULL, 10, 0));
    SHOW(read(q[0], got, 10));
    SHOW(splice(p[0], NULL, q[1], NULL, 10, 0));
    SHOW(read(q[0], got, 10));

    write(p[1], text, 10);
    struct iovec nowhere[] = {{got, 5}, {NULL, 5}};
    SHOW(readv(p[0], nowhere, 2)); /* all of a part or nothing */
    SHOW(vmsplice(p[0], nowhere, 2, 0));
    SHOW(ioctl(p[0], FIONREAD, &n));
    SHOW(n);
    nowhere[0].iov_base = text;
    SHOW(writev(p[1], nowhere, 2));
    read(p[0], got, sizeof got);

    close(q[0]);
    SHOW(splice(f, &(off_t){100000}, q[1], NULL, 1, 0));
    SHOW(sendfile(q[1], f, &(off_t){100000}, 1));
    SHOW(sendfile(q[1], p[0], NULL, 1));
    close(p[1]);
    SHOW(tee(p[0], q[1], 1, 0));
    SHOW(sendfile(f, f, &(off_t){INT64_MAX}, 10));
    SHOW(pwritev2(q[1], parts, 1, -1, 2 /* RWF_DSYNC */));
    close(p[0]);
    close(q[1]);

    SHOW(mkfifo("fifo", 0644));
    int fifo = open("fifo", O_RDWR | O_NONBLOCK);
    struct stat st;
    futimens(fifo, (struct timespec[]){{1, 0}, {2, 0}});
    write(fifo, "x", 1);
    fstat(fifo, &st);
    SHOW(st.st_atim.tv_sec == 1 && st.st_mtim.tv_sec > 2);
    read(fifo, got, 1);
    fstat(fifo, &st);
    SHOW(st.st_atim.tv_sec > 2);
    close(fifo);
    close(f);
    unlink("fifo");
}

/* Of several things that are wrong, the one that is told, again; and set-ID bits, for whom they stay. */
static void which_error_of_names(void)
{
    section("names: which error");
    char buf[10];
    struct stat st;
    whole("plain", "x");
    int fd = open("plain", O_RDONLY), path = open("plain", O_PATH);
    SHOW(readlink("", buf, 10));
    SHOW(readlinkat(fd, "", buf, 10));
    SHOW(openat(-1, "", O_RDONLY));
    SHOW(symlinkat("x", -1, ""));
    SHOW(faccessat(-1, "", 0, 0));
    SHOW(renameat(AT_FDCWD, "missing/x", -1, "y"));
    SHOW(renameat(AT_FDCWD, "missing/x", AT_FDCWD, ""));
    SHOW(linkat(AT_FDCWD, "missing", -1, "y", 0));
    struct open_how how = {.flags = O_CREAT | O_DIRECTORY};
    SHOW(syscall(SYS_openat2, -1, "x", &how, sizeof how));
    SHOW(pwrite(-1, "", 1, -1));
    SHOW(pread(path, buf, 1, 0));
    SHOW(lseek(path, 0, 9));
    SHOW(lseek(fd, INT64_MAX, SEEK_END));
    SHOW(sync_file_range(fd, INT64_MAX, 10, 2));
    SHOW(posix_fadvise(path, 0, 1, 0));
    SHOW(fstatat(fd, "", &st, AT_EMPTY_PATH | 0x8000));
    SHOW(fstatat(AT_FDCWD, "", &st, AT_EMPTY_PATH | 0x8000));
    struct flock l = {.l_type = F_WRLCK, .l_pid = 1};
    SHOW(fcntl(fd, F_OFD_SETLK, &l));
    mkfifo("fifo", 0644);
    SHOW(getxattr("fifo", "user.", buf, 1));
    SHOW(rmdir("."));
    mkdir("gone", 0755);
    chdir("gone");
    SHOW(rmdir("../gone"));
    SHOW(syscall(SYS_getcwd, buf, sizeof buf));
    chdir("..");
    int m = memfd_create("m", MFD_ALLOW_SEALING);
    if (fcntl(m, F_ADD_SEALS, 32 /* F_SEAL_EXEC */) == 0) { /* since Linux 6.3 */
        SHOW(fcntl(m, F_GET_SEALS));
        SHOW(fchmod(m, 0600));
        SHOW(fchmod(m, 0755));
    }
    close(m);
    if (geteuid() == 0) {
        chmod("plain", 06755);
        SHOW(chown("plain", -1, -1));
        stat("plain", &st);
        printf("mode %o\n", st.st_mode);
        chmod("plain", 06755);
        chown(".", 1000, -1);
        chown("plain", 1000, -1);
        chmod("plain", 06777);
        setfsuid(1000);
        int by_user = open("plain", O_RDWR);
        setfsuid(0);
        SHOW(write(by_user, "x", 1)); /* who writes counts, not who opened */
        fstat(by_user, &st);
        printf("mode %o\n", st.st_mode);
        close(by_user);
        setfsuid(1001);
        SHOW(mknod("null", S_IFCHR | 0600, 0x103));
        SHOW(mknod("plain", S_IFCHR | 0600, 0x103));
        SHOW(link("fifo", "missing/x"));
        setfsuid(0);
        chown(".", 0, -1);
    }
    close(fd);
    close(path);
    unlink("plain");
    unlink("fifo");
}

int main(void)
{
    char dir[] = "/tmp/fileops-XXXXXX";
    if (mkdtemp(dir) == NULL || chdir(dir) != 0)
        return 1;
    opened_as_place();
    wrong_arguments();
    write_hints();
    tmpfile_link();
    renames();
    whiteouts();
    opens();
    vectors();
    lock_ranges();
    locks();
    lock_behind_close();
    refused();
    memory();
    size_limit();
    which_error();
    holes_and_users();
    parts_of_pipes();
    which_error_of_names();
    chdir("/");
    return rmdir(dir) != 0;
}
