/* SPDX-License-Identifier: Apache-2.0 */
/* Names: see flags.h. The order within a set is the one of printing; a name with several bits comes before its parts. */
#include "host/trace/flags.h"

#include <linux/close_range.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <linux/memfd.h>
#include <linux/prctl.h>
#include <linux/sched.h>
#include <linux/sched/types.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <linux/stat.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <asm/prctl.h>
#include <asm/ioctls.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sys/time.h>
#include <termios.h>
#include <asm/mman.h>
#include <sys/xattr.h>
#include <time.h>

struct name {
    u64 value, mask; /* mask 0: value itself */
    const char *text;
};
#define V(x) {(u64)(x), 0, #x}
#define M(x, mask) {(u64)(x), (mask), #x} /* a field of several bits */

static const struct name open_names[] = {
    M(O_RDONLY, 3), M(O_WRONLY, 3), M(O_RDWR, 3), M(O_ACCMODE, 3), V(O_CREAT), V(O_EXCL), V(O_NOCTTY), V(O_TRUNC), V(O_APPEND), V(O_NONBLOCK),
    {04010000, 0, "O_SYNC"}, {010000, 0, "O_DSYNC"}, {040000, 0, "O_DIRECT"}, {0100000, 0, "O_LARGEFILE"}, {01000000, 0, "O_NOATIME"},
    {0400000, 0, "O_NOFOLLOW"}, V(O_CLOEXEC), {010000000, 0, "O_PATH"}, {020000000 | 0200000, 0, "O_TMPFILE"}, {0200000, 0, "O_DIRECTORY"}, {020000, 0, "FASYNC"}};
static const struct name fdflags_names[] = {V(O_NONBLOCK), {040000, 0, "O_DIRECT"}, V(O_CLOEXEC)};
static const struct name prot_names[] = {M(PROT_NONE, ~0ull), V(PROT_READ), V(PROT_WRITE), V(PROT_EXEC), V(PROT_GROWSDOWN), V(PROT_GROWSUP)};
static const struct name map_names[] = {
    M(MAP_FILE, 0xf), M(MAP_SHARED, 0xf), M(MAP_PRIVATE, 0xf), M(MAP_SHARED_VALIDATE, 0xf), V(MAP_FIXED), V(MAP_ANONYMOUS), V(MAP_32BIT), V(MAP_NORESERVE),
    V(MAP_POPULATE), V(MAP_NONBLOCK), V(MAP_GROWSDOWN), V(MAP_DENYWRITE), V(MAP_EXECUTABLE), V(MAP_LOCKED), V(MAP_STACK), V(MAP_HUGETLB), V(MAP_SYNC), V(MAP_FIXED_NOREPLACE)};
static const struct name whence_names[] = {V(SEEK_SET), V(SEEK_CUR), V(SEEK_END), V(SEEK_DATA), V(SEEK_HOLE)};
static const struct name sigmask_names[] = {V(SIG_BLOCK), V(SIG_UNBLOCK), V(SIG_SETMASK)};
static const struct name ioctl_names[] = {
    V(TCGETS), {TCSETS, 0, "SNDCTL_TMR_START or TCSETS"}, {TCSETSW, 0, "SNDCTL_TMR_STOP or TCSETSW"}, {TCSETSF, 0, "SNDCTL_TMR_CONTINUE or TCSETSF"}, V(TCSBRK), V(TCXONC), V(TCFLSH), V(TIOCEXCL), V(TIOCNXCL), V(TIOCSCTTY), V(TIOCGPGRP),
    V(TIOCSPGRP), V(TIOCOUTQ), V(TIOCSTI), V(TIOCGWINSZ), V(TIOCSWINSZ), V(FIONREAD), V(FIONBIO), V(FIOASYNC), V(FIONCLEX), V(FIOCLEX),
    V(TIOCNOTTY), V(TIOCGSID), V(TIOCGPTN), V(TIOCSPTLCK), V(TIOCGPTPEER), {FICLONE, 0, "BTRFS_IOC_CLONE or FICLONE"}, V(SIOCGIFNAME), V(SIOCGIFCONF),
    V(SIOCGIFFLAGS), V(SIOCSIFFLAGS), V(SIOCGIFADDR), V(SIOCSIFADDR), V(SIOCGIFBRDADDR), V(SIOCGIFNETMASK), V(SIOCSIFNETMASK), V(SIOCGIFMTU),
    V(SIOCSIFMTU), V(SIOCGIFHWADDR), V(SIOCGIFINDEX), V(SIOCGIFTXQLEN), V(SIOCETHTOOL), V(SIOCGIFMETRIC), V(SIOCGIFDSTADDR), V(SIOCGIFMAP)};
static const struct name access_names[] = {M(F_OK, ~0ull), V(R_OK), V(W_OK), V(X_OK)};
static const struct name mremap_names[] = {V(MREMAP_MAYMOVE), V(MREMAP_FIXED), V(MREMAP_DONTUNMAP)};
static const struct name msync_names[] = {V(MS_ASYNC), V(MS_INVALIDATE), V(MS_SYNC)};
static const struct name madvise_names[] = {
    V(MADV_NORMAL), V(MADV_RANDOM), V(MADV_SEQUENTIAL), V(MADV_WILLNEED), V(MADV_DONTNEED), V(MADV_FREE), V(MADV_REMOVE), V(MADV_DONTFORK),
    V(MADV_DOFORK), V(MADV_HWPOISON), V(MADV_MERGEABLE), V(MADV_UNMERGEABLE), V(MADV_HUGEPAGE), V(MADV_NOHUGEPAGE), V(MADV_DONTDUMP),
    V(MADV_DODUMP), V(MADV_WIPEONFORK), V(MADV_KEEPONFORK), V(MADV_COLD), V(MADV_PAGEOUT), V(MADV_POPULATE_READ), V(MADV_POPULATE_WRITE)};
