/* SPDX-License-Identifier: Apache-2.0 */
/* open(2), read(2), write(2), lseek(2), stat(2), rename(2), link(2), truncate(2), fcntl(2), dup(2), getdents(3) */
#include "t.h"
#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <utime.h>

static char buf[8192];

static void opens(void)
{
    section("open");
    SHOW(open("missing", O_RDONLY));
    SHOW(open("", O_RDONLY));
    SHOW(open("missing/x", O_RDONLY | O_CREAT, 0600));
    SHOW(open(".", O_WRONLY));
    SHOW(open(".", O_RDWR | O_CREAT, 0600));
    int fd = SHOW_OK(open("a", O_RDWR | O_CREAT | O_EXCL, 0640));
    SHOW(open("a", O_RDWR | O_CREAT | O_EXCL, 0640));
    SHOW(open("a/", O_RDONLY));
    SHOW(open("a/b", O_RDONLY));
    SHOW(open("a", O_RDONLY | O_DIRECTORY));
    SHOW(open((char *)8, O_RDONLY));
    memset(buf, 'x', 300);
    buf[300] = 0;
    SHOW(open(buf, O_RDONLY));
    memset(buf, 'x', 5000);
    buf[5000] = 0;
    SHOW(open(buf, O_RDONLY));
    SHOW(fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK));
    SHOW(fcntl(fd, F_GETFD));
    SHOW(fcntl(fd, F_SETFD, FD_CLOEXEC));
    SHOW(fcntl(fd, F_GETFD));
    SHOW(fcntl(fd, F_SETFL, O_NONBLOCK | O_APPEND));
    SHOW(fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK));
    SHOW(fcntl(fd, 9999));
    SHOW(fcntl(99, F_GETFL));
    struct stat st;
    SHOW(fstat(fd, &st));
    SHOW(st.st_mode);
    SHOW(st.st_nlink);
    SHOW(st.st_size);
    int p = SHOW_OK(open("a", O_PATH));
    SHOW(read(p, buf, 1));
    SHOW(fstat(p, &st));
    SHOW(fchmod(p, 0600));
    close(p);
    SHOW(symlink("a", "l"));
    SHOW(symlink("a", "l"));
    SHOW(open("l", O_RDONLY | O_NOFOLLOW));
    SHOW(symlink("loop2", "loop1"));
    SHOW(symlink("loop1", "loop2"));
    SHOW(open("loop1", O_RDONLY));
    SHOW(readlink("l", buf, 10));
    SHOW(readlink("a", buf, 10));
    SHOW(readlink("l", buf, 0));
    SHOW(close(fd));
    SHOW(close(fd));
    int t = SHOW_OK(open(".", O_TMPFILE | O_RDWR, 0600));
    SHOW(write(t, "tmp", 3));
    SHOW(fstat(t, &st));
    SHOW(st.st_nlink);
    close(t);
}

