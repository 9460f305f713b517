/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments and results whose meaning another argument decides: decode_impl.h. */
#include "host/trace/decode_impl.h"

#include <asm/ioctls.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/prctl.h>
#include <linux/sockios.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

static bool creates(u64 flags) { return (flags & (O_CREAT | 020000000)) != 0; }

static bool fcntl_has_argument(u64 cmd) { return cmd != F_GETFD && cmd != F_GETFL && cmd != 9 && cmd != 11 && cmd != F_GETLEASE && cmd != F_GETPIPE_SZ && cmd != F_GET_SEALS; }

static bool futex_has(u64 op, unsigned arg)
{
    static const u8 last[] = {[FUTEX_WAIT] = 3, [FUTEX_WAKE] = 2, [FUTEX_REQUEUE] = 4, [FUTEX_CMP_REQUEUE] = 5, [FUTEX_WAKE_OP] = 5, [FUTEX_LOCK_PI] = 3,
                              [FUTEX_UNLOCK_PI] = 1, [FUTEX_TRYLOCK_PI] = 1, [FUTEX_WAIT_BITSET] = 5, [FUTEX_WAKE_BITSET] = 5};
    u64 cmd = op & FUTEX_CMD_MASK;
    if ((cmd == FUTEX_LOCK_PI && arg == 2) || (cmd == FUTEX_WAKE_BITSET && (arg == 3 || arg == 4)) || (cmd == FUTEX_WAIT_BITSET && arg == 4))
        return false;
    return cmd >= ARRAY_SIZE(last) || !last[cmd] || arg <= last[cmd];
}

static unsigned prctl_count(u64 op)
{
    switch (op) {
    case PR_GET_DUMPABLE: case PR_GET_KEEPCAPS: case PR_GET_SECCOMP: case PR_GET_TIMERSLACK:
        return 1;
    case PR_SET_NAME: case PR_GET_NAME: case PR_SET_PDEATHSIG: case PR_SET_DUMPABLE: case PR_SET_KEEPCAPS: case PR_CAPBSET_READ:
    case PR_CAPBSET_DROP: case PR_SET_CHILD_SUBREAPER: case PR_SET_TIMERSLACK: case PR_SET_PTRACER:
    case PR_GET_PDEATHSIG: case PR_GET_CHILD_SUBREAPER:
        return 2;
    default:
        return 5;
    }
}

static bool has_device(u64 mode) { return S_ISCHR(mode) || S_ISBLK(mode); }

/* Some calls have arguments only with others. */
bool is_shown(const struct call *c, unsigned i)
{
    if (i == 2 && is_call(c, "open"))
        return creates(c->args[1]);
    if (i == 3 && is_call(c, "openat"))
        return creates(c->args[2]);
    if (i == 2 && is_call(c, "fcntl"))
        return fcntl_has_argument((u32)c->args[1]);
    if (i >= 2 && is_call(c, "futex"))
        return futex_has(c->args[1], i);
    if (i == 4 && is_call(c, "mremap"))
        return (c->args[3] & 2) != 0;
    if (is_call(c, "prctl"))
        return i < prctl_count(c->args[0]);
    if ((i == 2 && is_call(c, "mknod")) || (i == 3 && is_call(c, "mknodat")))
        return has_device(c->args[i - 1]);
    if (i == 4 && (is_call(c, "preadv") || is_call(c, "pwritev") || is_call(c, "preadv2") || is_call(c, "pwritev2")))
        return false; /* the position's upper half */
    if (i == 2 && is_call(c, "ioctl"))
        return c->args[1] != FIOCLEX && c->args[1] != FIONCLEX;
    if (i == 2 && is_call(c, "membarrier"))
        return c->args[1] != 0;
    if (is_call(c, "clone"))
        return i != 1 && (i != 2 || c->args[0] & CLONE_PARENT_SETTID) && (i != 3 || c->args[0] & CLONE_SETTLS) &&
               (i != 4 || c->args[0] & (CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID));
    return true;
}

bool fcntl_writes(u64 cmd) { return cmd == F_GETLK || cmd == 16 || cmd == 36; } /* F_GETOWN_EX, F_OFD_GETLK */

bool ioctl_writes(u64 cmd)
{
    return cmd >> 8 == 0x89 || cmd == TCGETS || cmd == TIOCGWINSZ || cmd == FIONREAD || cmd == TIOCGPGRP || cmd == TIOCGSID || cmd == TIOCGPTN || cmd == TIOCOUTQ;
}

