/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ids, groups, capabilities, securebits and what prctl() keeps of them; what may be done to files, processes and limits with them.
 * Who has given something up does not get it back: "again" begins anew, with what is missing of the files.
 */
#include "differ.h"
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <netinet/in.h>
#include <sys/auxv.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#define IDS NUM(0, 0, 1000, 1000, 1001, -1, -1)
#define REAL_IDS NUM(0, 0, 1000, 1000, 1001, 1001)

static const char *const names[] = {"a", "b", "c", "x", "d0", "d1", "d2", "d3", "d0/a", "d0/b", "d1/a", "d1/b", "d2/a", "d2/b", "d3/a", "d3/b"};
static pid_t children[3];

static const char *arg_name(void)
{
    const char *n = names[rnd(COUNT(names))];
    arg("%s", n);
    return n;
}

static void do_again(void)
{
    ret(0);
    end_line();
    _exit(0);
}

/* --- who one is ------------------------------------------------------------------------------- */

static void do_uids(void)
{
    switch (rnd(5)) {
    case 0: arg("setuid"); ret(RAW(setuid, IDS)); break;
    case 1: { arg("setreuid"); uid_t r = IDS, e = IDS; ret(RAW(setreuid, r, e)); break; }
    case 2: case 3: { arg("setresuid"); uid_t r = IDS, e = IDS, s = IDS; ret(RAW(setresuid, r, e, s)); break; }
    default: arg("setfsuid"); ret(RAW(setfsuid, IDS)); break;
    }
}

static void do_gids(void)
{
    switch (rnd(5)) {
    case 0: arg("setgid"); ret(RAW(setgid, IDS)); break;
    case 1: { arg("setregid"); gid_t r = IDS, e = IDS; ret(RAW(setregid, r, e)); break; }
    case 2: case 3: { arg("setresgid"); gid_t r = IDS, e = IDS, s = IDS; ret(RAW(setresgid, r, e, s)); break; }
    default: arg("setfsgid"); ret(RAW(setfsgid, IDS)); break;
    }
}

static void do_groups(void)
{
    int n = NUM(0, 1, 2, 3, -1, 65537);
    gid_t g[3] = {REAL_IDS, REAL_IDS, REAL_IDS};
    if (one_in(10)) {
        arg("get");
        ret(RAW(getgroups, n, g));
    } else
        ret(RAW(setgroups, n, one_in(20) ? NULL : g));
}

static const struct word caps[] = {W(CAP_CHOWN), W(CAP_DAC_OVERRIDE), W(CAP_DAC_READ_SEARCH), W(CAP_FOWNER), W(CAP_FSETID), W(CAP_KILL), W(CAP_SETGID), W(CAP_SETUID), W(CAP_SETPCAP), W(CAP_NET_BIND_SERVICE),
    W(CAP_SYS_NICE), W(CAP_SYS_RESOURCE), W(CAP_MKNOD), W(CAP_SETFCAP), W(CAP_SYS_ADMIN), W(CAP_SYS_PTRACE), W(CAP_NET_RAW), W(CAP_IPC_LOCK)};

struct cap_sets {
    uint64_t e, p, i;
};
static long capset(int pid, uint32_t version, const struct cap_sets *c)
{
    struct __user_cap_header_struct h = {version, pid};
    struct __user_cap_data_struct d[2] = {{c->e, c->p, c->i}, {c->e >> 32, c->p >> 32, c->i >> 32}};
    return RAW(capset, &h, d);
}

static long capget(int pid, struct cap_sets *c)
{
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, pid};
    struct __user_cap_data_struct d[2] = {};
    long r = RAW(capget, &h, d);
    *c = (struct cap_sets){d[0].effective | (uint64_t)d[1].effective << 32, d[0].permitted | (uint64_t)d[1].permitted << 32, d[0].inheritable | (uint64_t)d[1].inheritable << 32};
    return r;
}

