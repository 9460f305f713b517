/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drupe-slirp: user networking for one instance, a process around libslirp.
 *
 *   drupe-slirp FRAMES_FD [tcp|udp:SOCKET_FD:GUEST_PORT]... [egress] [egress|from:WORD]...
 *
 * FRAMES_FD is a stream socket that carries Ethernet frames, each behind its
 * length (32 bits, big-endian), as QEMU's `-netdev stream` does. SOCKET_FDs are
 * the published ports: `drupe` has bound them already (so that a taken port is
 * its message, before anything starts). WORDs (abi/boot.h) say where the instance may go, if "egress" is said at all, and from
 * where published ports may be called (slirp_policy.c). The process ends when FRAMES_FD does.
 *
 * What the instance sees is abi/boot.h's networks 10.0.2.0/24 and fec0::/64. It reaches the
 * world but not the host's loopback addresses. DNS goes to the servers that
 * /etc/resolv.conf named when this process started.
 *
 * libslirp makes its listening sockets itself, with a backlog of 1, and reads
 * /etc/resolv.conf whenever it is a second old. We stand between it and the C library
 * for four functions: bind() and listen() put our bound socket with its real
 * backlog in the place of the one it just made; stat() and fopen()
 * answer from what was read at the start, so that the seccomp filter can
 * refuse all files. The filter is there for bugs in libslirp: the frames come
 * from a guest that may be hostile.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <poll.h>
#include <seccomp.h>
#include <signal.h>
#include <slirp/libslirp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "abi/boot.h"
#include "base/bytes.h"
#include "host/lib/fs.h"
#include "host/lib/trim.h"
#include "host/net/fragments.h"
#include "host/net/introduce.h"
#include "host/net/ports.h"
#include "host/net/quiet.h"
#include "host/net/slirp_policy.h"

#define MAX_FRAME 65550u          /* what we accept from the other side */
#define MAX_QUEUE_BYTES (8u << 20) /* towards it; beyond that frames are dropped */
#define HIGH_WATER_BYTES (1u << 20) /* above it the sockets wait */
#define NOBODY 65534

/* --- between libslirp and the C library --------------------------------------- */

static struct stat resolv_stat;
static struct buf resolv_text;
static bool have_resolv;
static int pending_socket = -1; /* takes the place of the next socket that is bound */

#define RESOLV_CONF "/etc/resolv.conf"

int listen(int fd, int backlog);
int bind(int fd, const struct sockaddr *addr, socklen_t len);
/* By their linker names, since the headers may rename the plain ones to the 64-bit ones. */
int answer_stat(const char *path, void *st) __asm__("stat");
int answer_stat64(const char *path, void *st) __asm__("stat64");
FILE *answer_fopen(const char *path, const char *mode) __asm__("fopen");
FILE *answer_fopen64(const char *path, const char *mode) __asm__("fopen64");

int bind(int fd, const struct sockaddr *addr, socklen_t len)
{
    if (pending_socket >= 0) {
        int result = dup3(pending_socket, fd, O_CLOEXEC);
        int type = 0;
        socklen_t size = sizeof(type);
        pending_socket = -1;
        if (result >= 0 && getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_DGRAM)
            slirp_policy_published_udp(fd);
        return result < 0 ? -1 : 0;
    }
    return (int)syscall(SYS_bind, fd, addr, len);
}

/* Only published sockets listen, and those do already. */
int listen(int fd, int backlog)
{
    (void)fd;
    (void)backlog;
    return 0;
}

static bool is_remembered(const char *path)
{
    if (have_resolv && strcmp(path, RESOLV_CONF) == 0)
        return true;
    errno = ENOENT;
    return false;
}

int answer_stat64(const char *path, void *st)
{
    if (!is_remembered(path))
        return -1;
    memcpy(st, &resolv_stat, sizeof(resolv_stat));
    return 0;
}

FILE *answer_fopen64(const char *path, const char *mode)
{
    (void)mode;
    return is_remembered(path) && resolv_text.len ? fmemopen(resolv_text.data, resolv_text.len, "r") : NULL;
}

int answer_stat(const char *path, void *st) { return answer_stat64(path, st); }
FILE *answer_fopen(const char *path, const char *mode) { return answer_fopen64(path, mode); }

/* --- the process ---------------------------------------------------------------- */

struct timer {
    SlirpTimerCb fn;
    void *arg;
    s64 expires_ms; /* -1 = not armed */
    struct timer *next;
};

