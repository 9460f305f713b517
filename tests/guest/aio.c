// SPDX-License-Identifier: Apache-2.0
/* io_setup(2) and its kin: what is taken, what each operation gives, waiting, cancelling, the ring in the program's memory, ends. */
#include "t.h"
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>

static long io_setup(unsigned nr, aio_context_t *ctx) { return syscall(SYS_io_setup, nr, ctx); }
static long io_destroy(aio_context_t ctx) { return syscall(SYS_io_destroy, ctx); }
static long io_submit(aio_context_t ctx, long nr, struct iocb **list) { return syscall(SYS_io_submit, ctx, nr, list); }
static long io_cancel(aio_context_t ctx, struct iocb *c, struct io_event *e) { return syscall(SYS_io_cancel, ctx, c, e); }
static long io_getevents(aio_context_t ctx, long min, long nr, struct io_event *e, struct timespec *t)
{
    return syscall(SYS_io_getevents, ctx, min, nr, e, t);
}
struct sig { const sigset_t *set; size_t size; };
static long io_pgetevents(aio_context_t ctx, long min, long nr, struct io_event *e, struct timespec *t, struct sig *s)
{
    return syscall(SYS_io_pgetevents, ctx, min, nr, e, t, s);
}

static aio_context_t ctx;
static char buf[8192];
static struct timespec now = {0, 0}, soon = {0, 20 * 1000 * 1000};

static struct iocb *iocb(int op, int fd, const void *at, size_t n, long off)
{
    static struct iocb all[64];
    static int next;
    struct iocb *c = &all[next++ % 64];
    *c = (struct iocb){.aio_lio_opcode = (uint16_t)op, .aio_fildes = (uint32_t)fd, .aio_buf = (uintptr_t)at, .aio_nbytes = n, .aio_offset = off,
                       .aio_data = 1000 + (uint64_t)next};
    return c;
}

static long submit(struct iocb *c) { return io_submit(ctx, 1, &c); }

/* Submit one and show what comes of it. */
static void one(const char *what, struct iocb *c)
{
    struct io_event e = {0};
    printf("%s: ", what);
    if (SHOW(submit(c)) != 1)
        return;
    long n = io_getevents(ctx, 1, 1, &e, NULL);
    printf("%s: %ld event, result %lld %lld, %s\n", what, n, (long long)e.res, (long long)e.res2,
           e.obj == (uintptr_t)c && e.data == c->aio_data ? "its own" : "another's");
}
#define ONE(...) one(#__VA_ARGS__, iocb(__VA_ARGS__))

static void setup(void)
{
    aio_context_t other = 0, bad = 1;
    section("setup");
    SHOW(io_setup(0, &other));
    SHOW(io_setup(1, &bad));
    SHOW(io_setup(1, NULL));
    SHOW(io_setup(0x7fffffff, &other));
    SHOW(io_setup(100000, &other));
    SHOW(io_setup(4, &other));
    SHOW_TRUE(other != 0);
    unsigned *r = (unsigned *)other; /* struct aio_ring */
    printf("%u %u %x %u %u %u, %s\n", r[2], r[3], r[4], r[5], r[6], r[7], r[1] >= 4 ? "room" : "no room");
    SHOW(io_getevents(other, 0, 1, NULL, &now));
    SHOW(io_getevents(other, 2, 1, NULL, &now));
    SHOW(io_getevents(other, -1, 1, NULL, &now));
    SHOW(io_getevents(other + 4096, 0, 1, NULL, &now));
    SHOW(io_getevents(1, 0, 1, NULL, &now));
    SHOW(io_submit(other, -1, NULL));
    SHOW(io_submit(other, 0, NULL));
    SHOW(io_submit(other, 1, NULL));
    SHOW(io_submit(12345, 1, NULL));
    SHOW(io_cancel(other, NULL, NULL));
    SHOW(io_destroy(other));
    SHOW(io_destroy(other));
    SHOW(io_destroy(0));
    SHOW(io_submit(other, 0, NULL));
}

