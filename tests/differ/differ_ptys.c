/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two pseudo terminals: their modes, what is typed at the masters and written at the terminals, sessions and foreground groups, and hang-ups.
 * What is on its way between the two ends arrives before anything is watched. No queue gets near its end, which is a matter of sizes.
 */
#include "differ.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <time.h>
#include <asm/termios.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>

int ioctl(int fd, unsigned long request, ...); /* <sys/ioctl.h> has the types of <asm/termios.h>, too */

#define PAIRS 2
#define FULL 1500

static pid_t me, child;
static int tells[2]; /* the child's signals */
static int ping[2], pong[2];
static volatile int got[16];
static volatile unsigned ngot;
static unsigned char pair_of[1024], is_master[1024]; /* by descriptor; pair_of: 0 is none */
static unsigned sent[PAIRS + 1];

static const int caught[] = {SIGHUP, SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU, SIGWINCH, SIGCONT};

static void note(int sig)
{
    if (ngot < COUNT(got))
        got[ngot++] = sig;
}

static void tell(int sig)
{
    unsigned char c = sig;
    if (write(tells[1], &c, 1) == -1)
        _exit(1);
}

static void nothing(int sig) {}

/* The work that carries bytes from end to end is another thread's: until nothing has changed for a while. */
static void settle(void)
{
    uint32_t was = 0, now;
    for (int same = 0; same < 3; same = now == was ? same + 1 : 0, was = now) {
        struct pollfd p[SLOTS];
        int n[SLOTS] = {0};
        nanosleep(&(struct timespec){0, 1000000}, NULL);
        for (unsigned i = 0; i < SLOTS; i++) {
            p[i] = (struct pollfd){slots[i], POLLIN, 0};
            ioctl(slots[i], FIONREAD, &n[i]);
        }
        int told = 0;
        ioctl(tells[0], FIONREAD, &told);
        poll(p, SLOTS, 0);
        now = hash(p, sizeof p) ^ hash(n, sizeof n) ^ ngot << 8 ^ told;
    }
}

static bool master(int fd) { return is_master[fd]; }
static bool terminal(int fd) { return pair_of[fd] != 0 && !is_master[fd]; }
static int arg_any(void) { return slots[arg_slot()]; }
static int arg_master(void) { return slots[arg_slot_of(master)]; }
static int arg_terminal(void) { return slots[arg_slot_of(one_in(8) ? NULL : terminal)]; }

static int known(long fd, unsigned pair, bool of_master)
{
    if (fd >= 0 && fd < 1024) {
        pair_of[fd] = pair;
        is_master[fd] = of_master;
    }
    return ret_slot(fd);
}

static void say_bytes(const unsigned char *p, long n)
{
    say(" \"");
    for (long i = 0; i < n; i++)
        say(p[i] >= ' ' && p[i] < 127 && p[i] != '"' && p[i] != '\\' ? "%c" : "\\%o", p[i]);
    say("\"");
}

static const int open_flags[] = {O_RDWR, O_RDWR, O_RDWR, O_RDONLY, O_WRONLY, O_RDWR | O_NOCTTY};

static void do_open(void)
{
    unsigned have = 0, n;
    for (unsigned i = 0; i < SLOTS; i++)
        if (slots[i] != -1 && is_master[slots[i]])
            have |= 1u << pair_of[slots[i]];
    if (have == 6 || (have != 0 && one_in(3))) {
        int fd = arg_master(), k = rnd(COUNT(open_flags));
        unsigned pair = fd >= 0 ? pair_of[fd] : 0;
        arg("%d", k);
        if (one_in(2)) {
            char name[32];
            arg("by name");
            long r = ioctl(fd, TIOCGPTN, &n);
            if (r == 0) {
                snprintf(name, sizeof name, "/dev/pts/%u", n);
                r = open(name, open_flags[k] | O_NONBLOCK);
            }
            known(r, pair, false);
        } else
            known(ioctl(fd, TIOCGPTPEER, open_flags[k] | O_NONBLOCK), pair, false);
        return;
    }
    int fd = open("/dev/ptmx", O_RDWR | O_NONBLOCK | (one_in(2) ? O_NOCTTY : 0));
    int unlock = one_in(12);
    arg(unlock ? "locked" : "unlocked");
    ioctl(fd, TIOCSPTLCK, &unlock);
    unsigned pair = (have & 2) == 0 ? 1 : 2;
    sent[pair] = 0;
    known(fd, pair, true);
}

