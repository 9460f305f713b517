/* SPDX-License-Identifier: Apache-2.0 */
/* Structures, strings and addresses as strace(1) prints them: decode.h. */
#include "host/trace/decode_impl.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <net/if_arp.h>
#include <linux/if_ether.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <linux/stat.h>

void add_pointer(struct buf *out, u64 p)
{
    if (p)
        buf_addf(out, "%#llx", (unsigned long long)p);
    else
        buf_addf(out, "NULL");
}

void add_quoted(struct buf *out, const u8 *data, size_t len, bool cut, bool hex)
{
    buf_add(out, "\"", 1);
    for (size_t i = 0; i < len; i++) {
        static const char escapes[] = "abtnvfr"; /* 7 to 13 */
        u8 c = data[i];
        bool digit = i + 1 < len && data[i + 1] >= '0' && data[i + 1] <= '9';
        if (hex)
            buf_addf(out, "\\x%02x", c);
        else if (c == '"' || c == '\\')
            buf_addf(out, "\\%c", c);
        else if (c >= ' ' && c < 127)
            buf_add(out, &c, 1);
        else if (c >= 9 && c <= 13)
            buf_addf(out, "\\%c", escapes[c - 7]);
        else
            buf_addf(out, digit ? "\\%03o" : "\\%o", c);
    }
    buf_addf(out, cut ? "\"..." : "\"");
}

void add_mode(struct buf *out, u32 mode)
{
    static const struct { u32 value; const char *name; } types[] = {{S_IFREG, "S_IFREG"}, {S_IFDIR, "S_IFDIR"}, {S_IFCHR, "S_IFCHR"},
        {S_IFBLK, "S_IFBLK"}, {S_IFIFO, "S_IFIFO"}, {S_IFLNK, "S_IFLNK"}, {S_IFSOCK, "S_IFSOCK"}};
    for (size_t i = 0; i < ARRAY_SIZE(types); i++)
        if ((mode & S_IFMT) == types[i].value)
            buf_addf(out, "%s|", types[i].name);
    if (mode & S_ISUID)
        buf_addf(out, "S_ISUID|");
    if (mode & S_ISGID)
        buf_addf(out, "S_ISGID|");
    if (mode & S_ISVTX)
        buf_addf(out, "S_ISVTX|");
    buf_addf(out, mode & 0777 ? "%#o" : "000", mode & 0777);
}

static void add_signal_short(struct buf *out, int signal)
{
    const char *name = signal_name((u32)signal);
    if (name)
        buf_addf(out, "%s", name);
    else if (signal == 32)
        buf_addf(out, "RTMIN");
    else
        buf_addf(out, "RT_%d", signal - 32);
}

void add_sigset(struct buf *out, u64 set)
{
    bool inverted = __builtin_popcountll(set) > 42; /* most: strace shows what is not in it */
    const char *between = "";
    buf_addf(out, inverted ? "~[" : "[");
    for (int s = 1; s <= 64; s++)
        if ((set >> (s - 1) & 1) != inverted) {
            buf_addf(out, "%s", between);
            add_signal_short(out, s);
            between = " ";
        }
    buf_add(out, "]", 1);
}

static void add_port_and_ip(struct buf *out, const u8 *data, size_t len)
{
    char text[INET6_ADDRSTRLEN] = "";
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    memcpy(&in, data, MIN(len, sizeof(in)));
    if (in.sin_family == AF_INET) {
        inet_ntop(AF_INET, &in.sin_addr, text, sizeof(text));
        buf_addf(out, ", sin_port=htons(%u), sin_addr=inet_addr(\"%s\")", ntohs(in.sin_port), text);
        return;
    }
    memcpy(&in6, data, sizeof(in6));
    inet_ntop(AF_INET6, &in6.sin6_addr, text, sizeof(text));
    buf_addf(out, ", sin6_port=htons(%u), sin6_flowinfo=htonl(%u), inet_pton(AF_INET6, \"%s\", &sin6_addr), sin6_scope_id=",
             ntohs(in6.sin6_port), ntohl(in6.sin6_flowinfo), text);
    if (IN6_IS_ADDR_LINKLOCAL(&in6.sin6_addr) || IN6_IS_ADDR_MC_LINKLOCAL(&in6.sin6_addr))
        add_interface(out, in6.sin6_scope_id);
    else
        buf_addf(out, "%u", in6.sin6_scope_id);
}

