/* SPDX-License-Identifier: Apache-2.0 */
/* Files of a tmpfs, by names and by descriptors; what is watched are all names, the descriptors' positions and flags, and events of inotify. */
#include "differ.h"
#include <dirent.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>

/* Names that are watched, then some that lead to them or nowhere. */
static const char *const names[] = {"a", "b", "c", "d", "d/a", "d/b", "d/e", "d/e/a", "e", "l", "s"};
#define NAME_50 "n234567890n234567890n234567890n234567890n234567890"
static const char *const odd[] = {"", ".", "..", "a/", "d/", "d/.", "d/../b", "l/a", "l/", "missing/x", "d/e/../../a", "s/", "./d/./e//a", "/", "d/e/", "a/.", "a/..", "d/e/..", "l/.", "l/..", "./", "../a", "//a", "e//", "b/c",
    NAME_50 NAME_50 NAME_50 NAME_50 NAME_50 "12345", NAME_50 NAME_50 NAME_50 NAME_50 NAME_50 "123456"};
static dev_t work_dev; /* directories of another one are the system's */
static int watcher, helper;
static pid_t helper_pid;

static bool is_dir(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool is_file(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (fcntl(fd, F_GETFL) & O_PATH) == 0;
}

static bool is_pipe(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode);
}