static void do_lock(void) /* once locked and open, a try to open it makes an error of all on Linux */
{
    int fd = arg_master(), v = 0, old = -1;
    ret(ioctl(fd, TIOCSPTLCK, &v));
    ioctl(fd, TIOCGPTLCK, &old);
    say(" %d", old);
}

/* --- bytes --------------------------------------------------------------------------------------------- */

static const char *const typed[] = {"a", "b", "Zq", "foo bar", "x_1", " ", "\n", "\n", "\n", "\r", "\t", "\177", "\177", "\b", "\25", "\27", "\22", "\26", "\4", "\4", "\21", "\17", "\7", "\\", "\303\251", "\377", "\301", "\33[A", "\1", "", "#", "@", "\226\1"};

/* What sends a signal comes alone: Linux drops the echo of what it took together with that. Nothing stops output: Linux keeps the echo until it goes on. */
static size_t arg_text(unsigned char *p, unsigned most)
{
    size_t n = 0;
    if (one_in(12)) {
        *p = "\3\34\32"[rnd(3)];
        arg("\\%o", *p);
        return 1;
    }
    for (unsigned k = 1 + rnd(most); k != 0; k--) {
        const char *s = typed[rnd(COUNT(typed))];
        size_t l = *s != 0 ? strlen(s) : 1;
        memcpy(p + n, s, l);
        n += l;
    }
    arg("%s", "");
    say_bytes(p, n);
    return n;
}

static void do_write(int fd)
{
    unsigned char text[256];
    size_t n = arg_text(text, one_in(2) ? 2 : 8);
    unsigned pair = fd >= 0 ? pair_of[fd] : 0;
    if (sent[pair] > FULL) {
        unsigned char c[4096];
        say(" emptied");
        for (unsigned i = 0; i < SLOTS; i++)
            if (slots[i] != -1 && pair_of[slots[i]] == pair) {
                ioctl(slots[i], TCFLSH, TCIFLUSH);
                while (is_master[slots[i]] && read(slots[i], c, sizeof c) > 0)
                    ;
            }
        sent[pair] = 0;
    }
    sent[pair] += 4 * n;
    ret(write(fd, text, n));
    settle();
}

static void do_type(void) { do_write(arg_master()); }
static void do_print(void) { do_write(arg_terminal()); }

static void do_read(void)
{
    unsigned char buf[512];
    int fd = one_in(2) ? arg_terminal() : arg_master();
    long size = NUM(1, 2, 3, 7, 64, 512, 512, 512, 0);
    bool waits = one_in(8);
    struct itimerval t = {{0, 300000}, {0, 300000}}, none = {};
    if (waits) {
        arg("wait");
        fcntl(fd, F_SETFL, 0);
        setitimer(ITIMER_REAL, &t, NULL);
    }
    long n = ret(read(fd, buf, size));
    if (waits) {
        setitimer(ITIMER_REAL, &none, NULL);
        fcntl(fd, F_SETFL, O_NONBLOCK);
    }
    if (n > 0)
        say_bytes(buf, n);
    settle();
}

static void do_sti(void)
{
    int fd = one_in(4) ? arg_master() : arg_terminal();
    const char *s = typed[rnd(COUNT(typed))];
    arg("%s", "");
    say_bytes((const unsigned char *)s, 1);
    ret(ioctl(fd, TIOCSTI, s));
    settle();
}

/* --- modes --------------------------------------------------------------------------------------------- */

static const struct word iflags[] = {W(IGNBRK), W(BRKINT), W(PARMRK), W(INPCK), W(ISTRIP), W(INLCR), W(IGNCR), W(ICRNL), W(IUCLC), W(IXON), W(IXANY), W(IMAXBEL), W(IUTF8)};
static const struct word oflags[] = {W(OPOST), W(OLCUC), W(ONLCR), W(OCRNL), W(ONOCR), W(ONLRET), W(TAB3), W(OFILL)};
static const struct word lflags[] = {W(ISIG), W(ICANON), W(ICANON), W(ECHO), W(ECHO), W(ECHOE), W(ECHOK), W(ECHONL), W(ECHOCTL), W(ECHOPRT), W(ECHOKE), W(NOFLSH), W(TOSTOP), W(IEXTEN), W(EXTPROC), W(XCASE)};
static const struct word cflags[] = {W(CREAD), W(CSTOPB), W(PARENB), W(HUPCL), W(CLOCAL), W(CS6), W(B9600), W(CRTSCTS)};
static const struct word chars[] = {W(VERASE), W(VKILL), W(VEOF), W(VTIME), W(VMIN), W(VMIN), W(VEOL), W(VREPRINT), W(VDISCARD), W(VWERASE), W(VLNEXT), W(VEOL2)};

