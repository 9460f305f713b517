/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of system calls for kern/trace.h. For a call that some session wants, a record goes out at its entry and one when it has
 * returned; what pointers lead to is copied by a table that is generated from syscall_args.tbl, each time within bounds
 * and before any lock is taken, because program memory may fault. Nothing of this runs while nobody looks (syscall_watch()).
 */
#include "arch_linux.h"
#include "task.h"
#include "base/str.h"
#include "kern/trace.h"

enum { CAPTURE_ENTRY, CAPTURE_EXIT };
enum {
    CAPTURE_FIXED,     /* size bytes */
    CAPTURE_PATH,      /* a string, as far as a record goes */
    CAPTURE_STRING,    /* one, as much as the client wants */
    CAPTURE_STRINGS,   /* a list of them that ends with a null pointer: a part for each */
    CAPTURE_COUNT,     /* of such a list only how many: a u32 */
    CAPTURE_COUNTED,   /* as many times size as argument `length` says */
    CAPTURE_BUFFER,    /* the same, as much as the client wants */
    CAPTURE_RESULT,    /* as many times size as the call returned */
    CAPTURE_LENGTH_AT, /* as many bytes as an int says to which argument `length` points */
    CAPTURE_IOV,       /* part 0 the vector of argument `length`, then a part of data for each */
    CAPTURE_MSG,       /* part 0 a struct msghdr, 1 its address, 2 its vector, then the data; TRACE_CONTROL control messages */
    CAPTURE_DENTS,     /* how many directory entries: a u32 */
};
struct capture {
    u8 how, when, arg, length;
    u16 size;
};

#include "linux/syscall_captures.inc"

#define STRINGS_MAX 32u   /* parts of a list */
#define VECTORS_MAX 8u
#define ADDRESS_MAX 128u  /* bytes of a socket's address */
#define STRUCTS_MAX 512u  /* bytes of an array of structures */

struct call_record {
    struct trace_record head;
    u8 bytes[TRACE_RECORD_MAX - sizeof(struct trace_record)] ALIGNED(8);
    u32 used;       /* of bytes */
    u32 string_max; /* what the greediest client wants */
};

u32 trace_calls_watched;

static void add(struct call_record *r, const void *data, u32 len)
{
    memcpy(r->bytes + r->used, data, len);
    r->used += len;
}

/* A piece of data that was copied to where it belongs: after_piece(). */
static u8 *piece_data(struct call_record *r) { return r->bytes + r->used + sizeof(struct trace_piece); }
static u32 room(const struct call_record *r)
{
    u32 left = (u32)sizeof(r->bytes) - r->used;
    return left > sizeof(struct trace_piece) ? ALIGN_DOWN(left - (u32)sizeof(struct trace_piece), 8u) : 0;
}

static void finish_piece(struct call_record *r, u8 arg, u32 part, u32 len, u32 flags)
{
    struct trace_piece p = { .arg = arg, .part = (u8)part, .len = (u16)len, .flags = flags };
    if (sizeof(r->bytes) - r->used < sizeof(p))
        return;
    memset(piece_data(r) + len, 0, ALIGN_UP(len, 8) - len);
    add(r, &p, sizeof(p));
    r->used += ALIGN_UP(len, 8);
}

/* `want` bytes of program memory, of which a record takes at most `limit`. What was copied. */
static u32 add_memory(struct call_record *r, u8 arg, u32 part, uaddr_t at, u64 want, u32 limit)
{
    u32 len = (u32)MIN(want, (u64)MIN(limit, room(r)));
    u32 got = at != 0 && len > 0 ? (u32)copy_from_user_partial(piece_data(r), at, len) : 0;
    if (at != 0)
        finish_piece(r, arg, part, got, (got < len ? TRACE_FAULT : 0) | (len < want ? TRACE_CUT : 0));
    return got;
}

static void add_string(struct call_record *r, u8 arg, u32 part, uaddr_t at, u32 limit)
{
    u32 size = MIN(limit, room(r));
    if (at == 0 || size == 0)
        return;
    s64 n = copy_string_from_user((char *)piece_data(r), at, size);
    if (n == -ENAMETOOLONG)
        add_memory(r, arg, part, at, size + 1ull, size);
    else
        finish_piece(r, arg, part, n < 0 ? 0 : (u32)n, n < 0 ? TRACE_FAULT : 0);
}

