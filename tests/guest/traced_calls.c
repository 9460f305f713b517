// SPDX-License-Identifier: Apache-2.0
/* Not a guest test: what tests/apps/strace_calls.py traces here and there. Every call that is there, by its number, with arguments of
 * several kinds: good ones, unknown bits, null pointers, pointers to nowhere. Nothing of it depends on who runs it, or how fast. */
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/stat.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NOWHERE ((void *)0x1000)
#define PATH "traced.calls"

/* Always six arguments: nothing is left over from calls before. */
#define C(name, ...) syscall(SYS_##name, ##__VA_ARGS__, 0l, 0l, 0l, 0l, 0l, 0l)

struct times {
    long seconds, fraction;
};
static char buf[512];
static struct times two[2] = {{1, 2}, {3, 4}};
static unsigned long term = 1ul << (SIGTERM - 1) | 1ul << (SIGUSR2 - 1);

static void files(void)
{
    int fd = (int)C(open, PATH, O_RDWR | O_CREAT | O_TRUNC | O_SYNC, 0644), to;
    C(open, PATH, O_RDONLY | O_DSYNC | O_NOATIME | O_NONBLOCK);
    C(close, 4);
    C(open, NULL, O_RDONLY);
    C(open, NOWHERE, O_RDONLY);
    C(open, "", 3);
    close((int)C(creat, PATH, 06711));
    C(openat, 99, "x", O_RDWR | O_CREAT | O_EXCL, 0);
    C(openat, AT_FDCWD, ".", O_RDWR | 020200000 | O_EXCL, 0600);
    C(openat2, 99, "x", (struct { long flags, mode, resolve; }[]){{O_RDWR | O_CREAT, 0600, 0}}, 24);
    C(openat2, 99, "x", (struct { long flags, mode, resolve; }[]){{O_PATH, 0, 0x18}}, 24);
    C(openat2, AT_FDCWD, "missing", NOWHERE, 24);
    C(write, fd, "0123456789abcdefghijklmnopqrstuvwxyz\0\1\2", 39);
    C(write, fd, NOWHERE, 4);
    C(write, fd, NULL, 0);
    C(read, fd, buf, 0);
    C(read, 99, buf, 1);
    C(pread64, fd, buf, 10, 20);
    C(pread64, fd, buf, 10, -1l);
    C(pwrite64, fd, "\t\n\v\f\r\e\377", 7, 40);
    C(lseek, fd, 0, SEEK_DATA);
    C(lseek, fd, 0, SEEK_HOLE);
    C(lseek, fd, -5l, 77);
    C(access, PATH, 8);
    C(faccessat, AT_FDCWD, PATH, R_OK);
    C(faccessat2, AT_FDCWD, PATH, W_OK | X_OK, AT_EACCESS | AT_SYMLINK_NOFOLLOW);
    C(stat, "/dev/null", buf);
    C(stat, "missing", buf);
    C(stat, PATH, NULL);
    C(lstat, "/dev", buf);
    C(newfstatat, AT_FDCWD, PATH, buf, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT);
    C(newfstatat, fd, "", buf, AT_EMPTY_PATH);
    C(statx, AT_FDCWD, PATH, AT_STATX_FORCE_SYNC | AT_SYMLINK_NOFOLLOW, 0xfff, NULL);
    C(statx, AT_FDCWD, "missing", AT_STATX_DONT_SYNC, STATX_BASIC_STATS, buf);
    C(link, PATH, "traced.link");
    C(linkat, AT_FDCWD, "missing", 99, "other", AT_SYMLINK_FOLLOW);
    C(unlinkat, AT_FDCWD, "traced.link", 0);
    C(unlinkat, AT_FDCWD, "traced.link", AT_REMOVEDIR);
    C(symlinkat, "to", AT_FDCWD, "traced.sym");
    C(readlinkat, AT_FDCWD, "traced.sym", buf, 100);
    C(readlink, "traced.sym", buf, 1);
    C(readlink, PATH, buf, 10);
    C(renameat, AT_FDCWD, "traced.sym", AT_FDCWD, "traced.sym2");
    C(renameat2, AT_FDCWD, "traced.sym2", AT_FDCWD, "missing", 2);
    C(renameat2, AT_FDCWD, "traced.sym2", AT_FDCWD, PATH, 1);
    C(rename, "missing", NULL);
    C(unlink, "traced.sym2");
    C(mkdir, "traced.dir", 01777);
    C(mkdirat, 99, "x", 0);
    C(chdir, "traced.dir");
    C(chdir, "..");
    C(fchdir, 99);
    C(rmdir, "traced.dir");
    C(chmod, PATH, 0);
    C(fchmod, fd, 0644);
    C(fchmodat, AT_FDCWD, "missing", 04755);
    C(chown, PATH, -1l, -1l);
    C(fchown, fd, -1l, -1l);
    C(lchown, "missing", 1, 2);
    C(fchownat, AT_FDCWD, "missing", 1, -1l, AT_SYMLINK_NOFOLLOW);
    C(umask, 07777);
    C(umask, 022);
    C(mknod, "missing/x", S_IFCHR | 0600, 0x103);
    C(mknod, "missing/x", 0644, 0);
    C(mknodat, 99, "x", S_IFBLK | 0660, 0x801);
    C(mknodat, 99, "x", S_IFSOCK, 0);
    C(truncate, PATH, 100);
    C(truncate, "missing", -1l);
    C(ftruncate, fd, 10);
    C(fallocate, 99, 3, 0, 10);
    C(fallocate, 99, 0, 5, 10);
    C(fallocate, 99, 0x40, 5, 10);
    C(fsync, fd), C(fdatasync, 99);
    C(sync_file_range, 99, 1, 2, 7);
    C(syncfs, 99);
    C(readahead, fd, 0, 10);
    C(fadvise64, fd, 0, 0, 3);
    C(fadvise64, 99, 1, 2, 77);
    C(utime, PATH, NULL);
    C(utimes, "missing", two);
    C(futimesat, AT_FDCWD, "missing", two);
    C(futimesat, AT_FDCWD, PATH, NULL);
    C(utimensat, AT_FDCWD, PATH, NULL, 0);
    C(utimensat, AT_FDCWD, "missing", (struct times[]){{0, 0x3fffffff}, {5, 5}}, AT_SYMLINK_NOFOLLOW);
    C(flock, fd, 8);
    C(flock, 99, 2);
    C(fcntl, fd, F_DUPFD, 50);
    C(fcntl, 50, F_DUPFD_CLOEXEC, 60);
    C(fcntl, 60, F_GETFD);
    C(fcntl, 60, F_SETFD, 3);
    C(fcntl, fd, F_SETFL, O_NONBLOCK);
    C(fcntl, fd, F_GETFL);
    C(fcntl, fd, F_SETLKW, (struct { short type, whence; long start, len; int pid; }[]){{F_UNLCK, SEEK_CUR, 0, 0, 0}});
    C(fcntl, fd, F_GETLK, (struct { short type, whence; long start, len; int pid; }[]){{F_RDLCK, SEEK_SET, 0, 0, 0}});
    C(fcntl, fd, F_SETOWN, 0);
    C(fcntl, fd, F_GETOWN);
    C(fcntl, fd, F_GETOWN_EX, buf);
    C(fcntl, 99, F_SETLEASE, F_RDLCK);
    C(fcntl, 99, F_GETLEASE);
    C(fcntl, 99, F_NOTIFY, 0x80000001);
    C(fcntl, 99, F_SETPIPE_SZ, 4096);
    C(fcntl, 99, F_GETPIPE_SZ);
    C(fcntl, 99, 12345, 6);
    C(fcntl, 99, 1035, buf); /* F_GET_RW_HINT.. */
    C(fcntl, 99, 1036, (long[]){2});
    C(close_range, 50, 70, 0);
    C(close_range, 3, 2, 7);
    to = (int)C(dup, fd);
    C(dup2, fd, fd);
    C(dup3, fd, fd, O_CLOEXEC);
    C(copy_file_range, fd, (long[]){1}, to, (long[]){3}, 2, 0);
    C(copy_file_range, 99, NULL, fd, NULL, 2, 0);
    C(close, to);
    C(sendfile, 99, fd, NULL, 5);
    C(sendfile, 99, fd, (long[]){1}, 5);
    C(getdents64, fd, buf, 512);
    C(getdents, fd, buf, 512);
    C(getcwd, buf, 1);
    C(setxattr, "missing", "user.x", "abc", 3, 1);
    C(lsetxattr, "missing", "user.x", "a\0c", 3, 2);
    C(fsetxattr, 99, "user.x", NULL, 0, 0);
    C(getxattr, "missing", "user.x", buf, 10);
    C(lgetxattr, PATH, "user.none", NULL, 0);
    C(fgetxattr, 99, "user.x", buf, 10);
    C(listxattr, "missing", buf, 10), C(llistxattr, "missing", NULL, 0), C(flistxattr, 99, buf, 10);
    C(removexattr, "missing", "user.x"), C(lremovexattr, "missing", "user.x"), C(fremovexattr, 99, "user.x");
    C(statfs, "missing", buf);
    C(statfs, "/proc", buf);
    C(fstatfs, 99, buf);
    C(chroot, "missing");
    C(mount, "a", "missing", "tmpfs", 0x100f, "size=1");
    C(mount, NULL, "missing", NULL, 1 << 18, NULL);
    C(umount2, "missing", 2);
    C(name_to_handle_at, AT_FDCWD, "missing", (int[4]){8}, buf, AT_EMPTY_PATH);
    C(open_by_handle_at, 99, (int[4]){8, 1, 2, 3}, O_RDONLY | O_CLOEXEC);
    C(inotify_add_watch, 99, "x", 0x3c0);
    C(inotify_rm_watch, 99, 1);
    close((int)C(inotify_init));
    close((int)C(inotify_init1, 02004000));
    C(inotify_init1, 1);
    close((int)C(memfd_create, "name", 3));
    C(memfd_create, "name", 0x14000004);
    C(memfd_create, NULL, 0);
    C(sync);
    C(unlink, PATH);
    C(close, fd);
}

