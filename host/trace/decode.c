/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments and results of system calls: decode.h. */
#include "host/trace/decode.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <linux/prctl.h>
#include <asm/ioctls.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "host/client/syscall_names.h"

enum {
    ARG_d, ARG_u, ARG_x, ARG_l, ARG_lu, ARG_p, ARG_fd, ARG_dirfd, ARG_mode, ARG_sig, ARG_dev, ARG_uid, ARG_key, ARG_ioctl, ARG_fcntl,
    ARG_lenp, ARG_offset, ARG_path, ARG_str, ARG_prctl, ARG_argv, ARG_envp, ARG_dents, ARG_buf, ARG_obuf, ARG_iov, ARG_oiov, ARG_msg,
    ARG_omsg, ARG_sa, ARG_osa, ARG_FLAGS, ARG_ENUM, ARG_struct, ARG_array
};
struct call_arg {
    u8 kind, what; /* what: set, type, or the argument that has the length */
    u8 length;
    bool out, by_result;
};
struct call_args {
    bool known;
    u8 count;
    bool hex_result, mode_result;
    struct call_arg args[6];
};
#define SYSCALL_ARGS
#include "host/trace/flags.h"

static const struct call_args *args_of(u32 nr)
{
    static const struct call_args unknown = {true, 6, false, false, {{ARG_x}, {ARG_x}, {ARG_x}, {ARG_x}, {ARG_x}, {ARG_x}}};
    return nr < ARRAY_SIZE(call_args) && call_args[nr].known ? &call_args[nr] : &unknown;
}

bool call_is_missing(u32 nr) { return nr >= ARRAY_SIZE(call_there) || !call_there[nr]; }
unsigned call_arg_count(u32 nr) { return args_of(nr)->count; }

int call_fd_arg(u32 nr)
{
    const struct call_args *a = args_of(nr);
    for (unsigned i = 0; i < a->count; i++)
        if (a->args[i].kind == ARG_fd)
            return (int)i;
    return -1;
}

void add_call_name(struct buf *out, u32 nr)
{
    const char *name = syscall_name(nr);
    if (name)
        buf_addf(out, "%s", name);
    else
        buf_addf(out, "syscall_%#x", nr);
}

static bool is_call(const struct call *c, const char *name)
{
    const char *n = syscall_name(c->nr);
    return n && strcmp(n, name) == 0;
}

/* --- pieces ------------------------------------------------------------------------------ */

struct found {
    const u8 *data; /* NULL: there is none */
    size_t len;
    bool cut, fault;
};

static struct found find_piece(struct pieces p, unsigned arg, unsigned part)
{
    struct trace_piece head;
    while (p.len >= sizeof(head)) {
        memcpy(&head, p.data, sizeof(head));
        size_t whole = sizeof(head) + ALIGN_UP((size_t)head.len, 8);
        if (whole > p.len)
            break;
        if (head.arg == arg && head.part == part)
            return (struct found){p.data + sizeof(head), head.len, (head.flags & TRACE_CUT) != 0, (head.flags & TRACE_FAULT) != 0};
        p.data += whole;
        p.len -= whole;
    }
    return (struct found){0};
}

static struct found piece_of(const struct call *c, unsigned arg, bool after) { return find_piece(after ? c->exit : c->entry, arg, 0); }

/* --- which arguments there are ------------------------------------------------------------- */

static bool creates(u64 flags) { return (flags & (O_CREAT | 020000000)) != 0; }

static bool fcntl_has_argument(u64 cmd) { return cmd != F_GETFD && cmd != F_GETFL && cmd != 9 && cmd != 11 && cmd != F_GETLEASE && cmd != F_GETPIPE_SZ && cmd != F_GET_SEALS; }

