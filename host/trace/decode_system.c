/* SPDX-License-Identifier: Apache-2.0 */
/* Structures of the system, of scheduling, capabilities, System V and message queues; options and control messages of sockets: decode.h. */
#include "host/trace/decode_impl.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
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
    buf_addf(out, "{modes=%#x, offset=%ld, freq=%ld, maxerror=%ld, esterror=%ld, status=%#x, constant=%ld, precision=%ld, tolerance=%ld, ", t.modes,
             t.offset, t.freq, t.maxerror, t.esterror, t.status, t.constant, t.precision, t.tolerance);
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
    static const char *const how[] = {"SIGEV_SIGNAL", "SIGEV_NONE", "SIGEV_THREAD", "?", "SIGEV_SIGNAL|SIGEV_THREAD_ID"};
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
    buf_addf(out, ", sched_flags=%#llx, sched_nice=%d, sched_priority=%u, ", (unsigned long long)word(d, 8), (s32)half(d, 16), half(d, 20));
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
    if ((u32)c->args[1] != 2) /* IPC_STAT */
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

bool add_system_struct(struct buf *out, unsigned type, const u8 *d, const struct call *c)
{
    switch (type) {
    case TYPE_sysinfo: add_sysinfo(out, d); break;
    case TYPE_tms:
        buf_addf(out, "{tms_utime=%lld, tms_stime=%lld, tms_cutime=%lld, tms_cstime=%lld}", (long long)word(d, 0), (long long)word(d, 8), (long long)word(d, 16),
                 (long long)word(d, 24));
        break;
    case TYPE_timex: add_timex(out, d); break;
    case TYPE_caphdr:
        if (half(d, 0) == 0x20080522)
            buf_addf(out, "{version=_LINUX_CAPABILITY_VERSION_3, pid=%d}", (s32)half(d, 4));
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

/* --- sockets ----------------------------------------------------------------------------------- */

bool add_option(struct buf *out, u32 level, u32 option, const u8 *d, size_t len)
{
    bool socket = level == SOL_SOCKET, text = (socket && option == SO_BINDTODEVICE) || (level == IPPROTO_TCP && option == TCP_CONGESTION);
    char group[INET_ADDRSTRLEN], own[INET_ADDRSTRLEN];
    if (socket && option == SO_LINGER && len == 8) {
        buf_addf(out, "{l_onoff=%d, l_linger=%d}", (s32)half(d, 0), (s32)half(d, 4));
    } else if (socket && option == SO_PEERCRED && len == 12) {
        buf_addf(out, "{pid=%d, uid=%u, gid=%u}", (s32)half(d, 0), half(d, 4), half(d, 8));
    } else if (level == IPPROTO_IP && (option == IP_ADD_MEMBERSHIP || option == IP_DROP_MEMBERSHIP) && len >= 8) {
        inet_ntop(AF_INET, d, group, sizeof(group));
        inet_ntop(AF_INET, d + 4, own, sizeof(own));
        buf_addf(out, "{imr_multiaddr=inet_addr(\"%s\"), imr_interface=inet_addr(\"%s\")}", group, own);
    } else if (len == 4 && !text) {
        buf_addf(out, "[%d]", (s32)half(d, 0));
    } else {
        return false;
    }
    return true;
}

static void add_control_data(struct buf *out, u32 level, u32 type, const u8 *d, size_t len)
{
    if (level == SOL_SOCKET && type == SCM_RIGHTS) {
        for (size_t i = 0; i + 4 <= len; i += 4)
            buf_addf(out, "%s%d", i ? ", " : "[", (s32)half(d, i));
        buf_addf(out, len < 4 ? "[]" : "]");
    } else if (level == SOL_SOCKET && type == SCM_CREDENTIALS && len >= 12) {
        buf_addf(out, "{pid=%d, uid=%u, gid=%u}", (s32)half(d, 0), half(d, 4), half(d, 8));
    } else {
        add_quoted(out, d, len, false, true);
    }
}

void add_control(struct buf *out, const u8 *d, size_t len, bool cut)
{
    const char *between = "[";
    struct cmsghdr h;
    for (size_t at = 0; len - at >= sizeof(h); at += MIN(CMSG_ALIGN(MIN(h.cmsg_len, len - at)), len - at)) {
        memcpy(&h, d + at, sizeof(h));
        if (h.cmsg_len < sizeof(h))
            break;
        buf_addf(out, "%s{cmsg_len=%zu, cmsg_level=", between, (size_t)h.cmsg_len);
        add_enum(out, SET_sol, (u32)h.cmsg_level);
        const char *type = h.cmsg_level != SOL_SOCKET ? NULL : h.cmsg_type == SCM_RIGHTS ? "SCM_RIGHTS" : h.cmsg_type == SCM_CREDENTIALS ? "SCM_CREDENTIALS" : NULL;
        if (type)
            buf_addf(out, ", cmsg_type=%s, cmsg_data=", type);
        else
            buf_addf(out, ", cmsg_type=%#x, cmsg_data=", (u32)h.cmsg_type);
        add_control_data(out, (u32)h.cmsg_level, (u32)h.cmsg_type, d + at + sizeof(h), MIN(h.cmsg_len, len - at) - sizeof(h));
        buf_add(out, "}", 1);
        between = ", ";
    }
    buf_addf(out, cut ? "%s...]" : *between == '[' ? "[]" : "]", between);
}
