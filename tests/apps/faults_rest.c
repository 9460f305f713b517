/* SPDX-License-Identifier: Apache-2.0 */
/* The calls that the other families do not make, so that each of the kernel's table is made (faults.py looks). */
#define _GNU_SOURCE
#include "faults.h"
#include "parts.h"

#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/kcmp.h>
#include <linux/reboot.h>
#include <linux/seccomp.h>
#include <mqueue.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/rseq.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include <sys/timex.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <utime.h>

#define DIR_ "/tmp/faults-rest"
#define FILE_ DIR_ "/file"
#define LINK_ DIR_ "/link"
#define OTHER DIR_ "/other"

static char buf[8192];

/* --- files ------------------------------------------------------------------------------------------- */

static void names_at(int dir)
{
    struct stat st;
    also_errno(ENOSPC);
    EACH(mkdirat(dir, "other", 0700)) unlinkat(dir, "other", AT_REMOVEDIR);
    EACH(RAW(mknod, OTHER, S_IFIFO | 0600, 0)) unlink(OTHER);
    EACH(linkat(dir, "file", dir, "other", 0)) unlink(OTHER);
    EACH(symlinkat("there", dir, "other")) unlink(OTHER);
    EACH(renameat(dir, "file", dir, "other")) rename(OTHER, FILE_);
    EACH(unlinkat(dir, "file", 0)) close(open(FILE_, O_CREAT | O_RDWR, 0600));
    also_errno(0);
    EACH(readlinkat(dir, "link", buf, sizeof buf)) ;
    EACH(fchownat(dir, "file", 0, 0, 0)) ;
    EACH(RAW(fchmodat, dir, "file", 0600)) ;
    EACH(RAW(faccessat, dir, "file", R_OK)) ;
    EACH(RAW(faccessat2, dir, "file", R_OK, AT_EACCESS)) ;
    EACH(RAW(futimesat, dir, "file", NULL)) ;
    EACH(RAW(utimes, FILE_, (struct timeval[2]){{1, 1}, {2, 2}})) ;
    EACH(RAW(utime, FILE_, &(struct utimbuf){1, 2})) ;
    EACH(RAW(open, FILE_, O_RDONLY)) close_fd(a.r);
    EACH(RAW(stat, FILE_, &st)) ;
    EACH(RAW(lstat, LINK_, &st)) ;
    EACH((lseek(dir, 0, SEEK_SET), RAW(getdents, dir, buf, sizeof buf))) ;
    EACH(fchdir(dir)) chdir("/");
    EACH(chroot("/")) ;
}

static void attributes(int fd)
{
    struct stat st;
    struct statfs sf;
    struct { struct file_handle h; char more[128]; } fh = {.h.handle_bytes = 128};
    int mount_id;
    EACH(RAW(fstat, fd, &st)) ;
    EACH(fstatfs(fd, &sf)) ;
    EACH(fchmod(fd, 0640)) ;
    EACH(fchown(fd, 0, 0)) ;
    EACH(umask(umask(022))) ;
    EACH(fsetxattr(fd, "user.x", buf, 100, 0)) fremovexattr(fd, "user.x");
    fsetxattr(fd, "user.y", buf, 100, 0);
    EACH(lsetxattr(FILE_, "user.z", buf, 100, 0)) lremovexattr(FILE_, "user.z");
    EACH(fgetxattr(fd, "user.y", buf, sizeof buf)) ;
    EACH(lgetxattr(FILE_, "user.y", buf, sizeof buf)) ;
    EACH(flistxattr(fd, buf, sizeof buf)) ;
    EACH(llistxattr(FILE_, buf, sizeof buf)) ;
    EACH(fremovexattr(fd, "user.y")) fsetxattr(fd, "user.y", buf, 10, 0);
    EACH(lremovexattr(FILE_, "user.y")) fsetxattr(fd, "user.y", buf, 10, 0);
    EACH(name_to_handle_at(AT_FDCWD, FILE_, &fh.h, &mount_id, 0) * 0) ; /* files in memory have none */
    EACH(open_by_handle_at(AT_FDCWD, &fh.h, O_RDONLY) * 0) close_fd(fd + 1);
}

