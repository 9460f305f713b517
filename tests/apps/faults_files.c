/* SPDX-License-Identifier: Apache-2.0 */
/* Names, open files, their contents, and what waits for them. */
#define _GNU_SOURCE
#include "faults.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <time.h>
#include <utime.h>

#define DIR_ "/tmp/faults"
#define FILE_ DIR_ "/file"
#define OTHER DIR_ "/other"
#define LONG_ DIR_ "/a-name-that-is-longer-than-what-fits-into-the-entry-of-a-directory-itself"

static char buf[8192];

static void make_file(void) { close(open(FILE_, O_CREAT | O_RDWR, 0600)); }

static void names(void)
{
    struct stat st;
    struct statx sx;
    mkdir(DIR_, 0700);
    also_errno(ENOSPC); /* as Linux says it of an inode */
    EACH(open(FILE_, O_CREAT | O_RDWR, 0600)) { close_fd(a.r); unlink(FILE_); }
    EACH(RAW(creat, LONG_, 0600)) { close_fd(a.r); unlink(LONG_); }
    EACH(open(DIR_, O_TMPFILE | O_RDWR, 0600)) close_fd(a.r);
    EACH(mkdir(OTHER, 0700)) rmdir(OTHER);
    EACH(mknod(OTHER, S_IFIFO | 0600, 0)) unlink(OTHER);
    EACH(mknod(OTHER, S_IFCHR | 0600, 0x103)) unlink(OTHER);
    EACH(symlink("there", OTHER)) unlink(OTHER);
    EACH(symlink(LONG_ LONG_, OTHER)) unlink(OTHER);
    make_file();
    EACH(link(FILE_, OTHER)) unlink(OTHER);
    EACH(rename(FILE_, LONG_)) { rename(LONG_, FILE_); }
    EACH(RAW(renameat2, AT_FDCWD, FILE_, AT_FDCWD, "/tmp", 2)) ; /* exchange: across parents */
    rename("/tmp/faults", DIR_);
    make_file();
    EACH(unlink(FILE_)) make_file();
    mkdir(OTHER, 0700);
    EACH(rmdir(OTHER)) mkdir(OTHER, 0700);
    rmdir(OTHER);
    make_file();
    symlink(FILE_, OTHER);
    EACH(stat(OTHER, &st)) ;
    EACH(lstat(OTHER, &st)) ;
    EACH(readlink(OTHER, buf, sizeof buf)) ;
    EACH(RAW(statx, AT_FDCWD, OTHER, 0, STATX_ALL, &sx)) ;
    EACH(access(OTHER, R_OK)) ;
    EACH(chmod(FILE_, 0640)) ;
    EACH(chown(FILE_, 0, 0)) ;
    EACH(lchown(OTHER, 0, 0)) ;
    EACH(utime(FILE_, NULL)) ;
    EACH(utimensat(AT_FDCWD, OTHER, NULL, AT_SYMLINK_NOFOLLOW)) ;
    EACH(truncate(FILE_, 100000)) ;
    EACH(truncate(FILE_, 10)) ;
    EACH(setxattr(FILE_, "user.x", buf, 100, 0)) removexattr(FILE_, "user.x");
    setxattr(FILE_, "user.y", buf, 100, 0);
    EACH(getxattr(FILE_, "user.y", buf, sizeof buf)) ;
    EACH(listxattr(FILE_, buf, sizeof buf)) ;
    EACH(removexattr(FILE_, "user.y")) setxattr(FILE_, "user.y", buf, 10, 0);
    EACH(chdir(DIR_)) chdir("/");
    EACH(RAW(getcwd, buf, sizeof buf)) ;
    struct statfs sf;
    EACH(statfs(FILE_, &sf)) ;
    struct { struct file_handle h; char more[128]; } fh = {.h.handle_bytes = 128};
    int mount_id;
    if (name_to_handle_at(AT_FDCWD, FILE_, &fh.h, &mount_id, 0) == 0)
        EACH(name_to_handle_at(AT_FDCWD, FILE_, &fh.h, &mount_id, 0)) ;
    struct { unsigned long flags, mode, resolve; } how = {O_RDONLY, 0, 0};
    EACH(RAW(openat2, AT_FDCWD, FILE_, &how, sizeof how)) close_fd(a.r);
    unlink(OTHER);
    unlink(FILE_);
    rmdir(DIR_);
    also_errno(0);
}

/* The image's own, over which the root lies: copied up. */
static void lower(void)
{
    struct stat st;
    int fd = open("/", O_RDONLY | O_DIRECTORY);
    EACH(open("/etc/ld.so.cache", O_RDONLY)) close_fd(a.r);
    EACH((lseek(fd, 0, SEEK_SET), RAW(getdents64, fd, buf, sizeof buf))) ;
    EACH(stat("/proc/self/exe", &st)) ;
    EACH(stat("/usr/../usr/../usr", &st)) ;
    close(fd);
}

