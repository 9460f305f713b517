/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals to this process, its thread and its child: dispositions, masks, queues, what waits for them, and the timers that send them.
 * A handler notes what it was told; what it noted is part of the line. A child helps where a signal must come while a call waits: it sends when this process sleeps.
 */
#include "differ.h"
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <time.h>
#include <linux/futex.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

#define MS 1000000L
#define TIMERS 3

static const struct word signals[] = {W(SIGHUP), W(SIGUSR1), W(SIGUSR1), W(SIGUSR2), W(SIGUSR2), W(SIGTERM), W(SIGCHLD), W(SIGURG), W(SIGWINCH), W(SIGPROF), W(SIGCONT), {34, "RT34"}, {34, "RT34"}, {35, "RT35"}, {64, "RT64"}};
static const struct word odd_signals[] = {{0, "0"}, {SIGKILL, "SIGKILL"}, {SIGSTOP, "SIGSTOP"}, {65, "65"}, {-1, "-1"}, {32, "RT32"}};
#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1u << 31)
#endif
static char alt_stack[32768];
static timer_t timers[TIMERS];
static bool timer_made[TIMERS];
static pid_t me, child;
static struct note {
    int sig, code, error, status, value, where;
    bool mine, masked[3], on_stack, short_call;
} notes[64];
static volatile unsigned noted;

static int arg_signal(void) { return one_in(25) ? ONE(odd_signals) : ONE(signals); }

static uint64_t arg_set(void)
{
    uint64_t s = 0;
    arg("[");
    for (unsigned i = 0; i < COUNT(signals); i++)
        if (one_in(4) && !(s & 1ULL << (signals[i].value - 1))) {
            s |= 1ULL << (signals[i].value - 1);
            say(" %s", signals[i].name);
        }
    if (one_in(20)) {
        s |= 1ULL << (SIGKILL - 1) | 1ULL << (SIGSTOP - 1);
        say(" KILL STOP");
    }
    say(" ]");
    return s;
}

static uint64_t blocked(void)
{
    uint64_t s = 0;
    RAW(rt_sigprocmask, 0, NULL, &s, 8);
    return s;
}

static void note(int sig, siginfo_t *info)
{
    int e = errno;
    char here;
    struct note *n = &notes[noted++ % COUNT(notes)];
    uint64_t b = blocked();
    *n = (struct note){.sig = sig, .code = 77, .on_stack = &here >= alt_stack && &here < alt_stack + sizeof alt_stack};
    if (info != NULL) {
        n->code = info->si_code;
        n->error = info->si_errno;
        if (info->si_code == SI_TIMER) {
            n->value = info->si_value.sival_int;
        } else if (sig == SIGCHLD && info->si_code > 0) {
            n->status = info->si_status;
            n->mine = info->si_pid == child || info->si_pid != me;
        } else if (info->si_code == SI_QUEUE || (info->si_code < 0 && info->si_code != SI_TKILL)) {
            n->value = info->si_value.sival_int;
            n->mine = info->si_pid == me;
        } else if (info->si_code <= 0)
            n->mine = info->si_pid == me;
    }
    n->masked[0] = b >> (sig - 1) & 1;
    n->masked[1] = b >> (SIGUSR1 - 1) & 1;
    n->masked[2] = b >> 33 & 1;
    errno = e;
}

static void handler(int sig) { note(sig, NULL); }
static void handler_info(int sig, siginfo_t *info, void *context) { note(sig, info); }

/* What the kernel knows, as it is. */
struct action {
    void *handler;
    unsigned long flags;
    void *restorer;
    uint64_t mask;
};
static const struct word sa_flags[] = {W(SA_NOCLDSTOP), W(SA_NOCLDWAIT), W(SA_ONSTACK), W(SA_RESTART), W(SA_RESTART), W(SA_NODEFER), W(SA_RESETHAND), {0x400, "SA_UNSUPPORTED"}, {0x800, "SA_EXPOSE_TAGBITS"}, {0x2000, "0x2000"}};
static void *restorer;

