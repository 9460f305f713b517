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

enum { CAPTURE_ENTRY = 1, CAPTURE_EXIT = 2, CAPTURE_LATE = 4 }; /* late: when the call has returned, even if it has failed */
enum {
    CAPTURE_FIXED,     /* size bytes */
    CAPTURE_PATH,      /* a string, as far as a record goes */
    CAPTURE_STRING,    /* one, as much as the client wants */
    CAPTURE_STRINGS,   /* a list of them that ends with a null pointer: a part for each */
    CAPTURE_COUNT,     /* of such a list only how many: a u32 */
    CAPTURE_COUNTED,   /* as many times size as argument `length` says */
    CAPTURE_BUFFER,    /* the same, as much as the client wants */
    CAPTURE_OPTION,    /* part 1 the same, more of it, if the client does not want that much of a buffer */
    CAPTURE_RESULT,    /* as many times size as the call returned */
    CAPTURE_LENGTH_AT, /* as many bytes as an int says to which argument `length` points */
    CAPTURE_IOV,       /* part 0 the vector of argument `length`, then a part of data for each */
    CAPTURE_VECTOR,    /* only the vector */
    CAPTURE_MSG,       /* part 0 a struct msghdr, 1 its address, 2 its vector, then the data; TRACE_CONTROL control messages */
    CAPTURE_MSGS,      /* part 0 as many struct mmsghdr as argument `length` says; of each the parts of CAPTURE_MSG but 0, from TRACE_MESSAGE(n) */
    CAPTURE_IPC_MSG,   /* part 0 the message's type, 1 as many bytes as argument `length` says */
    CAPTURE_PAGES,     /* a byte for each page of as many bytes as argument `length` says */
    CAPTURE_INTERFACES, /* part 1 the list of SIOCGIFCONF, if argument `length` is that */
    CAPTURE_SET_AT,    /* part 0 a pointer and a size, 1 eight bytes at the pointer */
    CAPTURE_REQUESTS,   /* part 0 the pointers of io_submit(2), as many as argument `length` says; of each, from TRACE_MESSAGE(n), a struct iocb, then a
                         * buffer (1), or a vector and its data (2 on) */
    CAPTURE_IDS,        /* part 1 the list set_tid of clone3(2), if its structure, of as many bytes as argument `length` says, has one */
    CAPTURE_DENTS,     /* how many directory entries: a u32 */
};
struct capture {
    u8 how, when, arg, length;
    u16 size;
};

#include "linux/syscall_captures.inc"

#define STRINGS_MAX 32u   /* parts of a list */
#define VECTORS_MAX 32u
#define MESSAGES_MAX 8u
#define ADDRESS_MAX 128u  /* bytes of a socket's address */
#define OPTION_MAX 144u   /* of an option: struct group_req */
#define STRUCTS_MAX 512u  /* bytes of an array of structures */
#define SIOCGIFCONF 0x8912u

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
    struct trace_piece p = { .arg = arg, .part = part, .len = (u16)len, .flags = (u8)flags };
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
    else if (!strings && list != 0 && (n != 0 || get_user_u64(list, &p) == 0))
        add_number(r, arg, n);
}

