/* SPDX-License-Identifier: Apache-2.0 */
/* Structures of the system, of scheduling, capabilities, System V and message queues: decode.h. */
#include "host/trace/decode_impl.h"

#include <signal.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <sys/timex.h>

static void add_sysinfo(struct buf *out, const u8 *d)
{
    struct sysinfo s;
    memcpy(&s, d, sizeof(s));
    buf_addf(out, "{uptime=%ld, loads=[%lu, %lu, %lu], totalram=%lu, freeram=%lu, sharedram=%lu, bufferram=%lu, totalswap=%lu, freeswap=%lu, ", s.uptime,
             s.loads[0], s.loads[1], s.loads[2], s.totalram, s.freeram, s.sharedram, s.bufferram, s.totalswap, s.freeswap);
    buf_addf(out, "procs=%u, totalhigh=%lu, freehigh=%lu, mem_unit=%u}", s.procs, s.totalhigh, s.freehigh, s.mem_unit);
}

static void add_timex(struct buf *out, const u8 *d)
{
    struct timex t;
    memcpy(&t, d, sizeof(t));
    buf_addf(out, "{modes=");
    add_flags(out, SET_adjmodes, t.modes);
    buf_addf(out, ", offset=%ld, freq=%ld, maxerror=%ld, esterror=%ld, status=", t.offset, t.freq, t.maxerror, t.esterror);
    add_flags(out, SET_adjstatus, (u32)t.status);
    buf_addf(out, ", constant=%ld, precision=%ld, tolerance=%ld, ", t.constant, t.precision, t.tolerance);
    buf_addf(out, "time={tv_sec=%ld, tv_usec=%ld}, tick=%ld, ppsfreq=%ld, jitter=%ld, shift=%d, stabil=%ld, ", t.time.tv_sec, t.time.tv_usec, t.tick,
             t.ppsfreq, t.jitter, t.shift, t.stabil);
    buf_addf(out, "jitcnt=%ld, calcnt=%ld, errcnt=%ld, stbcnt=%ld, tai=%d}", t.jitcnt, t.calcnt, t.errcnt, t.stbcnt, t.tai);
}

const char *cap_name(u32 cap)
{
    static const char *const names[] = {
        "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE",
        "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT",
        "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL",
        "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE"};
    return cap < ARRAY_SIZE(names) ? names[cap] : NULL;
}

static void add_caps(struct buf *out, const char *name, u64 set)
{
    const char *between = "";
    buf_addf(out, "%s=", name);
    for (u32 i = 0; cap_name(i); i++)
        if (set >> i & 1) {
            buf_addf(out, "%s1<<CAP_%s", between, cap_name(i));
            between = "|";
        }
    if (!*between)
        buf_add(out, "0", 1);
}

static void add_capdata(struct buf *out, const u8 *d)
{
    static const char *const names[] = {"{effective", ", permitted", ", inheritable"};
    for (size_t i = 0; i < 3; i++)
        add_caps(out, names[i], half(d, 4 * i) | (u64)half(d, 12 + 4 * i) << 32);
    buf_add(out, "}", 1);
}

static void add_sigevent(struct buf *out, const u8 *d)
{
    static const char *const how[] = {"SIGEV_SIGNAL", "SIGEV_NONE", "SIGEV_THREAD", "?", "SIGEV_THREAD_ID"};
    u32 notify = half(d, 12);
    buf_add(out, "{", 1);
    if (word(d, 0))
        buf_addf(out, "sigev_value={sival_int=%d, sival_ptr=%#llx}, ", (s32)half(d, 0), (unsigned long long)word(d, 0));
    buf_addf(out, "sigev_signo=");
    if (notify == SIGEV_NONE)
        buf_addf(out, "%d", (s32)half(d, 8));
    else
        add_signal(out, half(d, 8));
    buf_addf(out, ", sigev_notify=%s", notify < ARRAY_SIZE(how) ? how[notify] : "?");
    buf_addf(out, notify == 4 ? ", sigev_notify_thread_id=%d}" : "}", (s32)half(d, 16));
}

static void add_schedattr(struct buf *out, const u8 *d)
{
    buf_addf(out, "{size=%u, sched_policy=", half(d, 0));
    add_enum(out, SET_sched, half(d, 4));
    buf_addf(out, ", sched_flags=");
    add_flags(out, SET_schedflags, word(d, 8));
    buf_addf(out, ", sched_nice=%d, sched_priority=%u, ", (s32)half(d, 16), half(d, 20));
    buf_addf(out, "sched_runtime=%llu, sched_deadline=%llu, sched_period=%llu}", (unsigned long long)word(d, 24), (unsigned long long)word(d, 32),
             (unsigned long long)word(d, 40));
}