static void reads_and_writes(void)
{
    section("read and write");
    int fd = open("rw", O_RDWR | O_CREAT | O_TRUNC, 0600);
    SHOW(write(fd, "hello world", 11));
    SHOW(lseek(fd, 0, SEEK_CUR));
    SHOW(lseek(fd, -5, SEEK_END));
    SHOW(read(fd, buf, 100));
    SHOW(read(fd, buf, 100));
    SHOW(lseek(fd, -1, SEEK_SET));
    SHOW(lseek(fd, 0, 77));
    SHOW(lseek(fd, 100000, SEEK_SET));
    SHOW(write(fd, "end", 3));
    struct stat st;
    fstat(fd, &st);
    SHOW(st.st_size);
    SHOW(pread(fd, buf, 10, 50000));
    SHOW_TRUE(memcmp(buf, "\0\0\0\0\0\0\0\0\0\0", 10) == 0);
    SHOW(pread(fd, buf, 10, -1));
    SHOW(pwrite(fd, "X", 1, 0));
    SHOW(pread(fd, buf, 5, 0));
    SHOW_TRUE(memcmp(buf, "Xello", 5) == 0);
    SHOW(read(fd, (void *)8, 10));
    lseek(fd, 0, SEEK_SET);
    SHOW(read(fd, (void *)8, 10));
    SHOW(write(fd, (void *)8, 10));
    SHOW(read(fd, buf, 0));
    struct iovec v[3] = {{buf, 3}, {buf + 10, 0}, {buf + 20, 4}};
    SHOW(readv(fd, v, 3));
    SHOW(readv(fd, v, -1));
    SHOW(readv(fd, v, 2000));
    SHOW(writev(fd, v, 3));
    SHOW(preadv(fd, v, 3, 2));
    SHOW(preadv2(fd, v, 3, 2, 0x4000));
    SHOW(ftruncate(fd, 5));
    SHOW(lseek(fd, 0, SEEK_END));
    SHOW(ftruncate(fd, -1));
    SHOW(truncate("rw", 8192));
    SHOW(truncate("missing", 0));
    SHOW(truncate(".", 0));
    SHOW(lseek(fd, 0, SEEK_DATA));
    SHOW(lseek(fd, 8192, SEEK_DATA));
    SHOW(lseek(fd, 0, SEEK_HOLE) >= 5);
    int wide = memfd_create("wide", 0);
    SHOW(ftruncate(wide, 1L << 50));
    SHOW(lseek(wide, 0, SEEK_DATA));
    SHOW(lseek(wide, 1, SEEK_HOLE));
    SHOW(pwrite(wide, "x", 1, 0));
    SHOW(lseek(wide, 4096, SEEK_DATA));
    SHOW(lseek(wide, 1, SEEK_HOLE));
    SHOW(pwrite(wide, "x", 1, (1L << 50) - 1));
    SHOW(lseek(wide, 1, SEEK_DATA));
    SHOW(lseek(wide, 4096, SEEK_DATA));
    SHOW(lseek(wide, (1L << 50) - 1, SEEK_DATA));
    SHOW(lseek(wide, (1L << 50) - 1, SEEK_HOLE));
    close(wide);
    SHOW(fsync(fd));
    SHOW(fdatasync(fd));
    int ro = open("rw", O_RDONLY);
    SHOW(write(ro, "x", 1));
    SHOW(ftruncate(ro, 1));
    int wo = open("rw", O_WRONLY | O_APPEND);
    SHOW(read(wo, buf, 1));
    SHOW(write(wo, "tail", 4));
    SHOW(lseek(wo, 0, SEEK_CUR));
    int d = dup(wo);
    SHOW(lseek(d, 10, SEEK_SET));
    SHOW(lseek(wo, 0, SEEK_CUR));
    SHOW(dup2(wo, 50));
    SHOW(dup2(wo, wo) == wo);
    SHOW(dup3(wo, wo, 0));
    SHOW(dup3(wo, 51, O_CLOEXEC));
    SHOW(fcntl(51, F_GETFD));
    SHOW(dup2(99, 1000000));
    SHOW(dup2(99, 5));
    SHOW(fcntl(wo, F_DUPFD, 60));
    SHOW(fcntl(wo, F_DUPFD_CLOEXEC, 60));
    int ioval = -1;
    lseek(ro, 0, SEEK_SET);
    SHOW(ioctl(ro, FIONREAD, &ioval));
    SHOW(ioval);
    lseek(ro, 5000000, SEEK_SET);
    SHOW(ioctl(ro, FIONREAD, &ioval));
    SHOW(ioval);
    lseek(ro, 0, SEEK_SET);
    SHOW(ioctl(ro, 0x1234, &ioval));
    SHOW(isatty(ro));
    SHOW(posix_fadvise(ro, 0, 0, POSIX_FADV_SEQUENTIAL));
    SHOW(posix_fadvise(ro, 0, 0, 77));
    SHOW(fallocate(fd, 0, 0, 16384));
    SHOW(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
    SHOW(fallocate(fd, 0, -1, 5));
    SHOW(fallocate(ro, 0, 0, 5));
    int out = open("copy", O_RDWR | O_CREAT | O_TRUNC, 0600);
    lseek(ro, 0, SEEK_SET);
    SHOW(sendfile(out, ro, NULL, 100));
    off_t off = 5;
    SHOW(sendfile(out, ro, &off, 7));
    SHOW(off);
    SHOW(copy_file_range(ro, NULL, out, NULL, 50, 0));
    close(fd), close(ro), close(wo), close(d), close(out), close(50), close(51), close(60), close(61);
}

static void names(void)
{
    section("names");
    struct stat st;
    SHOW(mkdir("d", 0755));
    SHOW(mkdir("d", 0755));
    SHOW(mkdir("missing/d", 0755));
    SHOW(mkdir("d/e/", 0700));
    SHOW(rmdir("d"));
    SHOW(rmdir("d/e"));
    SHOW(rmdir("d/."));
    SHOW(rmdir("d/e"));
    SHOW(rmdir("a"));
    SHOW(unlink("d"));
    SHOW(unlink("missing"));
    SHOW(link("a", "a2"));
    SHOW(link("a", "a2"));
    SHOW(link("d", "d2"));
    stat("a", &st);
    SHOW(st.st_nlink);
    SHOW(rename("a2", "a3"));
    SHOW(rename("missing", "x"));
    SHOW(rename("a3", "d"));
    SHOW(rename("d", "a3"));
    SHOW(mkdir("d/f", 0700));
    SHOW(rename("d", "d/f/g"));
    SHOW(rename("a", "a3"));
    SHOW(renameat2(AT_FDCWD, "a", AT_FDCWD, "a3", RENAME_NOREPLACE));
    SHOW(renameat2(AT_FDCWD, "a", AT_FDCWD, "d", RENAME_EXCHANGE));
    stat("a", &st);
    SHOW(S_ISDIR(st.st_mode));
    SHOW(renameat2(AT_FDCWD, "a", AT_FDCWD, "d", RENAME_EXCHANGE));
    SHOW(renameat2(AT_FDCWD, "a", AT_FDCWD, "d", 0x80));
    SHOW(access("a", F_OK));
    SHOW(access("missing", F_OK));
    SHOW(access("a", 0x99));
    SHOW(faccessat(AT_FDCWD, "a", R_OK | W_OK, 0));
    SHOW(chmod("a", 04711));
    stat("a", &st);
    SHOW(st.st_mode);
    SHOW(chown("a", 1, 2));
    stat("a", &st);
    SHOW(st.st_mode);
    SHOW(st.st_uid);
    SHOW(st.st_gid);
    SHOW(chown("a", -1, -1));
    SHOW(lchown("l", 3, 3));
    lstat("l", &st);
    SHOW(st.st_uid);
    SHOW(chmod("missing", 0));
    struct timespec ts[2] = {{1000000000, 5}, {1100000000, 7}};
    SHOW(utimensat(AT_FDCWD, "a", ts, 0));
    stat("a", &st);
    SHOW(st.st_atime);
    SHOW(st.st_mtim.tv_nsec);
    ts[0].tv_nsec = UTIME_OMIT;
    ts[1].tv_nsec = 2000000000;
    SHOW(utimensat(AT_FDCWD, "a", ts, 0));
    SHOW(mkfifo("fifo", 0600));
    stat("fifo", &st);
    SHOW(S_ISFIFO(st.st_mode));
    SHOW(open("fifo", O_WRONLY | O_NONBLOCK));
    int r = SHOW_OK(open("fifo", O_RDONLY | O_NONBLOCK));
    int w = SHOW_OK(open("fifo", O_WRONLY | O_NONBLOCK));
    SHOW(write(w, "abc", 3));
    SHOW(read(r, buf, 10));
    SHOW(read(r, buf, 10));
    close(w);
    SHOW(read(r, buf, 10));
    close(r);
    SHOW(chdir("d"));
    SHOW(chdir("missing"));
    SHOW(chdir("../a"));
    SHOW(chdir(".."));
    int dfd = open("d", O_RDONLY | O_DIRECTORY);
    SHOW(mkdirat(dfd, "sub", 0700));
    SHOW(fstatat(dfd, "sub", &st, 0));
    SHOW(fstatat(dfd, "", &st, AT_EMPTY_PATH));
    SHOW(fstatat(dfd, "", &st, 0));
    SHOW(fstatat(dfd, "sub", &st, 0x8000000));
    SHOW(unlinkat(dfd, "sub", 0));
    SHOW(unlinkat(dfd, "sub", AT_REMOVEDIR));
    SHOW(openat(99, "x", O_RDONLY));
    SHOW(fchdir(dfd));
    SHOW(fchdir(99));
    SHOW(chdir(".."));
    close(dfd);
    struct statx sx;
    SHOW(statx(AT_FDCWD, "a", 0, STATX_BASIC_STATS, &sx));
    SHOW(sx.stx_mode);
    SHOW(sx.stx_nlink);
    SHOW(statx(AT_FDCWD, "a", 0x4000000, 0, &sx));
    SHOW(umask(027));
    int u = open("um", O_CREAT | O_RDWR, 0777);
    fstat(u, &st);
    SHOW(st.st_mode);
    SHOW(umask(022));
    close(u);
}

static void directories(void)
{
    section("directories");
    mkdir("list", 0700);
    for (int i = 0; i < 300; i++) {
        snprintf(buf, sizeof buf, "list/entry-number-%03d", i);
        close(open(buf, O_CREAT | O_WRONLY, 0600));
    }
    DIR *d = opendir("list");
    int n = 0, dots = 0, files = 0;
    long sum = 0;
    for (struct dirent *e; (e = readdir(d)) != NULL; n++) {
        if (e->d_name[0] == '.')
            dots++;
        else
            files += e->d_type == DT_REG, sum += atoi(e->d_name + 13);
    }
    SHOW(n);
    SHOW(dots);
    SHOW(files);
    SHOW(sum);
    rewinddir(d);
    n = 0;
    while (readdir(d) != NULL)
        n++;
    SHOW(n);
    closedir(d);
    for (int i = 0; i < 300; i += 2) {
        snprintf(buf, sizeof buf, "list/entry-number-%03d", i);
        unlink(buf);
    }
    d = opendir("list");
    n = 0;
    while (readdir(d) != NULL)
        n++;
    SHOW(n);
    closedir(d);
    int fd = open("list", O_RDONLY);
    SHOW(read(fd, buf, 10));
    SHOW(lseek(fd, 0, SEEK_SET));
    close(fd);
}

static void locks(void)
{
    section("locks");
    int a = open("lock", O_RDWR | O_CREAT, 0600), b = open("lock", O_RDWR);
    struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    SHOW(fcntl(a, F_SETLK, &l));
    SHOW(fcntl(b, F_SETLK, &l));
    l.l_type = F_WRLCK;
    SHOW(fcntl(b, F_GETLK, &l));
    SHOW(l.l_type);
    l.l_type = 77;
    SHOW(fcntl(a, F_SETLK, &l));
    SHOW(flock(a, LOCK_EX));
    SHOW(flock(b, LOCK_EX | LOCK_NB));
    SHOW(flock(a, LOCK_UN));
    SHOW(flock(b, LOCK_SH | LOCK_NB));
    SHOW(flock(a, LOCK_SH | LOCK_NB));
    SHOW(flock(a, 77));
    struct flock o = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 10};
    SHOW(fcntl(a, F_OFD_SETLK, &o));
    SHOW(fcntl(b, F_OFD_SETLK, &o));
    o.l_start = 20;
    SHOW(fcntl(b, F_OFD_SETLK, &o));
    close(a), close(b);
    a = open("lock", O_RDWR); /* a mapping keeps the open file, and so its lock */
    SHOW(flock(a, LOCK_EX));
    void *m = mmap(NULL, 4096, PROT_READ, MAP_SHARED, a, 0);
    close(a);
    a = open("lock", O_RDWR);
    SHOW(flock(a, LOCK_EX | LOCK_NB));
    SHOW(munmap(m, 4096));
    SHOW(flock(a, LOCK_EX | LOCK_NB));
    close(a);
}