static void add_packet_address(struct buf *out, const u8 *data)
{
    static const char *const kinds[] = {"PACKET_HOST", "PACKET_BROADCAST", "PACKET_MULTICAST", "PACKET_OTHERHOST", "PACKET_OUTGOING"};
    struct sockaddr_ll ll;
    memcpy(&ll, data, sizeof(ll));
    u16 protocol = ntohs(ll.sll_protocol);
    const char *name = protocol == ETH_P_ALL ? "ETH_P_ALL" : protocol == ETH_P_IP ? "ETH_P_IP" : protocol == ETH_P_ARP ? "ETH_P_ARP" : protocol == ETH_P_IPV6 ? "ETH_P_IPV6" : NULL;
    if (name)
        buf_addf(out, ", sll_protocol=htons(%s), sll_ifindex=", name);
    else
        buf_addf(out, ", sll_protocol=htons(%#x), sll_ifindex=", protocol);
    add_interface(out, (u32)ll.sll_ifindex);
    buf_addf(out, ll.sll_hatype == ARPHRD_ETHER ? ", sll_hatype=ARPHRD_ETHER" : ll.sll_hatype == ARPHRD_LOOPBACK ? ", sll_hatype=ARPHRD_LOOPBACK" : ", sll_hatype=%#x", ll.sll_hatype);
    buf_addf(out, ll.sll_pkttype < ARRAY_SIZE(kinds) ? ", sll_pkttype=%s" : ", sll_pkttype=%s /* PACKET_??? */", ll.sll_pkttype < ARRAY_SIZE(kinds) ? kinds[ll.sll_pkttype] : "?");
    buf_addf(out, ", sll_halen=%u", ll.sll_halen);
    for (u32 i = 0; i < MIN(ll.sll_halen, 8u); i++)
        buf_addf(out, "%s%#x", i ? ", " : ", sll_addr=[", ll.sll_addr[i]);
    buf_addf(out, ll.sll_halen ? "]" : "");
}

void add_sockaddr(struct buf *out, const u8 *data, size_t len)
{
    u16 family;
    struct sockaddr_nl nl;
    memcpy(&family, data, sizeof(family));
    buf_addf(out, "{sa_family=");
    add_enum(out, SET_family, family);
    if ((family == AF_INET && len >= sizeof(struct sockaddr_in)) || (family == AF_INET6 && len >= sizeof(struct sockaddr_in6))) {
        add_port_and_ip(out, data, len);
    } else if (family == AF_UNIX && len > 2) {
        bool abstract = data[2] == 0;
        size_t n = abstract ? len - 3 : strnlen((const char *)data + 2, len - 2);
        buf_addf(out, abstract ? ", sun_path=@" : ", sun_path=");
        add_quoted(out, data + 2 + abstract, n, false, false);
    } else if (family == AF_NETLINK && len >= sizeof(nl)) {
        memcpy(&nl, data, sizeof(nl));
        buf_addf(out, ", nl_pid=%u, nl_groups=%#08x", nl.nl_pid, nl.nl_groups);
    } else if (family == AF_PACKET && len >= sizeof(struct sockaddr_ll)) {
        add_packet_address(out, data);
    } else if (len > 2 && family != AF_UNIX) {
        buf_addf(out, ", sa_data=");
        add_quoted(out, data + 2, len - 2, false, false);
    }
    buf_add(out, "}", 1);
}