static struct {
    int frames_fd;
    Slirp *slirp;
    struct buf in;           /* bytes of a frame that has not arrived whole */
    char *out;               /* frames to be sent: [out_start, out_end) of a ring-less buffer */
    size_t out_start, out_end, out_capacity;
    u64 dropped;
    bool gone;
    struct timer *timers;
    struct pollfd *polls;
    size_t polls_used, polls_capacity;
} self;

NORETURN static void fail(const char *what)
{
    warn("user networking: %s: %s", what, strerror(errno));
    _exit(1);
}

static void flush_frames(void)
{
    while (self.out_start < self.out_end) {
        ssize_t n = send(self.frames_fd, self.out + self.out_start, self.out_end - self.out_start,
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            if (errno != EAGAIN && errno != ENOBUFS)
                self.gone = true;
            return;
        }
        self.out_start += (size_t)n;
    }
    self.out_start = self.out_end = 0;
}

static ssize_t send_frame(const void *data, size_t len, void *opaque)
{
    (void)opaque;
    size_t queued = self.out_end - self.out_start;
    if (queued + len + 4 > MAX_QUEUE_BYTES) {
        self.dropped++;
        return (ssize_t)len;
    }
    if (self.out_end + len + 4 > self.out_capacity) {
        memmove(self.out, self.out + self.out_start, queued);
        self.out_start = 0;
        self.out_end = queued;
        if (queued + len + 4 > self.out_capacity) {
            self.out_capacity = MAX(self.out_capacity * 2, queued + len + 65536);
            self.out = xrealloc(self.out, self.out_capacity);
        }
    }
    put_be32(self.out + self.out_end, (u32)len);
    memcpy(self.out + self.out_end + 4, data, len);
    self.out_end += len + 4;
    return (ssize_t)len;
}

static void guest_error(const char *msg, void *opaque)
{
    (void)msg;
    (void)opaque;
}

static int64_t clock_now(void *opaque)
{
    (void)opaque;
    return (int64_t)now_ns();
}

static void *timer_new(SlirpTimerCb fn, void *arg, void *opaque)
{
    (void)opaque;
    struct timer *t = xalloc(sizeof(*t));
    *t = (struct timer){fn, arg, -1, self.timers};
    return self.timers = t;
}

static void timer_free(void *timer, void *opaque)
{
    (void)opaque;
    for (struct timer **link = &self.timers; *link; link = &(*link)->next) {
        if (*link == timer) {
            *link = (*link)->next;
            free(timer);
            return;
        }
    }
}

static void timer_mod(void *timer, int64_t expires_ms, void *opaque)
{
    (void)opaque;
    ((struct timer *)timer)->expires_ms = expires_ms;
}

static void run_timers(void)
{
    s64 now_ms = (s64)(now_ns() / 1000000);
    for (struct timer *t = self.timers; t; t = t->next) {
        if (t->expires_ms >= 0 && t->expires_ms <= now_ms) {
            t->expires_ms = -1;
            t->fn(t->arg);
            break; /* the list may have changed: the next round goes on */
        }
    }
}

static void poll_fd_ignored(int fd, void *opaque)
{
    (void)fd;
    (void)opaque;
}

static void notify(void *opaque) { (void)opaque; }

static const SlirpCb callbacks = {
    .send_packet = send_frame, .guest_error = guest_error, .clock_get_ns = clock_now, .timer_new = timer_new,
    .timer_free = timer_free, .timer_mod = timer_mod, .register_poll_fd = poll_fd_ignored,
    .unregister_poll_fd = poll_fd_ignored, .notify = notify};

static int add_poll(int fd, int events, void *opaque)
{
    (void)opaque;
    if (self.polls_used == self.polls_capacity) {
        self.polls_capacity *= 2;
        self.polls = xrealloc(self.polls, self.polls_capacity * sizeof(*self.polls));
    }
    short want = 0;
    if (events & SLIRP_POLL_IN)
        want |= POLLIN;
    if (events & SLIRP_POLL_OUT)
        want |= POLLOUT;
    if (events & SLIRP_POLL_PRI)
        want |= POLLPRI;
    self.polls[self.polls_used] = (struct pollfd){.fd = fd, .events = want};
    return (int)self.polls_used++;
}

static int get_revents(int index, void *opaque)
{
    (void)opaque;
    short got = self.polls[index].revents;
    int events = 0;
    if (got & POLLIN && slirp_policy_readable(self.polls[index].fd))
        events |= SLIRP_POLL_IN;
    if (got & POLLOUT)
        events |= SLIRP_POLL_OUT;
    if (got & POLLPRI)
        events |= SLIRP_POLL_PRI;
    if (got & POLLERR)
        events |= SLIRP_POLL_ERR;
    if (got & POLLHUP)
        events |= SLIRP_POLL_HUP;
    return events;
}