static const struct name ipcflags_names[] = {V(IPC_CREAT), V(IPC_EXCL), V(IPC_NOWAIT)};
static const struct name shmflags_names[] = {V(IPC_CREAT), V(IPC_EXCL), V(SHM_HUGETLB), V(SHM_NORESERVE)};
static const struct name shmat_names[] = {V(SHM_RDONLY), V(SHM_RND), V(SHM_REMAP), V(SHM_EXEC)};
static const struct name shmctl_names[] = {V(IPC_RMID), V(IPC_SET), V(IPC_STAT), V(IPC_INFO), V(SHM_LOCK), V(SHM_UNLOCK), V(SHM_STAT), V(SHM_INFO), V(SHM_STAT_ANY)};
static const struct name msgctl_names[] = {V(IPC_RMID), V(IPC_SET), V(IPC_STAT), V(IPC_INFO), V(MSG_STAT), V(MSG_INFO), V(MSG_STAT_ANY)};
static const struct name semctl_names[] = {V(IPC_RMID), V(IPC_SET), V(IPC_STAT), V(IPC_INFO), V(GETPID), V(GETVAL), V(GETALL), V(GETNCNT),
                                           V(GETZCNT), V(SETVAL), V(SETALL), V(SEM_STAT), V(SEM_INFO), V(SEM_STAT_ANY)};
static const struct name itimer_names[] = {V(ITIMER_REAL), V(ITIMER_VIRTUAL), V(ITIMER_PROF)};
static const struct name family_names[] = {V(AF_UNSPEC), V(AF_UNIX), V(AF_INET), V(AF_INET6), V(AF_NETLINK), V(AF_PACKET), V(AF_VSOCK), V(AF_ALG), V(AF_AX25), V(AF_IPX), V(AF_KEY), V(AF_BLUETOOTH),
                                          V(AF_CAN), V(AF_TIPC), V(AF_NFC), V(AF_KCM), V(AF_XDP)};
static const struct name socktype_names[] = {M(SOCK_STREAM, 0xf), M(SOCK_DGRAM, 0xf), M(SOCK_RAW, 0xf), M(SOCK_SEQPACKET, 0xf),
                                             V(SOCK_CLOEXEC), V(SOCK_NONBLOCK)};
static const struct name protocol_names[] = {V(IPPROTO_IP), V(IPPROTO_ICMP), V(IPPROTO_IGMP), V(IPPROTO_TCP), V(IPPROTO_UDP), V(IPPROTO_IPV6), V(IPPROTO_GRE),
                                            V(IPPROTO_ESP), V(IPPROTO_AH), V(IPPROTO_ICMPV6), V(IPPROTO_SCTP), V(IPPROTO_UDPLITE), V(IPPROTO_RAW), {262, 0, "IPPROTO_MPTCP"}};
static const struct name msg_names[] = {
    V(MSG_OOB), V(MSG_PEEK), V(MSG_DONTROUTE), V(MSG_CTRUNC), V(MSG_PROXY), V(MSG_TRUNC), V(MSG_DONTWAIT), V(MSG_EOR), V(MSG_WAITALL), V(MSG_FIN), V(MSG_SYN), V(MSG_CONFIRM),
    V(MSG_RST), V(MSG_ERRQUEUE), V(MSG_NOSIGNAL), V(MSG_MORE), V(MSG_WAITFORONE), {0x40000, 0, "MSG_BATCH"}, V(MSG_ZEROCOPY), V(MSG_FASTOPEN), V(MSG_CMSG_CLOEXEC)};