static bool is_same(int a, int b)
{
    struct stat x, y;
    return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static const char *arg_name(void)
{
    const char *name = one_in(12) ? odd[rnd(COUNT(odd))] : names[rnd(COUNT(names))];
    arg("%s", *name == 0 ? "\"\"" : strlen(name) > 50 ? name + strlen(name) - 6 : name);
    return name;
}

static int arg_dirfd(void)
{
    if (!one_in(5)) {
        arg("CWD");
        return AT_FDCWD;
    }
    return slots[arg_slot_of(is_dir)];
}

static int arg_fd(void) { return slots[one_in(8) ? arg_slot() : arg_slot_of(is_file)]; }

static const long sizes[] = {0, 1, 2, 10, 100, 511, 512, 1000, 4095, 4096, 4097, 8192, 10000, 20000, 65536};
static const long offsets[] = {0, 1, 3, 100, 4095, 4096, 4097, 5000, 8192, 12288, 16384, 50000, 65536, 262144, 1000000, -1, INT64_MAX, 1l << 40};
static long arg_size(void) { return arg_num(sizes, one_in(6) ? COUNT(sizes) : COUNT(sizes) - 2); }
static long arg_offset(void) { return arg_num(offsets, one_in(8) ? COUNT(offsets) : COUNT(offsets) - 6); }

static char buf[1 << 17], pattern[sizeof buf + 1024];
#define DATA (pattern + step_number() % 1021) /* what this step writes */

static void drain(bool says);

static long ret_data(long r)
{
    ret(r);
    if (r > 0)
        say(" %08x", hash(buf, r));
    return r;
}

/* By a user without rights, one time in eight. */
static bool as_user;
static void maybe_user(void)
{
    as_user = one_in(8);
    if (as_user) {
        arg("user");
        setfsgid(1000);
        setfsuid(1000);
        errno = 0;
    }
}
static void root_again(void)
{
    int e = errno;
    if (as_user) {
        setfsuid(0);
        setfsgid(0);
    }
    as_user = false;
    errno = e;
}
#define AS(call) ({ maybe_user(); errno = 0; long r_ = (call); root_again(); r_; })

static const struct word access_modes[] = {W(O_RDONLY), W(O_RDWR), W(O_RDWR), W(O_WRONLY), {3, "O_ACCMODE"}};
static const struct word open_flags[] = {W(O_CREAT), W(O_CREAT), W(O_CREAT), W(O_EXCL), W(O_TRUNC), W(O_APPEND), W(O_NOFOLLOW), W(O_DIRECTORY), W(O_PATH), {__O_TMPFILE, "__O_TMPFILE"},
    W(O_TMPFILE), W(O_CLOEXEC), W(O_NOATIME), W(O_SYNC), W(O_DSYNC), {1 << 30, "1<<30"}};
static const struct word modes[] = {{0644, "0644"}, {0600, "0600"}, {0755, "0755"}, {0, "0"}, {07777, "07777"}, {0666, "0666"}, {02755, "02755"}, {0311, "0311"}};
static const struct word resolve_flags[] = {W(RESOLVE_BENEATH), W(RESOLVE_IN_ROOT), W(RESOLVE_NO_MAGICLINKS), W(RESOLVE_NO_SYMLINKS), W(RESOLVE_NO_XDEV), {0x80, "0x80"}};
static const struct word status_flags[] = {W(O_APPEND), W(O_NONBLOCK), W(O_NOATIME), W(O_ASYNC), W(O_CREAT)};
static const struct word at_flags[] = {W(AT_SYMLINK_NOFOLLOW), W(AT_EMPTY_PATH), W(AT_SYMLINK_FOLLOW), {0x8000, "0x8000"}};

static void do_open(void)
{
    int at = arg_dirfd();
    const char *name = arg_name();
    int flags = ONE(access_modes) | O_NONBLOCK | O_NOCTTY;
    flags |= SOME(open_flags, one_in(3) ? 5 : 20);
    if ((flags & O_ACCMODE) == O_ACCMODE)
        flags &= ~__O_TMPFILE;
    mode_t mode = ONE(modes);
    ret_slot(AS(openat(at, name, flags, mode)));
}

static void do_create(void)
{
    const char *name = arg_name();
    ret_slot(AS(open(name, O_RDWR | O_CREAT | O_NONBLOCK, 0644)));
}

static void do_openat2(void)
{
    int at = arg_dirfd();
    const char *name = arg_name();
    struct open_how how = {.flags = ONE(access_modes)};
    how.flags |= SOME(open_flags, one_in(3) ? 8 : 30);
    if ((how.flags & O_ACCMODE) == O_ACCMODE)
        how.flags &= ~__O_TMPFILE;
    how.resolve = SOME(resolve_flags, 6);
    if (how.flags & (O_CREAT | __O_TMPFILE))
        how.mode = ONE(modes);
    if ((how.flags & O_PATH) == 0)
        how.flags |= O_NONBLOCK;
    ret_slot(AS(RAW(openat2, at, name, &how, NUM(24, 24, 24, 24, 24, 24, 8, 4096))));
}

static void do_pipe(void)
{
    int p[2] = {-1, -1};
    unsigned slot = rnd(SLOTS - 1);
    bool packets = one_in(5);
    arg(packets ? "O_DIRECT" : "");
    ret(pipe2(p, O_NONBLOCK | (packets ? O_DIRECT : 0)));
    say(" f%u f%u", slot, slot + 1);
    slot_put(slot, p[0]);
    slot_put(slot + 1, p[1]);
}

static void do_memfd(void)
{
    static const struct word flags[] = {W(MFD_CLOEXEC), W(MFD_ALLOW_SEALING), W(MFD_ALLOW_SEALING), {8, "MFD_NOEXEC_SEAL"}, {16, "MFD_EXEC"}, {0x100, "0x100"}};
    ret_slot(memfd_create("m", SOME(flags, 3)));
}

static void do_read(void)
{
    int fd = arg_fd();
    ret_data(read(fd, buf, arg_size()));
}

static void do_write(void)
{
    int fd = arg_fd();
    ret(write(fd, DATA, arg_size()));
}

static void do_pread(void)
{
    int fd = arg_fd();
    long n = arg_size();
    ret_data(pread(fd, buf, n, arg_offset()));
}

static void do_pwrite(void)
{
    int fd = arg_fd();
    long n = arg_size();
    ret(pwrite(fd, DATA, n, arg_offset()));
}

static const struct word rwf[] = {{1, "RWF_HIPRI"}, {2, "RWF_DSYNC"}, {4, "RWF_SYNC"}, {8, "RWF_NOWAIT"}, {16, "RWF_APPEND"}, {0x8000, "0x8000"}};

static int arg_rwf(int fd)
{
    int flags = SOME(rwf, 8);
    return is_pipe(fd) ? flags & ~8 : flags; /* Linux forgets with a pipe's first splice that it can do that */
}

/* Some parts of what is there, some of them empty or nowhere. */
static int arg_iov(struct iovec *iov, char *at)
{
    static const long parts[] = {0, 1, 7, 100, 4096, 5000};
    int n = one_in(30) ? -1 : one_in(10) ? 0 : 1 + (int)rnd(3);
    for (int i = 0; i < n; i++) {
        iov[i] = (struct iovec){at, arg_num(parts, COUNT(parts))};
        at += iov[i].iov_len;
        if (one_in(40)) {
            say(" at NULL");
            iov[i].iov_base = NULL;
        } else if (one_in(60)) {
            say(" of -1");
            iov[i].iov_len = -1;
        }
    }
    arg("%d parts", n);
    return n;
}

static void do_preadv2(void)
{
    int fd = arg_fd();
    struct iovec iov[3];
    int n = arg_iov(iov, buf);
    long at = one_in(3) ? arg_num((long[]){-1}, 1) : arg_offset();
    memset(buf, 0, 20000);
    if (ret_data(preadv2(fd, iov, n, at, arg_rwf(fd))) == 0)
        drain(false); /* that is an access or none */
}

static void do_pwritev2(void)
{
    int fd = arg_fd();
    struct iovec iov[3];
    int n = arg_iov(iov, DATA);
    long at = one_in(3) ? arg_num((long[]){-1}, 1) : arg_offset();
    for (int i = 0; i < n; i++)
        iov[i].iov_base = DATA; /* Linux makes a tmpfs file as long as the offset when there is nothing to write */
    if (ret(pwritev2(fd, iov, n, at, arg_rwf(fd))) == 0)
        drain(false);
}

static void do_lseek(void)
{
    static const struct word whence[] = {W(SEEK_SET), W(SEEK_CUR), W(SEEK_END), {5, "5"} /* SEEK_DATA, SEEK_HOLE: what is allocated and empty is data or a hole */};
    int fd = arg_fd();
    long at = arg_offset();
    at = one_in(4) ? -at : at;
    int from = ONE(whence);
    ret(lseek(fd, at, is_dir(fd) ? SEEK_SET : from)); /* where its entries end is the file system's business */
}

static void do_truncate(void)
{
    const char *name = arg_name();
    ret(AS(truncate(name, arg_offset())));
}

static void do_ftruncate(void)
{
    int fd = arg_fd();
    ret(ftruncate(fd, arg_offset()));
}

static void do_fallocate(void)
{
    static const struct word how[] = {W(FALLOC_FL_KEEP_SIZE), W(FALLOC_FL_KEEP_SIZE), W(FALLOC_FL_PUNCH_HOLE), W(FALLOC_FL_COLLAPSE_RANGE), W(FALLOC_FL_ZERO_RANGE), W(FALLOC_FL_INSERT_RANGE), W(FALLOC_FL_UNSHARE_RANGE),
        {0x100, "0x100"}};
    int fd = arg_fd();
    int flags = one_in(2) ? FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE : 0;
    if (flags != 0)
        arg("punch");
    flags |= SOME(how, 7);
    long at = arg_offset(), n = arg_offset();
    struct stat st;
    if (n > 65536 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_dev != work_dev) { /* a memfd: all the memory there is */
        arg("not");
        fd = -1;
    }
    ret(fallocate(fd, flags, at, n));
}

static void do_copy_file_range(void)
{
    int in = arg_fd(), out = arg_fd();
    off_t from = arg_num(offsets, COUNT(offsets) - 6), to = arg_num(offsets, COUNT(offsets) - 6);
    bool has_from = !one_in(3), has_to = !one_in(3);
    arg("%s%s", has_from ? "from" : "-", has_to ? " to" : " -");
    long n = arg_size();
    ret(copy_file_range(in, has_from ? &from : NULL, out, has_to ? &to : NULL, n, one_in(20) ? arg_num((long[]){1}, 1) : 0));
    say(" %ld %ld", (long)from, (long)to);
}

static void do_sendfile(void)
{
    int out = one_in(2) ? slots[arg_slot_of(is_pipe)] : arg_fd(), in = arg_fd();
    off_t from = arg_offset();
    bool has = one_in(2);
    arg("%s", has ? "from" : "-");
    if (is_same(in, out))
        in = -1; /* what is read may be written already */
    ret(sendfile(out, in, has ? &from : NULL, arg_size()));
    say(" %ld", (long)from);
}

static const struct word splice_flags[] = {W(SPLICE_F_MOVE), W(SPLICE_F_NONBLOCK), W(SPLICE_F_MORE), W(SPLICE_F_GIFT), {16, "16"}};

static void do_splice(void)
{
    bool to_pipe = one_in(2);
    int in = to_pipe ? arg_fd() : slots[arg_slot_of(is_pipe)], out = to_pipe || one_in(4) ? slots[arg_slot_of(is_pipe)] : arg_fd();
    off_t from = arg_offset(), to = arg_offset();
    bool has_from = one_in(to_pipe ? 2 : 10), has_to = one_in(to_pipe ? 10 : 2);
    arg("%s%s", has_from ? "from" : "-", has_to ? " to" : " -");
    long n = arg_size();
    ret(splice(in, has_from ? &from : NULL, out, has_to ? &to : NULL, n, SPLICE_F_NONBLOCK | SOME(splice_flags, 6)));
    say(" %ld %ld", (long)from, (long)to);
}

static void do_tee(void)
{
    int in = slots[arg_slot_of(is_pipe)], out = slots[arg_slot_of(is_pipe)];
    long n = arg_size();
    ret(tee(in, out, n, SPLICE_F_NONBLOCK | SOME(splice_flags, 6)));
}

static void do_vmsplice(void)
{
    int fd = slots[arg_slot_of(is_pipe)];
    struct iovec iov[3];
    int n = arg_iov(iov, (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY ? buf : DATA); /* out of a pipe: it must not change what it may have in it */
    ret(vmsplice(fd, iov, n, SPLICE_F_NONBLOCK | SOME(splice_flags, 6)));
}

static void do_pipe_io(void)
{
    int fd = slots[arg_slot_of(is_pipe)];
    if (one_in(2)) {
        arg("out");
        ret(write(fd, DATA, arg_size()));
    } else {
        arg("in");
        ret_data(read(fd, buf, arg_size()));
    }
}

static void do_rename(void)
{
    static const struct word flags[] = {W(RENAME_NOREPLACE), W(RENAME_EXCHANGE), W(RENAME_WHITEOUT), {8, "8"}};
    int from_at = arg_dirfd();
    const char *from = arg_name();
    int to_at = arg_dirfd();
    const char *to = arg_name();
    ret(AS(renameat2(from_at, from, to_at, to, SOME(flags, 5))));
}

static void do_link(void)
{
    int from_at = one_in(4) ? slots[arg_slot()] : arg_dirfd();
    const char *from = arg_name();
    int to_at = arg_dirfd();
    const char *to = arg_name();
    int flags = SOME(at_flags, 4);
    ret(AS(linkat(from_at, from, to_at, to, flags)));
}

static void do_link_fd(void)
{
    int fd = slots[arg_slot()];
    const char *to = arg_name();
    ret(linkat(fd, "", AT_FDCWD, to, AT_EMPTY_PATH));
}

static void do_symlink(void)
{
    const char *target = arg_name();
    if (strlen(target) > 127)
        target = "missing"; /* what is kept in the inode takes no room of the file system */
    int at = arg_dirfd();
    const char *name = arg_name();
    ret(AS(symlinkat(target, at, name)));
}

static void do_unlink(void)
{
    static const struct word flags[] = {W(AT_REMOVEDIR), {0x8000, "0x8000"}};
    int at = arg_dirfd();
    const char *name = arg_name();
    ret(AS(unlinkat(at, name, one_in(10) ? SOME(flags, 2) : 0)));
}

static void do_rmdir(void)
{
    const char *name = arg_name();
    ret(AS(rmdir(name)));
}

static void do_mkdir(void)
{
    int at = arg_dirfd();
    const char *name = arg_name();
    mode_t mode = ONE(modes);
    ret(AS(mkdirat(at, name, mode)));
}

static void do_mknod(void)
{
    static const struct word kinds[] = {W(S_IFIFO), W(S_IFIFO), W(S_IFSOCK), W(S_IFREG), W(S_IFCHR), W(S_IFBLK), W(S_IFDIR), {0, "0"}, W(S_IFLNK)};
    const char *name = arg_name();
    mode_t mode = ONE(kinds);
    mode |= ONE(modes);
    ret(AS(mknod(name, mode, makedev(1, 3))));
}

static void do_chmod(void)
{
    int at = arg_dirfd();
    const char *name = arg_name();
    mode_t mode = ONE(modes);
    ret(AS(RAW(fchmodat, at, name, mode)));
}

static void do_fchmod(void)
{
    int fd = slots[arg_slot()];
    ret(fchmod(fd, ONE(modes)));
}

static void do_chown(void)
{
    int at = one_in(4) ? slots[arg_slot()] : arg_dirfd();
    const char *name = arg_name();
    uid_t u = NUM(0, 1000, 1001, -1), g = NUM(0, 1000, 1001, -1);
    int flags = SOME(at_flags, 4);
    ret(AS(fchownat(at, name, u, g, flags)));
}

static void do_fchown(void)
{
    int fd = slots[arg_slot()];
    uid_t u = NUM(0, 1000, 1001, -1);
    ret(fchown(fd, u, NUM(0, 1000, 1001, -1)));
}

static void do_utimensat(void)
{
    struct timespec t[2];
    int at = one_in(4) ? slots[arg_slot()] : arg_dirfd();
    const char *name = arg_name();
    for (int i = 0; i < 2; i++)
        t[i] = (struct timespec){NUM(0, 1, 999, 100000), NUM(0, 1, 999999999, UTIME_NOW, UTIME_OMIT, UTIME_OMIT, 1000000000, -1)};
    bool now = one_in(8);
    arg(now ? "NULL" : "t");
    int flags = SOME(at_flags, 4);
    ret(AS(RAW(utimensat, at, one_in(30) ? NULL : name, now ? NULL : t, flags)));
}

static const char *arg_xattr(void)
{
    static const char *const xattrs[] = {"user.a", "user.a", "user.bb", "trusted.t", "security.s", "system.x", "user.", "x", ""};
    const char *n = xattrs[rnd(COUNT(xattrs))];
    arg("%s", n);
    return n;
}

static void do_setxattr(void)
{
    static const struct word flags[] = {W(XATTR_CREATE), W(XATTR_REPLACE), {4, "4"}};
    bool by_fd = one_in(3);
    int fd = by_fd ? slots[arg_slot()] : -1;
    const char *name = by_fd ? NULL : arg_name(), *x = arg_xattr();
    long n = NUM(0, 1, 10, 100, 4096, 65537);
    int f = SOME(flags, 5);
    ret(AS(by_fd ? fsetxattr(fd, x, DATA, n, f) : one_in(2) ? lsetxattr(name, x, DATA, n, f) : setxattr(name, x, DATA, n, f)));
}

static void do_getxattr(void)
{
    const char *name = arg_name(), *x = arg_xattr();
    ret_data(AS(lgetxattr(name, x, buf, NUM(0, 1, 9, 100, 65536))) > 0 ? lgetxattr(name, x, buf, 65536) : -1);
}

static void do_removexattr(void)
{
    if (one_in(3)) {
        int fd = slots[arg_slot()];
        const char *x = arg_xattr();
        ret(AS(fremovexattr(fd, x)));
        return;
    }
    const char *name = arg_name(), *x = arg_xattr();
    ret(AS(lremovexattr(name, x)));
}

static void do_xattr_fd(void)
{
    int fd = slots[arg_slot()];
    bool lists = one_in(2);
    const char *x = lists ? (arg("list"), NULL) : arg_xattr();
    long n = NUM(0, 1, 7, 20, 100, 4096);
    long r = ret(AS(lists ? flistxattr(fd, buf, n) : fgetxattr(fd, x, buf, n)));
    if (r > 0 && n != 0 && !lists)
        say(" %08x", hash(buf, r));
}

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static void do_getdents(void)
{
    int fd = slots[arg_slot_of(is_dir)];
    lseek(fd, 0, SEEK_SET);
    long size = NUM(20, 280, 400, 32768, 32768), n, used = 0;
    char *found[64];
    unsigned count = 0;
    do { /* in pieces of that */
        n = RAW(getdents64, fd, buf + used, size);
        for (long at = 0; at < n && count < 64; at += *(unsigned short *)(buf + used + at + 16)) {
            found[count] = buf + used + at + 18;
            found[count++][0] += 'A'; /* the kind, before the name */
        }
        used += n > 0 ? n : 0;
    } while (n > 0 && count < 64);
    ret(n);
    drain(false); /* how many reads that took depends on the order */
    qsort(found, count, sizeof *found, by_text);
    for (unsigned i = 0; i < count; i++)
        say(" %s", found[i]);
}

static void do_readlink(void)
{
    int at = one_in(4) ? slots[arg_slot()] : arg_dirfd();
    const char *name = arg_name();
    ret_data(AS(readlinkat(at, name, buf, NUM(0, 1, 3, 100, 4096))));
}

static void do_access(void)
{
    static const struct word want[] = {W(R_OK), W(W_OK), W(X_OK), {8, "8"}}, flags[] = {W(AT_EACCESS), W(AT_EACCESS), W(AT_SYMLINK_NOFOLLOW), W(AT_EMPTY_PATH), {0x8000, "0x8000"}};
    int at = arg_dirfd();
    const char *name = arg_name();
    int mode = SOME(want, 3), f = SOME(flags, 4);
    ret(AS(RAW(faccessat2, at, name, mode, f)));
}

static void do_statx(void)
{
    struct statx st;
    int at = one_in(4) ? slots[arg_slot()] : arg_dirfd();
    const char *name = arg_name();
    int flags = SOME(at_flags, 4);
    long r = ret(AS(statx(at, name, flags, NUM(STATX_BASIC_STATS, STATX_ALL, STATX_TYPE, 0, 0x80000000), &st)));
    if (r == 0 && (!S_ISDIR(st.stx_mode) || makedev(st.stx_dev_major, st.stx_dev_minor) == work_dev))
        say(" %o %u %u %u %llu %u attributes %#llx", st.stx_mode, st.stx_nlink, st.stx_uid, st.stx_gid, st.stx_size, st.stx_blksize, (unsigned long long)st.stx_attributes & ~0x2000); /* whether it is a mount's root */
}

static void do_stat(void)
{
    struct stat st;
    int at = one_in(4) ? slots[arg_slot()] : arg_dirfd();
    const char *name = arg_name();
    int flags = SOME(at_flags, 4);
    long r = ret(AS(RAW(newfstatat, at, name, &st, flags)));
    if (r == 0 && (!S_ISDIR(st.st_mode) || st.st_dev == work_dev))
        say(" %o %lu %u:%u %ld rdev %#lx", st.st_mode, (unsigned long)st.st_nlink, st.st_uid, st.st_gid, (long)st.st_size, (unsigned long)st.st_rdev);
}

static void do_ioctl(void)
{
    static const struct word cmds[] = {W(FIOCLEX), W(FIONCLEX), W(FIONBIO), W(FIOASYNC), W(FIGETBSZ), {0x12345678, "0x12345678"}};
    int fd = slots[arg_slot()], n = NUM(0, 1);
    ret(ioctl(fd, ONE(cmds), &n));
    say(" %d", n);
}

static void do_dup2(void)
{
    int from = slots[arg_slot()], r;
    unsigned slot = arg_slot();
    int to = one_in(10) ? -1 : slots[slot];
    switch (rnd(4)) {
    case 0:
        arg("dup2");
        r = ret(dup2(from, to));
        break;
    case 1:
        arg("dup3");
        r = ret(dup3(from, to, NUM(0, O_CLOEXEC, O_NONBLOCK)));
        break;
    default: {
        static const struct word cmds[] = {W(F_DUPFD), W(F_DUPFD_CLOEXEC)};
        int cmd = ONE(cmds);
        ret_slot(fcntl(from, cmd, NUM(0, 3, 20, 100, -1, 1 << 30)));
        return;
    }
    }
    if (r != -1)
        slots[slot] = r;
}

/* With little left of a resource. */
static void do_limited(void)
{
    struct rlimit old, low;
    bool sizes_only = one_in(2);
    int what = sizes_only ? RLIMIT_FSIZE : RLIMIT_NOFILE, fd = arg_fd();
    arg(sizes_only ? "FSIZE" : "NOFILE");
    getrlimit(what, &old);
    low = (struct rlimit){sizes_only ? NUM(0, 100, 4096, 10000) : NUM(0, 3, 5, 8), old.rlim_max};
    long at = arg_num(offsets, COUNT(offsets) - 6), n = arg_size();
    const char *name = arg_name();
    unsigned way = rnd(5);
    int p[2] = {-1, -1};
    setrlimit(what, &low);
    errno = 0;
    long r = !sizes_only ? (way == 0   ? pipe2(p, O_NONBLOCK)
                            : way == 1 ? dup(fd)
                            : way == 2 ? memfd_create("m", 0)
                                       : open(name, (way == 3 ? O_CREAT | O_TRUNC | O_RDWR : O_RDONLY) | O_NONBLOCK, 0644))
             : way == 0  ? write(fd, DATA, n)
             : way == 1  ? pwrite(fd, DATA, n, at)
             : way == 2  ? truncate(name, at)
             : way == 3  ? ftruncate(fd, at)
                         : fallocate(fd, 0, at, (n & 0xffff) + 1);
    int e = errno;
    setrlimit(what, &old);
    arg("%u", way);
    errno = e;
    if (sizes_only || way == 0) {
        ret(r);
        close(p[0]);
        close(p[1]);
    } else
        ret_slot(r);
}

/* Directories: a descriptor of one, so that there are some. */
static void do_open_dir(void)
{
    static const char *const dirs[] = {"d", "d/e", ".", "e", "s"};
    static const struct word flags[] = {W(O_PATH), W(O_NOFOLLOW), W(O_CLOEXEC)};
    const char *name = dirs[rnd(COUNT(dirs))];
    arg("%s", name);
    ret_slot(open(name, O_DIRECTORY | SOME(flags, 4)));
}

static void do_statfs(void)
{
    struct statfs f;
    const char *name = arg_name();
    long r = ret(AS(statfs(name, &f)));
    if (r == 0 && f.f_type == 0x01021994 && f.f_blocks == 64)
        say(" %ld %lu %lu %lu %ld %#lx", f.f_bsize, f.f_blocks, f.f_bfree, f.f_bavail, f.f_namelen, f.f_flags);
}

static void do_fcntl(void)
{
    static const struct word cmds[] = {W(F_GETFL), W(F_SETFL), W(F_SETFL), W(F_GETFD), W(F_SETFD), W(F_GETOWN), W(F_GETSIG), W(F_GETPIPE_SZ), W(F_GET_SEALS), W(F_ADD_SEALS), W(F_ADD_SEALS), 
        {99, "99"}};
    int fd = slots[arg_slot()];
    int cmd = ONE(cmds);
    long a = cmd == F_SETFL ? O_NONBLOCK | SOME(status_flags, 4) : cmd == F_ADD_SEALS ? NUM(1, 2, 4, 8, 16, 6, 32) : NUM(0, 1);
    ret(fcntl(fd, cmd, a));
}

static void do_pipe_size(void)
{
    int fd = slots[arg_slot_of(is_pipe)];
    ret(fcntl(fd, F_SETPIPE_SZ, NUM(0, 1, 4096, 5000, 65536, 131072, 1 << 20)));
}

static void do_fionread(void)
{
    int fd = slots[arg_slot()];
    int n = -7;
    ret(ioctl(fd, FIONREAD, &n));
    say(" %d", n);
}

/* Locks: by this process, or by one that holds its own until it is told otherwise. */
static const struct word lock_kinds[] = {W(F_RDLCK), W(F_WRLCK), W(F_UNLCK)};
struct lock_request {
    int cmd, slot;
    struct flock l;
};

static void lock_helper(int fd)
{
    static const char *const files[] = {"a", "b"};
    int own[2] = {-1, -1};
    struct lock_request q;
    while (read(fd, &q, sizeof q) == sizeof q) {
        int *f = &own[q.slot];
        long r = 0;
        errno = 0;
        if (q.cmd == -1) {
            close(*f);
            r = *f = open(files[q.slot], O_RDWR | O_NONBLOCK);
            r = r == -1 ? -1 : 0;
        } else
            r = q.cmd == -2 ? flock(*f, q.l.l_type) : fcntl(*f, q.cmd, &q.l);
        if (r == 0 && q.cmd >= 0)
            r = q.cmd == F_GETLK || q.cmd == F_OFD_GETLK ? 1000000 + q.l.l_type * 100000 + q.l.l_start * 100 + q.l.l_len : 0;
        long answer[2] = {r, errno};
        write(fd, answer, sizeof answer);
    }
    _exit(0);
}

static const struct word lock_cmds[] = {W(F_SETLK), W(F_SETLK), W(F_OFD_SETLK), W(F_OFD_SETLK), W(F_GETLK), W(F_OFD_GETLK)};

static struct flock arg_lock(void)
{
    struct flock l = {.l_type = ONE(lock_kinds), .l_whence = NUM(SEEK_SET, SEEK_SET, SEEK_SET, SEEK_CUR, SEEK_END, 7)};
    l.l_start = NUM(0, 0, 10, 20, 30, 100, -1, -10);
    l.l_len = NUM(0, 1, 10, 20, 30, -1, -10, 100);
    return l;
}

static void say_owner(pid_t pid) { say(" by %s", pid == getpid() ? "me" : pid == helper_pid ? "the other" : pid == -1 ? "-1" : pid == 0 ? "0" : "?"); }

static void do_lock(void)
{
    int fd = arg_fd();
    int cmd = ONE(lock_cmds);
    struct flock l = arg_lock();
    if (cmd == F_OFD_GETLK && l.l_type == F_UNLCK) /* since Linux 6.9, its own */
        cmd = F_GETLK;
    if (one_in(20)) {
        arg("pid");
        l.l_pid = 1;
    }
    long r = ret(fcntl(fd, cmd, &l));
    if (r == 0 && (cmd == F_GETLK || cmd == F_OFD_GETLK)) {
        say(" %d %d %ld %ld", l.l_type, l.l_whence, (long)l.l_start, (long)l.l_len);
        if (l.l_type != F_UNLCK)
            say_owner(l.l_pid);
    }
}

static const struct word flock_ops[] = {W(LOCK_SH), W(LOCK_EX), W(LOCK_UN), {32, "32"}};

static void do_flock(void)
{
    int fd = arg_fd();
    ret(flock(fd, LOCK_NB | ONE(flock_ops)));
}

static void do_other(void)
{
    struct lock_request q = {.slot = rnd(2)};
    long answer[2];
    arg("%s", q.slot == 0 ? "a" : "b");
    if (one_in(6)) {
        arg("open");
        q.cmd = -1;
    } else if (one_in(3)) {
        q.cmd = -2;
        q.l.l_type = LOCK_NB | ONE(flock_ops);
    } else {
        q.cmd = ONE(lock_cmds);
        q.l = arg_lock();
        if (q.cmd == F_OFD_GETLK && q.l.l_type == F_UNLCK)
            q.cmd = F_GETLK;
    }
    write(helper, &q, sizeof q);
    read(helper, answer, sizeof answer);
    errno = answer[1];
    ret(answer[0]);
}

/* What a child inherits of locks, and what its end takes away. */
static void do_child_lock(void)
{
    int fd = arg_fd();
    bool closes = one_in(3);
    int how = rnd(3);
    arg("%s", how == 0 ? "flock LOCK_UN" : how == 1 ? "F_OFD_SETLK" : "F_SETLK");
    struct flock l = arg_lock();
    arg(closes ? "close" : "exit");
    pid_t pid = fork();
    if (pid == 0) {
        errno = 0;
        long r = how == 0 ? flock(fd, LOCK_UN | LOCK_NB) : fcntl(fd, how == 1 ? F_OFD_SETLK : F_SETLK, &l);
        int e = errno;
        if (closes)
            close(fd);
        _exit(r == 0 ? 0 : e);
    }
    int status = -1;
    waitpid(pid, &status, 0);
    errno = WEXITSTATUS(status);
    ret(status == 0 ? 0 : -1);
}

static void do_sync(void)
{
    int fd = arg_fd();
    switch (rnd(5)) {
    case 0:
        arg("fsync");
        ret(fsync(fd));
        break;
    case 1:
        arg("fdatasync");
        ret(fdatasync(fd));
        break;
    case 2: {
        arg("range");
        long at = arg_offset(), n = arg_offset();
        ret(sync_file_range(fd, at, n, NUM(0, 1, 2, 7, 8)));
        break;
    }
    case 3: {
        arg("readahead");
        long at = arg_offset();
        ret(readahead(fd, at, arg_size()));
        break;
    }
    default: {
        arg("fadvise");
        long at = arg_offset(), n = arg_offset(), advice = NUM(0, 1, 2, 3, 4, 5, 6);
        ret(RAW(fadvise64, fd, at, n, advice));
    }
    }
}

static const struct word in_masks[] = {W(IN_ALL_EVENTS), W(IN_ACCESS), W(IN_MODIFY), W(IN_ATTRIB), W(IN_CREATE), W(IN_DELETE), W(IN_DELETE_SELF), W(IN_MOVE_SELF), W(IN_MOVED_FROM), W(IN_MOVED_TO), W(IN_OPEN),
    W(IN_CLOSE_WRITE), W(IN_CLOSE_NOWRITE), W(IN_ONESHOT), W(IN_MASK_ADD), W(IN_MASK_CREATE), W(IN_DONT_FOLLOW), W(IN_ONLYDIR), W(IN_EXCL_UNLINK)};

static void do_watch(void)
{
    const char *name = arg_name();
    uint32_t mask = one_in(2) ? (arg("all"), IN_ALL_EVENTS) : SOME(in_masks, 5);
    ret(inotify_add_watch(watcher, name, mask));
}

static void do_unwatch(void) { ret(inotify_rm_watch(watcher, NUM(1, 2, 3, 4, 5, 6, 7, 8, 20))); }

static void do_chdir(void)
{
    bool by_fd = one_in(3);
    if (by_fd)
        ret(fchdir(slots[arg_slot_of(is_dir)]));
    else {
        const char *name = arg_name();
        ret(AS(chdir(name)));
    }
    char *cwd = getcwd(buf, 4096);
    say(" in %s", cwd == NULL ? error_name(errno) : strncmp(cwd, work, strlen(work)) == 0 ? cwd + strlen(work) : cwd);
    chdir(work);
}

static void do_umask(void)
{
    ret(umask(NUM(0, 022, 077, 0777, 01022)));
    umask(022);
}

static void do_close_range(void)
{
    unsigned from = NUM(3, 4, 6, 8, 10), n = NUM(0, 1);
    int flags = NUM(0, 4, 4, 4, 2, 8);
    if (flags == 2)
        flags = 4; /* UNSHARE is not this mode's */
    ret(RAW(close_range, from, from + n, flags));
    for (unsigned i = 0; i < SLOTS; i++)
        if (slots[i] != -1 && fcntl(slots[i], F_GETFD) == -1)
            slots[i] = -1;
}

static void files_start(void)
{
    int p[2];
    struct stat st;
    work_dev = stat(".", &st) == 0 ? st.st_dev : 0;
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = 'a' + i * i % 1009 % 26;
    signal(SIGIO, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p);
    helper_pid = fork();
    if (helper_pid == 0) {
        close(p[0]);
        lock_helper(p[1]);
    }
    close(p[1]);
    helper = hidden(p[0]);
    watcher = hidden(inotify_init1(IN_NONBLOCK));
    mkdir("d", 0755);
    close(open("a", O_CREAT | O_RDWR, 0644));
}

static void drain(bool says)
{
    char events[16384] __attribute__((aligned(8)));
    static uint32_t cookies[4];
    ssize_t n;
    while ((n = read(watcher, events, sizeof events)) > 0)
        for (ssize_t at = 0; at < n && says;) {
            struct inotify_event *e = (void *)(events + at);
            at += sizeof *e + e->len;
            const char *cookie = e->cookie == 0 ? "" : e->cookie == cookies[0] ? " again" : " cookie";
            cookies[0] = e->cookie;
            say(" [%d %#x%s %s]", e->wd, e->mask, cookie, e->len == 0 ? "" : e->name[0] == '#' ? "#" : e->name);
        }
}

static void files_after(void) { drain(true); }

static void watch_name(const char *name)
{
    struct stat st;
    char text[1024], content[64] = "", xattrs[256];
    size_t n = 0;
    if (lstat(name, &st) != 0) {
        state(name, "%s", error_name(errno));
        return;
    }
    if (S_ISREG(st.st_mode)) {
        uint32_t h = 0;
        int fd = open(name, O_RDONLY | O_NOATIME);
        for (ssize_t r; (r = pread(fd, text, sizeof text, n)) > 0 && n < 300000; n += r)
            h = h * 31 + hash(text, r);
        close(fd);
        snprintf(content, sizeof content, " %08x", h);
    } else if (S_ISLNK(st.st_mode)) {
        ssize_t r = readlink(name, text, sizeof text);
        snprintf(content, sizeof content, " -> %08x", hash(text, r));
    }
    n = 0;
    ssize_t r = llistxattr(name, xattrs, sizeof xattrs);
    uint32_t h = 0;
    for (ssize_t at = 0; at < r; at += strlen(xattrs + at) + 1)
        h += hash(xattrs + at, strlen(xattrs + at)); /* in any order */
    const struct timespec *t[] = {&st.st_atim, &st.st_mtim};
    for (int i = 0; i < 2; i++)
        n += snprintf(text + n, sizeof text - n, t[i]->tv_sec > 1000000000 ? " now" : " %ld.%09ld", (long)t[i]->tv_sec, t[i]->tv_nsec);
    state(name, "%o n%lu %u:%u %ld b%ld%s x%zd %08x%s", st.st_mode, (unsigned long)st.st_nlink, st.st_uid, st.st_gid, (long)st.st_size, (long)st.st_blocks, content, r, h,
        S_ISLNK(st.st_mode) ? "" : text);
}

static void files_watch(void)
{
    for (unsigned i = 0; i < COUNT(names); i++)
        watch_name(names[i]);
    for (unsigned i = 0; i < SLOTS; i++) {
        char key[8];
        struct stat st = {};
        snprintf(key, sizeof key, "f%u", i);
        if (slots[i] == -1)
            state(key, "-");
        else if (fstat(slots[i], &st) != 0)
            state(key, "%s", error_name(errno));
        else
            state(key, "%d %o n%lu %ld b%ld at %ld fl %#x %d", slots[i], st.st_mode, (unsigned long)st.st_nlink, (long)st.st_size, (long)st.st_blocks, S_ISDIR(st.st_mode) ? 0 : lseek(slots[i], 0, SEEK_CUR),
                fcntl(slots[i], F_GETFL), fcntl(slots[i], F_GETFD));
    }
    drain(false);
}

static const struct act acts[] = {
    {"open", do_open, 30}, {"create", do_create, 40}, {"openat2", do_openat2, 12}, {"close", do_close, 6}, {"dup", do_dup, 5}, {"pipe", do_pipe, 5}, {"memfd", do_memfd, 5},
    {"read", do_read, 12}, {"write", do_write, 20}, {"pread", do_pread, 6}, {"pwrite", do_pwrite, 14}, {"preadv2", do_preadv2, 12}, {"pwritev2", do_pwritev2, 14}, {"lseek", do_lseek, 20},
    {"truncate", do_truncate, 8}, {"ftruncate", do_ftruncate, 12}, {"fallocate", do_fallocate, 24}, {"copy_file_range", do_copy_file_range, 14}, {"sendfile", do_sendfile, 10}, {"splice", do_splice, 20},
    {"tee", do_tee, 6}, {"vmsplice", do_vmsplice, 6}, {"pipe_io", do_pipe_io, 16}, {"rename", do_rename, 20}, {"link", do_link, 12}, {"link_fd", do_link_fd, 6}, {"symlink", do_symlink, 14}, {"unlink", do_unlink, 20},
    {"rmdir", do_rmdir, 6}, {"mkdir", do_mkdir, 14}, {"mknod", do_mknod, 8}, {"chmod", do_chmod, 8}, {"fchmod", do_fchmod, 6}, {"chown", do_chown, 10}, {"fchown", do_fchown, 6}, {"utimensat", do_utimensat, 12},
    {"setxattr", do_setxattr, 12}, {"getxattr", do_getxattr, 5}, {"removexattr", do_removexattr, 5}, {"getdents", do_getdents, 8}, {"readlink", do_readlink, 5}, {"access", do_access, 10}, {"statx", do_statx, 10},
    {"statfs", do_statfs, 5}, {"stat", do_stat, 8}, {"ioctl", do_ioctl, 4}, {"dup2", do_dup2, 5}, {"open_dir", do_open_dir, 12}, {"limited", do_limited, 8}, {"xattr_fd", do_xattr_fd, 5}, {"fcntl", do_fcntl, 14}, {"pipe_size", do_pipe_size, 4}, {"fionread", do_fionread, 5}, {"lock", do_lock, 20}, {"flock", do_flock, 10}, {"other", do_other, 20},
    {"child_lock", do_child_lock, 6}, {"sync", do_sync, 8}, {"watch", do_watch, 10}, {"unwatch", do_unwatch, 3}, {"chdir", do_chdir, 5}, {"umask", do_umask, 2}, {"close_range", do_close_range, 2},
    {},
};
const struct mode mode_files = {"files", files_start, acts, files_after, files_watch, .confined = true};