static void do_capset(void)
{
    struct cap_sets c;
    capget(0, &c);
    switch (rnd(6)) {
    case 0: arg("-e"); c.e &= ~(1ULL << ONE(caps)); break;
    case 1: arg("+e"); c.e |= 1ULL << ONE(caps); break;
    case 2: arg("-ep"); { uint64_t b = 1ULL << ONE(caps); c.e &= ~b; c.p &= ~b; } break;
    case 3: arg("+i"); c.i |= 1ULL << ONE(caps); break;
    case 4: arg("+p"); c.p |= 1ULL << ONE(caps); break;
    default: arg("e=p"); c.e = c.p; break;
    }
    ret(capset(one_in(20) ? arg_num((long[]){1, -1, 9999}, 3) : 0, one_in(20) ? arg_num((long[]){_LINUX_CAPABILITY_VERSION_1, _LINUX_CAPABILITY_VERSION_2, 0}, 3) : _LINUX_CAPABILITY_VERSION_3, &c));
}

static void do_capget(void)
{
    struct cap_sets c;
    pid_t pid = 0;
    switch (rnd(4)) {
    case 0: arg("1"); pid = getppid(); break;
    case 1: { unsigned k = rnd(3); arg("c%u", k); pid = children[k]; break; }
    case 2: pid = NUM(-1, 0, 99999); break;
    default: break;
    }
    ret(capget(pid, &c));
    say(" %lx %lx %lx", c.e, c.p, c.i);
}

static void do_prctl(void)
{
    static const struct word bits[] = {W(SECBIT_NOROOT), W(SECBIT_NOROOT_LOCKED), W(SECBIT_NO_SETUID_FIXUP), W(SECBIT_NO_SETUID_FIXUP_LOCKED), W(SECBIT_KEEP_CAPS), W(SECBIT_KEEP_CAPS_LOCKED),
        W(SECBIT_NO_CAP_AMBIENT_RAISE), W(SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED), {1 << 12, "1<<12"}};
    static const struct word ambient[] = {W(PR_CAP_AMBIENT_IS_SET), W(PR_CAP_AMBIENT_RAISE), W(PR_CAP_AMBIENT_RAISE), W(PR_CAP_AMBIENT_LOWER), W(PR_CAP_AMBIENT_CLEAR_ALL), {9, "9"}};
    static const struct word ops[] = {W(PR_SET_KEEPCAPS), W(PR_SET_KEEPCAPS), W(PR_SET_DUMPABLE), W(PR_SET_PDEATHSIG), W(PR_SET_NO_NEW_PRIVS), W(PR_CAPBSET_DROP), W(PR_CAPBSET_DROP), W(PR_CAPBSET_READ), W(PR_SET_SECUREBITS),
        W(PR_SET_SECUREBITS), W(PR_CAP_AMBIENT), W(PR_CAP_AMBIENT), W(PR_CAP_AMBIENT)};
    long op = ONE(ops);
    switch (op) {
    case PR_SET_KEEPCAPS: ret(prctl(op, NUM(0, 1, 1, 1, 2), 0, 0, 0)); break;
    case PR_SET_DUMPABLE: ret(prctl(op, NUM(0, 1, 1, 2), 0, 0, 0)); break;
    case PR_SET_PDEATHSIG: ret(prctl(op, NUM(0, SIGURG, SIGWINCH, 65, -1), 0, 0, 0)); break;
    case PR_SET_NO_NEW_PRIVS: { long v = one_in(3), w = one_in(5); arg("%ld, %ld", v, w); ret(prctl(op, v, w, 0, 0)); break; }
    case PR_CAPBSET_DROP: case PR_CAPBSET_READ: ret(prctl(op, one_in(10) ? arg_num((long[]){41, 64, -1}, 3) : ONE(caps), 0, 0, 0)); break;
    case PR_SET_SECUREBITS: ret(prctl(op, SOME(bits, 7), 0, 0, 0)); break;
    default: { long v = ONE(ambient); ret(prctl(op, v, v == PR_CAP_AMBIENT_CLEAR_ALL && !one_in(5) ? 0 : one_in(15) ? arg_num((long[]){41, 64, -1}, 3) : ONE(caps), 0, 0)); }
    }
}