static void do_sigaction(void)
{
    int sig = arg_signal();
    struct action a = {.restorer = restorer}, old;
    unsigned k = rnd(6);
    if (k == 0) {
        arg("get");
        ret(RAW(rt_sigaction, sig, NULL, &old, 8));
        return;
    }
    a.handler = k == 1 ? SIG_DFL : k == 2 ? SIG_IGN : (__sighandler_t)(void *)handler;
    if (k == 1 && !one_in(3) && sig != SIGCHLD && sig != SIGURG && sig != SIGWINCH && sig != SIGCONT)
        a.handler = SIG_IGN;
    else if (k == 1 && sig > 0 && sig < 65 && sig != SIGCHLD && sig != SIGURG && sig != SIGWINCH && sig != SIGCONT)
        a.handler = handler; /* the end of us */
    arg(a.handler == SIG_DFL ? "default" : a.handler == SIG_IGN ? "ignore" : "handler");
    a.flags = SOME(sa_flags, 7) | 0x04000000;
    if (one_in(2)) {
        a.flags |= SA_SIGINFO;
        say("|SA_SIGINFO");
        if (k > 2)
            a.handler = handler_info;
    }
    if (a.handler > (void *)1 && (a.flags & SA_RESETHAND) && sig != SIGCHLD && sig != SIGURG && sig != SIGWINCH && sig != SIGCONT)
        a.flags &= ~SA_RESETHAND;
    a.mask = arg_set();
    ret(RAW(rt_sigaction, sig, &a, &old, one_in(30) ? 4 : 8));
}

static void do_mask(void)
{
    static const struct word hows[] = {W(SIG_BLOCK), W(SIG_BLOCK), W(SIG_UNBLOCK), W(SIG_UNBLOCK), W(SIG_SETMASK), {9, "9"}};
    int how = ONE(hows);
    uint64_t s = arg_set(), old = 0;
    ret(RAW(rt_sigprocmask, how, &s, &old, one_in(30) ? 4 : 8));
}

static void do_kill(void)
{
    int sig;
    do
        sig = arg_signal();
    while (sig == SIGKILL || sig == SIGSTOP || sig == SIGCONT);
    pid_t to = me;
    union sigval v = {.sival_int = step_number()};
    siginfo_t i = {.si_code = NUM(SI_QUEUE, SI_QUEUE, SI_USER, SI_TKILL, SI_MESGQ, SI_ASYNCIO, 5), .si_errno = NUM(0, 7)};
    i.si_pid = me;
    i.si_value = v;
    if (i.si_code == SI_USER || i.si_code == 5 || i.si_code == SI_TKILL) /* an address lies there */
        i.si_errno = 0;
    if (one_in(15)) {
        to = NUM(0, -1, 4000000, 0x7fffffff, -99999999);
        if (to == -1 || to == 0)
            sig = 0;
    }
    switch (rnd(6)) {
    case 0: arg("kill"); ret(kill(to, sig)); break;
    case 1: arg("tkill"); ret(RAW(tkill, to, sig)); break;
    case 2: arg("tgkill"); ret(RAW(tgkill, one_in(10) ? (arg("1"), 1) : me, to, sig)); break;
    case 3: arg("sigqueue"); i.si_signo = sig; ret(RAW(rt_sigqueueinfo, to, sig, &i)); break;
    case 4: arg("tgsigqueue"); i.si_signo = sig; ret(RAW(rt_tgsigqueueinfo, me, to, sig, &i)); break;
    default: { int pidfd = RAW(pidfd_open, me, 0); arg("pidfd"); i.si_signo = one_in(8) ? sig + 1 : sig; long flags = NUM(0, 0, 0, 1, 2, 4, 8); if (flags == 4 && sig != 0) flags = 2; ret(RAW(pidfd_send_signal, pidfd, sig, one_in(2) ? NULL : &i, flags)); close(pidfd); break; }
    }
}

static void do_burst(void)
{
    int n = 1 + rnd(5);
    for (int k = 0; k < n; k++) {
        int sig = ONE(signals);
        if (sig == SIGCONT)
            continue;
        if (one_in(2))
            sigqueue(me, sig, (union sigval){.sival_int = k});
        else
            RAW(tgkill, me, me, sig);
    }
    ret(0);
}

