/* SPDX-License-Identifier: Apache-2.0 */
/* Controlling terminals and job control: a part of pty.c. */
#include "pty.h"

/* A child that is the leader of a session of its own; what it shows comes before wait() ends. */
static pid_t session(void (*run)(void))
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        setsid();
        run();
        fflush(stdout);
        _exit(0);
    }
    return pid;
}

static void finish(pid_t pid)
{
    int status;
    waitpid(pid, &status, 0);
    printf("status %x\n", status);
    fflush(stdout);
}

static void owner(void)
{
    int v = -1, t;
    pid_t pid;
    SHOW(open("/dev/tty", O_RDWR));
    SHOW(ioctl(s, TIOCGPGRP, &v));
    SHOW(ioctl(s, TIOCGSID, &v));
    SHOW(ioctl(m, TIOCGSID, &v));
    SHOW(ioctl(m, TIOCGPGRP, &v));
    SHOW(v);
    SHOW(ioctl(s, TIOCNOTTY));
    SHOW(ioctl(s, TIOCSCTTY, 0));
    SHOW(ioctl(s, TIOCSCTTY, 0));
    SHOW_TRUE(tcgetpgrp(s) == getpid());
    SHOW_TRUE(tcgetsid(s) == getpid());
    SHOW_TRUE(tcgetpgrp(m) == getpid());
    SHOW_TRUE(tcgetsid(m) == getpid());
    SHOW_TRUE((t = open("/dev/tty", O_RDWR)) >= 0);
    SHOW(write(t, "via tty\n", 8));
    shown();
    SHOW_TRUE(tcgetpgrp(t) == getpid());
    v = 0x7ffffff0;
    SHOW(ioctl(s, TIOCSPGRP, &v));
    v = -5;
    SHOW(ioctl(s, TIOCSPGRP, &v));
    v = getppid();
    SHOW(ioctl(s, TIOCSPGRP, &v) == -1 && (errno == EPERM || errno == ESRCH));
    int other = posix_openpt(O_RDWR | O_NOCTTY);
    unlockpt(other);
    int o = open(ptsname(other), O_RDWR);
    SHOW(tcgetpgrp(o));
    SHOW(ioctl(o, TIOCSCTTY, 0));
    pid = fork();
    if (pid == 0) { /* in the session, not its leader */
        SHOW_TRUE(tcgetpgrp(s) == getppid());
        SHOW(ioctl(s, TIOCSCTTY, 0));
        SHOW(ioctl(s, TIOCNOTTY));
        SHOW(open("/dev/tty", O_RDWR));
        SHOW(tcgetpgrp(s));
        SHOW(ioctl(s, TIOCNOTTY));
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    pid = fork();
    if (pid == 0) { /* another session's leader */
        setsid();
        SHOW(tcgetpgrp(s));
        SHOW(open("/dev/tty", O_RDWR));
        SHOW(ioctl(s, TIOCSCTTY, 0));
        SHOW_TRUE(open(ptsname(m), O_RDWR) >= 0);
        SHOW(open("/dev/tty", O_RDWR));
        SHOW(ioctl(s, TIOCNOTTY));
        SHOW_TRUE(open(ptsname(other), O_RDWR | O_NOCTTY) >= 0);
        SHOW(open("/dev/tty", O_RDWR));
        SHOW_TRUE(open(ptsname(other), O_WRONLY) >= 0);
        SHOW(open("/dev/tty", O_RDWR));
        SHOW_TRUE(open(ptsname(other), O_RDWR) >= 0);
        SHOW_TRUE(open("/dev/tty", O_RDWR) >= 0);
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    signal(SIGHUP, note);
    signal(SIGCONT, note);
    SHOW(ioctl(s, TIOCNOTTY));
    printf("HUP %d CONT %d\n", got[SIGHUP], got[SIGCONT]);
    SHOW(open("/dev/tty", O_RDWR));
    SHOW(read(t, &v, 0));
    SHOW(tcgetpgrp(t));
    SHOW(ioctl(o, TIOCSCTTY, 0));
    SHOW_TRUE(tcgetpgrp(o) == getpid());
}

static void typed_signals(void)
{
    static const int sigs[] = {SIGINT, SIGQUIT, SIGTSTP, SIGWINCH};
    struct winsize w = {10, 20, 0, 0};
    for (unsigned k = 0; k < 4; k++)
        signal(sigs[k], note);
    ioctl(s, TIOCSCTTY, 0);
    put("lost");
    put("\003");
    printf("INT %d\n", got[SIGINT]);
    shown();
    take(10);
    put("\034");
    shown();
    put("\032");
    printf("QUIT %d TSTP %d\n", got[SIGQUIT], got[SIGTSTP]);
    shown();
    modes(ICRNL, OPOST, COOKED | NOFLSH);
    put("kept\003\n");
    shown();
    take(10);
    printf("INT %d\n", got[SIGINT]);
    modes(ICRNL, OPOST, COOKED & ~ISIG);
    put("\003\n");
    shown();
    take(10);
    printf("INT %d\n", got[SIGINT]);
    SHOW(ioctl(m, TIOCSWINSZ, &w));
    printf("WINCH %d\n", got[SIGWINCH]);
    SHOW(ioctl(m, TIOCSWINSZ, &w));
    printf("WINCH %d\n", got[SIGWINCH]);
    w.ws_xpixel = 5;
    SHOW(ioctl(s, TIOCSWINSZ, &w));
    printf("WINCH %d\n", got[SIGWINCH]);
    SHOW(ioctl(m, TIOCSIG, SIGINT));
    printf("INT %d\n", got[SIGINT]);
    SHOW(ioctl(m, TIOCSIG, SIGUSR1));
    SHOW(ioctl(s, TIOCSIG, SIGINT));
    modes(ICRNL | IXON, OPOST, COOKED);
    put("\023");
    put("\003");
    SHOW(write(s, "after\n", 6));
    shown();
    /* A read that a signal breaks, and one that it restarts. */
    modes(ICRNL, OPOST, COOKED);
    fcntl(s, F_SETFL, 0);
    struct sigaction a = {.sa_handler = note};
    sigaction(SIGINT, &a, NULL);
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGINT, SIG_IGN);
        usleep(50000);
        put("\003");
        usleep(50000);
        put("line\n");
        _exit(0);
    }
    char buf[20];
    SHOW(read(s, buf, 20));
    print_bytes("read", buf, read(s, buf, 20));
    waitpid(pid, NULL, 0);
}

