/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Both ends of a load on a server's network.
 *
 *   load echo PORT                     UDP: what comes goes back
 *   load answer PORT                   TCP, one epoll: "ok" for the first bytes of a connection, then it is closed; 64 KiB for "!"
 *   load hold PORT N                   TCP at PORT to PORT + 3, one epoll: connections stay; says what memory N of them took
 *   load udp HOST PORT SECONDS WINDOW  64-byte datagrams, WINDOW under way: answers per second
 *   load open HOST PORT N              N connections, held until its input ends
 *   load slow HOST PORT N              the same, each with a byte now and then
 *   load tiny HOST PORT N              the same, each with one byte after another, each a segment of its own
 *   load shrink HOST PORT N            the same, each asks for much all the time and reads nothing; its window becomes ever smaller
 *   load rate HOST PORT SECONDS N      N at a time: connect, ask, read the answer, close: how many per second, how many failed
 *   load flood KIND HOST PORT SECONDS  packets from made-up senders as fast as they go: how many per second. KIND is syn; half: 100,000
 *                                      SYNs, then silence; ack: of no connection; pieces: first fragments without a rest; overlap: two
 *                                      fragments that share bytes
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LISTENERS 4 /* of hold: Linux looks long for a local port when half of them go to one place */

static char buf[65536];

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static struct sockaddr_in address(const char *host, const char *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    if (host && inet_pton(AF_INET, host, &a.sin_addr) != 1)
        die(host);
    return a;
}

static int bound(int type, const char *port)
{
    struct sockaddr_in a = address(NULL, port);
    int one = 1, s = socket(AF_INET, type, 0);
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(s, (void *)&a, sizeof a) < 0 || (type != SOCK_DGRAM && listen(s, 4096) < 0))
        die("bind");
    return s;
}

static long free_kib(void)
{
    long kib = 0;
    FILE *f = fopen("/proc/meminfo", "r");
    while (f && fgets(buf, sizeof buf, f))
        if (sscanf(buf, "MemFree: %ld", &kib) == 1)
            break;
    if (f)
        fclose(f);
    return kib;
}

static void echo(const char *port)
{
    int s = bound(SOCK_DGRAM, port);
    struct sockaddr_in from;
    puts("ready");
    for (;;) {
        socklen_t len = sizeof from;
        ssize_t n = recvfrom(s, buf, sizeof buf, 0, (void *)&from, &len);
        if (n >= 0)
            sendto(s, buf, (size_t)n, 0, (void *)&from, len);
    }
}

static void serve(const char *port, long hold)
{
    int listeners[LISTENERS], nl = hold ? LISTENERS : 1, ep = epoll_create1(0);
    long held = 0, before = free_kib();
    struct epoll_event e, got[256];
    for (int i = 0; i < nl; i++) {
        char text[8];
        snprintf(text, sizeof text, "%d", atoi(port) + i);
        listeners[i] = bound(SOCK_STREAM, text);
        fcntl(listeners[i], F_SETFL, O_NONBLOCK);
        e = (struct epoll_event){.events = EPOLLIN, .data.fd = listeners[i]};
        epoll_ctl(ep, EPOLL_CTL_ADD, listeners[i], &e);
    }
    puts("ready");
    for (;;) {
        int n = epoll_wait(ep, got, 256, -1);
        for (int i = 0; i < n; i++) {
            int s = got[i].data.fd;
            if (s <= listeners[nl - 1] && s >= listeners[0]) {
                for (int c; (c = accept4(s, NULL, NULL, SOCK_NONBLOCK)) >= 0; held++) {
                    e = (struct epoll_event){.events = EPOLLIN, .data.fd = c};
                    epoll_ctl(ep, EPOLL_CTL_ADD, c, &e);
                }
                if (hold && held >= hold) {
                    printf("held %ld KiB %ld\n", held, before - free_kib());
                    hold = 0;
                }
                continue;
            }
            ssize_t r = read(s, buf, sizeof buf);
            if (r > 0 && buf[0] == '?')
                r = write(s, "ok", 2) - 2;
            else if (r > 0 && buf[0] == '!')
                (void)!write(s, buf, sizeof buf);
            if (r == 0 || (r < 0 && errno != EAGAIN))
                close(s);
        }
    }
}