static void add_wait_status(struct buf *out, u32 status)
{
    if (WIFEXITED(status)) {
        buf_addf(out, "{WIFEXITED(s) && WEXITSTATUS(s) == %d}", WEXITSTATUS(status));
    } else if (WIFSIGNALED(status)) {
        buf_addf(out, "{WIFSIGNALED(s) && WTERMSIG(s) == ");
        add_signal(out, (u64)WTERMSIG(status));
        buf_addf(out, WCOREDUMP(status) ? " && WCOREDUMP(s)}" : "}");
    } else if (WIFSTOPPED(status)) {
        buf_addf(out, "{WIFSTOPPED(s) && WSTOPSIG(s) == ");
        add_signal(out, (u64)WSTOPSIG(status));
        buf_add(out, "}", 1);
    } else {
        buf_addf(out, "{WIFCONTINUED(s)}");
    }
}

static void add_si_code(struct buf *out, u32 signal, s32 code)
{
    static const char *const children[] = {"CLD_EXITED", "CLD_KILLED", "CLD_DUMPED", "CLD_TRAPPED", "CLD_STOPPED", "CLD_CONTINUED"};
    static const struct { s32 code; const char *name; } codes[] = {{0, "SI_USER"}, {0x80, "SI_KERNEL"}, {-1, "SI_QUEUE"}, {-2, "SI_TIMER"}, {-6, "SI_TKILL"}};
    if (signal == SIGCHLD && code >= 1 && code <= 6) {
        buf_addf(out, "%s", children[code - 1]);
        return;
    }
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
        if (codes[i].code == code) {
            buf_addf(out, "%s", codes[i].name);
            return;
        }
    if (signal == SIGSEGV && (code == 1 || code == 2))
        buf_addf(out, code == 1 ? "SEGV_MAPERR" : "SEGV_ACCERR");
    else
        buf_addf(out, "%d", code);
}

void add_siginfo(struct buf *out, const u8 *data, size_t len)
{
    s32 i[8] = {0};
    memcpy(i, data, MIN(len, sizeof(i)));
    buf_addf(out, "{si_signo=");
    add_signal(out, (u32)i[0]);
    buf_addf(out, ", si_code=");
    add_si_code(out, (u32)i[0], i[2]);
    if (i[0] == SIGCHLD || i[2] == SI_USER || i[2] == SI_TKILL || i[2] == SI_QUEUE)
        buf_addf(out, ", si_pid=%d, si_uid=%d", i[4], i[5]);
    if (i[2] == SI_QUEUE && len >= 32)
        buf_addf(out, ", si_int=%d, si_ptr=%#llx", i[6], (unsigned long long)word(data, 24));
    if (i[0] == SIGCHLD && i[2] != CLD_EXITED && i[2] > 0) {
        buf_addf(out, ", si_status=");
        add_signal(out, (u32)i[6]);
    } else if (i[0] == SIGCHLD) {
        buf_addf(out, ", si_status=%d", i[6]);
    }
    if (i[0] == SIGCHLD && len >= 48) {
        buf_addf(out, ", si_utime=");
        add_ticks(out, word(data, 32));
        buf_addf(out, ", si_stime=");
        add_ticks(out, word(data, 40));
    }
    buf_add(out, "}", 1);
}

/* --- structures ------------------------------------------------------------------------------ */

static void add_time(struct buf *out, const u8 *d, const char *fraction)
{
    buf_addf(out, "{tv_sec=%lld, tv_%s=%lld}", (long long)word(d, 0), fraction, (long long)word(d, 8));
}

void add_ticks(struct buf *out, u64 ticks)
{
    buf_addf(out, "%lld", (long long)ticks);
    if (ticks)
        buf_addf(out, " /* %lld.%02lld s */", (long long)ticks / 100, (long long)ticks % 100);
}

void add_date(struct buf *out, u64 seconds, u64 fraction, int digits, const char *before, const char *after)
{
    time_t t = (time_t)seconds;
    char date[32], zone[8];
    struct tm tm;
    if (!localtime_r(&t, &tm))
        return;
    strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
    strftime(zone, sizeof(zone), "%z", &tm);
    if (fraction)
        buf_addf(out, "%s%s.%0*llu%s%s", before, date, digits, (unsigned long long)fraction, zone, after);
    else
        buf_addf(out, "%s%s%s%s", before, date, zone, after);
}