/*
 * The host's loopback at the gateway's address is hidden in slirp_policy.c, but libslirp hands every other one to the host's
 * connect() and sendto() as it stands: 127/8, and 0/8, which Linux takes for "this host". In the guest's
 * network nobody has such an address (RFC 1122 3.2.1.3), so these frames go nowhere. The same of IPv6 begins with
 * eight zero bytes: ::1, ::, and IPv4 addresses mapped into it.
 */
static bool goes_to_this_host(const char *frame, size_t len)
{
    if (len >= 54 && get_be16(frame + 12) == 0x86dd)
        return memcmp(frame + 38, (const char[8]){0}, 8) == 0;
    return len >= 34 && get_be16(frame + 12) == 0x0800 && ((u8)frame[30] == 127 || frame[30] == 0);
}

static void take_frame(const char *frame, size_t len)
{
    char first[INTRODUCTION_MAX];
    size_t first_len;
    const char *whole = goes_to_this_host(frame, len) ? NULL : fragments_take(frame, &len);
    if (!whole || !introduce(whole, len, first, &first_len))
        return;
    if (first_len)
        slirp_input(self.slirp, (const u8 *)first, (int)first_len);
    slirp_input(self.slirp, (const u8 *)whole, (int)len);
}

/* Hand whole frames to libslirp, keep the rest. */
static void take_frames(void)
{
    size_t at = 0;
    while (self.in.len - at >= 4) {
        u32 len = get_be32(self.in.data + at);
        if (len > MAX_FRAME) {
            warn("user networking: a frame of %u bytes; giving up", len);
            self.gone = true;
            return;
        }
        if (self.in.len - at - 4 < len)
            break;
        take_frame(self.in.data + at + 4, len);
        at += 4 + (size_t)len;
    }
    if (at) {
        memmove(self.in.data, self.in.data + at, self.in.len - at);
        self.in.len -= at;
    }
}

static void read_frames(void)
{
    static char bytes[262144];
    ssize_t n = recv(self.frames_fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        self.gone = true;
        return;
    }
    buf_add(&self.in, bytes, (size_t)n);
    take_frames();
}

static void one_round(void)
{
    uint32_t timeout_ms = 1000;
    self.polls_used = 0;
    bool congested = self.out_end - self.out_start > HIGH_WATER_BYTES;
    add_poll(self.frames_fd, (congested ? 0 : SLIRP_POLL_IN) | (self.out_end > self.out_start ? SLIRP_POLL_OUT : 0), NULL);
    if (!congested)
        slirp_pollfds_fill(self.slirp, &timeout_ms, add_poll, NULL);
    s64 now_ms = (s64)(now_ns() / 1000000);
    for (struct timer *t = self.timers; t; t = t->next)
        if (t->expires_ms >= 0)
            timeout_ms = (uint32_t)MIN((s64)timeout_ms, MAX(t->expires_ms - now_ms, 0));
    int n = poll(self.polls, self.polls_used, (int)timeout_ms);
    if (n < 0 && errno != EINTR)
        fail("poll");
    short frames = n > 0 ? self.polls[0].revents : 0;
    if (frames & (POLLIN | POLLHUP | POLLERR))
        read_frames();
    if (!congested && !self.gone)
        slirp_pollfds_poll(self.slirp, n < 0, get_revents, NULL);
    run_timers();
    flush_frames();
}

static void allow(scmp_filter_ctx filter, const int *calls, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0) < 0)
            fail("seccomp rule");
}

/* Sockets of the internet families, memory, time: nothing else. Files answer EACCES, all the rest kills. */
static void close_doors(void)
{
    static const int calls[] = {
        SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(recvfrom), SCMP_SYS(recvmsg),
        SCMP_SYS(sendto), SCMP_SYS(sendmsg), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(bind), SCMP_SYS(connect),
        SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(getsockopt),
        SCMP_SYS(setsockopt), SCMP_SYS(shutdown), SCMP_SYS(close), SCMP_SYS(dup3), SCMP_SYS(fcntl), SCMP_SYS(lseek),
        SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(brk), SCMP_SYS(munmap),
        SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(futex), SCMP_SYS(exit), SCMP_SYS(exit_group), SCMP_SYS(getrandom),
        SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask), SCMP_SYS(restart_syscall), SCMP_SYS(getpid), SCMP_SYS(newfstatat),
        SCMP_SYS(fstat)};
    static const int families[] = {AF_INET, AF_INET6};
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (!filter)
        fail("seccomp");
    allow(filter, calls, ARRAY_SIZE(calls));
    for (size_t i = 0; i < ARRAY_SIZE(families); i++)
        if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
                             SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)families[i])) < 0)
            fail("seccomp rule");
    /* Most other families, files and registers of devices: refused, not fatal; libraries ask for such things. */
    if (seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_LT, AF_INET)) < 0 ||
        seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1, SCMP_A0(SCMP_CMP_GT, AF_INET6)) < 0 ||
        seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOTTY), SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_LT, FIONREAD)) < 0)
        fail("seccomp rule");
    static const int refused[] = {SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(stat), SCMP_SYS(access), SCMP_SYS(readlink)};
    for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
        seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), refused[i], 0);
    seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, FIONREAD));
    seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1, SCMP_A1(SCMP_CMP_EQ, FIONBIO));
    if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, SCMP_A2(SCMP_CMP_MASKED_EQ, 4 /* PROT_EXEC */, 0)) < 0 ||
        seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
                         SCMP_A2(SCMP_CMP_MASKED_EQ, 4 /* PROT_EXEC */, 0)) < 0 ||
        seccomp_load(filter) < 0)
        fail("seccomp filter");
    seccomp_release(filter);
}