/* `total`: bytes that the call moved. The vector is read where its copy is in the record. */
static void add_vector(struct call_record *r, u8 arg, u32 part, uaddr_t at, u64 count, u64 total)
{
    u32 n = (u32)MIN(count, (u64)VECTORS_MAX);
    const struct abi_iovec *v = (const void *)piece_data(r);
    n = add_memory(r, arg, part, at, count * sizeof(*v), n * (u32)sizeof(*v)) / (u32)sizeof(*v);
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
struct mmsg_head {
    struct msg_head head;
    u32 len, pad;
};

static void add_message_parts(struct call_record *r, u8 arg, u32 base, const struct msg_head *m, u64 total)
{
    add_memory(r, arg, base + 1, m->name, m->name_len, ADDRESS_MAX);
    add_vector(r, arg, base + 2, m->iov, m->iov_len, total);
    add_memory(r, arg, base + TRACE_CONTROL, m->control, m->control_len, ADDRESS_MAX);
}

static void add_message(struct call_record *r, u8 arg, uaddr_t at, u64 total)
{
    struct msg_head m;
    if (copy_from_user(&m, at, sizeof(m)) != 0)
        return;
    add_memory(r, arg, 0, at, sizeof(m), sizeof(m));
    if (total > 0)
        add_message_parts(r, arg, 0, &m, total);
}

/* What was sent is told whole, of what was received as much as each message says. */
static void add_messages(struct call_record *r, u8 arg, uaddr_t at, u32 count, bool received)
{
    const struct mmsg_head *m = (const void *)piece_data(r);
    u32 n = add_memory(r, arg, 0, at, count * (u64)sizeof(*m), MIN(count, MESSAGES_MAX) * (u32)sizeof(*m)) / (u32)sizeof(*m);
    for (u32 i = 0; i < n; i++)
        add_message_parts(r, arg, TRACE_MESSAGE(i), &m[i].head, received ? m[i].len : UINT64_MAX);
}

static void add_ipc_message(struct call_record *r, u8 arg, uaddr_t at, u64 len)
{
    if (add_memory(r, arg, 0, at, 8, 8) == 8)
        add_memory(r, arg, 1, at + 8, len, r->string_max);
}

struct interface_list { /* struct ifconf */
    s32 len;
    u32 pad;
    u64 at;
};

static void add_interfaces(struct call_record *r, u8 arg, uaddr_t at)
{
    struct interface_list l;
    if (copy_from_user(&l, at, sizeof(l)) == 0 && l.at != 0 && l.len >= 0)
        add_memory(r, arg, 1, l.at, (u64)l.len, STRUCTS_MAX);
}

static void add_set_at(struct call_record *r, u8 arg, uaddr_t at)
{
    u64 set = 0;
    if (add_memory(r, arg, 0, at, 16, 16) == 16 && get_user_u64(at, &set) == 0)
        add_memory(r, arg, 1, set, 8, 8);
}

struct request_head { /* struct iocb */
    u64 data, key_flags;
    u16 opcode, priority;
    u32 fd;
    u64 buf, len, more[3];
};
enum { REQUEST_PWRITE = 1, REQUEST_PREADV = 7, REQUEST_PWRITEV };

static void add_requests(struct call_record *r, u8 arg, uaddr_t at, u64 count)
{
    const u64 *list = (const void *)piece_data(r);
    u32 n = (s64)count < 0 ? 0 : add_memory(r, arg, 0, at, MIN(count, 1ull << 20) * 8, MESSAGES_MAX * 8) / 8;
    for (u32 i = 0; i < n; i++) {
        const struct request_head *q = (const void *)piece_data(r);
        u32 part = TRACE_MESSAGE(i);
        if (add_memory(r, arg, part, list[i], sizeof(*q), sizeof(*q)) != sizeof(*q))
            continue;
        if (q->opcode == REQUEST_PWRITE)
            add_memory(r, arg, part + 1, q->buf, q->len, r->string_max);
        else if (q->opcode == REQUEST_PREADV || q->opcode == REQUEST_PWRITEV)
            add_vector(r, arg, part + 2, q->buf, q->len, q->opcode == REQUEST_PWRITEV ? UINT64_MAX : 0);
    }
}

#define SET_TID_AT 64u /* in struct clone_args */

static void add_ids(struct call_record *r, u8 arg, uaddr_t at, u64 size)
{
    u64 list[2]; /* where, and how many */
    if (size >= SET_TID_AT + sizeof(list) && copy_from_user(list, at + SET_TID_AT, sizeof(list)) == 0)
        add_memory(r, arg, 1, list[0], MIN(list[1], 1ull << 20) * 4, ADDRESS_MAX);
}

static void add_dents(struct call_record *r, u8 arg, uaddr_t at, u64 bytes)
{
    u32 n = 0;
    u16 len = 0;
    for (u64 done = 0; done < bytes && copy_from_user(&len, at + done + 16, sizeof(len)) == 0 && len != 0; done += len)
        n++;
    add_number(r, arg, n);
}

/* result: of a call that has not failed; what it has moved in all. */
static void capture(struct call_record *r, const struct capture *c, const u64 *args, u64 result)
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
    case CAPTURE_OPTION:
        if (args[c->length] > r->string_max)
            add_memory(r, c->arg, 1, at, args[c->length], OPTION_MAX);
        break;
    case CAPTURE_RESULT: add_memory(r, c->arg, 0, at, result * c->size, c->size == 1 ? r->string_max : STRUCTS_MAX); break;
    case CAPTURE_LENGTH_AT:
        if (args[c->length] != 0 && get_user_u32(args[c->length], &len) == 0)
            add_memory(r, c->arg, 0, at, len, ADDRESS_MAX);
        break;
    case CAPTURE_IOV: add_vector(r, c->arg, 0, at, args[c->length], result); break;
    case CAPTURE_VECTOR: add_vector(r, c->arg, 0, at, args[c->length], 0); break;
    case CAPTURE_MSG: add_message(r, c->arg, at, result); break;
    case CAPTURE_MSGS: add_messages(r, c->arg, at, (u32)(c->when == CAPTURE_EXIT ? result : args[c->length]), c->when == CAPTURE_EXIT); break;
    case CAPTURE_IPC_MSG: add_ipc_message(r, c->arg, at, args[c->length]); break;
    case CAPTURE_PAGES: add_memory(r, c->arg, 0, at, ALIGN_UP(args[c->length], PAGE_SIZE) / PAGE_SIZE, r->string_max); break;
    case CAPTURE_INTERFACES:
        if (args[c->length] == SIOCGIFCONF)
            add_interfaces(r, c->arg, at);
        break;
    case CAPTURE_SET_AT: add_set_at(r, c->arg, at); break;
    case CAPTURE_REQUESTS: add_requests(r, c->arg, at, args[c->length]); break;
    case CAPTURE_IDS: add_ids(r, c->arg, at, args[c->length]); break;
    case CAPTURE_DENTS: add_dents(r, c->arg, at, result); break;
    }
}