/* This program again: one of the files, which may be set-user-id, or have capabilities. */
static void do_exec(void)
{
    int p[2], status;
    char text[2000];
    size_t n = 0;
    const char *name = one_in(4) ? arg_name() : "x";
    pipe(p);
    pid_t pid = fork();
    if (pid == 0) {
        dup2(p[1], 1);
        RAW(close_range, 3, ~0u, 0);
        execl(name, name, "creds", NULL);
        dprintf(1, "%s\n", error_name(errno));
        _exit(1);
    }
    close(p[1]);
    for (ssize_t r; (r = read(p[0], text + n, sizeof text - 1 - n)) > 0;)
        n += r;
    text[n] = 0;
    close(p[0]);
    ret(waitpid(pid, &status, 0) == pid ? status : -1);
    say(" %s", strtok(text, "\n"));
}

static long words_of(bool bounding)
{
    long v = 0;
    for (int i = 0; i < 41; i++)
        if ((bounding ? prctl(PR_CAPBSET_READ, i, 0, 0, 0) : prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, i, 0, 0)) == 1)
            v |= 1L << i;
    return v;
}

static void who(char *text, size_t size)
{
    uid_t u[4];
    gid_t g[4], more[16];
    struct cap_sets c;
    int death = -1, n = RAW(getgroups, 16, more);
    RAW(getresuid, &u[0], &u[1], &u[2]);
    RAW(getresgid, &g[0], &g[1], &g[2]);
    u[3] = RAW(setfsuid, -1);
    g[3] = RAW(setfsgid, -1);
    capget(0, &c);
    prctl(PR_GET_PDEATHSIG, &death);
    FILE *f = fmemopen(text, size, "w");
    fprintf(f, "u %d %d %d %d g %d %d %d %d +", u[0], u[1], u[2], u[3], g[0], g[1], g[2], g[3]);
    for (int i = 0; i < n; i++)
        fprintf(f, "%s%d", i == 0 ? " " : ",", more[i]);
    fprintf(f, " e %lx p %lx i %lx b %lx a %lx secure %x keep %d dump %d nnp %d death %d", c.e, c.p, c.i, words_of(true), words_of(false), prctl(PR_GET_SECUREBITS, 0, 0, 0, 0), prctl(PR_GET_KEEPCAPS, 0, 0, 0, 0),
        prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), death);
    fclose(f);
}

int creds_tell(void)
{
    char text[1000];
    who(text, sizeof text);
    printf("%s secure %lu %lu %lu\n", text, getauxval(AT_SECURE), getauxval(AT_UID), getauxval(AT_EUID));
    return 0;
}

/* --- what one may do with files ---------------------------------------------------------------- */

static void do_open(void)
{
    static const struct word flags[] = {W(O_CREAT), W(O_CREAT), W(O_EXCL), W(O_TRUNC), W(O_NOATIME), W(O_DIRECTORY), W(O_PATH), W(O_TMPFILE)};
    const char *n = arg_name();
    int flag = O_NONBLOCK | SOME(flags, 6);
    int fd = ret_ok(open(n, NUM(0, 1, 2) | flag, NUM(0600, 0644, 04755, 02755, 0)));
    if (fd != -1 && one_in(3)) {
        arg("write");
        ret(write(fd, "data", 4));
    }
    if (fd != -1)
        close(fd);
}

static void do_access(void)
{
    static const struct word flags[] = {W(AT_EACCESS), {AT_SYMLINK_NOFOLLOW, "AT_SYMLINK_NOFOLLOW"}};
    const char *n = arg_name();
    int mode = NUM(0, 1, 2, 4, 6, 7, 8);
    ret(RAW(faccessat2, AT_FDCWD, n, mode, SOME(flags, 3)));
}

static void do_chmod(void)
{
    const char *n = arg_name();
    mode_t modes[] = {0755, 0700, 0644, 0600, 04755, 02755, 06755, 01777, 02775, 0, 0111, 0444, 02644}, m = modes[rnd(COUNT(modes))];
    arg("%#o", m);
    ret(chmod(n, m));
}

static void do_chown(void)
{
    const char *n = arg_name();
    uid_t u = IDS;
    gid_t g = IDS;
    ret(lchown(n, u, g));
}

