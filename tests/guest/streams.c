/* SPDX-License-Identifier: Apache-2.0 */
/* What streams tell and carry beside their bytes, over the loopback interface: TCP_INFO in full, urgent data (tcp(7)), MSG_ZEROCOPY; and the ports that they get */
#include "streams.h"
#include "t.h"
#include <arpa/inet.h>
#include <linux/errqueue.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static char buf[1 << 20];

#define SA(a) ((struct sockaddr *)&(a))
#define INFO_6_1 232 /* bytes of struct tcp_info in Linux 6.1 */

static void pair(int ret[2])
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t l = sizeof a;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    bind(listener, SA(a), sizeof a);
    listen(listener, 5);
    getsockname(listener, SA(a), &l);
    ret[0] = socket(AF_INET, SOCK_STREAM, 0);
    connect(ret[0], SA(a), sizeof a);
    ret[1] = accept(listener, NULL, NULL);
    close(listener);
}

static void close_pair(int s[2])
{
    close(s[0]);
    close(s[1]);
}

/* --- TCP_INFO ----------------------------------------------------------------------------- */

static struct tcp_info info(int s)
{
    struct tcp_info i;
    socklen_t l = INFO_6_1;
    memset(&i, 0, sizeof i);
    getsockopt(s, IPPROTO_TCP, TCP_INFO, &i, &l);
    return i;
}

/* All that was sent has come. */
static void arrived(int from)
{
    for (struct tcp_info i = info(from); i.tcpi_unacked != 0 || i.tcpi_notsent_bytes != 0; i = info(from))
        usleep(1000);
}

static void move(int from, int to, size_t n)
{
    write(from, buf, n);
    recv(to, buf, n, MSG_WAITALL);
    arrived(from);
}

static void show_info(int s)
{
    struct tcp_info i = info(s);
    SHOW(i.tcpi_state);
    SHOW(i.tcpi_bytes_acked);
    SHOW(i.tcpi_bytes_received);
    SHOW(i.tcpi_bytes_sent);
    SHOW(i.tcpi_bytes_retrans);
    SHOW(i.tcpi_notsent_bytes);
    SHOW(i.tcpi_dsack_dups);
    SHOW(i.tcpi_reord_seen);
    SHOW(i.tcpi_rcv_ooopack);
    SHOW(i.tcpi_delivered_ce);
    SHOW(i.tcpi_rwnd_limited);
    SHOW(i.tcpi_sndbuf_limited);
    SHOW_TRUE(i.tcpi_segs_out > i.tcpi_data_segs_out);
    SHOW_TRUE(i.tcpi_segs_in > i.tcpi_data_segs_in);
    SHOW_TRUE(i.tcpi_data_segs_out > 0);
    SHOW_TRUE(i.tcpi_data_segs_in > 0);
    SHOW_TRUE(i.tcpi_delivered == i.tcpi_data_segs_out + 1);
    SHOW_TRUE(i.tcpi_min_rtt > 0 && i.tcpi_min_rtt < 10000000);
    SHOW_TRUE(i.tcpi_snd_wnd > 20000);
    SHOW_TRUE(i.tcpi_delivery_rate > 0);
    SHOW_TRUE(i.tcpi_max_pacing_rate == UINT64_MAX);
}