/* /proc/locks, of one file, in an order of ours. */
static void show_locks(const struct stat *st)
{
    char line[256], end[24], found[8][80];
    unsigned n = 0;
    FILE *f = fopen("/proc/locks", "r");
    while (n < 8 && f != NULL && fgets(line, sizeof line, f) != NULL) {
        char kind[8], mode[16], type[8], *p = strstr(line, "-> ");
        int pid;
        unsigned major_, minor_;
        unsigned long long ino, start;
        if (sscanf(p != NULL ? p + 3 : strchr(line, ':') + 1, "%7s %15s %7s %d %x:%x:%llu %llu %23s", kind, mode, type, &pid, &major_, &minor_, &ino, &start, end) == 9 &&
            ino == st->st_ino && makedev(major_, minor_) == st->st_dev)
            snprintf(found[n++], sizeof found[0], "%s%s %s %s %s %llu %s", p != NULL ? "-> " : "", kind, mode, type, pid == getpid() ? "ours" : pid == -1 ? "nobody's" : "another's", start, end);
    }
    if (f != NULL)
        fclose(f);
    qsort(found, n, sizeof found[0], (int (*)(const void *, const void *))strcmp);
    for (unsigned i = 0; i < n; i++)
        SHOW_STR(found[i]);
}

/* A lock of another type is not waited for with the first one held. */
static void lock_conversion(void)
{
    section("flock: another type");
    struct stat st;
    int a = open("lock", O_RDWR | O_CREAT, 0600), b = open("lock", O_RDWR), ends[2];
    fstat(a, &st);
    SHOW(flock(a, LOCK_SH));
    SHOW(flock(b, LOCK_SH));
    show_locks(&st);
    SHOW(flock(a, LOCK_EX | LOCK_NB));
    show_locks(&st);
    SHOW(flock(b, LOCK_EX | LOCK_NB));
    SHOW(flock(b, LOCK_SH | LOCK_NB));
    SHOW(flock(a, LOCK_SH | LOCK_NB));
    SHOW(pipe(ends));
    if (fork() == 0) { /* two that share ask for all of it */
        int own = open("lock", O_RDWR);
        close(a), close(b);
        flock(own, LOCK_SH);
        write(ends[1], "s", 1);
        alarm(20);
        _exit(flock(own, LOCK_EX) != 0);
    }
    read(ends[0], buf, 1);
    close(b);
    usleep(100000);
    show_locks(&st);
    alarm(20);
    SHOW(flock(a, LOCK_EX));
    alarm(0);
    int status;
    flock(a, LOCK_UN);
    wait(&status);
    SHOW(status);
    struct flock l = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 5, .l_len = 10}, o = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
    SHOW(fcntl(a, F_SETLK, &l));
    SHOW(fcntl(a, F_OFD_SETLK, &o));
    show_locks(&st);
    close(a);
    show_locks(&st);
}