static void transfers(int fd)
{
    struct iovec v[2] = {{buf, 5000}, {buf + 5000, 3000}};
    EACH((lseek(fd, 0, SEEK_SET), writev(fd, v, 2))) ;
    EACH((lseek(fd, 0, SEEK_SET), readv(fd, v, 2))) ;
    EACH((lseek(fd, 0, SEEK_SET), read(fd, buf, 8000))) ;
    EACH(pwritev2(fd, v, 2, 100, RWF_DSYNC)) ;
    EACH(preadv2(fd, v, 2, 100, RWF_HIPRI)) ;
    EACH(fdatasync(fd)) ;
    EACH(sync_file_range(fd, 0, 8000, SYNC_FILE_RANGE_WRITE)) ;
    EACH(syncfs(fd)) ;
    EACH((sync(), 0)) ;
    EACH(dup3(fd, 60, O_CLOEXEC)) close_fd(a.r);
    EACH((dup2(fd, 60), RAW(close_range, 60, 70, 0))) close(60);
}

static void more_files(void)
{
    mkdir(DIR_, 0700);
    int fd = open(FILE_, O_CREAT | O_RDWR, 0600), dir = open(DIR_, O_RDONLY | O_DIRECTORY);
    symlink("file", LINK_);
    names_at(dir);
    attributes(fd);
    transfers(fd);
    close(fd);
    close(dir);
    unlink(LINK_);
    unlink(FILE_);
    rmdir(DIR_);
}

static void waiting(void)
{
    int p[2], e = epoll_create1(0), t = timerfd_create(CLOCK_MONOTONIC, 0), u[2];
    struct epoll_event got[4];
    struct itimerspec left;
    fd_set in;
    sigset_t set;
    FD_ZERO(&in);
    sigemptyset(&set);
    EACH(RAW(pipe, p)) close_fds(p, a.r == 0 ? 2 : 0);
    pipe(p);
    EACH(RAW(select, 0, &in, NULL, NULL, &(struct timeval){0, 1000})) ;
    EACH(ppoll(&(struct pollfd){p[0], POLLIN}, 1, &(struct timespec){0, 1000}, &set)) ;
    EACH(RAW(epoll_create, 1)) close_fd(a.r);
    EACH(RAW(epoll_pwait2, e, got, 4, &(struct timespec){0, 1000}, &set, 8)) ;
    EACH(RAW(inotify_init)) close_fd(a.r);
    int watched = inotify_init();
    EACH(inotify_rm_watch(watched, inotify_add_watch(watched, "/tmp", IN_CREATE)) * 0) ; /* EINVAL: there is none */
    EACH(close(watched)) if (a.r == 0) watched = inotify_init();
    close(watched);
    EACH(RAW(signalfd, -1, &set, 8)) close_fd(a.r);
    EACH(RAW(eventfd, 0)) close_fd(a.r);
    EACH(timerfd_gettime(t, &left)) ;
    socketpair(AF_UNIX, SOCK_STREAM, 0, u);
    EACH(getpeername(u[0], (struct sockaddr *)buf, &(socklen_t){sizeof(struct sockaddr_un)})) ;
    EACH(getsockname(u[0], (struct sockaddr *)buf, &(socklen_t){sizeof(struct sockaddr_un)})) ;
    close_fds(u, 2);
    close_fds(p, 2);
    close(e);
    close(t);
}

/* --- aio ------------------------------------------------------------------------------------------------- */

static aio_context_t ctx;
static struct iocb request;

static long submit(void) { return RAW(io_submit, ctx, 1, &(struct iocb *){&request}); }

/* One result, if one comes. */
static void take_result(void)
{
    struct io_event e;
    RAW(io_getevents, ctx, 1, 1, &e, &(struct timespec){5, 0});
}

