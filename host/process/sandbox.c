/* SPDX-License-Identifier: Apache-2.0 */
/* The process that becomes an instance: see sandbox.h; the reasons are in docs/SANDBOX.md. */
#include "host/process/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "abi/host.h"
#include "host/lib/util.h"

#define NOBODY 65534
#define STACK_BYTES (8u << 20) /* the layout of the address space depends on it */
#define MAX_FILES 64u
#define MAX_TASKS 128u         /* in a user namespace of its own: threads, and a bomb's end */
#define MAX_TIMERS (2 * MAX_TASKS) /* a task has one, which counts as a pending signal does */
#define MAX_FDS (HOST_MAX_DEVICES + 3)
#define ARGV0_BYTES 64

_Static_assert(MAX_FDS + 2 <= MAX_FILES, "all that is sent must find a place");

/* Steps that may be refused without harm; the rest fails the start. */
enum step {
    STEP_USER_NS = 1 << 0,
    STEP_PID_NS = 1 << 1,
    STEP_MOUNT_NS = 1 << 2,
    STEP_IPC_UTS_NS = 1 << 3,
    STEP_NET_NS = 1 << 4,
    STEP_CGROUP_NS = 1 << 5,
    STEP_EMPTY_ROOT = 1 << 6,
    STEP_NOBODY = 1 << 7,
};
static const char *const step_names[] = {"user namespace",         "PID namespace",     "mount namespace",
                                         "IPC and UTS namespaces", "network namespace", "cgroup namespace",
                                         "empty root directory",   "change to nobody"};

/* From the process to the tender, before the image is executed or when that cannot be. */
struct report {
    u32 refused; /* steps */
    u32 error;   /* errno; 0 = going to execute */
    char what[56];
};

/* --- in the process ------------------------------------------------------------------ */

#define LINK 0 /* the socket; a copy at 1 keeps what is received from being put there */

static struct report report;

static void send_report(void)
{
    ssize_t n = send(LINK, &report, sizeof(report), MSG_NOSIGNAL);
    (void)n; /* nobody is there to be told */
}

NORETURN static void fail(const char *what)
{
    report.error = (u32)errno;
    strncpy(report.what, what, sizeof(report.what) - 1);
    send_report();
    _exit(EXIT_DRUPE);
}

static void refused(u32 step) { report.refused |= step; }

/* Only the link stays, at 0 and 1. */
static void leave_descriptors(int link)
{
    int high = fcntl(link, F_DUPFD_CLOEXEC, 64);
    if (high < 0 || dup3(high, 0, O_CLOEXEC) < 0 || dup3(high, 1, O_CLOEXEC) < 0)
        _exit(EXIT_DRUPE);
    if (syscall(SYS_close_range, 2u, ~0u, 0) < 0)
        fail("close_range (Linux 5.9 or newer is needed)");
}