static void vectors(void)
{
    struct iov {
        void *base;
        long len;
    } many[20], v[3] = {{"abc", 3}, {"defgh", 5}, {buf, 4}}, in[2] = {{buf, 2}, {buf + 8, 30}};
    int ends[2], other[2];
    for (int i = 0; i < 20; i++)
        many[i] = (struct iov){"0123456789", 1 + i % 10};
    C(pipe, ends);
    C(pipe2, other, O_CLOEXEC | 040000);
    C(pipe2, other, 1);
    C(pipe, NOWHERE);
    C(writev, ends[1], v, 2);
    C(readv, ends[0], in, 2);
    C(writev, ends[1], many, 20);
    C(readv, ends[0], (struct iov[]){{buf, 500}}, 1);
    C(writev, ends[1], NULL, 0);
    C(writev, ends[1], NOWHERE, 2);
    C(writev, ends[1], v, -1l);
    C(preadv, 99, in, 2, 5, 0);
    C(pwritev, 99, v, 2, 1l << 33, 0);
    C(preadv2, 99, in, 2, -1l, -1l, 8);
    C(pwritev2, 99, v, 1, 7, 0, 0x31);
    C(vmsplice, 99, v, 2, 5);
    C(tee, 99, ends[1], 100, 2);
    C(splice, ends[0], NULL, ends[1], (long[]){5}, 100, 9);
    C(process_vm_readv, getpid(), (struct iov[]){{buf, 8}}, 1, (struct iov[]){{"remote!", 8}}, 1, 0);
    C(process_vm_writev, getpid(), (struct iov[]){{"written", 8}}, 1, (struct iov[]){{buf, 8}}, 1, 0);
    C(process_vm_readv, getpid(), NULL, 0, NULL, 0, 1);
    C(process_madvise, 99, (struct iov[]){{buf, 8}}, 1, MADV_COLD, 0);
    for (int i = 0; i < 2; i++) {
        C(close, ends[i]);
        C(close, other[i]);
    }
}