bool prctl_writes(u64 op) { return op == PR_GET_NAME || op == PR_GET_PDEATHSIG || op == PR_GET_CHILD_SUBREAPER; }

/* The union of struct ifreq. */
static void add_ifreq(struct buf *out, u32 cmd, const u8 *d)
{
    static const struct bit flags[] = {
        {1, "IFF_UP"}, {2, "IFF_BROADCAST"}, {8, "IFF_LOOPBACK"}, {0x10, "IFF_POINTOPOINT"}, {0x40, "IFF_RUNNING"}, {0x80, "IFF_NOARP"},
        {0x100, "IFF_PROMISC"}, {0x1000, "IFF_MULTICAST"}};
    s32 n = (s32)half(d, 0);
    if (cmd == SIOCGIFINDEX) {
        buf_addf(out, ", ifr_ifindex=%d", n);
    } else if (cmd == SIOCGIFMTU || cmd == SIOCSIFMTU) {
        buf_addf(out, ", ifr_mtu=%d", n);
    } else if (cmd == SIOCGIFFLAGS || cmd == SIOCSIFFLAGS) {
        buf_addf(out, ", ifr_flags=");
        add_bits(out, flags, ARRAY_SIZE(flags), (u16)n);
    } else if (cmd == SIOCGIFADDR || cmd == SIOCGIFNETMASK || cmd == SIOCGIFBRDADDR) {
        buf_addf(out, cmd == SIOCGIFADDR ? ", ifr_addr=" : cmd == SIOCGIFNETMASK ? ", ifr_netmask=" : ", ifr_broadaddr=");
        add_sockaddr(out, d, 16);
    } else {
        buf_addf(out, ", ...");
    }
    buf_add(out, "}", 1);
}

void add_ioctl(struct buf *out, const struct call *c)
{
    bool writes = ioctl_writes((u32)c->args[1]);
    struct found f = piece_of(c, 2, writes);
    u16 w[4];
    s32 n;
    if ((u32)c->args[1] >> 8 == 0x89 && c->args[1] != SIOCGIFCONF && f.len >= 32) {
        buf_addf(out, "{ifr_name=");
        add_quoted(out, f.data, strnlen((const char *)f.data, 16), false, false);
        add_ifreq(out, (u32)c->args[1], f.data + 16);
    } else if (writes && c->args[1] == TIOCGWINSZ && f.len >= sizeof(w)) {
        memcpy(w, f.data, sizeof(w));
        buf_addf(out, "{ws_row=%u, ws_col=%u, ws_xpixel=%u, ws_ypixel=%u}", w[0], w[1], w[2], w[3]);
    } else if (f.len >= sizeof(n) && ((writes && c->args[1] != TCGETS && c->args[1] != SIOCGIFCONF) || c->args[1] == FIONBIO || c->args[1] == FIOASYNC || c->args[1] == TIOCSPGRP)) {
        memcpy(&n, f.data, sizeof(n));
        buf_addf(out, "[%d]", n);
    } else if (writes && c->args[1] == TCGETS && f.len >= 16) {
        u32 t[4];
        memcpy(t, f.data, sizeof(t));
        buf_addf(out, "{c_iflag=%#x, c_oflag=%#x, c_cflag=%#x, c_lflag=%#x, ...}", t[0], t[1], t[2], t[3]);
    } else if (c->args[1] == TIOCSCTTY || c->args[1] == TCFLSH || c->args[1] == TCXONC || c->args[1] == TCSBRK) {
        buf_addf(out, "%d", (s32)c->args[2]);
    } else {
        add_pointer(out, c->args[2]);
    }
}

static const char *const locks[] = {"F_RDLCK", "F_WRLCK", "F_UNLCK"};