static void add_date_comment(struct buf *out, u64 seconds, u64 fraction, int digits) { add_date(out, seconds, fraction, digits, " /* ", " */"); }

static void add_utime(struct buf *out, const u8 *d)
{
    if (word(d, 8) == 0x3fffffff)
        buf_addf(out, "UTIME_NOW");
    else if (word(d, 8) == 0x3ffffffe)
        buf_addf(out, "UTIME_OMIT");
    else {
        add_time(out, d, "nsec");
        add_date_comment(out, word(d, 0), word(d, 8), 9);
    }
}

static void add_two_times(struct buf *out, const u8 *d, const char *fraction, const char *before, const char *between)
{
    buf_addf(out, "%s", before);
    add_time(out, d, fraction);
    buf_addf(out, "%s", between);
    add_time(out, d + 16, fraction);
}

static void add_stat(struct buf *out, const u8 *d)
{
    struct stat s;
    memcpy(&s, d, sizeof(s));
    buf_addf(out, "{st_mode=");
    add_mode(out, s.st_mode);
    if (S_ISCHR(s.st_mode) || S_ISBLK(s.st_mode))
        buf_addf(out, ", st_rdev=makedev(%#x, %#x), ...}", major(s.st_rdev), minor(s.st_rdev));
    else
        buf_addf(out, ", st_size=%lld, ...}", (long long)s.st_size);
}

static void add_statx(struct buf *out, const u8 *d)
{
    u16 mode;
    memcpy(&mode, d + 28, sizeof(mode));
    buf_addf(out, "{stx_mask=");
    add_flags(out, SET_statx, half(d, 0));
    buf_addf(out, ", stx_attributes=%#llx, stx_mode=", (unsigned long long)word(d, 8));
    add_mode(out, mode);
    buf_addf(out, ", stx_size=%llu, ...}", (unsigned long long)word(d, 40));
}

void add_bits(struct buf *out, const struct bit *bits, size_t n, u32 value)
{
    const char *between = "";
    u32 left = value;
    for (size_t i = 0; i < n; i++)
        if (value & bits[i].bit) {
            buf_addf(out, "%s%s", between, bits[i].name);
            between = "|";
            left &= ~bits[i].bit;
        }
    if (left || !value)
        buf_addf(out, value ? "%s%#x" : "%s%u", between, left);
}

static void add_statfs(struct buf *out, const u8 *d)
{
    static const struct { u32 type; const char *name; } types[] = {
        {0xef53, "EXT2_SUPER_MAGIC"}, {0x01021994, "TMPFS_MAGIC"}, {0x794c7630, "OVERLAYFS_SUPER_MAGIC"}, {0x9fa0, "PROC_SUPER_MAGIC"},
        {0x62656572, "SYSFS_MAGIC"}, {0x1cd1, "DEVPTS_SUPER_MAGIC"}, {0x01021997, "V9FS_MAGIC"}, {0xe0f5e1e2, "EROFS_SUPER_MAGIC_V1"}};
    static const struct bit flags[] = {{1, "ST_RDONLY"}, {2, "ST_NOSUID"}, {4, "ST_NODEV"}, {8, "ST_NOEXEC"}, {0x10, "ST_SYNCHRONOUS"},
        {0x20, "ST_VALID"}, {0x400, "ST_NOATIME"}, {0x800, "ST_NODIRATIME"}, {0x1000, "ST_RELATIME"}};
    const char *name = NULL;
    for (size_t i = 0; i < ARRAY_SIZE(types); i++)
        if (types[i].type == word(d, 0))
            name = types[i].name;
    if (name)
        buf_addf(out, "{f_type=%s", name);
    else
        buf_addf(out, "{f_type=%#llx", (unsigned long long)word(d, 0));
    buf_addf(out, ", f_bsize=%llu, f_blocks=%llu, f_bfree=%llu, f_bavail=%llu, f_files=%llu, f_ffree=%llu, f_fsid={val=[%#x, %#x]}, f_namelen=%llu, f_frsize=%llu, f_flags=",
             (unsigned long long)word(d, 8), (unsigned long long)word(d, 16), (unsigned long long)word(d, 24), (unsigned long long)word(d, 32),
             (unsigned long long)word(d, 40), (unsigned long long)word(d, 48), half(d, 56), half(d, 60), (unsigned long long)word(d, 64),
             (unsigned long long)word(d, 72));
    add_bits(out, flags, ARRAY_SIZE(flags), half(d, 80));
    buf_add(out, "}", 1);
}