static bool futex_has(u64 op, unsigned arg)
{
    static const u8 last[] = {[FUTEX_WAIT] = 3, [FUTEX_WAKE] = 2, [FUTEX_REQUEUE] = 4, [FUTEX_CMP_REQUEUE] = 5, [FUTEX_WAKE_OP] = 5, [FUTEX_LOCK_PI] = 3,
                              [FUTEX_UNLOCK_PI] = 1, [FUTEX_TRYLOCK_PI] = 1, [FUTEX_WAIT_BITSET] = 5, [FUTEX_WAKE_BITSET] = 5};
    u64 cmd = op & FUTEX_CMD_MASK;
    if ((cmd == FUTEX_LOCK_PI && arg == 2) || (cmd == FUTEX_WAKE_BITSET && (arg == 3 || arg == 4)))
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
        return 2;
    default:
        return 5;
    }
}

/* Some calls have arguments only with others. */
static bool is_shown(const struct call *c, unsigned i)
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
    if (is_call(c, "clone"))
        return i != 1 && (i != 2 || c->args[0] & CLONE_PARENT_SETTID) && (i != 3 || c->args[0] & CLONE_SETTLS) &&
               (i != 4 || c->args[0] & (CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID));
    return true;
}

static bool ioctl_writes(u64 cmd)
{
    return cmd == TCGETS || cmd == TIOCGWINSZ || cmd == FIONREAD || cmd == TIOCGPGRP || cmd == TIOCGSID || cmd == TIOCGPTN || cmd == TIOCOUTQ;
}

/* Its value is there only when the call has returned. */
static bool is_output(const struct call *c, unsigned i)
{
    const struct call_arg *a = &args_of(c->nr)->args[i];
    switch (a->kind) {
    case ARG_obuf: case ARG_oiov: case ARG_omsg: case ARG_osa: case ARG_lenp: case ARG_dents: case ARG_offset:
        return true;
    case ARG_ioctl:
        return ioctl_writes((u32)c->args[1]);
    case ARG_fcntl:
        return (u32)c->args[1] == F_GETLK;
    case ARG_struct:
    case ARG_array:
        return a->out || a->by_result || a->what == TYPE_clone3;
    default:
        return is_call(c, "clone") && i == 2;
    }
}

/* --- one argument --------------------------------------------------------------------------- */

static void add_fd(struct buf *out, u64 fd, bool at)
{
    if (at && (s32)fd == AT_FDCWD)
        buf_addf(out, "AT_FDCWD");
    else
        buf_addf(out, "%d", (s32)fd);
}

static void add_text(struct buf *out, const struct found *f, u64 address, bool hex)
{
    if (!f->data || (f->fault && !f->len))
        add_pointer(out, address);
    else
        add_quoted(out, f->data, f->len, f->cut, hex);
}

static void add_list(struct buf *out, const struct call *c, unsigned arg)
{
    const char *between = "[";
    for (unsigned part = 0;; part++) {
        struct found f = find_piece(c->entry, arg, part);
        if (!f.data) {
            if (part == 0)
                add_pointer(out, c->args[arg]);
            break;
        }
        buf_addf(out, "%s", between);
        between = ", ";
        if (f.cut && !f.len)
            buf_addf(out, "...");
        else
            add_quoted(out, f.data, f.len, f.cut, false);
    }
    if (*between == ',')
        buf_add(out, "]", 1);
}

static void add_vector(struct buf *out, const struct call *c, struct pieces p, unsigned arg, unsigned part, u64 address)
{
    struct found v = find_piece(p, arg, part);
    u64 left = c->has_exited && c->result >= 0 ? (u64)c->result : UINT64_MAX;
    if (!v.data) {
        add_pointer(out, address);
        return;
    }
    buf_add(out, "[", 1);
    for (unsigned i = 0; i < v.len / 16; i++) {
        u64 one[2];
        memcpy(one, v.data + 16 * i, 16);
        struct found data = find_piece(p, arg, part + 1 + i);
        buf_addf(out, "%s{iov_base=", i ? ", " : "");
        if (!data.data && !left)
            buf_addf(out, "\"\"");
        else
            add_text(out, &data, one[0], false);
        buf_addf(out, ", iov_len=%llu}", (unsigned long long)one[1]);
        left -= MIN(left, one[1]);
    }
    buf_addf(out, v.cut ? ", ...]" : "]");
}

