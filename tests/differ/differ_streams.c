/* SPDX-License-Identifier: Apache-2.0 */
/* Pipes, sockets of AF_UNIX, eventfd, timerfd, signalfd, pidfd and epoll; what is watched is what poll() says of each, and what FIONREAD does. */
#include "differ.h"
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <linux/sockios.h>

#define EPOLLS 2
static int epolls[EPOLLS];
static pid_t children[SLOTS]; /* of the pidfd in that slot */
static char pattern[70000], buf[70000];
#define DATA (pattern + step_number() % 1021)

static bool is_socket(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

static bool is_stream(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

static bool is_no_socket(int fd) { return !is_socket(fd); }

static bool is_plain(int fd) /* for bind(), connect() */
{
    struct sockaddr_un a;
    socklen_t n = sizeof a;
    return is_socket(fd) && getpeername(fd, (void *)&a, &n) != 0;
}

static bool is_listener(int fd)
{
    int on = 0;
    socklen_t n = sizeof on;
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &n) == 0 && on;
}

static int a_socket(void) { return slots[one_in(15) ? arg_slot() : arg_slot_of(is_socket)]; }

static const struct word types[] = {W(SOCK_STREAM), W(SOCK_DGRAM), W(SOCK_SEQPACKET)}, odd_types[] = {W(SOCK_RAW), {4, "SOCK_RDM"}, {9, "9"}};
static long sizes[] = {0, 1, 2, 10, 100, 1000, 4096, 5000};
static long arg_size(void) { return arg_num(sizes, COUNT(sizes)); }

static void ret_pair(long r, int *p)
{
    unsigned slot = rnd(SLOTS - 1);
    ret(r);
    if (r != 0)
        return;
    say(" f%u f%u", slot, slot + 1);
    slot_put(slot, p[0]);
    slot_put(slot + 1, p[1]);
}

static void do_pipe(void)
{
    static const struct word flags[] = {W(O_CLOEXEC), {O_APPEND, "O_APPEND"}};
    int p[2];
    ret_pair(pipe2(p, O_NONBLOCK | SOME(flags, 6)), p);
}

static void do_socketpair(void)
{
    int p[2], type = one_in(30) ? ONE(odd_types) : ONE(types);
    ret_pair(socketpair(AF_UNIX, type | SOCK_NONBLOCK, one_in(20) ? arg_num((long[]){1, 2, 17}, 3) : 0, p), p);
}

static socklen_t arg_address(struct sockaddr_un *a)
{
    static const char *const names[] = {"sa", "sb", "sc", "@a", "@b", "@a", "@b", "", "missing/s", "d"};
    const char *n = names[rnd(COUNT(names))];
    memset(a, 0, sizeof *a);
    a->sun_family = one_in(50) ? AF_INET : AF_UNIX;
    strcpy(a->sun_path, n);
    if (n[0] == '@')
        a->sun_path[0] = 0;
    arg("%s%s", *n == 0 ? "\"\"" : n, a->sun_family == AF_UNIX ? "" : " of AF_INET");
    if (one_in(40))
        return NUM(0, 1, 2, 3, 200);
    return offsetof(struct sockaddr_un, sun_path) + strlen(n) + (n[0] != '@' && n[0] != 0);
}

static void do_socket(void)
{
    int type = one_in(30) ? ONE(odd_types) : ONE(types);
    int fd = ret_slot(socket(AF_UNIX, type | SOCK_NONBLOCK, 0));
    struct sockaddr_un a;
    if (fd != -1 && !one_in(3)) {
        socklen_t n = arg_address(&a);
        if (ret(bind(fd, (void *)&a, n)) == 0 && one_in(4))
            unlink(a.sun_path);
    }
}

static void do_unlink(void)
{
    struct sockaddr_un a;
    arg_address(&a);
    ret(unlink(a.sun_path));
}

static void do_listen(void)
{
    int fd = slots[arg_slot_of(is_plain)];
    ret(listen(fd, NUM(0, 1, 5, -1)));
}

static void do_connect(void)
{
    struct sockaddr_un a;
    int fd = slots[arg_slot_of(is_plain)];
    socklen_t n = arg_address(&a);
    if (one_in(12)) {
        a.sun_family = AF_UNSPEC;
        arg("AF_UNSPEC");
    }
    ret(connect(fd, (void *)&a, n));
}

static void say_address(const struct sockaddr_un *a, socklen_t n)
{
    say(" %u", n);
    if (n > 2 && n < sizeof *a && n - 2 != 6) /* 6: one that was found for it */
        say(" %s%.*s", a->sun_path[0] == 0 ? "@" : "", (int)(n - 2 - (a->sun_path[0] == 0)), a->sun_path + (a->sun_path[0] == 0));
}

static void do_accept(void)
{
    struct sockaddr_un a;
    socklen_t n = sizeof a;
    int fd = slots[arg_slot_of(is_listener)];
    if (ret_slot(accept4(fd, (void *)&a, &n, SOCK_NONBLOCK)) != -1)
        say_address(&a, n);
}

static void do_names(void)
{
    struct sockaddr_un a = {};
    int fd = a_socket();
    socklen_t n = one_in(5) ? arg_num((long[]){0, 1, 3, 6, -1}, 5) : (long)sizeof a;
    long r = one_in(2) ? (arg("peer"), ret(getpeername(fd, (void *)&a, &n))) : ret(getsockname(fd, (void *)&a, &n));
    if (r == 0)
        say_address(&a, n);
}

static void do_shutdown(void)
{
    int fd = a_socket();
    ret(shutdown(fd, NUM(0, 1, 2, 1, 0, 3)));
}

/* How much a socket takes until there is no room is each kernel's own: it is not asked for so much. */
static bool room_for(int fd, long n)
{
    static struct {
        ino_t ino;
        long sum;
    } sent[1000];
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISSOCK(st.st_mode))
        return true;
    for (unsigned i = 0; i < COUNT(sent); i++)
        if (sent[i].ino == st.st_ino || sent[i].ino == 0) {
            sent[i].ino = st.st_ino;
            sent[i].sum += n > 1000 ? 9000 : 2500; /* as much memory, about */
            return sent[i].sum < 50000;
        }
    return false;
}