static void leave_signals(void)
{
    sigset_t none;
    /* Linux's own call: the C library keeps some of the real-time ones to itself, and would not touch them. */
    static const struct {
        void *handler;
        unsigned long flags;
        void *restorer;
        u64 mask;
    } standard;
    for (int number = 1; number <= 64; number++)
        syscall(SYS_rt_sigaction, number, &standard, NULL, sizeof(standard.mask));
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static void set_limit(int resource, const char *what, rlim_t soft)
{
    struct rlimit limit = {soft, soft};
    struct rlimit old;
    if (getrlimit(resource, &old) == 0 && old.rlim_max < soft)
        limit.rlim_cur = limit.rlim_max = old.rlim_max;
    if (setrlimit(resource, &limit) < 0)
        fail(what);
}

static void set_limits(void)
{
    set_limit(RLIMIT_STACK, "RLIMIT_STACK", STACK_BYTES);
    set_limit(RLIMIT_CORE, "RLIMIT_CORE", 0);
    set_limit(RLIMIT_NOFILE, "RLIMIT_NOFILE", MAX_FILES);
    set_limit(RLIMIT_MSGQUEUE, "RLIMIT_MSGQUEUE", 0);
}

/* A new root, empty. Unmounting the old one mostly waits for Linux (RCU): *ret_helper is the process that does it, 0 = none has to. */
static bool change_root(pid_t *ret_helper)
{
    *ret_helper = 0;
    /* First of all: what happens to mounts here is of no interest elsewhere. */
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return false;
    if (mount("none", "/proc", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k,nr_inodes=2,mode=555") < 0 ||
        chdir("/proc") < 0)
        return false;
    if (syscall(SYS_pivot_root, ".", ".") < 0) /* an initial RAM file system cannot be moved */
        return chroot(".") == 0;
    *ret_helper = fork(); /* the old root lies above now: pivot_root(2) */
    if (*ret_helper == 0)
        _exit(umount2(".", MNT_DETACH) < 0);
    return *ret_helper > 0 || umount2(".", MNT_DETACH) == 0;
}

/* ... which is read-only, and below which nothing else lies any more. */
static bool finish_root(pid_t helper)
{
    int status = 0;
    while (helper > 0 && waitpid(helper, &status, 0) < 0)
        if (errno != EINTR)
            return false;
    return status == 0 && chdir("/") == 0 &&
           mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0;
}

static void enter_namespaces(void)
{
    pid_t helper;
    bool mounts = unshare(CLONE_NEWNS) == 0, root = mounts && change_root(&helper);
    if (!mounts)
        refused(STEP_MOUNT_NS);
    if (unshare(CLONE_NEWIPC | CLONE_NEWUTS) < 0)
        refused(STEP_IPC_UTS_NS);
    if (unshare(CLONE_NEWCGROUP) < 0)
        refused(STEP_CGROUP_NS);
    if (unshare(CLONE_NEWNET) < 0)
        refused(STEP_NET_NS);
    if (!root || !finish_root(helper))
        refused(STEP_EMPTY_ROOT);
}

static void drop_bounding_set(void)
{
    for (int cap = 0; prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0; cap++)
        ;
}

/*
 * A root without the right to become nobody is one inside a container's user namespace. It goes
 * without, if it gets a user namespace where its number means nothing.
 */
static void leave_root(void)
{
    drop_bounding_set();
    if (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0)
        refused(STEP_NOBODY);
    int problem = errno;
    if (unshare(CLONE_NEWUSER) < 0)
        refused(STEP_USER_NS);
    if (report.refused & STEP_NOBODY && report.refused & STEP_USER_NS) {
        errno = problem;
        fail("becoming nobody");
    }
}

/* No way back: not by an identity, a capability, or a program with more rights. Without an identity that the user
 * namespace knows, execution clears all capabilities in it. */
static void leave_privileges(bool root)
{
    if (root)
        leave_root();
    if (!(report.refused & STEP_USER_NS)) {
        drop_bounding_set();
        if (!root || !(report.refused & STEP_NOBODY)) /* Linux does not hold its first user to it */
            set_limit(RLIMIT_NPROC, "RLIMIT_NPROC", MAX_TASKS);
        set_limit(RLIMIT_SIGPENDING, "RLIMIT_SIGPENDING", MAX_TIMERS);
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        fail("PR_SET_NO_NEW_PRIVS");
    /* Last, because a change of identity undoes it. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
        fail("PR_SET_PDEATHSIG");
}

/* Take the descriptors; the kernel gives them the lowest free numbers, 2 and up, in order. Returns the image's. */
static int receive(char *ret_argv0)
{
    struct iovec iov = {ret_argv0, ARGV0_BYTES};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(MAX_FDS * sizeof(int))];
    } control;
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control)};
    ssize_t n;
    do
        n = recvmsg(LINK, &message, 0);
    while (n < 0 && errno == EINTR);
    if (n == 0)
        _exit(EXIT_DRUPE); /* the tender has given up */
    const struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    if (n != ARGV0_BYTES || !c || c->cmsg_type != SCM_RIGHTS || message.msg_flags & MSG_CTRUNC) {
        errno = EPROTO;
        fail("receiving descriptors");
    }
    return 2 + (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int)) - 1;
}

NORETURN static void run(int link, u32 not_there, bool root)
{
    char argv0[ARGV0_BYTES];
    char *argv[] = {argv0, NULL}, *envp[] = {NULL};
    report.refused = not_there;
    leave_descriptors(link);
    setsid(); /* the terminal and its ^C are the tender's */
    leave_signals();
    set_limits();
    if (root || !(not_there & STEP_USER_NS))
        enter_namespaces();
    else
        refused(STEP_MOUNT_NS | STEP_IPC_UTS_NS | STEP_NET_NS | STEP_CGROUP_NS | STEP_EMPTY_ROOT);
    leave_privileges(root);
    int image = receive(argv0);
    if (fcntl(image, F_SETFD, FD_CLOEXEC) < 0)
        fail("fcntl");
    send_report();
    syscall(SYS_execveat, image, "", argv, envp, AT_EMPTY_PATH);
    fail(errno == EACCES ? "executing the kernel image (everybody needs x on it)" : "executing the kernel image");
}