static const struct name shutdown_names[] = {V(SHUT_RD), V(SHUT_WR), V(SHUT_RDWR)};
static const struct name sol_names[] = {V(SOL_SOCKET), V(SOL_IP), V(SOL_TCP), {IPPROTO_UDP, 0, "SOL_UDP"}, V(SOL_IPV6), {IPPROTO_RAW, 0, "SOL_RAW"}, V(SOL_PACKET), {270, 0, "SOL_NETLINK"}, {272, 0, "SOL_TLS"}, {284, 0, "SOL_MPTCP"}};
static const struct name sockopt_names[] = { /* of SOL_SOCKET; decode.c shows the others' */
    V(SO_DEBUG), V(SO_REUSEADDR), V(SO_TYPE), V(SO_ERROR), V(SO_DONTROUTE), V(SO_BROADCAST), V(SO_SNDBUF), V(SO_RCVBUF), V(SO_KEEPALIVE),
    V(SO_OOBINLINE), V(SO_PRIORITY), V(SO_LINGER), V(SO_REUSEPORT), V(SO_PASSCRED), V(SO_PEERCRED), V(SO_RCVLOWAT), V(SO_SNDLOWAT),
    {SO_RCVTIMEO, 0, "SO_RCVTIMEO_OLD"}, {SO_SNDTIMEO, 0, "SO_SNDTIMEO_OLD"}, V(SO_BINDTODEVICE), {SO_TIMESTAMP, 0, "SO_TIMESTAMP_OLD"},
    V(SO_MARK), V(SO_BUSY_POLL), V(SO_MAX_PACING_RATE), V(SO_BINDTOIFINDEX), V(SO_RXQ_OVFL), V(SO_PEERNAME), V(SO_PEERSEC),
    V(SO_PASSSEC), V(SO_DETACH_FILTER), V(SO_LOCK_FILTER), V(SO_ATTACH_BPF), V(SO_COOKIE), V(SO_MEMINFO), V(SO_INCOMING_NAPI_ID), V(SO_TXTIME), V(SO_PEERGROUPS),
    {SO_TIMESTAMPNS, 0, "SO_TIMESTAMPNS_OLD"}, {SO_TIMESTAMPING, 0, "SO_TIMESTAMPING_OLD"}, V(SO_NO_CHECK), V(SO_BSDCOMPAT), V(SO_ACCEPTCONN), V(SO_SNDBUFFORCE), V(SO_RCVBUFFORCE), V(SO_PROTOCOL), V(SO_DOMAIN), V(SO_INCOMING_CPU), V(SO_ZEROCOPY), V(SO_ATTACH_FILTER),
    {22, 0, "SO_SECURITY_AUTHENTICATION"}, {23, 0, "SO_SECURITY_ENCRYPTION_TRANSPORT"}, {24, 0, "SO_SECURITY_ENCRYPTION_NETWORK"}, V(SO_WIFI_STATUS), V(SO_PEEK_OFF), V(SO_NOFCS),
    V(SO_SELECT_ERR_QUEUE), V(SO_BPF_EXTENSIONS), V(SO_ATTACH_REUSEPORT_CBPF), V(SO_ATTACH_REUSEPORT_EBPF), V(SO_CNX_ADVICE), {63, 0, "SO_TIMESTAMP_NEW"},
    {64, 0, "SO_TIMESTAMPNS_NEW"}, {65, 0, "SO_TIMESTAMPING_NEW"}, {66, 0, "SO_RCVTIMEO_NEW"}, {67, 0, "SO_SNDTIMEO_NEW"}, V(SO_DETACH_REUSEPORT_BPF),
    V(SO_PREFER_BUSY_POLL), V(SO_BUSY_POLL_BUDGET), {71, 0, "SO_NETNS_COOKIE"}, {72, 0, "SO_BUF_LOCK"}, {73, 0, "SO_RESERVE_MEM"}, {74, 0, "SO_TXREHASH"}, {75, 0, "SO_RCVMARK"}};
static const struct name clone_names[] = {
    V(CLONE_VM), V(CLONE_FS), V(CLONE_FILES), V(CLONE_SIGHAND), V(CLONE_PIDFD), V(CLONE_PTRACE), V(CLONE_VFORK), V(CLONE_PARENT), V(CLONE_THREAD),
    V(CLONE_NEWNS), V(CLONE_SYSVSEM), V(CLONE_SETTLS), V(CLONE_PARENT_SETTID), V(CLONE_CHILD_CLEARTID), V(CLONE_DETACHED), V(CLONE_UNTRACED),
    V(CLONE_CHILD_SETTID), V(CLONE_NEWCGROUP), V(CLONE_NEWUTS), V(CLONE_NEWIPC), V(CLONE_NEWUSER), V(CLONE_NEWPID), V(CLONE_NEWNET), V(CLONE_IO),
    V(CLONE_CLEAR_SIGHAND), V(CLONE_INTO_CGROUP)};
static const struct name wait_names[] = {V(WNOHANG), V(WEXITED), V(WSTOPPED), V(WCONTINUED), V(WNOWAIT), {0x20000000, 0, "__WNOTHREAD"},
                                         {0x80000000, 0, "__WCLONE"}, {0x40000000, 0, "__WALL"}};
static const struct name fcntl_names[] = {
    V(F_DUPFD), V(F_GETFD), V(F_SETFD), V(F_GETFL), V(F_SETFL), V(F_GETLK), V(F_SETLK), V(F_SETLKW), {8, 0, "F_SETOWN"}, {9, 0, "F_GETOWN"},
    {10, 0, "F_SETSIG"}, {11, 0, "F_GETSIG"}, {15, 0, "F_SETOWN_EX"}, {16, 0, "F_GETOWN_EX"}, {36, 0, "F_OFD_GETLK"}, {37, 0, "F_OFD_SETLK"},
    {38, 0, "F_OFD_SETLKW"}, {1026, 0, "F_NOTIFY"}, V(F_SETLEASE), V(F_GETLEASE), V(F_DUPFD_CLOEXEC), V(F_SETPIPE_SZ), V(F_GETPIPE_SZ), V(F_ADD_SEALS), V(F_GET_SEALS)};
static const struct name flock_names[] = {{1, 0, "LOCK_SH"}, {2, 0, "LOCK_EX"}, {4, 0, "LOCK_NB"}, {8, 0, "LOCK_UN"}};
static const struct name rlimit_names[] = {
    V(RLIMIT_CPU), V(RLIMIT_FSIZE), V(RLIMIT_DATA), V(RLIMIT_STACK), V(RLIMIT_CORE), V(RLIMIT_RSS), V(RLIMIT_NPROC), V(RLIMIT_NOFILE),
    V(RLIMIT_MEMLOCK), V(RLIMIT_AS), V(RLIMIT_LOCKS), V(RLIMIT_SIGPENDING), V(RLIMIT_MSGQUEUE), V(RLIMIT_NICE), V(RLIMIT_RTPRIO), V(RLIMIT_RTTIME)};
