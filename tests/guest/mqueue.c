/* SPDX-License-Identifier: Apache-2.0 */
/* POSIX message queues: priorities, waiting, attributes, notification, the files behind them. */
#include "t.h"
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

static char name[64];

static void attr_show(mqd_t q)
{
    struct mq_attr a;
    if (mq_getattr(q, &a) != 0)
        printf("mq_getattr %s\n", strerrorname_np(errno));
    else
        printf("flags %lo max %ld size %ld count %ld\n", a.mq_flags, a.mq_maxmsg, a.mq_msgsize, a.mq_curmsgs);
}

static void receive_show(mqd_t q)
{
    char buf[8192];
    unsigned prio = 99;
    ssize_t n = mq_receive(q, buf, sizeof buf, &prio);
    if (n < 0)
        printf("mq_receive %s\n", strerrorname_np(errno));
    else
        printf("%zd bytes prio %u \"%.*s\"\n", n, prio, (int)n, buf);
    fflush(stdout);
}

static void opening(void)
{
    section("mq_open");
    struct mq_attr a = {.mq_maxmsg = 4, .mq_msgsize = 64};
    SHOW(mq_open(name, O_RDWR));
    SHOW(mq_open("no-slash", O_CREAT | O_RDWR, 0600, &a));
    SHOW(mq_open("/", O_CREAT | O_RDWR, 0600, &a));
    SHOW(mq_open("/a/b", O_CREAT | O_RDWR, 0600, &a));
    SHOW(mq_open("/.", O_RDONLY));
    SHOW(mq_open("/..", O_RDONLY));
    char longest[300];
    memset(longest, 'x', sizeof longest);
    longest[0] = '/';
    longest[290] = 0;
    SHOW(mq_open(longest, O_CREAT | O_RDWR, 0600, &a));
    SHOW(syscall(SYS_mq_open, (char *)8, O_RDONLY, 0, NULL));
    SHOW(syscall(SYS_mq_open, "x", O_RDONLY | O_CREAT, 0600, (void *)8));
    static const struct { long max, size; } bad[] = {{0, 1}, {1, 0}, {-1, 1}, {1, -1}, {65537, 1}, {1, (16 << 20) + 1}};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct mq_attr b = {.mq_maxmsg = bad[i].max, .mq_msgsize = bad[i].size};
        SHOW(mq_open(name, O_CREAT | O_RDWR, 0600, &b));
    }
    umask(027);
    mqd_t q = mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0666, &a);
    SHOW_TRUE(q >= 0);
    umask(022);
    SHOW(mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0666, &a));
    attr_show(q);
    struct stat st;
    SHOW(fstat(q, &st));
    printf("mode %o size %ld nlink %lu\n", st.st_mode, (long)st.st_size, (unsigned long)st.st_nlink);
    SHOW_TRUE(fcntl(q, F_GETFD) == FD_CLOEXEC);
    struct mq_attr other = {.mq_maxmsg = 9, .mq_msgsize = 9};
    mqd_t r = mq_open(name, O_CREAT | O_RDONLY | O_NONBLOCK, 0600, &other);
    attr_show(r);
    SHOW(mq_send(r, "x", 1, 0));
    mqd_t w = mq_open(name, O_WRONLY);
    SHOW(mq_receive(w, longest, 64, NULL));
    SHOW(mq_close(w));
    SHOW(mq_close(w));
    SHOW(mq_close(r));
    fflush(stdout);
    if (fork() == 0) {
        setresgid(4321, 4321, 4321);
        setresuid(4321, 4321, 4321);
        SHOW(mq_open(name, O_RDONLY));
        SHOW(mq_open(name, O_CREAT | O_RDWR, 0600, NULL));
        SHOW(mq_unlink(name));
        struct mq_attr much = {.mq_maxmsg = 11, .mq_msgsize = 8};
        SHOW(mq_open("/drupe-much", O_CREAT | O_RDWR, 0600, &much));
        much = (struct mq_attr){.mq_maxmsg = 10, .mq_msgsize = 8193};
        SHOW(mq_open("/drupe-much", O_CREAT | O_RDWR, 0600, &much));
        much.mq_msgsize = 8192;
        char each[32];
        int n = 0;
        for (; n < 20; n++) { /* RLIMIT_MSGQUEUE */
            snprintf(each, sizeof each, "/drupe-much-%d", n);
            if (mq_open(each, O_CREAT | O_RDWR, 0600, &much) < 0)
                break;
        }
        SHOW(errno == EMFILE);
        SHOW(n);
        while (n-- > 0) {
            snprintf(each, sizeof each, "/drupe-much-%d", n);
            mq_unlink(each);
        }
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
    SHOW(mq_unlink(name));
    SHOW(mq_unlink(name));
    SHOW(mq_unlink("/a/b"));
    SHOW(mq_send(q, "still there", 12, 1));
    receive_show(q);
    mqd_t again = mq_open(name, O_CREAT | O_RDWR, 0600, NULL);
    attr_show(again);
    SHOW(mq_close(again));
    SHOW(mq_unlink(name));
    SHOW(mq_close(q));
}