static void aio(void)
{
    struct io_event e;
    int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600), p[2];
    pwrite(fd, buf, 8000, 0);
    pipe(p);
    also_errno(EAGAIN);
    EACH(RAW(io_setup, 8, &ctx)) { if (ctx != 0) RAW(io_destroy, ctx); ctx = 0; }
    RAW(io_setup, 8, &ctx);
    static const unsigned short ops[] = {IOCB_CMD_PREAD, IOCB_CMD_PWRITE, IOCB_CMD_FSYNC};
    for (unsigned i = 0; i < 3; i++) {
        request = (struct iocb){.aio_lio_opcode = ops[i], .aio_fildes = (unsigned)fd, .aio_buf = ops[i] == IOCB_CMD_FSYNC ? 0 : (unsigned long)buf,
                                .aio_nbytes = ops[i] == IOCB_CMD_FSYNC ? 0 : 4000};
        EACH(submit()) if (a.r == 1) take_result();
    }
    submit();
    EACH(RAW(io_getevents, ctx, 1, 1, &e, NULL)) { if (a.r != 1) take_result(); submit(); }
    EACH(RAW(io_pgetevents, ctx, 1, 1, &e, NULL, NULL)) { if (a.r != 1) take_result(); submit(); }
    take_result();
    request = (struct iocb){.aio_lio_opcode = IOCB_CMD_POLL, .aio_fildes = (unsigned)p[0], .aio_buf = POLLIN};
    submit();
    EACH(RAW(io_cancel, ctx, &request, &e) * 0) { /* EINPROGRESS; or it is still there, and now comes to its end */
        (void)!write(p[1], "x", 1);
        take_result();
        (void)!read(p[0], buf, 1);
        submit();
    }
    also_errno(0);
    EACH(RAW(io_destroy, ctx)) { if (a.r == 0) ctx = 0; if (ctx == 0) RAW(io_setup, 8, &ctx); }
    RAW(io_destroy, ctx);
    ctx = 0;
    close(fd);
    close_fds(p, 2);
}

/* --- memory and IPC ---------------------------------------------------------------------------------------- */

static void more_memory(void)
{
    int fd = memfd_create("faults", 0), key = pkey_alloc(0, 0);
    char *m = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0), got[8];
    ftruncate(fd, 16384);
    char *shared = mmap(NULL, 16384, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    EACH(mlock2(m, 8192, MLOCK_ONFAULT)) munlock(m, 8192);
    EACH(mlockall(MCL_CURRENT)) ;
    EACH(munlockall()) mlockall(MCL_CURRENT);
    EACH(munlock(m, 4096)) ;
    EACH(remap_file_pages(shared, 4096, 0, 2, 0)) mmap(shared, 16384, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0); /* what fails leaves a hole */
    EACH(pkey_alloc(0, 0) * 0) ; /* without keys in hardware: ENOSPC */
    EACH(RAW(pkey_mprotect, m, 4096, PROT_READ, -1)) mprotect(m, 16384, PROT_READ | PROT_WRITE);
    EACH(pkey_free(key) * 0) ;
    EACH(process_vm_writev(getpid(), &(struct iovec){got, 8}, 1, &(struct iovec){m, 8}, 1, 0)) ;
    munmap(m, 16384);
    munmap(shared, 16384);
    close(fd);
    int id = semget(IPC_PRIVATE, 1, 0600);
    EACH(RAW(semop, id, &(struct sembuf){0, 1, SEM_UNDO}, 1)) semctl(id, 0, SETVAL, 0);
    struct semid_ds sem;
    EACH(semctl(id, 0, IPC_STAT, &sem)) ;
    semctl(id, 0, IPC_RMID);
    struct shmid_ds shm;
    id = shmget(IPC_PRIVATE, 4096, 0600);
    EACH(shmctl(id, IPC_STAT, &shm)) ;
    shmctl(id, IPC_RMID, NULL);
    struct msqid_ds msg;
    id = msgget(IPC_PRIVATE, 0600);
    EACH(msgctl(id, IPC_STAT, &msg)) ;
    msgctl(id, IPC_RMID, NULL);
    struct mq_attr attr;
    mqd_t q = mq_open("/faults", O_CREAT | O_RDWR | O_NONBLOCK, 0600, NULL);
    EACH(mq_getattr(q, &attr)) ;
    mq_close(q);
    mq_unlink("/faults");
}

/* --- who one is, and what one may ----------------------------------------------------------------------------- */