static void add_limit(struct buf *out, const char *name, u64 v)
{
    if (v == UINT64_MAX)
        buf_addf(out, "%s=RLIM64_INFINITY", name);
    else if (v > 1024 && v % 1024 == 0)
        buf_addf(out, "%s=%llu*1024", name, (unsigned long long)(v / 1024));
    else
        buf_addf(out, "%s=%llu", name, (unsigned long long)v);
}

static void add_sa_flags(struct buf *out, u64 flags)
{
    static const struct { u64 bit; const char *name; } names[] = {
        {0x04000000, "SA_RESTORER"}, {0x08000000, "SA_ONSTACK"}, {0x10000000, "SA_RESTART"}, {1, "SA_NOCLDSTOP"}, {2, "SA_NOCLDWAIT"},
        {0x40000000, "SA_NODEFER"}, {0x80000000, "SA_RESETHAND"}, {4, "SA_SIGINFO"}};
    const char *between = "";
    for (size_t i = 0; i < ARRAY_SIZE(names); i++)
        if (flags & names[i].bit) {
            buf_addf(out, "%s%s", between, names[i].name);
            between = "|";
            flags &= ~names[i].bit;
        }
    if (flags)
        buf_addf(out, "%s%#llx", between, (unsigned long long)flags);
}

static void add_sigaction(struct buf *out, const u8 *d)
{
    u64 handler = word(d, 0), flags = word(d, 8);
    buf_addf(out, "{sa_handler=");
    if (handler > 1)
        add_pointer(out, handler);
    else
        buf_addf(out, handler ? "SIG_IGN" : "SIG_DFL");
    buf_addf(out, ", sa_mask=");
    add_sigset(out, word(d, 24));
    buf_addf(out, ", sa_flags=");
    if (flags)
        add_sa_flags(out, flags);
    else
        buf_add(out, "0", 1);
    if (flags & 0x04000000)
        buf_addf(out, ", sa_restorer=%#llx", (unsigned long long)word(d, 16));
    buf_add(out, "}", 1);
}

void add_poll_events(struct buf *out, u32 events)
{
    static const struct bit bits[] = {{POLLIN, "POLLIN"}, {POLLPRI, "POLLPRI"}, {POLLOUT, "POLLOUT"}, {0x40, "POLLRDNORM"}, {0x80, "POLLRDBAND"},
                                      {0x100, "POLLWRNORM"}, {0x200, "POLLWRBAND"}, {POLLERR, "POLLERR"}, {POLLHUP, "POLLHUP"}, {POLLNVAL, "POLLNVAL"},
                                      {0x1000, "POLLREMOVE"}, {0x2000, "POLLRDHUP"}};
    add_bits(out, bits, ARRAY_SIZE(bits), events);
}

static void add_poll(struct buf *out, const u8 *d, bool after)
{
    u32 both = half(d, 4), events = after ? both >> 16 : both & 0xffff;
    if (after && !events)
        return;
    if ((s32)half(d, 0) < 0) {
        buf_addf(out, "{fd=%d}", (s32)half(d, 0));
        return;
    }
    buf_addf(out, "{fd=%d, %s=", (s32)half(d, 0), after ? "revents" : "events");
    add_poll_events(out, events);
    buf_add(out, "}", 1);
}