/* What a mount may hold. */
static void tmpfs_bounds(void)
{
    section("tmpfs: bounds");
    mkdir("bounds", 0700);
    if (SHOW(mount("none", "bounds", "tmpfs", 0, "nr_inodes=4,nr_blocks=3")) != 0)
        return;
    struct statfs s = {0};
    SHOW(statfs("bounds", &s));
    SHOW(s.f_blocks);
    SHOW(s.f_files);
    SHOW(s.f_ffree);
    SHOW(mkdir("bounds/d", 0700));
    SHOW(symlink("x", "bounds/l"));
    SHOW(mknod("bounds/f", S_IFREG | 0600, 0));
    SHOW(mknod("bounds/g", S_IFREG | 0600, 0));
    SHOW_OK(open("bounds", O_TMPFILE | O_RDWR, 0600));
    SHOW(statfs("bounds", &s));
    SHOW(s.f_ffree);
    int fd = open("bounds/f", O_WRONLY);
    SHOW(write(fd, memset(buf, 'x', 4096), 4096));
    SHOW(pwrite(fd, buf, 4096, 4096));
    SHOW(pwrite(fd, buf, 4096, 8192));
    SHOW(pwrite(fd, buf, 4096, 12288));
    close(fd);
    SHOW(unlink("bounds/l"));
    SHOW(mknod("bounds/g", S_IFREG | 0600, 0));
    SHOW(umount("bounds"));
    SHOW(mount("none", "bounds", "tmpfs", 0, "nr_inodes=x"));
    SHOW(mount("none", "bounds", "tmpfs", 0, "nr_blocks=50%"));
    SHOW(mount("none", "bounds", "tmpfs", 0, "nr_inodes=0"));
    SHOW(statfs("bounds", &s));
    SHOW(s.f_files);
    SHOW(umount("bounds"));
}