static void memory(void)
{
    char *p = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    *p = p[4096] = 1;
    C(mmap, p, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_STACK | MAP_POPULATE, -1l, 0);
    C(mmap, p, 4096, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1l, 0);
    C(mmap, NULL, 4096, 0x10, 0x10, 99, 8192);
    C(mmap, NULL, 0, PROT_WRITE, MAP_SHARED_VALIDATE | MAP_SYNC, 99, -4096l);
    C(mmap, NULL, 4096, PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | 30 << 26 | 99l << 40, -1l, 1);
    C(mprotect, p, 4096, PROT_READ | PROT_WRITE);
    C(mprotect, p, 1, 0x1000000);
    C(mprotect, p, 1, 0x40);
    C(mremap, p, 4096, 8192, 0);
    C(mremap, p + 1, 4096, 8192, MREMAP_MAYMOVE | MREMAP_FIXED, 0x10000);
    C(mremap, p + 1, 4096, 8192, 8);
    C(msync, p, 4096, MS_SYNC);
    C(msync, p + 1, 4096, MS_ASYNC | MS_INVALIDATE);
    C(mincore, p, 8192, buf);
    C(mincore, p, 1, buf);
    C(mincore, p + 1, 4096, buf);
    C(mincore, p, 4096, NULL);
    C(madvise, p, 4096, MADV_WILLNEED);
    C(madvise, p, 4096, 1234);
    C(mlock, p, 4096);
    C(mlock2, p, 4096, 1);
    C(munlock, p, 4096), C(mlockall, 0x10), C(mlockall, 0), C(munlockall);
    C(brk, 0);
    C(pkey_mprotect, p, 4096, PROT_READ, -1l);
    C(pkey_alloc, 1, 3);
    C(pkey_free, 17);
    C(membarrier, 0, 0, 0);
    C(membarrier, 0x4000, 1, 2);
    C(munmap, p, 65536);
    C(munmap, p + 1, 0);
    C(set_robust_list, NULL, 24);
    C(set_robust_list, NULL, 5);
}

static void ipc(void)
{
    struct { long type; char text[20]; } message = {5, "a message"};
    int id = (int)C(msgget, 0, 0600 | 01000 | 02000);
    C(msgget, 0x12345678, 0);
    C(msgsnd, id, &message, 9, 04000 | 010000);
    C(msgsnd, id, &message, 5, 0);
    C(msgsnd, -1l, NULL, 5, 0);
    C(msgrcv, id, &message, 20, 5, 010000);
    C(msgrcv, id, &message, 20, -9l, 0);
    C(msgrcv, id, &message, 20, 0, 04000);
    C(msgctl, id, 2, buf);
    C(msgctl, id, 1, NULL);
    C(msgctl, id, 0, NULL);
    C(msgctl, -1l, 0x103, buf);
    id = (int)C(semget, 0, 3, 0600);
    C(semget, 0x12345678, 3, 02600);
    C(semop, id, (short[]){0, 1, 0, 1, 2, 010000}, 2);
    C(semop, id, (short[]){0, -5l, 04000}, 1);
    C(semtimedop, id, (short[]){2, -5l, 0}, 1, &(struct times){0, 0});
    C(semop, -1l, NULL, 0);
    C(semctl, id, 0, 12);
    C(semctl, id, 1, 16, 7);
    C(semctl, id, 0, 13, buf);
    C(semctl, id, 0, 17, (short[]){1, 2, 3});
    C(semctl, id, 0, 2, buf);
    C(semctl, id, 1, 14);
    C(semctl, id, 1, 77, 5);
    C(semctl, id, 0, 0);
    id = (int)C(shmget, 0, 8192, 0640 | 01000);
    C(shmget, 0x12345678, 8192, 04600);
    void *at = (void *)C(shmat, id, NULL, 010000 | 020000);
    C(shmctl, id, 2, buf);
    C(shmctl, id, 11, 0);
    C(shmdt, at);
    C(shmdt, at);
    C(shmctl, id, 0, 0);
    C(shmat, -1l, (void *)0x123456, 0);
    id = (int)C(mq_open, "traced", O_RDWR | O_CREAT | O_EXCL, 0600, (struct { long flags, most, size, there, rest[4]; }[]){{0, 4, 64, 0, {0}}});
    C(mq_open, "missing", O_RDONLY);
    C(mq_timedsend, id, "in a queue", 10, 3, NULL);
    C(mq_timedreceive, id, buf, 64, (int[]){0}, &(struct times){0, 0});
    C(mq_timedreceive, id, buf, 64, NULL, &(struct times){0, 0});
    C(mq_timedsend, 99, NULL, 0, 0, &(struct times){1, 500});
    C(mq_notify, id, NULL);
    C(mq_notify, 99, (struct { long value; int signal, notify, rest[12]; }[]){{7, SIGUSR1, 1, {0}}});
    C(mq_getsetattr, id, (struct { long flags, most, size, there, rest[4]; }[]){{04000, 0, 0, 0, {0}}}, buf);
    C(mq_unlink, "traced");
    C(mq_unlink, "traced");
    C(close, id);
}

/* --- sockets ------------------------------------------------------------------------------- */