static void tcp_info(void)
{
    int s[2];
    section("TCP_INFO");
    pair(s);
    struct tcp_info i;
    for (socklen_t n = 0; n <= INFO_6_1; n += INFO_6_1 / 2) {
        socklen_t l = n;
        memset(&i, 0x55, sizeof i);
        SHOW(getsockopt(s[0], IPPROTO_TCP, TCP_INFO, &i, &l));
        SHOW_TRUE(l == n);
        SHOW_TRUE(n == sizeof i || ((char *)&i)[n] == 0x55);
    }
    i = info(s[0]);
    SHOW(i.tcpi_data_segs_out);
    SHOW(i.tcpi_data_segs_in);
    SHOW(i.tcpi_bytes_sent);
    SHOW(i.tcpi_bytes_acked);
    SHOW(info(s[1]).tcpi_bytes_acked);
    SHOW(i.tcpi_pmtu - i.tcpi_advmss);
    SHOW(i.tcpi_segs_out);
    SHOW(i.tcpi_segs_in);
    SHOW(info(s[1]).tcpi_segs_in);
    SHOW(info(s[1]).tcpi_segs_out);
    move(s[0], s[1], 20000);
    move(s[1], s[0], 3000);
    move(s[0], s[1], 1);
    show_info(s[0]);
    show_info(s[1]);
    SHOW(shutdown(s[0], SHUT_WR));
    SHOW(read(s[1], buf, 1));
    SHOW(info(s[1]).tcpi_bytes_received);
    close_pair(s);

    pair(s); /* a peer that does not read */
    while (send(s[0], buf, sizeof buf, MSG_DONTWAIT) > 0)
        ;
    for (i = info(s[0]); i.tcpi_rwnd_limited < 1000 || i.tcpi_snd_wnd > 60000; i = info(s[0]))
        usleep(10000);
    SHOW_TRUE(i.tcpi_notsent_bytes > 0);
    SHOW_TRUE(i.tcpi_busy_time >= i.tcpi_rwnd_limited);
    SHOW_TRUE(i.tcpi_bytes_sent >= i.tcpi_bytes_acked - 1);
    close_pair(s);
}

/* --- urgent data ------------------------------------------------------------------------- */

static volatile sig_atomic_t urgent_signals;
static void on_urgent(int sig) { urgent_signals++; }

static void say(int s[2], const char *text, int flags)
{
    SHOW(send(s[0], text, strlen(text), flags));
    arrived(s[0]);
}

static void mark(int s)
{
    int at = -1, n = -1;
    SHOW(ioctl(s, SIOCATMARK, &at));
    SHOW(at);
    SHOW(ioctl(s, FIONREAD, &n));
    SHOW(n);
    struct pollfd p = {.fd = s, .events = POLLIN | POLLPRI};
    SHOW(poll(&p, 1, 0));
    SHOW(p.revents);
}

static void hear(int s, size_t n, int flags)
{
    memset(buf, 0, 32);
    SHOW(recv(s, buf, n, flags | MSG_DONTWAIT));
    SHOW_STR(buf);
}

static void urgent(bool in_line)
{
    int s[2], one = 1;
    section(in_line ? "urgent data in line" : "urgent data");
    pair(s);
    SHOW(setsockopt(s[0], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one));
    if (in_line)
        SHOW(setsockopt(s[1], SOL_SOCKET, SO_OOBINLINE, &one, sizeof one));
    hear(s[1], 1, MSG_OOB);
    mark(s[1]);
    say(s, "abc", 0);
    mark(s[1]);
    say(s, "d", MSG_OOB);
    say(s, "efg", 0);
    mark(s[1]);
    hear(s[1], 20, MSG_OOB | MSG_PEEK);
    hear(s[1], 20, MSG_PEEK);
    hear(s[1], 2, 0);
    mark(s[1]);
    hear(s[1], 20, MSG_OOB);
    mark(s[1]);
    hear(s[1], 20, MSG_OOB);
    hear(s[1], 20, MSG_WAITALL);
    mark(s[1]);
    hear(s[1], 20, MSG_PEEK);
    hear(s[1], 20, 0);
    mark(s[1]);

    say(s, "12!", MSG_OOB); /* a second one before the first was read */
    say(s, "34?", MSG_OOB);
    mark(s[1]);
    hear(s[1], 20, 0);
    mark(s[1]);
    hear(s[1], 20, MSG_PEEK);
    hear(s[1], 20, 0);
    hear(s[1], 20, MSG_OOB);
    mark(s[1]);

    say(s, "mn<", MSG_OOB); /* and when reading has come to it */
    hear(s[1], 20, 0);
    mark(s[1]);
    say(s, "op>", MSG_OOB);
    mark(s[1]);
    hear(s[1], 20, MSG_PEEK);
    hear(s[1], 20, 0);
    mark(s[1]);
    hear(s[1], 0, MSG_OOB);
    hear(s[1], 20, MSG_OOB);
    hear(s[1], 20, 0);
    mark(s[1]);

    say(s, "last", MSG_OOB);
    SHOW(close(s[0]));
    poll(&(struct pollfd){.fd = s[1], .events = POLLRDHUP}, 1, 5000);
    hear(s[1], 20, 0);
    hear(s[1], 20, 0);
    hear(s[1], 20, MSG_OOB);
    close(s[1]);
}