static void do_set(void)
{
    static const struct word hows[] = {W(TCSETS), W(TCSETS), W(TCSETSW), W(TCSETSF), W(TCSETS2), W(TCSETSF2), W(TCSETA), W(TCSETAF)};
    int fd = one_in(5) ? arg_master() : arg_terminal();
    int how = ONE(hows);
    struct termios2 t;
    struct termio o;
    if (ioctl(fd, TCGETS2, &t) != 0) {
        ret(-1);
        return;
    }
    switch (rnd(5)) {
    case 0:
        arg("sane");
        t.c_iflag = ICRNL | IXON;
        t.c_oflag = OPOST | ONLCR;
        t.c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN;
        memcpy(t.c_cc, "\3\34\177\25\4\0\1\0\21\23\32\0\22\17\27\26\0\0\0", NCCS);
        break;
    case 1:
        arg("raw");
        t.c_iflag = t.c_oflag = t.c_lflag = 0;
        break;
    case 2: {
        unsigned which = ONE(chars);
        if (which == VTIME)
            t.c_cc[which] = NUM(0, 0, 1);
        else if (which == VMIN)
            t.c_cc[which] = NUM(0, 1, 1, 2, 5);
        else
            t.c_cc[which] = NUM('b', '#', 0, 1, 0377, '\n', '\r', 4, 0303);
        break;
    }
    default:
        if (one_in(2))
            t.c_lflag ^= SOME(lflags, 8);
        if (one_in(2))
            t.c_iflag ^= SOME(iflags, 6);
        if (one_in(3))
            t.c_oflag ^= SOME(oflags, 5);
        if (one_in(4))
            t.c_cflag ^= SOME(cflags, 5);
        break;
    }
    o = (struct termio){t.c_iflag, t.c_oflag, t.c_cflag, t.c_lflag, 0, {}};
    memcpy(o.c_cc, t.c_cc, NCC);
    ret(ioctl(fd, how, how == TCSETA || how == TCSETAF ? (void *)&o : &t));
    settle();
}

static void do_locked(void)
{
    int fd = arg_any();
    struct termios t = {};
    if (one_in(3)) {
        arg("get");
        ret(ioctl(fd, TIOCGLCKTRMIOS, &t));
        say(" %x %x %x", t.c_iflag, t.c_oflag, t.c_lflag);
        return;
    }
    if (one_in(2)) {
        t.c_lflag = SOME(lflags, 8);
        t.c_iflag = SOME(iflags, 8);
    }
    ret(ioctl(fd, TIOCSLCKTRMIOS, &t));
}

/* --- queues -------------------------------------------------------------------------------------------- */

static void do_queues(void)
{
    static const struct word words[] = {W(TCFLSH), W(TCFLSH), W(TCXONC), W(TCXONC), W(TCSBRK), W(TCSBRKP)};
    int what = ONE(words), fd = what != TCXONC && one_in(3) ? arg_master() : slots[arg_slot_of(terminal)];
    if (what == TCXONC && fd >= 0 && is_master[fd])
        fd = -1; /* it has a flow of its own on Linux */
    ret(ioctl(fd, what, what == TCXONC ? NUM(1, 2, 3, 4) : NUM(0, 1, 2, 4)));
    settle();
}

static void do_packet(void)
{
    int fd = one_in(6) ? arg_any() : arg_master(), v = NUM(0, 1, 1, 7);
    ret(ioctl(fd, TIOCPKT, &v));
}

static void do_flags(void)
{
    static const struct word words[] = {W(TIOCEXCL), W(TIOCNXCL), W(TIOCNXCL)};
    int fd = arg_any();
    ret(ioctl(fd, ONE(words), 0));
}