static void do_write(void)
{
    int fd = slots[arg_slot()];
    long n = arg_size();
    ret(room_for(fd, n) ? write(fd, DATA, n) : 0);
}

static long ret_data(long r) { return ret_bytes(r, buf, sizeof buf); }

static void do_read(void)
{
    int fd = slots[arg_slot()];
    struct stat st;
    if (fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == 0)
        ret(read(fd, buf, arg_size())); /* a signalfd tells numbers of processes */
    else
        ret_data(read(fd, buf, arg_size()));
}

static void do_readv(void)
{
    int fd = slots[arg_slot_of(is_socket)];
    struct iovec v[2] = {{buf, NUM(0, 1, 10, 100)}, {buf + 200, NUM(0, 1, 50, 1000)}};
    memset(buf, 0, 2000);
    if (one_in(2)) {
        arg("out");
        ret(room_for(fd, v[0].iov_len + v[1].iov_len) ? writev(fd, (struct iovec[2]){{DATA, v[0].iov_len}, {DATA, v[1].iov_len}}, 2) : 0);
    } else {
        long r = ret(readv(fd, v, 2));
        if (r < 128 || is_stream(fd)) /* a signalfd tells numbers of processes */
            say(" %08x", hash(buf, 2000));
    }
}

/* Full to the brim: how much that is, is not said. */
static void do_fill(void)
{
    int fd = slots[arg_slot()];
    struct stat st;
    long r = -1;
    if (fstat(fd, &st) != 0 || !S_ISFIFO(st.st_mode)) {
        ret(0);
        return;
    }
    for (int i = 0; i < 100 && (r = write(fd, DATA, 4096)) > 0; i++)
        ;
    ret(r);
}

static void do_empty(void)
{
    int fd = slots[arg_slot()];
    struct stat st;
    long r = 1, sum = 0;
    if (fstat(fd, &st) != 0 || !(S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode))) {
        ret(0);
        return;
    }
    for (int i = 0; i < 300 && (r = read(fd, buf, sizeof buf)) > 0; i++)
        sum += r;
    ret(r);
    say(" %ld", sum);
}