/* Urgent data of which only a part goes: its last byte is the urgent one. */
static void urgent_in_part(void)
{
    static char big[16 << 20];
    int s[2], at = 0;
    section("urgent data in part");
    pair(s);
    ssize_t sent = send(s[0], big, sizeof big, MSG_OOB | MSG_DONTWAIT), seen = 0;
    SHOW_TRUE(sent > 1 && sent < (ssize_t)sizeof big);
    while (at == 0 && seen < sent) {
        ssize_t n = recv(s[1], big, sizeof big, 0);
        seen += n > 0 ? n : sent;
        ioctl(s[1], SIOCATMARK, &at);
    }
    SHOW(at);
    SHOW(sent - seen);
    close(s[0]);
    close(s[1]);
}

static void urgent_signal(void)
{
    int s[2], owner = 0, d = socket(AF_INET, SOCK_DGRAM, 0);
    section("SIGURG");
    pair(s);
    signal(SIGURG, on_urgent);
    say(s, "1", MSG_OOB);
    SHOW(urgent_signals);
    SHOW(ioctl(s[1], SIOCGPGRP, &owner));
    SHOW(owner);
    owner = getpid();
    SHOW(ioctl(s[1], SIOCSPGRP, &owner));
    SHOW_TRUE(fcntl(s[1], F_GETOWN) == getpid());
    say(s, "ordinary", 0);
    SHOW(urgent_signals);
    for (int i = 1; i <= 3; i++) {
        say(s, "urgent", MSG_OOB);
        while (urgent_signals < i)
            usleep(1000);
        SHOW(urgent_signals);
    }
    int e = epoll_create1(0);
    struct epoll_event ev = {.events = EPOLLPRI}, got = {0};
    SHOW(epoll_ctl(e, EPOLL_CTL_ADD, s[1], &ev));
    SHOW(epoll_wait(e, &got, 1, 0));
    SHOW(got.events);
    SHOW(send(d, "x", 1, MSG_OOB));
    SHOW(ioctl(d, SIOCATMARK, &owner));
    close(e);
    close(d);
    close_pair(s);
}

/* --- MSG_ZEROCOPY --------------------------------------------------------------------------- */

static int zerocopy(int s, int v) { return setsockopt(s, SOL_SOCKET, SO_ZEROCOPY, &v, sizeof v); }

/* Wait for a notification and show it. */
static void notification(int s)
{
    char control[128];
    struct iovec v = {buf, 16};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct pollfd p = {.fd = s};
    SHOW(poll(&p, 1, 5000));
    SHOW(p.revents);
    SHOW(recvmsg(s, &m, MSG_ERRQUEUE));
    SHOW(m.msg_flags);
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (c == NULL)
        return;
    struct sock_extended_err *e = (void *)CMSG_DATA(c);
    SHOW(c->cmsg_len);
    SHOW(c->cmsg_level);
    SHOW(c->cmsg_type);
    SHOW(e->ee_errno);
    SHOW(e->ee_origin);
    SHOW(e->ee_code);
    SHOW(e->ee_info);
    SHOW(e->ee_data);
}

static void zero_copy(void)
{
    int s[2], on = -1, u;
    socklen_t l = sizeof on;
    section("MSG_ZEROCOPY");
    pair(s);
    u = socket(AF_UNIX, SOCK_STREAM, 0);
    SHOW(zerocopy(u, 1));
    SHOW(close(u));
    SHOW(zerocopy(s[0], 2));
    SHOW(send(s[0], "none", 4, MSG_ZEROCOPY)); /* without the option: an ordinary send */
    SHOW(recv(s[0], buf, 16, MSG_ERRQUEUE));
    SHOW(zerocopy(s[0], 1));
    SHOW(getsockopt(s[0], SOL_SOCKET, SO_ZEROCOPY, &on, &l));
    SHOW(on);
    SHOW(send(s[0], "copy", 4, 0));
    for (int i = 0; i < 3; i++) {
        memset(buf + 500000, 'a' + i, 100000);
        SHOW(send(s[0], buf + 500000, 100000, MSG_ZEROCOPY));
        SHOW(recv(s[1], buf, i == 0 ? 100008 : 100000, MSG_WAITALL));
        SHOW_TRUE(buf[99999] == 'a' + i && buf[60000] == 'a' + i);
        notification(s[0]);
    }
    SHOW(send(s[0], "", 0, MSG_ZEROCOPY));
    SHOW(send(s[0], (void *)8, 10, MSG_ZEROCOPY));
    SHOW(recv(s[0], buf, 16, MSG_ERRQUEUE));
    SHOW(send(s[0], "x", 1, MSG_ZEROCOPY));
    SHOW(recv(s[1], buf, 16, 0));
    notification(s[0]);
    SHOW(shutdown(s[0], SHUT_WR));
    SHOW(send(s[0], "x", 1, MSG_ZEROCOPY | MSG_NOSIGNAL));
    SHOW(recv(s[0], buf, 16, MSG_ERRQUEUE));
    close_pair(s);
}

