/* SPDX-License-Identifier: Apache-2.0 */
/* Calls whose arguments or results are told apart by the others: prctl(2), ptrace(2), personality(2), ...: decode_impl.h. */
#include "host/trace/decode_impl.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <linux/prctl.h>
#include <linux/reboot.h>
#include <sys/mount.h>

#include "host/client/syscall_names.h"

struct value_name {
    u32 value;
    const char *name;
};

/* A number that has no name is shown with a comment. */
static void add_name(struct buf *out, const struct value_name *names, size_t n, u64 value, const char *unknown)
{
    for (size_t i = 0; i < n; i++)
        if (names[i].value == (u32)value) {
            buf_addf(out, "%s", names[i].name);
            return;
        }
    buf_addf(out, "%#x /* %s */", (u32)value, unknown);
}
#define ADD_NAME(out, names, value, unknown) add_name(out, names, ARRAY_SIZE(names), value, unknown)

static void add_hex(struct buf *out, u64 v) { buf_addf(out, "%#llx", (unsigned long long)v); }

static void add_cap(struct buf *out, u64 v)
{
    const char *name = v < 64 ? cap_name((u32)v) : NULL;
    if (name)
        buf_addf(out, "CAP_%s", name);
    else
        buf_addf(out, "%#x /* CAP_??? */", (u32)v);
}

/* A struct sock_fprog. */
static void add_program(struct buf *out, const struct found *f, u64 address)
{
    if (f->len < 16) {
        add_pointer(out, address);
        return;
    }
    buf_addf(out, "{len=%u, filter=", half(f->data, 0) & 0xffff);
    add_pointer(out, word(f->data, 8));
    buf_add(out, "}", 1);
}

/* --- prctl(2) ------------------------------------------------------------------------------- */

static const struct bit securebits[] = {
    {1, "SECBIT_NOROOT"}, {2, "SECBIT_NOROOT_LOCKED"}, {4, "SECBIT_NO_SETUID_FIXUP"}, {8, "SECBIT_NO_SETUID_FIXUP_LOCKED"}, {16, "SECBIT_KEEP_CAPS"},
    {32, "SECBIT_KEEP_CAPS_LOCKED"}, {64, "SECBIT_NO_CAP_AMBIENT_RAISE"}, {128, "SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED"}};

static unsigned prctl_count(u64 op, u64 first)
{
    switch (op) {
    case PR_TASK_PERF_EVENTS_DISABLE: case PR_TASK_PERF_EVENTS_ENABLE: case PR_GET_FP_MODE:
    case PR_GET_DUMPABLE: case PR_GET_KEEPCAPS: case PR_GET_SECCOMP: case PR_GET_TIMERSLACK: case PR_GET_TIMING: case PR_GET_SECUREBITS:
        return 1;
    case PR_SET_NAME: case PR_GET_NAME: case PR_SET_PDEATHSIG: case PR_SET_DUMPABLE: case PR_SET_KEEPCAPS: case PR_CAPBSET_READ:
    case PR_CAPBSET_DROP: case PR_SET_CHILD_SUBREAPER: case PR_SET_TIMERSLACK: case PR_SET_PTRACER: case PR_GET_PDEATHSIG:
    case PR_GET_CHILD_SUBREAPER: case PR_SET_SECUREBITS: case PR_SET_TIMING: case PR_GET_TSC: case PR_SET_TSC: case PR_GET_TID_ADDRESS:
    case PR_GET_UNALIGN: case PR_SET_UNALIGN: case PR_GET_FPEMU: case PR_SET_FPEMU: case PR_GET_FPEXC: case PR_SET_FPEXC: case PR_GET_ENDIAN:
    case PR_SET_ENDIAN: case PR_SET_FP_MODE: case PR_GET_SPECULATION_CTRL:
        return 2;
    case PR_SET_SPECULATION_CTRL:
        return 3;
    case PR_SET_SECCOMP:
        return (u32)first == 1 ? 2 : (u32)first == 2 ? 3 : 5;
    default:
        return 5;
    }
}