static void add_number(struct call_record *r, u8 arg, u32 n)
{
    if (room(r) < sizeof(n))
        return;
    memcpy(piece_data(r), &n, sizeof(n));
    finish_piece(r, arg, 0, sizeof(n), 0);
}

/* Pointers up to a null pointer; with `strings` what they point to. */
static void add_list(struct call_record *r, u8 arg, uaddr_t list, bool strings)
{
    u64 p = 0;
    u32 n = 0;
    for (; list != 0 && get_user_u64(list + 8ull * n, &p) == 0 && p != 0 && n < (strings ? STRINGS_MAX : 65536u); n++)
        if (strings)
            add_string(r, arg, n, p, r->string_max);
    if (strings && n == STRINGS_MAX)
        finish_piece(r, arg, n, 0, TRACE_CUT);
    else if (!strings && list != 0)
        add_number(r, arg, n);
}

/* `total`: bytes that the call moved. */
static void add_vector(struct call_record *r, u8 arg, u32 part, uaddr_t at, u64 count, u64 total)
{
    struct abi_iovec v[VECTORS_MAX];
    u32 n = (u32)MIN(count, (u64)VECTORS_MAX);
    if (copy_from_user(v, at, n * sizeof(v[0])) != 0)
        n = 0;
    add_memory(r, arg, part, at, count * sizeof(v[0]), n * (u32)sizeof(v[0]));
    for (u32 i = 0; i < n && total > 0; i++) {
        u64 len = MIN(v[i].len, total);
        add_memory(r, arg, part + 1 + i, v[i].base, len, r->string_max);
        total -= len;
    }
}

struct msg_head { /* struct msghdr */
    u64 name;
    u32 name_len, pad;
    u64 iov, iov_len, control, control_len;
    u32 flags, pad2;
};

static void add_message(struct call_record *r, u8 arg, uaddr_t at, u64 total)
{
    struct msg_head m;
    if (copy_from_user(&m, at, sizeof(m)) != 0)
        return;
    add_memory(r, arg, 0, at, sizeof(m), sizeof(m));
    add_memory(r, arg, 1, m.name, m.name_len, ADDRESS_MAX);
    add_vector(r, arg, 2, m.iov, m.iov_len, total);
    add_memory(r, arg, TRACE_CONTROL, m.control, m.control_len, ADDRESS_MAX);
}

static void add_dents(struct call_record *r, u8 arg, uaddr_t at, u64 bytes)
{
    u32 n = 0;
    u16 len = 0;
    for (u64 done = 0; done < bytes && copy_from_user(&len, at + done + 16, sizeof(len)) == 0 && len != 0; done += len)
        n++;
    add_number(r, arg, n);
}

static void capture(struct call_record *r, const struct capture *c, const u64 *args, s64 result)
{
    uaddr_t at = args[c->arg];
    u32 len;
    switch (c->how) {
    case CAPTURE_FIXED: add_memory(r, c->arg, 0, at, c->size, c->size); break;
    case CAPTURE_PATH: add_string(r, c->arg, 0, at, TRACE_STRING_MAX); break;
    case CAPTURE_STRING: add_string(r, c->arg, 0, at, r->string_max); break;
    case CAPTURE_STRINGS: add_list(r, c->arg, at, true); break;
    case CAPTURE_COUNT: add_list(r, c->arg, at, false); break;
    case CAPTURE_COUNTED: add_memory(r, c->arg, 0, at, MIN(args[c->length] & UINT32_MAX, 1u << 20) * (u64)c->size, STRUCTS_MAX); break;
    case CAPTURE_BUFFER: add_memory(r, c->arg, 0, at, args[c->length], r->string_max); break;
    case CAPTURE_RESULT: add_memory(r, c->arg, 0, at, (u64)result * c->size, c->size == 1 ? r->string_max : STRUCTS_MAX); break;
    case CAPTURE_LENGTH_AT:
        if (args[c->length] != 0 && get_user_u32(args[c->length], &len) == 0)
            add_memory(r, c->arg, 0, at, len, ADDRESS_MAX);
        break;
    case CAPTURE_IOV: add_vector(r, c->arg, 0, at, args[c->length], result < 0 ? UINT64_MAX : (u64)result); break;
    case CAPTURE_MSG: add_message(r, c->arg, at, result < 0 ? UINT64_MAX : (u64)result); break;
    case CAPTURE_DENTS: add_dents(r, c->arg, at, (u64)result); break;
    }
}

