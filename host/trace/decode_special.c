/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments and results whose meaning another argument decides: decode_impl.h. */
#include "host/trace/decode_impl.h"

#include <asm/ioctls.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sched.h>
#include <linux/mman.h>
#include <linux/memfd.h>
#include <string.h>
#include <sys/stat.h>

static bool creates(u64 flags) { return (flags & (O_CREAT | 020000000)) != 0; }

static bool fcntl_has_argument(u64 cmd) { return cmd != F_GETFD && cmd != F_GETFL && cmd != 9 && cmd != 11 && cmd != F_GETLEASE && cmd != F_GETPIPE_SZ && cmd != F_GET_SEALS; }

static bool futex_has(u64 op, unsigned arg)
{
    static const u8 last[] = {[FUTEX_WAIT] = 3, [FUTEX_WAKE] = 2, [FUTEX_REQUEUE] = 4, [FUTEX_CMP_REQUEUE] = 5, [FUTEX_WAKE_OP] = 5, [FUTEX_LOCK_PI] = 3, [FUTEX_FD] = 2,
                              [FUTEX_UNLOCK_PI] = 1, [FUTEX_TRYLOCK_PI] = 1, [FUTEX_WAIT_BITSET] = 5, [FUTEX_WAKE_BITSET] = 5,
                              [FUTEX_WAIT_REQUEUE_PI] = 4, [FUTEX_CMP_REQUEUE_PI] = 5};
    u64 cmd = op & FUTEX_CMD_MASK;
    if ((cmd == FUTEX_LOCK_PI && arg == 2) || (cmd == FUTEX_WAKE_BITSET && (arg == 3 || arg == 4)) || (cmd == FUTEX_WAIT_BITSET && arg == 4))
        return false;
    return cmd >= ARRAY_SIZE(last) || !last[cmd] || arg <= last[cmd];
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
    if (i >= 2 && is_call(c, "mq_open"))
        return (c->args[1] & O_CREAT) != 0;
    if (i >= 3 && is_call(c, "kcmp"))
        return c->args[2] == 0 || c->args[2] > 7;
    if (is_call(c, "prctl") || is_call(c, "ptrace") || is_call(c, "reboot"))
        return call_shows(c, i);
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

static const char *const locks[] = {"F_RDLCK", "F_WRLCK", "F_UNLCK"};

void add_fcntl(struct buf *out, const struct call *c)
{
    static const struct bit descriptor[] = {{FD_CLOEXEC, "FD_CLOEXEC"}};
    static const struct bit notify[] = {{1, "DN_ACCESS"}, {2, "DN_MODIFY"}, {4, "DN_CREATE"}, {8, "DN_DELETE"}, {16, "DN_RENAME"}, {32, "DN_ATTRIB"}, {0x80000000, "DN_MULTISHOT"}};
    u32 cmd = (u32)c->args[1];
    bool after = fcntl_writes(cmd) && c->has_exited;
    struct found f = piece_of(c, 2, after);
    s32 owner[2];
    if (cmd == F_SETFD) {
        add_bits(out, descriptor, ARRAY_SIZE(descriptor), (u32)c->args[2]);
    } else if (cmd == F_NOTIFY) {
        add_bits(out, notify, ARRAY_SIZE(notify), (u32)c->args[2]);
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

static void add_operation(struct buf *out, const char *const *names, size_t n, u32 op, int shift, const char *unknown)
{
    if (op < n)
        buf_addf(out, "%s<<%d", names[op], shift);
    else
        buf_addf(out, "%#x<<%d /* %s */", op, shift, unknown);
}

/* The word of FUTEX_WAKE_OP. */
static void add_futex_op(struct buf *out, u32 op)
{
    static const char *const ops[] = {"FUTEX_OP_SET", "FUTEX_OP_ADD", "FUTEX_OP_OR", "FUTEX_OP_ANDN", "FUTEX_OP_XOR"};
    static const char *const compares[] = {"FUTEX_OP_CMP_EQ", "FUTEX_OP_CMP_NE", "FUTEX_OP_CMP_LT", "FUTEX_OP_CMP_LE", "FUTEX_OP_CMP_GT", "FUTEX_OP_CMP_GE"};
    if (op >> 28 & FUTEX_OP_OPARG_SHIFT)
        buf_addf(out, "FUTEX_OP_OPARG_SHIFT<<28|");
    add_operation(out, ops, ARRAY_SIZE(ops), op >> 28 & 7, 28, "FUTEX_OP_???");
    buf_addf(out, "|%#x<<12|", op >> 12 & 0xfff);
    add_operation(out, compares, ARRAY_SIZE(compares), op >> 24 & 0xf, 24, "FUTEX_OP_CMP_???");
    buf_addf(out, "|%#x", op & 0xfff);
}

void add_futex_value(struct buf *out, const struct call *c, unsigned i)
{
    u64 cmd = c->args[1] & FUTEX_CMD_MASK;
    if (i == 5 && (cmd == FUTEX_WAIT_BITSET || cmd == FUTEX_WAKE_BITSET) && (u32)c->args[5] == FUTEX_BITSET_MATCH_ANY)
        buf_addf(out, "FUTEX_BITSET_MATCH_ANY");
    else if (i == 5 && cmd == FUTEX_WAKE_OP)
        add_futex_op(out, (u32)c->args[5]);
    else if (i == 5 && cmd != FUTEX_CMP_REQUEUE && cmd != FUTEX_CMP_REQUEUE_PI)
        buf_addf(out, "%#x", (u32)c->args[5]);
    else
        buf_addf(out, "%u", (u32)c->args[i]);
}

bool futex_counts(u64 op) /* argument 3 is a number, no time */
{
    u64 cmd = op & FUTEX_CMD_MASK;
    return cmd == FUTEX_REQUEUE || cmd == FUTEX_CMP_REQUEUE || cmd == FUTEX_WAKE_OP || cmd == FUTEX_CMP_REQUEUE_PI;
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
    } else if (set == SET_ipcflags || set == SET_shmflags) {
        if (v & ~0777ull & UINT32_MAX) {
            add_flags(out, set, v & ~0777ull & UINT32_MAX);
            buf_add(out, "|", 1);
        }
        buf_addf(out, v & 0777 ? "%#03o" : "000", (u32)v & 0777);
    } else if ((set == SET_map && v & MAP_HUGETLB) || (set == SET_memfd && v & MFD_HUGETLB)) {
        u64 size = v >> MAP_HUGE_SHIFT & MAP_HUGE_MASK;
        add_flags(out, set, v & UINT32_MAX & ~((u64)MAP_HUGE_MASK << MAP_HUGE_SHIFT));
        if (size)
            buf_addf(out, set == SET_map ? "|%llu<<MAP_HUGE_SHIFT" : "|%llu<<MFD_HUGE_SHIFT", (unsigned long long)size);
    } else {
        bool wide = set == SET_prot;
        add_flags(out, set, wide ? v : (u32)v);
    }
}

void add_left(struct buf *out, const struct call *c, unsigned arg, unsigned type, const char *before)
{
    struct found f = piece_of(c, arg, true);
    if (f.data && !f.fault) {
        buf_addf(out, "%sleft ", before);
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
    add_left(out, c, 4, is_call(c, "select") ? TYPE_timeval : TYPE_timespec, ", ");
    buf_add(out, ")", 1);
}