static const struct name rusage_names[] = {V(RUSAGE_SELF), V(RUSAGE_CHILDREN), V(RUSAGE_THREAD)};
static const struct name ptrace_names[] = {
    {0, 0, "PTRACE_TRACEME"}, {1, 0, "PTRACE_PEEKTEXT"}, {2, 0, "PTRACE_PEEKDATA"}, {3, 0, "PTRACE_PEEKUSER"}, {4, 0, "PTRACE_POKETEXT"},
    {5, 0, "PTRACE_POKEDATA"}, {6, 0, "PTRACE_POKEUSER"}, {7, 0, "PTRACE_CONT"}, {8, 0, "PTRACE_KILL"}, {9, 0, "PTRACE_SINGLESTEP"},
    {12, 0, "PTRACE_GETREGS"}, {13, 0, "PTRACE_SETREGS"}, {14, 0, "PTRACE_GETFPREGS"}, {15, 0, "PTRACE_SETFPREGS"}, {16, 0, "PTRACE_ATTACH"}, {18, 0, "PTRACE_GETFPXREGS"}, {19, 0, "PTRACE_SETFPXREGS"}, {21, 0, "PTRACE_OLDSETOPTIONS"},
    {17, 0, "PTRACE_DETACH"}, {24, 0, "PTRACE_SYSCALL"}, {30, 0, "PTRACE_ARCH_PRCTL"}, {31, 0, "PTRACE_SYSEMU"}, {0x4200, 0, "PTRACE_SETOPTIONS"},
    {0x4201, 0, "PTRACE_GETEVENTMSG"}, {0x4202, 0, "PTRACE_GETSIGINFO"}, {0x4203, 0, "PTRACE_SETSIGINFO"}, {0x4204, 0, "PTRACE_GETREGSET"},
    {0x4205, 0, "PTRACE_SETREGSET"}, {0x4206, 0, "PTRACE_SEIZE"}, {0x4207, 0, "PTRACE_INTERRUPT"}, {0x4208, 0, "PTRACE_LISTEN"},
    {0x4209, 0, "PTRACE_PEEKSIGINFO"}, {0x420a, 0, "PTRACE_GETSIGMASK"}, {0x420b, 0, "PTRACE_SETSIGMASK"}, {0x420c, 0, "PTRACE_SECCOMP_GET_FILTER"}, {0x420d, 0, "PTRACE_SECCOMP_GET_METADATA"}, {0x420e, 0, "PTRACE_GET_SYSCALL_INFO"}};
static const struct name ptraceopt_names[] = {
    {1, 0, "PTRACE_O_TRACESYSGOOD"}, {2, 0, "PTRACE_O_TRACEFORK"}, {4, 0, "PTRACE_O_TRACEVFORK"}, {8, 0, "PTRACE_O_TRACECLONE"}, {16, 0, "PTRACE_O_TRACEEXEC"},
    {32, 0, "PTRACE_O_TRACEVFORKDONE"}, {64, 0, "PTRACE_O_TRACEEXIT"}, {128, 0, "PTRACE_O_TRACESECCOMP"}, {1 << 20, 0, "PTRACE_O_EXITKILL"},
    {1 << 21, 0, "PTRACE_O_SUSPEND_SECCOMP"}};
static const struct name priority_names[] = {V(PRIO_PROCESS), V(PRIO_PGRP), V(PRIO_USER)};
static const struct name sched_names[] = {{0, 0, "SCHED_OTHER"}, {1, 0, "SCHED_FIFO"}, {2, 0, "SCHED_RR"}, {3, 0, "SCHED_BATCH"}, {5, 0, "SCHED_IDLE"}, {6, 0, "SCHED_DEADLINE"}};
static const struct name mlockall_names[] = {V(MCL_CURRENT), V(MCL_FUTURE), V(MCL_ONFAULT)};
static const struct name prctl_names[] = {
    V(PR_GET_FPEMU), V(PR_SET_FPEMU), V(PR_GET_FPEXC), V(PR_SET_FPEXC), V(PR_GET_ENDIAN), V(PR_SET_ENDIAN), V(PR_TASK_PERF_EVENTS_DISABLE), V(PR_TASK_PERF_EVENTS_ENABLE),
    V(PR_MPX_ENABLE_MANAGEMENT), V(PR_MPX_DISABLE_MANAGEMENT), V(PR_SET_FP_MODE), V(PR_GET_FP_MODE), V(PR_GET_TAGGED_ADDR_CTRL),
    V(PR_SET_PDEATHSIG), V(PR_GET_PDEATHSIG), V(PR_GET_DUMPABLE), V(PR_SET_DUMPABLE), V(PR_GET_KEEPCAPS), V(PR_SET_KEEPCAPS), V(PR_SET_NAME),
    V(PR_GET_NAME), V(PR_GET_SECCOMP), V(PR_SET_SECCOMP), V(PR_CAPBSET_READ), V(PR_CAPBSET_DROP), V(PR_SET_TIMERSLACK), V(PR_GET_TIMERSLACK),
    V(PR_SET_MM), V(PR_SET_CHILD_SUBREAPER), V(PR_GET_CHILD_SUBREAPER), V(PR_SET_NO_NEW_PRIVS), V(PR_GET_NO_NEW_PRIVS), V(PR_SET_THP_DISABLE),
    V(PR_SET_PTRACER), V(PR_SET_VMA), V(PR_GET_UNALIGN), V(PR_SET_UNALIGN), V(PR_GET_TIMING), V(PR_SET_TIMING), V(PR_GET_TSC), V(PR_SET_TSC),
    V(PR_GET_SECUREBITS), V(PR_SET_SECUREBITS), V(PR_GET_TID_ADDRESS), V(PR_GET_THP_DISABLE), V(PR_MCE_KILL), V(PR_MCE_KILL_GET), V(PR_CAP_AMBIENT),
    V(PR_GET_SPECULATION_CTRL), V(PR_SET_SPECULATION_CTRL), V(PR_SET_IO_FLUSHER), V(PR_GET_IO_FLUSHER), V(PR_SET_SYSCALL_USER_DISPATCH)};