static const struct word send_flags[] = {W(MSG_NOSIGNAL), W(MSG_DONTWAIT), W(MSG_MORE), W(MSG_EOR), W(MSG_OOB), W(MSG_CONFIRM), W(MSG_DONTROUTE), W(MSG_FASTOPEN)};
static const struct word recv_flags[] = {W(MSG_PEEK), W(MSG_PEEK), W(MSG_TRUNC), W(MSG_CMSG_CLOEXEC), W(MSG_OOB), W(MSG_WAITALL), W(MSG_ERRQUEUE), W(MSG_DONTWAIT), {MSG_CTRUNC, "MSG_CTRUNC"}};
static const struct word msg_flags[] = {W(MSG_TRUNC), W(MSG_CTRUNC), W(MSG_EOR), W(MSG_OOB), W(MSG_CMSG_CLOEXEC), W(MSG_ERRQUEUE), W(MSG_PEEK)};

static void do_send(void)
{
    int fd = a_socket();
    long n = arg_size();
    int flags = SOME(send_flags, 10);
    ret(room_for(fd, n) ? send(fd, DATA, n, flags) : 0);
}

static void do_recv(void)
{
    int fd = a_socket();
    long n = arg_size();
    ret_data(recv(fd, buf, n, SOME(recv_flags, 6)));
}

static void do_sendto(void)
{
    struct sockaddr_un a;
    int fd = a_socket();
    socklen_t len = arg_address(&a);
    long n = arg_size();
    ret(room_for(fd, n) ? sendto(fd, DATA, n, MSG_NOSIGNAL, (void *)&a, len) : 0);
}

static void do_recvfrom(void)
{
    struct sockaddr_un a = {};
    socklen_t n = sizeof a;
    int fd = a_socket();
    long size = arg_size();
    if (ret_data(recvfrom(fd, buf, size, SOME(recv_flags, 8), (void *)&a, &n)) != -1)
        say_address(&a, n);
}

/* Splicing the bytes it came with to its pipe ends that pipe first, or last. */
static bool is_read_end(int fd) { return is_stream(fd) && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY; }

/* Some descriptors, no sockets (what nobody can reach any more goes some time), at times with what is wrong about them. */
static void do_sendmsg(void)
{
    union {
        char bytes[512];
        struct cmsghdr align;
    } c = {};
    struct iovec v = {DATA, 0};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = c.bytes};
    int fd = a_socket(), count = rnd(4);
    v.iov_len = arg_size();
    struct cmsghdr *h = &c.align;
    h->cmsg_level = SOL_SOCKET;
    if (one_in(6)) {
        struct ucred u = {getpid(), NUM(0, 0, 1000), NUM(0, 0, 1000)};
        arg("credentials");
        h->cmsg_type = SCM_CREDENTIALS;
        h->cmsg_len = CMSG_LEN(sizeof u);
        memcpy(CMSG_DATA(h), &u, sizeof u);
        m.msg_controllen = CMSG_SPACE(sizeof u);
    } else {
        h->cmsg_type = SCM_RIGHTS;
        h->cmsg_len = CMSG_LEN(count * sizeof(int));
        for (int i = 0; i < count; i++) {
            int sent = slots[arg_slot_of(is_no_socket)];
            ((int *)CMSG_DATA(h))[i] = is_socket(sent) || is_read_end(sent) ? -1 : sent;
        }
        m.msg_controllen = CMSG_SPACE(count * sizeof(int));
    }
    if (one_in(20))
        h->cmsg_len = arg_num((long[]){0, 15, 17, 100, 4000}, 5);
    if (one_in(30))
        h->cmsg_type = arg_num((long[]){0, 3, 99}, 3);
    if (one_in(30))
        h->cmsg_level = arg_num((long[]){0, 6}, 2);
    int flags = MSG_NOSIGNAL | SOME(send_flags, 12);
    ret(room_for(fd, v.iov_len) ? sendmsg(fd, &m, flags) : 0);
}