bool prctl_writes(u64 op)
{
    return op == PR_GET_NAME || op == PR_GET_PDEATHSIG || op == PR_GET_CHILD_SUBREAPER || op == PR_GET_TSC || op == PR_GET_TID_ADDRESS;
}

/* What the call has written. */
static void add_prctl_got(struct buf *out, const struct call *c, struct found f)
{
    s32 n = f.len >= 4 ? (s32)half(f.data, 0) : 0;
    if (c->args[0] == PR_GET_NAME) {
        add_quoted(out, f.data, strnlen((const char *)f.data, f.len), false, false);
    } else if (c->args[0] == PR_GET_PDEATHSIG && n) {
        buf_add(out, "[", 1);
        add_signal(out, (u32)n);
        buf_add(out, "]", 1);
    } else if (c->args[0] == PR_GET_TSC) {
        buf_addf(out, n == 1 ? "[PR_TSC_ENABLE]" : n == 2 ? "[PR_TSC_SIGSEGV]" : "[%#x /* PR_TSC_??? */]", n);
    } else if (c->args[0] == PR_GET_TID_ADDRESS && f.len >= 8) {
        buf_add(out, "[", 1);
        add_pointer(out, word(f.data, 0));
        buf_add(out, "]", 1);
    } else {
        buf_addf(out, "[%d]", n);
    }
}

static void add_prctl_first(struct buf *out, const struct call *c)
{
    static const struct value_name dumpable[] = {{0, "SUID_DUMP_DISABLE"}, {1, "SUID_DUMP_USER"}, {2, "SUID_DUMP_ROOT"}};
    static const struct value_name ambient[] = {{1, "PR_CAP_AMBIENT_IS_SET"}, {2, "PR_CAP_AMBIENT_RAISE"}, {3, "PR_CAP_AMBIENT_LOWER"}, {4, "PR_CAP_AMBIENT_CLEAR_ALL"}};
    static const struct value_name speculation[] = {{0, "PR_SPEC_STORE_BYPASS"}, {1, "PR_SPEC_INDIRECT_BRANCH"}, {2, "PR_SPEC_L1D_FLUSH"}};
    static const struct value_name mm[] = {
        {1, "PR_SET_MM_START_CODE"}, {2, "PR_SET_MM_END_CODE"}, {3, "PR_SET_MM_START_DATA"}, {4, "PR_SET_MM_END_DATA"}, {5, "PR_SET_MM_START_STACK"},
        {6, "PR_SET_MM_START_BRK"}, {7, "PR_SET_MM_BRK"}, {8, "PR_SET_MM_ARG_START"}, {9, "PR_SET_MM_ARG_END"}, {10, "PR_SET_MM_ENV_START"},
        {11, "PR_SET_MM_ENV_END"}, {12, "PR_SET_MM_AUXV"}, {13, "PR_SET_MM_EXE_FILE"}, {14, "PR_SET_MM_MAP"}, {15, "PR_SET_MM_MAP_SIZE"}};
    static const struct value_name tsc[] = {{1, "PR_TSC_ENABLE"}, {2, "PR_TSC_SIGSEGV"}}, vma[] = {{0, "PR_SET_VMA_ANON_NAME"}};
    static const struct value_name timing[] = {{0, "PR_TIMING_STATISTICAL"}, {1, "PR_TIMING_TIMESTAMP"}}, seccomp[] = {{0, "SECCOMP_MODE_DISABLED"}, {1, "SECCOMP_MODE_STRICT"}, {2, "SECCOMP_MODE_FILTER"}};
    static const struct value_name unalign[] = {{1, "PR_UNALIGN_NOPRINT"}, {2, "PR_UNALIGN_SIGBUS"}}, machine_check[] = {{0, "PR_MCE_KILL_CLEAR"}, {1, "PR_MCE_KILL_SET"}};
    static const struct value_name fp_mode[] = {{1, "PR_FP_MODE_FR"}, {2, "PR_FP_MODE_FRE"}};
    struct found after = piece_of(c, 1, true);
    u64 v = c->args[1];
    switch (c->args[0]) {
    case PR_SET_NAME: {
        struct found name = piece_of(c, 1, false);
        add_text(out, &name, v, false);
        break;
    }
    case PR_CAPBSET_READ: case PR_CAPBSET_DROP: add_cap(out, v); break;
    case PR_SET_DUMPABLE: ADD_NAME(out, dumpable, v, "SUID_DUMP_???"); break;
    case PR_SET_SECUREBITS: add_bits(out, securebits, ARRAY_SIZE(securebits), (u32)v); break;
    case PR_SET_MM: ADD_NAME(out, mm, v, "PR_SET_MM_???"); break;
    case PR_SET_UNALIGN: ADD_NAME(out, unalign, v, "PR_UNALIGN_???"); break;
    case PR_MCE_KILL: ADD_NAME(out, machine_check, v, "PR_MCE_KILL_???"); break;
    case PR_SET_FP_MODE: ADD_NAME(out, fp_mode, v, "PR_FP_MODE_???"); break;
    case PR_SET_TSC: ADD_NAME(out, tsc, v, "PR_TSC_???"); break;
    case PR_SET_TIMING:
        if (v < 2) buf_addf(out, "%llu", (unsigned long long)v); else ADD_NAME(out, timing, v, "PR_TIMING_???");
        break;
    case PR_SET_VMA: ADD_NAME(out, vma, v, "PR_SET_VMA_???"); break;
    case PR_SET_SECCOMP: ADD_NAME(out, seccomp, v, "SECCOMP_MODE_???"); break;
    case PR_CAP_AMBIENT: ADD_NAME(out, ambient, v, "PR_CAP_AMBIENT_???"); break;
    case PR_SET_SPECULATION_CTRL: case PR_GET_SPECULATION_CTRL: ADD_NAME(out, speculation, v, "PR_SPEC_???"); break;
    case PR_SET_PDEATHSIG: add_signal(out, v); break;
    case PR_SET_NO_NEW_PRIVS: case PR_SET_KEEPCAPS: case PR_SET_CHILD_SUBREAPER: case PR_SET_TIMERSLACK: case PR_SET_THP_DISABLE:
    case PR_SET_FPEMU: case PR_SET_FPEXC: case PR_SET_ENDIAN: case PR_SET_IO_FLUSHER:
        buf_addf(out, "%llu", (unsigned long long)v);
        break;
    case PR_SET_PTRACER:
        if (v == UINT64_MAX) buf_addf(out, "PR_SET_PTRACER_ANY"); else buf_addf(out, "%d", (s32)v);
        break;
    default:
        if (prctl_writes(c->args[0]) && after.len && !result_is_error(c->result))
            add_prctl_got(out, c, after);
        else
            add_hex(out, v);
    }
}