static const struct name archprctl_names[] = {V(ARCH_SET_GS), V(ARCH_SET_FS), V(ARCH_GET_FS), V(ARCH_GET_GS), V(ARCH_GET_CPUID), V(ARCH_SET_CPUID)};
static const struct name mount_names[] = {V(MS_RDONLY), V(MS_NOSUID), V(MS_NODEV), V(MS_NOEXEC), V(MS_SYNCHRONOUS), V(MS_REMOUNT), V(MS_NOATIME), V(MS_BIND),
                                          V(MS_MOVE), V(MS_REC), V(MS_SILENT), V(MS_PRIVATE), V(MS_SHARED), V(MS_RELATIME)};
static const struct name umount_names[] = {{1, 0, "MNT_FORCE"}, {2, 0, "MNT_DETACH"}, {4, 0, "MNT_EXPIRE"}, {8, 0, "UMOUNT_NOFOLLOW"}};
static const struct name xattr_names[] = {V(XATTR_CREATE), V(XATTR_REPLACE)};
static const struct name futex_names[] = {
    V(FUTEX_WAIT), V(FUTEX_WAKE), V(FUTEX_FD), V(FUTEX_REQUEUE), V(FUTEX_CMP_REQUEUE), V(FUTEX_WAKE_OP), V(FUTEX_LOCK_PI), V(FUTEX_UNLOCK_PI),
    V(FUTEX_TRYLOCK_PI), V(FUTEX_WAIT_BITSET), V(FUTEX_WAKE_BITSET), V(FUTEX_WAIT_REQUEUE_PI), V(FUTEX_CMP_REQUEUE_PI)};
static const struct name fadvise_names[] = {V(POSIX_FADV_NORMAL), V(POSIX_FADV_RANDOM), V(POSIX_FADV_SEQUENTIAL), V(POSIX_FADV_WILLNEED),
                                            V(POSIX_FADV_DONTNEED), V(POSIX_FADV_NOREUSE)};
static const struct name clock_names[] = {
    V(CLOCK_REALTIME), V(CLOCK_MONOTONIC), V(CLOCK_PROCESS_CPUTIME_ID), V(CLOCK_THREAD_CPUTIME_ID), V(CLOCK_MONOTONIC_RAW),
    V(CLOCK_REALTIME_COARSE), V(CLOCK_MONOTONIC_COARSE), V(CLOCK_BOOTTIME), V(CLOCK_REALTIME_ALARM), V(CLOCK_BOOTTIME_ALARM), V(CLOCK_TAI)};
static const struct name timer_names[] = {{1, 0, "TIMER_ABSTIME"}};
static const struct name epollctl_names[] = {V(EPOLL_CTL_ADD), V(EPOLL_CTL_DEL), V(EPOLL_CTL_MOD)};
static const struct name idtype_names[] = {{0, 0, "P_ALL"}, {1, 0, "P_PID"}, {2, 0, "P_PGID"}, {3, 0, "P_PIDFD"}};
static const struct name inotify_names[] = {
    V(IN_ACCESS), V(IN_MODIFY), V(IN_ATTRIB), V(IN_CLOSE_WRITE), V(IN_CLOSE_NOWRITE), V(IN_OPEN), V(IN_MOVED_FROM), V(IN_MOVED_TO), V(IN_CREATE),
    V(IN_DELETE), V(IN_DELETE_SELF), V(IN_MOVE_SELF), V(IN_ONLYDIR), V(IN_DONT_FOLLOW), V(IN_EXCL_UNLINK), V(IN_MASK_ADD), V(IN_ONESHOT)};
static const struct name at_names[] = {V(AT_SYMLINK_NOFOLLOW), {0x400, 0, "AT_SYMLINK_FOLLOW"}, V(AT_NO_AUTOMOUNT), V(AT_EMPTY_PATH), {0x200, 0, "AT_EACCESS"}};
static const struct name unlink_names[] = {V(AT_REMOVEDIR)};
static const struct name atstatx_names[] = {M(AT_STATX_SYNC_AS_STAT, 0x6000), M(AT_STATX_FORCE_SYNC, 0x6000), M(AT_STATX_DONT_SYNC, 0x6000),
                                            V(AT_SYMLINK_NOFOLLOW), V(AT_NO_AUTOMOUNT), V(AT_EMPTY_PATH)};
static const struct name statx_names[] = {{0xfff, 0, "STATX_ALL"}, V(STATX_BASIC_STATS), V(STATX_TYPE), V(STATX_MODE), V(STATX_NLINK), V(STATX_UID), V(STATX_GID),
                                          V(STATX_ATIME), V(STATX_MTIME), V(STATX_CTIME), V(STATX_INO), V(STATX_SIZE), V(STATX_BLOCKS), V(STATX_BTIME), V(STATX_MNT_ID)};
static const struct name splice_names[] = {{1, 0, "SPLICE_F_MOVE"}, {2, 0, "SPLICE_F_NONBLOCK"}, {4, 0, "SPLICE_F_MORE"}, {8, 0, "SPLICE_F_GIFT"}};
static const struct name timerfd_names[] = {{1, 0, "TFD_TIMER_ABSTIME"}, {2, 0, "TFD_TIMER_CANCEL_ON_SET"}, {O_CLOEXEC, 0, "TFD_CLOEXEC"}, {O_NONBLOCK, 0, "TFD_NONBLOCK"}};
static const struct name fallocate_names[] = {{1, 0, "FALLOC_FL_KEEP_SIZE"}, {2, 0, "FALLOC_FL_PUNCH_HOLE"}, {4, 0, "FALLOC_FL_NO_HIDE_STALE"}, {8, 0, "FALLOC_FL_COLLAPSE_RANGE"},
                                             {16, 0, "FALLOC_FL_ZERO_RANGE"}, {32, 0, "FALLOC_FL_INSERT_RANGE"}, {64, 0, "FALLOC_FL_UNSHARE_RANGE"}};