static void do_odd(void)
{
    static const struct word words[] = {W(TIOCGETD), W(TIOCSETD), W(TIOCGSID), W(TIOCOUTQ), W(TIOCGPTN), W(TIOCGPKT), W(TIOCMGET), W(TIOCCONS), W(TIOCSBRK), W(TIOCCBRK), W(TIOCGICOUNT), W(TCGETA), W(TCGETX), W(TIOCGDEV), W(FIOASYNC), W(FIOCLEX), W(0x5499)};
    int fd = arg_any(), what = ONE(words), v[64] = {0};
    if (what == TIOCSETD)
        v[0] = NUM(0, 1, 99);
    if (what == TIOCCONS)
        what = (int)TIOCGPKT;
    ret(ioctl(fd, what, v));
    if (what == TIOCGSID)
        say(" %s", v[0] == me ? "me" : "?");
    else if (what != (int)TIOCGPTN && what != (int)TIOCGDEV)
        say(" %d", v[0]);
    settle();
}

static void do_window(void)
{
    int fd = arg_any();
    struct {
        unsigned short v[4];
    } w = {{NUM(0, 24, 25), NUM(0, 80), NUM(0, 0, 1), 0}};
    ret(ioctl(fd, TIOCSWINSZ, &w));
    settle();
}

static void do_signal(void)
{
    int fd = one_in(6) ? arg_any() : arg_master();
    ret(ioctl(fd, TIOCSIG, NUM(SIGINT, SIGQUIT, SIGTSTP, SIGHUP, SIGWINCH, 0, 99)));
    settle();
}

/* --- sessions ------------------------------------------------------------------------------------------ */

static void do_session(void)
{
    static const struct word words[] = {W(TIOCSCTTY), W(TIOCSCTTY), W(TIOCNOTTY), W(TIOCSPGRP), W(TIOCSPGRP), W(TIOCSPGRP), W(TIOCGPGRP)};
    int fd = one_in(4) ? arg_any() : arg_terminal(), what = ONE(words);
    if (what == TIOCSCTTY)
        ret(ioctl(fd, what, NUM(0, 1)));
    else if (what == TIOCNOTTY)
        ret(ioctl(fd, what));
    else {
        int who = rnd(8), pgrp = who == 0 ? 1 : who == 1 ? -1 : who == 2 ? 4000000 : who < 6 ? me : child;
        if (what == TIOCSPGRP)
            arg(who == 0 ? "1" : who == 1 ? "-1" : who == 2 ? "4000000" : who < 6 ? "me" : "child");
        ret(ioctl(fd, what, &pgrp));
        if (what == TIOCGPGRP)
            say(" %s", pgrp == me ? "me" : pgrp == child ? "child" : pgrp == 0 ? "0" : "?");
    }
    settle();
}

static void do_action(void)
{
    int sig = caught[rnd(COUNT(caught))];
    struct sigaction a = {};
    if (one_in(3)) {
        sig = one_in(2) ? SIGTTIN : SIGTTOU;
        a.sa_handler = SIG_IGN;
    } else
        a.sa_handler = note;
    arg("%d %s", sig, a.sa_handler == SIG_IGN ? "ignore" : "note");
    ret(sigaction(sig, &a, NULL));
}

static void do_tty(void) /* the session's */
{
    int fd = open("/dev/tty", O_RDWR | O_NONBLOCK);
    if (ret_ok(fd) == -1)
        return;
    unsigned char c;
    say(" %ld", (long)read(fd, &c, 0));
    close(fd);
}

/* --- the mode ------------------------------------------------------------------------------------------ */

static void ptys_start(void)
{
    struct sigaction a = {};
    me = getpid();
    if (pipe2(tells, O_NONBLOCK) != 0 || pipe(ping) != 0 || pipe(pong) != 0)
        _exit(3);
    for (int i = 0; i < 2; i++) {
        tells[i] = hidden(tells[i]);
        ping[i] = hidden(ping[i]);
        pong[i] = hidden(pong[i]);
    }
    for (unsigned i = 0; i < COUNT(caught); i++) {
        a.sa_handler = tell;
        sigaction(caught[i], &a, NULL);
    }
    child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (char c; getppid() == me;)
            if (read(ping[0], &c, 1) == 1)
                (void)!write(pong[1], &c, 1);
        _exit(0);
    }
    setpgid(child, child);
    for (unsigned i = 0; i < COUNT(caught); i++) {
        a.sa_handler = note;
        sigaction(caught[i], &a, NULL);
    }
    for (int k = 0, no = 0; k < PAIRS; k++) {
        int fd = slots[3 * k] = open("/dev/ptmx", O_RDWR | O_NONBLOCK | O_NOCTTY);
        pair_of[fd] = k + 1;
        is_master[fd] = true;
        ioctl(fd, TIOCSPTLCK, &no);
        fd = slots[3 * k + 1] = ioctl(fd, TIOCGPTPEER, O_RDWR | O_NONBLOCK | O_NOCTTY);
        pair_of[fd] = k + 1;
    }
    a.sa_handler = nothing;
    sigaction(SIGALRM, &a, NULL);
}