/* Entry: result is negative. Who got it. */
static NOINLINE u8 tell(const struct trace_call *c, u32 when, s64 result, u64 time_ns, u8 sessions)
{
    struct call_record r;
    r.used = 0;
    r.string_max = trace_string_max(sessions);
    if (when == CAPTURE_EXIT)
        add(&r, &result, 8);
    add(&r, c->args, 6 * 8);
    for (u32 i = captures_first[c->nr]; i < captures_first[c->nr + 1]; i++)
        if (captures[i].when == when)
            capture(&r, &captures[i], c->args, result);
    r.head = (struct trace_record){ .len = (u32)sizeof(r.head) + r.used, .kind = when == CAPTURE_EXIT ? TRACE_EXIT : TRACE_ENTRY,
                                    .id = (u16)c->nr, .pid = c->pid, .tid = c->tid, .time_ns = time_ns };
    return trace_publish(&r.head, c, sessions);
}

static void read_args(const struct trap_frame *f, u64 *args)
{
    args[0] = FRAME_ARG0(f);
    args[1] = FRAME_ARG1(f);
    args[2] = FRAME_ARG2(f);
    args[3] = FRAME_ARG3(f);
    args[4] = FRAME_ARG4(f);
    args[5] = FRAME_ARG5(f);
}

static struct trace_call call_of(const struct task *t, u32 nr, const u64 *args, s64 result)
{
    return (struct trace_call){ .nr = nr, .pid = t->proc->pid, .tid = t->tid, .early = nr == NR_execve || nr == NR_execveat,
                                .fd_args = call_fd_args[nr], .path_args = call_path_args[nr], .args = args, .result = result };
}

void trace_call_entry(struct task *t, const struct trap_frame *f)
{
    u64 nr = FRAME_SYSCALL_NR(f), args[6];
    t->call_began_ns = 0;
    if (nr >= SYSCALL_COUNT)
        return;
    read_args(f, args);
    struct trace_call c = call_of(t, (u32)nr, args, 0);
    if (trace_wants_call(&c, TRACE_ANY) == 0)
        return;
    u8 now = trace_wants_call(&c, TRACE_ENTERED);
    t->call_sessions = now != 0 ? tell(&c, CAPTURE_ENTRY, -1, 0, now) : 0;
    t->call_nr = (u32)nr;
    t->call_began_ns = now_ns();
}

/* Nothing was written to the program's memory, or the frame is another one's by now. */
static void tell_end(const struct trace_call *c, u8 sessions)
{
    struct { struct trace_record head; s64 result; u64 args[6]; } r = {
        { .len = sizeof(r), .kind = TRACE_EXIT, .id = (u16)c->nr, .pid = c->pid, .tid = c->tid }, .result = c->result };
    memcpy(r.args, c->args, sizeof(r.args));
    trace_publish(&r.head, c, sessions);
}

void trace_call_exit(struct task *t, const struct trap_frame *f)
{
    u64 args[6], began = t->call_began_ns;
    u32 nr = t->call_nr;
    if (began == 0)
        return;
    t->call_began_ns = 0;
    s64 result = (s64)FRAME_RESULT(f);
    read_args(f, args);
    struct trace_call c = call_of(t, nr, args, result);
    trace_sum(nr, c.pid, c.tid, result, now_ns() - began);
    u8 late = trace_wants_call(&c, TRACE_RETURNED), to = t->call_sessions;
    if (late != 0)
        to |= tell(&c, CAPTURE_ENTRY, -1, began, late);
    if (to == 0)
        return;
    if (result < 0 || nr == NR_rt_sigreturn || nr == NR_execve || nr == NR_execveat)
        tell_end(&c, to);
    else
        tell(&c, CAPTURE_EXIT, result, 0, to);
}

static void watch_calls(bool on)
{
    spin_lock_bh(&process_list_lock);
    syscall_watch(on);
    trace_calls_watched += on ? 1 : -1;
    spin_unlock_bh(&process_list_lock);
}

static void who(u32 *ret_pid, u32 *ret_tid)
{
    const struct task *t = current_thread()->task;
    *ret_pid = t != NULL ? t->proc->pid : 0;
    *ret_tid = t != NULL ? t->tid : 0;
}

void trace_calls_init(void)
{
    trace_watch_calls = watch_calls;
    trace_who = who;
}