static void udp(char **v)
{
    struct sockaddr_in to = address(v[0], v[1]);
    double seconds = atof(v[2]), begin = now();
    int window = atoi(v[3]), s = socket(AF_INET, SOCK_DGRAM, 0), out = 0;
    long answers = 0, lost = 0;
    if (connect(s, (void *)&to, sizeof to) < 0)
        die("connect");
    while (now() - begin < seconds) {
        for (; out < window; out++)
            if (send(s, buf, 64, 0) < 0)
                break;
        struct pollfd p = {.fd = s, .events = POLLIN};
        if (poll(&p, 1, 200) == 0) {
            lost += out;
            out = 0;
        }
        for (; recv(s, buf, sizeof buf, MSG_DONTWAIT) >= 0; answers++)
            out -= out > 0;
    }
    printf("%.0f %ld\n", (double)answers / (now() - begin), lost);
}

static int begin_connect(const struct sockaddr_in *to)
{
    int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (s < 0)
        die("socket");
    if (connect(s, (const void *)to, sizeof *to) < 0 && errno != EINPROGRESS)
        die("connect");
    return s;
}

/* What each connection does in its turn, until the input ends; NULL: nothing. */
typedef void turn_fn(int s, long round);

static void slow(int s, long round)
{
    (void)!write(s, "x", 1);
    usleep(1000);
}

static void tiny(int s, long round)
{
    int one = 1;
    if (round == 0)
        setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    (void)!write(s, "x", 1);
}

static void shrink(int s, long round)
{
    int least = 1, clamp = round < 100 ? 10000 - 100 * (int)round : 1;
    if (round == 0)
        setsockopt(s, SOL_SOCKET, SO_RCVBUF, &least, sizeof least);
    setsockopt(s, IPPROTO_TCP, TCP_WINDOW_CLAMP, &clamp, sizeof clamp);
    (void)!write(s, "!", 1);
}

static void open_many(char **v, turn_fn *turn)
{
    struct sockaddr_in to = address(v[0], v[1]);
    long n = atol(v[2]), made = 0, failed = 0;
    int *fds = calloc((size_t)n, sizeof *fds);
    for (long i = 0; i < n; i += 500) { /* so many at a time */
        long end = i + 500 < n ? i + 500 : n;
        for (long k = i; k < end; k++)
            fds[k] = begin_connect(&to);
        for (long k = i; k < end; k++) {
            struct pollfd p = {.fd = fds[k], .events = POLLOUT};
            int err = ETIMEDOUT;
            socklen_t len = sizeof err;
            if (poll(&p, 1, 20000) == 1)
                getsockopt(fds[k], SOL_SOCKET, SO_ERROR, &err, &len);
            *(err ? &failed : &made) += 1;
        }
    }
    printf("open %ld failed %ld\n", made, failed);
    struct pollfd p = {.fd = 0, .events = POLLIN};
    for (long i = 0; poll(&p, 1, turn ? 0 : -1) == 0; i++)
        turn(fds[i % n], i / n);
}

static void rate(char **v)
{
    struct sockaddr_in to = address(v[0], v[1]);
    double seconds = atof(v[2]), begin = now();
    int n = atoi(v[3]), ep = epoll_create1(0);
    long good = 0, bad = 0;
    struct linger hard = {.l_onoff = 1};
    for (int i = 0; i < n; i++) {
        struct epoll_event e = {.events = EPOLLOUT, .data.fd = begin_connect(&to)};
        epoll_ctl(ep, EPOLL_CTL_ADD, e.data.fd, &e);
    }
    while (now() - begin < seconds) {
        struct epoll_event got[256];
        int k = epoll_wait(ep, got, 256, 1000);
        for (int i = 0; i < k; i++) {
            int s = got[i].data.fd;
            struct epoll_event e = {.events = EPOLLIN, .data.fd = s};
            if (got[i].events == EPOLLOUT && write(s, "?", 1) == 1) {
                epoll_ctl(ep, EPOLL_CTL_MOD, s, &e);
                continue;
            }
            *(read(s, buf, 2) == 2 ? &good : &bad) += 1;
            setsockopt(s, SOL_SOCKET, SO_LINGER, &hard, sizeof hard); /* no TIME_WAIT: ports last */
            close(s);
            e = (struct epoll_event){.events = EPOLLOUT, .data.fd = begin_connect(&to)};
            epoll_ctl(ep, EPOLL_CTL_ADD, e.data.fd, &e);
        }
    }
    printf("%.0f %ld\n", (double)good / (now() - begin), bad);
}

static uint32_t sum(const void *p, size_t n, uint32_t s)
{
    for (size_t i = 0; i < n; i += 2)
        s += *(const uint16_t *)((const char *)p + i);
    return s;
}

static uint16_t fold(uint32_t s)
{
    while (s >> 16)
        s = (s & 0xffff) + (s >> 16);
    return (uint16_t)~s;
}