static void datagrams(int s, int t)
{
    struct iov {
        void *base;
        long len;
    } a[2] = {{"one", 3}, {"two!", 4}}, b = {"second message", 14}, in[2] = {{buf, 100}, {buf + 200, 100}};
    struct {
        struct { void *name; int name_len; struct iov *iov; long iov_len; void *control; long control_len; int flags; } head;
        unsigned len;
    } out[2] = {{{NULL, 0, a, 2, NULL, 0, 0}, 0}, {{NULL, 0, &b, 1, NULL, 0, 0}, 0}},
      got[3] = {{{NULL, 0, in, 1, NULL, 0, 0}, 0}, {{NULL, 0, in + 1, 1, NULL, 0, 0}, 0}, {{NULL, 0, in, 1, NULL, 0, 0}, 0}};
    C(sendmmsg, s, out, 2, MSG_DONTWAIT);
    C(recvmmsg, t, got, 3, MSG_DONTWAIT, NULL);
    C(recvmmsg, t, got, 2, MSG_DONTWAIT | MSG_WAITFORONE, &(struct times){1, 500});
    C(sendmmsg, s, out, 1, MSG_NOSIGNAL);
    C(recvmmsg, t, got, 1, 0, &(struct times){1, 500});
    C(sendmmsg, 99, out, 2, 0);
    C(sendmmsg, s, NULL, 2, 0);
    C(sendmmsg, s, out, 0, 0);
    C(recvmmsg, 99, NULL, 2, 0, NOWHERE);
    C(sendmsg, 99, NULL, 0);
    C(recvmsg, t, &got[0].head, MSG_DONTWAIT);
    C(sendmmsg, s, out, 2, 0);
    C(recvmsg, t, &got[0].head, MSG_DONTWAIT);
    C(recvmmsg, t, got, 2, MSG_DONTWAIT, &(struct times){1, 500});
    C(recvmsg, 99, NOWHERE, MSG_PEEK | MSG_TRUNC);
}

static void options(int s)
{
    static const struct { int level, name; } all[] = {
        {1, 1}, {1, 3}, {1, 4}, {1, 5}, {1, 6}, {1, 7}, {1, 8}, {1, 9}, {1, 10}, {1, 12}, {1, 13}, {1, 15}, {1, 16}, {1, 18}, {1, 20}, {1, 30}, {1, 38}, {1, 39},
        {1, 46}, {1, 60}, {1, 36}, {1, 47}, {1, 62}, {1, 17}, {1, 99}, {6, 1}, {6, 2}, {6, 3}, {6, 4}, {6, 5}, {6, 6}, {6, 7}, {6, 8}, {6, 10}, {6, 12}, {6, 18}, {6, 23},
        {6, 25}, {6, 19}, {6, 99}, {0, 1}, {0, 2}, {0, 8}, {0, 10}, {0, 11}, {0, 12}, {0, 13}, {0, 24}, {0, 33}, {0, 34}, {0, 50}, {41, 16}, {41, 26}, {41, 66}, {17, 1}, {17, 103}, {263, 1}, {300, 1}};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        C(setsockopt, 99, all[i].level, all[i].name, (int[]){1}, 4);
        C(getsockopt, 99, all[i].level, all[i].name, buf, (int[]){4});
    }
    C(setsockopt, s, SOL_SOCKET, SO_RCVTIMEO, &(struct times){1, 200000}, 16);
    C(setsockopt, s, SOL_SOCKET, SO_SNDTIMEO, (long[]){0, 1}, 16);
    C(getsockopt, s, SOL_SOCKET, SO_RCVTIMEO, buf, (int[]){16});
    C(getsockopt, s, SOL_SOCKET, SO_TYPE, buf, (int[]){100});
    C(getsockopt, s, SOL_SOCKET, SO_TYPE, buf, (int[]){2});
    C(getsockopt, s, SOL_SOCKET, SO_ERROR, buf, NULL);
    C(getsockopt, 99, 6, 13, buf, (int[]){16});
    C(setsockopt, 99, 6, 13, "cubic", 5);
    C(setsockopt, 99, SOL_SOCKET, SO_BINDTODEVICE, "lo", 3);
    C(setsockopt, 99, SOL_SOCKET, SO_LINGER, (int[]){1, 5}, 8);
    C(setsockopt, 99, 0, 35, (unsigned char[8]){224, 0, 0, 1}, 8);
    C(setsockopt, 99, 0, 35, (unsigned char[12]){224, 0, 0, 1, 127, 0, 0, 1, 2}, 12);
    C(setsockopt, 99, 41, 20, (unsigned char[20]){255, 2, [15] = 1, [16] = 3}, 20);
    C(setsockopt, 99, 1, 26, (struct { short n; void *p; }[]){{1, (long[]){0xffff00000006}}}, 16);
    C(setsockopt, s, SOL_SOCKET, SO_KEEPALIVE, NOWHERE, 4);
    C(setsockopt, s, SOL_SOCKET, SO_KEEPALIVE, NULL, 0);
}