static void say_info(const siginfo_t *i)
{
    say(" %d %d %d", i->si_signo, i->si_code, i->si_errno);
    if (i->si_code == SI_QUEUE || i->si_code == SI_TIMER || i->si_code == SI_MESGQ || i->si_code == SI_ASYNCIO)
        say(" value %d", i->si_value.sival_int);
    else if (i->si_signo == SIGCHLD && i->si_code > 0)
        say(" status %d", i->si_status);
    else if (i->si_code <= 0)
        say(" %s", i->si_pid == me ? "me" : "?");
}

static void do_wait(void)
{
    struct timespec t = {NUM(0, 0, 0, 0, -1), NUM(0, MS, MS, -1, 1000000000)};
    uint64_t s = arg_set();
    siginfo_t i = {};
    bool info = !one_in(5);
    long r = ret(RAW(rt_sigtimedwait, &s, info ? &i : NULL, &t, one_in(30) ? 4 : 8));
    if (r > 0 && info)
        say_info(&i);
}

static void do_signalfd(void)
{
    uint64_t s = arg_set();
    static const struct word flags[] = {W(SFD_CLOEXEC), {1 << 5, "1<<5"}};
    if (one_in(3)) {
        int fd = slots[arg_slot()];
        ret(RAW(signalfd4, fd, &s, 8, SFD_NONBLOCK));
    } else
        ret_slot(RAW(signalfd4, -1, &s, one_in(30) ? 4 : 8, SFD_NONBLOCK | SOME(flags, 6)));
}

static void do_read(void)
{
    struct signalfd_siginfo s[4];
    uint64_t v[64];
    struct itimerspec t;
    int fd = slots[arg_slot()];
    bool timer = RAW(timerfd_gettime, fd, &t) == 0;
    if (timer) {
        usleep(2000);
        long r = ret(read(fd, v, NUM(8, 8, 4, 16)));
        if (r == 8)
            say(" %s", v[0] == 0 ? "0" : "some");
        return;
    }
    long r = ret(read(fd, s, NUM(128, 256, 512, 100)));
    for (long i = 0; i < r / 128; i++) {
        say(" %u %d %d", s[i].ssi_signo, s[i].ssi_code, s[i].ssi_errno);
        if (s[i].ssi_code == SI_QUEUE || s[i].ssi_code == SI_TIMER || s[i].ssi_code == SI_MESGQ)
            say(" value %d", s[i].ssi_int);
        if (s[i].ssi_code == SI_USER || s[i].ssi_code == SI_TKILL || s[i].ssi_code == SI_QUEUE)
            say(" %s", (pid_t)s[i].ssi_pid == me ? "me" : "?");
        if (s[i].ssi_code == SI_TIMER)
            say(" overrun %s", s[i].ssi_overrun == 0 ? "0" : "some");
        if (s[i].ssi_signo == SIGCHLD && s[i].ssi_code > 0)
            say(" status %d", s[i].ssi_status);
    }
}

static void do_altstack(void)
{
    stack_t s = {.ss_sp = alt_stack, .ss_flags = NUM(0, 0, SS_DISABLE, SS_ONSTACK, SS_AUTODISARM, 99), .ss_size = NUM(32768, 32768, 32768, 1000, 2047)}, old = {};
    if (one_in(4)) {
        arg("get");
        ret(RAW(sigaltstack, NULL, &old));
    } else
        ret(RAW(sigaltstack, &s, &old));
    say(" %s %x %zu", old.ss_sp == alt_stack ? "ours" : old.ss_sp == NULL ? "none" : "?", old.ss_flags, old.ss_size);
}

/* --- calls that a signal ends, or does not -------------------------------------------------------- */

static bool sleeps(pid_t pid) { return state_of(pid) == 'S'; }

