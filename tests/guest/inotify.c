/* SPDX-License-Identifier: Apache-2.0 */
/* inotify(7): every event with its order, masks, coalescing, overflow, the end of watches. */
#include "t.h"
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#ifndef IN_MASK_CREATE
#define IN_MASK_CREATE 0x10000000
#endif

static const struct {
    uint32_t bit;
    const char *name;
} bits[] = {
    {IN_ACCESS, "ACCESS"}, {IN_MODIFY, "MODIFY"}, {IN_ATTRIB, "ATTRIB"}, {IN_CLOSE_WRITE, "CLOSE_WRITE"},
    {IN_CLOSE_NOWRITE, "CLOSE_NOWRITE"}, {IN_OPEN, "OPEN"}, {IN_MOVED_FROM, "MOVED_FROM"}, {IN_MOVED_TO, "MOVED_TO"},
    {IN_CREATE, "CREATE"}, {IN_DELETE, "DELETE"}, {IN_DELETE_SELF, "DELETE_SELF"}, {IN_MOVE_SELF, "MOVE_SELF"},
    {IN_UNMOUNT, "UNMOUNT"}, {IN_Q_OVERFLOW, "Q_OVERFLOW"}, {IN_IGNORED, "IGNORED"}, {IN_ISDIR, "ISDIR"},
};

static uint32_t last_cookie;

/* Everything that is queued, one line each. */
static void drain(int fd)
{
    _Alignas(8) char buf[65536];
    ssize_t n;
    while ((n = read(fd, buf, sizeof buf)) > 0) {
        for (char *p = buf; p < buf + n;) {
            struct inotify_event *e = (void *)p;
            printf("  wd %d", e->wd);
            for (unsigned i = 0; i < sizeof bits / sizeof bits[0]; i++)
                if (e->mask & bits[i].bit)
                    printf(" %s", bits[i].name);
            if (e->cookie != 0)
                printf(" cookie %s", e->cookie == last_cookie ? "same" : "new");
            last_cookie = e->cookie;
            printf(" len %u", e->len);
            if (e->len != 0)
                printf(" \"%s\"", e->name);
            printf("\n");
            p += sizeof *e + e->len;
        }
    }
    if (n < 0 && errno != EAGAIN)
        printf("  read: %s\n", strerrorname_np(errno));
    fflush(stdout);
}

#define DO(fd, what) (printf("%s\n", #what), (void)(what), drain(fd))

static void touch(const char *name) { close(open(name, O_CREAT | O_WRONLY, 0644)); }

/* Remove what is in a directory, in the order of the names. */
static void clear(const char *dir)
{
    struct dirent **names;
    char path[512];
    int n = scandir(dir, &names, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]->d_name);
        if (names[i]->d_name[0] != '.')
            remove(path);
        free(names[i]);
    }
    free(names);
}