static void add_prctl(struct buf *out, const struct call *c, unsigned i)
{
    struct found name = piece_of(c, 4, false), program = piece_of(c, 2, false);
    u64 op = c->args[0], v = c->args[i];
    if (i == 1)
        add_prctl_first(out, c);
    else if (op == PR_CAP_AMBIENT && i == 2 && c->args[1] >= 1 && c->args[1] <= 3)
        add_cap(out, v);
    else if (op == PR_SET_SECCOMP && i == 2 && (u32)c->args[1] == 2)
        add_program(out, &program, v);
    else if (op == PR_SET_VMA && c->args[1] == PR_SET_VMA_ANON_NAME && i == 3)
        buf_addf(out, "%llu", (unsigned long long)v);
    else if (op == PR_SET_VMA && c->args[1] == PR_SET_VMA_ANON_NAME && i == 4)
        add_text(out, &name, v, false);
    else
        add_hex(out, v);
}

/* --- ptrace(2) ------------------------------------------------------------------------------- */

enum { TRACEME = 0, PEEKUSER = 3, POKEUSER = 6, CONT = 7, KILL = 8, SINGLESTEP = 9, ATTACH = 16, DETACH = 17, SYSCALL = 24, SETOPTIONS = 0x4200,
       GETREGSET = 0x4204, SETREGSET, SEIZE, INTERRUPT, LISTEN };

