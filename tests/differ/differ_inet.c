/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TCP and UDP over the loopback addresses of both families; what is watched is the state of each socket, what poll() says of it, and FIONREAD. Nothing that waits for a timer
 * is done (TCP_CORK, Nagle's algorithm), and each step ends when nothing changes any more. Whether an acknowledgement is there yet nobody tells: states that differ in that are one.
 * Ports are of this process alone, and said by number or not at all: what is left of an earlier seed's connections is in nobody's way.
 */
#include "differ.h"
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <linux/sockios.h>
#include <linux/tcp.h>

#define PORTS 3
static unsigned first_port;
static int epoll;
static char pattern[20000], buf[20000];
#define DATA (pattern + step_number() % 1021)

static int option(int fd, int level, int name)
{
    int v = -1;
    socklen_t n = sizeof v;
    return getsockopt(fd, level, name, &v, &n) == 0 ? v : -1;
}

static bool is_listener(int fd) { return option(fd, SOL_SOCKET, SO_ACCEPTCONN) == 1; }

static bool is_connected(int fd)
{
    struct sockaddr_in6 a;
    socklen_t n = sizeof a;
    return getpeername(fd, (void *)&a, &n) == 0;
}

static bool is_there(int fd) { return is_listener(fd) || option(fd, SOL_SOCKET, SO_TYPE) == SOCK_DGRAM; }

static bool is_plain(int fd) { return !is_connected(fd) && !is_listener(fd); }

static const char *tcp_state(int fd)
{
    static const char *const names[] = {"", "established", "opening", "opening", "ending", "ending", "closed", "closed", "peer ended", "closed", "listens", "ending"};
    unsigned char s = 0;
    socklen_t n = 1;
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &s, &n) == 0 && s < COUNT(names) ? names[s] : "";
}

/* Few bytes go at once, not when an acknowledgement comes. */
static int prepared(int fd)
{
    int on = 1, e = errno;
    if (fd != -1)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    errno = e;
    return fd;
}

static void snapshot(unsigned slot, char *text, size_t room)
{
    static const char *const bits[] = {"IN", "PRI", "OUT", "ERR", "HUP", "NVAL", "RDNORM", "RDBAND", "WRNORM", "WRBAND", "MSG", "", "", "RDHUP"};
    int fd = slots[slot], n = -1;
    struct pollfd p = {fd, POLLIN | POLLPRI | POLLOUT | POLLRDNORM | POLLRDBAND | POLLWRNORM | POLLWRBAND | POLLRDHUP, 0};
    if (fd == -1) {
        snprintf(text, room, "-");
        return;
    }
    poll(&p, 1, 0);
    ioctl(fd, FIONREAD, &n);
    size_t len = snprintf(text, room, "%d %s", fd, tcp_state(fd));
    for (unsigned i = 0; i < COUNT(bits); i++)
        if (p.revents & 1 << i)
            len += snprintf(text + len, room - len, " %s", bits[i]);
    snprintf(text + len, room - len, " %d", n);
}

/* Until nothing changes. */
static void inet_after(void)
{
    char now[SLOTS][128], before[SLOTS][128];
    memset(now, 0, sizeof now);
    for (int same = 0; same < 2;) {
        memcpy(before, now, sizeof now);
        memset(now, 0, sizeof now);
        usleep(100);
        for (unsigned i = 0; i < SLOTS; i++)
            snapshot(i, now[i], sizeof now[i]);
        same = memcmp(now, before, sizeof now) == 0 ? same + 1 : 0;
    }
}

static void inet_watch(void)
{
    for (unsigned i = 0; i < SLOTS; i++) {
        char key[8], text[128];
        snprintf(key, sizeof key, "f%u", i);
        snapshot(i, text, sizeof text);
        state(key, "%s", text);
    }
    struct pollfd p = {epoll, POLLIN, 0};
    state("e", "%d", poll(&p, 1, 0));
}

/* --- addresses ------------------------------------------------------------------------------------ */

union address {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    char bytes[256];
};