static void arguments(void)
{
    section("arguments");
    SHOW(inotify_init1(1));
    SHOW(inotify_init1(IN_NONBLOCK | IN_CLOEXEC | 2));
    int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), plain = inotify_init(), null = open("/dev/null", O_RDONLY);
    SHOW_TRUE(fcntl(fd, F_GETFD) == FD_CLOEXEC);
    SHOW_TRUE((fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK)) == O_NONBLOCK);
    SHOW_TRUE(fcntl(plain, F_GETFD) == 0 && (fcntl(plain, F_GETFL) & O_NONBLOCK) == 0);
    touch("file");
    symlink("file", "link");
    mkdir("dir", 0755);
    SHOW(inotify_add_watch(fd, "file", 0));
    SHOW(inotify_add_watch(fd, "file", 0x1000));
    SHOW(inotify_add_watch(fd, "file", 0x02000000 | 0x08000000));
    SHOW(inotify_add_watch(-1, "file", IN_ACCESS));
    SHOW(inotify_add_watch(null, "file", IN_ACCESS));
    SHOW(inotify_add_watch(fd, "missing", IN_ACCESS));
    SHOW(inotify_add_watch(fd, "", IN_ACCESS));
    SHOW(inotify_add_watch(fd, "file/x", IN_ACCESS));
    SHOW(inotify_add_watch(fd, (char *)8, IN_ACCESS));
    SHOW(inotify_add_watch(fd, "file", IN_ACCESS | IN_ONLYDIR));
    SHOW(inotify_add_watch(fd, "link", IN_ACCESS | IN_ONLYDIR));
    SHOW(inotify_add_watch(fd, "file", IN_MASK_ADD | IN_MASK_CREATE | IN_ACCESS));
    SHOW(inotify_add_watch(fd, "file", IN_ACCESS));
    SHOW(inotify_add_watch(fd, "link", IN_ACCESS));
    SHOW(inotify_add_watch(fd, "link", IN_ACCESS | IN_DONT_FOLLOW));
    SHOW(inotify_add_watch(fd, "file", IN_ACCESS | IN_MASK_CREATE));
    SHOW(inotify_add_watch(fd, "dir", IN_ACCESS | IN_ONLYDIR | IN_MASK_CREATE));
    SHOW(inotify_add_watch(fd, "dir", IN_MASK_ADD | IN_OPEN));
    SHOW(inotify_rm_watch(fd, 99));
    SHOW(inotify_rm_watch(fd, -1));
    SHOW(inotify_rm_watch(fd, 0));
    SHOW(inotify_rm_watch(null, 1));
    SHOW(inotify_rm_watch(-1, 1));
    SHOW(inotify_rm_watch(fd, 1));
    SHOW(inotify_rm_watch(fd, 1));
    drain(fd);
    SHOW(inotify_add_watch(fd, "file", IN_ACCESS));
    char c;
    SHOW(read(fd, &c, 1));
    SHOW(write(fd, &c, 1));
    SHOW(pread(fd, &c, 1, 0));
    SHOW_TRUE(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED);
    char name[64], target[64] = "";
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    readlink(name, target, sizeof target - 1);
    SHOW_STR(target);
    close(fd);
    close(plain);
    close(null);
    unlink("file");
    unlink("link");
    rmdir("dir");
}