static void child_status(pid_t pid)
{
    int status;
    waitpid(pid, &status, WUNTRACED);
    if (WIFSTOPPED(status))
        printf("stopped by %s\n", sigabbrev_np(WSTOPSIG(status)));
    else if (WIFSIGNALED(status))
        printf("killed by %s\n", sigabbrev_np(WTERMSIG(status)));
    else
        printf("exit %d\n", WEXITSTATUS(status));
    fflush(stdout);
}

/* A job in a group of its own, not in the foreground; it waits until it is told to begin. */
static pid_t job(void (*run)(void))
{
    int gate[2];
    char c;
    pipe(gate);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        close(gate[1]);
        read(gate[0], &c, 1);
        close(gate[0]);
        run();
        fflush(stdout);
        _exit(0);
    }
    setpgid(pid, pid);
    close(gate[0]);
    close(gate[1]);
    return pid;
}

/* One that is expected to stop, and is not needed any more then. */
static void stops(void (*run)(void))
{
    pid_t pid = job(run);
    child_status(pid);
    kill(pid, SIGKILL);
    child_status(pid);
}

static void reads(void)
{
    char buf[20];
    print_bytes("job", buf, read(s, buf, 20));
}

static void writes(void) { SHOW(write(s, "job\n", 4)); }
static void sets(void) { SHOW(tcsetattr(s, TCSANOW, &fresh)); }
static void flushes(void) { SHOW(tcflush(s, TCIFLUSH)); }
static void grabs(void) { SHOW(tcsetpgrp(s, getpgrp())); }