static void do_recvmsg(void)
{
    union {
        char bytes[512];
        struct cmsghdr align;
    } c = {};
    struct sockaddr_un a = {};
    struct iovec v[2] = {{buf, 0}, {buf + 10000, 0}};
    struct msghdr m = {.msg_name = &a, .msg_namelen = sizeof a, .msg_iov = v, .msg_iovlen = 2, .msg_control = c.bytes};
    int fd = a_socket();
    v[0].iov_len = arg_size();
    v[1].iov_len = arg_size();
    m.msg_controllen = one_in(3) ? arg_num((long[]){0, 8, 16, 20, 24, 28, 48}, 7) : (long)sizeof c;
    memset(buf, 0, 20000);
    long r = ret(recvmsg(fd, &m, SOME(recv_flags, 7)));
    if (r == -1)
        return;
    say(" %08x name", hash(buf, 20000));
    say_address(&a, m.msg_namelen);
    say(" control %zu ", m.msg_controllen);
    say_flags(msg_flags, COUNT(msg_flags), m.msg_flags);
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h != NULL; h = CMSG_NXTHDR(&m, h)) {
        say(" [%d %d %zu", h->cmsg_level, h->cmsg_type, (size_t)h->cmsg_len);
        if (h->cmsg_type == SCM_RIGHTS)
            for (size_t i = 0; CMSG_LEN((i + 1) * sizeof(int)) <= h->cmsg_len; i++) {
                int got = ((int *)CMSG_DATA(h))[i];
                unsigned slot = rnd(SLOTS);
                say(" %d f%u", got, slot);
                slot_put(slot, got);
            }
        else if (h->cmsg_type == SCM_CREDENTIALS && h->cmsg_len >= CMSG_LEN(sizeof(struct ucred))) {
            struct ucred *u = (void *)CMSG_DATA(h);
            say(" %s %u %u", u->pid == getpid() ? "me" : u->pid == 0 ? "0" : "?", u->uid, u->gid);
        }
        say("]");
    }
}

static void do_sockopt(void)
{
    static const struct word names[] = {W(SO_TYPE), W(SO_ERROR), W(SO_PASSCRED), W(SO_PASSCRED), W(SO_PEERCRED), W(SO_RCVLOWAT), W(SO_ACCEPTCONN), W(SO_DOMAIN), W(SO_PROTOCOL), W(SO_REUSEADDR),
        W(SO_LINGER), W(SO_KEEPALIVE), W(SO_OOBINLINE), W(SO_BROADCAST), W(SO_PRIORITY), W(SO_INCOMING_CPU), {999, "999"}};
    int fd = a_socket(), name = ONE(names);
    int v[4] = {};
    socklen_t n = NUM(4, 4, 4, 4, 0, 1, 8, 16);
    if (one_in(2)) {
        v[0] = NUM(0, 1, 1, 2, 5, -1);
        ret(setsockopt(fd, SOL_SOCKET, name, v, n));
    } else {
        arg("get");
        long r = ret(getsockopt(fd, SOL_SOCKET, name, v, &n));
        if (r == 0 && name == SO_PEERCRED)
            say(" %u %s %d %d", n, v[0] == getpid() ? "me" : v[0] == 0 ? "0" : "?", v[1], v[2]);
        else if (r == 0 && name != SO_INCOMING_CPU)
            say(" %u %d %d", n, v[0], v[1]);
    }
}

static void do_eventfd(void)
{
    static const struct word flags[] = {W(EFD_SEMAPHORE), W(EFD_CLOEXEC), {1 << 5, "1<<5"}};
    ret_slot(eventfd(NUM(0, 1, 5), EFD_NONBLOCK | SOME(flags, 4)));
}

static void do_count(void)
{
    int fd = slots[arg_slot()];
    uint64_t v = NUM(0, 1, 2, 5, -1, -2, -3);
    ret(write(fd, &v, one_in(10) ? 4 : 8));
}

static void do_timerfd(void)
{
    ret_slot(timerfd_create(NUM(CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, 2, 99), TFD_NONBLOCK));
}