static void operations(int fd)
{
    struct iovec v[2] = {{buf, 3}, {buf + 100, 5}};
    section("operations");
    memset(buf, 'a', sizeof buf);
    ONE(IOCB_CMD_PWRITE, fd, buf, 5000, 0);
    ONE(IOCB_CMD_PREAD, fd, buf, 8192, 0);
    ONE(IOCB_CMD_PREAD, fd, buf, 10, 4995);
    ONE(IOCB_CMD_PREAD, fd, buf, 10, 5000);
    ONE(IOCB_CMD_PREADV, fd, v, 2, 0);
    ONE(IOCB_CMD_PWRITEV, fd, v, 2, 10);
    ONE(IOCB_CMD_FSYNC, fd, NULL, 0, 0);
    ONE(IOCB_CMD_FDSYNC, fd, NULL, 0, 0);
    ONE(IOCB_CMD_NOOP, fd, NULL, 0, 0);
    ONE(77, fd, NULL, 0, 0);
    ONE(IOCB_CMD_PREAD, 99, buf, 1, 0);
    ONE(IOCB_CMD_PREAD, fd, buf, 1, -1);
    ONE(IOCB_CMD_PREAD, fd, buf, -1UL, 0);
    ONE(IOCB_CMD_PREAD, fd, (void *)16, 10, 0);
    ONE(IOCB_CMD_PREADV, fd, (void *)16, 1, 0);
    ONE(IOCB_CMD_PREADV, fd, v, 5000, 0);
    ONE(IOCB_CMD_FSYNC, fd, NULL, 1, 0);
    ONE(IOCB_CMD_FSYNC, fd, NULL, 0, 1);
    struct iocb *c = iocb(IOCB_CMD_PREAD, fd, buf, 1, 0);
    c->aio_reserved2 = 1;
    one("reserved2", c);
    c = iocb(IOCB_CMD_PREAD, fd, buf, 1, 0);
    c->aio_rw_flags = 0x4000;
    one("rw_flags", c);
    c = iocb(IOCB_CMD_PWRITE, fd, "z", 1, 0);
    c->aio_rw_flags = 16; /* RWF_APPEND */
    one("append", c);
    SHOW(lseek(fd, 0, SEEK_END));
    c->aio_key = 77;
    c->aio_rw_flags = 0;
    one("key", c);
    SHOW(c->aio_key);
    int ro = open("aio.file", O_RDONLY), wo = open("aio.file", O_WRONLY), path = open("aio.file", O_PATH), dir = open(".", O_RDONLY);
    ONE(IOCB_CMD_PWRITE, ro, buf, 1, 0);
    ONE(IOCB_CMD_PREAD, wo, buf, 1, 0);
    ONE(IOCB_CMD_PREAD, path, buf, 1, 0);
    ONE(IOCB_CMD_PREAD, dir, buf, 1, 0);
    close(ro), close(wo), close(path), close(dir);
}

static void several(int fd)
{
    struct iocb *list[8];
    struct io_event e[8];
    section("several");
    for (int i = 0; i < 8; i++)
        list[i] = iocb(IOCB_CMD_PREAD, i == 5 ? 99 : fd, buf + i, 1, i);
    SHOW(io_submit(ctx, 8, list));
    SHOW(io_getevents(ctx, 2, 2, e, NULL));
    SHOW(io_getevents(ctx, 3, 8, e, NULL));
    SHOW(io_getevents(ctx, 0, 8, e, &now));
    SHOW(io_submit(ctx, 3, list + 5));
    SHOW(io_getevents(ctx, 1, 8, e, &soon));
    struct iocb *with_hole[3] = {list[0], NULL, list[1]};
    SHOW(io_submit(ctx, 3, with_hole));
    SHOW(io_getevents(ctx, 1, 1, (void *)16, NULL));
    SHOW(io_getevents(ctx, 1, 8, e, NULL));
    /* The program takes one itself. */
    SHOW(submit(list[0]));
    unsigned *r = (unsigned *)ctx;
    while (__atomic_load_n(&r[3], __ATOMIC_ACQUIRE) == r[2])
        sched_yield();
    struct io_event *own = (struct io_event *)(r + 8) + r[2];
    printf("%lld %d\n", (long long)own->res, own->obj == (uintptr_t)list[0]);
    r[2] = (r[2] + 1) % r[1];
    SHOW(io_getevents(ctx, 0, 8, e, &now));
    int n = 0;
    while (submit(list[0]) == 1 && n < 100000)
        n++;
    SHOW_TRUE(errno == EAGAIN && n >= 16 && n < 1000);
    int got = 0;
    for (long k; (k = io_getevents(ctx, 0, 8, e, got == n ? &now : NULL)) > 0;)
        got += (int)k;
    SHOW_TRUE(got == n);
}