static const struct {
    const char *name;
    int family;
    uint8_t bytes[16];
} places[] = {
    {"127.0.0.1", AF_INET, {127, 0, 0, 1}}, {"127.0.0.1", AF_INET, {127, 0, 0, 1}}, {"127.0.0.2", AF_INET, {127, 0, 0, 2}}, {"0.0.0.0", AF_INET, {0}}, {"::1", AF_INET6, {[15] = 1}}, {"::1", AF_INET6, {[15] = 1}},
    {"::", AF_INET6, {0}}, {"::ffff:127.0.0.1", AF_INET6, {[10] = 255, 255, 127, 0, 0, 1}},
};

static socklen_t put_address(union address *a, unsigned place, unsigned port)
{
    memset(a, 0, sizeof *a);
    a->any.sa_family = places[place].family;
    a->in.sin_port = htons(port); /* at the same place in both */
    if (places[place].family == AF_INET)
        memcpy(&a->in.sin_addr, places[place].bytes, 4);
    else
        memcpy(&a->in6.sin6_addr, places[place].bytes, 16);
    return places[place].family == AF_INET ? sizeof a->in : sizeof a->in6;
}

static const char *port_name(unsigned port)
{
    static char name[8];
    snprintf(name, sizeof name, port == 0 ? "0" : port - first_port < PORTS ? "p%u" : "e", port - first_port);
    return name;
}

/* An address of this socket's family, mostly; `other`: mostly where another one is. */
static socklen_t arg_place(int fd, union address *a, bool other)
{
    unsigned place = rnd(COUNT(places)), port = one_in(5) ? 0 : first_port + rnd(PORTS);
    int family = option(fd, SOL_SOCKET, SO_DOMAIN);
    bool dgram = option(fd, SOL_SOCKET, SO_TYPE) == SOCK_DGRAM;
    while ((!one_in(12) && (family == AF_INET || family == AF_INET6) && places[place].family != family) || (other && family == AF_INET6 && (place == COUNT(places) - 1 || (dgram && places[place].family != family)))) /* from ::1 that goes by 127.0.0.6; and no TCP socket that tried it gets to ::1 any more */
        place = rnd(COUNT(places));
    socklen_t n = put_address(a, place, port), len = sizeof *a;
    if (other && !one_in(4)) {
        union address b;
        int at = slots[arg_slot_of(is_there)];
        if (is_there(at) && getsockname(at, &b.any, &len) == 0)
            a->in.sin_port = b.in.sin_port;
    }
    arg("%s:%s", places[place].name, port_name(ntohs(a->in.sin_port)));
    if (one_in(40))
        a->any.sa_family = NUM(AF_UNIX, 99);
    return one_in(30) ? NUM(0, 1, 2, 8, 15, 16, 24, 27, 28, 200) : n;
}

static void say_address(const union address *a, socklen_t n)
{
    const void *bytes = a->any.sa_family == AF_INET ? (void *)&a->in.sin_addr : (void *)&a->in6.sin6_addr;
    const char *name = "?";
    say(" %u", n);
    if (n < (a->any.sa_family == AF_INET ? sizeof a->in : sizeof a->in6))
        return;
    for (unsigned i = 0; i < COUNT(places); i++)
        if (places[i].family == a->any.sa_family && memcmp(places[i].bytes, bytes, places[i].family == AF_INET ? 4 : 16) == 0)
            name = places[i].name;
    say(" %s:%s", name, port_name(ntohs(a->in.sin_port)));
}

/* --- calls ------------------------------------------------------------------------------------------ */

static const struct word families[] = {W(AF_INET), W(AF_INET6)}, types[] = {W(SOCK_STREAM), W(SOCK_DGRAM)};

static void do_socket(void)
{
    int family = ONE(families), type = ONE(types), on = 1;
    int fd = prepared(ret_slot(socket(family, type | SOCK_NONBLOCK, one_in(12) ? arg_num((long[]){6, 17, 1, 132, 255}, 5) : 0)));
    if (one_in(3))
        say(" reuseaddr %d", setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on));
    if (one_in(6))
        say(" reuseport %d", setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on));
    if (one_in(6))
        say(" v6only %d", setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on));
}