/* Long past, or never. */
static void do_settime(void)
{
    int fd = slots[arg_slot()];
    struct itimerspec t = {.it_value = {NUM(0, 0, 0, 1000000, -1), NUM(0, 1, 1, 1000000000)}}, old;
    int flags = NUM(1, 1, 1, 3, 0, 4);
    if (flags == 0 || t.it_value.tv_sec == 1000000)
        t.it_value.tv_sec = 1000000000000;
    long r = ret(timerfd_settime(fd, flags, &t, &old));
    if (r == 0)
        say(" %s", old.it_value.tv_sec == 0 && old.it_value.tv_nsec == 0 ? "none" : "some");
}

static void do_signalfd(void)
{
    sigset_t s;
    sigemptyset(&s);
    unsigned which = rnd(4);
    arg("%u", which);
    if (which & 1)
        sigaddset(&s, SIGUSR1);
    if (which & 2)
        sigaddset(&s, SIGRTMIN);
    if (one_in(4)) {
        int fd = slots[arg_slot()];
        ret(signalfd(fd, &s, SFD_NONBLOCK));
    } else
        ret_slot(signalfd(-1, &s, SFD_NONBLOCK));
}

static void do_raise(void)
{
    int sig = rnd(2) ? SIGUSR1 : SIGRTMIN;
    arg(sig == SIGUSR1 ? "SIGUSR1" : "SIGRTMIN");
    ret(sigqueue(getpid(), sig, (union sigval){.sival_int = step_number()}));
}

static void do_read_signals(void)
{
    struct signalfd_siginfo s[3];
    int fd = slots[arg_slot()];
    long r = ret(read(fd, s, NUM(100, 128, 256, 384, 400)));
    if (r > 0 && r % 128 == 0)
        for (long i = 0; i < r / 128; i++)
            say(" %u %d %d", s[i].ssi_signo, s[i].ssi_code, s[i].ssi_int);
}

static void do_pidfd(void)
{
    bool ends = one_in(2);
    arg(ends ? "ends" : "stays");
    pid_t pid = fork();
    if (pid == 0) {
        if (ends)
            _exit(3);
        for (;;)
            pause();
    }
    siginfo_t i;
    if (ends)
        waitid(P_PID, pid, &i, WEXITED | WNOWAIT);
    long fd = ret(RAW(pidfd_open, pid, NUM(0, 0, 0, O_NONBLOCK, 1)));
    if (fd == -1) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        return;
    }
    unsigned slot = rnd(SLOTS);
    say(" f%u", slot);
    slot_put(slot, fd);
    children[slot] = pid;
}

static void do_pid_signal(void)
{
    unsigned slot = arg_slot();
    int sig = NUM(0, SIGKILL, SIGKILL, 65);
    long r = ret(RAW(pidfd_send_signal, slots[slot], sig, NULL, 0));
    if (r == 0 && sig == SIGKILL)
        poll(&(struct pollfd){slots[slot], POLLIN, 0}, 1, -1);
}

static void do_pid_wait(void)
{
    int fd = slots[arg_slot()];
    siginfo_t i = {};
    int flags = NUM(WEXITED, WEXITED, WEXITED | WNOWAIT, WSTOPPED, 0);
    ret(waitid(P_PIDFD, fd, &i, flags | (flags ? WNOHANG : 0)));
    say(" %d %d %d", i.si_signo, i.si_code, i.si_status);
}

static void do_getfd(void)
{
    int pidfd = RAW(pidfd_open, getpid(), 0), fd = slots[arg_slot()];
    ret_slot(RAW(pidfd_getfd, pidfd, fd, NUM(0, 0, 0, 1)));
    close(pidfd);
}

static const struct word events[] = {W(EPOLLIN), W(EPOLLIN), W(EPOLLOUT), W(EPOLLOUT), W(EPOLLRDHUP), W(EPOLLPRI), W(EPOLLET), W(EPOLLET), W(EPOLLONESHOT), {EPOLLEXCLUSIVE, "EPOLLEXCLUSIVE"}, W(EPOLLWAKEUP)};
static const struct word seen[] = {W(EPOLLIN), W(EPOLLPRI), W(EPOLLOUT), W(EPOLLERR), W(EPOLLHUP), W(EPOLLRDNORM), W(EPOLLRDBAND), W(EPOLLWRNORM), W(EPOLLWRBAND), W(EPOLLMSG), W(EPOLLRDHUP), {32, "NVAL"}};