static void eventfds(int fd)
{
    uint64_t count = 0;
    int ev = eventfd(0, EFD_NONBLOCK);
    section("eventfd");
    for (int i = 0; i < 3; i++) {
        struct iocb *c = iocb(i == 2 ? IOCB_CMD_FSYNC : IOCB_CMD_PREAD, fd, i == 2 ? NULL : buf, i == 2 ? 0 : 1, 0);
        c->aio_flags = IOCB_FLAG_RESFD;
        c->aio_resfd = (uint32_t)ev;
        one("with resfd", c);
    }
    SHOW(read(ev, &count, 8));
    SHOW(count);
    struct iocb *c = iocb(IOCB_CMD_PREAD, fd, buf, 1, 0);
    c->aio_flags = IOCB_FLAG_RESFD;
    c->aio_resfd = (uint32_t)fd;
    one("no eventfd", c);
    c->aio_resfd = 99;
    one("no file", c);
    close(ev);
}

static void polls(int fd)
{
    int p[2];
    struct io_event e[4];
    section("poll");
    pipe(p);
    ONE(IOCB_CMD_POLL, p[1], (void *)POLLOUT, 0, 0);
    ONE(IOCB_CMD_POLL, fd, (void *)POLLIN, 0, 0);
    ONE(IOCB_CMD_POLL, p[0], (void *)0x10000, 0, 0);
    ONE(IOCB_CMD_POLL, p[0], (void *)POLLIN, 1, 0);
    struct iocb *c = iocb(IOCB_CMD_POLL, p[0], (void *)POLLIN, 0, 0);
    SHOW(submit(c));
    SHOW(io_getevents(ctx, 0, 1, e, &now));
    SHOW(io_getevents(ctx, 1, 1, e, &soon));
    write(p[1], "x", 1);
    SHOW(io_getevents(ctx, 1, 1, e, NULL));
    SHOW(e[0].res & POLLIN); /* Linux tells of all that woke it */
    read(p[0], buf, 1);
    SHOW(submit(c));
    SHOW(io_cancel(ctx, c, e));
    SHOW(io_getevents(ctx, 1, 1, e, NULL));
    SHOW(e[0].res);
    SHOW(io_cancel(ctx, c, e));
    c->aio_key = 5;
    SHOW(io_cancel(ctx, c, e));
    close(p[1]);
    ONE(IOCB_CMD_POLL, p[0], (void *)POLLIN, 0, 0);
    ONE(IOCB_CMD_FSYNC, p[0], NULL, 0, 0);
    ONE(IOCB_CMD_PREAD, p[0], buf, 1, 0);
    close(p[0]);
}

static void on_alarm(int sig) { (void)sig; }

static void signals(void)
{
    struct io_event e;
    struct sigaction a = {.sa_handler = on_alarm};
    sigset_t all, none;
    section("signals");
    sigaction(SIGALRM, &a, NULL);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 20000}}, NULL);
    SHOW(io_getevents(ctx, 1, 1, &e, NULL));
    sigfillset(&all);
    sigemptyset(&none);
    sigprocmask(SIG_BLOCK, &all, NULL);
    raise(SIGALRM);
    struct sig s = {&none, 8};
    SHOW(io_pgetevents(ctx, 1, 1, &e, &soon, NULL));
    SHOW(io_pgetevents(ctx, 1, 1, &e, NULL, &s));
    sigset_t left;
    sigprocmask(SIG_SETMASK, NULL, &left);
    SHOW(sigismember(&left, SIGALRM));
    s.size = 4;
    SHOW(io_pgetevents(ctx, 0, 1, &e, &now, &s));
    SHOW(io_pgetevents(ctx, 0, 1, &e, &now, (void *)16));
    SHOW(io_getevents(ctx, 0, 1, &e, (void *)16));
    sigprocmask(SIG_UNBLOCK, &all, NULL);
}