/* --- ports ---------------------------------------------------------------------------------- */

/* A port that bind() chose is free for the next one, too, although many others are of connections that have ended. */
static void chosen_ports(void)
{
    section("ports that bind chooses");
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t l = sizeof server;
    int listener = socket(AF_INET, SOCK_STREAM, 0), failed = 0;
    bind(listener, SA(server), l);
    listen(listener, 5);
    getsockname(listener, SA(server), &l);
    for (int i = 0; i < 800; i++) {
        int c = socket(AF_INET, SOCK_STREAM, 0);
        failed += connect(c, SA(server), l) != 0;
        int s = accept(listener, NULL, NULL);
        close(c);
        failed += read(s, buf, 1) != 0;
        close(s);
    }
    SHOW(failed);
    for (int i = 0; i < 400; i++) {
        struct sockaddr_in a = {.sin_family = AF_INET};
        int first = socket(AF_INET, SOCK_STREAM, 0), again = socket(AF_INET, SOCK_STREAM, 0);
        failed += bind(first, SA(a), l) != 0;
        getsockname(first, SA(a), &l);
        close(first);
        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        failed += bind(again, SA(a), l) != 0;
        close(again);
    }
    SHOW(failed);
    close(listener);
}

/* Write text to a setting of IPv4 (NULL: only read), and what it is then. */
static void setting(const char *name, const char *text)
{
    char path[80], now[32] = "";
    snprintf(path, sizeof path, "/proc/sys/net/ipv4/%s", name);
    int f = open(path, O_RDWR);
    errno = 0;
    long wrote = text == NULL ? 0 : write(f, text, strlen(text));
    show(text == NULL ? name : text, wrote);
    lseek(f, 0, SEEK_SET);
    if (read(f, now, sizeof now - 1) > 0)
        printf("%s is %s", name, now);
    close(f);
}

static void windows(void)
{
    section("TCP_INFO: windows");
    int s[2], clamp = 4096;
    pair(s);
    struct tcp_info i = info(s[0]);
    SHOW_TRUE(i.tcpi_rcv_space > 10000 && i.tcpi_rcv_space <= 65536);
    SHOW_TRUE(i.tcpi_rcv_ssthresh > 10000 && i.tcpi_rcv_ssthresh <= 65536);
    SHOW(setsockopt(s[0], IPPROTO_TCP, TCP_WINDOW_CLAMP, &clamp, sizeof clamp));
    SHOW_TRUE(info(s[0]).tcpi_rcv_ssthresh <= 4096);
    close_pair(s);
}

static void mtu_probing(void)
{
    section("tcp_mtu_probing");
    static const char *const names[] = {"tcp_mtu_probing", "tcp_base_mss", "tcp_mtu_probe_floor", "tcp_probe_threshold", "tcp_probe_interval"};
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        setting(names[i], NULL);
    setting(names[0], "256");
    setting(names[0], "x");
    setting(names[2], "47");
    setting(names[2], "65536");
    setting(names[0], "2");
    setting(names[1], "900");
    int s[2];
    pair(s);
    SHOW(info(s[0]).tcpi_snd_mss);
    close_pair(s);
    setting(names[0], "0");
    setting(names[1], "1024");
}

int main(void)
{
    mtu_probing();
    windows();
    tcp_info();
    urgent(false);
    urgent(true);
    urgent_in_part();
    urgent_signal();
    zero_copy();
    chosen_ports();
    unix_urgent();
    return 0;
}