static void contents(void)
{
    struct iovec v[2] = {{buf, 5000}, {buf + 5000, 3000}};
    mkdir(DIR_, 0700);
    make_file();
    int fd = open(FILE_, O_RDWR), other = open(OTHER, O_CREAT | O_RDWR, 0600), p[2];
    struct stat st;
    EACH(pwrite(fd, buf, 8000, 0)) ftruncate(fd, 0);
    EACH(pwritev(fd, v, 2, 100)) ftruncate(fd, 0);
    EACH(pwrite(fd, buf, 1, 1 << 30)) ftruncate(fd, 0);
    EACH(posix_fallocate(fd, 0, 20000)) ftruncate(fd, 0);
    EACH(ftruncate(fd, 70000)) ;
    pwrite(fd, buf, 8000, 60000);
    EACH(ftruncate(fd, 65000)) pwrite(fd, buf, 8000, 60000);
    EACH(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 61000, 3000)) ;
    EACH(pread(fd, buf, 8000, 59000)) ;
    EACH(preadv(fd, v, 2, 59000)) ;
    EACH(pread(fd, buf, 8000, 1000)) ; /* a hole */
    EACH(fsync(fd)) ;
    EACH(fstat(fd, &st)) ;
    EACH(lseek(fd, 0, SEEK_DATA)) ;
    EACH(copy_file_range(fd, &(off_t){60000}, other, &(off_t){0}, 7000, 0)) ftruncate(other, 0);
    EACH(sendfile(other, fd, &(off_t){60000}, 7000)) { ftruncate(other, 0); lseek(other, 0, SEEK_SET); }
    EACH(readahead(fd, 0, 70000)) ;
    EACH(posix_fadvise(fd, 0, 0, POSIX_FADV_WILLNEED)) ;
    EACH(pipe(p)) close_fds(p, a.r == 0 ? 2 : 0);
    pipe2(p, O_NONBLOCK);
    EACH(write(p[1], buf, 6000)) (void)!read(p[0], buf, sizeof buf);
    EACH(vmsplice(p[1], v, 1, 0)) (void)!read(p[0], buf, sizeof buf);
    EACH(splice(fd, &(off_t){60000}, p[1], NULL, 6000, 0)) (void)!read(p[0], buf, sizeof buf);
    (void)!write(p[1], buf, 3000);
    int q[2];
    pipe2(q, O_NONBLOCK);
    EACH(tee(p[0], q[1], 3000, 0)) (void)!read(q[0], buf, sizeof buf);
    EACH(splice(p[0], NULL, other, &(off_t){0}, 3000, 0)) (void)!write(p[1], buf, 3000);
    EACH(fcntl(q[1], F_SETPIPE_SZ, 1 << 18)) fcntl(q[1], F_SETPIPE_SZ, 4096);
    EACH(ioctl(p[0], FIONREAD, &(int){0})) ;
    EACH(ioctl(p[0], FIOASYNC, &(int){1})) ioctl(p[0], FIOASYNC, &(int){0});
    close_fds(p, 2);
    close_fds(q, 2);
    EACH(memfd_create("faults", MFD_ALLOW_SEALING)) close_fd(a.r);
    close(fd);
    close(other);
    unlink(FILE_);
    unlink(OTHER);
    rmdir(DIR_);
}

static void descriptors(void)
{
    struct flock l = {.l_type = F_WRLCK, .l_len = 10}, u = {.l_type = F_UNLCK, .l_start = 3, .l_len = 2};
    int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600), other;
    EACH(dup(fd)) close_fd(a.r);
    EACH(dup2(fd, 300)) close_fd(a.r); /* the table grows: once in a process */
    EACH(fcntl(fd, F_DUPFD_CLOEXEC, 200)) close_fd(a.r);
    also_errno(ENOLCK);
    EACH(fcntl(fd, F_SETLK, &l)) fcntl(fd, F_SETLK, &(struct flock){.l_type = F_UNLCK});
    fcntl(fd, F_SETLK, &l);
    EACH(fcntl(fd, F_SETLK, &u)) fcntl(fd, F_SETLK, &l); /* one in two */
    EACH(fcntl(fd, F_OFD_SETLK, &l)) ;
    EACH(flock(fd, LOCK_EX)) flock(fd, LOCK_UN);
    also_errno(0);
    EACH(fcntl(fd, F_SETOWN, getpid())) ;
    EACH(fcntl(fd, F_SETLEASE, F_WRLCK) * 0) fcntl(fd, F_SETLEASE, F_UNLCK);
    close(fd);
    fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY);
    EACH((lseek(fd, 0, SEEK_SET), RAW(getdents64, fd, buf, sizeof buf))) ;
    close(fd);
    fd = inotify_init();
    EACH(inotify_init1(0)) close_fd(a.r);
    EACH(inotify_add_watch(fd, "/tmp", IN_ALL_EVENTS)) inotify_rm_watch(fd, (int)a.r);
    inotify_add_watch(fd, "/tmp", IN_ALL_EVENTS);
    also_errno(ENOSPC);
    EACH(mkdir(DIR_, 0700)) rmdir(DIR_); /* tells it */
    also_errno(0);
    close(fd);
    EACH(open("/dev/null", O_RDWR)) close_fd(a.r);
    EACH(open("/dev/ptmx", O_RDWR | O_NOCTTY)) close_fd(a.r);
    fd = open("/dev/ptmx", O_RDWR | O_NOCTTY);
    ioctl(fd, TIOCSPTLCK, &(int){0});
    EACH(ioctl(fd, TIOCGPTPEER, O_RDWR | O_NOCTTY)) close_fd(a.r);
    if ((other = ioctl(fd, TIOCGPTPEER, O_RDWR | O_NOCTTY)) >= 0) {
        EACH(write(other, buf, 100)) if (a.r > 0) (void)!read(fd, buf, sizeof buf);
        EACH(write(fd, "abc\n", 4)) ;
        close(other);
    }
    close(fd);
}