static void reading(void)
{
    section("reading");
    int fd = inotify_init1(IN_NONBLOCK), n = -1;
    mkdir("r", 0755);
    SHOW(inotify_add_watch(fd, "r", IN_CREATE | IN_DELETE));
    struct pollfd p = {fd, POLLIN, 0};
    SHOW(poll(&p, 1, 0));
    SHOW(ioctl(fd, FIONREAD, &n));
    SHOW(n);
    char buf[512];
    SHOW(read(fd, buf, sizeof buf));
    touch("r/a");
    touch("r/a-long-name-of-more-than-sixteen");
    SHOW(ioctl(fd, FIONREAD, &n));
    SHOW(n);
    SHOW(poll(&p, 1, 0));
    SHOW(p.revents);
    SHOW(read(fd, buf, 0));
    SHOW(read(fd, buf, 16));
    SHOW(read(fd, buf, 31));
    SHOW(read(fd, (char *)8, 512));
    SHOW(ioctl(fd, FIONREAD, &n));
    SHOW(n);
    SHOW(read(fd, buf, 63));
    SHOW(read(fd, buf, 64));
    touch("r/b");
    touch("r/c");
    SHOW(read(fd, buf, 40));
    SHOW(read(fd, buf, 512));
    pid_t pid = fork();
    if (pid == 0) {
        usleep(50000);
        touch("r/late");
        _exit(0);
    }
    fcntl(fd, F_SETFL, 0);
    SHOW(read(fd, buf, sizeof buf));
    waitpid(pid, NULL, 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    clear("r");
    drain(fd);
    rmdir("r");
    drain(fd);
    close(fd);
}

static void whole(const char *name, const char *text)
{
    int f = open(name, O_CREAT | O_WRONLY | O_TRUNC, 0644);
    write(f, text, strlen(text));
    close(f);
}

static void file_events(void)
{
    section("a file and its directory");
    mkdir("d", 0755);
    int fd = inotify_init1(IN_NONBLOCK);
    SHOW(inotify_add_watch(fd, "d", IN_ALL_EVENTS));
    int f;
    char buf[100];
    DO(fd, f = open("d/f", O_CREAT | O_RDWR, 0644));
    SHOW(inotify_add_watch(fd, "d/f", IN_ALL_EVENTS));
    DO(fd, write(f, "hello", 5));
    DO(fd, write(f, "", 0));
    DO(fd, (write(f, "a", 1), write(f, "b", 1)));
    DO(fd, pread(f, buf, 3, 0));
    DO(fd, pread(f, buf, 3, 100));
    DO(fd, pwrite(f, "x", 1, 1));
    DO(fd, ftruncate(f, 2));
    DO(fd, ftruncate(f, 2));
    DO(fd, truncate("d/f", 10));
    DO(fd, fallocate(f, 0, 0, 100));
    DO(fd, fchmod(f, 0600));
    DO(fd, chmod("d/f", 0644));
    DO(fd, fchown(f, -1, -1));
    DO(fd, chown("d/f", 0, 0));
    struct timespec both[2] = {{1, 0}, {2, 0}}, access[2] = {{1, 0}, {0, UTIME_OMIT}}, change[2] = {{0, UTIME_OMIT}, {1, 0}},
                    none[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}};
    DO(fd, futimens(f, both));
    DO(fd, futimens(f, access));
    DO(fd, futimens(f, change));
    DO(fd, futimens(f, none));
    DO(fd, utimensat(AT_FDCWD, "d/f", NULL, 0));
    DO(fd, fsync(f));
    DO(fd, fstat(f, &(struct stat){0}));
    DO(fd, close(dup(f)));
    DO(fd, close(f));
    DO(fd, f = open("d/f", O_RDONLY));
    DO(fd, read(f, buf, 10));
    DO(fd, close(f));
    DO(fd, f = open("d/f", O_WRONLY | O_TRUNC));
    DO(fd, close(f));
    DO(fd, f = open("d/f", O_PATH));
    DO(fd, close(f));
    DO(fd, f = open("d/missing", O_RDONLY));
    DO(fd, f = open("d/f", O_RDONLY | O_DIRECTORY));
    DO(fd, whole("d/f", "text"));
    char *m;
    f = open("d/f", O_RDWR);
    drain(fd);
    DO(fd, m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, f, 0));
    DO(fd, m[0]++);
    DO(fd, munmap(m, 4096));
    DO(fd, close(f));
    DO(fd, link("d/f", "d/g"));
    DO(fd, whole("d/g", "by the other name"));
    DO(fd, unlink("d/g"));
    DO(fd, unlink("d/f"));
    DO(fd, symlink("nowhere", "d/s"));
    DO(fd, readlink("d/s", buf, sizeof buf));
    DO(fd, unlink("d/s"));
    DO(fd, mkfifo("d/p", 0600));
    DO(fd, unlink("d/p"));
    DO(fd, mkdir("d/sub", 0755));
    DO(fd, touch("d/sub/deeper"));
    DO(fd, unlink("d/sub/deeper"));
    DO(fd, chmod("d/sub", 0700));
    DO(fd, rmdir("d/sub"));
    DO(fd, mknod("d/n", S_IFREG | 0600, 0));
    DO(fd, creat("d/n", 0600));
    DO(fd, unlink("d/n"));
    struct sockaddr_un un = {AF_UNIX, "d/socket"};
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    DO(fd, bind(s, (void *)&un, sizeof un));
    DO(fd, close(s));
    DO(fd, unlink("d/socket"));
    DO(fd, f = open("d", O_RDONLY | O_DIRECTORY));
    DO(fd, syscall(217, f, buf, sizeof buf)); /* getdents64 */
    DO(fd, close(f));
    DO(fd, chmod("d", 0750));
    DO(fd, rmdir("d"));
    close(fd);
}

