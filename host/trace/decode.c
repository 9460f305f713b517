/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments and results of system calls: decode.h. */
#include "host/trace/decode.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "host/client/syscall_names.h"

enum {
    ARG_d, ARG_u, ARG_x, ARG_l, ARG_lu, ARG_p, ARG_fd, ARG_dirfd, ARG_mode, ARG_sig, ARG_dev, ARG_uid, ARG_key, ARG_by, ARG_ioctl, ARG_fcntl,
    ARG_semun, ARG_known, ARG_lenp, ARG_offset, ARG_path, ARG_str, ARG_prctl, ARG_argv, ARG_envp, ARG_dents, ARG_buf, ARG_optval, ARG_obuf, ARG_iov, ARG_oiov,
    ARG_riov, ARG_msg, ARG_omsg, ARG_mmsg, ARG_ommsg, ARG_ipcmsg, ARG_oipcmsg, ARG_pages, ARG_setp, ARG_iocbs, ARG_mask, ARG_sa, ARG_osa, ARG_oopt, ARG_FLAGS,
    ARG_ENUM, ARG_struct, ARG_array
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
#include "host/trace/decode_impl.h"

#define VECTOR_MAX 1024u /* UIO_MAXIOV */

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

bool is_call(const struct call *c, const char *name)
{
    const char *n = syscall_name(c->nr);
    return n && strcmp(n, name) == 0;
}

/* --- pieces ------------------------------------------------------------------------------ */

struct found find_piece(struct pieces p, unsigned arg, u32 part)
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

struct found piece_of(const struct call *c, unsigned arg, bool after) { return find_piece(after ? c->exit : c->entry, arg, 0); }

/* Its value is there only when the call has returned. */
static bool is_output(const struct call *c, unsigned i)
{
    const struct call_arg *a = &args_of(c->nr)->args[i];
    switch (a->kind) {
    case ARG_prctl:
        return prctl_writes((u32)c->args[0]);
    case ARG_obuf: case ARG_oiov: case ARG_omsg: case ARG_mmsg: case ARG_ommsg: case ARG_oipcmsg: case ARG_pages: case ARG_osa: case ARG_oopt:
    case ARG_lenp: case ARG_dents: case ARG_offset: case ARG_semun:
        return true;
    case ARG_ioctl:
        return ioctl_writes((u32)c->args[1]);
    case ARG_fcntl:
        return fcntl_writes((u32)c->args[1]);
    case ARG_struct:
    case ARG_array:
        return a->out || a->by_result || a->what == TYPE_clone3 || a->what == TYPE_handle || a->what == TYPE_uringparams;
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

void add_text(struct buf *out, const struct found *f, u64 address, bool hex)
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

void add_vector(struct buf *out, const struct call *c, struct pieces p, unsigned arg, u32 part, u64 address, u64 count, bool bare)
{
    struct found v = find_piece(p, arg, part);
    u64 left = c->has_exited && c->result >= 0 && !bare ? (u64)c->result : UINT64_MAX;
    if (!v.data || (v.fault && v.len < 16) || count > VECTOR_MAX) {
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

/* m: a struct msghdr; the parts of what it has begin at `base`. */
static void add_message(struct buf *out, const struct call *c, struct pieces p, unsigned arg, u32 base, const u64 m[7])
{
    buf_addf(out, "{msg_name=");
    struct found name = find_piece(p, arg, base + 1);
    if (name.data && (u32)m[1])
        add_sockaddr(out, name.data, name.len);
    else
        add_pointer(out, m[0]);
    buf_addf(out, ", msg_namelen=%u, msg_iov=", (u32)m[1]);
    add_vector(out, c, p, arg, base + 2, m[2], m[3], base != 0);
    buf_addf(out, ", msg_iovlen=%llu, ", (unsigned long long)m[3]);
    struct found control = find_piece(p, arg, base + TRACE_CONTROL);
    if (m[5]) {
        buf_addf(out, "msg_control=");
        if (control.len)
            add_control(out, control.data, control.len, control.cut);
        else
            add_pointer(out, m[4]);
        buf_addf(out, ", ");
    }
    buf_addf(out, "msg_controllen=%llu, msg_flags=", (unsigned long long)m[5]);
    add_flags(out, SET_msg, (u32)m[6]);
    buf_add(out, "}", 1);
}

static void add_one_message(struct buf *out, const struct call *c, unsigned arg, bool received)
{
    struct pieces p = received ? c->exit : c->entry;
    struct found f = find_piece(p, arg, 0);
    u64 m[7];
    if (!f.data || f.len < sizeof(m)) {
        add_pointer(out, c->args[arg]);
        return;
    }
    memcpy(m, f.data, sizeof(m));
    if (received && result_is_error(c->result))
        buf_addf(out, "{msg_namelen=%u}", (u32)m[1]);
    else
        add_message(out, c, p, arg, 0, m);
}

/* Those that were sent or received have a length. */
static void add_messages(struct buf *out, const struct call *c, unsigned arg)
{
    enum { SIZE = 64 };
    struct found f = find_piece(c->exit, arg, 0);
    if (!f.data || (f.fault && f.len < SIZE)) {
        add_pointer(out, c->args[arg]);
        return;
    }
    buf_add(out, "[", 1);
    for (u32 i = 0; i < f.len / SIZE; i++) {
        u64 m[SIZE / 8];
        memcpy(m, f.data + SIZE * i, SIZE);
        buf_addf(out, i ? ", {msg_hdr=" : "{msg_hdr=");
        add_message(out, c, c->exit, arg, TRACE_MESSAGE(i), m);
        if ((s64)i < c->result)
            buf_addf(out, ", msg_len=%u", (u32)m[7]);
        buf_add(out, "}", 1);
    }
    buf_addf(out, f.cut ? ", ...]" : "]");
}

static void add_ipc_message(struct buf *out, const struct call *c, unsigned arg, bool after)
{
    struct pieces p = after ? c->exit : c->entry;
    struct found type = find_piece(p, arg, 0), text = find_piece(p, arg, 1);
    if (type.len < 8) {
        add_pointer(out, c->args[arg]);
        return;
    }
    buf_addf(out, "{mtype=%lld, mtext=", (long long)word(type.data, 0));
    add_text(out, &text, c->args[arg] + 8, false);
    buf_add(out, "}", 1);
}

/* mincore(2)'s bytes. */
static void add_pages(struct buf *out, const struct call *c, unsigned arg)
{
    struct found f = piece_of(c, arg, true);
    if (!f.data || f.fault) {
        add_pointer(out, c->args[arg]);
        return;
    }
    for (size_t i = 0; i < f.len; i++)
        buf_addf(out, "%s%u", i ? ", " : "[", f.data[i] & 1);
    buf_addf(out, f.cut ? ", ...]" : f.len ? "]" : "[]");
}

static void add_set_at(struct buf *out, const struct call *c, unsigned arg)
{
    struct found f = find_piece(c->entry, arg, 0), set = find_piece(c->entry, arg, 1);
    if (f.len < 16) {
        add_pointer(out, c->args[arg]);
        return;
    }
    buf_addf(out, "{sigmask=");
    if (set.len == 8 && word(f.data, 8) == 8)
        add_sigset(out, word(set.data, 0));
    else
        add_pointer(out, word(f.data, 0));
    buf_addf(out, ", sigsetsize=%llu}", (unsigned long long)word(f.data, 8));
}

static void add_mask(struct buf *out, const struct call *c, unsigned arg)
{
    struct found f = piece_of(c, arg, false);
    if (f.len < 8)
        return;
    buf_addf(out, "{mask=");
    add_sigset(out, word(f.data, 0));
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
    if (!f.data || (f.fault && !f.len) || (is_call(c, "setgroups") && (u32)c->args[0] > 65536)) {
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
    bool both = is_call(c, "sendfile") && a.data;
    if (both || before == after || wide)
        buf_addf(out, "[%lld]", (long long)before);
    else
        buf_addf(out, "[%lld => %lld]", (long long)before, (long long)after);
    if (both)
        buf_addf(out, " => [%lld]", (long long)after);
}

/* Buffers of options, and what random bytes are, look different. */
static void add_buffer(struct buf *out, const struct call *c, unsigned i, bool after)
{
    struct found f = piece_of(c, i, after), option = f.cut ? find_piece(c->entry, i, 1) : f;
    if (is_call(c, "setsockopt") && option.len && add_option(out, c, option.data, option.len))
        return;
    if (!is_read(c, i)) {
        add_pointer(out, c->args[i]);
        return;
    }
    if ((is_call(c, "sched_setaffinity") || is_call(c, "sched_getaffinity")) && f.len)
        add_cpus(out, f.data, f.len);
    else if (after && !f.data && c->result == 0 && c->args[i])
        buf_addf(out, "\"\"");
    else if (is_call(c, "getcwd") && f.len)
        add_quoted(out, f.data, strnlen((const char *)f.data, f.len), f.cut, false);
    else
        add_text(out, &f, c->args[i], is_call(c, "getrandom"));
}

static void add_got_option(struct buf *out, const struct call *c, unsigned i)
{
    struct found f = piece_of(c, i, true);
    if (!f.len || f.cut || !add_option(out, c, f.data, f.len))
        add_text(out, &f, c->args[i], false);
}

static void add_counted(struct buf *out, const struct call *c, unsigned i, bool after, const char *what)
{
    struct found f = piece_of(c, i, after);
    u32 n;
    add_pointer(out, c->args[i]);
    if (f.len >= sizeof(n) && !f.fault) {
        memcpy(&n, f.data, sizeof(n));
        buf_addf(out, " /* %u %s%s */", n, what, n == 1 ? (what[0] == 'e' ? "y" : "") : (what[0] == 'e' ? "ies" : "s"));
    }
}

static void add_address(struct buf *out, const struct call *c, unsigned i, bool after)
{
    struct found f = piece_of(c, i, after);
    if (f.data && f.len >= 2 && (after || (s32)c->args[args_of(c->nr)->args[i].what] >= 0))
        add_sockaddr(out, f.data, f.len);
    else
        add_pointer(out, c->args[i]);
}

static void add_structure(struct buf *out, const struct call *c, const struct call_arg *a, unsigned i)
{
    bool filled_in = (a->what == TYPE_handle || a->what == TYPE_uringparams) && piece_of(c, i, true).data;
    bool inout = piece_of(c, i, false).data && !a->out && !filled_in;
    struct found f = piece_of(c, i, !inout);
    bool rest = a->out && c->result == 0 && (is_call(c, "nanosleep") || is_call(c, "clock_nanosleep")); /* nothing is left to sleep */
    if (!c->args[i])
        buf_addf(out, "NULL");
    else if (is_call(c, "futex") && futex_counts(c->args[1]))
        add_futex_value(out, c, i);
    else if (rest || !has_structure(c, a->what, i))
        add_pointer(out, c->args[i]);
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
    case ARG_x:
        if (i == 5 && is_call(c, "futex")) add_futex_value(out, c, i); else buf_addf(out, "%#llx", (unsigned long long)v);
        break;
    case ARG_p: add_pointer(out, v); break;
    case ARG_fd: add_fd(out, v, false); break;
    case ARG_dirfd: add_fd(out, v, true); break;
    case ARG_mode:
        if (v & S_IFMT && (is_call(c, "mknod") || is_call(c, "mknodat"))) add_mode(out, (u32)v); else buf_addf(out, v ? "%#03o" : "000", (u32)v);
        break;
    case ARG_sig: add_signal(out, (u32)v); break;
    case ARG_dev: buf_addf(out, "makedev(%#x, %#x)", (u32)(v >> 8 & 0xfff), (u32)((v & 0xff) | (v >> 12 & 0xfff00))); break;
    case ARG_uid: buf_addf(out, "%d", (s32)v); break;
    case ARG_key:
        if (v) buf_addf(out, "%#x", (u32)v); else buf_addf(out, "IPC_PRIVATE");
        break;
    case ARG_FLAGS: add_call_flags(out, c, a->what, i); break;
    case ARG_ENUM:
        if (a->what == SET_sockopt)
            add_sockopt(out, c, i);
        else if (a->what == SET_protocol)
            add_protocol(out, c->args[0], v);
        else if (a->what == SET_ioctl)
            add_ioctl_name(out, (u32)v);
        else
            add_call_enum(out, c, a->what, i);
        break;
    case ARG_ioctl: add_ioctl(out, c); break;
    case ARG_fcntl: add_fcntl(out, c); break;
    case ARG_lenp: add_number_at(out, c, i, false); break;
    case ARG_offset: add_number_at(out, c, i, true); break;
    case ARG_path: case ARG_str:
        if (is_call(c, "prctl")) add_by_others(out, c, i); else if (is_read(c, i)) add_text(out, &f, v, false); else add_pointer(out, v);
        break;
    case ARG_by: case ARG_known: case ARG_prctl: add_by_others(out, c, i); break;
    case ARG_semun: add_semun(out, c, i); break;
    case ARG_argv: add_list(out, c, i); break;
    case ARG_envp: add_counted(out, c, i, false, "var"); break;
    case ARG_dents: add_counted(out, c, i, true, "entr"); break;
    case ARG_buf: case ARG_optval: add_buffer(out, c, i, false); break;
    case ARG_obuf: add_buffer(out, c, i, true); break;
    case ARG_iov: add_vector(out, c, c->entry, i, 0, v, c->args[a->what], false); break;
    case ARG_oiov: add_vector(out, c, c->exit, i, 0, v, c->args[a->what], false); break;
    case ARG_riov:
        if (is_call(c, "io_uring_register")) add_registered(out, c, i); else add_vector(out, c, c->entry, i, 0, v, c->args[a->what], true);
        break;
    case ARG_msg: add_one_message(out, c, i, false); break;
    case ARG_omsg: add_one_message(out, c, i, true); break;
    case ARG_mmsg: case ARG_ommsg: add_messages(out, c, i); break;
    case ARG_iocbs: add_requests(out, c, i); break;
    case ARG_ipcmsg: add_ipc_message(out, c, i, false); break;
    case ARG_oipcmsg: add_ipc_message(out, c, i, true); break;
    case ARG_pages: add_pages(out, c, i); break;
    case ARG_setp: add_set_at(out, c, i); break;
    case ARG_mask: add_mask(out, c, i); break;
    case ARG_sa: add_address(out, c, i, false); break;
    case ARG_osa: add_address(out, c, i, true); break;
    case ARG_oopt: add_got_option(out, c, i); break;
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
    if (is_call(c, "select") || is_call(c, "pselect6")) {
        if (c->result == 0)
            buf_addf(out, " (Timeout)");
        else
            add_selected(out, c);
    }
    add_call_result(out, c);
    if (!args->count || args->args[0].kind != ARG_array || args->args[0].what != TYPE_pollfd)
        return;
    if (c->result == 0) {
        buf_addf(out, " (Timeout)");
        return;
    }
    buf_addf(out, " (");
    add_array(out, c, &args->args[0], 0, true);
    if (is_call(c, "ppoll"))
        add_left(out, c, 2, TYPE_timespec, ", ");
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
    if (is_call(c, "recvmmsg") && c->result == 0) {
        buf_addf(out, " = 0 (Timeout)");
        return;
    }
    if (args->mode_result)
        buf_addf(out, " = %#03o", (u32)c->result);
    else
        buf_addf(out, args->hex_result || is_hex_result(c) ? " = %#llx" : " = %lld", (long long)c->result);
    add_ready(out, c);
}
