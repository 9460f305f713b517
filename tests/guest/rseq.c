/* SPDX-License-Identifier: Apache-2.0 */
/* rseq(2), as glibc registers it; and calls that are rare: kcmp, protection keys, handles of files, process_madvise, tee */
#include "t.h"
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

static struct rseq *area(void) { return (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset); }

/* Stay in a critical section until it is aborted. */
static void in_section(void)
{
    struct rseq *r = area();
    __asm__ volatile(".pushsection __rseq_test, \"aw\"\n"
                     ".balign 32\n"
                     "5: .long 0, 0\n"
                     ".quad 1f, 2f - 1f, 4f\n"
                     ".popsection\n"
                     "leaq 5b(%%rip), %%rax\n"
                     "movq %%rax, %0\n"
                     "1: pause\n"
                     "jmp 1b\n"
                     "2: jmp 3f\n"
                     ".byte 0x0f, 0xb9, 0x3d\n"
                     ".long 0x53053053\n"
                     "4:\n"
                     "3:\n"
                     : "=m"(r->rseq_cs) : : "rax", "memory");
}

static volatile sig_atomic_t heard;
static void on_alarm(int sig) { heard++; }

static void *later(void *arg)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    sched_setaffinity(0, sizeof one, &one);
    struct timespec ts = {0, 1000000};
    while (!*(volatile int *)arg) /* each time it wakes, it takes the CPU */
        nanosleep(&ts, NULL);
    return NULL;
}

static void *registered(void *arg)
{
    *(int *)arg = area()->cpu_id != RSEQ_CPU_ID_UNINITIALIZED && (int)area()->cpu_id >= 0;
    return NULL;
}

static void sequences(void)
{
    section("rseq");
    struct rseq *r = area();
    SHOW(__rseq_size);
    int wrong = 0, status, stop = 0, ok = 0;
    for (int i = 0; i < 1000; i++) {
        unsigned before = *(volatile unsigned *)&r->cpu_id, cpu, after;
        syscall(SYS_getcpu, &cpu, NULL, NULL);
        after = *(volatile unsigned *)&r->cpu_id;
        wrong += before == after && cpu != after;
    }
    SHOW(wrong);
    static struct rseq other __attribute__((aligned(32)));
    SHOW(syscall(SYS_rseq, &other, 32, 0, RSEQ_SIG));
    SHOW(syscall(SYS_rseq, r, 32, 0, RSEQ_SIG));
    SHOW(syscall(SYS_rseq, r, 32, 0, RSEQ_SIG + 1));
    SHOW(syscall(SYS_rseq, r, 32, 8, RSEQ_SIG));
    SHOW(syscall(SYS_rseq, &other, 32, 1, RSEQ_SIG));
    SHOW(syscall(SYS_rseq, r, 32, 1, RSEQ_SIG + 1));
    struct sigaction sa = {.sa_handler = on_alarm};
    sigaction(SIGALRM, &sa, NULL);
    struct itimerval it = {.it_value = {0, 20000}};
    setitimer(ITIMER_REAL, &it, NULL);
    while (!heard) /* preemption ends it, too */
        in_section();
    SHOW(heard);
    SHOW_TRUE(r->rseq_cs == 0);
    pthread_t t;
    pthread_create(&t, NULL, registered, &ok);
    pthread_join(t, NULL);
    SHOW(ok);
    cpu_set_t all, one;
    sched_getaffinity(0, sizeof all, &all);
    CPU_ZERO(&one);
    CPU_SET(0, &one);
    SHOW(sched_setaffinity(0, sizeof one, &one));
    pthread_create(&t, NULL, later, &stop);
    for (int i = 0; i < 5; i++)
        in_section();
    stop = 1;
    pthread_join(t, NULL);
    printf("preempted\n");
    SHOW(r->cpu_id);
    sched_setaffinity(0, sizeof all, &all);
    fflush(stdout);
    if (fork() == 0) {
        setitimer(ITIMER_REAL, &it, NULL);
        in_section();
        _exit((int)area()->cpu_id >= 0 ? 3 : 4);
    }
    wait(&status);
    SHOW(status);
    if (fork() == 0) { /* no signature before the place to go on */
        static struct rseq_cs bad __attribute__((aligned(32)));
        bad.start_ip = 0x1000;
        bad.post_commit_offset = 16;
        bad.abort_ip = (uintptr_t)&sequences;
        area()->rseq_cs = (uintptr_t)&bad;
        for (;;)
            sched_yield(), getppid(), kill(getpid(), SIGALRM);
    }
    wait(&status);
    SHOW(WTERMSIG(status));
    SHOW(syscall(SYS_rseq, r, 32, 1, RSEQ_SIG));
    SHOW((int)r->cpu_id);
    SHOW(syscall(SYS_rseq, (char *)&other + 8, 32, 0, RSEQ_SIG));
    SHOW(syscall(SYS_rseq, &other, 32, 0, RSEQ_SIG));
    SHOW_TRUE((int)other.cpu_id >= 0);
    SHOW(syscall(SYS_rseq, &other, 32, 1, RSEQ_SIG));
    SHOW(syscall(SYS_rseq, r, 32, 0, RSEQ_SIG));
}