static const struct name sock_names[] = {V(SOCK_CLOEXEC), V(SOCK_NONBLOCK)};
static const struct name signalfd_names[] = {{O_CLOEXEC, 0, "SFD_CLOEXEC"}, {O_NONBLOCK, 0, "SFD_NONBLOCK"}};
static const struct name eventfd_names[] = {V(EFD_SEMAPHORE), V(EFD_CLOEXEC), V(EFD_NONBLOCK)};
static const struct name epoll_names[] = {V(EPOLL_CLOEXEC)};
static const struct name inotifyinit_names[] = {V(IN_NONBLOCK), V(IN_CLOEXEC)};
static const struct name rename_names[] = {{1, 0, "RENAME_NOREPLACE"}, {2, 0, "RENAME_EXCHANGE"}, {4, 0, "RENAME_WHITEOUT"}};
static const struct name getrandom_names[] = {V(GRND_NONBLOCK), V(GRND_RANDOM), V(GRND_INSECURE)};
static const struct name memfd_names[] = {V(MFD_CLOEXEC), V(MFD_ALLOW_SEALING), V(MFD_HUGETLB)};
static const struct name closerange_names[] = {V(CLOSE_RANGE_UNSHARE), V(CLOSE_RANGE_CLOEXEC)};

static const struct name seals_names[] = {V(F_SEAL_SEAL), V(F_SEAL_SHRINK), V(F_SEAL_GROW), V(F_SEAL_WRITE), V(F_SEAL_FUTURE_WRITE)};
static const struct name syncrange_names[] = {{1, 0, "SYNC_FILE_RANGE_WAIT_BEFORE"}, {2, 0, "SYNC_FILE_RANGE_WRITE"}, {4, 0, "SYNC_FILE_RANGE_WAIT_AFTER"}};
static const struct name rwf_names[] = {V(RWF_HIPRI), V(RWF_DSYNC), V(RWF_SYNC), V(RWF_NOWAIT), V(RWF_APPEND)};
static const struct name mlock2_names[] = {{1, 0, "MLOCK_ONFAULT"}};
static const struct name membarrier_names[] = {
    V(MEMBARRIER_CMD_QUERY), V(MEMBARRIER_CMD_GLOBAL), V(MEMBARRIER_CMD_GLOBAL_EXPEDITED), V(MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED),
    V(MEMBARRIER_CMD_PRIVATE_EXPEDITED), V(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED), V(MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE),
    V(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE), V(MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ), V(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ)};
static const struct name seccomp_names[] = {V(SECCOMP_SET_MODE_STRICT), V(SECCOMP_SET_MODE_FILTER), V(SECCOMP_GET_ACTION_AVAIL), V(SECCOMP_GET_NOTIF_SIZES)};
static const struct name kcmp_names[] = {{0, 0, "KCMP_FILE"}, {1, 0, "KCMP_VM"}, {2, 0, "KCMP_FILES"}, {3, 0, "KCMP_FS"}, {4, 0, "KCMP_SIGHAND"}, {5, 0, "KCMP_IO"}, {6, 0, "KCMP_SYSVSEM"}};
static const struct name ioprio_names[] = {{1, 0, "IOPRIO_WHO_PROCESS"}, {2, 0, "IOPRIO_WHO_PGRP"}, {3, 0, "IOPRIO_WHO_USER"}};
static const struct name tfdtimer_names[] = {{1, 0, "TFD_TIMER_ABSTIME"}, {2, 0, "TFD_TIMER_CANCEL_ON_SET"}};
static const struct name msgflags_names[] = {{010000, 0, "MSG_NOERROR"}, {020000, 0, "MSG_EXCEPT"}, {040000, 0, "MSG_COPY"}, V(IPC_NOWAIT)};
static const struct name pkey_names[] = {V(PKEY_DISABLE_ACCESS), V(PKEY_DISABLE_WRITE)};
static const struct name membarrierflag_names[] = {{1, 0, "MEMBARRIER_CMD_FLAG_CPU"}};
static const struct name pidfd_names[] = {{O_NONBLOCK, 0, "PIDFD_NONBLOCK"}};
static const struct name uringenter_names[] = {{1, 0, "IORING_ENTER_GETEVENTS"}, {2, 0, "IORING_ENTER_SQ_WAKEUP"}, {4, 0, "IORING_ENTER_SQ_WAIT"},
                                               {8, 0, "IORING_ENTER_EXT_ARG"}, {16, 0, "IORING_ENTER_REGISTERED_RING"}};