/* Two that are connected: of a stream by a listener that goes. */
static void do_pair(void)
{
    unsigned place = one_in(2) ? 0 : 4, slot = rnd(SLOTS - 1);
    int type = ONE(types), family = places[place].family;
    union address at;
    arg("%s", places[place].name);
    socklen_t n = put_address(&at, place, 0);
    int a = prepared(socket(family, type | SOCK_NONBLOCK, 0)), b = socket(family, type | SOCK_NONBLOCK, 0);
    bind(b, &at.any, n);
    if (type == SOCK_STREAM)
        listen(b, 1);
    getsockname(b, &at.any, &n);
    connect(a, &at.any, n);
    if (type == SOCK_STREAM) {
        int l = b;
        poll(&(struct pollfd){l, POLLIN, 0}, 1, 10000);
        b = prepared(accept4(l, NULL, NULL, SOCK_NONBLOCK));
        close(l);
    } else {
        getsockname(a, &at.any, &n);
        connect(b, &at.any, n);
    }
    ret(b == -1 ? -1 : 0);
    say(" f%u f%u", slot, slot + 1);
    slot_put(slot, a);
    slot_put(slot + 1, b);
}

static void do_bind(void)
{
    union address a;
    int fd = slots[arg_slot_of(is_plain)];
    socklen_t n = arg_place(fd, &a, false);
    ret(bind(fd, &a.any, n));
}

static void do_listen(void)
{
    int fd = slots[arg_slot_of(is_plain)];
    ret(listen(fd, NUM(1, 5, 5, -1)));
}

static void do_connect(void)
{
    union address a;
    int fd = slots[arg_slot_of(is_plain)];
    socklen_t n = arg_place(fd, &a, true);
    ret(connect(fd, &a.any, n));
}

static void do_accept(void)
{
    union address a = {};
    socklen_t n = NUM(256, 256, 256, 0, 4, 16, 28);
    int fd = slots[arg_slot_of(is_listener)];
    if (prepared(ret_slot(accept4(fd, &a.any, &n, SOCK_NONBLOCK))) != -1)
        say_address(&a, n);
}

static void do_names(void)
{
    union address a = {};
    int fd = slots[arg_slot()];
    socklen_t n = one_in(4) ? arg_num((long[]){0, 1, 4, 15, 16, 27, 28, -1}, 8) : 256;
    if ((one_in(2) ? (arg("peer"), ret(getpeername(fd, &a.any, &n))) : ret(getsockname(fd, &a.any, &n))) == 0 && strcmp(tcp_state(fd), "closed") != 0)
        say_address(&a, n);
}

static void do_shutdown(void)
{
    int fd = slots[arg_slot_of(is_connected)];
    ret(shutdown(fd, NUM(0, 1, 1, 2, 3)));
}

static long arg_size(void) { return NUM(0, 1, 2, 10, 100, 1000, 3000); }

/* How much goes in until there is no room is each kernel's own. */
static bool room_for(int fd, long n)
{
    static struct {
        ino_t ino;
        long sum;
    } sent[1000];
    struct stat st;
    if (fstat(fd, &st) != 0)
        return true;
    for (unsigned i = 0; i < COUNT(sent); i++)
        if (sent[i].ino == st.st_ino || sent[i].ino == 0) {
            sent[i].ino = st.st_ino;
            return (sent[i].sum += n + 500) < 15000;
        }
    return false;
}

static const struct word send_flags[] = {W(MSG_DONTWAIT), W(MSG_OOB), W(MSG_EOR), W(MSG_CONFIRM), W(MSG_DONTROUTE)};
static const struct word recv_flags[] = {W(MSG_PEEK), W(MSG_PEEK), W(MSG_TRUNC), W(MSG_OOB), W(MSG_WAITALL), W(MSG_ERRQUEUE), W(MSG_DONTWAIT), W(MSG_CMSG_CLOEXEC)};
static const struct word msg_flags[] = {W(MSG_TRUNC), W(MSG_CTRUNC), W(MSG_EOR), W(MSG_OOB), W(MSG_ERRQUEUE), W(MSG_PEEK)};