static void identity(void)
{
    unsigned ids[3], list[20];
    EACH(RAW(getppid)) ;
    EACH(RAW(gettid)) ;
    EACH(RAW(getpgrp)) ;
    EACH(RAW(getpgid, 0)) ;
    EACH(RAW(getsid, 0)) ;
    EACH(RAW(getuid)) ;
    EACH(RAW(geteuid)) ;
    EACH(RAW(getgid)) ;
    EACH(RAW(getegid)) ;
    EACH(RAW(setgid, 0)) ;
    EACH(RAW(setreuid, 0, 0)) ;
    EACH(RAW(setregid, 0, 0)) ;
    EACH(RAW(setresuid, 0, 0, 0)) ;
    EACH(RAW(setfsuid, 0)) ;
    EACH(RAW(setfsgid, 0)) ;
    EACH(RAW(getresuid, &ids[0], &ids[1], &ids[2])) ;
    EACH(RAW(getresgid, &ids[0], &ids[1], &ids[2])) ;
    EACH(RAW(getgroups, 20, list)) ;
    struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct caps[2];
    RAW(capget, &head, caps);
    EACH(RAW(capset, &head, caps)) ;
    EACH(personality(0xffffffff)) ;
    EACH(RAW(kcmp, getpid(), getpid(), KCMP_FILE, 0, 0)) ;
    EACH(RAW(getpriority, PRIO_PROCESS, 0)) ;
    EACH(RAW(setpriority, PRIO_PROCESS, 0, 0)) ;
    EACH(RAW(ioprio_get, 1, 0)) ;
    EACH(RAW(ioprio_set, 1, 0, 0)) ;
}

static void set_apart(void)
{
    RAW(setpgid, 0, 0);
    RAW(setsid);
    RAW(vhangup);
    RAW(unshare, CLONE_FILES | CLONE_FS);
}

static void machine(void)
{
    unsigned cpu[2];
    struct rlimit limit;
    struct rusage usage;
    struct sysinfo info;
    struct sched_param param;
    struct timespec now;
    struct timeval tv;
    struct timex tx = {0};
    struct tms tms;
    struct utsname names;
    void *head;
    size_t len;
    char name[65] = "faults";
    EACH(uname(&names)) ;
    EACH(RAW(getrlimit, RLIMIT_CORE, &limit)) ;
    EACH(RAW(setrlimit, RLIMIT_CORE, &limit)) ;
    EACH(RAW(getrusage, RUSAGE_SELF, &usage)) ;
    EACH(RAW(sysinfo, &info)) ;
    EACH(RAW(times, &tms)) ;
    EACH(RAW(syslog, 3, buf, 1000)) ;
    EACH(RAW(setdomainname, name, 6)) ;
    EACH(RAW(reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_CAD_OFF, NULL)) ;
    EACH(RAW(sched_getaffinity, 0, 128, buf)) ;
    EACH(RAW(sched_getscheduler, 0)) ;
    EACH(RAW(sched_getparam, 0, &param)) ;
    EACH(RAW(sched_setparam, 0, &param)) ;
    EACH(RAW(sched_setscheduler, 0, SCHED_OTHER, &param)) ;
    EACH(RAW(sched_get_priority_max, SCHED_FIFO)) ;
    EACH(RAW(sched_get_priority_min, SCHED_FIFO)) ;
    EACH(RAW(sched_rr_get_interval, 0, &now)) ;
    EACH(RAW(sched_getattr, 0, buf, 48, 0)) ;
    EACH(RAW(sched_setattr, 0, buf, 0)) ;
    EACH(RAW(get_robust_list, 0, &head, &len)) ;
    EACH(RAW(set_robust_list, head, len)) ;
    EACH(RAW(set_tid_address, &cpu[0])) ;
    EACH(RAW(arch_prctl, 0x1003, &head)) ; /* ARCH_GET_FS */
    void *area = (char *)__builtin_thread_pointer() + __rseq_offset;
    if (__rseq_size != 0)
        EACH(RAW(rseq, area, 32, RSEQ_FLAG_UNREGISTER, RSEQ_SIG)) if (a.r == 0) RAW(rseq, area, 32, 0, RSEQ_SIG);
    EACH(RAW(getcpu, &cpu[0], &cpu[1], NULL)) ;
    EACH(RAW(time, NULL)) ;
    EACH(RAW(gettimeofday, &tv, NULL)) ;
    EACH(RAW(settimeofday, &tv, NULL)) ;
    EACH(RAW(clock_getres, CLOCK_REALTIME, &now)) ;
    EACH(RAW(clock_gettime, CLOCK_REALTIME, &now)) ;
    EACH(RAW(clock_settime, CLOCK_REALTIME, &now)) ;
    EACH(RAW(adjtimex, &tx)) ;
    EACH(RAW(clock_adjtime, CLOCK_REALTIME, &tx)) ;
}

