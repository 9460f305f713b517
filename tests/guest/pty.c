/* SPDX-License-Identifier: Apache-2.0 */
/* Pseudo terminals: pty(7), termios(4), ioctl_tty(2), controlling terminals and job control. */
#include "pty.h"

static void making(void)
{
    struct stat st, pst;
    int v = -1, m2;
    char name[64];
    section("making");
    SHOW_TRUE((m = posix_openpt(O_RDWR | O_NOCTTY)) >= 0);
    SHOW(ioctl(m, TIOCGPTN, &v));
    SHOW_TRUE(v >= 0);
    SHOW(ioctl(m, TIOCGPTLCK, &v));
    SHOW(v);
    SHOW_TRUE(strncmp(ptsname(m), "/dev/pts/", 9) == 0);
    SHOW(open(ptsname(m), O_RDWR | O_NOCTTY));
    SHOW(ioctl(m, TIOCGPTPEER, O_RDWR | O_NOCTTY));
    SHOW(grantpt(m));
    SHOW(unlockpt(m));
    SHOW(ioctl(m, TIOCGPTLCK, &v));
    SHOW(v);
    events("never opened", m);
    SHOW_TRUE((s = ioctl(m, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC)) >= 0);
    SHOW(fcntl(s, F_GETFD));
    SHOW(fcntl(s, F_GETFL) & O_ACCMODE);
    SHOW(ioctl(s, TIOCGPTPEER, O_RDWR));
    SHOW(ioctl(s, TIOCGPTN, &v));
    SHOW(isatty(m));
    SHOW(isatty(s));
    SHOW(ttyname_r(s, name, sizeof(name)));
    SHOW_TRUE(strcmp(name, ptsname(m)) == 0);
    SHOW(fstat(s, &st));
    SHOW(st.st_mode & S_IFMT);
    SHOW_TRUE(st.st_uid == getuid());
    SHOW(st.st_rdev >> 8);
    SHOW(stat(ptsname(m), &pst));
    SHOW_TRUE(st.st_ino == pst.st_ino && st.st_rdev == pst.st_rdev && st.st_dev == pst.st_dev);
    SHOW(fstat(m, &st));
    SHOW(st.st_mode & S_IFMT);
    SHOW(st.st_rdev);
    struct statfs fs;
    SHOW(statfs("/dev/pts", &fs));
    SHOW(fs.f_type);
    SHOW(fs.f_namelen);
    SHOW(open("/dev/pts/new", O_RDWR | O_CREAT, 0600));
    SHOW(mkdir("/dev/pts/dir", 0700));
    SHOW(unlink(ptsname(m)));
    SHOW(lseek(m, 0, SEEK_SET));
    SHOW(lseek(s, 0, SEEK_CUR));
    SHOW(pread(s, name, 1, 0));
    SHOW(ioctl(s, TIOCEXCL));
    SHOW(ioctl(s, TIOCGEXCL, &v));
    SHOW(v);
    SHOW(ioctl(s, TIOCNXCL));
    SHOW(ioctl(s, TIOCGETD, &v));
    SHOW(v);
    v = 77;
    SHOW(ioctl(s, TIOCSETD, &v));
    SHOW(ioctl(s, 0x1234, 0));
    SHOW(ioctl(m, 0x1234, 0));
    SHOW(ioctl(s, TIOCMGET, &v));
    strcpy(name, ptsname(m));
    SHOW_TRUE((m2 = open("/dev/ptmx", O_RDWR | O_NOCTTY)) >= 0);
    SHOW_TRUE(strcmp(ptsname(m2), name) != 0);
    close(m2);
    close(s);
    close(m);
    SHOW(stat(name, &st));
    SHOW(open(name, O_RDWR));
}

static void print_termios(int fd)
{
    struct termios t;
    SHOW(tcgetattr(fd, &t));
    printf("%o %o %o %o line %d speed %u %u:", t.c_iflag, t.c_oflag, t.c_cflag, t.c_lflag, t.c_line, cfgetispeed(&t), cfgetospeed(&t));
    for (int k = 0; k < 17; k++)
        printf(" %d", t.c_cc[k]);
    printf("\n");
}

