/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of pty.c share: each has a pair of its own. */
#ifndef TESTS_GUEST_PTY_H
#define TESTS_GUEST_PTY_H

#include "t.h"
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>

void sessions(void); /* pty_sessions.c */

static int m, s;
static struct termios fresh;

/* What is typed passes the line discipline in its own time. */
static inline void put(const char *text)
{
    write(m, text, strlen(text));
    usleep(20000);
}

static inline void print_bytes(const char *what, const char *buf, ssize_t n)
{
    if (n < 0) {
        printf("%s: %s\n", what, strerrorname_np(errno));
        return;
    }
    printf("%s %zd: \"", what, n);
    for (ssize_t k = 0; k < n; k++)
        printf(buf[k] >= ' ' && buf[k] < 127 && buf[k] != '\\' ? "%c" : "\\%03o", (unsigned char)buf[k]);
    printf("\"\n");
    fflush(stdout);
}

/* What comes within a short while, all of it. */
static inline void shown_on(int fd, const char *what)
{
    char buf[8192];
    ssize_t n = 0, r;
    struct pollfd p = {.fd = fd, .events = POLLIN};
    while (n < (ssize_t)sizeof(buf) && poll(&p, 1, 60) > 0 && (r = read(fd, buf + n, sizeof(buf) - (size_t)n)) > 0)
        n += r;
    print_bytes(what, buf, n);
}

static inline void shown(void) { shown_on(m, "shown"); }

static inline void take(size_t room)
{
    char buf[8192];
    struct pollfd p = {.fd = s, .events = POLLIN};
    poll(&p, 1, 60);
    print_bytes("read", buf, read(s, buf, room));
}

static inline void events(const char *what, int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN | POLLPRI | POLLOUT | POLLRDNORM | POLLWRNORM};
    poll(&p, 1, 30);
    printf("%s:%s%s%s%s%s%s%s\n", what, p.revents & POLLIN ? " IN" : "", p.revents & POLLPRI ? " PRI" : "", p.revents & POLLOUT ? " OUT" : "",
           p.revents & POLLERR ? " ERR" : "", p.revents & POLLHUP ? " HUP" : "", p.revents & POLLRDNORM ? " RDNORM" : "",
           p.revents & POLLWRNORM ? " WRNORM" : "");
}

static inline void pair(void)
{
    m = posix_openpt(O_RDWR | O_NOCTTY);
    grantpt(m);
    unlockpt(m);
    s = open(ptsname(m), O_RDWR | O_NOCTTY | O_NONBLOCK);
    tcgetattr(s, &fresh);
}

static inline void end(void)
{
    close(s);
    close(m);
}

static inline void modes(tcflag_t iflag, tcflag_t oflag, tcflag_t lflag)
{
    struct termios t = fresh;
    t.c_iflag = iflag;
    t.c_oflag = oflag;
    t.c_lflag = lflag;
    tcsetattr(s, TCSANOW, &t);
}

#define COOKED (ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN)

static volatile int got[65];
static inline void note(int sig) { got[sig]++; }

#endif