void add_fcntl(struct buf *out, const struct call *c)
{
    u32 cmd = (u32)c->args[1];
    bool after = fcntl_writes(cmd) && c->has_exited;
    struct found f = piece_of(c, 2, after);
    s32 owner[2];
    if (cmd == F_SETFD) {
        if (c->args[2] == FD_CLOEXEC)
            buf_addf(out, "FD_CLOEXEC");
        else
            buf_addf(out, "%#llx", (unsigned long long)c->args[2]);
    } else if (cmd == F_SETFL) {
        add_flags(out, SET_open, c->args[2]);
    } else if ((cmd == F_SETLK || cmd == F_SETLKW || cmd == F_GETLK || (cmd >= 36 && cmd <= 38)) && f.len >= 28) {
        s16 t[2];
        s64 range[2];
        memcpy(t, f.data, 4);
        memcpy(range, f.data + 8, 16);
        buf_addf(out, "{l_type=%s, l_whence=", t[0] >= 0 && t[0] < 3 ? locks[t[0]] : "?");
        add_enum(out, SET_whence, (u64)t[1]);
        buf_addf(out, ", l_start=%lld, l_len=%lld", (long long)range[0], (long long)range[1]);
        memcpy(owner, f.data + 24, sizeof(owner[0]));
        buf_addf(out, cmd == F_GETLK || cmd == 36 ? ", l_pid=%d}" : "}", owner[0]);
    } else if ((cmd == 15 || cmd == 16) && f.len >= sizeof(owner)) { /* F_SETOWN_EX, F_GETOWN_EX */
        static const char *const kinds[] = {"F_OWNER_TID", "F_OWNER_PID", "F_OWNER_PGRP"};
        memcpy(owner, f.data, sizeof(owner));
        buf_addf(out, "{type=%s, pid=%d}", (u32)owner[0] < 3 ? kinds[owner[0]] : "?", owner[1]);
    } else if (cmd == F_ADD_SEALS) {
        add_flags(out, SET_seals, c->args[2]);
    } else if (cmd == F_SETLEASE) {
        buf_addf(out, "%s", c->args[2] < 3 ? locks[c->args[2]] : "?");
    } else if (cmd == 10) { /* F_SETSIG */
        add_signal(out, c->args[2]);
    } else if (cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC || cmd == F_SETPIPE_SZ || cmd == 8) {
        buf_addf(out, "%d", (s32)c->args[2]);
    } else {
        add_pointer(out, c->args[2]);
    }
}

void add_sockopt(struct buf *out, const struct call *c, unsigned i)
{
    static const struct { u32 level, option; const char *name; } others[] = {
        {6, 1, "TCP_NODELAY"}, {6, 2, "TCP_MAXSEG"}, {6, 3, "TCP_CORK"}, {6, 4, "TCP_KEEPIDLE"}, {6, 5, "TCP_KEEPINTVL"}, {6, 6, "TCP_KEEPCNT"},
        {6, 9, "TCP_DEFER_ACCEPT"}, {6, 11, "TCP_INFO"}, {6, 12, "TCP_QUICKACK"}, {6, 13, "TCP_CONGESTION"}, {6, 18, "TCP_USER_TIMEOUT"},
        {6, 23, "TCP_FASTOPEN"}, {0, 1, "IP_TOS"}, {0, 2, "IP_TTL"}, {0, 3, "IP_HDRINCL"}, {0, 15, "IP_FREEBIND"}, {0, 19, "IP_TRANSPARENT"},
        {0, 32, "IP_MULTICAST_IF"}, {0, 33, "IP_MULTICAST_TTL"}, {0, 34, "IP_MULTICAST_LOOP"}, {0, 35, "IP_ADD_MEMBERSHIP"}, {0, 36, "IP_DROP_MEMBERSHIP"},
        {41, 16, "IPV6_UNICAST_HOPS"}, {41, 17, "IPV6_MULTICAST_IF"}, {41, 18, "IPV6_MULTICAST_HOPS"}, {41, 19, "IPV6_MULTICAST_LOOP"},
        {41, 20, "IPV6_ADD_MEMBERSHIP"}, {41, 49, "IPV6_RECVPKTINFO"}, {41, 51, "IPV6_RECVHOPLIMIT"}, {41, 67, "IPV6_TCLASS"}, {0, 10, "IP_MTU_DISCOVER"}, {0, 11, "IP_RECVERR"}, {0, 8, "IP_PKTINFO"},
        {41, 26, "IPV6_V6ONLY"}, {41, 25, "IPV6_RECVERR"}, {270, 11, "NETLINK_EXT_ACK"}, {270, 12, "NETLINK_GET_STRICT_CHK"}};
    if ((u32)c->args[1] == SOL_SOCKET) {
        add_enum(out, SET_sockopt, c->args[i]);
        return;
    }
    for (size_t k = 0; k < ARRAY_SIZE(others); k++)
        if (others[k].level == (u32)c->args[1] && others[k].option == (u32)c->args[i]) {
            buf_addf(out, "%s", others[k].name);
            return;
        }
    buf_addf(out, "%#x", (u32)c->args[i]);
}