/* A process that sends `sig` to this one when it sleeps, and when it does so again what ends the call for sure. */
static pid_t sender(int sig, int *p)
{
    pid_t parent = me, pid = fork();
    if (pid != 0)
        return pid;
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (int i = 1; i < 65; i++)
        if (i != SIGKILL && i != SIGSTOP)
            signal(i, SIG_IGN);
    for (int i = 0; i < 5000 && !sleeps(parent); i++)
        usleep(200);
    usleep(1000);
    kill(parent, sig);
    usleep(3000);
    for (int i = 0; i < 5000 && !sleeps(parent); i++)
        usleep(200);
    write(p[1], "x", 1);
    _exit(0);
}

static void do_interrupt(void)
{
    static const struct word calls[] = {{0, "read"}, {0, "read"}, {1, "poll"}, {2, "ppoll"}, {3, "nanosleep"}, {4, "clock_nanosleep"}, {5, "select"}, {6, "pselect"}, {7, "epoll_wait"}, {8, "futex"}, {9, "recv"}, {10, "flock"}, {11, "sigtimedwait"},
        {12, "sigsuspend"}, {13, "waitpid"}, {14, "recv with a time"}, {15, "connect"}, {16, "epoll_pwait"}, {17, "msgrcv"}, {18, "abs nanosleep"}};
    int p[2], s[2], sig;
    int call = ONE(calls);
    do
        sig = ONE(signals);
    while (sig == SIGCONT || sig == SIGCHLD);
    arg("%s", "");
    uint64_t mask = blocked();
    if (one_in(2))
        mask = arg_set();
    uint64_t own = blocked() | 1ULL << (SIGCHLD - 1), before = blocked(); /* the sender's end is not to be seen */
    mask |= 1ULL << (SIGCHLD - 1);
    RAW(rt_sigprocmask, SIG_SETMASK, &own, NULL, 8);
    pipe(p);
    socketpair(AF_UNIX, SOCK_STREAM, 0, s);
    fcntl(p[0], F_SETFL, 0);
    pid_t pid = sender(sig, call == 9 || call == 14 ? s : p);
    char c;
    struct pollfd pf = {p[0], POLLIN, 0};
    struct timespec t = {0, 300 * MS}, rem = {}, t5 = {0, 300 * MS};
    struct timeval tv = {0, 300000};
    fd_set fds;
    FD_ZERO(&fds);
    FD_SET(p[0], &fds);
    int word = 0, e = epoll_create1(0), status;
    struct epoll_event ev = {.events = EPOLLIN};
    epoll_ctl(e, EPOLL_CTL_ADD, p[0], &ev);
    struct { uint64_t *mask; size_t size; } set6 = {&mask, 8};
    siginfo_t info = {};
    uint64_t wanted = mask & ~(1ULL << (SIGCHLD - 1));
    switch (call) {
    case 0: ret(read(p[0], &c, 1)); break;
    case 1: ret(poll(&pf, 1, 1000)); break;
    case 2: ret(RAW(ppoll, &pf, 1, &t5, &mask, 8)); break;
    case 3: ret(nanosleep(&t, &rem)); say(" %s", rem.tv_sec | rem.tv_nsec ? "rest" : "no rest"); break;
    case 4: errno = clock_nanosleep(CLOCK_MONOTONIC, 0, &t, &rem); ret(errno ? -1 : 0); say(" %s", rem.tv_sec | rem.tv_nsec ? "rest" : "no rest"); break;
    case 5: ret(select(p[0] + 1, &fds, NULL, NULL, &tv)); say(" %d %s", FD_ISSET(p[0], &fds), tv.tv_usec ? "rest" : "no rest"); break;
    case 6: ret(RAW(pselect6, p[0] + 1, &fds, NULL, NULL, &t5, &set6)); say(" %d", FD_ISSET(p[0], &fds)); break;
    case 7: ret(epoll_wait(e, &ev, 1, 1000)); break;
    case 8: ret(RAW(futex, &word, FUTEX_WAIT, 0, one_in(2) ? &t : &t5)); break;
    case 9: ret(recv(s[0], &c, 1, 0)); break;
    case 10: ret(0); break;
    case 11: ret(RAW(rt_sigtimedwait, &wanted, &info, &t, 8)); break;
    case 12: mask &= ~(1ULL << (sig - 1)); { struct action a; RAW(rt_sigaction, sig, NULL, &a, 8); if (a.handler == SIG_IGN || a.handler == SIG_DFL) ret(0); else ret(RAW(rt_sigsuspend, &mask, 8)); } break;
    case 13: ret(waitpid(pid, &status, 0) == pid ? 0 : -1); break;
    case 14: { struct timeval w = {0, 300000}; setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &w, sizeof w); ret(recv(s[0], &c, 1, 0)); break; }
    case 15: ret(0); break;
    case 16: ret(RAW(epoll_pwait, e, &ev, 1, 300, &mask, 8)); break;
    case 17: { struct { long type; char text[8]; } m; int q = msgget(IPC_PRIVATE, 0600); alarm(0); m.type = 1; if (one_in(2)) msgsnd(q, &m, 1, 0); ret(msgrcv(q, &m, 8, 0, one_in(2) ? 0 : IPC_NOWAIT)); msgctl(q, IPC_RMID, NULL); break; }
    default: { struct timespec at; clock_gettime(CLOCK_MONOTONIC, &at); at.tv_nsec += 300 * MS; if (at.tv_nsec >= 1000 * MS) { at.tv_sec++; at.tv_nsec -= 1000 * MS; } errno = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, &rem); ret(errno ? -1 : 0); break; }
    }
    while (waitpid(pid, &status, 0) == -1 && errno == EINTR)
        ;
    struct timespec zero = {};
    uint64_t chld = 1ULL << (SIGCHLD - 1);
    while (RAW(rt_sigtimedwait, &chld, NULL, &zero, 8) > 0)
        ;
    RAW(rt_sigprocmask, SIG_SETMASK, &before, NULL, 8);
    close(p[0]);
    close(p[1]);
    close(s[0]);
    close(s[1]);
    close(e);
}