static int shared_fd;
static void *submits(void *arg)
{
    (void)arg;
    char *own = malloc(4096);
    memset(own, 't', 4096);
    for (int i = 0; i < 8; i++)
        submit(iocb(IOCB_CMD_PWRITE, shared_fd, own, 4096, i * 4096));
    return NULL;
}

static aio_context_t going;
static void *waits_for_one(void *arg)
{
    (void)arg;
    struct io_event e;
    return (void *)(io_getevents(going, 1, 1, &e, NULL) < 0 ? (long)errno : 0);
}

/* Who waits for a result that will not come is told. */
static void waited_for(void)
{
    pthread_t t;
    void *err;
    SHOW(io_setup(8, &going));
    pthread_create(&t, NULL, waits_for_one, NULL);
    usleep(50000);
    SHOW(io_destroy(going));
    pthread_join(t, &err);
    SHOW((long)err);
}

/* What a thread has begun is done, and told, whether the thread is still there or not. */
static void ends(int fd)
{
    pthread_t t;
    struct io_event e[8];
    aio_context_t other = 0;
    int p[2], st;
    section("ends");
    shared_fd = fd;
    pthread_create(&t, NULL, submits, NULL);
    pthread_join(t, NULL);
    SHOW(io_getevents(ctx, 8, 8, e, NULL));
    long sum = 0;
    for (int i = 0; i < 8; i++)
        sum += (long)e[i].res;
    SHOW(sum);
    pipe(p);
    SHOW(io_setup(8, &other));
    struct iocb *c = iocb(IOCB_CMD_POLL, p[0], (void *)POLLIN, 0, 0), *w = iocb(IOCB_CMD_PWRITE, fd, "end", 3, 0);
    SHOW(io_submit(other, 1, &c));
    SHOW(io_submit(other, 1, &w));
    SHOW(io_destroy(other));
    SHOW(pread(fd, buf, 3, 0));
    printf("%.3s\n", buf);
    fflush(stdout);
    if (fork() == 0) {
        SHOW(io_getevents(ctx, 0, 1, e, &now)); /* it is the parent's */
        aio_context_t mine = 0;
        SHOW(io_setup(8, &mine));
        w = iocb(IOCB_CMD_PWRITE, fd, "die", 3, 0);
        SHOW(io_submit(mine, 1, &c));
        SHOW(io_submit(mine, 1, &w));
        fflush(stdout);
        _exit(0);
    }
    wait(&st);
    SHOW(pread(fd, buf, 3, 0));
    printf("%.3s\n", buf);
    close(p[0]), close(p[1]);
}

static long number(const char *name)
{
    long v = -1;
    FILE *f = fopen(name, "r");
    if (f != NULL) {
        fscanf(f, "%ld", &v);
        fclose(f);
    }
    return v;
}

int main(void)
{
    int fd = open("aio.file", O_RDWR | O_CREAT | O_TRUNC, 0600);
    unlink("aio.file");
    close(fd);
    fd = open("aio.file", O_RDWR | O_CREAT | O_TRUNC, 0600);
    SHOW_TRUE(number("/proc/sys/fs/aio-max-nr") >= 65536);
    SHOW_TRUE(number("/proc/sys/fs/aio-nr") >= 0);
    setup();
    SHOW(io_setup(16, &ctx));
    operations(fd);
    several(fd);
    eventfds(fd);
    polls(fd);
    signals();
    ends(fd);
    waited_for();
    SHOW(io_destroy(ctx));
    unlink("aio.file");
    return 0;
}