static void do_names(void)
{
    const char *n = arg_name();
    switch (rnd(8)) {
    case 0: arg("unlink"); ret(unlink(n)); break;
    case 1: arg("rename"); ret(rename(n, arg_name())); break;
    case 2: arg("link"); ret(link(n, arg_name())); break;
    case 3: arg("symlink"); ret(symlink("a", n)); break;
    case 4: arg("mkdir"); ret(mkdir(n, NUM(0755, 0700, 02777, 01777))); break;
    case 5: arg("rmdir"); ret(rmdir(n)); break;
    case 6: { arg("mknod"); mode_t m = NUM(S_IFIFO, S_IFCHR, S_IFBLK, S_IFREG, S_IFSOCK); ret(mknod(n, m | 0644, makedev(1, 3))); if (S_ISBLK(m) || S_ISCHR(m)) unlink(n); break; }
    default: arg("truncate"); { struct stat st = {}; off_t size = NUM(0, 5); lstat(n, &st); ret(truncate(n, st.st_size == size ? size + 1 : size)); break; } /* the same size: file systems differ in whether it is a change */
    }
}

static void do_times(void)
{
    const char *n = arg_name();
    static const struct timespec now[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}}, omit[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}}, both[2] = {{0, UTIME_NOW}, {0, UTIME_OMIT}}, set[2] = {{5, 0}, {6, 0}};
    const struct timespec *all[] = {NULL, now, omit, both, set};
    unsigned k = rnd(5);
    arg("%u", k);
    ret(utimensat(AT_FDCWD, n, all[k], 0));
}

static void do_xattr(void)
{
    static const char *const keys[] = {"user.a", "trusted.a", "security.a", "security.capability", "security.capability"};
    const char *n = one_in(3) ? "x" : arg_name(), *key = keys[rnd(COUNT(keys))];
    struct vfs_cap_data d = {VFS_CAP_REVISION_2 | NUM(0, 1), {{1 << CAP_CHOWN | 1 << CAP_KILL, 1 << CAP_FOWNER}, {0, 0}}};
    arg("%s", key);
    if (strcmp(key, "security.capability") == 0)
        switch (rnd(3)) {
        case 0: arg("get"); memset(&d, 0, sizeof d); ret(lgetxattr(n, key, &d, sizeof d)); say(" %x %x", d.magic_etc, d.data[0].permitted); break;
        case 1: arg("remove"); ret(lremovexattr(n, key)); break;
        default: { size_t size = NUM(20, 20, 20, 24, 12, 4); ret(lsetxattr(n, key, &d, size, 0)); }
        }
    else if (one_in(2))
        ret(lsetxattr(n, key, "v", 1, 0));
    else {
        char v[8];
        arg("get");
        ret(lgetxattr(n, key, v, sizeof v));
    }
}

/* --- and with the rest -------------------------------------------------------------------------- */

static void do_to_child(void)
{
    unsigned k = rnd(3);
    pid_t pid = children[k];
    arg("c%u", k);
    switch (rnd(10)) {
    case 0: arg("kill"); ret(kill(pid, NUM(0, SIGURG, SIGCONT))); break;
    case 1: arg("setpriority"); ret(setpriority(PRIO_PROCESS, pid, NUM(0, 5, 10, -5))); break;
    case 2: { struct rlimit r = {NUM(10, 20), 20 + NUM(0, 5, 10)}; arg("prlimit"); ret(prlimit(pid, RLIMIT_CORE, one_in(3) ? NULL : &r, NULL)); break; }
    case 3: { struct sched_param s = {NUM(0, 0, 1)}; arg("setscheduler"); ret(sched_setscheduler(pid, NUM(SCHED_OTHER, SCHED_BATCH, SCHED_IDLE, SCHED_FIFO), &s)); break; }
    case 4: arg("ioprio"); ret(RAW(ioprio_set, 1, pid, NUM(0, 2 << 13 | 4, 1 << 13, 3 << 13))); break;
    case 5: { static char c = 'x'; char d; struct iovec to = {&d, 1}, from = {&c, 1}; arg("vm_readv"); ret(process_vm_readv(pid, &to, 1, &from, 1, 0)); break; }
    case 6: { cpu_set_t s; CPU_ZERO(&s); CPU_SET(0, &s); arg("affinity"); ret(sched_setaffinity(pid, sizeof s, &s)); break; }
    case 7: arg("kcmp"); ret(RAW(kcmp, pid, getpid(), 1 /* VM */, 0, 0) > 0); break;
    case 8: { int pidfd = RAW(pidfd_open, pid, 0); arg("pidfd_getfd"); int fd = ret_ok(RAW(pidfd_getfd, pidfd, 0, 0)); close(fd); close(pidfd); break; }
    default: { void *head; size_t n; arg("get_robust_list"); ret(RAW(get_robust_list, pid, &head, &n)); }
    }
}