static void sockets(void)
{
    int pair[2], s, len = 110;
    struct sockaddr_un un = {AF_UNIX, "@abstract"};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(21879), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(5), .sin6_addr = IN6ADDR_LOOPBACK_INIT, .sin6_scope_id = 1, .sin6_flowinfo = htonl(7)};
    C(socketpair, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair);
    C(socketpair, AF_INET, SOCK_STREAM, 0, buf);
    C(socketpair, 77, 9, 3, NOWHERE);
    datagrams(pair[0], pair[1]);
    options(pair[0]);
    C(getsockname, pair[0], buf, &len);
    len = 2;
    C(getpeername, pair[0], buf, &len);
    C(getpeername, 99, buf, NULL);
    C(accept, pair[0], NULL, NULL);
    C(accept, 99, buf, &len);
    C(accept4, 99, buf, &len, SOCK_NONBLOCK | SOCK_CLOEXEC | 4);
    C(close, pair[0]);
    C(close, pair[1]);
    s = (int)C(socket, AF_UNIX, SOCK_SEQPACKET, 0);
    un.sun_path[0] = 0;
    C(bind, s, &un, 3 + 8);
    C(listen, s, 0);
    len = 110;
    C(getsockname, s, buf, &len);
    C(close, s);
    un.sun_path[0] = '/';
    C(bind, 99, &un, 110);
    C(bind, 99, &un, 2);
    C(bind, 99, &in, 16);
    C(bind, 99, &in, 4);
    C(bind, 99, &in6, 28);
    C(connect, 99, (struct { short family, pad; int pid, groups; }[]){{AF_NETLINK, 0, 5, 1}}, 12);
    C(connect, 99, (struct { short family, protocol; int index; short type; char packet, len; char address[8]; }[]){{AF_PACKET, htons(3), 2, 1, 0, 6, {1, 2, 3, 4, 5, 6}}}, 20);
    C(connect, 99, (struct { short family; char data[14]; }[]){{AF_UNSPEC, {1, 2}}}, 16);
    C(connect, 99, (struct { short family; char data[14]; }[]){{99, {1, 2}}}, 16);
    C(connect, 99, NOWHERE, 16);
    C(connect, 99, &in, -1l);
    C(connect, 99, &in, 1);
    C(socket, AF_INET, SOCK_RAW, 255);
    C(socket, AF_INET6, SOCK_STREAM, 132);
    C(socket, AF_NETLINK, SOCK_RAW, 99);
    C(socket, 44, SOCK_STREAM, 1);
    close((int)C(socket, AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP));
    s = (int)C(socket, AF_INET, SOCK_DGRAM, 0);
    C(sendto, s, "", 0, MSG_DONTWAIT | MSG_CONFIRM, &in, 16);
    C(sendto, 99, "abc", 3, MSG_OOB | 0x4000000, &in6, 28);
    C(sendto, 99, "abc", 3, 0, NULL, 0);
    C(recvfrom, s, buf, 10, MSG_DONTWAIT | MSG_ERRQUEUE, buf, &len);
    C(shutdown, 99, 7);
    C(ioctl, s, 0x8912, (struct { int len, pad; void *req; }[]){{80, 0, buf}});
    C(ioctl, s, 0x8912, (struct { int len, pad; void *req; }[]){{0, 0, NULL}});
    strcpy(buf, "lo");
    C(ioctl, s, 0x8933, buf);
    C(ioctl, s, 0x8921, buf);
    C(ioctl, s, 0x8915, buf);
    C(ioctl, s, 0x891b, buf);
    C(ioctl, s, 0x8927, buf);
    C(ioctl, s, 0x8942, buf);
    C(ioctl, s, 0x8910, (struct { char name[16]; int index, rest[5]; }[]){{"", 1, {0}}});
    strcpy(buf, "nope");
    C(ioctl, s, 0x8913, buf);
    C(ioctl, 99, 0x8914, buf);
    C(ioctl, 99, 0x541b, buf);
    C(ioctl, s, 0x5421, (int[]){1});
    C(ioctl, 99, 0x5401, buf);
    C(ioctl, 99, 0x5413, buf);
    C(ioctl, 99, 0x5414, (short[]){24, 80, 0, 0});
    C(ioctl, 99, 0x5410, (int[]){5});
    C(ioctl, 99, 0x5402, (unsigned[15]){0x100, 5, 0xbf, 0x8a3b});
    C(ioctl, 99, 0x540e, 1);
    C(ioctl, 99, 0x40049409, 5);
    C(ioctl, 99, 0x80041272, buf);
    C(close, s);
}

/* --- waiting -------------------------------------------------------------------------------- */

static void waiting(void)
{
    int ends[2], e = (int)C(epoll_create, 5), ev = (int)C(eventfd2, 3, 1 | O_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT | EPOLLRDHUP, .data.u64 = 1ul << 40 | 5}, got[4];
    unsigned long set[16] = {0}, out[16] = {0};
    struct { void *set; long size; } mask = {&term, 8};
    struct pollfd p[3] = {{ev, POLLIN | POLLPRI | 0x40, 0}, {99, POLLOUT, 0}, {-5, 0, 0}};
    struct times zero = {0, 0}, t;
    C(eventfd, 7);
    C(close, ev + 1);
    C(eventfd2, 7, 2);
    C(epoll_create1, 1);
    C(epoll_create, 0);
    C(epoll_ctl, e, EPOLL_CTL_ADD, ev, &event);
    C(epoll_ctl, e, EPOLL_CTL_DEL, 99, NULL);
    C(epoll_ctl, e, 7, ev, &event);
    C(epoll_wait, e, got, 4, 0);
    C(epoll_wait, e, got, 0, 0);
    C(epoll_pwait, e, got, 4, 0, &term, 8);
    C(epoll_pwait, e, got, 4, 0, NULL, 8);
    C(epoll_pwait2, e, got, 4, &zero, &term, 8);
    C(epoll_pwait2, 99, got, 4, NULL, NULL, 0);
    C(poll, p, 3, -1l);
    C(poll, NULL, 0, 0);
    C(poll, NOWHERE, 1, 0);
    t = (struct times){1, 500};
    C(ppoll, p, 2, &t, &term, 8);
    C(ppoll, p, 3, NULL, NULL, 8);
    C(ppoll, p + 2, 1, &zero, NULL, 8);
    C(ppoll, p, 1, &zero, NOWHERE, 8);
    C(pipe, ends);
    set[ends[0] / 64] |= 1ul << ends[0] % 64;
    out[ends[1] / 64] |= 1ul << ends[1] % 64;
    zero = (struct times){0, 0};
    C(pselect6, ends[1] + 1, set, out, NULL, &zero, &mask);
    set[ends[0] / 64] |= 1ul << ends[0] % 64;
    C(pselect6, ends[1] + 1, set, NULL, NULL, &zero, (struct { void *set; long size; }[]){{NULL, 8}});
    C(pselect6, -1l, set, NULL, NULL, NULL, NOWHERE);
    C(select, 0, NULL, NULL, NULL, &zero);
    C(select, -1l, set, NULL, out, NULL);
    C(select, 1000, NOWHERE, NULL, NULL, &(struct times){1, 500});
    int fd = (int)C(timerfd_create, CLOCK_REALTIME, O_NONBLOCK | O_CLOEXEC);
    C(timerfd_create, 77, 1);
    C(timerfd_settime, fd, 3, (struct times[]){{0, 0}, {2000000000, 0}}, NULL);
    C(timerfd_settime, fd, 0, (struct times[]){{0, 0}, {0, 0}}, buf);
    C(timerfd_gettime, fd, buf);
    C(timerfd_gettime, 99, buf);
    C(read, fd, buf, 8);
    C(close, fd);
    fd = (int)C(signalfd4, -1, &term, 8, O_NONBLOCK);
    C(signalfd, fd, (unsigned long[]){~0ul}, 8);
    C(signalfd4, 99, NULL, 8, 5);
    C(close, fd);
    C(close, ends[0]), C(close, ends[1]), C(close, ev), C(close, e);
}