static bool ptrace_signals(u64 op) { return op == CONT || op == SINGLESTEP || op == DETACH || op == SYSCALL || op == 31; }
static bool ptrace_has_no_address(u64 op) { return op >= 12 && op <= 15; }

static void add_regset_name(struct buf *out, u64 set)
{
    static const struct value_name names[] = {{1, "NT_PRSTATUS"}, {2, "NT_FPREGSET"}, {6, "NT_AUXV"}, {0x200, "NT_386_TLS"}, {0x202, "NT_X86_XSTATE"}};
    ADD_NAME(out, names, set, "NT_???");
}

/* A word of struct user. */
static void add_user_word(struct buf *out, u64 at)
{
    static const char *const registers[] = {"R15", "R14", "R13", "R12", "RBP", "RBX", "R11", "R10", "R9", "R8", "RAX", "RCX", "RDX", "RSI", "RDI", "ORIG_RAX", "RIP", "CS",
                                            "EFLAGS", "RSP", "SS"};
    if (at % 8 == 0 && at / 8 < ARRAY_SIZE(registers))
        buf_addf(out, "8*%s", registers[at / 8]);
    else
        add_hex(out, at);
}

static void add_ptrace(struct buf *out, const struct call *c, unsigned i)
{
    struct found f = piece_of(c, 3, false);
    u64 op = c->args[0], v = c->args[i];
    if (i == 2 && (op == GETREGSET || op == SETREGSET)) {
        add_regset_name(out, v);
    } else if (i == 2 && (op == PEEKUSER || op == POKEUSER)) {
        add_user_word(out, v);
    } else if (i == 2 && op >= 0x420a && op <= 0x420e) { /* a size or an index */
        buf_addf(out, "%llu", (unsigned long long)v);
    } else if (i == 2) {
        add_pointer(out, v);
    } else if (ptrace_signals(op)) {
        add_signal(out, v);
    } else if (op == SEIZE || op == SETOPTIONS || op == 21) {
        add_flags(out, SET_ptraceopt, v);
    } else if ((op == GETREGSET || op == SETREGSET) && f.len >= 16) {
        buf_addf(out, "{iov_base=");
        add_pointer(out, word(f.data, 0));
        buf_addf(out, ", iov_len=%llu}", (unsigned long long)word(f.data, 8));
    } else {
        add_pointer(out, v);
    }
}

bool call_shows(const struct call *c, unsigned i)
{
    u64 op = c->args[0];
    if (is_call(c, "prctl"))
        return i < prctl_count(op, c->args[1]);
    if (is_call(c, "reboot"))
        return i < 3 || (u32)c->args[2] == LINUX_REBOOT_CMD_RESTART2;
    if (i == 2 && ptrace_has_no_address(op))
        return false;
    return i < (op == TRACEME ? 1u : op == ATTACH || op == INTERRUPT || op == KILL || op == LISTEN ? 2u : 4u);
}

/* --- others --------------------------------------------------------------------------------------- */

static void add_personality(struct buf *out, u32 v)
{
    static const struct bit bits[] = {{0x20000, "UNAME26"}, {0x40000, "ADDR_NO_RANDOMIZE"}, {0x80000, "FDPIC_FUNCPTRS"}, {0x100000, "MMAP_PAGE_ZERO"},
                                      {0x200000, "ADDR_COMPAT_LAYOUT"}, {0x400000, "READ_IMPLIES_EXEC"}, {0x800000, "ADDR_LIMIT_32BIT"}, {0x1000000, "SHORT_INODE"},
                                      {0x2000000, "WHOLE_SECONDS"}, {0x4000000, "STICKY_TIMEOUTS"}, {0x8000000, "ADDR_LIMIT_3GB"}};
    static const struct value_name bases[] = {{0, "PER_LINUX"}, {8, "PER_LINUX32"}, {4, "PER_BSD"}, {6, "PER_BSD"}};
    if (v == UINT32_MAX) {
        add_hex(out, v);
        return;
    }
    ADD_NAME(out, bases, v & 0xff, "PER_???");
    if (v & ~0xffu) {
        buf_add(out, "|", 1);
        add_bits(out, bits, ARRAY_SIZE(bits), v & ~0xffu);
    }
}