/* struct ipc64_perm */
static void add_ipc_perm(struct buf *out, const char *name, const u8 *d)
{
    buf_addf(out, "{%s_perm={uid=%u, gid=%u, mode=%#03o, key=%#x, cuid=%u, cgid=%u}, ", name, half(d, 4), half(d, 8), half(d, 20), half(d, 0), half(d, 12),
             half(d, 16));
}

static bool add_ipc(struct buf *out, const u8 *d, const struct call *c, bool shm)
{
    u32 cmd = (u32)c->args[1] & ~0x100u;
    if (cmd != 2 && cmd != (shm ? 13 : 11) && cmd != (shm ? 15 : 13)) /* IPC_STAT, SHM_STAT, SHM_STAT_ANY */
        return false;
    add_ipc_perm(out, shm ? "shm" : "msg", d);
    if (shm)
        buf_addf(out, "shm_segsz=%llu, shm_cpid=%d, shm_lpid=%d, shm_nattch=%llu, shm_atime=%lld, shm_dtime=%lld, shm_ctime=%lld}",
                 (unsigned long long)word(d, 48), (s32)half(d, 80), (s32)half(d, 84), (unsigned long long)word(d, 88), (long long)word(d, 56),
                 (long long)word(d, 64), (long long)word(d, 72));
    else
        buf_addf(out, "msg_stime=%lld, msg_rtime=%lld, msg_ctime=%lld, msg_qnum=%llu, msg_qbytes=%llu, msg_lspid=%d, msg_lrpid=%d}", (long long)word(d, 48),
                 (long long)word(d, 56), (long long)word(d, 64), (unsigned long long)word(d, 80), (unsigned long long)word(d, 88), (s32)half(d, 96),
                 (s32)half(d, 100));
    return true;
}

void add_semun(struct buf *out, const struct call *c, unsigned i)
{
    struct found f = piece_of(c, i, true);
    u32 cmd = (u32)c->args[2] & ~0x100u;
    if ((cmd != 2 && cmd != 18 && cmd != 20) || f.len < 88) { /* IPC_STAT, SEM_STAT, SEM_STAT_ANY */
        add_pointer(out, c->args[i]);
        return;
    }
    add_ipc_perm(out, "sem", f.data);
    buf_addf(out, "sem_otime=%lld, sem_ctime=%lld, sem_nsems=%llu}", (long long)word(f.data, 48), (long long)word(f.data, 64), (unsigned long long)word(f.data, 80));
}

static void add_handle(struct buf *out, const u8 *d, size_t len, bool whole)
{
    u32 bytes = half(d, 0);
    buf_addf(out, "{handle_bytes=%u", bytes);
    if (whole) {
        buf_addf(out, ", handle_type=%d, f_handle=", (s32)half(d, 4));
        add_quoted(out, d + 8, MIN(bytes, len - 8), bytes > len - 8, true);
    }
    buf_add(out, "}", 1);
}

static void add_waiter(struct buf *out, const u8 *d)
{
    static const struct bit bits[] = {{2, "FUTEX_32"}, {128, "FUTEX_PRIVATE_FLAG"}};
    buf_addf(out, "{val=%#llx, uaddr=", (unsigned long long)word(d, 0));
    add_pointer(out, word(d, 8));
    buf_addf(out, ", flags=");
    add_bits(out, bits, ARRAY_SIZE(bits), half(d, 16));
    buf_addf(out, half(d, 20) ? ", __reserved=%#x}" : "}", half(d, 20));
}