static void proc(void)
{
    static const char *const all[] = {"/proc/self/stat", "/proc/self/status", "/proc/self/maps", "/proc/self/smaps", "/proc/meminfo", "/proc/slabinfo",
        "/proc/stat", "/proc/mounts", "/proc/net/tcp", "/proc/net/unix", "/proc/net/dev", "/proc/self/cmdline", "/proc/self/environ", "/proc/cpuinfo",
        "/proc/interrupts", "/proc/locks", "/proc/self/fdinfo/1", "/proc/lock_stat", "/sys/class/net/lo/address", "/proc/sys/kernel/pid_max"};
    for (unsigned i = 0; i < sizeof all / sizeof all[0]; i++) {
        EACH(open(all[i], O_RDONLY) >= 0 || errno != ENOMEM ? 0 : -1) { int fd = dup(0); for (int k = 3; k <= fd; k++) if (fcntl(k, F_GETFD) == 0) close(k); }
        int fd = open(all[i], O_RDONLY);
        if (fd >= 0)
            EACH(pread(fd, buf, sizeof buf, 0)) ;
        close_fd(fd);
    }
}

static void events(void)
{
    int e = epoll_create1(0), ev = eventfd(1, 0), inner = epoll_create1(0), p[2];
    struct epoll_event want = {.events = EPOLLIN}, got[4];
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pipe(p);
    EACH(epoll_create1(0)) close_fd(a.r);
    EACH(eventfd(0, 0)) close_fd(a.r);
    EACH(timerfd_create(CLOCK_MONOTONIC, 0)) close_fd(a.r);
    EACH(timerfd_create(CLOCK_REALTIME, 0)) close_fd(a.r);
    EACH(signalfd(-1, &set, 0)) close_fd(a.r);
    EACH(epoll_ctl(e, EPOLL_CTL_ADD, ev, &want)) epoll_ctl(e, EPOLL_CTL_DEL, ev, NULL);
    EACH(epoll_ctl(e, EPOLL_CTL_ADD, inner, &want)) epoll_ctl(e, EPOLL_CTL_DEL, inner, NULL);
    epoll_ctl(e, EPOLL_CTL_ADD, ev, &want);
    EACH(epoll_wait(e, got, 4, 1)) ;
    EACH(epoll_pwait(e, got, 4, 1, &set)) ;
    struct pollfd f[20] = {{ev, POLLIN}};
    for (int i = 1; i < 20; i++)
        f[i] = (struct pollfd){p[0], POLLIN};
    EACH(poll(f, 20, 1)) ;
    f[0].fd = p[0];
    EACH(poll(f, 20, 1)) ;
    fd_set in;
    FD_ZERO(&in);
    EACH((FD_SET(p[0], &in), select(p[0] + 1, &in, NULL, NULL, &(struct timeval){0, 1000}))) ;
    int t = timerfd_create(CLOCK_REALTIME, 0);
    EACH(timerfd_settime(t, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &(struct itimerspec){.it_value.tv_sec = 1l << 32}, NULL)) ;
    close(t);
    close(e);
    close(ev);
    close(inner);
    close_fds(p, 2);
}

static void mounts(void)
{
    mkdir("/tmp/faults-mount", 0700);
    EACH(mount("none", "/tmp/faults-mount", "tmpfs", 0, "size=1m")) umount("/tmp/faults-mount");
    EACH(mount("none", "/tmp/faults-mount", "proc", 0, NULL)) umount("/tmp/faults-mount");
    EACH(mount("/proc", "/tmp/faults-mount", NULL, MS_BIND, NULL)) umount("/tmp/faults-mount");
    mount("none", "/tmp/faults-mount", "tmpfs", 0, NULL);
    EACH(mount(NULL, "/tmp/faults-mount", NULL, MS_REMOUNT | MS_RDONLY, NULL)) ;
    EACH(umount("/tmp/faults-mount")) mount("none", "/tmp/faults-mount", "tmpfs", 0, NULL);
    while (umount("/tmp/faults-mount") == 0)
        ;
    rmdir("/tmp/faults-mount");
}

const struct family families_files[] = {{"names", names}, {"lower", lower}, {"contents", contents}, {"descriptors", descriptors}, {"proc", proc},
                                        {"events", events}, {"mounts", mounts}, {NULL, NULL}};