static void do_epoll_ctl(void)
{
    static const struct word ops[] = {W(EPOLL_CTL_ADD), W(EPOLL_CTL_ADD), W(EPOLL_CTL_ADD), W(EPOLL_CTL_MOD), W(EPOLL_CTL_MOD), W(EPOLL_CTL_DEL), {9, "9"}};
    unsigned e = rnd(EPOLLS);
    arg("e%u", e);
    int op = ONE(ops);
    unsigned slot = arg_slot();
    int fd = slots[slot];
    if (one_in(12)) {
        slot = 100 + rnd(EPOLLS);
        fd = epolls[slot - 100];
        arg("e%u instead", slot - 100);
    }
    uint32_t not = slot < 100 ? EPOLLOUT : EPOLLET; /* how often room becomes room again is each kernel's own, also where somebody else looks for it */
    struct epoll_event ev = {.events = SOME(events, 4), .data.u32 = slot * 10000 + step_number()};
    if (ev.events & EPOLLET)
        ev.events &= ~not;
    ret(epoll_ctl(epolls[e], op, fd, &ev));
}

static int by_data(const void *a, const void *b)
{
    uint32_t x = ((const struct epoll_event *)a)->data.u32, y = ((const struct epoll_event *)b)->data.u32;
    return x < y ? -1 : x > y;
}

static void do_epoll_wait(void)
{
    unsigned e = rnd(EPOLLS);
    struct epoll_event ev[64];
    arg("e%u", e);
    long r = ret(epoll_wait(epolls[e], ev, one_in(20) ? arg_num((long[]){0, -1}, 2) : 64, 0));
    if (r > 0)
        qsort(ev, r, sizeof *ev, by_data);
    for (long i = 0; i < r; i++) {
        say(" f%u@%u ", ev[i].data.u32 / 10000, ev[i].data.u32 % 10000);
        say_flags(seen, COUNT(seen), ev[i].events);
    }
}

static void do_splice(void)
{
    static const struct word flags[] = {W(SPLICE_F_MOVE), W(SPLICE_F_MORE)};
    int in = slots[arg_slot_of(is_stream)], out = slots[arg_slot_of(is_stream)];
    long n = arg_size();
    if (out == -1 || !is_stream(out)) { /* what else takes bytes may take them by splice(2), or not */
        ret(0);
        return;
    }
    int how = SPLICE_F_NONBLOCK | SOME(flags, 3);
    ret(room_for(out, n) ? splice(in, NULL, out, NULL, n, how) : 0);
}

static void do_tee(void)
{
    int in = slots[arg_slot()], out = slots[arg_slot()];
    ret(tee(in, out, arg_size(), SPLICE_F_NONBLOCK));
}

static void do_seek(void)
{
    int fd = slots[arg_slot_of(is_socket)];
    struct stat st;
    if (fstat(fd, &st) == 0 && !(S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode))) { /* nobody needs it elsewhere */
        ret(0);
        return;
    }
    if (one_in(2))
        ret(lseek(fd, 0, NUM(0, 1, 2)));
    else
        ret(pread(fd, buf, 1, NUM(0, 1)));
}

static void do_fcntl(void)
{
    static const struct word cmds[] = {W(F_GETFL), W(F_GETFD), W(F_GETPIPE_SZ), W(F_SETPIPE_SZ), W(F_GETOWN), W(F_GETSIG), W(F_GET_SEALS)};
    int fd = slots[arg_slot()], cmd = ONE(cmds);
    ret(fcntl(fd, cmd, cmd == F_SETPIPE_SZ ? NUM(4096, 8192, 65536) : 0));
}

/* FIONREAD of a stream that has ever had an urgent byte: one that is lost stays in Linux's count (6.18). */
static ino_t urgent[1000];
static unsigned urgents;

static bool counts(int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISSOCK(st.st_mode))
        return true;
    for (unsigned i = 0; i < urgents; i++)
        if (urgent[i] == st.st_ino)
            return false;
    struct pollfd p = {fd, POLLPRI, 0};
    if (poll(&p, 1, 0) < 1 || !(p.revents & POLLPRI) || urgents == COUNT(urgent))
        return true;
    urgent[urgents++] = st.st_ino;
    return false;
}