/* What is due now: a set of CAPTURE_ENTRY or the others. Who got it. */
static NOINLINE u8 tell(const struct trace_call *c, u32 when, u64 time_ns, u8 sessions)
{
    bool entry = when == CAPTURE_ENTRY;
    u64 moved = entry ? UINT64_MAX : c->result < 0 ? 0 : (u64)c->result;
    struct call_record r;
    r.used = 0;
    r.string_max = trace_string_max(sessions);
    if (!entry)
        add(&r, &c->result, 8);
    add(&r, c->args, 6 * 8);
    for (u32 i = captures_first[c->nr]; i < captures_first[c->nr + 1]; i++)
        if ((captures[i].when & when) != 0)
            capture(&r, &captures[i], c->args, moved);
    r.head = (struct trace_record){ .len = (u32)sizeof(r.head) + r.used, .kind = entry ? TRACE_ENTRY : TRACE_EXIT,
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

/* When it has returned, the frame is another one's, and what its arguments led to may have gone. */
static bool changes_frame(u32 nr) { return nr == NR_rt_sigreturn || nr == NR_execve || nr == NR_execveat; }

static struct trace_call call_of(const struct task *t, u32 nr, const u64 *args, s64 result)
{
    return (struct trace_call){ .nr = nr, .pid = t->proc->pid, .tid = t->tid, .early = changes_frame(nr),
                                .fd_args = call_fd_args[nr], .path_args = call_path_args[nr], .args = args, .result = result };
}

bool trace_call_entry(struct task *t, const struct trap_frame *f)
{
    u32 nr = t->call_nr;
    u64 args[6];
    read_args(f, args);
    if (nr == NR_rt_sigreturn) /* it has no arguments, but something to show */
        args[0] = arch_sigreturn_mask(f);
    struct trace_call c = call_of(t, nr, args, 0);
    struct trace_wanted w = trace_call_entered(&c);
    t->call_sessions = w.now != 0 ? tell(&c, CAPTURE_ENTRY, 0, w.now) : 0;
    return w.any != 0;
}

void trace_call_exit(struct task *t, const struct trap_frame *f)
{
    u32 nr = t->call_nr;
    s64 result = (s64)FRAME_RESULT(f);
    u64 args[6];
    read_args(f, args);
    struct trace_call c = call_of(t, nr, args, result);
    u8 late = trace_call_returned(&c), to = t->call_sessions;
    if (late != 0)
        to |= tell(&c, CAPTURE_ENTRY, t->call_began_ns, late);
    /* A thread that was killed in its call does not come back from it. */
    if (to != 0 && !task_must_end(t->proc))
        tell(&c, changes_frame(nr) ? 0 : result < 0 ? CAPTURE_LATE : CAPTURE_EXIT | CAPTURE_LATE, 0, to);
}

static void add_kernel_string(struct call_record *r, u8 arg, u32 part, const char *s, u32 limit)
{
    size_t n = strlen(s);
    u32 len = (u32)MIN(n, (size_t)MIN(limit, room(r)));
    if (room(r) == 0)
        return;
    memcpy(piece_data(r), s, len);
    finish_piece(r, arg, part, len, len < n ? TRACE_CUT : 0);
}

static u8 tell_first(const struct trace_call *c, const char *name, char *const *argv, u64 time_ns, u8 sessions)
{
    struct call_record r;
    r.used = 0;
    r.string_max = trace_string_max(sessions);
    add(&r, c->args, 6 * 8);
    add_kernel_string(&r, 0, 0, name, TRACE_STRING_MAX);
    u32 n = 0;
    for (; argv[n] != NULL && n < STRINGS_MAX; n++)
        add_kernel_string(&r, 1, n, argv[n], r.string_max);
    if (n == STRINGS_MAX)
        finish_piece(&r, 1, n, 0, TRACE_CUT);
    add_list(&r, 2, c->args[2], false);
    r.head = (struct trace_record){ .len = (u32)sizeof(r.head) + r.used, .kind = TRACE_ENTRY, .id = (u16)c->nr, .pid = c->pid, .tid = c->tid,
                                    .time_ns = time_ns };
    return trace_publish(&r.head, c, sessions);
}

void trace_first_execve(const char *name, char *const *argv, u64 sp, u64 began_ns)
{
    struct task *t = current_task();
    u64 argc = 0;
    trace_call_counted(NR_execve, 0, now_ns() - began_ns);
    get_user_u64(sp, &argc);
    u64 args[6] = { sp, sp + 8, sp + 8 * (argc + 2) }; /* argc, argv[], NULL, envp[] */
    struct trace_call c = call_of(t, NR_execve, args, 0);
    struct trace_wanted w = trace_call_entered(&c);
    if (w.any == 0)
        return;
    u8 wanted = w.now | trace_call_returned(&c);
    u8 to = wanted != 0 ? tell_first(&c, name, argv, began_ns, wanted) : 0;
    if (to != 0)
        tell(&c, 0, 0, to);
}

static void watch_calls(bool on, bool sums)
{
    spin_lock_bh(&process_list_lock);
    syscall_time(on);
    if (!sums)
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