static void add_message(struct buf *out, const struct call *c, struct pieces p, unsigned arg)
{
    struct found f = find_piece(p, arg, 0);
    u64 m[7];
    if (!f.data || f.len < sizeof(m)) {
        add_pointer(out, c->args[arg]);
        return;
    }
    memcpy(m, f.data, sizeof(m));
    buf_addf(out, "{msg_name=");
    struct found name = find_piece(p, arg, 1);
    if (name.data && (u32)m[1])
        add_sockaddr(out, name.data, name.len);
    else
        add_pointer(out, m[0]);
    buf_addf(out, ", msg_namelen=%u, msg_iov=", (u32)m[1]);
    add_vector(out, c, p, arg, 2, m[2]);
    buf_addf(out, ", msg_iovlen=%llu, ", (unsigned long long)m[3]);
    if (m[5])
        buf_addf(out, "msg_control=%#llx, ", (unsigned long long)m[4]);
    buf_addf(out, "msg_controllen=%llu, msg_flags=", (unsigned long long)m[5]);
    add_flags(out, SET_msg, (u32)m[6]);
    buf_add(out, "}", 1);
}

/* An array; a pollfd shows events before and revents after. */
static void add_array(struct buf *out, const struct call *c, const struct call_arg *a, unsigned arg, bool after)
{
    struct found f = piece_of(c, arg, after);
    size_t size = type_sizes[a->what];
    bool any = false;
    if (!f.data && a->by_result && c->has_exited && c->result == 0) {
        buf_addf(out, "[]");
        return;
    }
    if (!f.data || (f.fault && !f.len)) {
        add_pointer(out, c->args[arg]);
        return;
    }
    buf_add(out, "[", 1);
    for (size_t at = 0; at + size <= f.len; at += size) {
        size_t before = out->len;
        if (any)
            buf_addf(out, ", ");
        size_t start = out->len;
        add_struct(out, a->what, f.data + at, size, c, after);
        if (out->len == start)
            out->len = before; /* nothing to show */
        else
            any = true;
    }
    buf_addf(out, f.cut ? ", ...]" : "]");
}

static void add_number_at(struct buf *out, const struct call *c, unsigned arg, bool wide)
{
    u64 before = 0, after = 0;
    struct found b = piece_of(c, arg, false), a = piece_of(c, arg, true);
    size_t size = wide ? 8 : 4;
    if (!b.data || b.len < size) {
        add_pointer(out, c->args[arg]);
        return;
    }
    memcpy(&before, b.data, size);
    if (a.data && a.len >= size)
        memcpy(&after, a.data, size);
    else
        after = before;
    if (before == after)
        buf_addf(out, "[%lld]", (long long)before);
    else
        buf_addf(out, "[%lld => %lld]", (long long)before, (long long)after);
}