static void do_ioctl(void)
{
    static const struct word cmds[] = {W(FIONREAD), W(FIOCLEX), W(FIONCLEX), W(SIOCATMARK), W(TCGETS), {0x1234, "0x1234"}};
    int fd = slots[arg_slot()], cmd = ONE(cmds), v[32] = {};
    ret(ioctl(fd, cmd, v));
    if (cmd != FIONREAD || counts(fd))
        say(" %d", v[0]);
}

static void streams_start(void)
{
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, SIGUSR1);
    sigaddset(&s, SIGRTMIN);
    sigprocmask(SIG_BLOCK, &s, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGURG, SIG_IGN);
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = 'a' + i * i % 1009 % 26;
    for (int i = 0; i < EPOLLS; i++)
        epolls[i] = hidden(epoll_create1(0));
}

static void streams_watch(void)
{
    sigset_t s;
    for (unsigned i = 0; i < SLOTS; i++) {
        char key[8], text[128] = "";
        snprintf(key, sizeof key, "f%u", i);
        if (slots[i] == -1) {
            state(key, "-");
            continue;
        }
        struct pollfd p = {slots[i], POLLIN | POLLPRI | POLLOUT | POLLRDNORM | POLLRDBAND | POLLWRNORM | POLLWRBAND | POLLRDHUP, 0};
        int n = -1;
        poll(&p, 1, 0);
        if (counts(slots[i]))
            ioctl(slots[i], FIONREAD, &n);
        for (unsigned k = 0; k < COUNT(seen); k++)
            if (p.revents & seen[k].value)
                strcat(strcat(text, " "), seen[k].name + (seen[k].value == 32 ? 0 : 5));
        state(key, "%d%s %d %#x", slots[i], text, n, fcntl(slots[i], F_GETFL));
    }
    for (int i = 0; i < EPOLLS; i++) {
        struct pollfd p = {epolls[i], POLLIN, 0};
        state(i == 0 ? "e0" : "e1", "%d", poll(&p, 1, 0));
    }
    sigpending(&s);
    state("pending", "%d%d", sigismember(&s, SIGUSR1), sigismember(&s, SIGRTMIN));
}

static const struct act acts[] = {
    {"pipe", do_pipe, 12}, {"socketpair", do_socketpair, 24}, {"socket", do_socket, 20}, {"unlink", do_unlink, 5}, {"listen", do_listen, 12}, {"connect", do_connect, 24}, {"accept", do_accept, 16},
    {"names", do_names, 8}, {"shutdown", do_shutdown, 10}, {"write", do_write, 40}, {"read", do_read, 30}, {"readv", do_readv, 10}, {"fill", do_fill, 5}, {"empty", do_empty, 10}, {"send", do_send, 24}, {"recv", do_recv, 24},
    {"sendto", do_sendto, 16}, {"recvfrom", do_recvfrom, 10}, {"sendmsg", do_sendmsg, 24}, {"recvmsg", do_recvmsg, 30}, {"sockopt", do_sockopt, 16}, {"eventfd", do_eventfd, 6}, {"count", do_count, 10},
    {"timerfd", do_timerfd, 4}, {"settime", do_settime, 5}, {"signalfd", do_signalfd, 5}, {"raise", do_raise, 6}, {"read_signals", do_read_signals, 5}, {"pidfd", do_pidfd, 4}, {"pid_signal", do_pid_signal, 4},
    {"pid_wait", do_pid_wait, 5}, {"getfd", do_getfd, 3}, {"epoll_ctl", do_epoll_ctl, 50}, {"epoll_wait", do_epoll_wait, 30}, {"close", do_close, 14}, {"dup", do_dup, 8},
    {"splice", do_splice, 12}, {"tee", do_tee, 4}, {"seek", do_seek, 3}, {"fcntl", do_fcntl, 6}, {"ioctl", do_ioctl, 6}, {},
};
const struct mode mode_streams = {"streams", streams_start, acts, NULL, streams_watch};