static void do_send(void)
{
    int fd = slots[arg_slot_of(is_connected)];
    long n = arg_size();
    int flags = MSG_NOSIGNAL | SOME(send_flags, 8);
    ret(room_for(fd, n) ? send(fd, DATA, n, flags) : 0);
}

static long ret_data(long r) { return ret_bytes(r, buf, sizeof buf); }

static void do_recv(void)
{
    int fd = slots[arg_slot()];
    long n = arg_size();
    memset(buf, 0, sizeof buf);
    ret_data(recv(fd, buf, n, SOME(recv_flags, 6)));
}

static void do_sendto(void)
{
    union address a;
    int fd = slots[arg_slot()];
    long n = arg_size();
    socklen_t len = arg_place(fd, &a, true);
    int flags = MSG_NOSIGNAL | SOME(send_flags, 16);
    ret(room_for(fd, n) ? sendto(fd, DATA, n, flags, &a.any, len) : 0);
}

static void do_recvfrom(void)
{
    union address a = {};
    int fd = slots[arg_slot()];
    long n = arg_size();
    socklen_t len = NUM(256, 256, 256, 0, 4, 16, 28);
    memset(buf, 0, sizeof buf);
    int flags = SOME(recv_flags, 8);
    if (ret_data(recvfrom(fd, buf, n, flags, &a.any, &len)) != -1)
        say_address(&a, len);
}

static void do_sendmmsg(void)
{
    struct mmsghdr m[3] = {};
    struct iovec v[3][2];
    int fd = slots[arg_slot_of(is_connected)];
    long sum = 0, count = NUM(0, 1, 2, 3);
    for (int i = 0; i < 3; i++) {
        v[i][0] = (struct iovec){DATA, NUM(0, 1, 50)};
        v[i][1] = (struct iovec){DATA + 100, NUM(0, 10, 500)};
        m[i].msg_hdr = (struct msghdr){.msg_iov = v[i], .msg_iovlen = 2};
        sum += v[i][0].iov_len + v[i][1].iov_len + 500;
    }
    int flags = MSG_NOSIGNAL | SOME(send_flags, 16);
    long r = ret(room_for(fd, sum) ? sendmmsg(fd, m, count, flags) : 0);
    for (int i = 0; i < r; i++)
        say(" %u", m[i].msg_len);
}

static void say_message(struct msghdr *m)
{
    say(" name");
    say_address(m->msg_name, m->msg_namelen);
    say(" control %zu ", m->msg_controllen);
    say_flags(msg_flags, COUNT(msg_flags), m->msg_flags);
    for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h != NULL; h = CMSG_NXTHDR(m, h)) {
        say(" [%d %d %zu", h->cmsg_level, h->cmsg_type, (size_t)h->cmsg_len);
        if ((h->cmsg_level == IPPROTO_IP && (h->cmsg_type == IP_TTL || h->cmsg_type == IP_TOS)) || (h->cmsg_level == IPPROTO_IPV6 && (h->cmsg_type == IPV6_HOPLIMIT || h->cmsg_type == IPV6_TCLASS)))
            say(" %u", *CMSG_DATA(h));
        say("]");
    }
}

static void do_recvmmsg(void)
{
    struct mmsghdr m[3] = {};
    struct iovec v[3];
    union address names[3] = {};
    union {
        char bytes[256];
        struct cmsghdr align;
    } c[3] = {};
    int fd = slots[arg_slot()];
    long count = NUM(0, 1, 1, 2, 3);
    memset(buf, 0, sizeof buf);
    for (int i = 0; i < 3; i++) {
        v[i] = (struct iovec){buf + i * 4000, NUM(0, 10, 1000, 4000)};
        m[i].msg_hdr = (struct msghdr){.msg_name = &names[i], .msg_namelen = sizeof names[i], .msg_iov = &v[i], .msg_iovlen = 1, .msg_control = &c[i], .msg_controllen = NUM(256, 256, 0, 8, 16, 20, 24)};
    }
    int flags = SOME(recv_flags, 10);
    long r = ret(recvmmsg(fd, m, count, flags, NULL));
    for (int i = 0; i < r; i++) {
        say(" %u %08x", m[i].msg_len, hash(v[i].iov_base, v[i].iov_len));
        say_message(&m[i].msg_hdr);
    }
}