/* --- signals, and what a process has only once ------------------------------------------------------------------- */

static void on_signal(int sig) {}

static void wakes(void)
{
    struct itimerval soon = {{0, 1000}, {0, 1000}}, left; /* again and again: the first may come before the pause */
    sigset_t none;
    sigemptyset(&none);
    if (signal(SIGALRM, on_signal) == SIG_ERR)
        return;
    if (setitimer(ITIMER_REAL, &soon, NULL) == 0)
        RAW(pause);
    if (setitimer(ITIMER_REAL, &soon, NULL) == 0)
        RAW(rt_sigsuspend, &none, 8);
    getitimer(ITIMER_REAL, &left);
    RAW(nanosleep, &(struct timespec){0, 1000}, NULL);
    RAW(alarm, 0);
}

static void blocked(void)
{
    sigset_t set, was;
    int t;
    struct itimerspec left, later = {.it_value.tv_sec = 100};
    siginfo_t info = {.si_code = SI_QUEUE};
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, &was);
    EACH(RAW(tkill, gettid(), SIGUSR1)) sigtimedwait(&set, NULL, &(struct timespec){0, 0});
    EACH(RAW(rt_tgsigqueueinfo, getpid(), gettid(), SIGUSR1, &info)) sigtimedwait(&set, NULL, &(struct timespec){0, 0});
    EACH(RAW(rt_sigpending, &set, 8)) ;
    EACH(RAW(restart_syscall) * 0) ; /* EINTR: there is nothing to go on with */
    RAW(timer_create, CLOCK_MONOTONIC, &(struct sigevent){.sigev_notify = SIGEV_NONE}, &t);
    EACH(RAW(timer_settime, t, 0, &later, NULL)) ;
    EACH(RAW(timer_gettime, t, &left)) ;
    EACH(RAW(timer_getoverrun, t)) ;
    EACH(RAW(timer_delete, t)) if (a.r == 0) RAW(timer_create, CLOCK_MONOTONIC, &(struct sigevent){.sigev_notify = SIGEV_NONE}, &t);
    RAW(timer_delete, t);
    sigprocmask(SIG_SETMASK, &was, NULL);
}

static struct sock_filter program[] = {{BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW}};
static struct sock_fprog filter = {1, program};

static void filtered(void)
{
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    RAW(seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter);
    RAW(seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter);
    close_fd(RAW(seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &filter));
}

static void raw_fork(void)
{
    siginfo_t info;
    if (RAW(fork) == 0)
        _exit(0);
    RAW(waitid, P_ALL, 0, &info, WEXITED, NULL);
}

static void once(void)
{
    each_child("wakes", wakes);
    blocked();
    each_child("seccomp", filtered);
    EACH(RAW(seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &program[0].k)) ;
    each_child("fork(2)", raw_fork);
    each_child("sessions", set_apart);
}

const struct family families_rest[] = {{"more files", more_files}, {"waiting", waiting}, {"aio", aio}, {"more memory", more_memory}, {"identity", identity},
                                       {"machine", machine}, {"once", once}, {NULL, NULL}};

/* --- what does not come back: for kills ---------------------------------------------------------------------------- */

static void ends_thread(void) { RAW(exit, 0); }
static void ends(void) { RAW(exit_group, 0); }
static void becomes(void) { RAW(execveat, AT_FDCWD, parts_self, (char *[]){(char *)parts_self, "nothing", NULL}, environ, 0); }

const struct family families_ends[] = {{"exit", ends_thread}, {"exit_group", ends}, {"execveat", becomes}, {NULL, NULL}};