/* struct io_uring_params; the kernel fills the rest in. */
static void add_uring(struct buf *out, const u8 *d, bool made)
{
    static const struct bit setup[] = {
        {1, "IORING_SETUP_IOPOLL"}, {2, "IORING_SETUP_SQPOLL"}, {4, "IORING_SETUP_SQ_AFF"}, {8, "IORING_SETUP_CQSIZE"}, {16, "IORING_SETUP_CLAMP"},
        {32, "IORING_SETUP_ATTACH_WQ"}, {64, "IORING_SETUP_R_DISABLED"}, {128, "IORING_SETUP_SUBMIT_ALL"}, {256, "IORING_SETUP_COOP_TASKRUN"},
        {512, "IORING_SETUP_TASKRUN_FLAG"}, {1024, "IORING_SETUP_SQE128"}, {2048, "IORING_SETUP_CQE32"}, {4096, "IORING_SETUP_SINGLE_ISSUER"},
        {8192, "IORING_SETUP_DEFER_TASKRUN"}};
    static const struct bit features[] = {
        {1, "IORING_FEAT_SINGLE_MMAP"}, {2, "IORING_FEAT_NODROP"}, {4, "IORING_FEAT_SUBMIT_STABLE"}, {8, "IORING_FEAT_RW_CUR_POS"}, {16, "IORING_FEAT_CUR_PERSONALITY"},
        {32, "IORING_FEAT_FAST_POLL"}, {64, "IORING_FEAT_POLL_32BITS"}, {128, "IORING_FEAT_SQPOLL_NONFIXED"}, {256, "IORING_FEAT_EXT_ARG"},
        {512, "IORING_FEAT_NATIVE_WORKERS"}, {1024, "IORING_FEAT_RSRC_TAGS"}, {2048, "IORING_FEAT_CQE_SKIP"}, {4096, "IORING_FEAT_LINKED_FILE"}};
    buf_addf(out, "{flags=");
    if (half(d, 8) && !(half(d, 8) & 0x3fff))
        buf_addf(out, "%#x /* IORING_SETUP_??? */", half(d, 8));
    else
        add_bits(out, setup, ARRAY_SIZE(setup), half(d, 8));
    buf_addf(out, ", sq_thread_cpu=%u, sq_thread_idle=%u", half(d, 12), half(d, 16));
    if (half(d, 8) & 32)
        buf_addf(out, ", wq_fd=%d", (s32)half(d, 24));
    if (made) {
        buf_addf(out, ", sq_entries=%u, cq_entries=%u, features=", half(d, 0), half(d, 4));
        add_bits(out, features, ARRAY_SIZE(features), half(d, 20));
        buf_addf(out, ", sq_off={head=%u, tail=%u, ring_mask=%u, ring_entries=%u, flags=%u, dropped=%u, array=%u}", half(d, 40), half(d, 44), half(d, 48), half(d, 52),
                 half(d, 56), half(d, 60), half(d, 64));
        buf_addf(out, ", cq_off={head=%u, tail=%u, ring_mask=%u, ring_entries=%u, overflow=%u, cqes=%u, flags=%u}", half(d, 80), half(d, 84), half(d, 88), half(d, 92),
                 half(d, 96), half(d, 100), half(d, 104));
    }
    buf_add(out, "}", 1);
}

bool add_system_struct(struct buf *out, unsigned type, const u8 *d, const struct call *c)
{
    switch (type) {
    case TYPE_sysinfo: add_sysinfo(out, d); break;
    case TYPE_tms:
        for (size_t i = 0; i < 4; i++) {
            static const char *const names[] = {"{tms_utime=", ", tms_stime=", ", tms_cutime=", ", tms_cstime="};
            buf_addf(out, "%s", names[i]);
            add_ticks(out, word(d, 8 * i));
        }
        buf_add(out, "}", 1);
        break;
    case TYPE_timex: add_timex(out, d); break;
    case TYPE_caphdr:
        if (half(d, 0) == 0x20080522 || half(d, 0) == 0x20071026)
            buf_addf(out, "{version=_LINUX_CAPABILITY_VERSION_%d, pid=%d}", half(d, 0) == 0x20080522 ? 3 : 2, (s32)half(d, 4));
        else
            buf_addf(out, "{version=%#x, pid=%d}", half(d, 0), (s32)half(d, 4));
        break;
    case TYPE_capdata: add_capdata(out, d); break;
    case TYPE_sigevent: add_sigevent(out, d); break;
    case TYPE_mqattr:
        buf_addf(out, "{mq_flags=%s, mq_maxmsg=%lld, mq_msgsize=%lld, mq_curmsgs=%lld}", word(d, 0) == 04000 ? "O_NONBLOCK" : word(d, 0) ? "?" : "0",
                 (long long)word(d, 8), (long long)word(d, 16), (long long)word(d, 24));
        break;
    case TYPE_schedattr: add_schedattr(out, d); break;
    case TYPE_tz: buf_addf(out, "{tz_minuteswest=%d, tz_dsttime=%d}", (s32)half(d, 0), (s32)half(d, 4)); break;
    case TYPE_handle: add_handle(out, d, 40, (c->has_exited && c->result >= 0) || is_call(c, "open_by_handle_at")); break;
    case TYPE_waitv: add_waiter(out, d); break;
    case TYPE_iocb: add_request(out, d); break;
    case TYPE_ioevent: add_event(out, d); break;
    case TYPE_uringparams: add_uring(out, d, c->has_exited && c->result >= 0); break;
    case TYPE_shmds: return add_ipc(out, d, c, true);
    case TYPE_msgds: return add_ipc(out, d, c, false);
    default: return false;
    }
    return true;
}

void add_cpus(struct buf *out, const u8 *d, size_t len)
{
    const char *between = "[";
    for (size_t cpu = 0; cpu < 8 * len; cpu++)
        if (d[cpu / 8] >> cpu % 8 & 1) {
            buf_addf(out, "%s%zu", between, cpu);
            between = " ";
        }
    buf_addf(out, *between == '[' ? "[]" : "]");
}