static void moves(void)
{
    section("moves");
    mkdir("a", 0755);
    mkdir("b", 0755);
    touch("a/f");
    touch("b/other");
    int fd = inotify_init1(IN_NONBLOCK);
    SHOW(inotify_add_watch(fd, "a", IN_ALL_EVENTS));
    SHOW(inotify_add_watch(fd, "b", IN_ALL_EVENTS));
    SHOW(inotify_add_watch(fd, "a/f", IN_ALL_EVENTS));
    SHOW(inotify_add_watch(fd, "b/other", IN_ALL_EVENTS));
    DO(fd, rename("a/f", "a/g"));
    DO(fd, rename("a/g", "b/h"));
    DO(fd, rename("b/h", "b/h"));
    DO(fd, rename("b/h", "outside"));
    DO(fd, rename("outside", "a/f"));
    DO(fd, rename("a/f", "b/other"));
    DO(fd, touch("b/two"));
    DO(fd, renameat2(AT_FDCWD, "b/two", AT_FDCWD, "b/other", 1)); /* RENAME_NOREPLACE */
    DO(fd, renameat2(AT_FDCWD, "b/two", AT_FDCWD, "b/other", 2)); /* RENAME_EXCHANGE */
    DO(fd, mkdir("a/dir", 0755));
    SHOW(inotify_add_watch(fd, "a/dir", IN_ALL_EVENTS));
    DO(fd, rename("a/dir", "b/dir"));
    DO(fd, touch("b/dir/x"));
    DO(fd, unlink("b/dir/x"));
    DO(fd, renameat2(AT_FDCWD, "b/dir", AT_FDCWD, "a", 2));
    DO(fd, link("b/two", "b/three"));
    DO(fd, rename("b/two", "b/three"));
    DO(fd, rename("a", "c"));
    DO(fd, rename("c", "a"));
    DO(fd, rename("b/missing", "a/x"));
    close(fd);
    rmdir("b/a");
    clear("a");
    clear("b");
    SHOW(rmdir("a"));
    SHOW(rmdir("b"));
}

static void ends(void)
{
    section("ends of watches");
    int fd = inotify_init1(IN_NONBLOCK), f;
    mkdir("e", 0755);
    touch("e/f");
    SHOW(inotify_add_watch(fd, "e/f", IN_ALL_EVENTS));
    f = open("e/f", O_RDWR);
    drain(fd);
    DO(fd, unlink("e/f"));
    DO(fd, write(f, "x", 1));
    DO(fd, close(f));
    SHOW(inotify_rm_watch(fd, 1));
    touch("e/f");
    SHOW(inotify_add_watch(fd, "e/f", IN_OPEN | IN_ONESHOT));
    DO(fd, touch("e/f"));
    DO(fd, touch("e/f"));
    SHOW(inotify_add_watch(fd, "e", IN_ALL_EVENTS | IN_EXCL_UNLINK));
    f = open("e/f", O_RDWR);
    drain(fd);
    DO(fd, unlink("e/f"));
    DO(fd, write(f, "x", 1));
    DO(fd, close(f));
    touch("e/f");
    SHOW(inotify_add_watch(fd, "e", IN_ALL_EVENTS));
    f = open("e/f", O_RDWR);
    drain(fd);
    DO(fd, unlink("e/f"));
    DO(fd, write(f, "x", 1));
    DO(fd, fchmod(f, 0600));
    DO(fd, close(f));
    touch("e/f");
    link("e/f", "e/g");
    drain(fd);
    SHOW(inotify_add_watch(fd, "e/f", IN_ALL_EVENTS));
    DO(fd, unlink("e/f"));
    DO(fd, touch("e/g"));
    DO(fd, unlink("e/g"));
    SHOW(inotify_rm_watch(fd, 3));
    drain(fd);
    int dir = open("e", O_RDONLY | O_DIRECTORY);
    SHOW(inotify_add_watch(fd, "e", IN_DELETE_SELF));
    DO(fd, rmdir("e"));
    DO(fd, close(dir));
    mkdir("e", 0755);
    SHOW(inotify_add_watch(fd, "e", IN_DELETE_SELF | IN_MOVE_SELF));
    if (fork() == 0) {
        chdir("e");
        rmdir("../e");
        _exit(0);
    }
    wait(NULL);
    drain(fd);
    close(fd);
}