static void drop_privileges(void)
{
    if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
                           setresuid(NOBODY, NOBODY, NOBODY) < 0))
        fail("dropping root");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
        fail("prctl");
    /* setresuid() clears the parent-death signal; FRAMES_FD closing ends us in any case. */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static void remember_resolv_conf(void)
{
    AUTO_CLOSE int fd = open(RESOLV_CONF, O_RDONLY | O_CLOEXEC);
    have_resolv = fd >= 0 && fstat(fd, &resolv_stat) == 0 && file_read_fd(fd, 65536, &resolv_text) == 0;
    slirp_policy_nameservers(resolv_text.data);
}

static struct in_addr address(const char *text)
{
    struct in_addr a = {0};
    inet_pton(AF_INET, text, &a);
    return a;
}

static struct in6_addr address6(const char *text)
{
    struct in6_addr a = {0};
    inet_pton(AF_INET6, text, &a);
    return a;
}

static void publish(const char *spec)
{
    int fd;
    unsigned guest;
    bool udp = str_has_prefix(spec, "udp:");
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } host = {0}, inside = {0};
    socklen_t len = sizeof(host);
    if ((!udp && !str_has_prefix(spec, "tcp:")) || sscanf(spec + 4, "%d:%u", &fd, &guest) != 2 ||
        getsockname(fd, &host.any, &len) < 0)
        fail(spec);
    if (host.any.sa_family == AF_INET6)
        inside.v6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons((u16)guest), .sin6_addr = address6(SLIRP_GUEST6)};
    else
        inside.v4 = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((u16)guest), .sin_addr = address(SLIRP_GUEST)};
    pending_socket = fd;
    if (slirp_add_hostxfwd(self.slirp, &host.any, len, &inside.any, len, udp ? SLIRP_HOSTFWD_UDP : 0) < 0)
        fail("publishing a port");
    if (pending_socket >= 0) {
        errno = EPROTO;
        fail("publishing a port: this libslirp does not bind as expected");
    }
    close(fd);
}

int main(int argc, char **argv)
{
    u64 frames_fd;
    if (argc < 2 || parse_number(argv[1], 0, 1 << 20, &frames_fd) < 0) {
        warn("drupe-slirp is started by drupe");
        return EXIT_DRUPE;
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_IGN); /* ^C is drupe's */
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = MIN(files.rlim_max, (rlim_t)65536);
        setrlimit(RLIMIT_NOFILE, &files);
    }
    quiet_libslirp();
    self.frames_fd = (int)frames_fd;
    self.polls_capacity = 256;
    self.polls = xalloc(self.polls_capacity * sizeof(*self.polls));
    remember_resolv_conf();
    SlirpConfig config = {.version = 1, .in_enabled = true, .vnetwork = address(SLIRP_NET),
                          .vnetmask = address("255.255.255.0"), .vhost = address(SLIRP_GATEWAY),
                          .vdhcp_start = address(SLIRP_GUEST), .vnameserver = address(SLIRP_DNS),
                          .in6_enabled = true, .vprefix_addr6 = address6(SLIRP_NET6), .vprefix_len = 64,
                          .vhost6 = address6(SLIRP_GATEWAY6), .vnameserver6 = address6(SLIRP_DNS6),
                          .vhostname = "drupe"};
    self.slirp = slirp_new(&config, &callbacks, NULL);
    if (!self.slirp)
        fail("libslirp");
    for (int i = 2; i < argc; i++)
        if (!slirp_policy_argument(argv[i]))
            publish(argv[i]);
    drop_privileges();
    close_doors();
    trim_memory();
    while (!self.gone)
        one_round();
    return 0;
}