static void futexes(void)
{
    unsigned word = 5, locked = 0x3ffffff0, other = 7;
    C(futex, &word, FUTEX_WAIT, 6, NULL);
    C(futex, &word, FUTEX_WAIT_PRIVATE, 5, &(struct times){0, 1000});
    C(futex, &word, FUTEX_WAIT_BITSET_PRIVATE | FUTEX_CLOCK_REALTIME, 6, &(struct times){1, 500}, NULL, 0x7);
    C(futex, &word, FUTEX_WAIT_BITSET, 6, NULL, NULL, -1l);
    C(futex, &word, FUTEX_WAKE, 2147483647);
    C(futex, &word, FUTEX_WAKE_BITSET_PRIVATE, 1, NULL, NULL, -1l);
    C(futex, &word, FUTEX_REQUEUE, 1, 2, &other);
    C(futex, &word, FUTEX_CMP_REQUEUE_PRIVATE, 1, 2, &other, 5);
    C(futex, &word, FUTEX_WAKE_OP_PRIVATE, 1, 1, &other, FUTEX_OP(FUTEX_OP_SET, 0, FUTEX_OP_CMP_GT, 1));
    C(futex, &word, FUTEX_WAKE_OP, 1, 1, &other, FUTEX_OP((FUTEX_OP_ADD | 8), 3, FUTEX_OP_CMP_EQ, 0xabc));
    C(futex, &word, FUTEX_WAKE_OP, 1, 1, &other, 0x7e123456);
    C(futex, &locked, FUTEX_TRYLOCK_PI_PRIVATE);
    C(futex, &word, FUTEX_UNLOCK_PI);
    C(futex, &locked, FUTEX_LOCK_PI_PRIVATE, 0, &(struct times){1, 500});
    C(futex, &word, FUTEX_FD, 1);
    C(futex, &word, FUTEX_WAIT_REQUEUE_PI_PRIVATE, 9, &(struct times){1, 500}, &other);
    C(futex, &word, FUTEX_CMP_REQUEUE_PI_PRIVATE, 1, 2, &other, 9);
    C(futex, &word, 77, 1, 2, 3, 4);
    C(futex_waitv, (struct { unsigned long value, address; unsigned flags, pad; }[]){{6, (unsigned long)&word, 2 | 128, 0}}, 1, 0, &(struct times){1, 500}, CLOCK_MONOTONIC);
    C(futex_waitv, NULL, 0, 1, NULL, 0);
}

/* --- signals, times ---------------------------------------------------------------------------- */

static void on_signal(int s) { (void)s; }
static void on_siginfo(int s, siginfo_t *i, void *c) { (void)s, (void)i, (void)c; }

static void signals(void)
{
    struct sigaction a = {.sa_sigaction = on_siginfo, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESETHAND};
    unsigned long all = ~0ul, real = 3ul << 33;
    int info[32] = {SIGUSR2, 0, -1, 0, getpid(), 0, 77};
    sigaction(SIGUSR1, &a, NULL);
    sigaction(SIGUSR1, NULL, &a);
    a = (struct sigaction){.sa_handler = on_signal};
    sigaction(SIGRTMIN + 3, &a, NULL);
    C(rt_sigaction, 9, buf, NULL, 8);
    C(rt_sigaction, 99, NULL, NULL, 8);
    C(rt_sigaction, SIGUSR1, NOWHERE, buf, 8);
    C(rt_sigprocmask, SIG_BLOCK, &term, NULL, 8);
    C(rt_sigprocmask, SIG_SETMASK, &real, buf, 8);
    C(rt_sigprocmask, SIG_UNBLOCK, &all, NULL, 8);
    C(rt_sigprocmask, SIG_BLOCK, &term, buf, 8);
    C(rt_sigprocmask, 7, &term, NULL, 8);
    C(rt_sigprocmask, SIG_SETMASK, NULL, buf, 8);
    C(rt_sigprocmask, SIG_SETMASK, NOWHERE, NULL, 4);
    C(kill, getpid(), SIGUSR2);
    C(rt_sigpending, buf, 8);
    C(rt_sigtimedwait, &term, buf, &(struct times){1, 500}, 8);
    C(rt_sigtimedwait, &term, NULL, &(struct times){0, 0}, 8);
    C(rt_sigtimedwait, &term, buf, &(struct times){0, 0}, 4);
    C(rt_sigqueueinfo, getpid(), SIGUSR2, info);
    C(rt_sigtimedwait, &term, buf, NULL, 8);
    C(rt_tgsigqueueinfo, getpid(), getpid(), SIGUSR2, info);
    C(rt_sigtimedwait, &term, buf, NULL, 8);
    C(rt_sigqueueinfo, getpid(), 0, NULL);
    C(kill, getpid(), 35 + 2);
    C(tkill, getpid(), SIGUSR1);
    C(tgkill, getpid(), getpid(), 0);
    C(tgkill, -1l, 5, SIGCHLD);
    C(kill, 0x7ffffff0, 64);
    C(sigaltstack, &(stack_t){buf, 0, 100}, NULL);
    C(sigaltstack, &(stack_t){NULL, SS_DISABLE, 0}, buf);
    C(sigaltstack, NULL, buf);
    C(sigaltstack, &(stack_t){buf, 1 << 31, 4096}, NULL);
    C(rt_sigprocmask, SIG_BLOCK, (unsigned long[]){1ul << (SIGUSR1 - 1)}, NULL, 8);
    signal(SIGUSR1, on_signal);
    C(kill, getpid(), SIGUSR1);
    C(rt_sigsuspend, &term, 8);
    C(pidfd_send_signal, 99, SIGTERM, info, 0);
    C(pidfd_send_signal, 99, SIGTERM, NULL, 1);
    close((int)C(pidfd_open, getpid(), 0));
    C(pidfd_open, -1l, 04000);
    C(pidfd_getfd, 99, 1, 0);
}