static void masks(void)
{
    section("masks");
    int fd = inotify_init1(IN_NONBLOCK), other = inotify_init1(IN_NONBLOCK);
    touch("m");
    SHOW(inotify_add_watch(fd, "m", IN_OPEN));
    SHOW(inotify_add_watch(other, "m", IN_CLOSE));
    DO(fd, touch("m"));
    drain(other);
    SHOW(inotify_add_watch(fd, "m", IN_MASK_ADD | IN_CLOSE_WRITE));
    DO(fd, touch("m"));
    SHOW(inotify_add_watch(fd, "m", IN_MODIFY));
    DO(fd, whole("m", "x"));
    DO(fd, (chmod("m", 0600), chmod("m", 0644)));
    drain(other);
    SHOW(inotify_add_watch(fd, "m", IN_ATTRIB));
    DO(fd, (chmod("m", 0600), chmod("m", 0644)));
    DO(fd, setxattr("m", "user.x", "1", 1, 0));
    DO(fd, getxattr("m", "user.x", NULL, 0));
    DO(fd, removexattr("m", "user.x"));
    DO(fd, removexattr("m", "user.x"));
    unlink("m");
    drain(fd);
    drain(other);
    close(fd);
    close(other);
}

static void copies(void)
{
    section("file to file");
    int fd = inotify_init1(IN_NONBLOCK), p[2];
    pipe(p);
    whole("from", "some text of a file");
    touch("to");
    int in = open("from", O_RDONLY), out = open("to", O_WRONLY);
    SHOW(inotify_add_watch(fd, "from", IN_ALL_EVENTS));
    SHOW(inotify_add_watch(fd, "to", IN_ALL_EVENTS));
    DO(fd, splice(in, NULL, p[1], NULL, 10, 0));
    DO(fd, splice(p[0], NULL, out, NULL, 10, 0));
    DO(fd, readahead(in, 0, 10));
    close(in);
    close(out);
    unlink("from");
    unlink("to");
    close(fd);
    close(p[0]);
    close(p[1]);
}

static void overflow(void)
{
    section("overflow");
    int f = open("/proc/sys/fs/inotify/max_queued_events", O_RDWR);
    char old[32] = "";
    read(f, old, sizeof old - 1);
    SHOW(pwrite(f, "4\n", 2, 0));
    int fd = inotify_init1(IN_NONBLOCK);
    pwrite(f, old, strlen(old), 0);
    close(f);
    touch("o");
    SHOW(inotify_add_watch(fd, "o", IN_OPEN | IN_ATTRIB));
    for (int i = 0; i < 8; i++) {
        close(open("o", O_RDONLY));
        chmod("o", 0600);
    }
    drain(fd);
    DO(fd, chmod("o", 0600));
    for (int i = 0; i < 8; i++) {
        close(open("o", O_RDONLY));
        chmod("o", 0600);
    }
    SHOW(inotify_rm_watch(fd, 1));
    drain(fd);
    close(fd);
    unlink("o");
}