static void add_reboot(struct buf *out, const struct call *c, unsigned i)
{
    static const struct value_name first[] = {{LINUX_REBOOT_MAGIC1, "LINUX_REBOOT_MAGIC1"}};
    static const struct value_name second[] = {{LINUX_REBOOT_MAGIC2, "LINUX_REBOOT_MAGIC2"}, {LINUX_REBOOT_MAGIC2A, "LINUX_REBOOT_MAGIC2A"},
                                               {LINUX_REBOOT_MAGIC2B, "LINUX_REBOOT_MAGIC2B"}, {LINUX_REBOOT_MAGIC2C, "LINUX_REBOOT_MAGIC2C"}};
    static const struct value_name commands[] = {
        {LINUX_REBOOT_CMD_RESTART, "LINUX_REBOOT_CMD_RESTART"}, {LINUX_REBOOT_CMD_HALT, "LINUX_REBOOT_CMD_HALT"}, {LINUX_REBOOT_CMD_CAD_ON, "LINUX_REBOOT_CMD_CAD_ON"},
        {LINUX_REBOOT_CMD_CAD_OFF, "LINUX_REBOOT_CMD_CAD_OFF"}, {LINUX_REBOOT_CMD_POWER_OFF, "LINUX_REBOOT_CMD_POWER_OFF"},
        {LINUX_REBOOT_CMD_RESTART2, "LINUX_REBOOT_CMD_RESTART2"}, {LINUX_REBOOT_CMD_SW_SUSPEND, "LINUX_REBOOT_CMD_SW_SUSPEND"}, {LINUX_REBOOT_CMD_KEXEC, "LINUX_REBOOT_CMD_KEXEC"}};
    if (i == 0)
        ADD_NAME(out, first, c->args[0], "LINUX_REBOOT_MAGIC_???");
    else if (i == 1)
        ADD_NAME(out, second, c->args[1], "LINUX_REBOOT_MAGIC_???");
    else
        ADD_NAME(out, commands, c->args[2], "LINUX_REBOOT_CMD_???");
}

static void add_log_argument(struct buf *out, u32 action, u32 level)
{
    static const char *const names[] = {"EMERG", "ALERT", "CRIT", "ERR", "WARNING", "NOTICE", "INFO", "DEBUG"};
    if (action == 8)
        buf_addf(out, "%d /* LOGLEVEL_%s */", (s32)level, level < ARRAY_SIZE(names) ? names[level] : "???");
    else
        buf_addf(out, "%d", (s32)level);
}

static void add_log_action(struct buf *out, u32 action)
{
    static const char *const names[] = {"CLOSE", "OPEN", "READ", "READ_ALL", "READ_CLEAR", "CLEAR", "CONSOLE_OFF", "CONSOLE_ON", "CONSOLE_LEVEL", "SIZE_UNREAD", "SIZE_BUFFER"};
    buf_addf(out, "%u /* SYSLOG_ACTION_%s */", action, action < ARRAY_SIZE(names) ? names[action] : "???");
}

void add_io_priority(struct buf *out, u32 v)
{
    static const struct value_name classes[] = {{0, "IOPRIO_CLASS_NONE"}, {1, "IOPRIO_CLASS_RT"}, {2, "IOPRIO_CLASS_BE"}, {3, "IOPRIO_CLASS_IDLE"}};
    buf_addf(out, "IOPRIO_PRIO_VALUE(");
    ADD_NAME(out, classes, v >> 13, "IOPRIO_CLASS_???");
    buf_addf(out, ", %u)", v & 0x1fff);
}