#define O(level, name) {level, name, #level " " #name}
static const struct {
    int level, name;
    const char *text;
} options[] = {
    O(SOL_SOCKET, SO_TYPE), O(SOL_SOCKET, SO_DOMAIN), O(SOL_SOCKET, SO_PROTOCOL), O(SOL_SOCKET, SO_ERROR), O(SOL_SOCKET, SO_REUSEADDR), O(SOL_SOCKET, SO_REUSEPORT), O(SOL_SOCKET, SO_KEEPALIVE),
    O(SOL_SOCKET, SO_BROADCAST), O(SOL_SOCKET, SO_OOBINLINE), O(SOL_SOCKET, SO_LINGER), O(SOL_SOCKET, SO_LINGER), O(SOL_SOCKET, SO_RCVLOWAT), O(SOL_SOCKET, SO_PRIORITY), O(SOL_SOCKET, SO_DONTROUTE),
    O(SOL_SOCKET, SO_ACCEPTCONN), O(SOL_SOCKET, SO_PEERCRED), O(SOL_SOCKET, SO_PASSCRED), O(SOL_SOCKET, SO_TIMESTAMP), O(SOL_SOCKET, SO_MARK), {SOL_SOCKET, 999, "SOL_SOCKET 999"},
    O(IPPROTO_TCP, TCP_KEEPIDLE), O(IPPROTO_TCP, TCP_KEEPINTVL), O(IPPROTO_TCP, TCP_KEEPCNT), O(IPPROTO_TCP, TCP_SYNCNT), O(IPPROTO_TCP, TCP_LINGER2), O(IPPROTO_TCP, TCP_DEFER_ACCEPT),
    O(IPPROTO_TCP, TCP_USER_TIMEOUT), {IPPROTO_TCP, 999, "IPPROTO_TCP 999"},
    O(IPPROTO_IP, IP_TOS), O(IPPROTO_IP, IP_TTL), O(IPPROTO_IP, IP_RECVTTL), O(IPPROTO_IP, IP_RECVTOS), O(IPPROTO_IP, IP_PKTINFO), O(IPPROTO_IP, IP_RECVERR), O(IPPROTO_IP, IP_MTU_DISCOVER),
    O(IPPROTO_IP, IP_FREEBIND), O(IPPROTO_IP, IP_MULTICAST_TTL), O(IPPROTO_IP, IP_MULTICAST_LOOP), {IPPROTO_IP, 999, "IPPROTO_IP 999"},
    O(IPPROTO_IPV6, IPV6_V6ONLY), O(IPPROTO_IPV6, IPV6_UNICAST_HOPS), O(IPPROTO_IPV6, IPV6_MULTICAST_HOPS), O(IPPROTO_IPV6, IPV6_MULTICAST_LOOP), O(IPPROTO_IPV6, IPV6_RECVPKTINFO),
    O(IPPROTO_IPV6, IPV6_RECVHOPLIMIT), O(IPPROTO_IPV6, IPV6_TCLASS), O(IPPROTO_IPV6, IPV6_RECVTCLASS), O(IPPROTO_IPV6, IPV6_RECVERR), {IPPROTO_IPV6, 999, "IPPROTO_IPV6 999"},
    {IPPROTO_UDP, 999, "IPPROTO_UDP 999"}, {99, 1, "99 1"},
};

static void do_sockopt(void)
{
    int fd = slots[arg_slot()], v[4] = {};
    unsigned i = rnd(COUNT(options));
    arg("%s", options[i].text);
    socklen_t n = NUM(4, 4, 4, 4, 8, 0, 1, 2, 3, 16);
    if ((options[i].level == IPPROTO_IP ? options[i].name == IP_MULTICAST_TTL : options[i].level == IPPROTO_IPV6 && options[i].name == IPV6_MULTICAST_HOPS) && option(fd, SOL_SOCKET, SO_TYPE) == SOCK_STREAM) /* of an accepted one: what the peer's was */
        return;
    if (one_in(2)) {
        v[0] = NUM(0, 1, 1, 2, 5, 64, 255, 256, -1);
        if (v[0] == 0 && options[i].level == IPPROTO_IPV6 && options[i].name == IPV6_UNICAST_HOPS) /* no hops at all: Linux takes that */
            return;
        ret(setsockopt(fd, options[i].level, options[i].name, v, n));
    } else {
        arg("get");
        if (ret(getsockopt(fd, options[i].level, options[i].name, v, &n)) == 0)
            say(" %u %d %d", n, v[0], v[1]);
    }
}