static void add_epoll(struct buf *out, const u8 *d)
{
    static const struct bit bits[] = {{EPOLLIN, "EPOLLIN"}, {EPOLLPRI, "EPOLLPRI"}, {EPOLLOUT, "EPOLLOUT"}, {EPOLLRDNORM, "EPOLLRDNORM"},
                                      {EPOLLRDBAND, "EPOLLRDBAND"}, {EPOLLWRNORM, "EPOLLWRNORM"}, {EPOLLWRBAND, "EPOLLWRBAND"}, {EPOLLMSG, "EPOLLMSG"},
                                      {EPOLLERR, "EPOLLERR"}, {EPOLLHUP, "EPOLLHUP"}, {EPOLLRDHUP, "EPOLLRDHUP"}, {EPOLLEXCLUSIVE, "EPOLLEXCLUSIVE"},
                                      {EPOLLWAKEUP, "EPOLLWAKEUP"}, {EPOLLONESHOT, "EPOLLONESHOT"}, {EPOLLET, "EPOLLET"}};
    buf_addf(out, "{events=");
    add_bits(out, bits, ARRAY_SIZE(bits), half(d, 0));
    buf_addf(out, ", data={u32=%u, u64=%llu}}", half(d, 4), (unsigned long long)word(d, 4));
}

static void add_fdset(struct buf *out, const u8 *d, u32 count)
{
    const char *between = "[";
    for (u32 fd = 0; fd < MIN(count, 1024u); fd++)
        if (d[fd / 8] & 1u << fd % 8) {
            buf_addf(out, "%s%u", between, fd);
            between = " ";
        }
    buf_addf(out, *between == '[' ? "[]" : "]");
}

/* clone3(2)'s set_tid. */
static void add_ids(struct buf *out, struct found f, u64 address, u64 count)
{
    if (!count || !f.len || f.fault) {
        add_pointer(out, address);
        return;
    }
    for (size_t i = 0; i + 4 <= f.len; i += 4)
        buf_addf(out, i ? ", %d" : "[%d", (s32)half(f.data, i));
    buf_addf(out, f.cut ? ", ...]" : "]");
}

static void add_clone3(struct buf *out, const u8 *d, size_t whole, const struct call *c)
{
    size_t len = MIN(whole, c->args[1]);
    u64 flags = word(d, 0);
    buf_addf(out, "{flags=");
    add_flags(out, SET_clone, flags);
    if (flags & 0x00001000)
        buf_addf(out, ", pidfd=%#llx", (unsigned long long)word(d, 8));
    if (flags & 0x01200000)
        buf_addf(out, ", child_tid=%#llx", (unsigned long long)word(d, 16));
    if (flags & 0x00100000)
        buf_addf(out, ", parent_tid=%#llx", (unsigned long long)word(d, 24));
    buf_addf(out, ", exit_signal=");
    if (word(d, 32))
        add_signal(out, word(d, 32));
    else
        buf_add(out, "0", 1);
    buf_addf(out, ", stack=");
    add_pointer(out, word(d, 40));
    buf_addf(out, ", stack_size=%s%llx", word(d, 48) ? "0x" : "", (unsigned long long)word(d, 48));
    if (flags & 0x00080000)
        buf_addf(out, ", tls=%#llx", (unsigned long long)word(d, 56));
    if (len >= 80 && (word(d, 64) || word(d, 72))) {
        buf_addf(out, ", set_tid=");
        add_ids(out, find_piece(c->entry, 0, 1), word(d, 64), word(d, 72));
        buf_addf(out, ", set_tid_size=%llu", (unsigned long long)word(d, 72));
    }
    if (len >= 88 && word(d, 80))
        buf_addf(out, ", cgroup=%llu", (unsigned long long)word(d, 80));
    buf_add(out, "}", 1);
    if (flags & 0x00100000 && c->has_exited && c->result > 0)
        buf_addf(out, " => {parent_tid=[%lld]}", (long long)c->result);
}