/* --- in the tender ------------------------------------------------------------------- */

/* As fork(), in new namespaces where that is allowed. */
static pid_t fork_into(unsigned long namespaces)
{
    return (pid_t)syscall(SYS_clone, namespaces | SIGCHLD, 0, 0, 0, 0);
}

int sandbox_prepare(struct sandbox *s, struct error *err)
{
    int link[2];
    bool root = geteuid() == 0;
    u32 not_there = 0;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link) < 0)
        return err_errno(err, EXIT_DRUPE, "socketpair");
    pid_t pid = fork_into(CLONE_NEWPID | (root ? 0 : CLONE_NEWUSER));
    if (pid < 0) {
        not_there = STEP_PID_NS | (root ? 0 : STEP_USER_NS);
        pid = fork_into(0);
    }
    if (pid == 0)
        run(link[1], not_there, root);
    close(link[1]);
    if (pid < 0) {
        close(link[0]);
        return err_errno(err, EXIT_DRUPE, "fork");
    }
    *s = (struct sandbox){pid, link[0]};
    return 0;
}

static bool send_descriptors(int link, const char *argv0, int image, const int *fds, size_t nfds)
{
    char name[ARGV0_BYTES] = {0};
    int all[MAX_FDS];
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(all))];
    } control = {0};
    size_t len = (nfds + 1) * sizeof(int);
    if (nfds + 1 > MAX_FDS) {
        errno = E2BIG;
        return false;
    }
    strncpy(name, argv0, sizeof(name) - 1);
    memcpy(all, fds, nfds * sizeof(int));
    all[nfds] = image;
    struct iovec iov = {name, sizeof(name)};
    struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_SPACE(len)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&message);
    *c = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(len)};
    memcpy(CMSG_DATA(c), all, len);
    return sendmsg(link, &message, MSG_NOSIGNAL) == (ssize_t)sizeof(name);
}

/* The last report before the link is closed by exec (or by the process's end). */
static bool last_report(int link, struct report *ret)
{
    bool any = false;
    struct report r;
    for (;;) {
        ssize_t n = recv(link, &r, sizeof(r), 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n != (ssize_t)sizeof(r))
            return any;
        *ret = r;
        any = true;
    }
}

static void say_refused(u32 steps)
{
    struct buf names = {0};
    for (size_t i = 0; i < ARRAY_SIZE(step_names); i++)
        if (steps & (1u << i))
            buf_addf(&names, "%s%s", names.len ? ", " : "", step_names[i]);
    if (steps)
        say("sandbox: this host refuses a %s; the rest holds", names.data);
    else
        say("sandbox: own user, PID, mount, IPC, UTS, network and cgroup namespaces, empty root");
    buf_done(&names);
}

pid_t sandbox_execute(struct sandbox *s, int image, const char *argv0, const int *fds, size_t nfds, struct error *err)
{
    struct report r = {0};
    bool sent = send_descriptors(s->link, argv0, image, fds, nfds);
    int problem = errno;
    bool told = last_report(s->link, &r);
    if (told && !r.error) {
        pid_t pid = s->pid;
        close(s->link);
        *s = (struct sandbox){0, -1};
        say_refused(r.refused);
        return pid;
    }
    errno = told ? (int)r.error : problem;
    if (told)
        err_errno(err, EXIT_DRUPE, "sandbox: %.*s", (int)sizeof(r.what), r.what);
    else if (!sent && problem != EPIPE && problem != ECONNRESET)
        err_errno(err, EXIT_DRUPE, "sandbox: sending descriptors");
    else
        err_set(err, EXIT_DRUPE, "sandbox: the process ended while it was set up");
    sandbox_done(s);
    return -1;
}

void sandbox_done(struct sandbox *s)
{
    if (s->pid <= 0)
        return;
    kill(s->pid, SIGKILL);
    close(s->link);
    while (waitpid(s->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    *s = (struct sandbox){0, -1};
}