static void attributes(void)
{
    section("extended attributes");
    SHOW(setxattr("a", "bogus", "v", 1, 0));
    SHOW(getxattr("a", "user.none", buf, 10));
    SHOW(getxattr("missing", "user.none", buf, 10));
}

int main(void)
{
    char dir[] = "/tmp/filesXXXXXX";
    if (mkdtemp(dir) == NULL || chdir(dir) != 0)
        return 1;
    umask(022);
    opens();
    reads_and_writes();
    names();
    directories();
    locks();
    lock_conversion();
    tmpfs_bounds();
    attributes();
    section("devices");
    int fd = open("/dev/zero", O_RDWR);
    buf[0] = 1;
    SHOW(read(fd, buf, 4096));
    SHOW(buf[0]);
    SHOW(write(fd, buf, 10));
    close(fd);
    fd = open("/dev/null", O_RDWR);
    SHOW(read(fd, buf, 10));
    SHOW(write(fd, buf, 10));
    SHOW(lseek(fd, 5, SEEK_SET));
    close(fd);
    fd = open("/dev/full", O_RDWR);
    SHOW(write(fd, buf, 10));
    SHOW(read(fd, buf, 10));
    close(fd);
    fd = open("/dev/urandom", O_RDONLY);
    SHOW(read(fd, buf, 1000));
    close(fd);
    struct stat st;
    SHOW(stat("/dev/null", &st));
    SHOW(st.st_rdev);
    SHOW(S_ISCHR(st.st_mode));
    struct statfs fs;
    SHOW(statfs("/proc", &fs));
    SHOW(fs.f_type);
    snprintf(buf, sizeof buf, "rm -r %s", dir);
    return 0;
}