static void by_number(unsigned char *p, long n)
{
    for (long i = 0; i < n; i++)
        for (long j = i + 1; j < n; j++)
            if (p[j] < p[i]) {
                unsigned char c = p[i];
                p[i] = p[j];
                p[j] = c;
            }
}

static void ptys_after(void)
{
    unsigned char s[64];
    unsigned n = ngot;
    for (unsigned i = 0; i < n; i++)
        s[i] = got[i];
    by_number(s, n);
    for (unsigned i = 0; i < n; i++)
        say(" {%d}", s[i]);
    ngot = 0;
    char c = 0; /* what answers has seen to its signals */
    if (write(ping[1], &c, 1) == 1)
        while (read(pong[0], &c, 1) == -1 && errno == EINTR)
            ;
    long k = read(tells[0], s, sizeof s);
    by_number(s, k);
    for (long i = 0; i < k; i++)
        say(" {child %d}", s[i]);
}

static void ptys_watch(void)
{
    char key[16];
    for (unsigned i = 0; i < SLOTS; i++) {
        int fd = slots[i], n = -1, packet = -1, pgrp = -1, excl = -1, out = -1;
        struct termios2 t = {};
        unsigned short w[4] = {};
        struct pollfd p = {fd, POLLIN | POLLOUT | POLLPRI | POLLRDNORM | POLLRDHUP, 0};
        snprintf(key, sizeof key, "f%u", i);
        if (fd == -1) {
            state(key, "-");
            continue;
        }
        poll(&p, 1, 0);
        ioctl(fd, FIONREAD, &n);
        ioctl(fd, TIOCOUTQ, &out);
        ioctl(fd, TIOCGPKT, &packet);
        ioctl(fd, TIOCGPGRP, &pgrp);
        ioctl(fd, TIOCGEXCL, &excl);
        ioctl(fd, TIOCGWINSZ, w);
        state(key, "%s%u poll %x in %d out %d packet %d excl %d pgrp %s win %ux%u", is_master[fd] ? "m" : "t", pair_of[fd], p.revents, n, out, packet, excl, pgrp == me ? "me" : pgrp == child ? "child" : pgrp == 0 ? "0" : pgrp == -1 ? "-" : "?", w[0], w[1]);
        snprintf(key, sizeof key, "t%u", i);
        if (ioctl(fd, TCGETS2, &t) == 0)
            state(key, "i %x o %x c %x l %x %u/%u cc %08x", t.c_iflag, t.c_oflag, t.c_cflag, t.c_lflag, t.c_ispeed, t.c_ospeed, hash(t.c_cc, 17));
        else
            state(key, "-");
    }
}

static void do_dup_known(void)
{
    int fd = arg_any();
    known(dup(fd), fd >= 0 ? pair_of[fd] : 0, fd >= 0 && is_master[fd]);
}

static void do_close_known(void)
{
    do_close();
    settle();
}

static const struct act acts[] = {
    {"open", do_open, 26}, {"lock", do_lock, 2}, {"type", do_type, 90}, {"print", do_print, 40}, {"read", do_read, 80}, {"sti", do_sti, 8}, {"set", do_set, 60}, {"locked", do_locked, 3}, {"queues", do_queues, 14},
    {"packet", do_packet, 6}, {"flags", do_flags, 4}, {"odd", do_odd, 10}, {"window", do_window, 8}, {"sig", do_signal, 5}, {"session", do_session, 20}, {"action", do_action, 6}, {"tty", do_tty, 3}, {"dup", do_dup_known, 3}, {"close", do_close_known, 9}, {},
};
const struct mode mode_ptys = {"ptys", ptys_start, acts, ptys_after, ptys_watch};
