/* SPDX-License-Identifier: Apache-2.0 */
/* The walls around the server of a volume: see confine.h. */
#include "host/9p/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/lib/util.h"

NORETURN static void fail(const char *what)
{
    fprintf(stderr, "drupe-9p: %s: %s\n", what, strerror(errno));
    exit(EXIT_FAILURE);
}

static int tree_clone(int fd, const char *path, unsigned flags)
{
    return (int)syscall(SYS_open_tree, fd, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | flags);
}

/*
 * An empty root, and as the only ways to files the mount of what is served and the one of /proc/self/fd; ".." ends at the
 * roots of both. Only root may; where it may not, *fd and the working directory stay what they are.
 */
static void enter_empty_root(int *fd)
{
    if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWUTS) < 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return;
    int tree = tree_clone(*fd, "", AT_RECURSIVE), own = tree_clone(AT_FDCWD, "/proc/self/fd", 0);
    if (tree < 0 || own < 0 || mount("none", "/proc", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=4k,nr_inodes=2,mode=555") < 0 ||
        chdir("/proc") < 0) {
        if (fchdir(own) < 0 && chdir("/proc/self/fd") < 0)
            fail("/proc/self/fd");
        return;
    }
    if (syscall(SYS_pivot_root, ".", ".") == 0)
        umount2(".", MNT_DETACH);
    else if (chroot(".") < 0)
        fail("chroot");
    if (fchdir(own) < 0 || dup3(tree, *fd, O_CLOEXEC) < 0)
        fail("the empty root");
    close(own);
    close(tree);
}

/* Opening by whatever path ends at what is served: Landlock, where Linux has it. */
static void restrict_paths(int fd)
{
    static const u64 by_version[] = {LANDLOCK_ACCESS_FS_MAKE_SYM * 2 - 1, LANDLOCK_ACCESS_FS_MAKE_SYM * 4 - 1,
                                     LANDLOCK_ACCESS_FS_MAKE_SYM * 8 - 1};
    struct stat st;
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version <= 0 || fstat(fd, &st) < 0)
        return;
    u64 all = by_version[MIN((size_t)version, ARRAY_SIZE(by_version)) - 1];
    u64 of_files = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE |
                   (all & 1ull << 14 /* LANDLOCK_ACCESS_FS_TRUNCATE */);
    struct landlock_ruleset_attr attr = {.handled_access_fs = all};
    struct landlock_path_beneath_attr rule = {.parent_fd = fd,
                                              .allowed_access = (S_ISDIR(st.st_mode) ? all : all & of_files) &
                                                                ~(u64)LANDLOCK_ACCESS_FS_EXECUTE};
    int rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0);
    if (rules < 0 || syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0 ||
        syscall(SYS_landlock_restrict_self, rules, 0) < 0)
        fail("Landlock");
    close(rules);
}

/* Of root's rights those over files. */
static void drop_capabilities(void)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    const u32 keep = 1u << CAP_CHOWN | 1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH | 1u << CAP_FOWNER | 1u << CAP_FSETID;
    for (int cap = 0; prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0; cap++)
        ;
    if (syscall(SYS_capget, &header, data) < 0)
        fail("capget");
    data[0].effective &= keep;
    data[0].permitted &= keep;
    data[1] = (struct __user_cap_data_struct){0};
    data[0].inheritable = 0;
    if (syscall(SYS_capset, &header, data) < 0)
        fail("capset");
}

/* Files by descriptor and by name below one; memory. */
static void close_doors(void)
{
    static const int calls[] = {
        SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(pread64), SCMP_SYS(pwrite64), SCMP_SYS(pwritev2), SCMP_SYS(openat),
        SCMP_SYS(close), SCMP_SYS(fcntl), SCMP_SYS(lseek), SCMP_SYS(getdents64), SCMP_SYS(fstat), SCMP_SYS(newfstatat),
        SCMP_SYS(statx), SCMP_SYS(fstatfs), SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(ftruncate), SCMP_SYS(truncate),
        SCMP_SYS(chmod), SCMP_SYS(fchownat), SCMP_SYS(utimensat), SCMP_SYS(mkdirat), SCMP_SYS(mknodat), SCMP_SYS(symlinkat),
        SCMP_SYS(linkat), SCMP_SYS(renameat2), SCMP_SYS(fallocate), SCMP_SYS(unlinkat), SCMP_SYS(readlinkat), SCMP_SYS(getxattr),
        SCMP_SYS(setxattr), SCMP_SYS(listxattr), SCMP_SYS(removexattr), SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap),
        SCMP_SYS(madvise), SCMP_SYS(exit_group), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask),
        SCMP_SYS(restart_syscall), SCMP_SYS(getrandom), SCMP_SYS(clock_gettime), SCMP_SYS(poll), SCMP_SYS(recvmsg)};
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (!filter)
        fail("seccomp");
    for (size_t i = 0; i < ARRAY_SIZE(calls); i++)
        if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0) < 0)
            fail("seccomp rule");
    if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, 4 /* PROT_EXEC */, 0)) < 0 ||
        seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, FS_IOC_GETFLAGS)) < 0 ||
        seccomp_load(filter) < 0)
        fail("seccomp filter");
    seccomp_release(filter);
}

int confine(int root)
{
    struct rlimit files;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    umask(0); /* the client's is applied already */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) { /* one for each file that the guest remembers */
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    if (chdir("/proc/self/fd") < 0)
        fail("/proc/self/fd");
    enter_empty_root(&root);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        fail("PR_SET_NO_NEW_PRIVS");
    restrict_paths(root);
    drop_capabilities();
    close_doors();
    return root;
}