static void messages(void)
{
    section("messages");
    struct mq_attr a = {.mq_maxmsg = 5, .mq_msgsize = 64}, old, non = {.mq_flags = O_NONBLOCK}, bad = {.mq_flags = O_APPEND};
    char buf[64], big[65] = "";
    unsigned prio;
    mqd_t q = mq_open(name, O_CREAT | O_RDWR | O_NONBLOCK, 0600, &a);
    SHOW(mq_receive(q, buf, 64, NULL));
    SHOW(mq_receive(q, buf, 63, NULL));
    SHOW(mq_send(q, big, 65, 0));
    SHOW(mq_send(q, "x", 1, 32768));
    SHOW(mq_send(q, (char *)8, 4, 0));
    SHOW(mq_send(q, "low", 3, 1));
    SHOW(mq_send(q, "high", 4, 32767));
    SHOW(mq_send(q, "low again", 9, 1));
    SHOW(mq_send(q, "", 0, 5));
    SHOW(mq_send(q, "lowest", 6, 0));
    SHOW(mq_send(q, "no room", 7, 9));
    attr_show(q);
    struct pollfd p = {q, POLLIN | POLLOUT, 0};
    SHOW(poll(&p, 1, 0));
    SHOW(p.revents);
    SHOW(mq_receive(q, (char *)8, 64, &prio)); /* the message is gone */
    for (int i = 0; i < 5; i++)
        receive_show(q);
    SHOW(poll(&p, 1, 0));
    SHOW(p.revents);
    mq_send(q, "abc", 3, 2);
    SHOW(poll(&p, 1, 0));
    SHOW(p.revents);
    memset(buf, 0, sizeof buf);
    SHOW_OK(read(q, buf, sizeof buf - 1));
    SHOW_STR(buf);
    SHOW(read(q, buf, sizeof buf));
    SHOW(write(q, "x", 1));
    receive_show(q);
    SHOW(mq_setattr(q, &bad, NULL));
    SHOW(mq_setattr(q, &(struct mq_attr){.mq_flags = 0, .mq_maxmsg = 99}, &old));
    printf("was %lo\n", old.mq_flags);
    attr_show(q);
    SHOW(mq_setattr(q, &non, NULL));
    attr_show(q);
    SHOW(fcntl(q, F_GETFL) & O_NONBLOCK);
    int null = open("/dev/null", O_RDWR);
    SHOW(mq_send(null, "x", 1, 0));
    SHOW(mq_receive(null, buf, 64, NULL));
    SHOW(mq_getattr(null, &old));
    SHOW(mq_notify(null, NULL));
    SHOW(mq_send(-1, "x", 1, 0));
    close(null);
    mq_close(q);
    mq_unlink(name);
}

static void on_signal(int s) { (void)s; }