static void add_resolve(struct buf *out, u64 flags)
{
    static const struct bit bits[] = {{1, "RESOLVE_NO_XDEV"}, {2, "RESOLVE_NO_MAGICLINKS"}, {4, "RESOLVE_NO_SYMLINKS"}, {8, "RESOLVE_BENEATH"},
                                      {16, "RESOLVE_IN_ROOT"}, {32, "RESOLVE_CACHED"}};
    add_bits(out, bits, ARRAY_SIZE(bits), (u32)flags);
}

static void add_sembuf(struct buf *out, const u8 *d)
{
    static const struct bit bits[] = {{0x1000, "SEM_UNDO"}, {0x800, "IPC_NOWAIT"}};
    u16 s[3];
    memcpy(s, d, sizeof(s));
    buf_addf(out, "{sem_num=%u, sem_op=%d, sem_flg=", s[0], (s16)s[1]);
    add_bits(out, bits, ARRAY_SIZE(bits), s[2]);
    buf_add(out, "}", 1);
}

static void add_stack(struct buf *out, const u8 *d)
{
    buf_addf(out, "{ss_sp=");
    add_pointer(out, word(d, 0));
    static const struct bit bits[] = {{1, "SS_ONSTACK"}, {2, "SS_DISABLE"}, {0x80000000, "SS_AUTODISARM"}};
    buf_addf(out, ", ss_flags=");
    add_bits(out, bits, ARRAY_SIZE(bits), half(d, 8));
    buf_addf(out, ", ss_size=%llu}", (unsigned long long)word(d, 16));
}