static void add_seccomp(struct buf *out, const struct call *c, unsigned i)
{
    static const struct bit flags[] = {{1, "SECCOMP_FILTER_FLAG_TSYNC"}, {2, "SECCOMP_FILTER_FLAG_LOG"}, {4, "SECCOMP_FILTER_FLAG_SPEC_ALLOW"},
                                       {8, "SECCOMP_FILTER_FLAG_NEW_LISTENER"}, {16, "SECCOMP_FILTER_FLAG_TSYNC_ESRCH"}, {32, "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"}};
    static const struct value_name actions[] = {
        {0x80000000, "SECCOMP_RET_KILL_PROCESS"}, {0, "SECCOMP_RET_KILL_THREAD"}, {0x30000, "SECCOMP_RET_TRAP"}, {0x50000, "SECCOMP_RET_ERRNO"},
        {0x7fc00000, "SECCOMP_RET_USER_NOTIF"}, {0x7ff00000, "SECCOMP_RET_TRACE"}, {0x7ffc0000, "SECCOMP_RET_LOG"}, {0x7fff0000, "SECCOMP_RET_ALLOW"}};
    struct found f = piece_of(c, 2, false);
    u64 v = c->args[i];
    if (i == 1 && c->args[0] == 1) {
        add_bits(out, flags, ARRAY_SIZE(flags), (u32)v);
        if ((u32)v && !(v & 0x3f))
            buf_addf(out, " /* SECCOMP_FILTER_FLAG_??? */");
    } else if (i == 1) {
        add_hex(out, v);
    } else if (c->args[0] == 1) {
        add_program(out, &f, v);
    } else if (c->args[0] == 2 && f.len >= 4) {
        buf_add(out, "[", 1);
        ADD_NAME(out, actions, half(f.data, 0), "SECCOMP_RET_???");
        buf_add(out, "]", 1);
    } else {
        add_pointer(out, v);
    }
}

/* io_uring_register(2): the vector of buffers, or numbers of files. */
void add_registered(struct buf *out, const struct call *c, unsigned i)
{
    struct found f = piece_of(c, i, false);
    u32 op = (u32)c->args[1];
    bool events = op == 4 || op == 7; /* IORING_REGISTER_EVENTFD, _ASYNC */
    size_t size = op == 0 ? 16 : 4;
    if ((op != 0 && op != 2 && !events) || !f.data || (f.fault && f.len < size)) {
        add_pointer(out, c->args[i]);
        return;
    }
    for (size_t at = 0; at + size <= f.len && at / size < (u32)c->args[3]; at += size) {
        buf_addf(out, at ? ", " : "[");
        if (op != 0) {
            buf_addf(out, "%d", (s32)half(f.data, at));
            continue;
        }
        buf_addf(out, "{iov_base=");
        add_pointer(out, word(f.data, at));
        buf_addf(out, ", iov_len=%llu}", (unsigned long long)word(f.data, at + 8));
    }
    buf_addf(out, (u32)c->args[3] ? "]" : "[]");
}

void add_by_others(struct buf *out, const struct call *c, unsigned i)
{
    if (is_call(c, "prctl"))
        add_prctl(out, c, i);
    else if (is_call(c, "ptrace"))
        add_ptrace(out, c, i);
    else if (is_call(c, "personality"))
        add_personality(out, (u32)c->args[0]);
    else if (is_call(c, "reboot"))
        add_reboot(out, c, i);
    else if (is_call(c, "syslog") && i == 2)
        add_log_argument(out, (u32)c->args[0], (u32)c->args[2]);
    else if (is_call(c, "syslog"))
        add_log_action(out, (u32)c->args[0]);
    else if (is_call(c, "ioprio_set"))
        add_io_priority(out, (u32)c->args[2]);
    else if (is_call(c, "seccomp"))
        add_seccomp(out, c, i);
    else if (is_call(c, "restart_syscall"))
        buf_addf(out, "<... resuming interrupted %s ...>", syscall_name(c->previous) ?: "system call");
    else
        add_hex(out, c->args[i]);
}

/* The commands of System V's IPC may have a bit that says nothing. */
void add_call_enum(struct buf *out, const struct call *c, enum set_id set, unsigned i)
{
    u64 v = c->args[i];
    bool ipc = set == SET_msgctl || set == SET_semctl || set == SET_shmctl;
    if (ipc && v & 0x100) {
        buf_addf(out, "IPC_64|");
        v &= ~0x100ull;
    }
    add_enum(out, set, v);
}