static void termios_values(void)
{
    struct termios t;
    struct winsize w;
    section("termios");
    pair();
    print_termios(s);
    print_termios(m);
    t = fresh;
    cfsetspeed(&t, B9600);
    t.c_cflag = (t.c_cflag & ~CSIZE) | CS7 | PARENB | CSTOPB;
    t.c_cflag &= ~CREAD;
    t.c_cc[VINTR] = 1;
    SHOW(tcsetattr(s, TCSADRAIN, &t));
    print_termios(s);
    SHOW(tcsetattr(m, TCSANOW, &fresh));
    print_termios(s);
    SHOW(ioctl(s, TIOCGWINSZ, &w));
    printf("%d %d %d %d\n", w.ws_row, w.ws_col, w.ws_xpixel, w.ws_ypixel);
    w = (struct winsize){25, 81, 3, 4};
    SHOW(ioctl(m, TIOCSWINSZ, &w));
    SHOW(ioctl(s, TIOCGWINSZ, &w));
    printf("%d %d %d %d\n", w.ws_row, w.ws_col, w.ws_xpixel, w.ws_ypixel);
    SHOW(ioctl(s, TIOCGWINSZ, (void *)8));
    SHOW(ioctl(s, TCGETS, (void *)8));
    SHOW(tcdrain(s));
    SHOW(tcdrain(m));
    SHOW(tcsendbreak(s, 0));
    SHOW(tcflush(s, 7));
    SHOW(tcflow(s, 7));
    end();
}

static void old_termio(void)
{
    struct termio o = {0};
    struct termios t;
    uint8_t locked[36] = {0};
    section("termio, locked modes");
    pair();
    SHOW(ioctl(s, TCGETA, &o));
    printf("%o %o %o %o line %d:", o.c_iflag, o.c_oflag, o.c_cflag, o.c_lflag, o.c_line);
    for (int k = 0; k < 8; k++)
        printf(" %d", o.c_cc[k]);
    printf("\n");
    o.c_lflag &= (unsigned short)~ECHO;
    o.c_cc[VINTR] = 2;
    SHOW(ioctl(s, TCSETA, &o));
    print_termios(s);
    o.c_lflag |= ECHO;
    SHOW(ioctl(m, TCSETAW, &o));
    o.c_iflag |= IUCLC;
    SHOW(ioctl(s, TCSETAF, &o));
    print_termios(s);
    SHOW(ioctl(s, TCGETA, (void *)8));
    SHOW(ioctl(s, TCSETA, (void *)8));
    locked[12] = ICANON | ISIG;
    locked[17 + VINTR] = 1;
    SHOW(ioctl(s, TIOCSLCKTRMIOS, locked));
    SHOW(tcgetattr(s, &t));
    t.c_lflag &= ~(tcflag_t)(ICANON | ISIG | ECHO);
    t.c_cc[VINTR] = 9;
    t.c_cc[VQUIT] = 9;
    SHOW(tcsetattr(s, TCSANOW, &t));
    print_termios(s);
    memset(locked, 7, sizeof locked);
    SHOW(ioctl(m, TIOCGLCKTRMIOS, locked));
    printf("locked %d %d %d\n", locked[0], locked[12], locked[17 + VINTR]);
    SHOW(ioctl(s, TIOCSLCKTRMIOS, (void *)8));
    end();
}