static void times(void)
{
    struct { struct { long s, f; } every, next; } timer = {{0, 0}, {2000000000, 5}};
    int id = 0;
    C(nanosleep, &(struct times){0, 0}, buf);
    C(nanosleep, &(struct times){-1, 5}, buf);
    C(nanosleep, NULL, NULL);
    C(clock_nanosleep, CLOCK_REALTIME, 1, &(struct times){1, 500}, buf);
    C(clock_nanosleep, 77, 2, &(struct times){1, 500}, NULL);
    C(clock_gettime, CLOCK_BOOTTIME, buf);
    C(clock_gettime, 77, buf);
    C(clock_gettime, -6l, buf);
    C(clock_getres, CLOCK_MONOTONIC_COARSE, NULL);
    C(clock_getres, CLOCK_MONOTONIC, buf);
    C(clock_settime, CLOCK_MONOTONIC, &(struct times){1, 500});
    C(gettimeofday, buf, NULL);
    C(gettimeofday, NULL, buf);
    C(settimeofday, NOWHERE, NULL);
    C(time, NULL);
    C(time, buf);
    C(setitimer, 0, &(struct { struct { long s, f; } a, b; }){{0, 5}, {1000, 0}}, NULL);
    C(getitimer, 77, buf);
    C(getitimer, 1, buf);
    C(setitimer, 0, &(struct { struct { long s, f; } a, b; }){{0, 0}, {0, 0}}, NULL);
    C(alarm, 0);
    C(timer_create, CLOCK_MONOTONIC, &(struct { long value; int signal, notify, tid, pad[9]; }){5, SIGRTMIN, 4, getpid(), {0}}, &id);
    C(timer_settime, id, 0, &timer, NULL);
    C(timer_settime, id, 1, &timer, buf);
    C(timer_gettime, id, buf);
    C(timer_getoverrun, id);
    C(timer_delete, id);
    C(timer_delete, 77);
    C(timer_create, 77, NULL, &id);
    C(timer_create, CLOCK_REALTIME, &(struct { long value; int signal, notify, tid, pad[9]; }){0, 0, 1, 0, {0}}, buf);
    memset(buf, 0, 208);
    C(adjtimex, buf);
    C(clock_adjtime, 1, buf);
    C(clock_adjtime, 77, NULL);
    C(sysinfo, buf);
    C(times, buf);
    C(times, NULL);
    C(getrusage, 0, buf);
    C(getrusage, 77, buf);
}

/* --- processes ----------------------------------------------------------------------------------- */

static void children(void)
{
    int status, child = (int)C(fork);
    if (child == 0)
        C(exit_group, 3);
    C(waitid, P_PID, child, buf, WEXITED | WNOWAIT, NULL);
    C(wait4, child, &status, 0, buf);
    child = (int)C(vfork);
    if (child == 0)
        C(exit, 0);
    C(wait4, -1l, &status, WUNTRACED | 0x40000000, NULL);
    child = (int)C(clone, SIGCHLD | CLONE_VM | CLONE_VFORK, 0, NULL, NULL, 0);
    if (child == 0) {
        C(kill, getpid(), SIGKILL);
    }
    C(wait4, -1l, &status, 0, NULL);
    C(wait4, -1l, &status, WNOHANG, NULL);
    C(waitid, P_ALL, 0, NULL, WEXITED | WSTOPPED | WCONTINUED | WNOHANG, buf);
    C(waitid, 77, 0, buf, 0, NULL);
    C(clone, CLONE_THREAD | SIGCHLD, buf, buf, buf + 8, 5);
    C(clone3, (unsigned long[11]){CLONE_THREAD, 0, 0, 0, 0, 0, 4096}, 64);
    C(clone3, (unsigned long[11]){CLONE_PIDFD | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_THREAD, 5, 6, 7, SIGCHLD, 8, 9, 10, 11, 1, 12}, 88);
    C(clone3, NULL, 64);
    C(clone3, buf, 5);
    C(unshare, 0);
    C(unshare, CLONE_FILES | CLONE_FS);
    C(unshare, 0x100);
    C(execve, "missing", (char *[]){"a", "b \n", NULL}, (char *[]){"X=1", NULL});
    C(execve, "missing", NULL, NULL);
    C(execve, NULL, NOWHERE, NOWHERE);
    C(execveat, 99, "missing", (char *[]){"a", NULL}, (char *[]){NULL}, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW);
    C(ptrace, 2, 0x7ffffff0, 0x1234, 0);
    C(ptrace, 16, 0x7ffffff0, 0, 0);
    memset(buf, 0, sizeof(buf));
    for (size_t i = 1; i < 25; i++)
        C(ptrace, i, 0x7ffffff0, 8, 0);
    for (size_t i = 0x4200; i < 0x420f; i++)
        if (i != 0x4203)
            C(ptrace, i, 0x7ffffff0, i == 0x4206 ? 0 : 1, 0x100011);
    C(ptrace, 0x4206, 0x7ffffff0, 0, 0x11);
    C(ptrace, 24, 0x7ffffff0, 0, SIGUSR1);
    C(ptrace, 12, 0x7ffffff0, 0, buf);
    C(ptrace, 0x4204, 0x7ffffff0, 1, buf);
    C(kcmp, getpid(), getpid(), 1, 0, 0);
    C(kcmp, getpid(), getpid(), 77, 0, 5);
    C(seccomp, 77, 0, NULL);
    C(seccomp, 2, 0, (unsigned[]){0x7fff0000});
    C(seccomp, 0, 1, NULL);
    C(rseq, NULL, 32, 5, 0x53053053);
}