/* --- timers ------------------------------------------------------------------------------------------ */

static void do_timer_create(void)
{
    unsigned k = rnd(TIMERS);
    struct sigevent e = {.sigev_notify = NUM(SIGEV_SIGNAL, SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD_ID, 9), .sigev_value.sival_int = step_number()};
    e.sigev_signo = arg_signal();
    if (e.sigev_signo == SIGKILL || e.sigev_signo == SIGSTOP || e.sigev_signo == SIGCONT)
        e.sigev_signo = SIGUSR1;
    e._sigev_un._tid = one_in(8) ? 1 : me;
    arg("t%u", k);
    if (timer_made[k])
        RAW(timer_delete, timers[k]);
    int id = -1;
    long r = ret(RAW(timer_create, NUM(CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME, 99, CLOCK_MONOTONIC), &e, &id) /* without, the value is a number that two systems count differently */);
    timer_made[k] = r == 0;
    timers[k] = (timer_t)(long)id;
}

static unsigned arg_timer(void)
{
    unsigned k = rnd(TIMERS);
    for (unsigned i = 0; i < TIMERS && !timer_made[k]; i++)
        k = (k + 1) % TIMERS;
    arg("t%u", k);
    return k;
}

static void say_timer(const struct itimerspec *t)
{
    say(" %s/%ld", t->it_value.tv_sec | t->it_value.tv_nsec ? "set" : "off", t->it_interval.tv_sec * 1000 + t->it_interval.tv_nsec / MS);
}

/* One-shot and soon, or long from now; and we are there when it comes. */
static void do_timer_settime(void)
{
    unsigned k = arg_timer();
    struct itimerspec t = {{NUM(0, 0, 0, 1000, -1), NUM(0, 0, 1000000000)}, {NUM(0, 0, 0, 1000, -1), NUM(MS, MS, MS, 0, 1, -1, 1000000000)}}, old = {};
    if (t.it_interval.tv_sec == 1000 && one_in(2))
        t.it_value.tv_sec = 1000;
    int flags = NUM(0, 0, 0, TIMER_ABSTIME, 2);
    if (ret(RAW(timer_settime, (int)(long)timers[k], flags, &t, &old)) == 0)
        say_timer(&old);
    struct timespec nap = {0, 10 * MS};
    for (int i = 0; i < 8 && nanosleep(&nap, &nap) == -1 && errno == EINTR; i++)
        ;
}