static void lines(void)
{
    int n;
    section("lines");
    pair();
    put("hello\r");
    shown();
    SHOW(ioctl(s, FIONREAD, &n));
    SHOW(n);
    take(100);
    take(100);
    put("one\ntwo\nthr");
    shown();
    SHOW(ioctl(s, FIONREAD, &n));
    SHOW(n);
    take(100);
    take(2);
    take(100);
    take(100);
    put("\025end\004");
    SHOW(ioctl(s, FIONREAD, &n));
    SHOW(n);
    take(100);
    take(100);
    put("\004");
    events("end of file", s);
    take(100);
    take(100);
    put("abc\004");
    take(3);
    take(100);
    put("ab\004cd\n");
    take(100);
    take(100);
    put("word and\027more\n");
    take(100);
    put("a_1-+=\027\n");
    take(100);
    put("literal \026\003\026\n!\n");
    take(100);
    shown();
    put("re\022print\n");
    take(100);
    shown();
    put("tab\tx\177\177y\n");
    shown();
    take(100);
    put("\t\t\177z\001\177\n");
    shown();
    take(100);
    put("\303\251\177x\n");
    shown();
    take(100);
    modes(ICRNL | IUTF8, OPOST | ONLCR, COOKED);
    put("\303\251a\177\177x\303\n");
    shown();
    take(100);
    end();
    section("echo");
    pair();
    modes(ICRNL, OPOST | ONLCR, COOKED & ~ECHOCTL);
    put("a\001b\177\177\n");
    shown();
    take(100);
    modes(ICRNL, OPOST | ONLCR, COOKED & ~ECHOE);
    put("ab\177c\n");
    shown();
    take(100);
    modes(ICRNL, OPOST | ONLCR, COOKED & ~ECHOKE);
    put("abc\025d\n");
    shown();
    take(100);
    modes(ICRNL, OPOST | ONLCR, (COOKED & ~ECHOE) | ECHOPRT);
    put("abc\177\177d\177\025x\n");
    shown();
    take(100);
    modes(ICRNL, OPOST | ONLCR, (COOKED & ~ECHO) | ECHONL);
    put("secret\n");
    shown();
    take(100);
    modes(ICRNL, OPOST | ONLCR, COOKED & ~ECHO);
    put("secret\n");
    shown();
    take(100);
    modes(ICRNL, OPOST | ONLCR, COOKED & ~IEXTEN);
    put("\026\027\022\n");
    shown();
    take(100);
    modes(IGNCR, OPOST, COOKED);
    put("a\rb\n");
    shown();
    take(100);
    modes(INLCR, OPOST, COOKED);
    put("a\nb\004");
    shown();
    take(100);
    modes(ISTRIP, OPOST, COOKED);
    put("\341\n");
    shown();
    take(100);
    modes(IUCLC, OPOST | OLCUC, COOKED);
    put("MiX\n");
    shown();
    take(100);
    modes(PARMRK, OPOST, COOKED);
    put("\377x\n");
    take(100);
    shown();
    struct termios t = fresh;
    t.c_cc[VEOL] = '.';
    t.c_cc[VEOL2] = ':';
    t.c_cc[VERASE] = 0;
    tcsetattr(s, TCSANOW, &t);
    put("a.b:c\177\n");
    shown();
    take(100);
    take(100);
    take(100);
    end();
}

static void output(void)
{
    section("output");
    pair();
    SHOW(write(s, "a\nb\r\tc\bd", 8));
    shown();
    modes(0, OPOST | OCRNL, COOKED);
    SHOW(write(s, "a\rb\n", 4));
    shown();
    modes(0, OPOST | ONLRET, COOKED);
    SHOW(write(s, "a\n\tb", 4));
    shown();
    modes(0, OPOST | ONOCR | ONLCR, COOKED);
    SHOW(write(s, "\n\r\ra\r\n", 6));
    shown();
    modes(0, OPOST | TAB3 | ONLCR, COOKED);
    SHOW(write(s, "\na\tb\tc\n\t", 8));
    shown();
    modes(0, 0, COOKED);
    SHOW(write(s, "a\n\t", 3));
    shown();
    SHOW(write(s, "", 0));
    end();
}