static void rare(void)
{
    section("kcmp");
    pid_t self = getpid();
    int a = open("/dev/null", O_RDONLY), b = dup(a), c = open("/dev/null", O_RDONLY), status;
    SHOW(syscall(SYS_kcmp, self, self, 0, a, b));
    SHOW_TRUE(syscall(SYS_kcmp, self, self, 0, a, c) > 0);
    SHOW(syscall(SYS_kcmp, self, self, 0, a, 999));
    SHOW(syscall(SYS_kcmp, self, 99999999, 0, a, a));
    SHOW(syscall(SYS_kcmp, self, self, 99, a, a));
    for (int type = 1; type <= 6; type++)
        SHOW(syscall(SYS_kcmp, self, self, type, 0, 0));
    int ep = epoll_create1(0), p0[2];
    (void)!pipe(p0);
    struct epoll_event ev = {EPOLLIN, {0}};
    epoll_ctl(ep, EPOLL_CTL_ADD, p0[0], &ev);
    unsigned slot[3] = {(unsigned)ep, (unsigned)p0[0], 0};
    SHOW(syscall(SYS_kcmp, self, self, 7, p0[0], slot));
    SHOW_TRUE(syscall(SYS_kcmp, self, self, 7, p0[1], slot) > 0);
    slot[2] = 1;
    SHOW(syscall(SYS_kcmp, self, self, 7, p0[0], slot));
    slot[0] = (unsigned)a;
    SHOW(syscall(SYS_kcmp, self, self, 7, p0[0], slot));
    SHOW(syscall(SYS_kcmp, self, self, 7, p0[0], 8L));
    fflush(stdout);
    pid_t parent = self;
    if (fork() == 0) {
        printf("child: %ld %d %d\n", syscall(SYS_kcmp, getpid(), parent, 0, a, a), syscall(SYS_kcmp, getpid(), parent, 1, 0, 0) > 0,
               syscall(SYS_kcmp, getpid(), parent, 2, 0, 0) > 0);
        fflush(stdout);
        _exit(0);
    }
    wait(&status);
    section("protection keys");
    char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    SHOW(syscall(SYS_pkey_alloc, 1, 0));
    SHOW(syscall(SYS_pkey_alloc, 0, 4));
    SHOW(syscall(SYS_pkey_mprotect, page, 4096, PROT_READ, -1));
    SHOW(syscall(SYS_pkey_mprotect, page, 4096, PROT_READ | PROT_WRITE, -1));
    SHOW(syscall(SYS_pkey_mprotect, page, 4096, PROT_READ, 15));
    SHOW(syscall(SYS_pkey_free, 15));
    section("handles");
    struct { struct { unsigned bytes; int type; } h; char data[128]; } h = {.h = {1000, 0}};
    int mnt;
    SHOW(syscall(SYS_name_to_handle_at, AT_FDCWD, "/missing", &h, &mnt, 0));
    SHOW(syscall(SYS_name_to_handle_at, AT_FDCWD, "/tmp", &h, &mnt, 0));
    SHOW(syscall(SYS_name_to_handle_at, AT_FDCWD, "/tmp", &h, &mnt, 1));
    SHOW(syscall(SYS_open_by_handle_at, 999, &h, 0));
    h.h.bytes = 16;
    SHOW(syscall(SYS_open_by_handle_at, 999, &h, 0));
    section("process_madvise");
    int fd = (int)syscall(SYS_pidfd_open, self, 0);
    struct iovec v[2] = {{page, 4096}, {page + 4096, 4096}}, bad = {page + 1, 4096}, none = {(void *)4096, 4096};
    SHOW(syscall(SYS_process_madvise, fd, v, 2, MADV_COLD, 0));
    SHOW(syscall(SYS_process_madvise, fd, v, 2, MADV_PAGEOUT, 1));
    SHOW(syscall(SYS_process_madvise, fd, &bad, 1, MADV_WILLNEED, 0));
    SHOW(syscall(SYS_process_madvise, fd, &none, 1, MADV_COLD, 0));
    SHOW(syscall(SYS_process_madvise, 999, v, 2, MADV_COLD, 0));
    section("tee and vmsplice");
    int p[2], q[2];
    char buf[100];
    (void)!pipe(p);
    (void)!pipe(q);
    struct iovec w[2] = {{"tee", 3}, {"and more", 8}}, r = {buf, sizeof buf};
    SHOW(tee(p[0], p[1], 10, 0));
    SHOW(tee(p[0], a, 10, 0));
    SHOW(tee(a, q[1], 10, 0));
    SHOW(tee(p[0], q[1], 10, SPLICE_F_NONBLOCK));
    SHOW(tee(p[0], q[1], 10, 1 << 20));
    SHOW(vmsplice(p[1], w, 2, SPLICE_F_GIFT));
    SHOW(tee(p[0], q[1], 5, 0));
    SHOW(read(q[0], buf, 100));
    SHOW(memcmp(buf, "teean", 5));
    SHOW(vmsplice(p[0], &r, 1, 0));
    SHOW(memcmp(buf, "teeand more", 11));
    SHOW(vmsplice(p[0], &r, 1, SPLICE_F_NONBLOCK));
    SHOW(vmsplice(a, &r, 1, 0));
    SHOW(splice(p[0], NULL, q[1], NULL, 10, SPLICE_F_NONBLOCK));
    (void)!write(p[1], "ab", 2);
    SHOW(splice(p[0], NULL, q[1], NULL, 10, 0)); /* what there is */
    close(p[1]);
    SHOW(tee(p[0], q[1], 10, 0));
    signal(SIGPIPE, SIG_IGN);
    close(q[0]);
    SHOW(vmsplice(q[1], w, 1, 0));
}

int main(void)
{
    sequences();
    rare();
    return 0;
}