static void ignoring(void)
{
    signal(SIGTTIN, SIG_IGN);
    signal(SIGTTOU, SIG_IGN);
    reads();
    writes();
    sets();
}

static void job_control(void)
{
    pid_t pid;
    ioctl(s, TIOCSCTTY, 0);
    fcntl(s, F_SETFL, 0);
    signal(SIGTTOU, SIG_IGN);
    signal(SIGTTOU, SIG_DFL);
    pid = job(reads);
    child_status(pid);
    put("for the job\n");
    SHOW(tcsetpgrp(s, pid));
    kill(-pid, SIGCONT);
    child_status(pid);
    signal(SIGTTOU, SIG_IGN);
    SHOW(tcsetpgrp(s, getpgrp()));
    signal(SIGTTOU, SIG_DFL);
    pid = job(writes);
    child_status(pid);
    struct termios t = fresh;
    t.c_lflag |= TOSTOP;
    tcsetattr(s, TCSANOW, &t);
    stops(writes);
    stops(sets);
    stops(flushes);
    stops(grabs);
    pid = job(ignoring);
    child_status(pid);
    SHOW_TRUE(tcgetpgrp(s) == getpgrp());
    shown();
}

static void orphan(void)
{
    ioctl(s, TIOCSCTTY, 0);
    fcntl(s, F_SETFL, 0);
    int gate[2];
    char c;
    pipe(gate);
    pid_t pid = fork();
    if (pid == 0) {
        if (fork() == 0) {
            setpgid(0, 0);
            close(gate[0]);
            usleep(100000); /* the parent is gone: an orphaned group */
            reads();
            struct termios t = fresh;
            t.c_lflag |= TOSTOP;
            SHOW(tcsetattr(s, TCSANOW, &t));
            SHOW(write(s, "orphan\n", 7));
            SHOW(tcsetpgrp(s, getpgrp()));
            _exit(0);
        }
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    close(gate[1]);
    read(gate[0], &c, 1);
}

static int told[2];
static void tell(int sig)
{
    char c = (char)sig;
    write(told[1], &c, 1);
}

static void leader_with_job(void)
{
    close(told[0]);
    ioctl(s, TIOCSCTTY, 0);
    signal(SIGTTOU, SIG_IGN);
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGHUP, tell);
        signal(SIGCONT, tell);
        setpgid(0, 0);
        tcsetpgrp(s, getpid());
        tell(1 + 'a');
        for (int k = 0; k < 20; k++)
            usleep(20000);
        _exit(0);
    }
    usleep(100000);
}

static void leader_waits(void)
{
    close(told[0]);
    close(m);
    ioctl(s, TIOCSCTTY, 0);
    signal(SIGHUP, tell);
    signal(SIGCONT, tell);
    tell('r');
    for (int k = 0; k < 10; k++)
        usleep(20000);
    SHOW(open("/dev/tty", O_RDWR));
    SHOW(tcgetpgrp(s));
}

static void print_told(void)
{
    int count[256] = {0};
    unsigned char c;
    close(told[1]);
    while (read(told[0], &c, 1) > 0)
        count[c]++;
    printf("told: HUP %d CONT %d\n", count[SIGHUP], count[SIGCONT]);
    close(told[0]);
}

void sessions(void)
{
    section("controlling terminal");
    pair();
    finish(session(owner));
    end();
    section("signals");
    pair();
    finish(session(typed_signals));
    end();
    section("job control");
    pair();
    finish(session(job_control));
    end();
    section("an orphaned group");
    pair();
    finish(session(orphan));
    end();
    section("the leader ends");
    pair();
    pipe(told);
    finish(session(leader_with_job));
    print_told();
    SHOW(write(s, "still there\n", 12));
    shown();
    end();
    section("the master ends");
    pair();
    pipe(told);
    pid_t pid = session(leader_waits);
    char c;
    read(told[0], &c, 1);
    close(m);
    finish(pid);
    print_told();
    close(s);
}