bool is_read(const struct call *c, unsigned i)
{
    const u64 moves = MS_BIND | MS_MOVE | MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE;
    if (is_call(c, "mount"))
        return (i != 2 || !(c->args[3] & (moves | MS_REMOUNT))) && (i != 4 || !(c->args[3] & moves));
    if (is_call(c, "sethostname") || is_call(c, "setdomainname"))
        return (u32)c->args[1] <= 64;
    if (is_call(c, "syslog"))
        return c->args[0] >= 2 && c->args[0] <= 4;
    return true;
}

bool has_structure(const struct call *c, unsigned type, unsigned i)
{
    unsigned size = is_call(c, "signalfd4") ? 2 : call_arg_count(c->nr) - 1;
    switch (type) {
    case TYPE_sigset: return is_call(c, "rt_sigpending") || c->args[size] == 8;
    case TYPE_clone3: return c->args[1] >= 64;
    case TYPE_fdset: return (s32)c->args[0] >= 0;
    default: return i < 6;
    }
}

/* --- results ------------------------------------------------------------------------------------ */

static bool fcntl_has_flags(const struct call *c)
{
    return is_call(c, "fcntl") && (c->args[1] == F_GETFL || (c->result && (c->args[1] == F_GETFD || c->args[1] == F_GET_SEALS)));
}

static bool is_query(const struct call *c) { return is_call(c, "membarrier") && c->args[0] == 0; }
static bool gets_securebits(const struct call *c) { return is_call(c, "prctl") && c->args[0] == PR_GET_SECUREBITS && c->result; }

bool is_hex_result(const struct call *c) { return fcntl_has_flags(c) || is_query(c) || gets_securebits(c) || is_call(c, "personality"); }

static void add_flags_result(struct buf *out, u64 cmd, u64 result)
{
    buf_addf(out, cmd == F_GET_SEALS ? "seals " : "flags ");
    if (cmd == F_GETFD)
        buf_addf(out, "FD_CLOEXEC");
    else
        add_flags(out, cmd == F_GETFL ? SET_open : SET_seals, result);
}

void add_call_result(struct buf *out, const struct call *c)
{
    static const struct value_name clock[] = {{0, "TIME_OK"}, {1, "TIME_INS"}, {2, "TIME_DEL"}, {3, "TIME_OOP"}, {4, "TIME_WAIT"}, {5, "TIME_ERROR"}};
    static const char *const dumpable[] = {"SUID_DUMP_DISABLE", "SUID_DUMP_USER", "SUID_DUMP_ROOT"};
    size_t start = out->len;
    buf_addf(out, " (");
    size_t empty = out->len;
    u64 v = (u64)c->result;
    if (fcntl_has_flags(c))
        add_flags_result(out, c->args[1], v);
    else if (is_call(c, "rt_sigtimedwait") || (is_call(c, "fcntl") && c->args[1] == 11 && v)) /* F_GETSIG */
        add_signal(out, v);
    else if (is_call(c, "sched_getscheduler"))
        add_enum(out, SET_sched, v);
    else if (is_call(c, "personality"))
        add_personality(out, (u32)v);
    else if (is_query(c))
        add_flags(out, SET_membarrier, v);
    else if (gets_securebits(c))
        add_bits(out, securebits, ARRAY_SIZE(securebits), (u32)v);
    else if (is_call(c, "prctl") && c->args[0] == PR_GET_DUMPABLE && v < ARRAY_SIZE(dumpable))
        buf_addf(out, "%s", dumpable[v]);
    else if (is_call(c, "adjtimex") || is_call(c, "clock_adjtime"))
        ADD_NAME(out, clock, v, "TIME_???");
    else if (is_call(c, "ioprio_get"))
        add_io_priority(out, (u32)v);
    else if (is_call(c, "time"))
        add_date(out, v, 0, 0, "", "");
    else if (is_call(c, "recvmmsg"))
        add_left(out, c, 4, TYPE_timespec, "");
    if (out->len == empty)
        out->len = start;
    else
        buf_add(out, ")", 1);
}