void add_futex_value(struct buf *out, const struct call *c, unsigned i)
{
    u64 cmd = c->args[1] & FUTEX_CMD_MASK;
    if (i == 5 && (cmd == FUTEX_WAIT_BITSET || cmd == FUTEX_WAKE_BITSET) && (u32)c->args[5] == FUTEX_BITSET_MATCH_ANY)
        buf_addf(out, "FUTEX_BITSET_MATCH_ANY");
    else if (i == 5 && cmd != FUTEX_CMP_REQUEUE)
        buf_addf(out, "%#x", (u32)c->args[5]);
    else
        buf_addf(out, "%u", (u32)c->args[i]);
}

bool futex_counts(u64 op) /* argument 3 is a number, no time */
{
    u64 cmd = op & FUTEX_CMD_MASK;
    return cmd == FUTEX_REQUEUE || cmd == FUTEX_CMP_REQUEUE || cmd == FUTEX_WAKE_OP;
}

void add_protocol(struct buf *out, u64 family, u64 v)
{
    static const struct { u32 family, number; const char *name; } others[] = {
        {AF_NETLINK, 0, "NETLINK_ROUTE"}, {AF_NETLINK, 4, "NETLINK_SOCK_DIAG"}, {AF_NETLINK, 9, "NETLINK_AUDIT"}, {AF_NETLINK, 12, "NETLINK_NETFILTER"},
        {AF_NETLINK, 15, "NETLINK_KOBJECT_UEVENT"}, {AF_NETLINK, 16, "NETLINK_GENERIC"}, {AF_PACKET, 0x0300, "htons(ETH_P_ALL)"},
        {AF_PACKET, 0x0008, "htons(ETH_P_IP)"}, {AF_PACKET, 0x0608, "htons(ETH_P_ARP)"}, {AF_PACKET, 0xdd86, "htons(ETH_P_IPV6)"}};
    for (size_t i = 0; i < ARRAY_SIZE(others); i++)
        if (others[i].family == family && others[i].number == v) {
            buf_addf(out, "%s", others[i].name);
            return;
        }
    if (family == AF_INET || family == AF_INET6)
        add_enum(out, SET_protocol, v);
    else
        buf_addf(out, "%d", (s32)v);
}

void add_ioctl_name(struct buf *out, u32 v)
{
    static const char *const ways[] = {"_IOC_NONE", "_IOC_WRITE", "_IOC_READ", "_IOC_READ|_IOC_WRITE"};
    const char *name = enum_name(SET_ioctl, v);
    if (name)
        buf_addf(out, "%s", name);
    else
        buf_addf(out, "_IOC(%s, %#x, %#x, %s%x)", ways[v >> 30], v >> 8 & 0xff, v & 0xff, v >> 16 & 0x3fff ? "0x" : "", v >> 16 & 0x3fff);
}

void add_prctl(struct buf *out, const struct call *c)
{
    struct found before = piece_of(c, 1, false), after = piece_of(c, 1, true);
    u64 v = c->args[1];
    s32 n = 0;
    if (after.len >= sizeof(n))
        memcpy(&n, after.data, sizeof(n));
    if (c->args[0] == PR_SET_NAME) {
        add_text(out, &before, v, false);
    } else if (c->args[0] == PR_GET_NAME && after.len) {
        add_quoted(out, after.data, strnlen((const char *)after.data, after.len), false, false);
    } else if (c->args[0] == PR_GET_PDEATHSIG && after.len) {
        buf_add(out, "[", 1);
        if (n)
            add_signal(out, (u32)n);
        else
            buf_add(out, "0", 1);
        buf_add(out, "]", 1);
    } else if (c->args[0] == PR_GET_CHILD_SUBREAPER && after.len) {
        buf_addf(out, "[%d]", n);
    } else if ((c->args[0] == PR_CAPBSET_READ || c->args[0] == PR_CAPBSET_DROP) && cap_name((u32)v)) {
        buf_addf(out, "CAP_%s", cap_name((u32)v));
    } else if (c->args[0] == PR_SET_PDEATHSIG && v) {
        add_signal(out, v);
    } else if (c->args[0] == PR_SET_DUMPABLE && v < 2) {
        buf_addf(out, v ? "SUID_DUMP_USER" : "SUID_DUMP_DISABLE");
    } else if (c->args[0] == PR_SET_NO_NEW_PRIVS || c->args[0] == PR_SET_KEEPCAPS || c->args[0] == PR_SET_CHILD_SUBREAPER) {
        buf_addf(out, "%llu", (unsigned long long)v);
    } else {
        buf_addf(out, "%#llx", (unsigned long long)v);
    }
}