static void identity(void)
{
    C(getuid), C(geteuid), C(getgid), C(getegid);
    C(setuid, -1l), C(setreuid, -1l, -1l), C(setregid, -1l, -1l), C(setresuid, -1l, -1l, -1l), C(setresgid, -1l, -1l, -1l);
    C(getresuid, buf, buf + 4, buf + 8);
    C(getresgid, buf, NOWHERE, buf + 8);
    C(setfsgid, -1l);
    C(setgroups, 70000, NULL);
    C(setgroups, -1l, (int[]){1, 2});
    C(getgroups, -1l, buf);
    C(getpgid, 0x7ffffff0), C(getsid, 0x7ffffff0), C(setpgid, -1l, 5), C(gettid), C(set_tid_address, NULL);
    C(capget, (int[]){0x20080522, -5}, NULL);
    C(capget, (int[]){0x20071026, 0}, buf);
    C(capset, (int[]){0x20080522, 0x7ffffff0}, (int[6]){0x21, 1 << 30, 0, 0x100});
    C(capget, NULL, NULL);
    C(personality, 0xffffffff);
    C(personality, 0x0040000);
    C(personality, 0);
    C(uname, NULL);
    C(sethostname, "name", 1000);
    C(setdomainname, NULL, -1l);
    C(getrlimit, 5, buf);
    C(getrlimit, 77, buf);
    C(setrlimit, 4, (long[]){5, 4096});
    C(setrlimit, 77, (long[]){-1, 2048});
    C(prlimit64, 0, 7, NULL, NULL);
    C(prlimit64, 0x7ffffff0, 7, (long[]){-1, 1 << 20}, buf);
}

static void scheduling(void)
{
    int param = 0;
    C(sched_yield);
    C(getpriority, 0, 0);
    C(getpriority, 77, 0);
    C(setpriority, 2, 0x7ffffff0, -5l);
    C(sched_getparam, 0, &param);
    C(sched_setparam, 0, &param);
    C(sched_setscheduler, 0, 0, &param);
    C(sched_setscheduler, 0x7ffffff0, 1 | 0x40000000, (int[]){7});
    C(sched_getscheduler, 0x7ffffff0);
    C(sched_get_priority_max, 1);
    C(sched_get_priority_min, 77);
    C(sched_rr_get_interval, 0x7ffffff0, buf);
    C(sched_setattr, 0x7ffffff0, (struct { unsigned size, policy; unsigned long flags; int nice, priority; long a, b, c; }[]){{48, 3, 1, 5, 0, 0, 0, 0}}, 0);
    C(sched_setattr, 0, NULL, 0);
    C(sched_getattr, 0x7ffffff0, buf, 48, 0);
    C(sched_getattr, 0, buf, 48, 0);
    C(sched_setaffinity, 0x7ffffff0, 16, (long[]){5, 1});
    C(sched_getaffinity, 0x7ffffff0, 8, buf);
    C(sched_getaffinity, 0, 1, buf);
    C(ioprio_get, 1, 0);
    C(ioprio_get, 77, 0);
    C(ioprio_set, 1, 0x7ffffff0, 2 << 13 | 5);
    C(ioprio_set, 77, 5, 9 << 13);
    C(getcpu, NULL, NULL, NULL);
}

static void control(void)
{
    static const struct { int op; unsigned long value; } ops[] = {
        {1, 15}, {1, 99}, {2, 0x1000}, {3, 0}, {4, 7}, {7, 0}, {8, 1}, {15, 0x1000}, {21, 0}, {23, 77}, {23, 5}, {24, 88}, {28, 2}, {28, 8}, {29, 50}, {30, 0}, {36, 0},
        {38, 1}, {39, 0}, {41, 0}, {42, 0}, {35, 77}, {40, 0x1000}, {13, 0}, {14, 1}, {25, 0x1000}, {26, 1}, {0x59616d61, 1}, {9999, 5}, {47, 1}, {47, 2}, {53, 4}, {27, 0}};
    for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
        C(prctl, ops[i].op, ops[i].value, 0, 0, 0);
    C(prctl, 0x53564d41, 0, 0x1000, 4096, "name");
    C(arch_prctl, 0x1001, NOWHERE);
    C(arch_prctl, 0x1004, buf);
    C(arch_prctl, 77, 5);
    C(getrandom, buf, 3, 0);
    C(getrandom, NULL, 0, 5);
    C(getrandom, NOWHERE, 5, 0x10);
    C(syslog, 77, buf, 10);
    C(syslog, 4, NULL, -1l);
    C(syslog, 8, buf, -5l);
    C(reboot, 0, 0, 0, 0);
    C(reboot, 0xfee1dead, 77, 0x89abcdef, NULL);
    C(io_uring_setup, 0, NULL);
    close((int)C(io_uring_setup, 4, memset(buf, 0, 120)));
    C(prctl, 25, buf);
    C(prctl, 40, buf);
    C(prctl, 1, 0);
    C(prctl, 2, buf);
    C(prctl, 37, buf);
    C(prctl, 47, 4, 0, 0, 0);
    C(prctl, 22, 2, 0x1000);
    C(io_uring_setup, 4, (unsigned[30]){0, 0, 0x80000000});
    C(io_uring_enter, 99, 1, 2, 1, NULL, 8);
    C(io_uring_enter, 99, 1, 2, 0x1a, &term, 8);
    C(io_uring_register, 99, 0, (struct { void *base; long len; }[]){{buf, 10}}, 1);
    C(io_uring_register, 99, 1, NULL, 0);
    C(io_uring_register, 99, 2, (int[]){1, -1}, 2);
    C(io_uring_register, 99, 77, NULL, 5);
    C(restart_syscall), C(getpgrp);
    C(get_robust_list, 0, buf, buf + 8);
}

int main(void)
{
    close_range(3, 1000, 0);
    access("/begin", F_OK);
    files();
    vectors();
    memory();
    ipc();
    sockets();
    waiting();
    futexes();
    signals();
    times();
    children();
    identity();
    scheduling();
    control();
    C(exit_group, 7);
}