static void do_child(void)
{
    unsigned k = rnd(3);
    arg("c%u", k);
    if (children[k] > 0) {
        kill(children[k], SIGKILL);
        if (waitpid(children[k], NULL, WNOHANG) == 0 && kill(children[k], SIGKILL) == 0)
            waitpid(children[k], NULL, 0);
    }
    children[k] = fork();
    if (children[k] == 0)
        for (;;)
            pause();
    ret(0);
}

static void do_limit(void)
{
    static const struct word which[] = {W(RLIMIT_CORE), W(RLIMIT_NICE), W(RLIMIT_RTPRIO), W(RLIMIT_MSGQUEUE), W(RLIMIT_SIGPENDING), W(RLIMIT_MEMLOCK)};
    int w = ONE(which);
    struct rlimit r = {NUM(0, 5, 10), NUM(10, 12, 25, 5)};
    ret(setrlimit(w, &r));
    getrlimit(w, &r);
    say(" %ld %ld", (long)r.rlim_cur, (long)r.rlim_max);
}

static void do_self(void)
{
    switch (rnd(10)) {
    case 0: arg("nice"); ret(setpriority(PRIO_PROCESS, 0, NUM(0, 3, 7, 15, -3))); say(" %d", getpriority(PRIO_PROCESS, 0)); break;
    case 1: arg("sethostname"); ret(sethostname("h", 1)); break;
    case 2: { struct sched_param s = {NUM(0, 0, 1)}; arg("setscheduler"); ret(sched_setscheduler(0, NUM(SCHED_OTHER, SCHED_BATCH, SCHED_IDLE, SCHED_OTHER | SCHED_RESET_ON_FORK), &s)); say(" %d", sched_getscheduler(0)); break; }
    case 3: { struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(NUM(80, 1023, 2000)), .sin_addr = {htonl(INADDR_LOOPBACK)}}; int s = socket(AF_INET, SOCK_STREAM, 0); arg("bind"); ret(bind(s, (void *)&a, sizeof a)); close(s); break; }
    case 4: { arg("raw"); int s = ret_ok(socket(AF_INET, SOCK_RAW, NUM(1, 255))); close(s); break; }
    case 5: { int s = socket(AF_INET, SOCK_DGRAM, 0), v = NUM(0, 6, 7, -1); arg("SO_PRIORITY"); ret(setsockopt(s, SOL_SOCKET, NUM(SO_PRIORITY, SO_MARK, SO_SNDBUFFORCE, SO_DEBUG), &v, sizeof v)); close(s); break; }
    case 6: arg("mount"); ret(mount("x", "missing", "tmpfs", 0, NULL)); break;
    case 7: arg("chroot"); ret(chroot("/")); break;
    case 8: { struct ucred u = {getpid(), REAL_IDS, REAL_IDS}; int p[2]; char c[CMSG_SPACE(sizeof u)] = {}; struct iovec v = {c, 1}; struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = c, .msg_controllen = sizeof c};
        struct cmsghdr *h = CMSG_FIRSTHDR(&m); h->cmsg_level = SOL_SOCKET; h->cmsg_type = SCM_CREDENTIALS; h->cmsg_len = CMSG_LEN(sizeof u); memcpy(CMSG_DATA(h), &u, sizeof u);
        socketpair(AF_UNIX, SOCK_STREAM, 0, p); arg("credentials"); ret(sendmsg(p[0], &m, 0)); close(p[0]); close(p[1]); break; }
    default: arg("mlock"); ret(mlock((void *)((uintptr_t)names & -4096), NUM(1, 5000))); munlockall(); break;
    }
}