void add_call_flags(struct buf *out, const struct call *c, enum set_id set, unsigned i)
{
    u64 v = c->args[i];
    if (set == SET_clone && is_call(c, "clone")) {
        buf_addf(out, "child_stack=");
        add_pointer(out, c->args[1]);
        buf_addf(out, ", flags=");
        if (v & ~0xffull || !(v & 0xff))
            add_flags(out, SET_clone, v & ~0xffull);
        if (v & 0xff) {
            buf_addf(out, v & ~0xffull ? "|" : "");
            add_signal(out, v & 0xff);
        }
    } else if (set == SET_futex) {
        add_enum(out, SET_futex, v & FUTEX_CMD_MASK);
        if (v & FUTEX_PRIVATE_FLAG)
            buf_addf(out, "_PRIVATE");
        if (v & FUTEX_CLOCK_REALTIME)
            buf_addf(out, "|FUTEX_CLOCK_REALTIME");
    } else if (set == SET_ipcflags) {
        if (v & ~0777ull) {
            add_flags(out, SET_ipcflags, v & ~0777ull & UINT32_MAX);
            buf_add(out, "|", 1);
        }
        buf_addf(out, "%03o", (u32)v & 0777);
    } else {
        bool wide = set == SET_map || set == SET_prot;
        add_flags(out, set, wide ? v : (u32)v);
    }
}

void add_left(struct buf *out, const struct call *c, unsigned arg, unsigned type)
{
    struct found f = piece_of(c, arg, true);
    if (f.data && !f.fault) {
        buf_addf(out, ", left ");
        add_struct(out, type, f.data, f.len, c, true);
    }
}

void add_selected(struct buf *out, const struct call *c)
{
    static const char *const names[] = {NULL, "in ", "out ", "except "};
    const char *between = " (";
    for (unsigned i = 1; i <= 3; i++) {
        struct found f = piece_of(c, i, true);
        size_t before = out->len;
        buf_addf(out, "%s%s", between, names[i]);
        if (f.data && add_struct(out, TYPE_fdset, f.data, f.len, c, true) && out->data[out->len - 2] != '[')
            between = ", ";
        else
            out->len = before;
    }
    add_left(out, c, 4, is_call(c, "select") ? TYPE_timeval : TYPE_timespec);
    buf_add(out, ")", 1);
}

bool has_flags_result(const struct call *c)
{
    return is_call(c, "fcntl") && c->result && (c->args[1] == F_GETFL || c->args[1] == F_GETFD || c->args[1] == F_GET_SEALS);
}

static void add_fcntl_result(struct buf *out, u64 cmd, u64 result)
{
    buf_addf(out, cmd == F_GET_SEALS ? " (seals " : " (flags ");
    if (cmd == F_GETFD)
        buf_addf(out, "FD_CLOEXEC");
    else
        add_flags(out, cmd == F_GETFL ? SET_open : SET_seals, result);
    buf_add(out, ")", 1);
}

void add_named_result(struct buf *out, const struct call *c)
{
    if (has_flags_result(c) || (is_call(c, "fcntl") && c->args[1] == F_GETFL)) {
        add_fcntl_result(out, c->args[1], (u64)c->result);
        return;
    }
    if (is_call(c, "rt_sigtimedwait") || (is_call(c, "fcntl") && c->args[1] == 11 && c->result)) { /* F_GETSIG */
        buf_addf(out, " (");
        add_signal(out, (u64)c->result);
        buf_add(out, ")", 1);
    } else if (is_call(c, "sched_getscheduler")) {
        buf_addf(out, " (");
        add_enum(out, SET_sched, (u64)c->result);
        buf_add(out, ")", 1);
    } else if (is_call(c, "personality") && c->result == 0) {
        buf_addf(out, " (PER_LINUX)");
    }
}