bool add_struct(struct buf *out, unsigned type, const u8 *d, size_t len, const struct call *c, bool after)
{
    static const u16 sizes[TYPE_COUNT] = {[TYPE_stat] = 144, [TYPE_statx] = 256, [TYPE_statfs] = 120, [TYPE_pollfd] = 8, [TYPE_sigaction] = 32,
        [TYPE_sigset] = 8, [TYPE_pair] = 8, [TYPE_fdset] = 128, [TYPE_timeval] = 16, [TYPE_timeval2] = 32, [TYPE_timespec] = 16, [TYPE_timespec2] = 32,
        [TYPE_itimerval] = 32, [TYPE_itimerspec] = 32, [TYPE_int] = 4, [TYPE_u32] = 4, [TYPE_wstatus] = 4, [TYPE_rusage] = 144, [TYPE_utsname] = 390,
        [TYPE_rlimit] = 16, [TYPE_siginfo] = 24, [TYPE_stack] = 24, [TYPE_schedparam] = 4, [TYPE_epollevent] = 12, [TYPE_time] = 8, [TYPE_sembuf] = 6,
        [TYPE_clone3] = 64, [TYPE_openhow] = 24, [TYPE_sysinfo] = 112, [TYPE_tms] = 32, [TYPE_utimbuf] = 16, [TYPE_timex] = 208, [TYPE_caphdr] = 8,
        [TYPE_capdata] = 24, [TYPE_sigevent] = 24, [TYPE_mqattr] = 32, [TYPE_schedattr] = 48, [TYPE_addr] = 8, [TYPE_id] = 4, [TYPE_shmds] = 96,
        [TYPE_msgds] = 104, [TYPE_tz] = 8, [TYPE_handle] = 40, [TYPE_waitv] = 24, [TYPE_uringparams] = 120, [TYPE_iocb] = 64, [TYPE_ioevent] = 32};
    if (type >= TYPE_COUNT || len < sizes[type])
        return false;
    switch (type) {
    case TYPE_stat: add_stat(out, d); break;
    case TYPE_statx: add_statx(out, d); break;
    case TYPE_statfs: add_statfs(out, d); break;
    case TYPE_pollfd: add_poll(out, d, after); break;
    case TYPE_epollevent: add_epoll(out, d); break;
    case TYPE_sigaction: add_sigaction(out, d); break;
    case TYPE_sigset: add_sigset(out, word(d, 0)); break;
    case TYPE_pair: buf_addf(out, "[%d, %d]", (s32)half(d, 0), (s32)half(d, 4)); break;
    case TYPE_fdset: add_fdset(out, d, (u32)c->args[0]); break;
    case TYPE_timeval: add_time(out, d, "usec"); break;
    case TYPE_timespec: add_time(out, d, "nsec"); break;
    case TYPE_timeval2:
        for (size_t i = 0; i < 32; i += 16) {
            buf_addf(out, i ? ", " : "[");
            add_time(out, d + i, "usec");
            add_date_comment(out, word(d, i), word(d, i + 8), 6);
        }
        buf_add(out, "]", 1);
        break;
    case TYPE_utimbuf:
        buf_addf(out, "{actime=%lld", (long long)word(d, 0));
        add_date_comment(out, word(d, 0), 0, 0);
        buf_addf(out, ", modtime=%lld", (long long)word(d, 8));
        add_date_comment(out, word(d, 8), 0, 0);
        buf_add(out, "}", 1);
        break;
    case TYPE_id: buf_addf(out, "%d", (s32)half(d, 0)); break;
    case TYPE_addr:
        if (c->args[0] == 0x1001 || c->args[0] == 0x1002) /* ARCH_SET_GS, ARCH_SET_FS */
            return false;
        buf_add(out, "[", 1);
        if (is_call(c, "arch_prctl"))
            buf_addf(out, "%#llx", (unsigned long long)word(d, 0));
        else
            add_pointer(out, word(d, 0));
        buf_add(out, "]", 1);
        break;
    case TYPE_timespec2:
        buf_add(out, "[", 1);
        add_utime(out, d);
        buf_addf(out, ", ");
        add_utime(out, d + 16);
        buf_add(out, "]", 1);
        break;
    case TYPE_itimerval: add_two_times(out, d, "usec", "{it_interval=", ", it_value="); buf_add(out, "}", 1); break;
    case TYPE_itimerspec: add_two_times(out, d, "nsec", "{it_interval=", ", it_value="); buf_add(out, "}", 1); break;
    case TYPE_int: case TYPE_u32: case TYPE_schedparam: buf_addf(out, "[%d]", (s32)half(d, 0)); break;
    case TYPE_time:
        buf_addf(out, "[%lld", (long long)word(d, 0));
        if (is_call(c, "time"))
            add_date_comment(out, word(d, 0), 0, 0);
        buf_add(out, "]", 1);
        break;
    case TYPE_wstatus:
        if (c->result <= 0) {
            return false;
        }
        buf_add(out, "[", 1);
        add_wait_status(out, half(d, 0));
        buf_add(out, "]", 1);
        break;
    case TYPE_rusage: add_two_times(out, d, "usec", "{ru_utime=", ", ru_stime="); buf_addf(out, ", ...}"); break;
    case TYPE_utsname:
        buf_addf(out, "{sysname=");
        add_quoted(out, d, strnlen((const char *)d, 65), false, false);
        buf_addf(out, ", nodename=");
        add_quoted(out, d + 65, strnlen((const char *)d + 65, 65), false, false);
        buf_addf(out, ", ...}");
        break;
    case TYPE_rlimit:
        add_limit(out, "{rlim_cur", word(d, 0));
        add_limit(out, ", rlim_max", word(d, 8));
        buf_add(out, "}", 1);
        break;
    case TYPE_siginfo: add_siginfo(out, d, len); break;
    case TYPE_stack: add_stack(out, d); break;
    case TYPE_sembuf: add_sembuf(out, d); break;
    case TYPE_clone3: add_clone3(out, d, len, c); break;
    case TYPE_openhow:
        buf_addf(out, "{flags=");
        add_flags(out, SET_open, word(d, 0));
        if (word(d, 8) || word(d, 0) & 0100)
            buf_addf(out, word(d, 8) ? ", mode=%#03llo" : ", mode=000", (unsigned long long)word(d, 8));
        buf_addf(out, ", resolve=");
        add_resolve(out, word(d, 16));
        buf_add(out, "}", 1);
        break;
    default: return add_system_struct(out, type, d, c);
    }
    return true;
}