static const struct name uringop_names[] = {
    {0, 0, "IORING_REGISTER_BUFFERS"}, {1, 0, "IORING_UNREGISTER_BUFFERS"}, {2, 0, "IORING_REGISTER_FILES"}, {3, 0, "IORING_UNREGISTER_FILES"},
    {4, 0, "IORING_REGISTER_EVENTFD"}, {5, 0, "IORING_UNREGISTER_EVENTFD"}, {6, 0, "IORING_REGISTER_FILES_UPDATE"}, {7, 0, "IORING_REGISTER_EVENTFD_ASYNC"},
    {8, 0, "IORING_REGISTER_PROBE"}, {9, 0, "IORING_REGISTER_PERSONALITY"}, {10, 0, "IORING_UNREGISTER_PERSONALITY"}, {11, 0, "IORING_REGISTER_RESTRICTIONS"},
    {12, 0, "IORING_REGISTER_ENABLE_RINGS"}, {13, 0, "IORING_REGISTER_FILES2"}, {14, 0, "IORING_REGISTER_FILES_UPDATE2"}, {15, 0, "IORING_REGISTER_BUFFERS2"},
    {16, 0, "IORING_REGISTER_BUFFERS_UPDATE"}, {17, 0, "IORING_REGISTER_IOWQ_AFF"}, {18, 0, "IORING_UNREGISTER_IOWQ_AFF"},
    {19, 0, "IORING_REGISTER_IOWQ_MAX_WORKERS"}, {20, 0, "IORING_REGISTER_RING_FDS"}, {21, 0, "IORING_UNREGISTER_RING_FDS"}};
static const struct name termi_names[] = {V(IGNBRK), V(BRKINT), V(IGNPAR), V(PARMRK), V(INPCK), V(ISTRIP), V(INLCR), V(IGNCR), V(ICRNL), V(IUCLC), V(IXON), V(IXANY), V(IXOFF), V(IMAXBEL), V(IUTF8)};
static const struct name termo_names[] = {M(NL0, NLDLY), M(NL1, NLDLY), M(CR0, CRDLY), M(CR1, CRDLY), M(CR2, CRDLY), M(CR3, CRDLY), M(TAB0, TABDLY), M(TAB1, TABDLY),
                                          M(TAB2, TABDLY), M(TAB3, TABDLY), M(BS0, BSDLY), M(BS1, BSDLY), M(VT0, VTDLY), M(VT1, VTDLY), M(FF0, FFDLY), M(FF1, FFDLY),
                                          V(OPOST), V(OLCUC), V(ONLCR), V(OCRNL), V(ONOCR), V(ONLRET), V(OFILL), V(OFDEL)};
static const struct name termc_names[] = {M(B0, CBAUD), M(B9600, CBAUD), M(B19200, CBAUD), M(B38400, CBAUD), M(B57600, CBAUD), M(B115200, CBAUD), M(CS5, CSIZE), M(CS6, CSIZE),
                                          M(CS7, CSIZE), M(CS8, CSIZE), V(CSTOPB), V(CREAD), V(PARENB), V(PARODD), V(HUPCL), V(CLOCAL), V(CRTSCTS)};
static const struct name terml_names[] = {V(ISIG), V(ICANON), V(XCASE), V(ECHO), V(ECHOE), V(ECHOK), V(ECHONL), V(NOFLSH), V(IEXTEN), V(ECHOCTL), V(ECHOPRT), V(ECHOKE), V(FLUSHO), V(PENDIN), V(TOSTOP)};
static const struct name iff_names[] = {
    {1, 0, "IFF_UP"}, {2, 0, "IFF_BROADCAST"}, {4, 0, "IFF_DEBUG"}, {8, 0, "IFF_LOOPBACK"}, {0x10, 0, "IFF_POINTOPOINT"}, {0x20, 0, "IFF_NOTRAILERS"}, {0x40, 0, "IFF_RUNNING"},
    {0x80, 0, "IFF_NOARP"}, {0x100, 0, "IFF_PROMISC"}, {0x200, 0, "IFF_ALLMULTI"}, {0x400, 0, "IFF_MASTER"}, {0x800, 0, "IFF_SLAVE"}, {0x1000, 0, "IFF_MULTICAST"},
    {0x2000, 0, "IFF_PORTSEL"}, {0x4000, 0, "IFF_AUTOMEDIA"}, {0x8000, 0, "IFF_DYNAMIC"}};
static const struct name adjmodes_names[] = {{0x8001, 0, "ADJ_OFFSET_SINGLESHOT"}, {0xa001, 0, "ADJ_OFFSET_SS_READ"}, {1, 0, "ADJ_OFFSET"}, {2, 0, "ADJ_FREQUENCY"}, {4, 0, "ADJ_MAXERROR"},
                                             {8, 0, "ADJ_ESTERROR"}, {16, 0, "ADJ_STATUS"}, {32, 0, "ADJ_TIMECONST"}, {128, 0, "ADJ_TAI"}, {256, 0, "ADJ_SETOFFSET"},
                                             {4096, 0, "ADJ_MICRO"}, {8192, 0, "ADJ_NANO"}, {16384, 0, "ADJ_TICK"}};
static const struct name adjstatus_names[] = {{1, 0, "STA_PLL"}, {2, 0, "STA_PPSFREQ"}, {4, 0, "STA_PPSTIME"}, {8, 0, "STA_FLL"}, {16, 0, "STA_INS"}, {32, 0, "STA_DEL"}, {64, 0, "STA_UNSYNC"},
                                              {128, 0, "STA_FREQHOLD"}, {0x1000, 0, "STA_CLOCKERR"}, {0x2000, 0, "STA_NANO"}};
static const struct name schedflags_names[] = {{1, 0, "SCHED_FLAG_RESET_ON_FORK"}, {2, 0, "SCHED_FLAG_RECLAIM"}, {4, 0, "SCHED_FLAG_DL_OVERRUN"}, {8, 0, "SCHED_FLAG_KEEP_POLICY"},
                                               {16, 0, "SCHED_FLAG_KEEP_PARAMS"}, {32, 0, "SCHED_FLAG_UTIL_CLAMP_MIN"}, {64, 0, "SCHED_FLAG_UTIL_CLAMP_MAX"}};