static void limits(void)
{
    section("limits");
    int w = open("/proc/sys/fs/inotify/max_user_watches", O_RDWR);
    char old[32] = "";
    read(w, old, sizeof old - 1);
    int fd = inotify_init1(IN_NONBLOCK);
    mkdir("l", 0755);
    SHOW(setresuid(-1, -1, -1));
    SHOW(pwrite(w, "0\n", 2, 0));
    SHOW(inotify_add_watch(fd, "l", IN_OPEN));
    SHOW(pwrite(w, old, strlen(old), 0) == (ssize_t)strlen(old));
    SHOW(inotify_add_watch(fd, "l", IN_OPEN));
    close(w);
    int i = open("/proc/sys/fs/inotify/max_user_instances", O_RDWR);
    memset(old, 0, sizeof old);
    read(i, old, sizeof old - 1);
    SHOW(pwrite(i, "0\n", 2, 0));
    SHOW(inotify_init());
    SHOW(pwrite(i, old, strlen(old), 0) == (ssize_t)strlen(old));
    close(i);
    close(fd);
    struct rlimit r, none = {10, 10};
    getrlimit(RLIMIT_NOFILE, &r);
    none.rlim_max = r.rlim_max;
    setrlimit(RLIMIT_NOFILE, &none);
    int n = 0;
    while (inotify_init() >= 0)
        n++;
    SHOW_TRUE(n > 0 && errno == EMFILE);
    setrlimit(RLIMIT_NOFILE, &r);
    for (int k = 3; k < 10; k++)
        close(k);
    chmod("l", 0700);
    fflush(stdout);
    if (fork() == 0) {
        fd = inotify_init1(IN_NONBLOCK);
        chown("l", 0, 0);
        setresuid(65534, 65534, 65534);
        SHOW(inotify_add_watch(fd, "l", IN_OPEN));
        SHOW(inotify_add_watch(fd, "l/x", IN_OPEN));
        _exit(0);
    }
    wait(NULL);
    rmdir("l");
}

static void unmount(void)
{
    section("unmount");
    mkdir("mnt", 0755);
    SHOW(mount("none", "mnt", "tmpfs", 0, NULL));
    int fd = inotify_init1(IN_NONBLOCK);
    touch("mnt/f");
    SHOW(inotify_add_watch(fd, "mnt", IN_OPEN));
    SHOW(inotify_add_watch(fd, "mnt/f", IN_OPEN));
    DO(fd, touch("mnt/f"));
    SHOW(umount("mnt"));
    struct pollfd p = {fd, POLLIN, 0};
    SHOW(poll(&p, 1, 1000));
    char buf[512];
    ssize_t n = read(fd, buf, sizeof buf);
    SHOW(n);
    int unmounted = 0, ignored = 0;
    for (char *q = buf; q < buf + n; q += sizeof(struct inotify_event)) { /* in no order */
        unmounted += (((struct inotify_event *)q)->mask & IN_UNMOUNT) != 0;
        ignored += (((struct inotify_event *)q)->mask & IN_IGNORED) != 0;
    }
    SHOW(unmounted);
    SHOW(ignored);
    close(fd);
    rmdir("mnt");
}

static void many(void)
{
    section("many");
    int fd = inotify_init1(IN_NONBLOCK), ok = 0;
    char name[32];
    mkdir("many", 0755);
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof name, "many/%d", i);
        touch(name);
        ok += inotify_add_watch(fd, name, IN_ALL_EVENTS) == i + 1;
    }
    SHOW(ok);
    ok = 0;
    for (int i = 0; i < 3000; i += 2)
        ok += inotify_rm_watch(fd, i + 1) == 0;
    SHOW(ok);
    int n;
    ioctl(fd, FIONREAD, &n);
    SHOW(n / 16);
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof name, "many/%d", i);
        unlink(name);
    }
    ioctl(fd, FIONREAD, &n);
    SHOW(n / 16);
    close(fd);
    rmdir("many");
}

int main(void)
{
    char dir[] = "/tmp/inotify-XXXXXX";
    if (mkdtemp(dir) == NULL || chdir(dir) != 0)
        return 1;
    arguments();
    reading();
    file_events();
    moves();
    ends();
    masks();
    copies();
    overflow();
    limits();
    unmount();
    many();
    chdir("/");
    return rmdir(dir) != 0;
}