static void do_timer_get(void)
{
    unsigned k = arg_timer();
    struct itimerspec t = {};
    switch (rnd(3)) {
    case 0: ret(RAW(timer_gettime, (int)(long)timers[k], &t)); say_timer(&t); break;
    case 1: arg("overrun"); ret(RAW(timer_getoverrun, (int)(long)timers[k])); break;
    default: arg("delete"); ret(RAW(timer_delete, (int)(long)timers[k])); timer_made[k] = false; break;
    }
}

static void do_itimer(void)
{
    int which = NUM(ITIMER_REAL, ITIMER_REAL, ITIMER_PROF, ITIMER_VIRTUAL, 3);
    struct itimerval t = {{NUM(0, 0, 1000), 0}, {NUM(0, 0, 1000, -1), NUM(0, 0, 1000000, -1)}}, old = {};
    if (one_in(3)) {
        arg("get");
        ret(getitimer(which, &old));
    } else if (one_in(3)) {
        arg("alarm");
        ret(alarm(NUM(0, 1000)) > 0);
        return;
    } else
        ret(setitimer(which, &t, &old));
    say(" %s %ld", old.it_value.tv_sec | old.it_value.tv_usec ? "set" : "off", (long)old.it_interval.tv_sec);
}

static void do_timerfd(void)
{
    static const struct word flags[] = {W(TFD_CLOEXEC), {1 << 5, "1<<5"}};
    struct itimerspec t = {{NUM(0, 0, 1000, -1), 0}, {NUM(0, 0, 0, 1000, -1), NUM(MS, MS, 0, -1)}}, old = {};
    if (one_in(3)) {
        ret_slot(timerfd_create(NUM(CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, 9999), TFD_NONBLOCK | SOME(flags, 8)));
        return;
    }
    int fd = slots[arg_slot()];
    if (one_in(4)) {
        arg("get");
        ret(timerfd_gettime(fd, &old));
    } else
        ret(timerfd_settime(fd, NUM(0, 0, TFD_TIMER_ABSTIME, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, 4), &t, &old));
    say_timer(&old);
}

static void do_nap(void)
{
    struct timespec t = {NUM(0, 0, -1), NUM(0, 1, MS, -1, 1000000000)}, rem = {};
    errno = clock_nanosleep(NUM(CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_PROCESS_CPUTIME_ID + 1, 99, CLOCK_MONOTONIC), one_in(4) ? TIMER_ABSTIME : 0, &t, &rem);
    ret(errno != 0 ? -1 : 0);
}

/* --- children and faults ----------------------------------------------------------------------------- */

static bool no_zombies(void)
{
    struct action a;
    RAW(rt_sigaction, SIGCHLD, NULL, &a, 8);
    return a.handler == SIG_IGN || (a.flags & SA_NOCLDWAIT) != 0;
}

static void do_child(void)
{
    unsigned how = rnd(4);
    int status = 0;
    arg(how == 0 ? "exit" : how == 1 ? "killed" : how == 2 ? "stopped" : "continued");
    pid_t pid = child = fork();
    if (pid == 0) {
        if (how == 0)
            _exit(3);
        for (;;)
            pause();
    }
    siginfo_t i = {};
    bool gone = no_zombies();
    if (how == 0 && gone)
        ret(waitpid(pid, &status, 0));
    else if (how == 0)
        while (waitid(P_PID, pid, &i, WEXITED | WNOWAIT) == -1 && errno == EINTR)
            ;
    else if (how == 1)
        kill(pid, SIGKILL);
    else {
        kill(pid, SIGSTOP);
        while (waitid(P_PID, pid, &i, WSTOPPED | WNOWAIT) == -1 && errno == EINTR)
            ;
        if (how == 3) {
            kill(pid, SIGCONT);
            while (waitid(P_PID, pid, &i, WCONTINUED | WNOWAIT) == -1 && errno == EINTR)
                ;
            for (int k = 0; k < 5000 && !sleeps(pid); k++) /* it tells of that itself */
                usleep(200);
        }
        kill(pid, SIGKILL);
    }
    long r;
    while ((r = waitpid(pid, &status, 0)) == -1 && errno == EINTR)
        ;
    ret(r == pid ? status : -1);
}