static const struct {
    const struct name *names;
    u32 count;
    const char *unknown;
} sets[SET_COUNT] = {
#define S(set, unknown) [SET_##set] = {set##_names, ARRAY_SIZE(set##_names), unknown}
    S(open, "O_???"), S(fdflags, "O_???"), S(prot, "PROT_???"), S(map, "MAP_???"), S(whence, "SEEK_???"), S(sigmask, "SIG_???"), S(ioctl, "???"), S(access, "?_OK"),
    S(mremap, "MREMAP_???"), S(msync, "MS_???"), S(madvise, "MADV_???"), S(ipcflags, "IPC_???"), S(shmat, "SHM_???"), S(shmflags, "SHM_???"), S(shmctl, "SHM_???"), S(msgctl, "MSG_???"),
    S(semctl, "SEM_???"), S(itimer, "ITIMER_???"), S(family, "AF_???"), S(socktype, "SOCK_???"), S(protocol, "IPPROTO_???"), S(msg, "MSG_???"),
    S(shutdown, "SHUT_???"), S(sol, "SOL_??"), S(sockopt, "SO_???"), S(clone, "CLONE_???"), S(wait, "W???"), S(fcntl, "F_???"), S(flock, "LOCK_???"),
    S(rlimit, "RLIMIT_???"), S(rusage, "RUSAGE_???"), S(ptrace, "PTRACE_???"), S(priority, "PRIO_???"), S(sched, "SCHED_???"), S(mlockall, "MCL_???"),
    S(prctl, "PR_???"), S(archprctl, "ARCH_???"), S(mount, "MS_???"), S(umount, "MNT_???"), S(xattr, "XATTR_???"), S(futex, "FUTEX_???"),
    S(fadvise, "POSIX_FADV_???"), S(clock, "CLOCK_???"), S(timer, "TIMER_???"), S(epollctl, "EPOLL_CTL_???"), S(idtype, "P_???"), S(inotify, "IN_???"),
    S(at, "AT_???"), S(unlink, "AT_???"), S(atstatx, "AT_???"), S(statx, "STATX_???"), S(splice, "SPLICE_F_???"), S(timerfd, "TFD_???"),
    S(fallocate, "FALLOC_FL_???"), S(sock, "SOCK_???"), S(signalfd, "SFD_???"), S(eventfd, "EFD_???"), S(epoll, "EPOLL_???"), S(inotifyinit, "IN_???"),
    S(rename, "RENAME_???"), S(getrandom, "GRND_???"), S(memfd, "MFD_???"), S(closerange, "CLOSE_RANGE_???"), S(seals, "F_SEAL_???"), S(syncrange, "SYNC_FILE_RANGE_???"), S(rwf, "RWF_???"), S(mlock2, "MLOCK_???"), S(membarrier, "MEMBARRIER_CMD_???"),
    S(seccomp, "SECCOMP_SET_MODE_???"), S(kcmp, "KCMP_???"), S(ioprio, "IOPRIO_WHO_???"), S(tfdtimer, "TFD_???"), S(msgflags, "MSG_???"), S(pkey, "PKEY_???"),
    S(membarrierflag, "MEMBARRIER_CMD_FLAG_???"), S(pidfd, "PIDFD_???"), S(uringenter, "IORING_ENTER_???"), S(uringop, "IORING_REGISTER_???"), S(termi, "I???"),
    S(termo, "O???"), S(termc, "C???"), S(terml, "L???"), S(iff, "IFF_???"), S(adjmodes, "ADJ_???"), S(adjstatus, "STA_???"), S(ptraceopt, "PTRACE_O_???"),
    S(schedflags, "SCHED_FLAG_???"),
#undef S
};

void add_flags(struct buf *out, enum set_id set, u64 value)
{
    const char *between = "";
    u64 left = value;
    for (u32 i = 0; i < sets[set].count; i++) {
        const struct name *n = &sets[set].names[i];
        if (n->mask ? (value & n->mask) != n->value : !n->value || (left & n->value) != n->value)
            continue;
        buf_addf(out, "%s%s", between, n->text);
        left &= ~(n->mask ? n->mask : n->value);
        between = "|";
        if (n->mask == ~0ull)
            return;
    }
    if (left && !*between)
        buf_addf(out, "%#llx /* %s */", (unsigned long long)left, sets[set].unknown);
    else if (left)
        buf_addf(out, "|%#llx", (unsigned long long)left);
    else if (!*between)
        buf_add(out, "0", 1);
}

const char *enum_name(enum set_id set, u64 value)
{
    for (u32 i = 0; i < sets[set].count; i++)
        if ((s32)sets[set].names[i].value == (s32)value)
            return sets[set].names[i].text;
    return NULL;
}

void add_enum(struct buf *out, enum set_id set, u64 value)
{
    const char *name = enum_name(set, value);
    if (name)
        buf_addf(out, "%s", name);
    else
        buf_addf(out, "%#x /* %s */", (u32)value, sets[set].unknown);
}

const char *signal_name(u64 signal)
{
    if (signal == SIGIO) /* the C library says POLL */
        return "IO";
    return signal < 32 ? sigabbrev_np((int)signal) : NULL;
}

void add_signal(struct buf *out, u64 signal)
{
    const char *name = signal_name(signal);
    if (name)
        buf_addf(out, "SIG%s", name);
    else if (signal == 32)
        buf_addf(out, "SIGRTMIN");
    else if (signal > 32 && signal <= 64)
        buf_addf(out, "SIGRT_%u", (u32)signal - 32);
    else
        buf_addf(out, "%d", (int)signal);
}

const char *errno_name(int number) { return strerrorname_np(number); }