static void waiting(void)
{
    section("waiting");
    struct mq_attr a = {.mq_maxmsg = 1, .mq_msgsize = 64};
    mqd_t q = mq_open(name, O_CREAT | O_RDWR, 0600, &a);
    struct timespec now, soon;
    char buf[64];
    int st;
    clock_gettime(CLOCK_REALTIME, &now);
    soon = (struct timespec){now.tv_sec, now.tv_nsec + 20000000};
    if (soon.tv_nsec >= 1000000000)
        soon = (struct timespec){soon.tv_sec + 1, soon.tv_nsec - 1000000000};
    SHOW(mq_timedreceive(q, buf, 64, NULL, &soon));
    SHOW(mq_timedreceive(q, buf, 64, NULL, &(struct timespec){1, 0}));
    SHOW(mq_timedreceive(q, buf, 64, NULL, &(struct timespec){1, 1000000000}));
    SHOW(mq_timedreceive(q, buf, 64, NULL, &(struct timespec){-1, 0}));
    SHOW(mq_send(q, "1", 1, 0));
    SHOW(mq_timedsend(q, "2", 1, 0, &soon));
    SHOW(mq_timedsend(q, "2", 1, 0, &(struct timespec){1, -1}));
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        _exit(mq_send(q, "from the child", 14, 3) == 0 ? 7 : 8);
    usleep(20000);
    receive_show(q);
    waitpid(pid, &st, 0);
    SHOW(WEXITSTATUS(st));
    receive_show(q);
    pid = fork();
    if (pid == 0) {
        receive_show(q);
        _exit(0);
    }
    usleep(20000);
    int sent = mq_send(q, "to the child", 12, 4);
    waitpid(pid, &st, 0);
    SHOW(sent);
    attr_show(q);
    for (int restart = 0; restart < 2; restart++) {
        fflush(stdout);
        pid = fork();
        if (pid == 0) {
            struct sigaction sa = {.sa_handler = on_signal, .sa_flags = restart ? SA_RESTART : 0};
            sigaction(SIGUSR1, &sa, NULL);
            ssize_t n = mq_receive(q, buf, 64, NULL);
            _exit(n == 5 ? 7 : n == -1 && errno == EINTR ? 8 : 9);
        }
        usleep(50000);
        kill(pid, SIGUSR1);
        usleep(20000);
        if (restart)
            SHOW(mq_send(q, "again", 5, 0));
        waitpid(pid, &st, 0);
        SHOW(WEXITSTATUS(st));
    }
    mq_close(q);
    mq_unlink(name);
}

static volatile int told, told_code, told_value, told_pid;
static void on_notice(int s, siginfo_t *i, void *u)
{
    (void)s, (void)u;
    told++;
    told_code = i->si_code;
    told_value = i->si_value.sival_int;
    told_pid = i->si_pid;
}

static void notification(void)
{
    section("mq_notify");
    struct mq_attr a = {.mq_maxmsg = 4, .mq_msgsize = 64};
    mqd_t q = mq_open(name, O_CREAT | O_RDWR, 0600, &a);
    struct sigaction sa = {.sa_sigaction = on_notice, .sa_flags = SA_SIGINFO};
    sigaction(SIGUSR1, &sa, NULL);
    struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 42}, none = {.sigev_notify = SIGEV_NONE},
                    bad = {.sigev_notify = 77}, high = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = 65};
    SHOW(mq_notify(q, &bad));
    SHOW(mq_notify(q, &high));
    SHOW(mq_notify(q, NULL));
    SHOW(syscall(SYS_mq_notify, q, (void *)8));
    SHOW(mq_notify(q, &ev));
    SHOW(mq_notify(q, &ev));
    SHOW(mq_send(q, "a", 1, 0));
    printf("told %d code %d value %d by us %d\n", told, told_code, told_value, told_pid == getpid());
    SHOW(mq_send(q, "b", 1, 0));
    SHOW(told);
    receive_show(q);
    SHOW(mq_notify(q, &ev));
    SHOW(mq_send(q, "c", 1, 0)); /* was not empty */
    SHOW(told);
    receive_show(q);
    receive_show(q);
    fflush(stdout);
    if (fork() == 0) {
        SHOW(mq_notify(q, &ev));
        SHOW(mq_notify(q, NULL)); /* not ours: nothing */
        mq_send(q, "d", 1, 0);
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
    printf("told %d, by us %d\n", told, told_pid == getpid());
    receive_show(q);
    SHOW(mq_notify(q, &none));
    SHOW(mq_notify(q, &ev));
    SHOW(mq_send(q, "e", 1, 0));
    SHOW(mq_notify(q, &ev));
    SHOW(told);
    receive_show(q);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) { /* somebody waits: nobody is told */
        receive_show(q);
        _exit(0);
    }
    usleep(20000);
    int sent = mq_send(q, "f", 1, 0);
    waitpid(pid, NULL, 0);
    SHOW(sent);
    SHOW(told);
    close(dup(q)); /* any descriptor of the queue */
    SHOW(mq_send(q, "g", 1, 0));
    SHOW(told);
    mq_close(q);
    mq_unlink(name);
}

int main(void)
{
    snprintf(name, sizeof name, "/drupe-test-%d", getpid());
    opening();
    messages();
    waiting();
    notification();
    return 0;
}