static void raw(void)
{
    struct termios t;
    int n;
    struct timespec a, b;
    char buf[100];
    section("raw");
    pair();
    t = fresh;
    cfmakeraw(&t);
    SHOW(tcsetattr(s, TCSANOW, &t));
    put("\003\032\r\n\004\177");
    shown();
    SHOW(ioctl(s, FIONREAD, &n));
    SHOW(n);
    take(100);
    take(100);
    t.c_cc[VMIN] = 3;
    tcsetattr(s, TCSANOW, &t);
    put("ab");
    events("two of three", s);
    put("c");
    events("three of three", s);
    take(2);
    take(2);
    fcntl(s, F_SETFL, 0);
    put("xy");
    t.c_cc[VMIN] = 0;
    tcsetattr(s, TCSANOW, &t);
    take(100);
    take(100);
    t.c_cc[VTIME] = 2;
    tcsetattr(s, TCSANOW, &t);
    clock_gettime(CLOCK_MONOTONIC, &a);
    SHOW(read(s, buf, 100));
    clock_gettime(CLOCK_MONOTONIC, &b);
    SHOW_TRUE((b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000 >= 190);
    t.c_cc[VMIN] = 5;
    tcsetattr(s, TCSANOW, &t);
    put("abc");
    SHOW(read(s, buf, 100));
    put("abcdefg");
    SHOW(read(s, buf, 100));
    fcntl(s, F_SETFL, O_NONBLOCK);
    section("mode changes");
    SHOW(tcsetattr(s, TCSANOW, &fresh));
    put("half");
    SHOW(ioctl(s, FIONREAD, &n));
    SHOW(n);
    take(100);
    t.c_cc[VMIN] = 1;
    t.c_cc[VTIME] = 0;
    SHOW(tcsetattr(s, TCSANOW, &t));
    take(2);
    SHOW(tcsetattr(s, TCSANOW, &fresh));
    take(100);
    put("gone");
    SHOW(tcsetattr(s, TCSAFLUSH, &fresh));
    put("line\n");
    take(100);
    put("gone\n");
    SHOW(tcflush(s, TCIFLUSH));
    take(100);
    shown();
    end();
}

static void full(void)
{
    static char big[70000];
    struct termios t;
    ssize_t n, total = 0;
    section("full");
    pair();
    modes(0, 0, ICANON);
    memset(big, 'a', sizeof(big));
    big[4999] = '\n';
    SHOW(write(m, big, 5000));
    usleep(50000);
    SHOW(read(s, big, sizeof(big)));
    SHOW_TRUE(big[4095] == '\n');
    SHOW(read(s, big, sizeof(big)));
    t = fresh;
    cfmakeraw(&t);
    tcsetattr(s, TCSANOW, &t);
    fcntl(m, F_SETFL, O_NONBLOCK);
    while ((n = write(m, big, 1000)) > 0)
        total += n;
    SHOW_TRUE(n == -1 && errno == EAGAIN);
    SHOW_TRUE(total >= 4095);
    struct pollfd p = {.fd = s, .events = POLLIN};
    while (total > 0 && poll(&p, 1, 100) > 0 && (n = read(s, big, sizeof(big))) > 0)
        total -= n;
    SHOW(total);
    events("the master", m);
    total = 0;
    while ((n = write(s, big, 1000)) > 0)
        total += n;
    SHOW_TRUE(n == -1 && errno == EAGAIN);
    p.fd = m;
    while (total > 0 && poll(&p, 1, 100) > 0 && (n = read(m, big, sizeof(big))) > 0)
        total -= n;
    SHOW(total);
    events("the terminal", s);
    /* A blocked writer goes on when there is room, whole. */
    fcntl(s, F_SETFL, 0);
    fcntl(m, F_SETFL, 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(m);
        _exit(write(s, big, 60000) != 60000);
    }
    for (total = 0; total < 60000 && (n = read(m, big, 3000)) > 0;)
        total += n;
    SHOW(total);
    int status;
    SHOW_TRUE(waitpid(pid, &status, 0) == pid);
    SHOW(status);
    end();
}

static void flow(void)
{
    section("flow");
    pair();
    put("\023");
    SHOW(write(s, "x", 1));
    events("stopped", s);
    put("\021");
    SHOW(write(s, "y", 1));
    shown();
    SHOW(tcflow(s, TCOOFF));
    SHOW(write(s, "x", 1));
    SHOW(tcflow(s, TCOON));
    SHOW(write(s, "z", 1));
    shown();
    SHOW(tcflow(s, TCIOFF));
    SHOW(tcflow(s, TCION));
    shown();
    modes(ICRNL | IXON | IXANY, OPOST, COOKED & ~ECHO);
    put("\023");
    SHOW(write(s, "x", 1));
    put("a");
    SHOW(write(s, "y", 1));
    shown();
    end();
}

static void packet(void)
{
    int on = 1, v;
    section("packet mode");
    pair();
    SHOW(ioctl(m, TIOCPKT, &on));
    SHOW(ioctl(m, TIOCGPKT, &v));
    SHOW(v);
    SHOW(ioctl(s, TIOCPKT, &on));
    write(s, "data", 4);
    shown();
    SHOW(tcflush(s, TCIFLUSH));
    events("status", m);
    shown();
    SHOW(tcflush(s, TCOFLUSH));
    shown();
    SHOW(tcflow(s, TCOOFF));
    shown();
    SHOW(tcflow(s, TCOON));
    shown();
    modes(ICRNL, OPOST, COOKED);
    shown();
    modes(ICRNL | IXON, OPOST, COOKED);
    shown();
    modes(ICRNL | IXON, OPOST, COOKED | EXTPROC);
    shown();
    modes(ICRNL | IXON, OPOST, COOKED);
    shown();
    write(s, "data", 4);
    char buf[10];
    print_bytes("small", buf, read(m, buf, 1));
    print_bytes("small", buf, read(m, buf, 3));
    print_bytes("small", buf, read(m, buf, 9));
    on = 0;
    SHOW(ioctl(m, TIOCPKT, &on));
    write(s, "data", 4);
    shown();
    end();
}

static void ends(void)
{
    char buf[10];
    int n, status;
    section("the terminal closes");
    pair();
    write(s, "last", 4);
    close(s);
    events("closed", m);
    shown();
    events("read", m);
    SHOW(read(m, buf, 10));
    SHOW(write(m, "typed\n", 6));
    s = open(ptsname(m), O_RDWR | O_NOCTTY | O_NONBLOCK);
    take(100);
    shown();
    events("open again", m);
    section("the master closes");
    put("unread\n");
    close(m);
    events("the terminal", s);
    SHOW(read(s, buf, 10));
    SHOW(write(s, "x", 1));
    SHOW(tcgetattr(s, &fresh));
    SHOW(ioctl(s, FIONREAD, &n));
    n = 1;
    SHOW(ioctl(s, TIOCSPGRP, &n));
    SHOW(ioctl(s, TIOCGWINSZ, buf));
    SHOW(isatty(s));
    close(s);
    section("a reader waits");
    pair();
    fcntl(s, F_SETFL, 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(m);
        ssize_t r = read(s, buf, 10);
        _exit(r == 0 || (r == -1 && errno == EIO) ? 0 : 1);
    }
    usleep(100000);
    close(m);
    SHOW_TRUE(waitpid(pid, &status, 0) == pid);
    SHOW(status);
    close(s);
    pair();
    pid = fork();
    if (pid == 0) {
        close(s);
        _exit(read(m, buf, 10) == -1 && errno == EIO ? 0 : 1);
    }
    usleep(100000);
    close(s);
    SHOW_TRUE(waitpid(pid, &status, 0) == pid);
    SHOW(status);
    close(m);
}

static void asynchronous(void)
{
    section("SIGIO");
    pair();
    signal(SIGIO, note);
    SHOW(fcntl(s, F_SETOWN, getpid()));
    SHOW(fcntl(s, F_SETFL, O_ASYNC | O_NONBLOCK));
    put("x\n");
    usleep(50000);
    SHOW_TRUE(got[SIGIO] > 0);
    got[SIGIO] = 0;
    SHOW(fcntl(s, F_SETFL, O_NONBLOCK));
    put("y\n");
    usleep(50000);
    SHOW(got[SIGIO]);
    end();
}

static void library(void)
{
    char buf[100] = "";
    struct winsize w = {5, 6, 0, 0};
    int status, n;
    section("forkpty");
    fflush(stdout);
    pid_t pid = forkpty(&m, NULL, &fresh, &w);
    if (pid == 0) {
        execl("/proc/self/exe", "pty", "child", NULL);
        _exit(99);
    }
    for (size_t at = 0; at < sizeof(buf) - 1 && (n = (int)read(m, buf + at, sizeof(buf) - 1 - at)) > 0;)
        at += (size_t)n;
    print_bytes("child", buf, (ssize_t)strlen(buf));
    SHOW_TRUE(waitpid(pid, &status, 0) == pid);
    SHOW(status);
    close(m);
    section("openpty");
    SHOW(openpty(&m, &s, NULL, &fresh, &w));
    SHOW(isatty(s));
    end();
    section("many");
    static int fds[200];
    int k = 0, first;
    for (; k < 200 && (fds[k] = posix_openpt(O_RDWR | O_NOCTTY)) >= 0; k++)
        ;
    SHOW(k);
    ioctl(fds[50], TIOCGPTN, &first);
    close(fds[50]);
    fds[50] = posix_openpt(O_RDWR | O_NOCTTY);
    ioctl(fds[50], TIOCGPTN, &n);
    SHOW_TRUE(n == first);
    while (k-- > 0)
        close(fds[k]);
}

static int child(void)
{
    struct winsize w;
    ioctl(0, TIOCGWINSZ, &w);
    printf("%d %d %d %d\n", isatty(0), w.ws_row, w.ws_col, tcgetpgrp(0) == getpid() && getsid(0) == getpid());
    return 7;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return child();
    signal(SIGALRM, SIG_DFL);
    alarm(100);
    making();
    termios_values();
    old_termio();
    lines();
    output();
    raw();
    full();
    flow();
    packet();
    ends();
    sessions();
    asynchronous();
    library();
    return 0;
}