#define HALF_OPEN 100000
#define FRAGMENT_BYTES 24

static struct flood_packet {
    struct iphdr ip;
    struct tcphdr tcp;
    char rest[FRAGMENT_BYTES - sizeof(struct tcphdr)]; /* of fragments */
} packet;

/* The next packet: a number for its sender and whatever else varies, the one for its flags, the one for its place in a datagram. */
static void make_packet(const struct sockaddr_in *to, uint32_t x, int ack, uint16_t frag)
{
    struct {
        uint32_t src, dst;
        uint16_t proto, len;
    } pseudo = {0, to->sin_addr.s_addr, htons(IPPROTO_TCP), htons(20)};
    size_t len = sizeof(struct iphdr) + (frag ? FRAGMENT_BYTES : sizeof(struct tcphdr));
    memset(&packet, 0, sizeof packet);
    packet.ip = (struct iphdr){.version = 4, .ihl = 5, .tot_len = htons((uint16_t)len), .ttl = 64, .protocol = IPPROTO_TCP, .daddr = to->sin_addr.s_addr,
                               .id = (uint16_t)(x >> 4 | 1), .frag_off = htons(frag),
                               .saddr = htonl(0xc6120000u | (x >> 8 & 0x1ffff))}; /* 198.18.0.0/15 is for such (RFC 2544) */
    packet.tcp = (struct tcphdr){.source = htons((uint16_t)(1024 + (x >> 16) % 60000)), .dest = to->sin_port, .seq = x, .ack_seq = ack ? ~x : 0, .doff = 5,
                                 .syn = !ack, .ack = ack != 0, .window = 65535};
    pseudo.src = packet.ip.saddr;
    packet.tcp.check = fold(sum(&packet.tcp, sizeof packet.tcp, sum(&pseudo, sizeof pseudo, 0)));
}

static void flood(char **v)
{
    const char *kind = v[0];
    struct sockaddr_in to = address(v[1], v[2]);
    double seconds = atof(v[3]), begin = now();
    int s = socket(AF_INET, SOCK_RAW, IPPROTO_RAW), ack = strcmp(kind, "ack") == 0, overlap = strcmp(kind, "overlap") == 0;
    uint16_t frag = overlap || strcmp(kind, "pieces") == 0 ? IP_MF : 0;
    long sent = 0, most = strcmp(kind, "half") == 0 ? HALF_OPEN : INT64_MAX;
    uint32_t x = 12345;
    while (sent < most && (sent % 256 != 0 || now() - begin < seconds)) {
        int second = overlap && sent % 2;
        if (!second)
            x = x * 1664525 + 1013904223;
        make_packet(&to, x, ack, second ? IP_MF | 1 : frag); /* eight bytes on */
        if (sendto(s, &packet, ntohs(packet.ip.tot_len), 0, (void *)&to, sizeof to) > 0)
            sent++;
        else if (errno == EPERM || errno == EBADF)
            die("raw socket");
    }
    printf("%.0f\n", (double)sent / (now() - begin));
}

int main(int argc, char **argv)
{
    struct rlimit r;
    signal(SIGPIPE, SIG_IGN);
    setvbuf(stdout, NULL, _IOLBF, 0);
    r.rlim_cur = r.rlim_max = 200000;
    if (setrlimit(RLIMIT_NOFILE, &r) < 0 && getrlimit(RLIMIT_NOFILE, &r) == 0) {
        r.rlim_cur = r.rlim_max;
        setrlimit(RLIMIT_NOFILE, &r);
    }
    const char *role = argc > 2 ? argv[1] : "";
    if (strcmp(role, "echo") == 0)
        echo(argv[2]);
    else if (strcmp(role, "answer") == 0)
        serve(argv[2], 0);
    else if (strcmp(role, "hold") == 0 && argc == 4)
        serve(argv[2], atol(argv[3]));
    else if (strcmp(role, "udp") == 0 && argc == 6)
        udp(argv + 2);
    else if (strcmp(role, "open") == 0 && argc == 5)
        open_many(argv + 2, NULL);
    else if (strcmp(role, "slow") == 0 && argc == 5)
        open_many(argv + 2, slow);
    else if (strcmp(role, "tiny") == 0 && argc == 5)
        open_many(argv + 2, tiny);
    else if (strcmp(role, "shrink") == 0 && argc == 5)
        open_many(argv + 2, shrink);
    else if (strcmp(role, "rate") == 0 && argc == 6)
        rate(argv + 2);
    else if (strcmp(role, "flood") == 0 && argc == 6)
        flood(argv + 2);
    else
        return 2;
    return 0;
}