/* --- the mode ------------------------------------------------------------------------------------ */

static void make_files(void)
{
    static const struct { const char *name; mode_t mode; uid_t uid; gid_t gid; } dirs[] = {{"d0", 0755, 0, 0}, {"d1", 0700, 1000, 1000}, {"d2", 01777, 0, 0}, {"d3", 02775, 0, 1000}},
        files[] = {{"a", 0644, 0, 0}, {"b", 0600, 1000, 1000}, {"c", 0640, 1001, 1000}, {"d0/a", 0666, 1000, 0}, {"d1/a", 0640, 1000, 1001}, {"d2/a", 0644, 1001, 1001}, {"d3/a", 0664, 0, 1000}, {"x", 04755, 1000, 1000}};
    struct stat st;
    umask(0);
    for (unsigned i = 0; i < COUNT(dirs); i++) {
        if (mkdir(dirs[i].name, 0755) != 0)
            continue;
        chown(dirs[i].name, dirs[i].uid, dirs[i].gid);
        chmod(dirs[i].name, dirs[i].mode);
    }
    for (unsigned i = 0; i < COUNT(files); i++) {
        int fd = open(files[i].name, O_CREAT | O_EXCL | O_WRONLY, 0644);
        if (fd == -1)
            continue;
        if (files[i].name[0] == 'x' && fstat(self, &st) == 0)
            sendfile(fd, self, NULL, st.st_size);
        fchown(fd, files[i].uid, files[i].gid);
        fchmod(fd, files[i].mode);
        close(fd);
    }
    umask(022);
}

static void creds_start(void)
{
    static const int limits[] = {RLIMIT_CORE, RLIMIT_NICE, RLIMIT_RTPRIO, RLIMIT_MSGQUEUE, RLIMIT_SIGPENDING, RLIMIT_MEMLOCK};
    for (unsigned i = 0; i < COUNT(limits); i++)
        setrlimit(limits[i], i < 3 ? &(struct rlimit){0, 0} : &(struct rlimit){25, 25}); /* what all may lower theirs to */
    for (;;) {
        int status;
        pid_t pid = fork();
        if (pid == 0) {
            make_files();
            return;
        }
        while (waitpid(pid, &status, 0) != pid)
            ;
        if (status != 0) { /* the end, or worse; it may not have been allowed to end all */
            say("child: %#x", status);
            if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
                end_line();
            kill(0, SIGKILL);
        }
    }
}

static void creds_watch(void)
{
    char text[1000];
    struct stat st;
    who(text, sizeof text);
    state("who", "%s", text);
    for (unsigned i = 0; i < COUNT(names); i++)
        if (lstat(names[i], &st) == 0)
            state(names[i], "%o %d %d %ld %u%s", st.st_mode, st.st_uid, st.st_gid, S_ISDIR(st.st_mode) || i == 3 ? 0 : (long)st.st_size, (unsigned)st.st_nlink, st.st_mtime < 100 ? " old" : "");
        else
            state(names[i], "%s", error_name(errno));
}

static const struct act acts[] = {
    {"again", do_again, 12}, {"uids", do_uids, 20}, {"gids", do_gids, 14}, {"groups", do_groups, 8}, {"capset", do_capset, 16}, {"capget", do_capget, 4}, {"prctl", do_prctl, 40}, {"exec", do_exec, 14},
    {"open", do_open, 24}, {"access", do_access, 14}, {"chmod", do_chmod, 20}, {"chown", do_chown, 20}, {"names", do_names, 40}, {"times", do_times, 6}, {"xattr", do_xattr, 12}, {"to_child", do_to_child, 30}, {"child", do_child, 8},
    {"limit", do_limit, 10}, {"self", do_self, 30}, {},
};
const struct mode mode_creds = {"creds", creds_start, acts, NULL, creds_watch, .confined = true, .room = "size=4m,mode=755"};