static void add_ioctl(struct buf *out, const struct call *c)
{
    bool writes = ioctl_writes((u32)c->args[1]);
    struct found f = piece_of(c, 2, writes);
    u16 w[4];
    s32 n;
    if (writes && c->args[1] == TIOCGWINSZ && f.len >= sizeof(w)) {
        memcpy(w, f.data, sizeof(w));
        buf_addf(out, "{ws_row=%u, ws_col=%u, ws_xpixel=%u, ws_ypixel=%u}", w[0], w[1], w[2], w[3]);
    } else if (f.len >= sizeof(n) && ((writes && c->args[1] != TCGETS) || c->args[1] == FIONBIO || c->args[1] == FIOASYNC || c->args[1] == TIOCSPGRP)) {
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

static void add_fcntl(struct buf *out, const struct call *c)
{
    u32 cmd = (u32)c->args[1];
    struct found f = piece_of(c, 2, cmd == F_GETLK && c->has_exited);
    if (cmd == F_SETFD) {
        if (c->args[2] == FD_CLOEXEC)
            buf_addf(out, "FD_CLOEXEC");
        else
            buf_addf(out, "%#llx", (unsigned long long)c->args[2]);
    } else if (cmd == F_SETFL) {
        add_flags(out, SET_open, c->args[2]);
    } else if ((cmd == F_SETLK || cmd == F_SETLKW || cmd == F_GETLK || (cmd >= 36 && cmd <= 38)) && f.len >= 28) {
        static const char *const types[] = {"F_RDLCK", "F_WRLCK", "F_UNLCK"};
        s16 t[2];
        s64 range[2];
        memcpy(t, f.data, 4);
        memcpy(range, f.data + 8, 16);
        buf_addf(out, "{l_type=%s, l_whence=", t[0] >= 0 && t[0] < 3 ? types[t[0]] : "?");
        add_enum(out, SET_whence, (u64)t[1]);
        buf_addf(out, ", l_start=%lld, l_len=%lld}", (long long)range[0], (long long)range[1]);
    } else if (cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC || cmd == F_SETPIPE_SZ || cmd == 8) {
        buf_addf(out, "%d", (s32)c->args[2]);
    } else {
        add_pointer(out, c->args[2]);
    }
}

static void add_flags_arg(struct buf *out, const struct call *c, const struct call_arg *a, unsigned i)
{
    u64 v = c->args[i];
    if (a->what == SET_clone && is_call(c, "clone")) {
        buf_addf(out, "child_stack=");
        add_pointer(out, c->args[1]);
        buf_addf(out, ", flags=");
        if (v & ~0xffull || !(v & 0xff))
            add_flags(out, SET_clone, v & ~0xffull);
        if (v & 0xff) {
            buf_addf(out, v & ~0xffull ? "|" : "");
            add_signal(out, v & 0xff);
        }
    } else if (a->what == SET_futex) {
        add_enum(out, SET_futex, v & FUTEX_CMD_MASK);
        if (v & FUTEX_PRIVATE_FLAG)
            buf_addf(out, "_PRIVATE");
        if (v & FUTEX_CLOCK_REALTIME)
            buf_addf(out, "|FUTEX_CLOCK_REALTIME");
    } else if (a->what == SET_ipcflags) {
        if (v & ~0777ull) {
            add_flags(out, SET_ipcflags, v & ~0777ull & UINT32_MAX);
            buf_add(out, "|", 1);
        }
        buf_addf(out, "%03o", (u32)v & 0777);
    } else {
        bool wide = a->what == SET_map || a->what == SET_prot;
        add_flags(out, a->what, wide ? v : (u32)v);
    }
}

static void add_sockopt(struct buf *out, const struct call *c, unsigned i)
{
    static const struct { u32 level, option; const char *name; } others[] = {
        {6, 1, "TCP_NODELAY"}, {6, 2, "TCP_MAXSEG"}, {6, 3, "TCP_CORK"}, {6, 4, "TCP_KEEPIDLE"}, {6, 5, "TCP_KEEPINTVL"}, {6, 6, "TCP_KEEPCNT"},
        {6, 9, "TCP_DEFER_ACCEPT"}, {6, 11, "TCP_INFO"}, {6, 12, "TCP_QUICKACK"}, {6, 13, "TCP_CONGESTION"}, {6, 18, "TCP_USER_TIMEOUT"},
        {6, 23, "TCP_FASTOPEN"}, {0, 1, "IP_TOS"}, {0, 2, "IP_TTL"}, {0, 10, "IP_MTU_DISCOVER"}, {0, 11, "IP_RECVERR"}, {0, 8, "IP_PKTINFO"},
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

/* Buffers of options, and what random bytes are, look different. */
static void add_buffer(struct buf *out, const struct call *c, unsigned i, bool after)
{
    struct found f = piece_of(c, i, after);
    s32 n;
    if (is_call(c, "setsockopt") && f.len == 4) {
        memcpy(&n, f.data, 4);
        buf_addf(out, "[%d]", n);
    } else if (after && !f.data && c->result == 0 && c->args[i]) {
        buf_addf(out, "\"\"");
    } else if (is_call(c, "getcwd") && f.len) {
        add_quoted(out, f.data, strnlen((const char *)f.data, f.len), f.cut, false);
    } else {
        add_text(out, &f, c->args[i], is_call(c, "getrandom"));
    }
}

static void add_counted(struct buf *out, const struct call *c, unsigned i, bool after, const char *what)
{
    struct found f = piece_of(c, i, after);
    u32 n;
    add_pointer(out, c->args[i]);
    if (f.len >= sizeof(n)) {
        memcpy(&n, f.data, sizeof(n));
        buf_addf(out, " /* %u %s%s */", n, what, n == 1 ? (what[0] == 'e' ? "y" : "") : (what[0] == 'e' ? "ies" : "s"));
    }
}

static void add_address(struct buf *out, const struct call *c, unsigned i, bool after)
{
    struct found f = piece_of(c, i, after);
    if (f.data && f.len >= 2)
        add_sockaddr(out, f.data, f.len);
    else
        add_pointer(out, c->args[i]);
}

static void add_structure(struct buf *out, const struct call *c, const struct call_arg *a, unsigned i)
{
    bool inout = piece_of(c, i, false).data && !a->out;
    struct found f = piece_of(c, i, !inout);
    if (!c->args[i])
        buf_addf(out, "NULL");
    else if (!f.data || f.fault || !add_struct(out, a->what, f.data, f.len, c, a->out))
        add_pointer(out, c->args[i]);
}

static void add_arg(struct buf *out, const struct call *c, unsigned i)
{
    const struct call_arg *a = &args_of(c->nr)->args[i];
    u64 v = c->args[i];
    struct found f = piece_of(c, i, false);
    switch (a->kind) {
    case ARG_d: buf_addf(out, "%d", (s32)v); break;
    case ARG_u: buf_addf(out, "%u", (u32)v); break;
    case ARG_l: buf_addf(out, "%lld", (long long)v); break;
    case ARG_lu: buf_addf(out, "%llu", (unsigned long long)v); break;
    case ARG_x: buf_addf(out, "%#llx", (unsigned long long)v); break;
    case ARG_p: add_pointer(out, v); break;
    case ARG_fd: add_fd(out, v, false); break;
    case ARG_dirfd: add_fd(out, v, true); break;
    case ARG_mode: buf_addf(out, v ? "%#03o" : "000", (u32)v); break;
    case ARG_sig: add_signal(out, (u32)v); break;
    case ARG_dev: buf_addf(out, "makedev(%#x, %#x)", (u32)(v >> 8 & 0xfff), (u32)((v & 0xff) | (v >> 12 & 0xfff00))); break;
    case ARG_uid: buf_addf(out, "%d", (s32)v); break;
    case ARG_key:
        if (v) buf_addf(out, "%#x", (u32)v); else buf_addf(out, "IPC_PRIVATE");
        break;
    case ARG_FLAGS: add_flags_arg(out, c, a, i); break;
    case ARG_ENUM:
        if (a->what == SET_sockopt)
            add_sockopt(out, c, i);
        else if (a->what == SET_protocol && c->args[0] != AF_INET && c->args[0] != AF_INET6)
            buf_addf(out, "%d", (s32)v);
        else
            add_enum(out, a->what, v);
        break;
    case ARG_ioctl: add_ioctl(out, c); break;
    case ARG_fcntl: add_fcntl(out, c); break;
    case ARG_lenp: add_number_at(out, c, i, false); break;
    case ARG_offset: add_number_at(out, c, i, true); break;
    case ARG_path: case ARG_str: add_text(out, &f, v, false); break;
    case ARG_prctl:
        if (c->args[0] == PR_SET_NAME) add_text(out, &f, v, false); else buf_addf(out, "%#llx", (unsigned long long)v);
        break;
    case ARG_argv: add_list(out, c, i); break;
    case ARG_envp: add_counted(out, c, i, false, "var"); break;
    case ARG_dents: add_counted(out, c, i, true, "entr"); break;
    case ARG_buf: add_buffer(out, c, i, false); break;
    case ARG_obuf: add_buffer(out, c, i, true); break;
    case ARG_iov: add_vector(out, c, c->entry, i, 0, v); break;
    case ARG_oiov: add_vector(out, c, c->exit, i, 0, v); break;
    case ARG_msg: add_message(out, c, c->entry, i); break;
    case ARG_omsg: add_message(out, c, c->exit, i); break;
    case ARG_sa: add_address(out, c, i, false); break;
    case ARG_osa: add_address(out, c, i, true); break;
    case ARG_array: add_array(out, c, a, i, a->by_result); break;
    default: add_structure(out, c, a, i); break;
    }
}

/* clone(2) names its arguments. */
static void add_label(struct buf *out, const struct call *c, unsigned i)
{
    static const char *const labels[] = {"", "", "parent_tid=", "tls=", "child_tidptr="};
    static const u8 order[] = {0, 1, 2, 4, 3}; /* the call has child_tidptr before tls */
    struct call one = *c;
    buf_addf(out, "%s", labels[i]);
    if (i < 2) {
        add_arg(out, c, i);
    } else if (i == 2) {
        add_arg(out, &one, 2);
    } else {
        add_pointer(out, c->args[order[i]]);
    }
}

unsigned add_args(struct buf *out, const struct call *c, unsigned from)
{
    unsigned count = args_of(c->nr)->count, i = from;
    bool clone = is_call(c, "clone");
    for (; i < count; i++) {
        if (!is_shown(c, i))
            continue;
        if (!c->has_exited && is_output(c, i))
            break;
        if (i)
            buf_addf(out, ", ");
        if (clone)
            add_label(out, c, i);
        else
            add_arg(out, c, i);
    }
    return i;
}

/* --- results -------------------------------------------------------------------------------- */

bool result_is_error(s64 result) { return result < 0 && result >= -4095; }

/* poll(2) tells what happened behind its number. */
static void add_ready(struct buf *out, const struct call *c)
{
    const struct call_args *args = args_of(c->nr);
    if (c->result == 0 && (is_call(c, "select") || is_call(c, "pselect6")))
        buf_addf(out, " (Timeout)");
    if (is_call(c, "prctl") && c->args[0] == PR_GET_DUMPABLE && c->result < 2)
        buf_addf(out, c->result ? " (SUID_DUMP_USER)" : " (SUID_DUMP_DISABLE)");
    if (!args->count || args->args[0].kind != ARG_array || args->args[0].what != TYPE_pollfd)
        return;
    if (c->result == 0) {
        buf_addf(out, " (Timeout)");
        return;
    }
    buf_addf(out, " (");
    add_array(out, c, &args->args[0], 0, true);
    buf_add(out, ")", 1);
}

static void add_error(struct buf *out, s64 result)
{
    static const struct { u32 number; const char *name, *text; } restarts[] = {
        {512, "ERESTARTSYS", "To be restarted if SA_RESTART is set"}, {513, "ERESTARTNOINTR", "To be restarted"},
        {514, "ERESTARTNOHAND", "To be restarted if no handler"}, {516, "ERESTART_RESTARTBLOCK", "Interrupted by signal"}};
    for (size_t i = 0; i < ARRAY_SIZE(restarts); i++)
        if (-result == restarts[i].number) {
            buf_addf(out, " = ? %s (%s)", restarts[i].name, restarts[i].text);
            return;
        }
    const char *name = errno_name((int)-result);
    if (name)
        buf_addf(out, " = -1 %s (%s)", name, strerror((int)-result));
    else
        buf_addf(out, " = -1 (errno %d)", (int)-result);
}

void add_result(struct buf *out, const struct call *c)
{
    const struct call_args *args = args_of(c->nr);
    if (result_is_error(c->result)) {
        add_error(out, c->result);
        return;
    }
    if (args->hex_result)
        buf_addf(out, " = %#llx", (unsigned long long)c->result);
    else if (args->mode_result)
        buf_addf(out, " = %#03o", (u32)c->result);
    else
        buf_addf(out, " = %lld", (long long)c->result);
    if (is_call(c, "fcntl") && c->args[1] == F_GETFL) {
        out->len -= strlen(" = ") + (size_t)snprintf(NULL, 0, "%lld", (long long)c->result);
        buf_addf(out, " = %#llx (flags ", (unsigned long long)c->result);
        add_flags(out, SET_open, (u64)c->result);
        buf_add(out, ")", 1);
    } else if (is_call(c, "fcntl") && c->args[1] == F_GETFD && c->result == FD_CLOEXEC) {
        out->len -= strlen(" = 1");
        buf_addf(out, " = 0x1 (flags FD_CLOEXEC)");
    }
    add_ready(out, c);
}
