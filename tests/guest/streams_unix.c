/* SPDX-License-Identifier: Apache-2.0 */
/* Urgent bytes of AF_UNIX streams. What FIONREAD says behind one that was passed over is Linux's own. */
#include "streams.h"
#include "t.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#define OOB MSG_OOB
static int to, from;
static char buf[100];

static void begin(const char *name)
{
    int sv[2];
    printf("%s:\n", name);
    socketpair(AF_UNIX, SOCK_STREAM, 0, sv);
    to = sv[0];
    from = sv[1];
}

static void end(void)
{
    close(to);
    close(from);
}

static void state(void)
{
    int mark = -1, r = ioctl(from, SIOCATMARK, &mark);
    struct pollfd p = {from, POLLIN | POLLPRI, 0};
    poll(&p, 1, 0);
    printf("    mark %d %d poll %x\n", r, mark, p.revents);
}

static void put(const char *text, int flags) { printf("  send %s %d: %zd\n", text, flags, send(to, text, strlen(text), flags)); }

static void get(size_t n, int flags)
{
    struct iovec io = {buf, n};
    struct msghdr m = {.msg_iov = &io, .msg_iovlen = 1};
    memset(buf, 0, sizeof buf);
    ssize_t got = recvmsg(from, &m, flags | MSG_DONTWAIT);
    printf("  recv %zu %x: %zd %s \"%s\" flags %x\n", n, flags, got, got < 0 ? strerrorname_np(errno) : "", buf, m.msg_flags);
    state();
}

static void taking(void)
{
    begin("first what is in front");
    state();
    put("hello", OOB);
    state();
    get(10, 0), get(1, OOB), get(10, 0);
    end();
    begin("first the byte");
    put("hello", OOB);
    get(1, OOB | MSG_PEEK), get(1, OOB), get(1, OOB), get(2, 0), get(10, 0);
    end();
    begin("alone, passed over");
    put("x", OOB);
    state();
    get(10, 0), get(1, OOB);
    end();
    begin("a later one");
    put("abc", OOB);
    put("d", 0);
    put("efg", OOB);
    get(100, 0), get(1, OOB), get(100, 0);
    end();
    begin("a later one when the first was taken");
    put("abc", OOB);
    get(1, OOB);
    put("def", OOB);
    state();
    get(10, 0), get(1, OOB), get(10, 0);
    end();
    begin("both taken");
    put("a", OOB);
    get(1, OOB);
    put("b", OOB);
    get(1, OOB);
    put("cd", 0);
    get(10, 0);
    end();
}

static void reading(void)
{
    begin("bytes behind it");
    put("abc", OOB);
    put("def", 0);
    get(10, 0), get(10, 0), get(10, OOB);
    end();
    begin("bytes behind it, taken");
    put("abc", OOB);
    put("def", 0);
    get(1, OOB), get(10, 0), get(10, 0);
    end();
    begin("in small pieces");
    put("abc", 0);
    put("d", OOB);
    get(2, 0), get(2, 0);
    put("e", 0);
    get(3, 0);
    end();
    begin("taken at the mark");
    put("ab", OOB);
    put("c", 0);
    get(1, 0), get(1, OOB), get(1, 0), get(1, 0);
    end();
    begin("looking");
    put("abc", OOB);
    put("def", 0);
    get(10, MSG_PEEK), get(2, 0), get(10, MSG_PEEK), get(1, OOB), get(10, 0);
    end();
    begin("nothing to be copied");
    put("abc", OOB);
    get(0, OOB), get(0, 0), get(3, OOB);
    end();
}

static void inline_(void)
{
    int one = 1;
    begin("SO_OOBINLINE");
    setsockopt(from, SOL_SOCKET, SO_OOBINLINE, &one, sizeof one);
    put("abc", OOB);
    put("def", 0);
    get(10, OOB), get(10, 0), get(10, MSG_PEEK), get(10, 0);
    put("c", OOB);
    put("def", 0);
    get(10, 0), get(10, 0);
    end();
}

static void ends(void)
{
    begin("the sender closes");
    put("abc", OOB);
    close(to);
    get(10, 0), get(1, OOB), get(10, 0), get(10, 0);
    end();
    begin("the reader closes before it");
    put("a", OOB);
    close(from);
    SHOW(recv(to, buf, 10, MSG_DONTWAIT));
    end();
    begin("the reader closes after it");
    put("a", OOB);
    get(1, OOB);
    close(from);
    SHOW(recv(to, buf, 10, MSG_DONTWAIT));
    end();
    begin("none");
    SHOW(send(to, "", 0, OOB));
    get(1, OOB);
    close(to);
    get(1, OOB);
    end();
    for (int type = SOCK_DGRAM; type <= SOCK_SEQPACKET; type += SOCK_SEQPACKET - SOCK_DGRAM) {
        int sv[2];
        socketpair(AF_UNIX, type, 0, sv);
        SHOW(send(sv[0], "a", 1, OOB));
        SHOW(recv(sv[1], buf, 1, OOB | MSG_DONTWAIT));
        close(sv[0]);
        close(sv[1]);
    }
    from = socket(AF_UNIX, SOCK_STREAM, 0);
    SHOW(recv(from, buf, 1, OOB));
    close(from);
}

static volatile sig_atomic_t urgent;
static void on_urgent(int sig) { urgent = sig; }

/* A reader that waits hears of it by a signal, takes it, and gets what comes behind it. */
static void waiting(void)
{
    begin("while a reader waits");
    signal(SIGURG, on_urgent);
    fcntl(from, F_SETOWN, getpid());
    put("ab", OOB);
    SHOW_TRUE(urgent == SIGURG);
    get(1, OOB);
    get(10, 0);
    pid_t child = fork();
    if (child == 0) {
        struct pollfd p = {from, POLLPRI, 0};
        poll(&p, 1, 30000);
        _exit(p.revents == POLLPRI && recv(from, buf, 1, OOB) == 1 && buf[0] == 'y' ? 0 : 1);
    }
    put("xy", OOB);
    int status;
    waitpid(child, &status, 0);
    SHOW(status);
    get(10, 0);
    signal(SIGURG, SIG_DFL);
    end();
}

void unix_urgent(void)
{
    section("urgent bytes of AF_UNIX");
    taking();
    reading();
    inline_();
    ends();
    waiting();
}