static void do_limit(void)
{
    struct rlimit r = {NUM(0, 1000), 1000}; /* others of the user have some, too */
    ret(setrlimit(RLIMIT_SIGPENDING, &r));
}

static void do_stack_raise(void) /* nested: a handler that raises */
{
    int sig = ONE(signals);
    if (sig == SIGCONT)
        sig = SIGUSR2;
    ret(raise(sig));
}

/* --- the mode ------------------------------------------------------------------------------------------ */

static void signals_start(void)
{
    struct sigaction probe;
    struct action a = {};
    me = getpid();
    setrlimit(RLIMIT_SIGPENDING, &(struct rlimit){1000, 1000});
    probe.sa_handler = handler;
    probe.sa_flags = 0;
    sigemptyset(&probe.sa_mask);
    sigaction(SIGUSR1, &probe, NULL);
    RAW(rt_sigaction, SIGUSR1, NULL, &a, 8);
    restorer = a.restorer;
    for (unsigned i = 0; i < COUNT(signals); i++) {
        a = (struct action){handler_info, 0x04000000 | SA_SIGINFO, restorer, 0};
        RAW(rt_sigaction, signals[i].value, &a, NULL, 8);
    }
    RAW(rt_sigaction, SIGALRM, &a, NULL, 8);
}

static void signals_after(void)
{
    for (unsigned i = 0; i < noted && i < COUNT(notes); i++) {
        const struct note *n = &notes[i];
        say(" {%d", n->sig);
        if (n->code != 77)
            say(" code %d error %d %s%d %d", n->code, n->error, n->mine ? "mine " : "", n->status, n->value);
        say(" mask %d%d%d%s}", n->masked[0], n->masked[1], n->masked[2], n->on_stack ? " on its stack" : "");
    }
    noted = 0;
}

static void signals_watch(void)
{
    char key[8];
    uint64_t p = 0;
    RAW(rt_sigpending, &p, 8);
    state("blocked", "%lx", blocked());
    state("pending", "%lx", p);
    for (unsigned i = 0; i < COUNT(signals); i++) {
        struct action a;
        RAW(rt_sigaction, signals[i].value, NULL, &a, 8);
        snprintf(key, sizeof key, "s%ld", signals[i].value);
        state(key, "%s %lx %lx", a.handler == SIG_DFL ? "default" : a.handler == SIG_IGN ? "ignored" : "handler", a.flags, a.mask);
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        struct pollfd f = {slots[i], POLLIN, 0};
        struct itimerspec t;
        snprintf(key, sizeof key, "f%u", i);
        if (slots[i] == -1)
            state(key, "-");
        else if (RAW(timerfd_gettime, slots[i], &t) == 0)
            state(key, "timer");
        else
            state(key, "%d", poll(&f, 1, 0));
    }
}

static const struct act acts[] = {
    {"sigaction", do_sigaction, 40}, {"sigprocmask", do_mask, 30}, {"kill", do_kill, 50}, {"burst", do_burst, 20}, {"sigtimedwait", do_wait, 24}, {"signalfd", do_signalfd, 10}, {"read", do_read, 14}, {"altstack", do_altstack, 12},
    {"interrupt", do_interrupt, 30}, {"timer_create", do_timer_create, 12}, {"timer_settime", do_timer_settime, 16}, {"timer_get", do_timer_get, 8}, {"itimer", do_itimer, 10}, {"timerfd", do_timerfd, 14}, {"nap", do_nap, 6}, {"child", do_child, 12},
    {"limit", do_limit, 2}, {"raise", do_stack_raise, 6}, {"close", do_close, 4}, {},
};
const struct mode mode_signals = {"signals", signals_start, acts, signals_after, signals_watch};