static void do_ioctl(void)
{
    static const struct word cmds[] = {W(FIONREAD), W(SIOCATMARK), W(SIOCATMARK), W(SIOCOUTQ), {0x1234, "0x1234"}};
    int fd = slots[arg_slot()], cmd = ONE(cmds), v = -1;
    long r = ioctl(fd, cmd, &v);
    for (int i = 0; i < 100 && cmd == SIOCOUTQ && r == 0 && v != 0; i++) { /* what is not acknowledged yet */
        usleep(3000);
        r = ioctl(fd, cmd, &v);
    }
    ret(r);
    if (cmd != SIOCOUTQ || strcmp(tcp_state(fd), "closed") != 0)
        say(" %d", v);
}

static const struct word events[] = {W(EPOLLIN), W(EPOLLIN), W(EPOLLOUT), W(EPOLLRDHUP), W(EPOLLPRI), W(EPOLLONESHOT)};
static const struct word seen[] = {W(EPOLLIN), W(EPOLLPRI), W(EPOLLOUT), W(EPOLLERR), W(EPOLLHUP), W(EPOLLRDNORM), W(EPOLLWRNORM), W(EPOLLRDHUP)};

static void do_epoll_ctl(void)
{
    static const struct word ops[] = {W(EPOLL_CTL_ADD), W(EPOLL_CTL_ADD), W(EPOLL_CTL_MOD), W(EPOLL_CTL_DEL)};
    int op = ONE(ops);
    unsigned slot = arg_slot();
    struct epoll_event ev = {.events = SOME(events, 3), .data.u32 = slot * 10000 + step_number()};
    ret(epoll_ctl(epoll, op, slots[slot], &ev));
}

static int by_data(const void *a, const void *b)
{
    uint32_t x = ((const struct epoll_event *)a)->data.u32, y = ((const struct epoll_event *)b)->data.u32;
    return x < y ? -1 : x > y;
}

static void do_epoll_wait(void)
{
    struct epoll_event ev[64];
    long r = ret(epoll_wait(epoll, ev, 64, 0));
    if (r > 0)
        qsort(ev, r, sizeof *ev, by_data);
    for (long i = 0; i < r; i++) {
        say(" f%u@%u ", ev[i].data.u32 / 10000, ev[i].data.u32 % 10000);
        say_flags(seen, COUNT(seen), ev[i].events);
    }
}

static void inet_start(void)
{
    signal(SIGPIPE, SIG_IGN);
    signal(SIGURG, SIG_IGN);
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = 'a' + i * i % 1009 % 26;
    first_port = 10000 + getpid() % 2000 * 10;
    epoll = hidden(epoll_create1(0));
}

static const struct act acts[] = {
    {"socket", do_socket, 24}, {"pair", do_pair, 16}, {"bind", do_bind, 24}, {"listen", do_listen, 16}, {"connect", do_connect, 30}, {"accept", do_accept, 20}, {"names", do_names, 12},
    {"shutdown", do_shutdown, 10}, {"send", do_send, 30}, {"recv", do_recv, 30}, {"sendto", do_sendto, 24}, {"recvfrom", do_recvfrom, 20}, {"sendmmsg", do_sendmmsg, 10}, {"recvmmsg", do_recvmmsg, 16},
    {"sockopt", do_sockopt, 30}, {"ioctl", do_ioctl, 8}, {"epoll_ctl", do_epoll_ctl, 16}, {"epoll_wait", do_epoll_wait, 12}, {"close", do_close, 14}, {"dup", do_dup, 3}, {},
};
const struct mode mode_inet = {"inet", inet_start, acts, inet_after, inet_watch, false};
